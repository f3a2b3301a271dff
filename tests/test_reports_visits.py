"""The audit log: a line each, files that move on, and a server that goes on without it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cxlib.reports import visits as visits_of
from cxlib.reports.visits import Visits


def test_a_line_is_one_object_whatever_was_asked(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "logs" / "serve.log.jsonl", print)
    visits.note("GET", viewer="ada", path='/a\n{"forged": 1}', status=404)
    visits.note("GET", path="/" + "x" * 10_000)
    first, second = (json.loads(line) for line in visits.path.read_text(encoding="utf-8").splitlines())
    assert (first["what"], first["viewer"], first["status"]) == ("GET", "ada", 404)
    assert first["at"].endswith("+00:00")
    assert len(second["path"]) == 300
    if os.name == "posix":
        assert visits.path.stat().st_mode & 0o077 == 0


def test_files_move_on_when_they_are_full_and_the_oldest_goes(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "log", print, most=1000)
    for number in range(400):
        visits.note("GET", number=number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log", *(f"log.{number}" for number in range(1, 10))]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    numbers = [
        json.loads(line)["number"]
        for name in [f"log.{number}" for number in range(9, 0, -1)] + ["log"]
        for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()
    ]
    assert numbers == list(range(numbers[0], 400))


def test_refusals_of_one_kind_are_counted(tmp_path: Path) -> None:
    now = [0.0]
    visits = Visits(tmp_path / "log", print, clock=lambda: now[0])

    def lines() -> list[dict[str, object]]:
        return [json.loads(line) for line in visits.path.read_text(encoding="utf-8").splitlines()]

    for number in range(1000):
        now[0] = number / 10
        visits.refused("GET", address="a", viewer="", status=401, path=f"/{number}")
    assert [(one["path"], one.get("times")) for one in lines()] == [("/0", None), ("/599", 599), ("/600", None)]
    visits.refused("GET", address="b", viewer="", status=401, path="/b")
    visits.refused("GET", address="a", viewer="", status=429, path="/c")
    assert [one["path"] for one in lines()[3:]] == ["/b", "/c"]
    now[0] += 60
    visits.tell()
    assert [(one["path"], one["times"]) for one in lines()[5:]] == [("/999", 399)]
    visits.refused("GET", address="a", viewer="", status=401, path="/d")
    visits.refused("GET", address="a", viewer="", status=401, path="/e")
    visits.tell(all_of_them=True)
    visits.tell(all_of_them=True)
    assert [(one["path"], one.get("times")) for one in lines()[6:]] == [("/d", None), ("/e", 1)]


def test_kinds_of_refusals_that_are_too_many_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits_of, "_KINDS", 3)
    visits = Visits(tmp_path / "log", print)
    for number in range(50):
        for _ in range(2):
            visits.refused("GET", address=str(number), viewer="", status=401)
    visits.tell(all_of_them=True)
    assert len(visits.path.read_text(encoding="utf-8").splitlines()) == 100


def test_what_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    visits = Visits(blocked / "log", said.append)
    for _ in range(3):
        visits.note("GET")
    assert len(said) == 1
    assert "audit log log cannot be written" in said[0]
    blocked.unlink()
    visits.note("GET")
    assert visits.path.is_file()
    visits.path.unlink()
    visits.path.mkdir()
    visits.note("GET")
    assert len(said) == 2  # again, after it had worked


@pytest.mark.skipif(os.name != "posix", reason="links need a right that users of Windows lack")
def test_a_log_that_is_read_only_takes_nobody_down(tmp_path: Path) -> None:
    said: list[str] = []
    visits = Visits(tmp_path / "log", said.append)
    visits.path.symlink_to("/dev/full")
    visits.note("GET")
    assert len(said) == 1
