"""Why did it move? From the value before to the value after: who answered, then how they scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.measure.told import Amount, Level, Told, told
from cxlib.params.models import Metric
from cxlib.show import rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import base_of, plain, sentence, shares, when
from cxlib.show.formats import Format, formatting, one_metric

_HEIGHTS = {"bar": 0.4, "head": 0.34, "dot": 0.46}  # inches of a line
_LEFT, _RIGHT, _TOP = 3.0, 7.35, 0.12  # where the picture begins and ends
_BAR = 0.2  # inches of a bar's height
_ANSWERS = {"mix": "Who answered (mix)", "rate": "How they scored, like for like (rate)"}
_OTHER = {"mix": "What it is made of (mix)", "rate": "Like for like (rate)"}
_OWN = "What each level added"


class _Line(NamedTuple):
    """One line of the chart: its kind (dot, head or bar), its words, its number and where its bar starts."""

    kind: str
    words: str
    under: str
    amount: Amount
    start: float = 0.0
    signed: bool = False  # whether a value, not only a change, has a sign


@themed
def waterfall(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One line a part of a change, in two groups with their totals: mix and rate; the values before and after as dots.

    Parameters
    ----------
    frame
        Result frame with one decomposition (`decomposition.explain`). A difference, and levels, of the whole in it
        (segment `all`) are preferred to those of the decomposition, so that a page shows one interval for one number.
    metrics
        The metric, or all by id.
    finding, currency, locale
        As in `small_multiples`.

    Raises
    ------
    UsageError
        Where the frame holds several decompositions.
    """
    if not frame["comparison"].isin(["mix", "rate"]).any():
        return nothing(rows.why_not(frame, "the frame holds no change that was split"), finding)
    found = told(frame)
    metric, form = one_metric(metrics, found.metric, [found.metric]), formatting(currency, locale)
    if found.missing:
        why = f"{metric.title} by {plain(found.segment)}, {when(found.period)} against {when(found.against)}"
        return nothing(f"{why}: {found.missing}", finding)
    lines = _lines(found, metric, form)
    if not lines:
        return nothing("the frame holds no values of the two periods beside the parts of the change", finding)
    sheet, axes = _sheet(lines, finding or sentence(found, metric, form), _how_to_read(found, metric))
    _draw(sheet, axes, lines, metric, form)
    return sheet.done(_alt(sheet.figure.finding, found, metric, lines, form))


def _lines(found: Told, metric: Metric, form: Format) -> list[_Line]:
    """Return the lines from the value before to the value after; none where one of these is not known."""
    before, after = found.value
    if before is None or after is None:
        return []
    signed, at = metric.unit == "points", before.value
    lines = [_Line("dot", when(found.against), f"n {form.count(before.n)}", before, signed=signed)]
    heads = _OTHER if metric.table != "responses" else _ANSWERS
    groups = {"mix": (found.mix, found.mix_by, found.mix_rest), "rate": (found.rate, found.rate_by, found.rate_rest)}
    for kind, (total, levels, rest) in groups.items():
        if total is None:
            continue
        lines.append(_Line("head", heads[kind] if found.mix else _OWN, "", total))
        others = _count(rest)
        named = [(level, _under(level, metric, form, kind)) for level in levels[: len(levels) - others]]
        named += [(rest, ", ".join(level.name for level in levels[-others:]))] if rest else []
        for level, under in named:
            amount = level.mix if kind == "mix" else level.rate
            if amount is not None:
                lines.append(_Line("bar", _named(level, found, kind), under, amount, at))
                at += amount.value
    lines.append(_Line("dot", when(found.period), f"n {form.count(after.n)}", after, signed=signed))
    return [*lines, _Line("head", "Change", "", found.change)] if found.change else lines


def _named(level: Level, found: Told, kind: str) -> str:
    """Return the name of a level; a dimension's as words."""
    return plain(level.name) if kind == "mix" and len(found.dimensions) > 1 else level.name


def _count(rest: Level | None) -> int:
    """Return how many levels a sum of others stands for, as its name has it."""
    return int(rest.name.rpartition("(")[2].rstrip(")")) if rest else 0


def _under(level: Level, metric: Metric, form: Format, kind: str) -> str:
    """Return what stands behind a bar: the level's share, or its own value, before and after."""
    if kind == "mix":
        moved = shares(level, form)
        return f"from {moved} of {base_of(metric)}" if moved else ""
    before, after = level.value
    if before and after:
        return f"from {form.short(before.value, metric.unit)} to {form.short(after.value, metric.unit)}"
    only = before or after
    return f"{form.short(only.value, metric.unit)}; {level.note}" if only and level.note else level.note


def _how_to_read(found: Told, metric: Metric) -> str:
    """Say how to read the picture."""
    words = ["Each bar begins where the one above it ended."]
    if found.mix is not None:
        words.append(f"Mix: levels above or below the whole became more or less of {base_of(metric)}.")
        words.append("Rate: a level's own value changed, at its average share.")
    tones = "" if metric.higher_is_better is None else "blue: better, orange: worse, "
    words.append(f"Thin lines: intervals; {tones}hollow: no effect shown.")
    pools = {level.note for level in (*found.mix_by, *found.rate_by) if level.name.startswith("small levels")}
    return " ".join([*words, *(f"Small levels: {note}." for note in sorted(pools))])


def _sheet(lines: Sequence[_Line], finding: str, words: str) -> tuple[Sheet, Axes]:
    """Return the sheet and the axes, with the words of each line to the left."""
    height = sum(_HEIGHTS[line.kind] for line in lines)
    sheet = Sheet(finding, words, _TOP + height + 0.42)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, height, label="waterfall")
    axes.set(ylim=(height, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    top = _TOP
    for place, line in enumerate(lines):
        _words(sheet, line, top + _HEIGHTS[line.kind] / 2)
        if line.kind == "head" or (place and line.kind == "dot"):
            sheet.rule(top)
        top += _HEIGHTS[line.kind]
    return sheet, axes


def _words(sheet: Sheet, line: _Line, middle: float) -> None:
    """Write the name of a line, and what stands behind it."""
    left, bold = 0.0 if line.kind != "bar" else 0.15, line.kind != "bar"
    name = wrap(line.words, _LEFT - 0.25 - left, SMALL, bold=bold, lines=1)
    sheet.text(left, middle - (0.15 if line.under else 0.08), name, weight="bold" if bold else "normal")
    under = wrap(line.under, _LEFT - 0.25 - left, 7.5, lines=1)
    sheet.text(left, middle + 0.02, under, size=7.5, color=style.GREY)


def _draw(sheet: Sheet, axes: Axes, lines: Sequence[_Line], metric: Metric, form: Format) -> None:
    """Draw the dots, the bars and what leads from one to the next, and their numbers to the right."""
    ends = [end for line in lines if line.kind != "head" for end in _ends(line)]
    name, factor = form.axis(metric.unit, max(abs(end) for end in ends))
    places = _places(lines, metric, factor)
    sheet.text(_RIGHT + 0.1, 0, f"{name}, with interval", size=7.5, color=style.GREY)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    top, last = 0.0, (lines[0].amount.value, _HEIGHTS["dot"] / 2)
    for line in lines:
        middle = top + _HEIGHTS[line.kind] / 2
        if line.kind != "head":
            at = line.amount.value if line.kind == "dot" else line.start
            axes.vlines(at * factor, last[1], middle, color=style.GREY, linewidth=0.8, zorder=1)
            (_dot if line.kind == "dot" else _bar)(axes, middle, line, metric, factor)
            last = at + (line.amount.value if line.kind == "bar" else 0.0), middle
        _numbers(sheet, _TOP + middle, line, factor, places, form)
        top += _HEIGHTS[line.kind]
    low, high = min(ends) * factor, max(ends) * factor
    room = 0.06 * (high - low) or 1.0
    axes.set_xlim(low - room, high + room)
    axes.set_xlabel(metric.title if name in metric.title else f"{metric.title}, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _places(lines: Sequence[_Line], metric: Metric, factor: float) -> int:
    """Return the decimals of the column of numbers: what the unit has, and two digits of the largest part."""
    largest = max(abs(line.amount.value) for line in lines if line.kind != "dot") * factor
    usual = 2 if metric.unit in ("money", "score", "count") else 1
    return max(usual, min(1 - math.floor(math.log10(largest)), 4)) if largest > 0 else usual


def _ends(line: _Line) -> tuple[float, ...]:
    """Return where a line's mark and interval end on the axis; where a bar begins, another has ended."""
    amount = line.amount
    return tuple(line.start + end for end in (amount.value, amount.low, amount.high) if math.isfinite(end))


def _dot(axes: Axes, middle: float, line: _Line, metric: Metric, factor: float) -> None:  # noqa: ARG001
    """Draw the value of a period with its interval."""
    amount = line.amount
    axes.hlines(middle, amount.low * factor, amount.high * factor, color=style.SKY, linewidth=4)
    axes.plot(amount.value * factor, middle, "o", color=style.INK, markersize=7)


def _bar(axes: Axes, middle: float, line: _Line, metric: Metric, factor: float) -> None:
    """Draw one part of the change, hollow where it is not shown, its interval as a line about its end."""
    amount, tone = line.amount, rows.better(metric, line.amount.value)
    face = style.TONES[tone] if amount.shown else style.PAPER
    edge = style.TONES[tone] if amount.shown else style.GREY
    axes.barh(
        middle, amount.value * factor, _BAR, line.start * factor, color=face, edgecolor=edge, linewidth=1, zorder=2
    )
    low, high = (line.start + amount.low) * factor, (line.start + amount.high) * factor
    # On a filled bar the line has a light edge, so that it is seen.
    for colour, width in (*[(style.PAPER, 3.2)] * amount.shown, (style.INK, 1.2)):
        axes.hlines(middle, low, high, color=colour, linewidth=width, zorder=3)
        axes.vlines([low, high], middle - 0.05, middle + 0.05, color=colour, linewidth=width, zorder=3)


def _numbers(sheet: Sheet, middle: float, line: _Line, factor: float, places: int, form: Format) -> None:
    """Write a number with its interval to the right, in the unit of the axis."""
    sign, strong = line.kind != "dot" or line.signed, line.kind != "bar"
    value, low, high = (
        form.number(end * factor, places, sign=sign) for end in (line.amount.value, line.amount.low, line.amount.high)
    )
    sheet.text(_RIGHT + 0.1, middle - 0.08, value, weight="bold" if strong else "normal")
    sheet.text(_RIGHT + 1.05, middle - 0.08, f"{low} to {high}", color=style.GREY)


def _alt(finding: str, found: Told, metric: Metric, lines: Sequence[_Line], form: Format) -> str:
    """Return the chart in words."""
    told = []
    for line in lines:
        change = line.kind != "dot"
        value = form.change(line.amount.value, metric.unit) if change else form.value(line.amount.value, metric.unit)
        limits = form.interval(line.amount.low, line.amount.high, metric.unit, change=change)
        under = f"; {line.under}" if line.under else ""
        told.append(f"{line.words}: {value} (interval {limits}{under})")
    split = f"The change of {metric.title} by {plain(found.segment)}, step by step"
    return f"{finding}. {split}. {'. '.join(told)}."
