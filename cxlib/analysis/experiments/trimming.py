"""Trimmed means of two arms, and what each unit moves them by: the arithmetic of `bounds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.analysis import doors
from cxlib.analysis.experiments.answerers import Answerers
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

Places = NDArray[np.int64]

# Answers of each arm in a cell: in small ones the cut is unsure, which makes bounds too narrow, by an amount that does
# not average out over many.
_LEAST_IN_CELL, _PER_CELL = 100, 25
_LAST_DIGITS = 1e-12
_DRAWN = special.ndtri((np.arange(7) + 0.5) / 7)  # equally likely draws of a standard normal


@dataclass(frozen=True, eq=False)
class Bound:
    """One end: its value, and what each unit moves it by, shape (k, units) for k cuts about the estimated one.

    Where the outcome has few steps the bounds have a kink wherever the cut passes from one to the next, and a single
    slope tells too little. The mean of the squared errors over normal draws of the share that is kept is an upper limit
    of the variance of such a function (Poincare's inequality), and the plain one where the cut does not move.
    """

    value: float
    influence: Numbers

    def error(self, units: Answerers) -> float:
        """Return the standard error."""
        return float(np.sqrt(np.mean([units.error(one) ** 2 for one in self.influence])))


def rates(units: Answerers) -> tuple[float, float]:
    """Return the response rates of control and treatment."""
    arms = (~units.treated, units.treated)
    found = [float(units.weight[mine & units.answered].sum() / units.weight[mine].sum()) for mine in arms]
    return found[0], found[1]


def trimmed_ends(units: Answerers, cells: list[Places], more: int) -> tuple[Bound, Bound]:
    """Return the lower and the upper bound on the effect, taken that the arm `more` (1: the treatment) answers more.

    Parameters
    ----------
    units
        Both arms.
    cells
        Places of the units of each cell, see `cells_of`; bounds are averaged over them by those who would answer in
        either arm.
    more
        Where it does not, in the sample or in a cell of it, what trimming takes from the mean is added to it instead.
        So a cell that goes the other way by chance gives back what another has too much of, and the bound has no kink
        where response is equal.
    """
    found = [_within(units[places], more) for places in cells]
    return _averaged(units, cells, found, 0), _averaged(units, cells, found, 1)


def cells_of(by: Any, units: Answerers) -> list[Places]:
    """Return the places of the units of each cell, small ones joined; all in one where there are no cells."""
    size = len(units.weight)
    if by is None:
        return [np.arange(size)]
    frame = by if isinstance(by, pd.DataFrame) else doors.as_series(by).to_frame("by")
    if len(frame) != size:
        raise UsageError(f"cells of {len(frame):,} units, not of {size:,}", hint="Give one label per unit.")
    labels = frame.astype(object).where(frame.notna().to_numpy(), "unknown").astype(str).reset_index(drop=True)
    number = labels.groupby(list(labels.columns), sort=True).ngroup().to_numpy()
    count = number.max(initial=-1) + 1
    said = [np.bincount(number[units.answered & (units.treated == arm)], minlength=count) for arm in (False, True)]
    number = np.where(np.isin(number, _small(np.minimum(*said))), -1, number)
    return [np.flatnonzero(number == cell) for cell in np.unique(number)]


def _small(answers: Numbers) -> list[int]:
    """Return the cells to join: until each has 100 answers in both arms, and 25 times as many as there are cells."""
    order = sorted(range(len(answers)), key=lambda cell: (answers[cell], cell))
    joined: list[int] = []
    while order:
        least = max(_LEAST_IN_CELL, _PER_CELL * (len(order) + bool(joined)))
        if answers[order[0]] >= least and (not joined or answers[joined].sum() >= least):
            break
        joined.append(order.pop(0))
    return joined


@dataclass(frozen=True, eq=False)
class _Cell:
    """Both ends within one cell, the weight of those who would answer in either arm, and what units move that by."""

    ends: tuple[Bound, Bound]
    mass: float
    moved: Numbers


def _within(units: Answerers, more: int) -> _Cell:
    """Return both ends within one cell, both arms of which have answers."""
    arms, share = (~units.treated, units.treated), rates(units)
    sizes = [float(units.weight[mine].sum()) for mine in arms]
    # What each unit moves the response rates by, relative to them.
    own = [
        units.weight * mine * (units.answered - rate) / (size * rate)
        for mine, size, rate in zip(arms, sizes, share, strict=True)
    ]
    kept, moved = share[1 - more] / share[more], own[1 - more] - own[more]
    plain = _mean(units, arms[1 - more] & units.answered)
    low, high = (_kept_mean(units, arms[more] & units.answered, kept, moved, low=low) for low in (True, False))
    ends = (_minus(low, plain), _minus(high, plain)) if more else (_minus(plain, high), _minus(plain, low))
    mass = float(units.weight.sum()) * share[1 - more]
    return _Cell(ends, mass, units.weight * share[1 - more] + mass * own[1 - more])


def _mean(units: Answerers, mine: NDArray[np.bool_]) -> Bound:
    weight = units.weight * mine / units.weight[mine].sum()
    value = float(weight @ units.outcome)
    return Bound(value, (weight * (units.outcome - value))[None, :])


def _kept_mean(units: Answerers, mine: NDArray[np.bool_], kept: float, moved: Numbers, *, low: bool) -> Bound:
    """Return the mean of the lowest (`low`) or highest share `kept`.

    `moved` is what units move the share by, relative to it. What lies at the cut counts in part. With c the quantile at
    which the other tail begins and q = |1 - kept| its share, the tail sums to q c + mean((y - c)+); it is taken from
    the sum of all, or added to it where kept is above 1. The derivative by c is 0, that by kept (c - kept mean) / kept.
    """
    y, weight, sign = units.outcome[mine], units.weight[mine], 1 if kept <= 1 else -1
    own = units.weight * mine / weight.sum()
    shares = np.abs(1 - kept * (1 + units.error(moved) * np.append(0.0, _DRAWN)))
    cut, *near = _cuts(y, weight, np.minimum(shares, 1.0), low=not low)
    whole = float(own @ units.outcome)
    value = (whole - sign * (min(float(shares[0]), 1.0) * cut + own @ _beyond(units.outcome, cut, low=low))) / kept
    found = []
    for c in near if len(set(near)) > 1 else near[:1]:
        tail = _beyond(units.outcome, c, low=low)
        sums = own * (units.outcome - whole - sign * (tail - own @ tail))
        found.append(sums / kept + (c - value) * moved)
    return Bound(float(value), np.array(found))


def _beyond(y: Numbers, cut: float, *, low: bool) -> Numbers:
    """Return how far values lie beyond the cut, on the side that is left out."""
    return np.maximum(y - cut, 0.0) if low else np.minimum(y - cut, 0.0)


def _cuts(y: Numbers, weight: Numbers, shares: Numbers, *, low: bool) -> list[float]:
    """Return the values at which the lowest (`low`) or highest shares end."""
    order = np.argsort(y if low else -y, kind="stable")
    reached = np.cumsum(weight[order])
    places = np.searchsorted(reached, shares * reached[-1] * (1 - _LAST_DIGITS))
    return [float(y[order[min(int(place), len(order) - 1)]]) for place in places]


def _minus(one: Bound, other: Bound) -> Bound:
    return Bound(one.value - other.value, one.influence - other.influence)


def _averaged(units: Answerers, cells: list[Places], found: list[_Cell], end: int) -> Bound:
    """Return one end averaged over cells by those who would answer in either arm."""
    mass = sum(cell.mass for cell in found)
    value = sum(cell.mass * cell.ends[end].value for cell in found) / mass
    influence = np.zeros((max(len(cell.ends[end].influence) for cell in found), len(units.weight)))
    for places, cell in zip(cells, found, strict=True):
        apart = cell.ends[end].value - value
        influence[:, places] = (cell.mass * cell.ends[end].influence + apart * cell.moved) / mass
    return Bound(float(value), influence)
