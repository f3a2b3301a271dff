"""The scorecard: one row a metric. Apart from the other tables, for what needs no chart library and no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from cxlib.measure.verdicts import family
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.formats import Format, formatting, headed, metric_of
from cxlib.show.markup import Cell, Html
from cxlib.show.sparkline import sparkline


def scorecard(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: str | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a metric: estimate with interval, n, target, change to the period before and to a year ago, history.

    Parameters
    ----------
    frame
        Result frame; rows of the whole. Difference rows whose `against` is the period before, the period a year ago
        or `target` fill those columns.
    metrics
        Metric id -> definition.
    period
        Label of the period; default the latest.
    title
        Heading; default the period.
    currency, locale
        Of amounts and numbers; default what `formats.use` set, which a run does from `workspace.yml`.

    Returns
    -------
    Html
        A `<figure>`; methods and definition hashes are folded beneath.
    """
    whole = frame[frame["segment"] == "all"]
    last = Period.parse(period) if period else rows.latest(whole)
    names, silent = rows.with_data(whole, [last] if last else [])
    if last is None or not names:
        return markup.nothing(title or "Scorecard", "the frame holds no estimates")
    shown = _history(whole, last)
    form, columns = formatting(currency, locale), _scorecard_columns(last, len(shown))
    entries, notes = rows.book(whole), []
    for name in names:
        metric, label = metric_of(metrics, name), str(last)
        row, aim = rows.level(entries, name, label), rows.change(entries, name, label, "target")
        before, year = (rows.change(entries, name, label, str(p)) for p in (last.previous(), last.year_ago()))
        cells = [markup.value_cell(row, metric, form), markup.n_cell(row, form), _target(metric, aim, form)]
        cells += [markup.change_cell(change, metric, form) for change in (before, year)]
        points = [rows.level(entries, name, str(period)) for period in shown]
        cells += [Cell(sparkline(points, shown, metric, form), number=False)] * (len(shown) > 1)
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
        notes.append(markup.note(metric, [r for r in (row, before, year, aim) if r is not None]))
    keys = [(headed(metrics[name]),) for name in names]
    heading, body = title or f"Scorecard, {last.title}", markup.table(columns, ["Metric"], keys)
    below = f"{family(frame, metrics)} {_without(entries, silent, metrics, last)}".strip()
    return markup.figure(heading, body, notes, below)


def _without(entries: rows.Book, silent: Sequence[str], metrics: Mapping[str, Metric], last: Period) -> str:
    """Name the metrics that have no answer, by the reason why."""
    reasons: dict[str, list[str]] = {}
    for name in silent:
        row = rows.level(entries, name, str(last))
        reasons.setdefault((row or {}).get("note", ""), []).append(metric_of(metrics, name).title)
    parts = [f"{rows.listed(titles)} ({why})" if why else rows.listed(titles) for why, titles in reasons.items()]
    return f"Not available: {'; '.join(parts)}." if parts else ""


def _scorecard_columns(last: Period, history: int) -> dict[str, list[Cell]]:
    """Return the headings of the scorecard, still without cells."""
    since = (f"Since {last.previous().title}", f"Since {last.year_ago().title}")
    # Spaces that do not break keep the column as wide as its pictures, which would shrink with it.
    drawn = [f"Last\u00a0{history}\u00a0{last.kind}s"] if history > 1 else []
    return {name: [] for name in (last.title, "n", "Target", *since, *drawn)}


def _history(whole: pd.DataFrame, last: Period) -> list[Period]:
    """Return the periods up to `last` that a small picture shows."""
    known = {Period.parse(label) for label in set(whole.loc[whole["comparison"] == "level", "period"]) - {""}}
    first = min((period for period in known if period.kind == last.kind), default=last)
    return [period for period in last.last(rows.PERIODS_SHOWN) if period >= first]


def _target(metric: Metric, row: rows.Row | None, form: Format) -> Cell:
    """Return the target and how the estimate stands to it."""
    if metric.target is None:
        return Cell('<span class="cx-missing">no target</span>')
    # The heading says that it is the target.
    told = form.short(metric.target, metric.unit) + markup.verdict_line(row, metric).replace(" target", "")
    return Cell(told, row=row, unit=metric.unit, value=metric.target)
