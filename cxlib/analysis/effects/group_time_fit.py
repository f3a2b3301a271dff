"""What a staggered roll-out leaves: effects, the influence of each cluster on them, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects.clusters import numbers_of
from cxlib.analysis.effects.group_time_cells import Cells
from cxlib.analysis.effects.group_time_rows import Means, Staggered
from cxlib.analysis.effects.panels import NEVER
from cxlib.measure.rows import Numbers

_ALONE = "a single cluster of a group is seen: nothing tells how much it varies"
_TENTH = 0.1
_ROUNDING = 1e-20  # a variance below this share of its parts' is rounding


@dataclass(frozen=True, eq=False)
class GroupTime:
    """Group-time effects, as `group_time_att` estimates them.

    Parameters
    ----------
    groups
        Columns group, rows, clusters, share (of the weight): one row per group, never treated last.
    outcome, method
        What was estimated, and how.
    cells, means
        The effects as arrays, and the means that they are made of.
    labels
        What the clusters are called, shape (G,).
    names
        Name of each group and of each time.
    notes
        What was left out.
    gram
        Products of the clusters' parts, shape (2 K T, 2 K T).
    confidence
        Of the intervals.
    """

    groups: pd.DataFrame
    outcome: str
    method: str
    cells: Cells
    means: Means
    labels: Any
    names: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...]
    gram: Numbers
    confidence: float

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Result frame: level = g, at = t; made when it is asked for, which placebos never do."""
        cells, (groups, times) = self.cells, self.names
        level, at = np.array(groups, dtype=object)[cells.group], np.array(times, dtype=object)[cells.time]
        reasons = list(cells.reason)
        return table(self, cells.effect, cells.lever, cells.rows, reasons, self.confidence, level=level, at=at)

    @property
    def influence(self) -> Numbers:
        """What each cluster moves each effect by, shape (G, C): sums of squares are variances, products covariances."""
        return self.influence_of(self.cells.lever)

    def influence_of(self, lever: Numbers) -> Numbers:
        """Return the influence of clusters on anything linear in their parts, shape (G, m)."""
        return np.asarray(self.means.parts @ (self._factors()[:, None] * lever), dtype=float)

    def covariance(self, lever: Numbers) -> Numbers:
        """Return the covariance of what hangs on the parts of clusters by `lever`, shape (2 K T, m)."""
        scaled = self._factors()[:, None] * lever
        return np.asarray(scaled.T @ self.gram @ scaled, dtype=float)

    def errors(self, lever: Numbers) -> tuple[Numbers, Numbers, list[str]]:
        """Return variances, Satterthwaite's degrees of freedom, and why there are none (empty where there are)."""
        scaled = self._factors()[:, None] * lever
        total = np.einsum("im,ij,jm->m", scaled, self.gram, scaled, optimize=True)
        groups = self.means.starts.size
        owner = np.tile(np.repeat(np.arange(groups), self.means.axis.size), 2)
        apart = scaled**2 * np.diag(self.gram)[:, None]  # of each mean, as if clusters were never seen twice
        own, left = np.zeros((groups, lever.shape[1])), np.ones((groups, lever.shape[1]))
        for group in range(groups):
            mine = np.flatnonzero(owner == group)
            own[group] = ((self.gram[np.ix_(mine, mine)] @ scaled[mine]) * scaled[mine]).sum(axis=0)
            freedom = _satterthwaite(apart[mine], np.maximum(self._seen[mine] - 1, 1)[:, None])
            left[group] = np.clip(np.nan_to_num(freedom, nan=1.0), 1, max(self.means.clusters[group] - 1, 1))
        flat, alone = total <= _ROUNDING * apart.sum(axis=0), self._alone(lever)
        why = np.where(alone, _ALONE, np.where(flat, "all changed alike: no error can be measured", ""))
        return total, _satterthwaite(own, left), why.tolist()

    @property
    def _seen(self) -> Numbers:
        """Return how many clusters each part has, shape (2 K T,)."""
        count = np.diff(self.means.parts.indptr)[: self.means.mean.size]
        return np.tile(count, 2).astype(float)

    def _alone(self, lever: Numbers) -> Mask:
        """Tell which effects hang by more than a tenth on means of a single cluster."""
        own = np.abs(lever[: self.means.mean.size])
        single = (self._seen[: self.means.mean.size] == 1)[:, None]
        return np.asarray((own * single).sum(axis=0) > _TENTH * own.sum(axis=0))

    def _factors(self) -> Numbers:
        """Return sqrt(n / (n - 1)) of the n clusters that each part has, shape (2 K T,)."""
        count = np.maximum(self._seen, 2)
        return np.sqrt(count / (count - 1))


def _satterthwaite(variances: Numbers, left: Numbers) -> Numbers:
    """Return the degrees of freedom of sums of variances (first axis) that have `left` each."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(variances.sum(axis=0) ** 2 / (variances**2 / left).sum(axis=0))


def rows_of_cells(
    rows: Staggered, means: Means, cells: Cells, outcome: str, method: str, confidence: float
) -> GroupTime:
    """Return the fit."""
    starts = zip(rows.starts.tolist(), rows.early.tolist(), strict=True)
    called = tuple(
        "never" if start[0] == NEVER else rows.named.get(start) or rows.axis.name(start[0]) for start in starts
    )
    names = called, rows.axis.names
    total = max(float(means.weight.sum()), 1e-300)
    groups = pd.DataFrame(
        {
            "group": list(names[0]),
            "rows": means.rows.sum(axis=1).astype(int),
            "clusters": means.clusters,
            "share": means.weight.sum(axis=1) / total,
        }
    )
    gram = np.asarray((means.parts.T @ means.parts).toarray(), dtype=float)
    return GroupTime(groups, outcome, method, cells, means, rows.labels, names, rows.notes, gram, confidence)


def table(
    fit: GroupTime,
    effect: Numbers,
    lever: Numbers,
    count: Numbers,
    reasons: list[str],
    confidence: float,
    **labels: Any,
) -> pd.DataFrame:
    """Return the result rows of effects that hang on the parts of clusters."""
    if not effect.size:
        return results.empty()
    variance, freedom, why = fit.errors(lever)
    base = (lever == 0).all(axis=0) & np.isfinite(effect)  # 0 by definition
    numbers = numbers_of(effect, variance, np.where(base, 1.0, freedom), confidence)
    given = np.array([bool(reason) for reason in reasons])
    missing = np.array([bool(one) for one in why]) & ~base & ~given
    status = np.where(given, results.UNDEFINED, np.where(missing, results.TOO_FEW, results.OK))
    notes = np.where(
        given, reasons, np.where(missing, why, np.where(base, "the period the others are compared with", ""))
    )
    numbers["p_value"] = np.where(base, np.nan, numbers["p_value"])
    told = "; ".join(fit.notes)
    notes = np.array([note if note else told for note in notes], dtype=object)
    return results.frame(
        metric=fit.outcome, comparison="difference", method=fit.method, n=count, status=status, note=notes,
        **labels, **numbers,
    )  # fmt: skip
