"""A run's inputs against the limits of `workspace.yml`: rows, missing share, freshness."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib.reports.context import Context

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
    limits = context.workspace.checks
    lines = []
    for name, (count, missing) in seen.items():
        share = missing / (count + missing) if count + missing else 0.0
        few, lost = count < limits.min_rows, share > limits.max_missing_share
        lines.append(("rows", name, f"{count:,.0f}", f"at least {limits.min_rows:,}", "look" if few else "ok"))
        lines.append(
            ("missing", name, f"{share:.1%}", f"at most {limits.max_missing_share:.0%}", "look" if lost else "ok")
        )
    for item in context.freshness:
        state = "look" if item.warning else "ok"
        lines.append(("freshness", item.table, item.warning or item.newest, f"{limits.max_age_days} days", state))
    return pd.DataFrame(lines, columns=list(COLUMNS))
