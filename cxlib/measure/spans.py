"""Periods as an engine sees them: a number per row, the bounds of each number, and its label at the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

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


class Spans:
    """Periods in time order, numbered from 0."""

    def __init__(self, periods: Sequence[Period], timezone: str) -> None:
        self.periods = list(periods)
        self.bounds = [period.bounds(timezone) for period in periods]

    def cut(self, rows: ir.Table, time: str, window: int) -> ir.Table:
        """Add `_p`, the number of each row's period; rows of no period go. Without `time` each row is in every one."""
        if not time:
            each = [self._row(number) for number in range(len(self.periods))]
            return rows.cross_join(each[0] if len(each) == 1 else ibis.union(*each))
        bounds = self._bounds(time, rows[time].type(), timedelta(days=window))
        moment: Any = rows[time]
        rows = rows.filter((moment >= bounds[0][0]) & (moment < bounds[-1][1]))
        branches: list[Any] = []
        for number, (start, end) in enumerate(bounds):
            if number and bounds[number - 1][1] != start:
                branches.append((rows[time] < start, ibis.null("int64")))
            branches.append((rows[time] < end, number))
        gaps = len(branches) > len(bounds)
        rows = rows.mutate(_p=ibis.cases(*branches, else_=None).cast("int64"))
        return rows.filter(rows._p.notnull()) if gaps else rows

    def _bounds(self, time: str, kind: Any, back: timedelta) -> list[tuple[Any, Any]]:
        """Return what a time, or a date, must lie between: local days for dates, their UTC bounds for times."""
        if not kind.is_timestamp() and not kind.is_date():
            raise UsageError(f"'{time}' is a {kind}, not a time")
        days = [(period.first_day, period.next_day) for period in self.periods]
        return [(start - back, end - back) for start, end in (days if kind.is_date() else self.bounds)]

    def _row(self, number: int) -> ir.Table:
        """Return a table of one period; a union of such needs no temporary table on any engine."""
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

    def names(self, rows: ir.Table, window: int) -> dict[str, ir.Value]:
        """Return what an expression may say of a row's period: `period_start`, `period_end`, ..., `window`."""
        found = {
            name: rows[name] if name in rows.columns else self._each(rows._p, values, kind)
            for name, kind, values in self._names()
        }
        return found | {"window": ibis.literal(window, "int64")}

    def label(self, number: Any) -> ir.Value:
        """Return the label of each number."""
        return self._each(number, [period.label for period in self.periods], "string")

    def days(self, number: Any) -> ir.Value:
        """Return the calendar days of each number's period."""
        return self._each(number, [(period.next_day - period.first_day).days for period in self.periods], "int64")

    def _each(self, number: Any, values: Sequence[Any], kind: str) -> ir.Value:
        if len(values) == 1:
            return ibis.literal(values[0], type=kind)
        branches = [(number == n, ibis.literal(value, type=kind)) for n, value in enumerate(values)]
        return ibis.cases(*branches, else_=ibis.null(kind))
