"""The published page, Explore and plain Voila on the same notebook, in turns, and 20 viewers of Explore at once.

Told are the seconds until a chart is visible in a browser, on a fresh browser each time; and of the 20 viewers the
failures, the memory that each kernel has for itself, and how long after the last viewer left the last kernel was gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from stopwatch import ROOT, Board, Taken
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

PERIOD = "2026-10"
PAGES = ("01_scorecard", "02_why_it_moved")
ROUNDS = 3
VIEWERS = 20
_SERVING = "\nserving: {requests_per_minute: 10000000, kernels_per_viewer: 20}\n"  # all viewers are one on this machine
_VISIBLE = """() => [...document.querySelectorAll('img')].some(
    one => one.complete && one.naturalWidth > 300 && one.checkVisibility() && one.getBoundingClientRect().width > 0)"""


def test_explore(company: Path, board: Board) -> None:
    from cxlib.reports.runner import run_pack

    run_pack(company, "monthly", PERIOD)
    settings = company / "params" / "workspace.yml"
    text = settings.read_text(encoding="utf-8").partition("\nserving:")[0]
    settings.write_text(text + _SERVING, encoding="utf-8")
    folder, port, theirs = company / "reports" / "monthly" / PERIOD, _free_port(), _free_port()
    ours = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port)]
    voila = [sys.executable, "-m", "voila", "--no-browser", "--port", str(theirs), str(folder)]
    with _served(ours, company, port), _served(voila, company, theirs):
        time.sleep(5)  # the template of warm kernels has imported
        for page in PAGES:
            addresses = {
                f"{page}, as published": f"http://127.0.0.1:{port}/reports/monthly/{PERIOD}/{page}.html",
                f"{page}, Explore": f"http://127.0.0.1:{port}/explore/monthly/{PERIOD}/{page}",
                f"{page}, plain Voila": f"http://127.0.0.1:{theirs}/voila/render/{page}.ipynb",
            }
            taken: dict[str, list[Taken]] = {name: [] for name in addresses}
            for _ in range(ROUNDS):
                for name, address in addresses.items():
                    taken[name].append(Taken(_until_visible(address), 0.0))
            for name, times in taken.items():
                board.add(name, times)
        asyncio.run(_many(port, board))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _served(command: list[str], company: Path, port: int) -> Iterator[None]:
    """Run a server, and wait until it listens."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=company, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not any(one.laddr.port == port for one in psutil.Process(process.pid).net_connections() if one.laddr):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _until_visible(address: str) -> float:
    """Return the seconds until a chart is seen, in a browser without a past."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        began = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_function(_VISIBLE, polling=20, timeout=120_000)
        seconds = time.perf_counter() - began
        page.goto("about:blank")
        browser.close()
        return seconds


async def _many(port: int, board: Board) -> None:
    """Let viewers come at once, stay, and leave."""
    await asyncio.sleep(10)  # the kernels of the browsers are gone
    AsyncHTTPClient.configure(None, max_clients=VIEWERS)
    before, began = set(_kernels()), time.perf_counter()
    found = await asyncio.gather(*(_visit(port) for _ in range(VIEWERS)), return_exceptions=True)
    seconds = time.perf_counter() - began
    failed = [one for one in found if isinstance(one, BaseException)]
    own = sorted(_private(pid) for pid in set(_kernels()) - before)
    for one in found:
        if not isinstance(one, BaseException):
            one.close()
    left = time.perf_counter()
    while set(_kernels()) - before and time.perf_counter() - left < 180:
        await asyncio.sleep(0.5)
    gone = time.perf_counter() - left
    board.add(f"{VIEWERS} viewers of Explore at once, until all have their page", [Taken(seconds, max(own, default=0))])
    board.say(f"{len(failed)} failed; kernels {own[0]:.0f} to {own[-1]:.0f} MB each; gone after {gone:.0f} s")
    assert not failed, failed[0]
    assert len(own) == VIEWERS


async def _visit(port: int) -> object:
    """Open a page to its end, and connect to its kernel as the page does."""
    base = f"127.0.0.1:{port}"
    answer = await AsyncHTTPClient().fetch(
        f"http://{base}/explore/monthly/{PERIOD}/{PAGES[0]}", request_timeout=180, connect_timeout=30
    )
    kernel = re.search(rb'"kernelId": ?"([0-9a-f-]{36})"', answer.body)
    assert kernel is not None
    assert b"<img" in answer.body
    address = f"ws://{base}/api/kernels/{kernel[1].decode()}/channels"
    return await websocket_connect(HTTPRequest(address, headers={"Origin": f"http://{base}"}))


def _kernels() -> list[int]:
    """Return the processes of forked kernels: children of templates of our children."""
    mine = psutil.Process()
    return [one.pid for server in mine.children() for template in server.children() for one in template.children()]


def _private(pid: int) -> float:
    """Return the memory that a process shares with nobody, in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kilobytes) for kilobytes in re.findall(r"Private_\w+:\s+(\d+)", text)) / 1024
