"""Covariates as columns of numbers: numbers stay as they are, labels become one column a level but the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.doors import numbers, require
from cxlib.analysis.loyalty import doors
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

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
    counts: Numbers  # customers of the smaller side of each column of levels; infinite for numbers


def columns_of(frame: pd.DataFrame, covariates: Sequence[str]) -> tuple[list[Column], Numbers]:
    """Return the columns of covariates and their numbers, NaN where missing."""
    columns: list[Column] = []
    values: list[Numbers] = []
    for name in covariates:
        given = frame[name]
        if not _labelled(given):
            columns.append(Column(name, "", ""))
            values.append(numbers(name, given))
            continue
        found = doors.labels(given, len(given))
        if len(found.names) < 2:
            columns.append(Column(name, "", ""))
            values.append(np.where(found.codes < 0, np.nan, 0.0))
        for place, level in enumerate(found.names[1:], start=1):
            columns.append(Column(name, level, found.names[0]))
            values.append(np.where(found.codes < 0, np.nan, (found.codes == place).astype(float)))
    return columns, np.stack(values, axis=1)


def check(frame: pd.DataFrame, covariates: Sequence[str]) -> tuple[str, ...]:
    """Return the names of covariates; raises `UsageError` where there are none, or one comes twice."""
    names = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise UsageError(f"covariates named twice: {', '.join(twice)}" if twice else "name at least one covariate")
    require(frame, {f"covariate {place}": name for place, name in enumerate(names, start=1)})
    return names


def standardise(columns: Sequence[Column], values: Numbers) -> Design:
    """Bring columns to mean 0 and deviation 1; those that say nothing new are named and left out.

    The first of several that are combinations of one another stays (as R does).
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
    sides = [min(v.sum(), (1 - v).sum()) if c.level else np.inf for c, v in zip(told, values.T, strict=True)]
    counts = np.array(sides, dtype=float)
    return Design(tuple(told), scaled[:, kept], scale[kept], counts)


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
