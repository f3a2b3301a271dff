"""What customers did after the split, held against what was expected of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.value.bg_nbd import BgNbdFit
from cxlib.analysis.value.door import totals
from cxlib.analysis.value.portfolio import Portfolio
from cxlib.analysis.value.transactions import Purchases
from cxlib.analysis.value.uncertainty import above_zero, delta
from cxlib.measure import estimates
from cxlib.measure.intervals import by_z, z_of
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Codes, Numbers

SEGMENT = "purchases before the split"
OBSERVED, PREDICTED = "_observed", "_predicted"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Customers as of the split, shape (n,), and their purchases after it, shape (m,).

    Parameters
    ----------
    x, t_x, end, mean
        Repeat purchases, times and mean amount before the split.
    who, when, amount
        Of each later purchase: the customer, the time since the split, the amount (0 where unknown).
    length
        Of the hold-out.
    """

    x: Numbers
    t_x: Numbers
    end: Numbers
    mean: Numbers
    who: Codes
    when: Numbers
    amount: Numbers
    length: float

    @classmethod
    def of(cls, bought: Purchases, summary: pd.DataFrame, split: int, scale: float) -> HeldOut:
        """Take the purchases after the day `split` of the customers in the summary of that day."""
        place = summary.index.get_indexer(bought.customers)
        mine = (bought.day > split) & (place[bought.who] >= 0)
        money = np.zeros(mine.sum()) if bought.amount is None else np.nan_to_num(bought.amount[mine])
        x, t_x, end = (summary[name].to_numpy(dtype=float) for name in ("frequency", "recency", "T"))
        mean = summary["monetary_value"].to_numpy(dtype=float) if "monetary_value" in summary else np.zeros(x.size)
        return cls(
            x, t_x, end, mean, place[bought.who[mine]], (bought.day[mine] - split) / scale, money,
            (bought.last - split) / scale,
        )  # fmt: skip

    @property
    def purchases(self) -> Numbers:
        """Purchases of each customer."""
        return np.bincount(self.who, minlength=self.x.size).astype(float)

    @property
    def revenue(self) -> Numbers:
        """Amount of each customer."""
        return totals(self.who, self.amount, self.x.size)

    @property
    def steps(self) -> Numbers:
        """Whole units of time since the split, and the end."""
        whole = np.arange(1.0, np.floor(self.length) + 1)
        return whole if whole.size and whole[-1] == self.length else np.append(whole, self.length)

    def portfolio(self, group: Codes) -> Portfolio:
        """Return the customers in cells, each counting one."""
        return Portfolio.made(self.x, self.t_x, self.end, self.mean, np.ones(self.x.size), group)


def whole(sums: Numbers) -> Numbers:
    """Put the sum of all classes before those of the classes."""
    return np.append(sums.sum(), sums)


def by_class(
    metric: str, seen: Numbers, predicted: Numbers, errors: Numbers, classes: tuple[Codes, list[str]],
    how: tuple[str, str, float],
) -> pd.DataFrame:  # fmt: skip
    """Return means per customer seen and predicted, and their difference, of all and by class.

    Parameters
    ----------
    metric
        What they are means of.
    seen, predicted
        Of each customer, shape (n,).
    errors
        Standard errors, from the parameters, of the predicted sums of all and of each class, shape (1 + classes,).
    classes
        The class of each customer, and what the classes are called.
    how
        Length of the hold-out, method of the prediction, confidence of the intervals.
    """
    code, names = classes
    at, method, confidence = how
    cells = [("all", "all", np.full(seen.size, True))]
    cells += [(SEGMENT, name, code == place) for place, name in enumerate(names)]
    parts = []
    for (segment, level, mine), error in zip(cells, errors, strict=True):
        n, value, doubt = int(mine.sum()), np.array(predicted[mine].mean()), np.array(error / mine.sum())
        low, high = above_zero(value, doubt, confidence)
        guess = results.frame(
            metric=metric + PREDICTED, estimate=value, std_error=doubt, conf_low=low, conf_high=high, method=method, n=n
        )
        truth = estimates.mean(Moments.of(seen[mine]), confidence=confidence)
        truth = results.label(truth, metric=metric + OBSERVED, method=f"observed, {truth['method'].iloc[0]}")
        between = _difference(metric, predicted[mine] - seen[mine], float(doubt), method, confidence)
        found = results.concat([truth, guess, between])
        parts.append(results.label(found, segment=segment, level=level, at=at))
    return results.concat(parts)


def _difference(metric: str, residual: Numbers, error: float, method: str, confidence: float) -> pd.DataFrame:
    """Return the mean of predicted minus seen: the doubt of the parameters and, by customers, that of what is seen."""
    n, value = residual.size, float(residual.mean())
    what = {"metric": metric + PREDICTED, "comparison": "difference", "against": "observed", "method": method, "n": n}
    if n < 2:
        return results.frame(**what, status=results.TOO_FEW, note="a single customer")
    both = np.sqrt(residual.var(ddof=1) / n + error**2)
    low, high, p = by_z(np.array(value), both, confidence)
    return results.frame(**what, estimate=value, std_error=both, conf_low=low, conf_high=high, p_value=p)


def tracked(held: HeldOut, fit: BgNbdFit, method: str, confidence: float) -> pd.DataFrame:
    """Return the cumulative purchases of all customers since the split, seen and predicted, and their difference."""
    steps, cells = held.steps, held.portfolio(np.zeros(held.x.size, dtype=np.int64))
    each = cells.purchases(fit.parameters, steps, 0.0)
    total, error = cells.money[0] @ each, delta([fit], lambda one: cells.expected(one, steps))
    seen, squares, cross = _seen(held, cells, steps)
    rest = np.maximum(squares - 2 * (cross * each).sum(axis=0) + cells.money[0] @ each**2, 0)
    spread = np.sqrt(np.maximum(squares - seen**2 / held.x.size, 0))
    both = np.sqrt(rest + error**2)
    ends = by_z(total - seen, np.where(both > 0, both, np.nan), confidence)
    names = ["cumulative_purchases" + kind for kind in (OBSERVED, PREDICTED, PREDICTED)]
    what = {"at": [f"{step:g}" for step in steps], "n": held.x.size}
    words: list[dict[str, Any]] = [{"method": "observed, by customers"}, {"method": method},
             {"method": method, "comparison": "difference", "against": "observed", "p_value": ends[2]}]  # fmt: skip
    columns = [
        (seen, spread, *(np.maximum(seen + side * z_of(confidence) * spread, 0) for side in (-1, 1))),
        (total, error, *above_zero(total, error, confidence)),
        (total - seen, both, ends[0], ends[1]),
    ]
    parts = []
    for name, word, (value, doubt, low, high) in zip(names, words, columns, strict=True):
        numbers = {"estimate": value, "std_error": doubt, "conf_low": low, "conf_high": high}
        parts.append(results.frame(metric=name, **what, **word, **numbers))
    return results.concat(parts)


def _seen(held: HeldOut, cells: Portfolio, steps: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return purchases up to each step, the sum of their squares by customer, and purchases by cell, cumulated."""
    order = np.lexsort((held.when, held.who))
    who, step = held.who[order], np.searchsorted(steps, held.when[order] - 1e-9)
    fresh = np.r_[True, who[1:] != who[:-1]] if who.size else np.zeros(0, dtype=bool)
    begin = np.flatnonzero(fresh)
    rank = np.arange(who.size) - np.repeat(begin, np.diff(np.append(begin, who.size)))
    size = steps.size
    seen, squares = (
        totals(step, np.ones(who.size), size),
        totals(step, np.asarray(2 * rank + 1, dtype=np.float64), size),
    )
    flat = totals(cells.of[who] * size + step, np.ones(who.size), cells.x.size * size).reshape(-1, size)
    return np.cumsum(seen), np.cumsum(squares), np.cumsum(flat, axis=1)
