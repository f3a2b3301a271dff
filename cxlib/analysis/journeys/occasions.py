"""Each occasion on which something could go wrong, or well, with a customer, and whether it did: expressions only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import ibis

from cxlib.analysis import doors
from cxlib.analysis.journeys.named_causes import Limits, missing
from cxlib.measure.derived import Undefined
from cxlib.measure.surveys import seconds

if TYPE_CHECKING:
    import ibis.expr.types as ir

_CASE_DAYS, _DAY, _PAUSE = 90, 86_400, 1_800  # how far back a case may have begun; seconds that part two visits


def occasions(
    tables: Mapping[str, ir.Table], causes: Iterable[str], *, start: object, until: object, limits: Limits | None = None
) -> ir.Table:
    """Return the occasions of [start, until) on which something could go wrong or well, and what did.

    Parameters
    ----------
    tables
        The contract's tables that the workspace has.
    causes
        Ids of `named_causes.CAUSES`.
    start, until
        Naive UTC moments; what came later is not known.
    limits
        From where on something is too much; default `Limits()`.

    Returns
    -------
    ibis.expr.types.Table
        Unordered, one row a contact, order, page, message or visit: `customer_id`; `at`, when it was known (naive UTC);
        `touchpoint`; `about` (the order); and for each cause a column of its name, 1 where it was met, 0 where it was
        spared, null where it could not be.

    Raises
    ------
    Undefined
        Where the workspace cannot tell of one of the causes; see `named_causes.missing`.
    """
    ends = [doors.moment(name, value).to_pydatetime() for name, value in (("start", start), ("until", until))]
    wanted = tuple(dict.fromkeys(causes))
    for name in wanted:
        why = missing(tables, name)
        if why:
            raise Undefined(why)
    asked = _Asked(tables, ends[0], ends[1], limits or Limits(), wanted)
    parts = [_shaped(made(asked), wanted) for names, made in _MAKERS if set(names) & set(wanted)]
    found = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return found.filter(found.customer_id.notnull())


def listed(rows: ir.Table, causes: Iterable[str]) -> ir.Table:
    """Return `occasions` as one row a cause: `cause`, `customer_id`, `at`, `touchpoint`, `hit`."""
    names = list(causes)
    long = rows.select("customer_id", "at", "touchpoint", *names)
    long = long.pivot_longer(names, names_to="cause", values_to="hit")
    return long.filter(long.hit.notnull())


@dataclass(frozen=True)
class _Asked:
    """The tables, the time, the limits and the causes of one question."""

    tables: Mapping[str, ir.Table]
    start: Any
    until: Any
    limits: Limits
    causes: tuple[str, ...]

    def of_kind(self, kind: str, *, back: int = 0) -> ir.Table:
        """Return interactions of a kind, from `back` days before the start on."""
        rows = self.tables["interactions"]
        first = ibis.literal(self.start - timedelta(days=back), type="timestamp")
        return rows.filter(rows.kind == kind, rows.started_at >= first, rows.started_at < self.last)

    def within(self, moment: Any) -> Any:
        """Say whether a moment lies in the time asked about."""
        return (moment >= ibis.literal(self.start, type="timestamp")) & (moment < self.last)

    @property
    def last(self) -> Any:
        """The end of the time."""
        return ibis.literal(self.until, type="timestamp")

    def some(self, **met: Callable[[], Any]) -> dict[str, Any]:
        """Return the columns of those causes that are asked about; only these need columns of the tables."""
        return {name: value() for name, value in met.items() if name in self.causes}


def _shaped(rows: ir.Table, causes: Iterable[str]) -> ir.Table:
    """Return the same columns for every kind of occasion, in their types."""
    about = rows.about if "about" in rows.columns else ibis.null("string")
    met = {name: rows[name] if name in rows.columns else ibis.null("int64") for name in causes}
    return rows.select(
        customer_id=rows.customer_id.cast("string"), at=rows.at.cast("timestamp(6)"),
        touchpoint=rows.touchpoint.cast("string"), about=about.cast("string"),
        **{name: value.cast("int64") for name, value in met.items()},
    )  # fmt: skip


def _contacts(asked: _Asked) -> ir.Table:
    """Contacts: what was waited, passed on and resolved, and who took the contact before of the same case.

    A contact without a case is a first one. A case that began more than 90 days before the time begins anew there.
    """
    of_case = {"unresolved", "at_once", "other_person", "same_person", "other_channel"} & set(asked.causes)
    rows = asked.of_kind("contact", back=_CASE_DAYS if of_case else 0)
    first: Any = ibis.literal(True)
    if of_case and "case_id" in rows.columns:
        order = ibis.window(group_by=rows.case_id, order_by=[rows.started_at, rows.interaction_id])
        before = {f"_{name}": rows[name].lag().over(order) for name in ("agent_id", "channel") if name in rows.columns}
        rows = rows.mutate(_place=ibis.row_number().over(order), **before)
        first = rows.case_id.isnull() | (rows._place == 0)
    limits = asked.limits
    met = asked.some(
        waiting=lambda: rows.wait_seconds > limits.wait_seconds,
        fast=lambda: rows.wait_seconds <= limits.fast_seconds,
        transferred=lambda: rows.transferred,
        unresolved=lambda: _where(first, ~rows.resolved),
        at_once=lambda: _where(first, rows.resolved),
        other_person=lambda: _where(~first, rows.agent_id != rows._agent_id),
        same_person=lambda: _where(~first, rows.agent_id == rows._agent_id),
        other_channel=lambda: _where(~first, rows.channel != rows._channel),
    )
    return rows.mutate(at=rows.started_at, **met).filter(asked.within(rows.started_at))


def _where(condition: Any, value: Any) -> Any:
    return ibis.ifelse(condition, value, ibis.null("boolean"))


def _orders(asked: _Asked) -> ir.Table:
    """Orders with a promised time: known when they came, or when the promise passed."""
    rows, limits = asked.tables["orders"], asked.limits
    came = ibis.ifelse(rows.delivered_at < asked.last, rows.delivered_at, ibis.null("timestamp"))
    rows = rows.mutate(_came=came, at=ibis.least(ibis.coalesce(came, rows.promised_at), rows.promised_at))
    rows = rows.filter(rows.promised_at.notnull(), asked.within(rows.at))
    early = seconds(rows.promised_at) - seconds(rows._came) >= limits.early_days * _DAY
    met = asked.some(
        late=lambda: rows._came.isnull() | (rows._came > rows.promised_at),
        early=lambda: rows._came.notnull() & ibis.coalesce(early, False),
    )
    return rows.mutate(touchpoint=ibis.literal(limits.delivery), about=rows.order_id, **met)


def _after_machine(asked: _Asked) -> ir.Table:
    """Visits to what answers without a person, and whether a contact followed; known when the days have passed."""
    limits = asked.limits
    visits = asked.of_kind("visit", back=limits.again_days)
    visits = visits.filter(visits.touchpoint.isin(limits.automatic))
    contacts = asked.of_kind("contact", back=limits.again_days)
    found = contacts.select(_who=contacts.customer_id, _began=seconds(contacts.started_at))
    rows = visits.mutate(_at=seconds(visits.started_at))
    after = [rows.customer_id == found._who, found._began > rows._at,
             found._began <= rows._at + limits.again_days * _DAY]  # fmt: skip
    again = rows.semi_join(found, after).select(_visit="interaction_id")
    joined = rows.left_join(again, rows.interaction_id == again._visit)
    joined = joined.mutate(at=joined.started_at + ibis.interval(days=limits.again_days))
    return joined.mutate(asked_again=joined._visit.notnull()).filter(asked.within(joined.at))


def _pages(asked: _Asked) -> ir.Table:
    """Pages whose load time is known."""
    rows = asked.tables["interactions"]
    rows = rows.filter(asked.within(rows.started_at), rows.load_ms.notnull())
    return rows.mutate(at=rows.started_at, slow_page=rows.load_ms > asked.limits.load_ms)


def _messages(asked: _Asked) -> ir.Table:
    """Messages and surveys that were sent, and whether they were too many in the 30 days up to each."""
    sent = asked.of_kind("message", back=30)
    parts = [sent.select("customer_id", at=sent.started_at, touchpoint=sent.touchpoint)]
    if "invitations" in asked.tables:
        asks = asked.tables["invitations"]
        first = ibis.literal(asked.start - timedelta(days=30), type="timestamp")
        asks = asks.filter(asks.sent_at >= first, asks.sent_at < asked.last)
        parts.append(asks.select("customer_id", at=asks.sent_at, touchpoint=ibis.literal("survey")))
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    rows = rows.mutate(_when=seconds(rows.at))
    lately = ibis.range_window(preceding=30 * _DAY, following=0, group_by=rows.customer_id, order_by=rows._when)
    rows = rows.mutate(messages=rows.count().over(lately) > asked.limits.messages)
    return rows.filter(asked.within(rows.at))


def _circles(asked: _Asked) -> ir.Table:
    """Visits as runs of steps without 30 minutes between, and whether one page came back and nothing was bought."""
    rows = asked.of_kind("visit", back=1)
    rows = rows.mutate(_when=seconds(rows.started_at))
    order = ibis.window(group_by=rows.customer_id, order_by=[rows._when, rows.interaction_id])
    rows = rows.mutate(_new=ibis.coalesce((rows._when - rows._when.lag().over(order) > _PAUSE).cast("int64"), 1))
    upto = ibis.cumulative_window(group_by=rows.customer_id, order_by=[rows._when, rows.interaction_id])
    rows = rows.mutate(_visit=rows._new.sum().over(upto))
    pages = rows.group_by("customer_id", "_visit", "touchpoint").aggregate(
        times=rows.count(), begun=rows._when.min(), done=rows._when.max(), at=rows.started_at.max()
    )
    visits = pages.group_by("customer_id", "_visit").aggregate(
        touchpoint=pages.touchpoint.max(), times=pages.times.max(), begun=pages.begun.min(), done=pages.done.max(),
        at=pages.at.max(),
    )  # fmt: skip
    visits = visits.filter(asked.within(visits.at))
    again = visits.times >= asked.limits.same_page
    if "orders" not in asked.tables:
        return visits.mutate(circles=again)
    buyers = _bought_in(visits.filter(again), asked)
    visits = visits.left_join(buyers, [visits.customer_id == buyers._buyer, visits._visit == buyers._in])
    return visits.mutate(circles=(visits.times >= asked.limits.same_page) & visits._buyer.isnull())


def _bought_in(visits: ir.Table, asked: _Asked) -> ir.Table:
    """Return which visits ended in an order, within an hour."""
    orders = asked.tables["orders"]
    first = ibis.literal(asked.start - timedelta(days=2), type="timestamp")
    orders = orders.filter(orders.ordered_at >= first, orders.ordered_at < asked.last)
    bought = orders.select(_who="customer_id", _bought=seconds(orders.ordered_at))
    same = [visits.customer_id == bought._who, bought._bought >= visits.begun, bought._bought <= visits.done + 3600]
    return visits.semi_join(bought, same).select(_buyer="customer_id", _in="_visit")


_OF_CONTACTS = (
    "unresolved", "at_once", "waiting", "fast", "transferred", "other_person", "same_person", "other_channel",
)  # fmt: skip
_MAKERS: tuple[tuple[tuple[str, ...], Callable[[_Asked], ir.Table]], ...] = (
    (_OF_CONTACTS, _contacts),
    (("late", "early"), _orders),
    (("asked_again",), _after_machine),
    (("slow_page",), _pages),
    (("messages",), _messages),
    (("circles",), _circles),
)
