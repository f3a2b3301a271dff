"""The customers whose value is asked for, their margins and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.analysis.doors import numbers
from cxlib.analysis.value.door import counts, spending
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers

ALL = "all"


@dataclass(frozen=True, eq=False)
class People:
    """The customers whose value is asked for: their numbers, margin and group, shape (n,) each."""

    index: pd.Index
    x: Numbers
    t_x: Numbers
    end: Numbers
    mean: Numbers
    margin: Numbers
    group: Codes
    levels: Sequence[str]
    segment: str

    @classmethod
    def of(cls, summary: pd.DataFrame, margin: ArrayLike, groups: Any, segment: str) -> People:
        """Take them from a summary."""
        lacking = [name for name in ("frequency", "recency", "T", "monetary_value") if name not in summary.columns]
        if lacking:
            raise UsageError(f"the summary has no {', '.join(lacking)}", hint="Make it by `summarise_transactions`.")
        x, t_x, end = counts(summary["frequency"], summary["recency"], summary["T"])
        _, mean = spending(x, summary["monetary_value"])
        if not x.size:
            raise UsageError("the summary holds no customers")
        group, levels = coded(groups, summary.index)
        return cls(summary.index, x, t_x, end, mean, margins(margin, x.size, "customers"), group, levels, segment)

    def frame(self, here: Numbers, ahead: Numbers, amount: Numbers, value: Numbers) -> pd.DataFrame:
        """Return one row a customer."""
        columns = {"probability_alive": here, "purchases": ahead, "spend": amount, "value": value}
        return pd.DataFrame(columns, index=self.index)

    def with_all(self, sums: Numbers) -> Numbers:
        """Put the sum of all groups first, shape (..., 1 + groups); without groups there is only that."""
        return np.concatenate([sums.sum(axis=-1, keepdims=True), sums], axis=-1) if self.levels else sums

    def rows(self, metrics: Sequence[str], sums: Numbers, spread: Sequence[Numbers], **words: Any) -> pd.DataFrame:
        """Return means per customer and totals, of all and of the groups.

        Parameters
        ----------
        metrics
            Names of the mean and of the total.
        sums
            Of the groups, shape (groups,).
        spread
            Standard error, low and high of the totals, `with_all`.
        words
            Further columns.
        """
        size = self.with_all(np.bincount(self.group).astype(float))
        words |= {"segment": [ALL, *[self.segment] * len(self.levels)], "level": [ALL, *self.levels], "n": size}
        names = ("estimate", "std_error", "conf_low", "conf_high")
        parts = []
        for metric, over in zip(metrics, (size, np.ones(size.size)), strict=True):
            found = {name: part / over for name, part in zip(names, (self.with_all(sums), *spread), strict=True)}
            parts.append(results.frame(metric=metric, **words, **found))
        return results.concat(parts)


def coded(groups: Any, index: pd.Index) -> tuple[Codes, list[str]]:
    """Return the code of each customer's group and the groups' names, sorted; none where there are no groups.

    A customer without one is in the group `unknown`.
    """
    if groups is None:
        return np.zeros(len(index), dtype=np.int64), []
    own = groups.reindex(index) if isinstance(groups, pd.Series) else pd.Series(groups, dtype=object)
    if len(own) != len(index):
        raise UsageError(f"there are {len(own)} groups for {len(index)} customers")
    words = own.astype(object).where(own.notna(), "unknown").map(str)
    codes, levels = pd.factorize(words, sort=True)
    return codes.astype(np.int64), [str(level) for level in levels]


def margins(margin: ArrayLike, size: int, of: str) -> Numbers:
    """Return the margin of each of `size` rows; raises `UsageError` where there are not one, or one for each."""
    found = numbers("margin", margin, infinite_missing=True)
    if found.size not in (1, size) or np.isnan(found).any():
        raise UsageError(f"the margin must be a number, one for all {of} or one for each of the {size}")
    return np.array(np.broadcast_to(found.ravel(), size))
