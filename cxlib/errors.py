"""What can go wrong, said so that the reader can mend it.

Every error that a user may cause is a `CxError`: it says what is wrong, which value, how many, and what to do. The
command line prints it without a traceback and leaves with the error's own exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CxError(Exception):
    """Anything a user can cause and mend.

    Parameters
    ----------
    message
        What is wrong and which value.
    hint
        What to do about it, one sentence; shown on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ParamsError(CxError):
    """Faults in `params/`, every one of them in `faults`, listed at once."""

    exit_code = 3

    def __init__(self, faults: Iterable[object]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = f"{count} {'fault' if count == 1 else 'faults'} in params/:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in self.faults)]))


class UsageError(CxError):
    """An argument of a command or a function that cannot be used."""

    exit_code = 2


class SourceError(CxError):
    """A raw file or a source's SQL that cannot be read."""

    exit_code = 4


class StoreError(CxError):
    """The store or its ledger: locked, missing, damaged, or an unknown snapshot."""

    exit_code = 5


class RunError(CxError):
    """A notebook of a run failed; the last good report stands."""

    exit_code = 6


class BusyError(RunError):
    """Another process is making the same report; nothing is wrong, and later it can be had."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h, as 70 for a defect is EX_SOFTWARE


class DisclosureError(CxError):
    """Something that may not be published was about to be."""

    exit_code = 7


class DifferenceError(CxError):
    """A published report that cannot be reproduced to the digit."""

    exit_code = 8


class AlarmError(CxError):
    """A new alarm of `cx watch`, where that was to be told by the exit code."""

    exit_code = 9


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest of `known`, whatever its case, or an empty text."""
    small = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), small, n=1, cutoff=0.6)
    return f"; did you mean '{small[near[0]]}'?" if near else ""
