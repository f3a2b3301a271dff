"""Tables: what stands in them, for whom they can be read, and that nothing foreign gets in."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from cxlib import results
from cxlib.errors import UsageError
from cxlib.reports.page import clean
from cxlib.reports.page import style as page_style
from cxlib.show import tables
from tests.show_frames import (
    LAST,
    METRICS,
    MONTHS,
    TOUCHPOINTS,
    difference,
    history,
    journey,
    levels,
    metric,
    scorecard,
    with_status,
)

VOID = {"br", "img"}


class _Page(HTMLParser):
    """Rows of text, headings, classes, and whether every tag is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.scopes: list[str] = []
        self.classes: set[str] = set()
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.classes |= set((found.get("class") or "").split())
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "th":
            self.scopes.append(found["scope"] or "")
        if tag == "br" and self.rows:
            self.handle_data(" | ")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def _row(page: str, head: str) -> list[str]:
    return next(row for row in _Page(page).rows if head in row)


def _every_table(frame: pd.DataFrame | None = None) -> list[str]:
    by_level, points = (levels(), journey()) if frame is None else (frame, frame)
    return [
        tables.scorecard(scorecard() if frame is None else frame, METRICS),
        tables.levels(by_level, METRICS),
        tables.touchpoints(points, METRICS, TOUCHPOINTS),
    ]


def test_every_table_is_well_formed_and_accessible() -> None:
    for page in _every_table():
        read = _Page(page)
        assert read.tags.count("table") == read.tags.count("figcaption") == 1
        assert "caption" not in read.tags  # nbconvert's sanitiser would drop it
        assert set(read.scopes) <= {"col", "row", "rowgroup"}
        assert len({len(row) for row in read.rows}) <= 2  # rows of a group lack the group's heading
        assert 'role="region"' in page
        assert 'tabindex="0"' in page
        assert " id=" not in page
        assert " style=" not in page
        assert "nan" not in page


def test_same_frame_same_html() -> None:
    assert _every_table() == _every_table()


def test_every_class_has_a_rule_in_the_css() -> None:
    for table in [*_every_table(), tables.freshness([{"table": "x"}])]:
        for name in _Page(table).classes:
            assert f".{name}" in page_style() or name == "mathjax_ignore"


def test_amounts_are_kept_from_what_sets_formulas() -> None:
    """MathJax, which a notebook or an app may load, skips this class: "$58 to $64" would become a formula."""
    for table in [*_every_table(), *_every_table(results.empty())]:
        assert set(_Page(table).classes) >= {"cx-figure", "mathjax_ignore"}


def test_what_is_not_compared_is_explained_in_the_notes() -> None:
    why = "the difference of two quantiles is not offered"
    frame = results.concat([history(["wait_p50"]), difference("wait_p50", "2026-09", 1.0, 0.5, "")])
    frame = with_status(frame, frame["comparison"] == "difference", results.UNDEFINED, why)
    table = tables.scorecard(frame, METRICS)
    assert _row(table, "Median wait before an agent answers")[4] == "not compared"
    assert why in table.split("<details>")[1]


def test_an_empty_frame_says_so() -> None:
    for page in [*_every_table(results.empty()), tables.freshness([])]:
        assert "Nothing to show:" in page
        assert "<table" not in page


def test_a_notebook_shows_the_table() -> None:
    page = tables.scorecard(scorecard(), METRICS)
    assert page._repr_html_() == str(page)


def test_everything_is_escaped() -> None:
    evil = "<script>alert('x')</script>"
    frame = results.concat([levels(), difference("csat_top2", "2026-09", 0.1, 0.05, "moved")])
    frame = with_status(frame, frame["level"] == "South", results.UNDEFINED, evil)
    frame["level"] = frame["level"].replace({"North": evil})
    frame["method"] = evil
    mine = {"csat_top2": metric("csat_top2", title=evil, question=evil, caveats=(evil,))}
    points = {name: point.model_copy(update={"title": evil}) for name, point in TOUCHPOINTS.items()}
    pages = [
        tables.scorecard(frame, mine, title=evil),
        tables.levels(frame, mine),
        tables.touchpoints(journey(("csat_top2",)), mine, points),
        tables.freshness([{"table": evil, "rows": 3, "newest": "2026-10-31", "warning": evil}], title=evil),
    ]
    for page in pages:
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        _Page(page)


# -- scorecard


def test_scorecard_row_by_row() -> None:
    frame = results.concat(
        [
            results.frame(
                metric="csat_top2", period=LAST, estimate=0.808, conf_low=0.738, conf_high=0.863, n=151,
                method="wilson", definition="abcdefabcdef",
            ),
            difference("csat_top2", "2026-09", 0.021, 0.015, "moved"),
            difference("csat_top2", "2025-10", -0.004, 0.03, "not shown"),
            difference("csat_top2", "target", -0.012, 0.06, "could not have been seen"),
        ]
    )  # fmt: skip
    page = tables.scorecard(frame, METRICS)
    assert _Page(page).rows == [
        ["Metric", "October 2026", "n", "Target", "Since September 2026", "Since October 2025"],
        [
            "Customers satisfied (top two boxes)",
            "80.8 % | 73.8 to 86.3 %",
            "151",
            "82.0 % | ◇ too few to tell",
            "+2.1 pp | +0.6 to +3.6 pp | ▲ up, better",
            "−0.4 pp | −3.4 to +2.6 pp | ○ no change shown",
        ],
    ]
    folded = page.split("<details>")[1]
    assert "wilson" in folded
    assert "abcdefabcdef" in folded
    assert folded.index("welch") < folded.index("adjusted p 0.030")


@pytest.mark.parametrize(
    ("name", "estimate", "against", "said", "tone"),
    [
        ("nps", 3.0, "2026-09", "▲ up, better", "cx-better"),
        ("nps", -3.0, "2026-09", "▼ down, worse", "cx-worse"),
        ("churn", 0.01, "2026-09", "▲ up, worse", "cx-worse"),
        ("churn", -0.01, "2026-09", "▼ down, better", "cx-better"),
        ("items", 0.1, "2026-09", "▲ up", "cx-flat"),
        ("nps", 3.0, "target", "▲ above, better", "cx-better"),
        ("churn", 0.01, "target", "▲ above, worse", "cx-worse"),
    ],
)
def test_a_verdict_has_word_and_shape(name: str, estimate: float, against: str, said: str, tone: str) -> None:
    frame = results.concat([history([name]), difference(name, against, estimate, 0.001, "moved")])
    page = tables.scorecard(frame, METRICS)
    assert any(said in cell for cell in _Page(page).rows[1])
    assert f'<span class="{tone}">' in page


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (results.SUPPRESSED, "hidden: small group"),
        (results.TOO_FEW, "too few to say"),
    ],
)
def test_every_status_has_its_words_and_hides_n(status: str, said: str) -> None:
    frame = results.concat([history(["aov"]), difference("aov", "2026-09", 1.0, 0.5, "moved")])
    frame = with_status(frame, frame["period"] == LAST, status, "the workspace has no table orders")
    value, n, target, before, year, _ = _row(tables.scorecard(frame, METRICS), "Average order value")[1:]
    assert value == said
    assert n == ""
    assert target == "no target"
    assert before == said.split(" | ")[0]
    assert year == "not compared"


def test_metrics_without_an_answer_are_named_with_the_reason() -> None:
    frame = scorecard()
    page = tables.scorecard(with_status(frame, frame["metric"] == "aov", results.UNDEFINED, "no table orders"), METRICS)
    assert "Not available: Average order value (no table orders)." in page
    assert not any(row[0] == "Average order value" for row in _Page(page).rows)


def test_units_too_long_for_a_cell_stand_in_the_heading() -> None:
    page = tables.scorecard(scorecard(), METRICS)
    assert _row(page, "Complaints (per 1,000 customer-months)")[1].count("customer") == 0
    assert _row(page, "Churn on customer-time (a month)")[1].count("month") == 0


def test_an_older_period_can_be_shown() -> None:
    assert "Scorecard, March 2026" in tables.scorecard(history(["nps"]), METRICS, "2026-03")


def test_the_history_of_each_metric_stands_as_a_picture_in_words_too() -> None:
    page = tables.scorecard(scorecard(), METRICS)
    assert _Page(page).rows[0][-1] == "Last\u00a013\u00a0months"
    assert page.count("<img alt=") == len(METRICS)
    pictures = dict(
        re.findall(r'<img alt="([^"]+)" width="112" height="40" src="data:image/svg\+xml;base64,([^"]+)">', page)
    )
    words = next(alt for alt in pictures if alt.startswith("Average order value"))
    assert words.startswith("Average order value, October 2025 to October 2026: €")
    drawn = base64.b64decode(pictures[words]).decode("utf-8")
    assert f"<title>{words}</title>" in drawn
    assert 'role="img"' in drawn


def test_one_period_has_no_history() -> None:
    frame = history(["nps"], MONTHS[-1:])
    assert _Page(tables.scorecard(frame, METRICS)).rows[0][-1] == "Since October 2025"
    assert "<img" not in tables.scorecard(frame, METRICS)
    few = history(["nps"], MONTHS[-3:])
    assert _Page(tables.scorecard(few, METRICS)).rows[0][-1] == "Last\u00a03\u00a0months"


def test_what_cleans_a_page_leaves_the_pictures() -> None:
    page = tables.scorecard(scorecard(), METRICS)
    assert clean(page).count('src="data:image/svg+xml;base64,') == len(METRICS)


# -- by level


def test_levels_are_ranked_under_the_whole() -> None:
    frame = levels()
    rows = _Page(tables.levels(frame, METRICS)).rows
    best = frame[frame["segment"] == "region"].sort_values("estimate", ascending=False)["level"]
    assert rows[0] == ["Region", "October 2026", "n"]
    assert [row[0] for row in rows[1:]] == ["All", *best]
    change = difference("csat_top2", "2026-09", 0.04, 0.03, "moved", segment="region", level="West")
    rows = _Page(tables.levels(results.concat([frame, change]), METRICS)).rows
    assert rows[0][-1] == "Since September 2026"
    assert next(row for row in rows if row[0] == "West")[-1] == "+4.0 pp | +1.0 to +7.0 pp | ▲ up, better"


def test_several_metrics_become_groups() -> None:
    frame = results.concat([levels(), levels("nps")])
    grouped = tables.levels(frame, METRICS)
    assert grouped.count('<th scope="rowgroup" rowspan="7">') == 2


def test_two_segments_need_a_name() -> None:
    frame = results.concat([levels(), levels(segment="plan")])
    with pytest.raises(UsageError, match="name the one"):
        tables.levels(frame, METRICS)
    assert "Plan" in tables.levels(frame, METRICS, "plan")


def test_touchpoints_are_grouped_and_none_is_lost() -> None:
    page = tables.touchpoints(journey(), METRICS, TOUCHPOINTS)
    rows = _Page(page).rows
    assert rows[0][:2] == ["When", "Touchpoint"]
    groups = [row[0] for row in rows[1:] if len(row) == len(rows[0])]
    assert groups == ["Before", "During", "After", "Service", "Not placed"]
    assert len(rows) == 1 + (len(TOUCHPOINTS) - 1) + 1
    assert "Nothing recorded at: Advert." in page
    assert _row(page, "Billing")[-1] == "hidden: small group"
    assert _row(page, "Recommend a friend")[1] == "not available | no table"


def test_definitions() -> None:
    mine = {"nps": metric("nps", question="Would they recommend us?", caveats=("<b>", "two")), "items": metric("items")}
    assert _Page(tables.definitions(mine)).rows == [
        ["Metric", "Question", "Better is", "Target", "How to read it", "Owner"],
        ["Net Promoter Score", "Would they recommend us?", "higher", "+40.0", "<b> | two", "cx"],
        ["Items per order", "?", "neither", "none", "", "cx"],
    ]
    assert "Nothing to show" in tables.definitions({})


def test_freshness() -> None:
    records = [
        {"table": "responses", "rows": 123_456, "newest": "2026-10-31 23:41", "warning": ""},
        {"table": "orders", "rows": 0, "newest": "", "warning": "not in the store"},
        {"table": "interactions", "rows": 99, "newest": "2026-07-01", "warning": "newest is 122 days old"},
        {"table": "customers", "rows": 20_000, "newest": "", "warning": ""},
    ]
    expected = [
        ["Table", "State", "Rows", "Newest event (UTC)", "Note"],
        ["responses", "● fresh", "123,456", "31 October 2026, 23:41", ""],
        ["orders", "✕ missing", "none", "", "not in the store"],
        ["interactions", "◆ old", "99", "1 July 2026", "newest is 122 days old"],
        ["customers", "○ present", "20,000", "", ""],
    ]
    assert _Page(tables.freshness(records)).rows == expected
    assert _Page(tables.freshness(pd.DataFrame(records))).rows == expected
    timed = pd.DataFrame([{"table": "a", "rows": 1, "newest": pd.Timestamp("2026-10-31 23:41")}, {"table": "b"}])
    assert [row[1:4] for row in _Page(tables.freshness(timed)).rows[1:]] == [
        ["● fresh", "1", "31 October 2026, 23:41"],
        ["✕ missing", "none", ""],
    ]
