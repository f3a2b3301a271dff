"""Run a pack for a period: notebooks in parallel through papermill, pages, manifest, one rename at the end.

What a reader finds under `reports/<pack>/<period>/` is always one whole report. A failing notebook stops no other and
publishes nothing: the failed run is laid aside with its errors visible and the last good report stands.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxlib import params as parameters_of
from cxlib.errors import DisclosureError, RunError
from cxlib.params.models import Params, Report
from cxlib.periods import Period
from cxlib.reports import page, places
from cxlib.reports.against import check_values
from cxlib.reports.build import Build
from cxlib.reports.context import report_of, resolve_period
from cxlib.reports.execute import execute, libraries, stop_all
from cxlib.reports.parameters import Value, declared, resolve

# called with a notebook's name, its cells done, its cells, and its state: running, done, failed
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run.

    `state` is `published` or `kept` (a good report stood already); `folder` is where the report stands, `superseded`
    where the one before it went.
    """

    pack: str
    period: str
    state: str
    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    superseded: Path | None = None
    reason: str = ""


def run_pack(
    root: Path,
    pack: str,
    period: str = "last",
    *,
    experiment: str = "",
    force: bool = False,
    as_of: str = "",
    parameters: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> RunOutcome:
    """Make the report of one pack and period.

    Parameters
    ----------
    root
        The workspace.
    pack
        A pack of `params/reports/`.
    period
        `2026-10`, `2026-Q3`, `2026-W40`, or `last`: the last complete period of the data.
    experiment
        An experiment of `params/experiments/`, for a pack that is about one; its report stands under its name.
    force
        Make it even where a good report stands; that one is kept under `reports/_superseded/`.
    as_of
        A snapshot id; '' for the newest.
    parameters
        Values for parameters that the pack's notebooks declare.
    progress
        Told of every cell.

    Returns
    -------
    RunOutcome

    Raises
    ------
    UsageError
        For an unknown pack, period, experiment or parameter, before anything runs.
    RunError
        Where a notebook failed, or another run of the period is under way.
    """
    params = parameters_of.load(root)
    report = report_of(params, pack, experiment)
    notebooks = _read(root, report)
    names = {name: declared(notebook, name) for name, notebook in notebooks.items()}
    resolve(names, parameters or {}, {})  # refused before the store is opened
    chosen, snapshot = _open(root, params, period, as_of)
    check_values(params, chosen, parameters or {})
    own = {"period": chosen.label, "as_of": snapshot["id"], "pack": pack, "run_folder": ".", "experiment": experiment}
    place = places.Place(root / "reports", pack, experiment or chosen.label)
    build = Build(root, params, report, chosen, snapshot, place.building, notebooks, dict(parameters or {}), experiment)
    build.resolved.update(resolve(names, parameters or {}, own))
    with places.lock(place):
        places.recover(place)
        standing = places.manifest(place.final)
        if standing is not None and standing.get("period") in (None, chosen.label) and not force:
            return RunOutcome(pack, place.period, "kept", place.final, standing, reason=_why_kept(standing, build))
        return _make(build, place, progress or _silent)


def _silent(name: str, done: int, cells: int, state: str) -> None:
    """Tell nobody."""


def _read(root: Path, report: Report) -> dict[str, Any]:
    """Read the pack's notebooks; that they exist is checked with `params/`."""
    folder = root / (report.folder or f"notebooks/{report.id}")
    nbformat = libraries()[0]
    return {name: nbformat.read(folder / f"{name}.ipynb", as_version=4) for name in report.notebooks}


def _open(root: Path, params: Params, period: str, as_of: str) -> tuple[Period, dict[str, Any]]:
    """Resolve the period and pin the snapshot, so that all notebooks of the run read the same data.

    The ledger alone says both: no table is opened here.
    """
    from cxlib.data.ledger import Ledger

    if period != "last":
        Period.parse(period)  # a mistyped period is told first
    snapshot = Ledger.find(root / params.workspace.store, as_of or None)
    latest = {name: table.latest for name, table in snapshot.tables.items() if table.latest is not None}
    batches = [{"id": b.id, "source": b.source, "checksum": b.checksum, "tables": b.counts} for b in snapshot.batches]
    tables = {name: {"version": table.version, "rows": table.rows} for name, table in sorted(snapshot.tables.items())}
    about = {"id": snapshot.id, "created_at": snapshot.created_at, "tables": tables, "batches": batches}
    return resolve_period(period, params.workspace, latest), about


def _why_kept(standing: dict[str, Any], build: Build) -> str:
    """Say from what the standing report was made, and what has changed since."""
    changed = []
    if standing["snapshot"]["id"] != build.snapshot["id"]:
        changed.append(f"the data (now snapshot {build.snapshot['id']})")
    if standing["notebooks"] != build.notebook_hashes():
        changed.append("the notebooks")
    if standing["definitions"] != build.definitions():
        changed.append("the definitions")
    if standing["parameters"]["given"] != build.given:
        changed.append("the parameters")
    since = f"; since then {', '.join(changed)} changed" if changed else "; nothing has changed since"
    return f"made from snapshot {standing['snapshot']['id']}{since}"


def _make(build: Build, place: places.Place, progress: Progress) -> RunOutcome:
    """Execute, assemble and publish, or lay aside; an interrupted build leaves nothing."""
    try:
        for name in ("figures", "inputs", "results"):
            (build.folder / name).mkdir(parents=True, exist_ok=True)
        _execute_all(build, progress)
        from cxlib.reports.assemble import assemble  # pandas comes with it: see `_warm_up`

        manifest = assemble(build)
    except BaseException:
        shutil.rmtree(build.folder, ignore_errors=True)
        raise
    if manifest["state"] == "failed":
        raise _failure(build, manifest, places.fail(place))
    superseded = places.publish(place)
    return RunOutcome(place.pack, place.period, "published", place.final, manifest, superseded)


def _failure(build: Build, manifest: Mapping[str, Any], folder: Path) -> Exception:
    """Return the error that says which notebooks failed and where to look."""
    where = folder.relative_to(build.root).as_posix()
    hint = f"Look at {where}/index.html; the last good report, if there was one, still stands."
    errors = manifest["errors"]
    if errors:
        lines = [f"  {name}: {error}" for name, error in errors.items()]
        head = f"{len(errors)} of {len(build.notebooks)} notebooks of {build.report.id} {build.about} failed:"
        return RunError("\n".join([head, *lines]), hint=hint)
    found = "; ".join(manifest["disclosure"]["found"])
    return DisclosureError(f"{build.report.id} {build.about} is not published: {found}", hint=hint)


def _execute_all(build: Build, progress: Progress) -> None:
    """Execute the notebooks, as many at once as there are processors.

    All work is in threads: this one only waits, so that an interrupt always reaches it.
    """
    workers = max(1, min(len(build.notebooks), os.cpu_count() or 1))
    pool = ThreadPoolExecutor(workers + 1, thread_name_prefix="notebook")
    try:
        futures = [pool.submit(_one, build, name, progress) for name in build.notebooks]
        futures.append(pool.submit(_warm_up))
        for future in as_completed(futures):
            future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        while wait(futures, timeout=0.3).not_done:
            stop_all()  # the kernels of the notebooks under way, those that are just starting too
        raise
    pool.shutdown()


def _warm_up() -> None:
    """Import what pages are made with, two seconds of it, while the kernels start."""
    from cxlib.reports import assemble  # noqa: F401

    page.warm_up()


def _one(build: Build, name: str, progress: Progress) -> None:
    """Execute one notebook and write its page."""
    values: Mapping[str, Value] = build.resolved[name]

    def on_cell(done: int, cells: int) -> None:
        progress(name, done, cells, "running")

    progress(name, 0, len(build.notebooks[name].cells), "running")
    done = execute(name, build.notebooks[name], values, build.folder, on_cell, workspace=build.root)
    from cxlib.reports.assemble import write_page

    write_page(build, done)
    build.executed[name] = done
    progress(name, len(done.notebook.cells), len(done.notebook.cells), "failed" if done.error else "done")
