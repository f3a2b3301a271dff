"""Streams of text, cut into chunks of whole records.

The fast way looks at all quotes of a block at once: where each one that opens follows a delimiter or a line end, and
each one that closes is followed by one, every line end outside them ends a record, beyond doubt and on any number of
processors. DuckDB's own parallel reader guesses there, and was seen to tear quoted newlines apart without a word.
Around any other quote, a NUL or a row that does not end, `Salvager` reads on record by record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxlib.data.reading.facts import LONGEST_TEXT, Bad, Layout
from cxlib.data.reading.salvage import TOO_LONG, Salvager

LONGEST_ROW = 1 << 24  # bytes; what is longer is no row
_SLOWLY = 1 << 16  # bytes that are read record by record before the fast way is tried again; doubled each time
_QUOTE, _NEWLINE, _RETURN = 34, 10, 13


@dataclass(frozen=True)
class Chunk:
    """Whole records, and between them those that cannot be read, each with its place in `data`."""

    data: bytes
    bad: tuple[tuple[int, Bad], ...] = ()
    starts: NDArray[np.int64] | None = None  # of the records; None where all quotes are in order, so that they tell


@dataclass
class Cutter:
    """Cuts one stream."""

    layout: Layout
    _salvager: Salvager = field(init=False)
    _beside: NDArray[np.bool_] = field(init=False)  # bytes that may stand beside a quote
    _skipping: bool = False  # the rest of a row that is too long
    _torn: bool = False
    _rest: bytes = b""

    def __post_init__(self) -> None:
        self._salvager = Salvager(self.layout)
        self._beside = np.zeros(256, bool)
        self._beside[[_QUOTE, _NEWLINE, _RETURN, ord(self.layout.delimiter)]] = True

    def chunks(self, blocks: Iterator[bytes]) -> Iterator[Chunk]:
        """Yield all records of a stream, in their order; memory stays below a few times `LONGEST_ROW`."""
        blocks = filter(None, blocks)
        block = next(blocks, b"")
        while block:
            following = next(blocks, b"")
            yield from self._cut(self._rest + block if self._rest else block, not following)
            block = following

    def _cut(self, data: bytes, last: bool) -> Iterator[Chunk]:
        """Yield the records of `data`, and keep what is left."""
        start, slowly = self._skip(data, last) if self._skipping else 0, _SLOWLY
        while start < len(data):
            if not self._torn:
                end, clean = self._clean(data, start, last)
                if end > start:
                    yield Chunk(data[start:end])
                    start = end
                if clean and (last or len(data) - start <= LONGEST_ROW):
                    break
            chunk, start, waits = self._slow(data, start, start + slowly, last)
            yield chunk
            if waits:
                break
            slowly *= 2
        self._rest = data[start:]

    def _slow(self, data: bytes, start: int, stop: int, last: bool) -> tuple[Chunk, int, bool]:
        """Read record by record up to `stop`, and on while they are torn.

        Return them, where they end, and whether the next may go on beyond `data`.
        """
        good: list[bytes] = []
        starts: list[int] = []
        bad: list[tuple[int, Bad]] = []
        size, waits = 0, False
        while start < len(data) and (start < stop or self._torn):
            full = len(data) - start > LONGEST_ROW and not last
            if full and _line_end(data, start) < 0:
                column = self._salvager.column_at(data, start, start + LONGEST_ROW)
                bad.append((size, Bad.of(TOO_LONG, column, data[start : start + 4 * LONGEST_TEXT])))
                self._skipping, self._torn, start = True, False, len(data)
                break
            step = self._salvager.step(data, start, last=last, torn=self._torn, full=full)
            if step is None:
                waits = True
                break
            if step.bad:
                bad.append((size, step.bad))
            else:
                good.append(data[start : step.end])
                starts.append(size)
                size += step.end - start
            start, self._torn = step.end, step.torn
        return Chunk(b"".join(good), tuple(bad), np.array(starts, np.int64)), start, waits

    def _skip(self, data: bytes, last: bool) -> int:
        """Return where the row ends that is too long."""
        end = _line_end(data, 0)
        if end < 0:
            return len(data)
        if data[end : end + 1] == b"\r":
            if end + 1 == len(data) and not last:
                return end  # a newline may follow
            end += data[end + 1 : end + 2] == b"\n"
        self._skipping = False
        return end + 1

    def _clean(self, data: bytes, start: int, last: bool) -> tuple[int, bool]:
        """Return the end of the records from `start` on that are in order, and whether all are, as far as they go."""
        codes = np.frombuffer(data, np.uint8)[start:]
        quotes = np.flatnonzero(codes == _QUOTE) if self.layout.quoted else np.empty(0, np.int64)
        wrong = self._wrong(codes, quotes)
        nul = data.find(b"\0", start) - start
        limit = min(wrong, nul if nul >= 0 else len(codes))
        clean = limit == len(codes)
        inside = int(np.searchsorted(quotes, limit))
        if clean and last and inside % 2 == 0:
            return len(data), True
        if inside % 2:
            limit = int(quotes[inside - 1])
            clean = clean and not last  # a quote that is open at the very end is never closed
        return _last_end(data, start, quotes, inside // 2, start + limit, last), clean

    def _wrong(self, codes: NDArray[np.uint8], quotes: NDArray[np.int64]) -> int:
        """Return the place of the first quote that is out of order; the number of bytes where there is none."""
        opening, closing = quotes[0::2], quotes[1::2]
        before = opening[1:] if len(opening) and opening[0] == 0 else opening
        after = closing[:-1] if len(closing) and closing[-1] + 1 == len(codes) else closing
        found = [
            places[bad[0]]
            for places, beside in ((before, before - 1), (after, after + 1))
            if len(bad := np.flatnonzero(~self._beside[codes[beside]]))
        ]
        return int(min(found, default=len(codes)))


def _line_end(data: bytes, start: int) -> int:
    """Return where the next line end is; -1 where there is none."""
    newline = data.find(b"\n", start)
    found = data.find(b"\r", start, newline if newline >= 0 else len(data))
    return found if found >= 0 else newline


def _last_end(data: bytes, start: int, quotes: NDArray[np.int64], pair: int, limit: int, last: bool) -> int:
    """Return the end of the last record that ends before `limit`; `start` where none does.

    `pair` is the number of pairs of quotes before `limit`. A carriage return at the very end is no line end yet: a
    newline may follow.
    """
    while True:
        begin = start + int(quotes[2 * pair - 1]) if pair else start
        stop = limit - 1 if limit == len(data) and not last else limit
        place = max(data.rfind(b"\n", begin, limit), data.rfind(b"\r", begin, stop))
        if place >= 0:
            return place + 1
        if not pair:
            return start
        pair -= 1
        limit = start + int(quotes[2 * pair])
