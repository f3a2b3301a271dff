"""Logs of events to try journeys on, and moves and stages counted in plain loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

NAMES = {"customer": "who", "at": "when", "touchpoint": "where"}
START = pd.Timestamp("2026-01-01")
ORDERED = ["who", "when", "row"]


def log(*events: tuple[object, float, object]) -> pd.DataFrame:
    """Return a log of (customer, minutes, touchpoint)."""
    frame = pd.DataFrame([(who, where) for who, _, where in events], columns=["who", "where"])
    times = [START + pd.Timedelta(minutes=minutes) for _, minutes, _ in events]
    return frame.assign(when=pd.Series(times, dtype="datetime64[us]"), row=range(len(events)))


def in_engine(frame: pd.DataFrame) -> ibis.Table:
    """Return a log as an Ibis table."""
    return ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False))


def moved(frame: pd.DataFrame, by: Sequence[str] = ("who",), gap: pd.Timedelta | None = None) -> Counter:
    """Count (origin, target) event after event."""
    found: Counter = Counter()
    for _, own in frame.sort_values(ORDERED).groupby(list(by)):
        steps = list(zip(own["when"], own["where"], strict=True))
        for (before, origin), (after, target) in pairwise(steps):
            if gap is None or after - before <= gap:
                found[origin, target] += 1
    return found


def times_of(own: Iterable[tuple[pd.Timestamp, str]], stages: Sequence[str], order: str) -> list[pd.Timestamp | None]:
    """Return when one customer, whose events come in order, reached each stage; event after event."""
    steps = list(own)
    if order == "any":
        first = [next((when for when, where in steps if where == stage), None) for stage in stages]
        return [None if None in first[: k + 1] else max(first[: k + 1]) for k in range(len(stages))]
    entry = next((place for place, (_, where) in enumerate(steps) if where == stages[0]), None)
    if entry is None:
        return [None] * len(stages)
    found: list[pd.Timestamp | None] = [steps[entry][0]]
    for place, stage in enumerate(stages[1:], start=1):
        last = found[-1]
        if last is None:
            found.append(None)
        elif order == "strict":
            here = steps[entry + place] if entry + place < len(steps) else (None, "")
            found.append(here[0] if here[1] == stage else None)
        else:
            found.append(next((when for when, where in steps if where == stage and when >= last), None))
    return found


def walks(rng: np.random.Generator, matrix: np.ndarray, customers: int, busy: float) -> pd.DataFrame:
    """Draw customers who walk between touchpoints a, b, ... by a matrix, each with a leaning of their own.

    Customers take unequally many steps (log-normal of spread `busy`), and those who take more lean to the last.
    """
    size = len(matrix)
    steps = np.maximum(2, np.round(np.exp(rng.normal(1.5, busy, customers)))).astype(int)
    own = matrix * np.exp(rng.normal(0, 0.8, (customers, 1, size)))
    own = (own / own.sum(axis=2, keepdims=True)).cumsum(axis=2)
    place, parts = rng.integers(size, size=customers), []
    for row in range(steps.max()):
        here = np.flatnonzero(steps > row)
        parts.append(pd.DataFrame({"who": here, "where": np.array(list("abcdefgh"))[place[here]], "row": row}))
        limits = own[np.arange(customers), place, :-1]
        place = (rng.random(customers)[:, None] > limits).sum(axis=1)
    found = pd.concat(parts, ignore_index=True)
    return found.assign(when=START + pd.to_timedelta(found["row"], unit="min"))
