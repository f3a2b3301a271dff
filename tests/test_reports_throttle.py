"""So many a minute, each name by itself."""

from __future__ import annotations

from cxlib.reports import throttle
from cxlib.reports.throttle import Allowance


def test_a_burst_then_the_pace_of_the_minute() -> None:
    now = 0.0
    allowed = Allowance(60, clock=lambda: now)
    assert [allowed.wait("ada") for _ in range(60)] == [0.0] * 60
    assert allowed.wait("ada") == 1.0
    assert allowed.wait("bob") == 0.0
    now = 0.5
    assert allowed.wait("ada") == 0.5
    now = 1.5
    assert allowed.wait("ada") == 0.0
    assert allowed.wait("ada") > 0
    now = 1000.0
    assert [allowed.wait("ada") for _ in range(61)].count(0.0) == 60  # a rest gives a burst again, not more


def test_who_asked_longest_ago_is_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(throttle, "_KNOWN", 100)
    allowed = Allowance(1, clock=lambda: 0.0)
    for number in range(1000):
        assert allowed.wait(str(number)) == 0.0
    assert allowed.wait("999") > 0
    assert len(allowed._left) == 100


def test_what_costs_less_is_allowed_more_often() -> None:
    allowance = Allowance(2, lambda: 0.0)
    assert [allowance.wait("a", 0.5) for _ in range(4)] == [0.0] * 4
    assert allowance.wait("a", 0.5) == 15.0
