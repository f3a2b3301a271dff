"""Sums that were made before, on disk: what has the same key has the same content, so nothing is worked out twice.

A shelf is one file with the entries of one kind of request (a metric by a segment, say), each entry the rows of one
period. Keys are digests of all that the rows are made of, so no entry is ever out of date; one that nobody asks for any
more is in the way of none, and the shelves that were not used for longest go when the folder grows beyond its limit.

What may lie here: sums over customers, how many they were, and the texts of the queries that sum. Never a row of a
customer, an id, a comment. But small cells are not hidden in it, a cell may be of one customer: the folder is as
private as the store beside which it lies and belongs in no report.

A cache may be lost and never wrong. A shelf carries the digest of its bytes, and one that is damaged or was half
written counts as none and is replaced. It is written aside and put in place at once; of two processes that write one
shelf at a time the last one stays, and what the other had added is worked out once more. Where nothing can be written
(a full disk, a folder that is read-only) nothing is kept, and that is all.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pandas as pd

KEPT = "CX_KEPT"  # in the environment: the folder, by custom data/kept of the workspace; without it nothing is kept
PLACE = "_place"  # the column that says which key a row belongs to: its place among the keys of the call

_MAGIC = b"cx-kept-1\n"
_DIGEST = hashlib.sha256().digest_size
_KEYS = b"keys"
_LIMIT = 512 * 2**20  # bytes of the folder
_SHELF = 4 * 2**20  # bytes of a shelf, of which the oldest entries go beyond it
_OFTEN = 32 * 2**20  # written bytes after which the folder is looked through again
_PATIENCE = 3  # times that writing fails before it is let be
_HOUR = 3_600.0


class Found(NamedTuple):
    """What a shelf held of the keys asked for: its rows, with `PLACE`, and the keys (some may have no rows)."""

    frame: pd.DataFrame
    keys: frozenset[str]


def opened() -> Kept | None:
    """Return the cache that the environment names, None where it names none."""
    folder = os.environ.get(KEPT, "")
    return Kept(Path(folder)) if folder else None


class Kept:
    """A folder of shelves.

    Parameters
    ----------
    folder
        Where they lie; made when there is something to keep.
    limit
        Bytes of the folder; beyond it, the shelves go that were not used for longest, until a fifth is free.
    """

    def __init__(self, folder: Path, limit: int = _LIMIT) -> None:
        self._folder, self._limit = folder, limit
        self._refused = 0  # how often nothing could be written
        self._written = _OFTEN  # since the folder was looked through: never yet

    def read(self, shelf: str, keys: Sequence[str]) -> Found:
        """Return what was kept of some keys.

        Parameters
        ----------
        shelf
            A file name.
        keys
            Distinct; `PLACE` of the rows is the place among them. The order of an entry's rows is as it was.
        """
        held = self._load(self._path(shelf), used=True)
        if held is None:
            return Found(pd.DataFrame(), frozenset())
        frame, names = held
        asked = {key: place for place, key in enumerate(keys)}
        place = np.array([asked.get(key, -1) for key in names], dtype="int64")[frame[PLACE].to_numpy()]
        if (place < 0).any():
            frame, place = frame[place >= 0].reset_index(drop=True), place[place >= 0]
        frame[PLACE] = place
        return Found(frame, frozenset(names) & asked.keys())

    def keep(self, shelf: str, keys: Sequence[str], frame: pd.DataFrame) -> None:
        """Keep entries, beside those that the shelf has.

        Parameters
        ----------
        shelf
            A file name.
        keys
            Distinct; those without rows are kept, too: that there is nothing is an answer.
        frame
            Rows of sums, with `PLACE`.
        """
        if self._refused >= _PATIENCE:
            return
        path = self._path(shelf)
        held = self._load(path, used=False)
        if held is not None and set(held[0]) == set(frame):
            frame, keys = _added(*held, frame, keys)
        data = _packed(frame, keys)
        while len(data) > _SHELF and len(keys) > 1:
            frame, keys = _newest(frame, keys)
            data = _packed(frame, keys)
        try:
            self._write(path, data)
        except OSError:
            self._refused += 1

    def _path(self, shelf: str) -> Path:
        return self._folder / f"{shelf}.sums"

    def _load(self, path: Path, *, used: bool) -> tuple[pd.DataFrame, list[str]] | None:
        """Return a shelf's rows and keys; None where there is none, or none that is whole."""
        try:
            data = path.read_bytes()
            if used and time.time() - path.stat().st_mtime > _HOUR:
                os.utime(path)  # the time of a file tells when it was used last
        except OSError:
            return None
        return _unpacked(data)

    def _write(self, path: Path, data: bytes) -> None:
        """Put a file in place at once; now and then make room."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._written >= min(_OFTEN, self._limit // 10):
            self._make_room()
        aside = path.with_name(f"{path.name}.{uuid4().hex}.part")
        try:
            aside.write_bytes(data)
            aside.replace(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
        self._written += len(data)

    def _make_room(self) -> None:
        """Remove what killed processes left and, of too many shelves, those that were not used for longest."""
        self._written = 0
        shelves = []
        for path in self._folder.iterdir():
            with suppress(OSError):  # another process removed it meanwhile
                state = path.stat()
                if path.suffix == ".sums":
                    shelves.append((state.st_mtime, path, state.st_size))
                elif path.suffix == ".part" and time.time() - state.st_mtime > _HOUR:
                    path.unlink()
        total = sum(size for _, _, size in shelves)
        room = self._limit * 4 // 5 if total > self._limit else self._limit
        for _, path, size in sorted(shelves):
            if total <= room:
                break
            with suppress(OSError):
                path.unlink()
            total -= size


def _added(
    old: pd.DataFrame, names: Sequence[str], new: pd.DataFrame, keys: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Return both entries in one, the new ones last; an entry of both is the new one."""
    stay = [number for number, key in enumerate(names) if key not in set(keys)]
    kept = old[old[PLACE].isin(stay)]
    kept = kept.assign(**{PLACE: kept[PLACE].map({number: place for place, number in enumerate(stay)})})
    new = new.assign(**{PLACE: new[PLACE] + len(stay)})[list(old)]
    parts = [part for part in (kept, new) if len(part)] or [new]
    return pd.concat(parts, ignore_index=True), [*(names[number] for number in stay), *keys]


def _newest(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the newer half of a shelf's entries."""
    first = (len(keys) + 1) // 2
    late = frame[frame[PLACE] >= first]
    return late.assign(**{PLACE: late[PLACE] - first}).reset_index(drop=True), list(keys[first:])


def _packed(frame: pd.DataFrame, keys: Sequence[str]) -> bytes:
    """Return a shelf as bytes: an Arrow stream behind its digest."""
    import pyarrow as pa

    table = pa.Table.from_pandas(frame.astype({PLACE: "int64"}), preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEYS: json.dumps(list(keys)).encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return _MAGIC + hashlib.sha256(body).digest() + body


def _unpacked(data: bytes) -> tuple[pd.DataFrame, list[str]] | None:
    """Return rows and keys of a shelf; None where its bytes are not those that were written."""
    import pyarrow as pa

    body = memoryview(data)[len(_MAGIC) + _DIGEST :]
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : len(_MAGIC) + _DIGEST] != hashlib.sha256(body).digest():
        return None
    table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
    return table.to_pandas(), json.loads(table.schema.metadata[_KEYS])
