"""Explore: the notebook of a published page as a Voila app, on a warm and confined kernel, with a panel to choose by.

Voila renders; here is decided who may start a kernel, what it may read, and what its page may load.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from nbformat import v4
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from voila.tornado.handler import TornadoVoilaHandler

from cxlib.reports import kernels, landlock, page
from cxlib.reports.execute import kernel_name
from cxlib.reports.handlers_base import Ours, Owner
from cxlib.reports.inside import opened
from cxlib.reports.seats import FullError, LeftError, Seat, Seats, Visit

TEMPLATE = "cx"  # of Voila, in `jupyter/voila/templates`
# Voila's scripts come from here, as files; what a notebook makes has style of its own and pictures as data.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SEAT = "cx_seat"  # in the cell that runs after the panel: its seat
_EARLY = "cx-early"  # tag of the panel's cell behind which Voila's script begins: no other has widgets
_ANCHOR = re.compile(r'<a class="anchor-link"[^>]*>[^<]*</a>')
_WAITING = "voila_heartbeat"  # what Voila sends while a cell takes long
_AGAIN = 60  # seconds after which to try again when all places are taken
_CELL = 120  # seconds that a cell may take: it replays what was computed
_WIDGETS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager"]
_SORRY = "This page cannot be made again from what was published. The published page still stands: see its link above."


class Explore(Ours, TornadoVoilaHandler):
    """The app of a published notebook."""

    _seat: Seat | None = None
    _owner: Owner
    _panel = ""

    async def get(self, pack: str, period: str, name: str) -> None:
        """Render the notebook as it runs."""
        found = self.published(pack, period)
        if not self.site.serving.kernels:
            raise self.refusal(404, "Explore is off")
        try:
            opened(self.site.reports, pack, period, f"{name}.ipynb" if name in found["notebooks"] else "").close()
        except FileNotFoundError:
            raise self.refusal(404, "no page of the report") from None
        self._owner = Owner(self.viewer.name, pack, period)
        base = f"/reports/{pack}/{period}/{name}.html"
        seats: Seats = self.settings["kernel_manager"]
        try:
            self._seat = seats.take(self.viewer.name, self.site.serving)
        except FullError as full:
            self._is_full(base, own=full.own)
            return
        folder = self.site.reports / pack
        mine = [one for one in self.standing() if one.folder.resolve() == folder / one.period]  # no links elsewhere
        self._seat.read = [one.folder for one in mine]
        self._panel = f"import cxlib as cx\ncx.explore({period!r}, {[one.period for one in mine]!r})"
        try:
            await self._render(f"{pack}/{period}/{name}.ipynb", base, found)
        except (StreamClosedError, LeftError):
            await seats.leave(self._seat)
        finally:
            self._seat.waited_for = False
            if not self._seat.kernel:
                await seats.leave(self._seat)

    async def _render(self, path: str, base: str, found: dict[str, Any]) -> None:
        shell = page.Shell(self.site.company, found["title"], found["period_title"])
        self.xsrf_token  # noqa: B018 - Voila's script sends it with the word that the page was left
        held, begun = "", False  # the head comes in pieces: they are put together before they are looked at
        asyncio.get_running_loop().set_exception_handler(_quietly)
        async for part in self.get_generator(path=path):
            if _WAITING in part:
                if (
                    self._seat not in self.settings["kernel_manager"].seats
                ):  # its kernel has died, nothing more will come
                    self.write(page.failure(_SORRY, "This page has stopped"))
                    return
                part = "\n"
            held += part
            if not begun and page.BODY.search(held):
                held, begun = page.around_app(held, shell, base), True
            if begun:
                self.write(self.based(held))
                await self.flush()
                held = ""

    @property
    def kernel_manager(self) -> Any:
        """The kernel manager as Voila asks for it."""
        seats = self.settings["kernel_manager"]
        return seats if self._seat is None else Visit(seats, self._seat, self.site.owners, self._owner)

    def with_panel(self, notebook: Any) -> Any:
        """Put the panel behind the first prose of a notebook that Voila has read."""
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        alone = not any("widgets" in cell.source for cell in code)
        if alone and code and self._seat is not None:
            code[0].metadata[_SEAT] = self._seat.number
        panel = v4.new_code_cell(self._panel, metadata={"tags": [_EARLY] if alone else []})
        notebook.cells.insert(1, panel)
        return notebook

    def on_connection_close(self) -> None:
        """End the kernel of a page that was left while it was made."""
        super().on_connection_close()
        if self._seat is not None:
            IOLoop.current().spawn_callback(self.settings["kernel_manager"].leave, self._seat)

    def _is_full(self, published: str, *, own: bool) -> None:
        """Say that there is no place, and where the same numbers are."""
        words = "You already explore as many pages as one viewer may." if own else "All places to explore are taken."
        more = "Close one of them, then try again." if own else "Try again in a minute."
        body = (
            f"<h1>{words}</h1><p>The <a href='{published}'>published page</a> shows the same numbers. {more}</p>"
            "<p><a href='/'>All reports</a></p>"
        )
        self.set_status(503)
        self.set_header("Retry-After", str(_AGAIN))
        self.finish(self.based(page.page(words, body, page.Shell(self.site.company, "", ""))))

    @property
    def content_security_policy(self) -> str:
        """What the page may load."""
        return _POLICY


def _put_panel(handler: Any, notebook: Any, **_: Any) -> Any:
    """Voila's hook before a launch: it may change the notebook. It cannot count kernels, two requests would race."""
    return handler.with_panel(notebook)


def _quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of Voila's own task for a page that was left: its kernel was ended under it."""
    task = context.get("future")
    if not (isinstance(task, asyncio.Task) and "put_html" in repr(task.get_coro())):
        loop.default_exception_handler(context)


async def _let_the_panel_first(app: Any, cell: Any) -> None:
    """Let a page connect and show its panel before the rest of its notebook keeps the kernel busy."""
    number = cell.metadata.get(_SEAT)
    if number is not None:
        await app.kernel_manager.meet(number)


def _prose(html: str) -> str:
    """Return prose without what a page of ours does not hold, such as links of headings to themselves."""
    return page.clean(_ANCHOR.sub("", html))


def furnish(app: Any) -> None:
    """Give a Voila application what Explore needs; call it before its settings are made.

    Parameters
    ----------
    app
        `voila.app.Voila`, initialised.
    """
    kernel_name()  # puts our folder on Jupyter's path
    settings = app.voila_configuration
    settings.template = TEMPLATE
    settings.multi_kernel_manager_class = Seats
    settings.prelaunch_hook = _put_panel
    settings.extension_allowlist = _WIDGETS
    app.setup_template_dirs()
    app.config.VoilaExporter.filters = {"cx_clean": page.clean, "cx_prose": _prose}
    app.config.VoilaExecutor.cell_error_instruction = _SORRY
    app.config.VoilaExecutor.timeout = _CELL
    app.config.VoilaExecutor.on_cell_start = lambda cell, **_: _let_the_panel_first(app, cell)
    if words := fences():
        app.log.error(words)
    kernels.start()  # it imports in the background, before the first viewer comes


def fences() -> str:
    """Say what confines the kernels of Explore on this machine; '' where all does."""
    held = landlock.version()
    if not held:
        return "this system has no Landlock: Explore is confined by Python's audit hook and limits alone"
    return "" if held >= 6 else f"Landlock {held} of this system does not confine all: see docs/deploy.md"
