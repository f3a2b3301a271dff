"""The steps of runs on the workers of a Dask cluster: what travels is said in `parcels`, when and where here.

Notebooks are executed by the workers; reports are put together on this machine. A worker that dies takes nothing with
it: its notebooks are given to others.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from cxlib.errors import CxError, RunError, UsageError
from cxlib.reports import parcels
from cxlib.reports.build import Build, Done
from cxlib.reports.crew import Crew, processors
from cxlib.reports.work import Say, Step

_CONNECT = 8  # seconds that the scheduler may take to answer
_WORKERS = 20.0  # seconds that a cluster may take to get its first worker
_DESERTED = 300.0  # seconds that a run waits for workers once all of them are gone
_LOOK = 10.0  # seconds between looks at whether there are workers
_LET_GO = 10.0  # seconds that the workers may take to hear that a run is over
_AT_ONCE = 512  # notebooks on the cluster
_CELLS = "cx-cells"  # the topic under which workers tell of cells


class ClusterError(CxError):
    """A cluster that cannot be used, or was lost: it ends the whole run, which can be gone on with."""

    exit_code = RunError.exit_code


class Cluster:
    """The workers of a Dask scheduler as the hands that carry out steps.

    Parameters
    ----------
    address
        Of the scheduler, as tcp://10.0.0.1:8786.
    timeout
        Seconds that one notebook may take; None for no limit.

    Raises
    ------
    RunError, UsageError
        Where the scheduler cannot be reached, has no workers, or a worker has other code than this machine.
    """

    def __init__(self, address: str, timeout: float | None = None) -> None:
        self._address, self._timeout = address, timeout
        self._run = uuid4().hex
        self._client = _connected(address)
        self._workspaces: dict[tuple[Path, str], parcels.Workspace] = {}
        self._asking = threading.Lock()
        self._told: dict[str, Say] = {}
        self._under_way: dict[str, Any] = {}
        self._here = Crew(processors())
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cluster")
        self._open = True
        try:
            self._client.subscribe_topic(_CELLS, self._tell)
            self._jobs = self._wait_for_workers()
            self._about = parcels.about()
            self._ask(_differences, self._about, why="another cxlib or Python than this machine")
        except BaseException:
            self.close()
            raise

    @property
    def jobs(self) -> int:
        """How many notebooks the workers execute at once; workers may come and go."""
        with suppress(Exception):  # where the scheduler is gone, the notebooks under way tell
            self._jobs = self._threads_there() or self._jobs
        return self._jobs

    def submit(self, step: Step, say: Say) -> Future[Any]:
        """Have a notebook executed by a worker, or, for the last step, the report put together on this machine."""
        if not step.name:
            return self._here.submit(step, say)
        return self._threads.submit(self._one, step, say)

    def close(self) -> None:
        """Stop what is under way on the workers, and let go of them."""
        if not self._open:
            return
        self._open = False
        self._threads.shutdown(wait=False, cancel_futures=True)
        telling = threading.Thread(target=self._let_go, daemon=True)  # a worker that hangs must not hold us up
        telling.start()
        telling.join(_LET_GO)
        self._here.close()
        with suppress(Exception):
            self._client.close(timeout=_LET_GO)
        self._threads.shutdown()

    def _let_go(self) -> None:
        with suppress(Exception):
            self._client.cancel(list(self._under_way.values()))
            self._client.run(_let_go, self._run, on_error="ignore")

    def _one(self, step: Step, say: Say) -> Done:
        """Send a step, wait for what comes of it, and write the files that came with it."""
        workspace = self._readable(step.build)
        key = f"cx-{step.build.report.id}-{step.build.period.label}-{step.name}-{uuid4().hex}"
        self._told[key] = say
        try:
            about = (self._about, self._run, key, self._timeout)
            with self._or_lost():
                future = self._client.submit(_carry_out, parcels.sent(step, workspace), *about, key=key, pure=False)
            self._under_way[key] = future
            done, files = self._answer(future, step.name)
        finally:
            del self._told[key]
            self._under_way.pop(key, None)
        parcels.put_down(step.build.folder, files)
        return done

    def _answer(self, future: Any, name: str) -> tuple[Done, dict[str, bytes]]:
        """Wait for what a worker sends back."""
        from distributed import KilledWorker

        seen = time.monotonic()
        while True:
            try:
                found: tuple[Done, dict[str, bytes]] = future.result(timeout=_LOOK)
                return found
            except KilledWorker as error:
                count, last = error.allowed_failures + 1, error.last_worker.address
                raise RunError(
                    f"{name} ended {count} worker{'s' * (count > 1)} of the cluster, at last {last}",
                    hint="Look at the workers' logs; most often a worker had too little memory.",
                ) from None
            except Exception as error:
                if future.status == "error":
                    raise  # what the step raised over there
                if not isinstance(error, TimeoutError) or future.status != "pending":
                    raise self._lost() from None
                with self._or_lost():
                    seen = time.monotonic() if self._threads_there() else seen
                if time.monotonic() - seen > _DESERTED:
                    raise self._lost("has had no workers for five minutes") from None

    def _lost(self, how: str = "was lost") -> ClusterError:
        return ClusterError(
            f"the cluster {self._address} {how}",
            hint="What is published stands. Run the same again, a back-fill with --resume, once the cluster is there.",
        )

    @contextmanager
    def _or_lost(self) -> Iterator[None]:
        """Say what it means where the scheduler does not answer any more, or our own client is closed."""
        try:
            yield
        except (OSError, RuntimeError):
            raise self._lost() from None

    def _readable(self, build: Build) -> parcels.Workspace:
        """Return the workspace of a build, once all workers have said that they can read its snapshot."""
        key = (build.root, build.snapshot["id"])
        with self._asking:
            if key not in self._workspaces:
                found = parcels.packed(build)
                try:
                    self._ask(_unreadable, found.store, key[1], why="no way to read the store")
                except RunError as error:
                    raise ClusterError(error.message, hint=error.hint) from None
                self._workspaces[key] = found
            return self._workspaces[key]

    def _ask(self, question: Any, *given: Any, why: str) -> None:
        """Ask all workers what stands in the way; raise `RunError` where one names something."""
        with self._or_lost():
            answers = self._client.run(question, *given, on_error="return")
        faults = {address: _words(answer) for address, answer in answers.items() if answer}
        if faults:
            lines = [f"  {address}: {words}" for address, words in sorted(faults.items())]
            head = f"{len(faults)} of {len(answers)} workers of {self._address} have {why}:"
            raise RunError("\n".join([head, *lines]), hint=_HINTS[question])

    def _wait_for_workers(self) -> int:
        until = time.monotonic() + _WORKERS
        while not (found := self._threads_there()):
            if time.monotonic() > until:
                raise RunError(f"the cluster {self._address} has no workers", hint="Start some: dask worker ADDRESS.")
            time.sleep(0.2)
        return found

    def _threads_there(self) -> int:
        return sum(self._client.nthreads().values())

    def _tell(self, event: tuple[Any, Any]) -> None:
        """Pass on what a worker told of a notebook; of notebooks that are not ours nothing."""
        _, (key, done, cells) = event
        say = self._told.get(key)
        if say is not None:
            say(done, cells)


def _connected(address: str) -> Any:
    """Return a client of the scheduler."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise UsageError(
            "--cluster needs the package dask[distributed]", hint='Install it: pip install "cxlib[cluster]".'
        ) from None
    known = logging.Logger.manager.loggerDict
    for name in [name for name in known if name.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is told by us, once and without tracebacks
    try:
        return Client(address, timeout=_CONNECT, set_as_default=False)
    except ValueError as error:
        raise UsageError(f"--cluster {address} is no address: {error}", hint="Write tcp://10.0.0.1:8786.") from None
    except OSError:
        raise RunError(
            f"no Dask scheduler answers at {address}", hint="Is the address right, and is the scheduler running?"
        ) from None


def _words(answer: Any) -> str:
    """Return what a worker said, or why it could not."""
    if isinstance(answer, ImportError | AttributeError):
        return f"no such cxlib ({answer})"
    return f"{type(answer).__name__}: {answer}" if isinstance(answer, BaseException) else str(answer)


# What follows runs on the workers.


def _carry_out(
    parcel: bytes, expected: Mapping[str, str], run: str, key: str, timeout: float | None
) -> tuple[Done, dict[str, bytes]]:
    """Do a step at this worker's desk."""
    from distributed import get_worker

    worker = get_worker()
    found = _differences(expected)
    if found:  # of a worker that came after all others were asked
        raise ClusterError(f"a worker at {worker.address} has another cxlib: {found}", hint=_HINTS[_differences])
    try:
        with parcels.desk(run, Path(worker.local_directory), worker.state.nthreads, timeout) as desk:
            return desk.carry_out(parcel, lambda done, cells: worker.log_event(_CELLS, (key, done, cells)))
    except OSError as error:  # of that machine, not of this one
        raise ClusterError(f"a worker at {worker.address} cannot work: {error}", hint="Mend that machine.") from None


def _differences(expected: Mapping[str, str]) -> str:
    """Say what of cxlib, Python and its packages is another on this worker."""
    return ", ".join(parcels.differences(expected, parcels.about()))


async def _unreadable(store: str, snapshot: str) -> str:
    """Say why this worker cannot read a snapshot; in a thread, as the worker has to stay awake."""
    return await asyncio.to_thread(parcels.unreadable, store, snapshot)


async def _let_go(run: str) -> None:
    """Clear the desk of a run that is over."""
    await asyncio.to_thread(parcels.end, run)


_HINTS = {
    _differences: "Install the same on all: numbers would not be those that this machine makes.",
    _unreadable: "Put the store where all workers see it: a URL, or a folder at the same path on every machine.",
}
