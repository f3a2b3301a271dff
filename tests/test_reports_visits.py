"""The audit log: a line each, files that move on, and a server that goes on without it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

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
