"""What an experiment did to a quantile, which is no sum of anything: it is made of the values themselves."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cxlib import results
from cxlib.measure import estimates
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric
from cxlib.reports import bring
from cxlib.reports.tried import Tried


def levels(tried: Tried, metric: Metric, confidence: float) -> pd.DataFrame:
    """Return the quantile of each arm; raises `Undefined` where no arm has a value."""
    found = tried.values(metric)
    if found.empty:
        raise Undefined("no arm has a value")
    own = found.assign(period=bring.own(tried.inputs).label, level=found["arm"]).drop(columns="arm")
    about = tried.inputs.context
    rows = estimates.from_moments(
        metric, own, confidence=confidence, min_n=about.least(metric), definition=about.definition_of(metric)
    )
    return results.conform(rows.assign(at=rows["level"], level="all"))


def difference(tried: Tried, metric: Metric, arm: str, confidence: float) -> pd.DataFrame:
    """Return the difference of an arm and the control, without names."""
    from cxlib.analysis import experiments

    return experiments.quantile_effect(**_sides(tried, metric, arm), q=metric.quantile, confidence=confidence)


def held(tried: Tried, metric: Metric, arm: str, margin: float) -> pd.DataFrame:
    """Return whether a guardrail holds, without names; raises `Undefined` where no arm has a value."""
    from cxlib.analysis import experiments

    if tried.values(metric).empty:
        raise Undefined("no arm has a value")
    return experiments.non_inferior_quantile(
        **_sides(tried, metric, arm), q=metric.quantile, margin=margin, higher_is_better=bool(metric.higher_is_better),
        alpha=tried.plan.alpha, unit=metric.unit,
    )  # fmt: skip


def fewest(tried: Tried, metric: Metric, arm: str) -> float:
    """Return how many customers the smaller of an arm and the control has."""
    people = tried.values(metric).drop_duplicates("arm").set_index("arm")["clusters"]
    return min(float(people.get(name, 0.0)) for name in (tried.control, arm))


def _sides(tried: Tried, metric: Metric, arm: str) -> dict[str, Any]:
    """Return the values of control and treatment: how often each occurs, or whose each is where customers recur."""
    found, names = tried.values(metric), ("control", "treatment")
    arms = dict(zip(names, (tried.control, arm), strict=True))
    mine = found[found["arm"].isin(list(arms.values()))]
    people = mine.drop_duplicates("arm")["clusters"].sum()
    if people < mine["rows"].sum():
        each = tried.each_value(metric)
        sides = {name: each[each["arm"] == own] for name, own in arms.items()}
        extra = {"units": tuple(sides[name]["customer_id"] for name in names)}
    else:
        sides = {name: mine[mine["arm"] == own] for name, own in arms.items()}
        extra = {"counts": tuple(sides[name]["rows"] for name in names)}
    return {name: side["value"] for name, side in sides.items()} | extra
