"""`cx serve` as a service of a hub: a real process below a path, with a stand-in of the package `jupyterhub`."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from attacker import HOST, Answer, free_port, workspace
from test_reports_hub import BASE, environment

ROOT = Path(__file__).resolve().parent.parent
REPORT = f"{BASE}reports/toy/2026-10/"
# Here the code that a browser brings back is `name group group`, and so is the token that the hub gives for it.
CLIENT = """\
class HubOAuth:
    def __init__(self, **given):
        self.access_scopes = given["access_scopes"]
        self.login_url = f"{given['hub_host']}/hub/api/oauth2/authorize?client_id={given['oauth_client_id']}"
    def generate_pkce_code_challenge(self):
        return "verifier", "challenge", "S256"
    async def token_for_code(self, code, *, code_verifier, sync):
        if code == "down":
            raise ConnectionError("secret inside")
        return code
    async def user_for_token(self, token, *, use_cache, sync):
        name, *groups = token.split()
        return {"name": name, "groups": groups, "scopes": self.access_scopes if groups else []}
    def check_scopes(self, required_scopes, user):
        return set(required_scopes) & set(user["scopes"])
"""


class Hubbed:
    """A browser's cookies, and the server."""

    def __init__(self, port: int) -> None:
        self.port, self.cookies = port, {}

    def ask(self, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=60)) as connection:
            connection.request(method, path, body=body, headers=sent)
            found = connection.getresponse()
            for line in found.headers.get_all("Set-Cookie") or ():
                name, _, value = line.partition("=")
                self.cookies[name] = value.partition(";")[0].strip('"')
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())

    def come_back(self, code: str, there: str = BASE) -> Answer:
        """Be sent to the hub on the way to an address, and come back with a code."""
        sent = self.ask(there)
        assert sent.status == 302, sent.text
        state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
        return self.ask(f"{BASE}oauth_callback?state={state}&code={code.replace(' ', '+')}")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, warm_module: None) -> Iterator[int]:
    root, client = workspace(tmp_path_factory.mktemp("hub") / "w"), tmp_path_factory.mktemp("client")
    (client / "jupyterhub" / "services").mkdir(parents=True)
    for name in ("__init__.py", "services/__init__.py"):
        (client / "jupyterhub" / name).write_text("", encoding="utf-8")
    (client / "jupyterhub" / "services" / "auth.py").write_text(CLIENT, encoding="utf-8")
    found = free_port()
    told = environment(SERVICE_URL=f"http://{HOST}:{found}", HOST="https://hub.example.org")
    env = {**os.environ, **told, "PYTHONPATH": f"{client}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser"]
    with (root / "serve.log").open("w") as log:
        process = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    try:
        while not _answers(found):
            assert process.poll() is None, (root / "serve.log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        return Hubbed(port).ask(f"{BASE}health").text == "ok\n"
    except OSError:
        return False


def test_all_lies_below_the_path_and_nothing_beside_it(port: int) -> None:
    browser = Hubbed(port)
    assert browser.come_back("ann leadership").headers["location"] == BASE
    for path in (BASE, f"{REPORT}index.html", f"{REPORT}01_first.html"):
        page = browser.ask(path)
        assert page.status == 200
        links = re.findall(r"(?:href|src|action)=[\"'](/[^\"']*)", page.text)
        assert links
        assert [link for link in links if not link.startswith(BASE) or link.startswith(BASE * 2)] == []
    assert all(browser.ask(path).status == 404 for path in ("/", "/health", "/reports/toy/2026-10/index.html"))
    app = browser.ask(f"{BASE}explore/toy/2026-10/01_first")
    assert app.status == 200
    links = re.findall(r"(?:href|src|action)=[\"'](/[^\"']*)", app.text)
    assert [link for link in links if not link.startswith(BASE) or link.startswith(BASE + BASE[1:])] == []
    assert f'"baseUrl": "{BASE}"' in app.text
    kernel = re.search(r'"kernelId": ?"([0-9a-f-]{36})"', app.text)
    assert kernel
    assert browser.ask(f"{BASE}api/kernels/{kernel[1]}").status == 200
    assert Hubbed(port).ask(f"{BASE}api/kernels/{kernel[1]}", Sec_Fetch_Mode="cors").status == 401


def test_the_hub_s_groups_say_what_somebody_may_see(port: int) -> None:
    ann, bob = Hubbed(port), Hubbed(port)
    ann.come_back("ann leadership")
    bob.come_back("bob care")
    assert "/reports/board/2026-10/" in ann.ask(BASE).text
    assert "/reports/board/2026-10/" not in bob.ask(BASE).text
    assert (ann.ask(f"{BASE}reports/board/2026-10/").status, bob.ask(f"{BASE}reports/board/2026-10/").status) == (
        200,
        404,
    )


def test_whoever_comes_back_goes_where_they_wanted_and_to_no_other_site(port: int) -> None:
    wanted = f"{BASE}explore/toy/2026-10/01_first?period=2026-10&segment=region"
    assert Hubbed(port).come_back("ann leadership", wanted).headers["location"] == wanted
    for there in ("//elsewhere.example/x", "/\\elsewhere.example"):
        assert Hubbed(port).come_back("ann leadership", there).headers["location"] == BASE


def test_what_the_hub_did_not_give_opens_nothing(port: int) -> None:
    browser, other = Hubbed(port), Hubbed(port)
    assert browser.come_back("eve").status == 403, "no role lets eve in"
    failed = browser.come_back("down")
    assert (failed.status, "secret inside" in failed.text) == (502, False)
    sent = browser.ask(BASE)
    state = parse_qs(urlsplit(sent.headers["location"]).query)["state"][0]
    other.ask(BASE)
    assert other.ask(f"{BASE}oauth_callback?state={state}&code=ann+leadership").status == 403, "another browser's state"
    assert other.ask(f"{BASE}oauth_callback?state=&code=ann+leadership").status == 403
    assert browser.ask(BASE, Authorization="Bearer ann leadership").status == 302
    assert browser.ask(f"{BASE}login").headers["location"] == BASE, "the hub has a form of its own"
    assert browser.ask(BASE, X_Forwarded_User="ann", X_Forwarded_Groups="leadership").status == 302


def test_a_logout_ends_the_session(port: int) -> None:
    browser = Hubbed(port)
    browser.come_back("ann leadership")
    session = browser.cookies["cx-hub"]
    browser.cookies["_xsrf"] = "twice"
    done = browser.ask(
        f"{BASE}logout", method="POST", body="_xsrf=twice", Content_Type="application/x-www-form-urlencoded"
    )
    assert (done.status, done.headers["location"]) == (303, BASE)
    browser.cookies["cx-hub"] = session
    assert browser.ask(BASE).status == 302
