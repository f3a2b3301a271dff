"""Moments of truth: journeys by hand, the classic 66 %, regressions and correlations against statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from cxlib import results
from cxlib.analysis import journeys
from cxlib.analysis.journeys import by_customer
from cxlib.analysis.journeys.moments_judged import journeys_of
from cxlib.errors import UsageError

EXACT = 1e-9
COLUMNS = {"customer": "who", "at": "at", "touchpoint": "where", "value": "value", "good": "good"}
DAY = pd.Timedelta(days=1)
START = pd.Timestamp("2026-01-01")


def answers(rng: np.random.Generator, customers: int, places: int = 4, good: float = 0.9, mood: float = 0.0):
    """Return one journey a customer over some touchpoints; `mood` makes a customer's answers alike."""
    who = np.repeat(np.arange(customers), places)
    latent = rng.normal(0, 1, customers * places) + mood * rng.normal(0, 1, customers)[who]
    fine = latent < stats.norm.ppf(good) * np.sqrt(1 + mood**2)
    return pd.DataFrame(
        {"who": who, "at": START + (np.tile(np.arange(places), customers)) * DAY, "good": fine.astype(float),
         "where": np.tile([f"place {k}" for k in range(places)], customers), "value": np.where(fine, 100.0, 25.0)}
    )  # fmt: skip


def row(found: pd.DataFrame, metric: str, level: str, kind: str = "share", against: str = "") -> pd.Series:
    mine = found[(found["metric"] == metric) & (found["level"] == level) & (found["comparison"] == kind)]
    return mine[mine["against"] == against].iloc[0]


def test_ninety_percent_at_each_of_four_touchpoints_is_66_of_journeys(rng: np.random.Generator) -> None:
    # Rawson, Duncan and Jones (2013): 0.9 ** 4 = 0.656.
    given = answers(rng, 3_000)
    found = journeys.moments(given, **COLUMNS, target=0.85)
    one = row(found, "journey_good", "4 touchpoints or more")
    assert one["conf_low"] < 0.9**4 < one["conf_high"]
    assert one["note"].startswith(("65 %", "66 %", "67 %"))
    reading = found[found["metric"] == "journey_reading"].iloc[0]
    assert reading["at"] == "the journey, not the touchpoints"
    assert reading["note"].startswith("no touchpoint is shown to miss 85 % good answers; 6")
    assert row(found, "journey_good", "all journeys", "difference", "target")["verdict"] == "moved"
    alike = journeys.moments(answers(rng, 3_000, mood=1.5), **COLUMNS)
    assert row(alike, "journey_good", "4 touchpoints or more")["conf_low"] > 0.7  # who is content is so everywhere


def test_a_journey_ends_where_nothing_comes_for_long() -> None:
    given = pd.DataFrame(
        {"who": [0, 0, 0, 1], "touchpoint": ["A", "B", "A", "A"], "good": [True, False, True, True],
         "at": [START, START + 10 * DAY, START + 60 * DAY, START]}
    )  # fmt: skip
    found = journeys_of(given, 30 * DAY)
    assert found["good"].tolist() == [False, True, True]
    assert found["touched"].tolist() == [2, 1, 1]
    assert found["at"].tolist() == [START + 10 * DAY, START + 60 * DAY, START]
    assert found["alone"].tolist() == pytest.approx([0.0, 1.0, 1.0], abs=1e-12)  # B is never good


def test_differences_are_those_of_a_clustered_regression(rng: np.random.Generator) -> None:
    given = answers(rng, 300, places=2, good=0.7, mood=1.0)
    given["where"] = "one"
    given["at"] = START + rng.integers(0, 100, len(given)) * DAY  # the same customers before and after
    found = journeys.moments(given, **COLUMNS, since=START + 50 * DAY)
    own = row(found, "touchpoint_good", "one", "difference", "the time before")
    after = (given["at"] >= START + 50 * DAY).astype(float)
    fit = sm.OLS(given["good"], sm.add_constant(after)).fit(
        cov_type="cluster", cov_kwds={"groups": given["who"], "use_correction": False}
    )
    assert own["estimate"] == pytest.approx(fit.params.iloc[1], abs=EXACT)
    assert own["std_error"] == pytest.approx(fit.bse.iloc[1] * np.sqrt(300 / 299), rel=1e-9)
    assert own["verdict"] in ("moved", "not shown", "could not have been seen")


def test_correlations_and_slopes_are_scipys_and_statsmodels(rng: np.random.Generator) -> None:
    who = np.repeat(np.arange(100), 3)
    x = rng.normal(0, 1, (300, 2)) + rng.normal(0, 1, (100, 2))[who]
    y = x @ np.array([0.5, -0.2]) + rng.normal(0, 1, 300) + rng.normal(0, 1, 100)[who]
    fit = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": who, "use_correction": False})
    for k, own in enumerate(by_customer.slopes(y, x, who, 100), 1):
        assert own.value == pytest.approx(fit.params[k], abs=EXACT)
        assert own.error == pytest.approx(fit.bse[k] * np.sqrt(100 / 99), rel=1e-9)
    r = by_customer.correlation(x[:, 0], y, who, 100)
    assert r.value == pytest.approx(stats.pearsonr(x[:, 0], y).statistic, abs=EXACT)
    left = [stats.pearsonr(x[who != c, 0], y[who != c]).statistic for c in range(100)]  # the jackknife over customers
    assert r.error == pytest.approx(np.sqrt(99 * np.var(left)), rel=0.05)


def scored(rng: np.random.Generator, customers: int, by: str) -> pd.DataFrame:
    """Return journeys of three answers and a score of the whole that hangs on one moment of them."""
    value = rng.integers(0, 5, (customers, 3)) * 25.0
    moment = {"worst": value.min(axis=1), "last": value[:, 2]}[by]
    told = pd.DataFrame(
        {"who": np.repeat(np.arange(customers), 3), "at": START + np.tile(np.arange(3), customers) * DAY,
         "where": "place", "value": value.ravel(), "good": (value.ravel() > 60).astype(float)}
    )  # fmt: skip
    whole = pd.DataFrame(
        {"who": np.arange(customers), "at": START + 5 * DAY, "where": "survey", "value": np.nan, "good": np.nan,
         "score": moment / 10 + rng.normal(0, 2, customers)}
    )  # fmt: skip
    return pd.concat([told, whole], ignore_index=True)


@pytest.mark.parametrize("by", ["worst", "last"])
def test_the_moment_that_a_score_hangs_on_explains_most(rng: np.random.Generator, by: str) -> None:
    found = journeys.moments(scored(rng, 600, by), **COLUMNS, score="score")
    explained = found[(found["metric"] == "goes_with") & (found["comparison"] == "share")].set_index("level")
    assert explained["estimate"].idxmax() == f"the {by} moment"
    assert row(found, "goes_with", f"the {by} moment", "difference", "the mean")["conf_low"] > 0
    points = found[(found["metric"] == "goes_with_points") & (found["at"] != "alone")].set_index("level")
    assert points.loc[f"the {by} moment", "conf_low"] < 1 < points.loc[f"the {by} moment", "conf_high"]  # 10 points: 1
    others = points.drop(f"the {by} moment")
    assert (others["conf_low"] < 0.2).all()
    assert (others["estimate"].abs() < 0.2).all()


@pytest.mark.simulation
def test_the_interval_of_what_is_explained_holds_it(rng: np.random.Generator, replicates) -> None:
    from cxlib.analysis.journeys.moments_scored import _explained

    tries, held = replicates(300, 4_000), 0
    for _ in range(tries):
        who = np.repeat(np.arange(120), 2)
        x = rng.normal(0, 1, 240) + rng.normal(0, 1, 120)[who]
        y = 0.5 * x + rng.normal(0, 1, 240) + rng.normal(0, 1, 120)[who]
        one = _explained("x", by_customer.correlation(x, y, who, 120), 0.95).iloc[0]
        held += one["conf_low"] <= 0.5 / 2.5 <= one["conf_high"]  # 0.25 * 2 of 0.25 * 2 + 2
    assert held / tries > 0.95 - 3 * np.sqrt(0.05 * 0.95 / tries) - 0.01


def test_few_and_equal_answers_are_hidden(rng: np.random.Generator) -> None:
    given = answers(rng, 40, places=3, good=0.7)
    given.loc[given["where"] == "place 2", "good"] = 1.0  # all are content: each one's answer would be known
    found = journeys.moments(given, **COLUMNS, min_n=10, target=0.8)
    gone = found[(found["level"] == "place 2")]
    assert set(gone["status"]) == {results.SUPPRESSED}
    assert (
        found.loc[found["metric"] == "touchpoint_good"].groupby("level")["status"].first() == "suppressed"
    ).sum() > 1
    assert not (found["n"] < 10).any()


def test_nobody_too_few_and_nonsense(rng: np.random.Generator) -> None:
    given = answers(rng, 20)
    assert journeys.moments(given.head(0), **COLUMNS)["status"].tolist() == [results.UNDEFINED]
    found = journeys.moments(scored(rng, 12, "last"), **COLUMNS, score="score")
    assert found.loc[found["metric"] == "goes_with", "status"].tolist() == [results.TOO_FEW]
    pd.testing.assert_frame_equal(
        journeys.moments(given.sample(frac=1, random_state=2), **COLUMNS), journeys.moments(given, **COLUMNS)
    )
    with pytest.raises(UsageError, match="0 to 100"):
        journeys.moments(given.assign(value=101.0), **COLUMNS)
    with pytest.raises(UsageError, match="no column"):
        journeys.moments(given.drop(columns="good"), **COLUMNS)
    with pytest.raises(UsageError, match="window"):
        journeys.moments(given, **COLUMNS, window=0)
