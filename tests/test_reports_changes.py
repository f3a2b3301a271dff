"""Registered changes: when they are due, by which design they are read, and whether that finds what was planted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

import cxlib as cx
from cxlib import results
from cxlib.data import demo
from cxlib.errors import RunError
from cxlib.params.models import Change
from cxlib.periods import Period
from cxlib.reports import disclosure, studied
from cxlib.reports.changing_designs import Designs
from cxlib.reports.inputs import Inputs
from cxlib.reports.record import Run
from cxlib.reports.studied import Studied

PERIOD = "2026-10"
CHAT, SOLVED = "chat_rollout", "first_contact_resolution"
PLANTED = 0.07  # docs/demo.md, 5


def change(**keys: Any) -> Change:
    given = {"id": "a", "title": "A change", "date": "2026-01-01", "what": "something", "metrics": ("csat_mean",)}
    return Change.model_validate(given | keys)


# When a change is due


@pytest.mark.parametrize(
    ("start", "months", "end", "again"),
    [
        ("2026-07-01", 4, "2026-11-01", "2027-11-01"),
        ("2026-01-31", 1, "2026-02-28", "2027-02-28"),
        ("2024-01-31", 1, "2024-02-29", "2025-02-28"),  # a leap day, and no such day a year later
        ("2024-02-29", 12, "2025-02-28", "2026-02-28"),
        ("2023-02-28", 12, "2024-02-28", "2025-02-28"),
        ("2026-11-30", 3, "2027-02-28", "2028-02-29"),
        ("2025-12-15", 1, "2026-01-15", "2027-01-15"),
        ("2026-03-31", 60, "2031-03-31", "2032-03-31"),
    ],
)
def test_the_window_ends_months_after_the_last_start(start: str, months: int, end: str, again: str) -> None:
    one = change(date=start, months=months)
    assert studied.window_end(one).isoformat() == end
    assert studied.window_end(one, reread=True).isoformat() == again


def test_the_window_begins_with_the_last_group() -> None:
    steps = change(segment="region", levels={"North": "2026-02-01", "South": "2026-07-01"}, months=4)
    assert studied.window_end(steps) == dt.date(2026, 11, 1)


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2026-09", []),
        ("2026-10", [("a", False)]),  # the window's last day is 31 October
        ("2026-11", []),
        ("2027-10", [("a", True)]),
        ("2028-10", []),
        ("2026-Q4", [("a", False)]),
        ("2027-Q4", [("a", True)]),
        ("2026-W44", [("a", False)]),
        ("2026-W45", []),
    ],
)
def test_a_change_is_due_once_and_a_year_later(period: str, expected: list[tuple[str, bool]]) -> None:
    register = [change(date="2026-07-01", months=4), change(id="b", date="2026-07-01", months=4, metrics=())]
    assert [(one.id, again) for one, again in studied.due(register, Period.parse(period))] == expected


def test_those_read_again_come_last() -> None:
    register = [change(id="old", date="2025-07-01"), change(id="new", date="2026-07-01")]
    found = studied.due(register, Period.parse("2026-09"))
    assert [(one.id, again) for one, again in found] == [("new", False), ("old", True)]


def test_what_comes_next_is_due_after_this_period() -> None:
    register = [change(id="soon", date="2026-09-01"), change(id="now", date="2026-07-15"), change(id="b", metrics=())]
    first = studied.coming(register, Period.parse("2026-10"))
    assert first is not None
    assert (first[0].id, first[1], first[2]) == ("soon", dt.date(2026, 12, 1), False)
    later = studied.coming(register, Period.parse("2026-11"))
    assert later is not None
    assert (later[0].id, later[1], later[2]) == ("now", dt.date(2027, 10, 15), True)
    assert studied.coming(register, Period.parse("2027-11")) is None
    assert studied.coming([], Period.parse("2026-10")) is None


# A company in memory: larger than the one that tests share, and quicker than one that is written to disk


@dataclass
class Memory:
    """The tables of a store, and a way to ask them."""

    tables: Mapping[str, Any]

    def run(self, expression: Any) -> pd.DataFrame:
        found: pd.DataFrame = expression.to_pyarrow().to_pandas()
        return found


def in_memory(tables: Mapping[str, pa.Table]) -> Memory:
    import ibis

    return Memory({name: ibis.memtable(table) for name, table in tables.items()})


@pytest.fixture(scope="module")
def company() -> Memory:
    return in_memory(demo.tables(10_000, seed=3, first="2023-11"))


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


Asker = Callable[..., Run]


@pytest.fixture
def ask(at_demo: Path, company: Memory) -> Asker:
    """Open a run on the company in memory; `register` replaces or adds entries of the register."""

    def opened(period: str = PERIOD, register: Mapping[str, Change] | None = None, **how: Any) -> Run:
        run = cx.open_run(PERIOD, **how)  # the data end there; the register may be asked about later periods
        told = {"period": period} | ({} if register is None else {"changes": dict(register)})
        run._inputs.context = run.context = run.context.model_copy(update=told)
        run._inputs._store = company  # type: ignore[assignment]
        return run

    return opened


@pytest.fixture(scope="module")
def kept() -> dict[str, pd.DataFrame]:
    """What was answered once and is looked at by several tests."""
    return {}


@pytest.fixture
def frame(ask: Asker, kept: dict[str, pd.DataFrame]) -> pd.DataFrame:
    if "changes" not in kept:
        kept["changes"] = ask().changes()
    return kept["changes"]


def role(frame: pd.DataFrame, segment: str, change: str = CHAT, metric: str = SOLVED) -> pd.DataFrame:
    mine = (frame["segment"] == segment) & (frame["level"] == change) & (frame["metric"] == metric)
    return frame[mine].reset_index(drop=True)


def effect(frame: pd.DataFrame, design: str, change: str = CHAT, metric: str = SOLVED) -> pd.Series:
    found = role(frame, "effect", change, metric)
    return found[found["at"] == design].iloc[0]


def chosen(frame: pd.DataFrame, change: str = CHAT, metric: str = SOLVED) -> str:
    designs = role(frame, "design", change, metric)
    [name] = designs.loc[designs["note"].str.startswith("chosen"), "at"]
    return str(name)


def test_the_roll_out_by_regions_is_told_from_what_moved_everywhere(frame: pd.DataFrame) -> None:
    """docs/demo.md, 5: chat adds .07; regions improve by .006 a month anyway, so before against after finds .12."""
    assert chosen(frame) == "staggered"
    row, naive = effect(frame, "staggered"), effect(frame, "before_after")
    assert row["conf_low"] <= PLANTED <= row["conf_high"]
    assert row["verdict"] == "moved"
    assert naive["conf_low"] > PLANTED
    assert naive["verdict"] == ""
    assert "whatever else changed meanwhile" in naive["note"]
    words = role(frame, "agreement")["note"].item()
    assert "came with what moved everywhere" in words
    assert f"{100 * naive['estimate']:.1f} percentage points" in words


def test_regions_are_called_by_their_names_in_the_order_of_their_starts(frame: pd.DataFrame) -> None:
    groups = role(frame, "by group")
    assert groups["at"].tolist() == ["North", "East", "Centre", "South"]
    assert (groups["conf_low"] <= PLANTED).all()
    assert (groups["conf_high"] >= PLANTED).all()
    since = role(frame, "since start")["at"].astype(int)
    assert {-1, 0, 1} <= set(since)
    spaces = role(frame, "placebo")
    assert "in space: Islands" in set(spaces["at"])


def test_what_everybody_was_given_is_read_from_the_series_with_placebos(frame: pd.DataFrame) -> None:
    assert chosen(frame, "satisfaction_programme", "csat_mean") == "counterfactual"
    assert chosen(frame, "returns_page", "contacts_per_order") == "interrupted"
    for name, metric in (("satisfaction_programme", "csat_mean"), ("returns_page", "contacts_per_order")):
        assert len(role(frame, "placebo", name, metric)) >= 1
        assert {at.split()[0] for at in role(frame, "path", name, metric)["at"]} >= {"actual"}
        grades = role(frame, "evidence", name, metric)["at"]
        assert not {"strong", "randomised"} & set(grades)  # nobody was left untouched
    again = frame[frame["segment"] == "read again"]
    assert again["level"].tolist() == ["returns_page"]


def test_only_the_effects_of_designs_that_were_chosen_have_a_verdict(frame: pd.DataFrame) -> None:
    judged = frame[frame["verdict"] != ""]
    assert set(judged["segment"]) == {"effect"}
    lead = {key: chosen(frame, *key) for key in set(zip(judged["level"], judged["metric"], strict=True))}
    assert all(row["at"] == lead[row["level"], row["metric"]] for _, row in judged.iterrows())
    assert len(judged) == len(lead) == 5
    one = frame[(frame["segment"] == "effect") & (frame["verdict"] == "")]
    assert (one["p_adjusted"].isna()).all()


def test_nothing_due_names_what_is(ask: Asker) -> None:
    found = ask("2026-09").changes()
    assert found["segment"].tolist() == ["next"]
    assert found["note"].item() == (
        "Support by chat reaches the regions is due next: its window ends before 1 November 2026"
    )
    later = ask("2026-11").changes()
    assert "is read again next" in later["note"].item()
    assert ask("2026-09", register={}).changes().empty


def test_two_runs_are_equal_to_the_digit(ask: Asker, frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(ask().changes(), frame)


def test_what_is_frozen_names_no_customer_and_is_replayed_without_a_store(
    ask: Asker, company: Memory, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    recording = ask(run_folder=str(folder), notebook="08")
    pd.testing.assert_frame_equal(recording.changes(), frame)
    least = recording.context.workspace.min_n
    small = {name: recording.context.least(metric) for name, metric in recording.metrics.items()}
    assert disclosure.check(folder, small, least)["found"] == []
    people = set(company.run(company.tables["customers"].select("customer_id"))["customer_id"])
    for path in (folder / "inputs").rglob("*.parquet"):
        texts = pd.read_parquet(path).select_dtypes(exclude="number")
        assert not any(set(texts[name].dropna()) & people for name in texts), path.name
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    replayed = cx.open_run(PERIOD, run_folder=str(folder), notebook="08")
    pd.testing.assert_frame_equal(replayed.changes(), frame)
    (answer,) = (folder / "inputs" / "08").glob("changes.*.parquet")
    answer.unlink()
    with pytest.raises(RunError, match="does not hold changes"):
        cx.open_run(PERIOD, run_folder=str(folder), notebook="08").changes()


def test_no_row_of_any_role_stands_on_fewer_than_may_be_shown(ask: Asker) -> None:
    run = ask()
    workspace = run.context.workspace.model_copy(update={"min_n": 60})
    run._inputs.context = run.context.model_copy(update={"workspace": workspace})
    found = run.changes()
    assert not (found["n"] < 60).any()
    hidden = found[found["status"] == results.SUPPRESSED]
    assert len(hidden)
    assert hidden[["estimate", "conf_low", "conf_high", "std_error", "p_value", "n"]].isna().all(axis=None)
    solved = role(found, "since start").set_index("at")
    people = _seen(run, "2026-10")  # 8 months since the first start, which one region alone has behind it
    assert (people < 60) == (solved.loc["8", "status"] == results.SUPPRESSED)
    assert "since start" in set(hidden["segment"])
    assert (role(found, "by group")["status"] == results.OK).all()


def _seen(run: Run, period: str) -> int:
    """Return how many customers of the first region have first contacts in a period."""
    rows = Studied(run._inputs, run.context.changes[CHAT], run.metrics[SOLVED]).rows
    return int(rows.loc[(rows["group"] == "North") & (rows["period"] == period), "customer_id"].nunique())


def test_the_register_is_part_of_the_question(at_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inputs, "answer", lambda _self, name, parts, _make: [name, *parts])

    def asked(**keys: Any) -> object:
        run = cx.open_run(PERIOD)
        entries = dict(run.context.changes)
        entries[CHAT] = entries[CHAT].model_copy(update=keys)
        run._inputs.context = run.context.model_copy(update={"changes": entries})
        return run.changes()

    before = asked()
    assert asked() == before
    for keys in ({"months": 3}, {"controls": ()}, {"metrics": (SOLVED,)}, {"levels": {"North": "2026-02-01"}}):
        assert asked(**keys) != before


# What the register says wrongly, and what the data cannot tell


def entry(**keys: Any) -> dict[str, Change]:
    """A register of one change, by regions, that is due in 2026-10."""
    given = {"metrics": (SOLVED,), "segment": "region", "levels": {"North": "2026-07-01"}, "months": 4}
    return {"a": change(**{"date": "2026-07-01", **given, **keys})}


def test_one_start_with_groups_left_is_a_difference_in_differences(ask: Asker) -> None:
    """The regions that have chat already are no untouched ones: the register must name them; here it does not."""
    found = ask("2026-01", register=entry(levels={"North": "2025-10-01"}, date="2025-10-01")).changes()
    assert chosen(found, "a") == "did"
    row = effect(found, "did", "a")
    assert row["conf_low"] < 0 < row["conf_high"]  # nothing happened then
    others = set(role(found, "effect", "a")["at"])
    assert {"did", "before_after"} <= others


def test_those_touched_are_followed_alone(ask: Asker) -> None:
    """The series of a change for one region is that region's, not the company's."""
    run = ask("2026-10", register=entry())
    one = Studied(run._inputs, run.context.changes["a"], run.metrics[SOLVED])
    months = run.measure(SOLVED, by="region", periods=3)
    north = months[(months["level"] == "North") & (months["comparison"] == "level")].set_index("period")["estimate"]
    mine = one.series.set_index("period")["y"]
    assert mine[north.index].to_numpy() == pytest.approx(north.to_numpy(), rel=1e-12)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"levels": {"Nort": "2026-07-01"}}, "none of the touched levels of Region is in the data"),
        ({"levels": {"North": "2023-10-01"}, "date": "2023-10-01", "months": 37}, "No design applies"),
        ({"segment": "", "levels": {}, "date": "2023-10-01", "months": 37}, "No design applies"),
    ],
)
def test_what_cannot_be_told_has_a_reason(ask: Asker, keys: dict[str, Any], words: str) -> None:
    run = ask(register=entry(**keys))
    found = run.changes()
    [row] = role(found, "effect", "a").to_dict("records")
    assert (row["status"], row["verdict"]) == (results.UNDEFINED, "")
    assert words in row["note"]
    cx.tables.changes_table(found, run.context.changes, run.metrics)
    cx.charts.designs_chart(found, run.context.changes, run.metrics)


def test_a_level_that_is_not_in_the_data_is_told(ask: Asker) -> None:
    levels = {"North": "2026-07-01", "Suoth": "2026-07-01"}
    found = ask(register=entry(levels=levels)).changes()
    assert chosen(found, "a") == "did"
    assert role(found, "check", "a")["note"].str.contains("nothing is known of Suoth").any()


def test_a_group_that_cannot_be_compared_is_left_out_and_named(ask: Asker, company: Memory) -> None:
    """East is hardly there: 8 customers. What is told is told of the North alone, from its own start on."""
    run = ask(register=entry(levels={"East": "2026-06-01", "North": "2026-07-01"}))
    homes = company.tables["customers"]
    east = company.run(homes.filter(homes.region == "East").select("customer_id"))["customer_id"].unique().tolist()
    few = homes.filter(~homes.customer_id.isin(east[8:]))
    cases = company.tables["interactions"]
    small = company.tables | {"customers": few, "interactions": cases.filter(~cases.customer_id.isin(east[8:]))}
    run._inputs._store = Memory(small)  # type: ignore[assignment]
    found = run.changes()
    assert chosen(found, "a") == "did"
    assert role(found, "check", "a")["note"].str.contains("too few customers or none before the start: East").any()
    one = Studied(run._inputs, run.context.changes["a"], run.metrics[SOLVED])
    assert one.followed == {"North": "2026-07"}
    assert "East" not in set(one.rows["group"])
    assert one.start.label == "2026-07"


def test_whoever_is_of_no_known_level_is_not_taken_for_untouched(ask: Asker, company: Memory) -> None:
    import ibis

    run = ask(register=entry())
    homes = company.tables["customers"]
    unknown = homes.mutate(region=ibis.cases((homes.region == "Centre", ibis.null("string")), else_=homes.region))
    run._inputs._store = Memory(company.tables | {"customers": unknown})  # type: ignore[assignment]
    one = Studied(run._inputs, run.context.changes["a"], run.metrics[SOLVED])
    assert one.untouched == ["East", "Islands", "South"]
    assert "unknown" not in set(one.by_group["group"])


def test_a_metric_without_a_table_is_undefined_and_says_why(ask: Asker, company: Memory) -> None:
    run = ask(register=entry(metrics=("contacts_per_order",), segment="", levels={}))
    run._inputs._store = Memory({name: t for name, t in company.tables.items() if name != "orders"})  # type: ignore[assignment]
    [row] = run.changes().query("segment == 'effect'").to_dict("records")
    assert row["status"] == results.UNDEFINED
    assert "no table" in row["note"]


def test_a_design_that_cannot_be_estimated_gives_way_to_the_next(ask: Asker) -> None:
    """What is divided by orders has no rows to compare by group: its series can be read, and the designs say so."""
    found = ask(register=entry(metrics=("contacts_per_order",), controls=("late_delivery_share",))).changes()
    assert chosen(found, "a", "contacts_per_order") == "counterfactual"
    notes = role(found, "design", "a", "contacts_per_order").set_index("at")["note"]
    assert "could not be estimated: groups of customers cannot be compared in Contacts per order" in notes["did"]
    assert notes["did"].startswith("not applicable")
    assert "difference-in-differences came first by the rules" in notes["counterfactual"]
    assert effect(found, "counterfactual", "a", "contacts_per_order")["verdict"] != ""
    assert effect(found, "did", "a", "contacts_per_order")["status"] == results.UNDEFINED


def test_small_cells_of_a_quantile_are_left_out_of_its_series(ask: Asker) -> None:
    """South and Islands have few waits in some months: those are hidden, and the others are still read."""
    run = ask(register=entry(metrics=("wait_p90",)))
    workspace = run.context.workspace.model_copy(update={"min_n": 60})
    run._inputs.context = run.context.model_copy(update={"workspace": workspace})
    rows = role(run.changes(), "effect", "a", "wait_p90")
    assert "cannot be compared in Wait of nine in ten" in rows.loc[rows["at"] == "did", "note"].item()
    one = Studied(run._inputs, run.context.changes["a"], run.metrics["wait_p90"])
    assert 0 < len(one.by_group) < len(one._moments[["level", "period"]].drop_duplicates())


def test_a_start_within_a_period_is_told(ask: Asker) -> None:
    found = ask("2026-11", register=entry(levels={"North": "2026-07-15"}, date="2026-07-15")).changes()
    [note] = [note for note in role(found, "check", "a")["note"] if note.startswith("it began on")]
    assert note.startswith("it began on 15 July 2026, within a month: the whole month counts as touched")
    whole = ask(register=entry()).changes()
    assert not whole["note"].str.startswith("it began on").any()


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "Pacific/Honolulu", "Europe/Madrid"])
def test_a_start_lies_in_its_own_period_in_every_timezone(ask: Asker, zone: str) -> None:
    run = ask(register=entry(levels={"North": "2026-07-31"}))
    workspace = run.context.workspace.model_copy(update={"timezone": zone})
    run._inputs.context = run.context.model_copy(update={"workspace": workspace})
    assert Studied(run._inputs, run.context.changes["a"], run.metrics[SOLVED]).starts == {"North": "2026-07"}


@pytest.mark.parametrize("period", ["2026-Q4", "2026-W44"])
def test_quarters_and_weeks(ask: Asker, period: str) -> None:
    """The window of the roll-out ends on the last day of October."""
    found = ask(period).changes()
    assert chosen(found) == "staggered"
    row = effect(found, "staggered")
    assert row["conf_low"] <= PLANTED <= row["conf_high"]
    assert row["conf_low"] > 0
    assert (role(found, "since start")["status"] == results.OK).any()
    within = role(found, "check")["note"].str.startswith("it began on").any()
    assert within  # 1 February 2026 begins no quarter, and no week


def test_a_period_that_is_not_over_is_not_read(ask: Asker) -> None:
    run = ask(register=entry())
    run._inputs.context = run.context.model_copy(update={"partial": "October 2026 is not over"})
    [row] = run.changes().query("segment == 'effect'").to_dict("records")
    assert (row["status"], row["note"]) == (results.UNDEFINED, "October 2026 is not over")


# How often it is right


def companies(run: Run, count: int, size: int) -> list[Designs]:
    """Return the roll-out in so many companies of `size` customers, each a part of a larger one."""
    found: list[Designs] = []
    for seed in range(100, 1_000):
        run._inputs._store = in_memory(demo.tables(4 * size, seed=seed, first="2025-02"))  # type: ignore[assignment]
        run._inputs._brought.clear()  # of the company before
        whole = Studied(run._inputs, run.context.changes[CHAT], run.metrics[SOLVED])._levelled
        people = whole["customer_id"].drop_duplicates().sort_values().reset_index(drop=True)
        parts = whole["customer_id"].map(dict(zip(people, people.index % 4, strict=True)))
        for part in range(4):
            one = Studied(run._inputs, run.context.changes[CHAT], run.metrics[SOLVED])
            one.__dict__["_levelled"] = whole[parts == part].reset_index(drop=True)
            found.append(Designs(one))
        if len(found) >= count:
            return found[:count]
    raise AssertionError("too few seeds")


@pytest.mark.simulation
def test_the_chosen_interval_holds_the_truth_and_the_naive_one_does_not(
    ask: Asker, replicates: Callable[[int, int], int]
) -> None:
    """Of 2,500 customers each; limits that luck crosses once in 1,000 times.

    Measured on 120 companies: the interval of the roll-out held .07 in 95 %, that of before and after in 2.5 %; their
    means were .074 (spread .042) and .138 (.016).
    """
    count = replicates(16, 200)
    held, naive, estimates = 0, 0, []
    for one in companies(ask(), count, 2_500):
        row, before = one._groups(False)[0].iloc[0], one._naive(False)[0].iloc[0]
        held += row["conf_low"] <= PLANTED <= row["conf_high"]
        naive += before["conf_low"] <= PLANTED <= before["conf_high"]
        estimates.append(row["estimate"])
    assert held >= stats.binom.ppf(0.001, count, 0.95)
    assert naive <= stats.binom.ppf(0.999, count, 0.03)
    spread = float(np.std(estimates, ddof=1))
    assert abs(np.mean(estimates) - PLANTED) < 4 * spread / np.sqrt(count)
