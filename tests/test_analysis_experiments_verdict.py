"""The verdict: every rule and its limits, what it may never say, and how often it ships."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.analysis.experiments.answering import response_by_arm
from cxlib.analysis.experiments.bounds import lee_bounds
from cxlib.analysis.experiments.effect import effect
from cxlib.analysis.experiments.experience import answers_or_experience
from cxlib.analysis.experiments.guardrails import non_inferior
from cxlib.analysis.experiments.sample_ratio import sample_ratio
from cxlib.analysis.experiments.verdict import decide
from cxlib.analysis.experiments.verdict_plan import CALLS, Decision, Outcome, Plan, read_decision
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments

Z = stats.norm.isf(0.025)
COMPLAINTS = Outcome("complaint_rate", "Complaint rate", "percent", higher_is_better=False, margin=0.01)
PLAN = Plan(
    primary=Outcome("csat_mean", "Satisfaction", "score"), smallest_effect_that_matters=0.1,
    start=dt.date(2026, 4, 1), stop=dt.date(2026, 6, 30), registered_on=dt.date(2026, 3, 16), guardrails=(COMPLAINTS,),
)  # fmt: skip
SOUND = results.frame(metric="arms as registered", comparison="test", at="passes", estimate=0.2, p_value=0.65)


def difference(
    value: float, error: float, *, metric: str = "csat_mean", arm: str = "updates", n: float = 5_000, **words: Any
) -> pd.DataFrame:
    """Return one arm's difference with a normal interval."""
    given: dict[str, Any] = {
        "estimate": value, "std_error": error, "conf_low": value - Z * error, "conf_high": value + Z * error,
        "p_value": 2 * stats.norm.sf(abs(value) / error), "n": n, "n_eff": n, "method": "Welch",
    }  # fmt: skip
    return results.frame(
        **{**given, "metric": metric, "at": arm, "against": "control", "comparison": "difference"} | words
    )


GOOD, FINE = difference(0.25, 0.02), difference(0.001, 0.002, metric="complaint_rate")


def called(plan: Plan = PLAN, **rows: Any) -> Decision:
    """Return the decision on a good and sound experiment, but for what is given."""
    return decide(plan, **{"health": SOUND, "primary": GOOD, "guardrails": FINE} | rows)


def answers(low: float, high: float, reading: str = "stands", **words: Any) -> pd.DataFrame:
    """Return a row as `answers_or_experience` makes it."""
    given = {
        "metric": "csat_mean", "segment": "arm", "level": "updates", "at": reading, "comparison": "test",
        "estimate": 0.25, "conf_low": low, "conf_high": high, "p_value": 0.2, "n": 900, "note": "who answered",
    }  # fmt: skip
    return results.frame(**given | words)


# What is given beside a good and sound experiment, the call, and words of the headline.
CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "all is well": ({}, "ship", "Ship updates: Satisfaction rose by 0.25 points."),
    "a check warns": ({"health": SOUND.assign(at="warns")}, "ship", "rose"),
    "a check fails": ({"health": SOUND.assign(at="fails")}, "no call", "a health check failed"),
    "two checks fail": (
        {"health": results.concat([SOUND.assign(at="fails")] * 2)}, "no call", "2 health checks failed",
    ),
    "nobody checked": ({"health": results.empty()}, "no call", "nobody checked"),
    "running": ({"over": False}, "no call", "still running"),
    "running, and harmful so far": (
        {"over": False, "guardrails": difference(0.03, 0.004, metric="complaint_rate")}, "no call",
        "still running, and Complaint rate looks worse",
    ),
    "not over, but the sample is reached": ({"over": False, "reached": True}, "no call", "still running"),
    "over, but too few came": ({"reached": False}, "ship", "rose"),
    "worse": ({"primary": difference(-0.2, 0.02)}, "do not ship", "Satisfaction got worse"),
    "too small": ({"primary": difference(0.05, 0.01)}, "do not ship", "by less than what matters"),
    "nothing that matters": ({"primary": difference(0.0, 0.02)}, "do not ship", "no effect that matters"),
    "could not have been seen": ({"primary": difference(0.05, 0.06)}, "no call", "could not have been seen"),
    "between": ({"primary": difference(0.05, 0.03, n=9)}, "no call", "shows neither"),
    "a guardrail is worse": (
        {"guardrails": difference(0.02, 0.004, metric="complaint_rate")}, "do not ship", "Complaint rate got worse",
    ),
    "a guardrail is worse, and nothing was measured": (
        {"guardrails": difference(0.02, 0.004, metric="complaint_rate"), "primary": results.empty(),
         "plan": dataclasses.replace(PLAN, arms=("updates",))}, "do not ship", "Complaint rate got worse",
    ),
    "a guardrail is open": (
        {"guardrails": difference(0.0, 0.02, metric="complaint_rate")}, "no call",
        "got better, but Complaint rate could be worse",
    ),
    "a guardrail is missing": ({"guardrails": None}, "no call", "but there is no result for Complaint rate"),
    "a guardrail is hidden": ({"guardrails": FINE.assign(status="suppressed")}, "no call", "no result for"),
    "an open guardrail, and nothing gained": (
        {"guardrails": None, "primary": difference(0.0, 0.02)}, "do not ship", "no effect that matters",
    ),
    "nothing was measured": ({"primary": results.empty()}, "no call", "has no result"),
    "hidden": ({"primary": GOOD.assign(status="suppressed", note="fewer answers")}, "no call", "has no result"),
    "no p-value": ({"primary": GOOD.assign(p_value=np.nan)}, "no call", "has no result"),
    "stands whoever answered": ({"answering": answers(0.1, 0.4)}, "ship", "rose"),
    "could be who answered": ({"answering": answers(-0.1, 0.4)}, "no call", "could be who answered"),
    "the bounds touch 0": ({"answering": answers(0.0, 0.4)}, "no call", "could be who answered"),
    "no bounds": ({"answering": answers(np.nan, np.nan)}, "no call", "could be who answered"),
    "nobody said who answered": ({"answering": results.empty()}, "no call", "could be who answered"),
    "worse, or who answered": (
        {"primary": difference(-0.2, 0.02), "answering": answers(-0.5, 0.1)}, "no call", "could be who answered",
    ),
    "none, or hidden by who answered": (
        {"primary": difference(0.0, 0.02), "answering": answers(-0.2, 0.2)}, "no call",
        "no effect on Satisfaction is shown; once it is allowed for who answered, one that matters cannot be ruled out",
    ),
    "none, and nobody knows who answered": (
        {"primary": difference(0.0, 0.02), "answering": answers(np.nan, np.nan)}, "no call", "no effect on",
    ),
    "better by little, or hidden by who answered": (
        {"primary": difference(0.05, 0.01), "answering": answers(0.01, 0.2)}, "no call",
        "Satisfaction got better; once it is allowed for who answered, one that matters cannot be ruled out",
    ),
    "a check has no gravity and fails": (
        {"health": sample_ratio({"control": 5_000, "updates": 5_600})}, "no call", "a health check failed",
    ),
    "a check has no gravity and passes": ({"health": sample_ratio({"control": 5_000, "updates": 5_050})}, "ship", ""),
    "nothing seen, whoever answered": (
        {"primary": difference(0.05, 0.06), "answering": answers(-0.2, 0.2)}, "no call", "not have been seen",
    ),
    "a worse guardrail, whoever answered": (
        {"guardrails": difference(0.02, 0.004, metric="complaint_rate"), "answering": answers(-1, 1)},
        "do not ship", "Complaint rate got worse",
    ),
}  # fmt: skip


class TestRules:
    @pytest.mark.parametrize("case", sorted(CASES))
    def test_case(self, case: str) -> None:
        rows, call, words = CASES[case]
        found = called(**rows)
        assert found.call == call
        assert words in found.headline
        assert found.headline.startswith(call.capitalize())

    @pytest.mark.parametrize(
        ("value", "low", "high", "p_value", "call"),
        [
            (0.2, 0.05, 0.35, 0.0499, "ship"),
            (0.2, 0.05, 0.35, 0.05, "no call"),  # alpha itself is not below alpha
            (0.2, 0.0, 0.4, 0.0499, "no call"),  # limits wider than the p-value says: looks, or a higher confidence
            (0.2, 1e-9, 0.4, 0.0499, "ship"),
            (0.05, -0.01, 0.1, 0.2, "no call"),  # what matters is the end of the interval, and not ruled out
            (0.05, -0.01, 0.0999, 0.2, "do not ship"),
            (-0.2, -0.4, 0.0, 0.0499, "do not ship"),
            (0.2, 0.1, 0.3, 0.001, "ship"),
            (0.2, 0.05, np.inf, 0.01, "ship"),  # one-sided
            (0.02, -0.05, np.inf, 0.3, "do not ship"),  # the other limit is .09: what matters is ruled out
            (0.02, -0.07, np.inf, 0.4, "no call"),  # ... and is .11: it is not
            (-0.3, -np.inf, -0.1, 0.01, "do not ship"),
        ],
    )
    def test_at_the_limits(self, value: float, low: float, high: float, p_value: float, call: str) -> None:
        primary = GOOD.assign(estimate=value, conf_low=low, conf_high=high, p_value=p_value)
        assert called(primary=primary).call == call

    def test_a_tie_with_a_margin_is_not_cleared(self) -> None:
        for high, call in ((0.00999, "ship"), (0.01, "no call")):
            assert called(guardrails=FINE.assign(conf_high=high)).call == call

    def test_guardrails_without_margin_or_direction(self) -> None:
        bare = dataclasses.replace(PLAN, guardrails=(dataclasses.replace(COMPLAINTS, margin=None),))
        for value, error in ((0.0, 0.02), (0.2, 0.2), (0.0, 1e-6), (-0.01, 0.02)):  # not shown to be worse: no more
            found = called(bare, guardrails=difference(value, error, metric="complaint_rate"))
            assert found.headline == (
                "No call on updates: Satisfaction got better, but no margin was registered for Complaint rate."
            )
            assert "It could be worse: no margin was registered" in found.reasons[0]
        undefined = results.conform(FINE.assign(status="undefined", note="nobody has said how much harm would matter"))
        found = called(bare, guardrails=undefined)
        assert found.headline.endswith("but no margin was registered for Complaint rate.")
        assert found.reasons[0].endswith("has no result: nobody has said how much harm would matter.")
        better = called(bare, guardrails=difference(-0.02, 0.004, metric="complaint_rate"))
        assert better.call == "ship"  # harm of any size is ruled out
        assert "Complaint rate did not get worse." in better.reasons
        assert called(bare, guardrails=difference(0.02, 0.004, metric="complaint_rate")).call == "do not ship"
        unknown = dataclasses.replace(PLAN, guardrails=(dataclasses.replace(COMPLAINTS, higher_is_better=None),))
        assert called(unknown).call == "no call"
        none = called(dataclasses.replace(PLAN, guardrails=()))
        assert none.call == "ship"
        assert "No guardrail was registered." in none.reasons

    def test_worse_within_the_margin_is_told(self) -> None:
        """Harm of half a point is shown, that of the margin ruled out: it ships, and whoever reads it hears of both."""
        slight = difference(0.005, 0.001, metric="complaint_rate")
        found = called(guardrails=slight)
        assert found.call == "ship"
        told = [reason for reason in found.reasons if "It got worse, but not by more than 1 percentage point" in reason]
        assert len(told) == 1
        assert told[0].startswith("Complaint rate: +0.5 percentage points, between +0.304 and +0.696 percentage points")
        assert not [reason for reason in called().reasons if "It got worse" in reason]

    def test_health_that_nobody_can_read_is_refused(self) -> None:
        """A fault that is spelt otherwise would ship, and so would a result that has no grade."""
        with pytest.raises(UsageError, match="'failed' is no gravity; there are passes, warns, fails"):
            called(health=sample_ratio([5_000, 5_600]).assign(at="failed"))
        with pytest.raises(UsageError, match="'seen twice' has neither a gravity nor a p-value"):
            called(health=results.frame(metric="seen twice", comparison="share", estimate=0.2))
        untested = results.frame(metric="known", comparison="test", status=results.TOO_FEW)
        assert called(health=results.concat([SOUND, untested])).call == "ship"

    def test_the_worst_of_several_rows_counts(self) -> None:
        rows = results.concat([FINE, difference(0.02, 0.004, metric="complaint_rate"), FINE])
        assert called(guardrails=rows).call == "do not ship"

    def test_no_direction(self) -> None:
        plan = dataclasses.replace(PLAN, primary=dataclasses.replace(PLAN.primary, higher_is_better=None))
        assert called(plan).headline == (
            "No call on updates: the plan does not say whether a higher Satisfaction is better."
        )

    def test_other_rows_are_passed_over(self) -> None:
        others = [
            results.label(difference(-1, 0.01), metric="nps"),
            results.label(difference(-1, 0.01), comparison="relative"),
            results.label(difference(-1, 0.01), segment="region", level="North"),
        ]
        rows = results.concat([*others, GOOD])
        assert called(primary=rows, guardrails=results.concat([FINE, *others])).call == "ship"


class TestRegistration:
    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"registered_on": dt.date(2026, 4, 2)}, "written down on 2026-04-02, after the start"),
            ({"registered_on": None}, "nobody knows when"),
            ({"file_newer_than_start": True}, "changed after the start"),
        ],
    )
    def test_not_registered_is_no_call(self, change: dict, why: str) -> None:
        found = called(dataclasses.replace(PLAN, **change))
        assert found.call == "no call"
        assert "not pre-registered (it would have been: ship, Satisfaction rose by 0.25 points)" in found.headline
        assert why in found.reasons[0]
        worse = called(dataclasses.replace(PLAN, **change), primary=difference(-0.2, 0.02))
        assert worse.call == "no call"
        assert "would have been: do not ship" in worse.headline
        unseen = called(dataclasses.replace(PLAN, **change), primary=difference(0.05, 0.06))
        assert "not pre-registered" in unseen.headline
        assert "could not have been seen" in unseen.headline

    def test_on_the_day_of_the_start_is_in_time(self) -> None:
        assert called(dataclasses.replace(PLAN, registered_on=PLAN.start)).call == "ship"

    def test_health_comes_first(self) -> None:
        plan = dataclasses.replace(PLAN, registered_on=None)
        found = called(plan, health=SOUND.assign(at="fails", note="more of the control than planned"), over=False)
        assert found.reasons[0] == "More of the control than planned."
        assert "registered" not in " ".join([found.headline, *found.reasons])
        assert "Satisfaction" not in " ".join([found.headline, *found.reasons])

    def test_a_running_one_tells_nothing(self) -> None:
        found = called(dataclasses.replace(PLAN, looks=3), over=False)
        assert found.reasons == (
            "It continues until 2026-06-30. 3 looks were registered; none has crossed its limit so far.",
            "Who stops at the first good look finds effects where there are none.",
        )


class TestArms:
    def rows(self, *values: float, p_adjusted: float = np.nan, error: float = 0.02) -> dict[str, pd.DataFrame]:
        arms = "bcdef"[: len(values)]
        primary = [difference(value, error, arm=arm) for arm, value in zip(arms, values, strict=True)]
        return {
            "primary": results.concat(primary).assign(p_adjusted=p_adjusted),
            "guardrails": results.concat(results.label(FINE, at=arm) for arm in arms),
        }

    def test_the_best_that_beats_the_control(self) -> None:
        found = called(**self.rows(0.2, 0.3, 0.0))
        assert found.calls == {"b": "no call", "c": "ship", "d": "do not ship"}
        assert (found.call, found.arm) == ("ship", "c")
        assert any(told.startswith("b beats the control, too; which is best was not tested") for told in found.reasons)
        assert found.arms[0].headline == "No call on b: it beats the control, too, but c did better."

    def test_it_may_end_for_one_and_continue_for_the_others(self) -> None:
        """A look that crossed its limit ends it for one arm; what is not shown for another one may still come."""
        found = called(**self.rows(0.2, 0.05), over={"b"})
        assert found.calls == {"b": "ship", "c": "no call"}
        assert found.arms[1].headline == "No call on c: the experiment is still running."
        assert found.frame["verdict"].tolist() == ["moved", ""]
        assert called(**self.rows(0.2, 0.05), over=set()).call == "no call"

    def test_order_of_rows(self) -> None:
        rows = self.rows(0.2, 0.3, 0.0)
        rows["answering"] = results.concat(answers(0.1, 0.4, level=arm) for arm in "bcd")
        assert called(**{name: table.iloc[::-1] for name, table in rows.items()}).arms == called(**rows).arms

    def test_of_equal_ones_the_first_by_name(self) -> None:
        assert called(**self.rows(0.3, 0.3)).arm == "b"

    def test_all_and_some_may_not(self) -> None:
        assert called(**self.rows(0.0, -0.2)).call == "do not ship"
        mixed = called(**self.rows(0.05, 0.05, error=0.06))
        assert mixed.call == "no call"
        assert mixed.arm == ""

    def test_holm(self) -> None:
        """Two p-values of .03 are .06 each for two arms; one of .02 is .04, whatever the other."""
        error = 0.2 / stats.norm.isf(0.015)
        both = called(**self.rows(0.2, 0.2, error=error))
        assert both.call == "no call"
        assert "number of arms" in both.reasons[0]
        assert called(**self.rows(0.2, error=error)).call == "ship"
        assert called(**self.rows(0.2, 0.0, error=0.2 / stats.norm.isf(0.01))).calls["b"] == "ship"

    def test_adjusted_p_values_are_taken_unless_smaller_than_holms(self) -> None:
        assert called(**self.rows(0.2, 0.3, p_adjusted=0.2)).call == "no call"
        error = 0.2 / stats.norm.isf(0.015)
        assert called(**self.rows(0.2, 0.2, p_adjusted=0.001, error=error)).call == "no call"

    def test_an_arm_of_the_plan_without_a_row(self) -> None:
        plan = dataclasses.replace(PLAN, arms=("updates", "updates_by_phone"))
        found = called(plan)
        assert found.calls == {"updates": "ship", "updates_by_phone": "no call"}
        assert "on updates by phone: Satisfaction has no result" in found.arms[1].headline
        assert called(dataclasses.replace(PLAN, arms=("other",))).calls == {"other": "no call"}

    def test_answers_by_arm(self) -> None:
        both = results.concat([answers(0.1, 0.4, level="b"), answers(-0.1, 0.4, level="c")])
        found = called(**self.rows(0.2, 0.3), answering=both)
        assert found.calls == {"b": "ship", "c": "no call"}
        assert called(**self.rows(0.2, 0.3), answering=both.head(1)).calls["c"] == "no call"

    def test_answers_of_another_arm_are_refused(self) -> None:
        """Of one arm, too: whoever answered in `zzz` says nothing of this one."""
        with pytest.raises(UsageError, match="said of 'zzz'; the plan has 'updates'"):
            called(answering=answers(0.1, 0.4, level="zzz"))
        with pytest.raises(UsageError, match="said of 'all'; the plan has 'b', 'c'"):
            called(**self.rows(0.2, 0.3), answering=answers(0.1, 0.4, level="all"))
        assert called(answering=answers(0.1, 0.4, level="all")).call == "ship"  # names none, and there is but one

    def test_one_arm_twice(self) -> None:
        with pytest.raises(UsageError, match="several differences for 'updates'"):
            called(primary=results.concat([GOOD, GOOD]))


class TestWords:
    def test_reasons_of_a_ship(self) -> None:
        plan = dataclasses.replace(PLAN, decision="Roll out if satisfaction rises")
        health = SOUND.assign(at="warns", note="a few customers changed arms")
        found = called(plan, health=health, primary=difference(0.15, 0.03), answering=answers(0.02, 0.3), reached=False)
        assert found.reasons == (
            "Satisfaction: +0.15 points, between +0.0912 and +0.209 points (p < .001).",
            "The effect is real, but may be smaller than the smallest that matters (0.1 points).",
            "Complaint rate is not worse by more than the registered margin.",
            "Who answered.",
            "Read with care. A few customers changed arms.",
            "The experiment ended before the planned sample was reached.",
            "Registered: Roll out if satisfaction rises.",
        )

    def test_what_would_have_been_needed(self) -> None:
        """n times ((z of .975 + z of .8) se / smallest effect)^2, to two digits, upwards."""
        needed = 5_000 * ((Z + stats.norm.isf(0.2)) * 0.06 / 0.1) ** 2
        told = called(primary=difference(0.05, 0.06)).reasons[1]
        assert "about 15,000 customers in this arm and the control; there were 5,000" in told
        assert needed == pytest.approx(14_128, abs=1)

    def test_it_is_units_that_are_counted(self) -> None:
        """A rate's n is its events: 207 complaints of 9,591 customers; 9,591 ((z + z) .06 / .1)^2 = 27,100 of these."""
        rows = difference(0.05, 0.06).assign(n=207.0, n_eff=9_591.0)
        told = called(primary=rows).reasons[1]
        assert told.endswith(
            "about 28,000 customers in this arm and the control; there were 9,591 of whom Satisfaction is known."
        )
        assert called(primary=rows).frame["verdict"].iloc[0] == "could not have been seen"
        unknown = called(primary=rows.assign(n=5_000.0, n_eff=np.nan)).reasons[1]
        assert unknown.endswith("about 15,000 answers or events in this arm and the control; there were 5,000.")

    def test_why_an_interval_above_none_shows_nothing(self) -> None:
        """One arm: p = .016 under an alpha of .01, and one that looks have raised to .06."""
        rows = difference(0.241, 0.1)
        strict = called(dataclasses.replace(PLAN, alpha=0.01), primary=rows)
        assert strict.reasons[0] == "The interval lies above none, but the plan asks for a p-value below 0.01."
        looked = called(primary=rows.assign(p_adjusted=0.06))
        assert looked.reasons[0].endswith("not by enough for the number of tests that its p-value is adjusted for.")
        assert "arms" not in strict.reasons[0] + looked.reasons[0]

    def test_a_quantile_has_no_standard_error(self) -> None:
        rows = difference(0.05, 0.06).assign(std_error=np.nan)
        assert called(primary=rows).reasons == called(primary=difference(0.05, 0.06)).reasons

    def test_lower_is_better(self) -> None:
        plan = dataclasses.replace(PLAN, primary=Outcome("wait", "Days to wait", "days", higher_is_better=False))
        found = called(plan, primary=difference(-0.25, 0.02, metric="wait"), answering=answers(-0.4, -0.05))
        assert found.headline == "Ship updates: Days to wait fell by 0.25 days."
        could = called(plan, primary=difference(-0.25, 0.02, metric="wait"), answering=answers(-0.4, 0.05))
        assert could.reasons[0] == "Whoever answered, the effect lies between −0.4 and +0.05 days: no more is known."

    def test_no_machine_words(self) -> None:
        """Pages show titles: no id of a metric, and no underscore of an arm's name."""
        for rows, _, _ in CASES.values():
            found = called(**rows)
            assert "_" not in " ".join([found.headline, *found.reasons])

    def test_worse_beyond_the_margin(self) -> None:
        sure = called(guardrails=difference(0.03, 0.002, metric="complaint_rate")).reasons[0]
        assert sure.endswith("It is worse by more than 1 percentage point, the registered margin.")
        maybe = called(guardrails=difference(0.012, 0.004, metric="complaint_rate")).reasons[0]
        assert "It is worse, perhaps by more than" in maybe


class TestOneSided:
    """A plan that asks about one side: the other one is read from the limit that there is."""

    PLAN = dataclasses.replace(PLAN, alternative="greater", guardrails=())

    def row(self, shift: float, alternative: str = "greater", seed: int = 3, **how: Any) -> pd.DataFrame:
        """Return the row of arms whose means differ by exactly `shift`."""
        values = np.random.default_rng(seed).normal(size=(2, 2_000))
        values -= values.mean(axis=1, keepdims=True)
        sides = [Moments.of(values[0]), Moments.of(values[1] + shift)]
        found = effect(*sides, alternative=alternative, **how)
        return results.label(found, metric="csat_mean", at="updates", against="control")

    @pytest.mark.parametrize(
        ("shift", "call", "words"),
        [
            (-0.25, "do not ship", "Satisfaction got worse"),
            (0.0, "do not ship", "no effect that matters"),
            (0.25, "ship", "rose by 0.25"),
            (0.05, "no call", "Satisfaction"),
        ],
    )
    def test_both_ways(self, shift: float, call: str, words: str) -> None:
        """Limits are about .052 from the estimate: harm and nothing that matters are seen as well as a gain."""
        for sequential in (None, 4_000):
            if sequential and shift == 0.0:
                continue  # limits that hold at every look are wider
            found = called(self.PLAN, primary=self.row(shift, sequential=sequential))
            assert found.call == call
            assert words in found.headline
        down = dataclasses.replace(
            self.PLAN, alternative="less", primary=dataclasses.replace(PLAN.primary, higher_is_better=False)
        )
        assert called(down, primary=self.row(-shift, "less")).call == call

    def test_the_words_are_true(self) -> None:
        """Limits are those of a two-sided interval of 90 %, to the digit, and the p-value is of the side seen."""
        found = called(self.PLAN, primary=self.row(-0.25))
        both = self.row(-0.25, "two-sided", confidence=0.9).iloc[0]
        low, high = (f"−{-both[name]:.3g}" for name in ("conf_low", "conf_high"))
        assert found.reasons[0] == (
            f"Satisfaction: −0.25 points, between {low} and {high} points (one-sided p < .001)."
        )
        assert found.frame["verdict"].iloc[0] == "moved"

    def test_shares_end_at_one(self) -> None:
        """The open side of a share is 1, not endless: harm is seen all the same."""
        old, new = (Moments.from_sums(1_000, {"y": count}, {("y", "y"): count}) for count in (600.0, 450.0))
        for method in ("welch", "newcombe"):
            row = results.label(
                effect(old, new, alternative="greater", method=method), metric="csat_mean", at="updates"
            )
            assert row["conf_high"].iloc[0] == 1.0
            assert called(self.PLAN, primary=row).call == "do not ship"
            assert "got worse" in called(self.PLAN, primary=row).headline

    @pytest.mark.simulation
    def test_nothing_to_find(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Without any effect alpha of the plans find a gain, and alpha harm."""
        times = replicates(150, 5_000)
        seen = []
        for _ in range(times):
            row = effect(*(Moments.of(rng.normal(size=100)) for _ in range(2)), alternative="greater")
            found = called(self.PLAN, primary=results.label(row, metric="csat_mean", at="updates"))
            seen.append("ship" if found.call == "ship" else "worse" if "got worse" in found.headline else "")
        for what in ("ship", "worse"):
            assert seen.count(what) / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


class TestFrame:
    def test_read_back(self) -> None:
        """Through a CSV file, among other rows, in another order."""
        found = called(**TestArms().rows(0.2, 0.3, 0.0))
        table = results.concat([GOOD, found.frame.iloc[::-1], FINE])
        text = io.StringIO(table.to_csv(index=False))
        again = read_decision(results.conform(pd.read_csv(text)))
        assert again.arms == found.arms
        assert (again.call, again.arm, again.headline, again.reasons) == (
            found.call, found.arm, found.headline, found.reasons,
        )  # fmt: skip

    def test_row(self) -> None:
        row = called().frame.iloc[0]
        primary = GOOD.iloc[0]
        for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "n_eff", "against"):
            assert row[name] == primary[name]
        assert (row["metric"], row["comparison"], row["at"], row["verdict"]) == ("decision", "test", "updates", "moved")
        assert called(primary=difference(0.05, 0.06)).frame["verdict"].iloc[0] == "could not have been seen"
        assert called(primary=difference(0.0, 0.02)).frame["verdict"].iloc[0] == "not shown"
        lost = called(primary=GOOD.assign(p_value=np.nan)).frame.iloc[0]
        assert (lost["status"], lost["verdict"]) == ("undefined", "")

    def test_hidden_by_disclosure_control(self) -> None:
        small = called(primary=difference(0.25, 0.02, n=8)).frame
        assert read_decision(results.suppress(small, 10)).call == "no call"
        hidden = called(primary=GOOD.assign(status="suppressed")).frame
        assert hidden["status"].tolist() == ["suppressed"]
        assert read_decision(hidden).call == "no call"

    def test_no_decision_and_a_changed_one(self) -> None:
        with pytest.raises(UsageError, match="holds no decision"):
            read_decision(GOOD)
        with pytest.raises(UsageError, match="tells no call"):
            read_decision(called().frame.assign(note="Launch it"))

    def test_line_breaks_of_others_do_no_harm(self) -> None:
        plan = dataclasses.replace(PLAN, primary=dataclasses.replace(PLAN.primary, title="Satis-\nfaction"))
        found = called(plan, health=SOUND.assign(at="warns", note="one\ntwo"))
        assert len(read_decision(found.frame).reasons) == len(found.reasons)


class TestPlan:
    def test_everything_wrong_at_once(self) -> None:
        with pytest.raises(
            UsageError, match=r"matters 0 .*alpha 5 .*'both' .*stop 2026-01-01 .*margin -1 of Complaint"
        ):
            dataclasses.replace(
                PLAN, smallest_effect_that_matters=0, alpha=5, alternative="both", stop=dt.date(2026, 1, 1),
                guardrails=(dataclasses.replace(COMPLAINTS, margin=-1),),
            )  # fmt: skip


sizes = st.floats(-0.4, 0.4).filter(lambda value: abs(value) > 1e-6)
errors = st.floats(0.005, 0.2)
limits = st.tuples(st.floats(-0.5, 0.5), st.floats(0, 0.5)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(
    st.lists(st.tuples(sizes, errors, st.floats(-0.03, 0.03), st.floats(0.001, 0.02)), min_size=1, max_size=2),
    st.sampled_from(["passes", "warns", "fails"]), st.booleans(), st.one_of(st.none(), limits),
    st.sampled_from([dt.date(2026, 3, 1), dt.date(2026, 5, 1)]),
)  # fmt: skip
def test_a_call_never_contradicts_its_rows(
    values: list[tuple[float, float, float, float]],
    gravity: str,
    over: bool,
    ends: tuple[float, float] | None,
    day: dt.date,
) -> None:
    arms = "abc"[: len(values)]
    primary = results.concat(difference(v, e, arm=arm) for arm, (v, e, _, _) in zip(arms, values, strict=True))
    guards = results.concat(
        difference(v, e, arm=arm, metric="complaint_rate") for arm, (_, _, v, e) in zip(arms, values, strict=True)
    )
    answering = None if ends is None else results.concat(answers(*ends, level=arm) for arm in arms)
    plan = dataclasses.replace(PLAN, registered_on=day)
    rows = {"primary": primary, "guardrails": guards, "answering": answering}
    found = called(plan, health=SOUND.assign(at=gravity), over=over, **rows)
    assert list(found.calls.values()).count("ship") <= 1
    assert set(found.calls.values()) <= set(CALLS)
    if gravity == "fails" or not over or not plan.registered:
        assert set(found.calls.values()) == {"no call"}
    for call, row, guard in zip(found.calls.values(), primary.itertuples(), guards.itertuples(), strict=True):
        if call == "ship":
            assert row.conf_low > 0
            assert row.p_value < PLAN.alpha
            assert row.conf_high >= PLAN.smallest_effect_that_matters
            assert guard.conf_high < COMPLAINTS.margin
            assert ends is None or ends[0] > 0
        if call == "do not ship":
            assert row.conf_high < PLAN.smallest_effect_that_matters or guard.conf_low > 0
    assert read_decision(found.frame).arms == found.arms


@given(sizes, errors, st.one_of(st.none(), limits))
def test_mirrored(value: float, error: float, ends: tuple[float, float] | None) -> None:
    """Where lower is better, everything the other way round is the same decision."""
    down = dataclasses.replace(PLAN, primary=dataclasses.replace(PLAN.primary, higher_is_better=False))
    here = called(primary=difference(value, error), answering=None if ends is None else answers(*ends))
    there = called(
        down, primary=difference(-value, error), answering=None if ends is None else answers(-ends[1], -ends[0])
    )
    assert here.call == there.call


@pytest.mark.simulation
def test_who_answered_never_decides(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Nobody is happier or unhappier, but of the detractors 12 % answer instead of 8 %, and the score falls.

    At most 5 % of experiments may say "do not ship" for it, the bounds being of 95 %: 7 of 300 did.
    """
    times, wrong, fooled = replicates(10, 500), 0, 0
    plan = dataclasses.replace(
        PLAN, primary=Outcome("nps", "NPS", "points"), smallest_effect_that_matters=4.0, guardrails=()
    )
    for _ in range(times):
        treated = rng.random(24_000) < 0.5
        score = rng.choice([100.0, 0.0, -100.0], treated.size, p=[0.5, 0.3, 0.2])
        said = rng.random(treated.size) < np.where(score < 0, np.where(treated, 0.12, 0.08), 0.12)
        arm = np.where(treated, "new", "control")
        sides = [Moments.of(score[said & (treated == side)]) for side in (False, True)]
        row = results.label(effect(*sides), metric="nps", at="new", against="control")
        bounds = lee_bounds(score, said, arm, control="control")
        response = response_by_arm(pd.DataFrame({"arm": arm, "answered": said}), control="control")
        read = answers_or_experience(row, bounds, response, unit="points")
        fooled += row["p_value"].iloc[0] < 0.05
        wrong += called(plan, primary=row, answering=read).call != "no call"
    assert fooled > 0.8 * times
    assert wrong <= 0.05 * times + 3 * np.sqrt(0.05 * 0.95 * times)


@pytest.mark.simulation
class TestHowOften:
    """Real rows, `effect` and `non_inferior`, of normal values with standard deviation 1 and 200 units an arm."""

    UNITS = 200
    PLANNED = (Z + stats.norm.isf(0.2)) * np.sqrt(2 / UNITS)  # seen in 80 of 100 experiments
    PLAN = dataclasses.replace(
        PLAN, smallest_effect_that_matters=PLANNED, guardrails=(Outcome("orders", margin=PLANNED),)
    )

    def shipped(self, rng: np.random.Generator, times: int, gains: list[float], harm: float = 0.0) -> float:
        count = 0
        for _ in range(times):
            primary, guards = [], []
            control, before = (Moments.of(rng.normal(size=self.UNITS)) for _ in range(2))
            for arm, gain in zip("bcd", gains, strict=False):
                words = {"at": arm, "against": "control"}
                outcome, orders = (Moments.of(rng.normal(shift, 1, self.UNITS)) for shift in (gain, -harm))
                primary.append(results.label(effect(control, outcome), metric="csat_mean", **words))
                held = non_inferior(before, orders, self.PLANNED, higher_is_better=True)
                guards.append(results.label(held, metric="orders", **words))
            rows = {"primary": results.concat(primary), "guardrails": results.concat(guards)}
            count += called(self.PLAN, **rows).call == "ship"
        return count / times

    @pytest.mark.parametrize("arms", [1, 3])
    def test_nothing_to_find(self, rng: np.random.Generator, replicates: Callable[[int, int], int], arms: int) -> None:
        """Without any effect at most alpha / 2 ship, of however many arms."""
        times = replicates(80 if arms == 1 else 20, 10_000)
        assert self.shipped(rng, times, [0.0] * arms) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / times)

    def test_the_planned_effect(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """With the planned effect and sample 80 % would ship; a guardrail with 88 % power to clear leaves 70 %."""
        times = replicates(150, 10_000)
        cleared = stats.norm.cdf(self.PLANNED / np.sqrt(2 / self.UNITS) - stats.norm.isf(0.05))
        expected = 0.8 * cleared
        found = self.shipped(rng, times, [self.PLANNED])
        assert found == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / times))

    def test_harm_of_just_the_margin(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """However good it is, what does as much harm as the margin ships in at most 5 % of experiments."""
        times = replicates(80, 10_000)
        found = self.shipped(rng, times, [1.0], harm=self.PLANNED)
        assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)
