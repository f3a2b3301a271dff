"""The same for shares: x_j hits of n_j answers are binomial about a true share, and the true shares are beta.

Counts need not be whole: an adjusted share of effective answers is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cxlib.measure.intervals import Limits
from cxlib.measure.rows import Numbers

_MIDDLES, _SPREADS, _ROUGH = 11, 15, 41  # cells of the grid: final, and of the first look
_DEPTH, _ROUNDS, _LIGHT = 8.0, 3, 1e-5
_POINTS, _BEND, _REACH, _END = 481, 5.0, 12.0, 700.0  # of the points at which a density is looked at
_NUMBERS, _DRAWS, _AT_ONCE = 2_000_000, (2_000, 10_000), 500
_FARTHEST, _LEAST, _MOST = 9.0, 1e-3, 0.999  # logit of the mean; square root of the correlation


@dataclass(frozen=True)
class BetaMixture:
    """A posterior as a mixture of G beta distributions, each of K shares.

    Parameters
    ----------
    weight
        Of each part, shape (G,), adding up to 1.
    up, down
        Their parameters, shape (G, K).
    """

    weight: Numbers
    up: Numbers
    down: Numbers

    @property
    def mean(self) -> Numbers:
        """Posterior means, shape (K,)."""
        return self.weight @ (self.up / (self.up + self.down))

    @property
    def sd(self) -> Numbers:
        """Posterior standard deviations, shape (K,)."""
        total = self.up + self.down
        centre = self.up / total
        return np.sqrt(self.weight @ (centre * (1 - centre) / (total + 1) + (centre - self.mean) ** 2))

    def limits(self, confidence: float) -> Limits:
        """Return the quantiles that leave (1 - confidence) / 2 to either side.

        The density is summed over points even in a stretched logit, where it has no pole at 0 or 1, and inverted: next
        to the 40 evaluations of the incomplete beta function of each part that bisection takes, this costs nothing.
        """
        points = self._points()
        height = np.zeros(points.shape)
        log_up, log_down = -np.log1p(np.exp(-points)), -np.log1p(np.exp(points))
        for weight, up, down in zip(self.weight, self.up, self.down, strict=True):
            height += weight * np.exp(up * log_up + down * log_down - special.betaln(up, down))
        mass = (height[1:] + height[:-1]) / 2 * np.diff(points, axis=0)
        start = self.weight @ special.betainc(self.up, self.down, special.expit(points[0]))  # what lies further out
        upto = start + np.vstack([np.zeros(points.shape[1]), np.cumsum(mass, axis=0)])
        low, high = (
            np.array([np.interp((1 + side * confidence) / 2, upto[:, j], points[:, j]) for j in range(upto.shape[1])])
            for side in (-1, 1)
        )
        return special.expit(low), special.expit(high)

    def _points(self) -> Numbers:
        """Return where to look at each density, shape (points, K): dense at the mean, and far out into the tails."""
        mean, sd = np.clip(self.mean, 1e-9, 1 - 1e-9), self.sd
        width = sd / (mean * (1 - mean))
        reach = _REACH * width * np.maximum(width, 1)
        stretched = np.sinh(_BEND * np.linspace(-1, 1, _POINTS)) / np.sinh(_BEND)
        return np.clip(special.logit(mean) + reach * stretched[:, None], -_END, _END)


@dataclass(frozen=True)
class Drawn:
    """A posterior as draws, shape (draws, K)."""

    values: Numbers

    @property
    def mean(self) -> Numbers:
        """Posterior means, shape (K,)."""
        return self.values.mean(axis=0)

    @property
    def sd(self) -> Numbers:
        """Posterior standard deviations, shape (K,)."""
        return self.values.std(axis=0)

    def below(self, at: Numbers) -> Numbers:
        """Return the share of the draws below `at`, shape (K,)."""
        return (self.values < at).mean(axis=0)

    def limits(self, confidence: float) -> Limits:
        """Return the quantiles that leave (1 - confidence) / 2 to either side."""
        low, high = np.quantile(self.values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        return low, high


@dataclass(frozen=True)
class BetaPosterior:
    """What is known of true shares: the beta-binomial model (Skellam 1948, JRSS B 10:257), parameters integrated out.

    The prior is flat on the mean of the beta distribution and on the square root of its intra-class correlation
    rho = 1 / (a + b + 1), which is its standard deviation over that of zeros and ones: as in `pooling.Posterior`.

    Parameters
    ----------
    hits, size
        Successes and answers, shape (K,).
    middle, rho, weight
        Mean and correlation of each cell of the grid, and its posterior weight, shape (G,).
    """

    hits: Numbers
    size: Numbers
    middle: Numbers
    rho: Numbers
    weight: Numbers

    @classmethod
    def of(cls, hits: Numbers, size: Numbers) -> BetaPosterior:
        """Look where the likelihood is, three times closer, and keep the cells that weigh."""
        box = np.array([[-_FARTHEST, _FARTHEST], [_LEAST, _MOST]])
        for _ in range(_ROUNDS):
            logit, root = _cells(box, _ROUGH, _ROUGH)
            height = _height(hits, size, logit, root)
            kept = height > height.max() - _DEPTH
            step = (box[:, 1] - box[:, 0]) / _ROUGH
            near = np.array([[values[kept].min(), values[kept].max()] for values in (logit, root)])
            box = np.stack([np.maximum(near[:, 0] - step, box[:, 0]), np.minimum(near[:, 1] + step, box[:, 1])], axis=1)
        logit, root = _cells(box, _MIDDLES, _SPREADS)
        height = _height(hits, size, logit, root)
        weight = np.exp(height - height.max())
        kept = weight > _LIGHT * weight.max()
        return cls(hits, size, special.expit(logit[kept]), root[kept] ** 2, weight[kept] / weight[kept].sum())

    @property
    def own(self) -> Numbers:
        """The weight of a partner's own share against the mean of all, shape (K,): its reliability."""
        rest = (1 - self.rho) / self.rho
        return self.weight @ (self.size / (self.size + rest[:, None]))

    @property
    def truth(self) -> BetaMixture:
        """The true share of each partner."""
        return BetaMixture(self.weight, *self._betas())

    def beside(self, shares: Numbers, rng: np.random.Generator) -> Drawn:
        """Return the true share of each partner less the mean of all, each with its share of the customers' answers."""
        pieces = int(np.clip(_NUMBERS / self.size.size, *_DRAWS)) // _AT_ONCE
        drawn = (self.draws(rng, _AT_ONCE) for _ in range(pieces))
        return Drawn(np.concatenate([values - (values @ shares)[:, None] for values in drawn]))

    def draws(self, rng: np.random.Generator, times: int) -> Numbers:
        """Draw the true shares of all partners together, shape (times, K)."""
        up, down = self._betas()
        cell = rng.choice(self.weight.size, times, p=self.weight)
        return rng.beta(up[cell], down[cell])

    def _betas(self) -> tuple[Numbers, Numbers]:
        rest = ((1 - self.rho) / self.rho)[:, None]
        middle = self.middle[:, None]
        return middle * rest + self.hits, (1 - middle) * rest + self.size - self.hits


def _cells(box: NDArray[np.float64], middles: int, spreads: int) -> tuple[Numbers, Numbers]:
    """Return the middles of the cells of a grid over the box: logit of the mean, root of the correlation."""
    (low, high), (least, most) = box
    logit = low + (np.arange(middles) + 0.5) * (high - low) / middles
    root = least + (np.arange(spreads) + 0.5) * (most - least) / spreads
    one, other = np.meshgrid(logit, root, indexing="ij")
    return one.ravel(), other.ravel()


def _height(hits: Numbers, size: Numbers, logit: Numbers, root: Numbers) -> Numbers:
    """Return the logarithm of likelihood times prior at each cell; the grid is even in the logit, the prior is not."""
    middle, rest = special.expit(logit), 1 / root**2 - 1
    a, b = (middle * rest)[:, None], ((1 - middle) * rest)[:, None]
    inside = special.betaln(a + hits, b + size - hits) - special.betaln(a, b)
    return inside.sum(axis=1) + np.log(middle) + np.log1p(-middle)
