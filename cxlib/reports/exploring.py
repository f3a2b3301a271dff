"""The panel of an explored page: period, metric, segment and comparison to choose, from what was published.

It reads `results.parquet` and the frozen context of published periods, nothing else. What a browser sends is a place in
one of four lists that are kept here, or it is ignored: labels, options and texts are never taken from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import ipywidgets
from ipywidgets import Widget

from cxlib.reports.choices import FIELDS, Choices, Chosen, settled
from cxlib.reports.choosing import picture
from cxlib.show import charts

_TITLES = {"period": "Period", "metric": "Metric", "segment": "Segment", "compare": "Compared with"}
_VIEW = "application/vnd.jupyter.widget-view+json"
NOTHING = "This report holds no metric by period or segment to choose from; the page below is as published."
_SORRY = "This choice could not be shown; the page shows what it showed before."


class _Held(Widget):
    """A widget that takes nothing from the browser: what is sent is put back."""

    def set_state(self, _: dict[str, Any]) -> None:
        """Send what is so."""
        self.send_state()


class _Words(_Held, ipywidgets.HTML):
    """HTML that only the panel sets."""


class _Boxes(_Held, ipywidgets.Box):
    """Widgets beside one another."""


class _Choice(ipywidgets.Dropdown):
    """A list to choose from, that takes a place in its own list from the browser and nothing else."""

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take a choice."""
        place = sync_data.get("index")
        if set(sync_data) == {"index"} and type(place) is int and 0 <= place < len(self.options):
            super().set_state(sync_data)
        else:
            self.send_state()


def explore(period: str, periods: Sequence[str] = ()) -> None:
    """Show the panel of an explored page; its server calls this behind the first prose.

    Parameters
    ----------
    period
        The published period whose folder this is, the working directory.
    periods
        All that may be chosen, folders beside it; the newest first.
    """
    from IPython import get_ipython
    from IPython.display import display

    shell = get_ipython()
    if shell is not None:  # nobody makes widgets from outside
        shell.kernel.comm_manager.targets.pop("jupyter.widget", None)
    of = Choices(Path.cwd().parent, list(dict.fromkeys([period, *periods])))
    if not of.of(period):
        display({"text/html": f'<p class="soft">{NOTHING}</p>'}, raw=True)
        return
    panel = Panel(of, Chosen.asked(parse_qs(os.environ.get("QUERY_STRING", "")), period))
    display({_VIEW: panel.view(), "text/html": panel.words.value}, raw=True)


class Panel:
    """The widgets, and what is chosen.

    Parameters
    ----------
    of
        What may be chosen.
    asked
        What an address asks for; parts that are not offered are told and passed over.
    """

    def __init__(self, of: Choices, asked: Chosen) -> None:
        self._of, self._setting = of, False
        self.chosen, told = settled(of, asked)
        self.lists = {name: _Choice(description=_TITLES[name]) for name in FIELDS}
        self.words = _Words()
        for name, widget in self.lists.items():
            widget.observe(self._chooser(name), names="index")
        self._boxes = _Boxes([_Boxes(list(self.lists.values())).add_class("cx-choices"), self.words]).add_class(
            "cx-panel"
        )
        self._put(told)

    def view(self) -> dict[str, Any]:
        """Return the panel as a notebook's output names it."""
        return {"version_major": 2, "version_minor": 0, "model_id": self._boxes.model_id}

    def choose(self, name: str, place: int) -> None:
        """Choose the entry of a list; a place that is not in it changes nothing."""
        values = [value for value, _ in self._of.entries(self.chosen)[name]]
        if not 0 <= place < len(values):
            return self._put([_SORRY])
        self.chosen, told = settled(self._of, self.chosen.but(name, values[place]))
        return self._put(told)

    def _chooser(self, name: str) -> Callable[[Any], None]:
        def chosen(change: Any) -> None:
            if self._setting or change["new"] is None:
                return
            before = self.chosen
            try:
                self.choose(name, change["new"])
            except Exception:  # whatever it is, a visitor gets words and no traceback
                self.chosen = before
                self._put([_SORRY])

        return chosen

    def _put(self, told: Sequence[str]) -> None:
        """Bring lists and picture to what is chosen."""
        self._setting = True
        try:
            for name, entries in self._of.entries(self.chosen).items():
                widget, wanted = self.lists[name], [(label, value) for value, label in entries]
                if list(widget.options) != wanted:
                    widget.options = wanted
                widget.value = getattr(self.chosen, name)
        finally:
            self._setting = False
        said = "".join(f'<p class="warning">{escape(one)}</p>' for one in told)
        link = f'<a href="?{escape(urlencode(self.chosen.query()))}">Link to this view</a>'
        rows = f'<a href="{escape(self._of.download(self.chosen))}" download>All published numbers (Parquet)</a>'
        chart, table = picture(self._of, self.chosen)
        shown = f"{charts.html(chart)}{table}"
        self.words.value = f'<div role="status">{said}</div>{shown}<p class="cx-links">{link} · {rows}</p>'
