"""What a customer will still buy, and whether they are still there, under a BG/NBD fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from cxlib.analysis.doors import numbers
from cxlib.analysis.value.bg_nbd import BgNbdFit
from cxlib.analysis.value.door import alike, broadcast, counts
from cxlib.analysis.value.rates import while_alive
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers


def probability_alive(fit: BgNbdFit, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike) -> Numbers:  # noqa: N803
    """Return the chance that a customer still buys, given their purchases.

    Parameters
    ----------
    fit
        A fit in the same unit of time.
    frequency, recency, T
        As in `fit_bg_nbd`, scalars or arrays of one shape.

    Returns
    -------
    numpy.ndarray
        Of that shape, within [0, 1]; missing where the fit has no parameters. In this model one leaves after a
        purchase, so whoever never bought again counts as still there: 1.

    Source: Fader, Hardie and Lee (2008), Computing P(alive) Using the BG/NBD Model, equation (7).
    """
    return alive(fit.parameters, *counts(frequency, recency, T))


def alive(parameters: Numbers, x: Numbers, t_x: Numbers, end: Numbers) -> Numbers:
    """Return the chance to be still there; `parameters` r, alpha, a, b."""
    r, alpha, a, b = parameters
    bought = x > 0
    with np.errstate(invalid="ignore"):
        gone = (r + x) * (np.log(alpha + end) - np.log(alpha + t_x)) + np.log(a / np.where(bought, b + x - 1, 1.0))
        return np.where(np.isnan(r), np.nan, np.where(bought, special.expit(-gone), 1.0))


def expected_purchases(
    fit: BgNbdFit,
    t: ArrayLike,
    frequency: ArrayLike,
    recency: ArrayLike,
    T: ArrayLike,  # noqa: N803
) -> Numbers:
    """Return the purchases to expect of a customer within the next `t`, given those so far.

    Parameters
    ----------
    fit
        A fit in the same unit of time.
    t
        Time from the end of observation on, 0 or more.
    frequency, recency, T
        As in `fit_bg_nbd`; all zero for a customer who has just bought for the first time.

    Returns
    -------
    numpy.ndarray
        Of the shape of the arguments together.

    Raises
    ------
    UsageError
        For a time below 0 or missing, and numbers that no customer can have.

    Source: the expectation of Fader, Hardie and Lee (2005), equation (10), as the integral of the purchase rate,
    which has no singular parameters (equation (10) has them at a = 1 and a + b + x = 1); see `rates.rate`.
    """
    x, t_x, end = counts(frequency, recency, T)
    ahead = numbers("t", t, infinite_missing=True)
    if not np.all(ahead >= 0):
        raise UsageError("t must be a time of 0 or more", hint="It counts from the end of observation on.")
    ahead, x, t_x, end = broadcast({"t": ahead, "frequency": x, "recency": t_x, "T": end})
    (far, count, observed), of, _ = alike(ahead.ravel(), x.ravel(), end.ravel())
    found = while_alive(fit.parameters, count, observed, far)
    return found[of].reshape(x.shape) * alive(fit.parameters, x, t_x, end)
