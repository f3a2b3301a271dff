"""A reader finds one whole report or none: publishing, superseding, and what killed runs leave."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxlib.errors import BusyError, RunError
from cxlib.reports import places


def whole(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> places.Place:
    return places.Place(tmp_path, "monthly", "2026-10")


@pytest.mark.parametrize("exchange", [True, False])
def test_publish_supersedes(place: places.Place, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(places, "_exchange", lambda one, other: False)
    whole(place.building, "first")
    assert places.publish(place) is None
    for number in ("second", "third"):
        whole(place.building, number)
        old = places.publish(place)
        assert old is not None
        assert old.parent == place.reports / "_superseded" / "monthly"
    assert places.manifest(place.final) == {"name": "third"}
    assert len(list((place.reports / "_superseded" / "monthly").iterdir())) == 2
    assert [path.name for path in place.final.parent.iterdir()] == ["2026-10"]


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_crash_between_the_renames_is_completed(
    place: places.Place, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """Without an exchange, publishing takes three renames; the process dies before each of them in turn."""
    whole(place.final, "old")
    whole(place.building, "new")
    monkeypatch.setattr(places, "_exchange", lambda one, other: False)
    rename, calls = Path.rename, []

    def dying(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == dies_at:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dying)
        with pytest.raises(KeyboardInterrupt):
            places.publish(place)
    places.recover(place)
    assert places.manifest(place.final) in ({"name": "old"}, {"name": "new"})
    assert [path.name for path in place.final.parent.iterdir()] == ["2026-10"]


def test_recover_deletes_halves_and_keeps_whole_runs(place: places.Place) -> None:
    whole(place.final, "good")
    half = place.final.parent / ".building-2026-10-1"
    half.mkdir()
    other = place.final.parent / ".building-2026-09-1"
    other.mkdir()
    whole(place.final.parent / ".building-2026-10-2", "whole")
    places.recover(place)
    assert not half.exists()
    assert other.exists()
    assert places.manifest(place.final) == {"name": "good"}
    assert len(list((place.reports / "_superseded" / "monthly").iterdir())) == 1


def test_the_lock_is_exclusive_and_ends_with_its_block(place: places.Place) -> None:
    with places.lock(place):
        with pytest.raises(RunError, match="monthly 2026-10 is under way"), places.lock(place):
            pass
        with places.lock(places.Place(place.reports, "monthly", "2026-09")):
            pass
    with places.lock(place):
        pass


@pytest.mark.parametrize(("seen", "published"), [(["monthly 2026-09 then"], True), ([], False)])
def test_what_was_not_published_is_if_nothing_came_between(
    place: places.Place, seen: list[str], published: bool
) -> None:
    """A run that was killed before its last rename, and beside what the gate saw it; September stands now."""
    for name, content in {
        "2026-09": {"started_at": "then"},
        ".building-2026-10-1": {"disclosure": {"beside": seen}},
    }.items():
        folder = whole(place.final.parent / name, name)
        (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    places.recover(place)
    assert place.final.exists() == published
    assert not list(place.final.parent.glob(".building-*"))


def test_one_publishes_at_a_time_and_others_wait(place: places.Place) -> None:
    """Four threads look and rename, as processes do: nobody's look is older than what stands when it publishes."""
    at_work, most = [], []

    def publish(period: str) -> None:
        one = places.Place(place.reports, "monthly", period)
        with places.lock(one), places.publishing(place.reports):
            at_work.append(period)
            stood = places.catalogue(place.reports)
            time.sleep(0.02)
            most.append(len(at_work))
            whole(one.building, period)
            assert places.catalogue(place.reports) == stood
            places.publish(one)
            at_work.remove(period)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, ["2026-07", "2026-08", "2026-09", "2026-10"]))
    assert most == [1] * 4
    assert len(places.catalogue(place.reports)) == 4


def test_a_dead_process_lets_go_of_the_right_to_publish(place: places.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cxlib.reports import places\n"
        "with places.publishing(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(place.reports)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with monkeypatch.context() as patch:
            patch.setattr(places, "_PATIENCE", 0.1)
            with pytest.raises(BusyError, match="is publishing"), places.publishing(place.reports):
                pass
        other.kill()
    with places.publishing(place.reports):
        assert places.catalogue(place.reports) == []


def test_the_catalogue_lists_whole_reports_newest_first(place: places.Place) -> None:
    for period in ("2026-08", "2026-10", "2026-09"):
        whole(place.reports / "monthly" / period, period)
    (place.reports / "monthly" / "2026-11").mkdir()  # no run.json: not whole
    whole(place.reports / "_failed" / "monthly", "failed")
    found = places.catalogue(place.reports)
    assert [(one.pack, one.period) for one in found] == [("monthly", f"2026-{m}") for m in ("10", "09", "08")]
    assert places.manifest(place.reports / "monthly" / "2026-11") is None
