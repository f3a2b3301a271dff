"""Post-stratification: arms that chance filled unlike from the same groups are compared group by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib.analysis.experiments import limits
from cxlib.analysis.experiments.arrays import stacked, summed
from cxlib.analysis.experiments.limits import Asked, effects, with_limits
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.rows import ROUNDING

_FEWEST = 2  # units of an arm in a stratum: with fewer there is no variance


class Arm(NamedTuple):
    """An arm over K strata.

    `ratio` is that of the weighted means; `means` and `variances` are, per stratum, of the mean of the outcome
    linearised about it, (y - R x) / X, all in the unit of the ratio.
    """

    ratio: float
    means: Numbers
    variances: Numbers
    units: Numbers


def post_stratified(
    control: Moments | Sequence[Moments],
    treatment: Moments | Sequence[Moments],
    *,
    scale: str = "absolute",
    alternative: str = "two-sided",
    sequential: float | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate an effect with every arm weighted to the strata of both together (Miratrix, Sekhon and Yu 2013).

    Parameters
    ----------
    control, treatment
        Moments of one outcome per stratum, arrays of shape (K,) or K scalars, in one order. A stratum is what was known
        of a unit before it was assigned: its region, its plan, old or new.
    scale
        `absolute`, or `relative`: over the control's mean so weighted, by the delta method.
    alternative, sequential, confidence
        As for `effect`.

    Returns
    -------
    pandas.DataFrame
        One result row. Weights are the strata's shares of all units; ratios are combined (the weighted mean of y over
        that of x, Cochran 1977, 6.11). The variance is that within strata and that of the shares themselves, which
        matters where effects differ between strata; degrees of freedom by Satterthwaite over arms and strata. Strata
        with fewer than two units in an arm are put together, with the smallest of the others where need be. `note` says
        what share of the variance was saved, which may be nothing, and how many strata were put together.

    Raises
    ------
    UsageError
        For arms with unlike numbers of strata, and unknown words.
    """
    asked = Asked(scale, alternative, sequential, confidence)
    old, new, merged = _filled(stacked(control), stacked(treatment))
    units = old.clusters + new.clusters
    weights = units / max(float(units.sum()), 1.0)
    sides = (_arm(old, weights), _arm(new, weights))
    value, slopes = _compared(sides, asked)
    parts, between = _variance(sides, weights, slopes)
    plain, between_plain = _variance(sides, weights, (1.0, 1.0))
    note = _told(old, new, float(plain.sum()) + between_plain, merged)
    reason = limits.NO_DENOMINATOR if np.isnan(sides[0].ratio + sides[1].ratio) else limits.ALIKE
    if asked.scale == "relative":
        reason = limits.NO_BASE if sides[0].ratio == 0 else reason
        base = np.array([sides[0].ratio])
        note = "; ".join(filter(None, (note, str(limits.over_mean(base, weights**2 @ sides[0].variances)[0]))))
    found = effects(
        np.array([value]), np.array([parts.sum() + between]), (old.clusters.sum(keepdims=True),
        new.clusters.sum(keepdims=True)), (old.rows + new.rows).sum(keepdims=True), asked=asked, reason=reason,
        note=note, method=f"post-stratified, {'delta method' if asked.scale == 'relative' else 'Welch'}",
    )  # fmt: skip
    return with_limits(found, _freedom(plain, np.concatenate([side.units for side in sides])), asked)


def _compared(sides: tuple[Arm, Arm], asked: Asked) -> tuple[float, tuple[float, float]]:
    """Return the effect, and how much it changes with the ratio of either arm."""
    old, new = sides[0].ratio, sides[1].ratio
    if asked.scale == "absolute":
        return new - old, (1.0, 1.0)
    base = old if old else np.nan
    return (new - old) / base, (new / base**2, 1 / base)


def _variance(sides: tuple[Arm, Arm], weights: Numbers, slopes: tuple[float, float]) -> tuple[Numbers, float]:
    """Return the variances within the strata of both arms, shape (2K,), and that of the strata's shares."""
    within = [(slope * weights) ** 2 * side.variances for slope, side in zip(slopes, sides, strict=True)]
    differ = slopes[1] * sides[1].means - slopes[0] * sides[0].means
    units = max(float(np.sum(sides[0].units + sides[1].units)), 1.0)
    return np.concatenate(within), float(weights @ differ**2) / units


def _arm(strata: Moments, weights: Numbers) -> Arm:
    """Return an arm's weighted ratio with what its variance is made of."""
    n, sums, products = strata.clusters, strata.sums, strata.products
    with np.errstate(divide="ignore", invalid="ignore"):
        y, x = (weights @ (sums[name] / n) for name in ("y", "x"))
        ratio = y / x if x else np.nan
        over = products["y", "y"] + ratio**2 * products["x", "x"]
        total = sums["y"] - ratio * sums["x"]
        squares = over - 2 * ratio * products["x", "y"] - total**2 / n
        squares = np.where(np.isnan(squares) | (squares > ROUNDING * over), squares, 0.0)
        return Arm(float(ratio), total / n / x, squares / (n - 1) / n / x**2, n)


def _freedom(parts: Numbers, units: Numbers) -> Numbers:
    """Return Satterthwaite's degrees of freedom of a sum of independent variances."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.atleast_1d(parts.sum() ** 2 / np.sum(parts**2 / (units - 1)))


def _told(old: Moments, new: Moments, variance: float, merged: int) -> str:
    """Say what share of the variance was saved, and how many strata were put together."""
    plain = sum(float(summed(side).variance[0]) for side in (old, new))
    percent = round(100 * (1 - variance / plain)) if plain > 0 and np.isfinite(variance) else 0
    told = f"the strata save {percent} % of the variance" if percent >= 1 else "the strata save nothing"
    return f"{told}; {merged} of them, with too few units, were put together" if merged else told


def _filled(old: Moments, new: Moments) -> tuple[Moments, Moments, int]:
    """Return strata that have two units in both arms, and how many were put together for that."""
    if old.clusters.size != new.clusters.size:
        raise UsageError(
            f"the control has {old.clusters.size} strata and the treatment {new.clusters.size}",
            hint="Give both arms the same strata in the same order; one without units has moments of 0.",
        )
    some = old.clusters + new.clusters > 0
    old, new = (old[some], new[some]) if some.any() else (old, new)
    least = np.minimum(old.clusters, new.clusters)
    chosen = least < _FEWEST
    if not chosen.any():
        return old, new, 0
    for place in np.argsort(old.clusters + new.clusters, kind="stable"):
        if min(old.clusters[chosen].sum(), new.clusters[chosen].sum()) >= _FEWEST:
            break
        chosen[place] = True
    rest = [stacked([side[~chosen], summed(side[chosen])]) for side in (old, new)]
    return rest[0], rest[1], int(np.count_nonzero(chosen)) if chosen.size > 1 else 0
