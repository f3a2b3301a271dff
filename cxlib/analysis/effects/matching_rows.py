"""Rows of a comparison with customers alike: outcome, who was touched, and what is known of them as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects import panels
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers


@dataclass(frozen=True, eq=False)
class Alike:
    """Rows that have everything.

    Parameters
    ----------
    y, treated
        Shapes (N,), (N,): outcome; whether touched.
    x, names
        Covariates as numbers, shape (N, p), a column for each level but the first of those that are none; what the
        columns are called, `name` or `name = level`.
    stratum, cluster
        What must be the same in a match, and what hangs together, numbered from 0, shape (N,).
    clusters
        Their number.
    notes
        What was left out.
    """

    y: Numbers
    treated: Mask
    x: Numbers
    names: tuple[str, ...]
    stratum: Codes
    cluster: Codes
    clusters: int
    notes: tuple[str, ...]

    @property
    def outside(self) -> Mask:
        """Which of the touched lie outside what is seen of the untouched, in any one covariate; shape (touched,)."""
        ones, others = self.x[self.treated], self.x[~self.treated]
        if not len(others) or not self.x.shape[1]:
            return np.full(len(ones), not len(others))
        slack = 1e-9 * (1 + np.abs(others).max(axis=0))
        beyond = (ones < others.min(axis=0) - slack) | (ones > others.max(axis=0) + slack)
        return np.asarray(beyond.any(axis=1))


def rows_of(
    frame: Any, *, outcome: str, treated: str, covariates: Sequence[str], exact: Sequence[str] = (),
    cluster: str | None = None,
) -> Alike:  # fmt: skip
    """Check a frame and return its rows; raises `UsageError` for what cannot be used."""
    covariates, exact = doors.names(covariates), doors.names(exact)
    if not covariates and not exact:
        raise UsageError("nothing to make customers alike in", hint="Name covariates, known from before the change.")
    wanted = {"outcome": outcome, "treated": treated} | ({"cluster": cluster} if cluster else {})
    doors.require(doors.frame(frame), wanted | {name: name for name in (*covariates, *exact)})
    both = sorted({outcome, treated} & {*covariates, *exact})
    if both:
        raise UsageError(f"'{both[0]}' is a covariate, too", hint="Covariates are known from before the change.")
    y, flag = doors.numbers(outcome, frame[outcome]), panels.flags(treated, frame[treated])
    x, names, known = _columns(frame, covariates)
    stratum = _strata(frame, exact)
    own = np.arange(len(frame)) if cluster is None else panels.codes_of(frame[cluster])
    kept = known & ~np.isnan(y) & ~np.isnan(flag) & (stratum >= 0) & (own >= 0)
    notes = panels.left_out(int((~kept).sum()), "outcome, treatment, covariates or cluster")
    found, place = np.unique(own[kept], return_inverse=True)
    return Alike(
        y[kept], flag[kept] == 1, x[kept], names, stratum[kept], np.asarray(place).ravel(), found.size, tuple(notes)
    )


def _columns(frame: pd.DataFrame, covariates: Sequence[str]) -> tuple[Numbers, tuple[str, ...], Mask]:
    """Return covariates as numbers with their names, and which rows have all; missing ones are 0 there."""
    parts, names = [np.empty((len(frame), 0))], []
    known = np.ones(len(frame), dtype=bool)
    for name in covariates:
        part, present = panels.design(frame, [name])
        present &= ~np.isnan(part).any(axis=1)
        known &= present
        parts.append(np.where(present[:, None], part, 0.0))
        names += (
            [name] if panels.is_number(frame[name]) else [f"{name} = {level}" for level in _levels(frame[name])[1:]]
        )
    return np.hstack(parts), tuple(names), known


def _levels(column: pd.Series) -> list[str]:
    """Return the levels in the order in which `panels.design` makes columns of them."""
    plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    return [str(level) for level in pd.factorize(plain.astype(str), sort=True)[1]]


def _strata(frame: pd.DataFrame, exact: Sequence[str]) -> Codes:
    """Number what must be the same; -1 where any of it is missing."""
    found = np.zeros(len(frame), dtype=np.int64)
    lost = np.zeros(len(frame), dtype=bool)
    for name in exact:
        codes = panels.codes_of(frame[name])
        lost |= codes < 0
        found = np.unique(found * (int(codes.max(initial=0)) + 2) + codes, return_inverse=True)[1].ravel()
    return np.where(lost, -1, found)


def whitened(x: Numbers, by: Numbers | None = None) -> Numbers:
    """Return columns turned so that they are uncorrelated with variance 1 over the rows `by`, by default all of them.

    Directions that do not vary there are dropped. Euclidean distances become Mahalanobis distances, which no linear
    change of units touches.
    """
    base = x if by is None else by
    if not x.shape[1] or len(base) < 2:
        return np.empty((len(x), 0))
    centre, scale = base.mean(axis=0), base.std(axis=0)
    kept = scale > 1e-12 * (1 + np.abs(centre))
    if not kept.any():
        return np.empty((len(x), 0))
    own = (base[:, kept] - centre[kept]) / scale[kept]
    values, vectors = np.linalg.eigh(own.T @ own / len(own))
    good = values > 1e-10 * values[-1]
    return np.asarray((x[:, kept] - centre[kept]) / scale[kept] @ (vectors[:, good] / np.sqrt(values[good])))
