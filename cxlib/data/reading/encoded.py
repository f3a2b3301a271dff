"""Text of any encoding as UTF-8, block by block.

Bytes that the declared encoding does not know are never replaced by letters: they become the byte 0xFF, which no UTF-8
has, so that their row is found to be unreadable later on, whatever the encoding.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_MARK = "\udcff"  # `surrogateescape` writes it as the byte 0xFF
_BOM = codecs.BOM_UTF8
_OF_ONE_BYTE = re.compile(r"cp125\d|iso8859-\d+|ascii|mac-.*|koi8-.")  # ASCII and 128 letters of their own
_LETTERS_TO_TELL = 10  # letters beyond ASCII that tell one encoding from another beyond doubt
MAGIC = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x1f\x8b": "a gzip archive: unpack it, or let its name end in .gz",
    b"PK\x03\x04": "a zip archive or a workbook: unpack it, or save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old workbook: say format: excel for it",
    b"PAR1": "Parquet: say format: parquet for it",
}


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Put the mark where bytes are none of the encoding."""
    if isinstance(error, UnicodeDecodeError):
        return _MARK, error.end
    raise error


codecs.register_error("cx-mark", _mark)


def known(encoding: str) -> str:
    """Return the name that Python gives an encoding.

    Raises
    ------
    LookupError
        Where there is no such encoding of text.
    """
    found = codecs.lookup(encoding)
    if not getattr(found, "_is_text_encoding", True):
        raise LookupError(f"unknown encoding: {encoding}")
    return "utf-8" if found.name == "utf-8-sig" else found.name


def utf8(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the same text as UTF-8 without a byte order mark.

    Parameters
    ----------
    blocks
        The bytes of the text.
    encoding
        What the source declares.

    Raises
    ------
    ValueError
        Where the text is UTF-8 beyond doubt and another encoding is declared.
    """
    codec = known(encoding)
    first = next(blocks, b"")
    if codec == "utf-8":
        yield first.removeprefix(_BOM)
        yield from blocks
        return
    if first.startswith(_BOM):
        raise ValueError(f"it begins as utf-8 does, not {encoding}; say its encoding in source.yml")
    yield from _recoded(first, blocks, codec)


def _recoded(first: bytes, blocks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """Yield text of another encoding as UTF-8."""
    decoder = codecs.getincrementaldecoder(codec)("cx-mark")
    single = bool(_OF_ONE_BYTE.fullmatch(codec))
    doubt = _Doubt()
    block, at_start = first, True
    while block:
        if single and block.isascii():
            yield block
        else:
            if single:
                doubt.take(block)
            words = decoder.decode(block)
            yield (words.removeprefix("\ufeff") if at_start else words).encode("utf-8", "surrogateescape")
        block, at_start = next(blocks, b""), False
    yield decoder.decode(b"", True).encode("utf-8", "surrogateescape")
    if single and doubt.is_utf8:
        raise ValueError(f"all its letters beyond ASCII are written in utf-8, not {codec}: say encoding: utf-8")


class _Doubt:
    """Finds out whether text that is declared as an encoding of one byte a letter is UTF-8 in truth."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._letters, self._possible = 0, True

    def take(self, block: bytes) -> None:
        """Look at the next block."""
        if self._possible:
            try:
                words = self._decoder.decode(block)
            except UnicodeDecodeError:
                self._possible = False
                return
            if self._letters < _LETTERS_TO_TELL:
                self._letters += sum(letter > "\x7f" for letter in words)

    @property
    def is_utf8(self) -> bool:
        """Say whether every letter beyond ASCII was well-formed UTF-8, and there were enough to tell."""
        return self._possible and self._letters >= _LETTERS_TO_TELL


def looks_like(start: bytes) -> str:
    """Tell by its first bytes what a file is that should be text, where they tell."""
    kinds = (kind for magic, kind in MAGIC.items() if start.startswith(magic))
    return next((f" (it looks like {kind})" for kind in kinds), "")
