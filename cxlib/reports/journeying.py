"""The questions about customers' journeys that a run answers, as an analyst or a notebook asks them."""

from __future__ import annotations

from cxlib.reports.named import Named


class Journeys(Named):
    """What `Run` answers about how customers move, where they lose time and patience, and what was promised."""
