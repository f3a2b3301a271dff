"""What a store remembers of people who were erased: nothing but keyed hashes, so that no export brings them back.

The key lies in the store and is drawn at random, so a hash tells nobody who has not the store whether an id was ever in
it. There is one empty file for each hash, which is there or is not: nothing can be half written.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from cxlib.data.ledger import sync
from cxlib.data.places import Where, remove, walk
from cxlib.data.remote import Remote
from cxlib.errors import StoreError

FOLDER, LOG = "erased", "erasures.jsonl"
_KEY = f"{FOLDER}/key"
_KEY_BYTES, _DIGITS = 32, 40
JOURNALS = "data/erasing"


class Erased:
    """The hashes of a store.

    Parameters
    ----------
    store
        The store.
    """

    def __init__(self, store: Where) -> None:
        self._store = store
        there = walk(store, FOLDER) if isinstance(store, Remote) or (store / FOLDER).is_dir() else {}
        self._there = {name.rpartition("/")[2] for name in there} - {"key"}
        self._key = self._read_key() if _KEY in there else b""
        if self._there and not self._key:
            raise StoreError(
                f"the key of the people who were erased from {store} is missing: {store / _KEY}",
                hint="Restore it from a backup: without it an export could bring them back.",
            )

    def __bool__(self) -> bool:
        return bool(self._there)

    def known(self, ids: Iterable[str]) -> list[str]:
        """Return which ids are of people who were erased."""
        return [one for one in ids if self.hash(one) in self._there] if self else []

    def rows(self, table: str, keys: Iterable[str]) -> list[str]:
        """Return which keys are of rows without a customer that were erased from a table."""
        return [one for one in keys if self.hash(one, table) in self._there] if self else []

    def hash(self, one: str, table: str = "") -> str:
        """Return the hash of an id, or of the key of a table's row."""
        return hmac.new(self._key, f"{table}\0{one}".encode(), hashlib.sha256).hexdigest()[:_DIGITS]

    def remember(self, ids: Iterable[str], rows: Mapping[str, Iterable[str]]) -> list[str]:
        """Add ids, and keys of rows by table; return the hashes that are new; call it under the writer's lock."""
        if not self._key:
            self._put(_KEY, secrets.token_bytes(_KEY_BYTES))
            self._key = self._read_key()
        wanted = {self.hash(one) for one in ids}
        wanted |= {self.hash(one, table) for table, keys in rows.items() for one in keys}
        new = sorted(wanted - self._there)
        for one in new:
            self._put(f"{FOLDER}/{one}", b"")
        if not isinstance(self._store, Remote):
            sync(self._store / FOLDER)
        self._there |= wanted
        return new

    def forget(self, hashes: Iterable[str]) -> None:
        """Take hashes back: the people are still there."""
        gone = set(hashes)
        for _ in remove(self._store, [f"{FOLDER}/{one}" for one in sorted(gone)]):
            pass
        self._there -= gone

    def _put(self, name: str, content: bytes) -> None:
        """Write a file where none is; of a key it is whole or not there."""
        if isinstance(self._store, Remote):
            self._store.create(name, content or uuid4().bytes)
            return
        path = self._store / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            _write(draft, content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _read_key(self) -> bytes:
        """Return the key that lies in the store."""
        if isinstance(self._store, Remote):
            return self._store.fetch({_KEY: self._store.list(FOLDER)[_KEY]})[_KEY].read_bytes()
        return (self._store / _KEY).read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, and have it on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def log(store: Where, entry: Mapping[str, Any], now: datetime) -> None:
    """Add a line to the store's list of erasures: when, by whom, and what the entry says. It never names an id."""
    said = {"when": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "by": _user(), **entry}
    line = json.dumps(said, ensure_ascii=False)
    if isinstance(store, Remote):
        store.create(f"erasures/{said['when'].replace(':', '')}-{uuid4().hex[:8]}.json", line.encode())
        return
    with (store / LOG).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def _user() -> str:
    """Return the name of the system's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


class Journal:
    """What an erasure that is under way has to know if it is killed: ids and words, for its owner's eyes alone.

    It is there from the first change until nothing is found any more.

    Parameters
    ----------
    root
        The workspace.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / JOURNALS

    def unfinished(self, ids: Iterable[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the files of erasures of any of these ids that did not end, and what they say."""
        wanted = set(ids)
        for path in sorted(self._folder.glob("*.json")):
            with suppress(OSError, ValueError):  # half written: nothing was changed yet
                said = json.loads(path.read_text(encoding="utf-8"))
                if wanted & set(said["ids"]):
                    yield path, said

    def begin(self, said: Mapping[str, Any]) -> Path:
        """Write down what is to be erased."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{uuid4().hex}.json"
        _write(path, json.dumps(said).encode())
        sync(self._folder)
        return path

    def end(self, paths: Iterable[Path]) -> None:
        """Forget what was erased."""
        for path in paths:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()
