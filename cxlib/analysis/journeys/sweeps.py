"""Activity that goes on for a while: intervals merged, and which of them lie over each other. Ibis expressions only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir

WHO, STREAM, FROM, TO = "_who", "_stream", "_from", "_to"


def merged(spans: ir.Table) -> ir.Table:
    """Return intervals of a customer and stream without overlaps: those that touch or overlap are one (islands).

    Parameters
    ----------
    spans
        `_who`, `_stream`, `_from`, `_to`: seconds, the end after the beginning.

    Source: gaps and islands by a running maximum of ends (Ben-Gan 2012, Microsoft SQL Server 2012 T-SQL, ch. 5).
    """
    import ibis

    before = ibis.window(group_by=[WHO, STREAM], order_by=[FROM, TO], preceding=(None, 1))
    known = spans.mutate(_reached=spans[TO].max().over(before))
    known = known.mutate(_fresh=ibis.ifelse(known._reached >= known[FROM], 0.0, 1.0))  # missing at the first: fresh
    so_far = ibis.window(group_by=[WHO, STREAM], order_by=[FROM, TO], preceding=None, following=0)
    known = known.mutate(_island=known._fresh.sum().over(so_far))
    islands = known.group_by([WHO, STREAM, "_island"]).aggregate(**{FROM: known[FROM].min(), TO: known[TO].max()})
    return islands.select(WHO, STREAM, FROM, TO)


def together(islands: ir.Table, streams: Sequence[str]) -> ir.Table:
    """Return how long each customer was in each stream, in each two of them at once, in any, and in several.

    Parameters
    ----------
    islands
        From `merged`.
    streams
        Those that are looked at, by place.

    Returns
    -------
    ibis.expr.types.Table
        One row a customer: `_who`, `in 0`, ..., `in 0 1`, ..., `any`, `several` (seconds) and `most` (streams at once).
    """
    import ibis

    places = range(len(streams))
    mine = islands.filter(islands[STREAM].isin(list(streams)))
    ends = ibis.union(_steps(mine, FROM, 1, streams), _steps(mine, TO, -1, streams))
    steps = ends.group_by([WHO, "_at"]).aggregate(**{f"s{i}": ends[f"s{i}"].sum() for i in places})
    so_far = ibis.window(group_by=WHO, order_by="_at", preceding=None, following=0)
    after = ibis.window(group_by=WHO, order_by="_at")
    state = steps.select(
        WHO, _long=(steps._at.lead().over(after) - steps._at).fill_null(0),
        **{f"s{i}": steps[f"s{i}"].sum().over(so_far) for i in places},
    )  # fmt: skip
    on = {i: state[f"s{i}"] > 0 for i in places}
    count: Any = sum((on[i].cast("int64") for i in places), start=ibis.literal(0))
    state = state.mutate(_count=count)
    long = state._long
    sums = {f"in {i}": long.sum(where=state[f"s{i}"] > 0) for i in places}
    sums |= {
        f"in {i} {j}": long.sum(where=(state[f"s{i}"] > 0) & (state[f"s{j}"] > 0)) for i, j in combinations(places, 2)
    }
    sums |= {"any": long.sum(where=state._count > 0), "several": long.sum(where=state._count > 1)}
    filled = {name: value.fill_null(0) for name, value in sums.items()}
    return state.group_by(WHO).aggregate(**filled, most=state._count.max())


def _steps(islands: ir.Table, end: str, step: int, streams: Sequence[str]) -> ir.Table:
    """Return where islands begin (+1) or end (-1), one column a stream."""
    import ibis

    one = {f"s{i}": ibis.ifelse(islands[STREAM] == name, float(step), 0.0) for i, name in enumerate(streams)}
    return islands.select(WHO, _at=islands[end], **one)


def entered(spans: ir.Table, streams: Sequence[str]) -> ir.Table:
    """Return when each customer was first seen, and first in each stream: `_who`, `_first`, `in 0`, ..., seconds."""
    return spans.group_by(WHO).aggregate(
        _first=spans[FROM].min(),
        **{f"in {i}": spans[FROM].min(where=spans[STREAM] == name) for i, name in enumerate(streams)},
    )
