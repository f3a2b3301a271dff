"""Rows of result frames that are hidden with others: what is worked out from too fine sums is hidden after the fact."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.analysis import hiding
from cxlib.reports.disclosure.masking import BETWEEN, split, straightened
from cxlib.reports.withheld import Cell

_GROUP = ["metric", "segment", "period", "against", "at", "comparison", "method"]
_ADDS_UP = ("level", "difference", "share", "mix", "rate")  # kinds whose levels, or their counts, add up to the whole


def conceal(frame: pd.DataFrame, withheld: Collection[Cell], min_n: int) -> pd.DataFrame:
    """Suppress the rows of withheld cells, and of each group of levels enough others.

    Parameters
    ----------
    frame
        A result frame.
    withheld
        Cells that are hidden in any case.
    min_n
        The least number that rows hidden together stand on.
    """
    here = _of(frame, withheld) & (frame["status"] == results.OK)
    gone = here | _beside(frame, here | (frame["status"] == results.SUPPRESSED), min_n)
    if not gone.any():
        return frame
    status, note = frame["status"].mask(gone, results.SUPPRESSED), frame["note"].mask(gone, hiding.NOTE)
    return results.conform(frame.assign(status=status, note=note))


def tells(frame: pd.DataFrame, withheld: Collection[Cell]) -> bool:
    """Say whether a result frame shows one of some cells."""
    return bool((_of(frame, withheld) & (frame["status"] == results.OK)).any())


def _of(frame: pd.DataFrame, withheld: Collection[Cell]) -> pd.Series[Any]:
    """Tell the rows of cells, of either period of a comparison."""
    if not withheld:
        return pd.Series(False, index=frame.index)
    names, frame = set(withheld), straightened(frame)
    own = [
        Cell(*row) in names for row in zip(*(frame[x] for x in ("metric", "segment", "period", "level")), strict=True)
    ]
    other = [
        Cell(*row) in names for row in zip(*(frame[x] for x in ("metric", "segment", "against", "level")), strict=True)
    ]
    return pd.Series(own, index=frame.index) | pd.Series(other, index=frame.index)


def _beside(frame: pd.DataFrame, hidden: pd.Series[Any], min_n: int) -> pd.Series[Any]:
    """Tell which more rows are to be hidden, so that none can be worked out from the rest of its group."""
    out = pd.Series(False, index=frame.index)
    whole = (frame["segment"] == "all") | (frame["level"] == "all") | ~frame["comparison"].isin(_ADDS_UP)
    if not (hidden & ~whole).any():
        return out
    for _, group in frame[~whole].groupby(_GROUP, sort=False):
        if not hidden[group.index].any() or group["level"].duplicated().any():
            continue
        names = group.loc[group["status"] != results.UNDEFINED, "level"].tolist()
        sizes = group.set_index("level")["n"].fillna(1.0).clip(lower=1.0)
        found = set(group.loc[hidden[group.index], "level"])
        crossed = BETWEEN in str(group["segment"].iloc[0])
        more = _closed(names, sizes.to_dict(), found, min_n, crossed=crossed)
        out[group.index[group["level"].isin(more) & ~hidden[group.index]]] = True
    return out & (frame["status"] == results.OK)


def _closed(names: list[str], sizes: dict[str, float], found: set[str], min_n: int, *, crossed: bool) -> set[str]:
    """Return the levels to hide; of two segments in every row and column."""
    places = split(names, 2 if crossed else 1)
    width = len(next(iter(places.values()), ()))
    groups = [
        [name for name in names if places[name][which] == one] if width > 1 else names
        for which in range(width)
        for one in (sorted({place[which] for place in places.values()}) if width > 1 else [""])
    ]
    inside = {name: 1.0 if name in found else max(sizes[name], min_n) for name in names}
    while True:
        more = (
            set(hiding.levels({name: inside[name] for name in group}, min_n, also=found)) - found
            for group in groups
            if not found.isdisjoint(group)
        )
        first = next(filter(None, more), None)
        if first is None:
            return found
        found = found | first
