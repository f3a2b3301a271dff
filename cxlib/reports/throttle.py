"""How much one viewer may ask for in a minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_KNOWN = 10_000  # who asked last; who is forgotten starts with a full allowance


class Allowance:
    """So many things a minute, of which a burst may come at once, counted for each name by itself.

    Parameters
    ----------
    per_minute
        How many in the long run, and how many at once after a rest.
    clock
        Seconds that only grow.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(per_minute), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str, cost: float = 1.0) -> float:
        """Take a thing, or a part of one, from what a name has left; return 0.0, or the seconds to wait for it."""
        now = self._clock()
        left, then = self._left.pop(name, (self._most, now))
        left = min(self._most, left + (now - then) * self._most / 60)
        allowed = left >= cost
        self._left[name] = (left - cost * allowed, now)
        if len(self._left) > _KNOWN:
            self._left.popitem(last=False)
        return 0.0 if allowed else (cost - left) * 60 / self._most
