"""Explore on a real server: its kernel is warm and confined, never one too many, and gone soon after its viewer."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import explored
import pytest

from cxlib.reports import landlock
from cxlib.reports.serve import HOST

ROOT = Path(__file__).resolve().parent.parent
LAST = explored.LAST
PAGE = f"/explore/toy/{LAST}/01_first"
_MOST = 3
# What a kernel tries, as code of a published notebook would; it prints what became of it.
_TRIES = """
import json, os, socket, subprocess
from pathlib import Path
import pyarrow
here = Path.cwd()
workspace = here.parents[2]
tries = {
    "its report": lambda: (here / "run.json").read_text(),
    "another period": lambda: (here.parent / "2026-09" / "results.parquet").read_bytes(),
    "another pack": lambda: (workspace / "reports" / "other" / here.name / "run.json").read_text(),
    "another pack past Python": lambda: pyarrow.OSFile(str(workspace / "reports" / "other" / here.name / "run.json")),
    "a half-built report": lambda: list((here.parent / ".building-2026-11-1").iterdir()),
    "the store": lambda: (workspace / "data" / "store" / "secret.txt").read_text(),
    "the settings": lambda: (workspace / "params" / "workspace.yml").read_text(),
    "the home": lambda: list(Path.home().iterdir()),
    "to write": lambda: (here / "x").write_text("x"),
    "to connect": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
    "a program": lambda: subprocess.run(["true"], check=True),
}
def became(attempt):
    try:
        attempt()
    except Exception as error:
        return type(error).__name__
    return "done"
print("TRIED" + json.dumps({name: became(attempt) for name, attempt in tries.items()}) + "DEIRT")
"""
_STATE = (
    "import os, sys, json, threading\n"
    "os.write(1, b'WRITTEN'); os.write(2, b'WRITTEN'); print('WRITTEN', file=sys.__stderr__)\n"
    "print('STATE' + json.dumps({'pid': os.getpid(), 'cx': [n for n in os.environ if n.startswith('CX_')],"
    " 'warm': 'statsmodels.api' in sys.modules,"
    " 'tmp': os.environ['TMPDIR'], 'names': sorted(os.environ)}) + 'ETATS')"
)


@dataclass
class Server:
    """A served workspace."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]

    def get(self, path: str) -> tuple[int, dict[str, str], str]:
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=90)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode("utf-8")

    def kernels(self) -> list[int]:
        """Return the processes of kernels: children of the template, the server's child."""
        return [pid for template in _children(self.process.pid) for pid in _children(template)]


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    serving = f"  kernels: {_MOST}\n  kernels_per_viewer: {_MOST}\n  idle_seconds: 5\n  requests_per_minute: 6000\n"
    root = tmp_path_factory.mktemp("served") / "Ünï cödé"
    explored.workspace(root, _TRIES, _STATE, serving=serving)
    (root / "reports" / "toy" / ".building-2026-11-1").mkdir()
    port = _free_port()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "WAREHOUSE_PASSWORD": "s3cret"}
    env.pop("CX_KERNELS", None)
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port)]
    with (root / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
        found = Server(root, port, process)
        try:
            assert explored.until(lambda: _answers(found), 60)
            yield found
            process.terminate()
            assert process.wait(timeout=30) == 0
            said = (root / "serve.log").read_text(encoding="utf-8")
            others = [line for line in said.splitlines() if not line.startswith(("Reports of ", "warning: "))]
            assert not others, said  # neither what kernels write, nor how they end
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(server: Server) -> bool:
    with contextlib.suppress(OSError):
        return server.get("/")[0] == 200
    assert server.process.poll() is None, (server.root / "serve.log").read_text(encoding="utf-8")
    return False


def printed(page: str, mark: str) -> dict[str, object]:
    """Return what a cell has printed between a mark and its mirror."""
    found = re.search(f"{mark}(.*?){mark[::-1]}", unescape(page), re.DOTALL)
    assert found is not None, page[-3000:]
    content: dict[str, object] = json.loads(found[1])
    return content


def test_the_kernel_of_a_page_is_warm_confined_and_replays(server: Server) -> None:
    status, headers, page = server.get(f"{PAGE}?segment=region&compare=nonsense")
    assert status == 200
    tried, state = printed(page, "TRIED"), printed(page, "STATE")
    done = {name for name, became in tried.items() if became == "done"}
    allowed = {"its report", "another period"}
    assert done == (allowed if landlock.version() else allowed | {"another pack past Python"})
    assert state["warm"] is (sys.platform == "linux")
    assert state["cx"] == []
    assert "WAREHOUSE_PASSWORD" not in page
    assert Path(str(state["tmp"])).parent.name.startswith("cx-serve-")
    # the panel, replayed from what was published, and no source
    assert page.index("Is everything well?") < page.index("Net Promoter Score by region") < page.index("TRIED")
    assert "no comparison “nonsense”" in unescape(page)
    assert "cx.explore" not in page
    assert "socket.create" not in page
    # scripts come as files and from here; nothing else may run
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert re.findall(r"<script(?![^>]* (?:src=\"/|type=\"application/))[^>]*>", page) == []
    assert explored.until(lambda: server.kernels() == [], 20)  # nobody has connected: it ends
    assert explored.until(lambda: not Path(str(state["tmp"])).exists(), 20)  # its folder goes after it


def test_never_more_kernels_than_places(server: Server) -> None:
    most, statuses = 0, []
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(server.get, PAGE) for _ in range(24)]
        while not all(one.done() for one in asked):
            most = max(most, len(server.kernels()))
            time.sleep(0.05)
        statuses = [one.result()[0] for one in asked]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= _MOST
    assert most <= _MOST
    full = next(one.result() for one in asked if one.result()[0] == 503)
    assert full[1]["retry-after"] == "60"
    assert (
        f"href='/reports/toy/{LAST}/01_first.html'" in full[2] or f'href="/reports/toy/{LAST}/01_first.html"' in full[2]
    )
    assert server.get(f"/reports/toy/{LAST}/01_first.html")[0] == 200  # the rest stays usable
    assert explored.until(lambda: server.kernels() == [], 25)
    assert explored.until(lambda: server.get(PAGE)[0] == 200, 25)  # and there is a place again, once its end is known


def test_a_page_that_is_left_while_it_is_made_leaves_no_kernel(server: Server) -> None:
    assert explored.until(lambda: server.kernels() == [], 25)
    with contextlib.closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        connection.request("GET", PAGE)
        connection.getresponse().read(10)
    assert explored.until(lambda: server.kernels() == [], 4)  # at once, not when it has been idle


@pytest.mark.parametrize(
    "path", [f"/explore/toy/{LAST}/02_other", "/explore/toy/2020-01/01_first", f"/explore/none/{LAST}/01_first"]
)
def test_what_was_not_published_starts_nothing(server: Server, path: str) -> None:
    before = server.kernels()
    assert server.get(path)[0] == 404
    assert set(server.kernels()) <= set(before)


@pytest.mark.parametrize(("held", "says"), [(0, "no Landlock"), (3, "Landlock 3"), (6, ""), (7, "")])
def test_what_is_missing_of_the_fences_is_said(monkeypatch: pytest.MonkeyPatch, held: int, says: str) -> None:
    from cxlib.reports import handlers_explore

    monkeypatch.setattr(landlock, "version", lambda: held)
    assert (says in handlers_explore.fences()) if says else handlers_explore.fences() == ""
