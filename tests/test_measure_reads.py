"""Which tables and months a plan reads: nothing outside of what is named changes an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis.expr.operations as ops
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from cxlib import params as parameters
from cxlib.contract import DERIVED, TABLES
from cxlib.data.store import Store
from cxlib.measure import plans, reads
from cxlib.measure.reads import Read
from cxlib.params import Metric, Part, Segment
from cxlib.params.intake import Repeats
from cxlib.periods import KINDS, Period

PARAMS = parameters.load(ROOT)
METRICS, SEGMENTS = PARAMS.metrics, PARAMS.segments
ZONE = "Europe/Madrid"
ALL = Repeats()
PERIOD = Period.parse("2026-03")
ZONES = ("UTC", "Europe/Madrid", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu", "Pacific/Apia")


def cuts_of(metric: Metric) -> list[list[Segment]]:
    """Return the whole, all segments of customers at once, and each segment of events that the metric's table knows."""
    customers = [one for one in SEGMENTS.values() if one.on == "customers"]
    known = {column.name for column in TABLES[metric.table].columns} | DERIVED.get(metric.table, {}).keys()
    events = [one for one in SEGMENTS.values() if one.on == "event" and reads.columns_of(one) <= known]
    return [[], customers, *([one] for one in events)]


def requests() -> list[tuple[Metric, list[Segment]]]:
    return [(metric, cut) for metric in METRICS.values() for cut in cuts_of(metric)]


class Watched(Mapping[str, Any]):
    """Tables that remember which of them anybody asked for, or about."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self.tables, self.asked = tables, set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return self.tables[name]

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return name in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Iterator[Store]:
    with Store.open(demo_workspace, timezone=ZONE) as opened:
        yield opened


def planned(metric: Metric, cut: list[Segment], tables: Mapping[str, Any]) -> Any:
    try:
        return plans.plan(metric, tables, [PERIOD], timezone=ZONE, segments=cut, touchpoints=PARAMS.touchpoints)
    except plans.Undefined:
        return None


def test_the_tables_of_every_plan_are_among_the_named_ones(store: Store, replicates: Callable[[int, int], int]) -> None:
    for metric, cut in requests()[:: replicates(3, 1)]:
        watched = Watched(store.tables)
        found = planned(metric, cut, watched)
        named = {one.table for one in reads.reads(metric, cut, ALL)}
        about = f"{metric.id} by {[segment.id for segment in cut]}"
        assert {name.removeprefix("all ") for name in watched.asked} <= named, about
        if found is not None:
            assert {table.name for table in found.op().find(ops.DatabaseTable)} <= named, about


def test_files_outside_of_what_is_named_change_no_answer(
    store: Store, demo_workspace: Path, replicates: Callable[[int, int], int]
) -> None:
    """The store is opened with no other files than the named ones: what else there is would have made a difference."""
    asked: dict[frozenset[Read], list[tuple[Metric, list[Segment]]]] = {}
    for metric, cut in requests()[:: replicates(7, 1)]:
        asked.setdefault(reads.reads(metric, cut, ALL), []).append((metric, cut))
    left_out = 0
    for needed, some in asked.items():
        with Store.open(demo_workspace, timezone=ZONE) as thin:
            left_out += cut_down(thin, needed)
            for metric, cut in some:
                whole = planned(metric, cut, store.tables)
                if whole is None:
                    continue
                bare = planned(metric, cut, thin.tables)
                pd.testing.assert_frame_equal(thin.run(bare), store.run(whole), obj=f"{metric.id} {len(cut)}")
    assert left_out > 500


@pytest.mark.parametrize("per", ["month", "quarter", "year", "ever", "invitation"])
def test_a_rule_of_repeats_reads_no_more_than_is_named(demo_workspace: Path, per: str) -> None:
    rule = Repeats(keep="last", per=per)
    how = {"timezone": ZONE, "repeats": rule}
    for name in ("nps", "survey_repeated"):
        metric = METRICS[name]
        with Store.open(demo_workspace, **how) as whole, Store.open(demo_workspace, **how) as thin:
            cut_down(thin, reads.reads(metric, [], rule))
            expected = whole.run(planned(metric, [], whole.tables))
            pd.testing.assert_frame_equal(thin.run(planned(metric, [], thin.tables)), expected)


def cut_down(store: Store, needed: frozenset[Read]) -> int:
    """Let a store hold the named files only; return how many others it had."""
    gone = 0
    for table in store.snapshot.tables:
        pinned, mine = store.pinned(table), [one for one in needed if one.table == table]
        months = set(pinned.months) if any(one.whole for one in mine) else set()
        months |= {month for one in mine if not one.whole for month in reads.months(one, [PERIOD], ZONE)}
        files = tuple(file for month, some in pinned.months.items() if month in months for file in some)
        gone += len(pinned.files) - len(files)
        store.tables._pinned[table] = replace(pinned, files=files)
    return gone


def test_most_of_the_pack_reads_a_month_or_two() -> None:
    bounded = {name: [one for one in reads.reads(metric, [], ALL) if not one.whole] for name, metric in METRICS.items()}
    assert bounded["nps"] == [Read("responses", whole=False)]
    assert bounded["repeat_purchase"] == []  # the next order may come at any time
    assert bounded["churn_rate"] == []
    assert sorted(bounded["contacts_per_order"]) == [Read("interactions", False), Read("orders", False)]
    assert reads.months(bounded["nps"][0], [PERIOD], ZONE) == {"2026-02", "2026-03"}
    assert reads.months(bounded["nps"][0], [PERIOD], "UTC") == {"2026-03"}
    assert len([name for name, found in bounded.items() if found]) >= 18


def test_customers_matter_where_they_are_what_is_cut_by() -> None:
    nps = METRICS["nps"]
    assert Read("customers") not in reads.reads(nps, [], ALL)
    assert Read("customers") in reads.reads(nps, [SEGMENTS["region"]], ALL)
    assert Read("identities") in reads.reads(nps, [], ALL)
    late = reads.reads(nps, [SEGMENTS["delivered_late"]], ALL)
    assert Read("orders") in late


def test_a_rule_of_repeats_widens_what_is_read() -> None:
    nps = METRICS["nps"]
    found = {per: reads.reads(nps, [], Repeats(keep="last", per=per)) for per in ("month", "quarter", "year", "ever")}
    assert Read("responses") in found["ever"]
    widths = {}
    for per in ("month", "quarter", "year"):
        (one,) = (read for read in found[per] if read.table == "responses")
        widths[per] = len(reads.months(one, [PERIOD], ZONE))
    assert widths == {"month": 2, "quarter": 4, "year": 13}  # each with the hours of the month before


def test_a_table_of_two_sides_is_read_whole_where_one_side_reads_it_so() -> None:
    part = Part(table="responses", value="1")
    ratio = METRICS["nps"].model_copy(update={"kind": "ratio", "numerator": "score", "denominator": part})
    assert [one for one in reads.reads(ratio, [], ALL) if one.table == "responses"] == [Read("responses")]


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2027, 12, 31)),
    st.sampled_from(ZONES),
    st.sampled_from(KINDS),
    st.integers(0, 120),
    st.sampled_from(("responses", "subscriptions")),
)
def test_the_months_named_hold_every_moment_of_a_period(
    moment: datetime, zone: str, kind: str, days: int, table: str
) -> None:
    """A row lies in the month of its own time and counts in the period of that time plus the window."""
    one = Read(table, whole=False, days=days)
    if table == "subscriptions":  # cut by days, which no timezone moves
        day = moment.date() + timedelta(days=days)
        period = next(p for p in around(day, kind) if p.first_day <= day < p.next_day)
    else:
        period = Period.containing(moment + timedelta(days=days), kind, zone)
    assert f"{moment:%Y-%m}" in reads.months(one, [period], zone)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2027, 12, 31)), st.sampled_from(ZONES), st.sampled_from(KINDS),
    st.sampled_from((1, 3, 12)), st.integers(-400, 400),
)  # fmt: skip
def test_the_months_named_hold_the_answers_that_another_one_repeats(
    moment: datetime, zone: str, kind: str, unit: int, apart: int
) -> None:
    """Two moments of one local month, quarter or year: the period of the one names the month of the other."""
    other = moment + timedelta(days=apart)
    month, second = (Period.containing(one, "month", zone).first_day for one in (moment, other))
    if (month.year * 12 + month.month - 1) // unit != (second.year * 12 + second.month - 1) // unit:
        return
    one = Read("responses", whole=False, unit=unit)
    assert f"{other:%Y-%m}" in reads.months(one, [Period.containing(moment, kind, zone)], zone)


def around(day: date, kind: str) -> list[Period]:
    """Return the periods of a kind near a day."""
    middle = Period.containing(datetime(day.year, day.month, day.day, 12), kind, "UTC")
    return [middle.previous(), middle, middle.next()]
