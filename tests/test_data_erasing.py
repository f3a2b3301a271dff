"""An erased person is in nothing that the workspace keeps, everybody else stays, and no export brings them back."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from crash_driver import drive
from intake_workspace import Toy

from cxlib.cli.erasing import told
from cxlib.data import erased, labelled, proof, rewriting, searching, tables
from cxlib.data.compact import compact
from cxlib.data.erasing import Erasure, erase
from cxlib.data.ledger import LEDGER, Ledger, writer_lock
from cxlib.data.store import Store
from cxlib.errors import BusyError, StoreError, UsageError
from cxlib.params.models import File, Params, Source, Workspace

NOW = datetime.now(UTC).replace(microsecond=0)
GONE, OTHER_ID, FRIEND = "C000001", "old-0001x", "C000002"
WORDS = "I waited three weeks for the blue lamp, says Mrs Example of Sample Street"
COMMON = "Everything was fine, thank you very much indeed"
PEOPLE = [f"C{n:06}" for n in range(1, 9)]


def lay_out(toy: Toy, more: int = 0) -> Toy:
    """Write the files of eight customers: the first has two ids, referred the second, and speaks."""
    regions = ("North", "South")
    customers = [
        f"{one},2026-01-0{n},{regions[n % 2]},A-{n},{GONE if n == 2 else ''}" for n, one in enumerate(PEOPLE, 1)
    ]
    customers += [f"{OTHER_ID},2025-12-01,North,A-1,", f"{GONE},2026-02-01,South,A-1,"]
    toy.put("customers", "\n".join(["customer_id,valid_from,region,account_id,referred_by", *customers, ""]))
    toy.put("identities", f"source_id,customer_id\n{OTHER_ID},{GONE}\n")
    toy.put("invitations", "\n".join(["invitation_id,customer_id,sent_at", *_each("i{n},{one},2026-0{m}-05"), ""]))
    said = {1: WORDS, 2: COMMON, 3: f"Please ask {GONE} or {GONE}; not X{GONE}", 4: WORDS + " and Mr too"}
    answers = [f'r{n},{one},2026-0{m}-1{n},nps,{n},"{said.get(n, "")}",' for n, one, m in _people()]
    answers += [f'r90,,2026-01-20,nps,9,"{COMMON}",i1', "r91,,2026-01-20,nps,8,,i2"]
    head = "response_id,customer_id,responded_at,instrument,score,comment,invitation_id"
    toy.put("responses", "\n".join([head, *answers, ""]))
    calls = [*_each("x{n},{one},2026-0{m}-07,call,a call of {one}"), f'x90,{OTHER_ID},2026-02-08,call,"{COMMON}"']
    toy.put("interactions", "\n".join(["interaction_id,customer_id,started_at,touchpoint,transcript", *calls, ""]))
    orders = [f"o{n},{one},2026-0{m}-03,{n + more}" for n, one, m in _people()]
    bad = [f"o80,{GONE},2026-01-03,much", f"o81,{FRIEND},2026-01-03,little", f"o82,{GONE},2026-01-03,1,2"]
    toy.put("orders", "\n".join(["order_id,customer_id,ordered_at,amount", *orders, *bad, ""]))
    toy.put("subscriptions", "\n".join(["customer_id,started_on", *_each("{one},2026-0{m}-01"), ""]))
    toy.put("exposures", "\n".join(["experiment,customer_id,variant,exposed_at", *_each("e,{one},a,2026-0{m}-01"), ""]))
    return toy.put("costs", "source,month,amount\nads,2026-01-01,5\n")


def _people() -> list[tuple[int, str, int]]:
    return [(n, one, 1 + n % 3) for n, one in enumerate(PEOPLE, 1)]


def _each(line: str) -> list[str]:
    return [line.format(n=n, one=one, m=m) for n, one, m in _people()]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A workspace of three snapshots, the first of them with other amounts, with a quarantine, sums and a report."""
    toy = Toy(tmp_path_factory.mktemp("built") / "w")
    for number, more in enumerate((0, 5)):
        lay_out(toy, more).ingest(now=NOW - timedelta(days=20 - number))
    toy.put("costs", "source,month,amount\nads,2026-01-01,6\n").ingest(now=NOW)
    (toy.root / "data" / "kept").mkdir()
    (toy.root / "data" / "kept" / "moments-1.sums").write_bytes(b"sums")
    report = toy.root / "reports" / "monthly" / "2026-01"
    report.mkdir(parents=True)
    (report / "index.html").write_text("<p>NPS 12, n 40</p>", encoding="utf-8")
    return toy.root


@pytest.fixture
def toy(built, tmp_path) -> Toy:
    """A copy of it for one test."""
    return Toy(Path(shutil.copytree(built, tmp_path / "l'été")))


def run(toy: Toy, *ids: str, **more) -> Erasure:
    asked = {"ids": ids or (GONE,), "now": NOW, "reports": toy.root / "reports"} | more
    return erase(toy.root, toy.params, **asked)


def store_of(toy: Toy) -> Path:
    return toy.root / "data" / "store"


def physical(toy: Toy) -> dict[str, dict[str, list[tuple]]]:
    """Return all rows of all snapshots as the files hold them, lineage included."""
    found: dict[str, dict[str, list[tuple]]] = {}
    for one in Ledger.read(store_of(toy)):
        found[one.id] = {}
        for name, version in one.tables.items():
            files = tables.pin(store_of(toy), name, version.version).files
            held = rewriting.relation(duckdb, files)
            rows = duckdb.sql(f"SELECT * EXCLUDE (_path) FROM {held}").fetchall() if held else []
            found[one.id][name] = sorted(rows, key=repr)
            assert len(rows) == version.rows
    return found


def everything(folder: Path) -> bytes:
    """Return the bytes of all files, Parquet and workbooks as their plain text."""
    parts = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        parts += list(searching._parts(path))
        if path.suffix == ".parquet":
            frame = duckdb.sql(f"SELECT * FROM read_parquet('{str(path).replace(chr(39), chr(39) * 2)}')").df()
            parts.append(frame.to_csv().encode())
    return b"\n".join(parts)


def theirs(row: tuple) -> bool:
    """Say whether a row is of the erased person: by an id, or by the invitation that it answers."""
    return bool({GONE, OTHER_ID} & set(row[:5])) or row[0] == "r90"


def test_a_person_goes_from_all_snapshots_and_everybody_else_stays_as_they_were(toy):
    before = physical(toy)
    done = run(toy)
    after = physical(toy)
    assert (done.people, done.ids, done.snapshots) == (1, 2, 3)
    assert done.rows == {
        "customers": 3, "invitations": 1, "responses": 2, "interactions": 2, "orders": 1, "subscriptions": 1,
        "exposures": 1, "identities": 1,
    }  # fmt: skip
    assert done.unnamed == {"customers": 1, "responses": 1}
    assert after.keys() == before.keys()  # snapshots keep their ids
    for id_, held in before.items():
        for name, rows in held.items():
            expected = [row for row in rows if not theirs(row)]
            if name == "customers":
                expected = [tuple(None if cell == GONE else cell for cell in row) for row in expected]
            if name == "responses":
                named, nameless = f"Please ask {GONE} or {GONE}", "Please ask [erased] or [erased]"
                plain = [tuple(c.replace(named, nameless) if isinstance(c, str) else c for c in r) for r in expected]
                expected = plain
            assert after[id_][name] == sorted(expected, key=repr), (id_, name)
    assert [one.rewritten[-1].why for one in Ledger.read(store_of(toy))] == ["people were erased"] * 3


def test_nothing_of_them_is_left_in_any_file_and_the_proof_says_so(toy):
    assert all(word in everything(toy.root / "data") for word in (GONE.encode(), OTHER_ID.encode(), WORDS.encode()))
    done = run(toy)
    left = everything(toy.root / "data")
    assert OTHER_ID.encode() not in left
    assert left.replace(f"X{GONE}".encode(), b"").count(GONE.encode()) == 0  # a longer word is another one's
    assert left.count(WORDS.encode()) == left.count((WORDS + " and Mr too").encode()) > 0
    assert COMMON.encode() in left  # a friend said the same
    assert done.proof is not None
    assert not done.proof.left
    assert done.proof.files > 50
    assert done.proof.values > 250
    assert not list((toy.root / "data" / "kept").glob("*"))
    assert not (toy.root / erased.JOURNALS).exists()
    assert not (toy.root / "data" / "scratch").exists()
    assert (toy.root / "reports" / "monthly" / "2026-01" / "index.html").is_file()


def test_the_log_says_how_much_and_never_who(toy):
    run(toy)
    (line,) = (store_of(toy) / erased.LOG).read_text(encoding="utf-8").splitlines()
    said = json.loads(line)
    assert said["rows"]["orders"] == 1
    assert said["snapshots"] == 3
    assert said["proof"]["found"] == 0
    assert said["people"] == sorted(said["people"], key=said["people"].index)
    assert len(said["people"]) == 2
    assert not any(one in line for one in (GONE, OTHER_ID, "lamp"))
    assert set(said["people"]) <= {path.name for path in (store_of(toy) / erased.FOLDER).iterdir()}
    assert said["when"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_any_of_their_ids_erases_them(toy):
    assert run(toy, OTHER_ID).rows == run_of_another(toy, GONE)


def run_of_another(toy: Toy, one: str) -> dict[str, int]:
    """Return what erasing by another id takes out of an equal workspace."""
    other = Toy(Path(shutil.copytree(toy.root, toy.root.parent / "other")))
    shutil.rmtree(other.root / "data")
    lay_out(other).ingest(now=NOW)
    return dict(run(other, one).rows)


def test_refused_rows_go_and_those_of_others_stay_mendable(toy):
    batch = sorted((toy.root / "data" / "quarantine").iterdir())[0]
    done = run(toy)
    assert set(done.refused.values()) == {2}  # of each batch, one that was refused and one that could not be read
    assert len(done.refused) == 3
    rows = duckdb.sql(
        f"SELECT customer_id FROM read_parquet('{str(batch / 'orders.parquet').replace(chr(39), chr(39) * 2)}')"
    )
    assert rows.fetchall() == [(FRIEND,)]
    book = batch / f"{batch.name}.xlsx"
    assert FRIEND.encode() in everything(batch)
    assert toy.ingest(mended=book, dry_run=True).tables["orders"].rows_in == 1


def test_an_export_cannot_bring_them_back_nor_put_them_aside(toy):
    run(toy)
    report = lay_out(toy, 9).ingest(now=NOW)
    kept_out = {(one.table, one.rows) for one in report.refusals if one.reason == "erased"}
    assert kept_out == {
        ("customers", 3), ("identities", 1), ("invitations", 1), ("responses", 2), ("interactions", 2), ("orders", 2),
        ("subscriptions", 1), ("exposures", 1),
    }  # fmt: skip
    assert report.tables["orders"].rejected == 3
    left = everything(toy.root / "data").replace(f"X{GONE}".encode(), b"")
    named = left.count(GONE.encode())
    assert OTHER_ID.encode() not in left
    assert (
        named == left.count(f"Please ask {GONE} or {GONE}".encode()) * 2
    )  # what a friend wrote comes back with the friend
    with toy.open() as store:
        customers = store.run(store.tables["customers"])
    assert customers["referred_by"].isna().all()


def test_an_unknown_id_changes_nothing(toy):
    before = {path: path.stat().st_mtime_ns for path in store_of(toy).rglob("*") if path.name != "writer.lock"}
    with pytest.raises(UsageError, match="1 of 2 ids are nobody's, the first: 'C999999'"):
        run(toy, GONE, "C999999")
    assert before == {path: path.stat().st_mtime_ns for path in store_of(toy).rglob("*") if path.name != "writer.lock"}
    with pytest.raises(UsageError, match="no customer is named"):
        erase(toy.root, toy.params, [" "])


def test_those_of_a_list_who_are_not_there_are_remembered_and_never_come(toy):
    """A backup was restored: it holds one of the list, and another joined after it was made."""
    said = run(toy, listed=[GONE, "C000077", "C000077 "], ids=(), dry_run=True)
    assert (said.people, said.absent) == (2, 1)
    assert not (store_of(toy) / erased.FOLDER).exists()
    done = run(toy, listed=[GONE, "C000077"], ids=())
    assert (done.people, done.absent, len(done.hashes)) == (2, 1, 3)
    assert done.rows["orders"] == 1
    assert erased.Erased(store_of(toy)).known([GONE, "C000077", "C000078"]) == [GONE, "C000077"]
    head = "order_id,customer_id,ordered_at,amount"
    toy.put("orders", f"{head}\no77,C000077,2026-01-01,7\no78,{FRIEND},2026-01-01,8\n").ingest(now=NOW)
    with toy.open() as store:
        assert "o77" not in set(store.run(store.tables["orders"])["order_id"])
        assert "o78" in set(store.run(store.tables["orders"])["order_id"])
    again = run(toy, listed=[GONE, "C000077"], ids=())
    assert (again.absent, again.again) == (0, True)
    with pytest.raises(UsageError, match="1 of 1 ids are nobody's, the first: 'C000088'"):
        run(toy, "C000088", listed=["C000088", FRIEND])


def test_a_list_of_people_who_are_not_there_is_remembered_too(toy):
    before = Ledger.read(store_of(toy))
    assert run(toy, listed=["C000077", "C000078"], ids=()).absent == 2
    assert Ledger.read(store_of(toy)) == before
    assert erased.Erased(store_of(toy)).known(["C000078"]) == ["C000078"]


def test_a_dry_run_says_the_same_and_changes_nothing(toy):
    before = everything(toy.root)
    said = run(toy, dry_run=True)
    assert everything(toy.root) == before
    done = run(toy)
    assert (said.rows, said.older, said.unnamed, said.snapshots, said.refused) == (
        done.rows, done.older, done.unnamed, done.snapshots, done.refused,
    )  # fmt: skip
    assert said.proof is None


def test_somebody_who_is_in_older_snapshots_or_in_the_quarantine_alone_is_known(toy):
    keys = "SELECT order_id FROM orders WHERE order_id = 'o3'"
    lay_out(toy)
    (toy.sql / "orders.delete.sql").write_text(keys, encoding="utf-8")
    toy.ingest(now=NOW, despite_limits=True)
    done = run(toy, "C000003")
    assert "orders" not in done.rows
    assert done.older == {"orders": 1}
    toy.put("orders", "order_id,customer_id,ordered_at,amount\no99,N0BODY7,2026-01-01,x\n").ingest(now=NOW)
    assert sum(run(toy, "N0BODY7").refused.values()) == 1


def test_erased_again_it_proves_anew(toy):
    run(toy)
    state = Ledger.read(store_of(toy))
    again = run(toy)
    assert again.again
    assert not again.rows
    assert again.proof is not None
    assert not again.proof.left
    assert Ledger.read(store_of(toy)) == state
    assert len((store_of(toy) / erased.LOG).read_text(encoding="utf-8").splitlines()) == 2


def test_what_others_keep_of_them_is_found_and_told(toy):
    page = toy.root / "reports" / "monthly" / "2026-01" / "index.html"
    page.write_text(f"<q>{WORDS}</q>", encoding="utf-8")
    note = toy.root / "data" / "notes.csv"
    note.write_text(f"call back,{GONE}\n", encoding="utf-8")
    done = run(toy)
    assert done.proof is not None
    assert set(done.proof.left) == {"data/notes.csv", "reports/monthly/2026-01/index.html"}
    page.write_text("<p>nothing</p>", encoding="utf-8")
    note.unlink()
    again = run(toy)  # the journal still knows their words
    assert again.proof is not None
    assert not again.proof.left
    assert not (toy.root / erased.JOURNALS).exists()


def test_exports_that_still_hold_them_are_named_and_left_alone(toy):
    raw = toy.root / "data" / "raw" / "toy"
    raw.mkdir(parents=True)
    shutil.copy(toy.raw / "orders.csv", raw)
    (raw / "costs.csv").write_text("source,month,amount\n", encoding="utf-8")
    done = run(toy)
    assert done.raw == ("data/raw/toy/orders.csv",)
    assert not done.proof.left
    assert GONE in (raw / "orders.csv").read_text(encoding="utf-8")


def test_a_writer_at_work_is_waited_for_by_nobody(toy):
    with writer_lock(store_of(toy)), pytest.raises(BusyError, match="another process"):
        run(toy)


def test_a_full_disk_leaves_the_old_state(toy, monkeypatch):
    before = physical(toy)
    files = set(store_of(toy).rglob("*.parquet"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cxlib.data.ledger._write", full)
        with pytest.raises(StoreError, match="is full"):
            run(toy)
    assert physical(toy) == before
    assert not erased.Erased(store_of(toy)).known([GONE, OTHER_ID])
    assert set(store_of(toy).rglob("*.parquet")) == files
    assert not (toy.root / erased.JOURNALS).exists()
    with monkeypatch.context() as patch:
        patch.setattr(tables, "place", full)
        with pytest.raises(StoreError, match="is full"):
            run(toy)
    assert physical(toy) == before
    assert not run(toy).proof.left


def test_a_reader_who_had_opened_the_files_is_told_what_happened(toy):
    with toy.open() as store:
        orders = store.tables["orders"]
        run(toy)
        with pytest.raises(StoreError, match="was taken out of snapshot 0003"):
            store.run(orders)


def test_the_store_takes_in_and_compacts_afterwards_as_ever(toy):
    run(toy)
    held = physical(toy)
    made = lay_out(toy, 7).ingest(now=NOW + timedelta(days=1))
    assert made.changed
    after = physical(toy)
    assert {id_: after[id_] for id_ in held} == held
    compact(toy.root, "data/store", retention_days=1, now=NOW + timedelta(days=500))
    with toy.open() as store:
        assert store.snapshot.id == made.snapshot_id
        assert len(store.run(store.tables["orders"])) == 7
    assert not run(toy).proof.left


def test_versions_of_other_columns_are_rewritten_each_with_its_own(tmp_path):
    toy = Toy(tmp_path)
    toy.put("customers", "customer_id,valid_from\nC000001,2026-01-01\nC000002,2026-01-02\n").ingest(now=NOW)
    toy.attributes = {"shoe": "text"}
    toy.put("customers", "customer_id,valid_from,shoe\nC000001,2026-01-01,a\nC000002,2026-01-02,b\n").ingest(now=NOW)
    toy.attributes = {}
    toy.put("customers", "customer_id,valid_from\nC000001,2026-01-03\nC000002,2026-01-02\n").ingest(now=NOW)
    run(toy)
    held = physical(toy)
    assert [len(one["customers"]) for one in held.values()] == [1, 1, 1]
    shapes = []
    for one in Ledger.read(store_of(toy)):
        with toy.open(as_of=one.id) as store:
            shapes.append("shoe" in store.tables["customers"].columns)
    assert shapes == [False, True, False]


def test_numbers_that_could_be_anything_are_looked_for_where_customers_are_named(tmp_path):
    toy = Toy(tmp_path).put("customers", "customer_id,valid_from,region\n42,2026-01-01,42\n7,2026-01-01,42\n")
    toy.put("orders", "order_id,customer_id,ordered_at,amount\n42,7,2026-01-01,42\n43,42,2026-01-01,42\n").ingest(
        now=NOW
    )
    done = run(toy, "42")
    assert done.rows == {"customers": 1, "orders": 1}
    assert not done.proof.left
    assert toy.rows("orders", "order_id", "customer_id") == [("42", "7")]


@pytest.mark.parametrize(
    ("one", "is_telling"),
    [
        ("42", False),
        ("123456", False),
        ("123456789", True),
        ("C000001", True),
        ("ab12", False),
        ("mary@a.example", True),
    ],
)
def test_ids_that_are_no_other_word(one, is_telling):
    assert searching.telling(one) == is_telling


@pytest.mark.parametrize("kind", ["plain", "gz", "zip", "json", "html", "pdf", "parquet"])
def test_a_file_is_read_as_what_it_is(tmp_path, kind):
    import gzip
    import zipfile
    import zlib

    words = 'She said "nothing works & nobody calls" für immer'
    path = tmp_path / f"file.{kind}"
    text = {"json": json.dumps([words]), "html": f"<p>{words.replace('&', '&amp;').replace(chr(34), '&quot;')}</p>"}
    content = f"{text.get(kind, words)}\n".encode()
    if kind == "gz":
        path.write_bytes(gzip.compress(content))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", content)
    elif kind == "pdf":
        path.write_bytes(b"%PDF-1.7\nstream\n" + zlib.compress(content) + b"\nendstream")
    elif kind == "parquet":
        duckdb.execute("CREATE OR REPLACE TEMP TABLE t AS SELECT ? AS said", [words])
        duckdb.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    else:
        path.write_bytes(content)
    found, other = searching.Search(), searching.Search()
    proof._look(duckdb, path, searching.Wanted(("C000001",), (words,)), found)
    proof._look(duckdb, path, searching.Wanted(("C000001",), ("nothing works & nobody calls",)), other)
    assert found.found == {str(path): 1}
    assert kind != "parquet" or not other.found


def test_who_asks_for_a_published_number_again_is_told_why_it_differs(toy):
    first = Ledger.read(store_of(toy))[0]
    names = {Path(f).name for f in tables.pin(store_of(toy), "orders", first.tables["orders"].version).files}
    run(toy)
    second = Ledger.read(store_of(toy))[0]
    new = {Path(f).name for f in tables.pin(store_of(toy), "orders", second.tables["orders"].version).files}
    assert names != new
    assert {tables.origin(one) for one in new} == {tables.origin(one) for one in names}  # made of the same


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and fork are of POSIX")
def test_killed_at_any_moment_it_is_the_old_store_or_the_new_and_the_next_finishes(tmp_path, replicates):
    from test_data_crash import check_deaths

    drive("build", root=str(tmp_path / "base"), snapshots=2)
    check_deaths(tmp_path / "base", "erase", times=replicates(6, 100), events=replicates(6, 40))


def test_a_key_that_is_lost_is_told_and_not_made_anew(toy):
    run(toy)
    (store_of(toy) / erased.FOLDER / "key").unlink()
    with pytest.raises(StoreError, match="the key of the people who were erased"):
        toy.ingest()


def test_ids_of_several_people_go_at_once(toy):
    done = run(toy, GONE, FRIEND, GONE)
    assert (done.people, done.ids) == (2, 3)
    with Store.open(toy.root) as store:
        assert set(store.run(store.tables["customers"])["customer_id"]) == set(PEOPLE) - {GONE, FRIEND}
    assert (store_of(toy) / LEDGER).is_file()


def test_a_source_elsewhere_is_an_export_too(toy):
    folder = toy.root / "data" / "exports"
    folder.mkdir()
    (folder / "orders.csv").write_text(f"order_id,customer_id\no1,{GONE}\n", encoding="utf-8")
    source = Source(id="far", title="Far", licence="none", folder="data/exports", files={"orders": File(path="*.csv")})
    params = Params(workspace=Workspace(company="Toy"), sources={"far": source})
    done = erase(toy.root, params, [GONE], now=NOW)
    assert done.raw == ("data/exports/orders.csv",)
    assert not done.proof.left


def test_labels_of_what_they_wrote_go_and_are_proved_to(toy):
    path = toy.root / labelled.AUDITS / "1.csv"
    path.parent.mkdir()
    theirs = "r1,yes\nr90,no\nx1,no\nx90,yes\nr1,no\n"  # r90 answers an invitation of theirs
    path.write_text(f"response_id,late\n{theirs}r11,yes\nr2,yes\n", encoding="utf-8")
    (path.parent / "2.csv").write_text("response_id,late\nr2,yes\n", encoding="utf-8")
    said = run(toy, dry_run=True)
    assert said.labels == {"data/audits/1.csv": 5}
    assert "r90" in path.read_text(encoding="utf-8")
    done = run(toy)
    assert done.labels == said.labels
    assert not done.proof.left
    assert path.read_text(encoding="utf-8") == "response_id,late\nr11,yes\nr2,yes\n"
    assert json.loads((store_of(toy) / erased.LOG).read_text(encoding="utf-8"))["labels"] == 5
    assert "erased from the labels in data/audits/1.csv: 5 rows" in list(told(done))
    assert run(toy).labels == {}


def test_an_erasing_that_is_cut_off_before_the_labels_finishes_them(toy, monkeypatch):
    path = toy.root / labelled.AUDITS / "1.csv"
    path.parent.mkdir()
    path.write_text("response_id,late\nx90,yes\nr2,yes\n", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(labelled, "take_out", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(toy)
    assert "x90" in path.read_text(encoding="utf-8")
    done = run(toy)
    assert done.labels == {"data/audits/1.csv": 1}
    assert not done.proof.left
    assert path.read_text(encoding="utf-8") == "response_id,late\nr2,yes\n"
    assert not (toy.root / erased.JOURNALS).exists()


def test_labels_that_cannot_be_taken_out_are_found_by_the_proof(toy):
    lay_out(toy)
    key = "case-000090"
    head = "interaction_id,customer_id,started_at,touchpoint,transcript"
    toy.put("interactions", f"{head}\n{key},{GONE},2026-02-08,call,never mind\n").ingest(now=NOW)
    path = toy.root / labelled.AUDITS / "1.csv"
    path.parent.mkdir()
    path.write_text(f'response_id,late\nr2,"yes\n{key},no\n', encoding="utf-8")  # a quotation mark that does not end
    (path.parent / "2.csv").write_text("late\nyes\n", encoding="utf-8")
    for _ in range(2):  # the journal keeps in mind what is looked for
        done = run(toy)
        assert done.proof.left == {"data/audits/1.csv": 1}
        assert done.proof.unread == ("data/audits/1.csv", "data/audits/2.csv")
    path.write_text("response_id,late\nr2,yes\n", encoding="utf-8")
    assert not run(toy).proof.left
