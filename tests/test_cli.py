"""The command line: what it prints, where it works, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import toy_workspace as toy
from click.testing import CliRunner, Result
from intake_workspace import Toy

from cxlib import cli, errors
from cxlib.cli import terminal
from cxlib.data.ledger import Batch, Ledger
from cxlib.data.store import Store

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("check", "demo", "ingest", "new", "snapshots", "compact", "run", "serve", "lab")


def cx(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def whole(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "cxlib.cli", *words], cwd=cwd, env=env, capture_output=True, text=True)


def test_help_is_light_and_names_every_command() -> None:
    code = (
        "import sys\nfrom cxlib.cli import main\ntry:\n main(['--help'])\nexcept SystemExit:\n pass\n"
        "heavy = {'pandas', 'numpy', 'seaborn', 'matplotlib', 'ibis', 'duckdb', 'papermill', 'pydantic', 'rich'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "HEAVY []" in done.stdout
    assert all(command in done.stdout for command in COMMANDS)


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, cxlib\nprint(sorted({'pandas', 'ibis', 'pydantic'} & set(sys.modules)), 'open_run' in dir(cxlib))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[] True"


def test_works_from_any_folder_of_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = toy.workspace(tmp_path)
    monkeypatch.chdir(root / "notebooks" / "toy")
    assert "no faults (1 metric, " in cx("check").output
    monkeypatch.chdir(tmp_path.parent)
    done = cx("check")
    assert done.exit_code == 1
    assert "error: " in done.output
    assert cx("-w", str(root), "check").exit_code == 0


def test_faults_are_listed_without_a_traceback(tmp_path: Path) -> None:
    root = toy.workspace(tmp_path)
    (root / "params" / "metrics" / "nps.yml").write_text("titel: x\n", encoding="utf-8")
    done = cx("-w", str(root), "check")
    assert done.exit_code == errors.ParamsError.exit_code == 3
    assert "did you mean 'title'" in done.output
    assert "Traceback" not in done.output


@pytest.mark.usefixtures("warm")
def test_run_and_snapshots(tmp_path: Path) -> None:
    root = toy.workspace(tmp_path)
    assert "No snapshot yet" in cx("-w", str(root), "snapshots").output
    nothing = cx("-w", str(root), "run", "toy")
    assert nothing.exit_code == errors.StoreError.exit_code
    assert "cx demo" in nothing.output
    toy.with_snapshot(root)
    assert "0001-" in cx("-w", str(root), "snapshots").output

    done = whole("run", "toy", "-p", "size=4", cwd=root / "notebooks")
    assert done.returncode == 0, done.stderr
    assert f"Open {root.as_posix()}/reports/toy/2026-10/index.html" in done.stdout  # in full: we stand in a subfolder
    assert "01_first: cell 4 of 4" in done.stderr
    assert "02_second: done" in done.stderr
    assert "Warning" not in done.stderr

    assert "stands already" in cx("-w", str(root), "run", "toy", "-p", "size=4").output
    for words, code, said in (
        (("-p", "sise=4"), 2, "did you mean 'size'"),
        (("-p", "size"), 2, "is not name=value"),
        (("-p", "size=1", "-p", "size=2"), 2, "given twice"),
        (("--period", "October"), 2, "'October'"),
        (("--as-of", "0007-aaaaaa"), 5, "no snapshot"),
    ):
        refused = cx("-w", str(root), "run", "toy", "--force", *words)
        assert (refused.exit_code, said in refused.output) == (code, True), refused.output


@pytest.mark.usefixtures("warm")
def test_a_report_about_an_experiment_stands_under_its_name(tmp_path: Path) -> None:
    root = toy.with_snapshot(toy.with_trial(toy.workspace(tmp_path)))
    assert (
        "no faults (1 metric, 0 segments, 0 sources, 2 reports, 1 experiment, " in cx("-w", str(root), "check").output
    )
    for words, said in (
        (("readout",), "'readout' is about one experiment: name it"),
        (("readout", "--experiment", "gat"), "no experiment is called 'gat'; did you mean 'gate'?"),
        (("readout", "--experiment", "other"), "Experiments: gate."),
        (("toy", "--experiment", "gate"), "'toy' is about a period, not about an experiment"),
    ):
        refused = cx("-w", str(root), "run", *words)
        assert (refused.exit_code, said in refused.output) == (errors.UsageError.exit_code, True), refused.output
    assert not (root / "reports").exists()

    folder = root / "reports" / "readout" / "gate"
    for period, words in (("2026-09", "made from"), ("2026-10", "made from"), ("last", "stands already")):
        done = cx("-w", str(root), "run", "readout", "--experiment", "gate", "--period", period)
        assert done.exit_code == 0, done.output
        assert words in done.output
        label = "2026-10" if period == "last" else period
        manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        assert (manifest["experiment"], manifest["period"]) == ("gate", label)
        assert f"about gate {label}" in (folder / "readout.html").read_text(encoding="utf-8")
    plan = root / "params" / "experiments" / "gate.yml"
    plan.write_text(plan.read_text(encoding="utf-8").replace("matters: 2", "matters: 3"), encoding="utf-8")
    again = cx("-w", str(root), "run", "readout", "--experiment", "gate").output
    assert "because the definitions (experiments/gate) changed" in again


@pytest.mark.usefixtures("warm")
def test_a_failed_run_ends_with_its_code(tmp_path: Path) -> None:
    root = toy.with_snapshot(toy.workspace(tmp_path, first="1 / 0"))
    done = whole("run", "toy", cwd=root)
    assert done.returncode == errors.RunError.exit_code == 6
    assert "01_first: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert "reports/_failed/toy/" in done.stderr


def test_ingest_prints_what_became_of_every_row(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_workspace)
    done = cx("-w", str(demo_workspace), "demo", "--customers", "400")
    assert done.exit_code == 0
    assert "stands already" in done.output
    done = cx("-w", str(demo_workspace), "ingest", "demmo")
    assert done.exit_code == 2
    assert "did you mean 'demo'" in done.output
    done = cx("-w", str(demo_workspace), "ingest", "demo")
    assert done.exit_code == 0
    assert "Nothing new: the store is at snapshot" in done.output
    head = next(line for line in done.output.splitlines() if line.startswith("Table"))
    assert head.split("  ")[0] == "Table"
    assert all(w in head for w in ("rows in", "accepted", "rejected", "duplicated"))
    assert "No row was corrected, stale, late or deleted." in done.output
    assert "data/quarantine/" in done.output
    assert str(demo_workspace) not in done.output


def test_a_demo_of_another_size_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """Upserted into the first it would leave a company of both: customers of one, orders of the other."""
    for folder in ("params", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    first, second, alone = (cx("-w", str(tmp_path), "demo", "--customers", n) for n in ("300", "200", "200"))
    assert (first.exit_code, second.exit_code, alone.exit_code) == (0, 0, 0)
    assert "It takes the place of the demo before it" in second.output
    assert "stands already" in alone.output
    older, newest = Ledger.read(tmp_path / "data" / "store")
    counted = {table: counts["accepted"] for table, counts in newest.batch.counts.items()}
    assert {table: version.rows for table, version in newest.tables.items()} == counted
    assert older.tables["orders"].rows > newest.tables["orders"].rows
    with Store.open(tmp_path, as_of=older.id) as store:
        assert int(store.run(store.tables["orders"].count().as_table()).iloc[0, 0]) == older.tables["orders"].rows


def test_a_demo_of_another_size_leaves_other_sources_alone(tmp_path: Path) -> None:
    root = toy.with_snapshot(toy.workspace(tmp_path))
    for batch in ("demo", "olist"):
        one = Ledger.read(root / "data" / "store")[-1]
        Ledger.commit(
            root / "data" / "store", one.tables, Batch(f"{batch}-1", batch, ""), now=datetime(2026, 11, 1, tzinfo=UTC)
        )
    done = cx("-w", str(root), "demo", "--customers", "200")
    assert done.exit_code == errors.UsageError.exit_code
    assert "two demos cannot be mixed" in done.output
    assert not (root / "data" / "raw" / "demo").exists()


def test_an_ingest_that_accepts_nothing_has_failed(tmp_path: Path) -> None:
    made = Toy(tmp_path).put("customers", "customer_id,valid_from\nc1,\n")
    (tmp_path / "params" / "workspace.yml").write_text("company: Toy\n", encoding="utf-8")
    (made.sql / "source.yml").write_text("title: Toy\nlicence: none\nfiles: {customers: {path: customers.csv}}\n")
    done = cx("-w", str(tmp_path), "ingest", "toy", "--from", str(made.raw))
    assert done.exit_code == errors.SourceError.exit_code
    assert "1 x valid_from is missing" in done.output
    assert "nothing was accepted; the store is empty" in done.output


def test_what_is_unexpected_goes_to_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken() -> Path:
        raise RuntimeError("a defect")

    monkeypatch.setattr(cli, "_root", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = cx("check")
    assert done.exit_code == terminal.UNEXPECTED
    assert "RuntimeError: a defect" in done.output
    assert "--debug" in done.output
    (log,) = tmp_path.glob("cx-error-*.log")
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert str(log) in done.output
    assert isinstance(cx("--debug", "check").exception, RuntimeError)


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_root", interrupted)
    done = cx("check")
    assert done.exit_code == 130
    assert "Traceback" not in done.output


@pytest.mark.skipif(os.name == "nt", reason="a shell pipe")
def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    root = toy.with_snapshot(toy.workspace(tmp_path))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = '"$0" -c "import time; time.sleep(1); from cxlib.cli import main; main()" snapshots | true'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EACCES, "Ask for the right"),
        (errno.EROFS, "Work in a folder that can be written"),
    ],
)
def test_what_the_system_refuses_is_no_defect(monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    def refused() -> Path:
        raise OSError(code, os.strerror(code), "data/raw/demo/orders.parquet")

    monkeypatch.setattr(cli, "_root", refused)
    done = cx("check")
    assert done.exit_code == errors.StoreError.exit_code
    assert f"error: {os.strerror(code)}: data/raw/demo/orders.parquet" in done.output
    assert said in done.output
    assert "defect" not in done.output


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_disk_that_is_full_is_told_in_two_lines(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: at either, the store's library panics at length."""
    made = Toy(tmp_path).put(
        "customers", "customer_id,valid_from\n" + "".join(f"c{os.urandom(9).hex()},2026-01-01\n" for _ in range(20_000))
    )
    (tmp_path / "params" / "workspace.yml").write_text("company: Toy\n", encoding="utf-8")
    (made.sql / "source.yml").write_text("title: Toy\nlicence: none\nfiles: {customers: {path: customers.csv}}\n")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    command = [
        sys.executable,
        "-c",
        f"{limit}; from cxlib.cli import main; main()",
        "ingest",
        "toy",
        "--from",
        str(made.raw),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RUST_BACKTRACE": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == errors.StoreError.exit_code
    assert "error: the store cannot be written" in done.stderr
    assert "panicked" not in done.stderr
    assert "The store is empty, as before." in done.stderr
    assert not (tmp_path / "data" / "store" / "snapshots.json").exists()
