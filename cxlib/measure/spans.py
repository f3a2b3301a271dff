"""Periods as an engine sees them: a number per row, the bounds of each number, and its label at the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.slots import Slots
from cxlib.periods import Period


def at_same_time(periods: Sequence[Period], *, apart: bool) -> list[list[Period]]:
    """Split sorted periods into groups that one scan can serve: without overlaps where rows are `apart`, else all."""
    groups: list[list[Period]] = []
    for period in periods:
        free = [group for group in groups if not apart or group[-1].next_day <= period.first_day]
        if free:
            free[0].append(period)
        else:
            groups.append([period])
    return groups


class Cut(Protocol):
    """What rows are cut by: the same periods for all, or spans of each customer's own (`exposed_spans.OwnSpans`)."""

    def meet(self, rows: ir.Table, time: str, window: int) -> tuple[ir.Table, list[Any]]:
        """Return rows beside the spans that they may belong to, and the conditions on which they do."""

    def number(self, rows: ir.Table, time: str, window: int) -> ir.Value:
        """Return the number of the span of each row that belongs to one."""

    def names(self, rows: ir.Table, time: str, window: int, wanted: Collection[str]) -> dict[str, ir.Value]:
        """Return what expressions may say of each row's span, those of `wanted`."""


class Spans:
    """Periods, numbered from 0; with `rolling` each stands for itself and those of its kind before it.

    With `slots` what is said of them is left open (see `slots.Slots`).
    """

    def __init__(self, periods: Sequence[Period], timezone: str, rolling: int = 1, slots: Slots | None = None) -> None:
        self.periods, self.rolling, self.slots = list(periods), rolling, slots
        self.bounds = [period.bounds(timezone) for period in periods]

    def cross(self, rows: ir.Table) -> ir.Table:
        """Return every row beside every period: `_p`, its number, and its names."""
        return rows.cross_join(_stack([self._row(number) for number in range(len(self.periods))]))

    def meet(self, rows: ir.Table, time: str, window: int) -> tuple[ir.Table, list[Any]]:
        """Return the rows and that their time lies in a period; without a time, every row beside every period."""
        return (rows, [self.within(rows[time], window)]) if time else (self.cross(rows), [])

    def within(self, moment: Any, window: int) -> ir.BooleanValue:
        """Say whether a time, or a date, lies in any of the periods."""
        runs: list[tuple[Any, Any]] = []
        for number, (start, end) in enumerate(self._bounds(moment, window)):
            follows = number and self.periods[number - 1].next_day == self.periods[number].first_day
            runs[-1:] = [(runs[-1][0], end)] if follows else [*runs[-1:], (start, end)]
        return reduce(or_, [(moment >= start) & (moment < end) for start, end in runs])

    def number(self, rows: ir.Table, time: str, window: int) -> ir.Value:
        """Return the number of the period of each row that `meet` left."""
        return self._by_time(rows[time], window, range(len(self.periods)), "int64") if time else rows._p

    def _by_time(self, moment: Any, window: int, values: Sequence[Any], kind: str) -> ir.Value:
        """Return the value of the period of a time that lies in any."""
        ends = [moment < end for _, end in self._bounds(moment, window)]
        return pick(ends, [_literal(value, kind) for value in values])

    def _bounds(self, moment: Any, window: int) -> list[tuple[Any, Any]]:
        """Return what a time, or a date, must lie between: local days for dates, their UTC bounds for times."""
        kind = moment.type()
        if not kind.is_timestamp() and not kind.is_date():
            raise UsageError(f"'{moment.get_name()}' is a {kind}, not a time")
        names = ("start", "end") if kind.is_date() else ("from", "until")
        return list(zip(*(self._said(name, window) for name in names), strict=True))

    def _said(self, name: str, days: int = 0) -> list[Any]:
        """Return the days (`start`, `end`) or the times (`from`, `until`) that periods lie between, `days` earlier."""
        if self.slots:
            return [self.slots.value(name, period, days) for period in self.periods]
        if name in ("start", "end"):
            found = [period.first_day if name == "start" else period.next_day for period in self.periods]
        else:
            found = [bounds[name == "until"] for bounds in self.bounds]
        return [value - timedelta(days=days) for value in found]

    def _row(self, number: int) -> ir.Table:
        """Return a table of one period."""
        row = ibis.literal(number, type="int64").name("_p").as_table()
        return row.mutate(**{name: _literal(found[number], kind) for name, kind, found in self._names()})

    def _names(self) -> list[tuple[str, str, list[Any]]]:
        """Return name, type and value per period of what an expression may say of it."""
        return [
            ("period_start", "date", self._said("start")),
            ("period_end", "date", self._said("end")),
            ("period_from", "timestamp", self._said("from")),
            ("period_until", "timestamp", self._said("until")),
        ]

    def names(self, rows: ir.Table, time: str, window: int, wanted: Collection[str]) -> dict[str, ir.Value]:
        """Return those of `period_start`, `period_end`, ... that are wanted, of each row's period."""
        found = {
            name: self._by_time(rows[time], window, values, kind) if time else rows[name]
            for name, kind, values in self._names()
            if name in wanted
        }
        return found | {"window": ibis.literal(window, "int64")}

    def label(self, number: Any) -> ir.Value:
        """Return the label of each number."""
        if self.slots:
            return self._by_number(number, [self.slots.value("label", period) for period in self.periods], "string")
        return self._by_number(number, [period.label for period in self.periods], "string")

    def days(self, number: Any) -> ir.Value:
        """Return the calendar days of each number's period."""
        if self.slots:
            marks = [self.slots.value("days", period, self.rolling - 1) for period in self.periods]
            return self._by_number(number, marks, "int64")
        first = [period.previous(self.rolling - 1).first_day for period in self.periods]
        days = [(period.next_day - start).days for period, start in zip(self.periods, first, strict=True)]
        return self._by_number(number, days, "int64")

    def _by_number(self, number: Any, values: Sequence[Any], kind: str) -> ir.Value:
        known = [_literal(value, kind) for value in values]
        return pick([number == n for n in range(len(values))], known)


def _literal(value: Any, kind: str) -> ir.Value:
    """Return a value of a type; what is left open has one."""
    return value if isinstance(value, ir.Value) else ibis.literal(value, type=kind)


def numbers_table(**columns: Sequence[int]) -> ir.Table:
    """Return a small table of whole numbers; a union of rows needs no temporary table on any engine."""
    first, *others = columns
    rows = []
    for values in zip(*columns.values(), strict=True):
        row = ibis.literal(values[0], "int64").name(first).as_table()
        more = {name: ibis.literal(value, "int64") for name, value in zip(others, values[1:], strict=True)}
        rows.append(row.mutate(**more) if more else row)
    return _stack(rows)


def _stack(rows: Sequence[ir.Table]) -> ir.Table:
    return rows[0] if len(rows) == 1 else ibis.union(*rows)


def pick(conditions: Sequence[Any], values: Sequence[Any]) -> ir.Value:
    """Return the value of the first condition that holds; the last is sure to."""
    branches = list(zip(conditions[:-1], values[:-1], strict=True))
    return ibis.cases(*branches, else_=values[-1]) if branches else values[-1]
