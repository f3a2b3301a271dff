"""How far an estimate that nobody randomised may be called an effect: a grade from checks, by stated rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.effects import evidence_checks as checks
from cxlib.analysis.effects.choice import (
    BEFORE_AFTER,
    COUNTERFACTUAL,
    DESIGNS,
    DID,
    INTERRUPTED,
    MATCHING,
    STAGGERED,
    SYNTHETIC,
    TITLES,
    effect_of,
)
from cxlib.analysis.effects.evidence_checks import FAILS, MISSING, PASSES, UNCLEAR, Check, Facts
from cxlib.errors import UsageError, did_you_mean

NONE, WEAK, FAIR, STRONG, RANDOMISED = GRADES = ("none", "weak", "fair", "strong", "randomised")
METHOD = "evidence by stated rules"
TRIAL = "randomised"
_MOST = {STRONG: 0.5, FAIR: 2.0, WEAK: 4.0}  # points against, up to which each grade is given

# What a check costs: (fails or was not made, unclear).
_COST = {
    "trend": (4.0, 0.5),
    "in time": (2.0, 0.5),
    "in space": (2.0, 0.5),
    "untouchable": (2.0, 1.0),
    "size": (1.0, 0.5),
    "bias": (1.0, 0.5),
    "balance": (4.0, 1.0),
    "overlap": (1.0, 0.5),
}
_PANEL = ("trend", "in time", "in space", "untouchable", "size", "bias")
_WANTED: dict[str, tuple[str, ...]] = {
    STAGGERED: _PANEL,
    DID: _PANEL,
    SYNTHETIC: ("in time", "in space", "untouchable", "size"),
    COUNTERFACTUAL: ("in time", "in space", "untouchable", "size"),
    INTERRUPTED: ("in time", "untouchable", "size"),
    MATCHING: ("balance", "overlap", "untouchable", "size", "bias"),
}
# What a design cannot rule out even where all its checks pass: points against from the start, and why.
_LIMITS = {
    COUNTERFACTUAL: (1.0, "nobody was left untouched; the forecast stands for them"),
    INTERRUPTED: (1.5, "nobody was left untouched, and whatever else came at that time counts as effect"),
    MATCHING: (1.0, "what is not known of customers cannot be made alike"),
}
_LOOK: dict[str, Callable[[Facts], Check]] = {
    "trend": checks.trend,
    "in time": checks.in_time,
    "in space": checks.in_space,
    "untouchable": checks.untouchable,
    "size": checks.size,
    "bias": checks.bias,
    "balance": checks.balance,
    "overlap": checks.overlap,
}


def grade(
    effect: pd.DataFrame,
    *,
    design: str,
    pre_trend: pd.DataFrame | None = None,
    placebos: pd.DataFrame | None = None,
    negative_control: pd.DataFrame | None = None,
    sensitivity: pd.DataFrame | None = None,
    balance: pd.DataFrame | None = None,
    groups: tuple[int, int] | None = None,
    donors: int | None = None,
    before: int | None = None,
    health: pd.DataFrame | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Grade an estimate by its design and its checks.

    Parameters
    ----------
    effect
        What the design returned, whole; the effect is the first `difference`, of an interrupted series the average.
    design
        One of `choice.DESIGNS`, or `randomised`.
    pre_trend
        What `event_study` returned, with the base that the effect has; its rows `pre_trend`, `drift` and `breakdown`
        are read.
    placebos
        Placebo effects at `in time` and `in space` (from `placebos`, or `.placebos` of a fit).
    negative_control
        What the same design returned for outcomes that the change cannot touch, one or several metrics (the placebos
        in space of an interrupted series are such).
    sensitivity
        What `sensitivity` returned, for `matching`.
    balance
        What `balance_table` returned.
    groups
        How many groups were touched, and how many were compared with: regions, shops; not their customers.
    donors, before
        Untouched series that could be mixed; periods before the start.
    health
        What `experiments.health` returned, for `randomised`.
    alpha
        A row is something where its p-value is below.

    Returns
    -------
    pandas.DataFrame
        Test rows. First metric `evidence`: level = design, at = the grade, estimate = points against, note = grade and
        reasons. Then metric `check`, one for each: level = check, at = `passes`, `unclear`, `fails`, `missing`,
        estimate = its points, note = reason. The grade is of the estimate with its interval, whether that shows an
        effect or leaves out one that matters:

        strong up to 0.5 points, fair up to 2, weak up to 4, none beyond. `randomised`, above all, is an experiment
        whose health does not fail. Points (a check that fails or was not made, unclear):

        - `trend` 4, 0.5 (groups): no drift apart before the start, neither jointly nor in any one period (Holm);
          unclear where one that makes half of the effect could have stayed unseen (Roth 2022, AER: Insights 4:305).
        - `balance` 4, 1 (matching): standardised mean differences after, below .1; unclear up to .2.
        - `in time` 2, 0.5: with an effect, at most 10 % of pretended starts, the real one counted, show as much; fails
          above 25 %. Without, at most 20 % show anything; fails above 50 %. Unclear with fewer than 5.
        - `in space` 2, 0.5: the same for untouched groups; for series designs, whether they show anything.
        - `untouchable` 2, 1: no outcome that cannot be touched moves; unclear where an effect as large could hide in
          all of them (Lipsitch, Tchetgen Tchetgen and Cohen 2010, Epidemiology 21:383).
        - `size` 1, 0.5: 5 groups touched and 5 not (unclear: 5 in all); 19 donors and 24 periods before (5, 12); 24
          periods before (12); an effective sample of 100 (30).
        - `bias` 1, 0.5: a drift as large as any seen before leaves an effect in the first period (unclear: half as
          large, or where `trend` passes: of many noisy periods the largest jump between two is luck); what is
          unobserved would have to be stronger than the strongest observed (unclear: nothing to compare it with). Not
          asked of an estimate that shows no effect.
        - `overlap` 1, 0.5: at most 2 % of the touched have nobody like them; unclear up to 10 %.
        - The design itself: `counterfactual` 1, `matching` 1, `interrupted` 1.5. `before_after` is none.

        A check that was left out counts as one that failed, so leaving one out never raises a grade. What a design
        does not ask for is not looked at.

    Raises
    ------
    UsageError
        For an unknown design, frames without the rows named, or counts below 0.
    """
    known = (*DESIGNS, TRIAL)
    if design not in known:
        raise UsageError(f"'{design}' is no design; there are {', '.join(known)}{did_you_mean(str(design), known)}")
    main = effect_of(effect, "the effect")
    if main["status"] != results.OK or not np.isfinite(main["estimate"]):
        return _row(design, NONE, np.inf, [str(main["note"]) or "there is no estimate"])
    if design == TRIAL:
        return _of_trial(health)
    if design == BEFORE_AFTER:
        return _row(design, NONE, np.inf, ["before and after alone takes all that changed meanwhile for the effect"])
    given = Facts(
        design, effect, main, pre_trend, placebos, negative_control, sensitivity, balance,
        _counted("groups", groups, 2), _counted("donors", donors), _counted("before", before), alpha,
    )  # fmt: skip
    return _judged(given)


def _judged(given: Facts) -> pd.DataFrame:
    """Return the grade and its checks."""
    found = {name: _LOOK[name](given) for name in _WANTED[given.design]}
    costs = {name: _cost(name, check.state) for name, check in found.items()}
    start, limit = _LIMITS.get(given.design, (0.0, ""))
    points = start + sum(costs.values())
    word = next((name for name, most in _MOST.items() if points <= most), NONE)
    # What weighs most is told first; how much bias would do it errs on the side of caution, and is told last.
    order = sorted(found, key=lambda name: (name == "bias", -costs[name]))
    against = [*(found[name].why for name in order if costs[name]), *[limit] * bool(limit)]
    good = [found[name].why for name in order if not costs[name] and found[name].state == PASSES]
    parts = [
        results.frame(
            metric="check", comparison="test", level=name, at=check.state, estimate=costs[name], note=check.why,
            method=METHOD,
        )
        for name, check in found.items()
    ]  # fmt: skip
    return results.concat([_row(given.design, word, points, against, good), *parts])


def _cost(name: str, state: str) -> float:
    bad, unclear = _COST[name]
    return {PASSES: 0.0, UNCLEAR: unclear, FAILS: bad, MISSING: bad}.get(state, 0.0)


def _of_trial(health: pd.DataFrame | None) -> pd.DataFrame:
    """Grade an experiment by its health: above all designs, or nothing."""
    if health is None or health.empty:
        return _row(TRIAL, NONE, np.inf, ["without health checks an effect cannot be told from a fault"])
    failed = health[health["at"] == FAILS]
    if len(failed):
        return _row(TRIAL, NONE, np.inf, [str(row["note"] or row["metric"]) for _, row in failed.iterrows()])
    warned = health[health["at"] == "warns"]
    told = [str(row["note"] or row["metric"]) for _, row in warned.iterrows()]
    return _row(TRIAL, RANDOMISED, 0.0, told, ["lots were drawn, and no health check fails"])


def _row(design: str, word: str, points: float, against: list[str], good: Sequence[str] = ()) -> pd.DataFrame:
    """Return the row of the grade; without a finite number of points all that there are."""
    told = [f"{word.capitalize()} ({TITLES.get(design, 'experiment')})."]
    for start, reasons in (("Against it", against), ("For it", good)):
        kept = [reason.strip().rstrip(".") for reason in dict.fromkeys(reasons)]
        told += [f"{start}: {'; '.join(kept)}."] * bool(kept)
    return results.frame(
        metric="evidence", comparison="test", level=design, at=word, method=METHOD, note=" ".join(told),
        estimate=points if np.isfinite(points) else float(sum(bad for bad, _ in _COST.values())),
    )  # fmt: skip


def _counted(name: str, given: Any, several: int = 0) -> Any:
    """Return a count, or as many as there should be; raises `UsageError` for what is none."""
    if given is None:
        return None
    if not several:
        return doors.whole(name, given, 0, 1 << 40)
    if not isinstance(given, tuple | list) or len(given) != several:
        raise UsageError(f"{name} {given!r} are not {several} numbers", hint="Say (touched, untouched).")
    return tuple(doors.whole(name, one, 0, 1 << 40) for one in given)
