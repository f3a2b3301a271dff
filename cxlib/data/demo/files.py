"""The demo company as raw files: Parquet by table and chunk, small tables and the dirty rows as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from cxlib.contract import TABLES
from cxlib.data.demo import calendar, shop
from cxlib.data.demo.company import CHUNK, SEED, Company, simulate
from cxlib.data.demo.truths import TRUTHS, Dirty
from cxlib.errors import UsageError

PARQUET = ("customers", "invitations", "responses", "interactions", "orders", "subscriptions")
CSV = ("exposures", "identities")  # grown chunk by chunk
BY_HAND = ("responses", "orders", "interactions", "subscriptions")  # tables with a file of hand-typed, dirty rows
SMALLEST = 200
MANIFEST = "demo.json"  # written last: without it the files are not whole


def write(
    folder: Path,
    *,
    customers: int = 20_000,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write the raw files of a company of any size, chunk by chunk; memory does not grow with it.

    Parameters
    ----------
    folder
        Where to; made where it is not there. Files of an earlier demo are replaced.
    customers, seed
        What is written depends on these two alone, byte by byte.
    progress
        Called with (chunks done, chunks) after each chunk of 10,000 customers.

    Returns
    -------
    dict
        Rows written per table, dirty ones included.

    Raises
    ------
    UsageError
        For a company too small to have every kind of dirty row.
    """
    if customers < SMALLEST:
        raise UsageError(f"a demo of {customers} customers is too small; the smallest has {SMALLEST}")
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    sizes = [min(CHUNK, customers - first) for first in range(0, customers, CHUNK)]
    rows: dict[str, int] = {}
    for number, size in enumerate(sizes):
        company = simulate(size, seed, chunk=number)
        _write_chunk(folder, number, company, rows)
        if number == 0:
            _write_dirty(folder, company.tables, customers, rows)
        if progress:
            progress(number + 1, len(sizes))
    _append(folder / "costs.csv", shop.costs(customers, calendar.MONTHS), "costs", rows)
    (folder / MANIFEST).write_text(json.dumps({"customers": customers, "seed": seed, "rows": rows}, indent=1) + "\n")
    return rows


def _clear(folder: Path) -> None:
    """Remove the files of an earlier demo, the manifest first."""
    names = [MANIFEST, *(f"{name}-*.parquet" for name in PARQUET), *(f"{name}.csv" for name in (*CSV, "costs"))]
    for name in (*names, *(f"{name}_by_hand.csv" for name in BY_HAND)):
        for path in folder.glob(name):
            path.unlink()


def _write_chunk(folder: Path, number: int, company: Company, rows: dict[str, int]) -> None:
    """Write one chunk's tables."""
    for name in PARQUET:
        table = company.tables[name]
        raw = _raw_interactions(company) if name == "interactions" else table
        pq.write_table(raw, folder / f"{name}-{number:04d}.parquet", compression="zstd")
        rows[name] = rows.get(name, 0) + table.num_rows
    for name in CSV:
        _append(folder / f"{name}.csv", company.tables[name], name, rows)


def _raw_interactions(company: Company) -> pa.Table:
    """Return interactions as the tools export them: half the visits of some customers are under an older id."""
    table = company.tables["interactions"]
    given = table.column("customer_id")
    who = pc.cast(pc.utf8_slice_codeunits(given, 1), pa.int64()).to_numpy() - company.people.first
    old = company.people.second_id[who] & (np.arange(len(who)) % 2 == 0)
    old &= pc.equal(table.column("kind"), "visit").to_numpy()
    source_id = pc.if_else(pa.array(old), pc.utf8_replace_slice(given, 0, 1, "L"), given)
    return table.rename_columns(
        [name if name != "customer_id" else "source_id" for name in table.column_names]
    ).set_column(1, "source_id", source_id)


def _append(path: Path, table: pa.Table, name: str, rows: dict[str, int]) -> None:
    """Append a table to a CSV file; the header is written once."""
    options = pacsv.WriteOptions(include_header=not path.exists(), quoting_style="needed")
    with path.open("ab") as out:
        pacsv.write_csv(table, out, options)
    rows[name] = rows.get(name, 0) + table.num_rows


def _write_dirty(folder: Path, tables: dict[str, pa.Table], customers: int, rows: dict[str, int]) -> None:
    """Write the dirty rows of each table that has some, as somebody would have typed them."""
    for name in BY_HAND:
        made: list[dict[str, str]] = []
        for number, dirty in enumerate(kind for kind in TRUTHS.dirty if kind.table == name):
            made += _dirty_rows(dirty, number, tables[name], dirty.count(customers))
        with (folder / f"{name}_by_hand.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, tables[name].column_names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(made)
        rows[name] += len(made)


def _dirty_rows(dirty: Dirty, number: int, table: pa.Table, count: int) -> list[dict[str, str]]:
    """Copy good rows and spoil them; no two kinds copy the same row. Keys are new but where the row is a duplicate."""
    good = np.ones(table.num_rows, bool)
    for column, value in dirty.where.items():
        good &= pc.equal(pc.cast(table.column(column), pa.string()), value).to_numpy()
    places = np.flatnonzero(good)
    places = places[places % len(TRUTHS.dirty) == number]
    places = places[np.linspace(0, len(places) - 1, min(count, len(places))).astype(int)]
    copies = [{column: _as_text(value) for column, value in row.items()} for row in table.take(places).to_pylist()]
    key = TABLES[dirty.table].key[0]
    for i, row in enumerate(copies):
        row |= dirty.changes
        if dirty.outcome == "rejected" and key != "customer_id":
            row[key] = f"hand-{number}-{i}"
    return copies


def _as_text(value: object) -> str:
    """Return a cell as a person would type it."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
