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
_UP, _DOWN = "up", "down"
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
    limits
        Of the effect, to both sides, see `_two_sided`.
    gain, least, most
        Estimate and limits in the good direction: above 0 is better than the control; NaN where there are none.
    one_sided
        Whether the row asks about one side only.
    p_value
        Adjusted for the number of arms.
    p_better, p_worse
        The same for an effect in the good and in the bad direction; of a two-sided row both are `p_value`.
    arms
        How many there are.
    answers, bounds
        What is said of who answered, and the limits of the gain whoever did; None where everybody was measured.
    guardrails
        How each registered one reads (`read_limits`), with its row, in the order of the plan.
    have_n, wanted_n
        Units, control and arm, that there were, and with which the smallest effect that matters is seen in 80 of 100
        experiments; NaN where it cannot be told. Rows (answers, events) where the row does not say how many units.
    """

    arm: str
    row: pd.Series
    limits: tuple[float, float]
    gain: float
    least: float
    most: float
    one_sided: bool
    p_value: float
    p_better: float
    p_worse: float
    arms: int
    answers: pd.Series | None
    bounds: tuple[float, float] | None
    guardrails: tuple[tuple[Outcome, str, pd.Series], ...]
    have_n: float
    wanted_n: float

    @property
    def in_units(self) -> bool:
        """Whether `have_n` and `wanted_n` count what was randomised."""
        return not np.isnan(self.row["n_eff"])

    @property
    def blind(self) -> bool:
        """Whether an effect that matters could not have been seen."""
        return self.wanted_n > self.have_n

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
    said = None if answering is None else _of_arms(answering, arms)
    found = []
    for arm in arms:
        place = np.flatnonzero(rows["at"] == arm)
        row = rows.iloc[place[0]] if place.size else _nothing(plan.primary.metric, arm)
        p_values = (float(adjusted[0, place[0]]), float(adjusted[1, place[0]])) if place.size else (np.nan, np.nan)
        watched = tuple((one, *_guarded(one, guardrails, arm)) for one in plan.guardrails)
        answers = None if said is None else _answers(said, arm)
        found.append(_evidence(plan, row, p_values, answers, watched, len(arms)))
    return found


def arms_of(plan: Plan, primary: pd.DataFrame) -> list[str]:
    """Return the treatment arms, sorted: those of the plan, else those of the rows; a nameless one where none is."""
    return sorted(set(plan.arms or _whole(primary, plan.primary.metric)["at"]) or {""})


def _evidence(
    plan: Plan, row: pd.Series, p_values: tuple[float, float], answers: pd.Series | None,
    watched: tuple[tuple[Outcome, str, pd.Series], ...], arms: int,
) -> Evidence:  # fmt: skip
    """Turn one arm's numbers so that up is good; `p_values` are those of the row and of the other side."""
    limits, side = _two_sided(row)
    least, most = _turned(plan.primary, *limits)
    gain = _turned(plan.primary, row["estimate"], row["estimate"])[0]
    bounds = None if answers is None else _turned(plan.primary, answers["conf_low"], answers["conf_high"])
    upwards = side == _UP if plan.primary.higher_is_better is not False else side == _DOWN
    better, worse = p_values if upwards or not side else p_values[::-1]
    have = float(row["n"] if np.isnan(row["n_eff"]) else row["n_eff"])
    return Evidence(
        str(row["at"]), row, limits, gain, least, most, bool(side), p_values[0], better, worse, arms, answers, bounds,
        watched, have, have * _needed(plan, row, limits, side, arms),
    )  # fmt: skip


def _two_sided(row: pd.Series) -> tuple[tuple[float, float], str]:
    """Return the limits of a row to both sides, and the side that it asks about; empty where that is both.

    A one-sided row has one limit, of confidence 1 - alpha; its other end is that of the scale. The limit that lacks is
    put as far from the estimate on the other side: that is it for t and z, and about it for shares by Newcombe.
    """
    value, low, high = (float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    told = ", one-sided" in str(row["method"])
    if np.isposinf(high) or (told and high == 1):
        return (low, 2 * value - low), _UP
    if np.isneginf(low) or (told and low == -1):
        return (2 * value - high, high), _DOWN
    return (low, high), ""


def _of_arms(answering: pd.DataFrame, arms: list[str]) -> pd.DataFrame:
    """Return what is said of who answered by arm; a row that names none is that of the only arm.

    Raises `UsageError` for other arms: their answers tell nothing of these.
    """
    rows = results.conform(answering)
    if len(arms) == 1:
        nameless = (rows["level"] == "all") | (arms[0] == "")
        rows = rows.assign(level=rows["level"].mask(nameless, arms[0]))
    strange = sorted(set(rows["level"]) - set(arms))
    if strange:
        raise UsageError(
            f"who answered is said of {', '.join(map(repr, strange))}; the plan has {', '.join(map(repr, arms))}",
            hint="Give the row of answers_or_experience for each arm, its level the arm.",
        )
    return rows


def _answers(said: pd.DataFrame, arm: str) -> pd.Series:
    """Return what is said of who answered in an arm."""
    mine = said[said["level"] == arm]
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
    """Return p-values adjusted for the arms, as given but never below Holm's; and those of one-sided rows' other side.

    Shape (2, rows); both are the same for a two-sided row.
    """
    p_values, told = (rows[name].to_numpy(dtype=float) for name in ("p_value", "p_adjusted"))
    one_sided = np.array([bool(_two_sided(row)[1]) for _, row in rows.iterrows()], dtype=bool)
    other = np.where(one_sided, 1 - p_values, p_values)
    own, other = (verdicts.adjust(one, "holm") if len(rows) > 1 else one for one in (p_values, other))
    return np.array([np.fmax(own, told), np.where(one_sided, other, np.fmax(own, told))])


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


def _needed(plan: Plan, row: pd.Series, limits: tuple[float, float], side: str, arms: int) -> float:
    """Return how many times the units there are would show the smallest effect that matters, from their error."""
    tails = 1 if plan.alternative != "two-sided" else 2
    reach = -special.ndtri(plan.alpha / tails / arms) + special.ndtri(_POWER)
    error = float(row["std_error"])
    if np.isnan(error):  # a quantile has none
        error = (limits[1] - limits[0]) / 2 / float(intervals.z_of(1 - (2 if side else 1) * plan.alpha))
    return float((reach * error / plan.smallest_effect_that_matters) ** 2)
