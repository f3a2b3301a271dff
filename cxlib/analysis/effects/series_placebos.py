"""Placebos of the series designs: the same design where nothing was changed, at other times and for other series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib import results

MOST = 24  # pretended starts that are tried, evenly spread over those there are
IN_TIME, IN_SPACE, PLACEBO = "in time", "in space", "placebo"
_FEWEST = 5


def starts(points: int, before: int, after: int, least_after: int) -> tuple[list[int], int]:
    """Return the pretended starts among `points` untouched steps, and the length of the time after each of them.

    Parameters
    ----------
    points
        Steps before the real start.
    before, least_after
        Steps that the design needs before and after a start.
    after
        Steps after the real start: placebos look as far ahead, but not over more than half of the steps there are.
    """
    length = min(after, max(least_after, (points - before + 1) // 2))
    if points - before < length or length < least_after:
        return [], 0
    last = points - length
    count = min(MOST, last - before + 1)
    return sorted({int(start) for start in np.linspace(before, last, count).round()}), length


def summary(rows: pd.DataFrame, effect: pd.Series, method: str) -> pd.DataFrame:
    """Return one test row: how often a placebo shows an effect as large, in words.

    Parameters
    ----------
    rows
        Placebo rows, at "in time" or "in space".
    effect
        The row of the real effect.
    method
        Of the design.

    Returns
    -------
    pandas.DataFrame
        One row, at "placebo": the estimate counts the placebos in time whose effect is as large, `p_value` is the share
        of all starts, the real one among them, that show so much; without any in time, both of those in space.
    """
    fine = rows[rows["status"] == results.OK]
    time, space = fine[fine["at"] == IN_TIME], fine[fine["at"] == IN_SPACE]
    words, figures = [], None
    if len(time) and effect["status"] == results.OK:
        large = int((time["estimate"].abs() >= abs(effect["estimate"])).sum())
        figures = large, len(time)
        words.append(f"{large} of {len(time)} pretended starts before the real one show an average effect as large")
        if len(time) < _FEWEST:
            words.append("so few starts cannot tell much")
    if len(space):
        moved = int((space["p_value"] < 0.05).sum())
        words.append(f"{moved} of {len(space)} series that should not have changed seem{'s' * (moved == 1)} to change")
        figures = figures or (moved, len(space))
    if figures is None:
        note = "no placebo: too few points before the start to pretend an earlier one"
        if effect["status"] != results.OK:
            note = "no placebo: there is no effect to compare with"
        return results.frame(metric=effect["metric"], at=PLACEBO, comparison="test", method=method,
                             status=results.TOO_FEW, note=note)  # fmt: skip
    return results.frame(
        metric=effect["metric"], at=PLACEBO, comparison="test", method=method, estimate=float(figures[0]),
        p_value=(1 + figures[0]) / (1 + figures[1]), n=float(figures[1]), note="; ".join(words),
    )  # fmt: skip


def noted(frame: pd.DataFrame, row: int, summed: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a design, what its placebos tell added to the note of one that has a figure."""
    notes = frame["note"].tolist()
    if frame["status"].iloc[row] == results.OK:
        notes[row] = joined([notes[row], summed["note"].iloc[0]])
    return results.label(frame, note=notes)


def joined(notes: Sequence[str]) -> str:
    """Return notes as one, without those that are empty."""
    return "; ".join(note for note in notes if note)
