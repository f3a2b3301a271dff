"""Where do we stand? Dots with intervals: metrics against their targets, and the levels of one segment."""

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
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, Ticks, nothing, themed, width_of, wrap
from cxlib.show.formats import Format, formatting, metric_of, missing_words, one_metric, shortened

_TITLE_AT, _PLOT_AT, _VALUE_AT, _WORDS_AT, _END = 0.0, 2.75, 6.05, 7.95, 9.64  # inches, columns of `headline`
_MARKS = {rows.BETTER: ("o", style.BLUE), rows.WORSE: ("s", style.ORANGE), rows.FLAT: ("o", style.PAPER)}
_MOST_LEVELS = 40


@themed
def headline(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: str | None = None,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a metric with an answer: estimate and interval against its target; better is always to the right.

    Parameters
    ----------
    frame
        Result frame; rows of the whole. Difference rows with `against = "target"` give the verdicts.
    metrics
        Metric id -> definition.
    period
        Label of the period; default the latest.
    finding, currency, locale
        As in `small_multiples`.
    """
    whole = frame[frame["segment"] == "all"]
    last = Period.parse(period) if period else rows.latest(whole)
    names, _ = rows.with_data(whole, [last] if last else [])
    if last is None or not names:
        return nothing(f"the frame holds no estimates{f' of {last.title}' if last else ''}", finding)
    entries, form, shown = rows.book(whole), formatting(currency, locale), [metric_of(metrics, name) for name in names]
    titles = [wrap(metric.title, _PLOT_AT - 0.2, 9.5, bold=True, lines=3) for metric in shown]
    heights = [max(0.64, len(title) * 9.5 * LINE + 0.2) for title in titles]
    sheet = Sheet(finding or _against_target(entries, metrics, last), _READ, sum(heights) + 0.35)
    top, told = _heads(sheet, last), []
    for metric, title, height in zip(shown, titles, heights, strict=True):
        row = rows.level(entries, metric.id, str(last))
        shape, words, tone = rows.verdict(rows.change(entries, metric.id, str(last), "target"), metric)
        _headline_row(sheet, row, metric, (top, height), tone if shape else "")
        _headline_text(sheet, row, metric, (top, title, f"{shape} {words}".strip(), tone), form)
        sheet.rule(top)
        told.append(_said(row, metric, words, form))
        top += height
    return sheet.done(" ".join([f"{sheet.figure.finding}. Estimates with intervals, {last.title}.", *told]))


_READ = (
    "Dot: estimate, line: interval, upright: target. Better is to the right; each row has its own scale. "
    "● better, ■ worse, ○ neither shown."
)


def _heads(sheet: Sheet, period: Period) -> float:
    """Write the column heads and return the height they take."""
    how: dict[str, Any] = {"color": style.GREY, "size": 8}
    middle = (_PLOT_AT + _VALUE_AT - 0.25) / 2
    sheet.text(_PLOT_AT, 0, "← worse", **how)
    sheet.text(middle, 0, "target", ha="center", **how)
    sheet.text(_VALUE_AT - 0.25, 0, "better →", ha="right", **how)
    sheet.text(_VALUE_AT, 0, period.title, **how)
    sheet.text(_WORDS_AT, 0, "Against target", **how)
    return 0.25


def _headline_row(sheet: Sheet, row: rows.Row | None, metric: Metric, place: tuple[float, float], tone: str) -> None:
    """Draw dot, interval and target of one metric on axes of its own."""
    axes = sheet.axes(_PLOT_AT, place[0], _VALUE_AT - 0.25 - _PLOT_AT, place[1], label=metric.id)
    axes.set(ylim=(-1, 1), xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    if row is None or missing_words(row):
        return
    ends = [row[name] for name in ("estimate", "conf_low", "conf_high") if math.isfinite(row[name])]
    middle = row["estimate"] if metric.target is None else metric.target
    half = max(abs(end - middle) for end in ends) * (1.12 if metric.target is not None else 2.5) or 1.0
    left, right = middle - half, middle + half
    axes.set_xlim((right, left) if metric.higher_is_better is False else (left, right))
    if metric.target is not None:
        axes.axvline(metric.target, color=style.INK, linewidth=1.2)
    mark, face = _MARKS.get(tone, ("o", style.INK))
    line = style.TONES.get(tone, style.INK)
    axes.hlines(0, row["conf_low"], row["conf_high"], color=line, linewidth=2.2)
    axes.plot(row["estimate"], 0, mark, markersize=8, markerfacecolor=face, markeredgecolor=line, markeredgewidth=1.8)


def _headline_text(
    sheet: Sheet, row: rows.Row | None, metric: Metric, words: tuple[float, list[str], str, str], form: Format
) -> None:
    """Write title, value with interval, and verdict with target of one row."""
    top, title, verdict, tone = words
    grey: dict[str, Any] = {"color": style.GREY, "size": 8}
    top += 0.08
    sheet.text(_TITLE_AT, top, title, size=9.5, weight="bold")
    if row is None or missing_words(row):
        sheet.text(_VALUE_AT, top, missing_words(row), style="italic", **grey)
    else:
        sheet.text(_VALUE_AT, top, form.short(row["estimate"], metric.unit), size=10.5, weight="bold")
        limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
        sheet.text(_VALUE_AT, top + 0.2, wrap(limits, _WORDS_AT - _VALUE_AT - 0.1, 8, lines=2), **grey)
    target = "no target" if metric.target is None else f"target {form.short(metric.target, metric.unit)}"
    told = wrap(verdict, _END - _WORDS_AT, SMALL, lines=2)
    sheet.text(_WORDS_AT, top, told, color=style.TONES[tone])
    sheet.text(_WORDS_AT, top + (0.2 if told else 0) + max(len(told) - 1, 0) * SMALL * LINE, target, **grey)


def _against_target(entries: rows.Book, metrics: Mapping[str, Metric], last: Period) -> str:
    """Say who is better and who is worse than target, as the frame's verdicts have it."""
    found, parts = rows.tally(entries, metrics, last, "target"), []
    for names, word in ((found[rows.BETTER], "better"), (found[rows.WORSE], "worse")):
        who = rows.listed(names) if len(names) <= 3 else f"{len(names)} metrics"
        parts += [f"{who} {'is' if len(names) == 1 else 'are'} {word} than target"] if names else []
    parts += [f"no difference from target shown for {len(found['flat'])}"] if found["flat"] else []
    told = "; ".join(parts) or "Headline metrics"
    return f"{last.title}: {told}"


def _said(row: rows.Row | None, metric: Metric, words: str, form: Format) -> str:
    """Return one estimate in a sentence."""
    if row is None or missing_words(row):
        return f"{metric.title}: {missing_words(row)}."
    value, limits = form.value(row["estimate"], metric.unit), (row["conf_low"], row["conf_high"])
    target = f"; target {form.value(metric.target, metric.unit)}" if metric.target is not None else ""
    words = f", {words}" if words else ""
    return f"{metric.title}: {value} (interval {form.interval(*limits, metric.unit)}){target}{words}."


@themed
def interval_bars(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    segment: str = "",
    period: str | None = None,
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a level of a segment, the best on top: dot, interval, n; the whole as a line.

    Parameters
    ----------
    frame
        Result frame with the metric's rows by level, and of the whole if it is to be drawn.
    metrics
        The metric to show, or all by id.
    segment
        Which segment; needed only where the frame holds several.
    metric
        Id of the metric to show; needed only where the frame holds several.
    period
        Label of the period; default the latest.
    finding, currency, locale
        As in `small_multiples`.

    Raises
    ------
    UsageError
        Where the frame holds several segments or metrics and none is named.
    """
    if frame.empty:
        return nothing("the frame holds no levels of a segment", finding)
    shown = one_metric(metrics, metric, rows.ids(frame))
    mine = frame[(frame["metric"] == shown.id) & (frame["comparison"] == "level")]
    last = Period.parse(period) if period else rows.latest(mine)
    name = rows.segment_of(mine, segment)
    found = mine[(mine["period"] == str(last)) & (mine["segment"] == name) & (name != "all")]
    if last is None or found.empty:
        return nothing(
            f"the frame holds no levels of {name if name != 'all' else 'a segment'} for {shown.title}", finding
        )
    kept, form = rows.ranked(found, shown, _MOST_LEVELS), formatting(currency, locale)
    whole = rows.level(mine, shown.id, str(last))
    whole = None if missing_words(whole) else whole
    sheet, axes = _levels_sheet(kept, finding or _spread(kept, shown, name, whole, form), last, len(found))
    _levels(axes, kept, whole, shown, form)
    return sheet.done(_levels_alt(sheet.figure.finding, kept, shown, last, form))


def _levels_sheet(kept: Sequence[rows.Row], finding: str, last: Period, count: int) -> tuple[Sheet, Axes]:
    """Return the sheet and the axes with the names of the levels."""
    labels = [wrap(row["level"], 2.9, SMALL, lines=2) for row in kept]
    left = max(width_of(line, SMALL) for label in labels for line in label or [""]) + 0.2
    height = 0.46 if any(len(label) > 1 for label in labels) else 0.34
    more = f" The {count - len(kept)} smallest levels are not drawn." if count > len(kept) else ""
    marks = f" {style.MARKS}." if any(missing_words(row) for row in kept) else ""
    told = f"{last.title}. Dot: estimate, line: interval, n: answers.{marks}{more}"
    sheet = Sheet(finding, told, len(kept) * height + 0.85)
    axes = sheet.axes(left, 0.3, 7.6 - left, len(kept) * height, label="levels")
    axes.set_ylim(len(kept) - 0.5, -0.5)
    axes.set_yticks(range(len(kept)), ["\n".join(label) for label in labels], fontsize=SMALL, color=style.INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return sheet, axes


def _levels(axes: Axes, kept: Sequence[rows.Row], whole: rows.Row | None, metric: Metric, form: Format) -> None:
    """Draw the rows of `interval_bars`."""
    known = [row for row in [*kept, *([whole] if whole else [])] if not missing_words(row)]
    ends = [abs(row[end]) for row in known for end in ("estimate", "conf_low", "conf_high") if math.isfinite(row[end])]
    name, factor = form.axis(metric.unit, max(ends, default=0))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    if whole:
        axes.axvline(whole["estimate"] * factor, color=style.INK, linewidth=1, dashes=(4, 3))
        how: dict[str, Any] = {
            "xycoords": ("data", "axes fraction"),
            "textcoords": "offset points",
            "ha": "center",
            "fontsize": 8,
        }
        axes.annotate(
            f"all: {form.short(whole['estimate'], metric.unit)}", (whole["estimate"] * factor, 1), (0, 4), **how
        )
    for place, row in enumerate(kept):
        _level(axes, place, row, metric, factor, form)
    axes.set_xlabel(f"{metric.title}, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    if not known:
        axes.set_xticks([])


def _level(axes: Axes, place: int, row: rows.Row, metric: Metric, factor: float, form: Format) -> None:
    """Draw one level: its dot and interval, value and n to the right."""
    side: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    words = missing_words(row)
    if words:
        mark = "x" if row["status"] == results.UNDEFINED else "o"
        how: dict[str, Any] = {
            "markerfacecolor": style.PAPER,
            "markeredgecolor": style.GREY,
            "transform": axes.get_yaxis_transform(),
        }
        axes.plot(0.02, place, mark, markersize=5.5, **how)
        axes.annotate(words, (1.02, place), color=style.GREY, style="italic", **side)
        return
    axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=style.SKY, linewidth=4)
    axes.plot(row["estimate"] * factor, place, "o", color=style.BLUE, markersize=7)
    axes.annotate(form.short(row["estimate"], metric.unit), (1.02, place), weight="bold", **side)
    axes.annotate(
        f"n {form.count(row['n'])}", (1.02, place), (66, 0), textcoords="offset points", color=style.GREY, **side
    )


def _spread(kept: Sequence[rows.Row], metric: Metric, segment: str, whole: rows.Row | None, form: Format) -> str:
    """Say how far the levels lie apart."""
    segment = segment.replace("_", " ")
    known = [row for row in kept if not missing_words(row)]
    if not known:
        return f"{metric.title} by {segment}: {missing_words(kept[0])}"
    first, last = (
        (f"{form.value(row['estimate'], metric.unit)}", shortened(row["level"])) for row in (known[0], known[-1])
    )
    overall = f"; all together {form.value(whole['estimate'], metric.unit)}" if whole else ""
    if len(known) == 1:
        return f"{metric.title} by {segment}: {first[0]} ({first[1]}){overall}"
    range_ = f"from {first[0]} ({first[1]}) to {last[0]} ({last[1]})"
    order = "" if rows.apart(known[0], known[-1]) else "; their intervals overlap"
    return f"{metric.title} by {segment}: {range_}{order}{overall}"


def _levels_alt(finding: str, kept: Sequence[rows.Row], metric: Metric, last: Period, form: Format) -> str:
    """Return the chart in words."""
    told = [
        f"{row['level']}: "
        + (
            missing_words(row)
            or f"{form.value(row['estimate'], metric.unit)}"
            f" (interval {form.interval(row['conf_low'], row['conf_high'], metric.unit)}, n {form.count(row['n'])})"
        )
        for row in kept
    ]
    return f"{finding}. Dots with intervals, {last.title}. {'; '.join(told)}."
