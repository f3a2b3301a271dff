"""What the tests of crashes and of readers run in processes of their own: a warm parent forks a child for each deed.

The parent imports all and starts no engine, so a child costs milliseconds and misses no thread. It is called as
`python crash_driver.py JOB`, where JOB is JSON, and prints one line of JSON a result.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from intake_workspace import Toy

from cxlib.data import tables
from cxlib.data.compact import compact
from cxlib.data.erasing import erase
from cxlib.data.ledger import LEDGER, Batch, Ledger, TableVersion
from cxlib.errors import CxError

# Files are as old as their making: what a compact looks at lies in days ahead of it.
NOW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=100)
ROOM = f"{os.sep}cxlib{os.sep}data{os.sep}"
WRITING = {"fsync", "replace", "rename", "mkdir", "write", "ftruncate", "link", "symlink", "copy_file_range"}
SILENT = 120  # seconds after which something hangs


def drive(job: str, *, before: tuple[str, ...] = (), **more: Any) -> list[dict[str, Any]]:
    """Run a job in a process of its own, behind the command `before`; return what it said."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join(map(str, (here, here.parent)))
    done = subprocess.run(
        [*before, sys.executable, __file__, json.dumps({"job": job} | more)],
        env=os.environ | threads | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Do the job that the command line names."""
    job = json.loads(sys.argv[1])
    globals()[job.pop("job")](**job)


def say(**what: Any) -> None:
    """Print one result; one write, so that children do not mix their lines."""
    os.write(1, f"{json.dumps(what)}\n".encode())


# The workspace, and what can be seen of it.


def build(root: str, snapshots: int = 1) -> None:
    """Make a workspace of three tables with a history, and lay out files that correct and add."""

    def work() -> None:
        toy = Toy(Path(root))
        for number in range(snapshots):
            lay_out(toy, number)
            toy.ingest(now=NOW - timedelta(days=10 * (snapshots - number)))
        lay_out(toy, snapshots, refused=True)

    in_child(work)


def lay_out(toy: Toy, number: int, *, refused: bool = False) -> None:
    """Write the files of batch `number`: some rows as before, some corrected, some moved to another month, some new."""
    rng = random.Random(number)
    old = 200 + 20 * number
    customers = [f"c{n},2026-01-01,{'NS'[n % 2]}" for n in range(20 + number)]
    times = [f"2026-{(n + number * (n % 7 == 0)) % 9 + 1:02d}-{n % 27 + 1:02d} 10:00:00" for n in range(old + 20)]
    orders = [f"o{n},c{n % 20},{times[n]},{n + number * (n % 5 == 0)}" for n in range(old + 20)]
    costs = [f"ads,2026-0{m}-01,{m * 100 + number}" for m in range(1, 10)]
    if refused:
        orders += ["o9000,nobody,2026-01-01,1", "o9001,c1,2026-13-01,x", *orders[:3]]
    rng.shuffle(orders)
    toy.put("customers", "\n".join(["customer_id,valid_from,region", *customers, ""]))
    toy.put("orders", "\n".join(["order_id,customer_id,ordered_at,amount", *orders, ""]))
    toy.put("costs", "\n".join(["source,month,amount", *costs, ""]))


def ingest_it(root: Path, progress: Callable[[str], None] | None = None) -> list[str]:
    """Ingest what lies there; return what is told."""
    report = Toy(root).ingest(now=NOW, progress=progress)
    return [f"{'new' if report.changed else 'nothing new'}: {report.snapshot_id}"]


def compact_it(root: Path) -> list[str]:
    """Compact, so that snapshots, files and log entries go; return what is told."""
    ids = [snapshot.id for snapshot in Ledger.read(root / "data" / "store")]
    return compact(root, "data/store", retention_days=15, now=NOW, keep={ids[0]}).lines()


def erase_it(root: Path) -> list[str]:
    """Erase a customer; return where something is left."""
    done = erase(root, Toy(root).params, ["c1"], now=NOW)
    assert done.proof is not None
    return [*done.proof.left, *map(str, (root / "data" / "erasing").glob("*"))]


DEEDS = {"ingest": ingest_it, "compact": compact_it, "erase": erase_it}


def look(root: Path) -> dict[str, Any]:
    """Return what there is to see of a store; raises where it is not whole."""
    store, toy = root / "data" / "store", Toy(root)
    snapshots = Ledger.read(store)
    contents = {}
    for snapshot in snapshots:
        if snapshot.dropped is None:
            with toy.open(as_of=snapshot.id, threads=1) as opened:
                frames = {name: opened.run(table).to_csv(index=False) for name, table in opened.tables.items()}
            text = repr({name: sorted(frame.splitlines()) for name, frame in frames.items()})
            contents[snapshot.id] = hashlib.sha256(text.encode()).hexdigest()
            assert list(frames) == [name for name in opened.tables if name in snapshot.tables]
            for name, frame in frames.items():
                assert len(frame.splitlines()) - 1 == snapshot.tables[name].rows
    return {"ids": [one.id for one in snapshots], "contents": contents, "state": Ledger.state(store)}


def strays(root: Path) -> list[str]:
    """Return the files that no kept snapshot needs."""
    store = root / "data" / "store"
    kept = [one for one in Ledger.read(store) if one.dropped is None]
    versions = {(name, version.version) for one in kept for name, version in one.tables.items()}
    needed = {Path(file) for name, version in versions for file in tables.pin(store, name, version).files}
    there = {path for path in store.glob("*/**/*.parquet") if "_delta_log" not in path.parts}
    drafts = {path for path in store.rglob("*") if path.suffix in (".draft", ".tmp") or "#" in path.name}
    return sorted(str(path.relative_to(root)) for path in (there - needed) | drafts)


# Children.


def fork(work: Callable[[], Any], *, close: int | None = None) -> int:
    """Run `work` in a child that ends with it; return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if close is not None:
            os.close(close)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def in_child(work: Callable[[], Any]) -> Any:
    """Run `work` in a child and return what it returns, by way of JSON."""
    reading, writing = os.pipe()

    def tell() -> None:
        found = work()
        with os.fdopen(writing, "w") as out:
            json.dump(found, out)

    pid = fork(tell, close=reading)
    os.close(writing)
    with os.fdopen(reading) as source:
        told = source.read()
    if os.waitpid(pid, 0)[1] or not told:
        raise RuntimeError(f"a child failed; {work}")
    return json.loads(told)


def each(items: list[Any], work: Callable[[Any], None], workers: int) -> None:
    """Do `work` for all items, in a few processes side by side."""
    pids = [fork(lambda share=items[n::workers]: [work(item) for item in share]) for n in range(workers)]
    failed = [pid for pid in pids if os.waitpid(pid, 0)[1]]
    if failed:
        raise RuntimeError(f"{len(failed)} workers failed")


def warm(base: str) -> Path:
    """Import what an ingest and a reader import late, so that no child has to; return the workspace."""
    place = copied(Path(base), "warm")

    def late() -> list[str]:
        before = set(sys.modules)
        recover(place, "ingest")
        return sorted(set(sys.modules) - before)

    for name in in_child(late):
        importlib.import_module(name)
    shutil.rmtree(place)
    return Path(base)


def copied(base: Path, name: str) -> Path:
    """Return a copy of the workspace, beside it."""
    shutil.rmtree(base.parent / name, ignore_errors=True)
    return Path(shutil.copytree(base, base.parent / name))


# Death at any moment.


def kill(base: str, deed: str, moments: list[float], events: int, workers: int) -> None:
    """Kill a deed at moments (shares of its duration) and at events: before, at and after the switch of the ledger."""
    root = warm(base)
    after = copied(root, "undisturbed")
    labels = in_child(lambda: counted(lambda: DEEDS[deed](after)))
    switch = [n for n, label in enumerate(labels) if label.startswith("ledger.py:_write")]
    first, last = switch[0], switch[-1]
    at = {n for n in switch if labels[n].endswith((" fsync", " replace"))}
    at |= {first * n // events for n in range(events)}
    at |= {last + (len(labels) - last - 1) * n // events for n in range(1, events + 1)}
    say(old=in_child(lambda: look(root)), new=in_child(lambda: look(after)), calls=len(labels))

    def one(moment: tuple[str, float]) -> None:
        place = copied(root, f"{moment[0]}-{moment[1]}")
        if moment[0] == "event":
            label = labels[int(moment[1])]
            nth = labels[: int(moment[1]) + 1].count(label)
            pid = fork(lambda: counted(lambda: DEEDS[deed](place), deadly=(label, nth)))
        else:
            pid = fork(lambda: DEEDS[deed](place))
            time.sleep(moment[1] * seconds)
            os.kill(pid, signal.SIGKILL)
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        at = labels[int(moment[1])] if moment[0] == "event" else f"{moment[1]:.3f}"
        say(kind=moment[0], at=at, killed=killed, **in_child(lambda: recover(place, deed)))
        shutil.rmtree(place)

    places = [copied(root, f"timed-{number}") for number in range(workers)]
    start = time.monotonic()
    pids = [fork(lambda place=place: DEEDS[deed](place)) for place in places]
    seconds = [os.waitpid(pid, 0) and time.monotonic() - start for pid in pids][-1]  # as many side by side as later
    say(seconds=seconds)
    todo = [("event", n) for n in sorted(at)] + [("time", moment) for moment in moments]
    each(todo, one, workers)


def recover(place: Path, deed: str) -> dict[str, Any]:
    """Look, do the deed again, compact what it left, and look again: also at files that nobody needs."""
    first = look(place)
    told = DEEDS[deed](place)
    scratch = (place / "data" / "scratch").exists()
    compact(place, "data/store", retention_days=9_999, now=NOW)
    return {"first": first, "told": told, "second": look(place), "scratch": scratch, "strays": strays(place)}


def counted(work: Callable[[], Any], deadly: tuple[str, int] = ("", 0)) -> list[str]:
    """Run `work` and return the calls and returns in the room of data; at the n-th one of a kind (or of all), die."""
    labels: list[str] = []

    def watch(frame: Any, event: str, what: Any) -> None:
        code, native = frame.f_code, event.startswith("c_")
        rooms = [one for one in (frame, frame.f_back) if one and ROOM in one.f_code.co_filename]
        if rooms and (rooms[0] is frame or not native):
            name = what.__name__ if native else code.co_name
            labels.append(f"{Path(rooms[-1].f_code.co_filename).name}:{rooms[-1].f_code.co_name} {event} {name}")
            kind, nth = deadly
            if len(labels) == nth if not kind else labels[-1] == kind and labels.count(kind) == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return labels


def kill_commit(store: str) -> None:
    """Kill a commit of the ledger at every single event of it; tell what is read each time."""
    place = Path(store)
    place.mkdir()

    def commit(rows: int) -> None:
        Ledger.commit(place, {"orders": TableVersion(0, rows)}, Batch(f"toy-{rows}", "toy", "0"), now=NOW)

    commit(1)
    old = (place / LEDGER).read_bytes()
    for nth in range(1, 10_000):
        (place / LEDGER).write_bytes(old)
        pid = fork(lambda nth=nth: counted(lambda: commit(2), deadly=("", nth)))
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        say(killed=killed, rows=[one.tables["orders"].rows for one in Ledger.read(place)])
        if not killed:
            break


# Disks that refuse.


def attempt(
    root: Path, prepare: Callable[[], None] = lambda: None, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Ingest after `prepare`; return how it ended."""
    prepare()
    try:
        return {"told": ingest_it(root, progress)}
    except CxError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except Exception as error:
        return {"error": "traceback", "message": "".join(traceback.format_exception(error)), "hint": ""}


def small_files(base: str, limits: list[int], workers: int) -> None:
    """Let no file grow beyond a limit, as a quota does."""
    import resource  # of POSIX

    root = warm(base)

    def limit(size: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    def one(size: int) -> None:
        place = copied(root, f"limit-{size}")
        end = in_child(lambda: attempt(place, lambda: limit(size)))
        say(at=size, end=end, **in_child(lambda: recover(place, "ingest")))
        shutil.rmtree(place)

    say(old=in_child(lambda: look(root)))
    each(limits, one, workers)


def full_disk(base: str, mount: str, cases: list[tuple[str, int]]) -> None:
    """Work on a small disk of its own which is full but for some KB from a step on; needs the right to mount one."""
    root, disk = warm(base), Path(mount)
    for step, size in cases:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", mount], check=True)
        place = Path(shutil.copytree(root, disk / "workspace"))
        filler = disk / "filler"

        def fill(said: str, step: str = step, size: int = size, filler: Path = filler) -> None:
            if step in said and not filler.exists():
                with filler.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - size * 1024)

        old = in_child(lambda place=place: look(place))
        end = in_child(lambda place=place, fill=fill: attempt(place, lambda: fill("before"), fill))
        during = in_child(lambda place=place: look(place))
        filler.unlink()
        say(at=[step, size], old=old, during=during, end=end, **in_child(lambda place=place: recover(place, "ingest")))
        subprocess.run(["umount", mount], check=True)


def refusals(base: str, workers: int) -> None:
    """Let calls of Python that write fail with a full disk, one of each place in the code in turn."""
    root = warm(base)
    after = copied(root, "undisturbed")

    def failing(place: Path, label: str, seen: list[str]) -> dict[str, Any]:
        def watch(frame: Any, event: str, what: Any) -> None:
            if event != "c_call" or what.__name__ not in WRITING or isinstance(what.__self__, str | bytes | date):
                return
            caller = next((one.f_code for one in frames(frame) if ROOM in one.f_code.co_filename), None)
            if caller is not None:
                seen.append(f"{Path(caller.co_filename).name}:{caller.co_name} {what.__name__}")
                if seen[-1] == label and seen.count(label) == 1:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        try:
            return attempt(place, lambda: [one.setprofile(watch) for one in (threading, sys)])
        finally:
            sys.setprofile(None)

    def calls(place: Path) -> list[str]:
        failing(place, "", seen := [])
        return seen

    labels = in_child(lambda: calls(after))
    say(old=in_child(lambda: look(root)))

    def one(label: str) -> None:
        place = copied(root, f"refusal-{label}")
        end = in_child(lambda: failing(place, label, []))
        say(at=label, end=end, **in_child(lambda: recover(place, "ingest")))
        shutil.rmtree(place)

    each(sorted(set(labels)), one, workers)


def frames(frame: Any) -> Iterator[Any]:
    """Yield a frame and its callers."""
    while frame is not None:
        yield frame
        frame = frame.f_back


# Files that others own, and files that do not stay as they are.


def as_nobody(base: str, closed: dict[str, int]) -> None:
    """Ingest without the superuser's rights, with some paths closed."""
    root = warm(base)

    def lose() -> None:
        if os.geteuid() == 0:
            os.seteuid(65534)

    say(old=in_child(lambda: look(root)))
    before = {path: (root / path).stat().st_mode for path in closed}
    for path, mode in closed.items():
        (root / path).chmod(mode)
    say(end=in_child(lambda: attempt(root, lose)))
    for path, mode in before.items():
        (root / path).chmod(mode)
    say(**in_child(lambda: recover(root, "ingest")))


def changing(base: str, how: str) -> None:
    """Change a raw file once an ingest has begun to read."""
    root = Path(base)
    raw = root / "raw" / "orders.csv"
    before = raw.read_bytes()
    info = raw.stat()

    def change(_: str) -> None:
        if not raw.exists() or raw.read_bytes() != before:
            return
        if how == "vanishes":
            raw.unlink()
        elif how == "grows":
            raw.write_bytes(before + b"o7777,c1,2026-01-01,1\n")
        else:  # an exporter wrote it anew: as long, and with its old time of change
            raw.write_bytes(before.replace(b"o1,", b"o3,"))
            os.utime(raw, ns=(info.st_atime_ns, info.st_mtime_ns))

    def end() -> dict[str, Any]:
        try:
            return {"told": Toy(root).ingest(now=NOW, progress=change).snapshot_id}
        except CxError as error:
            return {"error": type(error).__name__, "message": error.message, "hint": error.hint}

    say(old=in_child(lambda: look(root)), end=in_child(end), after=in_child(lambda: look(root)))


# Two writers.


def two_writers(base: str) -> None:
    """Let one ingest stand still while another tries; then let both go on."""
    root = Path(base)
    go, stands = root / "go", root / "stands"
    other = Toy(root).sql.parent / "other"
    shutil.copytree(Toy(root).sql, other)

    def waiting(_: str) -> None:
        stands.touch()
        wait_for(go)

    first = fork(lambda: Toy(root).ingest(now=NOW, progress=waiting))
    wait_for(stands)
    say(pid=first, second=in_child(lambda: attempt(root)), reader=in_child(lambda: look(root)))
    go.touch()
    ended = os.waitpid(first, 0)[1]
    say(ended=ended, again=in_child(lambda: attempt(root)), reader=in_child(lambda: look(root)))


def race(base: str, rounds: int) -> None:
    """Start two ingests of different files at the same moment; whoever is refused tries again."""
    root = Path(base)
    for number in range(rounds):
        place = copied(root, f"race-{number}")
        raws = []
        for side in ("left", "right"):
            raws.append(Path(shutil.copytree(place / "raw", place / side)))
            rows = f"source,month,amount\n{side},2026-01-01,1\n"
            (raws[-1] / "costs.csv").write_text(rows, encoding="utf-8")

        def one(raw: Path, place: Path = place) -> dict[str, Any]:
            refused = []
            until = time.monotonic() + SILENT
            while time.monotonic() < until:
                try:
                    return {"told": Toy(place).ingest(now=NOW, folder=raw).snapshot_id, "refused": refused}
                except CxError as error:
                    refused.append(error.message)
                    time.sleep(0.05)
            raise TimeoutError

        each(raws, lambda raw: say(round=number, **in_child(lambda: one(raw))), 2)  # noqa: B023
        say(round=number, **in_child(lambda: {"costs": Toy(place).rows("costs", "source"), **look(place)}))  # noqa: B023


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + SILENT
    while not path.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.005)


# Readers.

MONTHS = [f"2026-{month:02d}" for month in range(1, 4)]


def put_number(toy: Toy, number: int) -> None:
    """Lay out two tables in which every row carries one number."""
    toy.put("costs", "source,month,amount\n" + "".join(f"ads,{month}-01,{number}\n" for month in MONTHS))
    orders = "".join(f"o{month},c1,{month}-05,{number}\n" for month in MONTHS)
    toy.put("orders", f"order_id,customer_id,ordered_at,amount\n{orders}")


def readers(root: str, count: int, commits: int) -> None:
    """Let readers look on while a writer commits and compacts; one of them holds the first snapshot all the while."""
    toy, stop = Toy(Path(root)), Path(root) / "stop"
    put_number(toy, 0)
    in_child(lambda: toy.ingest(now=NOW).snapshot_id)
    pids = [fork(lambda n=n: say(reader=n, **look_on(toy, stop))) for n in range(count - 1)]
    pids.append(fork(lambda: say(holder=True, **hold_on(toy, stop))))
    try:
        say(writer=True, **in_child(lambda: write_on(toy, commits)))
    finally:
        stop.touch()
        failed = [pid for pid in pids if os.waitpid(pid, 0)[1]]
    say(failed=len(failed))


def write_on(toy: Toy, commits: int) -> dict[str, Any]:
    """Commit numbers, and compact every tenth time all but the last few and the first snapshot."""
    first = Ledger.find(toy.root / "data" / "store").id
    dropped, start = 0, time.monotonic()
    for number in range(1, commits + 1):
        put_number(toy, number)
        now = NOW + timedelta(days=number)
        toy.ingest(now=now)
        if number % 10 == 0:
            report = compact(toy.root, "data/store", retention_days=8, now=now, keep={first})
            dropped += len(report.dropped)
    return {"dropped": dropped, "seconds": time.monotonic() - start}


def numbers_in(store: Any, name: str) -> Iterator[int]:
    """Yield the numbers in a table."""
    yield from (int(value) for value in store.run(store.tables[name].select("amount")).amount)


def look_on(toy: Toy, stop: Path) -> dict[str, Any]:
    """Open the newest snapshot again and again; tell what was seen in both tables together."""
    seen: dict[str, list[int]] = {}
    times, late, mixed = 0, 0, []
    while not stop.exists():
        with toy.open(threads=1) as store:
            try:
                found = sorted({*numbers_in(store, "costs"), *numbers_in(store, "orders")})
            except Exception:
                if Ledger.read(toy.root / "data" / "store")[int(store.snapshot.id[:4]) - 1].dropped is None:
                    raise
                late += 1  # a machine so busy that the snapshot was beyond retention before it was read
                continue
        times += 1
        time.sleep(0.2)  # readers pause, too: six that never do leave the writer no time
        if seen.setdefault(store.snapshot.id, found) != found or len(found) != 1:
            mixed.append([store.snapshot.id, found])
    return {"times": times, "snapshots": len(seen), "mixed": mixed, "late": late}


def hold_on(toy: Toy, stop: Path) -> dict[str, Any]:
    """Hold one snapshot open from the first commit to the last; its second table is asked for late."""
    seen, times = set(), 0
    with toy.open(threads=1) as store:
        while not stop.exists():
            seen |= set(numbers_in(store, "costs"))
            times += 1
            time.sleep(0.1)
        seen |= set(numbers_in(store, "orders"))
    return {"times": times, "seen": sorted(seen)}


if __name__ == "__main__":
    main()
