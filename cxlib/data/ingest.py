"""Bring one source in: read, judge every row, put refused ones aside, upsert the rest, and show it all at once.

Every row of every table is accounted for: rows in = accepted + unchanged + duplicated + rejected, where accepted rows
are new ones or corrections of rows that the store held. Nothing is visible until the ledger names it, so a crash at any
moment leaves the store as it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from cxlib.data.counts import IngestReport, TableCounts
from cxlib.data.intake import SCRATCH, Intake
from cxlib.data.ledger import writer_lock
from cxlib.data.sources import open_source
from cxlib.data.store import location_of
from cxlib.errors import StoreError, UsageError, did_you_mean
from cxlib.params.models import Params, Source

__all__ = ["IngestReport", "TableCounts", "ingest"]


def ingest(
    root: Path,
    params: Params,
    source_name: str,
    *,
    folder: Path | None = None,
    anew: bool = False,
    today: date | None = None,
    now: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> IngestReport:
    """Bring a source's files into the store of a workspace.

    Parameters
    ----------
    root
        The workspace folder.
    params
        Its parameters; `workspace` and `sources` are used.
    source_name
        The source: a folder of `params/sources`.
    folder
        Where the raw files lie; default: `folder` of its source.yml, or data/raw/<source>.
    anew
        The new snapshot holds this batch and nothing else; older snapshots stay what they were.
    today
        The day of the ingest: events more than a day later are refused. Default: no event is too late.
    now
        The moment that the ledger writes down; default: the clock's.
    progress
        Called with one line of text at each step.

    Returns
    -------
    IngestReport
        Counts for every table, notes, and where the refused rows lie.

    Raises
    ------
    SourceError
        Where files or SQL cannot be used; the store is as it was.
    StoreError
        Where another process writes, or the disk fails; the store is as it was.
    """
    source = _source(params, source_name)
    store = location_of(root, params.workspace.store)
    raw = folder or root / (source.folder or f"data/raw/{source.id}")
    intake = Intake(root, store, params.workspace, source, today, progress or (lambda _: None), anew)
    with writer_lock(store), _scratch(root) as scratch, open_source(source, raw, scratch=scratch) as opened:
        try:
            return intake.run(opened, raw, now or datetime.now(UTC))
        except (OSError, DeltaError, pa.ArrowException, duckdb.IOException, duckdb.OutOfMemoryException) as error:
            full = "No space left on device" in str(error)
            hint = "It is as it was before." + full * " Free some space, then run the same command again."
            why = f"the disk of {store} is full" if full else error
            raise StoreError(f"the store cannot be written: {why}", hint=hint) from error


def _source(params: Params, source: str) -> Source:
    """Return the source of that name."""
    if source not in params.sources:
        known = ", ".join(sorted(params.sources)) or "none"
        raise UsageError(f"no source '{source}'{did_you_mean(source, params.sources)}", hint=f"There are: {known}.")
    return params.sources[source]


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """Give a folder for what does not fit into memory; what a killed ingest left is removed (under the writer lock)."""
    path = root / SCRATCH
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
