"""kill -9 of a back-fill's runner at random moments, gone on with each time, against an undisturbed run.

    python benchmarks/kill_runner.py --kills 100

A back-fill of six months is begun, killed at a moment that is drawn evenly over the length of an undisturbed one, and
resumed, until it comes to its end; then the next is begun, until as many kills have hit. After every kill all that
stands has to be whole, to the checksum of each file; at every end all numbers have to be those of the undisturbed run,
and nothing may be left of processes and temporary files.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import quick_workspace as quick  # noqa: E402

from cxlib.reports import places, provenance  # noqa: E402
from cxlib.reports.backfilling import QUEUE  # noqa: E402

MONTHS = tuple(f"2026-{month:02}" for month in range(4, 10))
GONE = 30  # seconds that workers and kernels may take to notice that their runner is dead


@dataclass
class Company:
    """A workspace with a back-fill to be disturbed."""

    root: Path
    aside: Path
    jobs: int
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def pack(self) -> Path:
        return self.root / "reports" / "quick"

    @property
    def queued(self) -> bool:
        return (self.pack / QUEUE).exists()

    def begin(self) -> subprocess.Popen[bytes]:
        """Begin the back-fill, or go on with it."""
        words = ["--resume"] if self.queued else ["--from", MONTHS[0]]
        command = [sys.executable, "-m", "cxlib.cli", "backfill", "quick", *words, "--jobs", str(self.jobs)]
        own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.aside), "CX_MARK": self.mark}
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.root, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=log
            )

    def half(self) -> list[str]:
        """Return what stands under a period's name and is not a whole report."""
        return [folder.name for folder in sorted(self.pack.glob("2*")) if not whole(folder)]

    def left(self) -> list[str]:
        """Return the processes and temporary files that are there though no command runs."""
        deadline = time.monotonic() + GONE
        while (found := self._running()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [*found, *(path.name for path in self.aside.iterdir())]

    def _running(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("CX_MARK") == self.mark:
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
            except psutil.Error:
                continue
        return found

    def numbers(self) -> dict[str, pd.DataFrame]:
        return {path.parent.name: pd.read_parquet(path) for path in self.pack.glob("2*/results.parquet")}


def whole(folder: Path) -> bool:
    """Say whether a report has all its files, each as it was written."""
    manifest = places.manifest(folder)
    if manifest is None or manifest["state"] != "published":
        return False
    return provenance.checksums(folder, leave_out=[places.MANIFEST]) == manifest["outputs"]


def unlike(expected: dict[str, pd.DataFrame], found: dict[str, pd.DataFrame]) -> list[str]:
    """Return the months whose numbers are not those expected, to the last digit."""
    return [month for month in {*expected, *found} if not same(expected.get(month), found.get(month))]


def same(one: pd.DataFrame | None, other: pd.DataFrame | None) -> bool:
    return one is not None and other is not None and one.equals(other)


@dataclass
class Count:
    """What happened."""

    kills: int = 0
    resumed: int = 0
    ends: int = 0
    faults: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    standing: list[int] = field(default_factory=list)


def disturb(company: Company, expected: dict[str, pd.DataFrame], kills: int, draw: Callable[[], float]) -> Count:
    """Kill and go on until enough kills have hit and the last back-fill has come to its end."""
    count = Count()
    while count.kills < kills or company.queued:
        count.resumed += company.queued
        process = company.begin()
        moment = draw() if count.kills < kills else None
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            count.kills += 1
            count.moments.append(moment or 0)
            count.standing.append(len(list(company.pack.glob("2*"))))
            count.faults += [f"kill {count.kills}: {name} is half" for name in company.half()]
            print(f"kill {count.kills} at {moment:.2f} s: {count.standing[-1]} reports stand", flush=True)
            continue
        count.ends += 1
        count.faults += [f"end {count.ends}: exit code {code}"] * (code != 0)
        count.faults += [f"end {count.ends}: {month} differs" for month in unlike(expected, company.numbers())]
        count.faults += [f"end {count.ends}: {name} is half" for name in company.half()]
        count.faults += [f"end {count.ends}: left {path.name}" for path in company.pack.glob(".building*")]
        count.faults += [f"end {count.ends}: left {name}" for name in company.left()]
        shutil.rmtree(company.root / "reports")
    return count


def main() -> int:
    """Disturb a back-fill as often as asked for and tell what came of it; 1 where anything was not as it should be."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--kills", type=int, default=100)
    given.add_argument("--seed", type=int, default=7)
    given.add_argument("--jobs", type=int, default=2)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        aside = Path(folder, "t")
        aside.mkdir()
        company = Company(quick.workspace(Path(folder, "w"), MONTHS), aside, asked.jobs)
        started = time.monotonic()
        if company.begin().wait():
            print((company.root / "log").read_text(encoding="utf-8"))
            return 1
        lasts = time.monotonic() - started
        expected = company.numbers()
        shutil.rmtree(company.root / "reports")
        print(f"undisturbed: {len(expected)} reports in {lasts:.1f} s", flush=True)
        moments = random.Random(asked.seed)
        count = disturb(company, expected, asked.kills, lambda: moments.uniform(0, lasts))
    spread = sorted(count.moments)
    print(f"{count.kills} kills hit, at {spread[0]:.2f} to {spread[-1]:.2f} s of {lasts:.1f} s")
    print(f"{sum(0 < n < len(MONTHS) for n in count.standing)} of them with some reports made and some not")
    print(f"{count.resumed} times resumed, {count.ends} back-fills came to their end")
    print(
        "\n".join(count.faults)
        or "all numbers equal those of the undisturbed run; nothing was ever half or left behind"
    )
    return 1 if count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
