"""Moments of truth: the journey judged beside its touchpoints, and which of its moments the whole goes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys.moments_judged import judged
from cxlib.analysis.journeys.moments_rows import JOURNEY, undefined
from cxlib.analysis.journeys.moments_scored import goes_with
from cxlib.errors import UsageError
from cxlib.measure import intervals


def moments(
    answers: pd.DataFrame,
    *,
    customer: str,
    at: str,
    touchpoint: str,
    value: str,
    good: str,
    score: str = "",
    window: float = 90.0,
    since: object = None,
    target: float | None = None,
    matters: float | None = 0.05,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Judge journeys beside their touchpoints, and say which moment of a journey its own score goes with.

    Parameters
    ----------
    answers
        A pandas frame, one row an answer: of a touchpoint (`value` there), or about the whole (`score` there).
    customer, at, touchpoint
        Columns: who, when, where. Rows without customer or time do not count.
    value
        Column: what was said of a touchpoint, put on 0 to 100.
    good
        Column, 1 where that is good, 0 where not.
    score
        Column: what was said of the whole, in its own unit; '' where nobody is asked.
    window
        Days. A journey is a customer's answers of touchpoints, of which none comes more than so long after the one
        before; the moments of a score are the answers in so many days before it.
    since
        Answers from then on are judged, those before are the time that they are compared with; None compares nothing.
    target
        The share of good answers that is wanted, of touchpoints and of journeys; None compares nothing.
    matters
        The difference of shares that would matter.
    confidence
        Of each interval.
    min_n
        Touchpoints and kinds of journey of fewer customers are suppressed, with enough others.

    Returns
    -------
    pandas.DataFrame
        Result rows; n counts customers.

        - metric `touchpoint_good`, segment `touchpoint`: share of good answers at `level`, and differences to `target`
          and to `the time before`, with verdicts (`measure.verdicts`);
        - metric `journey_good`, segment `journey`: share of journeys with no answer that is not good, of all (`level`
          `all journeys`, with the same differences) and by the number of touchpoints answered; the note says what
          would be if touchpoints went well or badly by themselves (their product);
        - metric `journey_reading`: one `test` row whose `at` says whether touchpoints or the journey miss the target;
        - metric `goes_with`, segment `moment`: of the score's differences, the share that goes with the mean, the best,
          worst and last moment (R2, each alone; journeys of two answers or more, or all would be one), and the
          `difference` of it to the mean's;
        - metric `goes_with_points`: what 10 points of 100 more at that moment go with in the score, `at` = `alone` or
          `best, worst and last together`.

    Raises
    ------
    UsageError
        For columns that are not there, and values outside 0 to 100.

    Notes
    -----
    Peak and end: Kahneman, Fredrickson, Schreiber and Redelmeier (1993), Psychol. Sci. 4:401. What goes with a score
    need not move it. A journey of four touchpoints that are each good in 90 of 100 cases is good in 66 if they go well
    or badly by themselves: Rawson, Duncan and Jones (2013), Harvard Business Review 91(9):90.
    """
    intervals.check_confidence(confidence)
    given = _read(answers, customer, at, touchpoint, value, good, score)
    boundary = None if since is None else doors.moment("since", since)
    span = pd.Timedelta(days=_days(window))
    told = given[given["value"].notna()].reset_index(drop=True)
    parts = []
    if told.empty:
        parts.append(undefined(JOURNEY, "journey", "no answer is about a touchpoint"))
    else:
        parts += judged(told, span, boundary, target, matters, confidence, min_n)
    if score:
        scored = given[given["score"].notna() & (given["at"] >= (boundary or given["at"].min()))]
        parts.append(goes_with(told, scored, span, confidence, min_n))
    return results.concat(parts)


def _days(window: float) -> float:
    if isinstance(window, bool) or not isinstance(window, int | float) or not 0 < window < 1e6:
        raise UsageError(f"window {window!r} is no number of days above 0")
    return float(window)


def _read(
    answers: Any, customer: str, at: str, touchpoint: str, value: str, good: str, score: str
) -> pd.DataFrame:  # fmt: skip
    """Return answers in plain columns, by customer and time; `UsageError` for what is none."""
    frame = doors.frame(answers, "the answers")
    doors.require(frame.columns, {"customer": customer, "at": at, "touchpoint": touchpoint, "value": value,
                                  "good": good} | ({"score": score} if score else {}), "the answers")  # fmt: skip
    numbers = doors.numbers_of(frame, [value, good, *([score] if score else [])])
    outside = (numbers[value] < 0) | (numbers[value] > 100)
    if outside.any():
        raise UsageError(doors.in_rows(value, "not from 0 to 100", outside, frame[value]))
    found = pd.DataFrame(
        {
            "customer": frame[customer].astype(object).where(frame[customer].notna(), None).to_numpy(),
            "at": doors.moments(at, frame[at]).to_numpy(),
            "touchpoint": frame[touchpoint].astype("str").where(frame[touchpoint].notna(), "not told").to_numpy(),
            "value": np.where(np.isnan(numbers[good]), np.nan, numbers[value]),
            "good": numbers[good] > 0,
            "score": numbers[score] if score else np.nan,
        }
    ).dropna(subset=["customer", "at"])
    found["who"] = pd.factorize(found["customer"], sort=True)[0]
    return found.sort_values(["who", "at", "touchpoint", "value", "score"], ignore_index=True)
