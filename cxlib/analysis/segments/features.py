"""Features made comparable before they are clustered: logarithms of the skewed, limits for the far, one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

WINSOR = 0.01  # each tail beyond this share is drawn in to its limit
SKEWED = 1.0  # a feature without negative values and more skewed than this is clustered by its logarithm
LEAST_ROWS = 20


@dataclass(frozen=True, eq=False)
class Prepared:
    """Complete rows on the scale on which distances are taken, in an order that does not depend on the input's.

    Parameters
    ----------
    index
        Customers of the rows.
    names
        Features, sorted.
    free
        Standardised values, shape (rows, features), not winsorised: for looking at tails.
    limited
        The same, winsorised: for measuring distances.
    logged
        Features taken by their logarithm.
    left_out
        Customers with a missing value.
    """

    index: pd.Index
    names: tuple[str, ...]
    free: Numbers
    limited: Numbers
    logged: tuple[str, ...]
    left_out: int


def prepare(features: pd.DataFrame) -> Prepared:
    """Make features comparable.

    Parameters
    ----------
    features
        One row a customer, one numeric column a feature.

    Raises
    ------
    UsageError
        For customers that are there twice, columns that are no numbers, fewer than 20 complete rows.
    """
    if features.index.has_duplicates:
        twice = int(features.index.duplicated().sum())
        raise UsageError(f"{twice} rows are of a customer that is there already", hint="Give one row a customer.")
    names = tuple(sorted(map(str, features.columns)))
    table = features.set_axis(features.columns.map(str), axis=1)
    if not names or table.columns.has_duplicates:
        raise UsageError("features need one column each, with names of their own")
    values = np.column_stack(list(doors.numbers_of(table, names, infinite_missing=True).values()))
    whole = ~np.isnan(values).any(axis=1)
    if whole.sum() < LEAST_ROWS:
        raise UsageError(f"{int(whole.sum())} of {len(values)} customers have all features; at least {LEAST_ROWS} must")
    order = np.lexsort(values[whole].T[::-1])
    values, index = values[whole][order], features.index[whole][order]
    scaled = [_scaled(values[:, place]) for place in range(len(names))]
    return Prepared(
        index=index,
        names=names,
        free=np.column_stack([free for free, _, _ in scaled]),
        limited=np.column_stack([limited for _, limited, _ in scaled]),
        logged=tuple(name for name, (_, _, logged) in zip(names, scaled, strict=True) if logged),
        left_out=int((~whole).sum()),
    )


def _scaled(values: Numbers) -> tuple[Numbers, Numbers, bool]:
    """Return one feature standardised, standardised and winsorised, and whether its logarithm was taken.

    The logarithm is that of 1 + x / (median of those above 0), so that it can be had of 0.
    """
    limited = _limited(values)
    spread = limited.std()
    logged = bool(values.min() >= 0 and spread > 0 and ((limited - limited.mean()) ** 3).mean() > SKEWED * spread**3)
    if logged:
        values = np.log1p(values / np.median(values[values > 0]))
        limited = _limited(values)
        spread = limited.std()
    unit = spread if spread > 0 else 1.0
    return (values - limited.mean()) / unit, (limited - limited.mean()) / unit, logged


def _limited(values: Numbers) -> Numbers:
    """Return values winsorised."""
    return np.clip(values, *np.quantile(values, [WINSOR, 1 - WINSOR]))


def spread_ties(values: Numbers, rng: np.random.Generator) -> Numbers:
    """Spread equal values of each feature evenly over half the way to their neighbours.

    Whole numbers have gaps between them that are no gaps between customers. Shape (rows, features).
    """
    out = values.copy()
    for place in range(values.shape[1]):
        known, which, often = np.unique(values[:, place], return_inverse=True, return_counts=True)
        if len(known) < 2 or often.max() == 1:
            continue
        half = np.diff(known) / 2
        below, above = np.concatenate([half[:1], half]), np.concatenate([half, half[-1:]])
        spread = rng.random(len(which))
        out[:, place] += np.where(often[which] > 1, spread * (below + above)[which] - below[which], 0.0)
    return out
