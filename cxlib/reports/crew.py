"""Worker processes: each does one step of a run at a time, and all of them end with their owner."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from cxlib.errors import RunError
from cxlib.reports import kernels
from cxlib.reports.context import THREADS
from cxlib.reports.execute import kernel_environment
from cxlib.reports.work import Say, Step, receive, send

_GRACE = 5  # seconds that a worker may take to leave


class Hands(Protocol):
    """What carries out the steps of runs: worker processes here, or a cluster."""

    @property
    def jobs(self) -> int:
        """How many steps are carried out at once."""

    def submit(self, step: Step, say: Say) -> Future[Any]:
        """Have a step done; `say` is told of a notebook's cells."""

    def close(self) -> None:
        """Stop all that is under way, and let go."""


class LostError(RunError):
    """A worker process died, or was stopped because its step took too long (`late`)."""

    late = False


@dataclass
class Worker:
    """One worker process, started when its first step comes.

    `folders` are for what it and its kernels put aside: its own last, those of its forerunners before.
    """

    threads: int  # of the database in its kernels
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    closed: bool = False
    folders: list[str] = field(default_factory=list)

    def carry_out(self, step: Step, say: Say, timeout: float | None) -> Any:
        """Have a step done and return what came of it.

        Raises
        ------
        LostError
            Where the process died, or the step took longer than `timeout` seconds.
        Exception
            What the step raised.
        """
        process = self._started()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, end) if timeout else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            kind, content = self._answer(process, step, say)
        except EOFError:
            code = process.wait()
            self.clear()
            why = f"stopped after {timeout:.0f} s" if late.is_set() else f"its process ended with code {code}"
            lost = LostError(f"{step.name or 'the report'}: {why}")
            lost.late = late.is_set()
            raise lost from None
        finally:
            if timer:
                timer.cancel()
        if kind == "error":
            raise content
        return content

    @staticmethod
    def _answer(process: subprocess.Popen[bytes], step: Step, say: Say) -> tuple[str, Any]:
        """Return `done` or `error` with what came of it; `EOFError` where the process is gone."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, step)
        except OSError:
            raise EOFError from None
        while True:
            kind, content = receive(process.stdout)
            if kind in ("done", "error"):
                return kind, content
            say(*content)

    def _started(self) -> subprocess.Popen[bytes]:
        """Return the process, a new one where there is none or the last one died."""
        if self.closed:
            raise LostError("the run was stopped")
        if self.process is None or self.process.poll() is not None:
            self.clear()
            self.folders.append(tempfile.mkdtemp(prefix="cx-"))
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cxlib.reports.work", self.folders[-1]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={THREADS: str(self.threads), **kernel_environment()},
            )
            if self.closed:  # meanwhile
                self.process.terminate()
        return self.process

    def stop(self) -> None:
        """Tell the process to leave, with the kernel that it may have."""
        self.closed = True
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def gone(self) -> None:
        """Wait until the process has left; where it does not, end it."""
        if self.process is None:
            return
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def clear(self) -> None:
        """Leave nothing of a process that has ended."""
        if self.process is not None:
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):  # what could not be sent any more
                        stream.close()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


class Crew:
    """Worker processes on this machine.

    Parameters
    ----------
    jobs
        How many work at once.
    timeout
        Seconds that one notebook may take; None for no limit.
    """

    def __init__(self, jobs: int, timeout: float | None = None) -> None:
        self.jobs = jobs
        self._timeout = timeout
        self._workers = [Worker(max(1, processors() // jobs)) for _ in range(jobs)]
        self._idle = list(self._workers)
        self._template: kernels.Template | None = None
        self._free = threading.Lock()
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="worker")

    def submit(self, step: Step, say: Say) -> Future[Any]:
        """Have a step done by the next worker that is free; `LostError` where it died."""
        return self._threads.submit(self._one, step, say)

    def _one(self, step: Step, say: Say) -> Any:
        with self._free:
            if step.name:
                self._template = self._template or kernels.start()  # one for the kernels of all workers
            worker = self._idle.pop()  # as many threads as workers: one is free; the last to be so has all imported
        try:
            return worker.carry_out(step, say, self._timeout if step.name else None)
        finally:
            with self._free:
                self._idle.append(worker)

    def close(self) -> None:
        """Stop all workers with what they do, and wait until they are gone."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.gone()
        self._threads.shutdown()
        if self._template is not None:
            self._template.close()
        for worker in self._workers:  # now that no kernel writes there any more
            worker.clear()


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
