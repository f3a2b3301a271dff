"""Search over the published reports, by their manifests: which hold all the words, and where."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from cxlib.reports import places

LONGEST = 200  # letters of a query
_MOST_WORDS, _MOST, _LINES = 12, 40, 6  # words of a query, reports shown, lines shown of each


class Line(NamedTuple):
    """A text of a report that can be found: what kind, its words, the page it leads to ('' for the first)."""

    kind: str
    words: str
    page: str = ""


def folded(text: str) -> str:
    """Return a text for comparing: small letters without accents, as many as it has."""
    return "".join(unicodedata.normalize("NFKD", letter)[0].lower()[:1] for letter in text)


def words_of(query: str) -> list[str]:
    """Return the different words of a query, for comparing; the first dozen."""
    return list(dict.fromkeys(folded(query[:LONGEST]).split()))[:_MOST_WORDS]


def lines(one: places.Standing) -> Iterator[Line]:
    """Return all that can be found of a report."""
    content = one.manifest
    yield Line("Report", f"{content['title']}, {content['period_title']}")
    yield Line("Period", one.period)
    yield Line("For", content["audience"])
    yield from (Line("Page", title, name) for name, title in content["pages"].items())
    yield from (Line("Headline", sentence) for sentence in content.get("headline", ()))
    for title, owner in content.get("glance", {}).get("metrics", {}).items():
        yield Line("Metric", f"{title} (owner: {owner})" if owner else title)


def found(standing: Sequence[places.Standing], words: Sequence[str]) -> list[tuple[places.Standing, list[Line]]]:
    """Return the reports that hold every word, each with the lines that hold one; the best line first."""
    hits = []
    for one in standing:
        held = [(line, {word for word in words if word in folded(line.words)}) for line in lines(one)]
        if set().union(*(has for _, has in held)) == set(words):
            ranked = sorted((pair for pair in held if pair[1]), key=lambda pair: -len(pair[1]))
            hits.append((one, [line for line, _ in ranked]))
    return hits


def marked(text: str, words: Sequence[str]) -> str:
    """Return a text as HTML with every found word marked."""
    spans = [match.span() for match in re.finditer("|".join(map(re.escape, _longest(words))), folded(text))]
    done, out = 0, []
    for start, end in spans:
        out += [escape(text[done:start]), f"<mark>{escape(text[start:end])}</mark>"]
        done = end
    return "".join([*out, escape(text[done:])])


def _longest(words: Sequence[str]) -> list[str]:
    return sorted(words, key=len, reverse=True)


def results(standing: Sequence[places.Standing], query: str, words: Sequence[str]) -> str:
    """Return what a search found, as HTML; where nothing, what can be found."""
    hits, asked = found(standing, words), escape(" ".join(query[:LONGEST].split()))
    back = '<p><a href="/">All reports</a></p>'
    if not hits:
        return f'<p role="status">Nothing found for “{asked}”.</p>{_help(standing[0])}{back}'
    size = f"{len(hits)} report{'s' * (len(hits) != 1)}"
    more = f", the first {_MOST} shown" if len(hits) > _MOST else ""
    items = "".join(_hit(one, held, words) for one, held in hits[:_MOST])
    return f'<p role="status">{size} found for “{asked}”{more}.</p><ul class="pages">{items}</ul>{back}'


def _hit(one: places.Standing, held: Sequence[Line], words: Sequence[str]) -> str:
    """Return one report that was found, with the lines that hold the words."""
    base = f"/reports/{one.pack}/{one.period}"
    title = marked(f"{one.manifest['title']}, {one.manifest['period_title']}", words)
    told = []
    for line in [line for line in held if line.kind not in ("Report", "Period")][:_LINES]:
        text = marked(line.words, words)
        link = f'<a href="{escape(f"{base}/{line.page}.html")}">{text}</a>' if line.page else text
        told.append(f"<p>{line.kind}: {link}</p>")
    return f'<li><a href="{escape(base)}/index.html"><strong>{title}</strong></a>{"".join(told)}</li>'


def _help(one: places.Standing) -> str:
    """Say what can be found, with words that will be."""
    known = list(lines(one))
    some = [next((line.words for line in known if line.kind == kind), "") for kind in ("Page", "Metric", "Period")]
    told = "; ".join(f"“{words.split(' (owner')[0]}”" for words in some if words)
    return (
        "<p>A report is found by words of its title, period, pages, metrics, their owners and its headline; each word "
        f"has to be there. For example {escape(told)}.</p>"
    )
