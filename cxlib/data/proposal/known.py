"""Recognise a tool whose export another source of the workspace reads already, and make that source's texts anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from cxlib.data.proposal.files import pattern
from cxlib.data.proposal.look import Look
from cxlib.data.proposal.questions import Asked
from cxlib.data.proposal.settings import scalar
from cxlib.data.reading.heads import titles
from cxlib.params.intake import File, Source

_LEAST = 3  # columns that make a header known
_NUMBERED = re.compile(r"Q(ID)?\d+(_\w+)?")  # a survey tool's own numbering: it says nothing of what is asked
_TABLES = ("csv", "tsv", "excel")
_Edit = tuple[int, int, str]  # from, to, the new text


@dataclass(frozen=True)
class Match:
    """A source that fits: alias -> the files for it. `asked` replaces the questions of an alias where they differ."""

    source: Source
    files: Mapping[str, tuple[Look, ...]]
    asked: Mapping[str, tuple[Asked, ...]] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()  # required aliases for which no file was given

    @property
    def weight(self) -> tuple[int, int]:
        """How much of what was given it explains."""
        columns = sum(len(self.source.files[alias].columns) for alias in self.files)
        return sum(map(len, self.files.values())), columns


def match(
    looks: Sequence[Look], asked: Mapping[Path, Sequence[Asked]], sources: Mapping[str, Source]
) -> tuple[Match | None, list[Match]]:
    """Find the source that reads such files.

    Parameters
    ----------
    looks
        The files.
    asked
        The questions that were found in each.
    sources
        The workspace's.

    Returns
    -------
    Match or None, list of Match
        The best that can be used as it is, and those that lack a file.
    """
    whole: list[Match] = []
    partial: list[Match] = []
    for source in sources.values():
        found = _assigned(source, looks)
        if not found:
            continue
        lacking = tuple(
            alias
            for alias, file in source.files.items()
            if alias not in found and not (file.optional or file.questions)
        )
        made = Match(source, found, _other_questions(source, found, asked), lacking)
        usable = not lacking and all(questions for questions in made.asked.values())
        (whole if usable else partial).append(made)
    best = max(whole, key=lambda one: one.weight, default=None)
    return best, sorted(partial, key=lambda one: one.weight, reverse=True)


def _assigned(source: Source, looks: Sequence[Look]) -> dict[str, tuple[Look, ...]]:
    """Give each file to the alias that describes it best."""
    found: dict[str, tuple[Look, ...]] = {}
    for look in looks:
        fitting = [alias for alias, file in source.files.items() if _fits(file, look)]
        if fitting:
            named = [alias for alias in fitting if fnmatch(look.path.name, Path(source.files[alias].path).name)]
            best = max(named or fitting, key=lambda alias: len(source.files[alias].columns))
            found[best] = (*found.get(best, ()), look)
    return found


def _fits(file: File, look: Look) -> bool:
    """Say whether a file has the columns that a source's file needs."""
    if file.format == "text" or look.format == "text":
        return file.format == look.format and file.path == look.path.name
    if file.format != look.format and not (file.format in _TABLES and look.format in _TABLES):
        return False
    there = set(_header(file, look))
    needed = {column for column in (*file.columns, *file.times, *file.numbers) if not _NUMBERED.fullmatch(column)}
    worded = {column for column in file.questions if not _NUMBERED.fullmatch(column)}
    return needed <= there and len(needed) + len(worded & there) >= _LEAST


def _header(file: File, look: Look) -> Sequence[str]:
    """Return the columns of a file as a source's file reads its header."""
    if look.format in ("parquet", "jsonl"):
        return look.columns
    rows = look.top[file.skip : file.skip + max(file.header_rows, 1)]
    same = (look.header.skip, look.header.rows) == (file.skip, file.header_rows)
    if not same or file.header_rows == 0 or len(rows) < file.header_rows:
        return ()
    return titles([list(row) for row in rows], file)


def _other_questions(
    source: Source, found: Mapping[str, tuple[Look, ...]], asked: Mapping[Path, Sequence[Asked]]
) -> dict[str, tuple[Asked, ...]]:
    """Return the questions of each alias whose own are not those of the file: every survey asks its own."""
    other = {}
    for alias, looks in found.items():
        file, look = source.files[alias], looks[0]
        there = {one.column: one.instrument for one in asked[look.path]}
        same = all(
            name in _header(file, look) and (not _NUMBERED.fullmatch(name) or there.get(name) == question.instrument)
            for name, question in file.questions.items()
        )
        if not same:
            other[alias] = tuple(one for one in asked[look.path] if one.instrument)
    return other


def paths(found: Match, base: Path, names: Sequence[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the path of each alias, its own where that names the files already; and the files that it leaves out."""
    made: dict[str, str] = {}
    passed: dict[str, list[str]] = {}
    for alias, looks in found.files.items():
        mine, own = sorted(look.path.name for look in looks), found.source.files[alias].path
        named = [name for name in names if fnmatch(name, own)]
        made[alias] = own if named == mine else pattern([look.path for look in looks], base, names)
        left = [name for name in mine if not fnmatch(name, Path(made[alias]).name)]
        passed |= {alias: left} if left else {}
    return made, passed


def hint(one: Match) -> str:
    """Say which source reads such a file, and why it was not taken."""
    aliases = ", ".join(one.files)
    if one.lacking:
        return f"looks like {aliases} of the source {one.source.id}, which also needs {', '.join(one.lacking)}"
    return f"looks like {aliases} of the source {one.source.id}, but none of its questions is known"


def retold(text: str, found: Match, paths: Mapping[str, str], *, folder: str, as_of: str) -> str:
    """Return the text of a source's `source.yml` for other files.

    Parameters
    ----------
    text
        As it stands.
    found
        The source and the files.
    paths
        Alias -> path of its files, from the new source's folder.
    folder
        Of the new source; "" for its default.
    as_of
        What dates the rows of the new files, where the source is a cross-section.
    """
    edits: list[_Edit] = []
    top = dict(_items(yaml.compose(text, Loader=yaml.BaseLoader)))  # its marks say where each value stands
    if "as_of" in top:
        edits.append(_value(top["as_of"][1], f"{as_of}  # guess: the rows have no date"))
    if "folder" in top:
        edits.append(_value(top["folder"][1], folder or f"data/raw/{found.source.id}"))
    for alias, (_, node) in dict(_items(top["files"][1])).items():
        keys = dict(_items(node))
        if alias not in found.files:
            own = found.source.files[alias]
            needless = own.optional or not own.questions
            edits += [] if needless else [_added(keys, node, {"optional": "true"})]
            continue
        edits.append(_value(keys["path"][1], scalar(paths[alias])))
        edits += _as_found(found, alias, keys, node)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    head = f"# Copied by cx new source from params/sources/{found.source.id}, whose columns the files have.\n"
    return head + (f"folder: {scalar(folder)}\n" if folder and "folder" not in top else "") + text


def _as_found(found: Match, alias: str, keys: Mapping[str, Any], node: yaml.Node) -> list[_Edit]:
    """Return the edits for what the files have otherwise than the source's own: encoding, delimiter, questions."""
    look, own, edits, more = found.files[alias][0], found.source.files[alias], [], {}
    wanted = {"format": look.format, "sheet": look.sheet, "member": look.member}
    wanted |= {"encoding": look.encoding} if look.format in ("csv", "tsv") else {}
    wanted |= {"delimiter": look.delimiter} if look.format == "csv" else {}
    for name, value in wanted.items():
        if value == getattr(own, name) or not value:
            continue
        if name in keys:
            edits.append(_value(keys[name][1], scalar(value)))
        else:
            more[name] = scalar(value)
    if alias in found.asked:
        edits.append(_whole(keys["questions"], _flow_questions(found.asked[alias])))
        kept = {why: sql for why, sql in own.leave_out.items() if not re.search(rf"\b{_NUMBERED.pattern}\b", sql)}
        if len(kept) < len(own.leave_out):
            flow = ", ".join(f"{scalar(why)}: {scalar(sql)}" for why, sql in kept.items())
            edits.append(_whole(keys["leave_out"], f"{{{flow}}}"))
        columns = [column for column in own.columns if not _NUMBERED.fullmatch(column)]
        edits.append(_whole(keys["columns"], f"[{', '.join(map(scalar, columns))}]"))
    return [*edits, _added(keys, node, more)] if more else edits


def _flow_questions(asked: Sequence[Asked]) -> str:
    """Return questions as YAML on one line."""
    parts = []
    for one in asked:
        inner = [f"instrument: {one.instrument}"]
        inner += [f"comment: {scalar(one.comment)}"] if one.comment else []
        if one.scores:
            inner.append(f"scores: {{{', '.join(f'{scalar(label)}: {score}' for label, score in one.scores.items())}}}")
        parts.append(f"{scalar(one.column)}: {{{', '.join(inner)}}}")
    return f"{{{', '.join(parts)}}}  # guess: by what the questions say; the source's own are of another survey"


def _items(node: Any) -> list[tuple[str, tuple[Any, Any]]]:
    """Return the keys of a mapping with the nodes of key and value."""
    return [(str(name.value), (name, value)) for name, value in node.value]


def _value(node: Any, new: str) -> _Edit:
    """Return the edit that replaces a scalar."""
    return node.start_mark.index, node.end_mark.index, new


def _whole(pair: tuple[Any, Any], new: str) -> _Edit:
    """Return the edit that replaces all of a key's value, written in whatever style."""
    name, value = pair
    return name.start_mark.index, _end(value), f"{name.value}: {new}"


def _end(node: Any) -> int:
    """Return where a node ends, without the blank lines and comments behind a block."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _added(keys: Mapping[str, Any], node: Any, more: Mapping[str, str]) -> _Edit:
    """Return the edit that adds keys before `path`."""
    name, _ = keys["path"]
    place = name.start_mark.index
    parts = [f"{key}: {new}" for key, new in more.items()]
    if node.flow_style:
        return place, place, "".join(f"{part}, " for part in parts)
    indent = " " * name.start_mark.column
    return place, place, "".join(f"{part}\n{indent}" for part in parts)
