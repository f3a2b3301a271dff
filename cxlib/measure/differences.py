"""Formulas for the difference of two independent estimates; `changes` applies and judges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.moments import Moments, Numbers

Counts = tuple[ArrayLike, ArrayLike, ArrayLike]
Pair = tuple[ArrayLike, ArrayLike]

# Beyond 7 standard errors one minus the confidence is lost in a double: p-values by inversion end at 3e-12.
_FARTHEST, _HALVINGS = 7.0, 40
_FEW = "one side has too few answers"


def share_difference(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: str = "newcombe",
    confidence: float = 0.95,
    n_eff: Pair | None = None,
) -> pd.DataFrame:
    """Estimate x1 / n1 - x2 / n2.

    Parameters
    ----------
    x1, n1, x2, n2
        Successes and sizes, scalars or arrays of one shape.
    method
        `newcombe` (hybrid score, Newcombe 1998, method 10) or `wald` (z, unpooled). The p-value is one minus the
        confidence at which the interval touches 0, so the two never disagree.
    confidence
        Of the interval.
    n_eff
        Effective sizes of the two samples.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, n the sum of both; `undefined` where either is empty.

    Raises
    ------
    UsageError
        For an unknown method, a confidence outside (0, 1), or more successes than answers.
    """
    a, b, c, d = _arrays(x1, n1, x2, n2)
    if np.any((a < 0) | (a > b) | (c < 0) | (c > d)):
        raise UsageError("a difference of shares needs 0 <= successes <= n on both sides")
    sizes = (b, d) if n_eff is None else _arrays(*n_eff)
    if method not in ("newcombe", "wald"):
        raise UsageError(f"'{method}' is no method for differences of shares; there are newcombe, wald")
    with np.errstate(invalid="ignore", divide="ignore"):
        p = (np.where(b > 0, a / b, np.nan), np.where(d > 0, c / d, np.nan))
        error = np.sqrt(p[0] * (1 - p[0]) / sizes[0] + p[1] * (1 - p[1]) / sizes[1])
    if method == "wald":
        low, high, p_value = _normal(p[0] - p[1], error, confidence)
    else:
        low, high, p_value = _combined(p, lambda i, level: intervals.share_limits(p[i], sizes[i], level), confidence)
    robust = (sizes[0] < b) | (sizes[1] < d)
    return _frame(
        p[0] - p[1], error, np.clip(low, -1, 1), np.clip(high, -1, 1), p_value, n=b + d, n_eff=sizes[0] + sizes[1],
        method=np.where(robust, f"{method}, cluster-robust n_eff", method),
    )  # fmt: skip


def mean_difference(
    before: Moments, after: Moments, *, scale: str = "absolute", confidence: float = 0.95
) -> pd.DataFrame:
    """Estimate the difference of two means or ratios (Welch; R `t.test`), variances robust to clusters.

    Parameters
    ----------
    before, after
        Moments of scalars or arrays of one shape.
    scale
        `absolute` (after - before) or `relative` (after / before - 1, delta method on `before`).
    confidence
        Of the interval; t with the degrees of freedom of Welch and Satterthwaite over customers.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison` `difference` or `relative`; `undefined` where a side has fewer than two
        customers, where all are alike on both sides (R: "data are essentially constant") or, for `relative`, where
        `before` is 0.
    """
    if scale not in ("absolute", "relative"):
        raise UsageError(f"scale '{scale}' is neither absolute nor relative")
    old, new = (np.atleast_1d(side.ratio) for side in (before, after))
    var_old, var_new = (np.atleast_1d(side.variance) for side in (before, after))
    value = new - old
    if scale == "relative":
        base = np.where(old != 0, old, np.nan)
        value, var_old, var_new = new / base - 1, var_old * (new / base**2) ** 2, var_new / base**2
    groups = [np.atleast_1d(side.clusters) for side in (before, after)]
    error = np.sqrt(var_old + var_new)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = error**4 / (var_old**2 / (groups[0] - 1) + var_new**2 / (groups[1] - 1))
        low, high = intervals.student(value, error, freedom, confidence)
        p_value = 2 * stats.t.sf(np.abs(value) / error, freedom)
    rows = [np.atleast_1d(side.rows) for side in (before, after)]
    robust = (groups[0] < rows[0]) | (groups[1] < rows[1])
    name = "Welch" if scale == "absolute" else "delta method on before"
    zero = (scale == "relative") & (old == 0)
    return _frame(
        value, error, low, high, p_value, n=rows[0] + rows[1], n_eff=groups[0] + groups[1],
        method=np.where(robust, f"{name}, cluster-robust", name),
        comparison="difference" if scale == "absolute" else "relative",
        reason=np.where(zero, "the value before is 0", np.where(error == 0, "all are alike on both sides", _FEW)),
    )  # fmt: skip


def nps_difference(
    before: Counts, after: Counts, *, confidence: float = 0.95, n_eff: Pair | None = None
) -> pd.DataFrame:
    """Estimate the change of the Net Promoter Score, after minus before, in points: z, unpooled variances.

    Parameters
    ----------
    before, after
        (promoters, passives, detractors), scalars or arrays of one shape.
    confidence
        Of the interval.
    n_eff
        Effective sizes of the two samples, before and after.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, limits clipped to [-200, 200]. A sample whose answers are all in
        one class has no variance; that of the adjusted Wald (n + 3) stands for it.

    Raises
    ------
    UsageError
        For a confidence outside (0, 1), or a negative count.
    """
    found = []
    for number, counts in enumerate((before, after)):
        up, middle, down = _arrays(*counts)
        if np.any((up < 0) | (middle < 0) | (down < 0)):
            raise UsageError("promoters, passives and detractors cannot be negative")
        size = up + middle + down
        effective = size if n_eff is None else _arrays(n_eff[number], size)[0]
        with np.errstate(invalid="ignore", divide="ignore"):
            part = effective / np.where(size > 0, size, np.nan)
        score, error = intervals.nps_moments(up * part, down * part, effective)
        rest = intervals.nps_moments(up * part, down * part, effective, extra=3)[1]
        found.append((score, np.where(error > 0, error, rest), size, effective))
    (old, error_old, n_old, eff_old), (new, error_new, n_new, eff_new) = found
    value, error = 100 * (new - old), 100 * np.hypot(error_old, error_new)
    low, high, p_value = _normal(value, error, confidence)
    robust = (eff_old < n_old) | (eff_new < n_new)
    return _frame(
        value, error, np.clip(low, -200, 200), np.clip(high, -200, 200), p_value, n=n_old + n_new,
        n_eff=eff_old + eff_new, method=np.where(robust, "z unpooled, cluster-robust n_eff", "z unpooled"),
    )  # fmt: skip


def rate_difference(before: Moments, after: Moments, *, scale: float = 1.0, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate the change of a rate, after minus before: exact Poisson limits combined (MOVER, Donner and Zou 2012).

    Parameters
    ----------
    before, after
        Moments: y counts events, x is the exposure.
    scale
        What the rates are multiplied by.
    confidence
        Of the interval; the p-value is one minus the confidence at which it touches 0.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, n the people of both sides.
    """
    sides = []
    for side in (after, before):
        y, x, deff = np.atleast_1d(side.sums["y"]), np.atleast_1d(side.sums["x"]), np.atleast_1d(side.overdispersion)
        unit = scale / np.where(x > 0, x, np.nan)
        sides.append((y, unit, deff))
    value = tuple(y * unit for y, unit, _ in sides)
    error = np.sqrt(sum(y * deff * unit**2 for y, unit, deff in sides))

    def limits(side: int, level: Any) -> intervals.Limits:
        y, unit, deff = sides[side]
        low, high = intervals.poisson_limits(y / deff, level)
        return low * deff * unit, high * deff * unit

    low, high, p_value = _combined(value, limits, confidence)
    robust = (sides[0][2] > 1) | (sides[1][2] > 1)
    name = "MOVER on exact Poisson"
    people = np.atleast_1d(after.clusters + before.clusters)
    events = sides[0][0] / sides[0][2] + sides[1][0] / sides[1][2]
    return _frame(
        value[0] - value[1], error, low, high, p_value, n=people, n_eff=events,
        method=np.where(robust, f"{name}, cluster-robust", name),
    )  # fmt: skip


def _combined(
    values: tuple[Numbers, ...], limits: Callable[[int, Any], intervals.Limits], confidence: float
) -> tuple[Numbers, Numbers, Numbers]:
    """Return limits of values[0] - values[1] from the limits of each (Newcombe 1998), and the p-value by inversion."""
    value = values[0] - values[1]

    def at(level: Any) -> intervals.Limits:
        (low1, high1), (low2, high2) = limits(0, level), limits(1, level)
        below = np.hypot(values[0] - low1, high2 - values[1])
        above = np.hypot(high1 - values[0], values[1] - low2)
        return value - below, value + above

    low, high = at(intervals.check_confidence(confidence))
    return low, high, _inverted(value, at)


def _inverted(value: Numbers, at: Callable[[Any], intervals.Limits]) -> Numbers:
    """Return 1 - the confidence at which the interval just touches 0, by bisection in z, all elements at once."""
    near, far = np.zeros(value.shape), np.full(value.shape, _FARTHEST)
    for _ in range(_HALVINGS):
        z = (near + far) / 2
        low, high = at(1 - 2 * stats.norm.sf(z))
        inside = (low <= 0) & (high >= 0)
        near, far = np.where(inside, near, z), np.where(inside, z, far)
    p_value = np.where(value == 0, 1.0, 2 * stats.norm.sf(far))
    return np.where(np.isnan(value), np.nan, p_value)


def _normal(value: Numbers, error: Numbers, confidence: float) -> tuple[Numbers, Numbers, Numbers]:
    half = intervals.z_of(confidence) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        return value - half, value + half, 2 * stats.norm.sf(np.abs(value) / error)


def _frame(
    value: Numbers, error: Numbers, low: Numbers, high: Numbers, p_value: Numbers, *, n: Numbers, n_eff: Numbers,
    method: ArrayLike, comparison: str = "difference", reason: ArrayLike = _FEW,
) -> pd.DataFrame:  # fmt: skip
    none = np.isnan(value) | np.isnan(low)
    return results.frame(
        comparison=comparison, estimate=value, std_error=error, conf_low=low, conf_high=high, p_value=p_value, n=n,
        n_eff=n_eff, method=method, status=np.where(none, results.UNDEFINED, results.OK),
        note=np.where(none, reason, ""),
    )  # fmt: skip


def _arrays(*values: ArrayLike) -> tuple[Numbers, ...]:
    return tuple(np.broadcast_arrays(*(np.atleast_1d(np.asarray(value, dtype=float)) for value in values)))
