"""The search of the catalogue: what it finds, what it marks, and what it says where there is nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cxlib.reports import finder, outline
from cxlib.reports.places import Standing


def report(period: str = "2026-10", **changed: Any) -> Standing:
    content = {
        "title": "Monthly report", "audience": "Leadership", "period_title": "October 2026",
        "pages": {"01_scorecard": "The scorecard", "02_why": "Why it moved"},
        "headline": ["Net Promoter Score rose 4.0 points.", "Zufriedenheit in Köln fell."],
        "glance": {"metrics": {"Median wait before help": "Head of Support"}},
    } | changed  # fmt: skip
    return Standing("monthly", period, Path(), content)


def test_every_word_has_to_be_there_wherever() -> None:
    reports = [report(), report("2026-09", period_title="September 2026", headline=["Nothing moved."])]

    def periods(query: str) -> list[str]:
        return [one.period for one, _ in finder.found(reports, finder.words_of(query))]

    assert periods("scorecard") == ["2026-10", "2026-09"]
    assert periods("KOLN scorecard") == ["2026-10"]
    assert periods("september support") == ["2026-09"]  # a title, and the owner of a metric
    assert periods("2026-09") == ["2026-09"]
    assert periods("leadership moved rose") == ["2026-10"]
    assert periods("köln september") == []


def test_lines_lead_to_their_pages_with_the_words_marked() -> None:
    html = finder.results([report()], "moved why", finder.words_of("moved why"))
    assert '<a href="/reports/monthly/2026-10/02_why.html"><mark>Why</mark> it <mark>moved</mark></a>' in html
    assert "1 report found for “moved why”." in html


def test_where_nothing_is_found_it_says_what_can_be() -> None:
    html = finder.results([report()], "<zebra>", finder.words_of("<zebra>"))
    assert "Nothing found for “&lt;zebra&gt;”." in html
    assert "“The scorecard”; “Median wait before help”; “2026-10”" in html


def test_a_query_is_cut_where_it_becomes_unreasonable() -> None:
    assert len(finder.words_of(" ".join(f"w{n}" for n in range(500)))) <= 12
    assert finder.words_of("a" * 10_000) == ["a" * finder.LONGEST]
    assert finder.words_of(" \t\n") == []


def test_old_manifests_without_a_glance_are_found_too() -> None:
    one = report()
    del one.manifest["glance"], one.manifest["headline"]
    assert finder.found([one], ["scorecard"])


@given(st.text(max_size=60), st.text(max_size=30))
def test_marking_changes_no_letter(text: str, query: str) -> None:
    words = finder.words_of(query)
    if words:
        html = finder.marked(text, words)
        assert outline.plain(html) == " ".join(text.split())
        assert re.sub(r"</?mark>", "", html).count("<") == 0
