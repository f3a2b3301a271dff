"""Effects where nobody randomised: as well as the data allow, with placebos, and a grade of the evidence."""

from __future__ import annotations

from cxlib.analysis.effects.aggregate import aggregate
from cxlib.analysis.effects.agreement import agreement
from cxlib.analysis.effects.before_after import before_after
from cxlib.analysis.effects.choice import Choice, Situation, choose
from cxlib.analysis.effects.counterfactual import CounterfactualFit, counterfactual, fit_counterfactual
from cxlib.analysis.effects.did import did
from cxlib.analysis.effects.did_placebos import placebos
from cxlib.analysis.effects.event_study import event_study
from cxlib.analysis.effects.evidence import grade
from cxlib.analysis.effects.group_time import group_time_att
from cxlib.analysis.effects.group_time_fit import GroupTime
from cxlib.analysis.effects.interrupted import InterruptedFit, fit_interrupted, interrupted_series
from cxlib.analysis.effects.matching import matching
from cxlib.analysis.effects.matching_balance import balance_table
from cxlib.analysis.effects.matching_weights import weighting
from cxlib.analysis.effects.sensitivity import e_value, sensitivity, strengths
from cxlib.analysis.effects.synthetic import SyntheticFit, fit_synthetic_control, synthetic_control

__all__ = [
    "Choice",
    "CounterfactualFit",
    "GroupTime",
    "InterruptedFit",
    "Situation",
    "SyntheticFit",
    "aggregate",
    "agreement",
    "balance_table",
    "before_after",
    "choose",
    "counterfactual",
    "did",
    "e_value",
    "event_study",
    "fit_counterfactual",
    "fit_interrupted",
    "fit_synthetic_control",
    "grade",
    "group_time_att",
    "interrupted_series",
    "matching",
    "placebos",
    "sensitivity",
    "strengths",
    "synthetic_control",
    "weighting",
]
