"""Alarms between reports: the statistic by its definition, the promise about false alarms, and the delay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.errors import UsageError
from cxlib.measure import alarms


def days_of(n: np.ndarray, bad: np.ndarray) -> pd.DataFrame:
    day = pd.date_range("2025-01-01", periods=len(n))
    return pd.DataFrame({"day": day, "n": n.astype(float), "bad": bad.astype(float), "people": n})


def drawn(rng: np.random.Generator, size: int, p: np.ndarray | float, n: int = 40) -> pd.DataFrame:
    return days_of(np.full(size, n), rng.binomial(n, p, size))


def test_the_statistic_is_the_sum_over_all_days_on_which_it_could_have_begun() -> None:
    """Shiryaev-Roberts by its definition: the likelihood ratios of all change points added up, for each of the odds."""
    rng = np.random.default_rng(1)
    days = drawn(rng, 60, 0.2)
    found = alarms.watch(days, threshold=1e9, baseline=21, gap=0).days
    seen = found[found["statistic"].notna()]
    expected = []
    for t in range(len(seen)):
        part = seen.iloc[: t + 1]
        each = []
        for odds in alarms.ODDS:
            p = part["usual"].to_numpy()
            worse = odds * p / (1 - p + odds * p)
            ratio = (worse / p) ** part["bad"] * ((1 - worse) / (1 - p)) ** (part["n"] - part["bad"])
            ratio = ratio ** (1 / part["phi"])
            each.append(sum(float(np.prod(ratio.to_numpy()[k:])) for k in range(t + 1)))
        expected.append(np.mean(each))
    np.testing.assert_allclose(seen["statistic"], expected, rtol=1e-9)


def test_an_outage_is_one_episode_and_nothing_of_it_becomes_usual() -> None:
    rng = np.random.default_rng(2)
    p = np.full(200, 0.1)
    p[100:130] = 0.4
    found = alarms.watch(drawn(rng, 200, p), threshold=10_000)
    (episode,) = found.episodes
    assert abs(episode.began - 100) <= 1
    assert episode.alarm - 100 <= 2
    assert episode.ended is not None
    assert abs(episode.ended - 129) <= 4
    after = found.days.iloc[150:]
    assert (after["state"] == "quiet").all()
    assert after["centre"].max() < 0.13


def test_what_does_not_matter_is_no_alarm() -> None:
    rng = np.random.default_rng(3)
    p = np.where(np.arange(300) < 150, 0.10, 0.14)
    days = drawn(rng, 300, p, n=300)
    assert alarms.watch(days, threshold=10_000).episodes
    assert not alarms.watch(days, threshold=10_000, matters=0.06).episodes


@pytest.mark.simulation
def test_false_alarms_keep_to_the_promise(replicates: Callable[[int, int], int], rng: np.random.Generator) -> None:
    """No change: within m days no more than m / A of series have an alarm, also where days vary more than by chance."""
    size, threshold, runs = 400, 1_000.0, replicates(50, 2_000)
    for spread in (0.0, 0.25):
        hits = 0
        for _ in range(runs):
            logit = np.log(0.15 / 0.85) + spread * rng.standard_normal(size)
            hits += bool(alarms.watch(drawn(rng, size, 1 / (1 + np.exp(-logit))), threshold=threshold).episodes)
        allowed = size / threshold
        assert hits / runs <= allowed + 3 * np.sqrt(allowed * (1 - allowed) / runs)


@pytest.mark.simulation
def test_the_stated_delay_is_about_the_delay(replicates: Callable[[int, int], int], rng: np.random.Generator) -> None:
    runs, found = replicates(60, 1_000), []
    for _ in range(runs):
        watched = alarms.watch(drawn(rng, 300, np.where(np.arange(300) < 200, 0.1, 0.2)), threshold=10_000)
        late = [one for one in watched.episodes if one.alarm >= 200]
        found.append(late[0].alarm - 199 if late else 100)
    usual = float(watched.days["usual"].iloc[199])
    stated = float(alarms.delay(40, usual, 0.2, threshold=10_000))
    assert stated / 1.6 <= np.mean(found) <= 1.6 * stated  # Lorden's is asymptotic, and the statistic has a head start


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=80))
def test_any_counts_can_be_looked_at(pairs: list[tuple[int, int]]) -> None:
    n, bad = (np.array(x) for x in zip(*((max(pair), min(pair)) for pair in pairs), strict=True))
    found = alarms.watch(days_of(n, bad), threshold=100)
    assert len(found.days) == len(pairs)
    assert all(one.began <= one.alarm for one in found.episodes)
    assert set(found.days["state"]) <= {"waiting", "quiet", "alarm", "episode"}


def test_a_rise_that_is_none_is_never_noticed() -> None:
    assert np.isinf(alarms.delay(50, 0.2, 0.2, threshold=1_000))
    assert alarms.delay([10, 100], 0.1, 0.3, threshold=1_000)[1] < alarms.delay(10, 0.1, 0.3, threshold=1_000)


def test_everything_wrong_is_told_at_once() -> None:
    days = days_of(np.array([3, 3, 3]), np.array([1, 4, 1]))
    days["day"] = pd.to_datetime(["2025-01-01", "2025-01-03", "2025-01-04"])
    with pytest.raises(UsageError) as caught:
        alarms.watch(days, threshold=1, baseline=3, gap=-1, matters=2)
    wrong = ("1 days do not follow", "on 1 days more went wrong", "threshold 1", "baseline 3", "gap -1", "matters 2")
    for words in wrong:
        assert words in str(caught.value)
    with pytest.raises(UsageError, match="no column people"):
        alarms.watch(days.drop(columns="people"), threshold=10)
