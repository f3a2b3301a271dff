"""Channels and partners on the page: what lies between and within in the title, intervals drawn."""

from __future__ import annotations

import matplotlib as mpl

from cxlib import results
from cxlib.show.consistency import consistency_chart, consistency_table
from tests import promise_frames
from tests.show_frames import metric

SCORE = metric("csat_mean", title="Satisfaction", unit="score", target=None)
NAMES = {"channel": "Channel", "partner": "Delivered by", "digital": "Digital"}


def words(fig: mpl.figure.Figure) -> str:
    return " ".join(text.get_text() for text in fig.findobj(mpl.text.Text)).replace("\u00a0", " ")


def test_the_title_says_where_it_differs_and_how_little_that_is() -> None:
    chart = consistency_chart(promise_frames.unlike(), SCORE, names=NAMES)
    assert chart.finding.startswith("Satisfaction differs by channel, typically ")
    assert chart.finding.endswith("% of its variance; the rest lies within")
    said = words(chart)
    for word in ("Channel", "Delivered by", "Digital touchpoints", "Typical gap between two", "Not all alike."):
        assert word in said
    assert "channel 0" in chart.alt


def test_no_difference_is_not_called_one() -> None:
    frame = promise_frames.unlike(between=0.0)
    frame = frame[frame["segment"] == "partner"]
    chart = consistency_chart(frame, {"csat_mean": SCORE}, names=NAMES)
    assert chart.finding.startswith("Satisfaction: no difference by partner is shown; at most ")
    assert "May all be alike." in words(chart)


def test_the_table() -> None:
    table = consistency_table(promise_frames.unlike(), SCORE, names=NAMES)
    cells = {key[0]: [column[place].text for column in table.grid.columns.values()]
             for place, key in enumerate(table.grid.keys)}  # fmt: skip
    assert list(cells) == ["Channel", "Delivered by", "Digital against physical"]
    assert cells["Channel"][3] == "not all alike"
    assert cells["Delivered by"][3] == "may all be alike"
    assert cells["Digital against physical"][0].startswith("+")


def test_one_level_or_nothing() -> None:
    frame = promise_frames.unlike()
    lone = results.conform(frame[(frame["segment"] == "channel")].assign(
        status=lambda rows: rows["status"].where(rows["level"].isin(["channel_0", "all"]), "suppressed")))  # fmt: skip
    both = results.concat([lone, frame[frame["segment"] == "partner"]])
    chart = consistency_chart(both, SCORE, names=NAMES)
    assert "Not shown: Channel: one level only, or hidden." in words(chart)
    assert consistency_chart(results.empty(), SCORE).finding.startswith("Nothing to show")
    assert consistency_table(results.empty(), SCORE).grid is None
    none = results.frame(metric="consistency", status="undefined", note="nobody answered in 12 months")
    assert consistency_chart(none, SCORE).finding == "Nothing to show: nobody answered in 12 months"
    assert "nobody answered" in consistency_table(none, SCORE)
