"""Non-inferiority: against statsmodels, at its margin by enumeration, and several guardrails together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import proportion, rates
from statsmodels.stats.weightstats import CompareMeans, ttost_ind

from cxlib import results
from cxlib.analysis.experiments.guardrails import guardrails, non_inferior, read_limits
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments

ARITHMETIC = 1e-9  # two ways to compute one formula


def successes(count: object, n: object) -> Moments:
    """Return the moments of shares."""
    count, n = (np.asarray(value, dtype=float) for value in (count, n))
    return Moments.from_sums(n, {"y": count}, {("y", "y"): count})


def row(margin_kept: bool, arm: str = "b", metric: str = "wait") -> pd.DataFrame:
    """Return one guardrail that holds or does not."""
    control, treatment = successes(500, 1000), successes(500 if margin_kept else 470, 1000)
    found = non_inferior(control, treatment, 0.06, higher_is_better=True, kind="share")
    return results.label(found, metric=metric, at=arm, against="a")


class TestMeans:
    def test_as_statsmodels(self, rng: np.random.Generator) -> None:
        """Welch's t against the margin: `CompareMeans.ttest_ind(value=)`, `tconfint_diff`, one side of `ttost_ind`."""
        old, new = rng.normal(10, 3, 90), rng.normal(9.5, 4, 140)
        pair = CompareMeans.from_data(new, old)
        for higher, at, side in ((True, -1.0, "larger"), (False, 1.0, "smaller")):
            found = non_inferior(Moments.of(old), Moments.of(new), 1.0, higher_is_better=higher).iloc[0]
            expected = pair.ttest_ind(alternative=side, usevar="unequal", value=at)[1]
            assert found["p_value"] == pytest.approx(expected, rel=1e-7)
            limits = pair.tconfint_diff(alpha=0.1, usevar="unequal")
            assert (found["conf_low"], found["conf_high"]) == pytest.approx(limits, rel=ARITHMETIC)
            assert ttost_ind(new, old, -1.0, 1.0, usevar="unequal")[1 if higher else 2][1] == pytest.approx(
                found["p_value"], rel=1e-7
            )

    def test_scale_and_units(self, rng: np.random.Generator) -> None:
        """A scale multiplies everything but the margin; customers with several rows are one."""
        old, new, who = rng.normal(2, 1, 60), rng.normal(2, 1, 60), np.repeat(np.arange(20), 3)
        sides = [Moments.of(side, clusters=who) for side in (old, new)]
        plain = non_inferior(*sides, 0.5, higher_is_better=True).iloc[0]
        scaled = non_inferior(*sides, 5.0, higher_is_better=True, scale=10.0).iloc[0]
        assert scaled["p_value"] == pytest.approx(plain["p_value"], rel=1e-6)
        assert scaled["conf_low"] == pytest.approx(10 * plain["conf_low"])
        assert "cluster-robust" in plain["method"]

    def test_elements(self, rng: np.random.Generator) -> None:
        """Moments of arrays give a row each."""
        sums = [Moments.of(rng.normal(size=50)) for _ in range(4)]
        one = [non_inferior(sums[0], sums[2], 0.3, higher_is_better=True), non_inferior(sums[1], sums[3], 0.3,
               higher_is_better=True)]  # fmt: skip
        control, treatment = (
            Moments.from_sums(
                [50.0, 50.0],
                {"y": np.array([float(side.sums["y"]) for side in pair])},
                {("y", "y"): np.array([float(side.products["y", "y"]) for side in pair])},
            )
            for pair in (sums[:2], sums[2:])
        )
        both = non_inferior(control, treatment, 0.3, higher_is_better=True)
        assert both["p_value"].to_numpy() == pytest.approx(results.concat(one)["p_value"].to_numpy(), rel=1e-6)

    @pytest.mark.simulation
    def test_error_rate_of_skewed_values(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Harm of just the margin passes in 5 % of experiments of log-normal values (within 3 errors, and 1 %)."""
        times = replicates(1_500, 40_000)
        old, new = (np.exp(rng.normal(size=(times, 200))) for _ in range(2))
        sides = [
            Moments.from_sums(np.full(times, 200.0), {"y": side.sum(axis=1)}, {("y", "y"): (side**2).sum(axis=1)})
            for side in (old, new - 0.3)
        ]
        passed = (non_inferior(*sides, 0.3, higher_is_better=True)["p_value"] < 0.05).mean()
        assert passed == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / times) + 0.01)


class TestShares:
    @pytest.mark.parametrize(("x", "n", "y", "m"), [(270, 300, 262, 310), (40, 80, 45, 75), (900, 1000, 880, 1000)])
    def test_as_statsmodels(self, x: int, n: int, y: int, m: int) -> None:
        """Newcombe's limits to the digit; the p-value within .006 of Farrington and Manning's score test."""
        found = non_inferior(successes(x, n), successes(y, m), 0.05, higher_is_better=True, kind="share").iloc[0]
        limits = proportion.confint_proportions_2indep(y, m, x, n, method="newcomb", compare="diff", alpha=0.1)
        assert (found["conf_low"], found["conf_high"]) == pytest.approx(limits, rel=ARITHMETIC)
        score = proportion.test_proportions_2indep(
            y, m, x, n, value=-0.05, method="score", compare="diff", alternative="larger", correction=False
        )
        assert found["p_value"] == pytest.approx(score.pvalue, abs=0.006)

    @pytest.mark.parametrize("sizes", [(100, 100), (300, 100), (100, 300)])
    @pytest.mark.parametrize("higher", [True, False])
    def test_error_rate_at_the_margin(self, sizes: tuple[int, int], higher: bool) -> None:
        """By enumeration of all outcomes: harm of just the margin passes in 4 to 5.8 % of experiments at alpha 5 %."""
        n, m = sizes
        x, y = (part.ravel() for part in np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij"))
        control, treatment = successes(x, np.full(x.shape, n)), successes(y, np.full(y.shape, m))
        for margin in (0.05, 0.1):
            found = non_inferior(control, treatment, margin, higher_is_better=higher, kind="share")
            passed = (found["p_value"] < 0.05).to_numpy()
            for share in (0.9, 0.5, 0.15):
                harmed = share + (-margin if higher else margin)
                if not 0 < harmed < 0.99:
                    continue
                chance = stats.binom.pmf(x, n, share) * stats.binom.pmf(y, m, harmed)
                assert 0.04 < (chance * passed).sum() < 0.058

    @given(st.integers(0, 40), st.integers(0, 30), st.floats(0.01, 0.5), st.booleans(), st.floats(0.005, 0.2))
    def test_p_value_and_limit_agree(self, x: int, y: int, margin: float, higher: bool, alpha: float) -> None:
        found = non_inferior(
            successes(x, 40), successes(y, 30), margin, higher_is_better=higher, kind="share", alpha=alpha
        ).iloc[0]
        limit = found["conf_low"] if higher else -found["conf_high"]
        if abs(limit + margin) > 1e-6:  # on the margin itself rounding decides
            assert (found["p_value"] < alpha) == (limit > -margin)
        assert 0 <= found["p_value"] <= 1


class TestRatesAndScores:
    def test_rates_near_the_score_test(self) -> None:
        """`test_poisson_2indep(value=, method="score")` takes both rates as normal: p-values within .02."""
        events, months = (60.0, 80.0), (500.0, 520.0)
        sides = [
            Moments.from_sums(n, {"y": e, "x": n}, {("y", "y"): e, ("x", "x"): n, ("x", "y"): e})
            for e, n in zip(events, months, strict=True)
        ]
        found = non_inferior(*sides, 0.08, higher_is_better=False, kind="rate").iloc[0]
        score = rates.test_poisson_2indep(
            events[1],
            months[1],
            events[0],
            months[0],
            value=0.08,
            method="score",
            compare="diff",
            alternative="smaller",
        )
        assert found["p_value"] == pytest.approx(score.pvalue, abs=0.02)
        assert (found["p_value"] < 0.05) == (found["conf_high"] < 0.08)

    def test_rates_per_thousand(self) -> None:
        sides = [Moments.of(np.repeat([1.0, 0.0], [n, 500 - n])) for n in (60, 70)]
        one = non_inferior(*sides, 0.05, higher_is_better=False, kind="rate").iloc[0]
        thousand = non_inferior(*sides, 50, higher_is_better=False, kind="rate", scale=1000.0).iloc[0]
        assert thousand["p_value"] == pytest.approx(one["p_value"], rel=1e-9)
        assert thousand["conf_high"] == pytest.approx(1000 * one["conf_high"])

    def test_scores_near_welch(self, rng: np.random.Generator) -> None:
        """With many answers the adjusted variances are Welch's own: p-values within .005."""
        old, new = (rng.choice([-1, 0, 1], 2_000, p=p) for p in ([0.2, 0.3, 0.5], [0.22, 0.3, 0.48]))
        found = non_inferior(Moments.of(old), Moments.of(new), 8, higher_is_better=True, kind="nps", unit="points")
        expected = CompareMeans.from_data(100 * new, 100 * old).ttest_ind("larger", "unequal", value=-8)[1]
        assert found["p_value"].iloc[0] == pytest.approx(expected, abs=0.005)
        assert "8 points" in found["note"].iloc[0]


class TestReading:
    @pytest.mark.parametrize(
        ("low", "high", "margin", "reading"),
        [
            (-1.9, 3.0, 2.0, "holds"),
            (-1.9, -0.1, 2.0, "holds"),  # worse, but by less than is put up with
            (-2.0, 3.0, 2.0, "unclear"),  # a tie with the margin does not rule it out
            (-5.0, 0.0, 2.0, "unclear"),
            (-5.0, -0.1, 2.0, "worse"),
            (-5.0, -3.0, 2.0, "worse"),
            (-5.0, 0.0, None, "unclear"),  # not shown to be worse clears nothing, however narrow
            (-1e-9, 1e-9, None, "unclear"),
            (0.0, 5.0, None, "holds"),  # harm of any size is ruled out
            (-5.0, -0.1, None, "worse"),
            (np.nan, np.nan, 2.0, "unknown"),
            (-1.0, np.inf, 2.0, "holds"),
            (-np.inf, -3.0, 2.0, "worse"),
        ],
    )
    def test_every_case_both_ways(self, low: float, high: float, margin: float | None, reading: str) -> None:
        rows = results.frame(comparison="difference", conf_low=[low, low], conf_high=[high, high])
        assert read_limits(rows, margin, higher_is_better=True) == [reading, reading]
        mirrored = results.frame(comparison="difference", conf_low=-high, conf_high=-low)
        assert read_limits(mirrored, margin, higher_is_better=False) == [reading]

    def test_words(self) -> None:
        told = {}
        for gone in (0, 40, 60):
            found = non_inferior(
                successes(500, 1000), successes(500 - gone, 1000), 0.06, higher_is_better=True, kind="share",
                unit="percent",
            )  # fmt: skip
            told[gone] = found["note"].iloc[0]
        assert told[0] == "not worse by more than 6 percentage points (registered margin)"
        assert told[40] == told[60] == "worse, perhaps by more than 6 percentage points (registered margin)"
        slight = non_inferior(
            successes(5_000, 10_000),
            successes(4_700, 10_000),
            0.06,
            higher_is_better=True,
            kind="share",
            unit="percent",
        )
        assert slight["note"].iloc[0] == (
            "not worse by more than 6 percentage points, but it did get worse (registered margin)"
        )
        few = non_inferior(successes(20, 40), successes(20, 40), 0.06, higher_is_better=True, kind="share")
        assert few["note"].iloc[0] == "could be worse by more than 0.06 (registered margin)"

    def test_nothing_to_compare(self) -> None:
        found = non_inferior(Moments.of([1.0]), Moments.of([1.0, 2.0]), 1, higher_is_better=True).iloc[0]
        assert found["status"] == "undefined"
        assert found["note"]
        assert np.isnan(found["p_value"])
        empty = non_inferior(successes(0, 0), successes(3, 9), 0.1, higher_is_better=True, kind="share").iloc[0]
        assert empty["status"] == "undefined"

    def test_everything_wrong_at_once(self) -> None:
        with pytest.raises(UsageError, match=r"takes Moments; kind 'median' .*; scale 0.*; margin -1 .*; alpha 0.7"):
            non_inferior(3, 4, -1, higher_is_better=True, kind="median", alpha=0.7, scale=0)
        with pytest.raises(UsageError, match="margin nan"):
            non_inferior(Moments.of([1, 2]), Moments.of([1, 2]), np.nan, higher_is_better=True)


class TestTogether:
    def test_all_must_hold(self) -> None:
        found = guardrails(row(True), row(True, metric="complaints"), row(False, "c"), row(True, "c", "complaints"))
        assert found["at"].tolist() == ["b", "c"]
        assert found["estimate"].tolist() == [2, 1]
        assert found["note"].tolist() == ["all 2 guardrails hold", "1 of 2 guardrails does not hold"]
        parts = results.concat([row(False), row(True)])
        assert found["p_value"].iloc[1] == pytest.approx(parts["p_value"].max())

    def test_one_without_a_result(self) -> None:
        lost = results.label(row(True, metric="nps"), status="undefined", note="nobody answered")
        found = guardrails(row(True), lost).iloc[0]
        assert found["status"] == "undefined"
        assert found["note"] == "1 of 2 guardrails could not be judged; 1 holds"

    def test_none_and_a_wrong_alpha(self) -> None:
        with pytest.raises(UsageError, match="no guardrail"):
            guardrails()
        with pytest.raises(UsageError, match="alpha 5"):
            guardrails(row(True), alpha=5)

    @pytest.mark.simulation
    def test_error_rate_of_several(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """One of three guardrails harmed by just its margin, the others not at all: all pass in at most 5 %."""
        times = replicates(2_000, 50_000)
        held = np.ones(times, dtype=bool)
        for harm in (0.3, 0.0, 0.0):
            old, new = (rng.normal(size=(times, 60)) for _ in range(2))
            new = new - harm
            sides = [
                Moments.from_sums(np.full(times, 60.0), {"y": s.sum(axis=1)}, {("y", "y"): (s**2).sum(axis=1)})
                for s in (old, new)
            ]
            held &= (non_inferior(*sides, 0.3, higher_is_better=True)["p_value"] < 0.05).to_numpy()
        assert held.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)
