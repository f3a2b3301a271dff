"""The numbers that pages tell, by name."""

from __future__ import annotations

from typing import NamedTuple

ROWS, ANSWERS = "rows", "answers"
Key = tuple[str, str, str, int, str]  # of cells: what, of whom, cut, span, period


class Number(NamedTuple):
    """A number that adds up: the rows of a population, or the answers of a metric, in a cell."""

    what: str
    of: str
    segment: str
    span: int
    period: str
    level: str
