"""Who stands out for so few answers? Partners against control limits that narrow with volume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.params.models import Metric
from cxlib.show import rows, style
from cxlib.show.canvas import Chart, Sheet, Ticks, nothing, themed
from cxlib.show.formats import Format, counted, formatting, one_metric, shortened

_LEFT, _WIDTH, _TOP, _HEIGHT = 0.62, 8.9, 0.1, 4.1  # inches
_NAMED, _WIDE = 8, 20.0  # partners named; ratio of volumes from which the axis is logarithmic
_APART = 0.03  # of the height of the axes: between two names
_SHADES = ("#eef2f5", "#dde6ec")
_PAPER: dict[str, Any] = {"boxstyle": "square,pad=0.1", "facecolor": style.PAPER, "edgecolor": "none", "alpha": 0.75}
_MARKS = {rows.BETTER: "o", rows.WORSE: "s", rows.FLAT: "D"}


@themed
def partner_funnel(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One dot a partner at its volume and its adjusted figure, with the control limits; those outside are named.

    Parameters
    ----------
    frame
        Rows of `partners.funnel` and of `partners.funnel_limits` together.
    metrics
        The metric, or all by id.
    metric
        Id of the metric to show; needed only where the frame holds several.
    finding, currency, locale
        As in `small_multiples`.
    """
    limits = frame[frame["method"].str.startswith("control limits") & (frame["status"] == results.OK)]
    found = frame[frame["at"] == "funnel"]
    known = found[found["status"] == results.OK]
    if known.empty or limits.empty:
        return nothing(_why(found), finding)
    shown, form = one_metric(metrics, metric, rows.ids(known)), formatting(currency, locale)
    known, limits = known[known["metric"] == shown.id], limits[limits["metric"] == shown.id]
    sheet = Sheet(
        finding or headline(known, shown, limits["method"].iloc[0]), _told(found, known, limits), _TOP + _HEIGHT + 0.5
    )
    axes = sheet.axes(_LEFT, _TOP, _WIDTH, _HEIGHT, label="funnel")
    name, factor = form.axis(shown.unit, float(known["estimate"].abs().max()))
    _limits(axes, limits, factor)
    _dots(axes, known, shown, factor)
    _frame(axes, known, limits, factor, form)
    _named_limits(axes, limits, factor)
    axes.set_ylabel(shown.title if name in shown.title else f"{shown.title}, {name}", fontsize=8)
    return sheet.done(_alt(sheet.figure.finding, known, limits, shown, form))


def headline(known: pd.DataFrame, metric: Metric, method: str) -> str:
    """Return how many partners lie outside what the limits allow for: chance alone, or how partners differ, too."""
    out = int((known["verdict"] == "moved").sum())
    total = f"{counted(len(known))} partner{'s' * (len(known) != 1)}"
    what = "chance explains" if "no overdispersion" in method else "chance and the usual differences explain"
    if not out:
        return f"{metric.title}: none of {total} lies outside what {what}"
    verb = "lies" if out == 1 else "lie"
    return f"{metric.title}: {counted(out)} of {total} {verb} outside what {what}"


def _told(found: pd.DataFrame, known: pd.DataFrame, limits: pd.DataFrame) -> str:
    """Say how to read the picture and what is not in it."""
    names = rows.listed([name.removesuffix(" limits") for name in dict.fromkeys(limits["level"])])
    told = [f"Shaded: where {names} of partners in control lie ({limits['method'].iloc[0].split(', ')[-1]})."]
    told += ["Named: outside after allowing for the number of partners (Benjamini and Hochberg)."]
    told += [rows.left_out(0, len(found) - len(known))]
    return " ".join(told).strip()


def _limits(axes: Axes, limits: pd.DataFrame, factor: float) -> None:
    """Shade the areas between the limits, the widest first, and draw the centre."""
    parts = [limits[limits["level"] == name].sort_values("n_eff") for name in dict.fromkeys(limits["level"])]
    parts.sort(key=lambda part: -(part["conf_high"] - part["conf_low"]).max())
    for place, part in enumerate(parts):
        x, low, high = (part[name].to_numpy() for name in ("n_eff", "conf_low", "conf_high"))
        axes.fill_between(x, low * factor, high * factor, color=_SHADES[min(place, 1)], linewidth=0)
        for edge in (low, high):
            axes.plot(x, edge * factor, color=style.GREY, linewidth=0.8, dashes=(4, 3) if place else (1, 0))
    axes.axhline(float(limits["estimate"].iloc[0]) * factor, color=style.INK, linewidth=1)


def _named_limits(axes: Axes, limits: pd.DataFrame, factor: float) -> None:
    """Write beside each line what it is, the names apart from each other however near the lines are."""
    last = limits[limits["n_eff"] == limits["n_eff"].max()]
    marks = [(float(limits["estimate"].iloc[0]), "all")]
    marks += [(high, name.removesuffix(" limits")) for high, name in zip(last["conf_high"], last["level"], strict=True)]
    bottom, top = axes.get_ylim()
    least = float("-inf")
    for value, name in sorted(marks):
        least = max(value * factor, least + _APART * (top - bottom))
        if least <= top:
            axes.annotate(name, (float(limits["n_eff"].max()), least), (3, 0), textcoords="offset points",
                          fontsize=7.5 if name == "all" else 7, color=style.INK if name == "all" else style.GREY,
                          va="bottom")  # fmt: skip


def _dots(axes: Axes, known: pd.DataFrame, metric: Metric, factor: float) -> None:
    """Draw the partners, and name those outside, the surest first."""
    inside = known[known["verdict"] != "moved"]
    axes.plot(inside["n_eff"], inside["estimate"] * factor, "o", color=style.GREY, markersize=4, alpha=0.6,
              markeredgewidth=0)  # fmt: skip
    outside = known[known["verdict"] == "moved"].sort_values(["p_value", "level"])
    centre = float((known["n"] * known["estimate"]).sum() / known["n"].sum())
    middle = math.sqrt(known["n_eff"].min() * known["n_eff"].max())
    for place, row in enumerate(outside.to_dict("records")):
        tone = rows.better(metric, row["estimate"] - centre)
        x, y = row["n_eff"], row["estimate"] * factor
        axes.plot(x, y, _MARKS[tone], color=style.TONES[tone] if tone != rows.FLAT else style.INK, markersize=7)
        if place < _NAMED:
            left = x > middle
            how: dict[str, Any] = {"ha": "right" if left else "left", "va": "center", "fontsize": 7.5, "bbox": _PAPER}
            axes.annotate(
                shortened(row["level"], 24), (x, y), (-7 if left else 7, 0), textcoords="offset points", **how
            )


def _frame(axes: Axes, known: pd.DataFrame, limits: pd.DataFrame, factor: float, form: Format) -> None:
    """Set the axes: volume, logarithmic where it spans much; as high as the partners lie, wherever the limits are."""
    centre = float(limits["estimate"].iloc[0])
    last = limits[limits["n_eff"] == limits["n_eff"].max()]
    reach = 1.12 * max((known["estimate"] - centre).abs().max(), 1.3 * (last["conf_high"] - centre).max())
    lowest = -0.03 * (centre + reach) if centre >= 0 and known["conf_low"].min() >= 0 else centre - reach
    axes.set_ylim(max(lowest, centre - reach) * factor, (centre + reach) * factor)
    low, high = float(limits["n_eff"].min()), float(limits["n_eff"].max())
    if high / low > _WIDE:
        axes.set_xscale("log")
        ticks = [size * step for size in (1, 10, 100, 1_000, 10_000, 100_000) for step in (1, 2, 5)]
        axes.set_xticks([tick for tick in ticks if low <= tick <= high * 1.05])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.set_xlabel("Answers that the partner's are worth (customers who answer again count less)", fontsize=8)
    axes.margins(x=0.03)


def _why(found: pd.DataFrame) -> str:
    """Return why there is nothing to draw."""
    if len(found) and (found["status"] == results.SUPPRESSED).all():
        return "every partner has fewer customers than may be shown"
    return rows.why_not(found, str(found["note"].iloc[0]) if len(found) else "the frame holds no partners with limits")


def _alt(finding: str, known: pd.DataFrame, limits: pd.DataFrame, metric: Metric, form: Format) -> str:
    """Return the chart in words."""
    told = [f"Centre {form.value(float(limits['estimate'].iloc[0]), metric.unit)}"]
    for name in dict.fromkeys(limits["level"]):
        last = limits[limits["level"] == name].sort_values("n_eff").iloc[[0, -1]].to_dict("records")
        ends = [
            f"{form.interval(r['conf_low'], r['conf_high'], metric.unit)} at {form.count(r['n_eff'])}" for r in last
        ]
        told.append(f"{name}: {rows.listed(ends)} answers")
    for row in known[known["verdict"] == "moved"].sort_values(["p_value", "level"]).to_dict("records"):
        told.append(f"outside: {row['level']}, {form.value(row['estimate'], metric.unit)} (n {form.count(row['n'])})")
    return f"{finding}. Funnel plot, figure against number of answers. {'. '.join(told)}."
