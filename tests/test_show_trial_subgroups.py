"""For whom? Levels on one scale, plain and drawn together; a title that claims no more than the test."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.params.models import Segment
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.trial_subgroups import subgroups_chart
from tests.show_frames import LAST, METRICS, metric
from tests.trial_frames import plan


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def segment(
    name: str = "customer_plan", p_value: float = 0.4, arm: str = "new_page", effects: tuple[float, ...] = (0.02, 0.05),
    **test: Any,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of one segment: own figures, drawn together, against the others, and the test."""
    common: dict[str, Any] = {"at": arm, "segment": name, "period": LAST, "n": 300.0}
    levels = [f"Level {number}" for number in range(len(effects))]
    own = {"level": levels, "comparison": "difference", **common}
    value = np.array(effects)
    return results.concat([
        results.frame(metric="csat_top2", against="control", estimate=value, conf_low=value - 0.03,
                      conf_high=value + 0.03, **own),
        results.frame(metric="csat_top2", against="the other levels", estimate=value, conf_low=value - 1,
                      conf_high=value + 1, **own),
        results.frame(metric="csat_top2_shrunk", against="control", estimate=value / 2, conf_low=value / 2 - 0.01,
                      conf_high=value / 2 + 0.01, **own),
        results.frame(metric="interaction", comparison="test", estimate=2.0, p_value=p_value, **common, **test),
    ])  # fmt: skip


SEGMENTS = {
    "region": Segment.model_construct(id="region", title="Region"),
    "customer_plan": Segment.model_construct(id="customer_plan", title="Plan of the customer"),
}


class TestTitle:
    def test_no_evidence(self) -> None:
        both = results.concat([segment("region"), segment()])
        title = "No evidence that the effect differs by region or plan of the customer"
        assert subgroups_chart(both, METRICS, plan(), SEGMENTS).finding == title
        three = results.concat([both, segment("age")])
        assert subgroups_chart(three, METRICS, plan()).finding.endswith("by region, customer plan or age")

    def test_a_difference(self) -> None:
        both = results.concat([segment("region", 0.001), segment()])
        fig = subgroups_chart(both, METRICS, plan(), SEGMENTS)
        assert fig.finding == "The effect differs by region"
        assert "Region: effects differ (p < 0.01)" in words(fig)
        assert "Plan of the customer: no more apart than luck makes (p = 0.40)" in words(fig)

    def test_an_adjusted_test_counts(self) -> None:
        fig = subgroups_chart(segment(p_value=0.03, p_adjusted=0.12), METRICS, plan())
        assert fig.finding.startswith("No evidence")
        assert "p = 0.12" in words(fig)

    def test_a_test_that_cannot_be_made(self) -> None:
        fig = subgroups_chart(segment(status="too_few", note="one level only"), METRICS, plan())
        assert fig.finding == "Whether the effect differs between groups cannot be told"
        assert "Customer plan: whether effects differ cannot be told" in words(fig)


class TestPicture:
    def test_own_figures_and_those_drawn_together(self) -> None:
        fig = subgroups_chart(segment(), METRICS, plan())
        assert "Level 0 +2.0 pp (−1.0 to +5.0 pp), drawn together +1.0 pp; Level 1 +5.0 pp" in fig.alt
        assert "+2.0 pp (−1.0 to +5.0 pp)" in words(fig)
        assert "effect, percentage points" in words(fig)
        marks = sorted(line.get_xdata()[0] for line in fig.axes[0].lines if line.get_marker() == "o")
        assert marks == pytest.approx([1.0, 2.0, 2.5, 5.0])

    def test_one_scale_for_all_segments(self) -> None:
        fig = subgroups_chart(results.concat([segment("region", effects=(0.5, 0.1)), segment()]), METRICS, plan())
        first, second = (axes.get_xlim() for axes in fig.axes)
        assert first == second
        assert [bool(axes.get_xlabel()) for axes in fig.axes] == [False, True]

    @pytest.mark.parametrize("status", ["suppressed", "too_few", "undefined"])
    def test_levels_without_a_number(self, status: str) -> None:
        frame = segment()
        some = frame.assign(status=frame["status"].where(frame["level"] != "Level 1", status))
        fig = subgroups_chart(results.conform(some), METRICS, plan())
        assert "Level 1 " in fig.alt
        assert "nan" not in fig.alt + words(fig)
        whole = subgroups_chart(results.conform(frame.assign(status=status)), METRICS, plan())
        assert whole.finding == "Whether the effect differs between groups cannot be told"

    def test_endless_limits(self) -> None:
        frame = segment()
        mine = (frame["level"] == "Level 0") & (frame["metric"] == "csat_top2")
        fig = subgroups_chart(
            results.conform(frame.assign(conf_high=frame["conf_high"].mask(mine, np.inf))), METRICS, plan()
        )
        assert np.isfinite(fig.axes[0].get_xlim()).all()
        assert "to ∞ pp" in words(fig)

    def test_the_first_of_several_arms_is_named(self) -> None:
        three = plan(variants={"control": 0.4, "page_a": 0.3, "page_b": 0.3})
        frame = results.concat([segment(arm="page_a"), segment(arm="page_b", effects=(0.9,))])
        fig = subgroups_chart(frame, METRICS, three)
        assert "Shown: page a." in words(fig)
        assert "+90.0" not in words(fig)

    def test_no_segments(self) -> None:
        title = "Nothing to show: no segments are registered"
        assert subgroups_chart(results.empty(), METRICS, plan()).finding == title
        none = results.frame(metric="subgroups", status=results.UNDEFINED, note="nobody answered")
        assert subgroups_chart(none, METRICS, plan()).finding == "Nothing to show: nobody answered"

    def test_many_levels_with_long_names(self) -> None:
        frame = segment(effects=tuple(np.linspace(0, 0.1, 12)))
        named = results.conform(frame.assign(level=frame["level"] + " and a very long name " * 4))
        assert "…" in words(subgroups_chart(named, METRICS, plan()))

    def test_no_ids_and_escaped(self) -> None:
        risky = {**METRICS, "csat_top2": metric("csat_top2", title="<script>")}
        page = canvas.html(subgroups_chart(segment().replace({"level": {"Level 0": "<b>x"}}), risky, plan()))
        assert "<script>" not in page
        assert "<b>" not in page
        assert "customer_plan" not in page

    def test_any_order(self) -> None:
        first, second = (subgroups_chart(frame, METRICS, plan()) for frame in (segment(), segment()[::-1]))
        assert canvas.png(first) == canvas.png(second)
