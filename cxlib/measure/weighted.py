"""Weighted shares, means and Net Promoter Scores with their intervals; `weights` makes the weights.

Weights describe whom a row stands for, not how exact it is: variances are by linearisation or by replicates.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import intervals
from cxlib.measure.moments import Moments, Numbers

KINDS = ("mean", "share", "nps")
_VALUES = {"share": (0.0, 1.0), "nps": (-1.0, 0.0, 1.0)}


def kish(weights: ArrayLike) -> tuple[float, float]:
    """Return Kish's design effect of unequal weights and the effective number of rows.

    Parameters
    ----------
    weights
        Shape (n,), none missing or negative, not all zero.

    Returns
    -------
    deff, n_eff
        n sum w^2 / (sum w)^2, and n over that: what the rows are worth where the weights have nothing to do with the
        answers (Kish 1965, Survey Sampling, 11.7).
    """
    weight = _weights(weights)
    n_eff = weight.sum() ** 2 / (weight @ weight)
    return float(weight.size / n_eff), float(n_eff)


def weighted_mean(
    y: ArrayLike,
    weights: ArrayLike,
    *,
    replicates: ArrayLike | None = None,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    margins: pd.DataFrame | None = None,
    kind: str = "mean",
) -> pd.DataFrame:
    """Estimate a weighted mean, share or NPS.

    Parameters
    ----------
    y
        One number per row, shape (n,); missing ones do not count. For `share` 0 or 1, for `nps` -1, 0 or 1.
    weights
        Weight per row, shape (n,).
    replicates
        Replicate weights, shape (n, R), as `replicates.rao_wu` makes them: the variance is the mean squared distance of
        the R estimates from the whole one.
    confidence
        Of the interval.
    clusters
        The customer of each row; a missing one, or none at all, makes each row its own. With `replicates`, which were
        drawn by customer, they only count the degrees of freedom.
    margins
        The columns, shape (n, k), that the weights were raked to: the variance is then of what a regression on their
        levels leaves, since raking has taken the rest out. Not with `replicates`, which repeat the raking.
    kind
        `mean` (t interval, customers - 1 or, if fewer, R - 1 degrees of freedom), `share` (Wilson) or `nps`
        (adjusted Wald, in points), the last two for as many answers as have the same variance.

    Returns
    -------
    pandas.DataFrame
        One result row; n counts rows, `n_eff` is Kish's. `too_few` below two customers, `undefined` without answers.

    Raises
    ------
    UsageError
        For weights, shapes, values or a kind that cannot be used.

    Notes
    -----
    Linearised: sum over customers of (sum w (y - mean))^2 / (sum w)^2, times G / (G - 1) (R `survey::svymean` with
    `ids = ~customer`). Regression residuals without weights, as R's `rake` takes them (Deville, Sarndal and Sautory
    1993). Replicates: Rao, Wu and Yue (1992).
    """
    value, weight = _checked(y, weights, kind)
    known = ~np.isnan(value) & (weight > 0)  # what has no weight does not count
    value, weight = value[known], weight[known]
    if not weight.sum() > 0:
        return results.frame(status=results.UNDEFINED, note="no answers")
    mean = float(weight @ value / weight.sum())
    whose = None if clusters is None else np.asarray(clusters, dtype=object).ravel()[known]
    rest = value if margins is None else _residuals(value, margins.loc[known])
    moments = Moments.of(rest, weights=weight, clusters=whose)
    variance, freedom = float(moments.variance), float(moments.clusters) - 1
    how = "linearised" + (", raked" if margins is not None else "")
    if replicates is not None:
        if margins is not None:
            raise UsageError("margins belong into the replicates: give them to replicates.rao_wu")
        variance, drawn = _replicated(value, np.asarray(replicates, dtype=float), known, mean)
        freedom, how = min(freedom, drawn - 1), "replicates"
    parts = (float(weight @ (value > 0) / weight.sum()), float(weight @ (value < 0) / weight.sum()))
    found = interval(
        kind, mean, parts, variance=variance, freedom=freedom, n=weight.size, n_eff=kish(weight)[1],
        confidence=confidence,
    )  # fmt: skip
    return results.label(found, method=found["method"] + f", weighted, {how}")


def interval(
    kind: str, mean: float, parts: tuple[float, float], *, variance: float, freedom: float, n: float, n_eff: float,
    confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """Return the row of a weighted estimate whose variance is known.

    Parameters
    ----------
    kind
        `mean`, `share` or `nps`.
    mean
        The weighted mean of y; for `nps` in -1 to 1.
    parts
        The weighted shares of y above and below 0; only `nps` looks at them.
    variance, freedom
        Of `mean`, and the degrees of freedom of that variance.
    n, n_eff
        Rows, and Kish's effective rows: for shares they stand in where all answers are equal and no variance is seen.
    confidence
        Of the interval.
    """
    spread = parts[0] + parts[1] - mean**2 if kind == "nps" else mean * (1 - mean)
    if freedom < 1:
        return results.frame(status=results.TOO_FEW, note="fewer than two customers")
    error = float(np.sqrt(variance))
    if kind == "mean":
        low, high = intervals.student(np.array(mean), np.array(error), np.array(freedom), confidence)
        note = "all answers are equal: the interval has no width" if error == 0 else ""
        return _row(mean, error, float(low), float(high), "t", n=n, n_eff=n_eff, note=note)
    # For few customers, as `Moments.effective_n` has it (Korn and Graubard 1998).
    few = (stats.t.isf(0.025, n - 1) / stats.t.isf(0.025, freedom)) ** 2
    size = spread / variance * few if variance > 0 and spread > 0 else n_eff
    if kind == "share":
        low, high = intervals.wilson(np.array(mean), np.array(size), confidence)
        return _row(mean, error, float(low), float(high), "wilson n_eff", n=n, n_eff=n_eff)
    up, down = (np.array(part * size) for part in parts)
    centre, wide = intervals.nps_moments(up, down, np.array(size), extra=3.0)
    half = float(intervals.z_of(confidence) * wide)
    ends = (100 * (float(centre) - half), 100 * (float(centre) + half))
    note = "limit clipped to the scale" if ends[0] < -100 or ends[1] > 100 else ""
    return _row(
        100 * mean, 100 * float(wide), max(ends[0], -100), min(ends[1], 100), "adjusted-wald n_eff", n=n, n_eff=n_eff,
        note=note,
    )  # fmt: skip


def _row(
    value: float, error: float, low: float, high: float, method: str, *, n: float, n_eff: float, note: str = ""
) -> pd.DataFrame:
    return results.frame(
        estimate=value, std_error=error, conf_low=low, conf_high=high, method=method, n=n, n_eff=n_eff, note=note
    )


def _replicated(value: Numbers, replicates: Numbers, known: NDArray[np.bool_], mean: float) -> tuple[float, float]:
    """Return the variance from replicate weights, shape (n, R), and how many could be used."""
    if replicates.ndim != 2 or len(replicates) != len(known) or replicates.shape[1] < 2:
        raise UsageError(
            f"replicates have the shape {replicates.shape}; {len(known):,} rows need ({len(known)}, R) with R above 1"
        )
    copies = replicates[known]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = value @ copies / copies.sum(axis=0)
    found = found[~np.isnan(found)]  # a replicate may have drawn none of the customers who answered
    return float(np.mean((found - mean) ** 2)), float(found.size)


def _residuals(value: Numbers, columns: pd.DataFrame) -> Numbers:
    """Return what a regression of the values on the levels of all columns leaves."""
    levels = [pd.factorize(columns[name], sort=True)[0] for name in columns.columns]
    design = np.hstack([np.arange(code.max() + 1) == code[:, None] for code in levels]).astype(float)
    fitted = np.linalg.pinv(design.T @ design, hermitian=True) @ (design.T @ value)
    return value - design @ fitted


def _checked(y: ArrayLike, weights: ArrayLike, kind: str) -> tuple[Numbers, Numbers]:
    """Return values and weights as arrays; refuse what cannot be used."""
    value, weight = np.asarray(y, dtype=float).ravel(), _weights(weights)
    if value.size != weight.size:
        raise UsageError(f"there are {value.size:,} values and {weight.size:,} weights")
    if kind not in KINDS:
        raise UsageError(f"'{kind}' is no weighted mean; there are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    if kind in _VALUES:
        strange = np.setdiff1d(value[~np.isnan(value)], _VALUES[kind])
        if strange.size:
            allowed = ", ".join(f"{one:g}" for one in _VALUES[kind])
            raise UsageError(f"the values of a weighted {kind} are {allowed}; {strange[0]:g} is among them")
    return value, weight


def _weights(weights: ArrayLike) -> Numbers:
    """Return weights as an array, shape (n,)."""
    weight = np.asarray(weights, dtype=float).ravel()
    bad = ~((weight >= 0) & (weight < np.inf))
    if bad.any():
        raise UsageError(f"{bad.sum():,} weights are missing, negative or infinite")
    if not weight.sum() > 0:
        raise UsageError("the weights add up to nothing")
    return weight
