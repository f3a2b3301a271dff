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
NUMBER, DAY, MONTH, QUARTER, WEEK = "number", "day", "month", "quarter", "week"
_NEVER_WORDS = ("", "0", "0.0", "never", "none", "nan", "nat", "inf")
_PERIOD = re.compile(r"[0-9]{4}-([0-9]{2}|[Qq][0-9]|[Ww][0-9]{2})")
_PANDAS = {
    "period[M]": MONTH,
    "period[Q-DEC]": QUARTER,
    "period[W-SUN]": WEEK,
}  # those of pandas that are periods of CX
_EPOCH, _DAY = pd.Timestamp("1970-01-01"), pd.Timedelta(days=1)
_MONDAY = 3  # days from a Monday to the epoch
_LAST = 31
_TIMES = "Write times as numbers, as days (2026-10-31), or as months, quarters or weeks (2026-10, 2026-Q3, 2026-W40)."


@dataclass(frozen=True)
class Axis:
    """The times that were seen, in order.

    Parameters
    ----------
    values
        What they count on, shape (T,), rising: numbers as they are; days, months, quarters or weeks since a fixed one.
    kind
        `number`, `day`, `month`, `quarter` or `week`.
    anchor
        Of months, the day on which their times lie.
    """

    values: Numbers
    kind: str
    anchor: int = 1

    @property
    def size(self) -> int:
        """The number of times."""
        return self.values.size

    @property
    def names(self) -> tuple[str, ...]:
        """What the times are called, shape (T,)."""
        return tuple(called(value, self.kind) for value in self.values.tolist())

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

    def counted(self, name: str, found: Sequence[Any]) -> Numbers:
        """Return what times, written in any way, count on the axis: the first time at or after them."""
        values, kind = ordinals(name, found)
        if self.size and values.size and (kind == NUMBER) != (self.kind == NUMBER):
            told = f"{name} {found[0]!r} is a {kind}" if len(found) == 1 else f"{name} holds {kind}s"
            raise UsageError(f"{told} and times are {self.kind}s", hint="Write both alike.")
        return counts(values, self.kind, self.anchor)


def times(name: str, column: pd.Series) -> tuple[Codes, Axis]:
    """Return the place in time of each row, -1 where missing, and the times.

    Days that all lie on the same day of the month, or all on its last, are months.

    Raises
    ------
    UsageError
        For what has no order in time: text that is no number, day, month, quarter or week.
    """
    codes, found = pd.factorize(plain(column))
    values, kind = ordinals(name, list(found))
    anchor = anchor_of(values) if kind == DAY else 1
    kind = MONTH if kind == DAY and anchor else kind
    distinct, place = np.unique(counts(values, kind, anchor), return_inverse=True)
    spot = np.append(np.asarray(place, dtype=np.int64).ravel(), -1)
    return spot[codes], Axis(distinct, kind, anchor)


def start_place(axis: Axis, start: Any) -> int:
    """Return the place of the first time at or after a start that is written as the times are, or as a day."""
    return int(axis.place(axis.counted("start", list(plain(pd.Series([start])))))[0])


def starts(name: str, column: pd.Series, axis: Axis) -> Codes:
    """Return the place in time at which each row's group was first treated; `NEVER` for 0, missing, "never"."""
    return cohorts(name, column, axis)[0]


def cohorts(name: str, column: pd.Series, axis: Axis) -> tuple[Codes, Codes, dict[tuple[int, int], str]]:
    """Return the place of each row's start, how far before that time it lies, and what such starts are called.

    A start between two times has the place of the later one. How far before, 0 for a start that was seen itself, counts
    the starts in between; those who started earlier have been treated for longer and are a group of their own.
    """
    codes, found = pd.factorize(plain(column))
    never = np.array([str(value).strip().lower() in _NEVER_WORDS for value in found], dtype=bool)
    place, early = np.full(len(found) + 1, NEVER, dtype=np.int64), np.zeros(len(found) + 1, dtype=np.int64)
    wanted = [value for value, out in zip(found, never, strict=True) if not out]
    names: dict[tuple[int, int], str] = {}
    if wanted:
        values = axis.counted(name, wanted)
        mine = axis.place(values)
        between = np.unique(values[~np.isin(values, axis.values) & (mine > 0) & (mine < axis.size)])
        ahead = [int(((between >= value) & (axis.place(between) == spot)).sum()) if value in between else 0
                 for value, spot in zip(values, mine, strict=True)]  # fmt: skip
        place[:-1][~never], early[:-1][~never] = mine, ahead
        names = {
            (int(spot), lead): called(value, axis.kind)
            for value, spot, lead in zip(values.tolist(), mine, ahead, strict=True)
            if lead
        }
    return place[codes], early[codes], names


def plain(column: pd.Series) -> pd.Series:
    """Return a column of numbers, times or text, without pandas' own kinds; its periods as CX writes them."""
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "period":
        column = pd.Series(pd.PeriodIndex(column.to_numpy()), index=column.index)
    if isinstance(column.dtype, pd.PeriodDtype):
        days, kind = column.dt.start_time, _PANDAS.get(str(column.dtype))
        if kind is None:
            return days
        return days.map({day: Period(day.date(), kind).label for day in days.dropna().unique()})
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == bool:
        return column.astype(object)
    return column


def ordinals(name: str, found: Sequence[Any]) -> tuple[Numbers, str]:
    """Return numbers as they are, other distinct times as days since a fixed one, periods by their first; and the kind.

    Raises
    ------
    UsageError
        As `times`.
    """
    if not found:
        return np.empty(0), NUMBER
    texts = [str(value).strip() for value in found]
    if all(isinstance(value, str) and _PERIOD.fullmatch(text) for value, text in zip(found, texts, strict=True)):
        periods = [Period.parse(text) for text in texts]
        kinds = sorted({period.kind for period in periods})
        if len(kinds) > 1:
            raise UsageError(f"{name} mixes {' and '.join(kinds)}s", hint="Write all times alike.")
        return days_of(pd.Series([pd.Timestamp(period.first_day) for period in periods])), kinds[0]
    values, fault = doors.tried(name, pd.Series(list(found), dtype=object))
    if not fault:
        return values, NUMBER
    try:
        return days_of(doors.moments(name, pd.Series(list(found)))), DAY
    except UsageError as reason:
        raise UsageError(f"{name} has no order in time: {reason.message}", hint=_TIMES) from None


def days_of(moments: pd.Series) -> Numbers:
    """Return days since a fixed one, with the time of day as their part."""
    return np.asarray((moments - _EPOCH) / _DAY, dtype=float)


def anchor_of(days: Numbers) -> int:
    """Return the day of the month on which several days all lie, 31 for the last whichever that is; 0 for none."""
    if np.unique(days).size < 2 or (days != np.floor(days)).any():
        return 0
    moments = pd.DatetimeIndex(_EPOCH + days * _DAY)
    if moments.is_month_end.all():
        return _LAST
    return int(moments.day[0]) if (moments.day == moments.day[0]).all() else 0


def counts(values: Numbers, kind: str, anchor: int = 1) -> Numbers:
    """Return what days count in periods of a kind: the first of those that begin, or lie, at or after them."""
    if kind in (NUMBER, DAY) or not values.size:
        return values
    days = np.floor(values)
    if kind == WEEK:
        return np.ceil((days + _MONDAY) / 7)
    moments = pd.DatetimeIndex(_EPOCH + days * _DAY)
    months = 12 * moments.year + moments.month - 1 + (moments.day > anchor)
    return np.ceil(np.asarray(months, dtype=float) / {MONTH: 1, QUARTER: 3}[kind])


def called(value: float, kind: str) -> str:
    """Return the name of a time by what it counts."""
    if kind == NUMBER:
        return f"{value:.0f}" if value == round(value) else f"{value:g}"
    if kind == MONTH:
        return f"{int(value) // 12}-{int(value) % 12 + 1:02d}"
    if kind == QUARTER:
        return f"{int(value) // 4}-Q{int(value) % 4 + 1}"
    moment = _EPOCH + (7 * value - _MONDAY if kind == WEEK else value) * _DAY
    if kind == WEEK:
        return Period(moment.date(), WEEK).label
    return str(moment.date()) if moment == moment.normalize() else str(moment.round("us"))


def codes_of(column: pd.Series) -> Codes:
    """Number what is in a column from 0; -1 where missing."""
    numbered = isinstance(column.dtype, pd.CategoricalDtype)  # categories are numbers already
    return pd.factorize(column if numbered else plain(column))[0].astype(np.int64)


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
        if is_number(column):
            parts.append(doors.numbers(name, column)[:, None])
            continue
        codes, found = pd.factorize(plain(column).astype(str), sort=True)
        if len(found) > doors.MOST_LEVELS:
            raise UsageError(
                f"{name} has {len(found):,} levels, at most {doors.MOST_LEVELS}: it explains anything",
                hint="If they are numbers written as text, make numbers of them.",
            )
        parts.append(np.equal.outer(codes, np.arange(1, len(found))).astype(float))
    return np.hstack(parts), known


def is_number(column: pd.Series) -> bool:
    """Tell whether a covariate is a number; categories and text never are, whatever their labels look like."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(column.dropna()):
        return False
    text = pd.api.types.infer_dtype(column, skipna=True) in ("string", "mixed", "categorical")
    return not text and not doors.tried("", column)[1]


def left_out(count: int, what: str) -> list[str]:
    """Return the note of rows that cannot be used; none where there are none."""
    return [f"{count:,} row{'s' * (count != 1)} without {what} left out"] if count else []
