"""How a text is laid out: what parts its fields, which lines come before the header, and how many rows it takes."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from cxlib.data.proposal.kinds import kind_of
from cxlib.data.reading.heads import titles
from cxlib.params.intake import File

DELIMITERS = (",", ";", "\t", "|")
BLANKS = " "  # runs of blanks, as a program prints a table: read as whole lines, cut by SQL
_LOOKED_AT = 300  # records that tell the layout
_TITLES = 20  # lines that may come before the header
_SURVEYMONKEY = ("response", "open-ended response", "other (please specify)")


class Record(NamedTuple):
    """One record of a file: the row that a spreadsheet shows it in (0: not known), its line, its fields."""

    row: int
    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Header:
    """Where the header of a file is, and the columns that it names.

    `titles` are the words of each column for people: a survey's question where its column is called `Q1`.
    """

    skip: int
    rows: int
    columns: tuple[str, ...]
    titles: tuple[str, ...]
    how: Literal["first", "joined"] = "first"
    why: str = ""
    doubt: str = ""
    body: int = 1  # the place of the first record of data


def records(text: str, delimiter: str) -> Iterator[Record]:
    """Yield the records of a text; blank lines are passed over, and what breaks the rules of quotes ends it."""
    if delimiter == BLANKS:
        lines = enumerate(text.splitlines(), start=1)
        yield from (Record(number, number, tuple(words.split())) for number, words in lines if words.strip())
        return
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 0
    try:
        for row, cells in enumerate(reader, start=1):
            if cells:
                yield Record(row, line + 1, tuple(cells))
            line = reader.line_num
    except csv.Error:  # a quote that never ends
        return


def parting(text: str) -> tuple[str, int, str]:
    """Guess what parts the fields; return it, the lines of a `sep=` mark, and why."""
    mark = re.match(r"sep=(.)\r?\n", text)
    if mark:
        return mark[1], 1, "its first line says so"
    start = text[: 1 << 20]
    scores = {sign: _evenness(start, sign) for sign in DELIMITERS}
    best = max(DELIMITERS, key=lambda sign: scores[sign])
    share, width = scores[best]
    if width > 1 and share >= 0.5:
        return best, 0, f"{width} fields in {'every row' if share == 1 else 'most rows'}"
    share, width = _evenness(start, BLANKS)
    if width > 1 and share >= 0.95 and _is_figures(start):
        return BLANKS, 0, f"{width} words in every line"
    return ",", 0, "one column only"


def _is_figures(text: str) -> bool:
    """Say whether the words of a text are mostly numbers and times, as a program prints a table."""
    words = [word for line in text.splitlines()[1:_LOOKED_AT] for word in line.split()]
    return sum(kind_of(word) != "text" for word in words) > len(words) / 2


def _evenness(text: str, sign: str) -> tuple[float, int]:
    """Return the share of records that have the commonest number of fields, and that number."""
    widths = [len(record.cells) for record, _ in zip(records(text, sign), range(_LOOKED_AT), strict=False)]
    body = widths[1:-1] if len(widths) > 4 else widths  # a title, and a record that the cut broke
    if not body:
        return 0.0, 0
    width, times = Counter(body).most_common(1)[0]
    return (times / len(body), width) if width > 1 else (0.0, 1)


def header(found: Sequence[Record]) -> Header:
    """Find the header among the first records of a file."""
    if not found:
        return Header(0, 1, (), (), doubt="the file is empty", body=0)
    first = _after_titles(found[:_LOOKED_AT])
    skip = found[first].line - 1
    rows = [record.cells for record in found[first : first + _LOOKED_AT]]
    made = _qualtrics(rows, skip) or _surveymonkey(rows, skip) or _without(rows, skip) or _plain(rows, skip)
    return _placed(made, first)


def _placed(made: Header, first: int) -> Header:
    """Return a header with the place of the first record of data; a header that cannot be used is written anew."""
    body = first + made.rows
    broken = [column for column in made.columns if not column.isprintable() or "\ufffd" in column]
    small = Counter(column.lower() for column in made.columns)  # the engine does not tell Id from ID
    twice = [column for column in made.columns if small[column.lower()] > 1]
    if not (broken or twice):
        return replace(made, body=body)
    seen: Counter[str] = Counter()
    columns = []
    for column in made.columns:
        column = "".join(letter if letter.isprintable() and letter != "\ufffd" else "_" for letter in column)
        seen[column.lower()] += 1
        columns.append(column if seen[column.lower()] == 1 else f"{column} {seen[column.lower()]}")
    doubts = ["the header holds letters that cannot be read"] * bool(broken)
    named = ", ".join(repr(title) for title in dict.fromkeys(twice))
    doubts += [f"the header names {named} more than once: what is what?"] * bool(twice)
    why = "the header is passed over, and its names written here"
    return Header(made.skip + made.rows, 0, tuple(columns), made.titles, "first", why, "; ".join(doubts), body)


def _after_titles(found: Sequence[Record]) -> int:
    """Return the place of the first record that is not a title: such lines are short, and the table is wide."""
    width = Counter(len(record.cells) for record in found).most_common(1)[0][0]
    for place, record in enumerate(found[:_TITLES]):
        filled = sum(bool(cell.strip()) for cell in record.cells)
        short = len(record.cells) < width if width < 4 else filled <= min(2, width // 2)
        if filled and not short:
            return place
    return 0


def _qualtrics(rows: Sequence[tuple[str, ...]], skip: int) -> Header | None:
    """Recognise the three header rows of Qualtrics, or the two of its legacy layout."""
    if len(rows) > 2 and rows[2] and rows[2][0].startswith('{"ImportId"'):
        return Header(skip, 3, named(rows[:1]), _titles(rows[0], rows[1]), why="Qualtrics writes ImportId in the third")
    if len(rows) > 1 and rows[0][0].strip() == "V1" and re.sub(r"\W", "", rows[1][0].lower()) == "responseid":
        return Header(skip, 2, named(rows[:1]), _titles(rows[0], rows[1]), why="Qualtrics' legacy layout")
    return None


def _surveymonkey(rows: Sequence[tuple[str, ...]], skip: int) -> Header | None:
    """Recognise the second row of SurveyMonkey: `Response`, or an option of a question that spans columns."""
    if len(rows) < 2 or len(rows[0]) != len(rows[1]) or not rows[0][0].strip() or rows[1][0].strip():
        return None
    second = [cell.strip() for cell in rows[1]]
    options = sum(bool(below) and not above.strip() for above, below in zip(rows[0], second, strict=True))
    if not options and not any(cell.lower() in _SURVEYMONKEY for cell in second):
        return None
    columns = named(rows[:2], "joined")
    return Header(skip, 2, columns, columns, "joined", "SurveyMonkey writes the options in the second")


def _without(rows: Sequence[tuple[str, ...]], skip: int) -> Header | None:
    """Recognise a file whose first row is data: its fields are of the same kinds as those below them."""
    top, body = rows[0], rows[1:]
    if not body:
        return None
    typed, alike, again = 0, 0, 0
    for place, cell in enumerate(top):
        below = [row[place].strip() for row in body if place < len(row) and row[place].strip()]
        kinds = Counter(kind_of(value) for value in below)
        kind, times = kinds.most_common(1)[0] if kinds else ("text", 0)
        if kind != "text" and times >= 0.9 * len(below) and below:
            typed += 1
            alike += kind_of(cell.strip()) == kind
        again += cell.strip() in below
    if (typed and alike > typed / 2) or (not typed and again > len(top) / 2):
        columns = tuple(f"column{place}" for place in range(1, len(top) + 1))
        doubt = "the file seems to have no header: give its columns names that say what they are"
        return Header(skip, 0, columns, columns, why="its first row is data", doubt=doubt)
    return None


def _plain(rows: Sequence[tuple[str, ...]], skip: int) -> Header:
    """Return the first row as header."""
    columns = named(rows[:1])
    why = f"{skip} line{'s' * (skip > 1)} before it" if skip else ""
    return Header(skip, 1, columns, columns, why=why)


def named(rows: Sequence[Sequence[str]], how: Literal["first", "joined"] = "first") -> tuple[str, ...]:
    """Return the names of columns as the reader makes them of the rows of a header."""
    file = File(path="x", header_rows=len(rows), header=how)
    return tuple(titles([list(row) for row in rows], file))


def _titles(names: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of each column for people."""
    return tuple(words[place].strip() or cell if place < len(words) else cell for place, cell in enumerate(names))
