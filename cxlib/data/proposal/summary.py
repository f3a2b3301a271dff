"""What is said of a proposal: what each file was taken for, and what a person must decide."""

from __future__ import annotations

from cxlib.data.proposal.described import Described
from cxlib.data.proposal.roles import TODO
from cxlib.data.proposal.settings import scalar, time_words


def sentence(one: Described) -> str:
    """Say what a file was taken for."""
    look = one.look
    kinds = {"text": "lines of words", "excel": "a workbook", "parquet": "Parquet", "jsonl": "JSON lines", "tsv": "TSV"}
    what = kinds.get(look.format, f"CSV parted by '{look.delimiter}'")
    what += f", {look.encoding}" if look.format in ("csv", "tsv", "text", "jsonl") else ""
    rows = f"{len(look.rows):,} rows{'' if look.whole else ' looked at'}"
    names = f"{len(look.columns)} column{'s' * (len(look.columns) != 1)}"
    return f"{one.path}: {what}, {names}, {rows}; fills {' and '.join(one.choice.tables)} ({one.choice.why})"


def to_decide(one: Described) -> list[str]:
    """Return what a person must decide about a file."""
    main = one.drafts[0].table
    words = [f"{one.path}: {one.choice.doubt}"] if one.choice.doubt else []
    words += [f"source.yml, {one.alias}, {what}: {doubt}" for what, doubt in one.look.doubts.items() if what and doubt]
    for name, column in one.roles.times.items():
        if column.time and (column.time.other or column.time.misfits):
            words.append(f"source.yml, times of {scalar(name)}: {time_words(column)}")
    for name, column in one.roles.numbers.items():
        if column.number and column.number.other:
            words.append(f"source.yml, numbers of {scalar(name)}: {column.number.style} or {column.number.other}?")
    if "responses" in one.choice.tables:
        words += [f"source.yml, question {scalar(asked.column)}: {asked.doubt}" for asked in one.asked if asked.doubt]
    fields = [(draft.table, field) for draft in one.drafts for field in draft.fields]
    words += [f"{table}.sql, {field.target}: {field.why}" for table, field in fields if field.mark == TODO]
    words += [
        f"{one.path}: '{c.name}' was rounded by a spreadsheet; export it again, as text" for c in one.roles.damaged()
    ]
    hashed = any(field.sql.startswith("sha256(") for _, field in fields)
    return (
        [*words, f"{main}.sql, customer_id: is there no id but the e-mail address, whose hash it is?"]
        if hashed
        else words
    )
