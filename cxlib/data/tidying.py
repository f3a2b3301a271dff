"""Remove what nobody needs once rows went from all snapshots: files that the ledger names no more, copies, sums."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cxlib.contract import TABLES
from cxlib.data import deltalog, tables
from cxlib.data.kept import KEPT
from cxlib.data.ledger import Snapshot
from cxlib.data.places import Where, remove, walk
from cxlib.data.remote import Remote
from cxlib.errors import StoreError

_AT_WORK = timedelta(days=1)  # how long what another writer may be writing is left alone, where nobody locks


def needed(store: Where, table: str, snapshots: Sequence[Snapshot]) -> set[str]:
    """Return the files of a table that kept snapshots name, by name from the store on."""
    versions = {one.tables[table].version for one in snapshots if one.dropped is None and table in one.tables}
    return {f"{table}/{file}" for v in versions for file in tables.names(tables.open_delta(store, table, v))}


def sweep(store: Where, snapshots: Sequence[Snapshot]) -> int:
    """Remove the data files that no kept snapshot names, and copies of them; return how many; call it under the lock.

    Readers that had opened them are told so: what was erased is to be gone now, and not once they have ended. At a URL,
    files that nobody named yet may be of a writer at work, and stay for a day.

    Raises
    ------
    StoreError
        Where files cannot be removed.
    """
    gone: list[str] = []
    for table in TABLES:
        there = walk(store, table) if isinstance(store, Remote) or (store / table).is_dir() else {}
        data = {name: item for name, item in there.items() if f"/{deltalog.FOLDER}/" not in f"/{name}"}
        if not data:
            continue
        spare = data.keys() - needed(store, table, snapshots)
        if isinstance(store, Remote):
            young = (datetime.now(UTC) - _AT_WORK).timestamp()
            named = _ever_named(store, table)
            spare = {name for name in spare if name in named or data[name].modified < young}
        gone += sorted(spare)
    failed = list(remove(store, gone))
    if isinstance(store, Remote):
        _forget_copies(store, snapshots)
    if failed:
        raise StoreError(
            f"{len(failed):,} files could not be removed, the first: {failed[0]}",
            hint="Run the same command again when nothing holds these files.",
        )
    return len(gone)


def _ever_named(store: Remote, table: str) -> set[str]:
    """Return the files that some version of a table's log names or named: those are of no writer at work."""
    delta = tables.open_delta(store, table)
    found: set[str] = set()
    for version in range(delta.version(), -1, -1):
        try:
            delta.load_as_version(version)
        except Exception:
            break  # its log was compacted
        found |= {f"{table}/{name}" for name in tables.names(delta)}
    return found


def _forget_copies(store: Remote, snapshots: Sequence[Snapshot]) -> None:
    """Remove the copies on this machine of files that are no more, and halves of copies."""
    stay = {store.cache.path(name) for table in TABLES for name in _needed_if_there(store, table, snapshots)}
    for path in sorted(store.cache.folder.rglob("*")):
        if path.is_file() and (path.suffix == ".part" or (path.suffix == ".parquet" and path not in stay)):
            with suppress(OSError):
                path.unlink()


def _needed_if_there(store: Remote, table: str, snapshots: Sequence[Snapshot]) -> set[str]:
    """Return what `needed` does; nothing of a table that no kept snapshot has."""
    return needed(store, table, snapshots) if any(table in one.tables for one in snapshots) else set()


def sums_of(root: Path) -> Path:
    """Return the folder of kept sums."""
    return Path(os.environ.get(KEPT) or root / "data" / "kept")


def forget_sums(root: Path) -> None:
    """Remove kept sums: a cell of them may be of one customer. They are made again when they are asked for."""
    folder = sums_of(root)
    for path in [*folder.glob("*.sums"), *folder.glob("*.part")]:
        path.unlink(missing_ok=True)
    with suppress(OSError):
        shutil.rmtree(folder)
