"""Rows of a difference-in-differences as arrays: outcome, time, who is treated, clusters, covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.effects import panels
from cxlib.analysis.effects.clusters import CLASSICAL, CLUSTER, ERRORS
from cxlib.analysis.effects.panels import Axis
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.rows import Codes, Numbers


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that have everything.

    Parameters
    ----------
    y, treated
        Shape (N,); treated is 0 or 1.
    time, axis
        The place in time of each row, and the times.
    unit, cluster
        Numbered from 0; no unit where there is none, each row its own cluster where there are none.
    extra
        Covariates, shape (N, p).
    errors
        `classical`, `hc1` or `cluster`.
    notes
        What was left out.
    """

    y: Numbers
    treated: Numbers
    time: Codes
    axis: Axis
    unit: Codes | None
    cluster: Codes
    extra: Numbers
    errors: str
    notes: tuple[str, ...]

    def take(self, kept: Any) -> Rows:
        """Return some of the rows; units and clusters numbered anew."""
        return replace(
            self, y=self.y[kept], treated=self.treated[kept], time=self.time[kept], extra=self.extra[kept],
            unit=None if self.unit is None else _anew(self.unit[kept]), cluster=_anew(self.cluster[kept]),
        )  # fmt: skip

    @property
    def varies(self) -> bool:
        """Tell whether a unit is treated in some of its rows only."""
        if self.unit is None or not self.y.size:
            return False
        share = np.bincount(self.unit, self.treated) / np.maximum(np.bincount(self.unit), 1)
        return bool(((share > 0) & (share < 1)).any())


def rows_of(
    frame: Any,
    *,
    outcome: str,
    time: str,
    treated: str,
    unit: str | None,
    covariates: Sequence[str],
    cluster: str | None,
    errors: str | None,
) -> Rows:
    """Check a frame and return its rows; raises `UsageError` for what cannot be used."""
    covariates = doors.names(covariates)
    wanted = {"outcome": outcome, "time": time, "treated": treated}
    wanted |= {role: name for role, name in (("unit", unit), ("cluster", cluster)) if name is not None}
    doors.require(doors.frame(frame), wanted | {name: name for name in covariates})
    chosen = errors if errors is not None else (CLUSTER if cluster or unit else CLASSICAL)
    if chosen not in ERRORS:
        raise UsageError(f"'{errors}' are no errors; there are {', '.join(ERRORS)}{did_you_mean(chosen, ERRORS)}")
    if chosen == CLUSTER and not (cluster or unit):
        raise UsageError("errors='cluster' without a unit or a cluster", hint="Name one of them.")
    y, flag = doors.numbers(outcome, frame[outcome]), panels.flags(treated, frame[treated])
    spot, axis = panels.times(time, frame[time])
    extra, known = panels.design(frame, covariates)
    kept = known & ~np.isnan(y) & ~np.isnan(flag) & (spot >= 0)
    units, clusters = (_coded(frame, name) for name in (unit, cluster or unit))
    kept &= (units >= 0) & (clusters >= 0)
    notes = tuple(panels.left_out(int((~kept).sum()), "outcome, time, treatment, unit or covariates"))
    rows = Rows(y, flag, spot, axis, units if unit else None, clusters, extra, chosen, notes).take(kept)
    if unit and cluster:
        _check_nested(rows, unit, cluster)
    return rows


def _coded(frame: pd.DataFrame, name: str | None) -> Codes:
    return np.arange(len(frame)) if name is None else panels.codes_of(frame[name])


def _anew(codes: Codes) -> Codes:
    return np.asarray(np.unique(codes, return_inverse=True)[1], dtype=np.int64).ravel()


def _check_nested(rows: Rows, unit: str, cluster: str) -> None:
    """Raise `UsageError` where a unit lies in several clusters: its own effect ties them together."""
    if rows.unit is None or not rows.y.size:
        return
    pairs = np.unique(np.column_stack([rows.unit, rows.cluster]), axis=0)
    several = int((np.bincount(pairs[:, 0]) > 1).sum())
    if several:
        raise UsageError(
            f"{several:,} of '{unit}' lie in several of '{cluster}'", hint="A unit belongs to one cluster throughout."
        )


def start_of(rows: Rows, start: Any, time: str) -> int:
    """Return the place of the first period with treatment: that of `start`, or the second of two times."""
    if start is not None:
        return panels.start_place(rows.axis, start)
    if rows.axis.size != 2:
        raise UsageError(
            f"'{time}' has {rows.axis.size} times and no start is given",
            hint="Say start=, the first time with treatment; only with two times it is the second.",
        )
    return 1
