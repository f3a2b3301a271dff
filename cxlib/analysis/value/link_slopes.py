"""Slopes within customers: moment conditions that hold where an outcome feeds back on the satisfaction that follows.

Fixed effects need satisfaction to be strictly exogenous: what was bought must not change how satisfied one is later. It
does (orders arrive late), and the estimate is then wrong by an amount that only more periods per customer can cure: on
the demo company .26 in place of .15. So the outcome is compared with the customer's later ones, and satisfaction with
the customer's earlier one: nothing that the outcome brought about is on the other side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cxlib.analysis.doors import Mask
from cxlib.analysis.value.link_panel import Neighbours, Pairs
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

MULTIPLICATIVE, ADDITIVE = "multiplicative", "additive"
MODELS = (MULTIPLICATIVE, ADDITIVE)
FEW = 10  # customers below which no sandwich is to be trusted
NEEDED = "are needed"  # with which every reason ends that names a number too small
_STEPS, _SMALL, _SINGULAR, _CLEAR = 60, 1e-9, 1e13, 3.0


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes with what each customer moved them by: their sums of squares are variances, products covariances.

    Parameters
    ----------
    value
        Shape (p,): satisfaction first, then the controls.
    influence
        Shape (G, p), one row per customer.
    pairs
        What was used.
    people, rows
        Customers and rows that tell anything about the slopes.
    mean, mean_influence
        The mean outcome, and each customer's part in it, shape (G,).
    reason
        Why there are none; empty where there are.
    kept, kept_influence
        Share of the within-customer variation of satisfaction that is no noise; 1 where noise was not looked at.
    """

    value: Numbers
    influence: Numbers
    pairs: Pairs
    people: int
    rows: int
    mean: float
    mean_influence: Numbers
    reason: str = ""
    kept: float = 1.0
    kept_influence: Numbers | None = None

    @property
    def error(self) -> float:
        """Standard error of the slope of satisfaction, robust to clusters, times sqrt(G/(G-1))."""
        return deviation(self.influence[:, 0], self.people)


def check_model(model: str, outcome: str, y: Numbers) -> None:
    """Raise `UsageError` for a model of another name, and for amounts below 0 in one of rates."""
    if model not in MODELS:
        raise UsageError(f"'{model}' is no model of the link; there are {', '.join(MODELS)}")
    if model == MULTIPLICATIVE and (y < 0).any():
        raise UsageError(
            f"'{outcome}' is below 0 in {int((y < 0).sum())} rows: no rate is", hint="Use model='additive'."
        )


def deviation(influence: Numbers, people: int) -> float:
    """Return the standard error that influences add up to, times sqrt(G/(G-1)) for the G customers that tell."""
    return float(np.sqrt(influence @ influence * people / (people - 1))) if people > 1 else np.nan


def spread(x: Numbers) -> Numbers:
    """Return the standard deviation of each regressor, 1 where it has none: what solvers take as its unit."""
    found = x.std(axis=0)
    return np.asarray(np.where(found > 0, found, 1.0))


def none(given: Pairs, reason: str) -> Slopes:
    """Return slopes that are not there, with the reason."""
    mean = float(given.y.mean()) if given.y.size else np.nan
    width, size = given.x.shape[1], given.customers
    return Slopes(np.full(width, np.nan), np.zeros((size, width)), given, 0, 0, mean, np.zeros(size), reason)


def predetermined(given: Pairs, model: str, *, noisy: bool = False) -> Slopes:
    """Estimate slopes with regressors that may depend on earlier outcomes.

    Parameters
    ----------
    given
        The pairs.
    model
        `multiplicative`: y = customer x exp(b x + period) on average, estimated by Chamberlain's quasi-differences
        (Chamberlain 1992, JBES 10:20; Wooldridge 1997, Econometric Theory 13:667) against the mean of the customer's
        later rows. `additive`: y = customer + b x + period, in forward orthogonal deviations (Arellano and Bover 1995).
        Both with x less the mean of the customer's earlier rows as its instrument (double filter: Hayakawa, Qi and
        Breitung 2019, Econometric Reviews 38:1055) and own-period dummies as theirs.
    noisy
        Take the noise of single answers out of the moments, its variance from second answers of the same period
        (Griliches and Hausman 1986, J. Econometrics 31:93). Exact for normal noise that is independent of all else.

    Returns
    -------
    Slopes
        With sandwich influences, clustered by customer; without a value and with a reason where there is none.
    """
    if given.y.size and np.ptp(given.y) == 0:
        return none(given, "the outcome is the same throughout")
    used = _usable(given, model)
    if not used.y.size:
        return none(given, "no customer has an answer and what followed in two periods")
    unit = spread(used.x)
    found = _Moments(replace(used, x=used.x / unit, second=used.second / unit[0]), model)
    if found.told < FEW:
        return none(
            given, f"{found.told} customers have an answer in three periods with what followed; {FEW} are needed"
        )
    theta, jacobian, reason = found.solve()
    if reason:
        return none(given, reason)
    kept, its_influence = 1.0, None
    if noisy:
        found.doubt_answers()
        kept, its_influence = found.reliability(theta)
        reason = found.too_noisy(kept, its_influence)
        theta[0] = theta[0] / kept
        theta, jacobian, reason = (theta, jacobian, reason) if reason else found.solve(theta)
        if reason:
            return replace(none(given, reason), kept=kept, kept_influence=its_influence, people=found.told)
    mean = float(used.y.mean())
    part = np.bincount(used.who, used.y - mean, used.customers) / used.y.size
    influence = found.influence(theta, jacobian) / unit
    return Slopes(
        theta[: unit.size] / unit, influence, used, found.told, found.rows, mean, part, "", kept, its_influence
    )


def _usable(given: Pairs, model: str) -> Pairs:
    """Leave out periods whose effect nothing tells: nobody has a later row, or nothing was bought then or later.

    Of those that are only ever a customer's last one stays: the others are measured against it.
    """
    used = given
    while used.y.size:
        near = Neighbours(used.who)
        has = near.after > 0
        count = lambda values: np.bincount(used.period, values * has)  # noqa: B023, E731
        known = count(np.ones(used.y.size)) > 0
        closed = np.flatnonzero(~known)
        dropped = closed[:-1]
        if model == MULTIPLICATIVE:
            silent = known & ((count(used.y) <= 0) | (count(near.later(used.y)) <= 0))
            dropped = np.concatenate([dropped, np.flatnonzero(silent)])
        if not dropped.size:
            return used
        used = used.take(~np.isin(used.period, dropped))
    return used


class _Moments:
    """Moment conditions, as many as parameters: slopes, then effects of all periods but the last."""

    def __init__(self, used: Pairs, model: str) -> None:
        near = Neighbours(used.who)
        self.used, self.near, self.rates = used, near, model == MULTIPLICATIVE
        back, on = np.sqrt(near.before / (near.before + 1)), np.sqrt(near.after / (near.after + 1))
        self.x = used.x - used.x.mean(axis=0)
        self.z = np.column_stack([back * (column - near.earlier(column)) for column in self.x.T])
        self.weight, self.last = on, int(used.period.max())
        telling = (near.before > 0) & (near.after > 0)
        self.rows, self.told = int(telling.sum()), int(np.unique(used.who[telling]).size)
        self.noise, self.doubt = 0.0, np.zeros(used.customers)
        self.shared = back * on / used.answers  # of the noise of an answer, what is in both x and z

    def doubt_answers(self) -> None:
        """Learn from those who answered twice in a period how much of an answer is noise."""
        twice = ~np.isnan(self.used.second)
        if np.count_nonzero(twice) > 1:
            self.noise, self.doubt = _noise(self.used, twice)

    def too_noisy(self, kept: float, influence: Numbers) -> str:
        """Say why noise cannot be taken out; empty where it can: the rest is then at least three errors from 0."""
        people = int(np.unique(self.used.who[~np.isnan(self.used.second)]).size)
        if people < FEW:
            return f"{people} customers answered twice in a period; {FEW} are needed"
        error = deviation(influence, people)
        if kept > _CLEAR * error:
            return ""
        left = f"{100 * kept:.0f} % (standard error {100 * error:.0f})"
        return f"answers hold too much noise: of what varies within customers {left} is satisfaction"

    def solve(self, start: Numbers | None = None) -> tuple[Numbers, Numbers, str]:
        """Return parameters, the Jacobian there and, where there is no solution, why."""
        with np.errstate(all="ignore"):
            return self._newton(self._start() if start is None else start)

    def _newton(self, theta: Numbers) -> tuple[Numbers, Numbers, str]:
        p = self.x.shape[1]
        moments, jacobian = self._moments(theta), np.empty(0)
        scale = np.abs(self.z).T @ np.abs(self.used.y)
        for _ in range(_STEPS):
            jacobian = self._jacobian(theta)
            if not np.isfinite(jacobian).all() or np.linalg.cond(jacobian) > _SINGULAR:
                return theta, jacobian, "satisfaction does not vary within customers beyond what is common to a period"
            step: Numbers = np.asarray(np.linalg.solve(jacobian, -moments), dtype=float)
            theta, moments, moved = self._along(theta, step, moments)
            if (
                np.abs(moved).max() < _SMALL * (1 + np.abs(theta).max())
                and (np.abs(moments[:p]) <= 1e-6 * scale + 1e-12).all()
            ):
                return theta, self._jacobian(theta), ""
        return theta, jacobian, "no slope solves the equations: too few customers, or one of them outweighs the rest"

    def _along(self, theta: Numbers, step: Numbers, moments: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Take a step, halved until the moments are no further from 0."""
        before = np.abs(moments).sum()
        for _ in range(20):
            after = self._moments(theta + step)
            if np.isfinite(after).all() and np.abs(after).sum() <= before * (1 + 1e-9) + 1e-12:
                break
            step = step / 2
        return theta + step, after, step

    def _start(self) -> Numbers:
        """Return period effects to begin with: the logarithms of their means, or their means, against the last's."""
        mean = np.bincount(self.used.period, self.used.y) / np.bincount(self.used.period)
        if self.rates:
            mean = np.log(np.where(mean > 0, mean, 1.0))
        return np.concatenate([np.zeros(self.x.shape[1]), (mean - mean[-1])[:-1]])

    def _level(self, theta: Numbers) -> Numbers:
        p = self.x.shape[1]
        return np.asarray(self.x @ theta[:p] + np.append(theta[p:], 0.0)[self.used.period])

    def _parts(self, theta: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Return the weighted residual, what is expected, what a rate is per unit, and the mean of the later ones."""
        if self.rates:
            expected = np.exp(self._level(theta))
            unit = self.used.y / expected
            later = self.near.later(unit)
            return self.weight * (self.used.y - expected * later), expected, unit, later
        rest = self.used.y - self._level(theta)
        ones = np.ones(rest.size)
        return self.weight * (rest - self.near.later(rest)), ones, ones, ones

    def _slope(self, parts: tuple[Numbers, ...], direction: Numbers) -> Numbers:
        """Return how each residual, without its weight and sign, moves with a regressor."""
        _, expected, unit, later = parts
        return expected * (direction * later - self.near.later(unit * direction))

    def _sums(self, values: Numbers) -> Numbers:
        """Return the sums of values times each instrument."""
        periods = np.bincount(self.used.period, self.weight * values, self.last + 1)[:-1]
        return np.concatenate([self.z.T @ values, periods])

    def _moments(self, theta: Numbers) -> Numbers:
        parts = self._parts(theta)
        found = self._sums(parts[0])
        found[0] += theta[0] * self.noise * (self.shared @ (parts[1] * parts[3]))
        return found

    def _jacobian(self, theta: Numbers) -> Numbers:
        parts = self._parts(theta)
        columns = [*self.x.T, *(self.used.period == place for place in range(self.last))]
        out = np.empty((len(columns), len(columns)))
        for place, column in enumerate(columns):
            slope = self._slope(parts, column.astype(float))
            out[:, place] = self._sums(-self.weight * slope)
            if self.rates:
                out[0, place] += theta[0] * self.noise * (self.shared @ slope)
        out[0, 0] += self.noise * (self.shared @ (parts[1] * parts[3]))
        return out

    def influence(self, theta: Numbers, jacobian: Numbers) -> Numbers:
        """Return what each customer moved the slopes by, shape (G, p)."""
        parts, p = self._parts(theta), self.x.shape[1]
        lever = np.linalg.inv(jacobian)[:p]
        periods = np.column_stack([lever[:, p:], np.zeros(p)])[:, self.used.period].T
        rows = (self.z @ lever[:, :p].T + self.weight[:, None] * periods) * parts[0][:, None]
        noise = theta[0] * self.shared * parts[1] * parts[3]
        rows += np.outer(self.noise * noise, lever[:, 0])
        who, size = self.used.who, self.used.customers
        sums = [np.bincount(who, weights=row, minlength=size).astype(np.float64) for row in rows.T]
        return -(np.column_stack(sums) + np.outer(self.doubt, lever[:, 0] * noise.sum()))

    def reliability(self, theta: Numbers) -> tuple[float, Numbers]:
        """Return the share of what tells the slope that is no noise, and each customer's influence on it."""
        parts, p = self._parts(theta), self.x.shape[1]
        clean = _Moments(self.used, MULTIPLICATIVE if self.rates else ADDITIVE)._jacobian(theta)
        others = np.linalg.solve(clean[1:, 1:], -clean[1:, 0])
        direction = self.x[:, 0] + self.x[:, 1:] @ others[: p - 1] + np.append(others[p - 1 :], 0.0)[self.used.period]
        whole = self.z[:, 0] * self.weight * self._slope(parts, direction)
        noise = self.shared * parts[1] * parts[3]
        part, total = (np.bincount(self.used.who, values, self.used.customers) for values in (noise, whole))
        ratio = float(noise.sum() / whole.sum())
        moved = self.noise * (part - ratio * total) / whole.sum() + ratio * self.doubt
        return 1 - self.noise * ratio, -moved


def _noise(used: Pairs, twice: Mask) -> tuple[float, Numbers]:
    """Return the variance of one answer from those who gave two in a period, and each customer's influence on it."""
    apart = 2 * (used.x[twice, 0] - used.second[twice])
    squares = (apart - apart.mean()) ** 2 / 2
    value = float(squares.sum() / (squares.size - 1))
    return value, np.asarray(np.bincount(used.who[twice], squares - value, used.customers) / squares.size, dtype=float)
