"""Set-up by `tools/bootstrap.py`, without network: what it decides and says, and runs with a stand-in installer."""

from __future__ import annotations

import ast
import errno
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "bootstrap.py"
posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in installer is a shell script")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A tiny project in a folder with spaces and accents; its script asks for no disk space and, for speed, no pip."""
    root = tmp_path / "Ünï cödé dir"
    for folder in ("tools", "cxlib", "bin"):
        (root / folder).mkdir(parents=True)
    script = re.sub(r"NEEDED_BYTES = \S+", "NEEDED_BYTES = 0", SCRIPT.read_text(encoding="utf-8"))
    assert '"-m", "venv", ' in script
    script = script.replace('"-m", "venv", ', '"-m", "venv", "--without-pip", ')
    (root / "tools" / "bootstrap.py").write_text(script, encoding="utf-8")
    (root / "cxlib" / "__init__.py").write_text("", encoding="utf-8")
    (root / "pyproject.toml").write_text("[project]\nname = 'cxlib'\n", encoding="utf-8")
    (root / "requirements.lock").write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    return root


@pytest.fixture
def bootstrap(project: Path) -> ModuleType:
    """The module, as if it lay in the tiny project."""
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", project / "tools" / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(version: tuple[int, int, int] = (3, 11, 7), *, venv: bool = True, project: bool = True) -> dict[str, Any]:
    """What `probe` says about an interpreter."""
    return {"version": list(version), "venv": venv, "project": project, "path": "/usr/bin/python3"}


# -------------------------------------------------------------------------------------------- which state it is in


@pytest.fixture
def ready(bootstrap: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that looks whole, with its stamp."""
    monkeypatch.setattr(bootstrap, "probe", lambda command: python())
    venv = project / ".venv"
    site = venv / ("Lib/site-packages" if os.name == "nt" else "lib/python3.11/site-packages")
    (site / "pandas").mkdir(parents=True)
    bootstrap.write_stamp(project, venv)
    return venv


def test_a_stamped_environment_is_reused(bootstrap: ModuleType, project: Path, ready: Path) -> None:
    assert bootstrap.condition(project, ready) == ("ready", "")


def test_no_environment_and_no_stamp_mean_a_new_one(bootstrap: ModuleType, project: Path, ready: Path) -> None:
    assert bootstrap.condition(project, project / "nothing") == ("rebuild", "first set-up")
    (ready / "stamp.json").unlink()
    assert bootstrap.condition(project, ready) == ("rebuild", "an earlier set-up did not finish")


@pytest.mark.parametrize("garbage", ["", "[]", "{}", '{"python": [3, 11', "\x00"])
def test_a_damaged_stamp_means_a_new_environment(
    garbage: str, bootstrap: ModuleType, project: Path, ready: Path
) -> None:
    (ready / "stamp.json").write_text(garbage, encoding="utf-8")
    assert bootstrap.condition(project, ready)[0] == "rebuild"


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_means_an_update(
    name: str, bootstrap: ModuleType, project: Path, ready: Path
) -> None:
    (project / name).write_text("changed", encoding="utf-8")
    assert bootstrap.condition(project, ready)[0] == "update"


def test_a_moved_folder_means_a_new_environment(bootstrap: ModuleType, project: Path, ready: Path) -> None:
    moved = ready.rename(project / "elsewhere")
    assert bootstrap.condition(project, moved)[0] == "rebuild"


def test_a_missing_package_means_a_new_environment(bootstrap: ModuleType, project: Path, ready: Path) -> None:
    next(ready.rglob("pandas")).rmdir()
    assert bootstrap.condition(project, ready) == ("rebuild", "packages are missing from it")


@pytest.mark.parametrize("found", [{}, python((3, 12, 1)), python(project=False)])
def test_a_broken_or_replaced_python_means_a_new_environment(
    found: dict[str, Any], bootstrap: ModuleType, project: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "probe", lambda command: found)
    assert bootstrap.condition(project, ready)[0] == "rebuild"


def test_a_patch_release_of_python_is_no_reason(
    bootstrap: ModuleType, project: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "probe", lambda command: python((3, 11, 9)))
    assert bootstrap.condition(project, ready)[0] == "ready"


# --------------------------------------------------------------------------------------------------- which Python


def choose(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    monkeypatch.setattr(bootstrap, "probe", lambda command: found.get(" ".join(command), {}))
    return bootstrap.choose_python([[name] for name in ("here", "python3.11", "python3.12", "python3.13")])


def test_the_running_python_comes_first(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap.candidates()[0] == [sys.executable]
    assert bootstrap.candidates()[1:4] == [["python3.11"], ["python3.12"], ["python3.13"]]
    found = {"here": python((3, 13, 0)), "python3.11": python()}
    assert choose(bootstrap, monkeypatch, found)["version"] == [3, 13, 0]


@pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 13), (3, 14, 0), (2, 7, 18)])
def test_another_python_is_found_where_this_one_does_not_fit(
    version: tuple[int, int, int], bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"here": python(version), "python3.12": python((3, 12, 1))}
    assert choose(bootstrap, monkeypatch, found)["version"] == [3, 12, 1]


def test_no_fitting_python_is_told(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(bootstrap.Stop, match=r"Python 3\.11, 3\.12 or 3\.13 is needed; this is "):
        choose(bootstrap, monkeypatch, {"here": python((3, 8, 18))})


def test_a_missing_venv_module_is_told(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(bootstrap.Stop, match=r"no `venv` module(.|\n)*apt install python3-venv(.|\n)*python3\.11-venv"):
        choose(bootstrap, monkeypatch, {"here": python(venv=False)})
    found = {"here": python(venv=False), "python3.13": python((3, 13, 0))}
    assert choose(bootstrap, monkeypatch, found)["version"] == [3, 13, 0]


def test_a_real_interpreter_answers_and_others_do_not(bootstrap: ModuleType) -> None:
    assert bootstrap.probe([sys.executable])["version"] == list(sys.version_info[:3])
    assert bootstrap.probe(["no-such-python"]) == {}


# ----------------------------------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", ".venv"), "could not go on: .*Permission denied.*venv"),
        (KeyboardInterrupt(), "Run the same command again"),
    ],
)
def test_what_stops_the_set_up_is_told_plainly(
    raised: BaseException,
    says: str,
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(bootstrap, "set_up", fail)
    monkeypatch.setattr(bootstrap.signal, "signal", lambda *_: None)
    assert bootstrap.guarded(["test"]) != 0
    assert re.search(says, capsys.readouterr().out)


def test_too_little_disk_is_told_before_anything_is_made(
    bootstrap: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "NEEDED_BYTES", 10**18)
    with pytest.raises(bootstrap.Stop, match="GB are free"):
        bootstrap.build(project / ".venv", "rebuild", "first set-up", None)
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("Temporary failure in name resolution", "could not be fetched"),
        ("ERROR: No matching distribution found for numpy==2.4", "could not be fetched"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "differs from requirements.lock"),
    ],
)
def test_an_installers_words_are_explained(words: str, says: str, bootstrap: ModuleType) -> None:
    first = next(advice for pattern, advice in bootstrap.DIAGNOSES if re.search(pattern, words))
    assert says in first


def test_jobs_stop_at_the_first_failure_but_check_runs_all(
    bootstrap: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "import sys; open('ran', 'a').write(sys.argv[1]); sys.exit(int(sys.argv[1]))"
    programs = [[sys.executable, "-c", note, code] for code in ("0", "5", "0")]
    monkeypatch.setattr(bootstrap, "job", lambda *_: programs)
    assert bootstrap.run_job("test", project / ".venv", []) == 5  # pytest: no tests were collected
    assert (project / "ran").read_text() == "05"
    assert bootstrap.run_job("check", project / ".venv", []) == 5
    assert (project / "ran").read_text() == "05050"


def test_a_report_ends_with_its_page(bootstrap: ModuleType, project: Path) -> None:
    for made, period in ((200, "2026-10"), (300, "2026-09")):
        page = project / "reports" / "monthly" / period / "index.html"
        page.parent.mkdir(parents=True)
        page.touch()
        os.utime(page, (made, made))
    where = {since: Path(bootstrap.ending("report", 0, project, since)).parts[-2] for since in (100, 250, 400)}
    assert where == {100: "2026-10", 250: "2026-09", 400: "2026-10"}
    assert "failed" in bootstrap.ending("report", 6, project, 0)


def test_children_see_no_other_python(bootstrap: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET"):
        monkeypatch.setenv(name, "somewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "kept")
    env = bootstrap.clean_environment(project / ".venv")
    assert not {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET"} & set(env)
    assert env["PIP_INDEX_URL"] == "kept"
    assert env["VIRTUAL_ENV"] == str(project / ".venv")
    assert env["PATH"].startswith(str(project / ".venv"))


# -------------------------------------------------------------------------------------- whole runs, nothing fetched


def run(project: Path, *words: str, uv: str = "exit 0") -> subprocess.CompletedProcess[str]:
    """Run bootstrap.py to its end; `uv` is what the stand-in installer does, empty for none."""
    process = start(project, *words, uv=uv)
    out, _ = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out)


def start(project: Path, *words: str, uv: str = "exit 0") -> subprocess.Popen[str]:
    """Start bootstrap.py with a PATH that holds the stand-in installer, a few tools and no network."""
    tool = project / "bin" / "uv"
    tool.unlink(missing_ok=True)
    if uv:
        tool.write_text(f"#!/bin/sh\n{uv}\n", encoding="utf-8")
        tool.chmod(0o755)
    path = os.pathsep.join([str(project / "bin"), "/usr/bin", "/bin"])
    env = os.environ | {"PATH": path, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "LC_ALL": "C", "PYTHONPATH": "nowhere"}
    command = [sys.executable, str(project / "tools" / "bootstrap.py"), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=project)


@posix
def test_set_up_reuse_update_and_repair(project: Path) -> None:
    first = run(project, "env")
    assert first.returncode == 0, first.stdout
    assert [number for number in "12345" if f"[{number}/5]" in first.stdout] == list("12345")
    assert "Set-up finished" in first.stdout
    stamp = project / ".venv" / "stamp.json"
    made = stamp.stat().st_mtime_ns

    again = run(project, "env", uv="exit 1")  # an installer would fail: it is not called
    assert (again.returncode, stamp.stat().st_mtime_ns) == (0, made)
    assert "(ready)" in again.stdout

    where = "import cxlib, pathlib; print(ascii(str(pathlib.Path(cxlib.__file__).parent.parent)))"
    python = project / ".venv" / "bin" / "python"
    seen = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, cwd="/", env={"LC_ALL": "C"}, check=True
    )
    assert seen.stdout.strip() == ascii(str(project.resolve()))

    (project / "requirements.lock").write_text("", encoding="utf-8")
    updated = run(project, "env")
    assert updated.returncode == 0
    assert "changed" in updated.stdout
    assert "Making an environment" not in updated.stdout

    python.unlink()
    repaired = run(project, "env")
    assert repaired.returncode == 0
    assert "Making an environment" in repaired.stdout


@posix
def test_without_network_the_first_call_says_so(project: Path) -> None:
    script = project / "tools" / "bootstrap.py"  # pip itself has to fail
    script.write_text(script.read_text(encoding="utf-8").replace('"--without-pip", ', ""), encoding="utf-8")
    done = run(project, "test", uv="echo 'dns error'; exit 2")
    assert done.returncode == 1
    assert "uv could not; trying pip" in done.stdout
    assert "The packages could not be fetched. The first set-up needs the network" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project / ".venv" / "stamp.json").exists()


def wait_for(path: Path) -> None:
    """Wait until a stand-in installer has said that it runs."""
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


@posix
def test_an_interrupted_set_up_is_taken_up_again(project: Path) -> None:
    process = start(project, "env", uv='echo $$ > "$(dirname "$0")/pid"; exec sleep 60')
    wait_for(project / "bin" / "pid")
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    with pytest.raises(ProcessLookupError):  # the installer went with it
        os.kill(int((project / "bin" / "pid").read_text()), 0)
    assert not (project / ".venv" / "stamp.json").exists()
    done = run(project, "env")
    assert done.returncode == 0
    assert "an earlier set-up did not finish" in done.stdout


@posix
def test_a_second_set_up_waits_even_for_an_orphaned_installer(project: Path) -> None:
    here = '"$(dirname "$0")"'
    first = start(project, "env", uv=f"touch {here}/runs; while [ ! -e {here}/go ]; do sleep 0.05; done")
    wait_for(project / "bin" / "runs")
    first.kill()
    second = start(project, "env")
    assert second.stdout
    assert f"Another set-up of this folder is running (process {first.pid})" in second.stdout.readline()
    (project / "bin" / "go").touch()
    rest, _ = second.communicate(timeout=60)
    first.communicate()
    assert second.returncode == 0
    assert "an earlier set-up did not finish" in rest


def test_a_lock_file_left_behind_does_no_harm(bootstrap: ModuleType, project: Path) -> None:
    path = project / ".venv.lock"
    path.write_text("999999", encoding="utf-8")
    with bootstrap.only_one(path):
        assert path.read_text() == str(os.getpid())


# -------------------------------------------------------------------------------------------- the script, the lock


def test_old_pythons_can_read_the_script() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


def test_an_unknown_command_lists_the_known(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["raport"]) == 2
    assert set(re.findall(r"(?m)^  (\w+)", capsys.readouterr().out)) == set(bootstrap.COMMANDS)
    targets = re.search(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert targets
    assert set(targets[1].split()) - {"help"} <= set(bootstrap.COMMANDS)


def locked() -> list[tuple[str, str, Marker | None, int]]:
    """Return (name, version, marker, number of hashes) of each line of the lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = []
    for entry in re.findall(r"(?m)^([\w.-]+==.*(?:\\\n +--hash=sha256:[0-9a-f]{64} *)+)", text):
        requirement = Requirement(entry.split("\\")[0].strip())
        version = str(requirement.specifier).removeprefix("==")
        entries.append((canonicalize_name(requirement.name), version, requirement.marker, entry.count("--hash=")))
    assert len(entries) == len(re.findall(r"(?m)^[\w.-]+==", text)), "a line of the lock has no hash"
    return entries


def test_the_lock_names_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^ *-(?:i|-index-url|-extra-index-url|f|-find-links)\b", text, re.MULTILINE)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_lock_fits_the_project_on_every_python(python: str, system: str) -> None:
    """Each dependency that pyproject.toml names has exactly one locked version there, inside the declared range."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [Requirement(line) for line in [*project["dependencies"], *extras["dev"], *extras["e2e"]]]
    place = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system, "extra": ""}
    place["os_name"] = "nt" if system == "win32" else "posix"
    here = [(name, version) for name, version, marker, _ in locked() if marker is None or marker.evaluate(place)]
    for requirement in named:
        versions = [version for name, version in here if name == canonicalize_name(requirement.name)]
        assert len(versions) == 1, (
            f"{requirement} on Python {python}, {system}: {versions or 'not locked'}; compile the lock"
        )
        assert requirement.specifier.contains(versions[0]), (
            f"{requirement}, locked {versions[0]}: compile the lock again"
        )


def test_without_the_project_there_is_no_stamp(
    bootstrap: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "probe", lambda command: python(project=False))
    with pytest.raises(bootstrap.Stop, match="cannot find cxlib"):
        bootstrap.write_stamp(project, project / ".venv")


def test_the_stamp_is_written_whole(bootstrap: ModuleType, project: Path, ready: Path) -> None:
    stamp = json.loads((ready / "stamp.json").read_text(encoding="utf-8"))
    assert stamp["packages"] == ["pandas"]
    (next(ready.rglob("pandas")).parent / "pip-99.dist-info").mkdir()
    assert bootstrap.condition(project, ready)[0] == "ready"
    assert not (ready / "stamp.new").exists()
