"""What a run says about itself in a notebook: the box that opens a page, its checks, and plain text elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

import pandas as pd

from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.reports import page
from cxlib.reports.build import moment
from cxlib.reports.context import Context
from cxlib.show import formats, markup, rows
from cxlib.show.about import freshness
from cxlib.show.markup import Html

Offered = Callable[[Html, str], str]


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
    return "\n".join([head, *([f"Answers: {context.answers}"] if context.answers else []), *context.warnings])


def _as_it_is(table: Html, _name: str) -> str:
    return table


def run_box(context: Context, offered: Offered = _as_it_is) -> str:
    """Return what a run is about: company, period, snapshot, sources, and what has to be known before any number.

    `offered` returns a table with its downloads, which carry the name that is its second argument.
    """
    title = f"{context.workspace.company} · {Period.parse(context.period).title}"
    sources = "; ".join(f"{origin.title} ({formats.counted(origin.events)} events)" for origin in context.origins)
    about = [
        f"Data: {sources}" if sources else "",
        f"Answers: {context.answers}" if context.answers else "",
        f"Snapshot {context.snapshot} of {moment(context.created_at)}",
    ]
    lines = "".join(f"<p>{escape(line)}</p>" for line in about if line)
    tables = offered(freshness(_records(context), title="Tables"), "data")
    fresh = f"<details><summary>Data behind this page</summary>{lines}{tables}</details>"
    head = f"<p><strong>{escape(title)}</strong> · {escape(context.report.title)}</p>"
    return f'<div class="run-box">{head}{page.warnings(context.warnings)}{fresh}</div>'


def _records(context: Context) -> list[dict[str, object]]:
    return [item.model_dump() for item in context.freshness]


def checks_html(frame: pd.DataFrame, metrics: Mapping[str, Metric], offered: Offered = _as_it_is) -> str:
    """Return the checks: what needs a look as sentences, alike ones together; all of them folded, with downloads."""
    named = frame.assign(what=[metrics[name].title if name in metrics else name for name in frame["what"]])
    look = named.loc[named["state"] == "look"]
    told = [
        f"{check.capitalize()}: {found} ({limit}). {rows.listed(list(part['what']))}."
        for (check, found, limit), part in look.groupby(["check", "found", "limit"], sort=False)
    ]
    alarm = f"Please look at the other{'s' * (len(look) > 1)}." if told else ""
    columns = {n.capitalize(): [markup.text_cell(v) for v in named[n]] for n in ("what", "found", "limit", "state")}
    body = markup.table(columns, ["Check"], [(kind,) for kind in named["check"]])
    table = offered(markup.figure("All checks", body), "checks")
    return (
        f'<div class="note"><p>{len(named) - len(look)} of {len(named)} checks passed. {alarm}</p>'
        f"{page.warnings(told)}<details><summary>All checks</summary>{table}</details></div>"
    )


def display(html: str, text: str) -> None:
    """Show HTML in a notebook, plain text elsewhere."""
    from IPython import get_ipython
    from IPython.display import HTML
    from IPython.display import display as shown

    if get_ipython() is None:
        print(text)  # noqa: T201 - the output of a notebook's cell that is run as a script
    else:
        shown(HTML(html))
