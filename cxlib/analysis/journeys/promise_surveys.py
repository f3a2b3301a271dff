"""Surveys asked before the parcel came: how many, what such answers are like, and what they do to the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import alike
from cxlib.analysis.partners.delays import late_levels
from cxlib.measure import intervals
from cxlib.measure.moments import Moments
from cxlib.measure.rows import numbered

SENT, ANSWERED, FINDING = "surveys_sent_early", "answers_asked_early", "early_surveys"
BEFORE, AFTER, WITHOUT = "before arrival", "after arrival", "without those asked before arrival"
FOUND, NOT_FOUND, UNTOLD = "defect found", "no defect shown", "cannot be told"
RAW, EQUAL = "as it is", "all else equal"
TOLERATED = 0.01
_KNOWN_DELAY = "delay known when asked"
_EDGES = (0.0, 1.0, 3.0, 7.0, 14.0)
_LEAST = 10  # answers asked early, below which no difference is made of them
_DAY = 86_400.0


def early(frame: pd.DataFrame) -> pd.Series:
    """Return 1 where a survey was sent before its parcel came or nothing has come, 0 where after, by row."""
    asked, came = (doors.moments(name, frame[name]) for name in ("asked_at", "delivered_at"))
    return ((came.isna() | (asked < came)) & asked.notna()).astype(float).where(asked.notna())


def sent_early(
    frame: pd.DataFrame, metric: str = SENT, *, confidence: float = 0.95, min_n: int = 1
) -> pd.DataFrame:  # fmt: skip
    """Return which share of the surveys about orders was sent before the parcel came.

    Parameters
    ----------
    frame
        One row a survey sent, or answered: `customer_id`, `touchpoint`, `asked_at`, `delivered_at`. A survey about an
        order that has not come was asked early, too.
    metric
        Name of the share.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        For all, and by touchpoint where there are several.
    """
    doors.require(doors.frame(frame), ["customer_id", "touchpoint", "asked_at", "delivered_at"])
    table = frame.assign(early=early(frame))
    how: dict[str, Any] = {"confidence": confidence, "min_n": min_n}
    whole = alike.levels(table, "early", metric=metric, **how)
    if table["touchpoint"].nunique() < 2:
        return whole
    return results.concat([whole, alike.levels(table, "early", "touchpoint", metric=metric, **how)])


def answers(
    frame: pd.DataFrame, score: str, *, case_mix: Sequence[str] = (), confidence: float = 0.95, min_n: int = 1
) -> pd.DataFrame:
    """Return what answers asked before the parcel came are like, and what they do to the score.

    Parameters
    ----------
    frame
        One row an answer about an order: `customer_id`, `score`, `asked_at`, `promised_at`, `delivered_at`, and the
        columns of `case_mix`.
    score
        Name of the score in the results.
    case_mix
        Columns that are held equal beside the delay that the customer knew of when asked: an early answer knows of the
        delay up to the question only, a later one of all of it.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        Means by `before arrival` and `after arrival`; their difference `at` "as it is" and "all else equal"; and the
        score of all answers less that without those asked early (level `all`).
    """
    doors.require(doors.frame(frame), ["customer_id", "score", "asked_at", "promised_at", "delivered_at", *case_mix])
    table = frame[frame["score"].notna()]
    flag = early(table)
    table = table.assign(asked=flag.map({1.0: BEFORE, 0.0: AFTER}), **{_KNOWN_DELAY: _known_delay(table, flag)})
    table = table[flag.notna()]
    how: dict[str, Any] = {"metric": score, "confidence": confidence, "min_n": min_n}
    means = alike.levels(table, "score", "asked", kind="mean", **how)
    if (table["asked"] == BEFORE).sum() < _LEAST or (table["asked"] == AFTER).sum() < _LEAST:
        few = "fewer than 10 answers were asked for before the parcel came, or after"
        row = results.frame(metric=score, segment="asked", level=BEFORE, against=AFTER, comparison="difference",
                            status=results.TOO_FEW, note=few)  # fmt: skip
        return results.concat([means, row])
    raw = alike.differences(table, "score", "asked", AFTER, **how)
    equal = alike.differences(table, "score", "asked", AFTER, case_mix=[_KNOWN_DELAY, *case_mix], **how)
    parts = [means, results.label(raw, at=RAW), results.label(equal, at=EQUAL)]
    hidden = (raw["status"] == results.SUPPRESSED).any()
    return results.concat([*parts, _inclusion(table, score, confidence, bool(hidden))])


def _known_delay(table: pd.DataFrame, flag: pd.Series) -> pd.Series:
    """Return how late the parcel was, as far as the customer could know when asked, in levels."""
    asked, promised, came = (doors.moments(name, table[name]) for name in ("asked_at", "promised_at", "delivered_at"))
    seen = asked.where(flag == 1.0, came)
    days = (seen - promised).dt.total_seconds() / _DAY
    return late_levels(days, _EDGES).astype(object)


def _inclusion(table: pd.DataFrame, score: str, confidence: float, hidden: bool) -> pd.DataFrame:
    """Return the mean of all answers less that of those asked after arrival, linearised over customers."""
    about = {"metric": score, "segment": "asked", "level": "all", "against": WITHOUT, "comparison": "difference"}
    if hidden:
        return results.frame(**about, status=results.SUPPRESSED, note=alike.HIDDEN)
    y, after = table["score"].to_numpy(dtype=float), (table["asked"] == AFTER).to_numpy(dtype=float)
    whole, rest = y.mean(), float(y @ after / after.sum())
    people, groups = numbered(table["customer_id"], np.ones(y.size, dtype=bool))
    each = np.bincount(people, (y - whole) / y.size - after * (y - rest) / after.sum())
    error = np.array(np.sqrt(each @ each * groups / max(groups - 1, 1)))
    low, high = intervals.student(np.array(whole - rest), error, np.array(groups - 1.0), confidence)
    return results.frame(
        **about, estimate=whole - rest, std_error=error, conf_low=low, conf_high=high, n=float(y.size), n_eff=groups,
        p_value=2 * stats.t.sf(abs(whole - rest) / float(error), groups - 1) if error > 0 else np.nan,
        method="linearised, cluster-robust",
    )  # fmt: skip


def verdict(
    share: pd.DataFrame, effect: pd.DataFrame, frame: pd.DataFrame, *, tolerated: float = TOLERATED
) -> pd.DataFrame:
    """Say whether surveys are sent before parcels come more often than is tolerated, and whether it does harm.

    Parameters
    ----------
    share
        Of `sent_early`, the row of all first.
    effect
        Of `answers`; may be empty.
    frame
        What `share` was made of.
    tolerated
        Share that passes for mishaps.

    Returns
    -------
    pandas.DataFrame
        One test row, `at` "defect found", "no defect shown" or "cannot be told", `level` what it was judged by. The
        p-value is that of a share no larger than tolerated (score test at the effective size, one-sided).
    """
    about = {"metric": FINDING, "comparison": "test"}
    row = share.iloc[0]
    if row["status"] != results.OK:
        return results.frame(**about, at=UNTOLD, status=row["status"], note=row["note"])
    worth = Moments.of(early(frame), clusters=frame["customer_id"]).effective_n
    z = (row["estimate"] - tolerated) / np.sqrt(tolerated * (1 - tolerated) / float(worth[0]))
    at = FOUND if row["conf_low"] > tolerated else NOT_FOUND if row["conf_high"] <= 2 * tolerated else UNTOLD
    limits = f"{100 * row['conf_low']:.1f} to {100 * row['conf_high']:.1f} %"
    words = [f"{100 * row['estimate']:.1f} % ({limits}) of surveys about a delivery were sent before it came"]
    words += [f"{100 * tolerated:g} % pass for mishaps", *_harm(effect)]
    return results.frame(
        **about, at=at, estimate=row["estimate"], p_value=stats.norm.sf(z), n=row["n"], n_eff=float(worth[0]),
        method="score test at the effective size", note="; ".join(words),
    )  # fmt: skip


def _harm(effect: pd.DataFrame) -> list[str]:
    """Return in words what answers asked early are like, all else equal."""
    mine = effect[(effect["at"] == EQUAL) & (effect["status"] == results.OK)]
    if mine.empty:
        return ["what it does to the score cannot be told"]
    row = mine.iloc[0]
    low, high = sorted(abs(row[end]) for end in ("conf_low", "conf_high"))
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return ["all else equal such answers are not shown to differ"]
    way = "lower" if row["estimate"] < 0 else "higher"
    return [f"all else equal such answers are {abs(row['estimate']):.2f} {way} ({low:.2f} to {high:.2f})"]
