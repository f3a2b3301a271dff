"""Which answers count where one customer answers one question several times: the rule of `repeated_responses`.

Answers repeat where customer, instrument, question and touchpoint are the same in one calendar month (quarter, year) of
the reporting timezone, or ever; with `per: invitation`, where the invitation is the same, whoever answered. An answer
of an unknown customer (or to no invitation) repeats none. The first is the earliest, of equal times the one with the
smallest id; the last is the latest, of equal times the one with the greatest id. No order of files plays a part.
"""

from __future__ import annotations

import duckdb

from cxlib.data.sources import text
from cxlib.params.intake import Repeats

_SLOT = 900_000_000  # microseconds: no timezone begins a month within a quarter of an hour


def list_left_out(connection: duckdb.DuckDBPyConnection, rows: str, rule: Repeats, timezone: str, target: str) -> bool:
    """List the answers that do not count, where there are any.

    Parameters
    ----------
    connection
        Where the rows are.
    rows
        A relation of all responses, under the ids of persons.
    rule
        Which answers count; not `all`.
    timezone
        The reporting timezone, which months are cut in.
    target
        The quoted name of the table to make, with `response_id`.

    Returns
    -------
    bool
        Whether there are any; where there are none, there is no table.
    """
    who = "invitation_id" if rule.per == "invitation" else "customer_id"
    same = [who, "instrument", "question", "touchpoint"]
    calendar = rule.per in ("month", "quarter", "year")
    if calendar:
        same.append("unit")
        rows = f"(SELECT r.*, u.unit FROM {rows} AS r JOIN {_units(connection, rows, rule.per, timezone)} AS u"
        rows += f" ON u.slot = epoch_us(r.responded_at) // {_SLOT})"
    group, way = ", ".join(same), "DESC" if rule.keep == "last" else "ASC"
    # Most answers are the only one of their kind: groups are told by a hash first, and only large ones looked at.
    crowded = f"SELECT hash({group}) FROM {rows} WHERE {who} IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    found = (
        f"SELECT response_id FROM {rows} WHERE {who} IS NOT NULL AND hash({group}) IN ({crowded}) QUALIFY"
        f" row_number() OVER (PARTITION BY {group} ORDER BY responded_at {way}, response_id {way}) > 1"
    )
    row = connection.execute(f"CREATE TABLE {target} AS {found}").fetchone()
    if calendar:
        connection.execute('DROP TABLE "units of time"')
    if row and row[0]:
        return True
    connection.execute(f"DROP TABLE {target}")
    return False


def _units(connection: duckdb.DuckDBPyConnection, rows: str, per: str, timezone: str) -> str:
    """Make a table of the month (quarter, year) that each quarter of an hour lies in: few times turn local fast."""
    local = f"timezone({text(timezone)}, timezone('UTC', make_timestamp(slot * {_SLOT})))"
    connection.execute(
        f'CREATE TABLE "units of time" AS SELECT slot, date_trunc({text(per)}, {local}) AS unit'
        f" FROM (SELECT DISTINCT epoch_us(responded_at) // {_SLOT} AS slot FROM {rows})"
    )
    return '"units of time"'
