"""Moments of truth: the verdict on journeys beside that on touchpoints, and which moment the whole goes with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.journeys.moments_rows import (
    BEFORE,
    GOES,
    JOURNEY,
    MEAN,
    READING,
    SLOPE,
    TARGET,
    TOGETHER,
    TOUCHPOINT,
)
from cxlib.params.models import Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

_LEFT, _RIGHT, _TOP, _LINE = 2.6, 6.6, 0.34, 0.34  # inches
_ABOUT = Metric(
    id="good", title="Good answers", kind="share", unit="percent", table="responses", time="responded_at",
    numerator="score > 0", denominator="score >= 0", higher_is_better=True, question="How good is it?", owner="nobody",
)  # fmt: skip
_GROUPS = {"touchpoint": "Touchpoints", "journey": "Journeys", "touchpoints": "Journeys"}


@themed
def moments_chart(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """Share of good answers at each touchpoint, and of journeys that are good all the way, on one axis with the target.

    Parameters
    ----------
    frame
        Result frame of `journeys.moments`.
    finding, locale
        As in `small_multiples`.
    """
    shown, form = _shares(frame), formatting(None, locale)
    known = [row for row in shown if not missing_words(row)]
    if not known:
        return nothing(rows.why_not(frame, "the frame holds no touchpoints and journeys"), finding)
    aim = _aim(frame, known)
    told = (
        "Share of good answers at a touchpoint, and of journeys without an answer that is not good: dot and interval."
        + (f" Dashed: target {form.value(aim, 'percent')}." if aim is not None else "")
        + " Open dot: if each answer were good or not by itself."
    )
    sheet = Sheet(finding or _finding(frame, known, form), told, _TOP + (len(shown) + 0.6) * _LINE + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, (len(shown) + 0.6) * _LINE, label="good")
    places = _frame(axes, shown, aim, form)
    verdicts = {key[0]: row for key, row in _compared(frame).items() if key[1] == TARGET}
    for place, row in zip(places, shown, strict=True):
        _line(sheet, axes, place, row, verdicts.get(row["level"]), form)
    return sheet.done(_alt(sheet.figure.finding, shown, verdicts, form))


@themed
def moments_explained(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """How much of the differences in the score of the whole goes with its mean, best, worst and last moment.

    Parameters
    ----------
    frame, finding, locale
        As in `moments_chart`.
    """
    mine = frame[(frame["metric"] == GOES) & (frame["comparison"] == "share")]
    known = [row for row in rows.records(mine) if not missing_words(row)]
    if not known:
        return nothing(_why(mine, "nobody scored a whole journey"), finding)
    form = formatting(None, locale)
    told = (
        "Share of the differences between customers' scores of the whole that goes with the mean of their answers at "
        "touchpoints before, and with the best, worst and last of them, each by itself; line: interval. To its right: "
        "what 10 of 100 points more there go with in the score."
    )
    sheet = Sheet(finding or _explains(frame, known, form), told, _TOP + len(known) * _LINE + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(known) * _LINE, label="explained")
    axes.set(ylim=(len(known) - 0.5, -0.5), yticks=[])
    sheet.text(_RIGHT + 0.15, 0, ["Explains", "(interval)"], size=7.5, color=style.GREY)
    sheet.text(_RIGHT + 1.45, 0, ["10 points more there:", "alone; others held"], size=7.5, color=style.GREY)
    for place, row in enumerate(known):
        _bar(sheet, axes, place, row, _slopes(frame, row["level"], form), form)
    _percent_axis(axes, "percent of the differences (R²)")
    axes.set_xlim(left=0)
    said = [f"{row['level']} {_told(row, form)}; {_slopes(frame, row['level'], form)}" for row in known]
    return sheet.done(f"{sheet.figure.finding}. {told} {'. '.join(said)}.")


def moments_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a touchpoint, and one a kind of journey: good answers, against the target and the time before.

    Parameters
    ----------
    frame, locale
        As in `moments_chart`.
    title
        Heading; default the finding.
    """
    shown, form = _shares(frame), formatting(None, locale)
    if not shown or all(missing_words(row) for row in shown):
        return markup.nothing(title or "Moments of truth", rows.why_not(frame, "the frame holds no journeys"))
    compared = _compared(frame)
    columns: dict[str, list[Cell]] = {"Good": [markup.estimate_cell(row, "percent", form) for row in shown]}
    for name, head in ((TARGET, "Against the target"), (BEFORE, "Since the time before")):
        if any(key[1] == name for key in compared):
            columns[head] = [markup.change_cell(compared.get((row["level"], name)), _ABOUT, form) for row in shown]
    columns["Customers"] = [markup.n_cell(row, form) for row in shown]
    columns["To know"] = [markup.text_cell("" if missing_words(row) else row["note"]) for row in shown]
    keys = [(_GROUPS[row["segment"]], _capital(row["level"])) for row in shown]
    known = [row for row in shown if not missing_words(row)]
    notes = [escape(method) for method in dict.fromkeys(frame["method"]) if method]
    reading = _reading(frame)
    below = _capital(reading["note"]) + "." if reading else ""
    heading = title or _finding(frame, known, form)
    return markup.figure(heading, markup.table(columns, ["Of", "Where"], keys), notes, below)


def _shares(frame: pd.DataFrame) -> list[rows.Row]:
    """Return touchpoints from best to worst, then all journeys, then those of one touchpoint, two, and so on."""
    mine = frame[frame["metric"].isin([TOUCHPOINT, JOURNEY]) & (frame["comparison"] == "share")]
    points = mine[mine["segment"] == "touchpoint"].sort_values(["estimate", "level"], ascending=[False, True])
    order = ["journey", "touchpoints"]
    return rows.records(pd.concat([points, *(mine[mine["segment"] == name] for name in order)]))


def _compared(frame: pd.DataFrame) -> dict[tuple[str, str], rows.Row]:
    """Return differences by level and what they are to."""
    mine = frame[frame["metric"].isin([TOUCHPOINT, JOURNEY]) & (frame["comparison"] == "difference")]
    return {(row["level"], row["against"]): row for row in rows.records(mine)}


def _reading(frame: pd.DataFrame) -> rows.Row | None:
    mine = frame[(frame["metric"] == READING) & (frame["status"] == "ok")]
    return rows.records(mine)[0] if len(mine) else None


def _aim(frame: pd.DataFrame, known: Sequence[rows.Row]) -> float | None:
    """Return the target, had back from an estimate and its difference to it; None without one."""
    compared = _compared(frame)
    for row in known:
        gap = compared.get((row["level"], TARGET))
        if gap is not None and not missing_words(gap):
            return float(row["estimate"] - gap["estimate"])
    return None


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _finding(frame: pd.DataFrame, known: Sequence[rows.Row], form: Format) -> str:
    """Say how many journeys are good all the way, beside the touchpoints."""
    points = [row for row in known if row["segment"] == "touchpoint"]
    whole = next((row for row in known if row["segment"] == "journey"), None)
    if whole is None or not points:
        return "Good answers at touchpoints and over whole journeys"
    low, high = (form.value(found(row["estimate"] for row in points), "percent") for found in (min, max))
    ends = f"{low.removesuffix(' %')} to {high}" if len(points) > 1 else high
    head = f"{form.value(whole['estimate'], 'percent')} of journeys are good all the way, touchpoints {ends}"
    reading, compared = _reading(frame), _compared(frame)
    gaps = [compared.get((row["level"], TARGET)) for row in points]
    short = sum(gap is not None and gap["verdict"] == "moved" and gap["estimate"] < 0 for gap in gaps)
    those = (
        "the touchpoint"
        if len(points) == 1
        else f"{'all' if short == len(points) else short} of {len(points)} touchpoints"
    )
    words = {
        "both": f"the journey misses the target, and so {'does' if short == 1 else 'do'} {those}",
        "touchpoints": f"{those} {'misses' if short == 1 else 'miss'} the target",
        "the journey, not the touchpoints": "the journey misses the target though no touchpoint is shown to",
        "neither": "neither is shown to miss the target",
    }
    return f"{head}: {words[reading['at']]}" if reading and reading["at"] in words else head


def _frame(axes: Axes, shown: Sequence[rows.Row], aim: float | None, form: Format) -> list[float]:
    """Set up the axis, and return where lines stand: journeys a little apart from touchpoints."""
    points = sum(row["segment"] == "touchpoint" for row in shown)
    places = [place + (0.6 if place >= points else 0.0) for place in range(len(shown))]
    axes.set(ylim=(places[-1] + 0.5, -0.5), yticks=[], xlim=(0, 100))
    axes.spines["left"].set_visible(False)
    if 0 < points < len(shown):
        axes.axhline(points - 0.2, color=style.RULE, linewidth=0.8)
    if aim is not None:
        axes.axvline(100 * aim, color=style.INK, linewidth=1, dashes=(4, 3), zorder=1)
        how: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 8}
        axes.annotate(f"target {form.value(aim, 'percent')}", (100 * aim, 1), (0, 4), ha="center", **how)
    _percent_axis(axes, "percent good")
    return places


def _percent_axis(axes: Axes, label: str) -> None:
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel(label, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(formatting()))


def _line(sheet: Sheet, axes: Axes, place: float, row: rows.Row, against: rows.Row | None, form: Format) -> None:
    """Draw one touchpoint, or kind of journey."""
    top, journey = _TOP + (place + 0.5) * _LINE, row["segment"] != "touchpoint"
    whole = row["segment"] == "journey"
    name = _capital(row["level"]) if not journey or whole else f"   of {row['level']}"
    sheet.text(0, top - 0.08, wrap(name, _LEFT - 0.2, SMALL, lines=1), weight="bold" if whole else "normal")
    words = missing_words(row)
    if words:
        sheet.text(_RIGHT + 0.15, top - 0.08, words, color=style.GREY, style="italic")
        return
    colour = style.ORANGE if journey else style.BLUE
    axes.hlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=colour, linewidth=2.2, zorder=2)
    axes.plot(100 * row["estimate"], place, "s" if journey else "o", color=colour, markersize=6.5, zorder=3)
    alone = row["note"].partition(" %")[0]
    if alone.isdigit():
        axes.plot(float(alone), place, "o", color=style.GREY, markerfacecolor=style.PAPER, markersize=5.5, zorder=2)
    sheet.text(_RIGHT + 0.15, top - 0.14, form.value(row["estimate"], "percent"), weight="bold")
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    sheet.text(_RIGHT + 0.15, top + 0.01, f"{limits}, n {form.count(row['n'])}", size=7, color=style.GREY)
    shape, said, tone = rows.verdict(against, _ABOUT)
    if said:
        sheet.text(_RIGHT + 1.6, top - 0.08, wrap(f"{shape} {said}", 1.75, SMALL, lines=1), color=style.TONES[tone])


def _bar(sheet: Sheet, axes: Axes, place: int, row: rows.Row, slopes: str, form: Format) -> None:
    """Draw how much one moment explains."""
    top = _TOP + (place + 0.5) * _LINE
    sheet.text(0, top - 0.08, _capital(row["level"]), weight="bold" if row["level"] == MEAN else "normal")
    axes.barh(place, 100 * row["estimate"], 0.5, color=style.BLUE if row["level"] != MEAN else style.GREY, zorder=2)
    for colour, width in ((style.PAPER, 3.4), (style.INK, 1.3)):
        axes.hlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=colour, linewidth=width, zorder=3)
    sheet.text(_RIGHT + 0.15, top - 0.14, form.value(row["estimate"], "percent"), weight="bold")
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    sheet.text(_RIGHT + 0.15, top + 0.01, limits, size=7, color=style.GREY)
    sheet.text(_RIGHT + 1.45, top - 0.08, slopes)


def _slopes(frame: pd.DataFrame, level: str, form: Format) -> str:
    """Return what ten points more go with, alone and with the other moments held."""
    mine = frame[(frame["metric"] == SLOPE) & (frame["level"] == level) & (frame["status"] == "ok")]
    found = {row["at"]: row["estimate"] for row in rows.records(mine)}
    both = [form.number(found[at], 2, sign=True) for at in sorted(found, key=lambda at: at == TOGETHER)]
    return "; ".join(both)


def _explains(frame: pd.DataFrame, known: Sequence[rows.Row], form: Format) -> str:
    """Say which moment explains most, and whether any does better than the mean."""
    first = max(known, key=lambda row: (row["estimate"], row["level"]))
    gaps = rows.records(frame[(frame["metric"] == GOES) & (frame["comparison"] == "difference")])
    better = [row["level"] for row in gaps if not missing_words(row) and row["conf_low"] > 0]
    head = f"{_capital(first['level'])} goes most with the score of the whole: "
    head += f"{form.value(first['estimate'], 'percent')} of its differences"
    if better:
        return f"{head}; {rows.listed(better)} more than the mean"
    return (
        f"{head}; no single moment is shown to tell more than the mean" if not math.isnan(first["estimate"]) else head
    )


def _why(frame: pd.DataFrame, otherwise: str) -> str:
    notes = [note for note in frame["note"] if note]
    return notes[0] if notes else otherwise


def _told(row: rows.Row, form: Format) -> str:
    return missing_words(row) or (
        f"{form.value(row['estimate'], 'percent')} (interval "
        f"{form.interval(row['conf_low'], row['conf_high'], 'percent')}, n {form.count(row['n'])})"
    )


def _alt(finding: str, shown: Sequence[rows.Row], verdicts: dict[str, rows.Row], form: Format) -> str:
    """Return the chart in words."""
    told = []
    for row in shown:
        said = rows.verdict(verdicts.get(row["level"]), _ABOUT)[1]
        more = row["note"] if not missing_words(row) else ""
        told.append("; ".join(part for part in (f"{row['level']} {_told(row, form)}", said, more) if part))
    return f"{finding}. {'. '.join(told)}."
