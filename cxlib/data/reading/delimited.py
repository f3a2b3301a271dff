"""Chunks of text as Arrow columns of text, each row with its place in the chunk, on all processors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from cxlib.data.reading.facts import Bad, Layout
from cxlib.data.reading.records import Chunk
from cxlib.data.reading.salvage import Salvager

_WINDOW = 256  # records that are tested for their encoding at once
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13
_BOM = b"\xef\xbb\xbf"
Places = NDArray[np.int64]
Span = tuple[int, int, Bad]


@dataclass(frozen=True)
class Rows:
    """The rows of a chunk; a place counts records from 0 at the chunk's beginning, blank lines among them."""

    columns: list[pa.Array]
    places: Places
    bad: list[tuple[int, Bad]]  # each with its place
    records: int  # good, bad and blank
    foreign: int  # rows with bytes that the encoding does not know
    letters: bool  # whether readable rows hold letters beyond ASCII


@dataclass
class _Records:
    """The good records of a chunk, and where bad ones were taken out."""

    data: bytes
    starts: Places
    bad: list[tuple[int, Bad]]

    def take_out(self, spans: list[Span], starts: Places) -> None:
        """Take out bad records; `starts` are those of the records that stay."""
        begins, ends = np.array([(start, end) for start, end, _ in spans], np.int64).reshape(-1, 2).T
        gone = np.concatenate([[0], np.cumsum(ends - begins)])
        # What was taken out at a place before stood in front of the record there.
        order = [(at, 0, row) for at, row in self.bad] + [(start, 1, row) for start, _, row in spans]
        order.sort(key=lambda one: one[:2])
        self.bad = [(at - int(gone[np.searchsorted(begins, at)]), row) for at, _, row in order]
        self.starts = starts - gone[np.searchsorted(begins, starts)]
        edges = [0, *(edge for start, end, _ in spans for edge in (start, end)), len(self.data)]
        self.data = b"".join(self.data[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2))

    def blank(self) -> NDArray[np.bool_]:
        """Say of each record whether it is a blank line."""
        codes = np.frombuffer(self.data, np.uint8)
        sizes = np.diff(self.starts, append=len(self.data))
        first, second = codes[self.starts], codes[np.minimum(self.starts + 1, len(codes) - 1)]
        alone = (sizes == 1) & ((first == _NEWLINE) | (first == _RETURN))
        return alone | ((sizes == 2) & (first == _RETURN) & (second == _NEWLINE))


def parse(chunk: Chunk, layout: Layout) -> Rows:
    """Read the records of a chunk.

    Parameters
    ----------
    chunk
        Whole records.
    layout
        How they are cut into columns.

    Returns
    -------
    Rows
        Every record is among its rows, its bad ones, or blank.
    """
    records = _Records(chunk.data, _starts(chunk.data, layout) if chunk.starts is None else chunk.starts, [*chunk.bad])
    foreign = _foreign(records, layout)
    if foreign:
        bad = {start for start, *_ in foreign}
        records.take_out(foreign, np.array([s for s in records.starts.tolist() if s not in bad], np.int64))
    columns, rejected = _values(records, layout)
    if any("\n" in row.text or "\r" in row.text for _, row in rejected):
        # Of several lines, so a quote may have swallowed rows: look at every record.
        records.take_out(*_reread(records.data, layout))
        columns, rejected = _values(records, layout)
    full = np.flatnonzero(~records.blank())
    if len(full) != len(columns[0]) + len(rejected):
        raise ValueError(f"{len(full)} rows were cut and {len(columns[0]) + len(rejected)} read: please report this")
    return _placed(records, full, columns, rejected, len(foreign))


def _placed(
    records: _Records, full: Places, columns: list[pa.Array], rejected: list[tuple[int, Bad]], foreign: int
) -> Rows:
    """Give every record its place; `full` are the indices of those that are not blank."""
    wrong = full[[number - 1 for number, _ in rejected]] if rejected else np.empty(0, np.int64)
    taken = np.searchsorted(records.starts, [at for at, _ in records.bad]).astype(np.int64)
    places = np.arange(len(records.starts)) + np.searchsorted(taken, np.arange(len(records.starts)), side="right")
    bad = [(int(at) + nth, row) for nth, (at, (_, row)) in enumerate(zip(taken, records.bad, strict=True))]
    bad += [(int(places[at]), row) for at, (_, row) in zip(wrong, rejected, strict=True)]
    bad.sort(key=lambda one: one[0])
    good = places[np.setdiff1d(full, wrong, assume_unique=True)]
    letters = len(good) > 0 and not records.data.isascii()
    return Rows(columns, good, bad, len(records.starts) + len(records.bad), foreign, letters)


def _starts(data: bytes, layout: Layout) -> Places:
    """Return where records start, in text whose quotes are in order."""
    codes = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(codes == _NEWLINE)
    if data.find(b"\r") >= 0:
        returns = np.flatnonzero(codes == _RETURN)
        alone = returns[codes[np.minimum(returns + 1, len(codes) - 1)] != _NEWLINE]
        ends = np.sort(np.concatenate([ends, alone])) if len(alone) else ends
    if layout.quoted and data.find(b'"') >= 0:
        quotes = np.flatnonzero(codes == _QUOTE)
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    starts = np.concatenate([[0], ends + 1])
    return starts[:-1] if starts[-1] == len(data) else starts


def _foreign(records: _Records, layout: Layout) -> list[Span]:
    """Return the records with bytes that are no UTF-8."""
    data, spans = records.data, []
    if data.isascii() or _is_utf8(data):
        return []
    salvager = Salvager(layout)
    edges = [*records.starts.tolist(), len(data)]
    for begin in range(0, len(edges) - 1, _WINDOW):
        window = edges[begin : begin + _WINDOW + 1]
        if _is_utf8(data[window[0] : window[-1]]):
            continue
        for start, end in pairwise(window):
            try:
                data[start:end].decode()
            except UnicodeDecodeError as error:
                column = salvager.column_at(data, start, start + error.start)
                why = f"its bytes are not {layout.encoding}; say its encoding in source.yml"
                spans.append((start, end, Bad.of(why, column, data[start:end])))
    return spans


def _is_utf8(data: bytes) -> bool:
    """Say whether bytes are UTF-8, without a lock on the interpreter."""
    whole = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, whole, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _reread(data: bytes, layout: Layout) -> tuple[list[Span], Places]:
    """Return the records of a chunk that are bad, and the starts of all others."""
    spans, starts = [], []
    for start, step in Salvager(layout).all(data):
        if step.bad:
            spans.append((start, step.end, step.bad))
        else:
            starts.append(start)
    return spans, np.array(starts, np.int64)


def _values(records: _Records, layout: Layout) -> tuple[list[pa.Array], list[tuple[int, Bad]]]:
    """Return the columns of all rows with the right number of values, and all others with their number from 1."""
    if not records.data:
        return [pa.array([], pa.string()) for _ in layout.columns], []
    if not layout.quoted:
        return [_lines(records)], []
    rejected: list[tuple[int, Bad]] = []

    def reject(row: pacsv.InvalidRow) -> str:
        rejected.append((row.number, layout.uneven(row.actual_columns, row.text.encode())))
        return "skip"

    titles = [str(place) for place in range(len(layout.columns))]
    # A mark of byte order in the middle of a file belongs to its value; Arrow takes it away where a chunk begins.
    data = b"\n" + records.data if records.data.startswith(_BOM) else records.data
    table = pacsv.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        pacsv.ReadOptions(column_names=titles, use_threads=False, block_size=len(data)),
        pacsv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=reject),
        pacsv.ConvertOptions(
            column_types=dict.fromkeys(titles, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            check_utf8=False,
        ),
    )
    return [_one(table.column(place)) for place in range(len(titles))], rejected


def _one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], pa.string())])


def _lines(records: _Records) -> pa.Array:
    """Return the lines that are not blank, without their line ends."""
    offsets = np.append(records.starts, len(records.data)).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(records.data)]
    whole = pa.Array.from_buffers(pa.string(), len(records.starts), buffers)
    return pc.utf8_rtrim(whole.filter(pa.array(~records.blank())), characters="\r\n")
