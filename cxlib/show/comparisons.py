"""One metric against everything it was compared with: difference, interval and verdict, a row each."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib.errors import UsageError
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.formats import Format, brief, formatting, one_metric
from cxlib.show.markup import Cell, Html

TARGET = "target"


def changes(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric] | Metric,
    metric: str = "",
    *,
    title: str | None = None,
    below: str = "",
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a comparison of the whole: with other periods first, then with the target.

    Parameters
    ----------
    frame
        Result frame; its difference rows of the metric are shown, relative ones beside them where there are any.
    metrics
        The metric, or metric id -> definition.
    metric
        Id of the metric; may be left out where the frame holds one.
    title
        Heading; default the metric's title and period.
    below
        A sentence beneath, such as the size of the family that the verdicts allow for.
    currency, locale
        Of amounts and numbers.
    """
    whole = frame[(frame["segment"] == "all") & (frame["level"] == "all")]
    of = one_metric(metrics, metric, rows.ids(whole))
    mine = whole[(whole["metric"] == of.id) & (whole["comparison"] == "difference")]
    last = rows.latest(whole[whole["metric"] == of.id])
    if mine.empty or last is None:
        return markup.nothing(title or of.title, "it was compared with nothing")
    form, entries = formatting(currency, locale), rows.book(whole)
    found = sorted(mine.to_dict("records"), key=lambda row: (row["against"] == TARGET, _age(row["against"], last)))
    columns: dict[str, list[Cell]] = {"Change": [], "In percent": [], "Adjusted p": [], "To know": []}
    if not (whole["comparison"] == "relative").any():
        del columns["In percent"]
    for row in found:
        columns["Change"].append(markup.change_cell(row, of, form))
        columns["Adjusted p"].append(markup.p_cell(row))
        columns["To know"].append(markup.text_cell(row["note"]))
        if "In percent" in columns:
            other = entries.get(("relative", of.id, row["period"], row["against"], "all", "all"))
            columns["In percent"].append(_percent(other, form))
    now = rows.level(entries, of.id, str(last))
    heading = title or f"{of.title}, {last.title}: {markup.told(now, of, form)}"
    keys = [(_since(row["against"], of, form),) for row in found]
    notes = [markup.note(of, found)]
    return markup.figure(heading, markup.table(columns, ["Against"], keys), notes, below)


def _age(against: str, last: Period) -> int:
    """Order other periods from the newest to the oldest; anything else comes last."""
    try:
        return (last.first_day - Period.parse(against).first_day).days
    except UsageError:
        return 1 << 30


def _since(against: str, metric: Metric, form: Format) -> str:
    """Name what was compared with."""
    if against == TARGET:
        return f"target {form.short(metric.target, metric.unit)}"
    try:
        return Period.parse(against).title
    except UsageError:
        return against


def _percent(row: rows.Row | None, form: Format) -> Cell:
    """Return a relative change; nothing where it is not given."""
    if row is None or row["status"] != "ok":
        return Cell("")
    limits = form.interval(row["conf_low"], row["conf_high"], "percent", change=False)
    told = form.number(100 * row["estimate"], 1, sign=True)
    return Cell(f"{form.percent(told)}{markup.small(brief(limits))}", row=row, unit="percent")
