"""Months and local time of the demo company, as arrays."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from cxlib.data.demo.truths import BASE_MONTH, FIRST_MONTH, LAST_MONTH, TIMEZONE

DAY = 86_400
_FIRST = np.datetime64(FIRST_MONTH, "M")
MONTHS = int((np.datetime64(LAST_MONTH, "M") - _FIRST).astype(int)) + 1
BASE_MONTHS = int((_FIRST - np.datetime64(BASE_MONTH, "M")).astype(int))
# Local clock hours at which things happen; the small hours are left out, so no clock change is ever hit.
_HOURS = np.array([0, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
_SHARES = np.array([2, 2, 4, 6, 8, 8, 8, 6, 5, 5, 6, 7, 8, 8, 7, 5, 3, 2]) / 100


def index(label: str) -> int:
    """Return the month's number: 0 for 2023-11."""
    return int((np.datetime64(label, "M") - _FIRST).astype(int))


def label(month: int) -> str:
    """Return the label of a month's number."""
    return str(_FIRST + np.timedelta64(month, "M"))


def first_day(months: np.ndarray) -> np.ndarray:
    """Return the first day of each month, in days since 1970."""
    return (_FIRST + np.asarray(months).astype("timedelta64[M]")).astype("datetime64[D]").astype(np.int64)


def days_in(months: np.ndarray) -> np.ndarray:
    """Return the number of days of each month."""
    return first_day(np.asarray(months) + 1) - first_day(months)


def month_of_year(months: np.ndarray) -> np.ndarray:
    """Return 0 for January to 11 for December."""
    return (np.asarray(months) + index_of_year()) % 12


def index_of_year() -> int:
    """Return the month of the year of month 0."""
    return int(FIRST_MONTH[5:]) - 1


@lru_cache
def _offsets() -> tuple[int, np.ndarray]:
    """Return the first day of the table and the seconds that local time is ahead of UTC at noon of each day."""
    zone, start = ZoneInfo(TIMEZONE), int(first_day(np.array([-BASE_MONTHS]))[0])
    stop = int(first_day(np.array([MONTHS + 3]))[0])
    noons = (datetime.fromtimestamp(day * DAY + DAY // 2, UTC).replace(tzinfo=None) for day in range(start, stop))
    return start, np.array([int(zone.utcoffset(noon).total_seconds()) for noon in noons])  # type: ignore[union-attr]


def to_utc(local: np.ndarray) -> np.ndarray:
    """Return UTC seconds for local seconds since 1970."""
    start, offsets = _offsets()
    return local - offsets[local // DAY - start]


def at_some_hour(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return UTC seconds on local `days`, at times of day that people keep."""
    hour = rng.choice(_HOURS, size=len(days), p=_SHARES)
    return to_utc(days * DAY + hour * 3600 + rng.integers(0, 3600, len(days)))


@lru_cache
def end_of_data() -> int:
    """Return the UTC second at which the last month ends in local time: nothing is known after it."""
    return int(to_utc(first_day(np.array([MONTHS])) * DAY)[0])
