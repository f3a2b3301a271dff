"""Sample size, power and smallest effect for a share: conversion, CSAT, response."""

from __future__ import annotations

from typing import Unpack

import pandas as pd

from cxlib.analysis.experiments import power_terms
from cxlib.analysis.experiments.power_terms import Case, Rules, Spread, Terms

_POOLED, _APART = "two shares, z pooled under no effect", "two shares, z unpooled"


def sample_size_share(
    baseline: float, effect: float, *, power: float = 0.8, scale: str = "absolute", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out how many units each arm needs to find a change of a share.

    Parameters
    ----------
    baseline
        The control's share, between 0 and 1.
    effect
        What is to be found: as a share (0.01 is one percentage point) or, with `scale = "relative"`, as a part of the
        baseline (0.1 turns 20 % into 22 %). The test is that of the difference on either scale.
    power
        Share of experiments that find it.
    scale
        `absolute` or `relative`.
    terms
        `alpha`, `alternative`, `ratio`, `deff`, `comparisons`, `margin`: see `Terms`.

    Returns
    -------
    pandas.DataFrame
        Two result rows, `metric = "sample_size"`, `level` control (first) and treatment: the estimate is the exact
        number of units of that arm, n the same rounded up.

    Raises
    ------
    UsageError
        For shares outside 0 to 1, an effect of 0 or on the wrong side, and terms that cannot be.

    Notes
    -----
    R `power.prop.test`; Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions, section 4.2, for
    unequal arms. With a margin the variance is that of the two shares in both hypotheses (Chow, Shao, Wang and
    Lokhnygina 2018, Sample Size Calculations in Clinical Research, section 4.2). Newcombe's interval, by which shares
    are read, needs the same number but for some units.
    """
    return power_terms.sample_size(_case(baseline, scale, terms), effect, power, scale)


def power_share(
    n: float, baseline: float, effect: float, *, scale: str = "absolute", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out how often n units in the control arm find a change of a share; see `sample_size_share`.

    Returns one result row, `metric = "power"`, `at` the effect.
    """
    return power_terms.power_row(_case(baseline, scale, terms), n, effect, scale)


def smallest_effect_share(
    n: float, baseline: float, *, power: float = 0.8, scale: str = "absolute", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out the smallest change of a share that n units in the control arm find; see `sample_size_share`.

    Returns
    -------
    pandas.DataFrame
        One result row, `metric = "smallest_effect"`, `comparison` difference or relative: a rise, or with
        `alternative = "less"` a fall. `undefined` where not even a share of 1 (or 0) could be told from the baseline.
    """
    return power_terms.smallest_effect(_case(baseline, scale, terms), n, power, scale)


def _case(baseline: float, scale: str, terms: Terms) -> Case:
    faults = power_terms.check_scale(scale)
    inside = power_terms.is_number(baseline) and 0 <= baseline <= 1
    if not inside:
        faults.append(f"baseline {baseline!r} is no share between 0 and 1")
    if inside and scale == "relative" and baseline == 0:
        faults.append("an effect relative to a baseline of 0 is none")
    power_terms.refuse(faults)
    rules = Rules.of(terms)
    apart = rules.margin > 0

    def spread(effect: float) -> Spread:
        other = min(max(baseline + effect, 0.0), 1.0)
        mean = (baseline + rules.ratio * other) / (1 + rules.ratio)
        control, treatment = baseline * (1 - baseline), other * (1 - other)
        pooled = mean * (1 - mean) * (1 + 1 / rules.ratio)
        return Spread(control, treatment, control + treatment / rules.ratio if apart else pooled)

    return Case(
        rules, spread, "z", _APART if apart else _POOLED, (-baseline, 1 - baseline),
        baseline if scale == "relative" else 1.0,
    )  # fmt: skip
