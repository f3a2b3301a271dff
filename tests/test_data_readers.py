"""Readers see one snapshot, whole, whatever writers do meanwhile; nobody waits for anybody."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from crash_driver import drive
from intake_workspace import CUSTOMERS, Toy

from cxlib.data.compact import compact
from cxlib.data.ledger import Ledger, writer_lock
from cxlib.errors import StoreError

HEAD = "order_id,customer_id,ordered_at,amount\n"
LATER = datetime.now(UTC) + timedelta(days=1_000)  # when every file is old


@pytest.fixture
def toy(tmp_path) -> Toy:
    return put(Toy(tmp_path / "l'été").put("customers", CUSTOMERS), 1)


def put(toy: Toy, amount: int) -> Toy:
    """Lay out two tables whose rows all carry one number."""
    toy.put("costs", "source,month,amount\n" + "".join(f"ads,2026-0{m}-01,{amount}\n" for m in range(1, 5)))
    return toy.put("orders", HEAD + "".join(f"o{m},c1,2026-0{m}-05,{amount}\n" for m in range(1, 5)))


def amounts(store, *tables: str) -> set[Decimal]:
    return {amount for table in tables for amount in store.run(store.tables[table].select("amount")).amount}


def test_a_reader_keeps_its_snapshot_while_another_writes(toy):
    toy.ingest()
    with toy.open() as before:
        assert amounts(before, "costs") == {1}
        for number in (2, 3):
            put(toy, number).ingest()
        assert amounts(before, "costs", "orders") == {1}  # `orders` is opened only now
        with toy.open() as after:
            assert amounts(after, "costs", "orders") == {3}


def test_a_reader_of_a_kept_snapshot_does_not_notice_a_compact(toy):
    """Neither what it has opened nor what it opens later."""
    for number in (1, 2, 3):
        put(toy, number).ingest(now=LATER + timedelta(days=number))
    first, _, newest = (one.id for one in Ledger.read(toy.root / "data" / "store"))
    with toy.open(as_of=first) as old, toy.open() as new:
        assert (amounts(old, "costs"), amounts(new, "costs")) == ({1}, {3})
        report = compact(toy.root, "data/store", retention_days=1, now=LATER + timedelta(days=99), keep={first})
        assert (len(report.dropped), list(report.kept)) == (1, [first, newest])
        assert sum(one.files for one in report.removed.values()) >= 8
        assert amounts(old, "costs", "orders") == {1}
        assert amounts(new, "costs", "orders") == {3}


def test_a_reader_neither_takes_the_writer_s_place_nor_waits_for_it(toy):
    toy.ingest()
    with writer_lock(toy.root / "data" / "store"), toy.open() as store:
        assert amounts(store, "costs", "orders") == {1}
    with toy.open() as store:
        put(toy, 2).ingest()
        compact(toy.root, "data/store", retention_days=400)
        assert amounts(store, "costs", "orders") == {1}


def test_readers_write_nothing(toy):
    """So that a store on a read-only disk can be read."""
    toy.ingest()
    before = {path: path.stat().st_mtime_ns for path in (toy.root / "data").rglob("*")}
    with toy.open() as store:
        assert amounts(store, "costs", "orders") == {1}
        Ledger.find(toy.root / "data" / "store", "0001")
    assert {path: path.stat().st_mtime_ns for path in (toy.root / "data").rglob("*")} == before


def test_a_reader_whose_snapshot_is_compacted_away_is_told_so(toy):
    for number in (1, 2):
        put(toy, number).ingest(now=LATER + timedelta(days=number))
    first = Ledger.read(toy.root / "data" / "store")[0].id
    with toy.open(as_of=first) as store:
        assert amounts(store, "costs") == {1}
        compact(toy.root, "data/store", retention_days=1, now=LATER + timedelta(days=99))
        with pytest.raises(StoreError, match=f"snapshot {first} was compacted away"):
            amounts(store, "costs", "orders")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="readers are forked")
def test_six_readers_through_fifty_commits_see_no_two_versions_mixed(tmp_path):
    """Each commit gives both tables another number: who saw two would have mixed snapshots.

    Every tenth commit is followed by a compact, and one reader holds the first snapshot from beginning to end.
    """
    said = drive("readers", root=str(tmp_path / "readers"), count=6, commits=50)
    (writer,), (holder,) = ([one for one in said if kind in one] for kind in ("writer", "holder"))
    looking = [one for one in said if "reader" in one]
    assert said[-1] == {"failed": 0}
    assert writer["dropped"] >= 30
    assert holder["seen"] == [0]
    assert len(looking) == 5
    assert all(one["mixed"] == [] and one["times"] > 0 for one in looking)
    assert all(one["snapshots"] > 2 for one in looking)  # they were not kept from reading while commits were made
