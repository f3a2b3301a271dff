"""Files below a folder, and no other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxlib.reports import inside


@pytest.fixture(params=["walked", "resolved"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "walked" and not inside._BY_FOLDER:
        pytest.skip("this system cannot open below a folder")
    monkeypatch.setattr(inside, "_BY_FOLDER", request.param == "walked")
    root = tmp_path / "Ünï" / "reports"
    (root / "toy").mkdir(parents=True)
    (root / "toy" / "a.html").write_text("inside", encoding="utf-8")
    (root.parent / "secret").write_text("outside", encoding="utf-8")
    return root


def test_a_file_below_is_opened(root: Path) -> None:
    with inside.opened(root, "toy", "a.html") as file:
        assert file.read() == b"inside"


@pytest.mark.parametrize(
    "parts",
    [
        (), ("toy",), ("..", "secret"), ("toy", "..", "..", "secret"), ("toy/../../secret",), ("/etc/passwd",), ("",),
        ("toy", ""), (".", "toy", "a.html"), ("toy", "b.html"), ("toy", "a.html", "x"), ("toy\\a.html",),
        ("toy", "a\0"),
    ],
)  # fmt: skip
def test_nothing_else_is(root: Path, parts: tuple[str, ...]) -> None:
    with pytest.raises(FileNotFoundError):
        inside.opened(root, *parts)


@pytest.mark.skipif(os.name != "posix", reason="links need a right that users of Windows lack")
def test_no_link_is_followed(root: Path) -> None:
    (root / "file").symlink_to(root.parent / "secret")
    (root / "folder").symlink_to(root.parent)
    (root / "near").symlink_to(root / "toy")
    os.mkfifo(root / "pipe")
    for parts in (("file",), ("folder", "secret"), ("near", "a.html"), ("pipe",)):
        with pytest.raises(FileNotFoundError):
            inside.opened(root, *parts)


def test_no_handle_is_left_open(root: Path) -> None:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not list open files")
    before = len(list(folder.iterdir()))
    for parts in (("toy",), ("toy", "none"), ("none", "x")) * 20:
        with pytest.raises(FileNotFoundError):
            inside.opened(root, *parts)
    assert len(list(folder.iterdir())) == before
