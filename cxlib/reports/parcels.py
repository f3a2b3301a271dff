"""A step as it travels to a worker of a cluster and back; what is here runs on both sides, and knows no cluster.

A worker has another machine, folder and process than the one who asks. With the step go the workspace's params/ and
notebooks/; back come the files that the notebook wrote. Data never travel: each worker opens the store itself.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from cxlib.errors import StoreError
from cxlib.reports import made_of, provenance
from cxlib.reports.build import Build, Done
from cxlib.reports.crew import Crew, LostError
from cxlib.reports.work import Say, Step

_FOLDERS = ("params", "notebooks")
_SETTINGS = ("params/workspace.yml", "params/workspace.yaml")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold: the same files make the same bytes
_LOADED = made_of.code()  # what this process runs; what lies on the disk may have changed since
_IDLE = 300.0  # seconds after which a desk that nobody uses is cleared: its run was killed


@dataclass(frozen=True)
class Workspace:
    """What notebooks need of a workspace, in one piece: the files zipped, their digest, and where the store lies."""

    files: bytes
    digest: str
    store: str


def packed(build: Build) -> Workspace:
    """Return the workspace of a build; where its store is a folder, its settings name it in full."""
    from cxlib.data.places import location_of

    store = str(location_of(build.root, build.params.workspace.store))
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as out:
        for path in _files(build.root):
            name = path.relative_to(build.root).as_posix()
            content = _with_store(path, store) if name in _SETTINGS else path.read_bytes()
            out.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return Workspace(into.getvalue(), provenance.digest(into.getvalue())[:16], store)


def _files(root: Path) -> Iterator[Path]:
    """Yield what is sent of a workspace, in order; folders may be links."""
    for top in _FOLDERS:
        for folder, names, files in os.walk(root / top, followlinks=True):
            names[:] = sorted(name for name in names if not name.startswith((".", "__")))
            yield from (Path(folder) / name for name in sorted(files) if not name.startswith("."))


def _with_store(path: Path, store: str) -> bytes:
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return yaml.safe_dump(content | {"store": store}, allow_unicode=True).encode()


def sent(step: Step, workspace: Workspace) -> bytes:
    """Return a step with all that it needs, without the folders of this machine."""
    return pickle.dumps((replace(step, build=replace(step.build, root=Path(), folder=Path())), workspace))


def about() -> dict[str, str]:
    """Return what must be the same on both sides: versions, and the package's own source, as it runs and lies there."""
    now = made_of.code.__wrapped__()
    code = now if now == _LOADED else f"{_LOADED} (by now {now} on its disk: start it again)"
    return {"the code of cxlib": code, **provenance.versions()}


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Say what is another there."""
    return [
        f"{name} {there.get(name, 'missing')}, here {here.get(name, 'missing')}"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]


def unreadable(store: str, snapshot: str) -> str:
    """Say why a snapshot cannot be read on this machine; '' where it can."""
    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    try:
        Ledger.find(location_of(Path(tempfile.gettempdir()), store), snapshot)
    except StoreError as error:
        return error.message
    return ""


class Desk:
    """What a worker keeps for one run: the workspace, unpacked once, and worker processes with their warm kernels.

    Parameters
    ----------
    folder
        Where its own private folder is made.
    jobs, timeout
        As in `Crew`.
    """

    def __init__(self, folder: Path, jobs: int, timeout: float | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cx-", dir=folder))
        self._crew = Crew(jobs, timeout)
        self._unpacking = threading.Lock()
        self.users, self.used = 0, time.monotonic()

    def carry_out(self, parcel: bytes, say: Say) -> tuple[Done, dict[str, bytes]]:
        """Do a step; return what came of it, and the files that it wrote."""
        step, workspace = pickle.loads(parcel)  # from who may run code here anyway
        root = self._unpacked(workspace)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        try:
            for name in ("figures", "inputs", "results"):
                (folder / name).mkdir()
            kept = str(root / "kept") if step.kept else ""
            there = replace(step, build=replace(step.build, root=root, folder=folder), kept=kept)
            done: Done = self._crew.submit(there, say).result()
            written = sorted(path for path in folder.rglob("*") if path.is_file())
            return done, {path.relative_to(folder).as_posix(): path.read_bytes() for path in written}
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _unpacked(self, workspace: Workspace) -> Path:
        root = self.folder / workspace.digest
        with self._unpacking:
            if not root.exists():
                draft = root.with_suffix(".part")
                with zipfile.ZipFile(io.BytesIO(workspace.files)) as files:
                    files.extractall(draft)
                draft.rename(root)
        return root

    def clear(self) -> None:
        """Stop what is under way and leave nothing."""
        self._crew.close()
        shutil.rmtree(self.folder, ignore_errors=True)


_desks: dict[str, Desk] = {}
_over: set[str] = set()  # runs that this process was told are over: a step of theirs that comes late is for nobody
_changing = threading.RLock()


@contextmanager
def desk(run: str, folder: Path, jobs: int, timeout: float | None) -> Iterator[Desk]:
    """Use the desk of a run, made where there is none; left alone for some minutes, it is cleared."""
    with _changing:
        if run in _over:
            raise LostError("the run is over")
        mine = _desks.get(run) or _desks.setdefault(run, Desk(folder, jobs, timeout))
        mine.users += 1
    try:
        yield mine
    finally:
        with _changing:
            mine.users, mine.used = mine.users - 1, time.monotonic()
        later = threading.Timer(_IDLE, _clear_idle, (run,))
        later.daemon = True
        later.start()


def _clear_idle(run: str) -> None:
    with _changing:
        found = _desks.get(run)
        if found is not None and not found.users and time.monotonic() - found.used >= _IDLE:
            clear(run)


def end(run: str) -> None:
    """Do nothing more for a run."""
    _over.add(run)
    clear(run)


def clear(run: str) -> None:
    """Clear the desk of a run, if there is one."""
    with _changing:
        found = _desks.pop(run, None)
    if found is not None:
        found.clear()


def put_down(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a step where it was asked for."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
