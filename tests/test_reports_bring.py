"""From the store to frames: spells joined, who left after an answer, since when ends are known; hand-worked rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib.reports import bring

PERIOD = "2026-10"


def subscriptions(*rows: tuple[str, str, str | None, str | None]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["customer_id", "started_on", "ended_on", "end_reason"])
    return found.assign(plan=[f"plan {number}" for number in range(len(rows))])


def test_a_change_of_plan_is_no_end() -> None:
    """ann changed twice and stays; bob left, came back and left again; cem has two at a time, one still open."""
    rows = subscriptions(
        ("ann", "2025-06-01", "2026-01-01", "price"), ("ann", "2025-01-01", "2025-06-01", "price"),
        ("ann", "2026-01-01", None, None),
        ("bob", "2025-01-01", "2025-03-01", "moved"), ("bob", "2025-05-01", "2025-09-01", "service"),
        ("cem", "2025-01-01", "2025-02-01", "price"), ("cem", "2025-01-15", None, None),
    )  # fmt: skip
    for table in (rows, rows.iloc[::-1]):
        found = bring.joined(table).sort_values(["customer_id", "started_on"])
        told = found[["customer_id", "started_on", "ended_on", "end_reason"]].astype(object)
        assert [tuple(None if pd.isna(x) else str(x)[:10] for x in row) for row in told.to_numpy()] == [
            ("ann", "2025-01-01", None, None),
            ("bob", "2025-01-01", "2025-03-01", "moved"), ("bob", "2025-05-01", "2025-09-01", "service"),
            ("cem", "2025-01-01", None, None),
        ]  # fmt: skip
        assert found["plan"].tolist() == ["plan 1", "plan 3", "plan 4", "plan 5"]  # what each began as


def test_nobody_has_no_spells() -> None:
    assert bring.joined(subscriptions()).empty


@pytest.mark.parametrize(
    ("day", "churned"),
    [("2025-01-15", 1.0), ("2025-02-28 23:59", 1.0), ("2025-03-01", np.nan), ("2025-04-01", np.nan),
     ("2024-12-31", np.nan), ("2025-05-01", 0.0), ("2025-08-01", 1.0)],
)  # fmt: skip
def test_who_left_after_an_answer(day: str, churned: float) -> None:
    """Within 60 days: the end is the first day without; without a spell at the answer nobody could leave."""
    known = bring.joined(
        subscriptions(("bob", "2025-01-01", "2025-03-01", "moved"), ("bob", "2025-05-01", "2025-09-01", "service"))
    )
    answers = pd.DataFrame({"customer_id": ["bob", "zoe"], "answered_at": pd.to_datetime([day, day])}, index=[7, 3])
    found = bring.left_after(answers, known, 60)
    assert found.index.tolist() == [7, 3]
    np.testing.assert_array_equal(found.to_numpy(), [churned, np.nan])


def told(since: str | None) -> Any:
    return SimpleNamespace(context=SimpleNamespace(workspace=SimpleNamespace(ends_recorded_since=since)))


def test_since_when_ends_are_recorded() -> None:
    ends = pd.Series(pd.to_datetime(["2015-03-03", "2023-02-10", "2023-07-01", None, "2023-12-20"]))
    assert bring.since_when(told(None), ends) == pd.Timestamp("2023-02-01")  # one stray end of 2015 does not count
    assert bring.since_when(told("2023-06-15"), ends) == pd.Timestamp("2023-06-15")
    assert bring.since_when(told(None), ends.iloc[3:4]) is None


def test_the_demo_equals_plain_loops(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_workspace)
    run = cx.open_run(PERIOD)
    found = bring.afterwards(run._inputs, run.metrics["nps"], 12, 90)
    spells = run.frame(run.tables["subscriptions"])
    starts, ends = pd.to_datetime(spells["started_on"]), pd.to_datetime(spells["ended_on"])
    for row in found.head(150).itertuples():
        day = row.answered_at.normalize()
        here = (spells["customer_id"] == row.customer_id) & (starts <= day) & (ends.isna() | (ends > day))
        if here.any():
            assert row.churned == (ends[here] <= day + pd.Timedelta(days=90)).any()
        else:
            assert np.isnan(row.churned)
    assert found["churned"].sum() > 3


def test_orders_without_a_cost_have_the_margin_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pd.DataFrame({
        "customer_id": list("abcd"), "ordered_at": pd.Timestamp("2026-01-01"), "amount": [100.0, 100.0, 50.0, 10.0],
        "cost": [60.0, np.nan, 30.0, np.nan], "discount": [0.0, 5.0, np.nan, 0.0],
    })  # fmt: skip
    context = SimpleNamespace(workspace=SimpleNamespace(timezone="UTC", worth=SimpleNamespace(margin=None)))
    inputs: Any = SimpleNamespace(context=context, store=lambda: SimpleNamespace(tables={}))
    monkeypatch.setattr("cxlib.analysis.extracts.orders", lambda *_, **__: None)
    monkeypatch.setattr(bring, "own", lambda _: None)
    monkeypatch.setattr(bring, "fetch", lambda *_: rows.copy())
    found = bring._orders(inputs, [])
    assert found["margin"].tolist() == pytest.approx([40.0, 40.0, 20.0, 4.0])
    assert found["discounted"].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_rows_come_in_an_order_of_their_own(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's order varies from run to run, and with it the last digits of sums; a report's does not."""
    monkeypatch.chdir(demo_workspace)
    run = cx.open_run(PERIOD)
    found = bring.orders(run._inputs)
    assert found["customer_id"].is_monotonic_increasing
    orders = run.tables["orders"]
    there, back = orders.order_by("order_id"), orders.order_by(orders.order_id.desc())
    one, other = (
        bring.fetch(run._inputs, table.select("customer_id", "ordered_at", "amount")) for table in (there, back)
    )
    pd.testing.assert_frame_equal(one, other)


def test_answers_are_brought_a_period_at_a_time(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of questions that look at other periods only what is new is brought; the rows are the same."""
    monkeypatch.chdir(demo_workspace)
    periods = bring.reach(cx.Period.parse(PERIOD), 5)
    fresh, shared = (cx.open_run(PERIOD)._inputs for _ in range(2))
    model = fresh.context.drivers["delivery"]
    whole = bring.answers(fresh, model, periods)
    bring.answers(shared, model, periods[2:])
    asked: list[int] = []
    run = shared.store().run
    monkeypatch.setattr(shared.store(), "run", lambda plan: asked.append(1) or run(plan))
    for _ in range(2):
        pd.testing.assert_frame_equal(bring.answers(shared, model, periods), whole)
    pd.testing.assert_frame_equal(
        bring.answers(shared, model, periods[1:2]), whole[whole["period"] == periods[1].label].reset_index(drop=True)
    )
    assert len(asked) == 1
