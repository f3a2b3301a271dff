"""The rate at which customers buy who are still there, under BG/NBD, integrated over a horizon and discounted."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy import special

from cxlib.analysis.value.door import alike
from cxlib.measure.rows import Codes, Numbers

# Both are enough for 10 digits over horizons of up to a hundred times alpha + T; see the tests.
_TERMS, _NODES = 32, 28
_STRIP, _EXACT = 2.5, 1e14  # how far off the real line integrals are taken to be smooth, and how exactly they are had


def while_alive(parameters: Numbers, x: Numbers, end: Numbers, ahead: Numbers, discount: float = 0.0) -> Numbers:
    """Return the purchases to expect within `ahead` of customers who are there at the end, shape (n,).

    Parameters
    ----------
    parameters
        r, alpha, a, b.
    x, end, ahead
        Repeat purchases, time observed, time to come, shape (n,) each.
    discount
        Continuous, per unit of time: a purchase at t is worth exp(-discount t).
    """
    counts_, of = np.unique(x, return_inverse=True)
    rates = Rates(parameters, counts_, end, ahead)
    found = np.einsum("nm,nm->n", rates.series[of], rates.spans(end, ahead, discount))
    return np.where(ahead > 0, np.maximum(found, 0.0), 0.0)  # no time to come leaves the last digits of a sum


class Kinds(NamedTuple):
    """Distinct pairs of repeat count and time observed: the counts and times, and of which each pair is."""

    counts: Numbers
    of_count: Codes
    times: Numbers
    of_time: Codes

    @classmethod
    def of(cls, x: Numbers, end: Numbers) -> tuple[Kinds, Codes]:
        """Return the pairs of customers, and which of them each customer is."""
        (count, time), of, _ = alike(x, end)
        counts, of_count = np.unique(count, return_inverse=True)
        times, of_time = np.unique(time, return_inverse=True)
        return cls(counts, of_count, times, of_time), of


def of_kinds(
    parameters: Numbers, kinds: Kinds, ahead: Numbers, discount: float = 0.0, *, pairs: bool = False
) -> Numbers:
    """Return the purchases to expect of each pair of count and time within each of `ahead` (t,), shape (pairs, t).

    With `pairs` the expected ordered pairs of two purchases of one customer, each discounted: with the sum of squares
    they give the second moment. They are 2 times the integral of E[lambda^2 (1 - p) exp(-lambda p t)] times the
    discounted time before t, and the mean in it is that of `rate` at one purchase more.
    """
    r, _, a, b = parameters
    x = kinds.counts
    rates = Rates(parameters, x + pairs, kinds.times, ahead)
    factor = 2 * (r + x) * (b + x) / (a + b + x) if pairs else np.ones(x.size)
    found = np.empty((kinds.of_count.size, ahead.size))
    for place, one in enumerate(ahead):  # one after the other: the spans of all would not fit in memory
        whole = factor[:, None] * rates.within(kinds.times, float(one), discount, pairs=pairs)
        found[:, place] = whole[kinds.of_count, kinds.of_time]
    return found


class Rates:
    """The rate of purchases of customers who are there, for distinct repeat counts, as a Chebyshev series in u.

    `rate` depends on the count and on u = log(1 + t / (alpha + T)) alone, so that one series for a count serves every
    time observed and every horizon.

    Parameters
    ----------
    parameters
        r, alpha, a, b.
    x
        Distinct repeat counts, shape (k,).
    end, ahead
        The times observed and the horizons that will be asked for.
    """

    def __init__(self, parameters: Numbers, x: Numbers, end: Numbers, ahead: Numbers) -> None:
        self._alpha = float(parameters[1])
        most = float(np.max(ahead, initial=0.0)) / (self._alpha + float(np.min(end, initial=np.inf)))
        self._longest = max(float(np.log1p(most)), 1e-300)
        angles = np.pi * (np.arange(_TERMS) + 0.5) / _TERMS
        values = rate(parameters, x[:, None], self._longest * (np.cos(angles) + 1) / 2)
        self.series = values @ np.cos(np.outer(angles, np.arange(_TERMS))) * (2 / _TERMS)
        self.series[:, 0] /= 2

    def within(self, times: Numbers, ahead: float, discount: float, *, pairs: bool = False) -> Numbers:
        """Return the integral of the rate of each count and distinct time over `ahead`, shape (k, times).

        It is a smooth function of log(alpha + T), whose nearest singularity, alpha + T = -ahead, lies pi off the real
        line: between as many of Chebyshev's points as give 14 digits it is interpolated (Trefethen 2013, Approximation
        Theory and Approximation Practice, theorem 8.2).
        """
        if not discount and not pairs:
            return np.asarray(self.series @ self.spans(times, np.full(times.size, ahead), discount).T)
        points, between = _points(np.log(self._alpha + times))
        spans = self.spans(np.exp(points) - self._alpha, np.full(points.size, ahead), discount, pairs=pairs)
        return np.asarray((self.series @ spans.T) @ between)

    def spans(self, end: Numbers, ahead: Numbers, discount: float, *, pairs: bool = False) -> Numbers:
        """Return the integral of each term from 0 to `ahead`, discounted; shape (..., terms).

        For `pairs` each moment t is weighted with the discounted time before it, in units of alpha + T.
        """
        scale = self._alpha + end
        to = np.log1p(ahead / scale)
        if not discount and not pairs:
            whole = np.polynomial.chebyshev.chebint(np.eye(_TERMS), scl=self._longest / 2, lbnd=-1)
            return np.polynomial.chebyshev.chebvander(2 * to / self._longest - 1, _TERMS) @ whole
        place, weight = _legendre()
        u = to[..., None] * place
        late = scale[..., None] * np.expm1(u)
        worth = np.exp(-discount * late) * weight * to[..., None]
        if pairs:
            worth = worth * (-np.expm1(-discount * late) / discount if discount else late) / scale[..., None]
        terms = np.polynomial.chebyshev.chebvander(2 * u / self._longest - 1, _TERMS - 1)
        return np.einsum("...q,...qm->...m", worth, terms)


def rate(parameters: Numbers, x: Numbers, u: Numbers) -> Numbers:
    """Return the rate of purchases of a customer who is there at the end, per unit of u = log(1 + t / (alpha + T)).

    The mean of lambda exp(-lambda p t) over the posterior gamma (r + x, alpha + T) and beta (a, b + x) of a customer's
    lambda and p is a 2F1, here after Pfaff's transformation (Abramowitz and Stegun 15.3.4): all its arguments stay
    harmless, whatever the parameters. Where SciPy's 2F1 overflows (r + x or b + x in the hundreds and a far horizon)
    the mean over p is integrated.
    """
    r, _, a, b = parameters
    x, u = np.broadcast_arrays(x, u)
    with np.errstate(all="ignore"):
        found = np.exp(-a * u) * special.hyp2f1(a + b - r - 1, a, a + b + x, -np.expm1(-u))
    lost = ~np.isfinite(found) & np.isfinite(parameters).all()
    if lost.any():
        found[lost] = _mean_decay(parameters, x[lost], u[lost])
    return (r + x) * np.exp(u) * found


def _mean_decay(parameters: Numbers, x: Numbers, u: Numbers, points: int = 2_000) -> Numbers:
    """Return the mean of (1 + p t / (alpha + T))^-(r + x + 1) over p from beta (a, b + x), shape (n,).

    By the trapezoidal rule on logit p, which converges exponentially for this integrand; the ends leave out e^-37.
    """
    r, _, a, b = parameters
    size, below = r + x + 1, b + x
    spread = 9 * np.sqrt(1 / a + 1 / below)
    centre = np.log(a / below)
    low = np.minimum(centre, -np.log(np.expm1(u) * size)) - 37 / a - spread
    high = centre + 37 / below + spread
    step = (high - low) / points
    y = low[:, None] + step[:, None] * np.arange(points + 1)
    shrunk = size[:, None] * np.log1p(special.expit(y) * np.expm1(u)[:, None])
    weight = a * special.log_expit(y) + below[:, None] * special.log_expit(-y) - special.betaln(a, below)[:, None]
    return np.exp(weight - shrunk).sum(axis=1) * step


def _points(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return points and what of them each of the values is made of, (points, values): all values where they are few."""
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    half = max((high - low) / 2, 1e-300)
    size = int(np.ceil(np.log(_EXACT) / np.log((_STRIP + np.hypot(_STRIP, half)) / half)))
    if size >= values.size:
        return values, np.eye(values.size)
    angles = np.pi * (np.arange(size) + 0.5) / size
    cosines = np.cos(np.outer(np.arange(size), angles)) * (2 / size)
    cosines[0] /= 2
    at = np.polynomial.chebyshev.chebvander((values - low) / half - 1, size - 1)
    return low + half * (np.cos(angles) + 1), (at @ cosines).T


@functools.cache
def _legendre() -> tuple[Numbers, Numbers]:
    """Return nodes and weights of Gauss and Legendre on [0, 1]."""
    place, weight = np.polynomial.legendre.leggauss(_NODES)
    return (place + 1) / 2, weight / 2
