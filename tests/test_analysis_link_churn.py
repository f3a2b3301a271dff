"""Satisfaction and leaving: the planted hazard ratio, statsmodels' errors, and what a hazard cannot tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from link_panels import leavers, of_the_demo

from cxlib.analysis import value
from cxlib.analysis.value.link_churn import _hazard, _scores
from cxlib.data.demo import TRUTHS
from cxlib.errors import UsageError

RATIO = TRUTHS.churn.hazard_ratio


def rows(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    own = frame[frame["metric"] == "churned"].set_index("comparison")
    return own.loc["relative"], own.loc["difference"]


class TestChurn:
    @pytest.mark.parametrize("past", [False, True])
    def test_the_planted_hazard_ratio_is_inside(self, past: bool) -> None:
        """Latent satisfaction at the end of a month moves the next month's hazard by .70 a unit (docs/demo.md, 2)."""
        frame = of_the_demo(3_000)
        found = value.link_churn(frame, satisfaction="latent", segments=["plan"], past=past, negative_control="bills")
        ratio, change = rows(found)
        assert ratio["conf_low"] <= RATIO - 1 <= ratio["conf_high"]
        assert ratio["conf_high"] < 0
        assert change["conf_high"] < 0
        assert found[found["metric"] == "any bills"]["p_value"].iloc[0] > 0.001

    def test_answers_show_less(self) -> None:
        """A point of the score is about half a latent unit: sqrt(.70) is .84, and noise brings it nearer to 1."""
        ratio, _ = rows(value.link_churn(of_the_demo(10_000), segments=["plan"], negative_control=()))
        assert np.sqrt(RATIO) - 1 < ratio["estimate"] < 0

    def test_errors_as_statsmodels_clusters(self, rng: np.random.Generator) -> None:
        """The same model by hand: complementary log-log, periods and plan free, errors by customer."""
        frame = leavers(rng)
        found = value.link_churn(frame, segments=["plan"], past=False, negative_control=())
        later = frame[["customer_id", "period", "churned"]].assign(period=frame["period"] - 1)
        both = frame.drop(columns="churned").merge(later, on=["customer_id", "period"])
        design = pd.get_dummies(both[["period", "plan"]].astype(str), dtype=float).drop(columns="plan_Basic")
        design = pd.concat([both[["satisfaction"]], design], axis=1)
        fit = sm.GLM(both["churned"], design, family=sm.families.Binomial(sm.families.links.CLogLog())).fit(
            cov_type="cluster", cov_kwds={"groups": both["customer_id"].to_numpy(), "use_correction": False}
        )
        ratio, change = rows(found)
        assert np.log1p(ratio["estimate"]) == pytest.approx(fit.params["satisfaction"], rel=1e-6)
        assert ratio["std_error"] == pytest.approx(fit.bse["satisfaction"], rel=0.01)  # observed against expected
        more = both["churned"].size
        moved = fit.predict(design.assign(satisfaction=design["satisfaction"] + 1)) - fit.predict(design)
        assert change["estimate"] == pytest.approx(moved.mean(), rel=1e-6)
        assert ratio["n"] == more

    def test_the_coefficients_are_those_of_statsmodels(self, rng: np.random.Generator) -> None:
        """Both stop at a change of the deviance of 1e-8, after the same steps: equal but for rounding."""
        x = np.column_stack([rng.normal(3, 1, 4_000), rng.integers(0, 2, 4_000), np.ones(4_000)])
        y = (rng.random(4_000) < -np.expm1(-np.exp(x @ [-0.4, 0.3, -1.5]))).astype(float)
        model = sm.GLM(y, x, family=sm.families.Binomial(sm.families.links.CLogLog()))
        found, other = _hazard(x, y), model.fit().params
        assert found == pytest.approx(other, rel=1e-9)
        pull, bend = _scores(x @ found, y)
        assert x * pull[:, None] == pytest.approx(model.score_obs(found), rel=1e-9, abs=1e-12)
        assert (x.T * bend) @ x == pytest.approx(model.hessian(found), rel=1e-9)

    def test_what_was_fitted_is_not_fitted_again(self, rng: np.random.Generator) -> None:
        frame, how = leavers(rng), {"segments": ["plan"]}
        fit = value.fit_churn(frame, **how)
        one, other = (value.link_churn(frame, negative_control=(), fitted=given, **how) for given in (fit, None))
        pd.testing.assert_frame_equal(one, other)
        spent = frame.assign(spend=rng.gamma(2.0, 10.0, len(frame)))
        fit = value.fit_link(spent)
        one, other = (value.link(spent, negative_control=(), fitted=given) for given in (fit, None))
        pd.testing.assert_frame_equal(one, other)

    def test_the_error_of_the_change_by_resampling_customers(self, rng: np.random.Generator) -> None:
        frame = leavers(rng, 400, 8)
        _, change = rows(value.link_churn(frame, negative_control=(), past=False))
        groups = dict(iter(frame.groupby("customer_id")))
        drawn = []
        for _ in range(30):
            picked = rng.integers(0, 400, 400)
            again = pd.concat([groups[who].assign(customer_id=place) for place, who in enumerate(picked)])
            drawn.append(value.fit_churn(again, past=False).change)
        assert change["std_error"] == pytest.approx(np.std(drawn, ddof=1), rel=0.4)  # 30 draws: 13 % by themselves

    def test_any_order_and_labels_that_lack(self, rng: np.random.Generator) -> None:
        frame = leavers(rng, 300, 8)
        frame.loc[frame["customer_id"] < 40, "plan"] = None
        found = value.link_churn(frame, segments=["plan"])
        other = value.link_churn(frame.sample(frac=1, random_state=2), segments=["plan"])
        pd.testing.assert_frame_equal(found, other, check_exact=False, rtol=1e-8)
        assert set(found["status"]) == {"ok"}

    def test_what_cannot_be_told(self, rng: np.random.Generator) -> None:
        frame = leavers(rng, 300, 6)
        few = value.link_churn(frame[frame["customer_id"] < 40], negative_control=())
        assert set(few["status"]) == {"too_few"}
        assert few["note"].str.contains("events for").all()
        none = value.link_churn(frame.assign(churned=0), negative_control=())
        assert set(none["status"]) <= {"too_few", "undefined"}
        same = value.link_churn(frame.assign(satisfaction=1.0), negative_control=(), past=False)
        assert same["note"].str.contains("does not vary").all()
        assert set(value.link_churn(frame, min_n=1_000)["status"]) == {"suppressed"}

    def test_what_is_wrong_is_told(self, rng: np.random.Generator) -> None:
        frame = leavers(rng, 50, 4)
        with pytest.raises(UsageError, match="tells who left"):
            value.link_churn(frame.drop(columns="churned"))
        with pytest.raises(UsageError, match="neither 0 nor 1"):
            value.link_churn(frame.assign(churned=2))
        with pytest.raises(UsageError, match="region"):
            value.link_churn(frame, segments=["region"])
