"""Reports at a URL of fsspec: what is published there, and the folder of this machine that is its mirror.

Nothing renames there and nobody locks. A run lies under a name of its own, `<url>/<pack>/<period>/<run>/`, and is never
changed; it is there once its run.json is, which is written last. Of several whole runs the newest leads. A run's name
is the time when it was published and a digest of its run.json, so this machine knows its own runs again.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cxlib.data import faults
from cxlib.data.places import SCHEMES
from cxlib.data.remote import client_settings
from cxlib.errors import BusyError, CxError, StoreError
from cxlib.params.models import Workspace
from cxlib.reports import places, provenance

_AT_ONCE = 8  # requests under way
_STAMP, _DIGITS = "%Y%m%dT%H%M%SZ", 12
_RUN = re.compile(rf"\d{{4}}[01]\d[0-3]\dT[0-2]\d[0-5]\d[0-5]\dZ-[0-9a-f]{{{_DIGITS}}}")
_LOOK = 60.0  # seconds between two looks of a server
_INSTALL = 'Install it: pip install "cxlib[remote]".'
_One = TypeVar("_One")
_Other = TypeVar("_Other")


def of(workspace: Workspace) -> Far | None:
    """Return the reports at the URL that `reports` in workspace.yml names; None where it names a folder."""
    return Far(workspace.reports) if "://" in workspace.reports else None


def mirrored(root: Path, workspace: Workspace) -> Path:
    """Return the folder of a workspace's reports; where they lie at a URL, it is made its mirror first."""
    reports, far = places.folder_of(root, workspace.reports), of(workspace)
    if far is not None:
        far.mirror(reports)
    return reports


class Far:
    """Published reports at a URL.

    Parameters
    ----------
    url
        As s3://bucket/reports. Credentials and endpoint come from the environment.

    Raises
    ------
    StoreError
        For a URL that holds a secret or that no installed package can open; any method, where the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        if urlsplit(url).password or urlsplit(url).query:
            raise StoreError(
                "`reports` in workspace.yml holds a password or a token",
                hint="Take it out: credentials come from the environment. Whoever has seen that file knows it.",
            )
        self.url = url.rstrip("/")
        self._files, self._base = _opened(self.url)
        self._whole: dict[str, bool] = {}  # runs that were looked at; a whole one is never changed

    def settle(self, place: places.Place) -> None:
        """Bring a place of this machine to what is published, with its lock held.

        What a killed run had made but not sent is sent, what stands here alone too; and what stands there is fetched.
        """
        newest = self.newest(place)
        for left in places.unpublished(place):
            if not newest or _began(left) > _moment(newest):
                self.send(left, place)
        places.recover(place)
        if not self.fetch(place) and places.manifest(place.final) is not None:
            self.send(place.final, place)

    def mirror(self, reports: Path) -> None:
        """Fetch every report whose newest run is another than what stands here; those in the making are left alone."""
        packs = [name for name in self._names() if not name.startswith(("_", "."))]
        names = [(pack, name) for pack, found in _each(packs, self._names) for name in found]
        found = [places.Place(reports, pack, name) for pack, name in names if not name.startswith(("_", "."))]
        newest = dict(_each(found, self.newest))
        for place in [one for one in found if newest[one] and _digest(one.final) != _digest_of(newest[one])]:
            with suppress(BusyError), places.lock(place):
                self.settle(place)

    def newest(self, place: places.Place) -> str:
        """Return the name of the newest whole run; '' where there is none."""
        runs = self._runs(place.pack, place.period)
        return next((run for run in reversed(runs) if self._is_whole(f"{place.pack}/{place.period}/{run}")), "")

    def fetch(self, place: places.Place) -> bool:
        """Put the newest run into its place on this machine, if another stands there; say whether there is one."""
        run = self.newest(place)
        if run and _digest(place.final) != _digest_of(run):
            place.building.mkdir(parents=True)
            self._bring(f"{place.pack}/{place.period}/{run}", place.building)
            places.publish(place)
        return bool(run)

    def send(self, folder: Path, place: places.Place, below: str = "") -> None:
        """Send a whole run, its run.json last, unless it is there; `below` is a folder for those that failed."""
        there = "/".join(filter(None, (below, place.pack, place.period)))
        runs, digest = self._runs(there), _digest(folder)
        if any(_digest_of(run) == digest and self._is_whole(f"{there}/{run}") for run in runs):
            return
        latest = max([datetime.now(UTC), *(_moment(run) + timedelta(seconds=1) for run in runs)])
        run = f"{there}/{latest.strftime(_STAMP)}-{digest}"
        with self._told():
            _each(_outputs(folder), lambda name: self._files.put_file(str(folder / name), self._path(run, name)))
            self._files.put_file(str(folder / places.MANIFEST), self._path(run, places.MANIFEST))

    def publish(self, folder: Path, place: places.Place) -> None:
        """Send a run that was just made; where that does not work, it is left for the next run to send."""
        try:
            self.send(folder, place)
        except StoreError as error:
            raise StoreError(
                f"{place.pack} {place.period} is made, but cannot be published: {error.message}",
                hint=f"{error.hint} Then run it again: what is made will be sent.".strip(),
            ) from None

    def send_failed(self, folder: Path, place: places.Place) -> None:
        """Send a run that failed, for others to look at; what made it fail is more important than that this works."""
        with suppress(StoreError):
            self.send(folder, place, below=places.FAILED)

    def _bring(self, run: str, folder: Path) -> None:
        """Fetch all files of a run, its run.json last."""
        manifest = self._content(run, places.MANIFEST)
        (folder / places.MANIFEST).with_suffix(".part").write_bytes(manifest)
        outputs: dict[str, str] = json.loads(manifest)["outputs"]

        def get(name: str) -> None:
            if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                raise self._damaged(run, name)
            content = self._content(run, name)
            if provenance.digest(content) != outputs[name]:
                raise self._damaged(run, name)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

        _each(outputs, get)
        (folder / places.MANIFEST).with_suffix(".part").replace(folder / places.MANIFEST)

    def _is_whole(self, run: str) -> bool:
        """Say whether a run is there, with its run.json as it was written."""
        if not self._whole.get(run):
            try:
                content = self._content(run, places.MANIFEST)
            except FileNotFoundError:
                return False
            self._whole[run] = provenance.digest(content)[:_DIGITS] == _digest_of(run)
        return self._whole[run]

    def _content(self, run: str, name: str) -> bytes:
        with self._told():
            return bytes(self._files.cat_file(self._path(run, name)))

    def _damaged(self, run: str, name: str) -> StoreError:
        return StoreError(
            f"{self.url}/{run}/{name} is not what was published",
            hint="Restore it from a backup, or remove that run: the one before it leads again.",
        )

    def _runs(self, *folders: str) -> list[str]:
        """Return the names of the runs in a folder at the URL, whole or not, oldest first."""
        return sorted(name for name in self._names(*folders) if _RUN.fullmatch(name))

    def _names(self, *folders: str) -> list[str]:
        """Return the names in a folder at the URL; none where it is not there."""
        try:
            with self._told():
                self._files.invalidate_cache()
                found = self._files.ls(self._path(*folders), detail=False)
        except FileNotFoundError:
            return []
        return [name.rstrip("/").rpartition("/")[2] for name in found]

    def _path(self, *parts: str) -> str:
        return "/".join([self._base, *parts])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say plainly what the URL refused; a file that is not there is the caller's to tell."""
        try:
            yield
        except CxError:
            raise
        except Exception as error:  # whatever the package behind the URL raises
            if isinstance(error, FileNotFoundError) and not faults.of_bucket(error):
                raise
            raise faults.explain(self.url, error, what="reports") from None


class Mirror:
    """The reports that a server shows: fetched at its start, and looked for again now and then."""

    def __init__(self, far: Far | None, reports: Path, say: Callable[[str], object]) -> None:
        self._far, self._reports, self._say = far, reports, say
        self._next = 0.0

    def look(self) -> None:
        """Fetch what is new, unless somebody looked a moment ago; where the URL fails, what is here still stands."""
        if self._far is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LOOK
        try:
            self._far.mirror(self._reports)
        except CxError as error:
            self._say(f"warning: {error.message}; what was fetched before is shown")


def _opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and its path there."""
    scheme = url.partition("://")[0]
    try:
        import fsspec

        if scheme not in SCHEMES:
            more = {"auto_mkdir": True} if scheme in ("file", "local") else {}
            files, base = fsspec.url_to_fs(url, **more)
            return files, str(base).rstrip("/")
        from obstore import fsspec as of_stores  # what stores are read with: one way to name credentials

        client: Any = of_stores.FsspecStore
        return client(scheme, **client_settings(), skip_instance_cache=True), url.partition("://")[2]
    except ModuleNotFoundError as error:
        raise StoreError(f"for reports at {url} the package {error.name} is missing", hint=_INSTALL) from None
    except ImportError as error:  # fsspec names the package that the scheme needs
        raise StoreError(f"for reports at {url} a package is missing: {error}") from None
    except ValueError as error:
        raise StoreError(f"reports at {url} cannot be used: {error}", hint="Mend `reports` in workspace.yml.") from None


def _each(names: Iterable[_One], work: Callable[[_One], _Other]) -> list[tuple[_One, _Other]]:
    """Do the same for many at once."""
    wanted = list(names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(zip(wanted, pool.map(work, wanted), strict=True))


def _outputs(folder: Path) -> list[str]:
    """Return the files of a whole run but its run.json."""
    return list((places.manifest(folder) or {})["outputs"])


def _digest(folder: Path) -> str:
    """Return the digest of the run in a folder of this machine; '' where there is none."""
    try:
        return provenance.digest((folder / places.MANIFEST).read_bytes())[:_DIGITS]
    except OSError:
        return ""


def _began(folder: Path) -> datetime:
    """Return when the making of a whole run began."""
    return datetime.fromisoformat((places.manifest(folder) or {})["started_at"])


def _digest_of(run: str) -> str:
    return run.rpartition("-")[2]


def _moment(run: str) -> datetime:
    """Return when a run was published, by its name."""
    return datetime.strptime(run.partition("-")[0], _STAMP).replace(tzinfo=UTC)
