"""Occasions: each cause by its definition on a few rows written by hand, and on the demo company in plain pandas."""

from __future__ import annotations

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from cxlib.analysis.journeys import Limits, known_causes, touched
from cxlib.analysis.journeys.named_causes import CAUSES, missing, told
from cxlib.analysis.journeys.occasions import listed, occasions
from cxlib.errors import UsageError
from cxlib.measure.plans import Undefined
from tests.journey_logs import in_engine

START, UNTIL = pd.Timestamp("2026-10-01"), pd.Timestamp("2026-11-01")
_CONTACTS = pa.schema(
    [
        ("interaction_id", pa.string()), ("customer_id", pa.string()), ("started_at", pa.timestamp("us")),
        ("touchpoint", pa.string()), ("kind", pa.string()), ("channel", pa.string()), ("case_id", pa.string()),
        ("wait_seconds", pa.int64()), ("resolved", pa.bool_()), ("transferred", pa.bool_()), ("load_ms", pa.int64()),
        ("agent_id", pa.string()),
    ]
)  # fmt: skip
_ORDERS = pa.schema(
    [
        ("order_id", pa.string()), ("customer_id", pa.string()), ("ordered_at", pa.timestamp("us")),
        ("promised_at", pa.timestamp("us")), ("delivered_at", pa.timestamp("us")),
    ]
)  # fmt: skip


def run(plan: ibis.Table) -> pd.DataFrame:
    return ibis.duckdb.connect().to_pyarrow(plan).to_pandas()


def at(day: float) -> pd.Timestamp:
    """Return a moment of October by its day, with fractions."""
    return START + pd.Timedelta(days=day - 1)


def interactions(*rows: dict[str, object]) -> ibis.Table:
    whole = [{"interaction_id": f"I{n}", "kind": "contact", "touchpoint": "phone"} | row for n, row in enumerate(rows)]
    return ibis.memtable(pa.Table.from_pylist(whole, schema=_CONTACTS))


def orders(*rows: dict[str, object]) -> ibis.Table:
    whole = [{"order_id": f"O{n}", "ordered_at": at(1)} | row for n, row in enumerate(rows)]
    return ibis.memtable(pa.Table.from_pylist(whole, schema=_ORDERS))


def hits(tables: dict[str, ibis.Table], cause: str, limits: Limits | None = None) -> dict[str, list[int]]:
    """Return the hits of each customer in order of time."""
    found = run(listed(occasions(tables, [cause], start=START, until=UNTIL, limits=limits), [cause]))
    found = found.sort_values(["customer_id", "at"])
    return {name: own["hit"].tolist() for name, own in found.groupby("customer_id")}


def test_contacts_by_hand() -> None:
    case = {"customer_id": "a", "case_id": "K1", "agent_id": "x", "channel": "phone"}
    tables = {
        "interactions": interactions(
            case | {"started_at": at(-3), "wait_seconds": 900, "resolved": False},  # before the time: a first contact
            case | {"started_at": at(2), "wait_seconds": 301, "resolved": True, "agent_id": "y"},
            case | {"started_at": at(3), "wait_seconds": 300, "transferred": True, "agent_id": "y", "channel": "chat"},
            {"customer_id": "b", "started_at": at(4), "wait_seconds": 60, "resolved": False, "transferred": False},
            {"customer_id": "b", "started_at": at(5), "resolved": True},
            {"customer_id": "c", "started_at": at(40), "wait_seconds": 900, "resolved": False},  # after the time
        )
    }
    assert hits(tables, "waiting") == {"a": [1, 0], "b": [0]}
    assert hits(tables, "waiting", Limits(wait_seconds=299)) == {"a": [1, 1], "b": [0]}
    assert hits(tables, "fast") == {"a": [0, 0], "b": [1]}
    assert hits(tables, "unresolved") == {"b": [1, 0]}  # that of `a` was before; without a case each is a first one
    assert hits(tables, "at_once") == {"b": [0, 1]}
    assert hits(tables, "other_person") == {"a": [1, 0]}
    assert hits(tables, "same_person") == {"a": [0, 1]}
    assert hits(tables, "other_channel") == {"a": [0, 1]}
    assert hits(tables, "transferred") == {"a": [1], "b": [0]}


def test_deliveries_by_hand() -> None:
    tables = {
        "orders": orders(
            {"customer_id": "late", "promised_at": at(5), "delivered_at": at(5.01)},
            {"customer_id": "in time", "promised_at": at(5), "delivered_at": at(4.5)},
            {"customer_id": "early", "promised_at": at(5), "delivered_at": at(4)},
            {"customer_id": "lost", "promised_at": at(5)},
            {"customer_id": "still to come", "promised_at": at(33)},
            {"customer_id": "later", "promised_at": at(31), "delivered_at": at(33)},
            {"customer_id": "promised nothing", "delivered_at": at(5)},
        )
    }
    assert hits(tables, "late") == {"late": [1], "in time": [0], "early": [0], "lost": [1], "later": [1]}
    assert hits(tables, "early") == {"late": [0], "in time": [0], "early": [1], "lost": [0], "later": [0]}


def test_pages_messages_and_visits_by_hand() -> None:
    def visit(who: str, day: float, page: str = "website", **more: object) -> dict[str, object]:
        return {"customer_id": who, "started_at": at(day), "touchpoint": page, "kind": "visit", **more}

    minute = 1 / 1440
    round_ = [visit("round", 3 + place * minute) for place in range(3)]
    buys = [visit("buys", 3 + place * minute) for place in range(3)]
    pauses = [visit("pauses", 3 + place * 31 * minute) for place in range(3)]
    sent = [{"customer_id": "sent", "started_at": at(10 + n), "kind": "message"} for n in range(5)]
    bot = [visit("asks", 5, "chatbot"), {"customer_id": "asks", "started_at": at(6)}, visit("rests", 5, "chatbot")]
    slow = [visit("slow", 9, load_ms=3001), visit("slow", 9.5, load_ms=3000)]
    late = [visit("too late", 28, "chatbot")]  # whether a contact follows is not known at the end of the month
    tables = {
        "interactions": interactions(*round_, *buys, *pauses, *sent, *bot, *slow, *late),
        "orders": orders({"customer_id": "buys", "ordered_at": at(3.02)}),
    }
    circles = hits(tables, "circles")
    assert circles["round"] == [1]
    assert circles["buys"] == [0]
    assert circles["pauses"] == [0, 0, 0]
    assert hits(tables, "messages") == {"sent": [0, 0, 0, 0, 1]}
    assert hits(tables, "asked_again") == {"asks": [1], "rests": [0]}
    assert hits(tables, "slow_page") == {"slow": [1, 0]}


def test_surveys_count_as_messages() -> None:
    sent = [{"customer_id": "a", "started_at": at(10), "kind": "message"}]
    asked = pd.DataFrame({"invitation_id": list("1234"), "customer_id": "a", "sent_at": [at(d) for d in (2, 3, 4, 11)]})
    tables = {"interactions": interactions(*sent), "invitations": in_engine(asked)}
    assert hits(tables, "messages") == {"a": [0, 0, 0, 0, 1]}


def test_what_a_workspace_lacks_is_said_in_words() -> None:
    tables = {"interactions": interactions({"customer_id": "a", "started_at": at(2)}).drop("agent_id", "load_ms")}
    assert missing(tables, "late") == "this workspace has no orders"
    assert missing(tables, "other_person") == "the interactions of this workspace do not tell who took them"
    with pytest.raises(Undefined, match="how long pages took"):
        occasions(tables, ["slow_page"], start=START, until=UNTIL)
    assert set(known_causes(tables)) == set(CAUSES) - {"late", "early", "other_person", "same_person", "slow_page"}
    assert all(told(cause, Limits()) for cause in CAUSES.values())


def test_limits_are_checked() -> None:
    with pytest.raises(UsageError, match="wait_seconds"):
        Limits(wait_seconds=0)
    with pytest.raises(UsageError, match="above wait_seconds"):
        Limits(fast_seconds=400)


def test_an_answer_is_about_the_last_contact_at_its_touchpoint() -> None:
    case = {"customer_id": "a", "resolved": True}
    tables = {
        "interactions": interactions(
            case | {"started_at": at(1.5), "resolved": False},
            case | {"started_at": at(2)},
            case | {"started_at": at(2.5), "touchpoint": "chat", "resolved": False},
            case | {"started_at": at(4), "resolved": False},  # after it was asked
        ),
        "responses": in_engine(
            pd.DataFrame({"response_id": ["r"], "customer_id": ["a"], "responded_at": [at(3)], "touchpoint": ["phone"]})
        ),
    }
    said = tables["responses"].select("response_id", "customer_id")
    found = run(touched.answers(said, tables, ["unresolved"], start=START, until=UNTIL))
    assert found[touched.met("unresolved")].tolist() == [0.0]


def test_who_leaves_and_buys_in_the_thirty_days_after() -> None:
    from cxlib.periods import Period

    subs = pd.DataFrame(
        {
            "customer_id": ["stays", "leaves", "changes", "changes", "gone"],
            "started_on": pd.to_datetime(["2026-01-01"] * 3 + ["2026-10-15", "2026-01-01"]).date,
            "ended_on": pd.to_datetime([None, "2026-10-20", "2026-10-15", None, "2026-09-15"]).date,
        }
    )
    bought = orders(
        {"customer_id": "stays", "ordered_at": at(2)}, {"customer_id": "stays", "ordered_at": at(40)}
    ).mutate(amount=ibis.literal(10.0))
    tables = {"interactions": interactions({"customer_id": "stays", "started_at": at(-5), "wait_seconds": 900}),
              "subscriptions": in_engine(subs), "orders": bought}  # fmt: skip
    found = run(touched.months(tables, ["waiting"], [Period.parse("2026-09")], timezone="UTC")).set_index("customer_id")
    assert found["left"].to_dict() == {"stays": 0.0, "leaves": 1.0, "changes": 0.0}
    assert found["amount"].to_dict() == {"stays": 10.0, "leaves": 0.0, "changes": 0.0}
    assert found.loc["stays", [touched.met("waiting"), touched.times_of("waiting")]].tolist() == [1.0, 1.0]


def test_an_answer_about_nothing_in_particular_is_about_what_came_lately() -> None:
    tables = {
        "interactions": interactions({"customer_id": "a", "started_at": at(2), "resolved": False}),
        "orders": orders({"customer_id": "a", "promised_at": at(2), "delivered_at": at(3)}),
        "responses": in_engine(
            pd.DataFrame(
                {
                    "response_id": ["r", "s"],
                    "customer_id": "a",
                    "responded_at": [at(20), at(40)],
                    "touchpoint": "survey",
                }
            )
        ),
    }
    said = tables["responses"].select("response_id", "customer_id")
    plan = touched.answers(said, tables, ["unresolved", "late"], start=START, until=UNTIL + pd.Timedelta(days=30))
    found = run(plan).set_index("response_id")
    assert found.loc["r", [touched.met("unresolved"), touched.met("late")]].tolist() == [1.0, 1.0]
    assert found.loc["s", [touched.met("unresolved"), touched.met("late")]].isna().all()
