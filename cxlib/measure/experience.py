"""Derived columns of `responses` that say what an answer is about: the order and the contact that came before it.

Of orders, it is the one that the answer names. Of contacts, it is the customer's last one at the answer's touchpoint in
the 14 days before the survey was sent (before it was answered, without an invitation).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import ibis
import ibis.expr.types as ir

from cxlib.measure.surveys import asked, seconds

OF_ORDER = ("days_late", "partner_id")
OF_CONTACT = {
    "contact_wait_seconds": "wait_seconds", "contact_resolved": "resolved", "agent_id": "agent_id",
}  # fmt: skip
NAMES = (*OF_ORDER, *OF_CONTACT)
WINDOW_DAYS = 14
_DAY = 86_400


def add(rows: ir.Table, wanted: Collection[str], tables: Mapping[str, ir.Table]) -> ir.Table:
    """Add those columns of `NAMES` that are wanted.

    Parameters
    ----------
    rows
        Responses.
    wanted
        Names of columns; those that are not among `NAMES` are passed over.
    tables
        The workspace's tables; what `contract.DERIVED` says a column needs must be there.

    Returns
    -------
    ibis.expr.types.Table
        The rows with the columns; null where there was no such order or contact. `days_late` counts days of 24 hours
        after the promised time, with fractions; 0 for what came in time, null for what has not come.
    """
    if set(OF_ORDER) & set(wanted):
        rows = _of_order(rows, wanted, tables["orders"])
    if OF_CONTACT.keys() & set(wanted):
        rows = _of_contact(rows, wanted, tables)
    return rows


def _of_order(rows: ir.Table, wanted: Collection[str], orders: ir.Table) -> ir.Table:
    """Add what is known of the order that an answer names."""
    columns: dict[str, ir.Value] = {}
    if "days_late" in wanted:
        late = (seconds(orders.delivered_at) - seconds(orders.promised_at)).cast("float64") / float(_DAY)
        columns["days_late"] = ibis.ifelse(late.isnull(), late, ibis.greatest(late, 0.0))
    if "partner_id" in wanted:
        columns["partner_id"] = orders.partner_id
    about = orders.select(_order=orders.order_id, **columns)
    return rows.left_join(about, rows.order_id == about._order).drop("_order")


def _of_contact(rows: ir.Table, wanted: Collection[str], tables: Mapping[str, ir.Table]) -> ir.Table:
    """Add what is known of the last contact before the survey.

    Contacts and surveys stand in one list, so that one window finds the time of the last contact on every engine.
    """
    contacts = _contacts(tables["interactions"], [name for name in OF_CONTACT if name in wanted])
    surveys = asked(rows, tables)
    moment = seconds(ibis.coalesce(surveys._sent_at, surveys.responded_at))
    listed = surveys.select(
        _response=surveys.response_id, _who=surveys.customer_id, _where=surveys.touchpoint, _when=moment,
        _contact=ibis.null("int64"),
    )  # fmt: skip
    began = contacts.select(
        _response=ibis.null("string"), _who=contacts._person, _where=contacts._place, _when=contacts._began,
        _contact=contacts._began,
    )  # fmt: skip
    both = listed.union(began)
    before = ibis.range_window(
        preceding=WINDOW_DAYS * _DAY, following=0, group_by=[both._who, both._where], order_by=both._when
    )
    last = both.select("_response", _last=both._contact.max().over(before)).filter(lambda found: found._last.notnull())
    rows = rows.left_join(last.filter(last._response.notnull()), rows.response_id == last._response).drop("_response")
    same = [
        rows.customer_id == contacts._person, rows.touchpoint == contacts._place, rows._last == contacts._began,
    ]  # fmt: skip
    return rows.left_join(contacts, same).drop("_person", "_place", "_began", "_last")


def _contacts(interactions: ir.Table, names: Collection[str]) -> ir.Table:
    """Return contacts by person, touchpoint and second; of several in one second the one with the lowest id."""
    found = interactions.filter(interactions.kind == "contact")
    keys = {"_person": found.customer_id, "_place": found.touchpoint, "_began": seconds(found.started_at)}
    values = {name: found[OF_CONTACT[name]] for name in names}
    known = found.select(**keys, **values, _id=found.interaction_id)
    first = ibis.row_number().over(ibis.window(group_by=list(keys), order_by=known._id))
    return known.mutate(_n=first).filter(lambda rows: rows._n == 0).drop("_n", "_id")
