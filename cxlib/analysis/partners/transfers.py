"""Brand transfer: the experience that was intended, and how much of it arrives at each partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import numbers_of
from cxlib.analysis.partners.fits import Fit, fit_rows, shrunk
from cxlib.analysis.partners.rows import Rows, check_columns, rows_of
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

MEASURES = {"gap": "transfer_gap", "share": "transfer_share"}
_GAP = "_gap"


def transfer(
    frame: pd.DataFrame,
    delivered: str,
    intended: str | float,
    partner: str,
    *,
    measure: str = "gap",
    case_mix: Sequence[str] = (),
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Compare the delivered with the intended experience, one row a partner.

    Parameters
    ----------
    frame
        One row an answer or observation.
    delivered
        Column of what customers got: a score, a share of promises kept, a duration.
    intended
        Column of what the brand wants there, on the same scale, or one number for all.
    partner
        Column of the partner.
    measure
        `gap`: delivered less intended; `share`: delivered over intended, the share of the intended that arrives (both
        sums above 0), which may exceed 1.
    case_mix, cluster, confidence, min_n
        As in `fits.fit`.
    metric
        Name in the results; default `transfer_gap` or `transfer_share`.

    Returns
    -------
    pandas.DataFrame
        One row a partner, against the intended, shrunk as in `fits.shrunk`: `comparison` `difference` or `share`.
        Verdict `moved` where the interval leaves out what was intended (a gap of 0, a share of 1).

    Notes
    -----
    A share is a ratio of sums; its variance is by linearisation, so that partners' shares are shrunk as means are.
    For ranks, tiers and control limits take `transfer_fit`.
    """
    found = transfer_fit(
        frame, delivered, intended, partner, measure=measure, case_mix=case_mix, cluster=cluster, metric=metric,
        confidence=confidence, min_n=min_n,
    )  # fmt: skip
    return _against(found, measure, intended)


def transfer_of(found: Fit, intended: float) -> pd.DataFrame:
    """Return the gaps of `transfer` to one intended number, from what was fitted to the delivered already.

    Parameters
    ----------
    found
        Of the delivered: a mean, a share or points.
    intended
        What the brand wants there.
    """
    rows = replace(found.rows, y=found.rows.y - float(intended))
    gaps = fit_rows(rows, MEASURES["gap"], found.partner, "mean", confidence=found.confidence, min_n=found.min_n)
    return _against(gaps, "gap", intended)


def transfer_fit(
    frame: pd.DataFrame,
    delivered: str,
    intended: str | float,
    partner: str,
    *,
    measure: str = "gap",
    case_mix: Sequence[str] = (),
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> Fit:
    """Return the fit behind `transfer`, for `ranks`, `tiers`, `funnel` and `spread`; parameters as there."""
    intervals.check_confidence(confidence)
    if measure not in MEASURES:
        raise UsageError(f"'{measure}' is no measure of transfer; there are {', '.join(MEASURES)}")
    check_columns(frame, [delivered, *([intended] if isinstance(intended, str) else [])])
    given = numbers_of(frame, [delivered, *([intended] if isinstance(intended, str) else [])])
    got, goal = given[delivered], given[intended] if isinstance(intended, str) else np.full(len(frame), float(intended))
    gap = pd.Series(got - goal, index=frame.index)
    rows = rows_of(
        frame.assign(**{_GAP: gap}), _GAP, partner, case_mix=case_mix, kind="mean", cluster=cluster
    )  # fmt: skip
    if measure == "share":
        kept = ~np.isnan(got - goal) & frame[partner].notna().to_numpy()
        rows = _as_share(rows, got[kept], goal[kept])
    return fit_rows(rows, metric or MEASURES[measure], partner, "mean", confidence=confidence, min_n=min_n)


def _against(found: Fit, measure: str, intended: str | float) -> pd.DataFrame:
    """Return the rows of `transfer`."""
    table, goal = shrunk(found), 0.0 if measure == "gap" else 1.0
    beyond = (table["conf_low"] > goal) | (table["conf_high"] < goal)
    verdict = np.where(table["status"] != results.OK, "", np.where(beyond, "moved", "not shown"))
    kind = "difference" if measure == "gap" else "share"
    return results.conform(table.assign(comparison=kind, against=_name(intended), verdict=verdict))


def _as_share(rows: Rows, got: Numbers, goal: Numbers) -> Rows:
    """Return rows whose mean at each partner is sum of delivered / sum of intended, and whose spread is that ratio's.

    y = R + (delivered - R intended) / mean intended, with R and the mean those of the row's partner.
    """
    k = len(rows.names)
    below = np.bincount(rows.code, goal, k)
    poor = np.flatnonzero(below <= 0)
    if poor.size:
        raise UsageError(
            f"the intended of {poor.size:,} partners adds up to nothing or less, {rows.names[poor[0]]} first",
            hint="A share needs a scale with a true zero; take measure='gap'.",
        )
    ratio, mean = np.bincount(rows.code, got, k) / below, below / np.bincount(rows.code, minlength=k)
    return replace(rows, y=ratio[rows.code] + (got - ratio[rows.code] * goal) / mean[rows.code])


def _name(intended: str | float) -> str:
    return intended if isinstance(intended, str) else f"{intended:g}"
