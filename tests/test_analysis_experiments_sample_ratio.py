"""Sample-ratio mismatch: published cases, the sequential test against its paper, and false alarms over many looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from cxlib import results
from cxlib.analysis import experiments
from cxlib.analysis.experiments.sample_ratio import METRIC
from cxlib.errors import UsageError

REL = 1e-6  # as the oracle states


def p_of(*args: Any, **kwargs: Any) -> float:
    return float(experiments.sample_ratio(*args, **kwargs)["p_value"].iloc[0])


class TestChiSquare:
    def test_published_cases(self, oracle: Callable[[str], dict]) -> None:
        """Oracle exp_srm: Kohavi, Tang and Xu (2020), chapters 3 and 21, and R `chisq.test`; relative 1e-6."""
        expected = oracle("exp_srm")["expected"]
        assert p_of([821_588, 815_482]) == pytest.approx(expected["kohavi_821588_815482"], rel=REL)
        assert p_of([500, 600]) == pytest.approx(expected["500_600"], rel=REL)
        three = expected["three_arm_10000_10250_20100_(.25,.25,.5)"]
        assert p_of([10_000, 10_250, 20_100], (0.25, 0.25, 0.5)) == pytest.approx(three, rel=REL)
        assert p_of([44_700, 45_489]) == pytest.approx(expected["cookie_cats_44700_45489"], rel=REL)

    def test_other_oracles(self, oracle: Callable[[str], dict]) -> None:
        """Spotify-confidence (exp_spotify_prop, 1e-6) and R (exp_cookie_cats, statistic and p)."""
        assert p_of([5000, 5100]) == pytest.approx(oracle("exp_spotify_prop")["expected"]["srm_p"], abs=REL)
        cats, found = oracle("exp_cookie_cats")["expected"]["R"], experiments.sample_ratio([44_700, 45_489]).iloc[0]
        assert found["estimate"] == pytest.approx(cats["srm_chisq"], rel=REL)
        assert found["p_value"] == pytest.approx(cats["srm_p"], rel=REL)

    @given(
        st.lists(st.tuples(st.integers(1, 100_000), st.floats(0.05, 1)), min_size=2, max_size=6),
        st.floats(0.1, 1000),
    )
    def test_against_scipy(self, arms: list[tuple[int, float]], factor: float) -> None:
        """Scipy `chisquare`; only the ratios of the expected shares count."""
        counts, shares = (np.array(column, dtype=float) for column in zip(*arms, strict=True))
        found = experiments.sample_ratio(counts, shares * factor).iloc[0]
        known = stats.chisquare(counts, counts.sum() * shares / shares.sum())
        assert found["estimate"] == pytest.approx(known.statistic, rel=1e-9, abs=1e-9)
        assert found["p_value"] == pytest.approx(known.pvalue, rel=1e-7, abs=1e-12)
        assert found["n"] == counts.sum()


class TestRow:
    def test_the_two_thresholds(self) -> None:
        assert (experiments.SAMPLE_RATIO_WARNS, experiments.SAMPLE_RATIO_WITHHOLDS) == (0.01, 0.001)
        for counts, word in (
            ([821_588, 815_482], "find the fault before any effect is read"),
            ([44_700, 45_489], "a warning"),
            ([5000, 5100], "no sign"),
        ):
            found = experiments.sample_ratio(counts)
            assert word in found["note"].iloc[0]
            assert tuple(found.columns) == results.COLUMNS
            assert found[["metric", "comparison", "status"]].iloc[0].tolist() == [METRIC, "test", results.OK]
        assert "few" in experiments.sample_ratio([3, 4])["note"].iloc[0]

    def test_arms_by_name_in_any_order(self) -> None:
        plain = experiments.sample_ratio([10_000, 10_250, 20_100], [0.25, 0.25, 0.5])
        counts = {"b": 10_250, "c": 20_100, "a": 10_000}
        named = experiments.sample_ratio(counts, {"a": 25, "c": 50, "b": 25})
        assert named["p_value"].iloc[0] == pytest.approx(plain["p_value"].iloc[0], rel=1e-12)
        assert p_of(pd.Series(counts), pd.Series({"c": 2, "b": 1, "a": 1})) == pytest.approx(named["p_value"].iloc[0])
        assert p_of(pd.array([5000, 5100], dtype="Int64")) == p_of([5000, 5100])

    def test_nobody_yet(self) -> None:
        for sequential in (False, True):
            found = experiments.sample_ratio([0, 0], sequential=sequential).iloc[0]
            assert (found["status"], found["note"]) == (results.UNDEFINED, "no unit has been assigned yet")
            assert np.isnan(found["p_value"])

    def test_an_empty_arm_is_a_mismatch(self) -> None:
        assert p_of([0, 100]) < 1e-20
        assert p_of([0, 100], sequential=True) < 1e-9

    @pytest.mark.parametrize(
        ("counts", "expected", "word"),
        [
            ([5], None, "needs two"),
            ([5, -1], None, "whole numbers"),
            ([5, 1.5], None, "whole numbers"),
            ([5, None], None, "whole numbers"),
            (["5", "a"], None, "no number"),
            ([5, 6], [0.5], "2 arms"),
            ([5, 6], [1, 0], "above 0"),
            ([5, 6], [1, None], "above 0"),
            ({"a": 5, "b": 6}, {"a": 1, "c": 1}, r"\['a', 'c'\]"),
            ([[5, 6], [4, 9]], None, "shrink"),
            ([], None, "needs two"),
        ],
    )
    def test_what_cannot_be(self, counts: Any, expected: Any, word: str) -> None:
        with pytest.raises(UsageError, match=word):
            experiments.sample_ratio(counts, expected)

    def test_prior_above_zero(self) -> None:
        with pytest.raises(UsageError, match="prior"):
            experiments.sample_ratio([5, 6], sequential=True, prior=0)


class TestSequential:
    def test_prior_decides(self) -> None:
        """METHODS, SRM: on 500 against 600 a prior of 100 gives .05 and one of 10,000 gives .67 (Optimizely's)."""
        assert p_of([500, 600], sequential=True) == pytest.approx(0.05, abs=0.005)
        assert p_of([500, 600], sequential=True, prior=10_000) == pytest.approx(0.67, abs=0.005)

    @given(st.integers(0, 300), st.integers(0, 300), st.floats(0.1, 0.9))
    def test_is_the_integral_of_the_paper(self, one: int, other: int, share: float) -> None:
        """Lindon and Malek (2022): the mean likelihood ratio over the Beta prior, here by quadrature in SciPy."""
        if one + other == 0:
            return
        prior = stats.beta(100 * share, 100 * (1 - share))

        def ratio(theta: float) -> float:
            logs = one * np.log(theta / share) + other * np.log((1 - theta) / (1 - share))
            return float(np.exp(logs + prior.logpdf(theta)))

        middle = (100 * share + one) / (100 + one + other)
        spread = 12 * np.sqrt(middle * (1 - middle) / (100 + one + other))
        ends = max(middle - spread, 1e-12), min(middle + spread, 1 - 1e-12)
        factor, _ = integrate.quad(ratio, *ends, points=[middle], epsrel=1e-9)
        found = experiments.sample_ratio([one, other], [share, 1 - share], sequential=True).iloc[0]
        assert found["estimate"] == pytest.approx(np.log(factor), abs=1e-6)
        assert found["p_value"] == pytest.approx(min(1.0, 1 / factor), rel=1e-6)

    def test_smallest_over_the_looks(self) -> None:
        looks = np.array([[50, 90], [200, 260], [500, 560]])
        each = [p_of(look, sequential=True) for look in looks]
        assert p_of(looks, sequential=True) == min(each)
        assert min(each) < each[-1]
        by_arm = {"control": looks[:, 0], "treatment": looks[:, 1].tolist()}
        assert p_of(by_arm, sequential=True) == min(each)
        assert p_of(looks) == p_of(looks[-1])  # for who looks once, the last look counts


@pytest.mark.simulation
def test_false_alarms(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Of experiments split as planned and looked at 50 times at most alpha alarm; chi-square each time does more.

    10,000 runs of 50 looks at 200 units each: at .05 the sequential test alarmed in 2.1 %, chi-square at the last look
    in 4.8 %, at any look in 33 %. At .01: 0.4 %, 1.0 %, 9.2 %.
    """
    times, looks = replicates(400, 10_000), 50
    shares = np.array([0.5, 0.3, 0.2])
    counts = np.cumsum(rng.multinomial(200, shares, size=(times, looks)), axis=1)
    always = np.array([p_of(run, shares, sequential=True) for run in counts])
    planned = shares * counts.sum(axis=2, keepdims=True)
    each = stats.chi2.sf(((counts - planned) ** 2 / planned).sum(axis=2), 2)
    once = np.array([p_of(run, shares) for run in counts[:200]])
    np.testing.assert_allclose(once, each[:200, -1], rtol=1e-9)
    for alpha in (0.05, 0.01):
        noise = 3 * np.sqrt(alpha * (1 - alpha) / times)
        assert (always < alpha).mean() <= alpha + noise
        assert abs((each[:, -1] < alpha).mean() - alpha) <= noise
        assert (each.min(axis=1) < alpha).mean() > 3 * alpha
