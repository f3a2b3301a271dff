"""What a series would have done: a level that may wander, regression on controls, a drift if there is one. Exact.

The model is that of statsmodels' `UnobservedComponents(level="local level", exog=..., mle_regression=False)`, forecast
for all later points at once. Its variances are not fixed at their likeliest values, which makes short histories
over-confident: the share of wandering is averaged over its restricted likelihood on a grid (flat prior), the common
variance and the slopes are integrated out. What is left is a mixture of t distributions: nothing is drawn, nothing has
to converge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxlib.analysis.effects.mixture import Mixture, normalised

Numbers = NDArray[np.float64]
Steps = NDArray[np.int64]

WANDERING = np.linspace(0, 1, 25)  # f: the covariance is (1 - f)^2 I + f^2 min(s, t); 1 is a random walk
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Forecast:
    """Later points as they would have been.

    Parameters
    ----------
    weights, freedom
        Shape (j,): parts of the mixture, and their degrees of freedom.
    means, covariances
        Shape (j, h) and (j, h, h): centre and squared scale of each part.
    drifting, wandering
        Weight of a drift, and the mean share of wandering: 0 is noise about a line, 1 a random walk.
    """

    weights: Numbers
    freedom: Numbers
    means: Numbers
    covariances: Numbers
    drifting: float
    wandering: float

    def of(self, contrasts: Numbers) -> Mixture:
        """Return the distribution of sums over the later points, shape (m, h), as a mixture of m columns."""
        scale = np.sqrt(np.einsum("mh,jhi,mi->jm", contrasts, self.covariances, contrasts, optimize=True))
        freedom = np.repeat(self.freedom[:, None], len(contrasts), axis=1)
        return Mixture(self.weights, self.means @ contrasts.T, scale, freedom)


def forecast(
    place: Steps, columns: Numbers, outcome: Numbers, later: Steps, later_columns: Numbers, *,
    wandering: Numbers = WANDERING,
) -> Forecast | None:  # fmt: skip
    """Forecast the points at `later` from those at `place`.

    Parameters
    ----------
    place, later
        Steps of the points before, shape (n,), rising, and after, shape (h,).
    columns, later_columns
        Regressors with a constant, shapes (n, k) and (h, k).
    outcome
        Shape (n,).
    wandering
        The grid, shape (g,).

    Returns
    -------
    Forecast or None
        None where the columns cannot be told apart or explain the outcome exactly. With and without a drift are weighed
        by the likelihood, a drift paying half the logarithm of n + 1 (a prior worth one observation; Kass and Wasserman
        1995, JASA 90:928).
    """
    middle, width = place.mean(), place.std()
    x = np.column_stack([columns, (place - middle) / width])
    ahead = np.column_stack([later_columns, (later - middle) / width])
    if np.linalg.matrix_rank(x) < x.shape[1] or outcome.size - x.shape[1] < 2:
        return None
    centre, unit = float(outcome.mean()), float(outcome.std())  # else squares of a high level drown the rest
    if unit <= 1e-12 * abs(centre):
        return None
    cells = _Cells.of(place - place[0] + 1, x, (outcome - centre) / unit, later - place[0] + 1, ahead)
    if cells.exact():
        return None
    logs = np.array([cells.likelihood(f) for f in wandering]).ravel()  # without and with drift, for each share
    weights = normalised(logs)
    kept = np.flatnonzero(weights > _NEGLIGIBLE)
    parts = [cells.part(wandering[i // 2], bool(i % 2)) for i in kept]
    n, k = x.shape
    return Forecast(
        normalised(logs[kept]), np.array([float(n - k + 1 - i % 2) for i in kept]),
        np.array([mean * unit + centre for mean, _ in parts]), np.array([unit**2 * each for _, each in parts]),
        float(weights[1::2].sum()), float(weights @ np.repeat(wandering, 2)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Cells:
    """What all parts of the mixture share: everything turned by the eigenvectors of the random walk."""

    lengths: Numbers
    x: Numbers
    y: Numbers
    cross: Numbers
    ahead: Numbers
    walk: Numbers

    @classmethod
    def of(cls, place: Steps, x: Numbers, y: Numbers, later: Steps, ahead: Numbers) -> _Cells:
        lengths, turn = np.linalg.eigh(np.minimum.outer(place, place).astype(float))
        cross = np.minimum.outer(later, place) @ turn
        return cls(
            np.maximum(lengths, 1e-12), turn.T @ x, turn.T @ y, cross, ahead, np.minimum.outer(later, later) * 1.0
        )

    def exact(self) -> bool:
        """Tell whether the columns explain the outcome but for rounding."""
        left = self.y - self.x @ np.linalg.lstsq(self.x, self.y, rcond=None)[0]
        return bool(left @ left <= 1e-20 * (self.y @ self.y))

    def whitened(self, f: float) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Return lengths and the QR of what is whitened: q, r, and the outcome."""
        lengths = (1 - f) ** 2 + f**2 * self.lengths
        by = 1 / np.sqrt(lengths)
        q, r = np.linalg.qr(self.x * by[:, None])
        return lengths, q, r, self.y * by

    def likelihood(self, f: float) -> tuple[float, float]:
        """Return the restricted log likelihood without and with a drift (the last column)."""
        lengths, q, r, y = self.whitened(f)
        c = q.T @ y
        n, k = self.x.shape
        with_drift = max(float(y @ y - c @ c), 1e-300)
        shared = -0.5 * np.log(lengths).sum() - np.log(np.abs(np.diag(r)[:-1])).sum()
        half = (n - k + 1) / 2
        return (
            float(shared - half * np.log(with_drift + c[-1] ** 2)),
            float(shared - half * np.log(with_drift) - 0.5 * np.log(n + 1)),
        )

    def part(self, f: float, drift: bool) -> tuple[Numbers, Numbers]:
        """Return centre and squared scale of the later points, given a share of wandering."""
        lengths, q, r, y = self.whitened(f)
        k = self.x.shape[1] - (not drift)
        q, r, by = q[:, :k], r[:k, :k], 1 / np.sqrt(lengths)
        c = q.T @ y
        left = y - q @ c
        gain = f**2 * self.cross * by
        mean = self.ahead[:, :k] @ np.linalg.solve(r, c) + gain @ left
        unsure = np.linalg.solve(r.T, (self.ahead[:, :k] - gain @ (self.x[:, :k] * by[:, None])).T)
        noise = (1 - f) ** 2 * np.eye(len(mean)) + f**2 * self.walk
        return mean, (noise - gain @ gain.T + unsure.T @ unsure) * (left @ left) / (y.size - k)


def surprises(place: Steps, columns: Numbers, outcome: Numbers, f: float) -> tuple[Numbers, Numbers, Numbers]:
    """Return what each point was expected to be from those before it, and by how much it could miss.

    Parameters
    ----------
    place, columns, outcome
        As in `forecast`, a drift among the columns where there is one.
    f
        Share of wandering.

    Returns
    -------
    tuple
        One-step forecasts, their standard errors, and misses in standard errors, shape (n,); missing for the first
        points, from which the columns are first had.
    """
    (n, k), since = columns.shape, place - place[0] + 1
    sigma = (1 - f) ** 2 * np.eye(n) + f**2 * np.minimum.outer(since, since)
    low = np.linalg.cholesky(sigma)
    x, y = np.linalg.solve(low, columns), np.linalg.solve(low, outcome)
    beta, errors, misses = np.zeros(k), np.full(n, np.nan), np.full(n, np.nan)
    for t in range(n):  # recursive residuals of Brown, Durbin and Evans (1975, JRSS B 37:149), of whitened columns
        if t >= k and np.linalg.matrix_rank(x[:t]) == k:
            r = np.asarray(np.linalg.qr(x[:t], mode="r"))
            beta = np.linalg.lstsq(x[:t], y[:t], rcond=None)[0]
            errors[t] = np.sqrt(1 + np.sum(np.linalg.solve(r.T, x[t]) ** 2))
            misses[t] = (y[t] - x[t] @ beta) / errors[t]
    spread = np.sqrt(np.nanmean(misses**2))
    return outcome - misses * errors * np.diag(low), errors * np.diag(low) * spread, misses / spread
