"""Headers: which columns a file has, and whether a source can do with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cxlib.data.reading.encoded import looks_like
from cxlib.data.reading.facts import KEPT_NAMES, Layout
from cxlib.data.reading.records import LONGEST_ROW
from cxlib.data.reading.salvage import Salvager, line_end
from cxlib.errors import did_you_mean
from cxlib.params.intake import File

_MOST_COLUMNS = 5_000
_LONGEST_TITLE = 10_000  # letters; questions of surveys are the longest, and shorter
_DELIMITERS = (",", ";", "\t", "|")  # what an export may be split by, other than as declared


@dataclass(frozen=True)
class Head:
    """The rows above the data: their cells, and how many bytes and rows they take."""

    cells: list[list[str]]
    size: int
    rows: int


def delimiter(file: File) -> str:
    """Return the sign that splits the columns of a text file.

    Raises
    ------
    ValueError
        Where it is none that can.
    """
    sign = "\t" if file.format == "tsv" else file.delimiter
    if len(sign) != 1 or not sign.isascii() or sign in '"\r\n\0':
        raise ValueError(f"delimiter '{sign}' is not one ASCII letter other than a quote or a line end")
    return sign


def read_head(blocks: Iterator[bytes], file: File) -> Head:
    """Read the rows above the data of a text file.

    Parameters
    ----------
    blocks
        Its text as UTF-8.
    file
        What the source says of it.

    Raises
    ------
    ValueError
        Where there is no such header, or it is not text in the declared encoding.
    """
    data = b""
    for block in filter(None, blocks):
        data += block
        head = _head(data, file, last=False)
        if head:
            return head
        if len(data) > LONGEST_ROW + len(block):
            raise ValueError(f"its header does not end{looks_like(data)}")
    if not data:
        raise ValueError("it is empty")
    head = _head(data, file, last=True)
    if head is None:  # cannot be: nothing follows, so nothing is waited for
        raise ValueError("its header does not end")
    return head


def _head(data: bytes, file: File, *, last: bool) -> Head | None:
    """Return the rows above the data; None where they may go on."""
    start, rows, cells = 0, file.header_rows, []
    for _ in range(file.skip):
        start = line_end(data, start)
        if start >= len(data) - 1 and not last:
            return None
    if start == len(data) and last and file.skip:
        raise ValueError(f"it ends before row {file.skip + 1}")
    if file.format in ("text", "jsonl"):
        salvager, rows = Salvager(Layout(("line",), quoted=False)), 0 if file.format == "jsonl" else rows
    else:
        salvager = Salvager(Layout(("",), delimiter(file)))
    for row in range(rows):
        if start == len(data) and last:
            raise ValueError(f"it ends before row {file.skip + row + 1}, which belongs to its header")
        step = salvager.step(data, start, last=last, torn=False) if start < len(data) else None
        if step is None:
            return None
        cells.append(_cells(data[start : step.end], file, row, broken=step.bad is not None))
        start = step.end
    return Head(cells, start, file.skip + rows)


def _cells(record: bytes, file: File, row: int, *, broken: bool) -> list[str]:
    """Return the cells of one row of a header; raise ValueError where it is none."""
    try:
        words = record.decode()
    except UnicodeDecodeError:
        raise ValueError(f"its header is not {file.encoding}; say its encoding in source.yml") from None
    if "\0" in words:
        raise ValueError(f"its header holds NUL bytes: it is damaged, or not {file.encoding}")
    if file.format == "text":
        return [words]
    sign = _splits([words.strip()], needed(file), file) if broken else ""
    if broken:
        raise ValueError(
            _split_by(sign) if sign else f"the quotes of its header (row {file.skip + row + 1}) are broken"
        )
    none = f"its header (row {file.skip + row + 1}) is none"
    try:
        cells = next(csv.reader(io.StringIO(words, newline=""), delimiter=delimiter(file)), [])
    except csv.Error as error:
        raise ValueError(f"{none}: {error}") from None
    if max(map(len, cells), default=0) > _LONGEST_TITLE:
        raise ValueError(f"{none}: a title longer than {_LONGEST_TITLE:,} letters")
    if row == 0 and not "".join(cells).strip():
        raise ValueError(f"row {file.skip + 1} is blank, where its header should be; say how many lines to skip")
    return cells


def titles(cells: Sequence[Sequence[str]], file: File) -> list[str]:
    """Return the names of the columns, as the header or the source gives them; a cell without a name gets one."""
    if file.names:
        return list(file.names)
    width = max(map(len, cells), default=0) if file.header == "joined" else len(cells[0])
    rows = [[cell.strip() for cell in row] + [""] * (width - len(row)) for row in cells]
    if file.header == "joined":
        # The first row holds on to the right, where the others go on.
        for place in range(1, width):
            if not rows[0][place] and any(row[place] for row in rows[1:]):
                rows[0][place] = rows[0][place - 1]
        found = [
            " / ".join(word for word in column if word not in ("", "Response")) for column in zip(*rows, strict=True)
        ]
    else:
        found = rows[0]
    return [title or f"column{place}" for place, title in enumerate(found, start=1)]


def needed(file: File) -> list[str]:
    """Return the columns without which a source cannot read a file."""
    asked = [word for column, question in file.questions.items() for word in (column, question.comment) if word]
    return list(dict.fromkeys([*file.columns, *file.times, *file.numbers, *asked]))


def settle(found: list[str], file: File, where: str) -> tuple[list[str], list[str]]:
    """Number columns of one name, and say all that is wrong with a header.

    Parameters
    ----------
    found
        Its titles.
    file
        What the source says of it.
    where
        How a fault names the file.

    Returns
    -------
    tuple of list of str
        The columns, and the faults.
    """
    if len(found) > _MOST_COLUMNS:
        return [], [f"{where} has {len(found):,} columns, more than any export; is its header where source.yml says?"]
    wanted = needed(file)
    small, columns, twice = {word.lower() for word in wanted}, [], []
    seen: set[str] = set()
    for title in found:
        if title.lower() in seen:  # the engine does not tell Id from ID
            if not file.columns or title.lower() in small:
                twice.append(title)
            title = next(word for nth in range(2, 10**6) if (word := f"{title} {nth}").lower() not in seen)
        seen.add(title.lower())
        columns.append(title)
    faults = [f"{where} has the column '{title}' more than once" for title in dict.fromkeys(twice)]
    faults += [f"{where} has a column '{title}', a name that is taken" for title in columns if title in KEPT_NAMES]
    missing = [column for column in wanted if column not in columns]
    sign = _splits(columns, missing, file)
    if sign:
        return columns, [f"{where}: {_split_by(sign)}"]
    return columns, faults + [f"{where} has no column '{m}'{did_you_mean(m, columns)}" for m in missing]


def _split_by(sign: str) -> str:
    """Say by which sign the columns of a file are split."""
    return f"its columns are split by '{sign}': write delimiter: \"{sign}\" for it in source.yml"


def _splits(columns: Sequence[str], missing: Sequence[str], file: File) -> str:
    """Return the sign, as YAML writes it, that makes the missing columns of a header read as one; "" for none."""
    if len(columns) != 1 or not missing:
        return ""
    signs = [sign for sign in _DELIMITERS if sign != delimiter(file)]
    words = {sign: {word.strip(' "') for word in columns[0].split(sign)} for sign in signs}
    found = next((sign for sign, given in words.items() if given.issuperset(missing)), "")
    return found.replace("\t", "\\t")
