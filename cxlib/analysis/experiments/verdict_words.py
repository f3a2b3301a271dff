"""The sentences of the verdict: what a board reads."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from cxlib.analysis.experiments.amounts import amount, chance, signed, span
from cxlib.analysis.experiments.guardrails import HOLDS, UNCLEAR, UNKNOWN, WORSE
from cxlib.analysis.experiments.verdict_evidence import Evidence
from cxlib.analysis.experiments.verdict_plan import Outcome, Plan, listed

Watched = tuple[Outcome, str, pd.Series]

NO_HEALTH = "Without health checks an effect cannot be told from a fault of the experiment."
UNSOUND = "Nothing is read from the effect until the cause is found."
HARM = "Stopping for harm is always allowed: it ships nothing by luck."
_BARE = "no margin was registered, and without one nobody knows how much harm would matter"
SHORT = "The experiment ended before the planned sample was reached."


def notes(rows: pd.DataFrame) -> list[str]:
    """Return the notes of rows as sentences; those without one by their metric."""
    told = [str(row["note"] or row["metric"]) for _, row in rows.sort_values(["metric", "note"]).iterrows()]
    return [sentence(text) for text in dict.fromkeys(told)]


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def asides(plan: Plan, health: pd.DataFrame, reached: bool | None) -> list[str]:
    """Return what stands beside any finding: warnings of the health checks, a short sample, what was promised."""
    unsure = health[health["at"] == "warns"]
    told = [f"Read with care. {text}" for text in notes(unsure)]
    told += [SHORT] if reached is False else []
    return [*told, f"Registered: {sentence(plan.decision)}"] if plan.decision else told


def arm(name: str) -> str:
    """Return an arm's name for people."""
    return name.replace("_", " ")


def running(plan: Plan) -> list[str]:
    """Say until when to wait."""
    looks = f" {plan.looks} looks were registered; none has crossed its limit so far." if plan.looks > 1 else ""
    return [
        f"It continues until {plan.stop}.{looks}",
        "Who stops at the first good look finds effects where there are none.",
    ]


def unregistered(plan: Plan) -> str:
    """Say why a finding is an exploration."""
    if plan.registered_on is None:
        why = "nobody knows when the plan was written down"
    elif plan.registered_on > plan.start:
        why = f"the plan was written down on {plan.registered_on}, after the start on {plan.start}"
    else:
        why = f"the plan was changed after the start on {plan.start}"
    return f"Not pre-registered: {why}. Read it as an exploration, and test it in a new experiment."


def moved_by(plan: Plan, one: Evidence) -> str:
    """Return `rose by 0.24`."""
    value = float(one.row["estimate"])
    return f"{'rose' if value > 0 else 'fell'} by {amount(abs(value), plan.primary.unit)}"


def effect(plan: Plan, one: Evidence) -> list[str]:
    """Say what was measured; nothing where nothing was."""
    if not one.known:
        return []
    unit, p_value = plan.primary.unit, one.p_better if one.gain > 0 else one.p_worse
    told = f"{'one-sided ' if one.one_sided else ''}{chance(p_value)}"
    return [f"{plan.primary.name}: {signed(float(one.row['estimate']), unit)}, {span(*one.limits, unit)} ({told})."]


def size(plan: Plan, one: Evidence) -> str:
    """Say whether a true effect is one that matters."""
    matters = amount(plan.smallest_effect_that_matters, plan.primary.unit)
    if one.least >= plan.smallest_effect_that_matters:
        return f"Even the lower end of the interval is an effect that matters ({matters})."
    return f"The effect is real, but may be smaller than the smallest that matters ({matters})."


def too_small(plan: Plan) -> str:
    """Say that an effect that matters is ruled out."""
    matters = amount(plan.smallest_effect_that_matters, plan.primary.unit)
    return f"The whole interval lies below the smallest effect that matters ({matters}): a larger one is ruled out."


def both(plan: Plan, one: Evidence) -> str:
    """Say that nothing is ruled out."""
    matters = amount(plan.smallest_effect_that_matters, plan.primary.unit)
    if one.least > 0:
        return f"The interval lies above none, but {_not_enough(plan, one)}."
    return f"The interval holds both no effect and one that matters ({matters}): neither is ruled out."


def _not_enough(plan: Plan, one: Evidence) -> str:
    """Say why an interval beyond none shows nothing: the plan allows less error than it has, or there were several."""
    p_value = float(one.row["p_value"])
    if not (min(p_value, 1 - p_value) if one.one_sided else p_value) < plan.alpha:
        return f"the plan asks for a p-value below {plan.alpha:g}"
    if one.arms > 1:
        return "not by enough for the number of arms that were tried"
    return "not by enough for the number of tests that its p-value is adjusted for"


def wanted(plan: Plan, one: Evidence) -> list[str]:
    """Say how many units would have done; nothing where there were enough."""
    if not one.blind:
        return []
    whom, known = (plan.units, f" of whom {plan.primary.name} is known") if one.in_units else ("answers or events", "")
    told = f"{_round(one.wanted_n):,} {whom} in this arm and the control; there were {one.have_n:,.0f}{known}"
    return [f"To see an effect that matters in 80 of 100 experiments takes about {told}."]


def answers(one: Evidence) -> list[str]:
    """Return what is said of who answered; nothing where everybody was measured."""
    return [sentence(str(one.answers["note"]))] if one.answers is not None and one.answers["note"] else []


def who_answered(plan: Plan, one: Evidence) -> list[str]:
    """Say that what is seen could be who answered."""
    low, high = one.bounds or (math.nan, math.nan)
    if math.isnan(low) or math.isnan(high):
        return ["What who answered does to the effect cannot be bounded.", *answers(one)]
    if plan.primary.higher_is_better is False:
        low, high = -high, -low
    return [f"Whoever answered, the effect lies {span(low, high, plan.primary.unit)}: no more is known.", *answers(one)]


def named(watched: list[Watched]) -> str:
    """Return the titles of guardrails."""
    return listed(one.name for one, _, _ in watched)


def uncleared(watched: list[Watched]) -> str:
    """Return `Complaints could be worse, no margin was registered for Waits and there is no result for Orders`."""
    firm, bare = ([one for one in watched if (one[0].margin is None) is lacks] for lacks in (False, True))
    unclear, unknown = ([one for one in firm if (one[1] == UNKNOWN) is lost] for lost in (False, True))
    parts = [f"{named(unclear)} could be worse"] if unclear else []
    parts += [f"no margin was registered for {named(bare)}"] if bare else []
    parts += [f"there is no result for {named(unknown)}"] if unknown else []
    return listed(parts)


def guarded(watched: list[Watched]) -> list[str]:
    """Say how each guardrail reads that does not hold."""
    return [_guarded(*one) for one in watched]


def within(watched: Iterable[Watched]) -> list[str]:
    """Say which guardrails got worse, though not by their margins."""
    return [told for one in watched if one[1] == HOLDS and (told := _guarded(*one))]


def _guarded(one: Outcome, reading: str, row: pd.Series) -> str:
    if reading == UNKNOWN:
        if one.higher_is_better is None:
            return f"{one.name}: the plan does not say whether higher is better."
        return f"{one.name} was registered as a guardrail and has no result: {str(row['note']) or 'no limits'}."
    told = f"{one.name}: {signed(float(row['estimate']), one.unit)}, "
    low, high = float(row["conf_low"]), float(row["conf_high"])
    told += span(low, high, one.unit)
    most = high if one.higher_is_better else -low
    if one.margin is None:
        words = {WORSE: "It is worse.", UNCLEAR: f"It could be worse: {_BARE}."}
        return f"{told}. {words[reading]}" if reading in words else ""
    margin = f"by more than {amount(one.margin, one.unit)}, the registered margin"
    if reading == HOLDS:
        return f"{told}. It got worse, but not {margin}." if most < 0 else ""
    if reading == WORSE:
        sure = most < -one.margin
        return f"{told}. It is worse{'' if sure else ', perhaps'} {margin}."
    return f"{told}. It could be worse {margin}."


def all_hold(plan: Plan) -> str:
    """Say that the guardrails hold; without a margin that is: there is no harm of any size."""
    if not plan.guardrails:
        return "No guardrail was registered."
    bare = [one.name for one in plan.guardrails if one.margin is None]
    firm = [one.name for one in plan.guardrails if one.margin is not None]
    told = f"{listed(firm)} {_s(firm, 'is', 'are')} not worse by more than the registered margin. " if firm else ""
    if bare:
        told += f"{listed(bare)} did not get worse."
    return told.strip()


def missing(plan: Plan, one: Evidence) -> str:
    """Say why the primary metric has no result."""
    return sentence(str(one.row["note"])) if one.row["note"] else f"{plan.primary.name} has no limits or no p-value."


def best(others: list[str]) -> str:
    """Say that the best arm was chosen by its estimate, which flatters it."""
    told = f"{listed(others)} beat{_s(others, 's', '')} the control, too; which is best was not tested"
    return f"{told}, and the best of several looks better than it is."


def _s(names: list[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many


def _round(count: float) -> int:
    """Return a count to two digits, upwards."""
    step = 10 ** max(math.floor(math.log10(max(count, 1))) - 1, 0)
    return math.ceil(count / step - 1e-9) * step
