"""Chunks of text as Arrow columns of text, each row with its place in the chunk, on all processors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from cxlib.data.reading.facts import Bad, Layout
from cxlib.data.reading.records import Chunk
from cxlib.data.reading.salvage import Salvager
from cxlib.data.reading.structure import Places, Records, Span, Uneven, starts_of

_WINDOW = 256  # records that are tested for their encoding at once
_FEW = 100  # rows of a chunk that are rejected one by one; more are told together
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Rows:
    """The rows of a chunk; a place counts records from 0 at the chunk's beginning, blank lines among them."""

    columns: list[pa.Array]
    places: Places
    bad: list[tuple[int, Bad]]  # each with its place
    uneven: Uneven | None  # more of them
    records: int  # good, bad and blank
    foreign: int  # rows with bytes that the encoding does not know
    letters: bool  # whether readable rows hold letters beyond ASCII


class _ManyError(Exception):
    """More rows are rejected than are told one by one."""


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
    in_order = chunk.starts is None
    records = Records(chunk.data, starts_of(chunk.data, layout) if chunk.starts is None else chunk.starts, [*chunk.bad])
    foreign = _foreign(records, layout)
    if foreign:
        bad = {start for start, *_ in foreign}
        records.take_out(foreign, np.array([s for s in records.starts.tolist() if s not in bad], np.int64))
    if layout.quoted:
        found = _any(records, layout) if in_order else _few(records, layout)
    else:
        full = ~records.blank() if records.data else np.empty(0, bool)
        found = _placed(records, [records.texts(full)], [], None)
    return replace(found, foreign=len(foreign), letters=len(found.places) > 0 and not records.data.isascii())


def _any(records: Records, layout: Layout) -> Rows:
    """Read records whose quotes are in order, however many have too many values or too few."""
    try:
        return _few(records, layout, _FEW)
    except _ManyError:
        counts = records.counts(layout.delimiter)
        wrong = (counts != len(layout.columns)) & ~records.blank()
        if (wrong & records.of_several_lines()).any():
            return _few(records, layout)
        columns, _ = _values(records.only(~wrong), layout)
        return _placed(records, columns, [], Uneven.of(records, wrong, counts, layout))


def _few(records: Records, layout: Layout, most: int | None = None) -> Rows:
    """Read records, and judge one by one those that have too many values or too few, up to `most`."""
    columns, rejected = _values(records.data, layout, most)
    if any("\n" in words or "\r" in words for _, _, words in rejected):
        # Of several lines, so a quote may have swallowed rows: look at every record.
        records.take_out(*_reread(records.data, layout))
        columns, rejected = _values(records.data, layout)
    bad = [(number, layout.uneven(found, words.encode())) for number, found, words in rejected]
    return _placed(records, columns, bad, None)


def _placed(records: Records, columns: list[pa.Array], rejected: list[tuple[int, Bad]], uneven: Uneven | None) -> Rows:
    """Give every record its place.

    Parameters
    ----------
    records
        All but those that were taken out.
    columns
        The values of the good ones.
    rejected
        Bad ones, each with its number among those that are not blank, from 1.
    uneven
        More bad ones, with their numbers among all.
    """
    count = len(records.starts)
    full = np.flatnonzero(~records.blank()) if count else np.empty(0, np.int64)
    wrong = full[[number - 1 for number, _ in rejected]] if rejected else np.empty(0, np.int64)
    wrong = wrong if uneven is None else uneven.places
    if len(full) != len(columns[0]) + len(wrong):
        raise ValueError(f"{len(full)} rows were cut and {len(columns[0]) + len(wrong)} read: please report this")
    if len(full) == count and not (len(wrong) or records.bad):  # as nearly always
        return Rows(columns, full, [], None, count, 0, False)
    taken = np.searchsorted(records.starts, [at for at, _ in records.bad]).astype(np.int64)
    places = np.arange(count) + np.searchsorted(taken, np.arange(count), side="right")
    bad = [(int(at) + nth, row) for nth, (at, (_, row)) in enumerate(zip(taken, records.bad, strict=True))]
    if uneven is None:
        bad += [(int(places[at]), row) for at, (_, row) in zip(wrong, rejected, strict=True)]
    else:
        uneven = replace(uneven, places=places[wrong])
    bad.sort(key=lambda one: one[0])
    good = places[np.setdiff1d(full, wrong, assume_unique=True)]
    return Rows(columns, good, bad, uneven, count + len(records.bad), 0, False)


def _foreign(records: Records, layout: Layout) -> list[Span]:
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


def _values(data: bytes, layout: Layout, most: int | None = None) -> tuple[list[pa.Array], list[tuple[int, int, str]]]:
    """Return the columns of all rows with the right number of values; number, values and text of all others.

    Raises `_ManyError` where these are more than `most`.
    """
    rejected: list[tuple[int, int, str]] = []

    def reject(row: pacsv.InvalidRow) -> str:
        rejected.append((row.number, row.actual_columns, row.text))
        return "skip" if most is None or len(rejected) <= most else "error"

    titles = [str(place) for place in range(len(layout.columns))]
    if not data:
        return [pa.array([], pa.string()) for _ in titles], []
    # A mark of byte order in the middle of a file belongs to its value; Arrow takes it away where a chunk begins.
    data = b"\n" + data if data.startswith(_BOM) else data
    try:
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
    except pa.ArrowInvalid:
        if most is not None and len(rejected) > most:
            raise _ManyError from None
        raise
    return [_one(table.column(place)) for place in range(len(titles))], rejected


def _one(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], pa.string())])
