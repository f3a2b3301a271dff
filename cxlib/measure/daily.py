"""How many things went wrong each day, and of how many: counts by local day, brought from the tables in one plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.measure.cells import Side, cells_of
from cxlib.measure.derived import Tables
from cxlib.measure.spans import pick
from cxlib.measure.sums import double
from cxlib.measure.surveys import seconds
from cxlib.params import Metric, Touchpoint
from cxlib.periods import midnight

_DAY = 86_400
_EPOCH = date(1970, 1, 1)


class Days:
    """Local days as a cut: the number of a row is the days since the first."""

    def __init__(self, first: date, until: date, timezone: str) -> None:
        self.first, self.bounds = first, (midnight(first, timezone), midnight(until, timezone))
        self.offsets = _offsets(first, until, timezone)

    def meet(self, rows: ir.Table, time: str, window: int) -> tuple[ir.Table, list[Any]]:  # noqa: ARG002
        """Return the rows, and that their time lies in the days."""
        first, until = self.bounds
        return rows, [rows[time] >= ibis.literal(first), rows[time] < ibis.literal(until)]

    def number(self, rows: ir.Table, time: str, window: int) -> ir.Value:  # noqa: ARG002
        """Return the day of each row, in the reporting timezone."""
        at = seconds(rows[time])
        later = sorted(self.offsets, reverse=True)
        ahead = pick([at >= since for since, _ in later], [ibis.literal(x, "int64") for _, x in later])
        return ((at + ahead) // _DAY - (self.first - _EPOCH).days).cast("int64")

    def names(self, rows: ir.Table, time: str, window: int, wanted: Collection[str]) -> dict[str, ir.Value]:  # noqa: ARG002
        """Return nothing: a condition on a day's rows names no period."""
        return {}


def daily(
    metric: Metric, tables: Tables, first: date, until: date, *, timezone: str,
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Return the counts of a share by day.

    Parameters
    ----------
    metric
        A share: its filter says what could go wrong, its numerator what did.
    tables
        The contract's tables that the workspace has.
    first, until
        The days, the last left out.
    timezone
        The reporting timezone.
    touchpoints
        The taxonomy.

    Returns
    -------
    ibis.expr.types.Table
        `number` (of the day, from 0), `n`, `bad`, `people` (customers); days without a row are left out.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or column.
    """
    cells, per = cells_of(_side(metric, tables, Days(first, until, timezone), touchpoints))
    found = cells.group_by("_p").aggregate(
        n=cells._rows.sum().cast("float64"), bad=double(cells._y.sum(), "y", per), people=cells._cluster.count()
    )
    return found.select(number="_p", n="n", bad="bad", people="people").order_by("number")


def customers(
    metric: Metric, tables: Tables, first: date, until: date, *, timezone: str,
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Return how many customers stand behind some days together: one row, `people`. Parameters as for `daily`."""
    cells, _ = cells_of(_side(metric, tables, Days(first, until, timezone), touchpoints))
    return cells.aggregate(people=cells._cluster.nunique())


def _side(metric: Metric, tables: Tables, days: Days, touchpoints: Mapping[str, Touchpoint] | None) -> Side:
    return Side(
        metric.table, metric.time, metric.filter, 0, metric.cluster, (), tables, touchpoints or {}, days,
        {"condition": metric.numerator},
    )  # fmt: skip


def _offsets(first: date, until: date, timezone: str) -> list[tuple[int, int]]:
    """Return since which second (UTC) a local day is the day of a second so many seconds later.

    A day on which clocks are set back is an hour longer: its last hour has the offset of the next day already.
    """
    found: list[tuple[int, int]] = []
    for number in range((until - first).days + 1):
        day = first + timedelta(days=number)
        at = int((midnight(day, timezone) - midnight(_EPOCH, "UTC")).total_seconds())
        ahead = (day - _EPOCH).days * _DAY - at
        if not found or found[-1][1] != ahead:
            found.append((at - max(found[-1][1] - ahead, 0) if found else at, ahead))
    return found
