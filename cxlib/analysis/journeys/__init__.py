"""How customers move through touchpoints: from one to the next, through stages, at once, and where it goes wrong."""

from cxlib.analysis.journeys.causes import causes
from cxlib.analysis.journeys.friction import Ask, Money, friction
from cxlib.analysis.journeys.funnel import funnel
from cxlib.analysis.journeys.log import events
from cxlib.analysis.journeys.moments import moments
from cxlib.analysis.journeys.named_causes import Limits
from cxlib.analysis.journeys.paths import paths
from cxlib.analysis.journeys.streams import streams
from cxlib.analysis.journeys.touched import known_causes
from cxlib.analysis.journeys.transitions import transitions

__all__ = [
    "Ask", "Limits", "Money", "causes", "events", "friction", "funnel", "known_causes", "moments", "paths", "streams",
    "transitions",
]  # fmt: skip
