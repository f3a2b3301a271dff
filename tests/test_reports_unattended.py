"""Runs that nobody watches: stopped, starved, in each other's way. What stands is whole, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest
import quick_workspace as quick

from cxlib import results
from cxlib.errors import BusyError, RunError, StoreError
from cxlib.reports import assemble, places
from cxlib.reports.backfilling import QUEUE

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
LONG = 120  # seconds that a step may take on a busy machine before the test gives up
OWN = "with a template of its own"
RANGE = ("backfill", "quick", "--from", "2026-08", "--to", "2026-09", "--jobs", "2")
# Files in a folder say how the first notebook behaves: `hold-<period>` makes it wait, `die-<period>` kills its kernel
# and goes (`die-always-<period>` stays), `full-<period>` fills the disk.
BEHAVIOUR = """\
import os, time
from pathlib import Path
flags = Path(os.environ["CX_TEST_FLAGS"])
(flags / f"begun-{period}").touch()
if (flags / f"full-{period}").exists():
    raise OSError(28, os.strerror(28), "answers.parquet")
if (flags / f"die-{period}").exists():
    (flags / f"die-{period}").unlink()
    os.kill(os.getpid(), 9)
if (flags / f"die-always-{period}").exists():
    os.kill(os.getpid(), 9)
while (flags / f"hold-{period}").exists():
    time.sleep(0.05)
"""


@dataclass
class Company:
    """A workspace, and how its commands are run: with a folder for what is put aside, and a mark to find processes."""

    root: Path
    aside: Path
    flags: Path
    template: Any = None  # of warm kernels, a shared one; a command starts its own where there is none
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def environment(self) -> dict[str, str]:
        own = {"TMPDIR": str(self.aside), "CX_TEST_FLAGS": str(self.flags), "CX_TEST_MARK": self.mark}
        own["CX_KERNELS"] = self.template.address if self.template else ""
        return {**os.environ, "PYTHONPATH": str(ROOT), **own}

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cxlib.cli", *words]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and all that it says."""
        return ended(self.begin(*words))

    def flag(self, name: str) -> Path:
        path = self.flags / name
        path.touch()
        return path

    def processes(self) -> list[psutil.Process]:
        """Return what runs on behalf of any command that was begun here."""
        kernels = psutil.Process(self.template.process.pid).children() if self.template else []
        return [*kernels, *(process for process in psutil.process_iter() if marked(process, self.mark))]

    def workers(self) -> list[psutil.Process]:
        return [process for process in self.processes() if "cxlib.reports.work" in process.cmdline()]

    def catalogue(self) -> list[str]:
        """Return the periods that stand, each of which has to be whole."""
        standing = places.catalogue(self.root / "reports")
        for one in standing:
            assert one.manifest["state"] == "published"
            assert all((one.folder / name).is_file() for name in one.manifest["outputs"])
        return sorted(one.period for one in standing)

    def manifest(self, period: str) -> dict:
        found = places.manifest(self.root / "reports" / "quick" / period)
        assert found is not None
        return found

    def halves(self) -> list[Path]:
        return list((self.root / "reports" / "quick").glob(".building*"))

    def queued(self) -> bool:
        return (self.root / "reports" / "quick" / QUEUE).exists()


def marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get("CX_TEST_MARK") == mark
    except psutil.Error:
        return False


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=LONG)
    assert "Traceback" not in err, err
    return process.returncode, out + err


def until(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until something is true, as long as a process lives."""
    deadline = time.monotonic() + LONG
    while not true():
        assert process is None or process.poll() is None, ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = quick.workspace(tmp_path_factory.mktemp("unattended") / "w")
    quick.notebook(root, "01_score", BEHAVIOUR + quick.SCORE)
    return root


@pytest.fixture
def company(prepared: Path, tmp_path: Path, template: Any, request: pytest.FixtureRequest) -> Iterator[Company]:
    """A company to run commands in; at the end no process is left of them, and nothing that was put aside."""
    shutil.copytree(prepared, tmp_path / "w")
    (tmp_path / "flags").mkdir()
    found = Company(tmp_path / "w", Path(tempfile.mkdtemp(prefix="t-")), tmp_path / "flags")
    found.template = None if getattr(request, "param", "") == OWN else template
    try:
        yield found
        until(lambda: not found.processes())
        assert list(found.aside.iterdir()) == []
    finally:
        for process in found.processes():
            process.kill()
        shutil.rmtree(found.aside, ignore_errors=True)


@POSIX
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
@pytest.mark.parametrize("company", [OWN], indirect=True)
def test_stopped_in_the_middle_and_gone_on_with(company: Company, number: signal.Signals, code: int) -> None:
    held = company.flag("hold-2026-09")
    process = company.begin(*RANGE)
    until(lambda: (company.flags / "begun-2026-09").exists() and company.catalogue() == ["2026-08"], process)
    if number == signal.SIGINT:  # a terminal sends it to all
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    found, said = ended(process)
    assert found == code, said
    assert company.catalogue() == ["2026-08"]
    assert company.queued()
    until(lambda: not company.processes())
    if number != signal.SIGKILL:
        assert "cx backfill quick --resume goes on" in said
        assert not company.halves()
    held.unlink()
    made = company.manifest("2026-08")["started_at"]
    found, said = company.run("backfill", "quick", "--resume")
    assert (found, "1 made, 1 stood already with nothing changed, 0 failed." in said) == (0, True), said
    assert company.catalogue() == ["2026-08", "2026-09"]
    assert company.manifest("2026-08")["started_at"] == made
    assert not company.halves()
    assert not company.queued()


@POSIX
@pytest.mark.parametrize("company", [OWN], indirect=True)
def test_a_worker_that_is_killed_costs_one_notebook_once_more(company: Company) -> None:
    held = company.flag("hold-2026-09")
    process = company.begin("run", "quick", "--period", "2026-09", "--jobs", "1")
    until(lambda: (company.flags / "begun-2026-09").exists(), process)
    (worker,) = company.workers()
    worker.kill()
    held.unlink()
    found, said = ended(process)
    assert found == 0, said
    assert company.manifest("2026-09")["retried"] == ["01_score"]


def test_results_whose_merging_was_cut_short_are_merged_again(tmp_path: Path) -> None:
    """The worker died when the whole was half written, when it was written, and when some of its parts were gone."""
    part = results.frame(metric="nps", period="2026-09", estimate=4.0, n=60, status="ok")
    other = results.frame(metric="csat", period="2026-09", estimate=2.0, n=50, status="ok")
    (tmp_path / "results").mkdir()
    build: Any = SimpleNamespace(folder=tmp_path, notebooks={"01_a": None, "02_b": None})
    part.to_parquet(tmp_path / "results" / "01_a.parquet")
    other.to_parquet(tmp_path / "results" / "02_b.parquet")
    (tmp_path / "results.part").write_bytes(b"PAR1")
    first = assemble._merge(build)
    pd.testing.assert_frame_equal(assemble._merge(build), first)
    (tmp_path / "results").rename(tmp_path / ".results")
    (tmp_path / ".results" / "01_a.parquet").unlink()
    pd.testing.assert_frame_equal(assemble._merge(build), first)
    assemble._parts_go(build)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.parquet"]


@POSIX
def test_a_kernel_that_dies_is_tried_once_more_and_one_that_always_dies_is_named(company: Company) -> None:
    company.flag("die-2026-08")
    company.flag("die-always-2026-09")
    found, said = company.run(*RANGE)
    assert found == RunError.exit_code, said
    assert company.catalogue() == ["2026-08"]
    assert company.manifest("2026-08")["retried"] == ["01_score"]
    assert "1 of 2 notebooks of quick September 2026 failed" in said
    assert "01_score: DeadKernelError" in said
    assert "1 made, 1 failed." in said
    (failed,) = (company.root / "reports" / "_failed" / "quick").iterdir()
    assert (places.manifest(failed) or {})["retried"] == ["01_score"]
    assert "<h1" in (failed / "02_levels.html").read_text(encoding="utf-8")


@POSIX
def test_a_notebook_that_takes_too_long_is_stopped_and_says_so(company: Company) -> None:
    company.flag("hold-2026-09")
    found, said = company.run(*RANGE, "--timeout", "0.2")
    assert found == RunError.exit_code, said
    assert "01_score: LostError: 01_score: stopped after 12 s" in said
    assert company.catalogue() == ["2026-08"]
    (failed,) = (company.root / "reports" / "_failed" / "quick").iterdir()
    assert (places.manifest(failed) or {})["retried"] == []


def test_a_full_disk_under_a_notebook_ends_the_run(company: Company) -> None:
    assert company.run("run", "quick", "--period", "2026-09")[0] == 0
    full = company.flag("full-2026-09")
    found, said = company.run(*RANGE, "--force")
    assert found == StoreError.exit_code, said
    assert "error: No space left on device: quick 2026-09 01_score" in said
    assert "2026-09" in company.catalogue()
    assert company.queued()
    assert not company.halves()
    full.unlink()
    found, said = company.run("backfill", "quick", "--resume")
    assert found == 0, said
    assert company.catalogue() == ["2026-08", "2026-09"]
    assert not company.queued()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "none", str(folder)], check=False)
    if not done or done.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@POSIX
@pytest.mark.parametrize("free", [0, 0.4, 1.5])
def test_a_full_disk_under_the_reports_leaves_what_stands(company: Company, small_disk: Path, free: float) -> None:
    """With no room at all, room for some of a report, and for one of two that are made at once."""
    shutil.rmtree(company.root / "reports", ignore_errors=True)
    (company.root / "reports").symlink_to(small_disk, target_is_directory=True)
    assert company.run("run", "quick", "--period", "2026-08")[0] == 0
    ballast = small_disk / "_ballast"
    disk = shutil.disk_usage(small_disk)
    ballast.write_bytes(bytes(disk.free - int(free * disk.used)))
    found, said = company.run("backfill", "quick", "--from", "2026-07", "--to", "2026-09", "--force")
    assert found == StoreError.exit_code, said
    assert "No space left on device" in said
    assert "Free some space" in said
    assert "2026-08" in company.catalogue()
    assert not company.halves()
    ballast.unlink()
    words = ("--resume",) if company.queued() else ("--from", "2026-07", "--to", "2026-09")
    found, said = company.run("backfill", "quick", *words)
    assert found == 0, said
    assert company.catalogue() == ["2026-07", "2026-08", "2026-09"]


@POSIX
def test_a_check_that_was_killed_leaves_what_the_next_one_removes(company: Company) -> None:
    assert company.run("run", "quick", "--period", "2026-09")[0] == 0
    held = company.flag("hold-2026-09")
    (company.flags / "begun-2026-09").unlink()
    process = company.begin("verify", "quick")
    until((company.flags / "begun-2026-09").exists, process)
    process.kill()
    ended(process)
    (left,) = (company.root / "reports").glob(".building-again*")
    held.unlink()
    found, said = company.run("verify", "quick", "2026-09")
    assert (found, "figures equal" in said) == (0, True), said
    assert not left.exists()
    assert not list((company.root / "reports").glob(".building-again*"))


@POSIX
def test_a_log_that_nobody_reads_any_more_ends_no_run(company: Company) -> None:
    process = company.begin("run", "quick", "--period", "2026-09")
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(LONG) == 0
    assert process.stdout is not None
    assert "made from snapshot" in process.stdout.read()
    process.stdout.close()
    assert company.catalogue() == ["2026-09"]


@POSIX
def test_who_comes_second_is_refused_at_once(company: Company) -> None:
    held = company.flag("hold-2026-09")
    first = company.begin(*RANGE)
    until(lambda: (company.flags / "begun-2026-09").exists(), first)
    for words in (RANGE, ("backfill", "quick", "--resume"), ("run", "quick", "--period", "2026-09", "--force")):
        found, said = company.run(*words)
        assert (found, "is under way" in said) == (BusyError.exit_code, True), said
        assert "Wait for it to end" in said
    held.unlink()
    found, said = ended(first)
    assert found == 0, said
    assert company.catalogue() == ["2026-08", "2026-09"]
    assert company.manifest("2026-09")["retried"] == []


@POSIX
def test_a_back_fill_waits_for_a_period_that_a_run_is_making(company: Company) -> None:
    held = company.flag("hold-2026-08")
    first = company.begin("run", "quick", "--period", "2026-08")
    until(lambda: (company.flags / "begun-2026-08").exists(), first)
    second = company.begin(*RANGE)
    until(lambda: "2026-09" in company.catalogue(), second)
    held.unlink()
    found, said = ended(second)
    assert (found, "2026-08: stands already" in said) == (0, True), said
    assert ended(first)[0] == 0
    assert not company.queued()
