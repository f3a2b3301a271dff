"""The rows that moments of truth are told in: shares and differences with customers as clusters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy import special

from cxlib import results
from cxlib.analysis import hiding
from cxlib.analysis.journeys.by_customer import Estimate
from cxlib.measure import intervals

MEAN, BEST, WORST, LAST = "the mean", "the best moment", "the worst moment", "the last moment"
MOMENTS = (MEAN, BEST, WORST, LAST)
GOES, SLOPE = "goes_with", "goes_with_points"
TOUCHPOINT, JOURNEY, READING = "touchpoint_good", "journey_good", "journey_reading"
ALONE, TOGETHER = "alone", "best, worst and last together"
TARGET, BEFORE = "target", "the time before"
_SHARE = "share, Wilson interval, customers as clusters"
_GAP = "difference of shares, customers as clusters"


def share(one: Estimate, rows: int, same: dict[str, str], confidence: float, note: str = "") -> pd.DataFrame:
    """Return the row of a share with the Wilson limits of as many independent answers as its error speaks of."""
    if one.customers < 2:
        few = results.TOO_FEW if one.customers else results.UNDEFINED
        return results.frame(**same, comparison="share", status=few, note="fewer than two customers")
    spread = one.value * (1 - one.value)
    n = min(spread / one.error**2, float(rows)) if one.error > 0 and spread > 0 else float(one.customers)
    low, high = intervals.wilson(np.array(one.value), np.array(n), confidence)
    return results.frame(
        **same, comparison="share", method=_SHARE, estimate=one.value, std_error=one.error, conf_low=float(low),
        conf_high=float(high), n=one.customers, n_eff=n, note=note,
    )  # fmt: skip


def difference(
    one: Estimate, other: Estimate, against: str, same: dict[str, str], confidence: float, method: str = _GAP
) -> pd.DataFrame:
    """Return the difference of two estimates; undefined where it has no error."""
    gap, about = one.less(other), {**same, "against": against, "comparison": "difference"}
    if not gap.error > 0:
        return results.frame(**about, status=results.UNDEFINED, note="too few customers, or all of one answer")
    half = intervals.z_of(confidence) * gap.error
    return results.frame(
        **about, method=method, estimate=gap.value, std_error=gap.error,
        conf_low=gap.value - half, conf_high=gap.value + half,
        p_value=2 * float(special.ndtr(-abs(gap.value) / gap.error)), n=one.customers,
    )  # fmt: skip


def hidden(
    found: pd.DataFrame, levels: Sequence[str], many: Sequence[int], min_n: int, same: Collection[str] = ()
) -> pd.DataFrame:
    """Suppress levels of few customers, those whose answers are all the `same`, and enough others.

    Customers may be in several levels.
    """
    gone = hiding.levels(dict(zip(levels, map(float, many), strict=True)), min_n, also=same, apart=False)
    rows = found["level"].isin(gone)  # those without a number, too: why there is none would tell
    return results.conform(
        found.assign(status=found["status"].mask(rows, results.SUPPRESSED), note=found["note"].mask(rows, hiding.NOTE))
    )


def undefined(metric: str, segment: str, note: str) -> pd.DataFrame:
    """Return a row that says why there is no number."""
    kind = "test" if metric == READING else "share"
    return results.frame(metric=metric, segment=segment, comparison=kind, status=results.UNDEFINED, note=note)
