"""What stands behind the numbers, as tables: how metrics are defined, and how fresh the data are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd

from cxlib.params.models import Metric
from cxlib.show import markup, rows
from cxlib.show.formats import Format, formatting, headed, metric_of
from cxlib.show.markup import Cell, Html

_STATES = {"fresh": ("●", "flat"), "old": ("◆", "worse"), "missing": ("✕", "worse"), "present": ("○", "flat")}
_GOOD = {True: "higher", False: "lower", None: "neither"}


def definitions(
    metrics: Mapping[str, Metric],
    frame: pd.DataFrame | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a metric: the question it answers, what is better, its target, how to read it, who answers for it.

    Parameters
    ----------
    metrics
        Metric id -> definition.
    frame
        A result frame; with it, only the metrics that it has an answer for, in its order.
    title, currency, locale
        Heading and number format.
    """
    heading, form = title or "Definitions", formatting(currency, locale)
    if not metrics:
        return markup.nothing(heading, "no metrics are defined")
    columns: dict[str, list[Cell]] = {"Question": [], "Better is": [], "Target": [], "How to read it": [], "Owner": []}
    names = list(metrics) if frame is None else rows.with_data(frame, rows.span(frame))[0]
    shown = [metric_of(metrics, name) for name in names]
    if not shown:
        return markup.nothing(heading, "no metric has a figure")
    for metric in shown:
        target = "none" if metric.target is None else form.short(metric.target, metric.unit)
        caveats = "<br>".join(escape(caveat) for caveat in metric.caveats)
        cells = [markup.text_cell(metric.question), markup.text_cell(_GOOD[metric.higher_is_better])]
        cells.append(Cell(escape(target), unit=metric.unit, value=metric.target))
        cells += [Cell(caveats, number=False), markup.text_cell(metric.owner)]
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    return markup.figure(heading, markup.table(columns, ["Metric"], [(headed(metric),) for metric in shown]))


def freshness(
    records: pd.DataFrame | Iterable[Mapping[str, Any]], *, title: str | None = None, locale: str | None = None
) -> Html:
    """One row a table: is it fresh, how many rows, its newest event, what is wrong with it.

    Parameters
    ----------
    records
        What `Run.freshness()` returns, one record a table: `table`, `rows` (0 for a table that is missing), `newest`
        (naive UTC time, as time or text; empty for tables without events) and `warning` (empty for nothing).
    title, locale
        Heading and number format.
    """
    table = records if isinstance(records, pd.DataFrame) else pd.DataFrame([dict(record) for record in records])
    found = table.astype(object).where(table.notna(), None).to_dict("records")
    heading, form = title or "What is fresh, what is missing", formatting(locale=locale)
    if not found:
        return markup.nothing(heading, "no tables are known")
    columns: dict[str, list[Cell]] = {"State": [], "Rows": [], "Newest event (UTC)": [], "Note": []}
    for record in found:
        count, newest, warning = record.get("rows"), record.get("newest"), record.get("warning") or ""
        cells = [_state("missing" if not count else "old" if warning else "fresh" if newest else "present")]
        cells += [
            markup.count_cell(count, form) if count else Cell("none"),
            Cell(_moment(newest, form)),
            markup.text_cell(warning),
        ]
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    keys = [(str(record["table"]),) for record in found]
    return markup.figure(heading, markup.table(columns, ["Table"], keys))


def _state(state: str) -> Cell:
    """Return the state of a table in word and shape."""
    shape, tone = _STATES[state]
    return Cell(f'<span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {state}</span>', number=False)


def _moment(moment: Any, form: Format) -> str:
    """Return `31 October 2026, 23:41`, the day as the locale writes it whatever the machine speaks."""
    if not moment:
        return ""
    stamp = pd.Timestamp(moment)
    day = form.day(stamp.date())
    return day if stamp == stamp.normalize() else f"{day}, {stamp.hour:02d}:{stamp.minute:02d}"
