"""What is hidden beside the small: at least two levels, of enough customers together, the smallest first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.analysis import hiding


@pytest.mark.parametrize(
    ("customers", "hidden"),
    [
        ({"a": 40, "b": 30, "c": 20}, []),
        ({"a": 40, "b": 30, "c": 4}, ["c", "b"]),
        ({"a": 40, "b": 4, "c": 3}, ["c", "b", "a"]),  # seven are fewer than ten
        ({"a": 40, "b": 6, "c": 5}, ["c", "b"]),
        ({"a": 40, "b": 40, "c": 4}, ["c", "a"]),  # of equal ones the first by name
        ({"a": 40, "b": 30, "c": 0}, []),
        ({"a": 4}, ["a"]),
        ({}, []),
    ],
)
def test_by_hand(customers: dict[str, float], hidden: list[str]) -> None:
    assert hiding.levels(customers, 10) == hidden


@pytest.mark.parametrize(
    ("how", "hidden"),
    [
        ({"also": ["a"]}, ["a", "b"]),  # a tells what all of it said: b is hidden with it
        ({"also": ["a", "b"]}, ["b", "a"]),
        ({"apart": False}, []),
        ({"fit": lambda pool: len(pool) > 2}, []),
        ({"also": ["b"], "fit": lambda pool: len(pool) > 2}, ["b", "c", "a"]),
    ],
)
def test_hidden_for_other_reasons(how: dict[str, Any], hidden: list[str]) -> None:
    assert hiding.levels({"a": 40, "b": 20, "c": 30}, 10, **how) == hidden


def test_customers_who_recur_are_counted_once() -> None:
    customers = {"a": 90, "b": 9, "c": 9, "d": 9}
    assert hiding.levels(customers, 10) == ["b", "c", "d"]
    assert hiding.levels(customers, 10, apart=False) == ["b", "c", "d", "a"]


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 60), max_size=8), st.integers(1, 40))
def test_nobody_can_be_worked_out(customers: dict[str, float], min_n: int) -> None:
    hidden = hiding.levels(customers, min_n)
    shown = [level for level in customers if level not in hidden and customers[level] > 0]
    assert all(customers[level] >= min_n for level in shown)
    if hidden and shown:
        assert len(hidden) > 1
        assert sum(customers[level] for level in hidden) >= min_n
        assert max(customers[level] for level in hidden) <= min(customers[level] for level in shown)


def test_rows_do_not_say_which_of_them_is_small() -> None:
    """Beside the sum of both, that b was hidden with c would tell that b has ten or more, and so how few c has."""
    rows = results.frame(metric="x", level=["a", "b", "c"], estimate=1.0, n=[40.0, 30.0, 4.0])
    found = hiding.hide(rows, {"a": 40, "b": 30, "c": 4}, 10)
    assert found["status"].tolist() == ["ok", "suppressed", "suppressed"]
    assert found["note"].tolist()[1:] == [hiding.NOTE] * 2
    assert found.loc[1:, ["estimate", "n"]].isna().all(axis=None)
