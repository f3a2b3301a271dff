"""Where the records of a chunk begin, which are blank and how many values they have: arrays, no loops over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxlib.data.reading.facts import LONGEST_TEXT, Bad, Layout

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]
Span = tuple[int, int, Bad]
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13


@dataclass
class Records:
    """The good records of a chunk, and where bad ones were taken out."""

    data: bytes
    starts: Places
    bad: list[tuple[int, Bad]]

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The bytes as numbers."""
        return np.frombuffer(self.data, np.uint8)

    @property
    def sizes(self) -> Places:
        """The bytes of each record, with its line end."""
        return np.diff(self.starts, append=len(self.data))

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

    def blank(self) -> Mask:
        """Say of each record whether it is a blank line."""
        codes, sizes = self.codes, self.sizes
        first, second = codes[self.starts], codes[np.minimum(self.starts + 1, len(codes) - 1)]
        alone = (sizes == 1) & ((first == _NEWLINE) | (first == _RETURN))
        return alone | ((sizes == 2) & (first == _RETURN) & (second == _NEWLINE))

    def counts(self, delimiter: str) -> Places:
        """Return how many values each record has, where all quotes are in order."""
        codes = self.codes
        signs, quotes = np.flatnonzero(codes == ord(delimiter)), np.flatnonzero(codes == _QUOTE)
        signs = signs[np.searchsorted(quotes, signs) % 2 == 0]
        return self._per_record(signs) + 1

    def of_several_lines(self) -> Mask:
        """Say of each record whether a quoted value of it goes over a line end."""
        codes = self.codes
        ends = self._per_record(np.flatnonzero((codes == _NEWLINE) | (codes == _RETURN)))
        last = np.append(self.starts[1:], len(codes)) - 1
        closed = (codes[last] == _NEWLINE) | (codes[last] == _RETURN)
        pair = closed & (codes[last] == _NEWLINE) & (self.sizes > 1) & (codes[np.maximum(last - 1, 0)] == _RETURN)
        return ends > closed.astype(np.int64) + pair

    def _per_record(self, places: Places) -> Places:
        """Count places in each record."""
        return np.bincount(np.searchsorted(self.starts, places, side="right") - 1, minlength=len(self.starts))

    def only(self, which: Mask) -> bytes:
        """Return the bytes of some records."""
        return self.codes[np.repeat(which, self.sizes)].tobytes()

    def texts(self, which: Mask) -> pa.Array:
        """Return some records as texts without their line ends."""
        ends = np.concatenate([[0], np.cumsum(self.sizes[which])]).astype(np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(self.only(which))]
        whole = pa.Array.from_buffers(pa.string(), int(which.sum()), buffers)
        return pc.utf8_rtrim(whole, characters="\r\n")


@dataclass(frozen=True)
class Uneven:
    """Rows with too many values or too few, where they are many."""

    places: Places
    columns: pa.Array
    reasons: pa.Array
    texts: pa.Array

    @classmethod
    def of(cls, records: Records, which: Mask, counts: Places, layout: Layout) -> Uneven:
        """Say of some records how many values they have; places are those among the records."""
        kinds, kind = np.unique(counts[which], return_inverse=True)
        told = [layout.uneven(int(count), b"") for count in kinds]
        texts = pc.utf8_slice_codeunits(records.texts(which), 0, LONGEST_TEXT)
        columns = pa.array([one.column for one in told], pa.string()).take(pa.array(kind))
        reasons = pa.array([one.reason for one in told], pa.string()).take(pa.array(kind))
        return cls(np.flatnonzero(which), columns, reasons, texts)


def starts_of(data: bytes, layout: Layout) -> Places:
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
