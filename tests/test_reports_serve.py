"""The served workspace: pages as published, notebooks as apps, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_workspace as toy

from cxlib.errors import UsageError
from cxlib.params.serving import Serving
from cxlib.reports import page, serve
from cxlib.reports.runner import run_pack
from cxlib.reports.serve import Doors, Readers, door_of
from cxlib.reports.tokens import TokenDoor, make
from cxlib.reports.viewers import LocalDoor, ProxyDoor

ROOT = Path(__file__).resolve().parent.parent
SECRET = "s3cret-of-the-server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((serve.HOST, 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    with contextlib.closing(http.client.HTTPConnection(serve.HOST, port, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode("utf-8", "replace")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, subprocess.Popen[bytes]]]:
    """A served toy workspace whose notebook prints a marker and the names of its environment."""
    code = "import os, sys\nprint('computed', 6 * 7)\nprint(*sorted(os.environ))"
    once = "import os\nassert not os.path.exists('run.json'), 'runs only once'"
    root = toy.with_snapshot(toy.workspace(tmp_path_factory.mktemp("served"), first=code, second=once))
    run_pack(toy.with_trial(root), "toy")
    run_pack(root, "readout", experiment="gate")
    (root / "reports" / "toy" / "2026-09").mkdir()  # not whole: no run.json
    (root / "reports" / "toy" / "2026-09" / "index.html").write_text("half", encoding="utf-8")
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "WAREHOUSE_PASSWORD": SECRET}
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port)]
    log = (root / "serve.log").open("w")
    process = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 60
    while True:
        try:
            get(port, "/")
            break
        except OSError:
            assert process.poll() is None, (root / "serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield root, port, process
    if process.poll() is None:
        process.kill()
    process.wait()
    log.close()


def test_a_report_about_an_experiment_has_its_address(server: tuple[Path, int, subprocess.Popen[bytes]]) -> None:
    root, port, _ = server
    base = "/reports/readout/gate"
    home = get(port, "/")[2]
    assert f'href="{base}/index.html"' in home
    assert "Gate at level 40" in home
    published = (root / "reports" / "readout" / "gate" / "index.html").read_text(encoding="utf-8")
    assert get(port, f"{base}/")[2] == page.with_explore(published, "")
    readout = get(port, f"{base}/readout.html")[2]
    assert "about gate 2026-10" in readout
    assert 'href="/explore/readout/gate/readout"' in readout
    assert get(port, "/reports/readout/other/index.html")[0] == 404


def test_serves_pages_and_apps_and_nothing_else(server: tuple[Path, int, subprocess.Popen[bytes]]) -> None:
    root, port, process = server
    status, headers, home = get(port, "/")
    assert status == 200
    assert "Toy report" in home
    assert 'href="/reports/toy/2026-10/index.html"' in home
    assert "2026-09" not in home
    assert "default-src 'none'" in headers["content-security-policy"]

    base = "/reports/toy/2026-10"
    published = (root / "reports" / "toy" / "2026-10" / "index.html").read_text(encoding="utf-8")
    served = get(port, f"{base}/index.html")[2]
    assert served == page.with_explore(published, "")
    assert get(port, f"{base}/")[2] == served
    first = get(port, f"{base}/01_first.html")[2]
    assert "computed 42" in first
    assert 'href="/explore/toy/2026-10/01_first"' in first
    status, headers, _ = get(port, f"{base}/01_first.html?segment=region")  # one address: a view of it is the app's
    assert (status, headers["location"]) == (302, "/explore/toy/2026-10/01_first?segment=region")
    assert "There is no such page." in get(port, "/no/such/page")[2]
    assert get(port, "/login")[0] == 404  # everybody is in
    assert get(port, "/reports/toy/2026-09/index.html")[0] == 404  # not whole
    assert get(port, "/", **{"X-Forwarded-For": "203.0.113.9"})[0] == 403  # a proxy before a server without a door

    status, headers, app = get(port, "/explore/toy/2026-10/01_first")
    assert status == 200
    assert "computed 42" in app
    assert "6 * 7" not in app  # source stripped
    assert "WAREHOUSE_PASSWORD" not in app
    assert SECRET not in app
    assert f'<a href="{base}/01_first.html">Published page</a>' in app
    assert not re.search(r"\b(?:src|href)=[\"']?(?:https?:)?//", app)  # loads nothing from elsewhere
    broken = get(port, "/explore/toy/2026-10/02_second")[2]
    assert "runs only once" not in broken
    assert "cannot be made again" in broken

    with socket.create_connection((serve.HOST, port)) as slow:  # an answer under way is not broken off
        slow.sendall(b"GET /explore/toy/2026-10/01_first HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)  # Ctrl-C: the whole tree of processes ends, without a traceback
        answer = b""
        while part := slow.recv(65536):
            answer += part
    assert b"computed 42" in answer
    assert process.wait(timeout=30) in (0, 130)
    assert "Uncaught" not in (root / "serve.log").read_text()
    with pytest.raises(OSError, match="refused"):
        get(port, "/")


def test_who_reaches_a_server_has_a_door(tmp_path: Path) -> None:
    assert isinstance(door_of(Doors(), Serving(), print), LocalDoor)
    file = tmp_path / "tokens.yml"
    make(file, "ada", [])
    assert isinstance(door_of(Doors(host="0.0.0.0", tokens=file), Serving(), print), TokenDoor)
    behind = door_of(Doors(proxies=("10.0.0.7",)), Serving(user_header="X-User", see_everything=("insight",)), print)
    assert isinstance(behind, ProxyDoor)
    assert (behind.user_header, behind.see_everything) == ("X-User", ("insight",))
    for doors in (Doors(host="0.0.0.0"), Doors(host="::"), Doors(host="10.0.0.1"), Doors(names=("cx.example.org",))):
        with pytest.raises(UsageError, match="would let in everybody") as fault:
            door_of(doors, Serving(), print)
        assert "--tokens" in fault.value.hint
    with pytest.raises(UsageError, match="cannot be read"):
        door_of(Doors(tokens=tmp_path / "none.yml"), Serving(), print)


def test_a_path_of_a_proxy_is_a_path() -> None:
    assert [serve.based(path) for path in ("/", "", "/a/b", "a", "/a.b/")] == ["/", "/", "/a/b/", "/a/", "/a.b/"]
    for path in ("/../", "//evil.example/", "/a b/", "/<x>/", "http://evil.example/", "/a//b/"):
        with pytest.raises(UsageError, match="is no path"):
            serve.based(path)


def test_readers_are_read_as_params_say_them_today(tmp_path: Path) -> None:
    folder = toy.workspace(tmp_path) / "params" / "reports"
    readers, path = Readers(tmp_path), folder / "toy.yml"
    assert readers("toy") == ()
    assert readers("other") is None
    before = path.read_text(encoding="utf-8")
    for number, (more, expected) in enumerate((
        ("readers: [care]\n", ("care",)), ("readers: [", ("care",)), ("readers: care\n", ("care",)),
        ("readers: !!python/name:os.system\n", ("care",)), ("readers: []\n", ()),
    )):  # fmt: skip
        path.write_text(before + more, encoding="utf-8")
        os.utime(path, (number + 1, number + 1))
        assert readers("toy") == expected
    path.unlink()
    assert readers("toy") == ()  # what was known holds


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as other:
        other.bind((serve.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} cannot be used") as fault:
            serve.check_port(port)
    assert f"--port {port + 1}" in fault.value.hint
    with pytest.raises(UsageError, match="65535"):
        serve.check_port(70000)
    with pytest.raises(UsageError, match=r"no\.such\.host"):
        serve.check_port(port, "no.such.host.invalid")
