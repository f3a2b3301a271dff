"""What may go wrong, or well, with a customer: the causes that teams name, each with a definition on the tables.

Where a cause only stands for what is meant, it says that it is a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxlib.analysis import doors
from cxlib.errors import UsageError

if TYPE_CHECKING:
    import ibis.expr.types as ir

CONTACT, ORDER, CUSTOMER = "contact", "order", "customer"  # what of an answer tells whether it is about a cause


@dataclass(frozen=True)
class Limits:
    """From where on something is too much, or well done.

    Parameters
    ----------
    wait_seconds, fast_seconds
        A wait above the first is long, one up to the second is none.
    load_ms
        A page that takes longer is slow.
    messages
        More than so many messages and surveys in 30 days are too many.
    same_page
        The same page so many times in one visit, with nothing bought, is going round in circles.
    again_days
        Who contacts us within so many days of a chatbot or self-service had to ask again.
    early_days
        A delivery so many days before the promised time is early.
    automatic
        Touchpoints that answer without a person.
    delivery
        The touchpoint at which orders arrive.
    """

    wait_seconds: int = 300
    fast_seconds: int = 60
    load_ms: int = 3_000
    messages: int = 4
    same_page: int = 3
    again_days: int = 7
    early_days: int = 1
    automatic: tuple[str, ...] = ("chatbot", "self_service")
    delivery: str = "delivery"

    def __post_init__(self) -> None:
        for name in ("wait_seconds", "fast_seconds", "load_ms", "messages", "same_page", "again_days", "early_days"):
            doors.whole(name, getattr(self, name), 1, 10**9)
        if self.fast_seconds > self.wait_seconds:
            raise UsageError(f"fast_seconds {self.fast_seconds} is above wait_seconds {self.wait_seconds}")


@dataclass(frozen=True)
class Cause:
    """One thing that goes wrong, or well.

    Parameters
    ----------
    id, group, title
        What it is called here, by teams, and in a sentence.
    of
        What its share is a share of.
    scope
        Which occasions an answer is about: the last contact at the touchpoint asked about, the order it names, or all
        that the customer met lately.
    good
        Whether it is a good moment.
    mirror
        The cause that it is the absence of: both cannot be told apart in one model.
    each
        Whether customers are counted, not occasions.
    """

    id: str
    group: str
    title: str
    of: str
    scope: str
    good: bool = False
    mirror: str = ""
    each: bool = False


CAUSES: Mapping[str, Cause] = {
    cause.id: cause
    for cause in (
        Cause("unresolved", "Unresolved", "Not resolved at the first contact", "first contacts of a case", CONTACT),
        Cause("waiting", "Long waits", "A long wait", "contacts with a known wait", CONTACT),
        Cause("late", "Unmet expectation", "Delivered after the promise", "orders with a promised time", ORDER),
        Cause("other_person", "Impersonal", "Another person in the same case",
              "further contacts of a case (a proxy for impersonal)", CONTACT),
        Cause("asked_again", "Impersonal", "A contact after chatbot or self-service",
              "visits to chatbot or self-service (a proxy for impersonal)", CUSTOMER),
        Cause("slow_page", "Slow pages", "A slow page", "pages with a known load time", CUSTOMER),
        Cause("messages", "Too many messages", "Too many messages", "customers who were sent any", CUSTOMER, each=True),
        Cause("circles", "Hard to navigate", "Going round on one page",
              "visits, parted by 30 minutes without a step (a proxy for hard to navigate)", CUSTOMER),
        Cause("transferred", "Silos", "Passed on to somebody else", "contacts", CONTACT),
        Cause("other_channel", "Silos", "Another channel in the same case", "further contacts of a case", CONTACT),
        Cause("at_once", "Resolved", "Resolved at the first contact", "first contacts of a case", CONTACT, True,
              "unresolved"),
        Cause("fast", "Fast", "Hardly any wait", "contacts with a known wait", CONTACT, True),
        Cause("early", "Early", "Delivered early", "orders with a promised time", ORDER, True),
        Cause("same_person", "Personal", "The same person again in a case", "further contacts of a case", CONTACT, True,
              "other_person"),
    )
}  # fmt: skip


def told(cause: Cause, limits: Limits) -> str:
    """Return the definition of a cause in plain words, with its limit."""
    words = {
        "waiting": f"waited more than {_minutes(limits.wait_seconds)}",
        "unresolved": "not resolved at the first contact",
        "late": "delivered after the promised time, or not yet",
        "other_person": "taken by another person than the contact before",
        "asked_again": f"followed by a contact within {limits.again_days} days",
        "slow_page": f"took more than {limits.load_ms / 1000:g} s to load",
        "messages": f"more than {limits.messages} messages or surveys within 30 days",
        "circles": f"the same page {limits.same_page} times or more, nothing bought",
        "transferred": "passed on to somebody else",
        "other_channel": "by another channel than the contact before",
        "at_once": "resolved at the first contact",
        "fast": f"waited {_minutes(limits.fast_seconds)} at most",
        "early": f"delivered {limits.early_days} day{'s' * (limits.early_days > 1)} or more before the promised time",
        "same_person": "taken by the same person as the contact before",
    }
    return words[cause.id]


def _minutes(count: int) -> str:
    return f"{count / 60:g} min" if count >= 60 else f"{count} s"


def missing(tables: Mapping[str, ir.Table], cause: str) -> str:
    """Return why a workspace cannot tell of a cause; empty where it can."""
    for table, columns in _NEEDS[cause].items():
        if table not in tables:
            return f"this workspace has no {table}"
        lacking = [_WORDS[column] for column in columns if column not in tables[table].columns]
        if lacking:
            return f"the {table} of this workspace do not tell {' or '.join(lacking)}"
    return ""


_WORDS = {
    "kind": "what kind they are", "wait_seconds": "how long customers waited", "resolved": "what was resolved",
    "case_id": "which case they belong to", "agent_id": "who took them", "load_ms": "how long pages took",
    "transferred": "what was passed on", "channel": "by which channel they came", "promised_at": "what was promised",
    "delivered_at": "when they were delivered",
}  # fmt: skip
_FIRST = {"interactions": ("kind", "resolved")}
_CASE = {"interactions": ("kind", "case_id", "agent_id")}
_NEEDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "unresolved": _FIRST, "at_once": _FIRST, "other_person": _CASE, "same_person": _CASE,
    "waiting": {"interactions": ("kind", "wait_seconds")}, "fast": {"interactions": ("kind", "wait_seconds")},
    "late": {"orders": ("promised_at", "delivered_at")}, "early": {"orders": ("promised_at", "delivered_at")},
    "asked_again": {"interactions": ("kind",)}, "slow_page": {"interactions": ("load_ms",)},
    "messages": {"interactions": ("kind",)}, "circles": {"interactions": ("kind",)},
    "transferred": {"interactions": ("kind", "transferred")},
    "other_channel": {"interactions": ("kind", "case_id", "channel")},
}  # fmt: skip
