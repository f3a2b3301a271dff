"""Numbers as people read them: the unit, the sign where it means something, and words where a number is missing.

Shares and monthly rates are fractions in a result frame (0.808) and percentages on a page (80.8 %).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeGuard

from cxlib import results
from cxlib.errors import UsageError, did_you_mean
from cxlib.params.models import Metric
from cxlib.periods import day_title, month_title, name_months
from cxlib.show import locales

MINUS = "\u2212"
STATUS_WORDS = {
    results.SUPPRESSED: "hidden: small group",
    results.TOO_FEW: "too few to say",
    results.UNDEFINED: "not available",
}
NOT_AVAILABLE = STATUS_WORDS[results.UNDEFINED]

_SUFFIX = {
    "per_1000_months": " per 1,000 customer-months",
    "days": " days",
}
_CHANGE_SUFFIX = {"percent": " pp", "per_month": " pp a month", "points": " points"}
_PERCENT = ("percent", "per_month")


@dataclass(frozen=True)
class Format:
    """How one workspace writes numbers.

    Parameters
    ----------
    currency
        ISO code of amounts of money.
    locale
        A language tag, `es` or `pt-BR`: its separators, its percent sign, where it puts a currency, its dates and the
        names of its months, as CLDR gives them. All other words stay English.
    """

    currency: str = "EUR"
    locale: str = "en"

    def value(self, value: float | None, unit: str) -> str:
        """Return an estimate with its unit: `80.8 %`, `+31.4`, `3 min 20 s`, `€64.20`; never `nan`."""
        if not _known(value):
            return NOT_AVAILABLE
        return self._core(value, unit, unit == "points", self._decimals(unit, value)) + _suffix(unit, value)

    def short(self, value: float | None, unit: str) -> str:
        """Return an estimate for where the unit is said already: `5.0 %` for `5.0 % a month`."""
        return brief(self.value(value, unit))

    def change(self, value: float | None, unit: str) -> str:
        """Return a difference with sign and unit: `+2.1 points`; shares differ by percentage points (`pp`)."""
        if not _known(value):
            return NOT_AVAILABLE
        return self._core(value, unit, True, self._decimals(unit, value), change=True) + _change_suffix(unit)

    def interval(self, low: float | None, high: float | None, unit: str, *, change: bool = False) -> str:
        """Return limits with their unit once: `78.1 to 83.3 %`; `no interval` where one is missing."""
        if not _known(low) or not _known(high):
            return "no interval"
        sign, places = change or unit == "points", self._decimals(unit, low, high)
        first, last = (self._core(end, unit, sign, places, change=change) for end in (low, high))
        if unit in _PERCENT and not change:  # once, after both
            first = first.removesuffix(locales.style(self.locale).percent[1])
        return f"{first} to {last}" + (_change_suffix(unit) if change else _suffix(unit, high))

    def count(self, n: float | None) -> str:
        """Return a number of answers, customers or rows: `12,345`."""
        return self.number(n, 0) if _known(n) else NOT_AVAILABLE

    def number(self, value: float, places: int, *, sign: bool = False) -> str:
        """Return a bare number with the locale's separators; zero carries no sign."""
        size = locales.style(self.locale).digits(abs(value), places)
        if not any(digit in "123456789" for digit in size):
            return size
        return (MINUS if value < 0 else "+" if sign else "") + size

    def percent(self, digits: str) -> str:
        """Return digits with the locale's percent sign: `80.8 %`, `80,8 %`, `%80,8`."""
        before, after = locales.style(self.locale).percent
        return f"{before}{digits}{after}"

    def around_money(self) -> tuple[str, str]:
        """Return what stands before and after an amount."""
        return locales.around_money(self.currency, self.locale)

    def day(self, day: date) -> str:
        """Return a day: `31 October 2026`, `31 de octubre de 2026`."""
        return day_title(day, self.locale)

    def month(self, day: date) -> str:
        """Return the month of a day: `October 2026`, `octubre de 2026`."""
        return month_title(day, self.locale)

    def axis(self, unit: str, largest: float) -> tuple[str, float]:
        """Return the label of an axis and the factor that brings values to it (seconds to minutes, say)."""
        if unit == "seconds":
            times = ((7200, "hours", 1 / 3600), (120, "minutes", 1 / 60), (0, "seconds", 1.0))
            return next((name, factor) for least, name, factor in times if largest >= least)
        name = {"money": self.currency, "percent": "percent", "per_month": "percent a month"}.get(unit, unit)
        name = "per 1,000 customer-months" if unit == "per_1000_months" else name
        if unit in _PERCENT:
            return name, 100.0
        steps = ((1e9, "billion ", 1e-9), (1e6, "million ", 1e-6), (0, "", 1.0))
        return next((big + name, factor) for least, big, factor in steps if largest >= least)

    def _core(self, value: float, unit: str, sign: bool, places: int, *, change: bool = False) -> str:
        """Return sign, symbol and digits; a share with its percent sign, a difference of shares without."""
        if math.isinf(value):
            digits = (MINUS if value < 0 else "") + "∞"
            return self.percent(digits) if unit in _PERCENT and not change else digits
        if unit == "seconds":
            return self._duration(value, sign)
        if unit == "money":
            return self._money(value, sign, places)
        if unit not in _PERCENT:
            return self.number(value, places, sign=sign)
        digits = self.number(value * 100, places, sign=sign)
        return digits if change else self.percent(digits)

    def _duration(self, seconds: float, sign: bool) -> str:
        """Return `45 s`, `3 min 20 s`, `2 h 5 min` or `3 days 4 h`."""
        size = abs(seconds)
        if size < 9.95 and not float(size).is_integer():
            return self.number(seconds, 1, sign=sign) + " s"
        whole = round(size)
        head = MINUS if seconds < 0 and whole else "+" if sign and whole else ""
        for least, big, small, names in ((172_800, 86_400, 3_600, ("days", "h")), (3_600, 3_600, 60, ("h", "min"))):
            if whole >= least:
                first, second = divmod(round(whole / small), big // small)
                return f"{head}{self.number(first, 0)} {names[0]}" + (f" {second} {names[1]}" if second else "")
        minutes, rest = divmod(whole, 60)
        parts = [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest or not minutes)
        return f"{head}{' '.join(parts)}"

    def _money(self, value: float, sign: bool, places: int) -> str:
        """Return an amount; from a million on in millions, so that it can be read."""
        before, after = self.around_money()
        steps = ((1e9, " billion"), (1e6, " million"))
        scale, word = next(((least, name) for least, name in steps if abs(value) >= least), (1.0, ""))
        digits = self.number(abs(value) / scale, 2 if word else places)
        head = MINUS if value < 0 else "+" if sign and value > 0 else ""
        return f"{head}{before}{digits}{word}{after}"

    def _decimals(self, unit: str, *values: float) -> int:
        """Return the decimals that a unit is written with, the same for all values of an interval."""
        largest = max((abs(value) for value in values if not math.isinf(value)), default=0.0)
        if unit == "count":
            return 0 if largest >= 10_000 else 1 if largest >= 100 else 2
        if unit == "money":
            return 0 if largest >= 10_000 else locales.money_places(self.currency)
        return 2 if unit == "score" else 1


_house = Format()


def use(currency: str, locale: str) -> None:
    """Write numbers of this process as this workspace does, wherever no other currency or locale is asked for.

    The titles of periods follow the locale, too.
    """
    global _house
    _house = Format(currency, locale)
    name_months(locale)


def formatting(currency: str | None = None, locale: str | None = None) -> Format:
    """Return the workspace's way to write numbers, changed where one is given."""
    return Format(currency or _house.currency, locale or _house.locale)


def counted(n: float) -> str:
    """Return a number of things as the workspace writes it."""
    return _house.count(n)


def brief(words: str) -> str:
    """Return a number without the long part of its unit, for where that is said already."""
    return words.removesuffix(" a month").removesuffix(_SUFFIX["per_1000_months"])


def headed(metric: Metric) -> str:
    """Return the title of a metric as the heading of brief numbers: with the long part of its unit."""
    part = {"per_month": "a month", "per_1000_months": _SUFFIX["per_1000_months"].strip()}.get(metric.unit, "")
    said = not part or part.split()[-1].rstrip("s") in metric.title.lower()
    return metric.title if said else f"{metric.title} ({part})"


def decimals(value: float, most: int = 3) -> int:
    """Return the decimals that a round number needs, at most `most`."""
    return next((p for p in range(most) if math.isclose(value, round(value, p), abs_tol=1e-9)), most)


def lasting(at: str, unit: str) -> str:
    """Return `52 weeks` for a number of units of time."""
    words = f"{float(at):.0f}" if float(at) >= 10 else f"{float(at):.1f}".removesuffix(".0")
    return f"{words} {unit}{'' if words == '1' else 's'}"


def metric_of(metrics: Mapping[str, Metric], name: str) -> Metric:
    """Return the metric of that id; `UsageError` for one that `metrics` does not describe."""
    if name not in metrics:
        raise UsageError(f"the frame holds metric '{name}', which is not described{did_you_mean(name, metrics)}")
    return metrics[name]


def shortened(words: str, most: int = 40) -> str:
    """Return a name that is not longer than `most` letters."""
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def one_metric(metrics: Metric | Mapping[str, Metric], metric: str, found: Sequence[str]) -> Metric:
    """Return the metric that a chart of one metric is about; `UsageError` where the frame leaves several.

    Parameters
    ----------
    metrics
        The metric itself, or all by id.
    metric
        Its id; may be empty where `found`, the ids in the frame, holds only one.
    """
    if isinstance(metrics, Metric):
        return metrics
    if not metric and len(found) > 1:
        raise UsageError(f"the frame holds {len(found)} metrics ({', '.join(found)}): name the one to show")
    return metric_of(metrics, metric or found[0])


def missing_words(row: Mapping[str, Any] | None) -> str:
    """Return the words for a row without numbers, an empty text for one with them, `no figures` for no row."""
    if row is None:
        return "no figures"
    if row["status"] != results.OK:
        return STATUS_WORDS[row["status"]]
    return "" if _known(row["estimate"]) else NOT_AVAILABLE


def _known(value: float | None) -> TypeGuard[float]:
    """Tell whether there is a number at all (infinity is one)."""
    return value is not None and not math.isnan(value)


def _suffix(unit: str, value: float) -> str:
    """Return what follows the number of a level."""
    if unit == "per_month":
        return " a month"
    return " day" if unit == "days" and value == 1 else _SUFFIX.get(unit, "")


def _change_suffix(unit: str) -> str:
    """Return what follows the number of a difference."""
    return _CHANGE_SUFFIX.get(unit, _SUFFIX.get(unit, ""))
