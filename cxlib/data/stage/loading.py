"""From what a source's SQL yields to typed, judged rows without duplicates, in one file per month."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from cxlib.contract import TIMESTAMP, Column
from cxlib.data.rules import UPDATED, Rule, judged, typed
from cxlib.data.sources import name, reason, text
from cxlib.data.stage.months import at_once, copy
from cxlib.data.stage.staged import BATCH, MONTH, SOURCE, WHOLE, Staged
from cxlib.errors import SourceError

# Steps of a query plan that are cheap to take twice: what is made of anything else is kept.
_CHEAP = {"PROJECTION", "FILTER", "UNION", "READ_PARQUET", "SEQ_SCAN", "TABLE_SCAN", "DUMMY_SCAN", "EMPTY_RESULT"}
_ROWS_A_PART = 5_000_000  # that are ranked at once
_FEW = 1_500_000  # rows that are better kept at hand than written, where most of them will meet stored ones


def load(staged: Staged, rules: Sequence[Rule], timezone: str) -> None:
    """Judge every row that the source's SQL yields, and stage those that nothing speaks against, one of each key.

    Counted are `rows_in`, `rejected` and `duplicated`. Of rows with one key the last changed stays, then the last by
    time, then by content, so that the order of a file plays no part.

    Raises
    ------
    SourceError
        Where the SQL fails on some row.
    """
    staged.rules, staged.timezone = tuple(rules), timezone
    try:
        _keep(staged)
        rows_in, slices = _slices(staged)
        staged.few = staged.has_old and rows_in <= _FEW
        repeated = _settle_repeated(staged)
        _write(staged, slices, repeated is not None)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise SourceError(f"{staged.table.name}: {reason(error)}", hint="Nothing was written.") from None
    duplicated = repeated or 0
    rejected = rows_in - sum(staged.fresh.values()) - duplicated
    staged.counts |= {"rows_in": rows_in, "rejected": rejected, "duplicated": duplicated}
    staged.connection.execute(f"CREATE VIEW {staged.new} AS FROM {staged.brought(staged.fresh)}")


def judge(staged: Staged, rows: str = "") -> str:
    """Return SQL for the source's rows, or some of them, with typed columns, and `_bad`."""
    return judged(staged.table, staged.given, staged.rules, staged.timezone, rows or staged.view)


def typed_key(staged: Staged, given: Mapping[str, str]) -> list[str]:
    """Return SQL for each column of the key, typed."""
    columns = [column for column in staged.table.columns if column.name in staged.table.key]
    found = {column.name: typed(column, given.get(column.name), staged.timezone) for column in columns}
    return [found[column] for column in staged.table.key]


def _keep(staged: Staged) -> None:
    """Run the source's SQL once, and keep what it yields, where running it twice costs."""
    (_, plan), *_ = staged.connection.execute(f"EXPLAIN (FORMAT json) SELECT * FROM {staged.view}").fetchall()
    if not set(_steps(json.loads(plan))) <= _CHEAP:
        yielded = staged.relation("yielded")
        staged.connection.execute(f"CREATE TABLE {yielded} AS FROM {staged.view}")
        staged.connection.execute(f"CREATE OR REPLACE VIEW {staged.view} AS FROM {yielded}")


def _steps(plan: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the names of all steps of a plan."""
    for step in plan:
        yield step["name"].strip()
        yield from _steps(step.get("children", []))


def _slices(staged: Staged) -> tuple[int, list[str]]:
    """Count the source's rows; return them with conditions that cut their months into parts that are written at once.

    Mostly there is one part, the condition "true": only where the times lie far apart are months looked for one by one.
    """
    column, view = staged.table.column(staged.table.time), staged.view
    if column is None:
        return staged.one(f"SELECT count(*) FROM {view}"), ["true"]
    time = typed(column, staged.given.get(column.name), staged.timezone)
    most, month = at_once(staged.connection), _month(time)
    span = f"SELECT count(*), datediff('month', min({time}), max({time})) FROM {view}"
    ((rows, apart),) = staged.connection.execute(span).fetchall()
    if apart is None or apart < most:
        return rows, ["true"]
    listed = f"SELECT DISTINCT {month} FROM {view} WHERE {time} IS NOT NULL ORDER BY 1"
    months = [number for (number,) in staged.connection.execute(listed).fetchall()]
    parts = [months[place : place + most] for place in range(0, len(months), most)]
    return rows, [f"{MONTH} BETWEEN {part[0]} AND {part[-1]}" for part in parts]


def _month(time: str) -> str:
    """Return SQL for the month of a time."""
    return f"year({time}) * 100 + month({time})"


def _settle_repeated(staged: Staged) -> int | None:
    """Find keys that come more than once, and the row that stays of each; return how many do not.

    Only hashes of keys are looked at until some come twice. None says that no key does.
    """
    repeated, doubtful, won = (staged.relation(kind) for kind in ("repeated", "doubtful", "won"))
    execute, key = staged.connection.execute, _hash(staged)
    found = f"SELECT {key} AS h FROM {staged.view} GROUP BY 1 HAVING count(*) > 1"
    if not staged.one(f"CREATE TABLE {repeated} AS {found}"):
        return None
    rows = judge(staged, f"(SELECT * FROM {staged.view} SEMI JOIN {repeated} ON {key} = h)")
    count = staged.one(f"CREATE TABLE {doubtful} AS SELECT {_columns(staged)} FROM ({rows}) WHERE NOT _bad")
    times = [staged.table.time] if staged.table.time else []
    ranks = [UPDATED, *times, *(column for column in staged.table.names if column not in times)]
    order = ", ".join(f"{name(column)} DESC NULLS LAST" for column in ranks)
    execute(f"CREATE TABLE {won} AS FROM {doubtful} LIMIT 0")
    parts = count // _ROWS_A_PART + 1
    stay = 0
    for part in range(parts):
        of_part = f"SELECT * FROM {doubtful} WHERE hash({staged.key}) % {parts} = {part}"
        nth = f"row_number() OVER (PARTITION BY {staged.key} ORDER BY {order})"
        stay += staged.one(f"INSERT INTO {won} {of_part} QUALIFY {nth} = 1")
    execute(f"DROP TABLE {doubtful}")
    return count - stay


def _write(staged: Staged, slices: list[str], settled: bool) -> None:
    """Write the rows that are to stay into month files, or into a table where there are few."""
    repeated, won = staged.relation("repeated"), staged.relation("won")
    once = f"(SELECT * FROM {staged.view} ANTI JOIN {repeated} ON {_hash(staged)} = h)" if settled else ""
    rows = f"SELECT {_columns(staged)} FROM ({judge(staged, once)}) WHERE NOT _bad"
    if settled:
        rows += f" UNION ALL FROM {won}"
    if staged.few:
        staged.connection.execute(f"CREATE TABLE {staged.relation('rows')} AS {rows}")
        staged.fresh = staged.by_month(staged.relation("rows"))
    else:
        for number, part in enumerate(slices):
            of_part = f"SELECT * FROM ({rows}) WHERE {part}"
            staged.files |= copy(staged.connection, of_part, staged.folder / f"new-{number}")
        staged.fresh = {month: sum(rows for _, rows in files) for month, files in staged.files.items()}
    for relation in (repeated, won):
        staged.connection.execute(f"DROP TABLE IF EXISTS {relation}")


def _columns(staged: Staged) -> str:
    """Return the columns of a month file and its month, for SQL over judged rows."""
    table = staged.table
    updated = typed(Column(UPDATED, TIMESTAMP), staged.given.get(UPDATED), staged.timezone)
    # One of a kind, and text in the file: a byte for each row until it is written.
    lineage = (
        (column, f"{text(value)}::ENUM({text(value)})")
        for column, value in ((SOURCE, staged.source), (BATCH, staged.batch))
    )
    values = [(column, name(f"t:{column}")) for column in table.names]
    listed = ", ".join(f"{sql} AS {name(column)}" for column, sql in [*values, *lineage, (UPDATED, updated)])
    time = name(f"t:{table.time}")
    month = f"strftime({time}, '%Y-%m')" if staged.few else _month(time)
    month = month if table.time else text(WHOLE)
    return f"{listed}, {month} AS {MONTH}"


def _hash(staged: Staged) -> str:
    """Return SQL for the hash of a row's key."""
    return f"hash({', '.join(typed_key(staged, staged.given))})"
