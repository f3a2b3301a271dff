"""Placebos of designs over groups and periods: effects where and when there can be none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.effects import panels
from cxlib.analysis.effects.aggregate import GROUP, OVERALL, SIMPLE, aggregate, drawn
from cxlib.analysis.effects.clusters import numbers_of, sound
from cxlib.analysis.effects.group_time import group_time_att
from cxlib.analysis.effects.group_time_cells import ALL
from cxlib.analysis.effects.group_time_fit import GroupTime
from cxlib.analysis.effects.panels import NEVER
from cxlib.errors import UsageError
from cxlib.measure import intervals, verdicts
from cxlib.measure.rows import Numbers

IN_TIME, IN_SPACE = "in time", "in space"
_MOST_TIMES, _MOST_FITTED, _LEAST_SPREAD = 12, 60, 4


def placebos(
    frame: pd.DataFrame,
    *,
    outcome: str,
    time: str,
    treated: str | None = None,
    start: Any = None,
    first_treated: str | None = None,
    unit: str | None = None,
    group: str | None = None,
    control: str = "never",
    base: str = "varying",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate effects where there can be none, and say how many are as large as the one that was found.

    Parameters
    ----------
    frame, outcome, time
        As in `group_time_att`.
    treated, start
        Column of who is treated, 0 or 1, and the first time with treatment. Or:
    first_treated
        Column of the first time of each; 0 or missing: never.
    unit
        Column of who is seen, the clusters of the errors; None: each row by itself.
    group
        Column of what it was decided for: regions, shops. By default the unit. Placebos in space take one of them each.
    control, base
        As in `group_time_att`; placebos in space are against all that are not treated yet.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Rows (comparison `difference`) at `in time`: only rows not treated yet, as if it had started k periods earlier,
        level "k earlier", up to 12; at `in space`: each group not treated at the first start, as if it had started
        then, against the others not treated yet, level = the group. Then a test row for each: metric `placebos`,
        estimate = the share of placebos as large as the effect or larger. In space its p-value is (1 + as large) /
        (1 + groups), exact where any group might have been chosen (Abadie, Diamond and Hainmueller 2010, JASA 105:493)
        and cautious where the effect is a mean over several groups. In time it is Holm's smallest p-value of the
        placebos.

        Errors of a placebo in space: by cluster where each group has several; with one cluster to a group, or more than
        60 groups, the spread of the other placebos.

    Raises
    ------
    UsageError
        As in `group_time_att`.
    """
    intervals.check_confidence(confidence)
    rows, notes = _rows(frame, outcome, time, treated, start, first_treated, unit, group)
    if rows.empty:
        return results.label(_nothing(outcome, "no rows to compare"), status=results.TOO_FEW)
    if not (rows["start"] > 0).any():
        return _nothing(outcome, "nobody is treated")
    effect, _ = _estimate(rows, control, base, confidence)
    parts = {IN_TIME: _in_time(rows, control, base, confidence), IN_SPACE: _in_space(rows, base, confidence)}
    found = [each for at, (part, had) in parts.items() for each in (part, _test(part, had, at, effect, confidence))]
    out = results.concat(found)
    names = np.where(out["comparison"] == "test", "placebos", outcome)
    return results.label(out, metric=list(names), method="; ".join(["placebos of group-time effects", *notes]))


def _rows(
    frame: Any, outcome: str, time: str, treated: str | None, start: Any, first_treated: str | None,
    unit: str | None, group: str | None,
) -> tuple[pd.DataFrame, list[str]]:  # fmt: skip
    """Return rows with columns y, time and start (counted from 1; 0 is never), unit and group."""
    if (treated is None) == (first_treated is None):
        raise UsageError("give either treated, with start, or first_treated")
    if treated is not None and start is None:
        raise UsageError("treated without a start", hint="Say start=, the first time with treatment.")
    given = {"outcome": outcome, "time": time, "treated": treated, "first_treated": first_treated, "unit": unit}
    doors.require(doors.frame(frame), {r: name for r, name in (given | {"group": group}).items() if name is not None})
    y, (spot, axis) = doors.numbers(outcome, frame[outcome]), panels.times(time, frame[time])
    if first_treated is not None:
        begin = panels.starts(first_treated, frame[first_treated], axis)
    else:
        begin = np.where(panels.flags(str(treated), frame[str(treated)]) == 1, panels.start_place(axis, start), NEVER)
    units, own = np.arange(y.size) if unit is None else panels.codes_of(frame[unit]), group or unit
    kept = ~np.isnan(y) & (spot >= 0) & (units >= 0)
    codes, names = (np.zeros(y.size, dtype=np.int64), [""]) if own is None else pd.factorize(frame[own])
    kept &= codes >= 0
    begin = np.where(begin >= axis.size, 0, begin + 1)
    rows = pd.DataFrame({"y": y, "time": spot + 1, "start": begin, "unit": units})[kept]
    rows["group"] = pd.array(np.array([str(name) for name in names], dtype=object)[codes[kept]], dtype="str")
    return rows.reset_index(drop=True), panels.left_out(int((~kept).sum()), "outcome, time, unit or group")


def _estimate(rows: pd.DataFrame, control: str, base: str, confidence: float) -> tuple[float, pd.DataFrame]:
    """Return the mean effect, also where nothing tells its error, and its row."""
    att = _fit(rows, control, base)
    effect = drawn(att, SIMPLE).effect
    return float(effect[0]) if effect.size else np.nan, aggregate(att, SIMPLE, confidence=confidence)


def _fit(rows: pd.DataFrame, control: str, base: str) -> GroupTime:
    return group_time_att(
        rows, outcome="y", unit="unit", time="time", first_treated="start", control=control, base=base, panel=False
    )


def _in_time(rows: pd.DataFrame, control: str, base: str, confidence: float) -> tuple[pd.DataFrame, Numbers]:
    """Return effects of starts that never were, from rows that are not treated yet, as rows and as numbers."""
    begin = rows["start"].to_numpy()
    before = rows[(begin == 0) | (rows["time"].to_numpy() < begin)]
    found, values = [], []
    for early in range(1, min(int(begin.max()) - 2, _MOST_TIMES) + 1):
        moved = np.maximum(before["start"].to_numpy() - early, 1)
        pretended = before.assign(start=np.where(before["start"] == 0, 0, moved))
        if control == "never" and not (pretended["start"] == 0).any():
            break
        value, row = _estimate(pretended, control, base, confidence)
        found.append(results.label(row, level=f"{early} earlier", at=IN_TIME, note=_told(row)))
        values.append(value)
    return results.concat(found), np.array(values, dtype=float)


def _in_space(rows: pd.DataFrame, base: str, confidence: float) -> tuple[pd.DataFrame, Numbers]:
    """Return effects on groups as if they had started when the first of the treated did, as rows and as numbers."""
    starts = rows["start"].to_numpy()
    first = int(starts[starts > 1].min(initial=NEVER))
    left = rows[(starts == 0) | (starts > first)]
    left = left[(left["start"] == 0) | (left["time"] < left["start"])]
    if not len(left) or first > int(left["time"].max()) or left["group"].nunique() < 2:
        return results.empty(), np.empty(0)
    names, value, count = _pretended(left, first, base == ALL)
    several = left.groupby(["group", "time"])["unit"].nunique().median() > 1
    if several and names.size <= _MOST_FITTED:
        return results.concat([_one(left, name, first, base, confidence) for name in names]), value
    return _by_spread(names, value, count, confidence), value


def _by_spread(names: Any, value: Numbers, count: Numbers, confidence: float) -> pd.DataFrame:
    """Return the rows of placebos in space with the spread of the others for their error."""
    known = np.isfinite(value)
    size = int(known.sum())
    others = (np.nansum(value**2) - np.where(known, value, 0) ** 2) / max(size - 1, 1)
    freedom = np.full(value.size, max(size - 1.0, 1.0))
    numbers = numbers_of(value, others, freedom, confidence)
    enough = sound(others, freedom, np.nan_to_num(value)) & (size >= _LEAST_SPREAD)
    status = np.where(~known, results.UNDEFINED, np.where(enough, results.OK, results.TOO_FEW))
    note = np.where(enough, "error: spread of the others", "too few groups to measure its error")
    return results.frame(
        comparison="difference", level=names, at=IN_SPACE, n=count, status=status,
        note=np.where(known, note, "nobody to compare with"), **numbers,
    )  # fmt: skip


def _pretended(left: pd.DataFrame, first: int, whole: bool) -> tuple[Any, Numbers, Numbers]:
    """Return groups, sorted, with their effects as if they had started at `first`, and their rows.

    The mean over times from then on of the group's change since the period before (or since all before), less that of
    all other groups that are not treated yet at the time.
    """
    names, place = np.unique(left["group"].to_numpy(dtype=str), return_inverse=True)
    size = int(left["time"].max())
    cell = place.ravel() * size + left["time"].to_numpy() - 1
    total, count = (np.bincount(cell, values, names.size * size).reshape(-1, size) for values in (left["y"], None))
    after, before = total[:, first - 1 :], count[:, first - 1 :]
    changes = []
    for base in range(0 if whole else first - 2, first - 1):
        both = (count[:, [base]] > 0) & (before > 0)  # groups seen then and before
        parts = [total[:, [base]] * both, count[:, [base]] * both, after * both, before * both]
        rest = [part.sum(axis=0) - part for part in parts]
        with np.errstate(invalid="ignore", divide="ignore"):
            change = parts[2] / parts[3] - parts[0] / parts[1] - (rest[2] / rest[3] - rest[0] / rest[1])
        changes.append(np.where(both & (rest[1] > 0), change, np.nan))
    value = _mean(_mean(np.stack(changes)).T)
    return names, value, count.sum(axis=1)


def _mean(values: Numbers) -> Numbers:
    """Return the mean over the first axis of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))


def _one(left: pd.DataFrame, name: str, first: int, base: str, confidence: float) -> pd.DataFrame:
    """Return the row of one group as if it had started at `first`."""
    mine = (left["group"] == name).to_numpy()
    pretended = left.assign(start=np.where(mine, first, left["start"]))
    row = aggregate(_fit(pretended, "not_yet", base), GROUP, confidence=confidence)
    row = row[row["level"] == str(first)]
    if not len(row):
        return results.frame(
            comparison="difference", level=name, at=IN_SPACE, status=results.UNDEFINED, note="nobody to compare with"
        )
    return results.label(row, level=name, at=IN_SPACE, note=_told(row))


def _told(row: pd.DataFrame) -> list[str]:
    """Return the note of what could not be had; what was left out on purpose needs none."""
    return list(row["note"].where(row["status"] != results.OK, ""))


def _test(part: pd.DataFrame, had: Numbers, at: str, size: float, confidence: float) -> pd.DataFrame:
    """Return how many placebos are as large as the effect, and what that says."""
    values = had[np.isfinite(had)]
    if not values.size or not np.isfinite(size):
        why = {IN_TIME: "too few periods before the start", IN_SPACE: "too few groups without treatment"}
        return results.frame(
            comparison="test", at=at, status=results.TOO_FEW, note=why[at] if np.isfinite(size) else "no effect is had"
        )
    large = int((np.abs(values) >= abs(size) * (1 - 1e-9)).sum())
    note = f"{large} of {values.size} placebos {'is' if large == 1 else 'are'} as large as the effect"
    least = 1 / (1 + values.size)
    if at == IN_SPACE:
        p_value = (1 + large) * least
        note += f"; with so few groups p cannot be below {least:.2g}" if least > 1 - confidence else ""
    else:
        known = part.loc[part["status"] == results.OK, "p_value"].to_numpy(dtype=float)
        p_value = float(verdicts.adjust(known, "holm").min(initial=1.0)) if known.size else np.nan
        note += "; before the start something moved already" if p_value < 1 - confidence else ""
    return results.frame(
        comparison="test", at=at, estimate=large / values.size, p_value=p_value, n=values.size, note=note
    )


def _nothing(outcome: str, note: str) -> pd.DataFrame:
    return results.frame(metric=outcome, comparison="difference", status=results.UNDEFINED, note=note, level=OVERALL)
