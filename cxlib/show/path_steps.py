"""Which steps go with how a path ends? Differences of shares, sorted, with intervals that hold for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.journeys.paths import METRIC
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

_MOST = 16
_LEFT, _RIGHT, _TOP, _LINE = 3.0, 6.6, 0.34, 0.33  # inches
_SHAPES = {"moved": "●", "not shown": "○", "could not have been seen": "◇"}
_MARKS = {"moved": "o", "not shown": "o", "could not have been seen": "D"}
_WORDS = {"moved": "shown", "not shown": "no difference shown", "could not have been seen": "too few to tell"}


@themed
def paths_chart(
    frame: pd.DataFrame, *, most: int = _MOST, finding: str | None = None, locale: str | None = None
) -> Chart:
    """One line a step: by how much its share differs between paths that end so and those that do not.

    Parameters
    ----------
    frame
        Result frame of `journeys.paths`.
    most
        Steps that are drawn: those shown to differ first, then the largest differences.
    finding, locale
        As in `small_multiples`.
    """
    found, shares = _found(frame)
    if not found:
        return nothing(_why(frame), finding)
    form, kept = formatting(None, locale), _kept(found, most)
    sheet = Sheet(finding or _most(found, form), _read(found, len(kept)), _TOP + len(kept) * _LINE + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(kept) * _LINE, label="steps")
    _frame(axes, kept)
    for x, words in ((_RIGHT + 0.15, ["Difference", "(interval)"]), (_RIGHT + 1.75, ["Share there", "and elsewhere"])):
        sheet.text(x, 0, words, size=7.5, color=style.GREY)
    for place, row in enumerate(kept):
        _row(sheet, axes, place, row, shares, form)
    return sheet.done(_alt(sheet.figure.finding, kept, shares, form))


def paths_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a step: the share in both groups, the difference with its interval, and what it says.

    Parameters
    ----------
    frame, locale
        As in `paths_chart`.
    title
        Heading; default the finding.
    """
    found, shares = _found(frame)
    if not found:
        return markup.nothing(title or "Steps before the end", _why(frame))
    form = formatting(None, locale)
    groups = [found[0]["at"], found[0]["against"]]
    columns: dict[str, list[Cell]] = {
        "Difference": [_cell(row, form) for row in found],
        **{_head(name, shares, form): [markup.estimate_cell(shares.get((row["level"], name)), "percent", form)
                                       for row in found] for name in groups},
        "Adjusted p": [markup.p_cell(row) for row in found],
    }  # fmt: skip
    body = markup.table(columns, ["Step of the path"], [(row["level"],) for row in found])
    notes = [escape(method) for method in dict.fromkeys(frame["method"]) if method]
    return markup.figure(title or _most(found, form), body, notes)


def _found(frame: pd.DataFrame) -> tuple[list[rows.Row], dict[tuple[str, str], rows.Row]]:
    """Return the differences that have numbers, and the shares by feature and group."""
    mine = rows.records(frame[frame["metric"] == METRIC])
    known = [row for row in mine if row["comparison"] == "difference" and not missing_words(row)]
    return known, {(row["level"], row["at"]): row for row in mine if row["comparison"] == "share"}


def _why(frame: pd.DataFrame) -> str:
    words = [row["note"] or missing_words(row) for row in rows.records(frame) if missing_words(row)]
    return words[0] if words else "the frame holds no paths"


def _kept(found: Sequence[rows.Row], most: int) -> list[rows.Row]:
    """Return the rows to draw, from what is more frequent there to what is less."""
    first = sorted(found, key=lambda row: (row["verdict"] != "moved", -abs(row["estimate"]), row["level"]))[:most]
    return sorted(first, key=lambda row: (-row["estimate"], row["level"]))


def _head(name: str, shares: dict[tuple[str, str], rows.Row], form: Format) -> str:
    """Return a group with its customers."""
    n = next((row["n"] for key, row in shares.items() if key[1] == name), 0)
    return f"{name.capitalize()} (n {form.count(n)})"


def _read(found: Sequence[rows.Row], kept: int) -> str:
    """Say what is compared."""
    first, more = found[0], len(found) - kept
    days = next((part for part in first["method"].split(", ") if part.endswith("days before")), "")
    told = f"Percentage points between paths that {first['at']} and those that {first['against']}, in the {days}: "
    told = told.replace("in the : ", ": ").replace(" days before: ", " days before the end: ")
    told += f"dot and interval; all {len(found)} intervals hold together. Filled: shown to differ. "
    told += "Those who did not end so are customers drawn for the same moment. What goes with an end need not cause it."
    return f"{told} {more} more are not drawn." if more > 0 else told


def _most(found: Sequence[rows.Row], form: Format) -> str:
    """Say which step differs most."""
    end = found[0]["at"]
    moved = [row for row in found if row["verdict"] == "moved"]
    if not moved:
        return f"No step of {len(found)} is shown to go with paths that {end}"
    first = max(moved, key=lambda row: (abs(row["estimate"]), row["level"]))
    side = "more" if first["estimate"] > 0 else "less"
    points = form.value(abs(first["estimate"]), "percent").replace(" %", "")
    are = "are" if len(moved) > 1 else "is"
    rest = f"; {len(moved)} of {len(found)} steps {are} shown to differ" if len(found) > 1 else ""
    return f"{_capital(first['level'])}: {points} points {side} often in paths that {end}{rest}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _frame(axes: Axes, kept: Sequence[rows.Row]) -> None:
    """Set up the axis about 0."""
    axes.set(ylim=(len(kept) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=style.INK, linewidth=1, dashes=(4, 3), zorder=1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel("percentage points", fontsize=8)
    how: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 8}
    axes.annotate("less often there ", (0, 1), (-3, 4), ha="right", color=style.GREY, **how)
    axes.annotate(" more often there", (0, 1), (3, 4), ha="left", color=style.GREY, **how)
    ends = [100 * row[name] for row in kept for name in ("conf_low", "conf_high")]
    wide = max(*ends, 1.0) - min(*ends, -1.0)
    axes.set_xlim(min(*ends, -0.2 * wide) - 0.04 * wide, max(*ends, 0.2 * wide) + 0.04 * wide)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(formatting()))


def _row(
    sheet: Sheet, axes: Axes, place: int, row: rows.Row, shares: dict[tuple[str, str], rows.Row], form: Format
) -> None:
    """Draw one step: its name, dot and interval, and the numbers in words."""
    moved, top = row["verdict"] == "moved", _TOP + (place + 0.5) * _LINE
    colour = style.BLUE if moved else style.GREY
    axes.hlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=colour, linewidth=1.8)
    axes.plot(100 * row["estimate"], place, _MARKS.get(row["verdict"], "o"), color=colour,
              markerfacecolor=colour if moved else style.PAPER, markersize=6.5)  # fmt: skip
    lines = wrap(_capital(row["level"]), _LEFT - 0.2, SMALL, lines=2)
    sheet.text(0, top - 0.08 * len(lines), lines, weight="bold" if moved else "normal")
    sheet.text(_RIGHT + 0.15, top - 0.14, form.change(row["estimate"], "percent"), weight="bold")
    limits = form.interval(row["conf_low"], row["conf_high"], "percent", change=True).removesuffix(" pp")
    sheet.text(_RIGHT + 0.15, top + 0.01, limits, size=7, color=style.GREY)
    sheet.text(_RIGHT + 1.75, top - 0.08, _shares(row, shares, form))


def _shares(row: rows.Row, shares: dict[tuple[str, str], rows.Row], form: Format) -> str:
    """Return `64.1 % against 33.4 %`."""
    both = [shares.get((row["level"], row[name])) for name in ("at", "against")]
    told = [missing_words(one) or form.value(one["estimate"], "percent") for one in both if one is not None]
    return " against ".join(told)


def _cell(row: rows.Row, form: Format) -> Cell:
    """Return a difference with interval and verdict."""
    limits = form.interval(row["conf_low"], row["conf_high"], "percent", change=True)
    words, shape = _WORDS.get(row["verdict"], ""), _SHAPES.get(row["verdict"], "")
    said = f'<br><span class="cx-flat"><span aria-hidden="true">{shape}</span> {escape(words)}</span>' if words else ""
    why = markup.small(row["note"]) if row["note"] else ""
    return Cell(f"{escape(form.change(row['estimate'], 'percent'))}{markup.small(limits)}{said}{why}", row=row,
                unit="percent")  # fmt: skip


def _alt(finding: str, kept: Sequence[rows.Row], shares: dict[tuple[str, str], rows.Row], form: Format) -> str:
    """Return the chart in words."""
    told = [
        f"{row['level']}: {form.change(row['estimate'], 'percent')} (interval "
        f"{form.interval(row['conf_low'], row['conf_high'], 'percent', change=True)}; {_shares(row, shares, form)}), "
        f"{_WORDS.get(row['verdict'], '')}"
        for row in kept
    ]
    return f"{finding}. Differences of shares between the two kinds of path. {'. '.join(told)}."
