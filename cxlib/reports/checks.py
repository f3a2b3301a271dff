"""A run's inputs against the limits of `workspace.yml`: rows, missing share, freshness."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib.reports.context import Context
from cxlib.show.formats import formatting

COLUMNS = ("check", "what", "found", "limit", "state")


def checked(context: Context, seen: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """Return one row per check, its `state` `ok` or `look`.

    Parameters
    ----------
    context
        What the run is about, with its limits.
    seen
        Metric id -> rows and missing rows of the period.
    """
    limits, form = context.workspace.checks, formatting()
    lines = []
    for name, (count, missing) in seen.items():
        share = missing / (count + missing) if count + missing else 0.0
        few, lost = count < limits.min_rows, share > limits.max_missing_share
        least, most = form.count(limits.min_rows), form.percent(form.number(100 * limits.max_missing_share, 0))
        lines.append(("rows", name, form.count(count), f"at least {least}", "look" if few else "ok"))
        lines.append(("missing", name, form.value(share, "percent"), f"at most {most}", "look" if lost else "ok"))
    for item in context.freshness:
        state = "look" if item.warning else "ok"
        lines.append(("freshness", item.table, item.warning or item.newest, f"{limits.max_age_days} days", state))
    return pd.DataFrame(lines, columns=list(COLUMNS))
