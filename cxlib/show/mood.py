"""The mood of words, by language: only where it agrees with the score that the same customers gave."""

from __future__ import annotations

import pandas as pd

from cxlib import results
from cxlib.analysis.voice.sentiment import BAR, CHECK, SENTIMENT
from cxlib.show import markup, rows
from cxlib.show.drivers import why
from cxlib.show.formats import formatting
from cxlib.show.markup import Cell, Html


def mood_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a language: how often the mood of words goes the way of the score, and the mood where that is enough.

    Parameters
    ----------
    frame
        Result frame of `Run.sentiment`.
    title
        Heading.
    locale
        Of the numbers.
    """
    form, told = formatting(None, locale), rows.records(frame)
    moods = {row["level"]: row for row in told if row["metric"] == SENTIMENT and row["segment"] == "language"}
    agree = {row["level"]: row for row in told if row["metric"] == CHECK and row["at"] == "concordance"}
    shown = [row["level"] for row in moods.values() if row["status"] == results.OK]
    heading = title or (f"The mood of words, in {rows.listed(shown)}" if shown else "The mood of words is not told")
    if not moods:
        return markup.nothing(heading, why(frame, "the frame holds no mood of words"))
    columns = {
        "Goes the way of the score": [markup.estimate_cell(agree.get(name), "percent", form) for name in moods],
        "Mood, from −1 to 1": [_mood(row) for row in moods.values()],
        "Texts": [markup.n_cell(agree.get(name), form) for name in moods],
    }
    below = "Of two comments, how often that with the higher score has the better mood: half of the time by chance. "
    below += f"Where that may be less than {form.value(BAR, 'percent')} no mood is told. The score given comes first."
    return markup.figure(heading, markup.table(columns, ["Language"], [(name,) for name in moods]), (), below)


def _mood(row: rows.Row) -> Cell:
    """Return the mood, or that it is not told."""
    if row["status"] == results.UNDEFINED:
        return Cell('<span class="cx-missing">not told</span>', row=row)
    return markup.estimate_cell(row, "score", formatting())
