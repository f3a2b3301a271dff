"""Moves between touchpoints and a funnel over 50 million interactions, and against pandas on 5 million that fit.

DuckDB has the memory that `data.store` allows by default and spills beyond it; the interactions lie in Parquet, written
by DuckDB, in the order of their months. pandas is given the columns that are needed and no more. Both count the same:
of moves and of customers who made them, of customers who reached each stage within 30 days, to the last one.

Run as a script it is one of the ways: `bench_journeys.py "cxlib moves" interactions FOLDER`.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pandas as pd
from stopwatch import Board, Taken, python

from cxlib.analysis import journeys
from cxlib.data.store import MEMORY_LIMIT

EVENTS = int(os.environ.get("CX_BENCH_INTERACTIONS", 50_000_000))
ROUNDS = 3  # of what pandas can do too; all interactions are gone through once
EACH = 25  # interactions of a customer, on average
PART = 10  # a tenth of the customers is what fits
COLUMNS = {"customer": "customer_id", "at": "started_at", "touchpoint": "touchpoint"}
TOUCHPOINTS = ["website", "search_ad", "social_ad", "catalogue", "checkout", "payment", "order", "delivery", "billing",
               "support_phone", "support_chat", "newsletter"]  # fmt: skip
STAGES, WINDOW, UNTIL = ["website", "checkout", "payment", "order"], timedelta(days=30), pd.Timestamp("2026-10-31")
WHOLE, FEW = "interactions", "few"


def test_journeys(board: Board, tmp_path: Path) -> None:
    python(__file__, "make", WHOLE, str(tmp_path), cwd=tmp_path)
    whole = {way: run(way, WHOLE, tmp_path) for way in WAYS if not way.startswith("pandas")}
    taken: dict[str, list[Taken]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, times in taken.items():
            times.append(run(way, FEW, tmp_path))
    for what in ("moves", "funnel, open", "funnel, strict"):
        board.add(f"{EVENTS / 1e6:g} M interactions: {what}, cxlib", [whole[f"cxlib {what}"]])
    for what in ("moves", "funnel, open"):
        slow = board.add(f"{EVENTS / PART / 1e6:g} M interactions: {what}, pandas", taken[f"pandas {what}"])
        ours = board.add(f"{EVENTS / PART / 1e6:g} M interactions: {what}, cxlib", taken[f"cxlib {what}"])
        board.say(f"pandas takes {slow / ours:.1f} times as long")
        found = [pd.read_parquet(tmp_path / f"{who} {what} {FEW}.parquet") for who in ("cxlib", "pandas")]
        pd.testing.assert_frame_equal(*found, check_exact=True)


def run(way: str, table: str, folder: Path) -> Taken:
    """Time one way over a table."""
    return python(__file__, way, table, str(folder), cwd=folder)


def make(folder: Path) -> None:
    """Write interactions of customers who are unequally active, and those of every tenth customer by themselves."""
    customers = max(EVENTS // EACH, PART)
    names = ", ".join(f"'{name}'" for name in TOUCHPOINTS)
    with connect() as database:
        database.execute("CREATE MACRO draw(number, what) AS (hash(number, what) >> 1)::BIGINT")
        database.execute(f"""
            COPY (SELECT number AS interaction_id,
                         'C' || lpad((pow((draw(number, 1) % 100000000) / 1e8, 1.5) * {customers})::INT::TEXT, 8, '0')
                         AS customer_id,
                         TIMESTAMP '2025-11-01' + to_seconds((draw(number, 2) % (364 * 86400))::BIGINT) AS started_at,
                         [{names}][1 + (pow((draw(number, 3) % 1000000) / 1e6, 1.4) * {len(TOUCHPOINTS)})::INT
                                   % {len(TOUCHPOINTS)}] AS touchpoint
                  FROM range({EVENTS}) AS numbers(number) ORDER BY date_trunc('month', started_at))
            TO '{folder}/{WHOLE}.parquet' (FORMAT parquet)""")
        database.execute(f"""
            COPY (SELECT * FROM '{folder}/{WHOLE}.parquet' WHERE customer_id[-1] = '0')
            TO '{folder}/{FEW}.parquet' (FORMAT parquet)""")


def connect() -> duckdb.DuckDBPyConnection:
    """Return a database as `data.store` sets it up; it spills into the working folder."""
    database = duckdb.connect()
    database.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET temp_directory = 'spilled'; SET TimeZone = 'UTC'")
    return database


def counted(found: pd.DataFrame, metric: str, kind: str) -> pd.DataFrame:
    """Return the counts of a result frame: estimate and customers."""
    own = found[(found["metric"] == metric) & (found["comparison"] == kind)]
    own = own[["level", "against", "estimate", "n"]].fillna({"n": 0}).astype({"estimate": "int64", "n": "int64"})
    return own.astype({"level": "str", "against": "str"}).reset_index(drop=True)


def moves(file: Path) -> pd.DataFrame:
    database = ibis.duckdb.from_connection(connect())
    events = database.read_parquet(file)
    return counted(journeys.transitions(events, **COLUMNS, ties=["interaction_id"]), "moves", "index")


def funnel(file: Path, order: str) -> pd.DataFrame:
    database = ibis.duckdb.from_connection(connect())
    events = database.read_parquet(file)
    found = journeys.funnel(events, STAGES, window=WINDOW, order=order, until=UNTIL, ties=["interaction_id"], **COLUMNS)
    return counted(found, "customers", "index")


def moves_in_pandas(file: Path) -> pd.DataFrame:
    events = pd.read_parquet(file).sort_values(["customer_id", "started_at", "interaction_id"], ignore_index=True)
    target = events.groupby("customer_id")["touchpoint"].shift(-1)
    steps = events.assign(against=target).dropna(subset="against").rename(columns={"touchpoint": "level"})
    cells = steps.groupby(["level", "against", "customer_id"], sort=False).size()
    found = cells.groupby(level=["level", "against"]).agg(estimate="sum", n="size").reset_index()
    return found.astype({"level": "str", "against": "str", "estimate": "int64", "n": "int64"})


def funnel_in_pandas(file: Path) -> pd.DataFrame:
    events = pd.read_parquet(file, columns=["customer_id", "started_at", "touchpoint"])
    first = events[events["touchpoint"] == STAGES[0]].groupby("customer_id")["started_at"].min()
    last, closed = first, first + WINDOW <= UNTIL
    people = [int(closed.sum())]
    for stage in STAGES[1:]:
        own = events[events["touchpoint"] == stage].merge(
            last.rename("before"), left_on="customer_id", right_index=True
        )
        then = own[own["started_at"] >= own["before"]].groupby("customer_id")["started_at"].min()
        last = then[then <= (first + WINDOW).reindex(then.index)]
        people.append(int(closed.reindex(last.index).sum()))
    return pd.DataFrame({"level": STAGES, "against": "", "estimate": np.array(people), "n": np.array(people)})


WAYS = {
    "cxlib moves": moves, "pandas moves": moves_in_pandas, "cxlib funnel, open": lambda file: funnel(file, "open"),
    "pandas funnel, open": funnel_in_pandas, "cxlib funnel, strict": lambda file: funnel(file, "strict"),
}  # fmt: skip


if __name__ == "__main__":
    way, table, where = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if way == "make":
        make(where)
    else:
        WAYS[way](where / f"{table}.parquet").to_parquet(where / f"{way} {table}.parquet")
