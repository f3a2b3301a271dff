"""The colours of charts, colour-blind-safe, apart from the libraries that draw.

The colours are the blue, sky blue and vermilion of Okabe and Ito (2008), darkened: the two that carry text to a
contrast of at least 4.5:1 on white, the third, of intervals, to 3:1. No meaning is carried by colour alone.
"""

from __future__ import annotations

INK, GREY, RULE, PAPER = "#1a1a1a", "#595959", "#d5d5d5", "#ffffff"
BLUE, ORANGE, SKY = "#005f94", "#a84300", "#3a9bd9"
