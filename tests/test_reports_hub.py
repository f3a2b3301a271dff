"""The door of a JupyterHub: who is sent to the hub, who comes back, and for how long the hub's word holds.

The hub is a stand-in that speaks its REST API over HTTP where `jupyterhub` is installed (then its own `HubOAuth` is the
client), and one in this process elsewhere. A real hub was tried by hand; see docs/deploy.md.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cxlib.errors import UsageError
from cxlib.reports import hub
from cxlib.reports.hub import ASKING, COOKIE, HubDoor
from cxlib.reports.viewers import Asked, Viewer

SCOPE = "access:services!service=cx"
ANN = {"name": "ann", "groups": ["leadership"], "scopes": [SCOPE]}
BASE = "/services/cx/"


def environment(**more: str) -> dict[str, str]:
    """What a hub tells a service that it starts."""
    given = {
        "SERVICE_NAME": "cx", "SERVICE_PREFIX": BASE, "SERVICE_URL": "http://127.0.0.1:8866", "CLIENT_ID": "service-cx",
        "API_TOKEN": "secret", "API_URL": "http://127.0.0.1:8081/hub/api", "BASE_URL": "/", "HOST": "",
        "OAUTH_CALLBACK_URL": f"{BASE}oauth_callback", "OAUTH_ACCESS_SCOPES": json.dumps([SCOPE]), **more,
    }  # fmt: skip
    return {f"JUPYTERHUB_{name}": value for name, value in given.items() if value is not None}


class StandIn:
    """A hub in this process."""

    login_url = "/hub/api/oauth2/authorize?client_id=service-cx"
    access_scopes = {SCOPE}  # noqa: RUF012

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any] | None] = {"token": ANN}
        self.down, self.asked = False, 0

    def generate_pkce_code_challenge(self) -> tuple[str, str, str]:
        return "verifier", "challenge", "S256"

    async def token_for_code(self, code: str, *, code_verifier: str, sync: bool) -> str:
        assert (code, code_verifier, sync) == ("code", "verifier", False)
        return "token"

    async def user_for_token(self, token: str, *, use_cache: bool, sync: bool) -> dict[str, Any] | None:
        assert (use_cache, sync) == (False, False)
        self.asked += 1
        if self.down:
            raise ConnectionError("no hub")
        return self.users.get(token)

    def check_scopes(self, required_scopes: set[str], user: Any) -> set[str]:
        return required_scopes & set(user["scopes"])


class Browser:
    """A handler of a request, and the cookies of the browser that sent it."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}
        self.kept: dict[str, dict[str, Any]] = {}
        self.secure = True

    def at(self, uri: str, method: str = "GET", **headers: str) -> Browser:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.request = SimpleNamespace(uri=uri, method=method, headers=named)
        self.sent, self.finished = "", False
        return self

    def get_cookie(self, name: str) -> str | None:
        return self.cookies.get(name)

    def set_cookie(self, name: str, value: str, **how: Any) -> None:
        self.cookies[name], self.kept[name] = value, how

    def clear_cookie(self, name: str, **how: Any) -> None:
        assert how["path"] == self.kept[name]["path"]
        del self.cookies[name]

    def redirect(self, there: str) -> None:
        self.sent = there

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=1_000.0)


@pytest.fixture
def door(stand_in: StandIn, clock: SimpleNamespace) -> HubDoor:
    return HubDoor(stand_in, BASE, ["insight-team"], 12, lambda: clock.now)


def state_of(browser: Browser) -> str:
    return parse_qs(urlsplit(browser.sent).query)["state"][0]


def signed_in(door: HubDoor) -> Browser:
    """A browser that was sent to the hub and has come back."""
    browser = Browser().at(f"{BASE}reports/monthly/2026-10/index.html?x=1&y=2")
    door.send(browser)
    entered = asyncio.run(door.enter(state_of(browser), browser.cookies[ASKING], "code"))
    assert entered is not None
    assert entered[1] == f"{BASE}reports/monthly/2026-10/index.html?x=1&y=2"
    door.open(browser, entered[0])
    return browser


def seen(door: HubDoor, browser: Browser, times: int = 1) -> list[Viewer | None]:
    """Who the door says a browser is, asked several times in a row while the hub has time to answer."""

    async def look() -> list[Viewer | None]:
        found = []
        for _ in range(times):
            found.append(door.viewer(Asked({}, "127.0.0.1", browser.cookies)))
            for _ in range(5):
                await asyncio.sleep(0)
        return found

    return asyncio.run(look())


def test_a_browser_goes_to_the_hub_and_comes_back_as_somebody(door: HubDoor) -> None:
    assert seen(door, Browser()) == [None]
    browser = signed_in(door)
    assert seen(door, browser) == [Viewer("ann", frozenset({"leadership"}))]
    assert set(browser.cookies) == {COOKIE}
    assert browser.kept[COOKIE] == {"path": BASE, "httponly": True, "samesite": "Lax", "secure": True}
    query = parse_qs(urlsplit(browser.sent).query)
    assert (query["code_challenge"], query["code_challenge_method"]) == (["challenge"], ["S256"])
    assert "verifier" not in browser.sent
    door.leave(browser)
    assert browser.cookies == {}


def test_a_state_is_good_once_for_its_browser_and_not_for_long(door: HubDoor, clock: SimpleNamespace) -> None:
    browser = Browser().at(BASE)
    door.send(browser)
    state, own = state_of(browser), browser.cookies[ASKING]
    assert asyncio.run(door.enter("made up", own, "code")) is None
    assert asyncio.run(door.enter(state, "another's", "code")) is None
    assert asyncio.run(door.enter(state, own, "code")) is None, "it was used up"
    door.send(browser)
    clock.now += 601
    assert asyncio.run(door.enter(state_of(browser), own, "code")) is None
    door.send(browser)
    first = state_of(browser)
    door.send(browser)  # two tabs sign in at the same time
    assert asyncio.run(door.enter(first, own, "code"))
    assert asyncio.run(door.enter(state_of(browser), own, "code"))


@pytest.mark.parametrize(
    "user", [None, {}, {**ANN, "scopes": []}, {**ANN, "name": "a, b"}, {**ANN, "name": ""}], ids=str
)
def test_whom_the_hub_does_not_let_in_stays_out(door: HubDoor, stand_in: StandIn, user: dict[str, Any] | None) -> None:
    stand_in.users["token"] = user
    browser = Browser().at(BASE)
    door.send(browser)
    assert asyncio.run(door.enter(state_of(browser), browser.cookies[ASKING], "code")) is None


def test_only_a_browser_on_its_way_to_a_page_is_sent_away(door: HubDoor) -> None:
    for how in ({"method": "POST"}, {"Sec_Fetch_Mode": "websocket"}, {"Sec_Fetch_Mode": "cors"}):
        browser = Browser().at(f"{BASE}api/kernels/1/channels", **how)
        door.send(browser)
        assert (browser.sent, browser.finished, browser.cookies) == ("", True, {})


def test_what_the_hub_says_later_holds_a_minute_later(door: HubDoor, stand_in: StandIn, clock: SimpleNamespace) -> None:
    browser = signed_in(door)
    clock.now += 59
    asked = stand_in.asked
    assert seen(door, browser, 3)[2] is not None
    assert stand_in.asked == asked, "it was asked a moment ago"
    stand_in.users["token"] = {**ANN, "groups": ["insight-team"]}
    clock.now += 2
    assert seen(door, browser, 3)[1:] == [Viewer("ann", frozenset({"insight-team"}), everything=True)] * 2
    assert stand_in.asked == asked + 1
    stand_in.users["token"] = None
    clock.now += 61
    assert seen(door, browser, 2)[1] is None
    assert seen(door, browser) == [None]


def test_a_hub_that_is_away_is_missed_after_ten_minutes(
    door: HubDoor, stand_in: StandIn, clock: SimpleNamespace
) -> None:
    browser = signed_in(door)
    stand_in.down = True
    clock.now += 300
    assert seen(door, browser, 3)[2] is not None
    clock.now += 301
    assert seen(door, browser, 2) == [None, None]


def test_a_session_ends_however_well_the_hub_thinks_of_it(
    door: HubDoor, stand_in: StandIn, clock: SimpleNamespace
) -> None:
    browser, hours = signed_in(door), 0.0
    while hours < 11.9:
        clock.now += 360
        hours += 0.1
        assert seen(door, browser) != [None]
    clock.now += 800
    assert seen(door, browser) == [None]


def test_only_a_service_of_a_hub_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.service({}) is None
    assert hub.service(environment(USER="ann", SERVICE_PREFIX="/user/ann/")) is None, "a terminal of a notebook server"
    with pytest.raises(UsageError, match="without JUPYTERHUB_API_TOKEN, JUPYTERHUB_SERVICE_URL"):
        hub.service(environment(API_TOKEN="", SERVICE_URL=""))
    monkeypatch.setitem(__import__("sys").modules, "jupyterhub.services.auth", None)
    with pytest.raises(UsageError, match="the package jupyterhub is missing"):
        hub.service(environment())


# ------------------------------------------------------------------------------------ with the hub's own client


class Api(BaseHTTPRequestHandler):
    """The addresses of a hub's REST API that a service asks."""

    known: dict[str, Any]

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        digest = urlsafe_b64encode(sha256(form["code_verifier"][0].encode()).digest()).decode().rstrip("=")
        right = (form["code"], form["client_secret"], digest) == (["code"], ["secret"], self.known["challenge"])
        self.answer(200 if right else 400, {"access_token": "of-ann"} if right else {"error": "invalid_grant"})

    def do_GET(self) -> None:
        mine = (self.path, self.headers["Authorization"]) == ("/hub/api/user", "token of-ann")
        user = self.known["user"] if mine else None
        self.answer(200 if user else 403, user or {"message": "Forbidden"})

    def answer(self, code: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[ThreadingHTTPServer]:
    Api.known = {"user": ANN, "challenge": ""}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not importlib.util.find_spec("jupyterhub"), reason="jupyterhub is not installed (extra hub)")
def test_the_hub_s_own_client_is_what_we_take_it_for(api: ThreadingHTTPServer) -> None:
    found = hub.service(environment(API_URL=f"http://127.0.0.1:{api.server_address[1]}/hub/api"))
    assert found is not None
    assert (found.base, found.host, found.port) == (BASE, "127.0.0.1", 8866)
    door = HubDoor(found.hub, found.base)
    browser = Browser().at(BASE)
    door.send(browser)
    parts, query = urlsplit(browser.sent), parse_qs(urlsplit(browser.sent).query)
    assert parts.path == "/hub/api/oauth2/authorize"
    assert query["client_id"] == ["service-cx"]
    assert query["redirect_uri"] == [f"{BASE}oauth_callback"]
    assert query["response_type"] == ["code"]
    Api.known["challenge"] = query["code_challenge"][0]

    async def come_back() -> None:
        entered = await door.enter(query["state"][0], browser.cookies[ASKING], "code")
        assert entered is not None
        door.open(browser, entered[0])
        assert door.viewer(Asked({}, "", browser.cookies)) == Viewer("ann", frozenset({"leadership"}))
        door.send(browser)
        Api.known["user"] = None
        Api.known["challenge"] = parse_qs(urlsplit(browser.sent).query)["code_challenge"][0]
        assert await door.enter(state_of(browser), browser.cookies[ASKING], "code") is None

    asyncio.run(come_back())
