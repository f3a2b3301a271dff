"""What an ingest takes in: a source's files through its SQL, or a workbook of refused rows that a person mended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from cxlib.contract import TABLES
from cxlib.data import queries
from cxlib.data.mended import read_mended
from cxlib.data.queries import Query
from cxlib.data.reading import Read
from cxlib.data.rules import shape
from cxlib.data.sources import connect, open_source
from cxlib.errors import SourceError
from cxlib.params.models import Params, Source


@dataclass(frozen=True)
class Feed:
    """A view of raw rows for each table, and all that is known of where they come from."""

    connection: duckdb.DuckDBPyConnection
    queries: Sequence[Query]
    aliases: Sequence[str]  # relations whose twins "<alias> placed" know file and row
    checksums: Mapping[str, str]  # label -> SHA-256 of everything that the batch is made of
    check: Callable[[], None]  # raises where a file changed while it was read
    whole: bool = True  # all that the source has to say now, not some rows of it
    files: Mapping[str, Read] = field(default_factory=dict)
    notes: Sequence[str] = ()


@contextmanager
def of_files(root: Path, params: Params, source: Source, folder: Path, scratch: Path) -> Iterator[Feed]:
    """Open a source's files, and its SQL over them.

    Raises
    ------
    SourceError
        With all that is wrong with the files, or with all that is wrong with the SQL.
    """
    sql = root / "params" / "sources" / source.id
    with open_source(source, folder, scratch=scratch) as opened:
        found = queries.read(opened.connection, sql, source, params.workspace.attributes)
        scores = [f"{alias}_scores" for alias, file in source.files.items() if file.questions]
        sums = {**opened.checksums, **_said(sql)}
        yield Feed(
            opened.connection,
            found,
            [*source.files, *scores],
            sums,
            opened.check_unchanged,
            files=opened.read,
            notes=opened.notes,
        )


@contextmanager
def of_mended(root: Path, params: Params, source: Source, path: Path, scratch: Path) -> Iterator[Feed]:
    """Open a workbook, or a CSV file named after a table, whose rows a person mended.

    Raises
    ------
    SourceError
        Where it cannot be read, with all that is wrong with it.
    """
    sql = root / "params" / "sources" / source.id
    filled = {path.name.split(".")[0] for path in sql.glob("*.sql")}
    shapes = {table: shape(table, params.workspace.attributes) for table in TABLES if table in filled}
    before = _checksum(path)
    connection = connect(scratch)
    try:
        found = read_mended(connection, path, shapes)

        def check() -> None:
            if _checksum(path) != before:
                raise SourceError(f"{path.name} changed while it was read", hint="Save it, close it, and try again.")

        aliases = [f"mended {query.table.name}" for query in found]
        yield Feed(connection, found, aliases, {f"mended/{path.name}": before}, check, whole=False)
    finally:
        connection.close()


def _said(sql: Path) -> dict[str, str]:
    """Return the SHA-256 of what the source says of itself: SQL and source.yml."""
    said = [path for path in sorted(sql.iterdir()) if path.suffix in (".sql", ".yml", ".yaml")]
    return {f"params/{path.name}": _checksum(path) for path in said}


def _checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
