"""Could it be who answered? The reading in the title, bounds with their interval, words where there is no number."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.trial_answers import who_answered_chart
from tests.show_frames import LAST, METRICS, metric
from tests.trial_frames import plan


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def row(name: str, estimate: float, half: float, **more: Any) -> pd.DataFrame:
    given = {"conf_low": estimate - half, "conf_high": estimate + half, "n": 900.0, **more}
    return results.frame(metric=name, period=LAST, estimate=estimate, **given)


def answering(
    reading: str = "stands", name: str = "csat_top2", scale: float = 1.0, arm: str = "new_page", **bounds: Any
) -> pd.DataFrame:
    """Return what a run hands over: response, effect by who is counted, bounds, and how to read them."""
    effect: dict[str, Any] = {"comparison": "difference", "segment": arm}
    return results.concat([
        row("response_rate", 0.21, 0.01, at="control"), row("response_rate", 0.24, 0.01, at=arm),
        row("response_rate", 0.03, 0.01, at=arm, comparison="difference"),
        row(f"{name}_answered", 0.05 * scale, 0.02 * scale, at=arm, **effect),
        row(f"{name}_reweighted", 0.04 * scale, 0.02 * scale, at=arm, **effect),
        row(f"{name}_bounds", 0.02 * scale, 0.01 * scale, at="lower", **effect, **bounds),
        row(f"{name}_bounds", 0.08 * scale, 0.01 * scale, at="upper", **effect, **bounds),
        results.frame(metric="reading", at=reading, level=arm, comparison="test", estimate=0.05 * scale,
                      conf_low=0.01 * scale, conf_high=0.09 * scale, n=900.0, note="It is +0.05 points."),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "title"),
    [
        ("stands", "The effect stands whoever answered: +1.0 to +9.0 pp"),
        ("could be who answered", "The effect could be who answered: whoever answered, it is +1.0 to +9.0 pp"),
        ("no effect shown", "No effect is shown among those who answered: whoever answered, it is +1.0 to +9.0 pp"),
        ("unknown", "Whether the effect could be who answered cannot be told"),
    ],
)
def test_the_reading_is_the_title(reading: str, title: str) -> None:
    assert who_answered_chart(answering(reading), METRICS, plan()).finding == title


def test_the_picture_and_its_words() -> None:
    fig = who_answered_chart(answering(), METRICS, plan())
    said = words(fig)
    for part in ("Answered: control", "Answered: new page", "24.0 % (23.0 to 25.0 %)", "+5.0 pp (+3.0 to +7.0 pp)",
                 "Weighted to all who took part", "+2.0 to +8.0 pp (+1.0 to +9.0 pp)", "effect, percentage points",
                 "Answers differ by +3.0 pp (+2.0 to +4.0 pp)."):  # fmt: skip
        assert part in said
        assert part in fig.alt or "effect, " in part
    assert "_" not in said
    assert "nan" not in fig.alt
    thick = [lines for axes in fig.axes for lines in axes.collections if lines.get_linewidth()[0] > 5]
    assert thick[0].get_segments()[0][:, 0] == pytest.approx([2.0, 8.0])


def test_an_equal_response_is_said_to_be_so() -> None:
    frame = answering().copy()
    mine = (frame["metric"] == "response_rate") & (frame["comparison"] == "difference")
    frame.loc[mine, ["conf_low", "estimate"]] = [-0.01, 0.01]
    assert "Answers differ by +1.0 pp (−1.0 to +4.0 pp): not shown." in words(
        who_answered_chart(results.conform(frame), METRICS, plan())
    )


@pytest.mark.parametrize("name", ["nps", "ces_mean", "wait_p50", "aov", "items", "churn", "complaint_rate"])
def test_every_unit(name: str) -> None:
    scale = 6000.0 if name == "wait_p50" else 1.0
    fig = who_answered_chart(answering(name=name, scale=scale), METRICS, plan(primary_metric=name))
    label = fig.axes[-1].get_xlabel()
    assert label.startswith("effect")
    assert "count" not in label
    assert all(np.isfinite(axes.get_xlim()).all() for axes in fig.axes)


def test_bounds_that_are_not_known() -> None:
    none = answering("unknown", status="undefined", note="nobody answered in new_page")
    fig = who_answered_chart(none, METRICS, plan())
    assert "Whoever answered: nobody answered in new page" in fig.alt
    assert not [lines for axes in fig.axes for lines in axes.collections if lines.get_linewidth()[0] > 5]


def test_endless_limits() -> None:
    frame = answering()
    ends = frame["conf_low"].where(frame["metric"] != "csat_top2_answered", -np.inf)
    fig = who_answered_chart(results.conform(frame.assign(conf_low=ends)), METRICS, plan())
    assert "\u2212∞ to +7.0 pp" in words(fig)
    assert all(np.isfinite(axes.get_xlim()).all() for axes in fig.axes)


def test_one_of_several_arms() -> None:
    three = plan(variants={"control": 0.4, "page_a": 0.3, "page_b": 0.3})
    frame = results.concat([answering(arm="page_a"), answering("could be who answered", arm="page_b")])
    assert who_answered_chart(frame, METRICS, three).finding.startswith("With page a: The effect stands")
    other = who_answered_chart(frame, METRICS, three, "page_b")
    assert other.finding.startswith("With page b: The effect could be who answered")
    assert "page a" not in other.alt


def test_an_outcome_that_is_not_asked_for() -> None:
    assert who_answered_chart(results.empty(), METRICS, plan()).finding == (
        "Nothing to show: the outcome that decides is not asked for"
    )
    none = results.frame(metric="reading_of", status=results.UNDEFINED, note="nobody was asked")
    assert who_answered_chart(none, METRICS, plan()).finding == "Nothing to show: nobody was asked"


def test_all_hidden() -> None:
    frame = results.conform(answering("unknown").assign(status="suppressed", note=""))
    fig = who_answered_chart(frame, METRICS, plan())
    assert "hidden: small group" in fig.alt
    assert "nan" not in words(fig) + fig.alt


def test_text_is_escaped() -> None:
    risky = {**METRICS, "csat_top2": metric("csat_top2", title="<script>x")}
    assert "<script>" not in canvas.html(who_answered_chart(answering(), risky, plan()))
