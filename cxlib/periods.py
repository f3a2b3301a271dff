"""Months, quarters and ISO weeks, cut in the reporting timezone.

A period is a stretch of local calendar days; `bounds` turns it into naive UTC times, as the store holds them. The
bounds of successive periods meet, so every moment lies in exactly one period of a kind, whatever the clocks do.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from cxlib.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from babel import Locale

KINDS = ("month", "quarter", "week")
FIRST_YEAR, LAST_YEAR = 1900, 2999

# English, spelled out: strftime and calendar follow the machine's locale, and a report may not. The rest is CLDR's.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_locale = "en"  # of the titles of periods in this process
_PATTERN = re.compile(r"([0-9]{4})-(?:([0-9]{2})|Q([0-9])|W([0-9]{2}))")
_FORMS = "write a month as 2026-10, a quarter as 2026-Q3, an ISO week as 2026-W40"
_DAY = timedelta(days=1)
_FIRST_NOT_DRAWN = 0x530  # Latin, Greek and Cyrillic come before
_MARKS = str.maketrans("", "", "\u200e\u200f")  # of direction


@dataclass(frozen=True, order=True)
class Period:
    """One month, quarter or ISO week; ordered by time.

    Build it with `Period.parse`, `Period.containing` or `Period.range`.

    Parameters
    ----------
    first_day
        Its first local day.
    kind
        `month`, `quarter` or `week`.

    Raises
    ------
    UsageError
        For a kind that does not exist, a day that starts no period of its kind, a year outside 1900 to 2999.
    """

    first_day: date
    kind: str

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        if not FIRST_YEAR <= _year(self.first_day, self.kind) <= LAST_YEAR:
            raise UsageError(f"no {self.kind} of {self.first_day.year}: years run {FIRST_YEAR} to {LAST_YEAR}")
        if _start_of(self.first_day, self.kind) != self.first_day:
            raise UsageError(f"{self.first_day} is not the first day of a {self.kind}")

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `2026-10`, `2026-Q3` or `2026-W40` (ISO week, which begins on Monday).

        Raises
        ------
        UsageError
            For anything else; the message says what is allowed and what was given.
        """
        found = _PATTERN.fullmatch(str(text).strip().upper())
        if found is None:
            raise UsageError(f"'{text}' is not a period: {_FORMS}")
        year, month, quarter, week = (int(part) if part else None for part in found.groups())
        if year is None or not FIRST_YEAR <= year <= LAST_YEAR:
            raise UsageError(f"'{text}' is not a period: years run {FIRST_YEAR} to {LAST_YEAR}")
        if month is not None:
            _check_number(text, month, "months run 01 to 12", 12)
            return cls(date(year, month, 1), "month")
        if quarter is not None:
            _check_number(text, quarter, "quarters run Q1 to Q4", 4)
            return cls(date(year, 3 * quarter - 2, 1), "quarter")
        last = _weeks_of(year)
        _check_number(text, week or 0, f"the weeks of {year} run W01 to W{last}", last)
        return cls(date.fromisocalendar(year, week or 0, 1), "week")

    @classmethod
    def containing(cls, moment: datetime, kind: str, timezone: str) -> Period:
        """Return the period of `kind` that a moment belongs to.

        Parameters
        ----------
        moment
            Naive UTC, as in the store (a moment with a zone is converted).
        kind
            `month`, `quarter` or `week`.
        timezone
            The reporting timezone, an IANA name.
        """
        _check_kind(kind)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        day = moment.astimezone(_zone(timezone)).date()
        period = cls(_start_of(day, kind), kind)
        start, end = period.bounds(timezone)
        # Where clocks go back over midnight a local day comes twice; the bounds decide, so that time is tiled.
        naive = moment.astimezone(UTC).replace(tzinfo=None)
        return period.previous() if naive < start else period.next() if naive >= end else period

    @classmethod
    def last_closed(cls, latest: datetime, kind: str, timezone: str) -> Period:
        """Return the last complete period, given the latest event time in a snapshot.

        A period is closed once the data reach its last local day.

        Parameters
        ----------
        latest
            Naive UTC time of the latest event: the data's time, never the clock's.
        kind
            `month`, `quarter` or `week`.
        timezone
            The reporting timezone, an IANA name.
        """
        period = cls.containing(latest, kind, timezone)
        moment = latest if latest.tzinfo is None else latest.astimezone(UTC).replace(tzinfo=None)
        return period if moment >= midnight(period.next_day - _DAY, timezone) else period.previous()

    @classmethod
    def range(cls, first: Period | str, last: Period | str) -> list[Period]:
        """Return all periods from `first` to `last`, both included, oldest first.

        Raises
        ------
        UsageError
            Where the two differ in kind or `last` precedes `first`.
        """
        first = cls.parse(first) if isinstance(first, str) else first
        last = cls.parse(last) if isinstance(last, str) else last
        if first.kind != last.kind:
            raise UsageError(f"{first} is a {first.kind} and {last} a {last.kind}: a range has one kind")
        if last < first:
            raise UsageError(f"the range from {first} to {last} runs backwards; did you mean {last} to {first}?")
        found = [first]
        while found[-1] != last:
            found.append(found[-1].next())
        return found

    @property
    def label(self) -> str:
        """`2026-10`, `2026-Q3` or `2026-W40`."""
        if self.kind == "week":
            year, week, _ = self.first_day.isocalendar()
            return f"{year}-W{week:02d}"
        if self.kind == "quarter":
            return f"{self.first_day.year}-Q{(self.first_day.month + 2) // 3}"
        return f"{self.first_day.year}-{self.first_day.month:02d}"

    def __str__(self) -> str:
        return self.label

    @property
    def title(self) -> str:
        """For people: `October 2026` or what `name_months` asked for, `Q3 2026`, `week 40 of 2026`."""
        year, _, number = self.label.partition("-")
        if self.kind == "week":
            return f"week {int(number[1:])} of {year}"
        return f"{number} {year}" if self.kind == "quarter" else month_title(self.first_day, _locale)

    @property
    def short(self) -> str:
        """For axes: the month in three letters or what `name_months` asked for, else its number: `Oct`, `Q3`, `W40`."""
        if self.kind != "month":
            return self.label.partition("-")[2]
        return _abbreviated(self.first_day.month, _locale)

    @property
    def next_day(self) -> date:
        """The day after its last."""
        if self.kind == "week":
            return self.first_day + 7 * _DAY
        return _add_months(self.first_day, 3 if self.kind == "quarter" else 1)

    def bounds(self, timezone: str) -> tuple[datetime, datetime]:
        """Return start and exclusive end as naive UTC times.

        Raises `UsageError` for a timezone that does not exist.
        """
        return midnight(self.first_day, timezone), midnight(self.next_day, timezone)

    def hours(self, timezone: str) -> float:
        """Return the hours that really pass in it: March 2026 has 743 in Madrid, October 745."""
        start, end = self.bounds(timezone)
        return (end - start) / timedelta(hours=1)

    def next(self, n: int = 1) -> Period:
        """Return the period `n` later."""
        if self.kind == "week":
            return Period(self.first_day + 7 * n * _DAY, "week")
        return Period(_add_months(self.first_day, n * (3 if self.kind == "quarter" else 1)), self.kind)

    def previous(self, n: int = 1) -> Period:
        """Return the period `n` earlier."""
        return self.next(-n)

    def year_ago(self) -> Period:
        """Return the period of the same number one year earlier; for a week 53 that year's last week."""
        if self.kind != "week":
            return Period(_add_months(self.first_day, -12), self.kind)
        year, week, _ = self.first_day.isocalendar()
        return Period(date.fromisocalendar(year - 1, min(week, _weeks_of(year - 1)), 1), "week")

    def last(self, n: int) -> list[Period]:
        """Return the `n` periods that end with this one, oldest first."""
        if n < 1:
            raise UsageError(f"the last {n} periods: at least 1 is needed")
        return [self.previous(back) for back in range(n - 1, -1, -1)]

    def months(self) -> list[str]:
        """Return the labels of the months that it touches: partitions of the store, oldest first."""
        first, last = (day.replace(day=1) for day in (self.first_day, self.next_day - _DAY))
        return [str(month) for month in Period.range(Period(first, "month"), Period(last, "month"))]


def name_months(locale: str) -> None:
    """Write the titles of this process' months as a locale does: `octubre de 2026`."""
    global _locale
    _locale = locale


def month_title(day: date, locale: str) -> str:
    """Return the month of a day: `October 2026`, `octubre de 2026`."""
    return _named(day.replace(day=1), locale, whole=False) or f"{_MONTHS[day.month - 1]} {day.year}"


def day_title(day: date, locale: str) -> str:
    """Return a day: `31 October 2026`, `31 de octubre de 2026`."""
    return _named(day, locale, whole=True) or f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


@functools.cache
def known_locale(locale: str) -> Locale | None:
    """Return what CLDR knows of a locale, written as `pt-BR` or `pt_BR`; None where it knows none."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return None


@functools.cache
def _abbreviated(month: int, locale: str) -> str:
    """Return a month in a few letters, as a number where charts lack the letters."""
    known = None if locale == "en" else known_locale(locale)
    if known is None or known.language == "en":
        return _MONTHS[month - 1][:3]
    told = str(known.months["stand-alone"]["abbreviated"][month]).rstrip(".")
    return str(month) if _undrawn(told) else told


def _undrawn(words: str) -> bool:
    return any(letter.isalpha() and ord(letter) >= _FIRST_NOT_DRAWN for letter in words)


@functools.cache
def _named(day: date, locale: str, *, whole: bool) -> str:
    """Return a day or its month as CLDR has it, in digits where charts lack the letters; '' for the house's English."""
    if locale.replace("_", "-") in ("en", "en-GB"):
        return ""
    known = known_locale(locale)
    if known is None:
        return ""
    from babel.dates import format_date, format_skeleton

    told = format_date(day, "long", locale=known) if whole else format_skeleton("yMMMM", day, locale=known)
    if _undrawn(told):
        told = format_skeleton("yMd" if whole else "yM", day, locale=known)
    return str(told).translate(_MARKS)


def _check_kind(kind: str) -> None:
    """Refuse a kind that does not exist."""
    if kind not in KINDS:
        raise UsageError(f"'{kind}' is no kind of period; there are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")


def _check_number(text: str, number: int, allowed: str, last: int) -> None:
    """Refuse the 13th month and its like."""
    if not 1 <= number <= last:
        raise UsageError(f"'{text}' is not a period: {allowed}")


def _zone(timezone: str) -> ZoneInfo:
    """Return the zone; an unknown one is the caller's fault and named."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        near = did_you_mean(timezone, available_timezones())
        raise UsageError(f"'{timezone}' is not a timezone{near or '; write one as Europe/Madrid'}") from None


def midnight(day: date, timezone: str) -> datetime:
    """Return the start of a local day in naive UTC.

    Where midnight comes twice the first counts. Where clocks jump over it, `fold=0` reads it by the offset before the
    jump, which is the moment of the jump: the first that the day has.
    """
    return datetime.combine(day, time(), _zone(timezone)).astimezone(UTC).replace(tzinfo=None)


def _year(day: date, kind: str) -> int:
    """Return the year that a period is counted in; a week belongs to the year of its Thursday."""
    return day.isocalendar().year if kind == "week" else day.year


def _start_of(day: date, kind: str) -> date:
    """Return the first day of the period of `kind` around `day`."""
    if kind == "week":
        return day - day.weekday() * _DAY
    return day.replace(day=1, month=day.month if kind == "month" else day.month - (day.month - 1) % 3)


def _weeks_of(year: int) -> int:
    """Return 52 or 53: the 28th of December always lies in a year's last ISO week."""
    return date(year, 12, 28).isocalendar().week


def _add_months(day: date, n: int) -> date:
    """Return the same day of the month `n` months later (for first days only)."""
    year, month = divmod(day.year * 12 + day.month - 1 + n, 12)
    if not FIRST_YEAR <= year <= LAST_YEAR + 1:
        raise UsageError(f"{n} months from {day} leaves the years {FIRST_YEAR} to {LAST_YEAR}")
    return date(year, month + 1, 1)
