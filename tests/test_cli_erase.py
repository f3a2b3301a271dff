"""`cx erase` says what it does, names nobody, and ends with a code that a schedule can act on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cxlib.cli import main
from cxlib.data.ledger import writer_lock

PERSON = "C0000021"


@pytest.fixture
def cx(demo_workspace, tmp_path) -> Callable[..., Result]:
    """Run a command in a copy of the demo."""
    root = Path(shutil.copytree(demo_workspace, tmp_path / "w"))

    def run(*words: str) -> Result:
        os.chdir(root)  # the folder of every test is its own, see conftest
        return CliRunner().invoke(main, list(words), catch_exceptions=False)

    return run


def test_what_is_erased_is_told_without_a_name(cx):
    said = cx("erase", PERSON)
    assert said.exit_code == 0
    lines = said.output.splitlines()
    assert any(line.startswith("erased from interactions: ") for line in lines)
    assert "rewritten: 1 snapshot, which keep their ids" in lines
    assert "found: nothing" in lines
    assert PERSON not in said.output
    assert "people were erased" in cx("snapshots", "0001").output
    again = cx("erase", PERSON)
    assert again.exit_code == 0
    assert "1 customer (erased before)" in again.output


def test_an_unknown_id_is_a_fault_of_the_command_line(cx):
    said = cx("erase", PERSON, "C8888888")
    assert said.exit_code == 2
    assert "1 of 2 ids are nobody's, the first: 'C8888888'" in said.output
    assert "Nothing was changed." in said.output
    assert cx("erase").exit_code == 2


def test_another_writer_is_a_reason_to_come_later(cx):
    with writer_lock(Path("data/store") if cx("check").exit_code else Path.cwd() / "data" / "store"):
        said = cx("erase", PERSON)
    assert said.exit_code == 75
    assert "is writing to" in said.output


def test_what_is_left_is_listed_and_ends_with_an_error(cx):
    cx("check")
    Path("data/list.txt").write_text(f"call {PERSON}\n", encoding="utf-8")
    said = cx("erase", PERSON)
    assert said.exit_code == 1
    assert "  left: data/list.txt (1)" in said.output
    assert "something is left of them in 1 places" in said.output
    Path("data/list.txt").unlink()
    assert cx("erase", PERSON).exit_code == 0
    assert not Path("data/erasing").exists()


def test_ids_may_come_from_a_file(cx):
    cx("check")
    Path("ids.txt").write_text(f"\ufeff{PERSON}\r\n\r\nC0000022 \r\n", encoding="utf-8")
    assert "\n2 customers" in cx("erase", "--from", "ids.txt", "--dry-run").output
    Path("ids.txt").write_text(f"{PERSON}\nC8888888\n", encoding="utf-8")
    said = cx("erase", "--from", "ids.txt", "--dry-run")
    assert "\n1 of them is nobody's here, and would be remembered: no export brings them\n" in said.output
    assert "C8888888" not in said.output
    assert cx("erase", "C8888888", "--from", "ids.txt").exit_code == 2
    Path("ids.txt").write_bytes(b"\xff\xfe\x00")
    assert "is no text in UTF-8" in cx("erase", "--from", "ids.txt").output
