"""Rows given as arrays: checked and numbered by customer before anything is summed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib.errors import UsageError

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]

# What is left of a sum of squares below this share of its parts is rounding: every customer has the same ratio.
ROUNDING = 1e-13


def column(name: str, values: ArrayLike | None, size: int) -> Numbers:
    """Return one number per row, shape (size,), 1 throughout where none are given; NaN is missing.

    Raises `UsageError` for another length, for infinite numbers and for what is no number.
    """
    if values is None:
        return np.ones(size)
    try:
        found = np.asarray(values, dtype=float).ravel()
    except (TypeError, ValueError) as reason:
        raise UsageError(f"{name} is not made of numbers: {reason}") from None
    if found.size != size:
        raise UsageError(f"{name} has {found.size} rows and y has {size}")
    if np.isinf(found).any():
        raise UsageError(f"{name} is infinite in row {int(np.flatnonzero(np.isinf(found))[0])}")
    return found


def weight_of(weights: ArrayLike | None, size: int) -> Numbers:
    """Return the weight of each row; raises `UsageError` where one is negative or missing."""
    found = column("weights", weights, size)
    wrong = np.flatnonzero(~(found >= 0))
    if wrong.size:
        raise UsageError(
            f"weights must be 0 or more, and row {wrong[0]} has {found[wrong[0]]:g}",
            hint="An answer that is not to count has weight 0.",
        )
    return found


def names(name: str, values: ArrayLike, size: int) -> NDArray[np.object_]:
    """Return one label per row, shape (size,); raises `UsageError` for another length."""
    found = np.asarray(values, dtype=object).ravel()
    if found.size != size:
        raise UsageError(f"{name} has {found.size} rows and y has {size}")
    return found


def numbered(clusters: ArrayLike | None, kept: NDArray[np.bool_]) -> tuple[Codes, int]:
    """Number the customers of the rows kept from 0, and count them; rows without one follow, each by itself."""
    if clusters is None:
        count = int(np.count_nonzero(kept))
        return np.arange(count), count
    given = np.asarray(clusters) if not isinstance(clusters, pd.Series) else clusters
    # Texts of pandas, or numbers of which none is missing: nothing to make objects of.
    plain = isinstance(given.dtype, pd.StringDtype) or given.dtype.kind == "i"
    alike = plain and given.shape == kept.shape
    codes, known = pd.factorize(given[kept] if alike else names("clusters", given, kept.size)[kept])
    lost = codes < 0
    return np.where(lost, len(known) + np.cumsum(lost) - 1, codes), len(known) + int(np.count_nonzero(lost))
