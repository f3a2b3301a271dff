"""The sandbox of explored pages, each fence by itself: what it refuses and leaves, tried in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import explored
import pytest

from cxlib.reports import kernels_provisioner, landlock, sandbox
from cxlib.reports.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
_TRIED = """
import json, os, signal, socket, sys, tempfile
import numpy, pandas, pyarrow, matplotlib.figure, zoneinfo
from pathlib import Path
from cxlib.reports import landlock, sandbox
report, own, outside = map(Path, sys.argv[1:4])
port, fence = int(sys.argv[4]), sys.argv[5]
os.environ["TMPDIR"] = str(own)
if fence == "landlock":
    sys.addaudithook = lambda hook: None
if fence == "hook":
    landlock.restrict = lambda *_, **__: 0
sandbox.enter(sandbox.Sandbox((str(report),), (str(own),)))

tries = {
    "read the report": lambda: (report / "run.json").read_text(),
    "read a table": lambda: pandas.read_parquet(report / "results.parquet"),
    "write a file of its own": lambda: (own / "x").write_text("x"),
    "make a temporary file": lambda: tempfile.NamedTemporaryFile().close(),
    "draw": lambda: matplotlib.figure.Figure().savefig(own / "x.png"),
    "know a zone": lambda: zoneinfo.ZoneInfo("Europe/Madrid"),
    "read the store": lambda: (outside / "secret.txt").read_text(),
    "read past Python": lambda: pyarrow.OSFile(str(outside / "secret.txt")).read(),
    "read by a link": lambda: (report / "link").read_text(),
    "list a folder": lambda: list(outside.iterdir()),
    "read the home": lambda: os.listdir(os.path.expanduser("~")),
    "read the environment of others": lambda: open(f"/proc/{os.getppid()}/environ").read(),
    "write outside": lambda: (outside / "new").write_text("x"),
    "write into the report": lambda: (report / "new").write_text("x"),
    "remove": lambda: (outside / "secret.txt").unlink(),
    "rename": lambda: os.rename(own / "x", outside / "x"),
    "connect": lambda: socket.create_connection(("127.0.0.1", port), timeout=2).close(),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
    "send a datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port)),
    "run a program": lambda: __import__("subprocess").run([sys.executable, "-c", "0"], check=True),
    "run a shell": lambda: 0 / (os.system("true") == 0),
    "signal its parent": lambda: os.kill(os.getppid(), 0),
    "load a library": lambda: __import__("ctypes").CDLL(None).getpid(),
    "look up a name": lambda: socket.getaddrinfo("127.0.0.1", 1),
    "write a long file": lambda: (own / "long").write_bytes(bytes(70 << 20)),
    "take all memory": lambda: numpy.ones(3 << 27),
}
found = {}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for name, attempt in tries.items():
    try:
        attempt()
        found[name] = "done"
    except BaseException as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""
ALLOWED = {
    "read the report", "read a table", "write a file of its own", "make a temporary file", "draw", "know a zone",
}  # fmt: skip
PYTHON_ONLY = {"send a datagram", "load a library", "look up a name"}  # what Landlock leaves
PAST_PYTHON = {"read past Python"}  # what the hook does not see


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, int]]:
    import pandas as pd

    root = tmp_path_factory.mktemp("Ünder sand")
    report, outside = root / "report", root / "outside"
    for folder in (report, outside):
        folder.mkdir()
    (report / "run.json").write_text("{}")
    pd.DataFrame({"a": [1]}).to_parquet(report / "results.parquet")
    (outside / "secret.txt").write_text("customer 4711")
    (report / "link").symlink_to(outside / "secret.txt")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield report, outside, listening.getsockname()[1]


def tried(places: tuple[Path, Path, int], own: Path, fence: str) -> dict[str, str]:
    """Return what became of each attempt."""
    report, outside, port = places
    words = [sys.executable, "-c", _TRIED, str(report), str(own), str(outside), str(port), fence]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    assert (outside / "secret.txt").read_text() == "customer 4711"
    return found


@pytest.mark.skipif(landlock.version() < 6, reason="this system has no Landlock that holds all of it")
@pytest.mark.parametrize("fence", ["landlock", "both"])
def test_landlock_holds_against_any_code(places: tuple[Path, Path, int], tmp_path: Path, fence: str) -> None:
    found = tried(places, tmp_path, fence)
    left = PYTHON_ONLY if fence == "landlock" else set()
    assert {name for name, became in found.items() if became == "done"} == ALLOWED | left
    assert found["read past Python"] == found["connect"] == found["signal its parent"] == "PermissionError"


@pytest.mark.skipif(os.name != "posix", reason="the attempts are written for POSIX")
def test_the_hook_alone_holds_against_python(places: tuple[Path, Path, int], tmp_path: Path) -> None:
    found = tried(places, tmp_path, "hook")
    assert {name for name, became in found.items() if became == "done"} == ALLOWED | PAST_PYTHON
    assert found["take all memory"] == "MemoryError"
    assert found["write a long file"] == "OSError"


@pytest.mark.skipif(os.name != "posix", reason="the kernel of this test is talked to through sockets in a folder")
def test_an_ordinary_kernel_confines_itself_before_it_starts(places: tuple[Path, Path, int], tmp_path: Path) -> None:
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.connect import write_connection_file

    report, outside, _ = places
    own = tmp_path / "own"
    own.mkdir()
    file, _ = write_connection_file(str(own / "k.json"), transport="ipc", ip=str(own / "k"), key=b"key")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(own), "IPYTHONDIR": str(own)}
    env |= Sandbox((str(report),), (str(own),)).variable()
    words = kernels_provisioner._confined([sys.executable, "-m", "ipykernel_launcher", "-f", file], {"env": env})
    assert kernels_provisioner._confined(["x", "-m", "y"], {"env": {"A": "b"}}) == ["x", "-m", "y"]
    process = subprocess.Popen([*words, "--HistoryManager.hist_file=:memory:"], env=env, cwd=report)
    client = BlockingKernelClient(connection_file=file)
    try:
        assert explored.until((own / "k-5").exists, 60)  # of the five sockets the last
        client.load_connection_file()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        heard: list[str] = []

        def listen(message: dict[str, Any]) -> None:
            heard.append(message["content"].get("text", ""))

        tries = "import os\nprint(open('run.json').read(), 'CX_SANDBOX' in os.environ)\n"
        tries += f"try:\n    open({str(outside / 'secret.txt')!r})\n"
        client.execute_interactive(
            tries + "except PermissionError:\n    print('refused')", output_hook=listen, timeout=60
        )
        assert "".join(heard) == "{} False\nrefused\n"
    finally:
        client.stop_channels()
        process.kill()
        process.wait()


def test_the_wish_travels_in_the_environment() -> None:
    wish = Sandbox(("/a b", "/é"), ("/own",), ports=True)
    assert sandbox.asked(wish.variable()) == wish
    assert sandbox.asked({}) is None


def test_without_landlock_nothing_is_restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert landlock.restrict([Path("/")], []) == 0


@pytest.mark.parametrize(
    ("known", "files", "network", "scoped"), [(1, 13, 0, 0), (2, 14, 0, 0), (3, 15, 0, 0), (4, 15, 3, 0), (7, 16, 3, 3)]
)
def test_only_what_a_version_knows_is_asked_of_it(known: int, files: int, network: int, scoped: int) -> None:
    handled = landlock._handled(known, ports=False)
    assert (handled.files, handled.network, handled.scoped) == ((1 << files) - 1, network, scoped)
    assert landlock._handled(known, ports=True).network == (2 if known >= 4 else 0)
