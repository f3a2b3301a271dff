"""Is there a valley between two clusters, fewer customers between them than at either, or is a slope cut in two?

Any cloud of points can be cut. A cut is a finding only where customers are sparse between the parts: along any line a
cloud with one hump has at least as many in the middle as at the thinner of two ends (marginals of log-concave densities
have one hump: Prékopa 1973). So, for each pair of clusters, customers are laid along the line that tells the pair apart
best (Fisher 1936), and three windows of equal width are set, at both humps and between them. The pair with the
shallowest valley is the one that counts: the window between has to hold less than `DEEP` times the thinner hump, beyond
chance (exact binomial test). Lines, windows and the pair are chosen on some customers and counted on others (five parts
in turn, `ROUNDS` times, averaged), so that nothing is found because it was looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cxlib.measure.rows import Numbers

Labels = NDArray[np.int64]
Fit = Callable[[Numbers, int], Labels]  # (how often each row counts, clusters) -> the cluster of each row

PARTS, ROUNDS = 5, 3
DEEP = 0.9  # a valley holds fewer than this share of what the thinner hump holds
_CELLS, _WIDE = 24, 8  # cells between the two centres, and how many of them a window has
_OUT, _IN = 6, 4  # cells that a hump may lie away from its centre, outwards and inwards


class Valley(NamedTuple):
    """The shallowest valley between two clusters: how deep it is, and the p-value of none."""

    depth: float  # customers between over those at the thinner hump
    p_value: float


def shallowest(smooth: Numbers, k: int, fit: Fit, rng: np.random.Generator) -> Valley:
    """Return how the two clusters are parted that are parted least.

    Parameters
    ----------
    smooth
        Rows without limits and ties, which are laid along lines, shape (rows, features).
    k
        Clusters, at least 2.
    fit
        Fits clusters to the same rows, with limits.
    rng
        Draws the parts.
    """
    counts = np.zeros(3)
    for _ in range(ROUNDS):
        part = rng.permutation(len(smooth)) % PARTS
        for held in range(PARTS):
            known = part != held
            counts += _hardest(smooth, fit(known.astype(float), k), known, k)
    thin, between, thick = counts / ROUNDS
    hump, share = min(thin, thick), DEEP / (1 + DEEP)
    # Averages of counts are rounded to the side of no valley.
    p_value = float(stats.binom.cdf(np.ceil(between - 1e-9), np.ceil(between - 1e-9) + np.floor(hump + 1e-9), share))
    return Valley(between / hump if hump > 0 else np.inf, p_value)


class _Cluster(NamedTuple):
    """One cluster's known and unknown rows, and of the known ones the mean and the covariance times their number."""

    known: Numbers
    unknown: Numbers
    middle: Numbers
    scatter: Numbers


def _hardest(rows: Numbers, names: Labels, known: NDArray[np.bool_], k: int) -> Numbers:
    """Return the counts of the unknown rows for the pair of clusters that the known rows show parted least."""
    worst, counts = -1.0, np.zeros(3)
    clusters = [_cluster(rows[known & (names == name)], rows[~known & (names == name)]) for name in range(k)]
    for one, other in combinations(clusters, 2):
        before, held = _counted(one, other)
        depth = before[1] / before[0] if before[0] > 0 else np.inf
        if depth > worst:
            worst, counts = depth, held
    return counts


def _cluster(known: Numbers, unknown: Numbers) -> _Cluster:
    """Sum up a cluster; of fewer than two known rows there is nothing to sum up."""
    size, features = known.shape
    if size < 2:
        return _Cluster(known, unknown, np.zeros(features), np.zeros((features, features)))
    return _Cluster(known, unknown, known.mean(axis=0), np.atleast_2d(np.cov(known.T)) * size)


def _counted(one: _Cluster, other: _Cluster) -> tuple[Numbers, Numbers]:
    """Return how many rows lie at the thinner hump, between, and at the other: of the known and of the unknown rows.

    The line and the windows are set by the known rows: humps where they are densest near each centre, the window
    between where they are sparsest. Nothing is counted where the centres cannot be told apart.
    """
    if min(len(one.known), len(other.known)) < 2:
        return np.zeros(3), np.zeros(3)
    line = _line(one, other)
    sides = [one.known @ line, other.known @ line]
    ends = [float(np.median(side)) for side in sides]
    if ends[1] <= ends[0]:
        return np.zeros(3), np.zeros(3)
    before = _humps(np.concatenate(sides), ends)
    held = _humps(np.concatenate([one.unknown @ line, other.unknown @ line]), ends)
    first, between, last = _windows(before)
    thin, thick = sorted((first, last), key=lambda start: before[start])
    windows = [thin, between, thick]
    return before[windows], held[windows]


def _humps(along: Numbers, ends: list[float]) -> Numbers:
    """Return how many rows lie in each window, from half a distance below the first centre to half above the second."""
    place = np.floor((along - ends[0]) / (ends[1] - ends[0]) * _CELLS) + _CELLS // 2
    inside = place[(place >= 0) & (place < 2 * _CELLS)].astype(np.int64)
    return np.convolve(np.bincount(inside, minlength=2 * _CELLS), np.ones(_WIDE), mode="valid")


def _windows(counts: Numbers) -> tuple[int, int, int]:
    """Return where the windows start: at the hump about each centre, and where it is sparsest between the two."""
    centres = (_CELLS // 2 - _WIDE // 2, _CELLS // 2 - _WIDE // 2 + _CELLS)
    first = centres[0] - _OUT + int(np.argmax(counts[centres[0] - _OUT : centres[0] + _IN + 1]))
    last = centres[1] - _IN + int(np.argmax(counts[centres[1] - _IN : centres[1] + _OUT + 1]))
    return first, first + _WIDE + int(np.argmin(counts[first + _WIDE : last - _WIDE + 1])), last


def _line(one: _Cluster, other: _Cluster) -> Numbers:
    """Return the direction that tells two clusters apart best, from first to second."""
    within = (one.scatter + other.scatter) / (len(one.known) + len(other.known))
    # A little of the identity: features that do not vary within the clusters leave no inverse.
    ridge = 0.01 * (np.trace(within) / len(within) + 1e-12)
    return np.linalg.solve(within + ridge * np.eye(len(within)), other.middle - one.middle)
