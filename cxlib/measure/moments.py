"""Moments: frozen, addable sufficient statistics. All inference is arithmetic on them.

Addition is exact where no customer lies in two of the parts. Where customers recur, over months say, the products of
their sums are not the sums of their products: re-cluster in the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Numbers = NDArray[np.float64]
Pair = tuple[str, str]

# What is left of a sum of squares below this share of its parts is rounding: every customer has the same ratio.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over rows and sums over clusters of products of cluster sums.

    Every number may be a scalar or an array, all of one shape: one element per month or level.

    Parameters
    ----------
    rows
        Rows that count.
    clusters
        Distinct customers among them.
    sums
        Sum of `y`, of its denominator `x` (the rows themselves, or their weights, where nothing else is divided by),
        perhaps of covariates `y_pre`, `x_pre`.
    products
        For pairs of those names in alphabetical order: the sum over clusters of the product of the cluster's sums.
    squares
        The sum over rows of `y` squared: what the variance would be made of if rows were independent.
    """

    rows: Numbers
    clusters: Numbers
    sums: Mapping[str, Numbers]
    products: Mapping[Pair, Numbers]
    squares: Numbers

    @classmethod
    def of(
        cls,
        y: ArrayLike,
        x: ArrayLike | None = None,
        *,
        y_pre: ArrayLike | None = None,
        x_pre: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        clusters: ArrayLike | None = None,
    ) -> Moments:
        """Sum rows; one whose `y` or `x` is missing does not count, as in the engine.

        Parameters
        ----------
        y
            The numerator, one number per row, shape (n,).
        x
            The denominator per row; 1 if left out.
        y_pre, x_pre
            Covariates of before, per row.
        weights
            Weights per row, which multiply every sum; 1 if left out.
        clusters
            The customer of each row; a missing one, or none at all, makes each row a cluster of its own.

        Returns
        -------
        Moments
            Of scalars.
        """
        size, given = np.size(y), {"y": y, "x": x, "y_pre": y_pre, "x_pre": x_pre}
        columns = {n: _column(v, size, 1.0) for n, v in given.items() if v is not None or n == "x"}
        known = ~np.isnan(columns["y"] + columns["x"])
        weight = _column(weights, size, 1.0)[known]
        values = {n: column[known] * weight for n, column in columns.items()}
        number = _numbered(clusters, known)
        count = int(number.max()) + 1 if weight.size else 0
        cells = {name: np.bincount(number, value, count) for name, value in values.items()}
        products = {(a, b): _scalar(cells[a] @ cells[b]) for a, b in _pairs(cells)}
        sums = {name: _scalar(cell.sum()) for name, cell in cells.items()}
        squares = _scalar(values["y"] @ values["y"])
        return cls(_scalar(weight.size), _scalar(count), sums, products, squares)

    @classmethod
    def from_sums(cls, n: ArrayLike, sums: Mapping[str, ArrayLike], products: Mapping[Pair, ArrayLike]) -> Moments:
        """Take sums that exist already, over n independent units.

        Without a denominator `x` each unit counts 1. Pairs may be given in either order; all products of names in
        `sums` are needed. Raises `ValueError` where one lacks.
        """
        count = np.asarray(n, dtype=float)
        total = {name: np.asarray(value, dtype=float) for name, value in sums.items()}
        product = {_pair(*pair): np.asarray(value, dtype=float) for pair, value in products.items()}
        if "x" not in total:
            product |= {_pair(name, "x"): value for name, value in total.items()} | {("x", "x"): count}
            total["x"] = count
        lacking = sorted(set(_pairs(total)) - set(product))
        if "y" not in total or lacking:
            raise ValueError(f"moments need the sum of y and every product; {lacking or ['y']} lacking")
        return cls(count, count, total, product, product["y", "y"])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Moments:
        """Take the rows that `plans.plan` brought back; one element per row."""
        column = {name: frame[name].to_numpy(dtype=float) for name in frame.columns if name not in ("period", "level")}
        products = {("x", "x"): column["xx"], ("x", "y"): column["xy"], ("y", "y"): column["yy"]}
        sums = {"y": column["y"], "x": column["x"]}
        return cls(column["rows"], column["clusters"], sums, products, column["y2"])

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both parts together; exact where no cluster lies in both."""
        if set(self.sums) != set(other.sums):
            raise ValueError(f"moments of {sorted(self.sums)} and of {sorted(other.sums)} do not add")
        return Moments(
            self.rows + other.rows,
            self.clusters + other.clusters,
            {name: value + other.sums[name] for name, value in self.sums.items()},
            {pair: value + other.products[pair] for pair, value in self.products.items()},
            self.squares + other.squares,
        )

    def __getitem__(self, which: Any) -> Moments:
        """Return the elements `which` (an index, slice or mask) of moments that are arrays."""
        return Moments(
            self.rows[which],
            self.clusters[which],
            {name: value[which] for name, value in self.sums.items()},
            {pair: value[which] for pair, value in self.products.items()},
            self.squares[which],
        )

    @property
    def ratio(self) -> Numbers:
        """Sum of y over sum of x; missing where x is 0. The mean, where x counts rows."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.sums["x"] != 0, self.sums["y"] / self.sums["x"], np.nan)

    @property
    def variance(self) -> Numbers:
        """Variance of `ratio` by linearisation, robust to clusters: sum over them of (y - R x)^2 / X^2, times G/(G-1).

        Where every row is its own cluster and x counts rows it is s^2 / n. Missing with fewer than two clusters.
        """
        ratio, groups = self.ratio, self.clusters
        parts = (self.products["y", "y"], ratio**2 * self.products["x", "x"], -2 * ratio * self.products["x", "y"])
        rest = parts[0] + parts[1] + parts[2]
        rest = np.where(
            rest <= _ROUNDING * (np.abs(parts[0]) + np.abs(parts[1])), np.where(np.isnan(rest), np.nan, 0), rest
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(groups > 1, rest / self.sums["x"] ** 2 * groups / (groups - 1), np.nan)

    @property
    def simple_variance(self) -> Numbers:
        """Variance of the mean if rows were independent: (mean square - squared mean) / n. For x that counts rows."""
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = self.squares / self.rows - (self.sums["y"] / self.rows) ** 2
            small = spread <= _ROUNDING * self.squares / self.rows
            return np.where(self.rows > 0, np.where(small, 0, spread) / self.rows, np.nan)

    @property
    def effective_n(self) -> Numbers:
        """How many independent answers the rows are worth, shape at least (1,).

        n / deff, times (t[n - 1] / t[G - 1])^2 for few customers (Korn and Graubard 1998, at 95 %), never above n.
        Where each row is a customer it is n; where answers do not vary nothing tells the design effect, and it is the
        number of customers.
        """
        n, groups, robust, simple = np.atleast_1d(self.rows, self.clusters, self.variance, self.simple_variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            few = (stats.t.isf(0.025, n - 1) / stats.t.isf(0.025, groups - 1)) ** 2
            clustered = np.minimum(n * simple / robust * few, n)
        varied = (robust > 0) & (simple > 0)
        return np.where(groups >= n, n, np.where(varied, clustered, groups))

    @property
    def overdispersion(self) -> Numbers:
        """How many times the cluster-robust variance of the events `y` exceeds a Poisson's; at least 1."""
        with np.errstate(invalid="ignore", divide="ignore"):
            deff = self.variance * self.sums["x"] ** 2 / self.sums["y"]
        return np.where(deff > 1, deff, 1.0)


def _column(values: ArrayLike | None, size: int, otherwise: float) -> Numbers:
    return np.full(size, otherwise) if values is None else np.asarray(values, dtype=float).reshape(size)


def _numbered(clusters: ArrayLike | None, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number the clusters of the rows kept from 0; rows without one follow, each by itself."""
    if clusters is None:
        return np.arange(np.count_nonzero(kept))
    codes, known = pd.factorize(np.asarray(clusters, dtype=object)[kept])
    lost = codes < 0
    return np.where(lost, len(known) + np.cumsum(lost) - 1, codes)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)


def _pairs(names: Mapping[str, Any]) -> list[Pair]:
    ordered = sorted(names)
    return [(a, b) for number, a in enumerate(ordered) for b in ordered[number:]]


def _scalar(value: Any) -> Numbers:
    return np.asarray(value, dtype=float)
