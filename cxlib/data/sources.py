"""Raw files as DuckDB views: what a tool exported, read as `source.yml` says and never guessed at.

Text formats are text throughout: only the empty field is missing, `NA` and `None` stay words, and `source.yml` says
which columns are times or numbers. Parquet keeps its types. Every row ends as readable, left out or unreadable; what is
wrong with the files as a whole is said at once.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cxlib.data.reading import FileRead, Read
from cxlib.data.reading.opening import Opening, UnfitError
from cxlib.data.reading.quoting import name, text
from cxlib.data.reading.views import prepare
from cxlib.errors import SourceError, did_you_mean
from cxlib.params.models import File, Source

__all__ = ["MEMORY_LIMIT", "FileRead", "Opened", "Read", "connect", "name", "open_source", "reason", "text"]

MEMORY_LIMIT = "1GB"
_THREADS = 4  # that cut text into columns beside the engine's own


@dataclass(frozen=True)
class Stamp:
    """What tells a file that was written to from one that was not."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Look at a file."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@dataclass(frozen=True)
class Opened:
    """A source whose files stand as views, one per alias, in `connection`.

    Beside the view of an alias stand `<alias> placed`, which adds `_file` and `_row`, and for a survey
    `<alias>_scores`, with a row per answer, and `<alias>_scores placed`. The table `unreadable` has the rows that
    cannot be read, with file, row, column, reason and text.
    """

    connection: duckdb.DuckDBPyConnection
    files: tuple[Path, ...]  # all that were found
    notes: tuple[str, ...]  # optional files that are missing, and files without a row
    read: Mapping[str, Read] = field(default_factory=dict)  # alias -> its files, with their rows
    checksums: Mapping[str, str] = field(default_factory=dict)  # file, relative to the folder -> SHA-256
    stamps: Mapping[str, tuple[Path, Stamp]] = field(default_factory=dict)

    def check_unchanged(self) -> None:
        """Make sure that the raw files are what they were when they were read.

        Raises
        ------
        SourceError
            Naming each file that has changed since, or is gone.
        """
        changed = []
        for label, (path, stamp) in self.stamps.items():
            try:
                same = Stamp.of(path) == stamp
            except OSError:
                same = False
            if not same:
                changed.append(label)
        if changed:
            raise SourceError(
                f"{', '.join(changed)} changed while being read",
                hint="Nothing was written. Wait until the export is complete, then run the same command again.",
            )


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that spills into `scratch`, thinks in UTC and never fetches an extension."""
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    connection.execute("SET enable_progress_bar = false")  # a notebook would show it
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")  # sorted where order counts
    connection.execute(f"SET memory_limit = {text(MEMORY_LIMIT)}; SET temp_directory = {text(str(scratch))}")
    return connection


@contextmanager
def open_source(source: Source, folder: Path, *, scratch: Path | None = None) -> Iterator[Opened]:
    """Open a source's files as views, one per alias.

    Parameters
    ----------
    source
        Its `source.yml`.
    folder
        Where the raw files lie.
    scratch
        An existing folder for what does not fit into memory; default: the system's.

    Yields
    ------
    Opened
        All columns of text formats are VARCHAR, but for `times`: a moment or a date. A missing optional file is an
        empty view with its declared columns, and a note.

    Raises
    ------
    SourceError
        With every missing or unreadable file and every missing column, listed at once.
    """
    if not folder.is_dir():
        raise SourceError(
            f"source {source.id}: there is no folder {folder}",
            hint=f"Put the raw files there, or name their folder: cx ingest {source.id} --from FOLDER",
        )
    work = Path(tempfile.mkdtemp(dir=scratch, prefix="source-"))
    connection = connect(work)
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="cx-read")
    try:
        yield _open(source, folder, Opening(connection, folder, work, executor, source.timezone))
    finally:
        executor.shutdown(cancel_futures=True)
        connection.close()
        shutil.rmtree(work, ignore_errors=True)


def _open(source: Source, folder: Path, opening: Opening) -> Opened:
    """Make the views, or raise with all that is wrong."""
    notes: list[str] = []
    faults: list[str] = []
    read: dict[str, Read] = {}
    stamps: dict[str, tuple[Path, Stamp]] = {}
    prepare(opening.connection)
    for alias, file in source.files.items():
        try:
            paths = _look(alias, file, source, folder)
            stamps |= {opening.label(path): (path, Stamp.of(path)) for path in paths}
            read[alias] = opening.open(alias, file, paths) if paths else opening.missing(alias, file)
        except UnfitError as error:
            faults += error.faults
            continue
        if not paths:
            notes.append(f"optional file {alias} ({file.path}) is not there: taken as empty")
        elif not read[alias].rows:
            notes.append(f"file {alias} ({file.path}) has a header and no rows")
    if faults:
        raise SourceError("\n".join([f"source {source.id}, folder {folder}:", *(f"  {fault}" for fault in faults)]))
    sums = {label: _sum(opening.checksums[path]) for label, (path, _) in stamps.items()}
    files = tuple(path for path, _ in stamps.values())
    return Opened(opening.connection, files, tuple(notes), read, sums, stamps)


def _look(alias: str, file: File, source: Source, folder: Path) -> list[Path]:
    """Return the files of an alias; raise UnfitError where they must be there and are not."""
    where = f"file {alias} ({file.path})"
    try:
        paths = _find(folder, file.path)
        if not paths and not file.optional:
            taken = {other.path for other in source.files.values()}
            raise UnfitError([f"{where} is missing{_near_file(folder, file.path, taken)}"])
    except (OSError, ValueError, NotImplementedError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or error
        raise UnfitError([f"{where} cannot be looked for: {words}"]) from None
    return paths


def _sum(found: str | Future[str]) -> str:
    """Return a checksum, when it is there."""
    return found if isinstance(found, str) else found.result()


def _find(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a name or a glob, sorted."""
    exact = folder / pattern
    return [exact] if exact.is_file() else sorted(path for path in folder.glob(pattern) if path.is_file())


def _near_file(folder: Path, pattern: str, taken: Collection[str]) -> str:
    """Suggest the file that was probably meant: none that has its own place in the source."""
    return did_you_mean(pattern, [path.name for path in folder.iterdir() if path.is_file() and path.name not in taken])


def reason(error: BaseException) -> str:
    """Say in one line what went wrong in the engine, but no content of a row."""
    message = str(error).strip()
    return re.sub(r"\s+", " ", message.splitlines()[0]) if message else type(error).__name__
