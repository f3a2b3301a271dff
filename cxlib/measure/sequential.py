"""Intervals for readers who look every week: all of them together hold the truth at the stated confidence.

A 95 % interval is right in 95 of 100 cases for who looks once. Over 28 weekly looks at a cumulative figure some 28 % of
readers meet one that misses the truth; here at most 5 % do (1.6 % measured, for the promise covers looks without end).
The price is width: 1.55 times the usual interval at `n_star`, more far from it.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv:2103.06476, theorem 2.2),
whose boundary is the two-sided normal mixture of Howard, Ramdas, McAuliffe and Sekhon (2021, Annals of Statistics 49).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates, intervals
from cxlib.measure.moments import Moments, Numbers
from cxlib.params import Metric, definition_hash

_EXTRA = 3  # answers of the adjusted Wald: without them shares near 1 miss in up to 90 % of series, with them in 2 %
_LEAST = 100  # customers of a mean or ratio: with fewer, log-normal answers miss in up to 18 % of series, so in 5 %
_METHOD = "always valid, normal mixture"


def best_rho(n_star: float, confidence: float = 0.95) -> float:
    """Return the mixture's parameter that makes the boundary narrowest about `n_star` (Howard et al. 2021, eq. 28).

    The rho of Waudby-Smith et al. is one over its square root.
    """
    if not n_star > 0:
        raise UsageError(
            f"n_star {n_star} is not above 0", hint="Name about how many customers the decision will have."
        )
    odds = -2 * math.log(1 - intervals.check_confidence(confidence))
    return n_star / (odds + math.log(1 + odds))


def boundary(v: ArrayLike, rho: float, confidence: float = 0.95) -> Numbers:
    """Return what a sum of variance `v` never exceeds to either side, at any look, with this confidence.

    Parameters
    ----------
    v
        Variance of the sum, any shape: the number of customers, where the sum is in standard deviations.
    rho
        See `best_rho`.
    confidence
        Over all looks together.
    """
    v = np.asarray(v, dtype=float)
    return np.sqrt((v + rho) * (np.log((v + rho) / rho) - 2 * math.log(1 - confidence)))


def log_mixture(s: ArrayLike, v: ArrayLike, rho: float) -> Numbers:
    """Return the log of the mixture's likelihood ratio against a mean of 0, for a sum `s` of variance `v`."""
    s, v = np.asarray(s, dtype=float), np.asarray(v, dtype=float)
    return np.log(rho / (v + rho)) / 2 + s**2 / (2 * (v + rho))


def always_valid(
    estimates: ArrayLike,
    std_errors: ArrayLike,
    n: ArrayLike,
    *,
    n_star: float,
    confidence: float = 0.95,
    null: float | None = None,
) -> pd.DataFrame:
    """Put intervals around cumulative estimates that hold at every look.

    Parameters
    ----------
    estimates, std_errors
        One element per look, of all data since the same start, in the metric's unit; any one shape, or scalars.
    n
        Independent units behind each: customers, not answers.
    n_star
        The number of units at which the interval is to be narrowest; decided before the first look. It need not be met.
    confidence
        That all intervals, of however many looks, hold the truth.
    null
        A value to test against (0 for differences): then `p_value` is one minus the confidence at which the interval
        touches it, and stays valid whenever one stops.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element; `undefined` where there is no standard error above 0.

    Raises
    ------
    UsageError
        For an `n_star` not above 0 or a confidence outside (0, 1).
    """
    rho = best_rho(n_star, confidence)
    value, error, size = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(given, dtype=float)) for given in (estimates, std_errors, n))
    )
    known = np.isfinite(value) & (error > 0) & (size > 0)
    units = np.where(known, size, 1.0)
    half = np.where(known, error, np.nan) * boundary(units, rho, confidence) / np.sqrt(units)
    p_value = np.full(value.shape, np.nan)
    if null is not None:
        z = np.where(known, value - null, np.nan) / np.where(known, error, 1.0)
        p_value = np.minimum(1.0, np.exp(-log_mixture(z * np.sqrt(units), units, rho)))
    return results.frame(
        estimate=value, std_error=error, conf_low=value - half, conf_high=value + half, p_value=p_value, n=size,
        method=f"{_METHOD}, n* {n_star:g}", status=np.where(known, results.OK, results.UNDEFINED),
        note=np.where(known, "", "no standard error: fewer than two customers, or all alike"),
    )  # fmt: skip


def looks(
    metric: Metric,
    frame: pd.DataFrame,
    *,
    n_star: float,
    confidence: float = 0.95,
    min_n: int = 10,
    segment: str = "all",
    definition: str = "",
) -> pd.DataFrame:
    """Estimate a metric look by look, each with all answers since the start.

    Parameters
    ----------
    metric
        The definition.
    frame
        Moments as `plans.plan` brings them, cumulative: the row of a period covers everything from the start to its
        end, each customer once (the i-th week of a look with `rolling=i`). Weeks may be added up only where nobody
        answers in two of them.
    n_star
        Customers at which the interval is to be narrowest; decided before the first look.
    confidence
        That all intervals of a level hold the truth. Several levels or metrics are as many promises.
    min_n
        Looks at fewer answers or people are suppressed; a metric may ask for more, never for less.
    segment, definition
        As in `estimates.from_moments`.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "level"`, `at = "since <first period>"`. Shares and NPS take the 3 answers of
        the adjusted Wald; means and ratios of fewer than 100 customers are `too_few`; rates as ratios; quantiles have
        no such interval and are `undefined`.
    """
    if metric.kind == "quantile":
        reason = "quantiles have no always-valid interval here"
        return estimates.undefined(metric, sorted(set(frame["period"])), reason, segment=segment)
    frame = frame.sort_values(["level", "period"], ignore_index=True)
    if frame.empty:
        return results.empty()
    moments = Moments.from_frame(frame)
    centre, error = _centred(metric, moments)
    found = always_valid(centre, error, moments.clusters, n_star=n_star, confidence=confidence)
    least, most = {"share": (0.0, 1.0), "nps": (-100.0, 100.0)}.get(metric.kind, (-np.inf, np.inf))
    few = (metric.kind not in ("share", "nps")) & (moments.clusters < _LEAST)
    found = results.conform(
        found.assign(
            metric=metric.id, period=frame["period"], level=frame["level"], segment=segment,
            at=f"since {frame['period'].min()}", definition=definition or definition_hash(metric),
            estimate=_unit(metric) * moments.ratio, n=estimates.n_of(metric, moments), n_eff=moments.effective_n,
            conf_low=found["conf_low"].clip(least, most), conf_high=found["conf_high"].clip(least, most),
            status=found["status"].mask(few, results.TOO_FEW),
            note=found["note"].mask(few, f"fewer than {_LEAST} customers since the start"),
        )
    )  # fmt: skip
    return estimates.suppressed(found, moments.clusters, max(min_n, metric.min_n or 0))


def _centred(metric: Metric, moments: Moments) -> tuple[Numbers, Numbers]:
    """Return the centres of the intervals and their standard errors, in the metric's unit."""
    if metric.kind not in ("share", "nps"):
        return _unit(metric) * moments.ratio, _unit(metric) * np.sqrt(moments.variance)
    n, ratio = moments.effective_n, moments.ratio
    size, share = n + _EXTRA, metric.kind == "share"
    with np.errstate(invalid="ignore", divide="ignore"):
        square = np.where(moments.sums["x"] > 0, moments.squares / moments.sums["x"], np.nan)
    # Half of the extra answers are successes; of an NPS a quarter are promoters and a quarter detractors.
    centre = (ratio * n + (_EXTRA / 2 if share else 0)) / size
    spread = (square * n + _EXTRA / 2) / size - centre**2
    return _unit(metric) * centre, _unit(metric) * np.sqrt(spread / size)


def _unit(metric: Metric) -> float:
    """Return what the ratio of sums is multiplied by."""
    return 100.0 if metric.kind == "nps" else 1.0 if metric.kind == "share" else metric.scale
