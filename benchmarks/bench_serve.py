"""The published pages to 100 viewers at once who never pause: `cx serve` against `python -m http.server`, in turns.

Every viewer reads the pages of the report one after the other over a connection of their own, as browsers do, for some
seconds. `http.server` sends files as they lie there to whoever asks; `cx serve` asks at each page who it is and what
they may see, compresses, adds links and writes the audit log. Told are the seconds until a page is there (half of them,
and 95 of 100), pages a second, failures, and the memory of the server before and after.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from stopwatch import Board, Taken, cx

PERIOD = "2026-10"
VIEWERS = 100
SECONDS = 8.0
ROUNDS = 2
_SERVING = "\nserving: {requests_per_minute: 10000000}\n"  # all viewers are one on this machine: nobody is throttled


@dataclass(frozen=True)
class Served:
    """A server under way, and where its pages lie."""

    process: subprocess.Popen[bytes]
    port: int
    before: str

    def megabytes(self) -> float:
        """Resident memory of the server itself."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6


def test_a_hundred_viewers(company: Path, board: Board) -> None:
    cx("run", "monthly", "--period", PERIOD, "--force", cwd=company)
    settings = company / "params" / "workspace.yml"
    text = settings.read_text(encoding="utf-8").partition("\nserving:")[0]
    settings.write_text(text + _SERVING, encoding="utf-8")
    pages = sorted(path.name for path in (company / "reports" / "monthly" / PERIOD).glob("*.html"))
    plain = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--protocol", "HTTP/1.1", "--directory"]
    ours = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port"]
    times: dict[str, list[list[float]]] = {"http.server": [], "cx serve": []}
    with (
        _served([*plain, str(company / "reports")], "/", company) as theirs,
        _served(ours, "/reports/", company) as mine,
    ):
        start = {"http.server": theirs.megabytes(), "cx serve": mine.megabytes()}
        for _ in range(ROUNDS):
            for name, server in (("http.server", theirs), ("cx serve", mine)):
                times[name].append(asyncio.run(_many(server, pages)))
        end = {"http.server": theirs.megabytes(), "cx serve": mine.megabytes()}
    for name, rounds in times.items():
        found = [one for times_of_round in rounds for one in times_of_round]
        board.add(f"{VIEWERS} viewers: {name}", [Taken(statistics.median(one), end[name]) for one in rounds])
        board.say(
            f"95 of 100 pages within {statistics.quantiles(found, n=20)[-1]:.2f} s,"
            f" {len(found) / SECONDS / ROUNDS:,.0f} pages a second, {start[name]:.0f} MB before"
        )


@contextlib.contextmanager
def _served(command: list[str], before: str, company: Path) -> Iterator[Served]:
    """Start a server on a free port, which its command ends with or takes after."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], cwd=company, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None
            time.sleep(0.1)
        yield Served(process, port, before)
    finally:
        process.terminate()
        process.wait(30)


async def _many(server: Served, pages: list[str]) -> list[float]:
    """Return the seconds of every page that a hundred viewers read; a page that does not come fails."""
    until = time.perf_counter() + SECONDS
    viewers = (_viewer(server, pages, number, until) for number in range(VIEWERS))
    return [one for found in await asyncio.gather(*viewers) for one in found]


async def _viewer(server: Served, pages: list[str], first: int, until: float) -> list[float]:
    await asyncio.sleep(0.01 * first)  # http.server lets five wait for a connection, not more
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**22)
    found, number = [], first
    while (began := time.perf_counter()) < until:
        path = f"{server.before}monthly/{PERIOD}/{pages[number % len(pages)]}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        assert head.startswith("http/1.1 200"), head.splitlines()[0]
        await reader.readexactly(int(head.partition("content-length: ")[2].split("\r\n")[0]))
        found.append(time.perf_counter() - began)
        number += 1
    writer.close()
    return found
