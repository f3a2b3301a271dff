"""One month's pack: `cx run` against the `papermill` command in a loop over the same notebooks, in turns.

    python benchmarks/bench_month.py [--customers 20000] [--rounds 3]

Both start cold, as a scheduler starts them, and read the same demo company. The loop writes executed notebooks alone;
`cx run` also makes pages, results, checks and the manifest. Medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PERIOD = "2026-10"
_ENV = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_ENV |= {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))}


def _timed(*commands: list[str], cwd: Path) -> float:
    """Return the seconds that some commands take one after the other; a failing one stops the benchmark."""
    started = time.perf_counter()
    for command in commands:
        done = subprocess.run(command, cwd=cwd, env=_ENV, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


def _workspace(folder: Path, customers: int) -> Path:
    """Return a workspace with the project's own params and notebooks and a demo of that size."""
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    _timed([sys.executable, "-m", "cxlib.cli", "demo", "--customers", str(customers)], cwd=folder)
    return folder


def compare(customers: int, rounds: int) -> float:
    """Time both ways in turns, print the medians, and return the ratio."""
    ours, loop = [], []
    with tempfile.TemporaryDirectory() as scratch:
        root = _workspace(Path(scratch), customers)
        notebooks = sorted((root / "notebooks" / "monthly").glob("[0-9]*.ipynb"))
        run = [sys.executable, "-m", "cxlib.cli", "run", "monthly", "--period", PERIOD, "--force"]
        names = [path.relative_to(root).as_posix() for path in notebooks]
        out = [f"{path.stem}.out.ipynb" for path in notebooks]
        each = [
            [sys.executable, "-m", "papermill", name, target, "-p", "period", PERIOD, "--no-progress-bar"]
            for name, target in zip(names, out, strict=True)
        ]
        _timed(*each, run, cwd=root)  # once unmeasured, so that neither side pays for compiling bytecode
        for _ in range(rounds):
            loop.append(_timed(*each, cwd=root))
            ours.append(_timed(run, cwd=root))
    fast, slow = statistics.median(ours), statistics.median(loop)
    print(f"\n{len(notebooks)} notebooks, {customers:,} customers, medians of {rounds} rounds in turns")
    print(f"{os.cpu_count()} processors, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
    print(f"papermill in a loop  {slow:6.1f} s   ({', '.join(f'{s:.1f}' for s in loop)})")
    print(f"cx run               {fast:6.1f} s   ({', '.join(f'{s:.1f}' for s in ours)})")
    print(f"ratio                {slow / fast:6.2f}")
    return slow / fast


@pytest.mark.slow
def test_one_month_against_papermill() -> None:
    """`pytest benchmarks`: prints the figures; the runner is never slower than the loop."""
    assert compare(customers=5_000, rounds=3) > 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    compare(given.customers, given.rounds)
