"""Where a row came from: a source's SQL, taught to carry the file and the row of the table that it mainly reads.

DuckDB knows no lineage, so the parsed query (its own parser's tree, as JSON) gets one more column. A joined row comes
from the left side, a group from its first row, each branch of UNION ALL from its own file. Where that cannot be told
(DISTINCT, UNION) a query stays as it is: rows are judged the same, only the place is not known.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import duckdb

from cxlib.data.sources import name

PLACE = "_place"  # STRUCT(file VARCHAR, "row" BIGINT)
_FILE, _ROW = "_file", "_row"  # of the views "<alias> placed"
_STRUCT = "{'file': \"%s\"._file, 'row': \"%s\"._row}"
_NOWHERE = 'NULL::STRUCT("file" VARCHAR, "row" BIGINT)'

Node = dict[str, Any]


def placed(connection: duckdb.DuckDBPyConnection, query: str, aliases: Collection[str]) -> str | None:
    """Return a query that also yields `_place`, or None where no row's place can be told.

    Parameters
    ----------
    connection
        Where the views of the source's files stand, each with its twin "<alias> placed".
    query
        One SELECT.
    aliases
        The files' names as the query calls them.

    Returns
    -------
    str or None
        The query with one column more, `_place`; all other columns and all rows are those of `query`.
    """
    tree = json.loads(_one(connection, "SELECT json_serialize_sql(?)", query))
    if tree.get("error"):
        return None
    work = _Work(connection, aliases)
    statement = tree["statements"][0]
    if not work.place(statement["node"]):
        return None
    try:
        found = _one(connection, "SELECT json_deserialize_sql(?)", json.dumps(tree))
        columns = [column for column in _columns(connection, found) if column[0] != PLACE]
        return found if columns == _columns(connection, query) else None
    except duckdb.Error:
        return None


def _one(connection: duckdb.DuckDBPyConnection, sql: str, value: str) -> str:
    """Return the one text that a query gives."""
    row = connection.execute(sql, [value]).fetchone()
    return str(row[0]) if row else ""


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str, str]]:
    """Return the columns of a query with their types."""
    return [(column, kind) for column, kind, *_ in connection.execute(f"DESCRIBE {query}").fetchall()]


class _Work:
    """One query in work: what its tables may be called."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, aliases: Collection[str]) -> None:
        self.connection, self.aliases = connection, {alias.lower() for alias in aliases}
        self.queries: dict[str, Node] = {}  # WITH name -> its query's node
        self.done: set[str] = set()

    def place(self, node: Node) -> bool:
        """Add the place to a SELECT or to all branches of a UNION ALL; say whether any row gets one."""
        self.queries |= {item["key"].lower(): item["value"]["query"]["node"] for item in node["cte_map"]["map"]}
        if node["type"] == "SET_OPERATION_NODE":
            if not (node["setop_type"] in ("UNION", "UNION_BY_NAME") and node["setop_all"]):
                return False
            sides = [side for side in (node.get("left"), node.get("right"), *node.get("children", [])) if side]
            return all(self.place_or_null(side) for side in sides)
        return node["type"] == "SELECT_NODE" and self._place_select(node)

    def place_or_null(self, node: Node) -> bool:
        """Add the place, or nothing in its place, so that branches stay of one width."""
        if self.place(node):
            return True
        if node["type"] != "SELECT_NODE" or _is_distinct(node):
            return False
        node["select_list"].append(self._expression(_NOWHERE))
        return True

    def _place_select(self, node: Node) -> bool:
        """Add the place to one SELECT."""
        if _is_distinct(node):
            return False
        found = self._origin(node["from_table"])
        if found is None:
            return False
        label, column, hidden = found
        for star in (item for item in node["select_list"] if item["class"] == "STAR"):
            if star["relation_name"].lower() in ("", label.lower()):
                star["exclude_list"] = [*star["exclude_list"], *hidden]
        column = f"min({column})" if self._is_grouped(node) else column
        node["select_list"].append(self._expression(column))
        return True

    def _origin(self, table: Node) -> tuple[str, str, tuple[str, ...]] | None:
        """Find the table that rows mainly come from, and let it show its places.

        Returns its name in the query, the SQL of the place, and the columns that stars must not show.
        """
        if table["type"] == "JOIN":
            sides = ("right", "left") if table["join_type"] == "RIGHT" else ("left", "right")
            return next((found for side in sides if (found := self._origin(table[side]))), None)
        label = str(table.get("alias") or table.get("table_name") or "")
        if table["type"] == "SUBQUERY" and label and self.place(table["subquery"]["node"]):
            return label, f"{name(label)}.{PLACE}", (PLACE,)
        if table["type"] != "BASE_TABLE":
            return None
        called = table["table_name"].lower()
        if called in self.queries:
            if called not in self.done and not self.place(self.queries[called]):
                return None
            self.done.add(called)
            return label, f"{name(label)}.{PLACE}", (PLACE,)
        if called.removesuffix(" placed") not in self.aliases:
            return None
        if called not in self.aliases:  # SQL that asks for the places itself
            return label, _STRUCT % (label, label), ()
        table["alias"], table["table_name"] = label, f"{table['table_name']} placed"
        return label, _STRUCT % (label, label), (_FILE, _ROW)

    def _is_grouped(self, node: Node) -> bool:
        """Say whether rows of a SELECT are groups."""
        return bool(node["group_expressions"] or node["aggregate_handling"] == "FORCE_AGGREGATES")

    def _expression(self, sql: str) -> Node:
        """Return the tree of an expression, called `_place`."""
        tree = json.loads(_one(self.connection, "SELECT json_serialize_sql(?)", f"SELECT {sql} AS {PLACE}"))
        expression: Node = tree["statements"][0]["node"]["select_list"][0]
        return expression


def _is_distinct(node: Node) -> bool:
    """Say whether equal rows of a SELECT become one: a place would keep them apart."""
    return any(modifier["type"] == "DISTINCT_MODIFIER" for modifier in node["modifiers"])
