"""Why do they leave? Competing reasons: how many have left for each by a time, and what goes with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.doors import require
from cxlib.analysis.loyalty import doors
from cxlib.analysis.loyalty.cox import hazard_ratios
from cxlib.analysis.loyalty.kaplan import Curve, curves, watch
from cxlib.analysis.loyalty.survival import hidden, horizon_of, times_of
from cxlib.measure.intervals import check_confidence, z_of
from cxlib.measure.rows import Numbers
from cxlib.measure.verdicts import adjust

INCIDENCE, LOST = "cumulative_incidence", "restricted_mean_lost"
NOT_TOLD = "not told"
_NONE_YET = "nobody has left for this reason yet: the interval has no width"


class _Incidence(NamedTuple):
    """Cumulative incidence of one reason at the times of a curve."""

    curve: Curve
    left: Numbers  # for this reason, at each time
    share: Numbers  # cumulative incidence
    before: Numbers  # the share there just before each time


def competing_reasons(
    durations: ArrayLike | pd.Series,
    events: ArrayLike | pd.Series,
    reasons: ArrayLike | pd.Series,
    *,
    by: ArrayLike | pd.Series | None = None,
    at: ArrayLike | None = None,
    horizon: float | None = None,
    entry: ArrayLike | pd.Series | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate which share has left for each reason by a time (Aalen-Johansen), and the time lost to each.

    One minus a Kaplan-Meier curve that takes the other reasons for censoring would say how many would leave if nobody
    could leave for another reason: too many. These shares and the share still there add up to 1.

    Parameters
    ----------
    durations, events, by, at, horizon, entry
        As in `survival`.
    reasons
        Why each customer left, shape (n,); looked at only for those who did. Without a reason: `not told`.
    confidence
        Of the intervals: those of shares on the scale log(-log), of times lost normal.
    min_n
        Rows with fewer customers in the group, or fewer still watched, are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame, segment the reasons' name (with `by` `reason x plan`): rows `cumulative_incidence` at each time
        (n: customers, n_eff: those watched just before) and `restricted_mean_lost`: the time up to the horizon lost to
        the reason, in the unit of the durations; over all reasons it adds up to horizon less restricted mean.

    Raises
    ------
    UsageError
        As `survival`.

    Source: Aalen and Johansen (1978) Scand. J. Stat. 5:141; variance as Marubini and Valsecchi (1995), 10.4 (Stata
    `stcompet`); limits, Choudhury (2002) Statist. Med. 21:1129; time lost, Andersen (2013) Statist. Med. 32:5278.
    """
    check_confidence(confidence)
    size = np.size(durations)
    why = doors.labels(reasons, size, otherwise="reason")
    names = (*why.names, NOT_TOLD)
    left = doors.flags("events", events, size) == 1
    codes = np.where(left, np.where(why.codes < 0, len(why.names), why.codes), -1)
    people = watch(durations, events, by, entry)
    codes, found_by = codes[people.kept], curves(people)
    told = [place for place in range(len(names)) if (codes == place).any()]
    when, until = times_of(at, list(found_by.values())), horizon_of(horizon, list(found_by.values()))
    parts = []
    for name, found in found_by.items():
        own = people.group.codes == people.group.names.index(name)
        for reason in told:
            one = _incidence(found, people.time[own], codes[own] == reason)
            level = names[reason] if by is None else f"{names[reason]} x {name}"
            parts += [part.assign(level=level) for part in _rows(one, when, until, confidence)]
    segment = why.segment if by is None else f"{why.segment} x {people.group.segment}"
    if not parts:
        return results.frame(metric=INCIDENCE, segment=segment, status=results.UNDEFINED, note="nobody has left")
    whole = doors.noted(results.concat(parts), people.note)
    return hidden(results.conform(whole.assign(segment=segment)), min_n)


def reason_hazard_ratios(
    frame: pd.DataFrame,
    duration: str,
    event: str,
    reason: str,
    covariates: Sequence[str],
    *,
    ties: str = "efron",
    entry: str | None = None,
    cluster: str | None = None,
    strata: str | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate what goes with leaving for each reason: one Cox model a reason, the others as censoring.

    Cause-specific hazards say what drives a reason while customers are there; they do not say how many leave for it in
    the end, which the other reasons decide with it (`competing_reasons`).

    Parameters
    ----------
    frame, duration, event, covariates, ties, entry, cluster, strata, confidence, min_n
        As in `hazard_ratios`.
    reason
        Column that says why; looked at only where `event` is true. Without a reason: `not told`.

    Returns
    -------
    pandas.DataFrame
        As `hazard_ratios`, segment `covariate x reason`, level `plan: Pro x price`; `p_adjusted` over all rows
        (Benjamini and Hochberg).

    Raises
    ------
    UsageError
        As `hazard_ratios`.

    Source: Prentice et al. (1978) Biometrics 34:541.
    """
    require(must_be_frame(frame), {"event": event, "reason": reason})
    covariates = all_of(covariates)
    left = doors.flags(event, frame[event], len(frame))
    why = doors.labels(frame[reason], len(frame))
    names = (*why.names, NOT_TOLD)
    codes = np.where(left == 1, np.where(why.codes < 0, len(why.names), why.codes), -1)
    parts = []
    for place in np.unique(codes[codes >= 0]):
        own = frame.assign(**{event: np.where(np.isnan(left), np.nan, codes == place)})
        found = hazard_ratios(
            own, duration, event, covariates, ties=ties, entry=entry, cluster=cluster, strata=strata,
            confidence=confidence, min_n=min_n,
        )  # fmt: skip
        parts.append(found.assign(level=[f"{level} x {names[place]}" for level in found["level"]]))
    if not parts:
        note = "nobody left"
        return results.frame(metric="hazard_ratio", segment="covariate x reason", status=results.UNDEFINED, note=note)
    whole = results.concat(parts)
    return results.conform(whole.assign(segment="covariate x reason", p_adjusted=adjust(whole["p_value"])))


def _incidence(found: Curve, time: Numbers, gone: np.ndarray) -> _Incidence:
    """Return the cumulative incidence of one reason along a curve."""
    known = time[gone & (time <= found.last)]
    left = np.bincount(np.searchsorted(found.times, known), minlength=found.times.size).astype(float)
    before = np.append(1.0, found.survival)[:-1]
    return _Incidence(found, left, np.cumsum(before * left / found.at_risk), before)


def _rows(one: _Incidence, when: Numbers, until: float, confidence: float) -> list[pd.DataFrame]:
    """Return the rows of one reason in one group."""
    found, z = one.curve, z_of(confidence)
    place = np.searchsorted(found.times, when, side="right")
    share = np.append(0.0, one.share)[place]
    error = np.append(0.0, np.sqrt(_variances(one)))[place]
    ended = found.survival.size > 0 and found.survival[-1] <= 0
    beyond = (when > found.last) & (not ended)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.exp(z * error / share / -np.log(share))
        low, high = share**power, share ** (1 / power)
    edge = (share <= 0) | (share >= 1)
    low, high = np.where(edge, share, low), np.where(edge, share, high)
    note = np.where(share <= 0, _NONE_YET, "")
    shares = results.frame(
        metric=INCIDENCE, at=[f"{time:g}" for time in when], estimate=share, std_error=error,
        method="Aalen-Johansen, log-log interval", conf_low=low, conf_high=high, n=float(found.n),
        n_eff=found.left_at(when), status=np.where(beyond, results.UNDEFINED, results.OK),
        note=np.where(beyond, found.beyond, note),
    )  # fmt: skip
    return [shares, _lost(one, until, z, bool(until > found.last and not ended))]


def _variances(one: _Incidence) -> Numbers:
    """Return the variance of the cumulative incidence after each time."""
    n, d, own = one.curve.at_risk, one.curve.events, one.left
    all_worth = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
    own_worth, both = one.before**2 * (n - own) * own / n**3, one.before * own / n**2
    share = one.share
    beside = (
        share**2 * np.cumsum(all_worth) - 2 * share * np.cumsum(share * all_worth) + np.cumsum(share**2 * all_worth)
    )
    cross = share * np.cumsum(both) - np.cumsum(share * both)
    found: Numbers = np.maximum(beside + np.cumsum(own_worth) - 2 * cross, 0.0)
    return found


def _lost(one: _Incidence, until: float, z: float, beyond: bool) -> pd.DataFrame:
    """Return the row `restricted_mean_lost` of one reason: the area under its cumulative incidence."""
    found = one.curve
    early = found.times < until
    times, share = found.times[early], one.share[early]
    n, d, own = found.at_risk[early], found.events[early], one.left[early]
    width = np.diff(np.append(times, until))
    value = float(width @ share)
    # The area beyond each time, above the height reached at it: what a loss then keeps from being lost later.
    above = np.cumsum((width * share)[::-1])[::-1] - share * (until - times)
    gain = one.before[early] * (until - times)
    all_worth = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
    parts = above**2 * all_worth + gain**2 * (n - own) * own / n**3 - 2 * gain * above * own / n**2
    error = float(np.sqrt(max(parts.sum(), 0.0)))
    return results.frame(
        metric=LOST, at=f"{until:g}", method=f"area under Aalen-Johansen to {until:g}, z", estimate=value,
        std_error=error, conf_low=max(value - z * error, 0.0), conf_high=min(value + z * error, until),
        n=float(found.n), status=results.UNDEFINED if beyond else results.OK,
        note=found.beyond if beyond else _NONE_YET if error == 0 else "",
    )  # fmt: skip
