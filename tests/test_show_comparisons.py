"""One metric against everything it was compared with."""

from __future__ import annotations

import pytest

from cxlib import results
from cxlib.errors import UsageError
from cxlib.show.comparisons import changes
from cxlib.show.standing import standing_table
from cxlib.show.waterfall import waterfall
from cxlib.show.weighting import weighting
from tests.show_frames import LAST, METRICS, difference, level_rows

FRAME = results.concat(
    [
        level_rows("nps", [LAST], [27.0], 4.0, [1538]),
        difference("nps", "target", -13.0, 4.0, "moved"),
        difference("nps", "2025-10", -7.1, 6.2, "moved"),
        difference("nps", "2026-09", -1.7, 5.7, "not shown", note="<b>late</b> rows"),
    ]
)


def test_periods_come_first_the_newest_on_top() -> None:
    table = changes(FRAME, METRICS)
    places = [table.index(words) for words in ("September 2026</th>", "October 2025</th>", "target +40.0</th>")]
    assert places == sorted(places)
    assert "Net Promoter Score, October 2026: +27.0 (+23.0 to +31.0; n 1,538)" in table
    assert "down, worse" in table
    assert "In percent" not in table


def test_text_is_escaped_and_the_sentence_stands_beneath() -> None:
    table = changes(FRAME, METRICS, below="Verdicts allow for 2 comparisons & more.")
    assert "&lt;b&gt;late&lt;/b&gt; rows" in table
    assert "Verdicts allow for 2 comparisons &amp; more." in table


def test_relative_changes_stand_beside() -> None:
    aov = results.concat(
        [
            level_rows("aov", [LAST], [66.0], 2.0, [900]),
            difference("aov", "2026-09", 6.0, 2.0, "moved"),
            difference("aov", "2026-09", 0.1, 0.04, "", comparison="relative"),
            difference("aov", "2025-10", 1.0, 2.0, "not shown"),
        ]
    )
    table = changes(aov, METRICS["aov"])
    assert "+10.0 %" in table
    assert "6.0 to 14.0 %" in table


def test_nothing_compared_is_said() -> None:
    assert "it was compared with nothing" in changes(level_rows("nps", [LAST], [27.0], 4.0, [1538]), METRICS)


def test_one_of_several_metrics_must_be_named() -> None:
    both = results.concat([FRAME, difference("aov", "2026-09", 6.0, 2.0, "moved")])
    with pytest.raises(UsageError, match="name the one"):
        changes(both, METRICS)
    assert "September 2026" in changes(both, METRICS, "nps")


def test_what_cannot_be_shown_says_why() -> None:
    """The waterfall, the levels against the rest and the weights give the reason of the row that has no number."""
    why = "a quantile is not made of sums: its change has no parts"
    lost = results.frame(metric="wait_p50", period=LAST, status=results.UNDEFINED, note=why)
    assert why in waterfall(results.concat([FRAME, lost]), METRICS).finding
    for table in (standing_table(lost, METRICS), weighting(lost, METRICS)):
        assert why in table
    assert "nothing was weighted" in weighting(FRAME, METRICS)
