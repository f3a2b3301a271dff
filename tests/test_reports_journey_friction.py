"""What a run says of causes and frictions: frozen without customers, replayed, and a reason where nothing is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.analysis.journeys import Limits
from cxlib.errors import UsageError
from cxlib.reports import bring, disclosure
from cxlib.reports.record import Run

PERIOD = "2026-10"
ANSWERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "causes": lambda run: run.causes("year_ago"),
    "friction": lambda run: run.friction(months=24, after=12),
    "friction, other limits": lambda run: run.friction("nps", by="region", limits=Limits(wait_seconds=60)),
}


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


@pytest.mark.parametrize("question", ANSWERS)
def test_answers_are_kept_without_customers_and_replayed(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask, folder = ANSWERS[question], tmp_path / "run"
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="03")
    frame = ask(recording)
    least = recording.context.workspace.min_n
    assert (frame["status"] == results.OK).any()
    assert not (frame["n"] < least).any()
    people = set(bring.orders(recording._inputs)["customer_id"])
    assert not pd.concat([frame[name] for name in results.TEXT]).isin(people).any()
    assert disclosure.check(folder, dict.fromkeys(recording.metrics, least), least)["found"] == []
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # no workspace here: what is published is read from its folder alone
    pd.testing.assert_frame_equal(ask(cx.open_run(PERIOD, run_folder=str(folder), notebook="03")), frame)


def test_the_same_again_and_an_experiment_on_a_cause_is_named(at_demo: Path) -> None:
    found = cx.open_run(PERIOD).friction()
    pd.testing.assert_frame_equal(cx.open_run(PERIOD).friction(), found)
    late = found[(found["level"] == "Delivered after the promise") & (found["metric"] == "effect")]
    assert late["note"].tolist() == ["an experiment on it: Proactive delivery updates"]
    assert (found.loc[found["metric"] == "effect", "method"].str.startswith("association")).all()


def test_what_is_asked_wrongly_is_said(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    with pytest.raises(UsageError, match="months 0 is no whole number"):
        run.friction(months=0)
    with pytest.raises(UsageError, match="no segment is called 'regoin'"):
        run.friction(by="regoin")
    with pytest.raises(UsageError, match="no period is called None"):
        run.causes(against=None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="limits is a int, not Limits"):
        run.causes(limits=300)  # type: ignore[arg-type]
