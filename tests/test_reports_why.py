"""What a run answers beyond levels and differences: frozen with it, replayed without the store, safe to publish."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.errors import RunError, UsageError
from cxlib.measure.audit import OUT_OF_RANGE
from cxlib.reports import disclosure, speaking
from cxlib.reports.record import Run

PERIOD = "2026-10"
EXACT = 1e-9  # METHODS: the parts of a change add up to it


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


def total(frame: pd.DataFrame, comparison: str) -> float:
    whole = (frame["comparison"] == comparison) & (frame["level"] == "all")
    return float(frame.loc[whole, "estimate"].item())


def parts(frame: pd.DataFrame, comparison: str) -> pd.Series:
    own = (frame["comparison"] == comparison) & (frame["level"] != "all") & (frame["at"] == "")
    return frame.loc[own, "estimate"]


@pytest.mark.parametrize("metric", ["nps", "csat_top2", "csat_mean", "average_order_value", "complaint_rate"])
@pytest.mark.parametrize("by", ["region", ["region", "plan"]])
def test_parts_add_up_to_the_change_that_is_printed(at_demo: Path, metric: str, by: str | list[str]) -> None:
    run = cx.open_run(PERIOD)
    printed = run.measure(metric, compare="year_ago").query("comparison == 'difference'")
    frame = run.explain(metric, by=by, against="year_ago")
    assert total(frame, "difference") == pytest.approx(printed["estimate"].item(), abs=EXACT)
    assert total(frame, "mix") + total(frame, "rate") == pytest.approx(total(frame, "difference"), abs=EXACT)
    every = parts(frame, "mix").sum() + parts(frame, "rate").sum()
    assert every == pytest.approx(total(frame, "difference"), abs=EXACT)


def test_levels_over_one_denominator_add_up_without_a_mix(at_demo: Path) -> None:
    """Visits per day at each touchpoint: every touchpoint is counted over the same days."""
    run = cx.open_run(PERIOD)
    frame = run.explain("touchpoint_volume", by="touchpoint", against="previous")
    assert "mix" not in set(frame["comparison"])
    assert parts(frame, "rate").sum() == pytest.approx(total(frame, "difference"), abs=EXACT)


ANSWERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "measure": lambda run: run.measure(["nps", "csat_mean"], compare=("previous", "year_ago"), relative=True),
    "explain": lambda run: run.explain("nps", against="year_ago"),
    "find": lambda run: run.find("nps", against="year_ago", by=("region", "plan")),
    "contrast": lambda run: run.contrast("region", "nps"),
    "over_time": lambda run: run.over_time("nps", periods=30),
    "watch": lambda run: run.watch("nps", weeks=4),
    "speaks_for": lambda run: run.speaks_for("nps"),
    "audit": lambda run: run.audit(),
}


@pytest.mark.parametrize("question", ANSWERS)
def test_answers_are_replayed_without_store_or_params(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask = ANSWERS[question]
    recording = cx.open_run(PERIOD, run_folder=str(tmp_path / "run"), notebook="02")
    frame = ask(recording)
    assert len(frame)
    least = dict.fromkeys([*recording.metrics, OUT_OF_RANGE.id], recording.context.workspace.min_n)
    assert disclosure.check(tmp_path / "run", least)["found"] == []
    moved = shutil.move(tmp_path / "run", tmp_path / "published")
    (Path(moved) / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # no workspace here
    again = cx.open_run("last", run_folder=str(moved), notebook="02")
    pd.testing.assert_frame_equal(ask(again), frame)
    with pytest.raises(RunError, match="does not hold"):
        again.explain("csat_mean", by="plan")


def test_what_is_frozen_holds_no_product_of_cells(at_demo: Path, tmp_path: Path) -> None:
    run = cx.open_run(PERIOD, run_folder=str(tmp_path), notebook="02")
    run.explain("nps", by="region"), run.speaks_for("nps"), run.audit()
    files = [path for path in (tmp_path / "inputs").rglob("*.parquet") if path.stem.count(".") > 3]
    kinds = {path.stem.rsplit(".", 1)[1] for path in files}
    assert kinds == {"why", "speaks", "audit", "refused"}
    for path in files:
        assert list(pd.read_parquet(path).columns) == list(results.COLUMNS)


def test_a_result_on_too_few_answers_is_not_published(tmp_path: Path) -> None:
    folder = tmp_path / "inputs" / "02"
    folder.mkdir(parents=True)
    row = results.frame(metric="nps", period=PERIOD, segment="region", level="North", estimate=3.0, n=9)
    row.to_parquet(folder / "nps.region.2026-10.abc.why.parquet", index=False)
    found = disclosure.check(tmp_path, {"nps": 10})
    assert found["verdict"] == "refused"
    assert "nps 2026-10, level North: fewer than 10 answers" in found["found"][0]


def test_the_clearest_comparison_is_explained_where_none_is_named(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    changes = run.measure("nps", compare=("previous", "year_ago", "target"))
    best = changes[(changes["comparison"] == "difference") & (changes["against"] != "target")]
    assert run.clearest(changes, "nps") == best.sort_values("p_value")["against"].iloc[0]
    assert run.clearest(results.empty(), "nps") == "2026-09"


def test_any_period_can_be_compared_with(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    frame = run.measure("nps", compare=("2025-03", "target"))
    assert set(frame.loc[frame["comparison"] == "difference", "against"]) == {"2025-03", "target"}
    for wrong, said in {"2026-10": "compared with itself", "last_year": "no comparison is called 'last_year'"}.items():
        with pytest.raises(UsageError, match=said):
            run.measure("nps", compare=wrong)
    with pytest.raises(UsageError, match="target has no answers"):
        run.explain("nps", against="target")


def test_who_answered_in_both_periods_is_in_the_error(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    frame = run.measure("nps", compare="previous")
    assert "respondents of both periods allowed for" in frame["method"].iloc[-1]


def test_every_week_is_looked_at_with_all_answers_since_the_first(at_demo: Path) -> None:
    """The last whole week of October 2026 is week 43; the interval holds at every look and so is wider."""
    run = cx.open_run(PERIOD)
    frame = run.watch("nps", weeks=4)
    assert frame["period"].tolist() == ["2026-W40", "2026-W41", "2026-W42", "2026-W43"]
    assert frame["n"].dropna().is_monotonic_increasing
    shown = frame[frame["status"] == "ok"].iloc[-1]
    month = run.measure("nps").iloc[0]
    assert shown["conf_high"] - shown["conf_low"] > month["conf_high"] - month["conf_low"]
    with pytest.raises(UsageError, match="looks once"):
        run.watch("nps", weeks=1)


def test_a_metric_that_the_workspace_cannot_give_is_undefined_everywhere(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    lost = run.metrics["nps"].model_copy(update={"id": "nps", "value": "no_such_column"})
    for frame in (run.explain(lost, by="region"), run.over_time(lost, periods=24), run.contrast("region", lost)):
        assert set(frame["status"]) == {"undefined"}
        assert frame["note"].str.contains("no_such_column").all()


@pytest.mark.parametrize(
    ("metric", "scale"),
    [("nps", (-100, 100)), ("csat_top2", (0, 1)), ("csat_mean", (1, 5)), ("average_order_value", None)],
)
def test_the_ends_of_a_scale_are_known_where_a_score_has_one(
    at_demo: Path, metric: str, scale: tuple[float, float] | None
) -> None:
    assert speaking.scale_of(cx.load_params(at_demo).metrics[metric]) == scale


def test_a_period_that_is_not_over_is_compared_with_nothing(at_demo: Path) -> None:
    frame = cx.open_run("2026-Q4").measure(["nps", "churn_rate"], compare=("previous", "target"))
    compared = frame[frame["comparison"] == "difference"]
    assert set(compared["status"]) <= {"undefined", "suppressed"}
    assert set(frame["verdict"]) == {""}
    assert "it is not over" in set(compared["note"])


def test_a_target_for_a_month_is_none_for_a_quarter_where_time_alone_changes_the_number(at_demo: Path) -> None:
    month, quarter = cx.open_run(PERIOD).metrics, cx.open_run("2026-Q3").metrics
    assert month["churn_start_cohort"].target is not None
    assert quarter["churn_start_cohort"].target is None
    assert quarter["nps"].target == month["nps"].target


def test_periods_of_another_length_and_later_ones_are_refused(at_demo: Path) -> None:
    run = cx.open_run("2026-09")
    with pytest.raises(UsageError, match="is a quarter and September 2026 a month"):
        run.measure("nps", compare="2026-Q3")
    with pytest.raises(UsageError, match="later than September 2026"):
        run.explain("nps", against="2026-10")


def test_what_has_no_longer_view_or_no_parts_says_so_or_leaves_it_out(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    assert set(run.over_time("orders_per_customer", 3)["at"]) == {"", "seasonally adjusted"}
    for frame in (run.explain("wait_p90", by="region"), run.find("wait_p90", by="region")):
        assert frame["status"].tolist() == ["undefined"]
        assert "quantile" in frame["note"].item()
    assert run.speaks_for("average_order_value")["note"].item().startswith("only answers to surveys")
    assert len(
        run.find("complaint_rate", by=("region", "touchpoint"))
    )  # a pair without a common denominator is left out


def test_one_name_may_be_given_by_itself(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    pd.testing.assert_frame_equal(run.find("nps", by="region"), run.find("nps", by=["region"]))
    assert set(run.audit(questions="survey_slow")["metric"]) >= {"survey_slow"}
    with pytest.raises(UsageError, match="by one segment or by two"):
        run.explain("nps", by=["region", "plan", "channel"])
    with pytest.raises(UsageError, match="named twice"):
        run.measure("nps", by=["region", "region"])


def test_nobody_who_left_in_a_whole_period_is_no_rate_of_zero(at_demo: Path) -> None:
    """The demo's records begin in November 2023: in October nobody is known to have left, and nobody would be."""
    frame = cx.open_run("2023-11").measure(["churn_rate", "retention_start_cohort"], compare="previous")
    assert "moved" not in set(frame["verdict"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "npz"}, "metric=npz: there is none of this name; did you mean 'nps'"),
        ({"by": "regoin"}, "by=regoin.*did you mean 'region'"),
        ({"against": "target"}, "target has no answers"),
        ({"against": "yesterday", "metric": "x"}, "metric=x.*against=yesterday"),
    ],
)
def test_values_of_parameters_are_checked_before_anything_runs(at_demo: Path, given: dict[str, str], said: str) -> None:
    from cxlib.reports.against import check_values

    with pytest.raises(UsageError, match=said):
        check_values(cx.load_params(at_demo), cx.Period.parse(PERIOD), given)
