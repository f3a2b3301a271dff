"""What comes in is checked here, once: columns, moments, numbers and labels."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.doors import whole as check_whole
from cxlib.measure.rows import Numbers

__all__ = ["Numbers", "check_columns", "check_whole", "hide", "last_moment", "moments_of", "numbers_of"]

_SMALL, _WITH = "fewer answers than may be shown", "hidden so that a smaller level cannot be worked out"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_columns(found: Iterable[str], wanted: Iterable[str], what: str) -> None:
    """Raise `UsageError` naming every column of `wanted` that `found` lacks."""
    doors.require(found, wanted, what)


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
    given = as_of.strip() if isinstance(as_of, str) else as_of
    day = isinstance(given, str) and _DAY.fullmatch(given) is not None
    day = day or (isinstance(given, dt.date) and not isinstance(given, dt.datetime))
    moment = doors.moment("as_of", given)
    return (moment + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)) if day else moment


def moments_of(column: pd.Series, name: str) -> pd.Series:
    """Return times as `doors.moments`: without a zone, in UTC."""
    return doors.moments(name, column)


def numbers_of(column: pd.Series, name: str) -> Numbers:
    """Return numbers as `doors.numbers`; a feature that is infinite is as good as none, and missing."""
    return doors.numbers(name, column, infinite_missing=True)
