"""Pages that many viewers share: read once, compressed once, kept while there is room for them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cxlib.reports import places
from cxlib.reports.inside import opened

_ROOM = 96_000_000  # bytes of all prepared pages
_MANIFESTS = 2_000
_LEVEL = 6
_MOMENT = 1.0  # seconds between two looks at what is published
_Key = tuple[object, ...]


@dataclass(frozen=True)
class Prepared:
    """The bytes of an answer, as they are and compressed, and the tag by which a browser asks again."""

    plain: bytes
    packed: bytes
    etag: str

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.plain) + len(self.packed)


def prepare(content: bytes) -> Prepared:
    """Return content as it is sent."""
    return Prepared(content, gzip.compress(content, _LEVEL, mtime=0), f'"{sha256(content).hexdigest()[:32]}"')


class Shelf:
    """Prepared pages and the manifests of reports; what was not asked for longest goes first.

    Parameters
    ----------
    room
        Bytes of all pages that are kept.
    """

    def __init__(self, room: int = _ROOM) -> None:
        self._room, self._used = room, 0
        self._pages: OrderedDict[_Key, Prepared] = OrderedDict()
        self._coming: dict[_Key, asyncio.Future[Prepared]] = {}
        self._standing: list[places.Standing] = []
        self._next = 0.0
        self._manifests: OrderedDict[Path, tuple[_Key, dict[str, Any]]] = OrderedDict()

    async def page(self, key: _Key, make: Callable[[], bytes]) -> Prepared:
        """Return a page; made once however many ask for it at the same time, and others are served meanwhile.

        Parameters
        ----------
        key
            What the content depends on: the file with its time and size, and what the server adds.
        make
            Reads the content; called in a thread.
        """
        if key in self._pages:
            self._pages.move_to_end(key)
            return self._pages[key]
        if key not in self._coming:
            self._coming[key] = asyncio.ensure_future(asyncio.to_thread(lambda: prepare(make())))
            self._coming[key].add_done_callback(lambda done: self._arrived(key, done))
        return await asyncio.shield(self._coming[key])

    def _arrived(self, key: _Key, done: asyncio.Future[Prepared]) -> None:
        """Put a page that was made on the shelf."""
        self._coming.pop(key, None)
        if done.cancelled() or done.exception() is not None or done.result().size > self._room:
            return
        self._pages[key] = done.result()
        self._used += done.result().size
        while self._used > self._room:
            self._used -= self._pages.popitem(last=False)[1].size

    def catalogue(self, reports: Path) -> list[places.Standing]:
        """Return all published reports as `places.catalogue` does, as they stood at most a moment ago."""
        if time.monotonic() >= self._next:
            self._standing = places.catalogue(reports, self.manifest)
            self._next = time.monotonic() + _MOMENT
        return self._standing

    def manifest(self, folder: Path) -> dict[str, Any] | None:
        """Return the manifest of a report as `places.manifest` does, read anew only where the file is another.

        `folder` is that of the pack and period below the folder of all reports, reached by no link.
        """
        try:
            with opened(folder.parent.parent, folder.parent.name, folder.name, places.MANIFEST) as file:
                found = os.fstat(file.fileno())
                mark = (found.st_ino, found.st_mtime_ns, found.st_size)
                known = self._manifests.get(folder)
                if known is not None and known[0] == mark:
                    return known[1]
                content = json.load(file)
        except (OSError, ValueError):
            return None
        if not isinstance(content, dict):
            return None
        self._manifests[folder] = (mark, content)
        if len(self._manifests) > _MANIFESTS:
            self._manifests.popitem(last=False)
        return content
