"""What a run answers about streams, paths and moments: frozen without customers, replayed, and a reason where none."""

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
ANSWERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "streams": lambda run: run.streams(),
    "paths to an order": lambda run: run.paths("order", months=3),
    "paths to leaving": lambda run: run.paths("left"),
    "moments": lambda run: run.moments_of_truth(),
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
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="03")
    frame = ask(recording)
    least = recording.context.workspace.min_n
    assert results.OK in set(frame["status"])
    assert (frame["definition"] != "").all()
    assert not (frame["n"] < least).any()
    people = bring.orders(recording._inputs)["customer_id"]
    assert not pd.concat([frame[name] for name in results.TEXT]).isin(set(people)).any()
    assert disclosure.check(folder, dict.fromkeys(recording.metrics, least), least)["found"] == []
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # what is published is read from its folder alone
    pd.testing.assert_frame_equal(ask(cx.open_run(PERIOD, run_folder=str(folder), notebook="03")), frame)


def test_the_same_question_twice_has_the_same_answer_to_the_digit(at_demo: Path) -> None:
    once, again = (ANSWERS["paths to an order"](cx.open_run(PERIOD)) for _ in range(2))
    pd.testing.assert_frame_equal(once, again)


def test_touchpoints_go_by_their_titles(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    steps = set(run.paths("order", months=3)["level"])
    assert {"Website", "Order", "any touch"} <= steps
    assert not any("_" in step for step in steps)
    places = run.moments_of_truth()
    assert "Delivery" in set(places["level"])
    assert run.moments_of_truth(target=0.5)["definition"].iloc[0] != places["definition"].iloc[0]


def test_a_workspace_without_the_tables_says_so(at_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cx.open_run(PERIOD)
    store = run._inputs.store()
    there = {name: table for name, table in store.tables.items() if name in ("orders", "customers")}
    monkeypatch.setattr(type(run._inputs), "store", lambda _: SimpleNamespace(tables=there, run=store.run))
    for found, words in ((run.paths("left"), "no subscriptions"), (run.moments_of_truth(), "no answers")):
        assert found["status"].tolist() == [results.UNDEFINED]
        assert words in found["note"].iloc[0]
    assert results.OK in set(run.streams()["status"])  # orders alone are a log, too
    assert not run.paths("order", months=3).empty
    there.clear()
    assert run.streams(months=3)["status"].tolist() == [results.UNDEFINED]


def test_questions_that_make_no_sense_are_refused(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    with pytest.raises(UsageError, match="no path is told to end in 'nirvana'"):
        run.paths("nirvana")
    with pytest.raises(UsageError, match="months"):
        run.streams(months=0)
    with pytest.raises(UsageError, match="reach"):
        run.streams(reach=0)
    with pytest.raises(UsageError, match="window"):
        run.moments_of_truth(window=-3)
