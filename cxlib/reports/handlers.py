"""What the report server answers: the catalogue, pages and files of published reports, and their notebooks as apps.

Importing this brings Voila with it, so only a server that starts does.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, BinaryIO

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError
from voila.paths import collect_static_paths

from cxlib.reports import page
from cxlib.reports.catalogue import beside, home
from cxlib.reports.choices import FIELDS
from cxlib.reports.handlers_base import NAME, PACK, PERIOD, Nothing, Ours
from cxlib.reports.handlers_explore import Explore
from cxlib.reports.handlers_hub import Callback
from cxlib.reports.handlers_kernels import KERNEL, About, Channel, Shutdown
from cxlib.reports.handlers_login import Login, Logout
from cxlib.reports.hub import CALLBACK
from cxlib.reports.inside import opened
from cxlib.reports.shelf import Prepared

# What a browser may fetch from a published report besides pages, and as what; notebooks and frozen inputs are not
# among them.
_WORD = r"[A-Za-z0-9][\w.-]*"
_TYPES = {
    "png": "image/png", "svg": "image/svg+xml", "csv": "text/csv; charset=utf-8", "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet", "json": "application/json",
}  # fmt: skip
_FILES = re.compile(
    rf"figures/{_WORD}\.(?:png|svg)|tables/{_WORD}\.(?:csv|xlsx)|results\.(?:parquet|csv|xlsx)|run\.json"
)
_DOWNLOADED = ("csv", "xlsx", "parquet")  # never opened by the browser itself
_DRAWING = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
# Of run.json, what says how a report was made; what a machine or a warehouse is called is not among it.
_TOLD = (
    "format", "pack", "title", "audience", "period", "period_title", "experiment", "state", "started_at", "snapshot",
    "rows", "code", "notebooks", "pages", "definitions", "seeds", "versions", "seconds", "headline",
    "glance", "outputs",
)  # fmt: skip
_ASSETS = {
    "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "json": "application/json",
    "woff2": "font/woff2", "woff": "font/woff", "svg": "image/svg+xml", "png": "image/png",
}  # fmt: skip
_OUT = """<form class="sign-out" method="post" action="/logout">{xsrf}<p class="soft">Signed in as {viewer}.
<button type="submit">Sign out</button></p></form>"""
_CHUNK = 262_144
_SLOWEST = 60.0  # seconds that one chunk may take


class _Answer(Ours):
    """Sends prepared pages and files of a report."""

    async def send(self, content: Prepared, kind: str) -> None:
        """Send prepared bytes, compressed where the browser takes it; nothing where it has them already."""
        self.set_header("Content-Type", kind)
        self.set_header("Vary", "Accept-Encoding, Cookie, Authorization")
        self.set_header("Etag", content.etag)
        if self.check_etag_header():
            self.set_status(304)
            return
        packed = "gzip" in self.request.headers.get("Accept-Encoding", "")
        body = content.packed if packed else content.plain
        if packed:
            self.set_header("Content-Encoding", "gzip")
        self.set_header("Content-Length", str(len(body)))
        if self.request.method != "HEAD":
            self.write(body)
            await self._sent()

    async def stream(self, file: BinaryIO, size: int) -> None:
        """Send a file piece by piece; who takes too long for one is left."""
        self.set_header("Content-Length", str(size))
        while self.request.method != "HEAD" and (chunk := await asyncio.to_thread(file.read, _CHUNK)):
            self.write(chunk)
            await self._sent()

    async def _sent(self) -> None:
        try:
            await asyncio.wait_for(self.flush(), _SLOWEST)
        except TimeoutError:
            self._why = "took too long to receive"
            connection: Any = self.request.connection
            connection.stream.close()
        except StreamClosedError:
            self._why = "left"

    def compute_etag(self) -> str | None:
        """Return none of Tornado's own: the tag of what is sent is known before."""
        return None


class _Home(_Answer):
    """The catalogue of what this viewer may see, and its search."""

    async def get(self) -> None:
        await self.look()
        self.set_header("Content-Security-Policy", f"{page.FORM_POLICY}; frame-ancestors 'none'")
        query, now = self.get_query_argument("q", ""), datetime.now(UTC).replace(tzinfo=None)
        standing, company = self.standing(), self.site.company
        if query:
            self.finish(self.based(self._signed(home(standing, company, query=query, now=now))))
            return
        seen = tuple((one.pack, one.period, one.manifest.get("started_at")) for one in standing)
        key = ("home", now.date(), seen)
        made = await self.site.shelf.page(key, lambda: home(standing, company, now=now).encode())
        self.finish(self.based(self._signed(made.plain.decode())))

    head = get

    def _signed(self, html: str) -> str:
        """Return the page with who is signed in, and the way out; for who has a session."""
        if not self.site.door.login or "Authorization" in self.request.headers:
            return html
        told = _OUT.format(viewer=escape(self.viewer.name), xsrf=self.xsrf_form_html())
        return html.replace("</main>", f"{told}</main>", 1)


class _Page(_Answer):
    """A published page with the links that only a server can answer; asked for a view, the app that shows it."""

    async def get(self, pack: str, period: str, name: str | None) -> None:
        await self.look()
        found, shown = self.published(pack, period), name or "index"
        if shown != "index" and shown not in found["notebooks"]:
            raise self.refusal(404, "no page of the report")
        address = f"/explore/{pack}/{period}/{shown}" if shown != "index" and self.site.serving.kernels else ""
        if address and any(name in self.request.query_arguments for name in FIELDS):
            self.redirect(f"{self.site.base}{address[1:]}?{self.request.query}")  # a view of this page
            return
        links = beside(self.standing(), pack, period, shown)
        key, make = self._page((pack, period, f"{shown}.html"), address, links)
        await self.send(await self.site.shelf.page(key, make), "text/html; charset=utf-8")

    def _page(
        self, parts: tuple[str, ...], address: str, links: Mapping[str, page.Link]
    ) -> tuple[tuple[object, ...], Callable[[], bytes]]:
        """Return what a page depends on, and how it is made."""
        about = _stat(self, parts)
        site, based = self.site, self.based

        def make() -> bytes:
            with opened(site.reports, *parts) as file:
                return based(page.with_explore(file.read().decode("utf-8"), address, **links)).encode()

        return (*parts, about.st_ino, about.st_mtime_ns, about.st_size, address, *links.items()), make

    head = get


def _stat(handler: Ours, parts: tuple[str, ...]) -> os.stat_result:
    """Return what tells one state of a file from another; 404 where it is not there."""
    try:
        with opened(handler.site.reports, *parts) as file:
            return os.fstat(file.fileno())
    except FileNotFoundError as error:
        raise handler.refusal(404, str(error)) from None


class _File(_Answer):
    """A file of a published report, of those that may be fetched."""

    async def get(self, pack: str, period: str, name: str) -> None:
        found = self.published(pack, period)
        if not _FILES.fullmatch(name) and name != f"{pack}-{period}.pdf":
            raise self.refusal(404, "no file that is given out")
        kind = name.rpartition(".")[2]
        if kind == "json":
            told = {key: found[key] for key in _TOLD if key in found}
            content = await self.site.shelf.page(
                (pack, period, name, found.get("started_at"), id(found)), lambda: json.dumps(told, indent=1).encode()
            )
            await self.send(content, _TYPES[kind])
            return
        await self._send((pack, period, *name.split("/")), kind)

    async def _send(self, parts: tuple[str, ...], kind: str) -> None:
        """Send a file from the disk."""
        about = _stat(self, parts)
        self.set_header("Content-Type", _TYPES[kind])
        self.set_header("Etag", f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"')
        if kind == "svg":  # a document of its own, which a browser would let run scripts
            self.set_header("Content-Security-Policy", _DRAWING)
        if kind in _DOWNLOADED:
            pack, period, *_, name = parts
            self.set_header("Content-Disposition", f'attachment; filename="{pack}-{period}-{name}"')
        if self.check_etag_header():
            self.set_status(304)
            return
        try:
            with opened(self.site.reports, *parts) as file:
                await self.stream(file, os.fstat(file.fileno()).st_size)
        except FileNotFoundError as error:
            raise self.refusal(404, str(error)) from None

    head = get


class _Health(Ours):
    """Says that the server answers, to whoever watches over it."""

    open_to_all = True
    counted = "health"
    told = False

    async def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok\n")

    head = get


class _Asset(_Answer):
    """Scripts, styles and fonts of Voila and its widgets."""

    cost = 0.1  # a page of Explore asks for some ninety
    told = False

    def initialize(self, roots: Callable[[str], tuple[list[str], str]]) -> None:
        """Take how an address is told apart into folders to look in and a name below them."""
        self._roots = roots

    async def get(self, address: str) -> None:
        roots, name = self._roots(address)
        kind = _ASSETS.get(name.rpartition(".")[2])
        if kind is None:
            raise HTTPError(404)
        for root in roots:
            try:
                with opened(Path(root), *name.split("/")) as file:
                    mark = os.fstat(file.fileno())
            except FileNotFoundError:
                continue
            self.set_header("Cache-Control", "private, max-age=86400")
            key = (root, name, mark.st_mtime_ns, mark.st_size)
            await self.send(await self.site.shelf.page(key, Path(root, name).read_bytes), kind)
            return
        raise HTTPError(404)

    head = get


def _of_template(address: str) -> tuple[list[str], str]:
    """Return the folders of a template of Voila, and a name below them."""
    template, _, name = address.partition("/static/")
    known = re.fullmatch(r"\w+", template)
    return (collect_static_paths(["voila", "nbconvert"], template) if known else []), name


def routes(app: Any) -> list[tuple[Any, ...]]:
    """Return every address of the server; whatever is not here is not there."""
    base = app.site.base
    voila = {"template_paths": app.template_paths, "config": app.config, "voila_configuration": app.voila_configuration}
    found: list[tuple[Any, ...]] = [
        (r"", _Home),
        (r"health", _Health),
        (r"login", Login),
        (r"logout", Logout),
        (CALLBACK, Callback),
        (rf"explore/({PACK})/({PERIOD})/({NAME})", Explore, voila),
        (rf"reports/({PACK})/({PERIOD})/(?:({NAME})\.html)?", _Page),
        (rf"reports/({PACK})/({PERIOD})/(.+)", _File),
        (rf"api/kernels/{KERNEL}", About),
        (rf"api/kernels/{KERNEL}/channels", Channel),
        (rf"voila/api/shutdown/{KERNEL}", Shutdown),
        (r"voila/static/(.+)", _Asset, {"roots": lambda address: (app.static_paths, address)}),
        (r"voila/templates/(.+)", _Asset, {"roots": _of_template}),
        (r"voila/labextensions/(.+)", _Asset, {"roots": lambda address: (app.labextensions_path, address)}),
    ]
    return [*((re.escape(base) + path, *more) for path, *more in found), (r".*", Nothing)]
