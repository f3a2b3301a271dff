"""Streams that go on at once: merging and overlap by hand and by brute force, shares against statsmodels."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from cxlib import results
from cxlib.analysis import journeys
from cxlib.analysis.journeys import doorway, sweeps
from cxlib.errors import UsageError

EXACT = 1e-9  # sums of whole seconds
PRINTED = 1e-6  # two implementations of one closed formula
ORDER = ("explore", "evaluate", "engage")
KINDS = ("string", "string", "int64", "int64")
COLUMNS = {"customer": "who", "start": "start", "end": "end", "stream": "stream"}


def log(*events: tuple[str, str, float, float | None]) -> pd.DataFrame:
    """Return events of (who, stream, first day, last day or None)."""
    day = pd.Timestamp("2026-01-01")
    return pd.DataFrame(
        {
            "who": [event[0] for event in events],
            "stream": [event[1] for event in events],
            "start": [day + pd.Timedelta(days=event[2]) for event in events],
            "end": [pd.NaT if event[3] is None else day + pd.Timedelta(days=event[3]) for event in events],
        }
    )


def row(found: pd.DataFrame, metric: str, level: str, against: str | None = None) -> pd.Series:
    mine = found[(found["metric"] == metric) & (found["level"] == level)]
    return (mine if against is None else mine[mine["against"] == against]).iloc[0]


# A does two things at once from day 5 to 10 and buys later; B does one after the other; C only looks.
BY_HAND = log(
    ("A", "explore", 0, 10), ("A", "explore", 2, 6), ("A", "evaluate", 5, 15), ("A", "engage", 30, 31),
    ("B", "evaluate", 0, 2), ("B", "explore", 4, 6), ("C", "explore", 1, 3),
)  # fmt: skip


def test_by_hand() -> None:
    found = journeys.streams(BY_HAND, **COLUMNS, order=ORDER)
    assert set(found["comparison"]) == {"share"}
    assert row(found, "active", "engage")["estimate"] == pytest.approx(1 / 3, abs=EXACT)
    assert row(found, "concurrent", "explore", "evaluate")["estimate"] == pytest.approx(1 / 3, abs=EXACT)
    assert row(found, "concurrent", "evaluate", "explore")["estimate"] == pytest.approx(1 / 2, abs=EXACT)
    assert row(found, "concurrent", "engage", "explore")["estimate"] == 0
    # Together 5 days of A's 16 (0 to 15 and 30 to 31), B's 4 and C's 2.
    assert row(found, "active_time", "several streams at once")["estimate"] == pytest.approx(5 / 22, abs=EXACT)
    assert row(found, "parallel", "several streams at once")["estimate"] == pytest.approx(1 / 2, abs=EXACT)
    follows = row(found, "funnel_order", "in the textbook order")
    assert follows["estimate"] == pytest.approx(1 / 2, abs=EXACT)  # A: B evaluates first
    assert "33 %" in follows["note"]  # a third of the chances: 1/6 of three streams, 1/2 of two
    assert row(found, "entered_before", "evaluate", "explore")["estimate"] == pytest.approx(1 / 2, abs=EXACT)


def test_an_instant_reaches_as_far_as_is_said() -> None:
    events = log(("A", "explore", 0, None), ("A", "evaluate", 5, None))
    near, far = (journeys.streams(events, **COLUMNS, order=ORDER, reach=days) for days in (4, 7))
    assert row(near, "concurrent", "explore", "evaluate")["estimate"] == 0
    assert row(far, "concurrent", "explore", "evaluate")["estimate"] == 1
    assert "7 days" in far["method"].iloc[0]
    upside = events.assign(end=events["start"] - pd.Timedelta(days=1))  # an end before its start is none
    pd.testing.assert_frame_equal(journeys.streams(upside, **COLUMNS, order=ORDER), far)


def test_shares_have_wilson_intervals() -> None:
    found = journeys.streams(BY_HAND, **COLUMNS, order=ORDER, confidence=0.9)
    one = row(found, "concurrent", "explore", "evaluate")
    low, high = proportion_confint(1, 3, alpha=0.1, method="wilson")
    assert (one["conf_low"], one["conf_high"]) == pytest.approx((low, high), abs=PRINTED)


def many(rng: np.random.Generator, customers: int, top: int = 40) -> pd.DataFrame:
    size = customers * 6
    start = rng.integers(0, top, size)
    return pd.DataFrame(
        {
            sweeps.WHO: [f"c{one}" for one in rng.integers(0, customers, size)],
            sweeps.STREAM: rng.choice(ORDER, size),
            sweeps.FROM: start,
            sweeps.TO: start + rng.integers(1, 9, size),
        }
    )


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_merging_and_overlap_are_those_of_a_grid(seed: int) -> None:
    spans = many(np.random.default_rng(seed), 25)
    islands = sweeps.merged(ibis.memtable(spans, schema=dict(zip(spans.columns, KINDS, strict=True))))
    once, twice = (doorway.fetch(plan).sort_values(list(spans.columns), ignore_index=True)
                   for plan in (islands, sweeps.merged(islands)))  # fmt: skip
    pd.testing.assert_frame_equal(once, twice)  # idempotent
    found = doorway.fetch(sweeps.together(islands, ORDER)).set_index(sweeps.WHO)
    back = doorway.fetch(sweeps.together(islands, ORDER[::-1])).set_index(sweeps.WHO).loc[found.index]
    assert (found["in 0 2"] == back["in 0 2"]).all()  # symmetric: who stands first does not matter
    assert (found["in 0 1"] == back["in 1 2"]).all()
    for who, own in spans.groupby(sweeps.WHO):
        grid = np.zeros((3, 60), dtype=bool)
        for _, one in own.iterrows():
            grid[ORDER.index(one[sweeps.STREAM]), one[sweeps.FROM] : one[sweeps.TO]] = True
        count = grid.sum(axis=0)
        expected = [grid[0].sum(), (grid[0] & grid[2]).sum(), (count > 0).sum(), (count > 1).sum(), count.max()]
        assert found.loc[who, ["in 0", "in 0 2", "any", "several", "most"]].tolist() == expected
        assert found.loc[who, "any"] <= 60  # no longer than was looked at


def events(rng: np.random.Generator, customers: int) -> pd.DataFrame:
    size = customers * 5
    begin = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 200 * 86_400, size), unit="s")
    who = [f"c{one}" for one in rng.integers(0, customers, size)]
    stream = rng.choice([*ORDER, "other", None], size)
    return pd.DataFrame({"who": who, "stream": stream, "start": begin, "end": pd.NaT})


def test_frames_and_tables_say_the_same_in_any_order_of_rows(rng: np.random.Generator) -> None:
    given_ = events(rng, 60)
    how = {**COLUMNS, "order": ORDER, "since": "2026-02-01", "until": "2026-05-01"}
    found = journeys.streams(given_, **how)
    kinds = {"who": "string", "stream": "string", "start": "timestamp"}
    table = ibis.memtable(given_.drop(columns="end"), schema=kinds)
    pd.testing.assert_frame_equal(journeys.streams(table, **{**how, "end": None}), found)
    pd.testing.assert_frame_equal(journeys.streams(given_.sample(frac=1, random_state=1), **how), found)


def test_only_new_customers_have_an_order_and_time_is_cut() -> None:
    given_ = log(("A", "evaluate", 0, 1), ("A", "explore", 20, 21), ("A", "engage", 21, 22),
                 ("B", "explore", 20, 50), ("B", "engage", 25, 45))  # fmt: skip
    found = journeys.streams(given_, **COLUMNS, order=ORDER, since="2026-01-11", until="2026-02-10")
    assert row(found, "funnel_order", "in the textbook order")[["estimate", "n"]].tolist() == [1.0, 1.0]  # A is old
    assert row(found, "active_time", "one stream at a time")["estimate"] == pytest.approx(1 - 15 / (2 + 20), abs=EXACT)
    assert row(found, "active", "evaluate")["status"] == results.UNDEFINED


def test_the_interval_of_the_share_of_time_holds_it(rng: np.random.Generator, replicates) -> None:
    # Sums over customers drawn from one law: the share of long-run time is 2 / (2 + 4).
    from cxlib.analysis.journeys.streams import _time

    held, tries = 0, replicates(400, 4_000)
    for _ in range(tries):
        several, alone = rng.exponential(2, 80), rng.exponential(4, 80)
        whole = several + alone
        sums = {"n": 80, "any": whole.sum(), "several": several.sum(), "any_any": (whole**2).sum(),
                "several_several": (several**2).sum(), "any_several": (whole * several).sum()}  # fmt: skip
        one = _time(sums, 0.95).iloc[0]
        held += one["conf_low"] <= 1 / 3 <= one["conf_high"]
    assert held / tries > 0.95 - 3 * np.sqrt(0.05 * 0.95 / tries) - 0.01  # the delta method is an approximation


def test_few_customers_are_hidden_wherever_their_stream_is_named() -> None:
    given_ = pd.concat([log((f"c{i}", "explore", 0, 9), (f"c{i}", "evaluate", 3, 5)) for i in range(12)])
    given_ = pd.concat([given_, log(("c1", "engage", 2, 3), ("c2", "engage", 2, 3))])
    found = journeys.streams(given_, **COLUMNS, order=ORDER, min_n=10)
    named = (found["level"] == "engage") | (found["against"] == "engage")
    assert set(found.loc[named, "status"]) <= {results.SUPPRESSED, results.UNDEFINED}
    assert not (found["n"] < 10).any()
    assert row(found, "concurrent", "explore", "evaluate")["estimate"] == 1


def test_nobody_and_nonsense() -> None:
    found = journeys.streams(BY_HAND.head(0), **COLUMNS, order=ORDER)
    assert found["status"].tolist() == [results.UNDEFINED]
    with pytest.raises(UsageError, match="no column 'nope'"):
        journeys.streams(BY_HAND, customer="nope", start="start", stream="stream")
    with pytest.raises(UsageError, match="reach"):
        journeys.streams(BY_HAND, **COLUMNS, reach=0)
    with pytest.raises(UsageError, match="streams"):
        journeys.streams(BY_HAND, **COLUMNS, order=("explore",))
    with pytest.raises(UsageError, match="dates"):
        journeys.streams(BY_HAND.assign(start=1.5), **COLUMNS)


def test_a_stream_of_which_nothing_is_recorded_says_so() -> None:
    found = journeys.streams(BY_HAND[BY_HAND["stream"] != "engage"], **COLUMNS, order=ORDER)
    named = (found["level"] == "engage") | (found["against"] == "engage")
    assert set(found.loc[named, "note"]) == {"nothing is recorded of this stream"}
    assert set(found.loc[named, "status"]) == {results.UNDEFINED}
