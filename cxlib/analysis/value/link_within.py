"""Fixed effects of customers and periods: the plain within-customer slope, right where nothing feeds back."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cxlib.analysis.value.link_panel import Pairs
from cxlib.analysis.value.link_slopes import FEW, MULTIPLICATIVE, Slopes, none, spread
from cxlib.measure.rows import Numbers

_STEPS, _SMALL, _SINGULAR = 60, 1e-10, 1e13


def within(given: Pairs, model: str) -> Slopes:
    """Estimate slopes with fixed effects of customers and periods.

    Parameters
    ----------
    given
        The pairs.
    model
        `additive`: least squares with two-way effects, on unbalanced panels, too. `multiplicative`: fixed-effects
        Poisson (Hausman, Hall and Griliches 1984), which needs the mean to be right and nothing else (Wooldridge 1999,
        J. Econometrics 90:77): amounts do as well as counts.

    Returns
    -------
    Slopes
        With sandwich influences, clustered by customer.
    """
    rates = model == MULTIPLICATIVE
    used = _usable(given, rates)
    if used.customers < FEW:
        return none(
            given, f"{used.customers} customers have an answer in two periods with an outcome; {FEW} are needed"
        )
    unit = spread(used.x)
    x = (used.x - used.x.mean(axis=0)) / unit
    theta, p = np.zeros(x.shape[1] + int(used.period.max())), x.shape[1]
    for _ in range(_STEPS):
        expected, weight = _expected(used, x, theta, rates)
        rest = used.y - expected
        score = np.concatenate([x.T @ rest, np.bincount(used.period, rest)[:-1]])
        information = _information(used, x, weight)
        if not np.isfinite(information).all() or np.linalg.cond(information) > _SINGULAR:
            return none(given, "satisfaction does not vary within customers beyond what is common to a period")
        step = np.linalg.solve(information, score)
        theta = theta + step
        if np.abs(step).max() < _SMALL * (1 + np.abs(theta).max()):
            break
    else:
        return none(given, f"the estimate did not settle in {_STEPS} steps")
    lever = np.linalg.inv(information)[:p]
    rest = used.y - _expected(used, x, theta, rates)[0]
    # A customer's residuals add up to 0: the customer's own means of the regressors drop out.
    rows = (x @ lever[:, :p].T + np.column_stack([lever[:, p:], np.zeros(p)])[:, used.period].T) * rest[:, None]
    influence = np.column_stack([np.bincount(used.who, row) for row in rows.T]) / unit
    mean = float(used.y.mean())
    part = np.bincount(used.who, used.y - mean) / used.y.size
    return Slopes(theta[:p] / unit, np.asarray(influence, dtype=float), used, used.customers, used.y.size, mean, part)


def _usable(given: Pairs, rates: bool) -> Pairs:
    """Leave out customers with one row and, of rates, customers and periods in which there was nothing."""
    used = given
    while used.y.size:
        kept = np.bincount(used.who)[used.who] > 1
        if rates:
            kept &= (np.bincount(used.who, used.y)[used.who] > 0) & (np.bincount(used.period, used.y)[used.period] > 0)
        if kept.all():
            return used
        used = used.take(kept)
    return used


def _expected(used: Pairs, x: Numbers, theta: Numbers, rates: bool) -> tuple[Numbers, Numbers]:
    """Return what is expected of each row, the customer's total or mean given, and the weights of the information."""
    p = x.shape[1]
    level = x @ theta[:p] + np.append(theta[p:], 0.0)[used.period]
    if rates:
        with np.errstate(over="ignore", invalid="ignore"):
            raw = np.exp(level)
            expected = raw * (np.bincount(used.who, used.y) / np.bincount(used.who, raw))[used.who]
        return expected, expected
    own = np.bincount(used.who, used.y - level) / np.bincount(used.who)
    return level + own[used.who], np.ones(level.size)


def _information(used: Pairs, x: Numbers, weight: Numbers) -> Numbers:
    """Return the weighted products of the regressors about the customers' means, without a dummy matrix."""
    cells = sparse.csr_array((weight, (used.who, used.period)), shape=(used.customers, int(used.period.max()) + 1))
    total = np.bincount(used.who, weight)
    sums = np.column_stack([np.bincount(used.who, weight * column) for column in x.T])
    scaled = cells.multiply(1 / total[:, None]).tocsr()
    periods = np.diag(np.bincount(used.period, weight)) - (cells.T @ scaled).toarray()
    both = np.column_stack([np.bincount(used.period, weight * column) for column in x.T]) - scaled.T @ sums
    slopes = x.T @ (weight[:, None] * x) - sums.T @ (sums / total[:, None])
    return np.block([[slopes, both.T[:, :-1]], [both[:-1], periods[:-1, :-1]]])
