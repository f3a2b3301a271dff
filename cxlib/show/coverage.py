"""Which share of events lies at a touchpoint of the taxonomy, and what nobody claims."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib import results
from cxlib.analysis.journeys.coverage import BY_RULE, CHANNEL, CLASSIFIED, NAMELESS, UNPLACED
from cxlib.params.places import ID, NAME, NOWHERE, PATTERN
from cxlib.show import markup, rows
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

_RULES = {
    ID: "by the touchpoint itself",
    NAME: "by another name of it",
    PATTERN: "by a pattern of names",
    CHANNEL: "by the channel of the order",
    NOWHERE: "not placed: nobody claims the name",
    NAMELESS: "no touchpoint noted",
}


def coverage_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One block a table of events: how many are classified, by which rule, and every name that nobody claims.

    Parameters
    ----------
    frame
        Result frame of `Run.coverage`.
    title
        Heading; default what was found.
    locale
        Of numbers.
    """
    whole = rows.records(frame[frame["metric"] == CLASSIFIED])
    if not whole:
        return markup.nothing(title or "Are all touchpoints known?", rows.why_not(frame, "the frame holds no coverage"))
    form = formatting(None, locale)
    totals = {row["level"]: row["n"] for row in whole}
    lines: list[tuple[tuple[str, str], rows.Row]] = []
    for row in whole:
        table = row["level"]
        mine = frame[frame["segment"] == table]
        lines.append(((table.capitalize(), "classified"), row))
        rules = rows.records(mine[mine["metric"] == BY_RULE])
        lines += [((table.capitalize(), _RULES[one["level"]]), one) for one in rules]
        loose = rows.records(mine[mine["metric"] == UNPLACED])
        lines += [((table.capitalize(), f"not placed: {one['level']}"), one) for one in loose]
    columns = {
        "Share of events": [_share(row, form, totals) for _, row in lines],
        "Events": [markup.n_cell(row, form) for _, row in lines],
    }
    heads, keys = ["What happened", "How it is placed"], [key for key, _ in lines]
    return markup.figure(title or _finding(whole, frame, form), markup.table(columns, heads, keys), (), _BELOW)


_BELOW = (
    "Everything is counted, nothing is sampled. What nobody claims keeps its name on every page: name it at its "
    "touchpoint in touchpoints.yml."
)


def _share(row: rows.Row, form: Format, totals: Mapping[str, float]) -> Cell:
    """Return which share of its table's events a row stands for."""
    if missing_words(row):
        return markup.missing_cell(row)
    if row["metric"] != UNPLACED:
        return Cell(form.value(row["estimate"], "percent"), row=row, unit="percent")
    total = totals.get(row["segment"], float("nan"))
    return Cell(form.value(row["estimate"] / total, "percent") if total == total else "")


def _finding(whole: list[rows.Row], frame: pd.DataFrame, form: Format) -> str:
    """Return the least classified table in a sentence, and how many names nobody claims."""
    rules = frame[(frame["metric"] == BY_RULE) & (frame["level"] == NAMELESS) & (frame["estimate"] == 1)]
    silent = [row["level"] for row in whole if row["level"] in set(rules["segment"])]
    known = [row for row in whole if row["status"] == results.OK and row["level"] not in silent]
    loose = frame[(frame["metric"] == UNPLACED) & (frame["status"] == results.OK)]
    more = f"; {len(loose)} name{'s are' if len(loose) != 1 else ' is'} claimed by nobody" if len(loose) else ""
    more += f"; {rows.listed(silent)} name none" if silent else ""
    if not known:
        return f"No events of which it can be said how many are at a known touchpoint{more}"
    if all(row["estimate"] == 1 for row in known):
        return f"All {rows.listed([row['level'] for row in known])} are at a known touchpoint{more}"
    least = min(known, key=lambda row: (row["estimate"], row["level"]))
    return f"{form.value(least['estimate'], 'percent')} of {least['level']} are at a known touchpoint{more}"
