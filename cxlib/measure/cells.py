"""The rows of one table that count for a metric, and their sums per period, level and customer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.expressions import Expression, parse
from cxlib.measure.compiler import as_condition, as_number, compile_expression
from cxlib.measure.derived import Tables, cluster_of, columns_of, level_of, period_names_of, rows_of, with_customers
from cxlib.measure.spans import Cut, numbers_table, pick
from cxlib.params import Segment, Touchpoint

_WIDE, _HALF = "decimal(38, 0)", "decimal(19, 0)"


@dataclass(frozen=True)
class Side:
    """One table of a metric with what is summed over it, and all that is needed to do so.

    `texts` are the expressions of `y` and perhaps `x`; of `condition` for a share; of `value`, `promoters` and
    `detractors` for scores of -1, 0 and 1. `also` are expressions of what else is wanted of each row; it is not summed.
    """

    table: str
    time: str
    filter: str
    window: int
    cluster: str
    segments: tuple[Segment, ...]
    tables: Tables
    touchpoints: Mapping[str, Touchpoint]
    spans: Cut
    texts: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)  # further columns of a row, by name
    apart: bool = False  # each segment cuts all rows by itself, instead of all of them at once

    @property
    def levels(self) -> list[str]:
        """The names of the columns that hold the levels: `apart`, the segment's place (as text) and its level."""
        return levels_of(self.segments, apart=self.apart)


def levels_of(segments: Sequence[Segment], *, apart: bool = False) -> list[str]:
    """Return the names of the columns that hold the segments' levels."""
    return [f"_level{number}" for number in range(2 if apart else len(segments))]


def counted_rows(side: Side, several: Sequence[Mapping[str, str]] = ()) -> ir.Table:
    """Return the rows that belong to a period: `_p` (its number), `_level0`..., `_cluster`, `y` and `x`, and `also`.

    For `several` texts instead of the side's own there are `y0`, `x0`, `y1` and so on.
    """
    texts = {str(number): each for number, each in enumerate(several)} or {"": side.texts}
    parsed = {after: {name: parse(text) for name, text in each.items()} for after, each in texts.items()}
    also = {name: parse(text) for name, text in side.also.items()}
    every = [*(text for each in parsed.values() for text in each.values()), *also.values()]
    kept = parse(side.filter or "true")
    own = [segment for segment in side.segments if segment.on == "event"]
    names = set(kept.columns).union(*(text.columns for text in every), *(columns_of(s) for s in own))
    held = {side.cluster} & set(side.tables[side.table].columns if side.table in side.tables else ())
    rows = rows_of(side.table, names | held | ({side.time} if side.time else set()), side.tables, side.touchpoints)
    rows, within = side.spans.meet(rows, side.time, side.window)
    known = _named(side, rows, [kept])
    rows = rows.filter(*within, as_condition(compile_expression(kept, known), kept.text))
    customers = [segment for segment in side.segments if segment.on == "customers"]
    if customers:
        at = rows[side.time or "period_from"]
        rows = with_customers(rows.mutate(_at=at.cast("timestamp")), customers, "_at", side.tables)
    said = side.spans.names(rows, side.time, side.window, period_names_of(side.segments))
    levels = {f"_level{i}": level_of(segment, rows, said) for i, segment in enumerate(side.segments)}
    known = _named(side, rows, every)
    numbers = {
        f"{name}{after}": value
        for after, each in parsed.items()
        for name, value in _numbers({n: compile_expression(t, known) for n, t in each.items()}, texts[after]).items()
    }
    numbers |= {name: compile_expression(text, known) for name, text in also.items()}
    period = side.spans.number(rows, side.time, side.window)
    found = rows.select(_p=period, **levels, _cluster=cluster_of(rows, side.table, side.cluster), **numbers)
    return _apart(found, list(levels)) if side.apart else found


def _apart(rows: ir.Table, levels: Sequence[str]) -> ir.Table:
    """Return every row once per segment: the segment's place among them, and its level."""
    each = rows.cross_join(numbers_table(_cut=range(len(levels))))
    level = pick([each._cut == number for number, _ in enumerate(levels)], [each[name] for name in levels])
    rest = [name for name in rows.columns if name not in levels]
    return each.select(*rest, _level0=each._cut.cast("string"), _level1=level)


def _named(side: Side, rows: ir.Table, texts: Collection[Expression]) -> dict[str, ir.Value]:
    """Return the values of all that expressions name: columns, and the row's period."""
    period = side.spans.names(rows, side.time, side.window, {name for text in texts for name in text.period_names})
    return {name: rows[name] for text in texts for name in text.columns} | period


def _numbers(values: dict[str, ir.Value], texts: Mapping[str, str]) -> dict[str, ir.Value]:
    """Return `y` and perhaps `x` of each row; a row that lacks either has neither."""
    if not values:
        return {}
    if "promoters" in values:
        up, down = (as_condition(values[name], texts[name]) for name in ("promoters", "detractors"))
        unknown = values["value"].isnull() | up.isnull() | down.isnull()
        score = ibis.cases((unknown, ibis.null("int64")), (up, 1), (down, -1), else_=0)
        return {"y": score.cast("int64")}
    if "condition" in values:
        return {"y": as_number(as_condition(values["condition"], texts["condition"]), texts["condition"])}
    numbers = {name: as_number(value, texts[name]) for name, value in values.items()}
    if "x" not in numbers:
        return {"y": numbers["y"]}
    known = numbers["y"].notnull() & numbers["x"].notnull()
    return {name: ibis.ifelse(known, value, ibis.null(value.type())) for name, value in numbers.items()}


def exact(value: ir.NumericValue) -> tuple[ir.NumericValue, int]:
    """Return a number as whole as it can be and the factor that it was multiplied by; doubles stay as they are."""
    kind = value.type()
    if kind.is_decimal():
        factor = 10 ** (kind.scale or 0)
        return (value * factor).cast(_HALF), factor
    return (value.cast("int64") if kind.is_integer() else value.cast("float64")), 1


def cells_of(side: Side) -> tuple[ir.Table, dict[str, int]]:
    """Sum per period, levels and customer: `_rows`, `_all`, `_y`, `_y2`, perhaps `_x`; and what y and x are times."""
    rows = counted_rows(side)
    sums, per = row_sums(rows, "")
    cells = rows.group_by(["_p", *side.levels, "_cluster"]).aggregate(_all=rows.count(), **sums)
    return known_sums(cells), per


def row_sums(rows: ir.Table, after: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return what is summed of the rows' `y` and `x` (with `after` behind the names), and what these are times."""
    whole = {name: exact(rows[f"{name}{after}"]) for name in ("y", "x") if f"{name}{after}" in rows.columns}
    y = whole["y"][0]
    sums = {"_rows": rows[f"y{after}"].count(), "_y2": product(y, y).sum()}
    sums |= {f"_{name}": value.sum() for name, (value, _) in whole.items()}
    return sums, {"y": 1, "x": 1} | {name: factor for name, (_, factor) in whole.items()}


def known_sums(cells: ir.Table) -> ir.Table:
    """Return cells whose sums are 0 where all answers are missing; they keep their count of these."""
    return cells.mutate(**{name: ibis.coalesce(cells[name], 0) for name in cells.columns if name[:2] in ("_y", "_x")})


def product(one: Any, other: Any) -> Any:
    """Multiply two numbers of a row or a customer without overflow.

    Cents are decimals by now and go on in 38 digits. Scores, counts, seconds and days are 64-bit integers, four times
    as fast, and safe up to 3e9 a customer.
    """
    if not one.type().is_decimal() and not other.type().is_decimal():
        return one * other
    return (one.cast(_HALF) * other.cast(_HALF)).cast(_WIDE)
