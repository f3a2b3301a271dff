"""What the attack tests share: a served workspace of two audiences, raw requests, and the websocket of a kernel."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import nbformat
import toy_workspace as toy
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from cxlib.reports import tokens
from cxlib.reports.runner import run_pack

ROOT = Path(__file__).resolve().parent.parent
HOST, PROXY = "127.0.0.1", "127.0.0.2"  # the second is the address of the proxy that the server believes
PACKED = "v1.kernel.websocket.jupyter.org"
SOURCE, SECRET = "the_source_stays_here", "s3cret-of-the-server"
BASE = "/reports/toy/2026-10"
_Answer = TypeVar("_Answer")

_NOTEBOOK = f"""
{SOURCE} = 6 * 7
from IPython.display import HTML, display
display(HTML("<p>computed " + str({SOURCE}) + "</p><script>alert('from an output')</script>"))
"""
# What the gate lets nobody publish; Explore is to stand it all the same.
_ADDED = """
import os
from IPython.display import display
print(sorted(os.environ))
import ipywidgets
chosen = ipywidgets.Dropdown(options=["a", "b"], description="Which")
def fails(change):
    raise ValueError("the inside of a callback")
chosen.observe(fails, names="index")
display(chosen)
"""
# Voila reads its settings from the folder where it starts, as JSON or as Python.
_LYING_ABOUT = {
    "voila.json": json.dumps({"VoilaConfiguration": {"show_tracebacks": True, "file_allowlist": [".*"]}}),
    "voila.py": "open('harmed', 'w')\nc.VoilaConfiguration.strip_sources = False\n",
    "jupyter_config.py": "open('harmed', 'w')\n",
}
_PARAMS = """\
company: Toy & Söhne
timezone: Europe/Madrid
serving:
  kernels: 3
  kernels_per_viewer: 2
  requests_per_minute: 1200
  see_everything: [insight]
  names: [cx.example.org]
"""


@dataclass
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


@dataclass
class Attacked:
    """A server under attack."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(
        self, path: str, who: str = "", *, method: str = "GET", body: bytes | None = None, source: str = HOST,
        **headers: str,
    ) -> Answer:  # fmt: skip
        """Send one request; `who` brings a token, header names are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            sent["Authorization"] = f"Bearer {self.tokens[who]}"
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60, source_address=(source, 0))
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=sent)
            found = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())

    def raw(self, request: bytes, wait: float = 5.0, source: str = HOST) -> bytes:
        """Send bytes as they are; return what comes back until the server is silent or gone."""
        with socket.create_connection((HOST, self.port), wait, (source, 0)) as connection:
            answer = b""
            with contextlib.suppress(OSError):
                connection.sendall(request)
                while part := connection.recv(65536):
                    answer += part
            return answer

    def line(self, target: str, who: str = "ada") -> bytes:
        """Ask for a target that no client would send as it is."""
        request = f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self.tokens[who]}\r\n"
        return self.raw(request.encode("latin-1") + b"Connection: close\r\n\r\n")

    def explore(self, who: str) -> str:
        """Open the app of a page; return the id of its kernel."""
        page = self.ask("/explore/toy/2026-10/01_first", who)
        assert page.status == 200, page.text[-500:]
        found = re.search(r'"kernelId": ?"([0-9a-f-]{36})"', page.text)
        assert found is not None
        return found[1]

    def leave(self, who: str, kernel: str) -> Answer:
        """Say that an app was left, as its page does."""
        return self.ask(
            f"/voila/api/shutdown/{kernel}", who, method="POST", body=b"_xsrf=twice",
            Cookie="_xsrf=twice", Content_Type="application/x-www-form-urlencoded",
        )  # fmt: skip

    def visits(self) -> list[dict[str, Any]]:
        """Return the audit log."""
        lines = (self.root / "logs" / "serve.log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def told(self) -> str:
        """Return what the server wrote to its terminal."""
        return (self.root / "serve.log").read_text(encoding="utf-8")

    def failed_inside(self) -> list[str]:
        """Return the lines in which the server told of a failure of its own; kernels tell of theirs themselves."""
        return [line for line in self.told().splitlines() if "Uncaught" in line or "/tornado/" in line]

    async def connect(self, kernel: str, who: str, *, packed: bool = True, **headers: str) -> WebSocketClientConnection:
        """Open the channel of a kernel."""
        sent = {"Authorization": f"Bearer {self.tokens[who]}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        url = f"ws://{HOST}:{self.port}/api/kernels/{kernel}/channels?session_id={uuid.uuid4()}"
        return await websocket_connect(HTTPRequest(url, headers=sent), subprotocols=[PACKED] if packed else None)


def message(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return a message of Jupyter's protocol."""
    header = {
        "msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "s", "username": "", "version": "5.3",
        "date": "2026-11-22T10:00:00Z",
    }  # fmt: skip
    return {"header": header, "parent_header": {}, "metadata": {"version": "1.0.0"}, "content": content}


def written(kind: str, content: dict[str, Any], channel: str = "shell", *, packed: bool = True) -> str | bytes:
    """Return a message as it is sent over the websocket."""
    made = message(kind, content)
    if packed:
        return bytes(serialize_msg_to_ws_v1(made, channel, lambda part: json.dumps(part).encode()))
    return json.dumps({**made, "channel": channel, "buffers": []})


def kinds(answers: list[str | bytes]) -> list[str]:
    """Return the types of messages that came back."""
    return [content(one)[0] for one in answers]


def content(answer: str | bytes) -> tuple[str, dict[str, Any]]:
    """Return the type and the content of a message that came back."""
    if isinstance(answer, bytes):
        parts = deserialize_msg_from_ws_v1(answer)[1]
        return json.loads(parts[0])["msg_type"], json.loads(parts[3])
    found = json.loads(answer)
    return found["header"]["msg_type"], found["content"]


async def widgets(connection: WebSocketClientConnection) -> dict[str, dict[str, Any]]:
    """Return the comm of every widget of a kernel with its state, asked for as a page does."""
    await connection.write_message(written("comm_info_request", {"target_name": "jupyter.widget"}), binary=True)
    info = [told for kind, told in map(content, await heard(connection)) if kind == "comm_info_reply"]
    for comm in info[0]["comms"]:
        asks = written("comm_msg", {"comm_id": comm, "data": {"method": "request_state"}})
        await connection.write_message(asks, binary=True)
    states = [told for kind, told in map(content, await heard(connection)) if kind == "comm_msg"]
    return {one["comm_id"]: one["data"]["state"] for one in states}


async def heard(connection: WebSocketClientConnection, seconds: float = 1.0) -> list[str | bytes]:
    """Return what comes back until there is silence for so long, or the connection is closed (told as None)."""
    answers: list[str | bytes] = []
    with contextlib.suppress(TimeoutError):
        while (answer := await asyncio.wait_for(connection.read_message(), seconds)) is not None:
            answers.append(answer)
    return answers


async def left(connection: WebSocketClientConnection) -> int | None:
    """Close a connection, and wait until it is; return the code that it was closed with before, if it was."""
    code = connection.close_code
    connection.close()
    with contextlib.suppress(TimeoutError):
        while code is None and await asyncio.wait_for(connection.read_message(), 2) is not None:
            pass
    await asyncio.sleep(0)
    return code


def now(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Run what waits."""
    return asyncio.run(work)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def workspace(root: Path) -> Path:
    """Make a workspace with a report for all, one for leadership, one that its manifest alone keeps to leadership."""
    toy.with_snapshot(toy.workspace(root, first=_NOTEBOOK))
    for name, text in _LYING_ABOUT.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "params" / "workspace.yml").write_text(_PARAMS, encoding="utf-8")
    run_pack(root, "toy")
    page = root / "reports" / "toy" / "2026-10" / "01_first.ipynb"
    made = nbformat.read(page, as_version=4)
    made.cells.append(nbformat.v4.new_code_cell(_ADDED))
    nbformat.write(made, page)
    board = (root / "params" / "reports" / "toy.yml").read_text(
        encoding="utf-8"
    ) + "folder: notebooks/toy\nreaders: [leadership]\n"
    (root / "params" / "reports" / "board.yml").write_text(board, encoding="utf-8")
    for pack, readers in (("board", []), ("kept", ["leadership"])):
        shutil.copytree(root / "reports" / "toy", root / "reports" / pack)
        path = root / "reports" / pack / "2026-10" / "run.json"
        content = {**json.loads(path.read_text(encoding="utf-8")), "pack": pack, "title": f"For {pack}"}
        path.write_text(json.dumps({**content, "readers": readers}), encoding="utf-8")
    return root


@contextlib.contextmanager
def attacked(root: Path) -> Iterator[Attacked]:
    """Serve the workspace to three viewers: ada (leadership), bob (care), eve (none)."""
    file = root / "tokens.yml"
    known = {name: tokens.make(file, name, groups) for name, groups in (("ada", ["leadership"]), ("bob", ["care"]))}
    known["eve"] = tokens.make(file, "eve", [])
    port = free_port()
    temporary = tempfile.mkdtemp(prefix="cx-t-")  # a short name: sockets are made in it
    env = {**os.environ, "PYTHONPATH": str(ROOT), "WAREHOUSE_PASSWORD": SECRET, "TMPDIR": temporary}
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port), "--tokens", str(file)]
    with (root / "serve.log").open("w") as log:
        process = subprocess.Popen([*command, "--trust-proxy", PROXY], cwd=root, env=env, stdout=log, stderr=log)
        served = Attacked(root, port, process, known)
        deadline = time.monotonic() + 60
        try:
            while not _answers(served):
                assert process.poll() is None, served.told()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield served
        finally:
            process.terminate()
            process.wait(30)
            left_behind = list(Path(temporary).iterdir())
            shutil.rmtree(temporary)
    assert not left_behind


def _answers(served: Attacked) -> bool:
    try:
        return served.ask("/health").status == 200
    except OSError:
        return False
