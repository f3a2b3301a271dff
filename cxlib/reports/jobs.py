"""One report in the making, from the right to make it until it is published, laid aside or taken back."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cxlib.errors import BusyError, DisclosureError, RunError
from cxlib.reports import places, remote, withheld, work
from cxlib.reports.build import AGAIN, RESULTS, Build, Done
from cxlib.reports.crew import Hands, LostError
from cxlib.reports.made_of import changed
from cxlib.reports.work import Step, take_back

_LOOK = 1.0  # seconds between looks at a report that another run is making
_FULL = (errno.ENOSPC, errno.EDQUOT)  # whichever library meets it, it says so in the system's words
# called with a period, a notebook's name, its cells done, its cells, and its state: running, done, failed
Progress = Callable[[str, str, int, int, str], None]


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run.

    `state` is `published`, `kept` (a good report stood already, and nothing that it is made of has changed) or
    `failed`; `folder` is where the report stands, `superseded` where the one before it went, `reason` says why it was
    kept or made again, `error` what failed.
    """

    pack: str
    period: str
    state: str
    folder: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    superseded: Path | None = None
    reason: str = ""
    error: Exception | None = None


class Job:
    """The making of one report. `begin` it, do its `steps`, tell it what came of each, and `end` it."""

    def __init__(
        self, build: Build, place: places.Place, *, force: bool, kept: str, far: remote.Far | None = None
    ) -> None:
        self.build, self.place = build, place
        self._force, self._kept = force, kept
        self._far = far
        self._held = contextlib.ExitStack()
        self._lost: set[str] = set()
        self._why = ""

    def begin(self) -> RunOutcome | None:
        """Take the right to make the report; return an outcome where there is nothing to make.

        Raises `BusyError` where another run of the period is under way.
        """
        self._held.enter_context(places.lock(self.place))
        try:
            if self._far is None:
                places.recover(self.place)
            else:
                self._far.settle(self.place)
            standing = places.manifest(self.place.final)
            if standing is not None and not self._force:
                found = changed(standing, self.build)
                if not found:
                    return self._stands(standing)
                self._why = f"{', '.join(found)} changed"
            self._begin_build()
        except BaseException:
            self.take_back()
            raise
        return None

    def _begin_build(self) -> None:
        """Begin the build: make the folders that notebooks write to, and note what other reports hide."""
        self.build.begin()
        if not self.build.alone:
            self.build.withheld = _hidden_by_others(self.place)
        for name in ("figures", "inputs", "results"):
            (self.build.folder / name).mkdir(parents=True, exist_ok=True)

    def _stands(self, standing: dict[str, Any]) -> RunOutcome:
        self._held.close()
        reason = f"made from snapshot {standing['snapshot']['id']}; nothing has changed since"
        return RunOutcome(self.place.pack, self.place.period, "kept", self.place.final, standing, reason=reason)

    def steps(self) -> list[Step]:
        """Return the notebooks as steps, those first that took longest when they were made last."""
        last = _seconds(self.place)
        names = sorted(self.build.notebooks, key=lambda name: -last.get(name, 0.0))
        return [self.step(name) for name in names]

    def step(self, name: str = "") -> Step:
        """Return the step of one notebook; without a name the last one, which puts the report together."""
        return Step(self.build, name, self._kept)

    def again(self, name: str, error: Exception) -> bool:
        """Say whether a step is to be done once more: a worker that was lost, not one that was too slow."""
        if not isinstance(error, LostError) or error.late or name in self._lost:
            return False
        self._lost.add(name)
        if name:
            take_back(self.build, name)
        return True

    def executed(self, name: str, found: Done | Exception) -> None:
        """Note what came of a notebook.

        Raises
        ------
        OSError
            Where the disk is full: then the whole run has to stop.
        """
        if isinstance(found, Exception):
            if not isinstance(found, RunError):
                raise found
            found = Done(name, 0.0, f"{type(found).__name__}: {found.message}")
        for number in _FULL:
            if os.strerror(number) in found.error:
                raise OSError(number, os.strerror(number), f"{self.place.pack} {self.place.period} {name}")
        self.build.executed[name] = replace(found, tries=found.tries + (name in self._lost))

    def repair(self, manifest: Mapping[str, Any]) -> list[str]:
        """Hide what the gate asks for; return the notebooks that are to be executed again."""
        folder = self.build.folder
        self.build.withheld = withheld.cells([*self.build.withheld, *manifest["withhold"]])
        self.build.repairs += 1
        parts = (folder / "results").is_dir()  # what the other notebooks recorded is still there
        names = list(manifest["notebooks"] if parts else self.build.notebooks)
        for name in names:
            take_back(self.build, name)
            del self.build.executed[name]
        for name in (RESULTS, places.MANIFEST):
            (folder / name).unlink(missing_ok=True)
        (folder / "results").mkdir(exist_ok=True)
        return names

    def outrun(self, manifest: Mapping[str, Any]) -> bool:
        """Say whether other reports were published since the gate looked, beside which this one was not looked at."""
        if self.build.alone or manifest["state"] == "failed":
            return False
        now = places.others(self.place.reports, self.build.name)
        hidden = bool(manifest["disclosure"]["hidden"]) or bool(_hidden_by_others(self.place))
        return hidden and places.named(now) != manifest["disclosure"]["beside"]

    def publishing(self) -> contextlib.AbstractContextManager[None]:
        """Hold the right to publish, so that no other process does between the last look and the rename.

        At a URL nobody can lock: what two machines publish there at the same moment was not looked at together.
        """
        free = self.build.alone or self._far is not None
        return contextlib.nullcontext() if free else places.publishing(self.place.reports)

    @property
    def ready(self) -> bool:
        """Whether all notebooks are done."""
        return len(self.build.executed) == len(self.build.notebooks)

    def end(self, manifest: dict[str, Any]) -> RunOutcome:
        """Publish the report, or lay it aside."""
        try:
            pack, period = self.place.pack, self.place.period
            if manifest["state"] == "failed":
                folder = places.fail(self.place)
                if self._far is not None:
                    self._far.send_failed(folder, self.place)
                error = _failure(self.build, manifest, folder)
                return RunOutcome(pack, period, "failed", folder, manifest, error=error)
            if self._far is not None:
                self._far.publish(self.build.folder, self.place)
            old = places.publish(self.place)
            return RunOutcome(pack, period, "published", self.place.final, manifest, old, self._why)
        finally:
            self._held.close()

    def take_back(self) -> None:
        """Leave nothing of what was begun."""
        shutil.rmtree(self.build.folder, ignore_errors=True)
        self._held.close()


def _hidden_by_others(place: places.Place) -> tuple[withheld.Cell, ...]:
    """Return the cells that the standing reports hide, but for the one that this run is to replace."""
    others = places.others(place.reports, (place.pack, place.period))
    return withheld.cells(cell for one in others for cell in one.manifest.get("disclosure", {}).get("hidden", ()))


def _seconds(place: places.Place) -> Mapping[str, float]:
    """Return what each notebook took in the newest report of the pack."""
    for folder in sorted(place.final.parent.glob("[!._]*"), reverse=True):
        found = places.manifest(folder)
        if found is not None and isinstance(found.get("seconds"), dict):
            return found["seconds"]
    return {}


def _failure(build: Build, manifest: Mapping[str, Any], folder: Path) -> Exception:
    """Return the error that says which notebooks failed and where to look."""
    where = folder.relative_to(build.root).as_posix() if folder.is_relative_to(build.root) else folder.as_posix()
    hint = f"Look at {where}/index.html; the last good report, if there was one, still stands."
    errors = manifest["errors"]
    if errors:
        lines = [f"  {name}: {error}" for name, error in errors.items()]
        head = f"{len(errors)} of {len(build.notebooks)} notebooks of {build.report.id} {build.about} failed:"
        return RunError("\n".join([head, *lines]), hint=hint)
    found = "".join(f"\n  {line}" for line in manifest["disclosure"]["found"])
    return DisclosureError(f"{build.report.id} {build.about} is not published:{found}", hint=hint)


_UnderWay = dict[Future[Any], tuple[Job, str]]


class _Waiting:
    """Jobs that are to be begun: first in their order, then those again that another run was in the way of."""

    def __init__(self, jobs: Iterable[Job], patience: float) -> None:
        self._fresh, self._patience = iter(jobs), patience
        self.busy: deque[Job] = deque()
        self._look = self._until = 0.0

    def next(self) -> Job | None:
        """Return the next job; None where there is none, or none just now."""
        job = next(self._fresh, None)
        if job is not None:
            return job
        now = time.monotonic()
        self._until = self._until or now + self._patience
        if not self.busy or now < self._look:
            return None
        return self.busy.popleft()

    def again(self, job: Job) -> bool:
        """Put back a job whose place is held; False where it has been waited for long enough."""
        now = time.monotonic()
        if not self._patience or (self._until and now > self._until):
            return False
        self._look = now + _LOOK
        self.busy.append(job)
        return True


def carry_out(jobs: Iterable[Job], hands: Hands, progress: Progress, *, patience: float = 0) -> Iterator[RunOutcome]:
    """Make reports, several at once, and yield what became of each as it is known.

    A report is begun when the hands would otherwise soon have nothing to do, so only a few are in the making at once.

    Parameters
    ----------
    jobs
        In the order in which they are begun.
    hands
        What carries out the steps.
    progress
        Told of every cell, from the hands' threads.
    patience
        Seconds to wait, once there is nothing else to begin, for reports that another run is making. What it makes is
        then as good as ours where nothing has changed.

    Raises
    ------
    Exception
        What stops everything, as a full disk does. All that is under way is taken back first, also where the caller is
        interrupted or stops asking.
    """
    waiting, under_way = _Waiting(jobs, patience), _UnderWay()
    try:
        while True:
            yield from _begin(waiting, under_way, hands, progress)
            if not under_way and not waiting.busy:
                return
            finished = _finished(under_way, _LOOK if waiting.busy else None)
            for future in finished:
                job, name = under_way.pop(future)
                outcome = _next(job, name, future, under_way, hands, progress)
                if outcome is not None:
                    yield outcome
    finally:
        if under_way:
            hands.close()
            for job in {id(job): job for job, _ in under_way.values()}.values():
                job.take_back()


def _finished(under_way: _UnderWay, within: float | None) -> set[Future[Any]]:
    """Return steps that are done, at the latest after some seconds."""
    if not under_way:
        time.sleep(within or 0)
    return wait(under_way, within, FIRST_COMPLETED).done


def _begin(waiting: _Waiting, under_way: _UnderWay, hands: Hands, progress: Progress) -> Iterator[RunOutcome]:
    """Begin reports until there is enough to do; yield those that stand already or cannot be begun."""
    while len(under_way) < 2 * hands.jobs:
        job = waiting.next()
        if job is None:
            return
        try:
            outcome = job.begin()
        except RunError as error:
            if isinstance(error, BusyError) and waiting.again(job):
                continue
            outcome = RunOutcome(job.place.pack, job.place.period, "failed", job.place.final, error=error)
        if outcome is not None:
            yield outcome
            continue
        for step in job.steps():
            _submit(job, step, under_way, hands, progress)


def _quiet(done: int, cells: int) -> None:
    """Tell nobody."""


def _submit(job: Job, step: Step, under_way: _UnderWay, hands: Hands, progress: Progress) -> None:
    def say(done: int, cells: int) -> None:
        progress(job.place.period, step.name, done, cells, "running")

    under_way[hands.submit(step, say)] = (job, step.name)


def _next(
    job: Job, name: str, future: Future[Any], under_way: _UnderWay, hands: Hands, progress: Progress
) -> RunOutcome | None:
    """Take what came of a step; return the outcome of its report where that is known."""
    under_way[future] = (job, name)  # until all is said: what is raised here takes the report back
    error = future.exception()
    if isinstance(error, Exception) and job.again(name, error):
        _submit(job, job.step(name), under_way, hands, progress)
    elif name:
        found = error if isinstance(error, Exception) else future.result()
        job.executed(name, found)
        done = job.build.executed[name]
        progress(job.place.period, name, done.cells, done.cells, "failed" if done.error else "done")
        if job.ready:
            _submit(job, job.step(), under_way, hands, progress)
    else:
        manifest = future.result()
        with job.publishing():
            while manifest["state"] != AGAIN and job.outrun(manifest):
                manifest = work.carry_out(job.step(), _quiet)  # here and now: nothing else is published meanwhile
            if manifest["state"] != AGAIN:
                del under_way[future]
                return job.end(manifest)
        for again in job.repair(manifest) or [""]:
            _submit(job, job.step(again), under_way, hands, progress)
    del under_way[future]
    return None
