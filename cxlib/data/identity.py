"""Several ids of one person: `identities` says which id stands for whom, and is applied when a table is read.

- A chain (a is b, b is c) is followed to its end. Ids that point at each other in a circle are one person, called by
  the smallest of them.
- An id that nobody maps stays as it is.
- Where this makes two rows of a table one (customers and subscriptions, say, have the customer in their key), one
  stays: the earliest by the table's time, then the one that came under the person's own id, then the one with the
  smallest id.

None of it depends on the order in which files or rows came in.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from cxlib.contract import Table
from cxlib.data.sources import name

PERSON = ("customer_id", "referred_by")  # columns that name a person


def resolve(connection: duckdb.DuckDBPyConnection, selects: Sequence[str], target: str) -> int:
    """Make a table of who is who: `source_id`, and as `customer_id` the id at the end of its chain.

    Parameters
    ----------
    connection
        Where the table is made.
    selects
        SQL for rows of `identities`. Where two map one id, the earlier SELECT holds.
    target
        The quoted name of the table. An id that stands for itself is not in it.

    Returns
    -------
    int
        How many ids point at each other in circles.
    """
    ranked = " UNION ALL ".join(
        f"SELECT source_id, customer_id, {place} AS place FROM ({select})" for place, select in enumerate(selects)
    )
    first = "row_number() OVER (PARTITION BY source_id ORDER BY place, customer_id) = 1"
    connection.execute(
        f"CREATE TABLE {target} AS SELECT source_id, customer_id FROM ({ranked})"
        f" WHERE source_id <> customer_id {f'QUALIFY {first}' if len(selects) > 1 else ''}"
    )
    return _follow(connection, target)


def _follow(connection: duckdb.DuckDBPyConnection, target: str) -> int:
    """Let every id point at the end of its chain, doubling the steps each time; return how many are in circles."""
    links = name(f"links of {target}")
    connection.execute(
        f"CREATE TABLE {links} AS SELECT *, customer_id AS least FROM {target}"
        f" WHERE customer_id IN (SELECT source_id FROM {target})"
    )
    count = _one(connection, f"SELECT count(*) FROM {links}")
    circles = 0
    if count:
        more = f"SELECT count(*) FROM {links} WHERE customer_id IN (SELECT source_id FROM {links})"
        for _ in range(count.bit_length()):  # 2 ** steps exceeds the length of any chain or circle
            if not _one(connection, more):
                break
            connection.execute(
                f"CREATE OR REPLACE TABLE {links} AS SELECT a.source_id, coalesce(b.customer_id, a.customer_id)"
                " AS customer_id, least(a.least, coalesce(b.least, a.least)) AS least"
                f" FROM {links} AS a LEFT JOIN {links} AS b ON b.source_id = a.customer_id"
            )
        # What still points at a link points into a circle, whose smallest id it has met on the way round.
        connection.execute(
            f"CREATE OR REPLACE TABLE {target} AS WITH ends AS ("
            "SELECT a.source_id, CASE WHEN b.source_id IS NULL THEN last.customer_id ELSE b.least END AS customer_id"
            f" FROM {links} AS a LEFT JOIN {links} AS b ON b.source_id = a.customer_id"
            f" LEFT JOIN {target} AS last ON last.source_id = a.customer_id)"
            f" SELECT t.source_id, coalesce(e.customer_id, t.customer_id) AS customer_id FROM {target} AS t"
            " LEFT JOIN ends AS e USING (source_id) WHERE t.source_id <> coalesce(e.customer_id, t.customer_id)"
        )
        met = f"SELECT count(DISTINCT customer_id) FROM {links} WHERE customer_id IN (SELECT source_id FROM {links})"
        circles = _one(connection, met)
    connection.execute(f"DROP TABLE {links}")
    return circles


def reading(connection: duckdb.DuckDBPyConnection, table: Table, rows: str, people: str, merged: str) -> str:
    """Return SQL for the rows of a table under the ids of persons.

    Parameters
    ----------
    connection
        Where the rows are.
    table
        The table of the contract.
    rows
        The quoted name of a view of its rows as the store holds them.
    people
        The quoted name of what `resolve` made.
    merged
        The quoted name of the table to list keys in whose rows give way to others; only made where there are some.

    Returns
    -------
    str
        Empty where no id of the table is mapped: then `rows` are right as they are, and reading them costs nothing.
    """
    mapped = [column for column in PERSON if column in table.names and _any_mapped(connection, rows, column, people)]
    if not mapped:
        return ""
    joins = " ".join(
        f"LEFT JOIN {people} AS {name(f'by {column}')} ON {name(f'by {column}')}.source_id = r.{name(column)}"
        for column in mapped
    )
    resolved = ", ".join(f"{_resolved(column)} AS {name(column)}" for column in mapped)
    some = "customer_id" in mapped and "customer_id" in table.key and _give_way(connection, table, rows, people, merged)
    kept = f" ANTI JOIN {merged} USING ({', '.join(map(name, table.key))})" if some else ""
    return f"SELECT r.* REPLACE ({resolved}) FROM (SELECT * FROM {rows}{kept}) AS r {joins}"


def _resolved(column: str) -> str:
    """Return SQL for the person that a column names."""
    return f"coalesce({name(f'by {column}')}.customer_id, r.{name(column)})"


def _any_mapped(connection: duckdb.DuckDBPyConnection, rows: str, column: str, people: str) -> bool:
    """Say whether any row names an id that is mapped: stops at the first, and at once where ids lie far apart."""
    query = f"SELECT 1 FROM {rows} WHERE {name(column)} IN (SELECT source_id FROM {people}) LIMIT 1"
    return connection.execute(query).fetchone() is not None


def _give_way(connection: duckdb.DuckDBPyConnection, table: Table, rows: str, people: str, merged: str) -> bool:
    """List the keys of rows that become one with another and give way; return whether there are any."""
    key = ", ".join(map(name, table.key))
    rest = [name(column) for column in table.key if column != "customer_id"]
    time = [name(table.time)] if table.time not in table.key else []
    own = ", ".join(f"r.{column}" for column in [*map(name, table.key), *time])
    order = [*time, "mapped", "customer_id"]
    connection.execute(
        f"CREATE TABLE {merged} AS WITH found AS (SELECT {own}, {_resolved('customer_id')} AS person,"
        f' "by customer_id".source_id IS NOT NULL AS mapped FROM {rows} AS r'
        f' LEFT JOIN {people} AS "by customer_id" ON "by customer_id".source_id = r.customer_id),'
        " several AS (SELECT * FROM found WHERE person IN (SELECT person FROM found WHERE mapped))"
        f" SELECT {key} FROM several QUALIFY row_number() OVER (PARTITION BY person, {', '.join(rest)}"
        f" ORDER BY {', '.join(order)}) > 1"
    )
    if _one(connection, f"SELECT count(*) FROM {merged}"):
        return True
    connection.execute(f"DROP TABLE {merged}")
    return False


def known_customers_sql(customers: Sequence[str], people: str = "") -> str:
    """Return SQL for every id, as `customer_id`, that names a customer somebody knows.

    Parameters
    ----------
    customers
        SQL for rows of `customers`: of this batch, of the store.
    people
        The quoted name of what `resolve` made; "" where there is none. Ids of one person are known together.
    """
    ids = " UNION ALL ".join(f"SELECT customer_id FROM ({select})" for select in customers)
    if not people:
        return f"SELECT DISTINCT customer_id FROM ({ids}) WHERE customer_id IS NOT NULL"
    persons = f"SELECT coalesce(p.customer_id, c.customer_id) FROM ({ids}) AS c LEFT JOIN {people} AS p"
    return (
        f"WITH persons(customer_id) AS ({persons} ON p.source_id = c.customer_id)"
        " SELECT customer_id FROM persons WHERE customer_id IS NOT NULL"
        f" UNION SELECT source_id FROM {people} WHERE customer_id IN (SELECT customer_id FROM persons)"
    )


def unresolved_sql(table: str, customers: str, people: str = "") -> str:
    """Return SQL for one row: how many rows of a table name a customer, and how many of those nobody knows.

    Parameters
    ----------
    table
        A relation with `customer_id`; rows where it is null name nobody.
    customers
        A relation with `customer_id`, of all customers.
    people
        The quoted name of what `resolve` made; "" where there is none.
    """
    known = known_customers_sql([f"SELECT customer_id FROM {customers}"], people)
    return (
        "SELECT count(customer_id), count(*) FILTER (customer_id IS NOT NULL AND NOT known) FROM"
        f" (SELECT customer_id, customer_id IN (SELECT customer_id FROM ({known})) AS known FROM {table})"
    )


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Return the one number that a query gives."""
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0
