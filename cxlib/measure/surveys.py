"""Derived columns of `responses` that question the survey itself.

When it was sent, how often its customer was asked and answered, whether it was filled in without reading.

Which answers a column looks at, where a rule says which of repeated ones count:

- `days_since_last_answer`: all of them. An answer that does not count was an answer all the same.
- `answers_of_survey`, `straight_lined`: those that count. A repeat that the rule leaves out is the same question once
  more, and two sendings of one form are no form of twice the questions.

Seconds are whole, fractions cut off, as in expressions; 30 days are 30 x 24 hours, whatever clocks do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import ibis
import ibis.expr.types as ir

NAMES = (
    "sent_before_delivery", "hours_to_answer", "invitations_30_days", "days_since_last_answer", "answers_of_survey",
    "straight_lined",
)  # fmt: skip
LEAST_SCORES = 3  # fewer equal scores say nothing of how a survey was filled in
_HOUR, _DAY = 3_600, 86_400
_WINDOW = 30 * _DAY


def add(rows: ir.Table, wanted: Collection[str], tables: Mapping[str, ir.Table]) -> ir.Table:
    """Add those columns of `NAMES` that are wanted.

    Parameters
    ----------
    rows
        All responses that count, not those of one period: what came before is looked at.
    wanted
        Names of columns; those that are not among `NAMES` are passed over.
    tables
        The workspace's tables; what `contract.DERIVED` says a column needs must be there, the rest is read if there.

    Returns
    -------
    ibis.expr.types.Table
        The rows with the columns. A column is null where it cannot be known: no order, no delivery, an unknown
        customer, an invitation that is named but not there.
    """
    if "sent_before_delivery" in wanted:
        rows = _sent_before_delivery(rows, tables)
    if "hours_to_answer" in wanted:
        rows = asked(rows, tables)
        hours = _whole(rows._sent_at, rows.responded_at, _HOUR)
        rows = rows.mutate(hours_to_answer=hours).drop("_sent_at", "_asked_order")
    if "invitations_30_days" in wanted:
        rows = _pressure(rows, tables)
    if "days_since_last_answer" in wanted:
        rows = _since_last(rows, tables)
    if {"answers_of_survey", "straight_lined"} & set(wanted):
        rows = _filled_in(rows, wanted)
    return rows


def asked(rows: ir.Table, tables: Mapping[str, ir.Table]) -> ir.Table:
    """Add `_sent_at` and `_asked_order` of the invitation that an answer names; null without one."""
    if "invitations" not in tables or "invitation_id" not in rows.columns:
        return rows.mutate(_sent_at=ibis.null("timestamp"), _asked_order=ibis.null("string"))
    sent = tables["invitations"]
    sent = sent.select(_invitation=sent.invitation_id, _sent_at=sent.sent_at, _asked_order=_text(sent, "order_id"))
    return rows.left_join(sent, rows.invitation_id == sent._invitation).drop("_invitation")


def _sent_before_delivery(rows: ir.Table, tables: Mapping[str, ir.Table]) -> ir.Table:
    """An answer without an invitation was asked for at the latest when it was given."""
    rows, orders = asked(rows, tables), tables["orders"]
    uninvited = _text(rows, "invitation_id").isnull()
    rows = rows.mutate(
        _sent=ibis.ifelse(uninvited, rows.responded_at, rows._sent_at),
        _order_of=ibis.coalesce(rows.order_id, rows._asked_order),
    )
    arrived = orders.select(_order=orders.order_id, _delivered=orders.delivered_at)
    rows = rows.left_join(arrived, rows._order_of == arrived._order)
    early = rows._sent < rows._delivered
    return rows.mutate(sent_before_delivery=early).drop(
        "_sent_at", "_asked_order", "_sent", "_order_of", "_order", "_delivered"
    )


def _pressure(rows: ir.Table, tables: Mapping[str, ir.Table]) -> ir.Table:
    """Count invitations to the customer who was invited, or who answered, in less than 30 days up to that moment.

    Invitations and uninvited answers stand in one list, so that one window serves both.
    """
    sent = tables["invitations"]
    invited = sent.select(
        _of=sent.invitation_id, _uninvited=ibis.literal(False), _who=sent.customer_id, _when=seconds(sent.sent_at),
        _one=ibis.literal(1, "int64"),
    )  # fmt: skip
    none = _text(rows, "invitation_id").isnull()
    alone = rows.filter(none & rows.customer_id.notnull())
    answered = alone.select(
        _of=alone.response_id, _uninvited=ibis.literal(True), _who=alone.customer_id,
        _when=seconds(alone.responded_at), _one=ibis.literal(0, "int64"),
    )  # fmt: skip
    both = invited.union(answered)
    near = ibis.range_window(preceding=_WINDOW - 1, following=0, group_by=both._who, order_by=both._when)
    counted = both.select("_of", "_uninvited", invitations_30_days=both._one.sum().over(near).cast("int64"))
    rows = rows.mutate(_none=none, _asked_by=ibis.coalesce(_text(rows, "invitation_id"), rows.response_id))
    same = [rows._asked_by == counted._of, rows._none == counted._uninvited]
    return rows.left_join(counted, same).drop("_none", "_asked_by", "_of", "_uninvited")


def _since_last(rows: ir.Table, tables: Mapping[str, ir.Table]) -> ir.Table:
    """Add the whole days since the customer's last answer to the instrument, among all that were given."""
    every = tables.get("all responses", rows)
    same, when = [every.customer_id, every.instrument], [every.responded_at, every.response_id]
    order = ibis.window(group_by=same, order_by=when)
    last = ibis.ifelse(every.customer_id.isnull(), ibis.null("timestamp"), every.responded_at.lag().over(order))
    days = _whole(last, every.responded_at, _DAY)
    if every is rows:
        return rows.mutate(days_since_last_answer=days)
    found = every.select(_response=every.response_id, days_since_last_answer=days)
    return rows.left_join(found, rows.response_id == found._response).drop("_response")


def _filled_in(rows: ir.Table, wanted: Collection[str]) -> ir.Table:
    """Count the scores that came in one survey: of one invitation, or of one customer at one moment."""
    invited = _text(rows, "invitation_id").notnull()
    who = ibis.ifelse(invited, ibis.null("string"), rows.customer_id)
    when = ibis.ifelse(invited, ibis.null("timestamp"), rows.responded_at)
    survey = ibis.window(group_by=[_text(rows, "invitation_id"), who, when])
    known = invited | rows.customer_id.notnull()
    scores = ibis.ifelse(known, rows.score.count().over(survey).cast("int64"), ibis.null("int64"))
    columns = {"answers_of_survey": scores}
    if "straight_lined" in wanted:
        alike = rows.score.min().over(survey) == rows.score.max().over(survey)
        columns["straight_lined"] = ibis.ifelse(scores >= LEAST_SCORES, alike, ibis.null("boolean"))
    return rows.mutate(**{name: value for name, value in columns.items() if name in wanted})


def _text(rows: ir.Table, name: str) -> ir.StringValue:
    """Return a column that a table may lack."""
    return rows[name] if name in rows.columns else ibis.null("string")


def seconds(moment: ir.TimestampValue) -> ir.IntegerValue:
    """Whole seconds since 1970."""
    return moment.truncate("s").epoch_seconds().cast("int64")


def _whole(first: ir.TimestampValue, last: ir.TimestampValue, unit: int) -> ir.IntegerValue:
    """Return whole units from one moment to another, downwards; by floats, which every engine divides alike."""
    apart = seconds(last) - seconds(first)
    return (apart.cast("float64") / float(unit)).floor().cast("int64")
