"""Leads on the page: the most money lost first, intervals, and what is not known said."""

from __future__ import annotations

import matplotlib as mpl

from cxlib import results
from cxlib.show.leakage import leakage_chart, leakage_table
from tests import promise_frames

NAMES = {"search_ad": "Search advertising"}


def words(fig: mpl.figure.Figure) -> str:
    return " ".join(text.get_text() for text in fig.findobj(mpl.text.Text)).replace("\u00a0", " ")


def test_the_chart_ranks_by_money_and_names_the_source_without_costs() -> None:
    chart = leakage_chart(promise_frames.leaking(), names=NAMES)
    assert "% of leads do not buy within 90 days; most money is lost on Search advertising: €" in chart.finding
    said = words(chart)
    assert "Event: no costs are recorded for this source." in said.replace("\n", " ")
    assert said.index("Search advertising") < said.index("Social")
    assert "cost per first order €" in chart.alt


def test_one_source_is_called_the_worst_only_where_it_is() -> None:
    frame = promise_frames.leaking()
    wide = frame.assign(conf_low=frame["conf_low"].mask(frame["metric"] == "money_lost", 1.0))
    assert (
        "Search advertising is among the sources on which most money is lost"
        in leakage_chart(wide, names=NAMES).finding
    )


def test_the_table() -> None:
    table = leakage_table(promise_frames.leaking(), names=NAMES)
    assert [key[0] for key in table.grid.keys] == ["All", "Search advertising", "Social", "Event"]
    row = [column[3].text for column in table.grid.columns.values()]
    assert row[0] == "60 · 21.7 % still open"
    assert row.count("not available · no costs are recorded for this source") == 4
    free = leakage_table(promise_frames.leaking(with_costs=False))
    assert list(free.grid.columns) == ["Leads", "Did not buy", "Kept"]
    assert "what they cost is not known" in leakage_chart(promise_frames.leaking(with_costs=False)).finding


def test_where_there_is_nothing() -> None:
    none = results.frame(metric="leakage", status="undefined", note="only people who bought are recorded")
    assert leakage_chart(none).finding == "Nothing to show: only people who bought are recorded"
    assert "only people who bought are recorded" in leakage_table(none)
    assert leakage_table(results.empty()).grid is None
