"""The verdict on an experiment against its registered plan."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric
from cxlib.reports import trial_effects, trial_health
from cxlib.reports.tried import Tried

if TYPE_CHECKING:
    from cxlib.analysis import experiments


def decided(tried: Tried) -> pd.DataFrame:
    """Return the call on each arm, with its reasons; see `Run.decision`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import experiments

        plan = tried.plan
        try:
            tried.check_exposed()
        except Undefined as reason:
            return _nothing(tried, str(reason))
        rows = trial_effects.effects(tried)
        primary = results.conform(rows[(rows["metric"] == plan.primary_metric) & (rows["comparison"] == "difference")])
        found = experiments.decide(
            _plan(tried), health=trial_health.checked(tried), primary=primary,
            guardrails=trial_effects.guarded(tried), answering=_readings(tried),
            over=trial_effects.ended(tried, primary), reached=_reached(tried),
        )  # fmt: skip
        return found.frame

    return tried.answer("decision", tried.key(), make)


def _nothing(tried: Tried, reason: str) -> pd.DataFrame:
    """Return no call on each arm of an experiment that nobody is known to have been in."""
    from cxlib.analysis import experiments

    calls = [f"No call on {arm.replace('_', ' ')}: {reason}." for arm in tried.treatments]
    return results.frame(
        metric=experiments.DECISION, at=list(tried.treatments), against=tried.control, comparison="test",
        status=results.UNDEFINED, note=calls,
    )  # fmt: skip


def _plan(tried: Tried) -> experiments.Plan:
    """Return the plan as the verdict needs it."""
    from cxlib.analysis import experiments

    plan = tried.plan
    return experiments.Plan(
        primary=_outcome(tried, tried.metrics[plan.primary_metric]),
        smallest_effect_that_matters=plan.smallest_effect_that_matters,
        start=dt.date.fromisoformat(plan.start), stop=dt.date.fromisoformat(plan.stop),
        registered_on=dt.date.fromisoformat(plan.registered_on), alpha=plan.alpha, arms=tried.treatments,
        guardrails=tuple(_outcome(tried, tried.metrics[name]) for name in plan.guardrails),
        looks=len(plan.looks) + 1, decision=plan.decision,
    )  # fmt: skip


def _outcome(tried: Tried, metric: Metric) -> experiments.Outcome:
    from cxlib.analysis import experiments

    margin = trial_effects.margin_of(tried, metric)
    return experiments.Outcome(metric.id, metric.title, metric.unit, metric.higher_is_better, margin)


def _readings(tried: Tried) -> pd.DataFrame | None:
    """Return what is said of who answered, by arm; None where everybody was measured."""
    if trial_health.asked_of(tried) is None:
        return None
    rows = trial_health.answered(tried)
    return results.conform(rows[rows["metric"] == trial_health.READING])


def _reached(tried: Tried) -> bool | None:
    """Say whether as many were exposed as were planned; None where no number is, or where it ended early as it may."""
    planned = tried.plan.planned_units
    return None if planned is None or not tried.over else len(tried.exposures()) >= planned
