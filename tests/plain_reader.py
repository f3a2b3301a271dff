"""A reader of delimited text that is slow and obvious: what the fast one of the project is held against."""

from __future__ import annotations

import codecs

ENDS = ("\r\n", "\n", "\r")
NONE = "\udcff"  # stands where bytes are no letter


def decoded(data: bytes, encoding: str) -> str:
    """Return text with `NONE` for each run of bytes that the encoding does not know, and without a mark of order."""
    codecs.register_error("plain-mark", lambda error: (NONE, error.end))
    return data.decode(encoding, "plain-mark").removeprefix("\ufeff")


class PlainReader:
    """Delimited text in the plainest words: letter by letter, line by line.

    `good` maps the place of a record, counted from 0 with blank lines, to its values; `bad` to why it is none. The
    rules stand in `cxlib.data.reading.salvage`.
    """

    def __init__(self, text: str, columns: int, delimiter: str = ",") -> None:
        self.text, self.columns, self.delimiter = text, columns, delimiter
        self.good: dict[int, tuple] = {}
        self.bad: dict[int, str] = {}
        place = start = 0
        torn = False
        while start < len(text):
            start, torn = self.record(place, start, torn)
            place += 1
        self.records = place

    @property
    def first(self) -> list[str]:
        """The values of the first record."""
        found = self.values(0) if self.text else None
        return found[0] if found else []

    def record(self, place: int, start: int, torn: bool) -> tuple[int, bool]:
        """Judge the record at `start`; return where the next one starts, and whether this one was given up."""
        found = self.values(start)
        line = self.line(start)
        if found is None:
            self.bad[place] = "quotes"
            return line, True
        values, strict, end = found
        if "\0" in self.text[start:end]:
            self.bad[place] = "NUL"
            return end, torn
        if not self.text[start:end].rstrip("\r\n"):
            return end, torn
        fits = len(values) == self.columns
        if torn and not (strict and fits):
            self.bad[place] = "torn"
            return line, True
        if line < end and not fits and self.all_rows(line, end):
            self.bad[place] = "swallowed"
            return line, True
        if "\udcff" in self.text[start:end]:
            self.bad[place] = "encoding"
        elif fits:
            self.good[place] = tuple(value or None for value in values)
        else:
            self.bad[place] = "columns"
        return end, False

    def values(self, at: int) -> tuple[list[str], bool, int] | None:
        """Return the values of a record, whether no quote stands astray, and its end; None where it is none."""
        values, strict = [], True
        while True:
            word = ""
            if self.text[at : at + 1] == '"':
                at += 1
                while self.text[at : at + 1] != '"' or self.text[at : at + 2] == '""':
                    if at >= len(self.text):
                        return None
                    word += self.text[at]
                    at += 2 if self.text[at] == '"' else 1
                at += 1
            else:
                while self.text[at : at + 1] not in ("", self.delimiter, "\r", "\n"):
                    strict = strict and self.text[at] != '"'
                    word += self.text[at]
                    at += 1
            values.append(word)
            if self.text[at : at + 1] == self.delimiter:
                at += 1
                continue
            if at == len(self.text):
                return values, strict, at
            end = next((end for end in ENDS if self.text.startswith(end, at)), None)
            return (values, strict, at + len(end)) if end else None

    def line(self, start: int) -> int:
        """Return the end of the line at `start`."""
        ends = [(at, -len(end)) for end in ENDS if (at := self.text.find(end, start)) >= 0]
        at, size = min(ends, default=(len(self.text), 0))
        return at - size

    def all_rows(self, start: int, stop: int) -> bool:
        """Say whether lines are rows, every one."""
        while start < stop:
            found = self.values(start)
            if found is None or found[2] > stop or not found[1] or len(found[0]) != self.columns:
                return False
            start = found[2]
        return True
