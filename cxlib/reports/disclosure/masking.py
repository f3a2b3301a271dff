"""Which cells of a table of sums are hidden, before anything is made of them or kept.

What is hidden is a function of the table alone (and of cells that are to be hidden in any case), so every page that
cuts the same rows the same way hides the same cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import hiding
from cxlib.expressions import parse
from cxlib.params.models import Metric, Part, Segment

KEYS = ["period", "level"]
BETWEEN = " x "  # of the levels of two segments at once
DOMINANT = 0.75  # of a sum of money: the share of one customer from which a cell tells that customer's
_SAME = 1e-9  # of the sum of squares: what is left of a spread below this share is rounding


def mask(
    moments: pd.DataFrame,
    min_n: int,
    *,
    metric: Metric | None = None,
    segments: Sequence[Segment] = (),
    withheld: Collection[tuple[str, str]] = (),
) -> pd.DataFrame:
    """Hide every number of the cells that may not be known, and of others so that these cannot be worked out.

    Hidden are cells of fewer than `min_n` distinct customers; cells whose answers are all equal, where a metric is made
    of what people said; cells of money most of which may be one customer's. And then, of the levels of one period, the
    smallest others until those hidden are at least two and together fit to be known; of two segments at once in every
    row and every column.

    Parameters
    ----------
    moments
        One row per period and level, or one per value within these; with `clusters`, the cell's distinct customers.
    min_n
        The least number of customers that may be shown.
    metric
        What the sums are of; without it cells are judged by their customers alone.
    segments
        What the levels are of; none for the whole.
    withheld
        (period, level) of cells that are hidden in any case: other pages or months hide them. Levels of two segments
        are named in the order of the segments' ids.

    Returns
    -------
    pandas.DataFrame
        The same columns; a hidden cell is one row with its labels and nothing else.
    """
    blank = [name for name in moments.columns if name not in KEYS]
    straight = moments
    if len(segments) == 2:  # North x Pro and Pro x North are one cell
        segments, names = sorted(segments, key=lambda one: one.id), BETWEEN.join(one.id for one in segments)
        straight = moments.assign(level=upright(names, moments["level"].tolist())[1])
    gone = _gone(straight, min_n, metric, segments, frozenset(withheld))
    if not gone:
        return moments.astype(dict.fromkeys(blank, "float64")).reset_index(drop=True)
    here = pd.MultiIndex.from_frame(straight[KEYS]).isin(sorted(gone))
    hidden = moments.loc[here].drop_duplicates(KEYS)
    hidden = hidden.assign(**dict.fromkeys(blank, pd.NA)).astype(dict.fromkeys(blank, "Float64"))
    shown = moments.loc[~here].astype(dict.fromkeys(blank, "Float64"))
    return pd.concat([shown, hidden], ignore_index=True).astype(dict.fromkeys(blank, "float64"))


def hidden(moments: pd.DataFrame) -> pd.Series[Any]:
    """Tell which rows of masked moments are hidden cells."""
    return moments["rows"].isna()


def of_answers(metric: Metric) -> bool:
    """Say whether a metric is made of what people said, not of what they did or what was done to them."""
    texts = {
        "nps": (metric.value, metric.promoters, metric.detractors), "quantile": (metric.value,),
    }.get(metric.kind, (metric.numerator,))  # fmt: skip
    said = {"score", "comment"}
    return metric.table == "responses" and any(said & parse(text).columns for text in texts if text)


def _gone(
    moments: pd.DataFrame, min_n: int, metric: Metric | None, segments: Sequence[Segment], withheld: frozenset[Any]
) -> set[tuple[str, str]]:
    """Return the cells to hide as (period, level)."""
    first = set(zip(*(moments.loc[moments["clusters"] < min_n, name] for name in KEYS), strict=True))
    first |= {cell for cell in _telling(moments, metric) if cell not in first}
    if withheld:
        first |= withheld & set(zip(moments["period"], moments["level"], strict=True))
    if not first or not segments:
        return first
    found = set(first)
    periods = {period for period, _ in first}
    for period, own in moments[moments["period"].isin(periods)].groupby("period"):
        marked = {level for cell, level in first if cell == period}
        cut = _Cut.of(own, min_n, metric, segments)
        found |= {(str(period), level) for level in cut.close(marked)}
    return found


def _telling(moments: pd.DataFrame, metric: Metric | None) -> set[tuple[str, str]]:
    """Return cells whose number tells an answer of each of its customers, or the amount of one."""
    if metric is None:
        return set()
    alike = _alike(moments, metric)
    return set(zip(*(moments.loc[alike, name] for name in KEYS), strict=True))


def _alike(moments: pd.DataFrame, metric: Metric) -> Any:
    """Tell which cells have answers that are all equal, or a sum most of which may be one customer's.

    Each customer's amount is at most the root of the sum of squares, and where that is below the limit no single one
    is above it.
    """
    if metric.kind == "quantile":
        one_value = moments.groupby(KEYS)["value"].transform("size") == 1
        return (one_value & (moments["rows"] > 0)) if of_answers(metric) else np.zeros(len(moments), dtype=bool)
    if metric.unit == "money" and not isinstance(metric.denominator, Part):
        return (moments["yy"] > (DOMINANT * moments["y"]) ** 2) & (moments["y"] > 0)
    if not of_answers(metric) or metric.kind not in ("share", "mean", "nps"):
        return np.zeros(len(moments), dtype=bool)
    spread = moments["y2"] * moments["rows"] - moments["y"] ** 2
    return (spread <= _SAME * moments["y2"] * moments["rows"]) & (moments["rows"] > 0)


@dataclass(frozen=True)
class _Cut:
    """The levels of one period: customers by level, what tells whether a pool of them may be known, and the parts."""

    customers: Mapping[str, float]
    min_n: int
    apart: bool
    sums: pd.DataFrame | None  # by level, of metrics whose cells can tell by themselves
    metric: Metric | None
    places: Mapping[str, tuple[str, ...]]  # level -> its level of each segment

    @classmethod
    def of(cls, own: pd.DataFrame, min_n: int, metric: Metric | None, segments: Sequence[Segment]) -> _Cut:
        """Take the cells of one period."""
        customers = {str(level): float(n) for level, n in own.groupby("level")["clusters"].first().items()}
        sums = None
        if metric is not None and metric.kind != "quantile":
            sums = own.set_index("level")[["rows", "y", "y2", "yy"]]
        apart = all(segment.on == "customers" for segment in segments)
        return cls(customers, min_n, apart, sums, metric, split(list(customers), len(segments)))

    def close(self, marked: Collection[str]) -> set[str]:
        """Return the levels to hide where some have to be."""
        found = set(marked)
        while True:
            needs = {tuple(group): set(self._levels(group, found)) - found for group in self._groups()}
            needs = {group: more for group, more in needs.items() if more}
            first = self._serving(list(needs), found) or next(iter(needs.values()), {self._bridge(found)} - {""})
            if not first:
                return found
            found |= first  # and all groups again: what one needs may serve another

    def _serving(self, needy: Sequence[tuple[str, ...]], found: Collection[str]) -> set[str]:
        """Return the smallest cell that serves a row and a column in need at once; nothing where there is none."""
        both = {level for one, other in combinations(needy, 2) for level in set(one) & set(other)}
        free = [level for level in both - set(found) - self._lonely if self.customers[level] > 0]
        return {min(free, key=lambda level: (self.customers[level], level))} if free else set()

    def _levels(self, group: Sequence[str], found: Collection[str]) -> list[str]:
        if not any(level in found for level in group):
            return []
        how: dict[str, Any] = {"also": found, "apart": self.apart, "fit": self._fit}
        inside = {level: self.customers[level] for level in group}
        useful = {level: n for level, n in inside.items() if level in found or level not in self._lonely}
        chosen = hiding.levels(useful, self.min_n, **how)
        return chosen if len(chosen) > 1 else hiding.levels(inside, self.min_n, **how)

    @cached_property
    def _lonely(self) -> set[str]:
        """Cells that are all there is of a row or column: its margin tells them, so they hide nothing of others."""
        groups = ([level for level in group if self.customers[level] > 0] for group in self._groups())
        return {group[0] for group in groups if len(group) == 1}

    def _fit(self, pool: Sequence[str]) -> bool:
        """Say whether the sum of some cells may be known."""
        if self.metric is None or self.sums is None:
            return True
        part = self.sums.loc[list(pool)]
        total = part.sum()
        most = np.sqrt(part["yy"]).sum() ** 2  # of one customer, if the largest of each cell were the same
        return not bool(_alike(pd.DataFrame([{**total, "yy": most}]), self.metric)[0])

    def _groups(self) -> Iterator[list[str]]:
        """Yield levels that add up to something known: all, or those that share their level of one segment."""
        width = len(next(iter(self.places.values()), ()))
        if width < 2:
            yield list(self.customers)
            return
        for which in range(width):
            names = sorted({place[which] for place in self.places.values()})
            for name in names:
                yield [level for level, place in self.places.items() if place[which] == name]

    def _bridge(self, found: Collection[str]) -> str:
        """Return one more level to hide where a hidden cell of a crossed cut could be worked out; '' for none.

        Rows and columns are nodes, hidden cells join them: a cell can be worked out from the margins if, and only if,
        it is a bridge between two parts (Gusfield 1988, A graph theoretic approach to statistical data security).
        """
        cells = {level: self.places[level] for level in found if self.customers[level] > 0}
        if any(len(place) != 2 for place in cells.values()):
            return ""
        shown = sorted(
            (level for level, n in self.customers.items() if n > 0 and level not in found),
            key=lambda level: (self.customers[level], level),
        )
        for level in sorted(cells):
            rest = [place for other, place in cells.items() if other != level]
            row, column = _ends(cells[level])
            part = _reached(row, rest)
            if column in part:
                continue
            there = _reached(column, rest)
            ends = {x: set(_ends(self.places[x])) for x in shown}
            across = [x for x in shown if ends[x] & part and ends[x] & there]
            beside = [x for x in shown if ends[x] & (part | there)]
            if across or beside:
                return (across or beside)[0]
        return ""


def _ends(place: tuple[str, ...]) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("row", place[0]), ("column", place[1])


def _reached(start: tuple[str, str], cells: Sequence[tuple[str, ...]]) -> set[tuple[str, str]]:
    """Return the rows and columns that hidden cells join to one of them."""
    part = {start}
    while True:
        more = {end for place in cells if part & set(_ends(place)) for end in _ends(place)} - part
        if not more:
            return part
        part |= more


def upright(cut: str, levels: Sequence[str]) -> tuple[str, list[str]]:
    """Return a cut by two segments and its levels as they are named in the order of the segments' ids."""
    names = cut.split(BETWEEN)
    if len(names) != 2 or names[0] <= names[1]:
        return cut, list(levels)
    places = split(list(dict.fromkeys(levels)), 2)
    return BETWEEN.join(names[::-1]), [BETWEEN.join(places[level][::-1]) for level in levels]


def straightened(frame: pd.DataFrame) -> pd.DataFrame:
    """Return results with cuts by two segments as `upright` names them."""
    turned = {cut for cut in frame["segment"].unique() if upright(cut, [])[0] != cut}
    for cut in sorted(turned):
        here = frame["segment"] == cut
        name, levels = upright(cut, frame.loc[here, "level"].tolist())
        frame = frame.assign(segment=frame["segment"].mask(here, name))
        frame.loc[here, "level"] = levels
    return frame


def split(levels: Sequence[str], width: int) -> dict[str, tuple[str, ...]]:
    """Return level -> its level of each segment; the level itself where names cannot be told apart."""
    if width < 2:
        return {level: (level,) for level in levels}
    if width == 2:
        from cxlib.measure.decomposition import halves

        return dict(zip(levels, halves(levels), strict=True))
    pieces = {level: tuple(level.split(BETWEEN)) for level in levels}
    plain = all(len(piece) == width for piece in pieces.values())
    return pieces if plain else {level: (level,) for level in levels}
