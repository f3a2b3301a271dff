"""Going through a long page: anchors, the table of contents, charts that scroll."""

from __future__ import annotations

import re

from cxlib.reports import outline


def test_every_heading_gets_an_anchor_of_its_own() -> None:
    body = '<h1>Title</h1><h2>Où & <em>why</em>?</h2><h2 class="x">Ou why</h2><h3 id="kept">Mine</h3><h2>日本</h2>'
    html, entries = outline.headed(body)
    assert entries == [
        (2, "ou-why", "Où & why?"), (2, "ou-why-2", "Ou why"), (3, "kept", "Mine"), (2, "section", "日本"),
    ]  # fmt: skip
    assert '<h2 class="x" id="ou-why-2">Ou why <a class="anchor" href="#ou-why-2"' in html
    assert len(set(re.findall(r' id="([^"]*)"', html))) == 4
    assert "<h1>Title</h1>" in html


def test_an_id_that_stands_elsewhere_is_not_taken_again() -> None:
    _, entries = outline.headed('<figure id="parts"></figure><h2>Parts</h2>')
    assert entries[0].anchor == "parts-2"


def test_contents_are_for_pages_that_need_them() -> None:
    few = [outline.Entry(2, "a", "A"), outline.Entry(3, "c", "C")]
    assert outline.contents(few) == ""
    told = outline.contents([*few, outline.Entry(2, "d", "D & E")])
    assert re.findall(r'href="#(\w)"', told) == ["a", "d"]
    assert "D &amp; E" in told
    assert 'aria-label="On this page"' in told


def test_charts_scroll_in_boxes_that_the_keyboard_reaches() -> None:
    chart = '<figure class="cx-figure" id="a"><img alt="x" src="data:,"><figcaption>y</figcaption></figure>'
    roomy = outline.roomy(chart)
    assert re.search(
        r'<div class="cx-scroll cx-chart"[^>]* tabindex="0"><img alt="x" src="data:,"></div><figcaption>', roomy
    )
    table = '<figure><figcaption>t</figcaption><table><tr><td><img alt="s"></td></tr></table></figure>'
    assert outline.roomy(table) == table
