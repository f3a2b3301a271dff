"""What makes a long page easy to go through: anchors on its headings, a table of contents, charts that scroll."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html import escape, unescape
from typing import NamedTuple

FEWEST = 2  # headings that deserve a table of contents
_HEADING = re.compile(r"<h([23])\b([^>]*)>(.*?)</h\1>", re.DOTALL)
_ID, _TAG = re.compile(r'\bid="([^"]*)"'), re.compile(r"<[^>]*>")
_CHART = re.compile(r"(<figure\b[^>]*>\s*)(<img\b[^>]*>)")


class Entry(NamedTuple):
    """A heading of a page: its level (2 or 3), its id, its words as plain text."""

    level: int
    anchor: str
    words: str


def plain(html: str) -> str:
    """Return the words of some HTML, on one line."""
    return " ".join(unescape(_TAG.sub("", html)).split())


def slug(words: str) -> str:
    """Return words as an id that can be typed: letters and digits without accents, parted by hyphens."""
    letters = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-") or "section"


def headed(body: str) -> tuple[str, list[Entry]]:
    """Return a page's content with an id on every heading and a link on those of sections, and the headings.

    Ids that stand already are kept; no two headings get the same.
    """
    entries: list[Entry] = []
    taken = set(_ID.findall(body))

    def anchored(found: re.Match[str]) -> str:
        level, attributes, inner = found.groups()
        own, words = _ID.search(attributes), plain(inner)
        anchor = own[1] if own else _free(slug(words), taken)
        taken.add(anchor)
        entries.append(Entry(int(level), anchor, words))
        named = attributes if own else f'{attributes} id="{escape(anchor)}"'
        link = f' <a class="anchor" href="#{escape(anchor)}" aria-label="Link to this section">#</a>'
        return f"<h{level}{named}>{inner}{link if level == '2' else ''}</h{level}>"

    return _HEADING.sub(anchored, body), entries


def _free(anchor: str, taken: set[str]) -> str:
    """Return an id that is not taken yet."""
    number, found = 2, anchor
    while found in taken:
        number, found = number + 1, f"{anchor}-{number}"
    return found


def contents(entries: Sequence[Entry]) -> str:
    """Return the table of contents of a page, its headings of the second level; nothing where they are few."""
    shown = [one for one in entries if one.level == 2]
    if len(shown) < FEWEST:
        return ""
    items = "".join(f'<li><a href="#{escape(one.anchor)}">{escape(one.words)}</a></li>' for one in shown)
    return folded("contents", "On this page", f"<ul>{items}</ul>")


def folded(kind: str, title: str, inner: str) -> str:
    """Return a navigation that is folded where there is little room, and open where there is much."""
    fold = f'<details class="fold"><summary>{escape(title)}</summary>{inner}</details>'
    return f'<nav class="{kind}" aria-label="{escape(title)}">{fold}</nav>'


def roomy(body: str) -> str:
    """Return a page's content with every chart in a box that scrolls sideways where it would become too small."""
    return _CHART.sub(r'\1<div class="cx-scroll cx-chart" role="group" aria-label="Chart" tabindex="0">\2</div>', body)
