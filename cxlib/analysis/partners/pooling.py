"""How far partners truly differ, and what that makes of each one's own figure: the normal model of two levels.

A partner's figure y_j is normal about its true value theta_j with a known variance v_j, and the true values are normal
about mu with standard deviation tau. Everything here is arithmetic on y and v, shapes (K,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from cxlib.measure.intervals import Limits
from cxlib.measure.rows import Numbers

FEWEST = 3  # partners; of fewer the spread cannot be learnt (the posterior of tau is improper)
_CELLS, _DEPTH, _HALVINGS, _STEPS = 121, 14.0, 50, 200


def restricted_likelihood(tau: Numbers, y: Numbers, v: Numbers) -> Numbers:
    """Return the logarithm of the restricted likelihood at each tau, mu integrated out (Harville 1977, JASA 72:320)."""
    weight = 1 / (v + np.atleast_1d(tau)[:, None] ** 2)
    total = weight.sum(axis=1)
    mu = (weight * y).sum(axis=1) / total
    rest = (weight * (y - mu[:, None]) ** 2).sum(axis=1)
    return 0.5 * (np.log(weight).sum(axis=1) - np.log(total) - rest)


def reml(y: Numbers, v: Numbers) -> Numbers:
    """Return the between-partner variance by restricted maximum likelihood (R `metafor::rma`); 0 where none is seen.

    Fisher scoring (Viechtbauer 2005, J. Educ. Behav. Stat. 30:261) for arrays of shape (..., K), over the last axis.
    """
    tau2 = dersimonian_laird(y, v)
    for _ in range(_STEPS):
        weight = 1 / (v + tau2[..., None])
        one, two, three = (np.sum(weight**power, axis=-1) for power in (1, 2, 3))
        mu = np.sum(weight * y, axis=-1) / one
        gain = np.sum(weight**2 * (y - mu[..., None]) ** 2, axis=-1) - (one - two / one)
        step = gain / (two - 2 * three / one + (two / one) ** 2)
        new = np.maximum(tau2 + step, 0.0)
        moved, tau2 = np.abs(new - tau2), new
        if np.all(moved <= 1e-12 * (tau2 + 1 / one)):
            break
    return tau2


def dersimonian_laird(y: Numbers, v: Numbers) -> Numbers:
    """Return the same by moments (DerSimonian and Laird 1986, Control. Clin. Trials 7:177)."""
    weight = 1 / v
    spare = weight.sum(axis=-1) - (weight**2).sum(axis=-1) / weight.sum(axis=-1)
    return np.maximum((cochran(y, v) - (y.shape[-1] - 1)) / spare, 0.0)


def cochran(y: Numbers, v: Numbers, tau2: float = 0.0) -> Numbers:
    """Return the weighted sum of squares about the weighted mean: chi-square with K - 1 degrees where tau2 is true."""
    weight = 1 / (v + tau2)
    mu = np.sum(weight * y, axis=-1) / weight.sum(axis=-1)
    return np.asarray(np.sum(weight * (y - mu[..., None]) ** 2, axis=-1))


def q_profile(y: Numbers, v: Numbers, confidence: float) -> tuple[float, float]:
    """Return the limits of the between-partner variance: where Cochran's Q meets the quantiles of chi-square.

    Viechtbauer (2007) Statist. Med. 26:37; exact where the variances v are.
    """
    alpha, most, found = 1 - confidence, _largest(y, v) ** 2, []
    for quantile in (stats.chi2.isf(alpha / 2, y.size - 1), stats.chi2.ppf(alpha / 2, y.size - 1)):
        beyond = most
        while cochran(y, v, beyond) > quantile:
            beyond *= 2
        low = cochran(y, v) - quantile
        found.append(
            0.0 if low <= 0 else optimize.brentq(lambda t, at=quantile: cochran(y, v, t) - at, 0, beyond, rtol=1e-12)
        )
    return float(found[0]), float(found[1])


def _largest(y: Numbers, v: Numbers) -> float:
    """Return a standard deviation beyond which the true values cannot spread: twice that of the figures themselves."""
    return 2 * float(np.sqrt(np.var(y, ddof=1) + v.mean())) or 1.0


@dataclass(frozen=True)
class Mixture:
    """A posterior as a mixture of normals: one for each of G values of tau, K numbers in each.

    Parameters
    ----------
    weight
        Of each value of tau, shape (G,), adding up to 1.
    centre, spread
        Mean and standard deviation at each, shape (G, K).
    """

    weight: Numbers
    centre: Numbers
    spread: Numbers

    @property
    def mean(self) -> Numbers:
        """Posterior means, shape (K,)."""
        return self.weight @ self.centre

    @property
    def sd(self) -> Numbers:
        """Posterior standard deviations, shape (K,)."""
        return np.sqrt(self.weight @ (self.spread**2 + (self.centre - self.mean) ** 2))

    def below(self, at: Numbers) -> Numbers:
        """Return the probability of lying below `at`, shape (K,)."""
        return self.weight @ special.ndtr((at - self.centre) / self.spread)

    def limits(self, confidence: float) -> Limits:
        """Return the quantiles that leave (1 - confidence) / 2 to either side, by bisection."""
        return self._quantile((1 - confidence) / 2), self._quantile((1 + confidence) / 2)

    def _quantile(self, share: float) -> Numbers:
        reach = -special.ndtri(min(share, 1 - share)) + 1
        low = (self.centre - reach * self.spread).min(axis=0)
        high = (self.centre + reach * self.spread).max(axis=0)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            under = self.below(middle) < share
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return (low + high) / 2


@dataclass(frozen=True)
class Posterior:
    """What is known of the true values, the uncertainty of mu and of tau integrated out.

    The prior is flat on mu and on tau up to a bound far beyond the data (Gelman 2006, Bayesian Analysis 1:515), so the
    posterior of tau is the restricted likelihood itself; a plug-in of its maximum would be 0 half of the time where
    partners differ little, and its intervals too short (Morris 1983, JASA 78:47).

    Parameters
    ----------
    y, v
        The partners' own figures and their variances, shape (K,).
    tau, weight
        Values of the between-partner standard deviation and their posterior weights, shape (G,).
    """

    y: Numbers
    v: Numbers
    tau: Numbers
    weight: Numbers

    @classmethod
    def of(cls, y: Numbers, v: Numbers) -> Posterior:
        """Place the values of tau where the restricted likelihood is, at the middle of equal cells."""
        most = _largest(y, v)
        rough = np.concatenate([np.geomspace(1e-5, 1, 400) * most, np.linspace(0.002, 1, 500) * most])
        rough.sort()
        height = restricted_likelihood(rough, y, v)
        kept = np.flatnonzero(height > height.max() - _DEPTH)
        low = rough[kept[0] - 1] if kept[0] else 0.0
        high = rough[min(kept[-1] + 1, rough.size - 1)]
        tau = low + (np.arange(_CELLS) + 0.5) * (high - low) / _CELLS
        height = restricted_likelihood(tau, y, v)
        weight = np.exp(height - height.max())
        return cls(y, v, tau, weight / weight.sum())

    @property
    def own(self) -> Numbers:
        """The weight of a partner's own figure against the mean of all, shape (K,): its reliability."""
        return self.weight @ self._own()

    @property
    def middle(self) -> Mixture:
        """The mean mu of all partners, K = 1."""
        mu, error = self._mu()
        return Mixture(self.weight, mu[:, None], error[:, None])

    @property
    def truth(self) -> Mixture:
        """The true value of each partner."""
        own, (mu, error) = self._own(), self._mu()
        centre = own * self.y + (1 - own) * mu[:, None]
        return Mixture(self.weight, centre, np.sqrt(own * self.v + ((1 - own) * error[:, None]) ** 2))

    def beside(self, shares: Numbers) -> Mixture:
        """Return the true value of each partner less the mean of all, each with its share of the customers' answers."""
        own, (mu, error) = self._own(), self._mu()
        pull, noise = 1 - own, own * self.v
        centre = own * self.y + pull * mu[:, None]
        centre = centre - (centre @ shares)[:, None]
        through_mu = (pull - (pull @ shares)[:, None]) * error[:, None]
        variance = noise * (1 - 2 * shares) + (noise @ shares**2)[:, None] + through_mu**2
        return Mixture(self.weight, centre, np.sqrt(np.maximum(variance, 1e-300)))

    def draws(self, rng: np.random.Generator, times: int) -> Numbers:
        """Draw the true values of all partners together, shape (times, K)."""
        own, (mu, error) = self._own(), self._mu()
        cell = rng.choice(self.tau.size, times, p=self.weight)
        middle = mu[cell] + error[cell] * rng.standard_normal(times)
        own = own[cell]
        noise = np.sqrt(own * self.v) * rng.standard_normal((times, self.y.size))
        return own * self.y + (1 - own) * middle[:, None] + noise

    def _own(self) -> NDArray[np.float64]:
        return self.tau[:, None] ** 2 / (self.tau[:, None] ** 2 + self.v)

    def _mu(self) -> tuple[Numbers, Numbers]:
        """Return the mean of mu and its standard deviation at each tau."""
        weight = 1 / (self.v + self.tau[:, None] ** 2)
        total = weight.sum(axis=1)
        return (weight * self.y).sum(axis=1) / total, 1 / np.sqrt(total)
