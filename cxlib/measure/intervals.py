"""Interval formulas, over arrays and nothing else. `estimates` and `changes` name and apply them.

n and counts need not be whole: an effective sample size is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from cxlib.errors import UsageError, did_you_mean

Numbers = NDArray[np.float64]
Limits = tuple[Numbers, Numbers]

# Beyond 7 standard errors one minus the confidence is lost in a double: p-values by inversion end at 3e-12.
_FARTHEST, _HALVINGS = 7.0, 40
_ROUNDING = 1e-12  # what is left of two squares below this share of them is rounding


def check_confidence(confidence: Any) -> Any:
    """Return the confidence, a number or an array, or raise `UsageError` where it is no share between 0 and 1."""
    if not np.all((np.asarray(confidence) > 0) & (np.asarray(confidence) < 1)):
        raise UsageError(f"confidence {confidence} is not between 0 and 1", hint="Write 95 % as 0.95.")
    return confidence


def z_of(confidence: Any) -> Any:
    """Return the normal quantile that leaves (1 - confidence) / 2 above it."""
    return -special.ndtri((1 - check_confidence(confidence)) / 2)


def wald(p: Numbers, n: Numbers, confidence: Any) -> Limits:
    """P +- z sqrt(p q / n), not clipped: the caller does; without width at p = 0 or 1."""
    half = z_of(confidence) * np.sqrt(p * (1 - p) / n)
    return p - half, p + half


def wilson(p: Numbers, n: Numbers, confidence: Any) -> Limits:
    """Score interval without continuity correction (Wilson 1927; R `prop.test(correct = FALSE)`)."""
    z = z_of(confidence)
    centre, shrink = (p + z**2 / (2 * n)), 1 + z**2 / n
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / shrink, (centre + half) / shrink
    return np.where(p <= 0, 0.0, np.clip(low, 0, 1)), np.where(p >= 1, 1.0, np.clip(high, 0, 1))


def clopper_pearson(p: Numbers, n: Numbers, confidence: Any) -> Limits:
    """Exact binomial interval (Clopper and Pearson 1934; R `binom.test`), by the beta distribution."""
    alpha, x = 1 - check_confidence(confidence), p * n
    with np.errstate(invalid="ignore"):
        low = np.where(p <= 0, 0.0, stats.beta.ppf(alpha / 2, x, n - x + 1))
        high = np.where(p >= 1, 1.0, stats.beta.isf(alpha / 2, x + 1, n - x))
    return low, high


def agresti_coull(p: Numbers, n: Numbers, confidence: Any) -> Limits:
    """Wald about the Wilson centre with n + z^2 (Agresti and Coull 1998); not clipped: the caller does."""
    z = z_of(confidence)
    wider = n + z**2
    centre = (p * n + z**2 / 2) / wider
    half = z * np.sqrt(centre * (1 - centre) / wider)
    return centre - half, centre + half


def jeffreys(p: Numbers, n: Numbers, confidence: Any) -> Limits:
    """Equal-tailed quantiles of Beta(x + 1/2, n - x + 1/2) (Brown, Cai and DasGupta 2001, before their end rule)."""
    alpha, x = 1 - check_confidence(confidence), p * n
    return stats.beta.ppf(alpha / 2, x + 0.5, n - x + 0.5), stats.beta.isf(alpha / 2, x + 0.5, n - x + 0.5)


SHARE_METHODS = {
    "wilson": wilson,
    "wald": wald,
    "clopper-pearson": clopper_pearson,
    "agresti-coull": agresti_coull,
    "adjusted-wald": agresti_coull,  # the name that Sauro and Lewis (2005) gave it
    "jeffreys": jeffreys,
}


def share_limits(p: Numbers, n: Numbers, confidence: Any, method: str = "wilson") -> Limits:
    """Return the limits of a share by a named method, some of which leave the scale; missing where n is 0."""
    if method not in SHARE_METHODS:
        near = did_you_mean(method, SHARE_METHODS)
        raise UsageError(f"'{method}' is no method for shares; there are {', '.join(SHARE_METHODS)}{near}")
    size = np.where(n > 0, n, np.nan)
    with np.errstate(invalid="ignore"):
        return SHARE_METHODS[method](p, size, confidence)


def trinomial(promoters: ArrayLike, passives: ArrayLike, detractors: ArrayLike) -> tuple[Numbers, ...]:
    """Return counts as arrays of one shape, at least one element long, or raise `UsageError` where one is negative.

    Weighted sums leave rounding, of either sign, where nobody is: it counts as 0.
    """
    given = [np.atleast_1d(np.asarray(count, dtype=float)) for count in (promoters, passives, detractors)]
    counts = np.broadcast_arrays(*given)
    rounding = _ROUNDING * np.abs(np.sum(counts, axis=0))
    if any(np.any(count < -rounding) for count in counts):
        raise UsageError("promoters, passives and detractors cannot be negative")
    return tuple(np.where(np.abs(count) <= rounding, 0.0, count) for count in counts)


def nps_moments(up: Numbers, down: Numbers, n: Numbers, *, extra: float = 0.0) -> tuple[Numbers, Numbers]:
    """Return score and standard error as shares, with `extra` answers added: a quarter of them each up and down.

    The variance is [p + d - (p - d)^2] / n; `extra = 3` is the adjusted Wald (Rocks 2016, arXiv:1601.07235).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.where(n > 0, n, np.nan) + extra
        p, d = (up + extra / 4) / size, (down + extra / 4) / size
        return p - d, np.sqrt(np.maximum(p + d - (p - d) ** 2, 0) / size)


def poisson_limits(events: Numbers, confidence: Any) -> Limits:
    """Exact limits of a Poisson mean (Garwood 1936; R `poisson.test`): gamma quantiles."""
    alpha = 1 - check_confidence(confidence)
    with np.errstate(invalid="ignore"):
        low = np.where(events > 0, special.gammaincinv(np.where(events > 0, events, 1), alpha / 2), 0.0)
    return np.where(np.isnan(events), np.nan, low), special.gammainccinv(events + 1, alpha / 2)


def quantile_ranks(n: ArrayLike, q: float, confidence: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the ranks (from 1) of the quantile and of its exact limits; rank 0 or n + 1 means that there is none.

    The quantile is the smallest value that at least a share q of the values do not exceed (SQL `percentile_disc`, R
    type 1). Each limit leaves at most (1 - confidence) / 2 beyond it: lower rank `qbinom(a/2, n, q)`, upper rank
    `qbinom(1 - a/2, n, q) + 1` (Conover, Practical Nonparametric Statistics, 3.2; SciPy `quantile_test`).
    """
    alpha, n = 1 - check_confidence(confidence), np.asarray(n)
    point = np.maximum(np.ceil(n * q - 1e-9), 1)  # 0.7 * 10 is 7.000000000000001
    low = stats.binom.ppf(alpha / 2, n, q)
    high = stats.binom.ppf(1 - alpha / 2, n, q) + 1
    return point.astype(int), low.astype(int), high.astype(int)


def as_t(confidence: Any, freedom: Numbers) -> Numbers:
    """Return the confidence at which z is as long as t at `confidence`, short of 1 by what a double can tell."""
    with np.errstate(invalid="ignore"):
        length = special.stdtrit(np.where(freedom > 0, freedom, np.nan), (1 + check_confidence(confidence)) / 2)
    return np.minimum(1 - 2 * special.ndtr(-length), 1 - 1e-15)


def student(centre: Numbers, error: Numbers, freedom: Numbers, confidence: Any) -> Limits:
    """Centre +- t error, t with `freedom` degrees."""
    check_confidence(confidence)
    with np.errstate(invalid="ignore"):
        half = stats.t.isf((1 - confidence) / 2, np.where(freedom > 0, freedom, np.nan)) * error
    return centre - half, centre + half


def freedom(variances: tuple[Numbers, Numbers], sizes: tuple[Numbers, Numbers], both: Numbers) -> Numbers:
    """Degrees of freedom of a difference of two means whose samples may share units.

    Parameters
    ----------
    variances
        Of the two means.
    sizes
        Independent units of each sample.
    both
        Units that are in both; more than either sample has count as all of the smaller.

    Returns
    -------
    numpy.ndarray
        Those of Welch and Satterthwaite where none is shared, units - 1 (the paired t) where all are, and between them
        in proportion to the units of one sample only (Derrick, Russ, Toher and White 2017, J. Mod. Appl. Stat. Meth.
        16(1):137, unequal variances).
    """
    (one, other), (n, m) = variances, sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        welch = (one + other) ** 2 / (one**2 / (n - 1) + other**2 / (m - 1))
        pairs = np.clip(both, 0, np.minimum(n, m))
        return pairs - 1 + (welch - pairs + 1) * (n + m - 2 * pairs) / (n + m)


def spread(one: Numbers, other: Numbers, correlation: Numbers) -> Numbers:
    """Return the length of a difference from the lengths of its two sides: sqrt(a^2 + b^2 - 2 rho a b)."""
    with np.errstate(invalid="ignore"):
        shared = np.where(correlation == 0, 0.0, 2 * correlation * one * other)
        squared = one**2 + other**2
        rest = np.where(shared == 0, squared, squared - shared)
        return np.sqrt(np.where(rest < _ROUNDING * squared, 0.0, rest))


def half_a_pair(p: tuple[Numbers, Numbers], sizes: tuple[Numbers, Numbers]) -> Numbers:
    """Return what a positive correlation of two shares is lessened by: half a pair alike (Newcombe 1998, 17:2635).

    Without it nine of a hundred equal pairs of thirty answers by the same customers are called different.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = sizes[0] * sizes[1] * p[0] * (1 - p[0]) * p[1] * (1 - p[1])
        return np.where(spread > 0, 0.5 / np.sqrt(spread), 0.0)


def mover(
    values: tuple[Numbers, Numbers], limits: Callable[[int, Any], Limits], confidence: Any, correlation: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Limits of values[0] - values[1] from the limits of each, and the p-value.

    Parameters
    ----------
    values
        The two estimates.
    limits
        (which of the two, confidence) -> its limits; the confidence may be an array, one per element.
    confidence
        Of the interval.
    correlation
        Of the two estimates; 0 where the samples share nobody.

    Returns
    -------
    tuple
        Low, high, and the p-value: one minus the confidence at which the interval just touches 0, by bisection.
        Newcombe (1998) Statist. Med. 17:873, method 10; Zou and Donner (2008) Statist. Med. 27:1693 and Zou (2007)
        Psychol. Methods 12:399 for correlated estimates.
    """
    value = values[0] - values[1]

    def at(level: Any) -> Limits:
        (low1, high1), (low2, high2) = limits(0, level), limits(1, level)
        below = spread(values[0] - low1, high2 - values[1], correlation)
        above = spread(high1 - values[0], values[1] - low2, correlation)
        return value - below, value + above

    low, high = at(check_confidence(confidence))
    near, far = np.zeros(value.shape), np.full(value.shape, _FARTHEST)
    for _ in range(_HALVINGS):
        z = (near + far) / 2
        below, above = at(1 - 2 * special.ndtr(-z))
        inside = (below <= 0) & (above >= 0)
        near, far = np.where(inside, near, z), np.where(inside, z, far)
    p_value = np.where(value == 0, 1.0, 2 * special.ndtr(-far))
    return low, high, np.where(np.isnan(value), np.nan, p_value)


def by_z(value: Numbers, error: Numbers, confidence: Any) -> tuple[Numbers, Numbers, Numbers]:
    """Return the limits of a difference, and the two-sided p-value of none, by the normal distribution."""
    half = z_of(confidence) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        return value - half, value + half, 2 * special.ndtr(-np.abs(value) / error)


def by_t(
    value: Numbers, error: Numbers, errors: tuple[Numbers, Numbers], units: tuple[Numbers, Numbers], both: ArrayLike,
    confidence: Any,
) -> tuple[Numbers, Numbers, Numbers]:  # fmt: skip
    """Return the same by t, from the errors and units of both sides; missing where the difference has no error."""
    degrees = freedom((errors[0] ** 2, errors[1] ** 2), units, np.asarray(both, dtype=float))
    error = np.where(error > 0, error, np.nan)
    low, high = student(value, error, degrees, confidence)
    return low, high, 2 * stats.t.sf(np.abs(value) / error, degrees)
