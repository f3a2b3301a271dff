"""Are those who are compared alike? What touched customers and others were like, before and after they are made so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from cxlib.params.models import Change, Metric
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import capital
from cxlib.show.formats import Format, formatting, metric_of, missing_words, shortened

Pair = tuple[str, float, float]  # what is known, and how far sides differ in it before and after

_PLOT_AT, _PLOT_WIDE, _ROW, _AXIS = 3.6, 5.9, 0.3, 0.5  # inches
_MOST, _TITLE, _ALIKE = 14, 60, 0.1  # rows drawn; letters of a change; standard deviations, below which sides are alike
_READ = (
    "{}. Hollow: touched less others as they are; filled: less the others who are made like them. In standard "
    "deviations of the touched; shaded: alike. What is not known of customers is not in it."
)


@themed
def balance_chart(
    frame: pd.DataFrame,
    register: Mapping[str, Change],
    metrics: Mapping[str, Metric],
    change: str = "",
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """How far customers who were touched one by one differ from the others in what was known of them before.

    Parameters
    ----------
    frame, register, metrics
        As in `designs_chart`.
    change
        Its id; the first that touched customers one by one for '', or where the one named did not.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = frame[frame["segment"] == "balance"]
    mine = mine[mine["level"] == change] if (mine["level"] == change).any() else mine
    if mine.empty:
        return nothing("no change that is due touched customers one by one and could be read", finding)
    key = (str(mine["level"].iloc[0]), str(mine["metric"].iloc[0]))
    mine = mine[(mine["level"] == key[0]) & (mine["metric"] == key[1])]
    pairs, form = _pairs(mine), formatting(currency, locale)
    if not pairs:
        return nothing(
            f"{register[key[0]].title}: whether customers are alike may not be shown or is not known", finding
        )
    drawn = pairs[:_MOST]
    read = _READ.format(metric_of(metrics, key[1]).title) + (
        f" Not drawn: {len(pairs) - _MOST} that differed less." if len(pairs) > _MOST else ""
    )
    sheet = Sheet(finding or _claim(pairs, register[key[0]], form), read, len(drawn) * _ROW + _AXIS)
    axes = sheet.axes(_PLOT_AT, 0, _PLOT_WIDE, len(drawn) * _ROW, label="balance")
    _draw(axes, drawn, form)
    for number, (name, _, _) in enumerate(drawn):
        words = wrap(name, _PLOT_AT - 0.2, SMALL, lines=1)
        sheet.text(0, (number + 0.5) * _ROW - len(words) * SMALL * LINE / 2, words)
    told = [f"{name}: {_number(before, form)} before, {_number(after, form)} after" for name, before, after in pairs]
    return sheet.done(f"{sheet.figure.finding}. {read} {'; '.join(told)}.")


def _pairs(mine: pd.DataFrame) -> list[Pair]:
    """Return what is known of both before and after, that which differed most first."""
    sides: dict[str, dict[str, float]] = {}
    for row in rows.records(mine):
        if not missing_words(row):
            sides.setdefault(row["at"], {})[row["against"]] = row["estimate"]
    found = [(name, side["before"], side["after"]) for name, side in sides.items() if len(side) == 2]
    return sorted(found, key=lambda pair: (-abs(pair[1]), pair[0]))


def _claim(pairs: Sequence[Pair], change: Change, form: Format) -> str:
    """Say in what they differed most, and what is left of that."""
    name, before, _ = pairs[0]
    left = max(abs(after) for _, _, after in pairs)
    start = f"{shortened(change.title, _TITLE)}:"
    if abs(before) < _ALIKE:
        return f"{start} touched and others were alike in what is known of them already"
    apart = f"they differed most in {name} ({_number(before, form)} standard deviations)"
    rest = "alike in all that is known" if left < _ALIKE else f"still up to {form.number(left, 2)} apart"
    return f"{start} {apart}; those compared are {rest}"


def _number(value: float, form: Format) -> str:
    return form.number(value, 2, sign=True)


def _draw(axes: Axes, drawn: Sequence[Pair], form: Format) -> None:
    ends = [abs(value) for _, before, after in drawn for value in (before, after)]
    reach = 1.1 * max([*ends, 2 * _ALIKE])
    axes.set(ylim=(len(drawn) - 0.5, -0.5), yticks=[], xlim=(-reach, reach))
    axes.spines["left"].set_visible(False)
    axes.axvspan(-_ALIKE, _ALIKE, color=style.GREY, alpha=0.15, linewidth=0)
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for number, (_, before, after) in enumerate(drawn):
        axes.plot([before, after], [number, number], color=style.GREY, linewidth=1)
        axes.plot(before, number, "o", markersize=6, markerfacecolor=style.PAPER, markeredgecolor=style.GREY)
        axes.plot(after, number, "o", markersize=6, markerfacecolor=style.BLUE, markeredgecolor=style.BLUE)
    axes.set_xlabel(capital("standard deviations apart"), fontsize=8)
    axes.xaxis.set_major_formatter(Ticks(form))
