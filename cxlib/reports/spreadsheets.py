"""Tables for spreadsheets: CSV that every program reads alike, workbooks whose numbers are numbers.

What people and machines wrote into the data may look like a formula; whoever opens a file must never run it.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

# What begins a formula in a spreadsheet (OWASP, CSV Injection), also in full width, also behind what a program may
# strip: spaces, quotes, marks without width. A text that an apostrophe opens is a text already.
_FORMULA = re.compile(
    r"[\t\r\n]|[\s\"\u00ab\u200b-\u200f\u201c-\u201e\u2060\ufeff\x00-\x1f]*[=+\-@\uff1d\uff0b\uff0d\uff20]"
)
BOM = "\ufeff"  # without it Excel takes UTF-8 for the code page of the machine
_NEVER = datetime(2000, 1, 1)  # a workbook's moment: files made alike are alike, byte by byte
_LONGEST = 32_767  # letters that a cell of a workbook holds
_WIDEST = 60
_SAFE = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)


class Number(NamedTuple):
    """A number of a workbook, and how it is written: a number format of Excel, '' for the general one."""

    value: float
    form: str = ""


Value = str | float | None | Number


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook: a title above, then headings that stay in sight, then rows, then lines below."""

    name: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Value]]
    title: str = ""
    below: Sequence[str] = ()


def is_formula(text: str) -> bool:
    """Say whether a spreadsheet could take a text for a formula."""
    return _FORMULA.match(text) is not None


def neutral(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before it where it could be one."""
    return f"'{text}" if is_formula(text) else text


def csv_bytes(heads: Sequence[str], lines: Iterable[Sequence[Value]]) -> bytes:
    """Return CSV for programs: UTF-8 with a mark, commas, CRLF (RFC 4180), decimal points, all digits of a number.

    Parameters
    ----------
    heads
        Headings.
    lines
        Texts, which are made `neutral`; numbers, of which a missing one is an empty cell.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([neutral(head) for head in heads])
    writer.writerows([_written(value) for value in line] for line in lines)
    return (BOM + out.getvalue()).encode("utf-8", errors="replace")


def frame_csv(frame: pd.DataFrame) -> bytes:
    """Return a frame of texts and numbers as CSV, as `csv_bytes` writes it."""
    held = frame.astype(object).where(frame.notna(), None)
    return csv_bytes(list(frame.columns), held.itertuples(index=False, name=None))


def _written(value: Value) -> str:
    """Return one cell of CSV."""
    if isinstance(value, str):
        return neutral(value)
    number = value.value if isinstance(value, Number) else value
    if number is None or math.isnan(number):
        return ""
    whole = float(number).is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else repr(float(number))


def workbook(sheets: Sequence[Sheet], title: str, company: str = "") -> bytes:
    """Return a workbook (xlsx): texts as texts, never formulas or links, numbers as numbers; alike byte by byte."""
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, **_SAFE}) as book:
        book.set_properties({"title": title, "company": company, "created": _NEVER})
        for sheet in sheets:
            _fill(book, book.add_worksheet(sheet.name), sheet)
    return out.getvalue()


def _fill(book: Workbook, page: Worksheet, sheet: Sheet) -> None:
    """Write one sheet."""
    forms = _Forms(book)
    first = 2 if sheet.title else 0
    if sheet.title:
        _put(page, 0, 0, sheet.title, forms, bold=True)
    for place, head in enumerate(sheet.heads):
        _put(page, first, place, head, forms, bold=True)
    page.freeze_panes(first + 1, 1)
    for row, line in enumerate(sheet.rows, first + 1):
        for place, value in enumerate(line):
            _put(page, row, place, value, forms)
    for row, words in enumerate(sheet.below, first + 2 + len(sheet.rows)):
        _put(page, row, 0, words, forms)
    for place, head in enumerate(sheet.heads):
        longest = max([len(head), *(_length(line[place]) for line in sheet.rows if place < len(line))])
        page.set_column(place, place, min(longest + 2, _WIDEST))


def _length(value: Value) -> int:
    """Return the letters that a cell is about as wide as."""
    return len(value) if isinstance(value, str) else 10 if value is not None else 0


class _Forms:
    """The cell formats of a workbook, each made once."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[tuple[tuple[str, Any], ...], Format] = {}

    def form(self, **how: Any) -> Format | None:
        """Return a cell format; None for the general one."""
        key = tuple(sorted((name, value) for name, value in how.items() if value))
        if not key:
            return None
        if key not in self._made:
            self._made[key] = self._book.add_format(dict(key))
        return self._made[key]


def _put(page: Worksheet, row: int, place: int, value: Value, forms: _Forms, *, bold: bool = False) -> None:
    """Write one cell; what looks like a formula stays a text even where its cell is edited (the quote prefix)."""
    if isinstance(value, str):
        if value:
            form = forms.form(bold=bold, quote_prefix=is_formula(value))
            page.write_string(row, place, value[:_LONGEST], form)
        return
    number, form = (value.value, value.form) if isinstance(value, Number) else (value, "")
    if number is None or math.isnan(number):
        return
    if math.isinf(number):
        page.write_string(row, place, "∞" if number > 0 else "\u2212∞")
        return
    page.write_number(row, place, number, forms.form(num_format=form))
