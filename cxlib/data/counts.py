"""What an ingest did, as data: counts for every table, the commonest reasons of refusal, notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class TableCounts:
    """What came of a table's rows: `rows_in = accepted + unchanged + duplicated + rejected`.

    `corrected` of the accepted rows replaced a row of the same key; `late` of them fell into a month that was closed.
    """

    rows_in: int
    accepted: int
    rejected: int
    duplicated: int
    late: int
    unchanged: int
    corrected: int = 0


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did; `changed` is False where the store held everything already."""

    source: str
    batch: str
    snapshot_id: str  # of the store as it is now; empty where nothing was ever accepted
    changed: bool
    tables: dict[str, TableCounts]
    reasons: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)  # commonest reasons of rejected rows
    notes: tuple[str, ...] = ()
    quarantine: Path | None = None

    def lines(self) -> list[str]:
        """Return the report as lines of plain text."""
        heads = ("rows in", "accepted", "unchanged", "duplicated", "rejected", "late", "corrected")
        rows = [(n, *(getattr(c, head.replace(" ", "_")) for head in heads)) for n, c in self.tables.items()]
        width = max((len(row[0]) for row in rows), default=5)
        found = [" ".join([" " * width, *(f"{head:>10}" for head in heads)])]
        found += [" ".join([f"{row[0]:<{width}}", *(f"{count:>10,}" for count in row[1:])]) for row in rows]
        for table, common in self.reasons.items():
            found += [f"rejected from {table}: {times:,} x {why}" for why, times in common]
        found += [f"note: {note}" for note in self.notes]
        if self.quarantine is not None:
            found.append(f"rejected rows with all their reasons: {self.quarantine}")
        known = f"snapshot {self.snapshot_id}" if self.snapshot_id else "the store is empty"
        return [*found, f"new {known}" if self.changed else f"nothing new: {known}"]
