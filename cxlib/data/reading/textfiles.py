"""The text files of an alias: each with its header, and how it is cut into columns."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

from cxlib.data.reading.encoded import known, looks_like, utf8
from cxlib.data.reading.facts import LINE, Layout
from cxlib.data.reading.heads import Head, delimiter, read_head, settle, titles
from cxlib.data.reading.packed import Part, blocks, parts
from cxlib.data.reading.stream import TextFile, why
from cxlib.params.intake import File

_FAULTS = (OSError, ValueError, LookupError)


def text_files(alias: str, file: File, paths: list[tuple[Path, str]]) -> tuple[list[TextFile], list[str]]:
    """Return the streams of text whose header is fit, and what is wrong with the others."""
    files, faults = [], []
    for path, label in paths:
        try:
            found = parts(path, label, file.member)
        except _FAULTS as error:
            faults.append(f"file {alias} ({label}) cannot be read: {why(error)}")
            continue
        for part in found:
            where = f"file {alias} ({part.label})"
            try:
                head = _head(part, file)
            except _FAULTS as error:
                faults.append(f"{where} cannot be read: {why(error)}")
                continue
            layout, wrong = _layout(head, file, where)
            faults += wrong
            files.append(TextFile(part, head, layout))
    return files, faults


def of_one_spelling(files: list[TextFile]) -> tuple[list[TextFile], list[str]]:
    """Return the files of an alias with columns spelled as in the first that has them, and all columns.

    The engine does not tell Id from ID, and would read one of them twice.
    """
    names: dict[str, str] = {}
    found = []
    for one in files:
        columns = tuple(names.setdefault(column.lower(), column) for column in one.layout.columns)
        found.append(replace(one, layout=replace(one.layout, columns=columns)))
    return found, list(names.values())


def _head(part: Part, file: File) -> Head:
    """Return the rows above the data of a stream of text."""
    known(file.encoding)
    found = blocks(part)
    first = next(found, b"")
    sign = looks_like(first)
    if sign and not (sign.endswith("utf-16)") and known(file.encoding).startswith(("utf-16", "utf-32"))):
        raise ValueError(f"it is not {file.encoding}; say its encoding in source.yml{sign}")
    return read_head(utf8(chain([first], found), file.encoding), file)


def _layout(head: Head, file: File, where: str) -> tuple[Layout, list[str]]:
    """Return how a stream of text is cut, and what is wrong with its header."""
    if file.format in ("text", "jsonl"):
        return Layout((LINE,), quoted=False, encoding=file.encoding), []
    columns, faults = settle(titles(head.cells, file), file, where)
    return Layout(tuple(columns), delimiter(file), encoding=file.encoding), faults
