"""Weights: bring the respondents to the make-up of the population, and say what that costs.

Raking corrects for who answers only as far as its columns tell people apart; `response` says what may lie beyond.
"""

from __future__ import annotations

from cxlib.measure.raking import rake
from cxlib.measure.speaks import Spoken, speaks_for
from cxlib.measure.weighted import kish, weighted_mean

__all__ = ["Spoken", "kish", "rake", "speaks_for", "weighted_mean"]
