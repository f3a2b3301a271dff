"""Paths that end so against those that do not: the differences against statsmodels, max-T by hand, the design."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from cxlib import results
from cxlib.analysis import journeys
from cxlib.analysis.journeys import max_t
from cxlib.errors import UsageError

EXACT = 1e-6  # sums of weights in single precision on one side
DAY = pd.Timedelta(days=1)
COLUMNS = {"customer": "who", "at": "at", "touchpoint": "step", "since": "2026-04-01", "until": "2026-07-01"}


def some(
    rng: np.random.Generator, paths: int, features: int, customers: int, lift: float = 0.0, high: float = 1.0
) -> tuple:
    """Return features, group and customer of paths; customers recur, in both groups, and differ in what they do."""
    who = rng.integers(0, customers, paths)
    level = rng.normal(0, 1, (customers, features))[who]  # a customer's paths are alike
    common = rng.normal(0, 1, (paths, 1))  # and so are the features of a path
    inside = rng.random(paths) < 0.3
    shift = np.where(np.arange(features) == 0, lift, 0.0)
    found = level + common + rng.normal(0, 1, (paths, features)) + inside[:, None] * shift > high
    return found, inside, np.unique(who, return_inverse=True)[1]


def test_differences_and_errors_are_those_of_a_clustered_regression(rng: np.random.Generator) -> None:
    found, inside, who = some(rng, 400, 3, 150)
    own = max_t.compare(found, inside, who, draws=200, alpha=0.05, rng=rng)
    for k in range(3):
        fit = sm.OLS(found[:, k].astype(float), sm.add_constant(inside.astype(float))).fit(
            cov_type="cluster", cov_kwds={"groups": who, "use_correction": False}
        )
        size = who.max() + 1
        assert own.difference[k] == pytest.approx(fit.params[1], abs=EXACT)
        assert own.error[k] == pytest.approx(fit.bse[1] * np.sqrt(size / (size - 1)), rel=1e-5)


def test_limits_are_newcombes_where_nobody_recurs(rng: np.random.Generator) -> None:
    found, inside, _ = some(rng, 900, 2, 900)
    own = max_t.compare(found, inside, np.arange(900), draws=200, alpha=0.05, rng=rng)
    for k in range(2):
        low, high = confint_proportions_2indep(
            found[inside, k].sum(), inside.sum(), found[~inside, k].sum(), (~inside).sum(), method="newcomb",
            alpha=2 * stats.norm.sf(own.critical),
        )  # fmt: skip
        assert (own.low[k], own.high[k]) == pytest.approx((low, high), abs=2e-4)  # n / (n - 1) in the errors


def test_max_t_by_hand() -> None:
    # Five draws of the largest statistic: 1 lies above 3, and 4 above 1.5; each share counts the sample itself, too.
    highest = np.array([1.0, 2.0, 2.5, 2.8, 3.5])
    assert max_t.adjusted(np.array([3.0, 1.5, 9.0, 1.0]), highest) == pytest.approx([2 / 6, 5 / 6, 1 / 6, 1.0])
    # With 19 draws, alpha 0.2: p < 0.2 needs fewer than 3 draws as large, so more than the third largest.
    assert max_t.critical(np.arange(1.0, 20.0), 0.2) == 17.0


def test_the_critical_value_and_the_p_values_say_the_same(rng: np.random.Generator) -> None:
    for draws, alpha in ((200, 0.05), (999, 0.05), (250, 0.1), (400, 0.01)):
        highest, value = np.abs(rng.normal(0, 1, draws)), np.abs(rng.normal(0, 2, 500))
        assert ((max_t.adjusted(value, highest) < alpha) == (value > max_t.critical(highest, alpha))).all()


def test_adjusted_p_values_lie_between_raw_and_bonferroni(rng: np.random.Generator) -> None:
    found, inside, who = some(rng, 1_500, 12, 1_500)
    own = max_t.compare(found, inside, who, draws=2_000, alpha=0.05, rng=rng)
    assert ((own.p_adjusted < 0.05) == ((own.low > 0) | (own.high < 0))).all()
    bonferroni = multipletests(own.p_value, method="bonferroni")[1]
    assert (own.p_adjusted >= own.p_value).all()
    assert (own.p_adjusted <= bonferroni + 0.05).all()  # drawn: two standard errors at a half are 0.02
    assert stats.norm.ppf(0.975) < own.critical < stats.norm.ppf(1 - 0.025 / 12) + 0.1


def test_the_same_feature_many_times_costs_nothing(rng: np.random.Generator) -> None:
    found, inside, who = some(rng, 2_000, 1, 2_000)
    own = max_t.compare(np.repeat(found, 30, axis=1), inside, who, draws=2_000, alpha=0.05, rng=rng)
    assert own.critical == pytest.approx(1.96, abs=0.12)  # Bonferroni would ask for 3.14


@pytest.mark.simulation
def test_the_family_wise_error_holds_and_a_planted_step_is_found(rng: np.random.Generator, replicates) -> None:
    tries, false, rare, found_it = replicates(100, 2_000), 0, 0, 0
    for _ in range(tries):
        null = max_t.compare(*some(rng, 500, 15, 250), draws=300, alpha=0.05, rng=rng)
        false += (null.p_adjusted < 0.05).any()
        null = max_t.compare(*some(rng, 500, 15, 250, high=2.4), draws=300, alpha=0.05, rng=rng)
        rare += (null.p_adjusted < 0.05).any()
    for _ in range(tries // 4):
        planted = max_t.compare(*some(rng, 500, 15, 250, lift=1.0), draws=300, alpha=0.05, rng=rng)
        found_it += planted.p_adjusted[0] < 0.05
    assert max(false, rare) / tries <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / tries)
    assert found_it / (tries // 4) > 0.8


def shop(rng: np.random.Generator, customers: int, lift: float = 0.0) -> pd.DataFrame:
    """Return a log in which every touch is as likely for all; with `lift` a chat comes before some of the ends.

    Half of the customers come late, and after its end everybody visits the desk: neither may be taken for a step to it.
    """
    first = pd.Timestamp("2025-09-01")
    came = rng.choice([0, 200], customers)
    parts = []
    for step, rate in (("Website", 3.0), ("Store", 1.5), ("Chat", 0.8), ("Advert", 2.0)):
        count = rng.poisson(rate, customers)
        who = np.repeat(np.arange(customers), count)
        parts.append(pd.DataFrame({"who": who, "day": came[who] + rng.uniform(0, 303 - came[who]), "step": step}))
    ended = rng.random(customers) < 0.3
    day = rng.uniform(215, 300, customers)
    ended &= day > came
    end = pd.DataFrame({"who": np.flatnonzero(ended), "day": day[ended], "step": "Desk"})
    parts += [end.assign(ends=True), end.assign(day=end["day"] + 0.5, step="Desk after")]
    chat = end[rng.random(len(end)) < lift]
    parts.append(chat.assign(day=chat["day"] - rng.uniform(1, 20, len(chat)), step="Chat"))
    found = pd.concat(parts, ignore_index=True)
    at = first + pd.to_timedelta((found["day"] * 86_400).astype(int), unit="s")
    return pd.DataFrame(
        {"who": "c" + found["who"].astype(str), "at": at, "step": found["step"],
         "ends": found["ends"].astype("boolean").fillna(False).astype(bool)}
    )  # fmt: skip


def differences(found: pd.DataFrame) -> pd.DataFrame:
    return found[found["comparison"] == "difference"].set_index("level")


def test_a_planted_step_is_found_and_nothing_that_comes_after(rng: np.random.Generator) -> None:
    found = journeys.paths(shop(rng, 3_000, lift=0.4), "ends", **COLUMNS, window=60, rng=rng, draws=400)
    rows = differences(found)
    assert rows.loc["Chat", "verdict"] == "moved"
    assert rows.loc["Chat", "conf_low"] > 0.1
    assert "Desk after" not in rows.index or rows.loc["Desk after", "verdict"] != "moved"
    assert set(rows.loc[["Website", "Store", "Advert"], "verdict"]) <= {"not shown", "could not have been seen"}
    shares = found[(found["comparison"] == "share") & (found["level"] == "Chat")].set_index("at")["estimate"]
    assert rows.loc["Chat", "estimate"] == pytest.approx(shares["ended so"] - shares["did not"], abs=EXACT)
    assert rows.loc["Chat", "n"] == rows["n"].iloc[0] > rows["n_eff"].iloc[0]
    assert rows["estimate"].abs().is_monotonic_decreasing


@pytest.mark.simulation
def test_the_whole_design_makes_nothing_of_nothing(rng: np.random.Generator, replicates) -> None:
    # Customers of unequal age, ends spread over a quarter: with a look-back up to each one's last event instead of a
    # matched moment, those who ended so would have had less time for everything.
    tries, false = replicates(12, 400), 0
    for _ in range(tries):
        found = journeys.paths(shop(rng, 1_000), "ends", **COLUMNS, window=60, controls=2, rng=rng, draws=200)
        false += (found["verdict"] == "moved").any()
    assert false / tries <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / tries)


def test_frames_and_tables_say_the_same(rng: np.random.Generator) -> None:
    given = shop(rng, 800, lift=0.3)
    one = journeys.paths(given.sample(frac=1, random_state=3), "ends", **COLUMNS, window=60, draws=200)
    kinds = {"who": "string", "at": "timestamp(6)", "step": "string", "ends": "boolean"}
    table = ibis.memtable(given.assign(at=given["at"].astype("datetime64[us]")), schema=kinds)
    pd.testing.assert_frame_equal(journeys.paths(table, "ends", **COLUMNS, window=60, draws=200), one)


def test_the_whole_log_is_looked_at_where_nothing_else_is_said(rng: np.random.Generator) -> None:
    given = shop(rng, 800, lift=0.3)
    whole = {name: COLUMNS[name] for name in ("customer", "at", "touchpoint")}
    own = journeys.paths(given, "ends", **whole, window=60, draws=200)
    limits = {"since": given["at"].min() + 120 * DAY, "until": given["at"].max() + pd.Timedelta(seconds=1)}
    pd.testing.assert_frame_equal(own, journeys.paths(given, "ends", **whole, **limits, window=60, draws=200))
    empty = journeys.paths(given.head(0), "ends", **whole, window=60)
    assert empty["status"].tolist() == [results.UNDEFINED]


def test_who_counts_when_by_hand() -> None:
    # A ends on day 100 and again; B never; C comes too late; D is gone before; E ends, but before anything counts.
    start = pd.Timestamp("2026-01-01")
    rows = [
        ("A", 0, "Website", 0, 0), ("A", 95, "Chat", 0, 0), ("A", 100, "Desk", 1, 0), ("A", 101, "Desk", 1, 0),
        ("B", 0, "Website", 0, 0), ("B", 90, "Store", 0, 0), ("C", 99, "Website", 0, 0), ("D", 0, "Chat", 0, 0),
        ("D", 91, "Chat", 0, 1), ("E", 0, "Desk", 1, 0), ("E", 98, "Store", 0, 0),
    ]  # fmt: skip
    events = pd.DataFrame(rows, columns=["who", "day", "_touch", "_ends", "gone"])
    at = (start + events["day"] * DAY).astype("datetime64[s]").astype("int64")
    table = ibis.memtable(
        pd.DataFrame(
            {"_who": events["who"], "_at": at, "_touch": events["_touch"], "_ends": events["_ends"] > 0,
             "gone": events["gone"] > 0}
        ),
        schema={"_who": "string", "_at": "int64", "_touch": "string", "_ends": "boolean", "gone": "boolean"},
    )  # fmt: skip
    from cxlib.analysis.journeys import at_risk

    since, until = (int((start + DAY * days).timestamp()) for days in (92, 150))
    study = at_risk.Study(since, until, at_risk.days(30), 0, 200, 100)
    known = at_risk.customers(table, study, "", "gone")
    assert known["_who"].tolist() == ["A", "B", "C", "E"]
    drawn = at_risk.matched(known, study, np.random.default_rng(1))
    who = known["_who"].to_numpy()[drawn["who"]]
    assert who[drawn["inside"]].tolist() == ["A"]
    assert set(who[~drawn["inside"]]) == {"B", "E"}  # C had not been there for 30 days
    assert set(drawn["moment"]) == {int((start + 100 * DAY).timestamp())}
    touched = at_risk.touches(table, known, drawn, study, [])
    own = touched[(touched["path"] == 0) & ~touched["early"]]
    assert own["_touch"].tolist() == ["Chat"]  # neither the end nor what is too old


def test_pairs_repeats_counts_and_marks() -> None:
    from cxlib.analysis.journeys.features import features

    events = pd.DataFrame(
        {"path": [0, 0, 0, 1, 1, 1], "_touch": ["A", "B", "A", "A", "A", None], "odd": [0, 0, 0, 0, 0, 1]}
    ).astype({"odd": bool})
    found = features(events, 3, {"odd": "something odd"})
    has = {name: found.found[:, place].tolist() for place, name in enumerate(found.names)}
    assert has["A"] == [True, True, False]
    assert has["A, twice or more"] == [True, True, False]
    assert has["A, then B"] == has["B, then A"] == [True, False, False]  # the same twice is told by itself
    assert "A, then A" not in has
    assert has["3 touches or more"] == [True, False, False]  # what is no step is none
    assert has["something odd"] == [False, True, False]


def test_few_and_none_and_nonsense(rng: np.random.Generator) -> None:
    given = shop(rng, 200)
    none = journeys.paths(given.assign(ends=False), "ends", **COLUMNS, window=60)
    assert none["status"].tolist() == [results.UNDEFINED]
    hidden = journeys.paths(given, "ends", **COLUMNS, window=60, min_n=150)
    assert hidden["status"].tolist() == [results.SUPPRESSED]
    with pytest.raises(UsageError, match="no column 'nope'"):
        journeys.paths(given, "nope", **COLUMNS)
    with pytest.raises(UsageError, match="window"):
        journeys.paths(given, "ends", **COLUMNS, window=-1)
    with pytest.raises(UsageError, match="empty"):
        journeys.paths(given, "ends", **{**COLUMNS, "until": "2026-01-01"})
    with pytest.raises(UsageError, match="draws"):
        journeys.paths(given, "ends", **COLUMNS, draws=10)
