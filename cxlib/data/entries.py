"""The ledger at a URL: one object for each snapshot, put where none is, and one for each that was dropped.

When something is taken out of older snapshots, one object names the tables of them all anew; the last of these holds.

Two writers who both mean to add snapshot 7 put one object of one name, and the store tells the second that it is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from cxlib.data.places import Where
from cxlib.data.remote import Item, Remote
from cxlib.data.snapshots import Dropped, Snapshot, entry_of, snapshots_of
from cxlib.errors import StoreError

FOLDER, FORMAT = "snapshots", 1
_NAME = re.compile(rf"{FOLDER}/(\d{{4,}})(\.dropped)?\.json")
_MOVED = re.compile(rf"{FOLDER}/rewritten-(\d{{4,}})\.json")


def read(store: Remote) -> list[Snapshot]:
    """Return all snapshots, oldest first, dropped ones included; none where nothing was ingested.

    Raises
    ------
    StoreError
        Where the store cannot be reached, or the ledger is damaged or was written by a newer release.
    """
    listed = store.list(FOLDER)
    there = {name: (match, item) for name, item in listed.items() if (match := _NAME.fullmatch(name))}
    paths = store.fetch({name: item for name, (_, item) in there.items()})
    entries: dict[int, dict[str, Any]] = {}
    drops: dict[int, dict[str, Any]] = {}
    try:
        for name, (match, _) in there.items():
            content = json.loads(paths[name].read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise StoreError(f"{store / name} is not of format {FORMAT}", hint="Update cxlib, or restore it.")
            (drops if match[2] else entries)[int(match[1])] = content["said"]
        missing = sorted(set(range(1, max(entries, default=0) + 1)) - entries.keys())
        if missing:
            raise ValueError(f"snapshot {missing[0]:04d} is missing")
        marks = {number: {"dropped": said} for number, said in drops.items()}
        moved = _moved(store, listed)
        found = [entries[number] | marks.get(number, {}) for number in sorted(entries)]
        return snapshots_of([entry | moved.get(entry["id"], {}) for entry in found])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the ledger of {store} is damaged: {error}", hint="Restore it from a backup.") from None


def _moved(store: Remote, listed: Mapping[str, Item]) -> dict[str, dict[str, Any]]:
    """Return id -> what a rewriting changed of a snapshot's entry; the newest object says all."""
    names = [name for name in listed if _MOVED.fullmatch(name)]
    if not names:
        return {}
    newest = max(names, key=_number)
    content = json.loads(store.fetch({newest: listed[newest]})[newest].read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = content["said"]
    return found


def _number(name: str) -> int:
    """Return the number of an object that names tables anew."""
    match = _MOVED.fullmatch(name)
    return int(match[1]) if match else 0


def move(store: Remote, moved: Mapping[str, Mapping[str, Any]]) -> None:
    """Name the tables of all snapshots that were ever rewritten, at once.

    Raises
    ------
    StoreError
        Where another process has done so meanwhile.
    """
    number = max((_number(name) for name in store.list(FOLDER)), default=0) + 1
    if not store.create(f"{FOLDER}/rewritten-{number:04d}.json", _content(moved)):
        raise overtaken(store)


def add(store: Remote, number: int, snapshot: Snapshot) -> None:
    """Make a snapshot visible.

    Raises
    ------
    StoreError
        Where another process has added one of that number.
    """
    if not store.create(f"{FOLDER}/{number:04d}.json", _content(entry_of(snapshot))):
        raise overtaken(store)


def drop(store: Remote, marks: Mapping[int, Dropped]) -> None:
    """Mark snapshots as dropped; what another process has dropped already stays so."""
    for number, mark in marks.items():
        store.create(f"{FOLDER}/{number:04d}.dropped.json", _content(mark._asdict()))


def overtaken(store: Where) -> StoreError:
    """Return the error of a writer that was too late."""
    return StoreError(
        f"another process has written to {store} meanwhile; nothing of this one is in it",
        hint="Run the same command again.",
    )


def _content(said: Mapping[str, Any]) -> bytes:
    """Return an object's content, one of a kind: by it, a writer knows its own."""
    return json.dumps({"format": FORMAT, "writer": uuid4().hex, "said": said}, indent=1).encode()
