"""What the ledger says of a store: snapshots, the batches that made them, and how JSON holds both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True)
class TableVersion:
    """One table in a snapshot: its Delta version, its rows, and its latest event time (naive UTC) if any."""

    version: int
    rows: int
    latest: datetime | None = None


@dataclass(frozen=True)
class Batch:
    """One ingest of one source: a name made of its inputs' checksum, what came of its rows by table, and when."""

    id: str
    source: str
    checksum: str
    files: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    out_of_range: dict[str, int] = field(default_factory=dict)  # month -> answers refused for a score outside its scale
    when: str = ""  # UTC, ISO 8601; the ledger writes it


class Dropped(NamedTuple):
    """When a snapshot was compacted away (UTC, ISO 8601), and why."""

    when: str
    why: str


class Rewritten(NamedTuple):
    """When rows or words were taken out of a snapshot (UTC, ISO 8601), and why; it never says whose."""

    when: str
    why: str


@dataclass(frozen=True)
class Snapshot:
    """All tables at one moment, with the batches that made it, oldest first; `batches[-1]` is the one it added.

    One that was `dropped` stays listed, and cannot be opened. One that was `rewritten` lacks people who were erased
    since, or what was kept for long enough.
    """

    id: str
    created_at: str  # UTC, ISO 8601
    tables: dict[str, TableVersion]
    batches: tuple[Batch, ...] = ()
    dropped: Dropped | None = None
    rewritten: tuple[Rewritten, ...] = ()

    @property
    def batch(self) -> Batch:
        """The batch that this snapshot added."""
        return self.batches[-1]


def brought(batch: Batch) -> dict[str, Any]:
    """Return a batch as JSON holds it: without the time, which is that of its snapshot."""
    return {name: value for name, value in asdict(batch).items() if name != "when"}


def plain(version: TableVersion) -> dict[str, Any]:
    """Return a table version as JSON holds it."""
    return {**asdict(version), "latest": version.latest.isoformat() if version.latest else None}


def entry_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON holds it: with its own batch only, the earlier ones stand in the earlier entries."""
    entry = {
        "id": snapshot.id,
        "created_at": snapshot.created_at,
        "tables": {name: plain(version) for name, version in sorted(snapshot.tables.items())},
        "batch": brought(snapshot.batch),
    }
    marks = {"rewritten": [one._asdict() for one in snapshot.rewritten]} if snapshot.rewritten else {}
    return entry | marks | ({"dropped": snapshot.dropped._asdict()} if snapshot.dropped else {})


def moved(snapshot: Snapshot) -> dict[str, Any]:
    """Return what of a snapshot's entry a rewriting changes, as JSON holds it."""
    return {key: value for key, value in entry_of(snapshot).items() if key in ("tables", "rewritten")}


def snapshots_of(entries: Sequence[Mapping[str, Any]]) -> list[Snapshot]:
    """Return the snapshots of a ledger's entries; each carries the batches of all before it."""
    found: list[Snapshot] = []
    batches: tuple[Batch, ...] = ()
    for entry in entries:
        batches = (*batches, Batch(**entry["batch"], when=entry["created_at"]))
        tables = {
            name: TableVersion(t["version"], t["rows"], datetime.fromisoformat(t["latest"]) if t["latest"] else None)
            for name, t in entry["tables"].items()
        }
        dropped = Dropped(**entry["dropped"]) if "dropped" in entry else None
        rewritten = tuple(Rewritten(**one) for one in entry.get("rewritten", ()))
        found.append(Snapshot(entry["id"], entry["created_at"], tables, batches, dropped, rewritten))
    return found
