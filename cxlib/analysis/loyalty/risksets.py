"""Risk sets of Cox's partial likelihood: who was watched at each time at which somebody left, as sums over arrays.

statsmodels' `PHReg` fits the same model and is what the tests compare with. It is not used itself: it counts a row that
begins at the moment somebody leaves as watched at that moment (R does not), which months of one customer do all the
time; its residuals under ties are Breslow's, whatever the fit; and they take time in proportion to rows times events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.measure.rows import Codes, Numbers

_MOST_STEPS, _HALVINGS = 40, 12
_SAME = 1e-9  # what is left of a covariate's information beside the others', below which it is none
_FLAT, _STILL = 1e-10, 1e-9  # change of the likelihood and of coefficients that counts as none
_NOTHING, _LOST = 1e-300, 1e-200  # sums of weights that are lost in the last digits: the step went too far
_WORTH = 10  # numbers a row: sums over counted kinds are so many times as fast as over rows
_SPENT = 1e-6  # a coefficient without an end has used up all but this of the information there was on it


class Kinds(NamedTuple):
    """Rows of a stratum with equal covariates, counted: where these are labels there are far fewer kinds than rows."""

    row: Codes  # the place within the stratum of one row of each kind
    watched: Numbers  # (times, kinds): how many were watched at each time
    leaving: Numbers  # (times, kinds): how many left


class Stratum(NamedTuple):
    """The rows of one stratum, and the times at which somebody of it left."""

    rows: Codes  # their places in the whole
    first: Codes  # the first time at which each is watched, and the one after the last
    beyond: Codes
    died: Codes  # places within the stratum of those who left, by time
    when: Codes  # the place of their time
    times: Numbers
    step: Codes  # each who left is one step; the place of its time
    share: Numbers  # Efron: the share of those who left at that time who no longer count at that step
    kinds: Kinds | None  # None where most rows are of a kind of their own


class Sums(NamedTuple):
    """Sums over the watched at each step: of weights, and the mean of covariates."""

    weight: Numbers  # (rows,) of the stratum
    total: Numbers  # (steps,)
    mean: Numbers  # (steps, p)
    squares: tuple[Numbers, Numbers]  # weighted products of pairs, of the watched and of the leaving (times, pairs)

    def spread(self, part: Stratum, worth: Numbers) -> Numbers:
        """Return the covariances of covariates at each step, added up with the `worth` of each, shape (p, p).

        Products are added up by time before they become a matrix: steps are as many as those who left.
        """
        watched, leaving = self.squares
        each, size = worth / self.total, self.mean.shape[1]
        found = np.bincount(part.step, each, part.times.size) @ watched
        found = found - np.bincount(part.step, each * part.share, part.times.size) @ leaving
        out = np.empty((size, size))
        for value, (a, b) in zip(found, _pairs(size), strict=True):
            out[a, b] = out[b, a] = value
        return out - (self.mean * worth[:, None]).T @ self.mean


class Likelihood(NamedTuple):
    """The logarithm of the partial likelihood, its gradient and information."""

    value: float
    score: Numbers
    information: Numbers


class Solved(NamedTuple):
    """Coefficients, the likelihood at them and at 0, and which coefficients have no end."""

    beta: Numbers
    at: Likelihood
    null: float
    endless: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RiskSets:
    """All strata of a sample.

    Parameters
    ----------
    x
        Covariates, shape (n, p).
    strata
        One entry a stratum in which somebody left.
    """

    x: Numbers
    strata: tuple[Stratum, ...]

    @classmethod
    def of(
        cls, x: Numbers, time: Numbers, event: Numbers, entry: Numbers | None, stratum: Codes, *, efron: bool
    ) -> RiskSets:
        """Sort rows into strata: watched at each time above `entry` and up to `time`."""
        found = []
        order = np.argsort(stratum, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
            gone = np.flatnonzero(event[rows] == 1)
            if not gone.size:
                continue
            times = np.unique(time[rows][gone])
            begun = np.zeros(rows.size, dtype=np.int64)
            if entry is not None:
                begun = np.searchsorted(times, entry[rows], side="right")
            when = np.searchsorted(times, time[rows][gone])
            died, when = gone[np.argsort(when, kind="stable")], np.sort(when)
            many = np.bincount(when)
            within = np.arange(when.size) - np.repeat(np.cumsum(many) - many, many)
            share = within / many[when] if efron else np.zeros(when.size)
            beyond = np.searchsorted(times, time[rows], side="right")
            kinds = _kinds(x[rows], begun, beyond, (died, when), times.size)
            found.append(Stratum(rows, begun, beyond, died, when, times, when, share, kinds))
        return cls(x, tuple(found))

    def sums(self, part: Stratum, eta: Numbers, *, spread: bool = True) -> Sums:
        """Return the sums of one stratum for linear predictors `eta` of all rows."""
        x, own = self.x[part.rows], eta[part.rows]
        weight, size = np.exp(own - own.max()), x.shape[1]
        watched, leaving = _at_times(part, weight, x, _pairs(size) if spread else [])
        found = watched[part.step, : size + 1] - part.share[:, None] * leaving[part.step, : size + 1]
        total = np.maximum(found[:, 0], _NOTHING)
        return Sums(weight, total, found[:, 1:] / total[:, None], (watched[:, size + 1 :], leaving[:, size + 1 :]))

    def likelihood(self, beta: Numbers) -> Likelihood:
        """Return the logarithm of the partial likelihood at `beta`, its gradient and information."""
        eta, size = self.x @ beta, self.x.shape[1]
        value, score, information = 0.0, np.zeros(size), np.zeros((size, size))
        for part in self.strata:
            sums, own = self.sums(part, eta), eta[part.rows]
            if sums.total.min() <= _LOST:
                return Likelihood(-np.inf, score, information)
            value += float((own[part.died] - own.max()).sum() - np.log(sums.total).sum())
            score += self.x[part.rows][part.died].sum(0) - sums.mean.sum(0)
            information += sums.spread(part, np.ones(sums.total.size))
        return Likelihood(value, score, information)

    def identified(self) -> NDArray[np.bool_]:
        """Tell which covariates differ, beside those before them, among those watched when somebody left."""
        if not self.x.shape[1]:
            return np.zeros(0, dtype=bool)
        information = self.likelihood(np.zeros(self.x.shape[1])).information
        kept: list[int] = []
        for place, own in enumerate(np.diagonal(information)):
            cross = information[place, kept]
            rest = own - cross @ np.linalg.lstsq(information[np.ix_(kept, kept)], cross, rcond=1e-12)[0]
            kept += [place] * bool(rest > _SAME * max(own, self.x.shape[0] * np.finfo(float).eps))
        return np.isin(np.arange(self.x.shape[1]), kept)

    def solve(self) -> Solved:
        """Maximise the likelihood by Newton's method; covariates are best standardised."""
        beta = np.zeros(self.x.shape[1])
        if not (beta.size and self.strata):
            return Solved(beta, Likelihood(0.0, beta, np.zeros((beta.size, beta.size))), 0.0, np.zeros(beta.size, bool))
        now = start = self.likelihood(beta)
        spent = np.zeros(beta.size, dtype=bool)
        for _ in range(_MOST_STEPS):
            step = np.asarray(np.linalg.lstsq(now.information, now.score, rcond=1e-13)[0], dtype=float)
            after, taken = self._uphill(beta, step, now)
            gain, now, beta = after.value - now.value, after, beta + taken
            spent = np.diagonal(now.information) < _SPENT * np.diagonal(start.information)
            still = np.abs(step) < _STILL * np.maximum(np.abs(beta), 1)
            if gain < _FLAT * (abs(now.value) + 0.1) and np.all(still | spent | (taken == 0)):
                break
        return Solved(beta, now, start.value, spent)

    def _uphill(self, beta: Numbers, step: Numbers, now: Likelihood) -> tuple[Likelihood, Numbers]:
        """Return the likelihood after a step, halved until it does not fall, and the step taken."""
        for halved in range(_HALVINGS):
            taken = step / 2**halved
            after = self.likelihood(beta + taken)
            if after.value >= now.value - _FLAT * (abs(now.value) + 0.1):
                return after, taken
        return now, np.zeros_like(step)

    def score_residuals(self, beta: Numbers) -> Numbers:
        """Return each row's part of the gradient, shape (n, p) (R `residuals(type = "score")`; Lin and Wei 1989)."""
        eta, out = self.x @ beta, np.zeros_like(self.x)
        for part in self.strata:
            sums, x = self.sums(part, eta, spread=False), self.x[part.rows]
            jump = 1 / sums.total
            hazard = _cumulated(part, jump)
            pull = np.stack([_cumulated(part, jump * column) for column in sums.mean.T], axis=1)
            passed = hazard[part.beyond] - hazard[part.first]
            own = -sums.weight[:, None] * (x * passed[:, None] - (pull[part.beyond] - pull[part.first]))
            own[part.died] += self._at_death(part, sums, x[part.died])
            out[part.rows] = own
        return out

    @staticmethod
    def _at_death(part: Stratum, sums: Sums, x: Numbers) -> Numbers:
        """Return what leaving adds to the residual of those who left: under ties they count only in part (Efron)."""
        many = np.bincount(part.step, minlength=part.times.size)
        mean = np.stack([np.bincount(part.step, column) / many for column in sums.mean.T], axis=1)
        jump = part.share / sums.total
        less = np.bincount(part.step, jump)
        pull = np.stack([np.bincount(part.step, jump * column) for column in sums.mean.T], axis=1)
        weight = sums.weight[part.died][:, None]
        found: Numbers = x - mean[part.when] + weight * (x * less[part.when][:, None] - pull[part.when])
        return found


def _kinds(x: Numbers, first: Codes, beyond: Codes, left: tuple[Codes, Codes], times: int) -> Kinds | None:
    """Count the rows of equal covariates at each time; None where that would be more numbers than rows are worth."""
    code, size = np.zeros(len(x), dtype=np.int64), 1
    for column in x.T:
        own, known = pd.factorize(column)
        code, found = pd.factorize(code * known.size + own)
        size = found.size
        if size * times > _WORTH * len(x):
            return None
    died, when = left
    entered, gone = (
        np.bincount(place * size + code, minlength=(times + 1) * size).reshape(-1, size) for place in (first, beyond)
    )
    leaving = np.bincount(when * size + code[died], minlength=times * size).reshape(-1, size)
    row = np.zeros(size, dtype=np.int64)
    row[code[::-1]] = np.arange(len(x))[::-1]
    return Kinds(row, np.cumsum(entered - gone, axis=0)[:times].astype(float), leaving.astype(float))


def _pairs(size: int) -> list[tuple[int, int]]:
    """Return the pairs of covariates, each with itself, too."""
    return [(a, b) for a in range(size) for b in range(a, size)]


def _at_times(part: Stratum, weight: Numbers, x: Numbers, pairs: list[tuple[int, int]]) -> tuple[Numbers, Numbers]:
    """Sum weights, weighted covariates and products of pairs at each time, over the watched and over the leaving.

    At a step those who left at the same time count only in part (Efron): watched less share times leaving.
    """
    if part.kinds is not None:
        own, w = x[part.kinds.row], weight[part.kinds.row]
        values = np.column_stack([w, w[:, None] * own, *(w * own[:, a] * own[:, b] for a, b in pairs)])
        return part.kinds.watched @ values, part.kinds.leaving @ values
    size = part.times.size
    watched, leaving = (np.empty((size, 1 + x.shape[1] + len(pairs))) for _ in range(2))
    columns = (weight, *(weight * own for own in x.T), *(weight * x[:, a] * x[:, b] for a, b in pairs))
    for place, values in enumerate(columns):
        later = np.bincount(part.beyond, values, size + 1) - np.bincount(part.first, values, size + 1)
        watched[:, place] = np.cumsum(later[::-1])[::-1][1:]
        leaving[:, place] = np.bincount(part.when, values[part.died], size)
    return watched, leaving


def _cumulated(part: Stratum, values: Numbers) -> Numbers:
    """Sum values of steps up to before each time, and beyond the last."""
    return np.append(0.0, np.cumsum(np.bincount(part.step, values, part.times.size)))
