"""What a notebook knows of its run besides the numbers: company, period, snapshot, freshness, definitions.

It is frozen beside the numbers, so that a replay needs neither `params/` nor the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cxlib import params as parameters
from cxlib.errors import StoreError, UsageError, did_you_mean
from cxlib.params.base import Model
from cxlib.params.models import Metric, Params, Report, Segment, Touchpoint, Workspace
from cxlib.periods import Period

if TYPE_CHECKING:
    from cxlib.data.store import Store

# The tables whose newest event says how far the data reach; the others are attributes, plans and keys.
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
    origins: tuple[Origin, ...]
    freshness: tuple[Freshness, ...]
    metrics: dict[str, Metric]
    segments: dict[str, Segment]
    touchpoints: dict[str, Touchpoint]
    definitions: dict[str, str]  # metric id -> hash of its definition

    @property
    def currency(self) -> str:
        """What amounts of the period are in: its sources' currency, the workspace's where they are of several."""
        found = {origin.currency for origin in self.origins}
        return found.pop() if len(found) == 1 else self.workspace.currency

    @property
    def warnings(self) -> list[str]:
        """What a reader has to know before any number."""
        found = [f"{item.table}: {item.warning}" for item in self.freshness if item.warning]
        mixed = sorted({origin.currency for origin in self.origins})
        if len(mixed) > 1:
            found.append(f"amounts of this period are in {' and '.join(mixed)}, added up as they are")
        return found

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


def report_of(params: Params, pack: str) -> Report:
    """Return the pack called `pack`; `UsageError` names the packs there are."""
    if pack not in params.reports:
        known = ", ".join(sorted(params.reports)) or "none"
        raise UsageError(f"no pack is called '{pack}'{did_you_mean(pack, params.reports)}", hint=f"Packs: {known}.")
    return params.reports[pack]


def open_store(root: Path, params: Params, as_of: str) -> Store:
    """Open the store at a snapshot ('' for the newest)."""
    from cxlib.data.store import Store

    return Store.open(root, params.workspace.store, as_of=as_of or None)


def resolve_period(text: str, workspace: Workspace, latest: Mapping[str, datetime | None]) -> Period:
    """Turn `2026-10` or `last` into a period; `last` is the last complete one of the data, never of the clock.

    Raises `UsageError` for what is no period and `StoreError` where `last` meets no data.
    """
    if text != "last":
        return Period.parse(text)
    newest = [moment for table in EVENTS if (moment := latest.get(table)) is not None]
    if not newest:
        raise StoreError(
            "the store holds no events, so there is no last period", hint="Run cx demo, or cx ingest SOURCE."
        )
    return Period.last_closed(max(newest), workspace.period, workspace.timezone)


def gather(params: Params, pack: str, period: str, store: Store) -> Context:
    """Gather the context of a run from the checked params and an open store."""
    latest = store.latest()
    chosen = resolve_period(period, params.workspace, latest)
    return Context(
        workspace=params.workspace,
        report=report_of(params, pack),
        period=chosen.label,
        snapshot=store.snapshot.id,
        created_at=str(store.snapshot.created_at),
        origins=_origins(params, store, chosen),
        freshness=_freshness(params, store, latest, chosen),
        metrics=params.metrics,
        segments=params.segments,
        touchpoints=params.touchpoints,
        definitions={name: parameters.definition_hash(metric) for name, metric in params.metrics.items()},
    )


def _origins(params: Params, store: Store, period: Period) -> tuple[Origin, ...]:
    """List the sources of the period's events."""
    found = []
    for name, events in store.sources(*period.bounds(params.workspace.timezone)).items():
        source = params.sources.get(name)
        currency = (source.currency if source else "") or params.workspace.currency
        found.append(Origin(source=name, title=source.title if source else name, events=events, currency=currency))
    return tuple(found)


def _freshness(
    params: Params, store: Store, latest: Mapping[str, datetime | None], period: Period
) -> tuple[Freshness, ...]:
    """List the tables of the snapshot, and the ones that the metrics need and the snapshot lacks."""
    found = []
    for name, version in sorted(store.snapshot.tables.items()):
        newest = latest.get(name)
        warning = _stale(name, newest, params.workspace, period)
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


def _stale(table: str, newest: datetime | None, workspace: Workspace, period: Period) -> str:
    """Say what is wrong with the age of a table of events, measured from the end of the period."""
    if table not in EVENTS:
        return ""
    start, end = period.bounds(workspace.timezone)
    if newest is None:
        return "empty"
    if newest < start:
        return f"nothing in {period.title}"
    age, limit = (end - newest).days, workspace.checks.max_age_days
    return f"newest is {age} days before the end of {period.title}, more than {limit}" if age > limit else ""
