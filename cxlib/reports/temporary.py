"""The folder of a server for what lasts no longer than it does: the sockets of kernels, and what they write."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cxlib.reports.places import locked

_PREFIX, _HELD = "cx-serve-", "held"
_YOUNG = 10.0  # seconds in which a server that has made its folder has surely taken the lock in it


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that is removed at the end, and remove those of servers that were killed."""
    _clear(Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (made / _HELD).open("a+") as handle:
            locked(handle.fileno())  # the system frees it, however this process ends
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _clear(parent: Path) -> None:
    """Remove the folders that a server of this user has left."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # others may clear at the same time
            if _is_left(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_left(found: Path) -> bool:
    """Say whether nobody holds a folder any more."""
    if os.name == "posix" and found.lstat().st_uid != os.getuid():
        return False
    if time.time() - (found / _HELD).stat().st_mtime < _YOUNG:
        return False
    with (found / _HELD).open("r+") as handle:
        return locked(handle.fileno())
