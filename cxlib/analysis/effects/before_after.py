"""The naive comparison: after less before, where something was changed. Shown beside the others to be explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects import panels
from cxlib.analysis.effects.clusters import CLUSTER, FEW, NO_ERROR, Fitted, least_squares, numbers_of, sound
from cxlib.analysis.effects.panels import NEVER
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Codes, Numbers

METHOD = "before and after alone, nothing to compare with"
_WARNING = "takes for the effect whatever else changed meanwhile: trends, seasons, who is seen"


def before_after(
    frame: pd.DataFrame,
    *,
    outcome: str,
    time: str,
    treated: str | None = None,
    start: Any = None,
    first_treated: str | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare the treated after their start with the treated before: what a design with others to compare with mends.

    Parameters
    ----------
    frame
        One row per answer, contact or unit and time.
    outcome, time
        Columns, as in `did`.
    treated
        Column of who is treated, 0 or 1; None with `start`: all rows are.
    start
        First time with treatment. Or:
    first_treated
        Column of the first time of each; rows of those never treated are left out.
    cluster
        Column of what is drawn together, customers say; by default each row is its own.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame: the difference (at `effect`), then the means (`level`; at `before` and `after`).

    Raises
    ------
    UsageError
        For columns that are not there or hold something else; where neither or both of `start` and `first_treated`
        are given.
    """
    intervals.check_confidence(confidence)
    y, after, own = _rows(frame, outcome, time, treated, start, first_treated, cluster)
    counts = np.array([(after == 0).sum(), (after == 1).sum()])
    common = {"metric": outcome, "method": METHOD}
    if not y.size:
        note = "no rows to compare"
        return results.frame(comparison="difference", at="effect", status=results.TOO_FEW, note=note, **common)
    if not counts.all():
        empty = "before" if not counts[0] else "after"
        return results.frame(
            comparison="difference", at="effect", status=results.UNDEFINED, note=f"nobody is seen {empty}", **common
        )
    fit = least_squares(
        np.column_stack([after, np.ones(y.size)]), y, errors=CLUSTER, cluster=own, few=np.unique(own).size < FEW
    )
    if fit is None or not sound(np.diag(fit.cov), fit.freedom, y).all():
        return results.frame(comparison="difference", at="effect", status=results.TOO_FEW, note=NO_ERROR, **common)
    return _told(fit, y, counts, common, confidence)


def _rows(
    frame: Any, outcome: str, time: str, treated: str | None, start: Any, first_treated: str | None, cluster: str | None
) -> tuple[Numbers, Numbers, Codes]:
    """Return outcome, whether after the start, and cluster of the rows of the treated."""
    if (start is None) == (first_treated is None):
        raise UsageError("give either start or first_treated")
    given = {"outcome": outcome, "time": time, "treated": treated, "first_treated": first_treated, "cluster": cluster}
    doors.require(doors.frame(frame), {role: name for role, name in given.items() if name is not None})
    y = doors.numbers(outcome, frame[outcome])
    spot, axis = panels.times(time, frame[time])
    own = np.arange(y.size) if cluster is None else panels.codes_of(frame[cluster])
    kept: Mask = ~np.isnan(y) & (spot >= 0) & (own >= 0)
    if treated is not None:
        kept &= panels.flags(treated, frame[treated]) == 1
    if first_treated is None:
        begin = np.full(y.size, panels.start_place(axis, start) if axis.size else 0)
    else:
        begin = panels.starts(first_treated, frame[first_treated], axis)
        kept &= begin != NEVER
    return y[kept], (spot >= begin)[kept].astype(float), own[kept]


def _told(fit: Fitted, y: Numbers, counts: Any, common: dict[str, str], confidence: float) -> pd.DataFrame:
    effect = results.frame(
        comparison="difference", at="effect", against="before", n=counts.sum(), n_eff=fit.clusters, note=_WARNING,
        **common, **numbers_of(fit.beta[:1], fit.cov[0, :1], fit.freedom[:1], confidence),
    )  # fmt: skip
    corners = np.array([[0.0, 1.0], [1.0, 1.0]])
    variance = np.einsum("ij,jk,ik->i", corners, fit.cov, corners)
    freedom = np.full(2, fit.freedom.min())
    limits = numbers_of(corners @ fit.beta, variance, freedom, confidence)
    limits.pop("p_value")
    known = sound(variance, freedom, y)
    means = results.frame(
        comparison="level", level="treated", at=["before", "after"], n=counts,
        status=np.where(known, results.OK, results.TOO_FEW), note=np.where(known, "", NO_ERROR), **common, **limits,
    )  # fmt: skip
    return results.concat([effect, means])
