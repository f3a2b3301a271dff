"""One function a question: a result frame and metric definitions in, a figure with alt text out.

The functions arrange what the frame holds: intervals, differences and verdicts come from `measure`.
"""

from __future__ import annotations

from cxlib.show.canvas import Chart, alt_text, html, save
from cxlib.show.control import xmr
from cxlib.show.heat import heatmap
from cxlib.show.intervals import headline
from cxlib.show.levels import interval_bars
from cxlib.show.overtime import over_time
from cxlib.show.standing import standing
from cxlib.show.trends import small_multiples
from cxlib.show.waterfall import waterfall

__all__ = [
    "Chart", "alt_text", "headline", "heatmap", "html", "interval_bars", "over_time", "save", "small_multiples",
    "standing", "waterfall", "xmr",
]  # fmt: skip
