"""Which words of a text are ids that the store holds: words are looked up in its tables, not the tables in the text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb

from cxlib import contract
from cxlib.data import tables
from cxlib.data.ledger import Ledger
from cxlib.data.places import location_of
from cxlib.data.sources import name
from cxlib.errors import StoreError

# Partners are companies, and pages name them. Everything else that ends in _id stands for a person or what one did.
IDS: Mapping[str, tuple[str, ...]] = {
    table.name: tuple(
        column.name
        for column in table.columns
        if (column.name.endswith("_id") and column.name != "partner_id") or column.name == "referred_by"
    )
    for table in contract.TABLES.values()
}
UNIQUE = 0.5  # an attribute with more different values than this share of customers tells who somebody is


def sought(root: Path, location: str, snapshot: str, words: Collection[str]) -> dict[str, str]:
    """Look words up among the ids of a snapshot, and among attributes of customers that are nearly as telling.

    Parameters
    ----------
    root, location
        The workspace, and its store as `workspace.yml` names it.
    snapshot
        Its id.
    words
        What may be an id.

    Returns
    -------
    dict
        Word -> where it stands, as `customers.customer_id`; only those that were found.

    Raises
    ------
    StoreError
        Where the store cannot be read.
    """
    place = location_of(root, location)
    found: dict[str, str] = {}
    try:
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE sought AS SELECT DISTINCT unnest($1::VARCHAR[]) AS word", [sorted(words)])
            held = {name: one.version for name, one in Ledger.find(place, snapshot).tables.items() if one.rows}
            for table, version in held.items():
                pinned = tables.pin(place, table, version)
                for column in _telling(connection, table, pinned):
                    for word in _among(connection, pinned, column):
                        found.setdefault(word, f"{table}.{column}")
    except duckdb.Error as error:
        raise StoreError(f"ids could not be looked up in snapshot {snapshot}: {type(error).__name__}") from error
    return found


def _among(connection: duckdb.DuckDBPyConnection, pinned: tables.Pinned, column: str) -> list[str]:
    """Return the words that a column holds."""
    query = f"SELECT DISTINCT {name(column)} FROM {tables.files(pinned)} WHERE {name(column)} IN (FROM sought)"
    return [str(word) for (word,) in connection.execute(query).fetchall()]


def _telling(connection: duckdb.DuckDBPyConnection, table: str, pinned: tables.Pinned) -> list[str]:
    """Return the columns that tell who somebody is: ids, and what nearly every customer has another value of."""
    held = [column for column in IDS[table] if column in pinned.columns]
    known = set(contract.TABLES["customers"].names)
    texts = [column for column, kind in pinned.columns.items() if kind == contract.TEXT and column not in known]
    if table != "customers" or not texts:
        return held
    counts = ", ".join(f"approx_count_distinct({name(column)})" for column in ("customer_id", *texts))
    row = connection.execute(f"SELECT {counts} FROM {tables.files(pinned)}").fetchone() or ()
    people, *different = row
    return held + [column for column, count in zip(texts, different, strict=True) if count > max(1, UNIQUE * people)]
