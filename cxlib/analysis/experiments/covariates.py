"""What is known from before the experiment makes effects more precise: CUPED and post-stratification.

Neither changes what is estimated: arms that chance made unlike are brought to the same past. The less of an outcome the
past tells, the less is saved, perhaps nothing; both say how much it was.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.experiments import limits
from cxlib.analysis.experiments.limits import Asked, effects, with_limits
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.rows import ROUNDING


class Spread(NamedTuple):
    """Ratio of an outcome and of its covariate, and the variances and covariance of the two, shape at least (1,)."""

    outcome: Numbers
    covariate: Numbers
    var_outcome: Numbers
    var_covariate: Numbers
    cov: Numbers


def cuped(
    control: Moments,
    treatment: Moments,
    *,
    scale: str = "absolute",
    alternative: str = "two-sided",
    sequential: float | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate an effect with a covariate of before (Deng, Xu, Kohavi and Walker 2013, CUPED).

    Parameters
    ----------
    control, treatment
        Moments of (y, y_pre), or of ratios y / x with ratio covariates y_pre / x_pre, scalars or arrays of one shape.
        Units of whom nothing is known from before have y_pre = 0 and x_pre = 0. Without x_pre the covariate is a mean
        over what x counts where that are rows, else over units.
    scale
        `absolute`, or `relative`: the adjusted difference over the control's unadjusted mean, by the delta method with
        the covariance of the two.
    alternative, sequential, confidence
        As for `effect`.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element. The outcome less theta times the covariate is compared, with theta =
        cov / var over the units of both arms stacked and the variance s2_Y + theta^2 s2_X - 2 theta s_XY of each arm
        (ratios linearised), by Welch's t. `note` says the share of the variance that it saved, which may be nothing.
        Theta is had from the stacked arms, which draws the effect towards 0 by some 1 in twice the units of an arm: 5 %
        at ten units, nothing that matters from 100 on. Intervals cover 95 % (simulated; relative ones 94.6 % at ten).

    Raises
    ------
    UsageError
        For moments without y_pre, and unknown words.
    """
    asked = Asked(scale, alternative, sequential, confidence)
    old, new = _spread(control), _spread(treatment)
    theta = _theta(_spread(control + treatment))
    value = new.outcome - old.outcome - theta * (new.covariate - old.covariate)
    variances = [_adjusted(side, theta) for side in (old, new)]
    saved = _saved((old, new), variances)
    variance, note, name = variances[0] + variances[1], _told(saved), "CUPED, Welch"
    reason = np.where(np.isnan(value), limits.NO_DENOMINATOR, limits.ALIKE)
    if asked.scale == "relative":
        # Of D / m: the control's own mean m shares its units with the adjusted difference D.
        base = np.where(old.outcome != 0, old.outcome, np.nan)
        shared = theta * old.cov - old.var_outcome
        variance = variance / base**2 - 2 * value / base**3 * shared + value**2 / base**4 * old.var_outcome
        value, name = value / base, "CUPED, delta method over the unadjusted control mean"
        warning = limits.over_mean(base, old.var_outcome)
        note = np.where(warning == "", note, np.char.add(np.char.add(note, "; "), warning))
        reason = np.where(old.outcome == 0, limits.NO_BASE, reason)
    units = np.atleast_1d(control.clusters, treatment.clusters)
    freedom = intervals.freedom((variances[0], variances[1]), units, np.zeros(()))
    found = effects(
        value, variance, units, np.atleast_1d(control.rows + treatment.rows), asked=asked, method=name, reason=reason,
        note=note,
    )  # fmt: skip
    return with_limits(found, freedom, asked)


def variance_saved(control: Moments, treatment: Moments) -> Numbers:
    """Return the share of the variance of the absolute effect that `cuped` saves, 0 to 1, shape at least (1,).

    Parameters
    ----------
    control, treatment
        As for `cuped`. For a forecast from past data give any two halves of the units of before.

    Returns
    -------
    numpy.ndarray
        About the squared correlation of outcome and covariate; missing where the outcome does not vary.
    """
    sides = (_spread(control), _spread(treatment))
    theta = _theta(_spread(control + treatment))
    return _saved(sides, [_adjusted(side, theta) for side in sides])


def _saved(sides: tuple[Spread, Spread], variances: list[Numbers]) -> Numbers:
    plain = sides[0].var_outcome + sides[1].var_outcome
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(plain > 0, 1 - (variances[0] + variances[1]) / plain, np.nan)


def _adjusted(side: Spread, theta: Numbers) -> Numbers:
    """Return the variance of an arm's adjusted outcome; none left is none, whatever rounding says."""
    whole = side.var_outcome + theta**2 * side.var_covariate
    rest = whole - 2 * theta * side.cov
    return np.where(np.isnan(rest) | (rest > ROUNDING * whole), rest, 0.0)


def _theta(both: Spread) -> Numbers:
    """Return the slope on the covariate of the stacked units; 0 where that does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(both.var_covariate > 0, both.cov / both.var_covariate, 0.0)


def _spread(moments: Moments) -> Spread:
    """Return ratios of outcome and covariate with their variances, by linearisation over units."""
    if not isinstance(moments, Moments) or "y_pre" not in moments.sums:
        given = "moments without y_pre" if isinstance(moments, Moments) else f"a {type(moments).__name__}"
        raise UsageError(f"an arm is {given}; CUPED adjusts for a covariate", hint="Moments.of(y, y_pre=before).")
    y, x, pre = (np.atleast_1d(moments.sums[name]) for name in ("y", "x", "y_pre"))
    over, products = _denominator(moments)
    ratio, before = _divided(y, x), np.nan_to_num(_divided(pre, over))
    pairs = {name: np.atleast_1d(value) for name, value in (dict(moments.products) | products).items()}
    own = pairs["y_pre", "y_pre"] - 2 * before * pairs["w", "y_pre"] + before**2 * pairs["w", "w"]
    own = np.where(own > ROUNDING * (pairs["y_pre", "y_pre"] + before**2 * pairs["w", "w"]), own, 0.0)
    shared = pairs["y", "y_pre"] - before * pairs["w", "y"] - ratio * (pairs["x", "y_pre"] - before * pairs["w", "x"])
    units = np.atleast_1d(moments.clusters)
    grow = _divided(units, np.where(units > 1, units - 1, 0.0))
    scaled = np.nan_to_num(_divided(grow * own, over**2)), np.nan_to_num(_divided(grow * shared, x * over))
    return Spread(ratio, before, np.atleast_1d(moments.variance), *scaled)


def _denominator(moments: Moments) -> tuple[Numbers, dict[tuple[str, str], Numbers]]:
    """Return the sum of what the covariate is divided by (`w`), and its products with all others."""
    if "x_pre" in moments.sums or np.all(moments.sums["x"] == moments.rows):
        name = "x_pre" if "x_pre" in moments.sums else "x"
        found = {("w", other): _product(moments, name, other) for other in ("x", "y", "y_pre")}
        return np.atleast_1d(moments.sums[name]), found | {("w", "w"): moments.products[name, name]}
    # Units count one each: their number of orders, say, is of after the treatment, and would bias what it divides.
    ones = {("w", other): moments.sums[other] for other in ("x", "y", "y_pre")}
    return np.atleast_1d(moments.clusters), ones | {("w", "w"): moments.clusters}


def _product(moments: Moments, one: str, other: str) -> Numbers:
    return moments.products[min(one, other), max(one, other)]


def _divided(one: Numbers, other: Numbers) -> Numbers:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(other != 0, one / other, np.nan)


def _told(saved: Numbers) -> NDArray[np.str_]:
    """Say how much of the variance is saved."""
    with np.errstate(invalid="ignore"):
        percent = np.round(100 * np.nan_to_num(saved))
        some = [f"the covariate saves {share:.0f} % of the variance" for share in percent]
        return np.where(percent >= 1, some, "the covariate saves nothing")
