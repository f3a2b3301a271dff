"""The examples of `docs/schedule.md` parse, call commands that exist, and pass their tool's own check where it is."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_docs import Block, blocks, cx_fault

from cxlib import errors
from cxlib.cli import INTERRUPTED, terminal
from cxlib.errors import CxError

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8")
HERE = "/srv/cx"
# systemd.unit, systemd.service, systemd.exec, systemd.kill, systemd.resource-control, systemd.timer
KEYS = {
    "Unit": {"Description", "Wants", "After", "StartLimitIntervalSec", "StartLimitBurst"},
    "Service": {
        "Type", "User", "ExecStart", "Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStartSec", "KillMode",
        "TimeoutStopSec", "MemoryMax", "OOMPolicy", "Nice", "PrivateTmp", "ProtectSystem", "ReadWritePaths",
        "NoNewPrivileges",
    },
    "Timer": {"OnCalendar", "Persistent", "RandomizedDelaySec"},
    "Install": {"WantedBy"},
}  # fmt: skip


def of(language: str) -> list[str]:
    return [block.body + "\n" for block in blocks(PAGE) if block.language == language]


def units() -> dict[str, str]:
    """Return the systemd units with their names, which stand above them."""
    names = re.findall(r"`/etc/systemd/system/(cx-month\.\w+)`:\n\n```ini", PAGE)
    return dict(zip(names, of("ini"), strict=True))


def words_of_cx(block: Block) -> list[list[str]]:
    """Return what follows `cx` wherever a command of it is called, in a script, a unit or a string of a program."""
    calls = re.findall(
        r"^(?!\s*#).*?(?:^|[\s\"/])cx ((?!=)[a-z]\w*(?: +(?:[\w.=-]+|\"[^\"]*\"|\{\w+\}))*)", block.body, re.M
    )
    return [re.findall(r"\"[^\"]*\"|\S+", call) for call in calls]


def test_every_call_of_cx_in_an_example_is_a_command_with_real_options() -> None:
    calls = [words for block in blocks(PAGE) if block.language != "text" for words in words_of_cx(block)]
    assert len(calls) > 8
    assert ["run", "monthly", "--period", '"$month"'] in calls
    assert ["run", "monthly", "--period", "{MONTH}"] in calls
    assert ["run", "monthly", "--period", '"${PERIOD:-last}"'] in calls
    assert [fault for words in calls if (fault := cx_fault(words, whole=True))] == []


def test_the_table_names_every_exit_code_and_no_other() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CxError)]
    ours = {kind.exit_code for kind in kinds if kind is not CxError}
    assert CxError.exit_code == 1, "it is never raised itself"
    named = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert named == ours | {0, INTERRUPTED, terminal.TERMINATED, terminal.UNEXPECTED, 128 + 9}


def test_the_units_have_known_keys_only() -> None:
    assert set(units()) == {"cx-month.service", "cx-month.timer"}
    for text in units().values():
        unit = configparser.ConfigParser(interpolation=None, delimiters=["="], strict=True)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(text)
        for section in unit.sections():
            assert set(unit[section]) <= KEYS[section], section
    assert f"ExecStart={HERE}/month.sh" in units()["cx-month.service"]


def test_no_code_that_needs_somebody_is_tried_again_by_systemd() -> None:
    prevented = re.search(r"^RestartPreventExitStatus=(.*)$", units()["cx-month.service"], re.MULTILINE)
    assert prevented
    alert = r"^\| (\d+) \|[^|]*\| alert"
    assert set(prevented[1].split()) == set(re.findall(alert, PAGE, re.MULTILINE))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """The script and the user of the example are not here, so that a file that is stands in; all else is as shown."""
    for name, text in units().items():
        there = text.replace(f"{HERE}/month.sh", "/bin/true").replace("User=cx", "User=root")
        (tmp_path / name).write_text(there, encoding="utf-8")
    paths = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "cx-month" in line], done.stderr
    when = re.search(r"^OnCalendar=(.*)$", units()["cx-month.timer"], re.MULTILINE)
    assert when
    told = subprocess.run(["systemd-analyze", "calendar", when[1]], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert re.search(r"-0[2-6] 06:17:00", told.stdout), told.stdout


def cron_line() -> str:
    (table,) = of("crontab")
    (line,) = [line for line in table.splitlines() if re.match(r"[\d*]", line)]
    return line


def test_the_line_of_cron_is_one() -> None:
    minute, hour, days, months, weekdays, command = cron_line().split(maxsplit=5)
    assert (minute, hour, days, months, weekdays) == ("17", "6", "2-6", "*", "*")
    assert "%" not in command, "cron ends the command there"
    shell = shutil.which("sh")
    if shell:
        assert subprocess.run([shell, "-n", "-c", command], check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("crontab"), reason="cron is not installed")
def test_cron_takes_the_table(tmp_path: Path) -> None:
    (tmp_path / "table").write_text(of("crontab")[0], encoding="utf-8")
    for flag in ("-n", "-T"):  # Debian's and cronie's
        done = subprocess.run(["crontab", flag, str(tmp_path / "table")], capture_output=True, text=True, check=False)
        if "usage" not in done.stderr:
            assert done.returncode == 0, done.stderr
            return
    pytest.skip("this cron has no dry run")


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no POSIX shell")
@pytest.mark.parametrize("code", [0, 6, 75])
def test_the_script_and_the_line_of_cron_do_what_is_said_of_them(tmp_path: Path, code: int) -> None:
    """`cx` is a stand-in that tells what it was called with."""
    [script] = [text for text in of("sh") if text.startswith("#!/bin/sh")]
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    stand_in = f'#!/bin/sh\necho "cx $*"\n[ "$1" = ingest ] || exit {code}\n'
    for path, text in ((tmp_path / "month.sh", script), (tmp_path / ".venv" / "bin" / "cx", stand_in)):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    command = cron_line().split(maxsplit=5)[5].replace(HERE, str(tmp_path))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code
    log = (tmp_path / "month.log").read_text(encoding="utf-8")
    assert re.fullmatch(r"cx ingest\ncx run monthly --period \d{4}-\d\d\n", log)
    assert done.stdout == (log if code == 6 else "")


def workflow() -> dict[str, Any]:
    (found,) = [yaml.load(text, Loader=yaml.BaseLoader) for text in of("yaml")]
    return found


def test_the_workflow_has_what_the_page_says_of_it() -> None:
    found = workflow()
    assert set(found) == {"name", "on", "permissions", "concurrency", "jobs"}
    assert found["concurrency"] == {"group": "monthly-report", "cancel-in-progress": "false"}
    [schedule] = found["on"]["schedule"]
    assert len(schedule["cron"].split()) == 5
    steps = found["jobs"]["report"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert [step["uses"] for step in steps if "uses" in step] == [
        "actions/checkout@v4", "actions/setup-python@v5", "actions/cache@v4", "actions/upload-artifact@v4"
    ]  # fmt: skip
    assert "data" not in steps[-1]["with"]["path"]


@pytest.mark.parametrize("tool", ["actionlint", "action-validator"])
def test_the_workflow_passes_a_checker(tool: str, tmp_path: Path) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    path = tmp_path / ".github" / "workflows" / "report.yml"
    path.parent.mkdir(parents=True)
    path.write_text(of("yaml")[0], encoding="utf-8")
    done = subprocess.run([tool, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def dag() -> ast.Module:
    (text,) = of("py")
    return ast.parse(text)


def test_the_dags_name_notebooks_and_parameters_that_there_are() -> None:
    from cxlib.reports.execute import libraries
    from cxlib.reports.parameters import declared

    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in dag().body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
    }
    assert assigned["HERE"] == HERE
    assert assigned["BUSY"] == errors.BusyError.exit_code
    calls = [node for node in ast.walk(dag()) if isinstance(node, ast.Call)]
    [papermill] = [call for call in calls if getattr(call.func, "id", "") == "PapermillOperator"]
    given = {keyword.arg: keyword.value for keyword in papermill.keywords}
    assert isinstance(given["parameters"], ast.Dict)
    names = {key.value for key in given["parameters"].keys if isinstance(key, ast.Constant)}
    for name in assigned["NOTEBOOKS"]:
        notebook = libraries()[0].read(ROOT / "notebooks" / "monthly" / f"{name}.ipynb", as_version=4)
        assert names <= set(declared(notebook, name))


@pytest.mark.skipif(not shutil.which("airflow"), reason="Airflow is not on the path, in an environment of its own")
def test_airflow_loads_the_dags(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "cx.py").write_text(of("py")[0], encoding="utf-8")
    load = (
        "from airflow.dag_processing.dagbag import DagBag\n"
        f"bag = DagBag({str(tmp_path / 'dags')!r})\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "print('dags:', *sorted(bag.dags))\n"
    )
    python = Path(str(shutil.which("airflow"))).parent / "python"
    own = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run([python, "-c", load], env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "dags: cx_explore cx_month" in done.stdout
