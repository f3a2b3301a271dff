"""The work of one ingest, from the source's SQL to the ledger; `ingest` holds the lock around it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import duckdb

from cxlib import contract
from cxlib.data import stage, tables
from cxlib.data.counts import IngestReport, TableCounts
from cxlib.data.ledger import Batch, Ledger, TableVersion
from cxlib.data.rules import column_faults, rules, shape
from cxlib.data.sources import Opened, name
from cxlib.data.stage import SOURCE, Staged
from cxlib.errors import SourceError, StoreError, did_you_mean
from cxlib.params.models import Source, Workspace
from cxlib.periods import Period

SCRATCH, QUARANTINE = "data/scratch", "data/quarantine"
_ROWS_A_COMMIT = 3_000_000  # bounds what the Parquet writer holds in memory
_ROWS_A_BATCH = 65_536


@dataclass
class Intake:
    """One ingest: where it works, and what it has learned so far."""

    root: Path
    store: Path
    workspace: Workspace
    source: Source
    today: date | None
    progress: Callable[[str], None]
    anew: bool = False
    notes: list[str] = field(default_factory=list)
    listed: dict[str, bool] = field(default_factory=dict)  # table -> its keys stand in a table of their own

    @property
    def sql(self) -> Path:
        """The folder of the source's SQL."""
        return self.root / "params" / "sources" / self.source.id

    def run(self, opened: Opened, raw: Path, now: datetime) -> IngestReport:
        """Do it all; the caller holds the lock."""
        past = Ledger.read(self.store)
        snapshot = past[-1] if past else None
        versions = dict(snapshot.tables) if snapshot and not self.anew else {}
        staged = self._describe(opened.connection, versions)
        sums = _checksums(opened.files, raw, self.sql)
        checksum = hashlib.sha256("\n".join(f"{n} {s}" for n, s in sorted(sums.items())).encode()).hexdigest()
        batch_id = f"{self.source.id}-{checksum[:8]}"
        draft = self.root / SCRATCH / "quarantine"
        reasons = {one.table.name: tuple(self._judge(one, versions, draft)) for one in staged}
        changed = {one.table.name: self._write(one, versions, batch_id) for one in staged if one.touched}
        quarantine = _set_aside(draft, self.root / QUARANTINE / batch_id)
        counts = {one.table.name: one.counts for one in staged}
        if changed:
            batch = Batch(batch_id, self.source.id, checksum, sums, counts)
            snapshot = Ledger.commit(self.store, versions | changed, batch, now=now)
        return IngestReport(
            self.source.id,
            batch_id,
            snapshot.id if snapshot else "",
            bool(changed),
            {table: TableCounts(**found) for table, found in counts.items()},
            {table: common for table, common in reasons.items() if common},
            (*opened.notes, *self.notes),
            quarantine,
        )

    def _describe(self, connection: duckdb.DuckDBPyConnection, versions: Mapping[str, TableVersion]) -> list[Staged]:
        """Make the views of all SQL files and of what the store holds; raise with all that is wrong with columns."""
        staged, faults = [], []
        for path in sorted(self.sql.glob("*.sql"), key=lambda path: (_place(path.stem), path.stem)):
            where = f"{path.parent.name}/{path.name}"
            if path.stem not in contract.TABLES:
                near = did_you_mean(path.stem, contract.TABLES)
                faults.append(f"{where}: the contract has no table '{path.stem}'{near}")
                continue
            table = shape(path.stem, self.workspace.attributes)
            try:
                given = stage.describe(connection, table.name, path)
            except SourceError as error:
                faults.append(error.message)
                continue
            faults += column_faults(table, given, where)
            staged.append(Staged(connection, table, given))
        if not staged and not faults:
            faults.append(f"no SQL in {self.sql}; write <table>.sql")
        if faults:
            raise SourceError("\n".join([f"source {self.source.id}:", *(f"  {fault}" for fault in faults)]))
        for one in staged:
            self._pin(one, versions)
        return staged

    def _pin(self, staged: Staged, versions: Mapping[str, TableVersion]) -> None:
        """Make the view of what the store holds of a table."""
        if staged.table.name not in versions:
            return
        pinned = tables.pin(self.store, staged.table.name, versions[staged.table.name].version)
        dropped = sorted(set(pinned.columns) - set(staged.table.names))
        staged.has_old = True
        staged.reshaped = pinned.columns != {column.name: column.type for column in staged.table.columns}
        if dropped:
            self.notes.append(f"{staged.table.name}: no longer declared, left out from now on: {', '.join(dropped)}")
        staged.connection.execute(f"CREATE VIEW {staged.old} AS {tables.select(staged.table, pinned, physical=True)}")

    def _judge(self, staged: Staged, versions: Mapping[str, TableVersion], draft: Path) -> list[tuple[str, int]]:
        """Take a table from raw rows to those that must be written; return the commonest reasons of refusal."""
        self.progress(f"{self.source.id}: reading {staged.table.name}")
        known = {
            column: f"{name(f't:{column}')} IN (FROM {name(f'known {target}')})"
            for column, target in staged.table.references.items()
            if self._list_keys(staged.connection, target, versions)
        }
        found = rules(staged.table, staged.given, today=self.today, known=known)
        stage.load(staged, found, self.source.timezone)
        common = stage.quarantine(staged, draft)
        stage.drop_duplicates(staged)
        stage.compare(staged)
        stage.count_late(staged, self._closed(staged))
        staged.touched = stage.touched(staged)
        return common

    def _list_keys(
        self, connection: duckdb.DuckDBPyConnection, target: str, versions: Mapping[str, TableVersion]
    ) -> bool:
        """List the keys of a table that others refer to, of this batch and of the store; False where there is none.

        The table referred to comes earlier in the contract, so it has been judged by now.
        """
        if target not in self.listed:
            table = contract.TABLES[target]
            selects = [f"SELECT * FROM {name(f'new {target}')}"] if (self.sql / f"{target}.sql").is_file() else []
            if target in versions:
                selects.append(tables.select(table, tables.pin(self.store, target, versions[target].version)))
            self.listed[target] = bool(selects)
            if selects:
                keys = " UNION ALL ".join(f"SELECT {name(table.key[0])} FROM ({select})" for select in selects)
                connection.execute(f"CREATE TABLE {name(f'known {target}')} AS SELECT DISTINCT * FROM ({keys})")
            else:
                self.notes.append(f"no {target} in this batch or the store: references to them are not checked")
        return self.listed[target]

    def _closed(self, staged: Staged) -> datetime | date | None:
        """Return the end of the last month that this source's own rows had closed before the batch.

        Another source's months say nothing: the first export of a source is never late.
        """
        if not (staged.has_old and staged.table.time):
            return None
        query = f"SELECT max({name(staged.table.time)})::TIMESTAMP FROM {staged.old} WHERE {SOURCE} = ?"
        found = staged.connection.execute(query, [self.source.id]).fetchone()
        if found is None or found[0] is None:
            return None
        zone = "UTC" if stage.is_date(staged.table) else self.workspace.timezone
        month = Period.last_closed(found[0], "month", zone)
        return month.next_day if stage.is_date(staged.table) else month.bounds(zone)[1]

    def _write(self, staged: Staged, versions: Mapping[str, TableVersion], batch: str) -> TableVersion:
        """Write the touched months; return the version that they and all others make."""
        table = staged.table
        self.progress(f"{self.source.id}: writing {table.name}, {len(staged.touched)} months")
        old = versions.get(table.name)
        parts = (
            (months, staged.connection.execute(sql).to_arrow_reader(_ROWS_A_BATCH))
            for months in _groups(staged.touched)
            for sql in [stage.months_sql(staged, months, source=self.source.id, batch=batch)]
        )
        version = tables.write(self.store, table.name, old.version if old and not staged.reshaped else None, parts)
        written = tables.select(table, tables.pin(self.store, table.name, version))
        latest = f"max({name(table.time)})::TIMESTAMP" if table.time else "NULL"
        row = staged.connection.execute(f"SELECT count(*), {latest} FROM ({written})").fetchone()
        rows, moment = row if row else (0, None)
        expected = (old.rows if old else 0) + staged.counts["accepted"] - staged.counts["corrected"]
        if rows != expected:
            raise StoreError(f"{table.name}: {rows:,} rows written, {expected:,} expected", hint="Please report this.")
        return TableVersion(version, rows, moment)


def _place(table: str) -> int:
    """Return the place of a table in the contract; unknown ones come last."""
    return list(contract.TABLES).index(table) if table in contract.TABLES else len(contract.TABLES)


def _groups(months: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """Gather months into commits of a bounded number of rows."""
    group: list[str] = []
    rows = 0
    for month, count in months:
        if group and rows + count > _ROWS_A_COMMIT:
            yield group
            group, rows = [], 0
        group.append(month)
        rows += count
    if group:
        yield group


def _checksums(files: Sequence[Path], raw: Path, sql: Path) -> dict[str, str]:
    """Return the SHA-256 of all that a batch is made of: raw files, SQL and source.yml."""
    said = {f"params/{path.name}": path for path in sorted(sql.iterdir()) if path.suffix in (".sql", ".yml")}
    found = {path.relative_to(raw).as_posix(): path for path in files} | said
    sums = {}
    for label, path in found.items():
        with path.open("rb") as file:
            sums[label] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _set_aside(draft: Path, final: Path) -> Path | None:
    """Put the refused rows of a batch where people look for them; return where, or None without any."""
    shutil.rmtree(final, ignore_errors=True)
    if not draft.is_dir():
        return None
    final.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(final)
    return final
