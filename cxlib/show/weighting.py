"""Whom a score speaks for, as a table: weighted beside unweighted, which leads and why, and who answers at all."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure.response import METRIC, OR_LESS
from cxlib.measure.speaks import UNWEIGHTED, WEIGHTED
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.formats import Format, formatting, metric_of, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.rows import Row

# How an R-indicator is put in words. A reading aid of this workbench, not a rule of the field: 0.9 is a spread of 5
# percentage points between customers' chances to answer, 0.8 one of 10.
_EVEN = (
    (0.9, "Everybody is about equally likely to answer"),
    (0.8, "Some customers are likelier to answer than others"),
)
_UNEVEN = "Some customers are far likelier to answer than others"
_CHANCE = "That some customers are likelier to answer than others is not shown"


def weighting(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: str | None = None,
    *,
    segments: Mapping[str, Segment] | None = None,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a metric: unweighted and weighted with intervals, their difference, which leads; beneath, who answers.

    Parameters
    ----------
    frame
        Result frame: rows of `measure.weights.speaks_for`, perhaps of `measure.response.who_answers` and
        `measure.response.tipping_point`; others are passed over.
    metrics
        Metric id -> definition.
    period
        Label of the period; default the latest.
    segments
        Segment id -> definition, for their titles.
    title
        Heading; default the period.
    currency, locale
        Of amounts and numbers.

    Returns
    -------
    Html
    """
    last = Period.parse(period) if period else rows.latest(frame)
    mine = frame[frame["period"] == str(last)]
    sides = mine[(mine["comparison"] == "level") & mine["at"].isin((UNWEIGHTED, WEIGHTED))]
    heading = title or (f"Whom the scores speak for, {last.title}" if last else "Whom the scores speak for")
    if last is None or sides.empty:
        return markup.nothing(heading, rows.why_not(frame, "nothing was weighted"))
    form, names = formatting(currency, locale), rows.ids(sides)
    columns: dict[str, list[Cell]] = {"Unweighted": [], "Weighted": [], "Weighted less unweighted": [], "Leads": []}
    for name in names:
        metric, (plain, weighted, gap) = metric_of(metrics, name), _sides(mine, name)
        cells = (
            markup.value_cell(plain, metric, form, with_n=True),
            _weighted(weighted, metric, form),
            markup.change_cell(gap, metric, form),
            markup.text_cell(_leads(plain, weighted)),
        )
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    body = markup.table(columns, ["Metric"], [(metric_of(metrics, name).title,) for name in names])
    told = sentences(mine, metrics, str(last), segments=segments, currency=currency, locale=locale)
    points = "".join(f"<li>{escape(sentence)}</li>" for sentence in told)
    notes = [markup.note(metric_of(metrics, name), [row for row in _sides(mine, name) if row]) for name in names]
    return markup.figure(heading, body, notes, after=f"<ul>{points}</ul>" if points else "")


def sentences(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: str | None = None,
    *,
    segments: Mapping[str, Segment] | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> list[str]:
    """Say in plain sentences which estimate leads and why, who answers, and what silence could hide.

    Parameters as of `weighting`.
    """
    last = Period.parse(period) if period else rows.latest(frame)
    mine, form = frame[frame["period"] == str(last)], formatting(currency, locale)
    found = []
    for name in rows.ids(mine[mine["at"] == UNWEIGHTED]):
        plain, weighted, _ = _sides(mine, name)
        row = weighted if _leads(plain, weighted) == WEIGHTED else plain
        if row is not None and str(row["note"]).startswith("leads: "):
            found.append(
                f"{metric_of(metrics, name).title}: the {row['at']} figure leads, because {_because(str(row['note']))}."
            )
        joined = "; ".join(_others(str(weighted["note"]))) if weighted is not None else ""
        found += [f"Segments, {joined}."] if joined else []
    found += _answering(mine, metrics, segments or {}, form)
    for row in rows.records(mine[(mine["at"] == "non-respondents") & mine["metric"].isin(metrics)]):
        found.append(_tipping(row, metric_of(metrics, str(row["metric"])), form))
    return found


def _sides(frame: pd.DataFrame, name: str) -> tuple[Row | None, Row | None, Row | None]:
    """Return the unweighted and the weighted row of a metric, and the difference."""
    own = frame[frame["metric"] == name]
    level = own[own["comparison"] == "level"]
    gap = own[(own["comparison"] == "difference") & (own["against"] == UNWEIGHTED)]
    found = [level[level["at"] == UNWEIGHTED], level[level["at"] == WEIGHTED], gap]
    first = [next(iter(rows.records(part)), None) for part in found]
    return first[0], first[1], first[2]


def _leads(plain: Row | None, weighted: Row | None) -> str:
    """Return which of the two leads; empty where neither has a number."""
    if weighted is not None and str(weighted["note"]).startswith("leads: "):
        return WEIGHTED
    return "" if missing_words(plain) else UNWEIGHTED


def _because(note: str) -> str:
    return note.removeprefix("leads: ").split("; ")[0]


def _others(note: str) -> list[str]:
    """Return which levels were joined and which segments left out."""
    return [part for part in note.split("; ") if part.startswith(("joined in ", "left out: "))]


def _weighted(row: Row | None, metric: Metric, form: Format) -> Cell:
    """Return the weighted estimate with its interval, and what the answers are worth."""
    cell = markup.value_cell(row, metric, form)
    if row is None or missing_words(row):
        return cell
    return cell._replace(html=cell.html + markup.small(f"worth {form.count(row['n_eff'])} equal weights"))


def _answering(
    frame: pd.DataFrame, metrics: Mapping[str, Metric], segments: Mapping[str, Segment], form: Format
) -> list[str]:
    """Say how many answer, how evenly, and which segment makes the difference; for each score asked for."""
    own = frame[(frame["metric"] == METRIC) & (frame["status"] == results.OK)]
    found, asked = [], list(dict.fromkeys(own["against"]))
    for against in asked:
        name = against.removeprefix("asked for ")
        whose = f"{metrics[name].title}: " if len(asked) > 1 and name in metrics else ""
        found += [whose + told for told in _evenly(own[own["against"] == against], segments, form)]
    return found


def _evenly(own: pd.DataFrame, segments: Mapping[str, Segment], form: Format) -> list[str]:
    """Say it of the invitations for one score."""
    level, found = own[own["comparison"] == "level"], []
    for row in rows.records(level[(level["segment"] == "all") & (level["at"] == "")])[:1]:
        limits = form.interval(row["conf_low"], row["conf_high"], "percent")
        count = form.count(row["n"])
        found.append(
            f"{form.value(row['estimate'], 'percent')} of {count} invitations were answered (likely {limits})."
        )
    for row in rows.records(own[own["at"] == "R-indicator"])[:1]:
        words = next((told for least, told in _EVEN if row["estimate"] >= least), _UNEVEN)
        words = _CHANCE if row["conf_high"] >= 1 else words
        value, low, high = (form.number(row[name], 2) for name in ("estimate", "conf_low", "conf_high"))
        named = dict.fromkeys(own.loc[own["at"] == "partial", "segment"])
        by = [segments[name].title.lower() if name in segments else name.replace("_", " ") for name in named]
        known = f", as far as {rows.listed(by)} tell{'s' * (len(by) == 1)}" if by else ""
        found.append(f"{words}{known}: R-indicator {value} (likely {low} to {high}; 1 is perfectly even).")
    partial = own[own["at"] == "conditional partial"].sort_values(["estimate", "segment"], ascending=[False, True])
    for row in rows.records(partial[partial["conf_low"] > 0])[:1]:
        found += _range(level[level["segment"] == row["segment"]], str(row["segment"]), segments, form)
    return found


def _range(levels: pd.DataFrame, name: str, segments: Mapping[str, Segment], form: Format) -> list[str]:
    """Say between which levels of a segment response rates range."""
    ordered = rows.records(levels.sort_values(["estimate", "level"]))
    if len(ordered) < 2:
        return []
    title = segments[name].title if name in segments else name.replace("_", " ").capitalize()
    ends = [f"{form.value(row['estimate'], 'percent')} ({row['level']})" for row in (ordered[0], ordered[-1])]
    return [f"{title} makes the most difference to who answers: from {ends[0]} to {ends[1]}."]


def _tipping(row: Row, metric: Metric, form: Format) -> str:
    """Say what those who did not answer would have to score."""
    against = f"the figure of {_named(row['against'])}" if row["against"] != "target" else "the target"
    if missing_words(row):
        return f"{metric.title} against {against}: {row['note']}, whatever those who did not answer would say."
    value, bound = form.value(row["estimate"], metric.unit), "less" if row["note"] == OR_LESS else "more"
    side = "below" if bound == "less" else "above"
    return (
        f"{metric.title}: all customers together would be {side} {against} if those who did not answer "
        f"scored {value} or {bound}."
    )


def _named(label: str) -> str:
    """Return the title of a period, or the words as they are."""
    try:
        return Period.parse(label).title
    except UsageError:
        return label
