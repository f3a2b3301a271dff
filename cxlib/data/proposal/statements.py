"""The text of the SQL of a proposed source: one SELECT for each file, every guess marked beside its column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cxlib.contract import TABLES
from cxlib.data.proposal.described import Described, said
from cxlib.data.proposal.drafts import Draft
from cxlib.data.proposal.keys import PER_FILE
from cxlib.data.proposal.roles import Field, quoted
from cxlib.data.sources import text

_MANY = 12  # columns that a comment names
_WIDE = 116  # a longer line has its comment above


def tables_of(files: Iterable[Described]) -> list[str]:
    """Return the tables that files fill, in the contract's order."""
    filled = {draft.table for file in files for draft in file.drafts}
    return [table for table in TABLES if table in filled]


def statement(table: str, files: Sequence[Described]) -> str:
    """Return the text of `<table>.sql`: a SELECT for each of the files that fill the table."""
    selects = [(file, draft) for file in files for draft in file.drafts if draft.table == table]
    lines = [
        f"-- {table}: {said('; '.join(dict.fromkeys(file.choice.why for file, _ in selects)))}.",
        "-- Written by cx new source: check what is marked `guess`, decide what is marked `TODO`, take the mark out.",
    ]
    for file, draft in selects:
        lines += _remarks(file) if draft is file.drafts[0] else []
    lines.append("\nUNION ALL BY NAME\n".join(_select(file, draft) for file, draft in selects))
    return "\n".join(lines) + "\n"


def _select(file: Described, draft: Draft) -> str:
    """Return one SELECT."""
    lines = ["SELECT"]
    for place, one in enumerate(draft.fields, start=1):
        lines += _column(one, last=place == len(draft.fields))
    by_file = any(f"PARTITION BY {PER_FILE}" in one.sql for one in draft.fields)
    origin = quoted(f"{file.alias}{'_scores' * bool(draft.scores)}{' placed' * by_file}")
    if file.look.in_words:
        also = f", {PER_FILE}" * by_file
        origin = f"(SELECT string_split_regex(trim(line), '\\s+') AS word{also} FROM {origin}) AS words"
    lines.append(f"FROM {origin}")
    if draft.no_answer:
        lines += ["-- guess: no answers", f"WHERE q_score NOT IN ({', '.join(map(text, draft.no_answer))})"]
    return "\n".join(lines)


def _column(one: Field, *, last: bool) -> list[str]:
    """Return the lines of one column: its remark stands behind it, or above where there is no room."""
    named = one.sql if one.sql == one.target else f"{one.sql} AS {one.target}"
    line = f"    {named}{'' if last else ','}"
    remark = f"-- {one.mark}: {said(one.why)}" if one.mark and one.why else ""
    if remark and ("\n" in line or len(line) + len(remark) > _WIDE):
        return [f"    {remark}", line]
    return [f"{line}  {remark}".rstrip()]


def _remarks(file: Described) -> list[str]:
    """Return what was not carried over, as comments."""
    left = [column for column in file.columns if column.name not in file.needed]
    personal = [column.name for column in left if file.roles.is_personal(column) and column.kind != "empty"]
    damaged = [column.name for column in file.roles.damaged()]
    rest = [column.name for column in left if column.name not in {*personal, *damaged}]
    told = {
        "Personal data, not carried over": personal,
        "Rounded by a spreadsheet, so no key (export them again, as text)": damaged,
        "Not used": rest,
    }
    lines = [f"-- {words}: {_listed(names)}" for words, names in told.items() if names]
    if rest and "customers" in file.choice.tables:
        lines.append(
            "-- A column becomes a segment when `attributes` of workspace.yml declares it and it is selected here."
        )
    return lines


def _listed(names: Sequence[str]) -> str:
    """Return names for a comment, cut where they are many."""
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return said(", ".join(name[:60] for name in names[:_MANY])) + more
