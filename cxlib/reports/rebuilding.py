"""Make published reports once more, beside themselves, to compare: nothing that stands is touched."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxlib import params as parameters_of
from cxlib.errors import BusyError, RunError, UsageError, did_you_mean
from cxlib.reports import places, remote, withheld
from cxlib.reports.build import Build
from cxlib.reports.crew import processors
from cxlib.reports.inputs import CONTEXT
from cxlib.reports.jobs import Job, Progress, RunOutcome, carry_out
from cxlib.reports.runner import at_work, builds

_AGAIN = ".building-again-"  # of the names of folders


@dataclass(frozen=True)
class Asked:
    """A published report to be made once more.

    Parameters
    ----------
    standing
        The report.
    snapshot
        Id of the snapshot to make it from.
    defined_then
        Whether by the definitions that it was made by; else by those of `params/` now.
    """

    standing: places.Standing
    snapshot: str
    defined_then: bool = False


def published(root: Path, pack: str, names: Sequence[str] = ()) -> list[places.Standing]:
    """Return published reports of a pack, oldest first.

    Parameters
    ----------
    root
        The workspace.
    pack
        The pack.
    names
        Periods, or experiments; none for all.

    Raises
    ------
    UsageError
        Where a report is asked for that does not stand.
    """
    reports = remote.mirrored(root, parameters_of.load(root).workspace)
    found = {one.period: one for one in places.catalogue(reports) if one.pack == pack}
    unknown = [name for name in names if name not in found]
    if unknown or not found:
        told = ", ".join(f"{pack} {name}{did_you_mean(name, found)}" for name in unknown) or f"any of {pack}"
        raise UsageError(f"no report stands of: {told}", hint=f"Published: {', '.join(sorted(found)) or 'none'}.")
    return [found[name] for name in sorted(names or found)]


@contextmanager
def rebuilt(
    root: Path, asked: Sequence[Asked], *, jobs: int | None, timeout: float | None, progress: Progress
) -> Iterator[list[RunOutcome]]:
    """Make reports once more and hand out what came of each, in the order asked; their folders go afterwards.

    Sums that were kept are left out: what is compared is brought from the store again.
    """
    reports = places.folder_of(root, parameters_of.load(root).workspace.reports)
    reports.mkdir(parents=True, exist_ok=True)
    _clear(reports)
    with tempfile.TemporaryDirectory(prefix=_AGAIN, dir=reports) as folder, _held(Path(folder)):
        made = [_Again(build_of(root, one, Path(folder) / str(n)), one) for n, one in enumerate(asked)]
        with at_work(jobs or processors(), timeout, "") as hands:
            outcomes = {}
            for outcome in carry_out(iter(made), hands, progress):
                outcomes[outcome.folder] = outcome
                progress(outcome.period, "", 0, 0, "made once more")
        yield [outcomes[job.build.folder] for job in made]


def _held(folder: Path) -> AbstractContextManager[None]:
    """Hold a folder of rebuilds for as long as it is in use."""
    return places.lock(places.Place(folder.parent, folder.name, "again"))


def _clear(reports: Path) -> None:
    """Remove the rebuilds that killed processes left."""
    for left in reports.glob(f"{_AGAIN}*"):
        with suppress(BusyError, OSError), _held(left):
            shutil.rmtree(left, ignore_errors=True)


def build_of(root: Path, asked: Asked, folder: Path | None = None) -> Build:
    """Return what is to be built, as the report's manifest says it was."""
    manifest = asked.standing.manifest
    given = manifest["parameters"]["given"]
    (build,) = builds(
        root, manifest["pack"], [manifest["period"]], experiment=manifest.get("experiment", ""), as_of=asked.snapshot,
        parameters=given,
    )  # fmt: skip
    build.folder = folder or build.folder
    return build


class _Again(Job):
    """The making of a report that is not published."""

    def __init__(self, build: Build, asked: Asked) -> None:
        place = places.Place(asked.standing.folder.parents[1], asked.standing.pack, asked.standing.period)
        super().__init__(build, place, force=True, kept="")
        build.alone = True
        build.withheld = withheld.cells(asked.standing.manifest.get("disclosure", {}).get("withheld", ()))
        self._asked = asked

    def begin(self) -> RunOutcome | None:
        """Make the folders, and lay the definitions of then where notebooks look first."""
        self._begin_build()
        if self._asked.defined_then:
            for name in self.build.notebooks:
                then = self._asked.standing.folder / "inputs" / name / CONTEXT
                if not then.is_file():
                    raise RunError(f"{then} is missing: what {name} was defined by then cannot be known")
                (self.build.folder / "inputs" / name).mkdir()
                shutil.copyfile(then, self.build.folder / "inputs" / name / CONTEXT)
        return None

    def end(self, manifest: dict[str, Any]) -> RunOutcome:
        """Hand out the report as it was built."""
        return RunOutcome(self.place.pack, self.place.period, "rebuilt", self.build.folder, manifest)


def versions_differ(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which versions of Python and its packages are others than then, as `pandas 3.0.1, then 3.0.0`."""
    names = sorted({*then, *now})
    return [
        f"{name} {now.get(name, 'missing')}, then {then.get(name, 'missing')}"
        for name in names
        if then.get(name) != now.get(name)
    ]
