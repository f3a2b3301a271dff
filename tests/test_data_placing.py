"""Other names of touchpoints in SQL: the same as in Python, when a store is read and when rows come in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import params
from cxlib.contract import TABLES
from cxlib.data import placing
from cxlib.data.sources import text
from cxlib.data.store import Store
from cxlib.params import places
from cxlib.params.models import Touchpoint

COMPANY = params.load(Path(__file__).resolve().parents[1])
SHAPE = TABLES["interactions"]


def point(name: str, *names: str) -> Touchpoint:
    """Return a touchpoint with other names."""
    return Touchpoint(id=name, title=name, group="service", stage="retention", stream="experience", names=names)


POINTS = {found.id: found for found in (point("phone", "Tel", "o'hara", "hot*"), point("chat", "*chat", "c?"))}
# what the rules turn on, so that names near them are drawn, and letters that SQL, LIKE and GLOB take for more
NAMES = st.text(alphabet="aBcth o'*?_%[]-élÉ", max_size=6) | st.sampled_from(
    ["phone", "Phone", "TEL", " tel ", "o'Hara", "hotline", "HOT", "live chat", "c1", "c12", "chat", "tel_", "%", "[a]"]
)


@given(names=st.lists(NAMES, min_size=1, max_size=12))
def test_sql_places_a_name_where_python_does(names: list[str]) -> None:
    values = ", ".join(f"({text(name)})" for name in names)
    taken = placing.reading(SHAPE, POINTS)
    known = placing.known('"touchpoint"', POINTS)
    rows = duckdb.sql(f"SELECT {taken}, {known} AS other FROM (VALUES {values}) AS t(touchpoint)").fetchall()
    for name, (found, other) in zip(names, rows, strict=True):
        said = places.place(name, POINTS)
        assert found == said.touchpoint
        assert other or said.rule not in (places.NAME, places.PATTERN)


def test_nothing_is_looked_up_where_no_other_name_is_claimed() -> None:
    bare = {"phone": point("phone")}
    assert placing.reading(SHAPE, bare) == ""
    assert placing.known('"touchpoint"', bare) == ""
    assert placing.reading(TABLES["orders"], POINTS) == ""


@pytest.fixture
def renamed() -> dict[str, Touchpoint]:
    """The shipped taxonomy, in which what the demo calls `support_phone` is another name of `hotline`."""
    points = dict(COMPANY.touchpoints)
    own = points.pop("support_phone")
    return points | {"hotline": own.model_copy(update={"id": "hotline", "names": ("Support_PHONE",)})}


def test_a_store_is_read_by_ids_and_still_knows_what_sources_said(
    demo_workspace: Path, renamed: dict[str, Touchpoint]
) -> None:
    with Store.open(demo_workspace) as plain, Store.open(demo_workspace, touchpoints=renamed) as store:
        counts = [
            found.run(table.group_by("touchpoint").aggregate(n=table.count())).set_index("touchpoint")["n"].to_dict()
            for found, table in (
                (plain, plain.tables["interactions"]),
                (store, store.tables["interactions"]),
                (store, store.as_told("interactions")),
            )
        ]
    before, by_id, told = counts
    assert told == before
    assert by_id == {("hotline" if name == "support_phone" else name): count for name, count in before.items()}


def test_rows_that_use_another_name_are_taken_in() -> None:
    from cxlib.data.rules import judged, reasons, rules

    table = TABLES["invitations"]
    table = replace(table, columns=tuple(column for column in table.columns if column.name == "touchpoint"))
    found = rules(
        table, {"touchpoint": "VARCHAR"}, today=None, known={}, touchpoints=list(POINTS),
        other_names=placing.known('"t:touchpoint"', POINTS),
    )  # fmt: skip
    found = [rule for rule in found if "touchpoints.yml" in rule.says]
    raw = "(SELECT unnest(['phone', 'Tel', 'hotline', 'fax', NULL]) AS touchpoint)"
    sql = judged(table, {"touchpoint": "VARCHAR"}, found, "UTC", raw)
    said = duckdb.sql(f"SELECT touchpoint, {reasons(found)} FROM ({sql}) WHERE _bad").fetchall()
    assert said == [("fax", "touchpoint 'fax' is not in touchpoints.yml")]
