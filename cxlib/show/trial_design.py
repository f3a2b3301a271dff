"""An experiment before it starts: the plan on one page, what each length could see, how likely each effect is found."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.params.models import Experiment, Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import Chart, Sheet, Ticks, nothing, themed
from cxlib.show.differences import plain, unit_of
from cxlib.show.formats import Format, decimals, formatting, metric_of, missing_words
from cxlib.show.markup import Cell, Html

_NAMED = {
    "sample_size": "Customers with an outcome", "exposed": "Customers who take part", "duration": "Weeks",
    "units": "Customers who come", "smallest_effect": "Smallest effect", "cuped_saving": "Saved", "power": "Chances",
}  # fmt: skip


def _pick(design: pd.DataFrame, metric: str, segment: str, level: str = "") -> rows.Row | None:
    """Return one row of a plan."""
    mine = design[(design["metric"] == metric) & (design["segment"] == segment)]
    mine = mine[mine["level"] == level] if level else mine
    return rows.records(mine.head(1))[0] if len(mine) else None


def plan_table(
    design: pd.DataFrame,
    plan: Experiment,
    metrics: Mapping[str, Metric],
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """The plan in numbers: customers, weeks, the smallest effect that would be seen, what past values save, guardrails.

    Parameters
    ----------
    design
        Result frame of `Run.design`.
    plan
        The registered plan.
    metrics
        Metric id -> definition.
    title
        Heading; default what it comes to.
    currency, locale
        As in `charts.small_multiples`.
    """
    told = design.loc[design["metric"] == "plan", "note"].tolist()
    if not told:
        return markup.nothing(title or plan.title, rows.why_not(design, "nothing can be planned"))
    form, primary = formatting(currency, locale), metric_of(metrics, plan.primary_metric)
    facts = _facts(design, plan, primary, form)
    facts += [_guard(design, plan, metric_of(metrics, name), form) for name in plan.guardrails]
    keys = [(name,) for name, _, _ in facts]
    columns = {
        "Figure": [Cell(escape(value) + markup.small(limits)) for _, (value, limits), _ in facts],
        "How to read it": [markup.text_cell(words) for _, _, words in facts],
    }
    notes = [
        escape(f"{_NAMED[name]}: {plain(method)}")
        for name, method in zip(design["metric"], design["method"], strict=True)
        if method and name in _NAMED
    ]
    lead, body = f'<p class="lead">{escape(plan.hypothesis)}</p>', markup.table(columns, ["What"], keys)
    return markup.figure(title or plain(told[0].rstrip(".")), body, list(dict.fromkeys(notes)), before=lead)


Fact = tuple[str, tuple[str, str], str]  # what, (figure, limits), words


def _facts(design: pd.DataFrame, plan: Experiment, primary: Metric, form: Format) -> list[Fact]:
    """Return what is planned of the outcome that decides."""
    own, often = plan.primary_metric, f"{100 * plan.power:.0f} of 100 experiments"
    matters, weeks = _size(plan.smallest_effect_that_matters, primary, form), _week(design)
    chance = _pick(design, "power", own)
    length = f"{weeks['level']} weeks" if weeks else "the weeks"
    found: list[tuple[str, rows.Row | None, str, str]] = [
        ("Customers with an outcome, each group", _pick(design, "sample_size", own, "control"), "count",
         f"to see {matters} of {primary.title} in {often}"),
        ("Customers who take part, each group", _pick(design, "exposed", own, "control"), "count",
         "more, because not everyone answers or does what is measured"),
        ("Weeks until that is known", _pick(design, "duration", "all"), "count",
         "at the traffic of the time before the start, in whole weeks"),
        (f"Customers who come in {length}, as planned", weeks, "count", "all groups together, as traffic varies"),
        ("Smallest effect seen by then", _pick(design, "smallest_effect", own), primary.unit, f"found in {often}"),
        ("Saved by what is known from before", _pick(design, "cuped_saving", own), "percent",
         "of the customers; not counted in the figures above"),
        ("Chance to find the effect that matters", chance, "percent", f"{matters}, within {length}"),
    ]  # fmt: skip
    facts = [(name, _figure(row, unit, form), _why(row, words)) for name, row, unit, words in found if row is not None]
    return _by_arm(design, own, facts, form)


def _by_arm(design: pd.DataFrame, own: str, facts: list[Fact], form: Format) -> list[Fact]:
    """Return facts with the sizes of both groups where they are not planned alike."""
    told = []
    for (name, figure, words), metric in zip(facts, ("sample_size", "exposed", *[""] * len(facts)), strict=False):
        row = _pick(design, metric, own, "treatment") if name.endswith(", each group") else None
        other = _figure(row, "count", form)[0] if row is not None else figure[0]
        if row is None or other == figure[0]:
            told.append((name, figure, words))
        else:
            control = (f"{figure[0]} and {other}", figure[1])
            told.append((name.replace("each group", "without and with the change"), control, words))
    return told


def _week(design: pd.DataFrame) -> rows.Row | None:
    mine = rows.records(design[design["metric"] == "units"])
    return mine[0] if mine else None


def _size(value: float, metric: Metric, form: Format) -> str:
    """Return an effect without its sign."""
    return form.change(value, metric.unit).lstrip("+")


def _figure(row: rows.Row, unit: str, form: Format) -> tuple[str, str]:
    """Return a figure and its limits; of counts whole numbers, of an end that is not known only the other."""
    if missing_words(row):
        return _never(row), ""
    low, high = row["conf_low"], row["conf_high"]
    if unit == "count":
        value, ends = form.count(math.ceil(row["estimate"] - 1e-9)), (_whole(low, form), _whole(high, form))
        limits = f"{ends[0]} to {ends[1]}" if all(ends) else f"{ends[0]} or more" if ends[0] else ""
        return value, limits
    known = math.isfinite(low) and math.isfinite(high)
    if unit == "percent" and row["comparison"] != "difference":
        return form.value(row["estimate"], unit), form.interval(low, high, unit) if known else ""
    value = form.change(row["estimate"], unit).lstrip("+")
    return value, form.interval(low, high, unit, change=True).replace("+", "") if known else ""


def _whole(value: float, form: Format) -> str:
    return form.count(math.ceil(value - 1e-9)) if math.isfinite(value) else ""


_OUT_OF_REACH = re.compile(r"within (\d+) weeks: ([\d,]+) of ([\d,]+) units")


def _never(row: rows.Row) -> str:
    """Return what stands in place of a figure: of a length that is out of reach, what it is not."""
    found = _OUT_OF_REACH.search(str(row["note"]))
    return f"more than {found[1]}" if found else "–"


def _why(row: rows.Row, words: str) -> str:
    """Return how to read a figure; where there is none, why."""
    found, note = _OUT_OF_REACH.search(str(row["note"])), plain(str(row["note"]))
    if missing_words(row):
        if found:
            return f"out of reach: in {found[1]} weeks {found[2]} customers come, and {found[3]} are needed"
        return note.replace("units", "customers") or missing_words(row)
    return f"{words}; {note}" if "bad run" in note else words


def _guard(design: pd.DataFrame, plan: Experiment, metric: Metric, form: Format) -> Fact:
    """Return the chance that a guardrail that holds is shown to hold."""
    row, margin = _pick(design, "power", metric.id), plan.margins.get(metric.id, metric.change_that_matters)
    name = f"Chance to clear: {metric.title}"
    if row is None:
        return name, ("–", ""), "not planned"
    harm = f"harm of more than {_size(margin, metric, form)}" if margin else "harm"
    return name, _figure(row, "percent", form), _why(row, f"to rule out {harm}, where there is none at all")


@themed
def duration_chart(
    design: pd.DataFrame,
    metrics: Mapping[str, Metric],
    plan: Experiment,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """The smallest effect that would be seen after so many weeks, and the effect that matters.

    Parameters
    ----------
    design
        Result frame of `Run.design`.
    metrics
        Metric id -> definition.
    plan
        The registered plan.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = design[(design["metric"] == "smallest_effect") & (design["segment"] == "week")]
    found = [row for row in rows.records(mine) if not missing_words(row)]
    if not found:
        return nothing(rows.why_not(design, "too little traffic to tell what could be seen"), finding)
    found = sorted(found, key=lambda row: int(row["level"]))
    metric, form = metric_of(metrics, plan.primary_metric), formatting(currency, locale)
    read = _WEEKS.format(metric.title, f"{100 * plan.power:.0f}")
    sheet = Sheet(finding or _weeks_title(design, found, plan, metric, form), read, 3.2)
    axes = sheet.axes(0.6, 0.05, 8.7, 2.65, label="weeks")
    _weeks(axes, found, plan, metric, form)
    _planned(axes, _week(design))
    told = [f"{_count(row['level'])} {_size(row['estimate'], metric, form)}" for row in found]
    return sheet.done(f"{sheet.figure.finding}. {read} Smallest effect seen after {'; '.join(told)}.")


_WEEKS = (
    "Outcome that decides: {}. Line: the smallest effect found in {} of 100 experiments of that length; band: as "
    "traffic varies. Where the line is below the dashed one, all that matters would be seen."
)


def _count(weeks: str) -> str:
    return f"{weeks} week{'s' * (weeks != '1')}"


def _weeks(axes: Axes, found: Sequence[rows.Row], plan: Experiment, metric: Metric, form: Format) -> None:
    """Draw the smallest effect by weeks; a band that is far wider at first is cut off."""
    weeks, matters = [int(row["level"]) for row in found], plan.smallest_effect_that_matters
    top = max(matters, *[row["estimate"] for row in found]) * 1.25
    label, factor = unit_of(metric, form, top, "smallest effect seen")
    ends = [
        [row[end] if math.isfinite(row[end]) else other for row in found]
        for end, other in (("conf_low", 0.0), ("conf_high", 2 * top))
    ]
    known = [not (math.isnan(row["conf_low"]) and math.isnan(row["conf_high"])) for row in found]
    low, high = ([value * factor for value in values] for values in ends)
    axes.fill_between(weeks, low, high, where=known, color=style.SKY, alpha=0.25, linewidth=0)
    axes.plot(weeks, [row["estimate"] * factor for row in found], "o-", color=style.BLUE, linewidth=2.2, markersize=4)
    axes.axhline(matters * factor, color=style.ORANGE, linewidth=1.4, linestyle="--")
    under = found[-1]["estimate"] > matters
    axes.annotate(
        "the effect that matters", (1.0, matters * factor), xycoords=("axes fraction", "data"), ha="right",
        va="top" if under else "bottom", xytext=(-4, -3 if under else 3), textcoords="offset points", fontsize=8,
        color=style.ORANGE,
    )  # fmt: skip
    axes.set(ylim=(0, top * factor), xlim=(0, weeks[-1] + 0.5))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_ylabel(label, fontsize=8)
    axes.set_xlabel("weeks in which customers are taken in", fontsize=8)
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _planned(axes: Axes, weeks: rows.Row | None) -> None:
    """Mark the length that is planned."""
    if weeks is None or not 0 < float(weeks["level"] or 0) <= axes.get_xlim()[1]:
        return
    axes.axvline(float(weeks["level"]), color=style.GREY, linewidth=1, linestyle=":")
    axes.annotate(
        "as planned", (float(weeks["level"]), 1.0), xycoords=("data", "axes fraction"), xytext=(4, -2),
        textcoords="offset points", va="top", fontsize=8, color=style.GREY,
    )  # fmt: skip


def _weeks_title(
    design: pd.DataFrame, found: Sequence[rows.Row], plan: Experiment, metric: Metric, form: Format
) -> str:  # fmt: skip
    """Say after how many weeks the effect that matters would be seen."""
    matters, length = plan.smallest_effect_that_matters, _pick(design, "duration", "all")
    words = _size(matters, metric, form)
    if length is not None and not missing_words(length):
        return f"An effect of {words}, which matters, would be seen after some {form.count(length['estimate'])} weeks"
    enough = [row for row in found if row["estimate"] <= matters]
    if enough:
        return f"An effect of {words}, which matters, would be seen after some {_count(enough[0]['level'])}"
    last, least = _count(found[-1]["level"]), _size(found[-1]["estimate"], metric, form)
    return f"Even after {last} only effects from {least} on would be seen; one of {words} would matter"


@themed
def power_chart(
    design: pd.DataFrame,
    metrics: Mapping[str, Metric],
    plan: Experiment,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """How often an effect of each size would be found by the experiment as it is planned.

    Parameters
    ----------
    design, metrics, plan, finding, currency, locale
        As in `duration_chart`.
    """
    mine = design[(design["metric"] == "power") & (design["segment"] == "effect")]
    found = [row for row in rows.records(mine) if not missing_words(row)]
    if not found:
        return nothing(rows.why_not(design, "the power cannot be told"), finding)
    found = sorted(found, key=lambda row: float(row["at"]))
    metric, form = metric_of(metrics, plan.primary_metric), formatting(currency, locale)
    sizes, read = [float(row["at"]) for row in found], _POWER.format(metric.title)
    label, factor = unit_of(metric, form, max(sizes), "true effect")
    sheet = Sheet(finding or _power_title(found, plan, metric, form), read, 3.1)
    axes = sheet.axes(0.6, 0.05, 8.7, 2.55, label="power")
    axes.plot([size * factor for size in sizes], [100 * row["estimate"] for row in found], "o-", color=style.BLUE)
    axes.axhline(100 * plan.power, color=style.GREY, linewidth=1, linestyle=":")
    axes.axvline(
        plan.smallest_effect_that_matters * factor, color=style.ORANGE, linewidth=1.4, linestyle="--", zorder=1
    )
    axes.set(ylim=(0, 104), xlim=(0, None))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_xlabel(label, fontsize=8)
    axes.set_ylabel("found, of 100 experiments", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    told = [
        f"{form.number(size * factor, decimals(size * factor))}: {100 * row['estimate']:.0f}"
        for size, row in zip(sizes, found, strict=True)
    ]
    return sheet.done(f"{sheet.figure.finding}. {read} Found of 100 experiments, by {label}: {'; '.join(told)}.")


_POWER = (
    "Outcome that decides: {}. Dashed: the effect that matters; dotted: the chance that was asked for. Nothing can be "
    "said of effects that are seldom found."
)


def _power_title(found: Sequence[rows.Row], plan: Experiment, metric: Metric, form: Format) -> str:
    near = min(found, key=lambda row: abs(float(row["at"]) - plan.smallest_effect_that_matters))
    size, count = _size(plan.smallest_effect_that_matters, metric, form), f"{100 * near['estimate']:.0f} of 100"
    return f"As planned, an effect of {size}, which matters, would be found in {count} experiments"
