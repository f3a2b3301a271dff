"""What a notebook knows of its run besides the numbers: company, period, snapshot, freshness, definitions.

It is frozen beside the numbers, so that a replay needs neither `params/` nor the store.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from cxlib import params as parameters
from cxlib.errors import StoreError, UsageError, did_you_mean
from cxlib.params.base import Model
from cxlib.params.codebook import Codebook, Theme
from cxlib.params.models import (
    Change,
    DriverModel,
    Experiment,
    Goal,
    Metric,
    Params,
    Report,
    Segment,
    Touchpoint,
    Workspace,
)
from cxlib.params.watching import Watch
from cxlib.periods import Period

if TYPE_CHECKING:
    from cxlib.data.store import Store

# The tables whose newest event says how far the data reach; the others are attributes, plans and keys.
THREADS = "CX_THREADS"  # of the database, in the environment; by default as many as there are processors
EVENTS = ("responses", "interactions", "orders", "invitations")


class Freshness(Model):
    """One table of the snapshot: its rows, its newest event (UTC), and what is wrong with it ('' for nothing)."""

    table: str
    rows: int
    newest: str = ""
    warning: str = ""


class Origin(Model):
    """One source of the period's events: what it is called, how many it brought, and what its amounts are in."""

    source: str
    title: str
    events: int
    currency: str


class Context(Model):
    """Everything about a run that its notebooks print or compute with, except the moments."""

    workspace: Workspace
    report: Report
    period: str
    snapshot: str
    created_at: str
    partial: str = ""  # says that the period is not over in the data; '' where it is
    origins: tuple[Origin, ...]
    left_out: int = 0  # answers of the period whose people do not agree; 0 where so few are not told
    freshness: tuple[Freshness, ...]
    metrics: dict[str, Metric]
    segments: dict[str, Segment]
    touchpoints: dict[str, Touchpoint]
    drivers: dict[str, DriverModel] = Field(default_factory=dict)
    experiments: dict[str, Experiment] = Field(default_factory=dict)
    experiment: str = ""  # the one that the report is about; '' for a report of a period
    changes: dict[str, Change] = Field(default_factory=dict)
    themes: dict[str, Theme] = Field(default_factory=dict)
    codebook_version: int = 1
    negators: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    watch: Watch = Watch()
    framework: tuple[Goal, ...] = ()  # with sources by their titles
    definitions: dict[str, str]  # metric id -> hash of its definition

    @property
    def codebook(self) -> Codebook:
        """The codebook that texts of the run are coded by."""
        return Codebook(version=self.codebook_version, negators=self.negators, themes=self.themes)

    @property
    def currency(self) -> str:
        """What amounts of the period are in: its sources' currency, the workspace's where they are of several."""
        found = {origin.currency for origin in self.origins}
        return found.pop() if len(found) == 1 else self.workspace.currency

    @property
    def described(self) -> dict[str, Metric]:
        """The definitions as they read in this period.

        A target in another currency than its amounts' is none, nor is one for a month a target for a week.
        """
        abroad = not {origin.currency for origin in self.origins} <= {self.workspace.currency}
        other = Period.parse(self.period).kind != self.workspace.period
        lost = {
            name: metric.model_copy(update={"target": None})
            for name, metric in self.metrics.items()
            if (abroad and metric.unit == "money") or (other and metric.grows_with_time)
        }
        return self.metrics | lost

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before any number."""
        title = Period.parse(self.period).title
        found = [self.partial] if self.partial else [] if self.origins else [f"nothing in {title}"]
        found += [f"{item.table}: {item.warning}" for item in self.freshness if item.warning]
        mixed = sorted({origin.currency for origin in self.origins})
        if len(mixed) > 1:
            found.append(f"amounts of this period are in {' and '.join(mixed)}, added up as they are")
        return found

    @property
    def answers(self) -> str:
        """Which answers count: of several of one customer, and of people who do not agree; '' where all do."""
        rule = self.workspace.repeated_responses
        within = {"invitation": "to one invitation", "ever": "to one question"}
        where = within.get(rule.per, f"to one question in a {rule.per}")
        told = [] if rule.keep == "all" else [f"of several answers {where}, the {rule.keep} counts"]
        told += [f"{self.left_out:,} are left out, as their people do not agree"] if self.left_out else []
        return "; ".join(told)

    def definition_of(self, metric: Metric) -> str:
        """Return the hash of a definition, also of one that is only being tried out."""
        own = self.metrics.get(metric.id) == metric
        return self.definitions[metric.id] if own else parameters.definition_hash(metric)

    def least(self, metric: Metric) -> int:
        """Return the least number of customers that a number of this metric may stand on."""
        return least(self.workspace, metric)


def least(workspace: Workspace, metric: Metric) -> int:
    """Return the least number of customers: a metric may ask for more than the workspace, never for less."""
    return max(workspace.min_n, metric.min_n or 0)


def report_of(params: Params, pack: str, experiment: str = "") -> Report:
    """Return the pack called `pack`; that of an experiment with the metrics of its plan.

    Raises `UsageError` for an unknown pack or experiment, for a pack of experiments without one, and the reverse.
    """
    if pack not in params.reports:
        known = ", ".join(sorted(params.reports)) or "none"
        raise UsageError(f"no pack is called '{pack}'{did_you_mean(pack, params.reports)}", hint=f"Packs: {known}.")
    report, plans = params.reports[pack], params.experiments
    if report.of == "period":
        if experiment:
            raise UsageError(f"'{pack}' is about a period, not about an experiment", hint="Leave --experiment out.")
        return report
    known = ", ".join(sorted(plans)) or "none: add params/experiments/<id>.yml"
    if experiment not in plans:
        named = f"no experiment is called '{experiment}'{did_you_mean(experiment, plans)}"
        fault = named if experiment else f"'{pack}' is about one experiment: name it"
        raise UsageError(fault, hint=f"Experiments: {known}.")
    return report.model_copy(update={"metrics": plans[experiment].outcomes})


def open_store(root: Path, params: Params, as_of: str) -> Store:
    """Open the store at a snapshot ('' for the newest)."""
    from cxlib.data.store import Store

    workspace = params.workspace
    rule = workspace.repeated_responses
    threads = int(os.environ.get(THREADS) or 0) or None
    return Store.open(
        root, workspace.store, as_of=as_of or None, repeats=rule, consent=workspace.consent,
        timezone=workspace.timezone, touchpoints=params.touchpoints, threads=threads,
    )  # fmt: skip


def resolve_period(text: str, workspace: Workspace, latest: Mapping[str, datetime | None]) -> Period:
    """Turn `2026-10` or `last` into a period; `last` is the last complete one of the data, never of the clock.

    Raises `UsageError` for what is no period or begins after the newest event, and `StoreError` where `last` meets no
    data.
    """
    newest = _newest(latest)
    if text == "last":
        if newest is None:
            raise StoreError(
                "the store holds no events, so there is no last period", hint="Run cx demo, or cx ingest SOURCE."
            )
        return Period.last_closed(newest, workspace.period, workspace.timezone)
    period = Period.parse(text)
    if newest is not None and period.bounds(workspace.timezone)[0] > newest:
        last = Period.last_closed(newest, period.kind, workspace.timezone)
        raise UsageError(
            f"there is no data of {period.title} yet: the newest event is of {newest:%Y-%m-%d %H:%M} UTC",
            hint=f"The last complete {period.kind} is {last.label}.",
        )
    return period


def _newest(latest: Mapping[str, datetime | None]) -> datetime | None:
    """Return the time of the newest event of all tables of events; of exposures where there are no others."""
    found = [moment for table in EVENTS if (moment := latest.get(table)) is not None]
    return max(found, default=latest.get("exposures"))


def _partial(period: Period, workspace: Workspace, latest: Mapping[str, datetime | None]) -> str:
    """Say that a period is not over in the data; empty where it is."""
    newest = _newest(latest)
    if newest is None or Period.last_closed(newest, period.kind, workspace.timezone) >= period:
        return ""
    return f"{period.title} is not over in these data, which end at {newest:%Y-%m-%d %H:%M} UTC: everything is partial"


def gather(params: Params, pack: str, period: str, store: Store, experiment: str = "") -> Context:
    """Gather the context of a run from the checked params and an open store."""
    latest = store.latest()
    chosen = resolve_period(period, params.workspace, latest)
    return Context(
        workspace=params.workspace,
        report=report_of(params, pack, experiment),
        period=chosen.label,
        snapshot=store.snapshot.id,
        created_at=str(store.snapshot.created_at),
        partial=_partial(chosen, params.workspace, latest),
        origins=_origins(params, store, chosen),
        left_out=_left_out(params.workspace, store, chosen),
        freshness=_freshness(params, store, latest, chosen),
        metrics=params.metrics,
        segments=params.segments,
        touchpoints=params.touchpoints,
        drivers=params.drivers,
        experiments=params.experiments,
        experiment=experiment,
        changes=params.changes,
        themes=params.codebook.themes,
        codebook_version=params.codebook.version,
        negators=params.codebook.negators,
        framework=_goals(params, {batch.source for batch in store.snapshot.batches}),
        watch=params.watch,
        definitions={name: parameters.definition_hash(metric) for name, metric in params.metrics.items()},
    )


def _goals(params: Params, brought: Container[str]) -> tuple[Goal, ...]:
    """Return the goals; a source is named by its title, which is what a page prints, and told where it brought nothing.

    `brought` are the sources of the snapshot.
    """
    titles = {"": ""} | {name: source.title for name, source in params.sources.items()}
    titles |= {name: f"{title} (not in the store)" for name, title in titles.items() if name and name not in brought}
    return tuple(goal.model_copy(update={"source": titles[goal.source]}) for goal in params.framework)


def _origins(params: Params, store: Store, period: Period) -> tuple[Origin, ...]:
    """List the sources of the period's events."""
    found = []
    for name, events in store.sources(*period.bounds(params.workspace.timezone)).items():
        source = params.sources.get(name)
        currency = (source.currency if source else "") or params.workspace.currency
        found.append(Origin(source=name, title=source.title if source else name, events=events, currency=currency))
    return tuple(found)


def _left_out(workspace: Workspace, store: Store, period: Period) -> int:
    """Count the answers that are left out for want of consent; 0 where they are too few to be told."""
    found = store.answers_left_out(*period.bounds(workspace.timezone))
    return found if found >= workspace.min_n else 0


def _freshness(
    params: Params, store: Store, latest: Mapping[str, datetime | None], period: Period
) -> tuple[Freshness, ...]:
    """List the tables of the snapshot, and the ones that the metrics need and the snapshot lacks."""
    found = []
    start, end = period.bounds(params.workspace.timezone)
    until = min(end, _newest(latest) or end)  # of a period that is not over, only what has been
    for name, version in sorted(store.snapshot.tables.items()):
        newest = latest.get(name)
        old = name in EVENTS and (newest is None or newest < start)
        warning = f"nothing in {period.title}" if old else _stale(name, newest, until, params.workspace)
        found.append(
            Freshness(
                table=name,
                rows=version.rows,
                newest=newest.isoformat(" ", "minutes") if newest else "",
                warning=warning,
            )
        )
    needed = {metric.table for metric in params.metrics.values()} - set(store.snapshot.tables)
    return (*found, *(Freshness(table=name, rows=0, warning="not in the store") for name in sorted(needed)))


def _stale(table: str, newest: datetime | None, until: datetime, workspace: Workspace) -> str:
    """Say that a table of events ends too long before the rest of the period's data."""
    if table not in EVENTS or newest is None:
        return ""
    age, limit = (until - newest).days, workspace.checks.max_age_days
    return f"newest is {age} days before the end of the period's data, more than {limit}" if age > limit else ""
