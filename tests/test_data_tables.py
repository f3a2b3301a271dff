"""A table's files on disk: months replaced in one commit, older versions untouched, what a crash left undone."""

from __future__ import annotations

import errno
import json
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from cxlib.contract import TABLES, Column, Table
from cxlib.data import tables
from cxlib.data.rules import SQL_TYPES
from cxlib.data.stage import Staged
from cxlib.errors import StoreError

SHAPE = Table(
    "orders",
    (
        Column("id", "text"), Column("at", "timestamp"), Column("day", "date"), Column("n", "integer"),
        Column("x", "number"), Column("amount", "money"), Column("ok", "boolean"),
    ),
    ("id",),
    "at",
)  # fmt: skip
VALUES = {"day": date(2026, 1, 2), "n": 2**53 + 1, "x": 0.1, "amount": Decimal("12.30"), "ok": True}


class Shelf:
    """A store folder with one table, and files to put into it."""

    def __init__(self, root: Path) -> None:
        self.root, self.store, self.made = root, root / "l'été {1} #2 store", 0
        self.path = self.store / "orders"
        root.mkdir(exist_ok=True)

    def file(self, month: str, *ids: str) -> tuple[Path, int]:
        """Make one file of a month, as the stage leaves it."""
        self.made += 1
        path = self.root / f"draft {self.made}.parquet"
        given = VALUES | {"at": datetime.fromisoformat(f"{month}-03 10:00:00")}
        columns = ", ".join(
            "id" if column.name == "id" else f"'{given[column.name]}'::{SQL_TYPES[column.type]} AS {column.name}"
            for column in SHAPE.columns
        )
        lineage = "'toy'::ENUM('toy') AS _source, 'b1' AS _batch, NULL::TIMESTAMP AS _updated_at"
        rows = f"SELECT {columns}, {lineage} FROM (SELECT unnest({list(ids)}) AS id)"
        duckdb.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet, PARQUET_VERSION v2)")
        return path, len(ids)

    def write(self, version: int | None, **months: str) -> int:
        """Give months (as m08="abc": one file of three rows) a new content."""
        files = {
            f"2026-{month[1:]}": [self.file(f"2026-{month[1:]}", *ids)] if ids else [] for month, ids in months.items()
        }
        return tables.write(self.store, SHAPE, version, files)

    def read(self, version: int) -> str:
        """Return the ids of a version."""
        pinned = tables.pin(self.store, "orders", version)
        return "".join(
            id_ for (id_,) in duckdb.execute(f"SELECT id FROM ({tables.select(SHAPE, pinned)}) ORDER BY 1").fetchall()
        )

    def there(self) -> set[Path]:
        """Return all data files that lie in the table's folder."""
        return set(self.path.glob("_month=*/*.parquet"))


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path)


def test_months_are_replaced_added_and_ended_in_one_version(shelf):
    first = shelf.write(None, m08="ab", m09="c")
    second = shelf.write(first, m09="de", m10="f")
    third = shelf.write(second, m08="", m10="g")
    assert (first, second, third) == (0, 1, 2)
    assert [shelf.read(version) for version in (first, second, third)] == ["abc", "abdef", "deg"]
    assert list(tables.pin(shelf.store, "orders", second).months) == ["2026-08", "2026-09", "2026-10"]
    assert list(tables.pin(shelf.store, "orders", third).months) == ["2026-09", "2026-10"]


def test_a_table_can_lose_all_and_begin_anew(shelf):
    first = shelf.write(None, m08="ab")
    emptied = shelf.write(first, m08="")
    assert tables.measure(duckdb.connect(), SHAPE, shelf.store, emptied) == (0, None)
    anew = shelf.write(None, m01="z")
    assert [shelf.read(version) for version in (first, emptied, anew)] == ["ab", "", "z"]


def test_what_is_counted_is_what_the_files_hold(shelf):
    version = shelf.write(None, m08="ab", m09="c")
    assert tables.measure(duckdb.connect(), SHAPE, shelf.store, version) == (3, datetime(2026, 9, 3, 10))
    file, _ = shelf.file("2026-10", "x", "y")
    version = tables.write(shelf.store, SHAPE, version, {"2026-10": [(file, 77)]})
    assert tables.measure(duckdb.connect(), SHAPE, shelf.store, version)[0] == 5  # not 80


def test_other_readers_of_delta_see_the_same_rows_and_types(shelf):
    version = shelf.write(None, m08="ab")
    rows = DeltaTable(shelf.path, version=version).to_pyarrow_table().to_pylist()
    expected = VALUES | {"at": datetime(2026, 8, 3, 10), "_source": "toy", "_batch": "b1", "_month": "2026-08"}
    assert rows[0] == expected | {"id": "a", "_updated_at": None}
    assert tables.pin(shelf.store, "orders", version).columns == {column.name: column.type for column in SHAPE.columns}


def test_the_log_holds_counts_and_nothing_of_any_row(shelf):
    shelf.write(None, m08="ab")
    log = (shelf.path / "_delta_log" / f"{0:020}.json").read_text()
    added = [json.loads(line)["add"] for line in log.splitlines() if "add" in json.loads(line)]
    assert [json.loads(one["stats"]) for one in added] == [{"numRecords": 2}]


def test_newer_versions_that_no_ledger_names_are_undone(shelf):
    named = shelf.write(None, m08="ab", m09="c")
    lost = shelf.write(named, m08="x", m10="y")
    version = shelf.write(named, m11="z")
    assert version > lost
    assert shelf.read(version) == "abcz"


def test_files_that_a_killed_writer_left_are_removed_and_no_other(shelf, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    version = shelf.write(None, m08="ab")
    named = shelf.there()
    with monkeypatch.context() as patch:
        patch.setattr(tables, "_commit", kill)
        patch.setattr(Path, "unlink", kill)  # the dead tidy nothing
        with pytest.raises(Killed):
            shelf.write(version, m09="c")
    foreign = shelf.path / "_month=2026-08" / "somebody-else.parquet"
    foreign.touch()
    assert len(shelf.there()) == 3
    assert shelf.read(version) == "ab"
    version = shelf.write(version, m10="d")
    assert shelf.read(version) == "abd"
    assert named | {foreign} < shelf.there()
    assert len(shelf.there()) == 3


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["_move", "_sync", "_commit"])
def test_a_failed_write_leaves_no_file_and_the_next_one_works(shelf, monkeypatch, step, done):
    version = shelf.write(None, m08="ab", m09="c")
    before, real = shelf.there(), getattr(tables, step)

    def fail(*args):
        if done:
            real(*args)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tables, step, fail)
        with pytest.raises(OSError, match="No space left"):
            shelf.write(version, m09="x", m10="y")
    assert shelf.there() == before
    assert shelf.read(version) == "abc"
    assert shelf.read(shelf.write(version, m10="y")) == "abcy"


def test_the_store_may_lie_on_another_disk(shelf, monkeypatch):
    real = os.rename

    def rename(source, target, **more):
        if "draft" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target, **more)

    monkeypatch.setattr(os, "rename", rename)
    assert shelf.read(shelf.write(None, m08="ab")) == "ab"


def test_all_is_on_the_disk_before_delta_hears_of_it(shelf, monkeypatch):
    done = []
    commit = tables._commit
    monkeypatch.setattr(tables, "sync", lambda path: done.append(path))
    monkeypatch.setattr(tables, "_commit", lambda *args: done.append("commit") or commit(*args))
    shelf.write(None, m08="ab", m09="c")
    before, after = done[: done.index("commit")], done[done.index("commit") + 1 :]
    assert set(before) == shelf.there() | {path.parent for path in shelf.there()} | {shelf.path}
    assert set(after) == {shelf.path / "_delta_log", shelf.path / "_delta_log" / f"{0:020}.json"}


def test_columns_that_files_lack_are_null_and_types_are_the_shape_s(shelf):
    version = shelf.write(None, m08="a")
    pinned = tables.pin(shelf.store, "orders", version)
    wider = Table("orders", (*SHAPE.columns[:-1], Column("ok", "text"), Column("more", "integer")), ("id",), "at")
    rows = duckdb.execute(f"SELECT ok, more, _updated_at, _month FROM ({tables.select(wider, pinned, physical=True)})")
    assert rows.fetchall() == [("true", None, None, "2026-08")]
    nothing = tables.Pinned((), {})
    empty = duckdb.execute(tables.select(wider, nothing, physical=True))
    assert [str(kind) for _, kind, *_ in empty.description][-4:] == ["VARCHAR", "VARCHAR", "TIMESTAMP", "VARCHAR"]
    assert empty.fetchall() == []


def test_a_staged_table_learns_whether_it_must_be_rewritten(shelf):
    version = shelf.write(None, m08="a")
    wider = Table("orders", (*SHAPE.columns, Column("more", "integer")), ("id",), "at")
    for shape, reshaped in ((SHAPE, False), (wider, True)):
        staged = Staged(duckdb.connect(), shape, {}, shelf.root)
        tables.attach(staged, shelf.store, version)
        assert (staged.has_old, staged.reshaped, staged.old_months) == (True, reshaped, ("2026-08",))
        assert staged.one(f"SELECT count(*) FROM {staged.old}") == 1


def test_a_version_that_is_not_there_is_told(shelf):
    shelf.write(None, m08="a")
    with pytest.raises(StoreError, match="table orders at version 7 cannot be read"):
        tables.pin(shelf.store, "orders", 7)


def test_every_table_of_the_contract_can_be_written(tmp_path):
    for table in TABLES.values():
        version = tables.write(tmp_path, table, None, {})
        assert tables.pin(tmp_path, table.name, version).columns == {c.name: c.type for c in table.columns}
