"""The cache of sums: what was kept comes back as it was; what is damaged or full is a miss and no error."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.data import kept
from cxlib.data.kept import PLACE, Kept

KEYS = ["a", "b", "c"]


def rows(*places: int, start: float = 0.1) -> pd.DataFrame:
    """Return two rows of sums an entry."""
    twice = [place for place in places for _ in range(2)]
    return pd.DataFrame(
        {
            PLACE: pd.array(twice, dtype="int64"),
            "level": [f"Nörd {number}" for number in range(len(twice))],
            "y": [start * (number + 1) for number in range(len(twice))],
        }
    ).astype({"level": "str", PLACE: "int64"})


def test_what_was_kept_comes_back_bit_by_bit_in_its_order(tmp_path: Path) -> None:
    store = Kept(tmp_path / "k")
    assert store.read("shelf", KEYS).keys == frozenset()
    store.keep("shelf", KEYS, rows(0, 2))  # b has no rows, which is an answer
    found = Kept(tmp_path / "k").read("shelf", ["c", "x", "b", "a"])
    assert found.keys == frozenset(KEYS)
    expected = rows(0, 2).assign(**{PLACE: [3, 3, 0, 0]})
    pd.testing.assert_frame_equal(found.frame, expected)
    assert store.read("other", KEYS).keys == frozenset()
    only = store.read("shelf", ["b"])
    assert only.keys == {"b"}
    assert only.frame.empty
    assert list(only.frame) == [PLACE, "level", "y"]
    assert dict(only.frame.dtypes) == dict(expected.dtypes)


def test_entries_are_added_and_replaced(tmp_path: Path) -> None:
    store = Kept(tmp_path)
    store.keep("s", ["a", "b"], rows(0, 1))
    store.keep("s", ["b", "c"], rows(0, 1, start=7.0))
    found = store.read("s", KEYS)
    assert found.keys == frozenset(KEYS)
    assert found.frame.groupby(PLACE)["y"].first().to_dict() == {0: 0.1, 1: 7.0, 2: 21.0}
    store.keep("s", ["d"], rows(0)[[PLACE, "y"]])  # of another shape: the shelf is of no use any more
    assert store.read("s", [*KEYS, "d"]).keys == {"d"}


@given(st.data())
def test_a_shelf_damaged_anywhere_is_a_miss_and_is_replaced(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    store = Kept(folder)
    store.keep("s", KEYS, rows(0, 1, 2))
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:place])
    else:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    assert store.read("s", KEYS).keys == frozenset()
    store.keep("s", KEYS, rows(0, 1, 2))
    assert path.read_bytes() == whole
    assert store.read("s", KEYS).keys == frozenset(KEYS)


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Kept(tmp_path)
    store.keep("s", ["a"], rows(0))

    def full(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        for _ in range(5):
            store.keep("s", ["b"], rows(0))
    assert [path.name for path in tmp_path.iterdir()] == ["s.sums"]  # and no half file
    assert store.read("s", KEYS).keys == {"a"}
    blocked = tmp_path / "a file"
    blocked.write_text("")
    for folder in (blocked, blocked / "below"):
        other = Kept(folder)
        other.keep("s", ["a"], rows(0))
        assert other.read("s", ["a"]).keys == frozenset()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_read(tmp_path: Path) -> None:
    Kept(tmp_path).keep("s", ["a"], rows(0))
    tmp_path.chmod(0o500)
    try:
        store = Kept(tmp_path)
        store.keep("t", ["a"], rows(0))
        assert store.read("s", ["a"]).keys == {"a"}
        assert store.read("t", ["a"]).keys == frozenset()
    finally:
        tmp_path.chmod(0o700)


def test_the_folder_stays_within_its_limit_and_the_oldest_used_go_first(tmp_path: Path) -> None:
    Kept(tmp_path).keep("size", KEYS, rows(0, 1, 2))
    size = (tmp_path / "size.sums").stat().st_size
    long_ago = time.time() - 10 * 86_400
    names = [f"s{number}" for number in range(10)]
    for number, name in enumerate(names):
        Kept(tmp_path).keep(name, KEYS, rows(0, 1, 2))
        os.utime(tmp_path / f"{name}.sums", (long_ago + number, long_ago + number))
    left = tmp_path / f"s.sums.{'0' * 32}.part"  # of a process that was killed
    left.write_bytes(b"x")
    os.utime(left, (long_ago, long_ago))
    store = Kept(tmp_path, limit=8 * size)
    assert store.read("s0", KEYS).keys == frozenset(KEYS)  # used now
    store.keep("new", KEYS, rows(0, 1, 2))
    here = {path.name.removesuffix(".sums") for path in tmp_path.iterdir()}
    assert {"s0", "new"} <= here
    assert not {"s1", "s2", "s3"} & here
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8 * size


def test_a_shelf_lets_its_oldest_entries_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_SHELF", 8_000)
    store = Kept(tmp_path)
    for number in range(200):
        store.keep("s", [f"k{number}"], rows(0))
    assert (tmp_path / "s.sums").stat().st_size <= 8_000
    found = store.read("s", [f"k{number}" for number in range(200)]).keys
    assert "k199" in found
    assert "k0" not in found
    assert len(found) > 10


def write_many(folder: str, name: str) -> None:
    """Keep entries of two processes in the same shelves."""
    store = Kept(Path(folder))
    for number in range(60):
        store.keep(f"s{number % 3}", [f"{name}{number}"], rows(0, start=float(number)))


def test_processes_that_write_the_same_shelves_leave_whole_ones(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_many, args=(str(tmp_path), name)) for name in "ab"]
    for worker in workers:
        worker.start()
    store, seen = Kept(tmp_path), 0
    while any(worker.is_alive() for worker in workers):
        for shelf in ("s0", "s1", "s2"):
            for number in range(60):
                for name in "ab":
                    found = store.read(shelf, [f"{name}{number}"])
                    if found.keys:
                        seen += 1
                        assert found.frame["y"].tolist() == [float(number), 2.0 * number]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert seen
    assert {path.suffix for path in tmp_path.iterdir()} == {".sums"}


def test_only_the_environment_opens_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(kept.KEPT, raising=False)
    assert kept.opened() is None
    monkeypatch.setenv(kept.KEPT, str(tmp_path / "data" / "kept"))
    store = kept.opened()
    assert store is not None
    store.keep("s", ["a"], rows(0))
    assert (tmp_path / "data" / "kept" / "s.sums").is_file()
