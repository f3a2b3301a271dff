"""What every answer of the report server goes through: the host, the door, the allowance, the headers, the audit log.

`Ours` is the base class of every handler of the server, those of Voila and Jupyter included (the server refuses to
start with another one). A handler finds `self.site` (what is served, and its settings), `self.viewer` (who asks),
`self.published(pack, period)` (the manifest, or 404 also for a report that is not for this viewer) and
`self.standing()` (all that this viewer may see). A kernel belongs to a viewer: whoever starts one says so in
`self.site.owners`, kernel id -> `Owner`. `Ours.of_now()` is the handler of the request under way, for code
that Voila calls without it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from jupyter_server import CallContext
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError

from cxlib.params.serving import Serving
from cxlib.reports import page, places, remote
from cxlib.reports.catalogue import sorry
from cxlib.reports.hub import HubDoor
from cxlib.reports.shelf import Shelf
from cxlib.reports.viewers import Addresses, Asked, Door, LocalDoor, Refused, Viewer, is_loopback, may_see
from cxlib.reports.visits import Visits

PACK, PERIOD, NAME = r"[A-Za-z0-9][\w-]*", r"[A-Za-z0-9][\w-]*", r"[A-Za-z0-9][\w.-]*"
_ABSOLUTE = re.compile(r"""\b(href|action)=(["'])/(?!/)""")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cache-Control": "private, no-cache",  # asked again each time: a report may be made anew, a viewer may leave
}
_XSRF = "_xsrf"  # Tornado's cookie against forged forms; Voila's scripts know it by how its name ends
_OFTEN = (401, 405, 429)  # refusals that cost a viewer nothing to bring about: so many are one line
_A_YEAR = "max-age=31536000"
_FORM = """<h1>Sign in</h1>{told}
<form class="sign-in" method="post" action="/login">{xsrf}<input type="hidden" name="next" value="{there}">
<p><label for="token">Your token</label></p>
<p><input id="token" name="token" type="password" autocomplete="current-password" required autofocus></p>
<p><button type="submit">Sign in</button></p></form>
<p class="soft">Who gave you the address of these reports can give you a token.</p>"""


def _unknown(_: str) -> None:
    """Know of no pack who its readers are."""


@dataclass(frozen=True)
class Owner:
    """Whose a kernel is, by the name of the viewer, and of which report."""

    viewer: str
    pack: str
    period: str


@dataclass(frozen=True)
class Site:
    """What is served, for whom, and what is remembered of it while the server runs."""

    reports: Path
    company: str
    mirror: remote.Mirror
    visits: Visits
    serving: Serving = field(default_factory=Serving)
    door: Door = field(default_factory=LocalDoor)
    proxies: Addresses = field(default_factory=lambda: Addresses(()))
    readers: Callable[[str], Sequence[str] | None] = _unknown  # as params/ name them today
    exposed: bool = False  # reached from other machines
    base: str = "/"  # the path under which all addresses lie
    shelf: Shelf = field(default_factory=Shelf)
    owners: MutableMapping[str, Owner] = field(default_factory=dict)
    answering: set[object] = field(default_factory=set)  # requests under way
    connected: MutableMapping[object, str] = field(default_factory=dict)  # websocket -> name of its viewer

    def sockets(self, viewer: Viewer) -> int:
        """Return how many websockets a viewer holds."""
        return list(self.connected.values()).count(viewer.name)

    def sees(self, viewer: Viewer, pack: str, manifest: dict[str, Any]) -> bool:
        """Say whether a viewer may see a report of a pack."""
        return may_see(viewer, manifest, self.readers(pack))

    def explores(self, viewer: Viewer, owner: Owner) -> bool:
        """Say whether a viewer owns a kernel and may still see the report that it explores."""
        found = self.shelf.manifest(self.reports / owner.pack / owner.period)
        return found is not None and owner.viewer == viewer.name and self.sees(viewer, owner.pack, found)

    def answers_to(self, host: str) -> bool:
        """Say whether a name in a Host header is ours; another site's name may point at this machine."""
        name = re.sub(r":\d*$", "", host).strip("[]").lower()
        if name in {one.lower() for one in self.serving.names} or is_loopback(name):
            return True
        return self.exposed and bool(re.fullmatch(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*", name))  # no name at all


class Ours(JupyterHandler):
    """Lets in who may come in, and fails with a page of our own."""

    open_to_all: ClassVar[bool] = False  # also to those who have not said who they are
    cost: ClassVar[float] = 1.0  # of what a viewer may ask for in a minute
    counted: ClassVar[str] = ""  # an allowance of its own, by address: nobody else's requests use it up
    told: ClassVar[bool] = True  # in the audit log also where nothing was refused
    viewer: Viewer
    _why = ""
    _wait = 0
    address = ""

    @staticmethod
    def of_now() -> Ours:
        """Return the handler of the request under way."""
        found: Ours = CallContext.get(CallContext.JUPYTER_HANDLER)
        return found

    @property
    def site(self) -> Site:
        """What is served."""
        found: Site = self.settings["cx_site"]
        return found

    @property
    def content_security_policy(self) -> str:
        """What a browser may load, send and be framed by."""
        return f"{page.POLICY}; frame-ancestors 'none'"

    @property
    def secure(self) -> bool:
        """Whether the viewer's browser came over https, by the word of a believed proxy."""
        told = (self.request.headers.get(f"X-Forwarded-{name}", "") for name in ("For", "Proto"))
        return self.site.proxies.https(self.request.remote_ip or "", *told)

    def get_cookie(self, name: str, default: Any = None) -> Any:
        """Return the value of a cookie that came along."""
        return super().get_cookie(self._cookie(name), default)

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **more: Any) -> None:
        """Set a cookie, for https alone where that is how the viewer came."""
        super().set_cookie(self._cookie(name), value, *args, **{"secure": self.secure, **more})

    def _cookie(self, name: str) -> str:
        """Return the name of a cookie: that against forged forms is taken from no other host, where a host is ours.

        A proxy that signs viewers in hands on this one alone, by its plain name.
        """
        ours = self.site.door.login and self.site.base == "/" and self.secure
        return f"__Host-{_XSRF}" if name == _XSRF and ours else name

    def set_default_headers(self) -> None:
        """Set what every answer says to a browser."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", self.content_security_policy)
        if self.secure:
            self.set_header("Strict-Transport-Security", _A_YEAR)
        if self._wait:
            self.set_header("Retry-After", str(self._wait))
        self.clear_header("Server")

    def check_host(self) -> bool:
        """Say whether the request names a host of ours."""
        return self.site.answers_to(self.request.host)

    async def prepare(self, **more: Any) -> Any:
        """Let the request in, or answer it."""
        self.current_user = None  # until the door has said who it is
        self.site.answering.add(self)
        self.address = self.client()
        if not self.check_host():
            raise self.refusal(403, "names a host that is not ours")
        self._check_site()
        found = self._enter()
        by_address = f"{self.counted} address {self.address}"
        who = by_address if found is None or self.counted else f"viewer {found.name}"
        waiting = self.settings["cx_allowance"].wait(who, self.cost)
        if waiting:
            raise self.too_often(waiting, "asked too often")
        if found is None and not self.open_to_all:
            raise self.refusal(401 if self.site.door.login else 403, "nobody")
        if found is not None:
            self.viewer = found
        return await super().prepare(**more)

    def client(self) -> str:
        """Return the address of who asks, by the word of a believed proxy."""
        return self.site.proxies.client(self.request.remote_ip or "", self.request.headers.get("X-Forwarded-For", ""))

    def _check_site(self) -> None:
        """Refuse what another site makes a browser ask for, other than a link that somebody follows to here."""
        headers = self.request.headers
        if headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return
        link = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        if not link or self.request.method not in ("GET", "HEAD"):
            raise self.refusal(403, "asked for by another site")

    def _enter(self) -> Viewer | None:
        """Ask the door who it is."""
        cookies = {name: morsel.value for name, morsel in self.request.cookies.items()}
        asked = Asked(self.request.headers, self.request.remote_ip or "", cookies)
        try:
            return self.site.door.viewer(asked)
        except Refused as refused:
            if self.open_to_all:
                return None
            raise self.refusal(403, str(refused)) from None

    def refusal(self, status: int, reason: str) -> HTTPError:
        """Return the error that answers a refused request; why is for the audit log alone."""
        self._why = reason
        return HTTPError(status)

    def too_often(self, seconds: float, reason: str) -> HTTPError:
        """Return the error that answers who has to wait so long."""
        self._wait = int(seconds) + 1
        return self.refusal(429, reason)

    def published(self, pack: str, period: str) -> dict[str, Any]:
        """Return the manifest of a published report; 404 for any other folder, and for what is not for this viewer."""
        found = self.site.shelf.manifest(self.site.reports / pack / period)
        if found is None or not self.site.sees(self.viewer, pack, found):
            raise self.refusal(404, "not for this viewer" if found else "not there")
        return found

    def standing(self) -> list[places.Standing]:
        """Return the published reports that this viewer may see."""
        found = self.site.shelf.catalogue(self.site.reports)
        return [one for one in found if self.site.sees(self.viewer, one.pack, one.manifest)]

    async def look(self) -> None:
        """Look for newer reports where they lie elsewhere; other visitors are served meanwhile."""
        await asyncio.to_thread(self.site.mirror.look)

    def based(self, html: str) -> str:
        """Return a page whose addresses lie under the path of this server."""
        if self.site.base == "/":
            return html
        below = self.site.base[1:]  # where Voila has put its own already
        return _ABSOLUTE.sub(lambda at: at[0] if html.startswith(below, at.end()) else at[0] + below, html)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer with a page of ours; who has not signed in is asked to."""
        if status_code == 401:
            if isinstance(self.site.door, HubDoor):
                self.site.door.send(self)
            else:
                self.ask_for_token(401, self.request.uri or "/")
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(self.based(sorry(self.site.company, status_code)))

    def ask_for_token(self, status: int, there: str, told: str = "") -> None:
        """Answer with the form for a token, which leads to the address `there`; `told` is HTML above it."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", f"{page.FORM_POLICY}; frame-ancestors 'none'")
        if status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        if self.request.headers.get("Sec-Fetch-Site") == "cross-site":
            # a browser sends a strict cookie not along with a link on another site, but with one of our own
            self.set_header("Refresh", "0")
        form = _FORM.format(told=told, there=escape(there), xsrf=self.xsrf_form_html())
        self.finish(self.based(page.plain("Sign in", form, self.site.company, forms=True)))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Say what failed inside, without what the asker wrote; answers that are meant to be refusals are no news."""
        if not isinstance(value, HTTPError):
            self._why = f"failed: {type(value).__name__}"
            super().log_exception(typ, value, tb)

    def on_connection_close(self) -> None:
        """Forget an answer that nobody waits for any more."""
        super().on_connection_close()
        self.site.answering.discard(self)

    def on_finish(self) -> None:
        """Write the answered request into the audit log."""
        super().on_finish()
        self.site.answering.discard(self)
        self.note((self.request.method or "")[:20])

    def note(self, what: str, **more: str | int | float) -> None:
        """Write a line of the audit log about this request; its path only: a query may hold secrets."""
        status = self.get_status()
        if not self.told and status < 400:
            return
        known = {
            "viewer": getattr(self, "viewer", Viewer("")).name, "address": self.address, "path": self.request.path,
            "status": status, "bytes": int(self._headers.get("Content-Length", 0)),
            "ms": round(self.request.request_time() * 1000),
        }  # fmt: skip
        reason = {"reason": self._why} if self._why else {}
        often = status in _OFTEN or (400 <= status < 500 and not known["viewer"])
        write = self.site.visits.refused if often else self.site.visits.note
        write(what, **{**known, **reason, **more})


class Nothing(Ours):
    """Whatever else is asked for."""

    async def get(self, *_: str) -> None:
        """Answer that it is not there."""
        raise HTTPError(404)

    head = post = put = delete = patch = options = get


class Doorman(IdentityProvider):
    """Tells Jupyter's handlers who asks: the viewer that our door has let in."""

    def get_user(self, handler: Any) -> User | None:
        """Return the viewer as Jupyter's user."""
        viewer = getattr(handler, "viewer", None)
        return None if viewer is None else User(viewer.name)
