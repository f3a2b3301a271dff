"""Comparison with customers alike: entropy balancing, nearest neighbours, and whether they are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from statsmodels.treatment.treatment_effects import TreatmentEffect

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects.matching_rows import rows_of
from cxlib.analysis.effects.matching_weights import balancing
from cxlib.errors import UsageError

NAMES = {"outcome": "y", "treated": "t"}
# Abadie, Drukker, Herr and Imbens (2004), Stata Journal 4:290, table 1: seven units, one covariate.
SEVEN = pd.DataFrame({"t": [0, 0, 0, 1, 1, 1, 1], "x": [2, 4, 5, 3, 2, 3, 1], "y": [7, 8, 6, 9, 8, 6, 5]})


def confounded(rng: np.random.Generator, n: int, unseen: float = 0.0) -> pd.DataFrame:
    """Return customers who were touched by their x, plan and something unseen; the effect is 1 for everybody."""
    x, plan, u = rng.normal(size=n), rng.choice(["basic", "plus"], n), rng.normal(size=n)
    odds = np.exp(-0.7 + 0.8 * x + 0.5 * (plan == "plus") + unseen * u)
    t = (rng.random(n) < odds / (1 + odds)).astype(int)
    y = 2 + x + 0.5 * (plan == "plus") + unseen * u + t + rng.normal(size=n)
    return pd.DataFrame({"x": x, "plan": plan, "t": t, "y": y})


def first(found: pd.DataFrame) -> pd.Series:
    return results.conform(found).iloc[0]


def statsmodels_of(frame: pd.DataFrame, x: np.ndarray) -> TreatmentEffect:
    """Return statsmodels' treatment effects of columns `x`."""
    x, t = sm.add_constant(x), frame["t"].to_numpy()
    return TreatmentEffect(sm.OLS(frame["y"].to_numpy(), x), t, results_select=sm.Logit(t, x).fit(disp=0))


class TestWeighting:
    def test_weights_are_the_most_even_ones(self, rng: np.random.Generator) -> None:
        """Hainmueller (2012), eq. 4, solved as it stands by SciPy's SLSQP (to its tolerance)."""
        frame = confounded(rng, 40)
        rows = rows_of(frame, **NAMES, covariates=["x", "plan"])
        found = balancing(rows)
        assert found is not None
        x, reached = rows.x[~rows.treated], rows.x[rows.treated].mean(axis=0)
        start = np.full(len(x), 1 / len(x))
        limits = [
            {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            {"type": "eq", "fun": lambda w: w @ x - reached, "jac": lambda w: x.T},
        ]
        entropy = {"fun": lambda w: float(w @ np.log(w)), "jac": lambda w: np.log(w) + 1}
        other = optimize.minimize(
            x0=start, constraints=limits, bounds=[(1e-12, 1)] * len(x), method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500}, **entropy,
        )  # fmt: skip
        np.testing.assert_allclose(found, other.x, atol=2e-6)
        np.testing.assert_allclose(found @ x, reached, atol=1e-8)

    def test_one_category_against_statsmodels(self, rng: np.random.Generator) -> None:
        """With one category all estimators of the effect on the touched are one: statsmodels' ra and ipw_ra, to 1e-6.

        The error is that of a post-stratified difference, by hand; longer here by 1 / n of a stratum: to 1 %.
        """
        frame = confounded(rng, 2_000)
        found = first(effects.weighting(frame, **NAMES, covariates=["plan"]))
        peer = statsmodels_of(frame, (frame["plan"] == "plus").to_numpy(float)[:, None])
        for way in (peer.ra, peer.ipw_ra):
            assert found["estimate"] == pytest.approx(way(effect_group=1, return_results=False)[0], abs=1e-6)
        touched, others = frame[frame["t"] == 1], frame[frame["t"] == 0].groupby("plan")["y"]
        gains = touched["y"] - touched["plan"].map(others.mean())
        share = touched["plan"].value_counts(normalize=True)
        variance = gains.var() / len(touched) + (share**2 * others.var() / others.size()).sum()
        assert found["std_error"] == pytest.approx(variance**0.5, rel=0.01)

    def test_near_statsmodels_where_the_models_are_right(self, rng: np.random.Generator) -> None:
        """Other weights, same estimand: inverse probability with regression adjustment, within half an error."""
        frame = confounded(rng, 3_000)
        found = first(effects.weighting(frame, **NAMES, covariates=["x", "plan"]))
        peer = statsmodels_of(frame, np.column_stack([frame["x"], frame["plan"] == "plus"]).astype(float))
        assert abs(found["estimate"] - peer.ipw_ra(effect_group=1, return_results=False)[0]) < 0.5 * found["std_error"]

    def test_alike_already_is_the_difference_of_means(self, rng: np.random.Generator) -> None:
        x = np.tile(rng.normal(size=30), 2)
        frame = pd.DataFrame({"x": x, "t": np.repeat([0, 1], 30), "y": rng.normal(size=60)})
        found = effects.weighting(frame, **NAMES, covariates=["x"])
        means = frame.groupby("t")["y"].mean()
        assert first(found)["estimate"] == pytest.approx(means[1] - means[0], abs=1e-9)
        assert first(found)["n_eff"] == pytest.approx(60, abs=1e-6)
        assert list(found["estimate"][1:]) == pytest.approx([means[1], means[0]])

    @given(st.floats(-50, 50), st.floats(0.01, 100), st.integers(0, 10))
    def test_units_of_covariates_do_not_matter(self, shift: float, scale: float, seed: int) -> None:
        frame = confounded(np.random.default_rng(seed), 60)
        turned = frame.assign(x=shift + scale * frame["x"], plan=frame["plan"].map({"basic": "z", "plus": "a"}))
        for design in (effects.weighting, effects.matching):
            one, other = (first(design(each, **NAMES, covariates=["x", "plan"])) for each in (frame, turned))
            assert one["estimate"] == pytest.approx(other["estimate"], abs=1e-5)
            assert one["std_error"] == pytest.approx(other["std_error"], rel=1e-4)

    def test_units_of_the_outcome(self, rng: np.random.Generator) -> None:
        frame = confounded(rng, 100)
        for design in (effects.weighting, effects.matching):
            one = design(frame, **NAMES, covariates=["x"])
            other = design(frame.assign(y=3 - 10 * frame["y"]), **NAMES, covariates=["x"])
            assert first(other)["estimate"] == pytest.approx(-10 * first(one)["estimate"])
            assert first(other)["std_error"] == pytest.approx(10 * first(one)["std_error"])

    def test_order_of_rows_does_not_matter(self, rng: np.random.Generator) -> None:
        frame = confounded(rng, 120).assign(x=lambda f: f["x"].round(1))
        turned = frame.sample(frac=1, random_state=3)
        for design in (effects.weighting, effects.matching):
            one, other = (design(each, **NAMES, covariates=["x", "plan"]) for each in (frame, turned))
            pd.testing.assert_frame_equal(one, other, rtol=1e-7)

    def test_out_of_reach_is_told(self) -> None:
        frame = SEVEN.assign(x=[0, 1, 2, 7, 8, 9, 1])
        row = first(effects.weighting(frame, **NAMES, covariates=["x"]))
        assert row["status"] == "undefined"
        assert "no weighting of the untouched" in row["note"]
        assert "3 of the touched lie outside" in row["note"]
        only = SEVEN.assign(level=["a", "a", "a", "a", "b", "a", "b"])
        assert first(effects.weighting(only, **NAMES, covariates=["level"]))["status"] == "undefined"

    def test_resting_on_few_is_told(self, rng: np.random.Generator) -> None:
        """Where touched and untouched hardly overlap intervals cover 92 % (measured): the note warns."""
        frame = confounded(rng, 300).assign(x=lambda f: f["x"] + f["t"])
        for design in (effects.weighting, effects.matching):
            assert "rests on few" in first(design(frame, **NAMES, covariates=["x"]))["note"]
            assert "rests on few" not in first(design(frame, **NAMES, covariates=["plan"]))["note"]

    def test_households_widen_the_interval(self, rng: np.random.Generator) -> None:
        """The same customers twice: as one household the error stays, as two it shrinks by the root of 2."""
        frame = confounded(rng, 200).assign(home=lambda f: np.arange(len(f)))
        twice = pd.concat([frame, frame])
        plain = first(effects.weighting(frame, **NAMES, covariates=["x"]))
        naive = first(effects.weighting(twice, **NAMES, covariates=["x"]))
        ours = first(effects.weighting(twice, **NAMES, covariates=["x"], cluster="home"))
        assert ours["std_error"] == pytest.approx(plain["std_error"], rel=0.01)
        assert naive["std_error"] == pytest.approx(plain["std_error"] / 2**0.5, rel=0.05)  # leverage halves, too
        few = first(effects.weighting(twice.assign(home=twice["home"] % 8), **NAMES, covariates=["x"], cluster="home"))
        assert "fewer than 20 clusters" in few["note"]


class TestMatching:
    def test_seven_units_by_hand(self) -> None:
        """Nearest of x = 3: 2 and 4, tied (7.5); of 2: 2 (7); of 1: 2 (7). 9 - 7.5, 8 - 7, 6 - 7.5, 5 - 7: -0.25.

        The unit at 2 stands in 3 times (.5 + 1 + .5 + 1), that at 4 once. Noise there from the two nearest untouched:
        at 2 (7 - 7)^2 2/3 = 0, at 4 (8 - 6.5)^2 2/3 = 1.5. Gains about -0.25: squares 3.0625 + 1.5625 + 1.5625 +
        3.0625 = 9.25; plus (1 - .5) 1.5 = .75; over 16: .625.
        """
        row = first(effects.matching(SEVEN, **NAMES, covariates=["x"], correct=False))
        assert row["estimate"] == pytest.approx(-0.25)
        assert row["std_error"] ** 2 == pytest.approx(10 / 16)

    def test_correction_by_hand(self) -> None:
        """Regression of y on x among matched untouched at 2 (y 7, 3 times) and 4 (y 8, once): slope .5.

        Each gain less .5 (x - x of the stand-in): 1.5, 1, -1.5, and -2 - .5 (1 - 2) = -1.5: mean -.125.
        """
        assert first(effects.matching(SEVEN, **NAMES, covariates=["x"]))["estimate"] == pytest.approx(-0.125)

    def test_all_as_neighbours_is_the_difference_of_means(self) -> None:
        """With as many neighbours as there are, less one tie, everybody stands in for everybody."""
        frame = SEVEN.assign(x=1)
        row = first(effects.matching(frame, **NAMES, covariates=["x"], correct=False))
        assert row["estimate"] == pytest.approx(7 - 7)

    def test_exact_partners(self) -> None:
        frame = SEVEN.assign(plan=["a", "a", "b", "a", "a", "b", "c"])
        found = effects.matching(frame, **NAMES, covariates=["x"], exact=["plan"], correct=False)
        # 9 - 7.5, 8 - 7, 6 - 6; the one of plan c has nobody
        assert first(found)["estimate"] == pytest.approx(2.5 / 3)
        assert "1 touched have nobody who is the same" in first(found)["note"]
        assert found["n"].iloc[1] == 3

    def test_more_neighbours(self) -> None:
        row = first(effects.matching(SEVEN, **NAMES, covariates=["x"], neighbours=2, correct=False))
        # of x = 3: 2 and 4; of 2: 2 and 4; of 1: 2 and 4: all 7.5
        assert row["estimate"] == pytest.approx(7 - 7.5)

    def test_against_plain_loops(self, rng: np.random.Generator) -> None:
        """The estimate without correction, ties and all, as the definition reads: loops over every pair."""
        frame = confounded(rng, 80).assign(x=lambda f: f["x"].round(1))
        z = np.column_stack([frame["x"], frame["plan"] == "plus"]).astype(float)
        metric = np.linalg.inv(np.cov(z.T, bias=True))
        gains = []
        for i in np.flatnonzero(frame["t"] == 1):
            others = np.flatnonzero(frame["t"] == 0)
            far = np.array([float((z[i] - z[j]) @ metric @ (z[i] - z[j])) ** 0.5 for j in others])
            near = others[far <= np.sort(far)[2] + 1e-8]
            gains.append(frame["y"].iloc[i] - frame["y"].iloc[near].mean())
        row = first(effects.matching(frame, **NAMES, covariates=["x", "plan"], neighbours=3, correct=False))
        assert row["estimate"] == pytest.approx(np.mean(gains), abs=1e-12)

    def test_perfect_twins(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=40)
        frame = pd.DataFrame(
            {"x": np.tile(x, 2), "t": np.repeat([0, 1], 40), "y": np.r_[x, x + 1] + rng.normal(size=80)}
        )
        row = first(effects.matching(frame, **NAMES, covariates=["x"]))
        gains = frame["y"][40:].to_numpy() - frame["y"][:40].to_numpy()
        assert row["estimate"] == pytest.approx(gains.mean())
        assert row["std_error"] == pytest.approx(gains.std() / 40**0.5)  # each stands in once: no noise to add


class TestBalance:
    def test_by_hand(self) -> None:
        """Means 2.25 and 11/3; the touched's x (3, 2, 3, 1) has variance 11/12."""
        found = effects.balance_table(SEVEN, **NAMES, covariates=["x"], how="matching")
        before, after = (found[(found["at"] == place)].iloc[0] for place in ("before", "after"))
        assert before["estimate"] == pytest.approx((2.25 - 11 / 3) / (11 / 12) ** 0.5)
        assert before["note"].startswith("not alike: 1.5")
        # stand-ins at 2 (weight 3) and 4 (1): 2.5
        assert after["estimate"] == pytest.approx(-0.25 / (11 / 12) ** 0.5)
        overlap = found[found["metric"] == "overlap"].iloc[0]
        assert overlap["estimate"] == pytest.approx(0.25)
        assert "1 of 4 touched" in overlap["note"]

    def test_weighting_balances_exactly(self, rng: np.random.Generator) -> None:
        found = effects.balance_table(confounded(rng, 300), **NAMES, covariates=["x", "plan"])
        after = found[found["at"] == "after"]
        assert list(after["level"]) == ["plan = plus", "x"]
        assert after["estimate"].abs().max() < 1e-6
        assert (after["note"] == "alike").all()
        assert found.loc[found["at"] == "before", "estimate"].abs().max() > 0.3

    def test_unreached_and_nobody(self) -> None:
        found = effects.balance_table(SEVEN.assign(x=[0, 1, 2, 7, 8, 9, 1]), **NAMES, covariates=["x"])
        assert found[found["at"] == "after"]["status"].iloc[0] == "undefined"
        assert effects.balance_table(SEVEN.assign(t=1), **NAMES, covariates=["x"])["status"].iloc[0] == "undefined"
        with pytest.raises(UsageError, match="did you mean 'matching'"):
            effects.balance_table(SEVEN, **NAMES, covariates=["x"], how="matchin")


class TestDoor:
    @pytest.mark.parametrize("kind", ["object", "category"])
    def test_labels_that_look_like_numbers_are_levels(self, kind: str, rng: np.random.Generator) -> None:
        x = rng.integers(0, 3, 600)
        t = (rng.random(600) < np.array([0.3, 0.7, 0.4])[x]).astype(int)
        frame = pd.DataFrame({"t": t, "y": np.array([0.0, 2.0, -1.0])[x] + t + rng.normal(size=600)})
        names: dict[str, Any] = {"outcome": "y", "treated": "t", "covariates": ["x"]}
        digits = frame.assign(x=pd.Series(x if kind == "category" else x.astype(str)).astype(kind))
        letters = frame.assign(x=np.array(list("abc"))[x])
        found, expected = (effects.weighting(each, **names) for each in (digits, letters))
        np.testing.assert_allclose(found["estimate"], expected["estimate"])
        levels = effects.balance_table(digits, **names)["level"]
        assert {"x = 1", "x = 2"} <= set(levels)

    @pytest.mark.parametrize("design", [effects.weighting, effects.matching])
    def test_missing_and_odd_columns(self, design: Any) -> None:
        frame = SEVEN.astype({"t": "boolean", "x": "Float64", "y": "object"})
        frame["plan"] = pd.Series(["a", "b"] * 3 + ["a"], dtype="category")
        plain = design(SEVEN, **NAMES, covariates=["x"])
        pd.testing.assert_frame_equal(design(frame, **NAMES, covariates=["x"]), plain)
        frame.loc[1, "x"] = pd.NA
        assert "1 row without outcome, treatment, covariates" in first(design(frame, **NAMES, covariates=["x"]))["note"]

    @pytest.mark.parametrize("design", [effects.weighting, effects.matching])
    @pytest.mark.parametrize("change", [{"t": 1}, {"t": 0}, {"t": [0, 0, 0, 0, 0, 0, 1]}, {"y": np.nan}, {"y": 1.0}])
    def test_too_few(self, design: Any, change: dict[str, Any]) -> None:
        row = first(design(SEVEN.assign(**change), **NAMES, covariates=["x"]))
        assert row["status"] in ("too_few", "undefined")
        assert row["note"]
        assert np.isnan(row["estimate"])

    def test_faults(self) -> None:
        with pytest.raises(UsageError, match="no column 'z'"):
            effects.weighting(SEVEN, **NAMES, covariates=["z"])
        with pytest.raises(UsageError, match="nothing to make customers alike in"):
            effects.weighting(SEVEN, **NAMES, covariates=[])
        with pytest.raises(UsageError, match="'y' is a covariate, too"):
            effects.matching(SEVEN, **NAMES, covariates=["y"])
        with pytest.raises(UsageError, match="neither 0 nor 1"):
            effects.matching(SEVEN.assign(t=2), **NAMES, covariates=["x"])
        with pytest.raises(UsageError, match="neighbours 0"):
            effects.matching(SEVEN, **NAMES, covariates=["x"], neighbours=0)


def covered(rows: list[pd.Series], truth: float) -> float:
    return float(np.mean([row["conf_low"] <= truth <= row["conf_high"] for row in rows]))


@pytest.mark.simulation
@pytest.mark.parametrize("n", [80, 300])
@pytest.mark.parametrize("design", [effects.weighting, effects.matching])
def test_coverage_where_all_is_known(
    design: Any, n: int, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """The touched were better before: the plain difference is wrong nearly always, ours holds the truth in 95 %."""
    times = replicates(150, 2_000)
    frames = [confounded(rng, n) for _ in range(times)]
    rows = [first(design(frame, **NAMES, covariates=["x", "plan"])) for frame in frames]
    fine = [row for row in rows if row["status"] == "ok"]
    assert len(fine) >= 0.97 * times
    assert covered(fine, 1.0) >= 0.95 - 3 * (0.95 * 0.05 / times) ** 0.5
    naive = [frame.groupby("t")["y"].mean().diff().iloc[1] for frame in frames]
    assert np.mean(naive) > 1.5


@pytest.mark.simulation
def test_what_is_not_known_misleads(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """With an unseen cause nothing helps: the interval misses, and the note says what it does not allow for."""
    times = replicates(60, 500)
    rows = [
        first(effects.weighting(confounded(rng, 400, 0.8), **NAMES, covariates=["x", "plan"])) for _ in range(times)
    ]
    assert covered(rows, 1.0) < 0.5
    assert np.mean([row["estimate"] for row in rows]) > 1.3
    assert all("not known of them is not allowed for" in row["note"] for row in rows)


@pytest.mark.simulation
def test_one_of_two_models_is_enough(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Doubly robust (Zhao and Percival): log odds linear and a bent outcome, or a linear outcome and bent odds."""
    times, n = replicates(60, 1_000), 600
    for bent_outcome in (True, False):
        found = []
        for _ in range(times):
            x = rng.normal(size=n)
            odds = np.exp(-0.5 + (0.7 * x if bent_outcome else 1.2 * np.abs(x) + 0.5 * x - 1))
            t = rng.random(n) < odds / (1 + odds)
            y = (np.exp(0.7 * x) if bent_outcome else x) + t + rng.normal(size=n)
            row = first(effects.weighting(pd.DataFrame({"x": x, "t": t, "y": y}), **NAMES, covariates=["x"]))
            found.append(float(row["estimate"]))
        assert np.mean(found) == pytest.approx(1.0, abs=3 * np.std(found) / times**0.5 + 0.01)
