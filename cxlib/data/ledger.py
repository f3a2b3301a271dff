"""The ledger: it names the version of every table together; and the lock that its one writer holds.

Delta commits are per table; a reader who pins a snapshot of the ledger sees all tables as one ingest left them. In a
folder it is `snapshots.json`, replaced whole by `os.replace`, so it is the old ledger or the new one at any moment; at
a URL it is one object for each snapshot (`entries`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from cxlib.data import entries, lock
from cxlib.data.places import Where
from cxlib.data.remote import Remote
from cxlib.data.snapshots import (
    Batch,
    Dropped,
    Rewritten,
    Snapshot,
    TableVersion,
    brought,
    entry_of,
    moved,
    plain,
    snapshots_of,
)
from cxlib.errors import CxError, StoreError, did_you_mean

__all__ = ["LEDGER", "Batch", "Dropped", "Ledger", "Snapshot", "TableVersion", "sync", "writer_lock"]

LEDGER, FORMAT = "snapshots.json", 2
_READABLE = (1, FORMAT)  # 1 knows no dropped snapshots; a release that knows 1 only would open those
_KNOWN_SHOWN = 10  # ids that an error lists
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Ledger:
    """Read and extend the list of snapshots of one store: a folder, or a URL."""

    @staticmethod
    def read(store: Where) -> list[Snapshot]:
        """Return all snapshots, oldest first, dropped ones included; none where nothing was ingested.

        Raises
        ------
        StoreError
            Where the ledger is damaged or was written by a newer release.
        """
        if isinstance(store, Remote):
            return entries.read(store)
        path = store / LEDGER
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("format") in _READABLE:
                return snapshots_of(content["snapshots"])
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"the ledger {path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"the ledger {path} is damaged: {error}", hint="Restore it from a backup.") from None
        known = " or ".join(map(str, _READABLE))
        raise StoreError(f"the ledger {path} is not of format {known}", hint="Update cxlib, or restore it.")

    @staticmethod
    def commit(
        store: Where,
        tables: Mapping[str, TableVersion],
        batch: Batch,
        *,
        now: datetime,
        upon: str | None = None,
        rewritten: int = 0,
    ) -> Snapshot:
        """Append one snapshot and make it visible at once; call it under `writer_lock`.

        Parameters
        ----------
        store
            The store.
        tables
            Every table of the new snapshot, those that did not change included.
        batch
            The batch that it adds.
        now
            The moment to write down, with a zone.
        upon
            The id of the newest snapshot when `tables` were begun, '' for none; default: nobody can have come between.
        rewritten
            How often that snapshot had been rewritten.

        Returns
        -------
        Snapshot
            The new snapshot. Its id is its number and a digest of what was brought and what it made: neither the
            clock nor Delta's count of versions, which a crash moves, plays a part.

        Raises
        ------
        StoreError
            Where another process has added a snapshot meanwhile, as it can at a URL, which nobody locks.
        """
        past = Ledger.read(store)
        if upon is not None and (upon, rewritten) != ((past[-1].id, len(past[-1].rewritten)) if past else ("", 0)):
            raise entries.overtaken(store)
        content = {name: [version.rows, plain(version)["latest"]] for name, version in tables.items()}
        made_of = json.dumps([past[-1].id if past else "", content, brought(batch)], sort_keys=True)
        stamp = now.astimezone(UTC).strftime(_STAMP)
        added = Snapshot(
            f"{len(past) + 1:04d}-{hashlib.sha256(made_of.encode()).hexdigest()[:6]}",
            stamp,
            dict(tables),
            (*(past[-1].batches if past else ()), replace(batch, when=stamp)),
        )
        if isinstance(store, Remote):
            entries.add(store, len(past) + 1, added)
        else:
            _write(store, [*past, added])
        return added

    @staticmethod
    def drop(store: Where, why: Mapping[str, str], *, now: datetime) -> None:
        """Mark snapshots as dropped; call it under `writer_lock`.

        Parameters
        ----------
        store
            The store.
        why
            Ids of snapshots, each with the reason; the newest cannot be dropped.
        now
            The moment to write down, with a zone.

        Raises
        ------
        StoreError
            Where an id is unknown, dropped already, or the newest.
        """
        past = Ledger.read(store)
        unfit = set(why) - {snapshot.id for snapshot in past[:-1] if snapshot.dropped is None}
        if unfit:
            raise StoreError(f"these snapshots cannot be dropped: {', '.join(sorted(unfit))}", hint=Ledger.state(store))
        stamp = now.astimezone(UTC).strftime(_STAMP)
        marked = [replace(s, dropped=Dropped(stamp, why[s.id])) if s.id in why else s for s in past]
        if isinstance(store, Remote):
            entries.drop(store, {n: s.dropped for n, s in enumerate(marked, 1) if s.dropped and s.id in why})
        else:
            _write(store, marked)

    @staticmethod
    def rewrite(store: Where, tables: Mapping[str, Mapping[str, TableVersion]], why: str, *, now: datetime) -> None:
        """Let snapshots name other versions of their tables, all at once; call it under `writer_lock`.

        Parameters
        ----------
        store
            The store.
        tables
            Snapshot id -> all its tables from now on. Its id stays.
        why
            What was taken out of them, in words; it may name nobody.
        now
            The moment to write down, with a zone.
        """
        mark = Rewritten(now.astimezone(UTC).strftime(_STAMP), why)
        new = [
            replace(one, tables=dict(tables[one.id]), rewritten=(*one.rewritten, mark)) if one.id in tables else one
            for one in Ledger.read(store)
        ]
        if isinstance(store, Remote):
            entries.move(store, {one.id: moved(one) for one in new if one.rewritten})
        else:
            _write(store, new)

    @staticmethod
    def find(store: Where, as_of: str | None = None) -> Snapshot:
        """Return one snapshot.

        Parameters
        ----------
        store
            The store.
        as_of
            A snapshot's id, the beginning of one, or a day as 2026-10-31: the newest snapshot that was made until the
            end of that day, UTC. Default: the newest.

        Raises
        ------
        StoreError
            Where nothing was ingested, nothing or several fit, or the snapshot was dropped; it says which there are
            and at which the store is.
        """
        return Ledger.find_beside(store, as_of)[0]

    @staticmethod
    def find_beside(store: Where, as_of: str | None = None) -> tuple[Snapshot, Snapshot]:
        """Return one snapshot, as `find` does, and the newest."""
        snapshots = Ledger.read(store)
        if not snapshots:
            raise StoreError("nothing ingested yet: run `cx demo` or `cx ingest SOURCE`")
        if not as_of:
            return snapshots[-1], snapshots[-1]
        found = _of_day(snapshots, as_of) if _DAY.fullmatch(as_of) else _called(snapshots, as_of)
        if found.dropped is not None:
            when, why = found.dropped
            meant = found.id if found.id == as_of else f"{found.id} ('{as_of}')"
            raise StoreError(f"snapshot {meant} was compacted away at {when}: {why}", hint=_there_are(snapshots))
        return found, snapshots[-1]

    @staticmethod
    def state(store: Where) -> str:
        """Say at which snapshot a store is, in one sentence; empty where its ledger cannot be read."""
        try:
            snapshots = Ledger.read(store)
        except StoreError:
            return ""
        return f"The store is at snapshot {snapshots[-1].id}." if snapshots else "The store is empty."


@contextmanager
def writer_lock(store: Where, *, wait: float = 0) -> Iterator[None]:
    """Hold the store's one writer's place; readers neither take it nor wait for it.

    The operating system holds the lock for the process, so it ends with a writer that dies; a child that it forked
    does not keep it. Whatever goes wrong meanwhile, the error says at which snapshot the store is. Of a store at a URL
    the lock keeps apart the writers of one workspace; those of others are told at the end that they were too late.

    Parameters
    ----------
    store
        The store.
    wait
        For how many seconds to wait for another writer.

    Raises
    ------
    StoreError
        Where another process writes, which is named, or where the store cannot be written to.
    """
    if isinstance(store, Remote):
        store.prove()
    before = Ledger.state(store)
    try:
        with lock.hold(store.desk if isinstance(store, Remote) else store, wait):
            before = Ledger.state(store)
            yield
    except BaseException as error:
        where = _since(before, store)
        if isinstance(error, CxError) and where not in error.hint:
            error.hint = " ".join(filter(None, [error.hint, where]))
        error.add_note(where)
        raise


def _since(before: str, store: Where) -> str:
    """Say at which snapshot the store is, and whether that is the one it was at before."""
    after = Ledger.state(store)
    return after.replace(".", ", as before." if after == before else ", the new one.")


def _of_day(snapshots: Sequence[Snapshot], day: str) -> Snapshot:
    """Return the newest snapshot that was made until the end of a day."""
    try:
        date.fromisoformat(day)
    except ValueError:
        raise StoreError(f"'{day}' is no day of the calendar", hint=_there_are(snapshots)) from None
    until = [snapshot for snapshot in snapshots if snapshot.created_at[: len(day)] <= day]
    if not until:
        first = f"the first, {snapshots[0].id}, was made at {snapshots[0].created_at}"
        raise StoreError(f"no snapshot was made until {day} (UTC): {first}", hint=_there_are(snapshots))
    return until[-1]


def _called(snapshots: Sequence[Snapshot], word: str) -> Snapshot:
    """Return the one snapshot whose id is, or begins with, a word."""
    fitting = [snapshot.id for snapshot in snapshots if snapshot.id.startswith(word)]
    if not fitting:
        near = did_you_mean(word, [snapshot.id for snapshot in snapshots if snapshot.dropped is None])
        raise StoreError(f"no snapshot '{word}'{near}", hint=_there_are(snapshots))
    if len(fitting) > 1:
        raise StoreError(f"'{word}' fits several snapshots: {_newest(fitting)}", hint=_there_are(snapshots))
    return next(snapshot for snapshot in snapshots if snapshot.id == fitting[0])


def _there_are(snapshots: Sequence[Snapshot]) -> str:
    """Say which snapshots can be opened, and at which the store is."""
    known = _newest([snapshot.id for snapshot in snapshots if snapshot.dropped is None])
    return f"known: {known}. The store is at snapshot {snapshots[-1].id}."


def _newest(ids: Sequence[str]) -> str:
    """Return the last of some ids as text, and how many there are before them."""
    more = f" and {len(ids) - _KNOWN_SHOWN} older" if len(ids) > _KNOWN_SHOWN else ""
    return f"{', '.join(ids[-_KNOWN_SHOWN:])}{more}"


def _write(store: Path, snapshots: Sequence[Snapshot]) -> None:
    """Put a new ledger in the old one's place, whatever happens meanwhile, power loss included."""
    lock.check(store)
    path, draft = store / LEDGER, (store / LEDGER).with_suffix(".draft")
    content = {"format": FORMAT, "snapshots": [entry_of(snapshot) for snapshot in snapshots]}
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
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
