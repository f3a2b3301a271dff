"""Who has withdrawn their consent: their surveys and texts are in no table that a reader opens.

- What counts is the newest word of the newest snapshot, whichever snapshot is read and whatever period is asked about.
  What was made before stands (withdrawing does not reach back), but each new run is new work with a person's words,
  also one that looks at data as they were known then.
- Of several ids of one person, one that withdrew is enough.
- An answer without a customer belongs to whoever was invited to it, or placed its order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from cxlib.contract import TABLES
from cxlib.data import identity, tables
from cxlib.data.ledger import Ledger, Snapshot
from cxlib.data.places import Where
from cxlib.data.sources import name
from cxlib.params.retention import Consent

SURVEYS = ("invitations", "responses")
TEXTS = {"responses": "comment", "interactions": "transcript"}
TABLES_ASKED = (*SURVEYS, "interactions")
_LINKS = {"invitation_id": "invitations", "order_id": "orders"}  # of an answer without a customer


def list_people(
    connection: duckdb.DuckDBPyConnection, store: Where, newest: Snapshot, rule: Consent, target: str
) -> bool:
    """List the ids of the people of whom surveys or texts are left out.

    Parameters
    ----------
    connection
        Where the table is made.
    store
        The store.
    newest
        Its newest snapshot.
    rule
        The workspace's.
    target
        The quoted name of the table, with `customer_id`. Where people are left out who have never said anything, it
        lists those who stay instead.

    Returns
    -------
    bool
        Whether anybody is left out.
    """
    connection.execute(f"CREATE TABLE {target} (customer_id VARCHAR)")
    stay = rule.missing == "left_out"
    if not rule.needed_for or "customers" not in newest.tables:
        return bool(rule.needed_for) and stay
    rows = _rows(store, newest, "customers")
    if not stay and connection.execute(f"SELECT 1 FROM ({rows}) WHERE NOT consent LIMIT 1").fetchone() is None:
        return False
    persons = _persons(connection, store, newest)
    said = (
        f"SELECT coalesce(p.customer_id, c.customer_id) AS person, c.consent FROM ({rows}) AS c"
        f" LEFT JOIN {persons} AS p ON p.source_id = c.customer_id WHERE c.consent IS NOT NULL"
        " QUALIFY rank() OVER (PARTITION BY c.customer_id ORDER BY c.valid_from DESC) = 1"
    )
    wanted = "bool_and(consent)" if stay else "NOT bool_and(consent)"
    connection.execute(
        f"INSERT INTO {target} WITH found AS (SELECT person FROM ({said}) GROUP BY 1 HAVING {wanted})"
        f" FROM found UNION SELECT source_id FROM {persons} WHERE customer_id IN (FROM found)"
    )
    connection.execute(f"DROP TABLE {persons}")
    return stay or connection.execute(f"SELECT 1 FROM {target} LIMIT 1").fetchone() is not None


def _rows(store: Where, snapshot: Snapshot, table: str) -> str:
    """Return SQL for the rows of a table of a snapshot, in the contract's columns."""
    return tables.select(TABLES[table], tables.pin(store, table, snapshot.tables[table].version))


def _persons(connection: duckdb.DuckDBPyConnection, store: Where, newest: Snapshot) -> str:
    """Make a table of who is who as the newest snapshot has it; return its name."""
    target = '"persons of consent"'
    known = [_rows(store, newest, "identities")] if "identities" in newest.tables else []
    identity.resolve(connection, known or ["SELECT '' AS source_id, '' AS customer_id WHERE false"], target)
    return target


@dataclass(frozen=True)
class LeftOut:
    """Whose rows of one open snapshot are left out; `rows` gives SQL for a table's rows as the store holds them."""

    connection: Any
    rule: Consent
    people: str  # the quoted name of the list
    rows: Callable[[str], str]  # of a table that is there, "" for another

    def who(self, column: str) -> str:
        """Return SQL for whether a column names somebody who is left out."""
        listed = f"{column} IN (FROM {self.people})"
        return f"({column} IS NOT NULL AND NOT {listed})" if self.rule.missing == "left_out" else listed

    def condition(self, table: str) -> str:
        """Return SQL for whether a row is of somebody who is left out; never null."""
        own = f"coalesce({self.who('customer_id')}, false)"
        if table != "responses":
            return own
        linked = [f"{column} IN (FROM {listed})" for column, listed in self._linked().items()]
        return f"({own} OR (customer_id IS NULL AND coalesce({' OR '.join(linked)}, false)))" if linked else own

    def agreed(self, table: str, select: str) -> str:
        """Return SQL for the rows of a table, without what is left out."""
        if table in SURVEYS and "surveys" in self.rule.needed_for:
            return f"SELECT * FROM ({select}) WHERE NOT {self.condition(table)}"
        if table in TEXTS and "texts" in self.rule.needed_for:
            text = name(TEXTS[table])
            return f"SELECT * REPLACE (CASE WHEN NOT {self.condition(table)} THEN {text} END AS {text}) FROM ({select})"
        return select

    def _linked(self) -> dict[str, str]:
        """List the invitations and orders of people who are left out, where answers without a customer name any."""
        found = {}
        for column, table in _LINKS.items():
            rows, listed = self.rows(table), name(f"{column} of people left out")
            asks = (
                f"SELECT 1 FROM ({self.rows('responses')}) WHERE customer_id IS NULL AND {column} IS NOT NULL LIMIT 1"
            )
            if rows and self.connection.execute(asks).fetchone():
                ids = f"SELECT {column} FROM ({rows}) WHERE {self.who('customer_id')}"
                self.connection.execute(f"CREATE TABLE IF NOT EXISTS held.{listed} AS {ids}")
                found[column] = f"held.{listed}"
        return found

    def digests(self, table: str, physical: str) -> dict[str, str]:
        """Return month -> a digest of those who are left out of it: what was made of other people is another content.

        `physical` is SQL for the rows of the table with `_month`.
        """
        asked = table in SURVEYS and "surveys" in self.rule.needed_for
        if not asked and not (table in TEXTS and "texts" in self.rule.needed_for):
            return {}
        more = "" if asked else f" AND {name(TEXTS[table])} IS NOT NULL"
        own = ", ".join(["customer_id", *(_LINKS if table == "responses" else ())])
        rows = f"SELECT DISTINCT _month, coalesce({own}) AS who FROM ({physical}) WHERE {self.condition(table)}{more}"
        found = self.connection.execute(
            f"SELECT _month, md5(string_agg(who, ' ' ORDER BY who)) FROM ({rows}) GROUP BY 1"
        )
        return dict(found.fetchall())


def digest(store: Where, rule: Consent) -> str:
    """Return a digest of those whom a run would leave out now; empty where it is nobody."""
    return _digest(store, Ledger.find(store).id, rule.model_dump_json())


@cache
def _digest(store: Where, _newest: str, rule: str) -> str:
    """Work out the digest for one newest snapshot."""
    connection = duckdb.connect()
    try:
        if not list_people(connection, store, Ledger.find(store), Consent.model_validate_json(rule), "people"):
            return ""
        ids = connection.execute("SELECT DISTINCT customer_id FROM people ORDER BY 1").fetchall()
    finally:
        connection.close()
    return hashlib.sha256("\n".join([rule, *(one for (one,) in ids)]).encode()).hexdigest()
