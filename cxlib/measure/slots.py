"""Periods left open in a plan, so that one SQL text serves all requests of its shape.

A plan says of its periods nothing but their bounds, their labels and how many days they have. With `Slots` each of
these is a marker, told by its distance from the request's last period, and the text that the plan compiles to is
filled for any other last period: what depends on the calendar is worked out then, not when it was compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import ibis

from cxlib.periods import Period

Asked = Sequence[Period | tuple[Period, Period]]

_MARK = "\x1e"  # no name and no text of a definition has it
_FORM = re.compile(f"{_MARK}(start|end|from|until|label|days) (-?[0-9]+) ([0-9]+){_MARK}")
_TYPES = {"start": "date", "end": "date", "from": "timestamp", "until": "timestamp", "days": "int64"}
_MONTHS = {"month": 1, "quarter": 3}


class Slots:
    """The places that the periods of a request take in a text.

    Parameters
    ----------
    asked
        Periods, or pairs of them; at least one.
    timezone
        The reporting timezone.
    """

    def __init__(self, asked: Asked, timezone: str) -> None:
        self._last, self._timezone = max(_flat(asked)), timezone
        self._asked = asked

    @property
    def shape(self) -> str:
        """What else of the request a text depends on: two of the same shape have the same text; empty for none."""
        if len({period.kind for period in _flat(self._asked)}) > 1:
            return ""
        places = [[self._place(period) for period in _flat([one])] for one in self._asked]
        return f"{self._last.kind} {places}"

    def value(self, name: str, period: Period, more: int = 0) -> Any:
        """Return the marker of what is said of a period, as an Ibis value.

        `start` and `end` are its first day and the day after its last, `from` and `until` the same as UTC times, `more`
        days earlier; `label` is its name, `days` the calendar days of itself and `more` periods before it.
        """
        mark = ibis.literal(f"{_MARK}{name} {self._place(period)} {more}{_MARK}")
        return mark.cast(_TYPES[name]) if name in _TYPES else mark

    def fill(self, text: str) -> str:
        """Return a text with the values of this request's periods in their places."""
        return _FORM.sub(lambda found: self._said(found[1], int(found[2]), int(found[3])), text)

    def _said(self, name: str, place: int, more: int) -> str:
        period = self._last.next(place)
        if name == "label":
            return period.label
        if name == "days":
            return str((period.next_day - period.previous(more).first_day).days)
        bounds = (period.first_day, period.next_day) if _TYPES[name] == "date" else period.bounds(self._timezone)
        return str(bounds[name in ("end", "until")] - timedelta(days=more))

    def _place(self, period: Period) -> int:
        """Return how many periods lie between one and the last, negative before it."""
        one, last = period.first_day, self._last.first_day
        if period.kind == "week":
            return (one - last).days // 7
        return ((one.year - last.year) * 12 + one.month - last.month) // _MONTHS[period.kind]


def _flat(asked: Iterable[Period | tuple[Period, Period]]) -> list[Period]:
    return [period for one in asked for period in (one if isinstance(one, tuple) else (one,))]
