"""Synthetic control in arrays: weights, gaps, and the same for every donor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LEAST_BEFORE = 5
_PASSES = 50  # of the solver, for each donor


@dataclass(frozen=True)
class Gaps:
    """One unit less its synthetic control.

    Parameters
    ----------
    gap
        Shape (t,).
    weights
        Shape (j,), at least 0, summing to 1.
    before
        Points before the start.
    """

    gap: Numbers
    weights: Numbers
    before: int

    @property
    def effect(self) -> float:
        """Mean gap after the start."""
        return float(self.gap[self.before :].mean())

    @property
    def missed(self) -> float:
        """Root mean squared gap before the start (RMSPE)."""
        return float(np.sqrt(np.mean(self.gap[: self.before] ** 2)))

    @property
    def ratio(self) -> float:
        """Root mean squared gap after the start over that before; infinite where nothing was missed before."""
        after = float(np.sqrt(np.mean(self.gap[self.before :] ** 2)))
        return after / self.missed if self.missed > 0 else np.inf


def gaps(unit: Numbers, donors: Numbers, before: int, *, ridge: float, intercept: bool) -> Gaps:
    """Return the gaps of a unit.

    Parameters
    ----------
    unit, donors
        Shapes (t,) and (t, j).
    before
        Points that weights are fitted on.
    ridge
        Penalty on the weights, in units of the standard deviation of the donors' steps before the start.
    intercept
        Let the synthetic control lie above or below the unit all along: levels before the start are taken off.
    """
    if intercept:
        unit, donors = unit - unit[:before].mean(), donors - donors[:before].mean(axis=0)
    noise = float(np.diff(donors[:before], axis=0).std())
    weights = simplex(donors[:before] - unit[:before, None], ridge * noise * np.sqrt(before))
    return Gaps(unit - donors @ weights, weights, before)


def simplex(apart: Numbers, penalty: float) -> Numbers:
    """Return the weights, at least 0 and summing to 1, with the least |apart w|^2 + penalty^2 |w|^2.

    Parameters
    ----------
    apart
        Shape (t, j): donors less unit. As the weights sum to 1, the unit less its synthetic control is -apart w.
    penalty
        Above 0 makes the weights unique.

    Notes
    -----
    Exactly, by non-negative least squares (Lawson and Hanson 1974) of a row of ones on 1 with the rows of `apart` on 0:
    with w = s v and v summing to 1 it minimises s^2 |apart v|^2 + (s - 1)^2, which v minimises as it does |apart v|^2.
    """
    from scipy.optimize import nnls

    count = apart.shape[1]
    rows = np.vstack([apart, penalty * np.eye(count)])
    size = float(np.sqrt(np.mean(rows**2)))
    if size == 0:
        return np.full(count, 1 / count)
    aim = np.append(np.zeros(len(rows)), 1.0)
    found = nnls(np.vstack([rows / size, np.ones(count)]), aim, maxiter=_PASSES * count)[0]
    return np.asarray(found / found.sum())


def each(donors: Numbers, before: int, *, ridge: float, intercept: bool) -> list[Gaps]:
    """Return the gaps of every donor, the other donors its pool (Abadie, Diamond and Hainmueller 2010)."""
    return [
        gaps(donors[:, j], np.delete(donors, j, axis=1), before, ridge=ridge, intercept=intercept)
        for j in range(donors.shape[1])
    ]
