"""Result frames as tables for people: interval before p-value, words for missing numbers, verdict in word and shape."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib.params.models import Metric, Touchpoint
from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.about import definitions, freshness
from cxlib.show.audit import survey_audit
from cxlib.show.bad_causes import bad_causes_table
from cxlib.show.by_segment import by_segment_table
from cxlib.show.causes import cause_table
from cxlib.show.change_table import changes_table
from cxlib.show.compared import importance_compared_table
from cxlib.show.comparisons import changes
from cxlib.show.consistency import consistency_table
from cxlib.show.conversion import funnel_table
from cxlib.show.coverage import coverage_table
from cxlib.show.drivers import driver_table
from cxlib.show.formats import Format, formatting, headed, metric_of
from cxlib.show.framework import framework_table
from cxlib.show.friction import friction_table
from cxlib.show.hazards import hazard_table
from cxlib.show.heat import GROUPS
from cxlib.show.leakage import leakage_table
from cxlib.show.lifetime import value_checks_table
from cxlib.show.loyalty import churn_table, survival_table
from cxlib.show.markup import Cell, Html
from cxlib.show.migration import transitions_table
from cxlib.show.moments import moments_table
from cxlib.show.money import link_table
from cxlib.show.mood import mood_table
from cxlib.show.moves import moves_table
from cxlib.show.novelty import candidates_table, new_words_table
from cxlib.show.partners import partner_league_table
from cxlib.show.path_steps import paths_table
from cxlib.show.promise import promise_table
from cxlib.show.quotes import quotes_table
from cxlib.show.repeat import repeat_table
from cxlib.show.say_do import said_and_did_table
from cxlib.show.scorecard import scorecard
from cxlib.show.segments import profile_table
from cxlib.show.standing import standing_table
from cxlib.show.theme_table import codebook_table, theme_table
from cxlib.show.transfers import brand_transfer_table
from cxlib.show.trial_decision import decision_table, health_table
from cxlib.show.trial_design import plan_table
from cxlib.show.trial_effects import effects_table, estimators_table
from cxlib.show.trial_looks import looks_table
from cxlib.show.warnings import early_warnings_table
from cxlib.show.weighting import weighting
from cxlib.show.worth import worth_table

__all__ = [
    "bad_causes_table", "brand_transfer_table", "by_segment_table", "candidates_table", "cause_table", "changes",
    "changes_table", "churn_table", "codebook_table", "consistency_table", "coverage_table", "decision_table",
    "definitions", "driver_table", "early_warnings_table", "effects_table", "estimators_table", "framework_table",
    "freshness", "friction_table", "funnel_table", "hazard_table", "health_table", "importance_compared_table",
    "leakage_table", "levels", "link_table", "looks_table", "moments_table", "mood_table", "moves_table",
    "new_words_table", "partner_league_table", "paths_table", "plan_table", "profile_table", "promise_table",
    "quotes_table", "repeat_table", "said_and_did_table", "scorecard", "standing_table", "survey_audit",
    "survival_table", "theme_table", "touchpoints", "transitions_table", "value_checks_table", "weighting",
    "worth_table",
]  # fmt: skip

_NOT_PLACED = "not placed"


def levels(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    segment: str = "",
    period: str | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a level of a segment, the best first: estimate with interval, n, change to the period before.

    With several metrics in the frame each is a group of rows; the whole comes first where the frame holds it.

    Raises
    ------
    UsageError
        Where the frame holds several segments and none is named.
    """
    last, name = _which(frame, segment, period)
    mine = frame[(frame["segment"] == name) & (frame["comparison"] == "level") & (frame["period"] == str(last))]
    if last is None or name == "all" or mine.empty:
        return markup.nothing(title or "By segment", "the frame holds no levels of a segment")
    form, before, keys, entries = formatting(currency, locale), str(last.previous()), [], rows.book(frame)
    columns: dict[str, list[Cell]] = {last.title: [], "n": [], f"Since {last.previous().title}": []}
    for found in rows.ids(mine):
        metric, whole = metric_of(metrics, found), rows.level(entries, found, str(last))
        parts = rows.ranked(mine[mine["metric"] == found], metric, len(mine))
        for row in [*([whole] if whole else []), *parts]:
            where = {"segment": row["segment"], "of": row["level"]}
            change = rows.change(entries, found, str(last), before, **where)
            cells = (
                markup.value_cell(row, metric, form),
                markup.n_cell(row, form),
                markup.change_cell(change, metric, form),
            )
            for column, cell in zip(columns.values(), cells, strict=True):
                column.append(cell)
            keys.append((headed(metric), "All" if row is whole else row["level"]))
    if not (frame["against"] == before).any():
        columns.popitem()
    heading = title or f"{', '.join(dict.fromkeys(key[0] for key in keys))} by {name}, {last.title}"
    heads = ["Metric", name.capitalize()] if len({key[0] for key in keys}) > 1 else [name.capitalize()]
    return markup.figure(heading, markup.table(columns, heads, keys), _notes(mine, metrics))


def touchpoints(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    taxonomy: Mapping[str, Touchpoint],
    period: str | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a touchpoint, grouped before / during / after / service, one column a metric of the frame.

    Touchpoints that the frame does not mention are named beneath; levels that the taxonomy lacks come last.
    """
    last, _ = _which(frame, "touchpoint", period)
    mine = frame[(frame["segment"] == "touchpoint") & (frame["comparison"] == "level") & (frame["period"] == str(last))]
    mine = mine[mine["level"] != "all"]  # a metric without any answer has one row that says so
    if last is None or mine.empty:
        return markup.nothing(title or "Touchpoints", "the frame holds no touchpoints")
    seen = rows.mentioned(mine, taxonomy)
    placed: list[tuple[str, str]] = [
        (group, point.id)
        for group in GROUPS
        for point in taxonomy.values()
        if point.group == group and point.id in seen
    ]
    silent = [point.title for point in taxonomy.values() if point.id not in seen]
    placed += [(_NOT_PLACED, name) for name in dict.fromkeys(mine["level"]) if name not in taxonomy]
    columns = _grid(mine, metrics, [name for _, name in placed], formatting(currency, locale))
    keys = [(group.capitalize(), taxonomy[name].title if name in taxonomy else name) for group, name in placed]
    body = markup.table(columns, ["When", "Touchpoint"], keys)
    below = f"Nothing recorded at: {', '.join(silent)}." if silent else ""
    return markup.figure(title or f"Touchpoints, {last.title}", body, _notes(mine, metrics), below)


def _which(frame: pd.DataFrame, segment: str, period: str | None) -> tuple[Period | None, str]:
    """Return the period and the segment to show."""
    return (Period.parse(period) if period else rows.latest(frame)), rows.segment_of(frame, segment)


def _grid(frame: pd.DataFrame, metrics: Mapping[str, Metric], found: list[str], form: Format) -> dict[str, list[Cell]]:
    """Return one column a metric, one cell a level."""
    entries = {(row["metric"], row["level"]): row for row in rows.book(frame).values()}
    columns = {}
    for name in rows.ids(frame):
        metric = metric_of(metrics, name)
        cells = [
            markup.value_cell(entries[name, level], metric, form, with_n=True)
            if (name, level) in entries
            else markup.NOT_MEASURED
            for level in found
        ]
        columns[headed(metric)] = cells
    return columns


def _notes(frame: pd.DataFrame, metrics: Mapping[str, Metric]) -> list[str]:
    """Return the notes of each metric, from a row that has a method where there is one."""
    found = frame.sort_values("method", ascending=False, kind="stable").to_dict("records")
    first = {row["metric"]: row for row in reversed(found)}
    return [markup.note(metric_of(metrics, name), [first[name]]) for name in rows.ids(frame)]
