"""How a locale writes numbers, shares and amounts: the values of CLDR, read once, beside the house's English.

English pages are written as the house writes: `80.8 %` with a space, `R$ 64.20`. Every other language follows CLDR.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from cxlib.periods import known_locale

_MARKS = str.maketrans("", "", "\u200e\u200f\u061c")  # of direction: a page sets its own
# What most workspaces ask for needs no CLDR, which takes 40 ms to come.
_HOUSE = {"EUR": "€", "USD": "$", "GBP": "£", "BRL": "R$ ", "JPY": "¥", "INR": "₹"}
_NO_CENTS = {"JPY"}


@dataclass(frozen=True)
class Style:
    """Separators, the sizes of the groups of digits, and what stands before and after a share in percent."""

    thousands: str = ","
    decimal: str = "."
    groups: tuple[int, int] = (3, 3)
    percent: tuple[str, str] = ("", " %")
    found: str = "en"  # the locale that it is of

    def digits(self, value: float, places: int) -> str:
        """Return a number that is not negative."""
        if self.groups == (3, 3):
            return f"{value:,.{places}f}".translate(str.maketrans(",.", self.thousands + self.decimal))
        whole, _, rest = f"{value:.{places}f}".partition(".")
        first, other = self.groups
        parts = [whole[-first:]]
        whole = whole[:-first]
        while whole:
            parts.append(whole[-other:])
            whole = whole[:-other]
        return self.thousands.join(reversed(parts)) + (self.decimal + rest if rest else "")


@functools.cache
def style(locale: str) -> Style:
    """Return how a locale writes; one that CLDR does not know is written in English (`cx check` refuses it)."""
    known = None if locale == "en" else known_locale(locale)
    if known is None:
        return Style()
    signs = known.number_symbols["latn"]
    form = known.decimal_formats[None]
    share = known.percent_formats[None]
    before, after = (part[0].translate(_MARKS) for part in (share.prefix, share.suffix))
    percent = ("", " %") if known.language == "en" else (before, after)
    return Style(signs["group"], signs["decimal"], form.grouping, percent, str(known))


@functools.cache
def around_money(currency: str, locale: str) -> tuple[str, str]:
    """Return what stands before and after an amount: `€` and nothing, or nothing and ` €`."""
    if locale == "en" and currency in _HOUSE:
        return _HOUSE[currency], ""
    from babel.numbers import get_currency_symbol

    known = known_locale(style(locale).found)
    if known is None:  # of a Python without CLDR's English
        return f"{currency} ", ""
    symbol = get_currency_symbol(currency, locale=known).replace("\uffe5", "¥")  # charts lack the wide yen
    if known.language == "en":
        return _HOUSE["BRL"] if currency == "BRL" else f"{symbol} " if symbol[-1:].isalpha() else symbol, ""
    form = known.currency_formats["standard"]
    before, after = (part[0].translate(_MARKS) for part in (form.prefix, form.suffix))
    if before.endswith("¤") and symbol[-1:].isalpha():  # letters keep off the digits (CLDR, currencySpacing)
        before += "\u00a0"
    return before.replace("¤", symbol), after.replace("¤", symbol)


@functools.cache
def money_places(currency: str) -> int:
    """Return the decimals of a currency: two of most, none of yen."""
    if currency in _HOUSE:
        return 0 if currency in _NO_CENTS else 2
    from babel.numbers import get_currency_precision

    return int(get_currency_precision(currency))
