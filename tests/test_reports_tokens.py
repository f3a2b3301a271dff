"""Tokens: made once, kept as digests, traded for sessions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxlib.cli import main
from cxlib.errors import UsageError
from cxlib.reports import tokens
from cxlib.reports.viewers import Asked


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def bearer(token: str) -> Asked:
    return Asked({"Authorization": f"Bearer {token}"}, "127.0.0.1", {})


def cookie(session: str, name: str = tokens.COOKIE) -> Asked:
    return Asked({}, "127.0.0.1", {name: session})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "tokens.yml"


def test_a_token_is_shown_once_and_its_digest_kept(file: Path) -> None:
    done = CliRunner().invoke(main, ["token", "ada", "--groups", "leadership, care", "--file", str(file)])
    assert done.exit_code == 0, done.output
    token = done.stdout.strip()
    text = file.read_text(encoding="utf-8")
    assert token not in text
    assert tokens.digest(token) in text
    assert [(one.name, one.groups) for one in tokens.read(file)] == [("ada", ("leadership", "care"))]
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0
    second = tokens.make(file, "bob", ())
    assert [one.name for one in tokens.read(file)] == ["ada", "bob"]
    assert second != token
    assert [path.name for path in file.parent.iterdir()] == ["tokens.yml"]


def test_a_name_is_a_name(file: Path) -> None:
    for name, groups in (("a,b", ()), ("", ()), ("ada", ("x\n",)), (" ada", ())):
        with pytest.raises(UsageError, match="cannot be the name"):
            tokens.make(file, name, groups)
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        "tokens: !!python/object/apply:os.system ['true']", "[", "tokens: [{name: ada}]", "- ada", "x: 1", "\x00",
        "tokens: [{name: ada, sha256: short}]", "tokens: [{name: ada, sha256: plain, token: secret}]",
    ],
)  # fmt: skip
def test_what_is_no_file_of_tokens_is_said_without_its_content(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"tokens.yml is no file of tokens") as fault:
        tokens.read(file)
    assert "secret" not in str(fault.value)
    with pytest.raises(UsageError, match="cannot be read"):
        tokens.read(file.parent / "none.yml")


def test_the_door_opens_to_a_token_and_its_sessions(file: Path) -> None:
    clock = Clock()
    ada, eve = tokens.make(file, "ada", ["insight"]), tokens.make(file, "eve", [])
    door = tokens.TokenDoor(file, ["insight"], hours=1, clock=clock)
    found = door.viewer(bearer(ada))
    assert (found.name, found.groups, found.everything) == ("ada", frozenset({"insight"}), True)
    assert door.viewer(bearer(eve)).everything is False
    for wrong in ("", "x", ada[:-1], ada + "x", tokens.digest(ada)):
        assert door.viewer(bearer(wrong)) is None
        assert door.enter(wrong) is None
    assert door.viewer(Asked({}, "127.0.0.1", {})) is None

    session, other = door.enter(f" {eve} "), door.enter(eve)
    assert session not in (None, other, eve)
    assert door.viewer(cookie(session)).name == door.viewer(cookie(session, tokens.SECURE_COOKIE)).name == "eve"
    door.leave(session)
    assert door.viewer(cookie(session)) is None
    assert door.viewer(cookie(other)).name == "eve"
    clock.now += 3601
    assert door.viewer(cookie(other)) is None


def test_who_is_taken_out_of_the_file_is_out(file: Path) -> None:
    clock, said = Clock(), []
    ada = tokens.make(file, "ada", [])
    door = tokens.TokenDoor(file, clock=clock, say=said.append)
    session = door.enter(ada)
    eve = tokens.make(file, "eve", [])
    assert door.viewer(bearer(eve)) is None  # not looked yet
    clock.now += 5
    assert door.viewer(bearer(eve)).name == "eve"
    file.write_text("[", encoding="utf-8")
    clock.now += 5
    assert door.viewer(bearer(ada)).name == "ada"
    assert len(said) == 1
    file.write_text("tokens: []\n", encoding="utf-8")
    clock.now += 5
    assert door.viewer(bearer(ada)) is door.viewer(cookie(session)) is None


def test_sessions_are_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_SESSIONS", 3)
    ada = tokens.make(file, "ada", [])
    door = tokens.TokenDoor(file)
    opened = [door.enter(ada) for _ in range(5)]
    assert [door.viewer(cookie(one)) is not None for one in opened] == [False, False, True, True, True]
