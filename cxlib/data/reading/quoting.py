"""Names, texts and paths as SQL writes them."""

from __future__ import annotations

import re
from pathlib import Path


def name(identifier: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Quote a text for SQL."""
    return "'" + value.replace("'", "''") + "'"


def path_text(path: Path) -> str:
    """Quote a path for a reader of DuckDB, which takes `*?[` for a pattern."""
    return text(re.sub(r"([*?\[])", r"[\1]", str(path)))
