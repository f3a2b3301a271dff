"""The panel of satisfaction, spending and leaving: equal to plain loops over the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxlib as cx
from cxlib.reports import bring
from cxlib.reports.panel import panel

PERIOD = "2026-10"


def test_the_panel_equals_plain_loops(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a part of the customers: who is there, what they said on average, what they spent, whether they left."""
    monkeypatch.chdir(demo_workspace)
    run = cx.open_run(PERIOD)
    inputs, metric, plan = run._inputs, run.metrics["csat_mean"], run._segment("plan")
    periods = bring.reach(bring.own(inputs), 6)
    found = panel(inputs, metric, periods, [plan])
    answers, orders, spells = (run.frame(run.tables[name]) for name in ("responses", "orders", "subscriptions"))
    zone = run.context.workspace.timezone
    answers = answers[(answers["instrument"] == "csat") & answers["score"].notna()]
    for table, time in ((answers, "responded_at"), (orders, "ordered_at")):
        table["month"] = table[time].dt.tz_localize("UTC").dt.tz_convert(zone).dt.strftime("%Y-%m")
    labels = [period.label for period in periods]
    ids = sorted(set(answers.loc[answers["month"].isin(labels), "customer_id"].dropna()))
    joined = bring.spells(inputs, [plan])
    assert set(found["customer_id"]) <= set(range(len(ids)))
    assert not found.duplicated(["customer_id", "period"]).any()
    for number in range(0, len(ids), max(len(ids) // 40, 1)):
        name, mine = ids[number], found[found["customer_id"] == number].set_index("period")
        for period in periods:
            start, end = pd.Timestamp(period.first_day), pd.Timestamp(period.next_day)
            own = joined[joined["customer_id"] == name]
            here = own[(own["started_on"] < start) & (own["ended_on"].isna() | (own["ended_on"] >= start))]
            assert (period.label in mine.index) == (len(here) > 0)
            if not len(here):
                continue
            row = mine.loc[period.label]
            said = answers[(answers["customer_id"] == name) & (answers["month"] == period.label)]["score"].astype(float)
            spent = orders[(orders["customer_id"] == name) & (orders["month"] == period.label)]["amount"].astype(float)
            assert row["spend"] == pytest.approx(spent.sum())
            assert row["churned"] == float((here["ended_on"] < end).iloc[0])
            assert row["Plan"] == here["Plan"].iloc[0]
            assert (len(said) == 0 and np.isnan(row["satisfaction"])) or row["satisfaction"] == said.mean()
            assert np.nan_to_num(row["answers"]) == len(said)
    assert len(spells) >= len(joined)


def test_frames_are_brought_once(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_workspace)
    run = cx.open_run(PERIOD)
    inputs, own, plan = run._inputs, bring.own(run._inputs), [run._segment("plan")]
    assert bring.orders(inputs) is bring.orders(inputs)
    assert bring.spells(inputs, plan) is bring.spells(inputs, plan)
    assert bring.spells(inputs) is not bring.spells(inputs, plan)
    assert bring.levels(inputs, own, plan) is bring.levels(inputs, own, plan)
    assert bring.levels(inputs, own.previous(), plan) is not bring.levels(inputs, own, plan)


@given(st.lists(st.tuples(st.sampled_from(["a", "B", "\u00e9", None, "\U0001f600", "z"]),
                          st.sampled_from([1.5, -2.0, np.nan]), st.integers(0, 2)), max_size=20))  # fmt: skip
def test_rows_are_ordered_as_pandas_orders_them(rows: list[tuple[str | None, float, int]]) -> None:
    table = pd.DataFrame(rows, columns=["name", "value", "count"]).astype(
        {"name": "str", "value": float, "count": "int64"}
    )
    expected = table.sort_values(["name", "value", "count"], ignore_index=True)
    pd.testing.assert_frame_equal(bring.ordered(table, ["name", "value", "count"]), expected)
