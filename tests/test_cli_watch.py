"""`cx watch`: what it says once, again, as JSON and of nothing; and what a report says of the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from conftest import ROOT

from cxlib import params
from cxlib.cli import main, watching
from cxlib.errors import AlarmError
from cxlib.reports import watching as looking
from cxlib.reports.record import open_run

OUTAGE = "2025-03"


@pytest.fixture(scope="module")
def root(demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo of 400 customers: three contacts every two days, so all signals are made one, which sees the outage."""
    target = tmp_path_factory.mktemp("watch") / "w"
    shutil.copytree(demo_workspace, target)
    path = target / "params" / "watch.yml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    page = found["signals"]["slow_pages"] | {"bad": "load_ms > 2000"}
    found["signals"] = {"slow_pages": page, "hard_work": found["signals"]["hard_work"]}
    path.write_text(yaml.safe_dump(found), encoding="utf-8")
    return target


def cx(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["-w", str(root), "watch", *words], catch_exceptions=False)


def test_an_alarm_is_new_once(root: Path) -> None:
    (root / looking.STATE).unlink(missing_ok=True)
    first = cx(root, "--exit-code")
    assert first.exit_code == AlarmError.exit_code
    assert f"NEW ALARM: Pages that took more than three seconds: since {OUTAGE}" in first.output
    assert "Tell: Head of Digital." in first.output
    assert "quiet: Answers that getting help was hard" in first.output
    again = cx(root, "--exit-code")
    assert again.exit_code == 0
    assert "no new alarms, none going on" in again.output
    assert "ALARM" not in again.output
    told = cx(root, "--all")
    assert "alarm: Pages that took" in told.output


def test_a_state_that_cannot_be_read_tells_again(root: Path) -> None:
    (root / looking.STATE).write_text("{", encoding="utf-8")
    assert "1 new alarm" in cx(root).output
    assert json.loads((root / looking.STATE).read_text(encoding="utf-8"))["told"]


def test_as_json_and_without_numbers_of_few(root: Path) -> None:
    (line,) = cx(root, "--json", "--all").output.splitlines()
    found = json.loads(line)
    assert found["began"].startswith(OUTAGE)
    assert found["delay_days"] >= 1
    assert 0 < found["usual_at_most"] < found["share"] < 1
    (alarm,) = looking.watch(root, params.load(root))[2]
    strict = params.load(root)
    strict = strict.model_copy(update={"workspace": strict.workspace.model_copy(update={"min_n": 10**6})})
    few = looking.watch(root, strict)[2]
    assert few[0].share is None
    assert "too few customers" in watching._told(few[0])
    assert alarm.share is not None


def test_a_report_says_the_same_of_its_month(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    run = open_run(OUTAGE, pack="monthly")
    found = run.early_warnings().set_index("level")
    pages = found.loc["Pages that took more than three seconds"]
    assert pages["verdict"] == "moved"
    assert pages["note"].startswith("alarm on ")
    assert "March 2025" in pages["note"]
    assert pages["conf_low"] < pages["estimate"] < pages["conf_high"]
    quiet = open_run("2025-06", pack="monthly").early_warnings().set_index("level")
    assert quiet.loc["Pages that took more than three seconds", "verdict"] != "moved"


def test_no_signal_and_faults_of_the_file(workspace: Path) -> None:
    path = workspace / "params" / "watch.yml"
    path.write_text("version: 1\n", encoding="utf-8")
    assert "names no signal" in cx(workspace).output
    path.write_text(
        "signals:\n  a:\n    title: A\n    table: interaction\n    time: started_at\n    bad: resolved\n    owner: x\n"
        "  b:\n    title: B\n    table: interactions\n    time: kind\n    bad: wait_seconds\n    owner: x\n",
        encoding="utf-8",
    )
    faults = " ".join(str(fault) for fault in params.check(workspace))
    for words in ("'interaction'", "interactions", "'kind' holds", "wait_seconds"):
        assert words in faults


def test_the_shipped_file_has_no_faults() -> None:
    assert params.load(ROOT).watch.signals
