"""A plan on one page, what each length and each effect would show, and the looks: whole numbers, plain sentences."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.trial_design import duration_chart, plan_table, power_chart
from cxlib.show.trial_looks import looks_table
from tests.show_frames import METRICS, metric
from tests.trial_frames import UNITS, difference, missing, plan

OUT = "cannot be reached within 52 weeks: 19,259 of 23,286 units come in that time"
LACKS = {"conf_low": np.nan, "conf_high": np.nan}


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def one(name: str, estimate: float, low: float = np.nan, high: float = np.nan, **more: Any) -> pd.DataFrame:
    given: dict[str, Any] = {"segment": "csat_top2", "method": "noncentral t", **more}
    return results.frame(metric=name, estimate=estimate, conf_low=low, conf_high=high, **given)


def design(**replaced: pd.DataFrame) -> pd.DataFrame:
    """Return a plan: sizes, weeks, traffic, what would be seen, guardrails; `replaced` by a name of its own."""
    parts = {
        "control": one("sample_size", 2400.19, level="control"),
        "treatment": one("sample_size", 2400.19, level="treatment"),
        "exposed": one("exposed", 11642.67, level="control"), "taking": one("exposed", 11642.67, level="treatment"),
        "duration": one("duration", 12.0, 10.0, 15.0, segment="all"),
        "units": one("units", 8322.77, 5958.1, 10687.5, segment="week", level="13"),
        "power": one("power", 0.39, 0.29, 0.48, level="13"),
        "saving": one("cuped_saving", 0.1, 0.05, 0.15, comparison="share"),
        "guard": one("power", 0.9, 0.8, 0.95, segment="complaint_rate"),
        "smallest": one("smallest_effect", 0.03, 0.025, 0.04, comparison="difference", level="13"),
        "plan": results.frame(metric="plan", comparison="test", note="To see 2 points it takes 2,401 customers."),
    }  # fmt: skip
    return results.concat({**parts, **replaced}.values())


def weeks(*values: float, low: float = 0.8, high: float = 1.3) -> pd.DataFrame:
    """Return the smallest effect seen after 1, 2, ... weeks."""
    told = {"comparison": "difference", "segment": "week"}
    return results.concat(
        one("smallest_effect", value, value * low, value * high, level=str(at + 1), **told)
        for at, value in enumerate(values)
    )


def power(*values: float, step: float = 0.01) -> pd.DataFrame:
    """Return the power of effects of one, two, ... steps."""
    return results.concat(
        one("power", value, segment="effect", at=f"{step * (at + 1):g}") for at, value in enumerate(values)
    )


class TestPlan:
    def test_the_plan_in_numbers(self) -> None:
        table = plan_table(design(), plan(), METRICS)
        assert "To see 2 points it takes 2,401 customers</figcaption>" in table
        for part in ("2,401", "11,643", ">12<", "10 to 15", "8,323", "5,959 to 10,688", "39.0 %", "29.0 to 48.0 %",
                     "3.0 pp", "2.5 to 4.0 pp", "Customers who come in 13 weeks, as planned", "A clearer page pleases.",
                     "to rule out harm of more than 3.0 per 1,000 customer-months"):  # fmt: skip
            assert part in table, part
        for name in ("csat_top2", "complaint_rate", "sample_size", "cuped_saving", "nan"):
            assert name not in table

    def test_a_length_that_is_out_of_reach_is_said_plainly(self) -> None:
        never = one("duration", np.nan, segment="all", status="undefined", note=OUT)
        table = plan_table(design(duration=never), plan(), METRICS)
        assert "more than 52" in table
        assert "out of reach: in 52 weeks 19,259 customers come, and 23,286 are needed" in table
        assert "units" not in table.partition("<details>")[0]

    def test_an_end_that_is_not_known_leaves_the_other(self) -> None:
        bad = "as traffic varies, in a bad run of traffic not within 52 weeks"
        table = plan_table(design(duration=one("duration", 12, 10, segment="all", note=bad)), plan(), METRICS)
        assert "10 or more" in table
        assert "in a bad run of traffic not within 52 weeks" in table

    def test_groups_that_are_not_alike(self) -> None:
        table = plan_table(design(treatment=one("sample_size", 4800.1, level="treatment")), plan(), METRICS)
        assert "Customers with an outcome, without and with the change" in table
        assert "2,401 and 4,801" in table
        assert "Customers who take part, each group" in table

    def test_a_guardrail_that_was_not_planned(self) -> None:
        assert "not planned" in plan_table(design(guard=results.empty()), plan(), METRICS)
        none = one("power", np.nan, segment="complaint_rate", status="undefined", note="its margin is not known")
        assert "its margin is not known" in plan_table(design(guard=none), plan(), METRICS)

    def test_numbers_of_the_locale(self) -> None:
        table = plan_table(design(), plan(), METRICS, locale="de")
        assert "2.401" in table
        assert "80,0 to 95,0\u00a0%" in table

    def test_nothing_can_be_planned(self) -> None:
        none = results.frame(metric="design", status=results.UNDEFINED, note="this workspace has no orders")
        assert "Nothing to show: this workspace has no orders." in plan_table(none, plan(), METRICS)

    def test_text_is_escaped(self) -> None:
        risky = {**METRICS, "complaint_rate": metric("complaint_rate", title="<script>")}
        table = plan_table(design(), plan(hypothesis="<b>"), risky)
        assert "<script>" not in table
        assert "<b>" not in table


class TestDuration:
    def test_never(self) -> None:
        fig = duration_chart(weeks(0.09, 0.05, 0.04), METRICS, plan())
        assert fig.finding == "Even after 3 weeks only effects from 4.0 pp on would be seen; one of 2.0 pp would matter"
        assert "1 week 9.0 pp; 2 weeks 5.0 pp; 3 weeks 4.0 pp" in fig.alt
        assert "smallest effect seen, percentage points" in words(fig)
        assert "Outcome that decides: Customers satisfied (top two boxes)." in words(fig)

    def test_some_day(self) -> None:
        fig = duration_chart(weeks(0.05, 0.02, 0.01), METRICS, plan())
        assert fig.finding == "An effect of 2.0 pp, which matters, would be seen after some 2 weeks"
        planned = results.concat([weeks(0.05, 0.02, 0.01), one("duration", 3.0, segment="all")])
        assert duration_chart(planned, METRICS, plan()).finding.endswith("seen after some 3 weeks")

    def test_a_wide_band_of_the_first_weeks_does_not_squeeze_the_rest(self) -> None:
        fig = duration_chart(weeks(0.09, 0.05, 0.04, high=9.0), METRICS, plan())
        assert fig.axes[0].get_ylim()[1] == pytest.approx(100 * 0.09 * 1.25)

    def test_endless_and_missing_limits(self) -> None:
        frame = weeks(0.09, 0.05, 0.04).assign(conf_high=[np.inf, np.nan, 0.05], conf_low=[np.nan, np.nan, 0.03])
        fig = duration_chart(results.conform(frame), METRICS, plan())
        assert np.isfinite(fig.axes[0].get_ylim()).all()
        assert len(canvas.png(fig)) > 1000

    def test_the_planned_length_is_marked(self) -> None:
        both = results.concat([weeks(0.09, 0.05, 0.04), one("units", 900, segment="week", level="2")])
        assert "as planned" in words(duration_chart(both, METRICS, plan()))
        assert "as planned" not in words(duration_chart(weeks(0.09, 0.05), METRICS, plan()))

    def test_one_week_and_none(self) -> None:
        assert duration_chart(weeks(0.09), METRICS, plan()).finding.startswith("Even after 1 week only")
        few = missing(weeks(0.09), "too_few", "fewer than 2")
        assert duration_chart(few, METRICS, plan()).finding == (
            "Nothing to show: too little traffic to tell what could be seen"
        )

    @pytest.mark.parametrize("name", list(UNITS))
    def test_every_unit(self, name: str) -> None:
        mine = plan(primary_metric=name, smallest_effect_that_matters=UNITS[name])
        for fig in (
            duration_chart(weeks(3 * UNITS[name], 2 * UNITS[name]), METRICS, mine),
            power_chart(power(0.2, 0.6, step=UNITS[name]), METRICS, mine),
        ):
            labels = fig.axes[0].get_xlabel() + fig.axes[0].get_ylabel()
            assert "effect" in labels
            assert "count" not in labels
            assert "+" not in fig.finding


class TestPower:
    def test_the_picture(self) -> None:
        fig = power_chart(power(0.1, 0.39, 0.8), METRICS, plan())
        assert fig.finding == "As planned, an effect of 2.0 pp, which matters, would be found in 39 of 100 experiments"
        assert "by true effect, percentage points: 1: 10; 2: 39; 3: 80." in fig.alt
        assert "found, of 100 experiments" in words(fig)
        assert fig.axes[0].get_ylim()[0] == 0

    def test_small_effects_keep_their_digits(self) -> None:
        mine = plan(primary_metric="ces_mean", smallest_effect_that_matters=0.05)
        assert "0.025: 10; 0.05: 20; 0.075: 30" in power_chart(power(0.1, 0.2, 0.3, step=0.025), METRICS, mine).alt

    def test_nothing(self) -> None:
        assert power_chart(results.empty(), METRICS, plan()).finding == "Nothing to show: the power cannot be told"

    def test_text_is_escaped(self) -> None:
        risky = {**METRICS, "csat_top2": metric("csat_top2", title="<script>")}
        assert "<script>" not in canvas.html(power_chart(power(0.1, 0.3), risky, plan()))
        assert "<script>" not in canvas.html(duration_chart(weeks(0.1), risky, plan()))


class TestLooks:
    def looks(self, *notes: str, arm: str = "new_page") -> pd.DataFrame:
        return results.concat(
            difference("csat_top2", arm, 0.01 * (at + 1), 0.02, "moved" if note == "stop" else "", segment="look",
                       level=str(at + 1), note=note)
            for at, note in enumerate(notes)
        )  # fmt: skip

    def test_what_to_do(self) -> None:
        table = looks_table(self.looks("continue", "stop", "after the stop"), METRICS)
        assert "Customers satisfied (top two boxes) was shown to move at look 2" in table
        for part in ("go on: nothing may be said yet", "stop: an effect is shown", "after the stop: for information",
                     "Look 1", "+1.0 pp", "−1.0 to +3.0 pp", "Limits hold at all looks together"):  # fmt: skip
            assert part in table

    def test_not_yet(self) -> None:
        assert "is not shown to move at 1 look so far" in looks_table(self.looks("continue"), METRICS)
        assert "is not shown to move at any of 2 looks so far" in looks_table(self.looks("continue", "end"), METRICS)

    def test_several_arms(self) -> None:
        both = results.concat([self.looks("continue", arm="page_a"), self.looks("stop", arm="page_b")])
        table = looks_table(both, METRICS)
        assert "Look 1, page a" in table
        assert "Look 1, page b" in table
        assert "page_" not in table

    def test_hidden_and_none(self) -> None:
        hidden = missing(self.looks("continue"), "suppressed")
        assert "hidden: small group" in looks_table(hidden, METRICS)
        assert "there was no look yet" in looks_table(results.empty(), METRICS)

    def test_text_is_escaped(self) -> None:
        risky = {"csat_top2": metric("csat_top2", title="<script>")}
        assert "<script>" not in looks_table(self.looks("<b>"), risky)
        assert "<b>" not in looks_table(self.looks("<b>"), risky)
