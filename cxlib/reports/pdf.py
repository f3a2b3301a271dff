"""A report as one PDF: title page, contents, every page in reading order, printed by the system's Chromium.

The browser opens one local file that runs no script and loads nothing. It has no network, no environment and a profile
of its own that goes with it. Where there is no Chromium the report is published without a PDF.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from cxlib.reports import page

CHROMIUM = "CX_CHROMIUM"  # names the browser; `none` for no PDF
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_ELSEWHERE = (  # where installers put it without telling the search path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_FLAGS = (
    "--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-sync", "--disable-component-update", "--disable-default-apps",
    "--disable-breakpad", "--no-pings", "--metrics-recording-only", "--mute-audio", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--user-agent=CX workbench",
    "--no-pdf-header-footer", "--generate-pdf-document-outline",
)  # fmt: skip
SECONDS = 60.0
_LETTER = re.compile(r"(en[-_](US|CA|PH)|es[-_](MX|CO|CL|VE)|fr[-_]CA)", re.IGNORECASE)
_MAIN = re.compile(r'<main id="content">(.*?)</main>', re.DOTALL)
_BESIDE = re.compile(r'<nav class="(?:beside|contents)".*?</nav>|<p class="soft cx-files">.*?</p>', re.DOTALL)
_ID = re.compile(r'(<[^<>]*?\s)id="([^"]*)"')
_HREF = re.compile(r'<a\b([^<>]*?)\shref="([^"]*)"([^<>]*)>')
_DATE = re.compile(rb"\((D:)\d{14}")
_STYLE = """
@page { size: %s; }
body { font-size: 9.5pt; }
section.pdf-page { break-before: page; }
.pdf-title { padding-top: 12vh; } .pdf-title h1 { font-size: 24pt; }
ol.pdf-contents { font-size: 11pt; line-height: 1.8; }
figure > details { max-width: none; font-size: 7.5pt; line-height: 1.3; }
figure > details > ul { columns: 2; column-gap: 6mm; }
figure > figcaption + .cx-scroll tr { break-inside: avoid; }
:is(h2, h3) + .text_cell, h2 + p, h3 + p { break-after: avoid; }
"""


def switched_off() -> bool:
    """Say whether this machine is told to make no PDF."""
    return os.environ.get(CHROMIUM) == "none"


def program() -> str:
    """Return the browser that prints, '' where there is none."""
    named = os.environ.get(CHROMIUM, "")
    if named:
        return shutil.which(named) or ""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    return found or next((path for path in _ELSEWHERE if Path(path).is_file()), "")


def combined(
    folder: Path, shell: page.Shell, headline: Sequence[str], glance: str = "", *, locale: str = "en"
) -> str:  # fmt: skip
    """Return the pages of a report as one page: title, headline, provenance and contents before them.

    Parameters
    ----------
    folder
        Of the report, with its pages.
    shell
        What they share; its `pages` tell their order. The overview's place takes the title page.
    headline
        The sentences that open the report.
    glance
        The table of its metrics, HTML that is safe; '' for none.
    locale
        Of the workspace: the size of the paper follows it.
    """
    names = [name for name in shell.pages if name != "index.html" and (folder / name).is_file()]
    title = _opening(shell, headline) + _contents(shell, names, glance)
    body = "\n".join(_section(folder / name, names) for name in names)
    paper = "letter" if _LETTER.fullmatch(locale) else "A4"
    told = " · ".join(filter(None, (shell.pack, shell.period, shell.company)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{page.POLICY}"><title>{escape(told)}</title>'
        f"<style>{page.style()}{_STYLE % paper}</style></head><body><main>{title}{body}</main></body></html>\n"
    )


def _opening(shell: page.Shell, headline: Sequence[str]) -> str:
    """Return the title page: whose report, of what and when, its headline, where it comes from."""
    lead, *rest = headline or [""]
    points = "".join(f"<li>{escape(sentence)}</li>" for sentence in rest)
    parts = [
        f'<p class="where">{escape(shell.company)}</p><h1>{escape(shell.pack)}</h1>',
        f'<p class="lead"><strong>{escape(shell.period)}</strong></p>',
        f'<p class="lead">{escape(lead)}</p>' if lead else "",
        f"<ul>{points}</ul>" if points else "",
        f'<p class="soft">{escape(shell.provenance)}</p>',
    ]
    return f'<section class="pdf-title">{"".join(parts)}</section>'


def _contents(shell: page.Shell, names: Sequence[str], glance: str) -> str:
    """Return the list of pages, and the table of the report's metrics."""
    entries = "".join(f'<li><a href="#{_anchor(name)}">{escape(shell.pages[name])}</a></li>' for name in names)
    table = "<h2>At a glance</h2>" + _BESIDE.sub("", glance) if glance else ""
    more = f'<section class="pdf-page">{table}</section>' if table else ""
    return f'<section><h2>Contents</h2><ol class="pdf-contents">{entries}</ol></section>{more}'


def _section(path: Path, names: Sequence[str]) -> str:
    """Return the content of a page as a section: its anchors its own, its links those that work in one file."""
    found = _MAIN.search(path.read_text(encoding="utf-8"))
    mine = _anchor(path.name)
    html = _BESIDE.sub("", found[1] if found else "")
    html = _ID.sub(lambda one: f'{one[1]}id="{mine}--{one[2]}"', html)
    html = _HREF.sub(lambda one: f"<a{one[1]}{_address(one[2], mine, names)}{one[3]}>", html)
    return f'<section class="pdf-page" id="{mine}">{html}</section>'


def _address(address: str, mine: str, names: Sequence[str]) -> str:
    """Return the `href` of a link within one file; none for a file that a reader of the PDF does not have."""
    name, _, anchor = address.partition("#")
    if address.startswith(("http://", "https://", "mailto:")):
        return f' href="{address}"'
    if not name and anchor:
        return f' href="#{mine}--{anchor}"'
    if name in names:
        return f' href="#{_anchor(name)}{f"--{anchor}" if anchor else ""}"'
    return ""


def _anchor(name: str) -> str:
    return f"page-{name.removesuffix('.html')}"


def write(html: str, path: Path, made: datetime, *, seconds: float = SECONDS) -> str:
    """Print a page to a PDF file; return '' or, where that is not possible, why not.

    Parameters
    ----------
    html
        What `combined` made.
    path
        The PDF; it is put there whole or not at all.
    made
        The moment that the file names as its own: with it the same page gives the same bytes.
    seconds
        After so many the browser is ended.
    """
    browser = program()
    if not browser:
        return f"no PDF: no Chromium was found; install one, or name it in {CHROMIUM}"
    with tempfile.TemporaryDirectory(prefix="cx-pdf-", ignore_cleanup_errors=True) as held:
        folder = Path(held)
        (folder / "print.html").write_text(html, encoding="utf-8")
        why = _printed(browser, folder, seconds)
        if not why:
            content = _DATE.sub(rb"(\g<1>" + made.strftime("%Y%m%d%H%M%S").encode(), (folder / "out.pdf").read_bytes())
            if b"file://" in content or held.encode() in content:
                return "no PDF: it would have named a folder of this machine"
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(content)
            unfinished.replace(path)
    return why


def _printed(browser: str, folder: Path, seconds: float) -> str:
    """Let the browser print; once more without its sandbox where the system grants it none. Return why it did not."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium refuses to run its sandbox for root
    said = ""
    for bare in (True,) if as_root else (False, True):
        code, said = _run([browser, *_FLAGS, *["--no-sandbox"] * bare], folder, seconds)
        if code == 0 and (folder / "out.pdf").is_file():
            return ""
        if code is None:
            return f"no PDF: {Path(browser).name} did not end within {seconds:.0f} s"
        if "sandbox" not in said.lower():
            break
    return f"no PDF: {Path(browser).name} ended with {code}"


def _run(command: Sequence[str], folder: Path, seconds: float) -> tuple[int | None, str]:
    """Run the browser in a folder of its own; return its exit code, None where it took too long, and what it said."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT", "FONTCONFIG_PATH") if name in os.environ}
    env = kept | dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(folder))
    there = (f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'out.pdf'}")
    with (folder / "said").open("wb") as said:
        try:
            process = subprocess.Popen(
                [*command, *there, (folder / "print.html").as_uri()], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, cwd=folder, env=env, start_new_session=sys.platform != "win32",
            )  # fmt: skip
        except OSError as error:
            return 127, str(error)
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    return code, (folder / "said").read_text(encoding="utf-8", errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the browser and all that it started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
