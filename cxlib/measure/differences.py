"""Formulas for the difference of two estimates; `changes` applies and judges them.

Samples may share customers: every formula takes the `correlation` of the two estimates that comes of them (their
covariance over both standard errors, see `Overlap`); 0, the default, stands for samples that share nobody.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.moments import Moments, Numbers

Counts = tuple[ArrayLike, ArrayLike, ArrayLike]
Pair = tuple[ArrayLike, ArrayLike]

_FEW, _ALIKE = "one side has too few answers", "all are alike on both sides"
_ONE_FLAT = "all are alike on one side: the delta method has no variance"
# Below so many standard errors from 0 the delta method's limits are not to be relied on (Fieller 1954).
_NEAR_ZERO = 2.0
_FLAT = "all answers of each side are equal: the interval has no width"


def share_difference(
    x1: ArrayLike,
    n1: ArrayLike,
    x2: ArrayLike,
    n2: ArrayLike,
    *,
    method: str = "newcombe",
    confidence: float = 0.95,
    n_eff: Pair | None = None,
    correlation: ArrayLike = 0.0,
) -> pd.DataFrame:
    """Estimate x1 / n1 - x2 / n2.

    Parameters
    ----------
    x1, n1, x2, n2
        Successes and sizes, scalars or arrays of one shape.
    method
        `newcombe` (hybrid score, Newcombe 1998, method 10; with a correlation that of paired data, Statist. Med.
        17:2635, with its continuity correction) or `wald` (z, unpooled). The p-value is one minus the confidence at
        which the interval touches 0, so the two never disagree.
    confidence
        Of the interval.
    n_eff
        Effective sizes of the two samples.
    correlation
        Of the two shares, where the samples share customers.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, n the sum of both; `undefined` where either is empty.

    Raises
    ------
    UsageError
        For an unknown method, a confidence outside (0, 1), or more successes than answers.
    """
    a, b, c, d, together = _arrays(x1, n1, x2, n2, _between_ones(correlation))
    if np.any((a < 0) | (a > b) | (c < 0) | (c > d)):
        raise UsageError("a difference of shares needs 0 <= successes <= n on both sides")
    sizes = (b, d) if n_eff is None else _arrays(*n_eff, b)[:2]
    if method not in ("newcombe", "wald"):
        raise UsageError(f"'{method}' is no method for differences of shares; there are newcombe, wald")
    with np.errstate(invalid="ignore", divide="ignore"):
        p = (np.where(b > 0, a / b, np.nan), np.where(d > 0, c / d, np.nan))
        errors = [np.sqrt(share * (1 - share) / size) for share, size in zip(p, sizes, strict=True)]
    error = intervals.spread(errors[0], errors[1], together)
    if method == "wald":
        low, high, p_value = intervals.by_z(p[0] - p[1], error, confidence)
        p_value = np.where((error == 0) & (p[0] == p[1]), 1.0, p_value)
    else:
        limits = lambda i, level: intervals.share_limits(p[i], sizes[i], level)  # noqa: E731
        half = np.where(together > 0, intervals.half_a_pair(p, (sizes[0], sizes[1])), 0.0)
        low, high, p_value = intervals.mover(
            p, limits, confidence, np.maximum(together - half, np.minimum(together, 0))
        )
    robust = (sizes[0] < b) | (sizes[1] < d)
    return _frame(
        p[0] - p[1], error, np.clip(low, -1, 1), np.clip(high, -1, 1), p_value, n=b + d, n_eff=sizes[0] + sizes[1],
        method=np.where(robust, f"{method}, cluster-robust n_eff", method), note=np.where(low == high, _FLAT, ""),
    )  # fmt: skip


def mean_difference(
    before: Moments,
    after: Moments,
    *,
    scale: str = "absolute",
    confidence: float = 0.95,
    correlation: ArrayLike = 0.0,
    both: ArrayLike = 0.0,
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
    correlation, both
        Of the two means where samples share customers, and how many they share: with all shared it is the paired t
        (R `t.test(paired = TRUE)`); between, see `intervals.freedom`.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison` `difference` or `relative`; `undefined` where a side has fewer than two
        customers, where all are alike on both sides (R: "data are essentially constant") or, for `relative`, where
        `before` is 0 or one side does not vary. `note` warns of a relative change on a negative value, or on one
        that is not clearly different from 0.
    """
    relative = _relative(before, after, scale)
    old, new, together = np.atleast_1d(before.ratio, after.ratio, np.asarray(_between_ones(correlation), dtype=float))
    error_old, error_new = (np.atleast_1d(np.sqrt(side.variance)) for side in (before, after))
    value = new - old
    reason = np.where((error_old == 0) & (error_new == 0), _ALIKE, _FEW)
    note = np.full(value.shape, "")
    if relative:
        base = np.where(old != 0, old, np.nan)
        with np.errstate(invalid="ignore"):
            near = np.abs(old) < _NEAR_ZERO * error_old
        note = np.where(near, "the value before is not clearly different from 0", "")
        note = np.where(old < 0, "the value before is negative: read the sign with care", note)
        reason = np.where(old == 0, "the value before is 0", np.where(error_old * error_new == 0, _ONE_FLAT, reason))
        value, together = new / base - 1, together * np.sign(new / base)
        error_old, error_new = np.abs(error_old * new / base**2), np.abs(error_new / base)
        error_old = np.where(error_old * error_new == 0, np.nan, error_old)
    groups = [np.atleast_1d(side.clusters) for side in (before, after)]
    error = intervals.spread(error_old, error_new, together)
    reason = np.where((error == 0) & ~relative, _ALIKE, reason)
    low, high, p_value = intervals.by_t(value, error, (error_old, error_new), (groups[0], groups[1]), both, confidence)
    rows = [np.atleast_1d(side.rows) for side in (before, after)]
    name = "delta method on before" if relative else "Welch"
    robust = (groups[0] < rows[0]) | (groups[1] < rows[1])
    return _frame(
        value, error, low, high, p_value, n=rows[0] + rows[1], n_eff=groups[0] + groups[1],
        method=np.where(robust, f"{name}, cluster-robust", name),
        comparison="relative" if relative else "difference", reason=reason, note=note,
    )  # fmt: skip


def nps_difference(
    before: Counts,
    after: Counts,
    *,
    method: str = "welch",
    confidence: float = 0.95,
    n_eff: Pair | None = None,
    correlation: ArrayLike = 0.0,
    both: ArrayLike = 0.0,
) -> pd.DataFrame:
    """Estimate the change of the Net Promoter Score, after minus before, in points.

    Parameters
    ----------
    before, after
        (promoters, passives, detractors), scalars or arrays of one shape.
    method
        `welch`: Welch's t, each variance at least that of the adjusted Wald (n + 3 answers, Rocks 2016). `wald`: z with
        plain variances, which calls 8 of 100 equal pairs of ten answers different, and 10 where one side has many more;
        `welch` at most 6 from ten answers on. Its price is 8 to 13 of 100 real changes at ten answers a side, 2 to 10
        at thirty, none at a hundred.
    confidence
        Of the interval.
    n_eff
        Effective sizes of the two samples, before and after.
    correlation, both
        Of the two scores where samples share customers, and how many they share.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, limits clipped to [-200, 200].

    Raises
    ------
    UsageError
        For an unknown method, a confidence outside (0, 1), or a negative count.
    """
    if method not in ("welch", "wald"):
        raise UsageError(f"'{method}' is no method for differences of NPS; there are welch, wald")
    (old, error_old, n_old, eff_old), (new, error_new, n_new, eff_new) = (
        _nps_side(counts, None if n_eff is None else n_eff[number], method)
        for number, counts in enumerate((before, after))
    )
    error = intervals.spread(error_old, error_new, np.asarray(_between_ones(correlation), dtype=float))
    if method == "wald":
        low, high, p_value = intervals.by_z(new - old, error, confidence)
    else:
        # One answer leaves no degree of freedom: it is given one, and limits that say nothing.
        units = (np.maximum(eff_old, 2), np.maximum(eff_new, 2))
        low, high, p_value = intervals.by_t(new - old, error, (error_old, error_new), units, both, confidence)
    name = "Welch, adjusted variances" if method == "welch" else "z unpooled"
    robust = (eff_old < n_old) | (eff_new < n_new)
    return _frame(
        new - old, error, np.clip(low, -200, 200), np.clip(high, -200, 200), p_value, n=n_old + n_new,
        n_eff=eff_old + eff_new, method=np.where(robust, f"{name}, cluster-robust n_eff", name),
    )  # fmt: skip


def _nps_side(counts: Counts, n_eff: ArrayLike | None, method: str) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return score and standard error in points, answers, and what they are worth."""
    up, middle, down = intervals.trinomial(*counts)
    size = up + middle + down
    worth = size if n_eff is None else _arrays(n_eff, size)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = worth / np.where(size > 0, size, np.nan)
        score, plain = intervals.nps_moments(up * part, down * part, worth)
        adjusted = intervals.nps_moments(up * part, down * part, worth, extra=3)[1]
        # Answers all in one class have no variance of their own; that of n + 3 stands for it.
        error = np.where(plain > 0, plain, adjusted)
        if method == "welch":
            error = np.maximum(np.where(worth > 1, plain * np.sqrt(worth / (worth - 1)), 0.0), adjusted)
    return 100 * score, 100 * error, size, worth


def rate_difference(
    before: Moments,
    after: Moments,
    *,
    scale: float = 1.0,
    confidence: float = 0.95,
    correlation: ArrayLike = 0.0,
    both: ArrayLike = 0.0,
) -> pd.DataFrame:
    """Estimate the change of a rate, after minus before: exact Poisson limits combined (MOVER, Donner and Zou 2012).

    Parameters
    ----------
    before, after
        Moments: y counts events, x is the exposure.
    scale
        What the rates are multiplied by.
    confidence
        Of the interval; the p-value is one minus the confidence at which it touches 0.
    correlation, both
        Of the two rates, where the same customers are counted on both sides, and how many those are. The correlation of
        few is itself uncertain, so z becomes t, with the degrees of freedom that a mean would have.

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
    value = (sides[0][0] * sides[0][1], sides[1][0] * sides[1][1])
    errors = [np.sqrt(y * deff) * unit for y, unit, deff in sides]
    together, shared = np.asarray(_between_ones(correlation), dtype=float), np.asarray(both, dtype=float)
    groups = (np.atleast_1d(after.clusters), np.atleast_1d(before.clusters))
    freedom = intervals.freedom((errors[0] ** 2, errors[1] ** 2), groups, shared)

    def limits(side: int, level: Any) -> intervals.Limits:
        y, unit, deff = sides[side]
        wider = np.where((shared > 0) & (freedom > 0), intervals.as_t(level, freedom), level)
        low, high = intervals.poisson_limits(y / deff, wider)
        return low * deff * unit, high * deff * unit

    low, high, p_value = intervals.mover(value, limits, confidence, together)
    robust = (sides[0][2] > 1) | (sides[1][2] > 1)
    name = "MOVER on exact Poisson"
    people = np.atleast_1d(after.clusters + before.clusters)
    events = sides[0][0] / sides[0][2] + sides[1][0] / sides[1][2]
    return _frame(
        value[0] - value[1], intervals.spread(errors[0], errors[1], together), low, high, p_value, n=people,
        n_eff=events, method=np.where(robust, f"{name}, cluster-robust", name),
    )  # fmt: skip


def _frame(
    value: Numbers, error: Numbers, low: Numbers, high: Numbers, p_value: Numbers, *, n: Numbers, n_eff: Numbers,
    method: ArrayLike, comparison: str = "difference", reason: ArrayLike = _FEW, note: ArrayLike = "",
) -> pd.DataFrame:  # fmt: skip
    none = np.isnan(value) | np.isnan(low)
    return results.frame(
        comparison=comparison, estimate=value, std_error=error, conf_low=low, conf_high=high, p_value=p_value, n=n,
        n_eff=n_eff, method=method, status=np.where(none, results.UNDEFINED, results.OK),
        note=np.where(none, reason, note),
    )  # fmt: skip


def _relative(before: Moments, after: Moments, scale: str) -> bool:
    """Say whether a relative difference is wanted; raise `UsageError` for what is no scale, and no moments."""
    if not isinstance(before, Moments) or not isinstance(after, Moments):
        raise UsageError("a difference of means takes Moments", hint="Make them with Moments.of(values).")
    if scale not in ("absolute", "relative"):
        raise UsageError(f"scale '{scale}' is neither absolute nor relative")
    return scale == "relative"


def _between_ones(correlation: ArrayLike) -> ArrayLike:
    """Return a correlation; raise `UsageError` where it is none."""
    if np.any(np.abs(np.asarray(correlation, dtype=float)) > 1 + 1e-9):
        raise UsageError(f"correlation {np.asarray(correlation)} is not between -1 and 1")
    return correlation


def _arrays(*values: ArrayLike) -> tuple[Numbers, ...]:
    arrays = [np.atleast_1d(np.asarray(value, dtype=float)) for value in values]
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError:
        raise UsageError(f"arrays of {' and '.join(str(a.size) for a in arrays)} elements do not go together") from None
