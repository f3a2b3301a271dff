"""Differences, against another period or a target, and the verdict on each.

A difference is after minus before. Customers who answer in both periods are treated as if they were two: their
covariance cannot be had from two separate sums, and where they are alike it makes these intervals too wide, not too
narrow. `method` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates, intervals
from cxlib.measure.differences import mean_difference, nps_difference, rate_difference, share_difference
from cxlib.measure.moments import Moments, Numbers
from cxlib.params import Metric, definition_hash

__all__ = [
    "adjust",
    "between",
    "judge",
    "mean_difference",
    "nps_difference",
    "rate_difference",
    "share_difference",
    "to_target",
]

_ADJUSTMENTS = {"bh": "fdr_bh", "holm": "holm", "bonferroni": "bonferroni"}
_POWER = 0.8
_SMALLEST = "smallest change that could be seen: "


def between(
    metric: Metric,
    frame: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    *,
    confidence: float = 0.95,
    alpha: float = 0.05,
    min_n: int = 10,
    segment: str = "all",
    definition: str = "",
) -> pd.DataFrame:
    """Compare periods of one metric, level by level.

    Parameters
    ----------
    metric
        The definition that the moments were made by.
    frame
        What `plans.plan` brought back, of one segment.
    pairs
        (period, against) labels: the difference is the first minus the second.
    confidence
        Of the intervals.
    alpha
        Of the verdicts; the rows of this call are the family (`judge` again over a larger one).
    min_n
        A row is suppressed where either side has fewer answers or fewer people.
    segment
        Name of the dimension, `all` for the whole.
    definition
        Hash of the definition; worked out if left out.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, `against` the other period; one row per pair and level that either
        side has. Where one side is missing, and for quantiles, rows are `undefined`.
    """
    sides = _sides(metric, estimates.recorded(metric, frame, segment), pairs)
    words = {"metric": metric.id, "segment": segment, "definition": definition or definition_hash(metric)}
    words |= {name: sides[name].astype(str) for name in ("period", "level", "against")}
    if sides.empty:
        return results.empty()
    if metric.kind == "quantile":
        note = "the difference of two quantiles is not offered: compare their intervals"
        return results.frame(**words, comparison="difference", status=results.UNDEFINED, note=note)
    after, before = (Moments.from_frame(_side(sides, suffix)) for suffix in ("", "_before"))
    found = results.label(_difference(metric, before, after, confidence), **words)
    absent = sides["rows"].isna() | sides["rows_before"].isna()
    empty = sides["period"].where(sides["rows"].isna(), sides["against"]).map("no answers in {}".format)
    status, note = found["status"].mask(absent, results.UNDEFINED), found["note"].mask(absent, empty)
    n = [estimates.n_of(metric, side) for side in (after, before)]
    least = np.fmin(np.fmin(*n), np.fmin(after.clusters, before.clusters))
    found = results.conform(found.assign(status=status, note=note, n=n[0] + n[1]))
    found = estimates.suppressed(found, least, max(min_n, metric.min_n or 0))
    return judge(found, [metric], alpha=alpha, confidence=confidence)


def to_target(
    metric: Metric, level_frame: pd.DataFrame, *, confidence: float = 0.95, alpha: float = 0.05
) -> pd.DataFrame:
    """Compare a metric's estimates with its target.

    Parameters
    ----------
    metric
        The definition; without a target there are no rows.
    level_frame
        Rows of `estimates.from_moments` for this metric; others are passed over.
    confidence
        That the rows' intervals were made with.
    alpha
        Of the verdicts: here `moved` says that the level differs from the target.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, `against = "target"`: estimate and limits less the target. The
        p-value is that of the score test for shares, exact for rates, t or z for the rest; quantiles have none.
    """
    own = (level_frame["metric"] == metric.id) & (level_frame["comparison"] == "level")
    rows = level_frame[own].reset_index(drop=True)
    if metric.target is None or rows.empty:
        return results.empty()
    shifted = {name: rows[name] - metric.target for name in ("estimate", "conf_low", "conf_high")}
    p_value = _against_target(metric, rows, metric.target, confidence)
    found = rows.assign(comparison="difference", against="target", p_value=p_value, **shifted)
    return judge(results.conform(found), [metric], alpha=alpha, confidence=confidence)


def judge(
    frame: pd.DataFrame,
    metrics: Iterable[Metric],
    *,
    alpha: float = 0.05,
    confidence: float = 0.95,
    method: str = "bh",
) -> pd.DataFrame:
    """Adjust the p-values of a family of differences and give each row its verdict.

    Parameters
    ----------
    frame
        A result frame. Its differences with a p-value are two families, other rows pass through: those from periods,
        and those from targets. Most targets are missed or passed for certain, and one family would let these findings
        pay for false ones among the periods.
    metrics
        Their definitions, for the change that matters.
    alpha
        `moved` where the adjusted p-value is below.
    confidence
        That the intervals were made with: their half width over z is the standard error of the power.
    method
        See `adjust`.

    Returns
    -------
    pandas.DataFrame
        With `p_adjusted` and `verdict`: `moved`, `not shown`, or `could not have been seen` where the smallest change
        that so many answers show in 80 of 100 cases, in this family, exceeds `change_that_matters`; `note` names it.
    """
    known = {metric.id: metric for metric in metrics}
    member = (frame["comparison"] == "difference") & frame["p_value"].notna()
    adjusted = frame["p_adjusted"].to_numpy(dtype=float, copy=True)
    cutoff = np.full(len(frame), alpha)
    for family in (member & (frame["against"] == "target"), member & (frame["against"] != "target")):
        adjusted[family] = adjust(frame.loc[family, "p_value"].to_numpy(dtype=float), method)
        cutoff[family] = _next_cutoff(adjusted[family], alpha, method)
    error = (frame["conf_high"] - frame["conf_low"]) / 2 / intervals.z_of(confidence)
    smallest = (stats.norm.isf(cutoff / 2) + stats.norm.isf(1 - _POWER)) * error
    matters = frame["metric"].map({name: metric.change_that_matters for name, metric in known.items()}).astype(float)
    moved = adjusted < alpha
    blind = member & ~moved & (smallest > matters)
    verdict = np.select([~member, moved, blind], [frame["verdict"], "moved", "could not have been seen"], "not shown")
    old = frame["note"].str.startswith(_SMALLEST)
    note = frame["note"].mask(old, "")
    free = blind & (note == "")
    units = frame["metric"].map({name: metric.unit for name, metric in known.items()})
    words = [f"{_SMALLEST}{_amount(value, unit)}" for value, unit in zip(smallest[free], units[free], strict=True)]
    note[free] = words
    return results.conform(frame.assign(p_adjusted=adjusted, verdict=verdict, note=note))


def adjust(p_values: ArrayLike, method: str = "bh") -> NDArray[np.float64]:
    """Adjust p-values for their number.

    Parameters
    ----------
    p_values
        Shape (m,); missing ones stay missing and do not count.
    method
        `bh` (Benjamini and Hochberg 1995, false discovery rate), `holm` or `bonferroni` (any false finding).

    Returns
    -------
    numpy.ndarray
        Shape (m,), in the order given.

    Raises
    ------
    UsageError
        For an unknown method, or a p-value outside 0 to 1.
    """
    if method not in _ADJUSTMENTS:
        raise UsageError(f"'{method}' is no adjustment; there are {', '.join(_ADJUSTMENTS)}")
    given = np.asarray(p_values, dtype=float)
    if np.any((given < 0) | (given > 1)):
        raise UsageError("a p-value lies between 0 and 1")
    out, known = np.full(given.shape, np.nan), ~np.isnan(given)
    if known.any():
        out[known] = multipletests(given[known], method=_ADJUSTMENTS[method])[1]
    return out


def _next_cutoff(adjusted: Numbers, alpha: float, method: str) -> float:
    """Return the p-value below which one more row of a family would have moved, the others as they are."""
    found, size = int(np.count_nonzero(adjusted < alpha)), max(adjusted.size, 1)
    steps = {"bh": (found + 1) / size, "holm": 1 / max(size - found, 1), "bonferroni": 1 / size}
    return alpha * min(steps[method], 1.0)


def _amount(value: float, unit: str) -> str:
    """Write a change for people; shares in percentage points."""
    return f"{100 * value:.1f} percentage points" if unit == "percent" else f"{value:.3g}"


def _sides(metric: Metric, frame: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return one row per pair and level, the later period's sums beside the earlier one's (`_before`)."""
    if metric.kind == "quantile":
        frame = frame[["period", "level", "rows"]].drop_duplicates(["period", "level"])
    places = {key: place for place, key in enumerate(zip(frame["period"], frame["level"], strict=True))}
    keys = sorted(
        (period, against, level)
        for period, against in pairs
        for level in {level for label, level in places if label in (period, against)}
    )
    numbers = frame.drop(columns=["period", "level"]).reset_index(drop=True)
    after = numbers.reindex([places.get((period, level), -1) for period, _, level in keys])
    before = numbers.reindex([places.get((against, level), -1) for _, against, level in keys]).add_suffix("_before")
    labels = pd.DataFrame(keys, columns=["period", "against", "level"], dtype="str")
    return pd.concat([labels, after.reset_index(drop=True), before.reset_index(drop=True)], axis=1)


def _side(sides: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Return one side's sums under their own names."""
    names = [name.removesuffix("_before") for name in sides.columns if name.endswith("_before")]
    return pd.DataFrame({name: sides[f"{name}{suffix}"] for name in names})


def _difference(metric: Metric, before: Moments, after: Moments, confidence: float) -> pd.DataFrame:
    """Apply the difference of a metric's kind."""
    n_eff = (before.effective_n, after.effective_n)
    if metric.kind == "share":
        found = share_difference(
            after.sums["y"], after.rows, before.sums["y"], before.rows, confidence=confidence, n_eff=n_eff[::-1]
        )
    elif metric.kind == "nps":
        sides = (estimates.promoters_of(before), estimates.promoters_of(after))
        found = nps_difference(*sides, confidence=confidence, n_eff=n_eff)
    elif metric.kind == "rate":
        found = rate_difference(before, after, scale=metric.scale, confidence=confidence)
    else:
        found = estimates.scaled(mean_difference(before, after, confidence=confidence), metric.scale)
    return found.assign(method=found["method"] + ", independent periods")


def _against_target(metric: Metric, rows: pd.DataFrame, target: float, confidence: float) -> Numbers:
    """Return the two-sided p-value of `estimate = target`."""
    tests: dict[str, Callable[[], Numbers]] = {
        "share": lambda: _normal(rows["estimate"], target, np.sqrt(target * (1 - target) / rows["n_eff"])),
        # The centre of the adjusted Wald, so that the p-value and the interval agree.
        "nps": lambda: _normal(rows["estimate"] * rows["n_eff"] / (rows["n_eff"] + 3), target, rows["std_error"]),
        "rate": lambda: _poisson(rows, target, confidence),
        "quantile": lambda: np.full(len(rows), np.nan),
    }
    return tests.get(metric.kind, lambda: _student(rows, target, confidence))()


def _normal(centre: pd.Series, target: float, error: pd.Series) -> Numbers:
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * stats.norm.sf(np.abs(centre - target) / error)


def _student(rows: pd.DataFrame, target: float, confidence: float) -> Numbers:
    """Twice the tail of t; the degrees of freedom, customers - 1, are had back from the interval."""
    with np.errstate(invalid="ignore", divide="ignore"):
        half = (rows["conf_high"] - rows["estimate"]) / rows["std_error"]
        freedom = special.stdtridf((1 + confidence) / 2, half)
        return 2 * stats.t.sf(np.abs(rows["estimate"] - target) / rows["std_error"], freedom)


def _poisson(rows: pd.DataFrame, target: float, confidence: float) -> Numbers:
    """Twice the smaller exact tail; the effective exposure is had back from the upper limit."""
    events = rows["n_eff"].to_numpy(dtype=float)
    expected = target * intervals.poisson_limits(events, confidence)[1] / rows["conf_high"].to_numpy(dtype=float)
    above = np.where(events > 0, stats.gamma.cdf(expected, np.where(events > 0, events, 1)), 1.0)
    below = stats.gamma.sf(expected, events + 1)
    return np.minimum(1.0, 2 * np.minimum(above, below))
