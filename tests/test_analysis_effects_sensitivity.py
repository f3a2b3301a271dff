"""How strong something unobserved would have to be: against sensemakr's and VanderWeele and Ding's figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects.sensitivity import STANDS, adjusted, bounds, robustness
from cxlib.errors import UsageError

# sensemakr's worked example (Cinelli and Hazlett 2020, section 5; the package's README prints these figures):
# peacefactor ~ directlyharmed + ..., estimate, standard error, degrees of freedom.
DARFUR = (0.09732, 0.02326, 783)
DARFUR_T = 4.18445
FEMALE = ((0.009164, 0.124641), (0.018329, 0.249324), (0.027493, 0.374050))
LEFT = ((0.075220, 0.021873), (0.052915, 0.020350), (0.030396, 0.018670))


def effect(value: float, error: float, n: float = 500, **more: Any) -> pd.DataFrame:
    z = 1.959964
    return results.frame(
        metric="nps", comparison="difference", estimate=value, std_error=error, conf_low=value - z * error,
        conf_high=value + z * error, p_value=0.01, n=n, **more,
    )  # fmt: skip


def at(found: pd.DataFrame, metric: str, place: str) -> pd.Series:
    return found[(found["metric"] == metric) & (found["at"] == place)].iloc[0]


class TestRobustness:
    def test_darfur(self) -> None:
        """Printed to five digits by sensemakr: 0.13878, 0.07626, partial R2 0.02187."""
        found = effects.sensitivity(effect(*DARFUR[:2]), freedom=DARFUR[2])
        assert at(found, "robustness", "estimate")["estimate"] == pytest.approx(0.13878, abs=2e-5)
        assert at(found, "robustness", "limit")["estimate"] == pytest.approx(0.07626, abs=2e-5)
        assert at(found, "partial_r2", "estimate")["estimate"] == pytest.approx(0.02187, abs=1e-5)
        note = at(found, "robustness", "estimate")["note"]
        assert "explain 13.9 % of what is left of both who was touched and the outcome to undo this" in note

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_darfur_with_something_as_strong_as_female(self, times: int) -> None:
        """Bounds printed to six digits; the covariate's own partial R2 are had back from the first row."""
        first = FEMALE[0]
        treated = first[0] / (1 + first[0])
        tied = treated**2 / (1 - treated) ** 2
        odds = first[1] * (1 - tied) / (1 + np.sqrt(tied)) ** 2
        found = bounds(treated, odds / (1 + odds), times)
        assert found == pytest.approx(FEMALE[times - 1], abs=2e-6)

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_darfur_adjusted(self, times: int) -> None:
        value, error = adjusted(DARFUR_T * 0.0232565, 0.0232565, 783, *FEMALE[times - 1])
        assert (value, error) == pytest.approx(LEFT[times - 1], abs=5e-6)

    @given(st.floats(0.1, 50), st.floats(3, 1e5))
    def test_a_confounder_of_that_strength_undoes_it(self, t_value: float, freedom: float) -> None:
        """What the robustness value means: with that partial R2 on both sides nothing is left (to rounding)."""
        value = robustness(t_value, freedom)
        left, _ = adjusted(t_value, 1.0, freedom, value, value)
        assert left == pytest.approx(0, abs=1e-7 * t_value)

    @given(st.floats(0.0, 40), st.floats(5, 1e4))
    def test_the_limit_needs_less(self, t_value: float, freedom: float) -> None:
        whole = robustness(t_value, freedom)
        limit = robustness(t_value, freedom, 1.0, 0.05)
        assert 0 <= limit <= whole < 1
        assert robustness(t_value, freedom, 0.5) <= whole

    def test_half_of_the_effect(self) -> None:
        found = effects.sensitivity(effect(*DARFUR[:2]), freedom=783, share=0.5)
        assert "to undo 50 % of this" in at(found, "robustness", "estimate")["note"]

    def test_no_effect_needs_nothing(self) -> None:
        found = effects.sensitivity(effect(0.1, 1.0))
        assert at(found, "robustness", "limit")["estimate"] == 0
        assert "nothing unobserved is needed" in at(found, "robustness", "limit")["note"]


class TestEValue:
    def test_their_example(self) -> None:
        """VanderWeele and Ding (2017): RR 3.9 (1.8 to 8.7) -> 7.26, and 3.0 for the limit."""
        assert effects.e_value(3.9, 1.8, 8.7) == pytest.approx((7.26, 3.0), abs=0.005)

    def test_below_one_is_turned_over(self) -> None:
        assert effects.e_value(1 / 3.9, 1 / 8.7, 1 / 1.8) == pytest.approx(effects.e_value(3.9, 1.8, 8.7))

    def test_limits(self) -> None:
        assert effects.e_value(1.2, 0.9, 1.6) == (pytest.approx(1.2 + np.sqrt(0.24)), 1.0)
        assert np.isnan(effects.e_value(2.0)[1])
        with pytest.raises(UsageError, match="not above 0"):
            effects.e_value(0.0)

    def test_means_by_the_standardised_difference(self) -> None:
        """Their table 2: RR about exp(0.91 d), limits exp(0.91 d -+ 1.78 se)."""
        found = effects.sensitivity(effect(0.5, 0.1), sd=1.0)
        want = effects.e_value(np.exp(0.91 * 0.5), np.exp(0.91 * 0.5 - 1.78 * 0.1), 9)
        assert at(found, "e_value", "estimate")["estimate"] == pytest.approx(want[0])
        assert at(found, "e_value", "limit")["estimate"] == pytest.approx(want[1], rel=2e-3)  # 0.91 * 1.96 is 1.784

    def test_shares_by_the_risk_ratio(self) -> None:
        found = effects.sensitivity(effect(0.1, 0.02), baseline=0.2)
        assert at(found, "e_value", "estimate")["estimate"] == pytest.approx(effects.e_value(1.5)[0])
        lost = effects.sensitivity(effect(-0.3, 0.02), baseline=0.2)
        assert at(lost, "e_value", "estimate")["status"] == "undefined"


class TestObserved:
    def frame(self, rng: np.random.Generator, n: int = 400) -> pd.DataFrame:
        x, plan = rng.normal(size=n), rng.choice(["basic", "plus", "pro"], n)
        touched = (rng.random(n) < 1 / (1 + np.exp(-x - (plan == "pro")))).astype(int)
        y = x + (plan == "pro") + touched + rng.normal(size=n)
        return pd.DataFrame({"x": x, "plan": plan, "t": touched, "y": y})

    def test_strengths_against_statsmodels(self, rng: np.random.Generator) -> None:
        """Partial R2 of a group of columns: 1 - SSR / SSR without them, from two statsmodels fits each; to rounding."""
        frame = self.frame(rng)
        found = effects.strengths(frame, outcome="y", treated="t", covariates=["x", "plan"])
        dummies = pd.get_dummies(frame["plan"], drop_first=True, dtype=float)
        full = pd.concat([frame[["x", "t"]], dummies], axis=1)
        for at_, y, extra in (("treated", "t", []), ("outcome", "y", ["t"])):
            whole = sm.OLS(frame[y], sm.add_constant(full[["x", *dummies, *extra]])).fit()
            for level, kept in (("x", [*dummies, *extra]), ("plan", ["x", *extra])):
                less = sm.OLS(frame[y], sm.add_constant(full[kept])).fit()
                row = found[(found["level"] == level) & (found["at"] == at_)].iloc[0]
                assert row["estimate"] == pytest.approx(1 - whole.ssr / less.ssr, rel=1e-9)
        assert (found["n_eff"] == 400 - 5).all()

    def test_the_strongest_is_the_measure(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng)
        observed = effects.strengths(frame, outcome="y", treated="t", covariates=["x", "plan"])
        columns = pd.get_dummies(frame[["t", "x", "plan"]], drop_first=True, dtype=float)
        fit = sm.OLS(frame["y"], sm.add_constant(columns)).fit()
        found = effects.sensitivity(effect(fit.params["t"], fit.bse["t"]), observed=observed)
        row = found[found["metric"] == "benchmark"].iloc[0]
        assert row["level"] == "x"
        assert 0 < row["estimate"] < fit.params["t"]
        assert row["at"] == STANDS
        assert "as strong as the strongest observed would leave" in row["note"]

    def test_leaving_the_covariate_out_is_what_the_bound_speaks_of(self, rng: np.random.Generator) -> None:
        """A regression without x, told of x's own strength, comes back to the one with it (section 4.1, exact)."""
        frame = self.frame(rng, 300)
        short = sm.OLS(frame["y"], sm.add_constant(frame[["t"]])).fit()
        whole = sm.OLS(frame["y"], sm.add_constant(frame[["t", "x"]])).fit()
        observed = effects.strengths(frame, outcome="y", treated="t", covariates=["x"])
        pair = [float(observed.loc[observed["at"] == place, "estimate"].iloc[0]) for place in ("treated", "outcome")]
        value, error = adjusted(short.params["t"], short.bse["t"], short.df_resid, *pair)
        assert value == pytest.approx(whole.params["t"], rel=1e-9)
        assert error == pytest.approx(whole.bse["t"], rel=1e-9)

    def test_nothing_can_be_as_strong(self) -> None:
        observed = results.frame(
            metric="strength", comparison="share", level="x", at=["treated", "outcome"], estimate=[0.6, 0.2], n_eff=90.0
        )
        row = effects.sensitivity(effect(1.0, 0.1), observed=observed).query("metric == 'benchmark'").iloc[0]
        assert row["status"] == "undefined"
        assert "half of who was touched" in row["note"]


class TestDoor:
    def test_what_cannot_be_had_is_told(self) -> None:
        lost = results.frame(metric="nps", comparison="difference", status="too_few", note="three answers")
        found = effects.sensitivity(lost)
        assert list(found["status"]) == ["undefined"]
        assert "three answers" in found["note"].iloc[0]
        assert effects.sensitivity(effect(1.0, 0.1, n=2))["status"].iloc[0] == "too_few"

    def test_all_faults_at_once(self) -> None:
        with pytest.raises(
            UsageError, match=r"both sd and baseline.*sd 0 is not above 0.*baseline 2 is no share.*share 0"
        ):
            effects.sensitivity(effect(1.0, 0.1), sd=0, baseline=2, share=0)
        with pytest.raises(UsageError, match="holds no difference"):
            effects.sensitivity(results.frame(metric="nps"))
