"""The look: one theme, a colour-blind-safe palette, and the CSS of figures and tables.

The colours are the blue, sky blue and vermilion of Okabe and Ito (2008), the two that carry text darkened.
Every colour used for text has a contrast of at least 4.5:1 on white; no meaning is carried by colour alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import seaborn as sns

INK, GREY, RULE, PAPER = "#1a1a1a", "#595959", "#d5d5d5", "#ffffff"
BLUE, ORANGE, SKY = "#005f94", "#a84300", "#56b4e9"
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


CSS = """
.cx-figure { margin: 1.5rem 0; padding: 0; max-width: 60rem; color: #1a1a1a; background: #fff; }
.cx-figure img { display: block; max-width: 100%; height: auto; }
.cx-figure > figcaption { font-weight: 700; font-size: 1.05rem; line-height: 1.35; margin: 0 0 .5rem; }
.cx-figure details { font-size: .85rem; line-height: 1.5; color: #595959; margin: .4rem 0 0; max-width: 46rem; }
.cx-figure summary { cursor: pointer; }
.cx-figure details ul { margin: .3rem 0; padding-left: 1.2rem; }
.cx-scroll { overflow-x: auto; }
.cx-table { border-collapse: collapse; font-size: .9rem; line-height: 1.35; border-top: 2px solid #1a1a1a; }
.cx-table th, .cx-table td { padding: .45rem .7rem; text-align: left; vertical-align: top; background: none;
  border: 0; border-bottom: 1px solid #d5d5d5; white-space: normal; }
.cx-table thead th { font-size: .8rem; color: #595959; vertical-align: bottom; border-bottom: 1px solid #1a1a1a; }
.cx-table tbody th { font-weight: 600; color: #1a1a1a; min-width: 7rem; max-width: 18rem; overflow-wrap: anywhere; }
.cx-table tbody th[scope="rowgroup"] { color: #595959; min-width: 4.5rem; }
.cx-table td.cx-num, .cx-table thead th.cx-num { text-align: right; font-variant-numeric: tabular-nums; }
.cx-table td.cx-num { white-space: nowrap; }
.cx-table small { color: #595959; font-size: .8rem; font-weight: 400; }
.cx-better { color: #005f94; } .cx-worse { color: #a84300; } .cx-flat, .cx-missing { color: #595959; }
.cx-better, .cx-worse { font-weight: 600; }
.cx-table td span { font-size: .82rem; }
.cx-missing { font-style: italic; white-space: normal; }
@media (max-width: 40rem) {
  .cx-table th, .cx-table td { padding: .4rem .45rem; }
  .cx-table { font-size: .82rem; }
}
@media print {
  .cx-scroll { overflow: visible; }
  .cx-figure { break-inside: avoid; max-width: none; }
  .cx-table thead { display: table-header-group; }
  .cx-table tr { break-inside: avoid; }
}
""".strip()
