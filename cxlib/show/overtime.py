"""One metric over the years: each period, rolling periods, and with the season taken out; three views, one scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from cxlib.measure import seasonal
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import MARGIN, SMALL, WIDTH, Chart, Sheet, nothing, themed, width_of
from cxlib.show.formats import Format, formatting, missing_words, one_metric
from cxlib.show.trends import axis_x, axis_y, mark_gaps

_LEFT, _PLOT, _HEAD, _FOOT, _BOLD = 0.62, 1.3, 0.3, 0.5, 9.5
_DOTS = (0, (1, 2))
_LOOKS = ((style.BLUE, style.SKY, "-"), (style.INK, "#b5b5b5", "--"), (style.ORANGE, "#e0b89a", ":"))


class _View(NamedTuple):
    title: str
    lines: dict[str, list[rows.Row | None]]  # label of the line -> its points


@themed
def over_time(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Show one metric of the whole in up to three views under one another, on one scale.

    Parameters
    ----------
    frame
        Result frame with the metric's `level` rows, and those of `seasonal.rolling` and `seasonal.adjusted` where they
        are to be drawn; a view without rows is left out.
    metrics
        The metric to show, or all by id.
    metric
        Id of the metric to show; needed only where the frame holds several.
    finding, currency, locale
        As in `small_multiples`.
    """
    whole = frame[(frame["segment"] == "all") & (frame["comparison"] == "level") & (frame["period"] != "")]
    if whole.empty:
        return nothing("the frame holds no estimates over time", finding)
    shown, form = one_metric(metrics, metric, rows.ids(whole)), formatting(currency, locale)
    mine = whole[whole["metric"] == shown.id]
    known = sorted({Period.parse(label) for label in mine["period"]})
    periods = Period.range(known[0], known[-1]) if known else []
    views = _views(mine, periods) if periods else []
    if not views:
        return nothing(f"the frame holds no {shown.title} over time", finding)
    tall = _HEAD + _PLOT + _FOOT
    sheet = Sheet(
        finding or _finding(views, shown, periods[-1], form), _subtitle(views, periods, shown, form), len(views) * tall
    )
    factor, name, ends = _scale(views, shown, form)
    room = max(width_of(label, SMALL, True) for view in views for label in _ends(view, shown, form)) + 0.14
    width = WIDTH - 2 * MARGIN - _LEFT
    for place, view in enumerate(views):
        sheet.text(0, place * tall, view.title, size=_BOLD, weight="bold")
        axes = sheet.axes(_LEFT, place * tall + _HEAD, width, _PLOT, label=view.title)
        axis_x(axes, periods, width, room)
        _draw(axes, view, periods, shown, factor, _ends(view, shown, form))
        axis_y(axes, name, form)
        axes.set_ylim(*ends)
    return sheet.done(_alt(sheet.figure.finding, views, shown, periods, form))


def _views(mine: pd.DataFrame, periods: Sequence[Period]) -> list[_View]:
    """Return the views that the frame has rows for."""
    points: dict[str, dict[str, rows.Row]] = {}
    for record in mine.to_dict("records"):  # what `at` says tells the lines apart
        row = {str(name): value for name, value in record.items()}
        points.setdefault(row["at"], {}).setdefault(row["period"], row)
    series = {at: [found.get(str(period)) for period in periods] for at, found in points.items()}
    kind = periods[0].kind
    rolling = sorted((at for at in series if at.startswith("rolling ")), key=lambda at: int(at.split()[1]))
    views = [_View(f"Each {kind}", {"": series[""]})] if "" in series else []
    if rolling:
        many = {f"{at.split()[1]} {kind}s": series[at] for at in rolling[: len(_LOOKS)]}
        views.append(_View(f"Rolling, the last {rows.listed([name.split()[0] for name in many])} {kind}s", many))
    if seasonal.ADJUSTED in series:
        views.append(_View(f"Each {kind}, season taken out", {"": series[seasonal.ADJUSTED]}))
    return views


def _scale(views: Sequence[_View], metric: Metric, form: Format) -> tuple[float, str, tuple[float, float]]:
    """Return the factor, the name and the ends of the common scale."""
    found = [row for view in views for line in view.lines.values() for row in line if row and not missing_words(row)]
    ends = [row[name] for row in found for name in ("estimate", "conf_low", "conf_high") if math.isfinite(row[name])]
    ends += [metric.target] if metric.target is not None else []
    name, factor = form.axis(metric.unit, max((abs(end) for end in ends), default=0.0))
    low, high = (min(ends) * factor, max(ends) * factor) if ends else (0.0, 1.0)
    air = 0.08 * (high - low) or 1.0
    return factor, name, (low - air, high + air)


def _ends(view: _View, metric: Metric, form: Format) -> list[str]:
    """Return the labels of the last points of a view's lines."""
    return [
        f"{name} {form.short(line[-1]['estimate'], metric.unit)}".strip()
        if line[-1] is not None and not missing_words(line[-1])
        else ""
        for name, line in view.lines.items()
    ]


def _draw(
    axes: Axes, view: _View, periods: Sequence[Period], metric: Metric, factor: float, labels: Sequence[str]
) -> None:
    """Draw the lines of one view with their bands."""
    if metric.target is not None:  # as far as the figures, so that it strikes through no label
        axes.hlines(metric.target * factor, -0.5, len(periods) - 1, color=style.INK, linewidth=1, linestyle=_DOTS)
    spots = []
    for points, (colour, band, dashes) in zip(view.lines.values(), _LOOKS, strict=False):
        value, low, high = (
            [math.nan if point is None else point[column] * factor for point in points]
            for column in ("estimate", "conf_low", "conf_high")
        )
        axes.fill_between(range(len(points)), low, high, color=band, alpha=0.35, linewidth=0)
        axes.plot(value, dashes, color=colour, linewidth=1.6, marker="o", markersize=2.5 if len(view.lines) == 1 else 0)
        spots.append((len(points) - 1, value[-1], colour))
    _name_ends(axes, spots, labels)
    if len(view.lines) == 1:
        mark_gaps(axes, next(iter(view.lines.values())))


def _name_ends(axes: Axes, spots: Sequence[tuple[int, float, str]], labels: Sequence[str]) -> None:
    """Write the labels where the lines end, the higher line's above the lower one's."""
    order = sorted((place for place, label in enumerate(labels) if label), key=lambda place: spots[place][1])
    for rank, place in enumerate(order):
        x, y, colour = spots[place]
        beside = "center" if len(order) == 1 else "top" if rank == 0 else "bottom"
        how: dict[str, Any] = {"va": beside, "color": colour, "fontsize": SMALL, "weight": "bold"}
        axes.annotate(labels[place], (x, y), (6, 0), textcoords="offset points", **how)


def _last(view: _View) -> dict[str, rows.Row]:
    """Return the last point of each line that has one."""
    return {name: line[-1] for name, line in view.lines.items() if line[-1] is not None and not missing_words(line[-1])}


def _finding(views: Sequence[_View], metric: Metric, last: Period, form: Format) -> str:
    """Say where the metric stands, short and long."""
    parts = []
    for view in views:
        for name, row in _last(view).items():
            value = form.value(row["estimate"], metric.unit)
            if row["at"] != seasonal.ADJUSTED:  # its pattern is an estimate, too: nothing for a title
                parts.append(f"{value}{f' over {name}' if name else f' in {last.title}'}")
    return f"{metric.title}: {', '.join(parts)}" if parts else f"{metric.title}: no figure in {last.title}"


def _subtitle(views: Sequence[_View], periods: Sequence[Period], metric: Metric, form: Format) -> str:
    """Say what is drawn and how to read it."""
    told = [f"{rows.span_title(periods)}. Line: estimate, band: interval; the same scale throughout."]
    if metric.target is not None:
        told.append(f"Dotted: target {form.value(metric.target, metric.unit)}.")
    kind = periods[0].kind
    if any(len(view.lines) > 1 or "" not in view.lines for view in views):
        told.append(f"Neighbouring points of a rolling line share {kind}s: a smooth rise is not many findings.")
    if any(_last(view).get("", {}).get("at") == seasonal.ADJUSTED for view in views):
        told.append("The season that is taken out is itself estimated.")
    points = [point for view in views for line in view.lines.values() for point in line if len(view.lines) == 1]
    told += [f"{style.MARKS}."] if any(missing_words(point) for point in points) else []
    return " ".join(told)


def _alt(finding: str, views: Sequence[_View], metric: Metric, periods: Sequence[Period], form: Format) -> str:
    """Return the chart in words."""
    told = []
    for view in views:
        for name, row in _last(view).items():
            limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
            value = form.value(row["estimate"], metric.unit)
            told.append(
                f"{view.title}{f', {name}' if name else ''}: {value} (interval {limits}) in {periods[-1].title}"
            )
    return f"{finding}. {len(views)} line charts on one scale, {rows.span_title(periods)}. {'; '.join(told)}."
