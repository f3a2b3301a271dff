"""What a point is worth, and what may be said of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from link_panels import leavers, of_the_demo, panel

from cxlib import results
from cxlib.analysis import value
from cxlib.errors import UsageError


def levels(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("level")


class TestWorth:
    def test_one_period_is_the_effect_times_the_customers(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 150, 8)
        amount = value.link(frame, negative_control=()).query("comparison == 'difference'").iloc[0]
        found = value.worth(value.fit_link(frame), customers=20_000, horizon=1).iloc[0]
        for name in ("estimate", "std_error", "conf_low", "conf_high"):
            assert found[name] == pytest.approx(20_000 * amount[name], rel=1e-9)
        assert found["p_value"] == pytest.approx(amount["p_value"], rel=1e-6)

    def test_twelve_periods_by_hand(self, rng: np.random.Generator) -> None:
        """V = sum over periods of stays^k times the mean; a point more moves both."""
        frame = leavers(rng)
        spend, churn = value.fit_link(frame), value.fit_churn(frame)
        found = levels(value.worth(spend, churn, customers=1_000, horizon=12, margin=0.4))
        months = np.arange(12)
        before = ((1 - churn.rate) ** months).sum() * spend.slopes.mean
        after = ((1 - churn.rate - churn.change) ** months).sum() * (spend.slopes.mean + spend.amount[0])
        assert found.loc["both", "estimate"] == pytest.approx(400 * (after - before), rel=1e-9)
        parts = found.loc["spend more", "estimate"] + found.loc["stay longer", "estimate"]
        assert found.loc["both", "estimate"] == pytest.approx(parts, rel=1e-12)

    def test_errors_by_resampling_customers(self, rng: np.random.Generator) -> None:
        frame = leavers(rng, 300, 8)
        fits = lambda given: (value.fit_link(given), value.fit_churn(given, past=False))  # noqa: E731
        found = levels(value.worth(*fits(frame), customers=1, horizon=6))
        groups = dict(iter(frame.groupby("customer_id")))
        drawn = []
        for _ in range(30):
            picked = rng.integers(0, 300, 300)
            again = pd.concat([groups[who].assign(customer_id=place) for place, who in enumerate(picked)])
            drawn.append(levels(value.worth(*fits(again), customers=1, horizon=6))["estimate"])
        spread = pd.DataFrame(drawn).std()
        for level in ("spend more", "stay longer", "both"):
            assert found.loc[level, "std_error"] == pytest.approx(spread[level], rel=0.4), level  # 30 draws: 13 %

    def test_both_fits_are_of_as_many_points(self, rng: np.random.Generator) -> None:
        frame = leavers(rng)
        ten = value.worth(value.fit_link(frame, per=10), value.fit_churn(frame, per=10), customers=10)
        assert set(ten["against"]) == {"10 points less"}
        with pytest.raises(UsageError, match="10 points less and the other against a point less"):
            value.worth(value.fit_link(frame, per=10), value.fit_churn(frame), customers=10)

    def test_leaving_shows_from_the_second_period_on(self, rng: np.random.Generator) -> None:
        frame = leavers(rng)
        found = levels(value.worth(value.fit_link(frame), value.fit_churn(frame), customers=10, horizon=1))
        assert found.loc["stay longer", "status"] == "undefined"
        assert found.loc["both", "estimate"] == pytest.approx(found.loc["spend more", "estimate"])

    def test_without_an_estimate_there_is_no_money(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 5, 5)
        found = value.worth(value.fit_link(frame), customers=10)
        assert found["status"].tolist() == ["undefined"]
        for wrong in ({"customers": -1}, {"customers": 1, "horizon": 0}, {"customers": 1, "margin": 0}):
            with pytest.raises(UsageError):
                value.worth(value.fit_link(frame), **wrong)  # type: ignore[arg-type]

    def test_the_demo_s_point(self) -> None:
        """One latent unit: exp(.15) - 1 of the mean spend a month and a hazard times .70, for 10,000 customers."""
        frame = of_the_demo(3_000)
        spend = value.fit_link(frame, satisfaction="latent")
        churn = value.fit_churn(frame, satisfaction="latent", segments=["plan"], past=False)
        found = levels(value.worth(spend, churn, customers=10_000, horizon=12))
        months, mean, rate = np.arange(12), spend.slopes.mean, churn.rate
        truth = 10_000 * (
            ((1 - 0.7 * rate) ** months).sum() * mean * np.exp(0.15) - ((1 - rate) ** months).sum() * mean
        )
        assert found.loc["both", "conf_low"] <= truth <= found.loc["both", "conf_high"]


def told(main: float, p: float, before: float, control: tuple[float, float, float, float] | None) -> pd.DataFrame:
    """Return rows as `link` gives them: the effect, what was before, and a control (estimate, limits, p)."""
    base = {"level": "satisfaction", "against": "a point less"}
    kinds = ["relative", "difference"]
    parts = [
        results.frame(
            metric="spend", at="1", comparison=kinds, estimate=main, p_value=p, method="double-filter", **base
        ),
        results.frame(metric="spend", at="-1", comparison="relative", estimate=0.01, p_value=before, **base),
    ]
    if control:
        value_, low, high, its = control
        parts.append(
            results.frame(
                metric="visits", at="1", comparison="relative", estimate=value_, conf_low=low, conf_high=high,
                p_value=its, **base,
            )
        )  # fmt: skip
    return results.concat(parts)


class TestEvidence:
    @pytest.mark.parametrize(
        ("frame", "grade"),
        [
            (told(0.1, 0.001, 0.5, (0.0, -0.03, 0.03, 0.9)), "held up"),
            (told(0.1, 0.001, 0.5, (0.0, -0.30, 0.30, 0.9)), "untested"),
            (told(0.1, 0.001, 0.5, None), "untested"),
            (told(0.1, 0.001, 0.01, (0.0, -0.03, 0.03, 0.9)), "runs both ways"),
            (told(0.1, 0.001, 0.5, (0.08, 0.05, 0.11, 0.001)), "more than an effect"),
            (told(0.1, 0.2, 0.5, (0.0, -0.03, 0.03, 0.9)), "not shown"),
        ],
    )
    def test_grades(self, frame: pd.DataFrame, grade: str) -> None:
        found = value.evidence(frame)
        assert found.grade == grade
        assert found.why
        assert value.evidence(frame[::-1]) == found
        assert "cause" not in found.why

    def test_no_estimate(self) -> None:
        frame = told(0.1, 0.2, 0.5, None)
        found = value.evidence(results.conform(frame.assign(status="undefined", note="nobody answered")))
        assert (found.grade, found.why) == ("unknown", "nobody answered")
        with pytest.raises(UsageError, match="holds none"):
            value.evidence(results.empty())

    def test_a_shock_that_moves_both_is_found_out(self, rng: np.random.Generator) -> None:
        """No effect at all, but something that moves satisfaction, spending and visits alike: the control tells."""
        frame = panel(rng, 600, 10, effect=0.0, shock=0.4)
        found = value.link(frame)
        assert found["estimate"].iloc[0] > 0
        assert value.evidence(found).grade == "more than an effect"

    def test_an_effect_that_holds_up(self, rng: np.random.Generator) -> None:
        assert value.evidence(value.link(panel(rng, 800, 10, effect=0.3))).grade == "held up"
