"""One table on its way in: what becomes of repeated, older, corrected and deleted rows, against plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxlib.contract import TABLES
from cxlib.data import stage, tables
from cxlib.data.rules import rules
from cxlib.data.stage import Staged, comparing, loading, months
from cxlib.errors import SourceError

START = datetime(2026, 1, 5)


class Order(NamedTuple):
    """One row of `orders` as a source's SQL yields it."""

    order_id: str | None
    ordered_at: datetime
    amount: str
    updated: datetime | None = None


@dataclass
class Desk:
    """A store with one table, and a way to bring batches into it as an ingest does."""

    root: Path
    table: str = "orders"
    version: int | None = None
    batches: int = 0
    rows: int = 0
    staged: list[Staged] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.root / "store"

    def bring(
        self,
        orders: Iterable[Order] = (),
        *,
        deletes: Sequence[str] | None = None,
        full: bool = False,
        source: str = "toy",
        sql: str = "SELECT * FROM raw",
        closed: datetime | None = None,
    ) -> dict[str, int]:
        """Bring a batch of orders in; return its counts."""
        connection = connect()
        columns = "order_id VARCHAR, ordered_at TIMESTAMP, amount VARCHAR, _updated_at TIMESTAMPTZ"
        connection.execute(
            f"CREATE TABLE raw ({columns}, customer_id VARCHAR DEFAULT 'c1'); CREATE TABLE keys (order_id VARCHAR)"
        )
        if orders := [*orders]:
            values = ", ".join("(?, ?, ?, ?::TIMESTAMP, 'c1')" for _ in orders)
            connection.execute(f"INSERT INTO raw VALUES {values}", [cell for order in orders for cell in order])
        if deletes:
            connection.execute(f"INSERT INTO keys VALUES {', '.join('(?)' for _ in deletes)}", [*deletes])
        connection.execute(f'CREATE VIEW "sql orders" AS {sql}')
        return self.settle(connection, "keys" if deletes is not None else None, full, source, closed)

    def settle(
        self,
        connection: duckdb.DuckDBPyConnection,
        deletes: str | None = None,
        full: bool = False,
        source: str = "toy",
        closed: datetime | None = None,
    ) -> dict[str, int]:
        """Take the rows of the view `sql <table>` into the store."""
        self.batches += 1
        table = TABLES[self.table]
        described = connection.execute(f'DESCRIBE "sql {self.table}"').fetchall()
        yields = {column: str(kind) for column, kind, *_ in described}
        scratch = self.root / f"scratch {self.batches}"
        scratch.mkdir(parents=True)
        staged = Staged(connection, table, yields, scratch, source, f"batch-{self.batches}")
        self.staged.append(staged)
        if self.version is not None:
            tables.attach(staged, self.store, self.version)
        stage.load(staged, rules(table, yields, today=None, known={}), "UTC")
        stage.compare(staged)
        stage.delete(staged, deletes, full, source)
        stage.count_late(staged, closed)
        staged.touched = stage.touched(staged)
        if staged.touched:
            old = None if staged.reshaped else self.version
            self.version = tables.write(self.store, table, old, stage.write(staged))
        counts = staged.counts
        self.rows += counts["accepted"] - counts["corrected"] - counts["deleted"]
        assert counts["rows_in"] == sum(
            counts[one] for one in ("accepted", "unchanged", "stale", "duplicated", "rejected")
        )
        assert len(self.content()) == self.rows
        return {name: count for name, count in counts.items() if count}

    def content(self, *columns: str) -> list[tuple]:
        """Return the rows of the store, sorted."""
        if self.version is None:
            return []
        columns = columns or ("order_id", "ordered_at", "amount", "_updated_at", "_source")
        table = TABLES[self.table]
        pinned = tables.pin(self.store, table.name, self.version)
        rows = tables.select(table, pinned, physical=True)
        listed = [
            column for column in columns if column in (*table.names, "_updated_at", "_source", "_batch", "_month")
        ]
        return connect().execute(f"SELECT {', '.join(listed or table.key)} FROM ({rows}) ORDER BY ALL").fetchall()


def connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
    return connection


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "l'été #1 [a]" / "amount=7")  # no folder above is a column


def day(number: int) -> datetime:
    """Return a time; 40 days lie in another month."""
    return START + timedelta(days=number)


def ids(desk: Desk) -> list[str]:
    return [key for (key,) in desk.content("order_id")]


def test_the_row_that_was_changed_last_stays_whatever_comes_first(desk):
    old, new = Order("a", day(0), "1", day(1)), Order("a", day(40), "2", day(2))
    assert desk.bring([new]) == {"rows_in": 1, "accepted": 1}
    assert desk.bring([old]) == {"rows_in": 1, "stale": 1}
    assert desk.bring([new]) == {"rows_in": 1, "unchanged": 1}
    assert [str(amount) for (amount,) in desk.content("amount")] == ["2.00"]


def test_without_a_time_of_change_the_last_batch_wins_and_known_times_win_over_unknown(desk):
    first, second = Order("a", day(0), "1"), Order("a", day(0), "2")
    desk.bring([first])
    assert desk.bring([second]) == {"rows_in": 1, "accepted": 1, "corrected": 1}
    assert desk.bring([first]) == {"rows_in": 1, "accepted": 1, "corrected": 1}
    assert desk.bring([first._replace(updated=day(1))]) == {"rows_in": 1, "accepted": 1, "corrected": 1}
    assert desk.bring([second]) == {"rows_in": 1, "stale": 1}


def test_in_one_batch_the_last_change_stays_then_time_then_content(desk):
    rows = [
        Order("a", day(0), "1", day(3)),
        Order("a", day(9), "2", day(2)),
        Order("a", day(9), "3"),
        Order("b", day(0), "4", day(1)),
        Order("b", day(1), "5", day(1)),
        Order("b", day(1), "6", day(1)),
        Order("b", day(1), "6", day(1)),
    ]
    for order in (rows, rows[::-1]):
        counts = desk.bring(order)
        assert counts["duplicated"] == 5
        assert [(key, int(amount)) for key, amount in desk.content("order_id", "amount")] == [("a", 1), ("b", 6)]


def test_a_refused_row_takes_no_place_among_repeated_ones(desk):
    rows = [Order("a", day(5), "x"), Order("a", day(0), "1"), Order(None, day(0), "1"), Order(None, day(0), "2")]
    assert desk.bring(rows) == {"rows_in": 4, "rejected": 3, "accepted": 1}


def test_the_time_of_change_is_naive_utc_in_the_store(desk):
    desk.bring([Order("a", day(0), "1", day(1))])
    assert desk.content("_updated_at") == [(day(1),)]


def test_deletion_by_key_and_again(desk):
    desk.bring([Order("a", day(0), "1"), Order("b", day(0), "2"), Order("c", day(40), "3")])
    before = desk.version
    assert desk.bring(deletes=["a", "c", "nobody", "a"]) == {"deleted": 2}
    assert ids(desk) == ["b"]
    files = tables.pin(desk.store, "orders", desk.version).files
    assert len(files) == 1  # the month that lost its only row has gone
    assert len(tables.pin(desk.store, "orders", before).files) == 2
    after = desk.version
    assert desk.bring(deletes=["a", "c", "nobody"]) == {}
    assert desk.version == after


def test_what_is_brought_and_deleted_at_once_is_deleted(desk):
    desk.bring([Order("a", day(0), "1"), Order("b", day(0), "2"), Order("x", day(0), "9")])
    batch = [Order("a", day(40), "5"), Order("b", day(0), "2"), Order("c", day(0), "3"), Order("d", day(0), "4")]
    assert desk.bring(batch, deletes=["a", "b", "c"]) == {
        "rows_in": 4,
        "accepted": 1,
        "unchanged": 1,
        "stale": 2,
        "deleted": 2,
    }
    assert ids(desk) == ["d", "x"]
    assert desk.bring(batch, deletes=["a", "b", "c"]) == {"rows_in": 4, "unchanged": 1, "stale": 3}
    assert ids(desk) == ["d", "x"]


def test_all_can_be_deleted_and_come_back(desk):
    desk.bring([Order("a", day(0), "1")])
    assert desk.bring(deletes=["a"]) == {"deleted": 1}
    assert desk.content() == []
    assert desk.bring([Order("a", day(0), "1")]) == {"rows_in": 1, "accepted": 1}
    assert ids(desk) == ["a"]


def test_a_full_extract_takes_away_what_this_source_does_not_bring(desk):
    desk.bring([Order("z", day(0), "1")], source="other")
    desk.bring([Order("a", day(0), "1"), Order("b", day(0), "2"), Order("c", day(40), "3"), Order("d", day(40), "4")])
    batch = [Order("a", day(0), "1"), Order("b", day(40), "2"), Order("c", day(40), "refused")]
    counts = {"rows_in": 3, "accepted": 1, "corrected": 1, "unchanged": 1, "rejected": 1, "deleted": 1}
    assert desk.bring(batch, full=True) == counts
    assert ids(desk) == ["a", "b", "c", "z"]
    assert desk.bring(batch, full=True) == {"rows_in": 3, "unchanged": 2, "rejected": 1}
    assert desk.bring([], full=True) == {"deleted": 3}
    assert ids(desk) == ["z"]


def test_an_unchanged_row_keeps_its_lineage_and_a_corrected_one_gets_the_batch_s(desk):
    desk.bring([Order("a", day(0), "1"), Order("b", day(0), "1")])
    desk.bring([Order("a", day(0), "1"), Order("b", day(0), "2")], source="other")
    assert desk.content("order_id", "_source", "_batch") == [("a", "toy", "batch-1"), ("b", "other", "batch-2")]


def test_late_rows_are_the_accepted_ones_before_the_end_of_the_closed_month(desk):
    desk.bring([Order("a", day(0), "1"), Order("b", day(1), "1")])
    batch = [Order("a", day(0), "1"), Order("b", day(1), "2"), Order("c", datetime(2026, 2, 1), "1")]
    assert desk.bring(batch, closed=datetime(2026, 2, 1))["late"] == 1


def test_the_newest_row_of_a_source_is_its_own(desk):
    desk.bring([Order("a", day(0), "1")])
    desk.bring([Order("b", day(70), "1")], source="other")
    desk.bring([Order("c", day(1), "1")])
    assert [stage.newest(one) for one in desk.staged] == [None, None, day(0)]


def test_a_batch_touches_only_the_months_it_changes_and_opens_no_other(desk):
    desk.bring([Order(f"{n}-{month}", day(month * 31), "1") for month in range(4) for n in range(3)])
    before = tables.pin(desk.store, "orders", desk.version)
    damaged = before.months["2026-03"][0]
    Path(damaged).write_bytes(b"not Parquet")
    desk.rows = 0  # cannot be counted now
    with pytest.raises(duckdb.InvalidInputException):
        desk.bring([Order("1-1", day(31), "7")])
    after = tables.pin(desk.store, "orders", desk.version)
    assert damaged in set(before.files) & set(after.files)
    assert {month for month in before.months if before.months[month] != after.months[month]} == {"2026-02"}


def test_many_months_have_one_file_each(desk):
    sql = (
        "SELECT 'o' || i AS order_id, 'c1' AS customer_id, i AS amount,"
        " TIMESTAMP '1990-01-01' + to_days((i % 13000)::INT) AS ordered_at FROM range(40000) t(i)"
    )
    desk.bring(sql=sql)
    files = tables.pin(desk.store, "orders", desk.version).months
    assert (len(files), {len(of_month) for of_month in files.values()}) == (428, {1})


def test_sql_that_costs_is_run_once(desk):
    ranked = "SELECT DISTINCT * FROM raw"
    counts = desk.bring([Order("a", day(0), "1")] * 2 + [Order("b", day(0), "x")], sql=ranked)
    assert counts == {"rows_in": 2, "accepted": 1, "rejected": 1}
    kept = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'yielded orders'"
    assert desk.staged[-1].one(kept) == 1
    desk.bring(
        [Order("a", day(0), "1")], sql="SELECT * FROM raw WHERE amount <> '0' UNION ALL SELECT * FROM raw WHERE false"
    )
    assert desk.staged[-1].one(kept) == 0


def test_sql_that_fails_on_a_row_is_told(desk):
    with pytest.raises(SourceError, match=r'orders: Conversion Error: Could not convert string "x"'):
        desk.bring([Order("a", day(0), "x")], sql="SELECT * REPLACE (amount::DECIMAL(9,2) AS amount) FROM raw")


def test_tables_without_time_or_with_time_in_the_key(tmp_path):
    for table, columns in (
        ("identities", "'s' || n AS source_id, 'c' || n AS customer_id"),
        ("costs", "'s' || n AS source, DATE '2026-01-01' + INTERVAL (n) MONTH AS month, 5 AS amount"),
    ):
        desk = Desk(tmp_path / table, table)
        for last, expected in ((3, {"rows_in": 3, "accepted": 3}), (4, {"rows_in": 4, "unchanged": 3, "accepted": 1})):
            connection = connect()
            connection.execute(f'CREATE VIEW "sql {table}" AS SELECT {columns} FROM range({last}) t(n)')
            assert desk.settle(connection) == expected
        assert {month for (month,) in desk.content("_month")} == (
            {"all"} if table == "identities" else {f"2026-0{month}" for month in range(1, 5)}
        )


# Any order of batches, against a model.

UPDATES = [None, *(day(number) for number in range(1, 5))]


def told(key: str, updated: datetime | None) -> Order:
    """What a tool says of an order at a time of change: always the same."""
    number = 0 if updated is None else updated.day
    return Order(key, day((ord(key) * 7 + number * 23) % 120), str(number), updated)


SAID = [told(key, updated) for key in "abc" for updated in UPDATES]


@settings(max_examples=10)
@given(st.lists(st.lists(st.sampled_from(SAID), max_size=8), max_size=3), st.permutations(SAID), st.data())
def test_any_order_split_and_repetition_gives_the_same_store(tmp_path_factory, extra, everything, data):
    cut = data.draw(st.integers(0, len(everything)))
    batches = [*extra, everything[:cut], everything[cut:]]  # everything comes at least once
    desk = Desk(tmp_path_factory.mktemp("order"))
    for batch in data.draw(st.permutations(batches)):
        desk.bring(batch)
    expected = [told(key, UPDATES[-1]) for key in "abc"]
    found = [Order(key, time, str(int(amount)), updated) for key, time, amount, updated, _ in desk.content()]
    assert found == sorted(expected)


def newer(order: Order) -> tuple:
    """Rank as the contract says: by time of change (unknown is oldest), then time, then content."""
    return (order.updated is not None, order.updated or START, order.ordered_at, int(order.amount))


def model(stored: dict[str, Order], owners: dict[str, str], batch: dict) -> dict[str, int]:
    """Do to two dicts what a batch does to a store; return the counts."""
    won: dict[str, Order] = {}
    for order in sorted(batch["orders"], key=newer):
        won[order.order_id] = order
    counts = dict.fromkeys(("accepted", "corrected", "unchanged", "stale", "deleted"), 0)
    counts |= {"rows_in": len(batch["orders"]), "duplicated": len(batch["orders"]) - len(won)}
    absent = {key for key, owner in owners.items() if owner == batch["source"] and key not in won}
    gone = set(batch["deletes"] or ()) | (absent if batch["full"] else set())
    counts["deleted"] = len(gone & stored.keys())
    for key, order in won.items():
        held = stored.get(key)
        unknown = datetime.min
        if held and (order.updated or unknown) < (held.updated or unknown):
            counts["stale"] += 1
        elif held == order:
            counts["unchanged"] += 1
        elif key in gone:
            counts["stale"] += 1
        else:
            counts["accepted"] += 1
            counts["corrected"] += held is not None
            stored[key], owners[key] = order, batch["source"]
    for key in gone & stored.keys():
        del stored[key], owners[key]
    return {name: count for name, count in counts.items() if count}


ORDERS = st.builds(
    Order,
    st.sampled_from("abcd"),
    st.sampled_from([day(0), day(1), day(40), day(80)]),
    st.sampled_from("12"),
    st.sampled_from(UPDATES[:3]),
)
BATCH = st.fixed_dictionaries(
    {
        "orders": st.lists(ORDERS, max_size=6),
        "deletes": st.none() | st.lists(st.sampled_from("abcde"), max_size=2),
        "full": st.booleans(),
        "source": st.sampled_from(["toy", "other"]),
    }
)


@settings(max_examples=25)
@given(st.lists(BATCH, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_the_store_is_what_plain_python_says(tmp_path_factory, batches, small, many):
    with pytest.MonkeyPatch.context() as patch:
        if many:  # rows go through files
            patch.setattr(loading, "_FEW", 0)
        if small:  # every bound is met at once
            patch.setattr(loading, "_ROWS_A_PART", 1)
            patch.setattr(comparing, "_ROWS_AT_ONCE", 1)
            patch.setattr(months, "_ROWS_A_COPY", 1)
            patch.setattr(months, "_BUFFERS", 1)
        desk, stored, owners = Desk(tmp_path_factory.mktemp("model")), {}, {}
        for batch in batches:
            assert desk.bring(**batch) == model(stored, owners, batch)
            expected = [(k, o.ordered_at, int(o.amount), o.updated, owners[k]) for k, o in sorted(stored.items())]
            assert [(k, t, int(a), u, s) for k, t, a, u, s in desk.content()] == expected
