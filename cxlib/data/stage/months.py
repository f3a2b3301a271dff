"""Files of months: writing rows into them, and giving each touched month its new content."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from cxlib.data.sources import text
from cxlib.data.stage.staged import MONTH, Files, Staged, groups

_ROWS_A_COPY = 3_000_000  # of months that are written together
_ROWS_HELD = 131_072  # of all months, by each thread, before they go into files
_BUFFERS = 256  # of each column at once: every thread has one for every month
# Version 2 and few dictionaries: a quarter less work than the defaults, and smaller files.
_OPTIONS = f"FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 10000, PARTITION_BY ({MONTH}), RETURN_STATS"


def copy(connection: duckdb.DuckDBPyConnection, rows: str, folder: Path) -> Files:
    """Write rows into one folder for each month.

    Parameters
    ----------
    connection
        Where the rows are.
    rows
        SQL; its column `_month` is 2026-08, or the number 202608, which is cheaper to work out.
    folder
        It must not exist.

    Returns
    -------
    Files
        What was written, by month.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    settings = {"flush_threshold": _ROWS_HELD, "max_open_files": _BUFFERS}  # else months fall apart into many files
    for setting, value in settings.items():
        connection.execute(f"SET partitioned_write_{setting} = {value}")
    connection.execute("SET preserve_insertion_order = false")
    files: Files = {}
    for path, count, *_, keys in connection.execute(f"COPY ({rows}) TO {text(str(folder))} ({_OPTIONS})").fetchall():
        month = re.sub(r"^(\d{4})(\d\d)$", r"\1-\2", keys[MONTH])
        files.setdefault(month, []).append((folder / f"{MONTH}={month}" / Path(path).name, count))
    for path in folder.glob(f"{MONTH}=*"):
        path.rename(re.sub(r"=(\d{4})(\d\d)$", r"=\1-\2", str(path)))
    return files


def at_once(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many months can be written together in bounded memory."""
    (threads,) = connection.execute("SELECT current_setting('threads')").fetchall()[0]
    return max(1, _BUFFERS // int(threads))


def write(staged: Staged) -> Files:
    """Make the files of all touched months.

    Returns
    -------
    Files
        Month -> its whole new content; no file where nothing is left of it.
    """
    ready = staged.files.keys() - set(staged.old_months) - staged.partial
    files: Files = {month: staged.files[month] if month in ready else [] for month, _ in staged.touched}
    mixed = [one for one in staged.touched if one[0] not in ready]
    for number, months in enumerate(groups(mixed, _ROWS_A_COPY, at_once(staged.connection))):
        files |= copy(staged.connection, _content(staged, months), staged.folder / f"all-{number}")
    return files


def _content(staged: Staged, months: list[str]) -> str:
    """Return SQL for the whole new content of some months."""
    columns = f"{staged.stored}, {MONTH}"
    old = [month for month in months if month in staged.old_months]
    new = [month for month in months if staged.fresh.get(month)]
    parts = []
    if old:
        changed = staged.within([month for month in old if staged.gone[month]])
        gone = f"(SELECT {staged.key} FROM {staged.relation('gone')} WHERE {changed})"
        parts.append(f"SELECT {columns} FROM {staged.held(old)} ANTI JOIN {gone} USING ({staged.key})")
    if new:
        parts.append(f"SELECT {columns} FROM ({staged.stay(new)})")
    return " UNION ALL ".join(parts)
