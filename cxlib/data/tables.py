"""Delta tables on disk: the files of one version, and a new version upon it, month by month.

What is written becomes visible through the ledger alone. What a killed ingest left behind is undone by the next one.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import DeltaError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from cxlib.contract import BOOLEAN, DATE, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP, Table
from cxlib.data.ledger import sync
from cxlib.data.reading.quoting import path_text
from cxlib.data.rules import SQL_TYPES, UPDATED
from cxlib.data.sources import name
from cxlib.data.stage import BATCH, MONTH, SOURCE, Files, Staged, month_files
from cxlib.errors import StoreError

# Logs are kept as long as the ledger names their versions: Delta's own clean-up would end time travel after 30 days.
# No statistics in the log: DuckDB reads those of the Parquet files, and minima of comments are personal data.
_CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.dataSkippingNumIndexedCols": "0",
}
_KINDS = {
    "string": TEXT,
    "timestamp_ntz": TIMESTAMP,
    "date": DATE,
    "long": INTEGER,
    "double": NUMBER,
    "decimal(18,2)": MONEY,
    "boolean": BOOLEAN,
}
_HIDDEN = {SOURCE: TEXT, BATCH: TEXT, UPDATED: TIMESTAMP, MONTH: TEXT}
_FILE = re.compile(r"v(\d{6,})-[0-9a-f]{32}\.parquet")  # the version that brings it


@dataclass(frozen=True)
class Pinned:
    """One version of a table: its Parquet files, and its columns as that version has them."""

    files: tuple[str, ...]
    columns: dict[str, str]  # name -> type of the contract; without lineage
    hidden: frozenset[str] = frozenset(_HIDDEN)  # the columns of lineage that it has

    @property
    def months(self) -> dict[str, list[str]]:
        """Month -> its files, oldest first."""
        found: dict[str, list[str]] = {}
        for file in sorted(self.files):
            found.setdefault(Path(file).parent.name.partition("=")[2], []).append(file)
        return found


def pin(store: Path, table: str, version: int) -> Pinned:
    """Find the files of one version of a table.

    Raises
    ------
    StoreError
        Where the version is not there.
    """
    try:
        delta = DeltaTable(store / table, version=version)
        fields = {field.name: str(getattr(field.type, "type", "")) for field in delta.schema().fields}
    except (DeltaError, OSError) as error:
        raise StoreError(
            f"table {table} at version {version} cannot be read: {error}", hint="Restore the store from a backup."
        ) from None
    columns = {column: _KINDS[kind] for column, kind in fields.items() if column not in _HIDDEN}
    # Delta quotes spaces and accents as an address does; the month's folder and the file's own name are plain.
    found = sorted("/".join(uri.split("/")[-2:]) for uri in delta.file_uris())
    files = tuple(str(store / table / relative) for relative in found)
    return Pinned(files, columns, frozenset(fields.keys() & _HIDDEN.keys()))


def select(shape: Table, pinned: Pinned, *, physical: bool = False) -> str:
    """Return SQL for the columns of `shape` over pinned files, typed; those that the files lack are null.

    `physical` adds lineage and the month.
    """
    kinds = {column.name: column.type for column in shape.columns} | (_HIDDEN if physical else {})
    held = set(pinned.columns) | pinned.hidden if pinned.files else set()
    typed = [
        f"{f'try_cast({name(column)} AS ' if column in held else 'CAST(NULL AS '}{SQL_TYPES[kind]}) AS {name(column)}"
        for column, kind in kinds.items()
    ]
    if not pinned.files:
        return f"SELECT {', '.join(typed)} WHERE false"
    return f"SELECT {', '.join(typed)} FROM {month_files(pinned.files) if physical else _files(pinned)}"


def _files(pinned: Pinned) -> str:
    """Return SQL for the rows of files as they are."""
    return f"read_parquet([{', '.join(path_text(Path(file)) for file in pinned.files)}], hive_partitioning = false)"


def attach(staged: Staged, store: Path, version: int) -> Pinned:
    """Show a staged table what the store holds of it at one version."""
    pinned = pin(store, staged.table.name, version)
    shape = {column.name: column.type for column in staged.table.columns}
    months = pinned.months

    def held(chosen: Collection[str]) -> str:
        files = tuple(file for month in chosen for file in months.get(month, ()))
        return f"({select(staged.table, replace(pinned, files=files), physical=True)})"

    staged.has_old, staged.old_months, staged.held = True, tuple(months), held
    staged.reshaped = pinned.columns != shape or pinned.hidden != _HIDDEN.keys()
    staged.connection.execute(f"CREATE VIEW {staged.old} AS FROM {held(months)}")
    return pinned


def measure(
    connection: duckdb.DuckDBPyConnection, shape: Table, store: Path, version: int
) -> tuple[int, datetime | None]:
    """Return how many rows a version holds, by its files' own count, and the latest of their times."""
    pinned = pin(store, shape.name, version)
    if not pinned.files:
        return 0, None
    rows = connection.execute(f"SELECT count(*) FROM {_files(pinned)}").fetchone()
    newest = Pinned(tuple(list(pinned.months.values())[-1]), pinned.columns)
    latest = f"max({name(shape.time)})::TIMESTAMP" if shape.time else "NULL"
    time = connection.execute(f"SELECT {latest} FROM ({select(shape, newest)})").fetchone()
    return (rows[0] if rows else 0), (time[0] if time else None)


def write(store: Path, shape: Table, version: int | None, months: Files) -> int:
    """Give some months a new content.

    Parameters
    ----------
    store
        The store folder.
    shape
        The table.
    version
        The version that the ledger names, which the rest of the table is kept from; None starts the table anew.
    months
        Month -> all its files from now on, with their rows; they are moved into the store. Without files it ends.

    Returns
    -------
    int
        The new version. Files and log are on the disk.
    """
    path = store / shape.name
    path.mkdir(parents=True, exist_ok=True)
    latest = _undo(path, version)
    placed = {
        path / f"{MONTH}={month}" / f"v{latest + 1:06}-{uuid4().hex}.parquet": one
        for month, files in months.items()
        for one in files
    }
    try:
        for target, (file, _) in placed.items():
            target.parent.mkdir(exist_ok=True)
            _move(file, target)
        _sync([*placed, *{target.parent for target in placed}, path])
        _commit(path, shape, version, months, [_add(target, rows) for target, (_, rows) in placed.items()])
    except BaseException:
        for target in placed:
            target.unlink(missing_ok=True)
        raise
    written = DeltaTable(path).version()
    _sync([*sorted((path / "_delta_log").glob("*.json"))[-50:], path / "_delta_log"])
    return written


def _undo(path: Path, version: int | None) -> int:
    """Go back to the ledger's version: a killed ingest may have left newer ones. Return Delta's newest."""
    newest = -1
    if DeltaTable.is_deltatable(str(path)):
        table = DeltaTable(path)
        newest = table.version()
        if version is not None and newest != version:
            table.restore(version)
            newest = DeltaTable(path).version()
    for file in path.glob(f"{MONTH}=*/v*.parquet"):
        brought = _FILE.fullmatch(file.name)
        if brought and int(brought[1]) > newest:  # moved here, and killed before Delta heard of it
            file.unlink()
    return newest


def _move(file: Path, target: Path) -> None:
    """Bring a file into the store, which may lie on another disk."""
    shutil.move(file, target)


def _add(target: Path, rows: int) -> AddAction:
    """Describe a file to Delta."""
    state, folder = target.stat(), target.parent.name
    values: dict[str, str | None] = {MONTH: folder.partition("=")[2]}
    counted = json.dumps({"numRecords": rows})
    return AddAction(f"{folder}/{target.name}", state.st_size, values, int(state.st_mtime * 1000), True, counted)


def _commit(
    path: Path, shape: Table, version: int | None, months: Mapping[str, object], added: list[AddAction]
) -> None:
    """Tell Delta which files some months are made of from now on, or, without a version, the whole table."""
    types = {kind: word for word, kind in _KINDS.items()}
    kinds = {column.name: column.type for column in shape.columns} | _HIDDEN
    schema = Schema([Field(column, PrimitiveType(types[kind])) for column, kind in kinds.items()])
    if version is None:
        create_table_with_add_actions(
            str(path), schema, added, mode="overwrite", partition_by=[MONTH], configuration=_CONFIGURATION
        )
    else:
        only = [(MONTH, "in", list(months))]
        actions: list[AddAction | RemoveAction] = [*added]
        DeltaTable(path).create_write_transaction(actions, "overwrite", schema, [MONTH], only)


def _sync(paths: Sequence[Path]) -> None:
    """Have files and folders on the disk before the ledger names them."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(sync, paths):
            pass
