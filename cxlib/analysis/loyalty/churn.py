"""How many leave? Churn by its four denominators, which give four numbers for one month."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.loyalty import doors
from cxlib.analysis.loyalty.spells import Spells, spells
from cxlib.errors import UsageError
from cxlib.measure.formulas import rate, share
from cxlib.measure.intervals import check_confidence
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Codes, Numbers
from cxlib.periods import KINDS, Period

DENOMINATORS = ("customer-time", "start cohort", "average", "start")
MONTH = 30.4375
_JOINERS = "its numerator sees those who joined and left, its denominator does not: too high where many join"


def churn(
    subscriptions: pd.DataFrame,
    start: Any,
    end: Any,
    *,
    customer: str = "customer_id",
    started_on: str = "started_on",
    ended_on: str = "ended_on",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate how many customers leave in a period, by each of the four denominators in use.

    Parameters
    ----------
    subscriptions
        One row a subscription. Those of one customer that touch or overlap are one: a change of plan is no loss; who
        comes back later was lost.
    start, end
        First day of the period, and the day after its last: dates, or texts such as 2026-10-01.
    customer, started_on, ended_on
        Columns; `ended_on` is missing while a subscription runs, and the first day without it.
    confidence
        Of the intervals.
    min_n
        Rows with fewer customers are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame, metric `churn`, segment `denominator`, one row a level. With L ends within the period, S
        customers before its first day and E after its last:

        - `customer-time`: L per 30.4375 days that customers were there; exact Poisson limits
        - `start cohort`: of S the share that left; Wilson limits
        - `average`: L / ((S + E) / 2); exact Poisson limits of L
        - `start`: L / S, joiners above the line only; exact Poisson limits of L

        n counts the customers that the denominator is made of; n_eff of the rates is L, less where customers leave
        twice. `undefined` where there is nobody to leave.

    Raises
    ------
    UsageError
        For columns that lack, dates that are none, a period that does not end after it starts.

    Source: the shares, Wilson (1927); the rates, Garwood (1936), variances robust to customers who leave twice.
    """
    must_be_frame(subscriptions, "subscriptions")
    check_confidence(confidence)
    first, last = doors.day("start", start), doors.day("end", end)
    if not last > first:
        raise UsageError(f"the period from {start} to {end} has no days", hint="`end` is the day after its last.")
    found = spells(subscriptions, customer, started_on, ended_on)
    rows = _rows(found, first, last, confidence)
    table = doors.noted(rows, found.note).assign(metric="churn", segment="denominator", period=_period(first, last))
    return results.suppress(results.conform(table), min_n)


def _rows(found: Spells, first: float, last: float, confidence: float) -> pd.DataFrame:
    """Return the four rows; in the order of `DENOMINATORS`."""
    here = (found.start < last) & (found.end >= first)
    who, start, end = found.who[here], found.start[here], found.end[here]
    lost, old, stays = (end < last).astype(float), start < first, (end >= last).astype(float)
    months = (np.minimum(end, last) - np.maximum(start, first)) / MONTH
    cohort = share(lost[old].sum(), old.sum(), confidence=confidence)
    cohort = cohort.assign(method="lost of those there at the start, wilson")
    length = f"{MONTH:g} customer-days"
    parts = [
        _rate(lost, months, who, confidence, f"lost per {length}, exact Poisson"), cohort,
        _rate(lost, (old + stays) / 2, who, confidence, "lost per average of start and end, exact Poisson"),
        _rate(lost, old.astype(float), who, confidence, "lost, joiners too, per customer at the start, exact Poisson"),
    ]  # fmt: skip
    whole = results.concat([part.assign(level=level) for part, level in zip(parts, DENOMINATORS, strict=True)])
    joiners = (whole["level"] == "start") & (whole["status"] == results.OK)
    nobody = whole["status"] == results.UNDEFINED
    note = whole["note"].mask(joiners, _JOINERS).mask(nobody, "no customer to leave")
    return results.conform(whole.assign(note=note))


def _rate(lost: Numbers, over: Numbers, who: Codes, confidence: float, method: str) -> pd.DataFrame:
    """Return the lost per unit of the denominator."""
    moments = Moments.of(lost, over, clusters=who)
    found = rate(moments.sums["y"], moments.sums["x"], confidence=confidence, deff=moments.overdispersion)
    people = np.unique(who[over > 0]).size
    return found.assign(n=float(people), method=method)


def _period(first: float, last: float) -> str:
    """Return the label of the month, quarter or week that the days are; empty where they are none."""
    if first % 1 or last % 1:
        return ""
    days = [date(1970, 1, 1) + timedelta(days=int(day)) for day in (first, last)]
    for kind in KINDS:
        try:
            period = Period(days[0], kind)
        except UsageError:
            continue
        if period.next_day == days[1]:
            return str(period)
    return ""
