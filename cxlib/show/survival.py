"""How long do customers stay, and why do they leave? Curves over time with bands, and how many were still watched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import Locator, MaxNLocator, MultipleLocator

from cxlib.show import markup, rows, style
from cxlib.show.canvas import LINE, MARGIN, SMALL, WIDTH, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words, shortened

SURVIVAL, INCIDENCE = "survival", "cumulative_incidence"
MEDIAN = "median_survival"
_MOST, _STEPS, _COLUMNS = 6, 15, 6  # lines drawn; times from which on they are steps; columns of those watched
_FIRM = 30  # customers watched: a title speaks of no time at which a line stands on fewer, where it can
_LEFT, _PLOT, _NAMES, _ROW = 0.62, 2.9, 2.15, 0.2  # inches
_LOOKS: tuple[tuple[str, Any], ...] = (
    (style.BLUE, "-"), (style.ORANGE, "--"), (style.INK, "-."), ("#00735c", (0, (1, 1))), ("#8b4a85", (0, (6, 1))),
    (style.GREY, (0, (3, 1, 1, 1, 1, 1))),
)  # fmt: skip


class _Line(NamedTuple):
    """One curve: its name, its rows by time, and its look."""

    name: str
    points: list[rows.Row]
    colour: str
    dashes: Any

    @property
    def known(self) -> dict[float, rows.Row]:
        """The points with a number by time, up to where nobody is left."""
        found: dict[float, rows.Row] = {}
        for point in self.points:
            if not missing_words(point):
                found[float(point["at"])] = point
                if point["metric"] == SURVIVAL and point["estimate"] <= 0:
                    break
        return found

    def values(self, column: str) -> list[float]:
        """One column of these points."""
        return [point[column] for point in self.known.values()]

    @property
    def last(self) -> rows.Row | None:
        """The last of these points."""
        return next(reversed(self.known.values()), None)


@themed
def survival_curves(
    frame: pd.DataFrame,
    *,
    unit: str = "",
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One curve a group: the share still there after each time, with its band, and how many were still watched.

    Parameters
    ----------
    frame
        Result frame of `loyalty.survival`; a row of `loyalty.log_rank` beside it is told. The six largest groups are
        drawn.
    unit
        What the durations are counted in, such as `months`; of the axis and the words.
    finding, locale
        As in `small_multiples`.
    """
    lines = _lines(frame, SURVIVAL)
    if not any(line.last for line in lines):
        return nothing(_why_not(frame, SURVIVAL, "the frame holds no survival"), finding)
    form = formatting(None, locale)
    told = finding or _stay(frame, lines, unit, form)
    return _draw(frame, lines, SURVIVAL, (told, "still there"), unit, form)


@themed
def leaving_reasons(
    frame: pd.DataFrame,
    *,
    unit: str = "",
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One curve a reason: the share that has left for it by each time, with its band.

    Parameters
    ----------
    frame
        Result frame of `loyalty.competing_reasons`. The six with the highest shares are drawn.
    unit, finding, locale
        As in `survival_curves`.
    """
    lines = _lines(frame, INCIDENCE)
    if not any(line.last for line in lines):
        return nothing(_why_not(frame, INCIDENCE, "the frame holds no reasons for leaving"), finding)
    form = formatting(None, locale)
    told = finding or _leave(lines, unit, form)
    return _draw(frame, lines, INCIDENCE, (told, "that has left"), unit, form)


def _lines(frame: pd.DataFrame, metric: str) -> list[_Line]:
    """Return the curves to draw: those with most customers, or with the highest shares; in the order of the frame."""
    mine = frame[(frame["metric"] == metric) & (frame["comparison"] == "level") & (frame["at"] != "")]
    groups: dict[str, list[rows.Row]] = {}
    for row in rows.records(mine):
        groups.setdefault(row["level"], []).append(row)
    for points in groups.values():
        points.sort(key=lambda row: float(row["at"]))
    size = "n" if metric == SURVIVAL else "estimate"
    most = {
        name: max((p[size] for p in points if not missing_words(p)), default=-1.0) for name, points in groups.items()
    }
    kept = set(sorted(most, key=lambda name: (-most[name], name))[:_MOST])
    chosen = [(name if metric == SURVIVAL else plain(name), own) for name, own in groups.items() if name in kept]
    return [_Line(name, points, *_LOOKS[place]) for place, (name, points) in enumerate(chosen)]


def _why_not(frame: pd.DataFrame, metric: str, otherwise: str) -> str:
    """Say why there is nothing to draw."""
    mine = frame[frame["metric"] == metric]
    words = sorted({missing_words(row) for row in mine.to_dict("records")})
    return rows.why_not(mine, words[0] if words else otherwise)


def _draw(
    frame: pd.DataFrame, lines: Sequence[_Line], metric: str, told: tuple[str, str], unit: str, form: Format
) -> Chart:
    """Draw the curves, their names at the end, and beneath how many were still watched."""
    watched = few(sorted({time for line in lines for time in line.known}), _COLUMNS)
    each = lines if metric == SURVIVAL else lines[:1]  # all reasons share those who are watched
    under = 0.62 + (len(each) + 2) * _ROW
    sheet = Sheet(told[0], _subtitle(frame, lines, metric), 0.12 + _PLOT + under)
    width = WIDTH - 2 * MARGIN - _LEFT - _NAMES
    axes = sheet.axes(_LEFT, 0.12, width, _PLOT, label=metric)
    top = 1.0 if metric == SURVIVAL else max(max(line.values("conf_high")) for line in lines if line.last) * 1.08
    for line in lines:
        _curve(axes, line, 1.0 if metric == SURVIVAL else 0.0)
    last = max(time for line in lines for time in line.known)
    axes.set(xlim=(0, 1.012 * last or 1.0), ylim=(0, 100 * min(top, 1.0)))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_ylabel(f"percent {told[1]}", fontsize=8)
    axes.set_xlabel(f"{unit or 'time'} since the start", fontsize=8)
    axes.xaxis.set_major_locator(_ticks(unit, last))
    axes.xaxis.set_major_formatter(Ticks(form))
    _names(sheet, axes, lines, form, _LEFT + width + 0.1)
    _watched(sheet, axes, each, watched, 0.12 + _PLOT + 0.52, form)
    return sheet.done(_alt(told, lines, unit, form))


def _curve(axes: Axes, line: _Line, start: float) -> None:
    """Draw one curve with its band: steps where its times are many, else dots with intervals."""
    times = list(line.known)
    value, low, high = (line.values(name) for name in ("estimate", "conf_low", "conf_high"))
    look: dict[str, Any] = {"color": line.colour, "linestyle": line.dashes, "linewidth": 1.8}
    if len(times) >= _STEPS:
        x, first = [0.0, *times], [start]
        y, below, above = ([100 * number for number in first + column] for column in (value, low, high))
        axes.fill_between(x, below, above, step="post", color=line.colour, alpha=0.15, linewidth=0)
        axes.step(x, y, where="post", **look)
        return
    y, below, above = ([100 * number for number in column] for column in (value, low, high))
    axes.plot(times, y, marker="o", markersize=5, clip_on=False, zorder=4, **{**look, "linewidth": 1.0})
    axes.vlines(times, below, above, color=line.colour, linewidth=1.6, clip_on=False)


def _names(sheet: Sheet, axes: Axes, lines: Sequence[_Line], form: Format, left: float) -> None:
    """Write the name and last value of each curve to its right, apart from one another."""
    top = axes.get_ylim()[1]
    shown = sorted((line for line in lines if line.last), key=lambda line: -(line.last or {})["estimate"])
    words = [_name(line, form) for line in shown]
    at = [0.12 + _PLOT * (1 - 100 * (line.last or {})["estimate"] / top) - 0.07 for line in shown]
    tall = [len(each) * SMALL * LINE + 0.05 for each in words]
    for place in range(1, len(at)):
        at[place] = max(at[place], at[place - 1] + tall[place - 1])
    floor = 0.12 + _PLOT + 0.1
    for place in reversed(range(len(at))):
        below = at[place + 1] if place + 1 < len(at) else floor
        at[place] = min(at[place], below - tall[place])
    for line, each, y in zip(shown, words, at, strict=True):
        level = 100 * (1 - (y + 0.07 - 0.12) / _PLOT)
        axes.plot([1.012, 1.045], [level / 100] * 2, transform=axes.transAxes, color=line.colour, linewidth=1.8,
                  linestyle=line.dashes, clip_on=False)  # fmt: skip
        sheet.text(left + 0.27, y, each, color=line.colour, weight="bold")


def _name(line: _Line, form: Format) -> list[str]:
    """Return `Two year 93.6 %`, the number on a line of its own where the name is long."""
    value, width = form.value((line.last or {})["estimate"], "percent"), _NAMES - 0.35
    if line.name == "all":
        return [value]
    whole = wrap(f"{line.name} {value}", width, SMALL, bold=True)
    return whole if len(whole) == 1 else [*wrap(line.name, width, SMALL, bold=True, lines=2), value]


def _ticks(unit: str, last: float) -> Locator:
    """Return where the axis of time has its ticks: months by the year."""
    if unit.startswith("month"):
        return MultipleLocator(next((step for step in (1, 2, 3, 6, 12, 24, 36, 60) if last / step <= 7), 120))
    return MaxNLocator(nbins=7, steps=[1, 2, 3, 5, 10])


def _watched(
    sheet: Sheet, axes: Axes, lines: Sequence[_Line], times: Sequence[float], top: float, form: Format
) -> None:
    """Write how many customers of each line were still watched at some times, beneath the axis."""
    sheet.text(0, top, "Customers still watched just before", color=style.GREY, size=7.5)
    top += _ROW
    low, high = axes.get_xlim()
    width = axes.get_position().width * WIDTH
    for time in times:
        x = _LEFT + width * (time - low) / (high - low)
        sheet.text(x, top, form.number(time, 0 if float(time).is_integer() else 1), size=7.5, ha="center",
                   color=style.GREY)  # fmt: skip
        for place, line in enumerate(lines, start=1):
            point = line.known.get(time)
            count = "–" if point is None else form.count(point["n_eff"])
            sheet.text(x, top + place * _ROW, count, size=7.5, ha="center")
    for place, line in enumerate(lines, start=1):
        if len(lines) > 1:
            name = wrap(line.name, _NAMES - 0.1, 7.5, lines=1)
            sheet.text(WIDTH - 2 * MARGIN - _NAMES + 0.37, top + place * _ROW, name, size=7.5, color=line.colour)


def _subtitle(frame: pd.DataFrame, lines: Sequence[_Line], metric: str) -> str:
    """Say what is drawn and how to read it."""
    drawn = "Lines: estimate" if max(len(line.known) for line in lines) >= _STEPS else "Dots: estimate"
    words = [f"{drawn}; bands and bars: interval at each time."]
    if metric == SURVIVAL:
        words.append("Customers who are still here count for as long as they were watched.")
        words += ["More are watched later than earlier because customers from before records began enter late."] * any(
            later["n_eff"] > sooner["n_eff"]
            for line in lines
            for sooner, later in itertools.pairwise(line.known.values())
        )
    else:
        words.append("Each customer leaves once, for one reason: shares add up to all who have left.")
    total = frame.loc[frame["metric"] == metric, "level"].nunique()
    words += [f"{total - len(lines)} more are not drawn."] if total > len(lines) else []
    gone = [line.name for line in lines if any(point["status"] == "suppressed" for point in line.points)]
    words += [f"Hidden where too few were watched: {rows.listed(gone)}."] if gone else []
    return " ".join([*words, beside(frame)]).strip()


def beside(frame: pd.DataFrame) -> str:
    """Return what a log-rank test in the frame says."""
    found = frame[(frame["metric"] == "log_rank") & (frame["status"] == "ok")]
    if found.empty:
        return ""
    p_value = found["p_value"].iloc[0]
    word = "less than 0.001" if p_value < 0.001 else markup.p_words(p_value)
    return f"Log-rank test that all leave at the same speed: p {word}."


def _stay(frame: pd.DataFrame, lines: Sequence[_Line], unit: str, form: Format) -> str:
    """Say how long customers stay, and which group longest where its interval lies apart from the shortest's."""
    shown = [line for line in lines if line.last]
    if len(shown) == 1:
        median = frame[(frame["metric"] == MEDIAN) & (frame["level"] == shown[0].name) & (frame["status"] == "ok")]
        if len(median):
            return f"Half of the customers stay {time_words(median['estimate'].iloc[0], unit, form)} or longer"
    at, found = _common(shown)
    if at is not None and len(shown) == 1:
        return f"{form.value(found[0][1]['estimate'], 'percent')} are still there after {time_words(at, unit, form)}"
    if at is None:
        return f"How long customers stay, by {plain(segment_words(frame).lower())}"
    best, worst = (pick(found, key=lambda item: item[1]["estimate"]) for pick in (max, min))
    after = f"After {time_words(at, unit, form)}"
    if not rows.apart(best[1], worst[1]):
        return f"{after} no difference between the {len(found)} groups is shown: intervals overlap"
    values = [form.value(row["estimate"], "percent") for _, row in (best, worst)]
    names = [shortened(name) for name, _ in (best, worst)]
    return f"{names[0]}: {values[0]} are still there {after.lower()}; {names[1]}: {values[1]}"


def _leave(lines: Sequence[_Line], unit: str, form: Format) -> str:
    """Say for which reason most have left, where its interval lies above the next one's."""
    shown = [line for line in lines if line.last]
    at, found = _common(shown)
    if at is None:
        return "Why customers leave"
    ranked = sorted(found, key=lambda item: -item[1]["estimate"])
    value = form.value(ranked[0][1]["estimate"], "percent")
    after = f"After {time_words(at, unit, form)}"
    if len(ranked) > 1 and not rows.apart(ranked[0][1], ranked[1][1]):
        total = form.value(sum(row["estimate"] for _, row in ranked), "percent")
        return f"{after} {total} have left, for no reason more than for the next"
    rest = ", more than for any other reason" if len(ranked) > 1 else ""
    return f"{after} {value} have left for {shortened(ranked[0][0])}{rest}"


def _common(lines: Sequence[_Line]) -> tuple[float | None, list[tuple[str, rows.Row]]]:
    """Return the last time at which every line has a number that stands on some customers, and their rows there."""
    shared = set.intersection(*(set(line.known) for line in lines))
    if not shared:
        return None, []
    firm = [at for at in shared if min(line.known[at]["n_eff"] for line in lines) >= _FIRM]
    at = max(firm or shared)
    return at, [(line.name, line.known[at]) for line in lines]


def few(times: Sequence[float], most: int) -> list[float]:
    """Return at most `most` of the times, spread over them, the last one among them."""
    if len(times) <= most:
        return list(times)
    ends = [times[-1] * (place + 1) / most for place in range(most)]
    return sorted({min(times, key=lambda time: (abs(time - end), time)) for end in ends})


def time_words(value: float, unit: str, form: Format) -> str:
    """Return `310 days`."""
    places = 0 if float(value).is_integer() or value >= 100 else 1
    return f"{form.number(value, places)} {unit}".strip()


def segment_words(frame: pd.DataFrame) -> str:
    """Return what the levels of the frame are levels of."""
    found = [name for name in dict.fromkeys(frame["segment"]) if name != "all"]
    return plain(found[0]).capitalize() if found else ""


def _alt(told: tuple[str, str], lines: Sequence[_Line], unit: str, form: Format) -> str:
    """Return the chart in words."""
    parts = []
    for line in lines:
        known = line.known
        said = [
            f"{form.value(known[at]['estimate'], 'percent')} after {time_words(at, unit, form)} (interval "
            f"{form.interval(known[at]['conf_low'], known[at]['conf_high'], 'percent')}, "
            f"{form.count(known[at]['n_eff'])} watched)"
            for at in few(sorted(known), 3)
        ]
        parts.append(f"{'All' if line.name == 'all' else line.name}: {'; '.join(said) or 'hidden'}")
    return f"{told[0]}. Curves of the share {told[1]}, over time. {'. '.join(parts)}."
