"""Pages in a real browser: they open from disk and from the server, load nothing from elsewhere, and can be read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_workspace as toy

from cxlib.reports.runner import run_pack
from cxlib.reports.serve import HOST

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
FIGURE = (
    "from IPython.display import HTML, display\nimport base64\n"
    'svg = base64.b64encode(b\'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="90"/>\').decode()\n'
    'display(HTML(f\'<figure><img alt="a chart" src="data:image/svg+xml;base64,{svg}"></figure>\'))\n'
    "display(HTML('<table><caption>Cap</caption><tr><th scope=\"col\">' + 'wide ' * 60 + '</th></tr></table>'))\n"
    'display(HTML(\'<p onclick="x()">kept</p><script>document.title = "taken over"</script>\'))'
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra e2e)")
    found = next(filter(None, (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium on this machine")
    with sync.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy.with_snapshot(toy.workspace(tmp_path_factory.mktemp("browser") / "Ünï cödé", first=FIGURE))
    run_pack(root, "toy")
    return root


def watched(browser: Any, **options: Any) -> tuple[Any, list[str]]:
    """Open a page that notes every request that leaves, every error, and every failed request."""
    page, noted = browser.new_page(**options), []
    local = ("file:", "data:", "blob:", f"http://{HOST}", f"ws://{HOST}")
    page.on("request", lambda r: None if r.url.startswith(local) else noted.append(f"request {r.url}"))
    page.on("pageerror", lambda error: noted.append(f"error {error}"))
    page.on("console", lambda m: noted.append(f"console {m.text}") if m.type == "error" else None)
    return page, noted


def test_a_page_from_disk_is_whole_and_safe(browser: Any, root: Path) -> None:
    page, noted = watched(browser, viewport={"width": 360, "height": 740}, color_scheme="dark")
    page.goto((root / "reports" / "toy" / "2026-10" / "index.html").as_uri())
    page.get_by_role("link", name="First page").first.click()
    assert page.title() == "First page · October 2026 · Toy & Söhne"
    assert page.evaluate("document.querySelectorAll('script, [onclick]').length") == 0
    assert page.get_by_role("img", name="a chart").is_visible()
    assert page.get_by_text("kept").is_visible()
    assert page.locator("html").get_attribute("lang") == "en"
    # a phone: what is wide scrolls in its own box, the page does not
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert sum(map(int, ink[4:-1].split(","))) > sum(map(int, paper[4:-1].split(",")))  # dark mode
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert noted == []
    page.close()


def test_from_the_catalogue_to_the_app(browser: Any, root: Path) -> None:
    port = 8700 + os.getpid() % 1000
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port)]
    with (root / "serve.log").open("w") as log:
        server = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
        try:
            wait_for(f"http://{HOST}:{port}/", server)
            page, noted = watched(browser)
            page.goto(f"http://{HOST}:{port}/")
            page.get_by_role("link", name="First page", exact=True).click()
            page.get_by_role("link", name="Explore this page").click()
            page.get_by_role("img", name="a chart").wait_for(timeout=60_000)
            assert page.locator("text=import base64").count() == 0
            assert [line for line in noted if line.startswith("request")] == []
            page.close()
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
