"""Periods against the calendar of the standard library and the tz database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.errors import UsageError
from cxlib.periods import KINDS, Period

MADRID = "Europe/Madrid"
# Zones whose clocks do something odd: no midnight (São Paulo, Havana, Santiago, Beirut), midnight twice (Havana), a
# change at 00:01 (St John's until 2011), half an hour (Lord Howe), a day left out (Apia), no change at all.
ZONES = (
    "UTC", MADRID, "America/Sao_Paulo", "America/Havana", "America/Santiago", "Asia/Beirut", "America/St_Johns",
    "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Pacific/Kiritimati",
)  # fmt: skip

days = st.dates(date(1971, 1, 1), date(2090, 12, 31))
kinds = st.sampled_from(KINDS)
zones = st.sampled_from(ZONES)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1))
periods = st.builds(lambda moment, kind: Period.containing(moment, kind, "UTC"), moments, kinds)


def utc(moment: datetime, zone: str) -> datetime:
    """Return a local time as naive UTC."""
    return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "kind", "first", "next_day", "title"),
        [
            ("2026-10", "month", date(2026, 10, 1), date(2026, 11, 1), "October 2026"),
            ("2026-12", "month", date(2026, 12, 1), date(2027, 1, 1), "December 2026"),
            ("2024-02", "month", date(2024, 2, 1), date(2024, 3, 1), "February 2024"),
            ("2026-Q3", "quarter", date(2026, 7, 1), date(2026, 10, 1), "Q3 2026"),
            ("2026-Q4", "quarter", date(2026, 10, 1), date(2027, 1, 1), "Q4 2026"),
            ("2026-W40", "week", date(2026, 9, 28), date(2026, 10, 5), "week 40 of 2026"),
            ("2026-W53", "week", date(2026, 12, 28), date(2027, 1, 4), "week 53 of 2026"),
            ("2025-W01", "week", date(2024, 12, 30), date(2025, 1, 6), "week 1 of 2025"),
            ("1900-01", "month", date(1900, 1, 1), date(1900, 2, 1), "January 1900"),
        ],
    )
    def test_forms(self, text, kind, first, next_day, title):
        period = Period.parse(text)
        assert (period.kind, period.first_day, period.next_day) == (kind, first, next_day)
        assert (period.label, str(period), period.title) == (text, text, title)

    def test_case_and_blanks_do_not_matter(self):
        assert Period.parse(" 2026-w40 ") == Period.parse("2026-W40")
        assert Period.parse("2026-q3") == Period.parse("2026-Q3")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("2026-13", "'2026-13' is not a period: months run 01 to 12"),
            ("2026-00", "'2026-00' is not a period: months run 01 to 12"),
            ("2026-Q5", "'2026-Q5' is not a period: quarters run Q1 to Q4"),
            ("2026-Q0", "'2026-Q0' is not a period: quarters run Q1 to Q4"),
            ("2027-W53", "'2027-W53' is not a period: the weeks of 2027 run W01 to W52"),
            ("2026-W54", "'2026-W54' is not a period: the weeks of 2026 run W01 to W53"),
            ("2026-W00", "'2026-W00' is not a period: the weeks of 2026 run W01 to W53"),
            ("1899-12", "'1899-12' is not a period: years run 1900 to 2999"),
            ("0026-10", "'0026-10' is not a period: years run 1900 to 2999"),
        ]
        + [
            (text, f"'{text}' is not a period: write a month as 2026-10, a quarter as 2026-Q3, an ISO week as 2026-W40")
            for text in (
                "last",
                "",
                "2026",
                "2026-7",
                "2026-W4",
                "2026-10-01",
                "10-2026",
                "２０２６-10",
                "2026-10\n2026-11",
            )
        ],
    )
    def test_anything_else_is_refused_with_what_is_allowed(self, text, message):
        with pytest.raises(UsageError) as caught:
            Period.parse(text)
        assert str(caught.value) == message

    def test_objects_are_checked_too(self):
        with pytest.raises(UsageError, match="not the first day of a quarter"):
            Period(date(2026, 2, 1), "quarter")
        with pytest.raises(UsageError, match="'year' is no kind of period; there are month, quarter, week"):
            Period(date(2026, 1, 1), "year")
        with pytest.raises(UsageError, match=r"'mnth' is no kind of period; .*; did you mean 'month'"):
            Period.containing(datetime(2026, 1, 1), "mnth", "UTC")

    @given(period=periods)
    def test_label_and_back(self, period):
        assert Period.parse(period.label) == period


class TestBounds:
    @pytest.mark.parametrize(
        ("text", "zone", "hours"),
        [
            ("2026-03", MADRID, 743),  # one hour lost
            ("2026-10", MADRID, 745),  # one hour won
            ("2026-01", MADRID, 744),
            ("2026-Q1", MADRID, 90 * 24 - 1),
            ("2026-W13", MADRID, 167),
            ("2026-W43", MADRID, 169),
            ("2026-10", "Australia/Lord_Howe", 743.5),  # half an hour
            ("2018-11", "America/Sao_Paulo", 719),
            ("2011-12", "Pacific/Apia", 720),  # the 30th was left out
        ],
    )
    def test_hours(self, text, zone, hours):
        assert Period.parse(text).hours(zone) == hours

    def test_madrid(self):
        assert Period.parse("2026-10").bounds(MADRID) == (datetime(2026, 9, 30, 22), datetime(2026, 10, 31, 23))

    def test_half_past_eleven_on_the_31st_belongs_where_the_zone_says(self):
        late = datetime(2026, 10, 31, 23, 30)
        assert str(Period.containing(late, "month", "UTC")) == "2026-10"
        assert str(Period.containing(late, "month", MADRID)) == "2026-11"
        assert str(Period.containing(late, "quarter", MADRID)) == "2026-Q4"
        assert str(Period.containing(late, "month", "America/Sao_Paulo")) == "2026-10"

    def test_a_moment_with_a_zone_is_converted(self):
        moment = datetime(2026, 11, 1, 0, 30, tzinfo=ZoneInfo(MADRID))
        assert str(Period.containing(moment, "month", "UTC")) == "2026-10"

    @pytest.mark.parametrize(
        ("zone", "day", "start"),
        [
            # Midnight does not exist: clocks jump from 00:00 to 01:00. The day starts at the jump.
            ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3)),
            ("America/Havana", date(2026, 3, 8), datetime(2026, 3, 8, 5)),
            ("Asia/Beirut", date(2021, 3, 28), datetime(2021, 3, 27, 22)),
            # Midnight exists twice: clocks go back from 01:00 to 00:00. The first counts.
            ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4)),
        ],
    )
    def test_odd_midnights(self, zone, day, start):
        """Moments of the tz database, worked out by hand from the offsets before and after each change."""
        week = Period.containing(start, "week", zone)
        moment = start - timedelta(seconds=1)
        assert start.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() == day
        assert moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() == day - timedelta(days=1)
        if day.day == 1:
            assert Period.containing(start, "month", zone).bounds(zone)[0] == start
        assert week.bounds(zone)[0] <= start < week.bounds(zone)[1]

    def test_a_month_that_starts_twice(self):
        """St John's, 1 November 2009: at 00:01 clocks went back to 23:01 of 31 October. October ends once."""
        zone = "America/St_Johns"
        start = Period.parse("2009-11").bounds(zone)[0]
        assert start == datetime(2009, 11, 1, 2, 30)
        again = start + timedelta(minutes=30)
        assert again.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() == date(2009, 10, 31)
        assert str(Period.containing(again, "month", zone)) == "2009-11"

    @pytest.mark.parametrize("zone", ["Europe/Madird", "", "../etc/passwd", "Mars/Olympus"])
    def test_unknown_zone(self, zone):
        with pytest.raises(UsageError, match="is not a timezone; "):
            Period.parse("2026-10").bounds(zone)

    @given(period=periods, zone=zones)
    def test_periods_tile_time(self, period, zone):
        start, end = period.bounds(zone)
        assert start < end
        assert period.next().bounds(zone)[0] == end
        assert period.previous().bounds(zone)[1] == start

    @given(moment=moments, kind=kinds, zone=zones)
    def test_containing_agrees_with_bounds(self, moment, kind, zone):
        start, end = Period.containing(moment, kind, zone).bounds(zone)
        assert start <= moment < end

    @given(period=periods, zone=zones)
    def test_edges_belong(self, period, zone):
        start, end = period.bounds(zone)
        tick = timedelta(microseconds=1)
        assert Period.containing(start, period.kind, zone) == period
        assert Period.containing(end - tick, period.kind, zone) == period
        assert Period.containing(end, period.kind, zone) == period.next()
        assert Period.containing(start - tick, period.kind, zone) == period.previous()


class TestSteps:
    @given(period=periods, n=st.integers(-300, 300))
    def test_previous_and_next_are_inverse(self, period, n):
        assert period.next(n).previous(n) == period
        assert period.next(n).next() == period.next(n + 1)
        assert (period < period.next(n)) == (n > 0)

    @given(day=days)
    def test_weeks_are_those_of_iso_8601(self, day):
        """Reference: `datetime.date.isocalendar`."""
        year, week, _ = day.isocalendar()
        noon = datetime(day.year, day.month, day.day, 12)
        assert Period.containing(noon, "week", "UTC").label == f"{year}-W{week:02d}"

    @given(day=days)
    def test_months_and_quarters_are_those_of_the_calendar(self, day):
        noon = datetime(day.year, day.month, day.day, 12)
        assert Period.containing(noon, "month", "UTC").label == f"{day:%Y-%m}"
        assert Period.containing(noon, "quarter", "UTC").label == f"{day.year}-Q{-(-day.month // 3)}"

    @pytest.mark.parametrize(
        ("text", "ago"),
        [("2026-10", "2025-10"), ("2024-02", "2023-02"), ("2026-Q1", "2025-Q1"), ("2026-W40", "2025-W40"),
         ("2026-W53", "2025-W52"), ("2020-W53", "2019-W52"), ("2027-W01", "2026-W01")],
    )  # fmt: skip
    def test_year_ago(self, text, ago):
        assert str(Period.parse(text).year_ago()) == ago

    def test_last(self):
        assert [str(p) for p in Period.parse("2026-02").last(4)] == ["2025-11", "2025-12", "2026-01", "2026-02"]
        assert [str(p) for p in Period.parse("2027-W01").last(2)] == ["2026-W53", "2027-W01"]
        with pytest.raises(UsageError, match="at least 1"):
            Period.parse("2026-02").last(0)

    def test_months_that_a_period_touches(self):
        assert Period.parse("2026-10").months() == ["2026-10"]
        assert Period.parse("2026-Q1").months() == ["2026-01", "2026-02", "2026-03"]
        assert Period.parse("2026-W40").months() == ["2026-09", "2026-10"]
        assert Period.parse("2026-W53").months() == ["2026-12", "2027-01"]
        assert Period.parse("2026-W41").months() == ["2026-10"]

    @pytest.mark.parametrize("text", ["1900-01", "1900-Q1", "1900-W01"])
    def test_before_1900_is_refused(self, text):
        with pytest.raises(UsageError, match="1900 to 2999"):
            Period.parse(text).previous()

    @pytest.mark.parametrize("text", ["2999-12", "2999-Q4", "2999-W52"])
    def test_after_2999_is_refused(self, text):
        assert Period.parse(text).bounds("UTC")
        with pytest.raises(UsageError, match="1900 to 2999"):
            Period.parse(text).next()


class TestRange:
    def test_across_years(self):
        assert [str(p) for p in Period.range("2025-11", "2026-02")] == ["2025-11", "2025-12", "2026-01", "2026-02"]
        assert [str(p) for p in Period.range("2026-W52", "2027-W02")] == [
            "2026-W52",
            "2026-W53",
            "2027-W01",
            "2027-W02",
        ]
        assert [str(p) for p in Period.range("2025-Q4", "2026-Q1")] == ["2025-Q4", "2026-Q1"]
        assert Period.range(Period.parse("2026-10"), "2026-10") == [Period.parse("2026-10")]

    def test_reversed(self):
        with pytest.raises(UsageError) as caught:
            Period.range("2026-10", "2026-09")
        assert str(caught.value) == "the range from 2026-10 to 2026-09 runs backwards; did you mean 2026-09 to 2026-10?"

    def test_mixed(self):
        with pytest.raises(UsageError) as caught:
            Period.range("2026-09", "2026-Q4")
        assert str(caught.value) == "2026-09 is a month and 2026-Q4 a quarter: a range has one kind"

    @given(period=periods, n=st.integers(0, 60))
    def test_as_many_as_steps(self, period, n):
        assert Period.range(period, period.next(n)) == period.next(n).last(n + 1)


class TestLastClosed:
    @pytest.mark.parametrize(
        ("latest", "kind", "closed"),
        [
            (datetime(2026, 10, 31, 12), "month", "2026-10"),  # data reach its last day
            (datetime(2026, 10, 30, 12), "month", "2026-09"),
            (datetime(2026, 10, 30, 23), "month", "2026-10"),  # 00:00 of the 31st in Madrid
            (datetime(2026, 10, 30, 22, 59, 59), "month", "2026-09"),
            (datetime(2026, 10, 31, 23), "month", "2026-10"),  # already November in Madrid
            (datetime(2026, 10, 31, 12), "quarter", "2026-Q3"),
            (datetime(2026, 12, 31, 12), "quarter", "2026-Q4"),
            (datetime(2026, 10, 31, 12), "week", "2026-W43"),  # a Saturday
            (datetime(2026, 11, 1, 12), "week", "2026-W44"),  # a Sunday
        ],
    )
    def test_cases(self, latest, kind, closed):
        assert str(Period.last_closed(latest, kind, MADRID)) == closed

    @given(latest=moments, kind=kinds, zone=zones)
    def test_data_reach_the_last_day_of_it_and_of_no_later_one(self, latest, kind, zone):
        closed = Period.last_closed(latest, kind, zone)
        later = closed.next()
        assert latest >= utc(datetime.combine(closed.next_day - timedelta(days=1), datetime.min.time()), zone)
        assert latest < utc(datetime.combine(later.next_day - timedelta(days=1), datetime.min.time()), zone)


def test_titles_do_not_follow_the_machines_language():
    """Month names are part of the record: the same on every machine."""
    assert [Period.parse(f"2026-{month:02d}").title.split()[0][:3] for month in range(1, 13)] == [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]  # fmt: skip
