"""How long do pages load, and does slowness go with fewer orders?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.journeys import promise_loads
from cxlib.show import rows, style
from cxlib.show.canvas import Chart, Sheet, Ticks, nothing, themed
from cxlib.show.drivers import named
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.promise import Names, change_of, of, slower, told_of, why


@themed
def page_load_chart(
    frame: pd.DataFrame, *, names: Names = None, finding: str | None = None, locale: str | None = None
) -> Chart:
    """How long pages load by touchpoint (p50, p75, p95), and whether slow visits end in an order less often.

    Parameters
    ----------
    frame
        Rows of `journeys.promise_loads`.
    names
        Touchpoint -> its title.
    finding, locale
        As in `small_multiples`.
    """
    mine = [row for row in of(frame, promise_loads.LOAD) if row["segment"] == "touchpoint" and not missing_words(row)]
    if not mine:
        return nothing(why(frame, promise_loads.LOAD), finding)
    form, slow = formatting(None, locale), slower(frame)
    levels = list(
        dict.fromkeys(row["level"] for row in sorted(mine, key=lambda row: (row["at"] != "p75", -row["estimate"])))
    )
    title = finding or _load_words(frame, slow, form)
    about = "Left: seconds until half (dot), three quarters (square) and 95 % (triangle) of pages are there; lines: "
    about += "intervals."
    about += " Right: visits that end in an order within a day, against the fastest, all else equal." if slow else ""
    sheet = Sheet(title, about, max(0.34 * len(levels), 1.4) + 0.55)
    high = max(0.34 * len(levels), 1.4)
    axes = sheet.axes(1.9, 0.05, 3.5 if slow else 7.6, high, label="loads")
    _loads(sheet, axes, mine, levels, names, high)
    if slow:
        _slow(sheet, sheet.axes(7.1, 0.05, 2.4, high, label="conversion"), slow, form, high)
    told = [f"{named(row['level'], names)}, {row['at']}: {told_of(row, 'seconds', form)}" for row in mine]
    told += [f"{row['level']}: {change_of(row, 'percent', form)}" for row in slow]
    return sheet.done(f"{title}. {about} {'. '.join(told)}.")


def _load_words(frame: pd.DataFrame, slow: Sequence[rows.Row], form: Format) -> str:
    """Say how long pages load, and whether slow ones sell less."""
    mine = [row for row in of(frame, promise_loads.LOAD) if row["segment"] == "all" and not missing_words(row)]
    own = {row["at"]: row for row in mine}
    ends = [form.value(own[at]["estimate"], "seconds") for at in ("p75", "p95") if at in own]
    head = f"Three quarters of pages load within {ends[0]}" + (f", 95 % within {ends[1]}" if len(ends) > 1 else "")
    worse = [row for row in slow if not missing_words(row) and row["conf_high"] < 0]
    if not slow:
        return head
    if not worse:
        return f"{head}; slower visits are not shown to end in an order less often"
    last = worse[-1]
    return f"{head}; visits at {last['level']} end in an order less often ({change_of(last, 'percent', form)})"


def _loads(
    sheet: Sheet, axes: Axes, mine: Sequence[rows.Row], levels: Sequence[str], names: Names, high: float
) -> None:  # fmt: skip
    """Draw quantiles of loading times, one row a touchpoint."""
    line = high / len(levels)
    marks = {"p50": ("o", style.BLUE), "p75": ("s", style.BLUE), "p95": ("^", style.GREY)}
    for row in mine:
        place = levels.index(row["level"])
        mark, colour = marks[row["at"]]
        axes.hlines(place, row["conf_low"], row["conf_high"], color=style.SKY, linewidth=4)
        axes.plot(row["estimate"], place, mark, color=colour, markersize=5.5)
    for place, level in enumerate(levels):
        sheet.text(0, 0.05 + (place + 0.5) * line - 0.08, named(level, names))
    axes.set(ylim=(len(levels) - 0.5, -0.5), yticks=[])
    axes.set_xlim(left=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("seconds until the page is there", fontsize=8)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(Ticks(formatting()))


def _slow(sheet: Sheet, axes: Axes, slow: Sequence[rows.Row], form: Format, high: float) -> None:
    """Draw what slow visits differ by, one row a band."""
    line = high / len(slow)
    for place, row in enumerate(slow):
        top = 0.05 + (place + 0.5) * line
        sheet.text(5.75, top - 0.16, row["level"])
        if missing_words(row):
            sheet.text(5.75, top + 0.01, missing_words(row), size=7.5, color=style.GREY, style="italic")
            continue
        sheet.text(5.75, top + 0.01, form.change(row["estimate"], "percent"), size=7.5, color=style.GREY)
        sure = not row["conf_low"] <= 0 <= row["conf_high"]
        axes.hlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=style.SKY, linewidth=4)
        face: dict[str, Any] = {} if sure else {"markerfacecolor": style.PAPER}
        axes.plot(100 * row["estimate"], place, "o", color=style.BLUE, markersize=6.5, **face)
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.set(ylim=(len(slow) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("percentage points against the fastest", fontsize=8)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(Ticks(form))
