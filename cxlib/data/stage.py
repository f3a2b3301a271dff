"""One table of one batch on its way in: typed, judged, freed of duplicates, compared with what the store holds.

Everything is SQL inside one DuckDB that spills to disk. A staged table `new <table>` holds the typed columns, the
month, and for refused rows the reasons and the raw row; each step deletes what is settled and counts it, so that what
remains at the end is what must be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import duckdb

from cxlib.contract import DATE, Table
from cxlib.data.rules import Rule, typed
from cxlib.data.sources import name, reason, text
from cxlib.errors import SourceError

MONTH, SOURCE, BATCH = "_month", "_source", "_batch"
WHOLE = "all"  # the one partition of a table without time
_COMMON_REASONS = 5


@dataclass
class Staged:
    """A table in work: its definition, the names of its views, and its counts so far."""

    connection: duckdb.DuckDBPyConnection
    table: Table
    given: Mapping[str, str]  # column that the source yields -> DuckDB type
    has_old: bool = False  # the store holds the table already
    reshaped: bool = False  # with other columns, so that all of it must be rewritten
    counts: dict[str, int] = field(default_factory=dict)
    moved: tuple[str, ...] = ()  # months that a corrected row leaves
    touched: list[tuple[str, int]] = field(default_factory=list)  # months to rewrite, with their rows

    @property
    def view(self) -> str:
        """The source's SQL."""
        return name(f"sql {self.table.name}")

    @property
    def new(self) -> str:
        """The typed rows."""
        return name(f"new {self.table.name}")

    @property
    def old(self) -> str:
        """What the store holds at the pinned version, where it holds any."""
        return name(f"old {self.table.name}")

    def one(self, sql: str) -> int:
        """Return the one number that a query gives."""
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0


def describe(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> dict[str, str]:
    """Make the view of one `<table>.sql`; return its columns with their DuckDB types.

    Raises
    ------
    SourceError
        Where the file is not one SELECT, or names what is not there.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        statements = connection.extract_statements(path.read_text(encoding="utf-8"))
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise SourceError(f"{where} must be one SELECT")
        view = name(f"sql {table}")
        connection.execute(f"CREATE VIEW {view} AS {statements[0].query}")
        return {column: str(kind) for column, kind, *_ in connection.execute(f"DESCRIBE {view}").fetchall()}
    except (duckdb.Error, UnicodeError) as error:
        raise SourceError(f"{where}: {_whole(error)}") from None


def _whole(error: Exception) -> str:
    """Return what DuckDB says about a statement, without its drawing of the line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))


def load(staged: Staged, rules: Sequence[Rule], timezone: str) -> None:
    """Read the source once, into typed rows with every reason against each."""
    table, given = staged.table, staged.given
    casts = ", ".join(f"{typed(c, given.get(c.name), timezone)} AS {name(f't:{c.name}')}" for c in table.columns)
    bad = " OR ".join(f"({rule.broken})" for rule in rules) or "false"
    reasons = ", ".join(f"CASE WHEN {rule.broken} THEN {rule.says} END" for rule in rules) or "NULL"
    raw = ", ".join(f"{name(column)} := {name(column)}::VARCHAR" for column in given)
    values = ", ".join(f"{name(f't:{column}')} AS {name(column)}" for column in table.names)
    month = f"strftime({name(f't:{table.time}')}, '%Y-%m')" if table.time else text(WHOLE)
    try:
        staged.connection.execute(
            f"CREATE TABLE {staged.new} AS SELECT {values}, {month} AS {MONTH}, _bad,"
            f" CASE WHEN _bad THEN concat_ws('; ', {reasons}) END AS _reasons,"
            f" CASE WHEN _bad THEN struct_pack({raw}) END AS _raw"
            f" FROM (SELECT *, coalesce({bad}, false) AS _bad FROM (SELECT *, {casts} FROM {staged.view}))"
        )
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise SourceError(f"{table.name}: {reason(error)}", hint="Nothing was written.") from None
    staged.counts["rows_in"] = staged.one(f"SELECT count(*) FROM {staged.new}")


def quarantine(staged: Staged, folder: Path) -> list[tuple[str, int]]:
    """Put refused rows aside, as they came and with their reasons; return the commonest sets of reasons.

    Where one reason was given for several values, the values are left out.
    """
    where = f"FROM {staged.new} WHERE _bad"
    staged.counts["rejected"] = staged.one(f"SELECT count(*) {where}")
    if not staged.counts["rejected"]:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    target = text(str(folder / f"{staged.table.name}.parquet"))
    staged.connection.execute(f"COPY (SELECT unnest(_raw), _reasons AS reasons {where} ORDER BY ALL) TO {target}")
    common = staged.connection.execute(
        "SELECT CASE WHEN count(DISTINCT _reasons) = 1 THEN any_value(_reasons) ELSE masked END, count(*)"
        f" FROM (SELECT _reasons, regexp_replace(_reasons, '''[^'']*''', '...', 'g') AS masked {where})"
        f" GROUP BY masked ORDER BY 2 DESC, 1 LIMIT {_COMMON_REASONS}"
    ).fetchall()
    staged.connection.execute(f"DELETE {where}")
    return common


def drop_duplicates(staged: Staged) -> None:
    """Keep one row of each key: the last by time, then by content, so that the order of a file plays no part."""
    table = staged.table
    key = ", ".join(map(name, table.key))
    twice = f"SELECT hash({key}) FROM {staged.new} GROUP BY 1 HAVING count(*) > 1"  # few, and cheap to find
    ranks = ([table.time] if table.time else []) + [column for column in table.names if column != table.time]
    order = ", ".join(f"{name(column)} DESC NULLS LAST" for column in ranks)
    staged.counts["duplicated"] = staged.one(
        f"DELETE FROM {staged.new} WHERE rowid IN (SELECT place FROM ("
        f"SELECT rowid AS place, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS nth"
        f" FROM {staged.new} WHERE hash({key}) IN ({twice})) WHERE nth > 1)"
    )


def compare(staged: Staged) -> None:
    """Take out what the store holds already, word for word; note corrected rows and the months that they leave."""
    staged.counts |= {"unchanged": 0, "corrected": 0}
    if staged.has_old:
        table, connection = staged.table, staged.connection
        found = name(f"found {table.name}")
        rest = [column for column in table.names if column not in table.key]
        same = " AND ".join(f"n.{name(column)} IS NOT DISTINCT FROM o.{name(column)}" for column in rest) or "true"
        keys = " AND ".join(f"n.{name(column)} = o.{name(column)}" for column in table.key)
        connection.execute(
            f"CREATE TABLE {found} AS SELECT n.rowid AS place, o.{MONTH} AS month, {same} AS same"
            f" FROM {staged.new} n JOIN {staged.old} o ON {keys}"
        )
        months = connection.execute(f"SELECT DISTINCT month FROM {found} WHERE NOT same").fetchall()
        staged.moved = tuple(sorted(month for (month,) in months))
        staged.counts["corrected"] = staged.one(f"SELECT count(*) FROM {found} WHERE NOT same")
        staged.counts["unchanged"] = staged.one(
            f"DELETE FROM {staged.new} WHERE rowid IN (SELECT place FROM {found} WHERE same)"
        )
        connection.execute(f"DROP TABLE {found}")
    staged.counts["accepted"] = staged.one(f"SELECT count(*) FROM {staged.new}")


def count_late(staged: Staged, closed: datetime | date | None) -> None:
    """Count accepted rows that lie before `closed`, the end of the last month that was closed already."""
    staged.counts["late"] = 0
    if closed is not None:
        kind = "DATE" if isinstance(closed, date) and not isinstance(closed, datetime) else "TIMESTAMP"
        time = name(staged.table.time)
        staged.counts["late"] = staged.one(f"SELECT count(*) FROM {staged.new} WHERE {time} < {kind} '{closed}'")


def touched(staged: Staged) -> list[tuple[str, int]]:
    """Return the months to rewrite, oldest first, each with its rows old and new together."""
    execute = staged.connection.execute
    counts = dict(execute(f"SELECT {MONTH}, count(*) FROM {staged.new} GROUP BY 1").fetchall())
    counts = dict.fromkeys(staged.moved, 0) | counts
    if staged.has_old and counts:
        where = "true" if staged.reshaped else f"{MONTH} IN ({', '.join(map(text, counts))})"
        held = f"SELECT {MONTH}, count(*) FROM {staged.old} WHERE {where} GROUP BY 1"
        for month, rows in execute(held).fetchall():
            counts[month] = counts.get(month, 0) + rows
    return sorted(counts.items())


def months_sql(staged: Staged, months: Sequence[str], *, source: str, batch: str) -> str:
    """Return SQL for the whole new content of some months, sorted by key so that files are the same every time."""
    wanted = f"{MONTH} IN ({', '.join(map(text, months))})"
    columns = ", ".join(map(name, staged.table.names))
    fresh = f"SELECT {columns}, {text(source)} AS {SOURCE}, {text(batch)} AS {BATCH}, {MONTH} FROM {staged.new}"
    key = ", ".join(map(name, staged.table.key))
    if not staged.has_old:
        return f"{fresh} WHERE {wanted} ORDER BY {MONTH}, {key}"
    kept = f"SELECT {columns}, {SOURCE}, {BATCH}, {MONTH} FROM {staged.old} ANTI JOIN {staged.new} USING ({key})"
    return f"{kept} WHERE {wanted} UNION ALL {fresh} WHERE {wanted} ORDER BY {MONTH}, {key}"


def is_date(table: Table) -> bool:
    """Say whether the table's time is a date."""
    column = table.column(table.time)
    return column is not None and column.type == DATE
