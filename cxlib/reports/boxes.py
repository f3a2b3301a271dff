"""What a run says about itself in a notebook: the box that opens a page, its checks, and plain text elsewhere."""

from __future__ import annotations

from html import escape

import pandas as pd

from cxlib.periods import Period
from cxlib.reports import page
from cxlib.reports.build import moment
from cxlib.reports.context import Context


class Shown:
    """A table with its own look: `frame` for code, HTML for people."""

    def __init__(self, frame: pd.DataFrame, html: str) -> None:
        self.frame = frame
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self.frame.to_string(index=False)


def run_line(context: Context) -> str:
    """Return what a run is about as plain text."""
    period = Period.parse(context.period).title
    head = f"{context.workspace.company}: {context.report.title}, {period}, snapshot {context.snapshot}"
    return "\n".join([head, *context.warnings])


def run_box(context: Context) -> str:
    """Return what a run is about: company, period, snapshot, sources, and what has to be known before any number."""
    title = f"{context.workspace.company} · {Period.parse(context.period).title}"
    about = f"{context.report.title} · snapshot {context.snapshot} of {moment(context.created_at)}"
    sources = "; ".join(f"{origin.title} ({origin.events:,} events)" for origin in context.origins)
    head = f"<p><strong>{escape(title)}</strong></p><p>{escape(about)}</p>"
    head += f"<p>Data: {escape(sources)}</p>" if sources else ""
    warnings = "".join(f'<p class="warning">{escape(warning)}</p>' for warning in context.warnings)
    lines = [(item.table, f"{item.rows:,}", item.newest) for item in context.freshness if item.rows]
    table = page.plain_table("", ("Table", "Rows", "Newest event (UTC)"), lines, numbers=(1,))
    folded = f"<details><summary>Data behind this page</summary>{table}</details>" if table else ""
    return f'<div class="run-box">{head}{warnings}{folded}</div>'


def checks_html(frame: pd.DataFrame) -> str:
    """Return the checks: what needs a look first and open, alike ones together; the rest folded."""
    head = ("Check", "What", "Found", "Limit", "State")
    look = frame.loc[frame["state"] == "look"]
    words = f"{len(frame) - len(look)} of {len(frame)} checks passed."
    alike = look.groupby(["check", "found", "limit", "state"], sort=False)["what"].agg(", ".join).reset_index()
    alarm = page.plain_table("Please look at these", head, alike[list(frame.columns)].to_numpy().tolist())
    folded = page.plain_table("", head, frame.to_numpy().tolist())
    return f'<div class="note"><p>{words}</p>{alarm}<details><summary>All checks</summary>{folded}</details></div>'


def display(html: str, text: str) -> None:
    """Show HTML in a notebook, plain text elsewhere."""
    from IPython import get_ipython
    from IPython.display import HTML
    from IPython.display import display as shown

    if get_ipython() is None:
        print(text)  # noqa: T201 - the output of a notebook's cell that is run as a script
    else:
        shown(HTML(html))
