"""Who the customers are: scores, clusters, profiles, who moves between segments, value against loyalty."""

from __future__ import annotations

from cxlib.analysis.segments.clusters import ClusterFit, cluster
from cxlib.analysis.segments.grid import grid
from cxlib.analysis.segments.groups import GROUPS
from cxlib.analysis.segments.migration import migration, stationarity
from cxlib.analysis.segments.profile import described, profile, sizes
from cxlib.analysis.segments.rfm import rfm

__all__ = [
    "GROUPS", "ClusterFit", "cluster", "described", "grid", "migration", "profile", "rfm", "sizes", "stationarity",
]  # fmt: skip
