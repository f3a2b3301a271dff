"""Which theme of this period is which of the period before.

Cosine of the weights of terms over the terms of both, and the assignment of one to one that makes their sum largest
(Kuhn 1955; SciPy `linear_sum_assignment`). Pairs below the least cosine are no pairs: the theme is new, the old one is
gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.voice.words import folded
from cxlib.measure.rows import Numbers

ALIKE = 0.5
KEPT, NEW, GONE = "kept", "new", "gone"
_METRIC, _METHOD = "theme match", "cosine of term weights, Hungarian assignment"


class Pair(NamedTuple):
    """An old theme, a new one, and how alike they are."""

    old: str
    new: str
    cosine: float


def cosines(old: pd.DataFrame, new: pd.DataFrame, before: Sequence[str], now: Sequence[str]) -> Numbers:
    """Return the cosine of each old theme with each new one, shape (old, new), over the terms of both."""
    both = pd.concat([old.assign(side=0), new.assign(side=1)], ignore_index=True)
    keyed = "key" in old and "key" in new
    both["by"] = both["key"] if keyed else both["term"].map(folded)
    wide = both.pivot_table(index=["side", "theme"], columns="by", values="weight", aggfunc="sum", fill_value=0.0)
    rows = [wide.reindex([(side, name) for name in names]).to_numpy() for side, names in ((0, before), (1, now))]
    lengths = [np.maximum(np.linalg.norm(row, axis=1, keepdims=True), 1e-12) for row in rows]
    return (rows[0] / lengths[0]) @ (rows[1] / lengths[1]).T


def pairs(old: pd.DataFrame, new: pd.DataFrame, now: Sequence[str], least: float = ALIKE) -> list[Pair]:
    """Return the themes that were there before.

    Parameters
    ----------
    old, new
        Words of the themes: `theme`, `term`, `weight`, and `key` where forms of a word are one.
    now
        The new themes, in their order.
    least
        Cosine from which two themes are one.
    """
    from scipy.optimize import linear_sum_assignment

    doors.require(doors.frame(old, "the themes before").columns, ("theme", "term", "weight"), "the themes before")
    before = sorted(set(old["theme"]))
    if not before or not len(now):
        return []
    alike = cosines(old, new, before, now)
    taken = zip(*linear_sum_assignment(alike, maximize=True), strict=True)
    return [Pair(before[a], now[b], float(alike[a, b])) for a, b in taken if alike[a, b] >= least]


def titles(now: Sequence[str], found: Sequence[Pair]) -> dict[str, str]:
    """Return what each new theme is called: by its old name where it has one, never by that of another."""
    kept = {pair.new: pair.old for pair in found}
    taken = set(kept.values())
    out: dict[str, str] = {}
    for name in now:
        called, number = kept.get(name, name), 2
        while name not in kept and called in taken:
            called, number = f"{name} ({number})", number + 1
        taken.add(called)
        out[name] = called
    return out


def rows(old: pd.DataFrame, now: Sequence[str], found: Sequence[Pair], called: Mapping[str, str]) -> pd.DataFrame:
    """Return what became of themes: those kept and new in the order of now, then those that are gone."""
    pair = {one.new: one for one in found}
    gone = sorted(set(old["theme"]) - {one.old for one in found})
    shared = {"metric": _METRIC, "comparison": "index", "method": _METHOD}
    parts = [
        results.frame(level=called[name], at=KEPT, against=pair[name].old, estimate=pair[name].cosine, **shared)
        if name in pair
        else results.frame(
            level=called[name], at=NEW, status=results.UNDEFINED, note="new: nothing before was like it", **shared
        )
        for name in now
    ]
    parts += [
        results.frame(level=name, at=GONE, status=results.UNDEFINED, note="gone: nothing now is like it", **shared)
        for name in gone
    ]
    return results.concat(parts)
