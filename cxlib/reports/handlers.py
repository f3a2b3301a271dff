"""What the report server answers: the catalogue, pages and files of published reports, and their notebooks as apps.

Importing this brings Voila with it, so only a server that starts does.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError, StaticFileHandler
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from cxlib.reports import page, places, remote
from cxlib.reports.catalogue import home, sorry

# What a browser may fetch from a published report besides pages; notebooks and frozen inputs are not among them.
_FILES = re.compile(r"figures/[\w.-]+\.(?:png|svg)|results\.parquet|run\.json")
_PACK, _PERIOD, _NAME = r"[A-Za-z0-9][\w-]*", r"[A-Za-z0-9][\w-]*", r"[A-Za-z0-9][\w.-]*"
# Voila's template links a style sheet on another host: taken out, and what is left may not leave this server.
ELSEWHERE = re.compile(r"<(?:link|script)\b[^>]*\b(?:href|src)=[\"']?(?:https?:)?//[^>]*>(?:\s*</script>)?")
_APP_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws: data:; frame-ancestors 'none'"
)
_THEIRS = re.compile(r"/voila/(?:tree|files|api/contents|render)")  # of Voila's handlers, those that list and fetch


@dataclass(frozen=True)
class Site:
    """What is served, and for whom."""

    reports: Path
    company: str
    mirror: remote.Mirror

    def published(self, pack: str, period: str) -> dict[str, Any]:
        """Return the manifest of a published report; 404 for any other folder."""
        found = places.manifest(self.reports / pack / period)
        if found is None:
            raise HTTPError(404)
        return found


class _Ours(JupyterHandler):
    """Checks the Host header (as Jupyter does), and fails with a page of our own."""

    @property
    def site(self) -> Site:
        found: Site = self.settings["cx_site"]
        return found

    async def look(self) -> None:
        """Look for newer reports where they lie elsewhere; other visitors are served meanwhile."""
        await asyncio.to_thread(self.site.mirror.look)

    @property
    def content_security_policy(self) -> str:
        return f"{page.POLICY}; frame-ancestors 'none'"

    def write_error(self, status_code: int, **_: Any) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(sorry(self.site.company, status_code))


class _Nothing(_Ours):
    def get(self) -> None:
        raise HTTPError(404)


class _Home(_Ours):
    async def get(self) -> None:
        await self.look()
        self.finish(home(self.site.reports, self.site.company))


class _Page(_Ours):
    async def get(self, pack: str, period: str, name: str | None) -> None:
        await self.look()
        found = self.site.published(pack, period)
        path = self.site.reports / pack / period / f"{name or 'index'}.html"
        if not path.is_file():
            raise HTTPError(404)
        address = f"/explore/{pack}/{period}/{name}" if name in found["notebooks"] else ""
        self.set_header("Cache-Control", "no-cache")  # asked again each time: a report may be made anew
        self.finish(page.with_explore(path.read_text(encoding="utf-8"), address))


class _File(_Ours, StaticFileHandler):
    async def get(self, path: str, include_body: bool = True) -> None:
        pack, period, name = path.split("/", 2)
        self.site.published(pack, period)
        if not _FILES.fullmatch(name):
            raise HTTPError(404)
        await super().get(path, include_body)


class _Explore(_Ours, TornadoVoilaHandler):
    async def get(self, pack: str, period: str, name: str) -> None:
        found = self.site.published(pack, period)
        if name not in found["notebooks"]:
            raise HTTPError(404)
        shell = page.Shell(self.site.company, found["title"], found["period_title"])
        held, opened = "", False  # tags of the head come in pieces: they are put together before they are looked at
        async for part in self.get_generator(path=f"{pack}/{period}/{name}.ipynb"):
            held += part
            if not opened and page.BODY.search(held):
                held, opened = page.around_app(held, shell, f"/reports/{pack}/{period}/{name}.html"), True
            if opened:
                self.write(ELSEWHERE.sub("", held))
                self.flush()
                held = ""

    @property
    def content_security_policy(self) -> str:
        return _APP_POLICY


class Server(Voila):
    """Voila with our handlers before its own, and without those that list folders or fetch files."""

    site: Site

    def init_settings(self) -> dict[str, Any]:
        """Return Voila's settings, with the check of the Host header on: another site's name may point here."""
        ours = {"cx_site": self.site, "allow_remote_access": False, "local_hostnames": ["localhost"]}
        return {**super().init_settings(), **ours}

    def init_handlers(self) -> list[Any]:
        """Return the handlers, ours first."""
        theirs = [one for one in super().init_handlers() if one[0] != "/" and not _THEIRS.match(one[0])]
        voila = {
            "template_paths": self.template_paths,
            "config": self.config,
            "voila_configuration": self.voila_configuration,
        }
        return [
            (r"/", _Home),
            (rf"/explore/({_PACK})/({_PERIOD})/({_NAME})", _Explore, voila),
            (rf"/reports/({_PACK})/({_PERIOD})/(?:({_NAME})\.html)?", _Page),
            (rf"/reports/({_PACK}/{_PERIOD}/.+)", _File, {"path": str(self.site.reports)}),
            *theirs,
            (r"/.*", _Nothing),
        ]
