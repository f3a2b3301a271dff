"""Interval formulas, over arrays and nothing else. `estimates` and `changes` name and apply them.

n and counts need not be whole: an effective sample size is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cxlib.errors import UsageError, did_you_mean

Numbers = NDArray[np.float64]
Limits = tuple[Numbers, Numbers]


def check_confidence(confidence: Any) -> Any:
    """Return the confidence, a number or an array, or raise `UsageError` where it is no share between 0 and 1."""
    if not np.all((np.asarray(confidence) > 0) & (np.asarray(confidence) < 1)):
        raise UsageError(f"confidence {confidence} is not between 0 and 1", hint="Write 95 % as 0.95.")
    return confidence


def z_of(confidence: Any) -> Any:
    """Return the normal quantile that leaves (1 - confidence) / 2 above it."""
    return stats.norm.isf((1 - check_confidence(confidence)) / 2)


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
        low = np.where(events > 0, stats.gamma.ppf(alpha / 2, np.where(events > 0, events, 1)), 0.0)
    return np.where(np.isnan(events), np.nan, low), stats.gamma.isf(alpha / 2, events + 1)


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


def student(centre: Numbers, error: Numbers, freedom: Numbers, confidence: Any) -> Limits:
    """Centre +- t error, t with `freedom` degrees."""
    check_confidence(confidence)
    with np.errstate(invalid="ignore"):
        half = stats.t.isf((1 - confidence) / 2, np.where(freedom > 0, freedom, np.nan)) * error
    return centre - half, centre + half
