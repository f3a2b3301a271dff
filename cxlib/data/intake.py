"""The work of one ingest, from raw rows to the ledger; `ingest` holds the lock around it.

Everything is judged first, then held against the limits, and only then are months written. Until the ledger names what
was written, the store is what it was.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import duckdb

from cxlib.contract import TABLES
from cxlib.data import facts, identity, limits, placing, quarantine, stage, tables
from cxlib.data.counts import IngestReport, Refusal, TableCounts
from cxlib.data.erased import Erased
from cxlib.data.feeds import Feed
from cxlib.data.kept_out import KeptOut
from cxlib.data.ledger import Batch, Ledger, TableVersion
from cxlib.data.places import Where
from cxlib.data.queries import Query
from cxlib.data.refusals import set_aside
from cxlib.data.rules import Rule, rules
from cxlib.data.sources import name, text
from cxlib.data.stage import SOURCE, Files, Staged
from cxlib.errors import SourceError, StoreError
from cxlib.params.models import Params, Source
from cxlib.periods import Period

SCRATCH, QUARANTINE = "data/scratch", "data/quarantine"
_KNOWN, _PEOPLE = '"known customers"', '"people"'  # ids of customers that somebody knows; who is who


@dataclass
class Intake:
    """One ingest: where it works, and what it has learned so far."""

    root: Path
    store: Where
    params: Params
    source: Source
    today: date | None
    progress: Callable[[str], None]
    anew: bool = False
    dry_run: bool = False
    despite_limits: bool = False
    versions: dict[str, TableVersion] = field(default_factory=dict)  # of the store as it is
    notes: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # table -> the relation of its refused rows
    knows_customers: bool = False
    rewritten: int = 0  # how often the newest snapshot was
    others: frozenset[str] = frozenset()  # further sources that the store has rows of
    strangers: list[str] = field(default_factory=list)  # keys of events that another source brought

    def run(self, feed: Feed, now: datetime) -> IngestReport:
        """Do it all; the caller holds the lock.

        Raises
        ------
        SourceError
            Where the batch goes beyond a limit that stops it.
        """
        past = Ledger.read(self.store)
        self.versions = dict(past[-1].tables) if past and not self.anew else {}
        self.rewritten = len(past[-1].rewritten) if past else 0
        self.others = frozenset(one.batch.source for one in past) - {self.source.id}
        batch = _batch(self.source, feed)
        staged = self._judge_all(feed, batch.id)
        unreadable = self._unreadable(feed)
        draft = self._set_aside(feed, batch.id, bool(unreadable))
        feed.check()
        warnings = self._within_limits(feed, staged, draft, batch.id)
        report = IngestReport(
            self.source.id,
            batch.id,
            past[-1].id if past else "",
            False,
            {one.table.name: TableCounts(**one.counts) for one in staged},
            files=feed.files,
            refusals=tuple(self.refusals),
            unreadable=unreadable,
            notes=(*feed.notes, *self.notes),
            warnings=warnings,
            dry_run=self.dry_run,
        )
        if self.dry_run:
            return replace(report, samples=facts.samples(staged, self.refused))
        aside = _put_aside(draft, self.root / QUARANTINE / batch.id)  # where it cannot be kept, nothing is written
        if self._write_all(staged):
            report = self._commit(batch, staged, report, now)
        return replace(report, quarantine=aside)

    @cached_property
    def kept_out(self) -> KeptOut:
        """What may not come in."""
        about = self.params.workspace
        gone = Erased(self.store)
        return KeptOut(gone, about.retention, self.today, about.timezone, self.source.timezone)

    def _commit(self, batch: Batch, staged: Sequence[Staged], report: IngestReport, now: datetime) -> IngestReport:
        """Make what was written visible, with what came of the batch's rows."""
        beyond = facts.out_of_range(staged, self.refused, self.params.workspace.timezone)
        counted = replace(batch, counts={one.table.name: one.counts for one in staged}, out_of_range=beyond)
        made = Ledger.commit(
            self.store, self.versions, counted, now=now, upon=report.snapshot_id, rewritten=self.rewritten
        )
        return replace(report, snapshot_id=made.id, changed=True)

    def _judge_all(self, feed: Feed, batch: str) -> list[Staged]:
        """Judge every table: who is who first, then the customers, since all others name them."""
        queries = {query.table.name: query for query in feed.queries}
        staged: dict[str, Staged] = {}

        def judge(names: Iterable[str]) -> None:
            for table in names:
                staged[table] = self._stage(feed.connection, queries[table], batch)
                self._judge(feed, staged[table], queries[table])

        judge({"identities"} & set(queries))
        self._resolve(feed.connection, staged)
        judge({"customers"} & set(queries))
        self._list_customers(feed, staged)
        judge(table for table in queries if table not in staged)
        return [staged[table] for table in queries]

    def _stage(self, connection: duckdb.DuckDBPyConnection, query: Query, batch: str) -> Staged:
        """Put what the store holds of a table beside what comes in."""
        table, scratch = query.table, self.root / SCRATCH
        staged = Staged(connection, table, query.given, scratch, self.source.id, batch, self.source.timezone)
        if table.name in self.versions:
            pinned = tables.attach(staged, self.store, self.versions[table.name].version)
            dropped = sorted(set(pinned.columns) - set(table.names))
            if dropped:
                self.notes.append(f"{table.name}: no longer declared, left out from now on: {', '.join(dropped)}")
        return staged

    def _judge(self, feed: Feed, staged: Staged, query: Query) -> None:
        """Take a table from raw rows to those that must be written."""
        table, source = query.table, self.source
        self.progress(f"{source.id}: reading {table.name}")
        out = self.kept_out.prepare(feed.connection, query)
        found = [*self._rules(query), *out]
        stage.load(staged, found, source.timezone)
        if staged.counts["rejected"]:
            refused = set_aside(feed.connection, query, found, source.timezone, feed.aliases, out)
            self.refused[table.name] = refused
            self.refusals += self.kept_out.told(feed.connection, query, found)
            self.refusals += quarantine.commonest(feed.connection, table.name, refused)
        self._count_people(staged)
        self._find_strangers(staged)
        stage.compare(staged)
        lost = sum(read.unreadable for read in feed.files.values())  # whose keys nobody knows: they may well be there
        full = feed.whole and table.name in source.full_extract and not lost
        stage.delete(staged, query.deletes or None, full, source.id)
        stage.count_late(staged, self._closed(staged))
        staged.touched = stage.touched(staged)

    def _rules(self, query: Query) -> list[Rule]:
        """Return what refuses a row of a table."""
        references = [column for column, target in query.table.references.items() if target == "customers"]
        checked = self.knows_customers and self.source.unknown.customers == "reject"
        return rules(
            query.table,
            query.given,
            today=self.today,
            known={column: f"{name(f't:{column}')} IN (FROM {_KNOWN})" for column in references} if checked else {},
            touchpoints=tuple(self.params.touchpoints) if self.source.unknown.touchpoints == "reject" else (),
            other_names=placing.known(name("t:touchpoint"), self.params.touchpoints),
        )

    def _resolve(self, connection: duckdb.DuckDBPyConnection, staged: Mapping[str, Staged]) -> None:
        """List who is who, by this batch and by the store."""
        selects = self._selects("identities", staged)
        if selects and identity.resolve(connection, selects, _PEOPLE):
            self.notes.append("identities: some ids point at each other in a circle; each circle counts as one person")
        if not selects:
            connection.execute(f"CREATE TABLE {_PEOPLE} (source_id VARCHAR, customer_id VARCHAR)")

    def _list_customers(self, feed: Feed, staged: Mapping[str, Staged]) -> None:
        """List the ids of customers that this batch or the store knows."""
        selects = self._selects("customers", staged)
        self.knows_customers = bool(selects)
        ids = identity.known_customers_sql(selects, _PEOPLE) if selects else "SELECT NULL::VARCHAR WHERE false"
        feed.connection.execute(f"CREATE TABLE {_KNOWN} AS {ids}")
        asks = any("customers" in query.table.references.values() for query in feed.queries)
        if asks and not selects and self.source.unknown.customers == "reject":
            self.notes.append("no customers in this batch or the store: references to them are not checked")

    def _selects(self, table: str, staged: Mapping[str, Staged]) -> list[str]:
        """Return SQL for the rows of a table in this batch and in the store."""
        if table in staged:
            one = staged[table]
            return [f"FROM {one.new}", *([f"FROM {one.old}"] if one.has_old else [])]
        if table not in self.versions:
            return []
        return [tables.select(TABLES[table], tables.pin(self.store, table, self.versions[table].version))]

    def _count_people(self, staged: Staged) -> None:
        """Count the rows that name a customer, and those of them whom nobody knows: accepted ones and refused."""
        staged.counts |= {"named": 0, "unresolved": 0}
        if not self.knows_customers or "customers" not in staged.table.references.values():
            return
        unknown = f"customer_id IS NOT NULL AND customer_id NOT IN (FROM {_KNOWN})"
        parts = [f"SELECT count(customer_id), count(*) FILTER ({unknown}) FROM {staged.new}"]
        refused = self.refused.get(staged.table.name)
        if refused and "customer_id" in staged.given:
            said = "contains(reasons, ' is not in customers')"
            parts.append(f"SELECT count(customer_id), count(*) FILTER ({said}) FROM {refused}")
        rows = staged.connection.execute(" UNION ALL ".join(parts)).fetchall()
        staged.counts |= {"named": sum(row[0] for row in rows), "unresolved": sum(row[1] for row in rows)}

    def _find_strangers(self, staged: Staged) -> None:
        """Note events whose key another source brought: two tools that both count from 1 would overwrite each other."""
        if not (staged.has_old and staged.table.name in limits.DAILY and self.others):
            return
        key = name(staged.table.key[0])
        found = staged.connection.execute(
            f"SELECT {SOURCE}, count(*), min({key}) FROM {staged.old} SEMI JOIN {staged.new} USING ({staged.key})"
            f" WHERE {SOURCE} <> {text(self.source.id)} GROUP BY 1 ORDER BY 1"
        ).fetchall()
        for other, rows, example in found:
            self.strangers.append(
                f"{staged.table.name}: {rows:,} rows have a key that the source {other} brought, as '{example}': they"
                f" would take their places. Give this source ids of its own in its SQL, as '{self.source.id}:' || id."
            )

    def _closed(self, staged: Staged) -> datetime | date | None:
        """Return the end of the last month that this source's own rows had closed before the batch.

        Another source's months say nothing: the first export of a source is never late. What a tool still adds to for
        some time is not closed in that time.
        """
        newest = stage.newest(staged)
        if newest is None:
            return None
        zone = "UTC" if stage.is_date(staged.table) else self.params.workspace.timezone
        month = Period.last_closed(newest - timedelta(hours=self.source.settle_hours), "month", zone)
        return month.next_day if stage.is_date(staged.table) else month.bounds(zone)[1]

    def _unreadable(self, feed: Feed) -> tuple[Refusal, ...]:
        """Tell which rows of which files could not be read."""
        if feed.files:
            self.kept_out.forget_lines(feed.connection)
        found: list[Refusal] = []
        for read in feed.files.values():
            for file in read.files:
                if file.unreadable:
                    said = "coalesce('column ' || \"column\" || ': ', '') || reason AS reasons"
                    place = f'file AS _file, "row" AS _row FROM unreadable WHERE file = {text(file.label)}'
                    rows = f"(SELECT {said}, {place})"
                    found += quarantine.commonest(feed.connection, file.label, rows)
        return tuple(found)

    def _set_aside(self, feed: Feed, batch: str, unreadable: bool) -> Path:
        """Write what was refused into the scratch folder."""
        draft = self.root / SCRATCH / "quarantine"
        quarantine.write(
            feed.connection,
            draft,
            self.refused,
            batch=batch,
            source=self.source.id,
            timezone=self.source.timezone,
            unreadable=unreadable,
        )
        return draft

    def _within_limits(self, feed: Feed, staged: Sequence[Staged], draft: Path, batch: str) -> tuple[str, ...]:
        """Hold the batch against the limits; return the warnings, or raise."""
        workspace = self.params.workspace
        found = limits.check(
            self.source.limits_over(workspace.limits),
            facts.gather(feed, staged, self.source, today=self.today, timezone=workspace.timezone),
        )
        found += [limits.Finding("stop", message) for message in self.strangers]
        stops = [finding.message for finding in found if finding.kind == "stop"]
        if stops and not (self.dry_run or self.despite_limits):
            lies = _put_aside(draft, self.root / QUARANTINE / batch)
            hint = f"To take it as it is: cx ingest {self.source.id} --despite-limits."
            hint += f" The refused rows lie in {lies}." if lies else ""
            words = "\n".join([f"{self.source.id}: stopped by limits", *(f"  {message}" for message in stops)])
            raise SourceError(words, hint=hint)
        beyond = "beyond the limit that stops an ingest: "
        return tuple(f"{beyond if finding.kind == 'stop' else ''}{finding.message}" for finding in found)

    def _write_all(self, staged: Sequence[Staged]) -> bool:
        """Bring all touched months into the store, where nobody sees them yet; say whether there were any."""
        files: dict[str, Files] = {}
        touched = [one for one in staged if one.touched]
        for one in touched:
            self.progress(f"{self.source.id}: writing {one.table.name}, {len(one.touched)} months")
            files[one.table.name] = stage.write(one)
        for one in touched:
            self.versions[one.table.name] = self._write(one, files[one.table.name])
        return bool(touched)

    def _write(self, staged: Staged, files: Files) -> TableVersion:
        """Bring the touched months of a table into the store; return the version that they and all others make."""
        table, counts = staged.table, staged.counts
        old = self.versions.get(table.name)
        version = tables.write(self.store, table, old.version if old and not staged.reshaped else None, files)
        rows, moment = tables.measure(staged.connection, table, self.store, version)
        expected = (old.rows if old else 0) + counts["accepted"] - counts["corrected"] - counts["deleted"]
        if rows != expected:
            raise StoreError(f"{table.name}: {rows:,} rows written, {expected:,} expected", hint="Please report this.")
        return TableVersion(version, rows, moment)


def _batch(source: Source, feed: Feed) -> Batch:
    """Name what comes in, by the checksum of all that it is made of."""
    sums = dict(sorted(feed.checksums.items()))
    checksum = hashlib.sha256("\n".join(f"{label} {value}" for label, value in sums.items()).encode()).hexdigest()
    return Batch(f"{source.id}-{checksum[:8]}", source.id, checksum, sums)


def _put_aside(draft: Path, final: Path) -> Path | None:
    """Put the refused rows of a batch where people look for them; return where, or None without any."""
    shutil.rmtree(final, ignore_errors=True)
    if not draft.is_dir():
        return None
    final.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(final)
    return final
