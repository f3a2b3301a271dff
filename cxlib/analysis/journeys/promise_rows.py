"""What the questions about promises take from the tables: Ibis expressions of rows; nothing runs here.

Times are naive UTC, from `start` up to `until`, which is also the end of what is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from cxlib.measure.derived import Tables, Undefined, level_of, with_customers
from cxlib.measure.surveys import asked, seconds
from cxlib.params import Segment

_DAY = 86_400
_CONTACTS = ("contact", "complaint")


def orders(tables: Tables, start: datetime, until: datetime) -> ir.Table:
    """Return the orders placed in a time that were promised for one.

    They have `customer_id`, `ordered_at`, `promised_at`, `delivered_at`.
    """
    found = _having(tables, "orders", "promised_at", "delivered_at")
    kept = found.filter(_within(found.ordered_at, start, until), found.promised_at.notnull())
    return kept.select("customer_id", "ordered_at", "promised_at", "delivered_at")


def surveys_sent(tables: Tables, start: datetime, until: datetime) -> ir.Table:
    """Return the surveys about orders that were sent in a time.

    They have `customer_id`, `touchpoint`, `asked_at`, `delivered_at`; orders without a promise and a delivery were no
    deliveries.
    """
    sent, bought = _having(tables, "invitations", "order_id"), _deliveries(tables)
    mine = sent.filter(_within(sent.sent_at, start, until), sent.order_id.notnull())
    mine = mine.select("customer_id", "order_id", touchpoint=_text(mine, "touchpoint"), asked_at=mine.sent_at)
    return mine.inner_join(bought, mine.order_id == bought._order).select(
        "customer_id", "touchpoint", "asked_at", "delivered_at"
    )


def answers(tables: Tables, start: datetime, until: datetime, segments: Sequence[Segment] = ()) -> ir.Table:
    """Return the answers about orders that were given in a time, with what was known of their delivery.

    They have `response_id`, `customer_id`, `instrument`, `touchpoint`, `score`, `responded_at`, `asked_at` (of the
    invitation; the answer's own time where none is named), `promised_at`, `delivered_at`, and the customer's level of
    each segment at the answer, by id.
    """
    given, bought = _having(tables, "responses", "customer_id", "order_id"), _deliveries(tables)
    mine = given.filter(_within(given.responded_at, start, until), given.customer_id.notnull())
    mine = with_customers(asked(mine, tables), segments, "responded_at", tables)
    uninvited = _text(mine, "invitation_id").isnull()
    mine = mine.select(
        "response_id", "customer_id", "instrument", "responded_at", score=mine.score.cast("float64"),
        touchpoint=_text(mine, "touchpoint"), asked_at=ibis.ifelse(uninvited, mine.responded_at, mine._sent_at),
        _of=ibis.coalesce(mine.order_id, mine._asked_order),
        **{segment.id: level_of(segment, mine, {}) for segment in segments},
    )  # fmt: skip
    return mine.inner_join(bought, mine._of == bought._order).drop("_of", "_order")


def bills(tables: Tables, start: datetime, until: datetime, days: int) -> ir.Table:
    """Return the bills of a time with contacts and complaints of the same customer in the days after and before.

    They have `customer_id`, `after` and `before` (1 or 0); bills whose days after are not over, or of whose days
    before nothing was recorded yet, or not of this customer, are left out.
    """
    found = _having(tables, "interactions", "kind")
    first, last = start - timedelta(days=days), until - timedelta(days=days)
    near = found.filter(_within(found.started_at, first, until), found.kind.isin(["billing", *_CONTACTS]))
    contact = near.kind.isin(_CONTACTS).cast("int64")
    listed = near.select("customer_id", "kind", "started_at", _when=seconds(near.started_at), _one=contact)
    span = days * _DAY
    order = {"group_by": listed.customer_id, "order_by": listed._when}
    after = ibis.range_window(preceding=0, following=span, **order)
    before = ibis.range_window(preceding=(span, 1), **order)
    told = listed.mutate(_after=listed._one.sum().over(after), _before=listed._one.sum().over(before))
    told = told.filter(told.kind == "billing", _within(told.started_at, start, last))
    customers = tables["customers"]
    known = customers.group_by(_who=customers.customer_id).aggregate(_since=customers.valid_from.min())
    met = told.inner_join(known, told.customer_id == known._who)
    begun = found.started_at.min().as_scalar()  # before it nothing was recorded that could have been a contact
    met = met.filter(ibis.greatest(met._since, begun) <= met.started_at - ibis.interval(days=days))
    return met.select("customer_id", after=_some(met._after), before=_some(met._before))


def visits(tables: Tables, start: datetime, until: datetime) -> ir.Table:
    """Return the visits of a time whose page's loading was timed, and whether an order followed within a day.

    They have `customer_id`, `touchpoint`, `started_at`, `load_ms`, `ordered` (1 or 0; missing where the day is not over
    yet, or the workspace has no orders).
    """
    found = _having(tables, "interactions", "load_ms")
    timed = found.filter(_within(found.started_at, start, until), found.load_ms.notnull())
    own = timed.select(
        "customer_id", "touchpoint", "started_at", load_ms=timed.load_ms.cast("float64"),
        _when=seconds(timed.started_at), _one=ibis.literal(0, "int64"),
    )  # fmt: skip
    if "orders" not in tables:
        return own.mutate(ordered=ibis.null("float64")).drop("_when", "_one")
    bought = tables["orders"]
    bought = bought.filter(_within(bought.ordered_at, start, until))
    placed = bought.select(
        "customer_id", touchpoint=ibis.null("string"), started_at=bought.ordered_at, load_ms=ibis.null("float64"),
        _when=seconds(bought.ordered_at), _one=ibis.literal(1, "int64"),
    )  # fmt: skip
    both = own.union(placed)
    day = ibis.range_window(preceding=0, following=_DAY, group_by=both.customer_id, order_by=both._when)
    told = both.mutate(_bought=both._one.sum().over(day))
    told = told.filter(told._one == 0)
    over = told.started_at < until - timedelta(days=1)
    ordered = ibis.ifelse(over, _some(told._bought), ibis.null("float64"))
    return told.select("customer_id", "touchpoint", "started_at", "load_ms", ordered=ordered)


def _deliveries(tables: Tables) -> ir.Table:
    """Return the orders that are delivered, or were promised to be."""
    bought = _having(tables, "orders", "delivered_at")
    promise = bought.promised_at if "promised_at" in bought.columns else ibis.null("timestamp")
    known = bought.select(_order=bought.order_id, promised_at=promise, delivered_at=bought.delivered_at)
    return known.filter(known.promised_at.notnull() | known.delivered_at.notnull())


def _having(tables: Tables, name: str, *columns: str) -> ir.Table:
    """Return a table that has some columns, or raise `Undefined` in words for people."""
    if name not in tables:
        raise Undefined(f"this workspace has no {name}")
    lacking = [column for column in columns if column not in tables[name].columns]
    if lacking:
        raise Undefined(f"the {name} of this workspace do not tell {' and '.join(map(_plain, lacking))}")
    return tables[name]


_WORDS = {
    "promised_at": "what was promised", "delivered_at": "when they came", "order_id": "which order they are about",
    "customer_id": "whose they are", "kind": "what kind they are", "load_ms": "how long pages load",
}  # fmt: skip


def _plain(column: str) -> str:
    return _WORDS[column]


def _within(moment: ir.TimestampValue, start: datetime, until: datetime) -> ir.BooleanValue:
    return (moment >= ibis.literal(start, type="timestamp")) & (moment < ibis.literal(until, type="timestamp"))


def _text(rows: ir.Table, name: str) -> ir.StringValue:
    return rows[name] if name in rows.columns else ibis.null("string")


def _some(count: ir.IntegerValue) -> ir.FloatingValue:
    """Return 1 where there is any; the sum over a window without rows is missing."""
    return (ibis.coalesce(count, 0) > 0).cast("int64").cast("float64")
