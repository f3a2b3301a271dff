"""Ranks with intervals: which places a driver may have, from what differs between drivers beyond chance."""

from __future__ import annotations

import numpy as np
from scipy import stats

from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers


def rank_limits(estimate: Numbers, draws: Numbers, confidence: float) -> tuple[Numbers, Numbers, Numbers]:
    """Return rank, lowest and highest rank that the draws allow; rank 1 is the largest estimate.

    Parameters
    ----------
    estimate
        Shape (p,).
    draws
        The same drawn again, shape (B, p).
    confidence
        Of the interval of one driver's rank, not of all ranks together.

    Notes
    -----
    Mogstad, Romano, Shaikh and Wilhelm (2024, Rev. Econ. Stud. 91:476), marginal confidence sets: a driver's rank is 1
    plus the drivers that are larger beyond chance at best, and p less those that are smaller at worst; chance allows
    for all its p - 1 comparisons by the largest studentised difference. Counting how the draws rank themselves would
    not do: where drivers are equal, one resample of a sample ranks them with too much confidence (Hall and Miller
    2009, Ann. Stat. 37:3929).
    """
    check_confidence(confidence)
    rank, parts = stats.rankdata(-estimate, method="min").astype(float), len(estimate)
    if not len(draws):
        return rank, np.full(parts, np.nan), np.full(parts, np.nan)
    low, high = np.ones(parts), np.full(parts, float(parts))
    for place in range(parts if parts > 1 else 0):
        rest = np.arange(parts) != place
        away = estimate[rest] - estimate[place]
        moved = draws[:, rest] - draws[:, [place]] - away
        error = np.maximum(moved.std(axis=0), 1e-12)
        far = np.quantile(np.abs(moved / error).max(axis=1), confidence) * error
        low[place] += np.count_nonzero(away > far)
        high[place] -= np.count_nonzero(away < -far)
    return rank, low, high
