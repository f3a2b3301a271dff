"""What a run answers about promises, consistency and leads: frozen, replayed, and a reason where nothing is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.errors import UsageError
from cxlib.reports import bring, disclosure
from cxlib.reports.record import Run

PERIOD = "2026-10"
ASKED: dict[str, Callable[[Run], pd.DataFrame]] = {
    "promise": lambda run: run.promise(months=6),
    "consistency": lambda run: run.consistency(),
    "leakage": lambda run: run.leakage(),
}
PARTS = {
    "promise": {"promise_kept", "promise_outcome", "days_late", "delivered_by", "surveys_sent_early", "early_surveys",
                "bills_leading_to_contact", "page_load", "visit_ends_in_order"},
    "consistency": {"csat_mean", "between_sd", "between_share", "typical_gap", "all_alike"},
    "leakage": {"leads_leaked", "leads_open", "cost_per_lead", "cost_per_first_order", "money_lost"},
}  # fmt: skip


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


@pytest.mark.parametrize("question", ASKED)
def test_answers_are_kept_without_customers_and_replayed(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask, folder = ASKED[question], tmp_path / "run"
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="03")
    frame = ask(recording)
    least = recording.context.workspace.min_n
    assert set(frame["metric"]) >= PARTS[question]
    assert not (frame["n"] < least).any()
    assert (frame["period"] != "").all()
    people = bring.orders(recording._inputs)["customer_id"]
    assert not pd.concat([frame[name] for name in results.TEXT]).isin(set(people)).any()
    assert disclosure.check(folder, dict.fromkeys(recording.metrics, least), least)["found"] == []
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    pd.testing.assert_frame_equal(ask(cx.open_run(PERIOD, run_folder=str(folder), notebook="03")), frame)


def test_promises_kept_are_the_metrics_own(at_demo: Path) -> None:
    """Of orders delivered, late ones by the workspace's metric and by the outcomes here are the same orders."""
    run = cx.open_run(PERIOD)
    found = run.promise(months=12).set_index(["metric", "level"])
    tables = run._inputs.store().tables
    orders = run._inputs.store().run(tables["orders"].select("ordered_at", "promised_at", "delivered_at"))
    start, end = (pd.Timestamp(at) for at in ("2025-10-31 23:00", "2026-10-31 23:00"))
    mine = orders[(orders["ordered_at"] >= start) & (orders["ordered_at"] < end) & orders["promised_at"].notna()]
    due = mine[mine["promised_at"] < end]
    kept = (due["delivered_at"] <= due["promised_at"]).mean()
    row = found.loc[("promise_kept", "all")]
    row = row[row["at"] == ""].iloc[0]
    assert (row["estimate"], row["n"]) == (pytest.approx(kept), len(due))


def test_bills_and_visits_are_counted_as_pandas_counts_them(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    found = run.promise(months=6).set_index("metric")
    store = run._inputs.store()
    events = store.run(store.tables["interactions"].select("customer_id", "kind", "started_at", "load_ms"))
    start, end = pd.Timestamp("2026-04-30 22:00"), pd.Timestamp("2026-10-31 23:00")
    week = pd.Timedelta(days=7)
    first = store.run(store.tables["customers"].select("customer_id", "valid_from")).groupby("customer_id").min()
    bills = events[
        (events["kind"] == "billing") & (events["started_at"] >= start) & (events["started_at"] < end - week)
    ]
    bills = bills[bills["customer_id"].map(first["valid_from"]) <= bills["started_at"] - week]
    calls = events[events["kind"].isin(["contact", "complaint"])]
    both = bills.reset_index().merge(calls, on="customer_id")
    apart = both["started_at_y"] - both["started_at_x"]
    after = both.loc[(apart >= pd.Timedelta(0)) & (apart <= week), "index"].nunique()
    row = found.loc["bills_with_contact"]
    assert (row["n"], row["estimate"] * row["n"]) == (len(bills), pytest.approx(after))
    timed = events[events["load_ms"].notna() & (events["started_at"] >= start) & (events["started_at"] < end)]
    loads = found.loc["page_load"]
    whole = loads[(loads["segment"] == "all") & (loads["at"] == "p50")]["estimate"].item()
    assert whole == timed["load_ms"].quantile(0.5, interpolation="lower") / 1_000


def test_a_workspace_that_lacks_tables_says_so(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    full = run._inputs.store()
    left = {name: full.tables[name] for name in ("customers", "responses")}
    run._inputs._store = SimpleNamespace(tables=left, run=full.run)  # type: ignore[assignment]
    found = run.promise(months=6)
    assert (found["status"] == results.UNDEFINED).all()
    assert "this workspace has no orders" in found["note"].tolist()
    assert run.leakage()["note"].item() == "nothing is known of what customers bought"
    assert run.consistency()["metric"].isin(["csat_mean", "between_sd"]).any()


def test_what_is_asked_wrongly_is_said(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    with pytest.raises(UsageError, match="months 0 is no whole number"):
        run.promise(months=0)
    with pytest.raises(UsageError, match="no segment is called 'chanel'"):
        run.consistency(by="chanel")
    with pytest.raises(UsageError, match="stayed"):
        run.leakage(stayed=0)
    assert run.consistency("late_delivery_share")["status"].item() == results.UNDEFINED


def test_leads_from_before_purchases_were_recorded_do_not_count_as_lost(at_demo: Path) -> None:
    """Half of the demo's customers joined before its first order: they bought, and nobody wrote it down."""
    found = cx.open_run("2024-06").leakage(days=30).set_index(["metric", "level"])
    row = found.loc[("leads_leaked", "all")]
    assert "left out are those who came before purchases were recorded" in row["note"]
    assert row["n"] < 100
