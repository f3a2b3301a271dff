"""A report as its reader finds it, made without a kernel: index, two pages, the home page, the pages of refusals."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from cxlib import charts, results, tables
from cxlib.periods import Period
from cxlib.reports import boxes, catalogue, page
from cxlib.reports.glance import glance
from cxlib.reports.places import Standing
from cxlib.show import words
from tests.show_frames import LAST, METRICS, TOUCHPOINTS, journey, levels, scorecard

PERIOD = Period.parse(LAST)
PAGES = {"index.html": "Overview", "01_scorecard.html": "The scorecard", "02_where.html": "Where it differs & why"}
SHELL = page.Shell(
    "Toy & Söhne", "Monthly report", PERIOD.title, PAGES, "Snapshot 0001-abc · made 2026-11-01 10:00 UTC"
)


def shown(html: str, *tags: str) -> Any:
    """Return a code cell whose output is some HTML."""
    output = nbformat.v4.new_output("display_data", {"text/html": str(html)})
    return nbformat.v4.new_code_cell("", outputs=[output], metadata={"tags": list(tags)})


def prose(text: str, *tags: str) -> Any:
    """Return a markdown cell."""
    return nbformat.v4.new_markdown_cell(text, metadata={"tags": list(tags)})


def notebook(name: str, *cells: Any) -> str:
    """Return the page of a notebook."""
    title = PAGES[f"{name}.html"]
    body = page.notebook_body(nbformat.v4.new_notebook(cells=[prose(f"# {title}\n\n**Is all well?** So so."), *cells]))
    return page.page(title, body, SHELL, current=f"{name}.html")


def report() -> dict[str, str]:
    """Return file name -> page of a report."""
    frame = scorecard()
    rows = [("rows", "nps", "0", "at least 1", "look"), ("rows", "aov", "9", "at least 1", "ok")]
    checks = pd.DataFrame(rows, columns=["check", "what", "found", "limit", "state"])
    lead, *rest = words.headline(frame, METRICS, PERIOD)
    parts = [
        "<h1>Monthly report, October 2026</h1>", page.failure("It stopped.", "02_where stopped with an error"),
        page.warnings(["orders: the newest is 40 days old"]), page.headline([lead, *rest]),
        page.links([(name, title, "What is it about?") for name, title in PAGES.items() if name != "index.html"]),
        "<h2>At a glance</h2>", tables.scorecard(frame, METRICS, LAST), "<h2>Where this comes from</h2>",
        page.facts({"Data": "snapshot 0001-abc", "Code": "cxlib"}),
    ]  # fmt: skip
    scorecard_page = notebook(
        "01_scorecard",
        prose("## Is it complete?"), shown(boxes.checks_html(checks, METRICS)),
        prose("## The month\n\nRead the **interval** first.", "method"), shown(tables.scorecard(frame, METRICS, LAST)),
        shown(charts.html(charts.headline(frame, METRICS), name="headline"), "lead"),
        prose("## The last months"),
        shown(charts.html(charts.small_multiples(frame, METRICS), name="months"), "finding"),
    )  # fmt: skip
    places = journey()
    where = notebook(
        "02_where",
        prose("## By region"),
        shown(charts.html(charts.interval_bars(levels(), METRICS["csat_top2"]), name="regions"), "lead"),
        prose("## By touchpoint\n\n### All of them"),
        shown(charts.html(charts.heatmap(places, METRICS["csat_top2"], TOUCHPOINTS), name="heat")),
        shown(tables.touchpoints(places, METRICS, TOUCHPOINTS)),
        prose("## Nothing"), shown(tables.scorecard(results.empty(), METRICS, LAST)),
    )  # fmt: skip
    index = page.page("Monthly report, October 2026", "\n".join(parts), SHELL, current="index.html")
    return {"index.html": index, "01_scorecard.html": scorecard_page, "02_where.html": where}


def standing() -> list[Standing]:
    """Return reports for the catalogue: months with a gap, and an experiment."""
    frame = scorecard()
    told = words.headline(frame, METRICS, PERIOD)
    content = {
        "title": "Monthly report", "audience": "Leadership", "started_at": "2026-11-01T10:00:00+00:00",
        "snapshot": {"id": "0001-abc"}, "headline": told, "glance": glance(frame, METRICS, PERIOD) | {
            "data_until": "2026-12-01T22:00", "closed": "2026-11"
        },
        "pages": {name.removesuffix(".html"): title for name, title in PAGES.items() if name != "index.html"},
    }  # fmt: skip
    periods = [Period.parse(label) for label in ("2026-10", "2026-09", "2026-06", "2025-11")]
    reports = [Standing("monthly", p.label, Path(), content | {"period_title": p.title}) for p in periods]
    trial = content | {"title": "Readout", "period_title": "Gate at level 40", "glance": {}}
    return [*reports, *(Standing("readout", name, Path(), trial) for name in ("gate", "offer"))]


def site() -> dict[str, str]:
    """Return file name -> page of all that a reader may meet."""
    reports, now = standing(), datetime(2026, 12, 5)
    form = (
        '<form method="post" action="/login"><label for="t">Token</label> <input type="password" id="t" name="token">'
        '<button type="submit">Sign in</button></form>'
    )
    served = page.with_explore(
        report()["02_where.html"], "/explore/x", older=page.Link("/reports/older.html", "September")
    )
    return report() | {
        "served.html": served,
        "home.html": catalogue.home(reports, "Toy & Söhne", now=now),
        "found.html": catalogue.home(reports, "Toy & Söhne", query="wait score"),
        "not_found.html": catalogue.home(reports, "Toy & Söhne", query="zebra"),
        "empty.html": catalogue.home([], "Toy & Söhne"),
        "sign_in.html": page.plain("Sign in", form, "Toy & Söhne", forms=True),
        **{f"{status}.html": catalogue.sorry("Toy & Söhne", status) for status in (403, 404, 429, 503)},
    }
