"""A source's SQL files become views; every fault of every file is said at once."""

from __future__ import annotations

import duckdb
import pytest

from cxlib.data.queries import read
from cxlib.errors import SourceError
from cxlib.params.models import File, Source


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("CREATE VIEW answers AS SELECT 'a1' AS id, '9' AS score, 'c1' AS who")
    return made


@pytest.fixture
def write(tmp_path):
    def write(**files: str):
        for called, sql in files.items():
            (tmp_path / f"{called}.sql").write_text(sql, encoding="utf-8")
        return tmp_path

    return write


def source(**more) -> Source:
    return Source(id="toy", title="Toy", licence="none", files={"answers": File(path="answers.csv")}, **more)


RESPONSES = "SELECT id AS response_id, 'nps' AS instrument, score FROM answers -- one of each"


def test_a_cross_section_takes_its_time_from_as_of(connection, write):
    folder = write(
        responses=RESPONSES, customers="SELECT who AS customer_id, getvariable('as_of') AS joined_on FROM answers"
    )
    customers, responses = read(connection, folder, source(as_of="2021-08-31"), {})
    assert connection.execute(f"SELECT responded_at::VARCHAR FROM {responses.view}").fetchone() == (
        "2021-08-31 00:00:00",
    )
    assert (customers.given["valid_from"], customers.given["joined_on"]) == ("TIMESTAMP", "DATE")


def test_without_as_of_a_time_is_missed(connection, write):
    with pytest.raises(SourceError, match="yields no column 'responded_at'"):
        read(connection, write(responses=RESPONSES), source(), {})


def test_the_tool_s_own_time_of_change_is_no_unknown_column(connection, write):
    sql = f"SELECT *, '2026-01-01' AS responded_at, '2026-01-02' AS _updated_at FROM ({RESPONSES}\n)"
    (query,) = read(connection, write(responses=sql), source(), {})
    assert query.given["_updated_at"] == "VARCHAR"


def test_deletions_by_key(connection, write):
    (query,) = read(connection, write(**{"orders.delete": "SELECT id AS order_id FROM answers"}), source(), {})
    assert connection.execute(f"SELECT * FROM {query.deletes}").fetchall() == [("a1",)]
    assert connection.execute(f"SELECT * FROM {query.view}").fetchall() == []


def test_every_fault_of_every_file_is_said_at_once(connection, write):
    folder = write(
        customers="SELECT 1; SELECT 2", order="SELECT 1", costs="SELECT nothing FROM answers",
        responses="SELECT id AS respons_id FROM answers", **{"orders.delete": "SELECT id AS order FROM answers"},
    )  # fmt: skip
    with pytest.raises(SourceError) as caught:
        read(connection, folder, source(), {})
    said = str(caught.value)
    for words in (
        "customers.sql must be one SELECT",
        "the contract has no table 'order'; did you mean 'orders'?",
        'costs.sql: Binder Error: Referenced column "nothing" not found',
        "responses.sql yields no column 'response_id'; did you mean 'respons_id'?",
        "orders.delete.sql",
    ):
        assert words in said
    assert len(said.splitlines()) > 5


def test_a_folder_without_sql_says_what_to_write(connection, tmp_path):
    with pytest.raises(SourceError, match=r"write <table>\.sql"):
        read(connection, tmp_path, source(), {})
