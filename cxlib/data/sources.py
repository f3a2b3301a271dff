"""Raw files as DuckDB views: what a tool exported, read as it stands and never guessed at.

CSV is text throughout: only the empty field is missing, `NA` and `None` stay words, and the source's SQL says what is a
number or a date. Parquet keeps its types. Everything that is wrong with the files of a source is said at once.
"""

from __future__ import annotations

import codecs
import csv
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cxlib.errors import SourceError, did_you_mean
from cxlib.params.models import File, Source

MEMORY_LIMIT = "1GB"
_DELIMITERS = (",", ";", "\t", "|")  # what an export may be split by, other than as declared
_MAGIC = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"\x1f\x8b": "a gzip archive: unpack it",
    b"PK\x03\x04": "a zip archive or a workbook: unpack it, or save its sheet as CSV",
}


@dataclass(frozen=True)
class Opened:
    """A source whose files stand as views, one per alias, in `connection`."""

    connection: duckdb.DuckDBPyConnection
    files: tuple[Path, ...]  # all that were found
    notes: tuple[str, ...]  # optional files that are missing, and files without a row


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that spills into `scratch`, thinks in UTC and never fetches an extension."""
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")  # sorted where order counts
    connection.execute(f"SET memory_limit = {text(MEMORY_LIMIT)}; SET temp_directory = {text(str(scratch))}")
    return connection


@contextmanager
def open_source(source: Source, folder: Path, *, scratch: Path | None = None) -> Iterator[Opened]:
    """Open a source's files as views, one per alias.

    Parameters
    ----------
    source
        Its `source.yml`.
    folder
        Where the raw files lie.
    scratch
        An existing folder for what does not fit into memory; default: the system's.

    Yields
    ------
    Opened
        All columns of text formats are VARCHAR. A missing optional file is an empty view with its declared columns,
        and a note.

    Raises
    ------
    SourceError
        With every missing or unreadable file and every missing column, listed at once.
    """
    if not folder.is_dir():
        raise SourceError(
            f"source {source.id}: there is no folder {folder}",
            hint=f"Put the raw files there, or name their folder: cx ingest {source.id} --from FOLDER",
        )
    work = Path(tempfile.mkdtemp(dir=scratch, prefix="source-"))
    connection = connect(work)
    try:
        yield _open(source, folder, connection, work)
    finally:
        connection.close()
        shutil.rmtree(work, ignore_errors=True)


def _open(source: Source, folder: Path, connection: duckdb.DuckDBPyConnection, work: Path) -> Opened:
    """Make the views, or raise with all that is wrong."""
    notes, faults, found = [], [], []
    for alias, file in source.files.items():
        paths = _find(folder, file.path)
        found += paths
        if not paths and file.optional:
            notes.append(f"optional file {alias} ({file.path}) is not there: taken as empty")
            columns = ", ".join(f"NULL::VARCHAR AS {name(c)}" for c in file.columns or ("nothing",))
            connection.execute(f"CREATE VIEW {name(alias)} AS SELECT {columns} WHERE false")
        elif not paths:
            taken = {other.path for other in source.files.values()}
            faults.append(f"file {alias} ({file.path}) is missing{_near_file(folder, file.path, taken)}")
        else:
            wrong = _make_view(connection, alias, file, paths, work)
            if not wrong and _without_rows(connection, alias):
                notes.append(f"file {alias} ({file.path}) has a header and no rows")
            faults += wrong
    if faults:
        raise SourceError("\n".join([f"source {source.id}, folder {folder}:", *(f"  {fault}" for fault in faults)]))
    return Opened(connection, tuple(found), tuple(notes))


def _find(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a name or a glob, sorted."""
    exact = folder / pattern
    return [exact] if exact.is_file() else sorted(path for path in folder.glob(pattern) if path.is_file())


def _near_file(folder: Path, pattern: str, taken: Collection[str]) -> str:
    """Suggest the file that was probably meant: none that has its own place in the source."""
    return did_you_mean(pattern, [path.name for path in folder.iterdir() if path.is_file() and path.name not in taken])


def _without_rows(connection: duckdb.DuckDBPyConnection, alias: str) -> bool:
    """Say whether a view has no row; what cannot be read is told when it is."""
    try:
        return connection.execute(f"SELECT 1 FROM {name(alias)} LIMIT 1").fetchone() is None
    except duckdb.Error:
        return False


def _make_view(
    connection: duckdb.DuckDBPyConnection, alias: str, file: File, paths: list[Path], work: Path
) -> list[str]:
    """Make the view of one alias over all its files; return the faults instead where there are any."""
    faults, selects = [], []
    for number, path in enumerate(paths):
        try:
            columns, select = _READERS[file.format](connection, path, file, work / f"{alias}-{number}")
        except (OSError, ValueError, ImportError, LookupError, duckdb.Error) as error:
            faults.append(f"file {alias} ({path.name}) cannot be read: {reason(error)}")
            continue
        twice = [column for column, times in Counter(columns).items() if times > 1]
        faults += [f"file {alias} ({path.name}) has the column '{column}' more than once" for column in twice]
        missing = [column for column in file.columns if column not in columns]
        sign = _splits(columns, missing)
        if sign:
            words = f"its columns are split by '{sign}': write delimiter: \"{sign}\" for it in source.yml"
            faults.append(f"file {alias} ({path.name}): {words}")
            continue
        faults += [f"file {alias} ({path.name}) has no column '{m}'{did_you_mean(m, columns)}" for m in missing]
        selects.append(select)
    if file.format == "parquet":  # one scan of all files runs on all cores
        selects = [_parquet_select(paths)]
    if not faults:
        connection.execute(f"CREATE VIEW {name(alias)} AS {' UNION ALL BY NAME '.join(selects)}")
    return faults


def _csv(_: duckdb.DuckDBPyConnection, path: Path, file: File, draft: Path) -> tuple[list[str], str]:
    """Read delimited text: the header by the csv module, the rows by DuckDB, with nothing sniffed."""
    delimiter = "\t" if file.format == "tsv" else file.delimiter
    encoding = codecs.lookup(file.encoding).name
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    with path.open(encoding=encoding, newline="", errors="surrogateescape") as lines:
        header = next(csv.reader(lines, delimiter=delimiter), None)
    if header is None:
        raise ValueError("it is empty")
    if any("\udc80" <= letter <= "\udcff" for title in header for letter in title):
        raise ValueError(f"its header is not {file.encoding}; say its encoding in source.yml{_looks_like(path)}")
    if any("\0" in title for title in header):
        raise ValueError(f"its header holds NUL bytes: it is damaged, or not {file.encoding}{_looks_like(path)}")
    columns = [title.strip() or f"column{place}" for place, title in enumerate(header, start=1)]
    if encoding != "utf-8-sig":
        # DuckDB itself reads few encodings, and fetches an extension for the others.
        draft.mkdir()
        copy = draft / path.name
        with path.open(encoding=encoding, newline="") as lines, copy.open("w", encoding="utf-8", newline="") as out:
            shutil.copyfileobj(lines, out)
        path = copy
    types = ", ".join(f"{text(column)}: 'VARCHAR'" for column in columns)
    options = f"delim = {text(delimiter)}, quote = '\"', escape = '\"', nullstr = '', strict_mode = true"
    options += f", auto_detect = false, header = false, skip = {file.header_rows}, columns = {{{types}}}"
    return columns, f"SELECT * FROM read_csv({_path(path)}, {options})"


def _looks_like(path: Path) -> str:
    """Tell by its first bytes what a file is that should be text, where they tell."""
    with path.open("rb") as file:
        start = file.read(4)
    kinds = (kind for magic, kind in _MAGIC.items() if start.startswith(magic))
    return next((f" (it looks like {kind})" for kind in kinds), "")


def _splits(columns: Sequence[str], missing: Sequence[str]) -> str:
    """Return the sign, as YAML writes it, that makes the missing columns of a header read as one; "" for none."""
    if len(columns) != 1 or not missing:
        return ""
    titles = {sign: {word.strip(' "') for word in columns[0].split(sign)} for sign in _DELIMITERS}
    found = next((sign for sign, words in titles.items() if words.issuperset(missing)), "")
    return found.replace("\t", "\\t")


def _excel(connection: duckdb.DuckDBPyConnection, path: Path, file: File, draft: Path) -> tuple[list[str], str]:
    """Read the first sheet of a workbook as text, where pandas can."""
    import pandas as pd

    try:
        sheet = pd.read_excel(path, header=None, dtype=str, keep_default_na=False)
    except ImportError:
        raise ValueError("Excel needs the package openpyxl; save the sheet as CSV instead") from None
    if not len(sheet):
        raise ValueError("it is empty")
    columns = [str(title).strip() or f"column{place}" for place, title in enumerate(sheet.iloc[0], start=1)]
    rows = sheet.iloc[file.header_rows :].set_axis(columns, axis=1)
    view = f"excel {draft.name}"
    connection.register(view, rows.mask(rows == ""))
    return columns, f"SELECT * FROM {name(view)}"


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path, *_: object) -> tuple[list[str], str]:
    """Read Parquet with its own types."""
    select = _parquet_select([path])
    return [column for column, *_ in connection.execute(f"DESCRIBE {select}").fetchall()], select


def _parquet_select(paths: list[Path]) -> str:
    """Return SQL for the rows of several Parquet files, by column name."""
    return (
        f"SELECT * FROM read_parquet([{', '.join(map(_path, paths))}], hive_partitioning = false, union_by_name = true)"
    )


def _jsonl(connection: duckdb.DuckDBPyConnection, path: Path, *_: object) -> tuple[list[str], str]:
    """Read one JSON object a line, each value as text; the columns are the keys of all lines."""
    objects = f"SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects({_path(path)})"
    columns = sorted(key for (key,) in connection.execute(objects).fetchall())
    if not columns:
        raise ValueError("it is empty")
    types = ", ".join(f"{text(column)}: 'VARCHAR'" for column in columns)
    return columns, f"SELECT * FROM read_ndjson({_path(path)}, columns = {{{types}}})"


_READERS: dict[str, Callable[..., tuple[list[str], str]]] = {
    "csv": _csv,
    "tsv": _csv,
    "excel": _excel,
    "parquet": _parquet,
    "jsonl": _jsonl,
}


def reason(error: BaseException) -> str:
    """Say why a file could not be read, in one line: its name, the row, and what is wrong, but no content of the row.

    Rows are counted as a spreadsheet counts them: the first line of the header is row 1, a quoted newline starts none.
    """
    if isinstance(error, UnicodeError):
        return f"{error}; say its encoding in source.yml"
    message = str(error)
    row = re.search(r"CSV Error on Line: (\d+)", message)
    path = re.search(r"^ *file = (.*)$", message, re.MULTILINE)
    if "CSV" not in message or path is None:
        return message.strip().splitlines()[0] if message.strip() else type(error).__name__
    why = re.search(r"^(Expected Number of Columns.*|Value with.*|Invalid unicode[^.]*|Maximum line.*)", message, re.M)
    what = why.group(1).strip().rstrip(".") if why else "its quotes or line ends are broken"
    what += "; say its encoding in source.yml" if what.startswith("Invalid unicode") else ""
    return f"{Path(path.group(1)).name}, {f'row {row.group(1)}' if row else 'unknown row'}: {what}"


def name(identifier: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text for SQL."""
    return "'" + value.replace("'", "''") + "'"


def _path(path: Path) -> str:
    """Quote a path for a reader of DuckDB, which takes `*?[` for a pattern."""
    return text(re.sub(r"([*?\[])", r"[\1]", str(path)))
