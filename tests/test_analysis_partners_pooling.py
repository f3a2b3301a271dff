"""The spread between partners and the posterior, against R's metafor, statsmodels and the eight schools of BDA."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.meta_analysis import combine_effects

from cxlib.analysis.partners import pooling
from cxlib.analysis.partners.pooling import Posterior

# Thirteen trials of the BCG vaccine (Colditz et al. 1994; R metafor::dat.bcg): cases and others, treated and control.
BCG = np.array([
    (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
    (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232), (17, 1699, 65, 1600),
    (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
], dtype=float)  # fmt: skip
SCHOOLS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18]) ** 2


def log_risk_ratios() -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = BCG.T
    return np.log(a / (a + b)) - np.log(c / (c + d)), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def log_odds_ratios() -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = BCG.T
    return np.log(a * d / (b * c)), (1 / BCG).sum(axis=1)


class TestSpread:
    def test_reml_and_q_as_metafor(self) -> None:
        """Viechtbauer (2010) J. Stat. Softw. 36(3), section 3.4: rma(yi, vi) gives tau^2 0.3132, Q 152.2330."""
        y, v = log_risk_ratios()
        assert float(pooling.reml(y, v)) == pytest.approx(0.3132, abs=5e-5)
        assert float(pooling.cochran(y, v)) == pytest.approx(152.2330, abs=5e-5)

    def test_q_profile_as_metafor(self) -> None:
        """confint() of the log odds ratios: 0.1302 to 1.1812 (metafor-project.org, van Houwelingen et al. 2002).

        R looks for the root to 1.2e-4 (`uniroot`).
        """
        assert pooling.q_profile(*log_odds_ratios(), 0.95) == pytest.approx((0.1302, 1.1812), abs=2e-4)

    def test_moments_as_statsmodels(self) -> None:
        y, v = log_risk_ratios()
        assert float(pooling.dersimonian_laird(y, v)) == pytest.approx(combine_effects(y, v, method_re="dl").tau2)

    @pytest.mark.parametrize("seed", range(8))
    def test_reml_is_where_the_restricted_likelihood_is_highest(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        v = rng.uniform(0.2, 5, 12)
        y = rng.normal(0, np.sqrt(v + (seed % 4) * 0.4))
        tau = np.linspace(0, 6, 60_001)
        best = tau[np.argmax(pooling.restricted_likelihood(tau, y, v))]
        assert np.sqrt(float(pooling.reml(y, v))) == pytest.approx(best, abs=2e-4)

    def test_arrays_are_many_at_once(self) -> None:
        y, v = log_risk_ratios()
        both = pooling.reml(np.vstack([y, y[::-1] * 2]), np.vstack([v, v[::-1] * 4]))
        assert both == pytest.approx([float(pooling.reml(y, v)), 4 * float(pooling.reml(y, v))])

    def test_no_spread_is_nought(self) -> None:
        y, v = np.full(5, 3.0) + np.array([0, 0.1, -0.1, 0.05, -0.05]), np.ones(5)
        assert float(pooling.reml(y, v)) == 0
        assert pooling.q_profile(y, v, 0.95)[0] == 0


class TestPosterior:
    def test_the_eight_schools(self) -> None:
        """Medians of 200 draws, Gelman et al. (2013) Bayesian Data Analysis, table 5.3, flat prior on mu and tau."""
        found = Posterior.of(*SCHOOLS).truth
        assert found._quantile(0.5) == pytest.approx([10, 8, 7, 8, 5, 6, 10, 8], abs=1.0)  # half a unit, and noise

    def test_mean_and_spread_by_quadrature(self) -> None:
        """School A by SciPy's quadrature over tau, each conditional moment by the precision matrix of all schools."""
        y, v = SCHOOLS

        def parts(tau: float) -> tuple[float, float, float]:
            marginal = np.diag(v + tau**2)
            ones, inverse = np.ones(8), np.linalg.inv(marginal)
            design = float(ones @ inverse @ ones)
            mu = float(ones @ inverse @ y) / design
            rest = y - mu
            height = np.exp(-0.5 * (rest @ inverse @ rest)) / np.sqrt(np.linalg.det(marginal) * design)
            joint = np.linalg.inv(np.block([
                [np.diag(1 / v + 1 / tau**2), -np.ones((8, 1)) / tau**2], [-np.ones((1, 8)) / tau**2, 8 / tau**2],
            ]))  # fmt: skip
            mean = joint @ np.append(y / v, 0)
            return height, mean[0], joint[0, 0]

        over = lambda f: integrate.quad(lambda t: f(*parts(t)), 1e-3, 60, limit=200)[0]  # noqa: E731
        total = over(lambda h, m, s: h)
        mean = over(lambda h, m, s: h * m) / total
        second = over(lambda h, m, s: h * (s + m * m)) / total
        found = Posterior.of(y, v).truth
        # The posterior of tau is cut at 1e-6 of its height, and cells are finite: a tenth of a point.
        assert found.mean[0] == pytest.approx(mean, abs=0.05)
        assert found.sd[0] == pytest.approx(np.sqrt(second - mean**2), abs=0.1)

    def test_limits_are_quantiles(self) -> None:
        found = Posterior.of(*SCHOOLS).truth
        low, high = found.limits(0.9)
        assert found.below(low) == pytest.approx(np.full(8, 0.05), abs=1e-9)
        assert found.below(high) == pytest.approx(np.full(8, 0.95), abs=1e-9)

    def test_draws_have_the_moments(self) -> None:
        post = Posterior.of(*SCHOOLS)
        drawn = post.draws(np.random.default_rng(3), 40_000)
        assert drawn.mean(axis=0) == pytest.approx(post.truth.mean, abs=0.2)  # four errors of 40,000 draws
        assert drawn.std(axis=0) == pytest.approx(post.truth.sd, abs=0.2)

    def test_the_difference_from_all_has_the_moments_of_the_draws(self) -> None:
        post, shares = Posterior.of(*SCHOOLS), np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
        drawn = post.draws(np.random.default_rng(4), 40_000)
        gap = drawn - (drawn @ shares)[:, None]
        assert gap.mean(axis=0) == pytest.approx(post.beside(shares).mean, abs=0.2)
        assert gap.std(axis=0) == pytest.approx(post.beside(shares).sd, abs=0.2)

    def test_exact_figures_are_left_alone_and_vague_ones_are_not(self) -> None:
        y = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
        exact, vague = Posterior.of(y, np.full(5, 1e-8)), Posterior.of(y, np.array([1e-8] * 4 + [1e6]))
        assert exact.truth.mean == pytest.approx(y, abs=1e-6)
        assert exact.own == pytest.approx(np.ones(5), abs=1e-6)
        assert abs(vague.truth.mean[-1] - 1.5) < 0.2
        assert vague.own[-1] < 0.01

    def test_many_partners_sharpen_the_spread(self, rng: np.random.Generator) -> None:
        """With 5,000 partners the posterior of tau is as narrow as theory has it: tau^2 +- sqrt(2/K) (tau^2 + v)."""
        y = rng.normal(0, np.sqrt(0.25 + 1), 5_000)
        post = Posterior.of(y, np.ones(5_000))
        error = np.sqrt(2 / 5_000) * 1.25 / (2 * 0.5)
        assert float(post.weight @ post.tau) == pytest.approx(0.5, abs=4 * error)
        assert np.sqrt(post.weight @ (post.tau - post.weight @ post.tau) ** 2) == pytest.approx(error, rel=0.15)

    def test_one_partner_s_normal_limits_where_tau_is_known(self) -> None:
        """A single value of tau is the textbook's shrinkage: B y + (1 - B) mu."""
        y, v = np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 1.0])
        post = Posterior(y, v, np.array([1.0]), np.array([1.0]))
        assert post.truth.mean == pytest.approx(0.5 * y + 0.5 * 3)
        assert post.truth.sd == pytest.approx(np.sqrt(0.5 + 0.25 * 2 / 3))
        assert post.truth.limits(0.95)[1] == pytest.approx(
            post.truth.mean + stats.norm.ppf(0.975) * post.truth.sd, abs=1e-9
        )
