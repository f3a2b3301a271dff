"""Inverse-probability weights: what a survey effect would be if all who were asked had answered.

They undo what can be seen of everybody asked (segments, behaviour before), and nothing else: where answering depends on
the answer itself only bounds help (`lee_bounds`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.experiments.answerers import Answerers, answerers
from cxlib.errors import UsageError
from cxlib.measure.intervals import by_t, check_confidence
from cxlib.measure.raking import OTHER, small_levels
from cxlib.measure.rows import Numbers

_LEAST_ANSWERS = 10  # of a level, in each arm, and of an arm
_LEAST_CHANCE = 0.01  # of answering: beyond, one answer would stand for more than a hundred customers
_HEAVY = 10.0  # times the mean weight
_FEW_ANSWERS = 50  # of an arm
_FEW = "; of so few answers the limits are a little too near"
_METHOD = "inverse-probability weights, logistic regression in each arm"


@dataclass(frozen=True, eq=False)
class _Weighted:
    """The weighted mean of one arm.

    Parameters
    ----------
    value, influence
        The mean, and what each unit of all arms moves it by.
    worth
        How many answers of equal weight those of the arm are worth (Kish).
    chance
        The least estimated chance of answering.
    held
        Answers whose chance was raised to the least allowed.
    heaviest
        The largest weight over the mean one.
    """

    value: float
    influence: Numbers
    worth: float
    chance: float
    held: int
    heaviest: float


def inverse_probability(
    frame: pd.DataFrame,
    known: Sequence[str],
    *,
    outcome: str = "outcome",
    answered: str = "answered",
    arm: str = "arm",
    customer: str = "",
    weights: str = "",
    control: str = "",
    cells: bool = False,
    least: float = _LEAST_CHANCE,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the effect on all who were asked, weighting answers by what was known of everybody beforehand.

    Parameters
    ----------
    frame
        One row per invitation or exposed unit, answered or not.
    known
        Columns known of everybody before the experiment touched them: text, categories and true/false by level (missing
        is a level; levels with fewer than 10 answers in an arm are joined), numbers as they are (missing ones at the
        mean, with a level of their own).
    outcome, answered, arm
        Columns: the score, where answered; whether it was; two arms.
    customer, weights
        Columns: whose rows they are, where customers have several; what each row counts.
    control
        Which arm is the control; by default the one named `control`, else the first in sorted order.
    cells
        The chance of answering is that of the cell of all columns of `known` together, instead of a logistic regression
        on each by itself; numbers are refused then.
    least
        Chances below it are raised to it, and the note tells in how many answers.
    confidence
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        One row, `comparison = "difference"`, `at` the treatment, `against` the control: weighted means (Hajek) with
        weights 1 / chance, estimated in each arm by itself. `n` answers, `n_eff` what the weighted ones are worth. The
        note tells the least chance of answering. `too_few` where an arm has fewer than 10 answers.

    Raises
    ------
    UsageError
        For columns that lack, and as `answerers`.

    Notes
    -----
    Robins, Rotnitzky and Zhao (1994, J. Am. Stat. Assoc. 89, 846). The error allows for estimated weights: influence
    functions of both steps stacked (Lunceford and Davidian 2004, Statist. Med. 23, 2937), summed over customers, with t
    on the answers' worth. Right where, given `known` and the arm, answering does not depend on the answer. That cannot
    be tested; where the unhappy answer because they are unhappy the weighted effect is as wrong as the plain one. Over
    700 runs each a 95 % interval held the truth in 96 % (3,000 invitations, 1,000 answers), 94 % (700, 240) and 92 %
    (200, 70): with fewer than 50 answers in an arm the note says that limits are too near.
    """
    check_confidence(confidence)
    known = doors.names(known)
    wanted = [*known, outcome, answered, arm, *filter(None, [customer, weights])]
    doors.require(doors.frame(frame, "invitations"), wanted, "invitations")
    if not known or not 0 < least < 1:
        fault = "no columns are named that are known of everybody" if not known else f"least {least:g} is no chance"
        raise UsageError(fault, hint="Name segments of customers, and what they did before.")
    units = answerers(
        frame[outcome], frame[answered], frame[arm], weights=frame[weights] if weights else None,
        clusters=frame[customer] if customer else None, control=control or None,
    )  # fmt: skip
    method = "; ".join(filter(None, [_METHOD, "by cells" if cells else "", "cluster-robust" if units.robust else ""]))
    words: dict[str, Any] = {"comparison": "difference", "method": method, "n": int(units.answered.sum())}
    words |= {"at": units.names[1], "against": units.names[0]}
    if min(units.answers()) < _LEAST_ANSWERS:
        return results.frame(status=results.TOO_FEW, note="an arm has fewer than 10 answers", **words)
    design = _design(frame[list(known)], units, together=cells)
    sides = [_arm(units, design, units.treated == treated, least) for treated in (False, True)]
    return _effect(units, sides, confidence, words)


def _effect(units: Answerers, sides: list[_Weighted], confidence: float, words: dict[str, Any]) -> pd.DataFrame:
    """Return the row of treatment less control."""
    value = sides[1].value - sides[0].value
    errors = [units.error(side.influence) for side in sides]
    error = float(np.hypot(errors[0], errors[1]))
    if error <= 0:
        return results.frame(status=results.UNDEFINED, note="all answers of an arm are alike", **words)
    low, high, p_value = by_t(
        np.array([value]), np.array([error]), (np.array([errors[1]]), np.array([errors[0]])),
        (np.array([sides[1].worth]), np.array([sides[0].worth])), 0.0, confidence,
    )  # fmt: skip
    worth = sides[0].worth + sides[1].worth
    return results.frame(
        estimate=value, std_error=error, conf_low=low, conf_high=high, p_value=p_value, n_eff=worth,
        note=_told(sides) + (_FEW if min(units.answers()) < _FEW_ANSWERS else ""), **words,
    )  # fmt: skip


def _arm(units: Answerers, design: Numbers, mine: Numbers, least: float) -> _Weighted:
    """Return the weighted mean of one arm.

    With psi = w s (y - mu) / e and scores x (s - e), mu moves by (psi + A' H^-1 x (s - e)) / sum of weights, A the
    derivative of the sum of psi by the coefficients and H the information.
    """
    x, said, base, y = design[mine], units.answered[mine], units.weight[mine], units.outcome[mine]
    chance = _chances(x, said.astype(float), base)
    raised = chance < least
    used = np.where(raised, least, chance)
    weight = base * said / used
    whole = float(weight.sum())
    value = float(weight @ y) / whole
    apart = weight * (y - value)
    slope = -x.T @ np.where(raised, 0.0, apart * (1 - chance))
    information = x.T @ (x * (base * chance * (1 - chance))[:, None])
    back = np.linalg.pinv(information, hermitian=True) @ slope
    influence = np.zeros(len(units.weight))
    influence[mine] = (apart + (x @ back) * base * (said - chance)) / whole
    people = float(np.count_nonzero(said))
    return _Weighted(
        value, influence, whole**2 / float(weight @ weight), float(used[said].min()), int((raised & said).sum()),
        float(weight.max()) * people / whole,
    )  # fmt: skip


def _chances(design: Numbers, said: Numbers, base: Numbers) -> Numbers:
    """Return the fitted chance of answering of each unit."""
    import statsmodels.api as sm

    columns = pd.DataFrame(design)
    place = columns.groupby(list(columns.columns), sort=True).ngroup().to_numpy()
    rows = design[np.unique(place, return_index=True)[1]]
    yes, whole = (np.bincount(place, values, len(rows)) for values in (base * said, base))
    there = whole > 0
    counts = np.column_stack([yes, whole - yes])[there]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a level of which everybody answered has the chance 1, all but
        fit = sm.GLM(counts, rows[there], family=sm.families.Binomial()).fit(tol=1e-10, maxiter=100)
    chance = np.ones(len(rows))
    chance[there] = np.asarray(fit.mu, dtype=float)
    return chance[place]


def _design(known: pd.DataFrame, units: Answerers, *, together: bool) -> Numbers:
    """Return the columns of the regression, the constant first; shape (units, k)."""
    columns = {name: known[name].reset_index(drop=True) for name in known.columns}
    numeric = [
        name for name, given in columns.items()
        if pd.api.types.is_numeric_dtype(given.dtype) and not pd.api.types.is_bool_dtype(given.dtype)
    ]  # fmt: skip
    if together and numeric:
        raise UsageError(f"{', '.join(numeric)}: numbers make no cells", hint="Cut them into classes first.")
    texts = {name: _text(given) for name, given in columns.items() if name not in numeric}
    if together:
        texts = {"cell": pd.DataFrame(texts).agg(" x ".join, axis=1)}
    parts = [np.ones((len(known), 1))]
    parts += [_levels(text, units) for text in texts.values()]
    parts += [_number(name, columns[name]) for name in numeric]
    return np.hstack(parts)


def _text(given: pd.Series) -> pd.Series:
    return given.astype(object).where(given.notna(), "unknown").astype(str)


def _levels(text: pd.Series, units: Answerers) -> Numbers:
    """Return a column of 0 and 1 for each level but the first; small ones are joined."""
    said = [text[units.answered & (units.treated == arm)].value_counts() for arm in (False, True)]
    names = sorted(set(text))
    least = pd.concat(said, axis=1).reindex(names).fillna(0.0).min(axis=1)
    joined = text.where(~text.isin(small_levels(least, least, _LEAST_ANSWERS)), OTHER)
    code = pd.factorize(joined, sort=True)[0]
    return (np.arange(1, code.max() + 1) == code[:, None]).astype(float)


def _number(name: str, given: pd.Series) -> Numbers:
    """Return a number in standard deviations, and where it is missing."""
    values = doors.numbers(name, given)
    lost = np.isnan(values)
    if lost.all():
        raise UsageError(f"{name} is missing everywhere")
    spread = float(np.nanstd(values)) or 1.0
    plain = np.where(lost, 0.0, (values - np.nanmean(values)) / spread)
    return np.column_stack([plain, lost.astype(float)]) if lost.any() else plain[:, None]


def _told(sides: list[_Weighted]) -> str:
    """Say how far single answers must stand for others."""
    chance, heaviest = min(side.chance for side in sides), max(side.heaviest for side in sides)
    held = sum(side.held for side in sides)
    told = [f"the least likely to answer do so in {100 * chance:.2g} of 100 cases"]
    told += [f"{held:,} answers of even less likely ones count no more than that"] if held else []
    told += [f"one answer counts as {heaviest:.0f}: few stand for many"] if heaviest > _HEAVY else []
    return "; ".join([*told, "right only if answering depends on nothing but what was known before"])
