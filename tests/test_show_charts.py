"""Charts: their structure, their words, and that they are the same bytes twice."""

from __future__ import annotations

import ast
import base64
import gc
import math
import re
import warnings
import weakref
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from cxlib import results
from cxlib.errors import UsageError
from cxlib.periods import Period
from cxlib.reports.page import style as page_style
from cxlib.show import canvas, charts, heat, style
from cxlib.show.charts import Chart
from cxlib.show.formats import STATUS_WORDS
from tests.show_frames import (
    LAST,
    METRICS,
    MONTHS,
    TOUCHPOINTS,
    difference,
    history,
    journey,
    level_rows,
    levels,
    metric,
    scorecard,
    with_status,
)

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _every_chart(frame: pd.DataFrame | None = None) -> list[Chart]:
    card = scorecard() if frame is None else frame
    return [
        charts.small_multiples(card, METRICS),
        charts.headline(card, METRICS),
        charts.interval_bars(levels() if frame is None else card, METRICS["csat_top2"]),
        charts.heatmap(journey() if frame is None else card, METRICS["csat_top2"], TOUCHPOINTS),
    ]


def _words(fig: Chart) -> str:
    return " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())


def _panel(fig: Chart, name: str) -> mpl.axes.Axes:
    return next(axes for axes in fig.axes if axes.get_label() == name)


# -- every chart


def test_every_chart_has_title_alt_text_and_leaves_no_figure_open() -> None:
    import matplotlib.pyplot as plt

    for fig in _every_chart():
        assert fig.finding
        assert fig.finding.split()[0] in _words(fig)
        assert charts.alt_text(fig).startswith(fig.finding)
        assert charts.alt_text(fig).endswith(".")
        assert "nan" not in charts.alt_text(fig)
    assert plt.get_fignums() == []


def test_a_finding_of_the_author_replaces_the_title() -> None:
    frame = scorecard()
    found = "Faster delivery, happier customers"
    for fig in (
        charts.small_multiples(frame, METRICS, finding=found),
        charts.headline(frame, METRICS, finding=found),
        charts.interval_bars(levels(), METRICS["csat_top2"], finding=found),
        charts.heatmap(journey(), METRICS["csat_top2"], TOUCHPOINTS, finding=found),
    ):
        assert fig.finding == found
        assert found in _words(fig)


def test_an_empty_frame_says_so() -> None:
    for fig in _every_chart(results.empty()):
        assert fig.finding.startswith("Nothing to show: the frame holds no")
        assert charts.alt_text(fig).startswith("Nothing to show:")


def test_same_frame_same_bytes(tmp_path: Path) -> None:
    frame = history(["nps", "csat_top2"])
    one, two = (
        charts.save(charts.small_multiples(frame, METRICS), tmp_path / name, "trend") for name in ("one", "two")
    )
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in one] == ["trend.png", "trend.svg"]
    assert one[0].read_bytes().startswith(PNG)
    assert b"<dc:date>" not in one[1].read_bytes()
    assert b"Net Promoter Score" in one[1].read_bytes()  # the alt text, for who cannot see the picture


def test_settings_of_the_reader_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    charts.html(charts.headline(history(["nps"]), METRICS))
    assert dict(mpl.rcParams) == before


def test_a_chart_is_freed_once_nobody_holds_it() -> None:
    fig = charts.headline(history(["nps"]), METRICS)
    charts.html(fig)
    gone = weakref.ref(fig)
    del fig
    gc.collect()
    assert gone() is None


def test_html_carries_the_picture_and_escaped_words() -> None:
    frame = levels()
    frame["level"] = frame["level"].replace({"North": '<script>alert("1")</script>'})
    page = charts.html(charts.interval_bars(frame, METRICS["csat_top2"]), name="by region/1")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(&quot;1&quot;)" in page
    assert re.match(
        r'<figure class="cx-figure mathjax_ignore" id="by-region-1"><img alt="[^"<>]+" src="data:image/png;base64,',
        page,
    )
    assert page.endswith("</figcaption></figure>")
    picture = base64.b64decode(re.search(r'base64,([^"]+)"', page)[1])
    assert picture.startswith(PNG)
    assert charts.html(charts.interval_bars(frame, METRICS["csat_top2"]), alt='"A"').count("&quot;A&quot;") == 2


def test_a_picture_in_a_page_stays_light() -> None:
    many = {f"m{i}": metric("nps", id=f"m{i}") for i in range(23)}
    frame = results.concat([results.label(history(["nps"], seed=i), metric=f"m{i}") for i in range(23)])
    page = charts.html(charts.small_multiples(frame, many))
    assert len(base64.b64decode(re.search(r'base64,([^"]+)"', page)[1])) < 300_000


def test_a_notebook_shows_the_figure_with_its_alt_text() -> None:
    assert "<img alt=" in charts.headline(history(["nps"]), METRICS)._repr_html_()


# -- small multiples


def test_small_multiples_panel_by_panel() -> None:
    fig = charts.small_multiples(scorecard(), METRICS)
    assert [axes.get_label() for axes in fig.axes] == list(METRICS)
    units = {axes.get_label(): axes.get_ylabel().replace("\n", " ") for axes in fig.axes}
    assert units["nps"] == "points"
    assert units["csat_top2"] == "percent"
    assert units["wait_p50"] == "minutes"
    assert units["aov"] == "EUR"
    assert units["complaint_rate"] == "per 1,000 customer-months"
    assert all(units.values())


def test_small_multiples_draw_what_the_frame_holds() -> None:
    frame = history(["csat_top2"])
    panel = _panel(charts.small_multiples(frame, METRICS), "csat_top2")
    line = next(line for line in panel.lines if len(line.get_xdata()) == len(MONTHS))
    np.testing.assert_allclose(line.get_ydata(), frame["estimate"] * 100)
    dashed = [line for line in panel.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == pytest.approx([82.0])
    assert panel.get_xticklabels()[0].get_text() == "Oct\n2025"
    assert panel.get_xticklabels()[-1].get_text() == "Oct"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("moved", "+33.2, up from +32.4 the month before"),
        ("not shown", "+33.2; +32.4 the month before, no change shown"),
        ("could not have been seen", "+33.2; +32.4 the month before, too few to tell"),
        ("", "+33.2; +32.4 the month before"),
    ],
)
def test_a_direction_is_said_only_where_the_verdict_shows_one(verdict: str, said: str) -> None:
    frame = results.concat([history(["nps", "csat_top2"]), difference("nps", "2026-09", 0.8, 2.0, verdict)])
    frame.loc[(frame["metric"] == "nps") & (frame["comparison"] == "level"), "estimate"] = [20.0] * 11 + [32.4, 33.2]
    assert said in _words(charts.small_multiples(frame, METRICS, finding="x"))
    fig = charts.small_multiples(frame[frame["metric"] == "nps"], METRICS)
    assert fig.finding == f"Net Promoter Score: {said}"


def test_the_finding_counts_and_names_what_moved() -> None:
    assert charts.small_multiples(scorecard(), METRICS).finding == (
        "Net Promoter Score and Complaints rose and Churn on customer-time fell in October 2026; "
        "no change shown for 6 more, 3 with too few answers to tell"
    )
    still = scorecard().assign(verdict="not shown")
    assert charts.small_multiples(still, METRICS).finding == (
        "No change shown in October 2026 against September 2026 for any of 9 metrics"
    )
    assert charts.small_multiples(history(), METRICS).finding == "9 metrics, October 2025 to October 2026"
    moved = scorecard().assign(verdict="moved")
    assert charts.small_multiples(moved, METRICS).finding.startswith("9 metrics moved in October 2026: ")


def test_gaps_are_gaps_with_a_mark() -> None:
    frame = history(["nps"])
    frame = with_status(frame, frame["period"].isin(["2026-02", "2026-03"]), results.SUPPRESSED)
    frame = with_status(frame, frame["period"] == "2026-05", results.UNDEFINED)
    frame = frame[frame["period"] != "2026-06"]
    fig = charts.small_multiples(frame, METRICS)
    panel = _panel(fig, "nps")
    line = next(line for line in panel.lines if len(line.get_xdata()) == 13)
    assert list(np.flatnonzero(np.isnan(line.get_ydata().astype(float)))) == [4, 5, 7, 8]
    marks = [
        (line.get_marker(), line.get_xdata()[0]) for line in panel.lines if line.get_markeredgecolor() == style.GREY
    ]
    assert marks == [("o", 4), ("o", 5), ("x", 7), ("x", 8)]
    assert "4 of 13 periods without a figure" in charts.alt_text(fig)


@pytest.mark.parametrize("status", [results.SUPPRESSED, results.TOO_FEW])
def test_a_metric_without_any_number_says_why(status: str) -> None:
    frame = with_status(history(["nps", "aov"]), history(["nps", "aov"])["metric"] == "nps", status)
    fig = charts.small_multiples(frame, METRICS)
    assert _panel(fig, "nps").texts[0].get_text() == STATUS_WORDS[status]
    assert f"Net Promoter Score: {STATUS_WORDS[status]} in October 2026." in charts.alt_text(fig)


def test_a_metric_that_nothing_was_asked_about_has_no_panel() -> None:
    frame = scorecard()
    frame = with_status(frame, frame["metric"] == "aov", results.UNDEFINED)
    for fig in (charts.small_multiples(frame, METRICS), charts.headline(frame, METRICS)):
        assert "Average order value" not in charts.alt_text(fig)


def test_alt_text_of_a_trend_has_value_interval_period_and_direction() -> None:
    frame = level_rows("csat_top2", ["2026-08", "2026-09", LAST], [0.75, 0.78, 0.808], 0.026, 151)
    said = charts.alt_text(charts.small_multiples(frame, METRICS))
    assert "80.8 % (interval 78.2 to 83.4 %) in October 2026, after 75.0 % in August 2026; target 82.0 %." in said


@pytest.mark.parametrize("count", [1, 2, 4, 5, 23])
def test_panels_never_overlap(count: int) -> None:
    many = {f"m{i}": metric("nps", id=f"m{i}", title=f"{'A long title of ' * (i % 5)}metric {i}") for i in range(count)}
    frame = results.concat([results.label(history(["nps"], seed=i), metric=f"m{i}") for i in range(count)])
    fig = charts.small_multiples(frame, many)
    assert len(fig.axes) == count
    with style.theme():
        renderer = fig.canvas.get_renderer()
        boxes = [axes.get_tightbbox(renderer) for axes in fig.axes]
        boxes += [text.get_window_extent(renderer) for text in fig.texts if text.get_text()]
    inside = fig.bbox
    for place, box in enumerate(boxes):
        assert box.x0 >= inside.x0 - 1
        assert box.x1 <= inside.x1 + 1
        assert box.y0 >= inside.y0 - 1
        # Two points of grace: the boxes of letters hold room for accents that are not there.
        assert not [other for other in boxes[:place] if _overlap(box, other) > 2]


def _overlap(one: mpl.transforms.Bbox, two: mpl.transforms.Bbox) -> float:
    return min(min(one.x1, two.x1) - max(one.x0, two.x0), min(one.y1, two.y1) - max(one.y0, two.y0))


@pytest.mark.parametrize(
    ("values", "half", "n"),
    [
        ([-40.0, -55.5, -100.0], 3.0, 400),
        ([1e12, 3e12, 2e12], 1e11, 10),
        ([0.0, 0.0, 0.0], 0.0, 5),
        ([100.0, 100.0, 100.0], math.nan, 1),
        ([1e-9, 2e-9, 1e-9], 1e-10, 50),
        ([5.0, 6.0, 7.0], math.inf, 3),
    ],
)
@pytest.mark.parametrize("name", ["nps", "wait_p50"])
def test_strange_numbers_are_drawn(name: str, values: list[float], half: float, n: int) -> None:
    frame = level_rows(name, MONTHS[-3:], values, half, n)
    for fig in (charts.small_multiples(frame, METRICS), charts.headline(frame, METRICS)):
        assert charts.html(fig)
        assert "nan" not in _words(fig)


@pytest.mark.parametrize("label", ["2026-Q3", "2026-W40", "2026-10"])
def test_periods_of_every_kind(label: str) -> None:
    periods = [str(period) for period in Period.parse(label).last(5)]
    fig = charts.small_multiples(level_rows("nps", periods, [1.0, 2, 3, 4, 5], 1.0, 90), METRICS)
    kind = Period.parse(label).kind
    assert f"the {kind} before" in fig.finding
    assert charts.html(fig)


def test_one_period_and_chosen_periods() -> None:
    frame = history(["nps"])
    assert charts.html(charts.small_multiples(frame[frame["period"] == LAST], METRICS))
    fig = charts.small_multiples(frame, METRICS, periods=["2026-01", "2026-02", "2026-03"])
    assert "in March 2026" in charts.alt_text(fig)


# -- headline


def test_headline_rows_share_the_target_and_better_is_right() -> None:
    fig = charts.headline(scorecard(), METRICS)
    assert [axes.get_label() for axes in fig.axes] == list(METRICS)
    churn, nps = _panel(fig, "churn"), _panel(fig, "nps")
    assert churn.get_xlim()[0] > churn.get_xlim()[1]
    assert nps.get_xlim()[0] < nps.get_xlim()[1]
    for name in ("churn", "nps", "csat_top2"):
        assert np.mean(_panel(fig, name).get_xlim()) == pytest.approx(METRICS[name].target)


def test_headline_says_verdicts_in_words_and_shapes() -> None:
    fig = charts.headline(scorecard(), METRICS)
    words = _words(fig)
    assert "▼ below target, worse" in words
    assert "○ no difference shown" in words
    assert "◇ too few to tell" in words
    assert "no target" in words
    assert fig.finding.startswith("October 2026: Net Promoter Score is worse than target")
    marks = {
        axes.get_label(): [line.get_marker() for line in axes.lines if line.get_marker() != "None"] for axes in fig.axes
    }
    assert marks["nps"] == ["s"]
    assert marks["churn"] == ["o"]


# -- levels of a segment


def test_levels_are_ranked_with_n_and_the_whole_as_a_line() -> None:
    frame = levels()
    fig = charts.interval_bars(frame, METRICS["csat_top2"])
    axes = _panel(fig, "levels")
    shown = [label.get_text() for label in axes.get_yticklabels()]
    rest = frame[frame["segment"] == "region"].sort_values("estimate", ascending=False)
    assert shown == list(rest["level"])
    assert axes.get_xlabel() == "Customers satisfied (top two boxes), percent"
    assert f"n {int(rest['n'].iloc[0])}" in _words(fig)
    assert "all: 79.0 %" in _words(fig)
    lower = charts.interval_bars(levels("wait_p50"), METRICS["wait_p50"])
    best = levels("wait_p50").query("segment == 'region'").sort_values("estimate")["level"].iloc[0]
    assert _panel(lower, "levels").get_yticklabels()[0].get_text() == best


def test_hidden_levels_come_last_with_their_words() -> None:
    frame = with_status(levels(), levels()["level"].isin(["North"]), results.SUPPRESSED)
    fig = charts.interval_bars(frame, METRICS["csat_top2"])
    assert _panel(fig, "levels").get_yticklabels()[-1].get_text() == "North"
    assert "hidden: small group" in _words(fig)
    every = with_status(levels(), levels()["segment"] == "region", results.UNDEFINED)
    assert charts.interval_bars(every, METRICS["csat_top2"]).finding.endswith("by region: not available")


def test_many_hidden_levels_are_named_and_not_drawn() -> None:
    blank = ["North", "South", "East", "West"]
    frame = with_status(levels(), levels()["level"].isin(blank), results.SUPPRESSED)
    fig = charts.interval_bars(frame, METRICS["csat_top2"])
    assert {label.get_text() for label in _panel(fig, "levels").get_yticklabels()} == {"Islands", "Centre"}
    assert "Hidden, too few answers or not available: " in _words(fig)
    assert all(name in _words(fig) and f"{name}: hidden" in charts.alt_text(fig) for name in blank)


def test_many_and_strange_levels() -> None:
    fig = charts.interval_bars(levels(count=500), METRICS["csat_top2"])
    assert "The 460 smallest levels are not drawn." in _words(fig)
    frame = levels(count=3)
    frame["level"] = frame["level"].replace({"North": "$x^2$ " + "W" * 300, "South": "日本 🙂", "East": ""})
    assert charts.html(charts.interval_bars(frame, METRICS["csat_top2"]))
    assert charts.html(charts.interval_bars(levels(count=1), METRICS["csat_top2"]))


def test_two_segments_need_a_name() -> None:
    frame = results.concat([levels(), levels(segment="plan")])
    with pytest.raises(UsageError, match="2 segments \\(plan, region\\)"):
        charts.interval_bars(frame, METRICS["csat_top2"])
    assert "by plan" in charts.interval_bars(frame, METRICS["csat_top2"], "plan").finding


def test_charts_of_one_metric_take_it_or_its_id() -> None:
    frame = results.concat([levels(), levels("nps")])
    with pytest.raises(UsageError, match="2 metrics \\(csat_top2, nps\\): name the one"):
        charts.interval_bars(frame, METRICS)
    with pytest.raises(UsageError, match="name the one"):
        charts.heatmap(journey(), METRICS, TOUCHPOINTS)
    said = "Net Promoter Score by region"
    assert charts.interval_bars(frame, METRICS, metric="nps").finding.startswith(said)
    assert charts.interval_bars(frame, METRICS["nps"]).finding.startswith(said)
    assert charts.interval_bars(levels("nps"), METRICS).finding.startswith(said)
    assert charts.heatmap(journey(), METRICS, TOUCHPOINTS, metric="items").finding.startswith("Items per order")


# -- heat map


def test_heatmap_has_a_cell_a_touchpoint_in_its_stage() -> None:
    frame = journey()
    fig = charts.heatmap(frame, METRICS["csat_top2"], TOUCHPOINTS)
    groups = [axes for axes in fig.axes if axes.get_label() in heat.GROUPS]
    assert [axes.get_label() for axes in groups] == ["before", "during", "after", "service"]
    assert sum(len(axes.patches) for axes in groups) == len(set(frame["level"]) & set(TOUCHPOINTS))
    checkout = groups[1].patches[0]
    assert int(checkout.get_x()) == heat.STAGES.index("purchase")
    after = {text.get_text() for text in groups[2].texts}
    assert {"hidden", "not available"} <= after
    assert sum(patch.get_hatch() is not None for axes in groups for patch in axes.patches) == 2
    assert "Not measured at: Advert." in _words(fig)
    assert "Not placed in the journey: unclassified" in _words(fig)
    assert "Service: Phone service" in charts.alt_text(fig)


def test_heatmap_colours_run_from_worse_to_better_around_the_target() -> None:
    for name in ("csat_top2", "wait_p50"):
        goal = METRICS[name]
        ends = [goal.target * 0.8, goal.target * 1.2]
        rows = [{"estimate": v, "conf_low": v * 0.9, "conf_high": v * 1.1, "status": "ok"} for v in ends]
        scale = heat._scale(rows, goal)
        assert scale.norm.vmax == pytest.approx(goal.target * 1.32)  # an interval's end, so that noise is pale
        good = scale.norm.vmax if goal.higher_is_better else scale.norm.vmin
        assert to_rgb(scale.colours(scale.norm(good))[:3]) == pytest.approx(to_rgb(style.BLUE), abs=0.01)
    assert heat._scale([], METRICS["items"]).colours is style.SEQUENTIAL


def test_text_on_every_colour_of_a_cell_can_be_read() -> None:
    """WCAG 2.2, 1.4.3: at least 4.5:1."""
    for palette in (style.SEQUENTIAL, style.DIVERGING):
        for colour in palette(np.linspace(0, 1, 101)):
            assert _contrast(colour[:3], to_rgb(style.text_on(colour))) >= 4.5
    for name in (style.INK, style.GREY, style.BLUE, style.ORANGE):
        assert _contrast(to_rgb(name), to_rgb(style.PAPER)) >= 4.5


def test_text_of_pages_can_be_read_in_light_and_dark() -> None:
    """WCAG 2.2, 1.4.3, by the colours that page.css declares: light first, then dark."""
    found = re.findall(r"--([\w-]+): (#[0-9a-f]{6})", page_style().split("@media print")[0])
    half = len(found) // 2
    for colours in (dict(found[:half]), dict(found[half:])):
        for ink in ("ink", "soft", "link", "better", "worse"):
            for paper in ("paper", "card"):
                assert _contrast(to_rgb(colours[ink]), to_rgb(colours[paper])) >= 4.5
        for paper in ("warn-paper", "bad-paper"):
            assert _contrast(to_rgb(colours["ink"]), to_rgb(colours[paper])) >= 4.5


def _contrast(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# -- words on a sheet, and the rule of the house


def test_lines_fit_their_width() -> None:
    for words in ("a " * 90, "W" * 200, "", "October 2026: 3 min 20 s"):
        lines = canvas.wrap(words, 2.0, 9)
        assert all(canvas.width_of(line, 9) <= 2.0 for line in lines)
        assert "".join("".join(lines).split()) == "".join(words.split())
    assert canvas.wrap("W" * 200, 2.0, 9, lines=2)[-1].endswith("…")
    assert len(canvas.wrap("W" * 200, 2.0, 9, lines=2)) == 2


def test_show_computes_no_statistics() -> None:
    """The frame brings every number: neither numpy, scipy nor an aggregation is used in `show`."""
    banned = {"mean", "std", "var", "median", "quantile", "sem", "groupby", "agg", "corr", "describe", "percentile"}
    for path in Path(charts.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        imported |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not [name for name in imported if name.split(".")[0] in {"numpy", "scipy", "statsmodels", "statistics"}]
        called = {n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)}
        assert not called & banned, path.name
