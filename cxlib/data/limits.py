"""What an ingest may be like: shares, ages and daily volumes against the limits in params. Facts in, findings out.

A day's volume is judged against the same weekday of the weeks before. It is told only where it lies beyond the limit by
more than chance can do: a season that begins, or a quiet table, raises no alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import pi, sqrt
from statistics import median
from typing import Literal
from zoneinfo import ZoneInfo

import duckdb

from cxlib.contract import Table
from cxlib.data.sources import name, text
from cxlib.data.stage import MONTH, SOURCE
from cxlib.params.intake import Limit, Limits

# Whose rows come day by day; the others come when a customer, an experiment or a month begins.
DAILY = ("invitations", "responses", "interactions", "orders")
_WEEKS, _LEAST_WEEKS = 8, 4  # of the same weekday, before a day: at most, at least
# How many standard deviations are beyond chance. One day in 16,000 strays by 4 or more: a year of four tables gives a
# false alarm in one of ten cases. At 3 it would give four alarms a year.
_BEYOND_CHANCE = 4.0
_SLOT = 900_000_000  # microseconds; in a quarter of an hour no timezone changes its date, and few slots turn local fast

Part = tuple[int, int]  # how many, of how many


@dataclass(frozen=True)
class Volume:
    """Rows per local day of one source in one table, and which days are to be judged: complete ones that are new."""

    rows: Mapping[date, int]
    first: date
    last: date


@dataclass(frozen=True)
class Facts:
    """What is known of one ingest before anything is written; each share as (how many, of how many)."""

    source: str
    rejected: Mapping[str, Part] = field(default_factory=dict)  # table -> of its rows
    unreadable: Mapping[str, Part] = field(default_factory=dict)  # file -> of its rows
    unresolved: Mapping[str, Part] = field(default_factory=dict)  # table -> of its rows that name a customer
    deleted: Mapping[str, Part] = field(default_factory=dict)  # table -> of what the source had
    newest: date | None = None  # local day of the newest event that the source has brought
    today: date | None = None
    volumes: Mapping[str, Volume] = field(default_factory=dict)  # table -> its days
    own: frozenset[str] = frozenset()  # limits that the source itself gives


@dataclass(frozen=True)
class Finding:
    """Something beyond a limit: a warning, or what stops the ingest."""

    kind: Literal["warn", "stop"]
    message: str


@dataclass(frozen=True)
class _Day:
    """One day, and what the same weekday of the weeks before had."""

    day: date
    rows: int
    before: tuple[int, ...]

    @property
    def usual(self) -> float:
        """The median of the weeks before."""
        return median(self.before)

    def __str__(self) -> str:
        usual = f"{self.usual:,.1f}".removesuffix(".0")
        return (
            f"{self.day:%A} {self.day} has {self.rows:,} rows, a {self.day:%A} usually {usual}"
            f" (median of {len(self.before)} weeks): a change of {_percent(abs(self.rows - self.usual) / self.usual)}"
        )

    def beyond(self, limit: float) -> float:
        """Say by how many standard deviations the day lies beyond a relative change of `limit`; 0 within it.

        Where a weekday usually has nothing (a survey is sent now and then, a tool is new) there is nothing to change.
        Counts are compared by their square roots, where a Poisson count has the variance 1/4 whatever its mean; the
        median adds pi/2 of that over its weeks. Days that come in bursts vary more: then their own spread counts.
        """
        edge = self.usual * (1 + limit if self.rows > self.usual else max(1 - limit, 0))
        if not self.usual or abs(self.rows - self.usual) <= abs(edge - self.usual):
            return 0.0
        roots = [_root(count) for count in self.before]
        spread = 1.4826 * median(abs(root - median(roots)) for root in roots)  # of a normal: its standard deviation
        return abs(_root(self.rows) - _root(edge)) / max(sqrt(1 + pi / 2 / len(roots)), spread)


# What each share is of, and what to do about it.
_SHARES = {
    "rejected_share": (
        "{name}: {share} of the rows were rejected ({part:,} of {whole:,})",
        "Mend them in the workbook of the quarantine, or correct the export or its SQL.",
    ),
    "unreadable_share": (
        "{name}: {share} of the rows cannot be read ({part:,} of {whole:,})",
        "See the reasons in the quarantine; correct what source.yml says of the file, or export it again.",
    ),
    "unresolved_share": (
        "{name}: {share} of the rows that name a customer name one that nobody knows ({part:,} of {whole:,})",
        "Bring in the missing customers, or say in identities who these ids are.",
    ),
    "deleted_share": (
        "{name}: {share} of what the source had is deleted ({part:,} of {whole:,})",
        "Make sure that the extract is whole, or the list of deletions the right one.",
    ),
}


def check(limits: Limits, facts: Facts) -> list[Finding]:
    """Compare an ingest with its limits.

    Parameters
    ----------
    limits
        The workspace's, with the source's own in their place.
    facts
        What the ingest is like.

    Returns
    -------
    list of Finding
        What lies beyond a limit, what stops first; each says what, which value, which limit and where it is set, and
        what to do.
    """
    found: list[Finding] = []
    for limit, (words, advice) in _SHARES.items():
        parts: Mapping[str, Part] = getattr(facts, limit.removesuffix("_share"))
        for label, (part, whole) in parts.items():
            share = part / whole if whole else 0.0
            said = words.format(name=label, share=_percent(share), part=part, whole=whole)
            found += _beyond(limits, limit, facts, share, _percent, said, advice)
    found += _age(limits, facts)
    for label, volume in facts.volumes.items():
        found += _volume(limits, facts, label, volume)
    return sorted(found, key=lambda finding: finding.kind != "stop")


def _age(limits: Limits, facts: Facts) -> list[Finding]:
    """Compare the newest event with the day of the ingest."""
    if facts.today is None or facts.newest is None:
        return []
    days = (facts.today - facts.newest).days
    said = f"the newest event of {facts.source} is of {facts.newest}, {days:,} days before {facts.today}"
    advice = "See whether the tool still exports, and whether this is its newest file."
    return _beyond(limits, "age_days", facts, days, lambda value: f"{value:g} days", said, advice)


def _volume(limits: Limits, facts: Facts, table: str, volume: Volume) -> list[Finding]:
    """Compare new days with the same weekdays before; tell the one that lies farthest out."""
    days = _judged(volume)
    for kind, bound in _bounds(limits.volume_change):
        strange = [day for day in days if day.beyond(bound) > _BEYOND_CHANCE]
        if strange:
            worst = max(strange, key=lambda day: day.beyond(bound))
            more = f"; {len(strange):,} of {len(days):,} new days are like it" if len(strange) > 1 else ""
            said = f"{table}: {worst}{more}"
            advice = "See whether the export of these days is whole, and was made once."
            return [_finding(kind, said, _percent(bound), "volume_change", facts, advice)]
    return []


def _judged(volume: Volume) -> list[_Day]:
    """Return the days to judge whose weekday is known well enough."""
    begin = min(volume.rows, default=volume.first)  # perhaps not a whole day
    found = []
    for offset in range((volume.last - volume.first).days + 1):
        day = volume.first + timedelta(days=offset)
        before = [day - timedelta(weeks=week) for week in range(1, _WEEKS + 1)]
        counts = tuple(volume.rows.get(other, 0) for other in before if other > begin)
        if len(counts) >= _LEAST_WEEKS:
            found.append(_Day(day, volume.rows.get(day, 0), counts))
    return found


def _beyond(
    limits: Limits, limit: str, facts: Facts, value: float, show: Callable[[float], str], said: str, advice: str
) -> list[Finding]:
    """Return the finding of one value, if it lies beyond its limit."""
    found = next(((kind, bound) for kind, bound in _bounds(getattr(limits, limit)) if value > bound), None)
    return [_finding(found[0], said, show(found[1]), limit, facts, advice)] if found else []


def _bounds(limit: Limit) -> list[tuple[Literal["warn", "stop"], float]]:
    """Return the bounds that are set, what stops first."""
    found: list[tuple[Literal["warn", "stop"], float | None]] = [("stop", limit.stop), ("warn", limit.warn)]
    return [(kind, bound) for kind, bound in found if bound is not None]


def _finding(kind: Literal["warn", "stop"], said: str, bound: str, limit: str, facts: Facts, advice: str) -> Finding:
    """Put a finding into words."""
    file = f"sources/{facts.source}/source.yml" if limit in facts.own else "workspace.yml"
    return Finding(kind, f"{said}; the limit is {bound} (limits: {limit}: {kind} in params/{file}). {advice}")


def _percent(share: float) -> str:
    """Write a share for people."""
    return f"{100 * share:.3g}%"


def _root(count: float) -> float:
    """Return Anscombe's root of a count: where the count is Poisson, its standard deviation is 1."""
    return 2 * sqrt(count + 3 / 8)


def volume(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    *,
    new: str,
    old: str,
    source: str,
    timezone: str,
    held_until: datetime | None,
    overlap: bool,
    settle_hours: int = 0,
) -> Volume | None:
    """Count the rows of a source per local day, as the store will have them.

    Parameters
    ----------
    connection
        Where the relations are.
    table
        One of `DAILY`, with times in naive UTC.
    new, old
        Quoted names, or SELECTs in brackets: accepted rows; rows that the store holds, with lineage ("" for none).
    source
        The source.
    timezone
        The reporting timezone, which days are cut in.
    held_until
        The newest event that the store has of this source: its day was perhaps not over. None for a first batch.
    overlap
        Whether some of the new rows have keys that the store holds, and so must not be counted twice.
    settle_hours
        How long the tool still adds to what it exported; days within it are not judged.

    Returns
    -------
    Volume or None
        None where the batch has no day that is both new and complete.
    """
    time = name(table.time)
    row = connection.execute(f"SELECT min({time}), max({time}) FROM {new}").fetchone()
    if row is None or row[0] is None:
        return None
    first = _day(held_until, timezone) if held_until else _day(row[0], timezone) + timedelta(days=1)
    last = _day(row[1] - timedelta(hours=settle_hours), timezone) - timedelta(days=1)
    if first > last:
        return None
    sql = days_sql(table, new=new, old=old if held_until else "", source=source, timezone=timezone, first=first,
                   overlap=overlap)  # fmt: skip
    return Volume(dict(connection.execute(sql).fetchall()), first, last)


def days_sql(table: Table, *, new: str, old: str, source: str, timezone: str, first: date, overlap: bool) -> str:
    """Return SQL for (local day, rows) of a source from the weeks before `first` on; `volume` says the rest."""
    start = first - timedelta(weeks=_WEEKS, days=2)  # a day more, which may be cut, and one for the timezone
    time = name(table.time)
    fresh = f"{new} WHERE {time} >= TIMESTAMP '{start}'"
    sides = [f"SELECT {time} FROM {fresh}"]
    if old:
        held = f"(FROM {old} WHERE {SOURCE} = {text(source)} AND {MONTH} >= {text(f'{start:%Y-%m}')}) AS held"
        kept = (
            f"{held} ANTI JOIN (FROM {fresh}) AS fresh USING ({', '.join(map(name, table.key))})" if overlap else held
        )
        sides.append(f"SELECT {time} FROM {kept} WHERE {time} >= TIMESTAMP '{start}'")
    slots = (
        f"SELECT epoch_us({time}) // {_SLOT} AS slot, count(*) AS n FROM ({' UNION ALL '.join(sides)}) GROUP BY slot"
    )
    moment = f"timezone({text(timezone)}, timezone('UTC', make_timestamp(slot * {_SLOT})))"
    return f"SELECT {moment}::DATE AS day, sum(n)::BIGINT FROM ({slots}) GROUP BY day ORDER BY day"


def _day(moment: datetime, timezone: str) -> date:
    """Return the local day of a moment in naive UTC."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()
