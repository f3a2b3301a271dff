"""The joint sums of one metric by many cuts, segments and pairs of them, in one query.

Customers are summed once by all segments at once; of these cells, few and small, each cut makes its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.crossed import in_order, labelled, products, sides, sums_of, whole
from cxlib.measure.derived import Tables
from cxlib.measure.slots import Slots
from cxlib.measure.spans import numbers_table, pick
from cxlib.measure.sums import Cells, Request, below_of, cells_for, named
from cxlib.params import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period

CUT = "cut"
_KEYS, _SUMS = ("_p", "_level", "_cluster"), ("_rows", "_all", "_y", "_y2")
_PAIR = ("_cut1", "_p1", "_level1", "_p2", "_level2")


def fits(metric: Metric) -> bool:
    """Say whether `joints` can be asked of a metric: its denominator lies in its own table."""
    return metric.kind != "quantile" and not isinstance(metric.denominator, Part)


def joints(
    metric: Metric,
    tables: Tables,
    periods: Sequence[Period],
    *,
    timezone: str,
    segments: Sequence[Sequence[Segment]],
    touchpoints: Mapping[str, Touchpoint] | None = None,
    slots: Slots | None = None,
) -> ir.Table:
    """Build the query that brings `crossed.joint` of several cuts.

    Parameters
    ----------
    metric
        One that `fits`.
    tables, periods, timezone, touchpoints, slots
        As for `crossed.joint`.
    segments
        The cuts: of one segment or more each.

    Returns
    -------
    ibis.expr.types.Table
        The rows of `crossed.joint` for each cut, in its order, and beside them `cut`, the cut's place (a double).

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column that the metric or any segment needs.
    UsageError
        For a metric that does not fit, and a cut without segments.
    """
    cuts = segments
    if not fits(metric) or not cuts or not all(cuts):
        raise UsageError(f"metric '{metric.id}' is not cut in several ways at once", hint="Take `joint`, cut by cut.")
    every = tuple({segment.id: segment for cut in cuts for segment in cut}.values())
    request = Request(metric, tables, tuple(sorted(set(periods))), timezone, every, touchpoints or {}, slots=slots)
    cells = cells_for(request)
    entries = _entries(cells, metric, [[every.index(segment) for segment in cut] for cut in cuts])
    one, other = sides(entries)
    same = [one._cut1 == other._cut2, one._cluster1 == other._cluster2, in_order(one, other)]
    pairs = products(one.inner_join(other, same), _PAIR).rename(_cut="_cut1")
    own = sums_of(entries, ["_cut", "_p", "_level"])
    daily = metric.denominator == "calendar_days"
    own = own.mutate(x=cells.spans.days(own._p)) if daily else own
    found = labelled(pairs, own, cells, also=["_cut"])
    people = whole(cells.own.mutate(_n=cells.own._rows), cells).cross_join(_numbers(cuts))
    found = found.union(people.select(found.columns))
    shown = found.select(
        *(name for name in found.columns if name != "_cut"), shared=ibis.literal(daily),
        **{CUT: found._cut.cast("float64")},
    )  # fmt: skip
    return shown.order_by([CUT, "period", "level", "against", "against_level"])


def _entries(cells: Cells, metric: Metric, cuts: Sequence[Sequence[int]]) -> ir.Table:
    """Sum the cells of all segments into those of each cut, as `crossed` has the entries of one."""
    each = cells.own.cross_join(_numbers(cuts))
    level = pick(
        [each._cut == number for number, _ in enumerate(cuts)],
        [named(each, [cells.levels[place] for place in cut]) for cut in cuts],
    )
    parts = each.select("_cut", "_p", "_cluster", *_SUMS, _x=each._x, _level=level)
    found = parts.group_by(["_cut", *_KEYS]).aggregate(**{name: parts[name].sum() for name in (*_SUMS, "_x")})
    return found.mutate(_x=below_of(metric, found), _n=(found._rows > 0).cast("int64"))


def _numbers(cuts: Sequence[object]) -> ir.Table:
    return numbers_table(_cut=range(len(cuts)))
