"""Sums of products between cells that share customers: the joint sums of many cells, the overlap of two periods.

Each customer's cells are matched with the same customer's other cells, and their products summed. Where levels share
one denominator (segments of events over another table) a cell is the sum of two entries, its own numerator and the
period's denominator; products are linear in each factor, so those of the cells are sums of those of the entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import product
from cxlib.measure.derived import Tables
from cxlib.measure.slots import Slots
from cxlib.measure.spans import numbers_table
from cxlib.measure.sums import Cells, Request, cells_for, matched, named
from cxlib.params import Metric, Segment, Touchpoint
from cxlib.periods import Period

PRODUCTS = ("clusters", "yy", "xy", "yx", "xx")
SUMS = ("rows", "missing", "y", "x", "y2")
_KEYS, _NUMBERS = ["_p", "_level", "_cluster"], ["_rows", "_all", "_y", "_y2", "_x", "_n"]
_PAIR = ["_p1", "_level1", "_p2", "_level2"]
_ALL = "all"
# Before the level of a denominator that several levels share; no segment's level begins so.
_SHARED = "\x1f"


def joint(
    metric: Metric,
    tables: Tables,
    periods: Sequence[Period],
    *,
    timezone: str,
    segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
    slots: Slots | None = None,
) -> ir.Table:
    """Build the query that brings what `Joint.from_frame` takes: all cells' sums and their products, cell by cell.

    Parameters
    ----------
    metric, tables, periods, timezone, segments, touchpoints, slots
        As for `plans.plan`.

    Returns
    -------
    ibis.expr.types.Table
        One row per unordered pair of cells with customers in common, and per cell with itself: `period`, `level`,
        `against`, `against_level`; `clusters`, distinct customers in both; `yy`, `xy` (x of the first, y of the
        second), `yx`, `xx`. Rows of a cell with itself also have `rows`, `missing`, `y`, `x`, `y2`, 0 elsewhere, and
        are `plans.plan`'s. With segments there is a row of levels `all` per period, whose `clusters` are the distinct
        customers over all levels. `shared` says whether all levels have the period's one denominator as their x.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column.
    UsageError
        For quantiles, which are not made of sums, and where only some of the segments cut the denominator.
    """
    request = _request(metric, tables, periods, timezone, segments, touchpoints, slots)
    cells = cells_for(request)
    if cells.places and cells.places != cells.levels:
        raise UsageError(
            f"metric '{metric.id}': one segment cuts both sides of the ratio and another only the numerator",
            hint="Take segments of customers, or segments of events, not both at once.",
        )
    entries = _entries(cells)
    one, other = sides(entries)
    pairs = products(one.inner_join(other, [one._cluster1 == other._cluster2, in_order(one, other)]))
    own = sums_of(entries, ["_p", "_level"])
    if cells.shared:
        cell = _cells(cells)
        own = _summed(own.inner_join(cell, ["_p", "_level"]), ["_p", "_cell"], SUMS).rename(_level="_cell")
        pairs = _of_cells(_mirrored(pairs), cell)
        pairs = pairs.filter((pairs._p1 < pairs._p2) | ((pairs._p1 == pairs._p2) & (pairs._level1 <= pairs._level2)))
    days = metric.denominator == "calendar_days"
    own = own.mutate(x=cells.spans.days(own._p)) if days else own
    found = labelled(pairs, own, cells)
    found = found.union(whole(entries, cells)) if cells.levels else found
    return found.mutate(shared=ibis.literal(cells.shared or days)).order_by(
        ["period", "level", "against", "against_level"]
    )


def overlaps(
    metric: Metric,
    tables: Tables,
    pairs: Sequence[tuple[Period, Period]],
    *,
    timezone: str,
    segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
    slots: Slots | None = None,
) -> ir.Table:
    """Build the query that brings what `Overlap.from_frame` takes: customers who lie in both of two periods.

    Parameters
    ----------
    metric, tables, timezone, segments, touchpoints, slots
        As for `plans.plan`.
    pairs
        (period, against), as in `changes.between`.

    Returns
    -------
    ibis.expr.types.Table
        One row per pair and level that shares customers: `period`, `against`, `level`; `clusters`, `yy`, `yx`, `xy`,
        `xx` as doubles, whose first letter is of `period` and whose second of `against`.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column.
    UsageError
        For quantiles, which are not made of sums.
    """
    wanted = sorted(set(pairs))
    request = _request(
        metric, tables, [period for pair in wanted for period in pair], timezone, segments, touchpoints, slots
    )
    cells = cells_for(request)
    place = {period: number for number, period in enumerate(cells.spans.periods)}
    numbers = numbers_table(_first=[place[one] for one, _ in wanted], _second=[place[other] for _, other in wanted])
    one, other = sides(_entries(cells))
    asked = one.inner_join(numbers, one._p1 == numbers._first)
    same = [asked._cluster1 == other._cluster2, asked._second == other._p2]
    if cells.shared:
        found = _of_cells(products(asked.inner_join(other, same)), _cells(cells))
        found = found.filter(found._level1 == found._level2)
    else:
        found = products(asked.inner_join(other, [*same, asked._level1 == other._level2]))
    label = cells.spans.label
    shown = found.filter(found.clusters > 0)
    sums = {name: cells.double(shown[name], name) for name in ("clusters", "yy", "yx", "xy", "xx")}
    shown = shown.select(period=label(shown._p1), against=label(shown._p2), level=shown._level1, **sums)
    return shown.order_by(["period", "against", "level"])


def _request(
    metric: Metric, tables: Tables, periods: Sequence[Period], timezone: str, segments: Sequence[Segment],
    touchpoints: Mapping[str, Touchpoint] | None, slots: Slots | None,
) -> Request:  # fmt: skip
    if metric.kind == "quantile":
        raise UsageError(f"metric '{metric.id}' is a quantile: it is not made of sums, and has no products of sums")
    return Request(
        metric, tables, tuple(sorted(set(periods))), timezone, tuple(segments), touchpoints or {}, slots=slots
    )


def _entries(cells: Cells) -> ir.Table:
    """Return what is multiplied: `_y`, `_x` and `_n` (1 where the customer counts) per `_p`, `_level`, `_cluster`."""
    own, below = cells.own, cells.below
    if below is not None and cells.shared:
        own = matched(cells, below).mutate(_x=ibis.literal(0).cast(below._x.type()))
    counts = own._alone if cells.shared else (own._rows > 0).cast("int64")
    own = own.mutate(_level=named(own, cells.levels), _n=counts).select(*_KEYS, *_NUMBERS)
    if below is None:
        return own
    level = named(below, cells.places)
    nothing = {name: ibis.literal(0).cast(own[name].type()) for name in _NUMBERS if name not in ("_x", "_n")}
    below = below.select(
        "_p", "_cluster", "_x", _level=ibis.literal(_SHARED).concat(level) if cells.shared else level,
        _n=ibis.literal(1, "int64"), **nothing,
    )  # fmt: skip
    both = own.union(below.select(own.columns))
    if cells.shared:
        return both
    totals = {name: both[name].sum() for name in _NUMBERS if name != "_n"}
    return both.group_by(_KEYS).aggregate(**totals, _n=both._n.max())


def sides(entries: ir.Table) -> tuple[ir.Table, ir.Table]:
    """Return the entries twice, under names of their own."""
    names = [name for name in entries.columns if name not in ("_rows", "_all", "_y2")]
    one, other = (entries.select(**{f"{name}{side}": name for name in names}) for side in (1, 2))
    return one, other


def products(matches: ir.Table, keys: Sequence[str] = _PAIR) -> ir.Table:
    """Sum the products of matched customers per pair of entries."""
    m = matches
    return m.group_by(keys).aggregate(
        clusters=(m._n1 * m._n2).sum(), yy=product(m._y1, m._y2).sum(), xy=product(m._x1, m._y2).sum(),
        yx=product(m._y1, m._x2).sum(), xx=product(m._x1, m._x2).sum(),
    )  # fmt: skip


def _cells(cells: Cells) -> ir.Table:
    """Return the entries (`_p`, `_level`) that each cell (`_p`, `_cell`) is the sum of."""
    known = cells.own.select("_p", *cells.levels).distinct()
    cell, below = named(known, cells.levels), ibis.literal(_SHARED).concat(named(known, cells.places))
    return known.select("_p", _level=cell, _cell=cell).union(known.select("_p", _level=below, _cell=cell))


def _mirrored(pairs: ir.Table) -> ir.Table:
    """Return every pair in both orders."""
    turned = pairs.filter((pairs._p1 != pairs._p2) | (pairs._level1 != pairs._level2))
    turned = turned.select(
        _p1="_p2", _level1="_level2", _p2="_p1", _level2="_level1", clusters="clusters", yy="yy", xy="yx", yx="xy",
        xx="xx",
    )  # fmt: skip
    return pairs.union(turned)


def _of_cells(pairs: ir.Table, cell: ir.Table) -> ir.Table:
    """Sum ordered pairs of entries into ordered pairs of cells."""
    for side in (1, 2):
        mine = cell.rename({f"_p{side}": "_p", f"_level{side}": "_level"})
        pairs = pairs.inner_join(mine, [f"_p{side}", f"_level{side}"]).drop(f"_level{side}")
        pairs = pairs.rename({f"_level{side}": "_cell"})
    return _summed(pairs, _PAIR, PRODUCTS)


def in_order(one: ir.Table, other: ir.Table) -> Any:
    """Say whether the first of two matched entries comes before the second, or is the same cell."""
    return (one._p1 < other._p2) | ((one._p1 == other._p2) & (one._level1 <= other._level2))


def sums_of(entries: ir.Table, keys: Sequence[str]) -> ir.Table:
    """Sum the entries of each cell."""
    return entries.group_by(keys).aggregate(
        rows=entries._rows.sum(), missing=(entries._all - entries._rows).sum(), y=entries._y.sum(),
        x=entries._x.sum(), y2=entries._y2.sum(),
    )  # fmt: skip


def _summed(table: ir.Table, keys: Sequence[str], names: Sequence[str]) -> ir.Table:
    return table.group_by(keys).aggregate(**{name: table[name].sum() for name in names})


def labelled(pairs: ir.Table, own: ir.Table, cells: Cells, also: Sequence[str] = ()) -> ir.Table:
    """Put the products of pairs and the sums of single cells into one table of doubles, by `also` besides."""
    nothing = {name: ibis.literal(0.0) for name in (*PRODUCTS, *SUMS)}
    matched_sums = nothing | {name: cells.double(pairs[name], name) for name in PRODUCTS}
    sums = nothing | {name: cells.double(own[name], name) for name in SUMS}
    label = cells.spans.label
    names = [("period", "_p1", "_p"), ("level", "_level1", "_level"), ("against", "_p2", "_p"),
             ("against_level", "_level2", "_level")]  # fmt: skip
    one = pairs.select(
        *also, **{n: label(pairs[p]) if p in ("_p1", "_p2") else pairs[p] for n, p, _ in names}, **matched_sums
    )
    two = own.select(*also, **{n: label(own._p) if o == "_p" else own[o] for n, _, o in names}, **sums)
    return _summed(one.union(two), [*also, *(name for name, _, _ in names)], (*PRODUCTS, *SUMS))


def whole(entries: ir.Table, cells: Cells) -> ir.Table:
    """Count the distinct customers of each period."""
    counting = entries.filter(entries._n > 0)
    found = counting.group_by("_p").aggregate(clusters=counting._cluster.nunique())
    everything = ibis.literal(_ALL)
    label = cells.spans.label(found._p)
    nothing = {name: ibis.literal(0.0) for name in (*PRODUCTS[1:], *SUMS)}
    return found.select(
        period=label, level=everything, against=label, against_level=everything,
        clusters=found.clusters.cast("float64"), **nothing,
    )  # fmt: skip
