"""Are those who are compared alike? Standardised differences before and after weighting or matching, and overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.effects.matching import matched
from cxlib.analysis.effects.matching_rows import Alike, rows_of
from cxlib.analysis.effects.matching_weights import balancing, unreached
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import estimates
from cxlib.measure.rows import Numbers

WEIGHTING, MATCHING = HOW = ("weighting", "matching")
ALIKE = 0.1
METHOD = "standardised mean difference, in standard deviations of the touched"


def balance_table(
    frame: pd.DataFrame,
    *,
    outcome: str,
    treated: str,
    covariates: Sequence[str],
    how: str = WEIGHTING,
    neighbours: int = 1,
    exact: Sequence[str] = (),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Say how far touched and untouched differ in each covariate, before and after.

    Parameters
    ----------
    frame, outcome, treated, covariates, neighbours, exact
        As given to `weighting` or `matching`; rows without an outcome are left out as there.
    how
        `weighting` or `matching`.
    confidence
        Of the interval of the overlap.

    Returns
    -------
    pandas.DataFrame
        Metric `balance`: level = covariate, or covariate = level; comparison `index`, at `before` and `after`: the
        difference of means, touched less others, over the standard deviation of the touched before (of the others
        where that is 0), the same for both (Stuart 2010, Statist. Sci. 25:1). The note reads it: alike below .1. Then
        metric `overlap`, comparison `share`: how many of the touched lie outside what is seen of the others in any one
        covariate, or have nobody who is the same in `exact`.

    Raises
    ------
    UsageError
        As in `weighting` and `matching`; for another `how`.
    """
    if how not in HOW:
        raise UsageError(f"'{how}' is neither {' nor '.join(HOW)}{did_you_mean(str(how), HOW)}")
    rows = rows_of(frame, outcome=outcome, treated=treated, covariates=covariates, exact=exact)
    ones, others = np.flatnonzero(rows.treated), np.flatnonzero(~rows.treated)
    if not ones.size or not others.size:
        note = "nobody is touched" if not ones.size else "nobody is untouched"
        return results.frame(metric="balance", comparison="index", status=results.UNDEFINED, note=note, method=METHOD)
    plain = _differences(rows, np.full(others.size, 1 / others.size), np.full(ones.size, 1 / ones.size))
    after, beyond, why = _after(rows, how, neighbours)
    parts = [_rows(rows, plain, "before", ""), _rows(rows, after, "after", why)]
    found = results.concat(parts).sort_values(["level", "at"], ascending=[True, False], ignore_index=True)
    return results.concat([found, _overlap(beyond, ones.size, confidence)])


def _after(rows: Alike, how: str, neighbours: int) -> tuple[Numbers | None, int, str]:
    """Return the differences, how many of the touched have nobody alike, and why there are no differences."""
    if how == WEIGHTING:
        weights = balancing(rows)
        beyond = int(rows.outside.sum())
        if weights is None:
            return None, beyond, unreached(rows)
        count = int(rows.treated.sum())
        return _differences(rows, weights, np.full(count, 1 / count)), beyond, ""
    found = matched(rows, neighbours)
    if not found.ones.size:
        return None, int(rows.treated.sum()), "nobody is the same in all that must be"
    kept = np.isin(np.flatnonzero(rows.treated), found.ones)
    used = np.zeros(rows.y.size)
    used[found.others] = found.used()
    return (
        _differences(rows, used[~rows.treated] / used.sum(), kept / kept.sum()),
        int((rows.outside | ~kept).sum()),
        "",
    )


def _differences(rows: Alike, weights: Numbers, own: Numbers) -> Numbers:
    """Return the standardised differences of each covariate with weights of the others and of the touched."""
    ones, others = rows.x[rows.treated], rows.x[~rows.treated]
    spread = ones.std(axis=0, ddof=1) if len(ones) > 1 else np.zeros(rows.x.shape[1])
    spread = np.where(spread > 0, spread, others.std(axis=0))
    gap = own @ ones - weights @ others
    gap = np.where(np.abs(gap) <= 1e-12 * (1 + np.abs(ones).max(axis=0, initial=0)), 0.0, gap)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(spread > 0, gap / spread, np.where(gap == 0, 0.0, np.nan)))


def _rows(rows: Alike, found: Numbers | None, at: str, why: str) -> pd.DataFrame:
    common = {"metric": "balance", "comparison": "index", "level": list(rows.names), "at": at, "method": METHOD}
    if not rows.names:
        return results.empty()
    if found is None:
        return results.frame(against="untreated", status=results.UNDEFINED, note=why, **common)
    known = np.isfinite(found)
    told = [
        _read(size) if fine else "varies on neither side, and differs" for size, fine in zip(found, known, strict=True)
    ]
    return results.frame(
        against="untreated", estimate=found, n=rows.y.size, note=told,
        status=np.where(known, results.OK, results.UNDEFINED), **common,
    )  # fmt: skip


def _read(size: float) -> str:
    return "alike" if abs(size) < ALIKE else f"not alike: {abs(size):.2g} standard deviations apart"


def _overlap(beyond: int, size: int, confidence: float) -> pd.DataFrame:
    row = estimates.share(beyond, size, confidence=confidence)
    told = f"{beyond:,} of {size:,} touched have nobody like them among the untouched" if beyond else (
        "all of the touched lie within what is seen of the untouched"
    )  # fmt: skip
    return results.label(row, metric="overlap", comparison="share", level="touched", note=told)
