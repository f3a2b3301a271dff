"""What an experiment changed, in pictures and tables: verdict words beside the band that they are about."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.show import canvas, style
from cxlib.show.canvas import Chart
from cxlib.show.trial_effects import effect_chart, effects_table, estimators_table
from tests.show_frames import METRICS, metric
from tests.trial_frames import UNITS, difference, effects, level, missing, plan

ALL = plan(metrics=tuple(UNITS)[:-2], guardrails=tuple(UNITS)[-2:])
HOLDS = "not worse by more than 3 per 1,000 customer-months (registered margin)"
COULD = "could be worse by more than 3 per 1,000 customer-months (registered margin)"


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def one(estimate: float, half: float, verdict: str):
    return difference("csat_top2", "new_page", estimate, half, verdict)


class TestChart:
    @pytest.mark.parametrize(
        ("estimate", "half", "verdict", "title"),
        [
            (0.03, 0.01, "moved", "Customers satisfied (top two boxes) rose by 3.0 pp (+2.0 to +4.0 pp)"),
            (-0.03, 0.01, "moved", "Customers satisfied (top two boxes) fell by 3.0 pp (\u22124.0 to \u22122.0 pp)"),
            (0.01, 0.03, "not shown", "Customers satisfied (top two boxes) is not shown to change"),
            (0.01, 0.03, "could not have been seen", "Too few to tell whether Customers satisfied (top two boxes)"),
            (0.0, 0.01, "not shown", "Customers satisfied (top two boxes) did not change by what matters"),
        ],
    )
    def test_the_title_is_the_finding(self, estimate: float, half: float, verdict: str, title: str) -> None:
        assert effect_chart(one(estimate, half, verdict), METRICS, plan()).finding.startswith(title)

    def test_what_else_moved(self) -> None:
        assert effect_chart(effects(), METRICS, ALL).finding.endswith("; nothing else is shown to move")
        also = effect_chart(effects({"aov": "moved"}), METRICS, ALL).finding
        assert also.endswith("; Average order value moved, too")
        alone = effects({"csat_top2": "not shown", "aov": "moved", "nps": "moved", "items": "moved"})
        title = effect_chart(alone, METRICS, ALL).finding
        assert title.endswith("; but Net Promoter Score, Average order value and 1 more moved")

    def test_few_is_never_said_of_an_interval_within_what_matters(self) -> None:
        fig = effect_chart(one(0.0, 0.01, "could not have been seen"), METRICS, plan())
        assert "too few to tell" not in words(fig).lower()
        assert "○ no change that matters" in words(fig)
        assert "no change that matters" in fig.alt
        wide = effect_chart(one(0.0, 0.03, "could not have been seen"), METRICS, plan())
        assert "◇ too few to tell" in words(wide)

    def test_a_move_within_what_matters_is_said_to_be_small(self) -> None:
        assert "▲ up, better; too small to matter" in words(effect_chart(one(0.01, 0.005, "moved"), METRICS, plan()))

    def test_better_is_to_the_right(self) -> None:
        fig = effect_chart(effects(), METRICS, ALL)
        limits = {axes.get_label(): axes.get_xlim() for axes in fig.axes}
        assert limits["csat_top2"][0] < 0 < limits["csat_top2"][1]
        assert limits["wait_p50"][0] > 0 > limits["wait_p50"][1]
        assert "Where neither direction is better, more is to the right." in words(fig)

    def test_filled_only_where_it_moved(self) -> None:
        fig = effect_chart(effects({"wait_p50": "moved"}), METRICS, ALL)
        faces = {
            axes.get_label(): to_hex(line.get_markerfacecolor())
            for axes in fig.axes
            for line in axes.lines
            if line.get_marker() == "o"
        }
        assert faces["csat_top2"] == style.BLUE
        assert faces["wait_p50"] == style.ORANGE
        assert faces["nps"] == style.PAPER

    def test_every_unit(self) -> None:
        said = words(effect_chart(effects(), METRICS, ALL))
        for part in ("+2.0 pp", "+6.0 points", "+0.4 pp", "+30 s", "+€2.00", "+2.0 (", "+0.10", "+0.08"):
            assert part in said

    def test_several_arms(self) -> None:
        three = plan(variants={"control": 0.4, "page_a": 0.3, "page_b": 0.3}, metrics=(), guardrails=())
        found = results.concat([
            difference("csat_top2", "page_a", 0.03, 0.01, "moved"), difference("csat_top2", "page_b", 0.01, 0.03),
        ])  # fmt: skip
        fig = effect_chart(found, METRICS, three)
        assert fig.finding == (
            "Customers satisfied (top two boxes) rose by 3.0 pp with page a, is not shown to change with page b"
        )
        assert "with page b: +1.0 pp" in fig.alt
        assert "page_" not in words(fig)

    def test_endless_limits_end_at_the_frame(self) -> None:
        found = one(0.01, 0.02, "not shown").assign(conf_low=-np.inf)
        fig = effect_chart(results.conform(found), METRICS, plan())
        axes = next(axes for axes in fig.axes if axes.get_label() == "csat_top2")
        segment = axes.collections[-1].get_segments()[0]
        assert segment[0][0] == pytest.approx(axes.get_xlim()[0])
        assert "\u2212∞ to +3.0 pp" in words(fig)

    @pytest.mark.parametrize(
        ("status", "told"),
        [("suppressed", "hidden: small group"), ("too_few", "too few to say"), ("undefined", "not available")],
    )
    def test_rows_without_a_number(self, status: str, told: str) -> None:
        rest = difference("nps", "new_page", 1.0, 3.0)
        fig = effect_chart(results.concat([missing(one(0.03, 0.01, ""), status), rest]), METRICS, plan())
        assert fig.finding.startswith(f"Customers satisfied (top two boxes) could not be compared ({told})")
        assert told in fig.alt
        assert "nan" not in words(fig) + fig.alt
        alone = effect_chart(missing(one(0.03, 0.01, ""), status, "nobody was exposed"), METRICS, plan())
        assert alone.finding.startswith("Nothing to show")

    def test_no_ids_and_escaped(self) -> None:
        risky = {**METRICS, "csat_top2": metric("csat_top2", title="<script>x")}
        fig = effect_chart(effects(), risky, ALL)
        assert "<script>" not in canvas.html(fig)
        assert not [name for name in (*UNITS, "new_page") if "_" in name and name in words(fig) + fig.alt]

    def test_any_order(self) -> None:
        assert canvas.png(effect_chart(effects(), METRICS, ALL)) == canvas.png(
            effect_chart(effects()[::-1], METRICS, ALL)
        )


class TestTable:
    def guards(self, *notes: str):
        rows = zip(("complaint_rate", "items"), notes, strict=True)
        return results.concat(difference(name, "new_page", 1.0, 1.0, "", note=note) for name, note in rows)

    def test_the_title_counts(self) -> None:
        table = effects_table(effects(), self.guards(HOLDS, HOLDS), METRICS, ALL)
        assert "1 of 8 outcomes moved: Customers satisfied (top two boxes); all 2 guardrails hold" in table
        other = effects_table(effects({"csat_top2": "not shown"}), self.guards(HOLDS, COULD), METRICS, ALL)
        assert "None of 8 outcomes moved; 1 of 2 guardrails is shown to hold" in other
        alone = plan(metrics=(), guardrails=())
        assert "boxes) moved</figcaption>" in effects_table(effects(), results.empty(), METRICS, alone)

    def test_guardrails_in_word_and_mark(self) -> None:
        table = effects_table(effects(), self.guards(HOLDS, COULD), METRICS, ALL)
        assert "●</span> not worse by more than 3 per 1,000 customer-months<" in table
        assert "◇</span> could be worse by more than 3" in table
        worse = effects_table(effects(), self.guards(HOLDS, COULD.replace("could be", "")[1:]), METRICS, ALL)
        assert "■</span> worse by more than 3" in worse

    def test_both_arms_the_difference_and_its_share(self) -> None:
        table = effects_table(effects(), results.empty(), METRICS, plan())
        for part in ("6.0 %", "+2.0 pp", "+1.0 to +3.0 pp", "▲</span> up, better", "+10.0 %", "+5.0 to +15.0 %"):
            assert part in table
        assert "Customers satisfied (top two boxes) (decides)" in table

    def test_few_is_never_said_of_an_interval_within_what_matters(self) -> None:
        found = results.concat([one(0.0, 0.01, "could not have been seen"), level("csat_top2", "control", 0.8, 0.01)])
        table = effects_table(found, results.empty(), METRICS, plan(metrics=(), guardrails=()))
        assert "too few to tell" not in table
        assert "no change that matters" in table

    def test_several_arms_have_a_column_of_their_own(self) -> None:
        three = plan(variants={"control": 0.4, "page_a": 0.3, "page_b": 0.3}, metrics=(), guardrails=())
        table = effects_table(effects(arms=("page_a", "page_b")), results.empty(), METRICS, three)
        assert '<th scope="row">page a</th>' in table
        assert '<th scope="row">page b</th>' in table
        assert 'rowspan="2"' in table
        assert "page_" not in table

    def test_hidden_and_undefined(self) -> None:
        found = results.concat([missing(one(0.03, 0.01, ""), "suppressed"), level("csat_top2", "control", 0.8, 0.01)])
        table = effects_table(found, results.empty(), METRICS, plan())
        assert "hidden: small group" in table
        assert "None of 3 outcomes moved" in table
        assert "nan" not in table

    def test_text_is_escaped(self) -> None:
        risky = {**METRICS, "complaint_rate": metric("complaint_rate", title="<script>x")}
        table = effects_table(effects(), self.guards("not worse <b>", "x"), risky, plan())
        assert "<script>" not in table
        assert "<b>" not in table.replace("<b>Cust", "").replace("<b>Net", "").replace("<b>&lt;", "")


class TestEstimators:
    def test_whether_methods_agree(self) -> None:
        moved, still = one(0.03, 0.01, ""), one(0.0, 0.01, "")
        assert "By all 2 methods alike an effect is shown" in estimators_table(results.concat([moved] * 2), METRICS)
        assert "By all 2 methods alike no effect is shown" in estimators_table(results.concat([still] * 2), METRICS)
        assert "Methods differ: an effect is shown by 1 of 2" in estimators_table(
            results.concat([moved, still]), METRICS
        )
        assert "The effect by one method: it is not shown" in estimators_table(still, METRICS)

    def test_none(self) -> None:
        none = results.frame(metric="x", status=results.UNDEFINED, note="no past is known")
        assert "Nothing to show: no past is known." in estimators_table(none, METRICS)
        gone = missing(one(0.0, 0.01, ""), "suppressed")
        assert "By no method could the effect be told" in estimators_table(gone, METRICS)

    def test_text_is_escaped(self) -> None:
        assert "<b>x" not in estimators_table(one(0.0, 0.01, "").assign(note="<b>x", method="<b>x"), METRICS)
