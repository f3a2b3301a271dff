"""Every row is accounted for, the same rows make the same store, and no crash shows."""

from __future__ import annotations

import math
import random
import shutil
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_workspace import CUSTOMERS, TODAY, Toy

from cxlib.data import tables
from cxlib.data.ingest import ingest
from cxlib.data.ledger import Ledger
from cxlib.errors import SourceError, StoreError, UsageError

HEAD = "order_id,customer_id,ordered_at,amount\n"
ORDERS = HEAD + "o1,c1,2026-08-05 10:00:00,10.50\no2,c2,2026-09-05 10:00:00,20\no3,c1,2026-09-30 22:30:00,30\n"


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path / "workspace").put("customers", CUSTOMERS).put("orders", ORDERS)


def counts(report, table: str) -> tuple[int, ...]:
    c = report.tables[table]
    return (c.rows_in, c.accepted, c.unchanged, c.duplicated, c.rejected)


def refusals(report) -> list[tuple[str, str, int]]:
    return [(refusal.table, refusal.reason, refusal.rows) for refusal in report.refusals]


def quarantined(report, table: str) -> list[tuple]:
    assert report.quarantine is not None
    return duckdb.sql(f"SELECT * FROM '{report.quarantine}/{table}.parquet'").fetchall()


def test_a_first_ingest_brings_all_tables_in(toy):
    report = toy.ingest()
    assert report.changed
    assert counts(report, "orders") == (3, 3, 0, 0, 0)
    assert toy.rows("orders", "order_id", "ordered_at", "amount", "units") == [
        ("o1", datetime(2026, 8, 5, 10), Decimal("10.50"), None),
        ("o2", datetime(2026, 9, 5, 10), Decimal("20.00"), None),
        ("o3", datetime(2026, 9, 30, 22, 30), Decimal("30.00"), None),
    ]
    with toy.open() as store:
        assert store.snapshot.id == report.snapshot_id
        assert {name: version.rows for name, version in store.snapshot.tables.items()} == {"customers": 2, "orders": 3}
        assert store.latest()["orders"] == datetime(2026, 9, 30, 22, 30)
        assert sorted(store.snapshot.batch.files) == [
            "customers.csv", "orders.csv", "params/customers.sql", "params/orders.sql",
        ]  # fmt: skip


def test_the_same_files_twice_change_nothing(toy):
    first = toy.ingest()
    before = sorted(path for path in (toy.root / "data").rglob("*") if path.is_file())
    second = toy.ingest()
    assert not second.changed
    assert second.snapshot_id == first.snapshot_id
    assert counts(second, "orders") == (3, 0, 3, 0, 0)
    assert sorted(path for path in (toy.root / "data").rglob("*") if path.is_file()) == before
    assert len(Ledger.read(toy.root / "data" / "store")) == 1


def test_a_corrected_row_replaces_also_into_another_month(toy):
    toy.ingest()
    before = set(tables.pin(toy.root / "data" / "store", "orders", 0).files)
    toy.put("orders", HEAD + "o3,c1,2026-10-01 00:30:00,31\no2,c2,2026-09-05 10:00:00,20\n")
    report = toy.ingest()
    assert counts(report, "orders") == (2, 1, 1, 0, 0)
    assert report.tables["orders"].corrected == 1
    assert toy.rows("orders", "order_id", "ordered_at", "amount")[1:] == [
        ("o2", datetime(2026, 9, 5, 10), Decimal("20.00")),
        ("o3", datetime(2026, 10, 1, 0, 30), Decimal("31.00")),
    ]
    with toy.open() as store:
        after = set(tables.pin(toy.root / "data" / "store", "orders", store.snapshot.tables["orders"].version).files)
    untouched = {path for path in before if "_month=2026-08" in path}
    assert untouched == before & after  # only the months that the row left and reached were written again


def test_a_month_that_loses_its_only_row_is_empty(toy):
    toy.ingest()
    toy.put("orders", HEAD + "o1,c1,2026-09-05 10:00:00,10.50\n")
    assert toy.ingest().tables["orders"].corrected == 1
    assert [row[1].month for row in toy.rows("orders", "order_id", "ordered_at")] == [9, 9, 9]


def test_an_older_snapshot_stays_as_it_was(toy):
    first = toy.ingest()
    toy.put("orders", HEAD + "o1,c1,2026-08-05 10:00:00,99\n")
    second = toy.ingest()
    assert toy.rows("orders", "amount", as_of=first.snapshot_id)[0] == (Decimal("10.50"),)
    assert (Decimal("99.00"),) in toy.rows("orders", "amount", as_of=second.snapshot_id)


def test_rejected_rows_go_aside_as_they_came_with_every_reason(toy):
    toy.put("orders", ORDERS + "o4,c9,2026-13-01,x\n,c1,2026-10-01,1\no5,c1,2026-10-01,-1\n")
    report = toy.ingest()
    assert counts(report, "orders") == (6, 3, 0, 0, 3)
    assert quarantined(report, "orders") == [
        ("o4", "c9", "2026-13-01", "x", "orders.csv", 5,
         ("ordered_at '2026-13-01' is not a time (as 2026-10-31 23:59:00); amount 'x' is not an amount; "
         "customer_id 'c9' is not in customers")),
        (None, "c1", "2026-10-01", "1", "orders.csv", 6, "order_id is missing"),
        ("o5", "c1", "2026-10-01", "-1", "orders.csv", 7, "amount '-1' is below 0"),
    ]  # fmt: skip
    assert refusals(report)[0] == ("orders", "amount '-1' is below 0", 1)
    assert (report.refusals[0].place, report.refusals[0].example) == ("orders.csv, row 7", "amount '-1' is below 0")
    again = toy.ingest()
    assert (again.quarantine, counts(again, "orders")) == (report.quarantine, (6, 0, 3, 0, 3))
    assert ("orders", "order_id is missing", 1) in refusals(again)


def test_reasons_of_one_kind_are_counted_together(toy):
    toy.put("orders", ORDERS + "".join(f"x{n},c1,2026-10-01,-{n}\n" for n in range(1, 4)))
    assert refusals(toy.ingest()) == [("orders", "amount ... is below 0", 3)]


def test_answers_with_scores_outside_their_scale_are_counted_by_month(tmp_path):
    """By the month in the reporting timezone: 22:30 UTC of 30 September is October in Madrid. Not without a time."""
    head = "response_id,responded_at,instrument,score,customer_id\n"
    lines = ["1,2026-09-30 22:30:00,nps,11,c1", "2,2026-09-30 10:00:00,nps,-1,c1", "3,2026-10-02 10:00:00,csat,6,c2"]
    lines += ["4,2026-10-02 10:00:00,csat,many,c2", "5,,nps,12,c1", "6,2026-10-02 10:00:00,nps,10,nobody"]
    lines += ["7,2026-10-02 10:00:00,nps,10,c1"]
    toy = Toy(tmp_path).put("customers", CUSTOMERS).put("responses", head + "\n".join(lines) + "\n")
    params = toy.params.model_copy(
        update={"workspace": toy.params.workspace.model_copy(update={"timezone": "Europe/Madrid"})}
    )
    report = ingest(toy.root, params, "toy", folder=toy.raw, today=TODAY)
    assert counts(report, "responses")[4] == 6
    with toy.open() as store:
        assert store.snapshot.batch.out_of_range == {"2026-09": 1, "2026-10": 2}
    assert Ledger.read(toy.root / "data" / "store")[-1].batch.out_of_range == {"2026-09": 1, "2026-10": 2}


def test_a_mended_row_comes_in(toy):
    toy.put("orders", ORDERS + "o4,c1,2026-10-01,x\n")
    toy.ingest()
    toy.put("orders", ORDERS + "o4,c1,2026-10-01,4\n")
    report = toy.ingest()
    assert (counts(report, "orders"), report.quarantine) == ((4, 1, 3, 0, 0), None)


def test_of_rows_with_one_key_the_last_by_time_then_content_stays(toy):
    rows = [
        "o1,c1,2026-08-05,1",
        "o1,c1,2026-08-06,2",
        "o1,c1,2026-08-06,3",
        "o1,c1,2026-08-06,3",
        "o2,c1,2026-08-01,9",
    ]
    for order in (rows, rows[::-1]):
        toy.put("orders", HEAD + "\n".join(order) + "\n")
        report = toy.ingest()
        assert report.tables["orders"].duplicated == 3
        assert toy.rows("orders", "order_id", "amount") == [("o1", Decimal("3.00")), ("o2", Decimal("9.00"))]


def test_a_reference_may_be_to_this_batch_or_to_the_store(toy):
    toy.ingest()
    toy.drop("customers").put("orders", HEAD + "o7,c2,2026-10-01,1\no8,c3,2026-10-01,1\n")
    assert counts(toy.ingest(), "orders") == (2, 1, 0, 0, 1)
    toy.put("customers", CUSTOMERS + "c3,2026-01-01,North\n")
    assert counts(toy.ingest(), "orders") == (2, 1, 1, 0, 0)


def test_without_any_customers_references_are_not_checked_and_that_is_said(tmp_path):
    toy = Toy(tmp_path).put("orders", ORDERS)
    report = toy.ingest()
    assert report.notes == ("no customers in this batch or the store: references to them are not checked",)
    assert counts(report, "orders") == (3, 3, 0, 0, 0)


def test_late_rows_are_those_of_months_that_were_closed(toy):
    toy.ingest()  # the data reach 30 September: it is closed
    more = "o5,c1,2026-09-29,1\no6,c1,2026-09-30 23:30:00,1\no7,c1,2026-10-01,1\no1,c1,2026-08-05 10:00:00,11\n"
    toy.put("orders", HEAD + more)
    report = toy.ingest()
    assert (report.tables["orders"].accepted, report.tables["orders"].late) == (4, 3)
    assert report.tables["orders"].corrected == 1


def test_the_first_export_of_a_source_is_never_late(toy):
    """Another source's closed months say nothing about this one's."""
    toy.ingest()
    params = toy.params
    other = params.sources["toy"].model_copy(update={"id": "other"})
    shutil.copytree(toy.sql, toy.sql.parent / "other")
    toy.put("orders", HEAD + "x1,c1,2026-01-05,1\n")
    report = ingest(
        toy.root, params.model_copy(update={"sources": {"other": other}}), "other", folder=toy.raw, today=TODAY
    )
    assert (report.tables["orders"].accepted, report.tables["orders"].late) == (1, 0)


def test_late_is_told_in_the_reporting_timezone(toy):
    params = toy.params
    madrid = params.model_copy(update={"workspace": params.workspace.model_copy(update={"timezone": "Europe/Madrid"})})
    ingest(toy.root, madrid, "toy", folder=toy.raw, today=TODAY)
    toy.put("orders", HEAD + "o6,c1,2026-09-30 21:59:00,1\no7,c1,2026-09-30 22:00:00,1\n")
    assert ingest(toy.root, madrid, "toy", folder=toy.raw, today=TODAY).tables["orders"].late == 1


def test_times_become_utc_and_dates_stay(tmp_path):
    toy = Toy(tmp_path, timezone="America/Sao_Paulo")
    toy.put("customers", "customer_id,valid_from,joined_on\nc1,2017-10-15 00:00:00,2017-10-15\n")
    toy.ingest()
    assert toy.rows("customers", "valid_from", "joined_on") == [(datetime(2017, 10, 15, 3), date(2017, 10, 15))]


def test_parquet_times_are_local_to_the_source_too(tmp_path):
    toy = Toy(tmp_path, timezone="Europe/Madrid").put("customers", CUSTOMERS)
    times = "SELECT 'c1' AS customer_id, TIMESTAMP '2026-07-01 12:00:00' AS valid_from"
    toy.put("customers", CUSTOMERS, times).ingest()
    assert toy.rows("customers", "valid_from") == [(datetime(2026, 7, 1, 10),)]
    instant = "SELECT 'c1' AS customer_id, TIMESTAMPTZ '2026-07-02 12:00:00+00' AS valid_from"
    toy.put("customers", CUSTOMERS, instant).ingest()
    assert toy.rows("customers", "valid_from")[1] == (datetime(2026, 7, 2, 12),)


def test_declared_attributes_are_kept_by_their_type(tmp_path):
    toy = Toy(tmp_path, attributes={"household": "text", "size": "integer"})
    toy.put("customers", "customer_id,valid_from,household,size\nc1,2026-01-01,NA,3\nc2,2026-01-01,x,many\n")
    report = toy.ingest()
    assert toy.rows("customers", "customer_id", "household", "size") == [("c1", "NA", 3)]
    assert quarantined(report, "customers")[0][-1] == "size 'many' is not an integer"


def test_attributes_may_be_declared_later_and_dropped(tmp_path):
    toy = Toy(tmp_path).put("customers", CUSTOMERS)
    first = toy.ingest()
    toy.attributes = {"household": "text"}
    toy.put("customers", "customer_id,valid_from,region,household\nc1,2026-02-01,North,couple\n")
    toy.ingest()
    assert toy.rows("customers", "customer_id", "household") == [("c1", "couple"), ("c1", None), ("c2", None)]
    assert len(toy.rows("customers", as_of=first.snapshot_id)) == 2
    toy.attributes = {}
    toy.put("customers", "customer_id,valid_from,region\nc3,2026-02-01,North\n")
    report = toy.ingest()
    assert report.notes == ("customers: no longer declared, left out from now on: household",)
    assert len(toy.rows("customers")) == 4


def test_every_fault_of_the_sql_is_said_at_once(toy):
    toy.put("orders", ORDERS, "SELECT order_id, customer_id, ordered_at, amount AS amuont, 1 AS colour FROM orders")
    toy.put("responses", "a\n1\n", "SELECT nothing FROM responses")
    toy.put("costs", "a\n1\n", "SELECT 1; SELECT 2")
    toy.put("ordres", "a\n1\n")
    with pytest.raises(SourceError) as caught:
        toy.ingest()
    message = str(caught.value)
    for part in (
        "toy/orders.sql yields no column 'amount'; did you mean 'amuont'?",
        "toy/orders.sql yields a column 'colour' that orders does not have",
        'toy/responses.sql: Binder Error: Referenced column "nothing" not found',
        "toy/costs.sql must be one SELECT",
        "toy/ordres.sql: the contract has no table 'ordres'; did you mean 'orders'?",
    ):
        assert part in message
    assert Ledger.read(toy.root / "data" / "store") == []


def test_an_unreadable_row_is_put_aside_and_named_and_stops_nobody(toy):
    report = toy.put("orders", ORDERS + "o9,c1\no10,c1,2026-10-01,1\n").ingest()
    assert counts(report, "orders") == (4, 4, 0, 0, 0)
    (refusal,) = report.unreadable
    assert (refusal.table, refusal.rows, refusal.place) == ("orders.csv", 1, "orders.csv, row 5")
    read = report.files["orders"]
    assert (read.rows, read.readable, read.unreadable) == (5, 4, 1)
    assert duckdb.sql(f"SELECT file, row, text FROM '{report.quarantine}/unreadable.parquet'").fetchall() == [
        ("orders.csv", 5, "o9,c1")
    ]


def test_unknown_sources_and_folders(toy):
    with pytest.raises(UsageError, match="no source 'toi'; did you mean 'toy'"):
        ingest(toy.root, toy.params, "toi")
    with pytest.raises(SourceError, match=r"there is no folder .*data/raw/toy"):
        ingest(toy.root, toy.params, "toy")


def test_nothing_accepted_makes_no_snapshot(tmp_path):
    toy = Toy(tmp_path).put("customers", "customer_id,valid_from\nc1,x\n")
    report = toy.ingest()
    assert (report.changed, report.snapshot_id) == (False, "")


def judge(row: dict[str, str]) -> bool:
    """Plain Python: is this answer acceptable?"""
    ranges = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}
    try:
        score = float(row["score"])
        moment = datetime.fromisoformat(row["responded_at"])
    except ValueError:
        return False
    low, high = ranges.get(row["instrument"], (math.inf, -math.inf))
    known = row["customer_id"] in ("", "c1", "c2")
    in_time = datetime(1900, 1, 1) <= moment < datetime(2026, 11, 3)
    return bool(row["response_id"]) and known and in_time and score == int(score) and low <= score <= high


@pytest.mark.parametrize("seed", [1, 2])
def test_every_row_is_accounted_for_as_a_judge_in_plain_python_says(tmp_path, seed):
    rng = random.Random(seed)
    fields = {
        "response_id": lambda: rng.choice(["", *(f"r{n}" for n in range(2_000))]),
        "responded_at": lambda: rng.choice(["2026-10-31", "2026-11-02 23:59:59", "2026-11-03", "x", "1899-12-31", ""]),
        "instrument": lambda: rng.choice(["nps", "csat", "ces", "osat", ""]),
        "score": lambda: rng.choice(["0", "1", "5", "6", "7", "8", "10", "11", "-1", "4.5", "3.0", "x", ""]),
        "customer_id": lambda: rng.choice(["c1", "c2", "c3", ""]),
    }
    rows = [{name: draw() for name, draw in fields.items()} for _ in range(3_000)]
    text = "\n".join([",".join(fields), *(",".join(row.values()) for row in rows)]) + "\n"
    toy = Toy(tmp_path).put("customers", CUSTOMERS).put("responses", text)
    report = toy.ingest()
    good = [row for row in rows if judge(row)]
    rows_in, accepted, unchanged, duplicated, rejected = counts(report, "responses")
    assert (rows_in, unchanged, rejected) == (3_000, 0, 3_000 - len(good))
    assert accepted == len({row["response_id"] for row in good}) == len(toy.rows("responses"))
    assert rows_in == accepted + unchanged + duplicated + rejected
    aside = quarantined(report, "responses")
    assert sorted(tuple(value or "" for value in row[: len(fields)]) for row in aside) == sorted(
        tuple(row.values()) for row in rows if not judge(row)
    )
    assert all(row[-1] for row in aside)


KEYS = [(source, month) for source in ("a", "b") for month in ("2026-07-01", "2026-08-01", "2026-09-01")]


@settings(max_examples=8)
@given(st.data())
def test_any_order_of_batches_splits_and_repeats_gives_the_same_store(tmp_path_factory, data):
    lines = [f"{source},{month},{place}" for place, (source, month) in enumerate(KEYS)]
    batches = data.draw(st.lists(st.lists(st.sampled_from(lines), max_size=8), max_size=2))
    batches.insert(data.draw(st.integers(0, len(batches))), lines)  # everything comes at least once
    toy = Toy(tmp_path_factory.mktemp("order"))
    for batch in batches:
        report = toy.put("costs", "source,month,amount\n" + "".join(f"{line}\n" for line in batch)).ingest()
        assert report.tables["costs"].rows_in == len(batch)
    expected = [(s, datetime.fromisoformat(m), Decimal(f"{place}.00")) for place, (s, m) in enumerate(KEYS)]
    found = [(s, datetime.fromisoformat(str(m)), a) for s, m, a in toy.rows("costs", "source", "month", "amount")]
    assert found == sorted(expected, key=repr)


def test_ids_that_a_spreadsheet_rounded_are_refused_instead_of_taken_for_duplicates(tmp_path):
    orders = "order_id,customer_id,ordered_at,amount\n" + "".join(
        f"{order},c1,2026-10-0{day} 10:00:00,{day}\n"
        for day, order in enumerate(("1.23E+15", "1.23E+15", "1,2E+05:checkout", "1e5", "12E15", "A+1.5"), start=1)
    ).replace("1,2E+05:checkout", '"1,2E+05:checkout"')
    toy = Toy(tmp_path).put("customers", CUSTOMERS).put("orders", orders)
    report = toy.ingest()
    counts = report.tables["orders"]
    assert (counts.accepted, counts.rejected, counts.duplicated) == (3, 3, 0)
    assert ("orders", "order_id ... was rounded by a spreadsheet", 3) in refusals(report)
    assert [row[0] for row in toy.rows("orders", "order_id")] == ["12E15", "1e5", "A+1.5"]


def test_control_characters_make_no_id_and_reach_no_terminal(tmp_path):
    rows = "order_id,customer_id,ordered_at,amount\no\0one,c1,2026-10-01,1\no2,c1,2026-10-01,\x1b[2J\n"
    report = Toy(tmp_path).put("customers", CUSTOMERS).put("orders", rows).ingest()
    assert sorted(refusals(report)) == [
        ("orders", "amount '\ufffd[2J' is not an amount", 1),
    ]
    assert [(refusal.rows, refusal.place) for refusal in report.unreadable] == [(1, "orders.csv, row 2")]


def test_two_sources_that_count_alike_do_not_overwrite_each_other(toy):
    toy.ingest()
    sources = {"toy": toy.params.sources["toy"], "other": toy.params.sources["toy"].model_copy(update={"id": "other"})}
    params = toy.params.model_copy(update={"sources": sources})
    shutil.copytree(toy.sql, toy.sql.with_name("other"))
    before = toy.content()
    how = {"folder": toy.raw, "today": TODAY}
    toy.put("orders", ORDERS.replace("10.50", "99"))
    with pytest.raises(SourceError, match="orders: 3 rows have a key that the source toy brought, as 'o1'"):
        ingest(toy.root, params, "other", **how)
    assert toy.content() == before
    report = ingest(toy.root, params, "other", despite_limits=True, **how)
    assert (report.tables["orders"].corrected, len(report.warnings)) == (1, 1)


def test_what_cannot_be_put_aside_stops_the_ingest_before_anything_is_written(toy, monkeypatch):
    toy.put("orders", ORDERS + "o4,c9,2026-10-01,1\n")
    (toy.root / "data").mkdir()
    (toy.root / "data" / "quarantine").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        toy.ingest()
    assert Ledger.read(toy.root / "data" / "store") == []
