"""Partners (sellers, sites, carriers, agents) compared fairly: case mix, shrinkage, rank intervals, control limits."""

from __future__ import annotations

from cxlib.analysis.partners.delays import delay, delay_effect, explained, late_levels
from cxlib.analysis.partners.fits import Fit, adjusted, compare, fit, raw, shrunk, spread
from cxlib.analysis.partners.funnels import funnel, funnel_limits
from cxlib.analysis.partners.standing import league, ranks, tiers
from cxlib.analysis.partners.transfers import transfer, transfer_fit, transfer_of

__all__ = [
    "Fit", "adjusted", "compare", "delay", "delay_effect", "explained", "fit", "funnel", "funnel_limits", "late_levels",
    "league", "ranks", "raw", "shrunk", "spread", "tiers", "transfer", "transfer_fit", "transfer_of",
]  # fmt: skip
