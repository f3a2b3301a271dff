"""Several metrics of the same rows in one query.

Most customers have one row in a period, and the square of a sum of one is that row's square: only those with several
rows are summed one by one, all other rows at once. With twenty metrics the table of customers would not fit in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import Side, counted_rows, exact, known_sums, product, row_sums
from cxlib.measure.derived import Tables
from cxlib.measure.slots import Slots
from cxlib.measure.spans import numbers_table, pick
from cxlib.measure.sums import SUMS, Request, double, gathered, named, texts_of
from cxlib.params import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period


def families(metrics: Sequence[Metric]) -> list[tuple[Metric, ...]]:
    """Split metrics into those that `together` serves in one query: of the same rows and customers.

    A metric whose denominator lies in another table, and a quantile, stand alone. Order is kept.
    """
    found: dict[Any, list[Metric]] = {}
    for number, metric in enumerate(metrics):
        alone = metric.kind == "quantile" or isinstance(metric.denominator, Part)
        same = (metric.table, metric.time, metric.window, metric.filter, metric.cluster)
        found.setdefault(number if alone else same, []).append(metric)
    return [tuple(family) for family in found.values()]


def together(
    metrics: Sequence[Metric],
    tables: Tables,
    periods: Sequence[Period],
    *,
    timezone: str,
    segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
    slots: Slots | None = None,
    apart: bool = False,
) -> ir.Table:
    """Build the query that brings the moments of several metrics; see `plans.plan`.

    Parameters
    ----------
    metrics
        One of `families`, of two metrics or more.
    tables, periods, timezone, segments, touchpoints, slots, apart
        As for `plans.plan`.

    Returns
    -------
    ibis.expr.types.Table
        The rows of `plans.plan` for each metric, and `metric`, its id, before them.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column that a metric or a segment needs.
    UsageError
        Where the metrics are not of one family, or an expression does not fit the types of its columns.
    """
    if len(families(metrics)) != 1 or metrics[0].kind == "quantile" or isinstance(metrics[0].denominator, Part):
        names = ", ".join(metric.id for metric in metrics)
        raise UsageError(f"these metrics are not sums of the same rows: {names}", hint="Take one of `families`.")
    request = Request(
        metrics[0], tables, tuple(sorted(set(periods))), timezone, tuple(segments), touchpoints or {}, slots=slots,
        apart=apart,
    )  # fmt: skip
    groups, levels = request.groups(), request.levels
    found = [_cells(request.side(group), metrics) for group in groups]
    cells, spans = gathered([table for table, _ in found], groups, request), request.spans(groups)
    sums = {f"{name}_{n}": sum_ for n, metric in enumerate(metrics) for name, sum_ in _sums(cells, metric, n).items()}
    wide = cells.group_by(["_p", *levels]).aggregate(**sums)
    # One row per metric: each picks its own columns, so that the sums are made once.
    each = wide.cross_join(numbers_table(_metric=range(len(metrics))))
    own = [each._metric == number for number, _ in enumerate(metrics)]
    numbers = {name: pick(own, [double(each[f"{name}_{n}"], name, per) for n, per in enumerate(found[0][1])])
               for name in SUMS}  # fmt: skip
    daily = [ibis.literal(metric.denominator == "calendar_days") for metric in metrics]
    numbers["x"] = ibis.ifelse(pick(own, daily), spans.days(each._p).cast("float64"), numbers["x"])
    names = pick(own, [ibis.literal(metric.id) for metric in metrics])
    shown = each.select(metric=names, period=spans.label(each._p), level=named(each, levels), **numbers)
    return shown.order_by(["metric", "period", "level"])


def _cells(side: Side, metrics: Sequence[Metric]) -> tuple[ir.Table, list[dict[str, int]]]:
    """Sum per period, level and customer with several rows; `_several` is null for all others, which are one cell."""
    rows = counted_rows(side, [texts_of(metric) for metric in metrics])
    often = counted_rows(replace(side, segments=(), texts={}, apart=False))
    often = often.group_by(["_p", "_cluster"]).having(often.count() > 1).aggregate(_times=often.count())
    often = often.select(_p2="_p", _several="_cluster")
    rows = rows.left_join(often, [rows._p == often._p2, rows._cluster == often._several])
    sums: dict[str, Any] = {}
    factors = []
    for number, _ in enumerate(metrics):
        own, per = row_sums(rows, str(number))
        x = exact(rows[f"x{number}"])[0] if f"x{number}" in rows.columns else None
        if x is not None:
            y = exact(rows[f"y{number}"])[0]
            own |= {"_xy": product(x, y).sum(), "_xx": product(x, x).sum()}
        sums |= {f"{name}_{number}": sum_ for name, sum_ in own.items()}
        factors.append(per)
    cells = rows.group_by(["_p", *side.levels, "_several"]).aggregate(_all=rows.count(), **sums)
    return known_sums(cells), factors


def _sums(cells: ir.Table, metric: Metric, number: int) -> dict[str, Any]:
    """Return the sums of one metric: of customers with several rows by their products, of all others by their rows."""
    own = {name: cells[f"{name}_{number}"] for name in ("_rows", "_y", "_y2", "_x", "_xy", "_xx")
           if f"{name}_{number}" in cells.columns}  # fmt: skip
    alone, nothing = cells._several.isnull(), ibis.literal(0, "int64")
    rows, y, counts = own["_rows"], own["_y"], (own["_rows"] > 0).cast("int64")
    single = {"x": own.get("_x", rows), "xy": own.get("_xy", y), "xx": own.get("_xx", rows)}
    x = counts if metric.denominator == "customers" else own.get("_x", rows)
    if metric.denominator == "calendar_days":
        single, x = dict.fromkeys(single, nothing), nothing
    # Summed over all other customers at once y and x are too large for a product.
    y_, x_ = (ibis.ifelse(alone, ibis.literal(0).cast(value.type()), value) for value in (y, x))
    products = {"yy": (y_, y_, own["_y2"]), "xy": (x_, y_, single["xy"]), "xx": (x_, x_, single["xx"])}
    return {
        "rows": rows.sum(),
        "missing": (cells._all - rows).sum(),
        "clusters": ibis.ifelse(alone, rows, counts).sum(),
        "y": y.sum(),
        "x": ibis.ifelse(alone, single["x"], x).sum(),
        "y2": own["_y2"].sum(),
    } | {name: (product(a, b) + ibis.ifelse(alone, one, 0)).sum() for name, (a, b, one) in products.items()}
