"""The door of the loyalty room: what exports bring, converted or refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxlib.analysis import loyalty
from cxlib.analysis.loyalty import doors


def test_labels_are_sorted_numbers_by_size_and_categories_as_they_are() -> None:
    assert doors.labels([10, 9, 10, None], 4).names == ("9", "10")
    assert doors.labels(["b", "a", " ", ""], 4)[:2][1] == ("a", "b")
    assert doors.labels(["b", "a", " ", ""], 4).codes.tolist() == [1, 0, -1, -1]
    given = pd.Series(pd.Categorical(["low", "high", None], ["low", "middle", "high"]), name="value")
    found = doors.labels(given, 3)
    assert (found.names, found.codes.tolist(), found.segment) == (("low", "high"), [0, 1, -1], "value")
    arrow = pd.Series(["x", None], dtype="string[pyarrow]")
    assert doors.labels(arrow, 2).codes.tolist() == [0, -1]
    assert doors.labels([True, False], 2).names == ("False", "True")
    assert doors.labels([1.0, 2.5], 2).names == ("1", "2.5")


@pytest.mark.parametrize(
    "value",
    ["2026-10-31", pd.Timestamp("2026-10-31"), dt.date(2026, 10, 31), np.datetime64("2026-10-31"),
     pd.Timestamp("2026-10-31", tz="UTC")],
)  # fmt: skip
def test_days(value: Any) -> None:
    assert doors.day("start", value) == (dt.date(2026, 10, 31) - dt.date(1970, 1, 1)).days


def test_customers_are_numbered_whatever_the_order_of_rows() -> None:
    ids = pd.Series(["c", "a", None, "b"])
    assert doors.customers(ids).tolist() == [2, 0, -1, 1]
    assert doors.customers(ids.iloc[::-1]).tolist() == [1, -1, 0, 2]


def test_what_the_room_offers() -> None:
    for name in (
        "churn", "retention_triangle", "survival", "log_rank", "restricted_mean_difference", "hazard_ratios", "cox",
        "CoxFit", "proportional_hazards", "concordance", "competing_reasons", "reason_hazard_ratios",
    ):  # fmt: skip
        assert name in loyalty.__all__
        assert getattr(loyalty, name).__doc__
