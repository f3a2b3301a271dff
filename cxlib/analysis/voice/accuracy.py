"""How well the codebook does what people do: precision, recall and F1 by theme, and how well people agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.voice import labelled
from cxlib.analysis.voice.labelled import Pairs
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

METRICS = ("precision", "recall", "f1", "prevalence")
_NOTHING = {
    "precision": "the codebook found the theme in no labelled comment",
    "recall": "no labelled comment names the theme",
    "f1": "no labelled comment names the theme, and none was found to",
    "prevalence": "no comment was labelled",
}


def accuracy(predicted: Any, true: Any, *, confidence: float = 0.95, weights: Any = None) -> pd.DataFrame:
    """Say how well the codebook finds what people find.

    Precision is the share of comments found that do name the theme, recall the share of those naming it that were
    found, F1 their harmonic mean, prevalence the share that people say names it. Shares have Wilson limits; F1 is
    2 J / (1 + J) of the share J = both / either, and so are its limits. With weights, n_eff is by linearisation, at
    most Kish's (Korn and Graubard 1998); and as one heavy comment that was missed decides on recall, the limits of
    recall and J are those of a ratio of what was found rightly to what was missed (Donner and Zou 2012, MOVER-R).

    Parameters
    ----------
    predicted, true
        What the codebook and what people say, 0 or 1, shape (n,), or frames with a column per theme. Comments where
        either is missing do not count.
    confidence
        Of the intervals.
    weights
        What each comment stands for, shape (n,), as `audit_sample` gives it.

    Returns
    -------
    pandas.DataFrame
        Four rows per theme (`level`): `metric` precision, recall, f1, prevalence; `n` the comments each is a share of.
    """
    intervals.check_confidence(confidence)
    rows = [
        _row(metric, found, confidence, weights is not None) | {"level": theme}
        for theme, found in labelled.pairs(predicted, true, weights, ("predicted", "true", "weights"))
        for metric in METRICS
    ]
    return labelled.framed(rows)


def _row(metric: str, found: Pairs, confidence: float, weighted: bool) -> dict[str, Any]:
    """Return one metric of one theme."""
    both = found.predicted * found.true
    among, hits = {
        "precision": (found.predicted, both),
        "recall": (found.true, both),
        "f1": (np.maximum(found.predicted, found.true), both),
        "prevalence": (np.ones_like(found.true), found.true),
    }[metric]
    if not among.any():
        return {"metric": metric, "method": "wilson", "status": results.UNDEFINED, "note": _NOTHING[metric]}
    share, n_eff = _share(hits, among, found.weight)
    low, high = _limits(metric, found, confidence) if weighted else (np.nan, np.nan)
    if np.isnan(low):
        low, high = _wilson(share, n_eff, confidence)
    spread = np.sqrt(share * (1 - share) / n_eff)
    slope = 2 / (1 + share) ** 2 if metric == "f1" else 1.0
    numbers = [2 * x / (1 + x) if metric == "f1" else x for x in (share, min(low, share), max(high, share))]
    return {
        "metric": metric,
        "method": "wilson",
        "estimate": numbers[0],
        "std_error": slope * spread,
        "conf_low": numbers[1],
        "conf_high": numbers[2],
        "n": int(among.sum()),
        "n_eff": n_eff,
    }


def _limits(metric: str, found: Pairs, confidence: float) -> tuple[float, float]:
    """Return limits of weighted recall, or of both / either, from those of two shares; missing where there are none."""
    right, chosen = found.among(found.predicted)
    slip, others = found.among(1 - found.predicted)
    if metric not in ("recall", "f1") or not chosen or not others:
        return np.nan, np.nan
    scale = float(found.weight @ (1 - found.predicted) / (found.weight @ found.predicted))  # to what was found as 1
    hit = (right, *_wilson(right, chosen, confidence))
    least, most = _wilson(slip, others, confidence)
    missed = (scale * slip, scale * least, scale * most)
    if metric == "f1":
        return _ratio(hit, (1 + missed[0], 1 + missed[1], 1 + missed[2]))
    if not right:
        low, high = _ratio(hit, missed)
        return low / (1 + low), high / (1 + high)
    low, high = _ratio(missed, hit)
    return 1 / (1 + high), 1 / (1 + low)


def _ratio(top: tuple[float, float, float], bottom: tuple[float, float, float]) -> tuple[float, float]:
    """Return the limits of a ratio of two independent estimates, each with its own limits (Donner and Zou 2012)."""
    product = top[0] * bottom[0]
    below, under = top[1] * (2 * top[0] - top[1]), bottom[2] * (2 * bottom[0] - bottom[2])
    above, over = top[2] * (2 * top[0] - top[2]), bottom[1] * (2 * bottom[0] - bottom[1])
    low = below / (product + max(product**2 - below * under, 0) ** 0.5) if below > 0 else 0.0
    return low, (product + max(product**2 - above * over, 0) ** 0.5) / over


def _wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    low, high = intervals.wilson(np.asarray(share), np.asarray(n), confidence)
    return float(low), float(high)


def _share(hits: Numbers, among: Numbers, weight: Numbers) -> tuple[float, float]:
    """Return a weighted share, and how many equally weighted comments it stands on."""
    mass = float(weight @ among)
    share = float(weight @ hits) / mass
    kish = mass**2 / float(weight**2 @ among)
    variance = float((weight * among * (hits - share)) @ (weight * among * (hits - share))) / mass**2
    spread = share * (1 - share)
    return share, min(kish, spread / variance) if variance > 0 and spread > 0 else kish


def agreement(first: Any, second: Any, *, confidence: float = 0.95) -> pd.DataFrame:
    """Say how far two people who labelled the same comments agree, beyond luck.

    Cohen's kappa with the standard error of Fleiss, Cohen and Everitt (1969), by `statsmodels`. Its normal limits have
    no width where all agree: they are never narrower here than the Wilson limits of the share agreed upon, luck taken
    as it is. What two people cannot agree about, no codebook can be measured by.

    Parameters
    ----------
    first, second
        What each of them says, 0 or 1, shape (n,), or frames with a column per theme; where either is missing, the
        comment does not count.
    confidence
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per theme (`level`), `metric` kappa; `undefined` where both always say the same one thing.
    """
    z, rows = float(intervals.z_of(confidence)), []
    for theme, found in labelled.pairs(first, second, None, ("first", "second", "weights")):
        about = {"metric": "kappa", "level": theme, "method": "cohen"}
        n = found.true.size
        if not n or np.unique(np.concatenate([found.predicted, found.true])).size < 2:
            note = "both say the same of every comment" if n else "no comment was labelled by both"
            rows.append(about | {"status": results.UNDEFINED, "note": note})
        else:
            rows.append(about | _kappa(found, z, confidence))
    return labelled.framed(rows)


def _kappa(found: Pairs, z: float, confidence: float) -> dict[str, Any]:
    """Return kappa and its limits, at least as wide as those of the share agreed upon."""
    from statsmodels.stats.inter_rater import cohens_kappa

    n, (one, other) = found.true.size, (found.predicted, found.true)
    table = np.array([[np.sum((one == a) & (other == b)) for b in (0, 1)] for a in (0, 1)])
    with np.errstate(invalid="ignore"):  # its test against no agreement, where one person always says the same
        fit = cohens_kappa(table)
    kappa, error = float(fit.kappa), float(np.sqrt(max(fit.var_kappa, 0.0)))
    luck = float(one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean()))
    least, most = ((limit - luck) / (1 - luck) for limit in _wilson(float((one == other).mean()), n, confidence))
    low, high = min(kappa - z * error, least), max(kappa + z * error, most)
    limits = {"conf_low": max(low, -1.0), "conf_high": min(high, 1.0)}
    return {"estimate": kappa, "std_error": error, **limits, "n": n, "n_eff": n}
