"""Numbers within sentences: with their unit, as people say them."""

from __future__ import annotations

import math

_SHARES = ("percent", "per_month")
_WORDS = {
    "points": "point", "score": "point", "seconds": "second", "days": "day", "percent": "percentage point",
    "per_month": "percentage point a month", "money": "", "count": "", "per_1000_months": "per 1,000 customer months",
}  # fmt: skip


def amount(value: float, unit: str = "") -> str:
    """Return a difference in words: 0.02 of `percent` as `2 percentage points`, 3.456 `days` as `3.46 days`.

    Parameters
    ----------
    value
        In the metric's own unit; shares 0 to 1.
    unit
        A unit of `params/metrics`, or any words that may follow a number; empty for none.
    """
    told = _plain(value, unit)
    return f"{told} {_words(unit, one=told == '1')}".rstrip()


def span(low: float, high: float, unit: str = "") -> str:
    """Return an interval in words, `between −0.1 and +0.2 points`; one that is endless to a side as `at least ...`."""
    words = _words(unit, one=False)
    if math.isinf(low) and math.isinf(high):
        return "anything"
    if math.isinf(high):
        return f"at least {_signed(low, unit)} {words}".rstrip()
    if math.isinf(low):
        return f"at most {_signed(high, unit)} {words}".rstrip()
    return f"between {_signed(low, unit)} and {_signed(high, unit)} {words}".rstrip()


def signed(value: float, unit: str = "") -> str:
    """Return an amount with its sign, a typographic minus."""
    return f"{_sign(value)}{amount(abs(value), unit)}"


def chance(p_value: float) -> str:
    """Return a p-value as `p = .43`, `p = .004`, `p < .001`."""
    if p_value < 0.001:
        return "p < .001"
    if p_value > 0.995:
        return "p = 1"
    digits = 2 if p_value >= 0.1 else 3
    return f"p = {p_value:.{digits}f}".replace("0.", ".", 1)


def _words(unit: str, *, one: bool) -> str:
    """Return the words of a unit, singular or plural."""
    words = _WORDS.get(unit, unit)
    if one or unit not in _WORDS or not words or unit == "per_1000_months":
        return words
    first, *rest = words.split(" a ")
    return " a ".join([f"{first}s", *rest])


def _signed(value: float, unit: str) -> str:
    return f"{_sign(value)}{_plain(abs(value), unit)}"


def _sign(value: float) -> str:
    return "−" if value < 0 else "+" if value > 0 else ""


def _plain(value: float, unit: str) -> str:
    """Return three digits, without an exponent for sizes that people meet."""
    value = 100 * value if unit in _SHARES else value
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 else f"{value:.1e}"
