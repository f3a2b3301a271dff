"""Pages in a real browser: they open from disk and from the server, load nothing from elsewhere, and can be read.

Accessibility is checked by axe-core (Deque), which comes with axe-playwright-python.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import report_pages
import toy_workspace as toy
from PIL import Image

from cxlib.reports.runner import run_pack
from cxlib.reports.serve import HOST

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parent.parent
FIGURE = (
    "from IPython.display import HTML, display\nimport base64\nfrom pathlib import Path\n"
    'svg = b\'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="90"/>\'\n'
    "drawn = Path(run_folder) / 'figures'\n"
    "if not (drawn / 'chart.svg').is_file():\n    drawn.mkdir(exist_ok=True)\n"
    "    (drawn / 'chart.svg').write_bytes(svg)\n"
    "svg = base64.b64encode(svg).decode()\n"
    'display(HTML(f\'<figure><img alt="a chart" src="data:image/svg+xml;base64,{svg}"></figure>\'))\n'
    "wide = '<table><caption>Cap</caption><tr><th scope=\"col\">' + 'wide ' * 60 + '</th></tr></table>'\n"
    "display(HTML(f'<figure class=\"cx-figure\">{wide}</figure>'))\n"
    'display(HTML(\'<p onclick="x()">kept</p><script>document.title = "taken over"</script>\'))'
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, warm_module: None) -> Path:
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of page that a reader may meet."""
    folder = tmp_path_factory.mktemp("site")
    for name, html in report_pages.site().items():
        (folder / name).write_text(html, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def axe() -> str:
    """The script that checks a page."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed (extra e2e)")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def demo_pages() -> list[Path]:
    """The pages of the newest report of this workspace, where there is one."""
    newest = sorted((ROOT / "reports").glob("monthly/[!._]*/run.json"))[-1:]
    return [path for manifest in newest for path in sorted(manifest.parent.glob("*.html"))]


RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "dark": ["color-contrast", "link-in-text-block"],  # only colours are others in the dark
}


@pytest.mark.parametrize("scheme", RULES)
def test_a_tool_finds_no_barrier_on_any_page(browser: Any, site: Path, axe: str, scheme: str) -> None:
    page, noted = watched(browser, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    found = {}
    for path in [*sorted(site.glob("*.html")), *demo_pages()]:
        page.goto(path.as_uri())
        page.evaluate(axe)
        result = page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", RULES[scheme])
        for one in result["violations"]:
            found[path.name, one["id"]] = [node["html"][:200] for node in one["nodes"]][:3]
    assert found == {}
    assert noted == []
    page.close()


def test_every_page_is_built_the_same_way(browser: Any, site: Path) -> None:
    """Every picture says what it shows, every table heads its rows and columns, headings follow each other."""
    page, _ = watched(browser)
    for path in [*sorted(site.glob("*.html")), *demo_pages()]:
        page.goto(path.as_uri())
        built = page.evaluate("""() => ({
            lang: document.documentElement.lang,
            silent: [...document.images].filter(i => i.alt.length < 20).map(i => i.outerHTML.slice(0, 100)),
            loose: [...document.querySelectorAll('th:not([scope])')].length,
            levels: [...document.querySelectorAll('h1, h2, h3, h4')].map(h => Number(h.tagName[1])),
            broken: [...document.querySelectorAll('a[href^="#"]')]
                .filter(a => !document.getElementById(a.getAttribute('href').slice(1))).map(a => a.outerHTML),
        })""")
        assert (built["lang"], built["silent"], built["loose"], built["broken"]) == ("en", [], 0, []), path.name
        assert page.locator("p.lead").count() == 1 or path.name not in report_pages.PAGES, path.name  # what was found
        levels = built["levels"]
        assert levels.count(1) == 1, path.name
        assert levels[0] == 1, path.name
        assert all(after <= before + 1 for before, after in pairwise(levels)), path.name
    page.close()


def test_a_page_is_used_with_the_keyboard_alone(browser: Any, site: Path) -> None:
    page, noted = watched(browser, viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    page.goto((site / "01_scorecard.html").as_uri())
    focused = "(() => { const a = document.activeElement; return [a.textContent.trim(), a.tagName, a.tabIndex] })()"

    def ring() -> float:
        return page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")

    page.keyboard.press("Tab")
    assert page.evaluate(focused)[0] == "Skip to content"
    assert page.locator("a.skip").bounding_box()["x"] >= 0  # seen once it has the focus
    seen, unseen = [], []
    for _ in range(60):
        page.keyboard.press("Tab")
        words, tag, _ = page.evaluate(focused)
        if tag == "BODY":
            break
        seen.append(words)
        unseen += [words] * (ring() < 2)
    assert unseen == []
    for words in ("Overview", "Is it complete?", "How to read this", "This chart in words", "Where it differs & why →"):
        assert words in seen or any(one.startswith(words) for one in seen), words
    method = page.locator("details.method summary").first
    assert not page.get_by_text("Read the interval first.").is_visible()
    method.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("Read the interval first.").is_visible()
    page.get_by_role("link", name="The last months", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#the-last-months")
    assert page.locator("h2#the-last-months").bounding_box()["y"] < 900
    assert noted == []
    page.close()


def test_a_phone_shows_every_page_without_scrolling_sideways(browser: Any, site: Path) -> None:
    page, _ = watched(browser, viewport={"width": 320, "height": 700})  # WCAG 1.4.10, reflow
    for path in [*sorted(site.glob("*.html")), *demo_pages()]:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path.name
    page.goto((site / "01_scorecard.html").as_uri())
    contents = page.get_by_role("link", name="The last months", exact=True)
    assert not contents.is_visible()
    page.get_by_text("On this page").click()
    assert contents.is_visible()
    chart = page.locator(".cx-chart").first  # its letters keep a size that can be read, the rest is scrolled to
    assert chart.locator("img").bounding_box()["width"] >= 600
    assert chart.evaluate("box => [box.clientWidth <= 320, box.scrollWidth >= 600]") == [True, True]
    page.close()


def test_a_wide_screen_has_the_contents_beside_the_text(browser: Any, site: Path) -> None:
    page, _ = watched(browser, viewport={"width": 1400, "height": 900})
    page.goto((site / "01_scorecard.html").as_uri())
    contents = page.get_by_role("navigation", name="On this page")
    assert contents.get_by_role("link", name="The last months").is_visible()
    assert contents.bounding_box()["x"] > page.locator("main").bounding_box()["x"] + 900
    page.evaluate("window.scrollTo(0, 2000)")
    assert 0 <= contents.bounding_box()["y"] < 100  # it stays
    page.close()


def test_charts_stand_on_the_paper_of_a_dark_page(browser: Any, site: Path) -> None:
    page, _ = watched(browser, viewport={"width": 1200, "height": 900}, color_scheme="dark")
    page.goto((site / "02_where.html").as_uri())
    chart = page.locator(".cx-chart img").first
    chart.scroll_into_view_if_needed()
    corner = pixel(chart.screenshot())
    assert corner == (0x14, 0x19, 0x1F)
    page.emulate_media(media="print", color_scheme="dark")
    assert chart.evaluate("image => getComputedStyle(image).filter") == "none"
    page.close()


def pixel(picture: bytes) -> tuple[int, ...]:
    """Return a colour near the top left of a screenshot."""
    return Image.open(io.BytesIO(picture)).convert("RGB").getpixel((12, 30))


def test_print_unfolds_the_methods_and_drops_what_only_a_screen_needs(browser: Any, site: Path) -> None:
    page, _ = watched(browser)
    page.goto((site / "01_scorecard.html").as_uri())
    page.emulate_media(media="print")
    assert page.get_by_text("Read the interval first.").is_visible()
    for gone in ("nav.contents", "nav.pages", "nav.beside", "a.skip", "a.anchor"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.get_by_text("Snapshot 0001-abc").is_visible()
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
            page.get_by_label("Search").fill("FIRST october")
            page.keyboard.press("Enter")
            page.get_by_text("1 report found").wait_for()
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
