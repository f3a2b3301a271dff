"""The event log: what customers did with the company, one row an event, as an expression over the store's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cxlib import contract
from cxlib.analysis import doors
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.derived import Undefined

if TYPE_CHECKING:
    import ibis.expr.types as ir

COLUMNS = ("customer_id", "at", "ended_at", "touchpoint", "kind", "channel", "event_id", "about")
CUSTOMER, AT, TOUCHPOINT = COLUMNS[0], COLUMNS[1], COLUMNS[3]
ORDER, SURVEY, JOINED, LEFT = "order", "survey", "joined", "left"
KINDS = (*contract.KINDS_OF_INTERACTION, ORDER, "answer", JOINED, LEFT)
TITLES = {ORDER: "Order", SURVEY: "Survey", JOINED: "Subscription begins", LEFT: "Subscription ends"}


def events(
    tables: Mapping[str, ir.Table],
    *,
    start: object,
    until: object,
    kinds: Iterable[str] | None = None,
    sold_at: Mapping[str, str] | None = None,
) -> ir.Table:
    """Return all events of [start, until): interactions, orders, answers, and subscriptions that begin or end.

    Parameters
    ----------
    tables
        The contract's tables that the workspace has, by name: those that it lacks are left out. Customers go by the
        ids of persons there.
    start, until
        Naive UTC moments.
    kinds
        Of `KINDS`: which events are wanted; None for all, those whose kind nobody noted among them.
    sold_at
        Channel -> touchpoint of the taxonomy, for orders. An order of another channel, and every order without this,
        is at `order`: the order is a step of its own, after visits to a checkout or a till.

    Returns
    -------
    ibis.expr.types.Table
        Unordered, with the columns of `COLUMNS`: `customer_id`; `at` (naive UTC; subscriptions have days only, and
        theirs are midnights); `ended_at` (of interactions, of orders their delivery; missing else, and where it came
        after `until`); `touchpoint` (of an interaction its own, of an answer `survey`, of subscriptions `joined` and
        `left`: see `TITLES`); `kind` (of `KINDS`; missing where nobody noted it); `channel`; `event_id` (the row's own
        key); `about` (the touchpoint that an answer is about). Answers without a customer are left out.

    Raises
    ------
    UsageError
        For kinds that there are not, and moments that are none.
    Undefined
        Where the workspace has none of these tables.
    """
    import ibis

    wanted = None if kinds is None else _known(doors.names(kinds))
    first, last = (doors.moment(name, value) for name, value in (("start", start), ("until", until)))
    parts = [
        _orders(tables[table], sold_at or {}) if made is None else made(tables[table])
        for table, gives, made in _MAKERS
        if table in tables and (wanted is None or set(gives) & set(wanted))
    ]
    if not parts:
        raise Undefined("this workspace has no interactions, orders, answers or subscriptions")
    within = [part.filter(part.at >= ibis.literal(first), part.at < ibis.literal(last)) for part in parts]
    found = ibis.union(*within) if len(within) > 1 else within[0]
    found = found.filter(found.customer_id.notnull())
    found = found.mutate(ended_at=(found.ended_at < ibis.literal(last)).ifelse(found.ended_at, None))
    return found if wanted is None else found.filter(found.kind.isin(wanted))


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Return kinds; `UsageError` for those that there are not."""
    strange = [kind for kind in kinds if kind not in KINDS]
    if strange:
        told = "; ".join(f"'{kind}'{did_you_mean(str(kind), KINDS)}" for kind in strange)
        raise UsageError(f"no kind of event: {told}", hint=f"There are {', '.join(KINDS)}.")
    return kinds


def _interactions(table: ir.Table) -> ir.Table:
    return _shaped(
        table, at=table.started_at, ended_at=_of(table, "ended_at", "timestamp"), touchpoint=table.touchpoint,
        kind=_of(table, "kind"), channel=_of(table, "channel"), event_id=table.interaction_id,
    )  # fmt: skip


def _orders(table: ir.Table, sold_at: Mapping[str, str]) -> ir.Table:
    import ibis

    channel = _of(table, "channel")
    place = channel.cases(*sold_at.items(), else_=ORDER) if sold_at else ibis.literal(ORDER)
    return _shaped(
        table, at=table.ordered_at, ended_at=_of(table, "delivered_at", "timestamp"), touchpoint=place,
        kind=ibis.literal(ORDER), channel=channel, event_id=table.order_id,
    )  # fmt: skip


def _answers(table: ir.Table) -> ir.Table:
    import ibis

    return _shaped(
        table, at=table.responded_at, ended_at=ibis.null("timestamp"), touchpoint=ibis.literal(SURVEY),
        kind=ibis.literal("answer"), channel=_of(table, "channel"), event_id=table.response_id,
        about=_of(table, "touchpoint"),
    )  # fmt: skip


def _joined(table: ir.Table) -> ir.Table:
    return _subscribing(table, table.started_on, JOINED)


def _left(table: ir.Table) -> ir.Table:
    return _subscribing(table, _of(table, "ended_on", "date"), LEFT)


def _subscribing(table: ir.Table, day: Any, what: str) -> ir.Table:
    """Return a subscription's beginning or end: it has no id of its own, so its key stands for one."""
    import ibis

    key = table.customer_id + ibis.literal(f" {what} ") + table.started_on.cast("string")
    return _shaped(
        table, at=day.cast("timestamp"), ended_at=ibis.null("timestamp"), touchpoint=ibis.literal(what),
        kind=ibis.literal(what), channel=ibis.null("string"), event_id=key,
    )  # fmt: skip


_MAKERS: tuple[tuple[str, tuple[str, ...], Callable[[ir.Table], ir.Table] | None], ...] = (
    ("interactions", contract.KINDS_OF_INTERACTION, _interactions),
    ("orders", (ORDER,), None),
    ("responses", ("answer",), _answers),
    ("subscriptions", (JOINED,), _joined),
    ("subscriptions", (LEFT,), _left),
)


def _of(table: ir.Table, name: str, kind: str = "string") -> Any:
    """Return a column of a table, missing everywhere where it has none."""
    import ibis

    return table[name] if name in table.columns else ibis.null(kind)


def _shaped(table: ir.Table, **columns: Any) -> ir.Table:
    """Return the columns of `COLUMNS` in their types: those of a union must be the same."""
    import ibis

    who = _of(table, "customer_id")  # answers need none
    told: dict[str, Any] = {"customer_id": who, "about": ibis.null("string")} | columns
    types = {"at": "timestamp(6)", "ended_at": "timestamp(6)"}
    return table.select(**{name: told[name].cast(types.get(name, "string")) for name in COLUMNS})
