"""The page about work beyond one machine, walked through: its commands run in their order, against a real S3 server."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import quick_workspace as quick

for _package in ("fsspec", "obstore", "moto", "distributed"):
    if importlib.util.find_spec(_package) is None:
        pytest.skip(f"{_package} is not installed: pip install 'cxlib[remote,cluster,dev]'", allow_module_level=True)

from object_store import BUCKET, serve  # noqa: E402

from tests.test_docs import ROOT, commands  # noqa: E402

PAGE = ROOT / "docs" / "beyond-one-machine.md"
MONTHS = ("2026-07", "2026-08", "2026-09")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """A machine: a workspace of its own, and an environment that leads to the S3 server."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = {
            **os.environ, **environment, "PYTHONPATH": str(ROOT), "CX_CACHE": str(root.parent / f"{root.name} cache")
        }  # fmt: skip

    @contextmanager
    def start(self, line: str, *more: str) -> Iterator[subprocess.Popen[str]]:
        """Run a line of the page; it is ended with the block."""
        program, *words = shlex.split(line)
        module = {"cx": "cxlib.cli", "dask": "dask"}[program]
        command = [sys.executable, "-m", module, *words, *more]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=self.root, env=self.environment, text=True, stdout=pipe, stderr=subprocess.STDOUT
        ) as process:
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.communicate(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()

    def run(self, line: str) -> str:
        """Run a line of the page to its end; return what it said."""
        with self.start(line) as process:
            said = process.communicate(timeout=300)[0]
            assert process.returncode == 0, f"{line}\n{said}"
            return said


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.usefixtures("warm")
def test_the_page_can_be_walked_through(tmp_path: Path) -> None:
    port = free_port()
    stands_for = {"monthly": "quick", "demo": "answers", "10.0.0.1": "127.0.0.1", "8786": str(port), "2024": "2026"}
    lines = commands(PAGE.read_text(encoding="utf-8"))
    for word, mine in stands_for.items():
        lines = [line.replace(word, mine) for line in lines]
    ingest, snapshots, run, shown, verify, scheduler, workers, backfill, resume = lines
    with serve(tmp_path) as server:
        server.empty()
        one, other = (Machine(tmp_path / name, server.environment) for name in ("one", "other"))
        make_workspace(one.root)
        assert "New snapshot" in one.run(ingest)
        assert one.run(snapshots).startswith("0001")
        assert "quick 2026-09 made" in one.run(run)
        shutil.copytree(one.root, other.root, ignore=shutil.ignore_patterns("data"))
        shutil.rmtree(other.root / "reports")
        assert "stands already" in other.run(run)
        shutil.rmtree(other.root / "reports")
        assert "numbers and 0 figures equal" in other.run(verify)
        shutil.rmtree(other.root / "reports")
        assert "/reports/quick/2026-09" in home(other, shown)
        with one.start(scheduler) as first, other.start(workers) as second:
            wait_for(first, "Scheduler at")
            wait_for(second, "Registered to")
            backfill = backfill.replace("2026-01", "2026-07")
            with one.start(backfill) as process:
                wait_for(process, "01_score: done")
                process.send_signal(signal.SIGTERM)
                assert "--resume goes on with it" in process.communicate(timeout=120)[0]
            assert "quick 2026-07 to 2026-09" in one.run(resume)
        listed = server.ask(f"{BUCKET}?list-type=2&prefix=reports/quick/").decode()
        assert all(listed.count(f"reports/quick/{month}/2") >= 1 for month in MONTHS)


def make_workspace(root: Path) -> None:
    """Write a workspace whose store and reports lie at URLs; nothing is in the store yet."""
    quick.workspace(root, MONTHS)
    shutil.rmtree(root / "data" / "store")
    with (root / "params" / "workspace.yml").open("a", encoding="utf-8") as file:
        file.write(f"store: s3://{BUCKET}/store\nreports: s3://{BUCKET}/reports\n")


def home(machine: Machine, line: str) -> str:
    """Serve the reports of a machine; return the home page."""
    port = free_port()
    with machine.start(line, "--no-browser", "--port", str(port)) as process:
        wait_for(process, "stop with Ctrl-C")
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    return str(answer.read().decode())
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read what a process says until it says this."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    pytest.fail("".join(said))
