"""The home page over any reports: what stands in it, what it warns of, and that hundreds of reports stay quick."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cxlib.periods import Period
from cxlib.reports import catalogue, page
from cxlib.reports.places import Standing

NOW = datetime(2026, 11, 22, 15, 0)


def report(period: str, pack: str = "monthly", verdict: str = "○", **changed: Any) -> Standing:
    """Return a published report as its manifest tells of it."""
    before = Period.parse(period).previous() if period[:1].isdigit() else ""
    words = {"▲": ["▲", "up, better", "better"], "▼": ["▼", "down, worse", "worse"]}
    told = words.get(verdict, ["○", "no change shown", "flat"])
    content = {
        "title": "Monthly & more", "audience": "Leadership", "period": period,
        "period_title": Period.parse(period).title if before else period, "started_at": "2026-11-20T09:00:00+00:00",
        "snapshot": {"id": "0001-abc"}, "pages": {"01_first": "First", "02_second": "Second"},
        "headline": ["NPS rose 4.0 points since before.", "Most of the change: faster delivery."],
        "glance": {
            "verdicts": {str(before): {"better": 2, "worse": 0, "moved": 0, "flat": 3, "few": 17}},
            "lead": {"title": "NPS", "verdicts": {str(before): told}},
            "metrics": {"NPS": "Insight"}, "data_until": "2026-10-31T22:54", "closed": "2026-10",
        },
    }  # fmt: skip
    return Standing(pack, period, Path(), content | changed)


def months(*periods: str) -> list[Standing]:
    return [report(period) for period in sorted(periods, reverse=True)]


def body(html: str) -> str:
    return html.partition("<main")[2]


def test_the_newest_report_is_told_at_a_glance() -> None:
    html = body(catalogue.home(months("2026-10", "2026-09"), "Toy & Söhne", now=NOW))
    assert html.index("Monthly &amp; more") < html.index("October 2026") < html.index("NPS rose 4.0 points")
    assert "Most of the change: faster delivery." in html
    assert re.search(r'<th scope="row">better</th><td class="cx-num"><span class="cx-better">2</span>', html)
    assert '<th scope="row">worse</th>' not in html  # nothing is
    assert "Data until 31 October 2026 (22 days ago) · made 20 November 2026 (2 days ago) · snapshot 0001-abc" in html
    assert '<a href="/reports/monthly/2026-10/01_first.html">First</a>' in html
    assert 'class="warning"' not in html


def test_a_line_a_year_with_the_verdict_in_shape_and_words() -> None:
    standing = [report("2026-03", verdict="▼"), report("2026-01"), report("2025-12", verdict="▲")]
    html = body(catalogue.home(standing, "Toy"))
    assert re.findall(r"<dt>(\d+)</dt>", html) == ["2026", "2025"]
    assert re.search(r"<b>Mar</b> <span class=\"cx-worse\">▼</span></span>", html)
    assert "March 2026: NPS, down, worse since February 2026" in html
    assert "February 2026: no report" in html
    assert "blue better, orange worse" in html
    assert html.count('class="before"') == 11  # December stands where December stands


def test_what_the_year_shows_is_told_where_the_month_shows_nothing() -> None:
    lead = {"title": "NPS", "verdicts": {"2026-09": ["◇", "too few", "flat"], "2025-10": ["▼", "down, worse", "worse"]}}
    told = catalogue._verdict(Period.parse("2026-10"), lead)
    assert told == (": NPS, down, worse since October 2025", "▼", "worse")
    assert catalogue._verdict(Period.parse("2026-10"), {}) == ("", "", "flat")


@pytest.mark.parametrize(
    ("newest", "told"),
    [
        ("2026-10", ""),
        ("2026-09", "The data hold October 2026 whole; the newest report is of September 2026."),
        ("2026-01", "Not made since January 2026."),
        ("2026-11", ""),  # of a month that is not over
        ("2026-Q2", ""),  # another kind than the data were closed for
    ],
)
def test_what_is_missing_is_told_by_the_data_and_never_by_the_clock(newest: str, told: str) -> None:
    html = body(catalogue.home(months(newest), "Toy", now=datetime(2031, 1, 1)))
    warned = re.findall(r"The data hold[^<]*|Not made since[^<]*", html)
    assert warned == ([told] if told else [])
    assert ('class="warning"' in html) == told.startswith("The data")


def test_the_data_are_those_that_any_pack_was_made_from() -> None:
    glance = {"glance": {"closed": "2026-09"}}
    late, newer = report("2026-09", "brief", **glance), report("2026-10")
    assert "The data hold October 2026 whole" in catalogue.home([late, newer], "Toy")
    assert "The data hold" not in catalogue.home([late], "Toy")


def test_packs_about_experiments_are_lists() -> None:
    trials = [report(name, "readout", period_title=name.title(), glance={}) for name in ("gate", "offer")]
    html = body(catalogue.home([*trials, report("2026-10", "standard")], "Toy", now=NOW))
    assert html.index("October 2026") < html.index("Gate")  # what comes every month comes first
    assert '<a href="/reports/readout/gate/index.html">Gate</a></h3>' in html
    assert '<a href="/reports/readout/offer/index.html">Offer</a>' in html
    assert "All periods" not in html


def test_manifests_of_earlier_versions_are_shown_with_what_they_have() -> None:
    old = report("2026-10")
    for key in ("glance", "headline"):
        del old.manifest[key]
    html = body(catalogue.home([old, report("2026-09")], "Toy", now=NOW))
    assert "October 2026" in html
    assert "Made 20 November 2026" in html


def test_without_reports_it_says_what_to_do() -> None:
    html = catalogue.home([], "Toy & Söhne")
    assert "cx run monthly" in html
    assert "Toy &amp; Söhne" in html
    assert "<form" not in html


def test_what_reports_say_is_escaped() -> None:
    evil = {
        "title": "<script>x</script>", "audience": "<b>", "period_title": "<i>", "pages": {"a": "<u>"},
        "snapshot": {"id": "<s>"}, "headline": ["NPS: <em>27</em>.", "<q>"],
        "glance": {"verdicts": {"<p1>": {"few": 1}}, "lead": {"title": "<p2>"}, "metrics": {"<p3>": "<p4>"}},
    }  # fmt: skip
    standing = [report("2026-10", **evil), report("2026-09", **evil)]
    for query in ("", "<em> 27", '"><p5>'):
        html = body(catalogue.home(standing, "x", query=query))
        assert not re.search(
            r"<(script|b|i|u|s|em|q|p\d)>", html.replace("<b>Oct</b>", "").replace("<b>Sep</b>", "")
        ), query


def test_a_search_may_send_its_form_and_nothing_else_may() -> None:
    html = catalogue.home(months("2026-10"), "Toy", query="first <x>")
    assert page.FORM_POLICY in html
    assert 'value="first &lt;x&gt;"' in html
    assert '<label for="q">Search</label>' in html


def test_a_report_leads_to_the_ones_before_and_after_that_stand() -> None:
    standing = [*months("2026-10", "2026-08", "2025-07"), report("2026-W40"), report("gate", "monthly")]
    found = catalogue.beside(standing, "monthly", "2026-08", "01_first")
    assert found == {
        "older": page.Link("/reports/monthly/2025-07/01_first.html", "July 2025"),
        "newer": page.Link("/reports/monthly/2026-10/01_first.html", "October 2026"),
    }
    assert list(catalogue.beside(standing, "monthly", "2026-10")) == ["older"]
    assert catalogue.beside(standing, "monthly", "2026-08", "09_later") == {}
    assert catalogue.beside(standing, "monthly", "gate") == catalogue.beside(standing, "other", "2026-08") == {}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 429, 500, 503, 418])
def test_every_refusal_has_a_page_that_helps(status: int) -> None:
    html = catalogue.sorry("Toy", status)
    assert html.count("<h1>") == 1
    assert '<a href="/">All reports</a>' in html
    assert "as many" not in catalogue.sorry("Toy", status, told="<only this>").lower()
    assert "&lt;only this&gt;" in catalogue.sorry("Toy", status, told="<only this>")


def test_three_hundred_reports_are_quick() -> None:
    periods = Period.range("2002-01", "2026-12")
    standing = [report(str(period)) for period in reversed(periods)]
    started = time.perf_counter()
    html = catalogue.home(standing, "Toy", now=NOW)
    found = catalogue.home(standing, "Toy", query="nps faster insight", now=NOW)
    assert time.perf_counter() - started < 1.0  # takes 0.03 s for both on one core; a busy machine may take longer
    assert html.count("/index.html") == len(periods) + 1
    assert "300 reports found" in found
