"""Who answers: response rate, R-indicator, partials, tipping point.

Outside references: statsmodels' logistic regressions on single invitations, closed forms for one column (Schouten,
Cobben and Bethlehem 2009; Shlomo, Skinner and Schouten 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from cxlib.errors import UsageError
from cxlib.measure import response

FITTED = 1e-7  # two programmes stop their iterations at slightly different places


def invitations(
    rng: np.random.Generator, n: int = 1_500, spread: float = 0.3, each: int = 1, share: float = 0.3
) -> pd.DataFrame:
    """Invitations to `n / each` customers; the old and the pro answer more, and half of the time as their mood says."""
    who = np.arange(n) // each
    age, plan = (rng.choice(4, n // each)[who], rng.choice(2, n // each)[who])
    chance = share * (1 + spread * np.array([-1, -0.3, 0.3, 1])[age] + spread / 3 * np.array([-1, 1])[plan])
    mood = np.where(rng.random(n) < 0.5, rng.random(n // each)[who], rng.random(n)) if each > 1 else rng.random(n)
    names = np.array(["18-29", "30-44", "45-59", "60+"])[age], np.array(["basic", "pro"])[plan]
    return pd.DataFrame({"age": names[0], "plan": names[1], "answered": mood < chance, "chance": chance, "who": who})


def counted(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return cells as the engine brings them, worked out the slow way."""
    own = rows.groupby([*columns, "who"]).agg(y=("answered", "sum"), x=("answered", "size")).reset_index()
    own = own.assign(yy=own["y"] ** 2, xy=own["y"] * own["x"], xx=own["x"] ** 2, customers=1)
    names = {"y": "answered", "x": "invitations"}
    return own.groupby(columns, as_index=False)[["x", "y", "customers", "yy", "xy", "xx"]].sum().rename(columns=names)


def figure(frame: pd.DataFrame, at: str, segment: str = "all") -> pd.Series:
    found = frame[(frame["at"] == at) & (frame["segment"] == segment)]
    assert len(found) == 1
    return found.iloc[0]


# -- response rate


def test_rate_is_wilsons() -> None:
    found = response.rate(400, 117).iloc[0]
    assert (found["conf_low"], found["conf_high"]) == pytest.approx(proportion_confint(117, 400, method="wilson"))
    assert (found["estimate"], found["n"]) == (117 / 400, 400)


def test_rate_allows_for_customers_asked_often(rng: np.random.Generator) -> None:
    rows = invitations(rng, each=5)
    plain = response.rate(np.ones(len(rows)), rows["answered"])
    robust = response.rate(np.ones(len(rows)), rows["answered"], rows["who"])
    assert robust["n_eff"].iloc[0] < 0.8 * plain["n_eff"].iloc[0]
    assert robust["conf_low"].iloc[0] < plain["conf_low"].iloc[0]
    each = rows.groupby("who")["answered"].agg(["sum", "size"])
    pd.testing.assert_frame_equal(robust, response.rate(each["size"], each["sum"], each.index))


@pytest.mark.parametrize(("invited", "answered"), [([1, 1], [1, 2]), ([1], [-1]), ([1], [np.nan])])
def test_a_rate_that_cannot_be(invited: Any, answered: Any) -> None:
    with pytest.raises(UsageError, match="1 rows have more answers than invitations"):
        response.rate(invited, answered)


# -- R-indicator


def test_r_indicator_as_logistic_regression(rng: np.random.Generator) -> None:
    """Row by row with statsmodels: propensities, their cluster-robust covariance, and the formulas written out."""
    rows = invitations(rng, each=3)
    design = pd.get_dummies(rows[["age", "plan"]], drop_first=True).astype(float).assign(one=1.0).to_numpy()
    fit = sm.GLM(rows["answered"].astype(float), design, family=sm.families.Binomial()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": rows["who"].to_numpy()}
    )
    chance, n = np.asarray(fit.mu), len(rows)
    # statsmodels multiplies by (n - 1) / (n - k) besides.
    errors = np.asarray(fit.cov_params()) * (n - design.shape[1]) / (n - 1)
    slope = (chance * (1 - chance))[:, None] * design
    middle, edge = chance - chance.mean(), slope - slope.mean(axis=0)
    across = edge.T @ edge / n @ errors
    square = middle @ middle / n - np.trace(across)
    along = edge.T @ middle / n
    error = np.sqrt(4 * along @ errors @ along + 2 * np.trace(across @ across))
    found = figure(response.r_indicator(rows, ["age", "plan"], clusters="who"), "R-indicator")
    z = stats.norm.isf(0.025)
    assert found["estimate"] == pytest.approx(1 - 2 * np.sqrt(square), rel=FITTED)
    assert found["conf_high"] == pytest.approx(1 - 2 * np.sqrt(max(square - z * error, 0)), rel=FITTED)
    assert found["conf_low"] == pytest.approx(1 - 2 * np.sqrt(square + z * error), rel=FITTED)
    assert (found["n"], found["n_eff"]) == (n, n / 3)


def test_one_column_has_a_closed_form(rng: np.random.Generator) -> None:
    """Propensities are the levels' response rates r, so S^2 = sum p (r - R)^2 less sum p (1 - p) r (1 - r) / n."""
    rows = invitations(rng)
    level = rows.groupby("age")["answered"].agg(["mean", "size"])
    share, rate = level["size"] / len(rows), level["mean"]
    square = (share * (rate - rows["answered"].mean()) ** 2).sum()
    square -= (share * (1 - share) * rate * (1 - rate) / level["size"]).sum() * len(rows) / (len(rows) - 1)
    found = response.r_indicator(rows, ["age"])
    assert figure(found, "R-indicator")["estimate"] == pytest.approx(1 - 2 * np.sqrt(square), rel=FITTED)
    for at in ("partial", "conditional partial"):  # with one column both are S itself
        assert figure(found, at, "age")["estimate"] == pytest.approx(np.sqrt(square), rel=FITTED)
    bias = figure(found, "largest bias")
    assert bias["estimate"] == pytest.approx(np.sqrt(square) / rows["answered"].mean(), rel=FITTED)


def test_the_partials_name_the_column_that_matters(rng: np.random.Generator) -> None:
    """Between levels of age propensities differ three times as much as between plans; household is noise."""
    rows = invitations(rng, 20_000).assign(household=rng.choice(["one", "more"], 20_000))
    found = response.r_indicator(rows, ["age", "plan", "household"])
    for at in ("partial", "conditional partial"):
        age, plan, household = (figure(found, at, name) for name in ("age", "plan", "household"))
        assert age["conf_low"] > plan["conf_high"]
        assert plan["conf_low"] > household["estimate"]
        assert household["conf_low"] == 0
    spread = rows.groupby("age")["chance"].mean()
    truth = np.sqrt(((spread - rows["chance"].mean()) ** 2).mean())
    assert figure(found, "partial", "age")["conf_low"] <= truth <= figure(found, "partial", "age")["conf_high"]


def test_cells_and_rows_say_the_same(rng: np.random.Generator) -> None:
    rows = invitations(rng, each=3)
    cells = counted(rows, ["age", "plan"])
    by_rows = response.r_indicator(rows, ["age", "plan"], clusters="who")
    by_cells = response.r_indicator(cells, ["age", "plan"], invited="invitations")
    pd.testing.assert_frame_equal(by_rows, by_cells, rtol=FITTED)
    shuffled = response.r_indicator(rows.sample(frac=1, random_state=2), ["age", "plan"], clusters="who")
    pd.testing.assert_frame_equal(by_rows, shuffled, rtol=FITTED)


def test_a_million_invitations_cost_their_cells(rng: np.random.Generator) -> None:
    cells = counted(invitations(rng), ["age", "plan"])
    many = cells.assign(**{name: cells[name] * 700.0 for name in cells.columns if name not in ("age", "plan")})
    found = figure(response.r_indicator(many, ["age", "plan"], invited="invitations"), "R-indicator")
    assert found["n"] == 1_050_000
    assert found["conf_high"] - found["conf_low"] < 0.01


def test_where_a_level_never_answers(rng: np.random.Generator) -> None:
    """The likelihood has no maximum; what is told is finite, near the plain rates, and says so."""
    rows = invitations(rng)
    rows["answered"] &= rows["age"] != "18-29"
    found = response.r_indicator(rows, ["age"])
    whole = figure(found, "R-indicator")
    rate = rows.groupby("age")["answered"].transform("mean")
    assert whole["estimate"] == pytest.approx(1 - 2 * rate.std(), abs=0.01)
    assert "one invitation was added" in whole["note"]
    both = response.r_indicator(rows, ["age", "plan"])
    assert both["estimate"].notna().all()


def test_nested_columns_do_no_harm(rng: np.random.Generator) -> None:
    rows = invitations(rng)
    rows["half"] = np.where(rows["age"].isin(["18-29", "30-44"]), "young", "old")
    one, both = (figure(response.r_indicator(rows, names), "R-indicator") for names in (["age"], ["age", "half"]))
    assert both["estimate"] == pytest.approx(one["estimate"], rel=1e-5)
    partial = figure(response.r_indicator(rows, ["age", "half"]), "conditional partial", "half")
    assert partial["estimate"] == pytest.approx(0, abs=1e-6)  # age says it all


def test_small_levels_are_joined_and_missing_ones_named(rng: np.random.Generator) -> None:
    rows = invitations(rng)
    rows.loc[:2, "age"] = None
    rows.loc[3:5, "age"] = "99+"
    found = response.r_indicator(rows, ["age", "plan"])
    smallest = rows["age"].value_counts().drop("99+").idxmin()  # three and three are too few: it joins them
    assert figure(found, "R-indicator")["note"] == f"joined in age: {smallest}, 99+, unknown"
    alone = response.r_indicator(rows.assign(country="ES"), ["country"])
    assert alone["status"].tolist() == ["undefined"]
    assert "no column has two levels" in alone["note"].iloc[0]


@pytest.mark.parametrize(
    ("change", "status", "note"),
    [
        ({"answered": 0}, "undefined", "nobody answered"),
        ({"answered": 1}, "undefined", "everybody answered"),
        (5, "suppressed", "fewer customers"),
        (0, "suppressed", "fewer customers"),
    ],
)
def test_what_has_no_r_indicator(change: Any, status: str, note: str, rng: np.random.Generator) -> None:
    rows = invitations(rng, 60)
    rows = rows.head(change) if isinstance(change, int) else rows.assign(**change)
    found = response.r_indicator(rows, ["age"])
    assert found["status"].tolist() == [status]
    assert note in found["note"].iloc[0]


def test_columns_that_are_not_there(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match=r"no column 'agee'; .*no column 'who2'"):
        response.r_indicator(invitations(rng), ["agee"], clusters="who2")
    with pytest.raises(UsageError, match="no columns are named"):
        response.r_indicator(invitations(rng), [])
    with pytest.raises(UsageError, match="more answers than invitations"):
        response.r_indicator(invitations(rng).assign(answered=2), ["age"])


@pytest.mark.simulation
@pytest.mark.parametrize(("spread", "each"), [(0.3, 1), (0.3, 3), (0.0, 1)])
def test_coverage_and_bias(
    spread: float, each: int, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """The 95 % interval of R and the bias taken off: without it S^2 is too large by what chance alone spreads.

    Where all are equally likely to answer (spread 0) the interval always reaches 1: it is too wide, never too narrow.
    """
    times, found = replicates(40, 3_000), []
    for _ in range(times):
        rows = invitations(rng, 900, spread, each)
        cells = counted(rows, ["age", "plan"])
        row = figure(response.r_indicator(cells, ["age", "plan"], invited="invitations"), "R-indicator")
        rate = rows.groupby(["age", "plan"])["answered"].transform("mean")
        truth = 1 - 2 * rows["chance"].std(ddof=0)
        held = row["conf_low"] <= truth + 1e-9 and truth - 1e-9 <= row["conf_high"]
        found.append([held, row["estimate"] - truth, 1 - 2 * rate.std(ddof=0) - truth])
    covered, left, naive = np.mean(found, axis=0)
    assert covered >= 0.95 - 0.01 - 3 * np.sqrt(0.05 * 0.95 / times)
    assert naive < left  # without the adjustment answering looks less even than it is
    if spread:
        assert abs(left) < 0.01 + 3 * np.std(found, axis=0)[1] / np.sqrt(times)


# -- all at once


def test_who_answers_puts_it_together(rng: np.random.Generator) -> None:
    rows = invitations(rng, each=3)
    rows.loc[rows["who"] < 4, "plan"] = "trial"
    cells = counted(rows, ["age", "plan"])
    found = response.who_answers(cells, ["age", "plan"], period="2026-10", definition="abc")
    level = found[found["comparison"] == "level"].set_index(["segment", "level"])
    expected = response.rate(np.ones(len(rows)), rows["answered"], rows["who"]).iloc[0]
    for name in ("estimate", "conf_low", "conf_high", "n", "n_eff"):
        assert level.loc[("all", "all"), name] == pytest.approx(expected[name])
    # Four on trial are too few to be shown, and hidden alone they would be the whole less the others.
    plans = level.loc["plan"]
    assert len(plans) == 2
    assert "trial" in plans.loc["other levels", "note"].removeprefix("joined in plan: ").split(", ")
    assert plans["n"].sum() == len(rows)
    assert level.loc[("age", "60+"), "estimate"] == pytest.approx(rows.loc[rows["age"] == "60+", "answered"].mean())
    assert set(found["metric"]) == {"response_rate"}
    assert set(found["period"]) == {"2026-10"}
    assert figure(found, "R-indicator")["n"] == len(rows)


def test_without_segments_the_rate_stands_alone(rng: np.random.Generator) -> None:
    found = response.who_answers(counted(invitations(rng).assign(one="1"), ["one"]).drop(columns="one"), [])
    assert found["comparison"].tolist() == ["level"]
    assert found["n"].tolist() == [1_500]


# -- tipping point


@given(st.floats(0.05, 0.95), st.floats(-90, 90), st.floats(-90, 90))
def test_at_the_tipping_point_everybody_is_at_the_target(rate: float, score: float, target: float) -> None:
    found = response.tipping_point(score, rate, target, scale=(-100, 100)).iloc[0]
    silent = (target - rate * score) / (1 - rate)
    assert (found["status"] == "ok") == (-100 <= silent <= 100)
    if found["status"] == "ok":
        assert rate * score + (1 - rate) * found["estimate"] == pytest.approx(target, abs=1e-9)
        assert found["note"] == (response.OR_LESS if score >= target else response.OR_MORE)
    else:
        assert found["note"] == "no value of the scale from -100 to 100 turns the conclusion"


def test_the_limits_of_the_estimate_give_those_of_the_tipping_point() -> None:
    found = response.tipping_point(0.8, 0.5, 0.7, scale=(0, 1), conf=(0.75, 0.9), name="2026-09").iloc[0]
    assert found[["estimate", "conf_low", "conf_high"]].tolist() == pytest.approx([0.6, 0.5, 0.65])
    assert (found["at"], found["against"]) == ("non-respondents", "2026-09")
    assert response.tipping_point(0.8, 1, 0.7, scale=(0, 1))["status"].tolist() == ["undefined"]  # nobody is silent


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((31, 0, 30), "response rate 0 is not"),
        ((31, 1.2, 30), "response rate 1.2 is not"),
        ((131, 0.3, 30), "estimate 131 is outside the scale"),
        ((31, 0.3, -130), "against -130 is outside the scale"),
    ],
)
def test_what_cannot_tip(arguments: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        response.tipping_point(*arguments, scale=(-100, 100))
