"""Synthetic control: California in R, weights by another solver, limits and ranks, what is refused, and coverage."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from scipy import optimize, stats

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects import synthetic_weights as inner
from cxlib.analysis.effects.synthetic import _spread
from cxlib.errors import UsageError

CALIFORNIA = {"outcome": "PacksPerCapita", "unit": "State", "time": "Year", "treated": "treated", "start": 1989}
NAMES = ("North", "East", "Centre", "South", "Islands", "West")


def fit(frame: pd.DataFrame, **more: object) -> effects.SyntheticFit:
    keywords = {"outcome": "y", "unit": "region", "time": "month", "treated": "touched", "start": "2025-01", **more}
    return effects.fit_synthetic_control(frame, **keywords)


def of(table: np.ndarray, touched: int = 0) -> pd.DataFrame:
    """Return a panel by region and month from figures of shape (t, units)."""
    months = pd.period_range("2023-01", periods=len(table), freq="M").astype(str)
    units = [*NAMES, *(f"unit {i}" for i in range(table.shape[1]))][: table.shape[1]]
    wide = pd.DataFrame(table, index=pd.Index(months, name="month"), columns=pd.Index(units, name="region"))
    return wide.stack().rename("y").reset_index().assign(touched=lambda f: (f["region"] == units[touched]).astype(int))


def factors(rng: np.random.Generator, t: int, units: int, rho: float = 0.5) -> np.ndarray:
    """Return figures of units with three common factors; the first unit hangs on them as a mean of others does."""
    common, noise = np.zeros((t, 3)), np.zeros((t, units))
    state, other = np.zeros(3), rng.normal(size=units) / np.sqrt(1 - rho**2)
    for i in range(t):
        state = 0.9 * state + rng.normal(size=3)
        other = rho * other + rng.normal(size=units)
        common[i], noise[i] = state, other
    loads = rng.uniform(0, 1, (units, 3))
    loads[0] = loads[1:][rng.choice(units - 1, 4, replace=False)].mean(axis=0)
    return 10 + common @ loads.T + 0.5 * noise


@pytest.fixture
def seen(rng: np.random.Generator) -> pd.DataFrame:
    """Six regions, thirty months, the first touched in the last six: 5 points."""
    table = factors(rng, 30, 6)
    table[24:, 0] += 5
    return of(table)


@pytest.fixture
def california(shared_data: Callable) -> pd.DataFrame:
    return pd.read_csv(shared_data("prop99") / "california_prop99.csv", sep=";")


class TestCalifornia:
    """Proposition 99, tobacco tax and programme of 1989, packs per head in 39 states."""

    def test_estimate_and_weights_in_r(self, california: pd.DataFrame, oracle: Callable) -> None:
        """synthdid's `sc_estimate` (no intercept, outcomes only, tiny ridge) by Frank and Wolfe, to its tolerance."""
        expected = oracle("synth_prop99_sc")["expected"]
        found = effects.synthetic_control(california, **CALIFORNIA)
        assert found["estimate"].iloc[0] == pytest.approx(expected["sc"], abs=0.2)
        assert found["comparison"].tolist() == ["difference", *["share"] * 38]
        assert set(found["metric"].iloc[1:]) == {"weight"}
        weights = found.iloc[1:].set_index("level")["estimate"]
        for state, weight in expected["weights"].items():
            assert weights[state] == pytest.approx(weight, abs=0.02)
        assert weights.sum() == pytest.approx(1)
        assert weights.is_monotonic_decreasing

    def test_error_from_placebos(self, california: pd.DataFrame, oracle: Callable) -> None:
        """Arkhangelsky et al. (2021), table 1, say 9.9, by 200 draws of a placebo: a tenth of it is their chance."""
        published = oracle("synth_prop99_sc")["published"]
        found = effects.synthetic_control(california, **CALIFORNIA)
        assert found["std_error"].iloc[0] == pytest.approx(published["se"], rel=0.15)

    def test_rank_among_states(self, california: pd.DataFrame) -> None:
        """Abadie, Diamond and Hainmueller (2010) find rank 1 of 39 with covariates; outcomes alone say less."""
        found = effects.fit_synthetic_control(california, **CALIFORNIA)
        ratios = found.placebos[found.placebos["at"] == "ratio"]["estimate"]
        summed = found.placebos.iloc[0]
        rank = 1 + int((ratios >= summed["estimate"]).sum())
        assert len(ratios) == 38
        assert summed["p_value"] == pytest.approx(rank / 39)
        assert found.frame["p_value"].iloc[0] == pytest.approx(rank / 39)
        assert rank <= 4


class TestWeights:
    @hypothesis.given(st.integers(3, 25), st.integers(2, 8), st.floats(0, 2), st.integers(0, 10_000))
    def test_least_on_the_simplex(self, t: int, j: int, penalty: float, seed: int) -> None:
        """By its own conditions (Karush, Kuhn and Tucker): no step towards any donor makes it smaller."""
        apart = np.random.default_rng(seed).normal(size=(t, j)) * 3 + 1
        found = inner.simplex(apart, penalty)
        assert found.min() >= 0
        assert found.sum() == pytest.approx(1)
        slope = 2 * (apart.T @ (apart @ found) + penalty**2 * found)
        assert np.all(slope - slope @ found >= -1e-7 * (1 + np.abs(slope).max()))

    def test_another_solver(self, rng: np.random.Generator) -> None:
        apart = rng.normal(size=(20, 6)) + 0.5
        peer = optimize.minimize(
            lambda w: np.sum((apart @ w) ** 2) + 0.09 * w @ w, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, method="SLSQP",
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, tol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(inner.simplex(apart, 0.3), peer.x, atol=1e-5)

    def test_a_mean_of_donors_is_found(self, rng: np.random.Generator) -> None:
        donors = rng.normal(size=(30, 5))
        unit = donors @ [0.5, 0, 0.3, 0.2, 0]
        unit[24:] += 2
        found = inner.gaps(unit, donors, 24, ridge=1e-6, intercept=False)
        np.testing.assert_allclose(found.weights, [0.5, 0, 0.3, 0.2, 0], atol=1e-6)
        assert found.effect == pytest.approx(2, abs=1e-5)

    def test_a_large_ridge_is_the_plain_mean(self, rng: np.random.Generator) -> None:
        """With the level let free, that is the difference-in-differences."""
        table = rng.normal(size=(30, 6)) + np.arange(6)
        found = inner.gaps(table[:, 0], table[:, 1:], 24, ridge=1e4, intercept=True)
        steps = table[24:].mean(axis=0) - table[:24].mean(axis=0)
        assert found.effect == pytest.approx(steps[0] - steps[1:].mean(), abs=1e-5)


class TestInference:
    def test_limits_from_the_donors(self, seen: pd.DataFrame) -> None:
        """Each donor is a fit of its own, without the touched unit; t with four degrees."""
        found = fit(seen)
        donors = seen[seen["region"] != "North"]
        own = [fit(donors.assign(touched=(donors["region"] == name).astype(int))).frame["estimate"].iloc[0]
               for name in sorted(NAMES[1:])]  # fmt: skip
        space = found.placebos[(found.placebos["at"] == "in space")].set_index("level")["estimate"]
        np.testing.assert_allclose(space.loc[sorted(NAMES[1:])], own)
        first = found.frame.iloc[0]
        assert first["std_error"] >= np.std(own, ddof=1) * (1 - 1e-12)
        half = stats.t.isf(0.025, 4) * first["std_error"]
        assert first["conf_high"] - first["estimate"] == pytest.approx(half)
        assert first["conf_low"] < 5 < first["conf_high"]

    def test_five_donors_can_only_say_so_much(self, seen: pd.DataFrame) -> None:
        first = fit(seen).frame.iloc[0]
        assert first["p_value"] == pytest.approx(1 / 6)
        assert "with 5 donors the p-value cannot be below 1/6" in first["note"]

    def test_out_of_reach_of_the_donors(self, seen: pd.DataFrame) -> None:
        """50 points above all others: no weights fit, so limits are wide and it is said; a level of its own helps."""
        seen["y"] += 50 * seen["touched"]
        found, shifted = fit(seen), fit(seen, intercept=True)
        first = found.frame.iloc[0]
        assert first["conf_low"] < 5
        assert first["p_value"] > 1 / 6
        assert "fitted worse" in first["note"]
        assert found.checks["p_value"].iloc[0] == pytest.approx(1 / 6)
        assert shifted.frame["conf_low"].iloc[0] < 5 < shifted.frame["conf_high"].iloc[0]
        assert abs(shifted.frame["estimate"].iloc[0] - 5) < 2

    def test_path_agrees(self, seen: pd.DataFrame) -> None:
        found = fit(seen)
        wide = found.path.pivot_table(index="period", columns="at", values="estimate")
        np.testing.assert_allclose(wide["actual"] - wide["synthetic"], wide["effect"], atol=1e-12)
        assert wide["effect"].iloc[24:].mean() == pytest.approx(found.frame["estimate"].iloc[0])
        missed = float(np.sqrt((wide["effect"].iloc[:24] ** 2).mean()))
        assert found.checks["estimate"].iloc[0] == pytest.approx(missed)

    def test_in_time(self, seen: pd.DataFrame) -> None:
        """A pretended start is a fit of its own on the time before, as far ahead as the real one."""
        found = fit(seen)
        row = found.placebos[(found.placebos["at"] == "in time") & (found.placebos["level"] == "2024-03")].iloc[0]
        own = fit(seen[seen["month"] < "2024-09"], start="2024-03").frame.iloc[0]
        assert row["estimate"] == pytest.approx(own["estimate"])
        time = found.placebos[found.placebos["at"] == "in time"]["estimate"].abs()
        large = int((time >= found.frame["estimate"].iloc[0]).sum())
        assert f"{large} of {len(time)} pretended starts" in found.placebos["note"].iloc[0]


class TestDoor:
    def test_kinds_of_column_and_order(self, seen: pd.DataFrame) -> None:
        other = seen.sample(frac=1, random_state=2).assign(
            region=lambda f: f["region"].astype("category"), touched=lambda f: f["touched"].astype("boolean"),
            y=lambda f: f["y"].astype("float64[pyarrow]"), month=lambda f: pd.PeriodIndex(f["month"], freq="M"),
        )  # fmt: skip
        pd.testing.assert_frame_equal(fit(seen).frame, fit(other).frame)

    def test_touched_from_the_start_on(self, seen: pd.DataFrame) -> None:
        other = seen.assign(touched=seen["touched"] * (seen["month"] >= "2025-01"))
        pd.testing.assert_frame_equal(fit(seen).frame, fit(other).frame)

    def test_several_are_their_mean(self, seen: pd.DataFrame) -> None:
        wide = seen.pivot_table(index="month", columns="region", values="y")
        mean = of(np.column_stack([wide[["North", "East"]].mean(axis=1), wide[["Centre", "Islands", "South", "West"]]]))
        found = fit(seen.assign(touched=seen["region"].isin(["North", "East"]))).frame
        assert found["estimate"].iloc[0] == pytest.approx(fit(mean).frame["estimate"].iloc[0])
        assert "the mean of 2 touched units" in found["note"].iloc[0]

    def test_donors_with_gaps_are_left_out(self, seen: pd.DataFrame) -> None:
        gone = (seen["region"] == "East") & (seen["month"] == "2023-05")
        found = fit(seen[~gone]).frame
        assert "East" not in found["level"].tolist()
        assert "1 donor with gaps left out" in found["note"].iloc[0]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"start": "2031-01"}, "leaves no point before it or none after"),
            ({"treated": "all"}, "the same for all"),
            ({"treated": "two"}, "other values than 0 and 1"),
            ({"unit": "state"}, "no column 'state'"),
            ({"ridge": -1}, "no number of 0 or more"),
            ({"confidence": 95}, "not between 0 and 1"),
        ],
    )
    def test_refused(self, seen: pd.DataFrame, change: dict, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            fit(seen.assign(all=1, two=2), **change)

    def test_a_unit_twice(self, seen: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match=r"North has 2 rows for one month, 2023-01; .* 1 of 180 have several"):
            fit(pd.concat([seen, seen.head(1)]))

    def test_every_unit_twice(self, seen: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match=r"Centre has 2 rows for one month, 2023-01; .* 180 of 180 have several"):
            fit(pd.concat([seen, seen]))

    def test_no_rows(self, seen: pd.DataFrame) -> None:
        assert fit(seen.iloc[:0]).frame["status"].tolist() == ["too_few"]

    def test_too_few(self, seen: pd.DataFrame) -> None:
        early = fit(seen, start="2023-03").frame
        few = fit(seen[seen["region"].isin(NAMES[:3])]).frame
        assert early["status"].tolist() == few["status"].tolist() == ["too_few"]

    @pytest.mark.parametrize("touched", [0.0, 3.0])
    def test_nothing_to_judge_by(self, touched: float) -> None:
        table = np.full((30, 6), 5.0)
        table[24:, 0] += touched
        found = fit(of(table))
        assert found.frame["status"].iloc[0] == results.UNDEFINED
        assert found.frame["note"].iloc[0] != ""


@pytest.mark.simulation
class TestCoverage:
    """What 95 % intervals hold, by 120 panels each (three common factors, autocorrelated noise):

    donors, points             inside the donors     at another level     2.5 times their noise
    5, 24 + 6, rho .5          .99                   1.0                  .99
    20, 24 + 6, rho .5         1.0                   1.0                  .98
    20, 24 + 6, rho .9         .96                   .98                  .96
    38, 19 + 12, rho .9        .99                   .98                  .95

    They are wider than need be with few donors, whose own pools are smaller still.
    """

    @pytest.mark.parametrize(
        ("donors", "rho", "noisy", "intercept"), [(5, 0.5, 1.0, False), (20, 0.9, 1.0, True), (20, 0.5, 2.5, False)]
    )
    def test_held(
        self, rng: np.random.Generator, replicates: Callable, donors: int, rho: float, noisy: float, intercept: bool
    ) -> None:
        times, held = replicates(40, 500), 0
        for _ in range(times):
            table = factors(rng, 30, donors + 1, rho)
            table[:, 0] += (noisy - 1) * 0.5 * rng.normal(size=30)
            found = inner.gaps(table[:, 0], table[:, 1:], 24, ridge=1e-6, intercept=intercept)
            errors, multiple = _spread(found, inner.each(table[:, 1:], 24, ridge=1e-6, intercept=intercept), 0.95)
            held += int(abs(found.effect) <= multiple * errors[-1])
        assert held / times >= 0.94 - 3 * np.sqrt(0.94 * 0.06 / times)
