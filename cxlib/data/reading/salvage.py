"""Rows of delimited text whose quotes are not in order, one by one: slow, and only where the fast way stops.

A record is what RFC 4180 says, and a quote in the middle of an unquoted value is an ordinary letter. Where no record
can be read, its first line alone is given up and reading goes on with the next line: a quote that is opened and never
closed costs one line. After such a line the rest of a torn record may look like rows; until the first row with exactly
the right number of columns and no stray quote, such lines are given up too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cxlib.data.reading.facts import Bad, Layout

TOO_LONG = "it is longer than any row may be (16 MB)"
_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
_NOTHING = re.compile(rb"(?!)")


@dataclass(frozen=True)
class Step:
    """One record: where it ends, why it is bad where it is, and whether it leaves the reader in doubt."""

    end: int
    bad: Bad | None = None
    torn: bool = False


class Salvager:
    """Reads records of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        if not layout.quoted:
            self._record = self._row = _LINE
            self._value = self._values = self._open = _NOTHING
            return
        sign = re.escape(layout.delimiter.encode())
        quoted, end = rb'"(?:[^"]++|"")*+"', rb"(?:\r\n|\n|\r|\Z)"
        loose = rb'(?:%b|(?:[^"\r\n%b][^\r\n%b]*+)?+)' % (quoted, sign, sign)
        strict = rb'(?:%b|[^"\r\n%b]*+)' % (quoted, sign)
        more = len(layout.columns) - 1
        self._record = re.compile(rb"%b(?:%b%b)*+%b" % (loose, sign, loose, end))
        self._row = re.compile(rb"%b(?:%b%b){%d}%b" % (strict, sign, strict, more, end))
        self._value = re.compile(rb"%b%b" % (loose, sign))
        self._values = re.compile(rb"(?:%b%b)*+" % (loose, sign))
        self._open = re.compile(rb'"(?:[^"]++|"")*+\Z')

    def step(self, data: bytes, start: int, *, last: bool, torn: bool, full: bool = False) -> Step | None:
        """Read the record at `start`.

        Parameters
        ----------
        data, start
            Text, and where the record begins.
        last
            The text ends with `data`; otherwise more may follow.
        torn
            The line before was given up.
        full
            More may follow, but the record is too long already to wait for its end.

        Returns
        -------
        Step or None
            None where the record may go on beyond `data`.
        """
        found = self._record.match(data, start)
        if found and (last or not _may_go_on(data, found.end())):
            return self._judge(data, start, found.end(), torn)
        place = self._whole(data, start)
        opened = self._open.match(data, place) is not None
        if (found or opened) and not (last or full):
            return None
        end = line_end(data, start)
        if not (last or full) and _may_go_on(data, end):
            return None
        if self._open.match(data, place, end):
            reason = "a quote is opened and never closed"
        else:
            reason = TOO_LONG if full else "letters stand between a closing quote and the next value"
        return Step(end, Bad.of(reason, self.column_at(data, start, place), data[start:end]), torn=True)

    def _judge(self, data: bytes, start: int, end: int, torn: bool) -> Step:
        """Look into a record that was read."""
        content = data[start:end].rstrip(b"\r\n")
        nul = content.find(b"\0")
        if nul >= 0:
            return Step(end, Bad.of("it holds NUL bytes", self.column_at(data, start, start + nul), content), torn)
        if not content:
            return Step(end, torn=torn)
        line = line_end(data, start)
        if torn and not self._row.fullmatch(data, start, end):
            return Step(line, self._astray(data, start, line, end), torn=True)
        if line < end and self._count(data, start, end) != len(self.layout.columns) and self._rows(data, line, end):
            column = self.column_at(data, start, self._whole(data, start, line))
            return Step(line, Bad.of("a quote is opened and never closed", column, data[start:line]), torn=True)
        return Step(end)

    def _astray(self, data: bytes, start: int, line: int, end: int) -> Bad:
        """Say of a line that follows broken quotes why it is no row."""
        found = self._count(data, start, end)
        if line == end and found != len(self.layout.columns):
            return self.layout.uneven(found, data[start:end])
        return Bad.of("it follows a line with broken quotes, and its own are broken too", None, data[start:line])

    def _rows(self, data: bytes, start: int, end: int) -> bool:
        """Say whether lines that a quote swallowed are whole rows, every one, and could be nothing else."""
        while start < end:
            row = self._row.match(data, start, end)
            if row is None:
                return False
            start = row.end()
        return True

    def _whole(self, data: bytes, start: int, end: int | None = None) -> int:
        """Return where the whole values end that a record begins with."""
        found = self._values.match(data, start, len(data) if end is None else end)
        return found.end() if found else start

    def _count(self, data: bytes, start: int, end: int) -> int:
        """Count the values of a record."""
        return len(self._value.findall(data, start, self._whole(data, start, end))) + 1

    def column_at(self, data: bytes, start: int, place: int) -> str | None:
        """Name the column that a place in the record at `start` lies in."""
        return self.layout.column(self._count(data, start, place) - 1)

    def all(self, data: bytes) -> Iterator[tuple[int, Step]]:
        """Yield every record of whole text, each with its start."""
        start, torn = 0, False
        while start < len(data):
            step = self.step(data, start, last=True, torn=torn)
            if step is None:  # cannot be: nothing follows, so nothing is waited for
                return
            yield start, step
            start, torn = step.end, step.torn


def _may_go_on(data: bytes, end: int) -> bool:
    """Say whether what follows `data` may belong to what ends at `end`."""
    return end == len(data) and data[end - 1 : end] != b"\n"


def line_end(data: bytes, start: int) -> int:
    """Return where the line that begins at `start` ends, behind its line end."""
    found = _LINE.match(data, start)
    return found.end() if found else len(data)
