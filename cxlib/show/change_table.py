"""The registered changes that are due, each with its effect, how sure that is, and why it was looked at so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from cxlib.params.models import Change, Metric
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.change_effects import (
    Key,
    chosen,
    effect_of,
    effect_words,
    grade_of,
    none_due,
    studied,
    title_of,
)
from cxlib.show.differences import p_told, plain
from cxlib.show.drivers import capital
from cxlib.show.formats import Format, formatting, metric_of, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.trial_effects import difference_cell

_TITLE = "Due this time"


def changes_table(
    frame: pd.DataFrame,
    register: Mapping[str, Change],
    metrics: Mapping[str, Metric],
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a change and metric: what was expected, the effect, the verdict, the evidence, and what misleads.

    Parameters
    ----------
    frame
        Result frame of `Run.changes`.
    register
        Change id -> its entry.
    metrics
        Metric id -> definition.
    title
        Heading.
    currency, locale
        As in `charts.small_multiples`.

    Returns
    -------
    Html
        With the designs, checks and sentences of each folded beneath; where no change is due, the next one.
    """
    keys, lead = studied(frame), chosen(frame)
    following = " ".join(f"{plain(note)}." for note in frame.loc[frame["segment"] == "next", "note"])
    if not keys:
        return markup.nothing(title or _TITLE, none_due(frame))
    form = formatting(currency, locale)
    effects = [effect_of(frame, key, lead.get(key, "")) for key in keys]
    measured = [metric_of(metrics, key[1]) for key in keys]
    columns = {
        "Expected": [_expected(register[key[0]], metric, form) for key, metric in zip(keys, measured, strict=True)],
        "Effect": [_effect(row, metric, form) for row, metric in zip(effects, measured, strict=True)],
        "Evidence": [_evidence(frame, key) for key in keys],
        "How it was looked at": [_design(frame, key, lead.get(key, "")) for key in keys],
    }
    names = [(_named(frame, register[key[0]]), metric.title) for key, metric in zip(keys, measured, strict=True)]
    notes = [_note(frame, key, register[key[0]], metric) for key, metric in zip(keys, measured, strict=True)]
    body = markup.table(columns, ["Change", "What it should move"], names)
    return markup.figure(title or _heading(effects, keys, metrics), body, notes, following)


def _heading(effects: Sequence[rows.Row | None], keys: Sequence[Key], metrics: Mapping[str, Metric]) -> str:
    """Say of how many effects that were looked for some is shown."""
    found = [
        metric_of(metrics, name).title
        for row, (_, name) in zip(effects, keys, strict=True)
        if row is not None and not missing_words(row) and row["verdict"] == "moved"
    ]
    changes = len({change for change, _ in keys})
    told = f"{_TITLE}: {changes} change{'s' * (changes != 1)}, {len(keys)} effect{'s' * (len(keys) != 1)} looked for"
    return f"{told}, {len(found) or 'none'} shown{f' ({rows.listed(found)})' if found else ''}"


def _named(frame: pd.DataFrame, change: Change) -> str:
    """Return the title of a change, when it began, and whether it is read again."""
    again = ((frame["segment"] == "read again") & (frame["level"] == change.id)).any()
    first, last = change.starts[0], change.starts[-1]
    begun, ended = (Period(day.replace(day=1), "month").short for day in (first, last))
    since = f"{begun} {first.year}"
    if (first.year, first.month) != (last.year, last.month):
        since = f"{begun} to {ended} {last.year}" if first.year == last.year else f"{since} to {ended} {last.year}"
    return f"{change.title} ({since}{'; read again a year later' if again else ''})"


def _expected(change: Change, metric: Metric, form: Format) -> Cell:
    hoped = change.expected_effect.get(metric.id)
    words = form.change(hoped, metric.unit) if hoped is not None else change.expected
    return markup.text_cell(words or "not said")


def _effect(row: rows.Row | None, metric: Metric, form: Format) -> Cell:
    if row is None or missing_words(row):
        return Cell(f'<span class="cx-missing">{escape(effect_words(row, metric, form))}</span>', number=False, row=row)
    return difference_cell(row, metric, metric.change_that_matters, form)


def _evidence(frame: pd.DataFrame, key: Key) -> Cell:
    """Return the grade with the first thing that speaks against it; all else stands in the notes."""
    word, why = grade_of(frame, key)
    against = why.partition("Against it: ")[2].partition(". For it:")[0].split("; ")[0].rstrip(".")
    return Cell(escape(capital(word or "not graded")) + markup.small(against), number=False)


def _design(frame: pd.DataFrame, key: Key, lead: str) -> Cell:
    mine = _texts(frame, key, "design", "chosen")
    why = mine[0][1].partition(": ")[2] if mine else "nothing tells an effect from what else changed"
    head = escape(capital(title_of(lead))) if lead else "No way applies"
    return Cell(f"{head}{markup.small(plain(why))}", number=False)


def _texts(frame: pd.DataFrame, key: Key, role: str, begins: str = "") -> list[tuple[str, str]]:
    """Return what the rows of a role are about, and their notes; of designs those that begin so."""
    mine = frame[(frame["segment"] == role) & (frame["level"] == key[0]) & (frame["metric"] == key[1])]
    return [(row["at"], row["note"]) for row in rows.records(mine) if row["note"] and row["note"].startswith(begins)]


_SURE = 0.05
_CHECKS = {
    "one step ahead": "The model, one step ahead",
    "left over": "What the model leaves over",
    "control": "What it cannot touch",
    "autocorrelation": "Neighbouring points",
    "breakdown first period": "Drift that would undo the first effect",
    "breakdown average": "Drift that would undo the effect",
}


def _check_words(frame: pd.DataFrame, key: Key) -> list[str]:
    """Return the checks of one change and metric, each with its p-value where it has one."""
    mine = frame[(frame["segment"] == "check") & (frame["level"] == key[0]) & (frame["metric"] == key[1])]
    told = []
    for row in rows.records(mine):
        note = plain(row["note"]).rstrip(".")
        if row["at"] == "left over" and row["p_value"] == row["p_value"]:
            note = "hangs together still" if row["p_value"] < _SURE else "no sign that it still hangs together"
        begins = "Pretended changes" if row["at"].startswith("placebos") else plain(row["at"])
        begins = "Drift before the start" if row["at"].startswith("pre_trend") else begins
        p_value = f" ({p_told(row['p_value'])})" if row["p_value"] == row["p_value"] else ""
        told += [f"{_CHECKS.get(row['at'], capital(begins))}: {note}{p_value}."] * bool(note)
    return list(dict.fromkeys(told))


def _note(frame: pd.DataFrame, key: Key, change: Change, metric: Metric) -> str:
    """Return everything else that is known of one change and metric, for those who ask."""
    parts = [change.what, f"Where: {change.where}." if change.where else ""]
    parts += [f"{note.rstrip('.')}." for _, note in _texts(frame, key, "agreement")]
    grade = grade_of(frame, key)[1]
    parts += [f"Evidence: {grade.rstrip('.')}." if grade else "", *_check_words(frame, key)]
    parts += [f"{note.rstrip('.')}." for _, note in _texts(frame, key, "sensitivity")]
    parts += [
        f"{capital(title_of(at))}: {note.partition(': ')[2].rstrip('.')}."
        for at, note in _texts(frame, key, "design")
        if not note.startswith("chosen")
    ]
    listed = "".join(f"<li>{escape(plain(part))}</li>" for part in parts if part)
    return f"<b>{escape(change.title)}, {escape(metric.title)}</b><ul>{listed}</ul>"
