"""What are customers worth? Value to come beside value so far, by group; and whether the models may be used at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, lasting, missing_words
from cxlib.show.markup import Cell, Html

AHEAD, PAST = "lifetime_value", "historic_value"
_MOST = 25  # groups drawn
_NAME, _LEFT, _RIGHT, _TOP, _LINE = 1.95, 2.6, 5.6, 0.26, 0.44  # inches
_COLUMNS = ((5.75, AHEAD, "to come"), (7.05, PAST, "so far"), (8.35, AHEAD + "_total", "all together"))
_LOOKS: dict[str, tuple[float, float, dict[str, Any]]] = {
    PAST: (0.16, 1.2, {"marker": "s", "color": style.GREY, "markersize": 5, "markerfacecolor": style.PAPER}),
    AHEAD: (-0.1, 2.2, {"marker": "o", "color": style.BLUE, "markersize": 7}),
}
_CHECKS = {
    "repeat_buyers": "Enough customers bought again",
    "purchase_fit": "Customers buy as often as the model says",
    "frequency_value_correlation": "How often and how much have nothing to do with each other",
    "spend_fit": "Amounts vary as the model says",
    "calendar": "No month stands out",
    "trend": "No trend beside the model",
}
_LUCK = (
    "The interval holds the doubt of the model's parameters and what customers may do otherwise, not that of a model "
    "that does not fit."
)
_SHAPES = {"holds": ("●", "better"), "doubt": ("◇", "flat"), "refuses": ("■", "worse")}


@themed
def worth_by_group(
    frame: pd.DataFrame,
    *,
    unit: str = "week",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a group: mean value to come with its interval, the value so far beside it, and the total to come.

    Parameters
    ----------
    frame
        Result frame `rows` of `value.lifetime_value`, with those of `value.historic_value` where they are to be shown;
        where rows of `value.checks` beside them are in doubt, the title says so.
        The 25 largest groups are drawn, those of the highest value first.
    unit
        Of the horizon.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = frame[frame["metric"].isin([column[1] for column in _COLUMNS])]
    names = _names(mine)
    if not names:
        return nothing("the frame holds no lifetime value", finding)
    form = formatting(currency, locale)
    book = {(row["level"], row["metric"]): row for row in rows.records(mine)}
    if all(missing_words(book.get((name, AHEAD))) for name in names):
        return nothing(
            f"no lifetime value is given: {rows.why_not(mine[mine['metric'] == AHEAD], 'hidden, small group')}", finding
        )
    told = finding or f"{_finding(book, names, unit, form)}{_with_care(frame)}"
    sheet = Sheet(told, _subtitle(mine, len(names), unit), _TOP + len(names) * _LINE + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(names) * _LINE, label="worth")
    _draw(axes, book, names, form)
    sheet.text(_LEFT - 0.12, 0, "customers", size=7.5, color=style.GREY, ha="right")
    for left, metric, head in _COLUMNS:
        if any(metric == key for _, key in book):
            sheet.text(left, 0, head, size=7.5, color=style.GREY)
    for place, name in enumerate(names):
        _words(sheet, book, name, _TOP + place * _LINE, form)
    return sheet.done(_alt(told, book, names, form))


def value_checks_table(frame: pd.DataFrame, *, title: str | None = None) -> Html:
    """One row an assumption of the models: whether it holds, and what was seen.

    Parameters
    ----------
    frame
        Result frame of `value.checks`; other rows are passed over.
    title
        Heading; default the finding.
    """
    found = _judged(frame)
    if not found:
        return markup.nothing(title or "What the value rests on", "the frame holds no checks")
    counts = _counted(found)
    columns: dict[str, list[Cell]] = {
        "Verdict": [_verdict(verdict) for _, verdict, _ in found],
        "What was seen": [markup.text_cell(f"{words[:1].upper()}{words[1:]}") for *_, words in found],
        "n": [markup.n_cell(row, Format()) for row, *_ in found],
    }
    body = markup.table(columns, ["Assumption"], [(_CHECKS[row["metric"]],) for row, *_ in found])
    notes = [f"{escape(_CHECKS[row['metric']])}: {escape(row['method'])}" for row, *_ in found if row["method"]]
    return markup.figure(title or _allowed(counts), body, notes)


def _judged(frame: pd.DataFrame) -> list[tuple[rows.Row, str, str]]:
    """Return the checks of the frame, each with its verdict and what was seen."""
    mine = rows.records(frame[frame["metric"].isin(list(_CHECKS)) & (frame["note"] != "")])
    return [(row, *row["note"].partition(": ")[::2]) for row in mine]


def _counted(found: Sequence[tuple[rows.Row, str, str]]) -> dict[str, int]:
    """Return how many checks have each verdict."""
    return {word: sum(verdict == word for _, verdict, _ in found) for word in _SHAPES}


def _with_care(frame: pd.DataFrame) -> str:
    """Say how many of the frame's checks are in doubt; empty where none is."""
    counts = _counted(_judged(frame))
    return f" (with care: {counts['doubt']} of {sum(counts.values())} assumptions in doubt)" if counts["doubt"] else ""


def _allowed(counts: dict[str, int]) -> str:
    """Say whether a value is given."""
    if counts["refuses"]:
        return "No lifetime value is given: what it rests on does not hold"
    several = f"{counts['doubt']} of {sum(counts.values())} assumptions are"
    one = f"1 of {sum(counts.values())} assumptions is"
    doubt = one if counts["doubt"] == 1 else several
    return (
        f"Use the lifetime value with care: {doubt} in doubt"
        if counts["doubt"]
        else "What the lifetime value rests on holds"
    )


def _verdict(word: str) -> Cell:
    shape, tone = _SHAPES.get(word, ("", "flat"))
    return Cell(f'<span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {escape(word)}</span>', number=False)


def _names(mine: pd.DataFrame) -> list[str]:
    """Return the groups to draw, all customers first, then by value."""
    ahead = mine[mine["metric"] == AHEAD]
    groups = ahead[ahead["segment"] != "all"].sort_values(["n", "level"], ascending=[False, True], na_position="last")
    drawn = groups.head(_MOST).sort_values(["estimate", "level"], ascending=[False, True], na_position="last")
    return [*dict.fromkeys(ahead.loc[ahead["segment"] == "all", "level"]), *drawn["level"]]


def _subtitle(mine: pd.DataFrame, drawn: int, unit: str) -> str:
    """Say what is drawn."""
    ahead = mine[mine["metric"] == AHEAD]
    at, past = lasting(str(ahead["at"].iloc[0]), unit), (mine["metric"] == PAST).any()
    beside = "; □ so far, since the first purchase" if past else ""
    told = [f"Margin per customer in the next {at}, discounted: ● with its interval{beside}."]
    methods = ahead.loc[ahead["status"] == results.OK, "method"]
    luck = len(methods) and "prediction" in methods.iloc[0]
    told += [_LUCK] if luck else []
    told += ["One model for all: groups differ by what their customers did."] if drawn > 1 else []
    more = len(ahead) - drawn
    told += [f"{more} smaller group{'s' * (more > 1)} not drawn."] if more > 0 else []
    return " ".join(told)


def _finding(book: dict[tuple[str, str], rows.Row], names: Sequence[str], unit: str, form: Format) -> str:
    """Say in one sentence what a customer and all customers are worth."""
    whole, total = book.get(("all", AHEAD)), book.get(("all", AHEAD + "_total"))
    if whole is None or total is None or missing_words(whole):
        return f"Lifetime value of {len(names)} groups"
    limits = form.interval(whole["conf_low"], whole["conf_high"], "money")
    span = lasting(whole["at"], unit)
    told = f"A customer will be worth {form.value(whole['estimate'], 'money')} ({limits}) in the next {span}"
    return f"{told}, all {form.count(whole['n'])} together {form.value(total['estimate'], 'money')}"


def _draw(axes: Axes, book: dict[tuple[str, str], rows.Row], names: Sequence[str], form: Format) -> None:
    """Draw dots and intervals to come, squares so far."""
    keys = [(name, metric) for name in names for metric in _LOOKS]
    found = [book[key] for key in keys if key in book and not missing_words(book[key])]
    ends = [row[end] for row in found for end in ("estimate", "conf_low", "conf_high") if math.isfinite(row[end])]
    unit, factor = form.axis("money", max((abs(end) for end in ends), default=0.0))
    axes.set(ylim=(len(names) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for place, name in enumerate(names):
        for metric, (shift, width, look) in _LOOKS.items():
            row = book.get((name, metric))
            if row is not None and not missing_words(row):
                limits = row["conf_low"] * factor, row["conf_high"] * factor
                axes.hlines(place + shift, *limits, color=look["color"], linewidth=width)
                axes.plot(row["estimate"] * factor, place + shift, **look)
    low, high = min([0.0, *ends]) * factor, max([0.0, *ends]) * factor
    axes.set_xlim(low - 0.02 * (high - low), high + 0.05 * (high - low) if high > low else 1.0)
    axes.set_xlabel(f"margin per customer, {unit}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _words(sheet: Sheet, book: dict[tuple[str, str], rows.Row], name: str, top: float, form: Format) -> None:
    """Write the name, n and numbers of one row."""
    ahead, middle = book.get((name, AHEAD)), top + _LINE / 2
    bold = "bold" if name == "all" else "normal"
    lines = wrap("All customers" if name == "all" else plain(name), _NAME, SMALL, bold=name == "all", lines=2)
    sheet.text(0, middle - 0.08 * len(lines), lines, weight=bold)
    n = form.count(ahead["n"]) if ahead is not None and not missing_words(ahead) else ""
    sheet.text(_LEFT - 0.12, middle - 0.08, n, color=style.GREY, ha="right", size=7.5)
    for left, metric, _ in _COLUMNS:
        row = book.get((name, metric))
        if row is None:
            continue
        if missing_words(row):
            sheet.text(left, middle - 0.08, wrap(missing_words(row), 1.25, 7.5, lines=2), size=7.5, color=style.GREY)
            continue
        sheet.text(
            left, middle - 0.15, form.value(row["estimate"], "money"), weight="bold" if metric != PAST else "normal"
        )
        limits = form.interval(row["conf_low"], row["conf_high"], "money")
        sheet.text(left, middle + 0.02, wrap(limits, 1.28, 7.0, lines=1), size=7.0, color=style.GREY)
    sheet.rule(top)


def _alt(told: str, book: dict[tuple[str, str], rows.Row], names: Sequence[str], form: Format) -> str:
    """Return the chart in words."""
    parts = []
    for name in names:
        words: list[Any] = []
        for _, metric, head in _COLUMNS:
            row = book.get((name, metric))
            if row is not None:
                limits = form.interval(row["conf_low"], row["conf_high"], "money")
                value = missing_words(row) or f"{form.value(row['estimate'], 'money')} (interval {limits})"
                words.append(f"{head} {value}")
        parts.append(f"{'all customers' if name == 'all' else name}: {', '.join(words)}")
    return f"{told}. Dots with intervals per customer. {'; '.join(parts)}."
