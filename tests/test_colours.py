"""The colours of pages and charts: read by everybody (WCAG 2.1), told apart by the colour-blind, in light and dark.

Contrast is that of WCAG 2.1 (relative luminance, success criteria 1.4.3 for text and 1.4.11 for graphics). Colour
blindness is simulated with the matrices of Machado, Oliveira and Fernandes (2009), severity 1, in linear light.
"""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from cxlib.reports import page
from cxlib.show import style

TEXT, GRAPHIC = 4.5, 3.0
APART = 20.0  # CIE76: a difference of 2.3 is just seen by a trained eye, one of 20 at a glance
BLINDNESS = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
TURNED = np.array(((-0.574, 1.430, 0.144), (0.426, 0.430, 0.144), (0.426, 1.430, -0.856)))  # CSS hue-rotate(180deg)


def rgb(colour: str) -> np.ndarray:
    """Return red, green and blue in 0 to 1."""
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def linear(colour: np.ndarray) -> np.ndarray:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    low, high = sorted(float(linear(colour) @ (0.2126, 0.7152, 0.0722)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(light: np.ndarray) -> np.ndarray:
    """Return CIELAB (D65) of a colour in linear light."""
    matrix = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
    xyz = np.array(matrix) @ light / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (xyz * 24389 / 27 + 16) / 116)
    return np.array((116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])))


def distance(one: np.ndarray, other: np.ndarray, kind: str) -> float:
    """Return how far apart two colours are to people with a kind of colour blindness."""
    seen = [lab(np.clip(np.array(BLINDNESS[kind]) @ linear(colour), 0, 1)) for colour in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def scheme(dark: bool) -> dict[str, np.ndarray]:
    """Return the colours of the pages by their names in the style sheet."""
    light, _, rest = page.style().partition("@media (prefers-color-scheme: dark)")
    text = rest.split("}")[0] if dark else light
    return {name: rgb(colour) for name, colour in re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text)}


def in_the_dark(colour: str) -> np.ndarray:
    """Return a chart's colour as a dark page shows it: inverted, its hue turned back, screened over the paper."""
    turned = np.clip(TURNED @ (1 - rgb(colour)), 0, 1)
    return 1 - (1 - turned) * (1 - scheme(dark=True)["paper"])


def test_the_formulas_are_those_of_their_sources() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)  # WCAG 2.1, definition of contrast ratio
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.005)  # the grey that just passes AA
    assert lab(linear(rgb("#ff0000"))) == pytest.approx((53.24, 80.09, 67.20), abs=0.02)  # Lindbloom, sRGB red, D65
    for kind in BLINDNESS:  # grey stays grey
        assert np.array(BLINDNESS[kind]) @ np.full(3, 0.5) == pytest.approx(np.full(3, 0.5), abs=2e-6)


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_of_a_page_can_be_read(dark: bool) -> None:
    has = scheme(dark)
    grounds = {"paper": ("ink", "soft", "link", "better", "worse", "bad", "warn"), "card": ("ink", "soft", "link")}
    grounds |= {"warn-paper": ("ink",), "bad-paper": ("ink",), "mark": ("ink",), "link": ("paper",)}
    low = {(ink, ground): contrast(has[ink], has[ground]) for ground, inks in grounds.items() for ink in inks}
    assert {pair: round(value, 2) for pair, value in low.items() if value < TEXT} == {}


@pytest.mark.parametrize("dark", [False, True])
def test_the_edges_of_what_can_be_used_are_seen(dark: bool) -> None:
    has = scheme(dark)
    for name in ("link", "edge", "warn", "bad"):  # focus rings, fields, the bars beside warnings
        assert contrast(has[name], has["paper"]) >= GRAPHIC, name


def test_the_letters_and_lines_of_charts_are_seen() -> None:
    for colour in (style.INK, style.GREY, *style.TONES.values()):
        assert contrast(rgb(colour), rgb(style.PAPER)) >= TEXT, colour
        assert contrast(in_the_dark(colour), in_the_dark(style.PAPER)) >= TEXT, colour
    assert contrast(rgb(style.SKY), rgb(style.PAPER)) >= GRAPHIC
    assert contrast(in_the_dark(style.SKY), in_the_dark(style.PAPER)) >= GRAPHIC


def test_a_chart_in_the_dark_stands_on_the_paper_and_keeps_its_tones() -> None:
    assert in_the_dark(style.PAPER) == pytest.approx(scheme(dark=True)["paper"])
    blue, orange = in_the_dark(style.BLUE), in_the_dark(style.ORANGE)
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]


@pytest.mark.parametrize("kind", BLINDNESS)
def test_better_and_worse_are_told_apart_by_everybody(kind: str) -> None:
    pairs = [(scheme(dark)["better"], scheme(dark)["worse"]) for dark in (False, True)]
    pairs += [(rgb(one), rgb(other)) for one, other in combinations((style.BLUE, style.ORANGE, style.SKY), 2)]
    pairs += [(in_the_dark(one), in_the_dark(other)) for one, other in combinations((style.BLUE, style.ORANGE), 2)]
    assert min(distance(one, other, kind) for one, other in pairs) >= APART
