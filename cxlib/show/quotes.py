"""What customers wrote, in their own words: typical of each theme, and what was taken out shown as such."""

from __future__ import annotations

import re
from html import escape

import pandas as pd

from cxlib.analysis.redaction import KINDS
from cxlib.show import markup, rows
from cxlib.show.drivers import why
from cxlib.show.formats import formatting
from cxlib.show.markup import Cell, Html

_TAKEN = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")


def quotes_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a quote, theme by theme: the words, their language, and how many customers name the theme.

    Parameters
    ----------
    frame
        Result frame of `Run.quotes`.
    title
        Heading.
    locale
        Of the numbers.
    """
    heading, form = title or "Typical of what customers write, theme by theme", formatting(None, locale)
    mine = rows.records(frame[frame["metric"] == "quote"])
    shown = [row for row in mine if row["status"] == "ok" and row["note"]]
    if not shown:
        return markup.nothing(heading, why(frame, "the frame holds no quotes"))
    columns = {
        "What customers wrote": [Cell(quoted(row["note"]), number=False) for row in shown],
        "Language": [markup.text_cell(row["against"]) for row in shown],
        "Customers who name it": [markup.n_cell({**row, "estimate": row["n"]}, form) for row in shown],
    }
    silent = [row["level"] for row in mine if row["status"] != "ok"]
    below = "Typical of what many wrote, not what was put most strikingly; what tells who somebody is was taken out."
    below += f" Too few customers to be quoted: {rows.listed(list(dict.fromkeys(silent)))}." if silent else ""
    body = markup.table(columns, ["Theme", "Quote"], [(row["level"], row["at"]) for row in shown])
    return markup.figure(heading, body, (), below)


def quoted(words: str) -> str:
    """Return a quote as HTML: escaped, with marks where something was taken out."""
    parts, place = [], 0
    for found in _TAKEN.finditer(words):
        parts += [escape(words[place : found.start()]), f'<span class="cx-missing">{escape(found[0])}</span>']
        place = found.end()
    return f"“{''.join([*parts, escape(words[place:])])}”"
