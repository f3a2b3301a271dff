"""Effects by group and time where groups start at different times (Callaway and Sant'Anna 2021)."""

from __future__ import annotations

import pandas as pd

from cxlib.analysis.effects.group_time_cells import (
    ALL,
    NEVER_TREATED,
    NOT_YET,
    UNIVERSAL,
    VARYING,
    check_choice,
    contrasts,
)
from cxlib.analysis.effects.group_time_fit import GroupTime, rows_of_cells
from cxlib.analysis.effects.group_time_rows import means_of, read
from cxlib.measure import intervals

CONTROLS = (NEVER_TREATED, NOT_YET)
BASES = (VARYING, UNIVERSAL, ALL)


def group_time_att(
    frame: pd.DataFrame,
    *,
    outcome: str,
    unit: str | None,
    time: str,
    first_treated: str,
    control: str = "never",
    panel: bool | None = None,
    cluster: str | None = None,
    weights: str | None = None,
    anticipation: int = 0,
    base: str = "varying",
    confidence: float = 0.95,
) -> GroupTime:
    """Estimate the average effect on each group that started together, in each period (ATT(g, t)).

    Parameters
    ----------
    frame
        One row per unit and time, or per answer or contact: repeated cross-sections, other customers each time.
    outcome
        Column: a number. Take logarithms first where trends are parallel in them.
    unit
        Column: who is seen, the clusters of the errors; None where each row is somebody else.
    time, first_treated
        Columns: numbers, days, or months, quarters, weeks as "2026-10"; first_treated is the first time with treatment,
        0 or missing where there is none. Who starts after the last time seen is never treated; who had started by the
        first time is left out: nothing is known of them before.
    control
        `never`: against those never treated; `not_yet`: against all who are not treated yet at the time.
    panel
        True: units are followed; those not seen at every time are left out. False: repeated cross-sections; a unit may
        be in several groups. None: all rows are used, and on a balanced panel both are the same.
    cluster
        Column of coarser clusters than units.
    weights
        Column of weights of rows, 0 or more.
    anticipation
        Periods before the start in which there may be an effect already.
    base
        `varying`: an effect before the start is against the period before it, later ones against the last period before
        the start. `universal`: all against the last period before the start, which has a row of 0. `all`: later ones
        against the mean of all periods before the start, which is more precise where answers are few a period, and
        wants trends to be parallel in all of them.
    confidence
        Of the intervals.

    Returns
    -------
    GroupTime
        `.frame`: comparison `difference`, level = g, at = t, n = rows of the group in the two periods; rows with t
        before g tell whether trends were parallel. `.influence`, `.groups`; see `aggregate` for what to read.

        Each effect is four weighted means. Errors are those of their influence functions, added up over clusters, with
        n / (n - 1) for the n clusters of each group and t with Satterthwaite's degrees of freedom (R `did` takes the
        normal distribution and no such factor, too little where a group has 20 units).

    Raises
    ------
    UsageError
        For columns that are not there or hold something else, names of choices that are none, a unit in several groups
        of a panel, and no never-treated where they are asked for.

    Notes
    -----
    Errors allow for who was seen, not for what else happened to one group in those periods: with customers of a few
    regions that is what `placebos` and the rows before the start are for.

    References
    ----------
    Callaway and Sant'Anna (2021), J. Econometrics 225:200, sections 2 to 4; conventions of R `did` 2.1 without
    covariates. Measured: see `aggregate`.
    """
    intervals.check_confidence(confidence)
    check_choice("control", control, CONTROLS)
    check_choice("base", base, BASES)
    rows = read(
        frame, outcome=outcome, unit=unit, time=time, first_treated=first_treated, panel=panel, cluster=cluster,
        weights=weights, anticipation=anticipation,
    )  # fmt: skip
    means = means_of(rows)
    cells = contrasts(means, control=control, anticipation=anticipation, base=base)
    return rows_of_cells(rows, means, cells, outcome, _method(control, base, anticipation, rows.panel), confidence)


def _method(control: str, base: str, anticipation: int, panel: bool) -> str:
    against = "never treated" if control == NEVER_TREATED else "not yet treated"
    kind = "panel" if panel else "repeated cross-sections"
    early = f", {anticipation} periods of anticipation" if anticipation else ""
    return f"group-time effects, {kind}, against {against}, {base} base{early}"
