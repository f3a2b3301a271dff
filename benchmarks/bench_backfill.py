"""Back-fills: `cx backfill` against papermill in a loop, against a pool of papermill processes, and against the limit.

The limit is the same cells as plain functions, in processes forked from one that has imported everything: no kernel, no
protocol, no page, no manifest. It takes the same sums from the same kind of cache. What is compared has equal numbers.

A year of a papermill loop takes half an hour, so the slow sides do some of the months (`SOME`) and are scaled; what
they did stands in the table. `CX_BENCH_MONTHS` and `CX_BENCH_BIG` (customers of the large company; 0: none) say how
much.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from pathlib import Path

import pandas as pd
import psutil
from bench_month import ONE_THREAD
from stopwatch import ROOT, Board, Taken, cx, python

from cxlib import results
from cxlib.periods import Period

LAST = Period.parse("2026-10")
MONTHS = int(os.environ.get("CX_BENCH_MONTHS", "12"))
BIG = int(os.environ.get("CX_BENCH_BIG", "200000"))
SOME = 1  # months that a loop and a pool do
OF_36 = int(os.environ.get("CX_BENCH_BIG_MONTHS", "36"))  # of the large company that a back-fill does
ROUNDS = int(os.environ.get("CX_BENCH_ROUNDS", "3"))
POOL = 4


def test_a_year(company: Path, board: Board, tmp_path: Path) -> None:
    months = [period.label for period in LAST.last(MONTHS)]
    _backfill(company, months[-1:])  # unmeasured: bytecode and cold files
    loop, ours, limit, some = [], [], [], months[-SOME:]
    for number in range(ROUNDS):
        ours.append(_backfill(company, months))
        limit.append(_limit(company, months, tmp_path / f"limit-{number}"))
        if number == 0 or ROUNDS * SOME <= 3:
            loop.append(reduce(add, [_loop(company, month, tmp_path / f"loop-{number}") for month in some]))
            _same_numbers(company, some[-1], tmp_path / f"loop-{number}" / some[-1])
    slow = board.add(f"papermill in a loop, {SOME} of {MONTHS} months", loop) * MONTHS / SOME
    board.say(f"{slow:.0f} s for all")
    fast = board.add(f"cx backfill, {MONTHS} months, no sums kept before", ours)
    board.say(f"{slow / fast:.1f} times as fast as the loop")
    least = board.add(f"the limit: cells as functions in forked processes, {MONTHS} months", limit)
    board.say(f"cx backfill takes {fast / least:.2f} of it")
    kept = board.add("the same back-fill, nothing changed", [_nothing(company, months) for _ in range(ROUNDS)])
    board.say(f"{fast / kept:.0f} times as fast")
    _memory(company, months[-2:], board)


def test_three_years_of_a_large_company(board: Board, tmp_path: Path) -> None:
    if not BIG:
        return
    company = tmp_path / "big"
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, company / name)
    python("-m", "cxlib.cli", "demo", "--customers", str(BIG), cwd=company)
    months = [period.label for period in LAST.last(OF_36)]
    pool = _pool(company, months[-SOME:], tmp_path / "pool")
    slow = board.add(f"{BIG:,} customers: papermill in {POOL} processes, {SOME} of 36 months", [pool]) * 36 / SOME
    board.say(f"{slow:.0f} s for all")
    ours = _backfill(company, months, longest=7200)
    fast = board.add(f"{BIG:,} customers: cx backfill, {OF_36} of 36 months", [ours]) * 36 / OF_36
    board.say(f"{fast:.0f} s for all, {slow / fast:.1f} times as fast as the pool")
    _same_numbers(company, months[-1], tmp_path / "pool" / months[-1])
    board.add("the same, nothing changed", [_nothing(company, months)])


def _backfill(company: Path, months: list[str], longest: float = 3600) -> Taken:
    """Make the months anew, without any sums of before."""
    shutil.rmtree(company / "data" / "kept", ignore_errors=True)
    return cx("backfill", "monthly", "--from", months[0], "--to", months[-1], "--force", cwd=company, longest=longest)


def _nothing(company: Path, months: list[str]) -> Taken:
    return cx("backfill", "monthly", "--from", months[0], "--to", months[-1], cwd=company)


def _loop(company: Path, month: str, out: Path) -> Taken:
    return reduce(add, [_papermill(company, notebook, month, out) for notebook in _notebooks(company)])


def _pool(company: Path, months: list[str], out: Path) -> Taken:
    """Give each notebook of each month to the next of some processes that is free."""
    asked = [(notebook, month) for month in months for notebook in _notebooks(company)]
    started = time.perf_counter()
    with ThreadPoolExecutor(POOL) as pool:
        taken = list(pool.map(lambda one: _papermill(company, *one, out), asked))
    return Taken(time.perf_counter() - started, POOL * max(one.megabytes for one in taken))


def _papermill(company: Path, notebook: Path, month: str, out: Path) -> Taken:
    folder = out / month
    folder.mkdir(parents=True, exist_ok=True)
    given = ["-p", "period", month, "-p", "run_folder", str(folder)]
    words = ["-m", "papermill", str(notebook), str(folder / notebook.name), *given, "--no-progress-bar"]
    return python(*words, cwd=company, longest=1800, **ONE_THREAD)


def _notebooks(company: Path) -> list[Path]:
    return sorted((company / "notebooks" / "monthly").glob("[0-9]*.ipynb"))


def _limit(company: Path, months: list[str], out: Path) -> Taken:
    kept = out / "kept"
    kept.mkdir(parents=True)
    return python(__file__, str(out), *months, cwd=company, longest=3600, CX_KEPT=str(kept), **ONE_THREAD)


def _same_numbers(company: Path, month: str, out: Path) -> None:
    theirs = pd.concat([pd.read_parquet(file) for file in sorted((out / "results").iterdir())], ignore_index=True)
    theirs = theirs.drop_duplicates(list(results.TEXT), ignore_index=True)
    ours = pd.read_parquet(company / "reports" / "monthly" / month / "results.parquet")
    pd.testing.assert_frame_equal(theirs, ours, check_exact=True)


def _memory(company: Path, months: list[str], board: Board) -> None:
    """Look at the memory that each kernel has for itself while two months are made."""
    own: dict[int, float] = {}
    words = ("backfill", "monthly", "--from", months[0], "--to", months[-1], "--force")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-m", "cxlib.cli", *words], cwd=company, env=env, stderr=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL) as run:  # fmt: skip
        owner = psutil.Process(run.pid)
        while run.poll() is None:
            for kernel in _kernels(owner):
                try:
                    own[kernel.pid] = max(own.get(kernel.pid, 0), kernel.memory_full_info().uss / 1e6)
                except psutil.Error:
                    continue
            time.sleep(0.2)
    if own:
        board.add("private memory of a kernel, at most", [Taken(0, max(own.values()))])
        board.say(f"median {statistics.median(own.values()):.0f} MB over {len(own)} kernels")


def _kernels(owner: psutil.Process) -> list[psutil.Process]:
    """Return the kernels that were forked: children of the template, which is a child of the owner."""
    try:
        templates = [one for one in owner.children() if "kernels_template" in " ".join(one.cmdline())]
        return [kernel for one in templates for kernel in one.children()]
    except psutil.Error:
        return []


def cells(out: Path, months: list[str]) -> None:
    """Run the pack's cells as plain functions in processes forked from this one: the limit."""
    import gc
    import multiprocessing

    import matplotlib as mpl
    import nbformat

    mpl.use("agg")
    from cxlib.reports.kernels_stack import Stack

    for _ in Stack().import_all():
        pass
    gc.freeze()
    folder = Path("notebooks/monthly")
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("[0-9]*.ipynb"))}
    for month in months:
        (out / month).mkdir(parents=True)
    asked = [(notebooks[name], month, str(out / month)) for month in months for name in notebooks]
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        pool.map(_cells, asked, chunksize=1)


def _cells(asked: tuple) -> None:
    """Run the cells of one notebook."""
    import contextlib
    import gc
    import io

    notebook, month, folder = asked
    gc.set_threshold(100_000, 50, 100)
    names: dict = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, "cell", "exec"), names)
                if "parameters" in cell.metadata.get("tags", []):
                    names |= {"period": month, "run_folder": folder}


if __name__ == "__main__":
    assert threading.active_count() == 1
    cells(Path(sys.argv[1]), sys.argv[2:])
