"""Refused rows that a person mended, read back as text, so that the contract's rules judge them like any other row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from cxlib.contract import Table
from cxlib.data.quarantine import LINEAGE, PICTURES, README, UNREADABLE
from cxlib.data.queries import Query
from cxlib.data.rules import UPDATED, column_faults
from cxlib.data.sources import name
from cxlib.errors import SourceError, did_you_mean

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_UNSEEN = {picture: code for code, picture in PICTURES.items()}
_LONGEST_FIELD = 2**31 - 1  # of the csv module, whose own limit is shorter than a transcript
_ROWS_AT_ONCE = 20_000
_LISTED = 10  # rows that an error lists

Row = tuple[int, list[str]]  # its number as a spreadsheet counts, and its cells as text
Sheet = tuple[str, str, Iterator[Row]]  # its title, the place in words, its rows from the header on


def read_mended(connection: duckdb.DuckDBPyConnection, path: Path, shapes: Mapping[str, Table]) -> list[Query]:
    """Read mended rows into views, as a source's SQL would make them.

    Parameters
    ----------
    connection
        Where the views are to stand: `sql <table>`, which reads from `mended <table>`. That has a twin
        `mended <table> placed` with `_file` and `_row`, as the views of a source's files have.
    path
        The workbook of a quarantine, each sheet named after its table; or a CSV file (UTF-8, commas) named after one.
    shapes
        Table -> its shape, for the tables that the source fills.

    Returns
    -------
    list of Query
        One for each table with rows, in the order of `shapes`. A cell typed as number, date or truth is the text that
        the contract's rules read. An empty cell is missing, as is one that shows a formula's error; a row without any
        cell is none.

    Raises
    ------
    SourceError
        For a file that cannot be read, and with all that is wrong with its sheets and columns at once.
    """
    found: dict[str, Query] = {}
    faults: list[str] = []
    try:
        for title, where, rows in _sheets(path):
            if title not in shapes:
                faults.append(f"{where}: this source fills no table '{title}'{did_you_mean(title, shapes)}")
                continue
            titles, wrong = _header(rows, shapes[title], where)
            if titles and not wrong:
                wrong = [f"{where}: {fault}" for fault in _load(connection, title, path.name, titles, rows)]
            if titles and not wrong:
                found[title] = _query(connection, shapes[title], titles)
            faults += wrong
    except (CalamineError, OSError, UnicodeError, csv.Error) as error:
        hint = "Save it as a workbook (.xlsx) or as CSV in UTF-8 with commas, and name that file."
        raise SourceError(f"{path.name} cannot be read: {error}", hint=hint) from None
    if not (found or faults):
        faults.append("no sheet with a row is there")
    if faults:
        raise SourceError(
            "\n".join([f"{path} cannot be taken in:", *(f"  {fault}" for fault in faults)]),
            hint=f"Tables of this source: {', '.join(shapes)}.",
        )
    return [found[table] for table in shapes if table in found]


def _sheets(path: Path) -> Iterator[Sheet]:
    """Yield the sheets of a file, one for CSV; those that explain are left out."""
    if path.suffix.lower() in WORKBOOKS:
        with CalamineWorkbook.from_path(path) as book:
            for title in book.sheet_names:
                if title not in (README, UNREADABLE):
                    yield title, f"sheet {title}", _cells(book.get_sheet_by_name(title))
        return
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield path.stem, path.name, enumerate(csv.reader(file, strict=True), start=1)


def _cells(sheet: CalamineSheet) -> Iterator[Row]:
    """Yield the rows of a sheet as texts; calamine leaves out the empty columns to the left, but not the rows above."""
    left = [""] * (sheet.start[1] if sheet.start else 0)
    for number, row in enumerate(sheet.iter_rows(), start=1):
        yield number, left + [_text(cell) for cell in row]


def _text(cell: object) -> str:
    """Return a cell as the contract's rules read it."""
    if isinstance(cell, str):
        return cell.translate(_UNSEEN)
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int | float):
        # A spreadsheet keeps 15 digits. A longer number keeps its exponent, so that the rules take it for the damaged
        # id that it may be.
        words = f"{cell:.15g}"
        return words if "e+" in words else format(Decimal(words), "f")
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _header(rows: Iterator[Row], table: Table, where: str) -> tuple[dict[int, str], list[str]]:
    """Read the first row that is not empty; return place -> title, and what is wrong with it."""
    cells = next((cells for _, row in rows if any(cells := [cell.strip() for cell in row])), [])
    titles = {place: title for place, title in enumerate(cells) if title}
    split = next((sign for sign in ";\t|" if len(titles) == 1 and sign in "".join(cells)), "")
    if split:
        return titles, [f"{where}: its columns are split by {split!r}; they must be split by commas"]
    faults = [f"{where} has the column '{title}' {n} times" for title, n in Counter(titles.values()).items() if n > 1]
    given = {title: "VARCHAR" for title in titles.values() if title not in (*LINEAGE, UPDATED)}
    return titles, faults + (column_faults(table, given, where) if titles else [])


def _load(
    connection: duckdb.DuckDBPyConnection, table: str, file: str, titles: Mapping[int, str], rows: Iterator[Row]
) -> list[str]:
    """Bring rows into the table `mended <table> placed`; return what is wrong with some of them."""
    columns = {place: title for place, title in titles.items() if title not in LINEAGE}
    explain, target = titles.keys() - columns.keys(), name(f"mended {table} placed")
    texts = ", ".join(f"{name(column)} VARCHAR" for column in columns.values())
    connection.execute(f"CREATE TABLE {target} ({texts}, _file VARCHAR, _row BIGINT)")
    faults: list[str] = []
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        kept = [(number, cells) for number, cells in part if any(c for p, c in enumerate(cells) if p not in explain)]
        faults += [fault for number, cells in kept if (fault := _misfit(number, cells, titles))]
        if not faults:
            arrays = [pa.array([cells[place] or None for _, cells in kept], pa.string()) for place in columns]
            arrays += [pa.array([file] * len(kept), pa.string()), pa.array([number for number, _ in kept], pa.int64())]
            connection.register("mended part", pa.table(arrays, names=[*columns.values(), "_file", "_row"]))
            connection.execute(f'INSERT INTO {target} FROM "mended part"')
            connection.unregister("mended part")
    return faults[:_LISTED] + ([f"and {len(faults) - _LISTED:,} more rows"] if len(faults) > _LISTED else [])


def _misfit(number: int, cells: list[str], titles: Mapping[int, str]) -> str:
    """Say what keeps a row from standing under its titles; empty where nothing does."""
    if len(cells) <= max(titles):
        return f"row {number} has {len(cells)} cells, the header has {max(titles) + 1}"
    stray = next((place for place, cell in enumerate(cells) if cell and place not in titles), None)
    return "" if stray is None else f"row {number} has {cells[stray]!r} in column {stray + 1}, which has no title"


def _query(connection: duckdb.DuckDBPyConnection, table: Table, titles: Mapping[int, str]) -> Query:
    """Make the views of a table whose rows are there."""
    columns = [title for title in titles.values() if title not in LINEAGE]
    rows, listed = f"mended {table.name}", ", ".join(map(name, columns))
    connection.execute(f"CREATE VIEW {name(rows)} AS SELECT {listed} FROM {name(f'{rows} placed')}")
    query = Query(table, f"SELECT * FROM {name(rows)}", dict.fromkeys(columns, "VARCHAR"))
    connection.execute(f"CREATE VIEW {query.view} AS {query.sql}")
    return query
