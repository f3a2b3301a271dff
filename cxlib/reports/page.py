"""The pages of a report: one shell for all of them, and the page of a notebook, its findings first.

A page is one file: its style is inside, its pictures are data, it loads nothing and runs no script, and its own
content policy says so to the browser. Whatever an output holds is cleaned before it is put in.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from cxlib.reports import outline

_POLICY = "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action"
POLICY, FORM_POLICY = f"{_POLICY} 'none'", f"{_POLICY} 'self'"  # the second for pages with a form: search, log in
_ATTRIBUTES = {
    "*": {"class", "id", "style", "title", "role", "aria-label", "aria-hidden", "scope", "colspan", "rowspan", "lang"},
    "img": {"src", "alt", "width", "height"},
    "a": {"href"},
    "div": {"tabindex"},  # what scrolls sideways is reached with the keyboard
}
_MORE_TAGS = {"style", "figure", "figcaption", "caption", "section", "details", "summary"}


# Functions of CSS that name an address, and what a letter of their names can be hidden in.
_LOADS = re.compile(r"\\|(?:url|src|image|image-set|cross-fade)\s*\(", re.IGNORECASE)
_converting = threading.Lock()  # nbconvert's exporter serves one notebook at a time
BODY = re.compile(r"<body\b[^>]*>")
_SKIP = '<a class="skip" href="#content">Skip to content</a>'
_SERVED = "<!-- served -->"  # where a server puts its links; nothing in a page opened as a file
LEAD, FINDING, METHOD = "lead", "finding", "method"  # tags of a notebook's cells that its page knows
_WARNS = 'class="warning"'
_FOLDED = "How to read this"
_FINDINGS = (re.compile(r'data-finding="([^"]+)"'), re.compile(r"<figcaption>(?!<)(.+?)</figcaption>", re.DOTALL))


@dataclass(frozen=True)
class Shell:
    """What every page of one run shares: who, what, which period, the pages beside it, and the provenance line."""

    company: str
    pack: str
    period: str
    pages: Mapping[str, str] = field(default_factory=dict)  # file name -> title, in reading order
    provenance: str = ""


@cache
def style() -> str:
    """Return the style of every page."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


class Link(NamedTuple):
    """A link that a server adds: where it goes, and its words."""

    address: str
    words: str


def page(title: str, body: str, shell: Shell, *, current: str = "", policy: str = POLICY) -> str:
    """Return one whole HTML page.

    Parameters
    ----------
    title
        Of the page, as plain text; its heading too, where the content has none.
    body
        Its content as HTML, already safe.
    shell
        What it shares with the pages beside it.
    current
        Its own file name, marked in the navigation.
    policy
        What a browser may load and send: `POLICY`, or `FORM_POLICY` for a page with a form.
    """
    top = "" if "<h1" in body else f"<h1>{escape(title)}</h1>\n"
    content, entries = outline.headed(top + outline.roomy(body))
    contents = outline.contents(entries)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(" · ".join(filter(None, (title, "" if shell.period in title else shell.period, shell.company))))}</title>
<style>{style()}{_printed(shell)}</style>
</head>
<body>
{_SKIP}
{_top(shell, _navigation(shell, current) + _SERVED)}
<div class="sheet{" with-contents" if contents else ""}">
{contents}
<main id="content">
{content}
{_beside(shell, current)}
</main>
</div>
<footer class="end">{escape(shell.provenance)}</footer>
</body>
</html>
"""


def plain(title: str, body: str, company: str, *, forms: bool = False) -> str:
    """Return a page that belongs to no report: an error, the way in. `body` is HTML, `forms` lets it hold a form."""
    return page(title, body, Shell(company, "", ""), policy=FORM_POLICY if forms else POLICY)


def _top(shell: Shell, navigation: str) -> str:
    """Return what stands above the content: where one is, and where one can go; `navigation` is HTML."""
    where = " · ".join(filter(None, (shell.company, shell.pack, shell.period)))
    return f'<header class="top"><p class="where">{escape(where)}</p>{navigation}</header>'


def _printed(shell: Shell) -> str:
    """Return the foot of every printed sheet: what it is part of, where its numbers come from, its number."""
    words = " · ".join(filter(None, (shell.company, shell.pack, shell.period, shell.provenance)))
    text = "".join(c if c.isalnum() or c in " ·.,:-" else f"\\{ord(c):x} " for c in words)
    return f'@page {{ @bottom-left {{ content: "{text}"; }} }}'


def around_app(html: str, shell: Shell, published: str) -> str:
    """Return the beginning of an app's page in our style, with the way back to its `published` page."""
    back = f'<p class="served"><a href="{escape(published)}">Published page</a> · <a href="/">All reports</a></p>'
    return BODY.sub(lambda body: f"{body[0]}\n<style>{style()}</style>\n{_SKIP}\n{_top(shell, back)}", html, count=1)


def with_explore(html: str, address: str, *, older: Link | None = None, newer: Link | None = None) -> str:
    """Return a page with the links that only a server can answer.

    Parameters
    ----------
    html
        The published page.
    address
        Of the app beside it; '' where it has none.
    older, newer
        The same page of the report before and after, where they stand (`catalogue.beside`).
    """
    links = [f'<a href="{escape(address)}">Explore this page</a>'] if address else []
    links += [f'<a rel="prev" href="{escape(older.address)}">← {escape(older.words)}</a>'] if older else []
    links += [f'<a rel="next" href="{escape(newer.address)}">{escape(newer.words)} →</a>'] if newer else []
    links.append('<a href="/">All reports</a>')
    return html.replace(_SERVED, f'<p class="served">{" · ".join(links)}</p>', 1)


def _navigation(shell: Shell, current: str) -> str:
    if not shell.pages:
        return ""
    links = "".join(
        f'<li><a href="{escape(name)}"{" aria-current=page" if name == current else ""}>{escape(title)}</a></li>'
        for name, title in shell.pages.items()
    )
    return outline.folded("pages", "Pages of this report", f"<ul>{links}</ul>")


def _beside(shell: Shell, current: str) -> str:
    """Return the links to the pages before and after, in reading order."""
    names = list(shell.pages)
    if current not in names or len(names) < 2:
        return ""
    place, links = names.index(current), []
    if place:
        links.append(f'<a rel="prev" href="{escape(names[place - 1])}">← {escape(shell.pages[names[place - 1]])}</a>')
    if place + 1 < len(names):
        after = names[place + 1]
        links.append(f'<a rel="next" href="{escape(after)}">{escape(shell.pages[after])} →</a>')
    return f'<nav class="beside" aria-label="Page before and after">{" ".join(links)}</nav>'


def clean(html: str) -> str:
    """Return HTML with only what a page may hold: no script, no handler, no form, no frame, no address but links."""
    import nh3

    return nh3.clean(
        html,
        tags=nh3.ALLOWED_TAGS | _MORE_TAGS,
        clean_content_tags={"script"},  # its text goes with it
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel=None,
        attribute_filter=_harmless,
    )


def _harmless(_: str, name: str, value: str) -> str | None:
    """Return the value of an attribute; none of a style that may load something, by whatever spelling."""
    return None if name == "style" and _LOADS.search(value) else value


@cache
def _exporter() -> Any:
    """Return nbconvert's exporter; making one costs a second, so there is one for all notebooks."""
    from nbconvert import HTMLExporter

    return HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        mathjax_url="",
        require_js_url="",
        jquery_url="",
    )


def warm_up() -> None:
    """Load what turns notebooks into pages, so that the first page does not wait for it."""
    with _converting:
        _exporter()


def notebook_body(notebook: Any) -> str:
    """Return the prose and outputs of an executed notebook as safe HTML, its findings first and its methods folded.

    Code cells without outputs leave nothing, nor do the notes that papermill puts where a notebook stopped: the page
    says so itself.
    """
    shown = copy.copy(notebook)
    ours = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", ())]
    shown.cells = [_folding(c) for c in ours if c.cell_type != "code" or c.get("outputs")]
    with _converting:
        html, _ = _exporter().from_notebook_node(shown)
    told = findings(notebook)
    first = headline(told) if told else ""
    top, end, rest = clean(html).partition("</h1>")
    return f"{top}{end}{first}{rest}" if end else first + top


def _folding(cell: Any) -> Any:
    """Return a cell whose prose is about method with all but its heading folded; any other as it is."""
    if cell.cell_type != "markdown" or METHOD not in cell.metadata.get("tags", ()):
        return cell
    lines = "".join(cell.source).strip().splitlines()
    heads = [line for line in lines[:1] if line.startswith("#")]
    prose = "\n".join(lines[len(heads) :]).strip()
    fold = f'<details class="method">\n<summary>{_FOLDED}</summary>\n\n{prose}\n\n</details>'
    shown = copy.copy(cell)
    shown["source"] = "\n\n".join([*heads, fold] if prose else heads)
    return shown


def findings(notebook: Any) -> list[str]:
    """Return what a page says first, as plain text: what its cell tagged `lead` found, then those tagged `finding`.

    Before both stands what warns: a reader has to know it before any number. The finding of a cell is the title of the
    first chart or table that it shows.
    """
    tagged = [c for tag in (LEAD, FINDING) for c in notebook["cells"] if tag in c["metadata"].get("tags", ())]
    tagged.sort(key=lambda cell: not any(_WARNS in html for html in _html_of(cell)))
    return list(dict.fromkeys(filter(None, (_found(cell) for cell in tagged))))


def _html_of(cell: Any) -> list[str]:
    """Return what a cell shows."""
    return ["".join(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", ())]


def _found(cell: Any) -> str:
    titles = (outline.plain(found[1]) for html in _html_of(cell) for kind in _FINDINGS if (found := kind.search(html)))
    title = next(titles, "")
    return title if not title or title.endswith((".", "?", "!")) else f"{title}."


def headline(told: Sequence[str]) -> str:
    """Return the sentences that open a page: the first in large type, the others as a list."""
    lead, *rest = told
    points = "".join(f"<li>{escape(sentence)}</li>" for sentence in rest)
    return f'<p class="lead">{escape(lead)}</p>' + (f'<ul class="findings">{points}</ul>' if points else "")


def first_heading(notebook: Any, otherwise: str) -> str:
    """Return the first markdown heading of a notebook, the title of its page."""
    lines = (
        line for c in notebook["cells"] if c["cell_type"] == "markdown" for line in "".join(c["source"]).splitlines()
    )
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), otherwise)


def first_paragraph(notebook: Any) -> str:
    """Return what a page is about: the bold question that opens its prose, else its first paragraph, as plain text."""
    prose = "".join(next((c for c in notebook["cells"] if c["cell_type"] == "markdown"), {"source": ""})["source"])
    paragraphs = [" ".join(part.split()) for part in prose.split("\n\n")]
    text = next((part for part in paragraphs if part and not part.startswith("#")), "")
    question = re.match(r"\*\*(.+?)\*\*", text)
    return question[1] if question else text.replace("*", "").replace("`", "")


def failure(error: str, what: str = "This notebook stopped with an error") -> str:
    """Return the banner of something that failed."""
    return f'<div class="failure" role="alert"><strong>{escape(what)}</strong><br>{escape(error)}</div>'


def facts(pairs: Mapping[str, str]) -> str:
    """Return a list of named facts."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items() if value)
    return f'<dl class="facts">{rows}</dl>'


def warnings(found: Sequence[str]) -> str:
    """Return what a reader has to know before any number."""
    return "".join(f'<p class="warning">{escape(warning)}</p>' for warning in found)


def links(items: Sequence[tuple[str, str, str]]) -> str:
    """Return a list of pages: (address, title, one line about it)."""
    entries = "".join(
        f'<li><a href="{escape(address)}">{escape(title)}</a><p>{escape(about)}</p></li>'
        for address, title, about in items
    )
    return f'<ul class="pages">{entries}</ul>'
