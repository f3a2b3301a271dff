"""Is the experience the same everywhere? Satisfaction between channels and partners against within them.

The model has one random effect: an answer is the mean of all, plus what its group (a channel, a partner) is off by with
standard deviation sigma_b, plus what answers of one group differ by with standard deviation sigma_w. The intraclass
correlation is the part of the variance that lies between groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import alike
from cxlib.analysis.partners import pooling
from cxlib.analysis.partners.adjusting import summarise
from cxlib.analysis.partners.fits import Fit, raw
from cxlib.analysis.partners.rows import Rows, rows_of
from cxlib.measure.rows import Numbers

BETWEEN, WITHIN, ICC, GAP, TEST = "between_sd", "within_sd", "between_share", "typical_gap", "all_alike"
DIGITAL, PHYSICAL = "digital", "physical"
RAW, EQUAL = "as it is", "all else equal"
FEWEST = 3  # groups; of two the spread can be anything
LEAST = 5  # answers of a group that the spread is learnt from: fewer cannot tell noise from difference
_MOST = 30  # groups, from which on those that are hidden are not listed
_FEW = f"fewer than {FEWEST} groups: how far such groups differ cannot be learnt from so few"
_GAP = float(np.sqrt(2))


@dataclass(frozen=True)
class Components:
    """Variances between and within groups with the limits of their ratio.

    Parameters
    ----------
    between, within
        Variance of the groups' true means (0 where none is seen), and of an answer within its group.
    ratio_low, ratio_high
        Limits of between / within.
    f, p_value
        The test that all groups are alike, and its p-value.
    """

    between: float
    within: float
    ratio_low: float
    ratio_high: float
    f: float
    p_value: float

    @property
    def icc(self) -> tuple[float, float, float]:
        """The intraclass correlation with its limits."""
        ends = self.between / self.within, self.ratio_low, self.ratio_high
        return (ends[0] / (1 + ends[0]), ends[1] / (1 + ends[1]), ends[2] / (1 + ends[2]))


def components(means: Numbers, sizes: Numbers, within: float, freedom: float, confidence: float = 0.95) -> Components:
    """Estimate variance components of one-way random effects with unequal sizes.

    Parameters
    ----------
    means, sizes
        Of the groups, shape (K,); sizes count independent answers, with fractions where customers answer repeatedly.
    within
        Variance of an answer within its group, on so many degrees of freedom.
    freedom
        Of `within`.
    confidence
        Of the limits.

    Notes
    -----
    Between by restricted maximum likelihood at the given variance within (equal to analysis of variance where sizes are
    equal and it is above 0). Limits of the ratio r invert Wald's F (1940, Ann. Math. Stat. 11:96; Searle, Casella and
    McCulloch 1992, Variance Components, 3.6): the weighted spread of the means at weights 1 / (1 / n + r), over
    (K - 1) within, is F with K - 1 and `freedom` degrees at the true r, exactly so for normal answers; with equal sizes
    it is the interval of Shrout and Fleiss (1979) for ICC(1).
    """
    unit = 1 / sizes

    def spread(ratio: float) -> float:
        return float(pooling.cochran(means, unit, ratio)) / ((means.size - 1) * within)

    alpha, ends = 1 - confidence, []
    for quantile in (stats.f.isf(alpha / 2, means.size - 1, freedom), stats.f.ppf(alpha / 2, means.size - 1, freedom)):
        if spread(0.0) <= quantile:
            ends.append(0.0)
            continue
        most = 1.0
        while spread(most) > quantile:
            most *= 4
        ends.append(float(optimize.brentq(lambda r, at=quantile: spread(r) - at, 0, most, rtol=1e-12)))
    between = float(pooling.reml(means, within * unit))
    value = spread(0.0)
    return Components(between, within, ends[0], ends[1], value, float(stats.f.sf(value, means.size - 1, freedom)))


def consistency(
    frame: pd.DataFrame,
    outcome: str,
    by: str,
    *,
    case_mix: Sequence[str] = (),
    kind: str = "mean",
    metric: str = "",
    cluster: str | None = "customer_id",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Say how far groups lie apart in a score, and how much of all its variance that is.

    Parameters
    ----------
    frame
        One row an answer; rows without outcome or group are left out.
    outcome
        Column of the score.
    by
        Column of the groups: channels, partners.
    case_mix
        Columns of who the customers are, held equal between groups; slopes are learnt within them.
    kind
        `mean`, or `nps` (scores of 0 to 10, or -100, 0 and 100 points).
    metric, cluster, confidence, min_n
        As in `alike.levels`. Hidden groups still help to learn the spread.

    Returns
    -------
    pandas.DataFrame
        The groups' own figures (`metric`), and of all together: `between_sd` and `within_sd` in the score's unit,
        `between_share` (the intraclass correlation), `typical_gap` (the standard deviation of the difference between
        two groups: sqrt(2) sigma_b), and the F test `all_alike`, whose note goes by the interval: whether it holds 0.
        `at` says what is held equal. Limits assume about normal means of groups: with few groups they are wide, and
        that is what is known.
    """
    rows = rows_of(doors.frame(frame), outcome, by, case_mix=case_mix, kind=kind, cluster=cluster)
    name = metric or outcome
    if not rows.names:
        return results.frame(metric=name, segment=by, status=results.UNDEFINED, note=alike.NONE)
    own, few = _own(rows, name, by, kind, confidence, min_n), np.bincount(rows.code) < LEAST
    about = {"segment": by, "against": name}
    large = _of(rows, ~few)
    found = summarise(large) if large.y.size and np.ptp(large.y) > 0 else None
    if found is None or len(large.names) < FEWEST:
        note = _FEW if len(large.names) < FEWEST else "all answers are alike"
        names = np.array([BETWEEN, WITHIN, ICC, GAP, TEST], dtype=object)
        return results.concat([own, results.frame(metric=names, **about, status=results.TOO_FEW, note=note)])
    worth = np.maximum(found.base / (found.base / found.worth + found.slope), 1e-9)
    freedom = max(float(found.worth.sum()) - len(large.names) - len(found.columns), 1.0)
    told = components(found.adjusted, worth, found.base, freedom, confidence)
    mix = f"{', '.join(found.columns)} held equal" if found.columns else RAW
    parts = _rows(told, large.y.size, len(large.names), about | {"at": mix}, freedom, confidence)
    return results.concat([own, _noted(parts, int(few.sum()))])


def _own(rows: Rows, metric: str, by: str, kind: str, confidence: float, min_n: int) -> pd.DataFrame:
    """Return the groups' own figures; of many groups only those that are shown."""
    fit = Fit(metric, by, kind, rows, None, None, confidence, 1, "")
    own = alike.suppressed(raw(fit), alike.unseen(fit.people, min_n, also=alike.telling(rows, min_n)))
    if len(own) <= _MOST or (own["status"] != results.OK).all():
        return own.iloc[:_MOST]
    return own[own["status"] == results.OK].reset_index(drop=True)


def _of(rows: Rows, kept: NDArray[np.bool_]) -> Rows:
    """Return the rows of some groups."""
    here = kept[rows.code]
    place = np.cumsum(kept) - 1
    names = tuple(name for name, one in zip(rows.names, kept, strict=True) if one)
    people = np.unique(rows.people[here], return_inverse=True)[1]
    return replace(rows, y=rows.y[here], code=place[rows.code[here]], names=names, people=people,
                   design=rows.design[here])  # fmt: skip


def _noted(parts: pd.DataFrame, few: int) -> pd.DataFrame:
    """Say on every row how many groups were too small to learn from."""
    if not few:
        return parts
    told = f"{few:,} with fewer than {LEAST} answers left out"
    return results.conform(parts.assign(note=[f"{note}; {told}" if note else told for note in parts["note"]]))


def _rows(
    told: Components, n: int, groups: int, about: dict[str, Any], freedom: float, confidence: float
) -> pd.DataFrame:
    """Return the components as rows."""
    within = np.sqrt(told.within)
    ends = np.sqrt(told.within * np.array([told.between / told.within, told.ratio_low, told.ratio_high]))
    alpha = (1 - confidence) / 2
    inner = within * np.sqrt(freedom / stats.chi2.isf([alpha, 1 - alpha], freedom))
    values = np.array([ends, [within, *inner], told.icc, _GAP * ends, [told.f, np.nan, np.nan]])
    seen = told.ratio_low > 0
    note = ["", "", "", "standard deviation of the difference between two of them", "" if seen else "may all be alike"]
    return results.frame(
        metric=np.array([BETWEEN, WITHIN, ICC, GAP, TEST], dtype=object), **about,
        comparison=["level", "level", "share", "level", "test"], estimate=values[:, 0], conf_low=values[:, 1],
        conf_high=values[:, 2], n=float(n), n_eff=[groups, freedom, groups, groups, freedom],
        p_value=[np.nan] * 4 + [told.p_value], note=note,
        method=["REML, Wald F limits", "pooled, chi-square limits", "REML, Wald F limits", "REML, Wald F limits", "F"],
    )  # fmt: skip


def digital_or_not(
    frame: pd.DataFrame,
    outcome: str,
    digital: str = "digital",
    *,
    case_mix: Sequence[str] = (),
    kind: str = "mean",
    metric: str = "",
    cluster: str | None = "customer_id",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Compare a score at digital touchpoints with that at others.

    Parameters
    ----------
    frame
        One row an answer: the outcome, and `digital` (1 or 0; missing where it is not known: left out).
    outcome, case_mix, kind, metric, cluster, confidence, min_n
        As in `consistency`; `nps` takes points of -100, 0 and 100.

    Returns
    -------
    pandas.DataFrame
        Levels `digital` and `physical`, and their difference `at` "as it is" and, with a case mix, "all else equal".
        Customers may have been at both.
    """
    doors.require(doors.frame(frame), [outcome, digital, *case_mix])
    flag = pd.Series(doors.numbers(digital, frame[digital]), frame.index)
    table = frame.assign(place=flag.map({1.0: DIGITAL, 0.0: PHYSICAL}))
    how: dict[str, Any] = {"metric": metric or outcome, "cluster": cluster, "confidence": confidence, "min_n": min_n}
    levels = alike.levels(table, outcome, "place", kind="mean", **how)
    raw_ = alike.differences(table, outcome, "place", PHYSICAL, **how)
    parts = [levels, results.label(raw_, at=RAW)]
    if case_mix:
        equal = alike.differences(table, outcome, "place", PHYSICAL, case_mix=case_mix, **how)
        parts.append(results.label(equal, at=EQUAL))
    found = results.concat(parts)
    told = kind == "nps" and (found["status"] == results.OK).any()
    return results.conform(found.assign(method=found["method"] + ", of points" * bool(told))).assign(segment=digital)
