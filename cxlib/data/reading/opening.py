"""One alias of a source opened: its files found fit, read once, and standing as views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa

from cxlib.data.reading import jsonl, views, workbook
from cxlib.data.reading.facts import COLUMN, FILE, LINE, REASON, ROW, TEXT, Read
from cxlib.data.reading.heads import needed, settle, titles
from cxlib.data.reading.packed import is_packed, sha256
from cxlib.data.reading.quoting import name, path_text, text
from cxlib.data.reading.relation import Relation, one_line
from cxlib.data.reading.stream import TextFile, TextStream, schema_of, why
from cxlib.data.reading.textfiles import of_one_spelling, text_files
from cxlib.params.intake import File

_SMALL = 64 << 20  # bytes of files whose rows keep their order; a larger file would take more memory for it
_PATH, _ROW_NUMBER = "cx path", "file_row_number"  # what the engine tells of a row of Parquet
_WRITING = "dictionary_size_limit 1000"  # ids and times are not worth a dictionary: a fifth of the work of writing
_FAULTS = (OSError, ValueError, LookupError, duckdb.Error, pa.ArrowException)


class UnfitError(Exception):
    """Files cannot be read; `faults` says why, a line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass
class Opening:
    """What the aliases of a source have in common while they are opened."""

    connection: duckdb.DuckDBPyConnection
    folder: Path
    scratch: Path
    executor: Executor
    zone: str
    checksums: dict[Path, str | Future[str]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def missing(self, alias: str, file: File) -> Read:
        """Make the views of an optional file that is not there."""
        columns = dict.fromkeys(_columns_of(file), "VARCHAR")
        views.stand_empty(self.connection, Relation(alias, file, columns, self.zone))
        return Read(alias, ())

    def open(self, alias: str, file: File, paths: list[Path]) -> Read:
        """Read the files of an alias, and make its views.

        Raises
        ------
        UnfitError
            With all that is wrong with the files as a whole.
        OSError, duckdb.IOException, duckdb.OutOfMemoryException
            Where the scratch disk is full, or memory.
        """
        readers: dict[str, Callable[[str, File, list[Path]], Read]]
        readers = {"parquet": self._parquet, "excel": self._excel, "jsonl": self._jsonl}
        try:
            return readers.get(file.format, self._text)(alias, file, paths)
        except duckdb.Error as error:
            if file.format != "parquet" and isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException)):
                raise  # the scratch disk, or memory: no fault of the file
            raise UnfitError([f"file {alias} ({file.path}) cannot be read: {_engine(error, file)}"]) from None

    def label(self, path: Path) -> str:
        """Return the name of a file relative to the folder."""
        return path.relative_to(self.folder).as_posix()

    def _labelled(self, paths: list[Path]) -> list[tuple[Path, str]]:
        """Return files with their names relative to the folder."""
        return [(path, self.label(path)) for path in paths]

    def _target(self) -> Path:
        """Return a new name in the scratch folder."""
        return self.scratch / f"{next(self.numbers)}.parquet"

    def _text(self, alias: str, file: File, paths: list[Path]) -> Read:
        """Open delimited text and plain lines."""
        files, faults = text_files(alias, file, self._labelled(paths))
        files, columns = of_one_spelling(files)
        relation = self._relation(alias, file, dict.fromkeys(columns, "VARCHAR"), faults)
        target = self._target()
        self._take(alias, files, columns, relation.sql, target)
        return self._stand(relation, [target], [(one.part.path, one.part.label) for one in files])

    def _jsonl(self, alias: str, file: File, paths: list[Path]) -> Read:
        """Open lines of JSON: once for their keys, once for their values."""
        files, faults = text_files(alias, file, self._labelled(paths))
        lines, target = self._target(), self._target()
        if faults:
            raise UnfitError(faults)
        self._take(alias, files, [LINE], jsonl.judged, lines)
        source = f"read_parquet({path_text(lines)})"
        try:
            keys = jsonl.keys(self.connection, source)
        except ValueError as error:
            raise UnfitError([f"file {alias} ({file.path}) cannot be read: {error}"]) from None
        found = [key.strip() or f"column{place}" for place, key in enumerate(keys, start=1)]
        columns, faults = settle(found or list(_columns_of(file)), file, f"file {alias} ({file.path})")
        relation = self._relation(alias, file, dict.fromkeys(columns, "VARCHAR"), faults)
        values = jsonl.columns(source, keys, columns, file) if keys else _nothing(columns, source)
        self._copy(relation.sql(f"({values})"), target, sum(path.stat().st_size for path in paths))
        lines.unlink()
        return self._stand(relation, [target], [(one.part.path, one.part.label) for one in files])

    def _excel(self, alias: str, file: File, paths: list[Path]) -> Read:
        """Open one sheet of each workbook, one workbook after the other."""
        faults: list[str] = []
        every: list[str] = []
        raw = []
        for number, path in enumerate(paths):
            where = f"file {alias} ({self.label(path)})"
            self.checksums.setdefault(path, self.executor.submit(sha256, path))
            try:
                sheet = workbook.open_sheet(path, file)
                head = workbook.sheet_head(sheet, file)
            except _FAULTS as error:
                faults.append(f"{where} cannot be read: {why(error)}")
                continue
            columns, wrong = settle(titles(head.cells, file), file, where)
            faults += wrong
            small = {column.lower() for column in every}
            every += [column for column in columns if column.lower() not in small]
            raw.append(self._target())
            batches = workbook.sheet_batches(sheet, head, columns, columns, file, number)
            if not wrong:
                self._drain(batches, schema_of(columns), lambda source: f"SELECT * FROM {source}", raw[-1], 0)
        relation = self._relation(alias, file, dict.fromkeys(every, "VARCHAR"), faults)
        target = self._target()
        self._copy(relation.sql(_parquet_files(raw)), target, 0)
        return self._stand(relation, [target], self._labelled(paths))

    def _parquet(self, alias: str, file: File, paths: list[Path]) -> Read:
        """Open Parquet where it lies, with its own types."""
        faults: list[str] = []
        for path in paths:
            where = f"file {alias} ({self.label(path)})"
            self.checksums.setdefault(path, self.executor.submit(sha256, path))
            try:
                faults += settle(list(self._describe([path])), file, where)[1]
            except _FAULTS as error:
                faults.append(f"{where} cannot be read: {why(error)}")
        if faults:
            raise UnfitError(faults)
        relation = self._relation(alias, file, self._describe(paths), [])
        places = f"list_position([{', '.join(text(str(path)) for path in paths)}], {name(_PATH)}) - 1"
        nothing = ", ".join(f"NULL::VARCHAR AS {name(mark)}" for mark in (COLUMN, REASON, TEXT))
        row = "NULL::BIGINT" if _ROW_NUMBER in relation.given else f"{_ROW_NUMBER} + 1"  # a column of the file's own
        marks = f"{row} AS {name(ROW)}, ({places})::INTEGER AS {name(FILE)}, {nothing}"
        columns = ", ".join(map(name, relation.given))
        source = f"(SELECT {columns}, {marks} FROM {_parquet_files(paths, more=f', filename = {text(_PATH)}')})"
        self.connection.execute(f"CREATE VIEW {relation.all} AS {relation.sql(source)}")
        return self._finish(relation, self._labelled(paths))

    def _describe(self, paths: list[Path]) -> dict[str, str]:
        """Return the columns of Parquet files, with their types."""
        found = self.connection.execute(f"DESCRIBE SELECT * FROM {_parquet_files(paths)}").fetchall()
        return {column: kind for column, kind, *_ in found}

    def _relation(self, alias: str, file: File, given: dict[str, str], faults: list[str]) -> Relation:
        """Return how the rows of an alias are read; raise with all that is wrong."""
        if faults:
            raise UnfitError(faults)
        relation = Relation(alias, file, given, self.zone)
        wrong = relation.faults(self.connection, f"file {alias} ({file.path})")
        if wrong:
            raise UnfitError(wrong)
        return relation

    def _take(
        self, alias: str, files: list[TextFile], columns: list[str], sql: Callable[[str], str], target: Path
    ) -> None:
        """Read text files into one Parquet file."""
        stream = TextStream(files, columns, self.executor, self.scratch)
        size = sum(path.stat().st_size * (10 if is_packed(path) else 1) for path in {one.part.path for one in files})
        self._drain(stream.batches(), stream.schema, sql, target, size)
        if stream.full:
            raise stream.full
        if stream.faults:
            raise UnfitError([f"file {alias} ({label}) cannot be read: {reason}" for label, reason in stream.faults])
        self.checksums |= stream.checksums
        for path in {one.part.path for one in files} - set(stream.checksums):
            self.checksums.setdefault(path, self.executor.submit(sha256, path))

    def _drain(
        self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, sql: Callable[[str], str], target: Path, size: int
    ) -> None:
        """Write a stream of batches as Parquet."""
        failed: list[Exception] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as error:  # the engine would hand on its words only
                failed.append(error)
                raise

        self.connection.register("cx stream", pa.RecordBatchReader.from_batches(schema, watched()))
        try:
            self._copy(sql(name("cx stream")), target, size)
        except duckdb.Error as error:
            raise (failed[0] if failed else error) from None
        finally:
            self.connection.unregister("cx stream")

    def _copy(self, sql: str, target: Path, size: int) -> None:
        """Write rows as Parquet."""
        self.connection.execute(f"SET preserve_insertion_order = {'true' if size < _SMALL else 'false'}")
        try:
            self.connection.execute(f"COPY ({sql}) TO {text(str(target))} (FORMAT parquet, {_WRITING})")
        finally:
            self.connection.execute("SET preserve_insertion_order = false")

    def _stand(self, relation: Relation, raw: list[Path], files: list[tuple[Path, str]]) -> Read:
        """Make the view of all rows of what was read, and those that go with it."""
        self.connection.execute(f"CREATE VIEW {relation.all} AS SELECT * FROM {_parquet_files(raw)}")
        return self._finish(relation, files)

    def _finish(self, relation: Relation, files: list[tuple[Path, str]]) -> Read:
        """Count the rows, and make the views."""
        read = Read(relation.alias, views.count(self.connection, relation, files))
        whole = read.rows == read.readable
        views.stand(self.connection, relation, files, whole=whole)
        return read


def _columns_of(file: File) -> list[str]:
    """Return the columns that a file should have, where it has none to tell."""
    return [LINE] if file.format == "text" else needed(file) or ["nothing"]


def _nothing(columns: list[str], source: str) -> str:
    """Return SQL for columns without a value, of lines that hold none."""
    marks = ", ".join(map(name, (ROW, FILE, COLUMN, REASON, TEXT)))
    return f"SELECT {', '.join(f'NULL::VARCHAR AS {name(c)}' for c in columns)}, {marks} FROM {source}"


def _parquet_files(paths: list[Path], *, more: str = "") -> str:
    """Return SQL for the rows of several Parquet files, by column name."""
    listed = ", ".join(map(path_text, paths))
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true{more})"


def _engine(error: duckdb.Error, file: File) -> str:
    """Say what the engine could not do, and what to do about it."""
    words = one_line(error)
    if isinstance(error, (duckdb.ConversionException, duckdb.InvalidInputException)) and file.leave_out:
        return f"a condition of leave_out ({', '.join(file.leave_out)}) fails on a row; use try_cast: {words}"
    return words
