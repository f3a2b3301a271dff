"""The tables that every analysis may rely on: keys, types and rules. Schemas only; nothing here reads data.

Times are naive UTC in the store. Any further column of `customers` is a possible segment once `workspace.yml` declares
it under `attributes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

TEXT, TIMESTAMP, DATE, INTEGER, NUMBER, MONEY, BOOLEAN = (
    "text",
    "timestamp",
    "date",
    "integer",
    "number",
    "money",
    "boolean",
)
TYPES = (TEXT, TIMESTAMP, DATE, INTEGER, NUMBER, MONEY, BOOLEAN)

# The range that each instrument is answered on, and the ends that the field gives them. A score outside is rejected
# with a count, never clipped (METHODS, Metrics).
INSTRUMENTS: dict[str, tuple[int, int]] = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}

KINDS_OF_INTERACTION = ("contact", "complaint", "visit", "message", "billing", "referral")


@dataclass(frozen=True)
class Column:
    """One column of the contract.

    `required` columns must be present in a source's SQL and never null; `allowed` lists the values a text may take;
    `low` bounds numbers from below.
    """

    name: str
    type: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    low: float | None = None


@dataclass(frozen=True)
class Table:
    """One table: its columns, its key, the time that its months are cut by, and the order rules between times.

    `orders` holds pairs (earlier, later): a row whose later time precedes the earlier one is rejected. `references`
    maps a column to the table whose key it must be found in.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    time: str
    orders: tuple[tuple[str, str], ...] = ()
    references: dict[str, str] = field(default_factory=dict)

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that no row may lack."""
        return tuple(column.name for column in self.columns if column.required)


def _table(name: str, required: str, optional: str, *, key: str, time: str, **rules: object) -> Table:
    """Build a table from `name:type` words, so that the whole contract reads like the design's own table."""
    allowed: dict[str, tuple[str, ...]] = rules.pop("allowed", {})  # type: ignore[assignment]
    low: dict[str, float] = rules.pop("low", {})  # type: ignore[assignment]
    columns = []
    for words, needed in ((required, True), (optional, False)):
        for word in words.split():
            column, _, kind = word.partition(":")
            columns.append(Column(column, kind or TEXT, needed, allowed.get(column, ()), low.get(column)))
    return Table(name, tuple(columns), tuple(key.split()), time, **rules)  # type: ignore[arg-type]


# `sentiment` and `reason` of an interaction are labels that people gave: what an agent or a coder chose in the tool.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "customers",
            "customer_id valid_from:timestamp",
            "joined_on:date account_id region plan acquisition_source referred_by consent:boolean",
            key="customer_id valid_from",
            time="valid_from",
        ),
        _table(
            "invitations",
            "invitation_id customer_id sent_at:timestamp",
            "instrument touchpoint order_id",
            key="invitation_id",
            time="sent_at",
            references={"customer_id": "customers"},
        ),
        _table(
            "responses",
            "response_id responded_at:timestamp instrument score:integer",
            "customer_id question invitation_id order_id touchpoint channel language comment",
            key="response_id",
            time="responded_at",
            allowed={"instrument": tuple(INSTRUMENTS)},
            references={"customer_id": "customers"},
        ),
        _table(
            "interactions",
            "interaction_id customer_id started_at:timestamp touchpoint",
            "kind ended_at:timestamp channel case_id wait_seconds:integer handle_seconds:integer resolved:boolean "
            "transferred:boolean load_ms:integer agent_id partner_id transcript sentiment reason",
            key="interaction_id",
            time="started_at",
            orders=(("started_at", "ended_at"),),
            allowed={"kind": KINDS_OF_INTERACTION},
            low={"wait_seconds": 0, "handle_seconds": 0, "load_ms": 0},
            references={"customer_id": "customers"},
        ),
        _table(
            "orders",
            "order_id customer_id ordered_at:timestamp amount:money",
            "units:integer cost:money discount:money promised_at:timestamp delivered_at:timestamp channel source "
            "partner_id",
            key="order_id",
            time="ordered_at",
            orders=(("ordered_at", "delivered_at"),),
            low={"units": 0, "amount": 0},
            references={"customer_id": "customers"},
        ),
        _table(
            "subscriptions",
            "customer_id started_on:date",
            "ended_on:date end_reason plan monthly_amount:money",
            key="customer_id started_on",
            time="started_on",
            orders=(("started_on", "ended_on"),),
            references={"customer_id": "customers"},
        ),
        _table(
            "exposures",
            "experiment customer_id variant exposed_at:timestamp",
            "",
            key="experiment customer_id variant exposed_at",  # a log: a second exposure has to show
            time="exposed_at",
            references={"customer_id": "customers"},
        ),
        _table("costs", "source month:date amount:money", "", key="source month", time="month", low={"amount": 0}),
        _table("identities", "source_id customer_id", "", key="source_id", time=""),
    )
}


class Derived(NamedTuple):
    """A column that `measure.plans` works out: its type, and the contract columns (`table.column`) that it needs."""

    type: str
    needs: tuple[str, ...]


def _of_touchpoint(table: str) -> dict[str, Derived]:
    """Return what the taxonomy in `touchpoints.yml` says of a row's touchpoint."""
    needs = (f"{table}.touchpoint",)
    types = {"touchpoint_group": TEXT, "touchpoint_stage": TEXT, "digital": BOOLEAN}
    return {name: Derived(kind, needs) for name, kind in types.items()}


_CONTACT = ("responses.customer_id", "responses.touchpoint", "interactions.kind")

# Expressions and segments may name these as if they were columns. No other name is worked out anywhere.
DERIVED: dict[str, dict[str, Derived]] = {
    "invitations": {
        "responded": Derived(BOOLEAN, ("responses.invitation_id",)),
        **_of_touchpoint("invitations"),
    },
    "responses": {
        "delivered_late": Derived(BOOLEAN, ("responses.order_id", "orders.promised_at", "orders.delivered_at")),
        # The survey questioned: see `measure.surveys`.
        "sent_before_delivery": Derived(BOOLEAN, ("responses.order_id", "orders.delivered_at")),
        "hours_to_answer": Derived(INTEGER, ("responses.invitation_id", "invitations.sent_at")),
        "invitations_30_days": Derived(INTEGER, ("responses.customer_id", "invitations.sent_at")),
        "days_since_last_answer": Derived(INTEGER, ("responses.customer_id",)),
        "answers_of_survey": Derived(INTEGER, ("responses.customer_id",)),
        "straight_lined": Derived(BOOLEAN, ("responses.customer_id",)),
        # The experience that an answer is about: see `measure.experience`.
        "days_late": Derived(NUMBER, ("responses.order_id", "orders.promised_at", "orders.delivered_at")),
        "partner_id": Derived(TEXT, ("responses.order_id", "orders.partner_id")),
        "contact_wait_seconds": Derived(INTEGER, (*_CONTACT, "interactions.wait_seconds")),
        "contact_resolved": Derived(BOOLEAN, (*_CONTACT, "interactions.resolved")),
        "agent_id": Derived(TEXT, (*_CONTACT, "interactions.agent_id")),
        **_of_touchpoint("responses"),
    },
    "interactions": {
        "contact_of_case": Derived(INTEGER, ("interactions.case_id",)),
        **_of_touchpoint("interactions"),
    },
    "orders": {
        "next_ordered_at": Derived(TIMESTAMP, ("orders.customer_id",)),
        "order_number": Derived(INTEGER, ("orders.customer_id",)),
        "delivered_late": Derived(BOOLEAN, ("orders.promised_at", "orders.delivered_at")),
    },
}


def types_of(table: str, attributes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the type of every name that an expression over `table` may use, derived columns included.

    `attributes` are the further columns of `customers` that `workspace.yml` declares, with their types.
    """
    known = {column.name: column.type for column in TABLES[table].columns}
    known |= {name: derived.type for name, derived in DERIVED.get(table, {}).items()}
    return known | dict(attributes or {}) if table == "customers" else known
