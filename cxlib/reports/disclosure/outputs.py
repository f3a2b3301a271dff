"""What notebooks show past `run.show` and `run.table`: pictures, frames and lists, which carry nothing to be looked at.

The numbers of a table or a figure of ours come from masked sums, or are looked at with what is recorded. A picture of
another library, a frame that pandas wrote out or a list of scores may be anybody's rows: they are not published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cxlib.reports.disclosure import texts

REMEDY = "show it by run.show or run.table, which carry what the gate reads"
FIGURE = "cx-figure"  # of show.markup, which is not needed here
_READ = {"text/html", "text/plain", "text/markdown"}
_EMBEDDED = re.compile(r"data:image/([\w+.-]+)((?:;[\w=-]+)*),([^\"'\s>]*)")
_FRAME = re.compile(r"class=[\"'][^\"']*\bdataframe\b")
_FIGURE = re.compile(rf"<figure\b[^>]*class=\"[^\"]*\b{FIGURE}\b.*?</figure>", re.DOTALL)
_VALUE = r"(?:[-+]?\d[\d.,]*(?:e[-+]?\d+)?|nan|None|<NA>|True|False|'[^'\n]*'|\"[^\"\n]*\")"
_LIST = re.compile(rf"[\[({{]\s*(?:{_VALUE}(?:\s*:\s*{_VALUE})?[\s,]+){{4,}}")  # of five values or more
_TOLD = re.compile(r"\bdtype[:=]|\[\d+ rows x \d+ columns\]|^array\(|^\s*(?:Empty )?DataFrame\b", re.MULTILINE)
_INDEXED = re.compile(r"(?:^\s*\d+\s{2,}\S.*\n?){3,}", re.MULTILINE)  # lines of a frame that is written out
_COLUMN = re.compile(rf"(?:^\s*{_VALUE}\s*(?:\n|\Z)){{8,}}", re.MULTILINE)  # values below each other
_TABLE = re.compile(r"^\s*\|.*\|\s*\n\s*\|[\s:|-]+\|", re.MULTILINE)  # of Markdown
_PANDAS = "what pandas or NumPy writes out of a frame, an array or a list"


def scan(folder: Path) -> list[str]:
    """Return a sentence for each output that nobody can look through: file, cell, what it is, what to do.

    Parameters
    ----------
    folder
        What is about to be published, its executed notebooks and `figures/`.
    """
    drawn = {path.read_bytes() for path in sorted((folder / "figures").glob("*")) if path.is_file()}
    found: dict[str, None] = {}
    for path in sorted(folder.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8")).get("cells", [])
        for number, cell in enumerate(cells, start=1):
            for output in cell.get("outputs", []):
                found |= {f"{path.name}, cell {number}: {what}; {REMEDY}": None for what in _shown(output, drawn)}
    return list(found)


def _shown(output: Mapping[str, Any], drawn: set[bytes]) -> Iterator[str]:
    """Yield what an output shows that cannot be looked through."""
    if output.get("output_type") == "stream":
        yield from _words(_joined(output.get("text", "")))
        return
    data = output.get("data", {})
    for kind in sorted(set(data) - _READ):
        yield "a picture of its own" if kind.startswith("image/") else f"an output of a kind that is not read ({kind})"
    if "text/html" in data:
        yield from _markup(_joined(data["text/html"]), drawn)
    elif "text/plain" in data and not set(data) - _READ:
        yield from _words(_joined(data["text/plain"]))
    if "text/markdown" in data and _TABLE.search(_joined(data["text/markdown"])):
        yield "a table of its own"


def _words(text: str) -> Iterator[str]:
    """Yield what words are no words but rows."""
    if any(kind.search(text) for kind in (_LIST, _TOLD, _INDEXED, _COLUMN, _TABLE)):
        yield _PANDAS


def _markup(text: str, drawn: set[bytes]) -> Iterator[str]:
    outside = _FIGURE.sub("", text)
    if _FRAME.search(text):
        yield _PANDAS
    elif "<table" in outside.lower():
        yield "a table of its own"
    ours = "".join(_FIGURE.findall(text))
    held = [*_EMBEDDED.findall(outside), *(one for one in _EMBEDDED.findall(ours) if one[0] != "svg+xml")]
    for kind, how, letters in held:  # small lines in the cells of our tables are no files
        if "base64" not in how or texts.from_base64(letters) not in drawn:
            yield f"a picture of its own ({kind})"


def _joined(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
