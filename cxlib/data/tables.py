"""Delta tables: the files of one version, and a new version upon it, month by month.

What is written becomes visible through the ledger alone. What a killed ingest left behind is undone by the next one.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from cxlib.contract import BOOLEAN, DATE, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP, Table
from cxlib.data import entries, faults
from cxlib.data.ledger import sync
from cxlib.data.places import Where, options, remove
from cxlib.data.reading.quoting import path_text
from cxlib.data.remote import Item, Remote
from cxlib.data.rules import SQL_TYPES, UPDATED
from cxlib.data.sources import name
from cxlib.data.stage import BATCH, MONTH, SOURCE, Files, Staged, month_files
from cxlib.errors import StoreError

# Logs are kept as long as the ledger names their versions: Delta's own clean-up would end time travel after 30 days.
# No statistics in the log: DuckDB reads those of the Parquet files, and minima of comments are personal data.
CONFIGURATION = {
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
# Delta would take a commit upon one that it does not know, where the two touch no month in common, and mix both.
ALONE = CommitProperties(max_commit_retries=0)
_WORTH_ONE = 10  # commits that a reader need not go through for a checkpoint: at a URL, each takes two requests
_FILE = re.compile(r"v(\d{6,})-([0-9a-f]{32}\.parquet)")  # the version that brings it; what tells it from all others


@dataclass(frozen=True)
class Pinned:
    """One version of a table: its Parquet files, and its columns as that version has them."""

    files: tuple[str, ...]
    columns: dict[str, str]  # name -> type of the contract; without lineage
    hidden: frozenset[str] = frozenset(_HIDDEN)  # the columns of lineage that it has
    store: Remote | None = None  # where the files come from, if not from this machine
    sizes: Mapping[str, int] = field(default_factory=dict)  # of files that come from elsewhere

    def within(self, first: str, last: str) -> Pinned:
        """Return the same for the months from the first to the last."""
        return replace(self, files=tuple(file for file in self.files if first <= month_of(file) <= last))

    def brought(self) -> tuple[str, ...]:
        """Return the files, which are on this machine from now on."""
        if self.store is not None:
            folder = self.store.cache.folder
            named = {Path(file).relative_to(folder).as_posix(): self.sizes[file] for file in self.files}
            self.store.fetch({one: Item(size) for one, size in named.items()})
        return self.files

    @property
    def months(self) -> dict[str, list[str]]:
        """Month -> its files, oldest first."""
        found: dict[str, list[str]] = {}
        for file in sorted(self.files):
            found.setdefault(month_of(file), []).append(file)
        return found


def open_delta(store: Where, table: str, version: int | None = None) -> DeltaTable:
    """Open a table, at its newest version unless one is given."""
    return DeltaTable(str(store / table), version=version, storage_options=options(store))


def names(delta: DeltaTable) -> set[str]:
    """Return the files of a table's version, by name from the table on.

    Delta quotes spaces and accents as an address does; the month's folder and the file's own name are plain.
    """
    return {"/".join(uri.split("/")[-2:]) for uri in delta.file_uris()}


def pin(store: Where, table: str, version: int) -> Pinned:
    """Find the files of one version of a table; those of a store at a URL are brought here once they are selected from.

    Raises
    ------
    StoreError
        Where the version is not there.
    """
    try:
        delta = open_delta(store, table, version)
        fields = {field.name: str(getattr(field.type, "type", "")) for field in delta.schema().fields}
    except (DeltaError, OSError) as error:
        raise unreadable(store, table, version, error) from None
    columns = {column: _KINDS[kind] for column, kind in fields.items() if column not in _HIDDEN}
    hidden = frozenset(fields.keys() & _HIDDEN.keys())
    if isinstance(store, Remote):
        sizes = {str(store.cache.path(f"{table}/{one}")): size for one, size in sorted(_sizes(delta).items())}
        return Pinned(tuple(sizes), columns, hidden, store, sizes)
    return Pinned(tuple(str(store / table / one) for one in sorted(names(delta))), columns, hidden)


def unreadable(store: Where, table: str, version: int, error: Exception) -> StoreError:
    """Return what to tell of a version that cannot be read."""
    said = f"table {table} at version {version} cannot be read: "
    if isinstance(store, Remote) and not isinstance(error, TableNotFoundError):
        fault = faults.explain(str(store), error)
        return StoreError(said + fault.message, hint=fault.hint)
    return StoreError(f"{said}{error}", hint="Restore the store from a backup.")


def month_of(file: str) -> str:
    """Return the month of a file, given by its path or name from the table on."""
    return Path(file).parent.name.partition("=")[2]


def origin(file: str) -> str:
    """Return what of a file's name its successors share: they hold the same rows, but for people who were erased."""
    return _FILE.sub(r"\2", file)


def renumbered(file: str, version: int) -> str:
    """Return the name, from the table on, of a file's successor that a version brings."""
    return _FILE.sub(rf"v{version:06}-\2", file)


def adds(delta: DeltaTable) -> dict[str, AddAction]:
    """Return the files of a table's version, by name from the table on, each as Delta is told of it."""
    found = pa.table(delta.get_add_actions(flatten=True)).select(["path", "size_bytes", "num_records"]).to_pylist()
    named = {"/".join(one["path"].split("/")[-2:]): one for one in found}
    now = int(time.time() * 1000)
    return {path: add_of(path, one["size_bytes"], one["num_records"], now) for path, one in named.items()}


def _sizes(delta: DeltaTable) -> dict[str, int]:
    """Return the files of a table's version with their bytes."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    pairs = zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True)
    return {"/".join(path.split("/")[-2:]): size for path, size in pairs}


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
    return f"SELECT {', '.join(typed)} FROM {month_files(pinned.brought()) if physical else files(pinned)}"


def files(pinned: Pinned) -> str:
    """Return SQL for the rows of files as they are."""
    return f"read_parquet([{', '.join(path_text(Path(file)) for file in pinned.brought())}], hive_partitioning = false)"


def attach(staged: Staged, store: Where, version: int) -> Pinned:
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
    connection: duckdb.DuckDBPyConnection, shape: Table, store: Where, version: int
) -> tuple[int, datetime | None]:
    """Return how many rows a version holds, by its files' own count, and the latest of their times."""
    pinned = pin(store, shape.name, version)
    if not pinned.files:
        return 0, None
    rows = connection.execute(f"SELECT count(*) FROM {files(pinned)}").fetchone()
    for month in reversed(pinned.months.values()) if shape.time else ():  # a file may have lost its rows
        newest = select(shape, replace(pinned, files=tuple(month)))
        time = connection.execute(f"SELECT max({name(shape.time)})::TIMESTAMP FROM ({newest})").fetchone()
        if time and time[0] is not None:
            return (rows[0] if rows else 0), time[0]
    return (rows[0] if rows else 0), None


def write(store: Where, shape: Table, version: int | None, months: Files) -> int:
    """Give some months a new content.

    Parameters
    ----------
    store
        The store.
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

    Raises
    ------
    StoreError
        Where another process has written to the table meanwhile, as it can at a URL, which nobody locks.
    """
    with _in_time(store):
        base = _undo(store, shape.name, version)
    number = base.version() + 1 if base else 0
    placed = {
        f"{MONTH}={month}/v{number:06}-{uuid4().hex}.parquet": one for month, files in months.items() for one in files
    }
    added = [_add(relative, file, rows) for relative, (file, rows) in placed.items()]
    kept = {one for one in names(base) if month_of(one) not in months} if base and version is not None else set()
    try:
        with _in_time(store):
            place(store, shape.name, {relative: file for relative, (file, _) in placed.items()})
            _commit(store, shape, None if version is None else base, months, added)
        made = open_delta(store, shape.name, number)
        if names(made) != kept | placed.keys():
            raise entries.overtaken(store)
    except BaseException:
        for _ in remove(store, [f"{shape.name}/{relative}" for relative in placed]):
            pass
        raise
    sync_log(store, shape.name)
    if isinstance(store, Remote) and number and number % _WORTH_ONE == 0:
        made.create_checkpoint()
    return number


def sync_log(store: Where, table: str) -> None:
    """Have the log of a table on the disk before the ledger names what it says."""
    if not isinstance(store, Remote):
        log = store / table / "_delta_log"
        _sync([*sorted(log.glob("*.json"))[-50:], log])


@contextmanager
def _in_time(store: Where) -> Iterator[None]:
    """Say of a commit that was refused at a URL that another one has come before it: nobody is locked out there."""
    try:
        yield
    except CommitFailedError as error:
        if isinstance(store, Remote):
            raise entries.overtaken(store) from error
        raise


def _undo(store: Where, table: str, version: int | None) -> DeltaTable | None:
    """Go back to the ledger's version: a killed ingest may have left newer ones. Return the table, if it is there.

    At a URL newer ones may be of an ingest that is at work; it will find that it was overtaken, or this one will. Its
    files stay, for `compact` to remove once they are old.
    """
    found = None
    if not isinstance(store, Remote):
        (store / table).mkdir(parents=True, exist_ok=True)
    if DeltaTable.is_deltatable(str(store / table), storage_options=options(store)):
        found = open_delta(store, table)
        if version is not None and found.version() != version:
            found.restore(version, commit_properties=ALONE)
    if not isinstance(store, Remote):
        for file in (store / table).glob(f"{MONTH}=*/v*.parquet"):
            brought = _FILE.fullmatch(file.name)
            if brought and int(brought[1]) > (found.version() if found else -1):
                file.unlink()  # moved here, and its writer was killed before Delta heard of it
    return found


def place(store: Where, table: str, files: Mapping[str, Path]) -> None:
    """Move files, by name from the table on, into the store, and have them on its disk."""
    if isinstance(store, Remote):
        store.upload({f"{table}/{relative}": file for relative, file in files.items()})
        return
    placed = {store / table / relative: file for relative, file in files.items()}
    for target, file in placed.items():
        target.parent.mkdir(exist_ok=True)
        _move(file, target)
    _sync([*placed, *{target.parent for target in placed}, store / table])


def _move(file: Path, target: Path) -> None:
    """Bring a file into the store's folder, which may lie on another disk."""
    shutil.move(file, target)


def _add(relative: str, file: Path, rows: int) -> AddAction:
    """Describe a file to Delta, before it is moved to where it belongs."""
    state = file.stat()
    return add_of(relative, state.st_size, rows, int(state.st_mtime * 1000))


def add_of(relative: str, size: int, rows: int, moment: int) -> AddAction:
    """Describe a file to Delta: its bytes and rows, and when it was written, in milliseconds."""
    values: dict[str, str | None] = {MONTH: month_of(relative)}
    return AddAction(relative, size, values, moment, True, json.dumps({"numRecords": rows}))


def _commit(
    store: Where, shape: Table, base: DeltaTable | None, months: Mapping[str, object], added: list[AddAction]
) -> None:
    """Tell Delta which files some months are made of from now on, or, without a base, the whole table."""
    types = {kind: word for word, kind in _KINDS.items()}
    kinds = {column.name: column.type for column in shape.columns} | _HIDDEN
    schema = Schema([Field(column, PrimitiveType(types[kind])) for column, kind in kinds.items()])
    if base is None:
        create_table_with_add_actions(
            str(store / shape.name), schema, added, mode="overwrite", partition_by=[MONTH],
            configuration=CONFIGURATION, storage_options=options(store), commit_properties=ALONE,
        )  # fmt: skip
    else:
        only = [(MONTH, "in", list(months))]
        actions: list[AddAction | RemoveAction] = [*added]
        base.create_write_transaction(actions, "overwrite", schema, [MONTH], only, commit_properties=ALONE)


def _sync(paths: Sequence[Path]) -> None:
    """Have files and folders on the disk before the ledger names them."""
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(sync, paths):
            pass
