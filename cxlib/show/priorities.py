"""What to mend first: each driver by how much it matters and how well it goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.show import rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed
from cxlib.show.drivers import Names, by_level, named, narrowed, titled, why
from cxlib.show.formats import Format, formatting, shortened

_LINE = 0.31  # inches of a line of the list


_SCALED = "0 is the worst value, 100 the best"


@themed
def importance_performance(
    frame: pd.DataFrame,
    *,
    names: Names = None,
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Each driver by how well it goes (across) and how much it matters (up), both intervals drawn; what to mend first.

    Parameters
    ----------
    frame
        Rows of `drivers.importance` and of `drivers.performance`, on one scale; drivers that have both are drawn.
    names, finding, locale
        As in `driver_importance`.
    """
    matter, going = (by_level(frame, metric) for metric in ("importance", "performance"))
    drawn = sorted(set(matter) & set(going), key=lambda name: (-matter[name]["estimate"], name))
    if len(drawn) < 2:
        lone = f"{len(drawn)} drivers have both importance and performance"
        return nothing(why(frame, lone) if not drawn else lone, finding)
    form, middle = formatting(None, locale), _middles([matter[name] for name in drawn], [going[name] for name in drawn])
    corner = {name: _corner(matter[name], going[name], middle) for name in drawn}
    outcome = named(matter[drawn[0]]["against"], names)
    title = finding or _first(drawn, corner, names, outcome)
    about = (
        "Dots: drivers, lines: intervals. The dashed lines are the means of the dots: above them a driver matters more "
        "than average, to their left it goes worse. Filled: both intervals keep clear of the lines."
    )
    high = min(max(4.0, _LINE * len(drawn)), 6.0)
    sheet = Sheet(title, about, max(high + 0.55, 0.3 + _LINE * len(drawn)))
    axes = sheet.axes(0.62, 0.1, 5.1, high, label="importance_performance")
    _cross(axes, middle)
    told = []
    for number, name in enumerate(drawn, 1):
        _point(axes, matter[name], going[name], corner[name])
        _listed(sheet, number, named(name, names), matter[name], going[name], corner[name], form)
        told.append(_both(named(name, names), matter[name], going[name], corner[name], form))
    _numbered(axes, [(going[name]["estimate"], 100 * matter[name]["estimate"]) for name in drawn])
    scaled = all("0 to 100" in going[name]["method"] for name in drawn)
    axes.set_xlabel(f"Performance: {_SCALED if scaled else 'mean of the answers'} (better →)", fontsize=8)
    axes.set_ylabel(f"Importance: percent of the variance of {shortened(outcome, 30)}", fontsize=8)
    return sheet.done(f"{title}. {about} {' '.join(told)}")


def _middles(matter: Sequence[rows.Row], going: Sequence[rows.Row]) -> tuple[float, float]:
    """Return where the dashed lines stand: the means of what is drawn, across and up."""
    across, up = ([row["estimate"] for row in found] for found in (going, matter))
    return sum(across) / len(across), sum(up) / len(up)


_CORNERS = {
    (True, False): ("mend first", style.ORANGE, "s"),
    (True, True): ("keep up", style.BLUE, "o"),
    (False, False): ("can wait", style.GREY, "D"),
    (False, True): ("more than needed", style.GREY, "^"),
}


class _Corner(NamedTuple):
    """Where a driver stands: words, colour, mark, and whether both intervals keep clear of the lines."""

    words: str
    colour: str
    mark: str
    sure: bool


def _corner(matter: rows.Row, going: rows.Row, middle: tuple[float, float]) -> _Corner:
    """Return where a driver stands."""
    words, colour, mark = _CORNERS[matter["estimate"] > middle[1], going["estimate"] > middle[0]]
    sure = all(
        not (row["conf_low"] <= line <= row["conf_high"]) and not math.isnan(row["conf_low"])
        for row, line in ((going, middle[0]), (matter, middle[1]))
    )
    return _Corner(words, colour, mark, sure)


def _first(drawn: Sequence[str], corner: Mapping[str, _Corner], names: Names, outcome: str) -> str:
    """Say what to mend first, keeping what is sure apart from what may be chance."""
    poor = [name for name in drawn if corner[name].words == "mend first"]
    sure = [titled(name, names) for name in poor if corner[name].sure]
    may = [titled(name, names) for name in poor if not corner[name].sure]
    may = may[:3] + [f"{len(may) - 3} more"] * (len(may) > 3)
    matter = f"{'matters' if len(sure) == 1 else 'matter'} more for {outcome} than the average driver"
    if sure:
        also = f"; perhaps {rows.listed(may)} too" if may else ""
        return f"Mend first: {rows.listed(sure)}, which {matter} and {'goes' if len(sure) == 1 else 'go'} worse{also}"
    if may:
        return f"Nothing is shown to matter more for {outcome} and go worse than average; perhaps {rows.listed(may)}"
    return f"No driver that matters more than average for {outcome} goes worse than average"


def _cross(axes: Axes, middle: tuple[float, float]) -> None:
    """Draw the dashed lines and name the corners."""
    how: dict[str, Any] = {"color": style.GREY, "linewidth": 0.9, "dashes": (4, 3), "zorder": 1}
    axes.axvline(middle[0], **how)
    axes.axhline(100 * middle[1], **how)
    words: dict[str, Any] = {"fontsize": 8, "color": style.GREY, "style": "italic", "xycoords": "axes fraction"}
    for (matters, goes), (name, *_) in _CORNERS.items():
        off, ends = (-4 if goes else 4, -3 if matters else 3), (int(goes), int(matters))
        sides: dict[str, Any] = {"ha": "right" if goes else "left", "va": "top" if matters else "bottom"}
        axes.annotate(name, ends, off, textcoords="offset points", **sides, **words)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(Ticks(formatting()))
    axes.margins(0.12)


def _point(axes: Axes, matter: rows.Row, going: rows.Row, corner: _Corner) -> None:
    """Draw one driver: a cross of intervals and its mark."""
    _, colour, mark, sure = corner
    x, y = going["estimate"], 100 * matter["estimate"]
    how: dict[str, Any] = {"color": colour, "linewidth": 0.9, "alpha": 0.55, "zorder": 2}
    if not math.isnan(going["conf_low"]):
        axes.hlines(y, going["conf_low"], going["conf_high"], **how)
    if not math.isnan(matter["conf_low"]):
        axes.vlines(x, 100 * matter["conf_low"], 100 * matter["conf_high"], **how)
    face = colour if sure else style.PAPER
    axes.plot(x, y, mark, color=colour, markerfacecolor=face, markersize=6.5, markeredgewidth=1.4, zorder=3)


_PLACES = ((7, 5), (7, -11), (-7, 5), (-7, -11), (13, -3), (-13, -3), (0, 11), (0, -17))  # points off a mark


def _numbered(axes: Axes, spots: Sequence[tuple[float, float]]) -> None:
    """Write each mark's number beside it, where it lies farthest from other marks and numbers."""
    axes.autoscale_view()
    dots = [tuple(axes.transData.transform(spot) * 72 / axes.figure.dpi) for spot in spots]
    taken = list(dots)
    for number, (spot, dot) in enumerate(zip(spots, dots, strict=True), 1):
        others = [one for one in taken if one != dot]
        far = [min([math.dist((dot[0] + x, dot[1] + y + 3), one) for one in others], default=99.0) for x, y in _PLACES]
        best = max(range(len(_PLACES)), key=lambda place: (min(far[place], 9.0), -place))
        x, y = _PLACES[best]
        taken.append((dot[0] + x, dot[1] + y + 3))
        side = "left" if x > 0 else "right" if x < 0 else "center"
        axes.annotate(str(number), spot, (x, y), textcoords="offset points", fontsize=8, ha=side, zorder=4)


def _listed(
    sheet: Sheet, number: int, name: str, matter: rows.Row, going: rows.Row, corner: _Corner,
    form: Format,
) -> None:  # fmt: skip
    """Write one driver into the list beside the picture."""
    top, words = 0.1 + _LINE * (number - 1), corner.words + "?" * (not corner.sure)
    sheet.text(5.95, top, f"{number}", weight="bold", color=corner.colour)
    sheet.text(6.22, top, narrowed(name, 2.1, SMALL, 1))
    under = f"matters {form.value(matter['estimate'], 'percent')}, goes {_mean(going, form)}"
    sheet.text(6.22, top + 0.14, under, size=7, color=style.GREY)
    sheet.text(8.4, top, words, color=corner.colour)


def _mean(row: rows.Row, form: Format) -> str:
    return form.number(row["estimate"], 1 if abs(row["estimate"]) >= 10 else 2)


def _both(name: str, matter: rows.Row, going: rows.Row, corner: _Corner, form: Format) -> str:
    """Return one driver of the importance-performance chart in a sentence."""
    up = f"importance {form.value(matter['estimate'], 'percent')} (interval "
    up += f"{form.interval(matter['conf_low'], matter['conf_high'], 'percent')})"
    places = 1 if abs(going["estimate"]) >= 10 else 2
    ends = [form.number(going[end], places) for end in ("conf_low", "conf_high")]
    across = f"performance {_mean(going, form)} (interval {' to '.join(ends)})"
    return f"{name}: {up}, {across}, {corner.words}{'' if corner.sure else ', not sure'}."
