"""One month's pack: `cx run` against the `papermill` command in a loop over the same notebooks, in turns.

Both start cold, as a scheduler starts them, read the same store and leave the same figures, frozen inputs and results;
that the numbers are equal is checked, to the last digit: so both have one thread for linear algebra, as `cx run` gives
itself, for sums end otherwise on several. `cx run` also makes the pages, looks for small cells, writes the manifest and
replaces the report of the round before as one.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from pathlib import Path

import pandas as pd
from stopwatch import Board, Taken, cx, python

from cxlib import results

PERIOD = "2026-10"
ROUNDS = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def test_one_month(company: Path, board: Board, tmp_path: Path) -> None:
    notebooks = sorted((company / "notebooks" / "monthly").glob("[0-9]*.ipynb"))
    _run(company)  # unmeasured, and so is papermill's start: neither side pays for bytecode and cold files
    python("-m", "papermill", "--version", cwd=company)
    loop, ours = [], []
    for number in range(ROUNDS):
        out = tmp_path / str(number)  # what a folder has frozen already would be replayed
        out.mkdir()
        loop.append(reduce(add, [_papermill(company, notebook, out) for notebook in notebooks]))
        ours.append(_run(company))
        _same_numbers(company, out)
    slow = board.add(f"month, {len(notebooks)} notebooks: papermill in a loop", loop)
    fast = board.add(f"month, {len(notebooks)} notebooks: cx run", ours)
    board.say(f"{slow / fast:.2f} times as fast")


def _run(company: Path) -> Taken:
    return cx("run", "monthly", "--period", PERIOD, "--force", cwd=company)


def _papermill(company: Path, notebook: Path, out: Path) -> Taken:
    given = ["-p", "period", PERIOD, "-p", "run_folder", str(out)]
    return python(
        "-m",
        "papermill",
        str(notebook),
        str(out / notebook.name),
        *given,
        "--no-progress-bar",
        cwd=company,
        **ONE_THREAD,
    )


def _same_numbers(company: Path, out: Path) -> None:
    theirs = pd.concat([pd.read_parquet(file) for file in sorted((out / "results").iterdir())], ignore_index=True)
    theirs = theirs.drop_duplicates(list(results.TEXT), ignore_index=True)  # what two notebooks show stands once
    ours = pd.read_parquet(company / "reports" / "monthly" / PERIOD / "results.parquet")
    pd.testing.assert_frame_equal(theirs, ours, check_exact=True)
