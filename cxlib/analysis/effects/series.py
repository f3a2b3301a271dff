"""A time series at the door: its times put in order on an even line, and what is not there told.

Both series designs see time as whole steps (months, weeks, days, or what the numbers say) from the first point. A step
without a figure is a gap: it is told, and no design closes it up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis import doors
from cxlib.analysis.effects import panels
from cxlib.errors import UsageError
from cxlib.periods import Period

Numbers = NDArray[np.float64]

WHOLE_PATTERN = 12  # a season of at most so many steps gets a level for each of them, a longer one waves
NO_ROWS = "there are no rows"
_WAVES = 3
_DAY = 86_400_000_000  # microseconds
_LONGEST = 5_000  # points; the matrices of a design grow with the square
_CODED = re.compile(r"\d{4}-(Q\d|W\d\d)", re.ASCII)
_EVEN = 1e-6  # of a step: how far numbers may lie off the even line


@dataclass(frozen=True)
class Series:
    """Points in order of time.

    Parameters
    ----------
    outcome
        Shape (n,), every one known.
    controls
        Shape (n, k).
    errors
        Standard error of each point, shape (n,); ones where none are given.
    place
        Whole steps since the first point, shape (n,), rising.
    start
        Place of the first step of the time after.
    labels
        The times, in words.
    step
        What a step is: "month", "quarter", "week", "day", "step".
    notes
        What was left out or is not there.
    """

    outcome: Numbers
    controls: Numbers
    errors: Numbers
    place: NDArray[np.int64]
    start: int
    labels: tuple[str, ...]
    step: str
    notes: tuple[str, ...] = ()

    @property
    def post(self) -> NDArray[np.bool_]:
        """Which points lie at or after the start."""
        return np.asarray(self.place >= self.start)

    @property
    def begins(self) -> str:
        """The first time of the period after."""
        return self.labels[int(np.argmax(self.post))]

    def until(self, stop: int, start: int) -> Series:
        """Return the points before place `stop`, as if the change had come at place `start`."""
        kept = self.place < stop
        return Series(
            self.outcome[kept], self.controls[kept], self.errors[kept], self.place[kept], start,
            tuple(np.array(self.labels, dtype=object)[kept]), self.step,
        )  # fmt: skip

    def of(self, outcome: Numbers, controls: Numbers) -> Series:
        """Return another outcome with other controls at the same times."""
        ones = np.ones(outcome.size)
        return Series(outcome, controls, ones, self.place, self.start, self.labels, self.step)


def read(
    values: dict[str, Any], *, outcome: str, times: Any, start: Any, controls: Iterable[str] = (),
    std_error: str | None = None, time: str = "time",
) -> Series:  # fmt: skip
    """Check the columns of a series and put them in order.

    Parameters
    ----------
    values
        Columns by name, shape (n,) each: outcome, controls and standard errors, as `doors.numbers_of` gives them.
    outcome, controls, std_error
        Their names.
    times
        Shape (n,): numbers, dates, months, quarters or weeks as 2026-10, 2026-Q4 or 2026-W40, or periods of pandas;
        each once, evenly spaced but for gaps.
    start
        The first time of the period after, of the same kind.
    time
        What the times are called where something is wrong.

    Raises
    ------
    UsageError
        For times that are missing, repeated or uneven, a start outside them, and standard errors below 0.
    """
    names = list(controls)
    labels, place, began, step = _line(time, times, start)
    order = np.argsort(place, kind="stable")
    columns = [values[name] for name in (outcome, *names)]
    errors, told = (np.ones(place.size), ()) if std_error is None else _errors(std_error, values[std_error])
    known = ~np.isnan(np.column_stack([*columns, errors])).any(axis=1)
    order = order[known[order]]
    if order.size == 0:
        raise UsageError(f"{outcome} has no point that is known", hint="Give a figure for each time.")
    table = np.column_stack(columns)[order]
    shown = tuple(labels[i] for i in order)
    return Series(
        table[:, 0], table[:, 1:], errors[order], place[order] - place[order[0]], began - int(place[order[0]]), shown,
        step, (*_told(place, order, step), *told),
    )  # fmt: skip


def _errors(name: str, given: Numbers) -> tuple[Numbers, tuple[str, ...]]:
    """Return the errors of points, those of 0 as large as the smallest above, and what is said of that.

    The formula of a share gives 0 where it is 0 or 1; a weight of one over 0 would leave the other points none.
    """
    if np.any(given < 0):
        raise UsageError(f"{name} holds standard errors below 0", hint="Leave such points out, or give no errors.")
    none = given == 0
    count = int(none.sum())
    if not count:
        return given, ()
    if not np.any(given > 0):
        return np.where(none, 1.0, given), ("no point has a sampling error above 0: all weigh alike",)
    word = f"{count} point{'s' * (count != 1)} with a sampling error of 0"
    return np.where(none, given[given > 0].min(), given), (f"{word} taken as sure as the next surest",)


def season(place: NDArray[np.int64], period: int | None) -> Numbers:
    """Return the columns of a season, shape (n, c): a level for each step of a short one, three waves of a long one."""
    if period is None:
        return np.empty((place.size, 0))
    phase = place % period
    if period <= WHOLE_PATTERN:
        return (phase[:, None] == np.arange(1, period)).astype(float)
    angle = 2 * np.pi * phase[:, None] * np.arange(1, _WAVES + 1) / period
    return np.hstack([np.cos(angle), np.sin(angle)])


def check_season(seasonal: Any) -> int | None:
    """Return the steps of a season, or None; raises `UsageError` for what is no whole number from 2 to 366."""
    return None if seasonal is None else doors.whole("seasonal", seasonal, 2, 366)


def least_before(period: int | None, columns: int = 0) -> int:
    """Return how many points before the start a design needs.

    8 and 2 for each column; with a season 12 more than it has steps and two of it, and never fewer than the first.
    """
    steps = period or 0
    return max(8 + steps + 2 * columns, 2 * steps, steps + 12 if period else 0)


def _told(place: NDArray[np.int64], order: NDArray[np.intp], step: str) -> tuple[str, ...]:
    """Say which points were left out, and how many steps have none."""
    notes = []
    lost, absent = place.size - order.size, int(np.ptp(place)) + 1 - place.size
    if lost:
        notes.append(f"{lost} point{'s' * (lost != 1)} without a figure left out")
    if absent:
        word = "time" if step == "step" else step
        notes.append(f"{absent} {word}{'s' * (absent != 1)} in between {'are' if absent != 1 else 'is'} not there")
    return tuple(notes)


def _line(name: str, times: Any, start: Any) -> tuple[list[str], NDArray[np.int64], int, str]:
    """Return labels, whole steps, the place of the start, and what a step is."""
    given = doors.as_series(times).reset_index(drop=True)
    if given.isna().any():
        raise UsageError(f"{name} is missing in {int(given.isna().sum())} rows")
    if not 2 <= len(given) <= _LONGEST:
        raise UsageError(f"there are {len(given):,} points in time; give 2 to {_LONGEST:,}")
    named = _plain(given)
    given, began = _first_days(named), _first_days(_plain(pd.Series([start]))).iloc[0]
    numeric = pd.api.types.is_numeric_dtype(given.dtype)
    labels, steps, at, step = (_of_numbers if numeric else _of_dates)(name, given, began)
    if _coded(named):
        labels = [str(label) for label in named]
    twice = np.unique(labels, return_counts=True)
    if (twice[1] > 1).any():
        raise UsageError(f"{name} has {twice[0][twice[1] > 1][0]} several times", hint="Give each time once.")
    if not steps.min() < at <= steps.max():
        raise UsageError(
            f"start {start} leaves no point before it or none after", hint=f"{name} must go on both sides."
        )
    if np.ptp(steps) + 1 > 2 * steps.size:
        raise UsageError(f"{name} is not evenly spaced: {steps.size} points on a line of {np.ptp(steps) + 1} {step}s")
    return labels, steps, at, step


def _plain(given: pd.Series) -> pd.Series:
    """Return times without pandas' own kinds."""
    if isinstance(given.dtype, pd.CategoricalDtype):
        given = given.astype(given.cat.categories.dtype)
    return panels.plain(given)


def _first_days(given: pd.Series) -> pd.Series:
    """Return quarters and weeks of CX by their first days, other times as they are."""
    return given.map(lambda label: Period.parse(label).first_day).astype(object) if _coded(given) else given


def _coded(given: pd.Series) -> bool:
    """Tell whether times are quarters or weeks as CX writes them."""
    return all(isinstance(label, str) and _CODED.fullmatch(label) for label in given)


def _of_numbers(name: str, given: pd.Series, start: Any) -> tuple[list[str], NDArray[np.int64], int, str]:
    values = doors.numbers(name, given)
    began = float(doors.numbers("start", [start])[0])
    if np.isnan(began):
        raise UsageError("start is missing", hint=f"Give one of the values of {name}.")
    ordered = np.unique(values)
    width = float(np.diff(ordered).min()) if ordered.size > 1 else 1.0
    exact = (values - values.min()) / width
    if np.abs(exact - np.round(exact)).max() > _EVEN * max(1.0, float(exact.max())):
        raise UsageError(f"{name} is not evenly spaced", hint="Give whole numbers, or dates.")
    labels = [f"{value:.0f}" if value == round(value) else f"{value:.6g}" for value in values.tolist()]
    at = int(np.ceil(round((began - float(values.min())) / width, 6)))
    return labels, np.round(exact).astype(np.int64), at, "step"


def _of_dates(name: str, given: pd.Series, start: Any) -> tuple[list[str], NDArray[np.int64], int, str]:
    values = doors.moments(name, given, zones=False)
    if values.isna().any():
        raise UsageError(f"{name} is missing in {int(values.isna().sum())} rows")
    began = doors.moment("start", start, zones=False)
    midnight = bool((values == values.dt.normalize()).all())
    days = panels.days_of(values)
    anchor = panels.anchor_of(days)
    if anchor:
        months = panels.counts(days, panels.MONTH, anchor).astype(np.int64)
        width = _divisor(months)
        first = int(panels.counts(panels.days_of(pd.Series([began])), panels.MONTH, anchor)[0])
        at = -((int(months.min()) - first) // width)
        step = {1: "month", 3: "quarter", 12: "year"}.get(width, f"{width} months")
        labels = [panels.called(month, panels.MONTH) for month in months.tolist()]
        return labels, (months - months.min()) // width, at, step
    ticks = values.astype("datetime64[us]").astype("int64").to_numpy()
    width = _divisor(ticks)
    at = -(((values.min() - began) // pd.Timedelta(microseconds=1)) // width)
    step = {_DAY: "day", 7 * _DAY: "week"}.get(width, "step")
    labels = values.dt.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S").tolist()
    return labels, (ticks - ticks.min()) // width, at, step


def _divisor(values: NDArray[np.int64]) -> int:
    """Return the longest step that all values are whole numbers of apart."""
    return int(np.gcd.reduce(np.diff(np.unique(values)))) or 1
