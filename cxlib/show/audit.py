"""The survey questioned, as a table: how often each defect occurs and what it does to the scores, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import pandas as pd

from cxlib import results
from cxlib.measure.audit import CLEAR, FLAGGED, OUT_OF_RANGE, WITHOUT
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.formats import MINUS, Format, brief, formatting, metric_of, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.rows import Row

_NOT_LINKED = Cell('<span class="cx-missing">not linked to a score</span>')
_SHOWN = "moved"


class _Line(NamedTuple):
    """One row of the table: a question, how often, and what it does to one score, if any."""

    question: Metric
    rate: Row | None
    score: Metric | None = None
    apart: Row | None = None  # flagged less not flagged
    pull: Row | None = None  # the score as it is less without the flagged

    @property
    def weight(self) -> float:
        """How far the score is pulled, in changes that matter; 0 where nothing is shown."""
        if self.score is None or self.pull is None or self.pull["verdict"] != _SHOWN:
            return 0.0
        return abs(self.pull["estimate"]) / (self.score.change_that_matters or self.pull["std_error"])


def survey_audit(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: str | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a question of the audit and score: how often, how flagged answers differ, what they do to the score.

    Parameters
    ----------
    frame
        Result frame: `level` rows of the audit's metrics for the whole, and the rows of `measure.audit.effect`, judged.
        `level` rows of the scores are passed over.
    metrics
        Metric id -> definition, of questions and scores.
    period
        Label of the period; default the latest.
    title
        Heading; default the period.
    currency, locale
        Of amounts and numbers.

    Returns
    -------
    Html
        A sentence that says what is worst, then the table: what is shown to pull a score comes first, the furthest
        pulled on top; the rest in the frame's order.
    """
    known = {**metrics, OUT_OF_RANGE.id: OUT_OF_RANGE}
    last = Period.parse(period) if period else rows.latest(frame)
    lines = _lines(frame[frame["period"] == str(last)], known) if last else []
    heading = title or (f"How the surveys were run, {last.title}" if last else "How the surveys were run")
    if not lines:
        return markup.nothing(heading, "the frame holds no question of the audit")
    form = formatting(currency, locale)
    columns: dict[str, list[Cell]] = {"How often": [], "Flagged against other answers": [], "Pull on the score": []}
    known_of = [line for line in lines if line.rate is None or line.rate["status"] != results.UNDEFINED]
    for line in known_of:
        cells = (_rate(line, form), _apart(line, form), _pull(line, form))
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    if not known_of:
        return markup.nothing(heading, _unknown(lines).removesuffix("."))
    keys = [(line.question.title, line.score.title if line.score else "no score") for line in known_of]
    body = markup.table(columns, ["Question", "Score"], keys)
    told = f"<p>{escape(sentence(frame, metrics, str(last), currency=currency, locale=locale))}</p>"
    return markup.figure(heading, body, _notes(known_of), _unknown(lines), before=told)


def _unknown(lines: Sequence[_Line]) -> str:
    """Name the questions that the workspace cannot answer, by the reason why."""
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if line.rate is not None and line.rate["status"] == results.UNDEFINED:
            reasons.setdefault(line.rate["note"], []).append(line.question.title)
    parts = [f"{rows.listed(titles)} ({why})" if why else rows.listed(titles) for why, titles in reasons.items()]
    return f"Not available: {'; '.join(parts)}." if parts else ""


def sentence(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: str | None = None,
    *,
    currency: str | None = None,
    locale: str | None = None,
) -> str:
    """Say in one plain sentence which defect pulls a score furthest; parameters as of `survey_audit`.

    `Delivery surveys sent before the order arrived: 4.0 %. They score 31.2 points lower than the others and pull Net
    Promoter Score down by 1.2 points.`
    """
    last = Period.parse(period) if period else rows.latest(frame)
    known = {**metrics, OUT_OF_RANGE.id: OUT_OF_RANGE}
    lines = _lines(frame[frame["period"] == str(last)], known) if last else []
    form = formatting(currency, locale)
    if not lines:
        return "Nothing is known of how the surveys were run."
    worst = lines[0]
    if not worst.weight or worst.pull is None or worst.score is None:
        linked = [line for line in lines if line.pull is not None and not missing_words(line.pull)]
        return f"No defect of the surveys is shown to pull a score ({len(linked)} looked at)."
    how = f": {form.value(worst.rate['estimate'], worst.question.unit)}" if _has(worst.rate) and worst.rate else ""
    apart = ""
    if worst.apart is not None and not missing_words(worst.apart):
        way = "lower" if worst.apart["estimate"] < 0 else "higher"
        apart = f"score {_size(worst.apart, worst.score, form)} {way} than the others and "
    down = "down" if worst.pull["estimate"] < 0 else "up"
    pulled = f"pull {worst.score.title} {down} by {_size(worst.pull, worst.score, form)}"
    return f"{worst.question.title}{how}. They {apart}{pulled}."


def _lines(frame: pd.DataFrame, metrics: Mapping[str, Metric]) -> list[_Line]:
    """Return the rows to show, the furthest pull first, the scores of one question together."""
    entries = rows.book(frame)
    linked = frame[(frame["comparison"] == "difference") & frame["against"].isin((CLEAR, WITHOUT))]
    asked = list(dict.fromkeys([*_asked(frame, set(linked["metric"])), *linked["segment"]]))
    found = []
    for name in asked:
        question, rate = metric_of(metrics, name), _level(entries, name)
        lines = []
        for score in dict.fromkeys(linked.loc[linked["segment"] == name, "metric"]):
            apart = _change(entries, score, name, FLAGGED, CLEAR)
            pull = _change(entries, score, name, "all", WITHOUT)
            lines.append(_Line(question, rate, metric_of(metrics, score), apart, pull))
        lines.sort(key=lambda line: -line.weight)
        found.append(_linked(lines) or [_Line(question, rate)])
    found.sort(key=lambda lines: -lines[0].weight)
    return [line for lines in found for line in lines]


def _linked(lines: Sequence[_Line]) -> list[_Line]:
    """Leave out scores that no flagged answer belongs to; where there are no others, one line says so for all."""
    touched = [line for line in lines if line.pull is None or line.pull["status"] != results.UNDEFINED]
    return touched or [line._replace(score=None) for line in lines[:1]]


def _asked(frame: pd.DataFrame, scores: set[str]) -> list[str]:
    """Return the questions of the audit, in the frame's order: all metrics of the whole that are no scores."""
    whole = frame[(frame["comparison"] == "level") & (frame["segment"] == "all")]
    return [name for name in rows.ids(whole) if name not in scores]


def _level(entries: rows.Book, name: str) -> Row | None:
    return next((row for key, row in entries.items() if key[:2] == ("level", name) and key[4] == "all"), None)


def _change(entries: rows.Book, score: str, name: str, level: str, against: str) -> Row | None:
    wanted = (against, name, level)
    return next((row for key, row in entries.items() if key[:2] == ("difference", score) and key[3:] == wanted), None)


def _rate(line: _Line, form: Format) -> Cell:
    """Return how often the defect occurs, with interval and n."""
    return markup.value_cell(line.rate, line.question, form, with_n=True)


def _apart(line: _Line, form: Format) -> Cell:
    """Return how much flagged answers differ."""
    return _difference(line.apart, line.score, form, ("higher", "lower", "no difference shown"))


def _pull(line: _Line, form: Format) -> Cell:
    """Return what including the flagged answers does to the score."""
    return _difference(line.pull, line.score, form, ("pulls it up", "pulls it down", "no pull shown"))


def _difference(row: Row | None, score: Metric | None, form: Format, words: tuple[str, str, str]) -> Cell:
    """Return a difference with interval and verdict in the words given, or why there is none."""
    if row is None:
        return _NOT_LINKED
    missing = missing_words(row)
    if missing or score is None:
        head, _, why = row["note"].partition(": ")
        undefined = row["status"] == results.UNDEFINED and head
        told = (head, why) if undefined else (missing, row["note"])
        return Cell(f'<span class="cx-missing">{escape(told[0])}{markup.small(told[1])}</span>', row=row)
    limits = form.interval(row["conf_low"], row["conf_high"], score.unit, change=True)
    value = escape(brief(form.change(row["estimate"], score.unit)))
    return Cell(f"{value}{markup.small(brief(limits))}{_verdict(row, score, words)}", row=row, unit=score.unit)


def _verdict(row: Row, score: Metric, words: tuple[str, str, str]) -> str:
    """Return shape and words of a verdict; a level is no movement, so it has words of its own."""
    shape, _, tone = rows.verdict(row, score)
    if not shape:
        return ""
    up, down, still = words
    told = {"▲": up, "▼": down, "○": still}.get(shape, "too few to tell")
    return f'<br><span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {told}</span>'


def _has(row: Row | None) -> bool:
    return not missing_words(row)


def _size(row: Row, score: Metric, form: Format) -> str:
    """Return the size of a difference in words, without its sign."""
    return form.change(row["estimate"], score.unit).lstrip(f"+{MINUS}").replace(" pp", " percentage points")


def _notes(lines: Sequence[_Line]) -> list[str]:
    """Return what stands behind the numbers: the questions first, then the scores."""
    found: dict[str, tuple[Metric, list[Row]]] = {}
    for line in lines:
        found.setdefault(line.question.id, (line.question, [line.rate] if line.rate else []))
    for line in lines:
        if line.score is not None:
            book = found.setdefault(line.score.id, (line.score, []))[1]
            book += [row for row in (line.apart, line.pull) if row is not None]
    return [markup.note(metric, book) for metric, book in found.values()]
