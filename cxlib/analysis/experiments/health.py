"""Health checks of an experiment, to be read before any effect: is it what was registered, and are its arms alike?

Each check is a result row with its gravity in `at`: `passes`, `warns`, or `fails`, which withholds the verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.experiments.arrays import stacked
from cxlib.analysis.experiments.sample_ratio import SAMPLE_RATIO_WARNS, SAMPLE_RATIO_WITHHOLDS
from cxlib.errors import UsageError
from cxlib.measure import differences, estimates, verdicts
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Numbers

PASSES, WARNS, FAILS = "passes", "warns", "fails"
GRAVITIES = (PASSES, WARNS, FAILS)
# p-values below: with several checks per experiment .05 would warn of every third healthy one.
WARN_BELOW, FAIL_BELOW = SAMPLE_RATIO_WARNS, SAMPLE_RATIO_WITHHOLDS
# Shares of customers above: one in a hundred is as large as the effects that are looked for.
WARN_ABOVE, FAIL_ABOVE = 0.001, 0.01

_DUPLICATES, _CROSSOVERS = "exposed more than once", "seen in several arms"
_STRANGERS, _OUTSIDE = "in an arm that is not registered", "exposed outside the registered window"
_MISSING, _BALANCE = "outcome known equally in all arms", "arms alike before the start"
_FEW_EXPECTED = 5  # below, chi-square is not to be relied on (Cochran 1954)
_MOST_NAMED = 3


def exposure(
    table: pd.DataFrame,
    *,
    arms: Collection[str] = (),
    window: tuple[Any, Any] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Check who was exposed: more than once, to several arms, to an unknown one, outside the window.

    Parameters
    ----------
    table
        One row per customer: `arm`, the first one; `exposures`, how many rows; `arms`, how many distinct ones;
        `exposed_at`, the first time. A column `customers` makes it one row per that many alike. Checks whose columns
        are absent are left out.
    arms
        The registered arms; without any, none is unknown.
    window
        First moment of exposure, and the first after it; without one nothing is outside.
    confidence
        Of the Wilson intervals.

    Returns
    -------
    pandas.DataFrame
        `comparison = "share"`, one row per check, `estimate` the share of customers. Above .001 a check warns, above
        .01 it fails; being exposed more than once in the same arm is information and passes.

    Raises
    ------
    UsageError
        For a table without `arm`, and counts that are no numbers.
    """
    doors.require(doors.frame(table, "exposures"), ["arm"], "exposures")
    counted = [name for name in ("customers", "exposures", "arms") if name in table.columns]
    number = doors.numbers_of(table, counted)
    weight = number.get("customers", np.ones(len(table)))
    found = {}
    if "exposures" in number:
        found[_DUPLICATES] = number["exposures"] > 1
    if "arms" in number:
        found[_CROSSOVERS] = number["arms"] > 1
    named = table["arm"].astype(object)
    if arms:
        found[_STRANGERS] = ~named.isin(list(arms)).to_numpy()
    if window is not None and "exposed_at" in table.columns:
        first, after = (doors.moment("window", end) for end in window)
        at = doors.moments("exposed_at", table["exposed_at"])
        found[_OUTSIDE] = ~((at >= first) & (at < after)).to_numpy()
    parts = [_share(name, float(weight[bad].sum()), float(weight.sum()), confidence) for name, bad in found.items()]
    whole = results.concat(parts)
    if _STRANGERS in found and found[_STRANGERS].any():
        strange = sorted({str(one) for one in named[found[_STRANGERS]]})
        told = ", ".join(strange[:_MOST_NAMED]) + (", ..." if len(strange) > _MOST_NAMED else "")
        mine = whole["metric"] == _STRANGERS
        whole = whole.assign(note=whole["note"].where(~mine, whole["note"] + f": {told}"))
    return results.conform(whole)


def missingness(
    units: Mapping[str, float], known: Mapping[str, float], *, metric: str = "", title: str = "", survey: bool = False
) -> pd.DataFrame:
    """Test whether the outcome is known of as many in each arm.

    Parameters
    ----------
    units, known
        Arm -> customers exposed, and those of them whose outcome is known.
    metric, title
        The outcome, and what it is called in words.
    survey
        A survey outcome warns at worst: what a difference can do to the effect is what bounds tell (`lee_bounds`,
        `answers_or_experience`), and they decide. Any other outcome fails: whoever is missing was lost.

    Returns
    -------
    pandas.DataFrame
        One test row, `segment = "outcome"`, `level` the metric: chi-square without continuity correction (R
        `prop.test(correct = FALSE)`); with two arms and fewer than 5 expected in a cell Fisher's exact test, with the
        difference of the shares as statistic. Below .01 it warns, below .001 it fails. `undefined` where the outcome is
        known of everybody or of nobody, `too_few` for more than two arms with fewer than 5 expected.

    Raises
    ------
    UsageError
        For arms that differ, and counts below 0 or above the units.
    """
    names = _same_arms(units, known)
    asked, said = (np.array([float(counts[name]) for name in names]) for counts in (units, known))
    table = np.array([said, asked - said])
    words = {"metric": _MISSING, "segment": "outcome", "level": metric or "all", "comparison": "test"}
    rates = [f"{100 * share:.1f} % of {name}" for name, share in zip(names, said / asked, strict=True)]
    told = f"{title or 'The outcome'} is known of {' and '.join([', '.join(rates[:-1]), rates[-1]])}"
    words |= {"n": asked.sum(), "note": told, "at": PASSES}
    if not table.sum(axis=1).all():
        return results.frame(status=results.UNDEFINED, **words)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    if expected.min() >= _FEW_EXPECTED:
        statistic, p_value = stats.chi2_contingency(table, correction=False)[:2]
        method = "chi-square"
    elif len(names) == 2:
        statistic, p_value = (said / asked) @ [-1, 1], stats.fisher_exact(table)[1]
        method = "Fisher's exact test"
    else:
        return results.frame(status=results.TOO_FEW, **words)
    row = results.frame(**{**words, "at": "", "estimate": statistic, "p_value": p_value, "method": method})
    return graded(row, worst=WARNS if survey else FAILS)


def balance(before: Mapping[str, Mapping[str, Moments]], *, control: str, confidence: float = 0.95) -> pd.DataFrame:
    """Compare the arms by the value that each outcome had before the start, when nothing could have moved it.

    Parameters
    ----------
    before
        Outcome -> arm -> moments of scalars: the outcome before the start, as y over x (see `earlier`), best of
        everybody exposed.
    control
        The arm that the others are compared with.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Test rows, one per outcome and treatment: `segment = "outcome"`, `level` the outcome, `against` the treatment;
        `estimate` is the standardised difference, treatment less control over the root of the mean of both variances
        (Austin 2009, Statist. Med. 28, 3083), with its interval; `p_value` Welch's, `p_adjusted` Holm's over all rows.
        Adjusted below .01 a row warns, below .001 it fails. `undefined` where there are no values before.

    Raises
    ------
    UsageError
        Where an outcome has no control.
    """
    lacking = [name for name, arms in before.items() if control not in arms]
    if lacking:
        raise UsageError(f"no moments of the control '{control}' for {', '.join(lacking)}")
    pairs = sorted((name, arm) for name, arms in before.items() for arm in arms if arm != control)
    if not pairs:
        return results.empty()
    sides = [stacked([before[name][which or arm] for name, arm in pairs]) for which in (control, "")]
    plain = differences.mean_difference(sides[0], sides[1], confidence=confidence)
    unit = _deviation(sides[0], sides[1])
    numbers = {name: plain[name] / unit for name in ("estimate", "std_error", "conf_low", "conf_high")}
    told = [
        f"{new:.3g} against {old:.3g} in the control, {apart:+.3f} standard deviations"
        for old, new, apart in zip(sides[0].ratio, sides[1].ratio, numbers["estimate"], strict=True)
    ]
    known = (plain["status"] == results.OK).to_numpy()
    notes = np.where(known, told, "nothing can be compared before the start: " + plain["note"])
    found = plain.assign(
        metric=_BALANCE, segment="outcome", level=[name for name, _ in pairs], against=[arm for _, arm in pairs],
        comparison="test", method="Welch, Holm", note=notes, p_adjusted=verdicts.adjust(plain["p_value"], "holm"),
        **numbers,
    )  # fmt: skip
    return graded(results.conform(found))


def earlier(moments: Moments, units: ArrayLike | None = None) -> Moments:
    """Return the moments of the covariate `y_pre` over `x_pre`, for `balance`; without `x_pre` it is a mean per unit.

    Parameters
    ----------
    moments
        With the sum and products of `y_pre`.
    units
        How many units these are summed over, where that is everybody exposed and not only those with an outcome
        (`exposed.moments`); the clusters by default.

    Raises
    ------
    UsageError
        Where there is no `y_pre`, or no such number of units can have these sums.
    """
    if "y_pre" not in moments.sums:
        raise UsageError("these moments have no values of before", hint="Bring the outcome before the start as y_pre.")
    sums, products = {"y": moments.sums["y_pre"]}, {("y", "y"): moments.products["y_pre", "y_pre"]}
    if "x_pre" in moments.sums:
        sums["x"] = moments.sums["x_pre"]
        products |= {("x", "x"): moments.products["x_pre", "x_pre"], ("x", "y"): moments.products["x_pre", "y_pre"]}
    return Moments.from_sums(moments.clusters if units is None else units, sums, products)


def health(*checks: pd.DataFrame) -> pd.DataFrame:
    """Gather the rows of all checks into one frame, the gravest first.

    Parameters
    ----------
    checks
        Result frames of this module, and test rows of others, such as `sample_ratio`, which are `graded` by their
        p-value.

    Returns
    -------
    pandas.DataFrame
        `at` is the gravity, `metric` the check in plain words, `note` what was found.
    """
    whole = graded(results.concat(checks))
    rank = whole["at"].map({name: -place for place, name in enumerate(GRAVITIES)})
    order = whole.assign(_rank=rank).sort_values(["_rank", "metric", "segment", "level", "against"], kind="stable")
    return results.conform(whole.loc[order.index])


def gravity(checks: pd.DataFrame) -> str:
    """Return the gravest of what `health` returned: `passes`, `warns`, or `fails`, which withholds the verdict.

    Raises `UsageError` for rows that have no gravity.
    """
    strange = sorted(set(checks["at"]) - set(GRAVITIES))
    if strange:
        raise UsageError(f"'{strange[0]}' is no gravity; there are {', '.join(GRAVITIES)}", hint="Take health(...).")
    return max(checks["at"], key=GRAVITIES.index, default=PASSES)


def graded(rows: pd.DataFrame, *, worst: str = FAILS) -> pd.DataFrame:
    """Return rows with the gravity of those that have none in `at`, by adjusted p-value, or p-value where none is.

    Below .01 a row warns, below .001 it fails; `worst` may be less. What could not be tested passes: its note says so.
    """
    p_value = rows["p_adjusted"].fillna(rows["p_value"]).to_numpy(dtype=float)
    place = np.where(p_value < FAIL_BELOW, 2, np.where(p_value < WARN_BELOW, 1, 0))
    words = np.array(GRAVITIES)[np.minimum(place, GRAVITIES.index(worst))]
    return results.conform(rows.assign(at=rows["at"].where(rows["at"].isin(GRAVITIES), words)))


def settled(checks: pd.DataFrame) -> pd.DataFrame:
    """Return checks that all have a gravity: those without any are `graded`.

    Raises `UsageError` for other words in `at`, and for a result that has neither a gravity nor a p-value: to pass it
    unread would be to believe an experiment that nobody has looked at.
    """
    rows = results.conform(checks)
    strange = sorted(set(rows["at"]) - {*GRAVITIES, ""})
    faults = [f"'{word}' is no gravity; there are {', '.join(GRAVITIES)}" for word in strange]
    measured = (rows["at"] == "") & (rows["status"] == results.OK)
    bare = sorted(set(rows.loc[measured & rows["p_value"].isna() & rows["p_adjusted"].isna(), "metric"]))
    faults += [f"'{name}' has neither a gravity nor a p-value" for name in bare]
    if faults:
        raise UsageError("health checks: " + "; ".join(faults), hint="Take health(...).")
    return graded(rows)


def _share(name: str, bad: float, whole: float, confidence: float) -> pd.DataFrame:
    """Return one row on the share of customers of whom something is true."""
    row = results.label(estimates.share(bad, whole, confidence=confidence), metric=name, comparison="share", at=PASSES)
    if not whole:
        return row
    told = f"{bad:,.0f} of {whole:,.0f} customers ({100 * bad / whole:.2g} %) {_verb(name, bad)}{name}"
    share = 0.0 if name == _DUPLICATES else bad / whole
    grade = FAILS if share > FAIL_ABOVE else WARNS if share > WARN_ABOVE else PASSES
    return results.label(row, note=told, at=grade)


def _verb(name: str, count: float) -> str:
    were = "was " if count == 1 else "were "
    return ("is " if count == 1 else "are ") if name == _STRANGERS else were


def _same_arms(units: Mapping[str, float], known: Mapping[str, float]) -> list[str]:
    """Return the arms in order; refuse counts that do not go together."""
    faults = [] if set(units) == set(known) else [f"arms {sorted(units)} and {sorted(known)} differ"]
    faults += ["fewer than two arms"] if len(units) < 2 else []
    faults += [
        f"{arm} has {known[arm]:,.0f} outcomes of {units[arm]:,.0f} customers"
        for arm in sorted(set(units) & set(known))
        if not 0 <= known[arm] <= units[arm] or not units[arm]
    ]
    if faults:
        raise UsageError("; ".join(faults), hint="Count the customers of each arm, and those with an outcome.")
    return list(units)


def _deviation(control: Moments, treatment: Moments) -> Numbers:
    """Return the root of the mean of both variances of a single answer."""
    with np.errstate(invalid="ignore", divide="ignore"):
        own = [side.variance * side.sums["x"] ** 2 / side.products["x", "x"] for side in (control, treatment)]
        return np.sqrt((own[0] + own[1]) / 2)
