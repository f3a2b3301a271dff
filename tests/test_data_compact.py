"""Compacting takes away what no kept snapshot needs, and nothing else."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_workspace import CUSTOMERS, Toy

from cxlib.data import deltalog, tables
from cxlib.data.compact import CompactReport, compact
from cxlib.data.ledger import Ledger, writer_lock
from cxlib.errors import StoreError, UsageError
from cxlib.params.models import Params

HEAD = "order_id,customer_id,ordered_at,amount\n"
# Files are as old as their making, whatever the test says the day is: all days lie ahead of it.
FIRST = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
LAST = FIRST + timedelta(days=100)


@pytest.fixture
def toy(tmp_path) -> Toy:
    """Three snapshots, on days 0, 50 and 90; each corrects one of two months."""
    toy = Toy(tmp_path / "l'été").put("customers", CUSTOMERS)
    for day, amounts in ((0, (1, 1)), (50, (2, 1)), (90, (2, 3))):
        put(toy, *amounts).ingest(now=FIRST + timedelta(days=day))
    return toy


def put(toy: Toy, *amounts: int) -> Toy:
    """One order a month, with these amounts."""
    return toy.put("orders", HEAD + "".join(f"o{m},c1,2026-0{m}-05,{a}\n" for m, a in enumerate(amounts, start=1)))


def run(toy: Toy, days: int = 30, now: datetime = LAST, **more) -> CompactReport:
    return compact(toy.root, "data/store", retention_days=days, now=now, **more)


def ids(toy: Toy) -> list[str]:
    return [one.id for one in Ledger.read(store_of(toy))]


def store_of(toy: Toy) -> Path:
    return toy.root / "data" / "store"


def contents(toy: Toy) -> dict[str, dict]:
    """Return what every snapshot that can be opened holds."""
    found = {}
    for one in Ledger.read(store_of(toy)):
        if one.dropped is None:
            with toy.open(as_of=one.id) as store:
                frames = {name: store.run(table).to_csv() for name, table in store.tables.items()}
            found[one.id] = {name: sorted(text.splitlines()) for name, text in frames.items()}
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parquet(toy: Toy, table: str = "orders") -> set[Path]:
    return set((store_of(toy) / table).glob("_month=*/*.parquet"))


def needed(toy: Toy, table: str = "orders") -> set[Path]:
    """Return what the kept snapshots of a table name."""
    kept = [one.tables[table].version for one in Ledger.read(store_of(toy)) if one.dropped is None]
    return {Path(file) for version in kept for file in tables.pin(store_of(toy), table, version).files}


def test_snapshots_beyond_the_retention_period_go_but_for_the_newest_and_the_published(toy):
    first, second, third = ids(toy)
    before = contents(toy)
    assert len(parquet(toy)) == 4
    report = run(toy)
    assert report.dropped == {first: "older than 30 days", second: "older than 30 days"}
    assert report.kept == {third: "the newest"}
    assert contents(toy) == {third: before[third]}
    assert parquet(toy) == needed(toy)
    assert report.removed["orders"].files == 2
    assert report.lines() == [
        f"dropped: 2 snapshots ({first}, {second}): older than 30 days",
        f"kept: 1 snapshot ({third}): the newest",
        "removed from orders: 2 files, 0.0 MB",
    ]
    with pytest.raises(
        StoreError, match=f"snapshot {first} was compacted away at {LAST:%Y-%m-%d}T.*older than 30 days"
    ):
        toy.open(as_of=first)


def test_many_snapshots_are_told_by_the_first_and_the_last():
    ids = [f"{number:04d}-abcdef" for number in range(1, 400)]
    report = CompactReport(dict.fromkeys(ids[:390], "older than 9 days"), dict.fromkeys(ids[390:-4], "younger"), {})
    assert report.lines() == [
        "dropped: 390 snapshots (0001-abcdef to 0390-abcdef): older than 9 days",
        f"kept: 5 snapshots ({', '.join(ids[390:-4])}): younger",
    ]


def test_what_is_kept_says_why(toy):
    first, second, third = ids(toy)
    before = contents(toy)
    report = run(toy, days=50, keep={first, "0009-abcdef"})
    assert report.kept == {
        first: "a published report was made of it", second: "not older than 50 days", third: "the newest",
    }  # fmt: skip
    assert (report.dropped, report.removed) == ({}, {})
    assert report.lines()[-1] == "nothing to remove"
    report = run(toy, days=49, keep={first})
    assert (list(report.dropped), list(report.kept)) == ([second], [first, third])
    assert contents(toy) == {first: before[first], third: before[third]}
    assert parquet(toy) == needed(toy)


def test_the_newest_is_kept_however_old(toy):
    assert run(toy, days=1, now=LAST + timedelta(days=9_999)).kept == {ids(toy)[2]: "the newest"}
    assert toy.rows("orders", "order_id") == [("o1",), ("o2",)]


def test_a_second_time_nothing_is_left_to_do(toy):
    run(toy)
    before = files(toy.root / "data")
    report = run(toy)
    assert (report.dropped, report.removed, files(toy.root / "data")) == ({}, {}, before)


def test_a_dry_run_says_the_same_and_changes_nothing(toy):
    before = files(toy.root / "data")
    dry = run(toy, dry_run=True)
    assert files(toy.root / "data") == before
    assert dry.lines()[0].startswith("would be dropped: 2 snapshots (0001-")
    assert dry.lines()[2].startswith("would be removed from orders: 2 files, ")
    wet = run(toy)
    assert (wet.dropped, wet.kept, wet.removed) == (dry.dropped, dry.kept, dry.removed)
    assert len(files(toy.root / "data")) == len(before) - sum(one.files for one in wet.removed.values())
    assert sum(one.bytes for one in wet.removed.values()) > 0


def test_the_store_goes_on_as_if_nothing_had_been(toy, tmp_path):
    other = Toy(tmp_path / "other")
    shutil.copytree(toy.root, other.root, dirs_exist_ok=True)
    run(toy)
    for one in (toy, other):
        put(one, 2, 3, 4)
        one.put("customers", CUSTOMERS + "c3,2026-03-01,North\n").ingest(now=LAST)
    assert ids(toy) == ids(other)
    assert toy.content() == other.content()
    run(toy)
    assert toy.content() == other.content()


def test_what_a_killed_ingest_left_goes_at_once(toy):
    kept = contents(toy)
    orders = store_of(toy) / "orders"
    before = files(toy.root / "data")
    stray = [
        *(orders / "_month=2026-01" / "stray.parquet", orders / "_month=2031-12" / "stray.parquet"),
        *(orders / "_delta_log" / "_commit_x.json.tmp", orders / "_delta_log" / "00000000000000000009.json#1"),
        *(store_of(toy) / "responses" / "_month=2026-01" / "first.parquet", toy.root / "data" / "scratch" / "a" / "b"),
    ]
    for path in stray:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left by a dead writer")
    DeltaTable(orders).delete("order_id = 'o1'")  # a commit that no snapshot names, and its files
    DeltaTable(orders).create_checkpoint()  # with a checkpoint, at which Delta's hint points
    report = run(toy, days=365, now=datetime.now(UTC))
    assert report.dropped == {}
    assert {name: one.files for name, one in report.removed.items()} == {"orders": 7, "responses": 1, "scratch": 1}
    assert files(toy.root / "data") == before
    assert contents(toy) == kept
    put(toy, 7, 7).ingest()
    assert [row[0] for row in toy.rows("orders", "amount")] == [7, 7]


def test_folders_that_are_not_the_store_s_are_left_alone(toy):
    store = store_of(toy)
    mine = [store / "notes.txt", store / "backup" / "_delta_log" / f"{0:020}.json", store / "backup" / "a.parquet"]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    run(toy)
    assert all(path.read_text() == "mine" for path in mine)


def test_without_a_ledger_nothing_is_taken_for_a_leftover(toy):
    (store_of(toy) / "snapshots.json").unlink()
    before = files(store_of(toy))
    with pytest.raises(StoreError, match="nothing ingested yet"):
        run(toy)
    assert files(store_of(toy)) == before


def test_what_a_snapshot_named_a_moment_ago_is_left_for_its_readers(toy):
    """Files of dropped snapshots are as old as they; where a restore made them young, one hour is waited."""
    recent = LAST.timestamp()
    for path in parquet(toy):
        os.utime(path, (recent, recent))
    report = run(toy)
    assert (len(report.dropped), report.removed, len(parquet(toy))) == (2, {}, 4)
    assert run(toy, now=LAST + timedelta(minutes=59)).removed == {}
    assert run(toy, now=LAST + timedelta(minutes=61)).removed["orders"].files == 2
    assert parquet(toy) == needed(toy)


def test_a_table_of_dropped_snapshots_alone_goes_and_may_come_back(toy):
    toy.put("costs", "source,month,amount\nads,2026-01-01,1\n").ingest(now=LAST - timedelta(days=40))
    toy.drop("costs").ingest(now=LAST, anew=True)
    assert list(Ledger.find(store_of(toy)).tables) == ["customers", "orders"]
    report = run(toy)
    assert sorted(path.name for path in store_of(toy).iterdir() if path.is_dir()) == ["customers", "orders"]
    assert report.removed["costs"].files >= 2
    toy.put("costs", "source,month,amount\nads,2026-01-01,2\n").ingest(now=LAST)
    assert [row[0] for row in toy.rows("costs", "amount")] == [2]
    run(toy)
    assert [row[0] for row in toy.rows("costs", "amount")] == [2]


def test_an_older_snapshot_is_kept_with_a_table_that_the_newest_lacks(toy):
    toy.put("costs", "source,month,amount\nads,2026-01-01,1\n").ingest(now=FIRST + timedelta(days=91))
    with_costs = ids(toy)[-1]
    toy.drop("costs").ingest(now=LAST, anew=True)
    before = contents(toy)
    run(toy, days=1, keep={with_costs})
    assert contents(toy) == {one: before[one] for one in (with_costs, ids(toy)[-1])}


def test_refused_rows_go_with_the_last_snapshot_of_their_batch(tmp_path):
    toy = Toy(tmp_path).put("customers", CUSTOMERS)
    batches = []
    for day in (0, 60, 90):
        toy.put("orders", HEAD + f"o1,c1,2026-01-05,{day}\no2,c1,2026-01-05,x\n")
        batches.append(toy.ingest(now=FIRST + timedelta(days=day)).quarantine)
    toy.put("orders", HEAD + "o2,c1,2026-01-05,nothing that could be accepted\n")
    batches.append(toy.ingest(now=FIRST + timedelta(days=91)).quarantine)
    assert len(set(batches)) == 4
    made = [FIRST + timedelta(days=day) for day in (0, 60, 90, 91)]
    for folder, when in zip(batches, made, strict=True):
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (when.timestamp(), when.timestamp()))
    someone_mends = next(path for path in batches[1].rglob("*") if path.is_file())
    os.utime(someone_mends, ((LAST - timedelta(days=1)).timestamp(),) * 2)
    assert run(toy, days=30).removed["quarantine"].files >= 1
    assert [folder.exists() for folder in batches] == [False, True, True, True]
    run(toy, days=30, now=LAST + timedelta(days=35))
    assert [folder.exists() for folder in batches] == [False, False, True, False]  # the newest snapshot's own stays


def log(toy: Toy) -> list[str]:
    return sorted(path.name for path in (store_of(toy) / "costs" / "_delta_log").iterdir())


def test_a_long_log_is_cut_where_a_checkpoint_has_stood_for_a_while(tmp_path):
    """A reader may have listed the log a moment before the checkpoint stood: what it listed must still be there."""
    toy, days = Toy(tmp_path), 23
    for day in range(days):
        toy.put("costs", f"source,month,amount\nads,2026-01-01,{day}\n").ingest(now=FIRST + timedelta(days=day))
    before = contents(toy)
    last = FIRST + timedelta(days=days - 0.5)
    oldest, newest = (Ledger.read(store_of(toy))[place].tables["costs"].version for place in (11, -1))
    run(toy, days=12, now=last)
    assert [name for name in log(toy) if "checkpoint.parquet" in name] == [
        f"{version:020}.checkpoint.parquet" for version in (oldest, newest)
    ]
    assert f"{0:020}.json" in log(toy)
    (checkpoint,) = (store_of(toy) / "costs" / "_delta_log").glob(f"*{oldest}.checkpoint.parquet")
    just_now = (last - timedelta(minutes=59)).timestamp()
    os.utime(checkpoint, (just_now, just_now))
    assert run(toy, days=12, now=last).removed == {}
    run(toy, days=12, now=last + timedelta(minutes=2))
    assert log(toy)[0].startswith(f"{oldest:020}.")
    kept = contents(toy)
    assert kept == {one: before[one] for one in ids(toy)[11:]}
    toy.put("costs", "source,month,amount\nads,2026-01-01,99\n").ingest(now=last)
    assert toy.rows("costs", "amount") == [(99,)]
    assert {one: rows for one, rows in contents(toy).items() if one in before} == kept


def spare(store: Path, oldest: int, newest: int) -> tuple[list[str], list[int]]:
    there = [path.name for path in (store / "table" / "_delta_log").iterdir()]
    hinted = deltalog.hinted(store, "table")
    return deltalog.spare(there, oldest, newest, hinted=hinted, young=lambda name: False)


@pytest.mark.parametrize("beyond", ["commits", "checkpoint", "hint"])
def test_after_each_entry_that_goes_the_table_can_be_read_and_written(tmp_path, beyond):
    """Fourteen versions, of which those from 6 to 9 are needed, with a checkpoint at 5, and perhaps one at 12."""
    table = tmp_path / "table"
    for number in range(14):
        write_deltalake(table, pa.table({"number": [number]}), mode="append")
        if number == 5 or (number == 12 and beyond != "commits"):
            DeltaTable(table).create_checkpoint()
    entries = table / "_delta_log"
    if beyond == "checkpoint":
        (entries / "_last_checkpoint").unlink()
    (entries / "_commit_x.json.tmp").touch()
    expected = {version: sorted(DeltaTable(table, version=version).file_uris()) for version in range(6, 10)}
    files, checkpoints = spare(tmp_path, 6, 9)
    assert checkpoints == []
    # Old commits, new ones and a draft; perhaps a checkpoint, and the hint that names it.
    assert len(files) == len(set(files)) == 5 + 4 + 1 + {"commits": 0, "checkpoint": 1, "hint": 2}[beyond]
    for file in files:
        (entries / file).unlink()
        assert {n: sorted(DeltaTable(table, version=n).file_uris()) for n in range(6, 10)} == expected
        assert DeltaTable(table).version() >= 9
    write_deltalake(table, pa.table({"number": [99]}), mode="append")
    assert DeltaTable(table).version() == 10
    assert spare(tmp_path, 6, 10) == ([], [])


def test_another_writer_is_waited_for_by_name(toy):
    with writer_lock(store_of(toy)), pytest.raises(StoreError, match=f"pid {os.getpid()}, since"):
        run(toy)
    assert len(contents(toy)) == 3


def test_a_damaged_store_is_not_compacted(toy):
    lost = sorted(needed(toy))[0]
    aside = lost.with_suffix(".aside")
    lost.rename(aside)
    before = files(toy.root / "data")
    with pytest.raises(StoreError, match=f"1 files of kept snapshots are missing, the first: .*{lost.name}") as caught:
        run(toy, keep={ids(toy)[0]})
    assert "Nothing was changed. Restore the store from a backup." in caught.value.hint
    assert files(toy.root / "data") == before
    aside.rename(lost)
    (store_of(toy) / "orders" / "_delta_log" / f"{1:020}.json").write_text("{")
    with pytest.raises(StoreError, match=r"table orders at version \d cannot be read"):
        run(toy)
    assert len(Ledger.read(store_of(toy))[0].batches) == 1
    assert all(one.dropped is None for one in Ledger.read(store_of(toy)))


def test_at_least_a_day_is_kept(toy):
    with pytest.raises(UsageError, match="retention_days is 0"):
        run(toy, days=0)


@pytest.mark.parametrize("nth", range(4))
def test_a_failing_disk_loses_nothing_and_the_next_compact_finishes(toy, monkeypatch, nth):
    before = contents(toy)
    calls = []

    def fail(path, **more):
        calls.append(path)
        if len(calls) - 1 >= nth:
            raise PermissionError(13, "Permission denied")
        return real(path, **more)

    real = Path.unlink
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        if nth < 2:
            with pytest.raises(StoreError, match=r"^[12] files could not be removed") as caught:
                run(toy)
            assert "Every kept snapshot is whole." in caught.value.hint
        else:
            run(toy)
    newest = ids(toy)[-1]
    assert contents(toy) == {newest: before[newest]}
    run(toy)
    assert parquet(toy) == needed(toy)
    assert contents(toy) == {newest: before[newest]}


def test_a_full_disk_drops_nothing(toy, monkeypatch):
    before = files(toy.root / "data")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="the store cannot be compacted: No space left on device") as caught:
            run(toy)
    assert "The store is at snapshot 0003-" in caught.value.hint
    assert files(toy.root / "data") == before


KEYS = [(source, month) for source in "ab" for month in ("2026-07-01", "2026-08-01", "2026-09-01")]
INGEST = st.tuples(
    st.sampled_from(["more", "whole", "anew"]), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3), min_size=1)
)
COMPACT = st.tuples(st.just("compact"), st.integers(1, 60), st.integers(0, 5))


class Costs(Toy):
    """A source of one table, which may be given whole: what it no longer holds is deleted."""

    whole = False

    @property
    def params(self) -> Params:
        """The parameters that make it a workspace."""
        found = super().params
        source = found.sources["toy"].model_copy(update={"full_extract": ("costs",) if self.whole else ()})
        return found.model_copy(update={"sources": {"toy": source}})


@settings(max_examples=15)
@given(st.lists(INGEST | COMPACT, min_size=2, max_size=8))
def test_after_any_history_every_kept_snapshot_reads_the_same_rows(tmp_path_factory, steps):
    """Ingests with corrections and deletions, stores begun anew, compacts with any retention and any exception."""
    toy, now = Costs(tmp_path_factory.mktemp("history")), FIRST
    known: dict[str, dict] = {}
    for step in steps:
        now += timedelta(days=9)
        if step[0] != "compact":
            toy.whole = step[0] == "whole"
            rows = "".join(f"{source},{month},{amount}\n" for (source, month), amount in step[1].items())
            toy.put("costs", f"source,month,amount\n{rows}")
            toy.ingest(now=now, anew=step[0] == "anew", despite_limits=True)
            known |= {one: content for one, content in contents(toy).items() if one not in known}
        elif known:
            report = run(toy, days=step[1], now=now, keep=set(sorted(known)[step[2] : step[2] + 1]))
            assert contents(toy) == {one: known[one] for one in report.kept}
            assert parquet(toy, "costs") == needed(toy, "costs")
            assert run(toy, days=step[1], now=now, keep=set(report.kept)).removed == {}
