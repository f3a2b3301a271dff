"""BG/NBD: the fit, its covariance, and what is expected of customers under it.

Outside references: the paper's figures for CDNOW (oracle), the R package CLVTools (`test_correctness_bgnbd.R`), the
documentation of lifetimes (standard errors), `mpmath` at 40 digits, the likelihood by finite differences, simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from cxlib.analysis.value import (
    BgNbdFit,
    expected_purchases,
    fit_bg_nbd,
    parameters,
    probability_alive,
    rates,
    summarise_transactions,
    uncertainty,
)  # fmt: skip
from cxlib.analysis.value.bg_nbd import Likelihood, cells_of
from cxlib.errors import UsageError
from tests.value_frames import BUYS, cdnow_sample, drawn

PAPER = BgNbdFit(*BUYS, log_likelihood=-9582.4)


@pytest.fixture(scope="module")
def published(request: pytest.FixtureRequest) -> pd.DataFrame:
    folder = request.getfixturevalue("shared_data")("cdnow")
    return pd.read_csv(folder / "cdnow_customers_summary.csv")


@pytest.fixture(scope="module")
def cdnow(published: pd.DataFrame) -> BgNbdFit:
    return fit_bg_nbd(published["frequency"], published["recency"], published["T"])


class TestFit:
    def test_cdnow_is_the_papers(self, cdnow: BgNbdFit, oracle: Callable) -> None:
        found = oracle("clv_bgnbd_cdnow")
        expected, lifetimes = found["expected"], found["recomputed"]["lifetimes"]
        assert cdnow.log_likelihood == pytest.approx(expected["LL"], abs=0.1)
        for name in ("r", "alpha", "a", "b"):
            assert getattr(cdnow, name) == pytest.approx(expected[name], abs=2e-3)
            assert getattr(cdnow, name) == pytest.approx(lifetimes[name], rel=1e-5)  # it stops a little earlier
        assert cdnow.log_likelihood == pytest.approx(found["recomputed"]["LL_formula_numpy"], abs=1e-6)
        assert (cdnow.customers, cdnow.repeat_buyers, cdnow.converged, cdnow.note) == (2357, 946, True, "")

    def test_standard_errors_are_those_of_lifetimes(self, cdnow: BgNbdFit) -> None:
        """From its documentation (Quickstart, `bgf.summary`), whose Hessian is by automatic differentiation."""
        errors = np.sqrt(np.diag(cdnow.covariance))
        assert errors == pytest.approx([0.012557, 0.378221, 0.185719, 0.705345], abs=2e-6)
        assert np.allclose(cdnow.covariance, cdnow.covariance.T)

    def test_from_transactions_it_is_clvtools(self, shared_data: Callable) -> None:
        """R's CLVTools on the same transactions, times not rounded: its tests give these figures."""
        found = summarise_transactions(
            cdnow_sample(shared_data("cdnow")), "customer_id", "ordered_at", "amount", end="1997-09-30"
        )
        fit = fit_bg_nbd(found["frequency"], found["recency"], found["T"])
        assert fit.parameters == pytest.approx([0.2425945, 4.4136019, 0.7929199, 2.4258881], abs=2e-5)
        assert fit.log_likelihood == pytest.approx(-9582.429, abs=5e-4)

    def test_derivatives(self, rng: np.random.Generator) -> None:
        """By central differences; 1e-5 is what these leave of 16 digits."""
        some = drawn(rng, 300)
        likelihood, here = Likelihood(cells_of(some.x, some.t_x, some.end)), np.array([0.3, 5.0, 0.9, 2.0])
        _, slope, bend = likelihood(here)
        for place in range(4):
            step = np.zeros(4)
            step[place] = 1e-5 * here[place]
            up, down = likelihood(here + step), likelihood(here - step)
            assert slope[place] == pytest.approx((up[0] - down[0]) / (2 * step[place]), rel=1e-5, abs=1e-4)
            assert bend[place] == pytest.approx((up[1] - down[1]) / (2 * step[place]), rel=1e-5, abs=1e-4)

    def test_likelihood_is_the_papers_formula(self, rng: np.random.Generator) -> None:
        some, (r, alpha, a, b) = drawn(rng, 200), BUYS
        x, t_x, end = some.x, some.t_x, some.end
        here = special.beta(a, b + x) / (alpha + end) ** (r + x)
        gone = np.where(x > 0, special.beta(a + 1, b + np.maximum(x, 1) - 1) / (alpha + t_x) ** (r + x), 0)
        each = special.gamma(r + x) * alpha**r / special.gamma(r) * (here + gone) / special.beta(a, b)
        value, *_ = Likelihood(cells_of(x, t_x, end))(np.array(BUYS))
        assert value == pytest.approx(np.log(each).sum(), rel=1e-12)

    def test_equal_customers_count_together(self, rng: np.random.Generator) -> None:
        some = drawn(rng, 500)
        x, t_x, end = np.round(some.x), np.round(some.t_x), np.round(some.end)
        t_x = np.where(x > 0, np.maximum(t_x, 1), 0)
        order = rng.permutation(np.tile(np.arange(500), 3))
        once, thrice = fit_bg_nbd(x, t_x, end), fit_bg_nbd(x[order], t_x[order], end[order])
        assert thrice.parameters == pytest.approx(once.parameters, rel=1e-6)  # where the steps end, not where they lead
        assert thrice.log_likelihood == pytest.approx(3 * once.log_likelihood, rel=1e-12)
        assert thrice.covariance == pytest.approx(once.covariance / 3, rel=1e-4)

    @hypothesis.settings(max_examples=10)
    @given(st.permutations(range(40)))
    def test_the_order_of_customers_changes_nothing(self, order: list[int]) -> None:
        some = drawn(np.random.default_rng(3), 40)
        one = fit_bg_nbd(some.x, some.t_x, some.end)
        other = fit_bg_nbd(some.x[order], some.t_x[order], some.end[order])
        assert one.parameters.tolist() == other.parameters.tolist()
        assert one.log_likelihood == other.log_likelihood

    def test_another_unit_of_time_scales_alpha_only(self, rng: np.random.Generator) -> None:
        some = drawn(rng, 1_000)
        weeks, days = fit_bg_nbd(some.x, some.t_x, some.end), fit_bg_nbd(some.x, 7 * some.t_x, 7 * some.end)
        assert days.parameters == pytest.approx(weeks.parameters * [1, 7, 1, 1], rel=1e-6)
        assert days.log_likelihood == pytest.approx(weeks.log_likelihood - some.x.sum() * np.log(7), rel=1e-9)

    @pytest.mark.simulation
    def test_intervals_hold_the_truth(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """95 % intervals of the parameters of 2,000 customers, on the logarithm; three standard errors of a share."""
        times, inside, at = replicates(150, 2_000), np.zeros(4), 0
        for _ in range(times):
            some = drawn(rng, 2_000)
            fit = fit_bg_nbd(some.x, some.t_x, some.end)
            if fit.converged:
                found, at = parameters(fit), at + 1
                low, high = (found[name].to_numpy() for name in ("conf_low", "conf_high"))
                inside += (low <= BUYS) & (high >= BUYS)
        assert at >= 0.98 * times
        assert inside.min() / at >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / at)


class TestNoTop:
    """Where the likelihood has no top the fit says so, and gives no covariance."""

    def test_nobody_bought_again(self) -> None:
        fit = fit_bg_nbd([0, 0, 0], [0, 0, 0], [10, 20, 30])
        assert (fit.converged, fit.note) == (False, "nobody bought a second time")
        assert np.isnan(expected_purchases(fit, 10, 0, 0, 20))
        assert np.isnan(probability_alive(fit, 0, 0, 20))

    def test_everybody_buys_alike_and_nobody_stops(self, rng: np.random.Generator) -> None:
        x = rng.poisson(5, 400) + 1
        fit = fit_bg_nbd(x, np.full(400, 49.9), np.full(400, 50.0))
        assert not fit.converged
        assert fit.note
        assert np.isnan(fit.covariance).all()
        assert set(parameters(fit)["status"]) == {"undefined"}

    def test_a_single_customer(self) -> None:
        fit = fit_bg_nbd([1], [5.0], [10.0])
        assert not fit.converged

    @pytest.mark.parametrize(
        ("given_", "words"),
        [
            (([1.5], [3], [9]), "no whole number"),
            (([-1], [0], [9]), "no whole number"),
            (([1], [10], [9]), "recency after T"),
            (([0], [3], [9]), "a recency but no repeat purchase"),
            (([2], [0], [9]), "a recency of 0 or less"),
            (([0], [0], [-1]), "T below 0"),
            (([None], [0.0], [9.0]), "without a frequency"),
            ((["x"], [0.0], [9.0]), "frequency is no number in 1 row, the first 'x'"),
            (([1, 2], [1, 2, 3], [9]), "the shapes do not fit"),
        ],
    )
    def test_what_no_customer_can_have(self, given_: tuple, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            fit_bg_nbd(*given_)

    def test_all_faults_at_once(self) -> None:
        with pytest.raises(UsageError, match=r"1 with a frequency .*row 0.*; 2 with recency after T \(first: row 1\)"):
            fit_bg_nbd([-1, 1, 1], [0, 10, 11], [9, 9, 9])


class TestExpected:
    def test_the_papers_figures(self, cdnow: BgNbdFit, oracle: Callable) -> None:
        found = oracle("clv_bgnbd_cdnow")
        expected, recomputed = found["expected"], found["recomputed"]["lifetimes"]
        one = float(expected_purchases(cdnow, 39, 2, 30.43, 38.86))
        assert one == pytest.approx(expected["cond_expectation"], abs=1e-3)
        assert one == pytest.approx(recomputed["cond_exp_t39_x2_tx30.43_T38.86"], abs=2e-5)  # its fit is a little off
        for t, value in expected["E_X_t"].items():
            assert float(expected_purchases(cdnow, float(t), 0, 0, 0)) == pytest.approx(value, abs=1e-3)
            assert float(expected_purchases(cdnow, float(t), 0, 0, 0)) == pytest.approx(
                recomputed["E_X_t"][t], rel=1e-5
            )
        alive = float(probability_alive(cdnow, 2, 30.43, 38.86))
        assert alive == pytest.approx(recomputed["p_alive_x2_tx30.43_T38.86"], abs=1e-5)

    def test_a_discounted_sum_of_lifetimes(self, cdnow: BgNbdFit, oracle: Callable) -> None:
        """lifetimes' Quickstart: `conditional_expected_number_of_purchases` in steps of 30 units, discounted by 1 %.

        It gives 140.096211 for customer 1 (x 2, t_x 30.43, T 38.86), whose expected spend is 24.658619.
        """
        steps = 30.0 * np.arange(13)
        ahead = np.diff(expected_purchases(cdnow, steps, 2, 30.43, 38.86))
        assert (ahead / 1.01 ** np.arange(1, 13)).sum() * 24.658619 == pytest.approx(140.096211, rel=1e-5)

    @pytest.mark.parametrize("x", [0, 1, 7, 60])
    @pytest.mark.parametrize("buys", [BUYS, (0.3, 5.0, 0.3, 0.9), (0.8, 2.0, 0.2, 50.0), (5.0, 100.0, 1.2, 9.0)])
    def test_closed_form(self, x: int, buys: tuple) -> None:
        """Equation (10), by SciPy's hyp2f1 in its original arguments where these are harmless."""
        (r, alpha, a, b), end = buys, 30.0
        for t in (0.5, 10.0, 200.0):
            z = t / (alpha + end + t)
            form = special.hyp2f1(r + x, b + x, a + b + x - 1, z) * (1 - z) ** (r + x)
            expected = (a + b + x - 1) / (a - 1) * (1 - form)
            found = rates.while_alive(np.array(buys), np.array([float(x)]), np.array([end]), np.array([t]))[0]
            assert found == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize(
        ("buys", "x", "end", "t", "expected"),
        [  # where equation (10) is singular or SciPy's 2F1 overflows; the limits by mpmath with 40 digits
            ((5.0, 100.0, 1.0, 9.0), 5, 10.0, 52.0, 4.060854240662),
            ((1.0, 10.0, 1.0000001, 5.0), 40, 80.0, 520.0, 82.53373261552),
            ((0.05, 1.0, 0.05, 0.05), 0, 0.0, 520.0, 10.19257915837),
            ((3.0, 2.0, 8.0, 400.0), 200, 0.0, 520.0, 86.71428571428),
            ((0.3, 5.0, 0.3, 0.7), 0, 10.0, 52.0, 0.746267866619),
        ],
    )
    def test_singular_and_large_parameters(self, buys: tuple, x: int, end: float, t: float, expected: float) -> None:
        found = rates.while_alive(np.array(buys), np.array([float(x)]), np.array([end]), np.array([t]))[0]
        assert found == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("discount", [0.002, 0.1, 2.0])
    def test_discounting(self, discount: float) -> None:
        """By adaptive quadrature of the purchase rate, the mean of lambda exp(-lambda p t), over time."""
        r, alpha, a, b = BUYS
        x, end, ahead = 3.0, 30.0, 100.0

        def now(t: float) -> float:
            y = t / (alpha + end)
            return (r + x) / (alpha + end) * special.hyp2f1(r + x + 1, a, a + b + x, -y) * np.exp(-discount * t)

        expected, _ = integrate.quad(now, 0, ahead, epsabs=1e-13, epsrel=1e-12, limit=500)
        found = rates.while_alive(np.array(BUYS), np.array([x]), np.array([end]), np.array([ahead]), discount)[0]
        assert found == pytest.approx(expected, rel=1e-7 if discount > 1 else 1e-10)

    def test_of_kinds_is_the_same(self, rng: np.random.Generator) -> None:
        x, end, ahead = np.array([2.0, 0.0, 9.0, 2.0]), np.array([3.0, 30.0, 3.0, 3.0]), np.array([1.0, 52.0])
        kinds, of = rates.Kinds.of(x, end)
        assert kinds.of_count.size == 3
        for discount in (0.0, 0.01):
            found = rates.of_kinds(np.array(BUYS), kinds, ahead, discount)[of]
            for place, time in enumerate(ahead):
                one = rates.while_alive(np.array(BUYS), x, end, np.full(4, time), discount)
                assert found[:, place] == pytest.approx(one, rel=1e-9)

    @pytest.mark.parametrize("buys", [BUYS, (0.5, 0.02, 0.3, 0.9), (5.0, 300.0, 1.2, 9.0), (1.0, 1.0, 20.0, 400.0)])
    @pytest.mark.parametrize(("discount", "ahead"), [(0.002, 52.0), (0.1, 520.0), (0.002, 0.5)])
    def test_many_times_are_interpolated(self, buys: tuple, discount: float, ahead: float) -> None:
        """Against each time by itself, from the first day to ten years: to 1e-11 of the largest of a count."""
        times = np.arange(0.0, 522.0, 1 / 7)
        x, end = np.repeat([0.0, 3.0, 40.0], times.size), np.tile(times, 3)
        kinds, of = rates.Kinds.of(x, end)
        for pairs in (False, True):
            found = rates.of_kinds(np.array(buys), kinds, np.array([ahead]), discount, pairs=pairs)[of, 0]
            whole = rates.Rates(np.array(buys), np.unique(x) + pairs, times, np.array([ahead]))
            spans = whole.spans(times, np.full(times.size, ahead), discount, pairs=pairs)
            r, _, a, b = buys
            counts = np.unique(x)
            factor = 2 * (r + counts) * (b + counts) / (a + b + counts) if pairs else np.ones(3)
            direct = ((factor[:, None] * whole.series) @ spans.T).ravel()
            scale = np.repeat(direct.reshape(3, -1).max(axis=1), times.size)
            assert np.abs(found - direct).max() < 1e-11 * scale.max()
            assert (np.abs(found - direct) < 1e-11 * scale).all()

    def test_moments_by_simulation(self, rng: np.random.Generator) -> None:
        """Mean and second moment of the discounted purchases of a customer who is there: four standard errors."""
        (r, alpha, a, b), x, end, ahead, discount, size = BUYS, 2.0, 30.0, 25.0, 0.03, 200_000
        rate, leaves = rng.gamma(r + x, 1 / (alpha + end), size), rng.beta(a, b + x, size)
        worth, now, who = np.zeros(size), np.zeros(size), np.arange(size)
        while who.size:
            now[who] += rng.exponential(1 / rate[who])
            who = who[now[who] < ahead]
            worth[who] += np.exp(-discount * now[who])
            who = who[rng.random(who.size) > leaves[who]]
        where = np.array(BUYS), rates.Kinds.of(np.array([x]), np.array([end]))[0], np.array([ahead])
        mean = rates.of_kinds(*where, discount).item()
        second = rates.of_kinds(*where, 2 * discount).item() + rates.of_kinds(*where, discount, pairs=True).item()
        for seen, expected in ((worth, mean), (worth**2, second)):
            assert abs(seen.mean() - expected) < 4 * seen.std() / np.sqrt(size)

    @given(
        st.tuples(*[st.floats(0.05, 20)] * 4),
        st.integers(0, 60),
        st.floats(0.1, 300),
        st.floats(0, 1),
        st.floats(0, 500),
    )
    def test_properties(self, buys: tuple, x: int, end: float, part: float, t: float) -> None:
        """A chance lies within 0 and 1; purchases grow with time, and are never more than a pace kept for ever."""
        fit, t_x = (
            replace(PAPER, **dict(zip(("r", "alpha", "a", "b"), buys, strict=True))),
            max(part * end, 1e-3) * (x > 0),
        )
        alive = float(probability_alive(fit, x, t_x, end))
        assert 0 <= alive <= 1
        assert x > 0 or alive == 1
        found = expected_purchases(fit, [0, t, t + 10], x, t_x, end)
        assert found[0] == 0
        assert (np.diff(found) >= -1e-9).all()
        assert found[1] <= (fit.r + x) / (fit.alpha + end) * t * (1 + 1e-9) + 1e-12

    def test_later_purchases_make_it_likelier_to_be_there(self, cdnow: BgNbdFit) -> None:
        assert (np.diff(probability_alive(cdnow, 4, np.linspace(1, 38, 30), 38.86)) > 0).all()

    def test_shapes(self, cdnow: BgNbdFit) -> None:
        assert expected_purchases(cdnow, [1, 2, 3], np.zeros((4, 1)), 0, 10).shape == (4, 3)
        assert probability_alive(cdnow, pd.Series([0, 2], dtype="Int64"), [0, 3.0], 9).shape == (2,)
        assert np.ndim(expected_purchases(cdnow, 10, 0, 0, 10)) == 0

    @pytest.mark.parametrize("t", [-1, np.nan, np.inf])
    def test_a_time_that_cannot_be(self, cdnow: BgNbdFit, t: float) -> None:
        with pytest.raises(UsageError, match="time of 0 or more"):
            expected_purchases(cdnow, t, 0, 0, 10)


class TestUncertainty:
    def test_draws_have_the_covariance(self, cdnow: BgNbdFit, rng: np.random.Generator) -> None:
        logs = np.log(uncertainty.draw(cdnow, 40_000, rng))
        assert logs.mean(axis=0) == pytest.approx(np.log(cdnow.parameters), abs=1e-9)  # antithetic
        wide = uncertainty.log_covariance(cdnow)
        # The standard error of a variance from 20,000 independent pairs is 1 %.
        assert np.cov(logs.T) == pytest.approx(wide, abs=0.04 * wide.max())

    def test_delta_method_and_draws_agree(self, cdnow: BgNbdFit, rng: np.random.Generator) -> None:
        """A new customer's purchases in a year; 4 %: the noise of 2,000 draws' spread, and curvature."""

        def figure(buys: np.ndarray) -> np.ndarray:
            return rates.while_alive(buys, np.zeros(1), np.zeros(1), np.array([52.0]))

        by_draws = np.std([figure(one) for one in uncertainty.draw(cdnow, 2_000, rng)])
        assert uncertainty.delta([cdnow], figure)[0] == pytest.approx(by_draws, rel=0.04)
