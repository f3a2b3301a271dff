"""Estimates whose errors take customers as clusters: each is a number and what every customer adds to its error."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxlib.measure.rows import Codes, Numbers


class Estimate(NamedTuple):
    """A value, each customer's influence on it (shape (customers,), sum 0), and the customers it stands on."""

    value: float
    influence: Numbers
    customers: int

    @property
    def error(self) -> float:
        """The cluster-robust standard error; NaN for fewer than two customers."""
        n = self.customers
        return math.sqrt(float((self.influence**2).sum()) * n / (n - 1)) if n > 1 else math.nan

    def less(self, other: Estimate) -> Estimate:
        """Return the difference to another estimate of the same customers' codes, of whom some may be in both."""
        both = int(np.count_nonzero((self.influence != 0) | (other.influence != 0)))
        together = max(both, self.customers, other.customers)
        return Estimate(self.value - other.value, self.influence - other.influence, together)


def mean(values: Numbers, customer: Codes, size: int, kept: NDArray[np.bool_] | None = None) -> Estimate:
    """Return the mean of rows, NaN without any.

    Parameters
    ----------
    values
        Shape (rows,).
    customer
        Codes below `size`, shape (rows,).
    size
        How many customers there are.
    kept
        Which rows count; default all.
    """
    if kept is not None:
        values, customer = values[kept], customer[kept]
    if not values.size:
        return Estimate(math.nan, np.zeros(size), 0)
    centre = float(values.mean())
    pulls = _summed(customer, (values - centre) / values.size, size)
    return Estimate(centre, pulls, int(np.unique(customer).size))


def correlation(x: Numbers, y: Numbers, customer: Codes, size: int) -> Estimate:
    """Return Pearson's correlation; NaN where either is the same everywhere.

    Source: influence function zx zy - r (zx^2 + zy^2) / 2 (Devlin, Gnanadesikan and Kettenring
    1975, Biometrika 62:531).
    """
    a, b = (_standard(values) for values in (x, y))
    if a is None or b is None:
        return Estimate(math.nan, np.zeros(size), 0)
    r = float((a * b).mean())
    pulls = _summed(customer, (a * b - r * (a**2 + b**2) / 2) / a.size, size)
    return Estimate(r, pulls, int(np.unique(customer).size))


def squared(one: Estimate) -> Estimate:
    """Return the square of an estimate: of a correlation the share that is explained."""
    return Estimate(one.value**2, 2 * one.value * one.influence, one.customers)


def slopes(y: Numbers, x: NDArray[Any], customer: Codes, size: int) -> list[Estimate]:
    """Return least-squares slopes of each column of `x`, the others held; NaN where columns cannot be told apart.

    Source: cluster-robust sandwich (Liang and Zeger 1986, Biometrika 73:13).
    """
    design = np.column_stack([np.ones(y.size), x])
    if y.size <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        return [Estimate(math.nan, np.zeros(size), 0)] * (design.shape[1] - 1)
    bread = np.linalg.inv(design.T @ design)
    fit = bread @ (design.T @ y)
    scores = design * (y - design @ fit)[:, None]
    pulls = np.column_stack([_summed(customer, column, size) for column in scores.T]) @ bread
    many = int(np.unique(customer).size)
    return [Estimate(float(fit[k]), pulls[:, k].astype(float), many) for k in range(1, design.shape[1])]


def _standard(values: Numbers) -> Numbers | None:
    spread = float(values.std()) if values.size else 0.0
    return (values - values.mean()) / spread if spread > 1e-12 else None


def _summed(customer: Codes, values: Numbers, size: int) -> Numbers:
    """Return the sum of each customer's values."""
    return np.bincount(customer, values, minlength=size).astype(float)
