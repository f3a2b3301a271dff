"""What the panel of an explored page shows for a choice: a chart and a table, of published rows alone."""

from __future__ import annotations

import pandas as pd

from cxlib import results
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.reports import choices
from cxlib.reports.choices import Choices, Chosen, Published
from cxlib.reports.context import Context
from cxlib.reports.offering import carried
from cxlib.show import charts, chosen, comparisons, formats, rows, tables
from cxlib.show.canvas import Chart
from cxlib.show.markup import Html


def picture(of: Choices, choice: Chosen) -> tuple[Chart, str]:
    """Return chart and table of a choice that is offered; the table with links that carry its rows."""
    held = of.periods[choice.period]
    if held.context is None:
        raise ValueError(choice.period)
    chart, table = _shown(of, held, held.context, choice)
    return chart, carried(table, held.context, " ".join(choice.query().values()))


def _shown(of: Choices, held: Published, context: Context, choice: Chosen) -> tuple[Chart, Html]:
    """Return chart and table."""
    segment, frame = choice.segment, _titled(held.frame, context)
    formats.use(context.currency, context.workspace.locale)
    metric, period = held.metrics[choice.metric], Period.parse(context.period)
    against = {choices.PREVIOUS: period.previous().label, choices.YEAR_AGO: period.year_ago().label}
    other = against.get(choice.compare, choice.compare)
    if segment == "all":
        return _of_the_whole(frame, metric, period, choice.compare, other)
    if choice.compare in (choices.NONE, choices.TIME):
        table = chosen.level_changes_table(frame, metric, segment, period.label)
        if choice.compare == choices.NONE:
            return charts.interval_bars(_mine(frame, metric, segment), metric, segment, period.label), table
        return chosen.levels_over_time(_titled(results.concat(of.back(choice)), context), metric, segment), table
    chart = chosen.level_changes(frame, metric, segment, period.label, other)
    return chart, chosen.level_changes_table(frame, metric, segment, period.label, other)


def _of_the_whole(frame: pd.DataFrame, metric: Metric, period: Period, compare: str, other: str) -> tuple[Chart, Html]:
    """Return chart and table of a metric of everyone."""
    mine, one = _mine(frame, metric, "all"), {metric.id: metric}
    if compare in (choices.NONE, choices.TARGET):
        chart = charts.headline(mine, one, period.label, finding=f"{metric.title}, {period.title}")
    else:
        chart = charts.small_multiples(mine, one)
    if compare in (choices.NONE, choices.TIME):
        return chart, tables.scorecard(mine, one, period.label, title=f"{metric.title}, {period.title}")
    kept = mine[(mine["comparison"] == "level") | (mine["against"] == other)]
    return chart, comparisons.changes(kept, one)


def _titled(frame: pd.DataFrame, context: Context) -> pd.DataFrame:
    """Return rows whose touchpoints are called by their titles, not their ids, but for those that share one."""
    titles = [point.title for point in context.touchpoints.values()]
    known = {name: point for name, point in context.touchpoints.items() if titles.count(point.title) == 1}
    pairs = zip(frame["segment"], frame["level"], strict=True)
    return frame.assign(level=[rows.level_title(segment, level, known) for segment, level in pairs])


def _mine(frame: pd.DataFrame, metric: Metric, segment: str) -> pd.DataFrame:
    return frame[(frame["metric"] == metric.id) & frame["segment"].isin(["all", segment])].reset_index(drop=True)
