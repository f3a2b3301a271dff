"""Gamma-Gamma: the fit, and what is expected to be spent.

Outside references: Fader and Hardie (2013) for CDNOW (oracle), the documentation of lifetimes, the R package CLVTools
(`test_correctness_gg.R`), the likelihood by the densities that the model is made of, finite differences, simulation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from cxlib.analysis.value import (
    GammaGammaFit,
    expected_spend,
    fit_gamma_gamma,
    parameters,
    summarise_transactions,
)  # fmt: skip
from cxlib.analysis.value.gamma_gamma import Likelihood
from cxlib.errors import UsageError
from tests.value_frames import SPENDS, cdnow_sample, drawn


@pytest.fixture(scope="module")
def published(request: pytest.FixtureRequest) -> pd.DataFrame:
    folder = request.getfixturevalue("shared_data")("cdnow")
    return pd.read_csv(folder / "cdnow_customers_summary_with_transactions.csv")


@pytest.fixture(scope="module")
def cdnow(published: pd.DataFrame) -> GammaGammaFit:
    return fit_gamma_gamma(published["x"], published["zbar"])


def test_cdnow_is_the_papers(cdnow: GammaGammaFit, oracle: Callable) -> None:
    found = oracle("clv_gammagamma_cdnow")
    for name, value in found["expected"].items():
        assert getattr(cdnow, name) == pytest.approx(value, abs=0.02)
        assert getattr(cdnow, name) == pytest.approx(found["recomputed"]["lifetimes"][name], rel=1e-4)
    assert cdnow.repeat_buyers == found["recomputed"]["lifetimes"]["n"]
    assert (cdnow.converged, cdnow.note, cdnow.left_out) == (True, "", 0)


def test_from_transactions_it_is_clvtools(shared_data: Callable) -> None:
    """R's CLVTools: log likelihood -4055.9177 with amounts not rounded."""
    found = summarise_transactions(
        cdnow_sample(shared_data("cdnow")), "customer_id", "ordered_at", "amount", end="1997-09-30"
    )
    fit = fit_gamma_gamma(found["frequency"], found["monetary_value"])
    assert fit.log_likelihood == pytest.approx(-4055.9177, abs=5e-4)


def test_expected_spend_is_that_of_lifetimes(cdnow: GammaGammaFit, published: pd.DataFrame, oracle: Callable) -> None:
    lifetimes = oracle("clv_gammagamma_cdnow")["recomputed"]["lifetimes"]
    found = expected_spend(cdnow, published["x"], published["zbar"])
    assert found[:5] == pytest.approx(lifetimes["expected_first5"], rel=1e-5)
    assert found.mean() == pytest.approx(lifetimes["expected_avg_mean_all"], rel=1e-5)
    assert found[5] == pytest.approx(71.462843, rel=1e-5)  # customer 6 in its Quickstart


def test_likelihood_is_made_of_its_densities() -> None:
    """The mean of x amounts is gamma (p x, x nu); nu is gamma (q, v): integrated over nu by quadrature."""
    p, q, v = SPENDS
    x, mean = np.array([1.0, 3.0, 8.0]), np.array([12.0, 35.0, 80.0])

    def density(nu: float, count: float, amount: float) -> float:
        return stats.gamma.pdf(amount, p * count, scale=1 / (nu * count)) * stats.gamma.pdf(nu, q, scale=1 / v)

    expected = sum(
        np.log(integrate.quad(density, 0, 20, args=pair, limit=500, epsabs=1e-14)[0])
        for pair in zip(x, mean, strict=True)
    )
    assert Likelihood(x, mean)(np.array(SPENDS))[0] == pytest.approx(expected, rel=1e-8)


def test_derivatives(rng: np.random.Generator) -> None:
    """By central differences; 1e-5 is what these leave of 16 digits."""
    some = drawn(rng, 800)
    likelihood, here = Likelihood(some.x[some.x > 0], some.mean[some.x > 0]), np.array([4.0, 3.0, 20.0])
    _, slope, bend = likelihood(here)
    for place in range(3):
        step = np.zeros(3)
        step[place] = 1e-5 * here[place]
        up, down = likelihood(here + step), likelihood(here - step)
        assert slope[place] == pytest.approx((up[0] - down[0]) / (2 * step[place]), rel=1e-5, abs=1e-4)
        assert bend[place] == pytest.approx((up[1] - down[1]) / (2 * step[place]), rel=1e-5, abs=1e-4)


def test_expectation_is_the_posterior_mean() -> None:
    """p / nu over the posterior gamma (p x + q, v + x z) of nu."""
    (p, q, v), x, mean = SPENDS, 4, 50.0
    posterior = stats.gamma(p * x + q, scale=1 / (v + x * mean))
    expected = posterior.expect(lambda nu: p / nu)
    assert expected_spend(GammaGammaFit(*SPENDS, log_likelihood=0.0), x, mean) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 50), st.floats(0.1, 1e4))
def test_between_the_own_mean_and_that_of_all(x: int, mean: float) -> None:
    fit = GammaGammaFit(*SPENDS, log_likelihood=0.0)
    whole = SPENDS[0] * SPENDS[2] / (SPENDS[1] - 1)
    found = float(expected_spend(fit, x, mean))
    assert min(whole, mean) - 1e-9 <= found <= max(whole, mean) + 1e-9 or x == 0
    assert x > 0 or found == pytest.approx(whole)


def test_another_currency_scales_v_only(rng: np.random.Generator) -> None:
    some = drawn(rng, 1_500)
    one, other = fit_gamma_gamma(some.x, some.mean), fit_gamma_gamma(some.x, 100 * some.mean)
    assert other.parameters == pytest.approx(one.parameters * [1, 1, 100], rel=1e-5)


def test_the_order_of_customers_changes_nothing(rng: np.random.Generator) -> None:
    some, order = drawn(rng, 300), rng.permutation(300)
    one, other = fit_gamma_gamma(some.x, some.mean), fit_gamma_gamma(some.x[order], some.mean[order])
    assert one.parameters.tolist() == other.parameters.tolist()


def test_repeat_buyers_only(rng: np.random.Generator) -> None:
    """What stands beside no repeat purchase is not looked at; free purchases have no place in the model."""
    some = drawn(rng, 600)
    mean = np.where(some.x > 0, some.mean, np.nan)
    one = fit_gamma_gamma(some.x, mean)
    mean[np.flatnonzero(some.x > 0)[:2]] = 0
    other = fit_gamma_gamma(some.x, mean)
    assert one.repeat_buyers == (some.x > 0).sum()
    assert (other.left_out, other.repeat_buyers) == (2, one.repeat_buyers - 2)
    assert np.isfinite(expected_spend(other, some.x, mean)).all()


@pytest.mark.simulation
def test_intervals_hold_the_truth(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """95 % intervals of the parameters from some 800 repeat buyers; three standard errors of a share."""
    times, inside = replicates(200, 2_000), np.zeros(3)
    for _ in range(times):
        some = drawn(rng, 2_000)
        found = parameters(fit_gamma_gamma(some.x, some.mean))
        low, high = (found[name].to_numpy() for name in ("conf_low", "conf_high"))
        inside += (low <= SPENDS) & (high >= SPENDS)
    assert inside.min() / times >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / times)


class TestNoTop:
    def test_too_few(self) -> None:
        fit = fit_gamma_gamma([0, 1, 2], [0, 10, 20])
        assert (fit.converged, fit.note) == (False, "fewer than three customers bought again")
        assert np.isnan(expected_spend(fit, 1, 10))

    def test_all_spend_the_same(self) -> None:
        fit = fit_gamma_gamma(np.arange(1, 100), np.full(99, 10.0))
        assert not fit.converged
        assert fit.note
        assert set(parameters(fit)["status"]) == {"undefined"}

    @pytest.mark.parametrize(
        ("given_", "words"),
        [
            (([1.5], [3]), "no whole number"),
            (([-1], [3]), "no whole number"),
            (([1], [np.nan]), "no finite monetary_value"),
            (([1], [np.inf]), "no finite monetary_value"),
            ((["a"], [1]), "frequency is no number in 1 row, the first 'a'"),
        ],
    )
    def test_what_no_customer_can_have(self, given_: tuple, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            fit_gamma_gamma(*given_)
