"""The framework and the coverage of a run: KPIs as the scorecard judges them, and events by the names that data use."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.reports import goals

DEMO = "Lumen & Loom, a synthetic subscription-and-shop company"
GOALS = """\
goals:
  - {goal: We do not ask too much, stage: awareness, kpi: survey_pressure, source: stripe, owner: Ana}
  - {goal: Nobody waits, stage: retention, kpi: wait_p90, source: demo, owner: Ben}
  - {goal: They recommend us, stage: advocacy, kpi: nps, source: demo, owner: Eva}
  - {goal: They say so again, stage: advocacy, kpi: nps, source: demo, owner: Eva}
  - {goal: They tell friends, stage: advocacy}
"""
COMPARE = ("previous", "year_ago", "target")


@pytest.fixture
def at_demo(demo_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo with a framework and a taxonomy of its own: params are copies, the store is the demo's."""
    shutil.copytree(demo_workspace / "params", tmp_path / "params")
    pack = tmp_path / "params" / "reports" / "monthly.yml"
    told = pack.read_text(encoding="utf-8")
    few = "metrics:\n  - nps\n  - csat_top2\n  - wait_p90\n  - items_per_order\n"  # so that tests are quick
    pack.write_text(re.sub(r"^metrics:\n(  - .*\n)+", few, told, flags=re.MULTILINE), encoding="utf-8")
    (tmp_path / "params" / "framework.yml").write_text(GOALS, encoding="utf-8")
    (tmp_path / "notebooks").symlink_to(demo_workspace / "notebooks")
    (tmp_path / "data").symlink_to(demo_workspace / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(path: Path, before: str, after: str) -> None:
    """Replace words in a file that has them."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_the_framework_says_what_the_scorecard_says_and_measures_what_it_lacks(at_demo: Path) -> None:
    run = cx.open_run("2026-10")
    card = run.measure(periods=2, compare=COMPARE)
    found = run.framework(card)
    assert list(dict.fromkeys(found["metric"])) == goals.kpis(run.goals) == ["survey_pressure", "wait_p90", "nps"]
    assert set(found["period"]) == {"2026-10"}
    both = found.merge(card[card["period"] == "2026-10"], how="inner")
    assert len(both) == len(found[found["metric"] != "survey_pressure"])  # rows and verdicts alike
    pd.testing.assert_frame_equal(run.framework(), found)
    assert [goal.source for goal in run.goals] == ["Stripe subscriptions (not in the store)", DEMO, DEMO, DEMO, ""]
    told = cx.charts.framework_board(found, run.metrics, run.goals).finding
    assert "nobody measures consideration and purchase" in told
    assert "1 goal has no KPI" in told


def test_a_recorded_framework_is_replayed_without_params_and_rows_are_recorded_once(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    run = cx.open_run("2026-10", run_folder=str(folder), notebook="01_x")
    card = run.measure(compare=COMPARE)
    found = run.framework(card)
    run.record(card, found)
    kept = pd.read_parquet(folder / "results" / "01_x.parquet")
    assert len(kept) == len(card) + (found["metric"] == "survey_pressure").sum()
    (folder / "run.json").write_text("{}", encoding="utf-8")
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    shutil.rmtree(at_demo / "params")
    again = cx.open_run("2026-10", run_folder=str(folder), notebook="01_x")
    assert again.goals == run.goals
    pd.testing.assert_frame_equal(again.framework(), found)


def test_coverage_tells_names_and_metrics_read_ids(at_demo: Path) -> None:
    plain = cx.open_run("2026-10")
    before = plain.measure("touchpoint_volume", by="touchpoint")
    told = plain.coverage(months=3)
    assert told.loc[told["metric"] == "classified", "estimate"].eq(1).all()
    assert set(told.loc[told["segment"] == "orders", "level"]) == {"channel of the order"}

    taxonomy = at_demo / "params" / "touchpoints.yml"
    change(
        taxonomy,
        "  support_phone:\n    title: Support by phone\n",
        '  hotline:\n    title: Hotline\n    names: ["*_PHONE"]\n',
    )
    change(taxonomy, "  website:\n", "  web_site:\n")  # what the data call the website is claimed by nobody now
    run = cx.open_run("2026-10")
    found = run.coverage(months=3).set_index(["metric", "segment", "level"]).sort_index()
    share = found["estimate"]["classified_by", "interactions"]
    assert set(share.index) == {"id", "pattern", "not placed"}
    assert share.sum() == pytest.approx(1)
    assert found["estimate"]["not_placed", "interactions"].index.tolist() == ["website"]
    after = run.measure("touchpoint_volume", by="touchpoint")
    old, new = (
        frame[frame["comparison"] == "level"].set_index("level")["estimate"].sort_index() for frame in (before, after)
    )
    pd.testing.assert_series_equal(new.rename({"hotline": "support_phone"}).sort_index(), old)


def test_a_workspace_without_a_taxonomy_says_so(at_demo: Path) -> None:
    (at_demo / "params" / "touchpoints.yml").unlink()
    found = cx.open_run("2026-10").coverage()
    assert found["status"].tolist() == [results.UNDEFINED]
    assert found["note"].tolist() == ["this workspace has no touchpoints.yml"]
