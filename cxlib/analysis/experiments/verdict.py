"""The verdict on an experiment against its registered plan: ship, do not ship, or no call, with reasons in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from cxlib import results
from cxlib.analysis.experiments import verdict_words as words
from cxlib.analysis.experiments.guardrails import UNCLEAR, UNKNOWN, WORSE
from cxlib.analysis.experiments.health import settled
from cxlib.analysis.experiments.verdict_evidence import Evidence, collect
from cxlib.analysis.experiments.verdict_plan import (
    DECISION,
    DO_NOT_SHIP,
    NO_CALL,
    SHIP,
    ArmDecision,
    Decision,
    Plan,
    note_of,
)

Finding = tuple[str, str, list[str]]  # the call, what the headline says of it, and why


def decide(
    plan: Plan,
    *,
    health: pd.DataFrame,
    primary: pd.DataFrame,
    guardrails: pd.DataFrame | None = None,
    answering: pd.DataFrame | None = None,
    over: bool | Collection[str] = True,
    reached: bool | None = None,
) -> Decision:
    """Decide on each treatment arm by stated rules; the first that applies counts.

    1. No call where a health check failed, or none was made: nothing that follows could be believed.
    2. No call while the experiment runs. Who stops at the first good look finds effects where there are none.
       Guardrails that are worse so far are told all the same: whoever stops for harm ships nothing by luck.
    3. No call, but what it would have been, where the plan was not registered before the start.
    4. No call where the plan does not say which direction of the primary metric is good.
    5. Do not ship where a guardrail is worse: its whole interval is harm, and the margin is not ruled out (or none was
       registered).
    6. No call where the primary metric could not be measured.
    7. No call where what the primary metric shows, for or against, could be who answered (`answering`).
    8. Do not ship where the primary metric got worse.
    9. Do not ship where the whole interval lies below the smallest effect that matters: too small, or none.
    10. The primary metric got better: ship; but no call where harm by a guardrail's margin is not ruled out, none was
        registered and any harm is possible, or one of them was not measured.
    11. No call where nothing was shown, and an effect that matters is not ruled out: it could not have been seen.

    Better and worse mean an adjusted p-value below the plan's alpha and an interval beyond 0. Of several arms that may
    ship only the one with the largest effect does; which of them is best was not tested, and the words say so.

    Parameters
    ----------
    plan
        What was registered.
    health
        Rows of the health checks: `at` is `passes`, `warns` or `fails`, `note` says it in words. Those without any are
        graded by their p-value, as `health` does.
    primary
        One difference per treatment arm (`at`), of everybody, of confidence 1 - alpha, with p-values; of several arms
        adjusted by Holm, else that is done here. Rows of other metrics, segments and comparisons are passed over. The
        limit that a one-sided row lacks is put as far from the estimate as the one it has: the plan promised to look
        for an effect to one side, and harm or none to speak of is read all the same, each with an error of alpha.
    guardrails
        Rows of `non_inferior`, labelled with metric and arm. They are read again, from their limits, against the plan.
    answering
        Of a survey outcome: the row of `answers_or_experience` for each arm (`level`), whose limits hold the effect
        whoever answered; an arm without one cannot be told. None where everybody was measured.
    over
        Whether the experiment ended as registered: its last day has passed. Or the treatment arms that it has ended
        for: those for which a registered look crossed its limit, or limits that hold at every look
        (`effect(sequential=...)`) tell enough; on all others it continues.
    reached
        Whether the planned sample was reached; None where nobody knows. It changes no call and ends nothing by itself:
        who may stop at the sample or at the last day, whichever looks better, has two looks.

    Returns
    -------
    Decision
        With a call, a headline and reasons for each arm, and a frame to freeze.

    Raises
    ------
    UsageError
        For several differences of one arm, health checks that cannot be graded, and answers of an arm that is none.

    Notes
    -----
    Without any effect at most a share alpha / 2 of experiments ships, of however many arms: two-sided, on the good
    side; of one-sided plans alpha. With the planned effect and sample as many ship as the power says, where all
    guardrails hold.
    """
    health = settled(health)
    found = collect(plan, primary, guardrails, answering)
    asides, arms = words.asides(plan, health, reached), []
    for one in found:
        barred = _unsound(plan, health, one, _ended(over, one))
        arms.append(_arm(one, barred, []) if barred else _arm(one, _registered(plan, one), asides))
    arms = _best(found, arms)
    rows = [_row(plan, one, arm, _ended(over, one)) for one, arm in zip(found, arms, strict=True)]
    return Decision(tuple(arms), results.concat(rows))


def _ended(over: bool | Collection[str], one: Evidence) -> bool:
    """Tell whether the experiment has ended for an arm."""
    return over if isinstance(over, bool) else one.arm in over


def _unsound(plan: Plan, health: pd.DataFrame, one: Evidence, over: bool) -> Finding | None:
    """Rules 1 and 2: why nothing is said of an effect."""
    failed = health[health["at"] == "fails"]
    if health.empty:
        return NO_CALL, "nobody checked whether the experiment is sound", [words.NO_HEALTH]
    if len(failed):
        checks = "a health check failed" if len(failed) == 1 else f"{len(failed)} health checks failed"
        return NO_CALL, checks, [*words.notes(failed), words.UNSOUND]
    if over:
        return None
    worse = [watched for watched in one.guardrails if watched[1] == WORSE]
    if worse:
        told = f"the experiment is still running, and {words.named(worse)} looks worse"
        return NO_CALL, told, [*words.guarded(worse), words.HARM, *words.running(plan)]
    return NO_CALL, "the experiment is still running", words.running(plan)


def _registered(plan: Plan, one: Evidence) -> Finding:
    """Rule 3: what is found out afterwards is an exploration."""
    call, told, reasons = _judged(plan, one)
    if plan.registered:
        return call, told, reasons
    if call == NO_CALL:
        return call, f"{told}; not pre-registered", [*reasons, words.unregistered(plan)]
    would = f"not pre-registered (it would have been: {call}, {told})"
    return NO_CALL, would, [words.unregistered(plan), *reasons]


def _judged(plan: Plan, one: Evidence) -> Finding:
    """Rules 4 to 9, and what is left to `_shown`."""
    matters, title = plan.smallest_effect_that_matters, plan.primary.name
    if plan.primary.higher_is_better is None:
        return NO_CALL, f"the plan does not say whether a higher {title} is better", []
    worse = [watched for watched in one.guardrails if watched[1] == WORSE]
    if worse:
        told = f"{words.named(worse)} got worse"
        return DO_NOT_SHIP, told, [*words.guarded(worse), *words.effect(plan, one)]
    if not one.known:
        return NO_CALL, f"{title} has no result", [words.missing(plan, one)]
    better, bad = one.p_better < plan.alpha and one.least > 0, one.p_worse < plan.alpha and one.most < 0
    small = one.most < matters
    fake = _by_answering(plan, one, better, bad, small)
    if fake:
        return NO_CALL, fake, [*words.who_answered(plan, one), *words.effect(plan, one)]
    if bad:
        return DO_NOT_SHIP, f"{title} got worse", words.effect(plan, one)
    if small:
        told = f"{title} got better, but by less than what matters" if better else "no effect that matters"
        return DO_NOT_SHIP, told, [words.too_small(plan), *words.effect(plan, one)]
    return _shown(plan, one, better)


def _by_answering(plan: Plan, one: Evidence, better: bool, bad: bool, small: bool) -> str:
    """Return which claim of the estimate does not hold within the bounds; empty where all do. NaN holds nothing."""
    if one.bounds is None:
        return ""
    title, (least, most) = plan.primary.name, one.bounds
    if (better and not least > 0) or (bad and not most < 0):
        return "what is seen could be who answered"
    if not small or most < plan.smallest_effect_that_matters:
        return ""
    begins = f"{title} got better" if better else f"no effect on {title} is shown"
    return f"{begins}; once it is allowed for who answered, one that matters cannot be ruled out"


def _shown(plan: Plan, one: Evidence, better: bool) -> Finding:
    """Rules 10 and 11: not worse, and an effect that matters is possible."""
    title = plan.primary.name
    if not better:
        return NO_CALL, _blind(plan, one), [words.both(plan, one), *words.wanted(plan, one), *words.effect(plan, one)]
    uncleared = [watched for watched in one.guardrails if watched[1] in (UNCLEAR, UNKNOWN)]
    slight = words.within(one.guardrails)
    if uncleared:
        told = f"{title} got better, but {words.uncleared(uncleared)}"
        return NO_CALL, told, [*words.guarded(uncleared), *slight, *words.effect(plan, one)]
    told, seen = f"{title} {words.moved_by(plan, one)}", words.effect(plan, one)
    return SHIP, told, [*seen, words.size(plan, one), *slight, words.all_hold(plan), *words.answers(one)]


def _blind(plan: Plan, one: Evidence) -> str:
    """Return whether an effect that matters could have been seen."""
    if one.blind:
        return f"an effect on {plan.primary.name} that matters could not have been seen"
    return f"{plan.primary.name} shows neither an effect that matters nor that there is none"


def _arm(one: Evidence, finding: Finding, asides: list[str]) -> ArmDecision:
    """Put a finding into words."""
    call, told, reasons = finding
    on = f" {'on ' if call == NO_CALL else ''}{words.arm(one.arm)}" if one.arm else ""
    return ArmDecision(one.arm, call, f"{call.capitalize()}{on}: {told}.", (*reasons, *asides))


def _best(found: list[Evidence], arms: list[ArmDecision]) -> list[ArmDecision]:
    """Leave only the arm with the largest effect of those that may ship."""
    may = [(one, arm) for one, arm in zip(found, arms, strict=True) if arm.call == SHIP]
    if len(may) < 2:
        return arms
    first = max(may, key=lambda pair: pair[0].gain)[0]
    out = []
    for one, arm in zip(found, arms, strict=True):
        if arm.call != SHIP:
            out.append(arm)
        elif one is first:
            others = [words.arm(other.arm) for other, _ in may if other is not first]
            out.append(replace(arm, reasons=(*arm.reasons, words.best(others))))
        else:
            told = f"it beats the control, too, but {words.arm(first.arm)} did better"
            headline = f"No call on {words.arm(arm.arm)}: {told}."
            out.append(replace(arm, call=NO_CALL, headline=headline))
    return out


def _row(plan: Plan, one: Evidence, arm: ArmDecision, ended: bool) -> pd.DataFrame:
    """Return the row that holds a call."""
    numbers = {name: one.row[name] for name in results.NUMBERS if name != "p_adjusted"}
    state = results.UNDEFINED if one.row["status"] == results.OK and not one.known else one.row["status"]
    seen = "moved" if min(one.p_better, one.p_worse) < plan.alpha else "not shown"
    seen = "could not have been seen" if seen == "not shown" and one.blind else seen
    return results.frame(
        metric=DECISION, period=one.row["period"], at=one.arm, against=one.row["against"], comparison="test",
        method=f"registered plan, primary metric: {one.row['method']}", p_adjusted=one.p_value, status=state,
        verdict=seen if one.known and ended else "", note=note_of(arm), definition=one.row["definition"], **numbers,
    )  # fmt: skip
