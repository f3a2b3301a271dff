"""The door of the room: a table of answers becomes numbers, partners and customers by code, and a case-mix design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.doors import numbers, require
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.rows import Codes, Numbers, numbered

KINDS = ("mean", "share", "nps")
SCALE = {"mean": (-np.inf, np.inf), "share": (0.0, 1.0), "nps": (-100.0, 100.0)}
_MISSING = "(missing)"
_POINTS = (-100.0, 0.0, 100.0)
_SCORES = "a whole number from 0 to 10, nor are all -100, 0 or 100,"


@dataclass(frozen=True)
class Rows:
    """Answers that have an outcome and a partner.

    Parameters
    ----------
    y
        The outcome, shape (N,): a number, 0 or 1, or for `nps` -100, 0 or 100.
    code, names
        The partner of each row as a place in `names`, which are sorted.
    people
        The customer of each row as a number.
    design, columns
        The case mix, shape (N, p), centred and scaled; the column of the frame that each column comes from.
    note
        What was left out or filled, in words.
    """

    y: Numbers
    code: Codes
    names: tuple[str, ...]
    people: Codes
    design: Numbers
    columns: tuple[str, ...]
    note: str


def rows_of(
    frame: pd.DataFrame, outcome: str, partner: str, *, case_mix: Sequence[str], kind: str, cluster: str | None
) -> Rows:
    """Check the frame and return its rows; `UsageError` names everything that cannot be used at once."""
    case_mix = all_of(case_mix)
    check_columns(frame, [outcome, partner, *case_mix, *([cluster] if cluster else [])])
    if kind not in KINDS:
        raise UsageError(f"'{kind}' is no kind of outcome; there are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    if {outcome, partner} & set(case_mix):
        raise UsageError("the case mix is what customers bring: neither the outcome nor the partner belongs to it")
    value = scaled(numbers(outcome, frame[outcome]), outcome, kind)
    known = ~np.isnan(value) & frame[partner].notna().to_numpy()
    code, names = coded(frame.loc[known, partner])
    people, _ = numbered(None if cluster is None else frame[cluster], known)
    design, columns, filled = _design(frame.loc[known, list(case_mix)])
    lost = int((~known).sum())
    note = [f"{lost:,} rows without outcome or partner left out"] * bool(lost) + filled
    return Rows(value[known], code, names, people, design, columns, "; ".join(note))


def check_columns(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise `UsageError` for columns that the frame does not have, all at once."""
    require(must_be_frame(frame), names, hint="Where each row is a customer of its own, say cluster=None.")


def coded(values: pd.Series) -> tuple[Codes, tuple[str, ...]]:
    """Return the place of each value among the distinct texts, sorted, and these texts."""
    codes, found = pd.factorize(values)
    texts = np.array([str(value) for value in found], dtype=object)
    names, place = np.unique(texts, return_inverse=True) if texts.size else (texts, np.array([], dtype=int))
    return place[codes] if texts.size else codes, tuple(str(name) for name in names)


def scaled(value: Numbers, name: str, kind: str) -> Numbers:
    """Return the outcome on the scale of its estimate; `UsageError` for values that the kind does not have.

    Of `nps` scores of 0 to 10, or what is in points already.
    """
    known = value[~np.isnan(value)]
    if kind == "nps" and known.size and np.isin(known, _POINTS).all():
        if not known.any():
            raise UsageError(
                f"column '{name}' is 0 in all rows, which is the worst score or a passive's points",
                hint="Scores of 0: leave them out, there is nothing to compare. Points: give kind='mean'.",
            )
        return value
    allowed = {"share": (0.0, 1.0), "nps": tuple(range(11))}.get(kind)
    strange = np.setdiff1d(known, allowed) if allowed is not None else np.array([])
    if strange.size:
        count, what = int(np.isin(known, strange).sum()), "0 or 1" if kind == "share" else _SCORES
        raise UsageError(f"column '{name}' is not {what} in {count:,} rows: {strange[0]:g} is among them")
    return value if kind != "nps" else np.where(np.isnan(value), np.nan, 100.0 * (value >= 9) - 100.0 * (value <= 6))


def _design(frame: pd.DataFrame) -> tuple[Numbers, tuple[str, ...], list[str]]:
    """Return the case mix as columns, what each stands for, and what was filled."""
    parts, names, filled = [], [], []
    for name in frame.columns:
        column, missing = frame[name], frame[name].isna().to_numpy()
        found = _numeric(column, missing) if _is_number(column) else _dummies(column)
        parts.append(found)
        names += [str(name)] * found.shape[1]
        if missing.any():
            filled.append(f"{name} is missing in {missing.mean():.0%} of rows: a level of its own")
    if not parts:
        return np.empty((len(frame), 0)), (), filled
    design = np.hstack(parts)
    design = design - design.mean(axis=0) if len(design) else design
    size = np.sqrt((design**2).mean(axis=0)) if len(design) else np.ones(design.shape[1])
    kept = size > 0  # a column that does not vary says nothing
    return design[:, kept] / size[kept], tuple(np.array(names, dtype=object)[kept]), filled


def _is_number(column: pd.Series) -> bool:
    """Tell whether a column is measured (a number), not a name; true and false are names."""
    if column.dtype != object:
        return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    known = column.dropna()
    return bool(len(known)) and all(hasattr(value, "__float__") and not isinstance(value, bool) for value in known)


def _numeric(column: pd.Series, missing: NDArray[np.bool_]) -> Numbers:
    """Return a number as it is; missing ones at the mean, told apart by a column of their own."""
    value = numbers(str(column.name), column)
    middle = float(value[~missing].mean()) if (~missing).any() else 0.0
    found = np.where(missing, middle, value)[:, None]
    return np.hstack([found, missing[:, None].astype(float)]) if missing.any() else found


def _dummies(column: pd.Series) -> Numbers:
    """Return one column for each level but the commonest; missing is a level."""
    if column.dtype == object:  # where 1, 1.0 and true are told apart
        column = pd.Series([None if pd.isna(value) else str(value) for value in column], dtype="str")
    place, found = pd.factorize(column)
    texts, code = np.unique(np.array([*map(str, found), _MISSING], dtype=object), return_inverse=True)
    code = code[place]
    count = np.bincount(code, minlength=len(texts))
    kept = [number for number in np.flatnonzero(count) if number != int(np.argmax(count))]
    return (code[:, None] == np.array(kept, dtype=int)[None, :]).astype(float)
