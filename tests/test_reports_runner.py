"""Runs on a toy workspace: published whole or not at all, whatever happens on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_workspace as toy

from cxlib.errors import ParamsError, RunError, StoreError, UsageError
from cxlib.reports import places, provenance
from cxlib.reports.runner import run_pack

ROOT = Path(__file__).resolve().parent.parent


def ready(folder: Path, **cells: str) -> Path:
    return toy.with_snapshot(toy.workspace(folder, **cells))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("warm")
def test_a_run_is_published_whole_then_kept_then_superseded(tmp_path: Path) -> None:
    root = ready(tmp_path / "a company with spaces & ümlauts", first="print('value', size, share)")
    seen: list[tuple[str, str, int, int, str]] = []
    first = run_pack(root, "toy", parameters={"size": "7"}, progress=lambda *step: seen.append(step))
    folder = root / "reports" / "toy" / "2026-10"
    assert (first.state, first.folder) == ("published", folder)
    names = {"01_first.ipynb", "01_first.html", "02_second.ipynb", "02_second.html", "index.html", "results.parquet"}
    assert set(files(folder)) == names | {"run.json"}
    assert {"figures", "inputs"} <= {path.name for path in folder.iterdir()}
    page = (folder / "01_first.html").read_text(encoding="utf-8")
    assert "value 7 0.5" in page
    assert "print(" not in page
    assert ("2026-10", "01_first", 4, 4, "done") in seen

    manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert manifest["parameters"]["given"] == {"size": "7"}
    assert manifest["parameters"]["resolved"]["01_first"]["size"] == 7
    assert manifest["period"] == "2026-10"
    assert manifest["state"] == "published"
    assert manifest["disclosure"]["verdict"] == "passed"
    assert manifest["outputs"] == provenance.checksums(folder, leave_out=["run.json"])
    executed = json.loads((folder / "01_first.ipynb").read_text(encoding="utf-8"))
    assert executed["metadata"]["kernelspec"]["name"] == "python3"
    assert "papermill" not in executed["metadata"]

    kept = run_pack(root, "toy", "2026-10", parameters={"size": "7"})
    assert kept.state == "kept"
    assert "nothing has changed" in kept.reason
    toy.with_snapshot(root)  # a snapshot that brings nothing new
    assert run_pack(root, "toy", "2026-10", parameters={"size": "7"}).state == "kept"
    before = files(folder)
    again = run_pack(root, "toy", "2026-10")
    assert again.reason == "the parameters changed"
    assert again.superseded is not None
    assert files(again.superseded) == before
    assert "value 3 0.5" in (folder / "01_first.html").read_text(encoding="utf-8")
    assert not list(folder.parent.glob(".building*"))


@pytest.mark.usefixtures("warm")
def test_a_failing_notebook_stops_no_other_and_replaces_nothing(tmp_path: Path) -> None:
    root = ready(tmp_path, second="import cxlib\nopen('no such file')")
    good = root / "reports" / "toy" / "2026-10"
    good.mkdir(parents=True)
    (good / "run.json").write_text('{"snapshot": {"id": "x"}}', encoding="utf-8")
    with pytest.raises(RunError, match="1 of 2 notebooks") as failure:
        run_pack(root, "toy", "2026-10", force=True)
    assert "02_second: FileNotFoundError" in failure.value.message
    assert failure.value.exit_code == 6
    assert set(files(good)) == {"run.json"}
    (failed,) = (root / "reports" / "_failed" / "toy").iterdir()
    assert "value 3" in (failed / "01_first.html").read_text(encoding="utf-8")
    for name in ("02_second.html", "index.html"):
        assert "FileNotFoundError" in (failed / name).read_text(encoding="utf-8")
    assert "This run is not published." in (failed / "index.html").read_text(encoding="utf-8")
    assert "papermill" not in (failed / "02_second.html").read_text(encoding="utf-8")
    manifest = json.loads((failed / "run.json").read_text(encoding="utf-8"))
    assert manifest["state"] == "failed"
    assert list(manifest["errors"]) == ["02_second"]
    for name, content in files(failed).items():
        assert str(tmp_path).encode() not in content, name


@pytest.mark.usefixtures("warm")
def test_a_dead_kernel_and_an_identifier_among_the_inputs_are_failures(tmp_path: Path) -> None:
    leak = (
        "from pathlib import Path\nimport pandas as pd\nfolder = Path(run_folder) / 'inputs' / '01_first'\n"
        "folder.mkdir()\npd.DataFrame({'customer_id': ['C1']}).to_parquet(folder / 'x.parquet')"
    )
    root = ready(tmp_path, first=leak, second="import os\nos._exit(1)")
    with pytest.raises(RunError, match="02_second: DeadKernelError"):
        run_pack(root, "toy")
    (failed,) = (root / "reports" / "_failed" / "toy").iterdir()
    found = json.loads((failed / "run.json").read_text(encoding="utf-8"))["disclosure"]
    assert found["verdict"] == "refused"
    assert "customer_id" in found["found"][0]
    assert not (root / "reports" / "toy" / "2026-10").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sise": "3"}, "no notebook has a parameter 'sise'; did you mean 'size'?"),
        ({"size": "three"}, "parameter 'size' is int, not 'three'"),
        ({"flag": "perhaps"}, "parameter 'flag' is bool"),
        ({"run_folder": "/"}, "'run_folder' is set by the run itself"),
        ({"size=1\nimport os #": "3"}, "no notebook has a parameter"),
    ],
)
def test_parameters_are_refused_before_anything_runs(tmp_path: Path, given: dict[str, str], said: str) -> None:
    root = ready(tmp_path)
    with pytest.raises(UsageError, match=re.escape(said)):
        run_pack(root, "toy", parameters=given)
    assert not (root / "reports").exists()


def test_what_cannot_be_run_is_said_before_anything_runs(tmp_path: Path) -> None:
    root = toy.workspace(tmp_path)
    with pytest.raises(StoreError, match="nothing ingested"):
        run_pack(root, "toy")
    toy.with_snapshot(root)
    with pytest.raises(UsageError, match="did you mean 'toy'"):
        run_pack(root, "toyy")
    with pytest.raises(UsageError, match="2026-13"):
        run_pack(root, "toy", "2026-13")
    with pytest.raises(StoreError, match="no snapshot"):
        run_pack(root, "toy", as_of="0009-abcdef")
    (root / "notebooks" / "toy" / "02_second.ipynb").unlink()
    with pytest.raises(ParamsError, match=r"02_second\.ipynb"):
        run_pack(root, "toy")
    assert not (root / "reports").exists()


def test_two_runs_of_one_period_do_not_collide(tmp_path: Path) -> None:
    root = ready(tmp_path)
    with places.lock(places.Place(root / "reports", "toy", "2026-10")), pytest.raises(RunError, match="under way"):
        run_pack(root, "toy")


def started(root: Path) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own and wait until its first notebook has begun to work."""
    command = [sys.executable, "-m", "cxlib.cli", "run", "toy", "--force"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(root.glob(f"reports/toy/.building-*-{process.pid}/begun")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_kill_in_the_middle_leaves_the_last_good_report_and_no_half_one(tmp_path: Path) -> None:
    slow = "import time\nopen('begun', 'w').close()\ntime.sleep(60)"
    root = ready(tmp_path, first=slow)
    good = root / "reports" / "toy" / "2026-10"
    good.mkdir(parents=True)
    (good / "run.json").write_text('{"snapshot": {"id": "x"}}', encoding="utf-8")

    process = started(root)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert set(files(good)) == {"run.json"}
    assert [one.period for one in places.catalogue(root / "reports")] == ["2026-10"]
    (half,) = good.parent.glob(".building-*")  # out of sight, and cleared by the next run
    toy.workspace(root, first=slow)
    process = started(root)
    assert not half.exists()

    process.send_signal(signal.SIGTERM)  # a polite stop takes its own build back
    process.communicate()
    assert process.returncode == 143
    assert not list(good.parent.glob(".building-*"))
    assert set(files(good)) == {"run.json"}


@pytest.mark.usefixtures("warm")
def test_a_small_company_publishes_its_month_on_another_disk(demo_workspace: Path, tmp_path: Path) -> None:
    """Of 400 customers most cells are small: more is hidden, and the pack stands.

    A linked `reports/` is outside the workspace: kernels are told where it is.
    """
    root, elsewhere = tmp_path / "here", tmp_path / "another disk"
    shutil.copytree(demo_workspace, root)
    shutil.rmtree(root / "reports", ignore_errors=True)
    elsewhere.mkdir()
    (root / "reports").symlink_to(elsewhere, target_is_directory=True)
    outcome = run_pack(root, "monthly", parameters={"periods": "2"})
    manifest = json.loads((outcome.folder / "run.json").read_text(encoding="utf-8"))
    assert manifest["disclosure"]["verdict"] == "passed"
    assert len(manifest["disclosure"]["hidden"]) > 100
    assert (elsewhere / "monthly" / "2026-10" / "index.html").is_file()
