"""Is there something new? The alarm in a sentence, and the words behind it; candidates for new themes."""

from __future__ import annotations

import pandas as pd

from cxlib import results
from cxlib.analysis.voice.novelty import ALARM, REST, TERM
from cxlib.analysis.voice.themes import CANDIDATE
from cxlib.show import markup, rows
from cxlib.show.drivers import capital, why
from cxlib.show.formats import formatting
from cxlib.show.markup import Cell, Html
from cxlib.show.rows import Row

_BEFORE = {"new": "not there", "kept": "there"}


def new_words_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a signal: texts without a theme, and each word that is new, now and before; the alarm as the heading.

    Parameters
    ----------
    frame
        Result frame of `Run.new_themes`.
    title
        Heading; default what the alarm says.
    locale
        Of the numbers.
    """
    alarm = next(iter(rows.records(frame[frame["metric"] == ALARM])), None)
    if alarm is None or alarm["status"] != results.OK:
        return markup.nothing(
            title or "Nothing can be told of new themes", why(frame, "the frame holds no look for new themes")
        )
    form = formatting(None, locale)
    found = rows.records(frame[frame["metric"].isin([REST, TERM]) & (frame["status"] == results.OK)])
    heading = title or capital(alarm["note"])
    if not found:
        return markup.figure(heading, "", (), why(frame, ""))
    columns = {
        "Share now": [markup.estimate_cell(row, "percent", form) for row in found],
        "Before": [markup.text_cell(row["against"]) for row in found],
        "Verdict": [_verdict(row) for row in found],
        "Said with it": [markup.text_cell(row["note"]) for row in found],
        "n": [markup.n_cell(row, form) for row in found],
    }
    keys = [("Texts that name no theme" if row["metric"] == REST else f"“{row['level']}”",) for row in found]
    rest = [row["note"] for row in rows.records(frame[frame["status"] != results.OK]) if row["note"]]
    below = "Shares of customers who wrote and name no theme; of texts in the first row. "
    below += "If nothing is new, at most one month in a hundred raises the alarm."
    return markup.figure(heading, markup.table(columns, ["What"], keys), (), " ".join([below, *map(capital, rest)]))


def candidates_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a candidate for a theme, the most frequent first: its share of the texts without one, and its words.

    Parameters
    ----------
    frame
        Result frame of `Run.theme_candidates`.
    title, locale
        As in `new_words_table`.
    """
    mine = rows.records(frame[(frame["metric"] == CANDIDATE) & (frame["status"] == results.OK)])
    heading, form = title or "Candidates for new themes, among the texts that name none", formatting(None, locale)
    if not mine:
        return markup.nothing(heading, why(frame, "no words are shared by enough texts"))
    columns = {
        "Share of the texts without a theme": [markup.estimate_cell(row, "percent", form) for row in mine],
        "Words": [markup.text_cell(row["note"].rpartition("words: ")[2]) for row in mine],
        "A month before": [markup.text_cell(_BEFORE.get(row["note"].partition(";")[0], "")) for row in mine],
        "Texts": [markup.n_cell(row, form) for row in mine],
    }
    below = "Found by a machine in words that go together: a person reads the texts and decides what becomes a theme."
    return markup.figure(heading, markup.table(columns, ["Candidate"], [(row["level"],) for row in mine]), (), below)


def _verdict(row: Row) -> Cell:
    """Return whether a signal stands out."""
    words = {"moved": "▲ more than before", "not shown": "○ as before"}.get(row["verdict"], "")
    return markup.text_cell(words)
