"""Where a run is built, published, superseded or laid aside, so that a reader always finds one whole report or none.

A run is whole once its `run.json` exists: it is written last. Publishing is one rename; a report that stands is
exchanged for the new one in one step where the system can, else in two that the next start completes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxlib.errors import BusyError

MANIFEST = "run.json"
SUPERSEDED, FAILED = "_superseded", "_failed"
_BUILDING, _ASIDE, _LOCK, _PUBLISHING = ".building-", ".aside-", ".lock-", ".lock"
_PATIENCE, _PAUSE = 600.0, 0.05  # seconds to wait for whoever publishes, and between two tries


@dataclass(frozen=True)
class Place:
    """The folders of one pack and period under `reports/`."""

    reports: Path
    pack: str
    period: str

    @property
    def final(self) -> Path:
        """Where the report stands once published."""
        return self.reports / self.pack / self.period

    @property
    def building(self) -> Path:
        """Where this process builds it: beside the final place, so that a rename suffices."""
        return self.reports / self.pack / f"{_BUILDING}{self.period}-{os.getpid()}"

    def laid_aside(self, where: str) -> Path:
        """Return a folder that does not exist yet below `_superseded` or `_failed`."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        folder = self.reports / where / self.pack
        names = (f"{self.period}-{stamp}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
        return next(folder / name for name in names if not (folder / name).exists())


def folder_of(root: Path, setting: str) -> Path:
    """Return the folder of a workspace's reports on this machine, by `reports` in workspace.yml."""
    return root / ("reports" if "://" in setting else setting)


@dataclass(frozen=True)
class Standing:
    """A published report: its place and its manifest."""

    pack: str
    period: str
    folder: Path
    manifest: dict[str, Any]


def manifest(folder: Path) -> dict[str, Any] | None:
    """Return the `run.json` of a folder, or None where the run is not whole."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def catalogue(reports: Path, read: Callable[[Path], dict[str, Any] | None] = manifest) -> list[Standing]:
    """List the published reports, packs by name and the newest period first; `read` returns a folder's manifest."""
    found = []
    packs = sorted(p for p in reports.glob("[!._]*") if p.is_dir())
    for folder in (f for pack in packs for f in sorted(pack.glob("[!._]*"), reverse=True)):
        content = read(folder)
        if content is not None:
            found.append(Standing(folder.parent.name, folder.name, folder, content))
    return found


def others(reports: Path, name: tuple[str, str]) -> list[Standing]:
    """List the published reports but for one, of that pack and period."""
    return [one for one in catalogue(reports) if (one.pack, one.period) != name]


def named(standing: Iterable[Standing]) -> list[str]:
    """Return which runs stand: their places, and when each was made."""
    return sorted(f"{one.pack} {one.period} {one.manifest.get('started_at', '')}" for one in standing)


@contextlib.contextmanager
def lock(place: Place) -> Iterator[None]:
    """Hold the only right to run one pack and period; the system frees it when the process ends, however it ends.

    Raises `BusyError` where another run holds it.
    """
    path = place.final.parent / f"{_LOCK}{place.period}"
    with _held(path, f"another run of {place.pack} {place.period} is under way"):
        yield


@contextlib.contextmanager
def publishing(reports: Path) -> Iterator[None]:
    """Hold the only right to publish in a folder of reports: over the last look at what stands there, and the rename.

    Whoever waits for it may hold the right to a period, whoever holds it asks for no other: nobody waits in a circle.
    The system frees it when the process ends, however it ends. Raises `BusyError` after minutes of waiting.
    """
    with _held(reports / _PUBLISHING, f"another run is publishing in {reports.name} and does not end", _PATIENCE):
        yield


@contextlib.contextmanager
def _held(path: Path, busy: str, patience: float = 0) -> Iterator[None]:
    """Hold the lock of a file; `BusyError` with those words where another process or thread holds it for longer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    with path.open("a+") as handle:
        while not locked(handle.fileno()):
            if time.monotonic() >= until:
                raise BusyError(busy, hint="Wait for it to end, then try again.")
            time.sleep(_PAUSE)
        yield


def locked(handle: int) -> bool:
    """Lock a file without waiting, on Windows its first byte; say whether that worked."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def recover(place: Place) -> None:
    """Clear what a killed run of this place left; call it with the lock held.

    A report that was moved aside and not yet replaced goes back. Whole runs are kept under `_superseded`, or published
    where none stands and the gate has looked at them beside all that does now; others and halves are deleted.
    """
    folder = place.final.parent
    for left in sorted([*folder.glob(f"{_ASIDE}{place.period}-*"), *folder.glob(f"{_BUILDING}{place.period}-*")]):
        found = manifest(left)
        if found is None:
            shutil.rmtree(left, ignore_errors=True)
        elif found.get("state") == "failed":
            _move(left, place.laid_aside(FAILED))
        elif place.final.exists():
            _move(left, place.laid_aside(SUPERSEDED))
        elif left.name.startswith(_ASIDE):
            left.rename(place.final)
        else:
            _publish_late(left, found, place)


def _publish_late(left: Path, found: dict[str, Any], place: Place) -> None:
    with publishing(place.reports):
        beside = named(others(place.reports, (place.pack, place.period)))
        if found.get("disclosure", {}).get("beside") == beside:
            left.rename(place.final)
        else:
            shutil.rmtree(left, ignore_errors=True)


def unpublished(place: Place) -> list[Path]:
    """Return what runs that were killed had made whole and not put in its place; call it with the lock held."""
    left = place.final.parent.glob(f"{_BUILDING}{place.period}-*")
    return sorted(folder for folder in left if (manifest(folder) or {}).get("state") == "published")


def publish(place: Place) -> Path | None:
    """Put the built run into its place; return where the superseded one went, if one stood."""
    if not place.final.exists():
        place.building.rename(place.final)
        return None
    if _exchange(place.building, place.final):
        old = place.building
    else:
        old = place.final.parent / f"{_ASIDE}{place.period}-{os.getpid()}"
        place.final.rename(old)
        place.building.rename(place.final)
    target = place.laid_aside(SUPERSEDED)
    _move(old, target)
    return target


def fail(place: Place) -> Path:
    """Lay the built run aside as failed; the last good report stays where it is."""
    target = place.laid_aside(FAILED)
    _move(place.building, target)
    return target


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step (Linux `renameat2`); False where the system cannot."""
    if sys.platform != "linux":
        return False
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE in linux/fs.h
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0)
