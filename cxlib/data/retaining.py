"""Let go of what was kept for long enough: words and rows in every snapshot, refused rows, runs laid aside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from cxlib.contract import DATE, TABLES
from cxlib.data import drafting, rewriting
from cxlib.data.ledger import Ledger, Snapshot
from cxlib.data.person import TEXTS
from cxlib.data.places import Where
from cxlib.data.sources import name
from cxlib.params.retention import Retention, kept_since

WHY = "what was kept for long enough was let go of"
_STAMP = re.compile(r"-(\d{8}T\d{6}Z)(-\d+)?$")  # of a run that was laid aside


@dataclass(frozen=True)
class Term:
    """How long things are kept: by whom it is decided, from which moment back, and in which timezone days begin."""

    retention: Retention = field(default_factory=Retention)
    timezone: str = "UTC"
    runs: Mapping[str, Path] = field(default_factory=dict)  # superseded, failed -> their folder

    def since(self, span: str | None, now: datetime) -> datetime | None:
        """Return the first moment that is kept, with a zone; None where all is."""
        return kept_since(span, now, self.timezone).replace(tzinfo=UTC) if span else None

    def old_runs(self, now: datetime) -> dict[str, list[Path]]:
        """Return superseded, failed -> the folders of runs that were laid aside for long enough."""
        spans = {"superseded": self.retention.superseded, "failed": self.retention.failed}
        found = {}
        for kind, folder in self.runs.items():
            since = self.since(spans[kind], now)
            old = [run for run in sorted(folder.glob("*/*")) if run.is_dir() and since and _laid_aside(run) < since]
            found[kind] = old
        return {kind: runs for kind, runs in found.items() if runs}

    def changes(self, now: datetime) -> dict[str, rewriting.Change]:
        """Return table -> what becomes of its rows, for those of which something may be too old."""
        words = {"responses": self.retention.comments, "interactions": self.retention.transcripts}
        found = {}
        for table, shape in TABLES.items():
            gone, blank = self.retention.tables.get(table), words.get(table)
            if gone or blank:
                column = TEXTS.get(table, "")
                becomes = {column: (f"{name(column)} IS NOT NULL AND {self._before(table, blank, now)}", "NULL")}
                asks = (shape.time, column) if blank else (shape.time,)
                row = self._before(table, gone, now) if gone else "false"
                found[table] = rewriting.Change(row, becomes if blank else {}, asks)
        return found

    def _before(self, table: str, span: str | None, now: datetime) -> str:
        """Return SQL for whether a row's time is before what is kept."""
        if not span:
            return "false"
        time = TABLES[table].column(TABLES[table].time)
        moment = kept_since(span, now, self.timezone)
        kind = "DATE" if time is not None and time.type == DATE else "TIMESTAMP"
        return f"{name(TABLES[table].time)} < {kind} '{moment}'"


def _laid_aside(run: Path) -> datetime:
    """Return when a run was laid aside, by its name; else when its folder was last changed."""
    stamp = _STAMP.search(run.name)
    if stamp:
        return datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return datetime.fromtimestamp(run.stat().st_mtime, UTC)


def let_go(root: Path, store: Where, term: Term, now: datetime, *, dry_run: bool) -> dict[str, int]:
    """Take words and rows that are too old out of every snapshot; call it under the writer's lock.

    Returns
    -------
    dict[str, int]
        What went -> how many rows of the newest snapshot had it.
    """
    changes = term.changes(now)
    kept = [one for one in Ledger.read(store) if one.dropped is None]
    known = {table: change for table, change in changes.items() if any(table in one.tables for one in kept)}
    if not known:
        return {}
    with drafting.folder(root, "retaining") as scratch, drafting.database(scratch) as connection:
        looked = {table: rewriting.look(connection, store, kept, table, change) for table, change in known.items()}
        if not dry_run:
            _rewrite(connection, store, kept, looked, known, scratch, now)
    found = {f"rows of {table}": one.rows(newest=True) for table, one in looked.items()}
    found |= {f"words of {table}": one.changed_rows() for table, one in looked.items()}
    return {what: rows for what, rows in found.items() if rows}


def _rewrite(
    connection: duckdb.DuckDBPyConnection,
    store: Where,
    kept: Sequence[Snapshot],
    looked: Mapping[str, rewriting.Table],
    changes: Mapping[str, rewriting.Change],
    scratch: Path,
    now: datetime,
) -> None:
    """Write what follows on the store's versions, and let the ledger name it; `compact` removes the old files."""
    made = {
        table: rewriting.rewrite(connection, store, one, changes[table], scratch)
        for table, one in looked.items()
        if one.touched
    }
    new = rewriting.renamed(kept, made)
    if new:
        Ledger.rewrite(store, new, WHY, now=now)
