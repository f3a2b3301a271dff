"""Differences of many shares between two groups of paths at once: cluster bootstrap with max-T control."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from cxlib.measure import intervals
from cxlib.measure.rows import Codes, Numbers

_WORDS = 2**16  # equally likely numbers that stand for Poisson weights
_BLOCK = 4_000_000  # weights at a time


class Compared(NamedTuple):
    """Of each feature, shape (features,): shares, errors, the difference with its simultaneous limits, p-values."""

    shares: tuple[Numbers, Numbers]
    independent: tuple[Numbers, Numbers]  # how many independent paths each share is as good as
    difference: Numbers
    error: Numbers
    low: Numbers
    high: Numbers
    critical: float
    p_value: Numbers
    p_adjusted: Numbers


def compare(
    found: NDArray[Any], inside: NDArray[np.bool_], customer: Codes, *, draws: int, alpha: float,
    rng: np.random.Generator,
) -> Compared:  # fmt: skip
    """Compare the shares of paths that have each feature between two groups.

    Parameters
    ----------
    found
        0 or 1, shape (paths, features).
    inside
        Whether a path is of the first group, shape (paths,).
    customer
        Whose path it is: codes from 0, shape (paths,). A customer may have paths in both groups.
    draws, rng
        Of the bootstrap: Poisson(1) weights of customers, the same for all features.
    alpha
        The family-wise error of the limits.

    Returns
    -------
    Compared
        A p-value is that of Newcombe's hybrid score interval, each share with as many independent paths as its
        cluster-robust error speaks of; `p_adjusted` holds its quantile against the largest of all features in each
        draw. It is below alpha exactly where the limits, which are Newcombe's at `critical`, leave out 0.

    Notes
    -----
    Wald statistics of rare features are wrong in nine families of a hundred, where the smaller group happens to have
    few; score intervals are not. The draws are of what the differences would be if there were none (residuals about the
    common share), so that the correlation of the features, and their skewness, count.

    Source: Westfall and Young (1993), Resampling-Based Multiple Testing, 2.6 (single-step max-T); Romano and Wolf
    (2005), Econometrica 73:1237, section 4; Newcombe (1998) Statist. Med. 17:873, method 10.
    """
    size = int(customer.max()) + 1
    sums = [_per_customer(found[side], customer[side], size) for side in (inside, ~inside)]
    one, other = (_share(own) for own in sums)
    grow = size / (size - 1)
    spread = [grow * (pulls**2).sum(axis=0) for _, pulls in (one, other)]
    both = grow * (one[1] * other[1]).sum(axis=0)
    total = [float(own[:, -1].sum()) for own in sums]
    n = [_independent(part[0], own, many) for part, own, many in zip((one, other), spread, total, strict=True)]
    common = found.mean(axis=0)
    null = [(own[:, :-1] - common * own[:, -1:]) / many for own, many in zip(sums, total, strict=True)]
    highest = _highest(null[0] - null[1], draws, rng)
    cutoff = critical(highest, alpha)
    low, high, raw = _hybrid((one[0], other[0]), (n[0], n[1]), _correlation(spread, both), cutoff)
    error = np.sqrt(np.maximum(spread[0] + spread[1] - 2 * both, 0.0))
    above = np.maximum(adjusted(-special.ndtri(raw / 2), highest), raw)
    return Compared((one[0], other[0]), (n[0], n[1]), one[0] - other[0], error, low, high, cutoff, raw, above)


def _share(own: Numbers) -> tuple[Numbers, Numbers]:
    """Return the share of paths with each feature, and what each customer adds to its error."""
    total = own[:, -1].sum()
    share = own[:, :-1].sum(axis=0) / total
    return share, (own[:, :-1] - share * own[:, -1:]) / total


def _correlation(spread: Sequence[Numbers], both: Numbers) -> Numbers:
    """Return how far the shares of the two groups go together: customers may be in both."""
    known = (spread[0] > 0) & (spread[1] > 0)
    return np.where(known, both / np.sqrt(np.where(known, spread[0] * spread[1], 1.0)), 0.0)


def _hybrid(
    shares: tuple[Numbers, Numbers], n: tuple[Numbers, Numbers], shared: Numbers, cutoff: float
) -> tuple[Numbers, Numbers, Numbers]:
    """Return Newcombe's limits of differences of shares at a quantile of the normal distribution, and p-values."""

    def limits(side: int, level: Any) -> tuple[Numbers, Numbers]:
        return intervals.wilson(shares[side], n[side], level)

    confidence = min(float(1 - 2 * special.ndtr(-cutoff)), 1 - 1e-12)
    return intervals.mover(shares, limits, confidence, shared)


def _independent(share: Numbers, spread: Numbers, total: float) -> Numbers:
    """Return how many independent paths a share of that error is of; all of them where it has none."""
    return np.where(spread > 0, np.minimum(share * (1 - share) / np.where(spread > 0, spread, 1.0), total), total)


def adjusted(value: Numbers, highest: Numbers) -> Numbers:
    """Return max-T p-values: how often the largest of all statistics of a draw is at least as large.

    Parameters
    ----------
    value
        Absolute statistics, shape (features,).
    highest
        The largest absolute statistic of each draw under no difference, shape (draws,).
    """
    order = np.sort(highest)
    above = order.size - np.searchsorted(order, value, side="left")
    return np.asarray((1.0 + above) / (1.0 + order.size), dtype=float)


def critical(highest: Numbers, alpha: float) -> float:
    """Return the value that a statistic must exceed for its max-T p-value to be below alpha."""
    place = math.ceil(round(alpha * (1 + highest.size), 9)) - 2
    return float(np.sort(highest)[::-1][place]) if place >= 0 else math.inf


def smallest(error: Numbers, cutoff: float) -> Numbers:
    """Return the difference that is found in 80 of 100 cases."""
    return np.asarray((cutoff + float(stats.norm.ppf(0.8))) * error, dtype=float)


def _per_customer(found: NDArray[Any], customer: Codes, size: int) -> Numbers:
    """Return each customer's paths with each feature, and in the last column all of them."""
    out = np.zeros((size, found.shape[1] + 1))
    order = np.argsort(customer, kind="stable")
    who = customer[order]
    starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    out[who[starts], :-1] = np.add.reduceat(found[order].astype(float), starts, axis=0)
    out[who[starts], -1] = np.diff(np.r_[starts, who.size])
    return out


def _highest(pulls: Numbers, draws: int, rng: np.random.Generator) -> Numbers:
    """Return the largest absolute statistic of each draw, of what each customer adds to differences that are none."""
    scale = np.sqrt((pulls**2).sum(axis=0))
    each = (pulls / np.where(scale > 0, scale, 1.0)).astype(np.float32)
    table, size = _poisson() - np.float32(1.0), len(each)
    rows, out = max(1, _BLOCK // size), []
    for begin in range(0, draws, rows):
        shape = (min(rows, draws - begin), size)
        drawn = table[rng.integers(0, _WORDS, size=shape, dtype=np.uint16)] @ each
        out.append(np.abs(drawn).max(axis=1))
    return np.concatenate(out).astype(float)


@functools.cache
def _poisson() -> NDArray[np.float32]:
    """Return 65,536 equally likely numbers that have a Poisson distribution of mean 1, to 1 in 65,536."""
    return np.asarray(stats.poisson.ppf((np.arange(_WORDS) + 0.5) / _WORDS, 1.0), dtype=np.float32)
