"""Text files as one stream of Arrow batches: what can be read, what cannot, and the row in which each stands."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.data.reading.delimited import Rows, parse
from cxlib.data.reading.encoded import utf8
from cxlib.data.reading.facts import COLUMN, FILE, REASON, ROW, TEXT, Bad, Layout
from cxlib.data.reading.heads import Head
from cxlib.data.reading.packed import Part, blocks
from cxlib.data.reading.records import Cutter

_AHEAD = 8  # chunks in work
_FOREIGN = 10  # rows with letters of another encoding, and none of the declared one, that tell a wrong declaration
_HOPELESS = 10_000  # of these, after which it is not read to its end
_LEAST_FREE = 64 << 20  # bytes of disk that must stay
_MARKS = [(ROW, pa.int64()), (FILE, pa.int32()), (COLUMN, pa.string()), (REASON, pa.string()), (TEXT, pa.string())]


@dataclass(frozen=True)
class TextFile:
    """A stream of text whose header is known."""

    part: Part
    head: Head
    layout: Layout


def schema_of(columns: list[str]) -> pa.Schema:
    """Return the schema of a stream: text columns, and what is told of each row."""
    return pa.schema([*((column, pa.string()) for column in columns), *_MARKS])


@dataclass
class TextStream:
    """All text files of one alias, one after the other."""

    files: list[TextFile]
    columns: list[str]  # of all files
    executor: Executor
    scratch: Path
    checksums: dict[Path, str] = field(default_factory=dict)  # of the files that were read to their end
    faults: list[tuple[str, str]] = field(default_factory=list)  # label and reason of the others
    full: OSError | None = None  # the disk, so that reading was stopped

    @property
    def schema(self) -> pa.Schema:
        """The columns of all files as text, and what is told of each row."""
        return schema_of(self.columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows; what is wrong with a file as a whole is put into `faults`.

        Reading ends before it fills the disk, so that others find room to say so.
        """
        for number, file in enumerate(self.files):
            try:
                for batch in self._file(number, file):
                    free = shutil.disk_usage(self.scratch).free
                    if free < _LEAST_FREE:
                        self.full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.scratch))
                        return
                    yield batch
            except (OSError, ValueError, pa.ArrowException) as error:
                self.faults.append((file.part.label, why(error)))

    def _file(self, number: int, file: TextFile) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one file, in their order."""
        digest = hashlib.sha256() if file.part.hashed else None
        text = utf8(blocks(file.part, digest), file.layout.encoding)
        waiting: deque[Future[Rows]] = deque()
        base, foreign, letters = file.head.rows + 1, 0, False
        chunks = Cutter(file.layout).chunks(_without(text, file.head.size))
        while True:
            chunk = next(chunks, None)
            if chunk is not None:
                waiting.append(self.executor.submit(parse, chunk, file.layout))
            if not waiting:
                break
            if chunk is not None and len(waiting) < _AHEAD:
                continue
            rows = waiting.popleft().result()
            yield from _batches(rows, file.layout.columns, self.schema, number, base)
            base, foreign, letters = base + rows.records, foreign + rows.foreign, letters or rows.letters
            if foreign >= _HOPELESS and not letters:
                break
        if foreign >= _FOREIGN and not letters:
            raise ValueError(f"no letter beyond ASCII in it is {file.layout.encoding}; say its encoding in source.yml")
        if digest is not None:
            self.checksums[file.part.path] = digest.hexdigest()


def why(error: Exception) -> str:
    """Say in one line why a file cannot be read."""
    words = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return words.strip().splitlines()[0]


def _without(text: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield text without its first bytes."""
    for block in text:
        if size < len(block):
            yield block[size:]
        size = max(0, size - len(block))


def _batches(
    rows: Rows, columns: tuple[str, ...], schema: pa.Schema, number: int, base: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a chunk, and those that cannot be read."""
    if len(rows.places):
        yield row_batch(schema, dict(zip(columns, rows.columns, strict=True)), rows.places + base, number)
    if rows.bad:
        yield bad_batch([(place + base, bad) for place, bad in rows.bad], schema, number)
    if rows.uneven is not None:
        told = {COLUMN: rows.uneven.columns, REASON: rows.uneven.reasons, TEXT: rows.uneven.texts}
        yield row_batch(schema, told, rows.uneven.places + base, number)


def row_batch(
    schema: pa.Schema, given: dict[str, pa.Array], places: Sequence[int] | NDArray[np.int64], number: int
) -> pa.RecordBatch:
    """Return rows that can be read, each with its row in the file; columns that the file lacks are null."""
    return _batch(schema, given | {ROW: pa.array(places, pa.int64())}, number, len(places))


def bad_batch(bad: list[tuple[int, Bad]], schema: pa.Schema, number: int) -> pa.RecordBatch:
    """Return rows that cannot be read, each with its row in the file."""
    given = {
        ROW: pa.array([row for row, _ in bad], pa.int64()),
        COLUMN: pa.array([one.column for _, one in bad], pa.string()),
        REASON: pa.array([one.reason for _, one in bad], pa.string()),
        TEXT: pa.array([one.text for _, one in bad], pa.string()),
    }
    return _batch(schema, given, number, len(bad))


def _batch(schema: pa.Schema, given: dict[str, pa.Array], number: int, count: int) -> pa.RecordBatch:
    """Return a batch of one file; what is not given is null."""
    given = given | {FILE: pa.array(np.full(count, number, np.int32))}
    return pa.record_batch([given.get(f.name, pa.nulls(count, f.type)) for f in schema], schema=schema)
