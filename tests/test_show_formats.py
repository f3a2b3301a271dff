"""Numbers as people read them. The rules are the project's own; cases are worked by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import periods
from cxlib.errors import UsageError
from cxlib.periods import Period
from cxlib.show import formats
from cxlib.show.formats import Format, headed
from tests.show_frames import METRICS, metric

UNITS = ["points", "percent", "score", "seconds", "days", "money", "count", "per_month", "per_1000_months"]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (31.4, "points", "+31.4"),
        (-12.25, "points", "−12.2"),
        (0.0, "points", "0.0"),
        (-0.04, "points", "0.0"),
        (0.808, "percent", "80.8 %"),
        (4.0849, "score", "4.08"),
        (200, "seconds", "3 min 20 s"),
        (45, "seconds", "45 s"),
        (0, "seconds", "0 s"),
        (4.5, "seconds", "4.5 s"),
        (59.7, "seconds", "1 min"),
        (3599.7, "seconds", "1 h"),
        (7500, "seconds", "2 h 5 min"),
        (273_600, "seconds", "3 days 4 h"),
        (3.2, "days", "3.2 days"),
        (64.2, "money", "€64.20"),
        (-64.2, "money", "−€64.20"),
        (12_345.6, "money", "€12,346"),
        (1.234e7, "money", "€12.34 million"),
        (5.6e9, "money", "€5.60 billion"),
        (0.05, "per_month", "5.0 % a month"),
        (12.3, "per_1000_months", "12.3 per 1,000 customer-months"),
        (1234.0, "count", "1,234.0"),
        (316.81, "count", "316.8"),
        (1.0, "count", "1.00"),
        (1.42, "count", "1.42"),
        (math.nan, "percent", "not available"),
        (None, "points", "not available"),
        (math.inf, "score", "∞"),
    ],
)
def test_values(value: float, unit: str, expected: str) -> None:
    assert Format().value(value, unit) == expected


def test_currencies_and_locales() -> None:
    assert Format("BRL").value(64.2, "money") == "R$ 64.20"
    assert Format("CHF").value(64.2, "money") == "CHF 64.20"
    assert Format(locale="de-DE").value(1234.5, "money") == "1.234,50\u00a0€"
    assert Format(locale="es").value(0.8083, "percent") == "80,8\u00a0%"
    assert Format(locale="fr_FR").count(1234567) == "1\u202f234\u202f567"
    assert Format(locale="xx").count(1234567) == "1,234,567"


def test_a_workspace_sets_how_numbers_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_house", Format())
    monkeypatch.setattr(periods, "_locale", "en")
    formats.use("BRL", "pt")
    assert Period.parse("2026-10").title == "outubro de 2026"
    assert formats.formatting() == Format("BRL", "pt")
    assert formats.formatting("USD") == Format("USD", "pt")
    assert formats.formatting(locale="en").value(1234.5, "money") == "R$ 1,234.50"


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        (0.781, 0.833, "percent", "78.1 to 83.3 %"),
        (-3.1, 4.0, "points", "−3.1 to +4.0"),
        (61.1, 67.3, "money", "€61.10 to €67.30"),
        (45, 65, "seconds", "45 s to 1 min 5 s"),
        (0.049, 0.051, "per_month", "4.9 to 5.1 % a month"),
        (1.0, 1.26, "count", "1.00 to 1.26"),
        (math.nan, 1.0, "score", "no interval"),
        (None, None, "score", "no interval"),
    ],
)
def test_intervals(low: float, high: float, unit: str, expected: str) -> None:
    assert Format().interval(low, high, unit) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (2.1, "points", "+2.1 points"),
        (-0.0123, "percent", "−1.2 pp"),
        (0.12, "score", "+0.12"),
        (65, "seconds", "+1 min 5 s"),
        (-1.2, "money", "−€1.20"),
        (0.003, "per_month", "+0.3 pp a month"),
        (1.2, "per_1000_months", "+1.2 per 1,000 customer-months"),
        (math.nan, "percent", "not available"),
    ],
)
def test_changes(value: float, unit: str, expected: str) -> None:
    assert Format().change(value, unit) == expected


def test_interval_of_a_change_carries_signs_and_the_unit_of_a_difference() -> None:
    assert Format().interval(-0.036, 0.012, "percent", change=True) == "−3.6 to +1.2 pp"


@given(
    value=st.floats(allow_nan=True, allow_infinity=True),
    unit=st.sampled_from(UNITS),
    locale=st.sampled_from(["en", "de"]),
)
def test_no_number_breaks_a_page(value: float, unit: str, locale: str) -> None:
    for words in (Format(locale=locale).value(value, unit), Format(locale=locale).change(value, unit)):
        assert words
        assert "nan" not in words
        assert "inf" not in words


@given(value=st.floats(min_value=0, max_value=1e6))
def test_sign_flips_and_nothing_else(value: float) -> None:
    up, down = Format().change(value, "score"), Format().change(-value, "score")
    assert up.lstrip("+") == down.lstrip("−")


def test_axis_brings_values_to_readable_units() -> None:
    form = Format("USD")
    assert form.axis("seconds", 90) == ("seconds", 1.0)
    assert form.axis("seconds", 600) == ("minutes", 1 / 60)
    assert form.axis("seconds", 90_000) == ("hours", 1 / 3600)
    assert form.axis("percent", 0.8) == ("percent", 100.0)
    assert form.axis("money", 3e6) == ("million USD", 1e-6)
    assert all(form.axis(unit, 1.0)[0] for unit in UNITS)


def test_a_metric_without_definition_is_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'nps'"):
        formats.metric_of(METRICS, "npss")


def test_words_for_every_status() -> None:
    said = {status: formats.missing_words({"status": status, "estimate": math.nan}) for status in formats.STATUS_WORDS}
    assert said == {
        "suppressed": "hidden: small group",
        "too_few": "too few to say",
        "undefined": "not available",
    }
    assert formats.missing_words(None) == "no figures"
    assert formats.missing_words({"status": "ok", "estimate": 1.0}) == ""


def test_a_heading_says_the_long_part_of_a_unit_once() -> None:
    assert headed(metric("churn")) == "Churn on customer-time (a month)"
    assert headed(metric("churn", title="Churn per customer-month")) == "Churn per customer-month"
    assert headed(metric("complaint_rate")) == "Complaints (per 1,000 customer-months)"
    assert headed(metric("complaint_rate", title="Complaints per 1,000 customer-months")).count("months") == 1
    assert headed(metric("nps")) == "Net Promoter Score"
