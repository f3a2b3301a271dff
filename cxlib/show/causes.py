"""Why did it change? The change of an outcome as a tree: leaves, their drivers, and what is left unexplained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.params.models import Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import Names, capital, named, narrowed, titled, why
from cxlib.show.finding import when
from cxlib.show.formats import Format, formatting, metric_of
from cxlib.show.markup import Cell, Html
from cxlib.show.rows import Row

_LEAF, _DRIVER, _HALF = 0.36, 0.4, 0.17  # inches: heights of lines, and half of a bar
_LEFT, _RIGHT, _TOP = 3.4, 7.0, 0.12
_UNEXPLAINED = "unexplained"


class _Tree(NamedTuple):
    """The rows of a change: whole, leaves, each leaf's drivers, values before and after; what has no number, by why."""

    whole: Row
    leaves: dict[str, Row]
    drivers: dict[str, list[Row]]
    ends: list[Row]
    silent: dict[str, list[str]]


class _Unit(NamedTuple):
    """What the outcome is called, its unit, and whether more of it is better."""

    title: str
    unit: str
    higher: bool | None


@themed
def cause_tree(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric] | None = None,
    *,
    names: Names = None,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One line a leaf and under it one a driver: bars of what each adds to the change, with intervals.

    Parameters
    ----------
    frame
        Rows of `drivers.root_causes`.
    metrics
        The outcome's metric, or all by id, for its title, unit and direction; without one a score that should rise.
    names, finding
        As in `drivers.driver_importance`.
    currency, locale
        As in `small_multiples`.
    """
    tree = _tree(frame)
    if tree is None:
        return nothing(why(frame, "the frame holds no change that was split by causes"), finding)
    form, about = formatting(currency, locale), _unit(tree, metrics, names)
    title = finding or _sentence(tree, about, names, form)
    sheet, axes, heights = _sheet(tree, title)
    _draw(sheet, axes, tree, heights, about, names, form)
    return sheet.done(_alt(title, tree, about, names, form))


def cause_table(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric] | None = None,
    *,
    names: Names = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a driver in the group of its leaf, with the leaf's sum: part of the change, and how the driver moved.

    Parameters
    ----------
    frame, metrics, names, currency, locale
        As in `cause_tree`.
    title
        Heading; default the finding.
    """
    tree = _tree(frame)
    if tree is None:
        return markup.nothing(title or "Causes", why(frame, "the frame holds no change that was split by causes"))
    form, about = formatting(currency, locale), _unit(tree, metrics, names)
    keys, columns = [], {"Part of the change": [], "Adjusted p": [], "How the driver moved": []}  # type: ignore[var-annotated]
    for leaf, row in [*tree.leaves.items(), ("whole", tree.whole)]:
        head = {"whole": "Change", _UNEXPLAINED: "Unexplained"}.get(leaf, capital(leaf))
        lines = [("all of it", row), *((named(_of(one), names), one) for one in tree.drivers.get(leaf, []))]
        for name, one in lines:
            keys.append((head, name))
            columns["Part of the change"].append(_cell(one, about, form))
            columns["Adjusted p"].append(markup.p_cell(one))
            columns["How the driver moved"].append(markup.text_cell("" if one is row else one["note"]))
    heading = title or _sentence(tree, about, names, form)
    body = markup.table(columns, ["Leaf", "Driver"], keys)
    return markup.figure(heading, body, [escape(tree.whole["method"])], _silent(tree))


def _tree(frame: pd.DataFrame) -> _Tree | None:
    """Pick the rows of one change; None where there is none with a number."""
    records: list[Row] = rows.records(frame)
    known = [row for row in records if row["status"] == results.OK]
    leaves = {row["level"]: row for row in known if row["segment"] == "leaf"}
    whole = next((row for row in known if row["segment"] == "all" and row["comparison"] == "difference"), None)
    if whole is None or not leaves:
        return None
    drivers: dict[str, list[Row]] = {}
    for row in known:
        if row["segment"] == "leaf x driver":
            drivers.setdefault(row["level"].split(" x ", 1)[0], []).append(row)
    for mine in drivers.values():
        mine.sort(key=lambda row: (-abs(row["estimate"]), row["level"]))
    order = sorted(leaves, key=lambda leaf: (leaf == _UNEXPLAINED, -abs(leaves[leaf]["estimate"]), leaf))
    values = [row for row in known if row["comparison"] == "level" and row["segment"] == "all"]
    values.sort(key=lambda row: row["period"] != whole["against"])
    silent: dict[str, list[str]] = {}
    for row in sorted(records, key=lambda row: row["level"]):
        if row["status"] != results.OK and row["segment"].startswith("leaf"):
            silent.setdefault(row["note"], []).append(row["level"].split(" x ", 1)[-1])
    return _Tree(whole, {leaf: leaves[leaf] for leaf in order}, drivers, values, silent)


def _unit(tree: _Tree, metrics: Metric | Mapping[str, Metric] | None, names: Names) -> _Unit:
    """Return the outcome's title, unit and direction."""
    name = tree.whole["metric"]
    if metrics is None or (isinstance(metrics, Mapping) and name not in metrics):
        return _Unit(capital(named(name, names)), "score", True)
    metric = metrics if isinstance(metrics, Metric) else metric_of(metrics, name)
    return _Unit(metric.title, metric.unit, metric.higher_is_better)


def _of(row: Row) -> str:
    """Return the driver of a row of `leaf x driver`."""
    return str(row["level"]).split(" x ", 1)[1]


def _shown(row: Row) -> bool:
    """Tell whether a part is shown to differ from none, allowing for all parts beside it."""
    return bool(row["p_adjusted"] < 0.05 and (row["conf_low"] > 0 or row["conf_high"] < 0))


def _sentence(tree: _Tree, about: _Unit, names: Names, form: Format) -> str:
    """Say what changed, and which leaves and drivers it went with."""
    whole, against = tree.whole, when(tree.whole["against"])
    size = form.change(whole["estimate"], about.unit)
    head = (
        f"{about.title}: {size} against {against}"
        if _moved(whole)
        else f"{about.title}: no change shown against {against}"
    )
    told = []
    for leaf, row in tree.leaves.items():
        if leaf == _UNEXPLAINED or not _shown(row):
            continue
        up = row["estimate"] > 0
        main = [one for one in tree.drivers.get(leaf, []) if _shown(one) and (one["estimate"] > 0) == up]
        by = f" ({rows.listed([titled(_of(one), names) for one in main[:2]])})" if main else ""
        told.append(f"{leaf} {form.change(row['estimate'], about.unit)}{by}")
    rest, left = tree.leaves.get(_UNEXPLAINED), ""
    if rest is not None and _shown(rest):
        left = f"; {form.change(rest['estimate'], about.unit)} stays unexplained"
    if not told:
        return f"{head}; no leaf is shown to go with it{left}" if _moved(whole) else f"{head}, nor for any leaf{left}"
    return f"{head}{'; it went with' if _moved(whole) else ', but for its parts:'} {rows.listed(told)}{left}"


def _moved(row: Row) -> bool:
    return bool(row["conf_low"] > 0 or row["conf_high"] < 0)


def _silent(tree: _Tree) -> str:
    """Name the leaves and drivers without a number, by the reason why."""
    told = [f"{rows.listed(who)} ({why_})" for why_, who in tree.silent.items()]
    return f"Not looked at or not known: {'; '.join(told)}." if told else ""


def _sheet(tree: _Tree, title: str) -> tuple[Sheet, Axes, list[float]]:
    """Return the sheet, the axes of the bars, and the middle of each line in inches from the top."""
    middles, at = [], _TOP
    for leaf in tree.leaves:
        for height in [_LEAF, *[_DRIVER] * len(tree.drivers.get(leaf, []))]:
            middles.append(at + height / 2)
            at += height
        at += 0.06
    middles.append(at + _LEAF / 2)
    how = (
        "Bars: part of the change that goes with each leaf and, below it, each driver; line: interval; hollow: not "
        f"shown. Drivers add up to their leaf, leaves to the change. {_silent(tree)}"
    )
    sheet = Sheet(title, how.strip(), at + _LEAF + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, at + _LEAF - _TOP, label="causes")
    axes.set(ylim=(at + _LEAF, _TOP), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x")
    axes.axvline(0, color=style.INK, linewidth=1)
    return sheet, axes, middles


def _draw(
    sheet: Sheet, axes: Axes, tree: _Tree, middles: Sequence[float], about: _Unit, names: Names, form: Format
) -> None:
    """Draw all lines: leaves with their drivers, the unexplained, the whole."""
    ends = [row[end] for row in [*tree.leaves.values(), tree.whole] for end in ("conf_low", "conf_high", "estimate")]
    label, factor = form.axis(about.unit, max(abs(end) for end in ends if not math.isnan(end)))
    lines: list[tuple[str, str, Row, bool]] = []
    for leaf, row in tree.leaves.items():
        lines.append((capital(leaf), "", row, True))
        lines += [(named(_of(one), names), one["note"], one, False) for one in tree.drivers.get(leaf, [])]
    lines.append(
        ("Change", " to ".join(form.short(one["estimate"], about.unit) for one in tree.ends), tree.whole, True)
    )
    for middle, (name, under, row, strong) in zip(middles, lines, strict=True):
        _bar(axes, middle, row, factor, about, strong)
        _text(sheet, middle, name, under, strong)
        limits = form.interval(row["conf_low"], row["conf_high"], about.unit, change=True)
        weight = "bold" if strong else "normal"
        sheet.text(_RIGHT + 0.1, middle - 0.08, form.change(row["estimate"], about.unit), weight=weight)
        sheet.text(_RIGHT + 1.25, middle - 0.08, limits, color=style.GREY, size=8)
    sheet.rule(middles[-1] - _LEAF / 2)
    axes.set_xlabel(label.replace("percent", "percentage points", 1), fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _bar(axes: Axes, middle: float, row: Row, factor: float, about: _Unit, strong: bool) -> None:
    """Draw a bar from 0, hollow where it is not shown, with its interval."""
    shown, up = (_moved(row) if row["segment"] == "all" else _shown(row)), row["estimate"] > 0
    tone = style.GREY if about.higher is None else style.BLUE if up == about.higher else style.ORANGE
    high = 2 * _HALF * (1.0 if strong else 0.62)
    face, edge = (tone, tone) if shown else (style.PAPER, style.GREY)
    axes.barh(middle, row["estimate"] * factor, high, color=face, edgecolor=edge, linewidth=1, zorder=2)
    for colour, width in (*[(style.PAPER, 3.2)] * shown, (style.INK, 1.2)):
        axes.hlines(
            middle, row["conf_low"] * factor, row["conf_high"] * factor, color=colour, linewidth=width, zorder=3
        )


def _text(sheet: Sheet, middle: float, name: str, under: str, strong: bool) -> None:
    """Write the name of a line, a driver's set in, with how it moved beneath."""
    indent = 0.0 if strong else 0.3
    lines = narrowed(name, _LEFT - indent - 0.15, SMALL, 1)
    sheet.text(indent, middle - (0.16 if under else 0.08), lines, weight="bold" if strong else "normal")
    if under:
        sheet.text(indent, middle, wrap(under, _LEFT - indent - 0.15, 7, lines=1), size=7, color=style.GREY)


def _cell(row: Row, about: _Unit, form: Format) -> Cell:
    limits = form.interval(row["conf_low"], row["conf_high"], about.unit, change=True)
    shown = "" if (_moved(row) if row["segment"] == "all" else _shown(row)) else "not shown"
    return Cell(
        escape(form.change(row["estimate"], about.unit)) + markup.small(limits, shown), row=row, unit=about.unit
    )


def _alt(title: str, tree: _Tree, about: _Unit, names: Names, form: Format) -> str:
    """Return the chart in words."""
    told = []
    for leaf, row in [*tree.leaves.items(), ("change", tree.whole)]:
        for name, one in [(leaf, row), *((named(_of(one), names), one) for one in tree.drivers.get(leaf, []))]:
            limits = form.interval(one["conf_low"], one["conf_high"], about.unit, change=True)
            moved = f"; {one['note']}" if one is not row and one["note"] else ""
            told.append(f"{capital(name)}: {form.change(one['estimate'], about.unit)} (interval {limits}{moved}).")
    return " ".join([f"{title}. The change of {about.title} by cause.", *told, _silent(tree)]).strip()
