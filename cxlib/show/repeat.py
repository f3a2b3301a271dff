"""Do they come back? The share that bought again by the days since, one line a group."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, shortened
from cxlib.show.markup import Cell, Html

_MOST = 5  # lines that can be told apart
_METRIC, _MEDIAN = "repeat_purchase", "median_days_to_repeat"
_LINES = ((style.BLUE, "-"), (style.ORANGE, "--"), (style.GREY, "-."), (style.SKY, ":"), (style.INK, "-"))
_READ = "Line: share that bought again within so many days, customers still watched counted in; band: interval."


@themed
def repeat_curve(
    frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None, levels: Sequence[str] = ()
) -> Chart:
    """One line a group: the share that bought again by the days since a purchase, with its interval.

    Parameters
    ----------
    frame
        Result frame of `loyalty.repeat_purchase`, with as many windows as the line is to have points.
    finding, locale
        As in `small_multiples`.
    levels
        Groups to draw; default the largest, at most five.
    """
    mine = frame[(frame["metric"] == _METRIC) & (frame["status"] == "ok")]
    if mine.empty:
        return nothing(rows.why_not(frame, "the frame holds nobody who was watched after a purchase"), finding)
    form, everybody = formatting(None, locale), list(dict.fromkeys(mine["level"]))
    sizes = mine.sort_values(["n", "level"], ascending=[False, True]).drop_duplicates("level").set_index("level")["n"]
    drawn = [name for name in everybody if name in (levels or list(sizes.index[:_MOST]))]
    left_out = [name for name in dict.fromkeys(frame["level"]) if name not in drawn]
    told = f" Not drawn: {len(left_out)} smaller or hidden groups." if left_out else ""
    sheet = Sheet(finding or _finding(mine, drawn, form), _READ + told, 3.5)
    axes = sheet.axes(0.75, 0.1, 6.6, 2.85, label="repeat")
    for place, name in enumerate(drawn):
        _curve(axes, mine[mine["level"] == name], place)
    _dress(axes, mine[mine["level"].isin(drawn)], form)
    _named(sheet, mine, drawn, form)
    return sheet.done(_alt(sheet.figure.finding, mine, drawn, form))


def repeat_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a group, one column a window: the share that bought again, and the median wait.

    Parameters
    ----------
    frame
        Result frame of `loyalty.repeat_purchase`.
    title
        Heading; default the finding.
    locale
        As in `small_multiples`.
    """
    mine = frame[frame["metric"] == _METRIC]
    if mine.empty:
        return markup.nothing(title or "Repeat purchase", "the frame holds no windows")
    form, names = formatting(None, locale), list(dict.fromkeys(mine["level"]))
    columns: dict[str, list[Cell]] = {}
    for at in sorted(set(mine["at"]), key=float):
        found = {row["level"]: row for row in rows.records(mine[mine["at"] == at])}
        columns[f"within {at} days"] = [markup.estimate_cell(found.get(name), "percent", form) for name in names]
    medians = {row["level"]: row for row in rows.records(frame[frame["metric"] == _MEDIAN])}
    columns["Median wait"] = [markup.estimate_cell(medians.get(name), "days", form) for name in names]
    sizes = {row["level"]: row for row in rows.records(mine[mine["status"] == "ok"])}
    columns["n"] = [markup.n_cell(sizes.get(name), form) for name in names]
    known = mine[mine["status"] == "ok"]
    heading = title or (_finding(known, list(dict.fromkeys(known["level"])), form) if len(known) else "Repeat purchase")
    methods = sorted(set(frame["method"]))
    head = plain(str(mine["segment"].iloc[0])) if (mine["segment"] != "all").any() else "Customers"
    notes = [escape(f"Methods: {', '.join(methods)}.")]
    return markup.figure(heading, markup.table(columns, [head], [(name,) for name in names]), notes)


def _finding(mine: pd.DataFrame, drawn: Sequence[str], form: Format) -> str:
    """Say how many come back within the longest window that all groups were watched for, and which most and least."""
    known = mine[mine["level"].isin(drawn)]
    counts = known.drop_duplicates(["at", "level"])["at"].value_counts()
    at = max(counts[counts == counts.max()].index, key=float)
    found = sorted(rows.records(known[known["at"] == at]), key=lambda row: (-row["estimate"], row["level"]))
    top, low = found[0], found[-1]
    if len(found) == 1:
        who = "" if top["level"] == "all" else f" ({shortened(top['level'])})"
        limits = form.interval(top["conf_low"], top["conf_high"], "percent")
        return f"{form.value(top['estimate'], 'percent')} buy again within {at} days{who} ({limits})"
    ends = " to ".join(f"{form.value(row['estimate'], 'percent')} ({shortened(row['level'])})" for row in (low, top))
    order = "" if rows.apart(top, low) else "; their intervals overlap"
    return f"Within {at} days {ends} buy again{order}"


def _curve(axes: Axes, found: pd.DataFrame, place: int) -> None:
    """Draw one line from 0 on, its interval as a band; a single window as a dot."""
    colour, dash = _LINES[place % len(_LINES)]
    line = found.assign(day=found["at"].astype(float)).sort_values("day")
    days, share = [0.0, *line["day"]], [0.0, *(100 * line["estimate"])]
    low, high = [0.0, *(100 * line["conf_low"])], [0.0, *(100 * line["conf_high"])]
    axes.fill_between(days, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        days, share, linestyle=dash, color=colour, linewidth=1.8, marker="o" if len(line) < 12 else "", markersize=4
    )


def _dress(axes: Axes, drawn: pd.DataFrame, form: Format) -> None:
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set(xlim=(0, None), ylim=(0, min(110 * float(drawn["conf_high"].max()), 100) or 1))
    axes.set_xlabel("days since the purchase", fontsize=8)
    axes.set_ylabel("bought again, percent", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 3, 6, 9, 10]))
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.xaxis.set_major_formatter(Ticks(form))


def _named(sheet: Sheet, mine: pd.DataFrame, drawn: Sequence[str], form: Format) -> None:
    """Name each line to the right, in the order of their ends."""
    ends = {name: rows.records(mine[mine["level"] == name])[-1] for name in drawn}
    for place, name in enumerate(sorted(drawn, key=lambda name: (-ends[name]["estimate"], name))):
        colour, dash = _LINES[drawn.index(name) % len(_LINES)]
        top = 0.15 + place * 0.48
        key: Any = sheet.axes(7.55, top, 0.35, 0.16, label=f"key {name}")
        key.axis("off")
        key.plot([0, 1], [0.5, 0.5], linestyle=dash, color=colour, linewidth=1.8)
        words = "all customers" if name == "all" else name
        sheet.text(8.0, top, wrap(words, 1.6, SMALL, lines=1))
        row = ends[name]
        told = f"{form.value(row['estimate'], 'percent')} at {row['at']} days, n {form.count(row['n'])}"
        sheet.text(8.0, top + 0.17, wrap(told, 1.65, 7, lines=2), size=7, color=style.GREY)


def _alt(finding: str, mine: pd.DataFrame, drawn: Sequence[str], form: Format) -> str:
    """Return the chart in words: of each line a few points."""
    told = []
    for name in drawn:
        found = rows.records(mine[mine["level"] == name])
        picked = found if len(found) <= 4 else [found[place * (len(found) - 1) // 3] for place in range(4)]
        points = [
            f"{form.value(row['estimate'], 'percent')} within {row['at']} days "
            f"(interval {form.interval(row['conf_low'], row['conf_high'], 'percent')})"
            for row in picked
        ]
        who = "All customers" if name == "all" else name
        told.append(f"{who}, n {form.count(found[0]['n'])}: {', '.join(points)}")
    return f"{finding}. Lines with intervals. {'. '.join(told)}."
