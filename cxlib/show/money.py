"""What is a point of satisfaction worth? The link with its checks; `worth` shows the money that it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.value.link import CLEAN
from cxlib.analysis.value.link_churn import HAZARD
from cxlib.analysis.value.link_evidence import (
    BOTH_WAYS,
    CONFOUNDED,
    HELD,
    NOT_SHOWN,
    UNKNOWN,
    UNTESTED,
    evidence,
    one_link,
)
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import capital
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

_LEFT, _RIGHT, _TOP, _LINE = 3.35, 6.75, 0.25, 0.46  # inches
_READ = "Dot: how much more goes with {}, line: interval. The checks beneath should lie on 0."
_SAID = {
    HELD: "follows {more} of {satisfaction}; {checks} nothing else",
    UNTESTED: "follows {more} of {satisfaction}; no check could have found anything else behind it",
    BOTH_WAYS: "goes with {more} of {satisfaction}, but each moves the other: not to be read as effect alone",
    CONFOUNDED: "goes with {more} of {satisfaction}, but so does what it cannot touch: no effect is shown",
}


@themed
def link_effect(
    frame: pd.DataFrame,
    *,
    outcome: str = "",
    titles: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row for the effect of a point more, one for each check that should find nothing.

    Parameters
    ----------
    frame
        Result frame of `value.link` or `value.link_churn`, or both together.
    outcome
        Which link to show; needed only where there are several.
    titles
        Column -> how it is called; default its name in words.
    units
        Outcome -> unit of the difference; default `money` for `spend`, `percent` for what is left or not, else `count`.
    finding, currency, locale
        As in `small_multiples`.
    """
    lines = rows.records(one_link(frame, outcome))
    if not lines:
        return nothing(rows.why_not(frame, "the frame holds no link"), finding)
    form, names = formatting(currency, locale), titles or {}
    if missing_words(lines[0]):
        told = f"{capital(called(lines[0]['metric'], names))}: {lines[0]['note'] or missing_words(lines[0])}"
        return nothing(told, finding)
    about = f"{_READ.format(more(lines[0]))}{_moving(lines, names)}{_alike(lines[0])}"
    sheet = Sheet(finding or _finding(frame, lines, names, units or {}, form), about, len(lines) * _LINE + _TOP + 0.5)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(lines) * _LINE, label="link")
    _draw(sheet, axes, lines, names, form)
    return sheet.done(_alt(sheet.figure.finding, lines, names, form))


def link_table(
    frame: pd.DataFrame,
    *,
    outcome: str = "",
    titles: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row an effect or check: relative and absolute size with interval, what it should be, n.

    Parameters
    ----------
    frame, outcome, titles, units, currency, locale
        As in `link_effect`.
    title
        Heading; default the finding.
    """
    lines = rows.records(one_link(frame, outcome))
    if not lines:
        return markup.nothing(title or "The link to money", rows.why_not(frame, "the frame holds no link"))
    form, names = formatting(currency, locale), titles or {}
    amounts = {(row["metric"], row["segment"]): row for row in rows.records(frame[frame["comparison"] == "difference"])}
    clean = (frame["comparison"] == "relative") & (frame["segment"] == CLEAN) & (frame["metric"] == lines[0]["metric"])
    cleaned = rows.records(frame[clean])
    everything = [*lines, *cleaned]
    columns: dict[str, list[Cell]] = {
        f"{more(lines[0]).capitalize()} goes with": [_cell(row, "percent", form) for row in everything],
        "In all": [_amount_cell(row, amounts, units or {}, form) for row in everything],
        "n": [markup.n_cell(row, form) for row in everything],
    }
    keys = [(_words(row, place, names),) for place, row in enumerate(lines)]
    keys += [(f"{called(row['metric'], names)}, noise of single answers taken out",) for row in cleaned]
    methods = dict.fromkeys(f"{row['metric']}: {row['method']}" for row in everything if row["method"])
    notes = dict.fromkeys(f"{row['metric']}: {row['note']}" for row in everything if row["note"])
    told = [escape(f"{words}.") for words in (*methods, *notes)]
    heading = title or _finding(frame, lines, names, units or {}, form)
    return markup.figure(heading, markup.table(columns, ["What"], keys), told, _why(frame, lines, names))


def more(row: rows.Row) -> str:
    """Return `a point more` for an effect against a point less."""
    return f"{row['against'].removesuffix('less')}more"


def called(name: str, names: Mapping[str, str]) -> str:
    """Return how a column is called: by its title, else by its name in words."""
    return names.get(name, plain(name))


def _words(row: rows.Row, place: int, names: Mapping[str, str]) -> str:
    """Return what a row is about."""
    name = called(row["metric"], names)
    if place == 0:
        return f"{name} in the period after"
    return f"{name} in the period before" if float(row["at"]) < 0 else f"{name}, which it cannot touch"


def _finding(
    frame: pd.DataFrame, lines: Sequence[rows.Row], names: Mapping[str, str], units: Mapping[str, str], form: Format
) -> str:
    """Say what goes with a point more and how far it may be called an effect."""
    lead, satisfaction = lines[0], called(lines[0]["level"], names)
    name = capital(called(lead["metric"], names))
    grade = evidence(frame, outcome=lead["metric"]).grade
    if grade in (UNKNOWN, NOT_SHOWN):
        what = lead["note"] if grade == UNKNOWN else "no link is shown"
        ends = "" if missing_words(lead) else form.interval(lead["conf_low"], lead["conf_high"], "percent", change=True)
        limits = f" ({more(lead)}: {form.percent(ends.removesuffix(' pp'))})" if ends else ""
        return f"{name} and {satisfaction}: {what}{limits}"
    amount = next(
        row for row in rows.records(frame) if row["metric"] == lead["metric"] and row["comparison"] == "difference"
    )
    unit = _unit(lead["metric"], units)
    size = f"{name} {form.percent(form.change(lead['estimate'], 'percent').removesuffix(' pp'))}"
    each = form.change(amount["estimate"], unit)
    limits = form.interval(amount["conf_low"], amount["conf_high"], unit, change=True)
    quiet = sum(not missing_words(row) and not is_shown(row) and not _blind(row, lead) for row in lines[1:])
    checks = "one check found" if quiet == 1 else f"{quiet} checks found"
    said = _SAID[grade].format(more=more(lead), satisfaction=satisfaction, checks=checks)
    alike = " among customers alike in what is known of them" if HAZARD in lead["method"] else ""
    return f"{size} ({each} a period, {limits}){alike} {said}"


def _unit(metric: str, units: Mapping[str, str]) -> str:
    return units.get(metric, {"spend": "money", "churned": "percent"}.get(metric, "count"))


def _why(frame: pd.DataFrame, lines: Sequence[rows.Row], names: Mapping[str, str]) -> str:
    found = evidence(frame, outcome=lines[0]["metric"])
    return f"Evidence: {found.grade}: {found.why}.{_moving(lines, names)}{_alike(lines[0])}"


def _moving(lines: Sequence[rows.Row], names: Mapping[str, str]) -> str:
    """Say which checks find something; they tell of the link where the effect itself is not shown, too."""
    moving = [_words(row, place, names) for place, row in enumerate(lines) if place and _finds(row)]
    return f" Found by the checks to go with it: {rows.listed(moving)}." if moving else ""


def _blind(row: rows.Row, lead: rows.Row) -> bool:
    """Tell whether a check could not have seen an effect as large as the one that it checks."""
    return bool(row["conf_low"] <= lead["estimate"] <= row["conf_high"])


def _finds(row: rows.Row) -> bool:
    return not missing_words(row) and is_shown(row)


def _alike(lead: rows.Row) -> str:
    """Say of a hazard what it rests on: a customer leaves once."""
    return " Compared are customers who are alike in what is known of them." if HAZARD in lead["method"] else ""


def effect_told(row: rows.Row, unit: str, form: Format) -> str:
    """Return an effect with its interval in words."""
    words = missing_words(row)
    if words:
        return words
    if unit == "percent":  # a relative effect is a share of the outcome, not percentage points
        value = form.change(row["estimate"], unit).removesuffix(" pp")
        limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True).removesuffix(" pp")
        return f"{form.percent(value)} (interval {form.percent(limits)}, n {form.count(row['n'])})"
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True)
    return f"{form.change(row['estimate'], unit)} (interval {limits})"


def _draw(sheet: Sheet, axes: Axes, lines: Sequence[rows.Row], names: Mapping[str, str], form: Format) -> None:
    """Draw the rows of `link_effect`."""
    axes.set(ylim=(len(lines) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color=style.INK, linewidth=1, dashes=(4, 3))
    how: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
    axes.annotate("nothing", (0, 1), (0, 4), xycoords=("data", "axes fraction"), **how)
    for place, row in enumerate(lines):
        middle = _TOP + (place + 0.5) * _LINE
        words = wrap(_words(row, place, names), _LEFT - 0.2, SMALL, bold=place == 0, lines=2)
        sheet.text(0, middle - 0.08 * len(words), words, weight="bold" if place == 0 else "normal")
        if missing_words(row):
            told = wrap(f"{missing_words(row)}: {row['note']}".rstrip(": "), 2.7, 7.5, lines=2)
            sheet.text(_RIGHT + 0.15, middle - 0.08 * len(told), told, size=7.5, style="italic", color=style.GREY)
            continue
        _mark(axes, place, row)
        value = form.change(row["estimate"], "percent").removesuffix(" pp")
        sheet.text(_RIGHT + 0.15, middle - 0.16, form.percent(value), weight="bold")
        limits = form.interval(row["conf_low"], row["conf_high"], "percent", change=True).removesuffix(" pp")
        sheet.text(_RIGHT + 0.15, middle + 0.01, form.percent(limits), size=7.5, color=style.GREY)
        sheet.text(_RIGHT + 1.75, middle - 0.08, wrap(judged(row, place), 1.2, 7.5, lines=2), size=7.5)
    axes.set_xlabel(f"{called(lines[0]['metric'], names)} for {more(lines[0])}, percent more or less", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def is_shown(row: rows.Row) -> bool:
    """Tell whether an effect is shown: by its verdict, where it has none by its p-value."""
    return bool(row["p_value"] < 0.05) if not row["verdict"] else bool(row["verdict"] == "moved")


def judged(row: rows.Row, place: int) -> str:
    """Return what a row says, in two words."""
    if place == 0:
        return "shown" if is_shown(row) else "not shown"
    return "finds something" if is_shown(row) else "finds nothing"


def _mark(axes: Axes, place: int, row: rows.Row) -> None:
    """Draw one dot with its interval: the effect filled, a check that finds nothing hollow."""
    shown = is_shown(row)
    colour = style.BLUE if place == 0 else style.ORANGE if shown else style.GREY
    face = colour if shown else style.PAPER
    axes.hlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=colour, linewidth=2.2)
    axes.plot(
        100 * row["estimate"], place, "o" if place == 0 else "s", color=colour, markerfacecolor=face, markersize=7.5
    )


def _amount_cell(
    row: rows.Row, amounts: Mapping[tuple[str, str], rows.Row], units: Mapping[str, str], form: Format
) -> Cell:
    """Return the difference in the outcome's unit; nothing for checks, which have none."""
    found = amounts.get((row["metric"], row["segment"])) if row["at"] == "1" else None
    if found is None or missing_words(found):
        return Cell("")
    unit = _unit(row["metric"], units)
    limits = form.interval(found["conf_low"], found["conf_high"], unit, change=True)
    return Cell(escape(form.change(found["estimate"], unit)) + markup.small(limits), row=found, unit=unit)


def _cell(row: rows.Row, unit: str, form: Format) -> Cell:
    words = missing_words(row)
    if words:
        return Cell(f'<span class="cx-missing">{escape(words)}{markup.small(row["note"])}</span>', row=row)
    value = form.change(row["estimate"], unit).removesuffix(" pp")
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True).removesuffix(" pp")
    return Cell(escape(form.percent(value)) + markup.small(form.percent(limits)), row=row, unit="percent")


def _alt(finding: str, lines: Sequence[rows.Row], names: Mapping[str, str], form: Format) -> str:
    """Return the chart in words."""
    told = [
        f"{_words(row, place, names)}: {effect_told(row, 'percent', form)}"
        + ("" if missing_words(row) else f", {judged(row, place)}")
        for place, row in enumerate(lines)
    ]
    return f"{finding}. Dots with intervals, for {more(lines[0])}. {'. '.join(told)}."
