"""What a decomposition found, picked out of its rows: what may be said as a fact, and what may not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError

ALL, BETWEEN = "all", " x "
OTHERS = "other levels"  # `at` of the rows that sum up what a chart does not name
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Amount:
    """A number with its interval, in the metric's unit (of 1 for a level's share), and whether it is told as a fact.

    `shown` is its verdict, where it has one; else that its interval excludes 0 and, where its p-value was adjusted
    because several were tried, that this is small too.
    """

    value: float
    low: float
    high: float
    n: float = math.nan
    shown: bool = True


@dataclass(frozen=True)
class Level:
    """One level, or dimension: its parts of the change, its share of the denominator and its own value over time."""

    name: str
    mix: Amount | None = None
    rate: Amount | None = None
    share: tuple[Amount | None, Amount | None] = (None, None)
    value: tuple[Amount | None, Amount | None] = (None, None)
    note: str = ""


@dataclass(frozen=True)
class Told:
    """The finding of one decomposition.

    Parameters
    ----------
    metric, period, against
        Id of the metric, labels of the two periods.
    segment
        The dimension, or two as `a x b`.
    missing
        Why there is nothing to tell; empty where there is something.
    value
        The whole before and after, where the frame holds them.
    change, mix, rate
        The change and its two parts; no mix over a shared denominator.
    mix_by, rate_by
        The levels, those with the largest part first; `mix_by` holds the dimensions where there are two.
    mix_rest, rate_rest
        The sum of the levels that a chart does not name, and their name; they are the last ones.
    """

    metric: str
    period: str
    against: str
    segment: str
    missing: str = ""
    value: tuple[Amount | None, Amount | None] = (None, None)
    change: Amount | None = None
    mix: Amount | None = None
    rate: Amount | None = None
    mix_by: tuple[Level, ...] = ()
    rate_by: tuple[Level, ...] = ()
    mix_rest: Level | None = None
    rate_rest: Level | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of the dimensions, one or two."""
        return tuple(self.segment.split(BETWEEN))

    @property
    def opposed(self) -> bool:
        """Whether mix and rate are both shown and pull in opposite directions: one hides a part of the other."""
        if self.mix is None or self.rate is None:
            return False
        return self.mix.shown and self.rate.shown and (self.mix.value > 0) != (self.rate.value > 0)


def told(frame: pd.DataFrame, *, alpha: float = 0.05) -> Told:
    """Pick the finding out of the rows of one decomposition.

    Parameters
    ----------
    frame
        What `decomposition.explain` or `parts` made; a difference and levels of the whole (segment `all`) beside it
        are preferred, so that the same number has the same interval on a page.
    alpha
        Of adjusted p-values, where there are any.

    Returns
    -------
    Told
        Nothing is computed: numbers are those of the rows.

    Raises
    ------
    UsageError
        Where the frame holds no decomposition, or several.
    """
    split = frame[frame["comparison"].isin(["mix", "rate"])]
    keys = split[["metric", "period", "against", "segment"]].drop_duplicates()
    if len(keys) != 1:
        raise UsageError(f"the frame holds {len(keys)} decompositions, not one", hint="Pick one metric and segment.")
    metric, period, against, segment = (str(value) for value in keys.iloc[0])
    book = _Book(frame[frame["metric"] == metric], segment, (against, period), alpha)
    total = book.row("rate", ALL)
    if total is None or total["status"] != results.OK:
        return Told(metric, period, against, segment, str(total["note"]) if total else "nothing was split")
    return Told(
        metric, period, against, segment, value=book.pair("level", ALL), change=book.amount("difference", ALL),
        mix=book.amount("mix", ALL), rate=book.amount("rate", ALL), mix_by=book.levels("mix"),
        rate_by=book.levels("rate"), mix_rest=next(iter(book.levels("mix", OTHERS)), None),
        rate_rest=next(iter(book.levels("rate", OTHERS)), None),
    )  # fmt: skip


class _Book:
    """The rows of one decomposition by what they are about; those of the whole come before those of the segment."""

    def __init__(self, frame: pd.DataFrame, segment: str, periods: tuple[str, str], alpha: float) -> None:
        self.periods, self.segment, self.alpha = periods, segment, alpha
        self.rows: dict[tuple[str, ...], Row] = {}
        for record in frame.to_dict("records"):
            row = {str(name): value for name, value in record.items()}
            key = tuple(row[name] for name in ("segment", "comparison", "level", "at", "period", "against"))
            self.rows.setdefault(key, row)

    def row(self, comparison: str, level: str, at: str = "", period: str = "") -> Row | None:
        """Return a row: an estimate or a share of one period, else a comparison of both."""
        single = comparison in ("level", "share")
        labels = (period, "") if single else (self.periods[1], self.periods[0])
        found = [self.rows.get((segment, comparison, level, at, *labels)) for segment in (ALL, self.segment)]
        return found[0] if found[0] is not None and level == ALL else found[1]

    def amount(self, comparison: str, level: str, at: str = "", period: str = "") -> Amount | None:
        """Return the number of a row; none where there is no row, or no number."""
        row = self.row(comparison, level, at, period)
        if row is None or row["status"] != results.OK:
            return None
        value, low, high, n = (float(row[name]) for name in ("estimate", "conf_low", "conf_high", "n"))
        apart = low < high and (low > 0 or high < 0) and not row["p_adjusted"] >= self.alpha
        return Amount(value, low, high, n, row["verdict"] == "moved" if row["verdict"] else bool(apart))

    def pair(self, comparison: str, level: str) -> tuple[Amount | None, Amount | None]:
        """Return the numbers of both periods."""
        return self.amount(comparison, level, "", self.periods[0]), self.amount(comparison, level, "", self.periods[1])

    def levels(self, comparison: str, at: str = "") -> tuple[Level, ...]:
        """Return the levels that have a part of this kind, the largest first."""
        names = [
            key[2] for key in self.rows if key[:2] == (self.segment, comparison) and key[3] == at and key[2] != ALL
        ]
        found = [
            Level(
                name, self.amount("mix", name, at), self.amount("rate", name, at), self.pair("share", name),
                self.pair("level", name), str((self.row(comparison, name, at) or {}).get("note", "")),
            )
            for name in names
        ]  # fmt: skip
        size = {one.name: (one.mix if comparison == "mix" else one.rate) for one in found}
        order = {name: -abs(amount.value) if amount else 0.0 for name, amount in size.items()}
        return tuple(sorted(found, key=lambda one: (order[one.name], one.name)))
