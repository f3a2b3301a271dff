"""How likely a running test statistic leaves its boundaries at each look, and boundaries that spend an error.

Between looks the statistic z sqrt(t) moves as Brownian motion in information t, so that the density of those who go on
is had from look to look by one integral (Armitage, McPherson and Rowe 1969, JRSS A 132:235; Jennison and Turnbull 2000,
Group Sequential Methods, chapter 19).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from cxlib.errors import UsageError, did_you_mean

Numbers = NDArray[np.float64]

LARGEST = 8.0  # standard errors: no boundary lies farther out (p = 1e-15)
_WIDE = 9.0  # standard errors about the drift that hold all of a density
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


class Path(NamedTuple):
    """Those who went on after a look: nodes on the scale of z sqrt(t), with weight times density, and t."""

    at: Numbers
    mass: Numbers
    t: float


START = Path(np.zeros(1), np.ones(1), 0.0)


def obrien_fleming(t: float, alpha: float) -> float:
    """Return what one side has spent of alpha at information t: 2 - 2 Phi(z_(alpha/2) / sqrt t) (Lan, DeMets 1983)."""
    return float(2 * special.ndtr(special.ndtri(alpha / 2) / math.sqrt(t)))


def pocock(t: float, alpha: float) -> float:
    """Return what one side has spent of alpha at information t: alpha log(1 + (e - 1) t) (Lan and DeMets 1983)."""
    return alpha * math.log1p((math.e - 1) * t)


SPENDING: dict[str, Callable[[float, float], float]] = {"obrien-fleming": obrien_fleming, "pocock": pocock}


def spent(t: float, alpha: float, spending: str) -> float:
    """Return what one side has spent of its alpha at information t, up to 1, by a name of `SPENDING`."""
    by = SPENDING.get(spending)
    if by is None:
        near = did_you_mean(str(spending), SPENDING)
        raise UsageError(f"'{spending}' is no spending; there are {', '.join(SPENDING)}{near}")
    return by(t, alpha)


def upper_boundaries(fractions: Sequence[float], alpha: float, spending: str, *, two_sided: bool) -> Numbers:
    """Return the boundary of |z| (of z, one-sided) at each look.

    Parameters
    ----------
    fractions
        Information at each look over that planned, rising, above 0. The last look spends all that is left of alpha,
        whether more units came than were planned or fewer.
    alpha
        Of both sides together, or of the one.
    spending
        A name of `SPENDING`.
    two_sided
        Whether those below minus the boundary stop, too.
    """
    side, before, path, found = alpha / (2 if two_sided else 1), 0.0, START, []
    for number, t in enumerate(fractions, start=1):
        total = side if number == len(fractions) else spent(t, side, spending)
        z = _boundary(path, t, total - before)
        found.append(z)
        before = total
        path = onward(path, t, -z if two_sided else -math.inf, z)
    return np.array(found)


def exits(
    fractions: Sequence[float], bounds: Numbers, drift: float = 0.0, *, two_sided: bool
) -> tuple[Numbers, Numbers]:
    """Return how likely the statistic leaves above, and below, at each look for the first time.

    Parameters
    ----------
    fractions, bounds
        Information and boundary of each look.
    drift
        Expected z at information 1.
    two_sided
        Whether there is a boundary below.
    """
    path, above, below = START, [], []
    for t, z in zip(fractions, bounds, strict=True):
        above.append(_beyond(path, t, float(z), drift))
        below.append(_beyond(Path(-path.at, path.mass, path.t), t, float(z), -drift) if two_sided else 0.0)
        path = onward(path, t, -float(z) if two_sided else -math.inf, float(z), drift)
    return np.array(above), np.array(below)


def onward(path: Path, t: float, low: float, high: float, drift: float = 0.0) -> Path:
    """Return those who go on after the look at information t because z lies between low and high."""
    root, step = math.sqrt(t), t - path.t
    ends = max(low * root, drift * t - _WIDE * root), min(high * root, drift * t + _WIDE * root)
    if ends[1] <= ends[0]:
        return Path(np.zeros(1), np.zeros(1), t)
    panels = max(math.ceil((ends[1] - ends[0]) / math.sqrt(step)), 4)
    edges = np.linspace(*ends, panels + 1)
    half = (edges[1] - edges[0]) / 2
    at = (edges[:-1, None] + half + half * _NODES).ravel()
    away = (at[:, None] - path.at - drift * step) / math.sqrt(step)
    density = np.exp(-(away**2) / 2) @ path.mass / math.sqrt(2 * math.pi * step)
    return Path(at, density * np.tile(half * _WEIGHTS, panels), t)


def _beyond(path: Path, t: float, z: float, drift: float = 0.0) -> float:
    """Return how likely those who went on so far are above z at information t."""
    step = t - path.t
    return float(path.mass @ special.ndtr((path.at + drift * step - z * math.sqrt(t)) / math.sqrt(step)))


def _boundary(path: Path, t: float, spend: float) -> float:
    """Return the z that so many exceed at information t, at most `LARGEST`."""
    if _beyond(path, t, LARGEST) >= spend:
        return LARGEST
    return float(optimize.brentq(lambda z: _beyond(path, t, z) - spend, -LARGEST, LARGEST, xtol=1e-10))
