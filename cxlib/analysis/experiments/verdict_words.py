"""The sentences of the verdict: what a board reads."""

from __future__ import annotations

import math

import pandas as pd

from cxlib.analysis.experiments.amounts import amount, chance, signed, span
from cxlib.analysis.experiments.guardrails import UNKNOWN, WORSE
from cxlib.analysis.experiments.verdict_evidence import Evidence
from cxlib.analysis.experiments.verdict_plan import Outcome, Plan, listed

Watched = tuple[Outcome, str, pd.Series]

NO_HEALTH = "Without health checks an effect cannot be told from a fault of the experiment."
UNSOUND = "Nothing is read from the effect until the cause is found."
HARM = "Stopping for harm is always allowed: it ships nothing by luck."
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
    unsure = health[(health["at"] != "passes") & (health["at"] != "fails")]
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
    value, low, high = (float(one.row[name]) for name in ("estimate", "conf_low", "conf_high"))
    unit = plan.primary.unit
    told = f"{plan.primary.name}: {signed(value, unit)}, {span(low, high, unit)} ({chance(one.p_value)})."
    return [told]


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
        return "The interval lies above none, but not by enough for the number of arms that were tried."
    return f"The interval holds both no effect and one that matters ({matters}): neither is ruled out."


def wanted(plan: Plan, one: Evidence) -> list[str]:
    """Say how many units would have done; nothing where there were enough."""
    have = float(one.row["n"])
    if not one.wanted_n > have:
        return []
    told = f"{_round(one.wanted_n):,} {plan.units} in this arm and the control"
    return [f"To see an effect that matters in 80 of 100 experiments takes about {told}; there were {have:,.0f}."]


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
    """Return `Complaints could be worse and Orders has no result`."""
    unclear, unknown = ([one for one in watched if (one[1] == UNKNOWN) is lost] for lost in (False, True))
    parts = [f"{named(unclear)} could be worse"] if unclear else []
    parts += [f"there is no result for {named(unknown)}"] if unknown else []
    return " and ".join(parts)


def guarded(watched: list[Watched]) -> list[str]:
    """Say how each guardrail reads."""
    return [_guarded(*one) for one in watched]


def _guarded(one: Outcome, reading: str, row: pd.Series) -> str:
    if reading == UNKNOWN:
        if one.higher_is_better is None:
            return f"{one.name}: the plan does not say whether higher is better."
        return f"{one.name} was registered as a guardrail and has no result: {str(row['note']) or 'no limits'}."
    told = f"{one.name}: {signed(float(row['estimate']), one.unit)}, "
    low, high = float(row["conf_low"]), float(row["conf_high"])
    told += span(low, high, one.unit)
    if one.margin is None:
        return f"{told}. It is worse."
    margin = f"by more than {amount(one.margin, one.unit)}, the registered margin"
    if reading == WORSE:
        sure = (high if one.higher_is_better else -low) < -one.margin
        return f"{told}. It is worse{'' if sure else ', perhaps'} {margin}."
    return f"{told}. It could be worse {margin}."


def all_hold(plan: Plan) -> str:
    """Say that the guardrails hold, and what that means where no margin was registered."""
    if not plan.guardrails:
        return "No guardrail was registered."
    bare = [one.name for one in plan.guardrails if one.margin is None]
    firm = [one.name for one in plan.guardrails if one.margin is not None]
    told = f"{listed(firm)} {_s(firm, 'is', 'are')} not worse by more than the registered margin. " if firm else ""
    if bare:
        told += f"{listed(bare)} {_s(bare, 'is', 'are')} not shown to be worse; without a margin no more can be said."
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
