"""The sheet that every chart is drawn on: finding on top, what is shown beneath, then the body; and the way out of it.

Lengths are inches from the top left corner, so that nothing overlaps whatever the number of panels.
"""

from __future__ import annotations

import base64
import functools
import io
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, ParamSpec

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter
from PIL import Image

from cxlib.show import lettering, style
from cxlib.show.drawing import Drawn, Pixels
from cxlib.show.formats import Format, decimals
from cxlib.show.markup import FIGURE

WIDTH, MARGIN = 10.0, 0.18
_ABOVE = 0.2  # inches from the edge to the title
_COLOURS = 96
_EFFORT = 4  # of 9: the two above take half more time for a twentieth of the size
TITLE, SMALL = 13.0, 8.5
P = ParamSpec("P")
_STAY = "\u00a0"  # a space at which no line ends
_TOGETHER = re.compile(r"(?<=\d) (?=(?:%|pp|s|min|h|m)(?:\W|$))")
LINE = 1.35 / 72  # inches of line height per point of type


class Chart(Figure):
    """A figure that knows its alt text; outside pyplot, so that nothing keeps it alive."""

    alt: str = ""
    finding: str = ""

    def _repr_html_(self) -> str:
        return html(self)


class Sheet:
    """A chart with its heading drawn and `body` inches of free height beneath.

    Parameters
    ----------
    finding
        The title: what the reader should take away. Wraps.
    subtitle
        What is shown and how to read it. Wraps.
    body
        Height of the free part, inches.
    """

    def __init__(self, finding: str, subtitle: str, body: float) -> None:
        title, small = _balanced(finding, WIDTH - 2 * MARGIN), wrap(subtitle, WIDTH - 2 * MARGIN, SMALL)
        beneath = _ABOVE + len(title) * TITLE * LINE + 0.02
        self.top = beneath + len(small) * SMALL * LINE + 0.16
        self.height = self.top + body + MARGIN
        self.figure = Chart(figsize=(WIDTH, self.height))
        FigureCanvasAgg(self.figure)
        self.figure.finding = finding
        self._rule()
        self.text(0, _ABOVE - self.top, title, size=TITLE, weight="bold")
        self.text(0, beneath - self.top, small, color=style.GREY)

    def _rule(self) -> None:
        """Draw the short bar above the title."""
        y = 1 - MARGIN / 2 / self.height
        ends = [MARGIN / WIDTH, (MARGIN + 0.45) / WIDTH]
        self.figure.add_artist(Line2D(ends, [y, y], color=style.BLUE, linewidth=3.5, solid_capstyle="butt"))

    def text(self, x: float, y: float, words: str | Sequence[str], *, size: float = SMALL, **how: Any) -> None:
        """Write lines at `x`, `y` inches from the top left of the body; `y` is the top of the first line."""
        for place, line in enumerate([words] if isinstance(words, str) else words):
            base = y + place * size * LINE + size * 0.98 / 72
            spot = (x + MARGIN) / WIDTH, 1 - (base + self.top) / self.height
            self.figure.text(*spot, line, **{"fontsize": size, "va": "baseline", **how})

    def rule(self, y: float) -> None:
        """Draw a thin line over the whole width."""
        level, ends = 1 - (y + self.top) / self.height, [MARGIN / WIDTH, 1 - MARGIN / WIDTH]
        self.figure.add_artist(Line2D(ends, [level, level], color=style.RULE, linewidth=0.8))

    def axes(self, x: float, y: float, width: float, height: float, **how: Any) -> Axes:
        """Add axes; `x`, `y` of their top left corner from the top left of the body."""
        bottom = 1 - (y + self.top + height) / self.height
        box = ((x + MARGIN) / WIDTH, bottom, width / WIDTH, height / self.height)
        return self.figure.add_axes(box, **how)

    def done(self, alt: str) -> Chart:
        """Attach the alt text and return the chart."""
        self.figure.alt = alt
        return self.figure


class Ticks(Formatter):
    """Ticks of a value axis, all with the decimals that the finest needs."""

    def __init__(self, form: Format) -> None:
        self.form = form

    def __call__(self, value: float, pos: int | None = None) -> str:  # noqa: ARG002  matplotlib's signature
        """Return the label of one tick, wherever it stands."""
        return self.format_ticks([value])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of all ticks."""
        places = max((decimals(value) for value in values), default=0)
        return [self.form.number(value, places) for value in values]


def themed(draw: Callable[P, Chart]) -> Callable[P, Chart]:
    """Draw within the theme."""

    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Chart:
        with style.theme():
            return draw(*args, **kwargs)

    return inside


def nothing(reason: str, finding: str | None = None) -> Chart:
    """Return a sheet that says that there is nothing to show, and why."""
    words = f"Nothing to show: {reason}"
    return Sheet(finding or words, words if finding else "", 0.2).done(words + ".")


def alt_text(fig: Figure) -> str:
    """Return the alt text of a chart, full sentences with the essence of its data; empty for a foreign figure."""
    return str(getattr(fig, "alt", ""))


def png(fig: Figure) -> bytes:
    """Return the picture, at twice the resolution of a page; the same bytes for the same chart."""
    return _compressed(_drawn(fig, Drawn()).picture)


def svg(fig: Figure) -> bytes:
    """Return the picture as SVG with the alt text inside; no date, stable ids."""
    return _drawn(fig, Drawn(_about(fig))).svg.encode()


def _about(fig: Figure) -> dict[str, str | None]:
    """Return what an SVG says of itself: nothing that changes with the day or the version of a library."""
    return {"Date": None, "Creator": None, "Title": getattr(fig, "finding", ""), "Description": alt_text(fig)}


def _drawn(fig: Figure, into: Drawn) -> Drawn:
    target: Any = into
    with style.theme():
        fig.savefig(target, format="both", dpi=style.DPI, backend="module://cxlib.show.drawing")
    return into


def _compressed(picture: Image.Image) -> bytes:
    """Return the PNG of a picture in its commonest colours, edges in the nearest of them: a third of the size."""
    out = io.BytesIO()
    few = picture.quantize(palette=_palette(picture), dither=Image.Dither.NONE)
    few.save(out, format="png", compress_level=_EFFORT)
    return out.getvalue()


def _palette(picture: Image.Image) -> Image.Image:
    """Return the commonest colours of a picture, counted on a quarter of it: no line is thinner than two pixels.

    Colours that Pillow's search takes for one another (it looks at six bits) are not both in it.
    """
    sample = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.NEAREST)
    counts: Any = sample.getcolors(sample.width * sample.height)
    common: dict[tuple[int, ...], tuple[int, ...]] = {}
    for _, colour in sorted(counts, key=lambda item: (-item[0], item[1])):
        common.setdefault(tuple(part // 8 for part in colour), colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in list(common.values())[:_COLOURS] for part in colour])
    return palette


def save(fig: Figure, folder: Path | str, name: str) -> tuple[Path, Path]:
    """Write `<name>.png` and `<name>.svg`, drawn at once, into `folder` (made if missing) and return their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = _drawn(fig, Drawn(_about(fig)))
    paths = folder / f"{name}.png", folder / f"{name}.svg"
    for path, picture in zip(paths, (_compressed(drawn.picture), drawn.svg.encode()), strict=True):
        path.write_bytes(picture)
    return paths


def html(fig: Figure, alt: str | None = None, name: str | None = None, picture: bytes | None = None) -> str:
    """Return a `<figure>` that needs no other file.

    The picture is a data URI; its alt text stands once more as text, folded, for everyone.

    Parameters
    ----------
    fig
        A chart of this package, or any figure with `alt` given.
    alt
        Alt text in place of the chart's own.
    name
        Becomes the `id`, so that pages can link to the figure.
    picture
        The PNG where it has been drawn already, by `save`.
    """
    words = escape(alt_text(fig) if alt is None else alt)
    anchor = f' id="{escape(re.sub(r"[^A-Za-z0-9_-]+", "-", name))}"' if name else ""
    source = base64.b64encode(png(fig) if picture is None else picture).decode("ascii")
    told = f"<figcaption><details><summary>This chart in words</summary>{words}</details></figcaption>"
    finding = f' data-finding="{escape(getattr(fig, "finding", ""))}"' if getattr(fig, "finding", "") else ""
    shown = f'<img alt="{words}" src="data:image/png;base64,{source}"{finding}>'
    return f'<figure class="{FIGURE}"{anchor}>{shown}{told}</figure>'


@functools.cache
def _type(size: float, bold: bool) -> tuple[lettering.Face, FontProperties]:
    props = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    return lettering.face(props, 72.0), props


@functools.lru_cache(maxsize=4096)
def width_of(words: str, size: float, bold: bool = False) -> float:
    """Return the width of one line of text, inches."""
    face, props = _type(size, bold)
    line = face.set(words)
    return (line.width if line else Pixels(1, 1, 72.0).get_text_width_height_descent(words, props, False)[0]) / 72


def wrap(words: str, width: float, size: float, *, bold: bool = False, lines: int = 0) -> list[str]:
    """Break text into lines of at most `width` inches; words that are too long are cut.

    `lines` above 0 is the most lines that are kept; the last then ends with an ellipsis.
    """
    done: list[str] = []
    line = ""
    for word in _TOGETHER.sub(_STAY, " ".join(words.split())).split(" "):
        for piece in _pieces(word, width, size, bold):
            longer = f"{line} {piece}".strip()
            if line and width_of(longer, size, bold) > width:
                done.append(line)
                line = piece
            else:
                line = longer
    done += [line] if line else []
    if lines and len(done) > lines:
        last = done[lines - 1]
        while last and width_of(last + "…", size, bold) > width:
            last = last[:-1]
        return [*done[: lines - 1], last.rstrip() + "…"]
    return done


def _balanced(words: str, width: float) -> list[str]:
    """Break a title into the fewest lines, of about the same length: no single word on the last."""
    lines = wrap(words, width, TITLE, bold=True)
    while width > 4 and len(narrower := wrap(words, width - 0.2, TITLE, bold=True)) == len(lines) > 1:
        lines, width = narrower, width - 0.2
    return lines


def _pieces(word: str, width: float, size: float, bold: bool) -> list[str]:
    """Cut a word that does not fit on a line."""
    if width_of(word, size, bold) <= width:
        return [word]
    found = [""]
    for letter in word:
        if found[-1] and width_of(found[-1] + letter, size, bold) > width:
            found.append("")
        found[-1] += letter
    return found
