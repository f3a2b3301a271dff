"""Who stays? Churn by its four denominators, survival in a table, and the retention triangle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cxlib.show import markup, rows, style
from cxlib.show.canvas import MARGIN, WIDTH, Chart, Sheet, nothing, themed
from cxlib.show.finding import plain, when
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.survival import INCIDENCE, MEDIAN, SURVIVAL, beside, few, segment_words, time_words

CHURN, MEAN, LOST = "churn", "restricted_mean", "restricted_mean_lost"
RETENTION = ("bounded_retention", "unbounded_retention")
_COUNTS = {
    "customer-time": "those lost, over the time that customers were there; fair when many join",
    "start cohort": "of those there at the start, the share that left; joiners are not looked at",
    "average": "those lost, over the average of the customers at start and end",
    "start": "those lost, joiners among them, over the customers at the start",
}
_COHORTS, _AGES = 24, 25  # drawn at most
_NAME, _SIZE, _HIGH, _TOP = 0.95, 0.65, 0.27, 0.42  # inches


def churn_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a denominator: churn with its interval, and what it counts.

    Parameters
    ----------
    frame
        Result frame of `loyalty.churn`, of one period.
    title
        Heading; default the finding.
    locale
        Of numbers.
    """
    mine = rows.records(frame[frame["metric"] == CHURN])
    if not mine or (len(mine) == 1 and mine[0]["level"] == "all" and mine[0]["status"] == "undefined"):
        return markup.nothing(title or "Churn", rows.why_not(frame, "the frame holds no churn"))
    form = formatting(None, locale)
    columns: dict[str, list[Cell]] = {
        "Churn": [
            markup.estimate_cell(row, "per_month" if row["level"] == "customer-time" else "percent", form)
            for row in mine
        ],
        "What it counts": [markup.text_cell(_COUNTS.get(row["level"], row["method"])) for row in mine],
        "Customers": [markup.n_cell(row, form) for row in mine],
    }
    names = {"customer-time": "Customer-time", "start cohort": "Start cohort", "average": "Average", "start": "Start"}
    body = markup.table(columns, ["Denominator"], [(names.get(str(row["level"]), str(row["level"])),) for row in mine])
    notes = [escape(f"{row['level']}: {'; '.join(filter(None, [row['method'], row['note']]))}") for row in mine]
    return markup.figure(title or _churned(mine, form), body, notes)


def survival_table(
    frame: pd.DataFrame, *, unit: str = "", counted: str = "Customers", title: str | None = None,
    locale: str | None = None,
) -> Html:  # fmt: skip
    """One row a group or reason: the share at up to four of the times, the median, and the mean up to the horizon.

    Parameters
    ----------
    frame
        Result frame of `loyalty.survival` or `loyalty.competing_reasons`.
    unit
        What the durations are counted in, such as `months`.
    counted
        Head of n: what one row of the data was; somebody who came back has several subscriptions.
    title
        Heading; default what the frame holds.
    locale
        Of numbers.
    """
    reasons = bool((frame["metric"] == INCIDENCE).any())
    share, mean = (INCIDENCE, LOST) if reasons else (SURVIVAL, MEAN)
    mine = frame[frame["metric"].isin([share, mean, MEDIAN]) & (frame["comparison"] != "difference")]
    heading = title or ("Why customers leave" if reasons else "How long customers stay")
    mine = mine[(mine["at"] != "") | (mine["metric"] == MEDIAN)]
    if mine.empty:
        return markup.nothing(heading, rows.why_not(frame, "the frame holds no survival"))
    form, found = formatting(None, locale), rows.records(mine)
    names = list(dict.fromkeys(row["level"] for row in found))
    by = {(row["level"], row["metric"], row["at"]): row for row in found}
    columns: dict[str, list[Cell]] = {}
    for at in few(sorted({float(row["at"]) for row in found if row["metric"] == share}), 4):
        head = f"{'Left' if reasons else 'Still there'} after {time_words(at, unit, form)}"
        columns[head] = [markup.estimate_cell(by.get((name, share, f"{at:g}")), "percent", form) for name in names]
    if not reasons:
        columns[f"Median{_in(unit)}"] = [_middle(by.get((name, MEDIAN, "")), form) for name in names]
    until = next((row["at"] for row in found if row["metric"] == mean), "")
    if until:
        end = time_words(float(until), "", form)
        head = f"Mean{_in(unit)}, up to {end}"
        head = f"{(unit or 'time').capitalize()} lost to it (of {end})" if reasons else head
        columns[head] = [markup.estimate_cell(by.get((name, mean, until)), "count", form) for name in names]
    first = {row["level"]: row for row in reversed(found) if not missing_words(row)}
    columns[counted] = [markup.n_cell(first.get(name), form) for name in names]
    keys = [("All" if name == "all" else plain(name) if reasons else name,) for name in names]
    body = markup.table(columns, [segment_words(mine) or "Who"], keys)
    notes = {escape(row["method"]) for row in found} | {escape(_unreached(row)) for row in found}
    return markup.figure(heading, body, sorted(notes - {""}), beside(frame))


@themed
def retention(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """One row a cohort, one column an age: the share that is there; blank where the time is not over yet.

    Parameters
    ----------
    frame
        Result frame of `loyalty.retention_triangle`. The latest 24 cohorts and the first 25 ages are drawn.
    finding
        Title; default what became of the first against the last cohort at one age.
    locale
        Of numbers.
    """
    mine, form = rows.records(frame[frame["metric"].isin(RETENTION)]), formatting(None, locale)
    if not any(not missing_words(row) for row in mine):
        return nothing(missing_words(mine[0]) if mine else "the frame holds no retention", finding)
    cells = {(row["level"], int(row["at"])): row for row in mine}
    cohorts = list(dict.fromkeys(row["level"] for row in mine))
    shown = cohorts[-_COHORTS:]
    ages = sorted({age for (name, age), row in cells.items() if name in shown and row["status"] != "undefined"})
    old = ages[:_AGES]
    told = finding or _kept(cells, shown, old, mine[0], form)
    sheet = Sheet(told, _subtitle(mine[0], len(cohorts) - len(shown), len(ages) - len(old)),
                  _TOP + _HIGH * len(shown) + 0.1)  # fmt: skip
    wide = min((WIDTH - 2 * MARGIN - _NAME - _SIZE) / len(old), 0.6)
    axes = sheet.axes(_NAME + _SIZE, _TOP, wide * len(old), _HIGH * len(shown), label="retention")
    _grid(axes, cells, shown, old, form)
    grey: dict[str, Any] = {"color": style.GREY, "size": 7.5}
    sheet.text(0, 0.2, "Came in", **grey)
    sheet.text(_NAME + _SIZE - 0.12, 0.2, "customers", ha="right", **grey)
    sheet.text(_NAME + _SIZE, 0, f"{_unit(mine[0]).capitalize()}s since", **grey)
    for place, age in enumerate(old):
        sheet.text(_NAME + _SIZE + (place + 0.5) * wide, 0.2, str(age), ha="center", **grey)
    for place, cohort in enumerate(shown):
        top = _TOP + place * _HIGH + 0.06
        sheet.text(0, top, cohort)
        size = next((row["n"] for age in old if not missing_words(row := cells[cohort, age])), None)
        sheet.text(_NAME + _SIZE - 0.12, top, "" if size is None else form.count(size), ha="right", **grey)
    return sheet.done(_alt(told, cells, shown, old, form))


def _grid(
    axes: Axes, cells: Mapping[tuple[str, int], rows.Row], cohorts: Sequence[str], ages: Sequence[int], form: Format
) -> None:
    """Draw the cells: darker where more are there; hatched where hidden, blank where not over."""
    axes.set(xlim=(0, len(ages)), ylim=(len(cohorts), 0), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    drawn = [cells[cohort, age] for cohort in cohorts for age in ages]
    known = [row["estimate"] for row in drawn if not missing_words(row)]
    low, wide = min(known), max(max(known) - min(known), 0.1)
    for down, cohort in enumerate(cohorts):
        for across, age in enumerate(ages):
            row = cells[cohort, age]
            box: dict[str, Any] = {"xy": (across + 0.03, down + 0.05), "width": 0.94, "height": 0.9, "linewidth": 0}
            if row["status"] == "undefined":
                continue
            if missing_words(row):
                axes.add_patch(Rectangle(**box, facecolor="#f4f4f4", hatch="////"))
                continue
            colour = style.SEQUENTIAL(0.08 + 0.87 * (row["estimate"] - low) / wide)
            axes.add_patch(Rectangle(**box, facecolor=colour))
            words = form.number(100 * row["estimate"], 0)
            axes.text(across + 0.5, down + 0.52, words, ha="center", va="center", fontsize=7.5,
                      color=style.text_on(colour))  # fmt: skip


def _kept(
    cells: Mapping[tuple[str, int], rows.Row], cohorts: Sequence[str], ages: Sequence[int], first: rows.Row,
    form: Format,
) -> str:  # fmt: skip
    """Say what became of the first against the last cohort, at the oldest age that half of the cohorts have."""
    known = {age: [name for name in cohorts if not missing_words(cells[name, age])] for age in ages}
    least = max(2, len(cohorts) / 2)
    age = max((age for age in ages if len(known[age]) >= least), default=max(age for age in ages if known[age]))
    names = known[age]
    after = f"after {age} {_unit(first)}{'s' * (age != 1)}" if age else f"in their first {_unit(first)}"
    old, new = cells[names[0], age], cells[names[-1], age]
    values = [form.value(row["estimate"], "percent") for row in (old, new)]
    there = f"are there {after}"
    if len(names) == 1:
        return f"{values[0]} of the customers of {when(names[0])} {there}"
    told = f"{values[1]} of the customers of {when(names[-1])} {there}"
    if not rows.apart(old, new):
        return f"{told}; no difference from those of {when(names[0])} ({values[0]}) is shown"
    way = "more" if new["estimate"] > old["estimate"] else "fewer"
    return f"{told}, {way} than of those of {when(names[0])} ({values[0]})"


def _subtitle(first: rows.Row, cohorts: int, ages: int) -> str:
    """Say what a cell holds and what is not drawn."""
    what = first["method"].partition(": ")[2].partition(";")[0]
    words = [f"Percent of the customers who came in a {_unit(first)} (row), by age (column): {what}."]
    words.append("Stronger colour: more. Blank: not over yet; hatched: hidden, small group.")
    words += [f"{cohorts} earlier cohorts are not drawn."] if cohorts else []
    words += [f"{ages} later ages are not drawn."] if ages else []
    return " ".join(words)


def _unit(row: rows.Row) -> str:
    """Return what cohorts are counted in: as their label has it."""
    return "quarter" if "Q" in row["level"] else "week" if "W" in row["level"] else "month"


def _churned(mine: Sequence[rows.Row], form: Format) -> str:
    """Say what churn is, by the first denominators that have a number."""
    by = {row["level"]: row for row in mine if not missing_words(row)}
    time, cohort = by.get("customer-time"), by.get("start cohort")
    period = when(mine[0]["period"])
    parts = [f"{form.value(time['estimate'], 'percent')} per customer-month"] if time else []
    parts += [f"{form.value(cohort['estimate'], 'percent')} of those there at the start"] if cohort else []
    return f"Churn{f' in {period}' if period else ''}{': ' if parts else ''}{', '.join(parts)}"


def _middle(row: rows.Row | None, form: Format) -> Cell:
    """Return a median, or that the curve does not fall so far; the reason is told beneath the table."""
    if row is not None and row["status"] == "undefined":
        return Cell('<span class="cx-missing">not reached</span>')
    return markup.estimate_cell(row, "count", form)


def _unreached(row: rows.Row) -> str:
    """Say why there is no median."""
    missing = row["metric"] == MEDIAN and row["status"] == "undefined"
    return f"median of {row['level']}: {row['note']}" if missing else ""


def _in(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _alt(
    told: str, cells: Mapping[tuple[str, int], rows.Row], cohorts: Sequence[str], ages: Sequence[int], form: Format
) -> str:
    """Return the chart in words: each cohort at its last age."""
    parts = []
    for cohort in cohorts:
        known = [age for age in ages if not missing_words(cells[cohort, age])]
        if not known:
            parts.append(f"{cohort}: hidden")
            continue
        row = cells[cohort, known[-1]]
        limits = form.interval(row["conf_low"], row["conf_high"], "percent")
        parts.append(
            f"{cohort} (n {form.count(row['n'])}): {form.value(row['estimate'], 'percent')} at age {known[-1]} "
            f"(interval {limits})"
        )
    return f"{told}. Triangle of cohorts by age. {'; '.join(parts)}."
