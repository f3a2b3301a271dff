"""How the numbers of a column are written: which sign parts thousands, which the decimals, what else stands there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

# style -> the shape of its whole and broken numbers; the order is that of preference where several fit
STYLES = {
    "1234.56": r"\d+(\.\d+)?|\.\d+",
    "1,234.56": r"\d{1,3}(,\d{3})+(\.\d+)?|\d+(\.\d+)?",
    "1.234,56": r"\d{1,3}(\.\d{3})+(,\d+)?|\d+(,\d+)?",
    "1234,56": r"\d+(,\d+)?",
    "1 234,56": r"\d{1,3}([ \u00a0\u202f]\d{3})+(,\d+)?|\d+(,\d+)?",
    "1'234.56": r"\d{1,3}(['’]\d{3})+(\.\d+)?|\d+(\.\d+)?",
}
PLAIN = "1234.56"
_SHAPES = {style: re.compile(shape) for style, shape in STYLES.items()}
_SIGN = re.compile(r"^[+-]\s?|[€$£¥₹%]|R\$|\b[A-Z]{3}\b|^[+-]")
_THREE = re.compile(r"\d{1,3}([.,])\d{3}")  # 1.234: a thousand, or a little more than one?


@dataclass(frozen=True)
class NumberGuess:
    """A guessed style; `other` fits every value as well. `signs` says that currency or percent signs stand there."""

    style: str
    fits: int = 0
    seen: int = 0
    misfit: str = ""
    other: str = ""
    signs: bool = False
    whole: bool = False  # all are integers
    low: float = 0.0
    high: float = 0.0

    @property
    def misfits(self) -> int:
        """How many values are written otherwise."""
        return self.seen - self.fits


def guess(values: Counter[str], habit: str = "") -> NumberGuess | None:
    """Guess how the numbers of a column are written.

    Parameters
    ----------
    values
        The values and how often each was seen; nothing that stands for "missing".
    habit
        The style that another column of the file leaves no doubt about.

    Returns
    -------
    NumberGuess or None
        None where less than half of the values are numbers.
    """
    seen = sum(values.values())
    bare = {value: _SIGN.sub("", value).strip() for value in values}
    counts = {
        style: sum(n for value, n in values.items() if shape.fullmatch(bare[value])) for style, shape in _SHAPES.items()
    }
    best = max(counts.values(), default=0)
    if not seen or best < seen / 2:
        return None
    fitting = [style for style, fits in counts.items() if fits == best]
    style = habit if habit in fitting else fitting[0]
    misfit = next((value for value in values if not _SHAPES[style].fullmatch(bare[value])), "")
    numbers = [_number(bare[value], style) for value in values if _SHAPES[style].fullmatch(bare[value])]
    return NumberGuess(
        style,
        best,
        seen,
        misfit,
        _other(bare.values(), style) if habit not in fitting else "",
        any(_SIGN.sub("", value).strip() != value.lstrip("+-") for value in values),
        all(number == int(number) for number in numbers),
        min(numbers),
        max(numbers),
    )


def _number(text: str, style: str) -> float:
    """Return the size of a number that is written in a style; its sign plays no part."""
    decimal = style[-3]
    plain = "".join("." if letter == decimal else letter for letter in text if letter.isdigit() or letter == decimal)
    return float(plain or 0)


def _other(bare: Iterable[str], style: str) -> str:
    """Return the second reading of a column in which every number with a sign has three figures behind it."""
    marked = [text for text in bare if re.search(r"[.,]", text)]
    if not marked or not all(_THREE.fullmatch(text) for text in marked):
        return ""
    if style in ("1234.56", "1,234.56"):
        return "1.234,56" if "." in marked[0] else "1234,56"
    return "1,234.56" if "," in marked[0] else "1234.56"


def decisive(found: NumberGuess | None) -> str:
    """Return the style of a column that leaves no doubt about its signs, "" where it says nothing."""
    return found.style if found and not found.whole and not found.other and not found.misfits else ""
