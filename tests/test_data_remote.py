"""A store at a URL does what a folder does: against a real S3 server in a process of its own.

The outside reference is the store in a folder: the same ingests must make the same snapshots and the same rows.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from deltalake.exceptions import CommitFailedError, DeltaError
from intake_workspace import CUSTOMERS, Toy
from object_store import BUCKET, Far, Server, at_step, serve

from cxlib.cli import main
from cxlib.contract import TABLES
from cxlib.data import cache, places, remote, tables
from cxlib.data.compact import compact
from cxlib.data.erasing import erase
from cxlib.data.ledger import Ledger, writer_lock
from cxlib.errors import CxError, StoreError
from tests.conftest import ROOT

HEAD = "order_id,customer_id,ordered_at,amount\n"
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
LINES = {  # batches of one order a month: added, corrected, late, moved to another month
    1: "o1,c1,2026-01-05,1\no2,c2,2026-02-05,1\n",
    2: "o1,c1,2026-01-05,2\no3,c1,2026-04-05,1\n",
    3: "o2,c2,2026-03-05,1\no4,c2,2026-01-07,4\no5,nobody,2026-01-07,4\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(autouse=True)
def near(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket, an empty cache, and an environment that leads to both."""
    server.empty()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CX_CACHE", str(tmp_path / "cache"))


def put(toy: Toy, batch: int) -> Toy:
    return toy.put("customers", CUSTOMERS).put("orders", HEAD + LINES[batch])


def filled(root: Path, **more: str) -> Far:
    """A workspace with three snapshots at the URL."""
    toy = Far(root, **more)
    for batch in LINES:
        put(toy, batch).ingest(now=FIRST + timedelta(days=batch))
    return toy


def ids(toy: Far) -> list[str]:
    return [one.id for one in Ledger.read(toy.store)]


def drive(job: str, **more: Any) -> list[dict[str, Any]]:
    """Run a job of `remote_driver` in a process of its own; return what it said."""
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join(map(str, (here, here.parent)))
    done = subprocess.run(
        [sys.executable, str(here / "remote_driver.py"), json.dumps({"job": job} | more)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def objects(toy: Far, folder: str = "") -> set[str]:
    return set(places.walk(toy.store, folder))


# The whole round.


def test_the_same_ingests_make_the_same_snapshots_and_rows_as_in_a_folder(tmp_path):
    far, folder = filled(tmp_path / "far"), Toy(tmp_path / "folder")
    for batch in LINES:
        put(folder, batch).ingest(now=FIRST + timedelta(days=batch))
    for toy in (far, folder):
        assert toy.ingest(now=FIRST + timedelta(days=9)).changed is False
        toy.put("customers", CUSTOMERS + "c3,2026-03-01,North\n").ingest(now=FIRST + timedelta(days=10))
        toy.drop("customers").ingest(now=FIRST + timedelta(days=11), anew=True)
    there = Ledger.read(folder.root / "data" / "store")
    assert [(one.id, one.created_at, one.batches) for one in Ledger.read(far.store)] == [
        (one.id, one.created_at, one.batches) for one in there
    ]
    for one in there:
        for table in one.tables:
            assert far.rows(table, as_of=one.id) == folder.rows(table, as_of=one.id)
    assert far.rows("orders", as_of="2026-10-02") == folder.rows("orders", as_of="0001") != far.rows("orders")
    span = datetime(2026, 1, 1), datetime(2026, 2, 1)
    with far.open() as a, folder.open() as b:
        assert a.sources(*span) == b.sources(*span) == {"toy": 2}
        assert a.latest() == b.latest()
    assert not (far.root / "data" / "store").exists()


def test_one_object_a_snapshot_is_all_that_the_ledger_is(tmp_path):
    toy = filled(tmp_path)
    assert objects(toy, "snapshots") == {"snapshots/put-if-absent", *(f"snapshots/000{n}.json" for n in (1, 2, 3))}
    assert {name.split("/")[0] for name in objects(toy)} == {"snapshots", "customers", "orders"}
    assert [one for one in objects(toy) if "_month=2026-01/v" in one]  # as in a folder: any tool finds its way


def test_the_commands_work_at_a_url(demo_workspace, tmp_path, monkeypatch):
    from tests.conftest import copy_workspace

    root = copy_workspace(tmp_path / "far")
    path = root / "params" / "workspace.yml"
    text = path.read_text(encoding="utf-8")
    assert "store: data/store\n" in text
    path.write_text(text.replace("store: data/store\n", f"store: s3://{BUCKET}/demo\n"), encoding="utf-8")
    monkeypatch.chdir(root)

    def cx(*words: str) -> str:
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    here, there = Ledger.read(demo_workspace / "data" / "store"), root / "data" / "store"
    cx("demo", "--customers", "400")
    assert "stands already" in cx("demo", "--customers", "400")
    assert here[0].id in cx("snapshots")
    assert f"batch {here[0].batch.id}" in cx("snapshots", here[0].id)
    assert f"the store is at snapshot {here[0].id}" in cx("ingest", "demo")
    assert "nothing to remove" in cx("compact", "--dry-run")
    assert "nothing to remove" in cx("compact")
    assert not there.exists()
    same_numbers(demo_workspace, root)


def same_numbers(here: Path, there: Path) -> None:
    """See that a plan gives the same numbers from both stores."""
    from cxlib import params
    from cxlib.measure import plans
    from cxlib.periods import Period
    from cxlib.reports.context import open_store

    found = []
    for root in (here, there):
        about = params.load(root)
        with open_store(root, about, "") as store:
            asked = plans.plan(
                about.metrics["nps"], store.tables, [Period.parse("2026-10")], timezone="Europe/Madrid",
                segments=[about.segments["region"]], touchpoints=about.touchpoints,
            )  # fmt: skip
            found.append(store.run(asked))
    assert len(found[0]) > 1
    assert found[0].equals(found[1])


# Two writers.


@pytest.mark.slow
def test_whoever_comes_too_late_is_told_and_nothing_of_it_is_seen(tmp_path, monkeypatch, replicates):
    """A second writer in another workspace does all its work before a step of the first, one step after another."""
    ends: dict[int, str] = {}
    for nth in range(1, 1_000, replicates(9, 1)):
        first, second = (Far(tmp_path / f"{who}{nth}", f"s3://{BUCKET}/at-{nth}") for who in ("first", "second"))
        put(first, 1).ingest(now=FIRST)
        put(first, 2)
        put(second, 3)
        with monkeypatch.context() as patch:
            made = at_step(patch.setattr, lambda toy=second: toy.ingest(now=FIRST) and None, nth)
            ends[nth] = told(first)
        if len(made) < nth:
            break
        ended_well(first, second, ends[nth], tmp_path / "want")
    assert {"", "late"} == set(ends.values())
    assert max(ends) > 15


def told(toy: Far) -> str:
    """Ingest; return whether it came too late, as it says itself."""
    try:
        toy.ingest(now=FIRST)
    except StoreError as error:
        late = "another process has written to s3://" in error.message
        return "late" if late and "The store is at snapshot 0002-" in error.hint else str(error)
    return ""


def ended_well(first: Far, second: Far, end: str, want: Path) -> None:
    """See that the store holds what either of the two has brought, and both after the late one's second try."""
    assert second.content() == expected(want, first_is_in=not end)
    first.ingest(now=FIRST)
    assert first.content() == expected(want, first_is_in=True)
    assert len(ids(first)) == 3


def expected(root: Path, *, first_is_in: bool) -> dict[str, list[tuple]]:
    """Return what a folder holds after batch 1, then 3, then perhaps 2."""
    toy = Toy(root / str(first_is_in))
    if not (toy.root / "data").exists():
        for batch in (1, 3, *([2] * first_is_in)):
            put(toy, batch).ingest(now=FIRST)
    return toy.content()


@pytest.mark.slow
def test_a_compact_may_come_at_any_step_of_an_ingest(tmp_path, monkeypatch, replicates):
    """What it removes is older than a day; here nothing is, but snapshots go, and checkpoints come."""
    want = expected(tmp_path / "want", first_is_in=True)
    for nth in range(1, 1_000, replicates(14, 1)):
        toy, other = (Far(tmp_path / f"{who}{nth}", f"s3://{BUCKET}/at-{nth}") for who in ("one", "other"))
        for batch in (1, 3):
            put(toy, batch).ingest(now=FIRST + timedelta(days=batch))
        before = {name for name in objects(toy) if name.endswith(".parquet")}
        with monkeypatch.context() as patch:
            made = at_step(patch.setattr, lambda toy=other: compact(toy.root, toy.url, retention_days=1) and None, nth)
            put(toy, 2).ingest(now=FIRST + timedelta(days=5))
        assert toy.content() == want
        assert before <= objects(toy)
        kept = [one.dropped is None for one in Ledger.read(toy.store)]
        assert kept in ([[True, True, True]] if len(made) < nth else [[False, True, True], [False, False, True]])
        if len(made) < nth:
            break


def test_ingests_that_start_together_are_all_in_after_retries(tmp_path):
    *writers, reader = drive("race", root=str(tmp_path), url=f"s3://{BUCKET}/race", writers=4)
    assert sorted(one["made"] for one in writers) == reader["ids"]
    assert len(set(reader["ids"])) == 4
    late = [message for one in writers for message in one["refused"]]
    assert late, "nobody met"
    assert all("another process has written to s3://" in message for message in late)
    assert [reader["content"].count(f"'ads {number}'") for number in range(4)] == [2] * 4


def test_two_ingests_of_one_workspace_do_not_meet(tmp_path):
    toy = put(Far(tmp_path), 1)
    with writer_lock(toy.store), pytest.raises(StoreError, match=rf"another process \(pid {os.getpid()}, since"):
        toy.ingest()


def test_a_first_ingest_that_is_overtaken_makes_no_second_snapshot(tmp_path, monkeypatch):
    one, two = put(Far(tmp_path / "one"), 1), put(Far(tmp_path / "two"), 3)
    progress = iter([lambda: two.ingest(now=FIRST)])
    with pytest.raises(StoreError, match="another process has written"):
        one.ingest(progress=lambda words: "writing" in words and next(progress, lambda: None)())
    assert len(ids(two)) == 1


def test_delta_makes_no_commit_upon_one_that_it_has_not_seen(tmp_path):
    """By default it would: where two touch no month in common, the second's version would hold the first's rows."""
    toy = put(Far(tmp_path), 1)
    toy.ingest()
    one, two = (tables.open_delta(toy.store, "orders") for _ in "ab")
    for month, delta in (("2026-01", one), ("2026-02", two)):
        with pytest.raises(CommitFailedError) if delta is two else nullcontext():
            tables._commit(toy.store, TABLES["orders"], delta, {month: []}, [])
    assert tables.open_delta(toy.store, "orders").version() == 1


def test_a_store_that_overwrites_what_must_be_absent_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(remote.Remote, "create", lambda self, name, content: True)
    with pytest.raises(StoreError, match="overwrites objects that were to be put where none is"):
        put(Far(tmp_path), 1).ingest()


class Listener(BaseHTTPRequestHandler):
    """Write down what is asked, and have nothing."""

    asked: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        condition = self.headers.get("If-None-Match") or self.headers.get("x-goog-if-generation-match") or ""
        self.asked.append((self.command, unquote(self.path), condition))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("url", "condition"), [("az://box/x/store", "*"), ("abfss://box@toy.dfs.core.windows.net/x/store", "*"),
                           ("gs://box/x/store", "0")],
)  # fmt: skip
def test_azure_and_google_are_asked_for_the_same_objects_by_both_libraries(tmp_path, monkeypatch, url, condition):
    """No server of theirs is at hand: what goes over the wire is held against their documentation."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{listener.server_port}"
        key = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": ""}
        (tmp_path / "key.json").write_text(json.dumps(key | {"private_key_id": ""}), encoding="utf-8")
        for name, value in (
            ("AZURE_STORAGE_ACCOUNT_NAME", "toy"), ("AZURE_STORAGE_ENDPOINT", address),
            ("AZURE_SKIP_SIGNATURE", "true"), ("AZURE_ALLOW_HTTP", "true"),
            ("GOOGLE_SERVICE_ACCOUNT", str(tmp_path / "key.json")),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        store = Far(tmp_path, url).store
        Listener.asked.clear()
        with pytest.raises(StoreError):
            store.create("snapshots/0001.json", b"{}")
        assert Listener.asked == [("PUT", "/box/x/store/snapshots/0001.json", condition)]
        Listener.asked.clear()
        with pytest.raises((OSError, DeltaError)):
            tables.open_delta(store, "orders")
        assert ("GET", "/box/x/store/orders/_delta_log/_last_checkpoint", "") in Listener.asked
        with pytest.raises(StoreError, match="there is no such bucket"):
            store.list()
        listener.shutdown()


def test_a_put_whose_answer_was_lost_knows_its_own(tmp_path):
    store = Far(tmp_path).store
    assert store.create("a", b"mine")
    assert store.create("a", b"mine")  # as a retry does
    assert not store.create("a", b"yours")


# Death.


@pytest.mark.slow
def test_an_ingest_killed_at_any_step_leaves_nothing_to_be_seen(tmp_path, replicates):
    toy, folder = put(Far(tmp_path / "far"), 1), Toy(tmp_path / "folder")
    toy.ingest(now=FIRST)
    before = toy.content()
    put(toy, 2)
    said = drive("kill_ingest", root=str(toy.root), url=toy.url, stride=replicates(5, 1))
    for batch in (1, 2):
        put(folder, batch).ingest(now=FIRST)
    assert [one["killed"] for one in said] == [True] * (len(said) - 1) + [False]
    assert len(said) > 5
    seen = [one["content"] for one in said]
    new = seen.index(repr(folder.content()))
    assert set(seen[:new]) == {repr(before)}
    assert set(seen[new:]) == {repr(folder.content())}
    report = compact(toy.root, toy.url, retention_days=1, now=FIRST + timedelta(days=400), keep=set(ids(toy)))
    assert set(report.removed) == {"orders"}  # what the killed ones had put there
    assert repr(toy.content()) == seen[-1]
    toy.put("orders", HEAD + LINES[3]).ingest()
    folder.put("orders", HEAD + LINES[3]).ingest()
    assert toy.content() == folder.content()


# Compacting.


def test_compacting_drops_old_snapshots_and_their_objects_and_nothing_else(tmp_path):
    toy = filled(tmp_path)
    kept, now = toy.content(), datetime.now(UTC) + timedelta(days=100)
    first, *_, last = ids(toy)
    held = {name: toy.rows(name, as_of=first) for name in ("customers", "orders")}
    before = objects(toy)
    assert compact(toy.root, toy.url, retention_days=30, now=now, dry_run=True, keep={first}).removed.keys() == {
        "orders"
    }
    assert objects(toy) == before
    report = compact(toy.root, toy.url, retention_days=30, now=now, keep={first})
    assert (list(report.dropped), list(report.kept)) == ([ids(toy)[1]], [first, last])
    assert toy.content() == kept
    assert {name: toy.rows(name, as_of=first) for name in held} == held
    with pytest.raises(StoreError, match="was compacted away"):
        toy.open(as_of=ids(toy)[1])
    pinned = {
        f"orders/{one}" for id_ in (first, last)
        for one in tables.names(tables.open_delta(toy.store, "orders", version_of(toy, id_)))
    }  # fmt: skip
    assert {name for name in objects(toy, "orders") if name.endswith(".parquet")} == pinned
    toy.put("orders", HEAD + "o9,c1,2026-02-01,9\n").ingest(now=FIRST + timedelta(days=20))
    assert len(toy.rows("orders")) == len(kept["orders"]) + 1


def version_of(toy: Far, id_: str) -> int:
    return Ledger.find(toy.store, id_).tables["orders"].version


def test_what_was_put_there_within_a_day_stays_for_its_writer(tmp_path):
    toy = filled(tmp_path)
    soon = datetime.now(UTC) + timedelta(hours=23)
    before = {name for name in objects(toy) if name.endswith(".parquet")}
    Ledger.drop(toy.store, {ids(toy)[0]: "for a test"}, now=FIRST)
    assert compact(toy.root, toy.url, retention_days=1, now=soon).removed == {}
    assert {name for name in objects(toy) if name.endswith(".parquet")} == before
    assert compact(toy.root, toy.url, retention_days=1, now=soon + timedelta(hours=2)).removed["orders"].files > 0


@pytest.mark.slow
def test_a_long_log_gets_checkpoints_and_is_cut(tmp_path):
    """One comes every ten versions, as each commit before it costs a reader two requests."""
    toy = Far(tmp_path)
    for day in range(12):
        toy.put("costs", f"source,month,amount\nads,2026-01-01,{day}\n").ingest(now=FIRST + timedelta(days=day))
    assert [toy.rows("costs", "amount", as_of=f"{n:04}") for n in (1, 10, 11, 12)] == [[(n,)] for n in (0, 9, 10, 11)]
    compact(toy.root, toy.url, retention_days=1, now=datetime.now(UTC) + timedelta(days=300))
    log = sorted(name.rpartition("/")[2] for name in objects(toy, "costs/_delta_log"))
    assert log[:2] == [f"{10:020}.checkpoint.parquet", f"{10:020}.json"]
    assert toy.rows("costs", "amount") == [(11,)]
    toy.put("costs", "source,month,amount\nads,2026-01-01,99\n").ingest()
    assert toy.rows("costs", "amount") == [(99,)]


# The cache.


def test_files_are_fetched_once_and_only_those_that_are_asked_for(tmp_path, monkeypatch):
    toy = filled(tmp_path / "far")
    monkeypatch.setenv("CX_CACHE", str(tmp_path / "another machine"))
    fetched: list[str] = []
    keep = cache.Cache.keep
    monkeypatch.setattr(cache.Cache, "keep", lambda self, name, *rest: (fetched.append(name), keep(self, name, *rest)))
    with toy.open() as store:
        assert [name for name in fetched if "snapshots/" not in name] == []
        store.sources(datetime(2026, 1, 1), datetime(2026, 1, 31))
        assert {name.split("/")[1] for name in fetched if name.startswith("orders/")} == {"_month=2026-01"}
    toy.rows("orders")
    assert len(fetched) == len(set(fetched))
    before = len(fetched)
    toy.content()
    assert {name.split("/")[0] for name in fetched[before:]} == {"customers"}
    toy.content()
    with monkeypatch.context() as patch:
        patch.setattr(remote.Remote, "_carrying", None)  # a second reader needs no request for a file
        toy.content()


def test_a_copy_that_made_room_for_others_comes_back(tmp_path):
    toy = filled(tmp_path)
    want = toy.rows("orders")
    with toy.open() as store:
        table = store.tables["orders"]
        first = store.run(table)
        for path in (tmp_path / "cache").rglob("orders/**/*.parquet"):
            path.unlink()
        assert store.run(table).equals(first)
    for path in (tmp_path / "cache").rglob("*.parquet"):  # cut off, as by a power loss
        path.write_bytes(path.read_bytes()[:100])
    assert toy.rows("orders") == want


def test_sql_reaches_the_copies_of_this_store_and_no_other_file(tmp_path):
    toy = filled(tmp_path)
    other = Far(tmp_path / "other", f"s3://{BUCKET}/other")
    put(other, 1).ingest()
    (theirs, *_) = other.store.cache.folder.rglob("orders/**/*.parquet")
    with toy.open() as store, pytest.raises(Exception, match="disabled by configuration"):
        store._connection.raw_sql(f"FROM read_parquet('{theirs}')")


def test_the_cache_is_bounded_and_private(tmp_path, monkeypatch):
    shelf = cache.Cache("somewhere")
    for number in range(5):
        shelf.keep(f"t/{number}", [b"x" * 500] * 2, 1000)
    used = [shelf.path(f"t/{number}") for number in range(5)]
    day = time.time() - 86_400
    for number, path in enumerate(used[:4]):
        os.utime(path, (day + number, day + number))
    draft = shelf.folder / "t" / ".dead.part"
    draft.write_bytes(b"x" * 10)
    os.utime(draft, (day, day))
    monkeypatch.setenv("CX_CACHE_GB", "0.0000025")
    assert shelf.holds("t/1", 1000)  # used just now
    shelf.trim()
    assert [path.exists() for path in used] == [False, True, False, False, True]
    assert not draft.exists()
    os.utime(used[1], (day - 40 * 86_400,) * 2)
    monkeypatch.setenv("CX_CACHE_GB", "1")
    shelf.trim()
    assert not used[1].exists()
    assert shelf.root.stat().st_mode & 0o077 == 0
    for name in ("../a", "/etc/passwd", "a/../../b", ""):
        with pytest.raises(StoreError, match="is no name of a file"):
            shelf.path(name)
    shelf.root.chmod(0o755)
    with pytest.raises(StoreError, match="others can read the cache"):
        cache.Cache("somewhere")
    monkeypatch.setenv("CX_CACHE_GB", "lots")
    with pytest.raises(StoreError, match="CX_CACHE_GB is 'lots'"):
        shelf.trim()


# What goes wrong.


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        ({"url": "s3://nobody-made-it/x"}, "there is no such bucket", "Make the bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "it cannot be reached", "AWS_ENDPOINT_URL"),
        ({"AWS_ALLOW_HTTP": ""}, "its endpoint is plain http", "AWS_ALLOW_HTTP=true"),
        ({"keys": "checked"}, "the credentials are refused", "AWS_ACCESS_KEY_ID"),
    ],
    ids=["bucket", "endpoint", "http", "keys"],
)
def test_what_is_wrong_is_said_within_seconds(tmp_path, monkeypatch, server, change, said, hint):
    toy = put(Far(tmp_path), 1)
    toy.ingest()
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    toy.url = change.get("url", toy.url)
    with server.strict() if "keys" in change else monkeypatch.context():
        for deed in (toy.ingest, toy.open, lambda: compact(toy.root, toy.url, retention_days=1)):
            start = time.monotonic()
            with pytest.raises(CxError) as caught:
                deed()
            assert caught.value.message == f"the store {toy.url} cannot be used: {said}"
            assert hint in caught.value.hint
            assert time.monotonic() - start < 5


def test_a_server_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_ANSWER", "1s")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StoreError, match="it cannot be reached"):
            Far(tmp_path).open()


def test_an_object_that_is_gone_is_named(tmp_path):
    toy = filled(tmp_path)
    (lost,) = [name for name in objects(toy, "orders") if "_month=2026-04/v" in name]
    assert list(toy.store.remove([lost])) == []
    with toy.open() as store, pytest.raises(StoreError, match=f"{lost} is missing in the store"):
        store.tables["orders"]
    with pytest.raises(StoreError, match="1 files of kept snapshots are missing"):
        compact(toy.root, toy.url, retention_days=1)


@pytest.mark.parametrize("content", [b"{", b'{"format": 9}', b"[]"])
def test_a_damaged_ledger_is_told(tmp_path, content):
    toy = filled(tmp_path)
    assert list(toy.store.remove(["snapshots/0002.json"])) == []
    with pytest.raises(StoreError, match="snapshot 0002 is missing"):
        ids(toy)
    assert toy.store.create("snapshots/0002.json", content)
    with pytest.raises(StoreError, match=r"is damaged|is not of format 1"):
        ids(toy)


def test_without_obstore_the_hint_says_what_to_install(tmp_path, monkeypatch):
    for name in ("obstore", "obstore.store", "obstore.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StoreError, match="the package obstore is missing") as caught:
        put(Far(tmp_path), 1).ingest()
    assert "cxlib[remote]" in caught.value.hint


def test_a_forked_child_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_users", {os.getpid() + 1})
    with pytest.raises(StoreError, match="was forked from one that had used s3://"):
        Far(tmp_path).open()


def test_the_command_line_prints_no_traceback(tmp_path, monkeypatch):
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "workspace.yml").write_text(f"company: Toy\nstore: s3://{BUCKET}/x\n", encoding="utf-8")
    paths = {"PYTHONPATH": str(ROOT), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "cxlib.cli", "snapshots"],
        cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (5, "")
    assert "it cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_people_are_erased_at_a_url_and_from_copies_on_every_machine(tmp_path, monkeypatch):
    here, there = Far(tmp_path / "here"), Far(tmp_path / "there")
    for far in (here, there):
        far.put("customers", CUSTOMERS.replace("c2,", "C000002,"))
    for lines in LINES.values():
        here.put("orders", HEAD + lines.replace("c2,", "C000002,")).ingest(now=FIRST)
    monkeypatch.setenv("CX_CACHE", str(tmp_path / "other cache"))
    assert there.rows("orders", "order_id", "customer_id", as_of="0001") == [("o1", "c1"), ("o2", "C000002")]
    monkeypatch.setenv("CX_CACHE", str(tmp_path / "cache"))
    done = erase(here.root, here.params, ["C000002"], now=FIRST)
    assert done.proof is not None
    assert (done.rows, done.snapshots, done.proof.left) == ({"customers": 1, "orders": 2}, 3, {})
    assert [len(here.rows("orders", as_of=one.id)) for one in Ledger.read(here.store)] == [1, 2, 2]
    assert here.rows("customers", "customer_id", as_of="0001") == [("c1",)]
    assert sum("C000002" in str(path.read_bytes()) for path in (tmp_path / "cache").rglob("*.parquet")) == 0
    assert sum("C000002" in str(path.read_bytes()) for path in (tmp_path / "other cache").rglob("*.parquet")) > 0
    monkeypatch.setenv("CX_CACHE", str(tmp_path / "other cache"))
    again = erase(there.root, there.params, ["C000002"], now=FIRST)  # the same on the other machine clears its copies
    assert again.again
    assert sum("C000002" in str(path.read_bytes()) for path in (tmp_path / "other cache").rglob("*.parquet")) == 0
    refused = there.put("orders", f"{HEAD}o9,C000002,2026-01-09,1\n").ingest(now=FIRST).refusals
    assert [(one.table, one.reason) for one in refused] == [("customers", "erased"), ("orders", "erased")]
    names = here.store.list("erasures")
    assert len(names) == 2
    assert len(here.store.list("erased")) == 2


def test_an_ingest_that_began_before_an_erasing_at_a_url_is_too_late(tmp_path, monkeypatch):
    far = Far(tmp_path).put("customers", CUSTOMERS).put("orders", HEAD + LINES[1])
    far.ingest(now=FIRST)
    far.put("orders", HEAD + LINES[2])
    real = Ledger.commit

    def late(*given: Any, **more: Any) -> Any:
        snapshots = Ledger.read(far.store)
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "commit", real)
            Ledger.rewrite(far.store, {snapshots[-1].id: snapshots[-1].tables}, "people were erased", now=FIRST)
        return real(*given, **more)

    monkeypatch.setattr(Ledger, "commit", late)
    with pytest.raises(StoreError, match="another process has written"):
        far.ingest(now=FIRST)
    assert len(Ledger.read(far.store)) == 1
