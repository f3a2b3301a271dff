"""Next steps on the page: the finding, what is hidden, what is not drawn, and the table of the commonest."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import matplotlib as mpl
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis import journeys
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.moves import moves_chart, moves_table
from tests.journey_logs import NAMES, log


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """40 go from the website to the shop, 20 of them to the shop again, 15 to the till, 3 to the desk."""
    events = [(who, 0, "Website") for who in range(40)] + [(who, 1, "Shop") for who in range(40)]
    events += [(who, 2, "Shop") for who in range(20)] + [(who, 2, "Till") for who in range(20, 35)]
    events += [(who, 2, "Desk") for who in range(35, 38)]
    return journeys.transitions(log(*events), **NAMES, min_n=10)


def test_the_chart_says_the_finding_and_draws_the_cells(frame: pd.DataFrame) -> None:
    chart = moves_chart(frame)
    assert chart.finding == (
        "From Website customers most often go on to Shop (100.0 %, interval 91.2 to 100.0 %); "
        "Shop most often follows itself (57.1 %, interval 40.9 to 72.0 %)"
    )
    said = words(chart)
    for told in ("57.1 %", "40.9 to 72.0", "42.9 %", "Website", "Till"):
        assert told in said
    assert "Website: 100.0 % to Shop. " in chart.alt
    assert "Shop: 57.1 % to Shop, 42.9 % to Till." in chart.alt
    assert chart.alt.endswith(" 1 move is hidden.")
    assert len(canvas.png(chart)) > 5_000


def test_a_step_that_nearly_all_take_is_no_finding() -> None:
    """Of 1,000 all pay after the checkout; of those at the website four fifths go on: that is what is told."""
    events = [(who, 0, "Website") for who in range(1_000)]
    events += [(who, 1, "Checkout" if who < 800 else "Shop") for who in range(1_000)]
    events += [(who, 2, "Payment") for who in range(800)]
    events += [(who, 0, "Checkout") for who in range(1_000, 1_100)] + [(w, 1, "Payment") for w in range(1_000, 1_100)]
    chart = moves_chart(journeys.transitions(log(*events), **NAMES))
    assert chart.finding == "From Website customers most often go on to Checkout (80.0 %, interval 77.4 to 82.4 %)"


def test_the_taxonomy_orders_and_the_rest_is_told(frame: pd.DataFrame) -> None:
    points = {name: SimpleNamespace(title=name) for name in ("Till", "Website", "Shop")}
    chart = moves_chart(frame, points, most=2)
    assert "Not drawn: 2 touchpoints with fewer moves." in words(chart)
    order = [text.get_text() for text in chart.texts if text.get_text() in ("Website", "Shop")]
    assert order[0] == "Website"


def test_the_table_lists_the_commonest(frame: pd.DataFrame) -> None:
    table = moves_table(frame, most=2)
    assert [key[0] for key in table.grid.keys] == ["Website", "Shop"]
    assert table.grid.keys[1][1] == "Shop, again"
    assert table.grid.columns["Moves"][0].text == "40"
    assert table.below == "1 rarer move is not listed; 1 move of few customers is hidden and not counted in the shares."


def test_nothing_to_show_says_why() -> None:
    none = journeys.transitions(log(("x", 0, "a")), **NAMES)
    assert "no customer has two events" in words(moves_chart(none))
    assert "no customer has two events" in moves_table(none)
    assert "no moves" in words(moves_chart(results.empty()))
    hidden = journeys.transitions(log(("x", 0, "a"), ("x", 1, "b")), **NAMES, min_n=10)
    assert "no moves that may be shown" in words(moves_chart(hidden))
