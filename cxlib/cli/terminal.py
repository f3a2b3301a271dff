"""What the commands of `cx` print, and how they end: tables, steps and progress, refusals and defects."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

import click

from cxlib.errors import CxError, StoreError

if TYPE_CHECKING:
    from cxlib.reports.runner import Progress

TERMINATED, UNEXPECTED = 143, 70


def workspace() -> Path:
    """Return the workspace that the running command is for."""
    from cxlib.params import find_workspace

    return find_workspace(click.get_current_context().obj["workspace"])


def relative(path: Path) -> str:
    """Name a path from where the reader stands; in full from outside."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Tell steps of a longer command: with a spinner on a terminal, a line each in a log."""
    with _native_words_aside() as out:
        if not out.isatty():
            yield lambda words: click.echo(words, file=out)
            return
        from rich.console import Console

        with Console(file=out).status("") as status:
            yield lambda words: status.update(words)


@contextmanager
def notes_of_failures() -> Iterator[None]:
    """Tell what an error carries beside its message where nobody else would, as the state of the store at Ctrl-C."""
    try:
        yield
    except CxError:
        raise
    except BaseException as error:
        for note in getattr(error, "__notes__", ()):
            click.echo(note, err=True)
        if "Query interrupted" in str(error):  # what DuckDB makes of Ctrl-C
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _native_words_aside() -> Iterator[IO[str]]:
    """Yield the reader's stderr, and keep from it what compiled libraries write there by themselves.

    At a full disk the store's own library prints hundreds of lines of its inner state before it raises its error.
    """
    import tempfile

    try:
        own = sys.stderr.fileno()
    except (OSError, ValueError):  # already somebody's buffer
        yield sys.stderr
        return
    sys.stderr.flush()
    reader = os.fdopen(os.dup(own), "w", encoding="utf-8", errors="replace", buffering=1)
    with reader as out, tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), own)
        try:
            yield out
        finally:
            sys.stderr.flush()
            os.dup2(out.fileno(), own)


@contextmanager
def progress(reports: int = 1) -> Iterator[Progress]:
    """Tell the cells of every notebook: bars on a terminal, of several reports with the time left; lines in a log.

    What is told without a notebook is what became of a report.
    """
    if not sys.stderr.isatty():
        yield _line if reports == 1 else _report_line
        return
    from cxlib.cli.bars import Bars

    with Bars(reports) as bars:
        yield bars.tell


def _line(_period: str, name: str, done: int, cells: int, state: str) -> None:
    """Tell one step of a notebook as a line of a log."""
    if not name:  # of one report the command itself tells what became of it
        return
    words = f"cell {done} of {cells}" if state == "running" else state
    _log(f"{name}: {words}" if done else f"{name}: started")


def _report_line(period: str, name: str, _done: int, _cells: int, state: str) -> None:
    """Tell what became of notebooks and reports, not of cells: years of reports have ten thousands of these."""
    if not name:
        _log(f"{period}: {state}")
    elif state != "running":
        _log(f"{period} {name}: {state}")


def _log(line: str) -> None:
    """Write a line of a log; that nobody reads it any more, or its disk is full, is no reason to end a run."""
    with suppress(OSError):
        click.echo(line, err=True)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block like an interrupt, so that what is under way is taken back."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def refused(error: Exception) -> int:
    """Say which file the system refused, and what to do; 0 where it is something else."""
    advice = {
        errno.ENOSPC: "Free some space, then run the same command again.",
        errno.EDQUOT: "Free some space, then run the same command again.",
        errno.EACCES: "Ask for the right to it, or work where you have it.",
        errno.EPERM: "Ask for the right to it, or work where you have it.",
        errno.EROFS: "Work in a folder that can be written.",
    }
    if not isinstance(error, OSError) or error.errno not in advice:
        return 0
    where = f": {error.filename}" if error.filename else ""
    click.echo(f"error: {error.strerror or error}{where}", err=True)
    click.echo(advice[error.errno], err=True)
    return StoreError.exit_code


def unexpected(error: Exception, words: Sequence[str]) -> int:
    """Write the traceback of a defect to a file and say where it is."""
    import tempfile
    import traceback

    handle, name = tempfile.mkstemp(prefix="cx-error-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"cx {' '.join(words)}\n{''.join(traceback.format_exception(error))}")
    click.echo(f"error: something unexpected happened: {type(error).__name__}: {error}", err=True)
    click.echo(f"This is a defect of cx. The details are in {name}; send that file when you report it.", err=True)
    click.echo("cx --debug with the same command shows them here.", err=True)
    return UNEXPECTED
