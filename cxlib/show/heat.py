"""Where in the journey? Touchpoint by stage, one coloured cell a touchpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle

from cxlib import results
from cxlib.params.models import Metric, Touchpoint
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, missing_words, one_metric, shortened

_ENDS = ("estimate", "conf_low", "conf_high")
GROUPS: tuple[str, ...] = get_args(Touchpoint.model_fields["group"].annotation)
STAGES: tuple[str, ...] = get_args(Touchpoint.model_fields["stage"].annotation)
_GROUP, _NAME, _CELL, _HIGH, _GAP = 0.85, 2.05, 1.32, 0.46, 0.14  # inches: columns, a cell, between the groups


class _Scale(NamedTuple):
    colours: Colormap
    norm: Normalize
    worse_first: bool


@themed
def heatmap(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    touchpoints: Mapping[str, Touchpoint],
    period: str | None = None,
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Touchpoints, grouped before / during / after / service, by journey stage; value and n in each cell.

    Touchpoints where this metric is not measured are left out and named beneath. Hatched: hidden or not available.
    Colours run from worse to better around the target; without target or direction from low to high.

    Parameters
    ----------
    frame
        Result frame with the metric's rows of segment `touchpoint` (levels are touchpoint ids).
    metrics
        The metric to show, or all by id.
    touchpoints
        The taxonomy, id -> touchpoint; levels that it lacks are listed beneath.
    period
        Label of the period; default the latest.
    metric
        Id of the metric to show; needed only where the frame holds several.
    finding, currency, locale
        As in `small_multiples`.

    Raises
    ------
    UsageError
        Where the frame holds several metrics and none is named.
    """
    if frame.empty:
        return nothing("the frame holds no touchpoints", finding)
    shown = one_metric(metrics, metric, rows.ids(frame))
    mine = frame[(frame["metric"] == shown.id) & (frame["comparison"] == "level") & (frame["segment"] == "touchpoint")]
    last = Period.parse(period) if period else rows.latest(mine)
    cells = {row["level"]: row for row in rows.ranked(mine[mine["period"] == str(last)], shown, len(mine))}
    if last is None or not cells:
        return nothing(f"the frame holds no touchpoints for {shown.title}", finding)
    form, groups = formatting(currency, locale), _grouped({n: p for n, p in touchpoints.items() if n in cells})
    strangers = [_said(row, row["level"], shown, form) for name, row in cells.items() if name not in touchpoints]
    silent = [point.title for name, point in touchpoints.items() if name not in cells]
    told = [f"Not placed in the journey: {'; '.join(strangers)}." if strangers else ""]
    told.append(f"Not measured at: {', '.join(silent)}." if silent else "")
    note = wrap(" ".join(told).strip(), 9.6, SMALL)
    height = sum(len(group) * _HIGH + _GAP for group in groups.values())
    title = finding or _extremes(cells, touchpoints, shown, form)
    sheet = Sheet(title, _read(shown, last), height + 0.85 + len(note) * SMALL * LINE)
    scale = _scale((row for name, row in cells.items() if name in touchpoints), shown)
    _stages(sheet)
    top = 0.28
    for name, group in groups.items():
        _group(sheet, name, group, top)
        axes = sheet.axes(_GROUP + _NAME, top, _CELL * len(STAGES), len(group) * _HIGH, label=name)
        _cells(axes, group, cells, scale, shown, form)
        top += len(group) * _HIGH + _GAP
    _legend(sheet, scale, shown, top, form)
    sheet.text(0, top + 0.5, note, color=style.GREY)
    return sheet.done(_alt(sheet.figure.finding, groups, cells, shown, last, form))


def _read(metric: Metric, last: Period) -> str:
    """Say how to read it."""
    return f"{metric.title}, {last.title}. Hatched: hidden, too few answers or not available."


def _grouped(touchpoints: Mapping[str, Touchpoint]) -> dict[str, list[Touchpoint]]:
    """Return the touchpoints of each group that has any, ordered by stage as in the journey."""
    found = {g: [t for t in touchpoints.values() if t.group == g] for g in GROUPS}
    return {g: sorted(group, key=lambda t: STAGES.index(t.stage)) for g, group in found.items() if group}


def _scale(cells: Iterable[rows.Row], metric: Metric) -> _Scale:
    """Return colours and range: around the target where there is one to be better or worse than.

    The range holds the intervals, so that a difference within the noise is pale.
    """
    known = [row[end] for row in cells if not missing_words(row) for end in _ENDS if math.isfinite(row[end])]
    low, high = min(known, default=0.0), max(known, default=1.0)
    lower = metric.higher_is_better is False
    if metric.target is None or metric.higher_is_better is None:
        return _Scale(style.SEQUENTIAL, Normalize(low, high if high > low else low + 1), False)
    half = max(abs(low - metric.target), abs(high - metric.target)) or 1.0
    colours = style.DIVERGING.reversed() if lower else style.DIVERGING
    return _Scale(colours, Normalize(metric.target - half, metric.target + half), lower)


def _stages(sheet: Sheet) -> None:
    """Write the column heads."""
    for place, stage in enumerate(STAGES):
        middle = _GROUP + _NAME + (place + 0.5) * _CELL
        sheet.text(middle, 0, stage.capitalize(), ha="center", weight="bold", color=style.GREY)


def _group(sheet: Sheet, name: str, group: Sequence[Touchpoint], top: float) -> None:
    """Write a group's name and its touchpoints."""
    sheet.text(0, top + 0.13, name.capitalize(), size=9.5, weight="bold")
    for place, touchpoint in enumerate(group):
        lines = wrap(touchpoint.title, _NAME - 0.15, SMALL, lines=2)
        middle = top + (place + 0.5) * _HIGH - len(lines) * SMALL * LINE / 2
        sheet.text(_GROUP, middle, lines)


def _cells(
    axes: Axes, group: Sequence[Touchpoint], cells: Mapping[str, rows.Row], scale: _Scale, metric: Metric, form: Format
) -> None:
    """Draw one group: a row a touchpoint, a cell where its stage is."""
    axes.set(xlim=(0, len(STAGES)), ylim=(len(group), 0), xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.hlines(range(len(group) + 1), 0, len(STAGES), color=style.RULE, linewidth=0.6)
    for down, touchpoint in enumerate(group):
        across, row = STAGES.index(touchpoint.stage), cells.get(touchpoint.id)
        words = missing_words(row)
        box: dict[str, Any] = {"xy": (across + 0.03, down + 0.05), "width": 0.94, "height": 0.9}
        spot = (across + 0.5, down + 0.5)
        if row is None or words:
            axes.add_patch(Rectangle(**box, facecolor="#f4f4f4", hatch="////", linewidth=0))
            told = "hidden" if row is not None and row["status"] == results.SUPPRESSED else words
            paper: dict[str, Any] = {"facecolor": "#f4f4f4", "edgecolor": "none", "pad": 1.5}
            axes.text(*spot, told, ha="center", va="center", fontsize=7.5, color=style.GREY, bbox=paper)
            continue
        colour = scale.colours(scale.norm(row["estimate"]))
        ink = style.text_on(colour)
        axes.add_patch(Rectangle(**box, facecolor=colour, linewidth=0))
        value = form.short(row["estimate"], metric.unit)
        axes.text(spot[0], down + 0.37, value, ha="center", va="center", fontsize=9, weight="bold", color=ink)
        axes.text(spot[0], down + 0.74, f"n {form.count(row['n'])}", ha="center", va="center", fontsize=7, color=ink)


def _legend(sheet: Sheet, scale: _Scale, metric: Metric, top: float, form: Format) -> None:
    """Draw the colours with their values; the target in the middle, the better end to the right."""
    axes = sheet.axes(_GROUP + _NAME, top + 0.08, 2 * _CELL, 0.12, label="legend")
    low, high = scale.norm.vmin or 0.0, scale.norm.vmax or 0.0
    name, factor = form.axis(metric.unit, max(abs(low), abs(high)))
    ramp = [[low + (high - low) * step / 10 for step in range(11)]]
    axes.imshow(ramp, cmap=scale.colours, norm=scale.norm, aspect="auto", extent=(low * factor, high * factor, 0, 1))
    axes.set(yticks=[])
    if scale.worse_first:
        axes.invert_xaxis()
    for side in axes.spines.values():
        side.set_visible(False)
    aimed = metric.target is not None and metric.higher_is_better is not None
    middle = [metric.target * factor] if aimed and metric.target is not None else []
    places = [low * factor, *middle, high * factor]
    axes.set_xticks(places, [form.number(place, 1 if max(map(abs, places)) >= 10 else 2) for place in places])
    words = f"{name}; middle: target; worse on the left, better on the right" if aimed else name
    sheet.text(_GROUP + _NAME + 2 * _CELL + 0.2, top + 0.06, words, color=style.GREY, size=8)


def _extremes(
    cells: Mapping[str, rows.Row], touchpoints: Mapping[str, Touchpoint], metric: Metric, form: Format
) -> str:
    """Say where it is best and where worst, if their intervals lie apart."""
    known = [row for name, row in cells.items() if name in touchpoints and not missing_words(row)]
    if not known:
        return f"{metric.title} by touchpoint: no figure may be shown"
    first, last = (_named(row, touchpoints, metric, form) for row in (known[0], known[-1]))
    if len(known) == 1:
        return f"{metric.title}: {first}"
    if not rows.apart(known[0], known[-1]):
        return f"{metric.title}: no touchpoint stands out, the intervals of all {len(known)} overlap"
    high, low = ("highest", "lowest") if metric.higher_is_better is None else ("best", "worst")
    return f"{metric.title}: {high} at {first}, {low} at {last}"


def _named(row: rows.Row, touchpoints: Mapping[str, Touchpoint], metric: Metric, form: Format) -> str:
    """Return `Delivery (80.8 %)`."""
    return f"{shortened(touchpoints[row['level']].title)} ({form.value(row['estimate'], metric.unit)})"


def _said(row: rows.Row | None, title: str, metric: Metric, form: Format) -> str:
    """Return `Delivery 80.8 % (n 151)`, or the words for no number."""
    if row is None or missing_words(row):
        return f"{title}: {missing_words(row)}"
    return f"{title} {form.value(row['estimate'], metric.unit)} (n {form.count(row['n'])})"


def _alt(
    finding: str,
    groups: Mapping[str, Sequence[Touchpoint]],
    cells: Mapping[str, rows.Row],
    metric: Metric,
    last: Period,
    form: Format,
) -> str:
    """Return the heat map in words."""
    told = [
        f"{name.capitalize()}: {'; '.join(_said(cells.get(t.id), t.title, metric, form) for t in group)}."
        for name, group in groups.items()
    ]
    return " ".join([f"{finding}. Heat map of touchpoints by journey stage, {last.title}.", *told])
