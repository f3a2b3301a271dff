"""Sample sizes: R's and statsmodels' figures, inversions, directions, and the power that the tests really have.

Simulated power comes from the tests by which experiments are read (`measure.differences`), not from the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep, samplesize_proportions_2indep_onetail

from cxlib import results
from cxlib.analysis import experiments
from cxlib.errors import UsageError
from cxlib.measure import differences
from cxlib.measure.moments import Moments

SHARES = st.floats(0.02, 0.98)
POWERS = st.floats(0.3, 0.99)


def first(frame: pd.DataFrame) -> float:
    return float(frame["estimate"].iloc[0])


def noise(times: int, share: float) -> float:
    """Three standard errors of a simulated share."""
    return 3 * math.sqrt(share * (1 - share) / times)


class TestReferences:
    def test_r_shares(self, oracle: Callable[[str], dict]) -> None:
        """Oracle power_R_docs: R power.prop.test, strict = FALSE; 1e-4, as far as R's own search goes."""
        known = oracle("power_R_docs")["expected"]
        assert first(experiments.power_share(50, 0.5, 0.25)) == pytest.approx(known["power_n50_.5_.75"], rel=1e-9)
        found = experiments.sample_size_share(0.5, 0.25, power=0.9)
        assert first(found) == pytest.approx(known["n_.5_.75_pow.9"], rel=1e-4)
        assert found["n"].tolist() == [77, 77]
        assert first(experiments.sample_size_share(0.1, 0.01)) == pytest.approx(known["n_.10_.11_pow.8"], rel=1e-4)
        reached = 0.1 + first(experiments.smallest_effect_share(5000, 0.1))
        assert reached == pytest.approx(known["mde_p2_n5000_.10"], rel=1e-4)

    def test_r_means(self, oracle: Callable[[str], dict]) -> None:
        """Oracle power_R_docs: R power.t.test, strict = FALSE, the noncentral t; 1e-4."""
        known = oracle("power_R_docs")["expected"]
        assert first(experiments.power_mean(20, 1, 1)) == pytest.approx(known["power_n20_d1"], rel=1e-6)
        assert first(experiments.sample_size_mean(1, 1, power=0.9)) == pytest.approx(known["n_pow.9_d1"], rel=1e-4)
        one = experiments.sample_size_mean(1, 1, power=0.9, alternative="greater")
        assert first(one) == pytest.approx(known["n_onesided_pow.9_d1"], rel=1e-4)
        assert first(experiments.sample_size_mean(1, 0.2)) == pytest.approx(known["n_pow.8_d.2"], rel=1e-4)

    def test_statsmodels(self, oracle: Callable[[str], dict]) -> None:
        """Oracle power_R_docs, recomputed by statsmodels: unequal arms by the pooled t, shares pooled; 1e-4."""
        known = oracle("power_R_docs")["recomputed"]["statsmodels"]
        found = experiments.sample_size_mean(1, 0.2, ratio=2)
        assert first(found) == pytest.approx(known["tt_ind_unequal_ratio2"], rel=1e-4)
        assert found["estimate"].iloc[1] == pytest.approx(2 * first(found), rel=1e-12)
        assert first(experiments.sample_size_mean(1, 0.2)) == pytest.approx(known["tt_ind_es.2_pow.8"], rel=1e-4)
        found = experiments.sample_size_share(0.1, 0.02)
        assert first(found) == pytest.approx(known["samplesize_proportions_2indep_onetail"], rel=1e-9)

    @pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
    @pytest.mark.parametrize("alternative", ["two-sided", "greater"])
    def test_unequal_shares(self, ratio: float, alternative: str) -> None:
        """statsmodels 0.14 and later: `nobs1` is the first sample, `prop2` the second, `ratio` = n2 / n1."""
        words = {"two-sided": "two-sided", "greater": "larger"}[alternative]
        known = samplesize_proportions_2indep_onetail(0.03, 0.2, 0.85, ratio=1 / ratio, alternative=words)
        found = experiments.sample_size_share(0.2, 0.03, power=0.85, ratio=ratio, alternative=alternative)
        assert found["estimate"].iloc[1] == pytest.approx(known, rel=1e-9)
        n = first(found)
        back = power_proportions_2indep(0.03, 0.2, n * ratio, ratio=1 / ratio, alternative=words)
        assert back.power == pytest.approx(0.85, abs=1e-6)

    @pytest.mark.parametrize("effect", [0.05, 0.3, 1.5])
    def test_unequal_means(self, effect: float) -> None:
        known = TTestIndPower().solve_power(effect, alpha=0.01, power=0.9, ratio=0.5)
        assert first(experiments.sample_size_mean(1, effect, alpha=0.01, power=0.9, ratio=0.5)) == pytest.approx(
            known, rel=1e-6
        )

    def test_nps_of_a_textbook(self) -> None:
        """By hand: 50 / 20, +2 by both: (1.959964 + 0.841621)^2 (6100 + 6096) / 4 for large n; t adds some two."""
        both = (0.51 + 0.19) - (0.51 - 0.19) ** 2
        by_hand = (1.959964 + 0.841621) ** 2 * 1e4 * ((0.7 - 0.09) + both) / 4
        assert first(experiments.sample_size_nps(0.5, 0.2, 2)) == pytest.approx(by_hand, abs=2)

    def test_non_inferiority_of_shares(self) -> None:
        """Chow, Shao and Wang (2008), section 4.2.4, example: .65 and .85, margin .10, one-sided 5 %, power 80 %: 25.

        Their formula is (1.645 + .842)^2 (.65 x .35 + .85 x .15) / (.20 + .10)^2 = 24.4.
        """
        found = experiments.sample_size_share(0.65, 0.2, alternative="greater", margin=0.1)
        assert found["n"].iloc[0] == 25
        less = experiments.sample_size_share(0.35, -0.2, alternative="less", margin=0.1)  # of failures
        assert first(less) == pytest.approx(first(found), rel=1e-12)
        assert "margin 0.1" in found["method"].iloc[0]

    def test_design_effects(self) -> None:
        """Eldridge, Ashby and Kerry (2006): 1 + ((1 + cv^2) m - 1) icc; Donner and Klar without cv."""
        assert experiments.design_effect(10, 0.05) == pytest.approx(1.45)
        assert experiments.design_effect(10, 0.05, cv=0.65) == pytest.approx(1 + ((1 + 0.4225) * 10 - 1) * 0.05)
        assert experiments.design_effect(1, 0.4) == 1.0


class TestProperties:
    @given(SHARES, st.floats(-0.9, 0.9), POWERS, st.floats(0.2, 5), st.floats(0.5, 4))
    def test_shares_invert(self, baseline: float, effect: float, power: float, ratio: float, deff: float) -> None:
        assume(0.005 < baseline + effect < 0.995 and abs(effect) > 1e-4)
        terms: dict[str, Any] = {"ratio": ratio, "deff": deff}
        n = first(experiments.sample_size_share(baseline, effect, power=power, **terms))
        assume(n > 2 * max(deff, 1) * max(1, 1 / ratio) * 1.001)
        assert first(experiments.power_share(n, baseline, effect, **terms)) == pytest.approx(power, abs=1e-9)
        side = "greater" if effect > 0 else "less"
        terms["alternative"] = side
        n = first(experiments.sample_size_share(baseline, effect, power=power, **terms))
        assume(n > 2 * max(deff, 1) * max(1, 1 / ratio) * 1.001)
        back = experiments.smallest_effect_share(n, baseline, power=power, **terms)
        assert first(back) == pytest.approx(effect, rel=1e-6)

    @given(st.floats(0.1, 1e4), st.floats(0.05, 1.5), POWERS, st.floats(0.2, 5), st.floats(0.2, 4))
    def test_means_invert(self, sd: float, effect: float, power: float, ratio: float, deff: float) -> None:
        for other in (None, 2 * sd):
            terms: dict[str, Any] = {"ratio": ratio, "deff": deff, "sd_treatment": other}
            n = first(experiments.sample_size_mean(sd, effect * sd, power=power, **terms))
            assume(n > 2 * max(deff, 1) * max(1, 1 / ratio) * 1.001)
            assert first(experiments.power_mean(n, sd, effect * sd, **terms)) == pytest.approx(power, abs=1e-8)
            back = experiments.smallest_effect_mean(n, sd, power=power, **terms)
            assert first(back) == pytest.approx(effect * sd, rel=1e-6)

    @given(st.floats(0.1, 0.6), st.floats(0.1, 0.35), st.floats(0.5, 20), st.sampled_from(["both", "promoters"]))
    def test_nps_inverts(self, up: float, down: float, effect: float, split: str) -> None:
        limit = 200 * down if split == "both" else 100 * (1 - up - down)
        assume(effect < 0.95 * limit)
        n = first(experiments.sample_size_nps(up, down, effect, split=split))
        assert first(experiments.power_nps(n, up, down, effect, split=split)) == pytest.approx(0.8, abs=1e-8)
        found = first(experiments.smallest_effect_nps(n, up, down, split=split))
        assert found == pytest.approx(effect, rel=1e-6)

    @given(SHARES, st.floats(0.01, 0.2), st.floats(0.01, 0.2))
    def test_smaller_effects_need_more(self, baseline: float, one: float, other: float) -> None:
        assume(abs(one - other) > 1e-6 and baseline + max(one, other) < 0.99)
        small, large = sorted((one, other))
        assert first(experiments.sample_size_share(baseline, small)) > first(
            experiments.sample_size_share(baseline, large)
        )
        assert first(experiments.sample_size_mean(1, small)) > first(experiments.sample_size_mean(1, large))

    @given(st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.integers(1, 20), st.floats(1, 10), st.floats(1, 10))
    def test_terms_move_n_the_right_way(self, a: float, b: float, m: int, r: float, q: float) -> None:
        assume(abs(a - b) > 1e-6 and abs(r - q) > 1e-6)
        size = lambda **terms: first(experiments.sample_size_mean(1, 0.1, **terms))  # noqa: E731
        assert size(alpha=min(a, b)) > size(alpha=max(a, b))
        assert size(ratio=min(r, q)) > size(ratio=max(r, q))  # of the control; the sum rises
        assert size(ratio=min(r, q)) * (1 + min(r, q)) < size(ratio=max(r, q)) * (1 + max(r, q))
        assert size(comparisons=m) == pytest.approx(size(alpha=0.05 / m), rel=1e-9)
        assert size(deff=r) == pytest.approx(r * size(), rel=1e-9)

    @given(SHARES, st.floats(0.02, 0.3))
    def test_relative_is_a_way_to_write_it(self, baseline: float, part: float) -> None:
        assume(baseline * (1 + part) < 0.99)
        written = experiments.sample_size_share(baseline, part, scale="relative")
        assert first(written) == pytest.approx(
            first(experiments.sample_size_share(baseline, part * baseline)), rel=1e-9
        )
        n = first(written)
        assume(n > 2.1)
        found = experiments.smallest_effect_share(n, baseline, scale="relative")
        assert found["comparison"].iloc[0] == "relative"
        assert first(found) == pytest.approx(part, rel=1e-6)

    @given(st.floats(1, 1e6), st.floats(0.01, 1), st.floats(0, 0.9))
    def test_exposed(self, answers: float, rate: float, lost: float) -> None:
        found = experiments.exposed_for(answers, rate, lost=lost)
        assert first(found) * rate * (1 - lost) == pytest.approx(answers)
        assert found["n"].iloc[0] >= first(found) * (1 - 1e-9)


class TestRows:
    def test_sizes(self) -> None:
        found = experiments.sample_size_share(0.2, 0.02, ratio=2, comparisons=3)
        assert found["metric"].tolist() == ["sample_size"] * 2
        assert found["level"].tolist() == ["control", "treatment"]
        assert (found["n"] == np.ceil(found["estimate"])).all()
        assert "Bonferroni over 3" in found["method"].iloc[0]
        assert list(found.columns) == list(results.COLUMNS)

    def test_cuped_saves_variance_not_degrees_of_freedom(self) -> None:
        """Half of the variance: half of the units, but no fewer than two an arm, and t of the units there are."""
        size = lambda effect, **terms: first(experiments.sample_size_mean(1, effect, **terms))  # noqa: E731
        assert size(0.1, deff=0.5) == pytest.approx(size(0.1) / 2, rel=1e-3)
        assert size(9.0, deff=0.1) == 2.0
        assert first(experiments.power_mean(10, 1, 1, deff=0.5)) == pytest.approx(
            first(experiments.power_mean(10, math.sqrt(0.5), 1)), rel=1e-12
        )

    def test_exposed_keeps_rows(self) -> None:
        sizes = experiments.sample_size_nps(0.5, 0.2, 3)
        found = experiments.exposed_for(sizes, 0.25)
        assert found["metric"].tolist() == ["exposed"] * 2
        assert found["estimate"].tolist() == pytest.approx((4 * sizes["estimate"]).tolist())

    def test_nothing_so_few_could_show(self) -> None:
        found = experiments.smallest_effect_share(4, 0.9)
        assert found["status"].tolist() == [results.UNDEFINED]
        assert found["note"].iloc[0]
        assert experiments.smallest_effect_nps(3, 0.5, 0.2)["status"].tolist() == [results.UNDEFINED]

    def test_answers_that_are_all_alike(self) -> None:
        assert experiments.smallest_effect_nps(100, 0, 0)["status"].tolist() == [results.UNDEFINED]
        assert first(experiments.power_nps(10, 0, 1, 200)) == 1.0
        assert experiments.sample_size_nps(0, 1, 200)["n"].tolist() == [2, 2]

    def test_a_power_that_any_number_has(self) -> None:
        """Unequal arms whose variance rises: the fewest units there may be find more than is asked for."""
        terms: dict[str, Any] = {"ratio": 0.02, "alternative": "greater"}
        n = first(experiments.sample_size_share(0.01, 0.4, power=0.2, **terms))
        assert n == 100.0
        assert first(experiments.power_share(n, 0.01, 0.4, **terms)) > 0.2

    def test_far_away_all_is_found(self) -> None:
        assert first(experiments.power_mean(1e9, 1, 1)) == 1.0
        assert first(experiments.sample_size_mean(1e-12, 1.0)) == 2.0

    def test_an_effect_too_small_for_any_number(self) -> None:
        found = experiments.sample_size_mean(1e9, 1e-9)
        assert set(found["status"]) == {results.UNDEFINED}
        assert found["estimate"].isna().all()

    def test_guardrail_may_pass_with_any_value(self) -> None:
        """Where the margin exceeds the baseline even a share of 0 passes: the smallest effect is the whole baseline."""
        found = experiments.smallest_effect_share(1e6, 0.01, alternative="greater", margin=0.05)
        assert first(found) == pytest.approx(-0.01, rel=1e-6)

    def test_curve(self) -> None:
        found = experiments.power_curve("share", n=[2000, 1000], effect=[0.02, 0.01], baseline=0.2)
        assert found["n"].tolist() == [1000, 2000] * 2
        assert found["at"].tolist() == ["0.01", "0.01", "0.02", "0.02"]
        assert found["estimate"].iloc[3] == first(experiments.power_share(2000, 0.2, 0.02))
        assert found["estimate"].is_monotonic_increasing
        past = Moments.of([1.0, 2.0, 3.0, 5.0], [1, 1, 2, 2])
        assert len(experiments.power_curve("ratio", n=50, effect=[0.1], past=past, alpha=0.1)) == 1
        with pytest.raises(UsageError, match="did you mean 'share'"):
            experiments.power_curve("shore", n=1, effect=1)

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: experiments.sample_size_share(1.2, 0.1), "baseline 1.2"),
            (lambda: experiments.sample_size_share(0.2, 0.0), "effect of 0"),
            (lambda: experiments.sample_size_share(0.9, 0.2), "cannot be"),
            (lambda: experiments.sample_size_share(0.2, -0.1, alternative="greater"), "greater"),
            (lambda: experiments.sample_size_share(0.2, 0.1, margin=0.1), "one side"),
            (lambda: experiments.sample_size_share(0.2, 0.1, alpha=2, ratio=0, deff=-1), "ratio 0.*deff -1.*alpha 2"),
            (lambda: experiments.sample_size_share(0.2, 0.1, ratoi=2), "did you mean 'ratio'"),  # type: ignore[call-arg]
            (lambda: experiments.power_curve("mean", n=10, effect=1), "missing a required argument: 'sd'"),
            (lambda: experiments.sample_size_share(0.2, 0.1, power=0.01), "power 0.01"),
            (lambda: experiments.sample_size_share(0.0, 0.1, scale="relative"), "baseline of 0"),
            (lambda: experiments.sample_size_share(0.2, float("nan")), "effect nan"),
            (lambda: experiments.sample_size_mean(0, 1), "sd 0"),
            (lambda: experiments.sample_size_mean(1, 0.1, scale="relative"), "mean"),
            (lambda: experiments.sample_size_mean(1, 0.1, mean=3), "relative"),
            (lambda: experiments.sample_size_nps(0.7, 0.6, 2), "more than 1"),
            (lambda: experiments.sample_size_nps(0.7, 0.1, 2, split="all"), "split"),
            (lambda: experiments.sample_size_nps(0.7, 0.1, 40), "cannot be"),
            (lambda: experiments.power_mean(1, 1, 1), "n 1"),
            (lambda: experiments.sample_size_ratio(Moments.of([1.0, 1.0]), 1), "does not vary"),
            (lambda: experiments.sample_size_ratio(3.0, 1), "Moments"),  # type: ignore[arg-type]
            (lambda: experiments.design_effect(0.5, 2, cv=-1), "size 0.5.*icc 2.*cv -1"),
            (lambda: experiments.exposed_for(-1, 0, lost=1), "response rate 0.*lost 1"),
            (lambda: experiments.exposed_for(-1, 0.5), "-1 is no number of units"),
            (lambda: experiments.exposed_for(experiments.exposed_for(10, 0.5), 0.5), "already"),
            (lambda: experiments.exposed_for(experiments.power_share(99, 0.2, 0.1), 0.5), "no sample sizes"),
        ],
    )
    def test_refusals(self, call: Callable[[], object], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            call()


@pytest.mark.simulation
class TestReached:
    """The planned power is that of the tests that read the experiment, within the noise of the simulation."""

    @pytest.mark.parametrize(("baseline", "effect", "ratio"), [(0.2, 0.05, 1.0), (0.05, 0.03, 1.0), (0.6, -0.08, 2.0)])
    def test_shares(
        self, baseline: float, effect: float, ratio: float, rng: np.random.Generator, replicates: Callable
    ) -> None:
        """Newcombe's. One point beyond the noise: two shares come in steps, and Newcombe's is not z."""
        times = replicates(4_000, 40_000)
        n = experiments.sample_size_share(baseline, effect, ratio=ratio)["n"].to_numpy(int)
        x = [rng.binomial(n[arm], baseline + arm * effect, times) for arm in (0, 1)]
        found = differences.share_difference(x[1], n[1], x[0], n[0])
        assert (found["p_value"] < 0.05).mean() == pytest.approx(0.8, abs=noise(times, 0.8) + 0.01)

    @pytest.mark.parametrize("ratio", [1.0, 3.0])
    def test_means(self, ratio: float, rng: np.random.Generator, replicates: Callable) -> None:
        times = replicates(4_000, 40_000)
        n = experiments.sample_size_mean(3, 1.2, ratio=ratio)["n"].to_numpy(int)
        arms = [self.of_units(rng.normal(arm * 1.2, 3, (times, n[arm]))) for arm in (0, 1)]
        found = differences.mean_difference(*arms)
        assert (found["p_value"] < 0.05).mean() == pytest.approx(0.8, abs=noise(times, 0.8) + 0.005)

    def test_one_sided_margin(self, rng: np.random.Generator, replicates: Callable) -> None:
        """A guardrail without a true effect passes as often as planned: the lower limit lies above minus the margin."""
        times = replicates(4_000, 40_000)
        n = experiments.sample_size_mean(3, 0.0, margin=0.8, alternative="greater")["n"].to_numpy(int)
        arms = [self.of_units(rng.normal(0, 3, (times, n[arm]))) for arm in (0, 1)]
        found = differences.mean_difference(*arms, confidence=0.9)
        assert (found["conf_low"] > -0.8).mean() == pytest.approx(0.8, abs=noise(times, 0.8) + 0.005)

    @pytest.mark.parametrize("split", ["both", "promoters", "detractors"])
    def test_nps(self, split: str, rng: np.random.Generator, replicates: Callable) -> None:
        times = replicates(4_000, 40_000)
        n = int(experiments.sample_size_nps(0.45, 0.25, 8, split=split)["n"].iloc[0])
        part = {"both": 0.5, "promoters": 1.0, "detractors": 0.0}[split]
        up, down = 0.45 + part * 0.08, 0.25 - (1 - part) * 0.08
        counts = [rng.multinomial(n, (p, 1 - p - d, d), times).T for p, d in ((0.45, 0.25), (up, down))]
        found = differences.nps_difference(tuple(counts[0]), tuple(counts[1]))
        assert (found["p_value"] < 0.05).mean() == pytest.approx(0.8, abs=noise(times, 0.8) + 0.005)

    def test_clusters(self, rng: np.random.Generator, replicates: Callable) -> None:
        """Whole clusters of uneven size are assigned: normal cluster and unit parts, icc .1, sizes 1 to 19."""
        times, icc = replicates(3_000, 30_000), 0.1
        cv = math.sqrt((19**2 - 1) / 12) / 10
        deff = experiments.design_effect(10, icc, cv=cv)
        clusters = math.ceil(experiments.sample_size_mean(1, 0.25, deff=deff)["n"].iloc[0] / 10)
        arms = []
        for arm in (0, 1):
            size = rng.integers(1, 20, (times, clusters))
            level = arm * 0.25 + rng.normal(0, math.sqrt(icc), size.shape)
            y = level * size + rng.normal(0, 1, size.shape) * np.sqrt((1 - icc) * size)
            arms.append(self.of_units(y, size.astype(float)))
        found = differences.mean_difference(*arms)
        # Eldridge's is an upper bound: it may find somewhat more, and with some 30 clusters t costs a little.
        assert (found["p_value"] < 0.05).mean() == pytest.approx(0.8, abs=noise(times, 0.8) + 0.02)

    def test_ratios(self, rng: np.random.Generator, replicates: Callable) -> None:
        """Orders late over orders: planned on 5,000 past customers, read with the delta method."""
        times = replicates(2_000, 20_000)

        def draw(late: float, *shape: int) -> tuple[np.ndarray, np.ndarray]:
            orders = 1 + rng.poisson(1.5, shape)
            return rng.binomial(orders, rng.beta(20 * late, 20 * (1 - late), shape)), orders

        past = Moments.of(*draw(0.3, 5_000))
        n = int(experiments.sample_size_ratio(past, -0.2, scale="relative")["n"].iloc[0])
        arms = [self.of_units(*(part.astype(float) for part in draw(late, times, n))) for late in (0.3, 0.24)]
        found = differences.mean_difference(*arms)
        # The treatment's variance is taken to be the control's; at .24 it is a little smaller: up to 3 points more.
        assert (found["p_value"] < 0.05).mean() == pytest.approx(0.815, abs=noise(times, 0.8) + 0.02)

    def test_amounts_that_are_multiplied(self, rng: np.random.Generator, replicates: Callable) -> None:
        """Log-normal amounts and 20 % more of them: what `sample_size_mean` says of one deviation and of two."""
        times, mean = replicates(2_000, 20_000), math.exp(0.125)
        sd = mean * math.sqrt(math.expm1(0.25))
        for other, reached in ((None, 0.72), (1.2 * sd, 0.815)):
            n = int(experiments.sample_size_mean(sd, 0.2 * mean, sd_treatment=other)["n"].iloc[0])
            arms = [self.of_units(factor * np.exp(rng.normal(0, 0.5, (times, n)))) for factor in (1, 1.2)]
            found = experiments.effect(*arms)
            assert (found["p_value"] < 0.05).mean() == pytest.approx(reached, abs=noise(times, 0.8) + 0.01)

    @staticmethod
    def of_units(y: np.ndarray, x: np.ndarray | None = None) -> Moments:
        """Return moments of replicates by units."""
        x = np.ones_like(y) if x is None else x
        products = {("y", "y"): (y**2).sum(1), ("x", "y"): (x * y).sum(1), ("x", "x"): (x**2).sum(1)}
        return Moments.from_sums(np.full(len(y), y.shape[1]), {"y": y.sum(1), "x": x.sum(1)}, products)
