"""Funnels on the page: how far, how fast, what is hidden and who is still under way."""

from __future__ import annotations

import warnings
from datetime import timedelta

import matplotlib as mpl
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis import journeys
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.conversion import funnel_chart, funnel_table
from tests.journey_logs import NAMES, log

STAGES = ["Website", "Checkout", "Order"]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def made(orders: int, min_n: int = 1) -> pd.DataFrame:
    """100 at the website, 60 at the checkout two minutes later, some who order after three; 12 came at the end."""
    events = [(who, 0, "Website") for who in range(100)] + [(who, 2, "Checkout") for who in range(60)]
    events += [(who, 5, "Order") for who in range(orders)] + [(who, 95, "Website") for who in range(100, 112)]
    events += [(999, 100, "Other")]
    return journeys.funnel(log(*events), STAGES, window=timedelta(minutes=60), order="open", min_n=min_n, **NAMES)


def test_the_chart_says_how_far_and_where_most_are_lost() -> None:
    chart = funnel_chart(made(45))
    assert chart.finding == (
        "45.0 % (35.6 to 54.8 %) of those at Website come to Order; most are lost on the way from Website to Checkout "
        "(40.0 % of those who had come so far)"
    )
    said = words(chart)
    for told in ("Still under way: 12 customers.", "75.0 %", "2 min", "3 min", "100"):
        assert told in said
    assert "Order: 45 customers, 75.0 % (62.8 to 84.2 %) of the stage before, median time 3 min" in chart.alt
    assert len(canvas.png(chart)) > 5_000


def test_hidden_stages_are_drawn_as_such() -> None:
    chart = funnel_chart(made(3, min_n=10))
    assert "hidden" in words(chart)
    assert chart.finding.startswith("60.0 % (50.2 to 69.1 %) of those at Website come to Checkout")
    table = funnel_table(made(3, min_n=10))
    assert table.grid.columns["Customers"][2].text == "hidden: small group"


def test_the_table_has_both_times() -> None:
    table = funnel_table(made(45))
    columns = table.grid.columns
    assert [cell.text for cell in columns["Customers"]] == ["100", "60", "45"]
    assert columns["Of all who entered"][2].text.startswith("45.0 %")
    assert columns["Half had gone on after"][1].text.startswith("2 min")
    assert columns["Median of those who did"][2].text.startswith("3 min")
    assert table.below == "Still under way: 12 customers."
    few = funnel_table(made(10)).grid.columns["Half had gone on after"][2].text
    assert few.startswith("not available · 16.7 % had gone on")


def test_nothing_to_show_says_why() -> None:
    none = journeys.funnel(log(("x", 0, "a")), STAGES, **NAMES)
    for told in (words(funnel_chart(none)), funnel_table(none)):
        assert "no customer was at the first stage, Website" in told
    assert "no stages" in words(funnel_chart(results.empty()))
