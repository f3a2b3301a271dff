"""How often a theme is really named: what the codebook finds, corrected by what people labelled in an audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.voice import labelled
from cxlib.analysis.voice.labelled import Pairs
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

LEAST = 20  # labels: below, no rate is told
METRIC = "theme_rate"
METHODS = ("ppi", "ppi-wald", "rogan-gladen")
_WORDS = ("audit_predicted", "audit_true", "audit_weights")


def corrected_rate(
    predicted: Any,
    audit_predicted: Any,
    audit_true: Any,
    *,
    confidence: float = 0.95,
    method: str = "ppi",
    weights: Any = None,
    audit_weights: Any = None,
) -> pd.DataFrame:
    """Return the share of comments that name a theme, corrected for the codebook's errors.

    `ppi` is prediction-powered inference with a tuned weight of the predictions (Angelopoulos et al. 2023; PPI++ of
    Angelopoulos, Duchi and Zrnic 2023, section 6): rate = mean of the labels + lambda (share predicted among the others
    - share predicted in the audit), lambda = cov(label, prediction) / ((1 + n / N) var(prediction)). Useless
    predictions get lambda 0 and leave the audit's own share; good ones narrow the interval. With the audit's own
    variance in lambda, and yes and no, this is post-stratification by what was predicted, and its limits are made so:
    Wilson limits of the shares of true ones among the predicted and among the others, joined as by Zou and Donner
    (2008). In our simulations (audits of 20 to 300, rates of 2 to 50 %) 93 to 100 % of 95 % limits cover, 91 % at worst
    where the audit holds hardly one comment of the theme.

    `ppi-wald` is what the package `ppi_py` gives: the variance in lambda is of all comments, which leans small audits
    towards too low rates (by a sixth at 30 labels and 10 %), and the limits are normal: where errors are rare and the
    audit small they cover as little as 22 %. Both need an audit drawn by chance from the same comments; comments
    count as independent, so that customers who write much make the interval somewhat too short.

    `rogan-gladen` (Rogan and Gladen 1978; limits of Lang and Reiczigel 2014) needs only that sensitivity and
    specificity are those of the audit: it may come from other months, with other rates, but then must not have been
    chosen by what was predicted, unless `audit_weights` undo it.

    Parameters
    ----------
    predicted
        What the codebook said of the comments that nobody labelled, 0 or 1, shape (N,), or a frame of themes; for
        `rogan-gladen` of all comments that the rate is of. Missing ones, where nothing was written, do not count.
    audit_predicted, audit_true
        What it said of the labelled ones, and what is true of them, shape (n,) or frames of the same themes.
    confidence
        Of the interval.
    method
        `ppi`, `ppi-wald` or `rogan-gladen`.
    weights, audit_weights
        What each comment stands for, shapes (N,) and (n,), the former 1 on average: `audit_weights` undo that an audit
        looked harder at some, as `audit_sample` does.

    Returns
    -------
    pandas.DataFrame
        One row per theme (`level`): `n` comments, `n_eff` how many labels without any codebook would tell as much;
        status `too_few` below 20 labels, `undefined` where the codebook tells true from false no better than luck.

    Raises
    ------
    UsageError
        For an unknown method, values other than 0 and 1, and frames of different themes or lengths.
    """
    if method not in METHODS:
        raise UsageError(f"'{method}' is none of {', '.join(METHODS)}{did_you_mean(method, METHODS)}")
    intervals.check_confidence(confidence)
    found = labelled.columns("predicted", predicted)
    audits = dict(labelled.pairs(audit_predicted, audit_true, audit_weights, _WORDS))
    labelled.same_themes(("predicted", "audit_predicted"), found, dict.fromkeys(audits, np.empty(0)))
    rows = []
    for theme, said in found.items():
        weight, known = labelled.weights("weights", weights, said.size), ~np.isnan(said)
        case = _Case(said[known], weight[known], audits[theme], confidence)
        rows.append(_row(case, method) | {"level": theme})
    return labelled.framed(rows)


@dataclass(frozen=True)
class _Case:
    """One theme: what was predicted of the comments nobody labelled, their weights, and the audit."""

    said: Numbers
    weight: Numbers
    audit: Pairs
    confidence: float

    @property
    def z(self) -> float:
        return float(intervals.z_of(self.confidence))

    @property
    def share(self) -> float:
        """The share predicted among those that nobody labelled."""
        return float(self.weight @ self.said / self.weight.sum()) if self.said.size else np.nan

    @property
    def size(self) -> float:
        """How many those count for."""
        return labelled.effective(self.weight)

    @property
    def whole(self) -> float:
        """The share predicted among all, labelled or not: every one of them was coded, however it was drawn."""
        rest, audit = self.said.size, self.audit.predicted
        return float((rest * self.share + audit.sum()) / (rest + audit.size))


def _row(case: _Case, method: str) -> dict[str, Any]:
    """Return the row of one theme."""
    named = {"ppi": "ppi++, stratified wilson", "ppi-wald": "ppi++, wald", "rogan-gladen": "rogan-gladen"}[method]
    about = {"metric": METRIC, "method": named}
    labels = case.audit.true.size
    if labels < LEAST:
        note = f"{labels} comments were labelled; at least {LEAST} are needed"
        return about | {"status": results.TOO_FEW, "note": note}
    found = _rogan_gladen(case) if method == "rogan-gladen" else _powered(case, wald=method == "ppi-wald")
    if found is None:
        note = "in the audit the codebook tells comments that name the theme from others no better than luck"
        return about | {"status": results.UNDEFINED, "note": note}
    estimate, error, low, high = found
    spread, n = estimate * (1 - estimate), case.said.size + (0 if method == "rogan-gladen" else labels)
    return about | {
        "estimate": estimate,
        "std_error": error,
        "conf_low": min(low, estimate),
        "conf_high": max(high, estimate),
        "n": n,
        "n_eff": min(spread / error**2 if error > 0 and spread > 0 else labels, n),
        "note": _note(case),
    }


def _note(case: _Case) -> str:
    """Say what the audit was, and what it cannot tell."""
    audit, labels = case.audit, case.audit.true.size
    told = f"corrected by {labels} comments that people labelled"
    if not audit.true.any():
        return f"{told}, none of which names the theme: the upper end is what so few cannot rule out"
    if audit.predicted.all() or not audit.predicted.any():
        return f"{told}, too alike to tell how often the codebook is right: their own share"
    return told


def _powered(case: _Case, *, wald: bool) -> tuple[float, float, float, float]:
    """Return estimate, standard error and limits of prediction-powered inference."""
    audit = case.audit
    heavy = audit.weight / audit.weight.sum()
    true, said = float(heavy @ audit.true), float(heavy @ audit.predicted)
    spread, together = said * (1 - said), float(heavy @ (audit.true * audit.predicted)) - true * said
    lean = _lean(case, said, together, pooled=wald)
    move = 0.0
    if lean and wald:
        move = lean * (case.share - said)
    elif lean:  # lambda (share of the others - share of the audit), for an audit that was drawn by weights too
        move = lean * (1 + audit.true.size / case.said.size) * (case.whole - said)
    estimate = min(max(true + move, 0.0), 1.0)
    rest = max(true * (1 - true) - 2 * lean * together + lean**2 * spread, 0.0) / labelled.effective(audit.weight)
    error = float(np.sqrt((lean**2 * case.share * (1 - case.share) / case.size if lean else 0.0) + rest))
    if wald:
        return estimate, error, max(estimate - case.z * error, 0.0), min(estimate + case.z * error, 1.0)
    low, high = _stratified(case, true)
    return estimate, error, max(estimate - low, 0.0), min(estimate + high, 1.0)


def _lean(case: _Case, said: float, together: float, *, pooled: bool) -> float:
    """Return lambda, how far the predictions are leaned upon: cov(label, prediction) / ((1 + n/N) var(prediction))."""
    n, rest, share = case.audit.true.size, case.said.size, said
    if not rest:
        return 0.0
    variance = share * (1 - share)
    if pooled:
        share = (rest * case.share + n * said) / (n + rest)
        variance = share * (1 - share) * (n + rest) / (n + rest - 1)
    most = (
        1.0 if pooled else 1 / (1 + n / rest)
    )  # a label is worth no more than one comment that was told without error
    return float(np.clip(together / ((1 + n / rest) * variance), 0, most)) if variance > 0 else 0.0


def _stratified(case: _Case, true: float) -> tuple[float, float]:
    """Return how far the limits lie below and above the estimate (Zou and Donner 2008, MOVER)."""
    audit = case.audit
    strata = [audit.among(audit.predicted), audit.among(1 - audit.predicted)]
    if not case.said.size or min(size for _, size in strata) == 0:
        low, high = _wilson(true, labelled.effective(audit.weight), case.confidence)
        return true - low, high - true
    (precise, _), (missed, _) = strata
    many = case.size + audit.true.size
    below = above = (case.z * (precise - missed)) ** 2 * case.whole * (1 - case.whole) / many
    for part, (rate, size) in zip((case.whole, 1 - case.whole), strata, strict=True):
        low, high = _wilson(rate, size, case.confidence)
        below, above = below + (part * (rate - low)) ** 2, above + (part * (high - rate)) ** 2
    return float(np.sqrt(below)), float(np.sqrt(above))


def _wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    low, high = intervals.wilson(np.asarray(share), np.asarray(n), confidence)
    return float(low), float(high)


def _rogan_gladen(case: _Case) -> tuple[float, float, float, float] | None:
    """Return estimate, standard error and limits; None where there is nothing to divide by."""
    audit, z = case.audit, case.z
    told = Pairs(audit.true, audit.predicted, audit.weight)  # the other way round: what was said of the true ones
    (sensitivity, positives), (alarms, negatives) = told.among(audit.true), told.among(1 - audit.true)
    if not case.said.size or not positives or not negatives or sensitivity <= alarms:
        return None
    estimate = (case.share - alarms) / (sensitivity - alarms)
    error = _spread(estimate, case.share, case.size, (sensitivity, positives), (1 - alarms, negatives)) ** 0.5
    size = case.size + z**2
    share = (case.size * case.share + z**2 / 2) / size
    right = (positives * sensitivity + 1) / (positives + 2), positives + 2
    quiet = (negatives * (1 - alarms) + 1) / (negatives + 2), negatives + 2
    if right[0] + quiet[0] <= 1:
        return None
    centre = (share + quiet[0] - 1) / (right[0] + quiet[0] - 1)
    half = z * _spread(centre, share, size, right, quiet) ** 0.5
    uneven = [rate * (1 - rate) / many for rate, many in (right, quiet)]
    centre += 2 * z**2 * (centre * uneven[0] - (1 - centre) * uneven[1])
    return float(np.clip(estimate, 0, 1)), error, max(centre - half, 0.0), min(centre + half, 1.0)


def _spread(rate: float, share: float, size: float, right: tuple[float, float], quiet: tuple[float, float]) -> float:
    """Return the variance of a rate that was corrected for sensitivity and specificity (Rogan and Gladen 1978)."""
    variance = share * (1 - share) / size
    for factor, (one, many) in ((rate, right), (1 - rate, quiet)):
        variance += factor**2 * one * (1 - one) / many
    return variance / (right[0] + quiet[0] - 1) ** 2
