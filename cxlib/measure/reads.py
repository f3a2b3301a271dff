"""Which tables, and which months of them, a metric's sums are made of: what else changes does not change them.

Rows are found by the time that their table is cut into months by, so a period reads the months that it lies in. Where a
row is looked up by an id, or its column hangs on other rows of its table, no month can be told, and the whole table is
read. So is a table that a metric asks by another time, or by none.

Every table is read under the ids of persons (`identities`), which are read whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from cxlib.contract import DATE, DERIVED, TABLES
from cxlib.expressions import parse
from cxlib.measure.derived import columns_of
from cxlib.measure.sums import texts_of
from cxlib.params import Metric, Part, Segment
from cxlib.params.intake import Repeats
from cxlib.periods import Period, midnight

_CUSTOMERS, _IDENTITIES, _RESPONSES, _INVITATIONS = "customers", "identities", "responses", "invitations"
_OF_TAXONOMY = frozenset({"touchpoint_group", "touchpoint_stage", "digital"})
# Derived columns that are worked out of the row itself and of other tables. Any other one is taken to hang on all rows
# of its own table.
_BY_ROW = _OF_TAXONOMY | {
    "responded", "delivered_late", "sent_before_delivery", "hours_to_answer", "invitations_30_days", "days_late",
    "partner_id", "contact_wait_seconds", "contact_resolved", "agent_id",
}  # fmt: skip
# Read where the workspace has them, beside what `contract.DERIVED` says a column needs.
_IF_THERE = dict.fromkeys(
    ("sent_before_delivery", "contact_wait_seconds", "contact_resolved", "agent_id"), _INVITATIONS
)  # fmt: skip
_UNITS = {"month": 1, "quarter": 3, "year": 12}
_DAY = timedelta(days=1)


class Read(NamedTuple):
    """One table that is read: whole, or those rows whose time lies in a period or up to `days` before.

    `unit` widens a period to the calendar months, quarters or years (of so many months) that it touches.
    """

    table: str
    whole: bool = True
    days: int = 0
    unit: int = 0


def reads(metric: Metric, segments: Sequence[Segment], repeats: Repeats) -> frozenset[Read]:
    """Return all that the sums of a metric by segments are made of.

    Parameters
    ----------
    metric, segments
        As for `plans.plan`.
    repeats
        Which answers count: those of other periods may decide.

    Returns
    -------
    frozenset of Read
        Tables may be among them that a workspace does not have: then that they are missing matters.
    """
    names = _names(metric, segments)
    found = {Read(_IDENTITIES), *_rows(metric.table, metric.time, metric.window_days, names, repeats)}
    if isinstance(metric.denominator, Part):
        part = metric.denominator
        below = {*parse(part.filter or "true").columns}
        below |= set() if part.value == "customers" else parse(part.value).columns
        found |= _rows(part.table, part.time, 0, below, repeats)
    if any(segment.on == "customers" for segment in segments):
        found.add(Read(_CUSTOMERS))
    return frozenset(one for one in found if one.whole or Read(one.table) not in found)


def asks_taxonomy(metric: Metric, segments: Sequence[Segment]) -> bool:
    """Say whether the taxonomy of touchpoints plays a part."""
    names = set(_names(metric, segments))
    if isinstance(metric.denominator, Part):
        names |= parse(metric.denominator.filter or "true").columns | parse(metric.denominator.value).columns
    return bool(names & _OF_TAXONOMY)


def months(read: Read, periods: Iterable[Period], timezone: str) -> set[str]:
    """Return the months, as in 2026-10, that hold the rows of some periods; for a table that is not read whole."""
    shape = TABLES[read.table]
    column = shape.column(shape.time)
    by_day = column is not None and column.type == DATE
    found: set[str] = set()
    for period in periods:
        first, last = period.first_day, period.next_day - _DAY
        if read.unit:
            first, last = _unit_of(first, read.unit)[0], _unit_of(last, read.unit)[1]
        start, end = _bounds(first, last + _DAY, timezone, by_day=by_day)
        found |= _labels(start - timedelta(days=read.days), end - timedelta(days=read.days))
    return found


def _names(metric: Metric, segments: Sequence[Segment]) -> set[str]:
    """Return the columns that are named of the metric's own table."""
    texts = [metric.filter or "true", *texts_of(metric).values()]
    own = [columns_of(segment) for segment in segments if segment.on == "event"]
    return {metric.time}.union(*(parse(text).columns for text in texts), *own)


def _rows(table: str, moment: str, days: int, names: Collection[str], repeats: Repeats) -> set[Read]:
    """Return what the rows of a table with some columns are made of."""
    derived = set(names) & DERIVED.get(table, {}).keys()
    needed = {path.partition(".")[0] for name in derived for path in DERIVED[table][name].needs}
    found = {Read(other) for other in needed | {_IF_THERE[name] for name in derived & _IF_THERE.keys()}}
    found.discard(Read(table))
    if table not in TABLES:
        return {Read(table)}
    rule = repeats.per if table == _RESPONSES and repeats.keep != "all" else "month"
    bounded = moment != "" and moment == TABLES[table].time and rule in _UNITS and derived <= _BY_ROW
    if not bounded or not _stands_alone(table):
        return found | {Read(table)}
    unit = _UNITS[rule] if table == _RESPONSES and repeats.keep != "all" else 0
    return found | {Read(table, whole=False, days=days, unit=unit)}


def _stands_alone(table: str) -> bool:
    """Say whether no row outside of its month gives way to a row or makes it give way, as ids of one person do."""
    shape = TABLES[table]
    return "customer_id" not in shape.key or shape.time in shape.key


def _bounds(first: date, until: date, timezone: str, *, by_day: bool) -> tuple[datetime, datetime]:
    """Return the times that local days lie between: as they are for dates, in UTC for times."""
    if by_day:
        return datetime.combine(first, time()), datetime.combine(until, time())
    return midnight(first, timezone), midnight(until, timezone)


def _unit_of(day: date, size: int) -> tuple[date, date]:
    """Return the first and the last day of the calendar unit of so many months around a day."""
    first = Period(date(day.year, day.month - (day.month - 1) % size, 1), "month")
    return first.first_day, first.next(size).first_day - _DAY


def _labels(start: datetime, end: datetime) -> set[str]:
    """Return the labels of the months that [start, end) touches."""
    first, last = (Period(moment.date().replace(day=1), "month") for moment in (start, end - timedelta(microseconds=1)))
    return {month.label for month in Period.range(first, last)}
