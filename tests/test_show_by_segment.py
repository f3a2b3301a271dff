"""Every metric by every segment: marks where it moved, words where nothing may be shown, one line for the rest."""

from __future__ import annotations

import explored
import show_frames as frames

from cxlib import charts, results, tables
from cxlib.params.models import Segment

METRICS, LAST = frames.METRICS, frames.LAST
NPS = METRICS["nps"]
SEGMENTS = {name: Segment(id=name, title=name.title(), column=name) for name in ("region", "plan", "touchpoint")}


def cuts() -> results.pd.DataFrame:
    """Return two metrics by region and one by plan; the other cannot be cut so."""
    plan = frames.level_rows("nps", LAST, [20.0, 31.0], 4.0, [300, 400], segment="plan", level=["Basic", "Pro"])
    none = results.frame(metric="csat_top2", period=LAST, segment="plan", status="undefined", note="no plan there")
    region = frames.levels("csat_top2")
    return results.concat([explored.rows(), region[region["segment"] != "all"], plan, none])


def test_the_grid_has_a_row_a_level_and_a_column_a_metric() -> None:
    html = tables.by_segment_table(cuts(), METRICS, SEGMENTS)
    assert html.grid is not None
    assert html.grid.keys[:2] == (("Region", "Centre"), ("Region", "East"))
    assert html.grid.keys[-2:] == (("Plan", "Basic"), ("Plan", "Pro"))
    assert len(html.grid.columns) == 2
    assert "+4.1 points since the period before" in html
    assert "−1.0" not in html  # it did not move
    assert "hidden: small group" in html
    assert "n 300" in html
    assert "Not measured by Plan: Customers satisfied (top two boxes)." in html
    assert html.count("Not measured") == 1


def test_a_frame_without_segments_says_so() -> None:
    assert "no levels of a segment" in tables.by_segment_table(frames.scorecard(), METRICS, SEGMENTS)
    assert "no levels of a segment" in charts.alt_text(charts.every_level(frames.scorecard(), NPS, SEGMENTS))


def test_the_smallest_of_many_levels_are_named_as_left_out() -> None:
    many = frames.levels("nps", segment="touchpoint", count=30)
    html = tables.by_segment_table(many, METRICS, SEGMENTS)
    assert html.grid is not None
    assert len(html.grid.keys) == 24
    assert "The 6 smallest levels of touchpoint are not in the table." in html


def test_touchpoints_have_their_titles() -> None:
    journey, taxonomy = frames.journey(), frames.TOUCHPOINTS
    html = tables.by_segment_table(journey, METRICS, SEGMENTS, taxonomy)
    assert html.grid is not None
    titles = [level for _, level in html.grid.keys]
    assert titles == sorted(titles)
    assert "billing" not in titles
    assert "Billing" in titles
    assert "Touchpoint: Billing" in charts.alt_text(
        charts.every_level(journey, METRICS["csat_top2"], SEGMENTS, taxonomy)
    )


def test_segments_stand_in_the_order_of_the_page() -> None:
    turned = {name: SEGMENTS[name] for name in ("plan", "region")}
    html = tables.by_segment_table(cuts(), METRICS, turned)
    assert html.grid is not None
    assert list(dict.fromkeys(segment for segment, _ in html.grid.keys)) == ["Plan", "Region"]


def test_all_levels_stand_on_one_scale() -> None:
    alt = charts.alt_text(charts.every_level(cuts(), NPS, SEGMENTS))
    assert "Plan: Pro: +31.0 (interval" in alt
    assert "Region: Islands: hidden: small group" in alt
    assert "all together" in alt
    assert "driver" not in alt
