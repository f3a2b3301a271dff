"""The two ways in which a chart leaves, pixels and SVG, drawn at once with the type set in `lettering`.

A backend of matplotlib's: `figure.savefig(into, format="both", backend="module://cxlib.show.drawing")` with `into` a
`Drawn`. The letters of both stand where those of the pixels do, so that the two are one picture.
"""

from __future__ import annotations

import io
from typing import Any, NoReturn

from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Transform, TransformedBbox, TransformedPath
from PIL import Image

from cxlib.show import lettering

_POINTS = 72.0  # of an inch
_BLANK = " \u00a0"


class Drawn:
    """What a figure was drawn into: the picture, and the text of its SVG where `about` was given."""

    def __init__(self, about: dict[str, str | None] | None = None) -> None:
        self.about, self.svg = about, ""
        self.picture = Image.new("RGB", (1, 1))


def _opaque(gc: GraphicsContextBase) -> bool:
    """Return whether the ink covers what lies beneath it."""
    return bool(gc.get_alpha() == 1 and tuple(gc.get_rgb())[3:] in ((), (1.0,)) and gc.get_antialiased())


class Pixels(RendererAgg):
    """Draws in pixels; lines of plain text start at whole ones."""

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple[float, float, float]:
        """Return the size of a line, pixels."""
        line = None if ismath else lettering.face(prop, self.dpi).set(s)
        if line is None:
            return super().get_text_width_height_descent(s, prop, ismath)
        return line.width, line.high - line.low, -line.low

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        """Draw a line of text whose base line starts at `x`, `y` from the top left."""
        face = lettering.face(prop, self.dpi)
        line = face.set(s) if not ismath and angle in (0, 90) and _opaque(gc) else None
        if line is None:
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
        elif strip := face.strip(line):
            left, top, cover = strip
            if angle:
                left, top, cover = top, -left - cover.width, cover.transpose(Image.Transpose.ROTATE_90)
            ink = Image.new("RGB", cover.size, tuple(round(part * 255) for part in gc.get_rgb()[:3]))
            ink.putalpha(cover)
            ink = ink.transpose(Image.Transpose.FLIP_TOP_BOTTOM)  # as `draw_image` has it: the lowest row comes first
            foot = round(y - self.height % 1) + top + cover.height
            area = memoryview(bytearray(ink.tobytes())).cast("B", (cover.height, cover.width, 4))
            self.draw_image(gc, round(x) + left, int(self.height) - foot, area)

    def picture(self) -> Image.Image:
        """Return what was drawn, on white."""
        size = int(self.width), int(self.height)
        return Image.frombytes("RGB", size, self.buffer_rgba(), "raw", "RGBX", 0, 1)


class Lines(RendererSVG):
    """Draws SVG; each letter is defined once and stands in whole units of the font."""

    def __init__(self, width: float, height: float, out: io.StringIO, **how: Any) -> None:
        super().__init__(width, height, out, **how)
        self._out, self._known = out, set[str]()

    def draw_line(self, gc: GraphicsContextBase, words: str, face: lettering.Face, place: tuple[float, ...]) -> bool:
        """Draw a line of plain text and return True, or leave it.

        `place` is `x`, `y`, the size in points, the angle and the width that the line takes, points.
        """
        line, (x, y, size, angle, width) = face.set(words), place
        clipped = gc.get_clip_rectangle() is not None or gc.get_clip_path()[0] is not None
        if line is None or clipped or gc.get_url() is not None or not _opaque(gc):
            return False
        self.writer.comment(words)
        tall = size / lettering.EM
        turn = f"rotate({-angle:g})" if angle else ""
        scale = f"scale({width / line.width if line.width else tall:.5g} -{tall:.5g})"
        parts = [f'<g fill="{to_hex(gc.get_rgb())}" transform="translate({x:.2f} {y:.2f}){turn}{scale}">']
        for char, at in zip(line.letters, line.starts, strict=True):
            if char not in _BLANK:
                name = f"{face.name}-u{ord(char):x}"  # matplotlib's own have no "u"
                if name not in self._known:
                    self._known.add(name)
                    parts.append(f'<defs><path id="{name}" d="{face.outline(char)}"/></defs>')
                parts.append(f'<use x="{at:.0f}" xlink:href="#{name}"/>')
        self._out.write("\n".join(parts) + "\n</g>\n")
        return True


class Both(RendererBase):
    """Draws in pixels and, where given, the same at 72 points an inch in SVG."""

    def __init__(self, pixels: Pixels, lines: Lines) -> None:
        super().__init__()
        self._pixels, self._lines, self._share = pixels, lines, _POINTS / pixels.dpi
        self._down = Affine2D().scale(self._share)

    def _smaller(self, gc: GraphicsContextBase) -> GraphicsContextBase:
        """Return how to draw in points: lines have their width in points already, the edges of the clip have not."""
        box: Any = gc.get_clip_rectangle()
        path: Any
        placed: Any
        path, placed = gc.get_clip_path()
        if box is None and path is None:
            return gc
        small = GraphicsContextBase()
        small.copy_properties(gc)
        if box is not None:
            small.set_clip_rectangle(TransformedBbox(box, self._down).frozen())
        if path is not None:
            small.set_clip_path(TransformedPath(path, placed + self._down))
        return small

    def draw_path(self, gc: GraphicsContextBase, path: Path, transform: Transform, rgbFace: Any = None) -> None:  # noqa: N803
        """Draw a path."""
        self._pixels.draw_path(gc, path, transform, rgbFace)
        self._lines.draw_path(self._smaller(gc), path, transform + self._down, rgbFace)

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        rgbFace: Any = None,  # noqa: N803
    ) -> None:
        """Draw a mark at every point of a path."""
        self._pixels.draw_markers(gc, marker_path, marker_trans, path, trans, rgbFace)
        small = marker_trans + self._down, path, trans + self._down
        self._lines.draw_markers(self._smaller(gc), marker_path, *small, rgbFace)

    def draw_path_collection(
        self,
        gc: GraphicsContextBase,
        master_transform: Transform,
        paths: Any,
        all_transforms: Any,
        offsets: Any,
        offset_trans: Transform,
        *look: Any,
        **more: Any,
    ) -> None:
        """Draw many paths."""
        self._pixels.draw_path_collection(
            gc, master_transform, paths, all_transforms, offsets, offset_trans, *look, **more
        )
        small = master_transform + self._down, paths, all_transforms, offsets, offset_trans + self._down
        self._lines.draw_path_collection(self._smaller(gc), *small, *look, **more)

    def draw_gouraud_triangles(self, *_: Any) -> NoReturn:
        """Refuse what SVG cannot say."""
        raise NotImplementedError("shaded triangles")

    def draw_image(self, gc: GraphicsContextBase, x: float, y: float, im: Any, transform: Any = None) -> None:
        """Draw a picture."""
        self._pixels.draw_image(gc, x, y, im)
        self._lines.draw_image(self._smaller(gc), x * self._share, y * self._share, im, transform)

    def draw_tex(self, gc: GraphicsContextBase, x: float, y: float, *what: Any, mtext: Any = None) -> None:
        """Draw a line of TeX."""
        self._pixels.draw_tex(gc, x, y, *what, mtext=mtext)
        self._lines.draw_tex(self._smaller(gc), x * self._share, y * self._share, *what, mtext=mtext)

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        """Draw a line of text."""
        self._pixels.draw_text(gc, x, y, s, prop, angle, ismath, mtext)
        left, base = x * self._share, y * self._share
        width = self._pixels.get_text_width_height_descent(s, prop, ismath)[0] * self._share
        place = left, base, prop.get_size_in_points(), angle, width
        if ismath or not self._lines.draw_line(gc, s, lettering.face(prop), place):
            self._lines.draw_text(self._smaller(gc), left, base, s, prop, angle, ismath, mtext)

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple[float, float, float]:
        """Return the size of a line, pixels."""
        return self._pixels.get_text_width_height_descent(s, prop, ismath)

    def open_group(self, s: str, gid: str | None = None) -> None:
        """Begin a group of the SVG; a line of text is one already."""
        if s != "text":
            self._lines.open_group(s, gid)

    def close_group(self, s: str) -> None:
        """End a group of the SVG."""
        if s != "text":
            self._lines.close_group(s)

    def points_to_pixels(self, points: Any) -> Any:
        """Return a length in pixels."""
        return points / self._share

    def get_canvas_width_height(self) -> tuple[float, float]:
        """Return the size, pixels."""
        return self._pixels.width, self._pixels.height

    def flipy(self) -> bool:
        """Return that text is placed from the top."""
        return True


class FigureCanvas(FigureCanvasAgg):
    """A canvas that draws both, or the picture alone."""

    def print_both(self, into: Drawn, **_: Any) -> None:
        """Draw the figure at its own resolution."""
        (width, height), dpi = self.figure.bbox.size, self.figure.dpi
        pixels, about = Pixels(width, height, dpi), getattr(into, "about", None)  # matplotlib looks with any file
        if about is None:
            self.figure.draw(pixels)
        else:
            share, out = _POINTS / dpi, io.StringIO()
            lines = Lines(width * share, height * share, out, image_dpi=dpi, metadata=about)
            self.figure.draw(Both(pixels, lines))
            lines.finalize()
            into.svg = out.getvalue()
        into.picture = pixels.picture()
