"""Run a pack for a period: notebooks in parallel through papermill, pages, manifest, one rename at the end.

What a reader finds under `reports/<pack>/<period>/` is always one whole report. A failing notebook stops no other and
publishes nothing: the failed run is laid aside with its errors visible and the last good report stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cxlib import params as parameters_of
from cxlib.params.models import Params, Report
from cxlib.periods import Period
from cxlib.reports import places, remote
from cxlib.reports.against import check_values
from cxlib.reports.build import KEPT, Build
from cxlib.reports.context import report_of, resolve_period
from cxlib.reports.crew import Crew, Hands, processors
from cxlib.reports.execute import libraries
from cxlib.reports.jobs import Job, Progress, RunOutcome, carry_out
from cxlib.reports.parameters import declared, resolve

__all__ = ["Progress", "RunOutcome", "at_work", "builds", "jobs_of", "run_pack"]


def run_pack(
    root: Path,
    pack: str,
    period: str = "last",
    *,
    experiment: str = "",
    force: bool = False,
    as_of: str = "",
    parameters: Mapping[str, object] | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    cluster: str = "",
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
        Make it even where a good report stands of which nothing has changed.
    as_of
        A snapshot id; '' for the newest.
    parameters
        Values for parameters that the pack's notebooks declare.
    jobs
        How many notebooks are executed at once; by default as many as there are processors.
    timeout
        Seconds that one notebook may take; None for no limit.
    cluster
        The address of a Dask scheduler whose workers execute the notebooks; '' for processes on this machine.
    progress
        Told of every cell, from threads.

    Returns
    -------
    RunOutcome
        `published`, or `kept` where a good report stands of which nothing has changed. A report that is replaced is
        kept under `reports/_superseded/`.

    Raises
    ------
    UsageError
        For an unknown pack, period, experiment or parameter, before anything runs.
    RunError, DisclosureError
        Where a notebook failed, another run of the period is under way, or what was made may not be published.
    """
    made = builds(root, pack, [period], experiment=experiment, as_of=as_of, parameters=parameters or {})
    with at_work(jobs or min(processors(), len(made[0].notebooks)), timeout, cluster) as hands:
        (outcome,) = carry_out(jobs_of(made, force=force), hands, progress or _silent)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _silent(period: str, name: str, done: int, cells: int, state: str) -> None:
    """Tell nobody."""


def builds(
    root: Path, pack: str, periods: Sequence[str], *, experiment: str = "", as_of: str = "",
    parameters: Mapping[str, object],
) -> list[Build]:  # fmt: skip
    """Return what is to be built, one for each period, all of one snapshot; everything is checked here.

    Raises
    ------
    UsageError, ParamsError, StoreError
        For an unknown pack, period, experiment or parameter, faults in `params/`, or a store that lacks the snapshot.
    """
    params = parameters_of.load(root)
    report = report_of(params, pack, experiment)
    notebooks = _read(root, report)
    names = {name: declared(notebook, name) for name, notebook in notebooks.items()}
    resolve(names, parameters, {})  # refused before the store is opened
    chosen, snapshot = _open(root, params, periods, as_of)
    found = []
    for period in chosen:
        check_values(params, period, parameters)
        own = {
            "period": period.label, "as_of": snapshot["id"], "pack": pack, "run_folder": ".", "experiment": experiment
        }  # fmt: skip
        reports = places.folder_of(root, params.workspace.reports)
        place = places.Place(reports, pack, experiment or period.label)
        build = Build(root, params, report, period, snapshot, place.building, notebooks, dict(parameters), experiment)
        build.resolved.update(resolve(names, parameters, own))
        found.append(build)
    return found


def _read(root: Path, report: Report) -> dict[str, Any]:
    """Read the pack's notebooks; that they exist is checked with `params/`."""
    folder = root / (report.folder or f"notebooks/{report.id}")
    nbformat = libraries()[0]
    return {name: nbformat.read(folder / f"{name}.ipynb", as_version=4) for name in report.notebooks}


def _open(root: Path, params: Params, periods: Sequence[str], as_of: str) -> tuple[list[Period], dict[str, Any]]:
    """Resolve the periods and pin the snapshot, so that all notebooks of the run read the same data.

    The ledger alone says both: no table is opened here.
    """
    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    for period in periods:
        if period != "last":
            Period.parse(period)  # a mistyped period is told first
    snapshot = Ledger.find(location_of(root, params.workspace.store), as_of or None)
    latest = {name: table.latest for name, table in snapshot.tables.items() if table.latest is not None}
    batches = [{"id": b.id, "source": b.source, "checksum": b.checksum, "tables": b.counts} for b in snapshot.batches]
    tables = {name: {"version": table.version, "rows": table.rows} for name, table in sorted(snapshot.tables.items())}
    about = {"id": snapshot.id, "created_at": snapshot.created_at, "tables": tables, "batches": batches}
    return [resolve_period(period, params.workspace, latest) for period in periods], about


def jobs_of(made: Sequence[Build], *, force: bool) -> Iterator[Job]:
    """Return the jobs of some builds, each with its place."""
    far = remote.of(made[0].params.workspace) if made else None
    for build in made:
        reports = places.folder_of(build.root, build.params.workspace.reports)
        place = places.Place(reports, build.report.id, build.experiment or build.period.label)
        yield Job(build, place, force=force, kept=str(build.root / KEPT), far=far)


@contextmanager
def at_work(jobs: int, timeout: float | None, cluster: str) -> Iterator[Hands]:
    """Have hands to carry out steps, worker processes or a cluster; they are let go at the end, however it comes."""
    hands: Hands
    if cluster:
        from cxlib.reports.cluster import Cluster

        hands = Cluster(cluster, timeout)
    else:
        hands = Crew(jobs, timeout)
    try:
        yield hands
    finally:
        hands.close()
