"""Ordered logit: statsmodels' model with survey weights and exact derivatives, and each row's part in the fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from statsmodels.miscmodels.ordinal_model import OrderedModel

from cxlib.measure.rows import Codes, Numbers

_POLISHED, _STEPS, _LONGEST = 1e-9, 60, 2.0
_TOO_STEEP = 12.0  # a slope per standard deviation beyond this: levels are told apart without error
_PRIOR, _STEEP = 1 / 25, 4.0  # precision of the prior that holds such slopes, and beyond what it is all that does


@dataclass(frozen=True)
class Ordered:
    """A fitted ordered logit: P(y <= k) = 1 / (1 + exp(-(cut_k - x beta))).

    Parameters
    ----------
    beta, cuts
        Shapes (c,) and (levels - 1,).
    scores
        Shape (n, c + levels - 1): derivative of each row's weighted log-likelihood.
    inverse
        Inverse of the information (minus the second derivative), same size.
    log_likelihood
        Weighted sum.
    held
        Whether slopes are held by a prior.
    steep
        Which columns only the prior holds, shape (c,).
    """

    beta: Numbers
    cuts: Numbers
    scores: Numbers
    inverse: Numbers
    log_likelihood: float
    held: bool
    steep: NDArray[np.bool_]

    def padded(self, kept: NDArray[np.bool_]) -> Ordered:
        """Return the same fit for a table with more columns, shape (c',), those not kept with a slope of 0."""
        places = np.concatenate([np.flatnonzero(kept), len(kept) + np.arange(len(self.cuts))])
        size, beta = len(kept) + len(self.cuts), np.zeros(len(kept))
        beta[kept] = self.beta
        scores, inverse = np.zeros((len(self.scores), size)), np.zeros((size, size))
        steep = np.zeros(len(kept), dtype=bool)
        steep[kept] = self.steep
        scores[:, places], inverse[np.ix_(places, places)] = self.scores, self.inverse
        return Ordered(beta, self.cuts, scores, inverse, self.log_likelihood, self.held, steep)


class _Weighted(OrderedModel):
    """statsmodels' ordered logit with weights and the gradient that it works out by differences."""

    def __init__(self, endog: Codes, exog: Numbers, weights: Numbers) -> None:
        super().__init__(endog, exog, distr="logit")
        self.row_weights = weights

    def loglike(self, params: Numbers) -> float:
        """Weighted log-likelihood."""
        return float(self.row_weights @ self.loglikeobs(params))

    def score(self, params: Numbers) -> Numbers:
        """Gradient by slopes and by the thresholds' increments."""
        cuts = self.transform_threshold_params(params)[1:-1]
        first = _rows(self.exog, self.endog, params[: self.k_vars], cuts)[0].T @ self.row_weights
        raised = np.tril(np.ones((len(cuts), len(cuts)))) * np.r_[1.0, np.diff(cuts)]
        return np.concatenate([first[: self.k_vars], raised.T @ first[self.k_vars :]])


def ordered_logit(level: Codes, columns: Numbers, weights: Numbers) -> Ordered | str:
    """Fit an ordered logit by maximum likelihood.

    Parameters
    ----------
    level
        Number of each row's level from 0, shape (n,), all levels present.
    columns
        Shape (n, c), without a constant; no column determined by others.
    weights
        Shape (n,), above 0.

    Returns
    -------
    Ordered or str
        The fit, or why there is none. Where a column tells levels apart without error its slope has no end: slopes are
        then held by a weak prior, normal with standard deviation 5 per standard deviation of the column (after Gelman,
        Jakulin, Pittau and Su 2008, Ann. Appl. Stat. 2:1360, whose Cauchy has a scale of 2.5), and `held` says so.

    Notes
    -----
    McCullagh (1980, JRSS B 42:109). The likelihood has one maximum, and some ten steps of Newton's bring it to the last
    digits; where they do not get there, statsmodels' optimiser finds them a better start.
    """
    middle, scale = columns.mean(axis=0), columns.std(axis=0)
    table = (columns - middle) / scale
    # A large sample's log-likelihood has a gradient that no optimiser brings below 1e-5: weights that add up to 1.
    model = _Weighted(level, table, weights / weights.sum())
    start = _plain(model, model.start_params)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = _polished(table, level, weights, start, 0.0)
        if isinstance(found, str):
            fitted = model.fit(model.start_params, method="bfgs", maxiter=200, disp=0, gtol=1e-7, skip_hessian=True)
            found = _polished(table, level, weights, _plain(model, fitted.params), 0.0)
    if isinstance(found, str):
        found = _polished(table, level, weights, start, _PRIOR * weights.mean())
    if isinstance(found, str):
        return found
    # Back from standardised columns: beta / scale, cuts + middle beta / scale.
    size = len(found.beta)
    back = np.eye(size + len(found.cuts))
    back[:size, :size] = np.diag(1 / scale)
    back[size:, :size] = middle / scale
    whole = back @ np.concatenate([found.beta, found.cuts])
    scores = found.scores @ np.linalg.inv(back)
    inverse = back @ found.inverse @ back.T
    return Ordered(whole[:size], whole[size:], scores, inverse, found.log_likelihood, found.held, found.steep)


def _plain(model: _Weighted, params: Numbers) -> Numbers:
    """Return slopes and cuts from statsmodels' parameters, whose cuts are given by their increments."""
    given = np.asarray(params, dtype=float)
    return np.concatenate([given[: model.k_vars], model.transform_threshold_params(given)[1:-1]])


def _polished(table: Numbers, level: Codes, weights: Numbers, params: Numbers, prior: float) -> Ordered | str:
    """Take Newton's steps to the last digits, or say that there is no maximum; `prior` is the slopes' precision."""
    size = table.shape[1]
    hold = np.where(np.arange(len(params)) < size, prior, 0.0)
    for _ in range(_STEPS):
        rows, information, value = _rows(table, level, params[:size], params[size:], weights)
        if not np.isfinite(value) or np.abs(params[:size]).max() > _TOO_STEEP:
            return "the drivers tell some levels of the outcome apart without error: no ordered logit exists"
        try:
            inverse = np.linalg.inv(information + np.diag(hold))
        except np.linalg.LinAlgError:
            return "the drivers determine each other: no ordered logit exists"
        step = inverse @ (rows.T @ weights - hold * params)
        if np.abs(step).max() < _POLISHED:
            beta, steep = params[:size], (np.abs(params[:size]) > _STEEP) & (prior > 0)
            return Ordered(beta, params[size:], rows * weights[:, None], inverse, value, prior > 0, steep)
        step *= min(1.0, _LONGEST / float(np.abs(step).max()))
        after = params + step
        params = after if (np.diff(after[size:]) > 0).all() else params + step / 4
    return "the ordered logit did not converge"


def _rows(table: Numbers, level: Codes, beta: Numbers, cuts: Numbers, weights: Numbers | None = None) -> Any:
    """Return each row's score by slopes and cuts, the weighted information, and the weighted log-likelihood."""
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    line = table @ beta
    upper, lower = expit(edges[level + 1] - line), expit(edges[level] - line)
    chance = np.maximum(upper - lower, 1e-300)
    high, low = upper * (1 - upper) / chance, lower * (1 - lower) / chance
    by_cut = np.zeros((len(level), len(cuts) + 2))
    by_cut[np.arange(len(level)), level + 1] = high
    by_cut[np.arange(len(level)), level] -= low
    scores = np.column_stack([-(high - low)[:, None] * table, by_cut[:, 1:-1]])
    if weights is None:
        return scores, None, float(np.log(chance).sum())
    curve = [high * (1 - 2 * upper) - high**2, -low * (1 - 2 * lower) - low**2, high * low]
    ends = np.zeros((2, len(level), len(cuts) + 2))
    ends[0, np.arange(len(level)), level + 1] = 1.0
    ends[1, np.arange(len(level)), level] = 1.0
    up, down = (np.column_stack([-table, end[:, 1:-1]]) for end in ends)
    second = [(side.T * (weights * by)) @ other for side, other, by in ((up, up, curve[0]), (down, down, curve[1]))]
    cross = (up.T * (weights * curve[2])) @ down
    return scores, -(second[0] + second[1] + cross + cross.T), float(weights @ np.log(chance))
