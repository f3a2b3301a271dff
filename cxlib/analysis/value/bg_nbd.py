"""BG/NBD: how often customers buy and when they stop, from how often they bought, the last time and since when.

A customer buys at a rate of their own (gamma: r, alpha) and after each purchase leaves with a chance of their own
(beta: a, b). Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), 275-284.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from cxlib.analysis.value.door import alike, counts, distinct, totals
from cxlib.analysis.value.peak import climb
from cxlib.measure.rows import Codes, Numbers

PARAMETERS = ("r", "alpha", "a", "b")


@dataclass(frozen=True, eq=False)
class BgNbdFit:
    """Parameters of the BG/NBD model.

    Parameters
    ----------
    r, alpha
        Gamma distribution of purchase rates: mean r / alpha per unit of time.
    a, b
        Beta distribution of the chance to leave after a purchase: mean a / (a + b).
    log_likelihood
        At the top, of all customers, in the given unit of time.
    covariance
        Of (r, alpha, a, b), shape (4, 4), from the Hessian; missing where the fit did not converge.
    customers, repeat_buyers
        Whom it stands on.
    converged
        Whether the likelihood has a top.
    note
        Why not.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    covariance: Numbers = field(default_factory=lambda: np.full((4, 4), np.nan))
    customers: int = 0
    repeat_buyers: int = 0
    converged: bool = True
    note: str = ""

    @property
    def parameters(self) -> Numbers:
        """r, alpha, a, b, shape (4,)."""
        return np.array([self.r, self.alpha, self.a, self.b])


class Cells(NamedTuple):
    """Customers who are alike, counted: repeat purchases, times, and how many they are, shape (cells,) each."""

    x: Numbers
    t_x: Numbers
    end: Numbers
    weight: Numbers
    of: Codes  # the cell of each customer, shape (customers,)


def cells_of(x: Numbers, t_x: Numbers, end: Numbers) -> Cells:
    """Group customers with equal numbers; sorted, so that no order of rows matters."""
    (x, t_x, end), of, often = alike(x, t_x, end)
    return Cells(x, t_x, end, often.astype(float), of)


def fit_bg_nbd(frequency: ArrayLike, recency: ArrayLike, T: ArrayLike) -> BgNbdFit:  # noqa: N803
    """Fit the model by maximum likelihood.

    Parameters
    ----------
    frequency
        Repeat purchases (days with a purchase less one) of each customer, shape (n,).
    recency
        Time from the first to the last purchase, 0 without repeats, shape (n,).
    T
        Time from the first purchase to the end of observation, shape (n,).

    Returns
    -------
    BgNbdFit
        `converged` is False, with a `note`, where the likelihood has no top: nobody bought again, nobody seems to
        stop, or too few customers.

    Raises
    ------
    UsageError
        For numbers that no customer can have, all of them at once.

    Source: equation (6) of Fader, Hardie and Lee (2005) in logarithms; gradient and Hessian by hand. Customers with
    equal numbers are counted once.
    """
    x, t_x, end = (np.atleast_1d(values).ravel() for values in counts(frequency, recency, T))
    repeat = int(np.count_nonzero(x))
    if not repeat:
        none, why = float("nan"), "nobody bought a second time"
        return BgNbdFit(none, none, none, none, none, customers=x.size, converged=False, note=why)
    cells = cells_of(x, t_x, end)
    likelihood = Likelihood(cells)
    pace = _dot(cells.weight, cells.x) / max(_dot(cells.weight, cells.end), 1e-12)
    top = climb(likelihood, (1.0, 1.0 / pace, 1.0, 2.0), PARAMETERS, float(x.size))
    r, alpha, a, b = (float(one) for one in top.parameters)
    return BgNbdFit(r, alpha, a, b, top.value, top.covariance, x.size, repeat, not top.reason, top.reason)


class Likelihood:
    """Log likelihood of (r, alpha, a, b) with its first and second derivatives, over cells of customers."""

    def __init__(self, cells: Cells) -> None:
        self._x, at = distinct(cells.x)  # gamma functions depend on x alone
        self._many = totals(at, cells.weight, self._x.size)
        again = cells.x > 0
        once = distinct(cells.end[~again])
        self._once = once[0], totals(once[1], cells.weight[~again], once[0].size)
        self._again = cells.x[again], cells.weight[again]
        self._early, self._late = (distinct(times[again]) for times in (cells.t_x, cells.end))

    def __call__(self, parameters: Numbers) -> tuple[float, Numbers, Numbers]:
        """Return value, gradient (4,) and Hessian (4, 4)."""
        value, slope, bend = self._by_count(*parameters)
        more, steeper, bent = self._by_time(*parameters)
        return value + more, slope + steeper, bend + bent

    def _by_count(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Numbers, Numbers]:
        """Return the terms that depend on the number of purchases only."""
        x, many = self._x, self._many
        psi, psi1 = special.psi, lambda values: special.polygamma(1, values)
        terms = (
            special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
            + special.betaln(a, b + x) - special.betaln(a, b)
        )  # fmt: skip
        both = psi(a + b) - psi(a + b + x)
        slope = (psi(r + x) - psi(r) + np.log(alpha), np.full(x.shape, r / alpha), both, both + psi(b + x) - psi(b))
        both = many @ (psi1(a + b) - psi1(a + b + x))
        bend = np.zeros((4, 4))
        bend[0, 0], bend[1, 1] = many @ (psi1(r + x) - psi1(r)), -many.sum() * r / alpha**2
        bend[0, 1] = bend[1, 0] = many.sum() / alpha
        bend[2, 2] = bend[2, 3] = bend[3, 2] = both
        bend[3, 3] = both + many @ (psi1(b + x) - psi1(b))
        return float(many @ terms), np.array([many @ part for part in slope]), bend

    def _by_time(self, r: float, alpha: float, a: float, b: float) -> tuple[float, Numbers, Numbers]:
        """Return the term that also depends on the times: log of (here at the end) + (gone after the last purchase).

        Of the distinct times logarithms and inverses are taken once; sums are by einsum, whose loops, other than BLAS,
        start no threads for so little.
        """
        x, weight = self._again
        (early, over_early), (late, over_late) = (
            (np.log(alpha + times)[at], (1 / (alpha + times))[at]) for times, at in (self._early, self._late)
        )
        size, before = r + x, 1 / (b + x - 1)
        odds = np.log(a * before) + size * (late - early)  # the logarithm of gone to here
        small = np.exp(-np.abs(odds))
        p = np.where(odds > 0, 1.0, small) / (1 + small)
        gone, step = (
            weight * p,
            np.stack([late - early, size * (over_late - over_early), np.full(x.size, 1 / a), -before]),
        )
        bend = np.einsum("ic,jc,c->ij", step, step, gone * (1 - p))
        cross = -_dot(weight, over_late) - _dot(gone, over_early - over_late)
        bend[0, 1] += cross
        bend[1, 0] += cross
        bend[1, 1] += _dot(weight * size, over_late**2) + _dot(gone * size, over_early**2 - over_late**2)
        bend[2, 2] -= gone.sum() / a**2
        bend[3, 3] += _dot(gone, before**2)
        slope = np.einsum("ic,c->i", step, gone)
        slope[:2] -= _dot(weight, late), _dot(weight * size, over_late)
        value = _dot(weight, np.log1p(small) + np.maximum(odds, 0) - size * late)
        return self._with_once(r, alpha, value, slope, bend)

    def _with_once(
        self, r: float, alpha: float, value: float, slope: Numbers, bend: Numbers
    ) -> tuple[float, Numbers, Numbers]:
        """Add the customers who never bought again, who are here."""
        times, weight = self._once
        log, over = weight @ np.log(alpha + times), weight @ (1 / (alpha + times))
        slope[:2] -= log, r * over
        bend[0, 1] -= over
        bend[1, 0] -= over
        bend[1, 1] += r * float(weight @ (alpha + times) ** -2.0)
        return value - r * float(log), slope, bend


def _dot(first: Numbers, second: Numbers) -> float:
    """Return the sum of products."""
    return float(np.einsum("c,c->", first, second))
