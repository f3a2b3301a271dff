"""200 malformed exports through `cx ingest`: no traceback, every row accounted for, and the message says where."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutator
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from mutator import Base, Mutant
from plain_reader import PlainReader, decoded

from cxlib.cli import intake, main
from cxlib.data.counts import IngestReport, TableCounts
from cxlib.errors import SourceError

COUNT, SEED = 200, 20_261_121
REJECTED_ROWS_ARE_PLACED = True  # the message names file and row of the first rejected row of each kind

# What source.yml says of the file, the table that its rows become, and how.
SOURCES = {
    "made here": """
columns: [response_id, score, customer_id, comment]
times: {responded_at: iso}
numbers: {basket: "1,234.56"}
-- responses
SELECT response_id, responded_at, 'nps' AS instrument, score, customer_id, comment FROM rows
""",
    "olist reviews": """
columns: [review_id, order_id, review_score, review_comment_message]
times: {review_answer_timestamp: "%Y-%m-%d %H:%M:%S", review_creation_date: iso}
-- responses
SELECT review_id || ':' || order_id AS response_id, review_answer_timestamp AS responded_at, 'csat' AS instrument,
    review_score AS score, review_comment_message AS comment
FROM rows
""",
    "olist orders": """
columns: [order_id, customer_id, order_delivered_customer_date]
times: {order_purchase_timestamp: iso}
-- interactions
SELECT order_id AS interaction_id, customer_id, order_purchase_timestamp AS started_at, 'checkout' AS touchpoint,
    order_delivered_customer_date AS ended_at
FROM rows
""",
    "qualtrics": """
header_rows: 3
columns: [ResponseId, Status, Q2]
times: {RecordedDate: iso}
leave_out: {previews: "Status = '1'"}
questions: {Q1: {instrument: csat, comment: Q2}}
-- responses
SELECT ResponseId AS response_id, RecordedDate AS responded_at, q_instrument AS instrument, q_score AS score,
    q_comment AS comment
FROM rows_scores
""",
    "surveymonkey": """
header_rows: 2
header: joined
encoding: latin-1
columns: [RespondentID, Gender, Age]
-- customers
SELECT RespondentID AS customer_id, Gender AS region, Age AS plan FROM rows
""",
    "zendesk": """
columns: [id, ticket_id, user_id, body]
times: {created: iso}
-- interactions
SELECT id AS interaction_id, user_id AS customer_id, created AS started_at, 'support' AS touchpoint, 'message' AS kind,
    ticket_id AS case_id, body AS transcript
FROM rows
""",
    "telco": """
columns: [customerID, Contract, gender]
numbers: {MonthlyCharges: "1234.56"}
-- customers
SELECT customerID AS customer_id, Contract AS plan, gender AS region FROM rows
""",
}
HEAD = """
title: {name}
licence: none
as_of: 2020-01-01
unknown: {{customers: keep, touchpoints: keep}}
files:
  rows:
    path: rows*
"""


def real_bases(shared: Callable[[str], Path]) -> Iterator[Base]:
    """Yield the beginnings of the real files that are there."""

    def base(name: str, folder: str, file: str, **more: Any) -> Iterator[Base]:
        try:
            path = shared(folder) / file
        except pytest.skip.Exception:
            return
        yield Base.of(name, path, **more)

    reviews = {"ids": ["review_id"], "times": ["review_answer_timestamp"], "numbers": ["review_score"]}
    reviews["texts"] = ["review_comment_message"]
    yield from base("olist reviews", "olist_tiny", "olist_order_reviews_dataset.csv", **reviews)
    orders = {"ids": ["order_id", "customer_id"], "times": ["order_purchase_timestamp"], "texts": ["order_status"]}
    yield from base("olist orders", "olist_sample_a", "olist_orders_dataset.csv", **orders)
    answers = {"ids": ["ResponseId"], "times": ["RecordedDate"], "numbers": ["Q1", "Progress"], "texts": ["Q2"]}
    yield from base("qualtrics", "qualtrics_sample", "sample.csv", header_rows=3, **answers)
    films = {"header_rows": 2, "encoding": "latin-1", "ids": ["RespondentID"], "texts": ["Gender", "Age"]}
    yield from base("surveymonkey", "surveymonkey_starwars", "StarWars.csv", **films)
    comments = {"ids": ["id", "ticket_id"], "times": ["created"], "texts": ["body"]}
    yield from base("zendesk", "zendesk_seed", "ticket_comment_data.csv", **comments)
    lines = {"ids": ["customerID"], "numbers": ["MonthlyCharges", "TotalCharges"], "texts": ["gender", "Contract"]}
    yield from base("telco", "telco_churn", "WA_Fn-UseC_-Telco-Customer-Churn.csv", **lines)


@pytest.fixture(scope="session")
def bases(shared_data: Callable[[str], Path]) -> list[Base]:
    """The beginnings of real files, and one that is made here."""
    return [mutator.small(SEED), *real_bases(shared_data)]


@dataclass
class Bench:
    """A workspace with a source for each base, and what the last ingest reported."""

    root: Path
    reports: list[IngestReport]

    def ingest(self, base: str, name: str, content: bytes | None = None) -> tuple[Result, IngestReport | None]:
        """Bring one file in through the command line."""
        raw = self.root / "raw"
        for folder in (raw, self.root / "data"):
            shutil.rmtree(folder, ignore_errors=True)
        raw.mkdir()
        if content is not None:
            (raw / name).write_bytes(content)
        self.reports.clear()
        source = base.replace(" ", "_")
        result = CliRunner().invoke(main, ["-w", str(self.root), "ingest", source, "--from", str(raw)])
        return result, self.reports[0] if self.reports else None


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One workspace for all; each ingest begins with an empty store."""
    root = tmp_path_factory.mktemp("malformed")
    (root / "params").mkdir()
    (root / "params" / "workspace.yml").write_text("company: Toy\n", encoding="utf-8")
    for name, words in SOURCES.items():
        keys, _, sql = words.partition("-- ")
        table, _, query = sql.partition("\n")
        folder = root / "params" / "sources" / name.replace(" ", "_")
        folder.mkdir(parents=True)
        (folder / f"{table}.sql").write_text(query, encoding="utf-8")
        said = HEAD.format(name=name) + textwrap.indent(keys, "    ")
        (folder / "source.yml").write_text(said, encoding="utf-8")
    found = Bench(root, [])
    true_show = intake.show
    patch = pytest.MonkeyPatch()
    patch.setattr(intake, "show", lambda report: (found.reports.append(report), true_show(report)))
    yield found
    patch.undo()


def check(mutant: Mutant, result: Result, report: IngestReport | None, root: Path) -> None:
    """Hold what was said of a malformed file against what it holds."""
    said = " ".join(result.output.split())
    assert result.exit_code in (0, SourceError.exit_code), said
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in said
    assert "unexpected" not in said
    assert "\x1b" not in result.output
    if report is None:
        assert mutant.whole, said
        assert mutant.name in said
        assert "error: source " in said
        return
    assert mutant.text is not None
    read = report.files["rows"]
    assert read.rows == rows_of(mutant)
    assert read.rows == read.readable + sum(read.left_out.values()) + read.unreadable
    for table in report.tables.values():
        accounted(table)
        assert table.rows_in <= read.readable
        assert table.rows_in == read.readable or mutant.base.name == "qualtrics"  # a row per answer
    placed(report, said, root)


def rows_of(mutant: Mutant) -> int:
    """Count the rows of data, letter by letter."""
    text = decoded(mutant.text or b"", mutant.base.encoding)
    header = len(mutant.base.header)
    columns = len(PlainReader(text, 0).first)
    plain = PlainReader(text, columns)
    return sum(place >= header for place in [*plain.good, *plain.bad])


def accounted(table: TableCounts) -> None:
    """Make sure that every row ended somewhere."""
    ends = (table.accepted, table.unchanged, table.stale, table.duplicated, table.rejected)
    assert table.rows_in == sum(ends)


def placed(report: IngestReport, said: str, root: Path) -> None:
    """Make sure that rows which did not come in are told with their places."""
    count = report.files["rows"].unreadable
    if count:
        table = pq.read_table(report.quarantine / "unreadable.parquet").to_pylist()
        assert len(table) == count
        assert all(row["file"] and row["row"] and row["reasons"] for row in table)
        for one in report.unreadable:
            assert f"{one.place}" in said
            assert ", row " in one.place
        assert sum(one.rows for one in report.unreadable) <= count
    if REJECTED_ROWS_ARE_PLACED:
        for one in report.refusals:
            assert ", row " in one.place, one
            assert one.place in said


# Each kind of damage once; the others take a minute.
NUMBERS = [pytest.param(n, marks=[pytest.mark.slow] if n >= len(mutator.KINDS) else []) for n in range(COUNT)]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_malformed_file_is_accounted_for(number, bases, bench):
    mutant = mutator.mutant(bases, number, SEED)
    result, report = bench.ingest(mutant.base.name, mutant.name, mutant.content)
    try:
        check(mutant, result, report, bench.root)
    except AssertionError as error:
        raise AssertionError(f"{mutant}\n{result.output}") from error


def test_the_clean_files_are_read_as_they_are(bases, bench):
    for base in bases:
        clean = mutator.Draft(base, None, base.header, base.rows)
        result, report = bench.ingest(base.name, "rows.csv", clean.written())
        assert result.exit_code == 0, result.output
        assert report is not None
        assert (report.files["rows"].readable, report.files["rows"].unreadable) == (len(base.rows), 0)
        assert all(table.accepted for table in report.tables.values())


def test_every_kind_of_damage_is_done():
    assert 2 * len(mutator.KINDS) < COUNT


@pytest.mark.slow
def test_a_line_of_a_gigabyte_costs_itself(bench, bases):
    base = bases[0]
    lines = mutator.Draft(base, None, base.header, base.rows).written()
    at = lines.index(b"\n", len(lines) // 2) + 1
    raw = bench.root / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir()
    with (raw / "rows.csv").open("wb") as file:
        file.write(lines[:at])
        for _ in range(1 << 10):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + lines[at:])
    bench.reports.clear()
    shutil.rmtree(bench.root / "data", ignore_errors=True)
    try:
        result = CliRunner().invoke(main, ["-w", str(bench.root), "ingest", "made_here", "--from", str(raw)])
    finally:
        (raw / "rows.csv").unlink()
    assert result.exit_code == 0, result.output
    read = bench.reports[0].files["rows"]
    assert (read.readable, read.unreadable) == (len(base.rows), 1)
    assert "it is longer than any row may be" in result.output


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_what_is_no_file_is_not_waited_for(bench):
    raw = bench.root / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    (raw / "rows.csv").mkdir(parents=True)
    os.mkfifo(raw / "rows.fifo")
    result = CliRunner().invoke(main, ["-w", str(bench.root), "ingest", "telco", "--from", str(raw)])
    assert result.exit_code == SourceError.exit_code
    assert "file rows (rows*) is missing" in result.output
