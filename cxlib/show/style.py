"""The look of charts: one theme and a colour-blind-safe palette. Pages and tables have theirs in `reports/page.css`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import seaborn as sns

from cxlib.show.colours import BLUE as BLUE
from cxlib.show.colours import GREY as GREY
from cxlib.show.colours import INK as INK
from cxlib.show.colours import ORANGE as ORANGE
from cxlib.show.colours import PAPER as PAPER
from cxlib.show.colours import RULE as RULE
from cxlib.show.colours import SKY as SKY

TONES = {"better": BLUE, "worse": ORANGE, "flat": GREY}
DPI = 192  # twice the 96 of a page, so that pictures are sharp on dense screens and in print
MARKS = "○ hidden or too few answers; × not available"

SEQUENTIAL = sns.light_palette(BLUE, as_cmap=True)
DIVERGING = sns.blend_palette([ORANGE, "#f2f2f2", BLUE], as_cmap=True)

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_locale": False,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "hatch.color": "#9a9a9a",
    "hatch.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",  # the same picture where the font is not installed
    "svg.hashsalt": "cx",
    "text.parse_math": False,  # "$64 to $67" is money, not mathematics
    "text.usetex": False,
}


@contextmanager
def theme() -> Iterator[None]:
    """Draw inside this: the look holds within and leaves no trace in matplotlib's settings.

    Letters that the font lacks are drawn as boxes, without a warning on the reader's page.
    """
    look: Any = {**sns.axes_style("ticks"), **sns.plotting_context("paper"), **_RC}
    with mpl.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def text_on(colour: tuple[float, ...]) -> str:
    """Return black or white, whichever reads better on `colour` (red, green, blue in 0 to 1).

    By the relative luminance of WCAG 2.2 the better of the two always has a contrast of at least 4.5:1.
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return PAPER if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"
