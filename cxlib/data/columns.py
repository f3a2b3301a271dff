"""Which columns of which tables an Ibis expression needs.

DuckDB drops a column that a query does not use, but not the join that the column came from. So the store asks here
before it runs a query, and leaves out the look-up of persons where no person is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

import ibis.expr.operations as ops
import ibis.expr.types as ir

# Relations whose columns stand for themselves: one that nobody asks for plays no part. Of any other kind (a set, a
# distinct) every column is needed.
_PLAIN = (ops.Project, ops.Filter, ops.Sort, ops.Limit, ops.JoinChain, ops.Aggregate)


def needed(expression: ir.Table) -> dict[ops.DatabaseTable, set[str]]:
    """Return table -> the columns that an expression needs of it, at least.

    Parameters
    ----------
    expression
        A table expression. Where it is not known whether a column is needed, it is.
    """
    root = expression.op()
    found: dict[ops.Relation, set[str]] = {}
    work: list[tuple[ops.Relation, set[str]]] = [(root, set(root.schema))]
    while work:
        relation, names = work.pop()
        known = relation in found
        fresh = names - found.setdefault(relation, set())
        found[relation] |= fresh
        if fresh or not known:
            work += _asks(relation, fresh)
    return {relation: names for relation, names in found.items() if isinstance(relation, ops.DatabaseTable)}


def _asks(relation: ops.Relation, names: Iterable[str]) -> list[tuple[ops.Relation, set[str]]]:
    """Return what a relation needs of others, to yield the columns `names`."""
    if isinstance(relation, ops.Reference):
        return [(relation.parent, set(names))]
    plain = isinstance(relation, _PLAIN)
    nodes = [relation.values[name] for name in names] if plain else list(relation.values.values())
    asked: list[tuple[ops.Relation, set[str]]] = []
    for node in nodes + _conditions(relation):
        asked += [(field.rel, {field.name}) for field in node.find(ops.Field, filter=ops.Value)]
        asked += [(query.rel, set(query.rel.schema)) for query in node.find(ops.Subquery, filter=ops.Value)]
    links = relation.rest if isinstance(relation, ops.JoinChain) else ()
    below = [
        *(node for node in relation.__children__ if isinstance(node, ops.Relation)),
        *(link.table for link in links),
    ]
    return asked + [(other, set() if plain else set(other.schema)) for other in below]


def _conditions(relation: ops.Relation) -> list[ops.Value]:
    """Return what decides which rows a relation has and in which order, whatever columns are asked for."""
    if isinstance(relation, ops.JoinChain):
        return [predicate for link in relation.rest for predicate in link.predicates]
    if isinstance(relation, ops.Aggregate):
        return list(relation.groups.values())
    if isinstance(relation, ops.Project):
        return [value for value in relation.values.values() if value.find(ops.Unnest, filter=ops.Value)]
    return [node for node in relation.__children__ if isinstance(node, ops.Value)]
