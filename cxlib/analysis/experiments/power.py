"""How many units an experiment needs, how often so many find an effect, and the smallest effect that they find.

Shares, means, ratios and the NPS; clusters by a design effect, several variants and metrics by Bonferroni, guardrails
by a margin, surveys by their response rate. All count units of the control arm; see `power_terms` for the formula and
for the terms that all take.
"""

from __future__ import annotations

from cxlib.analysis.experiments.power_curves import power_curve
from cxlib.analysis.experiments.power_means import (
    power_mean,
    power_ratio,
    sample_size_mean,
    sample_size_ratio,
    smallest_effect_mean,
    smallest_effect_ratio,
)
from cxlib.analysis.experiments.power_nps import power_nps, sample_size_nps, smallest_effect_nps
from cxlib.analysis.experiments.power_saving import cuped_saving
from cxlib.analysis.experiments.power_shares import power_share, sample_size_share, smallest_effect_share
from cxlib.analysis.experiments.power_terms import Terms
from cxlib.analysis.experiments.power_units import design_effect, exposed_for

__all__ = [
    "Terms",
    "cuped_saving",
    "design_effect",
    "exposed_for",
    "power_curve",
    "power_mean",
    "power_nps",
    "power_ratio",
    "power_share",
    "sample_size_mean",
    "sample_size_nps",
    "sample_size_ratio",
    "sample_size_share",
    "smallest_effect_mean",
    "smallest_effect_nps",
    "smallest_effect_ratio",
    "smallest_effect_share",
]
