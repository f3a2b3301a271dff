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
    """Periods, numbered from 0; with `rolling` each stands for itself and those of its kind before it."""

    def __init__(self, periods: Sequence[Period], timezone: str, rolling: int = 1) -> None:
        self.periods, self.rolling = list(periods), rolling
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
        for start, end in self._bounds(moment, window):
            follows = runs and runs[-1][1] == start
            runs[-1:] = [(runs[-1][0], end)] if follows else [*runs[-1:], (start, end)]
        return reduce(or_, [(moment >= start) & (moment < end) for start, end in runs])

    def number(self, rows: ir.Table, time: str, window: int) -> ir.Value:
        """Return the number of the period of each row that `meet` left."""
        return self._by_time(rows[time], window, range(len(self.periods)), "int64") if time else rows._p

    def _by_time(self, moment: Any, window: int, values: Sequence[Any], kind: str) -> ir.Value:
        """Return the value of the period of a time that lies in any."""
        ends = [moment < end for _, end in self._bounds(moment, window)]
        return pick(ends, [ibis.literal(value, type=kind) for value in values])

    def _bounds(self, moment: Any, window: int) -> list[tuple[Any, Any]]:
        """Return what a time, or a date, must lie between: local days for dates, their UTC bounds for times."""
        kind, back = moment.type(), timedelta(days=window)
        if not kind.is_timestamp() and not kind.is_date():
            raise UsageError(f"'{moment.get_name()}' is a {kind}, not a time")
        days = [(period.first_day, period.next_day) for period in self.periods]
        return [(start - back, end - back) for start, end in (days if kind.is_date() else self.bounds)]

    def _row(self, number: int) -> ir.Table:
        """Return a table of one period."""
        row = ibis.literal(number, type="int64").name("_p").as_table()
        return row.mutate(**{name: ibis.literal(found[number], type=kind) for name, kind, found in self._names()})

    def _names(self) -> list[tuple[str, str, list[Any]]]:
        """Return name, type and value per period of what an expression may say of it."""
        return [
            ("period_start", "date", [period.first_day for period in self.periods]),
            ("period_end", "date", [period.next_day for period in self.periods]),
            ("period_from", "timestamp", [start for start, _ in self.bounds]),
            ("period_until", "timestamp", [end for _, end in self.bounds]),
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
        return self._by_number(number, [period.label for period in self.periods], "string")

    def days(self, number: Any) -> ir.Value:
        """Return the calendar days of each number's period."""
        first = [period.previous(self.rolling - 1).first_day for period in self.periods]
        days = [(period.next_day - start).days for period, start in zip(self.periods, first, strict=True)]
        return self._by_number(number, days, "int64")

    def _by_number(self, number: Any, values: Sequence[Any], kind: str) -> ir.Value:
        known = [ibis.literal(value, type=kind) for value in values]
        return pick([number == n for n in range(len(values))], known)


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
