"""What people labelled beside what the codebook said: columns of 0 and 1, theme by theme, and their weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

ALL = "all"


@dataclass(frozen=True)
class Pairs:
    """What was predicted and what is true of some comments, 0 or 1, and their weights."""

    predicted: Numbers
    true: Numbers
    weight: Numbers

    def among(self, chosen: Numbers) -> tuple[float, float]:
        """Return the weighted share of true ones among some, and how many those count for (Kish 1965)."""
        mass, squares = float(self.weight @ chosen), float(self.weight**2 @ chosen)
        return (float(self.weight @ (chosen * self.true)) / mass, mass**2 / squares) if mass > 0 else (np.nan, 0.0)


def columns(name: str, values: Any) -> dict[str, Numbers]:
    """Return 0 and 1 by theme, NaN where missing; a single column is of the theme `all`.

    Raises `UsageError` for anything that is neither 0 nor 1.
    """
    frame = values if isinstance(values, pd.DataFrame) else None
    if frame is not None and frame.columns.has_duplicates:
        raise UsageError(f"{name} has the same theme twice")
    given = {ALL: values} if frame is None else {str(theme): frame[theme] for theme in frame.columns}
    found = {}
    for theme, column in given.items():
        found[theme] = doors.numbers(name if theme == ALL else f"{name} of '{theme}'", column).ravel()
        strange = found[theme][~np.isin(found[theme], (0.0, 1.0)) & ~np.isnan(found[theme])]
        if strange.size:
            raise UsageError(f"{name} are yes or no, 1 or 0; {strange.size} are not, the first is {strange[0]:g}")
    return found


def weights(name: str, values: Any, n: int) -> Numbers:
    """Return a weight for each of n comments, 1 where there are none; `UsageError` for other than positive numbers."""
    if values is None:
        return np.ones(n)
    found = doors.numbers(name, values).ravel()
    if found.size != n:
        raise UsageError(f"{found.size} {name} for {n} comments")
    if not (found > 0).all():
        raise UsageError(f"{name} are positive numbers; {int((~(found > 0)).sum())} are not")
    return found


def pairs(predicted: Any, true: Any, weight: Any, words: tuple[str, str, str]) -> Iterator[tuple[str, Pairs]]:
    """Yield each theme with the comments that have both a prediction and a label."""
    left, right = columns(words[0], predicted), columns(words[1], true)
    same_themes(words, left, right)
    for theme, said in left.items():
        meant = right[theme]
        if said.size != meant.size:
            raise UsageError(f"{words[0]} are {said.size}, {words[1]} {meant.size}: they are of the same comments")
        heavy = weights(words[2], weight, said.size)
        known = ~np.isnan(said) & ~np.isnan(meant)
        yield theme, Pairs(said[known], meant[known], heavy[known])


def same_themes(words: tuple[str, ...], left: dict[str, Numbers], right: dict[str, Numbers]) -> None:
    """Raise `UsageError` where two frames are not of the same themes."""
    apart = sorted(set(left) ^ set(right))
    if apart:
        raise UsageError(
            f"{words[0]} and {words[1]} are not of the same themes: only one of them has {', '.join(apart)}"
        )


def framed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows, each of some columns of a result, as one result frame: a hundred frames take long to join."""
    names = [name for name in results.COLUMNS if any(name in row for row in rows)]
    defaults = {name: np.nan if name in results.NUMBERS else "" for name in names} | {"status": results.OK}
    given = {name: [row.get(name, defaults[name]) for row in rows] for name in names}
    return results.frame(**given) if rows else results.empty()


def effective(weight: Numbers) -> float:
    """Return how many equally weighted comments some count for (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0
