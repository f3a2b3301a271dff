"""People among refused rows: their rows go from the Parquet files of a batch, and its workbook is written anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from cxlib.data import quarantine
from cxlib.data.person import OWNED
from cxlib.data.reading.quoting import path_text
from cxlib.data.searching import Search, Wanted, condition, other
from cxlib.data.sources import name

_UNREADABLE = f"{quarantine.UNREADABLE}.parquet"


def holding(
    connection: duckdb.DuckDBPyConnection, folder: Path, wanted: Wanted, *, listed: bool = True
) -> dict[Path, int]:
    """Return batch folder -> how many rows of theirs lie in it, and how many workbooks name them.

    `listed`: the lists of `person` say what else is theirs.
    """
    found: dict[Path, int] = {}
    for batch in sorted(path for path in folder.glob("*") if path.is_dir()):
        rows = sum(_rows(connection, path, wanted, listed) for path in sorted(batch.glob("*.parquet")))
        book = batch / f"{batch.name}.xlsx"
        rows += other(book, wanted, Search()) if book.is_file() and not rows else 0
        if rows:
            found[batch] = rows
    return found


def _rows(connection: duckdb.DuckDBPyConnection, path: Path, wanted: Wanted, listed: bool) -> int:
    """Count the rows of a file that are theirs."""
    ((count,),) = connection.execute(
        f"SELECT count(*) FROM {_file(path)} WHERE {_theirs(connection, path, wanted, listed)}"
    ).fetchall()
    return int(count)


def _file(path: Path) -> str:
    """Return SQL for a file's rows."""
    return f"read_parquet({path_text(path)}, hive_partitioning = false)"


def _theirs(connection: duckdb.DuckDBPyConnection, path: Path, wanted: Wanted, listed: bool = True) -> str:
    """Return SQL for whether a refused row is theirs: it names them, or what they own, or has their words."""
    columns = [column for column, *_ in connection.execute(f"DESCRIBE FROM {_file(path)}").fetchall()]
    parts = [found for column in columns if (found := condition(column, wanted))]
    owned = [column for column in OWNED.values() if column in columns and listed]
    parts += [f"{name(column)} IN (FROM {name(f'{column} to erase')})" for column in owned]
    return " OR ".join(f"coalesce({part}, false)" for part in parts) or "false"


def take_out(
    connection: duckdb.DuckDBPyConnection, batch: Path, wanted: Wanted, scratch: Path, timezones: Mapping[str, str]
) -> None:
    """Take their rows out of one batch; each file is exchanged at once, so doing it again ends what was cut off.

    Parameters
    ----------
    connection
        With the tables of `person.list_ids`.
    batch
        The folder of the batch.
    wanted
        Who they are.
    scratch
        An existing folder.
    timezones
        Source -> the timezone of its times.
    """
    draft, source = scratch / f"{batch.name} anew", batch.name.rpartition("-")[0]
    kept: dict[str, str] = {}
    unreadable = False
    for path in sorted(batch.glob("*.parquet")):
        rows = f"(SELECT * FROM {_file(path)} WHERE NOT ({_theirs(connection, path, wanted)}))"
        if path.name == _UNREADABLE:
            connection.execute(f"CREATE OR REPLACE TABLE unreadable AS SELECT * RENAME (reasons AS reason) FROM {rows}")
            unreadable = True
        else:
            kept[path.stem] = rows
    zone = timezones.get(source, "UTC")
    quarantine.write(connection, draft, kept, batch=batch.name, source=source, timezone=zone, unreadable=unreadable)
    _exchange(batch, draft)


def _exchange(batch: Path, draft: Path) -> None:
    """Put new files in the places of old ones; those that have no successor go."""
    ours: Sequence[Path] = [*sorted(batch.glob("*.parquet")), batch / f"{batch.name}.xlsx"]
    for path in ours:
        new = draft / path.name
        if new.is_file():
            new.replace(path)
        else:
            path.unlink(missing_ok=True)
    if not any(batch.iterdir()):
        batch.rmdir()
