"""Panels and cross-sections with planted effects, for tests of designs over groups and periods."""

from __future__ import annotations

import numpy as np
import pandas as pd

SHARED = 0.6  # autocorrelation of errors within units


def errors(units: int, times: int, rng: np.random.Generator, shared: float = SHARED) -> np.ndarray:
    """Return stationary AR(1) errors of variance 1, shape (units, times)."""
    out = rng.standard_normal((units, times))
    for time in range(1, times):
        out[:, time] = shared * out[:, time - 1] + np.sqrt(1 - shared**2) * out[:, time]
    return out


def one_start(
    treated: int, untreated: int, times: int, start: int, rng: np.random.Generator, effect: float = 0.0
) -> pd.DataFrame:
    """Return a panel with one start: columns unit, time, treated, on (treated by now), y."""
    units = treated + untreated
    flag = np.repeat((np.arange(units) < treated).astype(int), times)
    time = np.tile(np.arange(times), units)
    on = flag * (time >= start)
    y = (rng.standard_normal((units, 1)) + errors(units, times, rng) + 0.1 * np.arange(times)).ravel() + effect * on
    return pd.DataFrame({"unit": np.repeat(np.arange(units), times), "time": time, "treated": flag, "on": on, "y": y})


def effect_of(start: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return effects that grow with time since the start and are larger for those who started early."""
    since = time - start
    return np.where((start > 0) & (since >= 0), (0.2 + 0.2 * since) * np.where(start <= 4, 1.5, 0.5), 0.0)


def staggered(
    sizes: dict[int, int], times: int, rng: np.random.Generator, effect: float = 1.0, shared: float = SHARED
) -> pd.DataFrame:
    """Return a panel with several starts (0 is never): columns unit, time (from 1), start, on, y, truth."""
    start = np.repeat(list(sizes), list(sizes.values()))
    units = start.size
    time = np.arange(1, times + 1)
    truth = effect * effect_of(start[:, None], time[None, :])
    y = rng.standard_normal((units, 1)) + 0.1 * time + errors(units, times, rng, shared) + truth
    on = ((start[:, None] > 0) & (time >= start[:, None])).astype(int)
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), times),
            "time": np.tile(time, units),
            "start": np.repeat(start, times),
            "on": on.ravel(),
            "y": y.ravel(),
            "truth": truth.ravel(),
        }
    )
