"""How long a step of a funnel takes: Kaplan-Meier from counted times, and the times of those who took it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.loyalty.kaplan import Curve, bounds
from cxlib.measure.quantiles import Counts, counted_quantile
from cxlib.measure.rows import Numbers

TIME, ARRIVED, WITHIN = "time to next stage", "time of those who got there", "reached within"
QUARTILES = {"lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75}
_INTERVAL = "log-log"
_NAMED = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def curve_of(counts: pd.DataFrame) -> Curve:
    """Return the Kaplan-Meier curve of counted times: `seconds`, `reached`, `customers`; who did not reach is censored.

    That of `loyalty.kaplan.curve` with each customer a row of their own, but for when the watching of each ended.
    """
    table = counts.pivot_table(index="seconds", columns="reached", values="customers", aggfunc="sum", fill_value=0)
    table = table.reindex(columns=[False, True], fill_value=0).sort_index()
    times, gone = table.index.to_numpy(dtype=float), table.to_numpy(dtype=float)
    n = float(gone.sum())
    risk = n - np.concatenate([[0.0], np.cumsum(gone.sum(axis=1))[:-1]])
    there = gone[:, 1] > 0
    events, risk = gone[there, 1], risk[there]
    share = np.cumprod(1 - events / risk)
    worth = np.divide(events, risk * (risk - events), out=np.zeros_like(risk), where=risk > events)
    error = share * np.sqrt(np.cumsum(worth))
    last = float(times[-1])
    return Curve(
        times[there], share, error, risk, events, int(n), last, np.array([last]), np.array([]),
        f"nobody was watched for longer than {about(last)}",
    )  # fmt: skip


def quartiles(counts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return by when a quarter, a half and three quarters of all who might take a step had taken it."""
    found = curve_of(counts)
    low, high = found.limits(confidence, _INTERVAL)[0], _at_nobody(found, confidence)
    parts = []
    for name, part in QUARTILES.items():
        scale = 0.5 / (1 - part)  # where the curve reaches 1 - part, this many times it reaches one half
        middle, first, last = (found.half(values * scale) for values in (found.survival, low, high))
        same = {"metric": TIME, "at": name, "method": f"Kaplan-Meier, {_INTERVAL} interval inverted"}
        if np.isnan(middle):
            reached = 1 - (float(found.survival[-1]) if found.survival.size else 1.0)
            note = f"{100 * reached:.1f} % had gone on after {about(found.last)}, the longest that anybody was watched"
            parts.append(results.frame(**same, status=results.UNDEFINED, note=note))
            continue
        parts.append(
            results.frame(
                **same,
                estimate=middle,
                conf_low=middle if np.isnan(first) else first,
                conf_high=np.inf if np.isnan(last) else last,
                n=float(found.n),
                note="the upper limit lies beyond the time watched" if np.isnan(last) else "",
            )
        )
    return results.concat(parts)


def _at_nobody(found: Curve, confidence: float) -> Numbers:
    """Return the upper limits of the curve with those where it falls to 0: what is left if none of so many stays."""
    high = found.limits(confidence, _INTERVAL)[1]
    before = np.append(1.0, high)[: high.size]
    return np.where(found.survival <= 0, before * _none_of(found.at_risk, confidence, upper=True), high)


def _none_of(n: Numbers, confidence: float, *, upper: bool) -> Numbers:
    """Return the upper limit of a share of which none of n was seen, or the lower of one of which all were."""
    tail = ((1 - confidence) / 2) ** (1 / np.maximum(n, 1.0))
    return np.where(n > 0, 1 - tail if upper else tail, 1.0 if upper else 0.0)


def arrivals(counts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the quartiles of the time that those needed who took a step, of customers whose window is over."""
    own = counts[counts["reached"] & counts["closed"]]
    cells = Counts(np.zeros(len(own), dtype=int), own["seconds"], own["customers"], 1)
    parts = [
        counted_quantile(cells, part, confidence=confidence).assign(metric=ARRIVED, at=name)
        for name, part in QUARTILES.items()
    ]
    return results.conform(_said(results.concat(parts)))


def _said(found: pd.DataFrame) -> pd.DataFrame:
    """Return rows with words of their own where nobody got there."""
    return found.assign(note=found["note"].mask(found["status"] == results.UNDEFINED, "nobody got there"))


def within(counts: pd.DataFrame, horizons: Sequence[timedelta], confidence: float) -> pd.DataFrame:
    """Return which share of all who might take a step has taken it by each horizon.

    Where nobody has, or everybody, the limit on the other side is exact: that of none of so many (Clopper-Pearson).
    """
    if not horizons:
        return results.empty()
    found, when = curve_of(counts), np.array([span.total_seconds() for span in horizons])
    share, error = found.at(when)
    low, high = bounds(share, error, confidence, _INTERVAL)
    lasted = counts.groupby("seconds")["customers"].sum().sort_index()
    left = found.n - np.array([lasted[lasted.index < moment].sum() for moment in when], dtype=float)
    low = np.where(share == 1, _none_of(left, confidence, upper=False), low)
    if (share == 0).any():
        low, high = np.where(share == 0, 0.0, low), np.where(share == 0, _at_nobody(found, confidence)[-1], high)
    beyond = np.isnan(share)
    return results.frame(
        metric=WITHIN, at=[told(moment) for moment in when], comparison="share",
        method=f"Kaplan-Meier, {_INTERVAL} interval", estimate=1 - share, std_error=error,
        conf_low=1 - high, conf_high=1 - low, n=float(found.n), n_eff=left,
        status=np.where(beyond, results.UNDEFINED, results.OK), note=np.where(beyond, found.beyond, ""),
    )  # fmt: skip


def told(seconds: float) -> str:
    """Return `30 days`, `12 hours` for a number of seconds, in the largest unit that it is a whole number of."""
    unit = next((name for name, size in _NAMED.items() if seconds >= size and seconds % size == 0), "seconds")
    count = f"{seconds / _NAMED[unit]:g}"
    return f"{count} {unit.removesuffix('s') if count == '1' else unit}"


def about(seconds: float) -> str:
    """Return `168 days` for a number of seconds, rounded in the largest unit that there are two of."""
    unit = next((name for name, size in _NAMED.items() if seconds >= 2 * size), "seconds")
    return f"{seconds / _NAMED[unit]:.0f} {unit}"
