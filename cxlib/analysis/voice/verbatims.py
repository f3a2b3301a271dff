"""One table of what customers wrote and said: survey comments, reviews, tickets, chats and calls; nothing runs here.

The texts are as they were written. They are redacted before anything else is done with them: `reports/voicing.py`
brings no text without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.derived import Undefined

COMMENT, REVIEW, TICKET, CHAT, CALL = "comment", "review", "ticket", "chat", "call"
SOURCES = (COMMENT, REVIEW, TICKET, CHAT, CALL)
COLUMNS = (
    "verbatim_id", "customer_id", "at", "text", "language", "touchpoint", "channel", "source", "instrument", "score",
)  # fmt: skip
NONE = "this workspace has no comments and no transcripts"
_CHATS, _CALLS = r"chat|whatsapp|messenger|telegram|sms", r"phone|telephone|call|voice"
_TEXTS = {"responses": "comment", "interactions": "transcript"}
_KEYS = {"responses": ("response_id", "responded_at"), "interactions": ("interaction_id", "started_at")}


def verbatims(
    tables: Mapping[str, ir.Table], *, start: datetime, until: datetime, reviewed: Collection[str] = ()
) -> ir.Table:
    """Return one row a text that customers wrote or said.

    Parameters
    ----------
    tables
        The contract's tables that the workspace has. Texts of people who do not agree are not in them: the store
        leaves them out (`data/consent.py`).
    start, until
        From when until before when, naive UTC.
    reviewed
        Touchpoints at which an answer is a review that others read, `product_reviews` say; elsewhere it is a comment.

    Returns
    -------
    ibis.expr.types.Table
        The columns of `COLUMNS`, in no order. `verbatim_id` is that of the answer or interaction; `at` is naive UTC;
        `source` is one of `SOURCES`: what a transcript is, its channel or else its touchpoint says (a ticket where
        neither names a chat or a call); `instrument` and `score` are missing of transcripts, as is whatever the
        workspace does not tell. Blank texts are left out.

    Raises
    ------
    Undefined
        Where neither comments nor transcripts are there.
    UsageError
        For a start that is not before the end.
    """
    if start >= until:
        raise UsageError(f"no time lies between {start} and {until}")
    known = [name for name, text in _TEXTS.items() if name in tables and text in tables[name].columns]
    if not known:
        raise Undefined(NONE)
    return ibis.union(*(_texts(tables[name], name, (start, until), reviewed) for name in known))


def _texts(table: ir.Table, name: str, time: tuple[datetime, datetime], reviewed: Collection[str]) -> ir.Table:
    """Return the texts of one table."""
    key, when = _KEYS[name]
    start, until = (ibis.literal(moment, type="timestamp") for moment in time)
    within = table.filter((table[when] >= start) & (table[when] < until) & table[_TEXTS[name]].notnull())
    within = within.filter(within[_TEXTS[name]].strip() != "")
    what = {
        column: _column(within, column, "string") for column in ("customer_id", "language", "touchpoint", "channel")
    }
    return within.select(
        verbatim_id=within[key], customer_id=what["customer_id"], at=within[when], text=within[_TEXTS[name]],
        language=what["language"], touchpoint=what["touchpoint"], channel=what["channel"],
        source=_source(name, what, reviewed), instrument=_column(within, "instrument", "string"),
        score=_column(within, "score", "float64"),
    )  # fmt: skip


def _column(table: ir.Table, name: str, kind: str) -> ir.Value:
    return table[name].cast(kind) if name in table.columns else ibis.null(kind)


def _source(name: str, what: Mapping[str, ir.Value], reviewed: Collection[str]) -> ir.Value:
    """Return what kind of text a row holds."""
    if name == "responses":
        place = what["touchpoint"].fill_null("")
        return ibis.ifelse(place.isin(sorted(reviewed)), REVIEW, COMMENT) if reviewed else ibis.literal(COMMENT)
    channel, place = (what[column].fill_null("").lower() for column in ("channel", "touchpoint"))
    return ibis.cases(
        (channel.re_search(_CHATS), CHAT), (channel.re_search(_CALLS), CALL),
        (channel != "", TICKET), (place.re_search(_CHATS), CHAT), (place.re_search(_CALLS), CALL), else_=TICKET,
    )  # fmt: skip
