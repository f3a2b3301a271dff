"""Replicate weights: the survey drawn again and again from its own customers, and raked again each time.

Raking takes from the variance what its margins explain; weights held fixed would not show it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cxlib.errors import UsageError
from cxlib.measure.moments import Numbers
from cxlib.measure.raking import Bounds, Cells, Margins, prepared, raked

# In a replicate that bounds and margins cannot both hold in, the bounds hold and the margins are met as nearly as this
# many rounds bring them.
_ROUNDS = 200
_AT_ONCE = 10_000_000  # sorts times replicates that are held together


def rao_wu(
    frame: pd.DataFrame,
    margins: Margins,
    *,
    times: int = 200,
    rng: np.random.Generator,
    clusters: ArrayLike | None = None,
    base: ArrayLike | None = None,
    bounds: Bounds | None = None,
) -> Numbers:
    """Draw replicate weights: G - 1 of the G customers with replacement, raked like the whole.

    Parameters
    ----------
    frame, margins, base, bounds
        As `weights.rake` was given them.
    times
        R, how many replicates.
    rng
        What draws.
    clusters
        The customer of each row, shape (n,); a missing one, or none at all, makes each row its own.

    Returns
    -------
    numpy.ndarray
        Shape (n, R). A level that a replicate has nobody of is left out of its margin there.

    Raises
    ------
    UsageError
        As `weights.rake`, and for fewer than two customers or replicates.

    Notes
    -----
    Rao, Wu and Yue (1992, Survey Methodology 18), with m = G - 1: a customer drawn r times weighs r G / (G - 1) times
    the base weight. The margins are taken as known without error.
    """
    cells, weight = prepared(frame, margins, base, bounds)
    number = np.arange(len(frame)) if clusters is None else _numbered(clusters, len(frame))
    count = int(number.max()) + 1
    if count < 2 or times < 2:
        raise UsageError(f"{times} replicates of {count} customers: both must be at least 2")
    drawn = _draw(np.ones(count), times, rng)
    share = sparse.csr_matrix((weight, (cells.of_row, number)), shape=(len(cells.levels[0]), count))
    factors = raked(cells, share @ drawn, bounds, rounds=_ROUNDS)[0]
    return weight[:, None] * drawn[number] * factors[cells.of_row]


def ratios(
    cells: Cells, customers: Numbers, y: Numbers, x: Numbers, *, bounds: Bounds | None, times: int,
    rng: np.random.Generator,
) -> tuple[Numbers, Numbers]:  # fmt: skip
    """Draw replicates of sum y over sum x, without weights and raked again, from customers counted by sort.

    Parameters
    ----------
    cells
        Of the sorts, one row each.
    customers
        How many there are of each sort, shape (sorts,); those of one sort are alike in all that is summed, so drawing
        how many of each are in a replicate is drawing customers.
    y, x
        Sums of one customer of each sort, shape (sorts,).
    bounds, times, rng
        As in `rao_wu`.

    Returns
    -------
    plain, weighted
        The two ratios, shape (R,) each, from the same draws; not finite where a replicate has no denominator.
    """
    count, sorts = len(cells.levels[0]), len(customers)
    place = (cells.of_row, np.arange(sorts))
    adders = [sparse.csr_matrix((value, place), shape=(count, sorts)) for value in (np.ones(sorts), y, x)]
    step = max(1, _AT_ONCE // sorts)
    parts = []
    for done in range(0, times, step):
        drawn = _draw(customers, min(step, times - done), rng)
        parts.append([adder @ drawn for adder in adders])
    base, top, below = (np.hstack(part) for part in zip(*parts, strict=True))
    factors = raked(cells, base, bounds, rounds=_ROUNDS)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = top.sum(axis=0) / below.sum(axis=0)
        return plain, (top * factors).sum(axis=0) / (below * factors).sum(axis=0)


def _draw(customers: Numbers, times: int, rng: np.random.Generator) -> Numbers:
    """Draw how many customers of each sort are in each replicate, times G / (G - 1), shape (sorts, R)."""
    total = int(customers.sum())
    drawn: Numbers = rng.multinomial(total - 1, customers / total, size=times).T.astype(float)
    return drawn * (total / (total - 1))


def _numbered(clusters: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Number customers from 0 in their own order, not that of the rows; rows without one follow, each by itself."""
    whose = np.asarray(clusters, dtype=object).ravel()
    if whose.size != rows:
        raise UsageError(f"there are {whose.size:,} clusters for {rows:,} rows")
    codes, known = pd.factorize(whose, sort=True)
    lost = codes < 0
    return np.where(lost, len(known) + np.cumsum(lost) - 1, codes)
