"""Moments: frozen, addable sufficient statistics. All inference is arithmetic on them.

Addition is exact where no customer lies in two of the parts. Where customers recur, over months say, the products of
their sums are not the sums of their products: carry the overlap (`joined`) or re-cluster in the engine (`rolling`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from cxlib.errors import UsageError
from cxlib.measure.rows import ROUNDING, Numbers, column, numbered, weight_of

if TYPE_CHECKING:
    from cxlib.measure.overlap import Overlap

__all__ = ["Centred", "Moments", "Numbers", "Pair"]

Pair = tuple[str, str]

# Squared: what is left of centred sums below this share of the sums is rounding, too.
_LAST_DIGITS = 1e-14**2


class Centred(NamedTuple):
    """The products of `y - at x` instead of y: what is left of them does not drown in large, nearly equal numbers."""

    at: Numbers
    yy: Numbers
    xy: Numbers
    y2: Numbers


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
        The sum over rows of weight times `y` squared: what the variance would be made of if rows were independent.
    centred
        The same less a constant, where the rows were at hand. Without it a spread of less than 3e-7 of the mean cannot
        be told from none: doubles have 16 digits, and squares need twice those of the numbers.
    """

    rows: Numbers
    clusters: Numbers
    sums: Mapping[str, Numbers]
    products: Mapping[Pair, Numbers]
    squares: Numbers
    centred: Centred | None = None

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
            Weights per row, which multiply every sum; 1 if left out. A row of weight 0 does not count.
        clusters
            The customer of each row; a missing one, or none at all, makes each row a cluster of its own.

        Returns
        -------
        Moments
            Of scalars.

        Raises
        ------
        UsageError
            For lengths that differ, infinite numbers, negative or missing weights, missing covariates.
        """
        size, given = np.size(y), {"y": y, "x": x, "y_pre": y_pre, "x_pre": x_pre}
        columns = {n: column(n, v, size) for n, v in given.items() if v is not None or n == "x"}
        weight = weight_of(weights, size)
        known = ~np.isnan(columns["y"] + columns["x"]) & (weight > 0)  # what has no weight does not count
        weight = weight[known]
        values = {name: numbers[known] for name, numbers in columns.items()}
        _check_covariates(values)
        number, count = numbered(clusters, known)
        cells = {name: np.bincount(number, value * weight, count) for name, value in values.items()}
        sums = {name: _scalar(cell.sum()) for name, cell in cells.items()}
        products = {(a, b): _scalar(cells[a] @ cells[b]) for a, b in _pairs(cells)}
        at = _scalar(sums["y"] / sums["x"] if sums["x"] else 0.0)
        rest = np.bincount(number, (values["y"] - at * values["x"]) * weight, count)
        about = _scalar(weight @ (values["y"] - at) ** 2)
        centred = Centred(at, _scalar(rest @ rest), _scalar(rest @ cells["x"]), about)
        squares = _scalar(weight @ values["y"] ** 2)
        return cls(_scalar(weight.size), _scalar(count), sums, products, squares, centred)

    @classmethod
    def from_sums(cls, n: ArrayLike, sums: Mapping[str, ArrayLike], products: Mapping[Pair, ArrayLike]) -> Moments:
        """Take sums that exist already, over n independent units.

        Without a denominator `x` each unit counts 1. Pairs may be given in either order; all products of names in
        `sums` are needed. Raises `UsageError` where one lacks, and where no units could have such sums.
        """
        count = np.asarray(n, dtype=float)
        total = {name: np.asarray(value, dtype=float) for name, value in sums.items()}
        product = {_pair(*pair): np.asarray(value, dtype=float) for pair, value in products.items()}
        if "x" not in total:
            product |= {_pair(name, "x"): value for name, value in total.items()} | {("x", "x"): count}
            total["x"] = count
        lacking = [name for name in ("y",) if name not in total]
        lacking += [f"{a} times {b}" for a, b in sorted(set(_pairs(total)) - set(product))]
        if lacking:
            raise UsageError(f"moments need the sum of y and every product; lacking: {', '.join(lacking)}")
        _check_possible(count, total, product)
        return cls(count, count, total, product, product["y", "y"])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Moments:
        """Take the rows that `plans.plan` brought back; one element per row."""
        found = {name: frame[name].to_numpy(dtype=float) for name in frame.columns if name not in ("period", "level")}
        products = {("x", "x"): found["xx"], ("x", "y"): found["xy"], ("y", "y"): found["yy"]}
        sums = {"y": found["y"], "x": found["x"]}
        return cls(found["rows"], found["clusters"], sums, products, found["y2"])

    @classmethod
    def stacked(cls, parts: Sequence[Moments]) -> Moments:
        """Return moments of scalars, of the same names, as moments of arrays, one element a part."""
        centres = [part.centred for part in parts if part.centred is not None]
        return cls(
            np.array([part.rows for part in parts]),
            np.array([part.clusters for part in parts]),
            {name: np.array([part.sums[name] for part in parts]) for name in parts[0].sums},
            {pair: np.array([part.products[pair] for part in parts]) for pair in parts[0].products},
            np.array([part.squares for part in parts]),
            Centred(*map(np.array, zip(*centres, strict=True))) if len(centres) == len(parts) else None,
        )

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both parts together; exact where no cluster lies in both."""
        if set(self.sums) != set(other.sums):
            raise UsageError(f"moments of {sorted(self.sums)} and of {sorted(other.sums)} do not add")
        sums = {name: value + other.sums[name] for name, value in self.sums.items()}
        return Moments(
            self.rows + other.rows,
            self.clusters + other.clusters,
            sums,
            {pair: value + other.products[pair] for pair, value in self.products.items()},
            self.squares + other.squares,
            _centre(self, other, sums),
        )

    def joined(self, other: Moments, overlap: Overlap) -> Moments:
        """Return the moments of both parts together, exact where clusters lie in both.

        A quarter is had from its months so. What is counted once per customer and period (a denominator of
        `customers`) adds up to customer-months: plan such a metric over the longer period instead.

        Parameters
        ----------
        other
            The second part, of y and x.
        overlap
            Of the clusters in both, this part first.
        """
        if set(self.sums) | set(other.sums) != {"x", "y"}:
            raise UsageError(f"only moments of y and x can be joined, not of {sorted({*self.sums, *other.sums})}")
        whole = replace(self, centred=None) + other
        twice = {("x", "x"): 2 * overlap.xx, ("x", "y"): overlap.xy + overlap.yx, ("y", "y"): 2 * overlap.yy}
        products = {pair: value + twice[pair] for pair, value in whole.products.items()}
        return replace(whole, clusters=whole.clusters - overlap.clusters, products=products)

    def __getitem__(self, which: Any) -> Moments:
        """Return the elements `which` (an index, slice or mask) of moments that are arrays."""
        return Moments(
            self.rows[which],
            self.clusters[which],
            {name: value[which] for name, value in self.sums.items()},
            {pair: value[which] for pair, value in self.products.items()},
            self.squares[which],
            Centred(*(number[which] for number in self.centred)) if self.centred else None,
        )

    @property
    def ratio(self) -> Numbers:
        """Sum of y over sum of x; missing where x is 0. The mean, where x counts rows."""
        return _ratio(self.sums)

    @property
    def variance(self) -> Numbers:
        """Variance of `ratio` by linearisation, robust to clusters: sum over them of (y - R x)^2 / X^2, times G/(G-1).

        Where every row is its own cluster and x counts rows it is s^2 / n; where x are weights it is R survey's
        (Lumley 2010, svymean without strata). Missing with fewer than two clusters.
        """
        rest = self._beyond_rounding(self._about(self.ratio).yy, self._size)
        with np.errstate(divide="ignore", invalid="ignore"):
            correction = self.clusters / (self.clusters - 1)
            return np.where(self.clusters > 1, rest / self.sums["x"] ** 2 * correction, np.nan)

    @property
    def simple_variance(self) -> Numbers:
        """Variance of the mean if rows were independent and alike: (mean square - squared mean) / n.

        For x that counts rows or their weights; the means are weighted then.
        """
        spread = self._beyond_rounding(self._about(self.ratio).y2, self.squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.rows > 0, spread / self.sums["x"] / self.rows, np.nan)

    @property
    def effective_n(self) -> Numbers:
        """How many independent answers of equal weight the rows are worth, shape at least (1,).

        n / deff, times (t[n - 1] / t[G - 1])^2 for few customers (Korn and Graubard 1998, at 95 %), never above n; deff
        holds the clusters' part and the weights'. Where each row is a customer and weights are equal it is n. Where
        answers do not vary nothing tells the design effect, and it is as if a customer's answers were all alike:
        X^2 / sum of x^2 over customers (Kish 1965), never above the number of customers.
        """
        n, groups, x, xx = np.atleast_1d(self.rows, self.clusters, self.sums["x"], self.products["x", "x"])
        robust, simple = np.atleast_1d(self.variance, self.simple_variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            few = (stats.t.isf(0.025, n - 1) / stats.t.isf(0.025, groups - 1)) ** 2
            worth = np.minimum(n * simple * n / (n - 1) / robust * few, n)
            alike = np.where(groups > 0, np.fmin(x**2 / xx, groups), groups)
        varied = (robust > 0) & (simple > 0)
        plain = (groups >= n) & (x == n) & (xx == n)
        return np.where(plain, n, np.where(varied, worth, alike))

    @property
    def overdispersion(self) -> Numbers:
        """How many times the cluster-robust variance of the events `y` exceeds a Poisson's; at least 1."""
        with np.errstate(invalid="ignore", divide="ignore"):
            deff = self.variance * self.sums["x"] ** 2 / self.sums["y"]
        return np.where(deff > 1, deff, 1.0)

    @property
    def _size(self) -> Numbers:
        """How large the sums are that `variance` takes from each other."""
        return np.asarray(self.products["y", "y"] + self.ratio**2 * self.products["x", "x"])

    def _about(self, at: Numbers) -> Centred:
        """Return the products of y - at x."""
        old = self.centred or Centred(np.zeros(()), self.products["y", "y"], self.products["x", "y"], self.squares)
        y, x, xx, step = self.sums["y"], self.sums["x"], self.products["x", "x"], at - old.at
        return Centred(
            at=at,
            yy=old.yy - 2 * step * old.xy + step**2 * xx,
            xy=old.xy - step * xx,
            y2=old.y2 - 2 * step * (y - old.at * x) + step**2 * x,
        )

    def _beyond_rounding(self, rest: Numbers, size: Numbers) -> Numbers:
        """Return a sum of squares, 0 where it is no more than the last digits of what it was taken from."""
        least = (ROUNDING if self.centred is None else _LAST_DIGITS) * size
        return np.where(np.isnan(rest) | (rest > least), rest, 0.0)


def _ratio(sums: Mapping[str, Numbers]) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums["x"] != 0, sums["y"] / sums["x"], np.nan)


def _centre(one: Moments, other: Moments, sums: Mapping[str, Numbers]) -> Centred | None:
    """Return the centred products of two parts together, about the ratio of both."""
    if one.centred is None or other.centred is None:
        return None
    at = np.nan_to_num(_ratio(sums))
    first, second = one._about(at), other._about(at)
    return Centred(at, first.yy + second.yy, first.xy + second.xy, first.y2 + second.y2)


def _check_possible(count: Numbers, sums: Mapping[str, Numbers], products: Mapping[Pair, Numbers]) -> None:
    """Refuse what no `count` units have: fewer than none, or a squared sum beyond n times the sum of squares."""
    if np.any(count < 0):
        raise UsageError("moments of fewer than 0 units")
    for name, total in sums.items():
        if np.any(total**2 > count * products[name, name] * (1 + 1e-9)):
            raise UsageError(
                f"no {name} has the sum {_first(total)} and the sum of squares {_first(products[name, name])}",
                hint="Products are sums of squares over units, not squares of sums.",
            )


def _first(values: Numbers) -> str:
    return f"{float(np.ravel(values)[0]):g}"


def _check_covariates(values: Mapping[str, Numbers]) -> None:
    """Refuse missing covariates: leaving rows out would change the mean, and 0 is a number like any other."""
    lacking = {name: int(np.isnan(value).sum()) for name, value in values.items()}
    told = [f"{name} is missing in {count} rows that count" for name, count in lacking.items() if count]
    if told:
        raise UsageError("; ".join(told), hint="Fill them, say with 0 for customers of whom nothing was known.")


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)


def _pairs(names: Mapping[str, Any]) -> list[Pair]:
    ordered = sorted(names)
    return [(a, b) for number, a in enumerate(ordered) for b in ordered[number:]]


def _scalar(value: Any) -> Numbers:
    return np.asarray(value, dtype=float)
