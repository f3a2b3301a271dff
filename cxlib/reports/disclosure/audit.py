"""What could be worked out from a new run beside all that is published already, and what to hide besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from cxlib import contract, results
from cxlib.reports.disclosure import attack, nested
from cxlib.reports.disclosure.families import Published, Told, equations, range_of
from cxlib.reports.disclosure.masking import of_answers
from cxlib.reports.disclosure.numbers import ANSWERS, ROWS, Number
from cxlib.reports.withheld import Cell

LEEWAY = 0.1  # of sums without a range of answers: how closely they may be told (the p % rule with p = 10)
_ROUNDS = 25  # cells that are hidden besides for one that can be worked out
_NEAR = 1e-6


@dataclass(frozen=True)
class Leak:
    """A hidden number that can be worked out: how closely, from what, and which pages hide it."""

    number: Number
    low: float
    high: float
    parts: tuple[Number, ...]

    @property
    def exact(self) -> bool:
        """Whether it is known to the last digit."""
        return self.high - self.low <= _NEAR

    def told(self) -> str:
        """Say what can be worked out, how closely and from what, without the number itself."""
        if " less " in self.number.of:
            return self._rest()
        what = "how many answers" if self.number.what == ROWS else "the answers' sum"
        cut = "" if self.number.segment == "all" else f" by {self.number.segment} = {self.number.level}"
        how = "exactly" if self.exact else "nearly"
        others = len(self.parts) - 1
        source = f"from {others} numbers that are shown with it" if self.parts else "from what is shown"
        about = f"{self.number.of.split('|')[0]} {self.number.period}{cut}"
        return f"{what} of {about} can be worked out {how} {source}"

    def _rest(self) -> str:
        """Say which populations differ by too few."""
        whole, *parts = (_conditions(of) for of in self.number.of.split(" less "))
        cut = "" if self.number.segment == "all" else f" by {self.number.segment} = {self.number.level}"
        about = f"{self.number.of.split('|')[0]} {self.number.period}{cut}"
        return f"{about}: too few lie between those of ({whole}) and those of {' and '.join(f'({x})' for x in parts)}"


def _conditions(of: str) -> str:
    """Return which rows a population has, in the words of its filter; a metric's own counts by its name."""
    table, *more = of.split("|")
    return ", ".join(filter(None, more[1:])) or ("all" if more else table)


@dataclass
class Audit:
    """One look at a run beside what is published.

    Parameters
    ----------
    published
        What all pages tell together.
    least
        Metric -> the least number of customers that may be shown.
    """

    published: Published
    least: Mapping[str, int]
    hide: set[Cell] = field(default_factory=set)  # what is hidden besides, so far
    _memo: dict[Any, dict[Number, attack.Bounds]] = field(default_factory=dict, repr=False)

    @cached_property
    def wanted(self) -> set[tuple[str, str]]:
        """Whose numbers have hidden cells."""
        found = set()
        for cell in {*self.published.hidden, *self.published.before}:
            found.add((ANSWERS, cell.metric))
            found |= {(ROWS, of) for of in self.published.counts(cell.metric)}
        return found | {number[:2] for number in self.published.sought if number.of not in self.published.rests}

    @cached_property
    def families(self) -> list[list[tuple[Number, float]]]:
        """The sums of those numbers, and what is left of populations of which parts are shown."""
        self.published.least = self.least
        return list(equations(self.published, self.wanted))

    def leaks(self) -> list[Leak]:
        """Return the hidden numbers that can be worked out more closely than they may be, because of this run."""
        known = self.published.known
        found = self._leaks(known)
        if not found:
            return []
        stands = {number: told for number, told in known.items() if told.standing}
        before = self._leaks(stands) if stands else []
        anyhow = {leak.number for leak in before}
        return [leak for leak in found if leak.number not in anyhow]

    def _leaks(self, known: Mapping[Number, Told]) -> list[Leak]:
        sums: list[attack.Sum[Number]] = []
        scores: dict[Number, attack.Scores[Number]] = {}
        parts: dict[Number, tuple[Number, ...]] = {}
        for family in self.families:
            unknown = {number: factor for number, factor in family if number not in known}
            if not unknown:
                continue
            sums.append(attack.Sum(unknown, -sum(f * known[n].value for n, f in family if n in known)))
            for number in unknown:
                parts.setdefault(number, tuple(one for one, _ in family))
                if number.what == ANSWERS:
                    scores[number] = self._scores(number, known)
        counted = [one for one in sums if all(number.what == ROWS for number in one.factors)]
        answers = attack.intervals(sums, scores, self._enough, self._memo)
        bounds = attack.intervals(counted, enough=self._enough, memo=self._memo)
        bounds |= {number: ends for number, ends in answers.items() if number.what == ANSWERS}
        return [
            Leak(number, low, high, parts[number])
            for number, (low, high) in sorted(bounds.items())
            if number in self.published.sought and number in parts and not self._enough(number, low, high)
        ]

    def _scores(self, number: Number, known: Mapping[Number, Told]) -> attack.Scores[Number]:
        low, high = range_of(self.published.metrics.get(number.of))
        count = Number(ROWS, self.published.counts(number.of)[0], *number[2:])
        told = known.get(count)
        return attack.Scores(count if told is None else told.value, low, high)

    def _enough(self, number: Number, low: float, high: float) -> bool:
        if number.of in self.published.rests:  # what is left of a population: many, nobody, or too few
            return number not in self.published.sought or not (low > _NEAR and high < self._needed(number, high))
        if high - low >= self._needed(number, high) - _NEAR:
            return True
        if not (abs(low) <= _NEAR and abs(high) <= _NEAR):
            return False
        # that nothing was done to anybody is no secret; that nobody of a group answered, or all alike, is
        if number.what == ROWS:
            return number.of.split("|")[0] in contract.TABLES and number.of.split("|")[0] not in nested.ASKED
        metric = self.published.metrics.get(number.of)
        return metric is not None and not of_answers(metric)

    def _needed(self, number: Number, high: float) -> float:
        """Return how wide the bounds of a hidden number have to be.

        Of counts as many as customers may not be shown: whoever knows the rule must not learn where among the hidden
        cells the customers are. Of answers one: that all were equal must not follow. Of amounts a tenth.
        """
        if number.what == ROWS:
            return float(self.published.enough(number.of))
        return 1.0 if np.isfinite(range_of(self.published.metrics.get(number.of))[1]) else LEEWAY * max(high, 0.0)

    def repaired(self) -> bool:
        """Find more cells to hide until nothing can be worked out; say whether that is possible."""
        for _ in range(_ROUNDS):
            found = self.leaks()
            if not found:
                return True
            chosen = self._chosen(found)
            if not chosen:
                return False
            self.hide |= chosen
        return not self.leaks()

    def _chosen(self, leaks: Sequence[Leak]) -> set[Cell]:
        """Return cells to hide for some numbers; one that adds up with what is hidden for another has to wait."""
        served: set[Number] = set()
        found: set[Cell] = set()
        for leak in leaks:
            number = self._besides(leak) if leak.number not in served else None
            if number is not None:
                served |= {one for family in self.families if number in dict(family) for one, _ in family}
                found.update(self._forget(number))
        return found

    def _besides(self, leak: Leak) -> Number | None:
        """Return the cheapest known number that this run could hide as well; None where it could hide none."""
        known, near, across = self.published.known, [], []
        for family in self.families:
            numbers = [number for number, _ in family]
            if leak.number in numbers:
                free = [n for n in numbers if n.span == 1 and n in known and not known[n].standing]
                near += [n for n in free if n.segment != "all" or leak.number.segment == "all"]
                if all(n in known or n == leak.number or n.of in self.published.rests for n in numbers):
                    across += [n for n in free if n.segment != "all" and n.of != leak.number.of]
        near = across or near  # from another population's number alone: no other cell of its own would help
        return min(near, key=lambda number: self._price(number, leak.number)) if near else None

    def _price(self, number: Number, hidden: Number) -> tuple[Any, ...]:
        """Return what tells which number to hide: of whole populations the one of which least is shown.

        Of levels one with anybody in it, for where nobody is nothing can hide; of the same cut first, since a margin
        tells more to more people; the smallest.
        """
        size = self._size(number)
        if number.segment == "all":
            return True, sum(one.of == number.of for one in self.published.known), size, number
        return size == 0, number.segment != hidden.segment, size, number

    def _size(self, number: Number) -> float:
        count = Number(ROWS, self.published.counts(number.of)[0], *number[2:]) if number.what == ANSWERS else number
        told = self.published.known.get(count)
        return told.value if told else 0.0

    def _forget(self, number: Number) -> list[Cell]:
        """Take a number as hidden, with all that tells it; return the cells to hide for that."""
        names = self.published.known[number].metrics
        self.published.sought |= {number, *(Number(ANSWERS, name, *number[2:]) for name in names)}
        cells = [Cell(name, number.segment, number.period, number.level) for name in sorted(names)]
        for name in names:
            for of in self.published.counts(name):
                if number.what == ROWS:
                    self.published.known.pop(Number(ROWS, of, *number[2:]), None)
            self.published.known.pop(Number(ANSWERS, name, *number[2:]), None)
        for name in ("wanted", "families"):
            self.__dict__.pop(name, None)  # what is left of populations is told of what is known
        return cells


def shown_elsewhere(published: Published) -> dict[Cell, set[str]]:
    """Return hidden cells that another page of the run tells of, with its files; not what older reports tell anyhow."""
    found = {}
    for cell, files in published.hidden.items():
        if cell not in published.shown or cell.segment == "all":
            continue
        number = Number(ANSWERS, cell.metric, cell.segment, 1, cell.period, cell.level)
        told = published.known.get(number)
        if told is None or not told.standing:
            found[cell] = published.shown[cell] - files
    return {cell: files for cell, files in found.items() if files}


def alone(frame: pd.DataFrame) -> list[str]:
    """Return what can be worked out within result frames: the one hidden row of a group whose counts add up.

    Of rows that share all but their level, and of which one is hidden, its count is that of the whole less the others'.
    """
    keys = ["metric", "segment", "period", "against", "at", "comparison", "method"]
    own = frame[frame["comparison"].isin(["level", "share"]) & (frame["segment"] != "all")]
    hidden = own["status"] == results.SUPPRESSED
    if not hidden.any():
        return []
    whole = frame[(frame["segment"] == "all") & frame["n"].notna()].groupby(["metric", "period"])["n"].max()
    found = []
    for key, group in own.groupby(keys, sort=True):
        parts = group[group["level"] != "all"]
        gone = parts["status"] == results.SUPPRESSED
        total = group.loc[(group["level"] == "all") & group["n"].notna(), "n"]
        n = float(total.iloc[0]) if len(total) else float(whole.get((key[0], key[2]), np.nan))
        rest = n - float(parts["n"].sum())
        if gone.sum() == 1 and len(parts) > 1 and parts.loc[~gone, "n"].notna().all() and rest > 0 and total.size:
            level = parts.loc[gone, "level"].iloc[0]
            found.append(f"{key[0]} {key[2]} by {key[1]} = {level} is the only hidden one beside its total")
    return found
