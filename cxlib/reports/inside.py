"""Files below a folder, and no other: not by `..`, not by a link that leads out, not by one put there meanwhile."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BY_FOLDER = os.open in os.supports_dir_fd and _NOFOLLOW


def opened(root: Path, *parts: str) -> BinaryIO:
    """Open a regular file below a folder for reading; no part of its path may be a link.

    Parameters
    ----------
    root
        The folder.
    parts
        Names of folders and of the file, one below the other.

    Raises
    ------
    FileNotFoundError
        For whatever is not such a file.
    """
    if not parts or any(part in ("", ".", "..") or set(part) & set("/\\\0") for part in parts):
        raise FileNotFoundError("not a name")
    try:
        handle = _walked(root, parts) if _BY_FOLDER else _resolved(root, parts)
    except OSError:
        raise FileNotFoundError("not there") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError("not a file")
    return os.fdopen(handle, "rb")


def _walked(root: Path, parts: tuple[str, ...]) -> int:
    """Open folder after folder without following a link: nothing can be exchanged in between."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(parts[-1], os.O_RDONLY | os.O_NONBLOCK | _NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def _resolved(root: Path, parts: tuple[str, ...]) -> int:
    """Open a file whose resolved path is the one that was asked for: where the system cannot open below a folder."""
    path = root.resolve().joinpath(*parts)
    if path.resolve() != path:
        raise FileNotFoundError("leads elsewhere")
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
