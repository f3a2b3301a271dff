"""Sample size, power and smallest effect for a mean, from its standard deviation, and for a ratio, from past data."""

from __future__ import annotations

import math
from typing import Unpack

import numpy as np
import pandas as pd

from cxlib.analysis.experiments import power_terms
from cxlib.analysis.experiments.power_terms import Case, Rules, Spread, Terms
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments


def sample_size_mean(
    sd: float,
    effect: float,
    *,
    power: float = 0.8,
    scale: str = "absolute",
    mean: float | None = None,
    sd_treatment: float | None = None,
    **terms: Unpack[Terms],
) -> pd.DataFrame:
    """Work out how many units each arm needs to find a change of a mean.

    Parameters
    ----------
    sd
        Standard deviation of the outcome over units, above 0, in its own unit; in both arms if nothing else is said.
    effect
        Difference of the means; with `scale = "relative"` as a part of `mean`.
    power
        Share of experiments that find it.
    scale
        `absolute` or `relative`. The test is that of the difference on either scale.
    mean
        The control's mean, not 0; for the relative scale only.
    sd_treatment
        That of the treatment, where it differs: degrees of freedom are then Welch's, else those of the pooled t.
    terms
        `alpha`, `alternative`, `ratio`, `deff`, `comparisons`, `margin`: see `Terms`.

    Returns
    -------
    pandas.DataFrame
        Two result rows as of `sample_size_share`.

    Raises
    ------
    UsageError
        For a standard deviation that is not above 0, a mean that lacks, an effect of 0 or on the wrong side.

    Notes
    -----
    Exact for normal outcomes, by the noncentral t (R `power.t.test`; statsmodels `TTestIndPower` for unequal arms).
    Welch's test, by which means are read, has the same power where deviations are alike, but for less than one unit.
    An effect that multiplies amounts multiplies their spread, too: of 20 % more to spend, planned with one `sd`, 72 to
    74 of 100 are found; with `sd_treatment = 1.2 * sd` 81 to 82 (log-normal amounts, n from 100 to 4,000).
    """
    return power_terms.sample_size(_mean_case(sd, sd_treatment, mean, scale, terms), effect, power, scale)


def power_mean(
    n: float,
    sd: float,
    effect: float,
    *,
    scale: str = "absolute",
    mean: float | None = None,
    sd_treatment: float | None = None,
    **terms: Unpack[Terms],
) -> pd.DataFrame:
    """Work out how often n units in the control arm find a change of a mean; see `sample_size_mean`.

    Returns one result row, `metric = "power"`, `at` the effect.
    """
    return power_terms.power_row(_mean_case(sd, sd_treatment, mean, scale, terms), n, effect, scale)


def smallest_effect_mean(
    n: float,
    sd: float,
    *,
    power: float = 0.8,
    scale: str = "absolute",
    mean: float | None = None,
    sd_treatment: float | None = None,
    **terms: Unpack[Terms],
) -> pd.DataFrame:
    """Work out the smallest change of a mean that n units in the control arm find; see `sample_size_mean`.

    Returns one result row, `metric = "smallest_effect"`; negative with `alternative = "less"`.
    """
    return power_terms.smallest_effect(_mean_case(sd, sd_treatment, mean, scale, terms), n, power, scale)


def sample_size_ratio(
    past: Moments, effect: float, *, power: float = 0.8, scale: str = "absolute", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out how many units each arm needs to find a change of a ratio or mean whose past is known.

    Parameters
    ----------
    past
        Moments of scalars, of a time as long as the outcome window: y over x, clusters being the units that will be
        randomised. Their spread, robust to clusters, stands for that of the experiment, so no design effect is
        needed.
    effect
        Difference of the ratios; with `scale = "relative"` as a part of the past one.
    power
        Share of experiments that find it.
    scale
        `absolute` or `relative`. The test is that of the difference on either scale.
    terms
        `alpha`, `alternative`, `ratio`, `deff`, `comparisons`, `margin`: see `Terms`.

    Returns
    -------
    pandas.DataFrame
        Two result rows as of `sample_size_share`; units are clusters of `past`.

    Raises
    ------
    UsageError
        For moments that are arrays, of fewer than two clusters, that do not vary, or whose ratio is 0 on the relative
        scale.

    Notes
    -----
    Per unit the variance of a ratio is that of (y - R x) / mean of x, the delta method (Deng, Knoblich and Lu 2018,
    KDD, section 3.1); n of it as for a mean.
    """
    return power_terms.sample_size(_ratio_case(past, scale, terms), effect, power, scale)


def power_ratio(
    n: float, past: Moments, effect: float, *, scale: str = "absolute", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out how often n units in the control arm find a change of a ratio; see `sample_size_ratio`.

    Returns one result row, `metric = "power"`, `at` the effect.
    """
    return power_terms.power_row(_ratio_case(past, scale, terms), n, effect, scale)


def smallest_effect_ratio(
    n: float, past: Moments, *, power: float = 0.8, scale: str = "absolute", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out the smallest change of a ratio that n units in the control arm find; see `sample_size_ratio`.

    Returns one result row, `metric = "smallest_effect"`; negative with `alternative = "less"`.
    """
    return power_terms.smallest_effect(_ratio_case(past, scale, terms), n, power, scale)


def _mean_case(sd: float, sd_treatment: float | None, mean: float | None, scale: str, terms: Terms) -> Case:
    faults = power_terms.check_scale(scale)
    for name, value in (("sd", sd), ("sd_treatment", sd if sd_treatment is None else sd_treatment)):
        if not (power_terms.is_number(value) and value > 0):
            faults.append(f"{name} {value!r} is no number above 0")
    if scale == "relative" and not (mean is not None and power_terms.is_number(mean) and mean > 0):
        faults.append(f"an effect on the relative scale needs a mean above 0, not {mean!r}")
    if scale == "absolute" and mean is not None:
        faults.append("a mean is for effects on the relative scale only")
    power_terms.refuse(faults)
    rules = Rules.of(terms)
    control, treatment = sd**2, (sd if sd_treatment is None else sd_treatment) ** 2
    spread = Spread(control, treatment, control + treatment / rules.ratio)
    test, name = ("t", "pooled") if sd_treatment is None else ("Welch", "Welch")
    unit = mean if scale == "relative" and mean is not None else 1.0
    return Case(rules, lambda effect: spread, test, f"two means, noncentral t, {name}", unit=unit)  # noqa: ARG005


def _ratio_case(past: Moments, scale: str, terms: Terms) -> Case:
    power_terms.refuse(power_terms.check_scale(scale))
    if not isinstance(past, Moments):
        raise UsageError("the past of a ratio comes as Moments", hint="Make them with Moments.of(y, x, clusters=...).")
    if np.size(past.rows) != 1:
        raise UsageError(f"moments of {np.size(past.rows)} elements: one is needed", hint="Pick one: moments[0].")
    units, value, variance = (float(np.ravel(part)[0]) for part in (past.clusters, past.ratio, past.variance))
    per_unit = variance * units
    if not per_unit > 0:
        raise UsageError(f"the past does not vary over its {units:g} units: no spread to plan with")
    if scale == "relative" and not value > 0:
        raise UsageError(f"an effect relative to {value:g} is none: name it on the absolute scale")
    rules, sd = Rules.of(terms), math.sqrt(per_unit)
    spread = Spread(sd**2, sd**2, sd**2 * (1 + 1 / rules.ratio))
    convention = f"ratio, delta method on {units:,.0f} past units, noncentral t, pooled"
    unit = value if scale == "relative" else 1.0
    return Case(rules, lambda effect: spread, "t", convention, unit=unit)  # noqa: ARG005
