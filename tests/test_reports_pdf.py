"""The PDF of a report: one file of all pages, printed once here, and what happens where that is not possible."""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
import time
import zlib
from datetime import datetime
from pathlib import Path

import pytest

from cxlib.reports import page, pdf

MADE = datetime(2026, 11, 1, 8, 30)
PAGES = {"index.html": "Overview", "01_score.html": "The score", "02_levels.html": "Levels <b>"}
SHELL = page.Shell("Quick & Söhne", "Quick", "octubre de 2026", PAGES, "Snapshot 0001-abcdef · made 2026-11-01")
FIRST = (
    '<h2>What moved</h2><p>Read <a href="02_levels.html">levels</a>, <a href="#what-moved">above</a>, '
    '<a href="https://example.org/a">a source</a> and <a href="/srv/x/results.parquet">a file</a>.</p>'
    '<p class="soft cx-files"><a href="tables/01_score-a.csv">CSV</a></p>'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in (("index.html", "<p>i</p>"), ("01_score.html", FIRST), ("02_levels.html", "<p>North</p>")):
        (tmp_path / name).write_text(page.page(PAGES[name], body, SHELL, current=name), encoding="utf-8")
    return tmp_path


def browser(path: Path, lines: str) -> str:
    """Write a program that stands in for the browser."""
    path.write_text(f"#!{sys.executable}\nimport sys, os, time\nfrom pathlib import Path\n{lines}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


OUT = "out = next(a.partition('=')[2] for a in sys.argv if a.startswith('--print-to-pdf'))"


class TestCombined:
    def test_title_contents_and_all_pages_in_order(self, folder: Path) -> None:
        html = pdf.combined(folder, SHELL, ["NPS rose & rose.", "So did <i>."], "<p>glance</p>")
        told = re.sub(r"<[^>]+>", " ", html[html.index("<body") :])
        order = ["Quick &amp; Söhne", "octubre de 2026", "NPS rose &amp; rose.", "So did &lt;i&gt;.", "Snapshot"]
        order += ["Contents", "The score", "At a glance", "glance", "What moved", "North"]
        places = [told.index(words) for words in order]
        assert places == sorted(places)
        assert html.count("<script") == 0
        assert page.POLICY in html
        assert "size: A4" in html
        assert "size: letter" in pdf.combined(folder, SHELL, [], locale="en_US")

    def test_links_work_within_the_file_or_are_none(self, folder: Path) -> None:
        html = pdf.combined(folder, SHELL, ["x"])
        addresses = re.findall(r'href="([^"]*)"', html)
        ids = set(re.findall(r'id="([^"]*)"', html))
        inner = [address[1:] for address in addresses if address.startswith("#")]
        assert {"page-01_score", "page-02_levels", "page-01_score--what-moved"} <= set(inner)
        assert set(inner) <= ids
        assert [address for address in addresses if not address.startswith("#")] == ["https://example.org/a"]
        assert len(ids) == len(re.findall(r'\bid="', html))
        assert "cx-files" not in html[html.index("<body") :]

    def test_a_page_that_is_not_there_is_left_out(self, folder: Path) -> None:
        (folder / "02_levels.html").unlink()
        assert "page-02_levels" not in pdf.combined(folder, SHELL, [])


@pytest.mark.skipif(sys.platform == "win32", reason="its stand-in is a script with a shebang")
class TestBrowser:
    def test_it_is_told_to_load_nothing_and_gets_no_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = tmp_path / "seen"
        tell = f"{OUT}\nPath(out).write_bytes(b'%PDF')\nPath({str(seen)!r}).write_text("
        tell += "repr((sys.argv, dict(os.environ), os.getcwd())))"
        monkeypatch.setenv(pdf.CHROMIUM, browser(tmp_path / "chromium", tell))
        monkeypatch.setenv("SECRET_TOKEN", "hush")
        assert pdf.write("<p>x</p>", tmp_path / "a.pdf", MADE) == ""
        words, environment, where = ast.literal_eval(seen.read_text(encoding="utf-8"))
        assert {"--headless", "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"} <= set(words)
        assert words[-1] == (Path(where) / "print.html").as_uri()
        assert "SECRET_TOKEN" not in environment
        assert environment["HOME"] == where
        assert not Path(where).exists()  # the profile and the page went with it

    def test_none_is_said_and_nothing_is_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(pdf.CHROMIUM, str(tmp_path / "nowhere"))
        why = pdf.write("<p>x</p>", tmp_path / "a.pdf", MADE)
        assert why == "no PDF: no Chromium was found; install one, or name it in CX_CHROMIUM"
        assert list(tmp_path.iterdir()) == []

    def test_one_that_hangs_is_ended_with_all_it_started(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mark = tmp_path / "child"
        hang = f"child = os.fork()\nif not child:\n    Path({str(mark)!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
        monkeypatch.setenv(pdf.CHROMIUM, browser(tmp_path / "chromium", hang))
        began = time.monotonic()
        assert "did not end within 1 s" in pdf.write("<p>x</p>", tmp_path / "a.pdf", MADE, seconds=1.0)
        assert time.monotonic() - began < 20
        child = int(mark.read_text())
        for _ in range(100):
            if not _runs(child):
                break
            time.sleep(0.05)
        assert not _runs(child)
        assert not (tmp_path / "a.pdf").exists()

    @pytest.mark.parametrize(
        ("lines", "words"), [("sys.exit(3)", "ended with 3"), ("pass", "ended with 0")], ids=["fails", "prints nothing"]
    )
    def test_one_that_fails_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, words: str
    ) -> None:
        monkeypatch.setenv(pdf.CHROMIUM, browser(tmp_path / "chromium", lines))
        assert words in pdf.write("<p>x</p>", tmp_path / "a.pdf", MADE)

    def test_a_pdf_that_names_a_folder_is_not_published(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        leak = f"{OUT}\nPath(out).write_bytes(b'%PDF /URI (file:///srv/x)')"
        monkeypatch.setenv(pdf.CHROMIUM, browser(tmp_path / "chromium", leak))
        assert "folder of this machine" in pdf.write("<p>x</p>", tmp_path / "a.pdf", MADE)
        assert not (tmp_path / "a.pdf").exists()

    def test_it_can_be_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(pdf.CHROMIUM, "none")
        assert pdf.switched_off()


def _runs(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_systems_browser_prints_a_tagged_pdf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pdf.CHROMIUM)
    if not pdf.program():
        pytest.skip("no Chromium on this machine")
    made = folder / "quick-2026-10.pdf"
    assert pdf.write(pdf.combined(folder, SHELL, ["NPS rose."]), made, MADE) == ""
    content = made.read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/Lang (en)" in content
    assert b"/StructTreeRoot" in content
    assert b"/Outlines" in content
    assert b"(D:20261101083000" in content
    title = "Quick · octubre de 2026 · Quick & Söhne".encode("utf-16-be").hex().upper().encode()
    assert title in content
    assert b"/Dest" in content
    assert content.count(b"/URI (https://example.org/a)") == 1
    whole = content + b"".join(_inflated(content))
    for word in (str(folder), str(Path.home()) + "/", "file://", os.uname().nodename if hasattr(os, "uname") else "?"):
        assert word.encode() not in whole
    assert len(re.findall(rb"/Type /Page\b", content)) == 3  # the title with the contents, and two pages


def _inflated(content: bytes) -> list[bytes]:
    found = []
    for part in re.findall(rb"stream\r?\n(.*?)endstream", content, re.DOTALL):
        try:
            found.append(zlib.decompress(part))
        except zlib.error:
            continue
    return found
