"""Texts whose periods are left open: filled, they bring what a plan of those periods brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from cxlib import params
from cxlib.data.store import Store
from cxlib.measure import plans
from cxlib.measure.slots import Slots
from cxlib.params import Metric
from cxlib.periods import KINDS, Period

COMPANY = params.load(ROOT)
ZONE = "Europe/Madrid"
REST: dict[str, Any] = {"timezone": ZONE, "touchpoints": COMPANY.touchpoints}
MARK = "\x1e"


def of(*labels: str) -> list[Period]:
    return [Period.parse(label) for label in labels]


# What a text is made of, and what it is filled for: clocks change, years and the lengths of months differ.
SHAPES = [
    (of("2025-12"), of("2026-10")),
    (of("2025-09", "2024-09", "2025-08"), of("2026-03", "2025-03", "2026-02")),
    (of("2025-W44"), of("2026-W14")),
    (of("2025-Q4", "2025-Q3"), of("2026-Q2", "2026-Q1")),
]


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Iterator[Store]:
    with Store.open(demo_workspace, timezone=ZONE) as opened:
        yield opened


def filled(store: Store, made: Any, asked: Any, build: Callable[..., Any]) -> pd.DataFrame:
    """Compile for some periods, and run for others of the same shape."""
    first, other = Slots(made, ZONE), Slots(asked, ZONE)
    assert first.shape == other.shape != ""
    text = store.text(build(made, slots=first))
    sql = other.fill(text.sql)
    assert MARK in text.sql
    assert MARK not in sql
    found = store.fetch(text._replace(sql=sql))
    assert found is not None
    return found


def brought(store: Store, made: Any, asked: Any, build: Callable[..., Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the text of other periods brings, and what a plan of the periods themselves does."""
    return filled(store, made, asked, build), store.run(build(asked, slots=None))


@pytest.mark.parametrize("name", sorted(COMPANY.metrics))
def test_a_text_serves_other_periods(name: str, store: Store) -> None:
    """By one shape of periods per metric each, so that all kinds meet all shapes somewhere."""
    metric, segment = COMPANY.metrics[name], COMPANY.segments["region"]
    number = sorted(COMPANY.metrics).index(name)
    for made, asked in (SHAPES[number % len(SHAPES)], SHAPES[(number + 1) % len(SHAPES)]):

        def build(periods: Any, *, cut: Any = (segment,), **more: Any) -> Any:
            return plans.plan(metric, store.tables, periods, segments=cut, **REST, **more)

        def whole(periods: Any, **more: Any) -> Any:
            return build(periods, cut=(), **more)

        try:
            build(asked)
            found, wanted = brought(store, made, asked, build)
        except plans.Undefined:
            found, wanted = brought(store, made, asked, whole)
        assert found.equals(wanted)


@pytest.mark.parametrize("name", ["nps", "churn_rate", "complaint_rate", "touchpoint_volume", "survey_response_time"])
def test_windows_are_filled_too(name: str, store: Store) -> None:
    metric: Metric = COMPANY.metrics[name]
    rolled = {"rolling": 3} | REST

    def build(periods: Any, **more: Any) -> Any:
        return plans.plan(metric, store.tables, periods, **rolled, **more)

    found, wanted = brought(store, *SHAPES[1], build)
    assert found.equals(wanted)


@pytest.mark.parametrize("name", ["nps", "churn_rate", "complaint_rate", "touchpoint_volume"])
def test_products_are_filled_too(name: str, store: Store) -> None:
    metric, cut = COMPANY.metrics[name], [COMPANY.segments["region"]]
    made, asked = (periods[:2] for periods in SHAPES[1])
    pairs = [[(one, other), (one, third)] for one, other, third in SHAPES[1]]

    def products(what: Any, **more: Any) -> Any:
        return plans.joint(metric, store.tables, what, segments=cut, **REST, **more)

    def shared(what: Any, **more: Any) -> Any:
        return plans.overlaps(metric, store.tables, what, segments=cut, **REST, **more)

    for first, other, build in ((made, asked, products), (*pairs, shared)):
        found, wanted = brought(store, first, other, build)
        assert found.equals(wanted)


def test_several_metrics_and_cuts_are_filled_too(store: Store) -> None:
    family = [COMPANY.metrics[name] for name in ("digital_share", "touchpoint_volume")]
    cuts = [(COMPANY.segments["region"],), (COMPANY.segments["region"], COMPANY.segments["plan"])]

    def together(what: Any, **more: Any) -> Any:
        return plans.together(family, store.tables, what, **REST, **more)

    def joints(what: Any, **more: Any) -> Any:
        return plans.joints(COMPANY.metrics["nps"], store.tables, what, segments=cuts, **REST, **more)

    for build in (together, joints):
        found, wanted = brought(store, *SHAPES[1], build)
        assert found.equals(wanted)


@given(st.sampled_from(KINDS), st.dates(), st.integers(-40, 0), st.integers(0, 40))
def test_what_is_said_of_a_period_is_its_own(kind: str, day: Any, place: int, more: int) -> None:
    day = day.replace(year=2000 + day.year % 60, day=min(day.day, 28))
    last = Period.containing(pd.Timestamp(day).to_pydatetime() + timedelta(hours=12), kind, "UTC")
    period = last.next(place)
    slots, days = Slots([last, period], ZONE), timedelta(days=more)
    said = {
        "start": period.first_day - days, "end": period.next_day - days, "from": period.bounds(ZONE)[0] - days,
        "until": period.bounds(ZONE)[1] - days, "label": period.label,
        "days": (period.next_day - period.previous(more).first_day).days,
    }  # fmt: skip
    for name, value in said.items():
        assert f"{MARK}{name} {place} {more}{MARK}" in str(ibis.to_sql(slots.value(name, period, more)))
        assert slots.fill(f"'{MARK}{name} {place} {more}{MARK}'") == f"'{value}'"


def test_periods_of_two_kinds_have_no_shape() -> None:
    assert Slots(of("2026-10", "2026-Q4"), ZONE).shape == ""
    assert Slots(of("2026-10", "2026-09"), ZONE).shape != Slots(of("2026-10", "2026-08"), ZONE).shape
    pair = of("2026-10", "2026-09")
    assert Slots([(pair[0], pair[1])], ZONE).shape != Slots(pair, ZONE).shape
