"""Customers who lie in two parts: what the sums of each part cannot tell of both together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib.measure.rows import ROUNDING, Numbers, column, names

if TYPE_CHECKING:
    from cxlib.measure.moments import Moments

Rows = tuple[ArrayLike, ArrayLike | None, ArrayLike]


@dataclass(frozen=True, eq=False)
class Overlap:
    """Sums over the customers of both parts of products of a customer's sums, one of each part.

    Every number may be a scalar or an array, all of one shape.

    Parameters
    ----------
    clusters
        Distinct customers that lie in both.
    yy, yx, xy, xx
        The first letter is the sum of the first part, the second that of the second: `yx` is the sum over customers of
        y in the first times x in the second.
    """

    clusters: Numbers
    yy: Numbers
    yx: Numbers
    xy: Numbers
    xx: Numbers

    @classmethod
    def of(cls, first: Rows, second: Rows) -> Overlap:
        """Match two parts' rows by customer.

        Parameters
        ----------
        first, second
            (y, x, clusters) per row, each of shape (n,), for weighted rows y and x times the weight; x may be `None`
            and counts rows then. A row whose y or x is missing does not count; one without a customer matches none.

        Returns
        -------
        Overlap
            Of scalars.
        """
        both = _customers(*first).add_suffix("1").join(_customers(*second).add_suffix("2"), how="inner")
        products = {a + b: np.asarray(both[f"{a}1"] @ both[f"{b}2"], dtype=float) for a in "yx" for b in "yx"}
        return cls(clusters=np.asarray(len(both), dtype=float), **products)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Overlap:
        """Take the rows that `plans.overlaps` brought back; one element per row."""
        return cls(**{name: frame[name].to_numpy(dtype=float) for name in ("clusters", "yy", "yx", "xy", "xx")})

    def covariance(self, first: Moments, second: Moments) -> Numbers:
        """Return the covariance of the two parts' ratios, by linearisation.

        The sum over the customers of both of (y1 - R1 x1) (y2 - R2 x2) / (X1 X2), times the geometric mean of both
        parts' G/(G-1), so that no difference ever has a negative variance (Kish and Frankel 1974, clusters that
        straddle domains). Missing where a part has fewer than two customers.
        """
        parts = [self.yy, -second.ratio * self.yx, -first.ratio * self.xy, first.ratio * second.ratio * self.xx]
        rest, size = sum(parts[1:], parts[0]), np.add.reduce(np.abs(parts))
        with np.errstate(divide="ignore", invalid="ignore"):
            groups = [np.where(part.clusters > 1, part.clusters, np.nan) for part in (first, second)]
            factor = np.sqrt(groups[0] / (groups[0] - 1)) * np.sqrt(groups[1] / (groups[1] - 1))
            found = np.where(np.abs(rest) <= ROUNDING * size, 0.0, rest) / (first.sums["x"] * second.sums["x"])
        return np.asarray(found * factor)


def _customers(y: ArrayLike, x: ArrayLike | None, clusters: ArrayLike) -> pd.DataFrame:
    """Sum y and x per customer; the index is the customer."""
    size = np.size(y)
    rows = pd.DataFrame({"y": column("y", y, size), "x": column("x", x, size)})
    who = pd.Series(names("clusters", clusters, size))
    known = who.notna() & rows.notna().all(axis=1)
    return rows[known].groupby(who[known].to_numpy()).sum()
