"""Of repeated answers those count that the rule says, whatever order they came in."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_workspace import Toy

from cxlib.data.repeats import list_left_out
from cxlib.params.intake import Repeats
from cxlib.params.models import Workspace
from cxlib.reports.context import Context

ZONE = "Europe/Madrid"
HEAD = "response_id,responded_at,instrument,score,customer_id,question,invitation_id,touchpoint\n"
COLUMNS = "response_id VARCHAR, responded_at TIMESTAMP, instrument VARCHAR, customer_id VARCHAR, question VARCHAR,"
RULES = [Repeats(keep=keep, per=per) for keep in ("first", "last")
         for per in ("invitation", "month", "quarter", "year", "ever")]  # fmt: skip

# Around the turn of months in Madrid, which is two hours ahead of UTC in summer.
MOMENTS = [datetime(2026, 3, 31, 20) + timedelta(minutes=60 * step) for step in range(6)]
MOMENTS += [
    datetime(2026, 1, 31, 22, 59, 59),
    datetime(2026, 1, 31, 23),
    datetime(2025, 12, 31, 23),
    datetime(2026, 5, 5),
]
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(MOMENTS), st.sampled_from(["nps", "csat"]), st.sampled_from(["anna", "ben", None]),
        st.sampled_from(["why", None]), st.sampled_from(["i1", "i2", None]), st.sampled_from(["shop", None]),
    ),
    max_size=14,
)  # fmt: skip


def left_out(rows: list[tuple], rule: Repeats) -> set[str]:
    """Return what is left out, from a database of its own."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE TABLE r ({COLUMNS} invitation_id VARCHAR, touchpoint VARCHAR)")
    if rows:
        connection.executemany("INSERT INTO r VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    if not list_left_out(connection, "r", rule, ZONE, "gone"):
        assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name <> 'r'").fetchone() == (0,)
        return set()
    return {row for (row,) in connection.execute("FROM gone").fetchall()}


def expected(rows: list[tuple], rule: Repeats) -> set[str]:
    """The slow and obvious way."""
    groups = defaultdict(list)
    for response, moment, instrument, customer, question, invitation, touchpoint in rows:
        local = moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(ZONE))
        unit = {
            "month": (local.year, local.month), "quarter": (local.year, (local.month - 1) // 3), "year": local.year,
        }.get(rule.per)  # fmt: skip
        who = invitation if rule.per == "invitation" else customer
        if who is not None:
            groups[who, instrument, question, touchpoint, unit].append((moment, response))
    keep = min if rule.keep == "first" else max
    return {response for group in groups.values() for moment, response in group if (moment, response) != keep(group)}


@given(ANSWERS, st.sampled_from(RULES))
def test_answers_that_do_not_count_are_those_of_the_slow_way(answers, rule):
    rows = [(f"r{number}", *answer) for number, answer in enumerate(answers)]
    assert left_out(rows, rule) == expected(rows, rule)


def test_unknown_customers_repeat_nothing():
    rows = [(f"r{n}", MOMENTS[0], "nps", None, None, None, None) for n in range(3)]
    assert [left_out(rows, rule) for rule in RULES] == [set()] * len(RULES)


ROWS = [
    "r1,2026-01-10,nps,1,anna,,i1,", "r2,2026-01-20,nps,2,old,,i2,", "r3,2026-01-20,nps,3,anna,,i3,",
    "r4,2026-01-31 23:30:00,nps,4,anna,,i4,", "r5,2026-01-15,csat,5,anna,,i5,", "r6,2026-01-15,nps,6,anna,q2,i6,",
    "r7,2026-01-15,nps,7,anna,,i7,shop", "r8,2026-01-15,nps,8,,,i8,", "r9,2026-01-16,nps,9,,,i8,",
]  # fmt: skip


@pytest.fixture
def toy(tmp_path) -> Toy:
    """Anna answers the same question on 10 and 20 January (twice), and on 1 February as Madrid has it."""
    toy = Toy(tmp_path).put("identities", "source_id,customer_id\nold,anna\n")
    toy.put("responses", HEAD + "".join(f"{row}\n" for row in ROWS)).ingest()
    return toy


def counting(toy: Toy, **rule: str) -> set[str]:
    with toy.open(repeats=Repeats(**rule), timezone=ZONE) as store:
        return set(store.run(store.tables["responses"].select("response_id")).response_id)


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ({}, set()),
        ({"keep": "last"}, {"r1", "r2"}),
        ({"keep": "first"}, {"r2", "r3"}),
        ({"keep": "last", "per": "quarter"}, {"r1", "r2", "r3"}),
        ({"keep": "first", "per": "ever"}, {"r2", "r3", "r4"}),
        ({"keep": "last", "per": "invitation"}, {"r8"}),
    ],
)
def test_a_store_shows_the_answers_that_count(toy, rule, gone):
    assert counting(toy, **rule) == {f"r{n}" for n in range(1, 10)} - gone


def test_what_is_shown_is_the_person_also_where_none_is_asked_for(toy):
    with toy.open(repeats=Repeats(keep="last"), timezone=ZONE) as store:
        responses = store.tables["responses"]
        assert store.run(responses.aggregate(n=responses.count())).n[0] == 7
        assert set(store.run(responses).customer_id.dropna()) == {"anna"}
        assert "spare.responses" in repr(store.tables.spare(responses.aggregate(n=responses.count())))


def test_all_answers_can_still_be_asked_for_by_name(toy):
    with toy.open(repeats=Repeats(keep="last"), timezone=ZONE) as store:
        assert list(store.tables) == ["responses", "identities"]
        assert "all responses" in store.tables
        assert len(store.run(store.tables["all responses"])) == 9
    with toy.open() as store:
        assert "all responses" not in store.tables
        with pytest.raises(KeyError):
            store.tables["all responses"]


def test_a_store_without_responses_has_no_answers(tmp_path):
    toy = Toy(tmp_path).put("costs", "source,month,amount\nads,2026-01-01,1\n")
    toy.ingest()
    with toy.open(repeats=Repeats(keep="last")) as store:
        assert "all responses" not in store.tables


def test_the_order_of_batches_plays_no_part(tmp_path):
    batches = [("responses", HEAD + f"{ROWS[0]}\n{ROWS[2]}\n"), ("responses", HEAD + f"{ROWS[1]}\n{ROWS[3]}\n"),
               ("identities", "source_id,customer_id\nold,anna\n")]  # fmt: skip
    seen = []
    for number, order in enumerate(permutations(batches)):
        toy = Toy(tmp_path / str(number))
        for table, content in order:
            toy.put(table, content).ingest()
            toy.drop(table)
        seen.append([counting(toy, keep=keep, per=per) for keep in ("first", "last") for per in ("month", "ever")])
    assert seen == [[{"r1", "r4"}, {"r1"}, {"r3", "r4"}, {"r4"}]] * len(seen)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, ""),
        ({"keep": "last"}, "of several answers to one question in a month, the last counts"),
        ({"keep": "first", "per": "ever"}, "of several answers to one question, the first counts"),
        ({"keep": "last", "per": "invitation"}, "of several answers to one invitation, the last counts"),
    ],
)
def test_a_run_says_which_answers_count(rule, words):
    workspace = Workspace(company="Toy", repeated_responses=Repeats(**rule))
    assert Context.model_construct(workspace=workspace).answers == words
