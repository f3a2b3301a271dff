"""The rows of one alias in the engine: each is readable, left out or unreadable, with its file and row beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from cxlib.data.reading.cells import Cell, cells, unread, value_of
from cxlib.data.reading.facts import COLUMN, FILE, LONGEST_TEXT, OUT, REASON, ROW, TEXT
from cxlib.data.reading.quoting import name, text
from cxlib.params.intake import File

_FILE, _ROW, _OUT, _COLUMN, _REASON, _TEXT = map(name, (FILE, ROW, OUT, COLUMN, REASON, TEXT))
_UNREAD, _TORN = name("cx unread"), name("cx torn")  # on the way only


@dataclass(frozen=True)
class Relation:
    """One alias: its columns, and how they are read."""

    alias: str
    file: File
    given: Mapping[str, str]  # columns of the files, with their DuckDB types
    zone: str  # the source's
    cells: list[Cell] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", cells(self.file, self.given, self.zone))

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the view, with their types."""
        return dict(self.given) | {cell.column: cell.kind for cell in self.cells}

    @property
    def all(self) -> str:
        """The view of all rows, whatever becomes of them."""
        return name(f"{self.alias} all")

    def faults(self, connection: duckdb.DuckDBPyConnection, where: str) -> list[str]:
        """Say which conditions of the source cannot be worked out."""
        found = []
        nothing = ", ".join(f"NULL::{kind} AS {name(column)}" for column, kind in self.columns.items())
        for reason, condition in self.file.leave_out.items():
            try:
                query = f"DESCRIBE SELECT ({condition}) AS met FROM (SELECT {nothing})"
                kind = connection.execute(query).fetchall()[0][1]
            except (duckdb.Error, IndexError) as error:
                found.append(f"{where}: leave_out '{reason}' cannot be worked out: {one_line(error)}")
                continue
            if kind != "BOOLEAN":
                found.append(f"{where}: leave_out '{reason}' is no condition, but a {kind}: {condition}")
        return found

    def sql(self, source: str) -> str:
        """Return SQL for all rows.

        Parameters
        ----------
        source
            SQL for a relation with the columns of the files, and beside them the row, the file, and for rows that could
            not be cut into columns the column, the reason and the text.

        Returns
        -------
        str
            The columns of the view, and beside them what is told of each row. Rows that are left out may have cells
            that cannot be read: a line of totals has no time.
        """
        value = {cell.column: f"{name(value_of(cell))} AS {name(cell.column)}" for cell in self.cells}
        every = ", ".join(value.get(column, name(column)) for column in self.given)
        bad = f"CASE WHEN {_UNREAD} IS NOT NULL THEN"
        first = " ".join(f"WHEN {unread(cell)} IS NOT NULL THEN {text(cell.column)}" for cell in self.cells)
        met = " ".join(f"WHEN ({condition}) THEN {n}" for n, condition in enumerate(self.file.leave_out.values()))
        judged = (
            f"SELECT {every}, {_ROW}, {_FILE}, {_REASON} IS NOT NULL AS {_TORN},"
            f" coalesce({_COLUMN}, {f'{bad} CASE {first} END END' if first else 'NULL'}) AS {_COLUMN},"
            f" coalesce({_REASON}, {_UNREAD}) AS {_REASON}, coalesce({_TEXT}, {bad} {self._text()} END) AS {_TEXT}"
            f" FROM ({self._unread(source)})"
        )
        out = f"CASE WHEN {_TORN} THEN NULL {met} END" if met else "NULL::INTEGER"
        told = ", ".join(f"CASE WHEN {_OUT} IS NULL THEN {mark} END AS {mark}" for mark in (_COLUMN, _REASON, _TEXT))
        columns = ", ".join(map(name, self.given))
        return f"SELECT {columns}, {_ROW}, {_FILE}, {_OUT}, {told} FROM (SELECT *, {out} AS {_OUT} FROM ({judged}))"

    def _unread(self, source: str) -> str:
        """Return SQL for rows with the values of special cells, and why some cannot be read."""
        values = "".join(f", {cell.value} AS {name(value_of(cell))}" for cell in self.cells)
        why = ", ".join(map(unread, self.cells))
        why = f"nullif(concat_ws('; ', {why}), '')" if why else "NULL::VARCHAR"
        return f"SELECT *, {why} AS {_UNREAD} FROM (SELECT *{values} FROM {source})"

    def _text(self) -> str:
        """Return SQL for a row as CSV."""
        words = [f"coalesce({name(column)}::VARCHAR, '')" for column in self.given]
        quoted = ", ".join(
            f"CASE WHEN regexp_matches({w}, '[\",\r\n]') THEN '\"' || replace({w}, '\"', '\"\"') || '\"' ELSE {w} END"
            for w in words
        )
        return f"left(concat_ws(',', {quoted}), {LONGEST_TEXT})"


def one_line(error: Exception) -> str:
    """Return what the engine says, without its drawing of the statement."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))
