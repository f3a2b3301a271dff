"""An experiment's moments are what a slow, obvious loop over customers gives, for every metric of the company.

The outside reference is plain Python on rows (`reference` evaluates expressions; it shares no code with
`cxlib.measure`); for the demo it is the SQL of a very large run (`demo_reference`). Sums are of integers: they are
equal, not near.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ibis.config import Config

from cxlib import params
from cxlib.contract import TABLES
from cxlib.data import demo
from cxlib.errors import UsageError
from cxlib.measure import exposed, plans
from cxlib.measure.exposed import Trial
from cxlib.measure.moments import Moments
from cxlib.params import Metric, Part, Segment
from tests import demo_reference, reference
from tests.conftest import ROOT

COMPANY = params.load(ROOT)
ZONE = "Europe/Madrid"  # clocks go forward at 01:00 UTC on 29 March 2026
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ENGINES = ("duckdb", "postgres", "pyspark")
WITH_PRE = ("y", "x", "y_pre", "x_pre")
UNTIL = Trial("e", ("old", "new"), datetime(2026, 3, 10), datetime(2026, 4, 10), datetime(2026, 4, 20), before=14)
WINDOW = replace(UNTIL, window=16, before=0)
BOTH = replace(UNTIL, window=21, before=21)
# Nobody's second order can be followed for 90 days here; for a week it can.
WEEK = COMPANY.metrics["repeat_purchase"].model_copy(update={"id": "repeat_in_a_week", "window": "7 days"})
METRICS = {**COMPANY.metrics, WEEK.id: WEEK}
SUMS = sorted(name for name, metric in METRICS.items() if metric.kind != "quantile")
QUANTILES = sorted(set(METRICS) - set(SUMS))
TYPES = {
    "text": pa.string(), "timestamp": pa.timestamp("us"), "date": pa.date32(), "integer": pa.int64(),
    "number": pa.float64(), "money": pa.decimal128(18, 2), "boolean": pa.bool_(),
}  # fmt: skip
TEXTS: dict[str, list[Any]] = {
    "experiment": ["e", "e", "e", "another"], "variant": ["old", "new"], "instrument": ["nps", "csat", "ces"],
    "kind": ["contact", "contact", "complaint", "visit"], "case_id": [None, "k1", "k2", "k3"],
    "touchpoint": ["website", "support_phone", "delivery", "elsewhere"], "region": ["North", "South", None],
    "plan": ["Basic", "Pro"], "order_id": [None, *map(str, range(9))], "invitation_id": [None, *map(str, range(50))],
}  # fmt: skip

Rows = dict[str, list[dict[str, Any]]]


# A small company: customers recur, and times lie on the borders of each other's spans


@cache
def company(seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    people = [f"c{number:02d}" for number in range(24)]
    # Just before and after local midnight, across the change of clocks, the first moment and the last.
    starts = [UNTIL.first, UNTIL.last - SECOND, datetime(2026, 3, 20, 22, 59, 59), datetime(2026, 3, 20, 23),
              datetime(2026, 3, 28, 23, 30), datetime(2026, 3, 15, 12)]  # fmt: skip
    steps = [0, 0, 0, -14, -21, 16, 21, 2, 7, 30, -7, -35]
    found: Rows = {}
    for name in ("customers", "invitations", "responses", "interactions", "orders", "subscriptions", "exposures"):
        table, rows = TABLES[name], []
        for number in range(40 if name == "exposures" else 140):
            row = {
                column.name: _value(rng, column.name, column.type, people, starts, steps) for column in table.columns
            }
            row |= {table.key[0]: str(number)} if len(table.key) == 1 else {}
            if name == "exposures":  # half a dozen people twice, some to another variant, one unknown to the plan
                row["customer_id"] = people[min(number % 29, 20)]
                row["exposed_at"] = starts[rng.integers(6)] + int(rng.integers(-1, 3)) * DAY * (number > 25)
                row["variant"] = "third" if number == 20 else ["old", "new"][(number % 29 + (number > 36)) % 2]
            rows.append(row)
        found[name] = list({tuple(row[key] for key in (*table.key, table.time)): row for row in rows}.values())
    return found


def _value(rng: Any, name: str, kind: str, people: list[str], starts: list[datetime], steps: list[int]) -> Any:
    pick = lambda values: values[int(rng.integers(len(values)))]  # noqa: E731
    if name == "customer_id":
        return pick(people)
    if name in TEXTS:
        return pick(TEXTS[name])
    moment = pick(starts) + pick(steps) * DAY + pick([-SECOND, 0 * SECOND, SECOND, DAY * float(rng.random())])
    moment = moment.replace(microsecond=0)
    missing = name in ("ended_on", "delivered_at", "units", "wait_seconds", "joined_on") and rng.random() < 0.3
    number = int(rng.integers(1, 11 if name == "score" else 6))
    values = {
        "timestamp": moment, "date": moment.date(), "integer": number, "number": float(number),
        "money": Decimal(int(rng.integers(0, 9_999))) / 100, "boolean": bool(rng.random() < 0.5), "text": None,
    }  # fmt: skip
    return None if missing else values[kind]


def as_tables(rows: Rows) -> dict[str, Any]:
    tables = {}
    for name, content in rows.items():
        columns = pa.schema({column.name: TYPES[column.type] for column in TABLES[name].columns})
        tables[name] = ibis.memtable(pa.Table.from_pylist(content, schema=columns))
    return tables


# The slow way


@dataclass
class Span:
    start: datetime
    end: datetime
    first: date
    after: date

    def row_of(self, time: str, window: int, row: dict[str, Any]) -> bool:
        moment = row[time] if time else self.start
        return moment is not None and self.start <= moment < self.end and moment + window * DAY <= self.end

    @property
    def names(self) -> dict[str, Any]:
        return {"period_start": self.first, "period_end": self.after, "period_from": self.start,
                "period_until": self.end}  # fmt: skip


def local(moment: datetime) -> date:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(ZONE)).date()


def spans_of(trial: Trial, at: datetime) -> list[Span]:
    days, day = timedelta(days=trial.window), local(at)
    after = Span(at, at + days, day, day + days) if days else Span(at, trial.until, day, local(trial.until))
    back = trial.before * DAY
    return [after, Span(at - back, at, day - back, day)]


def people_of(rows: Rows, trial: Trial) -> dict[str, list[tuple[datetime, str]]]:
    found = defaultdict(list)
    for row in rows["exposures"]:
        if row["experiment"] == trial.experiment and trial.first <= row["exposed_at"] < min(trial.last, trial.until):
            found[row["customer_id"]].append((row["exposed_at"], row["variant"]))
    return {customer: sorted(found[customer]) for customer in sorted(found)}


def units_of(rows: Rows, trial: Trial) -> dict[str, tuple[str, datetime, bool]]:
    """Return arm, first exposure and whether its window is over of everybody who was in one arm of the plan only."""
    found = {}
    for customer, mine in people_of(rows, trial).items():
        at, arm = mine[0]
        if arm in trial.arms and {variant for _, variant in mine} == {arm}:
            found[customer] = (arm, at, at + trial.window * DAY <= trial.until)
    return found


class Slow:
    """A company's derived rows by customer, worked out once."""

    def __init__(self, seed: int) -> None:
        self.rows = company(seed)
        self._found: dict[str, dict[str, list[Any]]] = {}

    def of(self, table: str, customer: str) -> list[Any]:
        if table not in self._found:
            mine = self._found[table] = defaultdict(list)
            for row in reference.rows_of(table, self.rows, COMPANY.touchpoints):
                mine[row["customer_id"]].append(row)
        return self._found[table][customer]

    def numbers(self, metric: Metric | Part, window: int, customer: str, span: Span) -> list[dict[str, Any]]:
        found = []
        for row in self.of(metric.table, customer):
            known = row | span.names | {"window": window}
            if span.row_of(metric.time, window, row) and reference.evaluate(metric.filter or "true", known) is True:
                found.append(known)
        return found

    def cell(self, metric: Metric, customer: str, span: Span) -> dict[str, Any]:
        """Return the sums of one customer in one span."""
        pairs = [reference._numbers(metric, row) for row in self.numbers(metric, metric.window_days, customer, span)]
        known = [(Decimal(y), Decimal(x)) for y, x in pairs if y is not None]
        found = {
            "rows": len(known), "missing": len(pairs) - len(known), "y": sum((y for y, _ in known), Decimal(0)),
            "x": sum((x for _, x in known), Decimal(0)), "y2": sum(y * y for y, _ in known), "counts": bool(known),
        }  # fmt: skip
        if metric.denominator == "customers":
            found["x"] = Decimal(bool(known))
        if metric.denominator == "calendar_days":
            found |= {"x": Decimal((span.after - span.first).days), "counts": True}
        if isinstance(metric.denominator, Part):
            part = metric.denominator
            below = self.numbers(part, 0, customer, span)
            values = [reference.evaluate(part.value, row) for row in below] if part.value != "customers" else [1]
            values = [value for value in values if value is not None] if below else []
            found |= {"x": sum(map(Decimal, values), Decimal(0)), "counts": bool(known or values)}
        return found

    def level(self, segments: tuple[Segment, ...], customer: str, at: datetime, trial: Trial) -> list[str]:
        names = spans_of(trial, at)[0].names
        return [reference._level(segment, {"customer_id": customer}, names, at, self.rows) for segment in segments]

    def units(self, metric: Metric, trial: Trial, segments: tuple[Segment, ...]) -> dict[str, dict[str, Any]]:
        """Return every unit whose window is over: arm, level, its sums."""
        found = {}
        for customer, (arm, at, over) in units_of(self.rows, trial).items():
            spans = spans_of(trial, at)
            row = {"arm": arm, "at": at, "levels": self.level(segments, customer, at, trial), "over": over}
            if over:
                row |= self.cell(metric, customer, spans[0])
                before = self.cell(metric, customer, spans[1]) if trial.before else {}
                row |= {f"{name}_pre": before[name] for name in ("y", "x") if before}
            found[customer] = row
        return found

    def moments(self, metric: Metric, trial: Trial, segments: tuple[Segment, ...]) -> dict[Any, dict[str, float]]:
        cells: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for row in self.units(metric, trial, segments).values():
            cells[row["arm"], " x ".join(row["levels"]) or "all"].append(row)
        levels = {level for _, level in cells} or ({"all"} if not segments else set())
        names = sorted(WITH_PRE if trial.before else WITH_PRE[:2])
        found = {}
        for key in ((arm, level) for level in levels for arm in trial.arms):
            mine = [row for row in cells.get(key, []) if row["over"]]
            sums = {name: sum(row[name] for row in mine) for name in ("rows", "missing", "y2", *names)}
            for number, one in enumerate(names):
                for other in names[number:]:
                    label = one + other if len(one) == len(other) == 1 else f"{one}_{other}"
                    sums[label] = sum(row[one] * row[other] for row in mine)
            sums |= {"units": len(mine), "waiting": len(cells.get(key, [])) - len(mine),
                     "clusters": sum(row["counts"] for row in mine)}  # fmt: skip
            found[key] = {name: float(value) for name, value in sums.items()}
        return found


SLOW = cache(Slow)


def bring(metric: Metric, seed: int, trial: Trial, segments: tuple[Segment, ...] = ()) -> pd.DataFrame:
    query = exposed.moments(
        metric, as_tables(company(seed)), trial, timezone=ZONE, segments=segments, touchpoints=COMPANY.touchpoints
    )
    return query.to_pyarrow().to_pandas()


def as_mapping(frame: pd.DataFrame) -> dict[Any, dict[str, float]]:
    return {(row.pop("arm"), row.pop("level")): row for row in frame.to_dict("records")}


def segments_of(*names: str) -> tuple[Segment, ...]:
    return tuple(COMPANY.segments[name] for name in names)


@pytest.mark.parametrize(
    ("trial", "cut"),
    [(UNTIL, ()), (WINDOW, ("region",)), (BOTH, ("tenure", "plan"))],
    ids=["until", "window", "both"],
)
@pytest.mark.parametrize("name", SUMS)
def test_moments_are_those_of_a_loop_over_customers(name: str, trial: Trial, cut: tuple[str, ...]) -> None:
    """Every metric of params with sums: crossovers, unknown variants, people without rows, borders, clocks."""
    metric, segments, seed = METRICS[name], segments_of(*cut), len(name)
    assert as_mapping(bring(metric, seed, trial, segments)) == SLOW(seed).moments(metric, trial, segments)


def test_the_small_company_has_what_the_loop_is_to_be_held_against() -> None:
    """Crossovers, a customer exposed twice to one arm, an unknown variant, people whose window is not over."""
    waiting = 0
    for seed in {len(name) for name in SUMS}:
        rows = company(seed)
        people = people_of(rows, BOTH)
        arms = [{variant for _, variant in mine} for mine in people.values()]
        assert any(len(each) > 1 for each in arms)
        assert any(len(mine) > 1 and len(each) == 1 for mine, each in zip(people.values(), arms, strict=True))
        units = units_of(rows, BOTH)
        assert {arm for arm, _, _ in units.values()} == set(BOTH.arms)
        waiting += sum(not over for _, _, over in units.values())
    assert waiting > 20
    assert any(variant == "third" for mine in people_of(company(3), BOTH).values() for _, variant in mine)
    rows_of = {
        name: [sums["rows"] for sums in SLOW(len(name)).moments(METRICS[name], UNTIL, ()).values()] for name in SUMS
    }
    assert {name for name, rows in rows_of.items() if not all(rows)} == {"repeat_purchase"}


@pytest.mark.parametrize("name", ["nps", "average_order_value", "churn_rate", "complaint_rate", "response_rate"])
def test_units_are_those_of_a_loop_over_customers(name: str) -> None:
    metric, segments = COMPANY.metrics[name], segments_of("region")
    query = exposed.units(metric, as_tables(company(5)), BOTH, timezone=ZONE, segments=segments)
    expected = {customer: row for customer, row in SLOW(5).units(metric, BOTH, segments).items() if row["over"]}
    found = query.to_pyarrow().to_pandas()
    assert list(found["customer_id"]) == sorted(expected)
    assert list(found.columns) == ["customer_id", "arm", "exposed_at", "region", "rows", "y", "x", "y_pre", "x_pre"]
    for row in found.to_dict("records"):
        mine = expected[row["customer_id"]]
        assert (row["arm"], row["exposed_at"], row["region"]) == (mine["arm"], mine["at"], mine["levels"][0])
        assert [row[n] for n in ("rows", *WITH_PRE)] == [float(mine[n]) for n in ("rows", *WITH_PRE)]


@pytest.mark.parametrize("name", QUANTILES)
def test_values_are_those_of_a_loop_over_customers(name: str) -> None:
    metric, slow, segments = COMPANY.metrics[name], SLOW(7), segments_of("region")
    values: dict[Any, list[tuple[str, Any]]] = defaultdict(list)
    for customer, (arm, at, over) in units_of(slow.rows, WINDOW).items():
        rows = slow.numbers(metric, metric.window_days, customer, spans_of(WINDOW, at)[0]) if over else []
        level = slow.level(segments, customer, at, WINDOW)[0]
        values[arm, level] += [(customer, reference._numbers(metric, row)[0]) for row in rows]
    expected = {}
    for (arm, level), rows in values.items():
        known = [(customer, y) for customer, y in rows if y is not None]
        for value, often in Counter(y for _, y in known).items():
            expected[arm, level, float(value)] = (often, len(rows) - len(known), len({who for who, _ in known}))
    query = exposed.values(metric, as_tables(slow.rows), WINDOW, timezone=ZONE, segments=segments)
    found = query.to_pyarrow().to_pandas()
    numbers = zip(found["rows"], found["missing"], found["clusters"], strict=True)
    assert dict(zip(zip(found["arm"], found["level"], found["value"], strict=True), numbers, strict=True)) == expected
    level = found["level"].iloc[0]
    counts = exposed.to_counts(found, UNTIL.arms, level)
    mine = found[found["level"] == level].groupby("arm")["rows"].sum()
    assert list(counts.n) == [mine.get(arm, 0.0) for arm in UNTIL.arms]


def test_several_metrics_in_one_query_are_each_alone() -> None:
    """Scores of one instrument, with days before and a segment; money and people below the line among orders."""
    tables = as_tables(company(4))
    for names in (["csat_mean", "csat_top2"], ["orders_per_customer", "average_order_value", "items_per_order"]):
        metrics = [COMPANY.metrics[name] for name in names]
        assert len(exposed.families(metrics)) == 1
        rest: dict[str, Any] = {"timezone": ZONE, "segments": segments_of("region")}
        found = exposed.several(metrics, tables, BOTH, **rest).to_pyarrow().to_pandas()
        alone = [exposed.moments(metric, tables, BOTH, **rest).to_pyarrow().to_pandas() for metric in metrics]
        expected = pd.concat(alone, keys=names, names=["metric"]).reset_index("metric").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


# Moments


def test_moments_of_the_engine_are_those_of_arrays() -> None:
    """`to_moments` gives what `Moments.of` sums from the units' own numbers, products of covariates among them."""
    tables, metric = as_tables(company(6)), COMPANY.metrics["average_order_value"]
    frame = exposed.moments(metric, tables, BOTH, timezone=ZONE).to_pyarrow().to_pandas()
    found, units = (
        exposed.to_moments(frame),
        exposed.units(metric, tables, BOTH, timezone=ZONE).to_pyarrow().to_pandas(),
    )
    assert list(frame["arm"]) == list(BOTH.arms)
    for number, arm in enumerate(BOTH.arms):
        mine = units[units["arm"] == arm]
        expected = Moments.of(mine["y"], mine["x"], y_pre=mine["y_pre"], x_pre=mine["x_pre"])
        assert set(found.sums) == set(expected.sums)
        assert set(found.products) == set(expected.products)
        for name, value in expected.sums.items():
            assert found.sums[name][number] == pytest.approx(float(value), rel=1e-12)  # cents as doubles
        for pair, value in expected.products.items():
            assert found.products[pair][number] == pytest.approx(float(value), rel=1e-12)
        assert float(found.ratio[number]) == pytest.approx(float(expected.ratio), rel=1e-12)
        groups = (mine["rows"] > 0).sum()  # who has no rows adds nothing but to G / (G - 1)
        correction = groups / (groups - 1) / (len(mine) / (len(mine) - 1))
        assert found.variance[number] == pytest.approx(float(expected.variance) * correction, rel=1e-9)


def test_an_arm_without_anybody_is_there_with_zeros() -> None:
    trial = replace(UNTIL, arms=("old", "new", "never tried"))
    frame = bring(COMPANY.metrics["csat_mean"], 5, trial)
    assert list(frame["arm"]) == ["old", "new", "never tried"]
    assert not frame.drop(columns=["arm", "level"]).iloc[2].any()
    nobody = as_tables({"exposures": [], "responses": []})
    found = exposed.moments(COMPANY.metrics["csat_mean"], nobody, trial, timezone=ZONE).to_pyarrow().to_pandas()
    assert found["units"].tolist() == [0.0, 0.0, 0.0]
    assert np.isnan(exposed.to_moments(found).ratio).all()


# Borders, one by one


def answers(*moments: datetime, customer: str = "a") -> list[dict[str, Any]]:
    return [
        {"response_id": f"{customer}{n}", "customer_id": customer, "responded_at": at, "instrument": "csat", "score": 4}
        for n, at in enumerate(moments)
    ]  # fmt: skip


def exposure(at: datetime, variant: str = "new", customer: str = "a") -> dict[str, Any]:
    return {"experiment": "e", "customer_id": customer, "variant": variant, "exposed_at": at}


def one(metric: str | Metric, trial: Trial, **rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the moments of the arm `new`."""
    definition = COMPANY.metrics[metric] if isinstance(metric, str) else metric
    found = exposed.moments(definition, as_tables(rows), trial, timezone=ZONE).to_pyarrow().to_pandas()
    return found[found["arm"] == "new"].iloc[0].to_dict()


def test_the_moment_of_exposure_counts_and_the_end_does_not() -> None:
    at = datetime(2026, 3, 15, 9)
    end, pre = at + 21 * DAY, at - 21 * DAY
    rows = answers(pre - SECOND, pre, at - SECOND, at, at + SECOND, end - SECOND, end)
    found = one("csat_mean", BOTH, exposures=[exposure(at)], responses=rows)
    assert (found["rows"], found["x_pre"]) == (3, 2)
    rows = answers(at, UNTIL.until - SECOND, UNTIL.until)
    assert one("csat_mean", UNTIL, exposures=[exposure(at)], responses=rows)["rows"] == 2


def test_a_row_counts_once_its_follow_up_is_over() -> None:
    """14 days to answer within 21 of exposure: sent in the first 7 days, to the second; in the 7 before, as well."""
    at = datetime(2026, 3, 15, 9)
    last = at + 7 * DAY
    moments = [at, last, last + SECOND, at - 21 * DAY, at - 14 * DAY, at - 14 * DAY + SECOND, at - SECOND]
    sent = [{"invitation_id": str(n), "customer_id": "a", "sent_at": moment} for n, moment in enumerate(moments)]
    answered = [{**row, "invitation_id": "1"} for row in answers(last + 30 * DAY)]
    found = one("response_rate", BOTH, exposures=[exposure(at)], invitations=sent, responses=answered)
    assert (found["x"], found["y"], found["x_pre"], found["y_pre"]) == (2, 1, 2, 0)


def test_exposures_count_from_first_until_last_and_nothing_is_known_later() -> None:
    first, last = UNTIL.first, UNTIL.last
    moments = [first - SECOND, first, last - SECOND, last]
    rows = [exposure(at, customer=str(n)) for n, at in enumerate(moments)]
    assert one("csat_mean", UNTIL, exposures=rows, responses=[])["units"] == 2
    early = replace(UNTIL, until=last - SECOND)
    assert one("csat_mean", early, exposures=rows, responses=[])["units"] == 1
    open_ = replace(UNTIL, window=10, until=first + 10 * DAY)
    found = one("csat_mean", open_, exposures=[*rows, exposure(first + SECOND, customer="late")], responses=[])
    assert (found["units"], found["waiting"]) == (1, 1)


def test_crossovers_are_no_units_and_are_told() -> None:
    at = UNTIL.first
    rows = [exposure(at, "old"), exposure(at + DAY), exposure(at + DAY, customer="b"), exposure(at, "odd", "c"),
            exposure(at + 2 * DAY, customer="b"), exposure(UNTIL.last, "old", "b")]  # fmt: skip
    assert one("csat_mean", UNTIL, exposures=rows, responses=answers(at + DAY))["units"] == 1
    found = exposed.exposures(as_tables({"exposures": rows}), UNTIL, timezone=ZONE).to_pyarrow().to_pandas()
    assert found.to_dict("list") == {
        "customer_id": ["a", "b", "c"], "arm": ["old", "new", "odd"], "exposed_at": [at, at + DAY, at],
        "exposures": [2, 2, 1], "arms": [2, 1, 1],
    }  # fmt: skip


def test_levels_are_those_at_exposure() -> None:
    """North when exposed, South a second later, when the answer comes; nobody knows b."""
    at = datetime(2026, 3, 15, 9)
    history = [
        {"customer_id": "a", "valid_from": at - 30 * DAY, "region": "East"},
        {"customer_id": "a", "valid_from": at, "region": "North"},
        {"customer_id": "a", "valid_from": at + SECOND, "region": "South"},
    ]
    tables = as_tables({"exposures": [exposure(at), exposure(at, customer="b")], "responses": answers(at + SECOND),
                        "customers": history})  # fmt: skip
    metric, region = COMPANY.metrics["csat_mean"], segments_of("region")
    found = exposed.moments(metric, tables, UNTIL, timezone=ZONE, segments=region).to_pyarrow().to_pandas()
    assert found[found["arm"] == "new"].set_index("level")["rows"].to_dict() == {"North": 1.0, "unknown": 0.0}
    assert found["arm"].tolist() == ["old", "new"] * 2
    for query in (exposed.units(metric, tables, UNTIL, timezone=ZONE, segments=region),
                  exposed.exposures(tables, UNTIL, timezone=ZONE, segments=region)):  # fmt: skip
        assert query.to_pyarrow().to_pandas()["region"].tolist() == ["North", "unknown"]


def test_days_are_local_ones_and_windows_as_long_for_everybody() -> None:
    """Exposed at 23:30 in Madrid on 20 March (CET): 21 days of subscription, though the clocks go forward."""
    at = datetime(2026, 3, 20, 22, 30)
    begun = {"customer_id": "a", "started_on": date(2025, 1, 1), "ended_on": None}
    found = one("churn_rate", BOTH, exposures=[exposure(at)], subscriptions=[begun])
    assert (found["x"], found["x_pre"], found["y"]) == (21, 21, 0)
    last = {"ended_on": date(2026, 4, 9)}  # 20 March is the first day, 9 April the last of 21
    assert one("churn_rate", BOTH, exposures=[exposure(at)], subscriptions=[begun | last])["y"] == 1
    after = {"ended_on": date(2026, 4, 10)}
    assert one("churn_rate", BOTH, exposures=[exposure(at)], subscriptions=[begun | after])["y"] == 0
    # Until 20 April, 02:00 in Madrid: the days from 20 March to 19 April.
    assert one("churn_rate", UNTIL, exposures=[exposure(at)], subscriptions=[begun])["x"] == 31
    before = {"ended_on": date(2026, 3, 19)}
    found = one("churn_rate", BOTH, exposures=[exposure(at)], subscriptions=[begun | before])
    assert (found["rows"], found["y_pre"], found["x_pre"]) == (0, 1, 20)


def test_a_time_may_be_a_day() -> None:
    """Subscriptions by the day they began: that of the exposure counts after it, the last day does not."""
    metric = Metric(
        id="m", title="M", question="?", kind="ratio", unit="count", table="subscriptions", time="started_on",
        higher_is_better=True, numerator="1", denominator="customers", owner="cx",
    )  # fmt: skip
    at = datetime(2026, 3, 20, 23, 30)  # 21 March in Madrid
    days = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 20), date(2026, 3, 21), date(2026, 4, 10),
            date(2026, 4, 11)]  # fmt: skip
    rows = [{"customer_id": "a", "started_on": day, "ended_on": None} for day in days]
    found = one(metric, BOTH, exposures=[exposure(at)], subscriptions=rows)
    assert (found["y"], found["x"], found["y_pre"]) == (2, 1, 2)


def test_derived_columns_see_the_whole_history() -> None:
    """The second order of a customer is the second, though the first came before the exposure."""
    metric = COMPANY.metrics["orders_per_customer"].model_copy(update={"filter": "order_number == 2"})
    at = datetime(2026, 3, 15, 9)
    orders = [{"order_id": str(n), "customer_id": "a", "ordered_at": at + step, "amount": Decimal(1)}
              for n, step in enumerate((-300 * DAY, DAY, 2 * DAY))]  # fmt: skip
    assert one(metric, UNTIL, exposures=[exposure(at)], orders=orders)["rows"] == 1


def test_daily_counts_units_by_local_day() -> None:
    """22:59 UTC is the same day in Madrid in March, 23:00 the next; from 29 March 22:00 is."""
    moments = [datetime(2026, 3, 20, 22, 59), datetime(2026, 3, 20, 23), datetime(2026, 3, 29, 21, 59),
               datetime(2026, 3, 29, 22), datetime(2026, 3, 29, 23)]  # fmt: skip
    rows = [exposure(at, "old" if n == 4 else "new", str(n)) for n, at in enumerate(moments)]
    rows += [exposure(moments[0], "old", "x"), exposure(moments[0], "new", "x"), exposure(moments[0], "odd", "y")]
    found = exposed.daily(as_tables({"exposures": rows}), UNTIL, timezone=ZONE).to_pyarrow().to_pandas()
    days = [pd.Timestamp(day).date() for day in found["day"]]
    assert list(zip(days, found["arm"], found["units"], strict=True)) == [
        (date(2026, 3, 20), "new", 1), (date(2026, 3, 21), "new", 1), (date(2026, 3, 29), "new", 1),
        (date(2026, 3, 30), "old", 1), (date(2026, 3, 30), "new", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "zone", ["Europe/Madrid", "America/St_Johns", "America/Santiago", "Australia/Lord_Howe", "UTC"]
)
def test_local_days_are_those_of_the_zone(zone: str, rng: np.random.Generator) -> None:
    """Half hours, changes of the clocks at midnight, both in one trial, and the second around each."""
    trial = Trial("e", ("old", "new"), datetime(2025, 9, 1), datetime(2026, 6, 1), datetime(2026, 6, 1))
    moments = [trial.first + timedelta(seconds=int(s)) for s in rng.integers(0, 273 * 86_400, 300)]
    clock = ZoneInfo(zone)
    for hour in range(273 * 24):
        one_, other = (trial.first + timedelta(hours=hour + step) for step in (0, 1))
        if clock.utcoffset(clock.fromutc(one_.replace(tzinfo=clock))) != clock.utcoffset(
            clock.fromutc(other.replace(tzinfo=clock))
        ):
            moments += [other - SECOND, other, other + SECOND]
    moments = sorted(set(moments))
    rows = [exposure(at, customer=f"{n:04d}") for n, at in enumerate(moments)]
    found = exposed.daily(as_tables({"exposures": rows}), trial, timezone=zone).to_pyarrow().to_pandas()
    expected = Counter(at.replace(tzinfo=UTC).astimezone(clock).date() for at in moments)
    assert {pd.Timestamp(day).date(): n for day, n in zip(found["day"], found["units"], strict=True)} == expected


# Refusals


def test_what_cannot_be_asked_is_refused_with_the_reason() -> None:
    tables = as_tables({"exposures": [], "responses": [], "interactions": []})
    metric, wait = COMPANY.metrics["csat_mean"], COMPANY.metrics["wait_p50"]
    with pytest.raises(UsageError, match="segments of events: channel") as told:
        exposed.moments(metric, tables, UNTIL, timezone=ZONE, segments=segments_of("channel"))
    assert "is an outcome" in str(told.value)
    with pytest.raises(UsageError, match="wait_p50: a quantile is not made of sums"):
        exposed.moments(wait, tables, UNTIL, timezone=ZONE)
    with pytest.raises(UsageError, match="csat_mean' is no quantile"):
        exposed.values(metric, tables, UNTIL, timezone=ZONE)
    with pytest.raises(UsageError, match="not sums of the same rows: csat_mean, nps"):
        exposed.several([metric, COMPANY.metrics["nps"]], tables, UNTIL, timezone=ZONE)
    halves = wait.model_copy(update={"value": "wait_seconds / 2"})
    with pytest.raises(UsageError, match="whole numbers"):
        exposed.values(halves, tables, UNTIL, timezone=ZONE)
    named = Segment(id="rows", title="R", column="region")
    for call in (lambda: exposed.units(metric, tables, UNTIL, timezone=ZONE, segments=[named]),
                 lambda: exposed.exposures(tables, UNTIL, timezone=ZONE, segments=[named])):  # fmt: skip
        with pytest.raises(UsageError, match="named like columns of the result: rows"):
            call()
    with pytest.raises(UsageError, match="is a int64, not a time"):
        exposed.moments(metric.model_copy(update={"time": "score"}), tables, UNTIL, timezone=ZONE)


def test_what_the_workspace_lacks_is_undefined() -> None:
    metric = COMPANY.metrics["csat_mean"]
    with pytest.raises(plans.Undefined, match="no table 'exposures'"):
        exposed.moments(metric, as_tables({"responses": []}), UNTIL, timezone=ZONE)
    nameless = {"responses": ibis.table({"response_id": "string", "responded_at": "timestamp", "instrument": "string",
                                         "score": "int64"}, name="responses")}  # fmt: skip
    with pytest.raises(plans.Undefined, match="do not name the customers"):
        exposed.moments(metric, as_tables({"exposures": []}) | nameless, UNTIL, timezone=ZONE)


def test_a_trial_that_cannot_be_is_refused_all_faults_at_once() -> None:
    with pytest.raises(UsageError) as told:
        Trial("e", ("old",), datetime(2026, 4, 1), datetime(2026, 3, 1), datetime(2026, 5, 1), window=-1, before=-2)
    for fault in ("two or more different variants, not old", "later than first", "window is -1", "before is -2"):
        assert fault in str(told.value)
    now = datetime(2026, 4, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="first, until must be naive UTC"):
        Trial("e", ("old", "new"), now, datetime(2026, 5, 1), now + DAY)
    with pytest.raises(UsageError, match="not old, old"):
        replace(UNTIL, arms=("old", "old"))


# Other engines, and the demo


def unbound() -> dict[str, Any]:
    kinds = {
        "text": "string", "timestamp": "timestamp", "date": "date", "integer": "int64", "number": "float64",
        "money": "decimal(18, 2)", "boolean": "boolean",
    }  # fmt: skip
    return {
        name: ibis.table({column.name: kinds[column.type] for column in table.columns}, name=name)
        for name, table in TABLES.items()
    }  # fmt: skip


class SparkOptions(Config):
    treat_nan_as_null: bool = False


@pytest.mark.parametrize("name", sorted(COMPANY.metrics))
def test_every_metric_compiles_for_every_engine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server: the SQL on the contract's own columns."""
    # Ibis registers this option when it loads the Spark backend, which needs Spark; its compiler does not.
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    metric, tables = COMPANY.metrics[name], unbound()
    rest: dict[str, Any] = {"timezone": ZONE, "segments": segments_of("tenure"), "touchpoints": COMPANY.touchpoints}
    ask = exposed.values if metric.kind == "quantile" else exposed.moments
    query = ask(metric, tables, BOTH, **rest)
    assert all("GROUP BY" in str(ibis.to_sql(query, dialect=dialect)) for dialect in ENGINES)


@pytest.mark.parametrize("dialect", ENGINES)
def test_units_and_exposures_compile_for_every_engine(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    tables, rest = unbound(), {"timezone": ZONE, "segments": segments_of("region")}
    queries = [exposed.exposures(tables, UNTIL, **rest), exposed.daily(tables, UNTIL, timezone=ZONE)]
    for trial in (UNTIL, BOTH):
        queries += [exposed.units(COMPANY.metrics[name], tables, trial, **rest) for name in ("nps", "complaint_rate")]
    assert all("GROUP BY" in str(ibis.to_sql(query, dialect=dialect)) for query in queries)


def test_the_demo_experiment_is_what_its_reference_says() -> None:
    """`csat_mean` from exposure to the end of June 2026 by arm: the sums of the reference's own SQL on one company.

    And within 4 standard errors of what that SQL gave for a million customers.
    """
    plan = COMPANY.experiments["proactive_delivery_updates"]
    tables = demo.simulate(1_000, 3).tables
    engine = duckdb.connect()
    for name, table in tables.items():
        engine.register(name, table)
    start, end = datetime(2026, 3, 31, 22), datetime(2026, 6, 30, 22)  # midnight in Madrid
    trial = Trial(plan.id, tuple(plan.variants), start, end, end)
    own = {name: ibis.memtable(table) for name, table in tables.items()}
    frame = exposed.moments(COMPANY.metrics["csat_mean"], own, trial, timezone=demo.TIMEZONE).to_pyarrow().to_pandas()
    sums = {row[3]: (row[4], row[5]) for row in engine.execute(demo_reference.QUERIES[-1]).fetchall()}
    assert {arm: (y, x) for arm, y, x in zip(frame["arm"], frame["y"], frame["x"], strict=True)} == sums
    found = exposed.to_moments(frame)
    known = pd.read_csv(demo_reference.FILE)
    known = known[(known["metric"] == "csat_mean") & (known["period"] == "experiment")].set_index("level")["value"]
    apart = (found.ratio - known.loc[list(trial.arms)].to_numpy()) / np.sqrt(found.variance)
    assert (np.abs(apart) < 4).all()
