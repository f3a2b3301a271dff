"""Looks agreed on beforehand: published boundaries, the error they spend, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from cxlib import results
from cxlib.analysis import experiments
from cxlib.analysis.experiments import looks_crossing
from cxlib.errors import UsageError
from cxlib.measure import sequential
from cxlib.measure.moments import Moments

EVEN = [0.2, 0.4, 0.6, 0.8, 1.0]
FRACTIONS = st.lists(st.floats(0.02, 1), min_size=1, max_size=6).map(
    lambda steps: (np.cumsum(steps) / np.sum(steps)).tolist()
)


def of(frame: pd.DataFrame, metric: str) -> np.ndarray:
    return frame.loc[frame["metric"] == metric, "estimate"].to_numpy()


def all_exits(z: np.ndarray, fractions: np.ndarray, drift: float = 0.0) -> float:
    above, below = looks_crossing.exits(fractions.tolist(), z, drift, two_sided=True)
    return float((above + below).sum())


class TestReferences:
    def test_spending_boundaries_of_r(self) -> None:
        """R ldbounds, `ldBounds(t = 5, iuse = 1 and 2, alpha = 0.05)`, printed with four decimals."""
        found = experiments.boundaries(5)["estimate"]
        assert found.tolist() == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
        found = experiments.boundaries(EVEN, spending="pocock")["estimate"]
        assert found.tolist() == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=1e-4)

    @pytest.mark.parametrize(
        ("count", "pocock", "obrien_fleming"),
        [(1, 1.960, 1.960), (2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040),
         (10, 2.555, 2.087)],
    )  # fmt: skip
    def test_the_error_of_the_classical_boundaries(self, count: int, pocock: float, obrien_fleming: float) -> None:
        """Jennison and Turnbull (2000), tables 2.1 and 2.3, alpha = .05: constants of three decimals, so 1.5e-4."""
        t = np.arange(1, count + 1) / count
        assert all_exits(np.full(count, pocock), t) == pytest.approx(0.05, abs=1.5e-4)
        assert all_exits(obrien_fleming / np.sqrt(t), t) == pytest.approx(0.05, abs=1.5e-4)

    @pytest.mark.parametrize(
        ("count", "power", "pocock", "obrien_fleming"),
        [(2, 0.8, 1.110, 1.008), (5, 0.8, 1.229, 1.028), (5, 0.9, 1.207, 1.026)],
    )
    def test_inflation_of_the_classical_boundaries(
        self, count: int, power: float, pocock: float, obrien_fleming: float
    ) -> None:
        """Jennison and Turnbull (2000), tables 2.2 and 2.4, alpha = .05; three decimals, constants of three: 2e-3."""
        t, single = np.arange(1, count + 1) / count, stats.norm.ppf(power) + stats.norm.ppf(0.975)
        constants = {2: (2.178, 1.977), 5: (2.413, 2.040)}[count]
        for z, known in ((np.full(count, constants[0]), pocock), (constants[1] / np.sqrt(t), obrien_fleming)):
            drift = optimize.brentq(lambda d, z=z: all_exits(z, t, d) - power, 1, 6)
            assert (drift / single) ** 2 == pytest.approx(known, abs=2e-3)

    def test_against_the_multivariate_normal(self) -> None:
        """Uneven looks: SciPy's distribution function of the three statistics, to its own 1e-5."""
        t = np.array([0.15, 0.55, 1.0])
        z = experiments.boundaries(t, alpha=0.1)["estimate"].to_numpy()
        together = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
        for drift in (0.0, 1.3):
            mean = drift * np.sqrt(t)
            law = stats.multivariate_normal(mean, together, abseps=1e-7, releps=1e-7, maxpts=2_000_000)
            inside = law.cdf(z, lower_limit=-z, rng=np.random.default_rng(1))
            assert all_exits(z, t, drift) == pytest.approx(1 - inside, abs=2e-5)
        assert all_exits(z, t) == pytest.approx(0.1, abs=1e-9)

    def test_one_look_is_the_usual_test(self) -> None:
        assert experiments.boundaries(1)["estimate"].iloc[0] == pytest.approx(stats.norm.isf(0.025), abs=1e-9)
        assert experiments.boundaries(1, alternative="less")["p_value"].iloc[0] == pytest.approx(0.05, abs=1e-9)
        assert experiments.inflation(1) == pytest.approx(1.0, abs=1e-3)  # the other side's findings count for nothing
        found = experiments.looks([2.2], 1).iloc[0]
        assert found["p_value"] == pytest.approx(2 * stats.norm.sf(2.2), rel=1e-9)
        assert found["p_adjusted"] == pytest.approx(found["p_value"], rel=1e-6)


class TestProperties:
    @given(FRACTIONS, st.floats(0.001, 0.3), st.sampled_from(["obrien-fleming", "pocock"]), st.booleans())
    def test_all_of_alpha_is_spent(self, at: list[float], alpha: float, spending: str, two_sided: bool) -> None:
        z = looks_crossing.upper_boundaries(at, alpha, spending, two_sided=two_sided)
        above, below = looks_crossing.exits(at, z, two_sided=two_sided)
        assert above.sum() + below.sum() == pytest.approx(alpha, rel=1e-6)
        assert np.all(z <= looks_crossing.LARGEST)

    @given(FRACTIONS, st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.floats(0.01, 0.3))
    def test_stops_where_the_repeated_p_value_is_below_alpha(
        self, at: list[float], z: list[float], alpha: float
    ) -> None:
        taken = z[: len(at)]
        found = experiments.looks(taken, at, confidence=1 - alpha)
        bound = experiments.boundaries(at, alpha=alpha)["estimate"].to_numpy()[: len(taken)]
        crossed = np.abs(taken) >= bound
        near = np.abs(np.abs(taken) - bound) < 1e-6
        assert ((found["p_adjusted"] <= alpha) == crossed)[~near].all()
        away = (found["conf_low"] > 0) | (found["conf_high"] < 0)
        assert (away == crossed)[~near].all()
        assert (found["p_adjusted"] >= found["p_value"] * (1 - 1e-6)).all()

    @given(st.integers(1, 12), st.floats(0.5, 0.95))
    def test_more_looks_cost_more(self, count: int, power: float) -> None:
        cheap, dear = (experiments.inflation(count, power=power, spending=s) for s in ("obrien-fleming", "pocock"))
        assert 1 <= cheap <= dear + 1e-12
        assert cheap <= experiments.inflation(count + 1, power=power) + 1e-6
        assert cheap < 1.06


class TestReading:
    def rows(self) -> pd.DataFrame:
        """Return three looks at one effect, out of order."""
        return results.frame(
            metric="csat", at="new", against="old", comparison="difference", estimate=[0.030, 0.020, 0.028],
            std_error=[0.010, 0.014, 0.0115], n=[3000, 1000, 2000], method="Welch",
        )  # fmt: skip

    def test_what_to_do(self) -> None:
        found = experiments.looks(self.rows(), 4)
        assert found["n"].tolist() == [1000, 2000, 3000]
        assert found["level"].tolist() == ["1", "2", "3"]
        assert found["note"].tolist() == ["continue", "continue", "stop: there is an effect"]
        assert found["verdict"].tolist() == ["", "", "moved"]
        bound = experiments.boundaries(4)["estimate"].to_numpy()[:3]
        assert (found["conf_high"] - found["estimate"]).to_numpy() == pytest.approx(bound * found["std_error"])
        assert found["method"].str.startswith("Welch; O'Brien and Fleming's spending").all()

    def test_the_end_and_after(self) -> None:
        assert experiments.looks([1.0, 1.0], 2)["note"].tolist() == ["continue", "end: no effect was shown"]
        assert experiments.looks([1.0, 1.0], 2)["verdict"].tolist() == ["", "not shown"]
        assert experiments.looks([5.0, 1.0], 2)["note"].tolist() == ["stop: there is an effect", "after the stop"]

    def test_one_side(self) -> None:
        assert experiments.looks([-9.0], 1, alternative="greater")["verdict"].tolist() == ["not shown"]
        found = experiments.looks([-9.0], 1, alternative="less")
        assert found["verdict"].tolist() == ["moved"]
        assert found["conf_low"].tolist() == [-math.inf]
        assert found["conf_high"].iloc[0] == pytest.approx(-9 + stats.norm.isf(0.05))

    def test_a_look_without_a_figure_stops_nothing(self) -> None:
        found = experiments.looks([math.nan, 3.0], 3)
        assert found["status"].tolist() == [results.UNDEFINED, results.OK]
        assert found["verdict"].tolist() == ["", "moved"]

    def test_the_last_look_spends_the_rest(self) -> None:
        """Fewer or more units than planned: at the last look all is spent, so no error is lost or made."""
        for last in (0.9, 1.0, 1.3):
            t = np.array([0.5, last])
            z = experiments.boundaries(t)["estimate"].to_numpy()
            assert all_exits(z, t) == pytest.approx(0.05, rel=1e-8)

    def test_plan(self) -> None:
        needed = experiments.sample_size_mean(1, 0.1)
        found = experiments.plan_looks(needed, 4)
        factor = experiments.inflation(4)
        assert of(found, "sample_size") == pytest.approx(factor * needed["estimate"].to_numpy())
        assert of(found, "look_size") == pytest.approx(of(found, "sample_size")[0] * np.arange(1, 5) / 4)
        assert of(found, "stopped")[-1] == pytest.approx(0.8, abs=1e-4)
        assert of(found, "expected_size")[0] < needed["estimate"].iloc[0]
        assert of(experiments.plan_looks(1000, [0.5, 1]), "look_size")[1] == pytest.approx(
            1000 * experiments.inflation(2)
        )

    def test_no_looks_where_no_number_would_do(self) -> None:
        never = experiments.sample_size_mean(1e9, 1e-9)
        assert set(experiments.plan_looks(never, 3)["status"]) == {results.UNDEFINED}

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: experiments.boundaries(0), "number of looks 0"),
            (lambda: experiments.boundaries([0.5, 0.4]), "do not rise"),
            (lambda: experiments.boundaries([0.5, 1.0, 1.2]), "do not rise"),
            (lambda: experiments.boundaries([]), "do not rise"),
            (lambda: experiments.boundaries(3, spending="pocok"), "did you mean 'pocock'"),
            (lambda: experiments.boundaries(3, alpha=0), "alpha 0"),
            (lambda: experiments.boundaries(3, alternative="up"), "'up'"),
            (lambda: experiments.looks([1, 2, 3], 2), "3 looks taken, 2 planned"),
            (lambda: experiments.looks([], 2), "0 looks taken"),
            (lambda: experiments.inflation(3, power=0.01), "power 0.01"),
            (lambda: experiments.always_valid_inflation(power=1), "power 1"),
            (lambda: experiments.plan_looks(0, 3), "units above 0"),
            (lambda: experiments.plan_looks(10, [0.5, 0.9]), "last look"),
        ],
    )
    def test_refusals(self, call: Callable[[], object], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            call()

    def test_effects_of_several_kinds_are_refused(self) -> None:
        rows = self.rows()
        with pytest.raises(UsageError, match="one effect at a time"):
            experiments.looks(results.label(rows, metric=["a", "a", "b"]), 4)
        with pytest.raises(UsageError, match="number of units"):
            experiments.looks(rows.assign(n=1000.0), 4)


def running(rng: np.random.Generator, times: int, shift: float, ends: np.ndarray) -> np.ndarray:
    """Return the statistics of `effect` at each look, shape (times, looks): skewed amounts, units piling up."""
    arms = [rng.exponential(1.0, (times, ends[-1])) + arm * shift for arm in (0, 1)]
    out = []
    for end in ends:
        sums = [{"y": y[:, :end].sum(1)} for y in arms]
        squares = [{("y", "y"): (y[:, :end] ** 2).sum(1)} for y in arms]
        sides = [Moments.from_sums(np.full(times, end), *both) for both in zip(sums, squares, strict=True)]
        found = experiments.effect(*sides)
        out.append((found["estimate"] / found["std_error"]).to_numpy())
    return np.array(out).T


@pytest.mark.simulation
class TestSimulated:
    @pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
    def test_errors_and_power_are_as_planned(
        self, spending: str, rng: np.random.Generator, replicates: Callable
    ) -> None:
        """Four looks at the effect that `effect` gives: naive reading errs in 12.6 %, this in 5 %; power as planned."""
        times = replicates(2_000, 20_000)
        needed = experiments.sample_size_mean(1, 0.2)
        ends = np.ceil(of(experiments.plan_looks(needed, 4, spending=spending), "look_size")).astype(int)
        bound = experiments.boundaries(4, spending=spending)["estimate"].to_numpy()
        null = np.abs(running(rng, times, 0.0, ends))
        noise = 3 * math.sqrt(0.05 * 0.95 / times)
        assert (null >= bound).any(1).mean() == pytest.approx(0.05, abs=noise)
        assert (null >= stats.norm.isf(0.025)).any(1).mean() > 0.10
        real = running(rng, times, 0.2, ends)
        assert (real >= bound).any(1).mean() == pytest.approx(0.8, abs=3 * math.sqrt(0.16 / times) + 0.01)

    def test_power_of_always_valid_intervals(self, rng: np.random.Generator, replicates: Callable) -> None:
        """Twenty looks up to the size that `always_valid_inflation` asks for: at least the power, at the last alone."""
        times = replicates(1_000, 20_000)
        factor = experiments.always_valid_inflation()
        # The half width at N* = 1 in standard errors, written as in Waudby-Smith et al. (arXiv:2103.06476).
        square = -2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)
        half = math.sqrt(2 * (square + 1) / square * math.log(math.sqrt(square + 1) / 0.05))
        by_hand = (half + stats.norm.ppf(0.8)) / (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
        assert factor == pytest.approx(by_hand**2, rel=1e-9)
        n = experiments.sample_size_mean(1, 0.3)["estimate"].iloc[0] * factor
        ends = np.ceil(n * np.arange(1, 21) / 20).astype(int)
        z = running(rng, times, 0.3, ends)
        units = 2.0 * ends
        found = [
            sequential.always_valid(z[:, k], 1.0, units[k], n_star=units[-1])["conf_low"].to_numpy() > 0
            for k in range(20)
        ]
        noise = 3 * math.sqrt(0.16 / times)
        assert found[-1].mean() == pytest.approx(0.8, abs=noise + 0.01)
        assert np.any(found, axis=0).mean() > 0.8 - noise
