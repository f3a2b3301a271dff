"""Response by arm, and whether an effect could be who answered: the fake effect is caught, a real one stands."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis.experiments import (
    answers_or_experience,
    behavioural_guardrail,
    inverse_probability,
    lee_bounds,
    response_by_arm,
)
from cxlib.errors import UsageError
from cxlib.measure.differences import mean_difference, nps_difference, share_difference
from cxlib.measure.moments import Moments


def invitations(rates: dict[str, tuple[int, int]], **more: Any) -> pd.DataFrame:
    """Return invitations of arms: so many, so many answered."""
    rows = [pd.DataFrame({"arm": arm, "answered": np.arange(n) < said}) for arm, (n, said) in rates.items()]
    return pd.concat(rows, ignore_index=True).assign(**more)


class TestResponse:
    two = invitations({"control": (500, 100), "new": (400, 120)})

    def test_two_arms(self) -> None:
        """Newcombe's interval of 120 of 400 less 100 of 500, as `share_difference` has it against his paper."""
        found = response_by_arm(self.two)
        assert found["comparison"].tolist() == ["level", "level", "difference"]
        assert found["at"].tolist() == ["control", "new", "new"]
        expected = share_difference(120, 400, 100, 500).iloc[0]
        for name in ("estimate", "conf_low", "conf_high", "p_value", "n", "n_eff"):
            assert found[name].iloc[2] == pytest.approx(expected[name], rel=1e-9), name
        assert found["against"].iloc[2] == "control"

    def test_customers_invited_often(self) -> None:
        """Everybody twice, answering always or never: as many customers, so the interval of one invitation each."""
        twice = pd.concat([self.two, self.two]).assign(who=np.tile(np.arange(900), 2))
        one, found = response_by_arm(self.two), response_by_arm(twice, customer="who")
        assert found["n"].iloc[2] == 1_800
        assert found["n_eff"].iloc[2] == pytest.approx(900, rel=0.01)  # t for few customers: 0.1 %
        assert found["conf_low"].iloc[2] == pytest.approx(one["conf_low"].iloc[2], abs=5e-4)

    def test_cells_are_as_good_as_rows(self) -> None:
        cells = self.two.groupby("arm", as_index=False).agg(answered=("answered", "sum"), asked=("answered", "size"))
        pd.testing.assert_frame_equal(response_by_arm(cells, invited="asked"), response_by_arm(self.two))

    def test_where_response_differs(self) -> None:
        """+10 points in one region, none in the other: Cochran's Q is the squared z of the two differences."""
        here = invitations({"control": (1_000, 200), "new": (1_000, 300)}, region="North")
        there = invitations({"control": (1_000, 200), "new": (1_000, 200)}, region="South")
        found = response_by_arm(pd.concat([here, there]), segments=["region"])
        inside = found[found["segment"] == "region"].set_index("level")
        assert inside.loc["North", "estimate"] == pytest.approx(0.1)
        test = inside[inside["comparison"] == "test"].iloc[0]
        errors = inside.loc[["North", "South"], "std_error"]
        assert test["estimate"] == pytest.approx((0.1 / np.hypot(*errors)) ** 2)
        assert test["p_value"] == pytest.approx(stats.chi2.sf(test["estimate"], 1))
        assert "from +0.0 percentage points in South to +10.0 percentage points in North" in test["note"]

    def test_small_levels_are_joined(self) -> None:
        frame = invitations({"control": (300, 60), "new": (300, 90)})
        frame["plan"] = np.where(np.arange(600) % 100 == 0, "rare", np.where(np.arange(600) % 2, "Basic", "Pro"))
        levels = set(response_by_arm(frame, segments=["plan"])["level"])
        assert "rare" not in levels
        assert "other levels" in levels

    def test_an_arm_named_control_is_the_control(self) -> None:
        """Although `callback` comes first in the alphabet: more answer with it, not fewer."""
        found = response_by_arm(invitations({"callback": (400, 120), "control": (500, 100)}))
        assert found["at"].tolist() == ["control", "callback", "callback"]
        assert (found["against"].iloc[2], found["estimate"].iloc[2]) == ("control", pytest.approx(0.1))
        turned = response_by_arm(invitations({"callback": (400, 120), "control": (500, 100)}), control="callback")
        assert turned["estimate"].iloc[2] == pytest.approx(-0.1)

    def test_several_treatments(self) -> None:
        frame = invitations({"a": (100, 30), "b": (100, 40), "c": (100, 50)}, plan="Pro")
        found = response_by_arm(frame, control="b", segments=["plan"])
        assert found[found["comparison"] == "difference"]["at"].tolist() == ["a", "c", "a", "c"]
        assert found[found["comparison"] == "test"]["status"].tolist() == ["too_few", "too_few"]

    @pytest.mark.parametrize(
        ("frame", "more", "told"),
        [
            (two.drop(columns="answered"), {}, "no column 'answered'"),
            (two.assign(answered=2), {}, "900 rows have more answers than invitations"),
            (two.assign(arm="a"), {}, "1 arms: a comparison needs two"),
            (two, {"control": "x"}, "the control 'x' is no arm; there are control, new"),
            (two.assign(arm=None), {}, "900 rows are in no arm"),
        ],
    )
    def test_refusals(self, frame: pd.DataFrame, more: dict[str, Any], told: str) -> None:
        with pytest.raises(UsageError, match=told):
            response_by_arm(frame, **more)


@pytest.mark.simulation
def test_equal_response_is_seldom_called_different(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Customers of their own willingness, invited one to four times: at most 5 % of equal pairs of arms."""
    times, called = replicates(40, 3_000), 0
    for _ in range(times):
        often, willing = rng.integers(1, 5, 300), rng.beta(0.6, 1.4, 300)
        arms = np.where(rng.random(300) < 0.5, "control", "new")
        cells = pd.DataFrame({"arm": arms, "asked": often, "answered": rng.binomial(often, willing), "who": range(300)})
        found = response_by_arm(cells, invited="asked", customer="who")
        called += bool(found["p_value"].iloc[2] < 0.05)
    assert called / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


def effect(value: float, low: float, high: float, metric: str = "nps") -> pd.DataFrame:
    """Return a difference of arms."""
    return results.frame(
        metric=metric, at="new", against="control", comparison="difference", estimate=value, conf_low=low,
        conf_high=high, std_error=(high - low) / 3.92, n=100,
    )  # fmt: skip


def bounds(low: float, high: float, error: float = 0.5) -> pd.DataFrame:
    """Return bounds with Imbens and Manski's limits for bounds that are far apart."""
    ends = np.array([low, high])
    return results.frame(
        at=["lower", "upper"], comparison="difference", estimate=ends, std_error=error,
        conf_low=ends - 1.645 * error, conf_high=ends + 1.645 * error,
    )  # fmt: skip


def response(by: float, p_value: float) -> pd.DataFrame:
    return results.frame(at="new", against="control", comparison="difference", estimate=by, p_value=p_value)


NO_BOUNDS = results.frame(at=["lower", "upper"], comparison="difference", status="too_few")


class TestReading:
    @pytest.mark.parametrize(
        ("shown", "limits", "shift", "reading"),
        [
            (effect(-12, -19, -5), bounds(-14, 2), response(0.04, 0.001), "could be who answered"),
            (effect(-12, -19, -5), bounds(-14, 2), response(0.01, 0.4), "could be who answered"),
            (effect(-12, -19, -5), bounds(-14, -2), response(0.04, 0.001), "stands"),
            (effect(12, 5, 19), bounds(2, 14), response(0.04, 0.001), "stands"),
            (effect(12, 5, 19), bounds(1, 14), response(0.01, 0.4), "stands"),  # 1 / 0.5 is more than 1.96
            (effect(12, 5, 19), bounds(0.9, 14), response(0.01, 0.4), "could be who answered"),
            (effect(2, -5, 9), bounds(1.5, 3), response(0.04, 0.001), "no effect shown"),
            (effect(12, 5, 19), NO_BOUNDS, response(0.04, 0.001), "could be who answered"),
            (effect(12, 5, 19), NO_BOUNDS, response(0.04, 0.4), "cannot be told"),
        ],
    )
    def test_rules(self, shown: pd.DataFrame, limits: pd.DataFrame, shift: pd.DataFrame, reading: str) -> None:
        row = answers_or_experience(shown, limits, shift, unit="points").iloc[0]
        assert row["at"] == reading
        assert (row["metric"], row["level"], row["against"], row["status"]) == ("nps", "new", "control", "ok")

    def test_words(self) -> None:
        row = answers_or_experience(effect(-12, -19, -5), bounds(-13.12, 1.32), response(0.04, 0.0004), unit="points")
        assert row["note"].iloc[0] == (
            "The effect could be who answered: response differs by 4 percentage points (p < .001), and for those who "
            "would answer either way it lies between -14.1 and +2.3 points, which holds 0."
        )
        row = answers_or_experience(effect(12, 5, 19), bounds(2.98, 14.02), response(0.004, 0.4), unit="points")
        assert row["note"].iloc[0] == (
            "The effect stands whoever answered: even in the worst case it is +2 points (response is not shown to "
            "differ, by 0.4 percentage points (p = .40), and for those who would answer either way it lies between "
            "+2 and +15 points)."
        )

    def test_reweighting_and_behaviour_are_told(self) -> None:
        metrics = {
            "orders": SimpleNamespace(title="Orders per customer", unit="count", higher_is_better=True),
            "churn": SimpleNamespace(title="Churn", unit="percent", higher_is_better=False),
        }
        shown = effect(12, 5, 19)
        beside = behavioural_guardrail(
            shown,
            results.concat([effect(0.1, -0.1, 0.3, "orders"), effect(0.02, 0.01, 0.03, "churn")]),
            metrics=metrics,  # type: ignore[arg-type]
        )
        assert beside["note"].iloc[0] == (
            "Orders per customer, which everybody has, is not shown to move (+0.1, between -0.1 and +0.3)."
        )
        assert beside["note"].iloc[1] == (
            "Churn, which everybody has, moves the other way (+2 percentage points, between +1 and +3 percentage "
            "points)."
        )
        row = answers_or_experience(
            shown, bounds(3, 14), response(0.004, 0.4), reweighted=effect(11, 4, 18), behaviour=beside, unit="points"
        )
        note = row["note"].iloc[0]
        assert "by what was known of them before, it is +11 points (between +4 and +18 points)" in note
        assert note.endswith("percentage points).")

    def test_an_arm_among_several(self) -> None:
        frame = invitations({"control": (500, 100), "new": (500, 150), "other": (500, 100)}, plan="Pro")
        every = response_by_arm(frame, segments=["plan"])
        row = answers_or_experience(effect(12, 5, 19), bounds(3, 14), every).iloc[0]
        own = every[(every["comparison"] == "difference") & (every["segment"] == "all") & (every["at"] == "new")]
        assert row["p_value"] == own["p_value"].iloc[0]

    def test_refusals(self) -> None:
        with pytest.raises(UsageError, match="2 rows are no single effect"):
            answers_or_experience(results.concat([effect(1, 0, 2)] * 2), bounds(0, 1), response(0, 1))
        with pytest.raises(UsageError, match="0 rows are no single difference in response"):
            answers_or_experience(effect(1, 0, 2), bounds(0, 1), results.empty())


def fake(rng: np.random.Generator, n: int, unhappy: float, base: float = 0.08) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the reading and the plain effect where a treatment changes nothing but how many detractors answer."""
    arm = np.repeat([False, True], n)
    score = rng.choice([100.0, 0.0, -100.0], 2 * n, p=[0.5, 0.3, 0.2])
    said = rng.random(2 * n) < np.where(arm & (score < 0), unhappy, base)
    counts = [[int((said & mine & (score == one)).sum()) for one in (100, 0, -100)] for mine in (~arm, arm)]
    shown = results.label(nps_difference(counts[0], counts[1]), metric="nps", at="new", against="control")
    cells = pd.DataFrame({"arm": ["control", "new"], "answered": [sum(one) for one in counts], "asked": n})
    found = answers_or_experience(
        shown, lee_bounds(score, said, arm), response_by_arm(cells, invited="asked"), unit="points"
    )
    return found, shown


@pytest.mark.simulation
def test_the_fake_effect_is_caught(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Detractors answer 12 instead of 8 times of 100 invitations: -12 points of NPS out of nothing.

    With 12,000 invitations an arm it is significant in 91 % of runs (METHODS), and said to stand in 3.3 % of 1,500.
    """
    times = replicates(40, 2_000)
    runs = [fake(rng, 12_000, 0.12) for _ in range(times)]
    fooled = np.mean([found["at"].iloc[0] == "stands" for found, _ in runs])
    shown = np.mean([plain["p_value"].iloc[0] < 0.05 for _, plain in runs])
    assert fooled <= 0.035 + 3 * np.sqrt(0.035 * 0.965 / times)  # 4.7 % with all runs: caught in 95 of 100
    assert shown == pytest.approx(0.91, abs=4 * np.sqrt(0.91 * 0.09 / times))


@pytest.mark.simulation
def test_a_real_effect_stands(rng: np.random.Generator) -> None:
    """Equal response, and 0.5 of a point on a scale of 1 to 5: the bounds leave no doubt."""
    n = 8_000
    arm = rng.random(n) < 0.5
    score = np.clip(np.round(rng.normal(3.5, 1, n) + 0.5 * arm), 1, 5)
    said = rng.random(n) < 0.4
    shown = mean_difference(Moments.of(score[said & ~arm]), Moments.of(score[said & arm]))
    shown = results.label(shown, metric="csat_mean", at="new", against="control")
    frame = pd.DataFrame({"arm": np.where(arm, "new", "control"), "answered": said})
    found = answers_or_experience(shown, lee_bounds(score, said, arm), response_by_arm(frame))
    assert found["at"].iloc[0] == "stands"


@pytest.fixture(scope="module")
def asked() -> pd.DataFrame:
    """Every invitation to answer about a delivery of the experiment's orders, and what would be answered (`would`)."""
    from cxlib.data import demo

    company = demo.simulate(6_000, 7, first="2026-04", last="2026-07")
    table = {name: company.tables[name].to_pandas() for name in ("exposures", "orders", "responses", "customers")}
    asked = company.tables["invitations"].to_pandas().assign(would=company.asked.score)
    exposed = table["exposures"].query("experiment == 'proactive_delivery_updates'")
    orders = table["orders"][table["orders"]["ordered_at"] < "2026-07-01"]
    asked = asked[(asked["touchpoint"] == "delivery") & asked["order_id"].isin(orders["order_id"])]
    asked = asked.merge(exposed[["customer_id", "variant"]], on="customer_id")
    asked = asked.merge(table["responses"][["invitation_id", "score"]], on="invitation_id", how="left")
    people = table["customers"].drop_duplicates("customer_id", keep="last")
    asked = asked.merge(people[["customer_id", "age_band", "plan"]], on="customer_id")
    return asked.assign(answered=asked["score"].notna())


class TestDemo:
    """`proactive_delivery_updates`: +0.235 if everybody answered, +0.264 among those who did (docs/demo.md, 4)."""

    def test_bounds_hold_the_truth(self, asked: pd.DataFrame) -> None:
        found = lee_bounds(asked["score"], asked["answered"], asked["variant"], clusters=asked["customer_id"])
        low, high = found["conf_low"].iloc[0], found["conf_high"].iloc[1]
        assert low < 0.235 < high
        assert low < 0.264 < high
        tight = lee_bounds(
            asked["score"], asked["answered"], asked["variant"], clusters=asked["customer_id"], by=asked["age_band"]
        )
        assert tight["conf_low"].iloc[0] < 0.235 < tight["conf_high"].iloc[1]

    def test_reweighting_holds_the_truth_of_everybody(self, asked: pd.DataFrame) -> None:
        found = inverse_probability(
            asked, ["age_band", "plan"], outcome="score", arm="variant", customer="customer_id"
        ).iloc[0]
        assert found["conf_low"] < 0.235 < found["conf_high"]
        would = asked.groupby("variant")["would"].mean()
        assert would["updates"] - would["control"] == pytest.approx(0.235, abs=0.13)  # three errors, of 1,500 an arm

    def test_response_is_not_shown_to_differ(self, asked: pd.DataFrame) -> None:
        found = response_by_arm(asked, arm="variant", customer="customer_id")
        assert found["p_value"].iloc[2] > 0.01
