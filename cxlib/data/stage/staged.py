"""A table in work: what it is, where its rows lie, and what is known of them so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cxlib.contract import DATE, Table
from cxlib.data.reading.quoting import path_text
from cxlib.data.rules import SQL_TYPES, UPDATED, Rule
from cxlib.data.sources import name, text

MONTH, SOURCE, BATCH = "_month", "_source", "_batch"
WHOLE = "all"  # the one partition of a table without time

Files = dict[str, list[tuple[Path, int]]]  # month -> its Parquet files with their rows
# Not by hive partitioning: it would take any folder above, called region=EU, for a column.
_MONTH_OF = rf"regexp_extract(_path, '{MONTH}=([^/\\]+)[/\\][^/\\]+$', 1) AS {MONTH}"


@dataclass
class Staged:
    """A table in work: its definition, the names of its relations, and its counts so far."""

    connection: duckdb.DuckDBPyConnection
    table: Table
    given: Mapping[str, str]  # column that the source yields -> DuckDB type
    scratch: Path  # an existing folder for month files
    source: str = ""
    batch: str = ""
    timezone: str = "UTC"  # of times without a zone
    rules: Sequence[Rule] = ()  # what refuses a row
    has_old: bool = False  # the store holds the table already
    reshaped: bool = False  # with other columns, so that all of it must be rewritten
    old_months: Sequence[str] = ()  # that the store holds, oldest first
    held: Callable[[Collection[str]], str] = lambda _: ""  # months -> SQL for what the store holds of them
    counts: dict[str, int] = field(default_factory=dict)
    few: bool = False  # accepted rows lie in the table `rows`, and not in files
    files: Files = field(default_factory=dict)  # of the accepted rows
    fresh: dict[str, int] = field(default_factory=dict)  # month -> accepted rows that are to be stored
    partial: set[str] = field(default_factory=set)  # months of which only the rows in `kept` are to be stored
    gone: Counter[str] = field(default_factory=Counter)  # month -> stored rows that must not stay
    touched: list[tuple[str, int]] = field(default_factory=list)  # months to rewrite, with their rows

    @property
    def view(self) -> str:
        """The source's SQL."""
        return self.relation("sql")

    @property
    def new(self) -> str:
        """The accepted rows, typed, with lineage and month."""
        return self.relation("new")

    @property
    def old(self) -> str:
        """What the store holds at the pinned version, where it holds any; the same columns."""
        return self.relation("old")

    @property
    def key(self) -> str:
        """The columns of the key, for SQL."""
        return ", ".join(map(name, self.table.key))

    @property
    def stored(self) -> str:
        """The columns of a month's file, for SQL."""
        return ", ".join(map(name, (*self.table.names, SOURCE, BATCH, UPDATED)))

    @property
    def folder(self) -> Path:
        """Where its month files are made."""
        return self.scratch / "months" / self.table.name

    def relation(self, kind: str) -> str:
        """Name one of the table's relations."""
        return name(f"{kind} {self.table.name}")

    def one(self, sql: str) -> int:
        """Return the one number that a query gives; of INSERT and CREATE TABLE AS, how many rows."""
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0

    def by_month(self, rows: str) -> dict[str, int]:
        """Count rows by month."""
        return dict(self.connection.execute(f"SELECT {MONTH}, count(*) FROM {rows} GROUP BY 1").fetchall())

    def within(self, months: Collection[str]) -> str:
        """Return an SQL condition for rows of some months."""
        return f"{MONTH} IN ({', '.join(map(text, months))})" if months else "false"

    def brought(self, months: Collection[str]) -> str:
        """Return SQL for the accepted rows of some months."""
        if self.few:
            return f"(FROM {self.relation('rows')} WHERE {self.within(months)})"
        files = [path for month in months for path, _ in self.files.get(month, ())]
        if files:
            return f"(SELECT {self.stored}, {MONTH} FROM {month_files(files)})"
        kinds = {column.name: SQL_TYPES[column.type] for column in self.table.columns}
        kinds |= {SOURCE: "VARCHAR", BATCH: "VARCHAR", UPDATED: "TIMESTAMP", MONTH: "VARCHAR"}
        return f"(SELECT {', '.join(f'NULL::{kind} AS {name(column)}' for column, kind in kinds.items())} WHERE false)"

    def stay(self, months: Sequence[str]) -> str:
        """Return SQL for the accepted rows of some months that are to be stored."""
        whole = [month for month in months if month not in self.partial]
        partial = [month for month in months if month in self.partial]
        kept = f"(SELECT {self.key} FROM {self.relation('kept')} WHERE {self.within(partial)})"
        rest = f"SELECT * FROM {self.brought(partial)} SEMI JOIN {kept} USING ({self.key})"
        return f"FROM {self.brought(whole)} UNION ALL {rest}" if partial else f"FROM {self.brought(whole)}"

    def drop(self, keys: str) -> int:
        """Take rows out of those that are to be stored, by month and key; return how many."""
        kept, found = self.relation("kept"), self.by_month(keys)
        for month in sorted(found.keys() - self.partial):
            self.connection.execute(
                f"INSERT INTO {kept} SELECT {MONTH}, {self.key}, {UPDATED} FROM {self.brought([month])}"
            )
            self.partial.add(month)
        columns = f"{MONTH}, {self.key}"
        self.connection.execute(f"DELETE FROM {kept} WHERE ({columns}) IN (SELECT ({columns}) FROM {keys})")
        for month, rows in found.items():
            self.fresh[month] -= rows
        return sum(found.values())


def month_files(paths: Iterable[Path | str]) -> str:
    """Return SQL for the rows of files in folders of months, with `_month`."""
    listed = ", ".join(path_text(Path(path)) for path in paths)
    return f"(SELECT *, {_MONTH_OF} FROM read_parquet([{listed}], hive_partitioning = false, filename = '_path'))"


def is_date(table: Table) -> bool:
    """Say whether the table's time is a date."""
    column = table.column(table.time)
    return column is not None and column.type == DATE


def groups(months: Iterable[tuple[str, int]], rows: int, many: int) -> Iterator[list[str]]:
    """Gather months, given with their rows, into groups of so many rows and months at most; one is never cut."""
    group: list[str] = []
    total = 0
    for month, count in months:
        if group and (total + count > rows or len(group) == many):
            yield group
            group, total = [], 0
        group.append(month)
        total += count
    if group:
        yield group
