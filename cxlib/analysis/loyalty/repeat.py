"""Repeat purchase: who buys again within a window, and how long it takes, where nobody signs off when they leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import numbers, require
from cxlib.analysis.loyalty import doors
from cxlib.analysis.loyalty.survival import survival
from cxlib.errors import UsageError
from cxlib.measure.intervals import clopper_pearson
from cxlib.measure.rows import Numbers

REPEAT, MEDIAN = "repeat_purchase", "median_days_to_repeat"
COHORTS = {"month": "M", "quarter": "Q", "year": "Y"}
_NONE = "nobody bought again"


class _Waits(NamedTuple):
    """One row per customer: days to the next purchase or to the end, whether it came, the label, what was left out."""

    days: Numbers
    again: Numbers
    group: pd.Series | None
    note: str


def repeat_purchase(
    orders: pd.DataFrame,
    *,
    end: Any,
    windows: Sequence[float] = (30, 90, 180, 365),
    customer: str = "customer_id",
    date: str = "ordered_at",
    by: str = "",
    cohort: str = "",
    after: int = 1,
    confidence: float = 0.95,
    interval: str = "log-log",
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate the share of customers who buy again within each window after a purchase, and the median wait.

    Purchases of one day are one. Customers whose window is not over count for as long as they were watched
    (Kaplan and Meier 1958): to leave them out would waste them, to call them lost would be wrong.

    Parameters
    ----------
    orders
        One row per order, in any order.
    end
        The last day that the orders tell of; later ones are not looked at.
    windows
        Days after the purchase.
    customer, date
        Columns. Days are those of the times as they are.
    by
        Column to compare: the label of the purchase from which is counted.
    cohort
        Compare by when that purchase was: `month`, `quarter` or `year`. Not together with `by`.
    after
        From which of the customer's purchases on: 1 asks for the second one, 2 for the third of those with two.
    confidence, interval
        Of the intervals, and on which scale: `log-log` (default, inside 0 to 1) or `log`.
    min_n
        Groups of fewer customers, and windows to whose end fewer were watched, are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame: per group and window a row `repeat_purchase` (`at` the days; 1 less Kaplan-Meier, Greenwood
        errors, where nobody bought again Clopper and Pearson's limit; n customers, n_eff those still watched then), per
        group a row `median_days_to_repeat`. A window that nobody of a group was watched for is undefined; the median is
        where fewer than half bought again.

    Raises
    ------
    UsageError
        For columns that lack, what is no date, windows of 0 or less, and where no customer has such a purchase.
    """
    must_be_frame(orders, "orders")
    if by and cohort:
        raise UsageError("compare by a column or by cohort, not by both")
    if cohort and cohort not in COHORTS:
        raise UsageError(f"'{cohort}' is no cohort; there are {', '.join(COHORTS)}")
    asked = numbers("windows", np.atleast_1d([*windows] if isinstance(windows, Iterator) else windows))
    if not asked.size or not (asked > 0).all():
        raise UsageError("windows are days, more than 0")
    waits = _waits(orders, doors.day("end", end), customer, date, by, cohort, after)
    found = survival(
        waits.days, waits.again, by=waits.group, at=asked, interval=interval, confidence=confidence, min_n=min_n
    )
    found = found[found["metric"].isin(["survival", "median_survival"])]
    return _turned(_nobody(found, confidence), waits.note, by or cohort)


def _nobody(found: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Give shares of nobody at all the exact upper limit of as many customers as were watched to the window's end.

    Greenwood's error is 0 then, and twelve customers of whom none has come back are no certainty.
    """
    none = (found["metric"] == "survival") & (found["estimate"] == 1)
    size = found.loc[none, "n_eff"].to_numpy(dtype=float)
    low = 1 - clopper_pearson(np.zeros(size.size), np.maximum(size, 1), confidence)[1]
    out = found.copy()
    out.loc[none, "conf_low"], out.loc[none, "note"] = low, _NONE
    out.loc[none, "method"] = "Kaplan-Meier, exact limit of those watched to the end"
    return out


def _turned(found: pd.DataFrame, note: str, segment: str) -> pd.DataFrame:
    """Return survival without a purchase as the share that bought again."""
    share = found["metric"] == "survival"
    low, high = (1 - found[name] for name in ("conf_high", "conf_low"))
    words = {
        "fewer than half have left": "fewer than half have bought again",
        "have left": "have bought again",
        "are still there at": "have not bought again by day",
    }
    notes = found["note"].replace(words, regex=True)
    method = found["method"].str.replace("Kaplan-Meier", "1 less Kaplan-Meier").where(share, found["method"])
    return results.conform(
        found.assign(
            metric=np.where(share, REPEAT, MEDIAN),
            segment=segment or "all",
            estimate=found["estimate"].where(~share, 1 - found["estimate"]),
            conf_low=found["conf_low"].where(~share, low),
            conf_high=found["conf_high"].where(~share, high),
            method=method,
            note=notes.where(notes != "", note),
        )
    )


def _waits(orders: pd.DataFrame, end: float, customer: str, date: str, by: str, cohort: str, after: int) -> _Waits:
    """Return the wait of each customer who has an `after`-th purchase by the end."""
    require(orders, {"customer": customer, "date": date} | ({"by": by} if by else {}))
    if after < 1:
        raise UsageError(f"purchases are counted from 1, not from {after}")
    when = doors.days(date, orders[date])
    who = doors.customers(orders[customer])
    labels = orders[by].to_numpy(dtype=object) if by else np.full(len(orders), "")
    told = pd.DataFrame({"who": who, "day": np.floor(when), "at": when, "label": labels})
    lacking, late = (told["who"] < 0) | told["day"].isna(), told["day"] > np.floor(end)
    kept = told[~lacking & ~late].assign(name=lambda t: t["label"].astype(str))
    kept = kept.sort_values(["who", "day", "at", "name"], kind="stable").drop_duplicates(["who", "day"])
    kept["place"] = kept.groupby("who").cumcount() + 1
    first = kept[kept["place"] == after].set_index("who")
    if first.empty:
        raise UsageError(f"no customer has {after} purchase{'s' * (after > 1)} by the end")
    following = kept[kept["place"] == after + 1].set_index("who")["day"].reindex(first.index)
    again = following.notna()
    wait = following.where(again, np.floor(end)) - first["day"]
    note = doors.listed([
        (int(lacking.sum()), "without a customer or a date"), (int((late & ~lacking).sum()), "after the end")
    ])  # fmt: skip
    group = _group(first, by, cohort)
    return _Waits(wait.to_numpy(), again.to_numpy(dtype=float), group, note)


def _group(first: pd.DataFrame, by: str, cohort: str) -> pd.Series | None:
    """Return what customers are compared by, in the order of the customers."""
    if by:
        return first["label"].rename(by).reset_index(drop=True)
    if not cohort:
        return None
    days: ArrayLike = pd.to_datetime(first["day"].to_numpy(), unit="D")
    names = pd.PeriodIndex(days, freq=COHORTS[cohort]).astype(str).str.replace("Q", "-Q")
    return pd.Series(names, name=cohort)
