"""Pictures and tables of loyalty: what is drawn, what is said, and what may not be said."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.show import canvas, style
from cxlib.show import loyalty as shown
from cxlib.show.canvas import Chart
from cxlib.show.hazards import hazard_ratios, hazard_table
from cxlib.show.survival import leaving_reasons, survival_curves


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def customers(rng: np.random.Generator, size: int = 600) -> pd.DataFrame:
    """Return customers of two plans, Pro staying three times as long, watched for 2 to 30 months."""
    plan = rng.choice(["Basic", "Pro"], size)
    left, seen = rng.exponential(np.where(plan == "Pro", 30, 10)), rng.uniform(2, 30, size)
    why = rng.choice(["price", "payment_failed", "service"], size, p=[0.2, 0.2, 0.6])
    return pd.DataFrame({"plan": plan, "t": np.ceil(np.minimum(left, seen)), "e": left <= seen, "why": why})


class TestCurves:
    def test_late_entry_is_told_where_more_are_watched_later(self) -> None:
        time, left = np.arange(1.0, 41.0), np.ones(40)
        told = "More are watched later than earlier because customers from before records began enter late."
        late = loyalty.survival(time, left, entry=np.where(time > 10, 9.0, 0.0), at=[5, 9, 12, 20])
        assert told in words(survival_curves(late))
        assert told not in words(survival_curves(loyalty.survival(time, left, at=[5, 9, 12, 20])))

    def test_groups_that_differ(self, rng: np.random.Generator) -> None:
        people = customers(rng)
        frame = results.concat([
            loyalty.survival(people["t"], people["e"], by=people["plan"]),
            loyalty.log_rank(people["t"], people["e"], people["plan"]),
        ])  # fmt: skip
        fig = survival_curves(frame, unit="months")
        assert fig.finding.startswith("Pro: ")
        assert " are still there after " in fig.finding
        assert "; Basic: " in fig.finding
        said = words(fig)
        assert "Log-rank test that all leave at the same speed: p less than 0.001." in said
        assert "Customers still watched just before" in said
        assert "months since the start" in said
        assert fig.alt.startswith(fig.finding)
        assert "watched)" in fig.alt
        assert "nan" not in fig.alt

    def test_a_title_speaks_of_no_time_at_which_few_were_watched(self) -> None:
        people = pd.DataFrame({"t": [*range(1, 61)] * 2, "e": True, "g": ["a"] * 60 + ["b"] * 60})
        frame = loyalty.survival(people["t"], people["e"], by=people["g"])
        assert survival_curves(frame).finding.startswith("After 31 no difference between the 2 groups is shown")

    def test_one_group(self) -> None:
        frame = loyalty.survival(range(1, 41), [True] * 40)
        assert survival_curves(frame, unit="days").finding == "Half of the customers stay 20.5 days or longer"
        kept = loyalty.survival(range(1, 41), [True] * 4 + [False] * 36, at=[10])
        assert survival_curves(kept, unit="days").finding == "90.0 % are still there after 10 days"

    def test_dots_where_few_times_were_asked_for(self, rng: np.random.Generator) -> None:
        people = customers(rng)
        frame = loyalty.survival(people["t"], people["e"], at=[6, 12])
        fig = survival_curves(frame)
        assert next(line.get_marker() for line in fig.axes[0].lines) == "o"
        assert "Dots: estimate" in words(fig)

    def test_lines_can_be_told_apart_without_colour(self, rng: np.random.Generator) -> None:
        people = customers(rng)
        groups = rng.choice(list("abcdef"), len(people))
        fig = survival_curves(loyalty.survival(people["t"], people["e"], by=groups))
        curves = [line for line in fig.axes[0].lines if len(line.get_xdata()) > 2]
        assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in curves}) == 6

    def test_many_long_names(self, rng: np.random.Generator) -> None:
        names = [f"<b>A long name</b> $x_1$ 顧客 of a level, number {i}" for i in range(25)]
        people = customers(rng, 2_000)
        frame = loyalty.survival(people["t"], people["e"], by=rng.choice(names, 2_000))
        fig = survival_curves(frame)
        assert "19 more are not drawn." in words(fig)
        assert "<b>" not in canvas.html(fig)

    def test_hidden_parts_are_told(self, rng: np.random.Generator) -> None:
        people = customers(rng, 150)
        fig = survival_curves(loyalty.survival(people["t"], people["e"], by=people["plan"], min_n=10))
        assert "Hidden where too few were watched: Basic" in words(fig)
        nothing = survival_curves(loyalty.survival([1, 2], [1, 0], min_n=10))
        assert nothing.finding == "Nothing to show: hidden: small group"
        assert survival_curves(results.empty()).finding == "Nothing to show: the frame holds no survival"

    def test_the_order_of_rows_is_nothing(self, rng: np.random.Generator) -> None:
        people = customers(rng)
        frame = loyalty.survival(people["t"], people["e"])
        assert canvas.png(survival_curves(frame)) == canvas.png(survival_curves(frame.iloc[::-1]))


class TestReasons:
    def test_the_first_reason(self, rng: np.random.Generator) -> None:
        people = customers(rng)
        frame = loyalty.competing_reasons(people["t"], people["e"], people["why"])
        fig = leaving_reasons(frame, unit="months")
        assert "have left for service, more than for any other reason" in fig.finding
        assert "payment failed" in words(fig)
        assert "shares add up to all who have left" in words(fig)
        assert "nan" not in fig.alt

    def test_no_first_reason(self, rng: np.random.Generator) -> None:
        people = customers(rng)
        frame = loyalty.competing_reasons(people["t"], people["e"], rng.choice(["a", "b"], len(people)))
        assert "have left, for no reason more than for the next" in leaving_reasons(frame).finding
        assert leaving_reasons(results.empty()).finding == "Nothing to show: the frame holds no reasons for leaving"

    def test_nobody_left(self) -> None:
        frame = loyalty.competing_reasons([1, 2], [0, 0], ["", ""])
        assert leaving_reasons(frame).finding == "Nothing to show: nobody has left"


class TestHazards:
    def frame(self, rng: np.random.Generator) -> pd.DataFrame:
        people = customers(rng, 1_500).assign(noise=rng.normal(size=1_500), same=1)
        fit = loyalty.cox(people, "t", "e", ["plan", "noise", "same"])
        return results.concat([fit.ratios(), loyalty.proportional_hazards(fit)])

    def test_the_picture(self, rng: np.random.Generator) -> None:
        fig = hazard_ratios(self.frame(rng))
        assert fig.finding.startswith("plan Pro: ")
        assert fig.finding.endswith(" % lower hazard of leaving than Basic; 1 of 2 are shown to matter")
        said = words(fig)
        assert "No ratio for same (the same for everybody)." in said
        assert "against Basic" in said
        marks = {line.get_marker(): to_hex(line.get_markerfacecolor()) for line in fig.axes[0].lines}
        assert marks["o"] == style.BLUE
        assert marks["D"] == style.PAPER
        assert "no difference shown" in fig.alt
        assert "nan" not in fig.alt

    def test_ratios_that_change_are_told(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng)
        moving = frame.assign(p_value=frame["p_value"].where(frame["metric"] != "proportional_hazards", 0.001))
        assert "Shown to change over time, so that one number is an average: plan and noise." in words(
            hazard_ratios(moving)
        )
        still = frame.assign(p_value=frame["p_value"].where(frame["metric"] != "proportional_hazards", 0.5))
        assert "No ratio is shown to change over time." in words(hazard_ratios(still))

    def test_nothing_shown_is_no_finding(self, rng: np.random.Generator) -> None:
        people = customers(rng).assign(noise=lambda t: np.tile([0.0, 1.0], len(t) // 2))
        frame = loyalty.hazard_ratios(people, "t", "e", ["noise"])
        assert hazard_ratios(frame).finding == "noise is not shown to go with leaving sooner or later"

    def test_many(self, rng: np.random.Generator) -> None:
        people = customers(rng).assign(level=rng.choice([f"<i>level {i:02}" for i in range(30)], 600))
        frame = loyalty.hazard_ratios(people, "t", "e", ["level"])
        fig = hazard_ratios(frame)
        assert "more with larger p-values are not drawn." in words(fig)
        assert fig.get_size_inches()[1] < 13
        assert "<i>" not in hazard_table(frame)

    def test_hidden_or_nothing(self) -> None:
        frame = loyalty.hazard_ratios(pd.DataFrame({"t": [1, 2, 3], "e": 1, "x": [1, 5, 2]}), "t", "e", ["x"], min_n=10)
        assert hazard_ratios(frame).finding == "Nothing to show: hidden: small group"
        assert hazard_ratios(results.empty()).finding == "Nothing to show: the frame holds no hazard ratios"
        assert "Nothing to show" in hazard_table(results.empty())

    def test_the_table(self, rng: np.random.Generator) -> None:
        table = hazard_table(self.frame(rng))
        assert "% lower hazard</span>" in table
        assert "one unit less" in table
        assert "the same for everybody" in table
        assert "std_error of the logarithm" in table

    def test_by_reason(self, rng: np.random.Generator) -> None:
        frame = loyalty.reason_hazard_ratios(customers(rng), "t", "e", "why", ["plan"])
        assert any(f"plan: {plan} x service" in words(hazard_ratios(frame)) for plan in ("Basic", "Pro"))


class TestTables:
    @pytest.mark.parametrize(("metric", "table"), [("churn", "churn_table"), ("hazard_ratio", "hazard_table")])
    def test_a_reason_stands_in_the_place_of_a_table(self, metric: str, table: str) -> None:
        note = "the workspace has no subscriptions"
        why = results.frame(metric=metric, level="all", status=results.UNDEFINED, note=note)
        page = {"churn_table": shown.churn_table, "hazard_table": hazard_table}[table](why)
        assert f"Nothing to show: {note}." in page
        assert "<table" not in page

    def test_p_values_stand_in_the_details(self, rng: np.random.Generator) -> None:
        table = hazard_table(loyalty.hazard_ratios(customers(rng), "t", "e", ["plan"]))
        assert "What goes with it" in table
        assert "Hazard ratio (times as fast)" in table
        assert '">p</th>' not in table
        assert "p below 0.001" in table.partition("<details>")[2]

    def test_churn(self) -> None:
        rows = [("a", "2026-01-01", None), ("b", "2026-01-01", "2026-10-11"), ("c", "2026-10-16", None)]
        frame = loyalty.churn(
            pd.DataFrame(rows, columns=["customer_id", "started_on", "ended_on"]), "2026-10-01", "2026-11-01"
        )
        table = shown.churn_table(frame)
        assert "Churn in October 2026: 53.4 % per customer-month, 50.0 % of those there at the start" in table
        for part in ("Start cohort", "fair when many join", "exact Poisson", "its numerator sees those who joined"):
            assert part in table
        assert "hidden: small group" in shown.churn_table(results.suppress(frame, 10))
        assert "Nothing to show" in shown.churn_table(results.empty())

    def test_survival(self) -> None:
        frame = loyalty.survival(
            [1, 2, 3, 4] * 2, [1, 1, 1, 0] + [0] * 4, by=pd.Series(["<a>"] * 4 + ["b"] * 4, name="plan")
        )
        table = shown.survival_table(frame, unit="months")
        assert "&lt;a&gt;" in table
        assert "Still there after 3 months" in table
        assert "Mean (months), up to 4" in table
        assert "not reached" in table
        assert "median of b: fewer than half have left" in table
        assert "Nothing to show" in shown.survival_table(results.empty())

    def test_reasons(self) -> None:
        frame = loyalty.competing_reasons([1, 2, 3], [1, 1, 0], ["payment_failed", "price", ""])
        table = shown.survival_table(frame)
        assert "payment failed" in table
        assert "Time lost to it (of 3)" in table
        assert "Months lost to it (of 3)" in shown.survival_table(frame, unit="months")
        assert ">Customers<" in table
        assert ">Subscriptions<" in shown.survival_table(frame, counted="Subscriptions")
        assert "Nothing to show: nobody has left." in shown.survival_table(loyalty.competing_reasons([1], [0], [""]))

    def test_times_of_nothing(self) -> None:
        frame = loyalty.survival([0, 0], [1, 0])
        assert survival_curves(frame).finding.startswith("Half of the customers stay 0")


def triangle(sizes: dict[str, tuple[int, float]], **more: int) -> pd.DataFrame:
    """Return a triangle of cohorts by month: their size, and the share that stays after the first month."""
    rows = []
    for month, (size, share) in sizes.items():
        start = pd.Timestamp(f"{month}-10")
        for who in range(size):
            rows.append((f"{month}{who}", start, None if who < share * size else start + pd.Timedelta(days=40)))
    frame = pd.DataFrame(rows, columns=["customer_id", "started_on", "ended_on"])
    return loyalty.retention_triangle(frame, "2026-05-01", **more)


class TestTriangle:
    def test_what_is_drawn(self) -> None:
        frame = triangle({"2026-01": (100, 0.9), "2026-02": (100, 0.5), "2026-03": (80, 0.5), "2026-04": (90, 1.0)})
        fig = shown.retention(frame)
        assert fig.finding == (
            "50.0 % of the customers of February 2026 are there after 2 months, "
            "fewer than of those of January 2026 (90.0 %)"
        )
        cells = fig.axes[0].patches
        assert len(cells) == 4 + 3 + 2 + 1  # what is not over is blank
        said = words(fig)
        assert "subscribed at the end of that month" in said
        assert "Months since" in said
        assert fig.alt.count("at age") == 4
        assert "nan" not in fig.alt

    def test_no_difference_and_one_cohort(self) -> None:
        fig = shown.retention(triangle({"2026-01": (20, 0.9), "2026-02": (20, 0.8)}))
        assert "no difference from those of January 2026 (90.0 %) is shown" in fig.finding
        alone = shown.retention(triangle({"2026-03": (20, 0.9)}))
        assert alone.finding == "90.0 % of the customers of March 2026 are there after 1 month"

    def test_hidden_cohorts_are_hatched(self) -> None:
        fig = shown.retention(triangle({"2026-01": (5, 0.9), "2026-02": (50, 0.5)}, min_n=10))
        assert len([patch for patch in fig.axes[0].patches if patch.get_hatch()]) == 4
        assert "2026-01: hidden" in fig.alt
        assert (
            shown.retention(triangle({"2026-01": (5, 0.9)}, min_n=10)).finding == "Nothing to show: hidden: small group"
        )
        assert shown.retention(results.empty()).finding == "Nothing to show: the frame holds no retention"

    def test_many_cohorts(self) -> None:
        months = [str(month) for month in pd.period_range("2023-01", "2026-04", freq="M")]
        fig = shown.retention(triangle(dict.fromkeys(months, (12, 0.75))))
        assert "16 earlier cohorts are not drawn." in words(fig)
        assert fig.get_size_inches()[1] < 9
