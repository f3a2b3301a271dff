"""The last periods of a metric as a small picture in a table's cell.

An `<img>` whose picture is SVG as data: a page's cleaner lets it through, it can run nothing and load nothing. It
paints its own white ground, so that it reads in a dark page and in print alike.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from cxlib import results
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import colours, rows
from cxlib.show.formats import Format, missing_words

WIDTH, HEIGHT = 112, 40
_EDGE, _FOOT = 5.0, 4.0  # free space about the line, and beneath it for the marks of gaps
_BAND = "#bfe0f5"

Point = rows.Row | None


def sparkline(points: Sequence[Point], periods: Sequence[Period], metric: Metric, form: Format) -> str:
    """Return a metric's last periods as one `<img>`.

    Parameters
    ----------
    points
        One row of a result frame per period, None where there is none.
    periods
        The periods, oldest first, as many as `points`.
    metric
        The definition, for title, unit and target.
    form
        How numbers are written in the words that stand for the picture.

    Returns
    -------
    str
        HTML. The line breaks at periods without a figure, which have a mark at the foot: a ring where hidden or too
        few, a cross where there is none; the band is the intervals, the dashed line the target.
    """
    words = escape(told(points, periods, metric, form), quote=True)
    picture = base64.b64encode(_svg(points, metric.target, words).encode("utf-8")).decode("ascii")
    return f'<img alt="{words}" width="{WIDTH}" height="{HEIGHT}" src="data:image/svg+xml;base64,{picture}">'


def told(points: Sequence[Point], periods: Sequence[Period], metric: Metric, form: Format) -> str:
    """Return the picture in words: first and last figure, lowest and highest, target, gaps."""
    known = [
        (point, period) for point, period in zip(points, periods, strict=True) if point and not missing_words(point)
    ]
    head = f"{metric.title}, {rows.span_title(periods)}"
    if not known:
        return f"{head}: no figure"

    def at(pair: tuple[rows.Row, Period]) -> str:
        return f"{form.value(pair[0]['estimate'], metric.unit)} in {pair[1].title}"

    parts = [f"{head}: {at(known[0])}"] + [at(known[-1])] * (len(known) > 1)
    if len(known) > 2:
        lowest, highest = (which(known, key=lambda pair: pair[0]["estimate"]) for which in (min, max))
        parts += [f"lowest {at(lowest)}", f"highest {at(highest)}"]
    parts += [f"target {form.value(metric.target, metric.unit)}"] * (metric.target is not None)
    gaps = len(points) - len(known)
    return ", ".join(parts) + (f"; {gaps} of {len(points)} {periods[0].kind}s without a figure" if gaps else "")


def _svg(points: Sequence[Point], target: float | None, words: str) -> str:
    """Return the picture; `words` are escaped."""
    step = (WIDTH - 2 * _EDGE) / max(len(points) - 1, 1)
    known = {place: point for place, point in enumerate(points) if point is not None and not missing_words(point)}
    ends = [row[name] for row in known.values() for name in ("estimate", "conf_low", "conf_high")]
    ends = [end for end in ends if math.isfinite(end)] + ([target] if target is not None and known else [])
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    tall = HEIGHT - 2 * _EDGE - _FOOT

    def spot(place: int, value: float) -> str:
        share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
        return f"{_EDGE + place * step:.1f},{_EDGE + (1 - share) * tall:.1f}"

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" rx="3" fill="{colours.PAPER}"/>']
    for stretch in _stretches(sorted(known)):
        parts += _stretch(stretch, known, spot)
    if target is not None and known:
        across = f"M{spot(0, target)}L{spot(max(len(points) - 1, 1), target)}"
        parts.append(f'<path d="{across}" stroke="{colours.INK}" stroke-width="1" stroke-dasharray="4 3"/>')
    if known and max(known) == len(points) - 1:
        x, y = spot(max(known), known[max(known)]["estimate"]).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colours.BLUE}"/>')
    parts += [_gap(_EDGE + place * step, point) for place, point in enumerate(points) if place not in known]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}"'
    return f'{head} fill="none"><title>{words}</title>{"".join(parts)}</svg>'


def _stretches(places: Sequence[int]) -> list[list[int]]:
    """Return the places in runs of neighbours."""
    found: list[list[int]] = []
    for place in places:
        if found and found[-1][-1] == place - 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _stretch(places: Sequence[int], known: Mapping[int, rows.Row], spot: Callable[[int, float], str]) -> list[str]:
    """Return band and line of neighbouring periods; of a single one its interval and a dot."""
    limits = [[(place, known[place][name]) for place in places] for name in ("conf_low", "conf_high")]
    drawn = []
    if all(not math.isnan(value) for side in limits for _, value in side):
        around = "L".join(spot(*point) for point in [*limits[0], *reversed(limits[1])])
        drawn.append(f'<path d="M{around}Z" fill="{_BAND}" stroke="{_BAND}" stroke-width="1"/>')
    line = [spot(place, known[place]["estimate"]) for place in places]
    if len(line) == 1:
        x, y = line[0].split(",")
        return [*drawn, f'<circle cx="{x}" cy="{y}" r="1.5" fill="{colours.BLUE}"/>']
    return [*drawn, f'<path d="M{"L".join(line)}" stroke="{colours.BLUE}" stroke-width="1.6" stroke-linejoin="round"/>']


def _gap(x: float, point: Point) -> str:
    """Return the mark of a period without a figure."""
    y = HEIGHT - _FOOT
    if point is not None and point["status"] in (results.SUPPRESSED, results.TOO_FEW):
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" stroke="{colours.GREY}" stroke-width="0.9"/>'
    left, right, top, foot = (f"{end:.1f}" for end in (x - 1.7, x + 1.7, y - 1.7, y + 1.7))
    arms = f"M{left},{top}L{right},{foot}M{left},{foot}L{right},{top}"
    return f'<path d="{arms}" stroke="{colours.GREY}" stroke-width="0.9"/>'
