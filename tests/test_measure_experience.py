"""What an answer is about: the order that it names and the contact before it, against hand-worked rows and loops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxlib import params
from cxlib.contract import TABLES
from cxlib.data.store import Store
from cxlib.measure import experience
from cxlib.measure.derived import Undefined, rows_of
from tests.conftest import ROOT

TYPES = {"text": pa.string(), "timestamp": pa.timestamp("us"), "integer": pa.int64(), "boolean": pa.bool_(),
         "number": pa.float64(), "money": pa.decimal128(18, 2), "date": pa.date32()}  # fmt: skip
NOON = datetime(2026, 10, 20, 12)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def table(name: str, rows: list[dict[str, Any]], leave_out: tuple[str, ...] = ()) -> Any:
    kinds = {column.name: TYPES[column.type] for column in TABLES[name].columns if column.name not in leave_out}
    return ibis.memtable(pa.Table.from_pylist([dict.fromkeys(kinds) | row for row in rows], schema=pa.schema(kinds)))


def answer(name: str, at: datetime = NOON, **more: Any) -> dict[str, Any]:
    about = {"instrument": "csat", "score": 4, "customer_id": "ann", "touchpoint": "support_phone"}
    return {"response_id": name, "responded_at": at, **about, **more}


def contact(name: str, at: datetime, **more: Any) -> dict[str, Any]:
    about = {"customer_id": "ann", "touchpoint": "support_phone", "kind": "contact", "agent_id": name}
    return {"interaction_id": name, "started_at": at, **about, **more}


def order(name: str, days: float | None, **more: Any) -> dict[str, Any]:
    delivered = None if days is None else NOON + days * DAY
    return {"order_id": name, "customer_id": "ann", "promised_at": NOON, "delivered_at": delivered, **more}


def derived(tables: dict[str, Any], *names: str) -> dict[str, dict[str, Any]]:
    rows = rows_of("responses", names, tables, {}).select("response_id", *names).to_pyarrow().to_pylist()
    assert len(rows) == tables["responses"].count().to_pyarrow().as_py()  # no answer lost, none twice
    return {row.pop("response_id"): row for row in rows}


def test_days_late_of_the_order_that_is_named() -> None:
    orders = [order("o1", 1.5, partner_id="fast"), order("o2", -2), order("o3", None), order("o4", 1, promised_at=None)]
    answers = [answer(f"r{i}", order_id=f"o{i}") for i in range(1, 5)] + [answer("r5"), answer("r6", order_id="lost")]
    found = derived({"responses": table("responses", answers), "orders": table("orders", orders)},
                    "days_late", "partner_id")  # fmt: skip
    assert {name: row["days_late"] for name, row in found.items()} == {
        "r1": 1.5, "r2": 0.0, "r3": None, "r4": None, "r5": None, "r6": None,
    }  # fmt: skip
    assert found["r1"]["partner_id"] == "fast"
    assert found["r2"]["partner_id"] is None


def test_the_contact_before_the_survey_was_sent() -> None:
    contacts = [
        contact("first", NOON - 3 * DAY, wait_seconds=60, resolved=False),
        contact("last", NOON - DAY, wait_seconds=30, resolved=True),
        contact("after sending", NOON - HOUR, wait_seconds=1, resolved=True),
        contact("chat", NOON - HOUR, touchpoint="support_chat"),
        contact("bob's", NOON - HOUR, customer_id="bob"),
        contact("complaint", NOON - 2 * HOUR, kind="complaint"),
        contact("old", NOON - 30 * DAY, customer_id="eve"),
    ]
    answers = [
        answer("invited", NOON, invitation_id="v"),
        answer("uninvited", NOON),
        answer("unknown", NOON, customer_id=None),
        answer("too late", NOON, customer_id="eve"),
        answer("elsewhere", NOON, touchpoint="website"),
    ]
    sent = [{"invitation_id": "v", "customer_id": "ann", "sent_at": NOON - 2 * HOUR}]
    tables = {
        "responses": table("responses", answers),
        "interactions": table("interactions", contacts),
        "invitations": table("invitations", sent),
    }
    found = derived(tables, "agent_id", "contact_resolved", "contact_wait_seconds")
    nothing = {"agent_id": None, "contact_resolved": None, "contact_wait_seconds": None}
    assert found == {
        "invited": {"agent_id": "last", "contact_resolved": True, "contact_wait_seconds": 30},
        "uninvited": {"agent_id": "after sending", "contact_resolved": True, "contact_wait_seconds": 1},
        "unknown": nothing, "too late": nothing, "elsewhere": nothing,
    }  # fmt: skip


def test_two_contacts_of_one_second_are_one_answer() -> None:
    """Imports that cut times to the day have them; the lower id counts, on every engine."""
    contacts = [contact("b", NOON - DAY), contact("a", NOON - DAY + timedelta(milliseconds=300))]
    tables = {"responses": table("responses", [answer("r")]), "interactions": table("interactions", contacts)}
    assert derived(tables, "agent_id") == {"r": {"agent_id": "a"}}


@pytest.mark.parametrize(
    ("lacking", "column", "words"),
    [
        ("orders", "days_late", "no table 'orders'"),
        ("interactions", "contact_resolved", "no table 'interactions'"),
        ("kind", "contact_resolved", "table 'interactions' has no column 'kind'"),
    ],
)
def test_what_a_workspace_lacks_is_said(lacking: str, column: str, words: str) -> None:
    tables = {
        "responses": table("responses", [answer("r")]),
        "orders": table("orders", []),
        "interactions": table("interactions", [], leave_out=("kind",) if lacking == "kind" else ()),
    }
    tables.pop(lacking, None)
    with pytest.raises(Undefined, match=words):
        derived(tables, column)


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Iterator[Store]:
    with Store.open(demo_workspace, params.load(ROOT).workspace.store) as opened:
        yield opened


def test_the_demo_equals_a_plain_loop(store: Store) -> None:
    """pandas.merge_asof finds the same contacts, those before the invitation within 14 days."""
    named = {*experience.NAMES, "touchpoint", "invitation_id", "order_id"}
    rows = rows_of("responses", named, store.tables, {})
    found = store.run(rows).set_index("response_id").sort_index()
    sent = store.run(store.tables["invitations"]).set_index("invitation_id")["sent_at"]
    contacts = store.run(store.tables["interactions"])
    contacts = contacts[contacts["kind"] == "contact"].sort_values(["started_at", "interaction_id"])
    asked = found.reset_index()[["response_id", "customer_id", "touchpoint", "invitation_id"]]
    asked["at"] = asked["invitation_id"].map(sent)
    wanted = pd.merge_asof(
        asked.sort_values("at"), contacts[["customer_id", "touchpoint", "started_at", "wait_seconds", "agent_id"]],
        left_on="at", right_on="started_at", by=["customer_id", "touchpoint"], tolerance=pd.Timedelta("14D"),
    ).set_index("response_id").sort_index()  # fmt: skip
    assert wanted["agent_id"].notna().sum() > 100
    assert (found["agent_id"].fillna("") == wanted["agent_id"].fillna("")).all()
    np.testing.assert_array_equal(found["contact_wait_seconds"].astype(float), wanted["wait_seconds"].astype(float))
    assert ((found["days_late"] > 0) == found["order_id"].notna() & (found["days_late"] > 0)).all()
