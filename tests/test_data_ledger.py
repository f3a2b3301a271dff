"""The ledger is the old one or the new one at any moment, and its one writer is known by name."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cxlib.data.ledger import LEDGER, Batch, Ledger, TableVersion, writer_lock
from cxlib.errors import StoreError

NOW = datetime(2026, 11, 1, 8, tzinfo=timezone(timedelta(hours=1)))
ORDERS = {"orders": TableVersion(3, 10, datetime(2026, 10, 31, 22))}


def batch(name: str) -> Batch:
    return Batch(name, "toy", "f" * 64, {"a.csv": "0" * 64}, {"orders": {"rows_in": 10}})


def test_an_empty_folder_has_no_snapshot_and_says_what_to_do(tmp_path):
    assert Ledger.read(tmp_path / "store") == []
    with pytest.raises(StoreError, match="nothing ingested yet: run `cx demo` or `cx ingest SOURCE`"):
        Ledger.find(tmp_path / "store")


def test_what_is_committed_is_read_again(tmp_path):
    first = Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    second = Ledger.commit(tmp_path, ORDERS | {"identities": TableVersion(0, 2)}, batch("b"), now=NOW)
    assert Ledger.read(tmp_path) == [first, second]
    assert (first.id[:5], second.id[:5], first.created_at) == ("0001-", "0002-", "2026-11-01T07:00:00Z")
    assert [b.id for b in second.batches] == ["a", "b"]
    assert (first.batch.id, second.batch.id) == ("a", "b")
    assert Ledger.find(tmp_path) == second
    assert Ledger.find(tmp_path, first.id) == first


def test_an_id_follows_from_content_and_not_from_the_clock(tmp_path):
    ids = [
        Ledger.commit(tmp_path / name, ORDERS, batch(label), now=now).id
        for name, label, now in (("a", "x", NOW), ("b", "x", datetime.now(UTC)), ("c", "y", NOW))
        if not (tmp_path / name).mkdir()
    ]
    assert ids[0] == ids[1] != ids[2]


def test_an_unknown_snapshot_is_refused_with_the_known_ones(tmp_path):
    ids = [Ledger.commit(tmp_path, ORDERS, batch(str(number)), now=NOW).id for number in range(12)]
    with pytest.raises(StoreError) as caught:
        Ledger.find(tmp_path, ids[4][:-1])
    assert f"did you mean '{ids[4]}'?" in str(caught.value)
    assert f"known: {', '.join(ids[2:])} and 2 older" in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99, "snapshots": []}'])
def test_a_damaged_or_newer_ledger_is_an_error_not_an_empty_store(tmp_path, content):
    (tmp_path / LEDGER).write_text(content)
    with pytest.raises(StoreError):
        Ledger.read(tmp_path)


def test_a_ledger_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / LEDGER).write_text("{}")
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(refused))
    with pytest.raises(StoreError) as caught:
        Ledger.read(tmp_path)
    assert "cannot be read: Permission denied" in str(caught.value)
    assert "backup" not in str(caught.value)


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_failing_disk_leaves_the_old_ledger(tmp_path, monkeypatch, broken):
    Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    before = (tmp_path / LEDGER).read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(OSError, match="No space left"):
            Ledger.commit(tmp_path, ORDERS, batch("b"), now=NOW)
    assert (tmp_path / LEDGER).read_bytes() == before
    assert Ledger.commit(tmp_path, ORDERS, batch("b"), now=NOW).id.startswith("0002-")


def test_the_ledger_is_plain_json(tmp_path):
    Ledger.commit(tmp_path, ORDERS, batch("a"), now=NOW)
    entry = json.loads((tmp_path / LEDGER).read_text())["snapshots"][0]
    assert entry["tables"] == {"orders": {"version": 3, "rows": 10, "latest": "2026-10-31T22:00:00"}}


def test_a_second_writer_is_told_who_writes(tmp_path):
    with writer_lock(tmp_path), pytest.raises(StoreError, match=rf"pid {os.getpid()}\)"), writer_lock(tmp_path):
        pass
    with writer_lock(tmp_path):
        pass


HOLD = """
import sys
from pathlib import Path
from cxlib.data.ledger import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of POSIX")
def test_the_lock_ends_with_a_writer_that_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match=rf"pid {writer.pid}\)"), writer_lock(tmp_path):
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    with writer_lock(tmp_path):
        pass
