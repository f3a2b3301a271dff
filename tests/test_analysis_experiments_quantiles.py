"""Effects on quantiles: against SciPy's exact limits, the bootstrap over units, and by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib.analysis.experiments.quantiles import non_inferior_quantile, quantile_effect
from cxlib.errors import UsageError


def visits(rng: np.random.Generator, units: int, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return log-normal values of units that have 1 to `most` each, half of the variance theirs, and the units."""
    who = np.repeat(np.arange(units), rng.integers(1, most + 1, units))
    return np.exp(rng.normal(size=units)[who] + rng.normal(size=who.size)), who


class TestReference:
    @pytest.mark.parametrize("q", [0.25, 0.5, 0.9])
    def test_limits_of_scipy(self, rng: np.random.Generator, q: float) -> None:
        """Each arm's limits are those of `scipy.stats.quantile_test`, two one-sided ones; MOVER by hand."""
        old, new = rng.exponential(2, 150), rng.exponential(3, 180)
        found = quantile_effect(old, new, q).iloc[0]
        ends = []
        for side in (old, new):
            low = stats.quantile_test(side, p=q, alternative="greater").confidence_interval(0.975).low
            high = stats.quantile_test(side, p=q, alternative="less").confidence_interval(0.975).high
            ends.append((np.quantile(side, q, method="inverted_cdf"), low, high))
        (a, a_low, a_high), (b, b_low, b_high) = ends
        assert found["estimate"] == pytest.approx(b - a)
        assert found["conf_low"] == pytest.approx(b - a - np.hypot(b - b_low, a_high - a))
        assert found["conf_high"] == pytest.approx(b - a + np.hypot(b_high - b, a - a_low))

    def test_near_the_bootstrap_over_units(self, rng: np.random.Generator) -> None:
        """The half width is 0.8 to 1.5 times the bootstrap's: exact ranks are wider, and two standard errors vary."""
        sides = [visits(rng, 150) for _ in range(2)]
        found = quantile_effect(sides[0][0], sides[1][0], 0.5, units=(sides[0][1], sides[1][1])).iloc[0]
        draws = []
        for value, who in sides:
            of = [value[who == unit] for unit in range(150)]
            drawn = rng.integers(0, 150, (600, 150))
            draws.append([np.median(np.concatenate([of[unit] for unit in units])) for units in drawn])
        half = 1.96 * np.std(np.subtract(*draws))
        assert 0.8 < (found["conf_high"] - found["conf_low"]) / 2 / half < 1.5
        assert found["n_eff"] < 0.8 * found["n"]
        assert found["method"] == "MOVER on order statistics, robust to units"


class TestForms:
    def test_counts_are_repeated_values(self, rng: np.random.Generator) -> None:
        old, new = rng.integers(0, 9, 200), rng.integers(1, 10, 150)
        counted = [np.unique(side, return_counts=True) for side in (old, new)]
        found = quantile_effect(counted[0][0], counted[1][0], 0.5, counts=(counted[0][1], counted[1][1]))
        pd.testing.assert_frame_equal(found, quantile_effect(old, new, 0.5))

    def test_units_that_do_not_recur_change_nothing(self, rng: np.random.Generator) -> None:
        old, new = rng.normal(size=60), rng.normal(size=70)
        found = quantile_effect(old, new, 0.5, units=(np.arange(60), [None] * 70))
        pd.testing.assert_frame_equal(found, quantile_effect(old, new, 0.5))

    def test_order_and_types_do_not_matter(self, rng: np.random.Generator) -> None:
        value, who = visits(rng, 40)
        other, them = visits(rng, 40)
        found = quantile_effect(value, other, 0.5, units=(who, them))
        turned = rng.permutation(value.size)
        nullable = pd.Series(np.append(value[turned], np.nan)).astype("Float64")
        names = pd.Series([*(f"c{unit}" for unit in who[turned]), "nobody"], dtype="string")
        again = quantile_effect(nullable, pd.array(other), 0.5, units=(names, them))
        pd.testing.assert_frame_equal(found, again)

    def test_same_values_again_are_no_more_answers(self, rng: np.random.Generator) -> None:
        """Each unit's value written five times: the limits are those of one each, give or take a rank or two."""
        old, new = rng.normal(size=100), rng.normal(size=100)
        once = quantile_effect(old, new, 0.5).iloc[0]
        who = np.repeat(np.arange(100), 5)
        found = quantile_effect(np.repeat(old, 5), np.repeat(new, 5), 0.5, units=(who, who)).iloc[0]
        assert found["estimate"] == once["estimate"]
        assert found["n_eff"] <= 200
        assert found["conf_high"] - found["conf_low"] == pytest.approx(once["conf_high"] - once["conf_low"], rel=0.2)

    @given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.8]), st.floats(-1.5, 1.5))
    def test_p_value_and_interval_agree(self, seed: int, q: float, shift: float) -> None:
        rng = np.random.default_rng(seed)
        value, who = visits(rng, 30, 3)
        found = quantile_effect(value, value[::-1] + shift, q, units=(who, who)).iloc[0]
        if found["status"] == "ok":
            assert (found["conf_low"] <= 0 <= found["conf_high"]) == (found["p_value"] >= 0.05 - 1e-9)
            assert found["conf_low"] <= found["estimate"] <= found["conf_high"]


class TestEdges:
    def test_no_limits(self) -> None:
        few = quantile_effect([1, 2, 3], [1, 2, 3, 4], 0.5).iloc[0]
        assert few["status"] == "too_few"
        units = quantile_effect(np.arange(40.0), np.arange(40.0), 0.9, units=(np.arange(40) // 10,) * 2).iloc[0]
        assert units["status"] == "too_few"
        assert "worth fewer than 36" in units["note"]
        none = quantile_effect([], [1, 2, 3], 0.5, units=([], [1, 1, 2])).iloc[0]
        assert none["status"] == "undefined"

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"q": 1.0}, "quantile 1.0"),
            ({"q": "median"}, "quantile 'median'"),
            ({"q": 0.5, "confidence": 95}, "confidence 95"),
            ({"q": 0.5, "counts": ([1], [1, 2])}, "2 values and 1 counts"),
            ({"q": 0.5, "counts": ([1, -1], [1, 2])}, "below 0"),
            ({"q": 0.5, "units": ([1], [1, 2])}, "2 values and 1 units"),
            ({"q": 0.5, "units": ([1, 2], [1, 2]), "counts": ([1, 1], [1, 2])}, "counts or units"),
        ],
    )
    def test_what_is_wrong_is_told(self, how: dict, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            quantile_effect([1.0, 2.0], [1.0, 2.0], **how)

    def test_text(self) -> None:
        with pytest.raises(UsageError, match="treatment is no number"):
            quantile_effect([1.0], ["ten"], 0.5)


class TestGuardrail:
    @pytest.mark.parametrize("higher", [True, False])
    def test_p_value_and_limit_agree(self, rng: np.random.Generator, higher: bool) -> None:
        """Harm of a margin is a difference of 0 after moving the control by it: the limits move with it."""
        old, new = rng.exponential(2, 300), rng.exponential(2, 300)
        for margin in (0.1, 0.3, 0.6, 1.5):
            found = non_inferior_quantile(old, new, 0.5, margin, higher_is_better=higher, unit="days").iloc[0]
            limit = found["conf_low"] if higher else -found["conf_high"]
            assert (found["p_value"] < 0.05) == (limit > -margin)
        plain = quantile_effect(old, new, 0.5, confidence=0.9).iloc[0]
        assert (found["conf_low"], found["conf_high"]) == (plain["conf_low"], plain["conf_high"])
        assert found["note"] == "not worse by more than 1.5 days (registered margin)"

    def test_margin(self) -> None:
        with pytest.raises(UsageError, match="margin 0 "):
            non_inferior_quantile([1.0], [1.0], 0.5, 0, higher_is_better=True)


@pytest.mark.simulation
@pytest.mark.parametrize(("units", "q"), [(15, 0.5), (60, 0.5), (60, 0.9)])
def test_coverage_where_units_recur(
    rng: np.random.Generator, replicates: Callable[[int, int], int], units: int, q: float
) -> None:
    """95 % intervals of two equal arms hold 0 in 95 to 99.5 % of cases; as if values were independent in fewer."""
    times, held, naive = replicates(40, 4_000), 0, 0
    for _ in range(times):
        (old, mine), (new, theirs) = visits(rng, units), visits(rng, units)
        found = quantile_effect(old, new, q, units=(mine, theirs)).iloc[0]
        held += found["status"] != "ok" or found["conf_low"] <= 0 <= found["conf_high"]
        plain = quantile_effect(old, new, q).iloc[0]
        naive += plain["status"] != "ok" or plain["conf_low"] <= 0 <= plain["conf_high"]
    assert held / times > 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)
    assert naive < held
