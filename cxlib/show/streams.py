"""What do customers do at the same time? Streams of activity against each other, the funnel only as a comparison."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from cxlib import results
from cxlib.analysis.journeys.streams import ACTIVE, CONCURRENT, FOLLOWS, FUNNEL, ORDER, PARALLEL, SEVERAL, TIME
from cxlib.show import rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, missing_words

_LEFT, _TOP, _CELL, _HIGH = 1.35, 0.5, 1.12, 0.58  # inches: where the matrix begins, and a cell
_BARS, _WIDE, _STEP = 6.5, 2.1, 0.85  # inches: where the comparison begins, its axis, and from one line to the next
_LINES = (
    (PARALLEL, SEVERAL, "were ever in several streams at once", "of customers in two streams or more"),
    (TIME, SEVERAL, "of active time is in several streams at once", "of all customers"),
    (FUNNEL, FOLLOWS, "entered their streams in the textbook's order", "of new ones in two streams or more"),
)
_CHANCE = re.compile(r"pure chance (\d+) %")


@themed
def streams_chart(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """A matrix of who is in two streams at the same time; beside it how far customers follow the funnel's order.

    Parameters
    ----------
    frame
        Result frame of `journeys.streams`.
    finding, locale
        As in `small_multiples`.
    """
    book = {(row["metric"], row["level"], row["against"]): row for row in rows.records(frame)}
    names = _ordered(book)
    known = [row for key, row in book.items() if key[0] == CONCURRENT and not missing_words(row)]
    if not known:
        return nothing(rows.why_not(frame, "the frame holds no streams that may be shown"), finding)
    form = formatting(None, locale)
    lines = [(book.get((metric, level, _against(book, metric, level))), *words) for metric, level, *words in _LINES]
    high = max(_TOP + len(names) * _HIGH, _TOP + len(lines) * _STEP) + 0.1
    sheet = Sheet(finding or _most(lines, known, form), _read(known[0], book), high)
    _matrix(sheet, names, book, form)
    _comparison(sheet, lines, form)
    return sheet.done(_alt(sheet.figure.finding, known, lines, form))


def _ordered(book: Mapping[tuple[str, str, str], rows.Row]) -> list[str]:
    """Return the streams of which anything is recorded, those of the textbook in its order first."""
    found = [key[1] for key, row in book.items() if key[0] == ACTIVE and row["status"] != results.UNDEFINED]
    return sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _against(book: Mapping[tuple[str, str, str], rows.Row], metric: str, level: str) -> str:
    return next((key[2] for key in book if key[:2] == (metric, level)), "")


def _read(row: rows.Row, book: Mapping[tuple[str, str, str], rows.Row]) -> str:
    """Say how to read it, and what counts as the same time."""
    silent = [key[1] for key, one in book.items() if key[0] == ACTIVE and one["status"] == results.UNDEFINED]
    told = f" Nothing is recorded of: {rows.listed(silent)}." if silent else ""
    reach = row["method"].rpartition(", ")[2]
    return (
        f"Of the customers in the stream of a line, the share who were in that of the column at the same time, "
        f"with interval; on the diagonal the share of all who were in it. {reach[:1].upper()}{reach[1:]}. New are "
        f"those first seen in this time: what anybody did before being known is not seen.{told}"
    )


def _matrix(sheet: Sheet, names: Sequence[str], book: Mapping[tuple[str, str, str], rows.Row], form: Format) -> None:
    """Draw one cell for each two streams."""
    size = len(names)
    axes = sheet.axes(_LEFT, _TOP, _CELL * size, _HIGH * size, label="streams")
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    norm = Normalize(0, 1)
    sheet.text(_LEFT, 0, "Also in, at the same time", color=style.GREY, weight="bold")
    for place, name in enumerate(names):
        sheet.text(_LEFT + (place + 0.5) * _CELL, 0.26, name.capitalize(), ha="center", weight="bold")
        sheet.text(0, _TOP + (place + 0.5) * _HIGH - 0.14, name.capitalize(), weight="bold")
        n = _first(book, name)
        sheet.text(0, _TOP + (place + 0.5) * _HIGH + 0.03, f"n {form.count(n)}" if n else "hidden", size=7.5,
                   color=style.GREY)  # fmt: skip
        for across, other in enumerate(names):
            key = (ACTIVE, name, "") if name == other else (CONCURRENT, name, other)
            _cell(axes, (across, place), book.get(key), norm, form)


def _first(book: Mapping[tuple[str, str, str], rows.Row], name: str) -> float:
    """Return how many customers were in a stream, 0 where that is hidden."""
    return next((row["n"] for key, row in book.items() if key[:2] == (CONCURRENT, name) and not missing_words(row)), 0)


def _cell(axes: Axes, at: tuple[int, int], row: rows.Row | None, norm: Normalize, form: Format) -> None:
    """Draw one cell: its share and interval, or that there is none; the diagonal without colour."""
    across, down = at
    box: dict[str, Any] = {"xy": (across + 0.02, down + 0.03), "width": 0.96, "height": 0.94, "linewidth": 0}
    how: dict[str, Any] = {"ha": "center", "va": "center"}
    if row is None or missing_words(row):
        axes.add_patch(Rectangle(**box, facecolor="#f4f4f4", hatch="////"))
        axes.text(across + 0.5, down + 0.5, "hidden" if row else "–", fontsize=7.5, color=style.GREY, **how)
        return
    whole = row["metric"] == ACTIVE
    colour = "#f4f4f4" if whole else style.SEQUENTIAL(norm(row["estimate"]))
    ink = style.GREY if whole else style.text_on(style.SEQUENTIAL(norm(row["estimate"])))
    axes.add_patch(Rectangle(**box, facecolor=colour))
    axes.text(across + 0.5, down + 0.36, form.value(row["estimate"], "percent"), fontsize=9.5, weight="bold",
              color=ink, **how)  # fmt: skip
    under = "of all customers" if whole else form.interval(row["conf_low"], row["conf_high"], "percent")
    axes.text(across + 0.5, down + 0.72, under, fontsize=7, color=ink, **how)


def _comparison(sheet: Sheet, lines: Sequence[tuple[Any, ...]], form: Format) -> None:
    """Draw how much goes on at once, and how many follow the order of the funnel beside what chance would give."""
    sheet.text(_BARS, 0, "The funnel, as a comparison", color=style.GREY, weight="bold")
    for place, (row, words, of) in enumerate(lines):
        top = 0.3 + place * _STEP
        axes = sheet.axes(_BARS, top, _WIDE, 0.2, label=words)
        axes.set(xlim=(0, 1), ylim=(-0.5, 0.5), xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set_visible(False)
        axes.add_patch(Rectangle((0, -0.35), 1, 0.7, facecolor="#ececec", linewidth=0))
        missing = missing_words(row)
        limits = "" if missing else f"; {form.interval(row['conf_low'], row['conf_high'], 'percent')}"
        lower = wrap(words, _WIDE + 1.0, SMALL, lines=2)
        sheet.text(_BARS, top + 0.24, lower)
        top += 0.16 * (len(lower) - 1)
        sheet.text(_BARS, top + 0.4, wrap(of + limits, _WIDE + 1.0, 7.5, lines=1), size=7.5, color=style.GREY)
        if row is None or missing:
            sheet.text(_BARS + _WIDE + 0.1, top + 0.03, missing, color=style.GREY)
            continue
        axes.add_patch(Rectangle((0, -0.35), row["estimate"], 0.7, facecolor=style.BLUE, linewidth=0))
        for colour, width in ((style.PAPER, 3.2), (style.INK, 1.2)):
            axes.hlines(0, row["conf_low"], row["conf_high"], color=colour, linewidth=width, clip_on=False)
        chance = _chance(row)
        if chance is not None:
            axes.vlines(chance, -0.5, 0.5, color=style.ORANGE, linewidth=2)
            told = f"orange: by pure chance {form.percent(form.number(100 * chance, 0))}"
            sheet.text(_BARS, top + 0.55, told, size=7.5, color=style.ORANGE)
        top -= 0.16 * (len(lower) - 1)
        sheet.text(_BARS + _WIDE + 0.1, top + 0.02, form.value(row["estimate"], "percent"), weight="bold")


def _chance(row: rows.Row) -> float | None:
    found = _CHANCE.search(row["note"])
    return float(found.group(1)) / 100 if found else None


def _most(lines: Sequence[tuple[Any, ...]], known: Sequence[rows.Row], form: Format) -> str:
    """Say how many do several things at once, and how many follow the funnel."""
    at_once, _, funnel = (row for row, *_ in lines)
    told = []
    if not missing_words(at_once):
        share = form.value(at_once["estimate"], "percent")
        told.append(f"{share} of customers with two streams or more are in several at the same time")
    if not missing_words(funnel):
        told.append(f"{form.value(funnel['estimate'], 'percent')} of new ones enter them in the order of the funnel")
    if told:
        return ", ".join(told)
    first = max(known, key=lambda row: (row["estimate"], row["level"], row["against"]))
    share = form.value(first["estimate"], "percent")
    return f"{share} of customers in {first['level']} are in {first['against']} at the same time"


def _alt(finding: str, known: Sequence[rows.Row], lines: Sequence[tuple[Any, ...]], form: Format) -> str:
    """Return the chart in words."""
    told = [f"{row['level']} and {row['against']} {_said(row, form)}" for row in known]
    more = [f"{_said(row, form)} {words} ({of})" for row, words, of in lines if row is not None]
    first = f"{finding}. Of customers in the first stream, in the second at the same time: {'; '.join(told)}."
    return f"{first} {'; '.join(more)}."


def _said(row: rows.Row, form: Format) -> str:
    words = missing_words(row)
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    return words or f"{form.value(row['estimate'], 'percent')} (interval {limits}, n {form.count(row['n'])})"
