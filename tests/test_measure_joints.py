"""Joint sums of many cuts in one query: to the last digit what each cut brings by itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from conftest import ROOT
from ibis.config import Config

from cxlib import params
from cxlib.contract import TABLES
from cxlib.data.store import Store
from cxlib.errors import UsageError
from cxlib.measure import plans
from cxlib.measure.joints import CUT, fits
from cxlib.params import Metric, Segment
from cxlib.periods import Period

COMPANY = params.load(ROOT)
REST: dict[str, Any] = {"timezone": "Europe/Madrid", "touchpoints": COMPANY.touchpoints}
MONTHS = [Period.parse(label) for label in ("2026-10", "2025-10", "2026-09")]
KINDS = {
    "text": "string", "timestamp": "timestamp", "date": "date", "integer": "int64", "number": "float64",
    "money": "decimal(18, 2)", "boolean": "boolean",
}  # fmt: skip


class SparkOptions(Config):
    treat_nan_as_null: bool = False


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Iterator[Store]:
    with Store.open(demo_workspace, timezone="Europe/Madrid") as opened:
        yield opened


def known(metric: Metric, store: Store) -> list[Segment]:
    """Return a few segments, of customers and of events, that the workspace has for a metric."""
    found = []
    for name in ("region", "plan", "touchpoint", "delivered_late"):
        try:
            plans.plan(metric, store.tables, MONTHS[:1], segments=[COMPANY.segments[name]], **REST)
            found.append(COMPANY.segments[name])
        except plans.Undefined:
            continue
    return found


@pytest.mark.parametrize("name", [name for name, metric in COMPANY.metrics.items() if fits(metric)])
def test_each_cut_is_what_it_is_alone(name: str, store: Store) -> None:
    metric = COMPANY.metrics[name]
    single = known(metric, store)
    cuts = [*((segment,) for segment in single), *list(combinations(single, 2))[-2:]]
    found = store.run(plans.joints(metric, store.tables, MONTHS, segments=cuts, **REST))
    for number, cut in enumerate(cuts):
        alone = store.run(plans.joint(metric, store.tables, MONTHS, segments=cut, **REST))
        mine = found[found[CUT] == number].drop(columns=CUT).reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone, check_exact=True)


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "pyspark"])
def test_other_engines_can_be_asked(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    tables: Any = {
        table.name: ibis.table({column.name: KINDS[column.type] for column in table.columns}, name=table.name)
        for table in TABLES.values()
    }
    cuts = [(COMPANY.segments["region"],), (COMPANY.segments["region"], COMPANY.segments["touchpoint"])]
    query = plans.joints(COMPANY.metrics["nps"], tables, MONTHS, segments=cuts, **REST)
    assert "GROUP BY" in str(ibis.to_sql(query, dialect=dialect))


def test_what_cannot_be_cut_so_is_refused(store: Store) -> None:
    region = (COMPANY.segments["region"],)
    for name, cuts in (("wait_p50", [region]), ("complaint_rate", [region]), ("nps", []), ("nps", [region, ()])):
        with pytest.raises(UsageError, match="not cut in several ways"):
            plans.joints(COMPANY.metrics[name], store.tables, MONTHS, segments=cuts, **REST)
    cuts = [region, (COMPANY.segments["delivered_late"],)]
    with pytest.raises(plans.Undefined, match="no column"):
        plans.joints(COMPANY.metrics["churn_start_cohort"], store.tables, MONTHS, segments=cuts, **REST)
