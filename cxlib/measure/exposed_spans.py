"""Spans of each customer's own: after the first exposure to an experiment, and before it.

`OwnSpans` stands where `Spans` does, so that any metric can be cut by either. Its bounds are columns of the row:

- 0, after: from the exposure until the window is over, or until the moment that is the end for all;
- 1, before: the days before the exposure.

A time belongs to a span that it does not precede and whose end it precedes; with a follow-up of w days besides, if the
w x 24 hours after it are over by the end. Days are local ones: `period_start` is the day of the exposure, which belongs
to the time after it, and windows of days are the same number of days for everybody, whatever the clocks do.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.derived import Undefined
from cxlib.measure.spans import numbers_table, pick

AFTER, BEFORE = 0, 1
_SAID = ("period_start", "period_end", "period_from", "period_until")
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True)
class Trial:
    """What the engine must know of a registered plan.

    Parameters
    ----------
    experiment
        Its name in the table `exposures`.
    arms
        The variants of the plan, control first.
    first, last
        Exposures in [first, last) count; naive UTC.
    until
        Nothing from this moment on counts; naive UTC.
    window
        Days after exposure that outcomes are taken of; 0: up to `until`. A unit whose window is not over by `until` is
        left out, and counted as waiting.
    before
        Days before exposure that covariates are taken of; 0: none.

    Raises
    ------
    UsageError
        For fewer than two arms, an arm named twice, moments out of order or with a zone, negative days.
    """

    experiment: str
    arms: tuple[str, ...]
    first: datetime
    last: datetime
    until: datetime
    window: int = 0
    before: int = 0

    def __post_init__(self) -> None:
        faults = []
        if len(set(self.arms)) < 2 or len(set(self.arms)) < len(self.arms):
            faults.append(f"arms must be two or more different variants, not {', '.join(self.arms) or 'none'}")
        moments = {"first": self.first, "last": self.last, "until": self.until}
        zoned = [name for name, moment in moments.items() if moment.tzinfo is not None]
        if zoned:
            faults.append(f"{', '.join(zoned)} must be naive UTC")
        elif not self.first < min(self.last, self.until):
            faults.append(f"last ({self.last}) and until ({self.until}) must be later than first ({self.first})")
        days = {"window": self.window, "before": self.before}
        faults += [f"{name} is {value} days: 0 or more are needed" for name, value in days.items() if value < 0]
        if faults:
            raise UsageError(f"experiment '{self.experiment}': " + "; ".join(faults))


class OwnSpans:
    """The spans of exposed customers.

    Parameters
    ----------
    trial
        The plan.
    timezone
        The reporting timezone.
    units
        Whose rows are wanted: `customer_id` and `exposed_at`, one row each.
    """

    def __init__(self, trial: Trial, timezone: str, units: ir.Table) -> None:
        self.trial, self.clock = trial, LocalTime(timezone, trial.first, trial.until)
        self._kinds = (AFTER, BEFORE) if trial.before else (AFTER,)
        # Worked out once per customer, not once per row.
        own = {f"{name}_{span}": at for span in self._kinds for name, at in self.said(units.exposed_at, span).items()}
        self._units = units.select(_unit=units.customer_id, **own)

    def meet(self, rows: ir.Table, time: str, window: int) -> tuple[ir.Table, list[Any]]:
        """Return rows of exposed customers, and the conditions on which they belong to a span; see `spans.Cut`."""
        if "customer_id" not in rows.columns:
            raise Undefined("the rows of this metric do not name the customers whom the experiment exposed")
        if not time:
            both = rows.inner_join(self._units, rows.customer_id == self._units._unit)
            return both.cross_join(numbers_table(_p=self._kinds)), []
        # Bounds that all spans share let engines pass over what cannot belong to any.
        low, high = self.trial.first - (self.trial.before + 1) * _DAY, self.trial.until + _DAY
        kind = _kind(rows[time])
        near = rows.filter(rows[time] >= ibis.literal(low, kind), rows[time] < ibis.literal(high, kind))
        both = near.inner_join(self._units, near.customer_id == self._units._unit)
        start, end = ("period_start", "period_end") if kind == "date" else ("period_from", "period_until")
        moment, after = both[time], both[f"{start}_{AFTER}"]
        belongs = [_within(moment, window, both[f"{start}_{n}"], both[f"{end}_{n}"]) for n in self._kinds]
        return both.mutate(_p=ibis.ifelse(moment >= after, AFTER, BEFORE).cast("int64")), [reduce(or_, belongs)]

    def number(self, rows: ir.Table, time: str, window: int) -> ir.Value:  # noqa: ARG002, as `Cut` has it
        """Return 0 or 1, as `meet` found it."""
        return rows._p

    def names(
        self, rows: ir.Table, time: str, window: int, wanted: Collection[str]  # noqa: ARG002, as `Cut` has it
    ) -> dict[str, ir.Value]:  # fmt: skip
        """Return `period_start`, `period_end`, `period_from`, `period_until` of each row's own span, if wanted."""
        mine = [rows._p == span for span in self._kinds]
        found = {name: pick(mine, [rows[f"{name}_{span}"] for span in self._kinds]) for name in _SAID if name in wanted}
        return found | {"window": ibis.literal(window, "int64")}

    def said(self, at: Any, span: int = AFTER) -> dict[str, ir.Value]:
        """Return all that expressions may say of the span of an exposure at `at`."""
        trial, local = self.trial, self.clock.of(at)
        if span == BEFORE:
            back = ibis.interval(days=trial.before)
            found = ((local - back).date(), local.date(), at - back, at)
        elif trial.window:
            on = ibis.interval(days=trial.window)
            found = (local.date(), (local + on).date(), at, at + on)
        else:
            last_day = ibis.literal(self.clock.day(trial.until), "date")
            found = (local.date(), last_day, at, ibis.literal(trial.until, "timestamp"))
        return dict(zip(_SAID, found, strict=True))

    def days(self, at: Any, span: int = AFTER) -> ir.IntegerValue:
        """Return the calendar days of the span of an exposure at `at`."""
        said = self.said(at, span)
        return (said["period_end"].epoch_days() - said["period_start"].epoch_days()).cast("int64")

    def over(self, at: Any) -> ir.BooleanValue:
        """Say whether the window of an exposure at `at` is over when all is known that will be."""
        return at <= ibis.literal(self.trial.until - self.trial.window * _DAY, "timestamp")


class LocalTime:
    """Turns naive UTC into local time by the offsets of a stretch of time: arithmetic that every engine does alike."""

    def __init__(self, timezone: str, first: datetime, last: datetime) -> None:
        self._zone = ZoneInfo(timezone)
        self._runs = [(last, self._offset(last))]
        day = last
        while day > first:
            before = day - _DAY
            if self._offset(before) != self._offset(day):
                self._runs.insert(0, (self._change(before, day), self._offset(before)))
            day = before

    def of(self, moment: Any) -> Any:
        """Return the local time of a moment of that stretch."""
        later = [moment < ibis.literal(change, "timestamp") for change, _ in self._runs]
        return pick(later, [moment + ibis.interval(seconds=int(offset.total_seconds())) for _, offset in self._runs])

    def day(self, moment: datetime) -> date:
        """Return the local day of a moment."""
        return (moment + self._offset(moment)).date()

    def _offset(self, moment: datetime) -> timedelta:
        return self._zone.fromutc(moment.replace(tzinfo=self._zone)).utcoffset() or timedelta(0)

    def _change(self, before: datetime, after: datetime) -> datetime:
        """Return the second from which the later of two offsets holds."""
        while after - before > _SECOND:
            middle = before + ((after - before) // 2 // _SECOND) * _SECOND
            same = self._offset(middle) == self._offset(after)
            before, after = (before, middle) if same else (middle, after)
        return after


def _within(moment: Any, window: int, start: Any, end: Any) -> ir.BooleanValue:
    """Say whether a time lies in a span and its follow-up is over by the end."""
    inside = (moment >= start) & (moment < end)
    return inside & (moment + ibis.interval(days=window) <= end) if window else inside


def _kind(moment: Any) -> str:
    kind = moment.type()
    if not kind.is_timestamp() and not kind.is_date():
        raise UsageError(f"'{moment.get_name()}' is a {kind}, not a time")
    return "date" if kind.is_date() else "timestamp"
