"""How the times of a column are written: a word or a strptime pattern, and the readings that are left where two fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from cxlib.data.proposal.kinds import TIME

_UNIX = {10: "unix_seconds", 13: "unix_milliseconds", 16: "unix_microseconds"}
_ISO_DATE, _ISO = "date", "iso"
_MONTH_FIRST = re.compile(r"en([-_]?(US|PH|PR|GU|AS|VI))?", re.IGNORECASE)  # of CLDR's locales
_LONG_MONTH = re.compile(r"[a-z]{4,}", re.IGNORECASE)


@dataclass(frozen=True)
class TimeGuess:
    """A guessed format; `fits` of the `seen` values are written so, `misfit` is one that is not.

    `other` is a second format that fits every value as well: then the column is ambiguous.
    """

    format: str
    timezone: str = ""  # where the text itself says it
    zoned: bool = False  # each value carries its offset
    fits: int = 0
    seen: int = 0
    misfit: str = ""
    other: str = ""
    settled_by: str = ""  # the value that tells day and month apart

    @property
    def is_date(self) -> bool:
        """Say whether it is a day without a clock."""
        return self.format == _ISO_DATE or (
            not self.format.startswith(("iso", "unix")) and not re.search(r"%[HI]", self.format)
        )

    @property
    def misfits(self) -> int:
        """How many values are written otherwise."""
        return self.seen - self.fits


def guess(
    values: Counter[str], *, named_so: bool, locale: str, habit: str = "", today: date | None = None
) -> TimeGuess | None:
    """Guess how the times of a column are written.

    Parameters
    ----------
    values
        The values and how often each was seen; nothing that stands for "missing".
    named_so
        Whether the column's name speaks of a time: plain digits are times only then.
    locale
        The workspace's, which decides what the values leave open.
    habit
        What another column of the file leaves no doubt about: `dm`, day first, or `md`.
    today
        What happened has happened: a reading that puts a value after this day is not the right one.

    Returns
    -------
    TimeGuess or None
        None where less than half of the values are times.
    """
    seen = sum(values.values())
    if not seen:
        return None
    digits = _digits(values, seen) if named_so else None
    if digits:
        return digits
    shapes: Counter[str] = Counter()
    for value, times in values.items():
        shapes[_shape(value)] += times
    del shapes[""]
    if not shapes or sum(shapes.values()) < seen / 2:
        return None
    iso = Counter({shape: many for shape, many in shapes.items() if shape.startswith("iso")})
    best, most = (shapes - iso).most_common(1)[0] if shapes - iso else ("", 0)
    if sum(iso.values()) >= most:
        return _of_iso(values, iso, seen)
    if best.startswith("%Y%m%d") and not named_so and seen < 20:
        return None
    twin = best.replace("%b", "%B") if "%b" in best else best.replace("%B", "%b")  # May is long and short
    mine = [value for value in values if _shape(value) == best or (_shape(value) == twin and "may" in value.lower())]
    first = "dm" if "1.2" in best else habit or ("md" if _MONTH_FIRST.fullmatch(locale) else "dm")
    return _settled(best, mine, values, first, certain=bool(habit) or "1.2" in best, today=today)


def decisive(found: TimeGuess | None) -> str:
    """Return the order of day and month of a column that leaves no doubt about it, "" where it says nothing."""
    if found is None or not found.settled_by:
        return ""
    return "dm" if found.format.index("%d") < found.format.index("%m") else "md"


def _digits(values: Counter[str], seen: int) -> TimeGuess | None:
    """Recognise seconds, or parts of them, since 1970."""
    for length, word in _UNIX.items():
        fits = sum(n for v, n in values.items() if len(v) == length and v.isdigit() and "08" < v[:2] < "22")
        if fits > seen / 2:
            misfit = next((v for v in values if len(v) != length or not v.isdigit()), "")
            return TimeGuess(word, zoned=True, fits=fits, seen=seen, misfit=misfit)
    return None


def _shape(value: str) -> str:
    """Return how one value is written, with `1/2` where day and month cannot be told apart by shape; "" for no time."""
    found = TIME.fullmatch(value)
    if not found:
        return ""
    day, clock, zone = _day(found), _clock(found), _zone(found)
    zone_iso = not found["zone"] or (not found["named"] or found["named"].upper() == "Z")
    if found["ymd"] and found["ysep"] == "-" and len(found["ymd"]) == 10 and not found["week"] and zone_iso:
        if not found["clock"]:
            return "iso date"
        if found["join"] in ("T", "t", " ") and len(found["clock"].split(":")[0]) == 2 and not found["half"]:
            return f"iso {'zoned' if found['zone'] else 'local'}"
    return day + clock + zone


def _day(found: re.Match[str]) -> str:
    """Return the pattern of the day."""
    week = ("%A" if len(found["week"].strip(", ")) > 3 else "%a") + found["comma"] + " " if found["week"] else ""
    if found["ymd"]:
        return f"{week}%Y{found['ysep']}%m{found['ysep']}%d"
    if found["eight"]:
        return f"{week}%Y%m%d"
    if found["two"]:
        return f"{week}1{found['sep']}2{found['sep']}{'%Y' if len(found['years']) == 4 else '%y'}"
    name = found["dname"] or found["mname"]
    month = "%B" if _LONG_MONTH.fullmatch(name) else "%b"
    if found["dmy"]:
        year = "%Y" if len(found["dyear"]) == 4 else "%y"
        return f"{week}%d{found['dsep']}{month}{found['dsep']}{year}"
    return f"{week}{month} %d{found['mcomma']} %Y"


def _clock(found: re.Match[str]) -> str:
    """Return the pattern of the clock with what joins it to the day."""
    if not found["clock"]:
        return ""
    hour = "%I" if found["half"] else "%H"
    seconds = ":%S" if found["seconds"] else ""
    part = ".%f" if found["part"] else ""
    half = f"{found['hblank']}%p" if found["half"] else ""
    return f"{found['join']}{hour}:%M{seconds}{part}{half}"


def _zone(found: re.Match[str]) -> str:
    """Return the pattern of the zone: an offset, or the letters themselves."""
    if not found["zone"]:
        return ""
    return found["zblank"] + (found["named"] or "%z")


def _of_iso(values: Counter[str], shapes: Counter[str], seen: int) -> TimeGuess:
    """Return the guess for ISO 8601."""
    fits = sum(shapes.values())
    misfit = next((value for value in values if not _shape(value).startswith("iso")), "")
    word = _ISO_DATE if set(shapes) == {"iso date"} else _ISO
    return TimeGuess(word, zoned=set(shapes) == {"iso zoned"}, fits=fits, seen=seen, misfit=misfit)


def _settled(
    best: str, mine: Sequence[str], values: Counter[str], first: str, *, certain: bool, today: date | None
) -> TimeGuess:
    """Return the guess for the commonest shape; a value above 12 tells day and month apart, else `first` does."""
    seen = sum(values.values())
    zoned = "%z" in best
    letters = re.search(r" ?(?<!%)\b(UTC|GMT|Z)$", best)
    zone = "UTC" if letters else ""
    if "1" not in best:
        fits = sum(values[value] for value in mine)
        misfit = _other_than(mine, values)
        return TimeGuess(best, zone, zoned, fits, seen, misfit)
    readings = {order: _readable(mine, order, None) for order in ("dm", "md")}
    if readings["dm"] == readings["md"] and not certain:
        past = {order: _readable(mine, order, today) for order in ("dm", "md")}
        readings = past if past["dm"] != past["md"] and readings["dm"] in past.values() else readings
    counts = {order: sum(values[value] for value in found) for order, found in readings.items()}
    chosen = first if counts["md"] == counts["dm"] else max(counts, key=lambda order: counts[order])
    other = "dm" if chosen == "md" else "md"
    ambiguous = counts[chosen] == counts[other] and not certain
    decided = next((value for value in mine if value not in readings[other]), "")
    return TimeGuess(
        _ordered(best, chosen),
        zone,
        zoned,
        counts[chosen],
        seen,
        _other_than(readings[chosen], values),
        _ordered(best, other) if ambiguous else "",
        decided,
    )


def _readable(values: Iterable[str], order: str, today: date | None) -> set[str]:
    """Return the values that are days when they are read in an order, and no days to come."""
    found = set()
    for value in values:
        parts = TIME.fullmatch(value)
        day, month, year = (int(parts[name] or 0) for name in ("first", "second", "years")) if parts else (0, 0, 0)
        if order == "md":
            day, month = month, day
        try:
            moment = date(year + 2000 * (year < 100), month, day)
        except ValueError:
            continue
        if today is None or moment <= today:
            found.add(value)
    return found


def _ordered(shape: str, order: str) -> str:
    """Fill in day and month."""
    first, second = ("%d", "%m") if order == "dm" else ("%m", "%d")
    return re.sub(r"1([-/.])2", rf"{first}\g<1>{second}", shape, count=1)


def _other_than(fitting: Iterable[str], values: Iterable[str]) -> str:
    """Return the first value that is not among those that fit."""
    good = set(fitting)
    return next((value for value in values if value not in good), "")
