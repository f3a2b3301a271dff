"""Answers of partners whose true values are given, for the tests of `analysis.partners` and of its pages."""

from __future__ import annotations

import numpy as np
import pandas as pd


def answers(
    rng: np.random.Generator, truth: np.ndarray, sizes: np.ndarray, *, kind: str = "mean", sd: float = 1.0
) -> pd.DataFrame:
    """Return answers of partners p000, p001, ... whose true values are given."""
    code = np.repeat(np.arange(truth.size), sizes)
    y = (rng.random(code.size) < truth[code]).astype(float) if kind == "share" else rng.normal(truth[code], sd)
    names = np.array([f"p{place:03d}" for place in range(truth.size)], dtype=object)
    return pd.DataFrame({"y": y, "partner": names[code], "customer_id": np.arange(code.size)})
