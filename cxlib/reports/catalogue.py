"""The home page of the reports: every pack with its published periods, and the page for what is not there."""

from __future__ import annotations

from html import escape
from pathlib import Path

from cxlib.reports import page, places


def sorry(company: str, status: int) -> str:
    """Return the page of something that is not there or did not work."""
    words = "There is no such page." if status == 404 else "This page could not be made."
    body = f'<h1>{words}</h1><p><a href="/">All reports</a></p>'
    return page.page(words, body, page.Shell(company, "", ""))


def home(reports: Path, company: str) -> str:
    """Return the catalogue: every pack with its published periods, the newest first."""
    parts = ["<h1>Reports</h1>"]
    standing = places.catalogue(reports)
    for pack in dict.fromkeys(one.pack for one in standing):
        mine = [one for one in standing if one.pack == pack]
        title, audience = (escape(mine[0].manifest[key]) for key in ("title", "audience"))
        parts.append(f'<h2>{title}</h2><p class="soft">For: {audience}</p>')
        parts += ['<ul class="pages">', *(_entry(one) for one in mine), "</ul>"]
    if not standing:
        parts.append("<p>No report is published yet. Make one with <code>cx run monthly</code>.</p>")
    return page.page("Reports", "\n".join(parts), page.Shell(company, "", ""))


def _entry(one: places.Standing) -> str:
    """Return one line of the catalogue: the report, its pages, and where it comes from."""
    base, content = f"/reports/{one.pack}/{one.period}", one.manifest
    pages = " · ".join(
        f'<a href="{base}/{escape(name)}.html">{escape(title)}</a> '
        f'(<a href="/explore/{one.pack}/{one.period}/{escape(name)}" aria-label="Explore {escape(title)}">explore</a>)'
        for name, title in content["pages"].items()
    )
    about = f"snapshot {content['snapshot']['id']}, made {content['started_at'][:10]}"
    lead = escape(next(iter(content.get("headline", [])), ""))
    title = f'<a href="{base}/index.html"><strong>{escape(content["period_title"])}</strong></a>'
    return f'<li>{title} <span class="soft">{escape(about)}</span><p>{lead}</p><p>{pages}</p></li>'
