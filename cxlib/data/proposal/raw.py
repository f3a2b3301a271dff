"""The bytes of a file that nobody has described yet: unpacked, sampled over its whole length, and their encoding."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cxlib.data.reading.packed import Part, blocks
from cxlib.errors import SourceError

HEAD = 16 << 20  # bytes looked at from the start: all of most exports
PIECE, PIECES = 64 << 10, 64  # and of longer ones, pieces spread over the rest
_WORD = 40  # characters of an example
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NOT_IN_CP1252 = b"\x81\x8d\x8f\x90\x9d"


@dataclass(frozen=True)
class Sample:
    """What was looked at of a file: its start, and pieces of the rest where it is longer."""

    head: bytes
    pieces: tuple[bytes, ...] = ()
    broken: str = ""  # why an archive could not be read to its end

    @property
    def whole(self) -> bool:
        """Say whether nothing was passed over."""
        return not self.pieces


@dataclass(frozen=True)
class Encoding:
    """A guessed encoding: its name, why, and what to check where it is not certain."""

    name: str
    why: str
    doubt: str = ""


def sample(path: Path, member: str = "") -> Sample:
    """Return the start of a file and pieces spread over the rest.

    Parameters
    ----------
    path
        Plain, or packed with gzip.
    member
        Of a zip archive.

    Raises
    ------
    SourceError
        Where nothing of it can be read.
    """
    head, pieces, broken = b"", _Pieces(), ""
    try:
        if not member and path.suffix.lower() != ".gz":
            with path.open("rb") as file:
                head = file.read(HEAD)
                return Sample(head, tuple(_spread(file, path.stat().st_size)))
        for block in blocks(Part(path, path.name, member)):
            if len(head) < HEAD:
                head += block
            else:
                pieces.take(block)
    except (OSError, ValueError) as error:
        broken = str(error)
        if not head:
            raise SourceError(f"{path.name} cannot be read: {error}") from None
    return Sample(head, tuple([*pieces.kept, pieces.last] if pieces.last else ()), broken)


@dataclass
class _Pieces:
    """Pieces at even distances of a stream whose length is not known; the last of them is its end."""

    kept: list[bytes] = field(default_factory=list)
    last: bytes = b""
    seen: int = 0
    step: int = 1

    def take(self, block: bytes) -> None:
        """Look at the next block."""
        if self.seen % self.step == 0:
            self.kept.append(block[:PIECE])
        if len(self.kept) > 2 * PIECES:
            self.kept, self.step = self.kept[::2], 2 * self.step
        self.seen += 1
        self.last = block[-PIECE:]


def _spread(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield pieces at even distances after the head, the last of them the file's end."""
    left = size - HEAD
    count = min(PIECES, -(-left // PIECE))
    for place in range(1, count + 1):
        file.seek(max(HEAD, HEAD + left * place // count - PIECE) // 4 * 4)  # no character of UTF-16 is cut
        yield file.read(PIECE)


def encoding(found: Sample) -> Encoding:
    """Guess the encoding of a text file."""
    head = found.head
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return Encoding(name, "its byte-order mark")
    start = head[:4_096]
    for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(zeros) > 1 and zeros.count(0) > 0.4 * len(zeros):
            return Encoding(name, "every other byte is 0")
    start = head if found.whole else head[: head.rfind(b"\n") + 1]
    return _eight_bits(b"\n".join([start, *map(_lines, found.pieces)]))


def _eight_bits(raw: bytes) -> Encoding:
    """Tell UTF-8 from the encodings of one byte a letter."""
    if raw.isascii():
        return Encoding("utf-8", "plain letters only")
    text = raw.decode("utf-8", errors="surrogateescape")
    broken = re.findall("[\udc80-\udcff]", text)
    if not broken:
        return Encoding("utf-8", "all of its letters are valid UTF-8")
    letters = len(re.findall("[^\x00-\x7f\udc80-\udcff]", text))
    if letters > 9 * len(broken):
        doubt = f"{len(broken):,} of its bytes are not UTF-8: their rows will be unreadable"
        return Encoding("utf-8", "nearly all of its letters are", doubt)
    name = "latin-1" if any(byte in raw for byte in _NOT_IN_CP1252) else "cp1252"
    word = _example(raw.decode(name))
    return Encoding(name, "it is not UTF-8", f"is '{word}' right? else try cp1250, mac_roman or another")


def _lines(raw: bytes) -> bytes:
    """Return a piece without the lines that its ends cut."""
    first, last = raw.find(b"\n"), raw.rfind(b"\n")
    return raw[first + 1 : last] if last > first else b""


def _example(text: str) -> str:
    """Return a word with an accent."""
    found = re.search(r"[^\x00-\x7f]", text)
    if found is None:
        return ""
    around = text[max(0, found.start() - _WORD) : found.start() + _WORD]
    return next((word for word in re.split(r"\W+", around) if not word.isascii()), found.group())


def texts(found: Sample, name: str) -> tuple[str, list[str]]:
    """Return the head and the pieces as text, each cut to whole lines; what cannot be read is marked, never fatal."""
    codec = "utf-8-sig" if name == "utf-8" else name
    head = found.head.decode(codec, errors="replace").removeprefix("\ufeff")
    if not found.whole:
        head = head[: head.rfind("\n") + 1] or head
    if name == "utf-16":  # the mark stands at the start only
        codec = "utf-16-le" if found.head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    pieces = [piece.decode(codec, errors="replace") for piece in found.pieces]
    return head, [piece[piece.find("\n") + 1 : piece.rfind("\n") + 1] for piece in pieces]
