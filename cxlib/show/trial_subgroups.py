"""For whom did it work? The effect by level of each registered segment, and whether levels differ by more than luck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.params.models import Experiment, Metric, Segment
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.differences import largest_of, span, unit_of
from cxlib.show.drivers import capital
from cxlib.show.formats import Format, brief, formatting, metric_of, missing_words
from cxlib.show.trial_effects import arm_name


class Block(NamedTuple):
    """One segment: its title, each level's own effect, those drawn together, and the test of whether levels differ."""

    title: str
    own: list[rows.Row]
    calm: dict[str, rows.Row]
    test: rows.Row | None


_PLOT_AT, _VALUE_AT, _END, _ROW, _HEAD, _AXIS = 2.3, 6.6, 9.64, 0.36, 0.34, 0.3
_READ = (
    "Hollow: the group's own figure with its interval, as in words; filled: drawn towards the mean of all groups as "
    "far as luck explains the spread."
)


@themed
def subgroups_chart(
    subgroups: pd.DataFrame,
    metrics: Mapping[str, Metric],
    plan: Experiment,
    segments: Mapping[str, Segment] | None = None,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One block a registered segment: each level's effect, plain and with luck taken out; the test in words.

    Parameters
    ----------
    subgroups
        Result frame of `Run.subgroups`.
    metrics
        Metric id -> definition.
    plan
        The registered plan; its first treatment is shown.
    segments
        Segment id -> definition, for titles.
    finding, currency, locale
        As in `small_multiples`.
    """
    metric, arm = metric_of(metrics, plan.primary_metric), plan.arms[1]
    mine = subgroups[subgroups["at"] == arm]
    names = [name for name in dict.fromkeys(mine["segment"]) if name != "all"]
    blocks = [_block(mine, metric, plan, name, segments or {}) for name in names]
    blocks = [block for block in blocks if block.own]
    if not blocks:
        return nothing(rows.why_not(subgroups, "no segments are registered"), finding)
    form, which = formatting(currency, locale), f" Shown: {arm_name(arm)}." if len(plan.arms) > 2 else ""
    heights = [_HEAD + len(block.own) * _ROW + _AXIS for block in blocks]
    sheet = Sheet(finding or _title(blocks), _READ + which, sum(heights) + 0.2)
    top, told, shown = 0.0, [], [row for block in blocks for row in (*block.own, *block.calm.values())]
    for place, (block, height) in enumerate(zip(blocks, heights, strict=True)):
        head = wrap(f"{block.title}{_test_words(block.test)}", 9.4, 9, bold=True, lines=1)
        sheet.text(0, top + 0.03, head, size=9, weight="bold")
        axes, factor = _axes(sheet, top + _HEAD, len(block.own), metric, form, shown)
        axes.set_xlabel(unit_of(metric, form, _largest(shown))[0] if place == len(blocks) - 1 else "", fontsize=8)
        _levels(sheet, axes, (top + _HEAD, factor), block, metric, form)
        told.append(_told(block, metric, form))
        top += height
    return sheet.done(f"{sheet.figure.finding}.{which} {' '.join(told)}")


def _block(mine: pd.DataFrame, metric: Metric, plan: Experiment, name: str, segments: Mapping[str, Segment]) -> Block:
    own = rows.records(mine[(mine["segment"] == name) & (mine["comparison"] == "difference")])
    plain = [row for row in own if row["metric"] == metric.id and row["against"] == plan.arms[0]]
    calm = {row["level"]: row for row in own if row["metric"] == f"{metric.id}_shrunk" and not missing_words(row)}
    tests = rows.records(mine[(mine["segment"] == name) & (mine["metric"] == "interaction")])
    title = segments[name].title if name in segments else name.replace("_", " ")
    return Block(capital(title), sorted(plain, key=lambda row: row["level"]), calm, tests[0] if tests else None)


def _known(shown: Sequence[rows.Row]) -> list[float]:
    """Return all that has to be on the scale."""
    ends = [row[end] for row in shown if not missing_words(row) for end in ("estimate", "conf_low", "conf_high")]
    return [value for value in ends if math.isfinite(value)] + [0.0]


def _largest(shown: Sequence[rows.Row]) -> float:
    return largest_of(_known(shown))


def _axes(
    sheet: Sheet, top: float, count: int, metric: Metric, form: Format, shown: Sequence[rows.Row]
) -> tuple[Axes, float]:  # fmt: skip
    """Return axes of one segment, all with one scale, and the factor that brings effects to it."""
    axes = sheet.axes(_PLOT_AT, top, _VALUE_AT - 0.3 - _PLOT_AT, count * _ROW, label="levels")
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color=style.INK, linewidth=1)
    known, factor = _known(shown), unit_of(metric, form, _largest(shown))[1]
    pad = 0.05 * ((max(known) - min(known)) or 1.0)
    axes.set_xlim((min(known) - pad) * factor, (max(known) + pad) * factor)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    return axes, factor


def _levels(
    sheet: Sheet, axes: Axes, place: tuple[float, float], block: Block, metric: Metric, form: Format
) -> None:  # fmt: skip
    """Draw the levels of one segment."""
    top, factor = place
    for number, row in enumerate(block.own):
        middle = top + (number + 0.5) * _ROW
        sheet.text(0, middle - SMALL * LINE / 2, wrap(row["level"], _PLOT_AT - 0.2, SMALL, lines=1))
        words = wrap(_words(row, metric, form), _END - _VALUE_AT, SMALL, lines=2)
        sheet.text(_VALUE_AT, middle - len(words) * SMALL * LINE / 2, words)
        if missing_words(row):
            continue
        _line(axes, number, row, factor, colour=style.GREY, linewidth=1.4)
        calm = block.calm.get(row["level"])
        if calm is not None:
            _line(axes, number, calm, factor, colour=style.BLUE, linewidth=3.0)
            axes.plot(calm["estimate"] * factor, number, "o", markersize=6, color=style.BLUE)
        axes.plot(
            row["estimate"] * factor, number, "o", markersize=7, markerfacecolor="none" if calm else style.PAPER,
            markeredgecolor=style.INK if calm else style.GREY,
        )  # fmt: skip


def _line(axes: Axes, number: int, row: rows.Row, factor: float, *, colour: str, linewidth: float) -> None:
    if not (math.isnan(row["conf_low"]) or math.isnan(row["conf_high"])):
        ends = span(axes, (row["conf_low"] * factor, row["conf_high"] * factor))
        axes.hlines(number, *ends, color=colour, linewidth=linewidth)


def _words(row: rows.Row, metric: Metric, form: Format) -> str:
    if missing_words(row):
        return missing_words(row)
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
    return f"{brief(form.change(row['estimate'], metric.unit))} ({brief(limits)})"


def _told(block: Block, metric: Metric, form: Format) -> str:
    """Return one segment in words: each level's own effect, and what is left of it with luck taken out."""
    each = []
    for row in block.own:
        calm = block.calm.get(row["level"])
        drawn = f", drawn together {brief(form.change(calm['estimate'], metric.unit))}" if calm else ""
        each.append(f"{row['level']} {_words(row, metric, form)}{drawn}")
    return f"{block.title}{_test_words(block.test)}. {'; '.join(each)}."


def _test_words(test: rows.Row | None) -> str:
    if test is None:
        return ""
    if missing_words(test):
        return ": whether effects differ cannot be told"
    p_value = _p(test)
    told = f"p < {formatting().number(0.01, 2)}" if p_value < 0.01 else f"p = {formatting().number(p_value, 2)}"
    return f": effects differ ({told})" if p_value < _SURE else f": no more apart than luck makes ({told})"


def _p(test: rows.Row) -> float:
    """Return the p-value of a test, with those beside it allowed for where they are."""
    adjusted = float(test["p_adjusted"])
    return float(test["p_value"]) if math.isnan(adjusted) else adjusted


_SURE = 0.05


def _title(blocks: Sequence[Block]) -> str:
    """Say where effects differ, if anywhere."""
    known = [(block.title, _p(block.test)) for block in blocks if block.test and not missing_words(block.test)]
    differ = [_within(title) for title, p_value in known if p_value < _SURE]
    if not known:
        return "Whether the effect differs between groups cannot be told"
    if differ:
        return f"The effect differs by {rows.listed(differ)}"
    *first, last = [_within(title) for title, _ in known]
    return f"No evidence that the effect differs by {' or '.join([*([', '.join(first)] if first else []), last])}"


def _within(title: str) -> str:
    """Return a title within a sentence: without its capital, but for NPS and the like."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]
