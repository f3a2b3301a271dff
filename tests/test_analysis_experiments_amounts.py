"""Numbers in sentences."""

from __future__ import annotations

import math

import pytest

from cxlib.analysis.experiments.amounts import amount, chance, signed, span


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.02, "percent", "2 percentage points"),
        (0.01, "percent", "1 percentage point"),
        (0.0123, "per_month", "1.23 percentage points a month"),
        (3.4567, "days", "3.46 days"),
        (1, "days", "1 day"),
        (0.1, "score", "0.1 points"),
        (12_345.6, "money", "12,346"),
        (2, "per_1000_months", "2 per 1,000 customer months"),
        (2.5, "parcels", "2.5 parcels"),
        (0, "points", "0 points"),
        (0.00001, "", "1.0e-05"),
    ],
)
def test_amount(value: float, unit: str, words: str) -> None:
    assert amount(value, unit) == words


def test_signed() -> None:
    assert [signed(value, "points") for value in (-1.5, 0, 2)] == ["−1.5 points", "0 points", "+2 points"]


def test_span() -> None:
    assert span(-0.01, 0.02, "percent") == "between −1 and +2 percentage points"
    assert span(-math.inf, 2, "days") == "at most +2 days"
    assert span(-1, math.inf) == "at least −1"
    assert span(-math.inf, math.inf) == "anything"


@pytest.mark.parametrize(
    ("p_value", "words"),
    [(0.43, "p = .43"), (0.0412, "p = .041"), (0.0004, "p < .001"), (1.0, "p = 1"), (0.997, "p = 1"), (0.1, "p = .10")],
)
def test_chance(p_value: float, words: str) -> None:
    assert chance(p_value) == words
