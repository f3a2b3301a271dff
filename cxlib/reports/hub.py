"""The door of a JupyterHub: `cx serve` as one of its services, which the hub's users reach and its groups may read.

The hub says who somebody is by OAuth, of which `jupyterhub.services.auth.HubOAuth` speaks the protocol. Here is what a
server needs beside it: a browser that is sent to the hub and comes back, and a session that ends soon after the hub
has ended that person's. A service is told of its hub by the environment (JUPYTERHUB_...), started by the hub or not.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

from cxlib.errors import UsageError
from cxlib.reports.viewers import Asked, Viewer, is_name

if TYPE_CHECKING:
    from cxlib.reports.handlers_base import Ours

COOKIE, ASKING = "cx-hub", "cx-hub-asking"
CALLBACK = "oauth_callback"  # below the path of the service
_SESSIONS = 10_000
_ASKED = 600.0  # seconds that somebody may take to sign in at the hub
_FRESH = 60.0  # seconds after which the hub is asked again
_TRUSTED = 600.0  # seconds that its last word holds where it does not answer


class Hub(Protocol):
    """What is used of `HubOAuth`."""

    login_url: str
    access_scopes: set[str]

    def generate_pkce_code_challenge(self) -> tuple[str, str, str]:
        """Return a secret, its digest and how it was made."""

    async def token_for_code(self, code: str, *, code_verifier: str, sync: bool) -> str:
        """Return the hub's token for the code that a browser brings back."""

    async def user_for_token(self, token: str, *, use_cache: bool, sync: bool) -> dict[str, Any] | None:
        """Return whom the hub knows by a token."""

    def check_scopes(self, required_scopes: set[str], user: Mapping[str, Any]) -> Collection[str]:
        """Return which of the scopes a user has."""


@dataclass(frozen=True)
class Service:
    """How a hub wants to reach us, and the way to it."""

    hub: Hub
    base: str
    host: str
    port: int


def service(environment: Mapping[str, str]) -> Service | None:
    """Return the service that a hub's environment describes.

    Parameters
    ----------
    environment
        Of the process.

    Returns
    -------
    Service or None
        None where no hub has started us; a terminal in somebody's notebook server is no service.

    Raises
    ------
    UsageError
        Where the environment is not whole, or the package is missing.
    """
    if not environment.get("JUPYTERHUB_SERVICE_NAME") or environment.get("JUPYTERHUB_USER"):
        return None
    names = ("API_TOKEN", "API_URL", "SERVICE_PREFIX", "SERVICE_URL", "CLIENT_ID")
    lacking = [f"JUPYTERHUB_{name}" for name in names if not environment.get(f"JUPYTERHUB_{name}")]
    if lacking:
        raise UsageError(
            f"started as the service {environment['JUPYTERHUB_SERVICE_NAME']!r} of a JupyterHub without"
            f" {', '.join(lacking)}",
            hint="Name a url in the service's entry of jupyterhub_config.py; see docs/deploy.md.",
        )
    try:
        from jupyterhub.services.auth import HubOAuth
    except ImportError:
        raise UsageError("the package jupyterhub is missing", hint="Install it: pip install 'cxlib[hub]'.") from None
    token, api, base, url, client = (environment[f"JUPYTERHUB_{name}"] for name in names)
    base, parts = f"/{base.strip('/')}/", urlsplit(url)
    prefix, scopes = (environment.get(f"JUPYTERHUB_{name}") for name in ("BASE_URL", "OAUTH_ACCESS_SCOPES"))
    name = environment["JUPYTERHUB_SERVICE_NAME"]
    found = HubOAuth(
        api_token=token, api_url=api, base_url=base, oauth_client_id=client,
        hub_host=environment.get("JUPYTERHUB_HOST", ""), hub_prefix=f"{prefix or '/'}hub/",
        oauth_redirect_uri=environment.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or base + CALLBACK,
        access_scopes=set(json.loads(scopes)) if scopes else {f"access:services!service={name}"},
    )  # fmt: skip
    return Service(found, base, parts.hostname or "127.0.0.1", parts.port or 80)


@dataclass
class _Session:
    token: str
    viewer: Viewer
    until: float
    told: float  # when the hub said so
    asking: asyncio.Task[None] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Asking:
    browser: str
    there: str
    secret: str
    until: float


class HubDoor:
    """The door of a hub's users.

    Parameters
    ----------
    hub
        The way to the hub.
    base
        The path under which our addresses lie.
    see_everything
        Groups of the hub whose members see every report.
    hours
        How long a session lasts, as long as the hub knows its user.
    clock
        Seconds that only grow.
    """

    login = True

    def __init__(
        self,
        hub: Hub,
        base: str,
        see_everything: Collection[str] = (),
        hours: float = 12,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub, self._base, self._everything = hub, base, see_everything
        self._seconds, self._clock = hours * 3600, clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._asked: OrderedDict[str, _Asking] = OrderedDict()

    def viewer(self, asked: Asked) -> Viewer | None:
        """Return whose session comes with a request; the hub is asked about it now and then, while nobody waits."""
        name, now = asked.cookies.get(COOKIE, ""), self._clock()
        session = self._sessions.get(name)
        if session is None or session.until < now or session.told + _TRUSTED < now:
            self._sessions.pop(name, None)
            return None
        if session.told + _FRESH < now and (session.asking is None or session.asking.done()):
            session.asking = asyncio.get_running_loop().create_task(self._look(name, session))
        return session.viewer

    async def _look(self, name: str, session: _Session) -> None:
        """Ask the hub whether it still knows whose session it is, and their groups."""
        try:
            found = await self._user(session.token)
        except Exception:  # whatever keeps the hub from answering: its last word holds for a while
            return
        if found is None:
            self._sessions.pop(name, None)
        else:
            session.viewer, session.told = found, self._clock()

    async def _user(self, token: str) -> Viewer | None:
        """Return the viewer whom the hub knows by a token and lets use this service."""
        found = await self._hub.user_for_token(token, use_cache=False, sync=False)
        if not found or not is_name(str(found.get("name", ""))):
            return None
        if not self._hub.check_scopes(self._hub.access_scopes, found):
            return None
        groups = frozenset(str(one) for one in found.get("groups") or ())
        return Viewer(str(found["name"]), groups, not groups.isdisjoint(self._everything))

    def send(self, handler: Ours) -> None:
        """Send a browser to the hub; whoever is no browser on its way to a page gets the refusal as it is."""
        if handler.request.method != "GET" or handler.request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
            handler.finish()
            return
        browser = handler.get_cookie(ASKING) or secrets.token_urlsafe(32)
        secret, digest, how = self._hub.generate_pkce_code_challenge()
        state = secrets.token_urlsafe(32)
        self._asked[state] = _Asking(browser, handler.request.uri or self._base, secret, self._clock() + _ASKED)
        if len(self._asked) > _SESSIONS:
            self._asked.popitem(last=False)
        self._keep(handler, ASKING, browser, max_age=int(_ASKED))
        more = urlencode({"state": state, "code_challenge": digest, "code_challenge_method": how})
        handler.redirect(f"{self._hub.login_url}&{more}")

    async def enter(self, state: str, browser: str, code: str) -> tuple[str, str] | None:
        """Return a new session's name and where its viewer wanted to go; None for who was not sent by us or is nobody.

        Raises
        ------
        Exception
            What keeps the hub from answering.
        """
        asked = self._asked.pop(state, None)
        if asked is None or asked.until < self._clock() or not secrets.compare_digest(asked.browser, browser):
            return None
        token = await self._hub.token_for_code(code, code_verifier=asked.secret, sync=False)
        viewer = await self._user(token)
        if viewer is None:
            return None
        name, now = secrets.token_urlsafe(32), self._clock()
        self._sessions[name] = _Session(token, viewer, now + self._seconds, now)
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return name, asked.there

    def open(self, handler: Ours, session: str) -> None:
        """Give a browser its session."""
        self._keep(handler, COOKIE, session)
        handler.clear_cookie(ASKING, path=self._base)

    def leave(self, handler: Ours) -> None:
        """End the session of a browser."""
        self._sessions.pop(handler.get_cookie(COOKIE) or "", None)
        handler.clear_cookie(COOKIE, path=self._base)

    def _keep(self, handler: Ours, name: str, value: str, **more: Any) -> None:
        """Set a cookie that comes along when the hub, or a link elsewhere, leads to here, and with nothing else."""
        handler.set_cookie(name, value, path=self._base, httponly=True, samesite="Lax", secure=handler.secure, **more)
