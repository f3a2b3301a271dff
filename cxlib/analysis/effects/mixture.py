"""Mixtures of t distributions: what is left of a t where a nuisance (autocorrelation, drift) is averaged over.

Every figure of the series designs is read off one of these: limits, p-value and standard error, by bisection, nothing
drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cxlib.measure import intervals

Numbers = NDArray[np.float64]

_HALVINGS, _WIDENINGS = 60, 200


@dataclass(frozen=True)
class Mixture:
    """Independent mixtures, one per column: with `weights[j]` it is `centre[j] + scale[j] * t(freedom[j])`.

    Parameters
    ----------
    weights
        Shape (j,), summing to 1.
    centre, scale, freedom
        Shape (j, m).
    """

    weights: Numbers
    centre: Numbers
    scale: Numbers
    freedom: Numbers

    def mean(self) -> Numbers:
        """Return the weighted centres, shape (m,)."""
        return np.asarray(self.weights @ self.centre)

    def error(self) -> Numbers:
        """Return the standard deviation, shape (m,); missing where a part has no variance (2 degrees or fewer)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            inner = np.where(self.freedom > 2, self.scale**2 * self.freedom / (self.freedom - 2), np.nan)
        return np.asarray(np.sqrt(self.weights @ (inner + (self.centre - self.mean()) ** 2)))

    def below(self, values: Numbers) -> Numbers:
        """Return the probability of less than `values`, shape (m,)."""
        with np.errstate(over="ignore"):
            return np.asarray(self.weights @ special.stdtr(self.freedom, (values - self.centre) / self.scale))

    def limits(self, confidence: float) -> tuple[Numbers, Numbers]:
        """Return the quantiles that leave (1 - confidence) / 2 on either side, each shape (m,)."""
        tail = (1 - float(intervals.check_confidence(confidence))) / 2
        return self._quantile(tail), self._quantile(1 - tail)

    def p_value(self, values: Numbers) -> Numbers:
        """Return twice the smaller tail beyond `values`, shape (m,)."""
        mirrored = Mixture(self.weights, -self.centre, self.scale, self.freedom)  # 1 - below() loses small tails
        return np.minimum(2 * np.minimum(self.below(values), mirrored.below(-values)), 1.0)

    def _quantile(self, share: float) -> Numbers:
        """Return the values below which `share` lies, by bisection between bounds that are widened until they hold."""
        middle, reach = self.mean(), np.max(self.scale, axis=0) + np.ptp(self.centre, axis=0)
        low, high = middle - reach, middle + reach
        for _ in range(_WIDENINGS):
            short, long = self.below(low) > share, self.below(high) < share
            if not (short | long).any():
                break
            low, high = np.where(short, low - 2 * (high - low), low), np.where(long, high + 2 * (high - low), high)
        for _ in range(_HALVINGS):
            half = (low + high) / 2
            under = self.below(half) < share
            low, high = np.where(under, half, low), np.where(under, high, half)
        return np.asarray((low + high) / 2)


def normalised(logs: Numbers) -> Numbers:
    """Return weights that sum to 1 from their logarithms, shape (j,)."""
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())
