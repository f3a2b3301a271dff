"""Weights: raking, Kish, weighted estimates, replicates, and which estimate leads.

Outside references: the R `survey` figures of the oracles (data `apistrat`), statsmodels, scipy's optimiser.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from cxlib.data.demo.truths import TRUTHS
from cxlib.errors import UsageError
from cxlib.measure import estimates, raking, weights
from cxlib.measure.moments import Moments
from cxlib.measure.replicates import rao_wu

API = {"stype": {"E": 4421, "H": 755, "M": 1018}, "sch.wide": {"No": 1072, "Yes": 5122}}
LAST_DIGITS = 1e-9  # sums of some hundred doubles in another order


@pytest.fixture
def api(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_data("survey_api") / "apistrat.csv")


def one(frame: pd.DataFrame) -> pd.Series:
    assert len(frame) == 1
    return frame.iloc[0]


def sums(weight: Any, by: pd.Series) -> dict[Any, float]:
    return pd.Series(np.asarray(weight)).groupby(by.to_numpy()).sum().to_dict()


# -- against R's survey package


def test_weights_only_as_r(api: pd.DataFrame, oracle: Callable[[str], Any]) -> None:
    """R `svydesign(ids = ~1, weights = ~pw)`: Taylor linearisation with n / (n - 1). Tolerance: the oracle's."""
    expected = oracle("survey_apistrat_weights_only")["expected"]
    found = one(weights.weighted_mean(api["api00"], api["pw"]))
    assert found["estimate"] == pytest.approx(expected["mean_api00"], rel=1e-6)
    assert found["std_error"] == pytest.approx(expected["se"], rel=1e-6)
    assert found["n_eff"] == pytest.approx(expected["kish_neff"], rel=1e-6)
    assert weights.kish(api["pw"]) == pytest.approx((expected["kish_deff"], expected["kish_neff"]), rel=1e-6)


def test_raking_as_r(api: pd.DataFrame, oracle: Callable[[str], Any]) -> None:
    """R's `rake` stops when no margin moves by more than one person (`epsilon = 1`), here after three rounds.

    Raked on until the margins hold to 1e-10, the weights differ from R's by up to 5e-5 and the mean by 3e-7: far
    within R's epsilon. The standard error is R's for raked designs: of the residuals of an unweighted regression on the
    margins, without strata or finite population correction.
    """
    expected = oracle("survey_apistrat_rake")["expected"]
    found = weights.rake(api, API, base=api["pw"])
    cell = found.groupby([api["stype"], api["sch.wide"]]).first()
    estimate = one(weights.weighted_mean(api["api00"], found, margins=api[list(API)]))
    assert estimate["estimate"] == pytest.approx(expected["mean_api00"], rel=1e-6)
    assert estimate["std_error"] == pytest.approx(expected["se"], rel=1e-5)
    assert weights.kish(found)[0] == pytest.approx(expected["kish_deff"], rel=2e-5)
    for (stype, wide), value in cell.items():
        assert value == pytest.approx(expected[f"w.{stype}.{wide}"], rel=6e-5)


def test_raking_as_r_after_as_many_rounds(api: pd.DataFrame, oracle: Callable[[str], Any]) -> None:
    """The reference's own convention: three rounds, stype first. Tolerance: the oracle's printed digits."""
    expected = oracle("survey_apistrat_rake")["expected"]
    cells, weight = raking.prepared(api, API, api["pw"], None)
    factors, misfit = raking.raked(cells, cells.add(weight), rounds=3)
    found = pd.Series(weight * factors[cells.of_row])
    for (stype, wide), value in found.groupby([api["stype"], api["sch.wide"]]).first().items():
        assert value == pytest.approx(expected[f"w.{stype}.{wide}"], rel=1e-12)
    assert weights.kish(found)[0] == pytest.approx(expected["kish_deff"], rel=1e-12)
    estimate = one(weights.weighted_mean(api["api00"], found, margins=api[list(API)]))
    assert estimate["estimate"] == pytest.approx(expected["mean_api00"], rel=1e-12)
    assert estimate["std_error"] == pytest.approx(expected["se"], rel=1e-5)
    assert misfit > raking.TOLERANCE  # which `rake` would refuse


def test_stratified_design_as_r(api: pd.DataFrame, oracle: Callable[[str], Any]) -> None:
    """R `svydesign(strata = ~stype, fpc = ~fpc)`: what applies here.

    Customers are not drawn in strata and a survey is no drawing without replacement, so neither is offered, nor R's
    design effect, which compares with a simple random sample (ours is Kish's, of the weights alone). Put together by
    hand from our own rows of each stratum, R's standard errors come out; its interval is normal, ours t.
    """
    expected = oracle("survey_apistrat")["expected"]
    total, variance, enrolled = float(api["pw"].sum()), 0.0, 0.0
    for stype, part in api.groupby("stype"):
        left = 1 - len(part) / part["fpc"].iloc[0]
        score = one(weights.weighted_mean(part["api00"], part["pw"]))
        assert score["estimate"] == pytest.approx(expected[f"by_stype_mean.{stype}"], rel=1e-6)
        assert score["std_error"] * np.sqrt(left) == pytest.approx(expected[f"by_stype_se.{stype}"], rel=1e-6)
        pupils = one(weights.weighted_mean(part["enroll"], part["pw"]))
        variance += left * (part["pw"].sum() / total * score["std_error"]) ** 2
        enrolled += left * (part["pw"].sum() * pupils["std_error"]) ** 2
        share = one(weights.weighted_mean(api["stype"] == stype, api["pw"], kind="share"))
        assert share["estimate"] == pytest.approx(expected[f"prop_stype.stype{stype}"], rel=1e-6)
    whole = one(weights.weighted_mean(api["api00"], api["pw"]))
    assert whole["estimate"] == pytest.approx(expected["mean_api00"], rel=1e-6)
    assert np.sqrt(variance) == pytest.approx(expected["se"], rel=1e-6)
    z = stats.norm.isf(0.025)
    assert whole["estimate"] - z * np.sqrt(variance) == pytest.approx(expected["ci.1"], rel=1e-6)
    assert whole["estimate"] + z * np.sqrt(variance) == pytest.approx(expected["ci.2"], rel=1e-6)
    pupils = one(weights.weighted_mean(api["enroll"], api["pw"]))
    assert pupils["estimate"] * total == pytest.approx(expected["total_enroll"], rel=1e-6)
    assert np.sqrt(enrolled) == pytest.approx(expected["total_enroll_se"], rel=1e-6)


# -- raking


def sample(rng: np.random.Generator, n: int = 400) -> pd.DataFrame:
    return pd.DataFrame(
        {"age": rng.choice(["young", "middle", "old"], n, p=[0.2, 0.3, 0.5]), "plan": rng.choice(["basic", "pro"], n)}
    )


MARGINS = {"age": {"young": 400.0, "middle": 350.0, "old": 250.0}, "plan": {"basic": 700.0, "pro": 300.0}}


@given(st.integers(0, 10_000), st.booleans())
def test_weights_reproduce_the_margins(seed: int, bounded: bool) -> None:
    rng = np.random.default_rng(seed)
    frame = sample(rng, 200)
    base = rng.uniform(0.5, 2, 200)
    bounds = (0.2, 5.0) if bounded else None
    found = weights.rake(frame, MARGINS, base=base, bounds=bounds)
    for name, totals in MARGINS.items():
        assert sums(found, frame[name]) == pytest.approx(totals, rel=1e-9)
    again = weights.rake(frame, MARGINS, base=7 * base, bounds=bounds)  # the scale of base weights says nothing
    assert np.allclose(found, again, rtol=LAST_DIGITS)
    order = rng.permutation(200)
    shuffled = weights.rake(frame.iloc[order], MARGINS, base=base[order], bounds=bounds)
    assert np.allclose(shuffled.sort_index(), found, rtol=LAST_DIGITS)


def test_raking_to_one_margin_is_post_stratification(rng: np.random.Generator) -> None:
    frame = sample(rng)
    found = weights.rake(frame, {"age": MARGINS["age"]})
    counts = frame["age"].value_counts()
    assert np.allclose(found, frame["age"].map(MARGINS["age"]) / frame["age"].map(counts), rtol=LAST_DIGITS)


def test_raking_keeps_the_interaction(rng: np.random.Generator) -> None:
    """Deming and Stephan: factors of rows times factors of columns, so every odds ratio stays."""
    frame = sample(rng)
    cells = [frame["age"].to_numpy(), frame["plan"].to_numpy()]
    before = frame.groupby(cells).size().unstack()
    after = weights.rake(frame, MARGINS).groupby(cells).sum().unstack()
    old = [
        (table["basic"] / table["pro"])["young"] / (table["basic"] / table["pro"])["old"] for table in (before, after)
    ]
    assert old[1] == pytest.approx(old[0], rel=LAST_DIGITS)


def test_margins_may_be_counted_by_pandas(rng: np.random.Generator) -> None:
    frame = sample(rng)
    margins = {name: pd.Series(totals) for name, totals in MARGINS.items()}
    assert np.allclose(weights.rake(frame, margins), weights.rake(frame, MARGINS), rtol=LAST_DIGITS)


def test_a_series_with_the_index_of_the_frame(rng: np.random.Generator) -> None:
    frame = sample(rng).set_index(pd.Index([f"r{number}" for number in range(400)]))
    found = weights.rake(frame.astype("category"), MARGINS, base=pd.Series(1.0, frame.index))
    assert found.index.equals(frame.index)
    assert np.allclose(found, weights.rake(frame, MARGINS), rtol=LAST_DIGITS)


def test_bounds_hold_and_what_is_cut_goes_to_others(rng: np.random.Generator) -> None:
    frame, base = sample(rng), rng.uniform(0.5, 2, 400)
    margins = {"age": {"young": 560.0, "middle": 240.0, "old": 200.0}, "plan": {"basic": 700.0, "pro": 300.0}}
    free = weights.rake(frame, margins, base=base) / base
    mean = 1000 / base.sum()
    assert (free / mean).max() > 3.2  # else nothing would be cut
    ratio = weights.rake(frame, margins, base=base, bounds=(0.2, 3.2)) / base / mean
    assert ratio.between(0.2 - 1e-12, 3.2 + 1e-12).all()
    for name, totals in margins.items():
        assert sums(ratio * base * mean, frame[name]) == pytest.approx(totals, rel=1e-9)
    wide = weights.rake(frame, margins, base=base, bounds=(0.01, 50))
    assert np.allclose(wide, free * base, rtol=LAST_DIGITS)  # bounds that do not bind change nothing


def test_bounded_raking_is_the_nearest_to_the_base(rng: np.random.Generator) -> None:
    """Deville and Sarndal (1992): the least sum of b (g ln g - g + 1) within the bounds, by scipy's SLSQP (1e-5)."""
    frame = sample(rng)
    margins = {"age": {"young": 560.0, "middle": 240.0, "old": 200.0}, "plan": {"basic": 700.0, "pro": 300.0}}
    cells = frame.groupby(["age", "plan"]).size()
    share = cells.to_numpy() / 400
    levels = [(name, level) for name, totals in margins.items() for level in totals][:-1]  # the last follows
    on = np.array([cells.index.get_level_values(name) == level for name, level in levels], dtype=float) * share
    aims = np.array([margins[name][level] / 1000 for name, level in levels])
    met = {"type": "eq", "fun": lambda g: on @ g - aims, "jac": lambda g: on}
    best = optimize.minimize(
        lambda g: (share * (g * np.log(g) - g + 1)).sum(), np.ones(len(cells)), bounds=[(0.2, 3.2)] * len(cells),
        constraints=met, method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    found = weights.rake(frame, margins, bounds=(0.2, 3.2)).groupby([frame["age"], frame["plan"]]).first()
    assert best.success
    assert np.allclose(found * 400 / 1000, best.x, rtol=1e-5)


def test_a_million_rows_cost_their_cells(rng: np.random.Generator) -> None:
    frame = sample(rng, 1_000_000)
    found = weights.rake(frame, MARGINS, bounds=(0.2, 5))
    assert found.groupby([frame["age"], frame["plan"]]).nunique().max() == 1
    assert sums(found, frame["age"]) == pytest.approx(MARGINS["age"], rel=1e-9)


def test_totals_equal_but_for_rounding_are_one_total(rng: np.random.Generator) -> None:
    frame = sample(rng)
    rounded = MARGINS | {"plan": {"basic": 700.0, "pro": 300.0 + 9e-4}}
    assert np.allclose(weights.rake(frame, rounded), weights.rake(frame, MARGINS), rtol=1e-5)
    assert weights.rake(frame, rounded).sum() == pytest.approx(1000, rel=LAST_DIGITS)  # the first margin's


def without(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].mask(np.arange(len(frame)) < 3)})


@pytest.mark.parametrize(
    ("change", "margins", "options", "told"),
    [
        (None, {}, {}, ["no margins are given"]),
        (None, {"age": {}}, {}, ["'age'", "it has none"]),
        (None, {"agee": MARGINS["age"]}, {}, ["no column 'agee'", "did you mean 'age'?"]),
        (None, {"plan": {"basic": 700, "pro": 0}}, {}, ["above zero", "pro (0)"]),
        (None, {"plan": {"basic": 700, "pro": -3}}, {}, ["above zero", "pro (-3)"]),
        (None, {"plan": {"basic": 700, "pro": float("nan")}}, {}, ["above zero", "pro (nan)"]),
        (None, {"plan": {"basic": 700, "pro": "many"}}, {}, ["above zero", "pro (nan)"]),
        (None, {"plan": {"basic": 700}}, {}, ["no total for 'pro'", "Collapse"]),
        (None, {"plan": {"basic": 700, "pro": 200, "max": 100}}, {}, ["no row has 'max'", "'plan'"]),
        (None, MARGINS | {"plan": {"basic": 700, "pro": 301}}, {}, ["add up to 1,000", "to 1,001"]),
        ("age", MARGINS, {}, ["'age' is missing in 3 rows"]),
        (None, MARGINS, {"base": np.ones(3)}, ["3 base weights for 400 rows"]),
        (None, MARGINS, {"base": np.r_[0.0, np.nan, -1, np.inf, np.ones(396)]}, ["4 base weights are missing, zero"]),
        (None, MARGINS, {"base": pd.Series(1.0, range(1, 401))}, ["another index"]),
        (None, MARGINS, {"bounds": (1.2, 2)}, ["bounds (1.2, 2)"]),
        (None, MARGINS, {"bounds": (-0.1, 2)}, ["bounds"]),
        # Nobody is old on every account but one: 650 young ones cannot weigh more than twice the mean.
        (None, MARGINS | {"age": {"young": 850, "middle": 100, "old": 50}}, {"bounds": (0.1, 2)},
         ["cannot all be met with ratios from 0.1 to 2", "of 'age'", "Widen the bounds"]),
    ],
)  # fmt: skip
def test_what_cannot_be_raked(
    change: str | None, margins: Any, options: Any, told: list[str], rng: np.random.Generator
) -> None:
    frame = sample(rng)
    with pytest.raises(UsageError) as error:
        weights.rake(without(frame, change) if change else frame, margins, **options)
    assert all(words in str(error.value) for words in told)


def test_all_faults_at_once(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError) as error:
        weights.rake(without(sample(rng), "age"), {"plan": {"basic": -1}, "age": {"young": 5}}, base=[1], bounds=(2, 3))
    for words in ("basic (-1)", "'age' is missing", "no total for", "1 base weights", "bounds (2, 3)"):
        assert words in str(error.value)
    with pytest.raises(UsageError, match="no rows"):
        weights.rake(sample(rng).head(0), MARGINS)


def test_margins_that_contradict_each_other() -> None:
    """All young are basic and all old pro: 60 young cannot be 50 basic."""
    frame = pd.DataFrame({"age": ["young"] * 5 + ["old"] * 5, "plan": ["basic"] * 5 + ["pro"] * 5})
    with pytest.raises(UsageError, match=r"cannot all be met: '\w+' of '(age|plan)' stays"):
        weights.rake(frame, {"age": {"young": 60, "old": 40}, "plan": {"basic": 50, "pro": 50}})


# -- Kish and weighted estimates


def test_kish_of_equal_weights() -> None:
    assert weights.kish(np.full(50, 3.0)) == pytest.approx((1, 50))
    assert weights.kish([1, 1, 2]) == pytest.approx((3 * 6 / 16, 16 / 6))


@pytest.mark.parametrize("bad", [[1, -1], [np.nan, 1], [0, 0], [np.inf, 1]])
def test_weights_that_are_none(bad: list[float]) -> None:
    with pytest.raises(UsageError):
        weights.kish(bad)
    with pytest.raises(UsageError):
        weights.weighted_mean([1, 2], bad)


def test_linearised_as_statsmodels(rng: np.random.Generator) -> None:
    """`WLS` on a constant: HC1 is n / (n - 1), and the cluster-robust one G / (G - 1), of the same sums."""
    y, w, who = rng.normal(5, 2, 300), rng.uniform(0.2, 3, 300), rng.integers(0, 80, 300)
    model = sm.WLS(y, np.ones(300), weights=w)
    plain = one(weights.weighted_mean(y, w))
    assert plain["estimate"] == pytest.approx(float(np.average(y, weights=w)), rel=1e-12)
    assert plain["std_error"] == pytest.approx(model.fit(cov_type="HC1").bse[0], rel=LAST_DIGITS)
    robust = model.fit(cov_type="cluster", cov_kwds={"groups": who})
    found = one(weights.weighted_mean(y, w, clusters=who.astype(str)))
    assert found["std_error"] == pytest.approx(robust.bse[0], rel=LAST_DIGITS)
    groups = len(np.unique(who))
    half = stats.t.isf(0.025, groups - 1) * found["std_error"]
    assert (found["conf_low"], found["conf_high"]) == pytest.approx(
        (found["estimate"] - half, found["estimate"] + half)
    )


def test_equal_weights_are_no_weights(rng: np.random.Generator) -> None:
    """The t interval of the mean is that of `estimates`; Wilson's and the adjusted Wald are for n - 1 answers, since
    the variance is divided by that.
    """
    y = rng.normal(0, 1, 60)
    found, plain = (one(frame) for frame in (weights.weighted_mean(y, np.full(60, 2.0)), estimates.mean(Moments.of(y))))
    names = ["estimate", "std_error", "conf_low", "conf_high", "n", "n_eff"]
    assert found[names].tolist() == pytest.approx(plain[names].tolist(), rel=LAST_DIGITS)
    happy = np.repeat([1.0, 0.0], [42, 18])
    found = one(weights.weighted_mean(happy, np.full(60, 2.0), kind="share"))
    plain = one(estimates.share(42, 60, n_eff=59))
    ends = ["estimate", "conf_low", "conf_high"]
    assert found[ends].tolist() == pytest.approx(plain[ends].tolist(), rel=LAST_DIGITS)
    score = np.repeat([1.0, 0.0, -1.0], [30, 18, 12])
    found = one(weights.weighted_mean(score, np.full(60, 2.0), kind="nps"))
    plain = one(estimates.nps(30, 18, 12, n_eff=59))
    assert found[ends].tolist() == pytest.approx(plain[ends].tolist(), rel=LAST_DIGITS)
    assert found["estimate"] == pytest.approx(30)


def test_nps_is_a_hundred_times_the_mean(rng: np.random.Generator) -> None:
    y, w = rng.choice([-1.0, 0, 1], 500), rng.uniform(0.5, 2, 500)
    points, mean = one(weights.weighted_mean(y, w, kind="nps")), one(weights.weighted_mean(100 * y, w))
    assert points["estimate"] == pytest.approx(mean["estimate"], rel=LAST_DIGITS)
    assert points["std_error"] == pytest.approx(mean["std_error"], rel=0.01)  # three answers more


def test_answers_that_are_all_alike() -> None:
    w = np.r_[np.ones(15), np.full(5, 3.0)]
    share = one(weights.weighted_mean(np.ones(20), w, kind="share"))
    plain = one(estimates.share(20, 20, n_eff=weights.kish(w)[1]))
    assert (share["conf_low"], share["conf_high"]) == pytest.approx((plain["conf_low"], 1))
    score = one(weights.weighted_mean(np.ones(20), w, kind="nps"))
    assert 50 < score["conf_low"] < 95
    assert score["conf_high"] == 100
    assert "no width" in one(weights.weighted_mean(np.full(20, 7.0), w))["note"]


def test_missing_answers_do_not_count(rng: np.random.Generator) -> None:
    y, w = np.r_[rng.normal(0, 1, 30), np.full(5, np.nan)], rng.uniform(1, 2, 35)
    found, plain = one(weights.weighted_mean(y, w)), one(weights.weighted_mean(y[:30], w[:30]))
    assert found["n"] == 30
    assert found["std_error"] == pytest.approx(plain["std_error"])
    assert one(weights.weighted_mean([np.nan], [1]))["status"] == "undefined"
    assert one(weights.weighted_mean([3.0], [1]))["status"] == "too_few"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "median"}, "'median' is no weighted mean"),
        ({"kind": "share"}, "2 is among them"),
        ({"kind": "nps"}, "2 is among them"),
        ({"replicates": np.ones((3, 5))}, "shape"),
        ({"replicates": np.ones((4, 5)), "margins": pd.DataFrame({"a": list("xxyy")})}, "belong into the replicates"),
        ({"confidence": 95}, "confidence"),
    ],
)
def test_what_cannot_be_weighted(options: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        weights.weighted_mean([0.0, 1, 2, 1], np.ones(4), **options)
    with pytest.raises(UsageError, match="4 values and 3 weights"):
        weights.weighted_mean([0.0, 1, 2, 1], np.ones(3))


# -- replicates


def test_replicates_meet_the_margins(rng: np.random.Generator) -> None:
    frame, base, who = sample(rng), rng.uniform(0.5, 2, 400), rng.integers(0, 150, 400)
    found = rao_wu(frame, MARGINS, base=base, clusters=who, times=50, rng=rng)
    assert found.shape == (400, 50)
    for name, totals in MARGINS.items():
        for level, total in totals.items():
            assert found[(frame[name] == level).to_numpy()].sum(axis=0) == pytest.approx(total, rel=1e-9)


def test_a_customer_is_drawn_whole(rng: np.random.Generator) -> None:
    """Without margins that tell rows apart, the weight over base is the customer's own: r G / (G - 1), rescaled."""
    who = rng.integers(0, 40, 300)
    frame = pd.DataFrame({"all": "all", "who": who}, index=range(300))
    found = rao_wu(frame, {"all": {"all": 300.0}}, clusters=who.astype(str), times=20, rng=rng)
    groups = len(np.unique(who))
    for number in range(20):
        own = pd.Series(found[:, number]).groupby(who)
        assert (own.nunique() == 1).all()
        scale = own.first() / own.first()[own.first() > 0].min()
        assert np.allclose(scale, scale.round())  # whole numbers of draws
        assert scale.sum() % 1 == pytest.approx(0, abs=1e-9)
        assert scale.sum() <= groups - 1


def test_replicates_do_not_depend_on_the_order_of_rows(rng: np.random.Generator) -> None:
    frame, who = sample(rng), np.array([f"c{number}" for number in rng.integers(0, 150, 400)])
    order = rng.permutation(400)
    found = [
        rao_wu(one, MARGINS, clusters=customers, times=5, rng=np.random.default_rng(5))
        for one, customers in ((frame, who), (frame.iloc[order], who[order]))
    ]
    assert np.allclose(found[0][order], found[1], rtol=LAST_DIGITS)


def test_a_level_that_a_replicate_lost_is_left_out_there(rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"age": ["young"] * 2 + ["old"] * 30})
    found = rao_wu(frame, {"age": {"young": 50, "old": 50}}, times=200, rng=rng)
    young = found[:2].sum(axis=0)
    assert 0 < (young == 0).mean() < 0.3  # (1 - 2 / 32)^31 = 0.135
    assert found.sum(axis=0) == pytest.approx(100)


def test_replicate_variance_is_the_linearised_one(api: pd.DataFrame) -> None:
    """The two estimate the same variance; 2,000 replicates have a relative error of 1 / sqrt(2 x 2000) = 1.6 %."""
    found = weights.rake(api, API, base=api["pw"])
    copies = rao_wu(api, API, base=api["pw"], times=2_000, rng=np.random.default_rng(3))
    linear = one(weights.weighted_mean(api["api00"], found, margins=api[list(API)]))["std_error"]
    again = one(weights.weighted_mean(api["api00"], found, replicates=copies))
    assert again["std_error"] == pytest.approx(linear, rel=0.05)
    values = api["api00"].to_numpy() @ copies / copies.sum(axis=0)
    assert again["std_error"] ** 2 == pytest.approx(np.mean((values - again["estimate"]) ** 2), rel=LAST_DIGITS)


def test_clusters_count_the_degrees_of_freedom_of_replicates(rng: np.random.Generator) -> None:
    frame, who, y = sample(rng, 60), np.repeat(np.arange(12), 5), rng.normal(0, 1, 60)
    copies = rao_wu(frame, {"age": MARGINS["age"]}, clusters=who, times=50, rng=rng)
    weight = weights.rake(frame, {"age": MARGINS["age"]})
    found = one(weights.weighted_mean(y, weight, replicates=copies, clusters=who))
    half = stats.t.isf(0.025, 11) * found["std_error"]
    assert found["conf_high"] - found["estimate"] == pytest.approx(half)


def test_bounds_hold_in_every_replicate(rng: np.random.Generator) -> None:
    """Also where the margins then cannot be met: the second replicate has one young customer of 400."""
    cells, _ = raking.prepared(sample(rng), MARGINS, None, None)
    young = cells.levels[0] == 0
    base = np.column_stack([np.full(6, 60.0), np.where(young, 0.5, 100.0)])
    factors, misfit = raking.raked(cells, base, (0.5, 2), rounds=200)
    ratio = factors / (1000 / base.sum(axis=0))
    assert ratio.min() >= 0.5 - 1e-12
    assert ratio.max() <= 2 + 1e-12
    assert misfit[0] < raking.TOLERANCE < misfit[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"times": 1}, "1 replicates"),
        ({"clusters": ["a"] * 400}, "of 1 customers"),
        ({"clusters": ["a"]}, "1 clusters"),
    ],
)
def test_what_cannot_be_replicated(options: Any, told: str, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match=told):
        rao_wu(sample(rng), MARGINS, rng=rng, **options)


# -- whom a score speaks for


AGES = {"18-29": 0.24, "30-44": 0.33, "45-59": 0.26, "60+": 0.17}
POPULATION = pd.DataFrame({"age": list(AGES), "customers": [240.0, 330.0, 260.0, 170.0]})


def answers(rng: np.random.Generator, n: int = 600, lift: float = 0.0) -> pd.DataFrame:
    """Respondents, too old by far; the old score higher where `lift` says so."""
    age = rng.choice(list(AGES), n, p=[0.12, 0.25, 0.3, 0.33])
    old = pd.Series(age).map({"18-29": -1.5, "30-44": -0.5, "45-59": 0.5, "60+": 1.5}).to_numpy()
    latent = rng.normal(0.2 + lift * old, 1, n)
    y = np.select([latent > 0.5, latent < -0.5], [1.0, -1.0], 0.0)
    return pd.DataFrame({"age": age, "rows": 1.0, "x": 1.0, "y": y, "y2": y**2})


def spoken(respondents: pd.DataFrame, population: pd.DataFrame | None = POPULATION, **options: Any) -> Any:
    given_ = {"columns": ["age"], "kind": "nps", "rng": np.random.default_rng(1)} | options
    return weights.speaks_for(respondents, population, given_.pop("columns"), **given_)


def sides(found: Any) -> tuple[pd.Series, pd.Series, pd.Series]:
    frame = found.frame
    level, gap = frame[frame["comparison"] == "level"], frame[frame["comparison"] == "difference"]
    return one(level[level["at"] == "unweighted"]), one(level[level["at"] == "weighted"]), one(gap)


def test_side_by_side_is_made_of_the_parts(rng: np.random.Generator) -> None:
    """Unweighted as `estimates`, weighted as `rake` and `weighted_mean` on rows, Kish as `kish`."""
    people = answers(rng)
    plain, weighted, gap = sides(spoken(people, metric="nps", period="2026-10", definition="abc"))
    counts = [int((people["y"] == value).sum()) for value in (1, 0, -1)]
    names = ["estimate", "std_error", "conf_low", "conf_high", "n", "n_eff"]
    assert plain[names].tolist() == pytest.approx(one(estimates.nps(*counts))[names].tolist())
    weight = weights.rake(people, {"age": dict(zip(POPULATION["age"], POPULATION["customers"], strict=True))})
    expected = one(weights.weighted_mean(people["y"], weight, kind="nps", margins=people[["age"]]))
    assert weighted["estimate"] == pytest.approx(expected["estimate"])
    assert weighted["n_eff"] == pytest.approx(weights.kish(weight)[1])
    assert weighted["std_error"] == pytest.approx(expected["std_error"], rel=0.15)  # 200 replicates: 5 %, three times
    assert gap["estimate"] == pytest.approx(weighted["estimate"] - plain["estimate"])
    assert gap["conf_low"] < gap["estimate"] < gap["conf_high"]
    design = one(spoken(people).frame.query("comparison == 'index'"))
    assert design["estimate"] == pytest.approx(weights.kish(weight)[0])
    assert (plain["metric"], plain["period"], plain["definition"]) == ("nps", "2026-10", "abc")


def test_neither_order_nor_counting_matters(rng: np.random.Generator) -> None:
    people = answers(rng)
    counted = people.groupby(list(people.columns), as_index=False).size().rename(columns={"size": "customers"})
    found = [spoken(one).frame for one in (people, people.sample(frac=1, random_state=3), counted, counted.iloc[::-1])]
    for other in found[1:]:
        pd.testing.assert_frame_equal(found[0], other)


def test_weighted_leads_where_who_answers_matters(rng: np.random.Generator) -> None:
    found = spoken(answers(rng, lift=0.5))
    plain, weighted, gap = sides(found)
    assert found.leads == "weighted"
    assert gap["conf_high"] < 0  # too many of the happy old
    assert weighted["note"].startswith("leads: weighting moves it by \u2212")
    assert not plain["note"].startswith("leads")
    assert found.words.startswith("Weighted leads: ")


def test_unweighted_leads_where_it_does_not(rng: np.random.Generator) -> None:
    found = spoken(answers(rng))
    plain, _, gap = sides(found)
    assert gap["conf_low"] < 0 < gap["conf_high"]
    assert found.leads == "unweighted"
    assert plain["note"].startswith("leads: weighting moves it by ")


def test_a_share_a_mean_and_a_ratio(rng: np.random.Generator) -> None:
    people = answers(rng, lift=0.5)
    happy = people.assign(y=(people["y"] > 0) * 1.0, y2=(people["y"] > 0) * 1.0)
    plain, weighted, _ = sides(spoken(happy, kind="share"))
    assert plain["estimate"] == pytest.approx(happy["y"].mean())
    assert 0 < weighted["conf_low"] < weighted["estimate"] < plain["estimate"]
    assert "percentage points" in weighted["note"]
    scaled = sides(spoken(people, kind="mean", scale=100.0))
    assert [side["estimate"] for side in scaled] == pytest.approx([side["estimate"] for side in sides(spoken(people))])
    twice = people.assign(rows=2.0, x=2.0, y=2 * people["y"], y2=2 * people["y2"])  # everybody said the same again
    for one_, other in zip(sides(spoken(people, kind="ratio")), sides(spoken(twice, kind="ratio")), strict=True):
        assert other["std_error"] == pytest.approx(one_["std_error"])


def test_small_levels_are_joined_on_both_sides(rng: np.random.Generator) -> None:
    people, few = answers(rng), answers(rng, 4).assign(age="unknown")
    population = pd.concat([POPULATION, pd.DataFrame({"age": ["minor"], "customers": [50.0]})])
    found = spoken(pd.concat([people, few]), population)
    _, weighted, _ = sides(found)
    smallest = people["age"].value_counts().idxmin()
    # Four of unknown age are too few to stand alone, nobody answered of the minors: the next smallest level joins them.
    assert f"joined in age: {', '.join(sorted([smallest, 'minor', 'unknown']))}" in weighted["note"]
    assert weighted["n"] == 604


def test_a_column_of_one_level_is_left_out(rng: np.random.Generator) -> None:
    people = answers(rng).assign(country="ES")
    population = POPULATION.assign(country="ES")
    found = spoken(people, population, columns=["age", "country"])
    _, weighted, _ = sides(found)
    assert "left out: country" in weighted["note"]
    assert "raked by age, replicates" in weighted["method"]
    alone = spoken(people, population, columns=["country"])
    assert alone.leads == "unweighted"
    assert sides(alone)[1]["status"] == "undefined"
    assert "no segment has two levels" in alone.words


def test_an_unknown_population_is_said(rng: np.random.Generator) -> None:
    for population in (None, POPULATION.head(0), POPULATION.assign(customers=0.0)):
        found = spoken(answers(rng), population)
        plain, weighted, gap = sides(found)
        assert found.words == "Unweighted leads: the population is not known."
        assert (plain["status"], weighted["status"], gap["status"]) == ("ok", "undefined", "undefined")


def test_respondents_too_unlike_the_population(rng: np.random.Generator) -> None:
    found = spoken(answers(rng), bounds=(0.9, 1.1))
    assert found.leads == "unweighted"
    assert "too unlike the population" in sides(found)[1]["note"]


def test_too_few_respondents_are_hidden(rng: np.random.Generator) -> None:
    found = spoken(answers(rng, 9))
    assert set(found.frame["status"]) == {"suppressed"}
    assert found.frame["estimate"].isna().all()
    assert set(spoken(answers(rng, 9).head(0)).frame["status"]) == {"suppressed"}


def test_nothing_to_divide_by(rng: np.random.Generator) -> None:
    people = answers(rng).assign(x=0.0)
    people.loc[0, "x"] = 1.0
    found = spoken(people, kind="ratio")
    assert "too few customers have anything to divide by" in found.words
    empty = spoken(people.assign(x=0.0), kind="ratio")
    assert sides(empty)[0]["status"] == "undefined"


def test_without_segments_the_plain_estimate_stands_alone(rng: np.random.Generator) -> None:
    found = spoken(answers(rng), columns=[])
    assert found.words == "Unweighted leads: no segment of the customers is known."


def test_missing_levels_are_a_level(rng: np.random.Generator) -> None:
    people = answers(rng)
    lost = people.assign(age=people["age"].where(people["age"] != "60+"))
    population = POPULATION.assign(age=POPULATION["age"].where(POPULATION["age"] != "60+", "unknown"))
    for mine, other in zip(sides(spoken(lost, population)), sides(spoken(people)), strict=True):
        assert mine["estimate"] == pytest.approx(other["estimate"])
        assert mine["n"] == 600


def test_frames_that_lack_columns(rng: np.random.Generator) -> None:
    with pytest.raises(UsageError) as error:
        spoken(answers(rng).drop(columns="y2"), POPULATION.drop(columns="customers"), columns=["agee"], kind="rate")
    for words in ("'rate' cannot be weighted", "respondents have no column 'agee'", "'y2'", "'customers'"):
        assert words in str(error.value)


def test_who_answers_in_the_demo_company(rng: np.random.Generator) -> None:
    """Truth 8 of docs/demo.md, drawn from its declared numbers: weighting for age undoes a part of the bias, not all.

    The score that everybody would give lies below what those who answer give, because answering depends on the mood.
    """
    survey, mood = TRUTHS.surveys, TRUTHS.satisfaction
    size, ages = 400_000, list(AGES)
    age = rng.choice(4, size, p=TRUTHS.population.ages)
    latent = rng.normal(np.array(mood.age)[age], np.hypot(mood.personal_sd, 1))
    score = np.searchsorted(mood.nps_cuts, latent)
    group = np.digitize(score, [7, 9])
    answered = rng.random(size) < np.array(survey.nps_response)[group] * np.array(survey.age)[age]
    y = group - 1.0
    people = pd.DataFrame({"age": np.array(ages)[age], "rows": 1.0, "x": 1.0, "y": y, "y2": y**2})[answered]
    whole = pd.Series(np.array(ages)[age]).value_counts().rename_axis("age").reset_index(name="customers")
    found = spoken(people, whole)
    plain, weighted, _ = sides(found)
    truth = 100 * y.mean()
    assert found.leads == "weighted"
    assert truth + 15 < weighted["estimate"] < plain["estimate"] - 1


# -- by simulation


@pytest.mark.simulation
@pytest.mark.parametrize("each", [1, 2])
def test_coverage_of_the_weighted_score(
    each: int, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Who answers differs by age, and so does the score; customers answer `each` times.

    Raked to the true margins the 95 % interval by replicates covers the truth, the unweighted one does not, and one
    that holds the weights fixed is too wide: raking has taken out of the variance what age explains.
    """
    share, response = np.array(list(AGES.values())), np.array(TRUTHS.surveys.age)
    shift, times, customers = np.array([-0.8, -0.2, 0.2, 0.8]), replicates(100, 4_000), 300 // each
    margins = {"age": dict(enumerate(1000 * share))}
    cuts = stats.norm.cdf(0.5 - 0.2 - shift), stats.norm.cdf(-0.5 - 0.2 - shift)
    truth = 100 * float(share @ (1 - cuts[0] - cuts[1]))
    answering = share * response / (share @ response)
    found = []
    for _ in range(times):
        who = np.tile(np.arange(customers), each)
        age, mood = rng.choice(4, customers, p=answering)[who], rng.normal(0, 0.7, customers)[who]
        latent = 0.2 + shift[age] + mood + rng.normal(0, np.sqrt(1 - 0.7**2), who.size)
        y, frame = np.select([latent > 0.5, latent < -0.5], [1.0, -1.0], 0.0), pd.DataFrame({"age": age})
        weight = weights.rake(frame, margins)
        copies = rao_wu(frame, margins, clusters=who, times=60, rng=rng)
        rows = [
            weights.weighted_mean(y, weight, kind="nps", replicates=copies),
            weights.weighted_mean(y, weight, kind="nps", clusters=who),
            weights.weighted_mean(y, np.ones(who.size), kind="nps", clusters=who),
        ]
        ends = pd.concat(rows)[["conf_low", "conf_high", "std_error"]].to_numpy()
        found.append(np.r_[(ends[:, 0] <= truth) & (truth <= ends[:, 1]), ends[:, 2]])
    raked, fixed, plain, *errors = np.mean(found, axis=0)
    noise = 3 * np.sqrt(0.05 * 0.95 / times)
    assert raked >= 0.95 - 0.02 - noise
    assert fixed >= raked
    assert plain < 0.88
    assert errors[1] > 1.07 * errors[0]


@pytest.mark.simulation
def test_the_leading_estimate_is_nearer(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """With and without differential response, what leads has about the smaller squared error of the two."""
    share, times, errors = np.array(list(AGES.values())), replicates(40, 1_000), {0.0: [], 0.6: []}
    old = np.array([-1.5, -0.5, 0.5, 1.5])
    for lift, kept in errors.items():
        truth = 100 * float(share @ (stats.norm.cdf(lift * old - 0.3) - stats.norm.cdf(-0.7 - lift * old)))
        for _ in range(times):
            found = spoken(answers(rng, 300, lift), times=60, rng=rng)
            plain, weighted, _ = sides(found)
            best = weighted if found.leads == "weighted" else plain
            kept.append([side["estimate"] - truth for side in (plain, weighted, best)])
    squared = {lift: np.mean(np.square(kept), axis=0) for lift, kept in errors.items()}
    assert squared[0.6][2] < 0.5 * squared[0.6][0]
    assert squared[0.0][2] < 1.1 * squared[0.0][1]
