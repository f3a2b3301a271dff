"""Several ids of one person are one when a table is read, whatever came first."""

from __future__ import annotations

from datetime import date, datetime
from itertools import permutations

import duckdb
import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_workspace import Toy

from cxlib.data import identity
from cxlib.data.columns import needed

IDS = "source_id,customer_id\n"
ORDERS = "order_id,customer_id,ordered_at,amount\n"


def resolved(*mappings: dict[str, str]) -> tuple[dict[str, str], int]:
    """Resolve mappings in a database of their own."""
    connection = duckdb.connect()
    for place, mapping in enumerate(mappings):
        connection.execute(f"CREATE TABLE i{place} (source_id VARCHAR, customer_id VARCHAR)")
        if mapping:
            connection.executemany(f"INSERT INTO i{place} VALUES (?, ?)", list(mapping.items()))
    circles = identity.resolve(connection, [f"FROM i{place}" for place in range(len(mappings))], "who")
    return dict(connection.execute("FROM who").fetchall()), circles


def walked(mapping: dict[str, str]) -> dict[str, str]:
    """Follow every id step by step: the slow and obvious way."""
    found = {}
    for start in mapping:
        path, at = [], start
        while at in mapping and mapping[at] != at and at not in path:
            path.append(at)
            at = mapping[at]
        end = min(path[path.index(at) :]) if at in path else at
        if end != start:
            found[start] = end
    return found


@given(st.dictionaries(st.sampled_from("abcdefghij"), st.sampled_from("abcdefghijxy")))
def test_chains_and_circles_end_where_walking_ends(mapping):
    found, circles = resolved(mapping)
    assert found == walked(mapping)
    on_circle = {i for i in mapping if mapping[i] != i and i in _reached(mapping, mapping[i])}
    assert circles == len(on_circle)


def _reached(mapping: dict[str, str], at: str) -> set[str]:
    seen: set[str] = set()
    while at not in seen:
        seen.add(at)
        at = mapping.get(at, at)
    return seen


@pytest.mark.parametrize("length", [1, 2, 3, 64, 1000])
def test_long_chains_and_circles_end(length):
    chain = {f"{n:04}": f"{n + 1:04}" for n in range(length)}
    assert resolved(chain) == (dict.fromkeys(chain, f"{length:04}"), 0)
    circle = chain | {f"{length:04}": "0000", "in": f"{length:04}"}
    assert resolved(circle) == ({source: "0000" for source in circle if source != "0000"}, length + 1)


def test_the_earlier_select_holds():
    assert resolved({"a": "new"}, {"a": "old", "b": "old"}) == ({"a": "new", "b": "old"}, 0)


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path)


def test_every_table_shows_the_person(toy):
    toy.put("customers", "customer_id,valid_from,referred_by\nanna,2026-01-01,old-b\nben,2026-01-02,anna\n"
            "old-b,2026-01-03,a2\nold-a,2026-01-04,zoe\na2,2026-01-05,\n")  # fmt: skip
    toy.put("identities", f"{IDS}old-a,a2\na2,anna\nold-b,ben\nnobody,anna\n")
    toy.put("orders", f"{ORDERS}o1,old-a,2026-01-01,1\no2,anna,2026-01-01,1\no3,a2,2026-01-01,1\no4,ben,2026-01-01,1\n")
    toy.put("responses", "response_id,responded_at,instrument,score,customer_id\nr1,2026-01-01,nps,9,old-b\n"
            "r2,2026-01-01,nps,9,\n")  # fmt: skip
    toy.ingest()
    assert toy.rows("orders", "order_id", "customer_id") == [
        ("o1", "anna"), ("o2", "anna"), ("o3", "anna"), ("o4", "ben"),
    ]  # fmt: skip
    assert toy.rows("responses", "response_id", "customer_id") == [("r1", "ben"), ("r2", None)]
    assert sorted(toy.rows("customers", "valid_from", "customer_id", "referred_by"), key=lambda row: row[0]) == [
        (datetime(2026, 1, 1), "anna", "ben"), (datetime(2026, 1, 2), "ben", "anna"),
        (datetime(2026, 1, 3), "ben", "anna"), (datetime(2026, 1, 4), "anna", "zoe"),
        (datetime(2026, 1, 5), "anna", None),
    ]  # fmt: skip
    assert ("old-a", "a2") in toy.rows("identities", "source_id", "customer_id")


def test_customers_of_one_person_are_one_cluster(toy):
    toy.put("identities", f"{IDS}x,anna\ny,anna\n")
    toy.put("orders", ORDERS + "".join(f"o{n},{who},2026-01-01,1\n" for n, who in enumerate(["x", "y", "anna", "ben"])))
    toy.ingest()
    with toy.open() as store:
        orders = store.tables["orders"]
        per_person = orders.group_by("customer_id").aggregate(n=orders.count())
        assert sorted(store.run(per_person).itertuples(index=False, name=None)) == [("anna", 3), ("ben", 1)]


def test_rows_that_become_one_leave_the_stated_one(toy):
    toy.put("customers", "customer_id,valid_from,region\nold,2026-01-01,lost\nanna,2026-01-01,kept\n"
            "old,2026-01-02,alone\nz2,2026-01-01,lost\nz1,2026-01-01,kept\n")  # fmt: skip
    toy.put("identities", f"{IDS}old,anna\nz1,zoe\nz2,zoe\n")
    toy.put("subscriptions", "customer_id,started_on,plan\nanna,2026-01-01,kept\nold,2026-01-01,lost\n"
            "old,2026-02-01,alone\n")  # fmt: skip
    toy.put("exposures", "experiment,customer_id,variant,exposed_at\ne,anna,late,2026-02-01\ne,old,first,2026-01-01\n"
            "f,anna,own,2026-01-01\nf,old,other,2026-01-01\ng,old,alone,2026-01-01\n")  # fmt: skip
    toy.ingest()
    assert toy.rows("customers", "customer_id", "valid_from", "region") == [
        ("anna", datetime(2026, 1, 1), "kept"), ("anna", datetime(2026, 1, 2), "alone"),
        ("zoe", datetime(2026, 1, 1), "kept"),
    ]  # fmt: skip
    assert toy.rows("subscriptions", "customer_id", "started_on", "plan") == [
        ("anna", date(2026, 1, 1), "kept"), ("anna", date(2026, 2, 1), "alone"),
    ]  # fmt: skip
    assert toy.rows("exposures", "experiment", "customer_id", "variant") == [
        ("e", "anna", "first"), ("e", "anna", "late"), ("f", "anna", "other"), ("f", "anna", "own"),
        ("g", "anna", "alone"),
    ]  # fmt: skip  # a log: whoever was seen in two arms is a crossover, which health checks must see


def test_the_order_of_batches_plays_no_part(tmp_path):
    batches = {
        "customers": "customer_id,valid_from\nanna,2026-01-01\nold,2026-01-01\n",
        "identities": f"{IDS}old,older\nolder,anna\n",
        "orders": f"{ORDERS}o1,old,2026-01-01,1\n",
        "costs": "source,month,amount\nads,2026-01-01,1\n",
    }
    seen = []
    for number, order in enumerate(permutations(batches)):
        if number % 6:  # a quarter of the orders is enough: each table comes first once
            continue
        toy = Toy(tmp_path / str(number))
        for table in order:
            toy.put(table, batches[table]).ingest()
            toy.drop(table)
        seen.append(toy.content())
    assert all(one == seen[0] for one in seen)
    assert seen[0]["orders"][0][:2] == ("o1", "anna")


def test_an_older_snapshot_reads_by_its_own_identities(toy):
    first = toy.put("orders", f"{ORDERS}o1,old,2026-01-01,1\n").put("identities", f"{IDS}old,anna\n").ingest()
    toy.put("identities", f"{IDS}old,ben\n").ingest()
    assert toy.rows("orders", "customer_id") == [("ben",)]
    assert toy.rows("orders", "customer_id", as_of=first.snapshot_id) == [("anna",)]


def test_a_circle_is_one_person(toy):
    toy.put("identities", f"{IDS}b,c\nc,a\na,b\n").put(
        "orders", f"{ORDERS}o1,c,2026-01-01,1\no2,a,2026-01-01,1\n"
    ).ingest()
    assert toy.rows("orders", "customer_id") == [("a",), ("a",)]


def test_persons_are_looked_up_only_where_they_are_asked_for(toy):
    toy.put("identities", f"{IDS}old,anna\n")
    toy.put("orders", f"{ORDERS}o1,old,2026-01-01,1\no2,anna,2026-02-01,2\n")
    toy.put("responses", "response_id,responded_at,instrument,score,customer_id,order_id\nr1,2026-01-01,nps,9,old,o1\n")
    toy.put("invitations", "invitation_id,customer_id,sent_at\ni1,ben,2026-01-01\n")
    toy.ingest()
    with toy.open() as store:
        orders, responses = store.tables["orders"], store.tables["responses"]

        def looks_up(expression: ibis.Table) -> bool:
            sql = ibis.to_sql(store.tables.spare(expression), dialect="duckdb")
            plan = orders.get_backend().raw_sql(f"EXPLAIN {sql}").fetchall()[0][1]
            return "source_id" in plan

        assert looks_up(orders.group_by("customer_id").aggregate(n=orders.count()))
        assert looks_up(orders)
        assert not looks_up(orders.aggregate(n=orders.count(), total=orders.amount.sum()))
        late = responses.left_join(orders, responses.order_id == orders.order_id)
        assert not looks_up(late.aggregate(n=late.amount.sum()))
        assert looks_up(late.group_by(responses.customer_id).aggregate(n=late.amount.sum()))
        assert store.run(late.group_by(responses.customer_id).aggregate(n=late.amount.sum())).customer_id[0] == "anna"
        assert store.run(orders.aggregate(total=orders.amount.sum())).total[0] == 3
        assert set(store.run(orders).customer_id) == {"anna"}
        assert not looks_up(store.tables["invitations"])  # nobody in it is mapped


def _expressions(a: ibis.Table, b: ibis.Table) -> dict[str, tuple[ibis.Table, set[str]]]:
    """Return expressions over a(id, customer_id, x) and b(bid, customer_id, y), and whose persons they need."""
    joined = a.join(b, a.id == b.bid)
    ranked = a.mutate(r=ibis.row_number().over(group_by="customer_id"))
    return {
        "all": (a, {"a"}),
        "select": (a.select("x"), set()),
        "mutate": (a.mutate(z=a.x + 1).aggregate(s=lambda t: t.z.sum()), set()),
        "filter": (a.filter(a.customer_id == "q").select("x"), {"a"}),
        "filter and count": (a.filter(a.customer_id == "q").aggregate(n=lambda t: t.count()), {"a"}),
        "sort": (a.order_by("customer_id").limit(3).select("x"), {"a"}),
        "distinct": (a.distinct().select("x"), {"a"}),
        "distinct of others": (a.select("x").distinct(), set()),
        "join": (joined.select(a.x, b.y), set()),
        "join by person": (a.join(b, "customer_id").select("x"), {"a", "b"}),
        "join and person": (joined.select(a.customer_id, b.y), {"a"}),
        "self join": (a.view().join(a, "id").select("x"), set()),
        "union": (a.union(a).select("x"), {"a"}),
        "union of others": (a.select("x").union(b.select(x=b.y)), set()),
        "group": (a.group_by("customer_id").aggregate(s=a.x.sum()).aggregate(n=lambda t: t.s.max()), {"a"}),
        "count distinct": (a.aggregate(n=a.customer_id.nunique(), m=a.count()).select("m"), set()),
        "in": (a.filter(a.id.isin(b.bid)).select("x"), set()),
        "in person": (a.filter(a.id.isin(b.customer_id)).select("x"), {"b"}),
        "window": (ranked.filter(ranked.r == 0).select("x"), {"a"}),
        "window unused": (ranked.select("x"), set()),
        "unnest": (a.mutate(u=a.customer_id.split("-").unnest()).select("x"), {"a"}),
        "drop": (a.drop("customer_id"), {"a"}),  # more than needed, never less
        "scalar": (a.filter(a.x == b.aggregate(m=b.customer_id.length().max()).m.as_scalar()).select("x"), {"b"}),
    }


def test_no_column_that_is_needed_is_thought_not_to_be():
    engine = ibis.duckdb.connect()
    engine.raw_sql("CREATE TABLE a (id VARCHAR, customer_id VARCHAR, x INT)")
    engine.raw_sql("CREATE TABLE b (bid VARCHAR, customer_id VARCHAR, y INT)")
    for what, (expression, tables) in _expressions(engine.table("a"), engine.table("b")).items():
        found = {table.name for table, columns in needed(expression).items() if "customer_id" in columns}
        assert found == tables, what


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    """Known are anna, and ben under an older id; `who` also maps ids of people that nobody knows."""
    made = duckdb.connect()
    made.execute("CREATE TABLE people AS FROM (VALUES ('anna'), ('ben-1')) AS t(customer_id)")
    made.execute("CREATE TABLE mapped AS FROM (VALUES ('a1', 'a2'), ('a2', 'anna'), ('ben-1', 'ben'), ('ben-2', 'ben'),"
                 " ('z1', 'zoe')) AS t(source_id, customer_id)")  # fmt: skip
    identity.resolve(made, ["FROM mapped"], "who")
    made.execute("CREATE TABLE events AS FROM (VALUES ('anna'), ('a1'), ('a2'), ('ben'), ('ben-1'), ('ben-2'), ('z1'),"
                 " ('zoe'), ('nobody'), (NULL), (NULL)) AS t(customer_id)")  # fmt: skip
    return made


def test_ids_of_known_people_are_known(connection):
    known = connection.execute(identity.known_customers_sql(["FROM people"], "who")).fetchall()
    assert sorted(known) == [(i,) for i in sorted(["anna", "a1", "a2", "ben", "ben-1", "ben-2"])]
    plain = connection.execute(identity.known_customers_sql(["FROM people", "SELECT 'x' AS customer_id"])).fetchall()
    assert sorted(plain) == [("anna",), ("ben-1",), ("x",)]


def test_rows_that_name_nobody_known_are_counted(connection):
    assert connection.execute(identity.unresolved_sql("events", "people", "who")).fetchone() == (9, 3)
    assert connection.execute(identity.unresolved_sql("events", "people")).fetchone() == (9, 7)
    assert connection.execute(
        identity.unresolved_sql("(FROM events WHERE customer_id IS NULL)", "people")
    ).fetchone() == (0, 0)
