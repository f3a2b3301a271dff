"""Olist: the first real source. By hand on six orders, and on the real sample against figures computed in R."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import ibis
import pytest
import yaml

from cxlib.data.counts import IngestReport
from cxlib.data.ingest import ingest
from cxlib.data.store import Store
from cxlib.params.models import Params, Source, Workspace
from cxlib.periods import Period

ROOT = Path(__file__).resolve().parent.parent
BY_HAND = Path(__file__).resolve().parent / "data" / "olist_by_hand"


def take_in(root: Path, folder: Path) -> IngestReport:
    sql = ROOT / "params" / "sources" / "olist"
    shutil.copytree(sql, root / "params" / "sources" / "olist", dirs_exist_ok=True)
    said = yaml.load((sql / "source.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    params = Params(workspace=Workspace(company="Olist"), sources={"olist": Source(id="olist", **said)})
    return ingest(root, params, "olist", folder=folder, today=date(2018, 12, 31))


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IngestReport, Store]]:
    root = tmp_path_factory.mktemp("by-hand")
    report = take_in(root, BY_HAND)
    with Store.open(root) as store:
        yield report, store


def rows(store: Store, table: str, *columns: str) -> list[tuple]:
    frame = store.run(store.tables[table].select(*columns).order_by(columns[0], columns[1]))
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def test_optional_files_may_be_missing(by_hand):
    report, _ = by_hand
    assert [note.split(" (")[0] for note in report.notes] == [
        "optional file products",
        "optional file sellers",
        "optional file geolocation",
        "optional file translation",
    ]


def test_a_person_has_one_row_for_each_address(by_hand):
    _, store = by_hand
    assert rows(store, "customers", "customer_id", "valid_from", "region", "joined_on")[:3] == [
        ("anna", datetime(2018, 1, 10, 12), "SP", datetime(2018, 1, 10).date()),  # Sao Paulo's summer: UTC-2
        ("anna", datetime(2018, 5, 1, 12), "RJ", datetime(2018, 1, 10).date()),  # winter: UTC-3
        ("bruno", datetime(2017, 10, 15, 3, 30), "MG", datetime(2017, 10, 15).date()),  # in the hour that never was
    ]


def test_orders_amounts_units_and_partners(by_hand):
    report, store = by_hand
    assert rows(store, "orders", "order_id", "customer_id", "amount", "units", "partner_id") == [
        ("o1", "anna", Decimal("23.30"), 3, "seller a"),  # 10 against 4 + 6: a tie, by id
        ("o2", "anna", Decimal("13.00"), 2, "seller c"),  # the larger value
        ("o3", "anna", Decimal("5.50"), 1, "seller a"),
        ("o4", "bruno", Decimal("42.34"), 0, None),  # no items: what was paid
        ("o5", "carla", Decimal("0.00"), 0, None),
    ]
    aside = duckdb.sql(f"SELECT order_id, reasons FROM '{report.quarantine}/orders.parquet'").fetchall()
    assert aside == [("o6", "amount is missing")]  # its price reads "five"


def test_late_is_delivered_after_the_promised_moment(by_hand):
    _, store = by_hand
    late = store.tables["orders"].mutate(late=lambda t: t.delivered_at > t.promised_at).select("order_id", "late")
    assert store.run(late.order_by("order_id")).late.tolist() == [True, False, False, None, None]


def test_a_review_id_may_stand_for_two_orders(by_hand):
    _, store = by_hand
    assert rows(store, "responses", "response_id", "responded_at", "score", "order_id", "comment") == [
        ("r1:o1", datetime(2018, 2, 1, 1, 30), 1, "o1", 'Atraso\nChegou tarde,\n"muito" tarde'),
        ("r2:o2", datetime(2018, 3, 10, 13), 5, "o2", None),
        ("r2:o3", datetime(2018, 5, 7, 13), 5, "o3", "Ótimo"),
    ]


def test_steps_of_an_order(by_hand):
    report, store = by_hand
    found = rows(
        store, "interactions", "interaction_id", "touchpoint", "kind", "started_at", "ended_at", "wait_seconds"
    )
    assert found[:3] == [
        ("o1:checkout", "checkout", "visit", datetime(2018, 1, 10, 12), None, None),
        ("o1:delivery", "delivery", "visit", datetime(2018, 1, 12, 10), datetime(2018, 1, 20, 2, 0, 1), None),
        ("o1:payment", "payment", "billing", datetime(2018, 1, 10, 12), datetime(2018, 1, 10, 12, 20), 1200),
    ]
    aside = duckdb.sql(f"SELECT interaction_id, reasons FROM '{report.quarantine}/interactions.parquet'").fetchall()
    assert aside == [
        ("o6:delivery", "ended_at '2018-06-04 10:00:00' is before started_at '2018-06-05 10:00:00'")
    ]  # delivered before it was handed over


@pytest.fixture(scope="module")
def sample(
    tmp_path_factory: pytest.TempPathFactory, shared_data: Callable[[str], Path]
) -> Iterator[tuple[IngestReport, Store]]:
    folder = shared_data("olist_sample_a")
    root = tmp_path_factory.mktemp("sample")
    report = take_in(root, folder)
    with Store.open(root) as store:
        yield report, store


def test_every_row_of_the_sample_is_in(sample):
    """Row counts of PROVENANCE.md; 5 people bought twice from one state."""
    report, _ = sample
    accepted = {"customers": 2995, "responses": 2993, "interactions": 8937, "orders": 3000}
    assert {table: counts.accepted for table, counts in report.tables.items()} == accepted
    assert all(counts.rows_in == counts.accepted for counts in report.tables.values())


def test_figures_of_the_oracle(sample, oracle):
    """R on the raw files (olist_a_csat): late is delivered after estimated, one row for each review."""
    _, store = sample
    expected = oracle("olist_a_csat")["expected"]
    responses, orders = store.tables["responses"], store.tables["orders"]
    assert store.run(responses.aggregate(n=responses.count(), top=(responses.score >= 4).mean())).values.tolist() == [
        [expected["n_reviews"], pytest.approx(expected["csat_top2"], abs=1e-6)]
    ]
    joined = responses.join(orders, "order_id").mutate(late=ibis._.delivered_at > ibis._.promised_at)
    delivered = joined.filter(joined.late.notnull())
    share = store.run(delivered.aggregate(share=delivered.late.cast("int64").mean())).share[0]
    assert share == pytest.approx(expected["late_share"], abs=1e-6)
    means = store.run(delivered.group_by("late").aggregate(mean=delivered.score.mean())).set_index("late")["mean"]
    assert means[True] == pytest.approx(expected["mean_score_late"], abs=1e-6)
    assert means[False] == pytest.approx(expected["mean_score_ontime"], abs=1e-6)


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Madrid", "America/Sao_Paulo"])
def test_the_month_2018_07(sample, timezone):
    """151 answers, 122 of them 4 or 5: top-2-box 80.8 %."""
    _, store = sample
    start, end = Period.parse("2018-07").bounds(timezone)
    responses = store.tables["responses"]
    month = responses.filter((responses.responded_at >= start) & (responses.responded_at < end))
    found = store.run(month.aggregate(n=month.count(), top=(month.score >= 4).sum()))
    assert found.values.tolist() == [[151, 122]]
