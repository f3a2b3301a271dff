"""Raking: weights that bring a sample to known totals of a population, margin by margin.

Worked out on distinct cells: rows that agree in every column share one factor, so a million rows cost what fifty do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.moments import Numbers

Codes = NDArray[np.int64]
Bounds = tuple[float, float]
Margins = Mapping[str, Mapping[Any, float]]

OTHER = "other levels"
TOLERANCE = 1e-10  # relative misfit of a margin at which raking is done
ROUNDS = 5_000
_SAME = 1e-6  # totals of two margins that differ by no more, relatively, are one total rounded in two ways
_FARTHEST = 1e12  # a factor far outside of its bounds stays finite, so that it can come back
_NAMED = 5


def rake(
    frame: pd.DataFrame, margins: Margins, *, base: ArrayLike | None = None, bounds: Bounds | None = None
) -> pd.Series:
    """Weight rows so that they add up to population totals in every margin (iterative proportional fitting).

    Parameters
    ----------
    frame
        One row per respondent, with a column per margin.
    margins
        {column: {level: population total}}, a dict or a Series per column. Totals of different columns that agree but
        for rounding (1e-6) are rescaled to the first.
    base
        Weight of each row before, shape (n,), or a Series with the index of `frame`; 1 if left out.
    bounds
        (low, high): limits of weight over base, as multiples of its mean (total of the margins over sum of `base`).
        What is cut is redistributed by raking on until bounds and margins both hold.

    Returns
    -------
    pandas.Series
        The weights, index of `frame`; each margin is met to 1e-10.

    Raises
    ------
    UsageError
        Where columns, levels, totals, base weights or bounds do not fit (all faults at once), or where the margins
        cannot all be met, naming what is farthest off.

    Notes
    -----
    Deming and Stephan (1940). With bounds it is calibration by the same distance, sum b (g ln g - g + 1) for g the
    ratio of weight to base b, restricted to the bounds (Deville and Sarndal 1992).
    """
    cells, weight = prepared(frame, margins, base, bounds)
    before = cells.add(weight)
    factors, misfit = raked(cells, before, bounds)
    if misfit > TOLERANCE:
        raise _unmet(cells, _as_numbers(margins), before * factors, bounds)
    return pd.Series(weight * factors[cells.of_row], index=frame.index, name="weight")


@dataclass(frozen=True, eq=False)
class Cells:
    """The distinct combinations of levels among rows.

    Parameters
    ----------
    of_row
        The cell of each row, shape (n,).
    levels
        Per margin the number of each cell's level, shape (cells,).
    targets
        Per margin the population totals, shape (levels,), in the order of the numbers; all of one sum.
    """

    of_row: Codes
    levels: tuple[Codes, ...]
    targets: tuple[Numbers, ...]

    @classmethod
    def of(cls, codes: Sequence[Any], targets: Iterable[Sequence[float]]) -> Cells:
        """Number the cells of rows, given the number of each row's level per margin; rescale the totals."""
        totals = [np.array(total, dtype=float) for total in targets]
        totals = [total * (totals[0].sum() / total.sum()) for total in totals]
        place = np.zeros(len(codes[0]), dtype=np.int64)
        for code, total in zip(codes, totals, strict=True):
            place = pd.factorize(place * len(total) + code, sort=True)[0]  # small again after every margin
        first = np.unique(place, return_index=True)[1]
        return cls(place, tuple(np.asarray(code)[first] for code in codes), tuple(totals))

    def add(self, values: Numbers) -> Numbers:
        """Sum the rows' values, shape (n,), per cell."""
        return np.bincount(self.of_row, values, len(self.levels[0])).astype(float)


def raked(
    cells: Cells, base: Numbers, bounds: Bounds | None = None, *, rounds: int = ROUNDS
) -> tuple[Numbers, Numbers]:
    """Return the factor of each cell that brings the base weights to the margins, and what is amiss.

    Parameters
    ----------
    cells
        The cells and their margins.
    base
        Base weight of each cell, shape (cells,), or of R replicates, (cells, R). A level without any weight in a
        replicate is left out there, and the others of its margin stand for it.
    bounds
        As in `rake`.
    rounds
        At most so many times all margins.

    Returns
    -------
    factors, misfit
        Shape of `base`; and () or (R,), the largest relative misfit of any level.

    Notes
    -----
    With bounds each round multiplies the factors as they were before they were cut, and cuts them again. The fixed
    point is the raking ratio truncated at the bounds: the nearest to the base weights that keeps both.
    """
    weight = base if base.ndim == 2 else base[:, None]
    sums = [np.arange(len(a))[:, None] == code for code, a in zip(cells.levels, cells.targets, strict=True)]
    adders = [matrix.astype(float) for matrix in sums]
    aims = [_aims(total, adder @ weight) for total, adder in zip(cells.targets, adders, strict=True)]
    mean = cells.targets[0].sum() / weight.sum(axis=0)
    low, high = (mean * bounds[0], mean * bounds[1]) if bounds else (0.0 * mean, np.inf * mean)
    free, misfit = np.broadcast_to(mean, weight.shape).copy(), np.full(mean.shape, np.inf)
    todo = np.arange(mean.size)
    for _ in range(rounds):
        part, off = free[:, todo], np.zeros(todo.size)
        for adder, levels, aim in zip(adders, cells.levels, aims, strict=True):
            now = adder @ (weight[:, todo] * np.clip(part, low[todo], high[todo]))
            step = np.divide(aim[:, todo], now, out=np.ones_like(now), where=now > 0)
            off = np.maximum(off, np.abs(step - 1).max(axis=0))
            part = np.clip(part * step[levels], mean[todo] / _FARTHEST, mean[todo] * _FARTHEST)
        free[:, todo], misfit[todo] = part, off
        todo = todo[off > TOLERANCE]
        if not todo.size:
            break
    factors = np.clip(free, low, high)
    return (factors, misfit) if base.ndim == 2 else (factors[:, 0], misfit[0])


def prepared(
    frame: pd.DataFrame, margins: Margins, base: ArrayLike | None, bounds: Bounds | None
) -> tuple[Cells, Numbers]:
    """Return the cells of the rows and the base weight of each row, shape (n,); refuse what does not fit.

    Raises `UsageError` with all faults at once.
    """
    known = _as_numbers(margins)
    faults = _amiss_totals(known) + _amiss_bounds(bounds) + ([] if len(frame) else ["there are no rows to weight"])
    codes, weight = [], np.ones(len(frame))
    for name, totals in known.items():
        if name not in frame.columns:
            faults.append(f"the frame has no column '{name}'{did_you_mean(name, map(str, frame.columns))}")
            continue
        code, found = pd.factorize(frame[name])
        faults += _amiss_levels(name, totals, code, list(found)) if len(frame) else []
        codes.append(pd.Index(list(totals), dtype=object).get_indexer(pd.Index(list(found), dtype=object))[code])
    if base is not None:
        weight, amiss = _base(frame, base)
        faults += amiss
    if faults:
        hint = "Collapse levels on both sides, in the frame and in the margins, or leave the column out."
        raise UsageError("these weights cannot be made: " + "; ".join(faults), hint=hint)
    return Cells.of(codes, [list(totals.values()) for totals in known.values()]), weight


def small_levels(answers: pd.Series, people: pd.Series, min_n: int) -> list[str]:
    """Return the levels to join: with too few or nobody in `people`, and more until they are enough together.

    Parameters
    ----------
    answers, people
        Counts by level; what is too few is decided by `answers`.
    min_n
        The least number of `answers`.
    """
    given = {str(level): float(answers.get(level, 0.0)) for level in set(answers.index) | set(people.index)}
    order = sorted(given, key=lambda level: (given[level], level))
    small = [level for level in order if given[level] < min_n or level not in people.index]
    rest = [level for level in order if level not in small]
    while small and rest and (sum(given[n] for n in small) < min_n or not people.index.isin(small).any()):
        small.append(rest.pop(0))
    return sorted(small)


def _as_numbers(margins: Margins) -> dict[str, dict[Any, float]]:
    """Return the margins as dicts of numbers; what is no number is missing."""
    return {
        name: dict(zip(dict(totals), pd.to_numeric(list(dict(totals).values()), errors="coerce"), strict=True))
        for name, totals in margins.items()
    }


def _amiss_totals(margins: Margins) -> list[str]:
    """Say what is wrong with the population totals themselves."""
    if not margins:
        return ["no margins are given"]
    faults, sums = [], {}
    for name, totals in margins.items():
        values = np.array(list(totals.values()), dtype=float)
        bad = [f"{level} ({value:g})" for level, value in totals.items() if not 0 < float(value) < np.inf]
        if bad or not values.size:
            faults.append(f"totals of '{name}' must be above zero: {_some(bad) if bad else 'it has none'}")
        else:
            sums[name] = float(values.sum())
    names = list(sums)
    for name in names[1:]:
        first, own = sums[names[0]], sums[name]
        if abs(own - first) > _SAME * first:
            faults.append(f"the totals of '{names[0]}' add up to {first:,.10g}, those of '{name}' to {own:,.10g}")
    return faults


def _amiss_levels(name: str, totals: Mapping[Any, float], code: Codes, found: Sequence[Any]) -> list[str]:
    """Say which levels are on one side only, and how many rows have none."""
    faults, missing = [], int((code < 0).sum())
    if missing:
        faults.append(f"'{name}' is missing in {missing:,} rows")
    strange = [level for level in found if level not in totals]
    if strange:
        faults.append(f"the margin '{name}' has no total for {_some(strange)}, which rows have")
    empty = [level for level in totals if level not in set(found)]
    if empty:
        faults.append(f"no row has {_some(empty)} of the margin '{name}'")
    return faults


def _amiss_bounds(bounds: Bounds | None) -> list[str]:
    """Say what is wrong with the bounds."""
    if bounds is None or (len(bounds) == 2 and 0 <= bounds[0] < 1 < bounds[1]):
        return []
    return [f"bounds {tuple(bounds)} are not (low, high) with 0 <= low < 1 < high"]


def _base(frame: pd.DataFrame, base: ArrayLike) -> tuple[Numbers, list[str]]:
    """Return the base weights in the order of the rows, and what is wrong with them."""
    if isinstance(base, pd.Series) and not base.index.equals(frame.index):
        return np.ones(len(frame)), ["the base weights have another index than the frame"]
    weight = np.asarray(base, dtype=float)
    if weight.shape != (len(frame),):
        return np.ones(len(frame)), [f"there are {weight.size:,} base weights for {len(frame):,} rows"]
    bad = ~((weight > 0) & (weight < np.inf))
    return weight, [f"{bad.sum():,} base weights are missing, zero, negative or infinite"] if bad.any() else []


def _unmet(cells: Cells, margins: Margins, now: Numbers, bounds: Bounds | None) -> UsageError:
    """Return the error for margins that cannot all be met, naming the level that is farthest off."""
    off = [np.bincount(code, now, len(a)) / a - 1 for code, a in zip(cells.levels, cells.targets, strict=True)]
    worst = max(range(len(off)), key=lambda place: np.abs(off[place]).max())
    number = int(np.abs(off[worst]).argmax())
    name, totals = list(margins.items())[worst]
    level, share = list(totals)[number], off[worst][number]
    within = f" with ratios from {bounds[0]:g} to {bounds[1]:g}" if bounds else ""
    more = "Widen the bounds, collapse" if bounds else "Collapse"
    return UsageError(
        f"the margins cannot all be met{within}: '{level}' of '{name}' stays {abs(share):.2g} of its total "
        f"{'below' if share < 0 else 'above'} it",
        hint=f"{more} '{level}' with a level like it, on both sides, or leave '{name}' out.",
    )


def _aims(totals: Numbers, now: Numbers) -> Numbers:
    """Return the targets of each replicate: those of levels without any weight go to the others in proportion."""
    aims = np.where(now > 0, totals[:, None], 0.0)
    return aims * (totals.sum() / aims.sum(axis=0))


def _some(names: Sequence[Any]) -> str:
    """Return names in a sentence, the first of them where they are many."""
    rest = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*(f"'{name}'" for name in names[:_NAMED]), *rest])
