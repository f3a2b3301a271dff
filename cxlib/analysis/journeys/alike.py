"""Shares and means by level, and what a level differs by with all else equal: what the questions of this room share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import hiding
from cxlib.analysis.partners.adjusting import Slopes, slopes
from cxlib.analysis.partners.fits import moments_of
from cxlib.analysis.partners.rows import Rows, coded, rows_of
from cxlib.measure import formulas, intervals

HIDDEN = "fewer customers than may be shown"
NONE = "nothing to look at"
_WHOLE = "all"


def levels(
    frame: pd.DataFrame,
    outcome: str,
    by: str = "",
    *,
    kind: str = "share",
    metric: str = "",
    cluster: str | None = "customer_id",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return a share or a mean by level, cluster-robust.

    Parameters
    ----------
    frame
        One row an observation; rows without outcome or level are left out.
    outcome
        Column of 0 and 1, or of numbers.
    by
        Column of the levels; '' for the whole.
    kind
        `share` (Wilson at the effective size) or `mean` (t).
    metric
        Name of the outcome in the results; default the column.
    cluster
        Column of the customer; None where each row is one of its own.
    confidence, min_n
        Of the intervals; the least distinct customers of a level that is shown. Hidden, too, are means of answers that
        are all the same; and with either enough others that they cannot be worked out (`hiding.levels`).

    Returns
    -------
    pandas.DataFrame
        One level row each, in the order of their names; one `undefined` row where there is nothing.
    """
    rows = _rows(frame, outcome, by, kind, cluster)
    about = {"metric": metric or outcome, "segment": by or "all"}
    if not rows.names:
        return results.frame(**about, status=results.UNDEFINED, note=NONE)
    sums = moments_of(rows)
    if kind == "share":
        found = formulas.share(sums.sums["y"], sums.rows, n_eff=sums.effective_n, confidence=confidence)
    else:
        found = formulas.mean(sums, confidence=confidence)
    found = results.label(found, **about, level=list(rows.names))
    also = telling(rows, min_n) if kind == "mean" else []
    return suppressed(found, unseen(people_of(rows), min_n, whole=not by, also=also))


def differences(
    frame: pd.DataFrame,
    outcome: str,
    by: str,
    base: str,
    *,
    within: str = "",
    case_mix: Sequence[str] = (),
    metric: str = "",
    cluster: str | None = "customer_id",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return what each level differs by from one of them, with all else equal.

    Parameters
    ----------
    frame, outcome, by, metric, cluster, confidence, min_n
        As in `levels`.
    base
        The level that others are compared with.
    within
        Column of groups: only rows of one group are compared with each other; '' for all with all.
    case_mix
        Columns that are held equal, as in `partners.fit`.

    Returns
    -------
    pandas.DataFrame
        One row a level but the base, `comparison = "difference"`: least squares with a fixed effect a group, errors
        robust to clusters of customers (with G / (G - 1)), t with customers - 1 degrees; a customer may be on both
        sides. n counts the rows of both. An effect only as far as the levels came about by chance.
    """
    kept = frame[frame[by].notna()].assign(**({"_whole": _WHOLE} if not within else {}))
    rows = rows_of(kept, outcome, within or "_whole", case_mix=case_mix, kind="mean", cluster=cluster)
    known = (kept[outcome].notna() & kept[within or "_whole"].notna()).to_numpy()
    code, names = coded(kept.loc[known, by])
    about = {"metric": metric or outcome, "segment": by, "comparison": "difference", "against": base}
    others = [name for name in names if name != base]
    if not others or base not in names:
        return results.frame(**about, status=results.UNDEFINED, note=f"nothing to compare with '{base}'")
    dummies = np.stack([(code == names.index(other)).astype(float) for other in others], axis=1)
    both = replace(rows, design=np.hstack([dummies - dummies.mean(axis=0), rows.design]))
    found = slopes(both)
    count = np.bincount(code, minlength=len(names))
    sizes = dict(zip(names, count.tolist(), strict=True))
    held = people_of(replace(rows, code=code, names=names))
    gone = [level for level, people in held.items() if people < min_n]
    method = f"least squares{' within groups' if within else ''}, cluster-robust"
    method += f", {', '.join(case_mix)} held equal" if case_mix else ""
    parts = [
        _difference(found, place, np.unique(rows.people).size, sizes[base] + sizes[other], confidence)
        .assign(**about, level=other, method=method)
        for place, other in enumerate(others)
    ]  # fmt: skip
    table = results.concat([results.conform(part) for part in parts])
    return suppressed(table, others if base in gone else gone)


def _difference(found: Slopes | None, place: int, groups: int, n: int, confidence: float) -> pd.DataFrame:
    """Return the slope of one dummy as a row."""
    if found is None or not found.moves[place] or groups < 2:
        return results.frame(status=results.TOO_FEW, note="no group has rows of both")
    at = int(found.moves[: place + 1].sum()) - 1
    value, error = float(found.slope[at]), float(np.sqrt(found.cover[at, at] * groups / (groups - 1)))
    if error <= 0:
        return results.frame(status=results.TOO_FEW, note="all rows are alike")
    low, high = intervals.student(np.array(value), np.array(error), np.array(groups - 1.0), confidence)
    p_value = 2 * stats.t.sf(abs(value) / error, groups - 1)
    return results.frame(
        estimate=value, std_error=error, conf_low=low, conf_high=high, p_value=p_value, n=n, n_eff=groups
    )


def people_of(rows: Rows) -> dict[str, float]:
    """Return the distinct customers of each level."""
    size = int(rows.people.max(initial=0)) + 1
    count = np.bincount(pd.unique(rows.code * size + rows.people) // size, minlength=len(rows.names))
    return {name: float(n) for name, n in zip(rows.names, count, strict=True)}


def unseen(
    people: dict[str, float], min_n: int, *, whole: bool = False, also: Collection[str] = ()
) -> list[str]:  # fmt: skip
    """Return the levels to hide, those in `also` among them; customers may be of several levels."""
    if whole:
        return [level for level, count in people.items() if count < min_n or level in also]
    return hiding.levels(people, min_n, apart=False, also=also)


def telling(rows: Rows, min_n: int) -> list[str]:
    """Return the levels whose figure tells what each of its customers answered: all the same."""
    if min_n < 2:
        return []
    low, high = np.full(len(rows.names), np.inf), np.full(len(rows.names), -np.inf)
    np.minimum.at(low, rows.code, rows.y)
    np.maximum.at(high, rows.code, rows.y)
    return [name for name, one in zip(rows.names, low == high, strict=True) if one]


def suppressed(table: pd.DataFrame, gone: Collection[str]) -> pd.DataFrame:
    """Hide the rows of some levels."""
    here = table["level"].isin(list(gone)) & table["status"].isin([results.OK, results.TOO_FEW])
    if not here.any():
        return table
    status, note = table["status"].mask(here, results.SUPPRESSED), table["note"].mask(here, hiding.NOTE)
    return results.conform(table.assign(status=status, note=note))


def _rows(frame: pd.DataFrame, outcome: str, by: str, kind: str, cluster: str | None) -> Rows:
    given = frame if by else frame.assign(_whole=_WHOLE)
    return rows_of(given, outcome, by or "_whole", case_mix=(), kind=kind, cluster=cluster)
