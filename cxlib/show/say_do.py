"""Did they do as they said? What promoters, passives and detractors did afterwards, and what a likelihood was worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

_LEFT, _RIGHT, _LINE, _HEAD = 2.1, 5.9, 0.34, 0.36  # inches
_SAID = "said"
_RARE = 0.1  # of a count: below so many an answer it is told for 100 answers
_READ = (
    "Dot: what was done, line: interval. Each outcome has its own scale. To the right: against {}; "
    "≠ different, ○ no difference shown."
)
_READ_STATED = (
    "Dot: share that did, line: interval, n answers. Grey line: what the score would mean if taken literally; it may "
    "leave the picture."
)


@themed
def said_and_did(
    frame: pd.DataFrame,
    *,
    titles: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One block an outcome, one line a group of answers: what was done, with interval and difference to the first.

    Parameters
    ----------
    frame
        Result frame of `loyalty.say_and_do`.
    titles
        Outcome -> how it is called; default the name in words.
    units
        Outcome -> unit (`money`, `count`, ...); default `percent` for shares, else `count`.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = frame[frame["segment"] == _SAID]
    if mine.empty or (mine["status"] == "undefined").all():
        return nothing(rows.why_not(frame, "the frame holds nobody who was watched after an answer"), finding)
    form, blocks = formatting(currency, locale), _blocks(mine, titles or {}, units or {})
    first = blocks[0]["rows"][0][0]
    height = sum(_HEAD + len(block["rows"]) * _LINE + 0.12 for block in blocks)
    about = _READ.format(f"{first}s") + _window(mine)
    sheet = Sheet(finding or _finding(blocks, form), about, height)
    top = 0.0
    for block in blocks:
        top = _block(sheet, block, top, form)
    return sheet.done(_alt(sheet.figure.finding, blocks, form))


def said_and_did_table(
    frame: pd.DataFrame,
    *,
    titles: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row an outcome and group: what was done with interval and n, and the difference to the first group.

    Parameters
    ----------
    frame, titles, units, currency, locale
        As in `said_and_did`.
    title
        Heading; default the finding.
    """
    mine = frame[frame["segment"] == _SAID]
    if mine.empty:
        return markup.nothing(title or "Say and do", rows.why_not(frame, "the frame holds no answers"))
    form, blocks = formatting(currency, locale), _blocks(mine, titles or {}, units or {})
    keys, columns = [], {"Did": [], "n": [], "Against the first": []}  # type: ignore[var-annotated]
    for block in blocks:
        for group, row, change in block["rows"]:
            keys.append((block["title"], group))
            columns["Did"].append(_value_cell(row, block["unit"], form))
            columns["n"].append(markup.n_cell(row, form))
            columns["Against the first"].append(_change_cell(change, block["unit"], form))
    methods = sorted({f"{row['method']}" for row in mine.to_dict("records") if row["method"]})
    notes = sorted({row["note"] for row in mine.to_dict("records") if row["note"] and row["status"] == "ok"})
    body = markup.table(columns, ["Outcome", "Said"], keys)
    told = [escape(f"Methods: {', '.join(methods)}."), *(escape(f"{note}.") for note in notes)]
    return markup.figure(title or _finding(blocks, form), body, told, _window(mine).strip())


@themed
def stated_against_done(
    frame: pd.DataFrame,
    *,
    what: str = "",
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One dot a score: the share that did it, beside the share that the score would mean if taken literally.

    Parameters
    ----------
    frame
        Result frame of `loyalty.calibration`.
    what
        What was done, as a verb: "referred somebody"; default the outcome's name.
    finding, locale
        As in `small_multiples`.
    """
    levels = frame[(frame["segment"] == _SAID) & (frame["comparison"] == "level")]
    if levels.empty:
        return nothing(rows.why_not(frame, "the frame holds no scores with what was done"), finding)
    form, done = formatting(None, locale), what or plain(str(levels["metric"].iloc[0]))
    gaps = frame[frame["against"] == _SAID].set_index("level")["estimate"]
    slope = rows.records(frame[frame["level"] == "each point more"])
    sheet = Sheet(finding or _stated_finding(levels, slope, done, form), _READ_STATED + _window(levels), 3.4)
    axes = sheet.axes(0.75, 0.1, 8.6, 2.75, label="stated")
    known = [row for row in rows.records(levels) if not missing_words(row)]
    _stated(axes, known, gaps, form)
    axes.set_ylabel(f"{done}, percent", fontsize=8)
    axes.set_xlabel("score given", fontsize=8)
    told = [
        f"{row['level']}: {missing_words(row) or form.value(row['estimate'], 'percent')}"
        + (
            ""
            if missing_words(row)
            else f" ({form.interval(row['conf_low'], row['conf_high'], 'percent')}, n {form.count(row['n'])})"
        )
        for row in rows.records(levels)
    ]
    return sheet.done(f"{sheet.figure.finding}. Share that {done} by score. {'; '.join(told)}.")


def _stated(axes: Axes, known: Sequence[rows.Row], gaps: pd.Series, form: Format) -> None:
    """Draw the dots of `stated_against_done` and the line of what was said."""
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    for row in known:
        at = float(row["level"])
        axes.vlines(at, row["conf_low"] * 100, row["conf_high"] * 100, color=style.SKY, linewidth=4)
        axes.plot(at, row["estimate"] * 100, "o", color=style.BLUE, markersize=7)
        axes.annotate(
            f"n {form.count(row['n'])}", (at, 0), (0, -22), textcoords="offset points", ha="center", fontsize=6.5,
            color=style.GREY, xycoords=axes.get_xaxis_transform(),
        )  # fmt: skip
    stated = [
        (float(row["level"]), 100 * (row["estimate"] - gaps[row["level"]])) for row in known if row["level"] in gaps
    ]
    axes.plot(*zip(*stated, strict=True), color=style.GREY, linewidth=1.2, dashes=(4, 3))
    axes.set_xticks([float(row["level"]) for row in known], [row["level"] for row in known])
    highest = max((100 * row["conf_high"] for row in known), default=100.0)
    axes.set_ylim(-0.03 * highest, min(1.35 * highest, 104))  # what was done fills the picture; the line may leave it
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.xaxis.labelpad = 16


def _stated_finding(levels: pd.DataFrame, slope: Sequence[rows.Row], done: str, form: Format) -> str:
    """Say how much a point more goes with, and what the highest score was worth."""
    known = [row for row in rows.records(levels) if not missing_words(row)]
    if not known:
        return f"{done}: {missing_words(rows.records(levels)[0])}"
    top = max(known, key=lambda row: float(row["level"]))
    best = f"of those who said {top['level']}, {form.value(top['estimate'], 'percent')} did"
    if not slope or missing_words(slope[0]):
        return f"{done}: {best}"
    row = slope[0]
    if not _shown(row):
        return f"{done}: no rise with the score is shown; {best}"
    return f"{done}: each point more goes with {form.change(row['estimate'], 'percent')}; {best}"


def _blocks(frame: pd.DataFrame, titles: Mapping[str, str], units: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one block per outcome: title, unit and (group, row, difference to the first) in the frame's order."""
    found = []
    for name in rows.ids(frame):
        mine = frame[frame["metric"] == name]
        levels = rows.records(mine[mine["comparison"] == "level"])
        changes = {row["level"]: row for row in rows.records(mine[mine["comparison"] == "difference"])}
        first = next((row["against"] for row in changes.values()), levels[0]["level"] if levels else "")
        levels.sort(key=lambda row: (row["level"] != first, _ORDER.get(row["level"], 9), row["level"]))
        share = any("wilson" in row["method"] for row in levels)
        unit = units.get(name, _UNITS.get(name, "percent" if share else "count"))
        title = titles.get(name, _TITLES.get(name, plain(name)))
        known = [row["estimate"] for row in levels if not missing_words(row)]
        rare = unit == "count" and bool(known) and max(known) < _RARE
        if rare:
            levels = [_hundred(row) for row in levels]
            changes = {level: _hundred(row) for level, row in changes.items()}
        lines = [(row["level"], row, changes.get(row["level"])) for row in levels]
        head = f"{title} in 100 answers" if rare else title
        found.append({"title": head, "name": title, "rare": rare, "unit": unit, "rows": lines})
    return found


def _hundred(row: rows.Row) -> rows.Row:
    """Return a row for 100 answers in place of one."""
    return {**row, **{end: 100 * row[end] for end in ("estimate", "conf_low", "conf_high")}}


# What the analysis calls its usual outcomes.
_TITLES = {"churned": "left", "spend": "spent", "referrals": "recommendations made"}
_UNITS = {"spend": "money"}
_ORDER = {"promoter": 0, "passive": 1, "detractor": 2}


def _block(sheet: Sheet, block: dict[str, Any], top: float, form: Format) -> float:
    """Draw one outcome and return where it ends."""
    lines, unit = block["rows"], block["unit"]
    start, top = top, top + _HEAD - 0.12
    known = [row for _, row, _ in lines if not missing_words(row)]
    axes = sheet.axes(_LEFT, top, _RIGHT - _LEFT, len(lines) * _LINE, label=block["title"])
    axes.set(ylim=(len(lines) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    ends = [row[end] for row in known for end in ("estimate", "conf_low", "conf_high")]
    name, factor = form.axis(unit, max((abs(end) for end in ends), default=0.0))
    sheet.text(0, start, block["title"] if name == "count" else f"{block['title']}, {name}", weight="bold", size=9.5)
    for place, (group, row, change) in enumerate(lines):
        middle = top + (place + 0.5) * _LINE
        sheet.text(0, middle - 0.09, wrap(group, _LEFT - 1.0, SMALL, lines=1))
        _said_line(sheet, axes, place, row, change, unit, factor, middle, form)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    axes.set_xlim(left=0 if all(end >= 0 for end in ends) else None)
    axes.tick_params(axis="x", labelsize=7, length=2, pad=1)
    if not known:
        axes.set_xticks([])
    return top + len(lines) * _LINE + 0.24


def _said_line(
    sheet: Sheet, axes: Axes, place: int, row: rows.Row, change: rows.Row | None, unit: str, factor: float,
    middle: float, form: Format,
) -> None:  # fmt: skip
    """Draw one group: dot, interval, n, value and difference."""
    words = missing_words(row)
    if words:
        axes.plot(
            0.02, place, "x" if row["status"] == "undefined" else "o", markersize=5.5, markerfacecolor=style.PAPER,
            markeredgecolor=style.GREY, transform=axes.get_yaxis_transform(),
        )  # fmt: skip
        sheet.text(_RIGHT + 0.12, middle - 0.09, words, color=style.GREY, style="italic")
        return
    sheet.text(_LEFT - 0.12, middle - 0.09, f"n {form.count(row['n'])}", ha="right", size=7, color=style.GREY)
    axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=style.SKY, linewidth=4)
    axes.plot(row["estimate"] * factor, place, "o", color=style.BLUE, markersize=7, clip_on=False)
    sheet.text(_RIGHT + 0.12, middle - 0.09, form.short(row["estimate"], unit), weight="bold")
    if change is None or missing_words(change):
        told = "" if change is None else missing_words(change)
        sheet.text(_RIGHT + 1.0, middle - 0.09, told, size=7.5, color=style.GREY)
        return
    limits = form.interval(change["conf_low"], change["conf_high"], unit, change=True)
    mark = "≠" if _shown(change) else "○"
    told = f"{mark} {form.change(change['estimate'], unit)} ({limits})"
    sheet.text(_RIGHT + 1.0, middle - 0.085, told, size=7.5, color=style.INK if _shown(change) else style.GREY)


def _shown(row: rows.Row) -> bool:
    """Tell whether a difference is one: by its verdict where it has one, else by its interval."""
    if row["verdict"]:
        return bool(row["verdict"] == "moved")
    return bool(row["conf_low"] > 0 or row["conf_high"] < 0)


def _finding(blocks: Sequence[dict[str, Any]], form: Format) -> str:
    """Say for each outcome what the last group did against the first, where that is shown."""
    told, silent, who = [], [], ""
    for block in blocks:
        (first, one, _), (last, other, change) = block["rows"][0], block["rows"][-1]
        if change is None or any(missing_words(row) for row in (change, one, other)):
            continue
        who = f" ({last}s against {first}s)"
        if not _shown(change):
            silent.append(block["name"])
            continue
        told.append(f"{block['name']} {_against(other['estimate'], one['estimate'], block, form)}")
    if told:
        return f"What they said shows in what they did{who}: {'; '.join(told)}"
    if not silent:
        return "What they did afterwards: too few answers to compare"
    return f"What they said is not shown to matter for what they did{who}: {rows.listed(silent)}"


def _against(last: float, first: float, block: Mapping[str, Any], form: Format) -> str:
    """Return `17.3 % against 11.6 %`; rare things as `1 against 4 in 100 answers`."""
    if block["rare"]:
        ends = [form.count(value) for value in (last, first)]
        if ends[0] == ends[1] or "0" in ends:
            ends = [form.number(value, 2) for value in (last, first)]
        return f"{ends[0]} against {ends[1]} in 100 answers"
    more = " an answer" if block["unit"] == "count" else ""
    return f"{form.short(last, block['unit'])} against {form.short(first, block['unit'])}{more}"


def _window(frame: pd.DataFrame) -> str:
    """Say how long was looked after an answer."""
    found = sorted(set(frame["at"]) - {""})
    return f" Within {rows.listed(found)} after the answer." if found else ""


def _value_cell(row: rows.Row, unit: str, form: Format) -> Cell:
    words = missing_words(row)
    if words:
        return Cell(f'<span class="cx-missing">{escape(words)}{markup.small(row["note"])}</span>', row=row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit)
    return Cell(escape(form.short(row["estimate"], unit)) + markup.small(limits), row=row, unit=unit)


def _change_cell(row: rows.Row | None, unit: str, form: Format) -> Cell:
    if row is None:
        return Cell("")
    words = missing_words(row)
    if words:
        return Cell(f'<span class="cx-missing">{escape(words)}</span>', row=row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True)
    told = "different" if _shown(row) else "no difference shown"
    return Cell(escape(form.change(row["estimate"], unit)) + markup.small(limits, told), row=row, unit=unit)


def _alt(finding: str, blocks: Sequence[dict[str, Any]], form: Format) -> str:
    """Return the chart in words."""
    told = []
    for block in blocks:
        for group, row, change in block["rows"]:
            words = missing_words(row)
            if words:
                told.append(f"{block['title']}, {group}: {words}")
                continue
            limits = form.interval(row["conf_low"], row["conf_high"], block["unit"])
            more = ""
            if change is not None and not missing_words(change):
                ends = form.interval(change["conf_low"], change["conf_high"], block["unit"], change=True)
                more = f", against the first {form.change(change['estimate'], block['unit'])} (interval {ends})"
            value = form.value(row["estimate"], block["unit"])
            told.append(f"{block['title']}, {group}: {value} (interval {limits}, n {form.count(row['n'])}){more}")
    return f"{finding}. Dots with intervals. {'. '.join(told)}."
