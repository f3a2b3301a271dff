"""The effect of a treatment: the difference of two arms' means or ratios, from their moments and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis.experiments import limits
from cxlib.analysis.experiments.limits import Asked, with_limits
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import differences, intervals
from cxlib.measure.moments import Moments, Numbers

METHODS = ("welch", "newcombe", "wald")
_RARE = 10  # units of an arm with the outcome, or without: fewer make the limits of a share too narrow
_SMALL, _UNEVEN = 300, 3  # units of an arm beside one so many times as large: skewed outcomes make limits too narrow
_EXACT = 2.0**53  # below, doubles hold whole numbers exactly
_ROUNDING = 1e-13  # of what was summed: a mean this small is many thousand times less than its error
RARE = f"fewer than {_RARE} units of an arm have the outcome, or lack it: Newcombe's limits are safer"
UNEVEN = (
    "a small arm beside a large one: where few units make most of the outcome, chance looks like an effect too often"
)
_WORDS = {
    "the value before is 0": limits.NO_BASE,
    "all are alike on both sides": limits.ALIKE,
    "all are alike on one side: the delta method has no variance": "all units of one arm are alike: the relative "
    "effect has no standard error",
}


def effect(
    control: Moments,
    treatment: Moments,
    *,
    scale: str = "absolute",
    alternative: str = "two-sided",
    sequential: float | None = None,
    confidence: float = 0.95,
    method: str = "welch",
) -> pd.DataFrame:
    """Estimate what a treatment changed.

    Parameters
    ----------
    control, treatment
        Moments of the outcome, scalars or arrays of one shape (a metric or segment each); `clusters` are the units
        that were assigned. A ratio (order value) is had by its x, by the delta method on the units' sums; variances
        are robust to several rows a unit by construction. Outcomes that are all 0 or 1 have the variance p (1 - p) / n.
    scale
        `absolute` (treatment - control) or `relative` (treatment / control - 1, delta method over the control's mean,
        the degrees of freedom those of the absolute effect).
    alternative
        `two-sided`; `greater` or `less` for a one-sided p-value and interval, whose other limit is the end of the
        scale: infinite for means and ratios, 1 or -1 for a difference of shares, -1 for a relative decrease of shares.
    sequential
        N*, the number of units of both arms at which an always-valid interval is to be narrowest, decided before the
        first look: interval and p-value may then be looked at as often as one likes (Waudby-Smith et al.,
        arXiv:2103.06476; `measure.sequential`). None: they hold for one look.
    confidence
        Of the interval.
    method
        `welch`: t with the degrees of freedom of Welch and Satterthwaite over units (Welch 1947; R `t.test`). For
        outcomes of 0 and 1 also `newcombe` (hybrid score, Newcombe 1998, method 10; absolute, one look) and `wald`
        (z, unpooled).

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per element, `at` the treatment `against` the control; n are the rows, n_eff the units
        of both arms. `undefined` where all units are alike, where a denominator or, for relative effects, the
        control's mean is 0; `too_few` where an arm has fewer than two units. `note` warns where the limits at 95 % miss
        more than 5 of 100 truths (simulated): of rare shares (14 of 100 where two of 100 units have it beside an arm
        ten times as large; Newcombe's method 4), of skewed outcomes in a small arm beside a large one (8 to 10;
        one-sided up to 14), of relative effects whose control's mean is known only roughly (6 to 15), is near 0, or
        below. Arms of equal size err little: at most 6 of 100. Sums of large, nearly equal numbers cannot show a spread
        of less than 3e-7 of the mean (`Moments`): the note says so, and that a constant must be taken off first.

    Raises
    ------
    UsageError
        For what are no moments, and unknown words.
    """
    asked = Asked(scale, alternative, sequential, confidence)
    _check(control, treatment, method, asked)
    if method != "welch":
        return _named(_of_shares(control, treatment, method, asked))
    shares = is_share(control) & is_share(treatment)
    one, other = plain(control, shares), plain(treatment, shares)
    found = differences.mean_difference(one, other, scale=scale, confidence=confidence)
    found = _said(found, one, other)
    variances = (np.atleast_1d(one.variance), np.atleast_1d(other.variance))
    units = (np.atleast_1d(one.clusters), np.atleast_1d(other.clusters))
    freedom = intervals.freedom(variances, units, np.zeros(()))
    # A share cannot lose more than all of it, nor change by more than 1.
    least = np.where(shares, -1.0, -np.inf)
    most = np.where(shares & (scale == "absolute"), 1.0, np.inf)
    found = found.assign(note=found["note"].mask(found["note"] == "", _cautions(one, other, asked)))
    return _named(with_limits(found, freedom, asked, least=least, most=most))


def is_share(moments: Moments) -> NDArray[np.bool_]:
    """Tell which elements are outcomes of 0 and 1, one row a unit; shape at least (1,)."""
    rows, y, yy = np.atleast_1d(moments.rows, moments.sums["y"], moments.products["y", "y"])
    plain = (moments.clusters == rows) & (moments.sums["x"] == rows) & (moments.products["x", "x"] == rows)
    return np.asarray(plain & (yy == y) & (y >= 0) & (y <= rows))


@dataclass(frozen=True, eq=False)
class Plain(Moments):
    """Moments whose `shares` have the variance p (1 - p) / n: what a share has, and what its other methods take."""

    shares: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1, dtype=bool))

    @property
    def variance(self) -> Numbers:
        """Variance of `ratio`, shape at least (1,)."""
        return np.where(self.shares, np.atleast_1d(self.simple_variance), np.atleast_1d(super().variance))


def plain(moments: Moments, shares: NDArray[np.bool_]) -> Plain:
    """Return the same moments, with the plain variance where they are shares."""
    return Plain(**{one.name: getattr(moments, one.name) for one in fields(moments)}, shares=shares)


def _check(control: Moments, treatment: Moments, method: str, asked: Asked) -> None:
    """Refuse what cannot be compared so."""
    for moments in (control, treatment):
        if not isinstance(moments, Moments):
            raise UsageError(f"an arm is a {type(moments).__name__}, not Moments", hint="Make it with Moments.of(y).")
    if method not in METHODS:
        raise UsageError(f"'{method}' is none of {', '.join(METHODS)}{did_you_mean(method, METHODS)}")
    if method == "welch":
        return
    wrong = int(np.count_nonzero(~(is_share(control) & is_share(treatment))))
    if wrong:
        raise UsageError(f"{method} is for outcomes of 0 and 1, one a unit; {wrong} are not", hint="Take welch.")
    if asked.scale == "relative" or asked.sequential is not None:
        raise UsageError(f"{method} gives absolute effects of one look", hint="Take welch.")


def _of_shares(control: Moments, treatment: Moments, method: str, asked: Asked) -> pd.DataFrame:
    """Return the difference of two shares by a method of their own."""
    found = differences.share_difference(
        treatment.sums["y"], treatment.rows, control.sums["y"], control.rows, method=method,
        confidence=asked.both_sides,
    )  # fmt: skip
    if asked.one_sided:
        greater = asked.alternative == "greater"
        towards = (found["estimate"] > 0) == greater
        half = found["p_value"] / 2
        open_side = {"conf_high": 1.0} if greater else {"conf_low": -1.0}
        found = found.assign(p_value=half.where(towards | (found["estimate"] == 0), 1 - half), **open_side)
    note = found["note"].replace({"one side has too few answers": limits.EMPTY})
    if method == "wald":
        note = note.mask(note == "", _cautions(control, treatment, asked))
    return results.conform(found.assign(method=found["method"] + asked.words, note=note))


def _said(found: pd.DataFrame, control: Moments, treatment: Moments) -> pd.DataFrame:
    """Return differences in the words of experiments, and say which arms have too few units to compare."""
    units = np.minimum(*np.atleast_1d(control.clusters, treatment.clusters))
    zero = (np.atleast_1d(control.sums["x"]) == 0) | (np.atleast_1d(treatment.sums["x"]) == 0)
    known = found["status"] == results.OK  # warnings are ours, see `_cautions`
    note = found["note"].replace(_WORDS).mask(known, "")
    note = note.mask((note == limits.ALIKE) & (_uncertain(control) | _uncertain(treatment)), limits.LOST)
    baseless = (found["comparison"] == "relative") & known & _is_rounding(control)
    note = note.mask(baseless, limits.NO_BASE).mask(zero, limits.NO_DENOMINATOR).mask(units < 2, limits.FEW)
    note = note.mask(units == 0, limits.EMPTY)
    status = found["status"].mask(zero | baseless, results.UNDEFINED).mask(units == 1, results.TOO_FEW)
    method = found["method"].str.replace("delta method on before", "delta method over the control mean")
    return results.conform(found.assign(note=note, status=status, method=method))


def _uncertain(moments: Moments) -> NDArray[np.bool_]:
    """Tell where sums cannot show whether units are alike; they can where they were centred, or are whole and exact."""
    if moments.centred is not None:
        return np.zeros(np.atleast_1d(moments.rows).shape, dtype=bool)
    y, x, yy, xx = np.atleast_1d(
        moments.sums["y"], moments.sums["x"], moments.products["y", "y"], moments.products["x", "x"]
    )
    exact = (y == np.floor(y)) & (yy == np.floor(yy)) & (np.maximum(y**2, yy * xx) < _EXACT) & (x > 0)
    return np.asarray(~(exact & (y**2 * xx == yy * x**2)) & (yy > 0))


def _is_rounding(moments: Moments) -> NDArray[np.bool_]:
    """Tell which sums of y are no more than the last digits of what was summed."""
    y, yy, units = np.atleast_1d(moments.sums["y"], moments.products["y", "y"], moments.clusters)
    return np.asarray(np.abs(y) <= _ROUNDING * np.sqrt(units * yy))


def _cautions(control: Moments, treatment: Moments, asked: Asked) -> NDArray[np.str_]:
    """Say where the limits hold less often than they say; nothing where they do not."""
    sides = (control, treatment)
    units = [np.atleast_1d(side.clusters) for side in sides]
    few = [np.atleast_1d(np.minimum(side.sums["y"], side.rows - side.sums["y"])) for side in sides]
    shares = is_share(control) & is_share(treatment)
    rare = shares & (np.minimum(*few) < _RARE)
    least, most = np.minimum(*units), np.maximum(*units)
    uneven = ~shares & (least < _SMALL) & (most > _UNEVEN * least)
    found = np.where(rare, RARE, np.where(uneven, UNEVEN, ""))
    if asked.scale == "absolute":
        return found
    base = limits.over_mean(np.atleast_1d(control.ratio), np.atleast_1d(control.variance))
    return np.where(base == "", found, base)


def _named(found: pd.DataFrame) -> pd.DataFrame:
    return results.label(found, at=limits.TREATMENT, against=limits.CONTROL)
