"""Shares of R2 from covariances, many at once: over all orders of the drivers (LMG), or by relative weights (Johnson).

The first column of a covariance is the outcome; a driver is one column or several (levels, "does not apply").
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import factorial

import numpy as np

from cxlib.measure.rows import Numbers

MOST_DRIVERS = 20  # of LMG: 2^20 models; each further driver doubles time and memory
_DEPENDENT = 1e-9  # what is left of a column's variance below this share of it is rounding
_AT_ONCE = 1 << 20  # models held together

Blocks = Sequence[Sequence[int]]


def lmg(cov: Numbers, blocks: Blocks) -> Numbers:
    """Share of R2 that each driver adds, averaged over all orders in which they can be added.

    Parameters
    ----------
    cov
        Covariances, shape (B, k, k); the outcome is column 0.
    blocks
        The columns of each of p drivers, at most `MOST_DRIVERS`.

    Returns
    -------
    numpy.ndarray
        Shape (B, p); a row adds up to the R2 of the full model. A column that others determine adds nothing to them.

    Notes
    -----
    Lindeman, Merenda and Gold (1980, p. 119 ff.); Groemping (2006, J. Stat. Softw. 17(1)), R `relaimpo::calc.relimp`;
    the Shapley value of R2. All 2^p models come from one another: each driver in turn is either swept out of the
    matrix (Beaton 1964) or struck out, so that a model costs some ten operations whatever p.
    """
    parts = len(blocks)
    step = max(1, _AT_ONCE >> parts)
    order = [place for block in blocks for place in block] + [0]
    sizes = [len(block) for block in blocks]
    table = cov[:, order][:, :, order]
    found = [_averaged(_residuals(table[first : first + step], sizes), parts) for first in range(0, len(cov), step)]
    return np.concatenate(found) / cov[:, :1, 0] if found else np.empty((0, parts))


def _residuals(table: Numbers, sizes: Sequence[int]) -> Numbers:
    """Return what each set of drivers leaves of the outcome's variance, shape (2^p, B); bit j says that j is in.

    `rows` holds the upper triangle of the matrices: row i, shape (columns from i on, sets, B).
    """
    least = _DEPENDENT * np.diagonal(table, axis1=1, axis2=2)
    now = np.ascontiguousarray(table.transpose(1, 2, 0))[:, :, None, :]
    rows, place = [now[i, i:] for i in range(len(now))], 0
    for size in sizes:
        swept = rows
        for _ in range(size):
            swept = _swept(swept, least[:, place])
            place += 1
        rows = [_both(without, within) for without, within in zip(rows[size:], swept, strict=True)]
    return rows[0][0]


def _swept(rows: list[Numbers], least: Numbers) -> list[Numbers]:
    """Take the first column out of all others; nothing where no more than rounding is left of it."""
    first = rows[0]
    row = first[1:] / np.where(first[0] <= least, np.inf, first[0])
    found = []
    for place in range(1, len(rows)):
        out = np.multiply(row[place - 1 :], first[place])
        found.append(np.subtract(rows[place], out, out=out))
    return found


def _both(without: Numbers, within: Numbers) -> Numbers:
    """Put the sets that lack a driver before those that have it."""
    return np.concatenate([without, within], axis=1)


def _averaged(left: Numbers, parts: int) -> Numbers:
    """Return the Shapley values of what sets of drivers explain, shape (B, p).

    A set S that holds j counts w(|S| - 1) for it, one that does not -w(|S|): w(|S|) is taken off for all sets at once.
    """
    without, within = _weights(parts)
    explained = left[0] - left
    base = without @ explained
    folded = explained * within[:, None]
    found = np.empty((left.shape[1], parts))
    for place in reversed(range(parts)):
        lower, upper = np.split(folded, 2)
        found[:, place] = upper.sum(axis=0) - base
        folded = lower + upper
    return found


@functools.lru_cache(maxsize=2)
def _weights(parts: int) -> tuple[Numbers, Numbers]:
    """Return for each of the 2^p sets its weight w(|S|), and w(|S| - 1) + w(|S|)."""
    sizes = np.zeros(1, dtype=np.int64)
    for _ in range(parts):
        sizes = np.concatenate([sizes, sizes + 1])
    by_size = [factorial(s) * factorial(parts - 1 - s) / factorial(parts) for s in range(parts)]
    without = np.array([*by_size, 0.0])
    return without[sizes], (np.array([0.0, *by_size]) + without)[sizes]


def johnson(cov: Numbers, blocks: Blocks) -> Numbers:
    """Relative weights: R2 shared out by way of the uncorrelated variables that are nearest to the drivers.

    Parameters
    ----------
    cov, blocks
        As in `lmg`, without a limit to the drivers. A driver of several columns stands as its part of the full model's
        prediction (Heise 1972, Sociol. Methods Res. 1:147), so that the coding of its levels does not matter.

    Returns
    -------
    numpy.ndarray
        Shape (B, p); a row adds up to the R2 of the full model.

    Notes
    -----
    Johnson (2000, Multivar. Behav. Res. 35:1), epsilon with Lambda = R^(1/2).
    """
    weights = np.zeros((len(cov), cov.shape[1] - 1, len(blocks)))
    slope = slopes(cov)
    for place, block in enumerate(blocks):
        columns = np.asarray(block) - 1
        weights[:, columns, place] = 1.0 if len(block) == 1 else slope[:, columns]
    within = weights.transpose(0, 2, 1) @ cov[:, 1:, 1:] @ weights
    toward = (weights.transpose(0, 2, 1) @ cov[:, 1:, :1])[:, :, 0]
    scale = np.sqrt(np.maximum(np.diagonal(within, axis1=1, axis2=2), 0.0))
    unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    value, vector = np.linalg.eigh(within * unit[:, :, None] * unit[:, None, :])
    root = np.sqrt(np.maximum(value, 0.0))
    back = np.divide(1.0, root, out=np.zeros_like(root), where=value > _DEPENDENT * len(blocks))
    onto = np.einsum("bij,bj,bkj,bk->bi", vector, back, vector, toward * unit)
    loading = np.einsum("bij,bj,bkj->bik", vector, root, vector)
    return np.einsum("bik,bk->bi", loading**2, onto**2) / cov[:, :1, 0]


def slopes(cov: Numbers) -> Numbers:
    """Return the slopes of the full model, shape (B, k - 1); the shortest ones where columns determine each other."""
    scale = np.sqrt(np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0.0))[:, 1:]
    unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    inner = cov[:, 1:, 1:] * unit[:, :, None] * unit[:, None, :]
    inverse = np.linalg.pinv(inner, rcond=_DEPENDENT, hermitian=True)
    return (inverse @ (cov[:, 1:, 0] * unit)[:, :, None])[:, :, 0] * unit


def identified(cov: Numbers) -> np.ndarray:
    """Tell which columns, shape (k - 1,), have a slope of their own: the others do not determine them; `cov` (k, k)."""
    scale = np.sqrt(np.diag(cov)[1:])
    value, vector = np.linalg.eigh(cov[1:, 1:] / np.outer(scale, scale))
    return (vector[:, value <= _DEPENDENT] ** 2).sum(axis=1) < 1e-6


def independent(table: Numbers) -> np.ndarray:
    """Tell which columns of a table, shape (n, c), are kept where each that the ones before determine is left out."""
    rest = (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-300)
    inner, kept = rest.T @ rest / len(rest), np.zeros(table.shape[1], dtype=bool)
    for place in range(table.shape[1]):
        cross = inner[kept, place]
        left = inner[place, place] - cross @ np.linalg.lstsq(inner[np.ix_(kept, kept)], cross, rcond=None)[0]
        kept[place] = left > _DEPENDENT
    return kept


def r_squared(cov: Numbers) -> Numbers:
    """Return the R2 of the full model, shape (B,)."""
    return np.einsum("bi,bi->b", slopes(cov), cov[:, 1:, 0]) / cov[:, 0, 0]
