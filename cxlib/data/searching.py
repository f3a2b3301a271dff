"""Look for people in files: ids and words, in all that files say once they are read as what they are.

Parquet is read column by column, workbooks and archives are unpacked, texts are looked through as they would be
written in JSON and in HTML, too. An id is found as a word of its own, not as a part of one. An id that could be
anything (`42`) is looked for in the columns that name customers only.
"""

from __future__ import annotations

import gzip
import html
import json
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from xml.sax.saxutils import escape

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cxlib.data.reading.quoting import path_text
from cxlib.data.sources import name, text

PEOPLE = ("customer_id", "referred_by", "source_id")  # columns that name customers
_TELLING, _DIGITS = 6, 9  # characters from which on an id of letters and digits, or of digits alone, is no other word
_LONG = 20  # characters from which on words are a person's own
_WORD = rb"[0-9A-Za-z_]"
_NO_WORDS = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal, pa.types.is_decimal,
    pa.types.is_null,
)  # fmt: skip
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)  # of a PDF


def telling(one: str) -> bool:
    """Say whether an id is unlike any other word, so that it can be looked for within texts."""
    letters, digits = any(sign.isalpha() for sign in one), any(sign.isdigit() for sign in one)
    return len(one) >= (_TELLING if letters else _DIGITS) and (digits or "@" in one)


@dataclass(frozen=True)
class Wanted:
    """Who is looked for: ids, words that nobody else wrote, and ids of texts, which labels of an audit may name."""

    ids: tuple[str, ...]
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @cached_property
    def telling(self) -> list[str]:
        """The ids that can be looked for within texts."""
        return [one for one in self.ids if telling(one)]

    @cached_property
    def long(self) -> list[str]:
        """The words that are long enough to be a person's own."""
        return [one for one in self.words if len(one.strip()) >= _LONG]


@dataclass
class Search:
    """What was looked through, and where something was found."""

    files: int = 0
    values: int = 0
    bytes: int = 0
    found: dict[str, int] = field(default_factory=dict)  # place -> how many values
    unread: list[str] = field(default_factory=list)  # files that could not be read as what they are

    def add(self, place: str, count: int) -> None:
        """Note that something was found."""
        if count:
            self.found[place] = self.found.get(place, 0) + count


def parquet(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], wanted: Wanted, into: Search) -> None:
    """Look through Parquet files of one shape, as those of a table are."""
    if not files:
        return
    listed = ", ".join(path_text(file) for file in files)
    read = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true, filename = '_path')"
    kinds = {c: k for c, k, *_ in connection.execute(f"DESCRIBE FROM {read}").fetchall() if c != "_path"}
    spoken = [column for column, kind in kinds.items() if _speaks(kind)]
    conditions = [one for column in spoken if (one := condition(column, wanted))]
    values = " + ".join(f"count({name(column)})" for column in spoken) or "0"
    hits = f"count(*) FILTER ({' OR '.join(f'coalesce({one}, false)' for one in conditions) or 'false'})"
    into.files += len(files)
    for path, seen, count in connection.execute(f"SELECT _path, {values}, {hits} FROM {read} GROUP BY 1").fetchall():
        into.values += seen
        into.add(path, count)


def small_parquet(path: Path, wanted: Wanted, into: Search) -> None:
    """Look through one small Parquet file, and what it says of itself: many of them go faster without a database."""
    table = pq.read_table(path, partitioning=None)
    into.files += 1
    own = "\n".join(f"{key!r} {value!r}" for key, value in (table.schema.metadata or {}).items())
    count = _within(own.encode(), wanted)
    for column, values in zip(table.column_names, table.columns, strict=True):
        if any(test(values.type) for test in _NO_WORDS):
            continue
        into.values += len(values) - values.null_count
        count += _cells(column, values, wanted)
    into.add(str(path), count)


def _cells(column: str, values: pa.ChunkedArray, wanted: Wanted) -> int:
    """Count the distinct cells of a column that name somebody."""
    try:
        distinct = pc.unique(values).to_pylist()
    except pa.ArrowNotImplementedError:  # of lists and the like
        distinct = values.to_pylist()
    cells = {one if isinstance(one, str) else repr(one) for one in distinct if one is not None}
    exact = set(wanted.ids if column in PEOPLE else wanted.telling) | set(wanted.long)
    found = cells & exact
    everything = "\n".join(cells)
    for one in wanted.telling:
        if one in everything:
            found |= {cell for cell in cells if _is_word(one, cell.encode("utf-8", "replace"))}
    return len(found)


def _is_word(one: str, content: bytes) -> bool:
    """Say whether an id stands as a word of its own."""
    sign = one.encode()
    return sign in content and re.search(rb"(?<!%b)%b(?!%b)" % (_WORD, re.escape(sign), _WORD), content) is not None


def _speaks(kind: str) -> bool:
    """Say whether values of a type can hold words."""
    return any(word in kind for word in ("VARCHAR", "BLOB", "JSON", "STRUCT", "MAP", "ENUM"))


def condition(column: str, wanted: Wanted) -> str:
    """Return SQL for whether a cell names somebody; empty where that cannot be."""
    cell = f"{name(column)}::VARCHAR"
    ids = wanted.ids if column in PEOPLE else wanted.telling
    parts = [f"{cell} IN ({', '.join(map(text, ids))})"] if ids else []
    for one in wanted.telling:
        alone = f"(^|[^0-9A-Za-z_]){re.escape(one)}($|[^0-9A-Za-z_])"
        parts.append(f"(contains({cell}, {text(one)}) AND regexp_matches({cell}, {text(alone)}))")
    parts += [f"{cell} IN ({', '.join(map(text, wanted.long))})"] if wanted.long else []
    return " OR ".join(parts)


def other(path: Path, wanted: Wanted, into: Search) -> int:
    """Look through a file that is no Parquet; return in how many of its parts something was found."""
    into.files += 1
    found = 0
    try:
        for part in _parts(path):
            into.bytes += len(part)
            found += _within(part, wanted)
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, NotImplementedError):
        into.unread.append(str(path))
    into.add(str(path), found)
    return found


def _parts(path: Path) -> Iterator[bytes]:
    """Yield what a file holds, and what is packed in it."""
    content = path.read_bytes()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield archive.read(member)
    elif content[:5] == b"%PDF-":
        for stream in _STREAM.findall(content):
            with suppress(zlib.error):
                yield zlib.decompressobj().decompress(stream)


def _within(content: bytes, wanted: Wanted) -> int:
    """Say whether bytes hold an id as a word, or somebody's words, as text, JSON or markup would write them."""
    if any(_is_word(one, content) for one in wanted.telling):
        return 1
    return int(any(_stands(way, content) for one in wanted.long for way in _written(one)))


def _stands(words: bytes, content: bytes) -> bool:
    """Say whether words stand somewhere as a whole, and not as a part of what somebody else wrote."""
    at = content.find(words)
    while at >= 0:
        around = content[max(0, at - 1) : at] + content[at + len(words) : at + len(words) + 1]
        if not re.search(rb"[0-9A-Za-z_ ]", around):
            return True
        at = content.find(words, at + 1)
    return False


def _written(words: str) -> set[bytes]:
    """Return the ways in which words may stand in a file."""
    ways = {
        words,
        html.escape(words),
        escape(words),
        json.dumps(words)[1:-1],
        json.dumps(words, ensure_ascii=False)[1:-1],
    }
    ways |= {html.escape(json.dumps(words)[1:-1]), json.dumps(html.escape(words))[1:-1]}
    return {way.encode("utf-8", "replace") for way in ways} | {words.encode("utf-16-le", "replace")}


def files_below(folders: Iterable[Path], leave_out: Collection[Path]) -> Iterator[Path]:
    """Yield all files below folders, sorted, without those below others; no link is followed."""
    out = {str(path) for path in leave_out}
    for top in folders:
        for folder, below, names in os.walk(top):
            below[:] = sorted(one for one in below if str(Path(folder, one)) not in out)
            if folder not in out:
                yield from (Path(folder, one) for one in sorted(names) if not Path(folder, one).is_symlink())
