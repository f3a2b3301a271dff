"""What was alarming between reports: the signals of `watch.yml` as a table."""

from __future__ import annotations

from html import escape

import pandas as pd

from cxlib.show import markup, rows
from cxlib.show.formats import formatting
from cxlib.show.markup import Html

_METRIC = "early_warning"
_HOW = (
    "Each day is held against the half year that ended a week before it. Looking every day is allowed for: all signals "
    "together raise a false alarm less than once in the years that params/watch.yml promises."
)


def early_warnings_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a signal, those that were alarming first: its share in the period, and what was or would be noticed.

    Parameters
    ----------
    frame
        Result frame of `Run.early_warnings`.
    title
        Heading; default the finding.
    locale
        As in `charts.small_multiples`.
    """
    mine = frame[(frame["metric"] == _METRIC) & (frame["segment"] == "signal")]
    if mine.empty:
        return markup.nothing(title or "Early warnings", rows.why_not(frame, "no signal is watched"))
    form = formatting(None, locale)
    raised = mine["verdict"] == "moved"
    found = [*rows.records(mine[raised]), *rows.records(mine[~raised])]
    cells = {
        "In the period": [markup.estimate_cell(row, "percent", form) for row in found],
        "n": [markup.n_cell(row, form) for row in found],
        "What was noticed": [markup.text_cell(row["note"]) for row in found],
    }
    heading = title or _finding([row["level"] for row in rows.records(mine[raised])], len(mine))
    return markup.figure(heading, markup.table(cells, ["Signal"], [(row["level"],) for row in found]), [escape(_HOW)])


def _finding(raised: list[str], size: int) -> str:
    """Say what was alarming."""
    if not raised:
        return f"None of {size} signals was alarming"
    more = f" and {len(raised) - 1} more signals" if len(raised) > 1 else ""
    return f"Alarming: {raised[0][0].lower()}{raised[0][1:]}{more}"
