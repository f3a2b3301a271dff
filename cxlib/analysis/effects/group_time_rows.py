"""Rows of a staggered roll-out become means by group and time, and what each cluster has in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects import panels
from cxlib.analysis.effects.panels import NEVER, Axis
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers, weight_of

_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Staggered:
    """Rows that have everything.

    Parameters
    ----------
    y, weight
        Shape (N,).
    time, axis
        The place in time of each row, and the times.
    group, starts
        The group of each row as a place in `starts`: the places in time at which groups start, `NEVER` last where any
        rows are never treated. Groups that started between two times share the place of the later one.
    early, named
        How far before its place each group started, shape (K,), and what groups are called that did.
    cluster, labels
        The cluster of each row, numbered from 0, and what the clusters are called, shape (G,).
    panel
        Whether every unit is seen once at every time.
    notes
        What was left out.
    """

    y: Numbers
    weight: Numbers
    time: Codes
    axis: Axis
    group: Codes
    starts: Codes
    early: Codes
    named: dict[tuple[int, int], str]
    cluster: Codes
    labels: Any
    panel: bool
    notes: tuple[str, ...]


def read(
    frame: Any,
    *,
    outcome: str,
    unit: str | None,
    time: str,
    first_treated: str,
    panel: bool | None,
    cluster: str | None,
    weights: str | None,
    anticipation: int,
) -> Staggered:
    """Check a frame and return its rows; raises `UsageError` for what cannot be used."""
    given = {"outcome": outcome, "time": time, "first_treated": first_treated}
    given |= {role: name for role, name in (("unit", unit), ("cluster", cluster), ("weights", weights)) if name}
    doors.require(doors.frame(frame), given)
    if panel and unit is None:
        raise UsageError("a panel without a unit", hint="Name the unit, or give panel=False.")
    y = doors.numbers(outcome, frame[outcome])
    weight = weight_of(None if weights is None else doors.numbers(weights, frame[weights]), y.size)
    spot, axis = panels.times(time, frame[time])
    start, early, named = panels.cohorts(first_treated, frame[first_treated], axis)
    own = cluster or unit
    codes, labels = (np.arange(y.size), np.arange(y.size)) if own is None else pd.factorize(frame[own])
    units = np.arange(y.size) if unit is None else codes if own == unit else panels.codes_of(frame[unit])
    kept = ~np.isnan(y) & (spot >= 0) & (units >= 0) & (codes >= 0) & (weight > 0)
    notes = panels.left_out(int((~kept).sum()), "outcome, time, unit or weight")
    start = np.where(start >= axis.size + anticipation, NEVER, start)
    always = kept & (start <= anticipation)
    notes += [f"{int(always.sum()):,} rows of groups that had started by the first time left out"] * bool(always.any())
    kept &= ~always
    most = int(early.max(initial=0))
    group, found = pd.factorize(start * (most + 1) + most - early, sort=True)  # by start, those that were earlier last
    balanced, kept, lost = _panel(units, spot, group, kept, axis.size, panel, str(unit))
    group, present = pd.factorize(group[kept], sort=True)
    start, early = np.divmod(found[present], most + 1)
    early = most - early
    mine, place = pd.factorize(codes[kept], sort=True)
    lost += _unseen(start, early, named)
    return Staggered(
        y[kept], weight[kept], spot[kept], axis, group, start, early, named, mine,
        np.asarray(labels)[place], balanced, tuple(notes + lost),
    )  # fmt: skip


def _unseen(start: Codes, early: Codes, named: dict[tuple[int, int], str]) -> list[str]:
    """Return the note of groups that started when nobody was seen."""
    found = [named[place, ahead] for place, ahead in zip(start.tolist(), early.tolist(), strict=True) if ahead]
    which = ", ".join(found[:_MOST_NAMED]) + f" and {len(found) - _MOST_NAMED} more" * (len(found) > _MOST_NAMED)
    return [f"nobody is seen at the start of group{'s' * (len(found) != 1)} {which}"] if found else []


def _panel(
    units: Codes, spot: Codes, start: Codes, kept: Mask, times: int, panel: bool | None, name: str
) -> tuple[bool, Mask, list[str]]:
    """Return whether units are followed, which rows are kept, and what is said of the others."""
    count = int(units.max(initial=-1)) + 1
    place = (units * times + spot)[kept]
    once = bool(np.bincount(place, minlength=1).max(initial=0) <= 1) if count * times < 1 << 28 else (
        np.unique(place).size == place.size
    )  # fmt: skip
    if panel is False or (panel is None and not once):
        return False, kept, []
    if not once:
        raise UsageError(f"'{name}' is seen several times at one time", hint="Give panel=False, or one row per time.")
    seen = np.bincount(units[kept], minlength=count)
    low, high = np.full(count, NEVER + 1), np.full(count, -1)
    np.minimum.at(low, units[kept], start[kept])
    np.maximum.at(high, units[kept], start[kept])
    several = int(((high > low) & (seen > 0)).sum())
    whole = bool((seen[seen > 0] == times).all())
    if several and (panel or whole):
        raise UsageError(
            f"{several:,} of '{name}' have several first times of treatment",
            hint="A unit of a panel starts once; where customers move between groups give panel=False.",
        )
    if whole or not panel:
        return whole, kept, []
    short = (seen > 0) & (seen < times)
    return True, kept & ~short[units], [f"{int(short.sum()):,} units not seen at every time left out"]


@dataclass(frozen=True, eq=False)
class Means:
    """Weighted means of K groups at T times, and the parts that clusters have in them.

    Parameters
    ----------
    mean, weight, rows
        Shape (K, T): the mean, NaN where nobody is seen; the sum of weights; the number of rows.
    starts, early, axis
        As in `Staggered`.
    parts
        Shape (G, 2 K T), sparse: what each cluster moves each mean by, then its share of each sum of weights. Every
        effect is linear in these, so its errors follow from their products.
    clusters
        How many clusters each group has, shape (K,).
    """

    mean: Numbers
    weight: Numbers
    rows: Numbers
    starts: Codes
    early: Codes
    axis: Axis
    parts: sparse.csc_array
    clusters: Codes


def means_of(given: Staggered) -> Means:
    """Return the means by group and time."""
    groups, times = given.starts.size, given.axis.size
    cell, cells = given.group * times + given.time, groups * times
    weight, rows = (np.bincount(cell, values, cells).astype(float) for values in (given.weight, np.ones(cell.size)))
    centre = float(np.average(given.y, weights=given.weight)) if given.y.size else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cell, given.weight * (given.y - centre), cells) / weight + centre
    share = given.weight / weight[cell]
    values = np.concatenate([share * (given.y - mean[cell]), share])
    places = np.concatenate([cell, cells + cell])
    size = len(given.labels)
    parts = sparse.csc_array((values, (np.tile(given.cluster, 2), places)), shape=(size, 2 * cells))
    pairs = pd.unique(given.group * max(size, 1) + given.cluster)
    clusters = np.bincount(pairs // max(size, 1), minlength=groups)
    shape = (groups, times)
    return Means(mean.reshape(shape), weight.reshape(shape), rows.reshape(shape), given.starts, given.early,
                 given.axis, parts, clusters)  # fmt: skip
