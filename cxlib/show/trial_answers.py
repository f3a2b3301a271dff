"""Could an effect be who answered? Response of each arm, and the effect as it is, reweighted, and at worst."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.params.models import Experiment, Metric
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.differences import largest_of, plain, span, unit_of
from cxlib.show.formats import Format, formatting, metric_of, missing_words
from cxlib.show.trial_effects import arm_name


class Line(NamedTuple):
    """One line of the chart: a dot with its interval, or the span of the bounds (thick) with its interval."""

    name: str
    dot: float
    ends: tuple[float, float]
    words: str
    span: tuple[float, float] | None = None


_PLOT_AT, _VALUE_AT, _END, _ROW = 2.9, 6.9, 9.64, 0.46
_READ = (
    "Above: the share of whom an answer is known. Below: the effect; the thick bar spans all that it can be, whoever "
    "answered, the thin line adds chance."
)


@themed
def who_answered_chart(
    answering: pd.DataFrame,
    metrics: Mapping[str, Metric],
    plan: Experiment,
    arm: str = "",
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Response by arm; beneath, the effect among those who answered, reweighted to all, and the worst case.

    Parameters
    ----------
    answering
        Result frame of `Run.answering`.
    metrics
        Metric id -> definition.
    plan
        The registered plan.
    arm
        The treatment; '' for the first.
    finding, currency, locale
        As in `small_multiples`.
    """
    treatment, metric = arm or plan.arms[1], metric_of(metrics, plan.primary_metric)
    reading = answering[(answering["metric"] == "reading") & (answering["level"] == treatment)]
    if reading.empty:
        return nothing(rows.why_not(answering, "the outcome that decides is not asked for"), finding)
    form, told = formatting(currency, locale), rows.records(reading)[0]
    response, effect = _response(answering, plan, treatment, form), _effects(answering, metric, treatment, told, form)
    which = f"With {arm_name(treatment)}: " if len(plan.arms) > 2 else ""
    read = f"{_READ}{_responding(answering, treatment, form)}"
    height = (len(response) + len(effect)) * _ROW + (0.62 if response else 0) + (0.53 if effect else 0)
    sheet = Sheet(finding or which + _title(told, metric, form), read, height)
    if response:
        _panel(sheet, 0.0, response, "share of whom an answer is known, percent", form, zero=False)
    if effect:
        factor = unit_of(metric, form, _largest(effect))
        lines = [_times(one, factor[1]) for one in effect]
        _panel(sheet, len(response) * _ROW + (0.62 if response else 0), lines, factor[0], form, zero=True)
    words = [f"{one.name}: {one.words}" for one in (*response, *effect)]
    return sheet.done(f"{sheet.figure.finding}. {read} {'. '.join(words)}.")


def _responding(answering: pd.DataFrame, treatment: str, form: Format) -> str:
    """Say how far apart the arms answered."""
    mine = answering[(answering["metric"] == "response_rate") & (answering["comparison"] == "difference")]
    mine = mine[(mine["segment"] == "all") & (mine["at"] == treatment)]
    if mine.empty or missing_words(row := rows.records(mine)[0]):
        return ""
    limits = form.interval(row["conf_low"], row["conf_high"], "percent", change=True)
    shown = row["conf_low"] > 0 or row["conf_high"] < 0
    return f" Answers differ by {form.change(row['estimate'], 'percent')} ({limits}){'' if shown else ': not shown'}."


def _response(answering: pd.DataFrame, plan: Experiment, treatment: str, form: Format) -> list[Line]:
    """Return the response of both arms."""
    mine = answering[(answering["metric"] == "response_rate") & (answering["comparison"] == "level")]
    found = {row["at"]: row for row in rows.records(mine) if row["segment"] == "all"}
    arms = [arm for arm in (plan.arms[0], treatment) if arm in found]
    lines = [_line(f"Answered: {arm_name(arm)}", found[arm], "percent", form, change=False) for arm in arms]
    return [_times(one, 100.0) for one in lines]


def _effects(answering: pd.DataFrame, metric: Metric, treatment: str, reading: rows.Row, form: Format) -> list[Line]:
    """Return the effect by who is counted."""
    mine = rows.records(answering[answering["segment"] == treatment])
    lines = []
    for part, name in (("answered", "Those who answered"), ("reweighted", "Weighted to all who took part")):
        lines += [_line(name, row, metric.unit, form) for row in mine if row["metric"] == f"{metric.id}_{part}"]
    bounds = {row["at"]: row for row in mine if row["metric"] == f"{metric.id}_bounds"}
    if {"lower", "upper"} <= bounds.keys():
        lines.append(_worst(bounds["lower"], bounds["upper"], reading, metric, form))
    return lines


_WORST = "Whoever answered"


def _worst(lower: rows.Row, upper: rows.Row, reading: rows.Row, metric: Metric, form: Format) -> Line:
    """Return all that the effect can be, and that with chance."""
    if missing_words(lower) or missing_words(upper):
        row = lower if missing_words(lower) else upper
        return Line(_WORST, math.nan, (math.nan, math.nan), plain(row["note"]) or missing_words(row))
    ends = (reading["conf_low"], reading["conf_high"])
    between = (lower["estimate"], upper["estimate"])
    words = form.interval(*between, metric.unit, change=True)
    words += f" ({form.interval(*ends, metric.unit, change=True)})"
    return Line(_WORST, math.nan, ends, words, between)


def _line(name: str, row: rows.Row, unit: str, form: Format, *, change: bool = True) -> Line:
    if missing_words(row):
        return Line(name, math.nan, (math.nan, math.nan), plain(row["note"]) or missing_words(row))
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=change)
    value = form.change(row["estimate"], unit) if change else form.value(row["estimate"], unit)
    return Line(name, row["estimate"], (row["conf_low"], row["conf_high"]), f"{value} ({limits})")


def _times(one: Line, factor: float) -> Line:
    """Return a line in the unit of its axis."""
    between = None if one.span is None else (one.span[0] * factor, one.span[1] * factor)
    return one._replace(dot=one.dot * factor, ends=(one.ends[0] * factor, one.ends[1] * factor), span=between)


def _largest(lines: Sequence[Line]) -> float:
    return largest_of([end for one in lines for end in (one.dot, *one.ends, *(one.span or ()))])


def _panel(sheet: Sheet, top: float, lines: Sequence[Line], label: str, form: Format, *, zero: bool) -> None:
    """Draw lines under each other on one axis."""
    axes = sheet.axes(_PLOT_AT, top, _VALUE_AT - 0.3 - _PLOT_AT, len(lines) * _ROW, label=label)
    axes.set(ylim=(len(lines) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    known = [end for one in lines for end in (one.dot, *one.ends, *(one.span or ())) if math.isfinite(end)]
    known += [0.0] if zero else []
    pad = 0.06 * ((max(known) - min(known)) or 1.0) if known else 1.0
    axes.set_xlim((min(known) - pad, max(known) + pad) if known else (-1.0, 1.0))
    if zero:
        axes.axvline(0, color=style.INK, linewidth=1)
    for number, one in enumerate(lines):
        middle = top + (number + 0.5) * _ROW
        sheet.text(0, middle - SMALL * LINE / 2, wrap(one.name, _PLOT_AT - 0.2, SMALL, lines=1))
        told = wrap(one.words, _END - _VALUE_AT, SMALL, lines=2)
        sheet.text(_VALUE_AT, middle - len(told) * SMALL * LINE / 2, told)
        _mark(axes, number, one)
    axes.set_xlabel(label, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _mark(axes: Axes, number: int, one: Line) -> None:
    colour = style.BLUE if one.name != _WORST else style.ORANGE
    if not any(math.isnan(end) for end in one.ends):
        axes.hlines(number, *span(axes, one.ends), color=colour, linewidth=1.8)
    if one.span is not None:
        axes.hlines(number, *span(axes, one.span), color=colour, linewidth=7)
    if math.isfinite(one.dot):
        axes.plot(one.dot, number, "o", markersize=7, color=colour)


def _title(reading: rows.Row, metric: Metric, form: Format) -> str:
    """Say in one line whether the effect could be who answered."""
    limits = form.interval(reading["conf_low"], reading["conf_high"], metric.unit, change=True)
    known = limits != "no interval" and not missing_words(reading)
    between = f": whoever answered, it is {limits}" if known else ""
    words = {
        "stands": f"The effect stands whoever answered{f': {limits}' if known else ''}",
        "could be who answered": f"The effect could be who answered{between}",
        "no effect shown": f"No effect is shown among those who answered{between}",
    }
    return words.get(reading["at"], "Whether the effect could be who answered cannot be told")
