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
from cxlib.data import deltalog, faults, retaining, tables
from cxlib.data.intake import QUARANTINE, SCRATCH
from cxlib.data.ledger import Ledger, Snapshot, writer_lock
from cxlib.data.places import Where, location_of, remove, walk
from cxlib.data.remote import Item, Remote
from cxlib.data.retaining import Term
from cxlib.errors import StoreError, UsageError

SAFETY = timedelta(hours=1)  # how long what somebody may be opening right now is left alone
UNLOCKED = timedelta(days=1)  # how long what an ingest may be writing right now is left alone, where nobody locks
_IDS_SHOWN = 5  # of one reason; of more, the first and the last
_FOR_GOOD = Term()
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
    let_go: Mapping[str, int] = field(default_factory=dict)  # what was kept for long enough -> rows

    def lines(self) -> list[str]:
        """Return the report as lines of plain text."""
        would = "would be " if self.dry_run else ""
        found = [f"{would}dropped: {line}" for line in _by_reason(self.dropped)]
        found += [f"kept: {line}" for line in _by_reason(self.kept)]
        found += [f"{would}let go of, kept for long enough: {rows:,} {what}" for what, rows in self.let_go.items()]
        for name, one in self.removed.items():
            found.append(f"{would}removed from {name}: {one.files:,} files, {one.bytes / 1e6:,.1f} MB")
        return found if self.dropped or self.removed or self.let_go else [*found, "nothing to remove"]


def _by_reason(snapshots: Mapping[str, str]) -> Iterator[str]:
    """Yield one line for each reason: how many snapshots, and which."""
    for why in dict.fromkeys(snapshots.values()):
        ids = [id_ for id_, reason in snapshots.items() if reason == why]
        which = ", ".join(ids) if len(ids) <= _IDS_SHOWN else f"{ids[0]} to {ids[-1]}"
        yield f"{len(ids):,} snapshot{'s' * (len(ids) > 1)} ({which}): {why}"


@dataclass
class _Plan:
    """What goes from one folder of a place; `files` are those of `there`, in the order in which they go."""

    name: str
    place: Where
    folder: str = ""
    there: Mapping[str, Item] = field(default_factory=dict)  # all files of the folder, by name from the place on
    files: list[str] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)  # versions of the table to write one at
    whole: bool = False  # the folder itself goes too
    trees: Sequence[Path] = ()  # folders that go with all that is in them

    def measure(self) -> Removed:
        """Return how many files go, and their bytes."""
        return Removed(len(self.files), sum(self.there[name].size for name in self.files))


def compact(
    root: Path,
    store: Path | str,
    *,
    retention_days: int,
    now: datetime | None = None,
    keep: Collection[str] = (),
    dry_run: bool = False,
    term: Term = _FOR_GOOD,
) -> CompactReport:
    """Drop snapshots beyond the retention period, and remove what no kept one needs; wait for no reader.

    What of the kept ones was kept for long enough goes from them, too: words, rows, refused rows, runs laid aside.

    Parameters
    ----------
    root
        The workspace folder.
    store
        The store: a folder, absolute or relative to `root`, or a URL.
    retention_days
        How many days a snapshot is kept for certain; at least 1.
    now
        The moment to count from, with a zone; default: the clock's.
    keep
        Ids of snapshots to keep however old: those that published reports were made of.
    dry_run
        Change nothing, only say what would go.
    term
        How long words, rows, refused rows and runs are kept; default: for good, refused rows as long as snapshots.

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
    place, now = location_of(Path(root), str(store)), now or datetime.now(UTC)
    Ledger.find(place)
    with writer_lock(place):
        let_go = retaining.let_go(Path(root), place, term, now, dry_run=dry_run)
        snapshots = Ledger.read(place)
        kept, dropped = _sort(snapshots, retention_days, now, keep)
        plans = [_plan(place, table, snapshots, kept, now) for table in _tables(place, snapshots)]
        until = term.since(term.retention.quarantine, now)
        named = set() if until else {one.batch.id for one in snapshots if one.id in kept}
        plans.append(_old_quarantine(Path(root) / QUARANTINE, named, until or now - timedelta(days=retention_days)))
        plans += [_old_runs(kind, term.runs[kind], runs) for kind, runs in term.old_runs(now).items()]
        scratch = Path(root) / SCRATCH  # whoever works there holds the lock
        left = walk(scratch)
        plans.append(_Plan("scratch", scratch, there=left, files=list(left), whole=True))
        removed = {plan.name: plan.measure() for plan in plans if plan.files}
        if not dry_run:
            _carry_out(place, dropped, plans, now)
        return CompactReport(dropped, kept, removed, dry_run, let_go)


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


def _tables(store: Where, snapshots: Sequence[Snapshot]) -> list[str]:
    """Return the names of the folders that are tables, or that a killed first ingest meant to be."""
    known = {table for snapshot in snapshots for table in snapshot.tables} | set(contract.TABLES)
    return sorted(known & (store.folders() if isinstance(store, Remote) else {path.name for path in store.iterdir()}))


def _plan(store: Where, table: str, snapshots: Sequence[Snapshot], kept: Collection[str], now: datetime) -> _Plan:
    """Work out what goes from the folder of one table."""
    plan = _Plan(table, store, table, walk(store, table))
    held = _versions(snapshots, table, lambda one: one.id in kept)
    needed, log = _files(store, table, held), f"{table}/{deltalog.FOLDER}/"
    missing = sorted(needed - plan.there.keys())
    if missing:  # a damaged store, or paths that are not what they seem: no time to remove anything
        first = store / missing[0]
        raise StoreError(f"{len(missing):,} files of kept snapshots are missing, the first: {first}", hint=_DAMAGED)
    spare = [name for name in plan.there if not name.startswith(log) and name not in needed]
    young = _young(plan, spare, snapshots, held, now)
    plan.files = [name for name in spare if name not in young]
    entries = {name.removeprefix(log): item for name, item in plan.there.items() if name.startswith(log)}
    if held:
        alone = not isinstance(store, Remote)
        names, plan.checkpoints = deltalog.spare(
            [*entries], min(held), max(held),
            hinted=deltalog.hinted(store, table),
            young=lambda name: _is_young(entries[name], now),
            alone=alone,
        )  # fmt: skip
        plan.files += [log + name for name in names]
    elif not young:
        plan.files += [log + name for name in entries]
        plan.whole = True
    return plan


def _young(
    plan: _Plan, spare: Sequence[str], snapshots: Sequence[Snapshot], held: Collection[int], now: datetime
) -> set[str]:
    """Return which spare files must stay for a while, as somebody may be reading or writing them."""
    if isinstance(plan.place, Remote):
        written = [*spare, *(() if held else plan.there)]  # a log without a version that is needed: is it being begun?
        return {name for name in written if _is_young(plan.there[name], now, UNLOCKED)}
    young = {name for name in spare if _is_young(plan.there[name], now)}
    if young:  # of a killed ingest, most likely: nobody can have opened those
        recent = (now - SAFETY).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        gone = _versions(snapshots, plan.name, lambda one: not (one.dropped and one.dropped.when < recent))
        young &= _files(plan.place, plan.name, gone.difference(held), strict=False)
    return young


def _versions(snapshots: Iterable[Snapshot], table: str, wanted: Callable[[Snapshot], bool]) -> set[int]:
    """Return the versions of a table that some snapshots name."""
    return {one.tables[table].version for one in snapshots if table in one.tables and wanted(one)}


def _files(store: Where, table: str, versions: Iterable[int], *, strict: bool = True) -> set[str]:
    """Return the files of some versions of a table; not `strict`: of those that can be read.

    Each is read upon the one before it: pinning each by itself takes five times as long.
    """
    found: set[str] = set()
    delta: DeltaTable | None = None
    for version in sorted(versions):
        try:
            if delta is None:
                delta = tables.open_delta(store, table, version)
            else:
                delta.load_as_version(version)
        except (DeltaError, OSError) as error:
            if strict:
                fault = tables.unreadable(store, table, version, error)
                raise StoreError(fault.message, hint=_DAMAGED) from None
            delta = None
            continue
        found |= {f"{table}/{name}" for name in tables.names(delta)}
    return found


def _old_runs(kind: str, folder: Path, runs: Sequence[Path]) -> _Plan:
    """Name the files of runs that were laid aside for long enough."""
    there = walk(folder)
    tops = tuple(f"{run.relative_to(folder).as_posix()}/" for run in runs)
    return _Plan(kind, folder, there=there, files=[name for name in there if name.startswith(tops)], trees=runs)


def _old_quarantine(folder: Path, named: Collection[str], until: datetime) -> _Plan:
    """Work out which refused rows go: untouched since `until`, and not of batches that are `named`."""
    plan = _Plan("quarantine", folder, there=walk(folder))
    for batch in sorted(path for path in folder.glob("*") if path.is_dir() and path.name not in named):
        files = [name for name in plan.there if name.startswith(f"{batch.name}/")]
        times = [batch.stat().st_mtime, *(plan.there[name].modified for name in files)]
        if max(times) < until.timestamp():
            plan.files += files
    return plan


def _carry_out(store: Where, dropped: dict[str, str], plans: Sequence[_Plan], now: datetime) -> None:
    """Change the ledger, then remove files, then write checkpoints."""
    try:
        if dropped:
            Ledger.drop(store, dropped, now=now)
        failed = [failure for plan in plans for failure in _remove(plan)]
        for plan in plans:
            for version in plan.checkpoints:
                deltalog.write_checkpoint(store, plan.folder, version)
    except (OSError, DeltaError) as error:
        why = getattr(error, "strerror", None) or faults.plain(error)
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
    yield from remove(plan.place, plan.files)
    if isinstance(plan.place, Remote):
        return
    for tree in plan.trees:
        shutil.rmtree(tree, ignore_errors=True)
    top = plan.place / plan.folder
    for folder in sorted({(plan.place / name).parent for name in plan.files} - {top / deltalog.FOLDER}, reverse=True):
        if folder != top and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if plan.whole:
        shutil.rmtree(top, ignore_errors=True)


def _is_young(item: Item, now: datetime, safety: timedelta = SAFETY) -> bool:
    """Say whether a file was written a moment ago."""
    return item.modified > (now - safety).timestamp()
