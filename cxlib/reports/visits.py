"""The audit log: who looked at what, and what was refused and why; a JSON object a line."""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LONGEST = 300  # characters of one value: an address may be as long as its asker likes
MOMENT = 60.0  # seconds of which refusals of one kind are counted
_KINDS = 10_000
_BYTES, _KEPT = 10_000_000, 9


@dataclass
class _Refused:
    """A kind of refusal: since when it is counted, the last one, and how many after the first."""

    began: float
    what: str = ""
    more: dict[str, Any] = field(default_factory=dict)
    times: int = 0


class Visits:
    """Writes the log; what cannot be written is said once, and nobody is refused for it.

    Parameters
    ----------
    path
        The file; older ones stand beside it as `<name>.1` (the newest of them) to `<name>.9`.
    say
        Told where the log cannot be written.
    most
        Bytes of one file.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, path: Path, say: Callable[[str], object], most: int = _BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path, self._say, self._most, self._clock = path, say, most, clock
        self._refused: OrderedDict[tuple[object, ...], _Refused] = OrderedDict()
        self._failing = False

    def note(self, what: str, **more: str | int | float) -> None:
        """Add a line: the time, what happened, and its particulars; texts are cut where they are too long."""
        told = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in more.items()}
        entry = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "what": what, **told}
        line = (json.dumps(entry) + "\n").encode()
        try:
            self._write(line)
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._say(f"warning: the audit log {self.path.name} cannot be written: {error.strerror or error}")
            self._failing = True

    def refused(self, what: str, **more: str | int | float) -> None:
        """Add a line of a refusal; more of its kind within a minute are one line with the last and how many `times`.

        Of one kind are those of one address and viewer with one status and reason: nobody can flood the log.
        """
        self.tell()
        kind = tuple(more.get(name) for name in ("address", "viewer", "status", "reason"))
        if kind in self._refused:
            known = self._refused[kind]
            known.what, known.more, known.times = what, more, known.times + 1
            return
        self.note(what, **more)
        self._refused[kind] = _Refused(self._clock())
        if len(self._refused) > _KINDS:
            self._count(self._refused.popitem(last=False)[1])

    def tell(self, *, all_of_them: bool = False) -> None:
        """Add the lines of refusals that were counted for a minute, or until now."""
        now = self._clock()
        while self._refused and (all_of_them or now - next(iter(self._refused.values())).began >= MOMENT):
            self._count(self._refused.popitem(last=False)[1])

    def _count(self, found: _Refused) -> None:
        if found.times:
            self.note(found.what, **found.more, times=found.times)

    def _write(self, line: bytes) -> None:
        """Append a line, after the files have moved on where this one is full."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(handle).st_size + len(line) <= self._most:
                os.write(handle, line)
                return
        finally:
            os.close(handle)
        for number in range(_KEPT - 1, -1, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line)

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path
