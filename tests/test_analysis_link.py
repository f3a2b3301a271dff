"""The link within customers: against statsmodels and moments written out, and where buying feeds back on answers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from link_panels import of_the_demo, panel
from scipy.optimize import root
from statsmodels.sandbox.regression.gmm import IV2SLS

from cxlib.analysis import value
from cxlib.data.demo import TRUTHS
from cxlib.errors import UsageError

RATE = TRUTHS.orders.per_satisfaction
SOLVED = 1e-6  # two solvers of the same equations


def cell(
    frame: pd.DataFrame, metric: str, at: str = "1", comparison: str = "relative", segment: str = "all"
) -> pd.Series:
    mine = frame[(frame["metric"] == metric) & (frame["at"] == at) & (frame["comparison"] == comparison)]
    mine = mine[mine["segment"] == segment]
    assert len(mine) == 1
    return mine.iloc[0]


def holds(row: pd.Series, truth: float) -> bool:
    return bool(row["conf_low"] <= truth <= row["conf_high"])


def matched(frame: pd.DataFrame) -> pd.DataFrame:
    """Return answers with the next period's outcome, by customer and time, as in the documentation of `link`."""
    later = frame[["customer_id", "period", "spend"]].assign(period=frame["period"] - 1)
    both = frame.drop(columns="spend").merge(later, on=["customer_id", "period"]).dropna(subset=["satisfaction"])
    return both.sort_values(["customer_id", "period"], ignore_index=True)


def customers(both: pd.DataFrame) -> list[np.ndarray]:
    return [rows.index.to_numpy() for _, rows in both.groupby("customer_id")]


def forward(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Forward orthogonal deviations (Arellano and Bover 1995), written out; 0 for the last row of a customer."""
    out = np.zeros_like(values, dtype=float)
    for rows in groups:
        for place, row in enumerate(rows[:-1]):
            left = rows.size - 1 - place
            out[row] = np.sqrt(left / (left + 1)) * (values[row] - values[rows[place + 1 :]].mean())
    return out


def backward(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    """Backward orthogonal deviations, written out; 0 for the first row of a customer."""
    out = np.zeros_like(values, dtype=float)
    for rows in groups:
        for place, row in enumerate(rows[1:], start=1):
            out[row] = np.sqrt(place / (place + 1)) * (values[row] - values[rows[:place]].mean())
    return out


def weight(groups: list[np.ndarray], size: int) -> np.ndarray:
    out = np.zeros(size)
    for rows in groups:
        left = rows.size - 1 - np.arange(rows.size)
        out[rows] = np.sqrt(left / (left + 1))
    return out


class TestReferences:
    def test_two_way_fixed_effects_as_least_squares_with_dummies(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 60, 8, asked=0.7, rates=False)
        found = value.fit_link(frame, model="additive", method="fixed effects")
        both = matched(frame)
        both = both[both.groupby("customer_id")["period"].transform("size") > 1]
        dummies = pd.get_dummies(both[["customer_id", "period"]].astype(str), drop_first=True, dtype=float)
        design = sm.add_constant(pd.concat([both[["satisfaction"]], dummies], axis=1))
        groups = pd.factorize(both["customer_id"])[0]
        fit = sm.OLS(both["spend"], design).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
        )
        assert found.slopes.value[0] == pytest.approx(fit.params["satisfaction"], rel=SOLVED)
        few = np.sqrt(found.slopes.people / (found.slopes.people - 1))
        assert found.slopes.error == pytest.approx(few * fit.bse["satisfaction"], rel=SOLVED)

    def test_fixed_effects_poisson_as_poisson_with_dummies(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 60, 8, asked=0.7)
        found = value.fit_link(frame, method="fixed effects")
        both = matched(frame)
        both = both[both.groupby("customer_id")["period"].transform("size") > 1]
        both = both[both.groupby("customer_id")["spend"].transform("sum") > 0]
        dummies = pd.get_dummies(both[["customer_id", "period"]].astype(str), drop_first=True, dtype=float)
        design = sm.add_constant(pd.concat([both[["satisfaction"]], dummies], axis=1))
        groups = pd.factorize(both["customer_id"])[0]
        fit = sm.GLM(both["spend"], design, family=sm.families.Poisson()).fit(
            tol=1e-12, cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
        )
        assert found.slopes.value[0] == pytest.approx(fit.params["satisfaction"], rel=SOLVED)
        few = np.sqrt(found.slopes.people / (found.slopes.people - 1))
        assert found.slopes.error == pytest.approx(few * fit.bse["satisfaction"], rel=1e-4)

    def test_the_double_filter_as_instrumental_variables(self, rng: np.random.Generator) -> None:
        """Against statsmodels' two-stage least squares on deviations written out (Hayakawa, Qi and Breitung 2019)."""
        frame = panel(rng, 80, 8, asked=0.8, rates=False, feedback=0.1)
        found = value.fit_link(frame, model="additive", controls=["visits"])
        both = matched(frame)
        groups, size = customers(both), len(both)
        periods = (both["period"].to_numpy()[:, None] == np.arange(6)).astype(float)  # the last of 7 is the yardstick
        columns = [both["satisfaction"].to_numpy(), both["visits"].to_numpy(dtype=float), *periods.T]
        design = np.column_stack([forward(column, groups) for column in columns])
        own = [backward(column, groups) for column in columns[:2]]
        instruments = np.column_stack([*own, weight(groups, size)[:, None] * periods])
        fit = IV2SLS(forward(both["spend"].to_numpy(), groups), design, instruments).fit()
        assert found.slopes.value == pytest.approx(fit.params[:2], rel=SOLVED)

    def test_quasi_differences_as_moments_written_out(self, rng: np.random.Generator) -> None:
        """Chamberlain's (1992) moments, in loops, solved by SciPy."""
        frame = panel(rng, 60, 6, asked=0.9, feedback=0.1)
        found = value.fit_link(frame)
        both = matched(frame)
        groups, size = customers(both), len(both)
        x, y, period = (both[name].to_numpy(dtype=float) for name in ("satisfaction", "spend", "period"))
        z, worth = backward(x, groups), weight(groups, size)

        def moments(theta: np.ndarray) -> np.ndarray:
            mean = np.exp(theta[0] * x + np.append(theta[1:], 0.0)[period.astype(int)])
            rest = np.zeros(size)
            for rows in groups:
                for place, row in enumerate(rows[:-1]):
                    later = rows[place + 1 :]
                    rest[row] = worth[row] * (y[row] - mean[row] * (y[later] / mean[later]).mean())
            return np.array([z @ rest, *(rest @ (worth * (period == place)) for place in range(4))])

        solved = root(moments, np.zeros(5), tol=1e-12)
        assert solved.success
        assert found.slopes.value[0] == pytest.approx(solved.x[0], rel=SOLVED)

    def test_errors_by_leaving_out_one_customer_each(self, rng: np.random.Generator) -> None:
        """The jackknife of customers: the sandwich is its first-order form, equal to a few per cent at 60 of them."""
        frame = panel(rng, 60, 8, feedback=0.1)
        whole = value.fit_link(frame)
        left = [
            value.fit_link(frame[frame["customer_id"] != name]).slopes.value[0]
            for name in sorted(set(frame["customer_id"]))
        ]
        jackknife = np.sqrt(59 / 60 * ((np.array(left) - np.mean(left)) ** 2).sum())
        assert whole.slopes.error == pytest.approx(jackknife, rel=0.15)


class TestDemo:
    def test_the_planted_rate_is_inside_and_fixed_effects_are_not_to_be_trusted(self) -> None:
        """Log rate +0.15 per unit. Late orders make customers less satisfied: fixed effects find .26 (see the demo)."""
        frame = of_the_demo(10_000)
        found = value.link(frame, satisfaction="latent", outcome="orders", negative_control="bills")
        effect = cell(found, "orders")
        assert holds(effect, np.expm1(RATE))
        assert effect["p_value"] < 1e-6
        plain = value.link(frame, satisfaction="latent", outcome="orders", negative_control=(), method="fixed effects")
        assert cell(plain, "orders")["conf_low"] > np.expm1(RATE)
        assert cell(found, "bills")["p_value"] > 0.05
        assert cell(found, "orders", "-1")["estimate"] < 0  # orders bring late deliveries, and these dissatisfy
        assert value.evidence(found).grade == "runs both ways"

    def test_the_planted_money_is_inside(self) -> None:
        """What a unit multiplies, times the mean spend of a customer and month: about EUR 6."""
        frame = of_the_demo(10_000)
        found = value.link(frame, satisfaction="latent", negative_control="bills")
        money, mean = (
            cell(found, "spend", comparison="difference"),
            value.fit_link(frame, satisfaction="latent").slopes.mean,
        )
        assert holds(money, np.expm1(RATE) * mean)
        assert money["conf_low"] > 0

    def test_answers_hold_too_much_noise(self) -> None:
        """About two points of the score a latent unit: .15 is over 5 % a point. Answers show less, and it is said."""
        found = value.link(of_the_demo(10_000), second="second", negative_control="bills")
        effect = cell(found, "spend")
        assert effect["conf_high"] < np.expm1(RATE / 3)
        cleaned = cell(found, "spend", segment="without noise")
        assert cleaned["status"] == "undefined"
        assert "too much noise" in cleaned["note"]


class TestFeedback:
    @pytest.mark.simulation
    def test_coverage(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Where buying changes the next answer, 95 % intervals hold the truth, and those of fixed effects do not.

        At most three standard errors of the simulation below 95 %, and one point for the asymptotics of 250 customers.
        """
        times, effect = replicates(40, 2_000), 0.15
        held = {"predetermined": 0, "fixed effects": 0}
        for _ in range(times):
            frame = panel(rng, 250, 8, effect=effect, feedback=-0.3)
            for method in held:
                row = value.link(frame, negative_control=(), method=method)
                held[method] += holds(cell(row, "spend"), np.expm1(effect))
        assert held["predetermined"] / times >= 0.94 - 3 * np.sqrt(0.05 * 0.95 / times)
        assert held["fixed effects"] / times < 0.7

    @pytest.mark.simulation
    @pytest.mark.parametrize("model", ["multiplicative", "additive"])
    def test_false_alarms(self, model: str, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Without an effect, whatever feeds back: at most 5 % are called one, within the simulation's error."""
        times = replicates(40, 3_000)
        found = 0
        for _ in range(times):
            frame = panel(rng, 200, 8, effect=0.0, feedback=-0.3, rates=model == "multiplicative")
            found += cell(value.link(frame, negative_control=(), model=model), "spend")["p_value"] < 0.05
        assert found / times <= 0.06 + 3 * np.sqrt(0.05 * 0.95 / times)

    @pytest.mark.simulation
    def test_what_was_bought_before_tells_nothing_without_feedback(
        self, rng: np.random.Generator, replicates: Callable[[int, int], int]
    ) -> None:
        """Satisfaction lasts from period to period: only with the answer before held constant is the check a check."""
        times, found = replicates(40, 3_000), 0
        for _ in range(times):
            before = cell(value.link(panel(rng, 200, 8, effect=0.3), negative_control=()), "spend", "-1")
            assert "held constant" in before["note"]
            found += before["p_value"] < 0.05
        assert found / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


class TestNoise:
    @pytest.mark.simulation
    def test_noise_of_answers_is_taken_out(
        self, rng: np.random.Generator, replicates: Callable[[int, int], int]
    ) -> None:
        """A slope too small by the share of noise; without it the intervals hold the truth, with feedback, too."""
        times, effect = replicates(25, 1_500), 0.2
        held, small, shares = 0, [], []
        for _ in range(times):
            found = value.link(panel(rng, 400, 8, effect=effect, feedback=-0.2, noise=0.5), second="second")
            held += holds(cell(found, "spend", segment="without noise"), np.expm1(effect))
            small.append(np.log1p(cell(found, "spend")["estimate"]))
            shares.append(found[found["metric"] == "not_noise"]["estimate"].iloc[0])
        assert held / times >= 0.94 - 3 * np.sqrt(0.05 * 0.95 / times)
        assert np.mean(small) == pytest.approx(effect * np.mean(shares), abs=0.02)
        assert 0.3 < np.mean(shares) < 0.8

    def test_without_second_answers_nothing_is_taken_out(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 50, 6).assign(second=np.nan)
        found = value.link(frame, second="second")
        row = cell(found, "spend", segment="without noise")
        assert row["status"] == "too_few"
        assert "0 customers answered twice" in row["note"]


class TestPanels:
    def test_any_order_and_kind_of_column(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 60, 8, feedback=0.1, asked=0.8)
        other = frame.sample(frac=1, random_state=1).assign(
            spend=lambda t: [Decimal(int(number)) for number in t["spend"]],
            satisfaction=lambda t: t["satisfaction"].astype("Float64"),
            customer_id=lambda t: t["customer_id"].astype("string[pyarrow]"),
            period=lambda t: [f"2026-{number + 1:02}" for number in t["period"]],
        )
        pd.testing.assert_frame_equal(value.link(frame), value.link(other), check_exact=False, rtol=1e-9)

    def test_months_need_not_follow_each_other(self, rng: np.random.Generator) -> None:
        """A month that is not there is no period 0: outcomes are matched by the calendar, not by the row before."""
        frame = panel(rng, 40, 6).assign(period=lambda t: t["period"].map({0: 10, 1: 11, 2: 13, 3: 14, 4: 15, 5: 16}))
        labels = frame["period"].map(lambda number: f"{2025 + (number - 1) // 12}-{(number - 1) % 12 + 1:02}")
        found = value.link(frame.assign(period=labels))
        assert cell(found, "spend")["n"] == 40 * 4
        pd.testing.assert_frame_equal(found, value.link(frame))

    def test_the_period_of_leaving_is_left_out(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 80, 8)
        last = frame["period"] == frame["customer_id"].str[1:].astype(int) % 5 + 3
        gone = frame[frame["period"] <= frame["customer_id"].str[1:].astype(int) % 5 + 3].copy()
        last = last[gone.index]
        told = value.link(gone.assign(churned=last.astype(int)))
        cut = value.link(gone[~last].drop(columns="churned"))
        assert cell(told, "spend")["estimate"] == pytest.approx(cell(cut, "spend")["estimate"], rel=1e-9)
        assert "does not tell who left" in cell(cut, "spend")["note"]

    def test_what_cannot_be_told_is_said(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 60, 8)
        cases = {
            "8 customers have an answer": frame[frame["customer_id"] < "C00008"],
            "the outcome is the same throughout": frame.assign(spend=3),
            "does not vary within customers": frame.assign(satisfaction=frame["customer_id"].str[1:].astype(float)),
            "no customer has an answer": frame.assign(satisfaction=np.nan),
        }  # fmt: skip
        for words, given_ in cases.items():
            row = cell(value.link(given_), "spend")
            assert row["status"] in ("undefined", "too_few"), words
            assert words in row["note"], row["note"]
            assert pd.isna(row["estimate"])
        assert "no column 'visits'" in cell(value.link(frame.drop(columns="visits", errors="ignore")), "visits")["note"]
        with pytest.raises(UsageError, match="no column 'bills'"):
            value.link(frame, negative_control="bills")

    def test_few_customers_are_hidden(self, rng: np.random.Generator) -> None:
        found = value.link(panel(rng, 40, 6), min_n=50)
        assert set(found["status"]) == {"suppressed"}

    def test_what_is_wrong_is_told(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 20, 4)
        for wrong, words in (
            (frame.rename(columns={"spend": "spent"}), "spend"),
            (pd.concat([frame, frame.head(3)]), "3 rows repeat"),
            (frame.assign(spend="much"), "spend is no number in 80 rows, the first 'much'"),
            (frame.assign(spend=-1), "below 0 in 80 rows"),
            (frame.assign(spend=np.inf), "spend is infinite in 80 rows"),
            (frame.assign(period="soon"), "is not a period"),
            (frame.assign(customer_id=None), "missing in 80 rows"),
        ):
            with pytest.raises(UsageError, match=words):
                value.link(wrong)
        for changed in ({"model": "cubic"}, {"method": "magic"}, {"confidence": 1.5}, {"churned": "left"}):
            with pytest.raises(UsageError):
                value.link(frame, **changed)  # type: ignore[arg-type]

    def test_effects_of_ten_points(self, rng: np.random.Generator) -> None:
        """Rates multiply: ten points are the tenth power of one; what it is compared with says so."""
        frame = panel(rng, 200, 8)
        one, ten = (value.link(frame, per=per) for per in (1, 10))
        assert np.log1p(cell(ten, "spend")["estimate"]) == pytest.approx(10 * np.log1p(cell(one, "spend")["estimate"]))
        assert cell(ten, "spend")["p_value"] == pytest.approx(cell(one, "spend")["p_value"])
        assert set(ten["against"]) == {"10 points less"}
        assert value.evidence(ten).grade == value.evidence(one).grade
        with pytest.raises(UsageError, match="above 0"):
            value.link(frame, per=0)

    @settings(max_examples=15)
    @given(st.integers(0, 10_000), st.sampled_from([0.001, 0.5, 3.0, 100.0]), st.floats(-5, 5))
    def test_units_of_satisfaction(self, seed: int, scale: float, start: float) -> None:
        """Twice the scale is half the slope; where it begins does not matter, nor what customers are called."""
        frame = panel(np.random.default_rng(seed), 80, 6, feedback=0.1)
        other = frame.assign(satisfaction=scale * frame["satisfaction"] + start, customer_id="X" + frame["customer_id"])
        one, two = (value.fit_link(each).slopes for each in (frame, other))
        assert one.reason == two.reason  # in small samples the equations may have no solution, whatever the units
        if one.reason:
            return
        assert two.value[0] == pytest.approx(one.value[0] / scale, rel=1e-5, abs=1e-7)
        assert two.error == pytest.approx(one.error / scale, rel=1e-4)
