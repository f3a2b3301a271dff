"""People in a store: all ids that are theirs, what becomes of each table's rows, the words that they alone wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import duckdb

from cxlib.contract import TABLES
from cxlib.data import identity, tables
from cxlib.data.ledger import Snapshot
from cxlib.data.places import Where
from cxlib.data.rewriting import Change, Table, relation
from cxlib.data.searching import telling
from cxlib.data.sources import name, text

IDS = '"ids to erase"'
TEXTS = {"responses": "comment", "interactions": "transcript"}
OWNED = {"invitations": "invitation_id", "orders": "order_id"}  # what an answer without a customer may name
_INSTEAD = "[erased]"


def all_ids(connection: duckdb.DuckDBPyConnection, store: Where, newest: Snapshot, given: Iterable[str]) -> list[str]:
    """Return ids with all others of the same people, by the newest snapshot's `identities`."""
    wanted = set(given)
    if "identities" not in newest.tables:
        return sorted(wanted)
    select = tables.select(TABLES["identities"], tables.pin(store, "identities", newest.tables["identities"].version))
    identity.resolve(connection, [select], '"who is who"')
    pairs = connection.execute('FROM "who is who"').fetchall()
    connection.execute('DROP TABLE "who is who"')
    person = dict(pairs)
    meant = {person.get(one, one) for one in wanted}
    return sorted(wanted | meant | {source for source, end in pairs if end in meant})


def list_ids(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> None:
    """Make the tables that `change` asks: the ids, and none yet of what they own."""
    connection.execute(f"CREATE OR REPLACE TABLE {IDS} (id VARCHAR)")
    connection.executemany(f"INSERT INTO {IDS} VALUES (?)", [[one] for one in ids])
    for column in OWNED.values():
        connection.execute(f"CREATE OR REPLACE TABLE {_owned(column)} (id VARCHAR)")


def list_owned(connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[str]) -> None:
    """List what the people own in a table that answers may name."""
    column = OWNED[table]
    rows = relation(connection, files, (column, "customer_id"))
    if rows:
        own = f"SELECT DISTINCT {name(column)} FROM {rows} WHERE customer_id IN (FROM {IDS})"
        connection.execute(f"INSERT INTO {_owned(column)} {own} AND {name(column)} IS NOT NULL")


def change(table: str, ids: Sequence[str]) -> Change | None:
    """Return what becomes of a table's rows; None where they name nobody."""
    if table == "identities":
        return Change(f"source_id IN (FROM {IDS}) OR customer_id IN (FROM {IDS})", {}, ("source_id", "customer_id"))
    if "customer_id" not in TABLES[table].names:
        return None
    own = f"customer_id IN (FROM {IDS})"
    if table == "customers":
        lost = {column: (f"{column} IN (FROM {IDS})", "NULL") for column in ("referred_by",)}
        alone = ", ".join(text(one) for one in ids if telling(one))
        lost |= {"account_id": (f"account_id IN ({alone})", "NULL")} if alone else {}
        return Change(own, lost, ("customer_id", *lost))
    asks = ["customer_id"]
    if table == "responses":
        linked = " OR ".join(f"{column} IN (FROM {_owned(column)})" for column in OWNED.values())
        own = f"{own} OR (customer_id IS NULL AND ({linked}))"
        asks += OWNED.values()
    words = TEXTS.get(table, "")
    mentions = {words: _unnamed(words, ids)} if words and any(map(telling, ids)) else {}
    return Change(own, mentions, (*asks, *mentions))


def _unnamed(column: str, ids: Sequence[str]) -> tuple[str, str]:
    """Return SQL for whether other people's words name an id, and for the words without it."""
    value, named = name(column), []
    for one in filter(telling, ids):
        alone = text(rf"(^|[^0-9A-Za-z_]){re.escape(one)}($|[^0-9A-Za-z_])")
        named.append(f"(contains({name(column)}, {text(one)}) AND regexp_matches({name(column)}, {alone}))")
        for _ in range(2):  # of two that stand side by side, one time finds the first
            value = rf"regexp_replace({value}, {alone}, '\1{_INSTEAD}\2', 'g')"
    return " OR ".join(named), value


def loose_keys(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> list[str]:
    """Return the keys of their answers that name no customer."""
    rows = relation(connection, files, ("response_id", "customer_id", *OWNED.values()))
    found = change("responses", ())
    if not rows or found is None:
        return []
    query = f"SELECT DISTINCT response_id FROM {rows} WHERE customer_id IS NULL AND ({found.gone})"
    return [key for (key,) in connection.execute(query).fetchall()]


def words(connection: duckdb.DuckDBPyConnection, held: Mapping[str, Table], changes: Mapping[str, Change]) -> list[str]:
    """Return the words that these people wrote, and nobody else in any table.

    Parameters
    ----------
    connection
        With the lists that `changes` ask.
    held
        Tables that were looked through, by name; those that have no words are passed over.
    changes
        What becomes of their rows.
    """
    own, others = [], []
    for table in held.keys() & TEXTS.keys():
        column, change = TEXTS[table], changes[table]
        asks, gone = (*change.asks, column), f"coalesce({change.gone}, false)"
        touched, all_ = (relation(connection, files, asks) for files in (held[table].touched, held[table].files))
        if all_:
            others.append(f"SELECT {column} FROM {all_} WHERE {column} IN (FROM own) AND NOT {gone}")
        if touched:
            own.append(f"SELECT {column} FROM {touched} WHERE {gone} AND {column} IS NOT NULL")
    if not own:
        return []
    query = f"WITH own AS MATERIALIZED ({' UNION '.join(own)}) FROM own EXCEPT ({' UNION '.join(others)}) ORDER BY 1"
    return [one for (one,) in connection.execute(query).fetchall()]


def texts(connection: duckdb.DuckDBPyConnection, held: Mapping[str, Table], changes: Mapping[str, Change]) -> list[str]:
    """Return the ids of their answers and interactions, as labels of an audit name them; arguments as of `words`."""
    parts = []
    for table in sorted(held.keys() & TEXTS.keys()):
        (key,), change = TABLES[table].key, changes[table]
        rows = relation(connection, held[table].touched, (*change.asks, key))
        if rows:
            parts.append(f"SELECT {name(key)} FROM {rows} WHERE coalesce({change.gone}, false)")
    return [key for (key,) in connection.execute(" UNION ".join(parts)).fetchall()] if parts else []


def _owned(column: str) -> str:
    """Name the list of what people own."""
    return name(f"{column} to erase")
