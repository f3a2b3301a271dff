"""What a run answers about customers: frozen, replayed, no customer among it, and a reason where nothing is known."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.errors import RunError, UsageError
from cxlib.reports import bring, disclosure
from cxlib.reports.record import Run
from tests.conftest import copy_workspace

PERIOD = "2026-10"
EXACT = 1e-9  # sums of parts, in other orders

ANSWERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "drivers": lambda run: run.drivers("delivery"),
    "driver_evidence": lambda run: run.driver_evidence("delivery"),
    "root_causes": lambda run: run.root_causes("delivery", months=6),
    "partners": lambda run: run.partners("late_delivery_share", case_mix="region"),
    "rfm": lambda run: run.rfm(bins=3),
    "clusters": lambda run: run.clusters(k=3),
    "migration": lambda run: run.migration("plan"),
    "migration of groups": lambda run: run.migration(bins=3),
    "value_and_loyalty": lambda run: run.value_and_loyalty("nps"),
    "churn": lambda run: run.churn(),
    "retention": lambda run: run.retention(cohorts=4),
    "survival": lambda run: run.survival("plan", horizon=24),
    "hazard_ratios": lambda run: run.hazard_ratios("plan"),
    "reasons": lambda run: run.reasons(),
    "say_and_do": lambda run: run.say_and_do("nps", days=90),
    "repeat_purchase": lambda run: run.repeat_purchase(by="plan"),
    "lifetime_value": lambda run: run.lifetime_value("plan"),
    "calibration": lambda run: run.calibration(months=6),
    "worth_of_a_point": lambda run: run.worth_of_a_point(months=12),
    "keep": lambda run: run.keep("own", lambda: results.frame(metric="own", estimate=1.0, n=99.0), "v1"),
}


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


@pytest.mark.parametrize("question", ANSWERS)
def test_answers_are_kept_without_customers_and_replayed_for_ever(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask, folder = ANSWERS[question], tmp_path / "run"
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="05")
    frame = ask(recording)
    least = recording.context.workspace.min_n
    assert len(frame)
    assert (frame["period"] != "").all()
    assert (frame["definition"] != "").all()
    if question != "calibration":  # 400 customers leave two parameters of the model open, and it says so
        assert set(frame["status"]) != {results.UNDEFINED}
    assert not (frame["n"] < least).any()
    people = bring.orders(recording._inputs)["customer_id"]
    texts = pd.concat([frame[name] for name in results.TEXT])
    assert not texts.isin(set(people)).any()  # an id would be a level, a segment or a target
    small = dict.fromkeys(recording.metrics, least)
    assert disclosure.check(folder, small, least)["found"] == []
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # no workspace here: what is published is read from its folder alone
    replayed = ask(cx.open_run(PERIOD, run_folder=str(folder), notebook="05"))
    pd.testing.assert_frame_equal(replayed, frame)


def test_the_same_question_twice_has_the_same_answer_to_the_digit(at_demo: Path) -> None:
    for question in ("drivers", "partners", "lifetime_value", "worth_of_a_point"):
        pd.testing.assert_frame_equal(ANSWERS[question](cx.open_run(PERIOD)), ANSWERS[question](cx.open_run(PERIOD)))


def test_a_published_run_does_not_answer_what_it_did_not_keep(at_demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    cx.open_run(PERIOD, run_folder=str(folder), notebook="07").churn()
    (folder / "run.json").write_text("{}", encoding="utf-8")
    run = cx.open_run(PERIOD, run_folder=str(folder), notebook="07")
    assert len(run.churn()) == 4
    with pytest.raises(RunError, match="does not hold reasons"):
        run.reasons()


def test_the_parts_of_a_change_add_up(at_demo: Path) -> None:
    found = cx.open_run(PERIOD).root_causes("delivery", months=6)
    assert (found["at"] == "6 months").all()  # no row is taken for the month's own change
    changes = found[found["comparison"] == "difference"]
    whole = changes.loc[changes["segment"] == "all", "estimate"].item()
    for segment in ("leaf", "leaf x driver"):
        parts = changes[changes["segment"] == segment]
        unexplained = changes.loc[changes["level"] == "unexplained", "estimate"].item()
        rest = 0.0 if (parts["level"] == "unexplained").any() else unexplained
        assert parts["estimate"].sum() + rest == pytest.approx(whole, abs=EXACT)


def test_importance_adds_up_to_what_is_explained(at_demo: Path) -> None:
    found = cx.open_run(PERIOD).drivers("delivery")
    shares = found[found["metric"] == "importance"]
    assert shares["estimate"].sum() == pytest.approx(found.loc[found["metric"] == "r_squared", "estimate"].item())
    model = cx.open_run(PERIOD).model("delivery")
    assert set(shares["level"]) == {d.title for d in model.drivers.values()} | {"Region", "Plan", "Acquisition source"}


def test_churn_is_the_metrics_own(at_demo: Path) -> None:
    """The customer-time denominator and the metric are one definition, up to a change of plan within the month."""
    run = cx.open_run(PERIOD)
    churn = run.churn().set_index("level")["estimate"]
    metric = run.measure(["churn_rate", "churn_start_cohort"])
    rate = metric.loc[metric["metric"] == "churn_rate", "estimate"].item()
    cohort = metric.loc[metric["metric"] == "churn_start_cohort", "estimate"].item()
    assert churn["customer-time"] == pytest.approx(rate, rel=0.02)
    assert churn["start cohort"] == pytest.approx(cohort, rel=0.02)


def test_what_is_asked_wrongly_is_said(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: run.drivers("delivry"), "no model of drivers is called 'delivry'; did you mean 'delivery'?"),
        (lambda: run.drivers("delivery", months=0), "months 0 is no whole number from 1"),
        (lambda: run.drivers("delivery", months="3"), "months '3' is no whole number from 1"),
        (lambda: run.drivers(5), "a model of drivers is named by a text, not by 5"),
        (lambda: run.drivers("delivery", seed=-1), "seed -1 is no whole number from 0"),
        (lambda: run.survival(["plan"]), "a segment is named by a text, not by ['plan']"),
        (lambda: run.survival("plan", horizon=float("nan")), "horizon nan is no number of months"),
        (lambda: run.root_causes("delivery", against=None), "no period is called None"),
        (lambda: run.hazard_ratios(3), "3 is no name and no list of names"),
        (lambda: run.repeat_purchase(30), "windows is 30"),
        (lambda: run.partners("late_delivery_share", intended="x"), "intended 'x' is no number"),
        (lambda: run.keep("own", None), "kept as a function without arguments"),
        (lambda: run.keep("own", lambda: pd.DataFrame({"a": [1]})), "own is no result frame"),
        (lambda: run.drivers("delivery", method="lgm"), "'lgm' is no method"),
        (lambda: run.survival("plann"), "no segment is called 'plann'"),
        (lambda: run.root_causes("delivery", against="target"), "a target has no answers"),
        (lambda: run.say_and_do("npss"), "no metric is called 'npss'"),
        (lambda: run.say_and_do("csat_mean"), "'csat_mean' is a mean: what customers said is told by an NPS"),
        (lambda: run.keep("../own", results.empty), "cannot be kept under that name"),
        (lambda: run.survival("tenure"), "hang on the period"),
    ]
    for ask, words in wrong:
        with pytest.raises(UsageError) as caught:
            ask()
        assert words in str(caught.value)


@pytest.fixture(scope="session")
def answers_only(tmp_path_factory: pytest.TempPathFactory, demo_workspace: Path) -> Path:
    """A workspace whose source brings customers and answers, and nothing else."""
    from click.testing import CliRunner

    from cxlib.cli import main

    root = copy_workspace(tmp_path_factory.mktemp("answers") / "bare")
    for name in ("costs", "exposures", "identities", "interactions", "invitations", "orders", "subscriptions"):
        (root / "params" / "sources" / "demo" / f"{name}.sql").unlink()
    shutil.copytree(demo_workspace / "data" / "raw", root / "data" / "raw")
    result = CliRunner().invoke(main, ["--workspace", str(root), "ingest", "demo"])
    assert result.exit_code == 0, result.output
    return root


@pytest.mark.parametrize(
    "question", [name for name in ANSWERS if name not in ("migration", "keep", "partners", "drivers")]
)
def test_a_workspace_that_lacks_the_table_is_told_so(
    answers_only: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    monkeypatch.chdir(answers_only)
    frame = ANSWERS[question](cx.open_run(PERIOD))
    assert set(frame["status"]) == {results.UNDEFINED}
    assert frame["note"].str.contains("no table|does not tell").all()


def test_silence_is_no_loyalty(at_demo: Path) -> None:
    """Ends are recorded from November 2023 on: before, nobody is known to have left, which is not that nobody left."""
    run = cx.open_run("2023-01")
    for found in (run.churn(), run.retention(), run.survival(), run.hazard_ratios("plan"), run.reasons()):
        assert set(found["status"]) == {results.UNDEFINED}
        assert found["note"].str.contains("no subscription is known to have ended").all()
    moves = cx.open_run("2023-06").migration("plan", against="2023-01")
    gone = moves[moves["against"] == "gone"]
    assert set(gone["status"]) == {results.UNDEFINED}
    for found in (run.worth_of_a_point(), run.repeat_purchase(), run.rfm()):
        assert (found["status"] != results.OK).all()
    assert "begins before" in cx.open_run("2023-Q4").churn()["note"].item()


def _of_the_gone(moves: pd.DataFrame) -> set[str]:
    """Return the statuses of the shares of those gone; others are told in any case."""
    shares = moves[moves["metric"] == "transition"]
    gone = shares["against"] == "gone"
    assert (shares.loc[~gone, "status"] == results.OK).any()
    return set(shares.loc[gone, "status"])


def test_a_stray_early_end_does_not_make_silence_loyalty(at_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends are recorded from November 2023 on; one of 2015, typed in by hand, does not say that nobody left between."""
    stray = pd.DataFrame({"customer_id": ["stray"], "started_on": ["2014-02-01"], "ended_on": ["2015-03-03"]})
    joined = bring.joined
    monkeypatch.setattr(bring, "joined", lambda found: joined(pd.concat([found.astype(object), stray])))
    run = cx.open_run("2023-12")
    assert set(run.churn()["status"]) == {results.OK}
    assert "begins before ends of subscriptions were recorded" in cx.open_run("2023-Q4").churn()["note"].item()
    assert _of_the_gone(run.migration("plan", against="2023-06")) == {results.UNDEFINED}


def test_what_the_workspace_says_of_its_ends_holds_for_churn_and_moves(at_demo: Path) -> None:
    run = cx.open_run("2026-05")
    assert set(run.churn()["status"]) == {results.OK}
    assert results.UNDEFINED not in _of_the_gone(run.migration("plan", against="previous"))
    workspace = run.context.workspace.model_copy(update={"ends_recorded_since": "2026-06-01"})
    run._inputs.context = run.context.model_copy(update={"workspace": workspace})
    assert "begins before ends of subscriptions were recorded" in run.churn()["note"].item()
    assert _of_the_gone(run.migration("plan", against="previous")) == {results.UNDEFINED}


BROUGHT: dict[str, tuple[Callable[[Run], pd.DataFrame], dict[str, int]]] = {
    "survival": (lambda run: run.survival("plan"), {"spells": 1}),
    "migration": (lambda run: run.migration("plan"), {"levels": 2, "spells": 1}),
    "migration of groups": (lambda run: run.migration(bins=3), {"orders": 1, "spells": 1}),
}


@pytest.mark.parametrize("question", BROUGHT)
def test_what_an_answer_needs_is_brought_once(at_demo: Path, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    ask, expected = BROUGHT[question]
    brought: Counter[str] = Counter()

    def counting(name: str) -> Callable[..., pd.DataFrame]:
        bring_it = getattr(bring, name)

        def count(*given: object) -> pd.DataFrame:
            brought[name] += 1
            return bring_it(*given)

        return count

    for name in ("spells", "levels", "orders"):
        monkeypatch.setattr(bring, name, counting(name))
    assert (ask(cx.open_run(PERIOD))["status"] == results.OK).any()
    assert brought == expected


@pytest.mark.parametrize(("label", "many"), [("2026-W40", 14), ("2026-Q3", 1), ("2026-10", 3)])
def test_months_are_months_whatever_the_period(label: str, many: int) -> None:
    found = bring.reach(cx.Period.parse(label), 3)
    assert len(found) == many
    assert found[-1].label == label


def test_a_segment_that_nothing_is_known_of_gives_way_to_groups_by_purchases(
    at_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cx.open_run(PERIOD)
    unknown = run.context.segments["household_of_nobody"] = run.segments["plan"].model_copy(
        update={"id": "household_of_nobody", "title": "Household", "column": "referred_by", "otherwise": "none"}
    )
    monkeypatch.setattr("cxlib.reports.belonging._known", lambda *_: False)
    found = run.migration(unknown.id, bins=3)
    assert set(found["segment"]) == {"rfm"}
    assert found["note"].str.contains("groups by purchases instead").any()


def test_who_has_left_is_worth_nothing_more(at_demo: Path) -> None:
    """A customer whose subscriptions have all ended orders no more: the model does not know, the store does."""
    run = cx.open_run(PERIOD)
    found = run.lifetime_value("plan")
    ahead, past = (found[found["metric"] == name] for name in ("lifetime_value", "historic_value"))
    assert ahead["n"].tolist() == past["n"].tolist()  # what they were worth stands beside, of the same customers
    assert set(ahead["level"]) == {"all", "Basic", "Plus", "Pro"}
    here = bring.levels(run._inputs, run.period, [])
    bought = bring.orders(run._inputs)["customer_id"].unique()
    assert ahead.loc[ahead["level"] == "all", "n"].item() == len(set(bought) & set(here.index))
    assert ahead["note"].str.contains("who are known to have left are not in it").all()


def test_money_carries_its_evidence(at_demo: Path) -> None:
    found = cx.open_run(PERIOD).worth_of_a_point(months=12)
    total = found[found["metric"] == "worth_of_a_point"]
    assert total.loc[total["status"] == results.OK, "note"].str.startswith("evidence: spend ").all()
    controls = found[found["metric"].isin(["invoices looked at", "any invoices looked at"])]
    assert not controls["note"].str.contains("held up|not shown").any()  # a grade is of the link, not of its check


def test_a_year_of_worth_is_a_year_whatever_the_period(at_demo: Path) -> None:
    for label, periods in (("2026-Q3", "4"), ("2026-10", "12")):
        found = cx.open_run(label).worth_of_a_point(months=12)
        assert set(found.loc[found["metric"] == "worth_of_a_point", "at"]) == {periods}


def test_an_experiment_counts_once_it_is_over_and_says_then_what_it_says_later(at_demo: Path) -> None:
    """Its outcomes count until 30 June, as in its readout: not a day before, and nothing that comes in later."""
    assert not (cx.open_run("2026-05").driver_evidence("delivery")["at"] == "experimental").any()
    told = []
    for period in ("2026-06", "2026-10"):
        found = cx.open_run(period).driver_evidence("delivery")
        mine = found[(found["at"] == "experimental") & (found["metric"] == "importance")]
        assert "Proactive delivery updates, 2026-04-01 to 2026-06-30" in mine["note"].item()
        told.append(mine["estimate"].item())
    assert told[0] == told[1]
