"""The SQL of a plan as text, with the views that it reads: compiled once, it can be run again by another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

SPARE = "spare"  # the schema of tables that are read without the look-up of persons


class Text(NamedTuple):
    """A query of a store.

    Attributes
    ----------
    sql
        One SELECT.
    views
        What it reads: names of tables, `spare.<table>` where it asks for no person.
    """

    sql: str
    views: tuple[str, ...]


def text_of(connection: Any, expression: ir.Table) -> Text:
    """Compile an expression over a store's tables."""
    found = {
        f"{SPARE}.{table.name}" if table.namespace.database == SPARE else table.name
        for table in expression.op().find(ops.DatabaseTable)
    }
    with plainly():
        return Text(connection.compile(expression), tuple(sorted(found)))


@contextmanager
def plainly() -> Iterator[None]:
    """Let Ibis nest selections as they stand: fusing them is a third of its work, and DuckDB does the same anyway."""
    before = ibis.options.sql.fuse_selects
    ibis.options.sql.fuse_selects = False
    try:
        yield
    finally:
        ibis.options.sql.fuse_selects = before


def fits(text: Text, opened: Mapping[str, object], spare: Mapping[str, object]) -> bool:
    """Say whether a store has the views that a text reads; asking `opened` for a table makes its views."""
    for view in text.views:
        without, _, table = view.rpartition(".")
        if table not in opened or opened[table] is None or (without and table not in spare):
            return False
    return True
