"""Differences between paths, drawn and told: sorted, with the verdict in shape and word."""

from __future__ import annotations

import pytest

from cxlib import results
from cxlib.show import charts, tables

pytestmark = pytest.mark.filterwarnings("error")
ENDS = ("ended in a complaint", "did not")


def frame():
    gaps = results.frame(
        metric="path", segment=["event", "touch", "pair"], at=ENDS[0], against=ENDS[1], comparison="difference",
        level=["a contact handed on", "Website", "Website, then Order"], estimate=[0.3, 0.04, -0.1],
        conf_low=[0.2, -0.05, -0.16], conf_high=[0.4, 0.13, -0.04], n=400, p_adjusted=[0.001, 0.6, 0.02],
        method="difference of shares, max-T over 3 features, 90 days before, matched on the moment",
        verdict=["moved", "could not have been seen", "moved"],
        note=["", "smallest change that could be seen: 12.0 percentage points", ""],
    )  # fmt: skip
    parts = [
        results.frame(metric="path", segment="x", level=gaps["level"], at=at, comparison="share", estimate=share,
                      conf_low=0.1, conf_high=0.9, n=n)
        for at, share, n in ((ENDS[0], [0.5, 0.44, 0.2], 100), (ENDS[1], [0.2, 0.4, 0.3], 300))
    ]  # fmt: skip
    return results.concat([gaps, *parts])


def test_the_chart_is_sorted_and_says_what_differs() -> None:
    chart = charts.paths_chart(frame())
    assert chart.finding == (
        "A contact handed on: 30.0 points more often in paths that ended in a complaint; "
        "2 of 3 steps are shown to differ"
    )
    words = [text.get_text() for text in chart.texts]
    places = [words.index(name) for name in ("A contact handed on", "Website", "Website, then Order")]
    assert places == sorted(places)
    assert "50.0 % against 20.0 %" in words
    assert "in the 90 days before the end" in " ".join(words)
    assert "Website: +4.0 pp (interval −5.0 to +13.0 pp; 44.0 % against 40.0 %), too few to tell" in chart.alt
    assert "1 more are not drawn" in " ".join(text.get_text() for text in charts.paths_chart(frame(), most=2).texts)


def test_nothing_shown_is_said_so() -> None:
    found = frame()
    still = results.conform(found.assign(verdict=found["verdict"].where(found["verdict"] == "", "not shown")))
    assert charts.paths_chart(still).finding == "No step of 3 is shown to go with paths that ended in a complaint"


def test_the_table_holds_the_rows_of_the_frame() -> None:
    table = tables.paths_table(frame())
    assert len(table.grid.keys) == 3
    assert list(table.grid.columns) == ["Difference", "Ended in a complaint (n 100)", "Did not (n 300)", "Adjusted p"]
    assert "too few to tell" in table.grid.columns["Difference"][1].text
    assert len(table.rows) == 9


def test_nothing_to_show() -> None:
    why = results.frame(metric="path", comparison="difference", status="undefined", note="nobody ended so")
    assert "nobody ended so" in charts.paths_chart(why).alt
    assert "nobody ended so" in tables.paths_table(why)
    assert "Nothing to show" in charts.paths_chart(results.empty()).alt
