"""Rows and words that may not come in: of people who were erased, and older than they may be kept.

Such rows are refused and counted, and are not put aside: the quarantine would bring them back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb

from cxlib.contract import DATE, Column
from cxlib.data.counts import Refusal
from cxlib.data.erased import Erased
from cxlib.data.person import TEXTS
from cxlib.data.queries import Query
from cxlib.data.rules import Rule, judged, typed
from cxlib.data.searching import PEOPLE
from cxlib.data.sources import name, text
from cxlib.params.retention import Retention, midnight_of

ERASED, OLD = "erased", "older than it may be kept"
_WORDS = re.compile(r"[^\s,;|\"'<>()\[\]{}]+")  # what may be an id in a line that could not be read


@dataclass
class KeptOut:
    """What one ingest keeps out.

    Parameters
    ----------
    erased
        The store's hashes of people who were erased.
    retention
        The workspace's; texts and rows that its next `cx compact` would take away do not come in.
    today
        The day to count from; None keeps out nothing for its age.
    timezone
        The workspace's, in which days begin.
    source_timezone
        Of the source's times.
    """

    erased: Erased
    retention: Retention
    today: date | None
    timezone: str
    source_timezone: str
    rules: dict[str, list[Rule]] = field(default_factory=dict)  # by table

    def prepare(self, connection: duckdb.DuckDBPyConnection, query: Query) -> list[Rule]:
        """Take out of a table's rows what may not come in; return what refuses whole rows."""
        found = self._of_erased(connection, query) if self.erased else []
        instead = self._without_referrers(connection, query) if self.erased else {}
        if self.today is not None:
            found += self._too_old(query)
            instead |= self._without_old_words(query)
        if instead:
            cells = ", ".join(f"{sql} AS {name(column)}" for column, sql in instead.items())
            query.sql = f"SELECT * REPLACE ({cells}) FROM ({query.sql}\n) AS given"
            connection.execute(f"CREATE OR REPLACE VIEW {query.view} AS {query.sql}")
        self.rules[query.table.name] = found
        return found

    def told(self, connection: duckdb.DuckDBPyConnection, query: Query, rules: Sequence[Rule]) -> list[Refusal]:
        """Return how many rows of a table were kept out, by reason."""
        own = self.rules[query.table.name]
        if not own:
            return []
        rows = judged(query.table, query.given, rules, self.source_timezone, query.view)
        counts = ", ".join(f"count(*) FILTER ({rule.broken}), any_value({rule.says})" for rule in own)
        (row,) = connection.execute(f"SELECT {counts} FROM ({rows})").fetchall()
        pairs = zip(row[::2], row[1::2], strict=True)
        return [Refusal(query.table.name, reason, count) for count, reason in pairs if count]

    def _of_erased(self, connection: duckdb.DuckDBPyConnection, query: Query) -> list[Rule]:
        """Return what refuses rows of people who were erased."""
        columns = [column for column in ("customer_id", "source_id") if column in query.given]
        known = {column: self._known(connection, query, column) for column in columns}
        found = [f"{name(f't:{column}')} IN (FROM {listed})" for column, listed in known.items() if listed]
        if query.table.name == "responses" and "response_id" in query.given:
            nobody = "customer_id IS NULL" if "customer_id" in query.given else "true"
            keys = f"SELECT DISTINCT response_id::VARCHAR FROM {query.view} WHERE {nobody} OR customer_id::VARCHAR = ''"
            keys = keys if "customer_id" in query.given else keys.partition(" OR ")[0]
            loose = self.erased.rows("responses", [key for (key,) in connection.execute(keys).fetchall() if key])
            if loose:
                found.append(f"{name('t:response_id')} IN (FROM {_list(connection, 'erased answers', loose)})")
        return [Rule(" OR ".join(found), text(ERASED))] if found else []

    def _known(self, connection: duckdb.DuckDBPyConnection, query: Query, column: str) -> str:
        """List the ids of a column that are of people who were erased; "" where there are none."""
        ids = connection.execute(f"SELECT DISTINCT {name(column)}::VARCHAR FROM {query.view}").fetchall()
        known = self.erased.known(one for (one,) in ids if one)
        return _list(connection, f"erased {query.table.name} {column}", known) if known else ""

    def _without_referrers(self, connection: duckdb.DuckDBPyConnection, query: Query) -> dict[str, str]:
        """Return SQL for columns that name somebody beside the row's own customer."""
        found = {}
        for column in PEOPLE:
            if column == "referred_by" and column in query.given and (listed := self._known(connection, query, column)):
                own = name(column)
                found[column] = f"CASE WHEN {own}::VARCHAR IN (FROM {listed}) THEN NULL ELSE {own} END"
        return found

    def _before(self, query: Query, span: str) -> str:
        """Return SQL for whether a row's time lies before what is still kept."""
        time = query.table.column(query.table.time)
        assert time is not None  # tables of events have one
        assert self.today is not None
        value = typed(time, query.given[time.name], self.source_timezone)
        return f"{value} < {_moment(time, span, self.today, self.timezone)}"

    def _too_old(self, query: Query) -> list[Rule]:
        """Return what refuses rows for their age."""
        span = self.retention.tables.get(query.table.name, "")
        return [Rule(self._before(query, span), text(OLD))] if span and query.table.time in query.given else []

    def _without_old_words(self, query: Query) -> dict[str, str]:
        """Return SQL for words that may not be kept any more."""
        column = TEXTS.get(query.table.name, "")
        span = {"comment": self.retention.comments, "transcript": self.retention.transcripts}.get(column)
        if not span or column not in query.given or query.table.time not in query.given:
            return {}
        return {column: f"CASE WHEN {self._before(query, span)} THEN NULL ELSE {name(column)} END"}

    def forget_lines(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take the words of lines that could not be read away where one is the id of somebody who was erased."""
        if not self.erased:
            return
        for number, line in connection.execute('SELECT rowid, "text" FROM unreadable').fetchall():
            if line and self.erased.known(set(_WORDS.findall(line))):
                connection.execute('UPDATE unreadable SET "text" = NULL WHERE rowid = ?', [number])


def _moment(time: Column, span: str, today: date, timezone: str) -> str:
    """Return SQL for the first moment, or day, that is still kept."""
    day, moment = midnight_of(span, today, timezone)
    return f"DATE '{day}'" if time.type == DATE else f"TIMESTAMP '{moment}'"


def _list(connection: duckdb.DuckDBPyConnection, called: str, ids: Sequence[str]) -> str:
    """Make a table of ids; return its quoted name."""
    target = name(called)
    connection.execute(f"CREATE OR REPLACE TABLE {target} (id VARCHAR)")
    connection.executemany(f"INSERT INTO {target} VALUES (?)", [[one] for one in ids])
    return target
