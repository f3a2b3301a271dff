"""Where do we stand? Dots with intervals: metrics against their targets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.formats import (
    Format,
    formatting,
    metric_of,
    missing_words,
)

_TITLE_AT, _PLOT_AT, _VALUE_AT, _WORDS_AT, _END = 0.0, 2.75, 6.05, 7.95, 9.64  # inches, columns of `headline`
_MARKS = {rows.BETTER: ("o", style.BLUE), rows.WORSE: ("s", style.ORANGE), rows.FLAT: ("o", style.PAPER)}


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
