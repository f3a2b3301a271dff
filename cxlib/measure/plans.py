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
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import counted_rows, product
from cxlib.measure.crossed import joint, overlaps
from cxlib.measure.derived import Undefined
from cxlib.measure.joints import joints
from cxlib.measure.slots import Slots
from cxlib.measure.sums import SUMS, Cells, Request, cells_for, gathered, matched, named
from cxlib.measure.together import families, together
from cxlib.params import Metric, Segment, Touchpoint
from cxlib.periods import Period

__all__ = ["SUMS", "Undefined", "families", "joint", "joints", "overlaps", "plan", "together"]


def plan(
    metric: Metric,
    tables: Mapping[str, ir.Table],
    periods: Sequence[Period],
    *,
    timezone: str,
    segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
    rolling: int = 1,
    slots: Slots | None = None,
    apart: bool = False,
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
    rolling
        How many periods each period stands for: itself and those of its kind before it. A customer of several of them
        is one customer, so the sums are those of one long period that bears the last one's label. Expressions and
        levels that speak of the period mean each single one: twelve start cohorts are pooled, not followed for a year.
    slots
        Of these periods, to leave them open in what the plan compiles to.
    apart
        Cut all rows by each segment by itself, in one query: a level is then the segment's place among them and its
        level, as in `1 x Pro`. Segments of customers and of events do not go together so where the denominator lies in
        another table.

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
    request = Request(
        metric, tables, tuple(sorted(set(periods))), timezone, tuple(segments), touchpoints or {}, rolling,
        slots, apart,
    )  # fmt: skip
    if metric.kind == "quantile":
        return _values(request).order_by(["period", "level", "value"])
    cells = cells_for(request)
    found = _sums(cells) if cells.below is None else _with_part(cells, cells.below)
    if metric.denominator == "calendar_days":
        found = found.mutate(x=cells.spans.days(found._p))
    return _finish(found, cells).order_by(["period", "level"])


def _sums(cells: Cells) -> ir.Table:
    """Sum the customers of each period and level."""
    own = cells.own
    return own.group_by(["_p", *cells.levels]).aggregate(
        rows=own._rows.sum(), missing=(own._all - own._rows).sum(), clusters=(own._rows > 0).cast("int64").sum(),
        y=own._y.sum(), x=own._x.sum(), yy=product(own._y, own._y).sum(), xy=product(own._x, own._y).sum(),
        xx=product(own._x, own._x).sum(), y2=own._y2.sum(),
    )  # fmt: skip


def _with_part(cells: Cells, below: ir.Table) -> ir.Table:
    """Put the denominator of another table under the numerator, customers matched."""
    keys, ours = ["_p", *cells.places], ["_p", *cells.levels]
    top = _numerator(cells, below)
    bottom = below.group_by(keys).aggregate(
        clusters=below.count(), x=below._x.sum(), xx=product(below._x, below._x).sum()
    )
    if ours != keys:
        bottom = top.select(*ours).distinct().inner_join(bottom, keys).select(*ours, "clusters", "x", "xx")
    return _stack(top, bottom, ours)


def _numerator(cells: Cells, below: ir.Table) -> ir.Table:
    """Sum the numerator, each customer beside what the denominator has of the same one."""
    joined = matched(cells, below)
    return joined.group_by(["_p", *cells.levels]).aggregate(
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


def _finish(found: ir.Table, cells: Cells) -> ir.Table:
    """Name period and level, turn integers into doubles and cents into currency units."""
    numbers = {name: cells.double(found[name], name) for name in SUMS}
    return found.select(period=cells.spans.label(found._p), level=named(found, cells.levels), **numbers)


def _values(request: Request) -> ir.Table:
    """Count the rows per integer value of each period and level."""
    groups, levels = request.groups(), request.levels
    rows = [counted_rows(request.side(group)) for group in groups]
    people = [
        one.group_by(["_p", *levels, "_cluster"]).aggregate(_rows=one.y.count(), _all=one.count()) for one in rows
    ]
    known = [one.filter(one.y.notnull()).mutate(value=_whole(one.y)) for one in rows]
    often = [one.group_by(["_p", *levels, "value"]).aggregate(rows=one.count()) for one in known]
    cells, counts, spans = gathered(people, groups, request), gathered(often, groups, request), request.spans(groups)
    whole = cells.group_by(["_p", *levels]).aggregate(
        missing=(cells._all - cells._rows).sum(), clusters=(cells._rows > 0).cast("int64").sum()
    )
    both = counts.inner_join(whole, ["_p", *levels])
    numbers = {name: both[name].cast("float64") for name in ("value", "rows", "missing", "clusters")}
    return both.select(period=spans.label(both._p), level=named(both, levels), **numbers)


def _whole(value: Any) -> Any:
    """Return the integer values of a quantile; anything else could not be counted exactly."""
    if not value.type().is_integer():
        raise UsageError(f"a quantile is of whole numbers (seconds), not of {value.type()}")
    return value.cast("int64")
