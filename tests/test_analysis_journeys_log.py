"""The event log: every event once, within its bounds, in one shape; against plain pandas on the demo company."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from cxlib import params
from cxlib.analysis import journeys
from cxlib.analysis.journeys import log
from cxlib.data.store import Store
from cxlib.errors import UsageError
from cxlib.measure.plans import Undefined
from tests.conftest import ROOT

START, UNTIL = pd.Timestamp("2026-04-30 22:00"), pd.Timestamp("2026-10-31 23:00")


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Iterator[Store]:
    workspace = params.load(ROOT).workspace
    with Store.open(demo_workspace, workspace.store, timezone=workspace.timezone) as opened:
        yield opened


def run(plan: ibis.Table) -> pd.DataFrame:
    return ibis.duckdb.connect().to_pyarrow(plan).to_pandas()


def within(found: pd.DataFrame, time: str) -> pd.DataFrame:
    when = pd.to_datetime(found[time])
    return found[(when >= START) & (when < UNTIL) & found["customer_id"].notna()]


def test_every_row_of_the_tables_is_one_event(store: Store) -> None:
    found = store.run(journeys.events(store.tables, start=START, until=UNTIL))
    assert tuple(found.columns) == log.COLUMNS
    assert found["event_id"].is_unique
    assert found["at"].between(START, UNTIL, inclusive="left").all()
    tables = {name: store.run(store.tables[name]) for name in ("interactions", "orders", "responses", "subscriptions")}
    wanted = within(tables["interactions"], "started_at")["kind"].value_counts().to_dict()
    wanted |= {"order": len(within(tables["orders"], "ordered_at"))}
    wanted |= {"answer": len(within(tables["responses"], "responded_at"))}
    subscriptions = tables["subscriptions"]
    wanted |= {"joined": len(within(subscriptions, "started_on")), "left": len(within(subscriptions, "ended_on"))}
    assert found["kind"].value_counts().to_dict() == wanted
    assert set(wanted) == set(log.KINDS)


def test_what_each_event_says(store: Store) -> None:
    found = store.run(journeys.events(store.tables, start=START, until=UNTIL)).set_index("event_id")
    orders = found[found["kind"] == "order"]
    known = store.run(store.tables["orders"]).set_index("order_id").loc[orders.index]
    arrived = known["delivered_at"].where(known["delivered_at"] < UNTIL)  # what came later is not known yet
    pd.testing.assert_series_equal(orders["ended_at"], arrived, check_names=False, check_dtype=False)
    assert set(orders["touchpoint"]) == {"order"}
    answers = found[found["kind"] == "answer"]
    assert set(answers["touchpoint"]) == {"survey"}
    assert "delivery" in set(answers["about"])
    assert found.loc[found["kind"] != "answer", "about"].isna().all()
    assert set(found.loc[found["kind"].isin(["joined", "left"]), "touchpoint"]) == {"joined", "left"}


def test_only_the_kinds_asked_for_and_orders_by_channel(store: Store) -> None:
    asked = journeys.events(
        store.tables, start=START, until=UNTIL, kinds=["order", "contact"], sold_at={"store": "point_of_sale"}
    )
    found = store.run(asked)
    assert set(found["kind"]) == {"order", "contact"}
    orders = found[found["kind"] == "order"]
    assert set(orders.loc[orders["channel"] == "store", "touchpoint"]) == {"point_of_sale"}
    assert set(orders.loc[orders["channel"] != "store", "touchpoint"]) == {"order"}
    assert set(store.run(journeys.events(store.tables, start=START, until=UNTIL, kinds="left"))["kind"]) == {"left"}


def test_tables_and_columns_that_are_not_there_are_left_out() -> None:
    told = pd.DataFrame({
        "response_id": ["a", "b"], "responded_at": pd.to_datetime(["2026-05-01", "2026-05-02"]),
        "instrument": "nps", "score": [9, 3], "customer_id": ["x", None],
    })  # fmt: skip
    found = run(journeys.events({"responses": ibis.memtable(pa.Table.from_pandas(told))}, start=START, until=UNTIL))
    assert found["event_id"].tolist() == ["a"]  # nobody's journey has the other
    nameless = ibis.memtable(pa.Table.from_pandas(told.drop(columns="customer_id")))
    assert run(journeys.events({"responses": nameless}, start=START, until=UNTIL)).empty
    with pytest.raises(Undefined, match="no interactions, orders"):
        journeys.events({}, start=START, until=UNTIL)
    with pytest.raises(Undefined):
        journeys.events({"responses": nameless}, start=START, until=UNTIL, kinds="order")


def test_a_kind_that_there_is_not_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="'complain'; did you mean 'complaint'"):
        journeys.events(store.tables, start=START, until=UNTIL, kinds=["complain"])
    with pytest.raises(UsageError, match="until"):
        journeys.events(store.tables, start=START, until="soon")
