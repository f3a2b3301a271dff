"""What comes in is checked here, once: columns, moments, numbers and labels."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.doors import whole as check_whole
from cxlib.analysis.hiding import hide
from cxlib.measure.rows import Numbers

__all__ = ["Numbers", "check_columns", "check_whole", "hide", "last_moment", "moments_of", "numbers_of"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def check_columns(found: Iterable[str], wanted: Iterable[str], what: str) -> None:
    """Raise `UsageError` naming every column of `wanted` that `found` lacks."""
    doors.require(found, wanted, what)


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
