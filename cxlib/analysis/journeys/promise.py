"""Was the promise kept? Delivery against the promised time, with what is still under way and what never came.

A parcel that has not come is not left out: where its promise has passed it is late, where not it is open. How late
parcels come is read off a Kaplan-Meier curve of the days between promise and delivery, in which those that have not
come were watched until the end of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import alike
from cxlib.measure import formulas, intervals
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Codes, Numbers, numbered

KEPT, OUTCOME, DAYS, BY_DAY, LOST = "promise_kept", "promise_outcome", "days_late", "delivered_by", "orders_lost"
IN_TIME, LATE, TO_COME, GONE, OPEN = "in time", "late", "late, still to come", "lost", "under way, promise to come"
OUTCOMES = (IN_TIME, LATE, TO_COME, GONE, OPEN)
BY_MONTH = "by month"
QUANTILES = (0.05, 0.5, 0.9, 0.95)
LOST_AFTER = 30
_DAY = 86_400.0
_AXIS = (-14, 31)  # days about the promise that the curve is told of


@dataclass(frozen=True)
class Curve:
    """The share delivered by each day after the promise, by Kaplan-Meier, with what its errors are made of.

    Parameters
    ----------
    times, share, at_risk, events
        Shape (m,): days from the promise at which something came, the share that had come by then, how many were
        watched just before, how many came then.
    days, came, people
        Shape (n,): of each order the days until it came or was last watched, whether it came, its customer.
    last
        Until when the curve is known.
    """

    times: Numbers
    share: Numbers
    at_risk: Numbers
    events: Numbers
    days: Numbers
    came: Numbers
    people: Codes
    last: float

    @cached_property
    def _influence(self) -> tuple[Codes, Numbers, Numbers]:
        """Of each order how many times lie up to its own and one over those left when it came; hazards summed."""
        place, left = np.searchsorted(self.times, self.days, side="right"), self.at_risk - self.events
        left = np.where(left > 0, left, 1.0)  # nobody is left: the curve is at its end, which multiplies it by 0
        own = np.where(self.came > 0, 1 / left[np.maximum(place - 1, 0)], 0.0)
        return place, own, np.append(0.0, np.cumsum(self.events / self.at_risk / left))

    def at(self, when: float) -> tuple[float, float]:
        """Return the share delivered by a day after the promise, and how many independent orders that is worth.

        The variance is that of the sums of customers' influence on the curve (the infinitesimal jackknife of R
        `survfit(cluster=)`; Ying and Wei 1994, J. Multivar. Anal. 50:17), with G / (G - 1); what it is worth is made of
        it as in `Moments.effective_n`.
        """
        upto = int(np.searchsorted(self.times, when, side="right"))
        share = float(self.share[upto - 1]) if upto else 0.0
        place, own, hazard = self._influence
        each = hazard[np.minimum(place, upto)] - own * (self.days <= when)
        total = (1 - share) * np.bincount(self.people, each)
        groups, n = total.size, float(self.days.size)
        spread = float(total @ total) * groups / max(groups - 1, 1)
        if not spread > 0 or groups < 2:
            return share, float(groups)
        few = (stats.t.isf(0.025, n - 1) / stats.t.isf(0.025, groups - 1)) ** 2
        return share, min(share * (1 - share) / spread * n / (n - 1) * few, n)

    def day(self, share: float) -> float:
        """Return the first day by which a share had come; infinite where it never does."""
        place = int(np.searchsorted(self.share, share - 1e-12))
        return float(self.times[place]) if place < self.times.size else float("inf")


def curve(days: Numbers, watched: Numbers, people: Codes) -> Curve:
    """Return the curve of orders.

    Parameters
    ----------
    days
        From the promise to the delivery, below 0 where it came early; missing where it has not come. Shape (n,).
    watched
        From the promise to the end of the data.
    people
        The customer of each order, from 0.
    """
    came = ~np.isnan(days) & ~(days > watched)
    upto = np.where(came, days, watched)
    order = np.sort(upto)
    times, events = np.unique(upto[came], return_counts=True)
    risk = (upto.size - np.searchsorted(order, times, side="left")).astype(float)
    share = 1 - np.cumprod(1 - events / risk)
    return Curve(times, share, risk, events.astype(float), upto, came.astype(float), people, float(order[-1]))


def delivery(
    frame: pd.DataFrame,
    until: datetime,
    *,
    lost_after: int = LOST_AFTER,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Hold deliveries against their promises.

    Parameters
    ----------
    frame
        One row an order with a promise: `customer_id`, `promised_at`, `delivered_at` (missing: has not come), and
        `period`, the label of the period in which it was placed.
    until
        The end of the data: what came later is not known.
    lost_after
        Days after its promise at which an order that has not come counts as lost.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        `promise_kept`: share of promises that have passed and were kept, for all, and by period (`at` "by month").
        `promise_outcome`: shares of all orders by what became of them. `orders_lost`: of the orders whose promise
        passed so long ago.
        `days_late`: quantiles (`at` p5, p50, p90, p95) of days after the promise, below 0 early; never-come orders
        count as later than any. `delivered_by`: share delivered by so many days (`at`) after the promise.
    """
    table = doors.frame(frame)
    doors.require(table, ["customer_id", "promised_at", "delivered_at", "period"])
    kept = table[table["promised_at"].notna()]
    end = pd.Timestamp(until)
    promised, came = (
        doors.moments("promised_at", kept["promised_at"]),
        doors.moments("delivered_at", kept["delivered_at"]),
    )
    came = came.where(came < end)
    days = ((came - promised).dt.total_seconds() / _DAY).to_numpy(dtype=float)
    watched = ((end - promised).dt.total_seconds() / _DAY).to_numpy(dtype=float)
    if not days.size:
        return results.frame(metric=KEPT, status=results.UNDEFINED, note="no order was promised for any time")
    told = kept[["customer_id", "period"]].assign(**_outcomes(days, watched, lost_after))
    how: dict[str, Any] = {"confidence": confidence, "min_n": min_n}
    return results.concat([*_shares(told, lost_after, how), _late(kept["customer_id"], days, watched, how)])


def _outcomes(days: Numbers, watched: Numbers, lost_after: int) -> dict[str, object]:
    """Return what became of each order: in words, whether its promise was kept, and whether it was lost."""
    here, passed = ~np.isnan(days), watched > 0
    word = np.select(
        [~passed, here & (days <= 0), here, watched > lost_after], [OPEN, IN_TIME, LATE, GONE], TO_COME
    ).astype(object)  # fmt: skip
    gone = ~here | (days > lost_after)
    return {
        "outcome": word,
        "kept": np.where(passed, (here & (days <= 0)).astype(float), np.nan),
        "lost": np.where(watched > lost_after, gone.astype(float), np.nan),
    }


def _shares(told: pd.DataFrame, lost_after: int, how: dict[str, Any]) -> list[pd.DataFrame]:
    """Return the shares of what became of the orders."""
    whole = alike.levels(told, "kept", metric=KEPT, **how)
    open_ = int((told["outcome"] == OPEN).sum())
    note = "promises that have passed; what has not come by then is late"
    whole = results.label(whole, note=f"{note}" + f"; {open_:,} orders under way are not in it" * bool(open_))
    monthly = alike.levels(told, "kept", "period", metric=KEPT, **how)
    monthly = results.label(monthly.assign(period=monthly["level"]), segment="all", level="all", at=BY_MONTH)
    became = _became(told[["customer_id", "outcome"]], how)
    lost = alike.levels(told, "lost", metric=LOST, **how)
    lost = results.label(lost, note=f"not come {lost_after} days after the promise, of orders promised so long ago")
    if set(became.loc[became["status"] == results.SUPPRESSED, "level"]) & {GONE, TO_COME}:
        lost = alike.suppressed(lost, ["all"])  # it would tell the one from the other
    return [whole, became, lost, monthly]


def _became(told: pd.DataFrame, how: dict[str, Any]) -> pd.DataFrame:
    """Return which share of the orders became what."""
    code = pd.Categorical(told["outcome"], categories=OUTCOMES).codes.astype(int)
    people, groups = numbered(told["customer_id"], np.ones(code.size, dtype=bool))
    size = len(OUTCOMES)
    each = np.bincount(people * size + code, minlength=groups * size).reshape(groups, size).astype(float)
    x, y = each.sum(axis=1, keepdims=True), each.sum(axis=0)
    n = np.full(size, float(code.size))
    products = {("x", "x"): np.full(size, float((x**2).sum())), ("x", "y"): (x * each).sum(axis=0),
                ("y", "y"): (each**2).sum(axis=0)}  # fmt: skip
    sums = Moments(n, np.full(size, float(groups)), {"x": n, "y": y}, products, y)
    found = formulas.share(y, n, n_eff=sums.effective_n, confidence=how["confidence"])
    found = results.label(found, metric=OUTCOME, segment="outcome", level=list(OUTCOMES), comparison="share", note="")
    held = dict(zip(OUTCOMES, (each > 0).sum(axis=0).astype(float).tolist(), strict=True))
    return alike.suppressed(found[y > 0], alike.unseen(held, int(how["min_n"])))


def _late(customers: pd.Series, days: Numbers, watched: Numbers, how: dict[str, Any]) -> pd.DataFrame:
    """Return quantiles of days after the promise, and the curve day by day."""
    people, groups = numbered(customers, np.ones(days.size, dtype=bool))
    if groups < how["min_n"]:
        return results.frame(
            metric=np.array([DAYS, BY_DAY], dtype=object), status=results.SUPPRESSED, note=alike.HIDDEN
        )
    found = curve(days, watched, people)
    if not found.times.size:
        return results.frame(metric=DAYS, status=results.UNDEFINED, note="nothing has been delivered")
    return results.concat([
        *(_quantile(found, q, how["confidence"]) for q in QUANTILES), _by_day(found, how["confidence"])
    ])  # fmt: skip


def _quantile(found: Curve, q: float, confidence: float) -> pd.DataFrame:
    """Return a quantile of days, its limits read off the curve (Woodruff 1952, JASA 47:635).

    At the ranks of the exact interval of as many independent orders as the share at the quantile is worth.
    """
    value = found.day(q)
    about = {"metric": DAYS, "at": f"p{100 * q:g}", "n": float(found.days.size)}
    if np.isinf(value):
        return results.frame(**about, status=results.TOO_FEW, note="so many orders have not come")
    _, worth = found.at(value)
    size = max(int(worth), 1)
    _, first, past = intervals.quantile_ranks(size, q, confidence)
    ends = found.day(float(first) / size), found.day(float(past) / size)
    if first < 1 or past > size or np.isinf(ends[1]):
        return results.frame(**about, status=results.TOO_FEW, note="so few came so late that the limit is not known")
    return results.frame(
        **about, estimate=value, conf_low=ends[0], conf_high=ends[1], n_eff=worth,
        method="Kaplan-Meier, order-statistic limits, cluster-robust n_eff",
        note="days after the promise, below 0 early; what has not come is later than any",
    )  # fmt: skip


def _by_day(found: Curve, confidence: float) -> pd.DataFrame:
    """Return the share delivered by each day about the promise."""
    first, last = max(_AXIS[0], int(np.floor(found.times[0]))), min(_AXIS[1], int(found.last) + 1)
    when = np.arange(first, max(last, first + 1))
    share, worth = np.array([found.at(float(day)) for day in when]).T
    low, high = intervals.wilson(share, worth, confidence)
    return results.frame(
        metric=BY_DAY, at=when.astype(str), comparison="level", estimate=share,
        std_error=np.sqrt(share * (1 - share) / worth), conf_low=low, conf_high=high, n=float(found.days.size),
        n_eff=worth, method="Kaplan-Meier, Wilson, cluster-robust n_eff",
    )  # fmt: skip
