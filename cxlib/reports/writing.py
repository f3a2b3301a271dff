"""An executed notebook as it is kept: tidied of what is only true of this machine, with its page beside it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from cxlib.reports import page
from cxlib.reports.build import Build, Done
from cxlib.reports.execute import libraries


def write_page(build: Build, done: Done, notebook: Any) -> None:
    """Write an executed notebook and its page; an error stands on top of the page."""
    tidy(notebook, build.root, build.folder)
    libraries()[0].write(notebook, build.folder / f"{done.name}.ipynb")
    banner = page.failure(scrub(done.error, build.root, build.folder)) if done.error else ""
    title = page.first_heading(build.notebooks[done.name], done.name)
    text = page.page(title, banner + page.notebook_body(notebook), build.shell(), current=f"{done.name}.html")
    (build.folder / f"{done.name}.html").write_text(text, encoding="utf-8")


def tidy(notebook: Any, root: Path, folder: Path) -> None:
    """Take out of an executed notebook what is only true of this machine and this minute."""
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        for output in cell.get("outputs", []):
            for key in ("text", "evalue", "traceback"):
                if key in output:
                    output[key] = _scrub_any(output[key], root, folder)
            data = output.get("data", {})
            for kind in [kind for kind in data if kind.startswith("text/")]:
                data[kind] = _scrub_any(data[kind], root, folder)


def _scrub_any(value: Any, root: Path, folder: Path) -> Any:
    return [scrub(line, root, folder) for line in value] if isinstance(value, list) else scrub(value, root, folder)


def scrub(text: str, root: Path, folder: Path) -> str:
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
