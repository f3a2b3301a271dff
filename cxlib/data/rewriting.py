"""Take rows, or words in them, out of every version of a store's tables, so that no snapshot holds them any more.

Files of a store are never changed, so each file that holds such a row gets a successor, and each version that a kept
snapshot names gets a successor with those files. Readers see nothing of it until the ledger names the new versions,
all at once; snapshots keep their ids. A killed rewriting leaves versions that nobody names, as a killed ingest does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import duckdb
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from cxlib.data import entries, rules, tables
from cxlib.data.ledger import Snapshot, TableVersion
from cxlib.data.places import Where, options, remove
from cxlib.data.reading.quoting import path_text
from cxlib.data.sources import name, text
from cxlib.data.stage import MONTH
from cxlib.errors import StoreError

_AT_ONCE = 4  # files that are written side by side
_OPTIONS = "FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 10000"  # as `stage.months` writes


@dataclass(frozen=True)
class Change:
    """What becomes of a table's rows, in SQL over the columns of its files.

    `gone` is a condition for rows that go. `becomes` maps a column to a condition and the value that it has instead
    where that holds. Conditions may be null, which is no. Each names columns in `asks`; files that lack one have nulls.
    """

    gone: str = "false"
    becomes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    asks: Sequence[str] = ()

    @property
    def touches(self) -> str:
        """Return SQL for whether a row is another afterwards."""
        return " OR ".join(f"coalesce({one}, false)" for one in (self.gone, *(c for c, _ in self.becomes.values())))


@dataclass
class Table:
    """One table: its versions that snapshots name, and the files in which rows change."""

    name: str
    versions: dict[int, tables.Pinned]
    gone: Counter[str] = field(default_factory=Counter)  # file -> rows that go
    changed: Counter[str] = field(default_factory=Counter)  # file -> rows that stay and are another
    newest: int = -1  # the version of the newest snapshot

    @property
    def files(self) -> list[str]:
        """All files of the versions."""
        return sorted({file for pinned in self.versions.values() for file in pinned.files})

    @property
    def touched(self) -> list[str]:
        """The files that need a successor."""
        return sorted({*self.gone, *self.changed})

    def rows(self, newest: bool = False) -> int:
        """Return how many rows go: each file's once, or those of the newest version."""
        files = self.versions[self.newest].files if newest and self.newest in self.versions else self.files
        return sum(self.gone[file] for file in files)

    def changed_rows(self) -> int:
        """Return how many rows of the newest version stay and are another."""
        files = self.versions[self.newest].files if self.newest in self.versions else self.files
        return sum(self.changed[file] for file in files)

    def distinct_rows(self, connection: duckdb.DuckDBPyConnection, change: Change) -> int:
        """Return how many rows go, by their keys: one that lies in files of several versions is one."""
        from cxlib.contract import TABLES

        key = TABLES[self.name].key
        rows = relation(connection, sorted(self.gone), (*change.asks, *key))
        if not rows:
            return 0
        query = f"SELECT count(DISTINCT row({', '.join(map(name, key))})) FROM {rows} WHERE {change.gone}"
        ((count,),) = connection.execute(query).fetchall()
        return int(count)

    def affected(self) -> list[int]:
        """Return the versions that need a successor: from the first with such a row on, so that the newest is last."""
        touched = set(self.touched)
        first = min((v for v, pinned in self.versions.items() if touched & set(pinned.files)), default=None)
        return sorted(v for v in self.versions if first is not None and v >= first)


def look(
    connection: duckdb.DuckDBPyConnection, store: Where, snapshots: Sequence[Snapshot], table: str, change: Change
) -> Table:
    """Find the rows of a table, in all versions that snapshots name, that a change is about."""
    held = {one.tables[table].version for one in snapshots if table in one.tables}
    newest = snapshots[-1].tables[table].version if table in snapshots[-1].tables else -1
    found = Table(table, {version: tables.pin(store, table, version) for version in sorted(held)}, newest=newest)
    for pinned in found.versions.values():
        pinned.brought()
    rows = relation(connection, found.files, change.asks)
    if rows:
        gone = f"coalesce({change.gone}, false)"
        counted = connection.execute(
            f"SELECT _path, count(*) FILTER ({gone}), count(*) FILTER (NOT {gone}) FROM {rows}"
            f" WHERE {change.touches} GROUP BY 1"
        ).fetchall()
        found.gone.update({path: rows for path, rows, _ in counted if rows})
        found.changed.update({path: rows for path, _, rows in counted if rows})
    return found


def relation(connection: duckdb.DuckDBPyConnection, files: Sequence[str], asks: Iterable[str] = ()) -> str:
    """Return SQL for the rows of files with `_path`; columns asked for that all files lack are null; "" of none."""
    if not files:
        return ""
    listed = ", ".join(path_text(Path(file)) for file in files)
    read = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true, filename = '_path')"
    known = {column for column, *_ in connection.execute(f"DESCRIBE FROM {read}").fetchall()}
    lacking = "".join(f", NULL::VARCHAR AS {name(column)}" for column in asks if column not in known)
    return f"(SELECT *{lacking} FROM {read})"


def rewrite(
    connection: duckdb.DuckDBPyConnection, store: Where, table: Table, change: Change, scratch: Path
) -> dict[int, TableVersion]:
    """Write successors of a table's files and versions; the ledger does not name them yet.

    Parameters
    ----------
    connection
        Where the SQL of the change is understood.
    store
        The store, whose lock is held.
    table
        What `look` found.
    change
        The same change.
    scratch
        An existing folder for drafts.

    Returns
    -------
    dict[int, TableVersion]
        Version -> its successor. No row is in it less than is gone from it, and none more.

    Raises
    ------
    StoreError
        Where rows are missing, or another process has written meanwhile, as it can at a URL.
    """
    affected = table.affected()
    if not affected:
        return {}
    base = tables.open_delta(store, table.name)
    after = base.version() + 1
    successors = _files(connection, table, change, scratch, after)
    placed = [one.path for one in successors.values()]
    try:
        tables.place(store, table.name, {one.path: one.draft for one in successors.values()})
        found = {}
        for version in affected:
            made = _version(store, table, version, successors)
            shape = rules.shape(table.name, table.versions[version].columns)
            found[version] = _measured(connection, store, table, version, shape, made)
    except BaseException:
        for _ in remove(store, [f"{table.name}/{path}" for path in placed]):
            pass
        raise
    tables.sync_log(store, table.name)
    return found


@dataclass(frozen=True)
class _Successor:
    """A file in another's place: its name from the table on, where its draft lies, its bytes and rows."""

    path: str
    draft: Path
    size: int
    rows: int

    def add(self) -> AddAction:
        """Describe it to Delta."""
        return tables.add_of(self.path, self.size, self.rows, int(time.time() * 1000))


def _files(
    connection: duckdb.DuckDBPyConnection, table: Table, change: Change, scratch: Path, version: int
) -> dict[str, _Successor]:
    """Write drafts of the successors of files. A name ends as its predecessor's does, and one without rows stays, too.

    So it shows which files are those that a published report was made of.
    """

    def write(file: str) -> _Successor:
        own = connection.cursor()
        rows = relation(own, [file], change.asks)
        held = f"DESCRIBE FROM read_parquet([{path_text(Path(file))}], hive_partitioning = false)"
        shown = ", ".join(_cell(column, change) for column, *_ in own.execute(held).fetchall())
        draft = scratch / f"{table.name}-{uuid4().hex}.parquet"
        kept = f"SELECT {shown} FROM {rows} WHERE NOT coalesce({change.gone}, false)"
        ((count,),) = own.execute(f"COPY ({kept}) TO {text(str(draft))} ({_OPTIONS})").fetchall()
        return _Successor(tables.renumbered(_within(file), version), draft, draft.stat().st_size, count)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(map(_within, table.touched), pool.map(write, table.touched), strict=True))


def _within(file: str) -> str:
    """Return a file's name from its table on."""
    return "/".join(Path(file).parts[-2:])


def _cell(column: str, change: Change) -> str:
    """Return SQL for what a column has from now on."""
    if column not in change.becomes:
        return name(column)
    condition, value = change.becomes[column]
    return f"CASE WHEN coalesce({condition}, false) THEN {value} ELSE {name(column)} END AS {name(column)}"


def _version(store: Where, table: Table, version: int, successors: Mapping[str, _Successor]) -> int:
    """Commit the successor of one version; return its number."""
    was, base = tables.open_delta(store, table.name, version), tables.open_delta(store, table.name)
    wanted = tables.adds(was)
    for old in set(wanted) & set(successors):
        del wanted[old]
        wanted[successors[old].path] = successors[old].add()
    there = tables.names(base)
    if was.schema().to_json() != base.schema().to_json():
        if there & wanted.keys():
            _commit(base, [], there)
            there, base = set(), tables.open_delta(store, table.name)
        create_table_with_add_actions(
            str(store / table.name), was.schema(), list(wanted.values()), mode="overwrite", partition_by=[MONTH],
            configuration=tables.CONFIGURATION, storage_options=options(store), commit_properties=tables.ALONE,
        )  # fmt: skip
    else:
        _commit(base, [add for path, add in wanted.items() if path not in there], there - wanted.keys())
    made = tables.open_delta(store, table.name)
    if made.version() != base.version() + 1 or tables.names(made) != wanted.keys():
        raise entries.overtaken(store)
    return made.version()


def _commit(base: DeltaTable, adds: list[AddAction], removes: Iterable[str]) -> None:
    """Commit files that come and files that go."""
    moment = int(time.time() * 1000)
    gone = [RemoveAction(path, True, moment, None, {MONTH: tables.month_of(path)}) for path in sorted(removes)]
    actions: list[AddAction | RemoveAction] = [*adds, *gone]
    base.create_write_transaction(actions, "append", base.schema(), [MONTH], commit_properties=tables.ALONE)


def _measured(
    connection: duckdb.DuckDBPyConnection, store: Where, table: Table, version: int, shape: object, made: int
) -> TableVersion:
    """Measure a new version, and see that it lost what it had to lose and nothing else."""
    pinned = table.versions[version]
    held = relation(connection, pinned.files)
    before = int(connection.execute(f"SELECT count(*) FROM {held}").fetchall()[0][0]) if held else 0
    gone = sum(table.gone[file] for file in pinned.files)
    rows, latest = tables.measure(connection, shape, store, made)  # type: ignore[arg-type]
    if rows != before - gone:
        said = f"{table.name}: {rows:,} rows written, {before - gone:,} expected"
        raise StoreError(said, hint="Nothing was changed. Please report this.")
    return TableVersion(made, rows, latest)


def renamed(
    snapshots: Sequence[Snapshot], found: Mapping[str, Mapping[int, TableVersion]]
) -> dict[str, dict[str, TableVersion]]:
    """Return snapshot id -> its tables from now on, of the snapshots that change."""
    new: dict[str, dict[str, TableVersion]] = {}
    for one in snapshots:
        moved = {t: found[t][v.version] for t, v in one.tables.items() if v.version in found.get(t, {})}
        if moved:
            new[one.id] = dict(one.tables) | moved
    return new
