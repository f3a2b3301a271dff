"""Every text of a folder that is about to be published, with its place: of pages, pictures, tables, frozen files.

A file is opened for what it is; one of a kind that is not known is refused, since nobody has looked through it.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

# Kinds of text: of a page or a table; a cell of a notebook as it was written; one value of a frozen file.
SHOWN, SOURCE, VALUE = "shown", "source", "value"
_DATA = re.compile(r"data:([\w/+.-]*)((?:;[\w=-]+)*),([\w+/=%.~!*'()\n-]*)")
_MARK = re.compile(r"<!--(.*?)-->|<(?:style|STYLE)\b.*?</(?:style|STYLE)>|<[^>]*>", re.DOTALL)
_INLINE = re.compile(r"</?(?:b|i|em|strong|span|a|mark|small|wbr|u|sup|sub|abbr|tspan|font)\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_SHAPES = re.compile(r"\s(?:d|points|transform|style|viewBox|width|height|x|y|x1|x2|y1|y2|class|clip-path)=\"[^\"]*\"")
_POINTERS = {
    "id",
    "for",
    "aria-labelledby",
    "aria-describedby",
    "aria-controls",
    "xmlns",
}  # made of numbers or of headings
_HEAD = 4096  # letters of a picture in a page in which its words stand, before its dots
_NUMBER = re.compile(r"-?\d{1,12}|-?\d{0,12}\.\d+(?:[eE][+-]?\d+)?")  # of a table; longer ones may be a card's
_CELL = re.compile(r">([^<]+)<|\s(?!(?:r|s|t|spans|ht|min|max|width)=)[\w:]+=\"([^\"]+)\"")
_PDF = re.compile(rb"/(Title|Author|Subject|Keywords|Creator|Producer)\s*(\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f\s]*>)")
_XMP = re.compile(rb"<x:xmpmeta.*?</x:xmpmeta>", re.DOTALL)


class Text(NamedTuple):
    """A text and its place: the file within the folder, and where in it; `kind` is one of the three above."""

    file: str
    where: str
    text: str
    kind: str = SHOWN


def texts(folder: Path) -> Iterator[Text]:
    """Yield every text of a folder. Raises whatever a broken file raises; see `opened`."""
    for path in files(folder):
        yield from opened(path, path.relative_to(folder).as_posix())


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def opened(path: Path, file: str) -> Iterator[Text]:
    """Yield the texts of one file.

    Raises
    ------
    ValueError
        Where the file is broken, or of a kind that is not known.
    """
    how = _KINDS.get(path.suffix.lower())
    if how is None:
        raise ValueError(f"is of a kind that is not looked through ({path.suffix or 'no ending'})")
    for where, text, kind in how(path.read_bytes() if path.suffix != ".parquet" else path):
        if text.strip():
            yield Text(file, where, text, kind)


_Found = Iterator[tuple[str, str, str]]  # where, text, kind


def _page(content: bytes) -> _Found:
    yield from markup(content.decode("utf-8"))


def markup(text: str, prefix: str = "") -> _Found:
    """Yield the texts of HTML or SVG: what is shown, attributes, comments, and what lies in pictures within it."""
    embedded = [(found[1], _carried(found)) for found in _DATA.finditer(text)]
    text = _DATA.sub("", text)
    for kind, content in embedded:
        if kind == "image/png":
            yield from ((f"{prefix}a picture", words, SHOWN) for words in _png_words(content))
        elif kind == "image/svg+xml" or kind.startswith("text/"):
            yield from markup(content.decode("utf-8", "replace"), f"{prefix}a picture, ")
    text = _SHAPES.sub("", text)
    yield from _attributes(text, prefix)
    line, place = 1, 0
    bare = _INLINE.sub("", text)
    for mark in _MARK.finditer(bare):
        piece = bare[place : mark.start()]
        yield f"{prefix}line {line}", unescape(piece), SHOWN
        line += piece.count("\n") + mark[0].count("\n")
        if mark[1]:
            yield f"{prefix}a comment in line {line}", mark[1], SHOWN
        place = mark.end()
    yield f"{prefix}line {line}", unescape(bare[place:]), SHOWN


def _attributes(text: str, prefix: str) -> _Found:
    """Yield what stands in the attributes of tags."""
    for tag in re.finditer(r"<\w[^>]*=[^>]*>", text):
        for name, double, single in _ATTRIBUTE.findall(tag[0]):
            if name not in _POINTERS:
                yield f"{prefix}an attribute ({name})", unescape(double or single), SHOWN


def _carried(found: re.Match[str]) -> bytes:
    """Return the content of a data address; of a picture its head alone."""
    if "base64" not in found[2]:
        return unescape(found[3]).encode()
    letters = found[3][:_HEAD] if found[1] == "image/png" else found[3]
    return from_base64(letters)


def from_base64(letters: str) -> bytes:
    """Return what letters stand for, as far as they go: the head of a picture ends anywhere."""
    letters = re.sub(r"[\s=]", "", letters)
    letters = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4))
    except binascii.Error as error:
        raise ValueError("holds a picture that cannot be read") from error


def _notebook(content: bytes) -> _Found:
    notebook = json.loads(content)
    yield from walk(notebook.get("metadata", {}), "metadata")
    for number, cell in enumerate(notebook.get("cells", []), start=1):
        where = f"cell {number}"
        kind = SOURCE if cell.get("cell_type") == "code" else SHOWN
        yield where, _joined(cell.get("source", "")), kind
        yield from walk(cell.get("metadata", {}), f"{where}, metadata")
        for parts in cell.get("attachments", {}).values():
            yield from _data(parts, f"{where}, attachment")
        for output in cell.get("outputs", []):
            yield from _output(output, f"{where}, output")


def _output(output: dict[str, Any], where: str) -> _Found:
    for name in ("name", "text", "ename", "evalue", "traceback"):
        yield where, _joined(output.get(name, "")), SHOWN
    yield from walk(output.get("metadata", {}), f"{where}, metadata")
    yield from _data(output.get("data", {}), where)


def _data(data: dict[str, Any], where: str) -> _Found:
    """Yield the texts of what an output shows, by its kinds."""
    for kind, value in data.items():
        if kind in ("text/html", "image/svg+xml"):
            yield from markup(_joined(value), f"{where}, ")
        elif kind == "image/png":
            yield from (
                (f"{where}, picture", words, SHOWN) for words in _png_words(from_base64(_joined(value)[:_HEAD]))
            )
        else:
            yield from walk(value, where)


def _joined(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def walk(value: Any, where: str) -> _Found:
    """Yield every text in nested JSON, names of entries too."""
    if isinstance(value, str):
        yield where, value, VALUE
    elif isinstance(value, dict):
        for name, one in value.items():
            yield where, name, VALUE
            yield from walk(one, f"{where}.{name}" if len(where) < 80 else where)
    elif isinstance(value, list):
        for one in value:
            yield from walk(one, where)


def _json(content: bytes) -> _Found:
    for where, text, kind in walk(json.loads(content), ""):
        yield where.lstrip("."), text, kind


def _png(content: bytes) -> _Found:
    yield from (("its metadata", words, SHOWN) for words in _png_words(content))


def _png_words(content: bytes) -> Iterator[str]:
    """Yield what is written in the chunks of a PNG: tEXt, zTXt and iTXt (PNG specification, 11.3.3)."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("holds a picture that is no PNG")
    place = 8
    while place + 8 <= len(content):
        size, name = struct.unpack(">I4s", content[place : place + 8])
        body = content[place + 8 : place + 8 + size]
        place += 12 + size
        if name == b"tEXt":
            yield body.replace(b"\0", b": ").decode("latin-1")
        elif name == b"zTXt":
            key, _, packed = body.partition(b"\0")
            yield f"{key.decode('latin-1')}: {zlib.decompress(packed[1:]).decode('latin-1')}"
        elif name == b"iTXt":
            key, _, rest = body.partition(b"\0")
            packed = rest[2:].split(b"\0", 2)[-1]
            yield f"{key.decode('latin-1')}: {(zlib.decompress(packed) if rest[0] else packed).decode('utf-8')}"
        elif name == b"eXIf":
            yield body.decode("latin-1")


def _csv(content: bytes) -> _Found:
    for number, row in enumerate(csv.reader(io.StringIO(content.decode("utf-8-sig"))), start=1):
        yield from ((f"row {number}", cell, SHOWN) for cell in row if not _NUMBER.fullmatch(cell))


def _workbook(content: bytes) -> _Found:
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for name in book.namelist():
            if "worksheets/sheet" in name:
                for cell, words in _CELL.findall(book.read(name).decode("utf-8")):
                    if not _NUMBER.fullmatch(cell):
                        yield name, unescape(cell or words), SHOWN
            elif name.endswith((".xml", ".rels", ".vml")):
                for _, text, kind in markup(book.read(name).decode("utf-8")):
                    yield name, text, kind


def _pdf(content: bytes) -> _Found:
    for found in _PDF.finditer(content):
        letters = bytes.fromhex(found[2][1:-1].decode()) if found[2][:1] == b"<" else found[2][1:-1]
        text = letters.decode("utf-16" if letters[:2] in (b"\xfe\xff", b"\xff\xfe") else "latin-1", "replace")
        yield f"its metadata ({found[1].decode()})", text, SHOWN
    for found in _XMP.finditer(content):
        yield from (("its metadata", text, kind) for _, text, kind in markup(found[0].decode("utf-8", "replace")))


def _parquet(path: Path) -> _Found:
    """Yield the values of text columns, each once, the names of columns, and the file's metadata."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            yield from (("a column's name", name, VALUE) for name in schema.names)
            for key, value in (file.metadata.metadata or {}).items():
                if key != b"ARROW:schema":
                    yield f"its metadata ({key.decode()})", value.decode("utf-8", "replace"), VALUE
            words = [field.name for field in schema if not _counts(pa, field.type)]
            table = file.read(columns=words)
        for name in words:
            for value in pc.unique(table.column(name).combine_chunks()).to_pylist():
                yield from walk(value if value is None else str(value), name)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError("cannot be read as Parquet") from error


def _counts(pa: Any, kind: Any) -> bool:
    """Tell whether a column holds numbers, flags or times alone."""
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_temporal(kind)
        or types.is_decimal(kind) or types.is_null(kind)
    )  # fmt: skip


_KINDS: dict[str, Callable[[Any], _Found]] = {
    ".html": _page, ".svg": _page, ".ipynb": _notebook, ".json": _json, ".png": _png, ".csv": _csv,
    ".xlsx": _workbook, ".pdf": _pdf, ".parquet": _parquet,
}  # fmt: skip
