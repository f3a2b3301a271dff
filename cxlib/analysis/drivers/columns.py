"""One driver: its column at the door, numbers or levels, what is missing of it and where it does not apply."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib.analysis.doors import MOST_LEVELS
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers

Given = str | ArrayLike | None  # a column's name, or one value per row
FEW_ANSWERS = 10  # an item, or a pair of items, known for fewer rows says nothing of what it is worth
_NOT_GIVEN = "not given"
_TIMES = ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period")


@dataclass(frozen=True)
class Driver:
    """One driver: its name, which columns of the matrix are its own, and what is known of it.

    Parameters
    ----------
    name
        The column of the frame.
    columns
        Places in the matrix; several for a categorical driver, or one with answers that do not apply.
    levels
        Names of the levels that the columns stand for, the reference left out; empty for a number.
    reference
        The level left out, or empty.
    skipped, inapplicable
        Shares of the weighted rows with no answer, and with the code for "not applicable".
    known
        Customers (rows, without clusters) with an answer that applies.
    fault
        Why nothing can be said of it; empty where something can.
    """

    name: str
    columns: tuple[int, ...] = ()
    levels: tuple[str, ...] = ()
    reference: str = ""
    skipped: float = 0.0
    inapplicable: float = 0.0
    known: int = 0
    fault: str = ""

    @property
    def number(self) -> bool:
        """Whether it is a number with one slope."""
        return not self.levels

    def place_of(self, level: str) -> int:
        """Return the column of one of its levels, or of the number."""
        return self.columns[self.levels.index(level) if level else 0]


@dataclass(frozen=True)
class Column:
    """A driver's column at the door: numbers or levels, and where it does not apply."""

    name: str
    values: Numbers
    levels: NDArray[np.object_] | None
    away: NDArray[np.bool_]
    faults: list[str]

    @classmethod
    def of(cls, given: pd.Series, name: str, codes: set[float | str]) -> Column:
        """Read a column: a number where all its values are, levels otherwise."""
        if given.dtype.kind in "iufb" and not codes:
            number = given.to_numpy(dtype=float, na_value=np.nan)
            return cls(name, number, None, np.zeros(len(given), bool), _wrong(name, number, given[:0]))
        if isinstance(given.dtype, pd.StringDtype):
            return cls._of_texts(given, name, codes)
        blank, texts = np.full(len(given), np.nan), given.astype(object)
        away = texts.map(lambda one: _plain(one) in codes).to_numpy(dtype=bool) if codes else np.zeros(len(given), bool)
        if pd.api.types.infer_dtype(given, skipna=True) in _TIMES:
            return cls(name, blank, None, away, [f"driver '{name}' holds times: take days or months since something"])
        if not isinstance(given.dtype, pd.CategoricalDtype):
            number = pd.to_numeric(texts.where(~away, None), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            strange = np.isnan(number) & given.notna().to_numpy() & ~away
            if not strange.any() or 2 * strange.sum() < (~np.isnan(number)).sum():
                return cls(name, number, None, away, _wrong(name, number, texts[strange]))
        levels = texts.where(given.notna(), _NOT_GIVEN).map(str).to_numpy(dtype=object)
        return cls(name, blank, levels, away, _too_many(name, len(set(levels))))

    @classmethod
    def _of_texts(cls, given: pd.Series, name: str, codes: set[float | str]) -> Column:
        """Read a column of texts, each distinct one once."""
        place, found = pd.factorize(given)
        texts = np.array([*found, None], dtype=object)
        gone = np.array([*(_plain(one) in codes for one in found), False])
        read = pd.to_numeric(pd.Series(texts).where(~gone, None), errors="coerce")
        number, away = read.to_numpy(dtype=float, na_value=np.nan)[place], gone[place]
        strange = np.isnan(number) & (place >= 0) & ~away
        if not strange.any() or 2 * strange.sum() < (~np.isnan(number)).sum():
            return cls(name, number, None, away, _wrong(name, number, given[strange]))
        texts[-1] = _NOT_GIVEN
        count = len({*found, *([_NOT_GIVEN] if (place < 0).any() else [])})
        return cls(name, np.full(len(given), np.nan), texts[place], away, _too_many(name, count))

    def taken(self, kept: NDArray[np.bool_], weight: Numbers, people: Codes, first: int) -> tuple[Driver, Numbers]:
        """Return the driver with its columns of the rows kept, which begin at place `first` of the matrix."""
        away, total = self.away[kept], max(weight.sum(), 1e-300)
        if self.levels is not None:
            return self._blocks(kept, weight, people, first)
        value = self.values[kept]
        known = ~np.isnan(value) & ~away
        count, skipped = _distinct(people[known]), float(weight[np.isnan(value) & ~away].sum() / total)
        fault = "" if count >= max(min(FEW_ANSWERS, _distinct(people)), 1) else f"answered by {count} customers"
        fault = fault or ("" if np.ptp(value[known]) > 0 else "all its answers are equal")
        blank = Driver(self.name, skipped=skipped, inapplicable=float(weight[away].sum() / total), known=count)
        if fault:
            return replace(blank, fault=fault), np.empty((len(value), 0))
        middle = float(weight[known] @ value[known] / weight[known].sum())
        parts = np.where(away, middle, value)[:, None]  # the mean, so that where it does not apply it moves nothing
        if away.any():
            parts = np.column_stack([parts, away])
        return replace(blank, columns=tuple(range(first, first + parts.shape[1]))), parts

    def _blocks(self, kept: NDArray[np.bool_], weight: Numbers, people: Codes, first: int) -> tuple[Driver, Numbers]:
        """Return a categorical driver: one column of 0 and 1 for each level but the commonest."""
        assert self.levels is not None
        mine = self.levels[kept]
        code, names = pd.factorize(mine, sort=True)
        skipped = float(weight @ (names == _NOT_GIVEN)[code] / max(weight.sum(), 1e-300)) if len(names) else 0.0
        blank = Driver(self.name, known=_distinct(people), skipped=skipped)
        if len(names) < 2:
            return replace(blank, fault="all its answers are equal"), np.empty((len(mine), 0))
        sizes = np.bincount(code, weights=weight)
        reference = int(np.lexsort((np.arange(len(names)), -sizes))[0])
        rest = [place for place in range(len(names)) if place != reference]
        places = tuple(range(first, first + len(rest)))
        levels = tuple(str(names[place]) for place in rest)
        parts = (code[:, None] == np.array(rest)).astype(float)
        return replace(blank, columns=places, levels=levels, reference=str(names[reference])), parts


def names_of(drivers: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return driver -> column; `UsageError` for a text alone or no drivers."""
    drivers = drivers if isinstance(drivers, str | Mapping) else tuple(drivers)
    if isinstance(drivers, str) or not drivers:
        raise UsageError("drivers is a list of one or more names of columns")
    return dict(drivers) if isinstance(drivers, Mapping) else dict(zip(drivers, drivers, strict=True))


def column_of(given: pd.Series, name: str, column: str, not_applicable: Any = None) -> Numbers:
    """Return a driver's answers as numbers, NaN where missing or not applicable; `UsageError` for anything else."""
    found = Column.of(given, name, codes_of(not_applicable, name))
    wrong = found.faults or ([f"column '{column}' does not hold numbers"] if found.levels is not None else [])
    if wrong:
        raise UsageError("; ".join(wrong))
    return np.where(found.away, np.nan, found.values)


def _distinct(people: Codes) -> int:
    """Return how many customers there are among rows numbered by customer."""
    return int(np.count_nonzero(np.bincount(people)))


def _too_many(name: str, count: int) -> list[str]:
    """Say where a driver has more levels than a category has."""
    words = f"driver '{name}' has {count} levels, more than {MOST_LEVELS}: group them"
    return [words] if count > MOST_LEVELS else []


def _wrong(name: str, number: Numbers, strange: pd.Series) -> list[str]:
    """Say what is wrong with a driver that is mostly numbers."""
    infinite, found = int(np.isinf(number).sum()), []
    if len(strange):
        words = f"driver '{name}' holds numbers, and {len(strange):,} texts such as '{strange.iloc[0]}'"
        found.append(f"{words}: make them missing, or give not_applicable")
    return [*found, f"driver '{name}' is infinite in {infinite} rows"] if infinite else found


def codes_of(given: Any, name: str) -> set[float | str]:
    """Return a driver's codes for "not applicable" in a plain form."""
    given = given.get(name) if isinstance(given, Mapping) else given
    if given is None:
        return set()
    many = isinstance(given, Collection) and not isinstance(given, str)
    return {_plain(one) for one in (given if many else [given])}


def _plain(value: Any) -> float | str:
    """Return a value as a number where it is one, so that 0, 0.0 and '0' are the same code."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)
