"""Metric + segments + periods -> one Ibis expression that sums; nothing runs here.

Rows are first summed per period, level and customer, then per period and level, so that the second step can bring back
the squares and products of customers' sums that every cluster-robust variance is made of. What can be an integer is one
until the last step (money in cents), so the sums are the same on every engine and in every run.

Which rows belong to a period:

- with `time`, those whose time lies in the local period; with a `window` of w days besides, those whose time plus
  w x 24 hours does, so that every follow-up is complete;
- without `time`, every row is looked at once per period and the expressions say how the period matters.

A denominator in another table is cut by the same segments of customers. Segments of events belong to the numerator's
table alone: the denominator is the period's total, so that the levels add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import Side, cells_of, counted_rows, levels_of, product
from cxlib.measure.derived import Tables, Undefined
from cxlib.measure.spans import Spans, at_same_time
from cxlib.params import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period

__all__ = ["SUMS", "Undefined", "plan"]

# What a plan returns beside `period` and `level`, in this order.
SUMS = ("rows", "missing", "clusters", "y", "x", "yy", "xy", "xx", "y2")


def plan(
    metric: Metric,
    tables: Mapping[str, ir.Table],
    periods: Sequence[Period],
    *,
    timezone: str,
    segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:
    """Build the query that brings a metric's moments.

    Parameters
    ----------
    metric
        The definition.
    tables
        The contract's tables that the workspace has, by name; times are naive UTC.
    periods
        The periods asked for, in any order; they may overlap.
    timezone
        The reporting timezone, an IANA name.
    segments
        None for the whole, or the dimensions to cut by, all at once: two give levels like `North x Pro`.
    touchpoints
        The taxonomy, for the derived columns `touchpoint_group`, `touchpoint_stage` and `digital`.

    Returns
    -------
    ibis.expr.types.Table
        One row per period and level that has rows: `period`, `level`, and `SUMS` as doubles. `rows` count, `missing`
        do not because their numerator is null, `clusters` are distinct customers; `yy`, `xy`, `xx` are sums over
        customers of products of a customer's sums, `y2` the sum of the rows' squares. Money is in currency units.
        A quantile metric brings `period`, `level`, `value`, `rows`, `missing`, `clusters` instead: counts per integer
        value, the last two repeated on every row of a period and level.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column that the metric or a segment needs.
    UsageError
        Where an expression does not fit the types of its columns.
    """
    groups = at_same_time(sorted(set(periods)), apart=bool(metric.time))
    found = [_plan(metric, Spans(group, timezone), tables, tuple(segments), touchpoints or {}) for group in groups]
    if not found:
        raise UsageError(f"no period was asked for of metric '{metric.id}'")
    both = reduce(lambda one, other: one.union(other), found)
    return both.order_by(["period", "level", "value"] if metric.kind == "quantile" else ["period", "level"])


def _plan(
    metric: Metric,
    spans: Spans,
    tables: Tables,
    segments: tuple[Segment, ...],
    touchpoints: Mapping[str, Touchpoint],
) -> ir.Table:
    """Plan periods that do not overlap."""
    side = Side(
        metric.table, metric.time, metric.filter, metric.window_days, metric.cluster, segments, tables, touchpoints,
        spans, _texts(metric),
    )  # fmt: skip
    if metric.kind == "quantile":
        return _values(counted_rows(side), side)
    cells, factor = cells_of(side)
    if not isinstance(metric.denominator, Part):
        return _finish(_sums(cells, metric, spans, levels_of(segments)), spans, levels_of(segments), factor, factor_x=1)
    return _with_part(metric, metric.denominator, side, cells, factor)


def _texts(metric: Metric) -> dict[str, str]:
    """Return the expressions of a metric's own table, by the name of the sum they feed."""
    if metric.kind == "nps":
        return {"value": metric.value, "promoters": metric.promoters, "detractors": metric.detractors}
    if metric.kind in ("quantile", "share"):
        return {"y": metric.value} if metric.kind == "quantile" else {"condition": metric.numerator}
    texts = {"y": metric.numerator}
    per_row = metric.denominator if isinstance(metric.denominator, str) else ""
    return texts if per_row in ("", "1", "customers", "calendar_days") else texts | {"x": per_row}


def _sums(cells: ir.Table, metric: Metric, spans: Spans, levels: list[str]) -> ir.Table:
    """Sum the customers of each period and level."""
    counts = (cells._rows > 0).cast("int64")
    x = cells._x if "_x" in cells.columns else counts if metric.denominator == "customers" else cells._rows
    if metric.denominator == "calendar_days":
        x = counts * 0
    found = cells.group_by(["_p", *levels]).aggregate(
        rows=cells._rows.sum(), missing=(cells._all - cells._rows).sum(), clusters=counts.sum(), y=cells._y.sum(),
        x=x.sum(), yy=product(cells._y, cells._y).sum(), xy=product(x, cells._y).sum(), xx=product(x, x).sum(),
        y2=cells._y2.sum(),
    )  # fmt: skip
    return found.mutate(x=spans.days(found._p)) if metric.denominator == "calendar_days" else found


def _with_part(metric: Metric, part: Part, side: Side, cells: ir.Table, factor: dict[str, int]) -> ir.Table:
    """Bring the denominator from its own table and match the two by customer."""
    if not metric.cluster:
        raise UsageError(f"metric '{metric.id}' has its denominator in another table: it needs a cluster to match by")
    shared = tuple(segment for segment in side.segments if segment.on == "customers")
    people = part.value == "customers"
    value = {"y": "1" if people else part.value}
    other, factor_x = cells_of(
        replace(side, table=part.table, time=part.time, window=0, filter=part.filter, segments=shared, texts=value)
    )
    ours, theirs = levels_of(side.segments), levels_of(shared)
    places = dict(zip(theirs, [f"_level{side.segments.index(segment)}" for segment in shared], strict=True))
    other = other.filter(other._rows > 0)
    x = ibis.literal(1, "int64") if people else other._y
    other = other.select("_p", "_cluster", _x=x, **{ours: theirs for theirs, ours in places.items()})
    keys = ["_p", *places.values()]
    top = _numerator(cells, other, keys, ours)
    bottom = other.group_by(keys).aggregate(
        clusters=other.count(), x=other._x.sum(), xx=product(other._x, other._x).sum()
    )
    if set(ours) != set(places.values()):
        bottom = top.select("_p", *ours).distinct().inner_join(bottom, keys).select("_p", *ours, "clusters", "x", "xx")
    both = _stack(top, bottom, ["_p", *ours])
    return _finish(both, side.spans, ours, factor, factor_x=factor_x["y"])


def _numerator(cells: ir.Table, other: ir.Table, keys: list[str], levels: list[str]) -> ir.Table:
    """Sum the numerator, each customer beside what the denominator has of the same one."""
    theirs = other.rename({f"{name}_": name for name in (*keys, "_cluster")})
    same = [cells[name] == theirs[f"{name}_"] for name in (*keys, "_cluster")]
    joined = cells.left_join(theirs, same)
    alone = (joined._x.isnull() & (joined._rows > 0)).cast("int64")
    joined = joined.mutate(_x=ibis.coalesce(joined._x, 0), _alone=alone)
    return joined.group_by(["_p", *levels]).aggregate(
        rows=joined._rows.sum(), missing=(joined._all - joined._rows).sum(), clusters=joined._alone.sum(),
        y=joined._y.sum(), yy=product(joined._y, joined._y).sum(), xy=product(joined._x, joined._y).sum(),
        y2=joined._y2.sum(),
    )  # fmt: skip


def _stack(top: ir.Table, bottom: ir.Table, keys: list[str]) -> ir.Table:
    """Put the two sides' sums into one row per period and level; what a side lacks is zero."""
    sides = []
    for one in (top, bottom):
        types = {name: (top if name in top.columns else bottom)[name].type() for name in SUMS}
        filled = {n: one[n] if n in one.columns else ibis.literal(0).cast(types[n]) for n in SUMS}
        sides.append(one.select(*keys, **filled))
    both = sides[0].union(sides[1])
    return both.group_by(keys).aggregate(**{name: both[name].sum() for name in SUMS})


def _finish(found: ir.Table, spans: Spans, levels: list[str], factor: dict[str, int], *, factor_x: int) -> ir.Table:
    """Name period and level, turn integers into doubles and cents into currency units."""
    y, x = factor["y"], factor_x * factor["x"]
    per = {"y": y, "x": x, "yy": y * y, "xy": x * y, "xx": x * x, "y2": y * y}
    doubles = {name: found[name].cast("float64") for name in SUMS}
    numbers = {name: sum_ / float(per[name]) if per.get(name, 1) != 1 else sum_ for name, sum_ in doubles.items()}
    return found.select(period=spans.label(found._p), level=_named(found, levels), **numbers)


def _named(found: ir.Table, levels: list[str]) -> ir.StringValue:
    """Return `all`, the level, or `North x Pro`."""
    if not levels:
        return ibis.literal("all")
    return reduce(lambda one, other: one.concat(" x ", other), [found[name] for name in levels])


def _values(rows: ir.Table, side: Side) -> ir.Table:
    """Count the rows per integer value of each period and level."""
    levels = ["_p", *levels_of(side.segments)]
    whole = rows.group_by(levels).aggregate(
        missing=rows.y.isnull().sum(), clusters=rows._cluster.nunique(where=rows.y.notnull())
    )
    known = rows.filter(rows.y.notnull()).mutate(value=_whole(rows.y))
    counts = known.group_by([*levels, "value"]).aggregate(rows=known.count())
    both = counts.inner_join(whole, levels)
    numbers = {name: both[name].cast("float64") for name in ("value", "rows", "missing", "clusters")}
    return both.select(period=side.spans.label(both._p), level=_named(both, levels[1:]), **numbers)


def _whole(value: Any) -> Any:
    """Return the integer values of a quantile; anything else could not be counted exactly."""
    if not value.type().is_integer():
        raise UsageError(f"a quantile is of whole numbers (seconds), not of {value.type()}")
    return value.cast("int64")
