"""What the periods before the start say: a test of parallel trends, its power, and how much drift an effect bears."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from cxlib import results
from cxlib.measure.rows import Codes, Numbers

_POWER = 0.8
_SINGULAR = 1e-12
FIRST, AVERAGE = "first period", "average"


@dataclass(frozen=True, eq=False)
class Path:
    """Effects over time with their covariance; -1, with which they are compared, left out.

    Parameters
    ----------
    since
        Periods since the start, rising, shape (m,).
    effect, cov, freedom, rows
        Shapes (m,), (m, m), (m,), (m,).
    """

    since: Codes
    effect: Numbers
    cov: Numbers
    freedom: Numbers
    rows: Numbers


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
    before = path.since < -1
    common = {"metric": "pre_trend", "comparison": "test", "method": "joint Wald test (Hotelling)"}
    if not before.any():
        return results.frame(
            status=results.UNDEFINED, note="one period before the start: nothing to see a drift in", **common
        )
    count, n = int(before.sum()), float(path.rows[before].max())
    cov, left = path.cov[np.ix_(before, before)], float(path.freedom[before].min()) - count + 1
    values = np.linalg.eigvalsh(cov)
    if left < 1 or values[0] <= _SINGULAR * values[-1]:
        return results.frame(
            status=results.TOO_FEW, note=f"{count} periods before the start are too many for so few clusters", **common
        )
    scale = left / ((left + count - 1) * count)
    statistic = float(path.effect[before] @ np.linalg.solve(cov, path.effect[before])) * scale
    p_value = float(stats.f.sf(statistic, count, left))
    slope = _smallest_slope(np.asarray(path.since[before] + 1.0, dtype=float), cov, left, 1 - confidence)
    after = path.since[path.since >= 0] + 1.0
    read = (
        "the groups moved apart before the start already: the effect may be the same drift going on"
        if p_value < 1 - confidence
        else "no drift apart before the start was found, which does not prove that there was none"
    )
    note = (
        f"{read}. A steady drift of {slope:.3g} a period would have been found in 80 of 100 cases; going on, it would "
        f"make {slope * after.mean():.3g} of the average effect"
    )
    return results.frame(estimate=statistic, p_value=p_value, n=n, note=note, **common)


def _smallest_slope(when: Numbers, cov: Numbers, left: float, alpha: float) -> float:
    """Return the slope of a linear drift, `when` periods from the base, that the test finds in 80 of 100 cases."""
    count = when.size
    cutoff = stats.f.isf(alpha, count, left)
    missing = lambda size: stats.ncf.sf(cutoff, count, left, size) - _POWER  # noqa: E731
    top = 10.0
    while missing(top) < 0:
        top *= 2
    size = float(optimize.brentq(missing, 1e-9, top))
    return float(np.sqrt(size / (when @ np.linalg.solve(cov, when))))


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
    steps = _changes(path.since)
    rows = []
    for level, weights in ((FIRST, first), (AVERAGE, after / after.sum())):
        common = {"metric": "breakdown", "comparison": "test", "level": level, "method": "bounds by relative magnitude"}
        if not len(steps):
            note = "one period before the start: no change to measure drift by"
            rows.append(results.frame(status=results.UNDEFINED, note=note, **common))
            continue
        reach = float(weights @ (path.since + 1.0))  # a drift of 1 a period has come to this by then
        cutoff = float(stats.t.isf((1 - confidence) / 2, path.freedom.min()))
        found = breakdown(path.effect, path.cov, weights, reach * steps, cutoff)
        rows.append(results.frame(estimate=found, n=path.rows[weights > 0].max(), note=_told(found, level), **common))
    return results.concat(rows)


def _changes(since: Codes) -> Numbers:
    """Return the contrasts of neighbouring periods before the start, per period, shape (s, m); -1 is 0 throughout."""
    times = [*since[since < -1].tolist(), -1]
    place = {time: spot for spot, time in enumerate(since.tolist())}
    out = np.zeros((len(times) - 1, since.size))
    for row, (early, late) in enumerate(itertools.pairwise(times)):
        out[row, place[early]] -= 1 / (late - early)
        if late != -1:
            out[row, place[late]] += 1 / (late - early)
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
