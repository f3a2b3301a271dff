"""Sample size, power and smallest effect for the Net Promoter Score: three answers, not two."""

from __future__ import annotations

from typing import Unpack

import pandas as pd

from cxlib.analysis.experiments import power_terms
from cxlib.analysis.experiments.power_terms import Case, Rules, Spread, Terms

# Share of the effect that comes from promoters; the rest comes from detractors.
SPLITS = {"both": 0.5, "promoters": 1.0, "detractors": 0.0}
_TOLD = {
    "both": "detractors turn promoters",
    "promoters": "passives turn promoters",
    "detractors": "detractors turn passive",
}


def sample_size_nps(
    promoters: float, detractors: float, effect: float, *, power: float = 0.8, split: str = "both",
    **terms: Unpack[Terms],
) -> pd.DataFrame:  # fmt: skip
    """Work out how many answers each arm needs to find a change of the NPS.

    Parameters
    ----------
    promoters, detractors
        The control's shares, between 0 and 1, together at most 1.
    effect
        In points, from -200 to 200; 2 turns 40 into 42.
    power
        Share of experiments that find it.
    split
        Where the effect comes from: `both` (default; one point is half a point more promoters and half a point fewer
        detractors, passives stay), `promoters` (passives become promoters) or `detractors` (detractors become
        passive). It changes the treatment's variance: some percent of n.
    terms
        `alpha`, `alternative`, `ratio`, `deff`, `comparisons`, `margin`: see `Terms`.

    Returns
    -------
    pandas.DataFrame
        Two result rows as of `sample_size_share`. They count answers: `exposed_for` turns them into customers to
        expose.

    Raises
    ------
    UsageError
        For shares that cannot be, before or after the effect, an unknown split, an effect of 0 or on the wrong side.

    Notes
    -----
    The variance of one answer is 100^2 [p + d - (p - d)^2], of each arm with its own shares; noncentral t with Welch's
    degrees of freedom. `measure.differences.nps_difference` adds three answers to small samples: it finds 8 to 13 of
    100 real changes less with ten answers an arm, 2 to 10 with thirty, none with a hundred.
    """
    return power_terms.sample_size(_case(promoters, detractors, split, terms), effect, power)


def power_nps(
    n: float, promoters: float, detractors: float, effect: float, *, split: str = "both", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out how often n answers in the control arm find a change of the NPS; see `sample_size_nps`.

    Returns one result row, `metric = "power"`, `at` the effect in points.
    """
    return power_terms.power_row(_case(promoters, detractors, split, terms), n, effect)


def smallest_effect_nps(
    n: float, promoters: float, detractors: float, *, power: float = 0.8, split: str = "both", **terms: Unpack[Terms]
) -> pd.DataFrame:
    """Work out the smallest change of the NPS that n answers in the control arm find; see `sample_size_nps`.

    Returns one result row, `metric = "smallest_effect"`, in points; `undefined` where the split cannot give so much.
    """
    return power_terms.smallest_effect(_case(promoters, detractors, split, terms), n, power)


def _case(promoters: float, detractors: float, split: str, terms: Terms) -> Case:
    faults = [
        f"{name} {value!r} is no share between 0 and 1"
        for name, value in (("promoters", promoters), ("detractors", detractors))
        if not (power_terms.is_number(value) and 0 <= value <= 1)
    ]
    if not faults and promoters + detractors > 1 + 1e-9:
        faults.append(f"promoters {promoters:g} and detractors {detractors:g} are more than 1 together")
    if split not in SPLITS:
        faults.append(f"split '{split}' is none of {', '.join(SPLITS)}")
    power_terms.refuse(faults)
    rules, part = Rules.of(terms), SPLITS[split]

    def spread(effect: float) -> Spread:
        control = _variance(promoters, detractors)
        treatment = _variance(promoters + part * effect / 100, detractors - (1 - part) * effect / 100)
        return Spread(control, treatment, control + treatment / rules.ratio)

    convention = f"NPS, trinomial variance, {_TOLD[split]}, noncentral t, Welch"
    return Case(rules, spread, "Welch", convention, _reach(promoters, detractors, split))


def _variance(up: float, down: float) -> float:
    """Return the variance of one answer in squared points."""
    return float(1e4 * max(up + down - (up - down) ** 2, 0.0))


def _reach(up: float, down: float, split: str) -> tuple[float, float]:
    """Return the largest fall and rise, in points, that a split can give."""
    passive = max(1 - up - down, 0.0)
    ends = {"both": (-2 * up, 2 * down), "promoters": (-up, passive), "detractors": (-passive, down)}[split]
    return 100 * ends[0], 100 * ends[1]
