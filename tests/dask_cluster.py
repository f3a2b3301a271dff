"""A Dask cluster for tests: a real scheduler and workers, each a process of its own with a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_START = 60.0  # seconds that a process may take to start on a busy machine


class Cluster:
    """A scheduler on the loopback address, and the workers that are started for it.

    Parameters
    ----------
    folder
        Of the scheduler; each worker has a folder of its own below.
    """

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True)
        self._environment = {**os.environ, "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h", **more}
        self._file = folder / "scheduler.json"
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self._file))
        self.scheduler = self._start(folder, "dask_scheduler", *words)
        self.address = str(self._read()["address"])

    def _start(self, folder: Path, program: str, *words: str, package: Path = ROOT) -> subprocess.Popen[bytes]:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *words],
                cwd=folder,
                env={**self._environment, "PYTHONPATH": str(package)},
                stdout=log,
                stderr=log,
            )

    def _read(self) -> dict[str, object]:
        until = time.monotonic() + _START
        while True:
            try:
                return json.loads(self._file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                assert self.scheduler.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                assert time.monotonic() < until
                time.sleep(0.05)

    def work(self, *, package: Path = ROOT, threads: int = 1) -> subprocess.Popen[bytes]:
        """Start one more worker, with the cxlib that lies in `package`, and wait until the scheduler knows it."""
        folder = self.folder / f"worker-{len(self.workers)}"
        words = ("--no-nanny", "--no-dashboard", "--nthreads", str(threads), "--local-directory", str(folder / "local"))
        process = self._start(folder, "dask_worker", self.address, *words, package=package)
        self.workers.append(process)
        until = time.monotonic() + _START
        while "Registered to" not in (said := (folder / "log").read_text(encoding="utf-8")):
            assert process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.05)
        return process

    def close(self) -> None:
        """End all processes that were started here."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
