"""What the periods before the start say: a test of parallel trends, its power, and how much drift an effect bears."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from cxlib import results
from cxlib.analysis.doors import Mask
from cxlib.measure.rows import Codes, Numbers

_POWER = 0.8
_SINGULAR = 1e-12
_MOST_APART = 1e4  # noncentrality beyond which nothing is looked for
FIRST, AVERAGE, PERIOD = "first period", "average", "a period"
JOINTLY, ALONE = "jointly", "in one period"
_POWERS = {JOINTLY: "power of the joint Wald test", ALONE: "power of the tests of single periods (Bonferroni)"}


@dataclass(frozen=True, eq=False)
class Path:
    """Effects over time with their covariance; the base that they are compared with, where it is one of them, left out.

    Parameters
    ----------
    since
        Periods since the start, rising, shape (m,).
    effect, cov, freedom, rows
        Shapes (m,), (m, m), (m,), (m,).
    lead
        Periods from what they are compared with, shape (m,); None: since the one before the start.
    """

    since: Codes
    effect: Numbers
    cov: Numbers
    freedom: Numbers
    rows: Numbers
    lead: Numbers | None = None

    def take(self, kept: Codes) -> Path:
        """Return some of the effects, by place."""
        lead = None if self.lead is None else self.lead[kept]
        return Path(
            self.since[kept], self.effect[kept], self.cov[np.ix_(kept, kept)], self.freedom[kept], self.rows[kept], lead
        )

    @property
    def drifted(self) -> Numbers:
        """What a drift of 1 a period makes of each effect, shape (m,)."""
        return np.asarray(self.since + 1.0 if self.lead is None else self.lead, dtype=float)

    @property
    def anchored(self) -> bool:
        """Whether the period before the start is what they are compared with."""
        return bool(np.allclose(self.drifted, self.since + 1.0))


@dataclass(frozen=True, eq=False)
class Joint:
    """The periods before the start in one test.

    Parameters
    ----------
    before
        Which effects, shape (m,): without -1, which is the base or, where they are distances from their mean, follows.
    cov
        Of these.
    count, left
        The degrees of freedom of F.
    """

    before: Mask
    cov: Numbers
    count: int
    left: float


def joint(path: Path) -> Joint | str:
    """Return the periods before the start, or why they cannot be tested."""
    before = np.asarray(path.since < -1)
    if not before.any():
        return "one period before the start: nothing to see a drift in"
    count = int(before.sum())
    cov, left = path.cov[np.ix_(before, before)], float(path.freedom[before].min()) - count + 1
    values = np.linalg.eigvalsh(cov)
    if left < 1 or values[0] <= _SINGULAR * values[-1]:
        return f"{count} periods before the start are too many for so few clusters"
    return Joint(before, cov, count, left)


def pre_trend(path: Path, confidence: float = 0.95) -> pd.DataFrame:
    """Test jointly that all effects before the start are 0.

    Parameters
    ----------
    path
        The effects.
    confidence
        1 less the size of the test.

    Returns
    -------
    pandas.DataFrame
        One test row: estimate = Hotelling's F of k and (degrees of freedom - k + 1).
    """
    common = {"metric": "pre_trend", "comparison": "test", "method": "joint Wald test (Hotelling)"}
    found = joint(path)
    if isinstance(found, str):
        return results.frame(status=_status(path), note=found, **common)
    scale = found.left / ((found.left + found.count - 1) * found.count)
    effect = path.effect[found.before]
    statistic = float(effect @ np.linalg.solve(found.cov, effect)) * scale
    p_value = float(stats.f.sf(statistic, found.count, found.left))
    slope = _smallest_slope(path.drifted[found.before], found.cov, found.left, 1 - confidence)
    average = slope * _reach(path)
    read = (
        "the groups moved apart before the start already: the effect may be the same drift going on"
        if p_value < 1 - confidence
        else "no drift apart before the start was found, which does not prove that there was none"
    )
    note = read
    if np.isfinite(slope):
        note += (
            f". A steady drift of {slope:.3g} a period would have been found in about 80 of 100 cases; going on, it "
            f"would make {average:.3g} of the average effect"
        )
    n = float(path.rows[found.before].max())
    return results.frame(estimate=statistic, p_value=p_value, n=n, note=note, **common)


def _status(path: Path) -> str:
    return results.TOO_FEW if (path.since < -1).any() else results.UNDEFINED


def drifts(path: Path, confidence: float = 0.95) -> pd.DataFrame:
    """Say which steady drift is found in about 80 of 100 cases, and what it makes of the average effect.

    Parameters
    ----------
    path
        The effects.
    confidence
        1 less the size of the tests.

    Returns
    -------
    pandas.DataFrame
        Difference rows, level `a period`, the drift, and `average`, what it comes to in the mean of the effects from
        the start on; at `jointly`, found by the joint test, and at `in one period`, by the best of the tests of single
        periods, held together by Bonferroni (Holm finds no less). The reference is each test's own F; the covariance
        that it needs is estimated, and with few clusters its inverse is too large, so the median of its distribution is
        taken out (the precision of a direction is chi-squared: Anderson 2003, theorem 3.2.12).
    """
    found = joint(path)
    if isinstance(found, str):
        return results.frame(
            metric="drift", comparison="difference", level=[PERIOD, AVERAGE], at=JOINTLY, status=_status(path),
            note=found, method=_POWERS[JOINTLY],
        )  # fmt: skip
    slopes = {
        JOINTLY: _smallest_slope(path.drifted[found.before], found.cov, found.left, 1 - confidence),
        ALONE: _smallest_alone(path, 1 - confidence),
    }
    note = "the steady drift before the start that would have been found in about 80 of 100 cases"
    return results.concat(
        results.frame(
            metric="drift", comparison="difference", level=[PERIOD, AVERAGE], at=at, method=_POWERS[at],
            estimate=[slope, slope * _reach(path)], n=float(path.rows[found.before].max()),
            note=[note, f"what is left of it in the average effect: {note}"],
        )
        for at, slope in slopes.items()
        if np.isfinite(slope)
    )  # fmt: skip


def _reach(path: Path) -> float:
    """Return what a drift of 1 a period makes of the average effect."""
    return abs(float(path.drifted[path.since >= 0].mean()))


def _smallest_alone(path: Path, alpha: float) -> float:
    """Return the slope that the test of a single period finds in 80 of 100 cases, of the period that finds most."""
    places = np.flatnonzero(path.since < 0)
    slopes = [
        _smallest_slope(
            path.drifted[[one]], path.cov[np.ix_([one], [one])], float(path.freedom[one]), alpha / places.size
        )
        for one in places
        if path.drifted[one] != 0
    ]
    return min(slopes, default=np.inf)


def _smallest_slope(when: Numbers, cov: Numbers, left: float, alpha: float) -> float:
    """Return the slope of a linear drift, `when` periods from the base, that a test finds in 80 of 100 cases."""
    count = when.size
    cutoff = stats.f.isf(alpha, count, left)
    missing = lambda size: stats.ncf.sf(cutoff, count, left, size) - _POWER  # noqa: E731
    top = 10.0
    while top < _MOST_APART and not missing(top) > 0:
        top *= 2
    if not missing(top) > 0:
        return np.inf
    size = float(optimize.brentq(missing, 1e-9, top))
    precision = float(when @ np.linalg.solve(cov, when)) * stats.chi2.median(left) / (left + count - 1)
    return float(np.sqrt(size / precision))


def breakdowns(path: Path, confidence: float = 0.95) -> pd.DataFrame:
    """Say how much drift the effect of the first period, and the average one, bear.

    Parameters
    ----------
    path
        The effects.
    confidence
        At which the effect is told from none.

    Returns
    -------
    pandas.DataFrame
        Two test rows, estimate = M: after the start groups may drift apart, per period, M times the largest change
        between neighbouring periods before it.
    """
    after = path.since >= 0
    first = np.where(path.since == path.since[after].min(), 1.0, 0.0)
    steps = _changes(path)
    rows = []
    for level, weights in ((FIRST, first), (AVERAGE, after / after.sum())):
        common = {"metric": "breakdown", "comparison": "test", "level": level, "method": "bounds by relative magnitude"}
        if not len(steps):
            note = "one period before the start: no change to measure drift by"
            rows.append(results.frame(status=results.UNDEFINED, note=note, **common))
            continue
        reach = float(weights @ (path.since + 1.0))  # a drift of 1 a period from the start on has come to this by then
        cutoff = float(stats.t.isf((1 - confidence) / 2, path.freedom.min()))
        found = breakdown(path.effect, path.cov, weights, reach * steps, cutoff)
        rows.append(results.frame(estimate=found, n=path.rows[weights > 0].max(), note=_told(found, level), **common))
    return results.concat(rows)


def _changes(path: Path) -> Numbers:
    """Return the contrasts of neighbouring periods before the start, per period, shape (s, m).

    Where -1 is the base it is 0 throughout.
    """
    since = path.since
    times = sorted({*since[since < 0].tolist(), *[-1] * path.anchored})
    place = {time: spot for spot, time in enumerate(since.tolist())}
    out = np.zeros((max(len(times) - 1, 0), since.size))
    for row, (early, late) in enumerate(itertools.pairwise(times)):
        for time, sign in ((early, -1), (late, 1)):
            if time in place:
                out[row, place[time]] += sign / (late - early)
    return out


def breakdown(effect: Numbers, cov: Numbers, weights: Numbers, steps: Numbers, cutoff: float) -> float:
    """Return the least M at which an effect cannot be told from M times one of several changes, of either sign.

    That the true effect is at most M times the largest of the changes is a union of statements, one per change and
    sign. All of them are refused only where each is, each at the cutoff (intersection-union: Berger 1982,
    Technometrics 24:295), so no more than the size of the test is ever refused wrongly.

    Parameters
    ----------
    effect, cov
        Shapes (m,) and (m, m).
    weights
        The effect in question, shape (m,).
    steps
        The changes, shape (s, m).
    cutoff
        Standard errors that tell an effect from none.
    """
    sign = np.sign(float(weights @ effect)) or 1.0
    mine = sign * weights
    value, variance = float(mine @ effect), float(mine @ cov @ mine)
    if value <= cutoff * np.sqrt(variance):
        return 0.0
    least = np.inf
    for step in (*steps, *-steps):
        change, own, both = float(step @ effect), float(step @ cov @ step), float(mine @ cov @ step)
        square = (
            change**2 - cutoff**2 * own,
            -2 * value * change + 2 * cutoff**2 * both,
            value**2 - cutoff**2 * variance,
        )
        for root in np.roots(np.trim_zeros(square, "f")):
            real = abs(root.imag) < 1e-9 * (1 + abs(root)) and root.real > 0
            if real and value - root.real * change >= -1e-9 * value:
                least = min(least, float(root.real))
    return least


def _told(found: float, level: str) -> str:
    if found == 0:
        return "the interval holds 0 without any drift"
    which = "of the first period" if level == FIRST else "on average"
    return (
        f"the effect {which} is told from none as long as groups drift apart, per period after the start, by less than "
        f"{found:.2g} times their largest change between two neighbouring periods before it, noise of these included"
    )
