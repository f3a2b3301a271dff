"""Least squares with errors that allow for clusters, few of them, too; fixed effects taken out without dummies.

With few clusters the usual sandwich (CR1, t with G - 1 degrees of freedom) is too sure of itself. CR2 takes out what
each cluster's own part in the fit hides, and its t has the degrees of freedom that a normal, independent error would
give it (Bell and McCaffrey 2002, Survey Methodology 28:169; Imbens and Kolesar 2016, Rev. Econ. Stat. 98:701; with
fixed effects: Pustejovsky and Tipton 2018, JBES 36:672).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse, stats

from cxlib.analysis.doors import Mask
from cxlib.measure import intervals
from cxlib.measure.rows import Codes, Numbers

CLASSICAL, HC1, CLUSTER = "classical", "hc1", "cluster"
ERRORS = (CLASSICAL, HC1, CLUSTER)
FEW = 20  # treated or untreated clusters below which CR2 is taken in place of CR1
_SINGULAR = 1e-9
_ROUNDING = 1e-20  # of the variance of the outcome, far below that of a mean over any number of rows
_LEAST_FREEDOM = 0.5
NO_ERROR = "too few, or all alike: no error can be measured"


@dataclass(frozen=True, eq=False)
class Fitted:
    """Coefficients of least squares with their covariance.

    Parameters
    ----------
    beta, cov
        Shapes (k,) and (k, k).
    freedom
        Degrees of freedom of each coefficient's t, shape (k,).
    rest
        Residuals, shape (N,).
    clusters
        Their number; that of rows where each is its own.
    """

    beta: Numbers
    cov: Numbers
    freedom: Numbers
    rest: Numbers
    clusters: int


def least_squares(
    x: Numbers, y: Numbers, *, errors: str, cluster: Codes | None = None, absorbed: int = 0, few: bool = False
) -> Fitted | None:
    """Fit by least squares.

    Parameters
    ----------
    x, y
        Shapes (N, k) and (N,); fixed effects taken out of both.
    errors
        `classical`; `hc1`: robust, times N / (N - K); `cluster`: CR1, times G / (G - 1) (N - 1) / (N - K).
    cluster
        Cluster of each row, numbered from 0, for `cluster`.
    absorbed
        Fixed effects that were taken out: they count in K.
    few
        CR2 with Bell and McCaffrey's degrees of freedom in place of CR1.

    Returns
    -------
    Fitted or None
        None where the columns are not independent or no row is left to measure errors.
    """
    size, width = x.shape
    scale = np.sqrt((x**2).sum(axis=0))
    if size <= width + absorbed or not (scale > 0).all():
        return None
    q, r = np.linalg.qr(x / scale)
    if np.abs(np.diag(r)).min() < _SINGULAR:
        return None
    back = np.linalg.inv(r) / scale[:, None]
    beta = back @ (q.T @ y)
    rest, bread, free = y - x @ beta, back @ back.T, size - width - absorbed
    if errors == CLASSICAL:
        return Fitted(beta, bread * (rest @ rest) / free, np.full(width, float(free)), rest, size)
    if errors == HC1:
        lever = (x * rest[:, None]) @ bread
        return Fitted(beta, lever.T @ lever * size / free, np.full(width, float(free)), rest, size)
    groups, count = _numbered(cluster, size)
    if count < 2:
        return None
    if few:
        cov, freedom = _reduced(q, back, rest, groups, count)
        return Fitted(beta, cov, freedom, rest, count)
    scores = sums(x * rest[:, None], groups, count) @ bread
    factor = count / (count - 1) * (size - 1) / free
    return Fitted(beta, scores.T @ scores * factor, np.full(width, count - 1.0), rest, count)


def _numbered(cluster: Codes | None, size: int) -> tuple[Codes, int]:
    if cluster is None:
        return np.arange(size), size
    found, codes = np.unique(cluster, return_inverse=True)
    return np.asarray(codes, dtype=np.int64).ravel(), found.size


def sums(values: Numbers, groups: Codes, count: int) -> Numbers:
    """Add up the rows of each group: shape (N, k) to (count, k)."""
    return np.column_stack([np.bincount(groups, column, count) for column in values.T])


def _reduced(q: Numbers, back: Numbers, rest: Numbers, groups: Codes, count: int) -> tuple[Numbers, Numbers]:
    """Return the CR2 covariance and Bell-McCaffrey degrees of freedom, in the orthonormal columns of the design.

    The hat matrix is q q'. A cluster's adjustment (I - q_g q_g')^(-1/2) acts on q_g as a k x k matrix made of the
    eigenvalues of q_g' q_g, so no matrix of a cluster's rows is ever built. A direction that a cluster alone decides
    (eigenvalue 1) has no residual and is left out.
    """
    width = q.shape[1]
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(count + 1))
    scores, levers = np.empty((count, width)), np.empty((count, width, width))
    squares = np.empty((count, width))
    for place in range(count):
        rows = order[bounds[place] : bounds[place + 1]]
        mine = q[rows]
        values, vectors = np.linalg.eigh(mine.T @ mine)
        kept = np.where(values < 1 - 1e-8, 1 / np.sqrt(np.maximum(1 - values, 1e-8)), 0.0)
        adjust = (vectors * kept) @ vectors.T  # a matrix that commutes with q_g' q_g
        scores[place] = (mine @ adjust @ back.T).T @ rest[rows]
        levers[place] = mine.T @ mine @ adjust @ back.T  # q_g' b_g for each coefficient
        squares[place] = np.einsum("ij,ij->j", mine @ adjust @ back.T, mine @ adjust @ back.T)
    cov = scores.T @ scores
    free = np.empty(width)
    for place in range(width):
        own, part = squares[:, place], levers[:, :, place]
        both, inner = part.T @ part, (part**2).sum(axis=1)
        trace = own.sum() - inner.sum()
        square = (own**2).sum() - 2 * (own * inner).sum() + (both * both).sum()
        free[place] = trace**2 / square if square > 0 else 0.0
    return cov, free


def without_units(values: Numbers, unit: Codes) -> Numbers:
    """Return columns less each unit's mean, shape (N, k)."""
    count = int(unit.max()) + 1
    size = np.bincount(unit, minlength=count)[:, None]
    return values - (sums(values, unit, count) / np.maximum(size, 1))[unit]


def without_both(values: Numbers, unit: Codes, time: Codes) -> Numbers:
    """Return columns less effects of units and times, exactly, on unbalanced panels, too.

    The effects of T times solve T equations once each unit's mean is out (Wansbeek and Kapteyn 1989, J. Econometrics
    41:341); no column is made for a unit.
    """
    units, count = int(unit.max()) + 1, int(time.max()) + 1
    cells = sparse.csr_array((np.ones(unit.size), (unit, time)), shape=(units, count))
    size = np.maximum(np.bincount(unit, minlength=units), 1)
    weights = np.diag(np.bincount(time, minlength=count).astype(float))
    system = weights - (cells.T @ cells.multiply(1 / size[:, None]).tocsr()).toarray()
    own = without_units(values, unit)
    effects = np.linalg.lstsq(system, sums(own, time, count), rcond=None)[0]
    return np.asarray(without_units(values - effects[time], unit), dtype=float)


def effects_absorbed(unit: Codes, time: Codes) -> int:
    """Return how many independent effects of units and times there are: units + times - connected parts."""
    units, count = int(unit.max()) + 1, int(time.max()) + 1
    links = sparse.coo_array((np.ones(unit.size), (unit, units + time)), shape=(units + count,) * 2)
    parts, _ = sparse.csgraph.connected_components(links.tocsr(), directed=False)
    return units + count - int(parts)


def sound(variance: Numbers, freedom: Numbers, y: Numbers) -> Mask:
    """Tell which variances are more than the rounding of an outcome `y`, and have degrees of freedom to be read with.

    Fewer than half a degree of freedom give limits beyond any use.
    """
    spread = float(np.var(y)) if y.size and np.ptp(y) > 0 else np.inf
    known = np.isfinite(variance) & np.isfinite(freedom)
    return (
        known
        & (np.where(known, variance, 0.0) > _ROUNDING * spread)
        & (np.where(known, freedom, 0.0) >= _LEAST_FREEDOM)
    )


def numbers_of(value: Numbers, variance: Numbers, freedom: Numbers, confidence: float) -> dict[str, Numbers]:
    """Return the numbers of result rows: estimates with errors, limits and p-values by t."""
    error = np.sqrt(np.maximum(variance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        half = stats.t.isf((1 - intervals.check_confidence(confidence)) / 2, freedom) * error
        p_value = 2 * stats.t.sf(np.abs(value) / error, freedom)
    return {
        "estimate": value, "std_error": error, "conf_low": value - half, "conf_high": value + half, "p_value": p_value,
    }  # fmt: skip
