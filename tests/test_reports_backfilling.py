"""Back-fills: many periods at once, each whole or not at all, and to be gone on with after whatever happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import quick_workspace as quick
import toy_workspace as toy

from cxlib.errors import BusyError, RunError, UsageError
from cxlib.reports import backfilling, places
from cxlib.reports.backfilling import QUEUE

ROOT = Path(__file__).resolve().parent.parent
MONTHS = ("2026-07", "2026-08", "2026-09")
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


def backfill(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=root, env=environment(), capture_output=True, text=True, check=False)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cxlib.cli", "backfill", "quick", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def numbers(root: Path) -> dict[str, pd.DataFrame]:
    return {one.period: pd.read_parquet(one.folder / "results.parquet") for one in places.catalogue(root / "reports")}


@pytest.mark.usefixtures("warm")
def test_a_range_is_made_then_left_alone_then_made_where_it_changed(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    done = backfill(root, "--from", "2026-08", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "quick 2026-08 to 2026-09: 2 made, 0 failed." in done.stdout
    assert "2026-08: made" in done.stderr
    assert [one.period for one in places.catalogue(root / "reports")] == ["2026-09", "2026-08"]
    assert not (root / "reports" / "quick" / QUEUE).exists()

    again = backfill(root, "--from", "2026-08")
    assert "0 made, 2 stood already with nothing changed, 0 failed." in again.stdout

    quick.take_in(root, ("2026-08",), first=60)  # late answers of August, which September is compared with
    quick.notebook(root, "02_levels", "1 / 0")
    failing = backfill(root, "--from", "2026-07", "--to", "2026-08")
    assert failing.returncode == RunError.exit_code
    assert failing.stderr.count("ZeroDivisionError") >= 2
    assert "Traceback" not in failing.stderr
    assert [one.period for one in places.catalogue(root / "reports")] == ["2026-09", "2026-08"]
    quick.notebook(root, "02_levels", quick.LEVELS)
    mended = backfill(root, "--resume")
    assert mended.returncode == 0, mended.stderr
    assert "quick 2026-07 to 2026-08: 2 made, 0 failed." in mended.stdout
    assert "2026-08: made, made again: the data (responses) changed" in mended.stderr


def test_what_cannot_be_back_filled_is_said_before_anything_runs(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    for words, said in (
        ((), "needs its first period"),
        (("--from", "2026-09", "--to", "2026-07"), "backwards"),
        (("--from", "2026-07", "--to", "2027-01"), "no data of October 2026"),
        (("--resume",), "no back-fill of quick was interrupted"),
    ):
        done = backfill(root, *words)
        assert (done.returncode, said in done.stderr) == (UsageError.exit_code, True), done.stderr
    assert not list((root / "reports").glob("quick/2*"))
    folder = root / "reports" / "quick"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / QUEUE).write_text('{"format": 9}', encoding="utf-8")
    assert "is not readable" in backfill(root, "--resume").stderr
    with places.lock(places.Place(root / "reports", "quick", "backfill")):
        assert backfill(root, "--from", "2026-07").returncode == BusyError.exit_code


@POSIX
@pytest.mark.slow
def test_killed_at_any_moment_and_gone_on_with_the_numbers_are_those_of_a_quiet_run(tmp_path: Path) -> None:
    quiet, root = (quick.workspace(tmp_path / name, MONTHS) for name in ("quiet", "killed"))
    started = time.monotonic()
    assert backfill(quiet, "--from", "2026-07").returncode == 0
    whole = time.monotonic() - started
    moments = random.Random(7)
    for number in range(3):
        words = ("--resume",) if (root / "reports" / "quick" / QUEUE).exists() else ("--from", "2026-07", "--force")
        with subprocess.Popen(
            command(*words), cwd=root, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(moments.uniform(0.1, whole))
            process.send_signal(signal.SIGKILL if number != 1 else signal.SIGTERM)
        for one in places.catalogue(root / "reports"):
            assert one.manifest["state"] == "published"
            assert (one.folder / "index.html").is_file()
    words = ("--resume",) if (root / "reports" / "quick" / QUEUE).exists() else ("--from", "2026-07")
    assert backfill(root, *words).returncode == 0
    expected, found = numbers(quiet), numbers(root)
    assert set(found) == set(expected) == set(MONTHS)
    for period, frame in expected.items():
        pd.testing.assert_frame_equal(frame, found[period], check_exact=True)
    assert not list((root / "reports" / "quick").glob(".building*"))


def test_a_plan_survives_on_disk(tmp_path: Path) -> None:
    toy.workspace(tmp_path)
    folder = tmp_path / "reports" / "quick"
    folder.mkdir(parents=True)
    plan = backfilling.Plan("quick", MONTHS, "0001-abcdef", {"size": "3"}, True, ("2026-07",))
    backfilling._write(folder, plan)
    assert backfilling.resumed(tmp_path, "quick") == plan
    assert json.loads((folder / QUEUE).read_text(encoding="utf-8"))["format"] == 1
