"""Explore in a real browser: the panel follows lists and addresses, and nothing comes from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import explored
import pytest

from cxlib.reports.serve import HOST

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
LAST, BEFORE = explored.LAST, explored.BEFORE
_SHOWN = "list => list.selectedOptions[0].textContent.replaceAll('\u00a0', ' ')"  # widgets keep words together
LISTS = ("Period", "Metric", "Segment", "Compared with")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page's app on a server of its own."""
    many = "  kernels_per_viewer: 20\n"  # pages of these tests are closed without a word
    root = explored.workspace(tmp_path_factory.mktemp("explored"), "print('the notebook', 6 * 7)", serving=many)
    port = 9700 + os.getpid() % 1000
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cxlib.cli", "serve", "--no-browser", "--port", str(port)]
    with (root / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
        try:
            assert explored.until(lambda: answers(f"http://{HOST}:{port}/", server), 60)
            yield f"http://{HOST}:{port}/explore/toy/{LAST}/01_first"
            server.terminate()
            assert server.wait(timeout=30) == 0
        finally:
            server.kill()
            server.wait()


def answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def opened(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    """Open a page that notes every request that leaves, every error and every failed request."""
    page, noted = browser.new_page(**options), []
    page.on("request", lambda r: None if HOST in r.url or r.url.startswith("data:") else noted.append(r.url))
    page.on("pageerror", lambda error: noted.append(f"error {error}"))
    page.on("console", lambda m: noted.append(f"console {m.text}") if m.type == "error" else None)
    page.on("response", lambda r: noted.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.goto(address)
    page.get_by_label("Segment", exact=True).wait_for(timeout=60_000)
    return page, noted


def chosen(page: Any) -> list[str]:
    """Return what the lists show."""
    return [page.get_by_label(name, exact=True).evaluate(_SHOWN) for name in LISTS]


def test_the_lists_change_chart_table_and_link(browser: Any, address: str, tmp_path: Path) -> None:
    page, noted = opened(browser, address)
    assert chosen(page) == [f"Month {LAST}", "Net Promoter Score", "Everyone", "September 2026"]
    page.get_by_label("Segment", exact=True).select_option(index=1)
    page.locator(".cx-panel img[alt*='by region']").wait_for(timeout=30_000)
    assert page.locator(".cx-panel table").get_by_text("hidden: small group").is_visible()
    downloaded(page, tmp_path)
    page.get_by_label("Compared with", exact=True).select_option(index=2)
    page.locator(".cx-panel img[alt*='period by period']").wait_for(timeout=30_000)
    link = page.get_by_role("link", name="Link to this view")
    assert link.get_attribute("href") == f"?period={LAST}&metric=nps&segment=region&compare=over_time"
    # the notebook below is there, its source is not
    assert page.get_by_text("the notebook 42").is_visible()
    assert "6 * 7" not in page.content()
    assert "cx.explore" not in page.content()
    # what the script replaces is shown once
    assert page.locator(".cx-until").is_visible() is False
    query = link.get_attribute("href")
    for there in (query, f"/reports/toy/{LAST}/01_first.html{query}"):  # of the page, and of what was published of it
        page.goto(urljoin(address, there))
        page.get_by_label("Segment", exact=True).wait_for(timeout=60_000)
        assert page.url == f"{address}{query}"
        assert chosen(page) == [f"Month {LAST}", "Net Promoter Score", "Region <b>", "itself over time"]
    assert noted == []
    page.close()


def downloaded(page: Any, folder: Path) -> None:
    """Fetch the table that is shown, as both kinds of file, and look into it."""
    for word, suffix in (("CSV", "csv"), ("Excel", "xlsx")):
        with page.expect_download() as waiting:
            page.locator(".cx-panel").get_by_role("link", name=f"{word}:").click()
        assert waiting.value.suggested_filename.endswith(f".{suffix}")
        waiting.value.save_as(folder / f"table.{suffix}")
    read = (folder / "table.csv").read_text(encoding="utf-8-sig").splitlines()
    assert read[0].startswith("title,period,segment,level,comparison,")
    assert any(f",{LAST},region,North," in line for line in read)
    hidden = [line for line in read if "suppressed" in line]
    assert hidden
    assert not [line for line in hidden if any(character.isdigit() for character in line.split(",")[7])]
    assert (folder / "table.xlsx").read_bytes().startswith(b"PK")


def test_an_address_that_asks_for_what_is_not_there_is_told(browser: Any, address: str) -> None:
    wrong = f"{address}?period={BEFORE}&metric=<script>alert(1)</script>&segment=region&compare=previous"
    page, noted = opened(browser, wrong, viewport={"width": 390, "height": 800}, color_scheme="dark")
    assert chosen(page)[0] == f"Month {BEFORE}"
    told = page.locator(".cx-panel [role=status]").inner_text()
    assert "There is no metric “<script>alert(1)</script>” to choose here." in told
    assert page.evaluate("document.documentElement.scrollWidth") <= 390  # a phone
    ink, paper = page.locator("select").first.evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert sum(map(int, ink[4:-1].split(","))) > sum(map(int, paper[4:-1].split(",")))  # dark mode
    assert noted == []
    page.close()


def test_a_tool_finds_no_barrier(browser: Any, address: str) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed (extra e2e)")
    page, noted = opened(browser, f"{address}?segment=region", bypass_csp=True)
    page.evaluate((Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        result = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", rules)
        found = {one["id"]: [node["html"][:200] for node in one["nodes"]] for one in result["violations"]}
        assert found == {}, (scheme, width)
    assert noted == []
    page.close()


def test_the_panel_is_reached_and_used_with_the_keyboard(browser: Any, address: str) -> None:
    page, noted = opened(browser, address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.labels?.[0]?.textContent ?? ''"))
    assert [name for name in reached if name] == list(LISTS)
    page.get_by_label("Metric", exact=True).focus()
    page.keyboard.press("ArrowDown")
    page.locator(".cx-panel img[alt*='top two boxes']").wait_for(timeout=30_000)
    assert chosen(page)[1].startswith("Customers satisfied")
    assert noted == []
    page.close()


def test_a_choice_without_an_answer_says_so(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.clock.install()
    page.goto(address)
    page.get_by_label("Segment", exact=True).wait_for(timeout=60_000)
    page.get_by_text("the notebook 42").wait_for()
    page.context.set_offline(True)  # as where the kernel has ended
    page.get_by_label("Segment", exact=True).select_option(index=1)
    page.clock.fast_forward(16_000)
    again = page.get_by_role("link", name="Open it again")
    again.wait_for(timeout=10_000)
    assert again.get_attribute("href") == address
    page.close()
