"""Columns that no table holds and every workspace needs: worked out here, only where a metric or segment names them.

Also the segments: the attribute of a customer as it was valid at the event, never today's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import ibis
import ibis.expr.types as ir

from cxlib.contract import DERIVED, TABLES
from cxlib.errors import CxError
from cxlib.expressions import Expression, parse
from cxlib.measure import experience, surveys
from cxlib.measure.compiler import as_condition, compile_expression
from cxlib.params import Segment, Touchpoint

Tables = Mapping[str, ir.Table]

_ALWAYS, _NEVER = datetime(1, 1, 1), datetime(9999, 12, 31)
UNCLASSIFIED = "unclassified"


class Undefined(CxError):  # noqa: N818, it is a result and no fault
    """The workspace lacks what a metric or a segment needs; the caller shows an `undefined` row with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def rows_of(table: str, names: Iterable[str], tables: Tables, touchpoints: Mapping[str, Touchpoint]) -> ir.Table:
    """Return the rows of one table: the columns `names`, derived ones among them, its key and its customers.

    No others: each further column costs every later step of a plan, compiling above all. Raises `Undefined` where the
    workspace lacks the table or a column.
    """
    rows, names = _table(table, tables), set(names)
    wanted = sorted(names & DERIVED.get(table, {}).keys() - set(rows.columns))
    for name in wanted:
        for needed in DERIVED[table][name].needs:
            _column(needed, tables)
    for name in sorted(names - set(wanted)):
        _column(f"{table}.{name}", tables)
    rows = _derive(table, rows, wanted, tables, touchpoints)
    own = {*TABLES[table].key, "customer_id"}  # what tells a row and its customer from others
    return rows.select([name for name in rows.columns if name in names or name in own])


def cluster_of(rows: ir.Table, table: str, column: str) -> ir.Value:
    """Return whom a row belongs to. A row without a customer, or of a metric without clusters, stands by itself.

    The unit separator before a key keeps it apart from every customer id.
    """
    key = ibis.literal("\x1f").concat(*(rows[name].cast("string") for name in TABLES[table].key))
    if not column or column not in rows.columns:
        return key
    contract = TABLES[table].column(column)
    return rows[column] if contract and contract.required else ibis.ifelse(rows[column].isnull(), key, rows[column])


def with_customers(rows: ir.Table, segments: Sequence[Segment], time: str, tables: Tables) -> ir.Table:
    """Return rows joined with the attributes that `segments` name, as valid at `rows[time]`.

    Attributes are named `_customer_<attribute>`; `_customer_id` is null for a customer nobody knows. A row of
    `customers` holds from its `valid_from` until the next; the first holds before it, too.
    """
    names = sorted({name for segment in segments for name in columns_of(segment)})
    if not segments:
        return rows
    customers = _table("customers", tables)
    if "customer_id" not in rows.columns:
        raise Undefined(f"segment '{segments[0].id}' is of customers, which the rows of this metric do not name")
    for name in names:
        _column(f"customers.{name}", tables)
    order = ibis.window(group_by=customers.customer_id, order_by=customers.valid_from)
    since = ibis.ifelse(customers.valid_from.lag().over(order).isnull(), ibis.literal(_ALWAYS), customers.valid_from)
    until = ibis.coalesce(customers.valid_from.lead().over(order), ibis.literal(_NEVER))
    history = customers.select(
        _customer_id=customers.customer_id,
        _since=since,
        _until=until,
        **{f"_customer_{n}": customers[n] for n in names},
    )
    valid = [rows.customer_id == history._customer_id, rows[time] >= history._since, rows[time] < history._until]
    return rows.left_join(history, valid).select(*rows.columns, "_customer_id", *(f"_customer_{n}" for n in names))


def level_of(segment: Segment, rows: ir.Table, values: Mapping[str, ir.Value]) -> ir.StringValue:
    """Return the level of each row; `values` hold the period's names. Customers must be joined before."""
    own = segment.on == "event"
    known = {name: rows[name if own else f"_customer_{name}"] for name in columns_of(segment)} | dict(values)
    if segment.column:
        return ibis.coalesce(known[segment.column].cast("string"), ibis.literal(segment.otherwise))
    branches = [
        (as_condition(compile_expression(when, known), when.text), ibis.literal(rule.level))
        for rule, when in zip(segment.rules, _rules(segment), strict=True)
    ]
    if not own:
        branches.insert(0, (rows._customer_id.isnull(), ibis.literal(segment.otherwise)))
    return ibis.cases(*branches, else_=ibis.literal(segment.otherwise))


def columns_of(segment: Segment) -> frozenset[str]:
    """Return the columns that a segment names."""
    return frozenset({segment.column} if segment.column else set()).union(*(rule.columns for rule in _rules(segment)))


def period_names_of(segments: Sequence[Segment]) -> set[str]:
    """Return what the rules of segments say of the period."""
    return {name for segment in segments for rule in _rules(segment) for name in rule.period_names}


def holds(tables: Tables, table: str, segment: Segment) -> bool:
    """Say whether a workspace has the columns that rows of a table need to be cut by a segment."""
    where = table if segment.on == "event" else "customers"
    if table not in tables or where not in tables:
        return False
    own = set(tables[where].columns)
    worked_out = DERIVED.get(where, {}).keys() - own if segment.on == "event" else set()
    paths = [path for name in columns_of(segment) & worked_out for path in DERIVED[where][name].needs]
    paths += [f"{where}.{name}" for name in columns_of(segment) - worked_out]
    paths += [f"{table}.customer_id"] if segment.on == "customers" else []
    return all(
        other in tables and name in tables[other].columns for other, _, name in (p.partition(".") for p in paths)
    )


def _rules(segment: Segment) -> list[Expression]:
    return [parse(rule.when) for rule in segment.rules]


def _table(name: str, tables: Tables) -> ir.Table:
    if name not in tables:
        raise Undefined(f"this workspace has no table '{name}'")
    return tables[name]


def _column(path: str, tables: Tables) -> None:
    """Refuse a column that the workspace's table lacks."""
    table, _, name = path.partition(".")
    if name not in _table(table, tables).columns:
        raise Undefined(f"table '{table}' has no column '{name}' in this workspace")


def _derive(
    table: str, rows: ir.Table, wanted: Sequence[str], tables: Tables, touchpoints: Mapping[str, Touchpoint]
) -> ir.Table:
    """Add the wanted columns."""
    if table == "invitations" and "responded" in wanted:
        # An answer that the rule of repeats does not count was an answer all the same.
        answers = tables["all responses"] if "all responses" in tables else tables["responses"]
        found = answers.filter(answers.invitation_id.notnull()).select(_answered="invitation_id").distinct()
        rows = rows.left_join(found, rows.invitation_id == found._answered)
        rows = rows.mutate(responded=rows._answered.notnull()).drop("_answered")
    if table == "responses" and "delivered_late" in wanted:
        orders = tables["orders"]
        late = orders.select(_order=orders.order_id, delivered_late=orders.delivered_at > orders.promised_at)
        rows = rows.left_join(late, rows.order_id == late._order).drop("_order")
    if table == "responses":
        rows = experience.add(surveys.add(rows, wanted, tables), wanted, tables)
    own = [name for name in wanted if name not in rows.columns]
    return rows.mutate(**{name: _own(name, rows, touchpoints) for name in own}) if own else rows


def _own(name: str, rows: ir.Table, touchpoints: Mapping[str, Touchpoint]) -> ir.Value:
    """Return a derived column that needs no other table."""
    if name in ("touchpoint_group", "touchpoint_stage"):
        known = {key: getattr(touchpoint, name.removeprefix("touchpoint_")) for key, touchpoint in touchpoints.items()}
        return _look_up(rows.touchpoint, known, UNCLASSIFIED)
    if name == "digital":
        return _look_up(rows.touchpoint, {key: touchpoint.digital for key, touchpoint in touchpoints.items()}, None)
    if name == "delivered_late":
        return rows.delivered_at > rows.promised_at
    if name == "contact_of_case":
        order = ibis.window(group_by=rows.case_id, order_by=[rows.started_at, rows.interaction_id])
        number = (ibis.row_number().over(order) + 1).cast("int64")
        return ibis.ifelse(rows.case_id.isnull(), ibis.literal(1, "int64"), number)
    order = ibis.window(group_by=rows.customer_id, order_by=[rows.ordered_at, rows.order_id])
    if name == "next_ordered_at":
        return rows.ordered_at.lead().over(order)
    return (ibis.row_number().over(order) + 1).cast("int64")  # order_number


def _look_up(value: ir.Value, table: Mapping[str, str | bool], otherwise: str | None) -> ir.Value:
    """Return `table[value]`, or `otherwise` where the table does not know it."""
    kind = "string" if otherwise is not None else "boolean"
    rest = ibis.literal(otherwise, kind) if otherwise is not None else ibis.null(kind)
    if not table:
        return rest
    return ibis.cases(*((value == name, ibis.literal(found, kind)) for name, found in table.items()), else_=rest)
