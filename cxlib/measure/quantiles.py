"""The difference of two quantiles, from the exact order-statistic limits of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.moments import Numbers

NO_ANSWERS = "no answers"
_METHOD = "MOVER on order statistics"


class Counts:
    """The sorted values of K cells with how often each occurs, laid end to end.

    Parameters
    ----------
    cell
        Which cell a value belongs to, 0 to K - 1; shape (n,), any order.
    values, often
        The values and their counts, shape (n,). Missing values do not count.
    size
        K.
    """

    def __init__(self, cell: ArrayLike, values: ArrayLike, often: ArrayLike, size: int) -> None:
        given = np.asarray(values, dtype=float)
        order = np.lexsort((given, np.asarray(cell)))
        order = order[~np.isnan(given[order])]
        counts = np.asarray(often, dtype=float)[order]
        self.n: Numbers = np.bincount(np.asarray(cell)[order], counts, size).astype(float)
        self._values, self._upto = given[order], np.cumsum(counts)
        self._start = np.cumsum(self.n) - self.n

    def at(self, rank: Any) -> Numbers:
        """Return the value of a rank (from 1) of each cell; rank 0 is -inf, n + 1 is inf."""
        inside = np.clip(rank, 1, np.maximum(self.n, 1))
        place = np.searchsorted(self._upto, self._start + inside - 0.5)
        found = np.append(self._values, np.nan)[np.minimum(place, self._values.size)]
        found = np.where(rank < 1, -np.inf, np.where(rank > self.n, np.inf, found))
        return np.where(self.n > 0, found, np.nan)


def counted_quantile(cells: Counts, q: float, *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate one quantile of each of K cells with its exact order-statistic interval, from counts of values.

    Returns
    -------
    pandas.DataFrame
        K result rows; see `formulas.quantile`.
    """
    if not 0 < q < 1:
        raise UsageError(f"quantile {q} is not between 0 and 1")
    n = cells.n
    ranks = intervals.quantile_ranks(n, q, confidence)
    none, few = n == 0, (ranks[1] < 1) | (ranks[2] > n)
    point, low, high = (np.where(none | few, np.nan, cells.at(rank)) for rank in ranks)
    least = int(np.ceil(np.log((1 - confidence) / 2) / np.log(max(q, 1 - q))))
    note = f"fewer than {least}: no exact {100 * confidence:g} % interval for this quantile"
    return results.frame(
        estimate=point, conf_low=low, conf_high=high, n=n, n_eff=n, method="order statistics",
        status=np.where(none, results.UNDEFINED, np.where(few, results.TOO_FEW, results.OK)),
        note=np.where(none, NO_ANSWERS, np.where(few, note, "")),
    )  # fmt: skip


def quantile_difference(before: ArrayLike, after: ArrayLike, q: float, *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate the difference of one quantile, after minus before.

    Parameters
    ----------
    before, after
        The values of each sample in any order; missing ones do not count.
    q
        Between 0 and 1.
    confidence
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One result row; see `counted_difference`.
    """
    sides = [np.asarray(side, dtype=float).ravel() for side in (before, after)]
    cells = [Counts(np.zeros(side.size, dtype=int), side, np.ones(side.size), 1) for side in sides]
    return counted_difference(cells[0], cells[1], q, confidence=confidence)


def counted_difference(before: Counts, after: Counts, q: float, *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate differences of one quantile between cells, after minus before, from counts of values.

    The limits of either side are those of its exact interval and are combined as for shares and rates (MOVER, Zou and
    Donner 2008). A side that has no limit at a confidence is unbounded there, so that the p-value, one minus the
    confidence at which the interval touches 0, never falls below what the fewer answers could show.

    Parameters
    ----------
    before, after
        Of the same number of cells, K.
    q
        Between 0 and 1.
    confidence
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        K result rows, `comparison = "difference"`, without a standard error; `undefined` where a side is empty,
        `too_few` where it has no interval at this confidence.
    """
    if not 0 < q < 1:
        raise UsageError(f"quantile {q} is not between 0 and 1")
    sides = (after, before)
    point = [side.at(intervals.quantile_ranks(side.n, q, confidence)[0]) for side in sides]

    def limits(which: int, level: Any) -> intervals.Limits:
        side = sides[which]
        _, low, high = intervals.quantile_ranks(side.n, q, level)
        return side.at(low), side.at(high)

    low, high, p_value = intervals.mover((point[0], point[1]), limits, confidence, np.zeros(after.n.shape))
    none, few = (after.n == 0) | (before.n == 0), np.isinf(low) | np.isinf(high)
    status = np.where(none, results.UNDEFINED, np.where(few, results.TOO_FEW, results.OK))
    least = int(np.ceil(np.log((1 - confidence) / 2) / np.log(max(q, 1 - q))))
    note = f"fewer than {least} on one side: no exact {confidence:.0%} interval for this quantile"
    return results.frame(
        comparison="difference", estimate=point[0] - point[1], conf_low=low, conf_high=high, p_value=p_value,
        n=after.n + before.n, n_eff=after.n + before.n, method=_METHOD, status=status,
        note=np.where(none, "one side has no answers", np.where(few, note, "")),
    )  # fmt: skip
