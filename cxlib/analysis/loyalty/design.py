"""Covariates as columns of numbers: numbers stay as they are, labels become one column a level but one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.doors import MOST_LEVELS, numbers, require
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.loyalty import doors
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers

_SAME = 1e-9  # what is left of a covariate's variance beside the others, below which it is none


class Column(NamedTuple):
    """One column: its covariate, its level where that has levels, the level it is compared with, and why it is idle."""

    term: str
    level: str
    against: str
    idle: str = ""

    @property
    def name(self) -> str:
        """`age`, or `plan: Pro`."""
        return f"{self.term}: {self.level}" if self.level else self.term


class Design(NamedTuple):
    """Columns of covariates, standardised, shape (n, p) of those that are not idle."""

    columns: tuple[Column, ...]
    x: Numbers
    scale: Numbers
    counts: Numbers  # see `counted`


def missing(frame: pd.DataFrame, covariate: str) -> NDArray[np.bool_]:
    """Tell in which rows a covariate is missing."""
    given = frame[covariate]
    return doors.labels(given, len(given)).codes < 0 if _labelled(given) else np.isnan(numbers(covariate, given))


def columns_of(frame: pd.DataFrame, covariates: Sequence[str], kept: NDArray[np.bool_]) -> tuple[list[Column], Numbers]:
    """Return the columns of covariates and their numbers in the rows kept, where nothing is missing.

    Labels are compared with the first level of a categorical, else with the commonest: of the rows kept, so that there
    are customers to compare with. `UsageError` for labels of more than `MOST_LEVELS` levels.
    """
    columns: list[Column] = []
    values: list[Numbers] = []
    faults = []
    for name in covariates:
        given = frame[name]
        if not _labelled(given):
            columns.append(Column(name, "", ""))
            values.append(numbers(name, given)[kept])
            continue
        found = doors.labels(given[kept], int(kept.sum()))
        if len(found.names) > MOST_LEVELS:
            faults.append(f"covariate '{name}' has {len(found.names)} levels, more than {MOST_LEVELS}: group them")
            continue
        base = 0 if isinstance(given.dtype, pd.CategoricalDtype) else int(np.argmax(np.bincount(found.codes)))
        if len(found.names) < 2:
            columns.append(Column(name, "", ""))
            values.append(np.zeros(found.codes.size))
        for place in range(len(found.names) if len(found.names) > 1 else 0):
            if place != base:
                columns.append(Column(name, found.names[place], found.names[base]))
                values.append((found.codes == place).astype(float))
    if faults:
        raise UsageError("; ".join(faults))
    return columns, np.stack(values, axis=1)


def counted(columns: Sequence[Column], values: Numbers, who: Codes | None) -> Numbers:
    """Return on how many customers each column stands: of its level or of the base, whichever has fewer.

    Of a number with two values those of the rarer one; infinite for other numbers.
    """
    people = np.arange(len(values)) if who is None else who
    sides = []
    for place, column in enumerate(columns):
        own = values[:, place] == values[:, place].max()
        if column.level:
            mine = [at for at, one in enumerate(columns) if one.term == column.term]
            other = values[:, mine].sum(1) == 0
        else:
            other = values[:, place] == values[:, place].min()
        several = not (own | other).all() and not column.level
        least = min(np.unique(people[own]).size, np.unique(people[other]).size)
        sides.append(np.inf if several else float(least))
    return np.array(sides, dtype=float)


def check(frame: pd.DataFrame, covariates: Sequence[str]) -> tuple[str, ...]:
    """Return the names of covariates; raises `UsageError` where there are none, or one comes twice."""
    names = all_of(covariates)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise UsageError(f"covariates named twice: {', '.join(twice)}" if twice else "name at least one covariate")
    require(frame, {f"covariate {place}": name for place, name in enumerate(names, start=1)})
    return names


def standardise(columns: Sequence[Column], values: Numbers, who: Codes | None = None) -> Design:
    """Bring columns to mean 0 and deviation 1; those that say nothing new are named and left out.

    The first of several that are combinations of one another stays (as R does). `who` is the customer of each row.
    """
    centred = values - values.mean(0)
    scale = np.sqrt((centred**2).mean(0))
    flat = scale <= 1e-12 * np.maximum(np.abs(values).max(0), 1e-300)
    scaled = centred / np.where(flat, 1.0, scale)
    told, kept = [], np.zeros(len(columns), dtype=bool)
    for place, column in enumerate(columns):
        if flat[place]:
            told.append(column._replace(idle="the same for everybody"))
            continue
        rest = scaled[:, place] - _fitted(scaled[:, kept], scaled[:, place])
        same = float((rest**2).mean()) < _SAME
        told.append(column._replace(idle="a combination of the covariates before it" if same else ""))
        kept[place] = not same
    return Design(tuple(told), scaled[:, kept], scale[kept], counted(columns, values, who))


def without(found: Design, idle: NDArray[np.bool_], why: str) -> Design:
    """Return a design without some of its columns of numbers, and `why` in their names."""
    places = [place for place, column in enumerate(found.columns) if not column.idle]
    out = {places[at] for at in np.flatnonzero(idle)}
    told = [column._replace(idle=why) if place in out else column for place, column in enumerate(found.columns)]
    return found._replace(columns=tuple(told), x=found.x[:, ~idle], scale=found.scale[~idle])


def _fitted(x: Numbers, y: Numbers) -> Numbers:
    """Return the part of `y` that columns account for."""
    if not x.shape[1]:
        return np.zeros_like(y)
    found: Numbers = x @ np.linalg.lstsq(x.T @ x, x.T @ y, rcond=1e-12)[0]
    return found


def _labelled(given: pd.Series) -> bool:
    """Tell whether a column holds labels, not numbers or truths."""
    if isinstance(given.dtype, pd.CategoricalDtype):
        return True
    if pd.api.types.is_bool_dtype(given.dtype) or pd.api.types.is_numeric_dtype(given.dtype):
        return False
    known: NDArray = given.dropna().to_numpy(dtype=object)
    return any(isinstance(value, str) for value in known)
