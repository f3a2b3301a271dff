"""What comes in is checked here, once: columns, moments, numbers and labels."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.errors import UsageError, did_you_mean

Numbers = NDArray[np.float64]

_SMALL, _WITH = "fewer answers than may be shown", "hidden so that a smaller level cannot be worked out"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_columns(found: Iterable[str], wanted: Iterable[str], what: str) -> None:
    """Raise `UsageError` naming every column of `wanted` that `found` lacks."""
    have = list(found)
    lacking = [f"'{name}'{did_you_mean(name, have)}" for name in wanted if name not in have]
    if lacking:
        raise UsageError(
            f"no column {', '.join(lacking)} in {what}", hint=f"There are {', '.join(map(str, have[:20]))}."
        )


def check_whole(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number between two limits, or raise `UsageError`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise UsageError(f"{name} {value!r} is no whole number from {least} to {most}")
    return int(value)


def hide(rows: pd.DataFrame, customers: Mapping[str, float], min_n: int) -> pd.DataFrame:
    """Suppress the rows of levels with fewer than `min_n` customers, and of enough others.

    Levels add up to all customers: one hidden alone could be worked out from the rest. So at least two are hidden, of
    `min_n` customers together, the smallest first. Levels without customers hide nobody and are not counted.

    Parameters
    ----------
    rows
        A result frame.
    customers
        Level -> its customers.
    min_n
        The least number that may be shown.
    """
    order = sorted((level for level in customers if customers[level] > 0), key=lambda level: (customers[level], level))
    small = [level for level in order if customers[level] < min_n]
    hidden = list(small)
    while hidden and len(hidden) < len(order) and (len(hidden) < 2 or sum(customers[x] for x in hidden) < min_n):
        hidden.append(order[len(hidden)])
    here, known = rows["level"].isin(hidden), rows["status"] == results.OK
    words = np.where(rows["level"].isin(small), _SMALL, _WITH)
    return results.conform(
        rows.assign(
            status=rows["status"].mask(here & known, results.SUPPRESSED), note=rows["note"].mask(here & known, words)
        )
    )


def last_moment(as_of: Any) -> pd.Timestamp:
    """Return the last moment that counts: a date is its whole day, a moment is itself; in UTC, without a zone.

    Raises `UsageError` for what is neither.
    """
    day = isinstance(as_of, str) and _DAY.fullmatch(as_of.strip()) is not None
    day = day or (isinstance(as_of, dt.date) and not isinstance(as_of, dt.datetime))
    try:
        moment = pd.Timestamp(as_of)
    except (TypeError, ValueError):
        moment = pd.NaT
    if moment is pd.NaT or isinstance(as_of, int | float):
        raise UsageError(f"as_of {as_of!r} is no date", hint='Write a date as "2026-10-31".')
    if moment.tzinfo is not None:
        moment = moment.tz_convert("UTC").tz_localize(None)
    return (moment + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)) if day else moment.floor("us")


def moments_of(column: pd.Series, name: str) -> pd.Series:
    """Return times without a zone, in UTC; text in ISO 8601 only, where day and month cannot be taken for each other.

    Raises `UsageError` for numbers, and for text that is no date, with how many there are.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        raise UsageError(f"{name} holds numbers, not dates", hint="Turn them into dates with their own format first.")
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return column.astype("datetime64[us]")
    found = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    wrong = column.notna() & found.isna()
    if wrong.any():
        raise UsageError(
            f"{name} has {int(wrong.sum())} values that are no date, the first {column[wrong].iloc[0]!r}",
            hint="Dates as text are read as 2026-10-31 or 2026-10-31 17:05:00.",
        )
    return found.dt.tz_localize(None).astype("datetime64[us]")


def numbers_of(column: pd.Series, name: str) -> Numbers:
    """Return numbers, NaN where missing or not finite; decimals and nullable types as well.

    Raises `UsageError` for what is no number, with how many there are.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):  # nullable numbers, too; decimals of Arrow are objects here
        found = column.to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.isfinite(found), found, np.nan)
    known = column.notna().to_numpy()
    found = np.full(len(column), np.nan)
    found[known] = pd.to_numeric(column[known].astype(object), errors="coerce").to_numpy(dtype=float)
    wrong = np.isnan(found) & known
    if wrong.any():
        first = column[wrong].iloc[0]
        raise UsageError(f"{name} has {int(wrong.sum())} values that are no number, the first {first!r}")
    return np.where(np.isfinite(found), found, np.nan)
