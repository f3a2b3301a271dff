"""What to mend first, and what to keep: causes by how many met them and what goes with that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.analysis.journeys.friction_rows import (
    BUYING,
    FRICTION,
    LEAVING,
    MONEY,
    PRIORITY,
    RANK,
    SATISFACTION,
    VOLUME,
    WIN,
)  # fmt: skip
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.formats import MINUS, Format, formatting, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.rows import Row

_NAME, _LEFT, _WIDE = 2.3, 2.45, 3.0  # inches: names, where the bars begin, and how wide they are
_TOP, _LINE, _GAP = 0.42, 0.42, 0.3
_COLUMNS = {"Customers": 5.65, "Each": 6.45, "Value": 7.5, "Rank": 9.05}
_ABSENT: Row = rows.records(results.frame(status=results.UNDEFINED))[0]
_HEADS = {FRICTION: "What goes wrong", WIN: "What goes well"}
_VERDICTS = {"moved": "shown", "not shown": "not shown", "could not have been seen": "too few to tell"}


@dataclass(frozen=True)
class _Line:
    """One cause with its rows by metric."""

    side: str
    name: str
    of: Mapping[str, Row]

    def __getitem__(self, metric: str) -> Row:
        return self.of.get(metric, _ABSENT)

    @property
    def shown(self) -> bool:
        """Whether what goes with it is shown, and runs as its name says."""
        row = self[PRIORITY]
        return bool(row["verdict"] == "moved" and (row["estimate"] < 0) == (self.side == FRICTION))


@themed
def friction_chart(
    frame: pd.DataFrame,
    *,
    outcome: str = "satisfaction",
    unit: str = "score",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Frictions (bars to the left) and wins (to the right), ranked: customers x effect, with intervals.

    Beside each bar: how many customers met it, what goes with it for each, the value at stake, and its rank with the
    ranks that chance allows. Hollow: not shown.

    Parameters
    ----------
    frame
        Result frame of `journeys.friction`.
    outcome, unit
        What the score is called, and its unit.
    finding, currency, locale
        As in `small_multiples`.
    """
    lines, silent = _lines(frame)
    if not lines:
        return nothing(_why_none(frame, silent), finding)
    form, title = formatting(currency, locale), finding or _finding(lines, outcome, unit, formatting(None, locale))
    about = (
        f"Bar: {outcome} that goes with it, added up over the customers who met it; line: interval. Filled: shown. "
        f"Ranked by the end of the interval that is nearest to none. All of it goes with the cause; none of it is "
        f"proof.{_left_out(silent)}"
    )
    sides = [side for side in (FRICTION, WIN) if any(line.side == side for line in lines)]
    height = _TOP + len(lines) * _LINE + (len(sides) - 1) * _GAP
    sheet = Sheet(title, about, height + 0.5)
    axes = sheet.axes(_LEFT, _TOP, _WIDE, height - _TOP, label="friction")
    _frame(axes, lines, height - _TOP, outcome, form)
    _heads(sheet)
    told, top = [], 0.0
    for side in sides:
        sheet.text(0, _TOP + top - 0.2, _HEADS[side], weight="bold", color=style.GREY)
        for line in (line for line in lines if line.side == side):
            _draw(sheet, axes, line, top + _LINE / 2, unit, form)
            told.append(_sentence(line, unit, form))
            top += _LINE
        top += _GAP
    return sheet.done(" ".join([f"{title}.", about, *told]))


def friction_table(
    frame: pd.DataFrame,
    *,
    outcome: str = "satisfaction",
    unit: str = "score",
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a cause, by rank: rank interval, customers, effect, leaving, buying again, value at stake, confidence.

    Parameters
    ----------
    frame, outcome, unit, currency, locale
        As in `friction_chart`.
    title
        Heading; default the finding.
    """
    lines, silent = _lines(frame)
    lines += [line for line in silent if not missing_words(line[MONEY])]
    if not lines:
        return markup.nothing(title or "Frictions and wins", _why_none(frame, silent))
    form, lines = formatting(currency, locale), sorted(lines, key=lambda line: line.side != FRICTION)
    columns: dict[str, list[Cell]] = {
        "Rank (may be)": [_rank_cell(line[RANK]) for line in lines],
        "Customers who met it": [_many_cell(line, form) for line in lines],
        f"Goes with, {outcome}": [_effect_cell(line[SATISFACTION], unit, form) for line in lines],
        "Leaving in 30 days": [_effect_cell(line[LEAVING], "percent", form) for line in lines],
        "Buying again in 30 days": [_effect_cell(line[BUYING], "percent", form) for line in lines],
        "Value at stake": [_money_cell(line[MONEY], form) for line in lines],
        "Most of it at": [_place_cell(line, frame, unit, form) for line in lines],
    }
    known = [line for line in lines if not missing_words(line[PRIORITY])]
    heading = title or (_finding(known, outcome, unit, form) if known else "Frictions and wins")
    body = markup.table(columns, ["How it goes", "What happened"], [(_HEADS[line.side], line.name) for line in lines])
    notes = [escape(f"{line[MONEY]['method']}.") for line in known if not missing_words(line[MONEY])][:1]
    notes += [escape(f"{line.name}: {_to_know(line)}.") for line in lines if _to_know(line)]
    below = "What is called shown allows for how many causes were looked at; the intervals do not. "
    below += "All of it is what goes with a cause, others held: an association, no proof that mending it helps."
    below += _left_out([line for line in silent if line not in lines], "Not told")
    return markup.figure(heading, body, notes, below)


def _lines(frame: pd.DataFrame) -> tuple[list[_Line], list[_Line]]:
    """Return the causes with a priority, ranked within frictions and wins, and those without."""
    mine = frame[(frame["at"] == "all") & frame["segment"].isin([FRICTION, WIN])]
    mine = mine[~((mine["metric"] == VOLUME) & (mine["comparison"] == "share"))]
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows.records(mine):
        found.setdefault((row["segment"], row["level"]), {})[row["metric"]] = row
    lines = [_Line(side, name, known) for (side, name), known in found.items() if PRIORITY in known]
    ready = [line for line in lines if not missing_words(line[PRIORITY]) and not missing_words(line[RANK])]
    ready.sort(key=lambda line: (line.side != FRICTION, line[RANK]["estimate"], line.name))
    return ready, [line for line in lines if line not in ready]


def _finding(lines: Sequence[_Line], outcome: str, unit: str, form: Format) -> str:
    """Say what comes first among frictions, or may, and which win stands out."""
    bad = [line for line in lines if line.side == FRICTION and line.shown]
    good = [line for line in lines if line.side == WIN and line.shown]
    if not bad:
        return f"No friction is shown to go with less {outcome}" + (
            f"; {_lower(good[0])} goes with more" if good else ""
        )
    tied = [line for line in bad if line[RANK]["conf_low"] == 1]
    if len(tied) > 1:
        return f"{rows.listed([tied[0].name, *map(_lower, tied[1:])])} may each go with the most lost {outcome}"
    first = bad[0]
    each = form.change(first[SATISFACTION]["estimate"], unit)
    many = form.count(first[VOLUME]["estimate"])
    head = f"{first.name} goes with the most lost {outcome}: {many} customers, {each} each"
    rest = rows.listed([_lower(line) for line in bad[1:3]])
    return head + (f"; then {rest}" if rest else "")


def _why_none(frame: pd.DataFrame, silent: Sequence[_Line]) -> str:
    """Say why no cause is ranked."""
    if not silent:
        return rows.why_not(frame, "the frame holds no frictions")
    return f"no cause can be ranked.{_left_out(silent)}".removesuffix(".")


def _lower(line: _Line) -> str:
    return line.name[:1].lower() + line.name[1:]


def _left_out(silent: Sequence[_Line], how: str = "Not drawn") -> str:
    """Name the causes that are left out, by reason."""
    reasons: dict[str, list[str]] = {}
    for line in silent:
        row = line[PRIORITY] if missing_words(line[PRIORITY]) else line[RANK]
        why = "hidden: too few customers" if row["status"] == "suppressed" else row["note"]
        reasons.setdefault(why, []).append(line.name)
    told = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
    return f" {how}: {told}." if told else ""


def _frame(axes: Axes, lines: Sequence[_Line], height: float, outcome: str, form: Format) -> None:
    """Set up the axis of the bars, 0 at the middle of what there is."""
    axes.set(ylim=(height, 0.0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel(f"{outcome}, added up over customers (points)", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    ends = [line[PRIORITY][end] for line in lines for end in ("conf_low", "conf_high", "estimate")]
    ends = [end for end in ends if not math.isnan(end)]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    room = 0.04 * max(high - low, 1e-9)
    axes.set_xlim(low - room, high + room)


def _heads(sheet: Sheet) -> None:
    """Write the heads of the columns beside the bars."""
    how: dict[str, Any] = {"color": style.GREY, "size": 7.5}
    sheet.text(_COLUMNS["Customers"], 0, ["Customers", "this period"], **how)
    sheet.text(_COLUMNS["Each"], 0, ["Goes with,", "for each"], **how)
    sheet.text(_COLUMNS["Value"], 0, ["Value at stake", "(interval)"], **how)
    sheet.text(_COLUMNS["Rank"], 0, ["Rank", "(may be)"], **how)


def _draw(sheet: Sheet, axes: Axes, line: _Line, middle: float, unit: str, form: Format) -> None:
    """Draw one bar with its interval, name and numbers."""
    row, colour = line[PRIORITY], style.ORANGE if line.side == FRICTION else style.BLUE
    edge = colour if line.shown else style.GREY
    axes.barh(middle, row["estimate"], 0.22, color=colour if line.shown else style.PAPER, edgecolor=edge, zorder=2)
    if not math.isnan(row["conf_low"]):
        for ink, width in (*[(style.PAPER, 3.2)] * line.shown, (style.INK, 1.2)):
            axes.hlines(middle, row["conf_low"], row["conf_high"], color=ink, linewidth=width, zorder=3)
    top = _TOP + middle
    name = wrap(line.name, _NAME, SMALL, lines=2)
    sheet.text(0, top - 0.08 * len(name), name, weight="bold" if line.shown else "normal")
    small: dict[str, Any] = {"size": 7, "color": style.GREY}
    sheet.text(_COLUMNS["Customers"], top - 0.08, form.count(line[VOLUME]["estimate"]))
    effect, money, rank = line[SATISFACTION], line[MONEY], line[RANK]
    sheet.text(_COLUMNS["Each"], top - 0.16, form.change(effect["estimate"], unit), weight="bold")
    sheet.text(_COLUMNS["Each"], top + 0.01, _limits(effect, unit, form), **small)
    words, ink = missing_words(money), style.INK if money["verdict"] == "moved" else style.GREY
    sheet.text(_COLUMNS["Value"], top - 0.16, words or _money(money["estimate"], form), color=ink)
    sheet.text(_COLUMNS["Value"], top + 0.01, "" if words else _spread(money, form), **small)
    sheet.text(_COLUMNS["Rank"], top - 0.16, f"{rank['estimate']:.0f}", weight="bold")
    sheet.text(_COLUMNS["Rank"], top + 0.01, _ranks(rank), **small)


def _limits(row: Row, unit: str, form: Format) -> str:
    return str(form.interval(row["conf_low"], row["conf_high"], unit, change=True))


def _money(value: float, form: Format) -> str:
    """Return an amount with its sign, in whole units: more would be more than is known."""
    before, after = form.around_money()
    sign = MINUS if round(value) < 0 else "+" if round(value) > 0 else ""
    return f"{sign}{before}{form.number(abs(value), 0)}{after}"


def _spread(row: Row, form: Format) -> str:
    if math.isnan(row["conf_low"]):
        return "no interval"
    return f"{_money(row['conf_low'], form)} to {_money(row['conf_high'], form)}"


def _ranks(row: Row) -> str:
    """Return which other ranks chance allows; nothing where there are none."""
    if math.isnan(row["conf_low"]) or row["conf_low"] == row["conf_high"]:
        return ""
    return f"{row['conf_low']:.0f} to {row['conf_high']:.0f}"


def _sentence(line: _Line, unit: str, form: Format) -> str:
    """Return one cause in a sentence."""
    effect, money, rank = line[SATISFACTION], line[MONEY], line[RANK]
    may = f" (may be {_ranks(rank)})" if _ranks(rank) else ""
    told = f"{line.name}: rank {rank['estimate']:.0f}{may}, "
    told += f"{form.count(line[VOLUME]['estimate'])} customers, {form.change(effect['estimate'], unit)} each "
    told += f"(interval {_limits(effect, unit, form)}), {_VERDICTS.get(line[PRIORITY]['verdict'], 'not shown')}"
    if not missing_words(money):
        told += f"; value at stake {_money(money['estimate'], form)} (interval {_spread(money, form)})"
    return f"{told}."


def _rank_cell(row: Row) -> Cell:
    if missing_words(row):
        return Cell("", row=row)
    return Cell(escape(f"{row['estimate']:.0f}") + markup.small(_ranks(row)), row=row, unit="rank")


def _many_cell(line: _Line, form: Format) -> Cell:
    row = line[VOLUME]
    if missing_words(row):
        return markup.missing_cell(row)
    return Cell(escape(form.count(row["estimate"])), row=row, unit="count")


def _effect_cell(row: Row, unit: str, form: Format) -> Cell:
    """Return a difference with its interval and whether it is shown, or the words for its absence."""
    if missing_words(row):
        return markup.missing_cell(row)
    told = _VERDICTS.get(row["verdict"], "")
    return Cell(escape(form.change(row["estimate"], unit)) + markup.small(_limits(row, unit, form), told), row=row,
                unit=unit)  # fmt: skip


def _money_cell(row: Row, form: Format) -> Cell:
    if missing_words(row):
        return markup.missing_cell(row)
    told = _VERDICTS.get(row["verdict"], "")
    return Cell(escape(_money(row["estimate"], form)) + markup.small(_spread(row, form), told), row=row, unit="money")


def _place_cell(line: _Line, frame: pd.DataFrame, unit: str, form: Format) -> Cell:
    """Return the touchpoint that comes first for a cause, by the surer end of its priority, where one is shown."""
    mine = frame[(frame["segment"] == line.side) & (frame["level"] == line.name) & ~frame["at"].isin(["all", ""])]
    places = rows.records(mine[(mine["metric"] == PRIORITY) & (mine["verdict"] == "moved")])
    bad = line.side == FRICTION
    places = [row for row in places if (row["estimate"] < 0) == bad]
    if not places:
        return markup.text_cell("")
    first = max(places, key=lambda row: (-row["conf_high"] if bad else row["conf_low"], row["at"]))
    effect = next(row for row in rows.records(mine[(mine["metric"] == SATISFACTION) & (mine["at"] == first["at"])]))
    told = form.change(effect["estimate"], unit), _limits(effect, unit, form)
    return Cell(escape(first["at"]) + markup.small(*told), number=False, row=effect, unit=unit)


def _to_know(line: _Line) -> str:
    """Return the notes of a cause, each once."""
    notes = [line[metric]["note"] for metric in (SATISFACTION, PRIORITY)]
    return "; ".join(dict.fromkeys(note for note in notes if note))
