"""What a page is made of: cleaned outputs, the way between pages and apps, and the boxes that a run shows."""

from __future__ import annotations

import nbformat
import pandas as pd
import pytest

from cxlib.reports import boxes, page
from tests.conftest import ROOT
from tests.show_frames import METRICS

SHELL = page.Shell("Toy & Söhne", "Toy report", "October 2026")


def test_cleaning_keeps_what_reads_and_drops_what_acts() -> None:
    kept = '<div class="cx-scroll" role="region" aria-label="T" tabindex="0"><table><caption>C</caption></table></div>'
    for part in ("tabindex", 'role="region"', 'aria-label="T"', "<caption>C</caption>"):
        assert part in page.clean(kept)
    evil = '<p onclick="x()">a</p><script>y()</script><form action="/"><input></form><a href="javascript:z()">b</a>'
    assert page.clean(evil) == "<p>a</p><a>b</a>"


@pytest.mark.parametrize(
    "style",
    [
        "background:url(https://evil.example/a)", "color: red; background: URL ('//evil.example')",
        "background:u\\72l(https://evil.example)", "background:&#117;rl(https://evil.example)",
        "background:image-set('https://evil.example/a' 1x)", "list-style: src('https://evil.example')",
    ],
)  # fmt: skip
def test_a_style_that_loads_something_goes(style: str) -> None:
    assert page.clean(f'<p style="{style}" title="t">a</p>') == '<p title="t">a</p>'
    assert page.clean('<p style="color: red">image (a) of url</p>') == '<p style="color: red">image (a) of url</p>'


def test_papermills_notes_stay_out_of_the_page() -> None:
    """The page has its own banner; papermill's points to cell numbers that the page does not show."""
    note = nbformat.v4.new_markdown_cell(
        "An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]}
    )
    book = nbformat.v4.new_notebook(cells=[note, nbformat.v4.new_markdown_cell("# Title")])
    body = page.notebook_body(book)
    assert "Title" in body
    assert "Exception" not in body


def shown(html: str, *tags: str) -> dict:
    """Return a code cell whose output is some HTML."""
    output = nbformat.v4.new_output("display_data", {"text/html": html})
    return nbformat.v4.new_code_cell("", outputs=[output], metadata={"tags": list(tags)})


def test_what_was_found_opens_the_page() -> None:
    picture = '<img alt="Long words" src="data:," data-finding="It rose &amp; rose">'
    chart = f"<figure>{picture}<figcaption>x</figcaption></figure>"
    table = "<figure><figcaption>Nothing &lt;else&gt; moved</figcaption><table></table></figure>"
    cells = [nbformat.v4.new_markdown_cell("# Title\n\nThe question?"), shown(table, "finding"), shown(chart, "lead")]
    book = nbformat.v4.new_notebook(cells=[*cells, shown(table, "finding"), shown("<p>no title</p>", "finding")])
    assert page.findings(book) == ["It rose & rose.", "Nothing <else> moved."]
    warned = shown(table.replace("<table>", '<p class="warning">Look</p><table>'), "finding")
    assert page.findings(nbformat.v4.new_notebook(cells=[*cells, warned]))[0] == "Nothing <else> moved."
    body = page.notebook_body(book)
    lead = '<p class="lead">It rose &amp; rose.</p><ul class="findings"><li>Nothing &lt;else&gt; moved.</li></ul>'
    assert body.index("</h1>") < body.index(lead) < body.index("The question?")
    assert "data-finding" not in body
    assert page.findings(nbformat.v4.new_notebook(cells=[cells[0], shown(chart)])) == []


@pytest.mark.parametrize("folder", ["monthly", "experiments"])
def test_every_notebook_of_a_pack_names_what_opens_its_page(folder: str) -> None:
    for path in sorted((ROOT / "notebooks" / folder).glob("*.ipynb")):
        book = nbformat.read(path, 4)
        tagged = [cell for cell in book.cells if page.LEAD in cell.metadata.get("tags", ())]
        assert [cell.cell_type for cell in tagged] == ["code"], path.name
        told = [cell for cell in book.cells if page.METHOD in cell.metadata.get("tags", ())]
        assert {cell.cell_type for cell in told} <= {"markdown"}, path.name


def test_method_is_folded_beneath_its_heading() -> None:
    prose = "## What moved it\n\nThe change in **two parts**.\n\n- mix\n- rate"
    method = nbformat.v4.new_markdown_cell(prose, metadata={"tags": ["method"]})
    body = page.notebook_body(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), method]))
    heading, fold, told, end = (
        body.index(part)
        for part in ("<h2>What moved it", '<details class="method">', "<strong>two parts", "</details>")
    )
    assert heading < fold < told < body.index("<li>rate</li>") < end
    assert method.source == prose


def test_a_page_leads_to_those_beside_it() -> None:
    pages = {"index.html": "Overview", "a.html": "A & B", "c.html": "C"}
    shell = page.Shell("Toy", "Pack", "October 2026", pages, "Snapshot 1")
    first, middle = (page.page("T", "<h1>T</h1>", shell, current=name) for name in ("index.html", "a.html"))
    assert '<a rel="next" href="a.html">A &amp; B →</a>' in first
    assert 'rel="prev"' not in first
    assert '<a rel="prev" href="index.html">← Overview</a> <a rel="next" href="c.html">C →</a>' in middle
    assert "<nav" not in page.page("T", "", page.Shell("Toy", "", ""))


def test_only_the_server_links_what_may_not_stand() -> None:
    published = page.page("T", "", SHELL)
    assert 'href="/' not in published
    served = page.with_explore(
        published, "/explore/p/2026-10/a", older=page.Link("/reports/p/2026-09/a.html", "September")
    )
    assert '<a href="/explore/p/2026-10/a">Explore this page</a>' in served
    assert '<a rel="prev" href="/reports/p/2026-09/a.html">← September</a>' in served
    assert '<a rel="next"' not in served


def test_every_printed_sheet_says_where_its_numbers_come_from() -> None:
    shell = page.Shell('A"}</style><b>', "Pack", "October 2026", provenance="Snapshot 1")
    printed = page._printed(shell)
    assert "Pack · October 2026 · Snapshot 1" in printed
    assert not set('<>"') & set(printed.partition('"')[2].rpartition('"')[0])


def test_pages_that_belong_to_no_report_share_the_shell() -> None:
    html = page.plain("Sign in", "<p>x</p>", "Toy & Söhne", forms=True)
    assert "<h1>Sign in</h1>" in html
    assert "form-action 'self'" in html
    assert "form-action 'none'" in page.plain("No", "", "Toy")
    assert html.count("<h1>") == page.plain("T", "<h1>T</h1>", "Toy").count("<h1>") == 1


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
