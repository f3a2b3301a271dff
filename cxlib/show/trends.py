"""How did it move? One small panel a metric over the last periods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, MARGIN, SMALL, WIDTH, Chart, Sheet, Ticks, nothing, themed, width_of, wrap
from cxlib.show.formats import Format, formatting, metric_of, missing_words

_GAP, _LEFT, _FOOT = 0.34, 0.5, 0.55
_PER_LABEL = 0.44  # inches that the label of a period takes
_BOLD = 9.5


class _Panel(NamedTuple):
    metric: Metric
    points: list[rows.Row | None]
    title: list[str]
    words: list[str]


@themed
def small_multiples(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    periods: Sequence[str] | None = None,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One panel a metric: line with interval band, last value, target; hidden periods are gaps with a mark.

    Parameters
    ----------
    frame
        Result frame; the rows of the whole (`segment = level = "all"`) are drawn, in the frame's order of metrics.
        Difference rows against the period before, where present, decide what the titles say.
    metrics
        Metric id -> definition.
    periods
        Labels of the periods to draw; default the last 13 without a gap.
    finding
        Title in place of the one made from the frame.
    currency, locale
        Of amounts and numbers; default what `formats.use` set, which a run does from `workspace.yml`.
    """
    whole = frame[(frame["segment"] == "all") & frame["comparison"].isin(["level", "difference"])]
    shown = [Period.parse(label) for label in periods] if periods else rows.span(whole)
    names, _ = rows.with_data(whole, shown)
    if not names:
        return nothing("the frame holds no estimates over time", finding)
    form, columns = formatting(currency, locale), _columns(len(names))
    width = (WIDTH - 2 * MARGIN + _GAP) / columns - _GAP
    entries = rows.book(whole)
    panels = [_panel(entries, metric_of(metrics, name), shown, width, form) for name in names]
    if len(panels) == 1 and not finding:
        panels = [panels[0]._replace(words=[])]  # the finding says it
    bands = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heads = [max(_head(panel) for panel in band) for band in bands]
    plot, room = 1.25 if columns > 2 else 1.9, _room(panels, form)
    body = sum(heads) + len(bands) * (plot + _FOOT)
    sheet = Sheet(finding or _finding(entries, metrics, names, shown, form), _subtitle(panels, shown), body)
    top = 0.0
    for band, head in zip(bands, heads, strict=True):
        for column, panel in enumerate(band):
            left = column * (width + _GAP)
            _heading(sheet, panel, left, top)
            axes = sheet.axes(left + _LEFT, top + head, width - _LEFT, plot, label=panel.metric.id)
            axis_x(axes, shown, width - _LEFT, room)
            _draw(axes, panel, form)
        top += head + plot + _FOOT
    return sheet.done(_alt(sheet.figure.finding, panels, shown, form))


def _columns(count: int) -> int:
    """Return how many panels stand side by side."""
    return 2 if count == 4 else min(count, 3)


def _panel(frame: rows.Book, metric: Metric, shown: Sequence[Period], width: float, form: Format) -> _Panel:
    """Collect what one panel shows."""
    points = [rows.level(frame, metric.id, str(period)) for period in shown]
    title = wrap(metric.title, width, _BOLD, bold=True, lines=2)
    words = wrap(rows.movement(frame, metric, shown[-1], form), width, SMALL, lines=3)
    return _Panel(metric, points, title, words)


def _head(panel: _Panel) -> float:
    """Return the height of a panel's heading, inches."""
    return (len(panel.title) * _BOLD + len(panel.words) * SMALL) * LINE + 0.12


def _room(panels: Sequence[_Panel], form: Format) -> float:
    """Return the inches that the last values need, the same in every panel so that the months stand in line."""
    return max(width_of(label, SMALL, True) for label in [_last(panel, form) for panel in panels]) + 0.12


def _last(panel: _Panel, form: Format) -> str:
    """Return the label of the last point, empty where there is none."""
    last = panel.points[-1]
    return "" if last is None or missing_words(last) else form.short(last["estimate"], panel.metric.unit)


def _heading(sheet: Sheet, panel: _Panel, left: float, top: float) -> None:
    """Write title and movement above a panel."""
    sheet.text(left, top, panel.title, size=_BOLD, weight="bold")
    sheet.text(left, top + len(panel.title) * _BOLD * LINE, panel.words, color=style.GREY)


def _draw(axes: Axes, panel: _Panel, form: Format) -> None:
    """Draw one panel, or say why there is nothing in it."""
    known = [p for p in panel.points if p is not None and not missing_words(p)]
    if known:
        _series(axes, panel, known, _last(panel, form), form)
    else:
        axes.set_yticks([])
        axes.set_ylabel(form.axis(panel.metric.unit, 0)[0], fontsize=7.5)
        words = missing_words(panel.points[-1])
        axes.text(0.5, 0.55, words, transform=axes.transAxes, ha="center", color=style.GREY, fontsize=SMALL)
    mark_gaps(axes, panel.points)


def _series(axes: Axes, panel: _Panel, known: Sequence[rows.Row], label: str, form: Format) -> None:
    """Draw line, band, last value and target."""
    unit, target = panel.metric.unit, panel.metric.target
    ends = [abs(p[name]) for p in known for name in ("estimate", "conf_low", "conf_high")] + [abs(target or 0)]
    name, factor = form.axis(unit, max(end for end in ends if math.isfinite(end)))
    value, low, high = (
        [math.nan if p is None else p[column] * factor for p in panel.points]
        for column in ("estimate", "conf_low", "conf_high")
    )
    places, last = range(len(panel.points)), len(panel.points) - 1
    axes.fill_between(places, low, high, color=style.SKY, alpha=0.35, linewidth=0)
    alone = [i for i in places if all(math.isnan(edge) for edge in (*low[max(i - 1, 0) : i], *low[i + 1 : i + 2]))]
    axes.vlines(alone, [low[i] for i in alone], [high[i] for i in alone], color=style.SKY, alpha=0.6, linewidth=3)
    axes.plot(places, value, "-o", color=style.BLUE, linewidth=1.6, markersize=2.5)
    if target is not None:
        axes.axhline(target * factor, color=style.INK, linewidth=1, dashes=(4, 3))
        axes.annotate("target", (0.01, target * factor), (0, 2), ("axes fraction", "data"), "offset points", fontsize=7)
    if label:
        axes.vlines(last, low[-1], high[-1], color=style.BLUE, linewidth=1.2)
        axes.plot(last, value[-1], "o", color=style.BLUE, markersize=5.5)
        how: dict[str, Any] = {"va": "center", "fontsize": SMALL, "weight": "bold", "color": style.BLUE}
        axes.annotate(label, (last, value[-1]), (6, 0), textcoords="offset points", **how)
    axis_y(axes, name, form)


def axis_y(axes: Axes, name: str, form: Format) -> None:
    """Label the value axis with its unit."""
    axes.margins(y=0.12)
    axes.set_ylabel("\n".join(wrap(name, 1.25, 7.5)), fontsize=7.5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def axis_x(axes: Axes, shown: Sequence[Period], width: float, room: float) -> None:
    """Label as many periods as fit, the last one always; `room` of the width stays free for the last value."""
    count = len(shown)
    axes.set_xlim(-0.5, (count - 0.5) * width / (width - room) - 0.5 if count > 1 else 1.0)
    least = max(1, math.ceil(count * _PER_LABEL / (width - room)))
    step = next(s for s in range(least, least + count) if (count - 1) % s == 0)  # so that the first has its label too
    step = step if step <= 2 * least else least
    ticks = list(range(count - 1, -1, -step))[::-1]
    labels, year = [], ""
    for tick in ticks:
        head, this = _short(shown[tick])
        labels.append(head if this == year else f"{head}\n{this}")
        year = this
    axes.set_xticks(ticks, labels)
    axes.set_xlabel("")


def _short(period: Period) -> tuple[str, str]:
    """Return `Oct`, `2026` (`Q3`, `W40` alike)."""
    year, _, rest = str(period).partition("-")
    return (period.short if period.kind == "month" else rest), year


def mark_gaps(axes: Axes, points: Sequence[rows.Row | None]) -> None:
    """Mark the periods without a number: hollow where hidden or too few, a cross where there is none."""
    how: dict[str, Any] = {"markerfacecolor": style.PAPER, "markeredgecolor": style.GREY, "markersize": 5}
    for place, point in enumerate(points):
        if missing_words(point):
            few = point is not None and point["status"] in (results.SUPPRESSED, results.TOO_FEW)
            spot = {"transform": axes.get_xaxis_transform(), "clip_on": False, "zorder": 4, **how}
            axes.plot(place, 0.05, "o" if few else "x", **spot)


def _subtitle(panels: Sequence[_Panel], shown: Sequence[Period]) -> str:
    """Say what is drawn and how to read it."""
    told = "Line: estimate, band: interval"
    told += ", dashed: target" if any(panel.metric.target is not None for panel in panels) else ""
    gaps = any(missing_words(point) for panel in panels for point in panel.points)
    return f"{rows.span_title(shown)}. {told}. {style.MARKS if gaps else ''}".strip()


def _finding(
    frame: rows.Book, metrics: Mapping[str, Metric], names: Sequence[str], shown: Sequence[Period], form: Format
) -> str:
    """Say in one sentence what moved, as the frame's verdicts have it."""
    last, before = shown[-1], shown[-1].previous()
    if len(names) == 1:
        metric = metric_of(metrics, names[0])
        return f"{metric.title}: {rows.movement(frame, metric, last, form)}"
    found = rows.tally(frame, metrics, last, str(before))
    moved, still = found["up"] + found["down"], len(found["flat"])
    if not moved and not still:
        return f"{len(names)} metrics, {rows.span_title(shown)}"
    few = f", {len(found['few'])} with too few answers to tell" if found["few"] else ""
    if not moved:
        return f"No change shown in {last.title} against {before.title} for any of {still} metrics{few}"
    rest = f"; no change shown for {still} more{few}" if still else ""
    if len(moved) <= 4:
        parts = [f"{rows.listed(found[way])} {word}" for way, word in (("up", "rose"), ("down", "fell")) if found[way]]
        return f"{' and '.join(parts)} in {last.title}{rest}"
    told = [f"{len(found[tone])} for the {tone}" for tone in (rows.BETTER, rows.WORSE) if found[tone]]
    return f"{len(moved)} metrics moved in {last.title}: {rows.listed(told)}{rest}"


def _alt(finding: str, panels: Sequence[_Panel], shown: Sequence[Period], form: Format) -> str:
    """Return the chart in words: what, period, last value with interval, against the first."""
    head = f"{finding}. {len(panels)} line chart{'s' * (len(panels) > 1)}, {rows.span_title(shown)}, with intervals."
    return " ".join([head, *(_sentence(panel, shown, form) for panel in panels)])


def _sentence(panel: _Panel, shown: Sequence[Period], form: Format) -> str:
    """Return one panel in a sentence."""
    metric, unit, last, first = panel.metric, panel.metric.unit, panel.points[-1], panel.points[0]
    if last is None or missing_words(last):
        return f"{metric.title}: {missing_words(last)} in {shown[-1].title}."
    told = f"{metric.title}: {form.value(last['estimate'], unit)}"
    told += f" (interval {form.interval(last['conf_low'], last['conf_high'], unit)}) in {shown[-1].title}"
    if len(shown) > 1 and first is not None and not missing_words(first):
        told += f", after {form.value(first['estimate'], unit)} in {shown[0].title}"
    told += f"; target {form.value(metric.target, unit)}" if metric.target is not None else ""
    gaps = sum(bool(missing_words(point)) for point in panel.points)
    return told + (f"; {gaps} of {len(shown)} periods without a figure." if gaps else ".")
