"""Who is still there after so many months? Cohorts by the month they came in, against their age."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import require
from cxlib.analysis.loyalty import doors
from cxlib.analysis.loyalty.spells import spells
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.formulas import share
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Codes, Numbers
from cxlib.periods import KINDS, Period

BOUNDED, UNBOUNDED = "bounded", "unbounded"
_EPOCH = date(1970, 1, 1)
_FIRST_MONDAY = 4  # 1970-01-05
_RISES = "may still rise: who comes back later counts"


class _Presence(NamedTuple):
    """For each customer the first period; and stretches of periods at which somebody was there."""

    cohort: Codes
    who: Codes
    first: Codes
    last: Codes
    note: str


def retention_triangle(
    frame: pd.DataFrame,
    end: Any,
    *,
    customer: str = "customer_id",
    date: str = "started_on",
    until: str | None = "ended_on",
    since: Any = None,
    unit: str = "month",
    kind: str = BOUNDED,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate which share of each cohort is there at each age.

    Parameters
    ----------
    frame
        Subscriptions (one row from `date` to `until`), or with `until = None` events such as orders (one row each).
    end
        The day after the last that is known: periods that end later are not over.
    customer, date, until
        Columns. The period of a customer's first `date` is the cohort.
    since
        First day of the first cohort shown; default all. Customers from before the records began belong to cohorts
        of which only those who stayed are known: leave these out.
    unit
        `month`, `quarter` or `week`: of cohorts and of ages; age 0 is the cohort's own.
    kind
        `bounded` (default): subscribed at the end of the period of that age, or with an event in it. `unbounded`: so
        then or at any later time; it can only fall with age, and the newest cells may still rise.
    confidence
        Of the intervals (Wilson).
    min_n
        Rows of smaller cohorts are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame, metric `bounded_retention` or `unbounded_retention`, segment `cohort`, one row a cohort
        (`level`) and age (`at`), n the cohort's customers. Cells of periods that are not over are `undefined`: young
        cohorts are censored, not lost.

    Raises
    ------
    UsageError
        For columns that lack, dates that are none, an unknown unit or kind, and where no period is over.

    Source: Fader and Hardie (2007) J. Interact. Mark. 21(1):76, for cohorts; Wilson (1927).
    """
    must_be_frame(frame)
    check_confidence(confidence)
    for name, value, known in (("unit", unit, KINDS), ("kind", kind, (BOUNDED, UNBOUNDED))):
        if value not in known:
            raise UsageError(f"'{value}' is no {name}; there are {', '.join(known)}{did_you_mean(value, known)}")
    known_to = doors.day("end", end)
    over = int(_index(np.array([known_to]), unit)[0]) - 1  # the last period that is over
    if until is None:
        presence = _active(frame, customer, date, known_to, unit)
    else:
        presence = _subscribed(frame, customer, date, until, known_to, unit)
    least = -np.inf if since is None else _index(np.array([doors.day("since", since)]), unit)[0]
    cohorts = np.unique(presence.cohort[(presence.cohort >= least) & (presence.cohort <= over)])
    if not cohorts.size:
        raise UsageError(f"no {unit} in which customers came is over on {end}")
    counts, sizes = _counts(presence, cohorts, over, kind)
    found = _cells(counts, sizes, cohorts, over, unit, kind, until is None, confidence)
    table = doors.noted(found, presence.note).assign(metric=f"{kind}_retention")
    return results.suppress(results.conform(table), min_n)


def _subscribed(frame: pd.DataFrame, customer: str, date: str, until: str, known_to: float, unit: str) -> _Presence:
    """Return at the ends of which periods each customer was subscribed."""
    found = spells(frame, customer, date, until)
    kept = found.start < known_to
    who, start, end = found.who[kept], found.start[kept], np.minimum(found.end[kept], known_to)
    first = _index(start, unit)
    return _Presence(_firsts(who, first), who, first, _index(end, unit) - 1, found.note)


def _active(frame: pd.DataFrame, customer: str, date: str, known_to: float, unit: str) -> _Presence:
    """Return in which periods each customer had an event."""
    require(frame, {"customer": customer, "date": date})
    who, when = doors.customers(frame[customer]), doors.days(date, frame[date])
    known = (who >= 0) & ~np.isnan(when)
    note = doors.listed([(int((~known).sum()), f"without {customer} or {date}")])
    kept = known & (np.where(known, when, np.inf) < known_to)
    pairs = np.unique(np.stack([who[kept], _index(when[kept], unit)], axis=1), axis=0)
    who, period = pairs[:, 0], pairs[:, 1]
    return _Presence(_firsts(who, period), who, period, period, note)


def _firsts(who: Codes, period: Codes) -> Codes:
    """Return each customer's first period, by number; far in the future for numbers without one."""
    first = np.full(int(who.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, who, period)
    return first


def _counts(presence: _Presence, cohorts: Codes, over: int, kind: str) -> tuple[Numbers, Numbers]:
    """Return customers there by cohort and age, and the sizes of the cohorts."""
    ages = over - int(cohorts[0]) + 1
    size = np.bincount(
        np.searchsorted(cohorts, presence.cohort[np.isin(presence.cohort, cohorts)]), minlength=cohorts.size
    )
    mine = np.isin(presence.cohort[presence.who], cohorts)
    who, first, last = presence.who[mine], presence.first[mine], presence.last[mine]
    if kind == UNBOUNDED:  # one stretch a customer, to the last time seen
        final = np.full(presence.cohort.size, -1)
        np.maximum.at(final, who, last)
        who = np.unique(who)
        first, last = presence.cohort[who], final[who]
    row, came = np.searchsorted(cohorts, presence.cohort[who]), presence.cohort[who]
    change = np.zeros((cohorts.size, ages + 1))
    last = np.minimum(last, over)
    there = last >= first
    np.add.at(change, (row[there], (first - came)[there]), 1.0)
    np.add.at(change, (row[there], (last - came)[there] + 1), -1.0)
    return np.cumsum(change, axis=1)[:, :-1], size.astype(float)


def _cells(
    counts: Numbers, sizes: Numbers, cohorts: Codes, over: int, unit: str, kind: str, events: bool, confidence: float
) -> pd.DataFrame:
    """Return one row a cohort and age."""
    ages = counts.shape[1]
    known = np.arange(ages) <= (over - cohorts)[:, None]
    cohort = np.repeat(cohorts, ages)
    found = share(counts.ravel(), np.repeat(sizes, ages), confidence=confidence)
    what = f"an event in that {unit}" if events else f"subscribed at the end of that {unit}"
    later = " or later" if kind == UNBOUNDED else ""
    censored, names = (
        ~known.ravel(),
        {int(period): _label(int(period), unit) for period in range(cohorts[0], over + ages)},
    )
    age = np.tile(np.arange(ages), cohorts.size)
    note = np.where(censored, [f"{names[int(c + a)]} is not over yet" for c, a in zip(cohort, age, strict=True)], "")
    rises = (kind == UNBOUNDED) & ~censored & (age > 0)
    return results.conform(found.assign(
        segment="cohort", level=[names[int(c)] for c in cohort], at=[str(a) for a in age],
        method=f"{kind}: {what}{later}; wilson", status=np.where(censored, results.UNDEFINED, found["status"]),
        note=np.where(rises, _RISES, note),
    ))  # fmt: skip


def _index(days: Numbers, unit: str) -> Codes:
    """Number the periods that days lie in."""
    whole = np.floor(days).astype(np.int64)
    if unit == "week":
        return (whole - _FIRST_MONDAY) // 7
    months = whole.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months // 3 if unit == "quarter" else months


def _label(index: int, unit: str) -> str:
    """Return the label of a numbered period."""
    if unit == "week":
        return str(Period(_EPOCH + timedelta(days=index * 7 + _FIRST_MONDAY), unit))
    months = index * 3 if unit == "quarter" else index
    return str(Period(date(1970 + months // 12, months % 12 + 1, 1), unit))
