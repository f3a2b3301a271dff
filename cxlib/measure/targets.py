"""A metric's level against its target: the same interval, moved, and the p-value that agrees with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import special, stats

from cxlib import results
from cxlib.measure import intervals
from cxlib.measure.moments import Numbers
from cxlib.measure.verdicts import judge
from cxlib.params import Metric


def to_target(
    metric: Metric,
    level_frame: pd.DataFrame,
    *,
    counts: pd.DataFrame | None = None,
    confidence: float = 0.95,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Compare a metric's estimates with its target.

    Parameters
    ----------
    metric
        The definition; without a target there are no rows.
    level_frame
        Rows of `estimates.from_moments` for this metric; others are passed over.
    counts
        Of a quantile: what `plans.plan` brought back, rows per period, level and value. Without them it has no p-value.
    confidence
        That the rows' intervals were made with.
    alpha
        Of the verdicts: here `moved` says that the level differs from the target.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, `against = "target"`: estimate and limits less the target. The
        p-value is that of the score test for shares, exact for rates and quantiles (Conover 1999, 3.2; SciPy
        `quantile_test`), t or z for the rest.
    """
    own = (level_frame["metric"] == metric.id) & (level_frame["comparison"] == "level")
    rows = level_frame[own].reset_index(drop=True)
    if metric.target is None or rows.empty:
        return results.empty()
    shifted = {name: rows[name] - metric.target for name in ("estimate", "conf_low", "conf_high")}
    p_value = _against_target(metric, rows, metric.target, confidence)
    if metric.kind == "quantile" and counts is not None:
        p_value = _quantile(rows, counts, metric.quantile, metric.target)
    found = rows.assign(comparison="difference", against="target", p_value=p_value, **shifted)
    return judge(results.conform(found), [metric], alpha=alpha, confidence=confidence)


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


def _quantile(rows: pd.DataFrame, counts: pd.DataFrame, q: float, target: float) -> Numbers:
    """Twice the smaller exact tail: of so few values up to the target, or so many below it, if it were the quantile."""
    per = counts.assign(
        upto=counts["rows"] * (counts["value"] <= target), below=counts["rows"] * (counts["value"] < target)
    )
    sums = per.groupby(["period", "level"])[["rows", "upto", "below"]].sum()
    own = sums.reindex(pd.MultiIndex.from_frame(rows[["period", "level"]])).to_numpy(dtype=float)
    n, upto, below = own.T
    tails = stats.binom.cdf(upto, n, q), stats.binom.sf(below - 1, n, q)
    return np.where(rows["status"] == results.OK, np.minimum(1.0, 2 * np.minimum(*tails)), np.nan)
