"""Was the model of what customers buy right? Predicted against observed by class and over time, and month by month."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeGuard

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import MARGIN, SMALL, WIDTH, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.formats import Format, formatting, lasting, missing_words
from cxlib.show.trends import axis_x, axis_y, mark_gaps

OBSERVED, PREDICTED = "_observed", "_predicted"
_TRACKED = "cumulative_purchases"
_LEFT, _PLOT, _ROW = 1.15, 2.7, 0.2  # inches
_ALPHA, _AWAY = 0.05, 0.1  # a class is called missed below this p-value, a month odd from this far on
_DASHES: Any = (0, (4, 2))


@themed
def predicted_by_class(
    frame: pd.DataFrame,
    *,
    metric: str = "purchases",
    unit: str = "week",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One place a class of customers: what was predicted for the hold-out, and what came, with their intervals.

    Parameters
    ----------
    frame
        Result frame `classes` of `value.calibrate`; other rows are passed over.
    metric
        `purchases` or `revenue`.
    unit
        Of the hold-out's length.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = frame[frame["metric"].isin([metric + OBSERVED, metric + PREDICTED])]
    classes = [name for name in dict.fromkeys(mine["level"]) if name != "all"]
    if not classes:
        return nothing(rows.why_not(mine, f"the frame holds no {metric} by class"), finding)
    form, book = formatting(currency, locale), _book(mine)
    kind = "money" if metric == "revenue" else "count"
    told = finding or _missed(book, classes, kind, _span(mine, unit), form)
    length = f"Mean per customer in the {_span(mine, unit)} held out, by repeat purchases before the split."
    sheet = Sheet(told, f"{length} {_READ}", _PLOT + 0.34 + 4 * _ROW + 0.05)
    axes = sheet.axes(_LEFT, 0, WIDTH - 2 * MARGIN - _LEFT, _PLOT, label="classes")
    places = [[book.get((name, side)) for name in classes] for side in ("seen", "guess")]
    most = max((row["conf_high"] for side in places for row in side if _there(row)), default=1.0)
    name, factor = form.axis(kind, most)
    _dots(axes, places, factor)
    axes.set(xlim=(-0.6, len(classes) - 0.4), xticks=range(len(classes)))
    axes.set_xticklabels(classes, fontsize=8)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(name if kind == "money" else "purchases per customer", fontsize=8)
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.grid(axis="y")
    _beneath(sheet, book, classes, kind, form)
    return sheet.done(_alt(told, book, classes, kind, form))


_READ = "● observed, ◇ predicted, lines: intervals; ▲ more or ▼ less than predicted beyond chance."


@themed
def predicted_over_time(
    frame: pd.DataFrame, *, unit: str = "week", finding: str | None = None, locale: str | None = None
) -> Chart:
    """Two lines: all purchases since the split as they came, and as they were predicted, with their bands.

    Parameters
    ----------
    frame
        Result frame `tracking` of `value.calibrate`; other rows are passed over.
    unit
        What time is counted in.
    finding, locale
        As in `small_multiples`.
    """
    mine = frame[frame["metric"].isin([_TRACKED + OBSERVED, _TRACKED + PREDICTED])]
    level, form = mine[mine["comparison"] == "level"], formatting(None, locale)
    lines = [level[level["metric"] == _TRACKED + side] for side in (OBSERVED, PREDICTED)]
    if any(not (line["status"] == results.OK).any() for line in lines):
        return nothing(rows.why_not(mine, "the frame holds no purchases over time"), finding)
    lines = [line.assign(t=line["at"].astype(float)).sort_values("t") for line in lines]
    last = [_row(line.iloc[-1]) for line in lines]
    away = mine[(mine["comparison"] == "difference") & (mine["at"] == last[0]["at"])]
    told = finding or _came(last, _row(away.iloc[-1]) if len(away) else None, lasting(last[0]["at"], unit), form)
    sheet = Sheet(told, f"All customers of the split together. {_LINES}", _PLOT + 0.5)
    axes = sheet.axes(0.72, 0, WIDTH - 2 * MARGIN - 0.72 - 1.25, _PLOT, label="tracking")
    spots = []
    for line, (colour, band, dashes, name) in zip(lines, _LOOKS, strict=True):
        t, value, low, high = ([0.0, *line[name]] for name in ("t", "estimate", "conf_low", "conf_high"))
        axes.fill_between(t, low, high, color=band, alpha=0.35, linewidth=0)
        axes.plot(t, value, color=colour, linewidth=1.8, linestyle=dashes)
        spots.append((f"{name} {form.count(line['estimate'].iloc[-1])}", float(line["estimate"].iloc[-1]), colour))
    _ends(axes, float(lines[0]["t"].iloc[-1]), spots)
    axes.set_xlim(0, float(lines[0]["t"].iloc[-1]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{unit}s since the split", fontsize=8)
    axes.set_ylabel("purchases since the split", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.yaxis.set_major_formatter(Ticks(form))
    axes.grid(axis="y")
    ends = [
        f"{look[3]} {form.count(row['estimate'])} ({form.count(row['conf_low'])} to {form.count(row['conf_high'])})"
        for look, row in zip(_LOOKS, last, strict=True)
    ]
    return sheet.done(f"{told}. Line chart of purchases since the split; at its end: {'; '.join(ends)}.")


_LINES = "Lines: purchases since the split, as they came and as predicted from before it; bands: intervals."
_LOOKS: tuple[tuple[str, str, Any, str], ...] = (
    (style.INK, "#b5b5b5", "-", "observed"),
    (style.BLUE, style.SKY, _DASHES, "predicted"),
)


@themed
def purchases_by_month(frame: pd.DataFrame, *, finding: str | None = None, locale: str | None = None) -> Chart:
    """One point a month: purchases as a share of what the model, which knows no calendar, expects.

    Parameters
    ----------
    frame
        Result frame of `value.season`; other rows are passed over, the notes of its tests told.
    finding, locale
        As in `small_multiples`.
    """
    mine = frame[frame["metric"] == "purchases_index"]
    if not (mine["status"] == results.OK).any():
        return nothing(rows.why_not(frame, "the frame holds no month with enough purchases"), finding)
    form, by = formatting(None, locale), {record["period"]: record for record in map(_row, _records(mine))}
    known = sorted(Period.parse(label) for label in by)
    periods = Period.range(known[0], known[-1])
    points = [by.get(str(period)) for period in periods]
    odd = [_odd(point) for point in points]
    told = finding or _calendar(frame, periods, points, odd, form)
    trend = _note(frame, "trend").removeprefix("doubt: ").removeprefix("holds: ")
    notes = f"{trend[:1].upper()}{trend[1:]}." if trend else ""
    gaps = f" {style.MARKS}." if not all(_there(point) for point in points) else ""
    sheet = Sheet(told, f"{rows.span_title(periods)}. {_INDEX} {notes}{gaps}", _PLOT + 0.45)
    width = WIDTH - 2 * MARGIN - 0.72
    axes = sheet.axes(0.72, 0, width, _PLOT, label="season")
    axis_x(axes, periods, width, 0.15)
    axes.axhline(1, color=style.INK, linewidth=1, linestyle=_DASHES)
    for place, (point, tone) in enumerate(zip(points, odd, strict=True)):
        if not _there(point):
            continue
        axes.vlines(place, point["conf_low"], point["conf_high"], color=style.SKY, linewidth=2)
        shape = {"": "o", "more": "^", "less": "v"}[tone]
        colour = style.GREY if not tone else style.BLUE if tone == "more" else style.ORANGE
        axes.plot(place, point["estimate"], shape, color=colour, markersize=7 if tone else 4.5)
    axis_y(axes, "observed / expected", form)
    mark_gaps(axes, points)
    parts = [f"{period.title} {form.number(point['estimate'], 2)} (interval {_limits(point, 'score', form)})"
             for period, point, tone in zip(periods, points, odd, strict=True) if tone and point]  # fmt: skip
    named = f"Months that stand out: {'; '.join(parts)}." if parts else "No month stands out."
    return sheet.done(f"{told}. Dots with intervals by month, 1 as the model expects. {named}")


_INDEX = (
    "Repeat purchases as a share of those that the model expects of the customers there (1: as expected); lines: "
    "intervals; ▲ or ▼: at least 10 % away beyond chance."
)


def _odd(point: rows.Row | None) -> str:
    """Return whether a month has `more` or `less` than the model expects; empty for neither."""
    if not _there(point) or abs(point["estimate"] - 1) < _AWAY:
        return ""
    return "more" if point["conf_low"] > 1 else "less" if point["conf_high"] < 1 else ""


def _calendar(
    frame: pd.DataFrame, periods: Sequence[Period], points: Sequence[rows.Row | None], odd: Sequence[str], form: Format
) -> str:
    """Say in one sentence whether purchases follow the calendar."""
    holds = _note(frame, "calendar").startswith("holds")
    found = [
        (point["estimate"], period) for point, period, tone in zip(points, periods, odd, strict=True) if tone and point
    ]
    if holds or not found:
        return "Purchases follow the model month by month: no calendar that matters is shown"
    far, period = max(found, key=lambda item: abs(math.log(item[0])))
    count = f"{len(found)} of {len(periods)} months {'is' if len(found) == 1 else 'are'} 10 % or more off"
    most = f"most of all {period.title} ({form.number(far, 2)} times as many as expected)"
    return f"Purchases follow a calendar that the model does not know: {count}, {most}"


def _note(frame: pd.DataFrame, name: str) -> str:
    """Return the note of a test."""
    return next(iter(frame.loc[frame["metric"] == name, "note"]), "")


def _book(mine: pd.DataFrame) -> dict[tuple[str, str], rows.Row]:
    """Return rows by class and what they are: `seen`, `guess` or `away`."""
    found = {}
    for record in map(_row, _records(mine)):
        side = (
            "away"
            if record["comparison"] == "difference"
            else "seen"
            if record["metric"].endswith(OBSERVED)
            else "guess"
        )
        found[record["level"], side] = record
    return found


def _records(frame: pd.DataFrame) -> list[Any]:
    return frame.to_dict("records")


def _row(record: Any) -> rows.Row:
    return {str(key): value for key, value in dict(record).items()}


def _there(row: rows.Row | None) -> TypeGuard[rows.Row]:
    """Tell whether there is a row with numbers."""
    return row is not None and not missing_words(row)


def _limits(row: rows.Row, kind: str, form: Format) -> str:
    return form.interval(row["conf_low"], row["conf_high"], kind)


def _span(mine: pd.DataFrame, unit: str) -> str:
    return lasting(mine["at"].iloc[0], unit)


def _verdict(book: dict[tuple[str, str], rows.Row], name: str) -> str:
    """Return `more` or `less` where a class bought otherwise than predicted beyond chance."""
    away = book.get((name, "away"))
    if not _there(away) or not away["p_adjusted"] < _ALPHA:
        return ""
    return "more" if away["estimate"] < 0 else "less"


def _missed(book: dict[tuple[str, str], rows.Row], classes: Sequence[str], kind: str, span: str, form: Format) -> str:
    """Say in one sentence how what came differs from what was predicted."""
    seen, guess = book.get(("all", "seen")), book.get(("all", "guess"))
    if not _there(seen) or not _there(guess):
        return "Predicted and observed by class"
    verb = "bought" if kind == "count" else "spent"
    values = [form.value(row["estimate"], kind) + (" times" if kind == "count" else "") for row in (seen, guess)]
    percent = abs(seen["estimate"] / guess["estimate"] - 1) if guess["estimate"] else math.nan
    verdict = _verdict(book, "all")
    how = (
        f"{_percent(percent, form)} {verdict} than the {values[1]} predicted"
        if verdict
        else f"as predicted ({values[1]})"
    )
    missed = sum(bool(_verdict(book, name)) for name in classes)
    tail = (
        f"{missed} of {len(classes)} classes {'is' if missed == 1 else 'are'} missed"
        if missed
        else "no class is shown to be missed"
    )
    tail = f"; {tail}"
    return f"Customers {verb} {values[0]} in the {span} held out, {how}{tail}"


def _dots(axes: Axes, places: Sequence[Sequence[rows.Row | None]], factor: float) -> None:
    """Draw what was observed and, beside it, what was predicted."""
    looks: list[tuple[float, str, dict[str, Any]]] = [
        (-0.1, style.INK, {"marker": "o", "markersize": 6.5}),
        (0.1, style.BLUE, {"marker": "D", "markersize": 6, "markerfacecolor": style.PAPER, "markeredgewidth": 1.6}),
    ]
    for side, (shift, colour, how) in zip(places, looks, strict=True):
        for place, row in enumerate(side):
            if _there(row):
                ends = row["conf_low"] * factor, row["conf_high"] * factor
                axes.vlines(place + shift, *ends, color=colour, linewidth=1.8)
                axes.plot(place + shift, row["estimate"] * factor, color=colour, linestyle="", **how)


def _beneath(
    sheet: Sheet, book: dict[tuple[str, str], rows.Row], classes: Sequence[str], kind: str, form: Format
) -> None:
    """Write the numbers under the picture: observed, predicted, verdict and customers."""
    top, width = _PLOT + 0.34, WIDTH - 2 * MARGIN - _LEFT
    names = ("observed", "predicted", "", "customers")
    for line, name in enumerate(names):
        sheet.text(0, top + line * _ROW, name, size=7.5, color=style.GREY)
    sheet.text(0, _PLOT + 0.1, "bought again", size=7.5, color=style.GREY)
    step = width / len(classes)
    for place, level in enumerate(classes):
        seen, guess, verdict = book.get((level, "seen")), book.get((level, "guess")), _verdict(book, level)
        told = [missing_words(row) or form.short(row["estimate"], kind) if row else "" for row in (seen, guess)]
        n = form.count(guess["n"]) if _there(guess) else ""
        shape = {"": "", "more": "▲ more", "less": "▼ less"}[verdict]
        tone = {"": style.GREY, "more": style.BLUE, "less": style.ORANGE}[verdict]
        middle = _LEFT + (place + 0.5 + 0.1) * width / (len(classes) + 0.2)
        for line, (words, colour) in enumerate(
            zip((*told, shape, n), (style.INK, style.INK, tone, style.GREY), strict=True)
        ):
            short = wrap(words, step - 0.04, 7.5, lines=1)
            sheet.text(middle, top + line * _ROW, short, size=7.5, color=colour, ha="center")


def _alt(told: str, book: dict[tuple[str, str], rows.Row], classes: Sequence[str], kind: str, form: Format) -> str:
    """Return the chart in words."""
    parts = []
    for name in classes:
        seen, guess = book.get((name, "seen")), book.get((name, "guess"))
        sides = []
        for words, row in (("observed", seen), ("predicted", guess)):
            if not _there(row):
                sides.append(f"{words} {missing_words(row)}")
            else:
                sides.append(f"{words} {form.value(row['estimate'], kind)} (interval {_limits(row, kind, form)})")
        verdict = _verdict(book, name)
        parts.append(
            f"{name} repeat purchase{'' if name == '1' else 's'}: {', '.join(sides)}"
            + (f", {verdict} than predicted" if verdict else "")
        )
    return f"{told}. Dots with intervals by repeat purchases before the split. {'; '.join(parts)}."


def _came(last: Sequence[rows.Row], away: rows.Row | None, span: str, form: Format) -> str:
    """Say in one sentence how many purchases came, and how many were predicted."""
    seen, guess = last[0]["estimate"], last[1]["estimate"]
    told = f"{form.count(seen)} purchases came in {span}, {form.count(guess)} were predicted"
    if not _there(away) or not away["p_value"] < _ALPHA:
        return f"{told}: no difference beyond chance"
    return f"{told}: {_percent(abs(seen / guess - 1), form)} {'more' if seen > guess else 'fewer'} than predicted"


def _percent(share: float, form: Format) -> str:
    return form.percent(form.number(100 * share, 0))


def _ends(axes: Axes, x: float, spots: Sequence[tuple[str, float, str]]) -> None:
    """Write what the lines are called where they end, the higher one's name above the lower one's."""
    order = sorted(range(len(spots)), key=lambda place: spots[place][1])
    for rank, place in enumerate(order):
        words, y, colour = spots[place]
        how: dict[str, Any] = {"va": "top" if rank == 0 else "bottom", "color": colour, "fontsize": SMALL}
        axes.annotate(words, (x, y), (6, 0), textcoords="offset points", weight="bold", annotation_clip=False, **how)
