"""The door of the drivers room: a frame becomes one matrix of numbers, checked once, whatever the order of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import lacking, tried
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.drivers.columns import FEW_ANSWERS, Column, Driver, Given, codes_of
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers, names, weight_of


@dataclass(frozen=True)
class Design:
    """Rows with an outcome, in an order of their own.

    Parameters
    ----------
    outcome
        Its name.
    drivers
        In the order in which the caller named them.
    numbers
        Shape (n, 1 + c): the outcome, then the columns of the drivers by name; NaN where an item was skipped.
    weights
        Shape (n,), all above 0.
    whose, customers
        Number of the customer of each row, and how many there are.
    dropped
        Rows without an outcome or without weight.
    weighted
        Whether weights were given.
    """

    outcome: str
    drivers: tuple[Driver, ...]
    numbers: Numbers
    weights: Numbers
    whose: Codes
    customers: int
    dropped: int
    weighted: bool

    @property
    def usable(self) -> tuple[Driver, ...]:
        """The drivers that something can be said of, by name: nothing depends on the order of the drivers."""
        return tuple(sorted((driver for driver in self.drivers if not driver.fault), key=lambda driver: driver.name))

    @property
    def kish(self) -> float:
        """Kish's effective number of rows; missing where no weights were given."""
        return float(self.weights.sum() ** 2 / (self.weights @ self.weights)) if self.weighted else np.nan

    def fault(self) -> tuple[str, str] | None:
        """Return status and note where nothing at all can be said, else nothing."""
        size, columns = self.numbers.shape
        if not size:
            return "undefined", "no answers to the outcome"
        if not self.usable:
            return "undefined", "no driver varies"
        if np.ptp(self.numbers[:, 0]) == 0:
            return "undefined", "all answers to the outcome are equal"
        if self.customers < columns + 2:
            return "too_few", f"{self.customers} customers for {columns - 1} columns"
        return None


def design(
    frame: pd.DataFrame,
    outcome: str,
    drivers: Sequence[str],
    *,
    weights: Given = None,
    cluster: Given = None,
    not_applicable: Any = None,
) -> Design:
    """Turn a frame into a `Design`.

    Parameters
    ----------
    frame
        One row an answer.
    outcome
        Name of a column of numbers; rows without it are left out.
    drivers
        Names of columns. Numbers (0 and 1, true and false too) are taken as they are, anything else is a set of
        levels: one driver of several columns, its commonest level the reference; a missing level is one of its own.
    weights
        Weight per row, or the name of its column.
    cluster
        The customer of each row, or the name of its column; a missing one is each row's own.
    not_applicable
        Code or codes that stand, in any driver, for "does not apply" (0 on a scale from 1 to 5), or such by driver: no
        answer exists. Whether it applies is then part of the driver. A level of a categorical driver stays a level.

    Raises
    ------
    UsageError
        For columns that are not there or not numbers, all of them at once.
    """
    must_be_frame(frame)
    drivers = all_of(drivers)
    _check(frame, outcome, drivers, [name for name in (weights, cluster) if isinstance(name, str)])
    y, fault = tried(f"outcome '{outcome}'", frame[outcome])
    columns = [Column.of(frame[name], name, codes_of(not_applicable, name)) for name in drivers]
    faults = [fault] * bool(fault) + [fault for column in columns for fault in column.faults]
    if faults:
        raise UsageError(
            "; ".join(faults), hint="Give the outcome numbers: satisfied 1, not satisfied 0." * bool(fault)
        )
    weight = weight_of(frame[weights].to_numpy() if isinstance(weights, str) else weights, len(frame))
    kept = ~np.isnan(y) & (weight > 0)
    place, table, found = _places(frame[cluster] if isinstance(cluster, str) else cluster, kept), y[kept][:, None], {}
    people = _people(place, int(np.count_nonzero(kept)))
    for column in sorted(columns, key=lambda one: one.name):
        found[column.name], parts = column.taken(kept, weight[kept], people, table.shape[1])
        table = np.column_stack([table, parts])
    order, whose = _ordered(table, weight[kept], people, place)
    separable = _separable(tuple(found[name] for name in drivers), table)
    return Design(
        outcome, separable, table[order], weight[kept][order], whose, int(whose.max()) + 1 if whose.size else 0,
        int((~kept).sum()), weights is not None,
    )  # fmt: skip


def _check(frame: pd.DataFrame, outcome: str, drivers: Sequence[str], others: Sequence[str]) -> None:
    """Refuse names that cannot be used, all at once."""
    if not drivers:
        raise UsageError("drivers is a list of one or more names of columns")
    wrong = lacking(frame, (outcome, *drivers, *others))
    wrong += [f"driver '{name}' is named {list(drivers).count(name)} times" for name in dict.fromkeys(drivers)
              if list(drivers).count(name) > 1]  # fmt: skip
    wrong += [f"'{name}' is both driver and {what}" for name in dict.fromkeys(drivers)
              for what, mine in (("outcome", [outcome]), ("weights or cluster", others)) if name in mine]  # fmt: skip
    if wrong:
        raise UsageError("; ".join(wrong))


def _places(given: Given, kept: NDArray[np.bool_]) -> Codes | None:
    """Return the place of each kept row's customer among their ids in order as texts; -1 where there is none."""
    if given is None:
        return None
    texts = given if isinstance(given, pd.Series) and isinstance(given.dtype, pd.StringDtype) else None
    if texts is None:
        plain = names("cluster", given, kept.size)
        texts = pd.Series([None if one is None or one != one or one is pd.NA else str(one) for one in plain])
    codes, found = pd.factorize(texts[kept])
    ids = found.to_numpy(dtype=object).tolist()
    rank = np.empty(len(ids) + 1, dtype=np.int64)
    rank[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    rank[-1] = -1
    return rank[codes]


def _people(place: Codes | None, size: int) -> Codes:
    """Number the customers of rows; those without one follow, each by itself."""
    if place is None:
        return np.arange(size)
    lost = place < 0
    return np.where(lost, place.max(initial=-1) + np.cumsum(lost), place)


def _ordered(values: Numbers, weight: Numbers, people: Codes, place: Codes | None) -> tuple[Codes, Codes]:
    """Return an order of the rows that is the same whatever order they came in, and the customers numbered in it."""
    keys = [*values.T[::-1], weight]
    if place is None:
        order = np.lexsort(keys)
        return order, np.arange(len(order))
    order = np.lexsort([*keys, np.where(place < 0, len(place), place)])
    return order, pd.factorize(people[order])[0].astype(np.int64)


def _separable(drivers: tuple[Driver, ...], values: Numbers) -> tuple[Driver, ...]:
    """Mark drivers that were hardly ever answered together with another: what each adds cannot be told apart."""
    some = [driver for driver in drivers if driver.skipped > 0 and driver.number and not driver.fault]
    if len(some) < 2:
        return drivers
    known = np.column_stack([~np.isnan(values[:, driver.columns[0]]) for driver in some]).astype(float)
    together, faults = known.T @ known, {}
    for place, driver in enumerate(some):
        strange = [other.name for number, other in enumerate(some) if together[place, number] < FEW_ANSWERS]
        if strange:
            faults[driver.name] = f"hardly ever answered together with {', '.join(strange)}"
    return tuple(_faulty(driver, faults.get(driver.name, "")) for driver in drivers)


def _faulty(driver: Driver, fault: str) -> Driver:
    """Return the driver with a fault, and without columns, where there is one."""
    return replace(driver, columns=(), fault=fault) if fault else driver
