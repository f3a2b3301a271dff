"""Runs on a Dask cluster: a real scheduler and workers, each in a process and a folder of its own.

The reference is the run on this machine alone: its numbers, to the last digit.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import quick_workspace as quick
import yaml
from dask_cluster import ROOT

from cxlib.errors import RunError, UsageError
from cxlib.reports import parcels, places, runner
from cxlib.reports.crew import LostError
from cxlib.reports.work import Step

pytest.importorskip("distributed", reason="dask[distributed] is not installed: pip install 'cxlib[cluster]'")

import dask_cluster

from cxlib.reports import cluster

MONTHS = ("2026-07", "2026-08", "2026-09")
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
# Ends the worker of the cluster that a notebook is executed for: the next of that name among the parents of the kernel.
MURDER = """\
import os, signal
from pathlib import Path
pid = os.getpid()
while b"dask_worker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
    pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
os.kill(pid, signal.SIGKILL)
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[dask_cluster.Cluster]:
    """A cluster of two workers; a task that ends one is not tried on another."""
    found = dask_cluster.Cluster(tmp_path / "cluster", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        found.work()
        found.work()
        yield found
    finally:
        found.close()


@contextmanager
def cx(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command; it is killed where the block ends before it does."""
    command = [sys.executable, "-m", "cxlib.cli", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, env=env, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def done(root: Path, *words: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code and what it said."""
    with cx(root, *words) as process:
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err


def numbers(root: Path) -> dict[str, pd.DataFrame]:
    return {one.period: pd.read_parquet(one.folder / "results.parquet") for one in places.catalogue(root / "reports")}


@POSIX
@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_a_worker_is_killed_and_the_numbers_are_those_of_one_machine(tmp_path: Path) -> None:
    near = quick.workspace(tmp_path / "near", MONTHS)
    far = shutil.copytree(near, tmp_path / "far")
    cluster_of_two = dask_cluster.Cluster(tmp_path / "cluster")
    try:
        victim = cluster_of_two.work()
        with cx(far, "backfill", "quick", "--from", "2026-07", "--cluster", cluster_of_two.address) as process:
            said = process.stderr.readline()  # the first notebook is done: the next one is under way
            victim.send_signal(signal.SIGKILL)
            cluster_of_two.work()
            out, rest = process.communicate(timeout=300)
        assert process.returncode == 0, (said, rest)
        assert "done" in said
        assert "quick 2026-07 to 2026-09: 3 made, 0 failed." in out
    finally:
        cluster_of_two.close()
    for folder in cluster_of_two.folder.glob("worker-1/local/dask-scratch-space/*/cx-*"):
        pytest.fail(f"{folder} is left behind")
    assert done(near, "backfill", "quick", "--from", "2026-07")[0] == 0
    expected, found = numbers(near), numbers(far)
    assert set(found) == set(expected) == set(MONTHS)
    for period, frame in expected.items():
        pd.testing.assert_frame_equal(frame, found[period], check_exact=True)
    one, other = (places.catalogue(root / "reports")[0] for root in (near, far))
    assert set(one.manifest["outputs"]) == set(other.manifest["outputs"])
    assert one.manifest["made_of"]["tables"] == other.manifest["made_of"]["tables"]
    page = (other.folder / "01_score.html").read_text(encoding="utf-8")
    assert str(tmp_path) not in page
    assert "0 made, 3 stood already" in done(far, "backfill", "quick", "--from", "2026-07")[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_notebook_that_ends_its_workers_fails_alone(tmp_path: Path, workers: dask_cluster.Cluster) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    quick.notebook(root, "02_levels", MURDER)
    code, _, said = done(root, "run", "quick", "--cluster", workers.address)
    assert code == RunError.exit_code, said
    assert "1 of 2 notebooks of quick September 2026 failed" in said
    assert "02_levels ended 1 worker of the cluster, at last tcp://[ip]:" in said  # pages and manifests name no machine
    assert "Traceback" not in said
    assert not places.catalogue(root / "reports")


@pytest.mark.slow
def test_workers_that_would_make_other_numbers_are_refused(tmp_path: Path, workers: dask_cluster.Cluster) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "cxlib", elsewhere / "cxlib", ignore=shutil.ignore_patterns("__pycache__"))
    with (elsewhere / "cxlib" / "periods.py").open("a", encoding="utf-8") as file:
        file.write("\n# another\n")
    workers.work(package=elsewhere)
    root = quick.workspace(tmp_path / "w", MONTHS)
    code, _, said = done(root, "run", "quick", "--cluster", workers.address)
    assert code == RunError.exit_code
    assert "1 of 3 workers" in said
    assert "the code of cxlib" in said
    assert not (root / "reports" / "quick" / "2026-09").exists()


@pytest.mark.slow
def test_a_store_that_workers_cannot_read_is_told_before_anything_runs(
    tmp_path: Path, workers: dask_cluster.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    packed = parcels.packed
    monkeypatch.setattr(parcels, "packed", lambda build: replace(packed(build), store=str(tmp_path / "nowhere")))
    with pytest.raises(cluster.ClusterError, match=r"2 of 2 workers.*no way to read the store") as caught:
        runner.run_pack(root, "quick", cluster=workers.address)
    assert "nothing ingested" in caught.value.message
    assert not list((root / "reports" / "quick").glob("[!.]*"))
    assert not list((root / "reports" / "quick").glob(".building*"))


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_and_leaves_nothing_half(
    tmp_path: Path, workers: dask_cluster.Cluster
) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    quick.notebook(root, "02_levels", "import time; time.sleep(600)")
    with cx(root, "run", "quick", "--cluster", workers.address) as process:
        assert process.stderr.readline()
        workers.scheduler.kill()
        _, said = process.communicate(timeout=120)
    assert process.returncode == RunError.exit_code, said
    assert f"the cluster {workers.address} was lost" in said
    assert "Traceback" not in said
    assert not list((root / "reports" / "quick").glob("[!.]*"))
    assert not list((root / "reports" / "quick").glob(".building*"))


def test_who_is_not_there_is_told_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with pytest.raises(RunError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        cluster.Cluster("tcp://127.0.0.1:9")
    assert time.monotonic() - started < 15
    with pytest.raises(UsageError, match="is no address"):
        cluster.Cluster("pigeon://coop")
    alone = dask_cluster.Cluster(tmp_path / "cluster")
    monkeypatch.setattr(cluster, "_WORKERS", 0.5)
    try:
        with pytest.raises(RunError, match="has no workers"):
            cluster.Cluster(alone.address)
    finally:
        alone.close()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"dask\[distributed\]"):
        cluster.Cluster("tcp://127.0.0.1:9")


def test_a_step_travels_whole_and_leaves_nothing(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    (root / "notebooks" / "quick").rename(tmp_path / "linked")
    (root / "notebooks" / "quick").symlink_to(tmp_path / "linked", target_is_directory=True)
    (build,) = runner.builds(root, "quick", ["2026-08"], parameters={})
    packed = parcels.packed(build)
    assert packed == parcels.packed(build)
    assert packed.store == str(root / "data" / "store")
    parcel = parcels.sent(Step(build, "01_score", kept="kept"), packed)
    assert str(tmp_path) not in repr(pickle.loads(parcel)[0].build.folder)
    place, told = tmp_path / "worker", []
    place.mkdir()
    with parcels.desk("run", place, 1, None) as desk:
        settings = desk._unpacked(packed) / "params" / "workspace.yml"
        assert yaml.load(settings.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) == {
            "company": "Quick & Söhne", "min_n": "5", "store": packed.store
        }  # fmt: skip
        found, files = desk.carry_out(parcel, lambda *cells: told.append(cells))
    assert (found.name, found.error, told[-1]) == ("01_score", "", (5, 5))
    assert {"01_score.ipynb", "01_score.html", "results/01_score.parquet"} < set(files)
    assert not [name for name, content in files.items() if str(place).encode() in content]
    quick.notebook(root, "01_score", "import time; time.sleep(600)")
    (build,) = runner.builds(root, "quick", ["2026-08"], parameters={})
    parcel = parcels.sent(Step(build, "01_score"), parcels.packed(build))
    with parcels.desk("slow", place, 1, 3.0) as desk, pytest.raises(LostError, match="stopped after 3 s") as late:
        desk.carry_out(parcel, lambda *cells: None)
    assert pickle.loads(pickle.dumps(late.value)).late
    parcels.clear("run")
    parcels.end("slow")
    with pytest.raises(LostError, match="over"), parcels.desk("slow", place, 1, None):
        pass
    assert not list(place.iterdir())
    parcels.put_down(tmp_path / "back", files)
    assert not pd.read_parquet(tmp_path / "back" / "results" / "01_score.parquet").empty


def test_a_desk_that_nobody_uses_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "_IDLE", 0.2)
    with parcels.desk("run", tmp_path, 1, None):
        time.sleep(0.5)
        assert list(tmp_path.iterdir())
    until = time.monotonic() + 10
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())


def test_what_differs_is_named_with_both_versions() -> None:
    here, there = {"python": "3.11.7", "pandas": "3.0.1"}, {"python": "3.12.1", "pandas": "3.0.1"}
    assert parcels.differences(here, there) == ["python 3.12.1, here 3.11.7"]
    assert parcels.differences(here, {"pandas": "3.0.1"}) == ["python missing, here 3.11.7"]
    assert not parcels.differences(here, here)
