"""The matrix of streams: every share stands in it, hidden ones as such, and nothing is an honest empty sheet."""

from __future__ import annotations

import pytest

from cxlib import results
from cxlib.show import charts

pytestmark = pytest.mark.filterwarnings("error")
SHARE = {"segment": "stream", "comparison": "share", "method": "share, activity goes on for 7 days after an event"}


def frame(**changes: str):
    active = results.frame(
        metric="active", level=["explore", "engage"], estimate=[0.5, 0.8], conf_low=0.4, conf_high=0.9, n=100, **SHARE
    )
    both = results.frame(
        metric="concurrent",
        level=["explore", "engage"],
        against=["engage", "explore"],
        estimate=[0.32, 0.2],
        conf_low=0.15,
        conf_high=0.4,
        n=[50, 80],
        **{**SHARE, **changes},
    )
    more = results.frame(
        metric=["parallel", "active_time"],
        level="several streams at once",
        estimate=[0.25, 0.1],
        conf_low=0.05,
        conf_high=0.3,
        n=90,
        **SHARE,
    )
    order = results.frame(
        metric="funnel_order",
        level="in the textbook order",
        estimate=0.41,
        conf_low=0.3,
        conf_high=0.5,
        n=70,
        note="in an order of pure chance 50 % would follow it",
        **SHARE,
    )
    silent = results.frame(metric="active", level="evaluate", status="undefined", note="nothing is recorded", **SHARE)
    return results.concat([active, both, more, order, silent])


def test_the_chart_says_what_it_shows() -> None:
    chart = charts.streams_chart(frame())
    assert chart.finding.startswith("25.0 % of customers with two streams or more are in several at the same time")
    assert "41.0 % of new ones" in chart.finding
    words = " ".join(text.get_text() for axes in chart.axes for text in axes.texts)
    assert "32.0 %" in words
    assert "20.0 %" in words
    assert "explore and engage 32.0 % (interval 15.0 to 40.0 %, n 50)" in chart.alt
    assert any("pure chance 50 %" in text.get_text() for text in chart.texts)
    assert "Nothing is recorded of: evaluate." in " ".join(text.get_text() for text in chart.texts)


def test_hidden_streams_are_drawn_as_hidden() -> None:
    found = frame()
    gone = (found["metric"] == "concurrent") & (found["level"] == "engage")
    chart = charts.streams_chart(results.conform(found.assign(status=found["status"].mask(gone, "suppressed"))))
    assert any(text.get_text() == "hidden" for axes in chart.axes for text in axes.texts)


def test_nothing_to_show() -> None:
    assert "Nothing to show" in charts.streams_chart(results.empty()).alt
    why = results.frame(metric="streams", status="undefined", note="this workspace has no interactions")
    assert "this workspace has no interactions" in charts.streams_chart(why).alt
    chart = charts.streams_chart(frame(), finding="My title", locale="de")
    assert chart.finding == "My title"
