"""Journeys beside touchpoints, drawn and told: the target, the verdicts, what would be by itself, and what explains."""

from __future__ import annotations

import pytest

from cxlib import results
from cxlib.show import charts, tables

pytestmark = pytest.mark.filterwarnings("error")


def frame():
    good = {"comparison": "share", "conf_low": 0.6, "conf_high": 0.95, "n": 200.0}
    gap = {"comparison": "difference", "against": "target", "conf_low": -0.3, "conf_high": 0.1, "n": 200.0}
    parts = [
        results.frame(metric="touchpoint_good", segment="touchpoint", level=["Delivery", "Chat"], estimate=[0.8, 0.9],
                      **good),
        results.frame(metric="touchpoint_good", segment="touchpoint", level=["Delivery", "Chat"], estimate=[0.0, 0.1],
                      verdict="not shown", **gap),
        results.frame(metric="journey_good", segment="journey", level="all journeys", estimate=0.66, **good),
        results.frame(metric="journey_good", segment="journey", level="all journeys", estimate=-0.14, verdict="moved",
                      **gap),
        results.frame(metric="journey_good", segment="touchpoints", level="2 touchpoints", estimate=0.7,
                      note="72 % if each answer were good or not by itself", **good),
        results.frame(metric="journey_reading", segment="journey", at="the journey, not the touchpoints",
                      comparison="test", estimate=0.0, n=200, note="no touchpoint is shown to miss; 66 % of journeys"),
        results.frame(metric="goes_with", segment="moment", level=["the mean", "the worst moment"], comparison="share",
                      estimate=[0.2, 0.3], conf_low=0.1, conf_high=0.4, n=150),
        results.frame(metric="goes_with", segment="moment", level="the worst moment", comparison="difference",
                      against="the mean", estimate=0.1, conf_low=0.02, conf_high=0.2, n=150),
        results.frame(metric="goes_with_points", segment="moment", level="the worst moment", comparison="difference",
                      at=["alone", "best, worst and last together"], estimate=[0.5, 0.25], conf_low=0.1, conf_high=0.6),
    ]  # fmt: skip
    return results.concat(parts)


def test_the_chart_puts_journeys_beside_touchpoints() -> None:
    chart = charts.moments_chart(frame())
    assert chart.finding == (
        "66.0 % of journeys are good all the way, touchpoints 80.0 to 90.0 %: "
        "the journey misses the target though no touchpoint is shown to"
    )
    words = [text.get_text() for text in chart.texts]
    assert words.index("Chat") < words.index("Delivery") < words.index("All journeys")
    assert "▼ below target, worse" in words
    assert any("target 80.0 %" in text.get_text() for axes in chart.axes for text in axes.texts)
    assert "2 touchpoints 70.0 %" in chart.alt
    assert "72 % if each answer were good or not by itself" in chart.alt


def test_what_explains_is_told_with_both_slopes() -> None:
    chart = charts.moments_explained(frame())
    assert chart.finding == (
        "The worst moment goes most with the score of the whole: 30.0 % of its differences; "
        "the worst moment more than the mean"
    )
    assert any(text.get_text() == "+0.50; +0.25" for text in chart.texts)


def test_the_table_has_a_row_for_each_and_the_reading_beneath() -> None:
    table = tables.moments_table(frame())
    assert table.grid.keys == (
        ("Touchpoints", "Chat"), ("Touchpoints", "Delivery"), ("Journeys", "All journeys"),
        ("Journeys", "2 touchpoints"),
    )  # fmt: skip
    assert list(table.grid.columns) == ["Good", "Against the target", "Customers", "To know"]
    assert "below target, worse" in table.grid.columns["Against the target"][2].text
    assert table.below == "No touchpoint is shown to miss; 66 % of journeys."


def test_nothing_to_show_and_what_is_hidden() -> None:
    why = results.frame(metric="moments", status="undefined", note="this workspace has no answers to surveys")
    for chart in (charts.moments_chart(why), charts.moments_explained(why)):
        assert "this workspace has no answers" in chart.alt or "nobody scored" in chart.alt
    assert "this workspace has no answers" in tables.moments_table(why)
    found = frame()
    gone = found["level"] == "Chat"
    chart = charts.moments_chart(results.conform(found.assign(status=found["status"].mask(gone, "suppressed"))))
    assert any("hidden" in text.get_text() for text in chart.texts)
