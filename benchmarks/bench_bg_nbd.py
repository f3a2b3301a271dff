"""BG/NBD fitted to 23,570 and to a million customers, against `lifetimes` in an environment of its own.

The customers are those of CDNOW where the shared data is there (`CX_SHARED`), else drawn; the million are drawn from
the parameters of Fader, Hardie and Lee (2005), bought over three years, to the day. Both fit the same numbers; what is
timed is the fit alone, in a process of its own, after the imports. The log likelihood of both fits is worked out by one
formula, here: it must be equal, ours not lower.

The peer needs an older pandas. Its Python is named in `CX_BENCH_LIFETIMES`; without that an environment is made in a
temporary folder, and where that fails the figures are shown without it.

Run as a script it is one of the ways: `bench_bg_nbd.py ours FILE OUT`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

MILLION = int(os.environ.get("CX_BENCH_CUSTOMERS", 1_000_000))
PEER = ("lifetimes==0.11.3", "numpy<2", "pandas<2.2", "scipy<1.13")
TRUTH = (0.243, 4.414, 0.793, 2.426)
ROUNDS = 3
EQUAL = 0.05  # of a log likelihood: lifetimes stops when its scaled one changes by less than 1e-9 a customer


def test_fit(board, tmp_path: Path) -> None:
    import pytest  # not at the top: the peer's environment lacks it
    from stopwatch import peer_python

    peer = peer_python(tmp_path, "CX_BENCH_LIFETIMES", PEER)
    for name, make in (("23,570 customers of CDNOW", cdnow), (f"{MILLION:,} customers", drawn)):
        customers = make()
        np.save(tmp_path / "customers.npy", customers)
        ours = [fitted(sys.executable, "ours", tmp_path) for _ in range(ROUNDS)]
        seconds = board.add(f"BG/NBD, {name}: cxlib", [taken(one) for one in ours])
        best = log_likelihood(ours[0]["parameters"], customers)
        board.say(f"log likelihood {best:,.3f}")
        if peer is None:
            continue
        theirs = fitted(peer, "lifetimes", tmp_path)
        slower = board.add(f"BG/NBD, {name}: lifetimes", [taken(theirs)])
        other = log_likelihood(theirs["parameters"], customers)
        board.say(f"log likelihood {other:,.3f}; {slower / seconds:.0f} times our time")
        assert best == pytest.approx(ours[0]["log_likelihood"], rel=1e-10)
        assert other - 1e-6 < best < other + EQUAL


def taken(found: dict):
    """Return what the board takes."""
    from stopwatch import Taken

    return Taken(found["seconds"], found["megabytes"])


def fitted(python: str, way: str, folder: Path) -> dict:
    """Fit in a process of its own."""
    command = [python, __file__, way, str(folder / "customers.npy"), str(folder / "found.json")]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent) if way == "ours" else ""}
    subprocess.run(command, check=True, env=env, timeout=600)
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def cdnow() -> np.ndarray:
    """Return frequency, recency and T of the master file's customers up to 30 September 1997, shape (3, n)."""
    shared = Path(os.environ.get("CX_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    path = shared / "data" / "cdnow" / "CDNOW_master.txt"
    if not path.exists():
        return drawn(23_570, (27, 39))
    import pandas as pd

    from cxlib.analysis import value

    names = ["customer", "day", "units", "amount"]
    rows = pd.read_csv(path, sep=r"\s+", names=names, header=0, dtype={"customer": str, "day": str})
    found = value.summarise_transactions(rows, "customer", "day", end="1997-09-30")
    return found[["frequency", "recency", "T"]].to_numpy(dtype=float).T


def drawn(size: int = MILLION, weeks: tuple[int, int] = (0, 156)) -> np.ndarray:
    """Draw customers, whose purchases fall on whole days; shape (3, size)."""
    rng = np.random.default_rng(20261031)
    r, alpha, a, b = TRUTH
    end = rng.integers(7 * weeks[0] + 1, 7 * weeks[1], size)
    rate, leave = rng.gamma(r, 1 / alpha, size) / 7, rng.beta(a, b, size)
    count, last, now, who = np.zeros(size, dtype=int), np.zeros(size, dtype=int), np.zeros(size), np.arange(size)
    while who.size:
        now[who] += rng.exponential(1 / rate[who])
        day = np.ceil(np.minimum(now[who], 1e9)).astype(int)
        who, day = who[day <= end[who]], day[day <= end[who]]
        count[who] += day > last[who]  # two purchases of a day are one
        last[who] = day
        who = who[rng.random(who.size) > leave[who]]
    return np.array([count, last / 7, end / 7])


def log_likelihood(parameters: list[float], customers: np.ndarray) -> float:
    """Return the log likelihood of Fader, Hardie and Lee (2005), equation (6), in the given unit of time."""
    from scipy.special import betaln, gammaln

    (r, alpha, a, b), (x, t_x, end) = parameters, customers
    here = betaln(a, b + x) - (r + x) * np.log(alpha + end)
    gone = betaln(a + 1, b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t_x)
    either = np.logaddexp(here, np.where(x > 0, gone, -np.inf))
    return float(np.sum(either + gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)))


def fit(way: str, customers: np.ndarray) -> tuple[list[float], float | None, float]:
    """Return the parameters, the log likelihood where it is told, and the seconds that the fit took."""
    if way == "ours":
        from cxlib.analysis.value import fit_bg_nbd

        fit_bg_nbd(*customers[:, :200])  # what is imported on the way is no part of the fit
        begun = time.perf_counter()
        found = fit_bg_nbd(*customers)
        return [found.r, found.alpha, found.a, found.b], found.log_likelihood, time.perf_counter() - begun
    from lifetimes import BetaGeoFitter

    begun = time.perf_counter()
    model = BetaGeoFitter().fit(*customers)
    seconds = time.perf_counter() - begun
    return [float(model.params_[name]) for name in ("r", "alpha", "a", "b")], None, seconds


def main(way: str, source: str, target: str) -> None:
    import resource

    parameters, value, seconds = fit(way, np.load(source))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    found = {"parameters": parameters, "log_likelihood": value, "seconds": seconds, "megabytes": memory}
    Path(target).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
