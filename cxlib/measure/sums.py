"""A metric's sums per period, level and customer: what plans, overlaps and joint sums are all made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import Side, cells_of, levels_of
from cxlib.measure.derived import Tables
from cxlib.measure.slots import Slots
from cxlib.measure.spans import Spans, at_same_time, numbers_table
from cxlib.params import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period

# What a plan returns beside `period` and `level`, in this order.
SUMS = ("rows", "missing", "clusters", "y", "x", "yy", "xy", "xx", "y2")


@dataclass(frozen=True)
class Request:
    """What is asked of a metric: which periods, cut by which segments, on which tables."""

    metric: Metric
    tables: Tables
    periods: tuple[Period, ...]
    timezone: str
    segments: tuple[Segment, ...]
    touchpoints: Mapping[str, Touchpoint]
    rolling: int = 1
    slots: Slots | None = None
    apart: bool = False  # cut by each segment by itself, see `Side`

    @property
    def levels(self) -> list[str]:
        """The names of the columns that hold the levels."""
        return levels_of(self.segments, apart=self.apart)

    def side(self, periods: Sequence[Period]) -> Side:
        """Return the metric's own table over periods that do not overlap."""
        metric = self.metric
        return Side(
            metric.table, metric.time, metric.filter, metric.window_days, metric.cluster, self.segments, self.tables,
            self.touchpoints, Spans(periods, self.timezone, slots=self.slots), texts_of(metric), apart=self.apart,
        )  # fmt: skip

    def spans(self, groups: Sequence[Sequence[Period]]) -> Spans:
        """Return the periods as the cells of `gathered` number them."""
        if self.rolling > 1:
            return Spans(self.periods, self.timezone, self.rolling, self.slots)
        return Spans([period for group in groups for period in group], self.timezone, slots=self.slots)

    def groups(self) -> list[list[Period]]:
        """Return every period that is needed, in groups that one scan can serve."""
        if not self.periods:
            raise UsageError(f"no period was asked for of metric '{self.metric.id}'")
        if self.rolling < 1:
            raise UsageError(f"rolling over {self.rolling} periods: at least 1 is needed")
        needed = {part for period in self.periods for part in period.last(self.rolling)}
        return at_same_time(sorted(needed), apart=bool(self.metric.time))


@dataclass(frozen=True)
class Cells:
    """Sums per period `_p`, levels and customer `_cluster`.

    `own` has `_rows`, `_all`, `_y`, `_y2` and `_x`. `below`, where the denominator lies in another table, has `_x`; it
    is cut by `places`, those of the `levels` that its table knows, too. `per` is what y and x were multiplied by.
    """

    own: ir.Table
    below: ir.Table | None
    spans: Spans
    levels: list[str]
    places: list[str]
    per: Mapping[str, int]

    @property
    def shared(self) -> bool:
        """Whether several levels have one denominator, which lies in another table, between them."""
        return self.below is not None and self.places != self.levels

    def double(self, total: Any, name: str) -> ir.FloatingValue:
        """Return a sum as a double in the metric's unit; see `double`."""
        return double(total, name, self.per)


def double(total: Any, name: str, per: Mapping[str, int]) -> ir.FloatingValue:
    """Return a sum as a double; cents become currency units. `name` tells what was multiplied, as in `xy`."""
    factor = {"y": per["y"], "x": per["x"], "y2": per["y"] ** 2}.get(name, 1)
    if name in ("yy", "xy", "yx", "xx"):
        factor = per[name[0]] * per[name[1]]
    return total.cast("float64") / float(factor) if factor != 1 else total.cast("float64")


def cells_for(request: Request) -> Cells:
    """Sum a metric's rows, and those of its denominator elsewhere, per period, levels and customer."""
    groups, metric, levels = request.groups(), request.metric, request.levels
    sides = [request.side(group) for group in groups]
    found = [cells_of(side) for side in sides]
    own = gathered([table for table, _ in found], groups, request)
    spans, per = request.spans(groups), found[0][1]
    if not isinstance(metric.denominator, Part):
        return Cells(own.mutate(_x=below_of(metric, own)), None, spans, levels, levels, per)
    below, factor = _part(metric, metric.denominator, sides, groups, request)
    places = [name for name in levels if name in below.columns]
    return Cells(
        own.mutate(_x=ibis.literal(0).cast(below._x.type())), below, spans, levels, places, per | {"x": factor}
    )


def gathered(tables: Sequence[ir.Table], groups: Sequence[Sequence[Period]], request: Request) -> ir.Table:
    """Put groups of periods into one table, numbered on; with `rolling` sum each customer over its windows."""
    starts = [sum(map(len, groups[:number])) for number in range(len(groups))]
    shifted = [table.mutate(_p=table._p + start) for table, start in zip(tables, starts, strict=True)]
    table = reduce(lambda one, other: one.union(other), shifted[1:], tables[0])
    if request.rolling == 1:
        return table
    place = {period: number for number, period in enumerate(chain(*groups))}
    parts = [[place[part] for part in period.last(request.rolling)] for period in request.periods]
    ends = [number for number, _ in enumerate(parts) for _ in range(request.rolling)]
    windows = numbers_table(_window=ends, _of=list(chain(*parts)))
    spread = table.inner_join(windows, table._p == windows._of).drop("_p", "_of").rename(_p="_window")
    keys = ["_p", *(name for name in table.columns if name.startswith("_level") or name in ("_cluster", "value"))]
    return spread.group_by(keys).aggregate(**{name: spread[name].sum() for name in table.columns if name not in keys})


def matched(cells: Cells, below: ir.Table) -> ir.Table:
    """Return `own` beside the same customer's `_x` of `below`, 0 where there is none: `_alone` is 1 for these."""
    keys = ["_p", *cells.places, "_cluster"]
    theirs = below.rename({f"{name}_": name for name in keys})
    joined = cells.own.drop("_x").left_join(theirs, [cells.own[name] == theirs[f"{name}_"] for name in keys])
    alone = (joined._x.isnull() & (joined._rows > 0)).cast("int64")
    return joined.mutate(_x=ibis.coalesce(joined._x, 0), _alone=alone)


def named(found: ir.Table, levels: Sequence[str]) -> ir.StringValue:
    """Return `all`, the level, or `North x Pro`."""
    if not levels:
        return ibis.literal("all")
    return reduce(lambda one, other: one.concat(" x ", other), [found[name] for name in levels])


def below_of(metric: Metric, own: ir.Table) -> Any:
    """Return what a customer of the metric's own table has below the line."""
    if metric.denominator == "calendar_days":
        return ibis.literal(0, "int64")  # a constant of the period: nobody's own
    if metric.denominator == "customers":
        return (own._rows > 0).cast("int64")
    return own._x if "_x" in own.columns else own._rows


def _part(
    metric: Metric, part: Part, sides: Sequence[Side], groups: Sequence[Sequence[Period]], request: Request
) -> tuple[ir.Table, int]:
    """Bring the denominator from its own table; segments of events it does not know."""
    if not metric.cluster:
        raise UsageError(f"metric '{metric.id}' has its denominator in another table: it needs a cluster to match by")
    known = [number for number, segment in enumerate(request.segments) if segment.on == "customers"]
    segments, people = tuple(request.segments[number] for number in known), part.value == "customers"
    apart = request.apart and bool(known)
    if apart and len(known) < len(request.segments):
        raise UsageError(f"metric '{metric.id}' cannot be cut apart by segments of customers and of events at once")
    texts = {"y": "1" if people else part.value}
    found = [
        cells_of(
            replace(
                side,
                table=part.table,
                time=part.time,
                window=0,
                filter=part.filter,
                segments=segments,
                texts=texts,
                apart=apart,
            )
        )
        for side in sides
    ]
    own = request.levels if apart else [f"_level{number}" for number in known]
    names = dict(zip(own, levels_of(segments, apart=apart), strict=True))
    tables = [table.filter(table._rows > 0).select("_p", "_cluster", _x="_y", **names) for table, _ in found]
    below = gathered(tables, groups, request)
    return below.mutate(_x=ibis.literal(1, "int64")) if people else below, found[0][1]["y"]


def texts_of(metric: Metric) -> dict[str, str]:
    """Return the expressions of a metric's own table, by the name of the sum they feed."""
    if metric.kind == "nps":
        return {"value": metric.value, "promoters": metric.promoters, "detractors": metric.detractors}
    if metric.kind in ("quantile", "share"):
        return {"y": metric.value} if metric.kind == "quantile" else {"condition": metric.numerator}
    texts = {"y": metric.numerator}
    per_row = metric.denominator if isinstance(metric.denominator, str) else ""
    return texts if per_row in ("", "1", "customers", "calendar_days") else texts | {"x": per_row}
