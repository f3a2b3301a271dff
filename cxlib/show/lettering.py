"""Letters, each measured and drawn once in a process: setting type is most of the work of drawing a chart.

Plain text (Latin letters, digits, signs and shapes, written from left to right) is set here from the widths and the
kerning that the font has for its letters, which gives what matplotlib's own setting gives. Everything else, and what
the font lacks, is left to matplotlib.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import RendererAgg, get_hinting_flag
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import Kerning, LoadFlags
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from PIL import Image

EM = 100.0 * 64  # units of an outline: those of matplotlib's own outlines, in whole numbers
_PLAIN = re.compile("[ -~\u00a0-\u00ac\u00ae-\u017f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u22ff\u25a0-\u25ff]*")
_JOINED = (("ffi", "\ufb03"), ("ffl", "\ufb04"), ("ff", "\ufb00"), ("fi", "\ufb01"), ("fl", "\ufb02"))
_CODES = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "z"}
_KEPT = 1024  # lines that a face remembers: each is measured, then drawn


class Letter(NamedTuple):
    """One letter of a face; lengths in the face's unit, upwards from the base line."""

    advance: float
    low: float
    high: float


class Mark(NamedTuple):
    """A picture of type: its top left corner from the start of the base line, and how much of each pixel it covers."""

    left: int
    top: int
    cover: Image.Image


class Line(NamedTuple):
    """One line of type: its letters and where each begins, and its size, in the face's unit."""

    letters: str
    starts: tuple[float, ...]
    width: float
    low: float
    high: float


class Face:
    """A font at one size.

    Parameters
    ----------
    props
        Which font.
    dpi
        Pixels an inch: letters are fitted to the pixels and lengths are pixels. With none, the letters are as they
        were designed, and lengths are units of which `EM` make the size, whatever that is.
    """

    def __init__(self, props: FontProperties, dpi: float | None) -> None:
        self._props, self._dpi = props.copy(), dpi
        self._path: Any = findfont(props)
        self.name = re.sub(r"[^A-Za-z0-9]", "", get_font(self._path).postscript_name)
        self._size = (props.get_size_in_points(), dpi) if dpi else (EM / 64, 72.0)
        self._letters: dict[str, Letter | None] = {}
        self._gaps: dict[str, float] = {}
        self._marks: dict[str, Mark | None] = {}
        self._outlines: dict[str, str] = {}
        self.set = functools.lru_cache(maxsize=_KEPT)(self._set)

    def _set(self, words: str) -> Line | None:
        """Return a line of plain text set in this face; None for what is not plain or not in the font."""
        if not _PLAIN.fullmatch(words):
            return None
        if "f" in words:
            for apart, joined in _JOINED:
                words = words.replace(apart, joined)
        letters = [found for char in words if (found := self._letter(char))]
        if len(letters) < len(words):
            return None
        at, starts, before = 0.0, [], ""
        for char, letter in zip(words, letters, strict=True):
            at += self._gap(before + char) if before else 0.0
            starts.append(at)
            at, before = at + letter.advance, char
        low, high = min((each.low for each in letters), default=0.0), max((each.high for each in letters), default=0.0)
        return Line(words, tuple(starts), at, low, high)

    def _letter(self, char: str) -> Letter | None:
        """Return one letter, None where the font lacks it."""
        if char not in self._letters:
            font, found = get_font(self._path), None
            if font.get_char_index(ord(char)):
                font.set_size(*self._size)
                font.set_text(char, 0.0, flags=get_hinting_flag() if self._dpi else LoadFlags.NO_HINTING)
                unit = 1 / 64 if self._dpi else 1.0
                (width, height), depth = font.get_width_height(), font.get_descent()
                found = Letter(width * unit, -depth * unit, (height - depth) * unit)
            self._letters[char] = found
        return self._letters[char]

    def _gap(self, pair: str) -> float:
        """Return what the font puts between two letters, below 0 where they move together."""
        if pair not in self._gaps:
            font, (size, dpi) = get_font(self._path), self._size
            first, second = (font.get_char_index(ord(char)) for char in pair)
            em = size * dpi / 72 if self._dpi else EM
            self._gaps[pair] = font.get_kerning(first, second, Kerning.UNSCALED) * em / font.units_per_EM
        return self._gaps[pair]

    def outline(self, char: str) -> str:
        """Return the outline of a letter as the data of an SVG path, upwards; for a face without pixels."""
        if char not in self._outlines:
            ends_of, codes = text_to_path.get_text_path(self._props, char)
            path = Path(ends_of, codes)
            self._outlines[char] = "".join(
                _CODES[code] + ("" if code == Path.CLOSEPOLY else " ".join(str(round(end * 64)) for end in ends))
                for ends, code in path.iter_segments(simplify=False)
            )
        return self._outlines[char]

    def strip(self, line: Line) -> Mark | None:
        """Return the picture of a line, letters at whole pixels; None where it leaves no trace."""
        places = zip(line.letters, line.starts, strict=True)
        marks = [(round(at) + mark.left, mark) for char, at in places if (mark := self._mark(char))]
        if not marks:
            return None
        left, top = min(at for at, _ in marks), min(mark.top for _, mark in marks)
        right, foot = max(at + mark.cover.width for at, mark in marks), max(m.top + m.cover.height for _, m in marks)
        cover = Image.new("L", (right - left, foot - top))
        for at, mark in marks:
            cover.paste(255, (at - left, mark.top - top), mark.cover)
        return Mark(left, top, cover)

    def _mark(self, char: str) -> Mark | None:
        """Return the picture of a letter, drawn by matplotlib at a whole pixel; None where it leaves no trace."""
        if char not in self._marks:
            size, dpi = self._size
            side = math.ceil(size * dpi / 72)
            slate = RendererAgg(3 * side, 3 * side, dpi)
            slate.draw_text(slate.new_gc(), side, 2 * side, char, self._props, 0.0)
            cover = Image.frombytes("RGBA", (3 * side, 3 * side), slate.buffer_rgba()).getchannel("A")
            box = cover.getbbox()
            self._marks[char] = Mark(box[0] - side, box[1] - 2 * side, cover.crop(box)) if box else None
        return self._marks[char]


_FACES: dict[Any, Face] = {}


def face(props: FontProperties, dpi: float | None = None) -> Face:
    """Return the face of `props`: in pixels at `dpi`, else as it was designed, whatever the size."""
    look = props.get_style(), props.get_variant(), props.get_weight(), props.get_stretch()
    kind = tuple(props.get_family()), look, props.get_size_in_points() if dpi else None, dpi
    if kind not in _FACES:
        _FACES[kind] = Face(props, dpi)
    return _FACES[kind]
