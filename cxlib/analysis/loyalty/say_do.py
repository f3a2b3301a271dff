"""Say and do: what promoters, passives and detractors did afterwards, and what a stated likelihood was worth.

One row is one answer with what its customer did in a window after it. Who did what afterwards is told, not why: people
who recommend differ from those who do not in more than their answer (`value.link` looks within customers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import in_rows, names, numbers_of, require
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import intervals
from cxlib.measure.differences import mean_difference, share_difference
from cxlib.measure.formulas import mean, share
from cxlib.measure.moments import Moments
from cxlib.measure.overlap import Overlap

GROUPS = ("promoter", "passive", "detractor")
SAID = "said"
_POINTS = {100.0: "promoter", 0.0: "passive", -100.0: "detractor"}  # a row of the metric NPS
_KINDS = ("share", "mean")
_SLOPE = "each point more"
_EXACT = 1e-9  # of the largest outcome: what lies nearer to a line lies on it, but for rounding


def say_and_do(
    frame: pd.DataFrame,
    *,
    said: str = "said",
    outcomes: Iterable[str] = ("churned", "spend", "referrals"),
    customer: str = "customer_id",
    groups: Iterable[str] = GROUPS,
    kinds: Mapping[str, str] | None = None,
    window: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Compare what the groups of an answer did in a window after it.

    Parameters
    ----------
    frame
        One row per answer. An outcome is missing where the window was not over yet, or the customer could not do it
        any more: such answers do not count for it.
    said
        Column of the group of each answer; the rows of an NPS (100, 0 and -100) are named. Missing ones do not count.
    outcomes
        Columns of what was done: yes or no (a share is estimated), or amounts and counts (a mean).
    customer
        Column of customers: their answers are clusters, and a customer who said both things is in both groups.
    groups
        Names of the groups in order; the others are compared with the first.
    kinds
        Outcome -> `share` or `mean`, where the values should not decide: counts that happen to be all 0 and 1 do.
    window
        How long was looked after an answer, as it is to be told in `at` ("90 days").
    confidence
        Of the intervals.
    min_n
        Rows of fewer distinct customers are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame: per outcome (`metric`) and group (`level`, segment `said`) a row `level`; for all groups but
        the first a row `difference` (group minus first, `against` it). Shares by Wilson with the effective n of Korn
        and Graubard (1998), differences of shares by Newcombe (1998), means by t and Welch's t, all robust to clusters,
        with the covariance of groups that share customers (Kish and Frankel 1974).

    Raises
    ------
    UsageError
        For columns that lack, groups that are not named, outcomes that are no numbers, or for a share neither 0
        nor 1.
    """
    outcomes, groups = names(outcomes), names(groups)
    answers = _answers(frame, said, outcomes, customer, groups)
    asked = dict(kinds or {})
    wrong = [f"'{name}' of {key}" for key, name in asked.items() if name not in _KINDS]
    if wrong:
        raise UsageError(f"no kind of outcome: {', '.join(wrong)}; there are {', '.join(_KINDS)}")
    _check_shares(answers, [name for name in outcomes if asked.get(name) == "share"])
    parts = [
        _outcome(answers, name, asked.get(name) or kind_of(answers[name]), list(groups), confidence, min_n)
        for name in outcomes
    ]
    return results.label(results.concat(parts), segment=SAID, at=window)


def calibration(
    frame: pd.DataFrame,
    *,
    likelihood: str = "score",
    did: str = "referred",
    customer: str = "customer_id",
    scale: tuple[float, float] = (0, 10),
    window: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Set a stated likelihood against what was done: per score, and how much each point more goes with.

    Parameters
    ----------
    frame
        One row per answer.
    likelihood
        Column of the score; its whole values are the levels.
    did
        Column of what was done in the window: 0 or 1, missing where it was not over.
    customer, window, confidence, min_n
        As in `say_and_do`.
    scale
        The scores that mean "never" and "certainly": what was said is how far along it a score lies.

    Returns
    -------
    pandas.DataFrame
        Per score a row `level` (share that did it) and a row `difference` `against` "said" (that share less the stated
        one: below 0, more was said than done), segment `said`. Then level `each point more`, a `difference`: the slope
        of a linear probability model, sandwich variance robust to clusters (Liang and Zeger 1986; HC1 by customers,
        Stata `regress, vce(cluster)`); undefined where all said the same.

    Raises
    ------
    UsageError
        For columns that lack, scores outside the scale, and what was done being neither 0 nor 1.
    """
    low, high = scale
    answers = _numbers(frame, [likelihood, did], customer).dropna(subset=[likelihood, did])
    outside = ~answers[likelihood].between(low, high)
    if outside.any() or not low < high:
        raise UsageError(f"{int(outside.sum())} scores are outside {low:g} to {high:g}")
    if not answers[did].isin([0, 1]).all():
        raise UsageError(f"'{did}' is neither 0 nor 1 in {int((~answers[did].isin([0, 1])).sum())} rows")
    parts = []
    for score, rows in answers.groupby(likelihood, sort=True):
        found = _level(_moments(rows, did), "share", confidence)
        stated = (float(score) - low) / (high - low)
        gap = {name: found[name] - stated for name in ("estimate", "conf_low", "conf_high")}
        apart = found.assign(**gap, comparison="difference", against=SAID)
        both = results.label(results.concat([found, apart]), level=f"{score + 0.0:g}")
        parts.append(_hidden(both, rows["customer"].nunique(), min_n))
    parts.append(_slope(answers[likelihood].to_numpy(), answers[did].to_numpy(), answers["customer"], confidence))
    parts[-1] = _hidden(parts[-1], answers["customer"].nunique(), min_n)
    return results.label(results.concat(parts), metric=did, segment=SAID, at=window)


def kind_of(values: pd.Series) -> str:
    """Return `share` for values that are all 0 or 1, `mean` for others."""
    return "share" if values.dropna().isin([0, 1]).all() else "mean"


def _check_shares(answers: pd.DataFrame, shares: Sequence[str]) -> None:
    """Raise `UsageError` for outcomes of which a share is asked for and that are neither 0 nor 1."""
    wrong = {name: ~(answers[name].isin([0, 1]) | answers[name].isna()).to_numpy() for name in shares}
    faults = [in_rows(name, "neither 0 nor 1", mask, answers[name]) for name, mask in wrong.items() if mask.any()]
    if faults:
        raise UsageError("; ".join(faults), hint="Give 1 to those who did it, or ask for a mean.")


def _answers(
    frame: pd.DataFrame, said: str, outcomes: Sequence[str], customer: str, groups: Sequence[str]
) -> pd.DataFrame:
    """Return the answers of known groups with numbers as outcomes; all that is wrong is told at once."""
    if not outcomes:
        raise UsageError("name the outcomes in a list", hint='For instance outcomes=("churned", "spend").')
    answers = _numbers(frame, list(outcomes), customer, others=[said])
    told = frame[said].reset_index(drop=True)
    if pd.api.types.is_numeric_dtype(told):
        points = told.astype("float64")
        told = points.map(_POINTS).astype(object).where(points.isna() | points.isin(_POINTS), points)
    answers["group"] = told.astype(object)
    strange = sorted({str(name) for name in told.dropna()} - set(groups))
    if strange:
        near = did_you_mean(strange[0], groups)
        raise UsageError(f"'{said}' holds {', '.join(strange[:5])}, none of {', '.join(groups)}{near}")
    return answers[told.notna().to_numpy()]


def _numbers(frame: pd.DataFrame, columns: Sequence[str], customer: str, others: Sequence[str] = ()) -> pd.DataFrame:
    """Return columns as doubles beside the column `customer`, numbered."""
    must_be_frame(frame)
    require(frame, {"customer": customer} | {f"column {name}": name for name in (*others, *columns)})
    found: dict[str, ArrayLike] = dict(numbers_of(frame, columns))
    who = frame[customer]
    if who.isna().any():
        raise UsageError(f"'{customer}' is missing in {int(who.isna().sum())} rows")
    return pd.DataFrame({**found, "customer": pd.factorize(who)[0].astype(np.int64)})


def _moments(rows: pd.DataFrame, name: str) -> Moments:
    return Moments.of(rows[name].to_numpy(), clusters=rows["customer"].to_numpy())


def _outcome(
    answers: pd.DataFrame, name: str, kind: str, groups: list[str], confidence: float, min_n: int
) -> pd.DataFrame:
    """Return the rows of one outcome."""
    known = answers[answers[name].notna()]
    cells = {group: known[known["group"] == group] for group in groups}
    sums = {group: _moments(rows, name) for group, rows in cells.items()}
    people = {group: rows["customer"].nunique() for group, rows in cells.items()}
    lost = len(answers) - len(known)
    told = f"{lost:,} of {len(answers):,} answers left out: the window was not over, or not at risk" if lost else ""
    parts = []
    for group in groups:
        found = _hidden(results.label(_level(sums[group], kind, confidence), level=group), people[group], min_n)
        parts.append(found.assign(note=found["note"].where(found["note"] != "", told)))
    for group in groups[1:]:
        both = Overlap.of(*((rows[name], None, rows["customer"]) for rows in (cells[group], cells[groups[0]])))
        found = _difference(sums[group], sums[groups[0]], both, kind, confidence)
        found = results.label(found, level=group, against=groups[0])
        parts.append(_hidden(found, min(people[group], people[groups[0]]), min_n))
    return results.label(results.concat(parts), metric=name)


def _level(sums: Moments, kind: str, confidence: float) -> pd.DataFrame:
    """Return the share or the mean of one group."""
    if kind == "mean":
        return mean(sums, confidence=confidence)
    if np.any((sums.sums["y"] < 0) | (sums.sums["y"] > sums.rows)):
        raise UsageError("a share needs values of 0 and 1")
    return share(sums.sums["y"], sums.rows, confidence=confidence, n_eff=sums.effective_n)


def _difference(one: Moments, first: Moments, both: Overlap, kind: str, confidence: float) -> pd.DataFrame:
    """Return one group minus the first."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = both.covariance(one, first) / np.sqrt(one.variance * first.variance)
    together = np.clip(np.where(np.isfinite(found), found, 0.0), -1, 1)
    if kind == "share":
        return share_difference(
            one.sums["y"], one.rows, first.sums["y"], first.rows, confidence=confidence, correlation=together,
            n_eff=(one.effective_n, first.effective_n),
        )  # fmt: skip
    return mean_difference(first, one, confidence=confidence, correlation=together, both=both.clusters)


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], who: pd.Series, confidence: float) -> pd.DataFrame:
    """Return the slope of y on x, robust to clusters; undefined where x does not vary or there are too few people."""
    codes, people = pd.factorize(who.to_numpy(dtype=object))
    labels = {"level": _SLOPE, "comparison": "difference", "against": "a point less"}
    method = "linear probability, cluster-robust, t"
    if len(people) < 3 or np.ptp(x) == 0:
        why = "fewer than three customers" if len(people) < 3 else "all said the same"
        return results.frame(**labels, method=method, status=results.UNDEFINED, note=why)
    centred = x - x.mean()
    spread = centred @ centred
    value = float(centred @ y / spread)
    rest = y - y.mean() - value * centred
    scores = np.bincount(codes, centred * rest, len(people))
    few = len(people) / (len(people) - 1) * (x.size - 1) / (x.size - 2)
    error = float(np.sqrt(few * (scores @ scores))) / spread
    if np.abs(rest).max() <= _EXACT * np.abs(y).max():
        note = "no scatter about the line: no interval"
        return results.frame(**labels, method=method, status=results.UNDEFINED, note=note)
    freedom = np.array(len(people) - 1.0)
    low, high, p_value = by_freedom(np.array(value), np.array(error), freedom, confidence)
    return results.frame(
        **labels, estimate=value, std_error=error, conf_low=low, conf_high=high, p_value=p_value, n=x.size,
        n_eff=len(people), method=method,
    )  # fmt: skip


def by_freedom(
    value: NDArray[np.float64], error: NDArray[np.float64], freedom: NDArray[np.float64], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the limits by t and the two-sided p-value of nothing."""
    from scipy import stats

    low, high = intervals.student(value, error, freedom, confidence)
    return low, high, 2 * stats.t.sf(np.abs(value) / error, freedom)


def _hidden(found: pd.DataFrame, people: int, min_n: int) -> pd.DataFrame:
    """Suppress rows that stand on fewer than `min_n` distinct customers, n counting answers."""
    kept = found["n"]
    hidden = results.suppress(found.assign(n=np.minimum(kept, people)), min_n)
    return results.conform(hidden.assign(n=kept))
