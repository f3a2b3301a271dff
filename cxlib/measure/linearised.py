"""Functions of the sums of two periods by levels -> rows of the result frame, errors by the delta method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cxlib import results
from cxlib.measure import intervals
from cxlib.measure.joint import Joint
from cxlib.measure.kitagawa import Terms
from cxlib.measure.moments import Numbers

FLAT = "nothing varied here: the interval has no width"
_ONE = "fewer than two customers in a period"
_EXTRA = 3.0  # customers that a level borrows from the whole


class Grid(NamedTuple):
    """The sums of a joint as two periods by L levels, and where each cell lies in the joint (-1: nowhere)."""

    periods: tuple[str, str]
    levels: list[str]
    y: Numbers
    x: Numbers
    rows: Numbers
    customers: Numbers
    alike: Numbers
    place: NDArray[np.intp]


def grid(joint: Joint, before: str, after: str) -> Grid:
    """Lay the cells of two periods out; levels by name, those that a period lacks with zeros.

    `alike` is how many customers of the same x a level's are worth (Kish 1965): sum x squared over the sum of x^2.
    Where the denominator is shared, x is the period's whole one in every level.
    """
    period, level = joint.keys["period"].tolist(), joint.keys["level"].tolist()
    at = {key: place for place, key in enumerate(zip(period, level, strict=True))}
    levels = sorted({name for label, name in at if label in (before, after)})
    place = np.array([[at.get((label, name), -1) for name in levels] for label in (before, after)], dtype=np.intp)
    squares = np.diag(joint.xx)
    alike = np.minimum(np.divide(joint.x**2, squares, out=np.ones_like(squares), where=squares > 0), joint.clusters)
    numbers = (joint.y, joint.x, joint.rows, joint.clusters, alike)
    y, x, rows, people, alike = (np.where(place >= 0, np.append(one, 0.0)[place], 0.0) for one in numbers)
    if joint.shared and levels:
        x = np.repeat(x.max(axis=1, keepdims=True), len(levels), axis=1)
    return Grid((before, after), levels, y, x, rows, people, alike, place)


@dataclass(frozen=True, eq=False)
class Book:
    """Writes terms as rows: the unit's scale, errors from the joint, intervals and p-values from t.

    The degrees of freedom are those of Satterthwaite (1946) over the two periods: customers less one of each period or,
    for single levels, of the level in each, counted as customers of the same size (Carter, Schnepel and Steigerwald
    2017: clusters of different sizes are worth fewer).
    """

    joint: Joint
    cells: Grid
    scale: float = 1.0
    confidence: float = 0.95

    def rows(
        self, terms: Terms, comparison: str | Sequence[str], levels: Sequence[str], method: str | Sequence[str], *,
        n: Numbers | float, single: bool = False, at: str = "",
    ) -> pd.DataFrame:  # fmt: skip
        """Return one row per term.

        Parameters
        ----------
        terms
            m functions of the grid's sums, each unchanged when all sums of a period are multiplied.
        comparison, levels, method, at
            Labels; one level per term, the others one per term or one for all.
        n
            What the rows count, shape (m,) or one for all.
        single
            Whether the terms are about the grid's levels, one each (or several rounds of that): few customers are
            allowed for then (see `few`).
        """
        people = np.array([[self.joint.customers[name]] for name in self.cells.periods], dtype=float)
        if single:
            rounds = terms.value.size // max(len(self.cells.levels), 1)
            people = np.tile(np.where(self.cells.alike > 0, self.cells.alike, people), rounds)
        whole, apart = self.variances(terms, single=single)
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = apart.sum(axis=0) ** 2 / (apart**2 / np.maximum(people - 1, 1)).sum(axis=0)
            value, error = self.scale * terms.value, self.scale * np.sqrt(whole)
            low, high = intervals.student(value, error, freedom, self.confidence)
            p_value = 2 * stats.t.sf(np.abs(value) / error, freedom)
        flat, none = whole == 0, np.isnan(whole) | np.isnan(value)
        return results.frame(
            comparison=comparison, level=list(levels), at=at, estimate=value, std_error=error,
            conf_low=np.where(flat, value, low), conf_high=np.where(flat, value, high),
            p_value=np.where(flat, np.nan, p_value), n=n, method=method,
            status=np.where(none, results.UNDEFINED, results.OK), note=np.where(none, _ONE, np.where(flat, FLAT, "")),
        )  # fmt: skip

    @cached_property
    def _few(self) -> Numbers:
        return few(self.joint)

    def variances(self, terms: Terms, *, single: bool = False) -> tuple[Numbers, Numbers]:
        """Return the variance of each term, shape (m,), and that of its part in each period by itself, (2, m)."""
        there = self.cells.place >= 0
        inside = self.cells.place[there]
        dy, dx = (np.zeros((terms.value.size, len(self.joint.keys))) for _ in range(2))
        dy[:, inside], dx[:, inside] = terms.dy[:, there], terms.dx[:, there]
        mine = [(self.joint.keys["period"] == name).to_numpy() for name in self.cells.periods]
        at_once = (np.concatenate([one, *(one * period for period in mine)]) for one in (dy, dx))
        found = np.maximum(self.joint.variance(*at_once), 0).reshape(3, -1)
        whole, apart = found[0], found[1:]
        if single and not self.joint.shared:
            more = self._few * (dy * self.joint.x) ** 2
            apart, whole = apart + np.stack([more @ one for one in mine]), whole + more.sum(axis=1)
        return whole, apart


def few(joint: Joint) -> Numbers:
    """Return what is added to the variance of each cell's ratio because its customers are few.

    `Joint.variance` allows for the customers of the period, G/(G-1); a cell has fewer. And ten equal answers are no
    certainty: as if three more customers of the spread of the whole period were in a cell that varies less, with V the
    variance times the customers, 3 / (G + 3) of (V of the whole - V) / G is added; the idea is that of three answers
    added to an NPS (Rocks 2016).

    Returns
    -------
    numpy.ndarray
        Shape (K,); next to nothing in large cells that vary as much as the whole.
    """
    period, groups = joint.keys["period"], np.maximum(joint.clusters, 1)
    own, whole = np.nan_to_num(joint.moments().variance), np.zeros(len(groups))
    for name in sorted(set(period)):
        mine = (period == name).to_numpy()
        total, ratio = joint.x[mine].sum(), joint.y[mine].sum() / joint.x[mine].sum()
        whole[mine] = joint.variance(mine / total, -ratio * mine / total) * joint.customers[name]
    lent = _EXTRA / (groups + _EXTRA) * np.maximum(whole - own * groups, 0) / groups
    return np.asarray(own / groups + lent)
