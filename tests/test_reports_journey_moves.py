"""Moves and funnels of a run: against pandas on the demo company, frozen without small groups, and reasons for none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.errors import UsageError
from cxlib.reports import disclosure, journey_moves
from cxlib.reports.record import Run
from tests import quick_workspace

PERIOD = "2026-10"
ANSWERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "transitions": lambda run: run.transitions(months=6, gap=14),
    "buying": lambda run: run.funnel(),
    "journey": lambda run: run.funnel("journey", window=90, order="any"),
    "own": lambda run: run.funnel({"Asked": ["order"], "Said": ["rated:delivery"]}, order="strict"),
}


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


def log_of(run: Run) -> pd.DataFrame:
    """Return all events of the last twelve months, in pandas."""
    tables, parts = run._inputs.store().tables, []
    for name, time, kind in (("interactions", "started_at", None), ("orders", "ordered_at", "order"),
                             ("responses", "responded_at", "answer"), ("subscriptions", "started_on", "joined"),
                             ("subscriptions", "ended_on", "left")):  # fmt: skip
        rows = run._inputs.store().run(tables[name])
        about = rows["touchpoint"].where(rows["touchpoint"] == "survey", "rated:" + rows["touchpoint"]) if (
            kind == "answer"
        ) else kind or rows["touchpoint"]  # fmt: skip
        parts.append(pd.DataFrame({"who": rows["customer_id"], "when": pd.to_datetime(rows[time]), "where": about}))
    found = pd.concat(parts).dropna(subset=["who", "when"])
    start, end = pd.Timestamp("2025-10-31 23:00"), pd.Timestamp("2026-10-31 23:00")
    return found[(found["when"] >= start) & (found["when"] < end)].sort_values(["who", "when"])


def test_moves_are_those_of_plain_pandas(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    found = run.transitions()
    log = log_of(run)
    log = log[~log.duplicated(["who", "when"], keep=False)]  # where nothing ties, the order is sure
    later = log.groupby("who")[["when", "where"]].shift(-1)
    own = log[(log["where"] == "website") & (later["when"] - log["when"] <= pd.Timedelta(days=30))]
    steps = later.loc[own.index, "where"][lambda to: to == "checkout"]
    counts = found[(found["metric"] == "moves") & (found["level"] == "Website")].set_index("against")
    told = counts.loc["Online checkout"]
    assert told["estimate"] == pytest.approx(len(steps), rel=0.02)  # events of one moment were left out above
    assert "website" not in set(found["level"])  # people read titles
    shares = found[(found["metric"] == "transition") & (found["status"] == "ok")]
    assert shares.groupby("level")["estimate"].sum().to_numpy() == pytest.approx(1.0, abs=1e-12)


def test_the_funnel_is_that_of_plain_pandas(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    found, log = run.funnel(), log_of(run)
    first = log[log["where"] == "website"].groupby("who")["when"].min()
    end = max(moment for name, moment in run._inputs.store().latest().items() if name in journey_moves._TIMED)
    first = first[first + pd.Timedelta(days=30) <= min(pd.Timestamp(end), pd.Timestamp("2026-10-31 23:00"))]
    last, people = first, [len(first)]
    for stage in ("checkout", "payment", "order"):
        own = log[log["where"] == stage].merge(last.rename("before"), left_on="who", right_index=True)
        own = own[own["when"] >= own["before"]].groupby("who")["when"].min()
        last = own[own <= first.reindex(own.index) + pd.Timedelta(days=30)]
        people.append(len(last))
    told = found[found["metric"] == "customers"]
    assert told["estimate"].tolist() == people
    assert told["level"].tolist() == ["Website", "Online checkout", "Payment", "Order"]


@pytest.mark.parametrize("question", ANSWERS)
def test_answers_are_frozen_without_small_groups_and_replayed(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask, folder = ANSWERS[question], tmp_path / "run"
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="03")
    frame, least = ask(recording), recording.context.workspace.min_n
    assert (frame["status"] == results.OK).any()
    assert not (frame["n"] < least).any()
    assert disclosure.check(folder, dict.fromkeys(recording.metrics, least), least)["found"] == []
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    pd.testing.assert_frame_equal(ask(cx.open_run(PERIOD, run_folder=str(folder), notebook="03")), frame)


def test_names_that_are_none_are_refused(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    for stages, words in (("bying", "did you mean 'buying'"), (["webste", "order"], "did you mean 'website'"),
                          (["rated:delivry", "order"], "no touchpoint")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            run.funnel(stages)
    with pytest.raises(UsageError, match="did you mean 'open'"):
        run.funnel(order="opn")
    for ask in (lambda: run.funnel(window=0), lambda: run.transitions(gap=0), lambda: run.transitions(months=0)):
        with pytest.raises(UsageError, match="no whole number"):
            ask()


def test_a_workspace_of_answers_alone_has_no_funnel_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(quick_workspace.workspace(tmp_path, ("2026-08", "2026-09")))
    run = cx.open_run("2026-09", pack="quick")
    stages, moves = run.funnel(), run.transitions()
    assert stages["status"].tolist() == [results.UNDEFINED]
    assert stages["note"].item().startswith("a funnel needs two stages, and nothing is recorded of website")
    assert set(moves["level"]) <= {"Survey", "all"}


def test_events_of_one_moment_stand_in_the_order_of_the_taxonomy(at_demo: Path) -> None:
    """A shop that notes order, checkout and payment with one time has them in the order in which people do them."""
    places = journey_moves._places(cx.open_run(PERIOD)._inputs)
    order = ["website", "checkout", "payment", "order", "delivery", "billing"]
    assert sorted(order, key=places.__getitem__) == order
    assert places["order"] == places["joined"]
