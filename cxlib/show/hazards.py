"""What goes with leaving sooner? Hazard ratios as a chart and a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.formats import Format, decimals, formatting, missing_words, shortened
from cxlib.show.markup import Cell, Html

RATIO, CHECK = "hazard_ratio", "proportional_hazards"
_MOST = 25
_LEFT, _RIGHT, _TOP, _LINE = 3.0, 6.5, 0.25, 0.4  # inches
_TICKS = (
    0.001,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    0.7,
    0.8,
    0.9,
    1.0,
    1.1,
    1.2,
    1.5,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    1000.0,
)
_MARKS = {rows.BETTER: "o", rows.WORSE: "s", rows.FLAT: "D"}
_SOON = 0.05  # p-value of a check below which the reader is told


@themed
def hazard_ratios(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """One row a covariate: by how much the hazard of leaving is multiplied, with its interval.

    Parameters
    ----------
    frame
        Result frame of `loyalty.hazard_ratios` or `loyalty.reason_hazard_ratios`; rows of
        `loyalty.proportional_hazards` beside them are told. At most 25 are drawn, those with the smallest p-values.
    finding, locale
        As in `small_multiples`.
    """
    found, form = _found(frame), formatting(None, locale)
    drawn = [row for row in found if not missing_words(row)]
    if not drawn:
        return nothing(rows.why_not(frame, _hidden(found) or "the frame holds no hazard ratios"), finding)
    kept = {id(row) for row in sorted(drawn, key=lambda row: (row["p_value"], row["level"]))[:_MOST]}
    left_out, drawn = len(drawn) - len(kept), [row for row in drawn if id(row) in kept]
    words = f"{_READ} {_about(frame, found, left_out)}".strip()
    sheet = Sheet(finding or headline(frame, form), words, len(drawn) * _LINE + _TOP + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(drawn) * _LINE, label="hazard ratios")
    _frame(axes, drawn, form)
    for place, row in enumerate(drawn):
        _row(sheet, axes, place, row, form)
    return sheet.done(_alt(sheet.figure.finding, _about(frame, found, left_out), drawn, form))


_READ = (
    "Dot: how many times as fast customers leave (hazard ratio); line: interval. ● lower, ■ higher, ◇ neither shown."
)


def hazard_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a covariate: the hazard ratio with its interval and what it says; p-values in the details.

    Parameters
    ----------
    frame, locale
        As in `hazard_ratios`.
    title
        Heading; default the finding.
    """
    found, form = _found(frame), formatting(None, locale)
    if not found or (len(found) == 1 and found[0]["level"] == "all" and found[0]["status"] == "undefined"):
        heading = title or "What goes with leaving"
        return markup.nothing(heading, rows.why_not(frame, "the frame holds no hazard ratios"))
    columns: dict[str, list[Cell]] = {
        "Hazard ratio (times as fast)": [_cell(row, form) for row in found],
        "Compared with": [markup.text_cell(row["against"] or "one unit less") for row in found],
        "Customers": [markup.n_cell(row, form) for row in found],
        "Left": [markup.count_cell(None if missing_words(row) else row["n_eff"], form) for row in found],
    }
    body = markup.table(columns, ["What goes with it"], [(row["level"],) for row in found])
    notes = sorted({escape("; ".join([row["method"], row["note"]]).strip("; ")) for row in found} - {""})
    tested = [f"{row['level']} p {markup.p_words(row['p_value'])}" for row in found if row["p_value"] == row["p_value"]]
    notes += [escape("; ".join(tested))] if tested else []
    return markup.figure(title or headline(frame, form), body, notes, _changing(frame))


def headline(frame: pd.DataFrame, form: Format) -> str:
    """Return the finding in one sentence: what goes with leaving most surely."""
    known = [row for row in _found(frame) if not missing_words(row)]
    shown = [row for row in known if _tone(row) != rows.FLAT]
    if not known:
        return "What goes with leaving"
    if not shown:
        what = f"None of {len(known)} is" if len(known) > 1 else f"{_named(known[0])} is not"
        return f"{what} shown to go with leaving sooner or later"
    first = min(shown, key=lambda row: (row["p_value"], row["level"]))
    base = f"than {shortened(first['against'])}" if first["against"] else "for each unit more"
    rest = f"; {len(shown)} of {len(known)} are shown to matter" if len(known) > 1 else ""
    return f"{_named(first)}: {_percent(first['estimate'], form)} hazard of leaving {base}{rest}"


def _named(row: rows.Row) -> str:
    """Return `plan Pro` for `plan: Pro`."""
    return shortened(row["level"]).replace(": ", " ", 1)


def _found(frame: pd.DataFrame) -> list[rows.Row]:
    """Return the rows of hazard ratios in the order of the frame."""
    mine = frame[frame["metric"] == RATIO]
    return rows.records(mine)


def _tone(row: rows.Row) -> str:
    """Tell whether a ratio is shown to lie below or above 1; the adjusted p-value decides where there is one."""
    if row["p_adjusted"] == row["p_adjusted"] and row["p_adjusted"] >= _SOON:
        return rows.FLAT
    if row["conf_low"] <= 1 <= row["conf_high"]:
        return rows.FLAT
    return rows.BETTER if row["estimate"] < 1 else rows.WORSE


def _percent(ratio: float, form: Format) -> str:
    """Return `30 % lower`, or `2.1 times the` from twice on."""
    if ratio >= 2:
        return f"{form.number(ratio, 1)} times the"
    places = 0 if abs(ratio - 1) >= 0.1 else 1
    return f"{form.percent(form.number(100 * abs(ratio - 1), places))} {'lower' if ratio < 1 else 'higher'}"


def _words(row: rows.Row, form: Format) -> str:
    """Return what a ratio says."""
    if _tone(row) == rows.FLAT:
        return "no difference shown"
    return f"{_percent(row['estimate'], form)} hazard"


def _hidden(found: Sequence[rows.Row]) -> str:
    """Return why none of the rows has a number."""
    return missing_words(found[0]) if found else ""


def _about(frame: pd.DataFrame, found: Sequence[rows.Row], left_out: int) -> str:
    """Say what is not drawn and why, and which ratios change over time."""
    blank = [f"{shortened(row['level'])} ({row['note'] or missing_words(row)})" for row in found if missing_words(row)]
    told = [f"No ratio for {rows.listed(blank[:4])}{' and others' if len(blank) > 4 else ''}."] if blank else []
    told += [f"{left_out} more with larger p-values are not drawn."] if left_out else []
    return " ".join([*told, _changing(frame)]).strip()


def _changing(frame: pd.DataFrame) -> str:
    """Say which ratios are shown to change over time."""
    tested = frame[(frame["metric"] == CHECK) & (frame["status"] == "ok") & (frame["level"] != "all")]
    mine = tested[tested["p_value"] < _SOON]
    if mine.empty:
        return "No ratio is shown to change over time." if len(tested) else ""
    names = rows.listed([shortened(name) for name in mine["level"]])
    return f"Shown to change over time, so that one number is an average: {names}."


def _frame(axes: Axes, drawn: Sequence[rows.Row], form: Format) -> None:
    """Set up the axis: a logarithmic scale about 1."""
    ends = [row[name] for row in drawn for name in ("conf_low", "conf_high") if 1e-3 <= row[name] <= 1e3]
    low, high = min([*ends, 0.8]) / 1.08, max([*ends, 1.25]) * 1.08
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(len(drawn) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(FixedLocator(_apart(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: form.number(tick, decimals(tick))))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(1, color=style.INK, linewidth=1, dashes=(4, 3))
    how: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "xycoords": ("data", "axes fraction")}
    axes.annotate("leave later ", (1, 1), (-3, 4), ha="right", color=style.BLUE, **how)
    axes.annotate(" leave sooner", (1, 1), (3, 4), ha="left", color=style.ORANGE, **how)
    axes.set_xlabel("hazard ratio (times as fast)", fontsize=8)


def _apart(low: float, high: float) -> list[float]:
    """Return the ticks within the ends that have room beside each other."""
    least, kept = math.log(high / low) / 9, [1.0]
    for tick in sorted(_TICKS, key=lambda tick: (tick not in (0.1, 10, 0.5, 2), abs(math.log(tick)))):
        if low <= tick <= high and all(abs(math.log(tick / other)) >= least for other in kept):
            kept.append(tick)
    return sorted(kept)


def _row(sheet: Sheet, axes: Axes, place: int, row: rows.Row, form: Format) -> None:
    """Draw one ratio: its names, dot and interval, number and words."""
    top, tone = _TOP + place * _LINE + _LINE / 2, _tone(row)
    colour, face = style.TONES[tone], style.PAPER if tone == rows.FLAT else style.TONES[tone]
    low, high = axes.get_xlim()
    axes.hlines(place, max(row["conf_low"], low), min(row["conf_high"], high), color=colour, linewidth=1.8)
    spot = min(max(row["estimate"], low), high)
    axes.plot(spot, place, _MARKS[tone], color=colour, markerfacecolor=face, markersize=7, clip_on=False)
    sheet.text(0, top - 0.15, wrap(row["level"], _LEFT - 0.2, SMALL, lines=1))
    under = f"against {row['against']}" if row["against"] else "each unit more"
    sheet.text(0, top + 0.02, wrap(under, _LEFT - 0.2, 7.5, lines=1), size=7.5, color=style.GREY)
    sheet.text(_RIGHT + 0.2, top - 0.15, _number(row["estimate"], form), weight="bold")
    limits = f"{_number(row['conf_low'], form)} to {_number(row['conf_high'], form)}"
    sheet.text(_RIGHT + 0.2, top + 0.02, limits, size=7.5, color=style.GREY)
    sheet.text(_RIGHT + 1.55, top - 0.08, wrap(_words(row, form), 1.5, SMALL, lines=2), color=colour)


def _number(ratio: float, form: Format) -> str:
    """Return a ratio with the digits that tell it from 1."""
    if ratio > 1e3 or 0 < ratio < 1e-3:
        return f"over {form.number(1000, 0)}" if ratio > 1 else f"under {form.number(0.001, 3)}"
    return form.number(ratio, 3 if abs(ratio - 1) < 0.02 or ratio < 0.1 else 2)


def _cell(row: rows.Row, form: Format) -> Cell:
    """Return a ratio with interval and what it says, or why there is none."""
    if missing_words(row):
        return markup.missing_cell(row)
    limits = f"{_number(row['conf_low'], form)} to {_number(row['conf_high'], form)}"
    tone = f'<br><span class="cx-{_tone(row)}">{escape(_words(row, form))}</span>'
    return Cell(escape(_number(row["estimate"], form)) + markup.small(limits) + tone, row=row)


def _alt(finding: str, about: str, drawn: Sequence[rows.Row], form: Format) -> str:
    """Return the chart in words."""
    told = [
        f"{row['level']}{' against ' + row['against'] if row['against'] else ''}: {_number(row['estimate'], form)} "
        f"(interval {_number(row['conf_low'], form)} to {_number(row['conf_high'], form)}), {_words(row, form)}"
        for row in drawn
    ]
    who = f"{form.count(drawn[0]['n'])} customers, {form.count(drawn[0]['n_eff'])} left"
    return f"{finding}. {about} Hazard ratios with intervals ({who}). {'. '.join(told)}.".replace("  ", " ")
