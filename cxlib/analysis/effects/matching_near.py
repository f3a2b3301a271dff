"""Who is nearest to whom: neighbours with all ties, kept by place so that many who are alike cost no more than one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from cxlib.measure.rows import Codes, Numbers

_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class Near:
    """The neighbours of some rows among others; each row's neighbours count alike and add to 1.

    Parameters
    ----------
    ones, others
        Rows that have neighbours, shape (n1,), and those who may be neighbours, shape (n0,).
    cell
        The place of each of the others, numbered from 0, shape (n0,).
    reach
        Which places are within reach of each row, shape (n1, places), sparse, of ones.
    size
        How many neighbours each row has, shape (n1,).
    """

    ones: Codes
    others: Codes
    cell: Codes
    reach: sparse.csr_array
    size: Numbers

    def total(self, values: Numbers) -> Numbers:
        """Return the sum of the neighbours' values for each row; values of shape (n0,)."""
        return np.asarray(self.reach @ np.bincount(self.cell, values, self.reach.shape[1]))

    def mean(self, values: Numbers) -> Numbers:
        """Return the mean of the neighbours' values for each row."""
        return self.total(values) / self.size

    def used(self, power: int = 1) -> Numbers:
        """Return how often each of the others is used: the sum of its parts, or of their squares; shape (n0,)."""
        return np.asarray(self.reach.T @ self.size**-power)[self.cell]


def nearest(z: Numbers, stratum: Codes, ones: Codes, others: Codes, count: int) -> Near:
    """Return the neighbours of the rows `ones` among `others`.

    Parameters
    ----------
    z, stratum
        Places, shape (N, d), and what must be the same, shape (N,).
    ones, others
        Rows.
    count
        How many neighbours; all who are as near as the last of them count, so that no order of rows decides.
    """
    cell, cells = np.zeros(others.size, dtype=np.int64), 0
    who, where = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for level in np.unique(stratum[ones]):
        mine, near = ones[stratum[ones] == level], np.flatnonzero(stratum[others] == level)
        if not near.size:
            continue
        places, own, sizes = np.unique(z[others[near]], axis=0, return_inverse=True, return_counts=True)
        cell[near] = own.ravel() + cells
        balls = _balls(z[mine], places, sizes, count)
        who.append(np.repeat(mine, [len(ball) for ball in balls]))
        where.append(np.concatenate(balls) + cells)
        cells += len(places)
    rows, place = np.unique(np.concatenate(who), return_inverse=True)
    spots = np.concatenate(where)
    pairs = (np.ones(spots.size), (np.asarray(place).ravel(), spots))
    reach = sparse.coo_array(pairs, shape=(rows.size, max(cells, 1))).tocsr()
    known = np.isin(stratum[others], stratum[ones])
    return Near(rows, others[known], cell[known], reach, reach @ np.bincount(cell[known], minlength=max(cells, 1)))


def _balls(wanted: Numbers, places: Numbers, sizes: Codes, count: int) -> list[Codes]:
    """Return the places within reach of each wanted one: those of the `count` nearest, and all as near as the last."""
    if not wanted.shape[1]:
        return [np.arange(len(places))] * len(wanted)
    tree = KDTree(places)
    far, near = tree.query(wanted, k=np.arange(1, min(count, len(places)) + 1))
    enough = np.minimum((np.cumsum(sizes[near], axis=1) < count).sum(axis=1), near.shape[1] - 1)
    radius = far[np.arange(len(wanted)), enough]
    found = tree.query_ball_point(wanted, radius * (1 + _TIE) + _TIE)
    return [np.array(sorted(ball), dtype=np.int64) for ball in found]
