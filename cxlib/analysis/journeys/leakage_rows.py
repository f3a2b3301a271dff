"""What the question where leads are lost takes from the tables: Ibis expressions of leads; nothing runs here."""

from __future__ import annotations

from datetime import date, datetime

import ibis
import ibis.expr.types as ir

from cxlib.measure.derived import Tables, Undefined

_KINDS = ("visit", "referral")


def joined(tables: Tables, first: date, last: date) -> ir.Table:
    """Return those who joined from `first` up to `last`: `customer_id`, `source`, `day` (local).

    The source is the one known when they joined, the day `joined_on`; raises `Undefined` where a workspace has neither.
    """
    found = tables.get("customers")
    if found is None or not {"joined_on", "acquisition_source"} <= set(found.columns):
        raise Undefined("nothing is known of when customers joined and from where they came")
    order = ibis.window(group_by=found.customer_id, order_by=found.valid_from)
    each = found.select(
        "customer_id", day=found.joined_on, source=found.acquisition_source, _n=ibis.row_number().over(order)
    )
    own = each.filter(each._n == 0, each.day >= ibis.literal(first, type="date"))
    return own.filter(own.day < ibis.literal(last, type="date")).drop("_n")


def first_touched(tables: Tables, start: datetime, until: datetime) -> ir.Table:
    """Return those first seen in a time: `customer_id`, `source` (the touchpoint of the first visit or referral), `at`.

    Raises `Undefined` where a workspace has no such events.
    """
    if "interactions" not in tables or "kind" not in tables["interactions"].columns:
        raise Undefined("nothing is known of where customers came from")
    found = tables["interactions"]
    seen = found.filter(found.kind.isin(_KINDS), found.started_at < ibis.literal(until, type="timestamp"))
    order = ibis.window(group_by=seen.customer_id, order_by=[seen.started_at, seen.interaction_id])
    each = seen.select("customer_id", source=seen.touchpoint, at=seen.started_at, _n=ibis.row_number().over(order))
    return each.filter(each._n == 0, each.at >= ibis.literal(start, type="timestamp")).drop("_n")


def bought(tables: Tables, leads: ir.Table, until: datetime) -> ir.Table:
    """Return the orders of leads up to a moment: `customer_id`, `at`; subscriptions where there are no orders.

    Raises `Undefined` where a workspace has neither.
    """
    events = _purchases(tables)
    return events.filter(events.at < ibis.literal(until, type="timestamp")).semi_join(leads, "customer_id")


def since(tables: Tables) -> ir.Table:
    """Return the first moment at which anything was bought: `at`. Who came before may have bought unseen."""
    return _purchases(tables).aggregate(at=lambda events: events.at.min())


def _purchases(tables: Tables) -> ir.Table:
    if "orders" in tables:
        return tables["orders"].select("customer_id", at="ordered_at")
    if "subscriptions" in tables:
        found = tables["subscriptions"]
        return found.select("customer_id", at=found.started_on.cast("timestamp"))
    raise Undefined("nothing is known of what customers bought")


def subscribed(tables: Tables, leads: ir.Table, until: date) -> ir.Table:
    """Return the subscriptions of leads that began before a day: `customer_id`, `started_on`, `ended_on`."""
    found = tables["subscriptions"]
    end = found.ended_on if "ended_on" in found.columns else ibis.null("date")
    kept = found.select("customer_id", "started_on", ended_on=end)
    return kept.filter(kept.started_on < ibis.literal(until, type="date")).semi_join(leads, "customer_id")


def costs(tables: Tables, first: date, last: date) -> ir.Table:
    """Return what was spent by source and month of a time: `source`, `month` (its first day), `amount`."""
    found = tables["costs"]
    within = (found.month >= ibis.literal(first, type="date")) & (found.month < ibis.literal(last, type="date"))
    return found.filter(within).select("source", "month", amount=found.amount.cast("float64"))
