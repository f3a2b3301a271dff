"""Plans give what the slow, obvious engine of `reference.py` gives: every metric by every segment, ties and borders in.

The outside reference is that engine; it shares no code with `cxlib.measure`. Numbers are equal, not near: sums are of
integers, and the only division is by a power of ten at the end.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ibis.config import Config

from cxlib import params
from cxlib.contract import DERIVED, TABLES
from cxlib.errors import UsageError
from cxlib.expressions import parse
from cxlib.measure import plans
from cxlib.measure.compiler import compile_expression
from cxlib.params import Metric, Part, Segment
from cxlib.periods import Period
from tests import reference
from tests.conftest import ROOT

COMPANY = params.load(ROOT)
ZONE = "Europe/Madrid"
TYPES = {
    "text": pa.string(), "timestamp": pa.timestamp("us"), "date": pa.date32(), "integer": pa.int64(),
    "number": pa.float64(), "money": pa.decimal128(18, 2), "boolean": pa.bool_(),
}  # fmt: skip
# March 2026 has 743 hours in Madrid, October 745; the fourth quarter overlaps its months.
PERIODS = [Period.parse(label) for label in ("2026-02", "2026-03", "2026-09", "2026-10", "2026-Q4")]
_BORDERS = [bound for period in PERIODS for bound in period.bounds(ZONE)]

times = st.one_of(
    st.builds(lambda at, s: at + timedelta(seconds=s), st.sampled_from(_BORDERS), st.integers(-1, 1)),
    st.builds(lambda ms: datetime(2026, 1, 1) + timedelta(milliseconds=ms), st.integers(0, 330 * 86_400_000)),
)  # fmt: skip
days = st.one_of(
    st.sampled_from([day for period in PERIODS for day in (period.first_day, period.next_day)]),
    st.builds(lambda n: date(2025, 11, 1) + timedelta(days=n), st.integers(0, 400)),
)
people = st.sampled_from(["ann", "bob", "cem", "dot"])
maybe: Any = lambda values: st.one_of(st.none(), values)  # noqa: E731
CHOICES: dict[str, Any] = {
    "customer_id": people, "instrument": st.sampled_from(["nps", "csat", "ces"]), "score": st.integers(1, 5),
    "kind": st.sampled_from(["contact", "contact", "complaint", "visit"]),
    "case_id": maybe(st.sampled_from(["k1", "k2"])),
    "touchpoint": st.sampled_from(["website", "support_phone", "elsewhere"]), "units": maybe(st.integers(0, 3)),
    "amount": st.decimals(0, 500, places=2), "order_id": maybe(st.sampled_from(["0", "1", "2", "9"])),
    "invitation_id": maybe(st.sampled_from(["0", "1", "2"])), "wait_seconds": maybe(st.integers(0, 4)),
    "region": maybe(st.sampled_from(["North", "South"])), "plan": maybe(st.sampled_from(["Basic", "Pro"])),
    "agent_id": maybe(st.sampled_from(["a1", "a2"])), "partner_id": maybe(st.sampled_from(["p1", "p2"])),
    "channel": maybe(st.sampled_from(["web", "phone"])), "age_band": maybe(st.sampled_from(["18-29", "30-44"])),
}  # fmt: skip
BY_TYPE: dict[str, Any] = {
    "text": st.none(), "timestamp": times, "date": days, "integer": st.integers(0, 9), "number": st.just(1.0),
    "money": st.decimals(0, 99, places=2), "boolean": st.booleans(),
}  # fmt: skip


@st.composite
def company(draw: Any) -> dict[str, list[dict[str, Any]]]:
    """Draw a few rows of every table; keys are row numbers, customers recur, anything optional may be missing."""
    found = {}
    for name in ("customers", "invitations", "responses", "interactions", "orders", "subscriptions"):
        columns = {column.name: column for column in TABLES[name].columns}
        fields = {}
        for column in columns.values():
            values = CHOICES.get(column.name, BY_TYPE[column.type])
            fields[column.name] = values if column.required else maybe(values)
        if name == "customers":
            fields["age_band"] = CHOICES["age_band"]
        rows = draw(st.lists(st.fixed_dictionaries(fields), max_size=7))
        key = TABLES[name].key
        for number, row in enumerate(rows):
            if len(key) == 1:
                row[key[0]] = str(number)
        found[name] = list({tuple(row[part] for part in key): row for row in rows}.values())
    return found


def as_tables(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return Ibis tables with the contract's types."""
    tables = {}
    for name, content in rows.items():
        columns = {column.name: TYPES[column.type] for column in TABLES[name].columns}
        columns |= {"age_band": pa.string()} if name == "customers" else {}
        tables[name] = ibis.memtable(pa.Table.from_pylist(content, schema=pa.schema(columns)))
    return tables


def as_mapping(query: Any) -> dict[tuple[Any, ...], dict[str, float]]:
    """Run a plan; return its rows by period and level (and value)."""
    keys = ["period", "level"] + (["value"] if "value" in query.columns else [])
    rest = [name for name in query.columns if name not in keys]
    return {tuple(row[k] for k in keys): {n: row[n] for n in rest} for row in query.to_pyarrow().to_pylist()}


def has(metric: Metric, segment: Segment) -> bool:
    """Return whether a metric's table has what a segment of events names."""
    columns = {segment.column} if segment.column else set().union(*(parse(rule.when).columns for rule in segment.rules))
    derived = set(DERIVED.get(metric.table, {}))
    return segment.on == "customers" or columns <= set(TABLES[metric.table].names) | derived


SEGMENTS = list(COMPANY.segments.values())
CUTS = [(), *((one,) for one in SEGMENTS), *combinations(SEGMENTS, 2)]


# One metric of each shape: score, condition, cents, people, days, a number per row without time, another table twice.
SHAPES = (
    "nps", "csat_top2", "average_order_value", "orders_per_customer", "touchpoint_volume", "churn_rate",
    "complaint_rate", "contacts_per_order",
)  # fmt: skip
MONTHS = [Period.parse(label) for label in ("2026-02", "2026-03", "2026-09", "2026-10")]
FEW = settings(max_examples=max(settings().max_examples // 8, 3), phases=[Phase.explicit, Phase.generate])


def cuts_of(definition: Metric) -> list[tuple[Segment, ...]]:
    return [cut for cut in CUTS if all(has(definition, segment) for segment in cut)]


@pytest.mark.parametrize("name", sorted(COMPANY.metrics))
def test_plan_equals_reference(name: str) -> None:
    definition = COMPANY.metrics[name]

    @settings(max_examples=settings().max_examples // 5, phases=[Phase.explicit, Phase.generate])
    @given(company(), st.sampled_from(cuts_of(definition)), st.sets(st.sampled_from(PERIODS), min_size=1))
    def check(rows: Any, cut: Any, periods: Any) -> None:
        rest = {"timezone": ZONE, "segments": cut, "touchpoints": COMPANY.touchpoints}
        expected = reference.measure(definition, rows, sorted(periods), **rest)
        assert as_mapping(plans.plan(definition, as_tables(rows), list(periods), **rest)) == expected

    check()


@pytest.mark.parametrize("name", [*SHAPES, "wait_p50"])
def test_rolling_plan_equals_reference(name: str) -> None:
    """Windows of several months, and of several quarters beside them; a customer of two months is one customer."""
    definition = COMPANY.metrics[name]

    @FEW
    @given(company(), st.sampled_from(cuts_of(definition)), st.sets(st.sampled_from(PERIODS), min_size=1))
    def check(rows: Any, cut: Any, periods: Any) -> None:
        rest = {"timezone": ZONE, "segments": cut, "touchpoints": COMPANY.touchpoints, "rolling": 2}
        expected = reference.measure(definition, rows, sorted(periods), **rest)
        assert as_mapping(plans.plan(definition, as_tables(rows), list(periods), **rest)) == expected

    check()


@pytest.mark.parametrize("name", SHAPES)
def test_overlaps_equal_reference(name: str) -> None:
    """Every pair of cells of one level, product by product."""
    definition = COMPANY.metrics[name]
    pairs = [(one, other) for one in MONTHS for other in MONTHS if one > other]

    @FEW
    @given(company(), st.sampled_from(cuts_of(definition)), st.sets(st.sampled_from(pairs), min_size=1))
    def check(rows: Any, cut: Any, asked: Any) -> None:
        rest = {"timezone": ZONE, "segments": cut, "touchpoints": COMPANY.touchpoints}
        cells = reference.cells(definition, rows, MONTHS, **rest)
        expected = {}
        for one, other in asked:
            for (period, level), cell in cells.items():
                before = cells.get((other.label, level))
                both = len(set(cell.people) & set(before.people)) if before else 0
                if period == one.label and before and both:
                    sums = {"clusters": both, **reference.products(cell, before)}
                    expected[one.label, other.label, level] = sums
        found = plans.overlaps(definition, as_tables(rows), list(asked), **rest).to_pyarrow().to_pylist()
        keys = ("period", "against", "level")
        assert {tuple(row.pop(key) for key in keys): row for row in found} == expected

    check()


@pytest.mark.parametrize("name", SHAPES)
def test_joint_sums_equal_reference(name: str) -> None:
    """Every pair of cells once, each cell with itself as the plan has it, and the customers of each period."""
    definition = COMPANY.metrics[name]
    cuts = [cut for cut in cuts_of(definition) if not isinstance(definition.denominator, Part)
            or len({segment.on for segment in cut}) < 2]  # fmt: skip

    @FEW
    @given(company(), st.sampled_from(cuts), st.sets(st.sampled_from(MONTHS), min_size=1, max_size=3))
    def check(rows: Any, cut: Any, periods: Any) -> None:
        rest = {"timezone": ZONE, "segments": cut, "touchpoints": COMPANY.touchpoints}
        cells = reference.cells(definition, rows, sorted(periods), **rest)
        found = plans.joint(definition, as_tables(rows), list(periods), **rest).to_pyarrow().to_pandas()
        whole = (found["level"] == "all") & bool(cut)
        people: dict[str, set[str]] = {}
        for (period, _), cell in cells.items():
            people.setdefault(period, set()).update(cell.people)
        counted = dict(zip(found["period"][whole], found["clusters"][whole], strict=True))
        assert not cut or all(counted.get(period, 0) == len(all_of) for period, all_of in people.items())
        left = {frozenset((one, other)) for one in cells for other in cells}
        for row in found[~whole].to_dict("records"):
            keys = ((row["period"], row["level"]), (row["against"], row["against_level"]))
            one, other = (cells[key] for key in keys)
            left.remove(frozenset(keys))
            expected = {"clusters": len(set(one.people) & set(other.people)), **reference.products(one, other)}
            sums = one.sums if one is other else dict.fromkeys(("rows", "missing", "y", "x", "y2"), 0)
            expected |= {column: sums[column] for column in ("rows", "missing", "y", "x", "y2")}
            assert {column: row[column] for column in expected} == expected
        assert not any(set.intersection(*(set(cells[key].people) for key in pair)) for pair in left)

    check()


def metric(**changed: Any) -> Metric:
    """Return a small definition over responses; `changed` overrides fields."""
    fields = {
        "id": "m", "title": "M", "question": "?", "kind": "mean", "unit": "score", "table": "responses",
        "time": "responded_at", "higher_is_better": True, "numerator": "score", "owner": "cx",
    }  # fmt: skip
    return Metric(**{**fields, **changed})


def answer(number: int, at: datetime, score: int | None, customer: str | None = None) -> dict[str, Any]:
    return {
        "response_id": str(number), "responded_at": at, "instrument": "nps", "score": score, "customer_id": customer,
    }  # fmt: skip


OCTOBER = Period.parse("2026-10")
MIDDLE = datetime(2026, 10, 15)


def run(definition: Metric, periods: Any = (OCTOBER,), segments: Any = (), **rows: Any) -> dict[Any, Any]:
    query = plans.plan(definition, as_tables(rows), periods, timezone=ZONE, segments=segments)
    return as_mapping(query)


def test_a_month_is_cut_in_the_reporting_timezone() -> None:
    """October 2026 in Madrid runs from 22:00 UTC on 30 September to 23:00 UTC on 31 October: 745 hours."""
    start, end = datetime(2026, 9, 30, 22), datetime(2026, 10, 31, 23)
    second = timedelta(seconds=1)
    rows = [answer(n, at, n) for n, at in enumerate([start - second, start, end - second, end])]
    assert run(metric(), responses=rows)["2026-10", "all"]["y"] == 1 + 2


def test_rows_without_a_customer_are_customers_of_their_own() -> None:
    rows = [answer(1, MIDDLE, 3), answer(2, MIDDLE, 4), answer(3, MIDDLE, 1, "ann"), answer(4, MIDDLE, 1, "ann")]
    found = run(metric(), responses=rows)["2026-10", "all"]
    assert found["clusters"] == 3
    assert found["yy"] == 3**2 + 4**2 + (1 + 1) ** 2
    assert found["y2"] == 3**2 + 4**2 + 1 + 1


def test_missing_answers_are_counted_and_do_not_count() -> None:
    rows = [answer(1, MIDDLE, None, "ann"), answer(2, MIDDLE, 4, "bob")]
    found = run(metric(), responses=rows)["2026-10", "all"]
    assert (found["rows"], found["missing"], found["clusters"], found["x"]) == (1, 1, 1, 1)


def test_a_segment_is_what_held_at_the_event() -> None:
    """Ann moved from North to South on 10 October: her answers lie on both sides. Nobody knows zoe."""
    history = [
        {"customer_id": "ann", "valid_from": datetime(2026, 10, day), "region": region}
        for day, region in ((5, "North"), (10, "South"))
    ]
    when = [datetime(2026, 10, 1), datetime(2026, 10, 9, 23, 59, 59), datetime(2026, 10, 10)]
    rows = [answer(n, at, 1, "ann") for n, at in enumerate(when)] + [answer(9, MIDDLE, 1, "zoe")]
    region = Segment(id="region", title="Region", column="region")
    found = run(metric(), segments=(region,), responses=rows, customers=history)
    assert {level: sums["rows"] for (_, level), sums in found.items()} == {"North": 2, "South": 1, "unknown": 1}


def test_a_window_closes_within_the_period() -> None:
    """A row belongs to the month in which its time plus 30 x 24 hours lies."""
    start, end = OCTOBER.bounds(ZONE)
    back, second = timedelta(days=30), timedelta(seconds=1)
    when = [start - back - second, start - back, end - back - second, end - back]
    rows = [answer(n, at, n) for n, at in enumerate(when)]
    assert run(metric(window="30 days"), responses=rows)["2026-10", "all"]["y"] == 1 + 2


def test_money_is_summed_in_cents() -> None:
    """A tenth of an euro a thousand times is 100 euros to the last digit, and squares do not overflow."""
    rows = [
        {"order_id": str(n), "customer_id": "ann", "ordered_at": MIDDLE, "amount": Decimal(amount)}
        for n, amount in enumerate(["0.10"] * 1000 + ["99999999999.99"])
    ]
    definition = metric(table="orders", time="ordered_at", numerator="amount")
    found = run(definition, responses=[], orders=rows[:1000])["2026-10", "all"]
    assert (found["y"], found["yy"], found["y2"]) == (100.0, 10_000.0, 10.0)
    found = run(definition, responses=[], orders=rows)["2026-10", "all"]
    assert found["yy"] == pytest.approx(100_000_000_099.99**2, rel=1e-15)


def test_overlapping_and_separate_periods_are_served() -> None:
    rows = [answer(1, MIDDLE, 5, "ann"), answer(2, datetime(2026, 12, 5), 3, "ann"), answer(3, datetime(2026, 8, 5), 9)]
    found = run(metric(), PERIODS, responses=rows)
    assert {period: sums["y"] for (period, _), sums in found.items()} == {"2026-10": 5, "2026-Q4": 8}
    assert found["2026-Q4", "all"]["yy"] == 64


def test_a_quarter_is_the_window_of_its_months() -> None:
    """Three months that end in December are the fourth quarter, customers of several months once."""
    when = [datetime(2026, month, 15) for month in (9, 10, 10, 11, 12, 12)]
    rows = [answer(n, at, n, "ann" if n % 2 else "bob") for n, at in enumerate(when)]
    tables = as_tables({"responses": rows})
    quarter = run(metric(), [Period.parse("2026-Q4")], responses=rows)["2026-Q4", "all"]
    window = plans.plan(metric(), tables, [Period.parse("2026-12")], timezone=ZONE, rolling=3)
    assert as_mapping(window)["2026-12", "all"] == quarter
    assert quarter["clusters"] == 2


def test_a_window_has_at_least_one_period() -> None:
    with pytest.raises(UsageError, match="rolling over 0 periods"):
        plans.plan(metric(), as_tables({"responses": []}), [OCTOBER], timezone=ZONE, rolling=0)


def test_quantiles_have_no_products() -> None:
    definition = metric(kind="quantile", value="score", numerator="")
    with pytest.raises(UsageError, match="is a quantile"):
        plans.joint(definition, as_tables({"responses": []}), [OCTOBER], timezone=ZONE)
    with pytest.raises(UsageError, match="is a quantile"):
        plans.overlaps(definition, as_tables({"responses": []}), [(OCTOBER, OCTOBER.previous())], timezone=ZONE)


def test_joint_sums_have_one_kind_of_denominator() -> None:
    """Region cuts the customers below the line, the touchpoint does not: no x would be the whole's."""
    cut = [COMPANY.segments["region"], COMPANY.segments["touchpoint"]]
    with pytest.raises(UsageError, match="one segment cuts both sides"):
        plans.joint(
            COMPANY.metrics["complaint_rate"], as_tables({name: [] for name in TABLES}), [OCTOBER], timezone=ZONE,
            segments=cut, touchpoints=COMPANY.touchpoints,
        )  # fmt: skip


FAMILIES = [family for family in plans.families(list(COMPANY.metrics.values())) if len(family) > 1]
FAMILIES.append(tuple(
    metric(id=f"{kind}{number}", kind=kind, table="orders", time="ordered_at", filter="", numerator=text,
           denominator=below)
    for number, (kind, text, below) in enumerate([
        ("ratio", "amount", "units"), ("ratio", "amount", "customers"), ("ratio", "units", "amount"),
        ("rate", "1", "calendar_days"), ("mean", "units", ""), ("share", "delivered_late", ""), ("ratio", "1", "1"),
    ])
))  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family[0].id)
def test_metrics_together_are_what_they_are_alone(family: Any) -> None:
    cuts = [cut for cut in CUTS if all(has(family[0], segment) for segment in cut)]

    @FEW
    @given(company(), st.sampled_from(cuts), st.sets(st.sampled_from(PERIODS), min_size=1))
    def check(rows: Any, cut: Any, periods: Any) -> None:
        rest = {"timezone": ZONE, "segments": cut, "touchpoints": COMPANY.touchpoints}
        tables = as_tables(rows)
        found = plans.together(family, tables, list(periods), **rest).to_pyarrow().to_pylist()
        each = {row.pop("metric"): {} for row in [dict(row) for row in found]}
        for row in found:
            each[row.pop("metric")][row.pop("period"), row.pop("level")] = row
        for one in family:
            assert each.get(one.id, {}) == as_mapping(plans.plan(one, tables, list(periods), **rest))

    check()


def test_only_metrics_of_one_family_are_taken_together() -> None:
    """A filter, a denominator elsewhere, a quantile: each needs rows of its own."""
    tables = as_tables({"responses": []})
    for others in ([metric(filter="score > 1")], [COMPANY.metrics["complaint_rate"]]):
        with pytest.raises(UsageError, match="not sums of the same rows"):
            plans.together([metric(), *others], tables, [OCTOBER], timezone=ZONE)
    with pytest.raises(UsageError, match="not sums of the same rows: wait_p50"):
        plans.together([COMPANY.metrics["wait_p50"]], tables, [OCTOBER], timezone=ZONE)
    assert [len(family) for family in plans.families([metric(), metric(id="n"), COMPANY.metrics["wait_p50"]])] == [2, 1]


class SparkOptions(Config):
    treat_nan_as_null: bool = False


@pytest.mark.parametrize("name", sorted(COMPANY.metrics))
@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "pyspark"])
def test_every_metric_compiles_for_every_engine(name: str, dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server: the SQL of a plan by one segment, on the contract's own columns."""
    # Ibis registers this option when it loads the Spark backend, which needs Spark; its compiler does not.
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    query = plans.plan(
        COMPANY.metrics[name], unbound(), PERIODS[2:4], timezone=ZONE, segments=[COMPANY.segments["region"]],
        touchpoints=COMPANY.touchpoints,
    )  # fmt: skip
    assert "GROUP BY" in str(ibis.to_sql(query, dialect=dialect))


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "pyspark"])
def test_products_and_windows_compile_for_every_engine(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric over rows and one over another table, by a segment of customers and one of events."""
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    tables, months = unbound(), PERIODS[2:4]
    for segment in ("region", "touchpoint"):
        rest = {
            "timezone": ZONE, "segments": [COMPANY.segments[segment]], "touchpoints": COMPANY.touchpoints,
        }  # fmt: skip
        queries = [plans.together([COMPANY.metrics["ces_mean"], COMPANY.metrics["ces_net"]], tables, months, **rest)]
        for definition in (COMPANY.metrics["ces_mean"], COMPANY.metrics["complaint_rate"]):
            queries.append(plans.joint(definition, tables, months, **rest))
            queries.append(plans.overlaps(definition, tables, [(months[1], months[0])], **rest))
            queries.append(plans.plan(definition, tables, months, rolling=3, **rest))
        assert all("GROUP BY" in str(ibis.to_sql(query, dialect=dialect)) for query in queries)


def unbound() -> dict[str, Any]:
    """Return the contract's tables without a database."""
    kinds = {
        "text": "string", "timestamp": "timestamp", "date": "date", "integer": "int64", "number": "float64",
        "money": "decimal(18, 2)", "boolean": "boolean",
    }  # fmt: skip
    return {
        table.name: ibis.table({column.name: kinds[column.type] for column in table.columns}, name=table.name)
        for table in TABLES.values()
    }


@pytest.mark.parametrize(
    ("changed", "segment", "reason"),
    [
        ({"table": "orders", "time": "ordered_at", "numerator": "amount"}, None, "no table 'orders'"),
        ({"numerator": "delivered_late", "kind": "share"}, None, "no table 'orders'"),
        ({}, "region", "no table 'customers'"),
        ({}, "age_band", "no table 'customers'"),
        ({"numerator": "weight"}, None, "table 'responses' has no column 'weight'"),
    ],
)
def test_what_a_workspace_lacks_is_undefined_with_a_reason(changed: Any, segment: str | None, reason: str) -> None:
    cut = [COMPANY.segments[segment]] if segment else []
    with pytest.raises(plans.Undefined, match=reason):
        run(metric(**changed), segments=cut, responses=[])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("score + instrument", "'instrument' is a string, not a number"),
        ("responded_at < period_end", "compares a time with a date"),
        ("score in ('a', 'b')", "compares a number with a text"),
        ("instrument", "not a number"),
        ("days_between(score, 3)", "days_between takes two times or two dates"),
        ("score in score", "a list of values"),
        ("not score", "not a condition"),
    ],
)
def test_expressions_that_do_not_fit_say_so(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(metric(numerator=text), responses=[])


TEXTS = [
    "score / units", "score / 0", "-units", "units in (1, 2)", "units not in (1, 2)", "1 < units <= 2",
    "not (units > 1)", "units > 1 or score > 3", "units > 1 and score > 3", "coalesce(units, score, 0)",
    "least(units, score)", "greatest(units, score)", "is_null(units)", "days_between(early, late)",
    "seconds_between(early, late)", "days_between(born, died)", "instrument != 'nps'", "2.5 * units",
    "days_between(born, period_end)", "early >= period_from", "window + 1", "true", "resolved == true",
]  # fmt: skip


FIELDS = {
    "units": maybe(st.integers(-2, 3)), "score": maybe(st.integers(0, 4)), "early": maybe(times), "late": maybe(times),
    "born": maybe(days), "died": maybe(days), "resolved": maybe(st.booleans()),
    "instrument": maybe(st.sampled_from(["nps", "x"])),
}  # fmt: skip


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.fixed_dictionaries(FIELDS), min_size=1, max_size=5))
def test_expressions_mean_what_the_reference_says(rows: list[dict[str, Any]]) -> None:
    """Nulls, division by zero, time before and after: each text on each row, against plain Python."""
    schema = pa.schema({
        "units": pa.int64(), "score": pa.int64(), "instrument": pa.string(), "early": pa.timestamp("us"),
        "late": pa.timestamp("us"), "born": pa.date32(), "died": pa.date32(), "resolved": pa.bool_(),
    })  # fmt: skip
    table = ibis.memtable(pa.Table.from_pylist(rows, schema=schema))
    start, end = OCTOBER.bounds(ZONE)
    period = {
        "period_start": OCTOBER.first_day, "period_end": OCTOBER.next_day, "period_from": start, "period_until": end,
        "window": 90,
    }  # fmt: skip
    names = {name: table[name] for name in table.columns} | {name: ibis.literal(v) for name, v in period.items()}
    values = {f"v{number}": compile_expression(parse(text), names) for number, text in enumerate(TEXTS)}
    found = table.select(**values).to_pyarrow().to_pylist()
    expected = [{f"v{n}": reference.evaluate(text, row | period) for n, text in enumerate(TEXTS)} for row in rows]
    key = repr
    assert sorted(map(key, found)) == sorted(map(key, expected))
