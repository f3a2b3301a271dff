"""What the tests of changes and of verdicts share: a metric of any kind, and sums as a plan brings them back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib.measure.moments import Moments
from cxlib.measure.overlap import Overlap
from cxlib.params import Metric

BEFORE, AFTER = "2026-09", "2026-10"
PAIR = [(AFTER, BEFORE)]
UNITS = {"share": "percent", "nps": "points", "mean": "score", "ratio": "money", "rate": "per_1000_months"}


def metric(kind: str = "mean", **changed: Any) -> Metric:
    fields = {
        "id": "m", "title": "M", "question": "?", "kind": kind, "unit": UNITS.get(kind, "seconds"), "owner": "cx",
        "table": "responses", "time": "responded_at", "higher_is_better": True,
    }  # fmt: skip
    fields |= {"value": "wait_seconds"} if kind == "quantile" else {"numerator": "score"}
    fields |= {"denominator": "1"} if kind in ("ratio", "rate") else {}
    return Metric(**{**fields, **changed})


def sums(
    period: str, y: Any, x: Any = None, *, clusters: Any = None, weights: Any = None, level: str = "all"
) -> pd.DataFrame:
    """Return one row as `plans.plan` brings it back."""
    m = Moments.of(y, x, clusters=clusters, weights=weights)
    numbers = {"rows": m.rows, "missing": 0, "clusters": m.clusters, "y": m.sums["y"], "x": m.sums["x"]}
    numbers |= {"y2": m.squares, "yy": m.products["y", "y"], "xy": m.products["x", "y"], "xx": m.products["x", "x"]}
    row = {"period": period, "level": level} | {name: float(value) for name, value in numbers.items()}
    return pd.DataFrame([row])


def both(y_before: Any, y_after: Any, **more: Any) -> pd.DataFrame:
    return pd.concat([sums(BEFORE, y_before, **more), sums(AFTER, y_after, **more)], ignore_index=True)


def overlap(y_before: Any, who_before: Any, y_after: Any, who_after: Any, *, level: str = "all") -> pd.DataFrame:
    """Return one row as `plans.overlaps` brings it back: the period's own sums first."""
    found = Overlap.of((y_after, None, who_after), (y_before, None, who_before))
    numbers = {name: float(getattr(found, name)) for name in ("clusters", "yy", "yx", "xy", "xx")}
    return pd.DataFrame([{"period": AFTER, "against": BEFORE, "level": level, **numbers}])


def many(
    y_before: np.ndarray,
    y_after: np.ndarray,
    shared: int = 0,
    weights: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return sums and overlaps of many levels at once, one row of answers each, one answer a customer.

    The last `shared` customers of before are the first of after. A missing answer is a customer who did not answer.
    """
    names = [f"{number:06d}" for number in range(len(y_before))]
    parts, products = [], []
    for period, y, weight in zip((AFTER, BEFORE), (y_after, y_before), (weights or (1.0, 1.0))[::-1], strict=True):
        x = np.where(np.isnan(y), 0.0, weight)
        wy = x * np.nan_to_num(y)
        n = (x > 0).sum(axis=1).astype(float)
        columns = {"rows": n, "clusters": n, "y": wy.sum(axis=1), "x": x.sum(axis=1), "missing": 0.0}
        columns |= {"y2": (wy * np.nan_to_num(y)).sum(axis=1), "yy": (wy**2).sum(axis=1)}
        columns |= {"xy": (x * wy).sum(axis=1), "xx": (x**2).sum(axis=1)}
        parts.append(pd.DataFrame({"period": period, "level": names, **columns}))
        common = slice(0, shared) if period == AFTER else slice(y.shape[1] - shared, None)
        products.append({"y": wy[:, common], "x": x[:, common]})
    one, two = products
    found = {a + b: (one[a] * two[b]).sum(axis=1) for a in "yx" for b in "yx"}
    found["clusters"] = ((one["x"] > 0) & (two["x"] > 0)).sum(axis=1).astype(float)
    return pd.concat(parts, ignore_index=True), pd.DataFrame(
        {"period": AFTER, "against": BEFORE, "level": names, **found}
    )
