"""What one ingest is like, gathered before anything is written: for its limits, and to show in a dry run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from cxlib.data import limits
from cxlib.data.counts import Sample
from cxlib.data.feeds import Feed
from cxlib.data.rules import typed
from cxlib.data.sources import name, text
from cxlib.data.stage import SOURCE, Staged, is_date, newest
from cxlib.params.models import Source

_ROWS_SHOWN = 5


def gather(feed: Feed, staged: Iterable[Staged], source: Source, *, today: date | None, timezone: str) -> limits.Facts:
    """Return what the limits of an ingest are held against; of mended rows, only what holds for some rows."""
    tables = {one.table.name: one for one in staged}
    counts = {table: one.counts for table, one in tables.items()}
    found = limits.Facts(
        source.id,
        rejected={table: (c["rejected"], c["rows_in"]) for table, c in counts.items()},
        unreadable={file.label: (file.unreadable, file.rows) for read in feed.files.values() for file in read.files},
        unresolved={table: (c["unresolved"], c["named"]) for table, c in counts.items()},
        deleted={table: (c["deleted"], _brought(tables[table])) for table, c in counts.items() if c["deleted"]},
        own=frozenset(source.limits.model_fields_set),
    )
    if not feed.whole:
        return found
    volumes = {table: _volume(one, source, timezone) for table, one in tables.items() if table in limits.DAILY}
    return replace(
        found,
        newest=_newest(tables.values(), timezone),
        today=today,
        volumes={table: volume for table, volume in volumes.items() if volume is not None},
    )


def out_of_range(staged: Iterable[Staged], refused: Mapping[str, str], timezone: str) -> dict[str, int]:
    """Count the answers that were refused for a score outside its scale, by their month in a timezone.

    A run tells their share; the rows themselves lie in the quarantine, which is not kept for ever.
    """
    table = "responses"
    own = next((one for one in staged if one.table.name == table), None)
    if own is None or table not in refused:
        return {}
    time = next(column for column in own.table.columns if column.name == own.table.time)
    columns = f"SELECT column_name, column_type FROM (DESCRIBE FROM {refused[table]})"
    kept = dict(own.connection.execute(columns).fetchall())
    moment = typed(time, kept.get(time.name), own.timezone)  # what is refused is kept as words
    month = f"strftime(timezone({text(timezone)}, timezone('UTC', {moment})), '%Y-%m')"
    said = r"regexp_matches(reasons, '(^|; )score ''[^'']*'' is outside ')"
    rows = f"SELECT {month} AS month, count(*) FROM {refused[table]} WHERE {said} AND {moment} IS NOT NULL"
    return dict(own.connection.execute(f"{rows} GROUP BY 1 ORDER BY 1").fetchall())


def _brought(staged: Staged) -> int:
    """Count the rows of a table in the store that this source brought."""
    return staged.one(f"SELECT count(*) FROM {staged.old} WHERE {SOURCE} = {text(staged.source)}")


def _newest(staged: Iterable[Staged], timezone: str) -> date | None:
    """Return the local day of the newest event, of the batch or of what the source brought before."""
    found: list[datetime] = []
    for one in staged:
        if one.table.name in limits.DAILY:
            row = one.connection.execute(f"SELECT max({name(one.table.time)}) FROM {one.new}").fetchone()
            found += [moment for moment in (row[0] if row else None, newest(one)) if moment is not None]
    return max(found).replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date() if found else None


def _volume(staged: Staged, source: Source, timezone: str) -> limits.Volume | None:
    """Count the rows of a table by day."""
    counts = staged.counts
    return limits.volume(
        staged.connection,
        staged.table,
        new=staged.new,
        old=staged.old if staged.has_old else "",
        source=source.id,
        timezone=timezone,
        held_until=newest(staged),
        overlap=bool(counts["unchanged"] or counts["corrected"] or counts["stale"]),
        settle_hours=source.settle_hours,
    )


def samples(staged: Iterable[Staged], refused: Mapping[str, str]) -> tuple[Sample, ...]:
    """Return the first rows of each table as they would be stored, and of what was refused, as texts."""
    found: list[Sample] = []
    for one in staged:
        table = one.table
        times = {table.time} if table.time and not is_date(table) else set()
        rows = f"SELECT {', '.join(map(name, table.names))} FROM {one.new} ORDER BY {one.key} LIMIT {_ROWS_SHOWN}"
        found.append(_sample(one, f"{table.name}{' (times in UTC)' if times else ''}", rows))
        if table.name in refused:
            rows = f"SELECT reasons, * EXCLUDE (reasons) FROM {refused[table.name]} LIMIT {_ROWS_SHOWN}"
            found.append(_sample(one, f"rejected from {table.name}", rows))
    return tuple(sample for sample in found if sample.rows)


def _sample(staged: Staged, title: str, query: str) -> Sample:
    """Run a query for some rows; columns without any value are left out."""
    cursor = staged.connection.execute(query)
    columns = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    shown = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    cells = tuple(tuple("" if row[place] is None else str(row[place]) for place in shown) for row in rows)
    return Sample(title, tuple(columns[place] for place in shown), cells)
