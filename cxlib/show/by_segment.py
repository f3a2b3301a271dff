"""Every metric by every segment: one grid, and the levels of one metric side by side whatever segment they are of."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib import results
from cxlib.measure.verdicts import family
from cxlib.params.models import Metric, Segment, Touchpoint
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.canvas import Chart, nothing
from cxlib.show.formats import Format, formatting, headed, metric_of, missing_words
from cxlib.show.levels import interval_bars
from cxlib.show.markup import Cell, Html

_MOST = 24  # levels of one segment in the grid


def by_segment_table(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    segments: Mapping[str, Segment],
    taxonomy: Mapping[str, Touchpoint] | None = None,
    *,
    title: str | None = None,
) -> Html:
    """One row a level, grouped by segment, one column a metric: estimate, n, and what changed by its verdict.

    Parameters
    ----------
    frame
        Result frame of the last period by several segments, with its differences to the period before and a year ago.
    metrics, segments
        Definitions by id, in the order of the page.
    taxonomy
        Touchpoints by id, for their titles.
    title
        Heading; default the period.

    Returns
    -------
    Html
        What is not measured by a segment is named beneath once, by reason; a level is named where it is hidden.
    """
    last = rows.latest(frame)
    known = frame[(frame["comparison"] == "level") & (frame["period"] == str(last)) & (frame["level"] != "all")]
    if last is None or known.empty:
        return markup.nothing(title or "By segment", "the frame holds no levels of a segment")
    keys, told = _levels(known, segments, taxonomy)
    entries, form = rows.book(frame), formatting()
    columns: dict[str, list[Cell]] = {}
    for name in rows.ids(known):
        metric = metric_of(metrics, name)
        columns[headed(metric)] = [_cell(entries, metric, last, key, form) for key in keys]
    names = [(segments[segment].title, rows.level_title(segment, level, taxonomy)) for segment, level in keys]
    below = " ".join(filter(None, [_READ, family(frame, metrics), *told, _without(frame, metrics, segments)]))
    body = markup.table(columns, ["Segment", "Level"], names)
    return markup.figure(title or f"Every metric by segment, {last.title}", body, below=below)


_READ = (
    "Each cell: estimate, interval and n; beneath, what changed: ▲ up, ▼ down, since the period before and since a "
    "year ago. Without a mark no change is shown."
)


def _levels(
    known: pd.DataFrame, segments: Mapping[str, Segment], taxonomy: Mapping[str, Touchpoint] | None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return segment and level of each row of the grid, and in words what is left out."""
    keys, told = [], []
    for segment in (name for name in segments if name in set(known["segment"])):
        mine, sizes = known[known["segment"] == segment], dict[str, float]()
        for level, n in zip(mine["level"], mine["n"].fillna(0), strict=True):
            sizes[level] = max(n, sizes.get(level, 0))
        kept = sorted(sizes, key=lambda level: (-sizes[level], level))[:_MOST]
        keys += sorted(((segment, level) for level in kept), key=lambda key: rows.level_title(key[0], key[1], taxonomy))
        if len(sizes) > len(kept):
            title = segments[segment].title.lower()
            told.append(f"The {len(sizes) - len(kept)} smallest levels of {title} are not in the table.")
    return keys, told


def _cell(entries: rows.Book, metric: Metric, last: Period, key: tuple[str, str], form: Format) -> Cell:
    """Return one cell of the grid."""
    segment, level = key
    row = rows.level(entries, metric.id, str(last), segment=segment, of=level)
    if row is None or row["status"] == results.UNDEFINED:
        return markup.NOT_MEASURED
    cell = markup.value_cell(row, metric, form, with_n=True)
    marks = []
    for other, words in ((last.previous(), "since the period before"), (last.year_ago(), "in a year")):
        change = rows.change(entries, metric.id, str(last), str(other), segment=segment, of=level)
        if change is None or missing_words(change) or change["verdict"] != "moved":
            continue
        shape, _, tone = rows.verdict(change, metric)
        told = f"{form.change(change['estimate'], metric.unit)} {words}"
        marks.append(f'<br><span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {told}</span>')
    return cell._replace(html=f"{cell.html}{''.join(marks)}")


def _without(frame: pd.DataFrame, metrics: Mapping[str, Metric], segments: Mapping[str, Segment]) -> str:
    """Say what is not measured by which segment, by reason."""
    mine = frame[(frame["status"] == results.UNDEFINED) & (frame["comparison"] == "level") & (frame["level"] == "all")]
    parts = []
    for segment in (name for name in segments if name in set(mine["segment"])):
        found = rows.ids(mine[mine["segment"] == segment])
        titles = rows.listed([metric_of(metrics, name).title for name in found])
        parts.append(f"{segments[segment].title}: {titles}")
    return f"Not measured by {'; by '.join(parts)}." if parts else ""


def every_level(
    frame: pd.DataFrame,
    metric: Metric,
    segments: Mapping[str, Segment],
    taxonomy: Mapping[str, Touchpoint] | None = None,
    *,
    finding: str | None = None,
) -> Chart:
    """Draw the levels of all segments of one metric on one scale, the best on top.

    Parameters
    ----------
    frame
        Result frame with the metric's rows by several segments, and of the whole if it is to be drawn.
    metric
        Its definition.
    segments
        Definitions by id.
    taxonomy
        Touchpoints by id, for their titles.
    finding
        The title; default how far the levels lie apart.
    """
    mine = frame[(frame["metric"] == metric.id) & (frame["comparison"] == "level")]
    mine = mine[(mine["segment"] == "all") | (mine["segment"].isin(list(segments)) & (mine["level"] != "all"))]
    if not (mine["segment"] != "all").any():
        return nothing(f"the frame holds no levels of a segment for {metric.title}", finding)
    cut = (mine["segment"] != "all").tolist()
    named = [_named(*key, segments, taxonomy) for key in zip(mine["segment"], mine["level"], strict=True)]
    joined = mine.assign(
        level=[name if is_cut else "all" for name, is_cut in zip(named, cut, strict=True)],
        segment=["every segment" if is_cut else "all" for is_cut in cut],
    )
    return interval_bars(results.conform(joined), metric, "every segment", finding=finding)


def _named(segment: str, level: str, segments: Mapping[str, Segment], taxonomy: Mapping[str, Touchpoint] | None) -> str:
    title = segments[segment].title if segment in segments else segment
    return f"{title}: {rows.level_title(segment, level, taxonomy)}"
