"""Which levels moved differently from the rest: a chart and a table of what `measure.finder` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.measure.finder import AGAINST
from cxlib.measure.told import BETWEEN
from cxlib.params.models import Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain, when
from cxlib.show.formats import Format, brief, formatting, one_metric, shortened
from cxlib.show.markup import FIGURE, Cell, Html

_MOST, _NEAREST = 12, 5  # levels drawn; where none moved, the nearest to it
_LEFT, _RIGHT, _TOP, _LINE = 3.0, 6.5, 0.25, 0.42  # inches
_READ = "Dot: by how much more it changed than all others; line: interval. ● better, ■ worse, ◇ neither shown."
_MARKS = {rows.BETTER: "o", rows.WORSE: "s", rows.FLAT: "D"}


@themed
def standing(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a level that moved differently from the rest: dot and interval of how much more it moved than the others.

    Where none did, the few nearest to it are drawn hollow.

    Parameters
    ----------
    frame
        Result frame of `finder.find`; other rows are passed over.
    metrics
        The metric, or all by id.
    metric
        Id of the metric to show; needed only where the frame holds several.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = _mine(frame)
    if mine.empty:
        return nothing(rows.why_not(frame, "the frame holds no levels compared with the rest"), finding)
    shown = one_metric(metrics, metric, rows.ids(mine))
    mine, form = mine[mine["metric"] == shown.id], formatting(currency, locale)
    if mine["p_value"].isna().all():
        return nothing(f"{shown.title}: {looked_at(mine).removesuffix('.')}", finding)
    drawn, repeated = _chosen(mine, shown)
    about = f"{looked_at(mine)} {_left_out(repeated)}".strip()
    sheet = Sheet(finding or headline(mine, shown, form), f"{about} {_READ}", len(drawn) * _LINE + _TOP + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(drawn) * _LINE, label="standing")
    _levels(sheet, axes, drawn, shown, form)
    return sheet.done(_alt(sheet.figure.finding, about, drawn, shown, form))


def standing_table(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a level that moved differently from the rest, with how many levels in how many segments were looked at.

    Parameters
    ----------
    frame, metrics, metric, currency, locale
        As in `standing`.
    title
        Heading; default the finding.
    """
    mine = _mine(frame)
    if mine.empty:
        return markup.nothing(
            title or "Levels against the rest", rows.why_not(frame, "the frame holds no levels compared with the rest")
        )
    shown = one_metric(metrics, metric, rows.ids(mine))
    mine, form = mine[mine["metric"] == shown.id], formatting(currency, locale)
    heading, told = title or headline(mine, shown, form), looked_at(mine)
    if not (mine["verdict"] == "moved").any():
        return Html(
            f'<figure class="{FIGURE}"><figcaption>{escape(heading)}</figcaption><p>{escape(told)}</p></figure>'
        )
    moved, repeated = _chosen(mine, shown)
    columns: dict[str, list[Cell]] = {
        "Segment": [markup.text_cell(_segment(row)) for row in moved],
        "More than the rest": [_cell(row, shown, form) for row in moved],
        "n": [markup.n_cell(row, form) for row in moved],
    }
    body = markup.table(columns, ["Level"], [(row["level"],) for row in moved])
    return markup.figure(
        heading, body, [markup.note(shown, [row]) for row in moved[:1]], f"{told} {_left_out(repeated)}".strip()
    )


def headline(frame: pd.DataFrame, metric: Metric, form: Format) -> str:
    """Return the finding in one sentence: how many levels moved differently, and which most."""
    tested, moved = frame[frame["p_value"].notna()], frame[frame["verdict"] == "moved"]
    since = when(str(frame["against"].iloc[0]))
    count = f"{form.count(len(tested))} level{'s' * (len(tested) != 1)}"
    if moved.empty:
        return f"{metric.title}: none of {count} is shown to have moved differently from the rest since {since}"
    first = moved.sort_values(["p_value", "segment", "level"]).iloc[0]
    by = f"{shortened(first['level'])} ({_segment(first)}, {form.change(first['estimate'], metric.unit)})"
    told = f", above all {by}" if len(moved) > 1 else f": {by}"
    return f"{metric.title}: {len(moved)} of {count} moved differently from the rest since {since}{told}"


def looked_at(frame: pd.DataFrame) -> str:
    """Say how many levels in how many segments were looked at, how many could not be, and what is not listed."""
    tested = frame[frame["p_value"].notna()]
    if tested.empty:
        return "No level has enough answers in both periods to be compared with the rest."
    pairs = tested["segment"].str.contains(BETWEEN, regex=False)
    sizes = [(tested.loc[~pairs, "segment"].nunique(), "segment"), (tested.loc[pairs, "segment"].nunique(), "pair")]
    where = rows.listed([f"{count} {name}{'s' * (count != 1)}" for count, name in sizes if count])
    counts = [
        (frame["status"] == results.SUPPRESSED, "more too small"),
        (frame["status"] == results.UNDEFINED, "in one period only"),
    ]
    rest = [f"{int(which.sum())} {words}" for which, words in counts if which.any()]
    blind = int((frame["verdict"] == "could not have been seen").sum())
    which = "all" if blind == len(tested) else str(blind)
    rest += [f"{which} with too few answers to show a difference that matters"] if blind else []
    told = f"Looked at {len(tested)} level{'s' * (len(tested) != 1)} of {where}"
    told = f"{told} ({'; '.join(rest)})" if rest else told
    return f"{told}. Verdicts allow for all of them (Benjamini and Hochberg)."


def _left_out(repeated: int) -> str:
    """Say how many levels of pairs are not listed because they only repeat a level that is."""
    which = "1 level of a pair that repeats" if repeated == 1 else f"{repeated} levels of pairs that repeat"
    return f"Not listed: {which} one of these." if repeated else ""


def _mine(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["at"] == AGAINST) & (frame["comparison"] == "difference")]


def _chosen(frame: pd.DataFrame, metric: Metric) -> tuple[list[rows.Row], int]:
    """Return the levels to show, the best first, and how many levels of pairs only repeat one of them.

    A level of a pair repeats a segment's own where that holds it and moved in the same direction. Where none moved
    those nearest to it are returned.
    """
    moved = frame["verdict"] == "moved"
    found = frame[moved if moved.any() else frame["p_value"].notna()].sort_values(["p_value", "segment", "level"])
    kept: list[rows.Row] = rows.records(found)
    single = [row for row in kept if BETWEEN not in row["segment"]]
    fresh = [row for row in kept if not any(_repeats(row, other) for other in single)] if moved.any() else kept
    drawn = fresh[: _MOST if moved.any() else _NEAREST]
    sign = -1 if metric.higher_is_better is False else 1
    return sorted(drawn, key=lambda row: (-sign * row["estimate"], row["level"])), len(kept) - len(fresh)


def _repeats(row: rows.Row, other: rows.Row) -> bool:
    """Tell whether a level of a pair lies within another level that moved the same way."""
    if BETWEEN not in row["segment"] or (row["estimate"] > 0) != (other["estimate"] > 0):
        return False
    first = row["segment"].startswith(other["segment"] + BETWEEN) and row["level"].startswith(other["level"] + BETWEEN)
    return first or (
        row["segment"].endswith(BETWEEN + other["segment"]) and row["level"].endswith(BETWEEN + other["level"])
    )


def _segment(row: Mapping[str, Any]) -> str:
    """Return `region and plan` for `region x plan`."""
    return rows.listed([plain(name) for name in row["segment"].split(BETWEEN)])


def _verdict(row: rows.Row, metric: Metric) -> tuple[str, str]:
    """Return words and tone of a level's verdict."""
    if row["verdict"] != "moved":
        return "no difference shown" if row["verdict"] == "not shown" else "too few to tell", rows.FLAT
    tone = rows.better(metric, row["estimate"])
    return ("different from the rest" if tone == rows.FLAT else f"{tone} than the rest"), tone


def _levels(sheet: Sheet, axes: Axes, drawn: Sequence[rows.Row], metric: Metric, form: Format) -> None:
    """Draw the rows of `standing`."""
    ends = [row[name] for row in drawn for name in ("conf_low", "conf_high", "estimate")]
    name, factor = form.axis(metric.unit, max(abs(end) for end in ends))
    axes.set(ylim=(len(drawn) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color=style.INK, linewidth=1, dashes=(4, 3))
    how: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
    axes.annotate("the rest", (0, 1), (0, 4), xycoords=("data", "axes fraction"), **how)
    for place, row in enumerate(drawn):
        _level(sheet, axes, place, row, metric, factor, form)
    name = name.replace("percent", "percentage points", 1)
    axes.set_xlabel(f"{metric.title}: change beyond that of the rest, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _level(sheet: Sheet, axes: Axes, place: int, row: rows.Row, metric: Metric, factor: float, form: Format) -> None:
    """Draw one level: its names, dot and interval, number, verdict and n."""
    top, (words, tone) = _TOP + place * _LINE + _LINE / 2, _verdict(row, metric)
    moved, colour = row["verdict"] == "moved", style.TONES[tone]
    axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=colour, linewidth=1.8)
    face = colour if moved else style.PAPER
    axes.plot(row["estimate"] * factor, place, _MARKS[tone], color=colour, markerfacecolor=face, markersize=7)
    sheet.text(0, top - 0.15, wrap(row["level"], _LEFT - 0.2, SMALL, lines=1))
    under = f"{_segment(row)}, n {form.count(row['n'])}"
    sheet.text(0, top + 0.02, wrap(under, _LEFT - 0.2, 7.5, lines=1), size=7.5, color=style.GREY)
    limits = brief(form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True))
    sheet.text(_RIGHT + 0.15, top - 0.15, brief(form.change(row["estimate"], metric.unit)), weight="bold")
    sheet.text(_RIGHT + 0.15, top + 0.02, limits, size=7.5, color=style.GREY)
    sheet.text(_RIGHT + 1.65, top - 0.08, wrap(words, 1.4, SMALL, lines=2), color=colour)


def _cell(row: rows.Row, metric: Metric, form: Format) -> Cell:
    """Return how much more a level moved than the rest, with interval and verdict."""
    limits = brief(form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True))
    words, tone = _verdict(row, metric)
    told = f'<br><span class="cx-{tone}">{escape(words)}</span>'
    words = escape(brief(form.change(row["estimate"], metric.unit))) + markup.small(limits) + told
    return Cell(words, row=row, unit=metric.unit)


def _alt(finding: str, about: str, drawn: Sequence[rows.Row], metric: Metric, form: Format) -> str:
    """Return the chart in words."""
    told = [
        f"{row['level']} ({_segment(row)}): {form.change(row['estimate'], metric.unit)} more than the rest (interval "
        f"{form.interval(row['conf_low'], row['conf_high'], metric.unit, change=True)}, n {form.count(row['n'])}), "
        f"{_verdict(row, metric)[0]}"
        for row in drawn
    ]
    return f"{finding}. {about} Dots with intervals. {'. '.join(told)}."
