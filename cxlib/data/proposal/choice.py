"""Which table of the contract a file fills, by what its columns are called and hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.questions import Asked
from cxlib.data.proposal.roles import Roles

_CONTACTS = re.compile(
    r"(^|_)(tickets?|calls?|chats?|cases?|conversations?|interactions?|contacts?|events?|sessions?|messages?|complaints?"
    r"|anrufe?|llamadas?|visits?|incidents?|tweets?|web|clicks?\w*)(_|$)"
)
_ORDERS = re.compile(
    r"(^|_)(orders?|purchases?|sales|transactions?|invoices?|bestellungen|pedidos|commandes|bookings?)(_|$)"
)
_CUSTOMERS = re.compile(
    r"(^|_)(customers?|users?|clients?|members?|kunden|clientes|contacts_export|people|accounts?)(_|$)"
)
_SURVEYS = re.compile(r"(^|_)(surveys?|responses?|answers?|feedback|nps|csat|ces|reviews?|umfrage|encuesta)(_|$)")
_PEOPLE = re.compile(r"gender|sex|age|age_(group|band)|birth.*|customer_(type|class|segment)|segment|tenure|recency")
_MOST_VARIANTS = 10


@dataclass(frozen=True)
class Choice:
    """The tables that a file fills, the main one first, with the reason; `doubt` where no table fits well."""

    tables: tuple[str, ...]
    why: str
    doubt: str = ""


def choose(roles: Roles, asked: Sequence[Asked], stem: str) -> Choice:
    """Choose the tables that a file fills.

    Parameters
    ----------
    roles
        Its columns.
    asked
        The questions that were found in it.
    stem
        The file's name in small letters, its words joined by `_`.
    """
    seen = _Seen(roles, asked, stem)
    for table, reason in (
        ("identities", seen.identities()),
        ("exposures", seen.exposures()),
        ("costs", seen.costs()),
        ("invitations", seen.invitations()),
        ("subscriptions", seen.subscriptions()),
        ("orders", seen.orders()),
        ("interactions", seen.interactions()),
        ("responses", seen.responses()),
        ("customers", seen.customers()),
        ("interactions", seen.events()),
        ("customers", seen.people()),
    ):
        if reason:
            also = ("responses",) if table in ("orders", "interactions") and seen.scored else ()
            return Choice((table, *also), reason)
    return Choice((seen.nearest(),), "nothing better", "no table of the contract fits what its columns hold")


class _Seen:
    """What speaks for each table; each method gives the reason, or nothing."""

    def __init__(self, roles: Roles, asked: Sequence[Asked], stem: str) -> None:
        self.roles, self.stem = roles, stem
        self.customer = roles.customer()
        self.once = any(c.unique for c in roles.columns if self.customer and c.name in self.customer.uses)
        self.long = bool(instrument_column(roles) and roles.first("score"))
        self.scored = self.long or any(one.instrument for one in asked)
        self.time = bool(event_times(roles))
        self.amount = bool(roles.all("amount", "integer", "number") or roles.all("amount", "text"))
        self.contacts = self._contacts()

    def _contacts(self) -> int:
        """Count what speaks for rows of contacts."""
        roles = self.roles
        signs = [
            bool(roles.keys("interaction_id")),
            2 * bool(_CONTACTS.search(self.stem)),
            bool(roles.all("event", "text")),
            bool(roles.keys("agent_id") or roles.all("agent_id", "text")),
            bool(roles.all("channel", "text") or roles.all("reason", "text")),
            bool(roles.all("transcript", "text", "comment")),
            bool(roles.all("wait_seconds") or roles.all("handle_seconds")),
            bool(roles.all("ended_at", "time")),
        ]
        return sum(signs)

    def identities(self) -> str:
        """Two ids and next to nothing else."""
        two = bool(self.roles.keys("source_id")) and self.customer is not None
        small = len(self.roles.columns) <= 4 and not (self.amount or self.scored)
        return "two ids of one person and little else" if two and small else ""

    def exposures(self) -> str:
        """A customer and one of a few variants."""
        variant = variant_column(self.roles)
        if variant is None or self.customer is None or self.scored or self.amount:
            return ""
        return f"a customer and '{variant.name}', which has {len(variant.labels)} values"

    def costs(self) -> str:
        """A source, a time and what was spent, but no customer."""
        spend = self.roles.all("spend", "integer", "number")
        found = spend and self.roles.all("source", "text") and (self.time or self.roles.all("month"))
        return f"'{spend[0].name}' by source and time, and no customer" if found and not self.customer else ""

    def invitations(self) -> str:
        """Something that was sent to a customer, without an answer."""
        sent = self.roles.all("sent_at", "time")
        asks = self.roles.keys("invitation_id") or re.search(r"invit|survey|einladung", self.stem)
        return f"'{sent[0].name}' and no score" if sent and asks and self.customer and not self.scored else ""

    def subscriptions(self) -> str:
        """A contract of a customer: its beginning, and its end, price or plan."""
        roles = self.roles
        begins = roles.all("started_on", "time")
        more = roles.all("ended_on", "time") or roles.all("monthly_amount", "integer", "number")
        if not (begins and more and self.customer) or roles.keys("order_id") or self.contacts > 2:
            return ""
        return f"'{begins[0].name}' and '{more[0].name}' of a customer"

    def orders(self) -> str:
        """An amount, or at least the time of a purchase, with the key of an order."""
        roles = self.roles
        keyed = bool(roles.keys("order_id") or _ORDERS.search(self.stem))
        dated = bool(roles.all("ordered_at", "time"))
        if self.amount and self.time and self.customer and (keyed or dated or self.contacts < 2):
            return "an amount and a time of a customer"
        unique = any(column.unique for column in roles.keys("order_id"))
        if keyed and (self.amount or dated) and (unique or self.amount) and not self.scored:
            return "the key of an order"
        return ""

    def interactions(self) -> str:
        """Contacts: two signs of them and a time, or more signs."""
        alone = not self.scored or (bool(self.roles.keys("interaction_id")) and self.customer is not None)
        people = bool(_CUSTOMERS.search(self.stem)) and self.once
        enough = self.contacts >= (2 if self.time else 3)
        if enough and alone and not people and not self._survey():
            return "it has what contacts have"
        return ""

    def responses(self) -> str:
        """A score, or what surveys have."""
        if self.scored:
            return "a score"
        return "it looks like a survey" if self._survey() else ""

    def _survey(self) -> bool:
        """Say whether a file without a score that is known is still a survey."""
        tool = bool(self.roles.look.header.rows > 1)
        return tool or bool(self.roles.keys("response_id")) or bool(_SURVEYS.search(self.stem))

    def customers(self) -> str:
        """A customer in each row, once."""
        if self.customer and (self.once or _CUSTOMERS.search(self.stem)) and not self.amount:
            return "each customer stands there once"
        people = _CUSTOMERS.search(self.stem) and any(column.unique for column in self.roles.keys("any_id"))
        return "its name, and a key" if people else ""

    def events(self) -> str:
        """A time of a customer."""
        return "a time of a customer" if self.time and (self.customer or self.contacts) else ""

    def people(self) -> str:
        """A customer and nothing that happened; or a key beside what only people have."""
        if self.customer:
            return "a customer, and nothing that happened"
        told = any(_PEOPLE.fullmatch(column.word) for column in self.roles.columns)
        keyed = any(column.unique for column in self.roles.keys("any_id"))
        return "a key, and what people have" if told and keyed and not self.time else ""

    def nearest(self) -> str:
        """Return the table that lacks least."""
        return "orders" if self.amount and self.roles.keys("order_id") else "interactions"


def instrument_column(roles: Roles) -> Column | None:
    """Return the column that names the instrument of each row, as in NPS, CSAT, NPS."""
    known = {"nps", "csat", "ces"}
    found = (
        column for column in roles.all("instrument", "text") if {label.lower() for label in column.labels} <= known
    )
    return next((column for column in found if column.labels), None)


def variant_column(roles: Roles) -> Column | None:
    """Return the column that says which variant of an experiment a customer saw."""
    found = roles.all("variant", "text", "integer", "boolean")
    return next((column for column in found if 2 <= len(column.labels) <= _MOST_VARIANTS), None)


def event_times(roles: Roles) -> list[Column]:
    """Return the columns that may say when something happened: not when a tool last touched or copied the row."""
    later = {column.name for role in ("synced", "updated") for column in roles.all(role)}
    return [column for column in roles.columns if column.kind == "time" and column.name not in later]
