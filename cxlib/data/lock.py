"""The writer's place at a store: one process has it at a time, and it ends with that process, however it dies.

The operating system holds the lock for an open file. What is written in the file only says who has it: a file that a
dead writer left behind locks nobody out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cxlib.errors import StoreError

LOCK = "writer.lock"
_PAUSE = 0.1  # seconds between two tries


class TakenError(StoreError):
    """Another process is writing."""


class _Place:
    """A lock that this process holds; `handle` is None once it was let go."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.handle: int | None = handle

    def let_go(self) -> None:
        """Close the file; where no other process has the same open file, that ends the lock."""
        handle, self.handle = self.handle, None
        if handle is not None:
            os.close(handle)


_places: list[_Place] = []


def _let_go_in_child() -> None:
    """Close a forked child's copies: it would go on holding its parent's lock after the parent has died."""
    while _places:
        _places.pop().let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def hold(store: Path, wait: float = 0) -> Iterator[None]:
    """Hold the writer's place of a store folder.

    Parameters
    ----------
    store
        The store folder; it is made where it is missing.
    wait
        For how many seconds to wait for another writer.

    Raises
    ------
    StoreError
        Where another process writes, or the folder cannot be written to.
    """
    place = _Place(store / LOCK, _acquire(store, time.monotonic() + wait))
    _places.append(place)
    try:
        yield
    finally:
        if place.handle is not None:  # None in a forked child, which has let go already
            _places.remove(place)
            with suppress(OSError):
                os.ftruncate(place.handle, 0)
            place.let_go()


def check(store: Path) -> None:
    """See that the file that this process has locked is still the one that others would lock.

    Raises
    ------
    StoreError
        Where somebody removed the lock file, so that a second writer may be at work. A process that holds no lock
        on the store is not asked.
    """
    for place in _places:
        if place.path == store / LOCK and place.handle is not None and not _is_at(place.handle, place.path):
            raise StoreError(
                f"{place.path} was removed while it was held: another process may have written in between",
                hint="Run the same command again, and leave that file alone: a dead writer's locks nobody out.",
            )


def _acquire(store: Path, until: float) -> int:
    """Return the open and locked file, signed."""
    while True:
        handle = _open(store)
        try:
            free = _try_lock(handle)
            who = "" if free else os.read(handle, 64).decode("ascii", "replace").strip()
        except OSError as error:
            os.close(handle)
            raise StoreError(f"the writer's lock of {store} cannot be taken: {error.strerror}") from None
        if free and _is_at(handle, store / LOCK):
            _sign(handle)
            return handle
        os.close(handle)
        if not free and time.monotonic() >= until:
            raise TakenError(
                f"another process ({who or 'it has not said which'}) is writing to {store}",
                hint="Wait until it has ended, then try again.",
            )
        time.sleep(0 if free else _PAUSE)


def _open(store: Path) -> int:
    """Open the lock file; Python closes it in every program that is started meanwhile."""
    try:
        store.mkdir(parents=True, exist_ok=True)
        return os.open(store / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StoreError(
            f"the store {store} cannot be written to: {error.strerror}",
            hint="Get the right to write there, or name another folder as `store` in workspace.yml.",
        ) from None


def _try_lock(handle: int) -> bool:
    """Take the lock without waiting; say whether it was free."""
    try:
        if os.name == "nt":
            import msvcrt

            # A byte far behind the text, so that others can read who holds it.
            os.lseek(handle, 1024, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # as POSIX says it, and as Windows does
        return False
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return True


def _is_at(handle: int, path: Path) -> bool:
    """Say whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    """Write down who holds the lock; that a full disk has no room for it locks nobody out."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, f"pid {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC".encode())
