"""Bringing data in: making the demo's raw files, `cx ingest` of them, and DuckDB's plain COPY of the same files.

The copy reads and writes every row and does nothing else: it is the floor. `cx ingest` also maps columns, validates,
looks for duplicates, puts rejected rows aside and commits a snapshot of Delta tables.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
from stopwatch import Board, cx, python

ROUNDS = 3
_MAKE = "import sys; from pathlib import Path; from cxlib.data import demo; demo.write(Path(sys.argv[1]), customers={})"
_COPY = """
import sys, duckdb
from pathlib import Path
for number, file in enumerate(sorted(Path(sys.argv[1]).iterdir())):
    if file.suffix in (".parquet", ".csv"):
        target = Path(sys.argv[2]) / f"{number}.parquet"
        duckdb.execute(f"COPY (FROM '{file}') TO '{target}' (FORMAT parquet)")
"""


def test_rows_per_second(company: Path, customers: int, board: Board, tmp_path: Path) -> None:
    root, out = tmp_path / "workspace", tmp_path / "copies"
    for name in ("params", "notebooks"):
        shutil.copytree(company / name, root / name)
    raw = root / "data" / "raw" / "demo"
    shutil.copytree(company / "data" / "raw" / "demo", raw)
    files = sorted([*raw.glob("*.parquet"), *raw.glob("*.csv")])
    rows = sum(duckdb.execute(f"SELECT count(*) FROM '{file}'").fetchone()[0] for file in files)
    made, copied, ingested = [], [], []
    for number in range(ROUNDS):
        made.append(python("-c", _MAKE.format(customers), str(tmp_path / f"raw{number}"), cwd=root))
        out.mkdir()
        copied.append(python("-c", _COPY, str(raw), str(out), cwd=root))
        ingested.append(cx("ingest", "demo", cwd=root))
        for folder in (root / "data" / "store", root / "data" / "quarantine", out):
            shutil.rmtree(folder)  # every round starts from nothing
    for what, times in (("making the demo", made), ("DuckDB COPY", copied), ("cx ingest", ingested)):
        median = board.add(f"data, {rows:,} rows: {what}", times)
        board.say(f"{rows / median:,.0f} rows/s")
