"""How long do customers stay? Kaplan-Meier curves with medians and restricted means, and how groups differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.analysis.doors import numbers
from cxlib.analysis.loyalty.doors import noted
from cxlib.analysis.loyalty.kaplan import Curve, bounds, check_interval, curves, watch
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers
from cxlib.measure.verdicts import adjust

SURVIVAL, MEDIAN, RESTRICTED_MEAN = "survival", "median_survival", "restricted_mean"
_MOST_TIMES = 100
_NOBODY_LEFT = "nobody has left yet: the interval has no width"
_ALL_LEFT = "everybody has left: the upper limit is that of the time before"


def survival(
    durations: ArrayLike | pd.Series,
    events: ArrayLike | pd.Series,
    *,
    by: ArrayLike | pd.Series | None = None,
    at: ArrayLike | None = None,
    horizon: float | None = None,
    entry: ArrayLike | pd.Series | None = None,
    interval: str = "log",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate how long customers stay, those still here counted for as long as they were watched (Kaplan-Meier).

    Parameters
    ----------
    durations
        How long each customer was watched, shape (n,), in any one unit; 0 counts.
    events
        Whether the customer left at the end of it (true or 1), or was still here when watching ended; shape (n,).
    by
        Labels of groups, shape (n,); a Series gives the segment its name.
    at
        Times at which the share still there is asked for; default every time at which somebody left, or at most a
        hundred round ones where there are more.
    horizon
        Up to where the restricted mean is taken; default the longest time that every group was watched for.
    entry
        From which duration on each customer was watched (left truncation): who was a customer for 300 days when
        records began enters at 300. Without it such customers make everybody seem too loyal; who enters at 0 was
        watched from the first moment, and counts at 0.
    interval
        `log` (default, that of R's `survfit`) or `log-log` (that of lifelines and Stata).
    confidence
        Of the intervals.
    min_n
        Rows with fewer customers in the group, or fewer still watched at the time, are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame; for each group rows `survival` at each time (`at`; n: customers of the group, n_eff: those
        watched just before that time), `median_survival` (`undefined` where fewer than half have left) and
        `restricted_mean`. `std_error` is Greenwood's.

    Raises
    ------
    UsageError
        For durations below 0, events that are not true or false, lengths that differ, an unknown interval.

    Source: Kaplan and Meier (1958) JASA 53:457; Greenwood (1926); medians by Brookmeyer and Crowley (1982) Biometrics
    38:29, with R's middle of a flat stretch at one half; restricted means as R survival, `print.survfit(rmean=)`.
    """
    intervals.check_confidence(confidence)
    check_interval(interval)
    people = watch(durations, events, by, entry)
    found_by = curves(people)
    when = times_of(at, list(found_by.values()))
    until = horizon_of(horizon, list(found_by.values()))
    parts = []
    for name, found in found_by.items():
        rows = [_shares(found, when, confidence, interval), _median(found, confidence, interval)]
        rows.append(_restricted(found, until, confidence))
        parts += [part.assign(level=name) for part in rows]
    whole = noted(results.concat(parts), people.note)
    return hidden(results.conform(whole.assign(segment=people.group.segment)), min_n)


def restricted_mean_difference(
    durations: ArrayLike | pd.Series,
    events: ArrayLike | pd.Series,
    by: ArrayLike | pd.Series,
    *,
    horizon: float | None = None,
    against: str | None = None,
    entry: ArrayLike | pd.Series | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate how much longer each group stays than another, on average up to a horizon.

    Parameters
    ----------
    durations, events, by, horizon, entry
        As in `survival`.
    against
        The level that the others are compared with; default the first.
    confidence
        Of the intervals, by the normal distribution.
    min_n
        Rows where either group has fewer customers are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, one row a level other than `against`, in the unit of the
        durations; `p_adjusted` over the rows (Benjamini and Hochberg).

    Raises
    ------
    UsageError
        As `survival`; for a level that does not occur, and fewer than two levels.

    Source: Uno et al. (2014) J. Clin. Oncol. 32:2380 (R survRM2, whose variance is this one but for n - 1).
    """
    intervals.check_confidence(confidence)
    people = watch(durations, events, by, entry)
    found_by = curves(people)
    base = _base(list(found_by), against)
    until = horizon_of(horizon, list(found_by.values()))
    areas = {name: _area(found, until) for name, found in found_by.items()}
    names = [name for name in found_by if name != base]
    value = np.array([areas[name][0] - areas[base][0] for name in names])
    error = np.array([np.hypot(areas[name][1], areas[base][1]) for name in names])
    low, high, p_value = intervals.by_z(value, error, confidence)
    flat = (error == 0) | np.isnan(value)
    size = np.array([found_by[name].n for name in names], dtype=float)
    found = results.frame(
        metric=RESTRICTED_MEAN, segment=people.group.segment, level=names, at=f"{until:g}", comparison="difference",
        against=base, method=f"difference of areas under Kaplan-Meier to {until:g}, z", estimate=value,
        std_error=error, conf_low=low, conf_high=high, p_value=p_value, n=size + found_by[base].n,
        p_adjusted=adjust(np.where(flat, np.nan, p_value)), status=np.where(flat, results.UNDEFINED, results.OK),
        note=np.where(np.isnan(value), f"a group was not watched up to {until:g}",
                      np.where(flat, "nobody left in either group", people.note)),
    )  # fmt: skip
    least = np.minimum(size, found_by[base].n)
    return results.conform(results.suppress(found.assign(n=least), min_n).assign(n=found["n"]))


def _base(names: list[str], against: str | None) -> str:
    """Return the level that others are compared with."""
    if len(names) < 2:
        raise UsageError(f"a difference needs two levels; there is {', '.join(names) or 'none'}")
    if against is not None and against not in names:
        raise UsageError(f"there is no level '{against}'{did_you_mean(against, names)}", hint=f"There are {names}.")
    return against if against is not None else names[0]


def times_of(at: ArrayLike | None, found: list[Curve]) -> Numbers:
    """Return the times asked for, sorted."""
    if at is not None:
        asked = np.unique(numbers("at", np.atleast_1d(np.asarray(at))))
        if np.isnan(asked).any() or (asked < 0).any():
            raise UsageError("times to look at are 0 or more")
        return asked
    times = np.unique(np.concatenate([one.times for one in found]))
    if times.size == 0:
        return np.array([max(one.last for one in found)])
    if times.size <= _MOST_TIMES:
        return times
    last, least = float(times[-1]), float(times[-1]) / _MOST_TIMES
    unit = 10.0 ** np.floor(np.log10(least))
    step = next(width * unit for width in (1, 2, 5, 10) if width * unit >= least)
    return np.arange(1, int(last / step) + 1) * step


def horizon_of(horizon: float | None, found: list[Curve]) -> float:
    """Return where restricted means end."""
    if horizon is None:
        return min(one.last for one in found)
    if not horizon > 0:
        raise UsageError(f"the horizon of a restricted mean lies above 0, not at {horizon}")
    return float(horizon)


def _shares(found: Curve, when: Numbers, confidence: float, interval: str) -> pd.DataFrame:
    """Return the rows `survival` of one group."""
    share, error = found.at(when)
    low, high = bounds(share, error, confidence, interval)
    empty = share == 0
    if empty.any():
        limits = found.limits(confidence, interval)
        low, high = np.where(empty, 0.0, low), np.where(empty, limits[1][-1], high)
    beyond = np.isnan(share)
    note = np.where(share == 1, _NOBODY_LEFT, np.where(empty, _ALL_LEFT, ""))
    return results.frame(
        metric=SURVIVAL, at=[f"{time:g}" for time in when], method=f"Kaplan-Meier, {interval} interval",
        estimate=share, std_error=error, conf_low=low, conf_high=high, n=float(found.n), n_eff=found.left_at(when),
        status=np.where(beyond, results.UNDEFINED, results.OK),
        note=np.where(beyond, found.beyond, note),
    )  # fmt: skip


def _median(found: Curve, confidence: float, interval: str) -> pd.DataFrame:
    """Return the row `median_survival` of one group."""
    low, high = found.limits(confidence, interval)
    middle, first, last = (found.half(values) for values in (found.survival, low, high))
    named: dict[str, Any] = {"metric": MEDIAN, "method": f"Kaplan-Meier, {interval} interval inverted"}
    if np.isnan(middle):
        lowest = float(found.survival[-1]) if found.survival.size else 1.0
        note = f"fewer than half have left: {100 * lowest:.1f} % are still there at {found.last:g}"
        note = f"{note}, and {found.beyond}" if found.last < found.watched[-1] else note
        note += "" if np.isnan(first) else f"; the lower limit is {first:g}"
        return results.frame(**named, status=results.UNDEFINED, note=note)
    note = "" if np.isfinite(last) else "the upper limit lies beyond the time watched"
    return results.frame(
        **named, estimate=middle, conf_low=first, conf_high=np.inf if np.isnan(last) else last, n=float(found.n),
        note=note,
    )  # fmt: skip


def _area(found: Curve, until: float) -> tuple[float, float]:
    """Return the restricted mean and its standard error; missing where the curve does not reach so far."""
    short = until > found.last and (not found.survival.size or found.survival[-1] > 0)
    return (np.nan, np.nan) if short else found.area(until)


def _restricted(found: Curve, until: float, confidence: float) -> pd.DataFrame:
    """Return the row `restricted_mean` of one group."""
    value, error = _area(found, until)
    half = intervals.z_of(confidence) * error
    none = bool(np.isnan(value))
    return results.frame(
        metric=RESTRICTED_MEAN, at=f"{until:g}", method=f"area under Kaplan-Meier to {until:g}, z", estimate=value,
        std_error=error, conf_low=max(value - half, 0.0), conf_high=min(value + half, until), n=float(found.n),
        status=results.UNDEFINED if none else results.OK,
        note=found.beyond if none else _NOBODY_LEFT if error == 0 else "",
    )  # fmt: skip


def hidden(found: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Suppress rows of small groups, and of times at which some but few were still watched: steps tell who left."""
    watched = found["n_eff"].where(found["n_eff"] > 0)
    least = np.fmin(found["n"], watched)
    return results.conform(results.suppress(found.assign(n=least), min_n).assign(n=found["n"]))
