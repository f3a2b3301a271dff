"""The labels of audits of the codebook, `data/audits/*.csv`: which of them are about what erased people wrote.

A label names a text by the id of its answer or interaction. Those of a person go with the person; all other lines stay
as they are, to the byte.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from uuid import uuid4

AUDITS = "data/audits"  # of a workspace: what people said of texts
KEY = "response_id"
_DELIMITERS = ",;\t|"
_WAS = ".was"  # ends the name of the file that says what a file of labels was before erasing


def files(root: Path) -> list[Path]:
    """Return the files of labels of a workspace."""
    return sorted(path for path in (root / AUDITS).glob("*.csv") if path.is_file())


def holding(root: Path, texts: Collection[str]) -> dict[Path, list[str]]:
    """Return file -> the id that each of its rows about some texts names."""
    wanted = set(texts)
    found = {path: [key for key, _ in _records(path)[1:] if key in wanted] for path in files(root) if wanted}
    return {path: keys for path, keys in found.items() if keys}


def named(root: Path, texts: Iterable[str]) -> list[str]:
    """Return the ids that stand in any file of labels, wherever, as a part of a word too: none that a label has lacks.

    They are what an erasing has to know once the texts are gone.
    """
    contents = [path.read_bytes() for path in files(root)]
    return [one for one in texts if any(one.encode() in content for content in contents)]


def unread(root: Path) -> list[Path]:
    """Return files that cannot be read as labels: nobody can say whose texts they are about."""
    return [path for path in files(root) if not _records(path)]


def take_out(path: Path, texts: Iterable[str], scratch: Path) -> None:
    """Take the rows about some texts out of a file, which is exchanged at once.

    Parameters
    ----------
    path
        The file.
    texts
        The ids of the texts.
    scratch
        An existing folder of the same disk.
    """
    gone = set(texts)
    kept = "".join(lines for key, lines in _records(path) if key not in gone).encode("utf-8", "surrogateescape")
    _put(_was(path), f"{_hash(kept)} {digest(path)}\n".encode(), scratch)
    _put(path, kept, scratch)


def digest(path: Path) -> str:
    """Return 12 digits of the labels in a file, one from which people were erased counting as it was before.

    So published reports stay, and are not made anew with one person less, which would tell about that person.
    """
    own, was = _hash(path.read_bytes()), _was(path)
    now, _, before = was.read_text(encoding="utf-8").strip().partition(" ") if was.is_file() else ("", "", "")
    return before if now == own else own


def _records(path: Path) -> list[tuple[str, str]]:
    """Return each record, the header first: the id that it names, and its lines; nothing where no column has ids."""
    lines = list(io.StringIO(path.read_bytes().decode("utf-8", "surrogateescape"), newline=""))
    head = lines[0].lstrip("\ufeff") if lines else ""
    for delimiter in _DELIMITERS:
        names = [one.strip() for one in next(csv.reader([head], delimiter=delimiter), [])]
        if KEY in names:
            return _cut(lines, delimiter, names.index(KEY))
    return []


def _cut(lines: list[str], delimiter: str, place: int) -> list[tuple[str, str]]:
    """Cut lines into records, of which some have several lines; nothing where they are no records."""
    found, end = [], 0
    reader = csv.reader(lines, delimiter=delimiter, strict=True)  # a quote that never ends is a fault, however long
    try:
        for cells in reader:
            key = cells[place].strip() if len(cells) > place else ""
            found.append((key, "".join(lines[end : reader.line_num])))
            end = reader.line_num
    except csv.Error:
        return []
    return found


def _put(path: Path, content: bytes, scratch: Path) -> None:
    """Put a file in its place, whole and on the disk."""
    from cxlib.data.ledger import sync

    draft = scratch / f"{path.name}-{uuid4().hex}"
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        shutil.copymode(path, draft)
    draft.replace(path)
    sync(path.parent)


def _was(path: Path) -> Path:
    return path.with_name(path.name + _WAS)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
