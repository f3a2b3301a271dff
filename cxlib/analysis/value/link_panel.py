"""The panel of the link: customers by periods, checked once, and what of a customer came before and after each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers
from cxlib.periods import Period


class Names(NamedTuple):
    """What a panel's columns are called (`churned` and `second` may be empty), and of how many points effects are."""

    customer: str = "customer_id"
    period: str = "period"
    satisfaction: str = "satisfaction"
    churned: str = "churned"
    second: str = ""
    per: float = 1.0

    @property
    def less(self) -> str:
        """What an effect is compared with."""
        return "a point less" if self.per == 1 else f"{self.per:g} points less"


@dataclass(frozen=True, eq=False)
class Pairs:
    """One row per customer and period with an answer whose outcome, some periods on, is known.

    Parameters
    ----------
    who, period
        Customer and period of the outcome, numbered from 0; sorted by customer, then by time.
    x
        Shape (n, p): satisfaction, then the controls, all of the earlier period.
    y
        The outcome.
    answers
        How many answers satisfaction is the mean of, 1 or 2.
    second
        A second answer of the same period, missing where there is none.
    ids
        The customers, shape (G,): `who` is a place in it.
    """

    who: Codes
    period: Codes
    x: Numbers
    y: Numbers
    answers: Numbers
    second: Numbers
    ids: NDArray[Any]

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return self.ids.size

    def take(self, kept: Mask) -> Pairs:
        """Return some of the rows, customers and periods numbered anew."""
        found = {name: getattr(self, name)[kept] for name in ("x", "y", "answers", "second")}
        known, who = np.unique(self.who[kept], return_inverse=True)
        period = np.unique(self.period[kept], return_inverse=True)[1]
        return replace(self, who=who, period=period, ids=self.ids[known], **found)


class Neighbours:
    """Means of what came before and after each row of the same customer; rows are sorted by customer and time."""

    def __init__(self, who: Codes) -> None:
        size = np.bincount(who) if who.size else np.zeros(0, dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(size)])[:-1]
        place = np.arange(who.size) - start[who]
        self._first, self._last = start[who], (start + size - 1)[who]
        self.before, self.after = place, size[who] - 1 - place

    def earlier(self, values: Numbers) -> Numbers:
        """Return the mean of the customer's earlier rows, 0 for the first."""
        upto = np.concatenate([[0.0], np.cumsum(values)])
        total = upto[np.arange(values.size)] - upto[self._first]
        return np.where(self.before > 0, total / np.maximum(self.before, 1), 0.0)

    def later(self, values: Numbers) -> Numbers:
        """Return the mean of the customer's later rows, 0 for the last."""
        upto = np.concatenate([[0.0], np.cumsum(values)])
        total = upto[self._last + 1] - upto[np.arange(values.size) + 1]
        return np.where(self.after > 0, total / np.maximum(self.after, 1), 0.0)


def checked(panel: pd.DataFrame, names: Names, others: Sequence[str]) -> pd.DataFrame:
    """Return the panel with numbers, sorted by customer and period; `_at` numbers the periods without a gap.

    Raises `UsageError` with all that is wrong: columns that lack, text in place of numbers, repeated or missing keys.
    """
    used = [names.satisfaction, *others, *filter(None, (names.churned, names.second))]
    wanted = {"customer": names.customer, "period": names.period} | {name: name for name in used}
    doors.require(panel.columns, wanted, "the panel")
    found = doors.numbers_of(panel, used)
    if not 0 < names.per < np.inf:
        raise UsageError(f"an effect of {names.per:g} points is none; `per` lies above 0")
    for name in filter(None, (names.satisfaction, names.second)):
        found[name] = found[name] / names.per
    who = panel[names.customer]
    if who.isna().any():
        raise UsageError(f"'{names.customer}' is missing in {int(who.isna().sum())} rows")
    counted = pd.api.types.is_integer_dtype(who.dtype)
    out = pd.DataFrame(found)
    out[names.customer] = who.to_numpy() if counted else who.to_numpy(dtype=object)
    out["_at"] = ordinals(panel[names.period])
    out["_who"] = pd.factorize(who if counted else who.astype(str), sort=True)[0]
    key = _key(out["_who"].to_numpy(), out["_at"].to_numpy())
    order = np.arange(key.size) if (np.diff(key) > 0).all() else np.argsort(key, kind="stable")
    twice = int((np.diff(key[order]) == 0).sum())
    if twice:
        raise UsageError(
            f"{twice} rows repeat a customer and period",
            hint="A panel has one row per customer and period: sum or average first.",
        )
    return out.take(order).reset_index(drop=True)


def _key(who: Codes, at: Codes) -> Codes:
    """Return one number for each customer and period, in the order of both."""
    low, high = (int(at.min()), int(at.max())) if at.size else (0, 0)
    return who * (high - low + 1) + (at - low)


def ordinals(periods: pd.Series) -> NDArray[np.int64]:
    """Number periods so that successive ones differ by 1: whole numbers as they are, labels such as 2026-10 by time."""
    if periods.isna().any():
        raise UsageError(f"the period is missing in {int(periods.isna().sum())} rows")
    if pd.api.types.is_numeric_dtype(periods.dtype):
        found = doors.numbers("period", periods)
        if (found != np.floor(found)).any():
            raise UsageError("periods are labels such as 2026-10 or whole numbers")
        return found.astype(np.int64)
    codes, found = pd.factorize(periods)
    known = [Period.parse(str(name)) for name in found]
    if not known:
        return np.empty(0, dtype=np.int64)
    place = {period: number for number, period in enumerate(Period.range(min(known), max(known)))}
    return np.array([place[period] for period in known], dtype=np.int64)[codes]


def shifted(table: pd.DataFrame, columns: dict[str, str], ahead: int) -> pd.DataFrame:
    """Return the table with columns (name -> new name) of the same customer `ahead` periods on."""
    later = table[["_who", "_at", *columns]].rename(columns=columns).assign(_at=table["_at"] - ahead)
    return table.merge(later, on=["_who", "_at"], how="left")


def pairs(table: pd.DataFrame, names: Names, outcome: str, controls: Sequence[str], ahead: int) -> Pairs:
    """Match each answer with the outcome `ahead` periods later (before, where below 0).

    The outcome of the period in which a customer left is left out: it is not a whole one, and a customer who leaves
    halfway buys less, whatever it is that is bought.
    """
    wanted = {outcome: "_y"} | ({names.churned: "_left"} if names.churned else {})
    both = shifted(table, wanted, ahead)
    kept = both[[names.satisfaction, "_y", *controls]].notna().all(axis=1)
    if names.churned:
        kept &= ~(both["_left"] > 0)
    return paired(both[kept], names, "_y", controls)


def paired(rows: pd.DataFrame, names: Names, outcome: str, controls: Sequence[str]) -> Pairs:
    """Return rows of the table as pairs."""
    x, answers, second = answered(rows, names)
    ids, who = np.unique(rows["_who"].to_numpy(), return_inverse=True)
    known = rows.drop_duplicates("_who")[names.customer].to_numpy()
    return Pairs(
        who, np.unique(rows["_at"].to_numpy(), return_inverse=True)[1],
        np.column_stack([x, *(rows[name].to_numpy(dtype=float) for name in controls)]),
        rows[outcome].to_numpy(dtype=float), answers, second, known[: ids.size],
    )  # fmt: skip


def answered(rows: pd.DataFrame, names: Names) -> tuple[Numbers, Numbers, Numbers]:
    """Return satisfaction, of how many answers it is the mean, and the second answer at the level of the first."""
    first = rows[names.satisfaction].to_numpy(dtype=float)
    if not names.second:
        return first, np.ones(first.size), np.full(first.size, np.nan)
    second = rows[names.second].to_numpy(dtype=float)
    both = ~np.isnan(second)
    if both.any():
        second = second - (second[both].mean() - first[both].mean())  # questions differ in level, too
    return np.where(both, (first + second) / 2, first), 1.0 + both, second
