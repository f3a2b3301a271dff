"""Is this month within what the process does by itself? XmR charts with the rules of NHS England's Making Data Count.

Limits: the mean of a baseline and 2.66 (3 / 1.128) mean moving ranges to both sides; a moving range is the step between
two neighbouring periods, and 3.268 mean moving ranges are its own limit (Wheeler, Making Sense of Data, 2003; Wheeler
and Chambers 1992). Rules as in the R package NHSRplotthedots 0.2 (with `screen_outliers = FALSE`, as in the programme's
workbooks): a point outside the limits; 7 or more in a row on one side of the mean; 7 or more that only rise or only
fall; 2 of 3 beyond two thirds of the way to one limit, all three on that side of the mean.

Two things differ from that package. Whether a rising or falling run is good news is told by its direction, not by the
side of the mean that it is still on. And a period without a figure is a gap: no moving range, run or pair bridges it.

Recalculated limits move the goalposts, so they are kept: the baseline is the first 24 periods with a figure, and while
there are fewer (12 at least) the limits are trial limits that each period still changes (Provost and Murray 2011, The
Health Care Data Guide, advise 20 to 30). To start anew after a known change, hand in the periods from then on.

On pure noise (normal, independent; 20,000 series) the last of 36 periods is flagged in 1.0 % of the series as outside
the limits, 2.5 % by seven in a row, 0.0 % by a trend, 0.3 % by two of three, 3.7 % by any (with limits from 12 periods
5.9 %, from all 36 1.5 %). Of all 36 periods some are flagged in 14, 19, 1, 5 and 32 %: the chart tells where to look
and is no test. The limits take every period alike, whatever its n: read a point's own interval beside them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib import results
from cxlib.errors import UsageError
from cxlib.params import Metric
from cxlib.periods import Period

Numbers = NDArray[np.float64]
Signs = NDArray[np.int8]

IMPROVEMENT, CONCERN, NEITHER, MIXED = "improvement", "concern", "signal", "mixed"
TONES = (IMPROVEMENT, CONCERN, NEITHER, MIXED)
LIMITS, STEPS = "process limits", "moving range"  # what `against` says

LEAST, LOCKED = 12, 24
FALSE_ALARMS = 4  # series of 100 whose last period noise flags, rounded up; see above
_LEAST_STEPS = 8  # neighbouring pairs without which a mean step says nothing
_WIDTH, _STEP_LIMIT, _NEAR = 2.66, 3.268, 2 / 3
_RUN = 7
_SCALES = {"share": (0.0, 1.0), "nps": (-100.0, 100.0), "rate": (0.0, np.inf)}
_ROUNDING = 1e-12  # of the largest value: below, two numbers are the same
_GAP = "no figure: runs and steps start anew after it"
_LARGE_STEP = "a larger step than this process makes by itself"


class Limits(NamedTuple):
    """What a baseline says of a process: `mean`, natural process limits, mean moving range and its upper limit."""

    mean: float
    low: float
    high: float
    step: float
    step_high: float
    figures: int


class Signal(NamedTuple):
    """Periods that one rule flags: `outside`, `run`, `trend` or `near`; from `start` to before `end`; `way` 1 or -1."""

    rule: str
    start: int
    end: int
    way: int


def limits(values: ArrayLike, *, baseline: int | None = None) -> Limits | None:
    """Return the limits of one series.

    Parameters
    ----------
    values
        One number per period, oldest first, shape (T,); missing where there is no figure.
    baseline
        How many of the first figures the limits are made from, 12 at least; default the first 24, all while there are
        fewer.

    Returns
    -------
    Limits or None
        None where there are fewer than 12 figures (or fewer than `baseline`), or fewer than 8 pairs of neighbours.

    Raises
    ------
    UsageError
        For a baseline of fewer than 12.
    """
    if baseline is not None and baseline < LEAST:
        raise UsageError(f"a baseline of {baseline} periods", hint=f"Limits need at least {LEAST}.")
    y = np.asarray(values, dtype=float)
    known = np.flatnonzero(~np.isnan(y))[: baseline or LOCKED]
    base = y[: known[-1] + 1] if known.size else y[:0]
    steps = np.abs(np.diff(base))
    steps = steps[~np.isnan(steps)]
    if known.size < (baseline or LEAST) or steps.size < _LEAST_STEPS:
        return None
    mean, step = float(y[known].mean()), float(steps.mean())
    return Limits(mean, mean - _WIDTH * step, mean + _WIDTH * step, step, _STEP_LIMIT * step, int(known.size))


def signals(values: ArrayLike, found: Limits) -> list[Signal]:
    """Apply the rules to one series.

    Parameters
    ----------
    values
        Shape (T,), missing where there is no figure.
    found
        The limits.

    Returns
    -------
    list of Signal
        What the rules flag, rule by rule and oldest first; runs and trends in their full length.
    """
    y = np.asarray(values, dtype=float)
    same = _ROUNDING * float(np.nanmax(np.abs(y), initial=0.0))
    side = _sign(y - found.mean, same)
    outside = _sign(y - found.high, same).clip(0) - _sign(found.low - y, same).clip(0)
    reach = _NEAR * (found.high - found.mean)
    near = np.where(outside == 0, _sign(np.abs(y - found.mean) - reach, same).clip(0) * side, 0).astype(np.int8)
    pairs = _two_of_three(near, side)
    flagged = [Signal("outside", place, place + 1, int(outside[place])) for place in np.flatnonzero(outside).tolist()]
    flagged += [Signal("run", *run) for run in _stretches(side) if run[1] - run[0] >= _RUN]
    rises = [(start, end + 1, way) for start, end, way in _stretches(_sign(np.diff(y), same))]
    flagged += [Signal("trend", *rise) for rise in rises if rise[1] - rise[0] >= _RUN]
    return flagged + [Signal("near", place, place + 1, int(pairs[place])) for place in np.flatnonzero(pairs).tolist()]


def xmr(
    series: pd.DataFrame | ArrayLike,
    metrics: Mapping[str, Metric] | None = None,
    *,
    higher_is_better: bool | None = None,
    baseline: int | None = None,
) -> pd.DataFrame:
    """Put limits around series of estimates and flag the periods that do not belong.

    Parameters
    ----------
    series
        A result frame: its `level` rows with a period and without `at` are taken, each metric, segment and level a
        series of its own. Or the numbers of one series, oldest first, shape (T,); `at` then counts them from 1.
    metrics
        Metric id -> definition, for what is good news; `higher_is_better` serves where there is none.
    higher_is_better
        Direction of series without a definition; None has neither improvement nor concern.
    baseline
        See `limits`.

    Returns
    -------
    pandas.DataFrame
        A result frame: the `level` rows as they came, then for every period from first to last two rows with
        `comparison = "index"`. Against `process limits`: the mean as the estimate, the limits as its interval (no
        further than the scale of shares, NPS and rates goes; the rules take them as they are); the `note` of a flagged
        period reads `concern: 8 months in a row below the mean since 2026-03`, several rules apart by `; `, with
        `improvement`, `signal` (no direction is better) or `mixed` in place of `concern`. Against `moving range`: the
        step from the period before, between 0 and its limit. `too_few` where there are no limits.

    Raises
    ------
    UsageError
        For a baseline of fewer than 12; for a series with periods of two kinds, or with two figures for one period.
    """
    rows = series if isinstance(series, pd.DataFrame) else _numbered(series)
    rows = rows[(rows["comparison"] == "level") & ((rows["at"] == "") | (rows["period"] == ""))]
    rows = rows.drop_duplicates().sort_values(["metric", "segment", "level", "period"], kind="stable")
    parts = [rows]
    for (metric, segment, level), own in rows.groupby(["metric", "segment", "level"], sort=True):
        known = (metrics or {}).get(str(metric))
        better = known.higher_is_better if known else higher_is_better
        words = {"metric": metric, "segment": segment, "level": level, "definition": own["definition"].iloc[0]}
        scale = _SCALES.get(known.kind if known else "", (-np.inf, np.inf))
        parts.append(_charted(_complete(own), better, baseline, scale).assign(**words))
    return results.concat(parts)


def _charted(own: pd.DataFrame, better: bool | None, baseline: int | None, scale: tuple[float, float]) -> pd.DataFrame:
    """Return the two rows of each period of one series without a gap in its rows."""
    y, names = own["estimate"].to_numpy(dtype=float), _names(own)
    where = {"period": own["period"].to_numpy(), "at": own["at"].to_numpy(), "comparison": "index"}
    where |= {"n": own["n"].to_numpy()}
    found = limits(y, baseline=baseline)
    if found is None:
        return results.frame(**where, against=LIMITS, method="XmR", status=results.TOO_FEW, note=_lacking(y, baseline))
    method = _method(names, y, found, baseline)
    notes = np.where(np.isnan(y), _GAP, _notes(own, names, found, better))
    low, high = np.clip((found.low, found.high), *scale)
    lines = {"estimate": found.mean, "conf_low": low, "conf_high": high}
    process = results.frame(**where, **lines, against=LIMITS, method=method, note=notes)
    step = np.abs(np.diff(y, prepend=np.nan))
    ranges = results.frame(
        **where, estimate=step, conf_low=0.0, conf_high=found.step_high, against=STEPS, method=method,
        status=np.where(np.isnan(step), results.UNDEFINED, results.OK),
        note=np.where(np.isnan(step), "no figure here or in the period before",
                      np.where(step > found.step_high * (1 + _ROUNDING), _LARGE_STEP, "")),
    )  # fmt: skip
    return results.concat([process, ranges])


def _lacking(y: Numbers, baseline: int | None) -> str:
    """Say what limits need and do not have."""
    needed, known = baseline or LEAST, int(np.count_nonzero(~np.isnan(y)))
    if known < needed:
        return f"limits need {needed} periods with a figure; there are {known}"
    return f"limits need {_LEAST_STEPS} pairs of neighbouring periods with a figure"


def _notes(own: pd.DataFrame, names: list[str], found: Limits, better: bool | None) -> list[str]:
    """Return what is to be said of each period: how good the news is, and which rules say so."""
    low, high = own["conf_low"].to_numpy(dtype=float), own["conf_high"].to_numpy(dtype=float)
    told: list[list[str]] = [[] for _ in names]
    ways: list[set[int]] = [set() for _ in names]
    for signal in signals(own["estimate"].to_numpy(dtype=float), found):
        words = _words(signal, _noun(own), names)
        for place in range(signal.start, signal.end):
            reaches = low[place] <= found.high if signal.way > 0 else high[place] >= found.low
            inside = signal.rule == "outside" and reaches
            told[place].append(words + (", though its interval reaches inside" if inside else ""))
            ways[place].add(signal.way)
    return [f"{_tone(way, better)}: {'; '.join(words)}" if words else "" for way, words in zip(ways, told, strict=True)]


def _words(signal: Signal, noun: str, names: list[str]) -> str:
    """Return a rule in words."""
    up, length, since = signal.way > 0, signal.end - signal.start, names[signal.start]
    return {
        "outside": "above the upper limit" if up else "below the lower limit",
        "run": f"{length} {noun} in a row {'above' if up else 'below'} the mean since {since}",
        "trend": f"{length} {noun} in a row {'rising' if up else 'falling'} since {since}",
        "near": f"2 of 3 {noun} near the {'upper' if up else 'lower'} limit",
    }[signal.rule]


def _tone(ways: set[int], better: bool | None) -> str:
    """Return whether what moved these ways is good news."""
    if better is None:
        return NEITHER
    return MIXED if len(ways) > 1 else IMPROVEMENT if (ways == {1}) == better else CONCERN


def _two_of_three(near: Signs, side: Signs) -> Signs:
    """Flag those near a limit that are two or more of three neighbours on that side of the mean."""
    out = np.zeros_like(near)
    for start in range(len(near) - 2):
        three = slice(start, start + 3)
        if abs(int(side[three].sum())) == 3 and np.count_nonzero(near[three]) >= 2:
            out[three] = np.where(near[three] != 0, near[three], out[three])
    return out


def _stretches(signs: Signs) -> list[tuple[int, int, int]]:
    """Return (start, end, sign) of every stretch of one sign that is not 0; `end` is the first place after it."""
    edges = [0, *(np.flatnonzero(np.diff(signs)) + 1), len(signs)]
    return [(int(a), int(b), int(signs[a])) for a, b in itertools.pairwise(edges) if a < b and signs[a]]


def _sign(values: Numbers, same: float) -> Signs:
    """Return -1, 0 or 1; 0 for what is missing or no more than rounding."""
    with np.errstate(invalid="ignore"):
        return (np.where(values > same, 1, 0) - np.where(values < -same, 1, 0)).astype(np.int8)


def _numbered(values: ArrayLike) -> pd.DataFrame:
    """Return bare numbers as the rows of one series."""
    y = np.atleast_1d(np.asarray(values, dtype=float))
    status = np.where(np.isnan(y), results.UNDEFINED, results.OK)
    return results.frame(estimate=y, at=[str(place + 1) for place in range(y.size)], status=status)


def _complete(own: pd.DataFrame) -> pd.DataFrame:
    """Return one row for every period from first to last, without numbers where the frame has none."""
    if (own["period"] == "").any():
        return own
    own = own.set_index("period")
    if not own.index.is_unique:
        twice = sorted(set(own.index[own.index.duplicated()]))
        raise UsageError(f"{own['metric'].iloc[0]} has several figures for {', '.join(twice)}")
    periods = [Period.parse(label) for label in own.index]
    if len({period.kind for period in periods}) > 1:
        raise UsageError(f"{own['metric'].iloc[0]} has periods of several kinds: {own.index[0]}, {own.index[-1]}")
    every = [str(period) for period in Period.range(min(periods), max(periods))]
    full = own.reindex(every).rename_axis("period").reset_index()
    return full.assign(at="")


def _names(own: pd.DataFrame) -> list[str]:
    """Return what each period is called."""
    return [period or at for period, at in zip(own["period"], own["at"], strict=True)]


def _noun(own: pd.DataFrame) -> str:
    """Return `months`, `weeks` or, for bare numbers, `points`."""
    label = own["period"].iloc[0]
    return f"{Period.parse(label).kind}s" if label else "points"


def _method(names: list[str], y: Numbers, found: Limits, baseline: int | None) -> str:
    """Name the limits and what they are made from."""
    known = [name for name, value in zip(names, y, strict=True) if not np.isnan(value)][: found.figures]
    trial = ", trial limits" if baseline is None and found.figures < LOCKED else ""
    return f"XmR, 2.66 mean moving ranges, from {found.figures} figures, {known[0]} to {known[-1]}{trial}"
