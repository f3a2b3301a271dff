"""Look at a file that nobody has described: what it is, how it is laid out, and rows from all over it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from cxlib.data.proposal import layout, raw
from cxlib.data.proposal.layout import BLANKS, Header, Record
from cxlib.data.reading.quoting import name, path_text
from cxlib.data.reading.workbook import open_sheet, words
from cxlib.errors import SourceError
from cxlib.params.intake import File

FIRST, SPREAD = 5_000, 15_000  # rows looked at: the first ones, and others evenly over the rest
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


@dataclass(frozen=True)
class Look:
    """A file as it was found.

    `rows` are those that were looked at; `seen` says of how many. `whys` and `doubts` stand under the key of
    `source.yml` that they are about, or under "" where they are about the file.
    """

    path: Path
    format: str
    header: Header
    rows: tuple[Record, ...] = ()
    encoding: str = "utf-8"
    delimiter: str = ","
    sheet: str = ""
    member: str = ""
    native: tuple[str, ...] = ()  # DuckDB's types of a Parquet file
    whole: bool = True  # every row was looked at
    repeated: frozenset[int] = frozenset()  # places of the columns in which a value stands twice
    top: tuple[tuple[str, ...], ...] = ()  # the first records as they stand, for other readings of the header
    whys: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, as the reader will call them."""
        return self.header.columns

    @property
    def in_words(self) -> bool:
        """Say whether the file is read as whole lines that SQL cuts into words."""
        return self.format == "text"


def look(path: Path) -> Look:
    """Look at one file.

    Parameters
    ----------
    path
        CSV, TSV or text, a workbook, Parquet or JSON lines; also packed with gzip or in a zip archive.

    Returns
    -------
    Look

    Raises
    ------
    SourceError
        For a kind of file that no source can have, and for one that cannot be read.
    """
    member = _member(path) if path.suffix.lower() == ".zip" else ""
    inner = Path(member) if member else Path(path.stem) if path.suffix.lower() == ".gz" else path
    kind = SUFFIXES.get(inner.suffix.lower())
    packed = inner is not path
    if kind is None or (packed and kind in ("excel", "parquet")):
        what = f"a {inner.suffix or 'file without a suffix'}{' inside an archive' if packed else ''}"
        raise SourceError(f"{path.name} is {what}: no source can read that", hint=f"It reads {', '.join(SUFFIXES)}.")
    try:
        found = {"csv": _text, "excel": _workbook, "parquet": _parquet, "jsonl": _lines}[kind](path, member)
    except (duckdb.Error, ValueError, OSError) as error:
        raise SourceError(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from None
    if member:
        others = len(_members(path)) - 1
        doubts = {"member": f"{others} other files in the archive are passed over"} if others else {}
        found = replace(found, member=member if others else "", doubts=found.doubts | doubts)
    return found


def _members(path: Path) -> list[zipfile.ZipInfo]:
    """Return the members of a zip archive that may be data, the largest first."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.infolist() if not one.is_dir() and "__MACOSX" not in one.filename]
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path.name} cannot be read: {error}") from None
    known = [one for one in inside if SUFFIXES.get(Path(one.filename).suffix.lower()) in ("csv", "jsonl")]
    return sorted(known, key=lambda one: (-one.file_size, one.filename))


def _member(path: Path) -> str:
    """Return the largest member of a zip archive."""
    found = _members(path)
    if not found:
        raise SourceError(f"{path.name} holds no CSV, TSV, text or JSON lines")
    return found[0].filename


def _text(path: Path, member: str) -> Look:
    """Look at delimited text, or at lines of words."""
    sample = raw.sample(path, member)
    if not sample.head.strip():
        raise SourceError(f"{path.name} is empty")
    encoding = raw.encoding(sample)
    head, pieces = raw.texts(sample, encoding.name)
    sign, marked, why = layout.parting(head)
    found = list(layout.records(head, sign))
    header = layout.header(found[bool(marked) :])
    rows = [*found[header.body + bool(marked) :], *_pieces(pieces, sign, len(header.columns))]
    looked = Look(
        path,
        "text" if sign == BLANKS else "tsv" if sign == "\t" else "csv",
        header,
        _thinned(rows),
        encoding.name,
        sign,
        whole=sample.whole and len(rows) <= FIRST + SPREAD,
        repeated=_repeated(rows, len(header.columns)),
        top=tuple(record.cells for record in found[:20]),
        whys={"encoding": encoding.why, "delimiter": why, "header": header.why},
        doubts={"encoding": encoding.doubt, "header": header.doubt, "": sample.broken},
    )
    return _as_lines(looked) if sign == BLANKS else looked


def _as_lines(looked: Look) -> Look:
    """Say of a table of words what is certain: names from its first line where that holds names."""
    doubt = "the columns are parted by runs of blanks: each line is one text, and the SQL cuts it into words"
    return replace(looked, doubts=looked.doubts | {"": doubt})


def _pieces(pieces: Iterable[str], sign: str, width: int) -> list[Record]:
    """Return the rows of pieces from the middle of a file: those whole, wherever the cuts fell."""
    return [
        record._replace(row=0)
        for piece in pieces
        for record in layout.records(piece, sign)
        if len(record.cells) == width
    ]


def _thinned(rows: Sequence[Record]) -> tuple[Record, ...]:
    """Return the first rows and others evenly over the rest."""
    rest = rows[FIRST:]
    return (*rows[:FIRST], *rest[:: len(rest) // SPREAD + 1])


def _repeated(rows: Sequence[Record], width: int) -> frozenset[int]:
    """Return the places of the columns in which a value stands twice in any of the rows that were read."""
    found = set()
    for place in range(width):
        seen: set[str] = set()
        for record in rows:
            cell = record.cells[place] if place < len(record.cells) else ""
            if cell in seen:
                found.add(place)
                break
            seen.add(cell)
    return frozenset(found)


def _workbook(path: Path, _: str) -> Look:
    """Look at the first sheet of a workbook."""
    from python_calamine import CalamineWorkbook

    cells = open_sheet(path, File(path=path.name, format="excel")).rows
    sheets = CalamineWorkbook.from_path(str(path)).sheet_names
    texts = [tuple(words(cell) or "" for cell in row) for row in cells]
    found = [Record(number, number, row) for number, row in enumerate(texts, start=1) if any(row)]
    if not found:
        raise ValueError("its first sheet is empty")
    header = layout.header(found)
    rows = found[header.body :]
    others = ", ".join(f"'{sheet}'" for sheet in sheets[1:6])
    return Look(
        path,
        "excel",
        header,
        _thinned(rows),
        sheet=sheets[0] if others else "",
        whole=len(rows) <= FIRST + SPREAD,
        repeated=_repeated(rows, len(header.columns)),
        top=tuple(texts[:20]),
        whys={"header": header.why, "sheet": "the first"},
        doubts={"header": header.doubt, "sheet": f"the workbook has other sheets: {others}" if others else ""},
    )


def _parquet(path: Path, _: str) -> Look:
    """Look at a Parquet file, which says its types itself."""
    source = f"read_parquet({path_text(path)}, hive_partitioning = false, file_row_number = true)"
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '1GB'")
        described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {source}").fetchall()
        columns, native = tuple(row[0] for row in described), tuple(row[1] for row in described)
        counted = connection.execute(f"SELECT count(*) FROM {source}").fetchone()
        step = max(1, (counted[0] if counted else 0) // (FIRST + SPREAD))
        texts = ", ".join(f"{name(column)}::VARCHAR" for column in columns)
        query = f"SELECT file_row_number, {texts} FROM {source} WHERE file_row_number % {step} = 0 ORDER BY 1"
        cells = connection.execute(query).fetchall()
    rows = tuple(Record(row[0] + 2, 0, tuple("" if cell is None else cell for cell in row[1:])) for row in cells)
    header, repeated = Header(0, 1, columns, columns), _repeated(rows, len(columns))
    return Look(path, "parquet", header, rows, native=native, whole=step == 1, repeated=repeated)


def _lines(path: Path, member: str) -> Look:
    """Look at JSON lines: the columns are the keys of all objects."""
    sample = raw.sample(path, member)
    encoding = raw.encoding(sample)
    head, pieces = raw.texts(sample, encoding.name)
    objects = []
    for number, line in enumerate([line for text in (head, *pieces) for line in text.splitlines()], start=1):
        try:
            found = json.loads(line) if line.strip() else None
        except ValueError:
            continue
        if isinstance(found, dict):
            objects.append((number, found))
    if not objects:
        raise SourceError(f"{path.name} holds no JSON objects, one a line")
    columns = tuple(sorted({key for _, found in objects for key in found if key.isprintable()}))
    rows = [Record(number, number, tuple(_json(found.get(key)) for key in columns)) for number, found in objects]
    header = Header(0, 1, columns, columns)
    repeated, whole = _repeated(rows, len(columns)), sample.whole and len(rows) <= FIRST + SPREAD
    return Look(path, "jsonl", header, _thinned(rows), encoding.name, whole=whole, repeated=repeated)


def _json(value: object) -> str:
    """Return a JSON value as the reader gives it: texts bare, the rest as JSON."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode("utf-8")
