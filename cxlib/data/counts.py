"""What an ingest did, as data: counts for every file and table, refusals with their places, warnings, first rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxlib.data.reading import Read


@dataclass(frozen=True)
class TableCounts:
    """What came of a table's rows: `rows_in = accepted + unchanged + stale + duplicated + rejected`.

    `corrected` of the accepted rows replaced a row of the same key; `late` of them fell into a month that was closed.
    `stale` rows are older (by `_updated_at`) than what the store holds. `deleted` rows of the store are gone: no row of
    the batch. Of the rows that name a customer (`named`), nobody knows `unresolved`.
    """

    rows_in: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicated: int = 0
    late: int = 0
    unchanged: int = 0
    corrected: int = 0
    stale: int = 0
    deleted: int = 0
    named: int = 0
    unresolved: int = 0


@dataclass(frozen=True)
class Refusal:
    """Rows that were refused, or could not be read, for one reason: how many, and where the first of them stands."""

    table: str  # of the contract; the file's alias for rows that could not be read
    reason: str  # values are left out where they differ from row to row
    rows: int
    place: str = ""  # "orders.csv, row 17": of the first, where it is known
    example: str = ""  # the first one's reasons, word for word


@dataclass(frozen=True)
class Sample:
    """The first rows of something, as texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did; `changed` is False where the store held everything already."""

    source: str
    batch: str
    snapshot_id: str  # of the store as it is now; empty where nothing was ever accepted
    changed: bool
    tables: dict[str, TableCounts]
    files: Mapping[str, Read] = field(default_factory=dict)  # alias -> what could be read of its files
    refusals: tuple[Refusal, ...] = ()  # rejected by the contract, the commonest of each table first
    unreadable: tuple[Refusal, ...] = ()  # could not be read as source.yml says
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # of limits in params
    samples: tuple[Sample, ...] = ()  # of a dry run: first rows of each table and of each rejection
    quarantine: Path | None = None  # folder of what was refused, as Parquet and as a workbook
    dry_run: bool = False
