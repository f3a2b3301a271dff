"""Bring one source in: read, judge every row, put refused ones aside, upsert the rest, and show it all at once.

Every row of every file is readable, left out for a stated reason, or unreadable; every row of every table is accounted
for: rows in = accepted + unchanged + stale + duplicated + rejected, where accepted rows are new ones or corrections of
rows that the store held. Nothing is visible until the ledger names it, so a crash at any moment leaves the store as it
was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from cxlib.data import drafting, faults, feeds
from cxlib.data.counts import IngestReport, TableCounts
from cxlib.data.intake import Intake
from cxlib.data.ledger import writer_lock
from cxlib.data.places import Where, location_of
from cxlib.data.remote import Remote
from cxlib.errors import StoreError, UsageError, did_you_mean
from cxlib.params.models import Params, Source

__all__ = ["IngestReport", "TableCounts", "ingest"]


def ingest(
    root: Path,
    params: Params,
    source_name: str,
    *,
    folder: Path | None = None,
    mended: Path | None = None,
    dry_run: bool = False,
    despite_limits: bool = False,
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
        Its parameters; `workspace`, `sources` and `touchpoints` are used.
    source_name
        The source: a folder of `params/sources`.
    folder
        Where the raw files lie; default: `folder` of its source.yml, or data/raw/<source>.
    mended
        A workbook of the quarantine, or a CSV file named after a table, to take in instead of the raw files.
    dry_run
        Judge everything and write nothing; the report has first rows of each table and of each rejection.
    despite_limits
        Take in a batch that goes beyond a limit which stops an ingest.
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
        Counts for every file and table, refusals with their places, warnings, notes, and where the refused rows lie.

    Raises
    ------
    SourceError
        Where files, SQL or limits do not allow it; the store is as it was.
    StoreError
        Where another process writes, or the disk fails; the store is as it was.
    """
    source = _source(params, source_name)
    store = location_of(root, params.workspace.store)
    intake = Intake(root, store, params, source, today, progress or (lambda _: None), anew, dry_run, despite_limits)
    with writer_lock(store), told_of_disk(store), drafting.folder(root) as scratch:
        if mended is not None:
            feed = feeds.of_mended(root, params, source, mended, scratch)
        else:
            raw = folder or root / (source.folder or f"data/raw/{source.id}")
            feed = feeds.of_files(root, params, source, raw, scratch)
        with feed as opened:
            return intake.run(opened, now or datetime.now(UTC))


def _source(params: Params, source: str) -> Source:
    """Return the source of that name."""
    if source not in params.sources:
        known = ", ".join(sorted(params.sources)) or "none"
        raise UsageError(f"no source '{source}'{did_you_mean(source, params.sources)}", hint=f"There are: {known}.")
    return params.sources[source]


@contextmanager
def told_of_disk(store: Where) -> Iterator[None]:
    """Say plainly what the disk refused; the lock adds at which snapshot the store is."""
    try:
        yield
    except (OSError, DeltaError, pa.ArrowException, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        full = "No space left on device" in str(error)
        if isinstance(store, Remote) and not full:
            raise faults.explain(str(store), error) from error
        where = "this machine" if isinstance(store, Remote) else store
        why = f"the disk of {where} is full" if full else faults.plain(error)
        hint = "Free some space, then run the same command again." if full else ""
        raise StoreError(f"the store cannot be written: {why}", hint=hint) from error
