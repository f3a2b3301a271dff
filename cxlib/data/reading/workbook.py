"""Sheets of workbooks as rows of text: dates as ISO text, numbers as a person would type them."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from cxlib.data.reading.cells import in_style
from cxlib.data.reading.facts import Bad
from cxlib.data.reading.heads import Head
from cxlib.data.reading.packed import check_size
from cxlib.data.reading.stream import bad_batch, row_batch, schema_of
from cxlib.errors import did_you_mean
from cxlib.params.intake import File

_ROWS_A_BATCH = 10_000
_MOST_CELLS = 10_000_000  # a sheet is held in memory as a whole, at some 110 bytes a cell
_BLOCK, _LONGEST_TAG = 1 << 20, 512
_OLD = b"\xd0\xcf\x11\xe0"  # .xls
_REFERENCE = re.compile(rb"""\sr\s*=\s*["']([A-Z]{1,3})(\d{1,7})["']""")
_ERROR = re.compile(rb"""<c\s[^>]*\bt\s*=\s*["']e["'][^>]*>""")
_DIGITS = 15  # that a workbook keeps of a number; what is longer has lost its end, and shows it as 1.2E+17


@dataclass(frozen=True)
class Sheet:
    """One sheet that is open."""

    rows: Iterator[list[Any]]
    errors: frozenset[tuple[int, int]]  # cells whose formula failed, counted from 0


def open_sheet(path: Path, file: File) -> Sheet:
    """Open the sheet of a workbook that a source names, or its first.

    Raises
    ------
    ValueError
        Where it is no workbook, is protected or damaged, lacks the sheet, or is larger than a workbook can be.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    members = _check(path)
    try:
        book = CalamineWorkbook.from_path(str(path))
        if not book.sheet_names:
            raise ValueError("it has no sheet")
        title = file.sheet or book.sheet_names[0]
        if title not in book.sheet_names:
            near = did_you_mean(title, book.sheet_names)
            raise ValueError(f"it has no sheet '{title}'{near or '; it has ' + ', '.join(book.sheet_names)}")
        errors = _errors(path, title) if members else frozenset()
        return Sheet(iter(book.get_sheet_by_name(title).iter_rows()), errors)
    except CalamineError as error:
        raise ValueError(f"it is no workbook that can be read: {error}") from None


def _check(path: Path) -> bool:
    """Say whether a workbook is a zip archive; raise ValueError where it is larger, unpacked, than it may be."""
    with path.open("rb") as raw:
        start = raw.read(4)
    if not start:
        raise ValueError("it is empty")
    if start == _OLD:
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            packed, every = path.stat().st_size, archive.infolist()
            if not any(info.filename.endswith("xl/workbook.xml") for info in every):
                raise ValueError("it is no workbook of the kind .xlsx or .xls: save it as one")
            check_size(sum(info.file_size for info in every), packed)
            for info in every:
                _check_member(archive, info)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no workbook that can be read: {error}") from None
    return True


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Unpack a member, so that its real size and its checksum are known, and raise where its cells are too many."""
    sheet, column, row = info.filename.startswith("xl/worksheets/"), 0, 0
    for block in _blocks(archive, info.filename):
        if not sheet:
            continue
        found = _REFERENCE.findall(block)
        column = max([column, *map(_column, {letters for letters, _ in found})])
        row = max([row, *(int(digits) for _, digits in found)])
        if column * row > _MOST_CELLS:
            words = f"{row:,} rows and {column:,} columns"
            raise ValueError(f"its sheet {info.filename} has {words}: more than can be held; save it as CSV")


def _blocks(archive: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield the text of a member in blocks that overlap, so that each tag is whole in one of them."""
    tail = b""
    with archive.open(member) as file:
        while block := file.read(_BLOCK):
            yield tail + block
            tail = block[-_LONGEST_TAG:]


def _column(letters: bytes) -> int:
    """Return the number of a column, 1 for A."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _errors(path: Path, title: str) -> frozenset[tuple[int, int]]:
    """Return the cells of a sheet whose formulas failed: the reader of workbooks gives them as empty."""
    found: set[tuple[int, int]] = set()
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, title)
        for block in _blocks(archive, member) if member else ():
            for tag in _ERROR.findall(block):
                reference = _REFERENCE.search(tag)
                if reference:
                    found.add((int(reference[2]) - 1, _column(reference[1]) - 1))
    return frozenset(found)


def _member(archive: zipfile.ZipFile, title: str) -> str:
    """Return the member of a workbook that holds a sheet; empty where that is not told."""
    from html import unescape

    names = set(archive.namelist())
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return ""
    book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
    sheets = [dict(re.findall(r'([\w:]+)="([^"]*)"', tag)) for tag in re.findall(r"<(?:\w+:)?sheet\s[^>]*>", book)]
    rels = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    targets = [dict(re.findall(r'([\w:]+)="([^"]*)"', tag)) for tag in re.findall(r"<Relationship\s[^>]*>", rels)]
    wanted = {sheet.get("r:id") for sheet in sheets if unescape(sheet.get("name", "")) == title}
    found = [target.get("Target", "") for target in targets if target.get("Id") in wanted]
    member = found[0].removeprefix("/xl/").removeprefix("xl/") if found else ""
    return f"xl/{member}" if f"xl/{member}" in names else ""


def sheet_head(sheet: Sheet, file: File) -> Head:
    """Return the rows above the data, taking them from the sheet.

    Raises
    ------
    ValueError
        Where there are not as many.
    """
    end = file.skip + file.header_rows
    above = list(islice(sheet.rows, end))
    if end and not above:
        raise ValueError("it is empty")
    if len(above) < end:
        raise ValueError(f"it ends before row {end}, which belongs to its header")
    cells = [[words(cell) or "" for cell in row] for row in above[file.skip :]]
    if cells and not "".join(cells[0]).strip():
        raise ValueError(f"row {file.skip + 1} is blank, where its header should be; say how many lines to skip")
    return Head(cells, 0, end)


def sheet_batches(
    sheet: Sheet, head: Head, columns: Sequence[str], every: list[str], file: File, number: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a sheet.

    Parameters
    ----------
    sheet, head
        The sheet and its header.
    columns
        Its columns.
    every
        The columns of all files of the alias.
    file
        What the source says of it.
    number
        The file's number in the alias.
    """
    schema = schema_of(every)
    styles = [file.numbers.get(column) for column in columns]
    rows = enumerate(sheet.rows, start=head.rows)
    while batch := list(islice(rows, _ROWS_A_BATCH)):
        good: list[tuple[int, list[str | None]]] = []
        bad: list[tuple[int, Bad]] = []
        for index, row in batch:
            texts = [words(cell, style) for cell, style in zip(row, styles, strict=False)]
            texts += [None] * (len(columns) - len(texts))
            wrong = _wrong(index, texts, row, columns, sheet.errors)
            if wrong:
                bad.append((index + 1, wrong))
            elif any(texts):
                good.append((index + 1, texts))
        if good:
            arrays = [pa.array(column, pa.string()) for column in zip(*(texts for _, texts in good), strict=True)]
            yield row_batch(schema, dict(zip(columns, arrays, strict=True)), [place for place, _ in good], number)
        if bad:
            yield bad_batch(bad, schema, number)


def _wrong(
    index: int, texts: list[str | None], row: list[Any], columns: Sequence[str], errors: frozenset[tuple[int, int]]
) -> Bad | None:
    """Say why a row cannot be read; None where it can."""
    whole = ",".join(text or "" for text in texts).encode()
    for place, column in enumerate(columns):
        if (index, place) in errors:
            return Bad.of("the formula of a cell failed", column, whole)
        if "\0" in (texts[place] or ""):
            return Bad.of("it holds NUL bytes", column, whole)
    if any(words(cell) for cell in row[len(columns) :]):
        return Bad.of(f"it has {len(row)} values for {len(columns)} columns", None, whole)
    return None


def words(cell: Any, style: str | None = None) -> str | None:
    """Return a cell as text; a number in a style, where its column has one."""
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, (int, float)):
        plain = f"{cell + 0:.{_DIGITS}g}"  # no -0
        if style and "e" in plain and abs(cell) < 1:
            plain = f"{cell:.20f}".rstrip("0")
        return in_style(plain, style) if style else plain.replace("e", "E")
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return None if cell is None else str(cell)
