"""Where are leads lost? By source: how many do not buy, what each outcome costs, and the money that is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.analysis.journeys import leakage
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import capital, named
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.promise import Names, why

_LINE, _TOP, _LEFT, _RIGHT = 0.4, 0.3, 1.9, 5.2
_SHARE, _ORDER = 5.45, 7.6
_COLUMNS = {
    leakage.LEAKED: ("Did not buy", "percent"), leakage.KEPT: ("Kept", "percent"),
    leakage.PER_LEAD: ("Cost per lead", "money"), leakage.PER_ORDER: ("Cost per first order", "money"),
    leakage.PER_KEPT: ("Cost per kept customer", "money"), leakage.LOST: ("Money lost", "money"),
}  # fmt: skip


@themed
def leakage_chart(
    frame: pd.DataFrame,
    *,
    names: Names = None,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One bar a source: money spent on leads that did not buy in time, with interval; beside it share and cost.

    Parameters
    ----------
    frame
        Of `Run.leakage`.
    names
        Source -> its title.
    finding, currency, locale
        As in `small_multiples`.
    """
    book, sources = _book(frame), _sources(frame)
    drawn = [name for name in sources if not missing_words(book.get((leakage.LOST, name)))]
    metric, unit = (leakage.LOST, "money") if drawn else (leakage.LEAKED, "percent")
    drawn = drawn or [name for name in sources if not missing_words(book.get((leakage.LEAKED, name)))]
    if not drawn:
        return nothing(why(frame, leakage.LEAKED if len(sources) else "leakage"), finding)
    form = formatting(currency, locale)
    title, about = finding or _finding(frame, names, form), _about(book, sources, drawn, names)
    sheet = Sheet(title, about, _TOP + len(drawn) * _LINE + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(drawn) * _LINE, label="leakage")
    _bars(sheet, axes, [book[metric, name] for name in drawn], unit, names, form)
    heads = ((_SHARE, leakage.LEAKED), (_ORDER, leakage.PER_ORDER))
    for x, column in heads:
        sheet.text(x, 0, _COLUMNS[column][0], size=7.5, color=style.GREY)
    for place, name in enumerate(drawn):
        for x, column in heads:
            _beside(sheet, x, _TOP + (place + 0.5) * _LINE, book.get((column, name)), _COLUMNS[column][1], form)
    told = [_sentence(name, book, names, form) for name in drawn]
    return sheet.done(f"{title}. {about} {' '.join(told)}")


def leakage_table(
    frame: pd.DataFrame,
    *,
    names: Names = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a source, the most money lost first: leads, the share that did not buy, cost per outcome, intervals.

    Parameters
    ----------
    frame, names, currency, locale
        As in `leakage_chart`.
    title
        Heading; default the finding.
    """
    book, sources = _book(frame), _sources(frame)
    if not sources:
        return markup.nothing(title or "Where leads are lost", rows.why_not(frame, "the frame holds no source"))
    form, columns = formatting(currency, locale), dict[str, list[Cell]]()
    every = ["all", *sources]
    columns["Leads"] = [_leads(book, name, form) for name in every]
    for metric, (head, unit) in _COLUMNS.items():
        columns[head] = [markup.estimate_cell(book.get((metric, name)), unit, form) for name in every]
    if all(missing_words(book.get((leakage.LOST, name))) for name in every):
        for metric in leakage.COSTS:
            del columns[_COLUMNS[metric][0]]
    keys = [("All" if name == "all" else capital(named(name, names)),) for name in every]
    notes = list(dict.fromkeys(note for note in _notes(book) if note))
    body = markup.table(columns, ["Source"], keys)
    heading = title or _finding(frame, names, form)
    return markup.figure(heading, body, [escape(one) for one in notes])


def _leads(book: Mapping[tuple[str, str], rows.Row], name: str, form: Format) -> Cell:
    """Return how many leads there were, and which share of them may still buy."""
    cell, still = markup.n_cell(book.get((leakage.LEAKED, name)), form), book.get((leakage.OPEN, name))
    if still is None or missing_words(still):
        return cell
    told = f"{form.value(still['estimate'], 'percent')} still open"
    return cell._replace(html=cell.html + markup.small(told))


def _book(frame: pd.DataFrame) -> dict[tuple[str, str], rows.Row]:
    return {(row["metric"], row["level"]): row for row in rows.records(frame)}


def _sources(frame: pd.DataFrame) -> list[str]:
    """Return the sources that leads came by, in the order of the frame; hidden ones last."""
    mine = frame[(frame["segment"] == "source") & (frame["metric"] == leakage.LEAKED)]
    hidden = mine["status"] == results.SUPPRESSED
    return [str(name) for name in (*mine.loc[~hidden, "level"], *mine.loc[hidden, "level"]) if name != "all"]


def _finding(frame: pd.DataFrame, names: Names, form: Format) -> str:
    """Say how many leads do not buy, and where most money goes to them: one source only where its interval is apart."""
    book, sources = _book(frame), _sources(frame)
    whole, lost = book.get((leakage.LEAKED, "all")), [book.get((leakage.LOST, name)) for name in sources]
    if whole is None or missing_words(whole):
        return "Where leads are lost"
    head = f"{form.value(whole['estimate'], 'percent')} of leads do not buy within {whole['at']}"
    known = [row for row in lost if row is not None and not missing_words(row)]
    if not known:
        return f"{head}; what they cost is not known"
    first = known[0]
    money = (
        f"{form.value(first['estimate'], 'money')} ({form.interval(first['conf_low'], first['conf_high'], 'money')})"
    )
    name = capital(named(first["level"], names))
    if all(first["conf_low"] > row["conf_high"] for row in known[1:]):
        return f"{head}; most money is lost on {name}: {money}"
    return f"{head}; {name} is among the sources on which most money is lost: {money}"


def _about(
    book: dict[tuple[str, str], rows.Row], sources: Sequence[str], drawn: Sequence[str], names: Names
) -> str:  # fmt: skip
    """Return how to read the chart, and which sources are not in it and why."""
    money = (leakage.LOST, drawn[0]) in book and not missing_words(book[leakage.LOST, drawn[0]])
    read = (
        "Bar: what was spent on leads that did not buy in time"
        if money
        else "Bar: share of leads that did not buy in time"
    )
    told = [f"{read}; line: interval. Leads that may still buy are allowed for."]
    metric = leakage.LOST if money else leakage.LEAKED
    for name in sources:
        if name not in drawn:
            row = book.get((metric, name))
            words = row["note"] if row and row["status"] == results.UNDEFINED else missing_words(row)
            told.append(f"{capital(named(name, names))}: {words}.")
    return " ".join(told)


def _bars(sheet: Sheet, axes: Axes, mine: Sequence[rows.Row], unit: str, names: Names, form: Format) -> None:
    """Draw one bar a source."""
    name, factor = form.axis(unit, max(abs(row["conf_high"]) for row in mine))
    for place, row in enumerate(mine):
        axes.barh(place, row["estimate"] * factor, 0.5, color=style.BLUE)
        for colour, width in ((style.PAPER, 3.2), (style.INK, 1.2)):
            axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=colour, linewidth=width)
        middle = _TOP + (place + 0.5) * _LINE
        sheet.text(0, middle - 0.16, wrap(capital(named(row["level"], names)), _LEFT - 0.15, SMALL, lines=1))
        sheet.text(0, middle + 0.01, f"{form.count(row['n'])} leads", size=7.5, color=style.GREY)
    axes.set(ylim=(len(mine) - 0.5, -0.5), yticks=[])
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{'money lost' if unit == 'money' else 'did not buy'}, {name}", fontsize=8)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _beside(sheet: Sheet, x: float, middle: float, row: rows.Row | None, unit: str, form: Format) -> None:
    """Write a number with its interval beside a bar."""
    if row is None or missing_words(row):
        sheet.text(x, middle - 0.08, missing_words(row), size=7.5, color=style.GREY, style="italic")
        return
    sheet.text(x, middle - 0.16, form.value(row["estimate"], unit), weight="bold")
    limits = form.interval(row["conf_low"], row["conf_high"], unit)
    sheet.text(x, middle + 0.01, limits, size=7.5, color=style.GREY)


def _sentence(name: str, book: dict[tuple[str, str], rows.Row], names: Names, form: Format) -> str:
    """Return one source in a sentence."""
    parts = []
    for metric, (head, unit) in _COLUMNS.items():
        row = book.get((metric, name))
        if row is not None and not missing_words(row):
            limits = form.interval(row["conf_low"], row["conf_high"], unit)
            parts.append(f"{head.lower()} {form.value(row['estimate'], unit)} ({limits})")
    return f"{capital(named(name, names))}: {', '.join(parts)}."


def _notes(book: dict[tuple[str, str], rows.Row]) -> list[str]:
    """Return what the words of the columns mean, and how the numbers were made."""
    told = []
    for metric, (head, _) in _COLUMNS.items():
        own = [row for (name, _), row in book.items() if name == metric]
        if own:
            about = own[0]["note"] if own[0]["status"] == results.OK else ""
            at = f"within {own[0]['at']}" if metric == leakage.LEAKED and own[0]["at"] else ""
            told.append(f"{head}: {', '.join(part for part in (at, about, own[0]['method']) if part)}")
    told += [f"{name}: {row['note']}" for (metric, name), row in book.items()
             if metric == leakage.PER_LEAD and row["status"] == results.UNDEFINED]  # fmt: skip
    return told
