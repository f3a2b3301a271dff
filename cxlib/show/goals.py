"""How each goal of the measurement framework stands: its KPI against the target, what moved, what nobody measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from cxlib.params.framework import NOBODY, STAGES, unwatched
from cxlib.params.models import Goal, Metric
from cxlib.periods import Period
from cxlib.show import rows
from cxlib.show.formats import metric_of, missing_words

MET, MISSED, MOVED, OPEN, SILENT, UNMEASURED = "met", "missed", "moved", "open", "silent", "unmeasured"


_NAMED = 2  # KPIs that a sentence names; of more it tells the number


@dataclass(frozen=True)
class Standing:
    """One goal, or a stage of the journey that has none.

    Attributes
    ----------
    stage
        Of the journey.
    goal
        None for a stage without goals.
    metric, level, target, before, year
        Its KPI, today's row, and the differences to the target, the period before and a year ago; None without.
    """

    stage: str
    goal: Goal | None = None
    metric: Metric | None = None
    level: rows.Row | None = None
    target: rows.Row | None = None
    before: rows.Row | None = None
    year: rows.Row | None = None

    @property
    def state(self) -> str:
        """What is shown of the goal: `met` or `missed` its target, or moved so where it has none; else `open`.

        What moved without being better or worse is `moved`.
        """
        if self.metric is None:
            return UNMEASURED
        if missing_words(self.level):
            return SILENT
        tones = [rows.verdict(row, self.metric)[2] for row in self.decides]
        found = next((tone for tone in tones if tone != rows.FLAT), rows.FLAT)
        neutral = MOVED if any(row is not None and row["verdict"] == "moved" for row in self.decides) else OPEN
        return {rows.BETTER: MET, rows.WORSE: MISSED}.get(found, neutral)

    @property
    def aimed(self) -> bool:
        """Whether the KPI has a target."""
        return self.metric is not None and self.metric.target is not None

    @property
    def decides(self) -> tuple[rows.Row | None, ...]:
        """The rows that say how the goal stands: its target alone, or without one what moved, the latest first."""
        return (self.target,) if self.aimed else self.moves

    @property
    def moves(self) -> tuple[rows.Row | None, ...]:
        """The differences in time, the latest first."""
        return (self.before, self.year)

    def moved(self) -> str:
        """Return `better`, `worse` or `flat`: what the KPI is shown to have done, by its latest shown change."""
        if self.metric is None:
            return rows.FLAT
        tones = [rows.verdict(row, self.metric)[2] for row in self.moves]
        return next((tone for tone in tones if tone != rows.FLAT), rows.FLAT)


def standings(
    frame: pd.DataFrame, metrics: Mapping[str, Metric], goals: Sequence[Goal], period: Period
) -> list[Standing]:
    """Return how each goal stands, stage by stage along the journey; a stage that nobody measures has its place, too.

    Parameters
    ----------
    frame
        Result frame of `Run.framework`.
    metrics
        Metric id -> definition.
    goals
        The framework.
    period
        The period that is told.
    """
    entries, empty = rows.book(frame), set(unwatched(goals))
    found = []
    for stage in STAGES:
        mine = [goal for goal in goals if goal.stage == stage]
        found += [_standing(entries, metrics, goal, period) for goal in mine]
        found += [Standing(stage)] if stage in empty and not mine else []
    return found


def _standing(entries: rows.Book, metrics: Mapping[str, Metric], goal: Goal, period: Period) -> Standing:
    if not goal.kpi:
        return Standing(goal.stage, goal)
    name, label = goal.kpi, str(period)
    target, before, year = (
        rows.change(entries, name, label, other) for other in ("target", str(period.previous()), str(period.year_ago()))
    )
    return Standing(goal.stage, goal, metric_of(metrics, name), rows.level(entries, name, label), target, before, year)


def finding(found: Sequence[Standing], period: Period) -> str:
    """Return the framework in a sentence: how many targets are met and missed, what moved, what nobody measures."""
    goals = [one for one in found if one.goal is not None]
    if all(one.state in (SILENT, UNMEASURED) for one in goals):
        return f"No goal has a figure in {period.title}"
    aimed = [one for one in goals if one.aimed and one.state in (MET, MISSED, OPEN)]
    met, missed = (sum(one.state == state for one in aimed) for state in (MET, MISSED))
    told = [f"{met} of {len(aimed)} target{'s' if len(aimed) > 1 else ''} met, {missed} missed"] if aimed else []
    compared = [one for one in goals if any(row is not None and row["verdict"] for row in one.moves)]
    up, down = (_titles(one for one in compared if one.moved() == tone) for tone in (rows.BETTER, rows.WORSE))
    told += [_movement(len(compared), up, down)] if compared else []
    told += _blank(found, goals)
    return "; ".join(told)


def _titles(found: Iterable[Standing]) -> list[str]:
    """Return the titles of KPIs, each once."""
    return list(dict.fromkeys(one.metric.title for one in found if one.metric is not None))


def _movement(count: int, up: Sequence[str], down: Sequence[str]) -> str:
    """Say for which KPIs a change is shown; for how many, where they are many."""
    parts = [
        f"for the {way}: {rows.listed(names) if len(names) <= _NAMED else f'{len(names)} KPIs'}"
        for names, way in ((up, "better"), (down, "worse"))
        if names
    ]
    return f"moved {'; '.join(parts)}" if parts else f"none of {count} KPIs is shown to have moved for better or worse"


def _blank(found: Sequence[Standing], goals: Sequence[Standing]) -> list[str]:
    """Say what nobody measures, and what has no figure."""
    bare = [one.stage for one in found if one.goal is None]
    loose = sum(one.state == UNMEASURED for one in goals)
    silent = sum(one.state == SILENT for one in goals)
    told = [f"nobody measures {rows.listed(bare)}"] if bare else []
    told += [f"{loose} goal{'s have' if loose > 1 else ' has'} no KPI"] if loose else []
    return [*told, *([f"{silent} {'have' if silent > 1 else 'has'} no figure"] if silent else [])]


def words(one: Standing) -> tuple[str, str, str]:
    """Return mark, words and tone of how a goal stands; the mark and the words say all that the colour says."""
    if one.metric is None:
        return "–", NOBODY, rows.FLAT
    if missing_words(one.level):
        return "×", missing_words(one.level), rows.FLAT
    mark, told, tone = rows.verdict(one.target, one.metric)
    if one.aimed:
        return (mark, told, tone) if told else ("○", "not compared with its target", rows.FLAT)
    return "", "no target", one.moved()
