"""The run that a notebook holds: exploring writes nothing, recording freezes, replaying needs the run folder alone."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.errors import RunError, UsageError
from cxlib.reports import context, disclosure
from cxlib.reports.record import Run

PERIOD = "2026-10"


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


def work(run: Run) -> pd.DataFrame:
    """What a notebook does, in short."""
    whole = run.measure(["nps", "csat_top2", "wait_p50"], periods=3, compare=("previous", "year_ago", "target"))
    cut = run.measure("nps", by=["region", "plan"], compare="previous")
    return results.concat([whole, cut, run.measure("touchpoint_volume", by="delivered_late", compare="previous")])


def test_recorded_and_replayed_are_equal_without_store_or_params(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    run = cx.open_run("last", run_folder=str(folder), notebook="01_x")
    assert run.period.label == PERIOD
    frame, checks = work(run), run.check().frame
    run.record(frame)
    assert len(pd.read_parquet(folder / "results" / "01_x.parquet")) == len(frame)
    assert disclosure.check(folder, dict.fromkeys(run.metrics, 10))["found"] == []

    moved = shutil.move(folder, tmp_path / "published")
    (moved / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # no workspace here, nor above
    before = {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()}
    again = cx.open_run("last", run_folder=str(moved), notebook="01_x")
    pd.testing.assert_frame_equal(work(again), frame)
    pd.testing.assert_frame_equal(again.check().frame, checks)
    again.record(frame)
    assert {path: path.read_bytes() for path in moved.rglob("*") if path.is_file()} == before
    assert "shown again" in capsys.readouterr().out
    with pytest.raises(RunError, match="does not hold the sums of nps by region"):
        again.measure("nps", by="region")


def test_levels_differences_and_their_order(at_demo: Path) -> None:
    frame = cx.open_run(PERIOD).measure("nps", periods=3, compare=("previous", "year_ago", "target"))
    levels = frame[frame["comparison"] == "level"]
    assert list(levels["period"]) == ["2026-08", "2026-09", PERIOD]
    rest = frame[frame["comparison"] == "difference"]
    assert set(rest["against"]) == {"2026-09", "2025-10", "target"}
    assert set(rest["period"]) == {PERIOD}
    own = {row["against"]: row["estimate"] for row in rest.to_dict("records")}
    by_period = dict(zip(levels["period"], levels["estimate"], strict=True))
    assert own["2026-09"] == pytest.approx(by_period[PERIOD] - by_period["2026-09"], abs=1e-9)
    assert (frame["definition"] != "").all()


def test_small_cells_are_hidden_before_they_are_frozen(at_demo: Path, tmp_path: Path) -> None:
    run = cx.open_run(PERIOD, run_folder=str(tmp_path), notebook="n")
    frame = run.measure("average_order_value", by=["region", "plan"], compare="previous")
    small = frame[frame["status"] == "suppressed"]
    assert len(small)
    assert small[list(results.NUMBERS)].isna().all(axis=None)
    assert not frame.duplicated(["period", "level", "comparison", "against"]).any()
    paths = (tmp_path / "inputs" / "n").glob("average_order_value.region-plan.*.parquet")
    (path,) = (one for one in paths if "overlap" not in one.name)
    frozen = pd.read_parquet(path)
    hidden = frozen["rows"].isna()
    numbers = [name for name in frozen if name not in ("metric", "period", "level")]
    assert hidden.any()
    assert frozen.loc[hidden, numbers].isna().all(axis=None)
    assert frozen.loc[~hidden, "clusters"].min() >= 10


def test_what_the_workspace_cannot_give_is_undefined_with_a_reason(at_demo: Path) -> None:
    frame = cx.open_run(PERIOD).measure("touchpoint_volume", by="delivered_late", periods=2, compare="previous")
    assert list(frame["comparison"]) == ["level", "level", "difference"]
    assert (frame["status"] == "undefined").all()
    assert (frame["note"] != "").all()


def test_the_packs_metrics_by_its_segments_are_one_family(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    found = run.by_segments(["region", "touchpoint"], compare="previous")
    alone = run.measure("nps", by="region")
    mine = found[(found["metric"] == "nps") & (found["segment"] == "region") & (found["comparison"] == "level")]
    pd.testing.assert_frame_equal(mine.reset_index(drop=True), alone)
    judged = found[(found["comparison"] == "difference") & (found["status"] == results.OK)]
    assert set(judged["segment"]) == {"region", "touchpoint"}
    assert (judged["p_adjusted"] >= judged["p_value"]).all()
    undefined = found[found["status"] == results.UNDEFINED]
    assert set(undefined["comparison"]) == {"level"}  # one row each
    assert not undefined.duplicated(["metric", "segment"]).any()


def test_names_are_checked(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    with pytest.raises(UsageError, match="no metric is called 'npss'; did you mean 'nps'"):
        run.measure("npss")
    with pytest.raises(UsageError, match="no segment is called 'regions'; did you mean 'region'"):
        run.measure("nps", by="regions")
    with pytest.raises(UsageError, match="no comparison is called 'last_year'"):
        run.measure("nps", compare="last_year")
    with pytest.raises(UsageError, match="periods is 0"):
        run.measure("nps", periods=0)
    with pytest.raises(UsageError, match="no notebook name"):
        cx.open_run(PERIOD, run_folder="x")


def test_exploring_writes_nothing_and_says_what_is_open(at_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path for path in at_demo.rglob("*") if path.is_file()}
    run = cx.open_run()
    run.record(run.measure(run.lead))
    said = capsys.readouterr().out
    assert "October 2026" in said
    assert run.context.snapshot in said
    assert "nothing is written" in said
    assert {path for path in at_demo.rglob("*") if path.is_file()} == before
    html = run._repr_html_()
    for words in (run.context.workspace.company, "October 2026", run.context.snapshot, "responses"):
        assert words in html.replace("&amp;", "&")
    fresh = run.freshness().set_index("table")
    assert fresh.loc["responses", "rows"] > 0
    assert fresh.loc["responses", "warning"] == ""


def test_a_period_before_the_data_is_warned_of(at_demo: Path) -> None:
    run = cx.open_run("2019-03")
    assert run.context.warnings == ["nothing in March 2019"]
    assert "nothing in March 2019" in run._repr_html_()
    frame = run.measure("nps", compare="previous")
    assert set(frame["status"]) == {"undefined"}
    checks = run.check().frame
    assert set(checks.loc[checks["check"] == "rows", "state"]) == {"look"}


def test_a_table_that_ends_long_before_the_others_is_old(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    workspace, day = run.context.workspace, datetime(2026, 10, 31)
    assert context._stale("orders", day - timedelta(days=45), day, workspace) == ""
    assert "46 days before the end" in context._stale("orders", day - timedelta(days=46), day, workspace)
    assert context._stale("costs", None, day, workspace) == ""


def test_a_period_after_the_data_is_refused(at_demo: Path) -> None:
    with pytest.raises(UsageError, match="no data of November 2026 yet: the newest event is of 2026-10-31") as fault:
        cx.open_run("2026-11")
    assert fault.value.hint == "The last complete month is 2026-10."


def test_a_period_that_is_not_over_says_so(at_demo: Path) -> None:
    run = cx.open_run("2026-Q4")
    assert run.context.warnings == [run.context.partial]
    assert "Q4 2026 is not over in these data, which end at 2026-10-31" in run._repr_html_()


def test_a_definition_can_be_tried_out_beside_the_original(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    top = run.metrics["csat_top2"].model_copy(update={"id": "csat_top1", "numerator": "score == 5"})
    frame = run.measure(["csat_top2", top]).set_index("metric")
    assert frame.loc["csat_top1", "estimate"] < frame.loc["csat_top2", "estimate"]
    assert frame.loc["csat_top1", "definition"] != frame.loc["csat_top2", "definition"]


def test_the_rows_can_be_reached_while_exploring(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    responses = run.tables["responses"]
    found = run.frame(responses.group_by("instrument").aggregate(n=responses.count()))
    assert set(found["instrument"]) == {"nps", "csat", "ces"}


def test_amounts_are_in_the_currency_of_the_periods_sources(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    assert [origin.source for origin in run.context.origins] == ["demo"]
    assert run.context.currency == "EUR"
    origins = tuple(run.context.origins[0].model_copy(update={"currency": code}) for code in ("BRL", "USD"))
    mixed = run.context.model_copy(update={"origins": origins})
    assert mixed.currency == "EUR"
    assert "amounts of this period are in BRL and USD, added up as they are" in mixed.warnings


def test_a_target_in_another_currency_is_none(at_demo: Path) -> None:
    """58 euros are no target for amounts in reais; the definition, and so its hash, is the same."""
    run = cx.open_run(PERIOD)
    aov, nps = run.metrics["average_order_value"], run.metrics["nps"]
    assert aov.target is not None
    origin = run.context.origins[0].model_copy(update={"currency": "BRL"})
    abroad = run.context.model_copy(update={"origins": (origin,)})
    there = abroad.described
    assert there["average_order_value"] == aov.model_copy(update={"target": None})
    assert there["nps"] == nps
    assert abroad.definition_of(there["average_order_value"]) == run.context.definition_of(aov)


def test_mask_hides_whole_cells_of_counts() -> None:
    """A quantile's rows are counts per value; a cell is hidden as one, not value by value."""
    moments = pd.DataFrame(
        {
            "period": PERIOD, "level": ["a", "a", "b", "b"], "value": [1.0, 2.0, 1.0, 9.0], "rows": [6, 6, 6, 3],
            "missing": 0.0, "clusters": [10, 10, 9, 9],
        }
    )  # fmt: skip
    masked = disclosure.mask(moments, 10)
    assert list(masked["level"]) == ["a", "a", "b"]
    assert np.isnan(masked.loc[2, ["value", "rows", "missing", "clusters"]].astype(float)).all()


def test_metrics_of_the_same_rows_come_in_one_query_and_are_the_same(
    at_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxlib.reports.inputs import Inputs
    from cxlib.reports.sums import Sums

    names = ["csat_top2", "csat_mean", "ces_mean", "ces_net", "nps", "wait_p50"]
    asked: list[str] = []
    bring = Sums.run
    monkeypatch.setattr(Sums, "run", lambda self, plan, *rest, **more: _asked(asked, plan, bring, self, *rest, **more))
    at_once = cx.open_run(PERIOD).measure(names, by="region", periods=3)
    assert sorted(asked) == ["plan", "plan", "together", "together"]
    monkeypatch.setattr(Inputs, "prepare", lambda *_: None)
    one_by_one = cx.open_run(PERIOD).measure(names, by="region", periods=3)
    pd.testing.assert_frame_equal(at_once, one_by_one, check_exact=True)


def _asked(asked, plan, bring, self, *rest, **more):  # type: ignore[no-untyped-def]
    asked.append(plan.__name__)
    return bring(self, plan, *rest, **more)
