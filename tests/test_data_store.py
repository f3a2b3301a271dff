"""Readers see one snapshot, whole and typed, and can read no other file."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest
from intake_workspace import CUSTOMERS, Toy

from cxlib import contract
from cxlib.data import tables as physical
from cxlib.data.store import Store, location_of
from cxlib.errors import StoreError

ORDERS = "order_id,customer_id,ordered_at,amount,units\n"


@pytest.fixture
def toy(tmp_path) -> Toy:
    toy = Toy(tmp_path / "l'été {1} #2").put("customers", CUSTOMERS)
    toy.put("orders", ORDERS + "".join(f"o{n},c1,2026-0{n % 9 + 1}-10,0.1,1\n" for n in range(1_000)))
    toy.ingest()
    return toy


def test_columns_have_the_contract_s_types(toy):
    expected = {
        "text": "string", "timestamp": "timestamp(6)", "date": "date", "integer": "int64", "number": "float64",
        "money": "decimal(18, 2)", "boolean": "boolean",
    }  # fmt: skip
    with toy.open() as store:
        assert list(store.tables) == ["customers", "orders"]
        for name, table in store.tables.items():
            declared = {column.name: expected[column.type] for column in contract.TABLES[name].columns}
            assert {column: str(kind) for column, kind in table.schema().items()} == declared


def test_money_adds_up_to_the_cent(toy):
    """A thousand times 0.1 is 100 exactly; as doubles, it is not."""
    with toy.open() as store:
        orders = store.tables["orders"]
        cents = (orders.amount * 100).cast("int64").sum()
        assert store.run(orders.aggregate(cents=cents)).cents[0] == 10_000


def test_tables_are_opened_when_they_are_asked_for(toy, monkeypatch):
    opened = []
    real = physical.pin
    monkeypatch.setattr(physical, "pin", lambda *args: opened.append(args[1]) or real(*args))
    with toy.open(threads=1, memory_limit="200MB") as store:
        assert (len(store.tables), opened) == (2, [])
        assert "orders" in store.tables
        store.tables["customers"], store.tables["customers"]
        assert opened == ["customers"]
        with pytest.raises(KeyError):
            store.tables["responses"]


def test_latest_is_the_data_s_own_time(toy):
    with toy.open() as store:
        assert store.latest() == {"customers": datetime(2026, 1, 1), "orders": datetime(2026, 9, 10)}


def test_the_sql_of_analysts_reads_no_other_file(toy, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with toy.open() as store:
        raw = store.tables["orders"].get_backend().raw_sql
        for sql in (f"SELECT * FROM read_csv('{secret}')", f"COPY (SELECT 1) TO '{tmp_path}/out.csv'"):
            with pytest.raises(duckdb.PermissionException):
                raw(sql)
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            raw("SET enable_external_access = true")


def test_an_unknown_snapshot_names_the_known(toy):
    with pytest.raises(StoreError, match="no snapshot '0002-abcdef'"):
        toy.open(as_of="0002-abcdef")


def test_an_empty_store_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="nothing ingested yet"):
        Store.open(tmp_path)


def test_a_store_is_a_folder_or_a_url_of_an_object_store(tmp_path):
    assert location_of(tmp_path, "data/store") == tmp_path / "data/store"
    assert location_of(tmp_path, (tmp_path / "l'été").as_uri()) == tmp_path / "l'été"
    assert str(location_of(tmp_path, "s3://bucket/a/store/")) == "s3://bucket/a/store"
    for unknown in ("postgres://somewhere/cx", "memory://store"):
        with pytest.raises(StoreError, match="is neither a folder nor an object store"):
            location_of(tmp_path, unknown)


@pytest.mark.parametrize(
    ("url", "said"),
    [("s3://key:secret@bucket/x", "holds a password"), ("az://box/x?sig=secret", "holds a password"),
     ("s3:///store", "names no bucket"), ("s3://bucket/50%", "its name has %")],
)  # fmt: skip
def test_a_url_holds_no_secret_and_names_a_bucket(tmp_path, url, said):
    with pytest.raises(StoreError, match=said) as caught:
        location_of(tmp_path, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("folder", ["a [1]", "50%", "a^b"])
def test_a_folder_that_delta_lake_cannot_work_in_is_refused(tmp_path, folder):
    toy = Toy(tmp_path / folder).put("customers", CUSTOMERS)
    with pytest.raises(StoreError, match="tables cannot be stored in"):
        toy.ingest()


def test_a_store_whose_files_are_gone_says_so(toy):
    for log in (toy.root / "data" / "store" / "orders" / "_delta_log").iterdir():
        log.unlink()
    with toy.open() as store, pytest.raises(StoreError, match="table orders at version 0 cannot be read"):
        store.tables["orders"]
