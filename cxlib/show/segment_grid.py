"""Value against loyalty as a grid of cells, and whether clusters are clear."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from cxlib import results
from cxlib.analysis.segments.clusters import STABLE
from cxlib.analysis.segments.grid import BETWEEN
from cxlib.errors import UsageError
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words, shortened

PEOPLE, WORTH = "people_share", "value_share"
_NAME, _CELL, _HIGH, _TOP = 1.5, 1.75, 0.84, 0.5  # inches
_GRID_READ = "Each cell: {words}. The stronger the colour, the more. Hatched: hidden or without customers."
_CLEAR_READ = (
    "Dot: mean agreement (adjusted Rand index, 1 is the same) between the segments and those found in resamples; line: "
    "where the middle of the resamples lies; dashes: the least that counts. ● meets the whole rule, ○ does not."
)


@themed
def value_grid(
    frame: pd.DataFrame,
    titles: Mapping[str, str] | None = None,
    *,
    outcome: str = "",
    unit: str = "percent",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Value by loyalty: each cell's share of the customers and of the value, and an outcome with its interval.

    Parameters
    ----------
    frame
        Result frame of `segments.grid`.
    titles
        Column -> its name on the page.
    outcome
        The outcome to show, where the frame holds several; colours are those of the outcome where there is one, else
        those of the share of value.
    unit
        Of the outcome, as in a metric's definition.
    finding, currency, locale
        As in `small_multiples`.
    """
    given, frame = frame, _crossed(frame)
    found = [name for name in rows.ids(frame) if name not in (PEOPLE, WORTH)]
    if not outcome and len(found) > 1:
        raise UsageError(f"the frame holds {len(found)} outcomes ({', '.join(found)}): name the one to show")
    outcome, form = outcome or "".join(found), formatting(currency, locale)
    book = {(row["metric"], row["level"]): {str(k): v for k, v in row.items()} for row in frame.to_dict("records")}
    if not any(not missing_words(row) for row in book.values()):
        return nothing(rows.why_not(given, "the frame holds no cells of value by loyalty"), finding)
    sides = str(frame["segment"].iloc[0]).split(BETWEEN)
    pairs = [str(level).split(BETWEEN) for level in dict.fromkeys(frame["level"])]
    down, across = (list(dict.fromkeys(pair[place] for pair in pairs)) for place in (0, 1))
    names = [(titles or {}).get(side, plain(side)) for side in sides]
    shown = {"people": PEOPLE, "value": WORTH, "outcome": outcome}
    what = ["share of customers", *(["share of value"] if any(key[0] == WORTH for key in book) else [])]
    titled = (titles or {}).get(outcome, plain(outcome))
    what += [f"{titled} with interval"] if outcome else []
    sheet = Sheet(
        finding or _concentrated(book, names, form),
        f"{_GRID_READ.format(words=', '.join(what))} {_of(book, names, form)}".strip(),
        _TOP + len(down) * _HIGH + 0.1,
    )  # fmt: skip
    wide = min(_CELL, 8.0 / len(across))
    axes = sheet.axes(_NAME, _TOP, wide * len(across), len(down) * _HIGH, label="grid")
    _heads(sheet, names, down, across, wide)
    colour = outcome or (WORTH if any(key[0] == WORTH for key in book) else PEOPLE)
    _cells(axes, (down[::-1], across), book, {**shown, "colour": colour}, (titled, unit), form)
    return sheet.done(_grid_alt(sheet.figure.finding, book, shown, unit, form))


def _crossed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of cells; `UsageError` where they are of several grids."""
    mine = frame[frame["segment"].str.contains(BETWEEN, regex=False)]
    grids = sorted(set(mine["segment"]))
    if len(grids) > 1:
        raise UsageError(f"the frame holds {len(grids)} grids ({', '.join(grids)}): give one at a time")
    return mine


def _heads(sheet: Sheet, names: Sequence[str], down: Sequence[str], across: Sequence[str], wide: float) -> None:
    """Write the names of the rows, the highest value on top, and of the columns."""
    sheet.text(_NAME + wide * len(across) / 2, 0, f"{names[1]} →", ha="center", color=style.GREY)
    sheet.text(0, _TOP - 0.2, f"{names[0]} ↑", color=style.GREY)
    for place, name in enumerate(across):
        words = wrap(name, wide - 0.1, SMALL, bold=True, lines=1)
        sheet.text(_NAME + (place + 0.5) * wide, _TOP - 0.22, words, ha="center", weight="bold")
    for place, name in enumerate(down[::-1]):
        sheet.text(0, _TOP + (place + 0.5) * _HIGH - 0.1, wrap(name, _NAME - 0.15, SMALL, lines=2), weight="bold")


def _cells(
    axes: Axes, sides: tuple[Sequence[str], Sequence[str]], book: Mapping[Any, rows.Row], shown: Mapping[str, str],
    words: tuple[str, str], form: Format,
) -> None:  # fmt: skip
    """Draw the cells."""
    down, across = sides
    axes.set(xlim=(0, len(across)), ylim=(len(down), 0))
    axes.axis("off")
    known = [row["estimate"] for (name, _), row in book.items() if name == shown["colour"] and not missing_words(row)]
    low, high = (min(known, default=0.0), max(known, default=1.0)) if shown["outcome"] else (0.0, max(known, default=1))
    norm = Normalize(low - 0.15 * (high - low), high + 0.3 * (high - low) if high > low else low + 1)
    for y, one in enumerate(down):
        for x, other in enumerate(across):
            cell = {name: book.get((metric, f"{one}{BETWEEN}{other}")) for name, metric in shown.items()}
            _cell(axes, (x, y), cell, norm, words, form)


def _cell(
    axes: Axes, spot: tuple[int, int], cell: Mapping[str, rows.Row | None], norm: Normalize, words: tuple[str, str],
    form: Format,
) -> None:  # fmt: skip
    """Draw one cell: colour, customers, value, outcome."""
    name, unit = words
    box: dict[str, Any] = {"xy": (spot[0] + 0.02, spot[1] + 0.03), "width": 0.96, "height": 0.94}
    people, paint = cell["people"], cell["colour"]
    if people is None or missing_words(people) or people["estimate"] == 0:
        axes.add_patch(Rectangle(**box, facecolor="#f4f4f4", hatch="////", linewidth=0))
        paper: dict[str, Any] = {"facecolor": "#f4f4f4", "edgecolor": "none", "pad": 1.5}
        told = "nobody" if people is not None and people["estimate"] == 0 else "hidden"
        axes.text(spot[0] + 0.5, spot[1] + 0.5, told, ha="center", va="center", fontsize=7.5, bbox=paper)
        return
    colour = style.SEQUENTIAL(norm(paint["estimate"])) if paint and not missing_words(paint) else (0.96, 0.96, 0.96)
    axes.add_patch(Rectangle(**box, facecolor=colour, linewidth=0))
    lines = [f"{form.value(people['estimate'], 'percent')} of customers"]
    value = cell["value"]
    lines += [f"{form.value(value['estimate'], 'percent')} of value"] if value and not missing_words(value) else []
    lines += _outcome_lines(cell["outcome"], name, unit, form)
    step = 0.8 / max(len(lines), 3)
    for place, line in enumerate(lines):
        y = spot[1] + 0.5 + (place - (len(lines) - 1) / 2) * step
        bold = "bold" if place == 0 else "normal"
        axes.text(
            spot[0] + 0.5, y, line, ha="center", va="center", fontsize=7.5, color=style.text_on(colour), weight=bold
        )


def _outcome_lines(row: rows.Row | None, name: str, unit: str, form: Format) -> list[str]:
    """Return the outcome and its interval."""
    if row is None:
        return []
    if missing_words(row):
        return [missing_words(row)]
    words = f"{shortened(name, 14)} {form.value(row['estimate'], unit)}"
    return [words, f"({form.interval(row['conf_low'], row['conf_high'], unit)})"]


def _of(book: Mapping[Any, rows.Row], names: Sequence[str], form: Format) -> str:
    """Say how many customers the shares are of."""
    n = next((row["n"] for (name, _), row in book.items() if name == PEOPLE and not missing_words(row)), None)
    return "" if n is None else f"Of {form.count(n)} customers who have {names[0]} and {names[1]}."


def _concentrated(book: Mapping[Any, rows.Row], names: Sequence[str], form: Format) -> str:
    """Say which cell holds the most value (else the most customers), and of how many customers."""
    metric = WORTH if any(key[0] == WORTH for key in book) else PEOPLE
    known = {level: row for (name, level), row in book.items() if name == metric and not missing_words(row)}
    if not known:
        return f"{names[0].capitalize()} by {names[1]}: no cell may be shown"
    level = max(known, key=lambda name: (known[name]["estimate"], name))
    one, other = level.split(BETWEEN)
    where = f"{shortened(one, 24)} {names[0]} and {shortened(other, 24)} {names[1]}"
    share = form.value(known[level]["estimate"], "percent")
    people = book.get((PEOPLE, level))
    if metric == PEOPLE or people is None or missing_words(people):
        return f"{share} of the {'customers' if metric == PEOPLE else 'value'} lie in one cell: {where}"
    limits = form.interval(known[level]["conf_low"], known[level]["conf_high"], "percent")
    many = form.value(people["estimate"], "percent")
    return f"{many} of customers hold {share} of the value ({limits}): those of {where}"


def _grid_alt(finding: str, book: Mapping[Any, rows.Row], shown: Mapping[str, str], unit: str, form: Format) -> str:
    """Return the grid in words."""
    told = []
    for level in dict.fromkeys(key[1] for key in book):
        parts = []
        for name, words in (("people", "of customers"), ("value", "of value"), ("outcome", "")):
            row = book.get((shown[name], level))
            if row is not None:
                value = form.value(row["estimate"], unit if name == "outcome" else "percent")
                parts.append(missing_words(row) or f"{value} {words or plain(shown[name])}")
        told.append(f"{level}: {', '.join(parts)}")
    return f"{finding}. Grid of cells. {'. '.join(told)}."


@themed
def cluster_stability(frame: pd.DataFrame, *, finding: str | None = None) -> Chart:
    """One row a number of segments: do they come back in resamples, and what speaks against them.

    Parameters
    ----------
    frame
        Result frame `ClusterFit.stability`.
    finding
        The title; default what the rows say.
    """
    mine = frame[(frame["metric"] == "adjusted_rand") & (frame["status"] == results.OK)]
    if mine.empty:
        return nothing("the frame holds no numbers of segments that were looked at", finding)
    drawn = rows.records(mine)
    valley = frame[frame["metric"] == "valley"].set_index("level")["p_adjusted"]
    sheet = Sheet(finding or _clear(drawn), _CLEAR_READ, len(drawn) * 0.4 + 0.75)
    axes = sheet.axes(1.3, 0.25, 3.9, len(drawn) * 0.4, label="stability")
    axes.set(ylim=(len(drawn) - 0.5, -0.5), yticks=[], xlim=(min(0.0, mine["conf_low"].min()), 1.02))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.axvline(STABLE, color=style.INK, linewidth=1, dashes=(4, 3))
    axes.set_xlabel("adjusted Rand index", fontsize=8)
    sheet.text(5.4, 0, "adjusted p of no valley", color=style.GREY)
    said = []
    for place, row in enumerate(drawn):
        p_value = markup.p_words(valley.get(row["level"], math.nan)) or "none"
        _stable_row(sheet, axes, place, row, p_value)
        said.append(
            f"{row['level']}: {formatting().number(row['estimate'], 2)}, p of no valley {p_value}, {row['note']}"
        )
    return sheet.done(f"{sheet.figure.finding}. Agreement of segments with resamples. {'. '.join(said)}.")


def _stable_row(sheet: Sheet, axes: Axes, place: int, row: rows.Row, p_value: str) -> None:
    """Draw one number of segments."""
    good = row["note"] == "meets the rule"
    colour, top = (style.BLUE if good else style.GREY), 0.25 + (place + 0.5) * 0.4 - 0.08
    axes.hlines(place, row["conf_low"], row["conf_high"], color=colour, linewidth=2)
    axes.plot(row["estimate"], place, "o", color=colour, markerfacecolor=colour if good else style.PAPER, markersize=7)
    sheet.text(0, top, row["level"], weight="bold" if good else "normal")
    sheet.text(5.4, top, p_value)
    sheet.text(7.0, top, wrap(row["note"], 2.65, 8, lines=2), size=8, color=colour)


def _clear(drawn: Sequence[rows.Row]) -> str:
    """Say how many clear segments there are."""
    good = [row["level"] for row in drawn if row["note"] == "meets the rule"]
    if not good:
        return "No clear segments: no number of segments looked at meets the rule"
    return f"{good[-1].capitalize()} are clear: a valley parts every two, and resamples find them again"
