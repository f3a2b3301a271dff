"""Whatever happens to a writer, the store is at the old snapshot or at the new one, and the message says at which.

Killed processes, full disks and second writers are real ones: see `crash_driver`.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash_driver import drive
from deltalake import DeltaTable
from intake_workspace import CUSTOMERS, Toy

from cxlib.data.ledger import Ledger, writer_lock
from cxlib.errors import StoreError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and fork are of POSIX")
WORKERS = min(4, os.cpu_count() or 1)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A workspace with one snapshot, and files with corrections, late and new and unfit rows."""
    root = tmp_path_factory.mktemp("built") / "base"
    drive("build", root=str(root), snapshots=1)
    return root


@pytest.fixture
def base(built, tmp_path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(built, tmp_path / "base"))


def moments(count: int) -> list[float]:
    """Random shares of a duration, and a little beyond it: on a busy machine some take longer."""
    rng = random.Random(20261121)
    return [rng.uniform(0, 1.1) for _ in range(count)]


def check_deaths(base: Path, deed: str, times: int, events: int) -> None:
    """Kill a deed again and again: what is there is the old or the new, and the deed done again makes it the new."""
    expected, _, *deaths = drive(
        "kill", base=str(base), deed=deed, moments=moments(times), events=events, workers=WORKERS
    )
    old, new = expected["old"], expected["new"]
    assert old != new
    by_event = [one for one in deaths if one["kind"] == "event"]
    assert len(deaths) - len(by_event) == times
    assert sum(one["killed"] for one in by_event) >= 0.8 * len(by_event)  # sets are walked in another order each time
    assert {one["first"]["state"] for one in by_event} >= {old["state"], new["state"]}
    for one in deaths:
        assert one["first"] in (old, new), one["at"]
        assert one["second"] == new, one["at"]
        assert (one["scratch"], one["strays"]) == (False, []), one["at"]
    if deed == "ingest":  # the next run says what it found
        said = {str(old): [f"new: {new['ids'][-1]}"], str(new): [f"nothing new: {new['ids'][-1]}"]}
        assert all(one["told"] == said[str(one["first"])] for one in deaths)
    else:
        assert {str(one["first"]) for one in by_event} == {str(old), str(new)}


@pytest.mark.slow
@pytest.mark.simulation
def test_an_ingest_killed_at_any_moment_leaves_the_old_store_or_the_new(base, replicates):
    check_deaths(base, "ingest", times=replicates(24, 400), events=replicates(5, 40))


@pytest.mark.slow
@pytest.mark.simulation
def test_a_compact_killed_at_any_moment_loses_nothing_and_the_next_finishes(tmp_path, replicates):
    drive("build", root=str(tmp_path / "base"), snapshots=3)
    orders = DeltaTable(tmp_path / "base" / "data" / "store" / "orders")
    orders.delete("order_id = 'o1'")  # what a killed ingest left: a commit that no snapshot names, and a checkpoint
    orders.create_checkpoint()
    check_deaths(tmp_path / "base", "compact", times=replicates(10, 100), events=replicates(7, 40))


def test_a_commit_killed_at_every_single_step_is_the_old_ledger_or_the_new(tmp_path):
    said = drive("kill_commit", store=str(tmp_path / "store"))
    assert [one["killed"] for one in said] == [True] * (len(said) - 1) + [False]
    rows = [one["rows"] for one in said]
    assert rows == sorted(rows)  # old until the switch, new from then on
    assert [row for n, row in enumerate(rows) if row not in rows[:n]] == [[1], [1, 2]]


def test_a_second_ingest_is_refused_by_name_and_both_are_in_after_a_retry(base):
    during, after = drive("two_writers", base=str(base))
    second = during["second"]
    assert second["error"] == "TakenError"
    assert f"another process (pid {during['pid']}, since 20" in second["message"]
    before = during["reader"]["ids"][-1]
    assert second["hint"] == (
        f"Wait until it has ended, then try again. The store is at snapshot {before}, as before."
    )  # and a reader could read it meanwhile
    assert after["ended"] == 0
    assert len(after["reader"]["ids"]) == len(during["reader"]["ids"]) + 1
    assert after["again"] == {"told": [f"nothing new: {after['reader']['ids'][-1]}"]}


def test_two_ingests_that_start_together_are_both_in_after_retries(base):
    said = drive("race", base=str(base), rounds=3)
    for number in range(3):
        *writers, reader = [one for one in said if one["round"] == number]
        assert {source for (source,) in reader["costs"]} == {"ads", "left", "right"}
        assert sorted(one["told"] for one in writers) == sorted(reader["ids"][-2:])
        assert all("is writing to" in message for one in writers for message in one["refused"])


def stands(said: dict[str, Any], old: dict[str, Any]) -> str:
    """Return what an error must say of the store that was looked at after it."""
    return f"{said['state'].removesuffix('.')}, {'as before' if said == old else 'the new one'}."


def check_refusals(old: dict[str, Any], tries: list[dict[str, Any]]) -> None:
    """Each try failed and said at which snapshot the store is, or came through; the next one always comes through."""
    for one in tries:
        where = f"{one['at']}: {one['end']}"
        new = f"new: {one['second']['ids'][-1]}"
        if "told" in one["end"]:
            assert one["end"]["told"] == [new], where
        else:
            assert one["end"]["error"] in ("StoreError", "SourceError"), where
            assert stands(one["first"], old) in one["end"]["hint"], where
        assert one["told"] == [new if one["first"] == old else f"nothing {new}"], where
        assert one["first"] in (old, one["second"]), where
        assert one["second"]["ids"][:-1] == old["ids"], where
        assert (one["scratch"], one["strays"]) == (False, []), where
    assert len({one["second"]["contents"][one["second"]["ids"][-1]] for one in tries}) == 1


def test_where_no_file_may_grow_the_old_store_stays(base):
    """As with a quota: each limit stops another file."""
    limits = [0, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 100_000]
    first, *tries = drive("small_files", base=str(base), limits=limits, workers=WORKERS)
    check_refusals(first["old"], tries)
    assert {one["at"]: "told" in one["end"] for one in tries}.items() >= {0: False, 1_000: False, 100_000: True}.items()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="small disks are mounted with unshare")
def test_a_disk_that_is_full_for_real_leaves_the_old_store(base, tmp_path):
    mount = tmp_path / "disk"
    mount.mkdir()
    apart = ("unshare", "--user", "--map-root-user", "--mount")
    allowed = subprocess.run([*apart, "mount", "-t", "tmpfs", "tmpfs", str(mount)], capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("no small disk may be mounted here")
    cases = [("before", 0), ("writing", 0), ("writing", 16), ("writing", 40), ("writing", 2_000)]
    tries = drive("full_disk", before=apart, base=str(base), mount=str(mount), cases=cases)
    check_refusals(tries[0]["old"], tries)
    assert all(one["during"] in (one["old"], one["first"]) for one in tries)  # a full disk keeps no reader out
    assert ["told" in one["end"] for one in tries] == [False] * 4 + [True]
    assert all("is full" in one["end"]["message"] for one in tries[:-1])


def test_a_disk_that_fills_up_at_any_step_leaves_the_old_store(base):
    first, *tries = drive("refusals", base=str(base), workers=WORKERS)
    assert {"ledger.py:_write fsync", "ledger.py:_write replace", "ledger.py:sync fsync"} <= {
        one["at"] for one in tries
    }
    check_refusals(first["old"], tries)


@pytest.fixture
def open_base(built: Path) -> Iterator[Path]:
    """The same workspace where everybody may enter, which is not so for the folders of tests."""
    above = Path(tempfile.mkdtemp())
    above.chmod(0o755)
    shutil.copytree(built, above / "base")
    for path in (above, *above.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    yield above / "base"
    shutil.rmtree(above)


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ({"data/store": 0o555}, "the store .* cannot be written to: Permission denied"),
        ({"raw/orders.csv": 0o000}, "orders.csv"),
        ({"data/store/orders/_delta_log": 0o555}, "Permission denied"),
        ({"data/quarantine": 0o555}, "Permission denied"),
        ({"data": 0o555}, "Permission denied"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_belongs_to_others_leaves_the_old_store_and_is_named(open_base, closed, said):
    if "data/quarantine" in closed:
        (open_base / "data" / "quarantine").mkdir(exist_ok=True)
    lock = open_base / "data" / "store" / "writer.lock"
    if "data/store" in closed:
        lock.unlink()
    first, tried, then = drive("as_nobody", base=str(open_base), closed=closed)
    end = tried["end"]
    assert end.get("error") in ("StoreError", "SourceError"), end
    assert re.search(said, end["message"]), end
    assert stands(then["first"], first["old"]) in end["hint"], end
    assert then["first"] in (first["old"], then["second"])
    assert len(then["second"]["ids"]) == 2


@pytest.mark.parametrize("how", ["vanishes", "grows", "is written anew"])
def test_a_raw_file_that_changes_while_it_is_read_stops_the_ingest(base, how):
    (said,) = drive("changing", base=str(base), how=how)
    assert said["end"].get("error") == "SourceError", said["end"]
    assert "orders.csv" in said["end"]["message"]
    assert stands(said["after"], said["old"]) in said["end"]["hint"]
    assert said["after"] == said["old"]


HEAD = "order_id,customer_id,ordered_at,amount\n"
ORDERS = HEAD + "o1,c1,2026-08-05 10:00:00,10.50\no2,c2,2026-09-05 10:00:00,20\no3,c1,2026-09-30 22:30:00,30\n"


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path / "workspace").put("customers", CUSTOMERS).put("orders", ORDERS)


def test_the_write_starts_from_the_ledger_and_not_from_what_a_crash_left(toy):
    toy.ingest()
    path = toy.root / "data" / "store" / "orders"
    DeltaTable(path).delete()  # newer commits that no snapshot names
    assert len(toy.rows("orders")) == 3
    toy.put("orders", HEAD + "o9,c1,2026-10-02,9\n")
    toy.ingest()
    assert [row[0] for row in toy.rows("orders", "order_id")] == ["o1", "o2", "o3", "o9"]


def test_an_ingest_goes_on_where_a_compact_was_killed_half_way_through_a_dead_writer_s_files(toy):
    toy.ingest()
    path = toy.root / "data" / "store" / "orders"
    named = set(path.glob("_month=*/*"))
    DeltaTable(path).delete("order_id = 'o3'")
    for file in set(path.glob("_month=*/*")) - named:
        file.unlink()  # files go before the commits that name them
    toy.put("orders", HEAD + "o9,c1,2026-10-02,9\n").ingest()
    assert [row[0] for row in toy.rows("orders", "order_id")] == ["o1", "o2", "o3", "o9"]


def test_what_a_crashed_first_ingest_left_is_overwritten(toy):
    toy.ingest()
    (toy.root / "data" / "store" / "snapshots.json").unlink()
    toy.put("orders", HEAD + "o9,c1,2026-10-02,9\n").ingest()
    assert [row[0] for row in toy.rows("orders", "order_id")] == ["o9"]


def test_an_ingest_under_another_s_lock_is_refused_and_changes_nothing(toy):
    toy.ingest()
    before = toy.content()
    toy.put("orders", HEAD + "o9,c1,2026-10-02,9\n")
    with (
        writer_lock(toy.root / "data" / "store"),
        pytest.raises(StoreError, match=rf"pid {os.getpid()}, since .* is writing to"),
    ):
        toy.ingest()
    assert toy.content() == before
    assert len(Ledger.read(toy.root / "data" / "store")) == 1
