"""The text of a proposed `source.yml`, with every guess marked for the person who signs it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.described import Described, said
from cxlib.data.proposal.roles import GUESS, TODO

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ./-]*[A-Za-z0-9_.]|[A-Za-z_]|\d{4}-\d\d-\d\d|\d+")
_UNSAFE = re.compile("[\x7f-\xa0\ufeff\ufffe\uffff\u2028\u2029\ud800-\udfff]")
_LONGEST_KEY = 900  # YAML allows 1,024 characters before the colon
_IN = "    "  # before the keys of a file
_TOP = """\
# Written by cx new source. What is marked `guess` is to be checked and what is marked `TODO` to be decided; take the
# mark out once it is."""


@dataclass(frozen=True)
class Head:
    """What stands above the files; why each value was chosen stands beside it."""

    title: str
    timezone: str
    timezone_why: str
    folder: str = ""
    as_of: str = ""
    as_of_why: str = ""
    currency: str = ""
    keep_customers: bool = False


def scalar(value: str) -> str:
    """Return a text as YAML holds it: bare where that is safe."""
    if _PLAIN.fullmatch(value) and value.lower() not in ("null", "none"):
        return value
    return in_quotes(value)


def in_quotes(value: str) -> str:
    """Return a text as YAML holds it in quotes."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _key(value: str, indent: str) -> str:
    """Return a key of a YAML mapping, with its colon."""
    return f"{indent}{scalar(value)}:" if len(value) <= _LONGEST_KEY else f"{indent}? {scalar(value)}\n{indent}:"


def _note(words: str, mark: str = GUESS) -> str:
    """Return a comment at the end of a line."""
    return f"  # {mark}: {said(words)}" if words else ""


def settings(head: Head, files: Sequence[Described]) -> str:
    """Return the text of `source.yml`."""
    lines = [
        _TOP,
        f"title: {scalar(head.title)}{_note('its name')}",
        f"licence: not stated{_note('whose data this is, and what it may be used for', TODO)}",
        f"timezone: {scalar(head.timezone)}{_note(head.timezone_why)}",
    ]
    if head.currency:
        lines.append(f"currency: {head.currency}{_note('its column of currencies')}")
    if head.folder:
        lines.append(f"folder: {scalar(head.folder)}")
    if head.as_of:
        lines.append(f"as_of: {head.as_of}{_note(head.as_of_why)}")
    if head.keep_customers:
        words = "rows count even where no source brought their customer; `reject` puts them aside"
        lines.append(f"unknown: {{customers: keep}}{_note(words)}")
    lines.append("files:")
    for file in files:
        lines += [f"  {file.alias}:", *_place(file), *_layout(file), *_times(file), *_numbers(file)]
        lines += [*_left_out(file), *_questions(file)]
    return "\n".join(lines) + "\n"


def _place(file: Described) -> list[str]:
    """Return the lines on where a file is, and what is to be said of it as a whole."""
    lines = [f"{_IN}path: {in_quotes(file.path)}{_next_ones(file.path)}"]
    if file.look.doubts.get(""):
        lines.append(f"{_IN}# {said(file.look.doubts[''])}")
    if file.choice.doubt:
        lines.append(f"{_IN}# TODO: {said(file.choice.doubt)}")
    return lines


def _next_ones(path: str) -> str:
    """Propose a glob where a file's name holds a date or a number."""
    name = Path(path).name
    if re.search(r"[*?\[]", name) or not re.search(r"\d{3,}", name):
        return ""
    pattern = re.sub(r"\d[\d_.-]*\d(?=\D)|\d(?=\D)", "*", name)
    return f"  # this file only; {in_quotes(re.sub(r'[*]+', '*', pattern))} takes the next ones too"


def _layout(file: Described) -> list[str]:
    """Return the lines on how a file is written."""
    look, header, lines = file.look, file.look.header, []
    if look.format != "csv":
        lines.append(f"format: {look.format}")
    if look.format in ("csv", "tsv", "text", "jsonl"):
        lines.append(f"encoding: {look.encoding}{_why(file, 'encoding')}")
    if look.format == "csv":
        lines.append(f"delimiter: {json.dumps(look.delimiter)}{_why(file, 'delimiter')}")
    if look.format not in ("parquet", "jsonl"):
        lines += [f"skip: {header.skip}"] if header.skip else []
        lines += [f"header_rows: {header.rows}{_why(file, 'header')}"] if header.rows != 1 or header.why else []
        lines += ["header: joined"] if header.how == "joined" else []
        lines += [f"names: {_list(header.columns)}"] if header.rows == 0 and not look.in_words else []
    lines += [f"sheet: {scalar(look.sheet)}{_why(file, 'sheet')}"] if look.sheet else []
    lines += [f"member: {scalar(look.member)}{_why(file, 'member')}"] if look.member else []
    lines += [f"columns: {_list(file.needed)}"] if file.needed and not look.in_words else []
    return [_IN + line for line in lines]


def _list(names: Sequence[str]) -> str:
    """Return names as a YAML list."""
    return f"[{', '.join(map(scalar, names))}]"


def _why(file: Described, what: str) -> str:
    """Return why a setting was chosen, and what to check."""
    return _note("; ".join(filter(None, [file.look.whys.get(what, ""), file.look.doubts.get(what, "")])))


def _times(file: Described) -> list[str]:
    """Return the lines of the times that the SQL reads."""
    lines = []
    for name, column in file.roles.times.items():
        guess = column.time
        assert guess is not None
        pattern = scalar(guess.format)
        value = f"{{format: {pattern}, timezone: {guess.timezone}}}" if guess.timezone else pattern
        lines.append(f"{_key(name, _IN + '  ')} {value}{_note(time_words(column))}")
    return [f"{_IN}times:", *lines] if lines else []


def time_words(column: Column) -> str:
    """Say why a time is read so, and what else it could be."""
    guess = column.time
    if guess is None:
        return ""
    example = next((value for value, _ in column.counts if value != guess.misfit), "")
    words = f"as '{example}'"
    if guess.other:
        words = f"AMBIGUOUS: '{example}' fits {guess.format} and {guess.other}; the workspace's locale writes the first"
    elif guess.settled_by:
        words = f"'{guess.settled_by}' leaves no other reading"
    return words + _misfits(column, guess.misfits, guess.seen, guess.misfit)


def _misfits(column: Column, misfits: int, seen: int, misfit: str) -> str:
    """Say how many values are written otherwise."""
    if not misfits:
        return ""
    first = f"the first{f' in row {column.misfit_row:,}' if column.misfit_row else ''}: '{misfit[:40]}'"
    return f"; {misfits:,} of {seen:,} values are written otherwise, so their rows are unreadable, {first}"


def _numbers(file: Described) -> list[str]:
    """Return the lines of the numbers that are not written as 1234.56."""
    lines = []
    for name, column in file.roles.numbers.items():
        guess = column.number
        assert guess is not None
        words = f"as '{column.counts[0][0]}'{f'; AMBIGUOUS: {guess.other} fits as well' if guess.other else ''}"
        words += _misfits(column, guess.misfits, guess.seen, guess.misfit)
        lines.append(f"{_key(name, _IN + '  ')} {json.dumps(guess.style)}{_note(words)}")
    return [f"{_IN}numbers:", *lines] if lines else []


def _left_out(file: Described) -> list[str]:
    """Return the lines of the rows that are left out."""
    lines = [f"{_IN}  {scalar(why)}: {in_quotes(sql)}" for why, sql in file.leave_out.items()]
    return [f"{_IN}leave_out:{_note('what the tool itself marks so')}", *lines] if lines else []


def _questions(file: Described) -> list[str]:
    """Return the lines of the questions; those that are not certain stand there as comments."""
    lines = []
    for one in file.questions:
        why = "; ".join(filter(None, [one.why, one.doubt]))
        lines += [_key(one.column, _IN + "  "), f"{_IN}    instrument: {one.instrument}{_note(why)}"]
        lines += [f"{_IN}    comment: {scalar(one.comment)}{_note('the text nearest to it')}"] if one.comment else []
        lines += [f"{_IN}    scores:"] if one.scores else []
        lines += [f"{_key(label, _IN + '      ')} {score}" for label, score in one.scores.items()]
    unsettled = [one for one in file.asked if not one.instrument and "responses" in file.choice.tables]
    todo = [f"{_IN}  # TODO: {said(f'{one.column}: {one.doubt}')}" for one in unsettled]
    return [f"{_IN}{'' if lines else '# '}questions:", *lines, *todo] if lines or todo else []
