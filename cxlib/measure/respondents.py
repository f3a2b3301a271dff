"""Who answered, who could have, and who was asked: Ibis expressions that count people by segment; nothing runs here.

All three look at customers by the same segments, so that one can be held against the other. Frames are of cells, not of
people: customers who are alike in everything asked for are one row with their number, and no id leaves the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import Side, cells_of, levels_of, product
from cxlib.measure.derived import Undefined, level_of, period_names_of, with_customers
from cxlib.measure.spans import Spans
from cxlib.measure.sums import Request, cells_for
from cxlib.params import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period

Tables = Mapping[str, ir.Table]

_KINDS = ("nps", "share", "mean", "ratio")
_OWN = {"rows", "x", "y", "y2", "customers", "invitations", "answered", "yy", "xy", "xx"}
_MOMENT = timedelta(microseconds=1)
_FOREVER = date(9999, 12, 31)


def respondents(
    metric: Metric,
    tables: Tables,
    period: Period,
    segments: Sequence[Segment],
    *,
    timezone: str,
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:
    """Count the customers who are in a metric, by segment and by what each adds to its sums.

    Parameters
    ----------
    metric
        A share, mean, NPS or ratio of one table, clustered by customer.
    tables
        The contract's tables that the workspace has.
    period
        The period.
    segments
        Of customers, as valid at the end of the period: the moment that `population` looks at, too. A customer whom
        `customers` does not know has the segment's catch-all.
    timezone
        The reporting timezone.
    touchpoints
        The taxonomy, for the derived columns of the metric's rows.

    Returns
    -------
    ibis.expr.types.Table
        A column per segment id; `rows`, `x`, `y`, `y2` of one customer (`y2` sums the squares of rows); and
        `customers`, how many are alike. Sorted by all of these.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or column, or the metric has no customers to weight.
    UsageError
        For segments of events, or ones that are named like a column of the result.
    """
    _check(segments)
    if metric.kind not in _KINDS or isinstance(metric.denominator, Part) or metric.cluster != "customer_id":
        raise Undefined(f"'{metric.id}' cannot be weighted: it is no share, mean, NPS or ratio of customers' answers")
    cells = cells_for(Request(metric, tables, (period,), timezone, (), touchpoints or {}))
    own = cells.own.filter(cells.own._rows > 0).rename(customer_id="_cluster").drop("_p")
    known = levelled(own, segments, period, timezone, tables)
    sums = {name: cells.double(known[f"_{name}"], name) for name in ("x", "y", "y2")}
    names = [segment.id for segment in segments]
    found = known.select(*names, rows=known._rows.cast("float64"), **sums)
    keys = [*names, "rows", "x", "y", "y2"]
    return found.group_by(keys).aggregate(customers=found.count().cast("float64")).order_by(keys)


def population(tables: Tables, period: Period, segments: Sequence[Segment], *, timezone: str) -> ir.Table:
    """Count the customers that a period's answers should speak for, by segment.

    They are those known by the end of the period (`joined_on`, else the first `valid_from`, before it), without those
    who had subscriptions of which the last ended before the period began. Attributes are those valid at its end.

    Parameters
    ----------
    tables, period, segments, timezone
        As in `respondents`.

    Returns
    -------
    ibis.expr.types.Table
        A column per segment id, and `customers`; one row per combination that anybody has, sorted.

    Raises
    ------
    Undefined
        Where the workspace lacks `customers` or a column.
    UsageError
        For segments of events, or ones that are named like a column of the result.
    """
    _check(segments)
    known = levelled(people_of(tables, period, timezone), segments, period, timezone, tables)
    names = [segment.id for segment in segments]
    count = {"customers": known.count().cast("float64")}
    return known.group_by(names).aggregate(**count).order_by(names) if names else known.aggregate(**count)


def people_of(tables: Tables, period: Period, timezone: str) -> ir.Table:
    """Return the customers, by `customer_id`, that `population` counts."""
    if "customers" not in tables:
        raise Undefined("this workspace has no table 'customers'")
    customers = tables["customers"]
    until = period.bounds(timezone)[1]
    first = customers.group_by("customer_id").aggregate(_first=customers.valid_from.min(), **_joined(customers))
    people = first.filter(_before(first, until, period.next_day))
    if "subscriptions" in tables:
        people = people.anti_join(_left(tables["subscriptions"], period.first_day), "customer_id")
    return people.select("customer_id")


def invited(
    tables: Tables,
    period: Period,
    segments: Sequence[Segment],
    *,
    timezone: str,
    kept: str = "",
    window: int = 14,
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:
    """Count invitations and answers by segment.

    Parameters
    ----------
    tables, period, timezone, touchpoints
        As in `respondents`.
    segments
        Of customers, as valid when the invitation was sent, or of the invitations' own columns.
    kept
        A condition on invitations, `instrument == 'nps'` say; all if left out.
    window
        Days to answer: an invitation belongs to the period in which they end.

    Returns
    -------
    ibis.expr.types.Table
        A column per segment id; `invitations`, `answered`, `customers`; and sums over customers of products of their
        answers (y) and invitations (x), `yy`, `xy`, `xx`, for `response.r_indicator`. Sorted by segment.

    Raises
    ------
    Undefined
        Where the workspace has no invitations, or does not tell which were answered.
    UsageError
        For segments that are named like a column of the result, and conditions that do not fit.
    """
    _check(segments, events=True)
    side = Side(
        "invitations", "sent_at", kept, window, "customer_id", tuple(segments), tables, touchpoints or {},
        Spans([period], timezone), {"condition": "responded"},
    )  # fmt: skip
    cells = cells_of(side)[0]
    levels = levels_of(side.segments)
    y, x = cells._y, cells._rows
    sums = {
        "invitations": x.sum(), "answered": y.sum(), "customers": (x > 0).cast("int64").sum(),
        "yy": product(y, y).sum(), "xy": product(x, y).sum(), "xx": product(x, x).sum(),
    }  # fmt: skip
    found = cells.group_by(levels).aggregate(**sums) if levels else cells.aggregate(**sums)
    names = {segment.id: found[level] for segment, level in zip(segments, levels, strict=True)}
    chosen = found.select(**names, **{name: found[name].cast("float64") for name in sums})
    return chosen.order_by(list(names)) if names else chosen


def _check(segments: Sequence[Segment], *, events: bool = False) -> None:
    """Refuse segments that these questions cannot be cut by."""
    faults = [f"segment '{s.id}' is named like a column of the result" for s in segments if s.id in _OWN]
    faults += [f"segment '{s.id}' is of events; people are weighted by what they are" for s in segments
               if s.on == "event" and not events]  # fmt: skip
    if faults:
        raise UsageError("; ".join(faults))


def levelled(people: ir.Table, segments: Sequence[Segment], period: Period, timezone: str, tables: Tables) -> ir.Table:
    """Give each customer, by `customer_id`, the level of every segment at the end of the period."""
    spans = Spans([period], timezone)
    rows = spans.cross(people).mutate(_at=ibis.literal(spans.bounds[0][1] - _MOMENT, type="timestamp"))
    rows = with_customers(rows, segments, "_at", tables)
    said = spans.names(rows, "", 0, period_names_of(segments))
    return rows.mutate(**{segment.id: level_of(segment, rows, said) for segment in segments})


def _joined(customers: ir.Table) -> dict[str, Any]:
    """Return the day that a customer joined, where the table tells."""
    return {"_joined": customers.joined_on.min()} if "joined_on" in customers.columns else {}


def _before(first: ir.Table, until: datetime, next_day: date) -> Any:
    """Say whether a customer was known before the end of the period."""
    seen = first._first < ibis.literal(until, type="timestamp")
    if "_joined" not in first.columns:
        return seen
    return ibis.ifelse(first._joined.isnull(), seen, first._joined < ibis.literal(next_day, type="date"))


def _left(subscriptions: ir.Table, first_day: date) -> ir.Table:
    """Return the customers all of whose subscriptions ended before a day."""
    if "ended_on" not in subscriptions.columns:
        return subscriptions.filter(ibis.literal(False)).select("customer_id")
    end = ibis.coalesce(subscriptions.ended_on, ibis.literal(_FOREVER, type="date"))
    last = subscriptions.mutate(_end=end).group_by("customer_id").aggregate(_end=lambda rows: rows._end.max())
    return last.filter(last._end < ibis.literal(first_day, type="date")).select("customer_id")
