"""The door of designs over groups and periods: times in order, who was treated, clusters as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers
from cxlib.periods import Period

NEVER = 1 << 40  # the place of a start that never comes
_NEVER_WORDS = ("", "0", "0.0", "never", "none", "nan", "nat", "inf")
_PERIOD = re.compile(r"[0-9]{4}-([0-9]{2}|[Qq][0-9]|[Ww][0-9]{2})")
_DAY = pd.Timedelta(days=1)
_TIMES = "Write times as numbers, as days (2026-10-31), or as months, quarters or weeks (2026-10, 2026-Q3, 2026-W40)."


@dataclass(frozen=True)
class Axis:
    """The times that were seen, in order.

    Parameters
    ----------
    names
        Their names, shape (T,).
    values
        What they count on, shape (T,), rising: numbers as they are, months, quarters, weeks or days since a fixed one.
    kind
        `number`, `day`, `month`, `quarter` or `week`.
    """

    names: tuple[str, ...]
    values: Numbers
    kind: str

    @property
    def size(self) -> int:
        """The number of times."""
        return len(self.names)

    def place(self, values: Numbers) -> Codes:
        """Return the place of the first time at or after each value; after the last, as many steps on as it lies."""
        if not self.size:
            return np.zeros(values.size, dtype=np.int64)
        found = np.searchsorted(self.values, values, side="left").astype(np.int64)
        step = float(np.median(np.diff(self.values))) if self.size > 1 else 1.0
        beyond = np.flatnonzero(values > self.values[-1])
        steps = np.maximum(np.rint((values[beyond] - self.values[-1]) / step), 1)
        found[beyond] = self.size - 1 + np.minimum(steps, NEVER // 2).astype(np.int64)
        return found

    def name(self, place: int) -> str:
        """Return the name of a place; after the last time, how many periods after."""
        return self.names[place] if place < self.size else f"{self.names[-1]} + {place - self.size + 1}"


def times(name: str, column: pd.Series) -> tuple[Codes, Axis]:
    """Return the place in time of each row, -1 where missing, and the times.

    Raises
    ------
    UsageError
        For what has no order in time: text that is no number, day, month, quarter or week.
    """
    codes, found = pd.factorize(_plain(column))
    values, names, kind = ordinals(name, list(found))
    order = np.argsort(values, kind="stable")
    distinct, place = np.unique(values, return_inverse=True)
    first = {float(values[i]): names[i] for i in order[::-1]}
    spot = np.append(np.asarray(place, dtype=np.int64).ravel(), -1)
    return spot[codes], Axis(tuple(first[float(value)] for value in distinct), distinct, kind)


def start_place(axis: Axis, start: Any) -> int:
    """Return the place of the first time at or after a start that is written as the times are."""
    values, _, kind = ordinals("start", list(_plain(pd.Series([start]))))
    if kind != axis.kind:
        raise UsageError(f"start {start!r} is a {kind} and times are {axis.kind}s", hint="Write both alike.")
    return int(axis.place(values)[0])


def starts(name: str, column: pd.Series, axis: Axis) -> Codes:
    """Return the place in time at which each row's group was first treated; `NEVER` for 0, missing, "never"."""
    codes, found = pd.factorize(_plain(column))
    never = np.array([str(value).strip().lower() in _NEVER_WORDS for value in found], dtype=bool)
    place = np.full(len(found) + 1, NEVER, dtype=np.int64)
    wanted = [value for value, out in zip(found, never, strict=True) if not out]
    if wanted:
        values, _, kind = ordinals(name, wanted)
        if kind != axis.kind:
            raise UsageError(f"{name} holds {kind}s and times are {axis.kind}s", hint="Write both alike.")
        place[:-1][~never] = axis.place(values)
    return place[codes]


def _plain(column: pd.Series) -> pd.Series:
    """Return a column of numbers, times or text, without pandas' own kinds."""
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.start_time
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == bool:
        return column.astype(object)
    return column


def ordinals(name: str, found: Sequence[Any]) -> tuple[Numbers, list[str], str]:
    """Return what distinct times count on, their names, and of what kind they are."""
    if not found:
        return np.empty(0), [], "number"
    texts = [str(value).strip() for value in found]
    if all(isinstance(value, str) and _PERIOD.fullmatch(text) for value, text in zip(found, texts, strict=True)):
        periods = [Period.parse(text) for text in texts]
        kinds = sorted({period.kind for period in periods})
        if len(kinds) > 1:
            raise UsageError(f"{name} mixes {' and '.join(kinds)}s", hint="Write all times alike.")
        return np.array([_count(period) for period in periods]), texts, kinds[0]
    values, fault = doors.tried(name, pd.Series(list(found), dtype=object))
    if not fault:
        return values, [f"{value:.0f}" if value == round(value) else f"{value:g}" for value in values], "number"
    try:
        days = doors.moments(name, pd.Series(list(found)))
    except UsageError as reason:
        raise UsageError(f"{name} has no order in time: {reason.message}", hint=_TIMES) from None
    counted = (days - pd.Timestamp("1970-01-01")) / _DAY
    return counted.to_numpy(dtype=float), [_day(moment) for moment in days], "day"


def _count(period: Period) -> float:
    day = period.first_day
    months = 12 * day.year + day.month - 1
    return float({"month": months, "quarter": months // 3, "week": day.toordinal() // 7}[period.kind])


def _day(moment: pd.Timestamp) -> str:
    return str(moment.date()) if moment == moment.normalize() else str(moment)


def codes_of(column: pd.Series) -> Codes:
    """Number what is in a column from 0; -1 where missing."""
    return pd.factorize(_plain(column))[0].astype(np.int64)


def flags(name: str, column: pd.Series) -> Numbers:
    """Return 0 and 1, NaN where missing; raises `UsageError` for anything else."""
    values = doors.numbers(name, column)
    wrong = ~np.isnan(values) & (values != 0) & (values != 1)
    if wrong.any():
        raise UsageError(doors.in_rows(name, "neither 0 nor 1", wrong, column), hint="Treated is 1, not treated 0.")
    return values


def design(frame: pd.DataFrame, covariates: Sequence[str]) -> tuple[Numbers, Mask]:
    """Return covariates as columns, shape (N, p), numbers as they are and others as levels, and which rows have all."""
    parts, known = [np.empty((len(frame), 0))], np.ones(len(frame), dtype=bool)
    for name in covariates:
        column = frame[name]
        known &= column.notna().to_numpy()
        if pd.api.types.is_numeric_dtype(column.dtype):
            parts.append(doors.numbers(name, column)[:, None])
            continue
        values, fault = doors.tried(name, column)
        if not fault:
            parts.append(values[:, None])
            continue
        codes, levels = pd.factorize(_plain(column).astype(str), sort=True)
        if len(levels) > doors.MOST_LEVELS:
            raise UsageError(f"{name} has {len(levels):,} levels, at most {doors.MOST_LEVELS}: it explains anything")
        parts.append(np.equal.outer(codes, np.arange(1, len(levels))).astype(float))
    return np.hstack(parts), known


def left_out(count: int, what: str) -> list[str]:
    """Return the note of rows that cannot be used; none where there are none."""
    return [f"{count:,} row{'s' * (count != 1)} without {what} left out"] if count else []
