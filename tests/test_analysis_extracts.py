"""What analyses take from the tables: against pandas on the demo company, and hand-worked rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cxlib import params
from cxlib.analysis import extracts
from cxlib.data.store import Store
from cxlib.errors import UsageError
from cxlib.measure import estimates, plans, respondents
from cxlib.periods import Period
from tests.conftest import ROOT

COMPANY = params.load(ROOT)
ZONE, END = COMPANY.workspace.timezone, Period.parse("2026-10")
MONEY = 1e-9  # doubles of whole cents, added in another order


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Iterator[Store]:
    with Store.open(demo_workspace, COMPANY.workspace.store, timezone=ZONE) as opened:
        yield opened


@pytest.mark.parametrize("name", ["nps", "csat_mean", "csat_top2", "late_delivery_share"])
def test_rows_add_up_to_the_metric(store: Store, name: str) -> None:
    """The mean of the rows is the estimate of the metric: no second definition."""
    metric = COMPANY.metrics[name]
    found = store.run(extracts.rows(metric, store.tables, [END], timezone=ZONE, segments=[COMPANY.segments["plan"]]))
    moments = store.run(plans.plan(metric, store.tables, [END], timezone=ZONE))
    level = estimates.from_moments(metric, moments).iloc[0]
    assert found["y"].mean() == pytest.approx(level["estimate"], abs=1e-9)
    assert found["y"].notna().sum() == level["n"]
    assert set(found["plan"]) <= {"Basic", "Plus", "Pro", "unknown"}


def test_drivers_come_beside_each_answer(store: Store) -> None:
    model = COMPANY.drivers["support"]
    columns = {name: driver.value for name, driver in model.drivers.items()}
    metric = COMPANY.metrics[model.outcome]
    found = store.run(
        extracts.rows(metric, store.tables, END.last(12), timezone=ZONE, columns=columns, kept=model.filter)
    )
    assert len(found) > 10
    assert set(found["period"]) <= {period.label for period in END.last(12)}
    assert set(found["unresolved"].dropna()) == {0.0, 1.0}  # conditions are numbers
    assert found["waiting"].between(0, 60).all()
    answers = store.run(store.tables["responses"])
    support = answers["touchpoint"].isin(["support_phone", "support_chat", "support_email"])
    assert len(found) <= (support & (answers["instrument"] == "csat")).sum()


def test_a_ratio_has_no_rows_of_its_own(store: Store) -> None:
    with pytest.raises(UsageError, match="denominator in another table"):
        extracts.rows(COMPANY.metrics["complaint_rate"], store.tables, [END], timezone=ZONE)


def test_totals_are_sums_per_customer_and_month(store: Store) -> None:
    periods = END.last(3)
    found = store.run(extracts.totals(store.tables, periods, "orders", "ordered_at", "amount", timezone=ZONE))
    orders = store.run(extracts.orders(store.tables, END, timezone=ZONE))
    local = orders["ordered_at"].dt.tz_localize("UTC").dt.tz_convert(ZONE)
    wanted = orders.groupby([orders["customer_id"], local.dt.strftime("%Y-%m").rename("period")])["amount"].sum()
    wanted = wanted[wanted.index.get_level_values("period").isin([period.label for period in periods])]
    got = found.set_index(["customer_id", "period"])["total"].sort_index()
    pd.testing.assert_series_equal(got, wanted.sort_index(), check_names=False, atol=MONEY)


def test_an_end_after_the_period_is_not_known(store: Store) -> None:
    early = Period.parse("2025-06")
    then, now = (store.run(extracts.subscriptions(store.tables, period)) for period in (early, END))
    assert then["ended_on"].dropna().map(str).max() < "2025-07-01" <= now["ended_on"].dropna().map(str).max()
    assert (then["started_on"].map(str) < "2025-07-01").all()
    assert then.loc[then["ended_on"].isna(), "end_reason"].isna().all()


def test_people_are_the_population_of_weights(store: Store) -> None:
    plan = COMPANY.segments["plan"]
    found = store.run(extracts.people(store.tables, END, [plan], timezone=ZONE))
    wanted = store.run(respondents.population(store.tables, END, [plan], timezone=ZONE))
    assert found["plan"].value_counts().to_dict() == wanted.set_index("plan")["customers"].to_dict()
    assert found["customer_id"].is_unique


def test_afterwards_equals_plain_loops(store: Store) -> None:
    """Each answer with the orders and recommendations in the 60 days after it."""
    days, periods = 60, Period.parse("2026-09").last(4)
    nps = COMPANY.metrics["nps"]
    found = store.run(extracts.afterwards(nps, store.tables, periods, days, timezone=ZONE, end=END))
    orders, events = (store.run(store.tables[name]) for name in ("orders", "interactions"))
    referrals = events[events["kind"] == "referral"]
    until = END.bounds(ZONE)[1]
    sample = found.sort_values(["customer_id", "answered_at"]).head(120)
    for row in sample.itertuples():
        start, stop = row.answered_at, row.answered_at + pd.Timedelta(days=days)
        mine = orders[(orders["customer_id"] == row.customer_id) & (orders["ordered_at"] > start)]
        spend = mine.loc[mine["ordered_at"] <= stop, "amount"].astype(float).sum()
        assert row.spend == pytest.approx(spend, abs=MONEY)
        told = referrals[(referrals["customer_id"] == row.customer_id) & (referrals["started_at"] > start)]
        assert row.referrals == (told["started_at"] <= stop).sum()
        assert row.followed == (stop < until)
    assert len(sample) > 50


def test_the_level_of_an_order_is_the_one_that_held_then(store: Store) -> None:
    plan = COMPANY.segments["plan"]
    found = store.run(extracts.orders(store.tables, END, timezone=ZONE, segments=[plan]))
    history = store.run(store.tables["customers"]).sort_values("valid_from")
    many = history.groupby("customer_id")["plan"].nunique()
    mine = found[found["customer_id"].isin(many[many > 1].index)].sort_values("ordered_at")
    wanted = pd.merge_asof(
        mine, history[["customer_id", "valid_from", "plan"]], left_on="ordered_at", right_on="valid_from",
        by="customer_id", suffixes=("", "_then"),
    ).dropna(subset="plan_then")  # fmt: skip
    assert len(wanted) > 20
    assert (wanted["plan"] == wanted["plan_then"]).all()
    assert len(found) == len(store.run(extracts.orders(store.tables, END, timezone=ZONE)))


def test_what_a_workspace_lacks_is_null_or_said(store: Store) -> None:
    bare = {"responses": store.tables["responses"]}
    found = store.run(extracts.afterwards(COMPANY.metrics["nps"], bare, [END], 30, timezone=ZONE, end=END))
    assert found[["spend", "referrals"]].isna().all(axis=None)
    for name in ("orders", "subscriptions"):
        with pytest.raises(plans.Undefined, match=f"no table '{name}'"):
            extracts.orders(bare, END, timezone=ZONE) if name == "orders" else extracts.subscriptions(bare, END)
