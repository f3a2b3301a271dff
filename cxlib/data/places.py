"""Where a store lies: a folder of this machine or a URL of an object store, and what both can do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cxlib.data.remote import Item, Remote
from cxlib.errors import StoreError

Where = Path | Remote

# What deltalake and obstore both know. memory:// is left out: theirs are two memories, and each ends with its process.
SCHEMES = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
_UNFIT = "[]^|%"  # in a path, Delta Lake panics at these or looks elsewhere


def location_of(root: Path, location: str) -> Where:
    """Return where the store lies that `store` in workspace.yml names.

    Parameters
    ----------
    root
        The workspace folder.
    location
        A folder, absolute or relative to `root`, or a URL as s3://bucket/store.

    Raises
    ------
    StoreError
        For an address that no store can have, and for one that Delta Lake cannot work in.
    """
    scheme, has_scheme, rest = location.partition("://")
    if not has_scheme or scheme == "file":
        path = (Path(root) / (unquote(rest) if has_scheme else location)).resolve()
        _check_name(str(path), "Move the workspace, or name another folder as `store` in workspace.yml.")
        return path
    if scheme not in SCHEMES:
        raise StoreError(
            f"store '{scheme}://...' is neither a folder nor an object store",
            hint=f"Name a folder, as in `store: data/store`, or a URL of {', '.join(SCHEMES)}.",
        )
    parts = urlsplit(location)
    if parts.password or parts.query:
        raise StoreError(
            "`store` in workspace.yml holds a password or a token",
            hint="Take it out: credentials come from the environment. Whoever has seen that file knows it.",
        )
    if not parts.hostname:
        raise StoreError(f"store '{location}' names no bucket", hint=f"Write it as {scheme}://bucket/store.")
    _check_name(rest, "Name another path as `store` in workspace.yml.", _UNFIT + "#")
    return Remote(re.sub("/+$", "", location), Path(root).resolve() / "data")


def _check_name(name: str, hint: str, signs: str = _UNFIT) -> None:
    """Refuse a name that Delta Lake cannot work with."""
    unfit = sorted(set(signs) & set(name))
    if unfit:
        raise StoreError(f"tables cannot be stored in {name}: its name has {' '.join(unfit)}", hint=hint)


def options(store: Where) -> dict[str, str] | None:
    """Return how deltalake is to speak with a store."""
    return store.options if isinstance(store, Remote) else None


def readable(store: Where) -> Path:
    """Return the folder of this machine that holds what is read of a store."""
    return store.cache.folder if isinstance(store, Remote) else store


def walk(store: Where, folder: str = "") -> dict[str, Item]:
    """Return all files below a folder of a store, by name from the store on, sorted."""
    if isinstance(store, Remote):
        return dict(sorted(store.list(folder).items()))
    found: dict[str, Item] = {}
    for path in sorted((store / folder).rglob("*")):
        if path.is_file() or path.is_symlink():
            state = path.lstat()
            found[path.relative_to(store).as_posix()] = Item(state.st_size, state.st_mtime)
    return found


def remove(store: Where, names: Iterable[str]) -> Iterator[str]:
    """Remove files of a store in their order; yield what could not be removed."""
    if isinstance(store, Remote):
        yield from store.remove(names)
        return
    for name in names:
        try:
            (store / name).unlink(missing_ok=True)
        except OSError as error:
            yield f"{store / name}: {error.strerror}"
