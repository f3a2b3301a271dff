"""What comes into this room is converted and checked here, once: numbers, days and customers, whatever holds them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib.analysis.doors import Mask, moment, numbers, require
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.rows import Codes, Numbers

DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375, "year": 365.25}
_SLACK = 1e-9  # of a time; published summaries are rounded to hundredths, equal ones alike


def counts(frequency: ArrayLike, recency: ArrayLike, T: ArrayLike) -> tuple[Numbers, Numbers, Numbers]:  # noqa: N803
    """Return repeat purchases, time of the last one and time observed, of one shape; all faults told at once."""
    given = {"frequency": frequency, "recency": recency, "T": T}
    arrays = broadcast({name: numbers(name, value, infinite_missing=True) for name, value in given.items()})
    x, t_x, end = arrays
    known = ~np.isnan(x) & ~np.isnan(t_x) & ~np.isnan(end)
    bought = x > 0
    faults = {
        "without a frequency, recency or T": ~known,
        "with a frequency that is no whole number from 0 on": known & ((x < 0) | (x != np.floor(x))),
        "with T below 0": known & (end < 0),
        "with recency after T": known & (t_x > end + _SLACK),
        "with repeat purchases but a recency of 0 or less": known & bought & (t_x <= 0),
        "with a recency but no repeat purchase": known & ~bought & (t_x != 0),
    }
    _refuse(faults, "Frequency counts repeat purchases, recency is the time from the first to the last, T to the end.")
    return x, t_x, end


def spending(frequency: ArrayLike, monetary_value: ArrayLike) -> tuple[Numbers, Numbers]:
    """Return repeat purchases and their mean amount, of one shape; without repeats the amount is not looked at."""
    given = {"frequency": frequency, "monetary_value": monetary_value}
    x, mean = broadcast({name: numbers(name, value, infinite_missing=True) for name, value in given.items()})
    _refuse(
        {
            "with a frequency that is no whole number from 0 on": ~(x >= 0) | (x != np.floor(x)),
            "with repeat purchases but no finite monetary_value": (x > 0) & np.isnan(mean),
        },
        "The monetary value is the mean amount of the repeat purchases.",
    )
    return x, mean


def _refuse(faults: dict[str, Mask], hint: str) -> None:
    """Raise `UsageError` with every kind of fault, how many rows have it, and the first of them."""
    told = [
        f"{int(np.count_nonzero(wrong))} {words} (first: row {int(np.flatnonzero(wrong)[0])})"
        for words, wrong in faults.items()
        if np.any(wrong)
    ]
    if told:
        raise UsageError(f"customers cannot be used: {'; '.join(told)}", hint=hint)


def broadcast(arrays: dict[str, Numbers]) -> tuple[Numbers, ...]:
    """Return arrays of one shape, or raise `UsageError` with the shapes."""
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in arrays.items())
        raise UsageError(f"the shapes do not fit: {shapes}") from None


def alike(*arrays: Numbers) -> tuple[list[Numbers], Codes, Codes]:
    """Return the distinct rows of columns (n,), sorted, which of them each row is, and how often each occurs."""
    key, known = np.zeros(arrays[0].size, dtype=np.int64), []
    for values in arrays:
        levels, codes = distinct(values)
        known.append(levels)
        key = key * levels.size + codes
    of, found = pd.factorize(key, sort=True)
    places = np.unravel_index(found, [max(levels.size, 1) for levels in known])
    columns_ = [np.asarray(levels[place], dtype=np.float64) for levels, place in zip(known, places, strict=True)]
    return columns_, of.astype(np.int64), np.bincount(of, minlength=found.size)


def distinct(values: Numbers) -> tuple[Numbers, Codes]:
    """Return the distinct numbers, sorted, and which of them each is; by hashing, ten times as fast as sorting all."""
    codes, levels = pd.factorize(values, sort=True)
    return np.asarray(levels, dtype=np.float64), codes.astype(np.int64)


def totals(codes: Codes, values: Numbers, size: int) -> Numbers:
    """Return the sum of values by code, shape (size,)."""
    return np.bincount(codes, values, size).astype(np.float64)


def day(name: str, value: str | dt.date | pd.Timestamp) -> pd.Timestamp:
    """Return one day as a midnight; raises `UsageError` where it is none, and for a time with a zone."""
    return moment(name, value, zones=False).normalize()


def days_per(unit: str) -> float:
    """Return the days of a unit of time; raises `UsageError` for one that is not known."""
    if unit not in DAYS:
        raise UsageError(f"'{unit}' is no unit of time; there are {', '.join(DAYS)}{did_you_mean(unit, DAYS)}")
    return DAYS[unit]


def columns(held: list[str], wanted: dict[str, str | None]) -> None:
    """Raise `UsageError` where a column that an argument names is not there."""
    require(held, {what: name for what, name in wanted.items() if name is not None}, "the transactions")
