"""Registered changes in pictures: the chosen design stands out, the title claims what it shows, and how sure it is."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.analysis.effects.choice import BEFORE_AFTER, STAGGERED, TITLES
from cxlib.show import canvas, style
from cxlib.show.canvas import Chart
from cxlib.show.change_effects import designs_chart, since_start_chart
from tests.show_frames import METRICS, metric
from tests.trial_frames import UNITS, change, changed, missing, since_start

REGISTER = {"new_desk": change()}
SIX = {f"change_{number}": change(f"change_{number}", title=f"Change {number}") for number in range(6)}
NEXT = results.frame(metric="changes", segment="next", level="new_desk", comparison="test", estimate=1.0,
                     note="New desk is due next: its window ends before 1 November 2027")  # fmt: skip


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


class TestDesigns:
    def test_what_moved_is_the_title_with_the_evidence(self) -> None:
        title = "New desk: Customers satisfied (top two boxes) rose by 8.0 pp (+5.0 to +11.0 pp), fair evidence"
        assert designs_chart(changed(), REGISTER, METRICS).finding == title
        weak = designs_chart(changed(estimate=-0.08, grade="weak"), REGISTER, METRICS).finding
        assert "fell by 8.0 pp (\u221211.0 to \u22125.0 pp), weak evidence" in weak

    @pytest.mark.parametrize(
        ("half", "verdict", "told"),
        [
            (0.1, "not shown", "Customers satisfied (top two boxes) is not shown to change (−9.0 to +11.0 pp)"),
            (0.1, "could not have been seen", "too few to tell whether Customers satisfied (top two boxes) changed"),
            (0.005, "could not have been seen", "Customers satisfied (top two boxes) did not change by what matters"),
        ],
    )
    def test_what_did_not(self, half: float, verdict: str, told: str) -> None:
        matters = {**METRICS, "csat_top2": metric("csat_top2", change_that_matters=0.02)}
        fig = designs_chart(changed(estimate=0.01, half=half, verdict=verdict), REGISTER, matters)
        assert fig.finding.startswith(f"New desk: {told}")
        assert "evidence" not in fig.finding
        assert ("too few to tell" in fig.alt) == ("too few" in told)

    def test_several(self) -> None:
        still = {"verdict": "not shown", "estimate": 0.0}
        two = results.concat([changed("change_0", **still), changed("change_1", "nps", **still)])
        assert designs_chart(two, SIX, METRICS).finding == "None of the 2 effects that were looked for is shown"
        one = results.concat([two, changed("change_2")])
        assert designs_chart(one, SIX, METRICS).finding.endswith("; nothing else is shown")
        more = results.concat([one, changed("change_3", "nps")])
        assert designs_chart(more, SIX, METRICS).finding.endswith("; 1 more moved")

    def test_the_chosen_design_stands_out(self) -> None:
        fig = designs_chart(changed(), REGISTER, METRICS)
        marks = [line for line in fig.axes[0].lines if line.get_marker() == "o"]
        assert [to_hex(mark.get_markerfacecolor()) for mark in marks] == [style.BLUE, style.PAPER]
        assert [mark.get_xdata()[0] for mark in marks] == pytest.approx([8.0, 16.0])
        said = words(fig).lower()
        assert f"{TITLES[STAGGERED]} (chosen)" in said
        assert TITLES[BEFORE_AFTER] in said
        assert "▲ up, better; fair evidence" in said

    def test_what_was_expected_is_on_the_scale_where_it_was_said(self) -> None:
        small = designs_chart(changed(estimate=0.001, half=0.001), REGISTER, METRICS)
        assert small.axes[0].get_xlim()[1] > 5.0
        assert "Dotted: what was expected." in words(small)
        without = {"new_desk": change(expected_effect={})}
        assert "Dotted" not in words(designs_chart(changed(), without, METRICS))

    def test_what_moved_is_drawn_first_and_the_rest_counted(self) -> None:
        parts = [changed(f"change_{number}", verdict="moved" if number == 5 else "not shown") for number in range(6)]
        fig = designs_chart(results.concat(parts), SIX, METRICS)
        assert len(fig.axes) == 4
        assert "Not drawn: 2 more." in words(fig)
        assert fig.alt.index("Change 5: Customers") < fig.alt.index("Change 0: Customers")

    @pytest.mark.parametrize("name", list(UNITS))
    def test_every_unit(self, name: str) -> None:
        fig = designs_chart(changed(metric=name, estimate=UNITS[name], half=UNITS[name] / 3), REGISTER, METRICS)
        label = fig.axes[0].get_xlabel()
        assert label.startswith("effect")
        assert "count" not in label

    def test_none_is_due(self) -> None:
        fig = designs_chart(NEXT, REGISTER, METRICS)
        assert fig.finding == (
            "Nothing to show: no registered change is due; New desk is due next: its window ends before 1 November 2027"
        )
        assert designs_chart(results.empty(), REGISTER, METRICS).finding.endswith("no registered change is due")

    def test_an_effect_that_could_not_be_estimated(self) -> None:
        frame = changed()
        which = frame["segment"] == "effect"
        lost = results.concat([missing(results.conform(frame[which]), "undefined", "too few months"), frame[~which]])
        fig = designs_chart(lost, REGISTER, METRICS)
        assert fig.finding == "New desk: no effect on Customers satisfied (top two boxes) could be estimated"
        assert "too few months" in words(fig)
        assert "nan" not in fig.alt

    def test_endless_limits(self) -> None:
        fig = designs_chart(results.conform(changed().assign(conf_high=np.inf)), REGISTER, METRICS)
        assert np.isfinite(fig.axes[0].get_xlim()).all()
        assert "to ∞ pp" in words(fig)

    def test_no_ids_and_escaped(self) -> None:
        risky = {"new_desk": change(title="<script>")}
        page = canvas.html(designs_chart(changed(), risky, METRICS))
        for name in ("<script>", "new_desk", "csat_top2", "before_after"):
            assert name not in page


class TestSinceStart:
    def test_the_title_counts_periods(self) -> None:
        title = (
            "New desk: Customers satisfied (top two boxes) was higher than in groups not touched in 4 of 4 months "
            "since, in 0 of 3 before"
        )
        assert since_start_chart(since_start(), REGISTER, METRICS).finding == title
        lower = since_start_chart(since_start(range(2), effect=-0.08), REGISTER, METRICS).finding
        assert lower.endswith("was lower than in groups not touched in 2 of 2 months since")

    def test_the_picture(self) -> None:
        fig = since_start_chart(since_start(), REGISTER, METRICS)
        assert "months since the start" in words(fig)
        assert "effect, percentage points" in words(fig)
        assert "\u22123: 0.0 pp (\u22123.0 to +3.0 pp)" in fig.alt
        faces = [to_hex(line.get_markerfacecolor()) for line in fig.axes[0].lines if line.get_marker() == "o"]
        assert faces == [style.PAPER] * 3 + [style.BLUE] * 4

    def test_what_the_time_before_tells(self) -> None:
        fig = since_start_chart(results.concat([changed(), since_start()]), REGISTER, METRICS)
        assert "No drift apart before the start was found, which proves nothing." in words(fig)
        assert "More words" not in words(fig)

    def test_the_change_that_is_asked_for(self) -> None:
        both = results.concat([since_start(name="change_0"), since_start(name="change_1")])
        assert since_start_chart(both, SIX, METRICS).finding.startswith("Change 0:")
        assert since_start_chart(both, SIX, METRICS, "change_1").finding.startswith("Change 1:")

    def test_sparse_and_hidden_periods(self) -> None:
        frame = since_start(range(-30, 10))
        some = results.conform(frame.assign(status=np.where(frame["at"].isin(["-4", "2"]), "suppressed", "ok")))
        fig = since_start_chart(some, REGISTER, METRICS)
        assert "Not drawn: 2 months, hidden: small group." in words(fig)
        assert "in 9 of 9 months since, in 0 of 29 before" in fig.finding
        assert len(fig.axes[0].get_xticks()) <= 27
        lone = since_start(range(1))
        assert since_start_chart(lone, REGISTER, METRICS).finding.endswith("in 1 of 1 months since")

    def test_endless_limits(self) -> None:
        frame = results.conform(since_start().assign(conf_high=np.inf))
        fig = since_start_chart(frame, REGISTER, METRICS)
        assert np.isfinite(fig.axes[0].get_ylim()).all()
        assert "to ∞ pp" in fig.alt

    def test_nothing(self) -> None:
        title = "Nothing to show: no change that is due was rolled out group by group"
        assert since_start_chart(changed(), REGISTER, METRICS).finding == title
        hidden = missing(since_start(), "suppressed")
        assert since_start_chart(hidden, REGISTER, METRICS).finding == (
            "Nothing to show: New desk: hidden: small group in every month since the start"
        )

    def test_any_order(self) -> None:
        first, second = (since_start_chart(frame, REGISTER, METRICS) for frame in (since_start(), since_start()[::-1]))
        assert canvas.png(first) == canvas.png(second)

    def test_escaped(self) -> None:
        risky = {"new_desk": change(title="<script>")}
        assert "<script>" not in canvas.html(since_start_chart(since_start(), risky, METRICS))
