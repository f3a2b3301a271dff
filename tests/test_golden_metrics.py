"""Every metric file against one hand-worked month: `golden/metrics.csv` and the rows in `golden/tables`."""

from __future__ import annotations

import csv
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from cxlib import params
from cxlib.contract import TABLES
from cxlib.measure import estimates, plans
from cxlib.params import Metric, Part
from cxlib.periods import Period
from tests import reference
from tests.conftest import ROOT

COMPANY = params.load(ROOT)
GOLDEN = Path(__file__).parent / "golden"
READ: dict[str, tuple[pa.DataType, Any]] = {
    "text": (pa.string(), str),
    "timestamp": (pa.timestamp("us"), datetime.fromisoformat),
    "date": (pa.date32(), date.fromisoformat),
    "integer": (pa.int64(), int),
    "money": (pa.decimal128(18, 2), Decimal),
    "boolean": (pa.bool_(), lambda text: text == "true"),
}
# One multiplication or division apart from the arithmetic written down: the last digit of a double.
LAST_DIGIT = 1e-14


def rows_of(name: str) -> list[dict[str, str]]:
    with (GOLDEN / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def typed(table: str) -> tuple[pa.Schema, list[dict[str, Any]]]:
    """Return one hand-written table, empty cells as null, typed as the contract says."""
    rows = rows_of(f"tables/{table}.csv")
    kinds = {name: READ[TABLES[table].column(name).type] for name in rows[0]}  # type: ignore[union-attr]
    content = [{name: kinds[name][1](text) if text else None for name, text in row.items()} for row in rows]
    return pa.schema({name: kind for name, (kind, _) in kinds.items()}), content


NAMES = ("responses", "invitations", "orders", "interactions", "subscriptions")
ROWS = {name: typed(name) for name in NAMES}
EXPECTED = {row["metric"]: row for row in rows_of("metrics.csv")}


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return {name: ibis.memtable(pa.Table.from_pylist(rows, schema=schema)) for name, (schema, rows) in ROWS.items()}


def test_every_metric_is_worked_by_hand() -> None:
    assert sorted(EXPECTED) == sorted(COMPANY.metrics)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_engine_gives_the_hand_worked_number(name: str, tables: dict[str, Any]) -> None:
    metric, row = COMPANY.metrics[name], EXPECTED[name]
    query = plans.plan(
        metric, tables, [Period.parse(row["period"])], timezone="Europe/Madrid", touchpoints=COMPANY.touchpoints
    )
    found = estimates.from_moments(metric, query.to_pyarrow().to_pandas(), min_n=1)
    assert found["status"].tolist() == ["ok"]
    assert found["estimate"].item() == pytest.approx(float(row["estimate"]), rel=LAST_DIGIT)
    assert found["n"].item() == float(row["n"])
    assert not found["conf_low"].item() > found["estimate"].item()
    assert not found["conf_high"].item() < found["estimate"].item()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_reference_engine_gives_the_hand_worked_number(name: str) -> None:
    metric, row = COMPANY.metrics[name], EXPECTED[name]
    rows = {table: content for table, (_, content) in ROWS.items()}
    found = reference.measure(
        metric, rows, [Period.parse(row["period"])], timezone="Europe/Madrid", touchpoints=COMPANY.touchpoints
    )
    assert plainly(metric, found) == pytest.approx(float(row["estimate"]), rel=LAST_DIGIT)


def plainly(metric: Metric, found: dict[Any, dict[str, float]]) -> float:
    """Turn the reference engine's sums into the number, without `cxlib.measure`."""
    if metric.kind == "quantile":
        values = [key[2] for key, counts in found.items() for _ in range(int(counts["rows"]))]
        return reference.quantile(values, metric.quantile)
    (sums,) = found.values()
    per_row = metric.kind in ("share", "mean", "nps")
    assert isinstance(metric.denominator, str | Part)
    return sums["y"] / (sums["rows"] if per_row else sums["x"]) * (100 if metric.kind == "nps" else metric.scale)
