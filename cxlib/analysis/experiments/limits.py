"""Limits and p-values of effects from their standard errors: of both sides or of one, for one look or for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import sequential
from cxlib.measure.moments import Numbers

ALTERNATIVES = ("two-sided", "greater", "less")
SCALES = ("absolute", "relative")
CONTROL, TREATMENT = "control", "treatment"
FEW, EMPTY = "fewer than two units in an arm", "an arm has no units"
ALIKE = "all units are alike in both arms"
LOST = "all units are alike in both arms, or their spread is lost in the digits of the sums: take a constant off first"
NO_DENOMINATOR = "the denominator is 0 in an arm"
NO_BASE = "the control's mean is 0: there is no relative effect"
NEGATIVE = "the control's mean is negative: read the sign with care"
NEAR_ZERO = "the control's mean is not clearly different from 0: the limits of a relative effect are rough"
ROUGH_BASE = "the control's mean is known only roughly: the limits of a relative effect hold less often than they say"
# Standard errors of the control's mean: nearer to 0 the delta method's limits fail (Fieller 1954) ...
_NEAR_ZERO = 2.0
_ROUGH = 10.0  # ... and up to here, of skewed outcomes, they miss the truth in 6 to 15 of 100 cases
ASYMPTOTIC = 100  # units; with fewer an always-valid interval of skewed outcomes misses more often than it says


@dataclass(frozen=True)
class Asked:
    """What a reader wants to know of an effect; raises `UsageError` for what nobody can.

    Parameters
    ----------
    scale
        `absolute` (treatment - control) or `relative` (over the control's mean).
    alternative
        `two-sided`, or `greater` or `less`: the treatment's mean is the greater or the lesser one.
    sequential
        The number of units N* at which an always-valid interval is narrowest; None for an interval of one look.
    confidence
        Of the interval.
    """

    scale: str = "absolute"
    alternative: str = "two-sided"
    sequential: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check all of them at once."""
        faults = []
        if self.scale not in SCALES:
            faults.append(f"scale '{self.scale}' is none of {', '.join(SCALES)}{did_you_mean(self.scale, SCALES)}")
        if self.alternative not in ALTERNATIVES:
            near = did_you_mean(self.alternative, ALTERNATIVES)
            faults.append(f"alternative '{self.alternative}' is none of {', '.join(ALTERNATIVES)}{near}")
        flag = isinstance(self.sequential, bool | np.bool_)
        if flag or (self.sequential is not None and not 1 <= self.sequential < np.inf):
            faults.append(f"sequential {self.sequential} is no number of units of 1 or more")
        if not 0 < self.confidence < 1:
            faults.append(f"confidence {self.confidence} is not between 0 and 1")
        elif self.one_sided and self.confidence <= 0.5:
            faults.append(f"a one-sided interval needs a confidence above 0.5, not {self.confidence}")
        if faults:
            raise UsageError("; ".join(faults), hint="Write 95 % as 0.95, and 5000 for a decision at 5,000 units.")

    @property
    def one_sided(self) -> bool:
        """Tell whether one side only is asked about."""
        return self.alternative != "two-sided"

    @property
    def both_sides(self) -> float:
        """The confidence of the two-sided interval that has a limit in common with the one asked for."""
        return 2 * self.confidence - 1 if self.one_sided else self.confidence

    @property
    def words(self) -> str:
        """What is added to the name of a method."""
        told = ", one-sided" if self.one_sided else ""
        return told if self.sequential is None else f"{told}, always valid (n* {self.sequential:g})"


def with_limits(
    found: pd.DataFrame, freedom: ArrayLike, asked: Asked, *, least: ArrayLike = -np.inf, most: ArrayLike = np.inf
) -> pd.DataFrame:
    """Give effects their limits and p-values.

    Parameters
    ----------
    found
        A result frame of effects: estimate, standard error, `n_eff` the independent units of both arms.
    freedom
        Degrees of freedom of each, for intervals of one look.
    asked
        Which interval.
    least, most
        Ends of the scale: where the open side of a one-sided interval ends.

    Returns
    -------
    pandas.DataFrame
        The same rows; the method says what kind of interval it is.
    """
    value, error, units = (found[name].to_numpy(dtype=float) for name in ("estimate", "std_error", "n_eff"))
    known = (found["status"] == results.OK).to_numpy()
    if asked.sequential is None:
        half, tail = _of_one_look(value, error, np.where(known, freedom, np.nan), asked)
    else:
        half, tail = _of_all_looks(value, error, units, asked)
    low, high, p_value = value - half, value + half, np.where(known, tail, np.nan)
    if asked.one_sided:
        low = low if asked.alternative == "greater" else np.broadcast_to(np.asarray(least, dtype=float), low.shape)
        high = high if asked.alternative == "less" else np.broadcast_to(np.asarray(most, dtype=float), high.shape)
    note = found["note"]
    if asked.sequential is not None:
        few = known & (units < ASYMPTOTIC) & (note == "").to_numpy()
        note = note.mask(few, f"fewer than {ASYMPTOTIC} units: too early for always-valid limits to be relied on")
    return results.conform(
        found.assign(conf_low=low, conf_high=high, p_value=p_value, method=found["method"] + asked.words, note=note)
    )


def effects(
    value: Numbers, variance: Numbers, units: tuple[Numbers, Numbers], rows: Numbers, *, asked: Asked, method: str,
    reason: ArrayLike, note: ArrayLike,
) -> pd.DataFrame:  # fmt: skip
    """Return result rows of effects, without limits so far.

    Parameters
    ----------
    value, variance
        Of each effect, shape (k,).
    units, rows
        Independent units of control and treatment, and rows of both.
    asked
        For the scale.
    method, note
        As in a result frame.
    reason
        Why there is no effect where `value` is missing or `variance` is not above 0.
    """
    least = np.minimum(*np.broadcast_arrays(*units))
    known = np.isfinite(value) & (variance > 0) & (least > 1)
    reason = np.where(least == 0, EMPTY, np.where(least == 1, FEW, reason))
    status = np.where(known, results.OK, np.where(least == 1, results.TOO_FEW, results.UNDEFINED))
    return results.frame(
        comparison="relative" if asked.scale == "relative" else "difference", estimate=value, n=rows,
        std_error=np.sqrt(np.where(known, variance, 0.0)), n_eff=units[0] + units[1], method=method, status=status,
        note=np.where(known, note, reason), at=TREATMENT, against=CONTROL,
    )  # fmt: skip


def over_mean(mean: Numbers, variance: Numbers) -> NDArray[np.str_]:
    """Return a warning where a relative effect's denominator is below 0, or known but roughly; else nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(mean) / np.sqrt(variance)
        found = np.where(away < _NEAR_ZERO, NEAR_ZERO, np.where(away < _ROUGH, ROUGH_BASE, ""))
        below = np.where(found == "", NEGATIVE, np.char.add(f"{NEGATIVE}; ", found))
        return np.where(mean < 0, below, found)


def _of_one_look(value: Numbers, error: Numbers, freedom: Numbers, asked: Asked) -> tuple[Numbers, Numbers]:
    """Return half widths and p-values by t."""
    tail = (1 - asked.both_sides) / 2
    distance = value / error
    half = stats.t.isf(tail, freedom) * error
    if asked.one_sided:
        return half, stats.t.sf(distance if asked.alternative == "greater" else -distance, freedom)
    return half, 2 * stats.t.sf(np.abs(distance), freedom)


def _of_all_looks(value: Numbers, error: Numbers, units: Numbers, asked: Asked) -> tuple[Numbers, Numbers]:
    """Return half widths and p-values that hold at every look; n is the units of both arms together."""
    n_star: Any = asked.sequential
    if not asked.one_sided:
        found = sequential.always_valid(value, error, units, n_star=n_star, confidence=asked.confidence, null=0.0)
        return ((found["conf_high"] - found["conf_low"]) / 2).to_numpy(), found["p_value"].to_numpy()
    rho = sequential.best_rho(n_star, asked.both_sides)
    towards = value / error * (1 if asked.alternative == "greater" else -1)
    half = error * one_sided_boundary(units, rho, asked.confidence) / np.sqrt(units)
    with np.errstate(divide="ignore", over="ignore"):
        odds = np.expm1(np.maximum(towards, 0.0) ** 2 * units / (2 * (units + rho)))
        p_value = np.where(towards > 0, np.sqrt((units + rho) / rho) / (2 * odds), 1.0)
    return half, np.where(np.isnan(towards), np.nan, np.minimum(p_value, 1.0))


def one_sided_boundary(v: ArrayLike, rho: float, confidence: float) -> Numbers:
    """Return what a sum of variance `v` never exceeds to one side, at any look, with this confidence.

    The closed form that bounds the half-normal mixture from above, by at most 4.4 %, 0.5 % at N* (Waudby-Smith et al.,
    arXiv:2103.06476, one-sided sequences; the mixture is proposition 6 of Howard et al. 2021).
    """
    v = np.asarray(v, dtype=float)
    inside = np.log1p(np.sqrt((v + rho) / rho) / (2 * (1 - confidence)))
    return np.asarray(np.sqrt(2 * (v + rho) * inside))
