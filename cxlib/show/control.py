"""Is this month within what the process does by itself? The XmR chart of `measure.control`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from cxlib import results
from cxlib.measure import control
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, MARGIN, SMALL, WIDTH, Chart, Sheet, nothing, themed, width_of, wrap
from cxlib.show.formats import Format, formatting, metric_of, missing_words
from cxlib.show.trends import axis_x, axis_y, mark_gaps

_GAP, _LEFT, _FOOT, _BOLD = 0.34, 0.62, 0.55, 9.5
_BAND, _LABEL = "#f0f0f0", 0.16  # inches between mean and limit that the mean's label needs
_ENDS = {"upper limit": "conf_high", "mean": "estimate", "lower limit": "conf_low"}
# What a flagged point looks like: shape and colour say the same.
_MARKS = {
    control.IMPROVEMENT: ("D", style.BLUE, "◆"),
    control.CONCERN: ("s", style.ORANGE, "■"),
    control.NEITHER: ("^", style.INK, "▲"),
    control.MIXED: ("P", style.INK, "✚"),
}
_CALLED = {control.IMPROVEMENT: "an improvement", control.CONCERN: "a concern", control.NEITHER: "a signal"}


class _Panel(NamedTuple):
    metric: Metric
    name: str
    periods: list[Period]
    points: list[rows.Row | None]
    lines: list[rows.Row | None]
    title: list[str]
    words: list[str]


@themed
def xmr(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One panel a series: points with their intervals, the mean, the process limits, and what the rules flag.

    Parameters
    ----------
    frame
        What `control.xmr` gave; each metric, segment and level in it is a panel.
    metrics
        Metric id -> definition.
    finding, currency, locale
        As in `small_multiples`.
    """
    index = frame[(frame["comparison"] == "index") & (frame["against"] == control.LIMITS) & (frame["period"] != "")]
    keys = list(dict.fromkeys(zip(index["metric"], index["segment"], index["level"], strict=True)))
    if not keys:
        return nothing("the frame holds no control chart", finding)
    form, columns, entries = formatting(currency, locale), min(len(keys), 2), rows.book(frame[frame["at"] == ""])
    width = (WIDTH - 2 * MARGIN + _GAP) / columns - _GAP
    panels = [_panel(entries, index, key, metrics, width) for key in keys]
    if len(panels) == 1:
        panels = [panels[0]._replace(title=[], words=[])] if not finding else [panels[0]._replace(title=[])]
    plot = 3.0 if columns == 1 else 1.8
    bands = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heads = [max((len(p.title) * _BOLD + len(p.words) * SMALL) * LINE + 0.12 for p in band) for band in bands]
    sheet = Sheet(finding or _finding(panels), _subtitle(panels), sum(heads) + len(bands) * (plot + _FOOT))
    top = 0.0
    for band, head in zip(bands, heads, strict=True):
        for column, panel in enumerate(band):
            left = column * (width + _GAP)
            sheet.text(left, top, panel.title, size=_BOLD, weight="bold")
            sheet.text(left, top + len(panel.title) * _BOLD * LINE, panel.words, color=style.GREY)
            axes = sheet.axes(left + _LEFT, top + head, width - _LEFT, plot, label=panel.name)
            _draw(axes, panel, width - _LEFT, plot, form)
        top += head + plot + _FOOT
    return sheet.done(" ".join([f"{sheet.figure.finding}.", *(_sentence(panel, form) for panel in panels)]))


def signal(row: rows.Row | None) -> tuple[str, str]:
    """Return what the rules say of one row against the process limits: its tone and the words; empty where nothing."""
    tone, _, words = (row or {}).get("note", "").partition(": ")
    if tone not in control.TONES:
        return "", ""
    parts = words.split("; ")
    return tone, "; ".join(sorted((_spelled(part) for part in parts), key=lambda part: "in a row" not in part))


def _spelled(words: str) -> str:
    """Return a rule with its first period spelled out, and what a long run means."""
    head, since, label = words.partition(" since ")
    return f"{head}{since}{Period.parse(label).title}: a sign of a lasting change" if since else head


def _panel(
    entries: rows.Book, index: pd.DataFrame, key: tuple[str, str, str], metrics: Mapping[str, Metric], width: float
) -> _Panel:
    """Collect what one panel shows."""
    name, segment, level = key
    metric, own = metric_of(metrics, name), (index["metric"] == name) & (index["segment"] == segment)
    periods = sorted(Period.parse(label) for label in index.loc[own & (index["level"] == level), "period"])
    points = [rows.level(entries, name, str(period), segment=segment, of=level) for period in periods]
    lines = [entries.get(("index", name, str(period), control.LIMITS, segment, level)) for period in periods]
    heading = metric.title if segment == "all" else f"{metric.title}, {level}"
    panel = _Panel(metric, heading, periods, points, lines, wrap(heading, width, _BOLD, bold=True, lines=2), [])
    return panel._replace(words=wrap(_told(panel), width, SMALL, lines=3))


def _told(panel: _Panel) -> str:
    """Say whether the last period is within what the process does, without the name of the metric."""
    last, line = panel.periods[-1].title, panel.lines[-1]
    if missing_words(panel.points[-1]):
        return f"{last} {missing_words(panel.points[-1])}"
    if line is None or missing_words(line):
        return f"too few {panel.periods[-1].kind}s: {(line or {}).get('note', '')}"
    tone, words = signal(line)
    if tone:
        called = f" ({_CALLED.get(tone, 'mixed signals')})"
        return f"{last}: {words}{called}" if "in a row" not in words else f"{words}{called}"
    earlier = sum(bool(signal(row)[0]) for row in panel.lines)
    rest = (
        f"; {earlier} earlier {panel.periods[-1].kind}{'s stand' if earlier > 1 else ' stands'} out" if earlier else ""
    )
    return f"{last} is within what this process does by itself{rest}"


def _finding(panels: Sequence[_Panel]) -> str:
    """Say in one sentence which series do in the last period what they do not by themselves."""
    if len(panels) == 1:
        return f"{panels[0].name}: {_told(panels[0])}"
    last = max(panel.periods[-1] for panel in panels)
    tones = {panel.name: signal(panel.lines[-1])[0] for panel in panels}
    found = [f"{name} ({_CALLED.get(tone, 'mixed signals')})" for name, tone in tones.items() if tone]
    if not found:
        return f"{last.title}: all {len(panels)} series are within what they do by themselves"
    beyond = f"{len(found)} of {len(panels)} series moved beyond what they do by themselves"
    return f"{last.title}: {beyond}: {rows.listed(found)}"


def _subtitle(panels: Sequence[_Panel]) -> str:
    """Say what is drawn and how to read it."""
    longest = max((panel.periods for panel in panels), key=len)
    told = [f"{rows.span_title(longest)}. Dot: estimate, thin line: its interval; grey band: what the process keeps to"]
    told += ["by itself (mean and process limits; every period counts alike, whatever its n)."]
    told += [f"Noise alone flags up to {control.FALSE_ALARMS} in 100 series a {longest[0].kind}."]
    tones = {signal(row)[0] for panel in panels for row in panel.lines} - {""}
    told += [f"{_MARKS[tone][2]} {_CALLED.get(tone, 'mixed signals')}." for tone in control.TONES if tone in tones]
    told += [f"{style.MARKS}."] if any(missing_words(point) for panel in panels for point in panel.points) else []
    methods = {row["method"] for panel in panels for row in panel.lines if row and row["status"] == results.OK}
    return " ".join([*told, *(f"{method}." for method in methods if len(methods) == 1)])


def _draw(axes: Axes, panel: _Panel, width: float, plot: float, form: Format) -> None:
    """Draw one panel of `width` by `plot` inches."""
    line = panel.lines[-1]
    line = None if line is None or missing_words(line) else line
    known = [point for point in panel.points if point is not None and not missing_words(point)]
    ends = [row[name] for row in [*known, *([line] if line else [])] for name in ("estimate", "conf_low", "conf_high")]
    largest = max((abs(end) for end in ends if math.isfinite(end)), default=0.0)
    name, factor = form.axis(panel.metric.unit, largest)
    labels = [f"{word} {form.short(line[end], panel.metric.unit)}" for word, end in _ENDS.items()] if line else []
    axis_x(axes, panel.periods, width, max([width_of(label, SMALL) for label in labels], default=0.2) + 0.12)
    _points(axes, panel, factor)
    axis_y(axes, name, form)
    _lines(axes, line, labels, factor, plot)
    axes.grid(visible=False)
    mark_gaps(axes, panel.points)


def _lines(axes: Axes, line: rows.Row | None, labels: Sequence[str], factor: float, plot: float) -> None:
    """Draw mean and limits with their names to the right; `plot` is the height in inches."""
    if line is None:
        return
    low, mean, high = (line[name] * factor for name in ("conf_low", "estimate", "conf_high"))
    axes.axhspan(low, high, color=_BAND, linewidth=0, zorder=0)
    axes.autoscale_view()
    bottom, top = axes.get_ylim()
    apart = (high - mean) / (top - bottom) * plot
    for name, label in zip(_ENDS.values(), labels, strict=True):
        dashes: Any = (None, None) if name == "estimate" else (5, 3)
        axes.axhline(line[name] * factor, color=style.GREY, linewidth=0.9, dashes=dashes, zorder=1)
        lower = name == "conf_low"
        how: dict[str, Any] = {"ha": "right", "va": "top" if lower else "bottom", "fontsize": 7.5, "color": style.GREY}
        if apart > _LABEL or name != "estimate":
            spot, away = (1, line[name] * factor), (0, -2 if lower else 1.5)
            axes.annotate(label, spot, away, ("axes fraction", "data"), "offset points", **how)


def _points(axes: Axes, panel: _Panel, factor: float) -> None:
    """Draw the points with their intervals; what is flagged by shape and colour."""
    value = [math.nan if point is None else point["estimate"] * factor for point in panel.points]
    axes.plot(range(len(value)), value, "-", color=style.GREY, linewidth=1, zorder=2)
    for place, (point, line) in enumerate(zip(panel.points, panel.lines, strict=True)):
        if point is None or missing_words(point):
            continue
        shape, colour, _ = _MARKS.get(signal(line)[0], ("o", style.GREY, ""))
        axes.vlines(place, point["conf_low"] * factor, point["conf_high"] * factor, color=style.SKY, linewidth=1.6)
        size = 4.0 if shape == "o" else 6.5
        axes.plot(place, value[place], shape, color=colour, markersize=size, markeredgecolor=style.PAPER, zorder=3)


def _sentence(panel: _Panel, form: Format) -> str:
    """Return one panel in words, with its numbers."""
    unit, point, line = panel.metric.unit, panel.points[-1], panel.lines[-1]
    told = [f"{panel.name}, control chart, {rows.span_title(panel.periods)}: {_told(panel)}"]
    if point is not None and not missing_words(point):
        limits = form.interval(point["conf_low"], point["conf_high"], unit)
        told += [f"last value {form.value(point['estimate'], unit)} (interval {limits})"]
    if line is not None and not missing_words(line):
        limits = form.interval(line["conf_low"], line["conf_high"], unit)
        told += [f"mean {form.value(line['estimate'], unit)}, process limits {limits}"]
    told += [f"earlier: {words}" for words in [", ".join(_earlier(panel))] if words]
    gaps = sum(bool(missing_words(row)) for row in panel.points)
    return "; ".join(told) + (f"; {gaps} of {len(panel.points)} periods without a figure." if gaps else ".")


def _earlier(panel: _Panel) -> list[str]:
    """Return what stood out before the last period, each run once."""
    found: dict[str, None] = {}
    now = signal(panel.lines[-1])[1].split("; ")
    for period, row in zip(panel.periods[:-1], panel.lines[:-1], strict=True):
        tone, words = signal(row)
        for part in filter(None, words.split("; ")):
            run = "in a row" in part
            if not (run and part in now):
                found[f"{part if run else f'{period.title} {part}'} ({_CALLED.get(tone, 'mixed signals')})"] = None
    return list(found)
