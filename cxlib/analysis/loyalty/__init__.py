"""Who stays, for how long, and why they leave: churn, retention, survival, hazards, competing reasons."""

from __future__ import annotations

from cxlib.analysis.loyalty.churn import churn
from cxlib.analysis.loyalty.cox import CoxFit, cox, hazard_ratios
from cxlib.analysis.loyalty.cox_checks import concordance, proportional_hazards
from cxlib.analysis.loyalty.logrank import log_rank
from cxlib.analysis.loyalty.reasons import competing_reasons, reason_hazard_ratios
from cxlib.analysis.loyalty.repeat import repeat_purchase
from cxlib.analysis.loyalty.say_do import calibration, say_and_do
from cxlib.analysis.loyalty.survival import restricted_mean_difference, survival
from cxlib.analysis.loyalty.triangle import retention_triangle

__all__ = [
    "CoxFit", "calibration", "churn", "competing_reasons", "concordance", "cox", "hazard_ratios", "log_rank",
    "proportional_hazards", "reason_hazard_ratios", "repeat_purchase", "restricted_mean_difference",
    "retention_triangle", "say_and_do", "survival",
]  # fmt: skip
