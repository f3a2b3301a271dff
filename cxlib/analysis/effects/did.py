"""Difference-in-differences: what changed where something was changed, less what changed where it was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.effects.clusters import NO_ERROR, Fitted, numbers_of, sound
from cxlib.analysis.effects.did_fit import InBoth, InGroups, fitted
from cxlib.analysis.effects.did_rows import Rows, rows_of, start_of
from cxlib.measure import intervals


def did(
    frame: pd.DataFrame,
    *,
    outcome: str,
    time: str,
    treated: str,
    unit: str | None = None,
    start: Any = None,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    errors: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the effect of a change by difference-in-differences.

    Parameters
    ----------
    frame
        One row per answer, contact or unit and time.
    outcome, time, treated
        Columns: a number; numbers, days, or months, quarters, weeks as "2026-10"; 0 or 1. Treated is who is touched
        (the same in all rows of a unit, before the change, too), or, where it varies within a unit, when.
    unit
        Who is seen several times. None: repeated cross-sections, other people each time.
    start
        First time with treatment; by default the second of two times. Not used where treated varies within units.
    covariates
        Columns, numbers or levels.
    cluster
        What is drawn or decided together: its rows may hang together in any way. By default the unit.
    errors
        `classical`, `hc1` or `cluster`; by default `cluster` where there is a cluster or unit, else `classical`.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame: the effect first (comparison `difference`, at `effect`); then, without units whose treatment
        varies, the four means (`level`; level treated or untreated, at before or after), with the same errors. n_eff is
        the number of clusters.

        Treated constant within unit, or no unit: the interaction in outcome ~ treated x (time >= start); where groups
        are seen in other numbers at each of many times, `group_time_att(..., base="all")` weighs times alike. Varying:
        two-way fixed effects, which is a weighted mean of effects and with staggered starts may weigh some below 0
        (Goodman-Bacon 2021, J. Econometrics 225:254): use `group_time_att` then.

        Errors: CR1 and t with clusters - 1. With fewer than 20 treated or untreated clusters CR2 with Bell and
        McCaffrey's degrees of freedom. With one treated cluster from placebos: the spread of effects that are had by
        taking each untreated cluster for the treated one, which takes the treated one to be as noisy as the others
        (Conley and Taber 2011, Rev. Econ. Stat. 93:113; Arkhangelsky et al. 2021, AER 111:4088, algorithm 4).

    Raises
    ------
    UsageError
        For columns that are not there or hold something else, or no start where one is needed.

    Notes
    -----
    The interval allows for who was seen, not for what else happened to a treated group at that time. Clusters that are
    finer than the groups that were chosen (customers of two regions) say nothing about that: see `placebos`.

    Measured (errors AR(1) with .6 within units, 12 periods, 1,000 panels): 95 % intervals by cluster held the truth in
    94.6 % of cases with 20 treated and 20 untreated units, 94.5 with 4 and 4, 95.3 with 3 and 5, 94.6 with 1 and 19,
    and uselessly often, 99.8 %, with 2 and 18: there are too few degrees of freedom to say more. Two-way fixed effects
    with classical errors held it in 72 %. CR1 counts all effects that are taken out, as R's `vcovCL` of `lm` does: over
    very few periods it is wider than need be, by 1.4 at two.
    """
    intervals.check_confidence(confidence)
    rows = rows_of(
        frame, outcome=outcome, time=time, treated=treated, unit=unit, covariates=covariates, cluster=cluster,
        errors=errors,
    )  # fmt: skip
    if not rows.y.size:
        return _none(rows, outcome, "difference-in-differences", results.TOO_FEW, "no rows to compare")
    if rows.varies:
        return _two_way(rows, outcome, start is not None, confidence)
    return _four_means(rows, start_of(rows, start, time), outcome, confidence)


def _four_means(rows: Rows, start: int, outcome: str, confidence: float) -> pd.DataFrame:
    method = "difference-in-differences: group x period"
    after = (rows.time >= start).astype(float)
    counts = np.bincount((2 * rows.treated + after).astype(int), minlength=4)
    if not counts.all():
        names = ("untreated before", "untreated after", "treated before", "treated after")
        empty = " or ".join(name for name, count in zip(names, counts, strict=True) if not count)
        return _none(rows, outcome, method, results.UNDEFINED, f"nobody is seen {empty}")
    found = fitted(rows, InGroups(start))
    if found.fit is None:
        return _none(rows, outcome, method, found.status, found.note)
    effect = _effect(rows, outcome, f"{method}, {found.words}", found.fit, found.note, confidence)
    return results.concat([effect, _means(rows, found.fit, counts, outcome, effect["method"].iloc[0], confidence)])


def _two_way(rows: Rows, outcome: str, started: bool, confidence: float) -> pd.DataFrame:
    method = "difference-in-differences: two-way fixed effects"
    found = fitted(rows, InBoth())
    if found.fit is None:
        return _none(rows, outcome, method, found.status, found.note)
    note = "the start given is not used: the rows say who is treated when" if started else ""
    note = "; ".join(filter(None, (found.note, note)))
    return _effect(rows, outcome, f"{method}, {found.words}", found.fit, note, confidence)


def _effect(rows: Rows, outcome: str, method: str, fit: Fitted, note: str, confidence: float) -> pd.DataFrame:
    """Return the row of the effect."""
    return results.frame(
        metric=outcome, comparison="difference", at="effect", against="untreated", method=method, n=rows.y.size,
        n_eff=fit.clusters, note="; ".join(filter(None, (*rows.notes, note))),
        **numbers_of(fit.beta[:1], fit.cov[0, :1], fit.freedom[:1], confidence),
    )  # fmt: skip


def _means(rows: Rows, fit: Fitted, counts: Any, outcome: str, method: str, confidence: float) -> pd.DataFrame:
    """Return the four means, at the covariates' mean; none where placebos measure the error of the effect alone."""
    corners = np.zeros((4, fit.beta.size))
    corners[:, :4] = [[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]]
    variance = np.einsum("ij,jk,ik->i", corners, fit.cov, corners)
    freedom = np.full(4, fit.freedom.min())
    limits = numbers_of(corners @ fit.beta, variance, freedom, confidence)
    limits.pop("p_value")
    known = sound(variance, freedom, rows.y)
    return results.frame(
        metric=outcome, comparison="level", level=["treated", "treated", "untreated", "untreated"],
        at=["before", "after", "before", "after"], method=method, n=counts[[2, 3, 0, 1]],
        status=np.where(known, results.OK, results.TOO_FEW),
        note=np.where(known, "", NO_ERROR), **limits,
    )  # fmt: skip


def _none(rows: Rows, outcome: str, method: str, status: str, note: str) -> pd.DataFrame:
    return results.frame(
        metric=outcome, comparison="difference", at="effect", against="untreated", method=method, status=status,
        note="; ".join((*rows.notes, note)),
    )  # fmt: skip
