"""Who moves between segments? Flows from before to after, and the same as a table with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from cxlib.analysis.segments.migration import GONE, NEW
from cxlib.periods import Period
from cxlib.show import markup, rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, nothing, themed, width_of, wrap
from cxlib.show.formats import Format, formatting, missing_words, shortened
from cxlib.show.markup import Cell, Html

METRIC = "transition"
_LEFT, _RIGHT, _TOP = 2.5, 7.15, 0.36  # inches: where the flows begin and end
_PER, _LEAST, _WIDE = 0.28, 3.2, 2.2  # inches: height for each segment, in all; width of a name
_READ = (
    "Width of a band: customers who moved so. Grey: stayed, blue: moved, orange with dots: gone, "
    "blue with strokes: new."
)
_LOOKS = {
    "stayed": ("#bdbdbd", ""), "moved": (style.BLUE, ""), GONE: (style.ORANGE, "...."), NEW: (style.SKY, "////"),
}  # fmt: skip


class Flow(NamedTuple):
    """Customers of one origin who are now in one target."""

    origin: str
    target: str
    people: float


@themed
def flows(
    frame: pd.DataFrame,
    labels: tuple[str, str] | None = None,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Bands from the segments before to the segments after, as wide as the customers they hold.

    Parameters
    ----------
    frame
        Result frame of `segments.migration`.
    labels
        What stands above the two sides; default the two periods, where the frame tells them.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine, form, labels = _known(frame), formatting(currency, locale), labels or _periods(frame)
    moves = [flow for flow in _flows(mine) if flow.people > 0]
    if not moves:
        return nothing(rows.why_not(frame, "the frame holds no moves that may be shown"), finding)
    hidden = sorted(set(frame.loc[frame["metric"] == METRIC, "level"]) - set(mine["level"]))
    sides = [_side(moves, place) for place in (0, 1)]
    told = [{name: _told(name, count, form) for name, count in side.items()} for side in sides]
    gap = 0.04 + SMALL * LINE * max(len(lines) for side in told for lines in side.values())
    high = max(_LEAST, (_PER + gap) * max(len(side) for side in sides))
    note = f"{_READ} Not drawn, hidden or without customers: {rows.listed(hidden)}." if hidden else _READ
    sheet = Sheet(finding or _most(mine, moves, form), note, _TOP + high + 0.1)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, high, label="flows")
    axes.set(xlim=(0, 1), ylim=(high, 0))
    axes.axis("off")
    scale = (high - gap * (max(len(side) for side in sides) - 1)) / sum(flow.people for flow in moves)
    tops = [_stacked(side, scale, high, gap) for side in sides]
    _draw(axes, moves, tops, scale)
    for place, side in enumerate(sides):
        _names(sheet, side, tops[place], scale, (place, labels[place], told[place]))
    return sheet.done(_alt(sheet.figure.finding, mine, hidden, form))


def transitions_table(
    frame: pd.DataFrame, *, title: str | None = None, currency: str | None = None, locale: str | None = None
) -> Html:
    """One row an origin, one column a target: the share that went there, with interval.

    Parameters
    ----------
    frame, currency, locale
        As in `flows`.
    title
        Heading; default the finding.
    """
    mine, form = frame[frame["metric"] == METRIC], formatting(currency, locale)
    known = _known(frame)
    if mine.empty or known.empty:
        return markup.nothing(title or "Moves between segments", rows.why_not(frame, "the frame holds no moves"))
    origins, targets = (_ordered(mine[name]) for name in ("level", "against"))
    book = {(row["level"], row["against"]): row for row in mine.to_dict("records")}
    columns = {f"to {target}": [_cell(book.get((origin, target)), form) for origin in origins] for target in targets}
    counts = {origin: next((row["n"] for key, row in book.items() if key[0] == origin), None) for origin in origins}
    columns["Customers"] = [markup.count_cell(n, form) for n in counts.values()]
    body = markup.table(columns, ["From"], [(origin,) for origin in origins])
    return markup.figure(title or _most(known, _flows(known), form), body, _methods(mine), "Each row adds up to 100 %.")


def _periods(frame: pd.DataFrame) -> tuple[str, str]:
    """Return the names of the two periods of a run's frame, whose `at` is the first."""
    told = [(row.at, row.period) for row in frame.loc[frame["metric"] == METRIC, ["at", "period"]].itertuples()]
    first, last = told[0] if told else ("", "")
    return (Period.parse(first).title, Period.parse(last).title) if first and last else ("Before", "After")


def _known(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the moves that have numbers."""
    return frame[(frame["metric"] == METRIC) & (frame["status"] == "ok")]


def _flows(mine: pd.DataFrame) -> list[Flow]:
    """Return the moves as customers."""
    return [
        Flow(str(row["level"]), str(row["against"]), round(row["estimate"] * row["n"]))
        for row in mine.to_dict("records")
    ]


def _ordered(names: pd.Series) -> list[str]:
    """Return names in order, `new` and `gone` last."""
    return sorted(set(names), key=lambda name: (name in (NEW, GONE), name))


def _side(moves: Sequence[Flow], place: int) -> dict[str, float]:
    """Return the customers of each segment of one side, `new` or `gone` last."""
    totals: dict[str, float] = {}
    for flow in moves:
        name = flow.target if place else flow.origin
        totals[name] = totals.get(name, 0.0) + flow.people
    return {name: totals[name] for name in _ordered(pd.Series(list(totals)))}


def _stacked(side: Mapping[str, float], scale: float, high: float, gap: float) -> dict[str, float]:
    """Return where each segment of a side begins; the side is set in the middle."""
    used = sum(side.values()) * scale + gap * (len(side) - 1)
    at, found = (high - used) / 2, {}
    for name, count in side.items():
        found[name] = at
        at += count * scale + gap
    return found


def _kind(flow: Flow) -> str:
    """Return what kind of move it is."""
    if flow.target == GONE:
        return GONE
    return NEW if flow.origin == NEW else "stayed" if flow.origin == flow.target else "moved"


def _draw(axes: Axes, moves: Sequence[Flow], tops: Sequence[Mapping[str, float]], scale: float) -> None:
    """Draw the bands; each side's bands lie in the order of the other side's segments, so that few cross."""
    before, after = dict(tops[0]), dict(tops[1])
    starts, ends = {}, {}
    for flow in sorted(moves, key=lambda move: tops[1][move.target]):
        starts[flow] = before[flow.origin]
        before[flow.origin] += flow.people * scale
    for flow in sorted(moves, key=lambda move: tops[0][move.origin]):
        ends[flow] = after[flow.target]
        after[flow.target] += flow.people * scale
    for flow in sorted(moves, key=lambda move: -move.people):
        colour, hatch = _LOOKS[_kind(flow)]
        shape = _band(starts[flow], ends[flow], flow.people * scale)
        axes.add_patch(PathPatch(shape, facecolor=colour, alpha=0.6, linewidth=0.3, edgecolor=style.PAPER, hatch=hatch))
    for place, side in enumerate(tops):
        x = 0.0 if place == 0 else 1.0
        for name, top in side.items():
            end = (before if place == 0 else after)[name]
            axes.vlines(x, top, end, color=style.INK, linewidth=5)


def _band(start: float, end: float, wide: float) -> Path:
    """Return a band from left to right that keeps its width."""
    left, right, middle = 0.008, 0.992, 0.5
    points = [
        (left, start), (middle, start), (middle, end), (right, end), (right, end + wide), (middle, end + wide),
        (middle, start + wide), (left, start + wide), (left, start),
    ]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    return Path(points, codes)


def _told(name: str, count: float, form: Format) -> list[str]:
    """Return the name of a segment with its customers, in two lines at most; a long name is cut, the number is not."""
    many = form.count(count)
    lines = wrap(f"{name} {many}", _WIDE, SMALL)
    if len(lines) <= 2:
        return lines
    rest = wrap(" ".join(lines[1:]), _WIDE - width_of(f" {many}", SMALL), SMALL, lines=1)
    return [lines[0], f"{rest[0]} {many}"]


def _names(
    sheet: Sheet, side: Mapping[str, float], tops: Mapping[str, float], scale: float,
    words: tuple[int, str, Mapping[str, list[str]]],
) -> None:  # fmt: skip
    """Write the names of the segments beside their bars, with their customers."""
    place, label, told = words
    x, how = (_LEFT - 0.12, "right") if place == 0 else (_RIGHT + 0.12, "left")
    sheet.text(x, 0, wrap(label, _WIDE, SMALL, bold=True, lines=1), ha=how, weight="bold", color=style.GREY)
    for name, count in side.items():
        middle = _TOP + tops[name] + count * scale / 2
        sheet.text(x, middle - len(told[name]) * SMALL * LINE / 2, told[name], ha=how)


def _most(mine: pd.DataFrame, moves: Sequence[Flow], form: Format) -> str:
    """Say how many stayed where they were, and the largest move with its interval."""
    old = [flow for flow in moves if flow.origin != NEW]
    stayed = sum(flow.people for flow in old if _kind(flow) == "stayed")
    everyone = sum(flow.people for flow in old)
    head = f"{form.value(stayed / everyone, 'percent')} stayed in their segment" if everyone else "All are new"
    went = [flow for flow in old if _kind(flow) != "stayed" and flow.people > 0]
    if not went:
        return head
    first = max(went, key=lambda flow: (flow.people, flow.origin, flow.target))
    row = mine[(mine["level"] == first.origin) & (mine["against"] == first.target)].iloc[0]
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    where = "left" if first.target == GONE else f"went to {shortened(first.target)}"
    name = shortened(first.origin)
    return f"{head}; the largest move: {form.value(row['estimate'], 'percent')} ({limits}) of {name} {where}"


def _cell(row: rows.Row | None, form: Format) -> Cell:
    """Return a share with its interval beneath, or the words for its absence."""
    if row is None:
        return markup.NOT_MEASURED
    if missing_words(row):
        return markup.missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    return Cell(f"{form.value(row['estimate'], 'percent')}{markup.small(limits)}", row=row, unit="percent")


def _methods(mine: pd.DataFrame) -> list[str]:
    """Return how the intervals were found, escaped."""
    return [escape(method) for method in sorted(set(mine["method"]) - {""})]


def _alt(finding: str, mine: pd.DataFrame, hidden: Sequence[str], form: Format) -> str:
    """Return the flows in words."""
    told = []
    for origin in _ordered(mine["level"]):
        own = mine[(mine["level"] == origin) & (mine["estimate"] > 0)].sort_values("estimate", ascending=False)
        each = [
            f"{form.value(row['estimate'], 'percent')} to {row['against']}" for row in own.head(4).to_dict("records")
        ]
        told.append(f"{origin} ({form.count(own['n'].iloc[0])} customers): {', '.join(each)}")
    lost = f" Hidden or without customers: {rows.listed(hidden)}." if hidden else ""
    return f"{finding}. Flows between segments, the largest of each. {'. '.join(told)}.{lost}"
