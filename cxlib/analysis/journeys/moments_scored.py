"""Which moment of a journey its own score goes with: the mean, the best, the worst or the last."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import hiding
from cxlib.analysis.journeys import by_customer
from cxlib.analysis.journeys.by_customer import Estimate
from cxlib.analysis.journeys.moments_rows import (
    ALONE,
    BEST,
    GOES,
    LAST,
    MEAN,
    MOMENTS,
    SLOPE,
    TOGETHER,
    WORST,
    difference,
    undefined,
)
from cxlib.measure import intervals
from cxlib.measure.rows import Codes, Numbers

_FEWEST = 30  # journeys, or a correlation says little
_PER = 10.0  # points of 100 that a slope is for
_SLOPES = "slope for 10 points of 100, customers as clusters"
_R2 = "share of the differences explained (R2), Fisher interval, customers as clusters"


def before_scores(told: pd.DataFrame, scored: pd.DataFrame, span: pd.Timedelta) -> pd.DataFrame:
    """Return `who`, `score` and the moments of each score that has two answers or more in the span before it."""
    asked = scored[["who", "at", "score"]].reset_index(drop=True).rename_axis("row").reset_index()
    met = asked.merge(told[["who", "at", "value"]], on="who", suffixes=("", "_of"))
    met = met[(met["at_of"] <= met["at"]) & (met["at_of"] > met["at"] - span)].sort_values(["row", "at_of", "value"])
    each = met.groupby("row")
    found = each.agg(
        who=("who", "first"), score=("score", "first"), many=("value", "size"),
        **{MEAN: ("value", "mean"), BEST: ("value", "max"), WORST: ("value", "min"), LAST: ("value", "last")},
    )  # fmt: skip
    return found[found["many"] > 1].reset_index(drop=True)


def goes_with(
    told: pd.DataFrame, scored: pd.DataFrame, span: pd.Timedelta, confidence: float, min_n: int
) -> pd.DataFrame:  # fmt: skip
    """Return how much of a score's differences goes with each moment of the journey before it."""
    found = before_scores(told, scored, span)
    customers = found["who"].nunique()
    if customers < min_n and customers:
        row = undefined(GOES, "moment", hiding.NOTE)
        return results.conform(row.assign(status=results.SUPPRESSED))
    if customers < _FEWEST or found["score"].nunique() < 2:
        row = undefined(GOES, "moment", f"fewer than {_FEWEST} customers scored a journey of two answers or more")
        return results.conform(row.assign(status=results.TOO_FEW))
    who = np.unique(found["who"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    y, x = found["score"].to_numpy(dtype=float), {name: found[name].to_numpy(dtype=float) for name in MOMENTS}
    each = {name: by_customer.correlation(x[name], y, who, customers) for name in MOMENTS}
    parts = [_explained(name, one, confidence) for name, one in each.items()]
    whole = by_customer.squared(each[MEAN])
    for name in (BEST, WORST, LAST):
        same = {"metric": GOES, "segment": "moment", "level": name}
        parts.append(difference(by_customer.squared(each[name]), whole, MEAN, same, confidence))
    return results.concat([*parts, *_points(y, x, who, customers, confidence)])


def _explained(name: str, r: Estimate, confidence: float) -> pd.DataFrame:
    """Return R2 with the squares of Fisher's limits of the correlation."""
    same = {"metric": GOES, "segment": "moment", "level": name, "comparison": "share"}
    if not (r.error > 0 and abs(r.value) < 1):
        return results.frame(**same, status=results.UNDEFINED, note="all of one answer, or one is the other")
    half = intervals.z_of(confidence) * r.error / (1 - r.value**2)
    low, high = (math.tanh(math.atanh(r.value) + side * half) for side in (-1, 1))
    ends = sorted((low**2, high**2))
    return results.frame(
        **same, method=_R2, estimate=r.value**2, std_error=2 * abs(r.value) * r.error,
        conf_low=0.0 if low < 0 < high else ends[0], conf_high=ends[1], n=r.customers, n_eff=r.customers,
    )  # fmt: skip


def _points(
    y: Numbers, x: dict[str, Numbers], who: Codes, customers: int, confidence: float
) -> list[pd.DataFrame]:  # fmt: skip
    """Return slopes for ten points of each moment, alone and together."""
    three = [BEST, WORST, LAST]
    found = [(name, ALONE, by_customer.slopes(y, x[name][:, None] / _PER, who, customers)[0]) for name in MOMENTS]
    held = by_customer.slopes(y, np.column_stack([x[name] for name in three]) / _PER, who, customers)
    found += [(name, TOGETHER, one) for name, one in zip(three, held, strict=True)]
    none = Estimate(0.0, np.zeros(customers), 0)
    rows = []
    for name, how, one in found:
        same = {"metric": SLOPE, "segment": "moment", "level": name, "at": how}
        rows.append(difference(one, none, "", same, confidence, _SLOPES))
    return rows
