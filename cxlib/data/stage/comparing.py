"""What the store knows already of a batch's rows: in their own month first, by keys alone in all others."""

from __future__ import annotations

from datetime import date, datetime

from cxlib.data.rules import UPDATED
from cxlib.data.sources import name, text
from cxlib.data.stage.staged import MONTH, SOURCE, Staged, groups

_ROWS_AT_ONCE = 3_000_000  # of both sides
_LONE, _UNCHANGED, _STALE, _CORRECTED = "lone", "unchanged", "stale", "corrected"


def compare(staged: Staged) -> None:
    """Tell rows that the store holds word for word (`unchanged`) or newer (`stale`) from those that are to be stored.

    A row with a key that the store has replaces the stored row (`corrected`), unless that was changed later by its
    `_updated_at` (an unknown time counts as the earliest).
    """
    staged.counts |= {_UNCHANGED: 0, _STALE: 0, _CORRECTED: 0, "deleted": 0}
    columns = f"{MONTH}, {staged.key}, {UPDATED}"
    for kind in ("kept", "gone", "lone"):
        staged.connection.execute(f"CREATE TABLE {staged.relation(kind)} AS SELECT {columns} FROM {staged.new} LIMIT 0")
    if staged.has_old and staged.fresh:
        known = staged.by_month(staged.held(staged.fresh))
        both = [(month, rows + staged.fresh[month]) for month, rows in sorted(known.items())]
        for months in groups(both, _ROWS_AT_ONCE, len(both)):
            _compare_within(staged, months)
        # A key that holds the time lies in no other month.
        if staged.table.time and staged.table.time not in staged.table.key:
            _compare_elsewhere(staged, [month for month in staged.fresh if month not in known])
    staged.counts["accepted"] = sum(staged.fresh.values())


def _compare_within(staged: Staged, months: list[str]) -> None:
    """Compare whole rows of the same month."""
    pairs = staged.relation("pairs")
    rest = [column for column in staged.table.names if column not in staged.table.key]
    same = " AND ".join(f"n.{name(column)} IS NOT DISTINCT FROM o.{name(column)}" for column in (*rest, UPDATED))
    staged.connection.execute(
        f"CREATE TABLE {pairs} AS SELECT * FROM (SELECT {_columns(staged)}, CASE WHEN o.{MONTH} IS NULL THEN '{_LONE}'"
        f" WHEN {_OLDER} THEN '{_STALE}' WHEN {same} THEN '{_UNCHANGED}' ELSE '{_CORRECTED}' END AS verdict"
        f" FROM {staged.brought(months)} n"
        f" LEFT JOIN {staged.held(months)} o ON {_equal(staged)} AND n.{MONTH} = o.{MONTH})"
        f" WHERE verdict <> '{_UNCHANGED}'"
    )
    rows = sum(staged.fresh[month] for month in months)
    stale = f"verdict = '{_STALE}'"
    staged.counts[_UNCHANGED] += rows - staged.one(f"SELECT count(*) FROM {pairs}")
    staged.counts[_STALE] += staged.one(f"SELECT count(*) FROM {pairs} WHERE {stale}")
    staged.partial.update(months)
    staged.fresh |= dict.fromkeys(months, 0) | staged.by_month(f"{pairs} WHERE NOT {stale}")
    columns = f"{MONTH}, {staged.key}, {UPDATED}"
    for kind, verdicts in (("kept", (_LONE, _CORRECTED)), ("lone", (_LONE,))):
        listed = ", ".join(map(text, verdicts))
        staged.connection.execute(
            f"INSERT INTO {staged.relation(kind)} SELECT {columns} FROM {pairs} WHERE verdict IN ({listed})"
        )
    _replace(staged, pairs, MONTH)


def _compare_elsewhere(staged: Staged, months: list[str]) -> None:
    """Find rows that lie in another month of the store; of the store, keys alone are read.

    They have another time, so they are not the same. `months` are those that the store has nothing of.
    """
    pairs, lone = staged.relation("pairs"), staged.relation("lone")
    columns = f"{MONTH}, {staged.key}, {UPDATED}"
    if not (months or staged.one(f"SELECT count(*) FROM {lone}")):
        return
    if months:
        lone = f"(FROM {lone} UNION ALL SELECT {columns} FROM {staged.brought(months)})"
    staged.connection.execute(
        f"CREATE TABLE {pairs} AS SELECT {_columns(staged)}, o.{MONTH} AS left_month,"
        f" CASE WHEN {_OLDER} THEN '{_STALE}' ELSE '{_CORRECTED}' END AS verdict"
        f" FROM {lone} n JOIN (SELECT {columns} FROM {staged.old}) o ON {_equal(staged)}"
    )
    staged.counts[_STALE] += staged.drop(f"(FROM {pairs} WHERE verdict = '{_STALE}')")
    _replace(staged, pairs, "left_month")


# Of a pair of rows, the batch's is `n` and the store's `o`.
_OLDER = f"coalesce(n.{UPDATED} < o.{UPDATED}, n.{UPDATED} IS NULL AND o.{UPDATED} IS NOT NULL)"


def _equal(staged: Staged) -> str:
    """Return SQL for equal keys."""
    return " AND ".join(f"n.{name(column)} = o.{name(column)}" for column in staged.table.key)


def _columns(staged: Staged) -> str:
    """Return the columns of the batch's side of a pair, for SQL."""
    return ", ".join(f"n.{name(column)}" for column in (MONTH, *staged.table.key, UPDATED))


def _replace(staged: Staged, pairs: str, left: str) -> None:
    """Have corrected rows leave their month of the store; the pairs are done with."""
    corrected = f"{pairs} WHERE verdict = '{_CORRECTED}'"
    found = staged.by_month(f"(SELECT {left} AS {MONTH} FROM {corrected})")
    staged.gone.update(found)
    staged.counts[_CORRECTED] += sum(found.values())
    staged.connection.execute(
        f"INSERT INTO {staged.relation('gone')} SELECT {left}, {staged.key}, NULL FROM {corrected}; DROP TABLE {pairs}"
    )


def count_late(staged: Staged, closed: datetime | date | None) -> None:
    """Count accepted rows that lie before `closed`, the end of the last month that was closed already."""
    staged.counts["late"] = 0
    months = [month for month, rows in staged.fresh.items() if rows and closed and month <= f"{closed:%Y-%m}"]
    if months:
        kind = "TIMESTAMP" if isinstance(closed, datetime) else "DATE"
        early = f"{name(staged.table.time)} < {kind} '{closed}'"
        staged.counts["late"] = staged.one(f"SELECT count(*) FROM ({staged.stay(months)}) WHERE {early}")


def newest(staged: Staged) -> datetime | None:
    """Return the latest time of this source's own rows in the store, None where it has brought none."""
    if not (staged.has_old and staged.table.time):
        return None
    latest = f"SELECT max({name(staged.table.time)})::TIMESTAMP"
    for month in reversed(staged.old_months):
        own = f"FROM {staged.held([month])} WHERE {SOURCE} = {text(staged.source)}"
        row = staged.connection.execute(f"{latest} {own}").fetchone()
        if row and row[0] is not None:
            found: datetime = row[0]
            return found
    return None


def touched(staged: Staged) -> list[tuple[str, int]]:
    """Return the months to rewrite, oldest first, each with its rows old and new together."""
    counts = {month: rows for month, rows in staged.fresh.items() if rows}
    counts |= {month: counts.get(month, 0) for month, rows in staged.gone.items() if rows}
    if staged.has_old and counts:
        held = staged.old_months if staged.reshaped else [month for month in counts if month in staged.old_months]
        for month, rows in staged.by_month(staged.held(held)).items():
            counts[month] = counts.get(month, 0) + rows - staged.gone[month]
    return sorted(counts.items())
