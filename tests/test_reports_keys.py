"""Under what an answer about customers is kept: another question has another key, the same one keeps its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cxlib as cx
from cxlib.params.models import Metric
from cxlib.reports.inputs import Inputs
from cxlib.reports.record import Run

PERIOD = "2026-10"
EXPERIMENT = "proactive_delivery_updates"  # of the driver "late" of the model "delivery"

Question = Callable[[Run], object]

ENDS: dict[str, Question] = {
    "churn": lambda run: run.churn(),
    "migration": lambda run: run.migration("plan"),
    "retention": lambda run: run.retention(),
    "survival": lambda run: run.survival("plan"),
    "hazard_ratios": lambda run: run.hazard_ratios(),
    "reasons": lambda run: run.reasons(),
}
METRICS: dict[str, tuple[str, Question]] = {
    "drivers": ("csat_mean", lambda run: run.drivers("delivery")),
    "driver_evidence": ("csat_mean", lambda run: run.driver_evidence("delivery")),
    "root_causes": ("csat_mean", lambda run: run.root_causes("delivery")),
    "partners": ("late_delivery_share", lambda run: run.partners("late_delivery_share")),
    "value_and_loyalty": ("nps", lambda run: run.value_and_loyalty("nps")),
    "say_and_do": ("nps", lambda run: run.say_and_do("nps")),
    "worth_of_a_point": ("csat_mean", lambda run: run.worth_of_a_point("csat_mean")),
}


@pytest.fixture
def run(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose answers are the words that they would be kept under."""
    monkeypatch.chdir(demo_workspace)
    monkeypatch.setattr(Inputs, "answer", lambda _self, name, parts, _make: [name, *parts])
    return cx.open_run(PERIOD)


@pytest.mark.parametrize("question", ENDS)
def test_since_when_ends_are_recorded_is_part_of_the_question(run: Run, question: str) -> None:
    ask, about = ENDS[question], run.context
    before = ask(run)
    assert ask(run) == before
    workspace = about.workspace.model_copy(update={"ends_recorded_since": "2025-01-01"})
    run._inputs.context = about.model_copy(update={"workspace": workspace})
    assert ask(run) != before


@pytest.mark.parametrize("question", METRICS)
def test_a_metric_is_asked_for_by_the_hash_that_the_run_holds(run: Run, question: str) -> None:
    """A replay has the hash that was frozen, whatever the code makes of the definition by then."""
    name, ask = METRICS[question]
    before = ask(run)
    own = run.context.definitions[name]
    run.context.definitions[name] = "of another version"
    assert ask(run) == ["of another version" if part == own else part for part in before]
    assert ask(run) != before


def test_another_title_is_no_other_question(run: Run) -> None:
    nps, csat = (run.metrics[name] for name in ("nps", "csat_mean"))
    asks: list[tuple[Callable[[Metric], object], Metric]] = [
        (run.value_and_loyalty, nps), (run.say_and_do, nps), (run.worth_of_a_point, csat),
    ]  # fmt: skip
    for ask, metric in asks:
        assert ask(metric.model_copy(update={"title": "Another title"})) == ask(metric)
        assert ask(metric.model_copy(update={"filter": "score > 1"})) != ask(metric)


def test_the_plan_of_a_drivers_experiment_is_part_of_its_evidence(run: Run) -> None:
    def ask() -> tuple[object, object]:
        return run.driver_evidence("delivery"), run.driver_evidence("support")

    before, plans = ask(), run.context.experiments
    plans[EXPERIMENT] = plans[EXPERIMENT].model_copy(update={"stop": "2026-05-31"})
    after = ask()
    assert after[0] != before[0]
    assert after[1] == before[1]  # no driver of that model is of this experiment
