"""Times and numbers as SQL: from the way a tool writes them to one way, or null where a cell is written otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cxlib.data.reading.quoting import name, text
from cxlib.params.intake import File, Time

MOMENT = "TIMESTAMP WITH TIME ZONE"
_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_ZONE = r"\s*(Z|[+-]\d{2}(:?\d{2})?|UTC|[A-Za-z]+/[A-Za-z_/]+)"
_CONTROL = r"[\x00-\x1f\x7f]"
_LONGEST = 60  # characters of a value that a reason quotes
_UNIX = {  # digits that a moment of our age may have, and what makes microseconds of them
    "unix_seconds": (r"[+-]?\d{1,11}(\.\d{1,9})?", 1_000_000),
    "unix_milliseconds": (r"[+-]?\d{1,14}(\.\d{1,6})?", 1_000),
    "unix_microseconds": (r"[+-]?\d{1,17}(\.\d{1,3})?", 1),
}
_NUMBERS = {  # style -> what it looks like, the signs between thousands, the decimal sign
    "1234.56": (r"[+-]?(\d+(\.\d+)?|\.\d+)", "", "."),
    "1234,56": (r"[+-]?(\d+(,\d+)?|,\d+)", "", ","),
    "1,234.56": (r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", ",", "."),
    "1.234,56": (r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?", ".", ","),
    "1 234,56": ("[+-]?(\\d{1,3}([ \u00a0\u202f]\\d{3})+|\\d+)(,\\d+)?", " \u00a0\u202f", ","),
    "1'234.56": ("[+-]?(\\d{1,3}(['\u2019]\\d{3})+|\\d+)(\\.\\d+)?", "'\u2019", "."),
}


@dataclass(frozen=True)
class Cell:
    """One column that is read in a way of its own."""

    column: str
    value: str  # SQL for what it means, null where it cannot be read
    kind: str  # the type of `value`
    says: str  # what a cell is not that cannot be read


def cells(file: File, given: Mapping[str, str], zone: str) -> list[Cell]:
    """Return how the times and numbers of a file are read.

    Parameters
    ----------
    file
        What the source says of it.
    given
        Its columns, with their DuckDB types.
    zone
        The source's timezone.
    """
    found = [_time(column, time, given[column], time.timezone or zone, file) for column, time in file.times.items()]
    return found + [_number(column, style, given[column]) for column, style in file.numbers.items()]


def _time(column: str, time: Time, given: str, zone: str, file: File) -> Cell:
    """Return how one column of times is read."""
    raw = name(column)
    kind = "DATE" if time.is_date else MOMENT
    says = f"is not a {'date' if time.is_date else 'time'} written as {time.format}"
    if given == MOMENT:
        value = f"timezone({text(zone)}, {raw})::DATE" if time.is_date else raw
    elif given == "DATE" or given.startswith("TIMESTAMP"):
        value = f"{raw}::DATE" if time.is_date else _moment(f"{raw}::TIMESTAMP", zone)
    else:
        raw = raw if given == "VARCHAR" else f"{raw}::VARCHAR"
        value = _parsed(raw, time, zone)
        # A real date cell of a workbook comes as ISO text, however its text cells are written.
        other = "" if file.format != "excel" else _iso_day(raw) if time.is_date else _iso(raw, zone)
        value = f"coalesce({value}, {other})" if other else value
    return Cell(column, value, kind, says)


def _parsed(words: str, time: Time, zone: str) -> str:
    """Return SQL for a time from text; what casts a text to a time passes over blanks around it."""
    if time.format in _UNIX:
        digits, factor = _UNIX[time.format]
        micros = f"(try_cast({words} AS DECIMAL(38, 9)) * {factor})::BIGINT"
        return f"CASE WHEN {_is(words, digits)} THEN make_timestamptz({micros}) END"
    if time.format == "iso":
        return _iso(words, zone)
    if time.format == "date":
        return f"CASE WHEN {_is(words, _DAY)} THEN try_cast({words} AS DATE) END"
    return _pattern(words, time, zone)


def _is(words: str, pattern: str) -> str:
    """Return SQL that says whether a text has a shape, blanks around it aside."""
    return f"regexp_full_match({words}, {text(f' *({pattern}) *')})"


def _moment(local: str, zone: str) -> str:
    """Return SQL for the moment of a local time; changing clocks are read as `rules.typed` says."""
    # The same as timezone('UTC', ...), in a third of the time.
    return f"make_timestamptz(epoch_us({local}))" if zone == "UTC" else f"timezone({text(zone)}, {local})"


def _iso(words: str, zone: str) -> str:
    """Return SQL for a moment of ISO text, with a zone of its own or in `zone`."""
    plain = f"{words} LIKE '____-__-__ __:__:__' OR {words} LIKE '____-__-__T__:__:__'"  # faster than what follows
    local = f"CASE WHEN {plain} OR {_is(words, f'{_DAY}([ T]{_CLOCK})?')} THEN try_cast({words} AS TIMESTAMP) END"
    # A cast to TIMESTAMP would drop an offset without a word, and a cast to TIMESTAMPTZ wants seconds before a zone and
    # no blank before an offset.
    whole = f"regexp_replace({words}, '([ T]\\d{{1,2}}:\\d{{2}})(\\s*[^\\s:\\d])', '\\1:00\\2')"
    close = f"regexp_replace({whole}, '\\s+([-+Z])', '\\1')"
    zoned = f"CASE WHEN {_is(words, f'{_DAY}[ T]{_CLOCK}{_ZONE}')} THEN try_cast({close} AS TIMESTAMPTZ) END"
    return f"coalesce({_moment(local, zone)}, {zoned})"


def _iso_day(words: str) -> str:
    """Return SQL for the day of ISO text."""
    return f"CASE WHEN {_is(words, f'{_DAY}([ T]{_CLOCK})?')} THEN try_cast({words} AS DATE) END"


def _pattern(words: str, time: Time, zone: str) -> str:
    """Return SQL for a time of a strptime pattern."""
    found = f"try_strptime({words}, {text(time.format)})"
    zoned = bool(re.search("%[zZ]", time.format))
    exact = []
    if "%Y" in time.format:  # which takes the 26 of 31/12/26 for a year
        exact.append(f"year({found}) >= 1000")
    if re.search("%[a-zA-Z]%", time.format) and not zoned:  # which takes 2026111 for 1 November, or 11 January
        exact.append(f"strftime({found}, {text(time.format)}) = trim({words})")
    value = f"{found}::DATE" if time.is_date else found if zoned else _moment(f"{found}::TIMESTAMP", zone)
    return f"CASE WHEN {' AND '.join(exact)} THEN {value} END" if exact else value


def _number(column: str, style: str, given: str) -> Cell:
    """Return how one column of numbers is read: as plain text, `1234.56`."""
    words, says = _words(column), f"is not a number written as {style}"
    if given != "VARCHAR":
        return Cell(column, f"{name(column)}::VARCHAR", "VARCHAR", says)
    pattern, between, sign = _NUMBERS[style]
    plain = f"translate({words}, {text(between + '+')}, '')"
    plain = f"replace({plain}, {text(sign)}, '.')" if sign != "." else plain
    return Cell(column, f"CASE WHEN regexp_full_match({words}, {text(pattern)}) THEN {plain} END", "VARCHAR", says)


def in_style(number: str, style: str) -> str:
    """Write a plain number as a style does, for cells that are numbers in truth."""
    return number.replace(".", _NUMBERS[style][2])


def _words(column: str) -> str:
    """Return SQL for a cell without blanks around it; null where it is empty."""
    return f"nullif(trim({name(column)}::VARCHAR), '')"


def unread(cell: Cell) -> str:
    """Return SQL that says why a cell cannot be read; null where it can, or is empty."""
    plain = f"regexp_replace(left({_words(cell.column)}, {_LONGEST}), {text(_CONTROL)}, '\ufffd', 'g')"
    says = f"{text(f'{cell.column} ' + chr(39))} || {plain} || {text(chr(39) + f' {cell.says}')}"
    return f"CASE WHEN {name(value_of(cell))} IS NULL AND {name(cell.column)} IS NOT NULL THEN {says} END"


def value_of(cell: Cell) -> str:
    """Name the column that holds the value beside the one that holds the text."""
    return f"cx value {cell.column}"
