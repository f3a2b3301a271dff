"""Promises on the page: the finding in the title, the survey asked before arrival, words where nothing is."""

from __future__ import annotations

import matplotlib as mpl
import pytest

from cxlib import results
from cxlib.analysis.journeys import promise
from cxlib.show.page_loads import page_load_chart
from cxlib.show.promise import promise_chart, promise_table
from tests import promise_frames


@pytest.fixture(scope="module")
def frame():
    return promise_frames.kept()


def words(fig: mpl.figure.Figure) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def test_the_chart_says_how_many_promises_were_kept(frame) -> None:
    chart = promise_chart(frame)
    row = frame[(frame["metric"] == promise.KEPT) & (frame["at"] == "")].iloc[0]
    assert chart.finding.startswith(
        f"{100 * row['estimate']:.1f} % of delivery promises were kept; one parcel in twenty"
    )
    assert "days after the promise" in words(chart)
    assert "October 2026" in chart.alt
    assert chart.alt.count("%") > 10
    monthly = next(axes for axes in chart.axes if axes.get_label() == "kept by month")
    assert len([line for line in monthly.lines if line.get_marker() == "o"]) == 3  # the whole is no month


def test_the_table_names_the_defect(frame) -> None:
    table = promise_table(frame, titles={"csat_mean": "Satisfaction"})
    cells = {key[1]: [column[place].text for column in table.grid.columns.values()]
             for place, key in enumerate(table.grid.keys)}  # fmt: skip
    assert "defect found" in cells["Sent before arrival"][0]
    assert "all else equal such answers are" in cells["Sent before arrival"][2]
    assert cells["Satisfaction when asked before arrival"][0].startswith("−0.")
    assert "no difference shown" not in cells["Led to a contact"][2]
    assert cells["Half came by"][0].startswith("1 day early") or "days early" in cells["Half came by"][0]
    assert "Three quarters within" in cells
    assert "<script" not in table


def test_loading_times(frame) -> None:
    chart = page_load_chart(frame, names={"website": "Website", "checkout": "Online checkout"})
    assert chart.finding.startswith("Three quarters of pages load within")
    assert "end in an order less often" in chart.finding
    assert "not shown" not in chart.finding
    assert "Online checkout" in words(chart)
    assert "Website, p50: " in chart.alt
    levels = frame[(frame["metric"] != "visit_ends_in_order")]
    assert "order" not in page_load_chart(levels).finding


def test_where_there_is_nothing_the_page_says_why(frame) -> None:
    none = results.frame(metric=[promise.KEPT, "early_surveys", "bills_leading_to_contact", "page_load"],
                         period="2026-10", status="undefined",
                         note=["this workspace has no orders", "a", "b", "c"])  # fmt: skip
    assert promise_chart(none).finding == "Nothing to show: this workspace has no orders"
    assert page_load_chart(none).finding == "Nothing to show: c"
    table = promise_table(none)
    assert "this workspace has no orders" in table
    assert len(table.grid.keys) == 4
    assert promise_table(results.empty()).grid is None
    assert promise_chart(results.empty()).finding.startswith("Nothing to show")
    hidden = frame[frame["metric"] == promise.OUTCOME].iloc[:1].assign(status="suppressed")
    some = results.concat([frame[frame["metric"] == promise.KEPT], results.conform(hidden)])
    assert "hidden: small group" in promise_table(some)
