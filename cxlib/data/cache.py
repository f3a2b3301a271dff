"""Copies of a remote store's files on this machine, so that DuckDB reads local files and none is fetched twice.

Files of a store never change: their names are unique, or carry a tag of their content. So a copy is right for ever, and
any number of processes may share it. Copies hold rows of customers: the folder is its owner's alone, what was not used
for a month goes, and beyond a size the oldest used go first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from uuid import uuid4

import platformdirs

from cxlib.errors import StoreError

FOLDER, LIMIT = "CX_CACHE", "CX_CACHE_GB"  # variables of the environment
_GIGABYTES = 20.0
_IN_USE = 3600.0  # seconds for which a file is left alone after its use: a query may be about to open it
_UNUSED = 30 * 86_400.0  # seconds after which it goes, whatever room there is
_PART = ".part"


class Cache:
    """The copies of one store's files.

    Parameters
    ----------
    store
        What tells the store from all others.
    """

    def __init__(self, store: str) -> None:
        self.root = _root()
        self.folder = self.root / hashlib.sha256(store.encode()).hexdigest()[:16]

    def path(self, name: str) -> Path:
        """Return where the copy of a file lies, or would lie.

        Raises
        ------
        StoreError
            For a name that leads out of the folder: a store that somebody tampered with.
        """
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name:
            raise StoreError(f"'{name}' is no name of a file of a store", hint="Restore the store from a backup.")
        return self.folder.joinpath(*parts)

    def holds(self, name: str, size: int) -> bool:
        """Say whether a whole copy is there; it counts as used now."""
        path = self.path(name)
        try:
            whole = path.stat().st_size == size
            if whole:
                os.utime(path)
        except OSError:  # not there, or just taken away by another process
            return False
        return whole

    def keep(self, name: str, content: Iterable[bytes], size: int) -> None:
        """Write the copy of a file of so many bytes; nobody sees it half."""
        with self._draft(name) as draft:
            with draft.open("wb") as file:
                for part in content:
                    file.write(part)
            if (found := draft.stat().st_size) != size:
                raise StoreError(f"{name} has {found:,} bytes, not {size:,}", hint="Restore the store from a backup.")

    def adopt(self, name: str, path: Path) -> None:
        """Take a local file for the copy; it is moved."""
        with self._draft(name) as draft:
            shutil.move(path, draft)
            os.utime(draft)

    def forget(self, names: Iterable[str]) -> None:
        """Remove copies, as their files are gone from the store."""
        for name in names:
            with suppress(OSError):
                self.path(name).unlink()

    def trim(self) -> None:
        """Remove what was not used for long, and the oldest used beyond the limit; files in use may exceed it."""
        now, room = time.time(), _limit()
        found = sorted(_walk(self.root), reverse=True)  # newest first
        for used, size, path in found:
            room -= size
            age = now - used
            if age > _UNUSED or (age > _IN_USE and (room < 0 or path.endswith(_PART))):
                with suppress(OSError):  # another process may be at it too
                    Path(path).unlink()
                room += size

    def _draft(self, name: str) -> _Draft:
        """Give a name beside the copy's own, which takes its place at the end."""
        return _Draft(self.path(name))


class _Draft:
    """A file in the making: put in its place when the block ends well, removed when it does not."""

    def __init__(self, path: Path) -> None:
        self.final, self.path = path, path.with_name(f".{path.name[-60:]}.{uuid4().hex}{_PART}")

    def __enter__(self) -> Path:
        self.final.parent.mkdir(parents=True, exist_ok=True)
        return self.path

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.path.replace(self.final)
        else:
            self.path.unlink(missing_ok=True)


def _root() -> Path:
    """Return the folder of all stores' copies, made where it is missing, its owner's alone.

    Raises
    ------
    StoreError
        Where it cannot be made, or others can look into it.
    """
    given = os.environ.get(FOLDER, "")
    root = Path(given).expanduser().absolute() / "stores" if given else platformdirs.user_cache_path("cx") / "stores"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = root.stat()
    except OSError as error:
        raise StoreError(
            f"the cache {root} cannot be made: {error.strerror}", hint=f"Name another folder in {FOLDER}."
        ) from None
    if os.name == "posix" and (state.st_uid != os.getuid() or state.st_mode & 0o077):
        raise StoreError(
            f"others can read the cache {root}, which is to hold rows of customers",
            hint=f"Run `chmod 700` on it, or name another folder in {FOLDER}.",
        )
    return root


def _limit() -> float:
    """Return how many bytes all copies may take."""
    given = os.environ.get(LIMIT, "")
    try:
        gigabytes = float(given) if given else _GIGABYTES
    except ValueError:
        raise StoreError(f"{LIMIT} is '{given}': that is no number", hint=f"Set it as in {LIMIT}=20.") from None
    return gigabytes * 1e9


def _walk(folder: Path) -> Iterator[tuple[float, int, str]]:
    """Yield when each file was last used, its bytes, and its path."""
    for path in folder.rglob("*"):
        with suppress(OSError):
            state = path.stat()
            if not path.is_dir():
                yield state.st_mtime, state.st_size, str(path)
