"""What the looks at a running experiment showed that were agreed on before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from cxlib.params.models import Metric
from cxlib.show import markup, rows
from cxlib.show.differences import plain
from cxlib.show.formats import formatting, metric_of
from cxlib.show.markup import Html
from cxlib.show.trial_effects import arm_name, difference_cell


def looks_table(
    looks: pd.DataFrame,
    metrics: Mapping[str, Metric],
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """The outcome that decides at each registered look, with limits that hold at all of them.

    Parameters
    ----------
    looks
        Result frame of `Run.looks`.
    metrics
        Metric id -> definition.
    title
        Heading.
    currency, locale
        As in `charts.small_multiples`.
    """
    mine = rows.records(looks[looks["segment"] == "look"])
    if not mine:
        return markup.nothing(title or "At each look that was agreed on", rows.why_not(looks, "there was no look yet"))
    form, several = formatting(currency, locale), len({row["at"] for row in mine}) > 1
    columns = {
        "Difference": [difference_cell(row, metric_of(metrics, row["metric"]), None, form) for row in mine],
        "Customers": [markup.n_cell(row, form) for row in mine],
        "What to do": [markup.text_cell(_to_do(row)) for row in mine],
    }
    keys = [(f"Look {row['level']}{', ' + arm_name(row['at']) if several else ''}",) for row in mine]
    body, notes = markup.table(columns, ["Look"], keys), [escape(plain(row["method"])) for row in mine if row["method"]]
    return markup.figure(title or _looks_title(mine, metrics), body, list(dict.fromkeys([escape(_LIMITS), *notes])))


_TO_DO = {
    "stop": "stop: an effect is shown",
    "continue": "go on: nothing may be said yet",
    "end": "the end: read the verdict",
    "after the stop": "after the stop: for information",
}
_LIMITS = "Limits hold at all looks together. An effect at an early stop is too far from zero on average."


def _to_do(row: rows.Row) -> str:
    return _TO_DO.get(row["note"], plain(row["note"]))


def _looks_title(mine: Sequence[rows.Row], metrics: Mapping[str, Metric]) -> str:
    """Say whether a look was the last that was needed."""
    stops = [row["level"] for row in mine if row["note"] == "stop"]
    name = metric_of(metrics, mine[0]["metric"]).title
    if stops:
        return f"{name} was shown to move at look {min(stops, key=int)}"
    count = len({row["level"] for row in mine})
    return f"{name} is not shown to move at {'any of ' * (count > 1)}{count} look{'s' * (count != 1)} so far"
