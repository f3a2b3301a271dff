"""Which share of events is classified, by which rule; small counts are hidden, and what nobody claims is listed."""

from __future__ import annotations

import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import coverage as rooms
from cxlib.analysis.journeys.coverage import BY_RULE, CLASSIFIED, UNPLACED, coverage
from cxlib.params.models import Touchpoint
from cxlib.params.places import ID, NAME, NOWHERE, PATTERN


def point(name: str, **more: object) -> Touchpoint:
    """Return a touchpoint of which only what is given matters."""
    return Touchpoint(id=name, title=name, group="service", stage="retention", stream="experience", **more)


POINTS = {
    "phone": point("phone", names=("tel", "hot*")),
    "shop": point("shop", order_channels=("web",)),
}


def counted(*rows: tuple[str, str | None, int, int]) -> pd.DataFrame:
    """Return counts as the engine brings them."""
    return pd.DataFrame(list(rows), columns=list(rooms.COLUMNS))


EVENTS = counted(
    ("interactions", "phone", 500, 300),
    ("interactions", "tel", 200, 100),
    ("interactions", "hotline", 100, 60),
    ("interactions", "fax", 150, 80),
    ("interactions", "telex", 50, 20),
    ("orders", "web", 30, 25),
    ("orders", None, 10, 10),
)


def test_shares_of_rules_add_up_to_one_and_names_are_listed() -> None:
    found = coverage(EVENTS, POINTS, min_n=10)
    rules = found[(found["metric"] == BY_RULE) & (found["segment"] == "interactions")].set_index("level")["estimate"]
    assert rules.to_dict() == {ID: 0.5, NAME: 0.2, PATTERN: 0.1, NOWHERE: 0.2}
    whole = found[found["metric"] == CLASSIFIED].set_index("level")
    assert whole["estimate"].to_dict() == pytest.approx({"interactions": 0.8, "orders": 0.75})
    assert whole["n"].to_dict() == {"interactions": 1000, "orders": 40}
    loose = found[found["metric"] == UNPLACED]
    assert list(zip(loose["segment"], loose["level"], loose["estimate"], strict=True)) == [
        ("interactions", "fax", 150), ("interactions", "telex", 50),
    ]  # fmt: skip
    assert (found["conf_low"] == found["estimate"]).all()  # counted, not sampled
    assert tuple(found.columns) == results.COLUMNS


def test_orders_are_placed_by_channel_and_those_without_one_are_told() -> None:
    found = coverage(EVENTS, POINTS, min_n=10)
    rules = found[(found["metric"] == BY_RULE) & (found["segment"] == "orders")].set_index("level")["estimate"]
    assert rules.to_dict() == {rooms.CHANNEL: 0.75, rooms.NAMELESS: 0.25}


def test_what_few_customers_did_cannot_be_worked_out() -> None:
    rows = counted(
        ("interactions", "phone", 500, 300), ("interactions", "tel", 200, 100),
        ("interactions", "call Ana at ana@example.com", 4, 2), ("interactions", "fx", 3, 1),
    )  # fmt: skip
    found = coverage(rows, POINTS, min_n=10)
    rules = found[found["metric"] == BY_RULE].set_index("level")["status"].to_dict()
    # the names' share is hidden, with a second rule's: the rest would tell it; so would the share that is classified
    assert rules == {ID: results.OK, NAME: results.SUPPRESSED, NOWHERE: results.SUPPRESSED}
    assert found.loc[found["metric"] == CLASSIFIED, "status"].tolist() == [results.SUPPRESSED]
    loose = found[found["metric"] == UNPLACED]
    assert loose["level"].tolist() == ["2 names of fewer customers than may be shown"]
    assert loose["status"].tolist() == [results.SUPPRESSED]
    assert not found["level"].str.contains("Ana|example").any()
    assert found.loc[found["status"] != results.OK, ["estimate", "n"]].isna().all(axis=None)


def test_a_name_of_few_is_not_what_the_other_names_leave_over() -> None:
    rows = counted(
        ("interactions", "phone", 500, 300), ("interactions", "fax", 800, 300), ("interactions", "telex", 400, 200),
        ("interactions", "zz", 3, 2),
    )  # fmt: skip
    found = coverage(rows, POINTS, min_n=10)
    loose = found[found["metric"] == UNPLACED]
    assert dict(zip(loose["level"], loose["status"], strict=True)) == {
        "fax": results.OK, "telex": results.SUPPRESSED,
        "a name of fewer customers than may be shown": results.SUPPRESSED,
    }  # fmt: skip


def test_a_name_that_somebody_typed_is_redacted() -> None:
    rows = counted(("interactions", "mail to ana@example.com", 40, 20), ("interactions", "phone", 50, 30))
    found = coverage(rows, POINTS, min_n=10)
    (name,) = found.loc[found["metric"] == UNPLACED, "level"]
    assert "example.com" not in name


def test_order_of_rows_plays_no_part() -> None:
    mixed = EVENTS.sample(frac=1, random_state=3).reset_index(drop=True)
    pd.testing.assert_frame_equal(coverage(mixed, POINTS, min_n=10), coverage(EVENTS, POINTS, min_n=10))
