"""The measurement framework in numbers: the KPI of every goal, whether the report shows it or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from cxlib import results
from cxlib.params.models import Goal

COMPARE = ("previous", "year_ago", "target")


def kpis(goals: Iterable[Goal]) -> list[str]:
    """Return the KPIs of goals, each once, in their order."""
    return list(dict.fromkeys(goal.kpi for goal in goals if goal.kpi))


def measured(
    goals: Sequence[Goal], period: str, shown: pd.DataFrame, measure: Callable[[list[str]], pd.DataFrame]
) -> pd.DataFrame:
    """Return the rows of all KPIs in a period; see `Run.framework`.

    Parameters
    ----------
    goals
        The framework.
    period
        Its label.
    shown
        Rows of the metrics that the report shows: theirs are taken as they are, verdicts too, so that two tables of a
        page say the same.
    measure
        Measures further metrics by their ids, a family of their own.
    """
    wanted = kpis(goals)
    whole = shown[(shown["segment"] == "all") & (shown["period"] == period) & (shown["comparison"] != "relative")]
    lacking = [name for name in wanted if name not in set(whole["metric"])]
    parts = [whole, *([measure(lacking)] if lacking else [])]
    found = results.concat(parts)
    order = {name: place for place, name in enumerate(wanted)}
    kept = found[found["metric"].isin(wanted)]
    return kept.sort_values("metric", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)
