"""One experiment, any metric of `params`: from the store's tables to moments of its arms. Nothing runs here.

Who was exposed first to one arm, and to that arm only, is a unit; who was exposed to several is a crossover, left out
of every outcome (`exposures` tells of them). A unit's outcome is the metric over a period of the unit's own that begins
with the exposure (`exposed_spans`), its covariates the same metric over the days before. Segments are levels of the
customer at exposure.

What is between a unit and its rows is as in `plans`: the metric's filter, value, denominator, follow-up window and
derived columns, which see the customer's whole history. Sums are of integers, so they are the same on every engine.

A metric without a time says by its expressions which rows belong, also rows of before the exposure: invitations of the
last 30 days of the period, say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import UsageError
from cxlib.measure.cells import counted_rows, levels_of, product
from cxlib.measure.derived import Tables
from cxlib.measure.exposed_spans import OwnSpans, Trial
from cxlib.measure.exposed_units import Asked, Sums, levelled, recorded, sums_of
from cxlib.measure.moments import Moments
from cxlib.measure.quantiles import Counts
from cxlib.measure.spans import numbers_table, pick
from cxlib.measure.sums import double, named, texts_of
from cxlib.measure.together import families
from cxlib.params import Metric, Segment, Touchpoint

__all__ = [
    "Trial", "daily", "each_value", "exposures", "families", "moments", "several", "to_counts", "to_moments", "units",
    "values",
]  # fmt: skip

_COUNTS = ("units", "waiting", "rows", "missing", "clusters")
_NAMES = ("x", "x_pre", "y", "y_pre")
_OWN = {"customer_id", "arm", "exposed_at", "exposures", "arms", "rows", *_NAMES}


def moments(
    metric: Metric, tables: Tables, trial: Trial, *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Build the query that brings a metric's moments by arm.

    Parameters
    ----------
    metric
        A definition of any kind but quantiles (`values`).
    tables
        The contract's tables that the workspace has, by name; times are naive UTC.
    trial
        The plan.
    timezone
        The reporting timezone, an IANA name.
    segments
        Of customers, to cut by all at once; levels as valid at exposure.
    touchpoints
        The taxonomy, for derived columns.

    Returns
    -------
    ibis.expr.types.Table
        One row per level and arm, sorted by level and the plan's order of arms; arms and levels without anybody are
        there, with zeros. `arm`, `level` ("all", "North", "North x Pro"); doubles: `units` (exposed to this arm alone,
        their window over, with or without rows), `waiting` (left out: their window is not over), `rows`, `missing` (a
        row without a number), `clusters` (units that the variance is over), sums `y`, `x`, `y2` (of the rows' squares)
        and products over units `xx`, `xy`, `yy`; with `trial.before` also `x_pre`, `y_pre` and `x_x_pre`, `x_y_pre`,
        `x_pre_x_pre`, `x_pre_y`, `x_pre_y_pre`, `y_y_pre`, `y_pre_y_pre`. Money is in currency units, y of an NPS in
        -1, 0, 1. Of units that are no cluster x, y and all products with these are 0.

        A denominator of calendar days is the days of each unit's own span: the metric per customer and day, for arms
        of any size.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column, or the metric's rows name no customers.
    UsageError
        For quantiles, for segments of events (what happens after exposure is an outcome), and for expressions that do
        not fit.
    """
    found = _unsorted([metric], tables, trial, timezone, segments, touchpoints).drop("metric")
    return found.order_by([found.level, _place(found, trial)])


def several(
    metrics: Sequence[Metric], tables: Tables, trial: Trial, *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Build the query that brings the moments of several metrics of the same rows; see `moments`.

    `metrics` are one of `families`. The rows of `moments` for each, in their order, and `metric`, its id, before them.
    Raises as `moments` does, and `UsageError` for metrics that are not of one family.
    """
    found = _unsorted(metrics, tables, trial, timezone, segments, touchpoints)
    number = pick([found.metric == metric.id for metric in metrics], range(len(metrics)))
    return found.order_by([number, found.level, _place(found, trial)])


def _unsorted(
    metrics: Sequence[Metric], tables: Tables, trial: Trial, timezone: str, segments: Sequence[Segment],
    touchpoints: Mapping[str, Touchpoint] | None,
) -> ir.Table:  # fmt: skip
    _check_sums(metrics)
    asked = Asked(tuple(metrics), tables, trial, timezone, tuple(segments), touchpoints or {})
    sums, levels = sums_of(asked), levels_of(segments)
    names = [name for name in _NAMES if trial.before or not name.endswith("_pre")]
    own = {f"{n}_{k}": total for k, _ in enumerate(metrics) for n, total in _totals(sums, k, names).items()}
    over = sums["_over"]
    wide = sums.table.group_by(["_arm", *levels]).aggregate(
        units=over.cast("int64").sum(), waiting=(~over).cast("int64").sum(), **own
    )
    each = _on_grid(wide, levels, trial).cross_join(numbers_table(_metric=range(len(metrics))))
    mine = [each._metric == number for number, _ in enumerate(metrics)]
    numbers = {
        name: pick(mine, [_double(each[f"{name}_{n}"], name, per) for n, per in enumerate(sums.per)])
        for name in (*_COUNTS[2:], *names, "y2", *_pairs(names))
    }
    people = {name: each[name].cast("float64") for name in _COUNTS[:2]}
    return each.select(
        metric=pick(mine, [ibis.literal(metric.id) for metric in metrics]), arm=_name(each, trial),
        level=named(each, levels), **people, **numbers,
    )  # fmt: skip


def units(
    metric: Metric, tables: Tables, trial: Trial, *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Build the query that brings one row per exposed unit; parameters and raises as `moments`.

    Returns
    -------
    ibis.expr.types.Table
        `customer_id`, `arm`, `exposed_at`, the level of each segment by its id, `rows`, `y`, `x` and, with
        `trial.before`, `y_pre`, `x_pre` as doubles, 0 where a unit has no rows; sorted by customer. Units whose window
        is not over are left out. It names customers: compute, use and let go of it.
    """
    _check_sums([metric])
    _check_names(segments)
    asked = Asked((metric,), tables, trial, timezone, tuple(segments), touchpoints or {})
    sums = sums_of(asked)
    names = ["y", "x", *(["y_pre", "x_pre"] if trial.before else [])]
    found = sums.table.filter(sums["_over"])
    numbers = {name: _double(found[f"_{name}_0"], name, sums.per[0]) for name in names}
    return found.select(
        customer_id=found.customer_id, arm=_name(found, trial), exposed_at=found.exposed_at,
        **_by_id(found, segments), rows=found._rows_0.cast("float64"), **numbers,
    ).order_by("customer_id")  # fmt: skip


def values(
    metric: Metric, tables: Tables, trial: Trial, *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Build the query that counts a quantile metric's whole numbers by arm; parameters and raises as `moments`.

    Returns
    -------
    ibis.expr.types.Table
        `arm`, `level`, `value`, and as doubles `rows` (of this value), `missing` and `clusters` (of the arm and level,
        repeated): what `quantiles.Counts` takes. Arms without values have no rows. Sorted by level, arm and value.
    """
    _check_quantile(metric)
    asked = Asked((metric,), tables, replace(trial, before=0), timezone, tuple(segments), touchpoints or {})
    mine, levels = _of_units(metric, asked), levels_of(segments)
    known, keys = _numbers(mine), ["_arm", *levels]
    often = known.group_by([*keys, "value"]).aggregate(rows=known.count())
    each = mine.group_by([*keys, "_cluster"]).aggregate(_rows=mine.y.count(), _all=mine.count())
    whole = each.group_by(keys).aggregate(
        missing=(each._all - each._rows).sum(), clusters=(each._rows > 0).cast("int64").sum()
    )
    both = often.inner_join(whole, keys)
    numbers = {name: both[name].cast("float64") for name in ("value", "rows", "missing", "clusters")}
    shown = both.select(arm=_name(both, trial), level=named(both, levels), **numbers)
    return shown.order_by([shown.level, _place(shown, trial), shown.value])


def each_value(
    metric: Metric, tables: Tables, trial: Trial, *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Build the query that brings a quantile metric's values one by one; parameters and raises as `moments`.

    Returns
    -------
    ibis.expr.types.Table
        `customer_id`, `arm` and `value` as a double, one row per value, sorted by all three: for limits that allow for
        customers with several values. It names customers: compute, use and let go of it.
    """
    _check_quantile(metric)
    asked = Asked((metric,), tables, replace(trial, before=0), timezone, tuple(segments), touchpoints or {})
    found = _numbers(_of_units(metric, asked))
    return found.select("customer_id", arm=_name(found, trial), value=found.value.cast("float64")).order_by(
        ["customer_id", "arm", "value"]
    )


def exposures(tables: Tables, trial: Trial, *, timezone: str, segments: Sequence[Segment] = ()) -> ir.Table:
    """Build the query that brings assignments as they were recorded in [first, last): for health checks.

    Returns
    -------
    ibis.expr.types.Table
        One row per customer, sorted: `customer_id`, `arm` of the first exposure (of several at one moment the first by
        name; also variants that the plan does not know), `exposed_at`, `exposures` (rows), `arms` (different variants:
        above 1 is a crossover) and the level of each segment at exposure, by its id.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or a column.
    UsageError
        For segments of events, or ones that are named like a column of the result.
    """
    _check_names(segments)
    rows = recorded(tables, trial)
    place = ibis.row_number().over(ibis.window(group_by=rows.customer_id, order_by=[rows.exposed_at, rows.variant]))
    first = rows.mutate(_place=place).filter(lambda found: found._place == 0)
    counts = rows.group_by("customer_id").aggregate(exposures=rows.count(), arms=rows.variant.nunique())
    both = first.inner_join(counts, "customer_id")
    both = both.select("customer_id", "exposed_at", "exposures", "arms", arm=both.variant)
    known = levelled(both, segments, OwnSpans(trial, timezone, both), tables)
    return known.select(
        "customer_id", "arm", "exposed_at", exposures=known.exposures.cast("int64"), arms=known.arms.cast("int64"),
        **_by_id(known, segments),
    ).order_by("customer_id")  # fmt: skip


def daily(tables: Tables, trial: Trial, *, timezone: str) -> ir.Table:
    """Build the query that counts exposed units by day.

    Returns
    -------
    ibis.expr.types.Table
        `day` (local date of the first exposure), `arm`, `units` (whole numbers; crossovers and variants that the plan
        does not know left out, those whose window is not over counted), sorted by day and the plan's order of arms;
        days without any are not there.
    """
    asked = Asked((), tables, trial, timezone, (), {})
    found = asked.units.mutate(day=asked.spans.clock.of(asked.units.exposed_at).date())
    counted = found.group_by(["day", "_arm"]).aggregate(units=found.count())
    shown = counted.select("day", arm=_name(counted, trial), units=counted.units.cast("int64"))
    return shown.order_by([shown.day, _place(shown, trial)])


def to_moments(frame: pd.DataFrame) -> Moments:
    """Take rows that `moments` or `several` brought back; one element per row, covariates where the frame has them."""
    names = [name for name in _NAMES if name in frame.columns]
    found = {name: frame[name].to_numpy(dtype=float) for name in (*names, *_pairs(names), "rows", "clusters", "y2")}
    products = {pair: found[name] for name, pair in _pairs(names).items()}
    return Moments(found["rows"], found["clusters"], {name: found[name] for name in names}, products, found["y2"])


def to_counts(frame: pd.DataFrame, arms: Sequence[str], level: str = "all") -> Counts:
    """Take rows that `values` brought back; one cell per arm of `arms`, in their order, of one level."""
    mine = frame[(frame["level"] == level) & frame["arm"].isin(list(arms))]
    place = {arm: number for number, arm in enumerate(arms)}
    return Counts(mine["arm"].map(place).to_numpy(dtype=int), mine["value"], mine["rows"], len(place))


def _check_quantile(metric: Metric) -> None:
    if metric.kind != "quantile":
        raise UsageError(f"metric '{metric.id}' is no quantile", hint="Take `moments`.")


def _of_units(metric: Metric, asked: Asked) -> ir.Table:
    """Return a quantile metric's rows beside the exposed customers whose they are."""
    rows = counted_rows(asked.side(metric, texts_of(metric)))
    if not rows.y.type().is_integer():
        raise UsageError(f"a quantile is of whole numbers (seconds), not of {rows.y.type()}")
    people = asked.people().drop("exposed_at", "_over")
    return rows.inner_join(people, rows._cluster == people.customer_id)


def _numbers(rows: ir.Table) -> ir.Table:
    """Return the rows that have a number, as `value`."""
    return rows.filter(rows.y.notnull()).mutate(value=rows.y.cast("int64"))  # noqa: PD004, Ibis has no other name


def _pairs(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the pairs of names in alphabetical order, by the column that holds their products."""
    ordered = sorted(names)
    pairs = [(a, b) for number, a in enumerate(ordered) for b in ordered[number:]]
    return {f"{a}{b}" if len(a) == len(b) == 1 else f"{a}_{b}": (a, b) for a, b in pairs}


def _totals(sums: Sums, number: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the sums over units of one metric."""
    own = {name: sums[f"_{name}_{number}"] for name in names}
    rows = sums[f"_rows_{number}"]
    counts = {"rows": rows.sum(), "missing": (sums["_all"] - rows).sum(), "clusters": sums[f"_counted_{number}"].sum()}
    products = {name: product(own[a], own[b]).sum() for name, (a, b) in _pairs(names).items()}
    return counts | {name: value.sum() for name, value in own.items()} | {"y2": sums[f"_y2_{number}"].sum()} | products


def _double(total: Any, name: str, per: Mapping[str, int]) -> ir.FloatingValue:
    """Return a sum as a double in the metric's unit; covariates are times what their namesakes are."""
    pair = _pairs(_NAMES).get(name)
    return double(total, "".join(one[0] for one in pair) if pair else name.removesuffix("_pre"), per)


def _on_grid(found: ir.Table, levels: Sequence[str], trial: Trial) -> ir.Table:
    """Return every level beside every arm, with zeros where nobody is."""
    arms = numbers_table(_arm=range(len(trial.arms)))
    grid = found.select(*levels).distinct().cross_join(arms) if levels else arms
    keys = ["_arm", *levels]
    theirs = found.rename({f"{name}_": name for name in keys})
    joined = grid.left_join(theirs, [grid[name] == theirs[f"{name}_"] for name in keys])
    return joined.select(*keys, **{n: ibis.coalesce(joined[n], 0) for n in found.columns if n not in keys})


def _name(found: ir.Table, trial: Trial) -> ir.Value:
    """Return the arm of each place in the plan."""
    return pick([found._arm == place for place, _ in enumerate(trial.arms)], [ibis.literal(arm) for arm in trial.arms])


def _place(shown: ir.Table, trial: Trial) -> ir.Value:
    """Return the place of each arm in the plan."""
    return pick([shown.arm == arm for arm in trial.arms], range(len(trial.arms)))


def _by_id(found: ir.Table, segments: Sequence[Segment]) -> dict[str, ir.Value]:
    return {segment.id: found[level] for segment, level in zip(segments, levels_of(segments), strict=True)}


def _check_sums(metrics: Sequence[Metric]) -> None:
    """Refuse what is not made of sums of the same rows."""
    found = [metric.id for metric in metrics if metric.kind == "quantile"]
    if found:
        raise UsageError(f"{', '.join(found)}: a quantile is not made of sums", hint="Take `values`.")
    if len(families(metrics)) != 1:
        names = ", ".join(metric.id for metric in metrics) or "none"
        raise UsageError(f"these metrics are not sums of the same rows: {names}", hint="Take one of `families`.")


def _check_names(segments: Sequence[Segment]) -> None:
    """Refuse segments that are named like a column of the result."""
    found = [segment.id for segment in segments if segment.id in _OWN]
    if found:
        raise UsageError(f"segments are named like columns of the result: {', '.join(found)}")
