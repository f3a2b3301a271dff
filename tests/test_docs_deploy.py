"""The examples of `docs/deploy.md` pass their tools' own checks where these are, and do what the page says of them.

The configuration of nginx is run as it stands, but for its ports and paths, before a stand-in of oauth2-proxy and an
upstream that tells what reached it.
"""

from __future__ import annotations

import ast
import configparser
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from test_docs import blocks, cx_fault

from cxlib.params.serving import Serving

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "deploy.md").read_text(encoding="utf-8")
NAME = "reports.example.org"
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def shipped(name: str) -> str:
    return (DOCS / "deploy" / name).read_text(encoding="utf-8")


def test_every_file_is_named_on_the_page_and_no_other() -> None:
    named = set(re.findall(r"\]\(deploy/([\w.-]+)\)", PAGE))
    assert named == {path.name for path in (DOCS / "deploy").iterdir() if path.is_file()}


def test_the_settings_of_the_page_are_settings() -> None:
    (content,) = [yaml.load(block.body, yaml.BaseLoader) for block in blocks(PAGE) if block.language == "yaml"]
    assert Serving.model_validate(content["serving"]).names == (NAME,)
    assert content["serving"]["log"].startswith("/var/log/cx-serve/")


# ------------------------------------------------------------------------------------------------------------ systemd


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, delimiters=["="], strict=True)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(shipped("cx-serve.service"))
    return found


def test_the_unit_calls_cx_and_keeps_the_system_calls_of_landlock() -> None:
    service = unit()["Service"]
    program, *words = service["ExecStart"].split()
    assert program == "/srv/cx/.venv/bin/cx"
    assert cx_fault(words, whole=True) == ""
    assert {"@system-service", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(
        service["SystemCallFilter"].split()
    )
    assert service["InaccessiblePaths"] == "-/srv/cx/data"
    assert service["LogsDirectory"] in PAGE


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    """The program of the example is not here, so that one that is stands in; all else is as shipped."""
    path = tmp_path / "cx-serve.service"
    text = re.sub("^ExecStart=.*", "ExecStart=/bin/true", shipped("cx-serve.service"), flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "cx-serve" in line], done.stderr
    most = str(round(float(re.findall(r"gives it ([\d.]+) of 10", PAGE)[0]) * 10))
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd judges only what runs")
    assert done.returncode == 0, done.stdout[-200:]


# ----------------------------------------------------------------------------------------------------- other examples


def test_the_image_runs_as_nobody_and_its_last_stage_builds_nothing() -> None:
    text = shipped("Containerfile").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = {
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "ENV",
        "USER",
        "EXPOSE",
        "HEALTHCHECK",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert {line.split()[0] for line in lines} == words
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert not re.search(r"pip|venv --|python3-venv|gcc|build-essential", last.replace("/opt/cx/.venv", ""))
    assert "/health" in last
    entry, rest = (json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", last, re.MULTILINE))
    assert entry[0] == "cx"
    assert cx_fault([*entry[1:], *rest], whole=True) == ""
    root = DOCS.parent
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert all((root / name).exists() for name in copied)


def test_podman_runs_the_image_with_options_of_cx() -> None:
    (run,) = [b.body.replace("\\\n", " ") for b in blocks(PAGE) if "podman run" in b.body]
    words = run[run.index(" cx-serve --") :].split()[1:]
    assert cx_fault(["serve", *words], whole=True) == ""
    assert {"--read-only", "--cap-drop", "no-new-privileges"} <= set(run.split())
    assert ":ro" in run
    assert "/srv/cx/data" not in run


def test_oauth2_proxy_listens_where_nginx_asks_and_tells_it_who_it_is() -> None:
    found = tomllib.loads(shipped("oauth2-proxy.cfg"))
    assert f"proxy_pass               http://{found['http_address']};" in shipped("nginx.conf")
    assert found["set_xauthrequest"]
    assert found["reverse_proxy"]
    assert found["redirect_url"] == f"https://{NAME}/oauth2/callback"
    assert not {"client_secret", "cookie_secret"} & set(found)


def test_the_hub_starts_cx() -> None:
    assigned = [node for node in ast.walk(ast.parse(shipped("jupyterhub_config.py"))) if isinstance(node, ast.Assign)]
    values = {ast.unparse(node.targets[0]): node.value for node in assigned}
    ((service,), (role,)) = (ast.literal_eval(values[f"c.JupyterHub.{name}"]) for name in ("services", "load_roles"))
    assert cx_fault(service["command"][1:], whole=True) == ""
    assert f"access:services!service={service['name']}" in role["scopes"]
    assert role["scopes"][1] in PAGE


# -------------------------------------------------------------------------------------------------------------- nginx


class Told(BaseHTTPRequestHandler):
    """An upstream that answers with what reached it; a websocket it greets and sends back what comes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "upgrade")
            self.end_headers()
            self.wfile.write(self.connection.recv(100))
            self.close_connection = True
            return
        self.answer(200, json.dumps({"path": self.path, "headers": [*map(list, self.headers.items())]}))

    def answer(self, code: int, text: str = "", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class SignsIn(Told):
    """A stand-in of oauth2-proxy: whoever has the cookie is ann."""

    def do_GET(self) -> None:
        if not self.path.startswith("/oauth2/auth"):
            there = self.headers.get("X-Auth-Request-Redirect", "")
            self.answer(302, Location=f"https://login.example.org/?rd={there}")
        elif "signed=ann" in self.headers.get("Cookie", ""):
            self.answer(202, X_Auth_Request_Email="ann@example.org", X_Auth_Request_Groups="leadership,care")
        else:
            self.answer(401)


def listening(kind: type[Told]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    """The ports of the configuration in a running nginx, of https and http, and its folder."""
    if NGINX is None or not shutil.which("openssl"):
        pytest.skip("nginx is not installed" if NGINX is None else "openssl is not installed")
    folder, ports = tmp_path_factory.mktemp("nginx"), (free_port(), free_port())
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout privkey.pem -out fullchain.pem"
    subprocess.run([*make.split(), "-subj", f"/CN={NAME}"], cwd=folder, check=True, capture_output=True)
    servers = [listening(SignsIn), listening(Told)]
    text = shipped("nginx.conf").replace("/etc/ssl/cx/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
    stands_for = dict(zip(("443 ", "80;", "127.0.0.1:4180", "127.0.0.1:8866"), (*ports, *servers), strict=True))
    for old, new in stands_for.items():
        assert old in text
        if isinstance(new, int):
            text = text.replace(f"listen {old}", f"listen 127.0.0.1:{new}{old[-1]}")
        else:
            text = text.replace(old, f"127.0.0.1:{new.server_address[1]}")
    (folder / "cx.conf").write_text(text, encoding="utf-8")
    aside = "".join(f"{name}_temp_path {folder};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {aside} include {folder}/cx.conf; }}\n",
        encoding="utf-8",
    )
    command = [NGINX, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr
    with subprocess.Popen(command) as process:
        try:
            wait_for(ports[0], process)
            yield *ports, folder
        finally:
            process.terminate()
            process.wait()
    for server in servers:
        server.shutdown()
        server.server_close()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)


class Connection(http.client.HTTPSConnection):
    """To 127.0.0.1, with another name in the handshake."""

    def __init__(self, port: int, name: str = NAME) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        super().__init__("127.0.0.1", port, timeout=30, context=context)
        self._context, self._name = context, name

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        self.sock = self._context.wrap_socket(plain, server_hostname=self._name)


def ask(port: int, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    given = {"Host": NAME, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with closing(Connection(port)) as connection:
        connection.request("GET" if body is None else "POST", path, body, given)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()


def test_who_has_not_signed_in_is_sent_to_and_comes_back_to_the_very_view(https: tuple[int, int, Path]) -> None:
    view = "/explore/monthly/2026-10/01_scorecard?period=2026-10&metric=nps"
    for claims in ({}, {"X_Forwarded_User": "boss", "X_Forwarded_Groups": "insight-team", "Authorization": "Bearer x"}):
        status, headers, _ = ask(https[0], view, **claims)
        assert (status, headers["location"]) == (302, f"https://login.example.org/?rd={view}")
    assert ask(https[0], "/oauth2/auth", Cookie="signed=ann")[0] == 404  # asked by nginx alone
    assert ask(https[0], "/health")[0] == 200


def test_what_a_browser_says_of_itself_reaches_nobody(https: tuple[int, int, Path]) -> None:
    forged = {
        "X_Forwarded_User": "boss", "X_Forwarded_Groups": "insight-team", "X_Forwarded_For": "9.9.9.9",
        "X_Forwarded_Proto": "http", "X_Forwarded_Host": "evil.example", "X_Real_IP": "9.9.9.9",
        "Forwarded": "for=9.9.9.9", "Authorization": "Bearer stolen", "Upgrade": "h2c",
        "Cookie": "signed=ann; _xsrf=2|abc; cx=1",
    }  # fmt: skip
    status, headers, text = ask(https[0], "/reports/monthly/2026-10/index.html?q=1", **forged)
    assert status == 200
    assert headers["server"] == "nginx"
    told = json.loads(text)
    assert told["path"] == "/reports/monthly/2026-10/index.html?q=1"
    names = [name.lower() for name, _ in told["headers"]]
    assert len(names) == len(set(names))
    reached = {name.lower(): value for name, value in told["headers"]}
    expected = {
        "host": NAME, "x-forwarded-user": "ann@example.org", "x-forwarded-groups": "leadership,care",
        "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https", "cookie": "_xsrf=2|abc",
    }  # fmt: skip
    assert {name: reached[name] for name in expected} == expected
    assert not {"authorization", "forwarded", "x-real-ip", "x-forwarded-host", "upgrade"} & set(reached)
    assert "q=1" not in (https[2] / "cx.log").read_text(encoding="utf-8")


def test_a_websocket_gets_through_for_whom_has_signed_in(https: tuple[int, int, Path]) -> None:
    path = "/api/kernels/dc2b8a94-3f3f-44b6-a3ed-e1168b16e471/channels"
    for cookie, expected in (("signed=ann", b"101"), ("nobody", b"302")):
        with closing(Connection(https[0])) as connection:
            connection.connect()
            lines = (f"GET {path}?session_id=1 HTTP/1.1", f"Host: {NAME}", f"Cookie: {cookie}")
            more = ("Connection: Upgrade", "Upgrade: websocket", "", "")
            connection.sock.sendall("\r\n".join((*lines, *more)).encode())
            head = connection.sock.recv(4096)
            assert head.split()[1] == expected
            if expected == b"101":
                connection.sock.sendall(b"a frame")
                assert connection.sock.recv(100) == b"a frame"


def test_other_names_plain_http_and_large_bodies_get_nothing(https: tuple[int, int, Path]) -> None:
    with closing(Connection(https[0], "elsewhere.example")) as connection, pytest.raises(ssl.SSLError):
        connection.connect()
    assert ask(https[0], "/login", bytes(100_000), Cookie="signed=ann")[0] == 413
    with closing(http.client.HTTPConnection("127.0.0.1", https[1], timeout=30)) as plain:
        plain.request("GET", "/x?y=1", headers={"Host": NAME})
        answer = plain.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{NAME}/x?y=1")
