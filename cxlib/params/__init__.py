"""What the company decides: YAML texts in, frozen objects out, every fault in every file listed at once."""

from __future__ import annotations

from cxlib.params.codebook import Codebook, Theme
from cxlib.params.faults import Fault
from cxlib.params.framework import Gap
from cxlib.params.loader import check, definition_hash, find_workspace, load, open_in
from cxlib.params.models import (
    Change,
    Checks,
    Driver,
    DriverModel,
    Experiment,
    File,
    Goal,
    Metric,
    Params,
    Part,
    Report,
    Rule,
    Segment,
    Source,
    Touchpoint,
    Workspace,
)

__all__ = [
    "Change",
    "Checks",
    "Codebook",
    "Driver",
    "DriverModel",
    "Experiment",
    "Fault",
    "File",
    "Gap",
    "Goal",
    "Metric",
    "Params",
    "Part",
    "Report",
    "Rule",
    "Segment",
    "Source",
    "Theme",
    "Touchpoint",
    "Workspace",
    "check",
    "definition_hash",
    "find_workspace",
    "load",
    "open_in",
]
