"""What a page is made of: cleaned outputs, the way between pages and apps, and the boxes that a run shows."""

from __future__ import annotations

import nbformat
import pandas as pd

from cxlib.reports import boxes, page
from tests.show_frames import METRICS

SHELL = page.Shell("Toy & Söhne", "Toy report", "October 2026")


def test_cleaning_keeps_what_reads_and_drops_what_acts() -> None:
    kept = '<div class="cx-scroll" role="region" aria-label="T" tabindex="0"><table><caption>C</caption></table></div>'
    for part in ("tabindex", 'role="region"', 'aria-label="T"', "<caption>C</caption>"):
        assert part in page.clean(kept)
    evil = '<p onclick="x()">a</p><script>y()</script><form action="/"><input></form><a href="javascript:z()">b</a>'
    assert page.clean(evil) == "<p>a</p><a>b</a>"


def test_papermills_notes_stay_out_of_the_page() -> None:
    """The page has its own banner; papermill's points to cell numbers that the page does not show."""
    note = nbformat.v4.new_markdown_cell(
        "An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]}
    )
    book = nbformat.v4.new_notebook(cells=[note, nbformat.v4.new_markdown_cell("# Title")])
    body = page.notebook_body(book)
    assert "Title" in body
    assert "Exception" not in body


def test_an_app_opens_with_our_style_and_the_way_back() -> None:
    html = page.around_app('<html><head></head><body class="x" data-voila="y"><p>app</p>', SHELL, "/reports/a/b/c.html")
    assert html.startswith('<html><head></head><body class="x" data-voila="y">\n<style>')
    assert html.endswith("</header><p>app</p>")
    assert '<a href="/reports/a/b/c.html">Published page</a>' in html
    assert "Toy &amp; Söhne · Toy report · October 2026" in html


def test_checks_that_need_a_look_are_told_in_words() -> None:
    lines = [
        ("rows", "nps", "0", "at least 1", "look"), ("rows", "aov", "0", "at least 1", "look"),
        ("freshness", "orders", "<old>", "45 days", "look"), ("missing", "nps", "0.0%", "at most 20%", "ok"),
    ]  # fmt: skip
    frame = pd.DataFrame(lines, columns=["check", "what", "found", "limit", "state"])
    html = boxes.checks_html(frame, METRICS)
    assert "1 of 4 checks passed. Please look at the others." in html
    assert "Rows: 0 (at least 1). Net Promoter Score and Average order value." in html
    assert "Freshness: &lt;old&gt; (45 days). orders." in html
    fine = boxes.checks_html(frame.assign(state="ok"), METRICS)
    assert "4 of 4 checks passed." in fine
    assert "warning" not in fine
