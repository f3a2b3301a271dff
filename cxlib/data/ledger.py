"""The ledger: one file that names the version of every table together, and the lock that its one writer holds.

Delta commits are per table; a reader who pins a snapshot of the ledger sees all tables as one ingest left them.
`snapshots.json` is replaced whole by `os.replace`, so it is the old ledger or the new one at any moment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxlib.errors import StoreError, did_you_mean

LEDGER, LOCK, FORMAT = "snapshots.json", "writer.lock", 1
_KNOWN_SHOWN = 10  # ids that an error lists


@dataclass(frozen=True)
class TableVersion:
    """One table in a snapshot: its Delta version, its rows, and its latest event time (naive UTC) if any."""

    version: int
    rows: int
    latest: datetime | None = None


@dataclass(frozen=True)
class Batch:
    """One ingest of one source: a name made of its inputs' checksum, and what came of its rows by table."""

    id: str
    source: str
    checksum: str
    files: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All tables at one moment, with the batches that made it, oldest first; `batches[-1]` is the one it added."""

    id: str
    created_at: str  # UTC, ISO 8601
    tables: dict[str, TableVersion]
    batches: tuple[Batch, ...] = ()

    @property
    def batch(self) -> Batch:
        """The batch that this snapshot added."""
        return self.batches[-1]


class Ledger:
    """Read and extend the list of snapshots of one store folder."""

    @staticmethod
    def read(store: Path) -> list[Snapshot]:
        """Return all snapshots, oldest first; none where nothing was ingested.

        Raises
        ------
        StoreError
            Where the ledger is damaged or was written by a newer release.
        """
        path = store / LEDGER
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"the ledger {path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise StoreError(f"the ledger {path} is damaged: {error}", hint="Restore it from a backup.") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise StoreError(f"the ledger {path} is not of format {FORMAT}", hint="Update cxlib, or restore it.")
        return _snapshots(content["snapshots"])

    @staticmethod
    def commit(store: Path, tables: Mapping[str, TableVersion], batch: Batch, *, now: datetime) -> Snapshot:
        """Append one snapshot and make it visible at once; call it under `writer_lock`.

        Parameters
        ----------
        store
            The store folder.
        tables
            Every table of the new snapshot, those that did not change included.
        batch
            The batch that it adds.
        now
            The moment to write down, with a zone.

        Returns
        -------
        Snapshot
            The new snapshot. Its id is its number and a digest of its content: the clock plays no part.
        """
        past = Ledger.read(store)
        content = {name: _plain(version) for name, version in sorted(tables.items())}
        digest = hashlib.sha256(json.dumps([past[-1].id if past else "", content, asdict(batch)]).encode()).hexdigest()
        stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        batches = (*(past[-1].batches if past else ()), batch)
        added = Snapshot(f"{len(past) + 1:04d}-{digest[:6]}", stamp, dict(tables), batches)
        entries = [_entry(snapshot) for snapshot in (*past, added)]
        _replace(store / LEDGER, json.dumps({"format": FORMAT, "snapshots": entries}, indent=1))
        return added

    @staticmethod
    def find(store: Path, as_of: str | None = None) -> Snapshot:
        """Return the snapshot called `as_of`, or the newest.

        Raises
        ------
        StoreError
            Where nothing was ingested, or no snapshot has this id; the known ids are listed.
        """
        snapshots = Ledger.read(store)
        if not snapshots:
            raise StoreError("nothing ingested yet: run `cx demo` or `cx ingest SOURCE`")
        if not as_of:
            return snapshots[-1]
        found = next((snapshot for snapshot in snapshots if snapshot.id == as_of), None)
        if found is None:
            ids = [snapshot.id for snapshot in snapshots]
            more = f" and {len(ids) - _KNOWN_SHOWN} older" if len(ids) > _KNOWN_SHOWN else ""
            known = f"known: {', '.join(ids[-_KNOWN_SHOWN:])}{more}"
            raise StoreError(f"no snapshot '{as_of}'{did_you_mean(as_of, ids)}", hint=known)
        return found


def _plain(version: TableVersion) -> dict[str, Any]:
    """Return a table version as JSON holds it."""
    return {**asdict(version), "latest": version.latest.isoformat() if version.latest else None}


def _entry(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON holds it: with its own batch only, the earlier ones stand in the earlier entries."""
    tables = {name: _plain(version) for name, version in sorted(snapshot.tables.items())}
    return {
        "id": snapshot.id,
        "created_at": snapshot.created_at,
        "tables": tables,
        "batch": asdict(snapshot.batch),
    }


def _snapshots(entries: Sequence[Mapping[str, Any]]) -> list[Snapshot]:
    """Return the snapshots of a ledger's entries; each carries the batches of all before it."""
    found: list[Snapshot] = []
    batches: tuple[Batch, ...] = ()
    for entry in entries:
        batches = (*batches, Batch(**entry["batch"]))
        tables = {
            name: TableVersion(t["version"], t["rows"], datetime.fromisoformat(t["latest"]) if t["latest"] else None)
            for name, t in entry["tables"].items()
        }
        found.append(Snapshot(entry["id"], entry["created_at"], tables, batches))
    return found


def _replace(path: Path, text: str) -> None:
    """Write `text` so that `path` holds the old content or the new, whatever happens, power loss included."""
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    with suppress(OSError):  # the new ledger stands; that its name outlives a power loss is all that could fail now
        sync(path.parent)


def sync(path: Path) -> None:
    """Ask the disk to keep a file, or the entries of a folder (which Windows neither needs nor allows)."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writer_lock(store: Path) -> Iterator[None]:
    """Hold the store's one writer's place; readers neither take it nor wait for it.

    The operating system holds the lock for the process, so it ends with a writer that dies.

    Raises
    ------
    StoreError
        Where another process writes; its id is named.
    """
    store.mkdir(parents=True, exist_ok=True)
    handle = os.open(store / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try_lock(handle):
            who = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            raise StoreError(
                f"another process (pid {who}) is writing to {store}", hint="Wait until it has ended, then try again."
            )
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    """Take the lock without waiting; say whether it was free."""
    try:
        if os.name == "nt":
            import msvcrt

            # A byte far behind the pid, so that others can read who holds it.
            os.lseek(handle, 1024, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
