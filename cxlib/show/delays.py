"""What does being late cost? The outcome by days late, and what a delay goes with at one and the same partner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.params.models import Metric
from cxlib.show import rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.formats import Format, brief, formatting, missing_words, one_metric

_LEFT, _RIGHT, _TOP, _LINE = 2.2, 6.0, 0.28, 0.44  # inches
_VALUE, _EFFECT = 6.2, 7.85
_READ = "Dot: figure, line: interval. Right: the difference at one and the same partner, so that partners cancel out."


@themed
def by_delay(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a level of days late, earliest on top: figure and interval, difference within partners, n.

    Parameters
    ----------
    frame
        Rows of `partners.delay`; those of `partners.delay_effect` and `partners.explained` beside them are told.
    metrics
        The metric, or all by id.
    metric
        Id of the metric to show; needed only where the frame holds several.
    finding, currency, locale
        As in `small_multiples`.
    """
    effects = frame[(frame["comparison"] == "difference")]
    share = frame[frame["metric"] == "share_explained"]
    levels = frame[(frame["comparison"] == "level") & ~frame["metric"].isin(["share_explained", "partner_sd"])]
    known = levels[levels["status"] == results.OK]
    if known.empty:
        return nothing(rows.why_not(levels, _hidden(levels)), finding)
    shown, form = one_metric(metrics, metric, rows.ids(levels)), formatting(currency, locale)
    mine = [row for row in levels.to_dict("records") if row["metric"] == shown.id]
    apart = {row["level"]: row for row in effects.to_dict("records") if row["metric"] == shown.id}
    told = " ".join(
        part for part in (_READ if apart else _READ.split(". Right")[0] + ".", _explained(share, form)) if part
    )
    sheet = Sheet(finding or headline(mine, shown, form), told, _TOP + len(mine) * _LINE + 0.5)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(mine) * _LINE, label="delay")
    _draw(sheet, axes, mine, apart, shown, form)
    return sheet.done(_alt(sheet.figure.finding, told, mine, apart, shown, form))


def headline(mine: Sequence[rows.Row], metric: Metric, form: Format) -> str:
    """Return the finding: the first and the last level, ranked only where their intervals lie apart."""
    known = [row for row in mine if not missing_words(row)]
    first, last = known[0], known[-1]
    if len(known) == 1:
        return f"{metric.title}: {form.value(first['estimate'], metric.unit)} ({first['level']})"
    ends = [f"{form.value(row['estimate'], metric.unit)} ({row['level']})" for row in (first, last)]
    order = "" if rows.apart(first, last) else "; their intervals overlap"
    return f"{metric.title}: from {ends[0]} to {ends[1]}{order}"


def _explained(share: pd.DataFrame, form: Format) -> str:
    """Say how much of the partners' differences goes with being late."""
    if share.empty:
        return ""
    row = share.iloc[0].to_dict()
    if missing_words(row):
        return f"How much of the partners' differences this explains cannot be told: {row['note']}."
    limits = form.interval(row["conf_low"], row["conf_high"], "percent")
    return f"Days late go with {form.value(row['estimate'], 'percent')} ({limits}) of the variance between partners."


def _draw(
    sheet: Sheet, axes: Axes, mine: Sequence[rows.Row], apart: Mapping[str, rows.Row], metric: Metric, form: Format
) -> None:
    """Draw the rows."""
    known = [row for row in mine if not missing_words(row)]
    ends = [abs(row[end]) for row in known for end in ("estimate", "conf_low", "conf_high") if math.isfinite(row[end])]
    name, factor = form.axis(metric.unit, max(ends))
    axes.set(ylim=(len(mine) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    sheet.text(_VALUE, 0, "Figure", size=7.5, color=style.GREY)
    base = next((row["against"] for row in apart.values()), "")
    sheet.text(_EFFECT, 0, f"Against '{base}'" if base else "", size=7.5, color=style.GREY)
    for place, row in enumerate(mine):
        at, words = _TOP + (place + 0.5) * _LINE, missing_words(row)
        sheet.text(0, at - 0.16, wrap(row["level"], _LEFT - 0.15, SMALL, lines=1))
        if words:
            sheet.text(0, at + 0.01, words, size=7.5, color=style.GREY, style="italic")
            continue
        sheet.text(0, at + 0.01, f"n {form.count(row['n'])}", size=7.5, color=style.GREY)
        axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=style.SKY, linewidth=4)
        axes.plot(row["estimate"] * factor, place, "o", color=style.BLUE, markersize=7)
        limits = brief(form.interval(row["conf_low"], row["conf_high"], metric.unit))
        sheet.text(_VALUE, at - 0.16, form.short(row["estimate"], metric.unit), weight="bold")
        sheet.text(_VALUE, at + 0.01, limits, size=7.5, color=style.GREY)
        _effect(sheet, at, row["level"] == base, apart.get(row["level"]), metric, form)
    axes.set_xlabel(metric.title if name in metric.title else f"{metric.title}, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _effect(sheet: Sheet, at: float, base: bool, row: rows.Row | None, metric: Metric, form: Format) -> None:
    """Write the difference within partners to the right."""
    if base or row is None:
        sheet.text(_EFFECT, at - 0.16, "what the others are against" if base else "", size=7.5, color=style.GREY)
        return
    if missing_words(row):
        sheet.text(_EFFECT, at - 0.16, missing_words(row), size=7.5, color=style.GREY, style="italic")
        return
    tone = rows.better(metric, row["estimate"]) if row["conf_low"] > 0 or row["conf_high"] < 0 else rows.FLAT
    sheet.text(
        _EFFECT, at - 0.16, brief(form.change(row["estimate"], metric.unit)), weight="bold", color=style.TONES[tone]
    )
    limits = brief(form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True))
    sheet.text(_EFFECT, at + 0.01, limits, size=7.5, color=style.GREY)


def _hidden(levels: pd.DataFrame) -> str:
    few = len(levels) and (levels["status"] == results.SUPPRESSED).all()
    return "every level has fewer customers than may be shown" if few else "the frame holds no levels of days late"


def _alt(
    finding: str, about: str, mine: Sequence[rows.Row], apart: Mapping[str, rows.Row], metric: Metric, form: Format
) -> str:
    """Return the chart in words."""
    told = []
    for row in mine:
        words = missing_words(row)
        if words:
            told.append(f"{row['level']}: {words}")
            continue
        limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
        line = (
            f"{row['level']}: {form.value(row['estimate'], metric.unit)} (interval {limits}; n {form.count(row['n'])})"
        )
        effect = apart.get(row["level"])
        if effect is not None and not missing_words(effect):
            ends = form.interval(effect["conf_low"], effect["conf_high"], metric.unit, change=True)
            line += f", {form.change(effect['estimate'], metric.unit)} at the same partner (interval {ends})"
        told.append(line)
    return f"{finding}. {about} {'. '.join(told)}."
