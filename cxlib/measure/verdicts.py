"""The verdict on each difference of a family, and what the verdicts of a family claim.

The claim is Benjamini and Hochberg's (1995): if nothing has really changed, at most one family in 1 / alpha has any
false `moved`; if something has, at most a share alpha of what is called `moved` is false on average.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.moments import Numbers
from cxlib.params import Metric

_NAMES = {"bh": "Benjamini and Hochberg", "holm": "Holm", "bonferroni": "Bonferroni"}
_POWER = 0.8
_SMALLEST = "smallest change that could be seen: "
_BY_T = ("mean", "ratio", "nps")  # kinds whose differences are tested by t
_TARGET = "target"


def judge(
    frame: pd.DataFrame,
    metrics: Iterable[Metric],
    *,
    alpha: float = 0.05,
    confidence: float = 0.95,
    method: str = "bh",
    lead: str = "",
) -> pd.DataFrame:
    """Adjust the p-values of a family of differences and give each row its verdict.

    Parameters
    ----------
    frame
        A result frame. Its differences with a p-value are two families, other rows pass through: those from periods
        and levels, and those from targets. Most targets are missed or passed for certain, and one family would let
        these findings pay for false ones among the periods.
    metrics
        Their definitions, for the change that matters.
    alpha
        `moved` where the adjusted p-value is below.
    confidence
        That the intervals were made with: half their width is the error that the power is worked out from.
    method
        See `adjust`.
    lead
        The metric that the report was made for, named before anything was seen: its comparisons share half of the
        allowed error among them, all others the other half (see `adjust`, `weights`). Empty treats all alike.

    Returns
    -------
    pandas.DataFrame
        With `p_adjusted` and `verdict`: `moved`, `not shown`, or `could not have been seen` where the smallest change
        that so many answers show in 80 of 100 cases, in this family, exceeds `change_that_matters`; `note` names it.
        A metric without a change that matters has no third verdict.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha {alpha:g} is not between 0 and 1", hint="Write 5 % as 0.05.")
    known, names = {metric.id: metric for metric in metrics}, frame["metric"].tolist()
    member = _members(frame)
    targets = (frame["against"] == _TARGET).to_numpy()
    p_values, adjusted = (frame[name].to_numpy(dtype=float, copy=True) for name in ("p_value", "p_adjusted"))
    cutoff = np.full(len(frame), alpha)
    for family in (member & targets, member & ~targets):
        weights = _weights(np.array(names, dtype=object)[family] == lead)
        adjusted[family] = adjust(p_values[family], method, weights=weights)
        cutoff[family] = np.minimum(_next_cutoff(adjusted[family], alpha, method) * weights, alpha)
    smallest = _smallest(frame, known, cutoff, confidence)
    matters = np.array([known[name].change_that_matters if name in known else None for name in names], dtype=float)
    moved = adjusted < alpha
    blind = member & ~moved & (smallest > matters)
    verdict = np.select([~member, moved, blind], [frame["verdict"], "moved", "could not have been seen"], "not shown")
    notes = ["" if note.startswith(_SMALLEST) else note for note in frame["note"].tolist()]
    for place in np.flatnonzero(blind):
        notes[place] = notes[place] or f"{_SMALLEST}{_amount(smallest[place], known[names[place]].unit)}"
    return results.conform(frame.assign(p_adjusted=adjusted, verdict=verdict, note=notes))


def adjust(p_values: ArrayLike, method: str = "bh", *, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Adjust p-values for their number.

    Parameters
    ----------
    p_values
        Shape (m,); missing ones stay missing and do not count.
    method
        `bh` (Benjamini and Hochberg 1995, false discovery rate), `holm` or `bonferroni` (any false finding).
    weights
        How much of the allowed error each has, shape (m,), above 0; only their ratios count. Each p-value is divided by
        its weight over the mean weight first, which keeps what the method promises as long as the weights were chosen
        without looking at the p-values (Genovese, Roeder and Wasserman 2006, Biometrika 93, 509).

    Returns
    -------
    numpy.ndarray
        Shape (m,), in the order given.

    Raises
    ------
    UsageError
        For an unknown method, a p-value outside 0 to 1, or a weight that is not above 0.
    """
    if method not in _NAMES:
        raise UsageError(f"'{method}' is no adjustment; there are {', '.join(_NAMES)}")
    given = np.asarray(p_values, dtype=float)
    if np.any((given < 0) | (given > 1)):
        raise UsageError("a p-value lies between 0 and 1")
    out, known = np.full(given.shape, np.nan), ~np.isnan(given)
    weight = np.ones(given.shape) if weights is None else np.broadcast_to(np.asarray(weights, dtype=float), given.shape)
    if not np.all(weight > 0):
        raise UsageError("a weight of a comparison lies above 0")
    if known.any():
        shared = np.minimum(given[known] * weight[known].mean() / weight[known], 1.0)
        # statsmodels' `multipletests`, which the tests compare this with, collects garbage at every call: 0.2 s each.
        adjusted = stats.false_discovery_control(shared) if method == "bh" else _stepped(shared, method)
        out[known] = np.maximum(adjusted, given[known])  # no weight makes a p-value smaller than it was
    return out


def _stepped(p_values: Numbers, method: str) -> Numbers:
    """Return p-values times the number of hypotheses that are left at each (Holm 1979), or of all (Bonferroni)."""
    count, order = p_values.size, np.argsort(p_values, kind="stable")
    left = count - np.arange(count) if method == "holm" else np.full(count, count)
    out = np.empty(count)
    out[order] = np.minimum(np.maximum.accumulate(p_values[order] * left), 1.0)
    return out


def _weights(leads: NDArray[np.bool_]) -> Numbers:
    """Return weights of mean 1 by which the comparisons of the lead have half; 1 each where they are half or none."""
    count, mine = leads.size, int(np.count_nonzero(leads))
    if not 0 < 2 * mine < count:
        return np.ones(count)
    return np.where(leads, count / (2 * mine), count / (2 * (count - mine)))


def family(
    frame: pd.DataFrame, metrics: Mapping[str, Metric] | None = None, *, alpha: float = 0.05, method: str = "bh"
) -> str:
    """Say in plain English how many comparisons the verdicts of a frame allow for, and what that promises.

    Parameters
    ----------
    frame
        What `judge` returned, whole: a part of it would understate its family.
    metrics
        Metric id -> definition, for the title of the metric that the family was judged to lead.
    alpha, method
        That it was judged with.

    Returns
    -------
    str
        One or two sentences; empty where the frame has no verdict.
    """
    member = _members(frame)
    targets = int((member & (frame["against"] == _TARGET).to_numpy()).sum())
    others = int(member.sum()) - targets
    named = f"{_NAMES[method]}, {100 * alpha:g} %"
    words = []
    if others:
        which = "any of them" if others > 1 else "it"
        words.append(
            f"Verdicts allow for {_counted(others, 'comparison')} with other periods or segments ({named}): if nothing "
            f"had really changed, at most {_often(alpha)} would call {which} moved"
        )
        if method == "bh" and others > 1:
            words[-1] += f"; if some had, at most {100 * alpha:g} % of those called moved would be false on average"
    lead = _lead(frame[member & (frame["against"] != _TARGET)], method)
    if lead:
        title = metrics[lead].title if metrics and lead in metrics else lead
        words.append(f"Half of the allowed error is kept for {title}, which leads the report")
    if targets:
        words.append(f"{_counted(targets, 'comparison')} with targets {'are' if targets > 1 else 'is'} allowed for ")
        words[-1] += f"apart, in the same way ({named})"
    return "".join(f"{sentence}. " for sentence in words).strip()


def _members(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows are compared: differences with a p-value."""
    return ((frame["comparison"] == "difference") & frame["p_value"].notna()).to_numpy(dtype=bool)


def _lead(judged: pd.DataFrame, method: str) -> str:
    """Return the metric that had half of the allowed error; empty where all were treated alike."""
    names = judged["metric"].to_numpy(dtype=object)
    p_values, adjusted = (judged[name].to_numpy(dtype=float) for name in ("p_value", "p_adjusted"))
    if np.allclose(adjusted, adjust(p_values, method)):
        return ""
    for name in dict.fromkeys(names.tolist()):
        if np.allclose(adjusted, adjust(p_values, method, weights=_weights(names == name))):
            return str(name)
    return ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _often(alpha: float) -> str:
    """Write a share of reports: 1 report in 20."""
    inverse = 1 / alpha
    return f"1 report in {inverse:.0f}" if abs(inverse - round(inverse)) < 1e-6 else f"{100 * alpha:g} % of reports"


def _smallest(frame: pd.DataFrame, known: dict[str, Metric], cutoff: Numbers, confidence: float) -> Numbers:
    """Return the smallest change that a test at `cutoff` finds in 80 of 100 cases.

    The quantiles of 1 - cutoff / 2 and of the power, times the standard error: that which the half width of the
    interval speaks of. Where the test is a t its degrees of freedom are had back from half width and standard error.
    """
    half = ((frame["conf_high"] - frame["conf_low"]) / 2).to_numpy(dtype=float)
    error = frame["std_error"].to_numpy(dtype=float)
    by_t = frame["metric"].isin([name for name, metric in known.items() if metric.kind in _BY_T]).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(by_t, half / error, np.nan)
        student = ratio > intervals.z_of(confidence) * (1 + 1e-6)
        freedom = special.stdtridf((1 + confidence) / 2, np.where(student, ratio, np.nan))
        tails = [np.where(student, stats.t.isf(p, freedom), stats.norm.isf(p)) for p in (cutoff / 2, 1 - _POWER)]
        return (tails[0] + tails[1]) * np.where(student, error, half / intervals.z_of(confidence))


def _next_cutoff(adjusted: Numbers, alpha: float, method: str) -> float:
    """Return the p-value below which one more row of a family would have moved, the others as they are."""
    found, size = int(np.count_nonzero(adjusted < alpha)), max(adjusted.size, 1)
    steps = {"bh": (found + 1) / size, "holm": 1 / max(size - found, 1), "bonferroni": 1 / size}
    return alpha * min(steps[method], 1.0)


def _amount(value: float, unit: str) -> str:
    """Write a change for people; shares in percentage points."""
    if unit in ("percent", "per_month"):
        return f"{100 * value:.1f} percentage points{' a month' if unit == 'per_month' else ''}"
    words = {"points": "points", "seconds": "seconds", "days": "days"}.get(unit, "")
    return f"{value:.3g} {words}".rstrip()
