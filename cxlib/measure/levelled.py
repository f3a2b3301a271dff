"""Frames of moments per level, as people write them, -> a `Joint` of two independent periods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib.errors import UsageError
from cxlib.measure.joint import Joint
from cxlib.measure.moments import Moments

BETWEEN, _LIKE = " x ", " \u00d7 "  # a level's own " x " is written with the sign, so that the two can be told apart
_NAMES = ("rows", "clusters", "y", "x", "y2", "yy", "xy", "xx")
_AS = {"n": "rows", "squares": "y2"}


def joint_of(before: pd.DataFrame, after: pd.DataFrame, by: Sequence[str], labels: tuple[str, str]) -> Joint:
    """Return the joint of two frames; no customer is in both, nor in two levels.

    Parameters
    ----------
    before, after
        One row per level; see `decomposition.decompose`.
    by
        The column or columns of the levels.
    labels
        Names of the two periods.

    Raises
    ------
    UsageError
        For columns that lack, and levels that occur twice.
    """
    sides = [_read(frame, list(by), what) for frame, what in ((before, "before"), (after, "after"))]
    cells = pd.concat([side.assign(period=label) for side, label in zip(sides, labels, strict=True)])
    cells = cells.sort_values(["period", "level"], ignore_index=True)
    customers = cells.groupby("period")["clusters"].sum()
    column = {name: cells[name].to_numpy(dtype=float) for name in _NAMES}
    return Joint(
        keys=cells[["period", "level"]].astype("str"),
        rows=column["rows"],
        y=column["y"],
        x=column["x"],
        y2=column["y2"],
        both=np.diag(column["clusters"]),
        yy=np.diag(column["yy"]),
        xy=np.diag(column["xy"]),
        xx=np.diag(column["xx"]),
        customers={str(name): float(count) for name, count in customers.items()},
    )


def _read(frame: pd.DataFrame, by: list[str], what: str) -> pd.DataFrame:
    """Return `level` and the sums of one period; levels may stand in the index, too."""
    frame = frame.reset_index() if set(by) & set(frame.index.names) else frame
    lacking = [name for name in by if name not in frame.columns]
    if lacking:
        raise UsageError(
            f"the frame '{what}' has no column {', '.join(lacking)}", hint=f"It has {list(frame.columns)}."
        )
    missing = [name for name in by if frame[name].isna().any()]
    if missing:
        raise UsageError(f"the frame '{what}' has rows without {', '.join(missing)}", hint="Name a level for them.")
    parts = [frame[name].astype("str") for name in by]
    level = parts[0] if len(parts) == 1 else _joined(parts)
    twice = sorted(set(level[level.duplicated()]))
    if twice:
        raise UsageError(f"the frame '{what}' has several rows for {', '.join(twice)}", hint="Add their moments first.")
    sums = _unpacked(frame["moments"]) if "moments" in frame.columns else _completed(frame, what)
    found = sums[list(_NAMES)].astype("float64").assign(level=level.to_numpy())
    return found[(found[["rows", "y", "x"]] != 0).any(axis=1)]  # a level with nothing in it is absent


def _joined(parts: Sequence[pd.Series]) -> pd.Series:
    """Return `North x web`."""
    first, second = (part.str.replace(BETWEEN, _LIKE, regex=False) for part in parts)
    return first + BETWEEN + second


def _unpacked(column: pd.Series) -> pd.DataFrame:
    """Return the sums of `Moments` of scalars."""
    found: list[Moments] = column.tolist()
    sums = [
        {
            "rows": one.rows, "clusters": one.clusters, "y2": one.squares, **one.sums,
            "yy": one.products["y", "y"], "xy": one.products["x", "y"], "xx": one.products["x", "x"],
        }
        for one in found
    ]  # fmt: skip
    return pd.DataFrame([{name: float(row[name]) for name in _NAMES} for row in sums], columns=list(_NAMES))


def _completed(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Fill in the sums that follow from others."""
    known = frame.rename(columns={old: new for old, new in _AS.items() if new not in frame.columns})
    sums = known[[name for name in _NAMES if name in known.columns]].reset_index(drop=True).astype("float64")
    if "rows" not in sums and "x" in sums:
        sums["rows"] = sums["x"]
    if "rows" in sums and "clusters" not in sums:
        sums["clusters"] = sums["rows"]
    counted = "rows" in sums and ("x" not in sums or bool((sums["x"] == sums["rows"]).all()))
    if counted:
        sums["x"] = sums["rows"]
    if {"rows", "y"} <= set(sums.columns) and counted and (sums["clusters"] == sums["rows"]).all():
        # Each row is a customer: the products are those of rows. Without squares they are the largest there can be.
        within = (sums["y"].abs() <= sums["rows"]).all()
        widest = {"y2": sums["rows"]} if within and "y2" not in sums and "yy" not in sums else {}
        squares = widest.get("y2", sums.get("y2", sums.get("yy")))
        filled = {"xy": sums["y"], "xx": sums["rows"]} | ({} if squares is None else {"y2": squares, "yy": squares})
        sums = sums.assign(**{name: values for name, values in filled.items() if name not in sums})
    if "y2" not in sums and "yy" in sums:
        sums["y2"] = sums["yy"]
    lacking = [name for name in _NAMES if name not in sums.columns]
    if lacking:
        raise UsageError(
            f"the frame '{what}' lacks {', '.join(lacking)}, which no other column gives",
            hint="Bring the columns of measure.plans.plan, or a column of Moments named moments.",
        )
    return sums
