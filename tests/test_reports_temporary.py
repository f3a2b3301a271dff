"""The folder of a server for what lasts no longer than it does."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from cxlib.reports import temporary


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> Path:
    os.utime(folder / "held", (1, 1))
    return folder


def test_it_goes_at_the_end_whatever_happens(parent: Path) -> None:
    def fails() -> None:
        with temporary.folder() as made:
            (made / "k1").mkdir()
            (made / "k1" / "kernel.json").write_text("{}", encoding="utf-8")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert list(parent.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_what_a_killed_server_left_goes_and_nothing_else(parent: Path) -> None:
    left, young, bare, other = (parent / name for name in ("cx-serve-a", "cx-serve-b", "cx-serve-c", "cx-other"))
    for folder in (left, young, bare, other):
        folder.mkdir()
        if folder != bare:
            (folder / "held").touch()
    (left / "k1").mkdir()
    aged(left), aged(other)
    (parent / "cx-serve-link").symlink_to(other)
    with temporary.folder() as first:
        assert not left.exists()
        aged(first)
        with temporary.folder() as second:
            assert first.is_dir()
            assert second != first
        assert not second.exists()
    assert young.is_dir()
    assert bare.is_dir()
    assert other.is_dir()
