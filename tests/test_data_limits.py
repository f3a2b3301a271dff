"""Limits speak where something lies beyond them, and are silent about seasons, holidays of the data set and chance."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import pytest

from cxlib import contract
from cxlib.data import demo
from cxlib.data.limits import DAILY, Facts, Finding, Volume, check, volume
from cxlib.params.intake import Limit, Limits

ORDERS = contract.TABLES["orders"]
MONDAY = date(2026, 3, 2)
NONE = {name: Limit() for name in Limits.model_fields}


def limits(**given: Limit) -> Limits:
    """Return limits of which only the given ones are set."""
    return Limits(**(NONE | given))


def days(counts: list[int], new: int = 1) -> Volume:
    """Return a volume whose last day is not judged, the `new` days before it are, and which ends on a Tuesday."""
    rows = {MONDAY - timedelta(days=len(counts) - 2 - place): count for place, count in enumerate(counts)}
    return Volume({day: count for day, count in rows.items() if count}, MONDAY - timedelta(days=new - 1), MONDAY)


def told(volume: Volume, limit: float = 0.5) -> list[str]:
    found = check(limits(volume_change=Limit(warn=limit)), Facts("shop", volumes={"orders": volume}))
    assert all(finding.kind == "warn" for finding in found)
    return [finding.message for finding in found]


@pytest.mark.parametrize(
    ("limit", "facts", "words"),
    [
        ("rejected_share", {"rejected": {"orders": (3, 100), "costs": (1, 100)}},
         "orders: 3% of the rows were rejected (3 of 100); the limit is 2% (limits: rejected_share: warn in params/"),
        ("unreadable_share", {"unreadable": {"a.csv": (1, 40), "b.csv": (0, 40)}},
         "a.csv: 2.5% of the rows cannot be read (1 of 40); the limit is 2%"),
        ("unresolved_share", {"unresolved": {"responses": (1_000, 10_000)}},
         "responses: 10% of the rows that name a customer name one that nobody knows (1,000 of 10,000); the limit"),
        ("deleted_share", {"deleted": {"orders": (1, 3)}},
         "orders: 33.3% of what the source had is deleted (1 of 3); the limit is 2%"),
    ],
)  # fmt: skip
def test_a_share_beyond_its_limit_says_what_how_much_where_and_what_to_do(limit, facts, words):
    found = check(limits(**{limit: Limit(warn=0.02, stop=0.5)}), Facts("shop", **facts))
    assert [finding.kind for finding in found] == ["warn"]
    assert found[0].message.startswith(words)


def test_what_stops_comes_first_and_is_told_once():
    facts = Facts("shop", rejected={"orders": (30, 100)}, deleted={"orders": (1, 2)}, own=frozenset({"deleted_share"}))
    found = check(limits(rejected_share=Limit(warn=0.1), deleted_share=Limit(warn=0.1, stop=0.2)), facts)
    assert [finding.kind for finding in found] == ["stop", "warn"]
    assert "the limit is 20% (limits: deleted_share: stop in params/sources/shop/source.yml)" in found[0].message


def test_at_the_limit_is_within_it_and_nothing_of_nothing_is_no_share():
    facts = Facts("shop", rejected={"orders": (1, 100), "costs": (0, 0)}, unreadable={"a.csv": (0, 0)})
    assert check(limits(rejected_share=Limit(warn=0.01, stop=0.01), unreadable_share=Limit(warn=0)), facts) == []


def test_one_unreadable_row_is_beyond_none():
    found = check(Limits(), Facts("shop", unreadable={"a.csv": (1, 10_000_000)}))
    assert "a.csv: 1e-05% of the rows cannot be read (1 of 10,000,000); the limit is 0%" in found[0].message


def test_age_counts_from_the_newest_event_to_the_day_of_the_ingest():
    seven = limits(age_days=Limit(warn=7, stop=30))

    def aged(newest: date | None, today: date | None) -> list[Finding]:
        return check(seven, Facts("shop", newest=newest, today=today))

    assert aged(date(2026, 3, 1), date(2026, 3, 8)) == []
    assert aged(None, date(2026, 3, 8)) == aged(date(2026, 3, 1), None) == []
    [finding] = aged(date(2026, 3, 1), date(2026, 3, 9))
    assert finding.kind == "warn"
    assert "the newest event of shop is of 2026-03-01, 8 days before 2026-03-09; the limit is 7 days" in finding.message
    assert [finding.kind for finding in aged(date(2026, 1, 1), date(2026, 3, 9))] == ["stop"]


def test_a_day_without_rows_is_told_with_its_weekday_and_what_is_usual():
    [message] = told(days([100] * 70 + [0, 100]))
    assert message.startswith(
        "orders: Monday 2026-03-02 has 0 rows, a Monday usually 100 (median of 8 weeks): a change of 100%;"
        " the limit is 50% (limits: volume_change: warn in params/workspace.yml)."
    )


def test_the_worst_of_several_days_is_told():
    [message] = told(days([100] * 70 + [100, 10, 0, 100, 5, 100], new=5))
    assert message.startswith("orders: Saturday 2026-02-28 has 0 rows")
    assert "; 3 of 5 new days are like it" in message


def test_a_day_of_two_copies_is_told_and_a_change_within_the_limit_is_not():
    assert "a change of 100%" in told(days([1_000] * 70 + [2_000, 1_000]))[0]
    assert told(days([1_000] * 70 + [1_450, 1_000])) == []
    assert told(days([1_000] * 70 + [550, 1_000])) == []
    assert told(days([1_000] * 70 + [0, 1_000]), limit=1.5) == []


def test_chance_is_not_told():
    assert told(days([4] * 70 + [0, 4])) == []  # a Poisson count of 4 is 0 once in 55 days
    assert told(days([4] * 70 + [9, 4])) == []
    assert told(days([200] * 70 + [305, 200])) == []  # beyond the limit, but a step to 1.5 times gives as much
    assert told(days([0, 0, 0, 60, 0, 0, 0] * 10 + [40, 0])) == []  # a Monday has usually nothing


def test_weeks_that_differ_among_themselves_hide_a_day_that_quiet_ones_would_not():
    bursts = [20, 200, 30, 150, 25, 180, 40, 210, 35, 160]
    assert told(days([count for burst in bursts for count in [burst] * 7] + [450, 20])) == []
    assert told(days([95] * 70 + [450, 95]))


@pytest.mark.parametrize(("weeks", "alarms"), [(3, 0), (4, 0), (5, 1)])
def test_a_weekday_must_be_known_from_four_weeks_the_first_day_left_out(weeks, alarms):
    assert len(told(days([100] * (7 * weeks) + [0, 100]))) == alarms


def test_by_chance_alone_there_is_hardly_ever_an_alarm(rng):
    """Poisson days of any level, with a season of 40 %: a year of them, 400 times."""
    alarms = 0
    for level in (3, 10, 30, 100) * 100:
        season = np.where(np.arange(430) // 60 % 2, 1.4, 1.0)
        alarms += len(told(days(rng.poisson(level * season).tolist(), new=360)))
    assert alarms <= 4


@pytest.mark.parametrize("table", DAILY)
def test_the_demo_gives_no_false_alarm_and_a_lost_day_is_noticed(table):
    """Its seasons (1.6 times the orders in December) are no change of the days' volume beyond the limit."""
    shape, connection = contract.TABLES[table], duckdb.connect()
    events = demo.tables(3_000, seed=11)[table]  # noqa: F841 - DuckDB reads it by name
    connection.execute("CREATE TABLE new AS FROM events")

    def alarms(new: str) -> list[str]:
        found = volume(connection, shape, new=new, old="", source="demo", timezone=demo.TIMEZONE, held_until=None,
                       overlap=False)  # fmt: skip
        assert found is not None
        return [f.message for f in check(Limits(), Facts("demo", volumes={table: found}))]

    assert alarms("new") == []
    day = f"timezone('{demo.TIMEZONE}', timezone('UTC', {shape.time}))::DATE"
    connection.execute(f"CREATE TABLE lost AS FROM new WHERE {day} <> DATE '2026-10-20'")
    if connection.execute(f"SELECT count(*) FROM new WHERE {day} = DATE '2026-10-20'").fetchone() > (20,):
        assert "Tuesday 2026-10-20 has 0 rows" in alarms("lost")[0]


@pytest.fixture
def held() -> duckdb.DuckDBPyConnection:
    """The store has 30 orders a day of two sources until noon of 2 March in Madrid; the batch goes on to 10 March."""
    made = duckdb.connect()
    made.execute(
        "CREATE TABLE old AS SELECT source || n || '-' || d AS order_id, TIMESTAMP '2025-12-01' + INTERVAL (d) DAY"
        " + INTERVAL (n) MINUTE AS ordered_at, source AS _source FROM range(91) AS t(d), range(30) AS u(n),"
        " (VALUES ('shop'), ('other')) AS s(source) UNION ALL SELECT 's' || n, TIMESTAMP '2026-03-02 01:00', 'shop'"
        " FROM range(12) AS t(n)"
    )
    made.execute("ALTER TABLE old ADD COLUMN _month VARCHAR; UPDATE old SET _month = strftime(ordered_at, '%Y-%m')")
    made.execute(
        "CREATE TABLE new AS SELECT 'new' || n || '-' || d AS order_id, TIMESTAMP '2026-03-02 12:00' + INTERVAL (d) DAY"
        " + INTERVAL (n) MINUTE AS ordered_at FROM range(9) AS t(d), range(30) AS u(n)"
    )
    return made


def counted(connection: duckdb.DuckDBPyConnection, **more: object) -> Volume | None:
    given = {"new": "new", "old": "old", "source": "shop", "timezone": "Europe/Madrid", "overlap": False,
             "held_until": datetime(2026, 3, 2, 1)}  # fmt: skip
    return volume(connection, ORDERS, **(given | more))


def test_days_are_counted_in_batch_and_store_together(held):
    found = counted(held)
    assert (found.first, found.last) == (date(2026, 3, 2), date(2026, 3, 9))
    assert found.rows[date(2026, 3, 2)] == 12 + 30
    assert found.rows[date(2026, 3, 3)] == 30
    assert min(found.rows) == date(2026, 1, 3)  # a little more than eight weeks
    assert set(found.rows.values()) == {30, 42}


def test_days_are_local_ones():
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE new AS SELECT unnest([TIMESTAMP '2026-03-01 12:00', '2026-03-02 22:59', '2026-03-02 23:00',"
        " '2026-03-29 22:00', '2026-03-30 12:00']) AS ordered_at"
    )
    found = counted(connection, old="", held_until=None)
    assert (found.first, found.last) == (date(2026, 3, 2), date(2026, 3, 29))
    assert found.rows[date(2026, 3, 2)] == 1
    assert found.rows[date(2026, 3, 3)] == 1
    assert date(2026, 3, 29) not in found.rows  # clocks have gone forward
    assert found.rows[date(2026, 3, 30)] == 2


def test_rows_that_the_store_has_already_are_not_counted_twice(held):
    held.execute("INSERT INTO new SELECT order_id, ordered_at FROM old WHERE _source = 'shop' AND _month = '2026-02'")
    assert counted(held).rows[date(2026, 2, 10)] == 60
    assert counted(held, overlap=True).rows[date(2026, 2, 10)] == 30


def test_days_that_may_still_grow_and_days_held_before_are_not_judged(held):
    assert counted(held, settle_hours=72).last == date(2026, 3, 6)
    assert counted(held, held_until=datetime(2026, 3, 10, 12)) is None  # nothing new
    held.execute("DELETE FROM new")
    assert counted(held) is None


def test_an_interrupted_export_is_noticed(held):
    held.execute("DELETE FROM new WHERE ordered_at::DATE = DATE '2026-03-05'")
    found = check(limits(volume_change=Limit(stop=0.5)), Facts("shop", volumes={"orders": counted(held)}))
    assert [finding.kind for finding in found] == ["stop"]
    assert found[0].message.startswith(
        "orders: Thursday 2026-03-05 has 0 rows, a Thursday usually 30 (median of 8 weeks)"
    )
