"""What a run answers about experiments: planted truth, verdicts only when they are due, nobody told apart, replayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import cxlib as cx
from cxlib import results
from cxlib.analysis import experiments
from cxlib.cli import main
from cxlib.errors import RunError, UsageError
from cxlib.params.models import Experiment
from cxlib.params.trials import Covariates
from cxlib.reports import disclosure
from cxlib.reports.inputs import Frozen, Inputs
from cxlib.reports.record import Run
from tests.conftest import FOLDER, copy_workspace

UPDATES, LAYOUT = "proactive_delivery_updates", "new_invoice_layout"
AT = {UPDATES: "updates", LAYOUT: "new_layout"}
PERIOD = "2026-10"
PLANTED = 0.24  # on the metric csat_mean, docs/demo.md part 4
CUSTOMERS = 4000  # enough that the planted effect is found, few enough to be made in some seconds
QUESTIONS = (
    "design", "health", "effects", "guardrails", "estimators", "answering", "subgroups", "looks", "decision",
)  # fmt: skip
LOOKS = ("2026-04-30", "2026-05-31")
ALONE: dict[str, Any] = {"metrics": (), "guardrails": (), "margins": {}}  # the outcome that decides, and no other
Asked = Callable[..., Run]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo company whose experiments are large enough to be read."""
    root = copy_workspace(tmp_path_factory.mktemp("trials") / FOLDER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        done = CliRunner().invoke(main, ["demo", "--customers", str(CUSTOMERS)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return root


@pytest.fixture(scope="module")
def asked(company: Path) -> Asked:
    """`asked(UPDATES, "2026-05", looks=...)`: a run about an experiment whose plan says something else."""
    whole: dict[str, Run] = {}

    def ask(
        name: str = UPDATES, period: str = PERIOD, *, min_n: int = 0, folder: Path | None = None, **plan: object
    ) -> Run:
        if period not in whole:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(company)
                whole[period] = cx.open_run(period, pack="readout", experiment=UPDATES)
                whole[period].tables  # noqa: B018, opened while we stand in the workspace
        first = whole[period]
        about = first.context
        said = about.experiments[name].model_copy(update=plan)
        more = {"experiments": about.experiments | {name: said}, "experiment": name}
        more |= {"workspace": about.workspace.model_copy(update={"min_n": min_n})} if min_n else {}
        context = about.model_copy(update=more)
        frozen = Frozen(folder, "readout")
        frozen.keep_context(context)
        # What was brought for one plan serves another of the same days and arms: the tests ask the store once.
        return Run(context, Inputs(context, frozen, first._inputs.store, _brought=first._inputs._brought))

    return ask


def difference(run: Run, metric: str = "csat_mean", question: str = "effects") -> pd.Series:
    """Return the row of one metric's difference in the only treatment."""
    found = getattr(run, question)()
    (row,) = found[(found["metric"] == metric) & (found["comparison"] == "difference") & (found["at"] != "")].iloc
    return row


def decided(run: Run) -> experiments.ArmDecision:
    """Return the call on the only treatment."""
    (one,) = experiments.read_decision(run.decision()).arms
    return one


@pytest.mark.parametrize("name", [UPDATES, LAYOUT])
def test_every_question_has_an_answer_that_is_kept_and_replayed_for_ever(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "run"
    recording = asked(name, folder=folder)
    frames = {question: getattr(recording, question)() for question in QUESTIONS}
    least = recording.context.workspace.min_n
    again = asked(name)
    people = set(again.frame(again.tables["customers"].select("customer_id").distinct())["customer_id"])
    for question, frame in frames.items():
        assert tuple(frame.columns) == results.COLUMNS
        assert len(frame)
        assert (frame["period"] == PERIOD).all()
        assert (frame["definition"] != "").all()
        assert not (frame["n"] < least).any()
        assert (set(frame["status"]) == {results.UNDEFINED}) == (question == "looks")
        assert not pd.concat([frame[column] for column in results.TEXT]).isin(people).any()
    assert disclosure.check(folder, dict.fromkeys(recording.metrics, least), least)["found"] == []
    for question, frame in frames.items():
        pd.testing.assert_frame_equal(getattr(again, question)(), frame)  # made twice, the same to the digit
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # no workspace here: what is published is read from its folder alone
    replayed = cx.open_run(PERIOD, run_folder=str(folder), notebook="readout")
    for question, frame in frames.items():
        pd.testing.assert_frame_equal(getattr(replayed, question)(), frame)
    with pytest.raises(RunError, match="does not hold health"):
        replayed.health(LAYOUT if name == UPDATES else UPDATES)


def test_the_planted_effect_is_found_and_none_is_found_where_none_is(asked: Asked) -> None:
    """docs/demo.md, part 4: +0.24 on the metric; the other experiment moves nothing."""
    run = asked()
    row = difference(run)
    assert row["conf_low"] < PLANTED < row["conf_high"]
    assert row["conf_low"] > 0
    assert row["verdict"] == "moved"
    assert decided(run).call in ("ship", "no call")
    # With the guardrail that so few customers cannot clear left out the rules say ship.
    alone = asked(guardrails=("response_rate", "orders_per_customer"))
    assert decided(alone).call == "ship"
    assert decided(alone).headline.startswith("Ship updates: Satisfaction")
    nothing = asked(LAYOUT)
    row = difference(nothing)
    assert row["conf_low"] < 0 < row["conf_high"]
    assert row["verdict"] != "moved"
    assert decided(nothing).call == "no call"
    assert set(nothing.health()["at"]) == {"passes"}


def test_each_outcome_has_its_arms_and_the_primary_one_is_judged_by_itself(asked: Asked) -> None:
    run = asked()
    found = run.effects()
    plan = run.experiment()
    assert list(dict.fromkeys(found["metric"])) == list(plan.outcomes)
    levels = found[found["comparison"] == "level"]
    assert set(levels["at"]) == set(plan.arms)
    differences = found[found["comparison"] == "difference"].set_index("metric")
    assert differences.loc["csat_mean", "p_value"] == differences.loc["csat_mean", "p_adjusted"]
    others = differences.drop("csat_mean")
    assert (others["p_adjusted"] >= others["p_value"]).all()
    assert set(found.loc[found["comparison"] == "relative", "metric"]) == set(plan.outcomes) - {"nps"}
    people = {
        arm: levels.loc[(levels["metric"] == "complaint_rate") & (levels["at"] == arm), "n"].item() for arm in plan.arms
    }
    assert differences.loc["complaint_rate", "n"] == sum(people.values())  # a rate counts customers, not complaints


def test_methods_stand_side_by_side_and_lead_with_the_registered_one(asked: Asked) -> None:
    run = asked()
    rows = run.estimators()
    assert list(rows["method"]) == ["Welch, cluster-robust", "CUPED, Welch", "post-stratified, Welch"]
    assert rows["estimate"].iloc[1] == difference(run)["estimate"]
    plain = asked(covariates=Covariates())
    assert list(plain.estimators()["method"]) == ["Welch, cluster-robust"]
    assert difference(plain)["estimate"] == rows["estimate"].iloc[0]


def test_who_answered_is_bounded_and_told(asked: Asked) -> None:
    found = asked().answering()
    bounds = found[found["metric"] == "csat_mean_bounds"].set_index("at")
    row = difference(asked())
    assert bounds.loc["lower", "estimate"] <= row["estimate"] <= bounds.loc["upper", "estimate"]
    reading = found[found["metric"] == "reading"]
    assert reading["level"].tolist() == ["updates"]
    assert "who would answer either way" in reading["note"].item()


def test_groups_are_drawn_together_and_tested_as_one(asked: Asked) -> None:
    found = asked().subgroups()
    assert (found["at"] == "updates").all()
    for segment in ("region", "acquisition_source"):
        mine = found[found["segment"] == segment]
        against = mine[mine["against"] == "control"]
        raw = against[against["metric"] == "csat_mean"].set_index("level")["estimate"]
        shrunk = against[against["metric"] == "csat_mean_shrunk"].set_index("level")["estimate"]
        assert set(raw.index) == set(shrunk.index)
        assert shrunk.max() - shrunk.min() < raw.max() - raw.min()
        assert len(mine[mine["metric"] == "interaction"]) == 1


def test_a_plan_that_was_written_after_the_start_ships_nothing(asked: Asked) -> None:
    one = decided(asked(registered_on="2026-04-02", guardrails=("response_rate", "orders_per_customer")))
    assert one.call == "no call"
    assert "not pre-registered (it would have been: ship" in one.headline
    assert any("written down on 2026-04-02, after the start on 2026-04-01" in reason for reason in one.reasons)


def test_a_failed_check_withholds_the_verdict(asked: Asked) -> None:
    run = asked(variants={"control": 0.9, "updates": 0.1})
    first = run.health().iloc[0]
    assert (first["metric"], first["at"]) == ("sample_ratio_mismatch", "fails")
    one = decided(run)
    assert (one.call, one.headline) == ("no call", "No call on updates: a health check failed.")


@pytest.mark.parametrize(
    ("period", "plan", "reason"),
    [
        ("2026-02", {}, "it starts on 2026-04-01, after the end of 2026-02"),
        (PERIOD, {"id": "never_seen"}, "nobody was exposed to Proactive delivery updates"),
        (
            PERIOD,
            {"unit": "account_id"},
            "its units are drawn by account_id: only experiments that draw customers can be read yet",
        ),
    ],
)
def test_without_anybody_there_are_reasons_and_no_number(
    asked: Asked, period: str, plan: dict[str, str], reason: str
) -> None:
    run = asked(UPDATES, period, looks=LOOKS, **plan)
    for question in set(QUESTIONS) - {"design", "decision"}:
        frame = getattr(run, question)()
        assert set(frame["status"]) == {results.UNDEFINED}, question
        assert set(frame["note"]) <= {reason, "the first registered look is on 2026-04-30"}, question
    assert decided(run).headline == f"No call on updates: {reason}."
    assert run.decision()["status"].item() == results.UNDEFINED


def test_a_workspace_without_exposures_is_told_so(
    demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_workspace(tmp_path_factory.mktemp("bare") / "bare")
    (root / "params" / "sources" / "demo" / "exposures.sql").unlink()
    raw = demo_workspace / "data" / "raw" / "demo"
    done = CliRunner().invoke(main, ["-w", str(root), "ingest", "demo", "--from", str(raw)])
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(root)
    run = cx.open_run(PERIOD, pack="readout", experiment=UPDATES)
    for question in ("health", "effects", "guardrails", "estimators", "answering", "subgroups"):
        frame = getattr(run, question)()
        assert set(frame["status"]) == {results.UNDEFINED}
        assert set(frame["note"]) == {"this workspace has no table 'exposures'"}, question
    assert decided(run).headline == "No call on updates: this workspace has no table 'exposures'."
    assert set(run.design()["status"]) != {results.UNDEFINED}  # it is sized from the past, which needs no exposures


@pytest.mark.parametrize("variants", [{"control": 0.3, "updates": 0.3, "third": 0.4}, {"none": 0.3, "updates": 0.7}])
def test_an_arm_without_anybody_is_undefined_and_withholds_the_verdict(
    asked: Asked, variants: dict[str, float]
) -> None:
    run = asked(variants=variants, looks=LOOKS[1:], **ALONE)
    empty = {"third", "none"} & set(variants)
    for question in set(QUESTIONS) - {"design"}:
        frame = getattr(run, question)()
        mine = frame[frame["at"].isin(empty) | (frame["against"].isin(empty))]
        assert (mine["status"] != results.OK).all() or question == "decision"
    assert experiments.read_decision(run.decision()).call == "no call"


def test_before_the_end_there_is_no_verdict(asked: Asked) -> None:
    run = asked(UPDATES, "2026-05", metrics=("nps",), guardrails=(), margins={})
    one = decided(run)
    assert (one.call, one.headline) == ("no call", "No call on updates: the experiment is still running.")
    assert run.decision()["verdict"].item() == ""
    found = run.effects()
    known = found[(found["comparison"] == "difference") & (found["status"] == results.OK)]
    assert set(known["verdict"]) == {""}
    assert known["note"].str.startswith("continues until 2026-06-30").all()
    assert "sequential multinomial" in run.health().set_index("metric").loc["sample_ratio_mismatch", "method"]
    assert "still running" not in decided(asked(UPDATES, "2026-06", **ALONE)).headline


def test_an_experiment_whose_window_is_not_over_is_not_over(asked: Asked) -> None:
    assert "still running" in decided(asked(UPDATES, "2026-06", window="30 days", **ALONE)).headline
    assert "still running" not in decided(asked(UPDATES, "2026-07", window="30 days", **ALONE)).headline


def test_looks_have_a_row_each_and_wider_limits_early(asked: Asked) -> None:
    rows = asked(looks=LOOKS, planned_units=None).looks()
    assert rows["level"].tolist() == ["1", "2", "3"]
    assert rows["estimate"].iloc[0] == difference(asked(UPDATES, "2026-04", **ALONE))["estimate"]
    widths = (rows["conf_high"] - rows["conf_low"]).to_numpy() / rows["std_error"].to_numpy()
    assert widths[0] > widths[1] > widths[2] > 2 * 1.96
    assert (rows["p_adjusted"] >= rows["p_value"] * (1 - 1e-9)).all()


def test_what_looks_say_is_said_everywhere(asked: Asked) -> None:
    """The repeated p-value and limits are those of the effect and the decision; Holm puts no single one back."""
    run = asked(looks=LOOKS)
    last, row, call = run.looks().iloc[-1], difference(run), run.decision().iloc[0]
    for name in ("estimate", "conf_low", "conf_high", "p_adjusted", "p_value"):
        assert row[name] == pytest.approx(last[name], rel=1e-9)
        assert call[name] == pytest.approx(last[name], rel=1e-9)
    assert last["p_adjusted"] != difference(asked())["p_adjusted"]
    early = asked(UPDATES, "2026-04", looks=LOOKS, **ALONE)
    row = difference(early)
    assert row["p_adjusted"] > 10 * row["p_value"]
    assert (row["verdict"], row["note"]) == ("", "continues until 2026-06-30: no verdict before the end")
    assert "3 looks were registered; none has crossed its limit so far." in decided(early).reasons[0]
    waiting = asked(UPDATES, "2026-04", looks=("2026-05-15",), **ALONE)
    assert waiting.looks()["note"].item() == "the first registered look is on 2026-05-15"
    assert "still running" in decided(waiting).headline
    levels = early.effects()
    assert levels.loc[levels["metric"] == "csat_mean", "n"].max() == row["n"]


def test_a_look_that_crosses_its_limit_ends_the_experiment(asked: Asked) -> None:
    """With a laxer alpha the first look is enough: it is decided before the end, on the last look there is."""
    how = {"looks": LOOKS, "alpha": 0.2, "planned_units": None, **ALONE}
    stopped = asked(UPDATES, "2026-05", **how)
    rows = stopped.looks()
    assert rows["verdict"].tolist() == ["moved", ""]
    assert rows["note"].tolist() == ["stop: there is an effect", "after the stop"]
    row, one = difference(stopped), decided(stopped)
    assert row["verdict"] == "moved"
    assert row["conf_low"] == rows["conf_low"].iloc[-1]
    assert "still running" not in one.headline
    assert not any("planned sample" in reason for reason in one.reasons)  # it ended early, as it may
    assert difference(asked(UPDATES, "2026-04", **how))["verdict"] == "moved"


def test_looks_without_news_are_left_out_of_the_limits(asked: Asked) -> None:
    """On the second day nobody has answered yet, so nothing was looked at."""
    run = asked(looks=("2026-04-02", "2026-05-31"), planned_units=None)
    rows = run.looks()
    assert rows["level"].tolist() == ["1", "2", "3"]
    assert rows["status"].iloc[0] != results.OK
    kept = asked(looks=("2026-05-31",), planned_units=None).looks()
    numbers = ["estimate", "conf_low", "conf_high", "p_value", "p_adjusted"]
    pd.testing.assert_frame_equal(rows[numbers].iloc[1:].reset_index(drop=True), kept[numbers])


def test_at_any_time_the_limits_are_wider_and_it_continues_until_it_can_tell(asked: Asked) -> None:
    run, once = asked(UPDATES, "2026-05", any_time=True, **ALONE), asked(UPDATES, "2026-05", **ALONE)
    row, single = difference(run), difference(once)
    assert row["estimate"] == single["estimate"]
    assert row["conf_high"] - row["conf_low"] > 1.3 * (single["conf_high"] - single["conf_low"])
    assert "always valid" in row["method"]
    assert (row["verdict"], row["note"]) == ("", "continues until 2026-06-30: no verdict before the end")
    assert "could not have been seen" not in decided(run).headline
    assert "still running" in decided(run).headline
    # All methods and the relative effect hold at any time, too: none tempts to stop.
    assert run.estimators()["method"].str.contains("always valid").all()
    found = run.effects()
    assert (
        "always valid"
        in found.loc[(found["metric"] == "csat_mean") & (found["comparison"] == "relative"), "method"].item()
    )
    # What can be told is told before the end: an effect of two points is ruled out.
    small = asked(UPDATES, "2026-05", any_time=True, smallest_effect_that_matters=2.0, **ALONE)
    assert decided(small).call == "do not ship"


def test_where_limits_hold_at_any_time_their_shape_is_fixed_before_the_start(asked: Asked) -> None:
    """Tuned to how many have come by now they would be narrow at every look, and hold at none."""
    methods = {
        difference(asked(UPDATES, period, any_time=True, planned_units=None, **ALONE))["method"]
        for period in ("2026-04", "2026-05", "2026-06")
    }
    assert len(methods) == 1


def test_quantiles_are_compared_and_guarded(asked: Asked) -> None:
    run = asked(primary_metric="wait_p50", metrics=(), guardrails=("wait_p90",), margins={"wait_p90": 200.0})
    row = difference(run, "wait_p50")
    assert row["status"] == results.OK
    assert row["method"].endswith("robust to units")  # customers who wait twice
    guard = difference(run, "wait_p90", "guardrails")
    assert guard["note"] == "not worse by more than 200 seconds (registered margin)"
    assert run.estimators()["note"].item() == "a quantile has one method"
    for plan in ({"looks": LOOKS}, {"any_time": True}):
        early = asked(UPDATES, "2026-05", primary_metric="wait_p50", metrics=(), guardrails=(), margins={}, **plan)
        assert "still running" in decided(early).headline
    assert "a quantile" in asked(primary_metric="wait_p50", looks=LOOKS).looks()["note"].item()


def test_values_one_by_one_are_those_that_are_counted(asked: Asked) -> None:
    run = asked()
    tried, metric = run._tried(""), run.metrics["wait_p50"]
    each, counts = tried.each_value(metric), tried.values(metric).set_index(["arm", "value"])
    often = each.groupby(["arm", "value"]).size().astype(float)
    pd.testing.assert_series_equal(often, counts["rows"].sort_index(), check_names=False)
    people = each.groupby("arm")["customer_id"].nunique()
    assert people.to_dict() == counts["clusters"].groupby("arm").first().to_dict()
    with pytest.raises(UsageError, match="is no quantile"):
        tried.each_value(run.metrics["csat_mean"])


def test_small_arms_are_hidden_everywhere(asked: Asked, tmp_path: Path) -> None:
    run = asked(min_n=300, looks=LOOKS, folder=tmp_path)
    for question in QUESTIONS:
        frame = getattr(run, question)()
        assert not (frame["n"] < 300).any(), question
    found = run.effects()
    assert set(found.loc[found["metric"] == "csat_mean", "status"]) == {results.SUPPRESSED}
    assert set(run.looks()["status"]) == {results.SUPPRESSED}
    answering = run.answering()
    told = answering[answering["metric"].isin(["csat_mean_bounds", "csat_mean_reweighted", "csat_mean_answered"])]
    assert (told["status"] != results.OK).all()
    assert "bounds on the effect" in answering.loc[answering["metric"] == "reading", "note"].item()
    balanced = run.health()
    assert not ((balanced["level"] == "csat_mean") & balanced["note"].str.contains("standard deviations")).any()
    assert decided(run).call == "no call"
    assert disclosure.check(tmp_path, dict.fromkeys(run.metrics, 300), 300)["found"] == []


def test_another_plan_is_another_answer(asked: Asked, tmp_path: Path) -> None:
    """All that makes an answer is in its name: what was frozen for one plan is never taken for another."""

    def kept(**plan: object) -> set[str]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        run = asked(folder=folder, **plan)
        run.guardrails()
        return {path.name for path in (folder / "inputs" / "readout").glob("guardrails.*")}

    first = kept()
    assert len(first) == 1
    assert first == kept()
    for plan in (
        {"margins": {"response_rate": 0.05}}, {"alpha": 0.1}, {"looks": LOOKS}, {"segments": ("region",)},
        {"any_time": True}, {"winsorise": 0.99}, {"covariates": Covariates()}, {"registered_on": "2026-04-02"},
    ):  # fmt: skip
        assert kept(**plan).isdisjoint(first), plan


def test_another_definition_is_another_answer(asked: Asked) -> None:
    def key(run: Run) -> list[str]:
        return run._tried("").key("csat_mean")

    first, other, cut = asked(), asked(), asked()
    assert key(first) == key(other)
    changed = first.metrics["csat_mean"].model_copy(update={"filter": "instrument == 'csat' and score >= 2"})
    about = other.context
    metrics = {"metrics": about.metrics | {"csat_mean": changed}, "definitions": about.definitions | {"csat_mean": "x"}}
    other._inputs.context = other.context = about.model_copy(update=metrics)
    segment = first.segments["region"].model_copy(update={"otherwise": "elsewhere"})
    segments = cut.context.segments | {"region": segment}
    cut._inputs.context = cut.context = cut.context.model_copy(update={"segments": segments})
    assert len({tuple(key(run)) for run in (first, other, cut)}) == 3


def test_what_is_asked_wrongly_is_said(asked: Asked) -> None:
    run = asked()
    assert isinstance(run.experiment(), Experiment)
    assert run.experiment(LAYOUT).id == LAYOUT
    with pytest.raises(UsageError, match="no experiment is called 'new_invoice'"):
        run.effects("new_invoice")
    run.context = run.context.model_copy(update={"experiment": ""})
    with pytest.raises(UsageError, match="this report is not about an experiment"):
        run.health()
