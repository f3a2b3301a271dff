"""The pages of a report: one shell, the page of a notebook, the index of a run, the catalogue of all runs.

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
from typing import Any

POLICY = "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_ATTRIBUTES = {
    "*": {"class", "id", "style", "title", "role", "aria-label", "aria-hidden", "scope", "colspan", "rowspan", "lang"},
    "img": {"src", "alt", "width", "height"},
    "a": {"href"},
    "div": {"tabindex"},  # what scrolls sideways is reached with the keyboard
}
_MORE_TAGS = {"style", "figure", "figcaption", "caption", "section", "details", "summary"}


_converting = threading.Lock()  # nbconvert's exporter serves one notebook at a time
BODY = re.compile(r"<body\b[^>]*>")
_EXPLORE = "<!-- explore -->"  # where a server puts its links; nothing in a page opened as a file


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


def page(title: str, body: str, shell: Shell, *, current: str = "") -> str:
    """Return one whole HTML page.

    Parameters
    ----------
    title
        Of the page, as plain text.
    body
        Its content as HTML, already safe.
    shell
        What it shares with the pages beside it.
    current
        Its own file name, marked in the navigation.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(" · ".join(filter(None, (title, "" if shell.period in title else shell.period, shell.company))))}</title>
<style>{style()}</style>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
{_top(shell, _navigation(shell, current) + _EXPLORE)}
<main id="content">
{body}
</main>
<footer class="end">{escape(shell.provenance)}</footer>
</body>
</html>
"""


def _top(shell: Shell, navigation: str) -> str:
    """Return what stands above the content: where one is, and where one can go; `navigation` is HTML."""
    where = " · ".join(filter(None, (shell.company, shell.pack, shell.period)))
    return f'<header class="top"><p class="where">{escape(where)}</p>{navigation}</header>'


def around_app(html: str, shell: Shell, published: str) -> str:
    """Return the beginning of an app's page in our style, with the way back to its `published` page."""
    back = f'<p class="explore"><a href="{escape(published)}">Published page</a> · <a href="/">All reports</a></p>'
    return BODY.sub(lambda body: f"{body[0]}\n<style>{style()}</style>\n{_top(shell, back)}", html, count=1)


def with_explore(html: str, address: str) -> str:
    """Return a page with the links that only a server can answer; '' for a page that has no app beside it."""
    explore = f'<a href="{escape(address)}">Explore this page</a> · ' if address else ""
    return html.replace(_EXPLORE, f'<p class="explore">{explore}<a href="/">All reports</a></p>', 1)


def _navigation(shell: Shell, current: str) -> str:
    if not shell.pages:
        return ""
    links = "".join(
        f'<li><a href="{escape(name)}"{" aria-current=page" if name == current else ""}>{escape(title)}</a></li>'
        for name, title in shell.pages.items()
    )
    return f'<nav aria-label="Pages of this report"><ul>{links}</ul></nav>'


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
    )


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
    """Return the prose and outputs of an executed notebook as safe HTML.

    Code cells without outputs leave nothing, nor do the notes that papermill puts where a notebook stopped: the page
    says so itself.
    """
    shown = copy.copy(notebook)
    told = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", ())]
    shown.cells = [c for c in told if c.cell_type != "code" or c.get("outputs")]
    with _converting:
        html, _ = _exporter().from_notebook_node(shown)
    return clean(html)


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
