"""Estimates with intervals: what a plan brought back in, rows of the result frame out.

Shares lie in 0..1, NPS in points, money in currency units. `method` names the formula. Where customers answer more
than once, n is replaced by the effective n (see `Moments.effective_n`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.measure import intervals
from cxlib.measure.formulas import mean, nps, quantile, rate, ratio, share
from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.quantiles import Counts, counted_quantile
from cxlib.params import Metric, Part, definition_hash

__all__ = [
    "estimate", "from_moments", "mean", "nps", "quantile", "rate", "ratio", "recorded", "share", "suppressed",
    "undefined",
]  # fmt: skip

_RECUR = "several values of one customer are treated as independent"


def from_moments(
    metric: Metric,
    frame: pd.DataFrame,
    *,
    confidence: float = 0.95,
    min_n: int = 10,
    segment: str = "all",
    definition: str = "",
) -> pd.DataFrame:
    """Turn what `plans.plan` brought back into the metric's results.

    Parameters
    ----------
    metric
        The definition that the plan was made from.
    frame
        The plan's rows, of one segment.
    confidence
        Of the intervals.
    min_n
        Rows with fewer answers or with fewer people are suppressed; a metric may ask for more, never for less.
    segment
        Name of the dimension, `all` for the whole.
    definition
        Hash of the definition; worked out if left out.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "level"`, sorted by period and level. n counts answers; for rates and for ratios
        over people or over another table it counts people.
    """
    intervals.check_confidence(confidence)
    frame = recorded(metric, frame, segment)
    if metric.kind == "quantile":
        found, people = _quantiles(metric, frame, confidence)
    else:
        frame = frame.sort_values(["period", "level"], ignore_index=True)
        found = estimate(metric, Moments.from_frame(frame), confidence) if len(frame) else results.empty()
        found = found.assign(period=frame["period"], level=frame["level"])
        people = frame["clusters"].to_numpy(dtype=float)
    found = results.label(found, metric=metric.id, segment=segment, definition=definition or definition_hash(metric))
    return suppressed(found, people, max(min_n, metric.min_n or 0))


def recorded(metric: Metric, frame: pd.DataFrame, segment: str) -> pd.DataFrame:
    """Leave out totals over people at risk in which nothing at all happened.

    No complaint in a whole period, and nobody who left, means that there was none, or that nobody wrote it down; the
    rows cannot tell, and a rate of 0 would be read as good news, the next one as a rise. A level without complaints
    beside others with some is a true zero.
    """
    if segment != "all":
        return frame
    if isinstance(metric.denominator, Part):
        return frame[~(frame["rows"] == 0)]
    if not metric.time and metric.kind in ("rate", "share"):  # every customer once a period, whatever happened
        return frame[~((frame["y"] == 0) | ((metric.kind == "share") & (frame["y"] == frame["x"])))]
    return frame


def undefined(metric: Metric, periods: Sequence[str], reason: str, *, segment: str = "all") -> pd.DataFrame:
    """Return `undefined` rows for a metric that the workspace cannot give, one per period label, with the reason."""
    return results.frame(
        metric=metric.id, period=np.array(periods, dtype=object), segment=segment, status=results.UNDEFINED,
        note=reason, definition=definition_hash(metric),
    )  # fmt: skip


def suppressed(found: pd.DataFrame, people: NDArray[np.float64], min_n: int) -> pd.DataFrame:
    """Suppress the rows that stand on fewer than `min_n` answers or on fewer than `min_n` people, shape (rows,)."""
    least = np.fmin(found["n"].to_numpy(dtype=float), people)
    hidden = results.suppress(found.assign(n=least), min_n)
    return results.conform(hidden.assign(n=found["n"]))


def estimate(metric: Metric, moments: Moments, confidence: float) -> pd.DataFrame:
    """Apply the formula of a metric's kind to moments of arrays; `share`, `mean`, `ratio`, `nps` and `rate`."""
    if metric.kind == "nps":
        return nps(*promoters_of(moments), confidence=confidence, n_eff=moments.effective_n)
    if metric.kind == "share":
        return share(successes_of(moments), moments.rows, confidence=confidence, n_eff=moments.effective_n)
    if metric.kind == "rate":
        y, x, deff = moments.sums["y"], moments.sums["x"], moments.overdispersion
        found = rate(y, x, confidence=confidence, scale=metric.scale, deff=deff)
    else:
        found = scaled((mean if metric.kind == "mean" else ratio)(moments, confidence=confidence), metric.scale)
    return results.conform(found.assign(n=n_of(metric, moments)))


def n_of(metric: Metric, moments: Moments) -> Numbers:
    """Return what n counts, answers or people; see `counts_people`."""
    return moments.clusters if counts_people(metric) else moments.rows


def counts_people(metric: Metric) -> bool:
    """Say whether n counts people: of rates over time at risk and of ratios over people or another table."""
    over = metric.denominator
    at_risk = metric.kind == "rate" and over != "calendar_days"
    return at_risk or over == "customers" or isinstance(over, Part)


def scaled(found: pd.DataFrame, scale: float) -> pd.DataFrame:
    """Return the rows with estimate, standard error and limits times `scale`."""
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    return found.assign(**{name: found[name] * scale for name in numbers})


def successes_of(moments: Moments) -> Numbers:
    """Return the successes among the rows, from sums of 0 and 1; with weights, as many as their share of the rows."""
    return np.minimum(moments.sums["y"] * _per_row(moments), moments.rows)


def promoters_of(moments: Moments) -> tuple[Numbers, Numbers, Numbers]:
    """Return promoters, passives and detractors among the rows, from sums of -1, 0 and 1; see `successes_of`."""
    half = _per_row(moments) / 2
    up, down = (moments.squares + moments.sums["y"]) * half, (moments.squares - moments.sums["y"]) * half
    return up, np.maximum(moments.rows - up - down, 0.0), down


def _per_row(moments: Moments) -> Numbers:
    """Return rows per weight, 1 where there are none."""
    x = moments.sums["x"]
    return np.divide(moments.rows, x, out=np.ones_like(x, dtype=float), where=np.asarray(x != 0))


def _quantiles(metric: Metric, frame: pd.DataFrame, confidence: float) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Estimate the quantile of each period and level, and return the people behind each."""
    cells = frame.groupby(["period", "level"], sort=True)
    own = cells.agg(clusters=("clusters", "first"), rows=("rows", "sum")).reset_index()
    counts = Counts(cells.ngroup(), frame["value"], frame["rows"], len(own))
    found = counted_quantile(counts, metric.quantile, confidence=confidence)
    people, rows = (own[name].to_numpy(dtype=float) for name in ("clusters", "rows"))
    note = found["note"].mask((found["note"] == "") & (people < rows), _RECUR)
    return found.assign(period=own["period"], level=own["level"], note=note), people
