"""When each customer reached each stage of a funnel: plans for the engine, and what is counted of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib.analysis.journeys.rows import AT, TOUCH, WHO, Events

if TYPE_CHECKING:
    import ibis.expr.types as ir

_PLACE = "place"
_NONE = -1  # of an event that belongs to no stage
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3_600, 86_400


def strict(events: Events, stages: Sequence[Sequence[str]]) -> ir.Table:
    """Return when customers reached each stage with the very next event each time, from their first entry on."""
    import ibis

    table = _placed(events.table, stages)
    by_stage = (table[_PLACE] == _NONE).ifelse(len(stages), table[_PLACE])  # events of one moment: as in the funnel
    path = ibis.window(
        group_by=WHO, order_by=[*(table[n] for n in events.order[:-1]), by_stage, table[events.order[-1]]]
    )
    ahead = range(1, len(stages))
    found = table.select(
        WHO, AT, _PLACE, number=ibis.row_number().over(path),
        **{f"p{k}": table[_PLACE].lead(k).over(path) for k in ahead},
        **{f"a{k}": table[AT].lead(k).over(path) for k in ahead},
    )  # fmt: skip
    entered = found.filter(found[_PLACE] == 0)
    entered = entered.mutate(nth=ibis.row_number().over(ibis.window(group_by=WHO, order_by=entered.number)))
    entered = entered.filter(entered.nth == 0)
    went, times = ibis.literal(True), {}
    for k in ahead:
        went = went & (entered[f"p{k}"] == k)
        times[f"t{k}"] = went.ifelse(entered[f"a{k}"], None)
    return entered.select(WHO, t0=AT, begun=AT, **times)


def in_order(events: Events, stages: Sequence[Sequence[str]]) -> ir.Table:
    """Return when customers first reached each stage after the one before it, whatever came in between."""
    table = _placed(events.table, stages)
    first = table.filter(table[_PLACE] == 0)
    found = first.group_by(WHO).agg(t0=first[AT].min())
    for k in range(1, len(stages)):
        later = table.filter(table[_PLACE] == k).select(who_then=WHO, at_then=AT)
        last = found.select(WHO, before=found[f"t{k - 1}"])
        later = later.inner_join(last, later.who_then == last[WHO])
        later = later.filter(later.at_then >= later.before)
        reached = later.group_by("who_then").agg(reached=later.at_then.min())
        found = found.left_join(reached, found[WHO] == reached.who_then)
        found = found.select(WHO, *(f"t{j}" for j in range(k)), **{f"t{k}": found.reached})
    return found.mutate(begun=found.t0)


def in_any_order(events: Events, stages: Sequence[Sequence[str]]) -> ir.Table:
    """Return when customers had been at all stages up to each, in whatever order."""
    import ibis

    table = _placed(events.table, stages)
    table = table.filter(table[_PLACE] != _NONE)
    first = table.group_by(WHO).agg(
        begun=table[AT].min(),
        **{f"m{k}": table[AT].min(where=table[_PLACE] == k) for k in range(len(stages))},
    )
    times: dict[str, Any] = {"t0": first.m0}
    for k in range(1, len(stages)):
        before, own = times[f"t{k - 1}"], first[f"m{k}"]  # missing where either is, unlike `greatest` of an engine
        times[f"t{k}"] = ibis.cases((before >= own, before), (before < own, own))
    return first.select(WHO, "begun", **times)


def _placed(table: ir.Table, stages: Sequence[Sequence[str]]) -> ir.Table:
    """Return events with the place of their stage, -1 where they belong to none."""
    branches = [(touchpoint, place) for place, names in enumerate(stages) for touchpoint in names]
    return table.mutate(**{_PLACE: table[TOUCH].cases(*branches, else_=_NONE)})


def counted(paths: ir.Table, stages: int, until: pd.Timestamp, window: timedelta | None) -> ir.Table:
    """Return how many customers took how long for each step, or were watched for how long without taking it.

    Parameters
    ----------
    paths
        A row a customer: `t0`, `t1`, ... when each stage was reached, `begun` from when the window counts.
    stages
        How many.
    until
        Up to when events are known.
    window
        How long a customer has; None for ever.

    Returns
    -------
    ibis.expr.types.Table
        `step` (1 for that from the first stage to the second), `seconds` (to the second up to an hour, to the minute
        up to two days, to the hour beyond: so the rows are bounded whatever the customers), `reached`, `closed`
        (whether the customer's window was over by `until`), `customers`.
    """
    import ibis

    end = ibis.literal(until)
    span = ibis.interval(seconds=int(window.total_seconds())) if window is not None else None
    last = paths.begun + span if span is not None else end
    whole = paths.mutate(_last=ibis.least(last, end), closed=(last <= end) if span is not None else ibis.literal(True))
    whole = whole.filter(whole.t0 <= whole._last)
    steps = []
    for k in range(1, stages):
        before, then = (
            (whole[f"t{j}"] <= whole._last).fill_null(False).ifelse(whole[f"t{j}"], None) for j in (k - 1, k)
        )
        rows = whole.select("closed", "_last", before=before, then=then)
        rows = rows.filter(rows.before <= rows._last)
        waited = ibis.coalesce(rows.then, rows._last).epoch_seconds() - rows.before.epoch_seconds()
        reached = rows.then.notnull()  # noqa: PD004 (Ibis)
        steps.append(rows.select("closed", step=ibis.literal(k), seconds=_rounded(waited), reached=reached))
    every = ibis.union(*steps) if len(steps) > 1 else steps[0]
    return every.group_by("step", "seconds", "reached", "closed").agg(customers=every.count())


def _rounded(seconds: Any) -> Any:
    """Return whole seconds in steps that grow with them."""
    grain = (seconds < _HOUR).ifelse(_SECOND, (seconds < 2 * _DAY).ifelse(_MINUTE, _HOUR))
    return (seconds // grain).cast("int64") * grain
