"""How long an experiment must run, from the traffic seen, and what is found when it stops earlier.

Units are counted at their first day: a customer who comes back is exposed already. So `daily` holds, for each day, the
units that were new on it, and there are two kinds of new:

- `steady`: new to the company, to the order, to the call: as many in one week as in the next, but for chance and the
  season. Any past days will do.
- `first seen`: everybody, at their first visit since a day. Many come in the first week and few in the tenth, because
  the regulars have been seen by then. The past days must begin as the experiment would, with nobody seen; the count of
  visitors a day, which counts regulars every day, would promise an end weeks too early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.experiments import duration_traffic, power_terms
from cxlib.measure import intervals

_YEAR, _WEEK = 52, 7
_FEW = "fewer than {} whole weeks of traffic, or nobody in them: too little to tell how it varies"
_VARIES = "as traffic varies from week to week"
_LEAST = 10  # units of an arm, without which nothing is said of what they find


def units_by_week(
    daily: pd.DataFrame,
    *,
    weeks: int = _YEAR,
    arrivals: str = "steady",
    share: float = 1.0,
    day: str = "day",
    units: str = "units",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Forecast how many units will have come after each week.

    Parameters
    ----------
    daily
        Columns of days and of units that were new on them, one row a day, whole days only; see above.
    weeks
        How many to forecast.
    arrivals
        `steady` or `first seen`; see above.
    share
        Of the units that come, those that take part, above 0 up to 1.
    day, units
        Names of the columns of `daily`.
    confidence
        That the units of a week lie within its limits.

    Returns
    -------
    pandas.DataFrame
        A result row a week, `metric = "units"`, `segment = "week"`, `level` its number: all units since the start, n
        the weeks of past traffic. One row `too_few` where `daily` has fewer than three whole weeks (four, for `first
        seen`).

    Notes
    -----
    Counts of whole weeks, so that weekdays do not matter, by a negative binomial whose variance is mean + c mean^2, c
    by moments (Breslow 1984, Applied Statistics 33:38): one mean, or for `first seen` a falling power of the week's
    number. Limits allow for the spread of weeks, for that of the estimates, and for neighbouring weeks that are alike,
    by their correlation. They do not foresee a season, a campaign or a holiday that the past days have not seen. In
    simulations of 6 to 26 weeks 95 % limits hold 94 to 99 of 100 sums where weeks are independent; where neighbours
    correlate by .5, 88 to 97 (`first seen` 80 to 94), and by .8, 74 to 97 (53 to 90), least with 6 weeks: bring a
    quarter or more.
    """
    found = _coming(daily, weeks, arrivals, share, day, units, confidence)
    if isinstance(found, str):
        return results.frame(metric="units", status=results.TOO_FEW, note=found)
    total, low, high, seen = found
    return results.frame(
        metric="units", segment="week", level=[str(week) for week in range(1, weeks + 1)], estimate=total, conf_low=low,
        conf_high=high, n=seen, method=_method(arrivals), note=_VARIES,
    )  # fmt: skip


def duration(
    needed: float | pd.DataFrame,
    daily: pd.DataFrame,
    *,
    arms: int = 2,
    window: int = 0,
    longest: int = _YEAR,
    arrivals: str = "steady",
    share: float = 1.0,
    day: str = "day",
    units: str = "units",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Work out how many weeks an experiment takes: until enough units have come, and their outcomes are known.

    Parameters
    ----------
    needed
        Units of each arm, or the rows of a sample size function or of `exposed_for` (control, treatment).
    daily
        As for `units_by_week`.
    arms
        Control and treatments; with `needed` as rows each treatment takes as many as the second row says.
    window
        Days after a unit's first exposure until its outcome is known.
    longest
        Weeks of exposure beyond which it is called out of reach.
    arrivals, share, day, units, confidence
        As for `units_by_week`.

    Returns
    -------
    pandas.DataFrame
        Two result rows: `duration`, whole weeks from the first exposure to the last outcome, and `exposure`, those of
        them in which units are exposed; n are the units of all arms. Limits are the weeks in a good and in a bad run of
        traffic; the upper one is missing where even `longest` would not do then, and `note` says so. `undefined` where
        it would not do on average: `note` says how many units come; and where no number of units would do.

    Raises
    ------
    UsageError
        For units that are no number above 0, and numbers of arms, days and weeks that are none.
    """
    arms = doors.whole("arms", arms, 2, 100)
    window, longest = doors.whole("window", window, 0, 3650), doors.whole("longest", longest, 1, 520)
    rows, names = power_terms.sizes(needed), np.array(["duration", "exposure"])
    if (rows["status"] != results.OK).any():
        return results.frame(metric=names, status=results.UNDEFINED, note=rows["note"].max())
    each = rows["n"].to_numpy(dtype=float)
    total = float(each[0] + (arms - 1) * each[-1])
    found = _coming(daily, longest, arrivals, share, day, units, confidence)
    if isinstance(found, str):
        return results.frame(metric=names, status=results.TOO_FEW, note=found)
    mean, low, high, _ = found
    if mean[-1] < total:
        words = f"cannot be reached within {longest} weeks: {mean[-1]:,.0f} of {total:,.0f} units come in that time"
        return results.frame(metric=names, status=results.UNDEFINED, note=words, method=_method(arrivals))
    exposure = np.array([_first(mean, total), _first(high, total), _first(low, total)])
    whole = np.ceil((exposure * _WEEK + window) / _WEEK)
    told = f"{_VARIES}" if exposure[2] <= longest else f"in a bad run of traffic not within {longest} weeks"
    ends = np.array([whole, exposure])
    after = f"{window} days until the last outcome is known, {told}" if window else told
    return results.frame(
        metric=names, estimate=ends[:, 0], conf_low=ends[:, 1],
        conf_high=np.where(exposure[2] <= longest, ends[:, 2], np.nan), n=total, method=_method(arrivals),
        note=[after, told],
    )  # fmt: skip


def detectable(
    daily: pd.DataFrame,
    smallest: Callable[[float], pd.DataFrame],
    *,
    weeks: int | Iterable[int] = (1, 2, 3, 4, 6, 8, 12),
    arms: int = 2,
    ratio: float = 1.0,
    response_rate: float = 1.0,
    arrivals: str = "steady",
    share: float = 1.0,
    day: str = "day",
    units: str = "units",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Work out the smallest effect that is found when the exposure stops after so many weeks.

    Parameters
    ----------
    daily
        As for `units_by_week`.
    smallest
        Units (or answers) of the control arm -> the row of a smallest effect: `lambda n: smallest_effect_share(n,
        0.2)`.
    weeks
        Weeks of exposure, one or several.
    arms, ratio
        Control and treatments, and units of each treatment for one of the control.
    response_rate
        Share of the units that have an outcome.
    arrivals, share, day, units, confidence
        As for `units_by_week`.

    Returns
    -------
    pandas.DataFrame
        A result row for each number of weeks, `metric = "smallest_effect"`, `segment = "week"`, `level` the weeks, n
        the units of the control arm that have an outcome; limits are those of the traffic. `too_few` where fewer than
        ten would have one, `undefined` where no effect that there can be would be found.
    """
    given = [weeks] if isinstance(weeks, int | np.integer) else list(weeks)
    counts = sorted({doors.whole("weeks", week, 1, 520) for week in given})
    arms = doors.whole("arms", arms, 2, 100)
    parts = (("ratio", ratio), ("response rate", response_rate))
    wrong = [name for name, value in parts if not (power_terms.is_number(value) and value > 0)]
    power_terms.refuse([f"{name} is no number above 0" for name in wrong])
    found = _coming(daily, counts[-1], arrivals, share, day, units, confidence)
    if isinstance(found, str):
        return results.frame(metric="smallest_effect", status=results.TOO_FEW, note=found)
    part = response_rate / (1 + (arms - 1) * ratio)
    control = np.array(found[:3]) * part
    return results.concat(by_traffic(smallest, week, control[:, week - 1].tolist()) for week in counts)


def by_traffic(found_by: Callable[[float], pd.DataFrame], week: int, control: list[float]) -> pd.DataFrame:
    """Return the row of what the control's units of a week find, with a bad and a good run of traffic as limits.

    Parameters
    ----------
    found_by
        Units of the control arm -> a row.
    week
        Weeks of exposure.
    control
        Units of the control arm that have an outcome by then: expected, in a bad run, in a good one.
    """
    shown: dict[str, Any] = {"segment": "week", "level": str(week)}
    row = found_by(max(control[0], _LEAST)).assign(**shown)
    if control[0] < _LEAST:
        words = f"fewer than {_LEAST} units an arm by then"
        return results.conform(row.assign(at="", status=results.TOO_FEW, note=words))
    value = float(row["estimate"].iloc[0])
    ends = [float(found_by(units)["estimate"].iloc[0]) for units in control[1:] if units >= _LEAST]
    low, high = (next((end for end in ends if side * (end - value) <= 0), np.nan) for side in (1, -1))
    note = row["note"].where(row["status"] != results.OK, _VARIES)
    return results.conform(row.assign(conf_low=low, conf_high=high, note=note))


def _coming(
    daily: Any, weeks: int, arrivals: str, share: float, day: str, units: str, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int] | str:
    """Return units of each week with their limits and the weeks seen, or why there are none."""
    intervals.check_confidence(confidence)
    weeks = doors.whole("weeks", weeks, 1, 520)
    if not (power_terms.is_number(share) and 0 < share <= 1):
        power_terms.refuse([f"share {share!r} is not above 0 and up to 1"])
    counts = duration_traffic.weekly(daily, day, units, arrivals) * share
    traffic = duration_traffic.fit(counts, arrivals)
    if traffic is None:
        return _FEW.format(3 if arrivals == "steady" else 4)
    return (*duration_traffic.coming(traffic, weeks, confidence), traffic.weeks)


def _first(totals: np.ndarray, wanted: float) -> float:
    """Return the first week by which so many have come, one more than there are if none."""
    return float(np.searchsorted(totals, wanted * (1 - 1e-12)) + 1)


def _method(arrivals: str) -> str:
    return f"negative binomial by week, {arrivals}"
