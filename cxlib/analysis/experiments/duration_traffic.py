"""How many units come in so many weeks, from the days seen: counts that vary more than chance alone would have it."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from cxlib.analysis import doors
from cxlib.errors import UsageError

Numbers = NDArray[np.float64]

ARRIVALS = ("steady", "first seen")
_WEEK = 7
_ROUNDS = 5
_MOST_ALIKE = 0.8  # correlation of neighbouring weeks; above, the weeks seen tell nothing of the next ones


class Traffic(NamedTuple):
    """Weekly counts as a negative binomial: log mean = design x coefficients, variance = mean + excess x mean^2.

    `spread` is the covariance of the coefficients, `alike` the factor by which neighbouring weeks that are like each
    other widen both, `freedom` the degrees of freedom of the excess, `weeks` those seen.
    """

    coefficients: Numbers
    spread: Numbers
    excess: float
    alike: float
    freedom: int
    weeks: int


def weekly(daily: Any, day: str, units: str, arrivals: str) -> Numbers:
    """Return counts of whole weeks: back from the last day, or of units first seen on from the first day.

    Parameters
    ----------
    daily
        Frame of days and counts, each day once; days between the first and the last that lack count 0.
    day, units
        Names of its columns.
    arrivals
        See `duration`.

    Raises
    ------
    UsageError
        For columns that lack, dates and numbers that are none, days that come twice, counts below 0.
    """
    if arrivals not in ARRIVALS:
        raise UsageError(f"arrivals '{arrivals}' is none of {', '.join(ARRIVALS)}")
    frame = doors.frame(daily, "the traffic")
    doors.require(frame, {"day": day, "units": units}, "the traffic")
    when, count = doors.days(day, frame[day]), doors.numbers(units, frame[units])
    faults = []
    if when.isna().any() or np.isnan(count).any():
        faults.append(f"{int((when.isna().to_numpy() | np.isnan(count)).sum())} days without a date or a number")
    if when.duplicated().any():
        faults.append(f"{int(when.duplicated().sum())} days come twice")
    if np.any(count < 0):
        faults.append(f"{int((count < 0).sum())} days with fewer than 0 units")
    if faults:
        raise UsageError(f"the traffic has {'; '.join(faults)}", hint="Give one row a day: the day and its units.")
    if not len(frame):
        return np.empty(0)
    place = (when - when.min()).dt.days.to_numpy()
    counts = np.bincount(place, count)
    whole = counts.size // _WEEK
    kept = counts[counts.size - whole * _WEEK :] if arrivals == "steady" else counts[: whole * _WEEK]
    return np.asarray(kept.reshape(whole, _WEEK).sum(axis=1), dtype=float)


def fit(counts: Numbers, arrivals: str) -> Traffic | None:
    """Fit weekly counts: one mean, or for units first seen a falling power of the week's number.

    None with too few weeks. Where units first seen do not fall they have one mean: no rise is carried on for a year.
    """
    design = _design(counts.size, arrivals)
    freedom = counts.size - design.shape[1]
    if freedom < 2 or counts.sum() <= 0:
        return None
    if design.shape[1] > 1 and (counts - counts.mean()) @ design[:, 1] >= 0:  # the sign of the slope's score
        return fit(counts, ARRIVALS[0])
    excess = 0.0
    for _ in range(_ROUNDS):  # each knows the other: mean and excess
        found = _regressed(counts, design, excess)
        excess = _excess(counts, np.asarray(found.mu), freedom)
    found = _regressed(counts, design, excess)
    if found.params[-1] > 0 and design.shape[1] > 1:
        return fit(counts, ARRIVALS[0])
    rest = (counts - found.mu) / np.sqrt(found.mu + excess * found.mu**2)
    # The correlation of so few is low by some 1 / weeks (Kendall 1954).
    near = float(rest[1:] @ rest[:-1] / (rest @ rest)) if rest @ rest > 0 else 0.0
    near = min(max(near + (1 + 3 * near) / counts.size, 0.0), _MOST_ALIKE)
    return Traffic(found.params, found.cov_params(), excess, (1 + near) / (1 - near), freedom, counts.size)


def _regressed(counts: Numbers, design: Numbers, excess: float) -> Any:
    """Return the regression of counts whose variance is mean + excess x mean^2."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    family = sm.families.NegativeBinomial(alpha=excess) if excess > 0 else sm.families.Poisson()
    with warnings.catch_warnings():  # counts that lie on the curve are welcome here
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        return sm.GLM(counts, design, family=family).fit(scale=1.0)


def _excess(counts: Numbers, mean: Numbers, freedom: int) -> float:
    """Return the excess at which Pearson's statistic is its degrees of freedom; 0 where counts vary no more by chance.

    The method of moments (Breslow 1984, Applied Statistics 33:38).
    """
    over = lambda excess: float(np.sum((counts - mean) ** 2 / (mean + excess * mean**2))) - freedom  # noqa: E731
    if over(0.0) <= 0:
        return 0.0
    most = 1.0
    while over(most) > 0:
        most *= 2
    return float(optimize.brentq(over, 0.0, most, xtol=1e-12))


def coming(traffic: Traffic, weeks: int, confidence: float) -> tuple[Numbers, Numbers, Numbers]:
    """Return units that will have come after 1, 2, ... weeks, and the limits within which they will lie."""
    design = _design(weeks, ARRIVALS[traffic.coefficients.size - 1])
    each = np.exp(design @ traffic.coefficients)
    total, slope = np.cumsum(each), np.cumsum(each[:, None] * design, axis=0)
    variance = np.einsum("wi,ij,wj->w", slope, traffic.spread, slope) + np.cumsum(each + traffic.excess * each**2)
    half = stats.t.isf((1 - confidence) / 2, traffic.freedom) * np.sqrt(variance * traffic.alike)
    # Both limits rise with the weeks: nobody who has come goes away again.
    return total, np.maximum.accumulate(np.maximum(total - half, 0.0)), np.maximum.accumulate(total + half)


def _design(weeks: int, arrivals: str) -> Numbers:
    ones = np.ones((weeks, 1))
    return ones if arrivals == "steady" else np.column_stack([ones, np.log(np.arange(1, weeks + 1))])
