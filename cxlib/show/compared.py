"""Stated, derived and experimental importance side by side: where the ranks agree and where they do not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from cxlib import results
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.drivers import Names, capital, named, narrowed, titled, why
from cxlib.show.formats import formatting
from cxlib.show.markup import Cell, Html

_SOURCES = {"stated": "What customers say", "derived": "What goes with the outcome", "experimental": "Experiments"}
_HEADS = {
    "stated": "Customers say it matters", "derived": "Goes with the outcome", "experimental": "Experiments: points",
}  # fmt: skip
_LINE, _TOP, _LEFT, _WIDE = 0.34, 0.42, 2.5, 1.55  # inches: a rank's height, where the columns begin, between two
_FEW = 3  # different figures of what customers say, below which they have no order
_TOO_FEW = "Too few drivers with a theme to compare orders"
_BARS = 12  # drivers; of more, only those that disagree have their bars drawn


@themed
def importance_compared(
    frame: pd.DataFrame,
    *,
    names: Names = None,
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One line a driver through its rank in each source, intervals of ranks drawn; disagreement in words.

    Parameters
    ----------
    frame
        Rows of `drivers.compare`.
    names, finding, locale
        As in `drivers.driver_importance`.
    """
    ranks, sources, order = _ranks(frame)
    if not ranks:
        return nothing(why(frame, "the frame holds no ranks of several sources"), finding)
    if len(sources) == 2 and "stated" in sources and _few(frame, order):
        return nothing(
            "what customers say differs for fewer than three drivers, which is no order", finding or _TOO_FEW
        )
    notes, tried = {name: _note(ranks, sources, name) for name in order}, _tried(frame, sources, locale)
    title = finding or _sentence(frame, order, notes, sources, names)
    about = (
        f"Rank in each source (1 matters most); the bars are the ranks that a driver may have. {_tau(frame, locale)}"
    )
    words, line = _said(order, notes, tried, len(sources), names)
    sheet = Sheet(title, about.strip(), _TOP + len(order) * line + 0.1)
    width = _WIDE * (len(sources) - 1)
    axes = sheet.axes(_LEFT, _TOP, width + 0.6, len(order) * line, label="compared")
    axes.set(xlim=(-0.3 / _WIDE, len(sources) - 1 + 0.3 / _WIDE), ylim=(len(order) + 0.5, 0.5), xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    for place, source in enumerate(sources):
        for number, head in enumerate(wrap(_SOURCES[source], _WIDE - 0.15, 8, lines=2)):
            sheet.text(_LEFT + 0.3 + place * _WIDE, number * 0.14, head, size=8, ha="center", color=style.GREY)
    for spread, name in enumerate(order):
        row = [ranks[source, name] for source in sources]
        _line(axes, row, bool(notes[name]), (spread % 3 - 1) * 0.04, bool(notes[name]) or len(order) <= _BARS)
    _labels(sheet, ranks, sources, words, line, names)
    told = [_told(name, ranks, sources, _joined(notes[name], tried.get(name, "")), names) for name in order]
    return sheet.done(" ".join([f"{title}.", about.strip(), *told]))


def importance_compared_table(
    frame: pd.DataFrame, *, names: Names = None, title: str | None = None, locale: str | None = None
) -> Html:
    """One row a driver: its importance in each source with interval and rank, and what disagreement means.

    Parameters
    ----------
    frame, names, locale
        As in `importance_compared`.
    title
        Heading; default the finding.
    """
    values = {(row["at"], row["level"]): row for row in _values(frame)}
    if not values:
        return markup.nothing(title or "Importance", why(frame, "the frame holds no importance"))
    ranks, sources, ranked = _ranks(frame)
    shown = [source for source in _SOURCES if any(at == source for at, _ in values)]
    order = sorted({name for _, name in values}, key=lambda name: _first(values, name))
    notes, places = {name: _note(ranks, sources, name) for name in order}, {} if _few(frame, ranked) else ranks
    columns: dict[str, list[Cell]] = {
        _HEADS[source]: [_value(values.get((source, name)), places.get((source, name)), locale) for name in order]
        for source in shown
    }
    columns["To know"] = [markup.text_cell(notes[name]) for name in order]
    heading = title or (
        _sentence(frame, order, notes, sources, names) if ranks else "What customers say, and what shows"
    )
    body = markup.table(columns, ["Driver"], [(named(name, names),) for name in order])
    methods = dict.fromkeys(row["method"] for row in values.values() if row["method"])
    return markup.figure(heading, body, [escape(one) for one in methods], _tau(frame, locale))


def _values(frame: pd.DataFrame) -> list[rows.Row]:
    """Return the importance of each driver in each source."""
    mine = frame[(frame["metric"] == "importance") & (frame["at"] != "") & (frame["status"] == results.OK)]
    return rows.records(mine)


def _first(values: Mapping[tuple[str, str], rows.Row], name: str) -> tuple[float, str]:
    """Order drivers by what goes with the outcome; those that nothing is known of last."""
    row = values.get(("derived", name))
    return (-row["estimate"] if row else 1.0, name)


def _value(row: rows.Row | None, rank: rows.Row | None, locale: str | None) -> Cell:
    """Return an importance with its interval and its rank: shares in percent, effects in points of the outcome."""
    if row is None:
        return Cell("")
    form, share = formatting(None, locale), row["at"] == "derived" or "wilson" in row["method"].lower()
    sign = row["at"] == "experimental"
    if share:
        value, told = (
            form.value(row["estimate"], "percent"),
            form.interval(row["conf_low"], row["conf_high"], "percent"),
        )
    else:
        value, *ends = (form.number(row[end], 2, sign=sign) for end in ("estimate", "conf_low", "conf_high"))
        told = " to ".join(ends)
    place = f"rank {rank['estimate']:.0f}, {_may(rank)}" if rank else ""
    name, when = _experiment(row)
    words = escape(f"{value} by {name}" if name else value) + markup.small(told, when, place)
    return Cell(words, row=row, unit="percent" if share else "")


def _experiment(row: rows.Row) -> tuple[str, str]:
    """Return the title and the days of the experiment that a row tells of, empty for other rows."""
    found = re.fullmatch(r"(.+), (\S+ to \S+)", row["note"]) if row["at"] == "experimental" else None
    return (found[1], found[2]) if found else ("", "")


def _few(frame: pd.DataFrame, order: Sequence[str]) -> bool:
    """Tell whether what customers say has too few different figures for an order: themes may be counted twice."""
    said = [row for row in _values(frame) if row["at"] == "stated" and row["level"] in order]
    return bool(said) and len({(row["estimate"], row["n"], row["method"]) for row in said}) < _FEW


def _ranks(frame: pd.DataFrame) -> tuple[dict[tuple[str, str], rows.Row], list[str], list[str]]:
    """Return the rank rows by source and driver, the sources in order, and the drivers by the last source's rank."""
    mine = frame[(frame["metric"] == "rank") & (frame["status"] == results.OK) & (frame["at"] != "")]
    found = {(row["at"], row["level"]): row for row in rows.records(mine)}
    sources = [source for source in _SOURCES if (mine["at"] == source).any()]
    if len(sources) < 2:
        return {}, [], []
    names = sorted({name for _, name in found})
    return found, sources, sorted(names, key=lambda name: (found[sources[-1], name]["estimate"], name))


def _note(ranks: Mapping[tuple[str, str], rows.Row], sources: Sequence[str], name: str) -> str:
    """Return the words of a driver's disagreements, each pair of sources once."""
    mine = [ranks[source, name]["note"] for source in sources[:-1] if (source, name) in ranks]
    return "; ".join(dict.fromkeys(part for note in mine for part in note.split("; ") if part))


def _sentence(
    frame: pd.DataFrame, order: Sequence[str], notes: Mapping[str, str], sources: Sequence[str], names: Names
) -> str:
    """Say for which drivers the sources disagree."""
    if "stated" in sources and _few(frame, _ranks(frame)[2]):
        return _TOO_FEW
    apart = [titled(name, names) for name in order if notes[name]]
    if not apart:
        return f"No disagreement about what matters is shown between {rows.listed(sources)} importance"
    some = apart[:3] + [f"{len(apart) - 3} more"] * (len(apart) > 3)
    return f"{capital(rows.listed([*sources]))} importance disagree about {rows.listed(some)}, of {len(order)} drivers"


def _tau(frame: pd.DataFrame, locale: str | None) -> str:
    """Return how far the sources' orders agree; nothing where what customers say has no order."""
    mine, form = frame[(frame["metric"] == "agreement") & (frame["status"] == results.OK)], formatting(None, locale)
    few, told = _few(frame, _ranks(frame)[2]), []
    for row in rows.records(mine):
        if few and row["level"].startswith("stated"):
            continue
        ends = [form.number(row[end], 2, sign=True) for end in ("conf_low", "conf_high")]
        told.append(f"{row['level']} {form.number(row['estimate'], 2, sign=True)} ({' to '.join(ends)})")
    return f"Agreement of the orders (Kendall's tau, from −1 to +1): {'; '.join(told)}." if told else ""


def _line(axes: Axes, found: Sequence[rows.Row], apart: bool, aside: float, bars: bool) -> None:
    """Draw one driver: its ranks joined, and bars of the ranks it may have, a little aside so that they do not hide."""
    colour, across = style.ORANGE if apart else style.BLUE, range(len(found))
    up = [row["estimate"] for row in found]
    axes.plot(across, up, "-", color=colour, linewidth=1.8 if apart else 0.9, alpha=1 if apart else 0.6, zorder=2)
    for place, row in zip(across, found if bars else (), strict=False):
        how: dict[str, Any] = {"color": colour, "linewidth": 3.2, "alpha": 0.28, "zorder": 1}
        axes.vlines(place + aside, row["conf_low"] - 0.18, row["conf_high"] + 0.18, **how)
    axes.plot(across, up, "s" if apart else "o", color=colour, markersize=6, zorder=3)


def _right(sources: int) -> float:
    """Return where the words on the right begin."""
    return _LEFT + 0.7 + _WIDE * (sources - 1)


def _tried(frame: pd.DataFrame, sources: Sequence[str], locale: str | None) -> dict[str, str]:
    """Return what experiments showed, by driver, where they are too few to be ranked."""
    mine = frame[(frame["metric"] == "importance") & (frame["at"] == "experimental") & (frame["status"] == results.OK)]
    form, found = formatting(None, locale), {}
    for row in rows.records(mine) if "experimental" not in sources else []:
        ends = [form.number(row[end], 2, sign=True) for end in ("conf_low", "conf_high")]
        name, when = _experiment(row)
        told = f"{form.number(row['estimate'], 2, sign=True)} ({' to '.join(ends)})"
        found[row["level"]] = f"experiment {told}" + (f" by {name}, {when}" if name else "")
    return found


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _said(
    order: Sequence[str], notes: Mapping[str, str], tried: Mapping[str, str], sources: int, names: Names
) -> tuple[dict[str, tuple[list[str], bool]], float]:
    """Return the lines to the right of each driver, whether they tell a disagreement, and the height of a rank."""
    words = {}
    for name in order:
        more = _joined(notes[name], tried.get(name, ""))
        text = f"{named(name, names)}: {more}" if more else named(name, names)
        words[name] = wrap(text, 9.6 - _right(sources), 7.5, lines=4), bool(notes[name])
    return words, max(_LINE, 0.142 * max(len(lines) for lines, _ in words.values()) + 0.06)


def _labels(
    sheet: Sheet, ranks: Mapping[tuple[str, str], rows.Row], sources: Sequence[str],
    words: Mapping[str, tuple[list[str], bool]], line: float, names: Names,
) -> None:  # fmt: skip
    """Write the drivers at their first rank on the left, and what disagrees at their last on the right."""
    for source in (sources[0], sources[-1]):
        lowest = 0.0
        for name in sorted(words, key=lambda one: (ranks[source, one]["estimate"], one)):
            lowest = max(ranks[source, name]["estimate"], lowest + 1)  # equal ranks below each other
            middle = _TOP + (lowest - 0.5) * line
            if source == sources[0]:
                sheet.text(0, middle - 0.08, narrowed(named(name, names), _LEFT - 0.1, SMALL, 1))
                continue
            lines, apart = words[name]
            colour = style.ORANGE if apart else style.GREY
            sheet.text(_right(len(sources)), middle - 0.07 * len(lines), lines, size=7.5, color=colour)


def _may(row: rows.Row) -> str:
    """Return the ranks that a driver may have."""
    low, high = f"{row['conf_low']:.0f}", f"{row['conf_high']:.0f}"
    return "sure" if low == high else f"may be {low} to {high}"


def _told(name: str, ranks: Mapping[tuple[str, str], rows.Row], sources: Sequence[str], note: str, names: Names) -> str:
    """Return one driver in a sentence."""
    where = [f"{source} rank {ranks[source, name]['estimate']:.0f} ({_may(ranks[source, name])})" for source in sources]
    return f"{named(name, names)}: {', '.join(where)}{f'; {note}' if note else ''}."
