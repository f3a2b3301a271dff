"""Randomised experiments: sized before launch, guarded while running, read with a verdict against the plan."""

from __future__ import annotations

from cxlib.analysis.experiments.answerers import said
from cxlib.analysis.experiments.answering import response_by_arm
from cxlib.analysis.experiments.arrays import stacked
from cxlib.analysis.experiments.bounds import lee_bounds
from cxlib.analysis.experiments.covariates import cuped, variance_saved
from cxlib.analysis.experiments.duration import detectable, duration, units_by_week
from cxlib.analysis.experiments.duration_plan import Planned, plan
from cxlib.analysis.experiments.effect import effect
from cxlib.analysis.experiments.experience import answers_or_experience, behavioural_guardrail
from cxlib.analysis.experiments.guardrails import guardrails, non_inferior, read_limits
from cxlib.analysis.experiments.health import balance, earlier, exposure, graded, gravity, health, missingness
from cxlib.analysis.experiments.looks import always_valid_inflation, boundaries, inflation, looks, plan_looks
from cxlib.analysis.experiments.power import (
    Terms,
    cuped_saving,
    design_effect,
    exposed_for,
    power_curve,
    power_mean,
    power_nps,
    power_ratio,
    power_share,
    sample_size_mean,
    sample_size_nps,
    sample_size_ratio,
    sample_size_share,
    smallest_effect_mean,
    smallest_effect_nps,
    smallest_effect_ratio,
    smallest_effect_share,
)
from cxlib.analysis.experiments.quantiles import non_inferior_quantile, quantile_effect
from cxlib.analysis.experiments.reweighting import inverse_probability
from cxlib.analysis.experiments.sample_ratio import SAMPLE_RATIO_WARNS, SAMPLE_RATIO_WITHHOLDS, sample_ratio
from cxlib.analysis.experiments.several import Sums, readings, summarise
from cxlib.analysis.experiments.strata import post_stratified
from cxlib.analysis.experiments.subgroups import subgroups
from cxlib.analysis.experiments.verdict import decide
from cxlib.analysis.experiments.verdict_plan import DECISION, ArmDecision, Decision, Outcome, Plan, read_decision
from cxlib.analysis.experiments.winsorise import Winsorised, winsorised

__all__: list[str] = [
    "DECISION",
    "SAMPLE_RATIO_WARNS",
    "SAMPLE_RATIO_WITHHOLDS",
    "ArmDecision",
    "Decision",
    "Outcome",
    "Plan",
    "Planned",
    "Sums",
    "Terms",
    "Winsorised",
    "always_valid_inflation",
    "answers_or_experience",
    "balance",
    "behavioural_guardrail",
    "boundaries",
    "cuped",
    "cuped_saving",
    "decide",
    "design_effect",
    "detectable",
    "duration",
    "earlier",
    "effect",
    "exposed_for",
    "exposure",
    "graded",
    "gravity",
    "guardrails",
    "health",
    "inflation",
    "inverse_probability",
    "lee_bounds",
    "looks",
    "missingness",
    "non_inferior",
    "non_inferior_quantile",
    "plan",
    "plan_looks",
    "post_stratified",
    "power_curve",
    "power_mean",
    "power_nps",
    "power_ratio",
    "power_share",
    "quantile_effect",
    "read_decision",
    "read_limits",
    "readings",
    "response_by_arm",
    "said",
    "sample_ratio",
    "sample_size_mean",
    "sample_size_nps",
    "sample_size_ratio",
    "sample_size_share",
    "smallest_effect_mean",
    "smallest_effect_nps",
    "smallest_effect_ratio",
    "smallest_effect_share",
    "stacked",
    "subgroups",
    "summarise",
    "units_by_week",
    "variance_saved",
    "winsorised",
]
