"""One metric as a reader chose to see it: by level of a segment, compared with another period, or over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import differences, markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, width_of, wrap
from cxlib.show.comparisons import TARGET
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.trends import small_multiples

_MOST = 40
_READ = "Dot: difference, line: interval, upright: no change. ● better, ■ worse, ○ no change shown."
_MARKS = {rows.BETTER: ("o", style.BLUE), rows.WORSE: ("s", style.ORANGE), rows.FLAT: ("o", style.PAPER)}


def level_changes_table(
    frame: pd.DataFrame, metric: Metric, segment: str, period: str, against: str = "", *, title: str | None = None
) -> Html:
    """One row a level of a segment, the whole first: estimate, n, and the change against one period or the target.

    Parameters
    ----------
    frame
        Result frame with the metric's rows by level, and of the whole if it is to stand above.
    metric
        Its definition.
    segment, period
        Which rows.
    against
        Label of the other period, or `target`; '' leaves the change out.
    title
        Heading; default the metric's title, segment and period.
    """
    entries, form, last = rows.book(frame), formatting(), Period.parse(period)
    mine = _levels(frame, metric, segment, period)
    if mine.empty:
        return markup.nothing(title or metric.title, f"nothing is published of it by {segment}")
    found = [("All", rows.level(entries, metric.id, period), "all", "all")]
    found += [(row["level"], row, segment, row["level"]) for row in rows.ranked(mine, metric, len(mine))]
    columns: dict[str, list[Cell]] = {last.title: [], "n": []}
    since = (
        f"Against target {form.short(metric.target, metric.unit)}" if against == TARGET else f"Since {_told(against)}"
    )
    columns |= {since: [], "Adjusted p": []} if against else {}
    shown = [one for one in found if one[1] is not None]
    for _, row, where, level in shown:
        columns[last.title].append(markup.value_cell(row, metric, form))
        columns["n"].append(markup.n_cell(row, form))
        if against:
            change = rows.change(entries, metric.id, period, against, segment=where, of=level)
            columns[since].append(markup.change_cell(change, metric, form))
            columns["Adjusted p"].append(markup.p_cell(change) if change else Cell(""))
    body = markup.table(columns, [segment.replace("_", " ").capitalize()], [(name,) for name, *_ in shown])
    heading = title or f"{metric.title} by {segment.replace('_', ' ')}, {last.title}"
    return markup.figure(heading, body, [markup.note(metric, [row for _, row, _, _ in shown[:2] if row])])


def _told(against: str) -> str:
    return Period.parse(against).title if against and against != TARGET else against


def _levels(frame: pd.DataFrame, metric: Metric, segment: str, period: str) -> pd.DataFrame:
    """Return the estimates of a metric by the levels of a segment."""
    same = (frame["metric"] == metric.id) & (frame["segment"] == segment) & (frame["period"] == period)
    return frame[same & (frame["comparison"] == "level") & (frame["at"] == "")]


@themed
def level_changes(
    frame: pd.DataFrame,
    metric: Metric,
    segment: str,
    period: str,
    against: str,
    *,
    finding: str | None = None,
) -> Chart:
    """One row a level of a segment: the difference against another period or the target, with its interval.

    Parameters
    ----------
    frame
        Result frame with the metric's difference rows by level, and of the whole if it is to stand above.
    metric, segment, period, against
        As in `level_changes_table`.
    finding
        The title; default what the verdicts say.
    """
    form, where = formatting(), frame["segment"].isin(["all", segment])
    same = (frame["metric"] == metric.id) & (frame["period"] == period) & (frame["against"] == against)
    mine = frame[same & where & (frame["comparison"] == "difference") & (frame["at"] == "")]
    kept = [row for row in rows.records(mine) if row["segment"] == segment or row["level"] == "all"]
    kept = _ordered(kept)[:_MOST]
    known = [row for row in kept if not missing_words(row)]
    if not known:
        words = missing_words(kept[0]) if kept else "nothing was compared"
        return nothing(f"{metric.title} by {segment.replace('_', ' ')}: {words}", finding)
    names = [wrap("All" if row["segment"] == "all" else row["level"], 2.9, SMALL, lines=2) for row in kept]
    left = max(width_of(line, SMALL) for name in names for line in name or [""]) + 0.2
    height = 0.46 if any(len(name) > 1 for name in names) else 0.34
    told = f"{Period.parse(period).title} less {_against(metric, against, form)}. {_READ}"
    sheet = Sheet(finding or _moved(kept, metric, segment, against, form), told, len(kept) * height + 0.6)
    axes = sheet.axes(left, 0.05, 6.9 - left, len(kept) * height, label="changes")
    axes.set_ylim(len(kept) - 0.5, -0.5)
    axes.set_yticks(range(len(kept)), ["\n".join(name) for name in names], fontsize=SMALL, color=style.INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _draw(axes, kept, metric, form)
    return sheet.done(_alt(sheet.figure.finding, kept, metric, form))


def _ordered(kept: Sequence[rows.Row]) -> list[rows.Row]:
    """Return the whole first, then levels from the largest rise down, those without a number last."""
    size = {id(row): -row["estimate"] if math.isfinite(row["estimate"]) else math.inf for row in kept}
    return sorted(kept, key=lambda row: (row["segment"] != "all", size[id(row)], row["level"]))


def _against(metric: Metric, against: str, form: Format) -> str:
    return f"the target of {form.short(metric.target, metric.unit)}" if against == TARGET else _told(against)


def _moved(kept: Sequence[rows.Row], metric: Metric, segment: str, against: str, form: Format) -> str:
    """Say which levels moved, as their verdicts have it."""
    levels = [row for row in kept if row["segment"] != "all"]
    moved = [row for row in levels if row["verdict"] == "moved" and not missing_words(row)]
    what = f"{metric.title} by {segment.replace('_', ' ')}"
    if not moved:
        return f"{what}: no difference from {_against(metric, against, form)} shown for any level"
    told = [f"{row['level']} ({form.change(row['estimate'], metric.unit)})" for row in moved[:3]]
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"{what}: other than {_against(metric, against, form)} in {rows.listed(told)}{more}"


def _draw(axes: Axes, kept: Sequence[rows.Row], metric: Metric, form: Format) -> None:
    """Draw the differences of all rows."""
    known = [row for row in kept if not missing_words(row)]
    ends = [row[end] for row in known for end in ("estimate", "conf_low", "conf_high")]
    name, factor = differences.unit_of(metric, form, differences.largest_of(ends), "difference")
    side: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for place, row in enumerate(kept):
        words = missing_words(row)
        if words:
            axes.annotate(words, (1.02, place), color=style.GREY, style="italic", **side)
            continue
        shape, told, tone = rows.verdict(row, metric)
        mark, face = _MARKS[tone]
        line = style.TONES[tone] if tone != rows.FLAT else style.GREY
        axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=line, linewidth=2.2)
        axes.plot(row["estimate"] * factor, place, mark, markersize=7, markerfacecolor=face, markeredgecolor=line)
        axes.annotate(form.change(row["estimate"], metric.unit), (1.02, place), weight="bold", **side)
        axes.annotate(
            f"{shape} {told}", (1.02, place), (84, 0), textcoords="offset points", color=style.TONES[tone], **side
        )
    axes.set_xlabel(name, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _alt(finding: str, kept: Sequence[rows.Row], metric: Metric, form: Format) -> str:
    """Return the chart in words."""
    told = []
    for row in kept:
        limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
        said = f"{form.change(row['estimate'], metric.unit)} ({limits}) {rows.verdict(row, metric)[1]}".strip()
        told.append(f"{'All' if row['segment'] == 'all' else row['level']}: {missing_words(row) or said}")
    return f"{finding}. Differences with intervals. {'; '.join(told)}."


def levels_over_time(frame: pd.DataFrame, metric: Metric, segment: str, *, finding: str | None = None) -> Chart:
    """One panel a level of a segment, all periods of the frame: estimate with its band.

    Parameters
    ----------
    frame
        Result frame with the metric's rows by level, of several periods.
    metric, segment
        Which rows.
    finding
        The title; default what is shown.
    """
    same = (frame["metric"] == metric.id) & (frame["segment"] == segment) & (frame["comparison"] == "level")
    mine = frame[same & (frame["at"] == "")]
    named: Mapping[str, Metric] = {
        level: metric.model_copy(update={"id": level, "title": level})
        for level in sorted(set(mine.loc[mine["status"] == results.OK, "level"]))[:_MOST]
    }
    kept = mine[mine["level"].isin(list(named))]
    shown = results.label(kept.assign(metric=kept["level"]), segment="all", level="all")
    told = finding or f"{metric.title} by {segment.replace('_', ' ')}, period by period"
    return small_multiples(shown, named, finding=told)
