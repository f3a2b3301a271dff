"""An executed notebook as it is kept: tidied of what is only true of this machine, with its page beside it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxlib.reports import page
from cxlib.reports.build import Build, Done
from cxlib.reports.execute import libraries

Clean = Callable[[str], str]
_MESSAGES = ("evalue", "traceback")
_PICTURE = re.compile(r"(data:image/[^\"'\s]{1,100},[\w+/=%.-]*)")


def write_page(build: Build, done: Done, notebook: Any) -> None:
    """Write an executed notebook and its page; an error stands on top of the page."""
    tidy(notebook, build.root, build.folder, failed=bool(done.error))
    libraries()[0].write(notebook, build.folder / f"{done.name}.ipynb")
    banner = page.failure(scrub(done.error, build.root, build.folder)) if done.error else ""
    title = page.first_heading(build.notebooks[done.name], done.name)
    text = page.page(title, banner + page.notebook_body(notebook), build.shell(), current=f"{done.name}.html")
    (build.folder / f"{done.name}.html").write_text(text, encoding="utf-8")


def tidy(notebook: Any, root: Path, folder: Path, *, failed: bool = False) -> None:
    """Take out of an executed notebook what is only true of this machine and this minute.

    Messages of errors quote the rows that they stumbled over: they are redacted, and in a notebook that `failed`, whose
    page is kept to be looked at and never published, so is all else that it printed. What is to be published stays as
    it is: the gate refuses what it must not hold.
    """

    def paths(text: str) -> str:
        return _without_paths(text, root, folder)

    def message(text: str) -> str:
        return scrub(text, root, folder)

    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        for output in cell.get("outputs", []):
            for key in ("text", *_MESSAGES):
                if key in output:
                    output[key] = _each(output[key], message if failed or key in _MESSAGES else paths)
            data = output.get("data", {})
            for kind in [kind for kind in data if kind.startswith("text/")]:
                data[kind] = _each(data[kind], message if failed else paths)


def _each(value: Any, clean: Clean) -> Any:
    return [clean(line) for line in value] if isinstance(value, list) else clean(value)


def scrub(text: str, root: Path, folder: Path) -> str:
    """Take the folders of this machine out of a message, and what tells who somebody is."""
    from cxlib.analysis.redaction import redact

    parts = _PICTURE.split(_without_paths(text, root, folder))  # letters of a picture are no words
    return "".join(
        redact(part, leave=("link", "handle")) if place % 2 == 0 else part for place, part in enumerate(parts)
    )


def _without_paths(text: str, root: Path, folder: Path) -> str:
    """Take the folders of this machine out of a text, the longest first."""
    package = Path(__file__).resolve().parents[2]
    known = {
        folder: "",
        root: "",
        package: "",
        Path(sys.prefix): "python",
        Path(tempfile.gettempdir()): "temporary",
        Path.home(): "~",
    }
    for path, name in sorted(known.items(), key=lambda pair: -len(str(pair[0]))):
        for spelled in {str(path), os.path.realpath(path)}:
            if len(spelled) > 1:
                text = text.replace(f"{spelled}{os.sep}", f"{name}/" if name else "")
                text = text.replace(spelled, name or ".") if path in (folder, root) else text
    return text
