"""Effects by segment: against R's metafor, the eight schools, statsmodels; test size and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from test_analysis_partners_pooling import SCHOOLS, log_risk_ratios

from cxlib import results
from cxlib.analysis.experiments.subgroups import REST, subgroups
from cxlib.errors import UsageError
from cxlib.measure.differences import mean_difference
from cxlib.measure.moments import Moments

Z = stats.norm.isf(0.025)


def effects(y: object, v: object, **words: object) -> pd.DataFrame:
    """Return one difference per level, with normal intervals."""
    y, error = np.asarray(y, dtype=float), np.sqrt(np.asarray(v, dtype=float))
    level = [f"region {number:02d}" for number in range(y.size)]
    given = {"metric": "csat", "segment": "region", "level": level, "at": "updates", "against": "control", "n": 100}
    return results.frame(
        **{**given, "comparison": "difference", "estimate": y, "std_error": error, "conf_low": y - Z * error,
           "conf_high": y + Z * error, "n_eff": 100} | words
    )  # fmt: skip


def shrunk(found: pd.DataFrame) -> pd.DataFrame:
    return found[(found["comparison"] == "difference") & (found["against"] == "control")].reset_index(drop=True)


def rest(found: pd.DataFrame) -> pd.DataFrame:
    return found[found["against"] == REST].reset_index(drop=True)


class TestSegment:
    def test_the_row_over_everybody_names_no_segment(self) -> None:
        """It comes first in what `readings` returns; the levels are of the region all the same."""
        whole = effects([0.2], [0.01], segment="all", level=["all"])
        levels = effects([0.1, 0.5, 0.9], [0.01, 0.01, 0.01])
        found = subgroups(results.concat([whole, levels]))
        assert found["note"].iloc[0].startswith("The effect differs by region (")
        pd.testing.assert_frame_equal(found, subgroups(levels))
        alone = subgroups(results.concat([whole, levels.head(1)])).iloc[0]
        assert (alone["segment"], alone["note"]) == ("region", "fewer than two levels of region can be compared")
        assert subgroups(whole)["segment"].iloc[0] == "all"


class TestReference:
    def test_as_metafor(self) -> None:
        """R metafor, rma(yi, vi, data = dat.bcg) and confint(): Q(12) = 152.2330, tau 0.5597 [0.3460, 1.0543],
        I^2 92.22 % [81.92, 97.68] (Viechtbauer 2010, J. Stat. Softw. 36(3), sections 3.4 and 3.5)."""
        found = subgroups(effects(*log_risk_ratios()))
        numbers = found.loc[:2, ["estimate", "conf_low", "conf_high"]].to_numpy()
        assert numbers[0, 0] == pytest.approx(152.2330, abs=5e-5)
        assert numbers[1] == pytest.approx([0.9222, 0.8192, 0.9768], abs=1e-4)
        assert numbers[2] == pytest.approx([0.5597, 0.3460, 1.0543], abs=2e-4)
        assert found["p_value"].iloc[0] == pytest.approx(stats.chi2.sf(152.2330, 12), rel=1e-4)

    def test_q_as_statsmodels(self, rng: np.random.Generator) -> None:
        y, v = rng.normal(size=7), rng.uniform(0.2, 1, 7)
        found = subgroups(effects(y, v)).iloc[0]
        expected = combine_effects(y, v).test_homogeneity()
        assert (found["estimate"], found["p_value"]) == pytest.approx((expected.statistic, expected.pvalue))

    def test_eight_schools(self) -> None:
        """Gelman et al. (Bayesian Data Analysis, table 5.3): school A 95 % from -2 to 31, C from -11 to 19, G from -1
        to 26; 200 simulations there, so within 2 points. Means lie near 8: all but A and G within 5 and 9."""
        found = shrunk(subgroups(effects(*SCHOOLS)))
        limits = found[["conf_low", "conf_high"]].to_numpy()
        assert limits[0] == pytest.approx([-2, 31], abs=2)
        assert limits[2] == pytest.approx([-11, 19], abs=2)
        assert limits[6] == pytest.approx([-1, 26], abs=2)
        assert found["estimate"].drop([0, 6]).between(5, 9).all()

    def test_two_levels_are_one_difference(self) -> None:
        """Q is the square of z of the difference; nothing is learnt of the spread, and the effects stay as they are."""
        found = subgroups(effects([0.5, 0.1], [0.01, 0.03]))
        z = 0.4 / np.sqrt(0.04)
        assert found["estimate"].iloc[0] == pytest.approx(z**2)
        assert found["p_value"].iloc[0] == pytest.approx(2 * stats.norm.sf(z))
        assert found["status"].tolist()[:3] == ["ok", "too_few", "too_few"]
        assert shrunk(found)["estimate"].tolist() == [0.5, 0.1]
        assert shrunk(found)["method"].unique().tolist() == ["as measured"]
        assert rest(found)["estimate"].tolist() == pytest.approx([0.4, -0.4])
        assert rest(found)["p_adjusted"].to_numpy() == pytest.approx(found["p_value"].iloc[0])

    def test_level_against_rest_by_hand(self) -> None:
        found = rest(subgroups(effects([1.0, 2.0, 6.0], [1.0, 1.0, 0.5])))
        assert found["estimate"].iloc[2] == pytest.approx(6 - 1.5)
        assert found["std_error"].iloc[2] == pytest.approx(np.sqrt(0.5 + 0.5))
        assert found["estimate"].iloc[0] == pytest.approx(1 - (2 + 2 * 6) / 3)
        expected = stats.false_discovery_control(found["p_value"])
        assert found["p_adjusted"].to_numpy() == pytest.approx(expected)


class TestReading:
    def test_luck(self) -> None:
        found = subgroups(effects(*SCHOOLS), title="school", unit="points")
        assert found["note"].iloc[0] == (
            "No evidence that the effect differs by school (p = .70): differences of this size between levels are what "
            "luck makes; true effects may still differ, by a standard deviation of up to 16.4 points"
        )

    def test_more_than_luck(self) -> None:
        note = subgroups(effects(*log_risk_ratios()))["note"].iloc[0]
        assert note.startswith("The effect differs by region (p < .001)")

    def test_no_level_has_a_verdict_of_its_own(self) -> None:
        """A level's own effect is never tested against 0: "here it worked, there it did not" cannot be read off."""
        found = subgroups(effects([3.0, 0.1, 0.2, 0.1], [0.1, 0.1, 0.1, 0.1]))
        assert shrunk(found)[["p_value", "p_adjusted"]].isna().all(axis=None)
        assert (found["verdict"] == "").all()

    def test_luck_is_taken_out(self) -> None:
        """Extremes move to the middle, the uncertain ones further; nobody leaves the range of all."""
        y, v = np.array([0.0, 1.0, 2.0, 8.0, 8.0]), np.array([1.0, 1.0, 1.0, 1.0, 9.0])
        found = shrunk(subgroups(effects(y, v)))["estimate"].to_numpy()
        assert 0 < found[0] < found[1] < found[2] < found[4] < found[3] < 8


class TestRows:
    def test_labels(self) -> None:
        found = subgroups(effects(*SCHOOLS, period="2026-06", definition="abc"))
        assert found["metric"].tolist()[:4] == ["interaction", "variation beyond luck", "spread of effects", "csat"]
        assert found["comparison"].tolist()[:3] == ["test", "share", "level"]
        for name, value in {"segment": "region", "at": "updates", "period": "2026-06", "definition": "abc"}.items():
            assert (found[name] == value).all()
        assert len(found) == 3 + 8 + 8
        assert (found["status"] == "ok").all()

    @given(st.permutations(range(8)))
    def test_order_does_not_matter(self, order: list[int]) -> None:
        rows = effects(*SCHOOLS)
        pd.testing.assert_frame_equal(subgroups(rows), subgroups(rows.iloc[order]))

    @given(st.floats(0.01, 100), st.floats(-50, 50))
    def test_other_units_and_another_zero(self, scale: float, shift: float) -> None:
        y, v = SCHOOLS
        plain, moved = subgroups(effects(y, v)), subgroups(effects(scale * y + shift, scale**2 * v))
        assert moved["estimate"].iloc[0] == pytest.approx(plain["estimate"].iloc[0], rel=1e-6)
        here, there = shrunk(plain), shrunk(moved)
        for name in ("estimate", "conf_low", "conf_high"):
            assert there[name].to_numpy() == pytest.approx(scale * here[name].to_numpy() + shift, abs=1e-4 * scale)

    def test_whole_and_hidden_rows_are_passed_over(self) -> None:
        rows = effects(*SCHOOLS)
        whole = effects([5.0], [1.0], segment="all", level="all")
        hidden = effects([5.0], [1.0], level="region 90", status="suppressed")
        flat = effects([5.0], [0.0], level="region 91")
        relative = effects([5.0], [1.0], level="region 92", comparison="relative")
        found = subgroups(results.concat([rows, whole.assign(segment="region"), hidden, flat, relative]))
        kept = subgroups(rows)
        assert found["note"].iloc[0].endswith("; 2 levels are left out, being hidden, too small or without spread")
        pd.testing.assert_frame_equal(found.drop(columns="note"), kept.drop(columns="note"))

    @pytest.mark.parametrize("count", [0, 1])
    def test_nothing_to_compare(self, count: int) -> None:
        found = subgroups(effects(SCHOOLS[0][:count], SCHOOLS[1][:count]), title="school")
        assert found["status"].tolist() == ["undefined"]
        assert found["note"].tolist() == ["fewer than two levels of school can be compared"]

    def test_several_things_at_once(self) -> None:
        rows = effects(*SCHOOLS)
        with pytest.raises(UsageError, match="several of metric, at"):
            subgroups(results.concat([rows, results.label(rows, metric="nps", at="other")]))
        with pytest.raises(UsageError, match=r"level 'region 00'.* twice"):
            subgroups(results.concat([rows, rows]))

    def test_rows_without_a_standard_error(self) -> None:
        """Limits alone are enough: half the interval stands for the error (quantiles)."""
        pd.testing.assert_frame_equal(
            subgroups(effects(*SCHOOLS).assign(std_error=np.nan)), subgroups(effects(*SCHOOLS))
        )


class TestSimulations:
    @pytest.mark.simulation
    @pytest.mark.parametrize("count", [2, 5, 20])
    @pytest.mark.parametrize("size", [12, 60])
    def test_size_of_the_interaction_test(
        self, rng: np.random.Generator, replicates: Callable[[int, int], int], count: int, size: int
    ) -> None:
        """Where the effect is the same everywhere, at most 5 % of tests find a difference, of 12 units an arm, too.

        6,000 runs each: 3.4 % (2 levels of 6 units an arm) to 5.2 %; with standard errors in place of half widths
        5.1 to 19.5 % (20 levels of 6 units).
        """
        times = replicates(80, 5_000)
        sides = [rng.normal(size=(times, count, size)) for _ in range(2)]
        moments = [
            Moments.from_sums(
                np.full((times, count), float(size)), {"y": s.sum(axis=2)}, {("y", "y"): (s**2).sum(axis=2)}
            )
            for s in sides
        ]
        alarms = 0
        for one in range(times):
            rows = mean_difference(moments[0][one], moments[1][one])
            level = [f"{number:02d}" for number in range(count)]
            alarms += subgroups(results.label(rows, segment="x", level=level))["p_value"].iloc[0] < 0.05
        assert alarms / times < 0.055 + 3 * np.sqrt(0.05 * 0.95 / times)

    @pytest.mark.simulation
    @pytest.mark.parametrize("count", [2, 3, 8, 20])
    def test_intervals_of_levels(
        self, rng: np.random.Generator, replicates: Callable[[int, int], int], count: int
    ) -> None:
        """Of 95 % intervals around what is left, 95 % hold the true effects of levels, on average over spreads from
        none to twice the errors; at no spread fewer than 93 %."""
        times, shares = replicates(25, 2_000), []
        for spread in (0.0, 0.5, 1.0, 2.0):
            held = []
            for _ in range(times):
                v = rng.uniform(0.5, 2, count) ** 2
                truth = rng.normal(1, spread, count)
                found = shrunk(subgroups(effects(rng.normal(truth, np.sqrt(v)), v)))
                held.append(((found["conf_low"] <= truth) & (truth <= found["conf_high"])).mean())
            shares.append(np.mean(held))
            assert shares[-1] > 0.93 - 3 * np.std(held) / np.sqrt(times)
        assert np.mean(shares) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / (4 * times))
