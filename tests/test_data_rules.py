"""Types and rules of the contract in SQL. Outside references: zoneinfo for time zones, a judge in plain Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.contract import BOOLEAN, DATE, INTEGER, MONEY, NUMBER, TABLES, TEXT, TIMESTAMP, Column
from cxlib.data.rules import column_faults, judged, rules, shape, typed
from cxlib.data.rules import reasons as reasons_sql

CONNECTION = duckdb.connect()
CONNECTION.execute("SET TimeZone = 'UTC'")


def cast(value: object, kind: str, timezone: str = "UTC", given_as: str = "VARCHAR") -> object:
    sql = typed(Column("a", kind), given_as, timezone)
    return CONNECTION.execute(f"SELECT {sql} FROM (SELECT ?::{given_as} AS a)", [value]).fetchone()[0]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (TEXT, "NA", "NA"),
        (TEXT, "", None),
        (INTEGER, " 5 ", 5),
        (INTEGER, "5.0", 5),
        (INTEGER, "4.7", None),  # DuckDB's own cast rounds it to 5
        (INTEGER, "5.70306E+17", None),
        (INTEGER, "99999999999999999999", None),
        (NUMBER, "1e3", 1000.0),
        (NUMBER, "nan", None),
        (NUMBER, "inf", None),
        (MONEY, "12.5", Decimal("12.50")),
        (MONEY, " -0.01", Decimal("-0.01")),
        (MONEY, "12,50", None),
        (MONEY, "12.50 EUR", None),
        (BOOLEAN, "true", True),
        (BOOLEAN, "0", False),
        (BOOLEAN, "maybe", None),
        (DATE, "2026-10-31", date(2026, 10, 31)),
        (DATE, "2026-10-31 23:59:00", date(2026, 10, 31)),
        (DATE, "2026-02-30", None),
        (DATE, "01/02/2026", None),  # which day that is, the source's SQL must say
        (TIMESTAMP, "2026-10-31", datetime(2026, 10, 31)),
        (TIMESTAMP, "2026-10-31T23:59:01.5", datetime(2026, 10, 31, 23, 59, 1, 500_000)),
        (TIMESTAMP, "31/10/2026 23:59", None),
        (TIMESTAMP, "infinity", None),
    ],
)
def test_text_becomes_what_it_says_or_nothing(kind, value, expected):
    assert cast(value, kind) == expected


@pytest.mark.parametrize(
    ("kind", "value", "given_as", "expected"),
    [
        (INTEGER, 5.0, "DOUBLE", 5),
        (INTEGER, 4.7, "DOUBLE", None),
        (INTEGER, 5, "HUGEINT", 5),
        (NUMBER, float("nan"), "DOUBLE", None),
        (MONEY, 12.34, "DOUBLE", Decimal("12.34")),
        (MONEY, float("nan"), "DOUBLE", None),
        (BOOLEAN, True, "BOOLEAN", True),
        (TEXT, 7, "BIGINT", "7"),
        (TIMESTAMP, datetime(2026, 1, 1), "TIMESTAMP_NS", datetime(2026, 1, 1)),
        (TIMESTAMP, date(2026, 1, 1), "DATE", datetime(2026, 1, 1)),
        (TIMESTAMP, 1_700_000_000, "BIGINT", None),
        (DATE, datetime(2026, 1, 1, 23), "TIMESTAMP", date(2026, 1, 1)),
    ],
)
def test_typed_files_keep_their_values(kind, value, given_as, expected):
    assert cast(value, kind, given_as=given_as) == expected


def test_a_zone_in_the_value_beats_the_source_s():
    for value in ("2026-07-01T12:00:00+02:00", "2026-07-01 10:00:00Z", "2026-07-01 12:00:00 Europe/Madrid"):
        assert cast(value, TIMESTAMP, "America/Sao_Paulo") == datetime(2026, 7, 1, 10)
    assert cast("2026-07-01 10:00:00+00", TIMESTAMP, "Asia/Tokyo", "TIMESTAMP WITH TIME ZONE") == datetime(
        2026, 7, 1, 10
    )


def test_a_date_is_never_moved_by_a_zone():
    assert cast("2026-07-01 00:30:00", DATE, "Asia/Tokyo") == date(2026, 7, 1)
    assert cast(datetime(2026, 7, 1, 0, 30), DATE, "Asia/Tokyo", "TIMESTAMP") == date(2026, 7, 1)


def test_the_hours_that_a_clock_change_doubles_or_drops():
    """Sao Paulo: 00:00 to 01:00 on 2017-10-15 never was; 23:00 to 24:00 on 2018-02-17 came twice (IANA tz database)."""
    zone = "America/Sao_Paulo"
    assert cast("2017-10-14 23:59:59", TIMESTAMP, zone) == datetime(2017, 10, 15, 2, 59, 59)
    assert cast("2017-10-15 00:00:00", TIMESTAMP, zone) == datetime(2017, 10, 15, 3)  # the moment of the jump
    assert cast("2017-10-15 00:30:00", TIMESTAMP, zone) == datetime(2017, 10, 15, 3, 30)  # as by the offset before
    assert cast("2017-10-15 01:00:00", TIMESTAMP, zone) == datetime(2017, 10, 15, 3)
    assert cast("2018-02-17 22:59:59", TIMESTAMP, zone) == datetime(2018, 2, 18, 0, 59, 59)
    assert cast("2018-02-17 23:30:00", TIMESTAMP, zone) == datetime(2018, 2, 18, 2, 30)  # the second of the two
    assert cast("2018-02-18 00:00:00", TIMESTAMP, zone) == datetime(2018, 2, 18, 3)


def in_utc(local: datetime, zone: str) -> datetime:
    """The rule by zoneinfo: the second of two moments; where there is none, the offset before the jump."""
    moments = [local.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1)]
    gap = moments[0].astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local
    return moments[0 if gap else 1].astimezone(UTC).replace(tzinfo=None)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2026, 12, 31)),
    st.sampled_from(
        ["America/Sao_Paulo", "Europe/Madrid", "Australia/Lord_Howe", "Asia/Kathmandu", "America/New_York"]
    ),
)
def test_times_agree_with_zoneinfo(local, zone):
    assert cast(str(local), TIMESTAMP, zone) == in_utc(local, zone)


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Europe/Madrid", "Australia/Lord_Howe"])
def test_every_quarter_hour_around_clock_changes_agrees_with_zoneinfo(zone):
    start = datetime(2017, 9, 20)
    quarters = [start + timedelta(minutes=15 * step) for step in range(4 * 24 * 220)]
    sql = typed(Column("a", TIMESTAMP), "TIMESTAMP", zone)
    table = f"unnest(range(TIMESTAMP '{start}', TIMESTAMP '{quarters[-1] + timedelta(minutes=1)}', INTERVAL 15 MINUTE))"
    found = [row[0] for row in CONNECTION.execute(f"SELECT {sql} FROM (SELECT {table} AS a) ORDER BY a").fetchall()]
    assert found == [in_utc(quarter, zone) for quarter in quarters]


def test_columns_that_a_source_lacks_or_invents():
    responses = shape("responses", {})
    given = {
        "response_id": "VARCHAR",
        "respnded_at": "VARCHAR",
        "instrument": "VARCHAR",
        "score": "VARCHAR",
        "mood": "",
    }
    assert column_faults(responses, given, "toy/responses.sql") == [
        "toy/responses.sql yields no column 'responded_at'; did you mean 'respnded_at'?",
        "toy/responses.sql yields a column 'respnded_at' that responses does not have; did you mean 'responded_at'?",
        "toy/responses.sql yields a column 'mood' that responses does not have",
    ]
    customers = shape("customers", {"household": TEXT})
    given = {"customer_id": "VARCHAR", "valid_from": "VARCHAR", "household": "VARCHAR", "shoe_size": "VARCHAR"}
    assert column_faults(customers, given, "toy/customers.sql") == [
        (
            "toy/customers.sql yields a column 'shoe_size' that customers does not have; declare it under attributes in"
            " workspace.yml to keep it"
        )
    ]


def reasons(table: str, today: date | None = date(2026, 11, 1), **values: str | None) -> str | None:
    """Return what is said of one row of text."""
    shaped = shape(table, {})
    given = dict.fromkeys(values, "VARCHAR")
    raw = ", ".join(f"?::VARCHAR AS {name}" for name in values)
    casts = ", ".join(f'{typed(c, given.get(c.name), "UTC")} AS "t:{c.name}"' for c in shaped.columns)
    found = rules(shaped, given, today=today, known={"customer_id": "\"t:customer_id\" = 'c1'"})
    says = ", ".join(f"CASE WHEN {rule.broken} THEN {rule.says} END" for rule in found)
    sql = f"SELECT nullif(concat_ws('; ', {says}), '') FROM (SELECT *, {casts} FROM (SELECT {raw}))"
    return CONNECTION.execute(sql, list(values.values())).fetchone()[0]


GOOD = {
    "response_id": "r1",
    "responded_at": "2026-10-31 23:59:59",
    "instrument": "nps",
    "score": "10",
    "customer_id": "c1",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"customer_id": None}, None),  # an anonymous answer
        ({"score": "11"}, "score '11' is outside 0 to 10 for nps"),
        ({"score": "0", "instrument": "csat"}, "score '0' is outside 1 to 5 for csat"),
        ({"score": "8", "instrument": "ces"}, "score '8' is outside 1 to 7 for ces"),
        ({"score": "abc"}, "score 'abc' is not an integer"),
        ({"score": None}, "score is missing"),
        ({"response_id": "  "}, "response_id is missing"),
        ({"instrument": "NPS"}, "instrument 'NPS' is not one of nps, csat, ces"),
        ({"customer_id": "c9"}, "customer_id 'c9' is not in customers"),
        ({"responded_at": "2026-11-02 23:59:59"}, None),  # one day of grace: zones, and clocks that are wrong
        (
            {"responded_at": "2026-11-03 00:00:00"},
            "responded_at '2026-11-03 00:00:00' is in the future (after 2026-11-02)",
        ),
        ({"responded_at": "0018-07-01"}, "responded_at '0018-07-01' is not between the years 1900 and 2999"),
        ({"responded_at": "31/10/2026"}, "responded_at '31/10/2026' is not a time (as 2026-10-31 23:59:00)"),
        (
            {"responded_at": None, "score": "x", "instrument": "y", "customer_id": "z"},
            (
                "responded_at is missing; instrument 'y' is not one of nps, csat, ces; score 'x' is not an integer; "
                "customer_id 'z' is not in customers"
            ),
        ),
    ],
)
def test_every_reason_is_given(change, expected):
    assert reasons("responses", **(GOOD | change)) == expected


def test_order_of_times_and_lower_bounds():
    row = {"interaction_id": "i", "customer_id": "c1", "started_at": "2026-10-02 10:00:00", "touchpoint": "x"}
    assert reasons("interactions", **row, ended_at="2026-10-02 10:00:00", wait_seconds="0") is None
    assert reasons("interactions", **row, ended_at="2026-10-01 10:00:00", wait_seconds="-1", kind="fax") == (
        "kind 'fax' is not one of contact, complaint, visit, message, billing, referral; wait_seconds '-1' is below 0; "
        "ended_at '2026-10-01 10:00:00' is before started_at '2026-10-02 10:00:00'"
    )
    promise = {"order_id": "o", "customer_id": "c1", "ordered_at": "2026-10-02", "promised_at": "2027-01-01"}
    assert reasons("orders", **promise, amount="0") is None  # a promise may lie in the future


def test_without_a_day_nothing_is_in_the_future():
    assert reasons("responses", None, **(GOOD | {"responded_at": "2126-01-01"})) is None


def test_a_long_value_is_cut():
    assert len(reasons("responses", **(GOOD | {"score": "x" * 10_000}))) < 100


def test_a_touchpoint_outside_the_taxonomy_is_refused():
    table = TABLES["invitations"]
    given = dict.fromkeys(("invitation_id", "customer_id", "sent_at", "touchpoint"), "VARCHAR")
    raw = "(SELECT 'i1' AS invitation_id, 'c1' AS customer_id, '2026-10-01' AS sent_at,"
    raw += " unnest([NULL, 'checkout', 'chekout']) AS touchpoint)"
    found = rules(table, given, today=None, known={}, touchpoints=["checkout", "delivery"])
    sql = judged(table, given, found, "UTC", raw)
    said = duckdb.sql(f"SELECT touchpoint, {reasons_sql(found)} FROM ({sql}) WHERE _bad").fetchall()
    assert said == [("chekout", "touchpoint 'chekout' is not in touchpoints.yml")]
    assert not [rule for rule in rules(table, given, today=None, known={}) if "touchpoints.yml" in rule.says]


@pytest.mark.parametrize(
    ("value", "day"),
    [("2026-10-31", date(2026, 10, 31)), ("2026-10-31 23:30:00", date(2026, 10, 31)),
     ("2026-10-31T23:30:00Z", date(2026, 11, 1)), ("2026-10-31 23:30:00+01:00", date(2026, 10, 31)),
     ("2026-10-31 then", None), ("31/10/2026", None)],
)  # fmt: skip
def test_a_moment_becomes_the_day_that_its_source_had(value, day):
    sql = typed(Column("joined_on", DATE), "VARCHAR", "Europe/Madrid")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    assert connection.execute(f"SELECT {sql} FROM (SELECT ? AS joined_on)", [value]).fetchone() == (day,)
