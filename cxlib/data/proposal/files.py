"""The files that were given: which belong together, what each is called in SQL, and what each says of its source."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cxlib.data.proposal.described import Described
from cxlib.data.proposal.look import SUFFIXES, Look, look
from cxlib.data.proposal.roles import Roles, quoted
from cxlib.data.proposal.words import normal
from cxlib.errors import SourceError, UsageError

_ARCHIVES = (".gz", ".zip")
_LONGEST_ALIAS = 30
_DAY = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")


def collected(given: Sequence[Path]) -> tuple[list[Path], Path]:
    """Return all files, those of folders included, and the folder that holds them.

    Raises
    ------
    UsageError
        For a path that leads nowhere, and for a folder without any file that can be read.
    """
    paths: list[Path] = []
    for path in map(Path.resolve, given):
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in (*SUFFIXES, *_ARCHIVES))
            if not found:
                raise UsageError(
                    f"{path} holds no file that a source can read", hint=f"It reads {', '.join(SUFFIXES)}."
                )
            paths += found
        elif path.is_file():
            paths.append(path)
        else:
            raise UsageError(f"there is no file {path}")
    return list(dict.fromkeys(paths)), Path(os.path.commonpath([path.parent for path in paths]))


def looked(paths: Sequence[Path]) -> tuple[list[Look], list[str]]:
    """Look at every file; of several, those that cannot be read are only told.

    Raises
    ------
    SourceError
        Where none can be read.
    """
    looks, notes = [], []
    for path in paths:
        try:
            looks.append(look(path))
        except SourceError as error:
            if len(paths) == 1:
                raise
            notes.append(error.message)
    if not looks:
        raise SourceError("\n".join(["none of the files can be read:", *(f"  {note}" for note in notes)]))
    return looks, notes


def stem(path: Path) -> str:
    """Return a file's name in small letters, without its suffixes and the date or number that it ends with."""
    bare = path.name.split(".")[0]
    return normal(re.sub(r"[-_. ]?\d[\d_.-]*$", "", bare)) or "rows"


def alias(word: str) -> str:
    """Return what a file is called in SQL."""
    short = word[:_LONGEST_ALIAS].strip("_")
    return short if short[:1].isalpha() else f"file_{short}"


def grouped(described: Sequence[Described], names: Sequence[str]) -> list[Described]:
    """Join files of the same columns where one glob names them and no other; number aliases that stand twice."""
    groups: dict[tuple[object, ...], list[Described]] = {}
    for one in described:
        found = one.look
        key = (found.columns, found.format, found.encoding, found.delimiter, one.choice.tables)
        groups.setdefault(key, []).append(one)
    files: list[Described] = []
    for group in groups.values():
        glob = pattern([one.look.path for one in group], group[0].look.path.parent, names)
        files += [replace(group[0], path=glob)] if len(group) > 1 and "*" in glob else group
    seen: dict[str, int] = {}
    for place, one in enumerate(files):
        seen[one.alias] = seen.get(one.alias, 0) + 1
        if seen[one.alias] > 1:
            files[place] = replace(one, alias=f"{one.alias}_{seen[one.alias]}")
    return files


def pattern(paths: Sequence[Path], base: Path, names: Sequence[str]) -> str:
    """Return the path of one file, or a glob that names several and no other of their folder; else the first's."""
    mine = sorted(path.name for path in paths)
    start, end = _common(mine), _common([name[::-1] for name in mine])[::-1]
    glob = re.compile(f"{re.escape(start)}.*{re.escape(end)}")
    alone = [name for name in names if glob.fullmatch(name)] == mine and {path.parent for path in paths} == {base}
    return f"{start}*{end}" if len(paths) > 1 and alone else paths[0].relative_to(base).as_posix()


def _common(names: Sequence[str]) -> str:
    """Return how all names begin."""
    same = 0
    while all(len(name) > same and name[same] == names[0][same] for name in names):
        same += 1
    return names[0][:same]


def as_of(paths: Sequence[Path]) -> tuple[str, str]:
    """Return the day that rows without a date are true for, and what says so."""
    for path in paths:
        found = _DAY.search(path.name)
        if found:
            return "-".join(found.groups()), "the file's name"
    moment = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(moment, UTC).date().isoformat(), "the day on which the file was written"


def currency(one: Described) -> str:
    """Return the currency that a file's column of currencies names, where it is one."""
    column = one.roles.first("currency", "text")
    code = column.labels[0] if column and len(column.labels) == 1 else ""
    return code if re.fullmatch(r"[A-Z]{3}", code) else ""


def flags(roles: Roles) -> dict[str, str]:
    """Return conditions for the rows that a survey tool itself marks as no answers."""
    found = {}
    for column in roles.columns:
        ref, labels = quoted(column.name), set(map(str.lower, column.labels))
        if "status" in column.words and (roles.look.header.rows > 1 or "survey preview" in labels):
            found["preview or test"] = f"{ref} IN ('1', '2', 'Survey Preview', 'Survey Test')"
        if "finished" in column.words and labels and labels <= {"0", "1", "true", "false"}:
            found["not finished"] = f"lower({ref}) IN ('0', 'false')"
    return found
