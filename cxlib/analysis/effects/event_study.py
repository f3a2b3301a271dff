"""Effects by time since the start, and what the time before it says of the trends that all this rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects.aggregate import DYNAMIC, OVERALL, drawn
from cxlib.analysis.effects.clusters import numbers_of
from cxlib.analysis.effects.did_fit import OverTime, fitted
from cxlib.analysis.effects.did_rows import Rows, rows_of, start_of
from cxlib.analysis.effects.event_study_trends import Path, breakdowns, drifts, pre_trend
from cxlib.analysis.effects.group_time import group_time_att
from cxlib.analysis.effects.group_time_cells import ALL, CENTRED, UNIVERSAL, check_choice, contrasts
from cxlib.analysis.effects.group_time_fit import GroupTime
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

NO_ROWS = "no rows to compare"
BASES = (UNIVERSAL, ALL)
_BASE = "the period the others are compared with"


def event_study(
    frame: pd.DataFrame,
    *,
    outcome: str,
    time: str,
    treated: str | None = None,
    start: Any = None,
    first_treated: str | None = None,
    unit: str | None = None,
    covariates: Sequence[str] = (),
    cluster: str | None = None,
    control: str = "never",
    base: str = UNIVERSAL,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the effect at each period before and after the start, and test the periods before.

    Parameters
    ----------
    frame, outcome, time, unit, cluster
        As in `did` and `group_time_att`.
    treated, start
        One start for all: the column of who is treated, 0 or 1 and the same in all rows of a unit, and the first time.
    first_treated, control
        Several starts: the column of the first time of each, and whom to compare with, as in `group_time_att`; the
        effects are those of `aggregate(..., "dynamic")` with one base throughout. Instead of `treated`.
    base
        `universal`: all is against the period before the start. `all`: against the mean of all periods before it, as
        `group_time_att(..., base="all")` has it; the periods before are their distances from that mean. Give the one
        that the effect has: what follows is then about the same figure.
    covariates
        Columns; with `treated` only.
    confidence
        Of the intervals; 1 - confidence is the size of the tests.

    Returns
    -------
    pandas.DataFrame
        A result frame: level `overall`, the plain mean from the start on; level `event`, at = periods since the start,
        with the universal base the one before it (-1) with 0; n = rows of the treated at these times; then tests.
        Metric `pre_trend`: a joint Wald test (Hotelling's F) that all effects before the start are 0 (of the base
        `all`, that they are alike: their mean is 0 by itself, so -1 is not needed in it).

        Metric `drift` (`difference`), levels `a period` and `average`: the steady drift that is found in about 80 of
        100 cases, at `jointly` by this test, at `in one period` by those of single periods, and what it makes of the
        average effect where it goes on (Roth 2022, AER: Insights 4:305): finding nothing proves nothing. The base `all`
        lies further back, so a drift makes more of its effects.

        Metric `breakdown`, levels `first period` and `average`: how many times the largest change between two
        neighbouring periods before the start the groups may drift apart per period after it until the effect cannot be
        told from none (relative magnitudes of Rambachan and Roth 2023, Rev. Econ. Studies 90:2555). Of the base `all`
        that drift sets out from the mean of the periods before, which this base takes to be alike: `pre_trend` tests
        that. Every candidate for the largest change is tested with its own error, so the figure errs on the side of
        caution, the more the noisier single periods are; their own tests are sharper.

    Raises
    ------
    UsageError
        As in `did` and `group_time_att`; for another base; where neither or both of `treated` and `first_treated` are
        given.
    """
    intervals.check_confidence(confidence)
    check_choice("base", base, BASES)
    if (treated is None) == (first_treated is None):
        raise UsageError("give either treated, with start, or first_treated")
    if first_treated is not None:
        if doors.names(covariates):
            raise UsageError("covariates and several starts do not go together here", hint="Leave covariates out.")
        att = group_time_att(
            frame, outcome=outcome, unit=unit, time=time, first_treated=first_treated, control=control, cluster=cluster,
            base=base, confidence=confidence,
        )  # fmt: skip
        if not att.means.rows.size:
            return _none(outcome, f"event study of {att.method}", NO_ROWS, results.TOO_FEW)
        path, note = _staggered(att, control, base)
        return _of_path(path, outcome, f"event study of {att.method}", note, confidence)
    rows = rows_of(
        frame, outcome=outcome, time=time, treated=str(treated), unit=unit, covariates=covariates, cluster=cluster,
        errors=None,
    )  # fmt: skip
    if rows.varies:
        raise UsageError(f"'{treated}' varies within units", hint="Give first_treated, the time each of them started.")
    if not rows.y.size:
        return _none(outcome, "event study: group x time", NO_ROWS, results.TOO_FEW)
    return _common(rows, start_of(rows, start, time), outcome, base, confidence)


def _common(rows: Rows, start: int, outcome: str, base: str, confidence: float) -> pd.DataFrame:
    """Return the event study of one start."""
    method = f"event study: group x time, {base} base" if base == ALL else "event study: group x time"
    seen = np.zeros((2, rows.axis.size), dtype=bool)
    seen[rows.treated.astype(int), rows.time] = True
    both: Mask = np.asarray(seen.all(axis=0))
    kept = rows.take(both[rows.time])
    times = [place for place in np.flatnonzero(both).tolist() if place != start - 1]
    if start < 1 or start > both.size or not both[start - 1] or not any(place >= start for place in times):
        return _none(outcome, method, "treated and untreated must be seen just before the start and after it")
    found = fitted(kept, OverTime(start, tuple(times)), len(times))
    if found.fit is None:
        return _none(outcome, method, found.note, found.status)
    size, counts = len(times), np.bincount(kept.time, kept.treated, both.size)
    path = Path(
        np.array(times) - start, found.fit.beta[:size], found.fit.cov[:size, :size], found.fit.freedom[:size],
        counts[times] + counts[start - 1], np.array(times) - start + 1.0,
    )  # fmt: skip
    path = path if base == UNIVERSAL else _centred(path, counts[np.append(np.array(times), start - 1)])
    lost = [f"{int((~both).sum())} times left out at which not both are seen"] if not both.all() else []
    note = "; ".join(filter(None, (*rows.notes, *lost, found.note)))
    return _of_path(path, outcome, f"{method}, {found.words}", note, confidence)


def _centred(path: Path, counts: Numbers) -> Path:
    """Return a path against the mean of all periods before; `counts` are rows of the treated, of the one before last.

    Linear in the path against the period before, which is 0 there.
    """
    since, size = np.append(path.since, -1), path.since.size
    before, order = since < 0, np.argsort(since, kind="stable")
    turn = np.eye(size + 1)[:, :size] - (before[:size] / before.sum())
    freedom = np.full(size + 1, path.freedom.min())  # one effect of a kind with few is in all of them
    rows = np.where(before, 0.0, counts) + counts[before].sum()
    lead = since - since[before].mean()
    turned = Path(since, turn @ path.effect, turn @ path.cov @ turn.T, freedom, rows, lead)
    return turned.take(order if before.sum() > 1 else order[since[order] != -1])


def _staggered(att: GroupTime, control: str, base: str) -> tuple[Path | None, str]:
    """Return the effects by periods since the start with their covariance, None where there are none, and notes."""
    if base == ALL:
        att = replace(att, cells=contrasts(att.means, control=control, anticipation=0, base=CENTRED))
    found = drawn(att, DYNAMIC)
    since = np.array([int(name) if name != OVERALL else -1 for name in found.names], dtype=np.int64)
    kept = np.array([name != OVERALL for name in found.names], dtype=bool)
    kept &= (found.lever != 0).any(axis=0) | (since != -1)  # -1 that all is compared with is 0 and no effect
    _, freedom, reasons = att.errors(found.lever) if found.effect.size else (None, np.empty(0), [])
    sound = np.array([not reason for reason in reasons], dtype=bool)
    lost = int((kept & ~sound).sum())
    kept &= sound
    left_out = [f"{lost} times left out at which too few are seen to measure an error"] if lost else []
    note = "; ".join([*att.notes, *left_out])
    if not (since[kept] >= 0).any():
        return None, note
    cov = att.covariance(found.lever[:, kept])
    return Path(since[kept], found.effect[kept], cov, freedom[kept], found.rows[kept], found.lead[kept]), note


def _of_path(path: Path | None, outcome: str, method: str, note: str, confidence: float) -> pd.DataFrame:
    """Return the rows of effects over time and of their tests."""
    if path is None:
        why = "no group is seen just before and after its start, with another to compare with, often enough"
        return _none(outcome, method, "; ".join(filter(None, (why, note))))
    after = (path.since >= 0).astype(float)
    mean = after / after.sum()
    share = numbers_of(
        np.array([mean @ path.effect]), np.array([mean @ path.cov @ mean]), path.freedom[after > 0].min(keepdims=True),
        confidence,
    )  # fmt: skip
    common = {"metric": outcome, "comparison": "difference", "method": method, "note": note}
    head = results.frame(level=OVERALL, n=path.rows[after > 0].max(), **common, **share)
    numbers = numbers_of(path.effect, np.diag(path.cov), path.freedom, confidence)
    events = results.frame(level="event", at=path.since.astype(str), n=path.rows, **common, **numbers)
    base = results.frame(
        level="event", at="-1", n=path.rows.max(), **(common | {"note": _BASE}), estimate=0.0, std_error=0.0,
        conf_low=0.0, conf_high=0.0,
    )  # fmt: skip
    place = int((path.since < -1).sum())
    tests = results.concat([pre_trend(path, confidence), drifts(path, confidence), breakdowns(path, confidence)])
    tests = results.label(tests, method=[f"{method}, {how}" for how in tests["method"]])
    middle = [base] if path.anchored else []
    return results.concat([head, events.iloc[:place], *middle, events.iloc[place:], tests])


def _none(outcome: str, method: str, note: str, status: str = results.UNDEFINED) -> pd.DataFrame:
    return results.frame(
        metric=outcome, comparison="difference", level=OVERALL, method=method, status=status, note=note
    )
