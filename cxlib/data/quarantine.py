"""Refused rows, put aside: Parquet for machines, and one workbook that a person can mend and give back.

Every cell of the workbook is text, so ids keep their digits and nothing that begins like a formula becomes one. What
was mended is read by `mended.read_mended` and goes through the same rules as any row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException

from cxlib.data.counts import Refusal
from cxlib.data.sources import name, text

README, UNREADABLE = "read me", "unreadable"
LINEAGE = ("reasons", "_file", "_row")  # columns of a sheet that explain; they are not read again
# More than anybody mends by hand, and some seven seconds of writing; the Parquet file beside it holds all.
ROWS_A_SHEET = 50_000
LONGEST_CELL = 32_767  # characters that a spreadsheet holds in one cell
_TEXT = 49  # the spreadsheet format of text
_WIDEST, _ROWS_AT_ONCE, _REASONS_SHOWN, _COMMON = 60, 10_000, 1_000, 5
# Characters that no cell can hold or show stand there as their pictures, U+0001 as U+2401; reading turns them back.
PICTURES = {code: 0x2400 + code for code in range(32)} | {127: 0x2421}
_UNSEEN = {code: to for code, to in PICTURES.items() if chr(code) not in "\t\n\r"} | {0xFFFE: 0xFFFD, 0xFFFF: 0xFFFD}
_ALL_UNSEEN = _UNSEEN | PICTURES
# Reasons without the values that they quote: `score '11' is outside 0 to 10` and `score '12' is ...` are one.
_MASKED = r"regexp_replace(reasons, '(?s)''.*?''( is | was | holds |; |$)', '...\1', 'g')"
# The first sheet.
_LINES = """\
These rows of {source} were refused: nothing of them is in the store. Coloured cells are those that the reasons name.
Mend them, save the file, then run: cx ingest {source} --mended {file} (running it twice changes nothing).
Cells are text. Times are as 2026-10-31 23:59:00, in {timezone} unless an offset as +00 follows, dates as 2026-10-31, \
numbers as 1234.56; \u2400 to \u241f stand for characters that no cell can show.
Delete rows that are to stay out. Columns reasons, _file and _row say why and from where: they are not read. \
Keep all other titles and the sheets' names.
Rows of the sheet 'unreadable' cannot be mended here: mend the file that they name, and ingest it again.
"""


@dataclass(frozen=True)
class _Sheet:
    """One sheet: where its rows lie, its columns, how many rows there are and are shown, and how many have a reason."""

    title: str
    parquet: Path
    columns: tuple[str, ...]
    rows: int
    fitting: int  # without a cell that is too long for a spreadsheet
    reasons: tuple[tuple[str, int], ...]

    @property
    def shown(self) -> int:
        """How many rows the sheet has."""
        return min(self.fitting, ROWS_A_SHEET)


def write(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    rejected: Mapping[str, str],
    *,
    batch: str,
    source: str,
    timezone: str,
    unreadable: bool = False,
) -> Path | None:
    """Write refused rows into a folder: `<table>.parquet` each, `unreadable.parquet`, and `<batch>.xlsx` over all.

    Parameters
    ----------
    connection
        Where the rows are.
    folder
        Where to write; it is made where there is something to write.
    rejected
        Table -> quoted name of a relation, or a SELECT in brackets: the raw columns, `reasons` (joined by `; `), and
        where known `_file` and `_row`.
    batch, source
        What the workbook is called, and whose rows it holds.
    timezone
        Of the source's times without an offset, which mended ones are read in.
    unreadable
        Whether the connection has a table `unreadable` of raw rows that the source's SQL never saw.

    Returns
    -------
    pathlib.Path or None
        The workbook; None where there was nothing to put aside.

    Raises
    ------
    OSError
        Where the disk does not take it.
    """
    sheets = [_keep(connection, folder, table, relation) for table, relation in rejected.items()]
    if unreadable:
        relation = '(SELECT reason AS reasons, file, "row", "column", "text" FROM unreadable)'
        sheets.append(_keep(connection, folder, UNREADABLE, relation))
    kept = [sheet for sheet in sheets if sheet is not None]
    if not kept:
        return None
    path = folder / f"{batch}.xlsx"
    # Rows are written as they come, and no cell is more than its text, whatever it looks like.
    options: dict[str, Any] = {"constant_memory": True, "tmpdir": str(folder)}
    options |= dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
    try:
        with xlsxwriter.Workbook(str(path), options) as book:
            # Without a moment of its own the file would differ each time.
            book.set_properties({"title": f"Refused rows of {batch}", "created": datetime(2000, 1, 1)})
            _explain(book, kept, path.name, source, timezone)
            for sheet in kept:
                _fill(connection, book, sheet)
    except XlsxWriterException as error:  # it wraps what the disk says
        raise OSError(str(error)) from error
    return path


def commonest(connection: duckdb.DuckDBPyConnection, table: str, relation: str) -> list[Refusal]:
    """Return the commonest sets of reasons of refused rows, each with its rows and the place of the first.

    Parameters
    ----------
    connection
        Where the rows are.
    table
        What they were refused from.
    relation
        As in `write`: with `reasons` and, where known, `_file` and `_row`. Where a set of reasons was given for
        several values, the values are left out.
    """
    known = {column for column, *_ in connection.execute(f"DESCRIBE FROM {relation}").fetchall()}
    place = "_file || ', row ' || _row" if {"_file", "_row"} <= known else "NULL::VARCHAR"
    order = "_file, _row, reasons" if {"_file", "_row"} <= known else "reasons"
    found = connection.execute(
        f"SELECT CASE WHEN count(DISTINCT reasons) = 1 THEN any_value(reasons) ELSE masked END, count(*),"
        f" coalesce(arg_min({place}, row({order})), ''), arg_min(reasons, row({order}))"
        f" FROM (SELECT *, {_MASKED} AS masked FROM {relation}) GROUP BY masked ORDER BY 2 DESC, 1 LIMIT {_COMMON}"
    ).fetchall()
    return [Refusal(table, *row) for row in found]


def _keep(connection: duckdb.DuckDBPyConnection, folder: Path, title: str, relation: str) -> _Sheet | None:
    """Write the rows of a relation as Parquet; return the sheet that is to show them, None where there are none."""
    if not connection.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchone():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{title}.parquet"
    columns = [column for column, *_ in connection.execute(f"DESCRIBE FROM {relation}").fetchall()]
    listed = [column for column in ("_file", "_row", "file", "row") if column in columns]
    order = ", ".join(name(column) for column in [*listed, *(c for c in columns if c not in listed)])
    connection.execute(f"COPY (FROM {relation} ORDER BY {order}) TO {text(str(path))}")
    reasons = connection.execute(
        "SELECT reason, count(*) FROM (SELECT unnest(list_distinct(string_split(masked, '; '))) AS reason"
        f" FROM (SELECT {_MASKED} AS masked FROM {_rows(path)})) GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchmany(_REASONS_SHOWN)
    counted = connection.execute(f"SELECT count(*), count(*) FILTER ({_fits(columns)}) FROM {_rows(path)}").fetchone()
    rows, fitting = counted or (0, 0)
    return _Sheet(title, path, tuple(columns), rows, fitting, tuple(reasons))


def _explain(book: Any, sheets: list[_Sheet], file: str, source: str, timezone: str) -> None:
    """Write the first sheet: what this is, what to do, and how many rows have which reason."""
    strong = book.add_format({"bold": True})
    page = book.add_worksheet(README)
    page.set_column(0, 0, 16)
    page.set_column(1, 1, 12)
    page.set_column(2, 2, 100)
    lines = _LINES.format(source=source, file=file, timezone=timezone).splitlines()
    cuts = [words for sheet in sheets for words in _cut(sheet)]
    for row, line in enumerate([*lines, *cuts]):
        page.write_string(row, 0, line)
    row = len(lines) + len(cuts) + 1
    for column, title in enumerate(("sheet", "rows", "reason")):
        page.write_string(row, column, title, strong)
    for sheet in sheets:
        for reason, rows in sheet.reasons:
            row += 1
            page.write_string(row, 0, sheet.title)
            page.write_number(row, 1, rows)
            page.write_string(row, 2, _visible(reason)[:LONGEST_CELL])


def _cut(sheet: _Sheet) -> list[str]:
    """Say which rows of a table its sheet does not have."""
    parquet, found = sheet.parquet.name, []
    if sheet.fitting > sheet.shown:
        found.append(
            f"{sheet.title}: the first {sheet.shown:,} of {sheet.rows:,} rows are here, all are in {parquet}."
            " So many are better mended in the export, or in the source's SQL."
        )
    if sheet.rows > sheet.fitting:
        lost = sheet.rows - sheet.fitting
        found.append(f"{sheet.title}: {lost:,} rows with a text too long for a cell are in {parquet} only.")
    return found


def _fill(connection: duckdb.DuckDBPyConnection, book: Any, sheet: _Sheet) -> None:
    """Write the sheet of a table: reasons and places on the left, then its cells, those marked that reasons name."""
    plain, marked = (book.add_format({"num_format": _TEXT} | more) for more in ({}, {"bg_color": "#FFD9B3"}))
    head = book.add_format({"num_format": _TEXT, "bold": True, "bottom": 1})
    page = book.add_worksheet(sheet.title)
    shown = [*(c for c in LINEAGE if c in sheet.columns), *(c for c in sheet.columns if c not in LINEAGE)]
    widths = [len(column) for column in shown]
    for place, column in enumerate(shown):
        page.write_string(0, place, _visible(column), head)
    for number, (reasons, *values) in enumerate(_shown(connection, sheet, shown), start=1):
        named = _named(reasons) if sheet.title != UNREADABLE else set()
        for place, (column, value) in enumerate(zip(shown, values, strict=True)):
            bad = column in named and column not in LINEAGE
            if value is not None:
                page.write_string(number, place, _visible(value, bad), marked if bad else plain)
                widths[place] = max(widths[place], len(value))
            elif bad:
                page.write_blank(number, place, None, marked)
    for place, width in enumerate(widths):
        page.set_column(place, place, min(width, _WIDEST) + 2, plain)
    page.freeze_panes(1, 0)
    page.autofilter(0, 0, sheet.shown, len(shown) - 1)
    page.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})


def _shown(connection: duckdb.DuckDBPyConnection, sheet: _Sheet, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a sheet: their reasons without values, then their columns as text."""
    cells = ", ".join(f"{name(column)}::VARCHAR" for column in columns)
    connection.execute(
        f"SELECT string_split({_MASKED}, '; '), {cells} FROM {_rows(sheet.parquet)} WHERE {_fits(sheet.columns)}"
        f" ORDER BY file_row_number LIMIT {sheet.shown}"
    )
    while rows := connection.fetchmany(_ROWS_AT_ONCE):
        yield from rows


def _fits(columns: Sequence[str]) -> str:
    """Return an SQL condition for rows of which a spreadsheet can hold every cell."""
    return " AND ".join(f"coalesce(length({name(column)}::VARCHAR), 0) <= {LONGEST_CELL}" for column in columns)


def _named(reasons: list[str]) -> set[str]:
    """Return the columns that masked reasons name: their first word, and what something is said to be before."""
    named = {reason.split(" ", 1)[0] for reason in reasons}
    return named | {reason.split(" is before ", 1)[1].split(" ", 1)[0] for reason in reasons if " is before " in reason}


def _visible(value: str, all_of_it: bool = False) -> str:
    """Return a text whose hidden characters show as their pictures: tabs and line ends too where `all_of_it` is so."""
    return value.translate(_ALL_UNSEEN if all_of_it else _UNSEEN)


def _rows(path: Path) -> str:
    """Return SQL for the rows of a Parquet file that was just written, in its order by `file_row_number`."""
    quoted = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
    return f"read_parquet({text(quoted)}, hive_partitioning = false, file_row_number = true)"
