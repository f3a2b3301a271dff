"""One month's pack: `cx run` against the `papermill` command in a loop over the same notebooks, in turns.

Both start cold, as a scheduler starts them, and read the same store. The loop writes executed notebooks alone;
`cx run` also makes pages, pictures, results, frozen inputs, checks and the manifest, and replaces the report of the
round before.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from pathlib import Path

from stopwatch import Board, Taken, cx, python

PERIOD = "2026-10"
ROUNDS = 3


def test_one_month(company: Path, board: Board) -> None:
    notebooks = sorted((company / "notebooks" / "monthly").glob("[0-9]*.ipynb"))
    _run(company)  # unmeasured, and so is papermill's start: neither side pays for bytecode and cold files
    python("-m", "papermill", "--version", cwd=company)
    loop, ours = [], []
    for _ in range(ROUNDS):
        loop.append(reduce(add, [_papermill(company, notebook) for notebook in notebooks]))
        ours.append(_run(company))
    slow = board.add(f"month, {len(notebooks)} notebooks: papermill in a loop", loop)
    fast = board.add(f"month, {len(notebooks)} notebooks: cx run", ours)
    board.lines[-1] = (*board.lines[-1][:-1], f"{slow / fast:.2f} times as fast")


def _run(company: Path) -> Taken:
    return cx("run", "monthly", "--period", PERIOD, "--force", cwd=company)


def _papermill(company: Path, notebook: Path) -> Taken:
    words = ["papermill", str(notebook), str(company / f"{notebook.stem}.out.ipynb"), "-p", "period", PERIOD]
    return python("-m", *words, "--no-progress-bar", cwd=company)
