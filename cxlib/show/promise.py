"""Was the promise kept? Deliveries against their promises, surveys sent too early, bills and loading times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.analysis.journeys import promise, promise_bills, promise_loads, promise_surveys
from cxlib.periods import Period
from cxlib.show import markup, rows, style
from cxlib.show.canvas import Chart, Sheet, Ticks, nothing, themed
from cxlib.show.drivers import named
from cxlib.show.formats import MINUS, Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

Names = Mapping[str, str] | None
_HIGH = 2.7  # inches of the charts
_WHAT = {
    promise.IN_TIME: "Came in time", promise.LATE: "Came late", promise.TO_COME: "Late, still to come",
    promise.GONE: "Lost", promise.OPEN: "Under way, promise to come",
}  # fmt: skip
_BY = {"p5": "5 % came by", "p50": "Half came by", "p90": "90 % came by", "p95": "95 % came by"}


@themed
def promise_chart(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """Share delivered by each day about the promise, and the share of promises kept month by month; intervals drawn.

    Parameters
    ----------
    frame
        Rows of `journeys.promise.delivery`.
    finding, locale
        As in `small_multiples`.
    """
    curve = [row for row in of(frame, promise.BY_DAY) if not missing_words(row)]
    whole = one(frame, promise.KEPT)
    if whole is None or missing_words(whole) or not curve:
        return nothing(why(frame, promise.KEPT), finding)
    form = formatting(None, locale)
    title = finding or _kept_words(frame, whole, form)
    monthly = [row for row in of(frame, promise.KEPT) if row["at"] and not missing_words(row)]
    about = "Left: of all orders, how many had come so many days after the promise; what has not come is not forgotten."
    about += " Right: promises kept, by the month of the order. Bands and lines: intervals." if monthly else ""
    sheet = Sheet(title, about, _HIGH + 0.5)
    axes = sheet.axes(0.5, 0.05, 5.3 if monthly else 9.0, _HIGH, label="delivered")
    _delivered(axes, curve, form)
    if monthly:
        _monthly(sheet.axes(6.5, 0.05, 3.1, _HIGH, label="kept by month"), monthly, form)
    told = [f"{told_of(row, 'percent', form)} by {_day_words(float(row['at']), form)}" for row in curve[::4]]
    kept = [f"{Period.parse(row['period']).title}: {told_of(row, 'percent', form)}" for row in monthly]
    return sheet.done(f"{title}. {about} Delivered: {'; '.join(told)}. {'. '.join(kept)}")


def promise_table(
    frame: pd.DataFrame, *, titles: Names = None, names: Names = None, title: str | None = None,
    locale: str | None = None,
) -> Html:  # fmt: skip
    """One row a promise: what was kept with interval, and what to know; the survey asked before arrival among them.

    Parameters
    ----------
    frame
        Of `Run.promise`.
    titles
        Metric -> its title, for the score.
    names
        Touchpoint -> its title.
    title
        Heading; default the finding.
    locale
        Of numbers.
    """
    if frame.empty:
        return markup.nothing(title or "Promise and actual", "the frame holds no promises")
    form = formatting(None, locale)
    lines = [
        *_deliveries(frame, form),
        *_surveys(frame, titles, names, form),
        *_bills(frame, form),
        *_pages(frame, form),
    ]
    columns: dict[str, list[Cell]] = {"Actual": [cell for _, cell, _, _ in lines]}
    columns["n"] = [markup.n_cell(row, form) if row is not None else Cell("") for _, _, row, _ in lines]
    columns["To know"] = [markup.text_cell(note) for _, _, _, note in lines]
    whole = one(frame, promise.KEPT)
    kept = _kept_words(frame, whole, form) if whole and not missing_words(whole) else "Promise and actual"
    heading = title or _early_words(frame, form) or kept
    methods = [escape(one) for one in dict.fromkeys(frame["method"]) if one]
    keys = [key for key, _, _, _ in lines]
    return markup.figure(heading, markup.table(columns, ["Promise", "What"], keys), methods)


def _early_words(frame: pd.DataFrame, form: Format) -> str:
    """Say of surveys that were sent too early where that is a defect; nothing where it is none."""
    verdict, share = one(frame, promise_surveys.FINDING), one(frame, promise_surveys.SENT)
    if verdict is None or share is None or verdict["at"] != promise_surveys.FOUND or missing_words(share):
        return ""
    limits = form.interval(share["conf_low"], share["conf_high"], "percent")
    return f"{form.value(share['estimate'], 'percent')} of delivery surveys ({limits}) are sent before the parcel comes"


Line = tuple[tuple[str, str], Cell, rows.Row | None, str]  # key, cell, the row whose n is told, note


def _deliveries(frame: pd.DataFrame, form: Format) -> list[Line]:
    whole, group = one(frame, promise.KEPT), "Delivery"
    if whole is None or missing_words(whole):
        return [_missing(group, "Promises kept", whole)]
    lines = [_line(group, "Promises kept", whole, markup.estimate_cell(whole, "percent", form))]
    for row in of(frame, promise.OUTCOME):
        cell = markup.estimate_cell(row, "percent", form)
        lines.append(_line(group, f"{_WHAT.get(row['level'], row['level'])}, of all orders", row, cell))
    for row in of(frame, promise.DAYS):
        if row["at"] in ("p50", "p95"):
            lines.append(_line(group, _BY[row["at"]], row, _days_cell(row, form), ""))
    return lines


def _surveys(frame: pd.DataFrame, titles: Names, names: Names, form: Format) -> list[Line]:
    group, verdict = "Surveys", one(frame, promise_surveys.FINDING)
    if verdict is None or missing_words(verdict):
        return [_missing(group, "Sent before arrival", verdict)]
    share = one(frame, promise_surveys.SENT)
    mark = {promise_surveys.FOUND: ("▲", "worse"), promise_surveys.NOT_FOUND: ("○", "flat")}
    shape, tone = mark.get(verdict["at"], ("◇", "flat"))
    cell = markup.estimate_cell(share, "percent", form)
    told = f'<br><span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {escape(verdict["at"])}</span>'
    note = "; ".join(verdict["note"].split("; ")[1:])
    lines = [_line(group, "Sent before arrival", share, cell._replace(html=cell.html + told), note)]
    for row in of(frame, promise_surveys.SENT):
        if row["segment"] == "touchpoint":
            words = f"Sent before arrival: {named(row['level'], names)}"
            lines.append(_line(group, words, row, markup.estimate_cell(row, "percent", form)))
    for row in rows.records(frame[(frame["segment"] == "asked") & (frame["comparison"] == "difference")]):
        if row["level"] == "all":
            words = f"Effect on {named(row['metric'], titles)}"
            note = "the score of all answers less that without those asked before arrival"
        elif row["at"] == promise_surveys.EQUAL:
            words, note = f"{named(row['metric'], titles)} when asked before arrival", _equal(row)
        else:
            continue
        lines.append(_line(group, words, row, _change_cell(row, "score", form), note))
    return lines


def _equal(row: rows.Row) -> str:
    """Say what an adjusted difference holds equal."""
    return f"against answers after arrival{', ' + row['method'].split(', ', 2)[-1] if 'held equal' in row['method'] else ''}"  # noqa: E501


def _bills(frame: pd.DataFrame, form: Format) -> list[Line]:
    group, excess, led = "Bills", one(frame, promise_bills.EXCESS), one(frame, promise_bills.LED)
    if led is None or missing_words(led):
        return [_missing(group, "Led to a contact", led or excess)]
    note = f"a contact or complaint within {led['at']}; whether amounts are right is not in the data"
    lines = [_line(group, "Followed by a contact", led, markup.estimate_cell(led, "percent", form), note)]
    if excess is not None:
        more = f"against as many days before the same bills{_shown(excess)}"
        lines.append(_line(group, "Led to a contact", excess, _change_cell(excess, "percent", form), more))
    return lines


def _pages(frame: pd.DataFrame, form: Format) -> list[Line]:
    group, mine = "Pages", [row for row in of(frame, promise_loads.LOAD) if row["segment"] == "all"]
    mine = [row for row in mine if not row["at"].endswith(promise.BY_MONTH)]
    if not mine or missing_words(mine[0]):
        return [_missing(group, "Loading time", mine[0] if mine else None)]
    words = {"p50": "Half load within", "p75": "Three quarters within", "p95": "95 % within"}
    lines = [_line(group, words[row["at"]], row, markup.estimate_cell(row, "seconds", form)) for row in mine]
    for row in slower(frame):
        note = f"visits that end in an order within a day, against those of {row['against']}, all else equal"
        key = f"End in an order, at {row['level']}"
        lines.append(_line(group, key, row, _change_cell(row, "percent", form), note + _shown(row)))
    return lines


def _shown(row: rows.Row) -> str:
    """Say of a difference whose interval holds 0 that none is shown."""
    return "" if missing_words(row) or not row["conf_low"] <= 0 <= row["conf_high"] else ": no difference shown"


def _line(group: str, what: str, row: rows.Row | None, cell: Cell, note: str | None = None) -> Line:
    told = (row["note"] if row is not None and not missing_words(row) else "") if note is None else note
    return (group, what), cell, row, told


def _missing(group: str, what: str, row: rows.Row | None) -> Line:
    return (group, what), markup.missing_cell(row), None, ""


def _days_cell(row: rows.Row, form: Format) -> Cell:
    if missing_words(row):
        return markup.missing_cell(row)
    limits = " to ".join(form.number(row[end], 1, sign=True) for end in ("conf_low", "conf_high"))
    words = f"{escape(_day_words(row['estimate'], form))}{markup.small(f'{limits} days')}"
    return Cell(words, row=row, unit="days")


def _change_cell(row: rows.Row, unit: str, form: Format) -> Cell:
    if missing_words(row):
        return markup.missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True)
    return Cell(escape(form.change(row["estimate"], unit)) + markup.small(limits), row=row, unit=unit)


def _day_words(days: float, form: Format) -> str:
    """Return `1.5 days early`, `2 days late`, `the promise`."""
    if abs(days) < 0.05:
        return "the promised time"
    places = 0 if float(days).is_integer() else 1
    size = form.number(abs(days), places)
    return f"{size} day{'s' * (size != '1')} {'early' if days < 0 else 'late'}"


def _kept_words(frame: pd.DataFrame, whole: rows.Row, form: Format) -> str:
    """Say which share of promises was kept, and how late the latest parcels come."""
    head = f"{form.value(whole['estimate'], 'percent')} of delivery promises were kept"
    late = next((row for row in of(frame, promise.DAYS) if row["at"] == "p95" and not missing_words(row)), None)
    if late is None or late["estimate"] <= 0:
        return head
    return f"{head}; one parcel in twenty comes more than {_day_words(late['estimate'], form)}"


def _delivered(axes: Axes, curve: Sequence[rows.Row], form: Format) -> None:
    """Draw the share delivered by each day."""
    x = [float(row["at"]) for row in curve]
    low, value, high = ([100 * row[end] for row in curve] for end in ("conf_low", "estimate", "conf_high"))
    axes.fill_between(x, low, high, color=style.SKY, linewidth=0)
    axes.plot(x, value, color=style.BLUE, linewidth=1.8)
    axes.axvline(0, color=style.ORANGE, linewidth=1.2)
    axes.annotate("promise", (0, 4), (4, 0), textcoords="offset points", fontsize=8, color=style.ORANGE)
    axes.set_ylim(0, 101)
    axes.set_xlim(min(x), next((x[i] for i in range(len(x)) if x[i] >= 7 and value[i] > value[-1] - 0.5), x[-1]))
    axes.set_xlabel("days after the promise (below 0: early)", fontsize=8)
    axes.set_ylabel("percent of orders delivered", fontsize=8)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(Ticks(form))


def _monthly(axes: Axes, monthly: Sequence[rows.Row], form: Format) -> None:
    """Draw the share of promises kept by month."""
    for place, row in enumerate(monthly):
        axes.vlines(place, 100 * row["conf_low"], 100 * row["conf_high"], color=style.SKY, linewidth=4)
        axes.plot(place, 100 * row["estimate"], "o", color=style.BLUE, markersize=5)
    step = max(1, math.ceil(len(monthly) / 4))
    places = list(range(len(monthly) - 1, -1, -step))
    axes.set_xticks(places, [_brief_month(monthly[place]["period"], form) for place in places])
    axes.set_ylabel("percent of promises kept", fontsize=8)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.margins(x=0.06)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(Ticks(form))


def _brief_month(label: str, form: Format) -> str:
    """Return `Oct 2026` on two lines."""
    words = form.month(Period.parse(label).first_day).split()
    return f"{words[0][:3]}\n{words[-1]}"


def slower(frame: pd.DataFrame) -> list[rows.Row]:
    """Return what slow visits differ by, all else equal."""
    found = [row for row in of(frame, promise_loads.CONVERSION) if row["comparison"] == "difference"]
    return [row for row in found if row["at"] == promise_loads.EQUAL]


def of(frame: pd.DataFrame, metric: str) -> list[rows.Row]:
    """Return the rows of a metric."""
    return rows.records(frame[frame["metric"] == metric])


def one(frame: pd.DataFrame, metric: str) -> rows.Row | None:
    """Return the row of all: the first of the metric that is of no level."""
    mine = (row for row in of(frame, metric) if row["level"] == "all" and row["at"] != promise.BY_MONTH)
    return next(mine, None)


def why(frame: pd.DataFrame, metric: str) -> str:
    """Return why there is nothing to show of a metric."""
    mine = frame[(frame["metric"] == metric) & (frame["status"] != results.OK)]
    notes = [note for note in dict.fromkeys(mine["note"]) if note]
    return "; ".join(notes) if notes else "the frame holds nothing of it"


def told_of(row: rows.Row, unit: str, form: Format) -> str:
    """Return an estimate with its interval in words."""
    limits = form.interval(row["conf_low"], row["conf_high"], unit)
    return f"{form.value(row['estimate'], unit)} ({limits})"


def change_of(row: rows.Row, unit: str, form: Format) -> str:
    """Return a difference with its interval in words."""
    if missing_words(row):
        return missing_words(row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True)
    return f"{form.change(row['estimate'], unit)}, {limits}".replace("-", MINUS)
