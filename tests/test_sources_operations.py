"""Sources for operational tools: every stored row against what a person reads in the file, and real data."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest

from cxlib.data.counts import IngestReport
from cxlib.data.ingest import ingest
from cxlib.data.sources import open_source
from cxlib.data.store import Store
from cxlib.measure import estimates, plans
from cxlib.params import Metric, Params, load
from cxlib.periods import Period

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / "data"
TODAY = date(2026, 3, 1)
TOOLS = ("zendesk", "intercom", "shopify", "stripe", "ga4", "call_centre")


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text)


def hashed(email: str) -> str:
    return sha256(email.encode()).hexdigest()


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT)


class Workspace:
    """A store of its own for one source."""

    def __init__(self, root: Path, source: str, params: Params) -> None:
        self.root, self.source, self.params = root, source, params
        shutil.copytree(ROOT / "params" / "sources" / source, root / "params" / "sources" / source)

    def ingest(self, folder: Path | None = None, **more: Any) -> IngestReport:
        return ingest(self.root, self.params, self.source, folder=folder or DATA / self.source, today=TODAY, **more)

    def rows(self, table: str, *columns: str) -> list[tuple]:
        with Store.open(self.root) as store:
            return _rows(store, table, *columns)

    def content(self) -> dict[str, list[tuple]]:
        with Store.open(self.root) as store:
            return {table: _rows(store, table) for table in store.tables}


def _rows(store: Store, table: str, *columns: str) -> list[tuple]:
    """Return rows as plain tuples, sorted, None for what is missing."""
    columns = columns or tuple(store.tables[table].columns)
    frame = store.run(store.tables[table].select(*columns))
    plain = frame.astype(object).where(frame.notna(), None)
    return sorted((tuple(row) for row in plain.itertuples(index=False)), key=repr)


@pytest.fixture
def make(tmp_path: Path, params: Params) -> Callable[..., Workspace]:
    """`make("zendesk")`, `make("zendesk", "another")`: an empty workspace with one source."""
    return lambda source, name="store": Workspace(tmp_path / name, source, params)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Callable[[str], tuple[IngestReport, Workspace]]:
    """`taken("zendesk")`: the sample of a tool, ingested once."""
    done: dict[str, tuple[IngestReport, Workspace]] = {}

    def give(source: str) -> tuple[IngestReport, Workspace]:
        if source not in done:
            workspace = Workspace(tmp_path_factory.mktemp(source), source, params)
            done[source] = workspace.ingest(), workspace
        return done[source]

    return give


def refused(report: IngestReport) -> set[tuple[str, str]]:
    """Return (table, reason) of all that was refused."""
    return {(refusal.table, refusal.reason) for refusal in report.refusals}


def edited(source: str, target: Path, changes: Mapping[str, Mapping[str, str]], *, only: str = "*") -> Path:
    """Copy a sample's files and replace texts in them: `{file: {old: new}}`; every old text must be there."""
    target.mkdir()
    for path in sorted((DATA / source).glob(only)):
        content = path.read_text(encoding="utf-8")
        for old, new in changes.get(path.name, {}).items():
            assert old in content, f"{path.name}: {old}"
            content = content.replace(old, new)
        (target / path.name).write_text(content, encoding="utf-8")
    return target


# What holds for every tool ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_the_same_export_twice_changes_nothing(tool: str, make: Callable[..., Workspace]) -> None:
    workspace = make(tool)
    first = workspace.ingest()
    before = workspace.content()
    again = workspace.ingest()
    assert first.changed
    assert not again.changed
    assert {table: counts.accepted for table, counts in again.tables.items()} == dict.fromkeys(first.tables, 0)
    assert workspace.content() == before


NAMES = r"Anna|Bruno|Carla|Dora|Emil|Fina|Green Whale|Cheap Watches|Agent"


@pytest.mark.parametrize("tool", TOOLS)
def test_no_name_address_or_number_is_stored(tool: str, taken: Callable) -> None:
    _, workspace = taken(tool)
    texts = [str(value) for rows in workspace.content().values() for row in rows for value in row if value is not None]
    assert texts
    assert [text for text in texts if re.search(rf"@|555-?01|{NAMES}", text)] == []


# Zendesk ------------------------------------------------------------------------------------------------------------
# Columns as Fivetran lays them down (dbt_zendesk, integration_tests/seeds); meanings after Zendesk's help pages
# "Calculating first reply time" and "About native Support time duration metrics", and its API references "Incremental
# Exports", "Tickets" (merge) and "CSAT Survey Responses".


def test_zendesk_tickets(taken: Callable) -> None:
    report, workspace = taken("zendesk")
    columns = (
        "interaction_id", "customer_id", "started_at", "ended_at", "touchpoint", "channel", "case_id", "wait_seconds",
        "resolved", "transferred", "agent_id", "reason", "sentiment",
    )  # fmt: skip
    assert workspace.rows("interactions", *columns) == [
        # answered after 20 minutes: the note of 9:05 was private, that of 9:10 was the customer's
        ("101", "C-1", at("2026-01-05 09:00"), at("2026-01-05 10:00"), "support_email", "email", "101", 1200,
         True, False, "11", "question", "good"),
        # solved, opened again by the customer, handed on, solved; the later rating counts
        ("102", "9002", at("2026-01-06 12:00"), at("2026-01-07 09:00"), "support_chat", "chat", "102", 45,
         False, True, "12", "problem", "bad"),
        ("103", "C-1", at("2026-01-07 15:00"), None, "support_email", "email", "103", None,
         False, None, None, None, None),
        # made by an agent on the telephone: what he wrote then is the ticket, not the answer; another group took over
        ("104", "C-3", at("2026-01-08 10:00"), at("2026-01-08 11:00"), "support_phone", "phone", "104", 1800,
         True, True, "11", "question", None),
        # merged into 102: one case, and not solved by being closed
        ("105", "9002", at("2026-01-06 12:10"), at("2026-01-06 12:15"), "support_email", "email", "102", None,
         False, None, None, None, None),
        # of somebody who has no account any more
        ("107", "9999", at("2026-01-09 08:00"), None, "support_email", "email", "107", 3600,
         False, False, "11", "task", None),
        # no history in the export
        ("109", "C-3", at("2026-01-31 23:30"), None, "support_email", "email", "109", None,
         True, None, "12", "incident", None),
    ]  # fmt: skip
    assert refused(report) == {("interactions", "touchpoint 'letter' is not in touchpoints.yml")}  # 108; 106 is deleted


def test_zendesk_users_and_surveys(taken: Callable) -> None:
    _, workspace = taken("zendesk")
    assert workspace.rows("customers", "customer_id", "valid_from", "joined_on", "account_id") == [
        ("9002", at("2026-01-06 12:00"), date(2026, 1, 6), None),
        ("9004", at("2026-01-08 03:00"), date(2026, 1, 8), None),
        ("C-1", at("2025-11-03 10:00"), date(2025, 11, 3), "500"),
        ("C-3", at("2025-12-24 20:00"), date(2025, 12, 24), "500"),
    ]
    assert workspace.rows(
        "responses", "response_id", "customer_id", "responded_at", "instrument", "score", "comment"
    ) == [
        ("01HS1", "C-1", at("2026-01-06 18:00:05"), "csat", 4, 'Quick, but "tomorrow" was Thursday'),
        ("01HS2", "9002", at("2026-01-08 09:00"), "csat", 2, None),
    ]  # the third was opened and not answered


def test_zendesk_an_older_export_takes_nothing_back(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    """The ticket as it was on the first evening, ingested after its later state and before it: the later one stays."""
    tickets = {"closed,Order,9001,question,2026-01-09 10:00:00": "solved,Order,9001,question,2026-01-05 10:00:00"}
    history = {
        "status,101,2026-01-09 10:00:00,,closed\n": "",
        "satisfaction_score,101,2026-01-06 18:00:00,9001,good\n": "",
    }
    changes = {"ticket_data.csv": tickets, "ticket_field_history_data.csv": history}
    evening = edited("zendesk", tmp_path / "evening", changes)
    late, early = make("zendesk", "late"), make("zendesk", "early")
    late.ingest()
    before = late.content()
    report = late.ingest(evening)
    assert report.tables["interactions"].stale == 1
    assert late.content() == before
    early.ingest(evening)
    report = early.ingest()
    assert report.tables["interactions"].corrected == 1
    assert early.content() == before


def test_zendesk_deleted_tickets_go(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    workspace = make("zendesk")
    workspace.ingest()
    change = {"closed,Parcel,9003,incident,2026-02-05": "deleted,Parcel,9003,incident,2026-02-06"}
    spam = edited("zendesk", tmp_path / "later", {"ticket_data.csv": change})
    report = workspace.ingest(spam)
    assert report.tables["interactions"].deleted == 1
    assert "109" not in [key for (key,) in workspace.rows("interactions", "interaction_id")]


def test_zendesk_seed(make: Callable[..., Workspace], shared_data: Callable[[str], Path]) -> None:
    """A handful of real, obscured rows: ten tickets, two of them deleted, and one with a history."""
    workspace = make("zendesk")
    report = workspace.ingest(shared_data("zendesk_seed"))
    assert {table: (counts.rows_in, counts.accepted) for table, counts in report.tables.items()} == {
        "customers": (9, 9),  # the tenth user is an agent
        "identities": (0, 0),
        "interactions": (8, 8),
        "responses": (0, 0),
    }
    found = workspace.rows("interactions", "interaction_id", "started_at", "ended_at", "resolved", "transferred")
    assert found == [
        ("11071", at("2020-08-28 18:06:36"), at("2020-11-14 11:01:27"), True, False),
        ("1404", at("2020-02-13 21:43:58"), None, True, None),
        ("14173", at("2020-10-28 12:03:02"), None, True, None),
        ("16988", at("2020-12-22 00:19:23"), None, True, None),
        ("1966", at("2020-02-27 06:05:08"), None, True, None),
        ("4721", at("2020-04-20 14:31:46"), None, True, None),
        ("6171", at("2020-05-17 17:50:31"), None, True, None),
        ("6605", at("2020-05-26 22:29:50"), None, True, None),
    ]
    texts = [str(value) for rows in workspace.content().values() for row in rows for value in row]
    assert [text for text in texts if re.search("@|John Doe|Earnest|description|body", text)] == []


# Intercom -----------------------------------------------------------------------------------------------------------
# After Intercom's API reference, "Conversations" and "Contacts", and its help page "Reporting metrics for REST API and
# CSV exports".

DORA, EMIL, WHALE, GONE = "C-1", "C-2", "6650a1c0e4b0a1c0e4b00003", "6650a1c0e4b0a1c0e4b00009"


def test_intercom_conversations(taken: Callable) -> None:
    report, workspace = taken("intercom")
    columns = (
        "interaction_id", "customer_id", "started_at", "ended_at", "touchpoint", "channel", "wait_seconds", "resolved",
        "transferred", "agent_id", "reason",
    )  # fmt: skip
    assert workspace.rows("interactions", *columns) == [
        ("2001", DORA, at("2026-01-05 08:00"), at("2026-01-05 08:40"), "support_chat", "chat", 150, True,
         False, "814860", "delivery, refund"),
        # twelve hours and ten minutes for the customer; 600 seconds in Intercom's own opening hours
        ("2002", EMIL, at("2026-01-05 19:50"), at("2026-01-06 09:00"), "support_email", "email", 43_800, False,
         True, "814861", "invoice"),
        ("2003", WHALE, at("2026-01-06 10:00"), at("2026-01-06 10:05"), "chatbot", "chat", None, True,
         False, None, None),
        # begun by us at 7:00, answered at 11:00
        ("2005", EMIL, at("2026-01-07 11:00"), None, "support_chat", "chat", 200, False,
         False, "814860", "delivery"),
        ("2006", GONE, at("2026-01-08 16:00"), None, "support_phone", "phone", 20, False,
         True, "814861", None),
    ]  # fmt: skip
    (read,) = report.files["conversations"].files
    assert (read.rows, read.readable, dict(read.left_out)) == (6, 5, {"nobody but us wrote in it": 1})


def test_intercom_ratings(taken: Callable) -> None:
    _, workspace = taken("intercom")
    assert workspace.rows("invitations", "invitation_id", "customer_id", "sent_at", "instrument") == [
        ("2001:rating", DORA, at("2026-01-05 08:40:05"), "csat"),
        ("2002:rating", EMIL, at("2026-01-06 09:00:10"), "csat"),
        ("2003:rating", WHALE, at("2026-01-06 10:05:01"), "csat"),
    ]
    assert workspace.rows(
        "responses", "response_id", "customer_id", "responded_at", "score", "invitation_id", "comment"
    ) == [
        ("2001:rating", DORA, at("2026-01-05 09:30"), 5, "2001:rating", "Lovely, thank you"),
        ("2002:rating", EMIL, at("2026-01-06 09:00:10"), 2, "2002:rating", None),
    ]
    assert workspace.rows("customers", "customer_id", "valid_from") == [
        (WHALE, at("2026-01-06 10:00")),
        (DORA, at("2025-10-01 09:00")),
        (EMIL, at("2025-12-31 23:30")),
    ]


def test_intercom_overlapping_fetches_and_a_change(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    lines = (DATA / "intercom" / "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    changed = json.loads(lines[4])
    changed |= {"state": "closed", "updated_at": changed["updated_at"] + 600}
    changed["statistics"]["last_close_at"] = changed["updated_at"]
    folder = edited("intercom", tmp_path / "two", {}, only="contacts.jsonl")
    (folder / "conversations-1.jsonl").write_text("\n".join(lines[:5]), encoding="utf-8")
    (folder / "conversations-2.jsonl").write_text("\n".join([json.dumps(changed), *lines[3:]]), encoding="utf-8")
    workspace = make("intercom")
    report = workspace.ingest(folder)
    assert report.tables["interactions"].accepted == 5
    closed = [row for row in workspace.rows("interactions", "interaction_id", "ended_at") if row[1] is not None]
    assert [key for key, _ in closed] == ["2001", "2002", "2003", "2005"]
    assert dict(closed)["2005"] == at("2026-01-07 12:10")


def test_intercom_one_odd_value_stops_nobody(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    changes = {
        '"rating": 5': '"rating": "five"',
        '"first_admin_reply_at": 1767600150': '"first_admin_reply_at": "soon"',
    }
    odd = edited("intercom", tmp_path / "odd", {"conversations.jsonl": changes})
    workspace = make("intercom")
    assert refused(workspace.ingest(odd)) == {("responses", "score 'five' is not an integer")}
    waits = dict(workspace.rows("interactions", "interaction_id", "wait_seconds"))
    assert waits == {"2001": None, "2002": 43_800, "2003": None, "2005": 200, "2006": 20}


# Shopify ------------------------------------------------------------------------------------------------------------
# Columns as public code that reads the file names them; the help page "Exporting orders" describes the export.


def test_shopify_orders(taken: Callable) -> None:
    report, workspace = taken("shopify")
    anna, bruno = hashed("anna@mail.example"), hashed("bruno@mail.example")
    assert workspace.rows(
        "orders", "order_id", "customer_id", "ordered_at", "amount", "units", "discount", "channel"
    ) == [
        ("#1001", anna, at("2026-01-02 09:11:10"), Decimal("84.70"), 3, Decimal("10.00"), "web"),  # two rows
        ("#1002", bruno, at("2026-01-03 22:50"), Decimal("1234.50"), 1, Decimal("0.00"), "web"),  # cancelled
        ("#1003", anna, at("2026-01-31 23:15"), Decimal("34.90"), 1, Decimal("0.00"), "web"),  # February in Madrid
        # in both files, once as it was before the refund; and two rows of it are alike
        ("#1006", hashed("dora@mail.example"), at("2026-01-07 08:00"), Decimal("94.90"), 6, Decimal("5.00"), "580111"),
        ("#1007", hashed("emil@mail.example"), at("2026-01-08 17:00"), Decimal("29.90"), 1, Decimal("0.00"), "web"),
    ]
    assert refused(report) == {
        ("orders", "customer_id is missing"),  # #1004, at the till
        ("orders", "amount is missing"),  # #1005, in dollars
    }


def test_shopify_buyers(taken: Callable) -> None:
    _, workspace = taken("shopify")
    found = workspace.rows("customers", "customer_id", "valid_from", "region")
    assert [row for row in found if row[0] == hashed("anna@mail.example")] == [
        (hashed("anna@mail.example"), at("2026-01-02 09:11:10"), "ES"),
        (hashed("anna@mail.example"), at("2026-01-31 23:15"), "FR"),
    ]
    assert len(found) == 6


def test_shopify_one_export_after_the_other_and_a_correction(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    whole, parts = make("shopify", "whole"), make("shopify", "parts")
    whole.ingest()
    for name in ("orders_export_2.csv", "orders_export_1.csv"):
        parts.ingest(edited("shopify", tmp_path / name, {}, only=name))
    assert parts.content() == whole.content()
    change = {"orders_export_1.csv": {"EUR,30.00,4.90,6.06,34.90": "EUR,25.00,4.90,5.19,29.90"}}
    report = parts.ingest(edited("shopify", tmp_path / "corrected", change, only="orders_export_1.csv"))
    assert (report.tables["orders"].corrected, report.tables["orders"].accepted) == (1, 1)
    amounts = dict(parts.rows("orders", "order_id", "amount"))
    assert amounts["#1003"] == Decimal("29.90")
    assert len(amounts) == 5


# Stripe -------------------------------------------------------------------------------------------------------------
# Objects after Stripe's API reference, "The Subscription object" (since 2025-03-31 periods are on the items), and the
# changelog entry on canceled_at and ended_at of 2015-01-26; columns as the Dashboard exports them.


def test_stripe_subscriptions(taken: Callable) -> None:
    report, workspace = taken("stripe")
    columns = ("customer_id", "started_on", "ended_on", "end_reason", "plan", "monthly_amount")
    assert workspace.rows("subscriptions", *columns) == [
        # 23:30 in UTC is the next day in Madrid; cancelled, but not over before the end of January
        ("cus_A", date(2025, 11, 1), None, None, "price_basic", Decimal("9.90")),
        ("cus_B", date(2025, 9, 15), date(2026, 1, 15), "cancellation_requested", "price_basic", Decimal("9.90")),
        ("cus_C", date(2025, 12, 15), None, None, "price_year", Decimal("8.25")),  # after the trial; 99 a year
        ("cus_G", date(2025, 11, 11), None, None, "price_basic + price_seat", Decimal("23.40")),  # 9.90 + 3 x 4.50
        ("cus_H", date(2026, 1, 2), None, None, "price_usd", None),
        ("cus_K", date(2025, 12, 5), None, None, "Plus + Seat", Decimal("43.40")),  # 29.90 + 3 x 4.50
        # it ran until midnight in Madrid: February is the first month without it
        ("cus_L", date(2025, 8, 1), date(2026, 2, 1), "too_expensive", "prod_basic", Decimal("19.90")),
        ("cus_M", date(2025, 11, 3), date(2026, 1, 17), "payment_failed", "prod_basic", Decimal("9.90")),
        ("cus_P", date(2025, 10, 15), None, None, "prod_basic", Decimal("11.27")),  # 2.60 a week
    ]  # cus_D left within the trial
    assert refused(report) == set()
    left_out = {alias: dict(read.files[0].left_out) for alias, read in report.files.items()}
    assert left_out == {
        "dashboard": {"its first payment never came": 1, "still on trial": 1},
        "api": {"its first payment never came": 1, "still on trial": 1},
        "customers": {},
    }
    assert workspace.rows("customers", "customer_id", "joined_on") == [
        ("cus_A", date(2025, 11, 1)),
        ("cus_B", date(2025, 9, 15)),
        ("cus_C", date(2025, 12, 1)),
    ]


def test_stripe_a_later_export_ends_a_subscription(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    """The new export lies beside the old one: one subscription, with its end."""
    folder = edited("stripe", tmp_path / "january", {})
    old = (folder / "subscriptions.csv").read_text(encoding="utf-8")
    new = old.replace("9.90,active,2025-10-31 23:30", "9.90,canceled,2025-10-31 23:30")
    new = new.replace("2026-01-10 12:00,,true", "2026-01-10 12:00,2026-01-31 23:30,true")
    (folder / "subscriptions-february.csv").write_text(new, encoding="utf-8")
    together, after = make("stripe", "together"), make("stripe", "after")
    together.ingest(folder)
    after.ingest()
    report = after.ingest(folder)
    assert report.tables["subscriptions"].corrected == 1
    assert after.content() == together.content()
    ends = dict(after.rows("subscriptions", "customer_id", "ended_on"))
    assert ends["cus_A"] == date(2026, 2, 1)
    assert len(ends) == 9


# Google Analytics 4 -------------------------------------------------------------------------------------------------
# After Google's "[GA4] BigQuery Export schema"; JSON lines as `bq extract` writes them, whole numbers as text.

PHONE = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


def test_ga4_sessions(taken: Callable) -> None:
    report, workspace = taken("ga4")
    found = workspace.rows(
        "interactions", "interaction_id", "customer_id", "started_at", "touchpoint", "channel", "kind"
    )
    assert found == [
        # the device became known as C-1 by a login: its sessions are that customer's
        ("1111111111.1767000001.1767569400", "C-1", at("2026-01-04 23:30:00.250"), "website", "web", "visit"),
        ("1111111111.1767000001.1767653880", "C-1", at("2026-01-05 22:58"), "website", "web", "visit"),  # over midnight
        # two people logged in on it: nobody's
        (
            "2222222222.1767000002.1767603600",
            "2222222222.1767000002",
            at("2026-01-05 09:00"),
            "website",
            "web",
            "visit",
        ),
        (
            "2222222222.1767000002.1767729600",
            "2222222222.1767000002",
            at("2026-01-06 20:00"),
            "website",
            "web",
            "visit",
        ),
        # began in the same second as the one before last, and is another
        (
            "3333333333.1767000003.1767603600",
            "3333333333.1767000003",
            at("2026-01-05 09:00"),
            "website",
            "web",
            "visit",
        ),
        (
            "3333333333.1767000003.1767700800",
            "3333333333.1767000003",
            at("2026-01-06 12:00"),
            "website",
            "web",
            "visit",
        ),
        (f"{PHONE}.1767686400", PHONE, at("2026-01-06 08:00"), "mobile_app", "app", "visit"),
    ]
    assert report.tables["interactions"].duplicated == 1  # in the daily table and in the intraday one
    assert sum(read.left_out.get("no consent, so no id of a device", 0) for read in report.files["events"].files) == 1


def test_ga4_tables_are_cut_in_the_property_s_timezone(params: Params) -> None:
    """`event_date` is the day in the property's timezone: half past eleven at night in UTC is the next day there."""
    with open_source(params.sources["ga4"], DATA / "ga4") as opened:
        local = "strftime(timezone('Europe/Madrid', event_timestamp), '%Y%m%d')"
        query = f"SELECT count(*), count(*) FILTER ({local} = event_date) FROM events"
        rows, same = opened.connection.execute(query).fetchone() or (0, 0)
    assert rows == same == 14


def test_ga4_day_by_day_and_late(tmp_path: Path, make: Callable[..., Workspace]) -> None:
    """The days one after the other, the first once more with an event that came late, as all at once."""
    whole, days = make("ga4", "whole"), make("ga4", "days")
    late = json.loads((DATA / "ga4" / "events_20260105.jsonl").read_text(encoding="utf-8").splitlines()[0])
    late |= {"event_timestamp": "1767636000000000", "user_pseudo_id": "4444444444.1767000004"}
    names = ("events_20260105.jsonl", "events_intraday_20260106.jsonl", "events_20260106.jsonl")
    for name in names:
        days.ingest(edited("ga4", tmp_path / name, {}, only=name))
    again = edited("ga4", tmp_path / "again", {}, only="events_20260105.jsonl")
    with (again / "events_20260105.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(late) + "\n")
    assert days.ingest(again).tables["interactions"].accepted == 1
    shutil.copytree(DATA / "ga4", tmp_path / "all")
    (tmp_path / "all" / "events_20260105.jsonl").unlink()
    compressed = gzip.compress((again / "events_20260105.jsonl").read_bytes())
    (tmp_path / "all" / "events_20260105.jsonl.gz").write_bytes(compressed)
    whole.ingest(tmp_path / "all")
    assert days.content() == whole.content()


# Telco --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def telco(tmp_path_factory: pytest.TempPathFactory, params: Params, shared_data: Callable) -> Iterator[Store]:
    folder = shared_data("telco_churn")
    workspace = Workspace(tmp_path_factory.mktemp("telco"), "telco", params)
    report = workspace.ingest(folder)
    assert {table: counts.accepted for table, counts in report.tables.items()} == {
        "customers": 7043,
        "subscriptions": 7043,
    }
    with Store.open(workspace.root) as store:
        yield store


def churn(**changed: Any) -> Metric:
    fields = {
        "id": "lost", "title": "Lost", "question": "?", "kind": "share", "unit": "percent", "table": "subscriptions",
        "higher_is_better": False, "owner": "cx",
        "filter": "started_on < period_end and (is_null(ended_on) or ended_on >= period_start)",
        "numerator": "not is_null(ended_on) and ended_on < period_end",
    }  # fmt: skip
    return Metric(**{**fields, **changed})


def test_telco_churn_of_all_who_were_there(telco: Store, oracle: Callable[[str], dict]) -> None:
    """R: prop.test(1869, 7043, correct = FALSE). Lost in the month, of all who were there on one of its days."""
    expected = oracle("telco_churn_rate")["expected"]
    metric = churn()
    frame = telco.run(plans.plan(metric, telco.tables, [Period.parse("2018-01")], timezone="UTC"))
    found = estimates.from_moments(metric, frame, min_n=1)
    assert found["n"].item() == 7043
    assert found["estimate"].item() == pytest.approx(expected["churn_rate"], abs=1e-8)  # the oracle's own tolerance
    assert found["conf_low"].item() == pytest.approx(expected["wilson_ci.1"], abs=1e-8)
    assert found["conf_high"].item() == pytest.approx(expected["wilson_ci.2"], abs=1e-8)


def test_telco_churn_of_the_start_cohort_leaves_out_who_had_just_come(telco: Store, params: Params) -> None:
    """The 11 customers of tenure 0, whose TotalCharges is a blank, came in the month itself."""
    metric = params.metrics["churn_start_cohort"]
    frame = telco.run(plans.plan(metric, telco.tables, [Period.parse("2018-01")], timezone="UTC"))
    found = estimates.from_moments(metric, frame, min_n=1)
    assert (found["n"].item(), found["estimate"].item()) == (7032, pytest.approx(1869 / 7032))
    before = telco.run(plans.plan(metric, telco.tables, [Period.parse("2017-12")], timezone="UTC"))
    # The file tells who left in the last month only: that nobody left before is silence, and no churn of 0.
    assert before["y"].item() == 0
    assert estimates.from_moments(metric, before, min_n=1).empty


def test_telco_tenures_and_ends_by_contract(telco: Store, oracle: Callable[[str], dict]) -> None:
    """R survival on the file: customers and ends of each contract; a subscription is as long as the tenure."""
    expected = oracle("telco_survival_contract")["expected"]
    table = telco.tables["subscriptions"]
    found = telco.run(table.group_by("plan").aggregate(n=table.count(), ends=table.ended_on.count())).set_index("plan")
    for plan, row in found.iterrows():
        assert (row.n, row.ends) == (expected[f"Contract={plan}.n"], expected[f"Contract={plan}.events"])
    one = table.filter(table.customer_id == "3668-QPYBK").select("started_on", "ended_on", "plan", "monthly_amount")
    (row,) = telco.run(one).itertuples(index=False)
    assert tuple(row) == (date(2017, 11, 30), date(2018, 1, 31), "Month-to-month", Decimal("53.85"))


def test_telco_rows_hold_for_the_day_of_the_cross_section(telco: Store) -> None:
    days = telco.run(telco.tables["customers"].select("valid_from").distinct())
    assert days["valid_from"].tolist() == [at("2018-01-31")]


# Call centre --------------------------------------------------------------------------------------------------------
# The call list has no vendor: its columns are the source's own, to be adapted.


def test_call_centre_call_list(taken: Callable) -> None:
    report, workspace = taken("call_centre")
    columns = (
        "interaction_id", "customer_id", "started_at", "ended_at", "wait_seconds", "handle_seconds", "transferred",
        "agent_id", "sentiment", "reason",
    )  # fmt: skip
    assert workspace.rows("interactions", *columns) == [
        ("k1", "C-1", at("2026-01-05 08:00"), at("2026-01-05 08:06:10"), 10, 360, False, "1", "neutral", "invoice"),
        ("k2", "C-2", at("2026-01-05 08:01"), at("2026-01-05 08:03"), 120, None, False, None, None, None),  # hung up
        ("k4", "C-3", at("2026-02-02 16:30"), at("2026-02-02 16:41"), 60, 600, True, "2", "negative", "delivery"),
    ]
    assert dict(report.files["calls"].files[0].left_out) == {"nobody knows who called": 1}


def by_hand(path: Path) -> list[int | None]:
    """Sum the columns of one agent report; None for one that it does not have."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    prefix = "Calls " if "Calls Offered" in rows[0] else ""
    words = [prefix + word for word in ("Offered", "Not Answered", "Answered")] + [
        "Total Duration",
        "Sentiment",
        "Transfers",
    ]
    return [sum(int(row[word]) for row in rows) if word in rows[0] else None for word in words]


def test_call_centre_agent_reports_agree_and_invent_no_calls(
    make: Callable[..., Workspace], params: Params, shared_data: Callable[[str], Path]
) -> None:
    """1,516 agent-months of 1,050,093 calls in two layouts: read as one table, and not one row of the contract."""
    folder = shared_data("preppin_callcentre")
    report = make("call_centre").ingest(folder)
    assert {table: counts.rows_in for table, counts in report.tables.items()} == {"interactions": 0}
    query = (ROOT / "params" / "sources" / "call_centre" / "reports" / "agent_months.sql").read_text(encoding="utf-8")
    with open_source(params.sources["call_centre"], folder) as opened:
        found = opened.connection.sql(query).df()
    assert len(found) == 1516
    measures = ["offered", "not_answered", "answered", "duration", "sentiment", "transfers"]
    sums = found.groupby("month")[measures].sum(min_count=1)
    assert sums.index.tolist() == list(range(1, 13))
    for month, row in sums.iterrows():
        assert [None if pd.isna(value) else int(value) for value in row] == by_hand(folder / f"input_{month:02}.csv")
    assert (found.offered == found.answered + found.not_answered).all()
    assert int(found.offered.sum()) == 1_050_093


# CDNOW --------------------------------------------------------------------------------------------------------------


def test_cdnow_counts(make: Callable[..., Workspace], shared_data: Callable, oracle: Callable[[str], dict]) -> None:
    """Fader and Hardie's counts of the master file, exactly; and the same file once more changes nothing."""
    expected = oracle("cdnow_master_counts")["expected"]
    workspace = make("cdnow")
    report = workspace.ingest(shared_data("cdnow"))
    assert report.tables["orders"].accepted == report.tables["orders"].rows_in == expected["rows"]
    assert not workspace.ingest(shared_data("cdnow")).changed
    with Store.open(workspace.root) as store:
        orders = store.tables["orders"]
        found = store.run(
            orders.aggregate(
                customers=orders.customer_id.nunique(), units=orders.units.sum(), amount=orders.amount.sum(),
                first=orders.ordered_at.min(), last=orders.ordered_at.max(),
            )
        ).iloc[0]  # fmt: skip
        days = orders.group_by("customer_id").aggregate(days=orders.ordered_at.date().nunique())
        share = store.run(days.aggregate(share=(days.days >= 2).cast("int64").mean()))["share"].item()
        people = store.run(store.tables["customers"].aggregate(n=ibis._.count()))["n"].item()
    assert (found.customers, found.units, people) == (
        expected["customers"],
        expected["sum_units"],
        expected["customers"],
    )
    assert found.amount == Decimal(str(expected["sum_amt"]))
    assert [f"{day:%Y%m%d}" for day in (found["first"], found["last"])] == [expected["min"], expected["max"]]
    assert share == expected["share_customers_with_2plus_purchase_days"]


def test_cdnow_the_same_purchase_twice_is_two_orders(make: Callable[..., Workspace], tmp_path: Path) -> None:
    header, line = " customer_id  date number_of_cds  dollar_value", " 00042 19970112  1   12.00"
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "CDNOW_master.txt").write_bytes("\r\n".join([header, line, line, ""]).encode())
    workspace = make("cdnow")
    workspace.ingest(tmp_path / "raw")
    assert workspace.rows("orders", "order_id", "customer_id", "ordered_at", "units", "amount") == [
        ("00042:19970112:1:12.00:1", "00042", at("1997-01-12"), 1, Decimal("12.00")),
        ("00042:19970112:1:12.00:2", "00042", at("1997-01-12"), 1, Decimal("12.00")),
    ]
