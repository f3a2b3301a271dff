"""Bringing data in at scale: ten million answers from CSV into an empty store, and one month of fifty million contacts.

DuckDB's COPY of the same file reads and writes every row and does nothing else: it is the floor. The pandas side reads
what fits, judges it by the same rules, drops repeated rows and writes months; ours also looks at references and limits,
puts refused rows aside, compares with the store and commits a snapshot. Seconds are those of the work itself; the start
of the process is told beside them.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from stopwatch import ROOT, Board, Taken, python

RESPONSES = 10_000_000
FITS = 1_000_000  # of them, for pandas
INTERACTIONS = 50_000_000
MONTHS = 48
CUSTOMERS = 1_000_000
NEW = 20_000  # contacts that the changed month brings beside each hundredth corrected
ROUNDS = 3
TIME = "%Y-%m-%d %H:%M:%S"
# One in 10,000 answers is out of range, and one comes twice.
ANSWERS = f"""
    SELECT 'r' || lpad((i - (i % 10000 = 3)::INT)::VARCHAR, 9, '0') AS response_id,
    strftime(TIMESTAMP '2023-11-01' + to_seconds((i * 94608000 // {RESPONSES} + hash(i) % 3600)::BIGINT), '{TIME}')
    AS responded_at,
    ['nps', 'csat', 'ces'][1 + (hash(i * 7) % 3)::INT] AS instrument,
    CASE WHEN i % 10000 = 7 THEN 11 WHEN hash(i * 7) % 3 = 0 THEN hash(i * 3) % 11 ELSE 1 + hash(i * 3) % 5 END
    AS score,
    'c' || lpad((hash(i * 11) % {CUSTOMERS})::VARCHAR, 7, '0') AS customer_id,
    ['delivery', 'checkout', 'support'][1 + (hash(i * 13) % 3)::INT] AS touchpoint,
    ['email', 'app', 'web'][1 + (hash(i * 17) % 3)::INT] AS channel,
    CASE WHEN hash(i * 19) % 4 = 0 THEN 'the delivery was late, and nobody told me ' || i % 997 END AS comment
    FROM range({{rows}}) t(i)"""
CONTACTS = f"""
    SELECT 'i' || lpad(i::VARCHAR, 9, '0') AS interaction_id,
    'c' || lpad((hash(i * 11) % {CUSTOMERS})::VARCHAR, 7, '0') AS customer_id,
    TIMESTAMP '2022-11-01' + to_months((i * {MONTHS} // {INTERACTIONS})::INT)
    + to_seconds((i * {MONTHS} % {INTERACTIONS}) * 2400000 // {INTERACTIONS}) AS started_at,
    ['delivery', 'checkout', 'support', 'visit', 'billing'][1 + (hash(i * 13) % 5)::INT] AS touchpoint,
    ['contact', 'complaint', 'visit', 'message'][1 + (hash(i * 17) % 4)::INT] AS kind,
    started_at + to_seconds((hash(i * 3) % 3000)::BIGINT) AS ended_at,
    ['email', 'app', 'web', 'phone'][1 + (hash(i * 19) % 4)::INT] AS channel,
    CASE WHEN hash(i * 23) % 3 = 0 THEN 'k' || lpad((i // 3)::VARCHAR, 9, '0') END AS case_id,
    hash(i * 29) % 900 AS wait_seconds, hash(i * 31) % 1800 AS handle_seconds, hash(i * 37) % 5 > 0 AS resolved,
    'a' || lpad((hash(i * 43) % 400)::VARCHAR, 4, '0') AS agent_id
    FROM range({{first}}, {{last}}) t(i)"""
PEOPLE = f"""
    SELECT 'c' || lpad(i::VARCHAR, 7, '0') AS customer_id, TIMESTAMP '2022-01-01' AS valid_from,
    ['North', 'South', 'East'][1 + i % 3] AS region FROM range({CUSTOMERS}) t(i)"""
CORRECTED = f"""
    WITH month AS ({CONTACTS})
    SELECT * REPLACE (handle_seconds + (interaction_id LIKE '%00')::INT AS handle_seconds) FROM month
    UNION ALL (SELECT * REPLACE ('n' || interaction_id AS interaction_id) FROM month LIMIT {NEW})"""
SOURCE = """\
title: Bench
licence: none
unknown: {touchpoints: keep}
files:
"""
# Each script does one thing, and writes down its seconds without the imports, and how many rows there are in the end.
INGEST = """
import sys, time
from datetime import date
from pathlib import Path
from cxlib import params
from cxlib.data.ingest import ingest
root, found = Path.cwd(), params.load(Path.cwd())
started = time.perf_counter()
report = ingest(root, found, "bench", today=date(2026, 11, 1))
seconds = time.perf_counter() - started
Path(sys.argv[1]).write_text(f"{seconds} {sum(counts.accepted for counts in report.tables.values())}")
"""
COPY = """
import sys, time, duckdb
from pathlib import Path
started = time.perf_counter()
rows = duckdb.execute(f"COPY (FROM '{sys.argv[2]}') TO '{sys.argv[3]}' (FORMAT parquet)").fetchone()[0]
Path(sys.argv[1]).write_text(f"{time.perf_counter() - started} {rows}")
"""
PANDAS = r"""
import sys, time
import pandas as pd
from pathlib import Path
started = time.perf_counter()
rows = pd.read_csv(sys.argv[2], dtype="str", keep_default_na=False, na_values=[""])
when = pd.to_datetime(rows.responded_at, format="%Y-%m-%d %H:%M:%S", errors="coerce")
score = pd.to_numeric(rows.score, errors="coerce")
low = rows.instrument.map({"nps": 0, "csat": 1, "ces": 1})
high = rows.instrument.map({"nps": 10, "csat": 5, "ces": 7})
good = rows.response_id.notna() & when.between("1900-01-01", "2026-11-02")
good &= (score >= low) & (score <= high) & (score % 1 == 0)
for column in ("response_id", "customer_id"):
    for damage in (r"(?:^|\W)\d(?:[.,]\d+)?[eE]\+\d+(?:\W|$)", r"[\x00-\x1f\x7f]"):
        good &= ~rows[column].str.contains(damage, na=False)
rows = rows.assign(responded_at=when, score=score)[good]
rows = rows.sort_values("responded_at").drop_duplicates("response_id", keep="last")
rows.assign(month=rows.responded_at.dt.strftime("%Y-%m")).to_parquet(sys.argv[3], partition_cols=["month"])
Path(sys.argv[1]).write_text(f"{time.perf_counter() - started} {len(rows)}")
"""


@dataclass(frozen=True)
class Done(Taken):
    """What one job took; `seconds` without, `whole` with the start of its process."""

    whole: float = 0.0


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that is emptied afterwards: some gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_answers_from_csv(space: Path, board: Board) -> None:
    some = space / "some.csv"
    raw = workspace(space, {"responses.csv": ANSWERS.format(rows=RESPONSES)}, "responded_at")
    write(ANSWERS.format(rows=FITS), some)
    copied, judged, ingested = [], [], []
    for number in range(ROUNDS):
        months = space / f"pandas {number}"
        copied.append(job(COPY, str(raw / "responses.csv"), str(space / "copy.parquet"), cwd=space, rows=RESPONSES))
        judged.append(job(PANDAS, str(some), str(months), cwd=space, rows=FITS - 2 * (FITS // 10_000)))
        ingested.append(job(INGEST, cwd=space, rows=RESPONSES - 2 * (RESPONSES // 10_000)))
        for folder in (months, space / "data" / "store", space / "data" / "quarantine"):
            shutil.rmtree(folder)  # every round starts from nothing
    show(board, f"{RESPONSES:,} answers, CSV: DuckDB COPY", copied, RESPONSES)
    show(board, f"{FITS:,} of them: pandas, same checks", judged, FITS)
    show(board, f"{RESPONSES:,} answers, CSV: ingest", ingested, RESPONSES)


def test_one_month_changes(space: Path, board: Board) -> None:
    bounds = [-(-month * INTERACTIONS // MONTHS) for month in range(MONTHS + 1)]
    queries = [CONTACTS.format(first=first, last=last) for first, last in pairwise(bounds)]
    files = {f"interactions {number:02}.parquet": query for number, query in enumerate(queries)}
    raw = workspace(space, {"customers.parquet": PEOPLE} | files, "")
    built = job(INGEST, cwd=space, rows=INTERACTIONS + CUSTOMERS)
    store, before = space / "data" / "store", space / "store before"
    store.rename(before)
    shutil.rmtree(raw)
    first, last = bounds[-3:-1]
    changed = CORRECTED.format(first=first, last=last)
    raw = workspace(space, {"interactions.csv": changed}, "started_at ended_at")
    rows = (last - 1) // 100 - (first - 1) // 100 + NEW
    copied, ingested = [], []
    for _ in range(ROUNDS):
        copied.append(job(COPY, str(raw / "interactions.csv"), str(space / "copy.parquet"), cwd=space))
        shutil.copytree(before, store, copy_function=link)
        ingested.append(job(INGEST, cwd=space, rows=rows))
        shutil.rmtree(store)
    show(board, f"{INTERACTIONS:,} contacts, Parquet: first ingest", [built], INTERACTIONS + CUSTOMERS)
    show(board, f"one month of them, CSV, {last - first + NEW:,} rows: DuckDB COPY", copied)
    show(board, f"that month, {rows:,} rows changed: ingest", ingested)


def workspace(root: Path, files: dict[str, str], times: str) -> Path:
    """Make a workspace with one source, `bench`, and its files, each by a query; return their folder."""
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, root / name, dirs_exist_ok=True)
    raw, sql = root / "data" / "raw" / "bench", root / "params" / "sources" / "bench"
    shutil.rmtree(sql, ignore_errors=True)
    for folder in (raw, sql):
        folder.mkdir(parents=True)
    lines = {}
    for file, query in files.items():
        write(query, raw / file)
        table, kind = file.split(".")[0].split()[0], file.split(".")[1]
        said = ", ".join(f"{column}: '{TIME}'" for column in times.split())
        lines[table] = f"  {table}: {{path: {table}*.{kind}, format: {kind}, times: {{{said}}}}}\n"
        (sql / f"{table}.sql").write_text(f"SELECT * FROM {table}\n")
    (sql / "source.yml").write_text(SOURCE + "".join(lines.values()))
    return raw


def write(query: str, path: Path) -> None:
    """Write the rows of a query in their order, as a tool exports them."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}'")


def link(source: str, target: str) -> str:
    """Copy a file of a store; data files, which never change, by a link."""
    return str(os.link(source, target) or target if source.endswith(".parquet") else shutil.copy2(source, target))


def job(script: str, *words: str, cwd: Path, rows: int | None = None) -> Done:
    """Run a script; check how many rows it says there are in the end."""
    told = cwd / "seconds.txt"
    taken = python("-c", script, str(told), *words, cwd=cwd)
    seconds, found = told.read_text().split()
    assert rows in (None, int(found))
    return Done(float(seconds), taken.megabytes, taken.seconds)


def show(board: Board, what: str, jobs: list[Done], rows: int | None = None) -> None:
    """Put a line on the board."""
    median = board.add(what, jobs)
    speed = f"{rows / median:,.0f} rows/s; " if rows else ""
    board.say(f"{speed}{statistics.median(one.whole for one in jobs):.2f} s with the start of the process")
