"""Delta tables on disk: the files of one version, and writing a new version upon it, month by month.

What is written becomes visible through the ledger alone. So several commits may make one version, and what a killed
ingest left behind is undone by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from cxlib.contract import BOOLEAN, DATE, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP, Table
from cxlib.data.ledger import sync
from cxlib.data.rules import SQL_TYPES
from cxlib.data.sources import name, text
from cxlib.data.stage import BATCH, MONTH, SOURCE
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


@dataclass(frozen=True)
class Pinned:
    """One version of a table: its Parquet files, and its columns as that version has them (without lineage)."""

    files: tuple[str, ...]
    columns: dict[str, str]  # name -> type of the contract


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
    columns = {column: _KINDS[kind] for column, kind in fields.items() if column not in (SOURCE, BATCH, MONTH)}
    # Delta quotes spaces and accents as an address does; the month's folder and the file's own name are plain.
    found = sorted("/".join(uri.split("/")[-2:]) for uri in delta.file_uris())
    return Pinned(tuple(str(store / table / relative) for relative in found), columns)


def select(shape: Table, pinned: Pinned, *, physical: bool = False) -> str:
    """Return SQL for the columns of `shape` over pinned files, typed; those that the files lack are null.

    `physical` adds lineage and the month.
    """
    extra = (SOURCE, BATCH, MONTH) if physical else ()
    if not pinned.files:
        nothing = [f"NULL::{SQL_TYPES[c.type]} AS {name(c.name)}" for c in shape.columns]
        return f"SELECT {', '.join([*nothing, *(f'NULL::VARCHAR AS {e}' for e in extra)])} WHERE false"
    typed = [
        f"{f'try_cast({name(c.name)} AS ' if c.name in pinned.columns else 'CAST(NULL AS '}{SQL_TYPES[c.type]})"
        f" AS {name(c.name)}"
        for c in shape.columns
    ]
    options = f"hive_partitioning = {str(physical).lower()}, hive_types_autocast = false"
    listed = ", ".join(map(text, pinned.files))
    return f"SELECT {', '.join([*typed, *extra])} FROM read_parquet([{listed}], {options})"


def write(
    store: Path, table: str, version: int | None, parts: Iterable[tuple[Sequence[str], pa.RecordBatchReader]]
) -> int:
    """Write the whole new content of some months.

    Parameters
    ----------
    store
        The store folder.
    table
        The table's name.
    version
        The version that the ledger names, which the rest of the table is kept from; None starts the table anew.
    parts
        Months, and all rows that they hold from now on.

    Returns
    -------
    int
        The new version.
    """
    path = store / table
    before = set(pin(store, table, version).files) if version is not None else set()
    if version is not None:
        _undo(path, version)
    for months, reader in parts:
        if version is None:
            write_deltalake(
                path,
                reader,
                mode="overwrite",
                schema_mode="overwrite",
                partition_by=[MONTH],
                configuration=_CONFIGURATION,
            )
            version = DeltaTable(path).version()
        else:
            wanted = f"{MONTH} IN ({', '.join(map(text, months))})"
            write_deltalake(path, reader, mode="overwrite", predicate=wanted, partition_by=[MONTH])
    newest = DeltaTable(path).version()
    _sync(path, set(pin(store, table, newest).files) - before)
    return newest


def _undo(path: Path, version: int) -> None:
    """Go back to the ledger's version: an ingest that was killed may have left newer commits."""
    table = DeltaTable(path)
    if table.version() != version:
        table.restore(version)


def _sync(path: Path, written: Iterable[str]) -> None:
    """Have new files on the disk before the ledger names them."""
    for file in written:
        sync(Path(file))
    for log in sorted((path / "_delta_log").glob("*.json"))[-50:]:
        sync(log)
    for folder in (path / "_delta_log", path):
        sync(folder)
