"""What differences are called: their unit on an axis, their verdict beside what matters, and notes made plain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from matplotlib.axes import Axes

from cxlib.params.models import Metric
from cxlib.show import rows
from cxlib.show.formats import Format, formatting, missing_words

_UNITS = {
    "percent": "percentage points", "per_month": "percentage points a month", "score": "points on the scale",
    "count": "",
}  # fmt: skip
_TINY = re.compile(r"[-+\u2212]?(?:\d(?:\.\d+)?e-\d+|(?<![\d.])0\.000\d+)")
_NEGATIVE = re.compile(r"(?<![\w.,])-(?=\d)")
_JOINED = re.compile(r"(?<=[^\W_])_(?=[^\W_])")


def inside(row: rows.Row | None, matters: float | None) -> bool:
    """Return whether the whole interval of a difference lies within what is too small to matter."""
    if row is None or missing_words(row) or not matters:
        return False
    return bool(-matters <= row["conf_low"] and row["conf_high"] <= matters)


def reading(row: rows.Row | None, metric: Metric, matters: float | None) -> tuple[str, str, str]:
    """Return shape, words and tone of a verdict, as `rows.verdict`.

    An interval within what matters tells something, however few there were: that nothing that matters changed.
    """
    shape, words, tone = rows.verdict(row, metric)
    if not words or row is None or not inside(row, matters):
        return shape, words, tone
    if row["verdict"] == "moved":
        return shape, f"{words}; too small to matter", tone
    return "○", "no change that matters", rows.FLAT


def unit_of(metric: Metric, form: Format, largest: float, what: str = "effect") -> tuple[str, float]:
    """Return the label of an axis of differences, and the factor that brings them to it."""
    name, factor = form.axis(metric.unit, largest)
    unit = _UNITS.get(metric.unit, name)
    if metric.unit == "count":
        unit = name.removesuffix("count").strip()  # "thousand" and the like stay
    return (f"{what}, {unit}" if unit else what), factor


def largest_of(values: Iterable[float], otherwise: float = 1.0) -> float:
    """Return the largest size of the numbers that are finite; `otherwise` without any."""
    return max((abs(value) for value in values if math.isfinite(value)), default=otherwise) or otherwise


def span(axes: Axes, ends: tuple[float, float], *, upright: bool = False) -> tuple[float, float]:
    """Return the ends of a line that is drawn on axes whose limits are set; endless ones stop at the frame."""
    low, high = sorted(axes.get_ylim() if upright else axes.get_xlim())
    return max(ends[0], low), min(ends[1], high)


def plain(words: str) -> str:
    """Return a note as it is written for people: a typographic minus, no joined-up names, no 5.2e-06."""
    return _JOINED.sub(
        " ", _NEGATIVE.sub("\u2212", _TINY.sub("under 0.001", words).replace("less than under", "less than"))
    )


def p_told(value: float) -> str:
    """Return a p-value as it stands in a sentence."""
    return f"p below {formatting().number(0.001, 3)}" if value < 0.001 else f"p = {formatting().number(value, 3)}"


def sentences(words: str) -> tuple[str, str]:
    """Return what a long text says first, and the rest of it: empty where it is one short sentence."""
    first, _, rest = _split(words.strip())
    if len(first) <= _LONG:
        return first, rest
    found = _ASIDE.search(first)
    if found:
        return f"{first[: found.start()]}.", f"{first[found.start() :].strip()} {rest}".lstrip("; ").strip()
    return first, rest


_LONG = 140  # letters
_ASIDE = re.compile(r"(?<=.{25})(?: \([^()]{30,}|; )")  # a long aside or a second clause; not the unit of a title
_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])")


def _split(words: str) -> tuple[str, str, str]:
    found = _END.search(words)
    return (words[: found.start()], " ", words[found.end() :]) if found else (words, "", "")
