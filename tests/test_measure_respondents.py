"""Who answered, who could have, who was asked: against hand-worked tables, and against the plan on the demo company."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxlib import params
from cxlib.contract import TABLES
from cxlib.data.store import Store
from cxlib.errors import UsageError
from cxlib.measure import estimates, plans, respondents, response, weights
from cxlib.measure.plans import Undefined
from cxlib.params import Metric, Part, Rule, Segment
from cxlib.periods import Period
from tests.conftest import ROOT

COMPANY = params.load(ROOT)
ZONE, OCTOBER = "Europe/Madrid", Period.parse("2026-10")
TYPES = {
    "text": pa.string(), "timestamp": pa.timestamp("us"), "date": pa.date32(), "integer": pa.int64(),
    "money": pa.decimal128(18, 2), "boolean": pa.bool_(), "number": pa.float64(),
}  # fmt: skip
PLAN, REGION = COMPANY.segments["plan"], COMPANY.segments["region"]
NPS = COMPANY.metrics["nps"]

# In October: ann answers twice and changes her plan, first in the month and again at the very end of it (local time);
# bob and cem answer once; someone without a name does, too. dot left in August; eve has two subscriptions, one of them
# open; fay joins in November; gus is known since September by a row alone; hal by one of November alone.
CUSTOMERS = [
    ("ann", datetime(2025, 1, 1), date(2025, 1, 1), "North", "Basic"),
    ("ann", datetime(2026, 10, 10), date(2025, 1, 1), "North", "Plus"),
    ("ann", datetime(2026, 10, 31, 23, 0), date(2025, 1, 1), "North", "Pro"),
    ("bob", datetime(2026, 1, 1), date(2026, 1, 1), "South", "Basic"),
    ("cem", datetime(2026, 12, 1), date(2026, 2, 1), None, "Basic"),
    ("dot", datetime(2025, 1, 1), date(2025, 1, 1), "North", "Pro"),
    ("eve", datetime(2025, 1, 1), date(2025, 1, 1), "South", "Plus"),
    ("fay", datetime(2026, 11, 2), date(2026, 11, 2), "South", "Plus"),
    ("gus", datetime(2026, 9, 3), None, "North", "Plus"),
    ("hal", datetime(2026, 11, 3), None, "North", "Plus"),
]
SUBSCRIPTIONS = [
    ("ann", date(2025, 1, 1), None), ("bob", date(2026, 1, 1), date(2026, 10, 1)),
    ("dot", date(2025, 1, 1), date(2026, 8, 9)),
    ("eve", date(2025, 1, 1), date(2025, 12, 1)), ("eve", date(2026, 1, 1), None),
]  # fmt: skip
RESPONSES = [
    ("ann", datetime(2026, 10, 2), 10, "i1"), ("ann", datetime(2026, 10, 20), 7, None),
    ("bob", datetime(2026, 10, 3), 3, "i3"),
    ("cem", datetime(2026, 10, 31, 22, 59), 9, None), (None, datetime(2026, 10, 5), 6, None),
    ("dot", datetime(2026, 10, 31, 23, 0), 9, None), ("zoe", datetime(2026, 10, 9), 10, None),
]  # fmt: skip
INVITATIONS = [
    ("i1", "ann", datetime(2026, 10, 1), "nps"), ("i2", "ann", datetime(2026, 10, 12), "nps"),
    ("i3", "bob", datetime(2026, 10, 2), "nps"),
    ("i4", "cem", datetime(2026, 10, 2), "csat"), ("i5", "bob", datetime(2026, 10, 25), "nps"),
    ("i6", "bob", datetime(2026, 9, 20), "nps"),
]  # fmt: skip


def table(name: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]], **more: Any) -> Any:
    kinds = {column: TYPES[TABLES[name].column(column).type] for column in columns}  # type: ignore[union-attr]
    content = [dict(zip(columns, row, strict=True)) | more for row in rows]
    kinds |= {column: TYPES[TABLES[name].column(column).type] for column in more}  # type: ignore[union-attr]
    return ibis.memtable(pa.Table.from_pylist(content, schema=pa.schema(kinds)))


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    answers = [(f"r{number}", *row) for number, row in enumerate(RESPONSES)]
    columns = ("response_id", "customer_id", "responded_at", "score", "invitation_id")
    return {
        "customers": table("customers", ("customer_id", "valid_from", "joined_on", "region", "plan"), CUSTOMERS),
        "subscriptions": table("subscriptions", ("customer_id", "started_on", "ended_on"), SUBSCRIPTIONS),
        "responses": table("responses", columns, answers, instrument="nps"),
        "invitations": table(
            "invitations", ("invitation_id", "customer_id", "sent_at", "instrument"), INVITATIONS, touchpoint="website"
        ),
    }


def rows(expression: Any) -> list[dict[str, Any]]:
    return expression.to_pyarrow().to_pylist()


def as_tuples(expression: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(expression)]


# -- respondents


def test_who_answered(tables: dict[str, Any]) -> None:
    """Local October ends at 23:00 UTC: dot's answer is November's, and ann's third plan begins with it."""
    found = respondents.respondents(NPS, tables, OCTOBER, [REGION, PLAN], timezone=ZONE)
    assert found.columns == ("region", "plan", "rows", "x", "y", "y2", "customers")
    assert as_tuples(found) == [
        ("North", "Plus", 2.0, 2.0, 1.0, 1.0, 1.0),  # ann: a promoter once, passive once
        ("South", "Basic", 1.0, 1.0, -1.0, 1.0, 1.0),  # bob
        ("unknown", "Basic", 1.0, 1.0, 1.0, 1.0, 1.0),  # cem, whose region nobody knows
        ("unknown", "unknown", 1.0, 1.0, -1.0, 1.0, 1.0),  # someone without a name
        ("unknown", "unknown", 1.0, 1.0, 1.0, 1.0, 1.0),  # zoe, whom customers do not know
    ]


def test_customers_who_are_alike_are_one_row(tables: dict[str, Any]) -> None:
    found = respondents.respondents(NPS, tables, OCTOBER, [], timezone=ZONE)
    assert as_tuples(found) == [(1.0, 1.0, -1.0, 1.0, 2.0), (1.0, 1.0, 1.0, 1.0, 2.0), (2.0, 2.0, 1.0, 1.0, 1.0)]


def test_money_is_in_currency_units(tables: dict[str, Any]) -> None:
    rows_ = [("o1", "ann", datetime(2026, 10, 2), 1250), ("o2", "ann", datetime(2026, 10, 9), 50)]
    orders = ibis.memtable(
        pa.Table.from_pylist(
            [{"order_id": a, "customer_id": b, "ordered_at": c, "amount": d / 100} for a, b, c, d in rows_]
        )
    ).mutate(amount=lambda t: t.amount.cast("decimal(18, 2)"))
    fields = {"id": "m", "title": "M", "question": "?", "owner": "cx", "higher_is_better": True, "unit": "money"}
    spent = Metric(**fields, kind="mean", table="orders", time="ordered_at", numerator="amount")
    found = respondents.respondents(spent, tables | {"orders": orders}, OCTOBER, [PLAN], timezone=ZONE)
    assert as_tuples(found) == [("Plus", 2.0, 2.0, 13.0, 12.5**2 + 0.5**2, 1.0)]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "quantile", "quantile": 0.5},
        {"kind": "rate", "numerator": "1", "denominator": "calendar_days"},
        {"kind": "ratio", "denominator": Part(table="orders", time="ordered_at")},
        {"cluster": ""},
    ],
)
def test_what_has_no_customers_to_weight(change: Any, tables: dict[str, Any]) -> None:
    with pytest.raises(Undefined, match="'nps' cannot be weighted"):
        respondents.respondents(NPS.model_copy(update=change), tables, OCTOBER, [PLAN], timezone=ZONE)


def test_segments_that_do_not_fit(tables: dict[str, Any]) -> None:
    odd = Segment(id="rows", title="Rows", column="region")
    for ask in (
        lambda cut: respondents.respondents(NPS, tables, OCTOBER, cut, timezone=ZONE),
        lambda cut: respondents.population(tables, OCTOBER, cut, timezone=ZONE),
    ):
        with pytest.raises(UsageError, match=r"'rows' is named like a column .*'channel' is of events"):
            ask([odd, COMPANY.segments["channel"]])
    with pytest.raises(UsageError, match="'rows' is named like a column"):
        respondents.invited(tables, OCTOBER, [odd], timezone=ZONE)


def test_a_workspace_that_lacks_what_is_needed(tables: dict[str, Any]) -> None:
    without = {name: one for name, one in tables.items() if name != "customers"}
    with pytest.raises(Undefined, match="no table 'customers'"):
        respondents.respondents(NPS, without, OCTOBER, [PLAN], timezone=ZONE)
    with pytest.raises(Undefined, match="no table 'customers'"):
        respondents.population(without, OCTOBER, [PLAN], timezone=ZONE)
    with pytest.raises(Undefined, match="no column 'age_band'"):
        respondents.population(tables, OCTOBER, [COMPANY.segments["age_band"]], timezone=ZONE)
    with pytest.raises(Undefined, match="no table 'invitations'"):
        respondents.invited({"responses": tables["responses"]}, OCTOBER, [PLAN], timezone=ZONE)
    lost = tables | {"responses": tables["responses"].drop("invitation_id")}
    with pytest.raises(Undefined, match="no column 'invitation_id'"):
        respondents.invited(lost, OCTOBER, [], timezone=ZONE)


# -- population


def test_whom_answers_should_speak_for(tables: dict[str, Any]) -> None:
    """Ann, bob (whose subscription ended on the first day of the period, not before), cem, eve and gus."""
    found = respondents.population(tables, OCTOBER, [REGION, PLAN], timezone=ZONE)
    assert as_tuples(found) == [
        ("North", "Plus", 2.0), ("South", "Basic", 1.0), ("South", "Plus", 1.0), ("unknown", "Basic", 1.0),
    ]  # fmt: skip
    assert as_tuples(respondents.population(tables, OCTOBER, [], timezone=ZONE)) == [(5.0,)]
    later = respondents.population(tables, OCTOBER.next(), [PLAN], timezone=ZONE)
    assert as_tuples(later) == [("Basic", 1.0), ("Plus", 4.0), ("Pro", 1.0)]  # bob gone, fay and hal come, ann Pro


def test_population_by_rules_of_the_period(tables: dict[str, Any]) -> None:
    rules = {"new": "days_between(joined_on, period_start) < 365", "old": "not is_null(joined_on)"}
    known = tuple(Rule(level=level, when=when) for level, when in rules.items())
    tenure = Segment(id="tenure", title="T", otherwise="not known", rules=known)
    found = respondents.population(tables, OCTOBER, [tenure], timezone=ZONE)
    assert as_tuples(found) == [("new", 2.0), ("not known", 1.0), ("old", 2.0)]


def test_population_where_tables_are_bare(tables: dict[str, Any]) -> None:
    """No subscriptions: nobody has left. No day of joining: the first row tells."""
    customers = tables["customers"]
    alone = respondents.population({"customers": customers}, OCTOBER, [], timezone=ZONE)
    assert as_tuples(alone) == [(6.0,)]  # dot, too
    bare = respondents.population({"customers": customers.drop("joined_on")}, OCTOBER, [], timezone=ZONE)
    assert as_tuples(bare) == [(5.0,)]  # cem is known by a row of December only
    open_ended = tables | {"subscriptions": tables["subscriptions"].drop("ended_on")}
    assert as_tuples(respondents.population(open_ended, OCTOBER, [], timezone=ZONE)) == [(6.0,)]


# -- invited


def test_who_was_asked(tables: dict[str, Any]) -> None:
    """14 days to answer: i5 belongs to November, i6 to October. Ann is Basic when asked first, Plus the second time."""
    found = rows(respondents.invited(tables, OCTOBER, [PLAN], timezone=ZONE, kept="instrument == 'nps'"))
    assert found == [
        # ann 1 of 1; bob 1 of 2: yy 1 + 1, xy 1 + 2, xx 1 + 4
        {"plan": "Basic", "invitations": 3.0, "answered": 2.0, "customers": 2.0, "yy": 2.0, "xy": 3.0, "xx": 5.0},
        {"plan": "Plus", "invitations": 1.0, "answered": 0.0, "customers": 1.0, "yy": 0.0, "xy": 0.0, "xx": 1.0},
    ]
    whole = rows(respondents.invited(tables, OCTOBER, [], timezone=ZONE, window=0))
    assert [(row["invitations"], row["answered"], row["customers"]) for row in whole] == [(5.0, 2.0, 3.0)]
    by_event = respondents.invited(tables, OCTOBER, [COMPANY.segments["touchpoint"]], timezone=ZONE)
    assert rows(by_event)[0]["touchpoint"] == "website"


# -- the demo company


@pytest.fixture(scope="module")
def store(demo_workspace: Path) -> Any:
    with Store.open(demo_workspace) as opened:
        yield opened


def test_respondents_are_those_of_the_plan(store: Any) -> None:
    """The same sums as `plans.plan`, customer by customer; no id comes out."""
    year = Period.parse("2026-Q3")
    for name in ("nps", "csat_top2", "csat_mean", "items_per_order", "average_order_value"):
        metric = COMPANY.metrics[name]
        found = store.run(respondents.respondents(metric, store.tables, year, [PLAN, REGION], timezone=ZONE))
        plan = store.run(plans.plan(metric, store.tables, [year], timezone=ZONE)).iloc[0]
        assert list(found.columns) == ["plan", "region", "rows", "x", "y", "y2", "customers"]
        many = found["customers"]
        pairs = {"yy": found["y"] ** 2, "xy": found["x"] * found["y"], "xx": found["x"] ** 2}
        for column, values in ({key: found[key] for key in ("rows", "x", "y", "y2")} | pairs).items():
            assert float((many * values).sum()) == pytest.approx(plan[column], rel=1e-12)  # the order of doubles
        assert many.sum() == plan["clusters"]


def test_the_three_fit_together(store: Any) -> None:
    """A run's whole way on the small demo company: everybody who answered is of the population and was asked."""
    quarter, cut = Period.parse("2026-Q3"), [COMPANY.segments["age_band"], PLAN]
    names = [segment.id for segment in cut]
    answered = store.run(respondents.respondents(NPS, store.tables, quarter, cut, timezone=ZONE))
    whole = store.run(respondents.population(store.tables, quarter, cut, timezone=ZONE))
    asked = store.run(respondents.invited(store.tables, quarter, cut, timezone=ZONE, kept="instrument == 'nps'"))
    assert set(answered["age_band"]) <= set(whole["age_band"])
    assert answered["customers"].sum() < asked["customers"].sum()
    assert whole["customers"].sum() <= 400
    found = weights.speaks_for(answered, whole, names, kind="nps", rng=np.random.default_rng(1), metric="nps")
    level = found.frame[found.frame["comparison"] == "level"].set_index("at")
    plan = store.run(plans.plan(NPS, store.tables, [quarter], timezone=ZONE))
    scorecard = estimates.from_moments(NPS, plan).iloc[0]
    for column in ("estimate", "std_error", "conf_low", "conf_high", "n", "n_eff"):
        assert level.loc["unweighted", column] == pytest.approx(scorecard[column])
    assert level.loc["weighted", "status"] == "ok"
    told = response.who_answers(asked, names)
    indicator = told[told["at"] == "R-indicator"].iloc[0]
    assert 0 < indicator["conf_low"] <= indicator["estimate"] <= indicator["conf_high"] <= 1
    pd.testing.assert_frame_equal(found.frame, weights.speaks_for(
        answered, whole, names, kind="nps", rng=np.random.default_rng(1), metric="nps").frame)  # fmt: skip
