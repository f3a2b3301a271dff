"""Numbers, amounts and dates by locale, against the values that CLDR publishes (cldr-json: `numbers.json` and
`ca-gregorian.json` of each locale), typed in here. English is the house's own."""

from __future__ import annotations

from datetime import date

import pytest

from cxlib import periods
from cxlib.periods import Period, day_title, known_locale, month_title
from cxlib.show.formats import Format
from cxlib.show.locales import Style

DAY = date(2026, 10, 31)
NB, NARROW = "\u00a0", "\u202f"

# locale: 1234567.5 with one decimal, 80.8 percent, 64.20 EUR, the month, the day
CLDR = {
    "de": ("1.234.567,5", f"80,8{NB}%", f"64,20{NB}€", "Oktober 2026", "31. Oktober 2026"),
    "es": ("1.234.567,5", f"80,8{NB}%", f"64,20{NB}€", "octubre de 2026", "31 de octubre de 2026"),
    "fr": (f"1{NARROW}234{NARROW}567,5", f"80,8{NB}%", f"64,20{NB}€", "octobre 2026", "31 octobre 2026"),
    "pt_BR": ("1.234.567,5", "80,8%", f"€{NB}64,20", "outubro de 2026", "31 de outubro de 2026"),
    "pt-PT": (f"1{NB}234{NB}567,5", "80,8%", f"64,20{NB}€", "outubro de 2026", "31 de outubro de 2026"),
    "sv": (f"1{NB}234{NB}567,5", f"80,8{NB}%", f"64,20{NB}€", "oktober 2026", "31 oktober 2026"),
    "tr": ("1.234.567,5", "%80,8", "€64,20", "Ekim 2026", "31 Ekim 2026"),
    "ja": ("1,234,567.5", "80.8%", "€64.20", "2026/10", "2026/10/31"),  # charts lack the letters of 2026年10月
    "en": ("1,234,567.5", "80.8 %", "€64.20", "October 2026", "31 October 2026"),
    "en_GB": ("1,234,567.5", "80.8 %", "€64.20", "October 2026", "31 October 2026"),
    "en-US": ("1,234,567.5", "80.8 %", "€64.20", "October 2026", "October 31, 2026"),
    "en_IN": ("12,34,567.5", "80.8 %", "€64.20", "October 2026", "31 October 2026"),
}


@pytest.mark.parametrize("locale", CLDR)
def test_each_locale_writes_as_cldr_says(locale: str) -> None:
    form = Format("EUR", locale)
    found = (
        form.number(1234567.5, 1), form.value(0.808, "percent"), form.value(64.2, "money"), form.month(DAY),
        form.day(DAY),
    )  # fmt: skip
    assert found == CLDR[locale]


@pytest.mark.parametrize(
    ("currency", "locale", "expected"),
    [
        ("BRL", "pt-BR", f"R${NB}64,20"), ("BRL", "en", "R$ 64.20"), ("JPY", "ja", "¥64"), ("JPY", "en", "¥64"),
        ("JPY", "de", f"64{NB}¥"), ("USD", "en-US", "$64.20"), ("USD", "es", f"64,20{NB}US$"),
        ("CHF", "de_CH", f"CHF{NB}64.20"), ("SEK", "sv", f"64,20{NB}kr"), ("GBP", "en-GB", "£64.20"),
    ],
)  # fmt: skip
def test_amounts(currency: str, locale: str, expected: str) -> None:
    assert Format(currency, locale).value(64.2, "money") == expected


def test_intervals_and_large_amounts_carry_their_signs_once_or_where_they_belong() -> None:
    spanish = Format("EUR", "es")
    assert spanish.interval(0.781, 0.833, "percent") == f"78,1 to 83,3{NB}%"
    assert spanish.interval(0.049, 0.051, "per_month") == f"4,9 to 5,1{NB}% a month"
    assert spanish.interval(-0.036, 0.012, "percent", change=True) == "−3,6 to +1,2 pp"
    assert spanish.interval(61.1, 67.3, "money") == f"61,10{NB}€ to 67,30{NB}€"
    assert spanish.value(-1.234e7, "money") == f"−12,34 million{NB}€"
    assert Format("EUR", "tr").interval(0.781, 0.833, "percent") == "%78,1 to %83,3"
    assert spanish.short(0.05, "per_month") == f"5,0{NB}%"


def test_periods_take_the_months_of_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "_locale", "en")
    month, quarter = Period.parse("2026-10"), Period.parse("2026-Q4")
    assert (month.title, month.short) == ("October 2026", "Oct")
    periods.name_months("de")
    assert (month.title, month.short) == ("Oktober 2026", "Okt")
    assert (quarter.title, quarter.short) == ("Q4 2026", "Q4")
    periods.name_months("ja")
    assert (month.title, month.short) == ("2026/10", "10")
    assert (str(month), month.label) == ("2026-10", "2026-10")  # names of files and rows follow nothing


def test_what_cldr_does_not_know_is_english() -> None:
    assert known_locale("klingon") is None
    assert known_locale("") is None
    assert month_title(DAY, "klingon") == "October 2026"
    assert day_title(DAY, "klingon") == "31 October 2026"


@pytest.mark.parametrize(("value", "expected"), [(0.0, "0.0"), (999.0, "999.0"), (12345678.0, "1,23,45,678.0")])
def test_groups_of_other_sizes(value: float, expected: str) -> None:
    assert Style(groups=(3, 2)).digits(value, 1) == expected
