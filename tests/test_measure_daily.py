"""Counts by local day, and the demo's outage seen in them: an alarm then, and none in the quiet months."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT

from cxlib import params
from cxlib.data import demo
from cxlib.measure import alarms, daily
from cxlib.measure.plans import Undefined
from cxlib.reports import watching

COMPANY = params.load(ROOT)
ZONE = COMPANY.workspace.timezone
LONG = watching.metric_of(COMPANY.watch.signals["long_waits"])
CUSTOMERS = 6_000


def counts(signal: str, tables: dict[str, ibis.Table], first: date, until: date, zone: str = ZONE) -> pd.DataFrame:
    plan = daily.daily(watching.metric_of(COMPANY.watch.signals[signal]), tables, first, until, timezone=zone)
    found = plan.to_pyarrow().to_pandas()
    days = pd.DataFrame({"day": pd.date_range(first, until, inclusive="left")})
    return days.assign(number=np.arange(len(days))).merge(found, how="left", on="number").fillna(0)


@pytest.mark.parametrize("zone", ["Europe/Madrid", "UTC", "America/New_York", "Australia/Lord_Howe"])
def test_days_are_local_whatever_clocks_do(zone: str) -> None:
    """Every half hour from March to November, against the days of pandas."""
    at = pd.date_range("2025-03-01", "2025-11-30", freq="30min")
    rows = pd.DataFrame(
        {
            "interaction_id": [str(number) for number in range(len(at))], "kind": "contact",
            "customer_id": [f"C{number % 7}" for number in range(len(at))], "started_at": at,
            "wait_seconds": np.arange(len(at)) % 900,
        }
    )  # fmt: skip
    first, until = date(2025, 3, 10), date(2025, 11, 20)
    found = counts("long_waits", {"interactions": ibis.memtable(pa.Table.from_pandas(rows))}, first, until, zone)
    local = at.tz_localize("UTC").tz_convert(zone).tz_localize(None).normalize()
    expected = rows.assign(day=local, bad=rows["wait_seconds"] > 300).groupby("day")
    expected = expected.agg(n=("bad", "size"), bad=("bad", "sum"), people=("customer_id", "nunique"))
    expected = expected.loc[pd.Timestamp(first) : pd.Timestamp(until) - pd.Timedelta(days=1)]
    for name in ("n", "bad", "people"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_customers_of_some_days_are_counted_once() -> None:
    """Twenty contacts of one customer are of one: what is shown of few is decided by customers."""
    at = pd.date_range("2025-03-03 10:00", periods=20, freq="1D")
    rows = pd.DataFrame({"interaction_id": [str(n) for n in range(20)], "kind": "contact", "started_at": at})
    rows = rows.assign(customer_id=["C1"] * 19 + ["C2"], wait_seconds=100)
    tables = {"interactions": ibis.memtable(pa.Table.from_pandas(rows))}
    for until, expected in ((date(2025, 3, 22), 1), (date(2025, 4, 1), 2)):
        found = daily.customers(LONG, tables, date(2025, 3, 3), until, timezone=ZONE).to_pyarrow().to_pandas()
        assert found["people"].tolist() == [expected]


def test_a_table_that_is_not_there_is_told() -> None:
    with pytest.raises(Undefined):
        daily.daily(LONG, {}, date(2025, 1, 1), date(2025, 2, 1), timezone=ZONE)


def test_the_outage_alarms_and_nothing_else_does_in_24_quiet_months() -> None:
    """From December 2023 to December 2025; November 2023 is the first baseline. Docs: demo, part 6."""
    made = demo.tables(CUSTOMERS)["interactions"]
    tables = {"interactions": ibis.memtable(made)}
    raised = {}
    for signal in ("long_waits", "unresolved", "complaints", "slow_pages"):
        days = counts(signal, tables, date(2023, 11, 1), date(2026, 1, 1))
        found = alarms.watch(days, threshold=watching.threshold_of(COMPANY.watch))
        assert (found.days["state"].iloc[30:] != "waiting").all()
        raised[signal] = [found.days["day"].iloc[one.alarm] for one in found.episodes]
    assert all(day.strftime("%Y-%m") == "2025-03" for days in raised.values() for day in days), raised
    for signal in ("long_waits", "slow_pages"):  # tripled, and 2.5 times as slow: within a week
        (day,) = raised[signal]
        assert day.day <= 7
