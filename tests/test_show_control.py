"""Charts over time: the control chart, the three views, the small pictures of the scorecard."""

from __future__ import annotations

import base64
import re
import warnings
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import control as measured
from cxlib.measure import seasonal
from cxlib.periods import Period
from cxlib.show import canvas, control, overtime, sparkline, style
from cxlib.show.formats import Format
from tests.show_frames import METRICS, MONTHS, history, level_rows, metric, with_status

CALM = [1.0, -1.0] * 12
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def series(values: object, name: str = "nps", last: str = "2026-10", half: float = 0.5) -> pd.DataFrame:
    months = [str(period) for period in Period.parse(last).last(len(values))]
    return level_rows(name, months, values, half, np.full(len(values), 500))


def charted(values: object, name: str = "nps", **more: object) -> pd.DataFrame:
    return measured.xmr(series(values, name, **more), METRICS)


def _words(fig: canvas.Chart) -> str:
    return " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())


# -- the control chart


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        (CALM, "nps", "October 2026 is within what this process does by itself"),
        ([*CALM, 9.0], "nps", "October 2026: above the upper limit (an improvement)"),
        ([*CALM, 9.0], "churn", "October 2026: above the upper limit (a concern)"),
        ([*CALM, 9.0], "items", "October 2026: above the upper limit (a signal)"),
        ([*CALM, 9.0, 0.5], "nps", "within what this process does by itself; 1 earlier month stands out"),
        (
            [*CALM, *[0.5] * 8], "nps",
            "8 months in a row above the mean since March 2026: a sign of a lasting change (an improvement)",
        ),
        ([*CALM, 3.4, 3.0, 2.6, 2.2, 1.8, 1.4, 1.0], "nps", "(mixed signals)"),
        ([*CALM, 4.0, 1.0, 4.0], "nps", "October 2026: 2 of 3 months near the upper limit (an improvement)"),
        (CALM[:9], "nps", "too few months: limits need 12 periods with a figure; there are 9"),
    ],
)  # fmt: skip
def test_the_title_says_the_finding(values: list[float], name: str, said: str) -> None:
    fig = control.xmr(charted(values, name), METRICS)
    assert fig.finding.startswith(METRICS[name].title)
    assert said in fig.finding
    assert fig.alt.startswith(fig.finding)
    assert "nan" not in fig.alt


def test_what_is_drawn() -> None:
    frame = charted([*CALM, 9.0])
    axes = control.xmr(frame, METRICS).axes[0]
    lines = frame[(frame["against"] == measured.LIMITS) & (frame["period"] == "2026-10")].iloc[0]
    assert {round(v, 6) for v in (lines["conf_low"], lines["estimate"], lines["conf_high"])} <= {
        round(v, 6) for line in axes.lines for v in line.get_ydata()
    }
    assert {"upper limit +5.3", "mean 0.0", "lower limit −5.3"} <= {text.get_text() for text in axes.texts}
    marks = [(line.get_marker(), line.get_color()) for line in axes.lines if len(line.get_xdata()) == 1]
    assert marks.count(("D", style.BLUE)) == 1
    assert marks.count(("o", style.GREY)) == 24
    assert len(axes.collections) == 25  # one interval a point


def test_a_flagged_point_differs_in_shape_and_colour() -> None:
    shapes = [shape for shape, _, _ in control._MARKS.values()]
    assert len(set(shapes)) == len(shapes)
    fig = control.xmr(charted([*CALM, -9.0]), METRICS)
    marks = {(line.get_marker(), line.get_color()) for line in fig.axes[0].lines if len(line.get_xdata()) == 1}
    assert ("s", style.ORANGE) in marks
    assert "■ a concern" in _words(fig).replace("\n", " ")


def test_gaps_are_marked_and_the_line_breaks() -> None:
    rows = series([*CALM, *CALM])
    rows = with_status(rows, rows["period"] == "2026-03", results.SUPPRESSED, "few")
    fig = control.xmr(measured.xmr(rows[rows["period"] != "2026-05"], METRICS), METRICS)
    line = next(line for line in fig.axes[0].lines if len(line.get_xdata()) == 48)
    assert np.isnan(np.asarray(line.get_ydata(), dtype=float)).sum() == 2
    marks = [item.get_marker() for item in fig.axes[0].lines if len(item.get_xdata()) == 1]
    assert marks.count("x") == 1
    assert "2 of 48 periods without a figure" in fig.alt
    assert "hidden or too few answers" in _words(fig).replace("\n", " ")


def test_several_series_have_a_panel_each() -> None:
    north = results.label(charted([*CALM, -9.0]), segment="region", level="North")
    frame = results.concat([charted(CALM), north, charted([*CALM, 9.0], "churn"), charted(CALM[:9], "items")])
    fig = control.xmr(frame, METRICS)
    assert [axes.get_label() for axes in fig.axes] == [
        "Net Promoter Score", "Net Promoter Score, North", METRICS["churn"].title, METRICS["items"].title,
    ]  # fmt: skip
    assert fig.finding.startswith("October 2026: 2 of 4 series moved beyond what they do by themselves")
    assert "Net Promoter Score, North (a concern)" in fig.finding
    calm = control.xmr(results.concat([charted(CALM), charted(CALM, "items")]), METRICS)
    assert calm.finding == "October 2026: all 2 series are within what they do by themselves"


def test_the_words_tell_each_run_once() -> None:
    fig = control.xmr(charted([*CALM, 9.0, *[0.5] * 8]), METRICS)
    assert fig.alt.count("9 months in a row above the mean since February 2026") == 2  # the title, and the panel
    assert "earlier: February 2026 above the upper limit" in fig.alt
    past = control.xmr(charted([*CALM, *[0.5] * 8, -1.0]), METRICS)
    assert past.alt.count("8 months in a row above the mean since February 2026") == 1
    assert "8 earlier months stand out" in past.finding


def test_a_missing_last_month_is_said() -> None:
    rows = series([*CALM, *CALM])
    rows = with_status(rows, rows["period"] == "2026-10", results.SUPPRESSED, "few")
    assert "October 2026 hidden: small group" in control.xmr(measured.xmr(rows), METRICS).finding


@pytest.mark.parametrize("values", [[0.0] * 30, [1e-12] * 12, [1e9, -1e9] * 8, [0.1] * 24 + [0.2]])
def test_strange_numbers_are_drawn(values: list[float]) -> None:
    for name in ("nps", "csat_top2", "wait_p50", "aov"):
        assert canvas.png(control.xmr(charted(values, name), METRICS))


def test_names_of_lines_stand_apart() -> None:
    """The mean's name is left out where the limits lie so close that it would stand on theirs."""
    fig = control.xmr(charted([*CALM, 900.0]), METRICS)
    assert not any(text.get_text().startswith("mean") for text in fig.axes[0].texts)
    for chart in (fig, control.xmr(charted(CALM), METRICS)):
        chart.draw_without_rendering()
        boxes = [text.get_window_extent() for text in chart.axes[0].texts]
        assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_weeks_quarters_and_bare_numbers() -> None:
    weeks = [str(period) for period in Period.parse("2026-W40").last(25)]
    frame = measured.xmr(level_rows("nps", weeks, [*CALM, 9.0], 0.5, np.full(25, 300)), METRICS)
    assert "above the upper limit" in control.xmr(frame, METRICS).finding
    assert control.xmr(measured.xmr(CALM), METRICS).finding.startswith("Nothing to show")
    assert control.xmr(history(["nps"]), METRICS).finding.startswith("Nothing to show")


# -- three views


def views() -> pd.DataFrame:
    y = 30 + 3 * np.sin(2 * np.pi * np.arange(40) / 12) + 0.05 * np.arange(40)
    base = series(y, half=4.0)
    parts = [base, seasonal.adjusted(base)]
    for k in (12, 3):
        means = [float(np.mean(y[max(end - k, 0) : end])) for end in range(1, 41)]
        parts.append(results.label(series(means, half=4.0 / np.sqrt(k)), at=seasonal.rolled(k))[k - 1 :])
    return results.concat(parts)


def test_three_views_on_one_scale() -> None:
    frame = views()
    fig = overtime.over_time(frame, METRICS)
    assert [axes.get_label() for axes in fig.axes] == [
        "Each month", "Rolling, the last 3 and 12 months", "Each month, season taken out",
    ]  # fmt: skip
    assert len({axes.get_ylim() for axes in fig.axes}) == len({axes.get_xlim() for axes in fig.axes}) == 1
    last = {at: row["estimate"].iloc[-1] for at, row in frame.groupby("at")}
    for at, words in (("", "in October 2026"), ("rolling 3", "over 3 months"), ("rolling 12", "over 12 months")):
        assert f"+{last[at]:.1f} {words}" in fig.finding
    assert "season" not in fig.finding
    assert f"+{last[seasonal.ADJUSTED]:.1f} (" in fig.alt
    assert "The season that is taken out is itself estimated." in _words(fig)
    assert fig.alt.count("interval") == 4
    lines = {str(line.get_linestyle()) for line in fig.axes[1].lines}
    assert {"-", "--"} <= lines  # not told apart by colour alone


def test_views_that_are_not_there_are_left_out() -> None:
    frame = views()
    alone = overtime.over_time(frame[frame["at"] == ""], METRICS["nps"])
    assert len(alone.axes) == 1
    assert "rolling" not in _words(alone).lower()
    few = frame[(frame["at"] == "") & (frame["period"] != "2026-10") | (frame["at"] == "rolling 3")]
    assert "no figures" not in overtime.over_time(few, METRICS).finding
    assert overtime.over_time(results.empty(), METRICS).finding.startswith("Nothing to show")
    with pytest.raises(UsageError, match="name the one"):
        overtime.over_time(history(["nps", "aov"]), METRICS)
    since = results.label(series(CALM), at="since 2026-W20")  # of always-valid looks: another chart's
    assert overtime.over_time(since, METRICS).finding.startswith("Nothing to show: the frame holds no Net Promoter")
    assert overtime.over_time(series(CALM), METRICS["aov"]).finding.startswith("Nothing to show")
    short = seasonal.adjusted(series(CALM[:9]))
    assert overtime.over_time(results.concat([series(CALM[:9]), short]), METRICS).axes


def test_order_of_rows_and_a_second_drawing_change_nothing() -> None:
    frame = views()
    shuffled = frame.sample(frac=1, random_state=3)
    assert canvas.png(overtime.over_time(frame, METRICS)) == canvas.png(overtime.over_time(shuffled, METRICS))
    flagged = charted([*CALM, 9.0])
    assert canvas.svg(control.xmr(flagged, METRICS)) == canvas.svg(control.xmr(flagged, METRICS))


# -- small pictures


def picture(html: str) -> tuple[str, ET.Element]:
    """Return the words and the drawing."""
    found = re.fullmatch(r'<img alt="([^"]+)" width="112" height="40" src="data:image/svg\+xml;base64,([^"]+)">', html)
    assert found
    return found[1], ET.fromstring(base64.b64decode(found[2]))


def drawn(values: list[float], **more: object) -> tuple[str, ET.Element]:
    periods = Period.parse("2026-10").last(len(values))
    rows = series(np.array(values, dtype=float)).to_dict("records")
    points = [None if np.isnan(value) else row for value, row in zip(values, rows, strict=True)]
    return picture(sparkline.sparkline(points, periods, metric("nps", **more), Format()))


def test_a_sparkline_in_words_and_shapes() -> None:
    words, drawing = drawn([30.0, 28.0, 34.0, 31.0], target=40.0)
    assert words == (
        "Net Promoter Score, July 2026 to October 2026: +30.0 in July 2026, +31.0 in October 2026, "
        "lowest +28.0 in August 2026, highest +34.0 in September 2026, target +40.0"
    )
    assert drawing.attrib["role"] == "img"
    assert drawing.attrib["aria-label"] == drawing.find(f"{SVG}title").text == words
    paths = drawing.findall(f"{SVG}path")
    assert len(paths) == 3  # band, line, target
    assert paths[-1].attrib["stroke-dasharray"]
    assert len(drawing.findall(f"{SVG}circle")) == 1
    for path in paths:
        for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path.attrib["d"]):
            assert 0 <= float(x) <= sparkline.WIDTH
            assert 0 <= float(y) <= sparkline.HEIGHT


def test_gaps_of_a_sparkline_break_the_line() -> None:
    words, drawing = drawn([30.0, 31.0, np.nan, 33.0, np.nan, np.nan], target=None)
    assert words.endswith("3 of 6 months without a figure")
    lines = [p for p in drawing.findall(f"{SVG}path") if p.attrib.get("stroke") == style.BLUE]
    assert len(lines) == 1  # the lone month is a dot
    crosses = [p for p in drawing.findall(f"{SVG}path") if p.attrib.get("stroke") == style.GREY]
    assert len(crosses) == 3


def test_hidden_months_have_a_ring_and_nothing_at_all_is_said() -> None:
    periods = [Period.parse(label) for label in MONTHS]
    rows = history(["nps"])
    rows = with_status(rows, rows["period"].isin(MONTHS[:5]), results.SUPPRESSED, "few")
    _, drawing = picture(sparkline.sparkline(rows.to_dict("records"), periods, METRICS["nps"], Format()))
    assert len([c for c in drawing.findall(f"{SVG}circle") if c.attrib.get("stroke") == style.GREY]) == 5
    words, _ = picture(sparkline.sparkline([None] * 13, periods, METRICS["nps"], Format()))
    assert words == "Net Promoter Score, October 2025 to October 2026: no figure"


@pytest.mark.parametrize("values", [[5.0, 5.0], [0.0] * 13, [1e12, -1e12, 3.0]])
def test_strange_sparklines(values: list[float]) -> None:
    assert "nan" not in ET.tostring(drawn(values, target=None)[1]).decode()


def test_a_sparkline_loads_and_runs_nothing() -> None:
    evil = metric("nps", title='<script>alert("1")</script>')
    rows = series([1.0, 2.0, 3.0]).to_dict("records")
    html = sparkline.sparkline(rows, Period.parse("2026-10").last(3), evil, Format())
    assert "<script" not in html
    drawing = base64.b64decode(html.split("base64,")[1][:-2]).decode()
    assert "<script" not in drawing
    assert "href" not in drawing
    assert drawing.count("http") == 1  # the name space
    assert html == sparkline.sparkline(rows, Period.parse("2026-10").last(3), evil, Format())


def test_infinite_limits_stay_in_the_picture() -> None:
    rows = series([1.0, 2.0, 3.0]).assign(conf_high=[1.5, np.inf, 3.5], conf_low=[0.5, -np.inf, 2.5]).to_dict("records")
    _, drawing = picture(sparkline.sparkline(rows, Period.parse("2026-10").last(3), metric("nps"), Format()))
    assert "inf" not in ET.tostring(drawing).decode()
