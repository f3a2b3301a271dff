"""Funnels: plain loops over each customer, Kaplan-Meier on the same times, intervals that cover while time runs."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from cxlib.analysis import journeys
from cxlib.analysis.journeys import funnel_times
from cxlib.analysis.loyalty import survival
from cxlib.errors import UsageError
from tests.journey_logs import NAMES, ORDERED, START, in_engine, log, times_of

EXACT = 1e-12
STAGES = ["a", "b", "c"]
STEPS = ("open", "strict", "any")
HAND = log(
    ("w", 0, "a"), ("w", 1, "b"), ("w", 2, "c"),
    ("x", 0, "a"), ("x", 5, "z"), ("x", 6, "b"), ("x", 90, "c"),
    ("y", 0, "b"), ("y", 10, "a"), ("y", 11, "c"),
    ("z", 95, "a"), ("v", 3, "z"), ("v", 100, "z"),
)  # fmt: skip


def people(found: pd.DataFrame) -> list[int]:
    own = found[found["metric"] == "customers"].set_index("level")["estimate"]
    return [int(own[stage]) for stage in own.index]


def row(found: pd.DataFrame, metric: str, level: str, at: str = "") -> pd.Series:
    own = found[(found["metric"] == metric) & (found["level"] == level) & (found["at"] == at)]
    assert len(own) == 1
    return own.iloc[0]


@pytest.mark.parametrize(("order", "wanted"), [("strict", [4, 1, 1]), ("open", [4, 2, 2]), ("any", [4, 3, 3])])
@pytest.mark.parametrize("engine", [False, True])
def test_three_orders_by_hand(order: str, wanted: list[int], engine: bool) -> None:
    found = journeys.funnel(in_engine(HAND) if engine else HAND, STAGES, order=order, **NAMES)
    assert people(found) == wanted
    assert row(found, "conversion", "b")["estimate"] == wanted[1] / 4
    assert row(found, "reached", "c")["estimate"] == wanted[2] / 4
    assert (row(found, "reached", "c")["against"], row(found, "conversion", "c")["against"]) == ("a", "b")
    assert set(found["segment"]) == {"stage"}


def test_a_window_that_still_runs_is_no_loss() -> None:
    """z entered 5 minutes before the end: neither lost nor come; x came to c too late."""
    found = journeys.funnel(HAND, STAGES, order="open", window=timedelta(minutes=60), **NAMES)
    assert people(found) == [3, 2, 1]
    still = row(found, "still under way", "a")
    assert (still["estimate"], still["note"]) == (1, "not counted as lost: their window is not over")
    later = journeys.funnel(
        HAND, STAGES, order="open", window=timedelta(minutes=60), until=START + pd.Timedelta(hours=3), **NAMES
    )
    assert people(later) == [4, 2, 1]
    early = journeys.funnel(HAND, STAGES, order="open", until=START + pd.Timedelta(minutes=50), **NAMES)
    assert people(early) == [3, 2, 1]  # later events are not looked at


def test_stages_may_have_names_and_several_touchpoints() -> None:
    found = journeys.funnel(HAND, {"look": ["a", "z"], "buy": "c"}, order="open", **NAMES)
    assert people(found) == [5, 3]
    assert found.loc[found["metric"] == "conversion", "level"].tolist() == ["buy"]


def test_shares_are_wilsons() -> None:
    found = journeys.funnel(HAND, STAGES, order="open", **NAMES)
    own = row(found, "conversion", "b")
    low, high = proportion_confint(2, 4, method="wilson")
    assert (own["conf_low"], own["conf_high"]) == (pytest.approx(low, abs=EXACT), pytest.approx(high, abs=EXACT))
    assert own["n"] == own["n_eff"] == 4


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 9), st.sampled_from("abcz")), min_size=1, max_size=30,
    unique_by=lambda event: event[:2],
)  # fmt: skip


@given(events=EVENTS, order=st.sampled_from(STEPS), window=st.sampled_from([None, 3, 6]))
def test_any_log_is_read_as_plain_loops_do(events: list, order: str, window: int | None) -> None:
    frame = log(*events)
    span = None if window is None else pd.Timedelta(minutes=window)
    wanted, end = np.zeros(3, dtype=int), frame["when"].max()
    for _, own in frame.sort_values(ORDERED).groupby("who"):
        steps = list(zip(own["when"], own["where"], strict=True))
        times = times_of(steps, STAGES, order)
        begun = min(when for when, where in steps if where in STAGES) if order == "any" and times[0] else times[0]
        if begun is None or (span is not None and begun + span > end):
            continue
        wanted += [when is not None and (span is None or when <= begun + span) for when in times]
    found = journeys.funnel(frame, STAGES, order=order, window=span and span.to_pytimedelta(), **NAMES)
    if (found["status"] == "undefined").all():
        assert wanted[0] == 0
        return
    assert people(found) == wanted.tolist()


def test_events_of_one_moment_count_as_in_the_order_of_the_stages() -> None:
    together = log(("x", 0, "c"), ("x", 0, "b"), ("x", 0, "a"), ("x", 0, "z"))
    for order in STEPS:
        assert people(journeys.funnel(together, STAGES, order=order, **NAMES)) == [1, 1, 1]
    ranked = journeys.funnel(together, STAGES, order="strict", ties=["row"], **NAMES)
    assert people(ranked) == [1, 0, 0]  # what breaks ties goes before the stages


@pytest.fixture(scope="module")
def clicks(shared_data) -> pd.DataFrame:
    frame = pd.read_csv(shared_data("ecom_clickstream") / "ecom.csv.gz", parse_dates=["timestamp"])
    return frame.rename(columns={"user_id": "who", "timestamp": "when", "event": "where"})


def waits(clicks: pd.DataFrame, end: pd.Timestamp, days: float) -> pd.DataFrame:
    """Return how long each customer took from the first product page to the cart, or was watched; in pandas."""
    first = clicks[clicks["where"] == "product_view"].groupby("who")["when"].min().rename("begun")
    later = clicks[clicks["where"] == "add_to_cart"].merge(first, on="who")
    then = later[later["when"] >= later["begun"]].groupby("who")["when"].min()
    last = np.minimum(first + pd.Timedelta(days=days), end)
    reached = then.reindex(first.index) <= last
    seconds = (then.reindex(first.index).where(reached, last) - first).dt.total_seconds()
    return pd.DataFrame({"seconds": seconds, "reached": reached, "closed": first + pd.Timedelta(days=days) <= end})


def test_times_are_kaplan_meiers_on_the_clickstream(clicks: pd.DataFrame) -> None:
    """The curve of counted times is that of one row a customer; times differ by what is rounded away at most."""
    end = clicks["when"].max()
    own = waits(clicks, end, 60)
    found = journeys.funnel(
        clicks, ["product_view", "add_to_cart"], window=timedelta(days=60), order="open",
        horizons=[timedelta(hours=1), timedelta(days=10)], **NAMES,
    )  # fmt: skip
    closed = own[own["closed"]]
    assert row(found, "conversion", "add_to_cart")["estimate"] == closed["reached"].mean()
    horizons = np.array([3_600.0, 864_000.0])
    curve = survival(own["seconds"], own["reached"], at=horizons, interval="log-log")
    shares = curve[curve["metric"] == "survival"]
    for at, (_, other) in zip(("1 hour", "10 days"), shares.iterrows(), strict=True):
        mine = row(found, "reached within", "add_to_cart", at)
        assert mine["estimate"] == pytest.approx(1 - other["estimate"], abs=1e-3)  # hours at 10 days: some fall below
        assert mine["std_error"] == pytest.approx(other["std_error"], rel=1e-2)
        assert (mine["n"], mine["n_eff"]) == (other["n"], pytest.approx(other["n_eff"], abs=2))
    median, other = row(found, "time to next stage", "add_to_cart", "median"), curve[curve["metric"] != "survival"]
    other = other[other["metric"] == "median_survival"].iloc[0]
    for name in ("estimate", "conf_low", "conf_high"):
        assert 0 <= other[name] - median[name] < 3_600  # hours are counted from two days on
    got = closed.loc[closed["reached"], "seconds"]
    quickly = row(found, "time of those who got there", "add_to_cart", "lower quartile")
    assert quickly["estimate"] == pytest.approx(np.quantile(got, 0.25, method="inverted_cdf"), abs=60)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.8, 0.95]),
)
def test_counted_curves_equal_those_of_single_customers(people: list, confidence: float) -> None:
    """Below an hour nothing is rounded: the median and the shares are those of `loyalty.survival`, digit by digit."""
    times, reached = (np.array(values) for values in zip(*people, strict=True))
    frame = pd.DataFrame({"seconds": times, "reached": reached.astype(bool), "closed": True, "customers": 1})
    counts = frame.groupby(["seconds", "reached", "closed"], as_index=False)["customers"].sum()
    curve = survival(times, reached, at=[10.0], interval="log-log", confidence=confidence)
    mine = funnel_times.quartiles(counts, confidence).set_index("at").loc["median"]
    other = curve[curve["metric"] == "median_survival"].iloc[0]
    assert mine["status"] == other["status"]
    if mine["status"] == "ok":
        assert mine["estimate"] == other["estimate"]
        assert mine["conf_low"] == (other["conf_low"] if np.isfinite(other["conf_low"]) else mine["estimate"])
    share = funnel_times.within(counts, [timedelta(seconds=10)], confidence).iloc[0]
    there = curve[curve["metric"] == "survival"].iloc[0]
    assert share["status"] == there["status"]
    if there["status"] == "ok":
        assert 1 - share["estimate"] == pytest.approx(there["estimate"], abs=EXACT)
        assert share["conf_low"] <= share["estimate"] <= share["conf_high"]


def test_nobody_and_everybody_have_intervals() -> None:
    every = pd.DataFrame({"seconds": [5], "reached": [True], "closed": [True], "customers": [20]})
    share = funnel_times.within(every, [timedelta(seconds=9)], 0.95).iloc[0]
    assert (share["estimate"], share["conf_high"]) == (1, 1)
    assert share["conf_low"] == pytest.approx(stats.beta.ppf(0.025, 20, 1), abs=1e-9)
    nobody = every.assign(seconds=30, reached=False)
    share = funnel_times.within(nobody, [timedelta(seconds=9)], 0.95).iloc[0]
    assert (share["estimate"], share["conf_low"]) == (0, 0)
    assert share["conf_high"] == pytest.approx(stats.beta.ppf(0.975, 1, 20), abs=1e-9)
    median = funnel_times.quartiles(every.assign(customers=1_000), 0.95).set_index("at").loc["median"]
    assert (median["conf_low"], median["conf_high"]) == (5, 5)
    got = funnel_times.arrivals(nobody, 0.95)
    assert set(got["note"]) == {"nobody got there"}


def test_long_times_are_rounded_so_that_rows_stay_few(rng) -> None:
    """50,000 customers, each with a time of its own within a year, come back in fewer than 10,000 rows."""
    from cxlib.analysis.journeys import funnel_paths
    from cxlib.analysis.journeys.rows import opened

    many = 50_000
    wait = rng.integers(0, 365 * 86_400, many)
    frame = pd.DataFrame({"who": np.tile(np.arange(many), 2), "where": np.repeat(["a", "b"], many)})
    frame = frame.assign(when=START + pd.to_timedelta(np.concatenate([np.zeros(many), wait]), unit="s"))
    given = opened(frame, **NAMES, session=None, ties=(), run=None)
    end = frame["when"].max()
    counts = given.run(funnel_paths.counted(funnel_paths.in_order(given, [["a"], ["b"]]), 2, end, None))
    assert counts["customers"].sum() == many
    assert len(counts) < 10_000
    assert funnel_times.told(86_400) == "1 day"
    assert funnel_times.about(30 * 86_400 + 3_000) == "30 days"


def test_small_stages_are_hidden_with_all_that_tells_of_them() -> None:
    steps = [(who, minute, where) for minute, (where, many) in enumerate((("a", 40), ("b", 20), ("c", 3)))
             for who in range(many)]  # fmt: skip
    found = journeys.funnel(log(*steps), STAGES, order="open", min_n=10, **NAMES)
    assert set(found.loc[found["level"] == "c", "status"]) <= {"suppressed", "undefined", "too_few"}
    assert set(found.loc[(found["level"] != "c") & (found["metric"] != "time to next stage"), "status"]) == {"ok"}
    assert found.loc[found["level"] == "c", ["estimate", "n"]].isna().all(axis=None)


def test_what_makes_no_funnel_is_refused() -> None:
    for stages, words in (
        ("a", "stages is 'a'"), (["a"], "2 to 20 stages, not 1"), (["a", "a"], "a in two stages"),
        ({"x": ["a"], "y": []}, "y without a touchpoint"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            journeys.funnel(HAND, stages, **NAMES)
    with pytest.raises(UsageError, match="'opne' is no order of stages; did you mean 'open'"):
        journeys.funnel(HAND, STAGES, order="opne", **NAMES)
    with pytest.raises(UsageError, match="window 30 is no span of time"):
        journeys.funnel(HAND, STAGES, window=30, **NAMES)
    with pytest.raises(UsageError, match="horizon"):
        journeys.funnel(HAND, STAGES, horizons=[1], **NAMES)


def test_nobody_at_the_first_stage_is_undefined() -> None:
    for frame in (HAND, HAND.head(0)):
        found = journeys.funnel(frame, ["q", "a"], **NAMES)
        assert found["status"].tolist() == ["undefined"]
        assert found["note"].iloc[0] == "no customer was at the first stage, q"


@pytest.mark.simulation
def test_shares_and_times_cover_while_windows_still_run(rng, replicates) -> None:
    """Customers enter up to the last day; 60 % would buy, after 4 days on average, within a window of 10.

    Those who count everybody as lost who has not bought yet are far too low.
    """
    truth = 0.6 * (1 - np.exp(-10 / 4))
    third = -4 * np.log(1 - 0.25 / 0.6) * 86_400  # a quarter of all have bought by then
    inside, median, naive = [], [], []
    for _ in range(replicates(40, 2_000)):
        many = 400
        enter, wait = rng.uniform(0, 20, many), np.where(rng.random(many) < 0.6, rng.exponential(4, many), np.inf)
        bought = np.flatnonzero(np.isfinite(wait) & (enter + wait <= 20))
        days = np.concatenate([enter, (enter + wait)[bought], [20]])
        frame = pd.DataFrame(
            {"who": [*range(many), *bought, many], "where": ["a"] * many + ["b"] * len(bought) + ["z"]}
        )
        frame = frame.assign(when=START + pd.to_timedelta(days, unit="D"))
        found = journeys.funnel(frame, ["a", "b"], window=timedelta(days=10), order="open", **NAMES)
        own = row(found, "conversion", "b")
        inside.append(own["conf_low"] <= truth <= own["conf_high"])
        time = row(found, "time to next stage", "b", "lower quartile")
        median.append(time["conf_low"] - 3_600 <= third <= time["conf_high"] + 3_600)
        low, high = proportion_confint(len(bought), many, method="wilson")
        naive.append(low <= truth <= high)
    print(
        f"coverage: shares {np.mean(inside):.3f}, quartile of times {np.mean(median):.3f}, naive {np.mean(naive):.3f}"
    )
    assert 0.88 <= np.mean(inside) <= 1
    assert 0.88 <= np.mean(median) <= 1
    assert np.mean(naive) < 0.6


def test_a_stage_at_which_nothing_happened_says_so() -> None:
    """A name that is spelt otherwise than in the events, and a stage to which nobody came in order."""
    events = pd.DataFrame({"customer_id": ["a", "a", "b"], "touchpoint": ["web", "shop", "web"]})
    events["at"] = pd.to_datetime(["2026-01-02", "2026-01-01", "2026-01-01"])
    found = journeys.funnel(events, ["web", "shop", "pay"], order="open")
    told = found[found["metric"] == "customers"].set_index("level")["note"]
    assert told["pay"].startswith("no event at all is at this stage")
    assert not told["shop"]
