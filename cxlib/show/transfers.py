"""Does the brand arrive? Delivered against intended experience, one row a partner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.params.models import Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, brief, counted, formatting, missing_words, one_metric
from cxlib.show.markup import Cell, Html
from cxlib.show.partners import AVERAGE, MANY

_MOST = 25
_LEFT, _RIGHT, _TOP, _LINE = 2.6, 6.4, 0.28, 0.4  # inches
_READ = (
    "Dot: what arrives against what was intended, adjusted and shrunk; line: interval. ● more, ■ less, ○ neither shown."
)
_MARKS = {"more": "o", "less": "s", "": "o"}


@themed
def brand_transfer(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a partner: the gap to the intended experience, or the share of it that arrives, with interval.

    Parameters
    ----------
    frame
        Result frame of `partners.transfer`.
    metrics
        The metric that was delivered, or all by id; the gap has its unit, a share is in percent.
    metric
        Id of that metric; needed only where there are several.
    finding, currency, locale
        As in `small_multiples`.
    """
    found, form = _transfers(frame), formatting(currency, locale)
    if not (found["status"] == results.OK).any():
        return nothing(_why(found), finding)
    found, shown = _one(found, metrics, metric)
    mine = chosen(found)
    told = f"{_READ} {_left_out(found, mine)}".strip()
    sheet = Sheet(finding or headline(found, shown), told, _TOP + len(mine) * _LINE + 0.5)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(mine) * _LINE, label="transfer")
    _draw(sheet, axes, mine, shown, form)
    return sheet.done(_alt(sheet.figure.finding, told, mine, shown, form))


def brand_transfer_table(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a partner: what arrives against what was intended, with interval and n.

    Parameters
    ----------
    frame, metrics, metric, currency, locale
        As in `brand_transfer`.
    title
        Heading; default the finding.
    """
    found, form = _transfers(frame), formatting(currency, locale)
    if not (found["status"] == results.OK).any():
        return markup.nothing(title or "Delivered against intended", _why(found))
    whole = one_metric(metrics, metric, rows.ids(found))
    found, shown = _one(found, metrics, metric)
    mine = chosen(found)
    if len(found) > MANY and not any(map(_way, rows.records(found))):
        return markup.figure(title or headline(found, shown), _none(found, mine[0], whole, form))
    columns: dict[str, list[Cell]] = {
        f"Against {_intended(mine[0], whole, form)}": [_cell(row, shown, form) for row in mine],
        "n": [markup.n_cell(row, form) for row in mine],
    }
    body = markup.table(columns, [plain(str(mine[0]["segment"])).capitalize()], [(row["level"],) for row in mine])
    notes = [markup.note(shown, mine[:1])]
    return markup.figure(title or headline(found, shown), body, notes, _left_out(found, mine))


def _intended(row: rows.Row, metric: Metric, form: Format) -> str:
    """Return what was intended with its unit: `8.0 %`; the name of a column as it is."""
    try:
        return form.value(float(row["against"]), metric.unit)
    except ValueError:
        return str(row["against"])


def _none(found: pd.DataFrame, first: rows.Row, metric: Metric, form: Format) -> str:
    """Say in place of a long list that no difference is shown at any partner."""
    hidden = int((found["status"] == results.SUPPRESSED).sum())
    known = found[found["status"] == results.OK]
    blind = int((known["verdict"] == "could not have been seen").sum())
    told = (
        f"Intended: {_intended(first, metric, form)}. The interval of each of {counted(len(known))} partners holds it"
    )
    told += f"; for {counted(blind)} of them the answers are too few to tell" if blind else ""
    return f"<p>{escape(' '.join([f'{told}.', rows.left_out(0, hidden)]).strip())}</p>"


def _transfers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `partners.transfer`: differences and shares that are not against the other partners."""
    kinds = frame["comparison"].isin(["difference", "share"]) & (frame["metric"] != "share_explained")
    return frame[kinds & (frame["against"] != AVERAGE)]


def _one(found: pd.DataFrame, metrics: Metric | Mapping[str, Metric], metric: str) -> tuple[pd.DataFrame, Metric]:
    """Return the rows of one transfer, and the metric whose unit they have; shares are in percent."""
    ids = rows.ids(found)
    shown = one_metric(metrics, metric, ids)
    mine = found[found["metric"] == (shown.id if shown.id in ids or len(ids) > 1 else ids[0])]
    share = (mine["comparison"] == "share").any()
    return mine, shown.model_copy(update={"unit": "percent"}) if share else shown


def chosen(found: pd.DataFrame) -> list[rows.Row]:
    """Return at most 25 partners, those with the most answers, by name; hidden ones are left out."""
    seen = found[found["status"] != results.SUPPRESSED].sort_values(["n", "level"], ascending=[False, True])
    kept = seen.head(_MOST).sort_values("level")
    return rows.records(kept)


def headline(found: pd.DataFrame, metric: Metric) -> str:
    """Return at how many partners it goes worse or better than intended (less or more, where neither is better)."""
    known = found[found["status"] == results.OK].to_dict("records")
    ways = [_word(row, metric) for row in known]
    total = f"{counted(len(known))} partner{'s' * (len(known) != 1)}"
    told = [
        f"{word} at {counted(ways.count(word))}" for word in (rows.WORSE, "less", rows.BETTER, "more") if word in ways
    ]
    if not told:
        return f"{metric.title}: at none of {total} is a difference from the intended shown"
    return f"{metric.title}: {rows.listed(told)} of {total} than intended"


def _way(row: Mapping[str, object]) -> str:
    """Return `more` or `less` where the interval leaves out what was intended."""
    if row["verdict"] != "moved":
        return ""
    return "more" if float(str(row["estimate"])) > _goal(row) else "less"


def _word(row: Mapping[str, object], metric: Metric) -> str:
    """Return `better` or `worse` where a difference is shown, `more` or `less` where the metric has no direction."""
    way = _way(row)
    tone = rows.better(metric, float(str(row["estimate"])) - _goal(row)) if way else rows.FLAT
    return way if tone == rows.FLAT else tone


def _said(row: rows.Row, metric: Metric) -> str:
    """Return what a row says in words."""
    return f"{_word(row, metric)} than intended" if _way(row) else "no difference shown"


def _goal(row: Mapping[str, object]) -> float:
    return 1.0 if row["comparison"] == "share" else 0.0


def _left_out(found: pd.DataFrame, mine: Sequence[rows.Row]) -> str:
    """Say how many partners are not shown."""
    hidden = int((found["status"] == results.SUPPRESSED).sum())
    return rows.left_out(len(found) - hidden - len(mine), hidden)


def _why(found: pd.DataFrame) -> str:
    if len(found) and (found["status"] == results.SUPPRESSED).all():
        return "every partner has fewer customers than may be shown"
    notes = [note for note in found["note"] if note]
    return str(notes[0]) if notes else "the frame holds no partners against what was intended"


def _draw(sheet: Sheet, axes: Axes, mine: Sequence[rows.Row], metric: Metric, form: Format) -> None:
    """Draw the rows about the line of what was intended."""
    known = [row for row in mine if not missing_words(row)]
    ends = [abs(row[end]) for row in known for end in ("estimate", "conf_low", "conf_high") if math.isfinite(row[end])]
    name, factor = form.axis(metric.unit, max(ends))
    axes.set(ylim=(len(mine) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    goal = _goal(known[0])
    axes.axvline(goal * factor, color=style.INK, linewidth=1, dashes=(4, 3))
    axes.annotate("intended", (goal * factor, 1), (0, 3), xycoords=("data", "axes fraction"),
                  textcoords="offset points", ha="center", fontsize=7.5)  # fmt: skip
    for place, row in enumerate(mine):
        _row(sheet, axes, place, row, (metric, form, factor))
    name = name.replace("percent", "percentage points", 1) if goal == 0.0 else name
    what = "delivered less intended" if goal == 0.0 else "share of the intended that arrives"
    axes.set_xlabel(f"{metric.title}: {what}, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _row(sheet: Sheet, axes: Axes, place: int, row: rows.Row, how: tuple[Metric, Format, float]) -> None:
    """Draw one partner."""
    metric, form, factor = how
    at, words = _TOP + (place + 0.5) * _LINE, missing_words(row)
    sheet.text(0, at - 0.16, wrap(row["level"], _LEFT - 0.15, SMALL, lines=1))
    if words:
        sheet.text(0, at + 0.01, words, size=7.5, color=style.GREY, style="italic")
        return
    sheet.text(0, at + 0.01, f"n {form.count(row['n'])}", size=7.5, color=style.GREY)
    way = _way(row)
    tone = rows.better(metric, row["estimate"] - _goal(row)) if way else rows.FLAT
    colour = style.TONES[tone] if tone != rows.FLAT or not way else style.INK
    axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=colour, linewidth=1.8)
    axes.plot(row["estimate"] * factor, place, _MARKS[way], color=colour, markersize=7,
              markerfacecolor=colour if way else style.PAPER)  # fmt: skip
    value, limits = _numbers(row, metric, form)
    sheet.text(_RIGHT + 0.15, at - 0.16, value, weight="bold")
    sheet.text(_RIGHT + 0.15, at + 0.01, limits, size=7.5, color=style.GREY)
    sheet.text(_RIGHT + 1.9, at - 0.16, _said(row, metric), color=colour)


def _numbers(row: rows.Row, metric: Metric, form: Format) -> tuple[str, str]:
    """Return the number of a row and its interval: a change for a gap, a level for a share."""
    if row["comparison"] == "share":
        limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
        return form.short(row["estimate"], metric.unit), brief(limits)
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
    return brief(form.change(row["estimate"], metric.unit)), brief(limits)


def _cell(row: rows.Row, metric: Metric, form: Format) -> Cell:
    if missing_words(row):
        return Cell(f'<span class="cx-missing">{escape(missing_words(row))}</span>', row=row)
    value, limits = _numbers(row, metric, form)
    return Cell(f"{escape(value)}{markup.small(limits)}<br>{escape(_said(row, metric))}", row=row, unit=metric.unit)


def _alt(finding: str, about: str, mine: Sequence[rows.Row], metric: Metric, form: Format) -> str:
    """Return the chart in words."""
    told = []
    for row in mine:
        if missing_words(row):
            told.append(f"{row['level']}: {missing_words(row)}")
            continue
        value, limits = _numbers(row, metric, form)
        n = form.count(row["n"])
        told.append(f"{row['level']}: {value} (interval {limits}; n {n}), {_said(row, metric)}")
    return f"{finding}. {about} {'. '.join(told)}."
