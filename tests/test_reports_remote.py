"""Reports at a URL: whole runs that are never changed, and a folder on each machine that is their mirror.

Every promise holds for a memory, a folder and a real S3 server in a process of its own. The outside reference of what
was published are the files that were sent, byte by byte.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import quick_workspace as quick
from object_store import BUCKET, Server, serve

from cxlib.errors import StoreError
from cxlib.params.models import Workspace
from cxlib.reports import catalogue, places, provenance, remote
from cxlib.reports.backfilling import QUEUE
from cxlib.reports.runner import run_pack
from tests.conftest import FOLDER, ROOT

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'cxlib[remote]'")

MONTHS = ("2026-07", "2026-08", "2026-09")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for package in ("obstore", "moto"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'cxlib[remote,dev]'")
    with serve(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture
def near(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """An empty bucket, and an environment that leads to it."""
    server.empty()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(params=["memory", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL at which nothing lies yet."""
    if request.param == "s3":
        request.getfixturevalue("near")
    return {
        "memory": f"memory://{uuid4().hex}/all reports",
        "file": (tmp_path / "all reports").as_uri(),
        "s3": f"s3://{BUCKET}/all reports/été",
    }[request.param]


def home(reports: Path, company: str) -> str:
    return catalogue.home(places.catalogue(reports), company)


def made(place: places.Place, word: str, started: str = "2026-10-01T10:00:00+00:00") -> Path:
    """Make a whole run where it is built."""
    folder = place.building
    (folder / "figures").mkdir(parents=True)
    (folder / "index.html").write_text(word, encoding="utf-8")
    (folder / "figures" / "a.png").write_bytes(os.urandom(2000))
    content = {
        "state": "published", "started_at": started, "word": word, "outputs": provenance.checksums(folder),
        "title": "Quick", "audience": "tests", "period_title": place.period, "pages": {}, "snapshot": {"id": "0001-a"},
    }  # fmt: skip
    (folder / places.MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    return folder


def machine(root: Path, period: str = "2026-09") -> places.Place:
    return places.Place(root / FOLDER / "reports", "quick", period)


def put(far: remote.Far, place: places.Place, word: str) -> None:
    """Publish a run, as a job does."""
    far.send(made(place, word), place)
    places.publish(place)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def word(place: places.Place) -> str:
    return str((places.manifest(place.final) or {}).get("word"))


def names(far: remote.Far) -> list[str]:
    """All objects at the URL, from there on."""
    found = far._files.find(far._base)
    return sorted(str(name).partition(far._base.strip("/"))[2].strip("/") for name in found)


# The mirror.


def test_what_one_machine_publishes_another_shows_to_the_byte(tmp_path: Path, url: str) -> None:
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    far = remote.Far(url)
    assert (far.newest(one), names(far)) == ("", [])
    put(far, one, "first")
    (run,) = {name.rsplit("/", 1)[0] for name in names(far) if name.endswith(places.MANIFEST)}
    assert run.startswith("quick/2026-09/2")

    there = remote.Far(url)
    there.mirror(other.reports)
    assert files(other.final) == files(one.final)
    before = {path: path.stat().st_mtime_ns for path in other.final.rglob("*")}
    there.mirror(other.reports)
    assert {path: path.stat().st_mtime_ns for path in other.final.rglob("*")} == before
    assert "quick/2026-09" in home(other.reports, "Quick & Söhne")

    put(far, one, "second")
    objects = names(far)
    there.settle(other)
    assert (word(one), word(other)) == ("second", "second")
    assert names(far) == objects
    (old,) = (other.reports / places.SUPERSEDED / "quick").iterdir()
    assert places.manifest(old)["word"] == "first"
    assert not list(other.final.parent.glob(".building*"))


def test_two_machines_that_publish_at_once_are_both_whole_and_the_later_leads(tmp_path: Path, url: str) -> None:
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    first, second = remote.Far(url), remote.Far(url)
    first.settle(one)
    second.settle(other)
    made(one, "one")
    made(other, "other")
    first.send(one.building, one)
    second.send(other.building, other)
    places.publish(other)
    places.publish(one)
    runs = [name for name in names(first) if name.endswith(places.MANIFEST)]
    assert len(runs) == 2
    third = machine(tmp_path / "third")
    remote.Far(url).mirror(third.reports)
    first.settle(one)
    second.settle(other)
    assert [word(place) for place in (one, other, third)] == ["other"] * 3
    assert len([name for name in names(first) if name.endswith(places.MANIFEST)]) == 2


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_upload_that_is_cut_off_is_not_seen_and_is_made_good(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    far = remote.Far(url)
    put(far, one, "good")
    folder = made(one, "better", "2999-10-01T11:00:00+00:00")
    put_file, calls = far._files.put_file, []

    def cut_off(*given: object, **more: object) -> object:
        calls.append(given)
        if len(calls) == at:
            raise KeyboardInterrupt
        return put_file(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(remote, "_AT_ONCE", 1)
        patch.setattr(far._files, "put_file", cut_off)
        with pytest.raises(KeyboardInterrupt):
            far.send(folder, one)
    assert folder.is_dir()
    remote.Far(url).mirror(other.reports)
    assert word(other) == "good"

    again = remote.Far(url)
    again.settle(one)
    assert word(one) == "better"
    again.mirror(other.reports)
    assert word(other) == "better"
    assert not list(one.final.parent.glob(".building*"))


def test_what_stood_before_the_url_was_named_is_sent(tmp_path: Path, url: str) -> None:
    place = machine(tmp_path / "one")
    made(place, "old")
    places.publish(place)
    far = remote.Far(url)
    far.settle(place)
    far.settle(place)
    assert len([name for name in names(far) if name.endswith(places.MANIFEST)]) == 1
    assert word(place) == "old"


def test_a_clock_that_is_slow_publishes_all_the_same(tmp_path: Path) -> None:
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    far = remote.Far((tmp_path / "far").as_uri())
    put(far, one, "first")
    (run,) = (tmp_path / "far" / "quick" / "2026-09").iterdir()
    run.rename(run.with_name(f"29990101T000000Z-{run.name[-12:]}"))
    put(far, other, "second")
    assert far.newest(one).startswith("29990101T000001Z-")
    far.settle(one)
    assert word(one) == "second"


def test_what_was_tampered_with_is_not_fetched(tmp_path: Path) -> None:
    one, other = machine(tmp_path / "one"), machine(tmp_path / "other")
    far = remote.Far((tmp_path / "far").as_uri())
    put(far, one, "good")
    (page,) = (tmp_path / "far").rglob("index.html")
    page.write_text("bad", encoding="utf-8")
    with pytest.raises(StoreError, match=r"index\.html is not what was published"):
        far.mirror(other.reports)
    assert not other.final.exists()
    (manifest,) = (tmp_path / "far").rglob(places.MANIFEST)
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("good", "evil"), encoding="utf-8")
    assert remote.Far(far.url).newest(other) == ""
    remote.Far(far.url).settle(other)  # clears what the fetch that failed has left
    assert not list(other.final.parent.glob(".building*"))


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    place = machine(tmp_path / "one")
    content = json.dumps({"outputs": {"../index.html": provenance.digest(b"evil")}}).encode()
    run = tmp_path / "far" / "quick" / "2026-09" / f"20261001T100000Z-{provenance.digest(content)[:12]}"
    run.mkdir(parents=True)
    (run / places.MANIFEST).write_bytes(content)
    (run.parent / "index.html").write_text("evil", encoding="utf-8")
    with pytest.raises(StoreError, match="is not what was published"):
        remote.Far((tmp_path / "far").as_uri()).mirror(place.reports)
    assert not list(place.reports.rglob("index.html"))


# A server, and what goes wrong.


def test_a_server_looks_again_after_a_minute_and_survives_its_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, shown = machine(tmp_path / "one"), tmp_path / "shown"
    url, said, now = (tmp_path / "far").as_uri(), [], [1000.0]
    monkeypatch.setattr(remote.time, "monotonic", lambda: now[0])
    far = remote.Far(url)
    mirror = remote.Mirror(remote.Far(url), shown, said.append)
    mirror.look()
    assert "No report is published yet" in home(shown, "Quick")
    put(far, one, "first")
    mirror.look()
    assert "No report is published yet" in home(shown, "Quick")
    now[0] += 61
    mirror.look()
    assert "quick/2026-09" in home(shown, "Quick")
    now[0] += 61
    monkeypatch.setattr(remote.Far, "mirror", lambda *_: (_ for _ in ()).throw(StoreError("it cannot be reached")))
    mirror.look()
    assert said == ["warning: it cannot be reached; what was fetched before is shown"]
    remote.Mirror(None, shown, said.append).look()


def test_a_server_that_has_put_its_keys_away_still_looks(
    tmp_path: Path, near: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels of the server inherit its environment, so the keys are taken out once it has looked."""
    one, shown = machine(tmp_path / "one"), tmp_path / "shown"
    far, looking = (remote.Far(f"s3://{BUCKET}/reports") for _ in range(2))
    looking.mirror(shown)
    put(far, one, "first")
    for name in near.environment:
        monkeypatch.delenv(name)
    looking.mirror(shown)
    assert "quick/2026-09" in home(shown, "Quick")


def test_what_goes_wrong_is_told_plainly_and_soon(
    tmp_path: Path, near: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = machine(tmp_path)
    started = time.monotonic()
    for url, said in (
        ("s3://nowhere/reports", "there is no such bucket"),
        ("s3://key:secret@bucket/reports", "holds a password"),
        ("s3://bucket/reports?token=1", "holds a password"),
        ("pigeon://coop/reports", "pigeon"),
        ("webhdfs2://coop/reports", "cannot be used"),
    ):
        with pytest.raises(StoreError, match=said):
            remote.Far(url).settle(place)
    with near.strict(), pytest.raises(StoreError, match=r"the credentials are refused|access is denied"):
        remote.Far(f"s3://{BUCKET}/reports").settle(place)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="it cannot be reached"):
        remote.Far(f"s3://{BUCKET}/reports").settle(place)
    assert time.monotonic() - started < 60
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StoreError, match=r"the package fsspec is missing"):
        remote.Far("memory://reports")


def test_a_folder_is_no_url() -> None:
    assert remote.of(Workspace(company="Quick")) is None
    assert places.folder_of(Path("w"), "out/monthly") == Path("w/out/monthly")
    assert places.folder_of(Path("w"), "s3://bucket/reports") == Path("w/reports")


# The whole round, with the command line.


def cx(root: Path, *words: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code and what it said."""
    command = [sys.executable, "-m", "cxlib.cli", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=300)
    return found.returncode, found.stdout, found.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_a_second_machine_sees_a_report_as_standing(tmp_path: Path, near: Server) -> None:
    one = quick.workspace(tmp_path / "one", MONTHS)
    settings = one / "params" / "workspace.yml"
    text = f"{settings.read_text(encoding='utf-8')}store: {one}/data/store\nreports: s3://{BUCKET}/reports\n"
    settings.write_text(text, encoding="utf-8")
    other = tmp_path / "other"
    shutil.copytree(one, other, ignore=shutil.ignore_patterns("data"))
    code, out, err = cx(one, "run", "quick")
    assert (code, "quick 2026-09 made" in out) == (0, True), err
    code, out, err = cx(other, "run", "quick")
    assert (code, "stands already" in out) == (0, True), (out, err)
    assert files(other / "reports" / "quick" / "2026-09") == files(one / "reports" / "quick" / "2026-09")

    quick.notebook(other, "02_levels", "1 / 0")
    assert cx(other, "run", "quick")[0] == 6
    assert near.ask(f"{BUCKET}?list-type=2&prefix=reports/_failed/quick/2026-09/").count(b"run.json") == 1
    third = tmp_path / "third"
    shutil.copytree(one, third, ignore=shutil.ignore_patterns("data", "reports"))
    shutil.copytree(one / "params" / "reports", third / "params" / "reports", dirs_exist_ok=True)
    code, out, err = cx(third, "verify", "quick")
    assert (code, "numbers and" in out) == (0, True), err

    shutil.rmtree(third / "reports")
    served(third)
    near.ask("moto-api/reset", "POST")
    code, _, err = cx(one, "run", "quick")
    assert (code, "there is no such bucket" in err, "Traceback" in err) == (StoreError.exit_code, True, False), err


@pytest.mark.usefixtures("warm")
def test_reports_in_another_folder(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", MONTHS)
    with (root / "params" / "workspace.yml").open("a", encoding="utf-8") as file:
        file.write("reports: out/there\n")
    quick.notebook(root, "02_levels", "1 / 0")
    assert cx(root, "backfill", "quick", "--from", "2026-09")[0] == 6
    assert (root / "out" / "there" / "quick" / QUEUE).is_file()
    quick.notebook(root, "02_levels", quick.LEVELS)
    code, out, err = cx(root, "backfill", "quick", "--resume")
    assert (code, "1 made, 0 failed" in out) == (0, True), err
    assert cx(root, "verify", "quick")[0] == 0
    assert not (root / "reports").exists()
    assert [path.name for path in (root / "out" / "there" / "quick").glob("[!.]*")] == ["2026-09"]


@pytest.mark.usefixtures("warm")
def test_what_could_not_be_sent_is_sent_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, far = quick.workspace(tmp_path / "w", MONTHS), tmp_path / "far"
    with (root / "params" / "workspace.yml").open("a", encoding="utf-8") as file:
        file.write(f"reports: {far.as_uri()}\n")

    def down(*_: object) -> None:
        raise StoreError("it cannot be reached", hint="Is the network up?")

    with monkeypatch.context() as patch:
        patch.setattr(remote.Far, "send", down)
        with pytest.raises(StoreError, match="quick 2026-09 is made, but cannot be published: it cannot be") as caught:
            run_pack(root, "quick")
    assert caught.value.hint == "Is the network up? Then run it again: what is made will be sent."
    assert not far.exists()
    assert not places.catalogue(root / "reports")
    assert run_pack(root, "quick").state == "kept"
    (manifest,) = far.rglob(places.MANIFEST)
    assert manifest.parent.parent == far / "quick" / "2026-09"
    assert not list((root / "reports" / "quick").glob(".building*"))


def served(root: Path) -> None:
    """Start a server in a workspace that has nothing yet: its home page lists what is published."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert f"http://127.0.0.1:{port}" in process.stdout.readline()
            until, page = time.monotonic() + 60, ""
            while not page and time.monotonic() < until:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                        page = answer.read().decode()
                except OSError:
                    time.sleep(0.1)
            assert "/reports/quick/2026-09" in page
        finally:
            process.kill()
