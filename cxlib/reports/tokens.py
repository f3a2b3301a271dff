"""Tokens: who may look, in a file that holds their digests and no token, and the door that opens to them.

A token has 256 random bits, so its plain SHA-256 can be neither guessed nor looked up. A browser trades its token for
a session: a random name in a cookie, known to this server alone, gone with a logout, a restart or the token itself.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from cxlib.errors import UsageError
from cxlib.params.base import Model, Name
from cxlib.reports.viewers import Asked, Viewer, is_name

COOKIE = "cx"
SECURE_COOKIE = "__Host-cx"  # a browser takes it over https alone, and from no other host
_PREFIX = "cx_"  # by which a scanner for secrets knows one
_SESSIONS = 10_000
_LOOK = 1.0  # seconds between two looks at the file


class Known(Model):
    """One entry of the file: a viewer and the digest of a token."""

    name: Name
    groups: tuple[Name, ...] = ()
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Tokens(Model):
    """The file."""

    tokens: tuple[Known, ...] = ()


def digest(token: str) -> str:
    """Return what the file keeps of a token."""
    return sha256(token.encode()).hexdigest()


def read(path: Path) -> tuple[Known, ...]:
    """Return the entries of a file of tokens.

    Raises
    ------
    UsageError
        Where it cannot be read or is no such file.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
        return Tokens.model_validate(content or {}).tokens
    except OSError as error:
        raise UsageError(
            f"the file of tokens {path.name} cannot be read: {error.strerror}",
            hint=f"Make a token: cx token NAME --file {path.name}",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError):
        raise UsageError(
            f"{path.name} is no file of tokens",
            hint="It says `tokens:` and for each of them `name`, `groups` and `sha256`; cx token writes it.",
        ) from None


def make(path: Path, name: str, groups: Collection[str]) -> str:
    """Add a token to a file, which is made where there is none, and return the token: it is kept nowhere.

    Raises
    ------
    UsageError
        For a name or a group that cannot be one, or a file that cannot be used.
    """
    wrong = [one for one in (name, *groups) if not is_name(one)]
    if wrong:
        raise UsageError(f"{wrong[0]!r} cannot be the name of a viewer or a group: no commas, no blanks at its ends")
    known = read(path) if path.exists() else ()
    token = _PREFIX + secrets.token_urlsafe(32)
    entries = [*known, Known(name=name, groups=tuple(groups), sha256=digest(token))]
    content = {"tokens": [one.model_dump(mode="json") for one in entries]}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"the file of tokens {path.name} cannot be written: {error.strerror}") from None
    return token


@dataclass(frozen=True)
class _Session:
    sha256: str  # of the token that it was opened with
    until: float


class TokenDoor:
    """The door that opens to tokens: in the Authorization header, or to the cookie that a login gave for one.

    Parameters
    ----------
    path
        The file; who is taken out of it is out some seconds later.
    see_everything
        Groups whose viewers see every report.
    hours
        How long a session lasts.
    say
        Told where the file cannot be read any more; who was known stays so.
    clock
        Seconds that only grow.
    """

    login = True

    def __init__(
        self,
        path: Path,
        see_everything: Collection[str] = (),
        hours: float = 12,
        say: Callable[[str], object] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._everything, self._seconds = path, see_everything, hours * 3600
        self._say, self._clock = say, clock
        self._known, self._mark, self._next = read(path), self._stamp(), clock() + _LOOK
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def _stamp(self) -> tuple[int, int, int] | None:
        """Return what tells a file that was written anew."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _look(self) -> tuple[Known, ...]:
        """Return the entries of the file, read anew where it has changed."""
        if self._clock() >= self._next:
            self._next, mark = self._clock() + _LOOK, self._stamp()
            if mark != self._mark:
                self._mark = mark
                try:
                    self._known = read(self._path)
                except UsageError as error:
                    self._say(f"warning: {error.message}; the tokens known before stay valid")
        return self._known

    def viewer(self, asked: Asked) -> Viewer | None:
        """Return whose token or session comes with a request."""
        kind, _, token = asked.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._viewer(digest(token.strip()))
        session = self._sessions.get(asked.cookies.get(SECURE_COOKIE) or asked.cookies.get(COOKIE) or "")
        return self._viewer(session.sha256) if session and session.until > self._clock() else None

    def _viewer(self, found: str) -> Viewer | None:
        """Return whose digest it is; every entry is compared, so time tells nothing."""
        mine = [one for one in self._look() if hmac.compare_digest(one.sha256, found)]
        if not mine:
            return None
        return Viewer(mine[0].name, frozenset(mine[0].groups), not set(self._everything).isdisjoint(mine[0].groups))

    def enter(self, token: str) -> str | None:
        """Open a session for a token; return its name, or None for no token of ours."""
        found = digest(token.strip())
        if not re.fullmatch(r"[\x21-\x7e]{1,200}", token.strip()) or self._viewer(found) is None:
            return None
        name = secrets.token_urlsafe(32)
        self._sessions[name] = _Session(found, self._clock() + self._seconds)
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return name

    def leave(self, session: str) -> None:
        """End a session."""
        self._sessions.pop(session, None)
