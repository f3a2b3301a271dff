"""Moments of many metrics, segments or strata as arrays: changed number by number, stacked and summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cxlib.errors import UsageError
from cxlib.measure.moments import Moments, Numbers


def each(moments: Moments, change: Callable[[Numbers], Numbers]) -> Moments:
    """Return moments with every number changed, without what was centred."""
    return Moments(
        change(moments.rows),
        change(moments.clusters),
        {name: change(value) for name, value in moments.sums.items()},
        {pair: change(value) for pair, value in moments.products.items()},
        change(moments.squares),
    )


def summed(moments: Moments) -> Moments:
    """Return the moments of all elements together, shape (1,): exact where no unit lies in two of them."""
    return each(moments, lambda number: np.atleast_1d(number.sum()))


def stacked(given: Moments | Sequence[Moments]) -> Moments:
    """Return moments of shape (K,) from scalars or arrays of the same names, one after the other.

    Raises `UsageError` for what are no moments, and for different names.
    """
    parts = [given] if isinstance(given, Moments) else list(given)
    if not parts or not all(isinstance(part, Moments) for part in parts):
        raise UsageError("an arm is not made of Moments", hint="Give moments, or a list of them.")
    if any(set(part.sums) != set(parts[0].sums) for part in parts):
        raise UsageError("moments of different names do not stack")
    flat = [each(part, np.atleast_1d) for part in parts]
    return Moments(
        np.concatenate([part.rows for part in flat]),
        np.concatenate([part.clusters for part in flat]),
        {name: np.concatenate([part.sums[name] for part in flat]) for name in flat[0].sums},
        {pair: np.concatenate([part.products[pair] for part in flat]) for pair in flat[0].products},
        np.concatenate([part.squares for part in flat]),
    )
