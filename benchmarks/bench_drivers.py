"""Shares of R2 by all orders (LMG): 15 drivers with 1,000 bootstraps, and 20, against the plain loop over all models.

The loop is what packages without compiled code do (pingouin's `relimp`, say): for every draw and every set of drivers a
linear system is solved, and the gains are averaged. 1,000 draws of it would take hours: two are timed, less a run of
none, and multiplied. That the shares of those draws are equal is checked.

Run as a script it is one of the ways: `bench_drivers.py ours FOLDER DRIVERS DRAWS`.
"""

from __future__ import annotations

import sys
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from stopwatch import Board, python

ANSWERS, DRAWS, SLOW = 20_000, 1_000, 2


def test_lmg(board: Board, tmp_path: Path) -> None:
    def run(*words: object) -> list:
        return [python(__file__, *map(str, words), cwd=tmp_path)]

    ours = board.add(f"LMG of 15 drivers, {DRAWS:,} draws of {ANSWERS:,} answers", run("ours", tmp_path, 15, DRAWS))
    bare = board.add("the same without draws: start, imports, one fit", run("ours", tmp_path, 15, 0))
    idle = board.add("plain loop over all models: no draw", run("loop", tmp_path, 15, 0))
    loop = board.add(f"plain loop over all models: {SLOW} draws", run("loop", tmp_path, 15, SLOW))
    slow, fast = (loop - idle) / SLOW * DRAWS, ours - bare
    board.say(
        f"{slow / 60:,.0f} minutes for {DRAWS:,} draws, {slow / fast:,.0f} times ours ({fast:.1f} s beyond a bare fit)"
    )
    found = np.load(tmp_path / f"loop 15 {SLOW}.npy")
    run("ours", tmp_path, 15, SLOW)
    np.testing.assert_allclose(np.load(tmp_path / f"ours 15 {SLOW}.npy"), found, atol=1e-9)
    board.add(f"LMG of 20 drivers, {DRAWS:,} draws", run("ours", tmp_path, 20, DRAWS))
    board.add("LMG of 20 drivers, no draws", run("ours", tmp_path, 20, 0))


def answers(drivers: int) -> pd.DataFrame:
    """Return correlated ratings and a satisfaction that most of them move."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=(ANSWERS, 1)) + rng.normal(size=(ANSWERS, drivers))
    frame = pd.DataFrame(table, columns=[f"x{place:02}" for place in range(drivers)])
    return frame.assign(y=table @ np.linspace(1, 0, drivers) + rng.normal(size=ANSWERS) * 4)


def with_cxlib(drivers: int, draws: int) -> np.ndarray:
    from cxlib.analysis import drivers as room

    frame = answers(drivers)
    fit = room.fit(frame, "y", list(frame.columns[:-1]), bootstrap=draws, rng=np.random.default_rng(2))
    return fit.share_draws


def with_a_loop(drivers: int, draws: int) -> np.ndarray:
    from cxlib.analysis import drivers as room

    frame = answers(drivers)
    if not draws:
        return np.empty((0, drivers))
    covs = room.fit(frame, "y", list(frame.columns[:-1]), method="johnson", bootstrap=draws,
                    rng=np.random.default_rng(2)).draws  # fmt: skip
    return np.stack([one_draw(cov) for cov in covs])


def one_draw(cov: np.ndarray) -> np.ndarray:
    """Average each driver's gain over all sets of the others, a linear system for each set."""
    parts = len(cov) - 1
    known = {}
    for size in range(parts + 1):
        for chosen in combinations(range(1, parts + 1), size):
            mine = list(chosen)
            slope = np.linalg.solve(cov[np.ix_(mine, mine)], cov[mine, 0]) if mine else np.empty(0)
            known[chosen] = float(slope @ cov[mine, 0]) / cov[0, 0] if mine else 0.0
    found = np.zeros(parts)
    for chosen, value in known.items():
        size = len(chosen)
        for place in range(parts):
            if place + 1 in chosen:
                found[place] += value / (parts * comb(parts - 1, size - 1))
            else:
                found[place] -= value / (parts * comb(parts - 1, size))
    return found


if __name__ == "__main__":
    way, where, count, times = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    np.save(where / f"{way} {count} {times}.npy", {"ours": with_cxlib, "loop": with_a_loop}[way](count, times))
