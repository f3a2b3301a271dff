"""What the rows of a readout say about one arm, turned so that up is good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from cxlib import results
from cxlib.analysis.experiments.guardrails import UNKNOWN, WORSE, read_limits
from cxlib.analysis.experiments.verdict_plan import Outcome, Plan
from cxlib.errors import UsageError
from cxlib.measure import intervals, verdicts

_POWER = 0.8
_CAREFUL = (WORSE, UNKNOWN, "unclear", "holds")  # which reading counts where a guardrail has several rows


@dataclass(frozen=True)
class Evidence:
    """One arm's primary metric and guardrails.

    Parameters
    ----------
    arm
        Its name.
    row
        The primary metric's row, or an `undefined` one.
    gain, least, most
        Estimate and limits in the good direction: above 0 is better than the control; NaN where there are none.
    p_value
        Adjusted for the number of arms.
    answers, bounds
        What is said of who answered, and the limits of the gain whoever did; None where everybody was measured.
    guardrails
        How each registered one reads (`read_limits`), with its row, in the order of the plan.
    wanted_n
        Units, control and arm, with which the smallest effect that matters is seen in 80 of 100 experiments; NaN where
        it cannot be told.
    """

    arm: str
    row: pd.Series
    gain: float
    least: float
    most: float
    p_value: float
    answers: pd.Series | None
    bounds: tuple[float, float] | None
    guardrails: tuple[tuple[Outcome, str, pd.Series], ...]
    wanted_n: float

    @property
    def known(self) -> bool:
        """Whether the primary metric has an estimate, limits and a p-value."""
        return not np.isnan([self.gain, self.least, self.most, self.p_value]).any()


def collect(
    plan: Plan,
    primary: pd.DataFrame,
    guardrails: pd.DataFrame | None,
    answering: pd.DataFrame | None,
) -> list[Evidence]:
    """Return what the rows say of each treatment arm of the plan, sorted by name."""
    rows = _whole(primary, plan.primary.metric)
    twice = sorted(rows.loc[rows["at"].duplicated(), "at"].unique())
    if twice:
        raise UsageError(
            f"the primary metric has several differences for {', '.join(map(repr, twice))}",
            hint="Give the one row per arm that the plan registered: the plain or the adjusted one, not both.",
        )
    arms = arms_of(plan, primary)
    rows = rows[rows["at"].isin(arms)].sort_values("at", ignore_index=True)
    adjusted = _adjusted(rows)
    found = []
    for arm in arms:
        place = np.flatnonzero(rows["at"] == arm)
        row = rows.iloc[place[0]] if place.size else _nothing(plan.primary.metric, arm)
        p_value = float(adjusted[place[0]]) if place.size else np.nan
        watched = tuple((one, *_guarded(one, guardrails, arm)) for one in plan.guardrails)
        answers = None if answering is None else _answers(answering, arm, arms)
        found.append(_evidence(plan, row, p_value, answers, watched, arms))
    return found


def arms_of(plan: Plan, primary: pd.DataFrame) -> list[str]:
    """Return the treatment arms, sorted: those of the plan, else those of the rows; a nameless one where none is."""
    return sorted(set(plan.arms or _whole(primary, plan.primary.metric)["at"]) or {""})


def _evidence(
    plan: Plan, row: pd.Series, p_value: float, answers: pd.Series | None,
    watched: tuple[tuple[Outcome, str, pd.Series], ...], arms: list[str],
) -> Evidence:  # fmt: skip
    """Turn one arm's numbers so that up is good."""
    least, most = _turned(plan.primary, row["conf_low"], row["conf_high"])
    gain = _turned(plan.primary, row["estimate"], row["estimate"])[0]
    bounds = None if answers is None else _turned(plan.primary, answers["conf_low"], answers["conf_high"])
    wanted = _wanted(plan, row, len(arms))
    return Evidence(str(row["at"]), row, gain, least, most, p_value, answers, bounds, watched, wanted)


def _answers(answering: pd.DataFrame, arm: str, arms: list[str]) -> pd.Series:
    """Return what is said of who answered in an arm; of the only arm whatever it is called."""
    rows = results.conform(answering)
    mine = rows[rows["level"] == arm] if len(arms) > 1 else rows
    return mine.iloc[0] if len(mine) == 1 else _nothing("", arm)


def _turned(outcome: Outcome, low: float, high: float) -> tuple[float, float]:
    """Return limits with up being good."""
    return (float(low), float(high)) if outcome.higher_is_better is not False else (-float(high), -float(low))


def _whole(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric's differences over everybody."""
    table = results.conform(table)
    kept = (table["metric"] == metric) & (table["comparison"] == "difference")
    return table[kept & (table["segment"] == "all") & (table["level"] == "all")]


def _adjusted(rows: pd.DataFrame) -> np.ndarray:
    """Return p-values adjusted for the arms: as given, but never below Holm's."""
    p_values, told = (rows[name].to_numpy(dtype=float) for name in ("p_value", "p_adjusted"))
    return np.fmax(verdicts.adjust(p_values, "holm") if len(rows) > 1 else p_values, told)


def _nothing(metric: str, arm: str) -> pd.Series:
    return results.frame(
        metric=metric, at=arm, comparison="difference", status=results.UNDEFINED, note="it was not measured"
    ).iloc[0]


def _guarded(one: Outcome, table: pd.DataFrame | None, arm: str) -> tuple[str, pd.Series]:
    """Return how a guardrail reads for an arm, the worst where it has several rows, and that row."""
    rows = _whole(table, one.metric) if table is not None else results.empty()
    rows = rows[rows["at"] == arm]
    if rows.empty or one.higher_is_better is None:
        return UNKNOWN, _nothing(one.metric, arm) if rows.empty else rows.iloc[0]
    read = read_limits(rows, one.margin, higher_is_better=one.higher_is_better)
    worst = min(range(len(read)), key=lambda place: _CAREFUL.index(read[place]))
    return read[worst], rows.iloc[worst]


def _wanted(plan: Plan, row: pd.Series, arms: int) -> float:
    """Return the units that would show the smallest effect that matters, from the error of those there are."""
    tails = 1 if plan.alternative != "two-sided" else 2
    reach = -special.ndtri(plan.alpha / tails / arms) + special.ndtri(_POWER)
    error = float(row["std_error"])
    if np.isnan(error):  # a quantile has none
        error = float(row["conf_high"] - row["conf_low"]) / 2 / float(intervals.z_of(1 - plan.alpha))
    return float(row["n"]) * (reach * error / plan.smallest_effect_that_matters) ** 2
