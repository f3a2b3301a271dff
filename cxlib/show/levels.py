"""Where does it differ? Dots with intervals, one row a level of a segment."""

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
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, width_of, wrap
from cxlib.show.formats import NOT_AVAILABLE, Format, formatting, missing_words, one_metric, shortened

_MOST_LEVELS = 40
_MOST_BLANK = 3  # levels without a figure that get a row of their own; more are named in a sentence


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
    if (found["status"] == results.UNDEFINED).all():
        return nothing(f"{shown.title} by {name}: {found['note'].iloc[0] or NOT_AVAILABLE}", finding)
    kept, form = rows.ranked(found, shown, _MOST_LEVELS), formatting(currency, locale)
    whole = rows.level(mine, shown.id, str(last))
    whole = None if missing_words(whole) else whole
    known = [row for row in kept if not missing_words(row)]
    drawn = known if known and len(kept) - len(known) > _MOST_BLANK else kept
    told = _how_to_read(drawn, kept, last, len(found))
    sheet, axes = _levels_sheet(drawn, finding or _spread(kept, shown, name, whole, form), told)
    _levels(axes, drawn, whole, shown, form)
    return sheet.done(_levels_alt(sheet.figure.finding, kept, shown, last, form))


def _how_to_read(drawn: Sequence[rows.Row], kept: Sequence[rows.Row], last: Period, count: int) -> str:
    """Say what is drawn, and name what is not."""
    told = [f"{last.title}. Dot: estimate, line: interval, n: answers."]
    told += [f"{style.MARKS}."] if any(missing_words(row) for row in drawn) else []
    blank = [row["level"] for row in kept if missing_words(row)] if len(drawn) < len(kept) else []
    told += [f"Hidden, too few answers or not available: {', '.join(blank)}."] if blank else []
    told += [f"The {count - len(kept)} smallest levels are not drawn."] if count > len(kept) else []
    return " ".join(told)


def _levels_sheet(kept: Sequence[rows.Row], finding: str, told: str) -> tuple[Sheet, Axes]:
    """Return the sheet and the axes with the names of the levels."""
    labels = [wrap(row["level"], 2.9, SMALL, lines=2) for row in kept]
    left = max(width_of(line, SMALL) for label in labels for line in label or [""]) + 0.2
    height = 0.46 if any(len(label) > 1 for label in labels) else 0.34
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
