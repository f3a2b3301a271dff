"""The served workspace: pages as published, notebooks as apps, and nothing else."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
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
from cxlib.reports import catalogue, page, serve
from cxlib.reports.handlers import ELSEWHERE
from cxlib.reports.runner import run_pack

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
    code = "import os, sys\nprint('computed', 6 * 7)\nprint(sorted(os.environ))"
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
    assert get(port, f"{base}/run.json")[0] == 200
    first = get(port, f"{base}/01_first.html")[2]
    assert "computed 42" in first
    assert 'href="/explore/toy/2026-10/01_first"' in first

    for path in (
        f"{base}/01_first.ipynb", f"{base}/inputs/", f"{base}/../../../params/workspace.yml",
        f"{base}/%2e%2e/%2e%2e/%2e%2e/params/workspace.yml", f"{base}/..%2f..%2f..%2fparams/workspace.yml",
        "/reports/", "/reports/toy/", "/reports/toy/2026-09/index.html", "/reports/_failed/", "/voila/tree",
        "/voila/render/toy/2026-10/01_first.ipynb", "/voila/files/toy/2026-10/run.json", "/voila/api/contents/",
        "/api/contents", "/explore/toy/2026-10/03_third", "/explore/toy/2026-09/01_first", "/explore/../params/x",
    ):  # fmt: skip
        assert get(port, path)[0] in (400, 403, 404), path
    assert "There is no such page." in get(port, "/no/such/page")[2]
    for path in ("/", f"{base}/index.html", "/explore/toy/2026-10/01_first"):
        assert get(port, path, Host="elsewhere.example")[0] == 403, path

    status, headers, app = get(port, "/explore/toy/2026-10/01_first")
    assert status == 200
    assert "computed 42" in app
    assert "6 * 7" not in app  # source stripped
    assert "WAREHOUSE_PASSWORD" not in app
    assert SECRET not in app
    assert "connect-src 'self'" in headers["content-security-policy"]
    assert f'<a href="{base}/01_first.html">Published page</a>' in app
    assert not ELSEWHERE.search(app)
    assert (root / "reports" / "toy" / "2026-10" / "run.json").is_file()
    broken = get(port, "/explore/toy/2026-10/02_second")[2]
    assert serve._SORRY in broken
    assert "runs only once" not in broken

    process.send_signal(signal.SIGINT)  # Ctrl-C: the whole tree of processes ends, without a traceback
    assert process.wait(timeout=30) in (0, 130)
    assert "Traceback" not in (root / "serve.log").read_text()
    with pytest.raises(OSError, match="refused"):
        get(port, "/")


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


def test_the_catalogue_without_reports_says_what_to_do(tmp_path: Path) -> None:
    assert "cx run monthly" in catalogue.home(tmp_path, "Toy & Söhne")
    assert "Toy &amp; Söhne" in catalogue.home(tmp_path, "Toy & Söhne")


def test_names_in_the_catalogue_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "2026-10"
    folder.mkdir(parents=True)
    content = {
        "title": "<script>x</script>", "audience": "<b>", "period_title": "<i>", "pages": {"a": "<u>"},
        "snapshot": {"id": "<s>"}, "started_at": "2026-11-01", "headline": ["NPS: <em>27</em>.", "More."],
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
    html = catalogue.home(tmp_path, "x")
    assert not any(tag in html for tag in ("<script>", "<b>", "<i>", "<u>", "<s>", "<em>"))
    assert "NPS: &lt;em&gt;27" in html
