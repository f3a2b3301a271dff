"""The ledger is the old one or the new one at any moment, and its one writer is known by name."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.data import lock
from cxlib.data.ledger import LEDGER, Batch, Dropped, Ledger, TableVersion, writer_lock
from cxlib.data.lock import LOCK
from cxlib.errors import SourceError, StoreError

NOW = datetime(2026, 11, 1, 8, tzinfo=timezone(timedelta(hours=1)))
ORDERS = {"orders": TableVersion(3, 10, datetime(2026, 10, 31, 22))}
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and fork are of POSIX")


def batch(name: str) -> Batch:
    return Batch(name, "toy", "f" * 64, {"a.csv": "0" * 64}, {"orders": {"rows_in": 10}})


def days(store: Path, *dates: str) -> list[str]:
    """Commit one snapshot at noon of each day; return their ids."""
    return [
        Ledger.commit(store, ORDERS, batch(day), now=datetime.fromisoformat(f"{day}T12:00:00+00:00")).id
        for day in dates
    ]


def refused(store: Path, as_of: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Ledger.find(store, as_of)
    return caught.value


def test_an_empty_folder_has_no_snapshot_and_says_what_to_do(tmp_path):
    assert Ledger.read(tmp_path / "store") == []
    assert Ledger.state(tmp_path / "store") == "The store is empty."
    for as_of in (None, "", "0001", "2026-10-31"):
        with pytest.raises(StoreError, match="nothing ingested yet: run `cx demo` or `cx ingest SOURCE`"):
            Ledger.find(tmp_path / "store", as_of)


def test_what_is_committed_is_read_again(tmp_path):
    first = Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    second = Ledger.commit(tmp_path, ORDERS | {"identities": TableVersion(0, 2)}, batch("b"), now=NOW)
    assert Ledger.read(tmp_path) == [first, second]
    assert (first.id[:5], second.id[:5], first.created_at) == ("0001-", "0002-", "2026-11-01T07:00:00Z")
    assert [b.id for b in second.batches] == ["a", "b"]
    assert (first.batch.id, second.batch.id) == ("a", "b")
    assert Ledger.find(tmp_path) == second
    assert Ledger.find(tmp_path, first.id) == first
    assert Ledger.state(tmp_path) == f"The store is at snapshot {second.id}."


def test_a_batch_knows_its_source_files_counts_and_when(tmp_path):
    Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    Ledger.commit(tmp_path, ORDERS, batch("b"), now=NOW + timedelta(days=1))
    older, newer = Ledger.read(tmp_path)[-1].batches
    assert (older.source, older.files, older.counts) == ("toy", {"a.csv": "0" * 64}, {"orders": {"rows_in": 10}})
    assert (older.when, newer.when) == ("2026-11-01T07:00:00Z", "2026-11-02T07:00:00Z")


def test_an_id_follows_from_content_and_not_from_the_clock_or_delta_s_count(tmp_path):
    """A crash leaves commits behind, so the same rows may stand at another version of Delta."""

    def ids(place: str, shift: int, now: datetime, label: str = "x", rows: int = 10) -> list[str]:
        tables = [{"orders": TableVersion(version + shift * version, rows)} for version in (0, 1)]
        return [Ledger.commit(tmp_path / place, one, batch(label), now=now).id for one in tables]

    for place in "abcd":
        (tmp_path / place).mkdir()
    found = ids("a", 0, NOW)
    assert ids("b", 3, datetime.now(UTC)) == found
    assert ids("c", 0, NOW, label="y")[0] != found[0]
    assert ids("d", 0, NOW, rows=11)[0] != found[0]
    assert len({one[5:] for one in found}) == 2  # the same batch twice: its past is another


def test_a_snapshot_is_found_by_the_beginning_of_its_id(tmp_path):
    ids = days(tmp_path, *(f"2026-10-{day:02d}" for day in range(1, 13)))
    for word in (ids[4], ids[4][:-1], ids[4][:4], "0005"):
        assert Ledger.find(tmp_path, word).id == ids[4]
    error = refused(tmp_path, "000")
    assert error.message == f"'000' fits several snapshots: {', '.join(ids[:9])}"
    assert f"The store is at snapshot {ids[-1]}." in error.hint
    assert refused(tmp_path, "00").message == f"'00' fits several snapshots: {', '.join(ids[2:])} and 2 older"


def test_an_unknown_snapshot_is_refused_with_the_known_ones(tmp_path):
    ids = days(tmp_path, *(f"2026-10-{day:02d}" for day in range(1, 13)))
    error = refused(tmp_path, ids[4].replace("-", "_"))
    assert error.message == f"no snapshot '{ids[4].replace('-', '_')}'; did you mean '{ids[4]}'?"
    assert error.hint == f"known: {', '.join(ids[2:])} and 2 older. The store is at snapshot {ids[-1]}."


def test_a_day_means_the_newest_snapshot_until_its_end(tmp_path):
    ids = days(tmp_path, "2026-09-30", "2026-10-02", "2026-10-02", "2026-10-31")
    last = Ledger.commit(
        tmp_path, ORDERS, batch("z"), now=datetime(2026, 11, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    )
    assert last.created_at == "2026-10-31T23:30:00Z"
    for day, expected in {
        "2026-09-30": ids[0], "2026-10-01": ids[0], "2026-10-02": ids[2], "2026-10-30": ids[2],
        "2026-10-31": last.id, "2027-01-01": last.id,
    }.items():  # fmt: skip
        assert Ledger.find(tmp_path, day).id == expected
    error = refused(tmp_path, "2026-09-29")
    assert error.message == (
        f"no snapshot was made until 2026-09-29 (UTC): the first, {ids[0]}, was made at 2026-09-30T12:00:00Z"
    )
    assert error.hint.endswith(f"The store is at snapshot {last.id}.")
    assert refused(tmp_path, "2026-02-30").message == "'2026-02-30' is no day of the calendar"


@given(st.lists(st.dates(datetime(2026, 1, 1).date(), datetime(2026, 1, 9).date()), min_size=1, max_size=6), st.data())
def test_a_day_is_never_answered_with_what_came_after_it(tmp_path_factory, made, data):
    """Also where a clock was put back: of all that were made by then, the one that was made last in the ledger."""
    store = tmp_path_factory.mktemp("ledger")
    ids = days(store, *map(str, made))
    day = data.draw(st.dates(datetime(2026, 1, 1).date(), datetime(2026, 1, 9).date()))
    by_then = [id_ for id_, when in zip(ids, made, strict=True) if when <= day]
    if by_then:
        assert Ledger.find(store, str(day)).id == by_then[-1]
    else:
        refused(store, str(day))


def test_a_dropped_snapshot_stays_listed_and_cannot_be_opened(tmp_path):
    ids = days(tmp_path, "2026-08-01", "2026-09-01", "2026-10-01")
    Ledger.drop(tmp_path, {ids[0]: "older than 30 days", ids[1]: "older than 30 days"}, now=NOW)
    listed = Ledger.read(tmp_path)
    assert [one.id for one in listed] == ids
    assert [one.dropped for one in listed] == [Dropped("2026-11-01T07:00:00Z", "older than 30 days")] * 2 + [None]
    assert [one.id for one in listed[2].batches] == ["2026-08-01", "2026-09-01", "2026-10-01"]
    gone = "was compacted away at 2026-11-01T07:00:00Z: older than 30 days"
    assert refused(tmp_path, ids[1]).message == f"snapshot {ids[1]} {gone}"
    assert refused(tmp_path, "0002").message == f"snapshot {ids[1]} ('0002') {gone}"
    assert refused(tmp_path, "2026-09-15").message == f"snapshot {ids[1]} ('2026-09-15') {gone}"
    assert refused(tmp_path, "0002").hint == f"known: {ids[2]}. The store is at snapshot {ids[2]}."
    assert Ledger.find(tmp_path, "2026-10-15").id == ids[2]
    assert Ledger.commit(tmp_path, ORDERS, batch("d"), now=NOW).id.startswith("0004-")  # numbers are not used twice


def test_only_a_snapshot_that_stands_and_is_not_the_newest_can_be_dropped(tmp_path):
    ids = days(tmp_path, "2026-08-01", "2026-09-01")
    before = (tmp_path / LEDGER).read_bytes()
    for unfit in (ids[1], "0009-abcdef"):
        with pytest.raises(StoreError, match=f"these snapshots cannot be dropped: {unfit}"):
            Ledger.drop(tmp_path, {ids[0]: "old", unfit: "old"}, now=NOW)
    assert (tmp_path / LEDGER).read_bytes() == before
    Ledger.drop(tmp_path, {ids[0]: "old"}, now=NOW)
    with pytest.raises(StoreError, match=ids[0]):
        Ledger.drop(tmp_path, {ids[0]: "old"}, now=NOW)


FIRST_FORMAT = """{"format": 1, "snapshots": [
 {"id": "0001-0a1b2c", "created_at": "2026-11-01T07:00:00Z",
  "tables": {"orders": {"version": 3, "rows": 10, "latest": "2026-10-31T22:00:00"}},
  "batch": {"id": "toy-ffffffff", "source": "toy", "checksum": "ff", "files": {"a.csv": "00"},
            "counts": {"orders": {"rows_in": 10}}}},
 {"id": "0002-3d4e5f", "created_at": "2026-11-02T07:00:00Z",
  "tables": {"orders": {"version": 3, "rows": 10, "latest": "2026-10-31T22:00:00"},
             "identities": {"version": 0, "rows": 2, "latest": null}},
  "batch": {"id": "toy-eeeeeeee", "source": "toy", "checksum": "ee", "files": {}, "counts": {}}}]}"""


def test_a_ledger_of_the_first_release_is_read_and_goes_on(tmp_path):
    (tmp_path / LEDGER).write_text(FIRST_FORMAT)
    older, newer = Ledger.read(tmp_path)
    assert (older.tables, newer.tables["identities"]) == (ORDERS, TableVersion(0, 2))
    assert [(one.id, one.when) for one in newer.batches] == [
        ("toy-ffffffff", "2026-11-01T07:00:00Z"), ("toy-eeeeeeee", "2026-11-02T07:00:00Z"),
    ]  # fmt: skip
    assert Ledger.find(tmp_path, "2026-11-01") == older
    added = Ledger.commit(tmp_path, newer.tables, batch("x"), now=NOW)
    assert added.id.startswith("0003-")
    assert Ledger.read(tmp_path) == [older, newer, added]


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "\0", '{"format": 99, "snapshots": []}', '{"format": 2}', '{"format": 2, "snapshots": [1]}'),
        *('{"format": 2, "snapshots": [{"id": "0001-a"}]}', FIRST_FORMAT.replace('"checksum"', '"sum"')),
        *(FIRST_FORMAT[:300], FIRST_FORMAT.replace("2026-10-31T22:00:00", "yesterday")),
    ],
)  # fmt: skip
def test_a_damaged_or_newer_ledger_is_an_error_not_an_empty_store(tmp_path, content):
    (tmp_path / LEDGER).write_text(content)
    with pytest.raises(StoreError, match=r"is damaged|is not of format 1 or 2"):
        Ledger.read(tmp_path)
    assert Ledger.state(tmp_path) == ""


def test_a_ledger_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / LEDGER).write_text("{}")
    refusal = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(refusal))
    with pytest.raises(StoreError) as caught:
        Ledger.read(tmp_path)
    assert "cannot be read: Permission denied" in str(caught.value)
    assert "backup" not in str(caught.value)


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failing_disk_leaves_the_old_ledger_and_no_draft(tmp_path, monkeypatch, broken):
    Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    before = (tmp_path / LEDGER).read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(OSError, match="No space left"):
            Ledger.commit(tmp_path, ORDERS, batch("b"), now=NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {LEDGER: before}
    assert Ledger.commit(tmp_path, ORDERS, batch("b"), now=NOW).id.startswith("0002-")


def test_the_ledger_is_plain_json(tmp_path):
    Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    entry = json.loads((tmp_path / LEDGER).read_text())["snapshots"][0]
    assert sorted(entry) == ["batch", "created_at", "id", "tables"]
    assert entry["tables"] == {"orders": {"version": 3, "rows": 10, "latest": "2026-10-31T22:00:00"}}


def test_a_second_writer_is_told_who_writes_and_since_when(tmp_path):
    since = r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    said = rf"another process \(pid {os.getpid()}, {since}\) is writing to {re.escape(str(tmp_path))}\n"
    with writer_lock(tmp_path), pytest.raises(StoreError, match=said), writer_lock(tmp_path):
        pass
    assert (tmp_path / LOCK).read_bytes() == b""
    with writer_lock(tmp_path):
        pass


def test_a_writer_may_wait_for_another(tmp_path):
    held, done = threading.Event(), []

    def first() -> None:
        with writer_lock(tmp_path):
            held.set()
            time.sleep(0.3)
            done.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with pytest.raises(StoreError, match="is writing to"), writer_lock(tmp_path):
        pass
    with writer_lock(tmp_path, wait=30):
        done.append("second")
    thread.join()
    assert done == ["first", "second"]
    with writer_lock(tmp_path), pytest.raises(StoreError, match="is writing to"), writer_lock(tmp_path, wait=0.2):
        pass


def test_what_goes_wrong_under_the_lock_says_at_which_snapshot_the_store_is(tmp_path):
    with pytest.raises(SourceError) as first, writer_lock(tmp_path):
        raise SourceError("a column is missing")
    assert first.value.hint == "The store is empty, as before."
    (id_,) = days(tmp_path, "2026-10-01")
    with pytest.raises(StoreError) as second, writer_lock(tmp_path):
        raise StoreError("the disk is full", hint="Free some space.")
    assert second.value.hint == f"Free some space. The store is at snapshot {id_}, as before."
    with pytest.raises(StoreError) as third, writer_lock(tmp_path):
        raise StoreError(f"{days(tmp_path, '2026-10-02')} stands, and its quarantine cannot be written")
    assert re.fullmatch(r"The store is at snapshot 0002-\w{6}, the new one\.", third.value.hint)
    with pytest.raises(StoreError) as fourth, writer_lock(tmp_path), writer_lock(tmp_path):
        pass
    assert fourth.value.hint.count("The store is at snapshot 0002-") == 1
    with pytest.raises(KeyboardInterrupt) as fifth, writer_lock(tmp_path):
        raise KeyboardInterrupt
    assert fifth.value.__notes__ == [third.value.hint.replace("the new one", "as before")]


HOLD = """
import os, sys, time
from pathlib import Path
from cxlib.data.ledger import writer_lock
with writer_lock(Path(sys.argv[1])):
    {more}
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_writer(store: Path, more: str = "pass") -> Iterator[subprocess.Popen]:
    """A process that holds the lock until it is told, or killed."""
    command = [sys.executable, "-c", HOLD.format(more=more), str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip()]
        while said[-1] not in ("held", ""):
            said.append(writer.stdout.readline().strip())
        writer.said = said  # type: ignore[attr-defined]
        yield writer


@POSIX
def test_the_lock_ends_with_a_writer_that_is_killed(tmp_path):
    with another_writer(tmp_path) as writer:
        with pytest.raises(StoreError, match=rf"pid {writer.pid}, since"), writer_lock(tmp_path):
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert (tmp_path / LOCK).read_bytes()  # what a dead writer left there names it, and holds nothing
    with writer_lock(tmp_path):
        pass


@POSIX
@pytest.mark.parametrize("child", ["fork", "program"])
def test_a_child_that_outlives_a_killed_writer_does_not_hold_the_lock(tmp_path, child):
    more = {
        # The parent goes on when the child has come back from the fork: until then it has had no turn to let go.
        "fork": "back, up = os.pipe(); child = os.fork() or (os.write(up, b'.'), os.close(0), os.close(1), "
        "time.sleep(60), os._exit(0)); os.read(back, 1); print(child)",
        "program": "import subprocess; print(subprocess.Popen(['sleep', '60'], stdin=subprocess.DEVNULL, "
        "stdout=subprocess.DEVNULL, close_fds=False).pid)",
    }[child]
    with another_writer(tmp_path, more) as writer:
        pid = int(writer.said[0])
        with pytest.raises(StoreError, match=rf"pid {writer.pid}, since"), writer_lock(tmp_path):
            pass  # the child has let go, and its parent holds the lock all the same
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        try:
            os.kill(pid, 0)  # it lives
            with writer_lock(tmp_path):
                pass
        finally:
            os.kill(pid, signal.SIGKILL)


@POSIX
def test_a_forked_child_leaves_its_parent_s_lock_alone(tmp_path):
    """Also one that leaves the block of the lock by itself: it closes nothing that is not its own."""
    more = "child = os.fork()\n    if not child: sys.exit()\n    os.waitpid(child, 0)"
    with another_writer(tmp_path, more) as writer:
        with pytest.raises(StoreError, match=rf"pid {writer.pid}, since"), writer_lock(tmp_path):
            pass
        assert writer.communicate("")[0] == ""
        assert writer.returncode == 0


def test_a_writer_whose_lock_file_was_removed_makes_nothing_visible(tmp_path):
    days(tmp_path, "2026-10-01")
    before = (tmp_path / LEDGER).read_bytes()

    def remove_and_commit() -> None:
        (tmp_path / LOCK).unlink()
        with writer_lock(tmp_path):  # as another process would
            pass
        days(tmp_path, "2026-10-02")

    with (
        pytest.raises(StoreError, match=r"writer\.lock was removed while it was held") as caught,
        writer_lock(tmp_path),
    ):
        remove_and_commit()
    assert caught.value.hint.endswith("as before.")
    assert (tmp_path / LEDGER).read_bytes() == before
    assert days(tmp_path, "2026-10-02")[0].startswith("0002-")


def test_a_lock_file_that_is_replaced_between_opening_and_locking_counts_for_nothing(tmp_path, monkeypatch):
    real, replaced = lock._try_lock, []

    def slow(handle: int) -> bool:
        if not replaced:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()
            replaced.append(True)
        return real(handle)

    monkeypatch.setattr(lock, "_try_lock", slow)
    with writer_lock(tmp_path), pytest.raises(StoreError, match="is writing to"), writer_lock(tmp_path):
        pass


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_store_that_cannot_be_a_folder_is_refused_plainly(tmp_path, kind):
    (tmp_path / "store").write_text("")
    store = tmp_path / "store" if kind == "a file" else tmp_path / "store" / "below"
    with (
        pytest.raises(StoreError, match=f"the store {re.escape(str(store))} cannot be written to: ") as caught,
        writer_lock(store),
    ):
        pass
    assert "name another folder as `store` in workspace.yml" in caught.value.hint


TRY = """
import os, sys
from pathlib import Path
from cxlib.data.ledger import writer_lock
from cxlib.errors import StoreError
if os.geteuid() == 0:
    os.seteuid(65534)  # nobody: the superuser may write anywhere
try:
    with writer_lock(Path(sys.argv[1])):
        print("held")
except StoreError as error:
    print(error)
"""


@POSIX
@pytest.mark.parametrize("protected", ["folder", "lock file", "folder above"])
def test_a_folder_that_belongs_to_others_is_refused_plainly(protected):
    root = Path(tempfile.mkdtemp())  # where everybody may enter, unlike the folders of tests
    store = root / "above" / "store"
    try:
        if protected != "folder above":
            store.mkdir(parents=True)
            days(store, "2026-10-01")
        if protected == "lock file":
            store.chmod(0o777)
            (store / LOCK).touch()
            (store / LOCK).chmod(0o444)
        else:
            (store if store.is_dir() else root).chmod(0o555)
        root.chmod(root.stat().st_mode | 0o055)
        done = subprocess.run([sys.executable, "-c", TRY, str(store)], capture_output=True, text=True, check=False)
    finally:
        root.chmod(0o755)
        shutil.rmtree(root)
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first == f"the store {store} cannot be written to: Permission denied"
    state = "is empty" if protected == "folder above" else r"is at snapshot 0001-\w{6}"
    assert re.fullmatch(rf"Get the right to write there, or name another .*\. The store {state}, as before\.", second)


def test_a_file_system_without_locks_says_so(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    refusal = OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(refusal))
    with (
        pytest.raises(StoreError, match=r"the writer's lock of .* cannot be taken: No locks available"),
        writer_lock(tmp_path),
    ):
        pass


def test_a_disk_without_room_for_the_writer_s_name_locks_nobody_out(tmp_path, monkeypatch):
    refusal = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(refusal))
        with (
            writer_lock(tmp_path),
            pytest.raises(StoreError, match=r"another process \(it has not said which\) is writing"),
            writer_lock(tmp_path),
        ):
            pass
