"""Type and drawing: as matplotlib sets and draws it, both forms alike, and the same bytes in every process.

The reference is matplotlib's own Agg renderer, drawing the same words with the same font.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL import Image

from cxlib.show import canvas, charts, drawing, lettering, style
from tests.show_frames import METRICS, TOUCHPOINTS, history, journey, levels, scorecard

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
DPI = 192.0
WORDS = [
    "No change shown in October 2026 against September 2026",
    "AVATAR, Tó: P. We Yo. L'été",
    "the office offers a final flat fee of 7.5 %",
    "Zufriedenheit (größer), ąęśżź ČŘŽ",
    "−0.17 to +0.18; ▲ up, ▼ down, ● ○ ■ ◇ → …",
    "a\u00a0b – c",
]


def _props(size: float = 8.5, weight: str = "normal") -> FontProperties:
    return FontProperties(family="DejaVu Sans", size=size, weight=weight)


def _drawn(kind: type[RendererAgg], words: str, props: FontProperties, angle: float, x: float = 40.0) -> np.ndarray:
    """Return how dark each pixel is: the words on white."""
    renderer = kind(900, 900, DPI)
    ground = mpl.patches.Rectangle((-5, -5), 1000, 1000, color="white")
    ground.set_transform(mpl.transforms.IdentityTransform())
    ground.draw(renderer)
    renderer.draw_text(renderer.new_gc(), x, 860.0, words, props, angle)
    return 255.0 - np.asarray(renderer.buffer_rgba())[..., 0].astype(float)


# -- type


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize(("size", "weight"), [(7.5, "normal"), (8.5, "bold"), (13.0, "bold")])
def test_a_line_is_as_wide_and_high_as_matplotlib_sets_it(words: str, size: float, weight: str) -> None:
    """Within a twentieth of a pixel: kerning is rounded to 1/64 of one, a letter at a time."""
    props = _props(size, weight)
    own = drawing.Pixels(10, 10, DPI).get_text_width_height_descent(words, props, False)
    assert lettering.face(props, DPI).set(words) is not None
    assert own == pytest.approx(RendererAgg(10, 10, DPI).get_text_width_height_descent(words, props, False), abs=0.05)


@pytest.mark.parametrize("words", ["Hill number 1234", "points", "100"])
def test_letters_without_kerning_are_matplotlibs_to_the_pixel(words: str) -> None:
    """One step of 255 is what blending rounds."""
    for weight in ("normal", "bold"):
        own, theirs = (_drawn(kind, words, _props(9.5, weight), 0.0) for kind in (drawing.Pixels, RendererAgg))
        assert np.abs(own - theirs).max() <= 1
        assert own.sum() > 0


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("angle", [0.0, 90.0])
def test_a_line_looks_as_matplotlib_draws_it(words: str, angle: float) -> None:
    """Seen at the size of a page (a quarter of the pixels): letters move by less than a pixel of the picture."""
    own, theirs = (
        np.asarray(Image.fromarray(_drawn(kind, words, _props(), angle, 40.4).astype("uint8")).reduce(4), float)
        for kind in (drawing.Pixels, RendererAgg)
    )
    assert own.sum() == pytest.approx(theirs.sum(), rel=0.03)
    # Half a pixel to the side changes no block of 4 x 4 by more than an eighth and a half of its ink, edges of both.
    assert np.abs(own - theirs).max() <= 64


@pytest.mark.parametrize("words", ["שלום", "日本", "🙂", "e\u0301", "soft\u00adhyphen", "two\nlines", "\u202eright"])
def test_what_is_not_plain_is_left_to_matplotlib(words: str) -> None:
    assert lettering.face(_props(), DPI).set(words) is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size = drawing.Pixels(10, 10, DPI).get_text_width_height_descent(words, _props(), False)
        assert size == RendererAgg(10, 10, DPI).get_text_width_height_descent(words, _props(), False)


def test_nothing_and_blanks_leave_no_trace() -> None:
    face = lettering.face(_props(), DPI)
    for words in ("", " ", "\u00a0 "):
        line = face.set(words)
        assert line is not None
        assert face.strip(line) is None
        assert _drawn(drawing.Pixels, words, _props(), 0.0).sum() == 0


# -- both forms


def test_a_chart_is_the_same_alone_and_saved(tmp_path: Path) -> None:
    fig = charts.headline(scorecard(), METRICS)
    picture, lines = canvas.png(fig), canvas.svg(fig)
    saved = [path.read_bytes() for path in charts.save(fig, tmp_path, "headline")]
    assert saved == [picture, lines]
    assert fig.dpi == mpl.rcParams["figure.dpi"]


def _svg(fig: Figure) -> ET.Element:
    return ET.fromstring(canvas.svg(fig))


def _holds_together(text: str) -> None:
    """Every id is given once, and everything that is pointed to is there."""
    root = ET.fromstring(text)
    ids = [found for node in root.iter() if (found := node.get("id"))]
    assert len(ids) == len(set(ids))
    assert {node.get(LINK) for node in root.iter(f"{SVG}use")} <= {f"#{name}" for name in ids}
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_an_svg_holds_together_and_says_nothing_that_changes() -> None:
    fig = charts.small_multiples(scorecard(), METRICS)
    text = canvas.svg(fig).decode()
    root = ET.fromstring(text)
    _holds_together(text)
    assert mpl.__version__ not in text
    assert not re.search(r"dc:date|Matplotlib", text)
    assert charts.alt_text(fig) in "".join(root.itertext())


def test_an_svg_is_in_points_and_as_large_as_the_sheet() -> None:
    fig = charts.interval_bars(levels(), METRICS["csat_top2"])
    root, (wide, high) = _svg(fig), fig.get_size_inches() * 72
    assert [float(side) for side in root.get("viewBox", "").split()] == pytest.approx([0, 0, wide, high], abs=1e-4)
    boxes = [[float(box.get(side, "")) for side in ("x", "y", "width", "height")] for box in root.iter(f"{SVG}rect")]
    for x, y, width, height in boxes:
        assert -1 <= x <= x + width <= wide + 1
        assert -1 <= y <= y + height <= high + 1
    spots = re.findall(r'transform="translate\((\S+) (\S+)\)', canvas.svg(fig).decode())
    assert len(spots) > 20
    assert all(0 <= float(x) <= wide and 0 <= float(y) <= high for x, y in spots)


def test_lines_of_type_take_the_same_room_in_both_forms() -> None:
    """The letters of the SVG are as designed, drawn as wide as those that are fitted to pixels."""
    fig = Figure((4, 1), dpi=100)
    words = "Right-aligned, 1234"
    fig.text(0.9, 0.5, words, ha="right", fontproperties=_props())
    group = next(node for node in _svg(fig).iter(f"{SVG}g") if node.find(f"{SVG}use") is not None)
    found = re.fullmatch(r"translate\((\S+) \S+\)scale\((\S+) -\S+\)", group.get("transform", ""))
    assert found
    line = lettering.face(_props()).set(words)
    assert line is not None
    assert float(found[1]) + line.width * float(found[2]) == pytest.approx(0.9 * 4 * 72, abs=0.05)


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_any_figure_can_be_drawn(layout: str | None) -> None:
    fig = Figure((5, 4), layout=layout)  # type: ignore[arg-type]
    left, right = fig.subplots(1, 2)
    left.imshow(np.arange(12).reshape(3, 4))
    left.set_title("$x^2$ squared and שלום")
    left.set_ylabel("".join(chr(letter) for letter in range(33, 127) if chr(letter) != "$"), fontsize=3)
    left.text(1, 1, "aslant", rotation=33, alpha=0.5, clip_on=True)
    right.scatter([1, 2, 3], [1, 4, 9], c=[1, 2, 3], s=[20, 40, 80])
    right.bar([1, 2], [5, 6], hatch="//", alpha=0.5)
    right.set_clip_path(mpl.patches.Circle((0.5, 0.5), 0.5, transform=right.transAxes))
    pairs = [(form(fig), form(fig)) for form in (canvas.png, canvas.svg)]
    assert all(one == two for one, two in pairs) or layout  # each draw moves the axes of such a layout a little
    assert _svg(fig).find(f".//{SVG}image") is not None
    _holds_together(pairs[1][0].decode())
    assert '<img alt="two" src="data:image/png' in charts.html(fig, alt="two").replace("\n", "")


def test_colours_of_areas_are_kept() -> None:
    """To four steps of 255: Pillow looks for the nearest colour in boxes of four steps."""
    fig = charts.heatmap(journey(), METRICS["csat_top2"], TOUCHPOINTS)
    with style.theme():
        into = drawing.Drawn()
        fig.savefig(into, format="both", dpi=style.DPI, backend="module://cxlib.show.drawing")  # type: ignore[arg-type]
    exact, kept = (np.asarray(image.convert("RGB"), int) for image in (into.picture, _opened(canvas.png(fig))))
    assert exact.shape == kept.shape
    colours, counts = np.unique(exact.reshape(-1, 3), axis=0, return_counts=True)
    for colour in colours[counts > 4000]:
        mine = kept[(exact == colour).all(axis=2)]
        assert np.abs(mine - colour).max() <= 4


def _opened(picture: bytes) -> Image.Image:
    import io

    return Image.open(io.BytesIO(picture))


# -- the same bytes in every process

_ELSEWHERE = """
import hashlib, json, os, sys
from cxlib.show import canvas, charts
from tests.show_frames import METRICS, TOUCHPOINTS, history, journey, levels, scorecard

def drawn():
    figs = {
        "multiples": charts.small_multiples(history(["nps", "csat_top2"]), METRICS),
        "headline": charts.headline(scorecard(), METRICS),
        "bars": charts.interval_bars(levels(), METRICS["csat_top2"]),
        "heat": charts.heatmap(journey(), METRICS["csat_top2"], TOUCHPOINTS),
    }
    names = sorted(figs, reverse="backwards" in sys.argv)
    return {n: [hashlib.sha256(form(figs[n])).hexdigest() for form in (canvas.png, canvas.svg)] for n in names}

if "warm" in sys.argv:  # as a kernel that is forked from a process which has drawn before
    charts.headline(scorecard(), METRICS)._repr_html_()
    ours, theirs = os.pipe()
    if not os.fork():
        os.write(theirs, json.dumps(drawn()).encode())
        os._exit(0)
    os.close(theirs)
    os.wait()
    print(os.read(ours, 65536).decode())
else:
    print(json.dumps(drawn()))
"""


def _elsewhere(seed: str, *how: str) -> dict[str, list[str]]:
    env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": seed}
    command = [sys.executable, "-c", _ELSEWHERE, *how]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_two_processes_draw_the_same_bytes() -> None:
    """A cold one, a forked one that is warm, with other seeds, dates and order, and this one."""
    cold, warm = _elsewhere("1"), _elsewhere("2", "warm", "backwards")
    assert cold == warm
    fig = charts.headline(scorecard(), METRICS)
    assert cold["headline"] == [hashlib.sha256(form(fig)).hexdigest() for form in (canvas.png, canvas.svg)]
    assert len({digest for pair in cold.values() for digest in pair}) == 8


def test_a_pictures_bytes_hold_no_word_about_its_making() -> None:
    picture = canvas.png(charts.small_multiples(history(["nps"]), METRICS))
    found, at = [], 8
    while at < len(picture):
        found.append(picture[at + 4 : at + 8])
        at += 12 + int.from_bytes(picture[at : at + 4], "big")
    assert set(found) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    assert math.prod(_opened(picture).size) > 1e6
