"""What drives an outcome: importance, effects in points, stated against derived importance, and why it changed."""

from __future__ import annotations

from cxlib.analysis.drivers.asked import performance, stated
from cxlib.analysis.drivers.causes import LEAVES, root_causes
from cxlib.analysis.drivers.compare import compare
from cxlib.analysis.drivers.effects import effects
from cxlib.analysis.drivers.fitted import DriverFit
from cxlib.analysis.drivers.importance import coefficients, fit, importance, ranks, vif

__all__ = [
    "LEAVES", "DriverFit", "coefficients", "compare", "effects", "fit", "importance", "performance", "ranks",
    "root_causes", "stated", "vif",
]  # fmt: skip
