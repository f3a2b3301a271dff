"""Rows of result frames that stand on too few people, of what is recorded or shown in a table.

Every row with a count is of people, but for those whose count is of something else: tests (rows that were used), what
was done to read a change (months or groups of customers before and after it), and weights (a number of regions).
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib import results

_NOT_PEOPLE = frozenset({"test"})  # comparisons
_NOT_METRICS = frozenset({"weight", "smallest_effect"})  # counts of regions, and of customers yet to be asked
_READ = frozenset(
    {"design", "effect", "since start", "by group", "path", "check", "placebo", "evidence", "agreement", "read again"}
    | {"next", "balance", "sensitivity"}
)  # roles that stand in place of a segment: counts of months


def small(frame: pd.DataFrame, min_n: Mapping[str, int], otherwise: int | None = None) -> pd.DataFrame:
    """Return the rows that say a number of fewer customers than may be shown.

    Parameters
    ----------
    frame
        A result frame.
    min_n
        Metric -> the least number of customers.
    otherwise
        The least number of what is no metric; None leaves that out.

    Returns
    -------
    pandas.DataFrame
        The rows, with `least` beside.
    """
    least = frame["metric"].map(dict(min_n)).astype(float)
    least = least if otherwise is None else least.fillna(float(otherwise))
    people = ~frame["comparison"].isin(_NOT_PEOPLE) & ~frame["metric"].isin(_NOT_METRICS)
    people &= (frame["comparison"] == "level") | ~frame["segment"].isin(_READ)
    gone = people & (frame["status"] == results.OK) & (frame["n"] < least)
    return frame[gone].assign(least=least[gone])


def told(frame: pd.DataFrame) -> list[str]:
    """Say of each row that `small` returned what it is and how few may be shown, but not how many there are."""
    found: dict[str, None] = {}
    names = ("metric", "period", "segment", "level", "comparison", "least")
    for metric, period, segment, level, kind, least in zip(*(frame[name] for name in names), strict=True):
        about = "the whole" if segment == "all" else f"{segment} = {level}"
        what = "" if kind == "level" else f" ({kind})"
        found[f"{metric} {period}, {about}{what}: fewer than {least:.0f} answers"] = None
    return list(found)
