"""One metric as a reader chose to see it: every number with its interval, what is hidden in words."""

from __future__ import annotations

import explored
import pytest
import show_frames as frames

from cxlib import charts, results
from cxlib.show import chosen

NPS, LAST, BEFORE = frames.METRICS["nps"], explored.LAST, explored.BEFORE


def test_the_table_has_the_whole_first_and_words_for_what_is_hidden() -> None:
    html = chosen.level_changes_table(explored.rows(), NPS, "region", LAST, BEFORE)
    assert html.grid is not None
    assert html.grid.keys[0] == ("All",)
    assert {key[0] for key in html.grid.keys} == {"All", "North", "South", "East", "West", "Islands", "Centre"}
    assert list(html.grid.columns) == ["October 2026", "n", "Since September 2026", "Adjusted p"]
    assert "hidden: small group" in html
    assert "▲" in html
    assert "not compared" in html  # East has no difference
    assert "0.030" in html
    assert list(chosen.level_changes_table(explored.rows(), NPS, "region", LAST).grid.columns) == ["October 2026", "n"]
    against = chosen.level_changes_table(explored.rows(), NPS, "region", LAST, "target")
    assert "Against target +40.0" in against


def test_without_rows_table_and_charts_say_so() -> None:
    assert "nothing is published of it by plan" in chosen.level_changes_table(explored.rows(), NPS, "plan", LAST)
    assert "Nothing to show" in charts.alt_text(chosen.level_changes(explored.rows(), NPS, "plan", LAST, "2020-01"))


def test_the_chart_says_which_levels_moved() -> None:
    chart = chosen.level_changes(explored.rows(), NPS, "region", LAST, BEFORE)
    assert chart.finding == "Net Promoter Score by region: other than September 2026 in North (+4.1 points)"
    assert "North: +4.1 points (+2.1 to +6.1 points) up, better" in charts.alt_text(chart)
    assert "South: −1.0 points (−3.0 to +1.0 points) no change shown" in charts.alt_text(chart)
    still = explored.rows().assign(verdict="not shown")
    chart = chosen.level_changes(results.conform(still), NPS, "region", LAST, BEFORE)
    assert chart.finding.endswith("no difference from September 2026 shown for any level")
    assert chosen.level_changes(explored.rows(), NPS, "region", LAST, BEFORE, finding="Said").finding == "Said"


def test_hidden_differences_are_words_in_the_chart() -> None:
    frame = explored.rows()
    hidden = frames.with_status(frame, (frame["level"] == "South") & (frame["against"] == BEFORE), "suppressed", "few")
    assert "South: hidden: small group" in charts.alt_text(chosen.level_changes(hidden, NPS, "region", LAST, BEFORE))


def test_levels_over_time_have_a_panel_each() -> None:
    levels = [explored.earlier(), explored.rows()]
    chart = chosen.levels_over_time(results.concat(levels), NPS, "region")
    assert chart.finding == "Net Promoter Score by region, period by period"
    assert [axes.get_label() for axes in chart.axes if axes.get_label() in ("North", "West")] or len(chart.axes) == 5


@pytest.mark.parametrize("estimate", [float("nan"), 0.0])
def test_an_order_without_numbers(estimate: float) -> None:
    rows = [{"segment": "region", "level": name, "estimate": estimate} for name in "ba"]
    assert [row["level"] for row in chosen._ordered(rows)] == ["a", "b"]
