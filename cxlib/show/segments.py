"""Who the customers are: how large the segments are, and what sets each apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.segments.clusters import NOT_CLEAR
from cxlib.analysis.segments.profile import REST
from cxlib.show import markup, rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words, shortened
from cxlib.show.markup import Cell, Html

SHARE, WORTH, VERDICT = "segment_share", "value_share", "clusters"
# What `segments.rfm` tells of a customer.
_UNITS = {"monetary": "money"}
_TITLES = {"recency": "days since the last order", "frequency": "orders", "monetary": "spent"}
_LEFT, _RIGHT, _TOP, _LINE = 2.9, 6.9, 0.1, 0.36  # inches
_MOST, _FEATURES, _NEAR, _FAR = 25, 12, 1.2, 3.0
_SIZES_READ = "Bar: share of the customers who have a segment; line: interval."
_PROFILE_READ = (
    "Dot: how far a segment's mean lies from that of all other customers, in standard deviations; line: interval. "
    "● above, ■ below, ◇ no difference shown."
)


@themed
def segment_sizes(
    frame: pd.DataFrame, *, finding: str | None = None, currency: str | None = None, locale: str | None = None
) -> Chart:
    """One bar a segment: its share of the customers, with interval; the largest first.

    Parameters
    ----------
    frame
        Result frame with the rows of `segments.sizes`, of one segmentation.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine, form = _shares(frame), formatting(currency, locale)
    if not any(not missing_words(row) for row in mine):
        return nothing(rows.why_not(frame, "the frame holds no sizes of segments"), finding)
    drawn = mine[:_MOST]
    rest = len(mine) - len(drawn)
    told = f"{_SIZES_READ} {_of(mine, form)}{f' Not drawn: the {rest} smallest.' if rest else ''}"
    sheet = Sheet(finding or _largest(mine, form), told, len(drawn) * _LINE + _TOP + 0.45)
    axes = _axes(sheet, len(drawn), "sizes")
    for place, row in enumerate(drawn):
        _size(sheet, axes, place, row, form)
    axes.set_xlim(left=0)
    axes.set_xlabel("share of customers, percent", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    said = [f"{row['level']}: {_share(row, form)}" for row in drawn]
    return sheet.done(f"{sheet.figure.finding}. Sizes of segments as bars. {'. '.join(said)}.")


@themed
def segment_profile(
    frame: pd.DataFrame,
    titles: Mapping[str, str] | None = None,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One panel a segment, its words beside it: how far each feature lies from the rest, with interval.

    Parameters
    ----------
    frame
        Result frame of `segments.profile`; a row `clusters` beside it, whose note says that the segments are not clear,
        is told.
    titles
        Feature -> its name on the page; default the column's name.
    finding, currency, locale
        As in `small_multiples`.
    """
    shares, apart = _shares(frame), _apart(frame)
    names = list(dict.fromkeys(row["metric"] for row in apart))[:_FEATURES]
    if not any(not missing_words(row) for row in apart):
        unclear = _unclear(frame)
        if unclear:
            return Sheet(finding or unclear, unclear if finding else "", 0.2).done(f"{unclear}.")
        return nothing(rows.why_not(frame, "the frame holds no profiles of segments"), finding)
    book, form = {(row["level"], row["metric"]): row for row in apart}, formatting(currency, locale)
    drawn = [row for row in shares if (row["level"], names[0]) in book][:_MOST]
    high = max(0.24 * len(names), 0.78) + 0.14
    told = " ".join(filter(None, [_PROFILE_READ, _of(shares, form), _unclear(frame)]))
    sheet = Sheet(finding or _apart_most(shares), told, len(drawn) * high + _TOP + 0.45)
    reach = _reach([book[row["level"], name] for row in drawn for name in names])
    for place, row in enumerate(drawn):
        lines = [_title(name, titles) for name in names], [book[row["level"], name] for name in names]
        _panel(sheet, row, lines, (_TOP + place * high, high - 0.14), reach, form, last=place == len(drawn) - 1)
    return sheet.done(_profile_alt(sheet.figure.finding, drawn, names, book, form))


def profile_table(
    frame: pd.DataFrame,
    titles: Mapping[str, str] | None = None,
    *,
    units: Mapping[str, str] | None = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a segment: its words, its customers, its share, and the mean of each feature with interval.

    Parameters
    ----------
    frame, titles, currency, locale
        As in `segment_profile`.
    units
        Feature -> unit of its mean; default `money` for `monetary`, else `count`.
    title
        Heading; default the finding: where the frame has shares of value, which segment holds most for its size.
    """
    shares, form = _shares(frame), formatting(currency, locale)
    if not shares:
        return markup.nothing(title or "Segments", rows.why_not(frame, "the frame holds no profiles of segments"))
    features = {row["metric"] for row in _apart(frame)}
    means = frame[(frame["comparison"] == "level") & frame["metric"].isin(features)]
    book = {(row["level"], row["metric"]): row for row in means.to_dict("records")}
    columns: dict[str, list[Cell]] = {
        "What sets it apart": [markup.text_cell("" if missing_words(row) else row["note"]) for row in shares],
        "Customers": [
            markup.count_cell(None if missing_words(row) else round(row["estimate"] * row["n"]), form) for row in shares
        ],
        "Share of customers": [_cell(row, form, "percent") for row in shares],
    }
    worth = {row["level"]: row for row in frame[frame["metric"] == WORTH].to_dict("records")}
    if worth:
        columns["Share of value"] = [_cell(worth.get(row["level"]), form, "percent") for row in shares]
    for name in dict.fromkeys(means["metric"]):
        head = f"{_title(name, titles)}, mean"
        unit = {**_UNITS, **(units or {})}.get(name, "count")
        columns[head[0].upper() + head[1:]] = [_cell(book.get((row["level"], name)), form, unit) for row in shares]
    body = markup.table(columns, ["Segment"], [(row["level"],) for row in shares])
    return markup.figure(title or _richest(shares, worth, form) or _apart_most(shares), body, [], _of(shares, form))


def _title(name: str, titles: Mapping[str, str] | None) -> str:
    """Return what a feature is called."""
    return (titles or {}).get(name) or _TITLES.get(name) or plain(name)


def _shares(frame: pd.DataFrame) -> list[rows.Row]:
    """Return the sizes of the segments, the largest first and those without a number last."""
    mine = frame[(frame["metric"] == SHARE) & (frame["level"] != "all")]
    mine = mine.sort_values(["estimate", "level"], ascending=[False, True], na_position="last")
    return rows.records(mine)


def _apart(frame: pd.DataFrame) -> list[rows.Row]:
    """Return the differences from the rest."""
    mine = frame[(frame["comparison"] == "difference") & (frame["against"] == REST)]
    return rows.records(mine)


def _unclear(frame: pd.DataFrame) -> str:
    """Return in words why the verdict on clusters is that they are not clear; empty where it is another."""
    notes = frame.loc[frame["metric"] == VERDICT, "note"]
    note = next((note for note in notes if note.startswith(NOT_CLEAR)), "")
    told = [_fault(part) for part in note.removeprefix(NOT_CLEAR).removeprefix(": ").split("; ")]
    return f"{NOT_CLEAR.capitalize()}: {'; '.join(told)}".removesuffix(": ") if note else ""


def _fault(words: str) -> str:
    """Return `of 2, 3 and 4 segments no valley parts all of them` for `2, 3, 4: no valley parts all of them`."""
    sizes, colon, fault = words.partition(": ")
    numbers = sizes.split(", ")
    return f"of {rows.listed(numbers)} segments {fault}" if colon and all(map(str.isdigit, numbers)) else words


def _largest(shares: Sequence[rows.Row], form: Format) -> str:
    """Say which segment is the largest, where its interval lies apart from the next one's."""
    known = [row for row in shares if not missing_words(row)]
    first = f"{shortened(known[0]['level'])} ({form.value(known[0]['estimate'], 'percent')} of customers)"
    if len(known) == 1:
        return f"One segment can be shown: {first}"
    if rows.apart(known[0], known[1]):
        return f"The largest of {len(known)} segments is {first}"
    names = rows.listed([shortened(row["level"]) for row in known if not rows.apart(known[0], row)][:3])
    return f"No segment is clearly the largest: the intervals of {names} overlap"


def _apart_most(shares: Sequence[rows.Row]) -> str:
    """Say in one sentence what the segments are."""
    known = [row for row in shares if not missing_words(row)]
    told = [f"{shortened(row['level'], 24)}: {row['note']}" for row in known[:4] if row["note"]]
    more = len(known) - len(told)
    words = "; ".join([*told, *([f"{more} more"] if more and told else [])])
    return f"{len(known)} segment{'s' * (len(known) != 1)}{f': {words}' if words else ''}".replace(": ", ". ", 1)


def _richest(shares: Sequence[rows.Row], worth: Mapping[str, rows.Row], form: Format) -> str:
    """Say which segment's share of the value exceeds its share of the customers most; empty where none is known."""
    known = [(row, worth.get(row["level"])) for row in shares if not missing_words(row)]
    over = [(row, value) for row, value in known if value is not None and not missing_words(value)]
    if not over:
        return ""
    row, value = max(over, key=lambda pair: (pair[1]["estimate"] - pair[0]["estimate"], pair[0]["level"]))
    name = shortened(row["level"])
    held = f"hold {form.value(value['estimate'], 'percent')} of the value"
    return f"{name[:1].upper()}{name[1:]}, {form.value(row['estimate'], 'percent')} of customers, {held}"


def _of(shares: Sequence[rows.Row], form: Format) -> str:
    """Say how many customers the shares are of."""
    n = next((row["n"] for row in shares if not missing_words(row)), None)
    return "" if n is None else f"Of {form.count(n)} customers who have a segment."


def _axes(sheet: Sheet, count: int, label: str) -> Axes:
    """Return the axes of a list of rows."""
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, count * _LINE, label=label)
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return axes


def _size(sheet: Sheet, axes: Axes, place: int, row: rows.Row, form: Format) -> None:
    """Draw one segment's bar, its name and its number."""
    top = _TOP + (place + 0.5) * _LINE - 0.08
    named = wrap(row["level"], _LEFT - 0.2, SMALL, lines=2)
    sheet.text(0, top - (len(named) - 1) * SMALL * LINE / 2, named)
    if missing_words(row):
        sheet.text(_RIGHT + 0.15, top, missing_words(row), color=style.GREY, style="italic")
        return
    axes.barh(place, 100 * row["estimate"], 0.55, color=style.BLUE)
    for colour, width in ((style.PAPER, 3.4), (style.INK, 1.3)):  # a light edge, so that it is seen on the bar
        axes.hlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=colour, linewidth=width)
    sheet.text(_RIGHT + 0.15, top, form.value(row["estimate"], "percent"), weight="bold")
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    sheet.text(_RIGHT + 0.95, top, limits, color=style.GREY)


def _share(row: rows.Row, form: Format) -> str:
    """Return `17.9 % (interval 16.0 to 20.0 %)`, or the words for no number."""
    if missing_words(row):
        return missing_words(row)
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    return f"{form.value(row['estimate'], 'percent')} (interval {limits})"


def _reach(found: Sequence[rows.Row]) -> float:
    """Return how far the axis goes to both sides: to the farthest estimate, within bounds."""
    known = [abs(row["estimate"]) for row in found if not missing_words(row)]
    return min(max([_NEAR, *(1.15 * value for value in known)]), _FAR)


def _panel(
    sheet: Sheet, row: rows.Row, lines: tuple[list[str], list[rows.Row]], box: tuple[float, float], reach: float,
    form: Format, *, last: bool,
) -> None:  # fmt: skip
    """Draw one segment: its words to the left, a row for each feature in the middle, the numbers to the right."""
    top, high = box
    named = wrap(row["level"], 1.9, SMALL, bold=True, lines=2)
    sheet.text(0, top + 0.02, named, weight="bold")
    at = top + 0.05 + len(named) * SMALL * LINE
    sheet.text(0, at, _share(row, form).partition(" (")[0], color=style.GREY)
    told, room = "" if missing_words(row) else row["note"], top + high - at - 0.16
    sheet.text(0, at + 0.17, wrap(told, 1.9, 7.5, lines=max(1, int(room / (7.5 * LINE)))), size=7.5)
    axes = sheet.axes(_LEFT + 0.9, top, _RIGHT - _LEFT - 0.9, high, label=row["level"])
    axes.set(ylim=(len(lines[0]) - 0.5, -0.5), yticks=[], xlim=(-reach, reach))
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=style.INK, linewidth=1, dashes=(4, 3))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for place, (name, found) in enumerate(zip(*lines, strict=True)):
        _feature(sheet, axes, place, name, found, top + (place + 0.5) * high / len(lines[0]) - 0.07, reach, form)
    axes.xaxis.set_major_formatter(Ticks(form))
    if last:
        axes.set_xlabel("standard deviations from the rest", fontsize=8)
    else:
        axes.tick_params(axis="x", labelbottom=False)
        sheet.rule(top + high + 0.07)


def _feature(
    sheet: Sheet, axes: Axes, place: int, name: str, row: rows.Row, top: float, reach: float, form: Format
) -> None:
    """Draw how far one feature lies from the rest; a dot beyond the axis stands at its end, with its number."""
    sheet.text(2.05, top, wrap(name, _LEFT + 0.8 - 2.05, 7.5, lines=1), size=7.5)
    if missing_words(row):
        sheet.text(_RIGHT + 0.15, top, missing_words(row), size=7.5, color=style.GREY, style="italic")
        return
    mark, colour, face = _mark(row)
    ends = [max(min(row[end], reach), -reach) for end in ("conf_low", "conf_high")]
    axes.hlines(place, *ends, color=colour, linewidth=1.8)
    at = max(min(row["estimate"], reach), -reach)
    axes.plot(at, place, mark, color=colour, markerfacecolor=face, markersize=6, clip_on=False)
    sheet.text(_RIGHT + 0.15, top, form.number(row["estimate"], 2, sign=True), size=7.5, weight="bold")
    sheet.text(_RIGHT + 0.75, top, _limits(row, form), size=7.5, color=style.GREY)


def _mark(row: rows.Row) -> tuple[str, str, str]:
    """Return mark, colour and face: shape and filling say what the colour says."""
    if row["conf_low"] > 0:
        return "o", style.BLUE, style.BLUE
    return ("s", style.ORANGE, style.ORANGE) if row["conf_high"] < 0 else ("D", style.GREY, style.PAPER)


def _limits(row: rows.Row, form: Format) -> str:
    if not (math.isfinite(row["conf_low"]) and math.isfinite(row["conf_high"])):
        return "no interval"
    return f"{form.number(row['conf_low'], 2, sign=True)} to {form.number(row['conf_high'], 2, sign=True)}"


def _cell(row: rows.Row | None, form: Format, unit: str) -> Cell:
    """Return an estimate with its interval beneath, or the words for its absence."""
    if row is None or missing_words(row):
        return markup.missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit)
    return Cell(f"{form.value(row['estimate'], unit)}{markup.small(limits)}", row=row, unit=unit)


def _profile_alt(
    finding: str, drawn: Sequence[rows.Row], names: Sequence[str], book: Mapping[Any, rows.Row], form: Format
) -> str:
    """Return the profiles in words."""
    told = []
    for row in drawn:
        found = [(name, book[row["level"], name]) for name in names]
        each = [
            f"{plain(name)} {missing_words(one) or form.number(one['estimate'], 2, sign=True)}" for name, one in found
        ]
        told.append(f"{row['level']}, {_share(row, form)}: {', '.join(each)}")
    return f"{finding}. Standard deviations from the rest, by segment and feature. {'. '.join(told)}."
