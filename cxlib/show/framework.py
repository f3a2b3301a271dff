"""The measurement framework as a table: what is wanted at each stage, how it stands today, and who answers for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from cxlib.params.framework import NOBODY
from cxlib.params.models import Goal, Metric
from cxlib.periods import Period
from cxlib.show import goals as standing
from cxlib.show import markup, rows
from cxlib.show.formats import Format, formatting, headed, missing_words
from cxlib.show.goals import Standing
from cxlib.show.markup import Cell, Html

_READ = {"week": "every week", "month": "every month", "quarter": "every quarter"}
_JUDGED = (
    "Verdicts are those of the report's scorecard, which allow for all of its comparisons; KPIs that it does not show "
    "are judged together."
)
_GAP, _MOVED = "nobody named", "What moved"


def framework_table(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    goals: Sequence[Goal],
    period: str | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a goal, stage by stage along the journey: KPI with interval, target, changes, and who answers for it.

    What the framework leaves open stands in it: a goal without a KPI, a KPI without an owner or a source, a stage that
    nobody measures.

    Parameters
    ----------
    frame
        Result frame of `Run.framework`.
    metrics
        Metric id -> definition.
    goals
        The framework: `Run.goals`.
    period
        Label of the period; default the latest.
    title
        Heading.
    currency, locale
        Of amounts and numbers; default what `formats.use` set.
    """
    last = Period.parse(period) if period else rows.latest(frame)
    if not goals or last is None:
        reason = "the frame holds no estimates" if goals else "this workspace has no framework.yml"
        return markup.nothing(title or "What we want, how it stands and who answers for it", reason)
    found, form = standing.standings(frame, metrics, goals, last), formatting(currency, locale)
    columns: dict[str, list[Cell]] = {name: [] for name in ("KPI", last.title, "Target", _MOVED, "Who answers for it")}
    sources = list(dict.fromkeys(one.goal.source for one in found if one.goal and one.metric))
    for one in found:
        for column, cell in zip(columns.values(), _cells(one, form, several=len(sources) > 1), strict=True):
            column.append(cell)
    keys = [(one.stage.capitalize(), one.goal.goal if one.goal else NOBODY.capitalize()) for one in found]
    notes = [
        markup.note(one.metric, [row for row in (one.level, one.target, *one.moves) if row is not None])
        for one in _once(found)
        if one.metric is not None
    ]
    heading = title or f"What we want, how it stands and who answers for it, {last.title}"
    body = markup.table(columns, ["Stage", "What we want"], keys)
    alike = f"All of it is from {sources[0]}. " if len(sources) == 1 and sources[0] else ""
    return markup.figure(heading, body, notes, alike + _JUDGED)


def _once(found: Sequence[Standing]) -> list[Standing]:
    """Return the goals with different KPIs."""
    return list({one.metric.id: one for one in found if one.metric is not None}.values())


def _cells(one: Standing, form: Format, *, several: bool) -> tuple[Cell, ...]:
    """Return the cells of one goal; its source stands with it where there are several."""
    goal, metric = one.goal, one.metric
    if goal is None or metric is None:
        gap = Cell(f'<span class="cx-missing">{NOBODY}</span>', number=False)
        return (gap, *(markup.NOT_MEASURED,) * 3, _owner(goal) if goal else Cell("", number=False))
    source = goal.source if several else ""
    source = "no source named" if not goal.source else source and f"from {source}"
    kpi = Cell(escape(headed(metric)) + markup.small(source, f"read {_READ[goal.cadence]}"), number=False)
    value = markup.value_cell(one.level, metric, form, with_n=True)
    return (kpi, value, _target(one, metric, form), _moved(one, metric, form), _owner(goal))


def _moved(one: Standing, metric: Metric, form: Format) -> Cell:
    """Return the latest change that is shown; where none is, the latest that was looked at."""
    known = [row for row in one.moves if row is not None and row["verdict"]]
    row = next((row for row in known if row["verdict"] == "moved"), known[0] if known else None)
    if row is None or missing_words(row):
        return markup.change_cell(None, metric, form)
    cell = markup.change_cell(row, metric, form)
    return cell._replace(html=cell.html + markup.small(f"since {Period.parse(row['against']).title}"))


def _target(one: Standing, metric: Metric, form: Format) -> Cell:
    """Return the target and how the KPI stands to it."""
    if metric.target is None:
        return Cell('<span class="cx-missing">no target</span>')
    told = form.short(metric.target, metric.unit) + markup.verdict_line(one.target, metric).replace(" target", "")
    return Cell(told, row=one.target, unit=metric.unit, value=metric.target)


def _owner(goal: Goal) -> Cell:
    """Return who answers for a goal; a gap stands out."""
    owner = escape(goal.owner) if goal.owner else f'<span class="cx-missing">{_GAP}</span>'
    return Cell(owner + markup.small(goal.team if goal.team not in goal.owner else ""), number=False)
