"""What was kept for long enough goes from every snapshot, by the calendar of the workspace, and stays out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from intake_workspace import Toy
from pydantic import ValidationError

from cxlib.data.compact import CompactReport, compact
from cxlib.data.ingest import ingest
from cxlib.data.ledger import Ledger
from cxlib.data.retaining import Term
from cxlib.params.models import Workspace
from cxlib.params.retention import Retention, first_day, kept_since

HEAD = "response_id,customer_id,responded_at,instrument,score,comment\n"
CALLS = "interaction_id,customer_id,started_at,touchpoint,transcript\n"
ORDERS = "order_id,customer_id,ordered_at,amount\n"
CUSTOMERS = "customer_id,valid_from\nc1,2020-01-01\n"
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "today", "expected"),
    [
        ("30 days", date(2026, 3, 1), date(2026, 1, 30)),
        ("1 day", date(2026, 1, 1), date(2025, 12, 31)),
        ("1 month", date(2026, 3, 31), date(2026, 2, 28)),
        ("1 month", date(2024, 3, 31), date(2024, 2, 29)),
        ("1 month", date(2026, 2, 28), date(2026, 1, 28)),
        ("24 months", date(2026, 2, 28), date(2024, 2, 28)),
        ("12 months", date(2024, 2, 29), date(2023, 2, 28)),
        ("2 years", date(2026, 1, 15), date(2024, 1, 15)),
        ("13 months", date(2026, 1, 31), date(2024, 12, 31)),
        ("9999 years", date(2026, 1, 31), date(1, 1, 31)),
        ("9999 days", date(1, 1, 31), date(1, 1, 1)),
    ],
)
def test_a_month_is_a_month_of_the_calendar(span, today, expected):
    assert first_day(span, today) == expected


def test_days_begin_in_the_workspaces_timezone():
    late = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # 1 April in Madrid, where clocks went forward on 29 March
    assert kept_since("1 month", late, "UTC") == datetime(2026, 2, 28)
    assert kept_since("1 month", late, "Europe/Madrid") == datetime(2026, 2, 28, 23)  # 1 March, in winter time
    assert kept_since("1 day", late, "Europe/Madrid") == datetime(2026, 3, 30, 22)  # 31 March, in summer time
    assert kept_since("1 month", late, "America/New_York") == datetime(2026, 2, 28, 5)


@pytest.mark.parametrize("span", ["2 weeks", "0 days", "months", "1.5 years", "-3 days", "10000 days"])
def test_other_lengths_of_time_are_refused(span):
    with pytest.raises(ValidationError, match="is no length of time: write it as 30 days, 24 months or 3 years"):
        Retention(comments=span)


def test_tables_of_what_still_holds_are_refused():
    with pytest.raises(ValidationError, match="rows of customers, subscriptions cannot be let go of by their age"):
        Retention(tables={"customers": "1 year", "subscriptions": "1 year", "orders": "1 year"})


@pytest.fixture
def toy(tmp_path) -> Toy:
    """Two snapshots of answers, calls and orders at both sides of midnight in Madrid, 28 February 2026."""
    toy = Toy(tmp_path).put("customers", CUSTOMERS)
    for number, said in enumerate(("first", "second")):
        answers = f"r1,c1,2026-02-27 22:59:59,nps,1,{said} old\nr2,c1,2026-02-27 23:00:00,nps,2,{said} young\n"
        toy.put("responses", f"{HEAD}{answers}r3,c1,2025-01-01,nps,3,\n")
        toy.put("interactions", f"{CALLS}x1,c1,2026-02-27 22:59:59,call,old\nx2,c1,2026-02-27 23:00:00,call,young\n")
        toy.put("orders", f"{ORDERS}o1,c1,2025-12-30 22:59:59,1\no2,c1,2025-12-31 23:00:00,2\n")
        toy.ingest(now=NOW - timedelta(days=10 - number))
    return toy


def run(toy: Toy, retention: Retention, now: datetime = NOW, **more) -> CompactReport:
    term = Term(retention, "Europe/Madrid", {"superseded": toy.root / "reports" / "_superseded"})
    return compact(toy.root, "data/store", retention_days=400, now=now, term=term, **more)


def test_words_go_from_every_snapshot_and_their_answers_stay(toy):
    wanted = Retention(comments="1 month", transcripts="1 month")
    told = run(toy, wanted, dry_run=True)
    assert told.let_go == {"words of responses": 1, "words of interactions": 1}
    assert "would be let go of, kept for long enough: 1 words of responses" in told.lines()
    assert [row[5] for row in toy.rows("responses", *HEAD.strip().split(","))] == ["second old", "second young", None]
    assert run(toy, wanted).let_go == told.let_go
    columns = ("response_id", "score", "comment")
    snapshots = Ledger.read(toy.root / "data" / "store")
    assert toy.rows("responses", *columns) == [("r1", 1, None), ("r2", 2, "second young"), ("r3", 3, None)]
    assert toy.rows("responses", *columns, as_of="0001") == [("r1", 1, None), ("r2", 2, "first young"), ("r3", 3, None)]
    assert toy.rows("interactions", "interaction_id", "transcript") == [("x1", None), ("x2", "young")]
    assert {mark.why for one in snapshots for mark in one.rewritten} == {"what was kept for long enough was let go of"}
    assert run(toy, wanted).let_go == {}
    assert Ledger.read(toy.root / "data" / "store") == snapshots
    left = b"".join(path.read_bytes() for path in toy.root.rglob("*.parquet"))
    assert b"first old" not in left
    assert b"first young" in left


def test_rows_go_after_their_time(toy):
    done = run(toy, Retention(tables={"orders": "3 months", "responses": "1 year"}))
    assert done.let_go == {"rows of orders": 1, "rows of responses": 1}
    assert toy.rows("orders", "order_id", as_of="0001") == toy.rows("orders", "order_id") == [("o2",)]
    assert toy.rows("responses", "response_id") == [("r1",), ("r2",)]


def test_an_export_does_not_bring_back_what_was_let_go_of(toy):
    wanted = Retention(comments="1 month", tables={"orders": "3 months"})
    run(toy, wanted)
    workspace = Workspace(company="Toy", timezone="Europe/Madrid", retention=wanted)
    params = toy.params.model_copy(update={"workspace": workspace})
    report = ingest(toy.root, params, "toy", folder=toy.raw, today=NOW.date(), now=NOW)
    assert not report.changed
    assert [(one.table, one.reason, one.rows) for one in report.refusals] == [
        ("orders", "older than it may be kept", 1)
    ]
    assert report.quarantine is None
    later = ingest(toy.root, params, "toy", folder=toy.raw, today=NOW.date() + timedelta(days=31), now=NOW)
    assert later.tables["responses"].corrected == 1  # that it is older now is seen by the next ingest, too


def test_refused_rows_and_runs_laid_aside_go_after_their_time(toy):
    toy.put("orders", f"{ORDERS}o9,c1,2026-01-01,much\n").ingest(now=datetime.now(UTC))
    runs = [toy.root / "reports" / "_superseded" / "monthly" / f"2026-01-{day}T000000Z" for day in (20260101, 20260320)]
    for one in runs:
        (one / "inputs" / "01").mkdir(parents=True)
        for path in (one / "run.json", one / "inputs" / "01" / "a.parquet"):
            path.write_text("{}", encoding="utf-8")
    wanted = Retention(quarantine="6 months", superseded="30 days")
    done = run(toy, wanted)
    assert done.removed["superseded"].files == 2
    assert [one.exists() for one in runs] == [False, True]
    assert "quarantine" not in done.removed
    assert len(list((toy.root / "data" / "quarantine").iterdir())) == 1
    assert run(toy, wanted, now=datetime.now(UTC) + timedelta(days=190)).removed["quarantine"].files == 2
    assert not list((toy.root / "data" / "quarantine").iterdir())


def test_nothing_is_let_go_of_where_nothing_is_said(toy):
    assert run(toy, Retention()).let_go == {}
    assert Path(toy.root / "data" / "store").is_dir()
    assert all(not one.rewritten for one in Ledger.read(toy.root / "data" / "store"))
