"""The questions about what customers say that a run answers, as an analyst or a notebook asks them."""

from __future__ import annotations

from cxlib.reports.named import Named


class Voices(Named):
    """What `Run` answers about what customers say in their own words."""
