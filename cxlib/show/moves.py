"""Where do customers go next? The moves between touchpoints as a heat chart, and the strongest as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cxlib import results
from cxlib.analysis.journeys.transitions import MOVES, TRANSITION
from cxlib.params.models import Touchpoint
from cxlib.show import markup, rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, missing_words, shortened
from cxlib.show.markup import Html

_LEFT, _HEAD, _WIDE, _HIGH = 2.2, 0.55, 7.4, 0.4  # inches: names, column heads, all cells, a cell
_MOST_WIDE = 0.95  # a cell
_ENDS = ("conf_low", "conf_high")
_READ = (
    "Row: where customers are; column: their next step; share of the moves from the row, interval beneath. "
    "Framed: the same touchpoint again. Hatched: hidden, few customers. Blank: nobody moved so."
)
_SURE = 0.99  # a step that nearly all take is no finding
_RARE = 0.01  # of all moves: a rarer loop is no finding, either
_SMALLER = 7.5  # points, of column heads


class Moves(NamedTuple):
    """The rows of a frame of moves by origin and target, and how many moves are known of each."""

    shares: dict[tuple[str, str], rows.Row]
    counts: dict[tuple[str, str], rows.Row]

    def known(self) -> list[tuple[str, str]]:
        """Return the pairs with figures, most moves first."""
        pairs = [pair for pair, row in self.counts.items() if not missing_words(row) and pair in self.shares]
        return sorted(pairs, key=lambda pair: (-self.counts[pair]["estimate"], pair))


@themed
def moves_chart(
    frame: pd.DataFrame,
    touchpoints: Mapping[str, Touchpoint] | None = None,
    *,
    most: int = 10,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a touchpoint, one column a next one: the share of moves that go there, with interval.

    Parameters
    ----------
    frame
        Result frame of `Run.transitions` or `journeys.transitions`.
    touchpoints
        The taxonomy, whose order the rows and columns keep; else those with most moves come first.
    most
        How many touchpoints are drawn, those with most moves; the rest is told in a sentence.
    finding, currency, locale
        As in `small_multiples`.
    """
    moves, form = _moves(frame), formatting(currency, locale)
    if not moves.known():
        return nothing(rows.why_not(frame, "the frame holds no moves that may be shown"), finding)
    names = _chosen(moves, touchpoints or {}, most)
    note = wrap(_left_out(moves, names, form), _LEFT + _WIDE, SMALL)
    height = _HEAD + len(names) * _HIGH
    sheet = Sheet(finding or _most(moves, form), _READ, height + 0.2 + len(note) * SMALL * LINE)
    wide = min(_WIDE / len(names), _MOST_WIDE)
    axes = sheet.axes(_LEFT, _HEAD, wide * len(names), len(names) * _HIGH, label="moves")
    _grid(axes, len(names))
    for down, origin in enumerate(names):
        lines = wrap(origin, _LEFT - 0.15, SMALL, lines=2)
        middle = _HEAD + (down + 0.5) * _HIGH - len(lines) * SMALL * LINE / 2
        sheet.text(_LEFT - 0.1, middle, lines, ha="right")
        heads = wrap(origin, wide - 0.06, _SMALLER, lines=3)
        sheet.text(_LEFT + (down + 0.5) * wide, _HEAD - 0.06 - len(heads) * _SMALLER * LINE, heads, size=_SMALLER,
                   ha="center")  # fmt: skip
        for across, target in enumerate(names):
            _cell(axes, (across, down), moves.shares.get((origin, target)), form)
    sheet.text(0, height + 0.14, note, color=style.GREY)
    return sheet.done(_alt(sheet.figure.finding, moves, names, form))


def moves_table(
    frame: pd.DataFrame,
    *,
    most: int = 12,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """The commonest moves, one row each: share of the moves from there with interval, moves, customers.

    Parameters
    ----------
    frame, currency, locale
        As in `moves_chart`.
    most
        How many moves are listed.
    title
        Heading; default the finding.
    """
    moves, form = _moves(frame), formatting(currency, locale)
    pairs = moves.known()
    if not pairs:
        return markup.nothing(title or "Next steps", rows.why_not(frame, "the frame holds no moves"))
    shown = pairs[:most]
    columns = {
        "Share of the moves from there": [markup.estimate_cell(moves.shares[pair], "percent", form) for pair in shown],
        "Moves": [markup.Cell(form.count(moves.counts[pair]["estimate"]), row=moves.counts[pair]) for pair in shown],
        "Customers": [markup.n_cell(moves.counts[pair], form) for pair in shown],
    }
    keys = [(origin, f"{target}, again" if origin == target else target) for origin, target in shown]
    hidden = sum(bool(missing_words(row)) for row in moves.counts.values())
    rest = len(pairs) - len(shown)
    told = [f"{_some(rest, form, 'rarer move')} not listed"] if rest else []
    told += (
        [f"{_some(hidden, form, 'move', ' of few customers')} hidden and not counted in the shares"] if hidden else []
    )
    methods = sorted({moves.shares[pair]["method"] for pair in shown} - {""})
    body = markup.table(columns, ["From", "To"], keys)
    return markup.figure(title or _most(moves, form), body, [escape(one) for one in methods],
                         f"{'; '.join(told)}." if told else "")  # fmt: skip


def _moves(frame: pd.DataFrame) -> Moves:
    """Return the moves of a frame."""
    parts = [
        {(str(row["level"]), str(row["against"])): row for row in rows.records(frame[frame["metric"] == metric])
         if row["against"]}
        for metric in (TRANSITION, MOVES)
    ]  # fmt: skip
    return Moves(*parts)


def _chosen(moves: Moves, touchpoints: Mapping[str, Touchpoint], most: int) -> list[str]:
    """Return the touchpoints with most moves from and to them, in the order of the taxonomy, others after it."""
    size: dict[str, float] = {}
    for pair in moves.known():
        for name in set(pair):
            size[name] = size.get(name, 0.0) + moves.counts[pair]["estimate"]
    kept = sorted(size, key=lambda name: (-size[name], name))[:most]
    places = {point.title: place for place, point in enumerate(touchpoints.values())}
    return sorted(kept, key=lambda name: places.get(name, len(places))) if places else kept


def _grid(axes: Axes, size: int) -> None:
    """Set the axes up: a unit square a cell."""
    axes.set(xlim=(0, size), ylim=(size, 0), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    for place in range(size + 1):
        axes.axhline(place, color=style.RULE, linewidth=0.6)


def _cell(axes: Axes, spot: tuple[int, int], row: rows.Row | None, form: Format) -> None:
    """Draw one share with its interval."""
    across, down = spot
    box: dict[str, Any] = {"xy": (across + 0.02, down + 0.03), "width": 0.96, "height": 0.94}
    if across == down:
        box |= {"edgecolor": style.INK, "linewidth": 1.2}
    if row is None:
        axes.add_patch(Rectangle(**box, facecolor="none")) if across == down else None
        return
    if missing_words(row):
        axes.add_patch(Rectangle(**{"linewidth": 0, **box}, facecolor="#f4f4f4", hatch="////"))
        return
    colour = style.SEQUENTIAL(min(row["estimate"], 1.0))
    ink = style.text_on(colour)
    axes.add_patch(Rectangle(**{"linewidth": 0, **box}, facecolor=colour))
    value, limits = form.value(row["estimate"], "percent"), [form.number(100 * row[end], 1) for end in _ENDS]
    axes.text(across + 0.5, down + 0.36, value, ha="center", va="center", fontsize=7.5, weight="bold", color=ink)
    axes.text(across + 0.5, down + 0.73, " to ".join(limits), ha="center", va="center", fontsize=6, color=ink)


def _most(moves: Moves, form: Format) -> str:
    """Say which step is the commonest of those that are no matter of course, and what follows itself most."""
    pairs = moves.known()
    onward, loops = ([pair for pair in pairs if (pair[0] == pair[1]) is same] for same in (False, True))
    open_ = [pair for pair in onward if moves.shares[pair]["conf_low"] < _SURE] or onward
    told = []
    if open_:
        origin, target = (shortened(name) for name in open_[0])
        share = _share(moves.shares[open_[0]], form)
        told.append(f"From {origin} customers most often go on to {target} ({share})")
    if loops and moves.counts[loops[0]]["estimate"] >= _RARE * sum(moves.counts[pair]["estimate"] for pair in pairs):
        told.append(f"{shortened(loops[0][0])} most often follows itself ({_share(moves.shares[loops[0]], form)})")
    return "; ".join(told)


def _share(row: rows.Row, form: Format) -> str:
    """Return `39.3 %, interval 38.9 to 39.7 %`."""
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    return f"{form.value(row['estimate'], 'percent')}, interval {limits}"


def _some(count: int, form: Format, what: str, more: str = "") -> str:
    """Return `1 move is` or `3 moves are`."""
    return f"{form.count(count)} {what}{'s' * (count != 1)}{more} {'is' if count == 1 else 'are'}"


def _left_out(moves: Moves, names: Sequence[str], form: Format) -> str:
    """Say what is not drawn."""
    known = moves.known()
    drawn = sum(moves.counts[pair]["estimate"] for pair in known if set(pair) <= set(names))
    every = sum(moves.counts[pair]["estimate"] for pair in known)
    more = len({name for pair in moves.shares for name in pair} - set(names))
    if not more:
        return ""
    part = form.value(drawn / every, "percent") if every else ""
    return (
        f"Not drawn: {form.count(more)} touchpoints with fewer moves. Drawn are {part} of the moves that may be shown."
    )


def _alt(finding: str, moves: Moves, names: Sequence[str], form: Format) -> str:
    """Return the chart in words: of each touchpoint its commonest next steps."""
    told = []
    for origin in names:
        own = [pair for pair in moves.known() if pair[0] == origin]
        each = [f"{form.value(moves.shares[pair]['estimate'], 'percent')} to {pair[1]}" for pair in own[:3]]
        told.append(f"{origin}: {', '.join(each)}" if each else f"{origin}: hidden")
    hidden = sum(row["status"] == results.SUPPRESSED for row in moves.shares.values())
    lost = f" {_some(hidden, form, 'move')} hidden." if hidden else ""
    return f"{finding}. Heat chart of next steps, the three commonest of each. {'. '.join(told)}.{lost}"
