"""What a point of satisfaction comes to in money: by spending more, by staying longer, and by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.value.link_evidence import evidence, linked
from cxlib.analysis.value.link_money import BOTH, LONGER, MORE
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import capital
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.money import called, effect_told, is_shown, judged, more

_READ = "Bar: money that goes with {} of satisfaction, line: interval; hollow: not shown."
_TOP, _LINE = 0.25, 0.46  # inches


@themed
def worth_chart(
    frame: pd.DataFrame,
    *,
    titles: Mapping[str, str] | None = None,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One bar each for spending more, staying longer, and both: what a point more would bring, with intervals.

    Parameters
    ----------
    frame
        Result frame of `value.worth`; links beside it are told with their evidence.
    titles
        Level -> how it is called.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = _amounts(frame)
    if not mine:
        return nothing(rows.why_not(frame, "the frame holds no money"), finding)
    form, names = formatting(currency, locale), titles or {}
    about, proof = mine[0]["method"].partition(", ")[2], _proof(frame, names)
    sheet = Sheet(
        finding or _finding(mine, about, form),
        f"{_READ.format(more(mine[0]))} {about}.{proof}",
        len(mine) * _LINE + _TOP + 0.45,
    )
    axes = sheet.axes(2.2, 0.05, 4.6, len(mine) * _LINE, label="worth")
    _bars(sheet, axes, mine, names, form)
    told = [f"{called(row['level'], names)}: {effect_told(row, 'money', form)}" for row in mine]
    return sheet.done(f"{sheet.figure.finding}. {about}.{proof} Bars with intervals. {'. '.join(told)}.")


def worth_table(
    frame: pd.DataFrame,
    *,
    titles: Mapping[str, str] | None = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row each for spending more, staying longer, and both: money with interval, and whether it is shown.

    Parameters
    ----------
    frame, titles, currency, locale
        As in `worth_chart`.
    title
        Heading; default the finding.
    """
    mine = _amounts(frame)
    if not mine:
        return markup.nothing(title or "What a point is worth", rows.why_not(frame, "the frame holds no money"))
    form, names = formatting(currency, locale), titles or {}
    about = mine[0]["method"].partition(", ")[2]
    columns = {
        more(mine[0]).capitalize(): [_money_cell(row, form) for row in mine],
        "Gain": [markup.text_cell("" if missing_words(row) else judged(row, 0)) for row in mine],
    }
    keys = [(capital(called(row["level"], names)),) for row in mine]
    told = [escape(f"Money for {about}.{_proof(frame, names)}")]
    return markup.figure(title or _finding(mine, about, form), markup.table(columns, ["By"], keys), told)


def _amounts(frame: pd.DataFrame) -> list[rows.Row]:
    """Return the rows of money by way, the sum last; none where no way has a number."""
    mine = rows.records(frame[(frame["comparison"] == "difference") & frame["level"].isin([MORE, LONGER, BOTH])])
    return [] if all(missing_words(row) for row in mine) else mine


def _proof(frame: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return the evidence of the links beside the money; empty where they are not told."""
    grades = [f"{called(name, names)} {evidence(frame, outcome=name).grade}" for name in linked(frame)]
    return f" Evidence: {', '.join(grades)}." if grades else ""


def _money_cell(row: rows.Row, form: Format) -> Cell:
    if missing_words(row):
        return markup.missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], "money", change=True)
    return Cell(escape(form.change(row["estimate"], "money")) + markup.small(limits), row=row, unit="money")


def _bars(sheet: Sheet, axes: Axes, mine: Sequence[rows.Row], names: Mapping[str, str], form: Format) -> None:
    """Draw the bars of `worth_chart`."""
    known = [row for row in mine if not missing_words(row)]
    ends = [abs(row[end]) for row in known for end in ("conf_low", "conf_high")]
    name, factor = form.axis("money", max(ends))
    axes.set(ylim=(len(mine) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color=style.INK, linewidth=1)
    for place, row in enumerate(mine):
        middle = 0.05 + (place + 0.5) * _LINE
        strong = "bold" if row["level"] == "both" else "normal"
        sheet.text(0, middle - 0.08, wrap(called(row["level"], names), 2.0, SMALL, lines=1), weight=strong)
        if missing_words(row):
            sheet.text(6.95, middle - 0.08, wrap(row["note"] or missing_words(row), 2.6, 7.5, lines=2), size=7.5)
            continue
        shown = is_shown(row)
        face, edge = (style.BLUE, style.BLUE) if shown else (style.PAPER, style.GREY)
        axes.barh(place, row["estimate"] * factor, 0.5, color=face, edgecolor=edge)
        for colour, width in (*[(style.PAPER, 3.2)] * shown, (style.INK, 1.2)):
            axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=colour, linewidth=width)
        sheet.text(6.95, middle - 0.16, form.change(row["estimate"], "money"), weight="bold")
        limits = form.interval(row["conf_low"], row["conf_high"], "money", change=True)
        sheet.text(6.95, middle + 0.01, limits, size=7.5, color=style.GREY)
    axes.set_xlabel(f"money, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _finding(mine: Sequence[rows.Row], about: str, form: Format) -> str:
    """Say what a point more comes to."""
    last = next(row for row in reversed(mine) if not missing_words(row))
    limits = form.interval(last["conf_low"], last["conf_high"], "money", change=True)
    if not is_shown(last):
        return f"{more(last).capitalize()} for {about}: no gain is shown ({limits})"
    return f"{more(last).capitalize()} for {about} goes with {form.change(last['estimate'], 'money')} ({limits})"
