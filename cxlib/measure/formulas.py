"""The formulas of `estimates`: counts or moments in, rows of the result frame out, one function a kind.

Shares lie in 0..1, NPS in points. `method` names the formula.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.quantiles import NO_ANSWERS, Counts, counted_quantile

_ROBUST = ", cluster-robust"
_FLAT = "all answers are equal: the interval has no width"
_BESIDE = "the interval leaves out the estimate, as this method does at none and at all"
_UNWORTH = "the effective number of answers is missing, or not above 0"
_CLIPPED, _NONE, _MISSING = "limit clipped to the scale", NO_ANSWERS, "a number is missing"


def share(
    successes: ArrayLike,
    n: ArrayLike,
    *,
    method: str = "wilson",
    confidence: float = 0.95,
    n_eff: ArrayLike | None = None,
) -> pd.DataFrame:
    """Estimate a share.

    Parameters
    ----------
    successes, n
        Counts, scalars or arrays of one shape.
    method
        `wilson` (default), `wald`, `clopper-pearson`, `agresti-coull` (or `adjusted-wald`, its name with Sauro and
        Lewis 2005) or `jeffreys`. Limits that leave [0, 1] are clipped; `note` says so, and where they leave out the
        estimate. What each covers: `tests/test_measure_coverage.py`.
    confidence
        Of the interval, between 0 and 1.
    n_eff
        Effective sample size where answers are not independent; the interval is that of so many answers.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element. `std_error` is sqrt(p q / n_eff).

    Raises
    ------
    UsageError
        For an unknown method, a confidence outside (0, 1), or more successes than answers.
    """
    x, size = _broadcast(successes, n)
    if np.any((x < 0) | (x > size)):
        raise UsageError("a share needs 0 <= successes <= n", hint=f"Given were {_first(x, (x < 0) | (x > size))}.")
    effective = size if n_eff is None else _worth(n_eff, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.where((size > 0) & ~np.isnan(effective), x / size, np.nan)
        error = np.sqrt(p * (1 - p) / effective)
    low, high = intervals.share_limits(p, effective, confidence, method)
    note = np.where((low > p) | (high < p), _BESIDE, np.where(low == high, _FLAT, ""))
    note = np.where((low < 0) | (high > 1), _CLIPPED, note)
    return _frame(
        size, p, error, np.clip(low, 0, 1), np.clip(high, 0, 1), method=_method(method, size, effective, " n_eff"),
        n_eff=effective, none=(np.isnan(p), _absent(x, size, effective)), note=note,
    )  # fmt: skip


def nps(
    promoters: ArrayLike,
    passives: ArrayLike,
    detractors: ArrayLike,
    *,
    method: str = "adjusted-wald",
    confidence: float = 0.95,
    n_eff: ArrayLike | None = None,
) -> pd.DataFrame:
    """Estimate the Net Promoter Score in points.

    Parameters
    ----------
    promoters, passives, detractors
        Counts, scalars or arrays of one shape.
    method
        `adjusted-wald` (default): the estimate is the raw score, the limits and `std_error` those of n + 3 answers,
        3/4 more promoters and detractors each (Rocks 2016). `wald`: no answers added.
    confidence
        Of the interval, between 0 and 1.
    n_eff
        Effective sample size where answers are not independent.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element; limits are clipped to [-100, 100]. `note` says so, and where they leave
        out the estimate.

    Raises
    ------
    UsageError
        For an unknown method, a confidence outside (0, 1), or a negative count.
    """
    up, middle, down = intervals.trinomial(promoters, passives, detractors)
    if method not in ("adjusted-wald", "wald"):
        raise UsageError(f"'{method}' is no method for NPS; there are adjusted-wald, wald")
    size = up + middle + down
    effective = size if n_eff is None else _worth(n_eff, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(size > 0, effective / size, np.nan)
        score = 100 * (up - down) / np.where((size > 0) & ~np.isnan(effective), size, np.nan)
    extra = 3.0 if method == "adjusted-wald" else 0.0
    centre, error = intervals.nps_moments(up * part, down * part, effective, extra=extra)
    half = intervals.z_of(confidence) * error
    low, high = 100 * (centre - half), 100 * (centre + half)
    flat = (error == 0) & (size > 0)
    note = np.where((low > score) | (high < score), _BESIDE, "")
    note = np.where((low < -100) | (high > 100), _CLIPPED, note)
    return _frame(
        size, score, 100 * error, np.clip(low, -100, 100), np.clip(high, -100, 100),
        method=_method(method, size, effective, " n_eff"), n_eff=effective,
        none=(np.isnan(score), _absent(up + down, size, effective)), note=np.where(flat, _FLAT, note),
    )  # fmt: skip


def mean(moments: Moments, *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate a mean with a t interval, customers - 1 degrees of freedom, variance robust to clusters.

    Parameters
    ----------
    moments
        Of scalars or arrays, x counting rows. One row per customer gives the textbook interval (R `t.test`).
    confidence
        Of the interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element; `too_few` below two customers.
    """
    size, groups = np.atleast_1d(moments.rows), np.atleast_1d(moments.clusters)
    robust = np.where(groups < size, _ROBUST, "")
    return _linear(moments, np.char.add("t", robust), confidence, moments.effective_n)


def ratio(moments: Moments, *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate sum of y / sum of x by the delta method on customers' sums, t with customers - 1 degrees of freedom.

    Parameters
    ----------
    moments
        Of scalars or arrays; x is the denominator.
    confidence
        Of the interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element; `undefined` where the denominator is 0, `too_few` below two customers.
    """
    groups = np.atleast_1d(moments.clusters)
    return _linear(moments, np.full(groups.shape, "delta method (t)"), confidence, groups)


def rate(
    events: ArrayLike,
    exposure: ArrayLike,
    *,
    confidence: float = 0.95,
    scale: float = 1.0,
    deff: ArrayLike = 1.0,
) -> pd.DataFrame:
    """Estimate events per exposure with exact Poisson limits (Garwood 1936).

    Parameters
    ----------
    events, exposure
        Count of events and what they are counted over, scalars or arrays of one shape.
    confidence
        Of the interval, between 0 and 1.
    scale
        What the rate is multiplied by, e.g. 1000.
    deff
        How many times the variance exceeds a Poisson's because events come in customers; below 1 counts as 1.
        The interval is that of events / deff over exposure / deff.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element, n = events; `undefined` where the exposure is 0.
    """
    count, over, factor = _broadcast(events, exposure, deff)
    if np.any((count < 0) | (over < 0)):
        raise UsageError("events and exposure cannot be negative")
    factor = np.where(factor > 1, factor, 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = scale / np.where(over > 0, over, np.nan)
    low, high = intervals.poisson_limits(count / factor, confidence)
    effective = count / factor
    return _frame(
        count, count * unit, np.sqrt(count * factor) * unit, low * factor * unit, high * factor * unit,
        method=_method("exact Poisson", count, effective, ""), n_eff=effective,
        none=(np.isnan(count * unit), np.where(over == 0, "nothing to count over: the exposure is 0", _MISSING)),
    )  # fmt: skip


def quantile(values: ArrayLike, q: float, *, confidence: float = 0.95, counts: ArrayLike | None = None) -> pd.DataFrame:
    """Estimate one quantile with its exact order-statistic interval.

    Parameters
    ----------
    values
        The values in any order, shape (n,); with `counts`, the distinct values. Missing ones do not count.
    q
        Between 0 and 1. The estimate is the smallest value that at least a share q of the values do not exceed.
    confidence
        At least so much is covered; at most half of the rest lies beyond either limit (see `intervals.quantile_ranks`).
    counts
        How often each value occurs.

    Returns
    -------
    pandas.DataFrame
        One result row; `too_few` where n has no such interval (p90 at 95 % below 36), `undefined` without values.
    """
    if not 0 < q < 1:
        raise UsageError(f"quantile {q} is not between 0 and 1")
    given = np.asarray(values, dtype=float).ravel()
    often = np.ones(given.size) if counts is None else np.asarray(counts, dtype=float).ravel()
    if often.size != given.size or np.any(~(often >= 0)):
        raise UsageError("each value of a quantile needs a count of 0 or more")
    return counted_quantile(Counts(np.zeros(given.size, dtype=int), given, often, 1), q, confidence=confidence)


def _linear(moments: Moments, method: NDArray[np.str_], confidence: float, n_eff: Numbers) -> pd.DataFrame:
    """Return the t interval of `moments.ratio`."""
    size, groups = np.atleast_1d(moments.rows), np.atleast_1d(moments.clusters)
    value, error = np.atleast_1d(moments.ratio), np.atleast_1d(np.sqrt(moments.variance))
    low, high = intervals.student(value, error, groups - 1, confidence)
    reason = np.where(size == 0, _NONE, np.where(moments.sums["x"] == 0, "the denominator is 0", _MISSING))
    found = _frame(
        size, value, error, low, high, method=method, n_eff=n_eff, none=(np.isnan(value), reason),
        note=np.where(error == 0, _FLAT, ""),
    )  # fmt: skip
    few = (groups < 2) & (found["status"] == results.OK).to_numpy()
    status = found["status"].mask(few, results.TOO_FEW)
    return results.conform(found.assign(status=status, note=found["note"].mask(few, "fewer than two customers")))


def _frame(
    n: Numbers, value: Numbers, error: Numbers, low: Numbers, high: Numbers, *, method: ArrayLike, n_eff: Numbers,
    none: tuple[NDArray[np.bool_], ArrayLike], note: ArrayLike = "",
) -> pd.DataFrame:  # fmt: skip
    """Return level rows; where `none[0]` holds they are `undefined` for the reason `none[1]`."""
    return results.frame(
        estimate=value, std_error=error, conf_low=low, conf_high=high, n=n, n_eff=n_eff, method=method,
        status=np.where(none[0], results.UNDEFINED, results.OK), note=np.where(none[0], none[1], note),
    )  # fmt: skip


def _method(name: str, n: Numbers, n_eff: Numbers, what: str) -> NDArray[np.str_]:
    """Name the formula, and say where the effective sample size stood for n."""
    return np.where(n_eff < n, f"{name}{_ROBUST}{what}", name)


def _worth(n_eff: ArrayLike, size: Numbers) -> Numbers:
    """Return effective sizes; missing where there are answers and none is above 0."""
    given = _broadcast(n_eff, size)[0]
    return np.where((given > 0) | (size == 0), given, np.nan)


def _absent(x: Numbers, size: Numbers, effective: Numbers) -> NDArray[np.str_]:
    """Say why there is no estimate."""
    lost = np.isnan(effective) & ~np.isnan(x + size)
    return np.where(size == 0, _NONE, np.where(lost, _UNWORTH, _MISSING))


def _broadcast(*values: ArrayLike) -> tuple[Numbers, ...]:
    """Return arrays of one shape, at least one element long; `UsageError` where they cannot be."""
    arrays = [np.atleast_1d(np.asarray(value, dtype=float)) for value in values]
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = " and ".join(str(array.size) for array in arrays)
        raise UsageError(f"arrays of {shapes} elements do not go together") from None


def _first(values: Numbers, where: NDArray[np.bool_]) -> str:
    return ", ".join(f"{value:g}" for value in values[where][:3])
