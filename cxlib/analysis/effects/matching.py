"""The touched beside the untouched who are nearest to them, with replacement, corrected for what still differs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.effects.clusters import numbers_of
from cxlib.analysis.effects.matching_near import Near, nearest
from cxlib.analysis.effects.matching_rows import Alike, rows_of, whitened
from cxlib.analysis.effects.matching_weights import LEAST, none, notes
from cxlib.measure import intervals
from cxlib.measure.rows import Codes, Numbers

METHOD = "nearest neighbours (Mahalanobis, with replacement), corrected for bias"
_MOST_NEIGHBOURS, _NOISE = 100, 2


def matching(
    frame: pd.DataFrame,
    *,
    outcome: str,
    treated: str,
    covariates: Sequence[str],
    neighbours: int = 1,
    exact: Sequence[str] = (),
    correct: bool = True,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the effect on those touched from the untouched who are nearest to each of them.

    Parameters
    ----------
    frame, outcome, treated, covariates
        As in `weighting`.
    neighbours
        How many untouched stand in for each of the touched; all that are as near as the last of them count.
    exact
        Columns in which they must be the same; the touched who have nobody so are left out, and counted in the note.
    correct
        Take off what still differs in the covariates, by a regression among the matched untouched (Abadie and Imbens
        2011, J. Bus. Econ. Stat. 29:1).
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame with rows as those of `weighting`; the two means have no interval. The variance is that of Abadie
        and Imbens (2006, Econometrica 74:235, theorem 7), with the two nearest of the same side for the noise at a
        place, and ties shared: the bootstrap is invalid for matching (2008, Econometrica 76:1537). Degrees of freedom:
        the smaller of the touched and what the untouched used are worth, less 1; coverage as told of `weighting`.

    Raises
    ------
    UsageError
        For columns that are not there or hold something else.
    """
    intervals.check_confidence(confidence)
    doors.whole("neighbours", neighbours, 1, _MOST_NEIGHBOURS)
    rows = rows_of(frame, outcome=outcome, treated=treated, covariates=covariates, exact=exact)
    found = matched(rows, neighbours)
    if found.ones.size < LEAST or found.others.size <= neighbours:
        return none(rows, outcome, METHOD, results.TOO_FEW, "too few touched or untouched to compare")
    return _told(rows, found, outcome, correct, confidence)


def matched(rows: Alike, neighbours: int) -> Near:
    """Return the nearest untouched of each of the touched."""
    others = np.flatnonzero(~rows.treated)
    return nearest(whitened(rows.x), rows.stratum, np.flatnonzero(rows.treated), others, neighbours)


def _told(rows: Alike, found: Near, outcome: str, correct: bool, confidence: float) -> pd.DataFrame:
    """Return the effect and both means."""
    y, others = rows.y, found.others
    used, lost = found.used(), int(rows.treated.sum()) - found.ones.size
    fitted = _regression(rows, found, used) if correct else np.zeros(y.size)
    stand_in = found.mean(y[others] - fitted[others]) + fitted[found.ones]
    gains = y[found.ones] - stand_in
    effect, count = float(gains.mean()), found.ones.size
    again = np.maximum(used**2 - found.used(2), 0.0) @ _noise(rows, others)
    variance = (((gains - effect) ** 2).sum() + again) / count**2
    if not variance > 0:
        return none(rows, outcome, METHOD, results.TOO_FEW, "all pairs differ alike: no error to tell")
    worth = float(used.sum() ** 2 / (used @ used))
    left = [f"{lost:,} touched have nobody who is the same in all that must be, and are left out"]
    method = METHOD if correct else METHOD.partition(", corrected")[0]
    common = {"metric": outcome, "method": method}
    numbers = numbers_of(np.array([effect]), np.array([variance]), np.array([min(count, worth) - 1.0]), confidence)
    first = results.frame(
        comparison="difference", at="effect", against="untreated alike", n=count + others.size,
        n_eff=4 / (1 / count + 1 / worth), note=notes(rows, worth, *left * bool(lost)), **numbers, **common,
    )  # fmt: skip
    levels = results.frame(
        comparison="level", level=["treated", "untreated alike"], at="after", n=[count, others.size],
        n_eff=[count, worth], estimate=[y[found.ones].mean(), stand_in.mean()], **common,
    )  # fmt: skip
    return results.concat([first, levels])


def _regression(rows: Alike, found: Near, used: Numbers) -> Numbers:
    """Return what a regression among the matched untouched, as often as they are used, says of every row."""
    z = np.column_stack([np.ones(rows.y.size), whitened(rows.x)])
    root = np.sqrt(used)[:, None]
    beta = np.linalg.lstsq(z[found.others] * root, rows.y[found.others] * root[:, 0], rcond=1e-10)[0]
    return np.asarray(z @ beta)


def _noise(rows: Alike, others: Codes) -> Numbers:
    """Return the variance of the outcome at the place of each untouched, from its two nearest on the same side."""
    near = nearest(whitened(rows.x), rows.stratum, others, others, _NOISE + 1)  # one of them is itself
    own, left = rows.y[others], near.size - 1
    mean = (near.total(own) - own) / np.maximum(left, 1)
    alone = np.full(others.size, np.var(own))  # in what must be the same
    return np.where(left > 0, (own - mean) ** 2 * left / (left + 1), alone)
