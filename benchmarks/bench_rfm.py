"""RFM of 10 million orders where they live, in DuckDB through Ibis, against pandas: time, peak memory, equal cells.

Three ways, each a process of its own that reads the same Parquet file and writes the scores of every customer to
another: `segments.rfm` on an Ibis table, `segments.rfm` on a frame, and pandas as one writes it by hand
(`groupby`, `rank(method="first")`, `qcut`), whose cells depend on the order of the rows.

Run as a script it is one of the ways: `bench_rfm.py engine FOLDER`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb
import ibis
import pandas as pd
from stopwatch import Board, python

from cxlib.analysis import segments
from cxlib.data.store import MEMORY_LIMIT

ORDERS = int(os.environ.get("CX_BENCH_ORDERS", 10_000_000))
ROUNDS = int(os.environ.get("CX_BENCH_ROUNDS", 3))
AS_OF = "2026-10-31"


def test_rfm(board: Board, tmp_path: Path) -> None:
    python(__file__, "make", str(tmp_path), cwd=tmp_path)
    taken: dict[str, list] = {"by hand": [], "frame": [], "engine": []}
    for _ in range(ROUNDS):
        for way, times in taken.items():
            times.append(python(__file__, way, str(tmp_path), cwd=tmp_path))
    what = f"RFM of {ORDERS / 1e6:g} M orders, {customers() / 1e6:g} M customers"
    hand = board.add(f"{what}: pandas by hand", taken["by hand"])
    frame = board.add(f"{what}: cxlib on a frame", taken["frame"])
    engine = board.add(f"{what}: cxlib in the engine", taken["engine"])
    board.say(f"pandas by hand takes {hand / engine:.1f} times as long, our own pandas {frame / engine:.1f} times")
    found = {way: pd.read_parquet(tmp_path / f"{way}.parquet") for way in taken}
    for name in ("frame", "engine"):
        found[name] = found[name].set_index("customer_id").sort_index()
    pd.testing.assert_frame_equal(found["engine"], found["frame"], check_exact=True, check_index_type=False)
    pd.testing.assert_series_equal(
        found["by hand"].set_index("customer_id").sort_index()["frequency"], found["frame"]["frequency"],
        check_exact=True, check_index_type=False, check_dtype=False,
    )  # fmt: skip


def customers() -> int:
    return ORDERS // 10


def make(folder: Path) -> None:
    """Write orders in the order of their time, of customers who differ in how often they buy."""
    with duckdb.connect() as database:
        database.execute("CREATE MACRO draw(number, what) AS (hash(number, what) >> 1)::BIGINT")
        database.execute(f"""
            COPY (SELECT 'o' || number AS order_id,
                         'c' || (pow((draw(number, 1) % 1000000) / 1e6, 1.5) * {customers()})::BIGINT AS customer_id,
                         TIMESTAMP '2024-11-01' + to_seconds((number * 63072000 // {ORDERS})::BIGINT) AS ordered_at,
                         ((100 + draw(number, 2) % 20000) / 100)::DECIMAL(18, 2) AS amount
                  FROM range({ORDERS}) AS numbers(number))
            TO '{folder}/orders.parquet' (FORMAT parquet)""")


def engine(folder: Path) -> None:
    raw = duckdb.connect()
    raw.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET temp_directory = 'spilled'; SET TimeZone = 'UTC'")
    database = ibis.duckdb.from_connection(raw)
    scored = segments.rfm(database.read_parquet(folder / "orders.parquet"), AS_OF)
    raw.execute(f"COPY ({ibis.to_sql(scored, dialect='duckdb')}) TO '{folder}/engine.parquet' (FORMAT parquet)")


def frame(folder: Path) -> None:
    orders = pd.read_parquet(folder / "orders.parquet", columns=["customer_id", "ordered_at", "amount"])
    segments.rfm(orders.assign(amount=orders["amount"].astype(float)), AS_OF).reset_index().to_parquet(
        folder / "frame.parquet"
    )


def by_hand(folder: Path) -> None:
    orders = pd.read_parquet(folder / "orders.parquet", columns=["customer_id", "ordered_at", "amount"])
    orders["amount"] = orders["amount"].astype(float)
    now = pd.Timestamp(AS_OF) + pd.Timedelta(days=1)
    found = (
        orders[orders["ordered_at"] < now]
        .groupby("customer_id")
        .agg(last=("ordered_at", "max"), frequency=("ordered_at", "size"), monetary=("amount", "sum"))
    )
    found["recency"] = (now - found["last"]).dt.days
    for score, value, ascending in (("r", "recency", False), ("f", "frequency", True), ("m", "monetary", True)):
        ranks = found[value].rank(method="first", ascending=ascending)
        found[score] = pd.qcut(ranks, 5, labels=range(1, 6)).astype(int)
    found.reset_index().to_parquet(folder / "by hand.parquet")


if __name__ == "__main__":
    WAYS = {"make": make, "engine": engine, "frame": frame, "by hand": by_hand}
    WAYS[sys.argv[1]](Path(sys.argv[2]))
