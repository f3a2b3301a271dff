"""Exposed customers, and what each has of a metric in its own spans: what `exposed` sums or shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import Side, counted_rows, levels_of, row_sums
from cxlib.measure.derived import Tables, level_of, rows_of, with_customers
from cxlib.measure.exposed_spans import AFTER, BEFORE, OwnSpans, Trial
from cxlib.measure.spans import pick
from cxlib.measure.sums import texts_of
from cxlib.params import Metric, Part, Segment, Touchpoint

_COLUMNS = ("experiment", "customer_id", "variant", "exposed_at")


def recorded(tables: Tables, trial: Trial) -> ir.Table:
    """Return the exposures of a trial as they were recorded: `customer_id`, `variant`, `exposed_at`."""
    rows = rows_of("exposures", _COLUMNS, tables, {})
    last = ibis.literal(min(trial.last, trial.until), "timestamp")
    kept = rows.filter(
        rows.experiment == trial.experiment, rows.exposed_at >= ibis.literal(trial.first, "timestamp"),
        rows.exposed_at < last,
    )  # fmt: skip
    return kept.select("customer_id", "variant", "exposed_at")


def levelled(people: ir.Table, segments: Sequence[Segment], spans: OwnSpans, tables: Tables) -> ir.Table:
    """Add the level of each segment, named as by `levels_of`, to customers as they were at `exposed_at`."""
    events = [segment.id for segment in segments if segment.on == "event"]
    if events:
        raise UsageError(
            f"an experiment cannot be cut by segments of events: {', '.join(events)}",
            hint="What happens after exposure is an outcome; take segments of customers, as they were at exposure.",
        )
    known = with_customers(people, segments, "exposed_at", tables)
    said = spans.said(known.exposed_at)
    levels = {name: level_of(s, known, said) for name, s in zip(levels_of(segments), segments, strict=True)}
    return known.select(*people.columns, **levels)


@dataclass(frozen=True)
class Asked:
    """What is asked of an experiment: metrics of the same rows, or one alone, cut by segments of customers."""

    metrics: tuple[Metric, ...]
    tables: Tables
    trial: Trial
    timezone: str
    segments: tuple[Segment, ...]
    touchpoints: Mapping[str, Touchpoint]

    @cached_property
    def units(self) -> ir.Table:
        """Everybody exposed in one arm of the plan: `customer_id`, `exposed_at`, `_arm`, its place in the plan."""
        rows, arms = recorded(self.tables, self.trial), self.trial.arms
        found = rows.group_by("customer_id").aggregate(
            exposed_at=rows.exposed_at.min(), _variant=rows.variant.min(), _other=rows.variant.max()
        )
        found = found.filter(found._variant == found._other, found._variant.isin(arms))
        places = [ibis.literal(place, "int64") for place, _ in enumerate(arms)]
        return found.select("customer_id", "exposed_at", _arm=pick([found._variant == arm for arm in arms], places))

    @cached_property
    def spans(self) -> OwnSpans:
        """The spans of those whose window is over."""
        whole = OwnSpans(self.trial, self.timezone, self.units)
        if not self.trial.window:
            return whole
        return OwnSpans(self.trial, self.timezone, self.units.filter(whole.over(self.units.exposed_at)))

    @property
    def suffixes(self) -> dict[int, str]:
        """What follows the name of a sum of each span."""
        return {AFTER: "", BEFORE: "_pre"} if self.trial.before else {AFTER: ""}

    def side(self, metric: Metric | Part, texts: Mapping[str, str]) -> Side:
        """Return one table of a metric, cut by the customers' own spans."""
        window = 0 if isinstance(metric, Part) else metric.window_days
        return Side(
            metric.table, metric.time, metric.filter, window, "customer_id", (), self.tables, self.touchpoints,
            self.spans, texts,
        )  # fmt: skip

    def people(self) -> ir.Table:
        """Return the units, `_over` where their window is over, with their levels."""
        units = self.units.mutate(_over=self.spans.over(self.units.exposed_at))
        return levelled(units, self.segments, self.spans, self.tables)


@dataclass(frozen=True)
class Sums:
    """What each exposed customer has: `people`'s columns, and the sums named by `name`; 0 where there is nothing.

    `per` is what y and x of each metric were multiplied by.
    """

    table: ir.Table
    per: list[dict[str, int]]

    def __getitem__(self, name: str) -> Any:
        return self.table[name]


def sums_of(asked: Asked) -> Sums:
    """Sum the metrics' rows per exposed customer.

    Returns
    -------
    Sums
        Per customer `_all` (rows) and for metric n: `_rows_n` (those that count), `_y_n`, `_x_n`, `_y2_n`, `_counted_n`
        (1 for a customer whom the variance is over), with days before also `_y_pre_n`, `_x_pre_n`.
    """
    table, per = _own(asked)
    people = asked.people()
    found = _beside(people, table)
    for number, metric in enumerate(asked.metrics):
        if isinstance(metric.denominator, Part):
            below, per[number]["x"] = _below(asked, metric.denominator, number)
            found = _beside(found, below)
        found = found.mutate(**_denominators(asked, metric, number, found))
    return Sums(found, per)


def _own(asked: Asked) -> tuple[ir.Table, list[dict[str, int]]]:
    """Sum the metrics' own rows per customer and span."""
    texts = [texts_of(metric) for metric in asked.metrics]
    rows = _split(counted_rows(asked.side(asked.metrics[0], {}), texts), asked)
    sums, per = {"_all": rows.count(where=rows._p == AFTER)}, []
    for number, _ in enumerate(texts):
        own, factors = _span_sums(rows, asked, number, str(number))
        sums |= own
        per.append(factors)
    return rows.group_by("_cluster").aggregate(**sums), per


def _below(asked: Asked, part: Part, number: int) -> tuple[ir.Table, int]:
    """Sum the rows of a denominator in another table."""
    people = part.value == "customers"
    rows = _split(counted_rows(asked.side(part, {"y": "1" if people else part.value})), asked)
    sums, factors = _span_sums(rows, asked, number, "")
    found = rows.group_by("_cluster").aggregate(**sums)
    names: dict[str, Any] = {}
    for suffix in asked.suffixes.values():
        rows_ = found[f"_rows{suffix}_{number}"]
        value = (rows_ > 0).cast("int64") if people else found[f"_y{suffix}_{number}"]
        names |= {f"_x{suffix}_{number}": value, f"_below{suffix}_{number}": rows_}
    return found.select("_cluster", **names), 1 if people else factors["y"]


def _split(rows: ir.Table, asked: Asked) -> ir.Table:
    """Give each span columns of its own, null in the rows of the other: one pass sums both."""
    if not asked.trial.before:
        return rows
    values = [name for name in rows.columns if name[0] in "yx"]
    return rows.mutate(
        **{
            f"{name}{suffix}": ibis.ifelse(rows._p == span, rows[name], ibis.null(rows[name].type()))
            for span, suffix in asked.suffixes.items()
            for name in values
        }
    )


def _span_sums(rows: ir.Table, asked: Asked, number: int, after: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the sums of y and x (with `after` behind their names) of each span, and what they are times."""
    found: dict[str, Any] = {}
    for suffix in asked.suffixes.values():
        sums, per = row_sums(rows, f"{after}{suffix}")
        found |= {f"{name}{suffix}_{number}": value for name, value in sums.items() if not suffix or name != "_y2"}
    return found, per


def _beside(people: ir.Table, sums: ir.Table) -> ir.Table:
    """Put sums beside their customers; who has none has 0."""
    joined = people.left_join(sums, people.customer_id == sums._cluster).drop("_cluster")
    own = [name for name in sums.columns if name != "_cluster"]
    return joined.mutate(**{name: ibis.coalesce(joined[name], 0) for name in own})


def _denominators(asked: Asked, metric: Metric, number: int, found: ir.Table) -> dict[str, ir.Value]:
    """Return what each customer has below the line, where no expression tells, and whether it counts."""
    new: dict[str, ir.Value] = {}
    for span, suffix in asked.suffixes.items():
        name, rows = f"_x{suffix}_{number}", found[f"_rows{suffix}_{number}"]
        if metric.denominator == "calendar_days":
            days = asked.spans.days(found.exposed_at, span)
            new[name] = ibis.ifelse(found._over, days, ibis.literal(0, "int64"))
        elif metric.denominator == "customers":
            new[name] = (rows > 0).cast("int64")
        elif name not in found.columns:
            new[name] = rows
    counts = [found[f"_rows_{number}"] > 0]
    counts += [found[f"_below_{number}"] > 0] if isinstance(metric.denominator, Part) else []
    counts = [found._over] if metric.denominator == "calendar_days" else counts
    return new | {f"_counted_{number}": reduce(or_, counts).cast("int64")}
