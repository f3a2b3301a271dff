"""Journeys judged beside their touchpoints: the share that is good all the way, against the target and before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis.journeys import by_customer
from cxlib.analysis.journeys.by_customer import Estimate
from cxlib.analysis.journeys.moments_rows import (
    BEFORE,
    JOURNEY,
    READING,
    TARGET,
    TOUCHPOINT,
    difference,
    hidden,
    share,
    undefined,
)
from cxlib.measure import verdicts
from cxlib.params import Metric

_MOST_TOUCHED = 5  # touchpoints from which on journeys are told together
_FEW = 30  # customers, whom a number of touchpoints must have to be told by itself


def journeys_of(told: pd.DataFrame, span: pd.Timedelta, since: Any = None) -> pd.DataFrame:
    """Return one row a journey: `who`, `at` (its last answer), `good` (every answer), `touched`, `alone`.

    `alone` is the chance that all would be good if each touchpoint went as on average from `since` on, by itself.
    """
    fresh = (told["who"] != told["who"].shift()) | (told["at"] - told["at"].shift() > span)
    share = told["touchpoint"].map(told[_now(told, since)].groupby("touchpoint")["good"].mean()).fillna(1.0)
    each = told.assign(journey=fresh.cumsum(), log=np.log(np.maximum(share, 1e-300))).groupby("journey")
    touched = each["touchpoint"].nunique()
    return pd.DataFrame(
        {
            "who": each["who"].first(), "at": each["at"].last(), "good": each["good"].all(), "touched": touched,
            "alone": np.exp(each["log"].sum()),
        }
    ).reset_index(drop=True)  # fmt: skip


def judged(
    told: pd.DataFrame, span: pd.Timedelta, boundary: Any, target: float | None, matters: float | None,
    confidence: float, min_n: int,
) -> list[pd.DataFrame]:  # fmt: skip
    """Return shares of touchpoints and journeys with their differences and verdicts, and the reading."""
    journeys = journeys_of(told, span, boundary)
    parts = []
    for metric, frame, cut in ((TOUCHPOINT, told, "touchpoint"), (JOURNEY, journeys, "")):
        now = _now(frame, boundary)
        levels = sorted(set(frame.loc[now, cut])) if cut else ["all journeys"]
        masks = [frame[cut].to_numpy() == level if cut else np.ones(len(frame), dtype=bool) for level in levels]
        parts.append(_rows(metric, levels, masks, now, frame, (boundary, target, confidence, min_n)))
    rest = _by_touched(journeys[_now(journeys, boundary)], confidence, min_n)
    known = [_metric(name, matters) for name in (TOUCHPOINT, JOURNEY)]
    judged = verdicts.judge(results.concat(parts), known, alpha=1 - confidence, confidence=confidence)
    return [judged, rest, *([] if target is None else [_reading(judged, target)])]


def _now(frame: pd.DataFrame, boundary: Any) -> NDArray[np.bool_]:
    return np.ones(len(frame), dtype=bool) if boundary is None else (frame["at"] >= boundary).to_numpy()


def _metric(name: str, matters: float | None) -> Metric:
    """Return what `verdicts.judge` needs to know of a share."""
    words = {"title": name, "question": name, "owner": name, "table": "responses", "time": "responded_at"}
    return Metric.model_validate(
        {"id": name, "kind": "share", "unit": "percent", "numerator": "score > 0", "denominator": "score >= 0",
         "change_that_matters": matters, "higher_is_better": True, **words}
    )  # fmt: skip


def _rows(
    metric: str, levels: Sequence[str], masks: Sequence[NDArray[np.bool_]], now: NDArray[np.bool_], frame: pd.DataFrame,
    how: tuple[Any, float | None, float, int],
) -> pd.DataFrame:  # fmt: skip
    """Return the share of each level, and its difference to the target and to the time before."""
    boundary, target, confidence, min_n = how
    values, who = frame["good"].to_numpy(dtype=float), frame["who"].to_numpy(dtype=np.int64)
    size, parts, many, equal = int(who.max()) + 1, [], [], []
    for level, mask in zip(levels, masks, strict=True):
        one = by_customer.mean(values, who, size, mask & now)
        same = {"metric": metric, "segment": "touchpoint" if metric == TOUCHPOINT else "journey", "level": level}
        parts.append(share(one, int((mask & now).sum()), same, confidence))
        many.append(one.customers)
        equal += [level] if one.value in (0.0, 1.0) and min_n > 1 else []
        if target is not None:
            parts.append(difference(one, Estimate(target, np.zeros(size), 0), TARGET, same, confidence))
        before = by_customer.mean(values, who, size, mask & ~now) if boundary is not None else None
        if before is not None and before.customers >= max(min_n, 2):
            parts.append(difference(one, before, BEFORE, same, confidence))
    return hidden(results.concat(parts), levels, many, min_n, equal)


def _by_touched(journeys: pd.DataFrame, confidence: float, min_n: int) -> pd.DataFrame:
    """Return the share of journeys that are good all the way by the number of touchpoints answered."""
    size = int(journeys["who"].max()) + 1
    most = _most(journeys, min_n)
    touched = np.minimum(journeys["touched"].to_numpy(), most)
    values, who = journeys["good"].to_numpy(dtype=float), journeys["who"].to_numpy(dtype=np.int64)
    parts, levels, many, equal = [], [], [], []
    for number in np.unique(touched).tolist():
        mask = touched == number
        one = by_customer.mean(values, who, size, mask)
        alone = 100 * float(journeys["alone"].to_numpy()[mask].mean())
        more = " or more" if number == most > 1 else ""
        levels.append(f"{number} touchpoint{'s' * (number > 1)}{more}")
        many.append(one.customers)
        equal += [levels[-1]] if one.value in (0.0, 1.0) and min_n > 1 else []
        note = f"{alone:.0f} % if each answer were good or not by itself"
        parts.append(share(one, int(mask.sum()), {"metric": JOURNEY, "segment": "touchpoints", "level": levels[-1]},
                            confidence, note))  # fmt: skip
    return hidden(results.concat(parts), levels, many, min_n, equal)


def _most(journeys: pd.DataFrame, min_n: int) -> int:
    """Return the number of touchpoints from which on journeys are told together: enough customers have so many."""
    reached = journeys.groupby("who")["touched"].max().to_numpy()
    enough = [k for k in range(2, _MOST_TOUCHED + 1) if np.count_nonzero(reached >= k) >= max(min_n, _FEW)]
    return max(enough, default=1)


def _reading(judged: pd.DataFrame, target: float) -> pd.DataFrame:
    """Say whether touchpoints reach what journeys do not."""
    aimed = judged[(judged["against"] == TARGET) & (judged["status"] == results.OK)]
    points, whole = (aimed[aimed["metric"] == name] for name in (TOUCHPOINT, JOURNEY))
    if points.empty or whole.empty:
        return undefined(READING, "journey", "no touchpoint, or no journey, can be held against the target")
    below = points[(points["verdict"] == "moved") & (points["estimate"] < 0)]
    row = whole.iloc[0]
    missed = row["verdict"] == "moved" and row["estimate"] < 0
    wanted = f"{100 * target:.0f} %"
    share = f"{100 * (target + row['estimate']):.0f} % of journeys are good all the way"
    some = f"{len(below)} of {len(points)} touchpoints are shown to miss {wanted} good answers"
    some = f"no touchpoint is shown to miss {wanted} good answers" if below.empty else some
    kinds = {(True, True): "the journey, not the touchpoints", (True, False): "both", (False, False): "touchpoints"}
    at = kinds.get((bool(missed), below.empty), "neither")
    note = f"{some}; {share}, {'which is shown to be less' if missed else 'which is not shown to be less'}"
    return results.frame(metric=READING, segment="journey", at=at, comparison="test", estimate=float(len(below)),
                         n=row["n"], note=note)  # fmt: skip
