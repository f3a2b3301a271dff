"""Let go of old snapshots, and remove what no kept one needs.

The ledger is changed first and files are removed after it, so a crash in between loses nothing: the next call finds
the same files without an owner and finishes. All is worked out from the ledger and from the files that each kept
version of a table names, never from Delta's newest version, which a killed ingest may have left.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from cxlib import contract
from cxlib.data import deltalog
from cxlib.data.intake import QUARANTINE, SCRATCH
from cxlib.data.ledger import Ledger, Snapshot, writer_lock
from cxlib.errors import StoreError, UsageError

SAFETY = timedelta(hours=1)  # how long what somebody may be opening right now is left alone
_IDS_SHOWN = 5  # of one reason; of more, the first and the last
_DAMAGED = "Nothing was changed. Restore the store from a backup."


@dataclass(frozen=True)
class Removed:
    """How many files were removed, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class CompactReport:
    """What a compact did, or would do where `dry_run`."""

    dropped: dict[str, str]  # snapshot id -> why
    kept: dict[str, str]  # snapshot id -> why
    removed: dict[str, Removed]  # table, `quarantine` or `scratch` -> files; those without any are absent
    dry_run: bool = False

    def lines(self) -> list[str]:
        """Return the report as lines of plain text."""
        would = "would be " if self.dry_run else ""
        found = [f"{would}dropped: {line}" for line in _by_reason(self.dropped)]
        found += [f"kept: {line}" for line in _by_reason(self.kept)]
        for name, one in self.removed.items():
            found.append(f"{would}removed from {name}: {one.files:,} files, {one.bytes / 1e6:,.1f} MB")
        return found if self.dropped or self.removed else [*found, "nothing to remove"]


def _by_reason(snapshots: Mapping[str, str]) -> Iterator[str]:
    """Yield one line for each reason: how many snapshots, and which."""
    for why in dict.fromkeys(snapshots.values()):
        ids = [id_ for id_, reason in snapshots.items() if reason == why]
        which = ", ".join(ids) if len(ids) <= _IDS_SHOWN else f"{ids[0]} to {ids[-1]}"
        yield f"{len(ids):,} snapshot{'s' * (len(ids) > 1)} ({which}): {why}"


@dataclass
class _Plan:
    """What goes from one folder; `files` in the order in which they go."""

    name: str
    folder: Path
    files: list[Path] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)  # versions of the table to write one at
    whole: bool = False  # the folder itself goes too

    def measure(self) -> Removed:
        """Return how many files go, and their bytes."""
        return Removed(len(self.files), sum(path.stat().st_size for path in self.files))


def compact(
    root: Path,
    store: Path | str,
    *,
    retention_days: int,
    now: datetime | None = None,
    keep: Collection[str] = (),
    dry_run: bool = False,
) -> CompactReport:
    """Drop snapshots beyond the retention period, and remove what no kept one needs; wait for no reader.

    Parameters
    ----------
    root
        The workspace folder.
    store
        The store folder, absolute or relative to `root`.
    retention_days
        How many days a snapshot is kept for certain; at least 1.
    now
        The moment to count from, with a zone; default: the clock's.
    keep
        Ids of snapshots to keep however old: those that published reports were made of.
    dry_run
        Change nothing, only say what would go.

    Returns
    -------
    CompactReport
        What was dropped and removed, what was kept, and why.

    Raises
    ------
    StoreError
        Where nothing was ingested, another process writes, a kept snapshot cannot be read (nothing is touched then),
        or files cannot be removed (those that can are).
    """
    if retention_days < 1:
        raise UsageError(f"retention_days is {retention_days}: at least 1 day is kept")
    folder, now = Path(root) / store, now or datetime.now(UTC)
    Ledger.find(folder)
    with writer_lock(folder):
        snapshots = Ledger.read(folder)
        kept, dropped = _sort(snapshots, retention_days, now, keep)
        plans = [_plan(folder, table, snapshots, kept, now) for table in _tables(folder, snapshots)]
        plans.append(_old_quarantine(Path(root) / QUARANTINE, snapshots, kept, now - timedelta(days=retention_days)))
        scratch = Path(root) / SCRATCH  # whoever works there holds the lock
        plans.append(_Plan("scratch", scratch, list(_walk(scratch)), whole=True))
        removed = {plan.name: plan.measure() for plan in plans if plan.files}
        if not dry_run:
            _carry_out(folder, dropped, plans, now)
        return CompactReport(dropped, kept, removed, dry_run)


def _sort(
    snapshots: Sequence[Snapshot], retention_days: int, now: datetime, keep: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the snapshots to keep and those to drop, each with the reason."""
    first = (now.astimezone(UTC) - timedelta(days=retention_days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    days = f"{retention_days} day{'s' * (retention_days > 1)}"
    kept, dropped = {}, {}
    for snapshot in snapshots:
        if snapshot.dropped is not None:
            continue
        if snapshot is snapshots[-1]:
            kept[snapshot.id] = "the newest"
        elif snapshot.id in keep:
            kept[snapshot.id] = "a published report was made of it"
        elif snapshot.created_at >= first:
            kept[snapshot.id] = f"not older than {days}"
        else:
            dropped[snapshot.id] = f"older than {days}"
    return kept, dropped


def _tables(store: Path, snapshots: Sequence[Snapshot]) -> list[str]:
    """Return the names of the folders that are tables, or that a killed first ingest meant to be."""
    known = {table for snapshot in snapshots for table in snapshot.tables} | set(contract.TABLES)
    return sorted(path.name for path in store.iterdir() if path.name in known and path.is_dir())


def _plan(store: Path, table: str, snapshots: Sequence[Snapshot], kept: Collection[str], now: datetime) -> _Plan:
    """Work out what goes from the folder of one table."""
    plan = _Plan(table, store / table)
    held = _versions(snapshots, table, lambda one: one.id in kept)
    needed = _files(store, table, held)
    log, there = plan.folder / deltalog.FOLDER, list(_walk(plan.folder))
    missing = sorted(needed.difference(there))
    if missing:  # a damaged store, or paths that are not what they seem: no time to remove anything
        raise StoreError(
            f"{len(missing):,} files of kept snapshots are missing, the first: {missing[0]}", hint=_DAMAGED
        )
    spare = [path for path in there if log not in path.parents and path not in needed]
    young = {path for path in spare if _is_young(path, now)}
    if young:  # of a killed ingest, most likely: nobody can have opened those
        recent = (now - SAFETY).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        gone = _versions(snapshots, table, lambda one: not (one.dropped and one.dropped.when < recent))
        young &= _files(store, table, gone - held, strict=False)
    plan.files = [path for path in spare if path not in young]
    if held:
        entries, plan.checkpoints = deltalog.spare(log, min(held), max(held), young=lambda path: _is_young(path, now))
        plan.files += entries
    elif not young:
        plan.files += _walk(log)
        plan.whole = True
    return plan


def _versions(snapshots: Iterable[Snapshot], table: str, wanted: Callable[[Snapshot], bool]) -> set[int]:
    """Return the versions of a table that some snapshots name."""
    return {one.tables[table].version for one in snapshots if table in one.tables and wanted(one)}


def _files(store: Path, table: str, versions: Iterable[int], *, strict: bool = True) -> set[Path]:
    """Return the files of some versions of a table; not `strict`: of those that can be read.

    Each is read upon the one before it: pinning each by itself takes five times as long.
    """
    found: set[Path] = set()
    delta: DeltaTable | None = None
    for version in sorted(versions):
        try:
            if delta is None:
                delta = DeltaTable(store / table, version=version)
            else:
                delta.load_as_version(version)
        except (DeltaError, OSError) as error:
            if strict:
                said = f"table {table} at version {version} cannot be read: {error}"
                raise StoreError(said, hint=_DAMAGED) from None
            delta = None
            continue
        # As in `tables.pin`: only the month's folder and the file's own name are plain.
        found |= {store / table / "/".join(uri.split("/")[-2:]) for uri in delta.file_uris()}
    return found


def _old_quarantine(folder: Path, snapshots: Sequence[Snapshot], kept: Collection[str], until: datetime) -> _Plan:
    """Work out which refused rows go: of batches that no kept snapshot brought, and untouched since `until`."""
    plan = _Plan("quarantine", folder)
    named = {snapshot.batch.id for snapshot in snapshots if snapshot.id in kept}
    for batch in sorted(path for path in folder.glob("*") if path.is_dir() and path.name not in named):
        files = list(_walk(batch))
        if all(path.stat().st_mtime < until.timestamp() for path in (batch, *files)):
            plan.files += files
    return plan


def _carry_out(store: Path, dropped: dict[str, str], plans: Sequence[_Plan], now: datetime) -> None:
    """Change the ledger, then remove files, then write checkpoints."""
    try:
        if dropped:
            Ledger.drop(store, dropped, now=now)
        failed = [failure for plan in plans for failure in _remove(plan)]
        for plan in plans:
            for version in plan.checkpoints:
                deltalog.write_checkpoint(plan.folder, version)
    except (OSError, DeltaError) as error:
        why = getattr(error, "strerror", None) or error
        raise StoreError(
            f"the store cannot be compacted: {why}",
            hint="Every kept snapshot is whole. Run the same command again when that is mended.",
        ) from error
    if failed:
        raise StoreError(
            f"{len(failed):,} files could not be removed, the first: {failed[0]}",
            hint="Every kept snapshot is whole. Run the same command again when nothing holds these files.",
        )


def _remove(plan: _Plan) -> Iterator[str]:
    """Remove what a plan names, and folders that are empty then; yield what could not be removed."""
    for path in plan.files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            yield f"{path}: {error.strerror}"
    for folder in sorted({path.parent for path in plan.files} - {plan.folder / deltalog.FOLDER}, reverse=True):
        if folder != plan.folder and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if plan.whole:
        shutil.rmtree(plan.folder, ignore_errors=True)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all files of a folder, sorted."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _is_young(path: Path, now: datetime) -> bool:
    """Say whether a file was written within the safety hour."""
    return path.stat().st_mtime > (now - SAFETY).timestamp()
