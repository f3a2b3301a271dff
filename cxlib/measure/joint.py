"""Sums of several cells, periods by levels, that share customers: what the variance of anything made of them needs.

A change between two periods, its split into parts, a level against the rest: each is a function of the cells' sums, and
its variance by the delta method takes the products of every customer's sums between every two cells.

Where the denominator is `customers` a person of two levels counts once in each, so that levels have more of them than
the whole; of all other metrics the cells' sums add up. Sums are not centred here: a spread of less than 3e-7 of the
mean cannot be told from none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cxlib.errors import UsageError
from cxlib.measure.moments import Moments
from cxlib.measure.rows import ROUNDING, Numbers, column, names, numbered, weight_of

_ALL = "all"
_SUMS = ("rows", "y", "x", "y2")
_PRODUCTS = ("clusters", "yy", "xy", "yx", "xx")


@dataclass(frozen=True, eq=False)
class Joint:
    """Sums of K cells and, between every two of them, sums over customers of products of the customer's sums.

    Parameters
    ----------
    keys
        `period` and `level` of each cell, sorted by both; K rows.
    rows, y, x, y2
        Per cell: the rows that count, the sums, and the sum over rows of y squared; shape (K,).
    both
        Distinct customers that lie in both of two cells, shape (K, K); its diagonal counts those of each cell. After
        `merge` those of a merged cell are at least as many, and of a merged cell and another at most.
    yy, xy, xx
        Shape (K, K): `yy[i, j]` is the sum over customers of y in cell i times y in cell j, `xy[i, j]` of x in cell i
        times y in cell j. `yy` and `xx` are symmetric.
    customers
        Distinct customers of each period, over all its cells and perhaps outside of them.
    shared
        The denominator is the whole period's: every cell of a period has the same x, so that the ratios of its levels
        add up to the whole's. A gradient puts all its weight of x on any one cell of the period then.
    """

    keys: pd.DataFrame
    rows: Numbers
    y: Numbers
    x: Numbers
    y2: Numbers
    both: Numbers
    yy: Numbers
    xy: Numbers
    xx: Numbers
    customers: Mapping[str, float]
    shared: bool = False

    @classmethod
    def of(
        cls,
        y: ArrayLike,
        x: ArrayLike | None = None,
        *,
        period: ArrayLike,
        level: ArrayLike,
        weights: ArrayLike | None = None,
        clusters: ArrayLike | None = None,
        shared: bool = False,
    ) -> Joint:
        """Sum rows; one whose `y` or `x` is missing does not count, as in `Moments.of`.

        Parameters
        ----------
        y, x
            Numerator and denominator per row, shape (n,); x is 1 if left out.
        period, level
            The cell of each row.
        weights
            Weights per row, which multiply y and x.
        clusters
            The customer of each row; a missing one, or none at all, makes each row a customer of its own.
        shared
            Let every cell of a period have the x of all the period's rows.
        """
        size = np.size(y)
        given = {"y": column("y", y, size), "x": column("x", x, size)}
        kept = ~np.isnan(given["y"] + given["x"])
        weight = weight_of(weights, size)[kept]
        rows = pd.DataFrame({"period": names("period", period, size), "level": names("level", level, size)})[kept]
        rows = rows.astype("str").assign(**{name: values[kept] * weight for name, values in given.items()})
        rows["y2"] = given["y"][kept] * rows["y"]
        number, count = numbered(clusters, kept)
        cell = rows.groupby(["period", "level"], sort=True).ngroup().to_numpy()
        keys = rows[["period", "level"]].drop_duplicates().sort_values(["period", "level"], ignore_index=True)
        return _summed(keys, rows, cell, number, count, shared)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Joint:
        """Take what `plans.joint` brought back: each unordered pair of cells once, in either order.

        A row with level and other level `all` beside other levels counts the customers of its period.
        """
        own = (frame["period"] == frame["against"]) & (frame["level"] == frame["against_level"])
        whole = own & (frame["level"] == _ALL) & (frame["level"] != _ALL).any()
        cells = frame[own & ~whole].sort_values(["period", "level"], ignore_index=True)
        places = {key: place for place, key in enumerate(zip(cells["period"], cells["level"], strict=True))}
        pairs = frame[~whole]
        first = [places[key] for key in zip(pairs["period"], pairs["level"], strict=True)]
        second = [places[key] for key in zip(pairs["against"], pairs["against_level"], strict=True)]
        found = {name: np.zeros((len(cells), len(cells))) for name in _PRODUCTS}
        for name, mirrored in (("clusters", "clusters"), ("yy", "yy"), ("xx", "xx"), ("xy", "yx"), ("yx", "xy")):
            found[name][first, second] = pairs[name]
            found[mirrored][second, first] = pairs[name]
        counted = frame[whole] if whole.any() else cells
        return cls(
            keys=cells[["period", "level"]].astype("str"),
            **{name: cells[name].to_numpy(dtype=float) for name in _SUMS},
            both=found["clusters"],
            **{name: found[name] for name in ("yy", "xy", "xx")},
            customers=dict(zip(counted["period"].tolist(), counted["clusters"].astype(float).tolist(), strict=True)),
            shared=bool("shared" in frame and frame["shared"].astype(bool).any()),
        )

    @property
    def clusters(self) -> Numbers:
        """Distinct customers of each cell, shape (K,)."""
        return np.diag(self.both).copy()

    def moments(self, where: Any = slice(None)) -> Moments:
        """Return the moments of each cell by itself, or of the cells `where` (an index, slice or mask)."""
        products = {("y", "y"): np.diag(self.yy), ("x", "y"): np.diag(self.xy), ("x", "x"): np.diag(self.xx)}
        whole = Moments(self.rows, self.clusters, {"y": self.y, "x": self.x}, products, self.y2)
        return whole[where]

    def take(self, where: Any) -> Joint:
        """Return the cells `where` (a mask, or sorted indices); periods keep their customers."""
        kept = np.arange(len(self.keys))[where]
        square = np.ix_(kept, kept)
        return Joint(
            self.keys.iloc[kept].reset_index(drop=True),
            **{name: getattr(self, name)[kept] for name in _SUMS},
            **{name: getattr(self, name)[square] for name in ("both", "yy", "xy", "xx")},
            customers=self.customers,
            shared=self.shared,
        )

    def merge(self, levels: Sequence[str]) -> Joint:
        """Return cells under new level names, one per cell: those of one period and name become one, exactly.

        Only how many distinct customers a merged cell has cannot be told from pairs, unless it has two parts: `both`
        gives the least that there can be (Dawson and Sankoff 1967).
        """
        if len(levels) != len(self.keys):
            raise UsageError(f"{len(self.keys)} cells were given {len(levels)} names")
        named = self.keys.assign(level=np.asarray(levels, dtype=object)).astype("str")
        keys = named.drop_duplicates().sort_values(["period", "level"], ignore_index=True)
        cell = named.groupby(["period", "level"], sort=True).ngroup().to_numpy()
        into = np.zeros((len(keys), len(named)))
        into[cell, np.arange(len(named))] = 1
        # The denominator of a whole period is had from one of its cells, not from their sum.
        below = into * (into.cumsum(axis=1) == 1) if self.shared else into
        both = into @ self.both @ into.T
        np.fill_diagonal(both, self._least_customers(keys, into))
        return Joint(
            keys, into @ self.rows, into @ self.y, below @ self.x, into @ self.y2, both, into @ self.yy @ into.T,
            below @ self.xy @ into.T, below @ self.xx @ below.T, self.customers, self.shared,
        )  # fmt: skip

    def variance(self, dy: ArrayLike, dx: ArrayLike) -> Numbers:
        """Return the variance of a function of the cells' sums, by the delta method, robust to clusters.

        The sum over customers of the squared sum over cells of dy y + dx x, a customer's part of period p times
        sqrt(G/(G-1)) for the G customers of p. Right for functions that stay as they are when the sums of any one
        period are all multiplied (ratios, shares of the period): the customers' parts have mean 0 then. Binder 1983.

        Parameters
        ----------
        dy, dx
            Derivatives with respect to the cells' y and x, shape (K,) or (m, K).

        Returns
        -------
        numpy.ndarray
            Scalar or shape (m,); missing where a period that matters has fewer than two customers.
        """
        return self.covariance(dy, dx, dy, dx)

    def covariance(self, dy1: ArrayLike, dx1: ArrayLike, dy2: ArrayLike, dx2: ArrayLike) -> Numbers:
        """Return the covariance of two functions of the cells' sums; see `variance`."""
        a1, b1, a2, b2 = (self._scaled(one) for one in (dy1, dx1, dy2, dx2))
        parts = (a1 @ self.yy * a2, b1 @ self.xy * a2, a1 @ self.xy.T * b2, b1 @ self.xx * b2)
        rest = sum(part.sum(axis=-1) for part in parts)
        size = sum(np.abs(part).sum(axis=-1) for part in parts)
        return np.asarray(np.where(np.abs(rest) <= ROUNDING * size, 0.0, rest))

    def _scaled(self, gradient: ArrayLike) -> Numbers:
        """Return a gradient times sqrt(G/(G-1)) of each cell's period."""
        given = np.asarray(gradient, dtype=float)
        groups = self.keys["period"].map(self.customers).to_numpy(dtype=float)
        groups = np.where(groups > 1, groups, np.nan)
        return np.where(given == 0, 0.0, given * np.sqrt(groups / (groups - 1)))

    def _least_customers(self, keys: pd.DataFrame, into: Numbers) -> Numbers:
        """Return at least how many distinct customers each merged cell has."""
        single, pairs = (
            into @ self.clusters,
            (np.einsum("ki,ij,kj->k", into, self.both, into) - into @ self.clusters) / 2,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            k = 1 + np.floor(np.where(single > 0, 2 * pairs / single, 0))
        least = 2 / (k + 1) * single - 2 / (k * (k + 1)) * pairs
        largest = np.max(into * self.clusters, axis=1, initial=0)
        return np.minimum(np.ceil(np.maximum(least, largest) - 1e-9), keys["period"].map(self.customers))


def _summed(
    keys: pd.DataFrame, rows: pd.DataFrame, cell: NDArray[np.int64], number: NDArray[np.int64], count: int, shared: bool
) -> Joint:
    """Sum rows whose cells and customers are numbered."""
    shape = (len(keys), count)
    y, x, here = (
        sparse.coo_array((values, (cell, number)), shape=shape).tocsr()
        for values in (rows["y"].to_numpy(), rows["x"].to_numpy(), np.ones(len(rows)))
    )
    here.data[:] = 1.0
    periods = pd.factorize(keys["period"])
    per = sparse.csr_array((np.ones(len(keys)), (periods[0], np.arange(len(keys)))), shape=(len(periods[1]), len(keys)))
    anyone = per @ here
    anyone.data[:] = 1.0
    if shared:
        x, here = (per @ x)[periods[0]], anyone[periods[0]]
    products = {"both": (here, here), "yy": (y, y), "xy": (x, y), "xx": (x, x)}
    return Joint(
        keys,
        rows=np.bincount(cell, minlength=len(keys)).astype(float),
        y=np.asarray(y.sum(axis=1), dtype=float),
        x=np.asarray(x.sum(axis=1), dtype=float),
        y2=np.bincount(cell, rows["y2"], len(keys)).astype(float),
        **{name: (one @ other.T).toarray() for name, (one, other) in products.items()},
        customers=dict(zip(periods[1].tolist(), anyone.sum(axis=1).tolist(), strict=True)),
        shared=shared,
    )
