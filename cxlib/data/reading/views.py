"""The views that a source's SQL reads: of the rows, of the answers to its questions, and both with file and row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from cxlib.data.reading.facts import COLUMN, FILE, OUT, REASON, ROW, TEXT, FileRead
from cxlib.data.reading.quoting import name, text
from cxlib.data.reading.relation import Relation
from cxlib.params.intake import File, Question

_UNREADABLE = 'unreadable (file VARCHAR, "row" BIGINT, "column" VARCHAR, reason VARCHAR, "text" VARCHAR, alias VARCHAR)'


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table of the rows that cannot be read."""
    connection.execute(f"CREATE TABLE {_UNREADABLE}")


def count(
    connection: duckdb.DuckDBPyConnection, relation: Relation, files: Sequence[tuple[Path, str]]
) -> tuple[FileRead, ...]:
    """Count what became of the rows of each file, and put those aside that cannot be read.

    Parameters
    ----------
    connection
        The engine, in which the view of all rows stands.
    relation
        The alias.
    files
        Path and label of each file, in the order of their numbers.
    """
    marks = f"{name(FILE)} AS file, {name(OUT)} AS out, {name(REASON)} IS NOT NULL AS bad"
    found = connection.execute(f"SELECT {marks}, count(*) FROM {relation.all} GROUP BY ALL").fetchall()
    rows = {(number, reason, bad): many for number, reason, bad, many in found}
    reasons = list(relation.file.leave_out)
    read = []
    for number, (path, label) in enumerate(files):
        out = {reason: many for nth, reason in enumerate(reasons) if (many := rows.get((number, nth, False), 0))}
        good, bad = rows.get((number, None, False), 0), rows.get((number, None, True), 0)
        read.append(FileRead(path, label, good, out, bad))
    if any(file.unreadable for file in read):
        columns = f"{_label(files)}, {name(ROW)}, {name(COLUMN)}, {name(REASON)}, {name(TEXT)}, {text(relation.alias)}"
        where = f"WHERE {name(REASON)} IS NOT NULL ORDER BY {name(FILE)}, {name(ROW)}"
        connection.execute(f"INSERT INTO unreadable SELECT {columns} FROM {relation.all} {where}")
    return tuple(read)


def stand(
    connection: duckdb.DuckDBPyConnection, relation: Relation, files: Sequence[tuple[Path, str]], *, whole: bool
) -> None:
    """Make the views of one alias.

    Parameters
    ----------
    connection
        The engine, in which the view of all rows stands.
    relation
        The alias.
    files
        Path and label of each file, in the order of their numbers.
    whole
        All rows can be read, and none is left out.
    """
    where = "" if whole else f" WHERE {name(REASON)} IS NULL AND {name(OUT)} IS NULL"
    columns = ", ".join(map(name, relation.columns))
    placed = ", ".join(map(name, (c for c in relation.columns if c.lower() not in ("_file", "_row"))))
    place = f"{_label(files)} AS _file, {name(ROW)} AS _row"
    _views(connection, relation.alias, relation.file, f"SELECT {columns} FROM {relation.all}{where}")
    select = f"SELECT {placed}{', ' if placed else ''}{place} FROM {relation.all}{where}"
    _views(connection, relation.alias, relation.file, select, " placed")


def stand_empty(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    """Make the views of an optional file that is not there."""
    columns = ", ".join(f"NULL::{kind} AS {name(column)}" for column, kind in relation.columns.items())
    _views(connection, relation.alias, relation.file, f"SELECT {columns} WHERE false")
    placed = f"SELECT {columns}, NULL::VARCHAR AS _file, NULL::BIGINT AS _row WHERE false"
    _views(connection, relation.alias, relation.file, placed, " placed")


def _views(connection: duckdb.DuckDBPyConnection, alias: str, file: File, select: str, suffix: str = "") -> None:
    """Make a view of rows, and where the file has questions the view of the answers."""
    view = name(f"{alias}{suffix}")
    connection.execute(f"CREATE VIEW {view} AS {select}")
    if file.questions:
        answers = " UNION ALL ".join(_answers(view, column, question) for column, question in file.questions.items())
        connection.execute(f"CREATE VIEW {name(f'{alias}_scores{suffix}')} AS {answers}")


def _answers(view: str, column: str, question: Question) -> str:
    """Return SQL for the answers to one question."""
    answer = f"nullif(trim({name(column)}::VARCHAR), '')"
    labels = " ".join(f"WHEN {text(label.strip())} THEN {text(str(score))}" for label, score in question.scores.items())
    score = f"CASE {answer} {labels} ELSE {answer} END" if labels else answer
    touchpoint = text(question.touchpoint) if question.touchpoint else "NULL::VARCHAR"
    comment = f"{name(question.comment)}::VARCHAR" if question.comment else "NULL::VARCHAR"
    return (
        f"SELECT *, {text(column)} AS q_name, {text(question.instrument)} AS q_instrument,"
        f" {touchpoint} AS q_touchpoint, {score} AS q_score, {comment} AS q_comment"
        f" FROM {view} WHERE {answer} IS NOT NULL"
    )


def _label(files: Sequence[tuple[Path, str]]) -> str:
    """Return SQL for the name of a row's file."""
    return f"([{', '.join(text(label) for _, label in files)}])[{name(FILE)} + 1]"
