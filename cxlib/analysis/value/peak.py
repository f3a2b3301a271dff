"""The top of a likelihood of positive parameters: Newton's steps in a trust region, on the logarithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxlib.measure.rows import Numbers

# Value, gradient and second derivatives with respect to the parameters themselves.
Likelihood = Callable[[Numbers], tuple[float, Numbers, Numbers]]

_FARTHEST = 18.0  # logarithms beyond this are no estimates: e^18 is 6.6e7
_FLATTEST = 3.0  # of a parameter's logarithm: with a larger standard error the data say nothing about it
_STEEP = 1e-6  # a slope of the mean log likelihood that is called none


@dataclass(frozen=True, eq=False)
class Peak:
    """Where a likelihood is highest: parameters, its value there, their covariance; `reason` where there is no top."""

    parameters: Numbers
    value: float
    covariance: Numbers
    reason: str


def climb(likelihood: Likelihood, start: Sequence[float], names: Sequence[str], size: float) -> Peak:
    """Find the top.

    Parameters
    ----------
    likelihood
        Parameters, shape (k,), to log likelihood, gradient (k,) and Hessian (k, k).
    start
        Positive parameters to begin from.
    names
        Of the parameters, for the reason.
    size
        What the log likelihood is divided by: the number of customers.

    Returns
    -------
    Peak
        The covariance is the inverse of the observed information; missing, with a reason, where a parameter runs
        away or the data leave it open (a flat top).
    """
    from scipy import optimize

    last: dict[bytes, tuple[float, Numbers, Numbers]] = {}

    def at(theta: Numbers) -> tuple[float, Numbers, Numbers]:
        """Return minus the mean log likelihood and its derivatives by the logarithms; the last one is kept."""
        key = theta.tobytes()
        if key not in last:
            last.clear()
            here = np.exp(np.clip(theta, -2 * _FARTHEST, 2 * _FARTHEST))
            value, slope, bend = likelihood(here)
            bend = bend * np.outer(here, here) + np.diag(slope * here)
            last[key] = (-value / size, -slope * here / size, -bend / size)
        return last[key]

    with np.errstate(all="ignore"):
        found = optimize.minimize(
            lambda theta: at(theta)[0], np.log(np.asarray(start, dtype=float)), jac=lambda theta: at(theta)[1],
            hess=lambda theta: at(theta)[2], method="trust-exact", options={"gtol": 1e-10, "maxiter": 200},
        )  # fmt: skip
        theta = np.asarray(found.x)
        value, slope, information = at(theta)
    here = np.exp(theta)
    reason, covariance = _judge(theta, slope, information * size, names)
    return Peak(here, float(-value * size), covariance * np.outer(here, here), reason)


def _judge(theta: Numbers, slope: Numbers, information: Numbers, names: Sequence[str]) -> tuple[str, Numbers]:
    """Return why this is no top, empty where it is one, and the covariance of the logarithms."""
    nothing: NDArray[np.float64] = np.full(information.shape, np.nan)
    far = [name for name, log in zip(names, theta, strict=True) if not abs(log) < _FARTHEST]
    if far:
        return f"{' and '.join(far)} run{'s' if len(far) == 1 else ''} away: the likelihood has no top", nothing
    if not np.all(np.isfinite(information)) or np.abs(slope).max() > _STEEP:
        return "the likelihood's top was not reached", nothing
    if np.linalg.eigvalsh(information)[0] <= 0:
        return "the likelihood is flat at its top", nothing
    covariance: NDArray[np.float64] = np.linalg.inv(information).astype(np.float64)
    errors = np.sqrt(np.diag(covariance))
    open_ = [name for name, error in zip(names, errors, strict=True) if not error < _FLATTEST]
    if open_:
        return f"the data leave {' and '.join(open_)} open", nothing
    return "", covariance
