"""Refused rows: as they came, with every reason, the file and the row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb

from cxlib.contract import Table
from cxlib.data.lineage import PLACE, placed
from cxlib.data.queries import Query
from cxlib.data.rules import Rule, judged, reasons
from cxlib.data.sources import name

FILE, ROW, REASONS = "_file", "_row", "reasons"


def refused(table: Table) -> str:
    """Name the relation of a table's refused rows."""
    return name(f"refused {table.name}")


def set_aside(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    rules: Sequence[Rule],
    timezone: str,
    aliases: Collection[str],
    kept_out: Sequence[Rule] = (),
) -> str:
    """Make the table of refused rows: what the SQL yielded, as text, then `_file`, `_row` and `reasons`.

    Only called where there are some: the query runs once more, this time carrying places. Rows that `kept_out` refuses
    are left out: nobody may have them.

    Returns
    -------
    str
        The name of the table, quoted.
    """
    carried = placed(connection, query.sql, aliases)
    place = [f"{PLACE}.file AS {FILE}", f'{PLACE}."row" AS {ROW}'] if carried else []
    place = place or [f"NULL::VARCHAR AS {FILE}", f"NULL::BIGINT AS {ROW}"]
    raw = [f"{name(column)}::VARCHAR AS {name(column)}" for column in query.given]
    columns = ", ".join([*raw, *place, f"{reasons(rules)} AS {REASONS}"])
    found = judged(query.table, query.given, rules, timezone, f"({carried or query.sql}\n)")
    order = ", ".join([FILE, ROW, *(name(column) for column in query.given)])
    bad = " AND ".join(["_bad", *(f"NOT coalesce({rule.broken}, false)" for rule in kept_out)])
    target = refused(query.table)
    connection.execute(f"CREATE TABLE {target} AS SELECT {columns} FROM ({found}) WHERE {bad} ORDER BY {order}")
    return target
