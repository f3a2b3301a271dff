"""The beta-binomial posterior: the rat tumours of BDA, and a plain Monte Carlo with SciPy's likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from cxlib.analysis.partners.betas import BetaPosterior

# Tarone (1982), as in Gelman et al. (2013) Bayesian Data Analysis, table 5.1: tumours and rats of 71 experiments.
TUMOURS = np.repeat([0, 1, 2, 1, 5, 2, 5, 3, 2, 7, 3, 2, 9, 10, 4, 10, 4, 5, 11, 12, 5, 6, 5, 6, 16, 15, 9, 4],
                    [14, 8, 9, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 7, 1, 3, 1, 1, 1, 2, 1, 1, 4, 1, 2, 1, 1])  # fmt: skip
RATS = np.array([
    20, 20, 20, 20, 20, 20, 20, 19, 19, 19, 19, 18, 18, 17, 20, 20, 20, 20, 19, 19, 18, 18, 25, 24, 23, 20, 20, 20, 20,
    20, 20, 10, 49, 19, 46, 27, 17, 49, 47, 20, 20, 13, 48, 50, 20, 20, 20, 20, 20, 20, 20, 48, 19, 19, 19, 22, 46, 49,
    20, 20, 23, 19, 22, 20, 20, 20, 52, 46, 47, 24, 14,
])  # fmt: skip


def test_the_rat_tumours() -> None:
    """BDA, section 5.3: E(alpha | y) = 2.4, E(beta | y) = 14.3; its prior is flat on the mean and (a + b)^(-1/2).

    Ours has rho = 1 / (a + b + 1) in place of 1 / (a + b), and the book rounds: a tenth and a half.
    """
    found = BetaPosterior.of(TUMOURS.astype(float), RATS.astype(float))
    rest = (1 - found.rho) / found.rho
    assert found.weight @ (found.middle * rest) == pytest.approx(2.4, abs=0.1)
    assert found.weight @ ((1 - found.middle) * rest) == pytest.approx(14.3, abs=0.5)


def test_against_a_plain_monte_carlo(rng: np.random.Generator) -> None:
    """Parameters drawn from the prior, weighed by SciPy's beta-binomial."""
    hits, size = np.array([1, 3, 0, 9, 4, 6]), np.array([4, 30, 12, 20, 25, 7])
    middle, root = rng.random(400_000), rng.uniform(0.001, 0.999, 400_000)
    rest = 1 / root**2 - 1
    a, b = middle * rest, (1 - middle) * rest
    weight = np.exp(stats.betabinom.logpmf(hits[:, None], size[:, None], a, b).sum(axis=0))
    weight /= weight.sum()
    centre = (a + hits[:, None]) / (rest + size[:, None])
    square = centre * (1 - centre) / (rest + size[:, None] + 1) + centre**2
    mean = centre @ weight
    found = BetaPosterior.of(hits.astype(float), size.astype(float)).truth
    # 400,000 draws of which some 40,000 count: 0.002; the grid ends at 3e-4 of its height.
    assert found.mean == pytest.approx(mean, abs=0.006)
    assert found.sd == pytest.approx(np.sqrt(square @ weight - mean**2), abs=0.006)


@pytest.mark.parametrize(
    ("hits", "size"),
    [
        ([1.0, 3, 0, 9, 4, 6], [4.0, 30, 12, 20, 25, 7]),
        ([0.0, 0, 1, 2, 0, 9], [3.0, 20, 30, 10, 60, 200]),
        ([95.0, 40, 18, 9], [100.0, 40, 20, 9]),
        ([2.0, 998, 40, 0], [1_000.0, 1_000, 90, 2]),
        ([3e4, 3.1e4, 2.9e4], [1e5, 1e5, 1e5]),
    ],
)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_limits_are_quantiles(hits: list, size: list, confidence: float) -> None:
    """By the incomplete beta function of each part, which the limits do without."""
    found = BetaPosterior.of(np.array(hits), np.array(size)).truth
    for limit, share in zip(found.limits(confidence), ((1 - confidence) / 2, (1 + confidence) / 2), strict=True):
        near = (limit > 1e-6) & (limit < 1 - 1e-6)  # beyond, a share is 0 or 1
        exact = found.weight @ special.betainc(found.up, found.down, limit)
        assert exact[near] == pytest.approx(np.full(near.sum(), share), abs=2e-4)


def test_moments_are_those_of_the_draws() -> None:
    post = BetaPosterior.of(np.array([1.0, 3, 0, 9, 4, 6]), np.array([4.0, 30, 12, 20, 25, 7]))
    drawn = post.draws(np.random.default_rng(8), 60_000)
    assert drawn.mean(axis=0) == pytest.approx(post.truth.mean, abs=0.003)
    assert drawn.std(axis=0) == pytest.approx(post.truth.sd, abs=0.003)


def test_exact_shares_are_left_alone_and_vague_ones_are_not() -> None:
    hits, size = np.array([1e5, 2e5, 3e5, 4e5, 1.0]), np.array([1e6, 1e6, 1e6, 1e6, 1.0])
    found = BetaPosterior.of(hits, size)
    assert found.truth.mean[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-3)
    assert 0.15 < found.truth.mean[4] < 0.5  # one hit of one answer says little
    assert found.own[4] < 0.2


def test_counts_need_not_be_whole() -> None:
    hits, size = np.array([1.0, 3, 0, 9]), np.array([4.0, 30, 12, 20])
    low, middle, high = (BetaPosterior.of(hits * by, size * by).truth.mean[0] for by in (0.9, 1.0, 1.1))
    assert min(low, high) < middle < max(low, high)
