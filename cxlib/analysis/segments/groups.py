"""Names for the cells of recency, frequency and monetary value, whatever the number of bins.

A score of s out of b is low where (s - 1/2) / b is at most 0.4, high where it is above 0.6, else in the middle: of five
bins 1 and 2 are low, 3 is in the middle, 4 and 5 are high. Who bought once bought seldom, whatever score f equal bins
give: it is low. The first rule that holds gives the name:

    champions        lately, often, much                r, f and m high
    loyal            often, not long ago                f high, r high or middle
    big spenders     much, not often, not long ago      m high, r high or middle
    newcomers        lately, seldom so far              r high, f low
    promising        lately, now and then               r high
    needs attention  a while ago, now and then          r middle, f middle
    about to sleep   a while ago, seldom                r middle
    cannot lose      once often and much, long ago      f and m high (r low)
    at risk          once often or much, long ago       f or m high (r low)
    hibernating      now and then, long ago             f middle (r low)
    lost             seldom, long ago                   the rest
"""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

LOW, MIDDLE, HIGH = 0, 1, 2

Bands = tuple[int, int]
_HIGH, _NOT_LOW, _MIDDLE, _LOW, _ANY = (HIGH, HIGH), (MIDDLE, HIGH), (MIDDLE, MIDDLE), (LOW, LOW), (LOW, HIGH)


class Rule(NamedTuple):
    """A name, and the lowest and the highest band that it takes of each score."""

    name: str
    r: Bands
    f: Bands
    m: Bands

    def holds(self, r: Any, f: Any, m: Any) -> Any:
        """Say where the rule holds, for bands as arrays or as columns of Ibis."""
        sides = [(band >= low) & (band <= high) for band, (low, high) in zip((r, f, m), self[1:], strict=True)]
        return functools.reduce(operator.and_, sides)


RULES: tuple[Rule, ...] = (
    Rule("champions", _HIGH, _HIGH, _HIGH),
    Rule("loyal", _NOT_LOW, _HIGH, _ANY),
    Rule("big spenders", _NOT_LOW, _ANY, _HIGH),
    Rule("newcomers", _HIGH, _LOW, _ANY),
    Rule("promising", _HIGH, _ANY, _ANY),
    Rule("needs attention", _MIDDLE, _MIDDLE, _ANY),
    Rule("about to sleep", _MIDDLE, _ANY, _ANY),
    Rule("cannot lose", _ANY, _HIGH, _HIGH),
    Rule("at risk", _ANY, _HIGH, _ANY),
    Rule("at risk", _ANY, _ANY, _HIGH),
    Rule("hibernating", _ANY, _MIDDLE, _ANY),
)
ONCE = 1  # order: no habit yet
LAST = "lost"
GROUPS: tuple[str, ...] = (*dict.fromkeys(rule.name for rule in RULES), LAST)


def limits(bins: int) -> tuple[int, int]:
    """Return the highest score that is low and the lowest that is high.

    Whole numbers only, so that every engine draws the line at the same place.
    """
    low = max(score for score in range(bins + 1) if 10 * score - 5 <= 4 * bins)
    high = min(score for score in range(1, bins + 2) if 10 * score - 5 > 6 * bins)
    return low, high
