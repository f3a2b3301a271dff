"""Gamma-Gamma: what customers spend per purchase, from the mean amount of their repeat purchases.

Amounts of one customer vary about their own mean (gamma: p), and the means differ (inverse gamma: q, v), whatever the
number of purchases. Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from cxlib.analysis.value.door import spending
from cxlib.analysis.value.peak import climb
from cxlib.measure.rows import Numbers

PARAMETERS = ("p", "q", "v")


@dataclass(frozen=True, eq=False)
class GammaGammaFit:
    """Parameters of the Gamma-Gamma model.

    Parameters
    ----------
    p, q, v
        Shape of a customer's amounts; shape and scale of how customers' means differ. The mean amount of all
        customers is p v / (q - 1), and infinite where q is at most 1.
    log_likelihood
        At the top, of all repeat buyers.
    covariance
        Of (p, q, v), shape (3, 3), from the Hessian; missing where the fit did not converge.
    repeat_buyers
        On whom it stands.
    left_out
        Repeat buyers whose mean amount was not above 0: the model has no place for them.
    converged, note
        As in `BgNbdFit`.
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    covariance: Numbers = field(default_factory=lambda: np.full((3, 3), np.nan))
    repeat_buyers: int = 0
    left_out: int = 0
    converged: bool = True
    note: str = ""

    @property
    def parameters(self) -> Numbers:
        """p, q, v, shape (3,)."""
        return np.array([self.p, self.q, self.v])


def fit_gamma_gamma(frequency: ArrayLike, monetary_value: ArrayLike) -> GammaGammaFit:
    """Fit the model by maximum likelihood to repeat buyers; the others are passed over.

    Parameters
    ----------
    frequency
        Repeat purchases of each customer, shape (n,).
    monetary_value
        Mean amount of them, shape (n,).

    Returns
    -------
    GammaGammaFit
        `converged` is False, with a `note`, where the likelihood has no top.

    Raises
    ------
    UsageError
        For numbers that no customer can have.

    Source: equation (1a) of Fader and Hardie (2013) in logarithms; gradient and Hessian by hand.
    """
    x, mean = (np.atleast_1d(values).ravel() for values in spending(frequency, monetary_value))
    repeat = x > 0
    kept = repeat & (np.where(repeat, mean, 0.0) > 0)
    left_out = int(np.count_nonzero(repeat & ~kept))
    if np.count_nonzero(kept) < 3:
        none, why = float("nan"), "fewer than three customers bought again"
        return GammaGammaFit(none, none, none, none, left_out=left_out, converged=False, note=why)
    order = np.lexsort((mean[kept], x[kept]))  # so that no order of rows matters
    likelihood = Likelihood(x[kept][order], mean[kept][order])
    typical = float(np.median(mean[kept]))
    top = climb(likelihood, (4.0, 4.0, typical), PARAMETERS, float(order.size))
    p, q, v = (float(one) for one in top.parameters)
    return GammaGammaFit(p, q, v, top.value, top.covariance, order.size, left_out, not top.reason, top.reason)


class Likelihood:
    """Log likelihood of (p, q, v) with its first and second derivatives."""

    def __init__(self, x: Numbers, mean: Numbers) -> None:
        self._x, at = np.unique(x, return_inverse=True)  # gamma functions depend on x alone
        self._many = np.bincount(at).astype(float)
        self._each, self._total = x, x * mean
        self._logs = float(x @ np.log(x * mean)), float(np.log(mean).sum())  # what no parameter changes

    def __call__(self, parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        """Return value, gradient (3,) and Hessian (3, 3)."""
        p, q, v = parameters
        x, many, size = self._x, self._many, self._many.sum()
        reach = self._total + v
        log_reach, shape = np.log(reach), p * self._each + q
        value = (
            many @ (special.gammaln(p * x + q) - special.gammaln(p * x)) - size * special.gammaln(q)
            + size * q * np.log(v) + p * self._logs[0] - self._logs[1] - shape @ log_reach
        )  # fmt: skip
        inner, psi = special.psi(p * x + q), special.psi
        slope = np.array([
            many @ (x * (inner - psi(p * x))) + self._logs[0] - self._each @ log_reach,
            many @ inner - size * psi(q) + size * np.log(v) - log_reach.sum(),
            size * q / v - (shape / reach).sum(),
        ])  # fmt: skip
        inner = special.polygamma(1, p * x + q)
        bend = np.empty((3, 3))
        bend[0, 0] = many @ (x**2 * (inner - special.polygamma(1, p * x)))
        bend[0, 1] = bend[1, 0] = many @ (x * inner)
        bend[0, 2] = bend[2, 0] = -(self._each / reach).sum()
        bend[1, 1] = many @ inner - size * special.polygamma(1, q)
        bend[1, 2] = bend[2, 1] = size / v - (1 / reach).sum()
        bend[2, 2] = -size * q / v**2 + (shape / reach**2).sum()
        return float(value), slope, bend


def expected_spend(fit: GammaGammaFit, frequency: ArrayLike, monetary_value: ArrayLike) -> Numbers:
    """Return the mean amount per purchase to expect of a customer, between what they spent and what all spend.

    Parameters
    ----------
    fit
        A fit in the same currency.
    frequency, monetary_value
        As in `fit_gamma_gamma`, scalars or arrays of one shape; without repeats the amount is not looked at.

    Returns
    -------
    numpy.ndarray
        Of that shape; infinite for customers without repeats where q is at most 1, missing without parameters.

    Source: Fader and Hardie (2013), equation (5).
    """
    x, mean = spending(frequency, monetary_value)
    own, all_ = spend_terms(fit.parameters, x)
    return all_ + own * np.where(x > 0, mean, 0.0)


def spend_terms(parameters: Numbers, x: Numbers) -> tuple[Numbers, Numbers]:
    """Return what the customer's own mean is multiplied by, and what is added: the expectation is linear in it."""
    p, q, v = parameters
    below = p * x + q - 1
    with np.errstate(divide="ignore"):
        return p * x / np.where(x > 0, below, 1.0), np.where(below > 0, p * v / np.where(below > 0, below, 1.0), np.inf)
