"""The verdict on an experiment and its checks on the page: in words, grave things first, no ids, all text escaped."""

from __future__ import annotations

import pandas as pd
import pytest

from cxlib import results
from cxlib.show.trial_decision import decision_table, health_table
from tests.show_frames import METRICS, metric
from tests.trial_frames import plan

LONG = (
    "The effect stands whoever answered: even in the worst case it is +0.113 points (response is not shown to differ, "
    "by 0.471 percentage points (p = .58), and it lies between -0.113 and +0.543 points). Reweighted it is the same."
)


def decision(*notes: str, arms: tuple[str, ...] = ("new_page",)) -> pd.DataFrame:
    return results.concat(
        results.frame(metric="decision", at=arm, against="control", comparison="test", estimate=0.1, note=note)
        for arm, note in zip(arms, notes, strict=True)
    )


def check(name: str, at: str, note: str = "all is well", **more: object) -> pd.DataFrame:
    return results.frame(**{"metric": name, "at": at, "comparison": "test", "estimate": 1.0, "note": note, **more})


RATIO = "sample_ratio_mismatch"
PASSING = check("seen in several arms", "passes", "0 of 9,591 customers were seen in several arms")


class TestDecision:
    @pytest.mark.parametrize(
        ("headline", "mark"),
        [("Ship new page: it rose.", "▲"), ("Do not ship new page: it fell.", "■"), ("No call on new page: few.", "◇")],
    )
    def test_the_call_leads_in_word_and_mark(self, headline: str, mark: str) -> None:
        table = decision_table(decision(headline), plan(), METRICS)
        call, _, rest = headline.partition(": ")
        assert f"{mark}</span> {call}</span></strong>: {rest}" in table

    def test_a_long_reason_is_folded_behind_what_it_says_first(self) -> None:
        table = decision_table(decision(f"Ship new page: it rose.\nShort and whole.\n{LONG}"), plan(), METRICS)
        assert "<li>Short and whole.</li>" in table
        assert "<li>The effect stands whoever answered: even in the worst case it is +0.113 points.<details>" in table
        folded = table.partition("More on this</summary>")[2].partition("</details>")[0]
        assert folded.startswith("(response is not shown to differ")
        assert folded.endswith("Reweighted it is the same.")
        assert "\u22120.113" in folded

    def test_several_arms(self) -> None:
        notes = ("No call on a: few.\nWhy a.", "Ship b: it rose.\nWhy b.")
        three = plan(variants={"control": 0.4, "page_a": 0.3, "page_b": 0.3})
        table = decision_table(decision(*notes, arms=("page_a", "page_b")), three, METRICS)
        assert table.index("No call on a") < table.index("Why a") < table.index("Ship b") < table.index("Why b")
        assert "control 40 %, page a 30 % and page b 30 %" in table

    def test_the_registered_plan_in_words(self) -> None:
        table = decision_table(decision("Ship new page: it rose."), plan(looks=("2026-05-01",)), METRICS)
        for part in ("A clearer page pleases.", "customers, by lot: control 50 % and new page 50 %", "2.0 pp",
                     "Complaints (by more than 3.0 per 1,000 customer-months)", "5 %", "2026-05-01", "2026-03-01",
                     "Roll out if satisfaction rises."):  # fmt: skip
            assert part in table
        for name in ("new_page", "csat_top2", "complaint_rate", "customer_id"):
            assert name not in table

    def test_a_plan_written_too_late_is_said_before_the_call(self) -> None:
        late = decision_table(decision("Ship new page: it rose."), plan(registered_on="2026-04-20"), METRICS)
        assert late.index("Not pre-registered") < late.index("Ship new page")
        assert "2026-04-20, after the start" in late
        assert "Not pre-registered" not in decision_table(decision("Ship new page: it rose."), plan(), METRICS)

    def test_what_opens_the_page_says_it_too(self) -> None:
        late = decision_table(decision("Ship new page: it rose."), plan(registered_on="2026-04-20"), METRICS)
        assert 'data-finding="Not pre-registered. Ship new page: it rose."' in late

    def test_nothing_was_decided(self) -> None:
        none = results.frame(metric="decision_of", status=results.UNDEFINED, note="the experiment has not begun")
        assert "The experiment has not begun" in decision_table(none, plan(), METRICS)

    def test_text_is_escaped(self) -> None:
        risky = metric("csat_top2", title="<script>alert(1)</script>")
        table = decision_table(
            decision("Ship <b>: it rose.\n<i>why</i>"), plan(title="<u>"), {**METRICS, "csat_top2": risky}
        )
        for tag in ("<script>", "<b>", "<i>", "<u>"):
            assert tag not in table


class TestHealth:
    def test_all_pass(self) -> None:
        table = health_table(results.concat([PASSING, check(RATIO, "passes")]), METRICS)
        assert "All 2 checks pass: nothing speaks against the experiment" in table
        assert "The 2 checks that pass</summary>" in table
        assert "warning" not in table
        assert "The one check passes" in health_table(PASSING, METRICS)

    def test_a_failed_check_withholds_the_verdict(self) -> None:
        failed = check("outcome known equally in all arms", "fails", "79 % and 12 %", level="nps", segment="outcome")
        table = health_table(results.concat([PASSING, failed]), METRICS)
        assert "1 of 2 checks fails: nothing below may be believed" in table
        banner = "The verdict is withheld. What fails: Outcome known equally in all arms: Net Promoter Score."
        assert table.index(banner) < table.index("<table")
        assert "■</span>&nbsp;fails" in table

    def test_arms_of_other_sizes_lead_where_they_warn(self) -> None:
        other = check("arms alike before the start", "warns", "apart")
        found = results.concat([other, check(RATIO, "warns", "49.56 %, 50.44 % of units", p_value=0.0086), PASSING])
        table = health_table(found, METRICS)
        assert "2 of 3 checks need a look; none withholds the verdict" in table
        assert "Read this first: 49.56 %, 50.44 % of units (p = 0.009). The verdict is not withheld" in table
        first = table.index(">Arms as large as planned</th>")
        assert table.index("Read this first") < first < table.index(">Arms alike before the start</th>")
        assert RATIO not in table

    def test_a_check_that_warns_and_is_not_of_the_arms_has_no_banner(self) -> None:
        table = health_table(results.concat([check("seen in several arms", "warns"), PASSING]), METRICS)
        assert 'class="warning"' not in table
        assert "▲</span>&nbsp;look" in table

    def test_how_far_arms_were_apart_has_no_raw_values(self) -> None:
        note = "5.16e-06 against 0.000485 in the control, -0.031 standard deviations"
        alike = check(
            "arms alike before the start", "passes", note,
            level="churn", estimate=-0.031, conf_low=-0.07, conf_high=0.0, p_value=0.2, p_adjusted=0.6,
        )  # fmt: skip
        table = health_table(alike, METRICS)
        assert "\u22120.03 standard deviations from the control, \u22120.07 to 0.00 (p = 0.600)" in table
        assert "e-06" not in table
        assert "0.000485" not in table

    def test_no_raw_figures_nor_ids_in_other_notes(self) -> None:
        table = health_table(check("drift of shares", "warns", "5.2e-07 of new_layout, 0.00012 of control"), METRICS)
        assert "under 0.001 of new layout, under 0.001 of control" in table

    def test_nothing_was_checked(self) -> None:
        assert "Nothing to show" in health_table(results.empty(), METRICS)
        none = results.frame(metric="health", status=results.UNDEFINED, note="nobody was exposed")
        assert "Nothing to show: nobody was exposed." in health_table(none, METRICS)

    def test_text_is_escaped(self) -> None:
        risky = {**METRICS, "nps": metric("nps", title="<script>x</script>")}
        table = health_table(check("<b>check", "fails", "<i>note", level="nps"), risky)
        for tag in ("<script>", "<b>", "<i>"):
            assert tag not in table
