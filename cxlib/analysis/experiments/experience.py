"""Is a survey effect what customers felt, or who of them answered? The reading in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.experiments.amounts import amount, chance
from cxlib.errors import UsageError
from cxlib.measure.intervals import z_of
from cxlib.params import Metric

STANDS, COULD_BE, NOTHING, UNKNOWN = "stands", "could be who answered", "no effect shown", "cannot be told"
READINGS = (STANDS, COULD_BE, NOTHING, UNKNOWN)

_NO_BOUNDS = "there are no bounds on the effect for those who would answer either way"


def answers_or_experience(
    effect: pd.DataFrame,
    bounds: pd.DataFrame,
    response: pd.DataFrame,
    *,
    reweighted: pd.DataFrame | None = None,
    behaviour: pd.DataFrame | None = None,
    metrics: Mapping[str, Metric] | None = None,
    unit: str = "",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Say whether a survey effect could be who answered.

    Parameters
    ----------
    effect
        One row: the difference among those who answered, with its limits; `against` the control. Its arm is `at`.
    bounds
        The two rows of `lee_bounds`.
    response
        The row of `response_by_arm` with the difference in response of these arms, or all its rows.
    reweighted
        The row of `inverse_probability`.
    behaviour
        Rows of `behavioural_guardrail`: effects on what everybody has.
    metrics
        Definitions, for units and titles.
    unit
        Of the effect, where `metrics` does not tell.
    alpha
        Response differs where its p-value is below.

    Returns
    -------
    pandas.DataFrame
        One test row of the effect's metric, `segment = "arm"`, `level` the treatment, `at` the reading; `estimate` the
        effect among those who answered; its limits lie beyond the bounds by as many standard errors as a two-sided test
        asks for, a little farther than Imbens and Manski's; `p_value` that of equal response. `note` is the reading in
        words. The readings, by these rules, the first that applies:

        - `no effect shown`: the effect's own interval holds 0. The note tells what could be hidden.
        - `could be who answered`: the limits about the bounds hold 0, whether or not response is shown to differ (a
          difference too small to be shown can fake a small effect); or there are no bounds, and response differs.
        - `stands`: otherwise, with bounds.
        - `cannot be told`: there are no bounds, or no effect.

        Reweighting and behaviour are told and change no reading: the first cannot see answering that depends on the
        answer, the second is another outcome.

    Raises
    ------
    UsageError
        Where there is not one effect, or `response` has no difference of its arms.

    Notes
    -----
    Where the treatment moves everybody's willingness to answer the same way and the effect on those who would answer
    either way is 0, `stands` should come up in at most alpha / 2 of cases. Of the fake effect of -12 points (12 instead
    of 8 % of detractors answer, 12,000 invitations an arm; significant in 91 % of runs) it was said in 3.3 % of 1,500.
    """
    one = _one(effect, "effect")
    shift = _one(_of_arms(response, one), "difference in response")
    what = metrics[one["metric"]].unit if metrics and one["metric"] in metrics else unit
    differs = bool(shift["p_value"] < alpha)
    ends = _Ends.of(bounds, float(z_of(1 - alpha)))
    reading = _reading(one, ends, differs=differs)
    told = [_sentence(reading, one, ends, _response(shift, differs=differs), what)]
    if reweighted is not None:
        told.append(_again(_one(reweighted, "reweighted effect"), what))
    if behaviour is not None:
        told += [str(note) for note in behaviour["note"]]
    return results.frame(
        metric=one["metric"], period=one["period"], segment="arm", level=one["at"] or "treatment", at=reading,
        against=one["against"], comparison="test", method="Lee bounds", estimate=one["estimate"], conf_low=ends.low,
        conf_high=ends.high, p_value=shift["p_value"], n=one["n"], n_eff=one["n_eff"], definition=one["definition"],
        status=results.OK if one["status"] == results.OK else results.UNDEFINED, note=" ".join(told),
    )  # fmt: skip


def behavioural_guardrail(
    effect: pd.DataFrame, behaviour: pd.DataFrame, *, metrics: Mapping[str, Metric] | None = None
) -> pd.DataFrame:
    """Put the effect on what everybody does beside a survey effect: behaviour does not depend on who answers.

    Parameters
    ----------
    effect
        One row: the survey outcome's effect.
    behaviour
        Rows of effects on outcomes that everybody has (orders, cancellations), of the same arms.
    metrics
        Definitions, for titles, units, and which way is better.

    Returns
    -------
    pandas.DataFrame
        The rows of `behaviour`; `note` says whether each is shown to move for better or worse, as the survey does or
        against it. Nothing shown is no contradiction: behaviour moves slowly.
    """
    one, known = _one(effect, "effect"), metrics or {}
    survey = _way(one, known)
    rows = [row for _, row in behaviour.iterrows()]
    notes = [_beside(row, _way(row, known), survey, known) for row in rows]
    return results.conform(behaviour.assign(note=notes))


def _one(rows: pd.DataFrame, what: str) -> pd.Series:
    if len(rows) != 1:
        raise UsageError(f"{len(rows)} rows are no single {what}", hint="Give the row of one treatment and outcome.")
    return rows.iloc[0]


def _of_arms(response: pd.DataFrame, effect: pd.Series) -> pd.DataFrame:
    """Return the difference in response of the effect's arms."""
    rows = response[(response["comparison"] == "difference") & (response["segment"] == "all")]
    return rows if len(rows) < 2 else rows[rows["at"] == effect["at"]]


class _Ends(NamedTuple):
    """Limits about the bounds; missing where there are none."""

    low: float
    high: float

    @classmethod
    def of(cls, bounds: pd.DataFrame, far: float) -> _Ends:
        """Take the rows of `lee_bounds`; the limits are theirs, but at least `far` standard errors away."""
        lower, upper = (_one(bounds[bounds["at"] == which], f"{which} bound") for which in ("lower", "upper"))
        low = min(lower["conf_low"], lower["estimate"] - far * lower["std_error"])
        return cls(float(low), float(max(upper["conf_high"], upper["estimate"] + far * upper["std_error"])))


def _reading(effect: pd.Series, ends: _Ends, *, differs: bool) -> str:
    """Return which of the readings applies; see `answers_or_experience`."""
    if effect["conf_low"] <= 0 <= effect["conf_high"]:
        return NOTHING
    none = bool(np.isnan(ends.low))
    if ends.low <= 0 <= ends.high or (none and differs):
        return COULD_BE
    return UNKNOWN if none or np.isnan(effect["conf_low"]) else STANDS


def _sentence(reading: str, effect: pd.Series, ends: _Ends, response: str, unit: str) -> str:
    """Return the reading in words."""
    if np.isnan(ends.low):
        bounds = _NO_BOUNDS
    else:
        holds = ", which holds 0" if ends.low <= 0 <= ends.high else ""
        bounds = f"for those who would answer either way it lies {_between(ends.low, ends.high, unit)}{holds}"
    if reading == COULD_BE:
        return f"The effect could be who answered: {response}, and {bounds}."
    if reading == STANDS:
        worst = _signed(ends.low if effect["estimate"] > 0 else ends.high, unit)
        return f"The effect stands whoever answered: even in the worst case it is {worst} ({response}, and {bounds})."
    if reading == NOTHING:
        return f"No effect is shown among those who answered; {response}, and {bounds}."
    return f"Whether the effect is who answered cannot be told: {response}, and {bounds}."


def _response(shift: pd.Series, *, differs: bool) -> str:
    if np.isnan(shift["estimate"]):
        return "response cannot be compared"
    size = f"{amount(abs(shift['estimate']), 'percent')} ({chance(shift['p_value'])})"
    return f"response differs by {size}" if differs else f"response is not shown to differ, by {size}"


def _again(row: pd.Series, unit: str) -> str:
    if row["status"] != results.OK:
        return "Reweighting those who answered to all who were asked was not possible."
    ends = _between(row["conf_low"], row["conf_high"], unit)
    size = _signed(row["estimate"], unit)
    return f"Reweighted to all who were asked, by what was known of them before, it is {size} ({ends})."


def _way(row: pd.Series, known: Mapping[str, Metric]) -> int:
    """Return 1 for better, -1 for worse, 0 where neither is shown; by sign where no definition says what is better."""
    if not row["conf_low"] > 0 and not row["conf_high"] < 0:
        return 0
    metric = known.get(row["metric"])
    sign = 1 if row["estimate"] > 0 else -1
    return -sign if metric is not None and metric.higher_is_better is False else sign


def _beside(row: pd.Series, way: int, survey: int, known: Mapping[str, Metric]) -> str:
    """Say what one behaviour did beside the survey's effect."""
    metric = known.get(row["metric"])
    title = metric.title if metric else str(row["metric"])
    if row["status"] != results.OK:
        return f"{title} could not be compared."
    unit = metric.unit if metric else ""
    size = f"{_signed(row['estimate'], unit)}, {_between(row['conf_low'], row['conf_high'], unit)}"
    start = f"{title}, which everybody has, "
    if not way:
        return f"{start}is not shown to move ({size})."
    if not survey:
        return f"{start}moves ({size})."
    return f"{start}{'moves the same way' if way == survey else 'moves the other way'} ({size})."


def _signed(value: float, unit: str) -> str:
    return f"{'+' if value > 0 else ''}{amount(value, unit)}"


def _between(low: float, high: float, unit: str) -> str:
    return f"between {_signed(low, unit).split(' ')[0]} and {_signed(high, unit)}"
