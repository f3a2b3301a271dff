"""A source's SQL: which tables it fills, with which columns, and which rows it says are to go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cxlib import contract
from cxlib.contract import DATE, Table
from cxlib.data.rules import UPDATED, column_faults, shape
from cxlib.data.sources import name, text
from cxlib.errors import SourceError, did_you_mean
from cxlib.params.models import Source

_DELETE = ".delete"


@dataclass
class Query:
    """What fills one table: SQL, and the columns that it yields with their DuckDB types.

    `deletes` names a view of the keys whose rows are to go, "" for none.
    """

    table: Table
    sql: str
    given: dict[str, str] = field(default_factory=dict)
    deletes: str = ""

    @property
    def view(self) -> str:
        """The view of its rows."""
        return name(f"sql {self.table.name}")


def read(
    connection: duckdb.DuckDBPyConnection, folder: Path, source: Source, attributes: Mapping[str, str]
) -> list[Query]:
    """Make a view of each SQL file of a source, `sql <table>` and `keys to delete <table>`, in the contract's order.

    Parameters
    ----------
    connection
        Where the views of the source's files stand.
    folder
        The folder of the SQL files.
    source
        Its `source.yml`. SQL may ask for `getvariable('as_of')` and `getvariable('timezone')`; where it yields no time
        and the source has an `as_of`, that is the time of its rows.
    attributes
        The workspace's attributes of customers.

    Raises
    ------
    SourceError
        With every fault of every file: more than one SELECT, names that do not exist, columns missing or unknown.
    """
    connection.execute(f"SET VARIABLE timezone = {text(source.timezone)}")
    connection.execute(f"SET VARIABLE as_of = {f'DATE {text(source.as_of)}' if source.as_of else 'NULL::DATE'}")
    found: dict[str, Query] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.sql"), key=lambda path: (_place(path), path.name)):
        try:
            faults += _read_file(connection, path, source, attributes, found)
        except SourceError as error:
            faults.append(error.message)
    if not found and not faults:
        faults.append(f"no SQL in {folder}; write <table>.sql")
    if faults:
        raise SourceError("\n".join([f"source {source.id}:", *(f"  {fault}" for fault in faults)]))
    return list(found.values())


def _read_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    source: Source,
    attributes: Mapping[str, str],
    found: dict[str, Query],
) -> list[str]:
    """Add what one file says to `found`; return its faults."""
    where, called = f"{path.parent.name}/{path.name}", path.stem.removesuffix(_DELETE)
    if called not in contract.TABLES:
        return [f"{where}: the contract has no table '{called}'{did_you_mean(called, contract.TABLES)}"]
    table = shape(called, attributes)
    sql = _statement(connection, path, where)
    if path.stem.endswith(_DELETE):
        view = name(f"keys to delete {called}")
        given = _describe(connection, view, sql, where)
        found.setdefault(called, _nothing(connection, table)).deletes = view
        return [f"{where} yields no column '{key}'" for key in table.key if key not in given]
    query = Query(table, sql)
    query.given = _describe(connection, query.view, sql, where)
    if source.as_of and table.time and table.time not in query.given:
        column = table.column(table.time)
        kind = "DATE" if column and column.type == DATE else "TIMESTAMP"
        query.sql = f"SELECT *, {kind} {text(source.as_of)} AS {name(table.time)} FROM ({sql}\n) AS given"
        query.given = _describe(connection, query.view, query.sql, where)
    query.deletes = found[called].deletes if called in found else ""
    found[called] = query
    return column_faults(table, {column: kind for column, kind in query.given.items() if column != UPDATED}, where)


def _place(path: Path) -> int:
    """Return the place of a file's table in the contract; unknown ones come last."""
    called = path.stem.removesuffix(_DELETE)
    return list(contract.TABLES).index(called) if called in contract.TABLES else len(contract.TABLES)


def _statement(connection: duckdb.DuckDBPyConnection, path: Path, where: str) -> str:
    """Return the one SELECT of a file."""
    try:
        statements = connection.extract_statements(path.read_text(encoding="utf-8-sig"))
    except (duckdb.Error, UnicodeError) as error:
        raise SourceError(f"{where}: {_whole(error)}") from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SourceError(f"{where} must be one SELECT")
    return statements[0].query.strip().rstrip(";")


def _describe(connection: duckdb.DuckDBPyConnection, view: str, sql: str, where: str) -> dict[str, str]:
    """Make a view; return its columns with their types."""
    try:
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {sql}")
        return {column: str(kind) for column, kind, *_ in connection.execute(f"DESCRIBE {view}").fetchall()}
    except duckdb.Error as error:
        raise SourceError(f"{where}: {_whole(error)}") from None


def _nothing(connection: duckdb.DuckDBPyConnection, table: Table) -> Query:
    """Return the query of a table that a source only deletes from."""
    columns = ", ".join(f"NULL::VARCHAR AS {name(column)}" for column in table.required)
    query = Query(table, f"SELECT {columns} WHERE false")
    query.given = _describe(connection, query.view, query.sql, table.name)
    return query


def _whole(error: Exception) -> str:
    """Return what DuckDB says about a statement, without its drawing of the line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))
