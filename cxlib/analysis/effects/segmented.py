"""Segmented regression with Newey-West errors, and what their t statistics follow in short, autocorrelated series.

With 24 to 60 points the Newey-West error is too small and itself uncertain: by plain t intervals 95 % means 50 to 85 %.
So the error is kept and the critical value is had for the very design. If errors are first-order autoregressive with
coefficient rho, numerator and squared error are quadratic forms in them, whose means and variance give a scale and
degrees of freedom (Satterthwaite's, as Bell and McCaffrey 2002, Survey Methodology 28:169, do for clusters; Imbens and
Kolesar 2016, Rev. Econ. Stat. 98:701). Rho is not known: it is averaged over by its restricted likelihood (Harville
1977, JASA 72:320, with a flat prior), so the limits are those of a mixture of t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxlib.analysis.effects import series
from cxlib.analysis.effects.mixture import Mixture, normalised

Numbers = NDArray[np.float64]
Steps = NDArray[np.int64]

LEAST_AFTER, LEAST_FOR_SLOPE = 3, 6
_LEAST_FREEDOM = 4
_RHO = np.linspace(-0.5, 0.98, 38)
_NEGLIGIBLE = 1e-9  # weight of an autocorrelation below which it is not worked out
_ROUNDING = 1e-20  # residual squares below this share of all are rounding


@dataclass(frozen=True)
class Segmented:
    """One fit. The three contrasts are level change, slope change and average effect after the start.

    Parameters
    ----------
    estimates, errors
        Shape (3,); errors by Newey and West, times n / (n - k).
    spread
        What estimate / error follows where the truth is 0.
    rho
        Autocorrelation of the errors, averaged over its likelihood.
    lags
        Longest lag that counts.
    fitted, without, residuals
        Shape (n,): the line, the line without the change, and what is left, in standard units where errors are given.
    sloped
        Whether a change of slope was fitted.
    """

    estimates: Numbers
    errors: Numbers
    spread: Mixture
    rho: float
    lags: int
    fitted: Numbers
    without: Numbers
    residuals: Numbers
    sloped: bool


def automatic_lags(points: int) -> int:
    """Return the longest lag of n points: 4 (n / 100)^(2/9), rounded down (Newey and West 1994, REStud 61:631)."""
    return int(4 * (points / 100) ** (2 / 9))


def design(given: series.Series, period: int | None, sloped: bool) -> Numbers:
    """Return the columns: constant, steps since the start, after, steps since the start if after, season."""
    since, after = (given.place - given.start).astype(float), given.post.astype(float)
    columns = [np.ones(since.size), since, after, *([after * since] if sloped else [])]
    return np.column_stack([*columns, series.season(given.place, period)])


def fit(given: series.Series, period: int | None, lags: int | None) -> Segmented | None:
    """Fit by least squares, weighted where errors are given; None where columns cannot be told apart or all fits."""
    sloped = int(given.post.sum()) >= LEAST_FOR_SLOPE
    plain = design(given, period, sloped)
    n, k = plain.shape
    root = given.errors.mean() / given.errors
    x, y = plain * root[:, None], given.outcome * root
    if n - k < _LEAST_FREEDOM or np.linalg.matrix_rank(x) < k:
        return None
    inverse = np.linalg.pinv(x)
    beta = inverse @ y
    left = y - x @ beta
    if left @ left <= _ROUNDING * (y @ y):
        return None
    used = automatic_lags(n) if lags is None else min(lags, n - 1)
    contrasts = _contrasts(given, k, sloped)
    parts = contrasts @ inverse
    apart = np.abs(np.subtract.outer(given.place, given.place))
    kernel = np.maximum(1 - apart / (used + 1), 0) * n / (n - k)  # Bartlett's; steps without a point count as absent
    scores = parts * left
    errors = np.sqrt(np.maximum(np.einsum("ci,ij,cj->c", scores, kernel, scores), 0))
    spread, rho = _calibrated(given.place, x, y, parts, kernel)
    fitted, changed = plain @ beta, slice(2, 4 if sloped else 3)
    without = fitted - plain[:, changed] @ beta[changed]
    return Segmented(contrasts @ beta, errors, spread, rho, used, fitted, without, left, sloped)


def _contrasts(given: series.Series, k: int, sloped: bool) -> Numbers:
    found = np.zeros((3, k))
    found[0, 2] = found[2, 2] = 1
    if sloped:
        found[1, 3], found[2, 3] = 1, (given.place - given.start)[given.post].mean()
    else:
        found[1] = found[0]  # not shown: a change of slope was not fitted
    return found


def _calibrated(place: Steps, x: Numbers, y: Numbers, parts: Numbers, kernel: Numbers) -> tuple[Mixture, float]:
    """Return what the t statistics follow, and the mean autocorrelation.

    Parameters
    ----------
    place
        Shape (n,).
    x, y
        Shape (n, k) and (n,), weighted.
    parts
        Shape (m, n): each contrast as a sum over points.
    kernel
        Shape (n, n).
    """
    logs = np.array([_likelihood(place, x, y, rho) for rho in _RHO])
    weights = normalised(logs)
    kept = weights > _NEGLIGIBLE
    base = np.linalg.qr(x)[0]
    shapes = []
    for part in parts:
        inner = part[:, None] * kernel * part
        half = inner - base @ (base.T @ inner)
        shapes.append(half - (half @ base) @ base.T)
    stacked, n = np.hstack([*shapes, parts.T]), place.size
    scales, freedom = np.empty((int(kept.sum()), len(parts))), np.empty((int(kept.sum()), len(parts)))
    for row, rho in enumerate(_RHO[kept]):
        through = _smeared(place, stacked, rho)
        for column, part in enumerate(parts):
            inside = through[:, column * n : (column + 1) * n]
            total = np.trace(inside)
            scales[row, column] = np.sqrt(part @ through[:, len(parts) * n + column] / total)
            freedom[row, column] = total**2 / np.sum(inside * inside.T)
    return Mixture(normalised(logs[kept]), np.zeros(scales.shape), scales, freedom), float(weights @ _RHO)


def _likelihood(place: Steps, x: Numbers, y: Numbers, rho: float) -> float:
    """Return the restricted log likelihood of an autocorrelation, slopes and variance integrated out."""
    decay = _decay(place, rho)
    fresh = np.sqrt(1 - decay**2)
    both = np.column_stack([x, y])
    white = np.vstack([both[:1], (both[1:] - decay[:, None] * both[:-1]) / fresh[:, None]])
    r = np.abs(np.diag(np.linalg.qr(white, mode="r")))
    n, k = x.shape
    return float(-np.log(fresh).sum() - np.log(r[:k]).sum() - (n - k) * np.log(r[k]))


def _decay(place: Steps, rho: float) -> Numbers:
    """Return the correlation of each point with the one before, shape (n - 1,)."""
    steps = np.diff(place)
    return np.asarray(np.sign(rho) ** steps * np.abs(rho) ** steps)


def _smeared(place: Steps, columns: Numbers, rho: float) -> Numbers:
    """Return the correlation matrix rho^|s - t| times columns, shape (n, m), in two passes."""
    decay = _decay(place, rho)
    forward, backward = columns.copy(), columns.copy()
    for t, by in enumerate(decay):
        forward[t + 1] += by * forward[t]
    for t in range(len(decay) - 1, -1, -1):
        backward[t] += decay[t] * backward[t + 1]
    return np.asarray(forward + backward - columns)
