"""How far do customers come, and how fast? A funnel with intervals, and the same as a table."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from cxlib.analysis.journeys.funnel import CONVERSION, CUSTOMERS, OPEN, REACHED
from cxlib.analysis.journeys.funnel_times import ARRIVED, TIME
from cxlib.show import markup, rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, missing_words, shortened
from cxlib.show.markup import Cell, Html

_LEFT, _BARS, _TOP, _LINE = 1.75, 3.0, 0.4, 0.5  # inches: names, bars, heads, a stage
_NUMBER, _STEP, _TIME = 4.9, 5.8, 7.35  # where the columns beside begin
_READ = (
    "Bar: share of those who entered that came so far, line: interval. Not counted: those whose time is not over yet."
)
_MEDIAN = "median"


class Stage(NamedTuple):
    """One stage: how many came, which share of all and of the stage before, and how long it took them."""

    name: str
    customers: rows.Row
    reached: rows.Row | None
    step: rows.Row | None
    waited: rows.Row | None
    arrived: rows.Row | None


@themed
def funnel_chart(
    frame: pd.DataFrame, *, finding: str | None = None, currency: str | None = None, locale: str | None = None
) -> Chart:
    """One row a stage: bar and interval of the share that came so far, customers, share of the stage before, time.

    Parameters
    ----------
    frame
        Result frame of `Run.funnel` or `journeys.funnel`.
    finding, currency, locale
        As in `small_multiples`.
    """
    stages, form = _stages(frame), formatting(currency, locale)
    if not any(not missing_words(stage.reached) for stage in stages[1:]):
        return nothing(rows.why_not(frame, "the frame holds no stages that may be shown"), finding)
    height = len(stages) * _LINE
    sheet = Sheet(finding or _widest(stages, form), f"{_READ} {_still(frame, form)}".strip(), _TOP + height + 0.4)
    axes = sheet.axes(_LEFT, _TOP, _BARS, height, label="funnel")
    _bars(axes, stages)
    for x, words in ((_NUMBER, "Customers"), (_STEP, "Of the stage before"), (_TIME, "Time it took, median")):
        sheet.text(x, 0.05, words, color=style.GREY, weight="bold")
    for place, stage in enumerate(stages):
        middle = _TOP + (place + 0.5) * _LINE
        lines = wrap(stage.name, _LEFT - 0.15, SMALL, lines=2)
        sheet.text(_LEFT - 0.1, middle - len(lines) * SMALL * LINE / 2, lines, ha="right")
        for x, told in _beside(stage, form):
            sheet.text(x, middle - len(told) * SMALL * LINE / 2, told)
    return sheet.done(_alt(sheet.figure.finding, stages, frame, form))


def funnel_table(
    frame: pd.DataFrame, *, title: str | None = None, currency: str | None = None, locale: str | None = None
) -> Html:
    """One row a stage: customers, share of all and of the stage before with intervals, how long it took.

    Parameters
    ----------
    frame, currency, locale
        As in `funnel_chart`.
    title
        Heading; default the finding.
    """
    stages, form = _stages(frame), formatting(currency, locale)
    if not any(not missing_words(stage.reached) for stage in stages[1:]):
        return markup.nothing(title or "From stage to stage", rows.why_not(frame, "the frame holds no stages"))
    blank = Cell("")
    columns = {
        "Customers": [_count(stage.customers, form) for stage in stages],
        "Of all who entered": [blank, *(markup.estimate_cell(one.reached, "percent", form) for one in stages[1:])],
        "Of the stage before": [blank, *(markup.estimate_cell(one.step, "percent", form) for one in stages[1:])],
        "Half had gone on after": [blank, *(_time(one.waited, form) for one in stages[1:])],
        "Median of those who did": [blank, *(_time(one.arrived, form) for one in stages[1:])],
    }
    body = markup.table(columns, ["Stage"], [(stage.name,) for stage in stages])
    methods = sorted(set(frame.loc[frame["status"] == "ok", "method"]) - {""})
    return markup.figure(title or _widest(stages, form), body, [escape(one) for one in methods], _still(frame, form))


def _stages(frame: pd.DataFrame) -> list[Stage]:
    """Return the stages in their order."""
    found = rows.records(frame[frame["segment"] == "stage"])
    book = {(row["metric"], row["level"], row["at"]): row for row in found}
    names = [row["level"] for row in found if row["metric"] == CUSTOMERS]
    return [
        Stage(
            name, book[CUSTOMERS, name, ""], book.get((REACHED, name, "")), book.get((CONVERSION, name, "")),
            book.get((TIME, name, _MEDIAN)), book.get((ARRIVED, name, _MEDIAN)),
        )
        for name in names
    ]  # fmt: skip


def _bars(axes: Axes, stages: list[Stage]) -> None:
    """Draw the bars with their intervals."""
    axes.set(xlim=(0, 1.02), ylim=(len(stages) - 0.5, -0.5), yticks=[])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_xlabel("percent of those who entered", fontsize=8)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for place, stage in enumerate(stages):
        words = missing_words(stage.customers) or (place and missing_words(stage.reached))
        if words:
            axes.text(0.01, place, words, va="center", fontsize=SMALL, style="italic", color=style.GREY)
            continue
        share = stage.reached["estimate"] if place and stage.reached else 1.0
        axes.barh(place, share, height=0.62, color=style.SKY, edgecolor=style.BLUE, linewidth=0.8)
        if place and stage.reached:
            axes.hlines(place, stage.reached["conf_low"], stage.reached["conf_high"], color=style.INK, linewidth=2.2)


def _beside(stage: Stage, form: Format) -> list[tuple[float, list[str]]]:
    """Return what stands beside a bar: customers, the share of the stage before, the median time."""
    count = "hidden" if missing_words(stage.customers) else form.count(stage.customers["estimate"])
    told = [(_NUMBER, [count])]
    if stage.step is not None:
        told.append((_STEP, _two(stage.step, "percent", form)))
    if stage.arrived is not None and not missing_words(stage.arrived):
        told.append((_TIME, _two(stage.arrived, "seconds", form)))
    return told


def _two(row: rows.Row, unit: str, form: Format) -> list[str]:
    """Return an estimate and its interval, a line each."""
    if missing_words(row):
        return [missing_words(row)]
    return [form.value(row["estimate"], unit), form.interval(row["conf_low"], row["conf_high"], unit)]


def _count(row: rows.Row, form: Format) -> Cell:
    """Return how many customers came."""
    return markup.missing_cell(row) if missing_words(row) else Cell(form.count(row["estimate"]), row=row)


def _time(row: rows.Row | None, form: Format) -> Cell:
    """Return a time with its interval; where half never went on, how many did."""
    return markup.estimate_cell(row, "seconds", form)


def _widest(stages: list[Stage], form: Format) -> str:
    """Say how many come to the end, and at which step most are lost."""
    steps = [stage for stage in stages[1:] if not missing_words(stage.step)]
    last = next((stage for stage in reversed(stages) if not missing_words(stage.reached)), None)
    if last is None or last.reached is None:
        return "From stage to stage"
    of = form.value(last.reached["estimate"], "percent")
    limits = form.interval(last.reached["conf_low"], last.reached["conf_high"], "percent")
    head = f"{of} ({limits}) of those at {shortened(stages[0].name)} come to {shortened(last.name)}"
    lost = [stage for stage in steps if stage.step is not None and stage.step["estimate"] < 1]
    if not lost:
        return head
    worst = max(lost, key=lambda stage: (1 - (stage.step or {})["estimate"]) * (stage.step or {})["n"])
    row = worst.step or {}
    part = form.value(1 - row["estimate"], "percent")
    way = f"{shortened(str(row['against']))} to {shortened(worst.name)}"
    return f"{head}; most are lost on the way from {way} ({part} of those who had come so far)"


def _still(frame: pd.DataFrame, form: Format) -> str:
    """Say how many are still under way."""
    own = rows.records(frame[frame["metric"] == OPEN])
    if not own or missing_words(own[0]) or not own[0]["estimate"]:
        return ""
    return f"Still under way: {form.count(own[0]['estimate'])} customers."


def _alt(finding: str, stages: list[Stage], frame: pd.DataFrame, form: Format) -> str:
    """Return the funnel in words."""
    told = []
    for stage in stages:
        count = missing_words(stage.customers) or f"{form.count(stage.customers['estimate'])} customers"
        part = f", {' ('.join(_two(stage.step, 'percent', form))}) of the stage before" if stage.step else ""
        time = stage.arrived
        took = f", median time {form.value(time['estimate'], 'seconds')}" if time and not missing_words(time) else ""
        told.append(f"{stage.name}: {count}{part}{took}")
    return f"{finding}. Funnel with intervals. {'; '.join(told)}. {_still(frame, form)}".strip()
